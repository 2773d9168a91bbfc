//! The kinds of objects, as people name them and as the API does.

use shared::fault::{Fault, Lang, cli};
use shared::id::{Digest, Name};

use super::client::Target;
use super::error::CliError;

/// A kind of object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Apps,
    Releases,
    Nodes,
    Deployments,
    Budgets,
    Events,
    Publishers,
    Tokens,
    ApiTokens,
}

impl Kind {
    /// All of them.
    pub(super) const ALL: [Self; 9] = [
        Self::Apps,
        Self::Releases,
        Self::Nodes,
        Self::Deployments,
        Self::Budgets,
        Self::Events,
        Self::Publishers,
        Self::Tokens,
        Self::ApiTokens,
    ];

    /// What lists are called, in the API too.
    pub(super) const fn plural(self) -> &'static str {
        match self {
            Self::Apps => "apps",
            Self::Releases => "releases",
            Self::Nodes => "nodes",
            Self::Deployments => "deployments",
            Self::Budgets => "budgets",
            Self::Events => "events",
            Self::Publishers => "publishers",
            Self::Tokens => "tokens",
            Self::ApiTokens => "api-tokens",
        }
    }

    /// What one of them is called.
    pub(super) const fn singular(self) -> &'static str {
        match self {
            Self::Apps => "app",
            Self::Releases => "release",
            Self::Nodes => "node",
            Self::Deployments => "deployment",
            Self::Budgets => "budget",
            Self::Events => "event",
            Self::Publishers => "publisher",
            Self::Tokens => "token",
            Self::ApiTokens => "api-token",
        }
    }

    const fn short(self) -> &'static [&'static str] {
        match self {
            Self::Releases => &["rel"],
            Self::Nodes => &["no"],
            Self::Deployments => &["deploy", "dep"],
            Self::Events => &["ev"],
            Self::Publishers => &["pub"],
            Self::Apps | Self::Budgets | Self::Tokens | Self::ApiTokens => &[],
        }
    }

    /// In a sentence.
    pub(super) const fn word(self, lang: Lang) -> &'static str {
        match (lang, self) {
            (Lang::En, _) => self.singular(),
            (Lang::Zh, Self::Apps) => "应用",
            (Lang::Zh, Self::Releases) => "发布包",
            (Lang::Zh, Self::Nodes) => "节点",
            (Lang::Zh, Self::Deployments) => "部署",
            (Lang::Zh, Self::Budgets) => "预算",
            (Lang::Zh, Self::Events) => "事件",
            (Lang::Zh, Self::Publishers) => "发布者",
            (Lang::Zh, Self::Tokens) => "接入令牌",
            (Lang::Zh, Self::ApiTokens) => "API 令牌",
        }
    }

    /// Reads what a person calls it.
    pub(super) fn parse(text: &str) -> Result<Self, CliError> {
        let named = |kind: &Self| kind.plural() == text || kind.singular() == text || kind.short().contains(&text);
        Self::ALL.into_iter().find(named).ok_or_else(|| {
            let kinds = Self::ALL.map(Self::plural).join(", ");
            CliError::Usage(Fault::new(&cli::BAD_KIND).with("given", shown(text)).with("kinds", kinds))
        })
    }

    /// Whether the API answers for one object, and not only for the list.
    pub(super) const fn has_single(self) -> bool {
        matches!(self, Self::Releases | Self::Nodes | Self::Deployments | Self::Budgets)
    }

    /// Whether the API tells about changes.
    pub(super) const fn is_watched(self) -> bool {
        matches!(self, Self::Releases | Self::Nodes | Self::Deployments | Self::Publishers)
    }

    /// Whether its objects have labels.
    pub(super) const fn has_labels(self) -> bool {
        matches!(self, Self::Apps | Self::Releases | Self::Nodes | Self::Tokens)
    }

    /// Where one object is; the name is checked first, so that a mistake is told without asking the hub.
    pub(super) fn single<'a>(self, name: &'a str) -> Result<Target<'a>, CliError> {
        if self == Self::Releases {
            release(name)?;
        } else {
            self::name(name)?;
        }
        Ok(Target::new(&[self.plural(), name]))
    }

    /// The list.
    pub(super) fn list(self) -> Target<'static> {
        Target::new(&[self.plural()])
    }

    /// Where an object of this kind has its name.
    pub(super) fn name_of(self, object: &serde_json::Value) -> String {
        match self {
            Self::Events => object.get("cursor").map(ToString::to_string).unwrap_or_default(),
            Self::Tokens => text_at(object, "/node"),
            Self::Apps
            | Self::Releases
            | Self::Nodes
            | Self::Deployments
            | Self::Budgets
            | Self::Publishers
            | Self::ApiTokens => text_at(object, "/metadata/name"),
        }
    }
}

