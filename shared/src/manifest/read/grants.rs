//! Volumes, configs and secrets: their definitions at the top, and configs and secrets as a service sees them.

use std::collections::BTreeMap;

use super::super::problem::shown;
use super::super::yaml::{self, Value};
use super::super::{Config, FileGrant, Secret, Volume, units};
use super::keys;
use super::reader::{At, Reader, below, whole};
use crate::fault::{Fault, manifest as m};
use crate::id::Name;

/// A map of definitions.
pub(super) fn named<T>(r: &mut Reader<'_>, at: &At<'_>, one: fn(&mut Reader<'_>, &At<'_>) -> Option<T>) -> BTreeMap<Name, T> {
    let mut all = BTreeMap::new();
    for entry in r.map(at).unwrap_or_default() {
        let path = below(&at.path, &entry.key);
        let name = r.name(entry.mark, &path, &entry.key);
        let item = r.at(&entry.node, path);
        all.extend(name.zip(one(r, &item)));
    }
    all
}

fn is_null(at: &At<'_>) -> bool {
    matches!(&at.node.value, Value::Scalar(scalar) if scalar.kind() == yaml::Kind::Null)
}

/// `data:`, `data: {}`, or with the driver that every volume has.
pub(super) fn volume(r: &mut Reader<'_>, at: &At<'_>) -> Option<Volume> {
    if is_null(at) {
        return Some(Volume {});
    }
    let fields = r.fields(at, &keys::VOLUME)?;
    if let Some(at) = fields.get("driver")
        && r.text(at).is_some_and(|driver| driver != "local")
    {
        r.refuse_value(at, &m::BAD_VOLUME_DRIVER);
    }
    Some(Volume {})
}

/// `content: text`, or `file: path`, whose text the caller gives.
pub(super) fn config(r: &mut Reader<'_>, at: &At<'_>) -> Option<Config> {
    let fields = r.fields(at, &keys::CONFIG)?;
    match (fields.get("content"), fields.get("file")) {
        (Some(content), None) => r.text_or_number(content).map(|content| Config { content: content.to_owned() }),
        (None, Some(file)) => file_text(r, file).map(|content| Config { content }),
        (None, None) | (Some(_), Some(_)) => {
            // A refused way of saying it has told its own problem.
            if !["external", "environment"].iter().any(|key| at.node.get(key).is_some()) {
                r.refuse(at, Fault::new(&m::CONFIG_SOURCE));
            }
            None
        }
    }
}

fn file_text(r: &mut Reader<'_>, at: &At<'_>) -> Option<String> {
    let path = r.text(at)?;
    match (r.outside.files)(path) {
        Ok(content) => Some(content),
        Err(cause) => {
            r.refuse(at, Fault::new(&m::CONFIG_FILE).with("file", shown(path)).with("cause", shown(&cause)));
            None
        }
    }
}

/// `external: true`: a release is readable by everyone who sees it, so no secret is part of one.
pub(super) fn secret(r: &mut Reader<'_>, at: &At<'_>) -> Option<Secret> {
    let fields = r.fields(at, &keys::SECRET)?;
    match fields.get("external") {
        Some(at) if r.flag(at)? => Some(Secret { external: true }),
        Some(at) => {
            r.refuse(at, Fault::new(&m::SECRET_EXTERNAL));
            None
        }
        None => {
            if !["file", "environment", "content"].iter().any(|key| at.node.get(key).is_some()) {
                r.refuse(at, Fault::new(&m::SECRET_EXTERNAL));
            }
            None
        }
    }
}

/// Which of the two a service asks for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Config,
    Secret,
}

impl Kind {
    /// Where the file is when nothing is said, or only its name.
    fn target(self, said: &str) -> String {
        match self {
            _ if said.starts_with('/') => said.to_owned(),
            Self::Config => format!("/{said}"),
            Self::Secret => format!("/run/secrets/{said}"),
        }
    }

    const fn mode(self) -> u32 {
        match self {
            Self::Config => 0o444,
            Self::Secret => 0o400,
        }
    }
}

/// Configs or secrets of a service: names, or maps.
pub(super) fn grants(r: &mut Reader<'_>, at: &At<'_>, kind: Kind) -> Vec<FileGrant> {
    let mut grants = Vec::new();
    for item in r.list(at).unwrap_or_default() {
        let item = r.at(item, format!("{}[{}]", at.path, grants.len()));
        grants.extend(match &item.node.value {
            Value::Map(_) => long(r, &item, kind),
            Value::Scalar(_) | Value::List(_) => r.text_or_number(&item).and_then(|text| {
                let source = r.name(item.node.mark, &item.path, text)?;
                Some(FileGrant { target: kind.target(source.as_str()), source, uid: 0, gid: 0, mode: kind.mode() })
            }),
        });
    }
    grants
}

fn long(r: &mut Reader<'_>, at: &At<'_>, kind: Kind) -> Option<FileGrant> {
    let fields = r.fields(at, &keys::GRANT)?;
    let source = match fields.get("source") {
        Some(at) => r.text_or_number(at).and_then(|text| r.name(at.node.mark, &at.path, text)),
        None => {
            r.missing(at.node.mark, at, "source");
            None
        }
    };
    let target = fields.get("target").and_then(|at| r.text(at)).map(|text| kind.target(text));
    let uid = fields.get("uid").map_or(Some(0), |at| id(r, at));
    let gid = fields.get("gid").map_or(Some(0), |at| id(r, at));
    let mode = fields.get("mode").map_or(Some(kind.mode()), |at| mode(r, at));
    let source = source?;
    Some(FileGrant { target: target.unwrap_or_else(|| kind.target(source.as_str())), source, uid: uid?, gid: gid?, mode: mode? })
}

fn id(r: &mut Reader<'_>, at: &At<'_>) -> Option<u32> {
    let id = r.text_or_number(at).and_then(whole);
    if id.is_none() {
        r.refuse_value(at, &m::NOT_A_NUMBER);
    }
    id
}

fn mode(r: &mut Reader<'_>, at: &At<'_>) -> Option<u32> {
    let mode = units::mode::parse(r.text_or_number(at)?);
    if mode.is_err() {
        r.refuse_value(at, &m::BAD_MODE);
    }
    mode.ok()
}
