//! Publishers: whose keys may sign releases.

use axum::extract::State;
use axum::http::StatusCode;
use shared::id::Name;

use super::Api;
use super::extract::{By, Json, Named};
use super::problem::ApiError;
use super::types::{List, Metadata, NewPublisher, Problem, Publisher, PublisherSpec};
use crate::records;

pub(super) fn object(name: &Name, record: &records::Publisher, revision: u64) -> Publisher {
    let metadata =
        Metadata { name: name.to_string(), revision, created: record.created, updated: record.created, ..Metadata::default() };
    Publisher { metadata, spec: PublisherSpec { key: record.key, key_id: record.key.id() } }
}

/// All publishers.
#[utoipa::path(get, path = "/api/v1/publishers", tag = "access", responses((status = 200, body = List<Publisher>)))]
pub(super) async fn list(State(api): State<Api>) -> Result<axum::Json<List<Publisher>>, ApiError> {
    let revision = api.hub.store.revision().await?;
    let all = api.hub.publishers().await?;
    let items = all.iter().map(|(name, record, revision)| object(name, record, *revision)).collect();
    Ok(axum::Json(List { items, revision, next: None }))
}

/// Registers a key; the same again changes nothing.
#[utoipa::path(post, path = "/api/v1/publishers", tag = "access", request_body = NewPublisher,
    responses((status = 201, body = Publisher), (status = 200, description = "It was there", body = Publisher),
        (status = 409, description = "The name or the key is taken", body = Problem)))]
pub(super) async fn create(
    State(api): State<Api>,
    By(by): By,
    Json(new): Json<NewPublisher>,
) -> Result<(StatusCode, axum::Json<Publisher>), ApiError> {
    let (record, revision, is_new) = api.hub.add_publisher(&new.name, new.key, by.name.as_str()).await?;
    let status = if is_new { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, axum::Json(object(&new.name, &record, revision))))
}

/// Removes a key: it can sign nothing new.
#[utoipa::path(delete, path = "/api/v1/publishers/{name}", tag = "access", params(("name" = String, Path)),
    responses((status = 204), (status = 404, body = Problem)))]
pub(super) async fn remove(State(api): State<Api>, By(by): By, Named(name): Named<Name>) -> Result<StatusCode, ApiError> {
    api.hub.remove_publisher(&name, by.name.as_str()).await?;
    Ok(StatusCode::NO_CONTENT)
}
