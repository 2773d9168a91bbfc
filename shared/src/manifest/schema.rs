//! The JSON Schema of an App document, for editors: short syntaxes included.
//!
//! It is made from the types of the normal form, so names and explanations are theirs; where an author may
//! write something shorter, the field names one of the forms below instead. The schema is a help while
//! typing. What decides is [`super::read`], which knows more: references, paths, conflicts.

use std::borrow::Cow;

use schemars::transform::{Transform, transform_subschemas};
use schemars::{JsonSchema, Schema, SchemaGenerator, generate::SchemaSettings, json_schema};
use serde_json::Value;

use super::{App, Condition};
use crate::id::Name;

/// The schema's own name. A URN, because no host of ours serves it.
pub const SCHEMA_ID: &str = "urn:causeway:app:v1";

/// The JSON Schema (draft 7, which editors know best) of an App document as a person may write it.
pub fn schema() -> Value {
    let mut schema = SchemaSettings::draft07().into_generator().into_root_schema_for::<App>();
    finish.transform(&mut schema);
    schema.insert("$id".into(), SCHEMA_ID.into());
    schema.insert("title".into(), "Causeway App".into());
    schema.to_value()
}

/// Keys that begin with `x-` are allowed and ignored in every map of the format, as in Compose. Explanations lose the marks
/// of links, which lead nowhere in an editor.
fn finish(schema: &mut Schema) {
    let closed = schema.get("additionalProperties") == Some(&Value::Bool(false));
    if closed && schema.get("properties").is_some() {
        schema.insert("patternProperties".into(), serde_json::json!({"^x-": true}));
    }
    if let Some(Value::String(text)) = schema.get_mut("description") {
        *text = text.replace("[`", "`").replace("`]", "`").replace('\n', " ");
    }
    transform_subschemas(&mut finish, schema);
}

/// Compose's older words for limits, and its `tmpfs`: read, but not part of the normal form.
pub(super) fn service_synonyms(schema: &mut Schema) {
    let Some(Value::Object(properties)) = schema.get_mut("properties") else { return };
    let synonyms = [
        ("cpus", "Same as deploy.resources.limits.cpus.", CPUS),
        ("mem_limit", "Same as deploy.resources.limits.memory.", SIZE),
        ("pids_limit", "Same as deploy.resources.limits.pids.", COUNT),
        ("tmpfs", "Memory mounted at a path, such as /run or /run:size=64m.", TEXTS),
    ];
    for (name, description, form) in synonyms {
        let mut value = form();
        value.insert("description".into(), description.into());
        properties.insert(name.into(), value.to_value());
    }
}

type Form = fn() -> Schema;
const CPUS: Form = || json_schema!({"type": ["string", "number"], "pattern": r"^[0-9]{1,6}(\.[0-9]{1,6})?$"});
const SIZE: Form = || json_schema!({"type": ["string", "integer"], "pattern": "^[0-9]+([bB]|[kKmMgG][bB]?)?$", "minimum": 0});
const COUNT: Form = || json_schema!({"type": ["string", "integer"], "pattern": "^[0-9]+$", "minimum": 0});
const PERIOD: Form = || json_schema!({"type": "string", "pattern": r"^([0-9]+(\.[0-9]{1,9})?(us|ms|s|m|h))+$"});
const TEXTS: Form = || json_schema!({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]});
const MODE: Form = || json_schema!({"type": ["string", "integer"], "pattern": "^0[0-7]{3}$"});

/// Makes types that stand for a form in `#[schemars(with = …)]`.
macro_rules! forms {
    ($($(#[$doc:meta])* $name:ident => |$generator:ident| $schema:expr;)*) => {$(
        $(#[$doc])*
        pub(super) struct $name;
        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }
            fn inline_schema() -> bool {
                true
            }
            fn json_schema($generator: &mut SchemaGenerator) -> Schema {
                $schema
            }
        }
    )*};
}

