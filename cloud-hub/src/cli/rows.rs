//! Objects as rows: for each kind its columns, and the cells of one object.

mod access;
pub(super) mod budget;
mod catalog;
mod deployment;
mod event;
pub(super) mod node;

use std::collections::BTreeMap;

use serde_json::Value;
use shared::fault::Lang;
use shared::people;
use shared::time::UnixMillis;

use super::kinds::Kind;
use super::table::Column;
use crate::api::types::{Problem, Target};

/// Who looks, and when.
#[derive(Debug, Clone, Copy)]
pub(super) struct View {
    /// The reader's language.
    pub(super) lang: Lang,
    /// The clock of this machine; ages that the hub computed do not depend on it.
    pub(super) now: UnixMillis,
}

impl View {
    /// A span of time.
    pub(super) fn age(self, seconds: u64) -> String {
        people::age(seconds, self.lang)
    }

    /// How long ago `then` was: `0s` when clocks disagree, empty for a time that nobody wrote down.
    pub(super) fn since(self, then: UnixMillis) -> String {
        if then.0 == 0 { String::new() } else { self.age(self.now.0.saturating_sub(then.0) / 1000) }
    }
}

/// The columns of a kind.
pub(super) const fn columns(kind: Kind) -> &'static [Column] {
    match kind {
        Kind::Apps => &catalog::APPS,
        Kind::Releases => &catalog::RELEASES,
        Kind::Nodes => &node::COLUMNS,
        Kind::Deployments => &deployment::COLUMNS,
        Kind::Budgets => &budget::COLUMNS,
        Kind::Events => &event::COLUMNS,
        Kind::Publishers => &access::PUBLISHERS,
        Kind::Tokens => &access::TOKENS,
        Kind::ApiTokens => &access::API_TOKENS,
    }
}

/// The cells of one object, one per column.
pub(super) fn cells(kind: Kind, object: &Value, view: View) -> Result<Vec<String>, serde_json::Error> {
    use serde::Deserialize;
    Ok(match kind {
        Kind::Apps => catalog::app(&Deserialize::deserialize(object)?, view),
        Kind::Releases => catalog::release(&Deserialize::deserialize(object)?, view),
        Kind::Nodes => node::cells(&Deserialize::deserialize(object)?, view),
        Kind::Deployments => deployment::cells(&Deserialize::deserialize(object)?, view),
        Kind::Budgets => budget::cells(&Deserialize::deserialize(object)?, view),
        Kind::Events => event::cells(&Deserialize::deserialize(object)?, view),
        Kind::Publishers => access::publisher(&Deserialize::deserialize(object)?, view),
        Kind::Tokens => access::token(&Deserialize::deserialize(object)?, view),
        Kind::ApiTokens => access::api_token(&Deserialize::deserialize(object)?, view),
    })
}

/// `a=1,b=2`.
pub(super) fn labels(labels: &BTreeMap<String, String>) -> String {
    labels.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(",")
}

/// Names with commas between them.
pub(super) fn names<T: ToString>(names: impl IntoIterator<Item = T>) -> String {
    names.into_iter().map(|name| name.to_string()).collect::<Vec<_>>().join(",")
}

/// Where a deployment goes, in few words.
pub(super) fn target(target: &Target, lang: Lang) -> String {
    match target {
        Target::Nodes(nodes) => names(nodes),
        Target::Selector(selector) if selector.match_labels.is_empty() => super::words::word(lang, "all"),
        Target::Selector(selector) => labels(&selector.match_labels),
    }
}

/// The text of a problem in the reader's language, with its code.
pub(super) fn problem(problem: &Problem, lang: Lang) -> String {
    let text = problem.text(lang);
    if text.is_empty() { format!("[{}]", problem.code) } else { format!("{text} [{}]", problem.code) }
}

#[cfg(test)]
mod tests;
