//! What must hold in a normal form, whoever wrote it.
//!
//! The reader checks an author's text with this, hub and node a release that arrives: both get the same
//! answers, the one with lines, the others with paths of the normal form. Nothing here trusts that the
//! reader was there first.

mod graph;
mod image;
mod notices;
mod paths;
mod ports;
mod process;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use super::bounds::{
    CONFIG_MAX, CONFIGS_TOTAL_MAX, DESCRIPTION_MAX, GRANTS_MAX, LABEL_MAX, LABELS_MAX, SERVICE_LABEL_MAX, SERVICES_MAX,
    SHARED_MAX, VERSION_MAX,
};
use super::problem::{Problem, Refused, refused, shown};
use super::{API_VERSION, App, Service, Spec, Update};
use crate::fault::{Fault, manifest as m};
use crate::id::Name;

pub(super) use notices::notices;
pub(super) use process::signal_name;

/// Something wrong in a normal form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Finding {
    /// Where.
    pub(super) path: String,
    /// Another place that would be wrong first: with a problem there, this one only follows from it.
    pub(super) about: Option<String>,
    /// What, without its place.
    pub(super) fault: Fault,
}

/// A list of findings with a short way to add one.
#[derive(Default)]
pub(super) struct Findings(Vec<Finding>);

impl Findings {
    pub(super) fn add(&mut self, path: impl Into<String>, fault: Fault) {
        self.0.push(Finding { path: path.into(), about: None, fault });
    }

    pub(super) fn add_about(&mut self, path: impl Into<String>, about: impl Into<String>, fault: Fault) {
        self.0.push(Finding { path: path.into(), about: Some(about.into()), fault });
    }

    /// A finding when there are more than `max` of something.
    fn at_most(&mut self, path: &str, count: usize, max: usize) {
        if count > max {
            self.add(path, Fault::new(&m::TOO_MANY).with("count", count).with("max", max));
        }
    }

    /// A finding when a text is longer than `max` bytes or holds a NUL.
    fn text(&mut self, path: &str, text: &str, max: usize) {
        if text.len() > max {
            self.add(path, Fault::new(&m::TOO_LONG).with("size", text.len()).with("max", max));
        } else if text.contains('\0') {
            self.add(path, Fault::new(&m::NUL));
        }
    }
}

impl App {
    /// Checks a normal form, for example of a release that arrived: everything that reading a text checks.
    ///
    /// # Errors
    /// All problems; their `place` is a path such as `spec.services.web.ports[0]`.
    pub fn check(&self) -> Result<(), Refused> {
        let problem = |finding: Finding| Problem { mark: None, fault: finding.fault.with("place", finding.path) };
        match refused(findings(self).into_iter().map(problem).collect(), 0) {
            Some(refused) => Err(refused),
            None => Ok(()),
        }
    }
}

/// Everything that is wrong with `app`. Of more services than an app may have, the first ones are looked at.
pub(super) fn findings(app: &App) -> Vec<Finding> {
    let mut findings = Findings::default();
    let f = &mut findings;
    head(f, app);
    shared(f, &app.spec);
    update(f, &app.spec.update);
    for (name, one) in app.spec.services.iter().take(SERVICES_MAX) {
        service(f, &format!("spec.services.{name}"), one, app);
    }
    graph::depends_on(f, &app.spec.services);
    ports::conflicts(f, &app.spec.services);
    findings.0
}

fn head(f: &mut Findings, app: &App) {
    for (key, value, expected) in [("apiVersion", &app.api_version, API_VERSION), ("kind", &app.kind, "App")] {
        if value != expected {
            let fault = Fault::new(&m::NOT_THIS_KIND).with("key", key).with("value", shown(value)).with("expected", expected);
            f.add(key, fault);
        }
    }
    let version = &app.metadata.version;
    let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'+' | b'-');
    if version.is_empty() || version.len() > VERSION_MAX || !version.bytes().all(fits) {
        f.add("metadata.version", Fault::new(&m::BAD_VERSION).with("value", shown(version)));
    }
    f.text("metadata.description", &app.metadata.description, DESCRIPTION_MAX);
    labels(f, "metadata.labels", &app.metadata.labels, LABEL_MAX);
}

