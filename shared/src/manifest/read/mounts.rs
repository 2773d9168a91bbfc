//! Mounts and devices: `volumes`, `tmpfs`, `devices`, in their short and long forms.

use super::super::problem::shown;
use super::super::yaml::{Kind, Value};
use super::super::{ByteSize, Device, Mount};
use super::keys;
use super::reader::{At, Fields, Reader};
use crate::fault::{Fault, Text, manifest as m};

/// The entries of `volumes` and then those of `tmpfs`: the normal form has one list.
pub(super) fn mounts(r: &mut Reader<'_>, service: &str, volumes: Option<&At<'_>>, tmpfs: Option<&At<'_>>) -> Vec<Mount> {
    let mut mounts = Vec::new();
    let path = format!("{service}.volumes");
    for item in volumes.and_then(|at| r.list(at)).unwrap_or_default() {
        let item = r.at(item, format!("{path}[{}]", mounts.len()));
        mounts.extend(match &item.node.value {
            Value::Map(_) => long(r, &item),
            Value::Scalar(_) | Value::List(_) => r.text(&item).and_then(|text| refusing(r, &item, text, short)),
        });
    }
    let Some(at) = tmpfs else { return mounts };
    let items = match &at.node.value {
        Value::Scalar(_) => std::slice::from_ref(at.node),
        Value::List(_) | Value::Map(_) => r.list(at).unwrap_or_default(),
    };
    for item in items {
        let item = r.at(item, format!("{path}[{}]", mounts.len()));
        mounts.extend(r.text(&item).and_then(|text| refusing(r, &item, text, memory)));
    }
    mounts
}

/// What `parse` makes of a short form, or the problem it names.
fn refusing<T>(r: &mut Reader<'_>, at: &At<'_>, text: &str, parse: fn(&str) -> Result<T, &'static Text>) -> Option<T> {
    match parse(text) {
        Ok(value) => Some(value),
        Err(why) => {
            r.refuse(at, Fault::new(why).with("value", shown(text)));
            None
        }
    }
}

/// `source:target[:mode]`.
fn short(text: &str) -> Result<Mount, &'static Text> {
    let (source, rest) = text.split_once(':').ok_or(&m::VOLUME_ANONYMOUS)?;
    let (target, mode) = rest.split_once(':').unwrap_or((rest, "rw"));
    let mut read_only = false;
    for option in mode.split(',') {
        match option {
            "rw" => {}
            "ro" => read_only = true,
            _ => return Err(&m::BAD_MOUNT_MODE),
        }
    }
    mount(source, target, read_only)
}

/// A named volume or a bind, by the form of its source, as Compose tells them apart.
fn mount(source: &str, target: &str, read_only: bool) -> Result<Mount, &'static Text> {
    let target = target.to_owned();
    match source.chars().next() {
        None => Err(&m::VOLUME_ANONYMOUS),
        Some('/') => Ok(Mount::Bind { source: source.to_owned(), target, read_only }),
        Some('.' | '~') => Err(&m::BIND_RELATIVE),
        Some(_) if source.contains(['/', '\\']) => Err(&m::BIND_RELATIVE),
        Some(_) => match source.parse() {
            Ok(source) => Ok(Mount::Volume { source, target, read_only }),
            Err(_) => Err(&m::BAD_VOLUME_NAME),
        },
    }
}

/// `path[:size=64m]`.
fn memory(text: &str) -> Result<Mount, &'static Text> {
    let (target, options) = text.split_once(':').map_or((text, None), |(target, options)| (target, Some(options)));
    let size = match options {
        None => None,
        Some(options) => {
            let size = options.strip_prefix("size=").ok_or(&m::BAD_TMPFS_OPTION)?;
            Some(size.parse().map_err(|_| &m::BAD_TMPFS_OPTION)?)
        }
    };
    Ok(Mount::Tmpfs { target: target.to_owned(), size })
}

fn long(r: &mut Reader<'_>, at: &At<'_>) -> Option<Mount> {
    let kind = match at.node.get("type").map(|node| At { node, path: format!("{}.type", at.path) }) {
        Some(kind) => r.text(&kind).map(|text| (kind, text)),
        None => {
            r.missing(at.node.mark, at, "type");
            None
        }
    };
    match kind? {
        (_, "volume") => {
            let fields = r.fields(at, &keys::MOUNT_VOLUME)?;
            let source = match fields.get("source") {
                Some(at) => r.text(at).and_then(|text| r.name(at.node.mark, &at.path, text)),
                None => {
                    r.refuse_value(at, &m::VOLUME_ANONYMOUS);
                    None
                }
            };
            let (target, read_only) = (target(r, at, &fields), read_only(r, &fields));
            Some(Mount::Volume { source: source?, target: target?, read_only })
        }
        (_, "bind") => {
            let fields = r.fields(at, &keys::MOUNT_BIND)?;
            let source = needed(r, at, &fields, "source");
            let (target, read_only) = (target(r, at, &fields), read_only(r, &fields));
            if let Some(options) = fields.get("bind") {
                bind_options(r, options);
            }
            let source = source?;
            if !source.starts_with('/') {
                let at = fields.get("source").unwrap_or(at);
                r.refuse_value(at, &m::BIND_RELATIVE);
                return None;
            }
            Some(Mount::Bind { source, target: target?, read_only })
        }
        (_, "tmpfs") => {
            let fields = r.fields(at, &keys::MOUNT_TMPFS)?;
            let target = target(r, at, &fields);
            Some(Mount::Tmpfs { target: target?, size: tmpfs_size(r, &fields) })
        }
        (kind, _) => {
            r.refuse_value(&kind, &m::BAD_MOUNT_TYPE);
            None
        }
    }
}

