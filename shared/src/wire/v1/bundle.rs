//! What a person carries between hub and node: the index of a bundle, and a receipt.

use std::fmt;

use serde::de::{Error as _, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use super::{Event, Report, WireError, name};
use crate::bundle::{self, ENTRIES_MAX};
use crate::id::{Digest, Name};
use crate::receipt;
use crate::report;
use crate::time::UnixMillis;

/// [`bundle::Index`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bundle {
    /// When the hub made it.
    pub made_ms: u64,
    /// What each entry is, and its bytes.
    #[serde(deserialize_with = "bounded")]
    pub entries: Vec<(BundleContent, u64)>,
}

/// No more entries than a bundle may have: one is longer in memory than on the wire.
fn bounded<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<(BundleContent, u64)>, D::Error> {
    struct Entries;

    impl<'de> Visitor<'de> for Entries {
        type Value = Vec<(BundleContent, u64)>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "at most {ENTRIES_MAX} entries")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Self::Value, A::Error> {
            let mut entries = Vec::new();
            while let Some(entry) = sequence.next_element()? {
                if entries.len() == ENTRIES_MAX {
                    return Err(A::Error::invalid_length(ENTRIES_MAX + 1, &self));
                }
                entries.push(entry);
            }
            Ok(entries)
        }
    }

    deserializer.deserialize_seq(Entries)
}

/// [`bundle::Content`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum BundleContent {
    /// [`super::Envelope`] over [`super::Desired`] of this node.
    Desired(String),
    /// [`super::Envelope`] over [`super::Release`], by the release's id.
    Release([u8; 32]),
    /// A document of an image.
    Document([u8; 32]),
    /// A patch.
    Patch {
        /// diff_id of the layer it makes.
        layer: [u8; 32],
        /// sha256 of its bytes.
        patch: [u8; 32],
        /// The layers it begins with.
        from: Vec<[u8; 32]>,
    },
}

impl From<&bundle::Index> for Bundle {
    fn from(index: &bundle::Index) -> Self {
        let bytes = |digest: &Digest| *digest.as_bytes();
        let content = |content: &bundle::Content| match content {
            bundle::Content::Desired(node) => BundleContent::Desired(node.to_string()),
            bundle::Content::Release(id) => BundleContent::Release(bytes(id)),
            bundle::Content::Document(digest) => BundleContent::Document(bytes(digest)),
            bundle::Content::Patch { layer, patch, from } => {
                BundleContent::Patch { layer: bytes(layer), patch: bytes(patch), from: from.iter().map(bytes).collect() }
            }
        };
        let entries = index.entries.iter().map(|entry| (content(&entry.content), entry.size)).collect();
        Self { made_ms: index.made.0, entries }
    }
}

impl TryFrom<Bundle> for bundle::Index {
    type Error = WireError;
    fn try_from(bundle: Bundle) -> Result<Self, WireError> {
        let content = |content| {
            Ok(match content {
                BundleContent::Desired(node) => bundle::Content::Desired(name(&node)?),
                BundleContent::Release(id) => bundle::Content::Release(Digest::from_bytes(id)),
                BundleContent::Document(digest) => bundle::Content::Document(Digest::from_bytes(digest)),
                BundleContent::Patch { layer, patch, from } => bundle::Content::Patch {
                    layer: Digest::from_bytes(layer),
                    patch: Digest::from_bytes(patch),
                    from: from.into_iter().map(Digest::from_bytes).collect(),
                },
            })
        };
        let entry = |(what, size)| Ok(bundle::Entry { content: content(what)?, size });
        let entries: Result<Vec<_>, WireError> = bundle.entries.into_iter().map(entry).collect();
        Ok(Self { made: UnixMillis(bundle.made_ms), entries: entries? })
    }
}

/// [`receipt::Signed`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedReceipt {
    /// [`Receipt`], as it was signed.
    #[serde(with = "super::super::raw")]
    pub payload: Vec<u8>,
    /// The node's certificate in DER.
    pub certificate: Vec<u8>,
    /// Made with that certificate's key.
    pub signature: Vec<u8>,
}

/// [`receipt::Receipt`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// Whose.
    pub node: String,
    /// The number of the journal's next entry.
    pub next: u64,
    /// The node, whole.
    pub report: Report,
    /// Entries the hub has not confirmed.
    pub events: Vec<Event>,
}

impl From<&receipt::Receipt> for Receipt {
    fn from(receipt: &receipt::Receipt) -> Self {
        Self {
            node: receipt.node.to_string(),
            next: receipt.next,
            report: (&receipt.report).into(),
            events: receipt.events.iter().map(Event::from).collect(),
        }
    }
}

impl TryFrom<Receipt> for receipt::Receipt {
    type Error = WireError;
    fn try_from(receipt: Receipt) -> Result<Self, WireError> {
        let events: Result<Vec<_>, _> = receipt.events.into_iter().map(report::Event::try_from).collect();
        let node: Name = name(&receipt.node)?;
        Ok(Self { node, next: receipt.next, report: receipt.report.try_into()?, events: events? })
    }
}
