//! `manifests/schema/app.v1.json` is current, and says what the reader says. `UPDATE=1` writes it.
#![allow(clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test ends by panic")]

use std::path::{Path, PathBuf};

use saphyr_parser::{Event, Parser, ScalarStyle};
use serde_json::{Map, Value, json};
use shared::manifest::{Naming, Outside, read, schema};

fn manifests() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../manifests")
}

#[test]
fn the_committed_schema_is_current() {
    let path = manifests().join("schema/app.v1.json");
    let text = format!("{}\n", serde_json::to_string_pretty(&schema()).expect("json"));
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, &text).expect("write");
    }
    let committed = std::fs::read_to_string(&path).expect("committed schema");
    assert!(committed == text, "{} is stale: UPDATE=1 cargo test -p shared --test schema", path.display());
}

#[test]
fn what_is_read_fits_the_schema() {
    let outside = Outside { naming: Naming { version: Some("1".into()), ..Naming::default() }, ..Outside::default() };
    for path in ["sample/app.yaml", "examples/modbus-gateway.yaml", "examples/video-analytics.yaml"] {
        let text = std::fs::read_to_string(manifests().join(path)).expect("text");
        let app = read(path, &text, &outside).expect("read").app;
        assert_eq!(wrong(&yaml(&text)), None, "{path} as written");
        assert_eq!(wrong(&serde_json::to_value(&app).expect("json")), None, "{path} in normal form");
        assert_eq!(wrong(&yaml(&app.to_yaml())), None, "{path} written again");
    }
}

#[test]
fn reader_and_schema_agree_on_every_form() {
    for service in [
        "command: a b",
        "command:",
        "entrypoint: [a]",
        "environment: [A=b]",
        "environment: {A: 1, B: true, C: x}",
        "ports: [\"80:80\", \"127.0.0.1:81:81/udp\", {target: 82, published: \"82\", mode: ingress}]",
        "volumes: [\"data:/a\", \"/srv:/b:ro\", {type: tmpfs, target: /c, tmpfs: {size: 1m}}, {type: volume, source: data, target: /d}]",
        "tmpfs: /run",
        "tmpfs: [/run, \"/x:size=1m\"]",
        "devices: [/dev/a, \"/dev/b:/dev/c:rw\", {source: /dev/d}]",
        "healthcheck: {test: curl -f x, retries: 5}",
        "healthcheck: {test: [TCP, \":80\"], interval: 2.5s}",
        "healthcheck: {disable: true}",
        "depends_on: [db]",
        "depends_on: {db: {condition: service_started, required: true}}",
        "restart: on-failure:3",
        "stop_signal: 2",
        "stop_grace_period: 1m30s",
        "cpus: 0.5\nmem_limit: 64m\npids_limit: 10",
        "deploy: {resources: {limits: {cpus: \"0.5\", memory: 67108864, pids: 10}}}",
        "cap_add: [NET_ADMIN]\ncap_drop: [ALL]",
        "user: 1000\nread_only: true\nworking_dir: /\nnetwork_mode: none",
        "labels: [a=b, c]",
        "labels: {a: 1, b: }",
        "configs: [conf, {source: conf, target: /c2, mode: 0440, uid: \"1\"}]",
        "secrets: [key]",
        "x-note: {a: b}",
    ] {
        let text = document(service);
        read("t", &text, &Outside::default()).unwrap_or_else(|refused| panic!("{service}: {refused}"));
        assert_eq!(wrong(&yaml(&text)), None, "{service}");
    }
    for service in [
        "build: .",
        "command: 5",
        "environment: [A]",
        "environment: {A: }",
        "ports: [80]",
        "ports: [\"80\"]",
        "ports: [{target: 80}]",
        "ports: {a: b}",
        "volumes: [./a:/b]",
        "volumes: [/data]",
        "volumes: [{type: npipe, source: a, target: /b}]",
        "volumes: [{type: bind, source: /a, target: /b, bind: {create_host_path: true}}]",
        "devices: [/etc/passwd]",
        "healthcheck: {tests: a}",
        "depends_on: {db: {condition: maybe}}",
        "restart: sometimes",
        "stop_grace_period: 10",
        "mem_limit: 1.5g",
        "network_mode: service:a",
        "privileged: true",
        "secrets: [{source: key, mode: 440}]",
    ] {
        let text = document(service);
        assert!(read("t", &text, &Outside::default()).is_err(), "{service}");
        if service.contains("mode: 440") {
            continue; // JSON has no leading zero to tell them apart.
        }
        assert_ne!(wrong(&yaml(&text)), None, "{service}");
    }
}

