//! Budgets as rows.

use shared::fault::Lang;
use shared::people;

use super::super::table::{Column, col, wide};
use super::{View, names, target};
use crate::api::types::{Budget, BudgetLimits};

pub(super) static COLUMNS: [Column; 7] = [
    col("NAME", "名称"),
    col("LIMITS", "限制"),
    col("NODES", "节点数"),
    col("TARGET", "目标"),
    col("AGE", "存在时间"),
    wide("REVISION", "修订"),
    wide("OVERRULED", "被覆盖"),
];

pub(super) fn cells(budget: &Budget, view: View) -> Vec<String> {
    let (spec, status) = (&budget.spec, &budget.status);
    vec![
        budget.metadata.name.clone(),
        limits(&spec.limits, view.lang),
        format!("{}/{}", status.accepted, status.nodes.len()),
        target(&spec.target, view.lang),
        view.since(budget.metadata.created),
        spec.revision.to_string(),
        names(&status.overruled),
    ]
}

/// On one line; a newer hub's limits that this build cannot read are left out.
pub(in crate::cli) fn limits(limits: &BudgetLimits, lang: Lang) -> String {
    let budget = shared::budget::Budget::try_from(limits.clone());
    budget.map(|budget| people::budget(&budget, lang)).unwrap_or_default()
}
