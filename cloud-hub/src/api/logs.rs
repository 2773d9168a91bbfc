//! Logs of services, read through the link.

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream;
use shared::fault::{Fault, Lang};
use shared::id::Name;

use super::Api;
use super::extract::{Named, Params};
use super::problem::ApiError;
use super::types::Problem;
use crate::stop::stopped;

/// Which log.
#[derive(Debug, serde::Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Which {
    /// The app.
    #[param(value_type = String)]
    app: Name,
    /// The service; all of the app when absent.
    #[serde(default)]
    #[param(value_type = Option<String>)]
    service: Option<Name>,
    /// So many of the last lines; 100 unless said otherwise.
    #[serde(default)]
    tail: Option<u32>,
    /// Go on as lines are written.
    #[serde(default)]
    follow: bool,
}

/// Lines of a log: RFC 3339 time, space, `out` or `err`, space, text. A last line that begins with `#` says why it ended early.
#[utoipa::path(get, path = "/api/v1/nodes/{name}/logs", tag = "nodes", params(("name" = String, Path), Which),
    responses((status = 200, description = "Lines", body = String, content_type = "text/plain"),
        (status = 404, body = Problem), (status = 503, description = "The node is not connected", body = Problem),
        (status = 504, description = "The node does not answer", body = Problem)))]
pub(super) async fn read(
    State(api): State<Api>,
    Named(name): Named<Name>,
    Params(which): Params<Which>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    api.hub.node(&name).await?;
    let lang = headers.get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let lang = Lang::from_locale(lang);
    let Which { app, service, tail, follow } = which;
    let reader = api.hub.read_log(&name, &app, service.as_ref(), tail.unwrap_or(100), follow).await?;
    let stop = api.stop.clone();
    let lines = stream::unfold((reader, stop), move |(mut reader, mut stop)| async move {
        let piece = tokio::select! {
            piece = reader.next() => piece?,
            () = stopped(&mut stop) => return None,
        };
        let mut lines = piece.lines;
        if let Some(Some(fault)) = piece.end {
            lines.extend_from_slice(format!("# {}\n", Fault::from(fault).text(lang)).as_bytes());
        }
        Some((Ok::<_, std::convert::Infallible>(Bytes::from(lines)), (reader, stop)))
    });
    Ok(([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], Body::from_stream(lines)).into_response())
}
