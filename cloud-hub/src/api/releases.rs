//! Releases and apps.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::http::StatusCode;
use shared::id::{Digest, Name};

use super::Api;
use super::extract::{By, Named, Octets, Params, limit};
use super::problem::ApiError;
use super::types::{AppEntry, AppStatusEntry, List, Metadata, Problem, Release, ReleaseImage, ReleaseSpec, ReleaseStatus};
use crate::catalog::{CatalogError, Entry};
use crate::hub::Hub;
use crate::publish::ENVELOPE_MAX;
use crate::store::StoreError;

/// What releases are shown together with.
struct Context {
    /// Names of publishers by key id.
    publishers: BTreeMap<Digest, String>,
    /// Deployments by app and release.
    deployments: Vec<(Name, Name, Digest)>,
}

impl Context {
    async fn of(hub: &Hub) -> Result<Self, StoreError> {
        let publishers = hub.publishers().await?.into_iter().map(|(name, record, _)| (record.key.id(), name.to_string()));
        let deployments = hub.all_deployments().await?.into_iter().map(|(name, record, _)| (name, record.app, record.release));
        Ok(Self { publishers: publishers.collect(), deployments: deployments.collect() })
    }

    fn object(&self, entry: &Entry) -> Release {
        let record = &entry.record;
        let image = |(platform, digest, size): &(String, Digest, u64)| ReleaseImage {
            platform: platform.clone(),
            digest: *digest,
            size: *size,
        };
        let signer = |key: &Digest| self.publishers.get(key).cloned().unwrap_or_else(|| key.short());
        let uses = self.deployments.iter().filter(|(_, _, release)| *release == entry.id);
        Release {
            metadata: Metadata {
                name: format!("{}@{}", record.app, record.version),
                labels: record.labels.clone(),
                revision: entry.revision,
                created: record.created,
                updated: record.created,
            },
            spec: ReleaseSpec {
                app: record.app.clone(),
                version: record.version.clone(),
                images: record
                    .images
                    .iter()
                    .map(|(service, images)| (service.clone(), images.iter().map(image).collect()))
                    .collect(),
                manifest: None,
            },
            status: ReleaseStatus {
                id: entry.id,
                signed_by: record.signers.iter().map(signer).collect(),
                size: record.blobs.iter().map(|blob| blob.size).fold(0, u64::saturating_add),
                deployments: uses.map(|(name, ..)| name.clone()).collect(),
            },
        }
    }
}

/// A release as lists show it.
pub(super) async fn object(hub: &Hub, entry: &Entry) -> Result<Release, StoreError> {
    Ok(Context::of(hub).await?.object(entry))
}

/// Which releases.
#[derive(Debug, Default, serde::Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(super) struct Which {
    /// Of this app only.
    #[param(value_type = Option<String>)]
    app: Option<Name>,
    /// At most so many; 500 unless said otherwise, never more than 5000.
    limit: Option<usize>,
    /// Behind this one: the `next` of the page before.
    after: Option<String>,
}

/// Releases, by app and version.
#[utoipa::path(get, path = "/api/v1/releases", tag = "releases", params(Which), responses((status = 200, body = List<Release>)))]
pub(super) async fn list(State(api): State<Api>, Params(which): Params<Which>) -> Result<axum::Json<List<Release>>, ApiError> {
    let revision = api.hub.store.revision().await?;
    let (entries, next) = api.hub.releases(which.app.as_ref(), which.after.as_deref(), limit(which.limit)).await?;
    let context = Context::of(&api.hub).await?;
    Ok(axum::Json(List { items: entries.iter().map(|entry| context.object(entry)).collect(), revision, next }))
}

/// One release, by id or as `app@version`, with its manifest.
#[utoipa::path(get, path = "/api/v1/releases/{release}", tag = "releases", params(("release" = String, Path)),
    responses((status = 200, body = Release), (status = 404, body = Problem)))]
pub(super) async fn show(State(api): State<Api>, Named(text): Named<String>) -> Result<axum::Json<Release>, ApiError> {
    let entry = api.hub.find_release(None, &text).await?;
    let whole = api.hub.whole_release(entry.id).await?.ok_or(CatalogError::NotFound { reference: text })?;
    let mut release = object(&api.hub, &entry).await?;
    release.spec.manifest = serde_json::to_value(&whole.manifest).ok();
    Ok(axum::Json(release))
}

/// Publishes a signed release: the bytes of its envelope. The same again changes nothing.
#[utoipa::path(post, path = "/api/v1/releases", tag = "releases",
    request_body(content = Vec<u8>, content_type = "application/octet-stream", description = "The signed envelope"),
    responses((status = 201, body = Release), (status = 200, description = "It was published before", body = Release),
        (status = 409, description = "The version means something else", body = Problem),
        (status = 422, description = "Not signed by a publisher, blobs missing, or unfit", body = Problem)))]
pub(super) async fn publish(
    State(api): State<Api>,
    By(by): By,
    Octets(bytes): Octets<ENVELOPE_MAX>,
) -> Result<(StatusCode, axum::Json<Release>), ApiError> {
    let hub = api.hub.clone();
    let published = super::to_its_end(async move { hub.publish(&bytes, by.name.as_str()).await }).await?;
    let (entry, is_new) = published?;
    let status = if is_new { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, axum::Json(object(&api.hub, &entry).await?)))
}

/// Takes a release back, by id or as `app@version`. What only it needed is removed from the hub's disk in the background.
#[utoipa::path(delete, path = "/api/v1/releases/{release}", tag = "releases", params(("release" = String, Path)),
    responses((status = 204), (status = 404, body = Problem),
        (status = 409, description = "A deployment, its way back, or a node needs it", body = Problem)))]
pub(super) async fn remove(State(api): State<Api>, By(by): By, Named(text): Named<String>) -> Result<StatusCode, ApiError> {
    super::to_its_end(async move { api.hub.unpublish(&text, by.name.as_str()).await }).await??;
    Ok(StatusCode::NO_CONTENT)
}

/// Every app with its newest release.
#[utoipa::path(get, path = "/api/v1/apps", tag = "releases", responses((status = 200, body = List<AppEntry>)))]
pub(super) async fn apps(State(api): State<Api>) -> Result<axum::Json<List<AppEntry>>, ApiError> {
    let revision = api.hub.store.revision().await?;
    let context = Context::of(&api.hub).await?;
    let entry = |(app, (releases, newest)): (Name, (u64, Entry))| AppEntry {
        metadata: Metadata {
            name: app.to_string(),
            labels: newest.record.labels,
            revision: newest.revision,
            created: newest.record.created,
            updated: newest.record.created,
        },
        status: AppStatusEntry {
            description: newest.record.description,
            releases,
            latest: newest.record.version,
            latest_id: newest.id,
            deployments: context.deployments.iter().filter(|(_, of, _)| *of == app).map(|(name, ..)| name.clone()).collect(),
        },
    };
    Ok(axum::Json(List { items: api.hub.apps().await?.into_iter().map(entry).collect(), revision, next: None }))
}
