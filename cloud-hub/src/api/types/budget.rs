//! Budgets: what images may take of nodes' links.

use serde::{Deserialize, Serialize};
use shared::id::Name;
use utoipa::ToSchema;

use super::{Metadata, Target};

/// What images may take of a link. What is absent has no limit; something must be there.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct BudgetLimits {
    /// Bytes of images per second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<u64>,
    /// Bytes of a day; all messages count, images wait.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per_day: Option<u64>,
    /// Bytes of a month.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per_month: Option<u64>,
    /// When images may come: `22:00-06:00`, `mon-fri 20:00-24:00`; always when there is none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub windows: Vec<String>,
    /// The site's distance from UTC, by which its days and windows are: `+08:00`.
    #[serde(default = "utc")]
    pub zone: String,
}

fn utc() -> String {
    shared::budget::Zone::default().to_string()
}

/// Asks for a budget: makes it, or replaces all of it. Its limits are those of [`BudgetLimits`], read strictly: a limit with a
/// typing error must not become none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewBudget {
    /// Which nodes; each keeps to it alone.
    pub target: Target,
    /// Bytes of images per second; no limit when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<u64>,
    /// Bytes of a day.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per_day: Option<u64>,
    /// Bytes of a month.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per_month: Option<u64>,
    /// When images may come: `22:00-06:00`, `mon-fri 20:00-24:00`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub windows: Vec<String>,
    /// The site's distance from UTC: `+08:00`.
    #[serde(default = "utc")]
    pub zone: String,
}

impl NewBudget {
    /// `limits` for `target`.
    pub fn new(target: Target, limits: BudgetLimits) -> Self {
        let BudgetLimits { rate, per_day, per_month, windows, zone } = limits;
        Self { target, rate, per_day, per_month, windows, zone }
    }

    /// For which nodes, and how much.
    pub fn parts(self) -> (Target, BudgetLimits) {
        let Self { target, rate, per_day, per_month, windows, zone } = self;
        (target, BudgetLimits { rate, per_day, per_month, windows, zone })
    }
}

/// A budget with the nodes it is in force on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Budget {
    /// Its name and revision.
    pub metadata: Metadata,
    /// What was asked for.
    pub spec: BudgetSpec,
    /// Where it is in force.
    pub status: BudgetStatus,
}

/// What was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct BudgetSpec {
    /// Which nodes.
    pub target: Target,
    /// How much.
    pub limits: BudgetLimits,
    /// Grows with every change: where several budgets cover a node, the highest revision is in force.
    pub revision: u64,
}

/// Where a budget is in force.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct BudgetStatus {
    /// Nodes it is in force on.
    #[schema(value_type = Vec<String>)]
    pub nodes: Vec<Name>,
    /// Of these, nodes that hold it durably.
    pub accepted: u64,
    /// Nodes where another one that was set later is in force.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<String>)]
    pub overruled: Vec<Name>,
}

/// The budget of one node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct NodeBudget {
    /// Its name.
    #[schema(value_type = String)]
    pub budget: Name,
    /// How much.
    pub limits: BudgetLimits,
    /// Budgets that cover the node and were set earlier.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<String>)]
    pub overruled: Vec<Name>,
}

/// Bytes of messages that a link carried, both ways, without TLS and TCP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Carried {
    /// In the day, as the node counts days.
    pub today: CarriedBytes,
    /// In the month.
    pub month: CarriedBytes,
}

/// By what they were for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CarriedBytes {
    /// Desired states, hellos, reports.
    pub control: u64,
    /// Journal entries.
    pub events: u64,
    /// Logs that somebody read.
    pub logs: u64,
    /// Images and releases.
    pub images: u64,
}

impl From<shared::budget::Counts> for CarriedBytes {
    fn from(counts: shared::budget::Counts) -> Self {
        let shared::budget::Counts { control, events, logs, images } = counts;
        Self { control, events, logs, images }
    }
}

impl From<CarriedBytes> for shared::budget::Counts {
    fn from(bytes: CarriedBytes) -> Self {
        let CarriedBytes { control, events, logs, images } = bytes;
        Self { control, events, logs, images }
    }
}
