//! Nodes.

use axum::extract::State;
use axum::http::StatusCode;
use shared::id::Name;

use super::Api;
use super::extract::{By, Json, Named, Params, Seen, limit};
use super::problem::ApiError;
use super::types::{List, Metadata, Node, NodePatch, NodeSpec, Problem};
use crate::fleet::view::{assignments, neighbours, node_budget, node_status};
use crate::hub::Hub;
use crate::nodes::selector::Selector;
use crate::records;

/// A node with its status.
pub(super) fn object(hub: &Hub, name: &Name, record: records::Node, revision: u64) -> Node {
    let life = hub.life_of(name).unwrap_or_default();
    let apps = life.wanted.as_ref().map(|wanted| assignments(&wanted.apps)).unwrap_or_default();
    let next = life.wanted.as_ref().map(|wanted| assignments(&wanted.next)).unwrap_or_default();
    let budget = life.wanted.as_ref().and_then(|wanted| wanted.budget.as_ref()).map(node_budget);
    let neighbours = life.wanted.as_ref().map(|wanted| neighbours(&wanted.neighbours)).unwrap_or_default();
    Node {
        metadata: Metadata {
            name: name.to_string(),
            labels: record.labels,
            revision,
            created: record.created,
            updated: record.updated,
        },
        spec: NodeSpec { revoked: record.revoked, certificate: record.certificate, apps, next, budget, neighbours },
        status: node_status(&life, hub.now()),
    }
}

/// Which nodes.
#[derive(Debug, Default, serde::Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(super) struct Which {
    /// Conditions on labels, all of which must hold: `site=north,role!=gate,gpu,!old`.
    selector: Option<String>,
    /// At most so many; 500 unless said otherwise, never more than 5000.
    limit: Option<usize>,
    /// Behind this one: the `next` of the page before.
    #[param(value_type = Option<String>)]
    after: Option<Name>,
}

/// Nodes, by name.
#[utoipa::path(get, path = "/api/v1/nodes", tag = "nodes", params(Which),
    responses((status = 200, body = List<Node>), (status = 400, description = "Not a selector", body = Problem)))]
pub(super) async fn list(State(api): State<Api>, Params(which): Params<Which>) -> Result<axum::Json<List<Node>>, ApiError> {
    let selector: Selector = which.selector.as_deref().unwrap_or_default().parse()?;
    let revision = api.hub.store.revision().await?;
    let (found, next) = api.hub.select_nodes(&selector, which.after.as_ref(), limit(which.limit)).await?;
    let items = found.into_iter().map(|(name, record, revision)| object(&api.hub, &name, record, revision)).collect();
    Ok(axum::Json(List { items, revision, next }))
}

/// One node.
#[utoipa::path(get, path = "/api/v1/nodes/{name}", tag = "nodes", params(("name" = String, Path)),
    responses((status = 200, body = Node), (status = 404, body = Problem)))]
pub(super) async fn show(State(api): State<Api>, Named(name): Named<Name>) -> Result<axum::Json<Node>, ApiError> {
    let (record, revision) = api.hub.node(&name).await?;
    Ok(axum::Json(object(&api.hub, &name, record, revision)))
}

/// Changes labels; deployments that select by them follow.
#[utoipa::path(patch, path = "/api/v1/nodes/{name}", tag = "nodes", request_body = NodePatch,
    params(("name" = String, Path), ("If-Match" = Option<u64>, Header, description = "metadata.revision that was seen")),
    responses((status = 200, body = Node), (status = 404, body = Problem),
        (status = 412, description = "It was changed meanwhile", body = Problem), (status = 422, body = Problem)))]
pub(super) async fn label(
    State(api): State<Api>,
    By(by): By,
    Named(name): Named<Name>,
    Seen(seen): Seen,
    Json(patch): Json<NodePatch>,
) -> Result<axum::Json<Node>, ApiError> {
    let hub = api.hub.clone();
    let labelled = super::to_its_end(async move {
        let labelled = hub.label_node(&name, patch.labels, seen, by.name.as_str()).await;
        labelled.map(|(record, revision)| object(&hub, &name, record, revision))
    });
    Ok(axum::Json(labelled.await??))
}

/// Cuts a node off at once and for ever; its apps run on. Only a new join token brings it back.
#[utoipa::path(post, path = "/api/v1/nodes/{name}/revoke", tag = "nodes", params(("name" = String, Path)),
    responses((status = 200, body = Node), (status = 404, body = Problem)))]
pub(super) async fn revoke(State(api): State<Api>, By(by): By, Named(name): Named<Name>) -> Result<axum::Json<Node>, ApiError> {
    let hub = api.hub.clone();
    let revoked = super::to_its_end(async move {
        let revoked = hub.revoke_node(&name, by.name.as_str()).await;
        revoked.map(|(record, revision)| object(&hub, &name, record, revision))
    });
    Ok(axum::Json(revoked.await??))
}

/// Forgets a node, and cuts it off.
#[utoipa::path(delete, path = "/api/v1/nodes/{name}", tag = "nodes", params(("name" = String, Path)),
    responses((status = 204), (status = 404, body = Problem)))]
pub(super) async fn remove(State(api): State<Api>, By(by): By, Named(name): Named<Name>) -> Result<StatusCode, ApiError> {
    let hub = api.hub.clone();
    super::to_its_end(async move { hub.remove_node(&name, by.name.as_str()).await }).await??;
    Ok(StatusCode::NO_CONTENT)
}