fn document(service: &str) -> String {
    let service: String = service.lines().map(|line| format!("      {line}\n")).collect();
    format!(
        "apiVersion: causeway/v1\nkind: App\nmetadata: {{name: a, version: 1.0}}\nspec:\n  services:\n    db: {{image: b}}\n    web:\n      image: b\n{service}  \
         volumes: {{data: }}\n  configs: {{conf: {{content: x}}}}\n  secrets: {{key: {{external: true}}}}\n"
    )
}

/// YAML as JSON, for texts without anchors.
fn yaml(text: &str) -> Value {
    let mut stack: Vec<(Value, Option<String>)> = vec![(json!([]), None)];
    for event in Parser::new_from_str(text) {
        let node = match event.expect("event").0 {
            Event::Scalar(text, style, ..) => scalar(&text, style == ScalarStyle::Plain),
            Event::SequenceStart(..) => {
                stack.push((json!([]), None));
                continue;
            }
            Event::MappingStart(..) => {
                stack.push((json!({}), None));
                continue;
            }
            Event::SequenceEnd | Event::MappingEnd => stack.pop().expect("open").0,
            Event::Nothing
            | Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(_)
            | Event::DocumentEnd
            | Event::Alias(_) => continue,
        };
        let (open, key) = stack.last_mut().expect("root");
        match open {
            Value::Array(items) => items.push(node),
            Value::Object(map) => match key.take() {
                Some(key) => drop(map.insert(key, node)),
                None => *key = Some(node.as_str().map_or_else(|| node.to_string(), str::to_owned)),
            },
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => panic!("only lists and maps are open"),
        }
    }
    stack.remove(0).0[0].clone()
}

fn scalar(text: &str, plain: bool) -> Value {
    match text {
        "" | "null" if plain => Value::Null,
        "true" | "false" if plain => Value::Bool(text == "true"),
        _ if plain && text.starts_with('0') && text.len() > 1 && !text.contains('.') => text.into(),
        _ if plain => text.parse().map(|number: serde_json::Number| number.into()).unwrap_or_else(|_| text.into()),
        _ => text.into(),
    }
}

/// Where `value` does not fit the schema. Knows the keywords that ours uses and panics at any other.
fn wrong(value: &Value) -> Option<String> {
    let root = schema();
    check(&root, &root, value).err()
}

