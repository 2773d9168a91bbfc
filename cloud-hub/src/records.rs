//! What the hub stores: one frozen type per kind of record, and the keys they stand under.
//!
//! | key | value |
//! |---|---|
//! | `hub` | [`Hub`]: name, epoch, the counter of revisions |
//! | `epoch` | [`Epoch`]: when a new epoch began; absent in the first |
//! | `publishers/<name>` | [`Publisher`] |
//! | `releases/<id in hex>` | [`Release`]: what lists and pulls need |
//! | `envelopes/<id in hex>` | the signed bytes as they came ([`shared::sign::Envelope::to_bytes`]) |
//! | `versions/<app>/<version>` | the release's id in 32 bytes: a version means one thing, also when it was taken back |
//! | `images/<id in hex>` | digest of an image that was verified ([`crate::verify`]) |
//! | `deployments/<name>` | [`Deployment`] |
//! | `budgets/<name>` | [`Budget`] |
//! | `nodes/<name>` | [`Node`] |
//! | `desired/<name>` | [`Desired`]; stays when the node goes, so that no generation is ever used twice |
//! | `fleet/<name>` | [`Fleet`]: the last report, written at leisure |
//! | `journals/<name>` | [`Journal`]: how far the node's journal is stored |
//! | `tokens/<node>` | [`Token`] |
//! | `api-tokens/<name>` | [`ApiToken`] |
//! | log `events` | [`Event`] |
//!
//! Every value begins with a version byte. A change of a type here is a new version that reads the old one.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use shared::assign::{Assigned, AssignedBudget, Labels, Target};
use shared::fault::Fault;
use shared::id::{Digest, Name};
use shared::release::Blob;
use shared::sign::PublicKey;
use shared::state::Neighbour;
use shared::time::UnixMillis;

use crate::store::{Record, StoreError};

const VERSION: u8 = 1;

/// Key of [`Hub`].
pub const HUB: &str = "hub";
/// Key of [`Epoch`].
pub const EPOCH: &str = "epoch";
/// Prefix of publishers.
pub const PUBLISHERS: &str = "publishers/";
/// Prefix of releases.
pub const RELEASES: &str = "releases/";
/// Prefix of the releases' signed bytes.
pub const ENVELOPES: &str = "envelopes/";
/// Prefix of the versions of apps.
pub const VERSIONS: &str = "versions/";
/// Prefix of deployments.
pub const DEPLOYMENTS: &str = "deployments/";
/// Prefix of budgets.
pub const BUDGETS: &str = "budgets/";
/// Prefix of nodes.
pub const NODES: &str = "nodes/";
/// Prefix of desired states.
pub const DESIRED: &str = "desired/";
/// Prefix of last reports.
pub const FLEET: &str = "fleet/";
/// Prefix of journals.
pub const JOURNALS: &str = "journals/";
/// Prefix of join tokens.
pub const TOKENS: &str = "tokens/";
/// Prefix of API tokens.
pub const API_TOKENS: &str = "api-tokens/";
/// The log of events.
pub const EVENTS: &str = "events";

/// The key of `name` below `prefix`.
pub fn key(prefix: &str, name: &Name) -> String {
    format!("{prefix}{name}")
}

/// The key of a release below `prefix`.
pub fn release_key(prefix: &str, id: Digest) -> String {
    format!("{prefix}{}", id.hex())
}

/// The release of a key below [`RELEASES`].
pub(crate) fn release_id(key: &str) -> Result<Digest, StoreError> {
    let hex = key.strip_prefix(RELEASES).unwrap_or(key);
    let damaged = |_| StoreError::Damaged { what: format!("key {key}: not a release") };
    format!("sha256:{hex}").parse().map_err(damaged)
}

/// The key of a version. Versions have no `/` ([`shared::manifest::Metadata::version`]).
pub fn version_key(app: &Name, version: &str) -> String {
    format!("{VERSIONS}{app}/{version}")
}

/// The name behind `prefix` in `key`.
pub fn name_of(prefix: &str, key: &str) -> Result<Name, StoreError> {
    let text = key.strip_prefix(prefix).unwrap_or(key);
    Name::new(text).map_err(|error| StoreError::Damaged { what: format!("key {key}: {error}") })
}

/// A type of this module.
pub trait Stored: Serialize + DeserializeOwned {
    /// Bytes with the version in front.
    fn encode(&self) -> Vec<u8> {
        // Serialising plain data into a vector has no way to fail; an empty vector reads as damaged.
        postcard::to_extend(self, vec![VERSION]).unwrap_or_default()
    }

