//! What every walker needs: typed looks at a node, and a memory of where everything stood.
//!
//! A walker turns one part of the tree into one part of the normal form. It hands every problem to the reader
//! and goes on, so that one reading finds all of them. The reader remembers the place of each path of the
//! normal form; [`Reader::conclude`] uses it to give the findings of [`super::super::check`] their lines.

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;

use super::super::check::Finding;
use super::super::problem::{Mark, Problems, Refused, shown};
use super::super::units::BadUnit;
use super::super::yaml::{Entry, Kind, Node, Scalar, Value};
use super::Outside;
use super::keys::Keys;
use crate::fault::{Fault, Text, manifest as m};
use crate::id::Name;

/// A node and its path in the normal form.
#[derive(Clone)]
pub(super) struct At<'n> {
    pub(super) node: &'n Node,
    pub(super) path: String,
}

/// The entries of a map whose keys were checked.
pub(super) struct Fields<'n> {
    entries: BTreeMap<&'n str, At<'n>>,
}

impl<'n> Fields<'n> {
    pub(super) fn get(&self, key: &str) -> Option<&At<'n>> {
        self.entries.get(key)
    }
}

/// State of one reading.
pub(super) struct Reader<'a> {
    pub(super) outside: &'a Outside<'a>,
    problems: Problems<'a>,
    places: BTreeMap<String, Mark>,
    /// Paths with a problem: what follows from it is not told as well.
    tainted: BTreeSet<String>,
    /// Keys that an author meant, by the map that lacks them: another problem has told it.
    meant: BTreeSet<(Mark, String)>,
}

impl<'a> Reader<'a> {
    pub(super) const fn new(outside: &'a Outside<'a>, problems: Problems<'a>) -> Self {
        Self { outside, problems, places: BTreeMap::new(), tainted: BTreeSet::new(), meant: BTreeSet::new() }
    }

