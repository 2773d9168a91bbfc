//! From a text to an [`App`]: tree, variables, walkers, checks.
//!
//! ```text
//! text ─ yaml ─▶ tree ─ variables ─▶ tree ─ walkers ─▶ App ─ check ─▶ Manifest, or every problem with its place
//! ```

mod depends;
mod document;
mod environment;
mod grants;
mod health;
mod keys;
mod limits;
mod mounts;
mod ports;
mod reader;
mod service;
mod variables;
mod words;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use super::check;
use super::problem::{Mark, Problem, Problems, Refused};
use super::{App, yaml};
use crate::fault::{Fault, manifest};
use crate::id::Name;
use reader::Reader;

pub(super) use reader::whole;

/// A manifest that was accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// Its normal form.
    pub app: App,
    /// What the author should know although nothing is wrong, by place.
    pub notices: Vec<Problem>,
}

/// What a text cannot say itself: this crate reads no file and no environment.
pub struct Outside<'a> {
    /// Used where the text has no name or version.
    pub naming: Naming,
    /// Values for `${VAR}`.
    pub variables: BTreeMap<String, String>,
    /// The text of a file that a config names, by its path as written; the error says why there is none.
    pub files: &'a dyn Fn(&str) -> Result<String, String>,
}

/// Name and version for a text that has none: Compose knows `name` but no version.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Naming {
    /// The app's name.
    pub name: Option<Name>,
    /// The release's version.
    pub version: Option<String>,
}

impl Default for Outside<'_> {
    fn default() -> Self {
        Self { naming: Naming::default(), variables: BTreeMap::new(), files: &|_| Err("files are not read here".into()) }
    }
}

impl std::fmt::Debug for Outside<'_> {
    /// Values of variables may be secret: only their names are shown.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<_> = self.variables.keys().collect();
        f.debug_struct("Outside").field("naming", &self.naming).field("variables", &names).finish_non_exhaustive()
    }
}

/// Reads an App document or a plain Compose file. `file` names the text in problems.
///
/// # Errors
/// Everything that is wrong with the text, by place, each with the way out.
pub fn read(file: &str, text: &str, outside: &Outside<'_>) -> Result<Manifest, Refused> {
    let mut problems = Problems::new(file);
    let Some(mut root) = yaml::parse(text, &mut problems) else { return Err(fail(problems)) };
    variables::substitute(&mut root, &outside.variables, &mut problems);
    if !problems.is_empty() {
        return Err(fail(problems));
    }
    let mut reader = Reader::new(outside, problems);
    let app = document::app(&mut reader, &root);
    let findings = app.as_ref().map(check::findings).unwrap_or_default();
    let places = reader.conclude(findings)?;
    // A document without an app has told why.
    let app = app.ok_or_else(|| fail(Problems::new(file)))?;
    let mut notices = Problems::new(file);
    for notice in check::notices(&app) {
        notices.add(places.of(&notice.path), notice.fault);
    }
    Ok(Manifest { app, notices: notices.notices() })
}

fn fail(mut problems: Problems<'_>) -> Refused {
    if problems.is_empty() {
        problems.add(Mark::START, Fault::new(&manifest::EMPTY));
    }
    problems.refused().unwrap_or(Refused { problems: Vec::new(), more: 0 })
}
