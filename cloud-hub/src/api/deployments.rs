//! Deployments.

use axum::extract::State;
use axum::http::StatusCode;
use shared::fault::{Fault, hub as texts};
use shared::id::Name;

use super::Api;
use super::extract::{By, Json, MaybeJson, Named, Page, Params, Seen};
use super::problem::ApiError;
use super::types::{
    Deployment, DeploymentSpec, HistoryEntry, List, Metadata, NewDeployment, Problem, Rollback, Selector, Target,
};
use crate::deployments::{Request, request};
use crate::fleet::view::{Asked, deployment_status};
use crate::hub::Hub;
use crate::records;

impl From<Target> for shared::assign::Target {
    fn from(target: Target) -> Self {
        match target {
            Target::Nodes(names) => Self::Nodes(names),
            Target::Selector(selector) => Self::Labels(selector.match_labels),
        }
    }
}

impl From<shared::assign::Target> for Target {
    fn from(target: shared::assign::Target) -> Self {
        match target {
            shared::assign::Target::Nodes(names) => Self::Nodes(names),
            shared::assign::Target::Labels(match_labels) => Self::Selector(Selector { match_labels }),
        }
    }
}

/// A deployment with its status; node by node when `detail` is set.
pub(super) fn object(hub: &Hub, name: &Name, record: records::Deployment, revision: u64, detail: bool) -> Deployment {
    let asked = Asked { deployment: name, app: &record.app, release: record.release, run: record.run, prefetch: record.prefetch };
    let mut status = deployment_status(&hub.fleet(), asked, detail, hub.now());
    if let shared::assign::Target::Nodes(names) = &record.target {
        let fleet = hub.fleet();
        status.absent = names.iter().filter(|node| !fleet.nodes.contains_key(*node)).cloned().collect();
    }
    let past = |past: records::Past| {
        let records::Past { revision, release, version, run, at, by } = past;
        HistoryEntry { revision, release, version, run, at, by }
    };
    Deployment {
        metadata: Metadata {
            name: name.to_string(),
            revision,
            created: record.created,
            updated: record.updated,
            ..Metadata::default()
        },
        spec: DeploymentSpec {
            app: record.app,
            release: record.release,
            version: record.version,
            target: record.target.into(),
            run: record.run,
            prefetch: record.prefetch,
            revision: record.revision,
        },
        status,
        history: record.history.into_iter().map(past).collect(),
    }
}

/// All deployments, without their nodes.
#[utoipa::path(get, path = "/api/v1/deployments", tag = "deployments", params(Page),
    responses((status = 200, body = List<Deployment>)))]
pub(super) async fn list(State(api): State<Api>, Params(page): Params<Page>) -> Result<axum::Json<List<Deployment>>, ApiError> {
    let revision = api.hub.store.revision().await?;
    let after = page.after.as_deref().unwrap_or_default();
    let mut all = api.hub.all_deployments().await?;
    all.retain(|(name, ..)| name.as_str() > after);
    let next = (all.len() > page.limit()).then(|| all.get(page.limit() - 1).map(|(name, ..)| name.to_string())).flatten();
    all.truncate(page.limit());
    let items = all.into_iter().map(|(name, record, revision)| object(&api.hub, &name, record, revision, false)).collect();
    Ok(axum::Json(List { items, revision, next }))
}

/// One deployment, node by node.
#[utoipa::path(get, path = "/api/v1/deployments/{name}", tag = "deployments", params(("name" = String, Path)),
    responses((status = 200, body = Deployment), (status = 404, body = Problem)))]
pub(super) async fn show(State(api): State<Api>, Named(name): Named<Name>) -> Result<axum::Json<Deployment>, ApiError> {
    let (record, revision) = api.hub.deployment(&name).await?;
    Ok(axum::Json(object(&api.hub, &name, record, revision, true)))
}

/// Makes or changes a deployment. The same again changes nothing, unless `redeploy` is set.
#[utoipa::path(put, path = "/api/v1/deployments/{name}", tag = "deployments", request_body = NewDeployment,
    params(("name" = String, Path), ("If-Match" = Option<u64>, Header, description = "metadata.revision that was seen")),
    responses((status = 200, body = Deployment), (status = 404, description = "No such release", body = Problem),
        (status = 409, description = "It is one of another app, or runs and shall be a prefetch", body = Problem),
        (status = 412, description = "It was changed meanwhile", body = Problem),
        (status = 422, description = "No image for a node's platform, or a target that makes no sense", body = Problem)))]
pub(super) async fn apply(
    State(api): State<Api>,
    By(by): By,
    Named(name): Named<Name>,
    Seen(seen): Seen,
    Json(new): Json<NewDeployment>,
) -> Result<axum::Json<Deployment>, ApiError> {
    let entry = api.hub.find_release(Some(&new.app), &new.release).await?;
    if entry.record.app != new.app {
        let fault = Fault::new(&texts::RELEASE_OTHER_APP)
            .with("release", &new.release)
            .with("found", &entry.record.app)
            .with("app", &new.app);
        return Err(ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, fault));
    }
    let request = Request { prefetch: new.prefetch, ..request(&entry, new.target.into(), new.run, new.redeploy) };
    let hub = api.hub.clone();
    let deployed = super::to_its_end(async move {
        let deployed = hub.deploy(&name, request, seen, by.name.as_str()).await;
        deployed.map(|(record, revision, _)| object(&hub, &name, record, revision, true))
    });
    Ok(axum::Json(deployed.await??))
}

/// Goes back to an earlier release, under a new revision.
#[utoipa::path(post, path = "/api/v1/deployments/{name}/rollback", tag = "deployments", request_body = Rollback,
    params(("name" = String, Path), ("If-Match" = Option<u64>, Header, description = "metadata.revision that was seen")),
    responses((status = 200, body = Deployment), (status = 404, body = Problem),
        (status = 409, description = "There is no such earlier release", body = Problem)))]
pub(super) async fn rollback(
    State(api): State<Api>,
    By(by): By,
    Named(name): Named<Name>,
    Seen(seen): Seen,
    MaybeJson(rollback): MaybeJson<Rollback>,
) -> Result<axum::Json<Deployment>, ApiError> {
    let hub = api.hub.clone();
    let deployed = super::to_its_end(async move {
        let deployed = hub.rollback(&name, rollback.to.as_deref(), seen, by.name.as_str()).await;
        deployed.map(|(record, revision, _)| object(&hub, &name, record, revision, true))
    });
    Ok(axum::Json(deployed.await??))
}

/// Takes a deployment away: its nodes stop and remove the app; volumes stay.
#[utoipa::path(delete, path = "/api/v1/deployments/{name}", tag = "deployments",
    params(("name" = String, Path), ("If-Match" = Option<u64>, Header, description = "metadata.revision that was seen")),
    responses((status = 204), (status = 404, body = Problem)))]
pub(super) async fn remove(
    State(api): State<Api>,
    By(by): By,
    Named(name): Named<Name>,
    Seen(seen): Seen,
) -> Result<StatusCode, ApiError> {
    let hub = api.hub.clone();
    super::to_its_end(async move { hub.undeploy(&name, seen, by.name.as_str()).await }).await??;
    Ok(StatusCode::NO_CONTENT)
}
