//! What a rollout would send to each node: found by making its patches, which are then ready for it.

use axum::extract::State;
use axum::response::Response;
use shared::fault::Faulty;
use shared::release::Release;

use super::extract::{Named, Params};
use super::lines::{self, Told};
use super::problem::ApiError;
use super::types::{Change, DiffLine, LayerDiff, PlatformDiff, Problem, ReleaseDiff};
use super::{Api, DIFFS_MAX, permit};
use crate::catalog::CatalogError;
use crate::delta::{DeltaError, Need, Needs, compare};
use crate::hub::Hub;

/// Against which release.
#[derive(Debug, serde::Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Against {
    /// The release that nodes have: its id, or `app@version`.
    from: String,
}

/// Compares a release with an earlier one: the bytes that each node will need, layer by layer. Patches are made where they
/// are not there yet, so this takes its time once, and the rollout does not. The answer is lines of JSON while it goes on;
/// the last one is `done` or `failed`.
#[utoipa::path(get, path = "/api/v1/releases/{release}/diff", tag = "releases", params(("release" = String, Path), Against),
    responses((status = 200, description = "Lines of JSON", body = DiffLine, content_type = "application/x-ndjson"),
        (status = 404, body = Problem), (status = 429, description = "Too many at once", body = Problem)))]
pub(super) async fn diff(
    State(api): State<Api>,
    Named(to): Named<String>,
    Params(Against { from }): Params<Against>,
) -> Result<Response, ApiError> {
    let (from, old) = find(&api.hub, &from).await?;
    let (to, new) = find(&api.hub, &to).await?;
    let permit = permit(&api.diffs, "diffs", DIFFS_MAX)?;
    Ok(lines::answer(permit, |told| async move {
        let mut needs = compare(&old, &new);
        match make(&api.hub, &mut needs, &told).await {
            Ok(()) => DiffLine::Done { diff: ReleaseDiff { from, to, platforms: needs.iter().map(platform).collect() } },
            Err(error) => DiffLine::Failed { problem: error.fault().into() },
        }
    }))
}

async fn find(hub: &Hub, reference: &str) -> Result<(String, Release), ApiError> {
    let entry = hub.find_release(None, reference).await?;
    let not_found = || CatalogError::NotFound { reference: reference.to_owned() };
    let release = hub.whole_release(entry.id).await?.ok_or_else(not_found)?;
    Ok((format!("{}@{}", entry.record.app, entry.record.version), release))
}

async fn make(hub: &Hub, needs: &mut [Needs], told: &Told<DiffLine>) -> Result<(), std::sync::Arc<DeltaError>> {
    let total = needs.iter().map(|needs| needs.layers.len() as u64).sum();
    let mut done = 0;
    for Needs { layers, have, .. } in needs {
        let old: Vec<_> = have.keys().copied().collect();
        for need in layers {
            if !need.is_there {
                need.made = Some(hub.delta.patch(&None, need.layer, &old, have).await?);
            }
            done += 1;
            told.say(DiffLine::Progress { done, total });
        }
    }
    Ok(())
}

fn platform(needs: &Needs) -> PlatformDiff {
    let layers: Vec<LayerDiff> = needs.layers.iter().map(layer).collect();
    let changed = layers.iter().filter(|layer| layer.change != Change::Unchanged);
    PlatformDiff {
        platform: needs.platform.clone(),
        transfer: layers.iter().map(|layer| layer.transfer).sum(),
        registry: changed.map(|layer| layer.registry).sum(),
        image: layers.iter().map(|layer| layer.registry).sum(),
        layers,
    }
}

fn layer(need: &Need) -> LayerDiff {
    let (change, transfer, from) = match &need.made {
        None => (Change::Unchanged, 0, Vec::new()),
        Some(made) if made.from.is_empty() => (Change::Cold, made.blob.size, Vec::new()),
        Some(made) => (Change::Patch, made.blob.size, made.from.clone()),
    };
    LayerDiff {
        layer: need.layer.tar.digest,
        services: need.services.clone(),
        change,
        transfer,
        registry: need.layer.blob.size,
        size: need.layer.tar.size,
        from,
    }
}
