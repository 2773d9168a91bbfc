//! What is carried by hand.

use serde::{Deserialize, Serialize};
use shared::id::Name;
use utoipa::ToSchema;

use super::Problem;

/// One line of the answer while a bundle is prepared (`application/x-ndjson`); the last one is `done` or `failed`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "type", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum BundleLine {
    /// So many layers are prepared. A patch that is not there yet is made, which takes its time.
    Progress {
        /// Layers so far.
        done: u64,
        /// Layers in all.
        total: u64,
    },
    /// It can be downloaded.
    Done {
        /// Bytes of the file.
        size: u64,
    },
    /// It ended early.
    Failed {
        /// Why.
        problem: Problem,
    },
}

/// What came of a receipt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Merged {
    /// Whose it is.
    #[schema(value_type = String)]
    pub node: Name,
    /// Events that the hub did not have.
    pub events: u64,
    /// Its report was newer than what the hub had, and was taken.
    pub report: bool,
}
