//! Events of nodes and of the hub, and the watch.

use serde::{Deserialize, Serialize};
use shared::id::Name;
use shared::time::UnixMillis;
use utoipa::ToSchema;

use super::Problem;

/// Something that happened: on a node (from its journal), or at the hub (who did what).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Event {
    /// Its place in the hub's log; pass the last one as `after` to go on.
    pub cursor: u64,
    /// When the hub wrote it down.
    #[schema(value_type = u64)]
    pub at: UnixMillis,
    /// The node it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub node: Option<Name>,
    /// Its number in the node's journal; absent for the hub's own events.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<u64>,
    /// The node's clock when it happened, which may be wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<u64>)]
    pub node_time: Option<UnixMillis>,
    /// The app it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub app: Option<Name>,
    /// Name of the API token that did it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// What happened.
    pub what: Problem,
}

/// One message of a watch. Its id, the revision, goes into `from` (or `Last-Event-ID`) to resume.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct WatchEvent {
    /// What happened to it.
    pub change: WatchChange,
    /// `nodes`, `deployments`, `releases` or `publishers`; empty for a reset.
    pub kind: String,
    /// Which object; empty for a reset.
    pub name: String,
    /// The store's revision after the change.
    pub revision: u64,
    /// The object as `GET` shows it (without the parts that lists leave out); absent when it is gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub object: Option<serde_json::Value>,
}

/// What a watch tells about an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum WatchChange {
    /// It was made or changed.
    Put,
    /// It is gone.
    Delete,
    /// Changes were missed: list again, then watch from the list's revision.
    Reset,
}
