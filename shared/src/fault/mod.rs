//! Faults: what went wrong, as a stable code with parameters, and its text in Chinese and English.
//!
//! Every error enum of hub and node says itself as a [`Fault`]; API, CLI, report and UI carry the fault
//! and render it in the reader's language. The texts stand in one table per area below. A text names
//! what is wrong, where, and the way out; `{name}` is replaced by the parameter of that name.

pub mod budget;
pub mod bundle;
pub mod cli;
pub mod hub;
pub mod image;
pub mod link;
pub mod manifest;
pub mod node;
pub mod trust;

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

/// One line of a table: the stable code and its two texts.
#[derive(Debug)]
pub struct Text {
    /// Stable, kebab-case, begins with its area: `manifest-unknown-key`.
    pub code: &'static str,
    /// English.
    pub en: &'static str,
    /// Chinese.
    pub zh: &'static str,
}

/// Makes a table of [`Text`] constants and `ALL`, the list of them.
macro_rules! texts {
    ($($name:ident = $code:literal, $en:literal, $zh:literal;)*) => {
        $(#[doc = $en] pub static $name: $crate::fault::Text = $crate::fault::Text { code: $code, en: $en, zh: $zh };)*
        /// Every text of this area.
        pub static ALL: &[&$crate::fault::Text] = &[$(&$name),*];
    };
}
pub(crate) use texts;

/// All tables, for rendering and for the test that reads every text.
static TABLES: &[&[&Text]] =
    &[budget::ALL, bundle::ALL, cli::ALL, hub::ALL, image::ALL, link::ALL, manifest::ALL, node::ALL, trust::ALL];

/// The language a person reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Lang {
    /// English.
    #[default]
    En,
    /// Chinese.
    Zh,
}

impl Lang {
    /// From a locale such as `zh_CN.UTF-8` or an `Accept-Language` header: its first language decides.
    pub fn from_locale(locale: &str) -> Self {
        if locale.trim_start().to_ascii_lowercase().starts_with("zh") { Self::Zh } else { Self::En }
    }
}

/// The parameter that says what a fault came from: its text, beside it its code and its own parameters.
const CAUSE: &str = "cause";
const CAUSE_CODE: &str = "because";

/// A named problem with its parameters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// Stable code; a newer peer may send one that this build has no text for.
    pub code: String,
    /// Values for the placeholders of the text.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub params: BTreeMap<String, String>,
}

impl Fault {
    /// A fault without parameters.
    pub fn new(text: &'static Text) -> Self {
        Self { code: text.code.into(), params: BTreeMap::new() }
    }

    /// The same fault with one more parameter.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl fmt::Display) -> Self {
        self.params.insert(key.into(), value.to_string());
        self
    }

    /// The same fault with what it came from, as the parameter `cause`. Whoever reads it gets both in one language.
    #[must_use]
    pub fn because(self, cause: &Self) -> Self {
        let with_params = |fault: Self, (key, value): (&String, &String)| fault.with(&format!("{CAUSE}.{key}"), value);
        let fault = self.with(CAUSE, cause).with(CAUSE_CODE, &cause.code);
        cause.params.iter().fold(fault, with_params)
    }

    /// What it came from, if that is a fault of its own.
    fn cause(&self) -> Option<Self> {
        let code = self.params.get(CAUSE_CODE)?.clone();
        let inner = |(key, value): (&String, &String)| {
            let key = key.strip_prefix(CAUSE)?.strip_prefix('.')?;
            Some((key.to_owned(), value.clone()))
        };
        Some(Self { code, params: self.params.iter().filter_map(inner).collect() })
    }

    /// The text for a person: one paragraph, no code.
    pub fn text(&self, lang: Lang) -> String {
        if let Some(cause) = self.cause() {
            let mut whole = self.clone();
            whole.params.remove(CAUSE_CODE);
            return whole.with(CAUSE, cause.text(lang)).text(lang);
        }
        match TABLES.iter().flat_map(|table| table.iter()).find(|text| text.code == self.code) {
            Some(text) => fill(if lang == Lang::Zh { text.zh } else { text.en }, &self.params),
            None => self.params.iter().fold(self.code.clone(), |line, (key, value)| format!("{line} {key}={value}")),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} [{}]", self.text(Lang::En), self.code)
    }
}

impl std::error::Error for Fault {}

/// An error that knows its fault. Implemented by every error enum that a person may meet.
pub trait Faulty: std::error::Error {
    /// The fault with code and parameters; the cause stays in `source()`.
    fn fault(&self) -> Fault;
}

/// Replaces each `{key}` by its parameter; an unknown key stays as it is, so that a test can see it.
fn fill(template: &str, params: &BTreeMap<String, String>) -> String {
    let mut out = String::with_capacity(template.len() + 32);
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        out.push_str(before);
        match after.split_once('}') {
            Some((key, tail)) if params.contains_key(key) => {
                out.push_str(params.get(key).map_or("", String::as_str));
                rest = tail;
            }
            _ => {
                out.push('{');
                rest = after;
            }
        }
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all() -> impl Iterator<Item = &'static Text> {
        TABLES.iter().flat_map(|table| table.iter().copied())
    }

    fn keys(text: &str) -> std::collections::BTreeSet<&str> {
        text.split('{').skip(1).filter_map(|part| part.split_once('}').map(|(key, _)| key)).collect()
    }

    #[test]
    fn codes_are_unique_and_both_texts_name_the_same_parameters() {
        let mut seen = std::collections::BTreeSet::new();
        for text in all() {
            assert!(seen.insert(text.code), "{} twice", text.code);
            assert_eq!(keys(text.en), keys(text.zh), "{}", text.code);
            assert!(text.code.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'), "{}", text.code);
            assert!(text.zh.chars().any(|c| c > '\u{2E80}'), "{} has no Chinese text", text.code);
        }
    }

    #[test]
    fn parameters_are_filled_once_and_never_interpreted() {
        let fault = Fault::new(&manifest::UNKNOWN_KEY).with("place", "a.yaml:1:2").with("key", "{place}").with("near", "ports");
        assert!(fault.text(Lang::En).contains("{place}"));
    }

    #[test]
    fn a_cause_is_read_in_the_same_language() {
        let cause = Fault::new(&node::SERVICE_EXITS).with("service", "web").with("code", 3).with("restarts", 4);
        let fault = Fault::new(&node::EVENT_UNDO).with("release", "1.0").because(&cause);
        for lang in [Lang::En, Lang::Zh] {
            assert!(fault.text(lang).ends_with(&cause.text(lang)), "{}", fault.text(lang));
        }
        assert!(fault.params["cause"].contains("web"), "who knows no causes shows its text");
    }

    #[test]
    fn a_code_of_a_newer_peer_still_says_something() {
        let fault = Fault { code: "moon-phase".into(), params: [("day".into(), "3".into())].into() };
        assert_eq!(fault.text(Lang::Zh), "moon-phase day=3");
    }

    #[test]
    fn the_first_language_decides() {
        assert_eq!(Lang::from_locale("zh_CN.UTF-8"), Lang::Zh);
        assert_eq!(Lang::from_locale("en-US,zh;q=0.5"), Lang::En);
        assert_eq!(Lang::from_locale(""), Lang::En);
    }
}
