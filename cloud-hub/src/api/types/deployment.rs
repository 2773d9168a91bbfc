//! Deployments: this release to these nodes.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use shared::id::{Digest, Name};
use shared::report::Phase;
use shared::time::UnixMillis;
use utoipa::ToSchema;

use super::{Metadata, Problem};

/// Which nodes: named ones, or all that match.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub enum Target {
    /// Nodes by name. A node that is not enrolled yet gets the app when it comes.
    #[schema(value_type = Vec<String>)]
    Nodes(BTreeSet<Name>),
    /// Nodes by label, now and in future.
    Selector(Selector),
}

/// Labels a node must have.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Selector {
    /// All of them must be there with this value; an empty map matches every node.
    pub match_labels: BTreeMap<String, String>,
}

/// Asks for a deployment: makes it or changes it. The same request again changes nothing, unless `redeploy` is set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewDeployment {
    /// The app.
    #[schema(value_type = String)]
    pub app: Name,
    /// The release: its id, or its version.
    pub release: String,
    /// Where.
    pub target: Target,
    /// Run it (default), or have it on disk and stopped.
    #[serde(default = "yes")]
    pub run: bool,
    /// Have it on disk for later, whatever of the app runs meanwhile. It ends on a node when something of the app is deployed
    /// there. A deployment stays what it is: one that runs becomes no prefetch.
    #[serde(default)]
    pub prefetch: bool,
    /// Deploy under a new revision even if nothing changed: nodes that undid this release try it once more.
    #[serde(default)]
    pub redeploy: bool,
}

const fn yes() -> bool {
    true
}

/// A deployment with what became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Deployment {
    /// Its name and revision.
    pub metadata: Metadata,
    /// What was asked for.
    pub spec: DeploymentSpec,
    /// What became of it, from the nodes' reports.
    pub status: DeploymentStatus,
    /// Earlier and present releases, newest first, at most 20.
    #[serde(default)]
    pub history: Vec<HistoryEntry>,
}

/// What was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct DeploymentSpec {
    /// The app.
    #[schema(value_type = String)]
    pub app: Name,
    /// The release's id.
    #[schema(value_type = String)]
    pub release: Digest,
    /// Its version.
    pub version: String,
    /// Where.
    pub target: Target,
    /// Run it, or have it on disk and stopped.
    pub run: bool,
    /// Have it on disk for later, whatever of the app runs meanwhile.
    #[serde(default)]
    pub prefetch: bool,
    /// Grows whenever another release is deployed (or the same on demand), and never repeats in this hub: a node tries a
    /// release that was undone again only under a new revision, and where two deployments bring the same app to a node,
    /// the higher revision wins.
    pub revision: u64,
}

/// What became of a deployment.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct DeploymentStatus {
    /// Nodes it applies to.
    pub nodes: u64,
    /// Of these, nodes that run exactly this release (or hold it stopped, when `run` is false; or have it on disk, when
    /// `prefetch` is true).
    pub ready: u64,
    /// Of these, nodes that durably accepted a state with this release.
    pub accepted: u64,
    /// Nodes by phase: the names of phases, and `unknown` for a node that has not reported on this release yet.
    pub phases: BTreeMap<String, u64>,
    /// Nodes where another deployment of the same app wins.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<String>)]
    pub overruled: Vec<Name>,
    /// Named nodes that are not enrolled (yet).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<String>)]
    pub absent: Vec<Name>,
    /// Node by node; left out of lists.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub detail: Vec<DeploymentNode>,
}

/// A deployment on one node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct DeploymentNode {
    /// The node.
    #[schema(value_type = String)]
    pub node: Name,
    /// It runs exactly this release (or holds it stopped, when `run` is false).
    pub ready: bool,
    /// The phase it reported for this release; absent when it has not reported on it yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub phase: Option<Phase>,
    /// The version it runs now, as it reported.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub running: Option<String>,
    /// It has a live session.
    pub connected: bool,
    /// Seconds since its last report; absent when it never reported.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub age_seconds: Option<u64>,
    /// Bytes of images on disk and in all, while they are on their way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transfer: Option<(u64, u64)>,
    /// Seconds from the report until their last byte has come; absent when nobody can say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seconds_left: Option<u64>,
    /// Why it does not run, or why it was undone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<Problem>,
}

/// One release of a deployment's history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct HistoryEntry {
    /// The revision it was deployed under.
    pub revision: u64,
    /// The release's id.
    #[schema(value_type = String)]
    pub release: Digest,
    /// Its version.
    pub version: String,
    /// Run it, or have it on disk and stopped.
    pub run: bool,
    /// When.
    #[schema(value_type = u64)]
    pub at: UnixMillis,
    /// Name of the API token that did it.
    pub by: String,
}

/// Goes back to an earlier release, as a new revision.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Rollback {
    /// Release id or version; the release before the present one in the history when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
}