/// The text at a JSON pointer; empty when there is none.
pub(super) fn text_at(object: &serde_json::Value, pointer: &str) -> String {
    object.pointer(pointer).and_then(serde_json::Value::as_str).unwrap_or_default().to_owned()
}

/// A kind and the names behind it: `nodes a b`, or `node/a node/b`.
pub(super) fn kind_and_names(kind: &str, names: &[String]) -> Result<(Kind, Vec<String>), CliError> {
    let Some((first, name)) = kind.split_once('/') else { return Ok((Kind::parse(kind)?, names.to_vec())) };
    let kind = Kind::parse(first)?;
    let mut all = vec![name.to_owned()];
    for other in names {
        match other.split_once('/') {
            Some((same, name)) if Kind::parse(same)? == kind => all.push(name.to_owned()),
            _ => {
                let fault = Fault::new(&cli::BAD_REFERENCE).with("text", shown(other));
                return Err(CliError::Usage(
                    fault.with("form", "KIND/NAME").with("example", format_args!("{}/a", kind.singular())),
                ));
            }
        }
    }
    Ok((kind, all))
}

/// A name of the hub's.
pub(super) fn name(text: &str) -> Result<Name, CliError> {
    Name::new(text).map_err(|_| CliError::Usage(Fault::new(&cli::BAD_NAME).with("text", shown(text))))
}

/// What a person calls a release: an app and its version, or an id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ReleaseName {
    /// `app@version`.
    Version(Name, String),
    /// `sha256:…`.
    Id(Digest),
}

/// Reads `app@version` or `sha256:…`.
pub(super) fn release(text: &str) -> Result<ReleaseName, CliError> {
    if let Ok(id) = text.parse() {
        return Ok(ReleaseName::Id(id));
    }
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'+' | b'-');
    match text.split_once('@') {
        Some((app, version)) if !version.is_empty() && version.bytes().all(allowed) => {
            Ok(ReleaseName::Version(name(app)?, version.to_owned()))
        }
        _ => {
            let fault = Fault::new(&cli::BAD_REFERENCE).with("text", shown(text));
            Err(CliError::Usage(fault.with("form", "APP@VERSION").with("example", "counter@1.0.0")))
        }
    }
}

/// `key=value`.
pub(super) fn pair<'a>(text: &'a str, form: &str) -> Result<(&'a str, &'a str), CliError> {
    let bad = || CliError::Usage(Fault::new(&cli::BAD_PAIR).with("text", shown(text)).with("form", form));
    text.split_once('=').filter(|(key, _)| !key.is_empty()).ok_or_else(bad)
}

/// What somebody typed, cut for a message.
pub(super) fn shown(text: &str) -> String {
    text.chars().take(120).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_have_the_names_people_use() {
        for (text, kind) in [("nodes", Kind::Nodes), ("node", Kind::Nodes), ("no", Kind::Nodes), ("api-token", Kind::ApiTokens)] {
            assert_eq!(Kind::parse(text).unwrap(), kind);
        }
        let error = Kind::parse("pods").unwrap_err();
        assert!(matches!(&error, CliError::Usage(fault) if fault.code == "cli-bad-kind"), "{error}");
    }

    #[test]
    fn names_stand_behind_the_kind_or_in_it() {
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        for (kind, names, expected) in [
            ("nodes", &["a", "b"][..], Some((Kind::Nodes, words(&["a", "b"])))),
            ("node/a", &[], Some((Kind::Nodes, words(&["a"])))),
            ("node/a", &["node/b"], Some((Kind::Nodes, words(&["a", "b"])))),
            ("node/a", &["app/b"], None),
            ("node/a", &["b"], None),
        ] {
            assert_eq!(kind_and_names(kind, &words(names)).ok(), expected, "{kind} {names:?}");
        }
    }

    #[test]
    fn releases_are_named_by_version_or_id() {
        let id = Digest::of(b"r");
        assert_eq!(release(&id.to_string()).unwrap(), ReleaseName::Id(id));
        let version = ReleaseName::Version(Name::new("web").unwrap(), "1.0+b".into());
        assert_eq!(release("web@1.0+b").unwrap(), version);
        for text in ["web", "web@", "@1", "Web@1", "web@1/2", "web@1@2", "sha256:00"] {
            assert!(release(text).is_err(), "{text}");
        }
    }
}
