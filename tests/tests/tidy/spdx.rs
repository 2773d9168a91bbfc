//! Licence expressions (SPDX 2.3, annex D), as far as crates write them.

use std::collections::BTreeSet;

/// Whether `expression` can be met with the licences in `allowed` alone; `None` when it cannot be read.
pub fn is_met(expression: &str, allowed: &BTreeSet<String>) -> Option<bool> {
    // `/` is how crates wrote OR before there were expressions.
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut rest = words.as_slice();
    let met = any(&mut rest, allowed)?;
    rest.is_empty().then_some(met)
}

fn any(words: &mut &[&str], allowed: &BTreeSet<String>) -> Option<bool> {
    let mut met = all(words, allowed)?;
    while take(words, "OR") {
        met |= all(words, allowed)?;
    }
    Some(met)
}

fn all(words: &mut &[&str], allowed: &BTreeSet<String>) -> Option<bool> {
    let mut met = one(words, allowed)?;
    while take(words, "AND") {
        met &= one(words, allowed)?;
    }
    Some(met)
}

fn one(words: &mut &[&str], allowed: &BTreeSet<String>) -> Option<bool> {
    if take(words, "(") {
        let met = any(words, allowed)?;
        return take(words, ")").then_some(met);
    }
    let (name, rest) = words.split_first()?;
    *words = rest;
    if ["AND", "OR", "WITH", ")"].contains(name) {
        return None;
    }
    let mut licence = (*name).to_owned();
    if take(words, "WITH") {
        let (exception, rest) = words.split_first()?;
        *words = rest;
        licence = format!("{licence} WITH {exception}");
    }
    Some(allowed.contains(&licence))
}

fn take(words: &mut &[&str], word: &str) -> bool {
    match words.split_first() {
        Some((first, rest)) if *first == word => {
            *words = rest;
            true
        }
        _ => false,
    }
}

#[test]
fn expressions_are_read_as_they_are_meant() {
    let allowed = ["MIT", "ISC", "Apache-2.0 WITH LLVM-exception"].map(String::from).into();
    for (expression, met) in [
        ("MIT", Some(true)),
        ("GPL-3.0", Some(false)),
        ("MIT OR GPL-3.0", Some(true)),
        ("MIT/GPL-3.0", Some(true)),
        ("MIT AND GPL-3.0", Some(false)),
        ("GPL-3.0 OR MIT AND ISC", Some(true)),
        ("(GPL-3.0 OR MIT) AND BSL-1.0", Some(false)),
        ("(GPL-3.0 OR (MIT)) AND ISC", Some(true)),
        ("Apache-2.0 WITH LLVM-exception", Some(true)),
        ("Apache-2.0", Some(false)),
        ("", None),
        ("MIT OR", None),
        ("(MIT", None),
        ("MIT ISC", None),
    ] {
        assert_eq!(is_met(expression, &allowed), met, "{expression:?}");
    }
}
