//! What the hub says about itself.

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::extract::By;
use super::problem::ApiError;
use super::types::{Caller, Problem, Version};
use super::{Api, openapi};
use crate::records::HUB;

/// The process runs.
#[utoipa::path(get, path = "/healthz", tag = "system", security(()), responses((status = 200, description = "It runs")))]
pub(super) async fn healthz() -> &'static str {
    "ok\n"
}

/// The hub can do its work: its store answers.
#[utoipa::path(get, path = "/readyz", tag = "system", security(()),
    responses((status = 200, description = "It is ready"), (status = 503, description = "It is not", body = Problem)))]
pub(super) async fn readyz(State(api): State<Api>) -> Result<&'static str, ApiError> {
    api.hub
        .store
        .get(HUB)
        .await
        .map_err(|error| ApiError::new(StatusCode::SERVICE_UNAVAILABLE, shared::fault::Faulty::fault(&error)))?;
    Ok("ok\n")
}

/// Figures for Prometheus, as OpenMetrics text.
#[utoipa::path(get, path = "/metrics", tag = "system", responses((status = 200, description = "Figures", body = String)))]
pub(super) async fn metrics(State(api): State<Api>) -> Response {
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], api.hub.metrics_text()).into_response()
}

/// This document.
#[utoipa::path(get, path = "/openapi.json", tag = "system", security(()),
    responses((status = 200, description = "OpenAPI 3.1", body = Object)))]
pub(super) async fn openapi() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], openapi::text()).into_response()
}

/// Which hub this is, and what to trust it by.
#[utoipa::path(get, path = "/api/v1/version", tag = "system", security(()),
    responses((status = 200, description = "The hub", body = Version)))]
pub(super) async fn version(State(api): State<Api>) -> axum::Json<Version> {
    let hub = &api.hub;
    axum::Json(Version {
        version: env!("CARGO_PKG_VERSION").into(),
        api: "v1".into(),
        hub: hub.settings.name.clone(),
        epoch: hub.epoch(),
        ca_fingerprint: hub.ca.fingerprint(),
        hub_key: hub.public_key(),
        mqtt: hub.gate_address(),
    })
}

/// Whose token this is.
#[utoipa::path(get, path = "/api/v1/whoami", tag = "access", responses((status = 200, description = "The caller", body = Caller)))]
pub(super) async fn whoami(By(principal): By) -> axum::Json<Caller> {
    axum::Json(Caller { name: principal.name, role: principal.role })
}
