//! Budgets of links.

use axum::extract::State;
use axum::http::StatusCode;
use shared::id::Name;

use super::Api;
use super::extract::{By, Json, Named, Seen};
use super::problem::ApiError;
use super::types::{Budget, BudgetLimits, BudgetSpec, BudgetStatus, List, Metadata, NewBudget, Problem};
use crate::budgets::BudgetError;
use crate::hub::Hub;
use crate::records;

impl From<&shared::budget::Budget> for BudgetLimits {
    fn from(budget: &shared::budget::Budget) -> Self {
        let shared::budget::Budget { rate, per_day, per_month, windows, zone } = budget;
        let windows = windows.iter().map(ToString::to_string).collect();
        Self { rate: *rate, per_day: *per_day, per_month: *per_month, windows, zone: zone.to_string() }
    }
}

impl TryFrom<BudgetLimits> for shared::budget::Budget {
    type Error = shared::budget::BudgetError;
    fn try_from(limits: BudgetLimits) -> Result<Self, Self::Error> {
        let BudgetLimits { rate, per_day, per_month, windows, zone } = limits;
        let windows = windows.iter().map(|window| window.parse()).collect::<Result<_, _>>()?;
        Ok(Self { rate, per_day, per_month, windows, zone: zone.parse()? })
    }
}

/// A budget with the nodes it is in force on.
pub(super) fn object(hub: &Hub, name: &Name, record: records::Budget, revision: u64) -> Budget {
    let mut status = BudgetStatus::default();
    for (node, life) in &hub.fleet().nodes {
        let Some(wanted) = &life.wanted else { continue };
        let Some(assigned) = &wanted.budget else { continue };
        if assigned.name == *name {
            status.nodes.push(node.clone());
            status.accepted += u64::from(life.accepted == Some(wanted.stamp));
        } else if assigned.overruled.iter().any(|(loser, _)| loser == name) {
            status.overruled.push(node.clone());
        }
    }
    Budget {
        metadata: Metadata {
            name: name.to_string(),
            revision,
            created: record.created,
            updated: record.updated,
            ..Metadata::default()
        },
        spec: BudgetSpec { target: record.target.into(), limits: (&record.budget).into(), revision: record.revision },
        status,
    }
}

/// All budgets.
#[utoipa::path(get, path = "/api/v1/budgets", tag = "nodes", responses((status = 200, body = List<Budget>)))]
pub(super) async fn list(State(api): State<Api>) -> Result<axum::Json<List<Budget>>, ApiError> {
    let revision = api.hub.store.revision().await?;
    let all = api.hub.all_budgets().await?;
    let items = all.into_iter().map(|(name, record, revision)| object(&api.hub, &name, record, revision)).collect();
    Ok(axum::Json(List { items, revision, next: None }))
}

/// One budget.
#[utoipa::path(get, path = "/api/v1/budgets/{name}", tag = "nodes", params(("name" = String, Path)),
    responses((status = 200, body = Budget), (status = 404, body = Problem)))]
pub(super) async fn show(State(api): State<Api>, Named(name): Named<Name>) -> Result<axum::Json<Budget>, ApiError> {
    let (record, revision) = api.hub.budget(&name).await?;
    Ok(axum::Json(object(&api.hub, &name, record, revision)))
}

/// Makes a budget or changes all of it. Where several cover a node, the one that was set last is in force.
#[utoipa::path(put, path = "/api/v1/budgets/{name}", tag = "nodes", request_body = NewBudget,
    params(("name" = String, Path), ("If-Match" = Option<u64>, Header, description = "metadata.revision that was seen")),
    responses((status = 200, body = Budget), (status = 412, description = "It was changed meanwhile", body = Problem),
        (status = 422, description = "No node can keep to it, or a target that makes no sense", body = Problem)))]
pub(super) async fn apply(
    State(api): State<Api>,
    By(by): By,
    Named(name): Named<Name>,
    Seen(seen): Seen,
    Json(new): Json<NewBudget>,
) -> Result<axum::Json<Budget>, ApiError> {
    let (target, limits) = new.parts();
    let budget = shared::budget::Budget::try_from(limits).map_err(BudgetError::from)?;
    let hub = api.hub.clone();
    let set = super::to_its_end(async move {
        let set = hub.set_budget(&name, budget, target.into(), seen, by.name.as_str()).await;
        set.map(|(record, revision)| object(&hub, &name, record, revision))
    });
    Ok(axum::Json(set.await??))
}

/// Takes a budget away.
#[utoipa::path(delete, path = "/api/v1/budgets/{name}", tag = "nodes",
    params(("name" = String, Path), ("If-Match" = Option<u64>, Header, description = "metadata.revision that was seen")),
    responses((status = 204), (status = 404, body = Problem)))]
pub(super) async fn remove(
    State(api): State<Api>,
    By(by): By,
    Named(name): Named<Name>,
    Seen(seen): Seen,
) -> Result<StatusCode, ApiError> {
    let hub = api.hub.clone();
    super::to_its_end(async move { hub.remove_budget(&name, seen, by.name.as_str()).await }).await??;
    Ok(StatusCode::NO_CONTENT)
}
