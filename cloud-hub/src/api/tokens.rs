//! Join tokens and enrolment.

use axum::extract::{Request, State};
use axum::http::StatusCode;
use shared::id::Name;

use axum::extract::FromRequest;

use super::Api;
use super::extract::{By, Json, Named};
use super::guard::peer;
use super::problem::ApiError;
use super::types::{EnrollRequest, Enrolled, IssuedToken, List, NewToken, PendingToken, Problem};

/// Largest request of a machine that enrols, in bytes: a name and a certificate signing request. Whoever sends it is a
/// stranger, so the hub keeps no more of it.
const ENROLL_MAX: usize = 16 << 10;

/// Join tokens that were not used yet.
#[utoipa::path(get, path = "/api/v1/tokens", tag = "nodes", responses((status = 200, body = List<PendingToken>)))]
pub(super) async fn list(State(api): State<Api>) -> Result<axum::Json<List<PendingToken>>, ApiError> {
    let revision = api.hub.store.revision().await?;
    let now = api.hub.now();
    let pending = api.hub.join_tokens().await?.into_iter().filter(|(_, token, _)| token.expires > now);
    let object = |(node, token, _): (Name, crate::records::Token, u64)| PendingToken {
        node,
        expires: token.expires,
        by: token.by,
        labels: token.labels,
    };
    Ok(axum::Json(List { items: pending.map(object).collect(), revision, next: None }))
}

/// Makes a token with which one node can enrol once. An earlier one for the node is worth nothing any more.
#[utoipa::path(post, path = "/api/v1/tokens", tag = "nodes", request_body = NewToken,
    responses((status = 201, body = IssuedToken), (status = 422, body = Problem)))]
pub(super) async fn create(
    State(api): State<Api>,
    By(by): By,
    Json(new): Json<NewToken>,
) -> Result<(StatusCode, axum::Json<IssuedToken>), ApiError> {
    let NewToken { node, ttl_seconds, labels } = new;
    let (token, expires) = api.hub.make_join_token(&node, ttl_seconds, labels, by.name.as_str()).await?;
    Ok((StatusCode::CREATED, axum::Json(IssuedToken { node, token: token.to_string(), expires })))
}

/// Makes a token worthless.
#[utoipa::path(delete, path = "/api/v1/tokens/{node}", tag = "nodes", params(("node" = String, Path)),
    responses((status = 204), (status = 404, body = Problem)))]
pub(super) async fn remove(State(api): State<Api>, By(by): By, Named(node): Named<Name>) -> Result<StatusCode, ApiError> {
    api.hub.remove_join_token(&node, by.name.as_str()).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Gives a machine that knows a join token its certificate. The proof of that is the authorization.
#[utoipa::path(post, path = "/api/v1/enroll", tag = "nodes", security(()), request_body = EnrollRequest,
    responses((status = 200, body = Enrolled), (status = 403, description = "The token is worth nothing", body = Problem),
        (status = 429, description = "Too many wrong proofs", body = Problem)))]
pub(super) async fn enroll(State(api): State<Api>, request: Request) -> Result<axum::Json<Enrolled>, ApiError> {
    let peer = peer(&request);
    let Json(asked) = Json::<EnrollRequest, ENROLL_MAX>::from_request(request, &()).await?;
    // To its end, even if the machine goes away meanwhile: a certificate that is stored must be usable.
    let hub = api.hub.clone();
    let enrolled = super::to_its_end(async move { hub.enroll(&asked, peer).await }).await?;
    Ok(axum::Json(enrolled?))
}
