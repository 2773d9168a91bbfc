//! Bundles and receipts: what is carried between hub and nodes by hand.

use std::collections::BTreeSet;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use shared::fault::{Fault, Faulty, hub};
use shared::id::Name;
use shared::receipt::RECEIPT_MAX;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use super::extract::{By, OCTETS, Octets, Params};
use super::problem::ApiError;
use super::types::{BundleLine, Merged, Problem};
use super::{Api, DIFFS_MAX, lines, permit};
use crate::bundle::Wanted;

/// Preparing a bundle is work of the same kind as comparing releases, and shares its bound.
const WHAT: &str = "bundles";
/// Pieces that wait for a client.
const PIECES: usize = 4;

/// For whom.
#[derive(Debug, serde::Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct For {
    /// Names of nodes, with commas.
    nodes: String,
    /// Releases that their site has, with commas: ids, or `app@version`.
    #[serde(default)]
    have: String,
}

impl For {
    fn wanted(&self) -> Result<Wanted, ApiError> {
        let parts = |text: &str| text.split(',').filter(|part| !part.is_empty()).map(str::to_owned).collect::<BTreeSet<_>>();
        let nodes: Result<BTreeSet<Name>, _> = parts(&self.nodes).iter().map(|node| Name::new(node)).collect();
        let bad = |why: String| ApiError::bad_request(Fault::new(&hub::BAD_QUERY).with("why", why));
        let nodes = nodes.map_err(|error| bad(error.to_string()))?;
        if nodes.is_empty() {
            return Err(bad("nodes is empty".into()));
        }
        Ok(Wanted { nodes, have: parts(&self.have) })
    }
}

/// Prepares a bundle for some nodes: their desired states and all they are made of. The answer is lines of JSON while it goes
/// on; then it can be downloaded with the same query, at once.
#[utoipa::path(get, path = "/api/v1/bundle/plan", tag = "nodes", params(For),
    responses((status = 200, description = "Lines of JSON", body = BundleLine, content_type = "application/x-ndjson"),
        (status = 400, body = Problem), (status = 404, description = "No such node or release", body = Problem),
        (status = 429, description = "Too many at once", body = Problem)))]
pub(super) async fn plan(State(api): State<Api>, Params(who): Params<For>) -> Result<Response, ApiError> {
    let wanted = who.wanted()?;
    for node in &wanted.nodes {
        api.hub.node(node).await?;
    }
    for release in &wanted.have {
        api.hub.find_release(None, release).await?;
    }
    let permit = permit(&api.diffs, WHAT, DIFFS_MAX)?;
    Ok(lines::answer(permit, |told| async move {
        let told = |done, total| told.say(BundleLine::Progress { done, total });
        match api.hub.plan_bundle(&wanted, &told).await {
            Ok(plan) => BundleLine::Done { size: plan.size },
            Err(error) => BundleLine::Failed { problem: error.fault().into() },
        }
    }))
}

/// Downloads a bundle: one file, whose size is known from the start. Prepare it first: patches that are not there yet are
/// made before the answer begins.
#[utoipa::path(get, path = "/api/v1/bundle", tag = "nodes", params(For),
    responses((status = 200, description = "The file", content_type = "application/octet-stream"), (status = 400, body = Problem),
        (status = 404, description = "No such node or release", body = Problem),
        (status = 409, description = "Nothing is wanted of a node, or it is revoked", body = Problem),
        (status = 429, description = "Too many at once", body = Problem)))]
pub(super) async fn download(State(api): State<Api>, Params(who): Params<For>) -> Result<Response, ApiError> {
    let (wanted, permit) = (who.wanted()?, permit(&api.diffs, WHAT, DIFFS_MAX)?);
    let plan = api.hub.plan_bundle(&wanted, &|_, _| {}).await?;
    drop(permit);
    let size = plan.size;
    let (sender, pieces) = mpsc::channel(PIECES);
    tokio::spawn(plan.send(api.hub.clone(), sender));
    let mut response = ([(header::CONTENT_TYPE, OCTETS)], Body::from_stream(ReceiverStream::new(pieces))).into_response();
    response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(size));
    Ok(response)
}

/// Merges what a node says into what the hub knows: a receipt that somebody brought from it.
#[utoipa::path(post, path = "/api/v1/receipts", tag = "nodes",
    request_body(content = Vec<u8>, content_type = "application/octet-stream"),
    responses((status = 200, body = Merged), (status = 404, description = "No such node", body = Problem),
        (status = 409, description = "The node is revoked, or joined anew since", body = Problem),
        (status = 422, description = "Not a receipt, or not signed by its node", body = Problem)))]
pub(super) async fn merge(
    State(api): State<Api>,
    By(by): By,
    Octets(bytes): Octets<RECEIPT_MAX>,
) -> Result<axum::Json<Merged>, ApiError> {
    let merged = super::to_its_end(async move { api.hub.merge_receipt(&bytes, by.name.as_str()).await });
    Ok(axum::Json(merged.await??))
}
