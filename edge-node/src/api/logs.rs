//! A service's log as a stream of lines.

use axum::body::Body;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt;
use serde::Deserialize;
use shared::id::Name;
use tokio_stream::wrappers::ReceiverStream;

use super::Api;
use super::apps::find;
use super::port::{LogsWanted, Node};
use super::problem::{Answer, Path, Query};

/// Most lines of the past.
const TAIL_MAX: usize = 10_000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lines {
    #[serde(default = "Lines::usual")]
    tail: usize,
    #[serde(default)]
    follow: bool,
}

impl Lines {
    const fn usual() -> usize {
        100
    }
}

pub async fn logs<N: Node>(
    State(api): State<Api<N>>,
    Path((app, service)): Path<(Name, Name)>,
    Query(lines): Query<Lines>,
) -> Answer<Response> {
    find(&api.node.report(), &app, Some(&service))?;
    let wanted = LogsWanted { app, service, tail: lines.tail.min(TAIL_MAX), follow: lines.follow };
    let lines = ReceiverStream::new(api.node.logs(wanted).await?);
    let body = Body::from_stream(lines.map(Ok::<_, std::convert::Infallible>));
    Ok(([(CONTENT_TYPE, "text/plain; charset=utf-8")], body).into_response())
}
