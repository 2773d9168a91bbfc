//! Images on their way: how far they are, and what an operator tells them.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use shared::fault::{Fault, budget};
use shared::id::Digest;
use shared::report::Transfer;

use super::Api;
use super::port::{Command, Node};
use super::problem::{Answer, Path, Problem};

/// An image on its way, as it is now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TransferView {
    /// How far it is.
    #[serde(flatten)]
    pub transfer: Transfer,
    /// Seconds until the last byte has come; absent when nobody can say.
    pub seconds_left: Option<u64>,
}

pub async fn list<N: Node>(State(api): State<Api<N>>) -> Json<Vec<TransferView>> {
    Json(moving(&*api.node))
}

/// Images on their way.
pub fn moving(node: &impl Node) -> Vec<TransferView> {
    let online = node.link().online;
    let view = |transfer: Transfer| TransferView { seconds_left: transfer.seconds_left(online), transfer };
    node.transfers().into_iter().map(view).collect()
}

/// What may be done with a transfer.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verb {
    Pause,
    Resume,
}

impl Verb {
    const fn command(self, image: Option<Digest>) -> Command {
        match self {
            Self::Pause => Command::Pause(image),
            Self::Resume => Command::Resume(image),
        }
    }
}

pub async fn all<N: Node>(State(api): State<Api<N>>, Path(verb): Path<Verb>) -> Answer<StatusCode> {
    api.command(verb.command(None)).await
}

pub async fn one<N: Node>(State(api): State<Api<N>>, Path((image, verb)): Path<(Digest, Verb)>) -> Answer<StatusCode> {
    if !api.node.transfers().iter().any(|transfer| transfer.image == image) {
        return Err(Problem::not_found(Fault::new(&budget::NO_TRANSFER).with("image", image.short())));
    }
    api.command(verb.command(Some(image))).await
}
