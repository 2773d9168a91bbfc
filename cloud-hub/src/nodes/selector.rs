//! Selectors as people write them: `site=north,role!=gate,gpu,!old`, all of which must hold.

use std::str::FromStr;

use shared::assign::Labels;
use shared::fault::{Fault, Faulty, hub};

use super::check_label;
use crate::refusal::{Kind, Refusal};

/// Longest selector, in bytes.
pub const SELECTOR_MAX: usize = 4096;

/// Conditions on labels; none fit everything.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Selector(Vec<Condition>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Condition {
    Is(String, String),
    IsNot(String, String),
    Has(String),
    HasNot(String),
}

/// Why a text is no selector.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{part:?} is no condition on a label")]
pub struct BadSelector {
    /// The part that is wrong, cut to 120 characters.
    pub part: String,
}

impl Faulty for BadSelector {
    fn fault(&self) -> Fault {
        Fault::new(&hub::BAD_SELECTOR).with("part", &self.part)
    }
}

impl Refusal for BadSelector {
    fn kind(&self) -> Kind {
        Kind::Malformed
    }
}

impl Selector {
    /// Whether `labels` fulfil all conditions.
    pub fn fits(&self, labels: &Labels) -> bool {
        self.0.iter().all(|condition| match condition {
            Condition::Is(key, value) => labels.get(key) == Some(value),
            Condition::IsNot(key, value) => labels.get(key) != Some(value),
            Condition::Has(key) => labels.contains_key(key),
            Condition::HasNot(key) => !labels.contains_key(key),
        })
    }
}

impl FromStr for Selector {
    type Err = BadSelector;
    fn from_str(text: &str) -> Result<Self, BadSelector> {
        if text.trim().is_empty() {
            return Ok(Self::default());
        }
        if text.len() > SELECTOR_MAX {
            return Err(BadSelector { part: text.chars().take(120).collect() });
        }
        text.split(',').map(|part| condition(part.trim())).collect::<Result<_, _>>().map(Self)
    }
}

fn condition(part: &str) -> Result<Condition, BadSelector> {
    let bad = |_| BadSelector { part: part.chars().take(120).collect() };
    if let Some((key, value)) = part.split_once("!=") {
        check_label(key, value).map_err(bad)?;
        return Ok(Condition::IsNot(key.into(), value.into()));
    }
    if let Some((key, value)) = part.split_once("==").or_else(|| part.split_once('=')) {
        check_label(key, value).map_err(bad)?;
        return Ok(Condition::Is(key.into(), value.into()));
    }
    if let Some(key) = part.strip_prefix('!') {
        check_label(key, "").map_err(bad)?;
        return Ok(Condition::HasNot(key.into()));
    }
    check_label(part, "").map_err(bad)?;
    Ok(Condition::Has(part.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selectors_say_what_people_know() {
        let labels: Labels = [("site", "north"), ("gpu", "")].into_iter().map(|(k, v)| (k.to_owned(), v.to_owned())).collect();
        for (text, fits) in [
            ("", true),
            ("site=north", true),
            ("site==north", true),
            ("site=south", false),
            ("site!=south", true),
            ("site!=north", false),
            ("role!=gate", true),
            ("gpu", true),
            ("!gpu", false),
            ("!old", true),
            ("site=north, gpu, !old", true),
            ("site=north,old", false),
        ] {
            assert_eq!(text.parse::<Selector>().expect(text).fits(&labels), fits, "{text}");
        }
        for text in ["=x", ",", "a,,b", "!", "a=b=c", "a in (b)", &"a".repeat(SELECTOR_MAX + 1)] {
            assert!(text.parse::<Selector>().is_err(), "{text:.20}");
        }
    }
}
