//! `depends_on`: a list of services, or a map with conditions.

use std::collections::BTreeMap;

use super::super::Condition;
use super::super::problem::shown;
use super::super::yaml::Value;
use super::keys;
use super::reader::{At, Reader, below};
use crate::fault::{Fault, manifest as m};
use crate::id::Name;

/// What must hold in which service first.
pub(super) fn depends_on(r: &mut Reader<'_>, at: &At<'_>) -> BTreeMap<Name, Condition> {
    let mut depends = BTreeMap::new();
    if let Value::Map(entries) = &at.node.value {
        for entry in entries {
            let path = below(&at.path, &entry.key);
            let name = r.name(entry.mark, &path, &entry.key);
            let item = r.at(&entry.node, path);
            depends.extend(name.zip(condition(r, &item)));
        }
        return depends;
    }
    for item in r.list(at).unwrap_or_default() {
        let item = At { node: item, path: at.path.clone() };
        let Some(text) = r.text(&item) else { continue };
        let item = r.at(item.node, below(&at.path, text));
        let Some(name) = r.name(item.node.mark, &item.path, text) else { continue };
        if depends.insert(name, Condition::default()).is_some() {
            r.refuse(&item, Fault::new(&m::DUPLICATE_KEY).with("key", shown(text)));
        }
    }
    depends
}

fn condition(r: &mut Reader<'_>, at: &At<'_>) -> Option<Condition> {
    // The normal form writes the condition itself: `db: service_healthy`.
    if matches!(at.node.value, Value::Scalar(_)) {
        return named(r, at);
    }
    let fields = r.fields(at, &keys::DEPENDENCY)?;
    // `required: true` and `restart: false` say what holds anyway.
    if let Some(at) = fields.get("required")
        && r.flag(at) == Some(false)
    {
        r.refuse(at, Fault::new(&m::DEPENDENCY_OPTION).with("key", "required: false"));
    }
    if let Some(at) = fields.get("restart")
        && r.flag(at) == Some(true)
    {
        r.refuse(at, Fault::new(&m::DEPENDENCY_OPTION).with("key", "restart: true"));
    }
    match fields.get("condition") {
        None => Some(Condition::default()),
        Some(at) => named(r, at),
    }
}

fn named(r: &mut Reader<'_>, at: &At<'_>) -> Option<Condition> {
    match r.text(at)? {
        "service_started" => Some(Condition::ServiceStarted),
        "service_healthy" => Some(Condition::ServiceHealthy),
        "service_completed_successfully" => Some(Condition::ServiceCompletedSuccessfully),
        _ => {
            r.refuse_value(at, &m::BAD_CONDITION);
            None
        }
    }
}
