//! Limits: `deploy.resources.limits`, and Compose's older synonyms `cpus`, `mem_limit` and `pids_limit`.

use super::super::{Deploy, Limits, Resources, units};
use super::keys;
use super::reader::{At, Fields, Reader};
use crate::fault::{Fault, manifest as m};

/// The limits of a service. A synonym that says something else than `deploy` is refused, as Compose does.
pub(super) fn deploy(r: &mut Reader<'_>, service: &str, fields: &Fields<'_>) -> Deploy {
    let mut limits = fields.get("deploy").and_then(|at| below(r, at)).unwrap_or_default();
    let base = format!("{service}.deploy.resources.limits");
    if let Some(at) = fields.get("cpus") {
        let value = cpus(r, at);
        merge(r, at, format!("{base}.cpus"), value, &mut limits.milli_cpus);
    }
    if let Some(at) = fields.get("mem_limit") {
        let value = r.unit(at, &m::BAD_SIZE);
        merge(r, at, format!("{base}.memory"), value, &mut limits.memory);
    }
    if let Some(at) = fields.get("pids_limit") {
        let value = r.number(at);
        merge(r, at, format!("{base}.pids"), value, &mut limits.pids);
    }
    Deploy { resources: Resources { limits } }
}

fn merge<T: PartialEq>(r: &mut Reader<'_>, at: &At<'_>, path: String, value: Option<T>, slot: &mut Option<T>) {
    let Some(value) = value else { return };
    if slot.as_ref().is_some_and(|there| *there != value) {
        r.refuse(at, Fault::new(&m::LIMIT_TWICE).with("key", &path));
    }
    r.at(at.node, path);
    *slot = Some(value);
}

fn below(r: &mut Reader<'_>, at: &At<'_>) -> Option<Limits> {
    let deploy = r.fields(at, &keys::DEPLOY)?;
    let resources = r.fields(deploy.get("resources")?, &keys::RESOURCES)?;
    let limits = r.fields(resources.get("limits")?, &keys::LIMITS)?;
    Some(Limits {
        milli_cpus: limits.get("cpus").and_then(|at| cpus(r, at)),
        memory: limits.get("memory").and_then(|at| r.unit(at, &m::BAD_SIZE)),
        pids: limits.get("pids").and_then(|at| r.number(at)),
    })
}

fn cpus(r: &mut Reader<'_>, at: &At<'_>) -> Option<u32> {
    let milli = units::cpus::parse(r.text_or_number(at)?);
    if milli.is_err() {
        r.refuse_value(at, &m::BAD_CPUS);
    }
    milli.ok()
}
