//! The sample settings in `cross/`: every key with its default, commented out by a `#` without a space.

use std::collections::BTreeSet;

use toml::{Table, Value};

use crate::files::File;

/// The text with every default in force.
fn in_force(text: &str) -> String {
    let uncomment = |line: &str| match line.strip_prefix('#') {
        Some(setting) if setting.starts_with(|c: char| c.is_ascii_lowercase() || c == '[') => setting.to_owned(),
        _ => line.to_owned(),
    };
    text.lines().map(uncomment).collect::<Vec<_>>().join("\n")
}

/// Paths of all keys that are named, in force or as an example after `# `.
fn keys(text: &str) -> BTreeSet<String> {
    let mut table = String::new();
    let mut keys = BTreeSet::new();
    for line in text.lines() {
        if let Some(name) = line.trim_start_matches('#').strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            table = format!("{name}.");
        } else if let Some((key, _)) = line.trim_start_matches(['#', ' ']).split_once(" = ") {
            keys.insert(format!("{table}{key}"));
        }
    }
    keys
}

/// The keys of a written table.
fn flatten(table: &Table) -> BTreeSet<String> {
    let below = |(key, value): (&String, &Value)| match value.as_table() {
        Some(inner) => flatten(inner).into_iter().map(|rest| format!("{key}.{rest}")).collect(),
        None => vec![key.clone()],
    };
    table.iter().flat_map(below).collect()
}

#[test]
fn the_sample_of_the_node_shows_every_default() {
    use edge_node::config::{Config, NeighboursConfig};
    let sample = File::open("cross/node.toml");
    for text in [sample.text.clone(), in_force(&sample.text)] {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), &text).expect("written");
        assert_eq!(Config::load(Some(file.path())).expect("good settings"), Config::default());
    }
    let neighbours = NeighboursConfig { address: Some(([0, 0, 0, 0], 7448).into()) };
    let all = Config { socket: Some("/run/causeway/node.sock".into()), neighbours, ..Config::default() };
    assert_eq!(keys(&sample.text), flatten(&Table::try_from(all).expect("a table")));
}

#[test]
fn the_sample_of_the_hub_shows_every_default() {
    use cloud_hub::config::Config;
    let sample = File::open("cross/hub.toml");
    for text in [sample.text.clone(), in_force(&sample.text)] {
        assert_eq!(Config::read(&text, "hub.toml").expect("good settings"), Config::default());
    }
    // The reader itself says which keys there are: `unknown field …, expected one of …`.
    let mut known = BTreeSet::new();
    for table in ["", "api", "gate", "images", "log"] {
        let text = if table.is_empty() { "?".into() } else { format!("[{table}]\n?") };
        let listen = if table == "api" || table == "gate" { "listen = \"0.0.0.0:1\"\n" } else { "" };
        let text = text.replace('?', &format!("{listen}no-such-key = 1"));
        let refused = Config::read(&text, "hub.toml").expect_err("no such key").to_string();
        let expected = refused.split("expected ").nth(1).expect("what is expected");
        let names = expected.split('`').skip(1).step_by(2).filter(|name| !["api", "gate", "images", "log"].contains(name));
        known.extend(names.map(|name| if table.is_empty() { name.into() } else { format!("{table}.{name}") }));
    }
    assert_eq!(keys(&sample.text), known);
}
