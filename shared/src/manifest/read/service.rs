//! One service: the simple keys here, the others in the files beside this one.

use super::super::problem::Mark;
use super::super::yaml::{Kind, Node, Value};
use super::super::{NetworkMode, Period, Restart, Service};
use super::keys::{self, nearest};
use super::reader::{At, Fields, Reader};
use super::{depends, environment, grants, health, limits, mounts, ports, words};
use crate::fault::{Fault, manifest as m};

/// A service; `None` only when it is not a map.
pub(super) fn service(r: &mut Reader<'_>, mark: Mark, at: &At<'_>) -> Option<Service> {
    let fields = r.fields(at, &keys::SERVICE)?;
    Some(Service {
        image: image(r, mark, at, &fields),
        command: fields.get("command").and_then(|at| line(r, at)),
        entrypoint: fields.get("entrypoint").and_then(|at| line(r, at)),
        environment: fields.get("environment").map(|at| environment::environment(r, at)).unwrap_or_default(),
        ports: fields.get("ports").map(|at| ports::ports(r, at)).unwrap_or_default(),
        volumes: mounts::mounts(r, &at.path, fields.get("volumes"), fields.get("tmpfs")),
        devices: fields.get("devices").map(|at| mounts::devices(r, at)).unwrap_or_default(),
        healthcheck: fields.get("healthcheck").and_then(|at| health::healthcheck(r, at)),
        depends_on: fields.get("depends_on").map(|at| depends::depends_on(r, at)).unwrap_or_default(),
        restart: fields.get("restart").and_then(|at| restart(r, at)).unwrap_or_default(),
        stop_grace_period: grace(r, &fields),
        stop_signal: fields.get("stop_signal").and_then(|at| signal(r, at)),
        deploy: limits::deploy(r, &at.path, &fields),
        cap_add: fields.get("cap_add").map(|at| capabilities(r, at)).unwrap_or_default(),
        cap_drop: fields.get("cap_drop").map(|at| capabilities(r, at)).unwrap_or_default(),
        read_only: fields.get("read_only").and_then(|at| r.flag(at)).unwrap_or_default(),
        user: fields.get("user").and_then(|at| r.text_or_number(at)).map(str::to_owned),
        working_dir: fields.get("working_dir").and_then(|at| r.text(at)).map(str::to_owned),
        network_mode: fields.get("network_mode").and_then(|at| network_mode(r, at)).unwrap_or_default(),
        labels: fields.get("labels").map(|at| environment::labels(r, at)).unwrap_or_default(),
        configs: fields.get("configs").map(|at| grants::grants(r, at, grants::Kind::Config)).unwrap_or_default(),
        secrets: fields.get("secrets").map(|at| grants::grants(r, at, grants::Kind::Secret)).unwrap_or_default(),
    })
}

fn image(r: &mut Reader<'_>, mark: Mark, at: &At<'_>, fields: &Fields<'_>) -> String {
    if let Some(at) = fields.get("image") {
        return r.text(at).unwrap_or_default().to_owned();
    }
    if at.node.get("build").is_some() {
        // `build` has told its own problem, which is the same one.
        r.meant(at, "image");
    }
    r.missing(mark, at, "image");
    String::new()
}

/// A command line: a list of words, or one text that is split. `null` keeps the image's own.
fn line(r: &mut Reader<'_>, at: &At<'_>) -> Option<Vec<String>> {
    match &at.node.value {
        Value::Scalar(scalar) if scalar.kind() == Kind::Null => None,
        Value::Scalar(_) => {
            let split = words::split(r.text(at)?);
            if split.is_err() {
                r.refuse_value(at, &m::UNCLOSED_QUOTE);
            }
            split.ok()
        }
        Value::List(_) | Value::Map(_) => Some(texts(r, at)),
    }
}

/// A list of texts.
pub(super) fn texts(r: &mut Reader<'_>, at: &At<'_>) -> Vec<String> {
    let mut texts = Vec::new();
    for item in r.list(at).unwrap_or_default() {
        let item = r.at(item, format!("{}[{}]", at.path, texts.len()));
        texts.extend(r.text(&item).map(str::to_owned));
    }
    texts
}

fn restart(r: &mut Reader<'_>, at: &At<'_>) -> Option<Restart> {
    // `restart: no` is a text in YAML 1.2; files written for 1.1 tools may hold `false` for it.
    let text = match scalar_text(at.node) {
        Some("false") => "no",
        _ => r.text(at)?,
    };
    let restart = Restart::try_from(text.to_owned());
    if restart.is_err() {
        r.refuse_value(at, &m::BAD_RESTART);
    }
    restart.ok()
}

fn scalar_text(node: &Node) -> Option<&str> {
    match &node.value {
        Value::Scalar(scalar) => Some(&scalar.text),
        Value::List(_) | Value::Map(_) => None,
    }
}

fn grace(r: &mut Reader<'_>, fields: &Fields<'_>) -> Period {
    let period = fields.get("stop_grace_period").and_then(|at| r.unit(at, &m::BAD_PERIOD));
    period.unwrap_or_else(super::super::service::default_grace)
}

/// `INT`, `SIGINT` and `2` are `SIGINT`; whether such a signal exists is checked with the normal form.
fn signal(r: &mut Reader<'_>, at: &At<'_>) -> Option<String> {
    let text = r.text_or_number(at)?.to_ascii_uppercase();
    if let Some(name) = super::super::check::signal_name(&text) {
        return Some(name);
    }
    r.refuse_value(at, &m::BAD_SIGNAL);
    None
}

/// Capabilities in capitals and without `CAP_`.
fn capabilities(r: &mut Reader<'_>, at: &At<'_>) -> Vec<String> {
    let bare = |text: String| {
        let text = text.to_ascii_uppercase();
        text.strip_prefix("CAP_").map(str::to_owned).unwrap_or(text)
    };
    texts(r, at).into_iter().map(bare).collect()
}

fn network_mode(r: &mut Reader<'_>, at: &At<'_>) -> Option<NetworkMode> {
    match r.text(at)? {
        "bridge" => Some(NetworkMode::Bridge),
        "host" => Some(NetworkMode::Host),
        "none" => Some(NetworkMode::None),
        other => {
            let near = nearest(other, &["bridge", "host", "none"]).unwrap_or("bridge");
            r.refuse(at, Fault::new(&m::BAD_NETWORK_MODE).with("value", super::super::problem::shown(other)).with("near", near));
            None
        }
    }
}
