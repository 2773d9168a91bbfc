//! Where the image of each service comes from: an archive on this machine, or a registry that the hub asks. Pure.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use shared::fault::{Fault, cli};
use shared::id::Name;
use shared::manifest::App;
use shared::oci::Platform;

use super::error::CliError;
use super::kinds::{name, pair, shown};

/// Where an image comes from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Source {
    /// An archive or layout; with several images in it, the one of this name.
    Archive { path: PathBuf, name: Option<String> },
    /// A reference that the hub resolves.
    Registry(String),
}

impl Source {
    /// For people.
    pub(super) fn text(&self) -> String {
        match self {
            Self::Archive { path, name: None } => path.display().to_string(),
            Self::Archive { path, name: Some(name) } => format!("{}#{name}", path.display()),
            Self::Registry(reference) => reference.clone(),
        }
    }
}

/// The source of every service: what `--image` says, else the manifest's reference. `exists` tells whether a path does.
pub(super) fn sources(app: &App, given: &[String], exists: &dyn Fn(&Path) -> bool) -> Result<BTreeMap<Name, Source>, CliError> {
    let services = &app.spec.services;
    let mut sources: BTreeMap<Name, Source> =
        services.iter().map(|(service, definition)| (service.clone(), Source::Registry(definition.image.clone()))).collect();
    for text in given {
        let (service, image) = pair(text, "SERVICE=IMAGE")?;
        let service = name(service)?;
        let Some(source) = sources.get_mut(&service) else {
            let known = services.keys().map(Name::to_string).collect::<Vec<_>>().join(", ");
            let fault = Fault::new(&cli::UNKNOWN_SERVICE).with("service", service);
            return Err(CliError::Usage(fault.with("services", known)));
        };
        *source = source_of(image, exists);
    }
    Ok(sources)
}

/// A text is an archive if it is written as a path, or if there is such a file.
fn source_of(text: &str, exists: &dyn Fn(&Path) -> bool) -> Source {
    let (path, inner) = match text.split_once('#') {
        Some((path, inner)) => (path, Some(inner.to_owned())),
        None => (text, None),
    };
    let written_as_path = ["/", "./", "../"].iter().any(|start| path.starts_with(start))
        || [".tar", ".tar.gz", ".tgz", ".tar.zst"].iter().any(|end| path.ends_with(end));
    if inner.is_some() || written_as_path || exists(Path::new(path)) {
        Source::Archive { path: path.into(), name: inner }
    } else {
        Source::Registry(text.to_owned())
    }
}

/// `linux/amd64`, `linux/arm/v7`.
pub(super) fn platform(text: &str) -> Result<Platform, CliError> {
    let part = |part: &&str| (1..=32).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_alphanumeric());
    let parts: Vec<&str> = text.split('/').collect();
    let made = |os: &str, architecture: &str, variant: &str| Platform {
        os: os.to_owned(),
        architecture: architecture.to_owned(),
        variant: variant.to_owned(),
    };
    match parts.as_slice() {
        [os, architecture] if parts.iter().all(part) => Ok(made(os, architecture, "")),
        [os, architecture, variant] if parts.iter().all(part) => Ok(made(os, architecture, variant)),
        _ => Err(CliError::Usage(Fault::new(&cli::BAD_PLATFORM).with("text", shown(text)))),
    }
}

#[cfg(test)]
mod tests {
    use shared::manifest::{Outside, read};

    use super::*;

    fn app() -> App {
        let text = "name: a\nservices: {web: {image: 'r.example/web:1'}, db: {image: 'r.example/db:1'}}\n";
        let naming = shared::manifest::Naming { name: None, version: Some("1".into()) };
        read("a.yaml", text, &Outside { naming, ..Outside::default() }).unwrap().app
    }

    #[test]
    fn what_is_not_given_comes_from_the_manifest() {
        let given = |given: &[&str]| {
            let given: Vec<String> = given.iter().map(|text| (*text).to_owned()).collect();
            sources(&app(), &given, &|path| path == Path::new("local"))
        };
        let texts = |sources: BTreeMap<Name, Source>| {
            sources.into_values().map(|source| format!("{source:?}")).collect::<Vec<_>>().join(" ")
        };
        for (images, expected) in [
            (&[][..], r#"Registry("r.example/db:1") Registry("r.example/web:1")"#),
            (&["web=./web"], r#"Registry("r.example/db:1") Archive { path: "./web", name: None }"#),
            (&["web=local"], r#"Registry("r.example/db:1") Archive { path: "local", name: None }"#),
            (&["web=web.tar#x:1"], r#"Registry("r.example/db:1") Archive { path: "web.tar", name: Some("x:1") }"#),
            (&["db=other:5"], r#"Registry("other:5") Registry("r.example/web:1")"#),
        ] {
            assert_eq!(texts(given(images).unwrap()), expected, "{images:?}");
        }
        for bad in ["cache=x", "web", "=x", "Web=x"] {
            assert!(matches!(given(&[bad]), Err(CliError::Usage(_))), "{bad}");
        }
    }

    #[test]
    fn platforms() {
        assert_eq!(platform("linux/arm/v7").unwrap().to_string(), "linux/arm/v7");
        for bad in ["", "linux", "linux/", "linux/a/b/c", "linux/a b"] {
            assert!(platform(bad).is_err(), "{bad:?}");
        }
    }
}
