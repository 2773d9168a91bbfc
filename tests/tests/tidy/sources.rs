//! What may stand where in the sources.

use crate::files::{all, has_word, root, rust};

/// Longest file, in lines.
const LINES_MAX: usize = 600;
/// Files that may be longer, and why.
const LONG: &[(&str, &str)] =
    &[("shared/src/wire/v1.rs", "every frozen wire type of version 1 with its conversions, each a few lines; read one by one")];

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

#[test]
fn topic_text_stands_in_one_file() {
    for file in rust().iter().filter(|file| file.ships() && file.path != "shared/src/topic.rs") {
        for text in ["causeway/v1/n", "causeway/v1/probe"] {
            assert!(!file.shipped().contains(text), "{} writes a topic: use shared::topic", file.path);
        }
    }
}

#[test]
fn no_file_grows_without_a_reason() {
    for file in rust() {
        let lines = file.text.lines().count();
        let may = LONG.iter().any(|(path, _)| *path == file.path);
        assert!(lines <= LINES_MAX || may, "{} has {lines} lines: split it, or say in LONG why not", file.path);
        assert!(lines > LINES_MAX || !may, "{} has {lines} lines: it need not stand in LONG any more", file.path);
    }
}

#[test]
fn every_fault_is_used() {
    let files = rust();
    let (tables, users): (Vec<_>, Vec<_>) = files.iter().partition(|file| file.path.starts_with("shared/src/fault/"));
    let mut faults = 0;
    for table in tables.iter().filter(|table| !table.path.ends_with("/mod.rs")) {
        let area = table.path.rsplit('/').next().and_then(|name| name.strip_suffix(".rs")).expect("a file name");
        for line in table.text.lines() {
            let Some((name, code)) = line.split_once(" = \"") else { continue };
            let name = name.trim();
            let used = users.iter().any(|file| has_word(&file.text, area) && has_word(&file.text, name));
            assert!(used, "nothing says {area}::{name} (\"{code}): use it or remove it");
            faults += 1;
        }
    }
    assert!(faults > 100, "only {faults} faults were found");
}

#[test]
fn no_shell_is_ever_run() {
    for file in rust() {
        for part in file.text.split("Command::new(").skip(1) {
            let program = part.trim_start().split('"').nth(1).filter(|_| part.trim_start().starts_with('"'));
            let name = program.and_then(|program| program.rsplit('/').next());
            let shell = name.is_some_and(|name| ["sh", "bash", "dash", "ash", "zsh", "env", "busybox"].contains(&name));
            assert!(!shell, "{} runs {name:?}: name the program and its arguments", file.path);
        }
    }
}

#[test]
fn unsafe_stands_in_files_named_for_it() {
    for file in rust() {
        let code = file.text.lines().map(|line| line.split("//").next().unwrap_or_default());
        let may = file.path.ends_with("/sys.rs");
        for line in code.filter(|line| has_word(line, "unsafe") || line.contains("allow(unsafe_code)")) {
            assert!(may || line.contains('"'), "{}: {line}: unsafe code stands in sys.rs", file.path);
        }
    }
}

#[test]
fn foreign_types_stop_at_their_own_files() {
    for file in rust().iter().filter(|file| file.ships() && !file.path.starts_with("manifests/")) {
        let code: Vec<&str> = file.shipped().lines().filter(|line| !line.trim_start().starts_with("//")).collect();
        for (name, places) in CONFINED.iter().filter(|(_, places)| !places.iter().any(|place| file.path.starts_with(place))) {
            let path = format!("{name}::");
            let use_of = code
                .iter()
                .find(|line| line.split_whitespace().any(|word| word.trim_start_matches(['(', '<', '&']).starts_with(&path)));
            assert!(use_of.is_none(), "{}: {use_of:?}: types of {name} stay in {places:?}", file.path);
        }
    }
}

/// Where somebody built it is nobody's business, and what names it works nowhere else.
#[test]
fn no_file_names_the_machine_it_was_made_on() {
    let mut places = vec![root().display().to_string()];
    for name in ["HOME", "CARGO_HOME", "RUSTUP_HOME", "CARGO_TARGET_DIR"] {
        places.extend(std::env::var(name));
    }
    places.retain(|place| place.len() > 1);
    for file in all() {
        for place in &places {
            let inside = file.text.contains(&format!("{place}/"));
            assert!(!inside, "{} names {place}", file.path);
        }
    }
}
