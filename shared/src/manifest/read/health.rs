//! Health checks: Compose's forms, and `HTTP` and `TCP`.

use super::super::health::{default_interval, default_retries, default_start_interval};
use super::super::problem::shown;
use super::super::yaml::Value;
use super::super::{HealthCheck, Probe};
use super::keys;
use super::reader::{At, Fields, Reader};
use super::service::texts;
use crate::fault::{Fault, manifest as m};

/// The health check of a service; `None` when it is disabled, or refused.
pub(super) fn healthcheck(r: &mut Reader<'_>, at: &At<'_>) -> Option<HealthCheck> {
    let fields = r.fields(at, &keys::HEALTHCHECK)?;
    let disabled = fields.get("disable").and_then(|at| r.flag(at)).unwrap_or_default();
    let test = match fields.get("test") {
        Some(at) => test(r, at),
        None if disabled => None,
        None => {
            r.missing(at.node.mark, at, "test");
            None
        }
    };
    let check = HealthCheck {
        interval: period(r, &fields, "interval").unwrap_or_else(default_interval),
        timeout: period(r, &fields, "timeout").unwrap_or_else(default_interval),
        retries: fields.get("retries").and_then(|at| r.number(at)).unwrap_or_else(default_retries),
        start_period: period(r, &fields, "start_period").unwrap_or_default(),
        start_interval: period(r, &fields, "start_interval").unwrap_or_else(default_start_interval),
        test: test?,
    };
    if disabled { None } else { Some(check) }
}

fn period(r: &mut Reader<'_>, fields: &Fields<'_>, key: &str) -> Option<super::super::Period> {
    fields.get(key).and_then(|at| r.unit(at, &m::BAD_PERIOD))
}

/// A text is a line for the container's shell, as in Compose; a list begins with how to ask.
fn test(r: &mut Reader<'_>, at: &At<'_>) -> Option<Probe> {
    if matches!(at.node.value, Value::Scalar(_)) {
        let line = r.text(at)?;
        return Some(Probe::Shell(line.to_owned()));
    }
    let items = r.list(at)?.len();
    let words = texts(r, at);
    if words == ["NONE"] || words.len() < items {
        return None;
    }
    match Probe::try_from(words) {
        Ok(probe) => Some(probe),
        Err(why) => {
            r.refuse(at, Fault::new(&m::BAD_TEST).with("cause", shown(&why)));
            None
        }
    }
}
