//! Who may do what: publishers, join tokens, enrolment, API tokens.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use shared::id::{Digest, Name};
use shared::sign::PublicKey;
use shared::time::UnixMillis;
use utoipa::ToSchema;

use super::Metadata;

/// A key that may sign releases.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Publisher {
    /// Its name.
    pub metadata: Metadata,
    /// The key.
    pub spec: PublisherSpec,
}

/// A publisher's key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PublisherSpec {
    /// `ed25519:<64 hex digits>`.
    #[schema(value_type = String)]
    pub key: PublicKey,
    /// sha256 of the key.
    #[schema(value_type = String)]
    pub key_id: Digest,
}

/// Registers a publisher's key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewPublisher {
    /// A name for the key.
    #[schema(value_type = String)]
    pub name: Name,
    /// `ed25519:<64 hex digits>`.
    #[schema(value_type = String)]
    pub key: PublicKey,
}

/// Asks for a token with which one node can enrol once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewToken {
    /// The node's name.
    #[schema(value_type = String)]
    pub node: Name,
    /// How long it is good for; default one hour, at most 90 days.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl_seconds: Option<u64>,
    /// Labels the node gets when it enrols; a node that is enrolled again keeps its other labels.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
}

/// A join token; the only time its text is shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct IssuedToken {
    /// The node's name.
    #[schema(value_type = String)]
    pub node: Name,
    /// The text for `edge-node join`.
    pub token: String,
    /// Until when it is good.
    #[schema(value_type = u64)]
    pub expires: UnixMillis,
}

/// A join token that was not used yet. A node has at most one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PendingToken {
    /// The node's name.
    #[schema(value_type = String)]
    pub node: Name,
    /// Until when it is good.
    #[schema(value_type = u64)]
    pub expires: UnixMillis,
    /// Name of the API token that made it.
    pub by: String,
    /// Labels the node gets.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
}

/// A node asks for its certificate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EnrollRequest {
    /// Its name: the token must be for it.
    #[schema(value_type = String)]
    pub node: Name,
    /// Certificate signing request (PKCS#10) in PEM, signed by its key; only the key is used.
    pub csr: String,
    /// That it knows the secret of its join token ([`shared::join::proof`]).
    #[schema(value_type = String)]
    pub proof: Digest,
}

/// What a node needs to connect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Enrolled {
    /// Its certificate chain in PEM.
    pub certificate: String,
    /// The hub's CA in PEM.
    pub ca: String,
    /// The key that signs desired states.
    #[schema(value_type = String)]
    pub hub_key: PublicKey,
    /// Keys that may sign releases, as they are now.
    #[schema(value_type = Vec<String>)]
    pub publishers: Vec<PublicKey>,
    /// Where to connect, `host:port`.
    pub mqtt: String,
    /// The hub's life.
    pub epoch: u64,
    /// That all of this is from the hub that made the token, and unchanged ([`shared::join::seal`]).
    #[schema(value_type = String)]
    pub seal: Digest,
}

/// What a caller may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Read everything but tokens.
    Viewer,
    /// And publish, deploy, enrol nodes, read logs.
    Operator,
    /// And manage keys and API tokens.
    Admin,
}

/// Who calls.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Caller {
    /// Name of the API token.
    #[schema(value_type = String)]
    pub name: Name,
    /// What it may do.
    pub role: Role,
}

/// Asks for an API token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewApiToken {
    /// A name for it; shown wherever its holder does something.
    #[schema(value_type = String)]
    pub name: Name,
    /// What it may do.
    pub role: Role,
    /// How long it is good for; without end when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl_seconds: Option<u64>,
}

/// An API token; the only time its text is shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct IssuedApiToken {
    /// Its name.
    #[schema(value_type = String)]
    pub name: Name,
    /// What it may do.
    pub role: Role,
    /// The text for `Authorization: Bearer`.
    pub token: String,
}

/// An API token without its text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ApiToken {
    /// Its name.
    pub metadata: Metadata,
    /// What it may do.
    pub spec: ApiTokenSpec,
}

/// What an API token may do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ApiTokenSpec {
    /// What it may do.
    pub role: Role,
    /// Until when it is good; without end when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<u64>)]
    pub expires: Option<UnixMillis>,
}
