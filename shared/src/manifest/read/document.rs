//! The document: an App, or a plain Compose file.

use std::collections::BTreeMap;

use super::super::problem::Mark;
use super::super::yaml::{Node, Value};
use super::super::{API_VERSION, App, Metadata, Service, Spec, Update};
use super::environment::labels;
use super::keys;
use super::reader::{At, Fields, Reader};
use super::{grants, service};
use crate::fault::{Fault, manifest as m};
use crate::id::Name;

/// The app of a document; `None` when its kind cannot be told or its name is missing, which is a problem then.
pub(super) fn app(r: &mut Reader<'_>, root: &Node) -> Option<App> {
    let at = r.at(root, String::new());
    if !matches!(root.value, Value::Map(_)) {
        r.refuse_value(&at, &m::NOT_A_MAP);
        None
    } else if root.get("apiVersion").is_some() || root.get("kind").is_some() {
        from_app(r, root)
    } else if root.get("services").is_some() {
        from_compose(r, root)
    } else {
        r.refuse(&at, Fault::new(&m::NEITHER).with("version", API_VERSION));
        None
    }
}

fn from_app(r: &mut Reader<'_>, root: &Node) -> Option<App> {
    let fields = top_fields(r, root, "", &keys::APP)?;
    constant(r, root, &fields, "apiVersion", API_VERSION);
    constant(r, root, &fields, "kind", "App");
    let metadata = match fields.get("metadata") {
        Some(at) => {
            let fields = r.fields(at, &keys::METADATA)?;
            metadata(r, at.node.mark, &fields)
        }
        None => named(r, root.mark, None, None),
    };
    let spec = match fields.get("spec") {
        Some(at) => {
            let fields = r.fields(at, &keys::SPEC)?;
            spec(r, at.node.mark, &fields)
        }
        None => {
            r.refuse_at(root.mark, "spec", Fault::new(&m::MISSING).with("key", "spec"));
            None
        }
    };
    Some(assemble(metadata?, spec?))
}

fn from_compose(r: &mut Reader<'_>, root: &Node) -> Option<App> {
    let fields = top_fields(r, root, "spec", &keys::COMPOSE)?;
    let name = fields.get("name").cloned();
    let metadata = named(r, root.mark, name.as_ref(), None);
    let spec = spec(r, root.mark, &fields);
    Some(assemble(metadata?, spec?))
}

fn assemble((name, version, description, labels): Naming, spec: Spec) -> App {
    let metadata = Metadata { name, version, description, labels };
    App { api_version: API_VERSION.into(), kind: "App".into(), metadata, spec }
}

/// The keys of the root: their paths begin with `prefix`.
fn top_fields<'n>(r: &mut Reader<'_>, root: &'n Node, prefix: &str, keys: &keys::Keys) -> Option<Fields<'n>> {
    let at = r.at(root, prefix.to_owned());
    r.fields(&at, keys)
}

fn constant(r: &mut Reader<'_>, root: &Node, fields: &Fields<'_>, key: &'static str, value: &'static str) {
    match fields.get(key) {
        None => r.refuse_at(root.mark, key, Fault::new(&m::MISSING).with("key", key)),
        Some(at) => {
            if let Some(text) = r.text(at).filter(|text| *text != value) {
                let fault = Fault::new(&m::NOT_THIS_KIND).with("key", key).with("value", text.to_owned()).with("expected", value);
                r.refuse(at, fault);
            }
        }
    }
}

/// Name, version, description, labels.
type Naming = (Name, String, String, BTreeMap<String, String>);

fn metadata(r: &mut Reader<'_>, mark: Mark, fields: &Fields<'_>) -> Option<Naming> {
    let naming = named(r, mark, fields.get("name"), fields.get("version"));
    let description = fields.get("description").and_then(|at| r.text(at)).unwrap_or_default().to_owned();
    let labels = fields.get("labels").map(|at| labels(r, at)).unwrap_or_default();
    naming.map(|(name, version, ..)| (name, version, description, labels))
}

/// Name and version from the text, else from outside; both are needed.
fn named(r: &mut Reader<'_>, mark: Mark, name: Option<&At<'_>>, version: Option<&At<'_>>) -> Option<Naming> {
    let name = match name {
        Some(at) => r.text_or_number(at).and_then(|text| r.name(at.node.mark, "metadata.name", text)),
        None => r.outside.naming.name.clone().or_else(|| {
            r.refuse_at(mark, "metadata.name", Fault::new(&m::NAME_MISSING));
            None
        }),
    };
    let version = match version {
        Some(at) => r.text_or_number(at).map(str::to_owned),
        None => r.outside.naming.version.clone().or_else(|| {
            r.refuse_at(mark, "metadata.version", Fault::new(&m::VERSION_MISSING));
            None
        }),
    };
    // Checks of the rest still run when only name or version is missing: both have told their problem.
    let name = name.or_else(|| Name::new("app").ok())?;
    Some((name, version.unwrap_or_else(|| "0".into()), String::new(), BTreeMap::new()))
}

fn spec(r: &mut Reader<'_>, mark: Mark, fields: &Fields<'_>) -> Option<Spec> {
    let services = match fields.get("services") {
        Some(at) => services(r, at),
        None => {
            r.refuse_at(mark, "spec.services", Fault::new(&m::MISSING).with("key", "services"));
            None
        }
    };
    let volumes = fields.get("volumes").map(|at| grants::named(r, at, grants::volume)).unwrap_or_default();
    let configs = fields.get("configs").map(|at| grants::named(r, at, grants::config)).unwrap_or_default();
    let secrets = fields.get("secrets").map(|at| grants::named(r, at, grants::secret)).unwrap_or_default();
    let update = fields.get("update").and_then(|at| update(r, at)).unwrap_or_default();
    Some(Spec { services: services?, volumes, configs, secrets, update })
}

fn services(r: &mut Reader<'_>, at: &At<'_>) -> Option<BTreeMap<Name, Service>> {
    let mut services = BTreeMap::new();
    for entry in r.map(at)? {
        let path = format!("{}.{}", at.path, entry.key);
        let Some(name) = r.name(entry.mark, &path, &entry.key) else { continue };
        let at = r.at(&entry.node, path);
        if let Some(service) = service::service(r, entry.mark, &at) {
            services.insert(name, service);
        }
    }
    Some(services)
}

fn update(r: &mut Reader<'_>, at: &At<'_>) -> Option<Update> {
    let fields = r.fields(at, &keys::UPDATE)?;
    let mut update = Update::default();
    if let Some(period) = fields.get("deadline").and_then(|at| r.unit(at, &m::BAD_PERIOD)) {
        update.deadline = period;
    }
    if let Some(period) = fields.get("settle").and_then(|at| r.unit(at, &m::BAD_PERIOD)) {
        update.settle = period;
    }
    Some(update)
}
