//! Layers with one Rust program: `edge-node` of this workspace, as it is and with one changed function.
//!
//! Built as most Rust services are: release, several codegen units, no link-time optimisation of everything. Both are
//! built in one place, one after the other, so that nothing but the change differs.

use std::path::{Path, PathBuf};

use super::catalog::State;
use super::tool::{at, run, tool};
use crate::demo::Failure;

/// Its package and its name.
const PROGRAM: &str = "edge-node";
/// Where the change is made.
const CHANGED: &str = "edge-node/src/link/backoff.rs";
/// After this line.
const BEFORE: &str = "pub fn delay(failures: u32, random: u64) -> Duration {\n";
/// A rule more: after very many failures, hours.
const ADDED: &str = "    if failures > 1_000 {
        let hours = u64::from(failures / 1_000).min(24);
        return Duration::from_secs(hours * 3_600 + random % 600);
    }
";

/// How release builds differ from those this workspace ships.
const PROFILE: [&str; 5] = [
    "profile.release.lto=false",
    "profile.release.codegen-units=16",
    "profile.release.strip=\"none\"",
    "profile.release.debug=\"line-tables-only\"",
    "profile.release.package.\"*\".debug=false",
];

/// The program at `/usr/bin`, with symbols or without.
pub(super) fn program(state: State, symbols: bool, work: &Path, tree: &Path) -> Result<String, Failure> {
    let built = |state: State| work.join(if state == State::Old { "old" } else { "new" });
    if !built(State::New).exists() {
        build(work, &built(State::Old), &built(State::New))?;
    }
    let dir = tree.join("usr/bin");
    at(&dir, std::fs::create_dir_all(&dir))?;
    let path = dir.join(PROGRAM);
    at(&path, std::fs::copy(built(state), &path))?;
    if !symbols {
        run(tool("strip").arg(&path))?;
    }
    Ok(format!("{PROGRAM} of this workspace, {}", if state == State::Old { "as it is" } else { "one function changed" }))
}

/// The root of this workspace.
fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn build(work: &Path, old: &Path, new: &Path) -> Result<(), Failure> {
    let source = work.join("source");
    copy(&workspace(), &source)?;
    let built = cargo(&source, &work.join("build"))?;
    at(old, std::fs::copy(&built, old))?;
    let path = source.join(CHANGED);
    let text = changed(&at(&path, std::fs::read_to_string(&path))?)?;
    at(&path, std::fs::write(&path, text))?;
    let built = cargo(&source, &work.join("build"))?;
    // Last: it says that both are there.
    at(new, std::fs::copy(&built, new))?;
    at(work, std::fs::remove_dir_all(work.join("build")))
}

fn changed(text: &str) -> Result<String, Failure> {
    let (above, below) = text.split_once(BEFORE).ok_or_else(|| format!("{CHANGED} has no line {BEFORE:?} any more"))?;
    Ok(format!("{above}{BEFORE}{ADDED}{below}"))
}

/// Copies what git tracks.
fn copy(from: &Path, to: &Path) -> Result<(), Failure> {
    let files = run(tool("git").arg("-C").arg(from).args(["ls-files", "-z"]))?;
    for file in files.split('\0').filter(|file| !file.is_empty()) {
        let (from, to) = (from.join(file), to.join(file));
        if from.is_file() {
            at(&to, std::fs::create_dir_all(to.parent().unwrap_or(&to)))?;
            at(&from, std::fs::copy(&from, &to))?;
        }
    }
    Ok(())
}

fn cargo(source: &Path, target: &Path) -> Result<PathBuf, Failure> {
    let target = at(target, std::path::absolute(target))?;
    let mut command = tool(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(source).args(["build", "--locked", "--release", "--package", PROGRAM, "--bin", PROGRAM]);
    command.arg("--target-dir").arg(&target);
    for setting in PROFILE {
        command.args(["--config", setting]);
    }
    run(&mut command)?;
    Ok(target.join("release").join(PROGRAM))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_function_that_changes_is_there() {
        let text = std::fs::read_to_string(workspace().join(CHANGED)).expect("the source");
        let changed = changed(&text).expect("a change");
        assert_eq!(changed.len(), text.len() + ADDED.len());
    }
}
