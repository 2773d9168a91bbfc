//! `${VAR}`: values from outside, put in before anything is read.
//!
//! `$$` is a dollar sign. `$VAR`, `${VAR}`, `${VAR:-default}`, `${VAR-default}`, `${VAR:?why}`, `${VAR?why}`,
//! `${VAR:+other}` and `${VAR+other}` mean what Compose says. A variable without a value is refused, where Compose would put
//! in nothing and warn: a release must not depend on what somebody forgot to set.

use std::collections::BTreeMap;

use super::super::bounds::{EXPANDED_MAX, TEXT_MAX};
use super::super::problem::{Problems, shown};
use super::super::yaml::{Node, Value};
use crate::fault::{Fault, manifest};

/// Deepest `${A:-${B:-…}}`.
const NESTED_MAX: usize = 8;

/// Values from outside, by name.
pub(super) type Variables = BTreeMap<String, String>;

/// Puts the values into every scalar below `node`; keys stay as they are.
pub(super) fn substitute(node: &mut Node, variables: &Variables, problems: &mut Problems<'_>) {
    let mut left = EXPANDED_MAX;
    walk(node, variables, problems, &mut left);
}

fn walk(node: &mut Node, variables: &Variables, problems: &mut Problems<'_>, left: &mut usize) {
    let mark = node.mark;
    match &mut node.value {
        Value::List(items) => items.iter_mut().for_each(|item| walk(item, variables, problems, left)),
        Value::Map(entries) => entries.iter_mut().for_each(|entry| walk(&mut entry.node, variables, problems, left)),
        Value::Scalar(scalar) if scalar.text.contains('$') => {
            match expand(&scalar.text, variables, 0).and_then(|text| pay(text, left)) {
                Ok(text) => scalar.text = text,
                Err(why) => problems.add(mark, why.fault()),
            }
        }
        Value::Scalar(_) => {}
    }
}

fn pay(text: String, left: &mut usize) -> Result<String, Wrong> {
    *left = left.checked_sub(text.len()).ok_or(Wrong::TooLong)?;
    Ok(text)
}

/// Why a text cannot be expanded.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Wrong {
    Unset(String),
    Required(String, String),
    Malformed(String),
    TooLong,
}

impl Wrong {
    fn fault(self) -> Fault {
        match self {
            Self::Unset(name) => {
                let name = shown(&name);
                let default = format!("${{{name}:-value}}");
                Fault::new(&manifest::VARIABLE_UNSET).with("name", name).with("default", default)
            }
            Self::Required(name, why) => {
                Fault::new(&manifest::VARIABLE_REQUIRED).with("name", shown(&name)).with("why", shown(&why))
            }
            Self::Malformed(text) => {
                Fault::new(&manifest::VARIABLE_MALFORMED).with("text", shown(&text)).with("default", "${NAME:-value}")
            }
            Self::TooLong => Fault::new(&manifest::VARIABLES_TOO_LONG).with("max", TEXT_MAX),
        }
    }
}

fn expand(text: &str, variables: &Variables, depth: usize) -> Result<String, Wrong> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        out.push_str(before);
        let bare = name_length(after);
        if let Some(tail) = after.strip_prefix('$') {
            out.push('$');
            rest = tail;
        } else if let Some(tail) = after.strip_prefix('{') {
            let end = closing(tail).ok_or_else(|| Wrong::Malformed(format!("${after}")))?;
            let (inside, tail) = tail.split_at(end);
            out.push_str(&braced(inside, variables, depth)?);
            rest = tail.strip_prefix('}').unwrap_or(tail);
        } else if bare > 0 {
            let (name, tail) = after.split_at(bare);
            out.push_str(value(name, variables)?);
            rest = tail;
        } else {
            return Err(Wrong::Malformed(format!("${after}")));
        }
        if out.len() > TEXT_MAX {
            return Err(Wrong::TooLong);
        }
    }
    out.push_str(rest);
    if out.len() > TEXT_MAX { Err(Wrong::TooLong) } else { Ok(out) }
}

