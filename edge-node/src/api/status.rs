//! The node as a whole, its neighbours, its disk, and its journal.

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use shared::fault::Fault;
use shared::id::Name;
use shared::report::{Event, Facts};
use shared::state::Stamp;
use shared::time::UnixMillis;

use super::Api;
use super::port::{Carried, Node};
use super::problem::{Answer, Problem, Query};
use super::transfers::{TransferView, moving};
use crate::disk::DiskUse;
use crate::neighbours::Sharing;

/// Most journal entries of one answer.
const EVENTS_MAX: usize = 1000;

/// Body of `GET /v1/status`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// The node's name.
    pub node: Name,
    /// The session with the hub.
    pub hub: Hub,
    /// The desired state the node holds durably.
    pub accepted: Stamp,
    /// The node itself.
    pub facts: Facts,
    /// The node's wall clock, which may be wrong.
    pub wall: UnixMillis,
    /// Milliseconds since boot.
    pub uptime_ms: u64,
    /// Number of apps.
    pub apps: usize,
    /// Images on their way.
    pub transfers: Vec<TransferView>,
    /// What is wrong with the node as a whole.
    pub faults: Vec<Fault>,
    /// What the link carried, and may carry.
    pub carried: Carried,
    /// Sharing images with the other nodes of the site, if this node does.
    pub neighbours: Option<Sharing>,
}

/// The session with the hub.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hub {
    /// URL of its API.
    pub url: String,
    /// Whether there is a session.
    pub online: bool,
    /// For how many milliseconds it has been so.
    pub since_ms: u64,
    /// How many milliseconds ago the hub last confirmed that the node has the newest desired state.
    pub confirmed_ms: Option<u64>,
    /// Why there is no session.
    pub trouble: Option<Fault>,
}

pub async fn status<N: Node>(State(api): State<Api<N>>) -> Json<Status> {
    let (report, link, trust) = (api.node.report(), api.node.link(), api.node.trust());
    let millis = |age: std::time::Duration| u64::try_from(age.as_millis()).unwrap_or(u64::MAX);
    Json(Status {
        node: trust.node,
        hub: Hub {
            url: trust.hub,
            online: link.online,
            since_ms: millis(link.since),
            confirmed_ms: link.confirmed.map(millis),
            trouble: link.trouble,
        },
        accepted: report.accepted,
        facts: report.facts.clone(),
        wall: report.wall,
        uptime_ms: report.uptime_ms,
        apps: report.apps.len(),
        transfers: moving(&*api.node),
        faults: report.faults.clone(),
        carried: api.node.carried(),
        neighbours: api.node.neighbours(),
    })
}

pub async fn neighbours<N: Node>(State(api): State<Api<N>>) -> Json<Option<Sharing>> {
    Json(api.node.neighbours())
}

pub async fn disk<N: Node>(State(api): State<Api<N>>) -> Answer<Json<DiskUse>> {
    api.node.disk().await.map(Json).map_err(Problem::from)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Page {
    from: Option<u64>,
    #[serde(default = "Page::usual")]
    limit: usize,
}

impl Page {
    const fn usual() -> usize {
        100
    }
}

pub async fn events<N: Node>(State(api): State<Api<N>>, Query(page): Query<Page>) -> Answer<Json<Vec<Event>>> {
    api.node.events(page.from, page.limit.min(EVENTS_MAX)).await.map(Json).map_err(Problem::from)
}
