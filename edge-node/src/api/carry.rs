//! What is carried by hand: bundles in, receipts out.

use std::path::PathBuf;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::StreamExt;
use serde::{Deserialize, Serialize};
use shared::state::Stamp;
use tokio_stream::wrappers::ReceiverStream;

use super::Api;
use super::port::{Importing, Node};
use super::problem::{Answer, Problem, ProblemBody};
use crate::identity::Identity;
use crate::receipt;

/// Body of `POST /v1/import`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Import {
    /// The file as the daemon sees it; an absolute path.
    pub file: PathBuf,
}

/// A line of the answer to `POST /v1/import`; the last one is `done` or `failed`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum ImportLine {
    /// The file is read once and compared with its hash.
    Checking {
        /// Bytes so far.
        done: u64,
        /// Bytes in all.
        total: u64,
    },
    /// Images are copied.
    Fetching {
        /// Bytes so far of those that are on their way.
        done: u64,
        /// Bytes in all of those.
        total: u64,
    },
    /// Everything is on disk.
    Done {
        /// The state that the node holds.
        accepted: Stamp,
    },
    /// It ended early.
    Failed {
        /// Why.
        problem: ProblemBody,
    },
}

impl From<Importing> for ImportLine {
    fn from(importing: Importing) -> Self {
        match importing {
            Importing::Checking { done, total } => Self::Checking { done, total },
            Importing::Fetching { done, total } => Self::Fetching { done, total },
            Importing::Done(accepted) => Self::Done { accepted },
            Importing::Failed(fault) => Self::Failed { problem: fault.into() },
        }
    }
}

/// Imports a bundle. The answer is lines of JSON while it goes on; whoever goes away stops it.
pub async fn import<N: Node>(State(api): State<Api<N>>, body: Result<Json<Import>, JsonRejection>) -> Answer<Response> {
    let Json(Import { file }) = body.map_err(|error| Problem::bad_request(error.body_text()))?;
    if !file.is_absolute() {
        return Err(Problem::bad_request("file is not an absolute path"));
    }
    let lines = ReceiverStream::new(api.node.import(file).await?).map(|importing| {
        serde_json::to_vec(&ImportLine::from(importing)).map(|mut line| {
            line.push(b'\n');
            Bytes::from(line)
        })
    });
    Ok(([(CONTENT_TYPE, "application/x-ndjson")], Body::from_stream(lines)).into_response())
}

/// What the node says to the hub, signed.
pub async fn receipt<N: Node>(State(api): State<Api<N>>) -> Answer<Response> {
    let receipt = api.node.receipt().await?;
    let identity = Identity::load(&api.identity_dir).map_err(|error| Problem::failed(&error))?;
    let signed = receipt::sign(&receipt, &identity).map_err(|error| Problem::failed(&error))?;
    Ok(([(CONTENT_TYPE, "application/octet-stream")], signed.to_bytes()).into_response())
}