fn value<'v>(name: &str, variables: &'v Variables) -> Result<&'v str, Wrong> {
    variables.get(name).map(String::as_str).ok_or_else(|| Wrong::Unset(name.to_owned()))
}

/// The inside of `${…}`.
fn braced(inside: &str, variables: &Variables, depth: usize) -> Result<String, Wrong> {
    let malformed = || Wrong::Malformed(format!("${{{inside}}}"));
    if depth >= NESTED_MAX {
        return Err(malformed());
    }
    let (name, rest) = inside.split_at(name_length(inside));
    if name.is_empty() {
        return Err(malformed());
    }
    // With a colon, an empty value counts as no value.
    let (filled, rest) = rest.strip_prefix(':').map_or((false, rest), |rest| (true, rest));
    let set = variables.get(name).filter(|value| !(filled && value.is_empty()));
    let mut operator = rest.chars();
    let other = |rest: &str| expand(rest, variables, depth + 1);
    match (operator.next(), set) {
        (None, _) if filled => Err(malformed()),
        (None, _) => value(name, variables).map(str::to_owned),
        (Some('-' | '?'), Some(value)) => Ok(value.clone()),
        (Some('-'), None) | (Some('+'), Some(_)) => other(operator.as_str()),
        (Some('+'), None) => Ok(String::new()),
        (Some('?'), None) => Err(Wrong::Required(name.to_owned(), operator.as_str().to_owned())),
        (Some(_), _) => Err(malformed()),
    }
}

/// Length of the name that `text` begins with: `[A-Za-z_][A-Za-z0-9_]*`.
fn name_length(text: &str) -> usize {
    if text.starts_with(|c: char| c.is_ascii_digit()) {
        return 0;
    }
    text.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(text.len())
}

/// Where the brace that is open closes, `${…}` inside it left out.
fn closing(text: &str) -> Option<usize> {
    let mut open = 0usize;
    let mut last = ' ';
    for (at, c) in text.char_indices() {
        match c {
            '{' if last == '$' => open += 1,
            '}' if open == 0 => return Some(at),
            '}' => open -= 1,
            _ => {}
        }
        last = c;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(text: &str) -> Result<String, Wrong> {
        let variables = [("A".into(), "a".into()), ("EMPTY".into(), String::new())].into();
        expand(text, &variables, 0)
    }

    #[test]
    fn compose_forms() {
        for (text, expanded) in [
            ("plain", "plain"),
            ("$$A ${A} $A-$A", "$A a a-a"),
            ("${X:-d}${X-d}${EMPTY:-d}${EMPTY-d}", "ddd"),
            ("${A:-d}${A:+yes}${X:+yes}${EMPTY+yes}", "ayesyes"),
            ("${A:?needed}${A?needed}", "aa"),
            ("${X:-${Y:-${A}}}", "a"),
            ("${X:-a b}}", "a b}"),
            ("${X-}", ""),
        ] {
            assert_eq!(with(text).as_deref(), Ok(expanded), "{text}");
        }
    }

    #[test]
    fn what_has_no_value_is_refused() {
        assert_eq!(with("x ${NO}"), Err(Wrong::Unset("NO".into())));
        assert_eq!(with("$NO"), Err(Wrong::Unset("NO".into())));
        assert_eq!(with("${EMPTY:?set it}"), Err(Wrong::Required("EMPTY".into(), "set it".into())));
        for text in ["$", "$ ", "${", "${}", "${A", "${A!}", "${A:}", "${1}", "$1", "${é}"] {
            assert!(matches!(with(text), Err(Wrong::Malformed(_))), "{text}");
        }
        let nested = format!("{}x{}", "${X:-".repeat(100), "}".repeat(100));
        assert!(matches!(with(&nested), Err(Wrong::Malformed(_))));
    }

    #[test]
    fn values_are_put_in_once_and_within_bounds() {
        let big: Variables = [("A".into(), "$A".repeat(1000))].into();
        assert_eq!(expand("$A", &big, 0).expect("one").len(), 2000);
        assert_eq!(expand(&"$A".repeat(1000), &big, 0), Err(Wrong::TooLong));
    }
}
