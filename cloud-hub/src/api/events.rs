//! Events of nodes and of the hub.

use axum::extract::State;
use shared::fault::Fault;
use shared::id::Name;

use super::Api;
use super::extract::Params;
use super::problem::ApiError;
use super::types::{Event, List, Problem};
use crate::events::Question;
use crate::records;

fn object(cursor: u64, event: records::Event) -> Event {
    let (number, node_time) = event.journal.unzip();
    Event {
        cursor,
        at: event.at,
        node: event.node,
        number,
        node_time,
        app: event.app,
        by: event.by,
        what: Problem::from(Fault::from(event.what)),
    }
}

/// Which events.
#[derive(Debug, Default, serde::Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(super) struct Which {
    /// About this node only.
    #[param(value_type = Option<String>)]
    node: Option<Name>,
    /// About this app only.
    #[param(value_type = Option<String>)]
    app: Option<Name>,
    /// Behind this cursor, oldest first; the newest ones when absent.
    after: Option<u64>,
    /// At most so many; 100 unless said otherwise, never more than 1000.
    limit: Option<usize>,
}

/// Events, oldest first. `next` is the cursor to go on behind, also when nothing more is there yet.
#[utoipa::path(get, path = "/api/v1/events", tag = "events", params(Which), responses((status = 200, body = List<Event>)))]
pub(super) async fn list(State(api): State<Api>, Params(which): Params<Which>) -> Result<axum::Json<List<Event>>, ApiError> {
    let revision = api.hub.store.revision().await?;
    let Which { node, app, after, limit } = which;
    let page = api.hub.events(&Question { node, app, after, limit: limit.unwrap_or(100) }).await?;
    let next = page.until.or(after).map(|cursor| cursor.to_string());
    let items = page.events.into_iter().map(|(cursor, event)| object(cursor, event)).collect();
    Ok(axum::Json(List { items, revision, next }))
}