    /// Reads what [`encode`](Self::encode) wrote; `key` is for the error only.
    fn decode(key: &str, bytes: &[u8]) -> Result<Self, StoreError> {
        let damaged = |why: String| StoreError::Damaged { what: format!("record {key}: {why}") };
        match bytes.split_first() {
            None => Err(damaged("empty".into())),
            Some((&VERSION, rest)) => postcard::from_bytes(rest).map_err(|error| damaged(error.to_string())),
            Some((other, _)) => Err(damaged(format!("version {other} is not known to this build"))),
        }
    }

    /// Reads a record together with its revision.
    fn read(key: &str, record: Record) -> Result<(Self, u64), StoreError> {
        Ok((Self::decode(key, &record.value)?, record.revision))
    }
}

macro_rules! stored { ($($kind:ident),*) => { $(impl Stored for $kind {})* }; }
stored!(Hub, Epoch, Publisher, Release, Deployment, Budget, Node, Desired, Fleet, Journal, Token, ApiToken, Event);

/// The hub itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hub {
    /// Its name.
    pub name: String,
    /// Its life: grows when it is restored from a backup.
    pub epoch: u64,
    /// The last revision a deployment or a budget got.
    pub revision: u64,
    /// When it was made.
    pub created: UnixMillis,
}

/// A life of the hub that began on a store which was restored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Epoch {
    /// When it began.
    pub began: UnixMillis,
}

/// A key that may sign releases.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Publisher {
    /// The key.
    pub key: PublicKey,
    /// When it was registered.
    pub created: UnixMillis,
    /// By which API token.
    pub by: String,
}

/// A release, without its manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Release {
    /// The app.
    pub app: Name,
    /// Its version.
    pub version: String,
    /// One line for people.
    pub description: String,
    /// The manifest's labels.
    pub labels: Labels,
    /// Keys that signed it, by id.
    pub signers: Vec<Digest>,
    /// For every service: platform as text, digest of the image manifest, bytes that travel.
    pub images: BTreeMap<Name, Vec<(String, Digest, u64)>>,
    /// Every blob of every image once, ordered: what a node that gets this release may pull.
    pub blobs: Vec<Blob>,
    /// When it was published.
    pub created: UnixMillis,
    /// By which API token.
    pub by: String,
}

/// A deployment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deployment {
    /// The app; never changes.
    pub app: Name,
    /// The release.
    pub release: Digest,
    /// Its version.
    pub version: String,
    /// Where.
    pub target: Target,
    /// Run it, or have it on disk and stopped.
    pub run: bool,
    /// Have it on disk for later, whatever of the app runs meanwhile; never changes.
    pub prefetch: bool,
    /// The revision it was deployed under.
    pub revision: u64,
    /// When it was made.
    pub created: UnixMillis,
    /// When it was last changed.
    pub updated: UnixMillis,
    /// Newest first; the first entry is the present state.
    pub history: Vec<Past>,
}

/// One entry of a deployment's history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Past {
    /// The revision it was deployed under.
    pub revision: u64,
    /// The release.
    pub release: Digest,
    /// Its version.
    pub version: String,
    /// Run it, or have it on disk and stopped.
    pub run: bool,
    /// When.
    pub at: UnixMillis,
    /// By which API token.
    pub by: String,
}

/// A budget of nodes' links.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Budget {
    /// How much.
    pub budget: shared::budget::Budget,
    /// Where.
    pub target: Target,
    /// The revision it was set under.
    pub revision: u64,
    /// When it was made.
    pub created: UnixMillis,
    /// When it was last changed.
    pub updated: UnixMillis,
}

/// A node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node {
    /// For selectors and people.
    pub labels: Labels,
    /// sha256 of the one certificate it may show, in DER.
    pub certificate: Option<Digest>,
    /// It may not connect any more.
    pub revoked: bool,
    /// When it first enrolled.
    pub created: UnixMillis,
    /// When it was last changed.
    pub updated: UnixMillis,
}

/// The desired state of a node, as signed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Desired {
    /// The hub's life.
    pub epoch: u64,
    /// The change within it.
    pub generation: u64,
    /// sha256 of the signed payload.
    pub hash: Digest,
    /// The envelope as it is sent ([`shared::sign::Envelope::to_bytes`]); equal state stays byte-equal.
    pub envelope: Vec<u8>,
    /// What it says, and why.
    pub apps: BTreeMap<Name, Assigned>,
    /// Releases to have on disk for later, and why.
    pub next: BTreeMap<Name, Assigned>,
    /// The budget it brings, and why.
    pub budget: Option<AssignedBudget>,
    /// Whom it shares images with.
    pub neighbours: BTreeMap<Name, Neighbour>,
}