    /// Remembers where `path` of the normal form was written.
    pub(super) fn at<'n>(&mut self, node: &'n Node, path: String) -> At<'n> {
        self.places.insert(path.clone(), node.mark);
        At { node, path }
    }

    /// A problem with the value at `at`.
    pub(super) fn refuse(&mut self, at: &At<'_>, fault: Fault) {
        self.refuse_at(at.node.mark, &at.path, fault);
    }

    /// A problem at `mark` that spoils `path`.
    pub(super) fn refuse_at(&mut self, mark: Mark, path: &str, fault: Fault) {
        self.tainted.insert(path.to_owned());
        self.problems.add(mark, fault);
    }

    /// `key` of the map at `at` was meant by something that is refused already: it is not missing as well.
    pub(super) fn meant(&mut self, at: &At<'_>, key: &str) {
        self.meant.insert((at.node.mark, key.to_owned()));
        self.tainted.insert(below(&at.path, key));
    }

    /// `key` is needed at `at`, and there is none; told at `mark`.
    pub(super) fn missing(&mut self, mark: Mark, at: &At<'_>, key: &'static str) {
        if !self.meant.contains(&(at.node.mark, key.to_owned())) {
            self.refuse_at(mark, &below(&at.path, key), Fault::new(&m::MISSING).with("key", key));
        }
    }

    /// A problem that shows the refused scalar as `{value}`.
    pub(super) fn refuse_value(&mut self, at: &At<'_>, text: &'static Text) {
        self.refuse(at, Fault::new(text).with("value", found(at.node)));
    }

    /// The entries of a map; keys that are not in `keys` are problems.
    pub(super) fn fields<'n>(&mut self, at: &At<'n>, keys: &Keys) -> Option<Fields<'n>> {
        let mut entries = BTreeMap::new();
        for Entry { mark, key, node } in self.map(at)? {
            if self.problems.is_full() && !keys.knows(key) {
                // Nobody reads so many answers: finding out what was meant would be time for nothing.
                self.problems.skip();
                continue;
            }
            match keys.refuse(key) {
                Some(fault) => {
                    if let Some(near) = fault.params.get("near") {
                        self.meant(at, near);
                    }
                    self.refuse_at(*mark, &below(&at.path, key), fault);
                }
                None => {
                    entries.insert(key.as_str(), self.at(node, below(&at.path, key)));
                }
            }
        }
        Some(Fields { entries })
    }

    /// The entries of a map with keys of the author's own.
    pub(super) fn map<'n>(&mut self, at: &At<'n>) -> Option<&'n [Entry]> {
        match &at.node.value {
            Value::Map(entries) => Some(entries),
            Value::Scalar(_) | Value::List(_) => {
                self.refuse_value(at, &m::NOT_A_MAP);
                None
            }
        }
    }

    /// The items of a list.
    pub(super) fn list<'n>(&mut self, at: &At<'n>) -> Option<&'n [Node]> {
        match &at.node.value {
            Value::List(items) => Some(items),
            Value::Scalar(_) | Value::Map(_) => {
                self.refuse_value(at, &m::NOT_A_LIST);
                None
            }
        }
    }

    /// A text; numbers and `true` must be quoted, as Compose asks.
    pub(super) fn text<'n>(&mut self, at: &At<'n>) -> Option<&'n str> {
        match &at.node.value {
            Value::Scalar(scalar) if scalar.kind() == Kind::Text => Some(&scalar.text),
            Value::Scalar(_) | Value::List(_) | Value::Map(_) => {
                self.refuse_value(at, &m::NOT_A_TEXT);
                None
            }
        }
    }

    /// A text, or a number as it was written.
    pub(super) fn text_or_number<'n>(&mut self, at: &At<'n>) -> Option<&'n str> {
        match &at.node.value {
            Value::Scalar(scalar) if matches!(scalar.kind(), Kind::Text | Kind::Int | Kind::Float) => Some(&scalar.text),
            Value::Scalar(_) | Value::List(_) | Value::Map(_) => {
                self.refuse_value(at, &m::NOT_A_TEXT);
                None
            }
        }
    }

    /// `true` or `false`.
    pub(super) fn flag(&mut self, at: &At<'_>) -> Option<bool> {
        match scalar(at.node).map(|scalar| scalar.text.to_ascii_lowercase()).as_deref() {
            Some("true") => Some(true),
            Some("false") => Some(false),
            _ => {
                self.refuse_value(at, &m::NOT_A_FLAG);
                None
            }
        }
    }

    /// A whole number, with or without quotes.
    pub(super) fn number<T: FromStr>(&mut self, at: &At<'_>) -> Option<T> {
        let number = scalar(at.node).and_then(|scalar| whole(&scalar.text));
        if number.is_none() {
            self.refuse_value(at, &m::NOT_A_NUMBER);
        }
        number
    }

    /// A period, a size or another unit; `text` explains what would do.
    pub(super) fn unit<T: FromStr<Err = BadUnit>>(&mut self, at: &At<'_>, text: &'static Text) -> Option<T> {
        let value = self.text_or_number(at)?.parse();
        if value.is_err() {
            self.refuse_value(at, text);
        }
        value.ok()
    }

    /// `text` as a name; if it is not one, the nearest name is proposed.
    pub(super) fn name(&mut self, mark: Mark, path: &str, text: &str) -> Option<Name> {
        match Name::new(text) {
            Ok(name) => Some(name),
            Err(_) => {
                let fault = Fault::new(&m::BAD_NAME).with("value", shown(text)).with("near", proposal(text));
                self.refuse_at(mark, path, fault);
                None
            }
        }
    }

    /// All problems by place, those of the normal form among them.
    pub(super) fn conclude(mut self, findings: Vec<Finding>) -> Result<Places, Refused> {
        for finding in findings {
            if !self.follows(&finding.path) && !finding.about.as_deref().is_some_and(|about| self.follows(about)) {
                let mark = place_of(&self.places, &finding.path);
                self.problems.add(mark, finding.fault);
            }
        }
        match self.problems.refused() {
            Some(refused) => Err(refused),
            None => Ok(Places(self.places)),
        }
    }

    /// Whether a problem is already known at `path`, above it or below it.
    fn follows(&self, path: &str) -> bool {
        let above =
            |(at, c): (usize, char)| matches!(c, '.' | '[') && path.get(..at).is_some_and(|above| self.tainted.contains(above));
        self.tainted.contains(path)
            || path.char_indices().any(above)
            || ['.', '['].into_iter().any(|separator| {
                let below = format!("{path}{separator}");
                self.tainted.range(below.clone()..).next().is_some_and(|first| first.starts_with(&below))
            })
    }
}

