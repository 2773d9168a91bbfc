//! Layers of `node_modules`, from wherever this machine's npm gets them.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use super::catalog::State;
use super::tool::{at, run, tool};
use crate::demo::Failure;

/// What stays as it is.
const KEPT: [(&str, &str); 7] = [
    ("aws-sdk", "2.1665.0"),
    ("lodash", "4.17.21"),
    ("pino", "9.3.2"),
    ("react", "18.3.1"),
    ("react-dom", "18.3.1"),
    ("sharp", "0.33.4"),
    ("typescript", "5.5.4"),
];
/// What becomes newer: from, to.
const BUMPED: [(&str, &str, &str); 5] = [
    ("axios", "1.7.3", "1.7.4"),
    ("express", "4.19.2", "4.20.0"),
    ("mqtt", "5.9.1", "5.10.0"),
    ("next", "14.2.5", "14.2.6"),
    ("ws", "8.17.1", "8.18.0"),
];

const FILES: [&str; 2] = ["package.json", "package-lock.json"];
const QUIET: [&str; 4] = ["--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"];

/// `npm ci` into an empty `/app`.
pub(super) fn modules(state: State, work: &Path, tree: &Path) -> Result<String, Failure> {
    let locked = lock(state, work)?;
    let app = tree.join("app");
    at(&app, std::fs::create_dir_all(&app))?;
    for name in FILES {
        at(&app, std::fs::copy(locked.join(name), app.join(name)))?;
    }
    run(tool("npm").arg("ci").args(QUIET).current_dir(&app))?;
    let bumped = versions(state).filter(|(name, _)| BUMPED.iter().any(|bump| bump.0 == *name));
    Ok(bumped.map(|(name, version)| format!("{name} {version}")).collect::<Vec<_>>().join(", "))
}

/// A directory with the lock file. The new one is made out of the old one, so that only what must move moves.
fn lock(state: State, work: &Path) -> Result<PathBuf, Failure> {
    let dir = work.join(if state == State::Old { "old" } else { "new" });
    let [manifest, locked] = FILES.map(|name| dir.join(name));
    if locked.exists() {
        return Ok(dir);
    }
    at(&dir, std::fs::create_dir_all(&dir))?;
    if state == State::New {
        let old = lock(State::Old, work)?.join("package-lock.json");
        at(&old, std::fs::copy(&old, &locked))?;
    }
    at(&manifest, std::fs::write(&manifest, package(state).to_string()))?;
    let locking = run(tool("npm").args(["install", "--package-lock-only"]).args(QUIET).current_dir(&dir));
    if locking.is_err() {
        drop(std::fs::remove_file(&locked));
    }
    locking.map(|_| dir)
}

fn versions(state: State) -> impl Iterator<Item = (&'static str, &'static str)> {
    let bumped = BUMPED.iter().map(move |(name, from, to)| (*name, if state == State::Old { *from } else { *to }));
    KEPT.iter().copied().chain(bumped)
}

fn package(state: State) -> Value {
    let dependencies: Map<String, Value> = versions(state).map(|(name, version)| (name.into(), version.into())).collect();
    json!({"name": "app", "version": "1.0.0", "private": true, "dependencies": dependencies})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_bumped_moves() {
        let of = |state| package(state)["dependencies"].as_object().expect("dependencies").clone();
        let (old, new) = (of(State::Old), of(State::New));
        let moved: Vec<_> = old.iter().filter(|(name, version)| new[*name] != **version).map(|(name, _)| name.as_str()).collect();
        assert_eq!(moved, BUMPED.map(|bump| bump.0));
        assert_eq!((old.len(), new.len()), (12, 12));
    }
}