forms! {
    /// A text, or a number as it is written.
    TextOrNumber => |_g| json_schema!({"type": ["string", "number"]});
    /// One line that is split into words, a list of words, or null for the image's own.
    Words => |_g| json_schema!({"anyOf": [{"type": ["string", "null"]}, {"type": "array", "items": {"type": "string"}}]});
    /// A map with values, or a list of `KEY=value`.
    Environment => |_g| json_schema!({"anyOf": [
        {"type": "object", "additionalProperties": {"type": ["string", "number", "boolean"]}},
        {"type": "array", "items": {"type": "string", "pattern": "^[^=]+="}}
    ]});
    /// A map, or a list of `key=value` or `key`.
    Labels => |_g| json_schema!({"anyOf": [
        {"type": "object", "additionalProperties": {"type": ["string", "number", "boolean", "null"]}},
        {"type": "array", "items": {"type": "string"}}
    ]});
    /// `"[ip:]published:target[/protocol]"`, or the long form.
    Ports => |_g| json_schema!({"type": "array", "items": {"anyOf": [
        {"type": "string", "pattern": ":"},
        {"type": "object", "additionalProperties": false, "required": ["target", "published"], "properties": {
            "target": {"description": "Port inside the container.", "type": ["string", "integer"], "minimum": 1, "maximum": 65535},
            "published": {"description": "Port of the node.", "type": ["string", "integer"], "minimum": 1, "maximum": 65535},
            "host_ip": {"description": "Address of the node to listen on; all when absent.", "type": "string"},
            "protocol": {"enum": ["tcp", "udp"]},
            "mode": {"description": "Means nothing on one node.", "enum": ["host", "ingress"]}
        }}
    ]}});
    /// `source:target[:ro]`, or the long form.
    Mounts => |g| {
        let name = g.subschema_for::<Name>();
        let target = json_schema!({"description": "Absolute path inside the container.", "type": "string", "pattern": "^/"});
        let size = SIZE();
        json_schema!({"type": "array", "items": {"anyOf": [
            {"type": "string", "pattern": "^[^.~:][^:]*:/"},
            {"type": "object", "additionalProperties": false, "required": ["type", "source", "target"], "properties": {
                "type": {"const": "volume"}, "source": name, "target": target, "read_only": {"type": "boolean"}
            }},
            {"type": "object", "additionalProperties": false, "required": ["type", "source", "target"], "properties": {
                "type": {"const": "bind"}, "source": {"type": "string", "pattern": "^/"}, "target": target, "read_only": {"type": "boolean"},
                "bind": {"type": "object", "additionalProperties": false, "properties": {"create_host_path": {"const": false}}}
            }},
            {"type": "object", "additionalProperties": false, "required": ["type", "target"], "properties": {
                "type": {"const": "tmpfs"}, "target": target, "size": size,
                "tmpfs": {"type": "object", "additionalProperties": false, "properties": {"size": size}}
            }}
        ]}})
    };
    /// `/dev/a[:/dev/b[:rwm]]`, or the long form.
    Devices => |_g| json_schema!({"type": "array", "items": {"anyOf": [
        {"type": "string", "pattern": "^/dev/"},
        {"type": "object", "additionalProperties": false, "required": ["source"], "properties": {
            "source": {"description": "Path on the node, below /dev.", "type": "string", "pattern": "^/dev/"},
            "target": {"description": "Path inside the container.", "type": "string", "pattern": "^/dev/"},
            "permissions": {"description": "Any of r, w, m.", "type": "string", "pattern": "^[rwm]{1,3}$"}
        }}
    ]}});
    /// Compose's health check, with `HTTP` and `TCP`.
    Healthcheck => |_g| {
        let period = PERIOD();
        json_schema!({"type": "object", "additionalProperties": false, "properties": {
            "test": {
                "description": "A line for the container's shell, or [CMD, …], [CMD-SHELL, line], [HTTP, \":port/path\"], [TCP, \":port\"], [NONE].",
                "anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}, "minItems": 1}]
            },
            "interval": period, "timeout": period, "start_period": period, "start_interval": period,
            "retries": COUNT(),
            "disable": {"type": "boolean"}
        }})
    };
    /// A list of services, or a map with conditions.
    DependsOn => |g| {
        let (name, condition) = (g.subschema_for::<Name>(), g.subschema_for::<Condition>());
        json_schema!({"anyOf": [
            {"type": "array", "items": name},
            {"type": "object", "propertyNames": name, "additionalProperties": {"anyOf": [condition, {
                "type": "object", "additionalProperties": false,
                "properties": {"condition": condition, "required": {"const": true}, "restart": {"const": false}}
            }]}}
        ]})
    };
    /// A restart policy.
    RestartForm => |_g| json_schema!({"type": "string", "pattern": "^(no|always|unless-stopped|on-failure(:[1-9][0-9]*)?)$"});
    /// Processors, such as `0.5`.
    Cpus => |_g| CPUS();
    /// A number of bytes, such as `64m`.
    Size => |_g| SIZE();
    /// A number of processes.
    Count => |_g| COUNT();
    /// A span of time, such as `1m30s`.
    PeriodForm => |_g| PERIOD();
    /// Names, or the long form.
    Grants => |g| {
        let name = g.subschema_for::<Name>();
        json_schema!({"type": "array", "items": {"anyOf": [
            name,
            {"type": "object", "additionalProperties": false, "required": ["source"], "properties": {
                "source": name,
                "target": {"description": "Path inside the container; for a secret also a name below /run/secrets.", "type": "string"},
                "uid": COUNT(), "gid": COUNT(),
                "mode": MODE()
            }}
        ]}})
    };
    /// Definitions of volumes: nothing can be chosen.
    Volumes => |g| json_schema!({"type": "object", "propertyNames": g.subschema_for::<Name>(), "additionalProperties": {
        "type": ["object", "null"], "additionalProperties": false, "properties": {"driver": {"const": "local"}}
    }});
    /// Definitions of configs: a text, or a file beside the manifest.
    Configs => |g| json_schema!({"type": "object", "propertyNames": g.subschema_for::<Name>(), "additionalProperties": {"anyOf": [
        {"type": "object", "additionalProperties": false, "required": ["content"], "properties": {"content": {"type": ["string", "number"]}}},
        {"type": "object", "additionalProperties": false, "required": ["file"], "properties": {"file": {"type": "string"}}}
    ]}});
    /// Definitions of secrets: they are on the node already.
    Secrets => |g| json_schema!({"type": "object", "propertyNames": g.subschema_for::<Name>(), "additionalProperties": {
        "type": "object", "additionalProperties": false, "required": ["external"], "properties": {"external": {"const": true}}
    }});
}
