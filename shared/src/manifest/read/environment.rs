//! Environment and labels: a map, or a list of `key=value`.

use std::collections::BTreeMap;

use super::super::problem::shown;
use super::super::yaml::{Kind, Node, Scalar, Value};
use super::reader::{At, Reader, below};
use crate::fault::{Fault, manifest as m};

/// Variables of a service. One without a value would come from the host's environment, which a node does not have.
pub(super) fn environment(r: &mut Reader<'_>, at: &At<'_>) -> BTreeMap<String, String> {
    pairs(r, at, |r, at, key| {
        r.refuse(at, Fault::new(&m::VARIABLE_WITHOUT_VALUE).with("name", shown(key)));
        None
    })
}

/// Labels; one without a value is empty.
pub(super) fn labels(r: &mut Reader<'_>, at: &At<'_>) -> BTreeMap<String, String> {
    pairs(r, at, |_, _, _| Some(String::new()))
}

type Missing = fn(&mut Reader<'_>, &At<'_>, &str) -> Option<String>;

fn pairs(r: &mut Reader<'_>, at: &At<'_>, missing: Missing) -> BTreeMap<String, String> {
    let mut pairs = BTreeMap::new();
    match &at.node.value {
        Value::List(items) => {
            for item in items {
                let item = At { node: item, path: at.path.clone() };
                let Some(text) = r.text(&item) else { continue };
                let (key, value) = text.split_once('=').map_or((text, None), |(key, value)| (key, Some(value)));
                let item = r.at(item.node, below(&at.path, key));
                let Some(value) = value.map(str::to_owned).or_else(|| missing(r, &item, key)) else { continue };
                if pairs.insert(key.to_owned(), value).is_some() {
                    r.refuse(&item, Fault::new(&m::DUPLICATE_KEY).with("key", shown(key)));
                }
            }
        }
        Value::Map(entries) => {
            for entry in entries {
                let item = r.at(&entry.node, below(&at.path, &entry.key));
                let value = match scalar(item.node) {
                    Some(scalar) if scalar.kind() == Kind::Null => missing(r, &item, &entry.key),
                    // Numbers and flags as they were written: `1.10` stays `1.10`.
                    Some(scalar) => Some(scalar.text.clone()),
                    None => r.text(&item).map(str::to_owned),
                };
                pairs.extend(value.map(|value| (entry.key.clone(), value)));
            }
        }
        Value::Scalar(_) => r.refuse_value(at, &m::NOT_A_MAP),
    }
    pairs
}

fn scalar(node: &Node) -> Option<&Scalar> {
    match &node.value {
        Value::Scalar(scalar) => Some(scalar),
        Value::List(_) | Value::Map(_) => None,
    }
}