fn needed(r: &mut Reader<'_>, at: &At<'_>, fields: &Fields<'_>, key: &'static str) -> Option<String> {
    match fields.get(key) {
        Some(at) => r.text(at).map(str::to_owned),
        None => {
            r.missing(at.node.mark, at, key);
            None
        }
    }
}

fn target(r: &mut Reader<'_>, at: &At<'_>, fields: &Fields<'_>) -> Option<String> {
    needed(r, at, fields, "target")
}

fn read_only(r: &mut Reader<'_>, fields: &Fields<'_>) -> bool {
    fields.get("read_only").and_then(|at| r.flag(at)).unwrap_or_default()
}

/// A node never makes the source of a bind: `create_host_path: false` says what holds anyway.
fn bind_options(r: &mut Reader<'_>, at: &At<'_>) {
    let Some(fields) = r.fields(at, &keys::BIND) else { return };
    if let Some(at) = fields.get("create_host_path")
        && r.flag(at) == Some(true)
    {
        r.refuse_value(at, &m::BIND_CREATE);
    }
}

/// The size of a tmpfs: `tmpfs: {size: 64m}` as Compose writes it, `size: 64m` as the normal form does.
fn tmpfs_size(r: &mut Reader<'_>, fields: &Fields<'_>) -> Option<ByteSize> {
    let below = match fields.get("tmpfs") {
        Some(at) => r.fields(at, &keys::TMPFS),
        None => None,
    };
    let size = below.as_ref().and_then(|below| below.get("size")).or_else(|| fields.get("size"))?;
    r.unit(size, &m::BAD_SIZE)
}

/// `/dev/ttyUSB0[:/dev/tty0[:rw]]`, or a map.
pub(super) fn devices(r: &mut Reader<'_>, at: &At<'_>) -> Vec<Device> {
    let mut devices = Vec::new();
    for item in r.list(at).unwrap_or_default() {
        let item = r.at(item, format!("{}[{}]", at.path, devices.len()));
        devices.extend(match &item.node.value {
            Value::Map(_) => long_device(r, &item),
            Value::Scalar(scalar) if scalar.kind() == Kind::Text => Some(device(&scalar.text)),
            Value::Scalar(_) | Value::List(_) => r.text(&item).map(device),
        });
    }
    devices
}

fn device(text: &str) -> Device {
    let mut parts = text.splitn(3, ':');
    let source = parts.next().unwrap_or_default();
    let target = parts.next().unwrap_or(source);
    let permissions = parts.next().unwrap_or("rwm");
    Device { source: source.into(), target: target.into(), permissions: permissions.into() }
}

fn long_device(r: &mut Reader<'_>, at: &At<'_>) -> Option<Device> {
    let fields = r.fields(at, &keys::DEVICE)?;
    let source = needed(r, at, &fields, "source")?;
    let target = fields.get("target").map_or(Some(source.as_str()), |at| r.text(at))?.to_owned();
    let permissions = fields.get("permissions").map_or(Some("rwm"), |at| r.text(at))?.to_owned();
    Some(Device { source, target, permissions })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_volumes() {
        for (text, json) in [
            ("data:/data", r#"{"type":"volume","source":"data","target":"/data"}"#),
            ("data:/data:ro", r#"{"type":"volume","source":"data","target":"/data","read_only":true}"#),
            ("data:/data:rw", r#"{"type":"volume","source":"data","target":"/data"}"#),
            ("/srv/x:/x", r#"{"type":"bind","source":"/srv/x","target":"/x"}"#),
        ] {
            assert_eq!(serde_json::to_string(&short(text).expect(text)).expect("json"), json, "{text}");
        }
        for (text, why) in [
            ("/data", &m::VOLUME_ANONYMOUS),
            (":/data", &m::VOLUME_ANONYMOUS),
            ("./x:/x", &m::BIND_RELATIVE),
            ("~/x:/x", &m::BIND_RELATIVE),
            ("x/y:/x", &m::BIND_RELATIVE),
            ("db_data:/x", &m::BAD_VOLUME_NAME),
            ("data:/data:z", &m::BAD_MOUNT_MODE),
            ("data:/data:", &m::BAD_MOUNT_MODE),
        ] {
            assert_eq!(short(text).expect_err(text).code, why.code, "{text}");
        }
    }

    #[test]
    fn short_tmpfs_and_devices() {
        let size = Some(ByteSize(64 << 20));
        assert_eq!(memory("/run:size=64m").expect("size"), Mount::Tmpfs { target: "/run".into(), size });
        assert_eq!(memory("/run").expect("bare"), Mount::Tmpfs { target: "/run".into(), size: None });
        assert!(memory("/run:mode=1777").is_err());
        let device = device("/dev/ttyS0:/dev/modbus:rw");
        assert_eq!((device.target.as_str(), device.permissions.as_str()), ("/dev/modbus", "rw"));
    }
}