fn labels(f: &mut Findings, path: &str, labels: &BTreeMap<String, String>, longest: usize) {
    f.at_most(path, labels.len(), LABELS_MAX);
    for (key, value) in labels {
        let path = format!("{path}.{key}");
        if key.is_empty() || key.len() > LABEL_MAX || !key.bytes().all(|b| b.is_ascii_graphic() && b != b'=') {
            f.add(&path, Fault::new(&m::BAD_LABEL).with("key", shown(key)).with("max", LABEL_MAX));
        }
        f.text(&path, value, longest);
    }
}

/// Counts and contents of what the services share.
fn shared(f: &mut Findings, spec: &Spec) {
    if spec.services.is_empty() {
        f.add("spec.services", Fault::new(&m::NO_SERVICES));
    }
    f.at_most("spec.services", spec.services.len(), SERVICES_MAX);
    f.at_most("spec.volumes", spec.volumes.len(), SHARED_MAX);
    f.at_most("spec.configs", spec.configs.len(), SHARED_MAX);
    f.at_most("spec.secrets", spec.secrets.len(), SHARED_MAX);
    for (name, config) in &spec.configs {
        let path = format!("spec.configs.{name}");
        if config.content.len() > CONFIG_MAX {
            f.add(path, Fault::new(&m::TOO_LONG).with("size", config.content.len()).with("max", CONFIG_MAX));
        }
    }
    let total: usize = spec.configs.values().map(|config| config.content.len()).sum();
    if total > CONFIGS_TOTAL_MAX {
        f.add("spec.configs", Fault::new(&m::TOO_LONG).with("size", total).with("max", CONFIGS_TOTAL_MAX));
    }
    for (name, secret) in &spec.secrets {
        if !secret.external {
            f.add(format!("spec.secrets.{name}"), Fault::new(&m::SECRET_EXTERNAL));
        }
    }
}

fn update(f: &mut Findings, update: &Update) {
    if update.deadline.duration().is_zero() || update.settle > update.deadline {
        let fault = Fault::new(&m::BAD_UPDATE).with("deadline", update.deadline).with("settle", update.settle);
        f.add("spec.update", fault);
    }
}

fn service(f: &mut Findings, path: &str, service: &Service, app: &App) {
    process::process(f, path, service);
    ports::ports(f, path, service);
    paths::paths(f, path, service);
    labels(f, &format!("{path}.labels"), &service.labels, SERVICE_LABEL_MAX);
    f.at_most(&format!("{path}.configs"), service.configs.len(), GRANTS_MAX);
    f.at_most(&format!("{path}.secrets"), service.secrets.len(), GRANTS_MAX);
    references(f, path, service, &app.spec);
}

/// Volumes, configs and secrets that the service names must be defined.
fn references(f: &mut Findings, path: &str, service: &Service, spec: &Spec) {
    for (n, (source, _)) in service.volumes.iter().enumerate().filter_map(|(n, mount)| Some((n, named(mount)?))) {
        if !spec.volumes.contains_key(source) {
            undefined(f, &format!("{path}.volumes[{n}]"), "volumes", source, spec.volumes.keys());
        }
    }
    for (n, grant) in service.configs.iter().enumerate() {
        if !spec.configs.contains_key(&grant.source) {
            undefined(f, &format!("{path}.configs[{n}]"), "configs", &grant.source, spec.configs.keys());
        }
    }
    for (n, grant) in service.secrets.iter().enumerate() {
        if !spec.secrets.contains_key(&grant.source) {
            undefined(f, &format!("{path}.secrets[{n}]"), "secrets", &grant.source, spec.secrets.keys());
        }
    }
}

fn named(mount: &super::Mount) -> Option<(&Name, &str)> {
    match mount {
        super::Mount::Volume { source, target, .. } => Some((source, target)),
        super::Mount::Bind { .. } | super::Mount::Tmpfs { .. } => None,
    }
}

fn undefined<'n>(f: &mut Findings, path: &str, section: &str, source: &Name, defined: impl Iterator<Item = &'n Name>) {
    let fault = Fault::new(&m::UNDEFINED).with("section", section).with("name", source).with("defined", list(defined));
    f.add_about(path, format!("spec.{section}.{source}"), fault);
}

/// Names for an error text.
fn list<'n>(names: impl Iterator<Item = &'n Name>) -> String {
    let names: Vec<&str> = names.take(10).map(Name::as_str).collect();
    if names.is_empty() { "-".into() } else { names.join(", ") }
}