fn check(root: &Value, schema: &Value, value: &Value) -> Result<(), String> {
    let Value::Object(schema) = schema else {
        return if schema == &Value::Bool(false) { Err(format!("{value} is not allowed")) } else { Ok(()) };
    };
    for (keyword, rule) in schema {
        let fits = match keyword.as_str() {
            "$ref" => {
                let pointer = rule.as_str().expect("ref").trim_start_matches('#');
                check(root, root.pointer(pointer).expect("definition"), value)?;
                true
            }
            "allOf" => {
                list(rule).iter().try_for_each(|rule| check(root, rule, value))?;
                true
            }
            "anyOf" => list(rule).iter().any(|rule| check(root, rule, value).is_ok()),
            "oneOf" => list(rule).iter().filter(|rule| check(root, rule, value).is_ok()).count() == 1,
            "type" => types(rule).iter().any(|kind| is(kind, value)),
            "enum" => list(rule).contains(value),
            "const" => rule == value,
            "minimum" => value.as_f64().is_none_or(|number| number >= rule.as_f64().expect("minimum")),
            "maximum" => value.as_f64().is_none_or(|number| number <= rule.as_f64().expect("maximum")),
            "minItems" => value.as_array().is_none_or(|items| items.len() as u64 >= rule.as_u64().expect("minItems")),
            "pattern" => value.as_str().is_none_or(|text| matches(rule.as_str().expect("pattern"), text)),
            "required" => {
                value.as_object().is_none_or(|map| list(rule).iter().all(|key| map.contains_key(key.as_str().expect("key"))))
            }
            "propertyNames" => {
                value.as_object().into_iter().flatten().try_for_each(|(key, _)| check(root, rule, &json!(key)))?;
                true
            }
            "items" => {
                value.as_array().into_iter().flatten().try_for_each(|item| check(root, rule, item))?;
                true
            }
            "properties" | "patternProperties" | "additionalProperties" => {
                properties(root, schema, value)?;
                true
            }
            "$schema" | "$id" | "title" | "description" | "default" | "format" | "definitions" => true,
            other => panic!("keyword {other} is unknown to this test"),
        };
        if !fits {
            return Err(format!("{value} does not fit {keyword}: {rule}"));
        }
    }
    Ok(())
}

fn properties(root: &Value, schema: &Map<String, Value>, value: &Value) -> Result<(), String> {
    let known = schema.get("properties").and_then(Value::as_object);
    let patterns = schema.get("patternProperties").and_then(Value::as_object);
    for (key, value) in value.as_object().into_iter().flatten() {
        let by_pattern = || patterns.into_iter().flatten().find(|(pattern, _)| matches(pattern, key)).map(|(_, rule)| rule);
        let rule = known.and_then(|known| known.get(key)).or_else(by_pattern).or_else(|| schema.get("additionalProperties"));
        if let Some(rule) = rule {
            check(root, rule, value).map_err(|why| format!("{key}: {why}"))?;
        }
    }
    Ok(())
}

fn list(rule: &Value) -> &Vec<Value> {
    rule.as_array().expect("list")
}

fn types(rule: &Value) -> Vec<&str> {
    rule.as_str().map_or_else(|| list(rule).iter().filter_map(Value::as_str).collect(), |one| vec![one])
}

fn is(kind: &str, value: &Value) -> bool {
    match kind {
        "string" => value.is_string(),
        "number" => value.is_number(),
        "integer" => value.is_i64() || value.is_u64(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("type {other}"),
    }
}

/// The patterns of the schema by hand: a regular expression library only for this would be too much.
fn matches(pattern: &str, text: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    match pattern {
        "^x-" => text.starts_with("x-"),
        ":" => text.contains(':'),
        "^/" => text.starts_with('/'),
        "^/dev/" => text.starts_with("/dev/"),
        "^[rwm]{1,3}$" => text.bytes().all(|b| b"rwm".contains(&b)),
        "^[^=]+=" => text.find('=').is_some_and(|at| at > 0),
        "^[^.~:][^:]*:/" => {
            !text.starts_with(['.', '~', ':']) && text.split_once(':').is_some_and(|(_, rest)| rest.starts_with('/'))
        }
        "^[0-9]+$" => digits(text),
        "^0[0-7]{3}$" => text.len() == 4 && text.starts_with('0') && digits(text),
        r"^[0-9]{1,6}(\.[0-9]{1,6})?$" => text.split('.').all(digits),
        "^[0-9]+([bB]|[kKmMgG][bB]?)?$" => text.parse::<shared::manifest::ByteSize>().is_ok(),
        r"^([0-9]+(\.[0-9]{1,9})?(us|ms|s|m|h))+$" => text.parse::<shared::manifest::Period>().is_ok(),
        "^(no|always|unless-stopped|on-failure(:[1-9][0-9]*)?)$" => shared::manifest::Restart::try_from(text.to_owned()).is_ok(),
        "^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$" => shared::id::Name::new(text).is_ok(),
        other => panic!("pattern {other} is unknown to this test"),
    }
}