/// The path of `key` below `path`; the root has the empty path.
pub(super) fn below(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

/// Where every path of a normal form was written.
pub(super) struct Places(BTreeMap<String, Mark>);

impl Places {
    pub(super) fn of(&self, path: &str) -> Mark {
        place_of(&self.0, path)
    }
}

/// The place of `path`, or of the nearest thing around it.
fn place_of(places: &BTreeMap<String, Mark>, path: &str) -> Mark {
    let mut path = path;
    loop {
        if let Some(mark) = places.get(path) {
            return *mark;
        }
        match path.rfind(['.', '[']) {
            Some(at) => path = path.get(..at).unwrap_or_default(),
            None => return Mark::START,
        }
    }
}

fn scalar(node: &Node) -> Option<&Scalar> {
    match &node.value {
        Value::Scalar(scalar) => Some(scalar),
        Value::List(_) | Value::Map(_) => None,
    }
}

/// A whole number in decimal digits: no sign, no separator, no octal.
pub(in crate::manifest) fn whole<T: FromStr>(text: &str) -> Option<T> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    if digits { text.parse().ok() } else { None }
}

/// A node as an error shows it.
fn found(node: &Node) -> String {
    match &node.value {
        Value::List(_) => "[…]".into(),
        Value::Map(_) => "{…}".into(),
        Value::Scalar(scalar) if scalar.kind() == Kind::Null => "null".into(),
        Value::Scalar(scalar) => shown(&scalar.text),
    }
}

/// The nearest name to `text`: `My_App` becomes `my-app`.
fn proposal(text: &str) -> String {
    let letters = text.chars().take(crate::id::NAME_MAX).map(|c| match c.to_ascii_lowercase() {
        c if c.is_ascii_lowercase() || c.is_ascii_digit() => c,
        _ => '-',
    });
    let name = letters.collect::<String>().trim_matches('-').to_owned();
    if name.is_empty() { "app-1".into() } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_proposed() {
        for (text, name) in [("My_App", "my-app"), ("db_data", "db-data"), ("", "app-1"), ("_x_", "x"), ("é", "app-1")] {
            assert_eq!(proposal(text), name);
            assert!(Name::new(&proposal(text)).is_ok());
        }
    }

    #[test]
    fn a_path_has_the_place_of_what_is_around_it() {
        let mark = |line| Mark { line, column: 1 };
        let places = [("spec.services.web".into(), mark(3)), ("spec.services.web.ports[0]".into(), mark(5))].into();
        assert_eq!(place_of(&places, "spec.services.web.ports[0].published"), mark(5));
        assert_eq!(place_of(&places, "spec.services.web.labels.a.b"), mark(3));
        assert_eq!(place_of(&places, "metadata"), Mark::START);
    }

    #[test]
    fn numbers_are_plain_digits() {
        assert_eq!(whole::<u16>("80"), Some(80));
        for text in ["", "-1", "+1", "1e3", "0440", "65536", "1_000", "0x10", " 1"] {
            assert_eq!(whole::<u16>(text), None, "{text}");
        }
    }
}