/// What is known of a node's life, written at leisure.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Fleet {
    /// When it connected last.
    pub since: Option<UnixMillis>,
    /// When the hub last heard anything of it.
    pub last_seen: Option<UnixMillis>,
    /// When the report came.
    pub reported: Option<UnixMillis>,
    /// The last report ([`shared::wire::v1::Up::Report`]); empty when none came yet.
    pub report: Vec<u8>,
}

/// How far a node's journal is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Journal {
    /// All entries below are stored.
    pub next: u64,
}

/// A join token. Its secret is not here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Token {
    /// sha256 of the secret.
    pub hash: Digest,
    /// Until when it is good.
    pub expires: UnixMillis,
    /// Labels the node gets.
    pub labels: Labels,
    /// The API token that made it.
    pub by: String,
    /// The certificate that was given for it, in DER. It is used then, and stays so that a node to which the answer did not get
    /// through gets the same once more.
    pub given: Option<Vec<u8>>,
}

/// An API token. Its secret is not here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiToken {
    /// sha256 of the secret.
    pub hash: Digest,
    /// What it may do: 0 viewer, 1 operator, 2 admin.
    pub role: u8,
    /// Until when it is good.
    pub expires: Option<UnixMillis>,
    /// When it was made.
    pub created: UnixMillis,
    /// The API token that made it; empty for the first.
    pub by: String,
}

/// One entry of the log of events.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// When the hub wrote it down.
    pub at: UnixMillis,
    /// The node it is about.
    pub node: Option<Name>,
    /// Number and time in the node's journal.
    pub journal: Option<(u64, UnixMillis)>,
    /// The app it is about.
    pub app: Option<Name>,
    /// The API token that did it.
    pub by: Option<String>,
    /// What happened.
    pub what: StoredFault,
}

/// [`Fault`] without its JSON attributes, which postcard cannot skip.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredFault {
    /// Stable code.
    pub code: String,
    /// Values for the text.
    pub params: BTreeMap<String, String>,
}

impl From<Fault> for StoredFault {
    fn from(fault: Fault) -> Self {
        Self { code: fault.code, params: fault.params }
    }
}

impl From<StoredFault> for Fault {
    fn from(fault: StoredFault) -> Self {
        Self { code: fault.code, params: fault.params }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The bytes of a record of version 1. Do not change: they lie on disks.
    #[test]
    fn a_stored_node_keeps_its_bytes() {
        let node = Node {
            labels: [("site".to_owned(), "north".to_owned())].into(),
            certificate: Some(Digest::from_bytes([7; 32])),
            revoked: true,
            created: UnixMillis(1),
            updated: UnixMillis(300),
        };
        let golden = format!("01010473697465056e6f72746801{}0101ac02", "07".repeat(32));
        assert_eq!(hex::encode(node.encode()), golden);
        assert_eq!(Node::decode("nodes/n1", &node.encode()).expect("own bytes"), node);
    }

    /// As above.
    #[test]
    fn a_stored_token_keeps_its_bytes() {
        let token = |given| Token {
            hash: Digest::from_bytes([7; 32]),
            expires: UnixMillis(300),
            labels: [("a".to_owned(), "b".to_owned())].into(),
            by: "me".into(),
            given,
        };
        let golden = format!("01{}ac020101610162026d65", "07".repeat(32));
        for (token, end) in [(token(None), "00"), (token(Some(vec![1, 2])), "01020102")] {
            assert_eq!(hex::encode(token.encode()), format!("{golden}{end}"));
            assert_eq!(Token::decode("tokens/n1", &token.encode()).expect("own bytes"), token);
        }
    }

    #[test]
    fn damaged_records_name_their_key() {
        for bytes in [&[][..], &[9, 0], &[VERSION]] {
            let error = Journal::decode("journals/n1", bytes).expect_err("not a journal").to_string();
            assert!(error.contains("journals/n1"), "{error}");
        }
    }

    #[test]
    fn names_come_back_out_of_keys() {
        let name = Name::new("n1").expect("name");
        assert_eq!(name_of(NODES, &key(NODES, &name)).expect("own key"), name);
        assert!(name_of(NODES, "nodes/../x").is_err());
    }
}
