//! What the long lanes showed: `make promises` writes `target/promises.json`, a list of
//! `{id, trials, failures, figure, command}`.

use std::path::PathBuf;

use serde_json::{Value, json};

/// Names the file. Short lanes go without: they show that a promise holds, not how often.
const FILE: &str = "PROMISES_JSON";

/// Writes down that a promise was tried `trials` times and broken `failures` times, in place of what the file says about
/// `id`. The lanes of `make promises` run one after the other.
pub fn record(id: &str, trials: u64, failures: u64, figure: &str, command: &str) {
    let Some(file) = std::env::var_os(FILE).map(PathBuf::from) else { return };
    let old = std::fs::read(&file).unwrap_or_else(|_| b"[]".to_vec());
    let mut all: Vec<Value> = serde_json::from_slice(&old).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    all.retain(|promise| promise["id"] != id);
    all.push(json!({"id": id, "trials": trials, "failures": failures, "figure": figure, "command": command}));
    let text = serde_json::to_vec_pretty(&all).expect("JSON");
    std::fs::write(&file, text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
}
