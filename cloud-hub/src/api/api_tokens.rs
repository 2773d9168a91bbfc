//! API tokens: who may call.

use axum::extract::State;
use axum::http::StatusCode;
use shared::id::Name;

use super::Api;
use super::extract::{By, Json, Named};
use super::problem::ApiError;
use super::types::{ApiToken, ApiTokenSpec, IssuedApiToken, List, Metadata, NewApiToken, Problem};
use crate::access::role_of;
use crate::records;

fn object(name: &Name, record: &records::ApiToken, revision: u64) -> ApiToken {
    let metadata =
        Metadata { name: name.to_string(), revision, created: record.created, updated: record.created, ..Metadata::default() };
    ApiToken { metadata, spec: ApiTokenSpec { role: role_of(record.role), expires: record.expires } }
}

/// All API tokens, without their texts.
#[utoipa::path(get, path = "/api/v1/api-tokens", tag = "access", responses((status = 200, body = List<ApiToken>)))]
pub(super) async fn list(State(api): State<Api>) -> Result<axum::Json<List<ApiToken>>, ApiError> {
    let revision = api.hub.store.revision().await?;
    let all = api.hub.api_tokens().await?;
    let items = all.iter().map(|(name, record, revision)| object(name, record, *revision)).collect();
    Ok(axum::Json(List { items, revision, next: None }))
}

/// Makes an API token; the answer is the only time its text is shown.
#[utoipa::path(post, path = "/api/v1/api-tokens", tag = "access", request_body = NewApiToken,
    responses((status = 201, body = IssuedApiToken), (status = 409, description = "The name is taken", body = Problem)))]
pub(super) async fn create(
    State(api): State<Api>,
    By(by): By,
    Json(new): Json<NewApiToken>,
) -> Result<(StatusCode, axum::Json<IssuedApiToken>), ApiError> {
    let NewApiToken { name, role, ttl_seconds } = new;
    let token = api.hub.make_api_token(&name, role, ttl_seconds, by.name.as_str()).await?;
    Ok((StatusCode::CREATED, axum::Json(IssuedApiToken { name, role, token })))
}

/// Removes an API token; it is refused from now on.
#[utoipa::path(delete, path = "/api/v1/api-tokens/{name}", tag = "access", params(("name" = String, Path)),
    responses((status = 204), (status = 404, body = Problem), (status = 409, description = "The last admin", body = Problem)))]
pub(super) async fn remove(State(api): State<Api>, By(by): By, Named(name): Named<Name>) -> Result<StatusCode, ApiError> {
    api.hub.remove_api_token(&name, by.name.as_str()).await?;
    Ok(StatusCode::NO_CONTENT)
}
