//! Whom the node believes.

use axum::Json;
use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use serde::{Deserialize, Serialize};
use shared::id::{Digest, Name};
use shared::sign::{KeyId, PublicKey};

use super::Api;
use super::port::{Command, Node, Trust};
use super::problem::{Answer, Problem};
use crate::identity;

/// Body of `GET /v1/trust`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrustView {
    /// The node's name.
    pub node: Name,
    /// URL of the hub's API.
    pub hub: String,
    /// The hub's gate, `host:port`.
    pub mqtt: String,
    /// Fingerprint of the hub's CA.
    pub ca: Digest,
    /// The key that signs desired states.
    pub hub_key: PublicKey,
    /// Keys that may sign releases.
    pub publishers: Vec<PublisherView>,
}

/// A publisher's key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublisherView {
    /// Its id, as in signatures.
    pub id: KeyId,
    /// The key.
    pub key: PublicKey,
}

/// Body of `POST /v1/trust/publishers`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewPublisher {
    /// `ed25519:<64 hex digits>`.
    pub key: PublicKey,
}

impl From<Trust> for TrustView {
    fn from(trust: Trust) -> Self {
        let Trust { node, hub, mqtt, ca, hub_key, publishers } = trust;
        let publishers = publishers.into_iter().map(|key| PublisherView { id: key.id(), key }).collect();
        Self { node, hub, mqtt, ca, hub_key, publishers }
    }
}

pub async fn show<N: Node>(State(api): State<Api<N>>) -> Json<TrustView> {
    Json(api.node.trust().into())
}

pub async fn add<N: Node>(
    State(api): State<Api<N>>,
    body: Result<Json<NewPublisher>, JsonRejection>,
) -> Answer<axum::http::StatusCode> {
    let Json(new) = body.map_err(|error| Problem::bad_request(error.body_text()))?;
    let add = || identity::add_publisher(&api.identity_dir, new.key);
    let publishers = api.reserve.lend(add).map_err(|error| Problem::failed(&error))?;
    tracing::warn!(key = %new.key.id().short(), "a publisher key was added on site");
    api.command(Command::Publishers(publishers)).await
}
