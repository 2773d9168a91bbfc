//! Nodes: their labels, and the end of them. What a node *is* comes from its reports ([`crate::fleet`]); how it
//! becomes one of ours is in [`crate::tokens`].

pub mod selector;

use std::collections::{BTreeMap, BTreeSet};

use shared::assign::Labels;
use shared::fault::{Fault, Faulty, hub};
use shared::id::Name;

use crate::desired::Scope;
use crate::hub::Hub;
use crate::records::{FLEET, JOURNALS, NODES, Node, Stored, TOKENS, key, name_of};
use crate::refusal::{Kind, Refusal};
use crate::store::{Change, Expect, StoreError};
use selector::Selector;

/// Most labels of one node.
pub const LABELS_MAX: usize = 64;
/// Longest key and longest value of a label, in bytes (the manifest's bound too).
pub const LABEL_MAX: usize = 253;
/// Most records that one page of a selection looks at.
const SCAN_MAX: usize = 20_000;

/// Why a label is not one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{label:?} is not a label: use A-Z a-z 0-9 . _ / - in the key and also spaces and : + @ in the value, each up to {LABEL_MAX}"
)]
pub struct BadLabel {
    /// What was refused, cut to 120 characters.
    pub label: String,
}

/// Whether `key: value` is a label.
pub fn check_label(key: &str, value: &str) -> Result<(), BadLabel> {
    let word = |c: char| c.is_alphanumeric() || matches!(c, '.' | '_' | '/' | '-');
    let good = !key.is_empty()
        && key.len() <= LABEL_MAX
        && key.bytes().all(|b| b.is_ascii() && word(b.into()))
        && value.len() <= LABEL_MAX
        && value.chars().all(|c| word(c) || matches!(c, ' ' | ':' | '+' | '@'));
    if good { Ok(()) } else { Err(BadLabel { label: format!("{key}={value}").chars().take(120).collect() }) }
}

/// Whether all of `labels` are good and few enough.
pub fn check_labels(labels: &Labels) -> Result<(), NodeError> {
    if labels.len() > LABELS_MAX {
        return Err(NodeError::TooManyLabels);
    }
    labels.iter().try_for_each(|(key, value)| check_label(key, value)).map_err(NodeError::Label)
}

/// Labels after a patch: a value sets, `None` removes.
pub fn patched(mut labels: Labels, patch: BTreeMap<String, Option<String>>) -> Labels {
    for (key, value) in patch {
        match value {
            Some(value) => drop(labels.insert(key, value)),
            None => drop(labels.remove(&key)),
        }
    }
    labels
}

