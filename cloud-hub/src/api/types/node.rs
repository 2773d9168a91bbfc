//! Nodes: what they shall run, and what they said about themselves.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use serde::{Deserialize, Serialize};
use shared::health::Health;
use shared::id::{Digest, Name};
use shared::report::{Phase, ServiceState};
use shared::time::UnixMillis;
use utoipa::ToSchema;

use super::{Carried, Metadata, NodeBudget, Problem};

/// A node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Node {
    /// Its name and labels.
    pub metadata: Metadata,
    /// What the hub wants of it.
    pub spec: NodeSpec,
    /// What it said.
    pub status: NodeStatus,
}

/// What the hub wants of a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct NodeSpec {
    /// Its certificate is no longer accepted.
    pub revoked: bool,
    /// sha256 of its certificate in DER; absent when it never enrolled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub certificate: Option<Digest>,
    /// What it shall run, by app.
    #[schema(value_type = BTreeMap<String, NodeAssignment>)]
    pub apps: BTreeMap<Name, NodeAssignment>,
    /// Releases to have on disk for later, by app; `run` does not matter.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schema(value_type = BTreeMap<String, NodeAssignment>)]
    pub next: BTreeMap<Name, NodeAssignment>,
    /// What images may take of its link; all of it when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget: Option<NodeBudget>,
    /// The nodes of its site that it shares image layers with, and where they are reached, as `address:port`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schema(value_type = BTreeMap<String, String>)]
    pub neighbours: BTreeMap<Name, SocketAddr>,
}

/// One app a node shall run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct NodeAssignment {
    /// The deployment that brings it.
    #[schema(value_type = String)]
    pub deployment: Name,
    /// The release's id.
    #[schema(value_type = String)]
    pub release: Digest,
    /// The revision it was deployed under.
    pub revision: u64,
    /// Run it, or have it on disk and stopped.
    pub run: bool,
    /// Deployments of the same app that lost against this one here: theirs is a lower revision.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub overruled: Vec<OverruledAssignment>,
}

/// A deployment that lost against another one of the same app.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct OverruledAssignment {
    /// The deployment.
    #[schema(value_type = String)]
    pub deployment: Name,
    /// Its revision.
    pub revision: u64,
}

/// What the hub observes of a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct NodeStatus {
    /// It has a live session.
    pub connected: bool,
    /// Since when it is connected, or when it was last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<u64>)]
    pub since: Option<UnixMillis>,
    /// When the hub last heard anything of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<u64>)]
    pub last_seen: Option<UnixMillis>,
    /// Seconds since then, by the hub's clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_seen_seconds: Option<u64>,
    /// Seconds since its last report: the age of everything below.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub age_seconds: Option<u64>,
    /// The state the hub wants it to hold.
    pub wanted: Stamp,
    /// The state it holds durably; absent when it never said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accepted: Option<Stamp>,
    /// It holds what the hub wants.
    pub in_sync: bool,
    /// What it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub facts: Option<Facts>,
    /// Every app on it.
    #[serde(default)]
    pub apps: Vec<AppStatus>,
    /// Releases that it brings to disk and does not run.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub next: Vec<NextStatus>,
    /// Images on their way, and those that wait.
    #[serde(default)]
    pub transfers: Vec<Transfer>,
    /// What its link carried; absent when it never said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub carried: Option<Carried>,
    /// What is wrong with the node as a whole.
    #[serde(default)]
    pub faults: Vec<Problem>,
}

/// Orders the desired states of a node; written `epoch.generation`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Stamp {
    /// The hub's life.
    pub epoch: u64,
    /// The change within it.
    pub generation: u64,
}

impl From<shared::state::Stamp> for Stamp {
    fn from(stamp: shared::state::Stamp) -> Self {
        Self { epoch: stamp.epoch, generation: stamp.generation }
    }
}

/// What a node is, as it said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Facts {
    /// Version of the daemon.
    pub version: String,
    /// Version of containerd; empty while it cannot be reached.
    pub runtime: String,
    /// Its kind of machine, for example `linux/amd64`.
    pub platform: String,
    /// Differs after every boot.
    pub boot: String,
    /// Seconds since boot.
    pub uptime_seconds: u64,
    /// Processors.
    pub cpus: u32,
    /// Memory in bytes.
    pub memory: u64,
    /// Bytes free where images and volumes live.
    pub disk_free: u64,
    /// Where other nodes of its site take image layers from it, as `address:port`; absent while it shares none.
    #[schema(value_type = Option<String>)]
    pub address: Option<SocketAddr>,
}

/// One app on a node, as it said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AppStatus {
    /// Its name.
    #[schema(value_type = String)]
    pub app: Name,
    /// The release that runs or is being started.
    #[schema(value_type = String)]
    pub release: Digest,
    /// Its version.
    pub version: String,
    /// The release the hub wanted when the node reported; differs while images arrive and after an undo.
    #[schema(value_type = String)]
    pub wanted: Digest,
    /// The last release that proved itself there: what the node goes back to by itself. Absent while none did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub good: Option<GoodStatus>,
    /// In one word.
    #[schema(value_type = String)]
    pub phase: Phase,
    /// Its services.
    pub services: Vec<ServiceStatus>,
    /// Why it does not run, or why a release was undone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<Problem>,
}

/// A release that a node can go back to, as it said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct GoodStatus {
    /// The release.
    #[schema(value_type = String)]
    pub release: Digest,
    /// Its version.
    pub version: String,
}

/// A release that a node brings to disk and does not run, as it said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct NextStatus {
    /// Its app.
    #[schema(value_type = String)]
    pub app: Name,
    /// The release.
    #[schema(value_type = String)]
    pub release: Digest,
    /// Its version.
    pub version: String,
    /// `pending`, `fetching` or `fetched`.
    #[schema(value_type = String)]
    pub phase: Phase,
    /// Why it does not come.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<Problem>,
}

/// One service on a node, as it said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ServiceStatus {
    /// Its name.
    #[schema(value_type = String)]
    pub service: Name,
    /// In one word.
    #[schema(value_type = String)]
    pub state: ServiceState,
    /// What its health check says.
    #[schema(value_type = String)]
    pub health: Health,
    /// Starts after exits by itself, in a row.
    pub restarts: u32,
    /// Its container; empty when there is none.
    pub instance: String,
    /// Process id; 0 when none runs.
    pub pid: u32,
    /// Seconds the process had been running when the node reported; absent when none runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub running_seconds: Option<u64>,
    /// Exit code of the last end, if it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit: Option<u32>,
    /// The last end was for want of memory.
    pub oom: bool,
}

/// An image on its way to a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Transfer {
    /// The image.
    #[schema(value_type = String)]
    pub image: Digest,
    /// Bytes of the link that are on disk.
    pub done: u64,
    /// Bytes in all that travel over the link; 0 while the node does not know.
    pub total: u64,
    /// Bytes that came from other nodes of its site instead.
    #[serde(default)]
    pub taken: u64,
    /// Bytes per second, when the node reported.
    #[serde(default)]
    pub rate: u64,
    /// Bytes of the image, as its publisher compressed it, that need not come.
    #[serde(default)]
    pub reused: u64,
    /// Seconds from the report until the last byte has come; absent when nobody can say, for example without a session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seconds_left: Option<u64>,
    /// Why it waits, and until when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waits: Option<Problem>,
}

/// Changes labels of a node: a value sets, `null` removes, labels not named stay.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NodePatch {
    /// By key.
    pub labels: BTreeMap<String, Option<String>>,
}
