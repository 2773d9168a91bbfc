//! What may stand where in the sources.

use crate::files::{all, has_word, nothing, root, rust};

/// Longest file, in lines.
const LINES_MAX: usize = 600;
/// Files that may be longer, and why.
const LONG: &[(&str, &str)] = &[];

/// Crates whose types stop at their own files.
const CONFINED: &[(&str, &[&str])] = &[
    ("containerd_client", &["edge-node/src/runtime/containerd/"]),
    ("tonic", &["edge-node/src/runtime/containerd/"]),
    ("prost", &["edge-node/src/runtime/containerd/"]),
    ("prost_types", &["edge-node/src/runtime/containerd/"]),
    ("rumqttc", &["edge-node/src/link/mqtt/"]),
    ("rumqttd", &["cloud-hub/src/broker.rs"]),
    ("redb", &["edge-node/src/store/", "cloud-hub/src/store/"]),
    ("oci_client", &["cloud-hub/src/registry.rs", "cloud-hub/src/registry/"]),
    ("x509_parser", &["edge-node/src/identity/", "cloud-hub/src/ca/"]),
    ("saphyr_parser", &["shared/src/manifest/yaml.rs"]),
    ("ed25519_dalek", &["shared/src/sign.rs"]),
    ("prometheus_client", &["cloud-hub/src/metrics.rs"]),
];

/// Programs that run other programs from a line of text.
const SHELLS: &[&str] = &["sh", "bash", "dash", "ash", "zsh", "env", "busybox"];

#[test]
fn topic_text_stands_in_one_file() {
    let mut found = Vec::new();
    for file in rust().iter().filter(|file| file.ships() && file.path != "shared/src/topic.rs") {
        for text in ["causeway/v1/n", "causeway/v1/probe"].iter().filter(|text| file.shipped().contains(**text)) {
            found.push(format!("{} writes {text}: use shared::topic", file.path));
        }
    }
    nothing(&found);
}

#[test]
fn no_file_grows_without_a_reason() {
    let mut found = Vec::new();
    for (long, _) in LONG.iter().filter(|(long, _)| !root().join(long).is_file()) {
        found.push(format!("{long} is not there: it need not stand in LONG any more"));
    }
    for file in rust() {
        let (path, lines) = (&file.path, file.text.lines().count());
        match (lines > LINES_MAX, LONG.iter().any(|(long, _)| long == path)) {
            (true, false) => found.push(format!("{path} has {lines} lines: split it, or say in LONG why not")),
            (false, true) => found.push(format!("{path} has {lines} lines: it need not stand in LONG any more")),
            (true, true) | (false, false) => {}
        }
    }
    nothing(&found);
}

#[test]
fn every_fault_is_used() {
    let files = rust();
    let (tables, users): (Vec<_>, Vec<_>) = files.iter().partition(|file| file.path.starts_with("shared/src/fault/"));
    let (mut found, mut faults) = (Vec::new(), 0);
    for table in tables.iter().filter(|table| !table.path.ends_with("/mod.rs")) {
        let area = table.path.rsplit('/').next().and_then(|name| name.strip_suffix(".rs")).expect("a file name");
        for (name, _) in table.text.lines().filter_map(|line| line.split_once(" = \"")) {
            faults += 1;
            let name = name.trim();
            if !users.iter().any(|file| has_word(&file.text, area) && has_word(&file.text, name)) {
                found.push(format!("nothing says {area}::{name}: use it or remove it"));
            }
        }
    }
    assert!(faults > 100, "only {faults} faults were found");
    nothing(&found);
}

#[test]
fn no_shell_is_ever_run() {
    let mut found = Vec::new();
    for file in rust() {
        let programs = file.text.split("Command::new(").skip(1).filter_map(|rest| rest.trim_start().strip_prefix('"'));
        let names = programs.filter_map(|rest| rest.split('"').next()).filter_map(|program| program.rsplit('/').next());
        found.extend(names.filter(|name| SHELLS.contains(name)).map(|name| format!("{} runs {name}", file.path)));
    }
    nothing(&found);
}

#[test]
fn unsafe_stands_in_files_named_for_it() {
    let mut found = Vec::new();
    for file in rust().iter().filter(|file| !file.path.ends_with("/sys.rs")) {
        let code = file.text.lines().map(|line| line.split("//").next().unwrap_or_default());
        let is_unsafe = |line: &&str| (has_word(line, "unsafe") || line.contains("allow(unsafe_code")) && !line.contains('"');
        found.extend(code.filter(is_unsafe).map(|line| format!("{}: {}", file.path, line.trim())));
    }
    nothing(&found);
}

#[test]
fn foreign_types_stop_at_their_own_files() {
    let mut found = Vec::new();
    for file in rust().iter().filter(|file| file.ships()) {
        for line in file.shipped().lines().filter(|line| !line.trim_start().starts_with("//")) {
            let words: Vec<&str> = line.split(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':')).collect();
            let names = |name: &str| words.iter().any(|word| word.strip_prefix(name).is_some_and(|rest| rest.starts_with("::")));
            for (name, places) in CONFINED.iter().filter(|(name, _)| names(name)) {
                if !places.iter().any(|place| file.path.starts_with(place)) {
                    found.push(format!("{}: {}: types of {name} stay in {places:?}", file.path, line.trim()));
                }
            }
        }
    }
    nothing(&found);
}

/// Where somebody built it is nobody's business, and what names it works nowhere else.
#[test]
fn no_file_names_the_machine_it_was_made_on() {
    let mut places = vec![root().display().to_string()];
    for name in ["HOME", "CARGO_HOME", "RUSTUP_HOME", "CARGO_TARGET_DIR"] {
        places.extend(std::env::var(name));
    }
    places.retain(|place| place.len() > 1);
    let mut found = Vec::new();
    for file in all() {
        let named = places.iter().filter(|place| file.text.contains(&format!("{place}/")));
        found.extend(named.map(|place| format!("{} names {place}", file.path)));
    }
    nothing(&found);
}