/// Why a node was not changed.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// There is none of this name.
    #[error("no node {name}")]
    NotFound {
        /// The name.
        name: Name,
    },
    /// Somebody changed it since the caller looked.
    #[error("node {name} has revision {found}, not {seen}")]
    Stale {
        /// The name.
        name: Name,
        /// What the caller saw.
        seen: u64,
        /// What is there.
        found: u64,
    },
    /// A label is not one.
    #[error(transparent)]
    Label(#[from] BadLabel),
    /// More than [`LABELS_MAX`].
    #[error("more than {LABELS_MAX} labels")]
    TooManyLabels,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Faulty for NodeError {
    fn fault(&self) -> Fault {
        match self {
            Self::NotFound { name } => Fault::new(&hub::NODE_NOT_FOUND).with("name", name),
            Self::Stale { name, seen, found } => {
                Fault::new(&hub::STALE).with("what", name).with("seen", seen).with("found", found)
            }
            Self::Label(error) => Fault::new(&hub::BAD_LABEL).with("label", &error.label).with("max", LABEL_MAX),
            Self::TooManyLabels => Fault::new(&hub::TOO_MANY).with("what", "labels").with("max", LABELS_MAX),
            Self::Store(error) => error.fault(),
        }
    }
}

impl Refusal for NodeError {
    fn kind(&self) -> Kind {
        match self {
            Self::NotFound { .. } => Kind::NotFound,
            Self::Stale { .. } => Kind::Stale,
            Self::Label(_) | Self::TooManyLabels => Kind::Unfit,
            Self::Store(error) => error.kind(),
        }
    }
}

/// Some nodes, and where to go on.
pub type NodePage = (Vec<(Name, Node, u64)>, Option<String>);

impl Hub {
    /// One node with the revision of its record.
    pub async fn node(&self, name: &Name) -> Result<(Node, u64), NodeError> {
        let found = self.record(&key(NODES, name)).await?;
        found.ok_or_else(|| NodeError::NotFound { name: name.clone() })
    }

    /// Nodes that fit `selector`, behind `after`, at most `limit`.
    pub async fn select_nodes(&self, selector: &Selector, after: Option<&Name>, limit: usize) -> Result<NodePage, StoreError> {
        let mut found = Vec::new();
        let mut after = after.map(|name| key(NODES, name));
        let mut looked_at = 0;
        loop {
            let page = self.store.list(NODES, after.as_deref(), limit).await?;
            if page.is_empty() {
                return Ok((found, None));
            }
            looked_at += page.len();
            for (key, record) in page {
                let name = name_of(NODES, &key)?;
                let (node, revision) = Node::read(&key, record)?;
                after = Some(key);
                if selector.fits(&node.labels) {
                    found.push((name, node, revision));
                }
                if found.len() == limit {
                    break;
                }
            }
            if found.len() == limit || looked_at >= SCAN_MAX {
                let next = after.as_deref().and_then(|key| key.strip_prefix(NODES)).map(str::to_owned);
                return Ok((found, next));
            }
        }
    }

    /// Changes labels; deployments that select by them follow.
    pub async fn label_node(
        &self,
        name: &Name,
        patch: BTreeMap<String, Option<String>>,
        seen: Option<u64>,
        by: &str,
    ) -> Result<(Node, u64), NodeError> {
        let changing = self.changing.lock().await;
        let (node, revision) = self.node(name).await?;
        if let Some(seen) = seen.filter(|seen| *seen != revision) {
            return Err(NodeError::Stale { name: name.clone(), seen, found: revision });
        }
        let labels = patched(node.labels.clone(), patch);
        check_labels(&labels)?;
        if labels == node.labels {
            return Ok((node, revision));
        }
        let node = Node { labels, updated: self.now(), ..node };
        let what = Fault::new(&hub::NODE_LABELLED).with("node", name).with("by", by);
        let change = Change::replace(key(NODES, name), revision, node.encode());
        let revision = self.store.commit(vec![change], vec![self.event(Some(name), None, by, what)]).await?;
        let mut touched = self.fleet().sites.recorded(name, &node);
        drop(changing);
        touched.insert(name.clone());
        self.assign_now(Scope::Nodes(touched)).await;
        Ok((node, revision))
    }

    /// Cuts a node off: its session ends now, and its certificate is never accepted again. Its apps run on; only a new
    /// token brings it back. One that waits goes too, also when the node was revoked already: it may be in the wrong hands.
    pub async fn revoke_node(&self, name: &Name, by: &str) -> Result<(Node, u64), NodeError> {
        let changing = self.changing.lock().await;
        let (node, revision) = self.node(name).await?;
        let token = Change::delete(key(TOKENS, name), Expect::Anything);
        let (node, revision) = if node.revoked {
            self.store.commit(vec![token], Vec::new()).await?;
            (node, revision)
        } else {
            let node = Node { revoked: true, updated: self.now(), ..node };
            let what = Fault::new(&hub::NODE_REVOKED).with("node", name).with("by", by);
            let change = Change::replace(key(NODES, name), revision, node.encode());
            let event = self.event(Some(name), None, by, what);
            (node, self.store.commit(vec![change, token], vec![event]).await?)
        };
        let touched = self.fleet().sites.recorded(name, &node);
        drop(changing);
        self.link.end(name, &Fault::new(&hub::NODE_IS_REVOKED).with("node", name));
        self.assign_others(touched).await;
        Ok((node, revision))
    }

    /// Forgets a node, and cuts it off. The generation of its desired state is kept, in case its name comes back.
    pub async fn remove_node(&self, name: &Name, by: &str) -> Result<(), NodeError> {
        let changing = self.changing.lock().await;
        let (_, revision) = self.node(name).await?;
        let what = Fault::new(&hub::NODE_REMOVED).with("node", name).with("by", by);
        let gone = |prefix: &str| Change::delete(key(prefix, name), Expect::Anything);
        let changes =
            vec![Change::delete(key(NODES, name), Expect::Revision(revision)), gone(FLEET), gone(JOURNALS), gone(TOKENS)];
        self.store.commit(changes, vec![self.event(Some(name), None, by, what)]).await?;
        let touched = {
            let mut fleet = self.fleet();
            fleet.nodes.remove(name);
            fleet.sites.removed(name)
        };
        drop(changing);
        self.link.end(name, &Fault::new(&hub::NODE_NOT_FOUND).with("name", name));
        self.assign_others(touched).await;
        Ok(())
    }

    /// The neighbours of a node that is gone hear so.
    async fn assign_others(&self, touched: BTreeSet<Name>) {
        if !touched.is_empty() {
            self.assign_now(Scope::Nodes(touched)).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_plain_words() {
        let long = "x".repeat(254);
        for (key, value, good) in [
            ("site", "north", true),
            ("example.org/role", "crane-7", true),
            ("site", "", true),
            ("名", "north", false),
            ("site", "宁波", true),
            ("site", "a b:c+d@e", true),
            ("", "x", false),
            ("a=b", "x", false),
            ("a b", "x", false),
            ("a", "x,y", false),
            ("a", "x\n", false),
            ("!a", "x", false),
            (&long, "x", false),
            ("a", &long, false),
        ] {
            assert_eq!(check_label(key, value).is_ok(), good, "{key:?}={value:?}");
        }
    }

    #[test]
    fn a_patch_sets_removes_and_leaves_alone() {
        let labels = |pairs: &[(&str, &str)]| pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect::<Labels>();
        let patch = [("a".into(), Some("2".into())), ("b".into(), None), ("zz".into(), None), ("d".into(), Some("4".into()))];
        assert_eq!(
            patched(labels(&[("a", "1"), ("b", "1"), ("c", "1")]), patch.into()),
            labels(&[("a", "2"), ("c", "1"), ("d", "4")])
        );
    }
}
