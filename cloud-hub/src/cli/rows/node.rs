//! Nodes as rows.

use shared::people::{bytes, percent, time_left};
use shared::report::Phase;

use super::super::table::{Column, col, wide};
use super::super::words::word;
use super::{View, labels, problem};
use crate::api::types::{Node, NodeStatus, Transfer};

pub(super) static COLUMNS: [Column; 13] = [
    col("NAME", "名称"),
    col("STATUS", "状态"),
    col("SEEN", "最近联系"),
    col("STATE", "期望状态"),
    col("APPS", "应用"),
    col("VERSION", "版本"),
    wide("PLATFORM", "平台"),
    wide("CONTAINERD", "CONTAINERD"),
    wide("UPTIME", "开机时间"),
    wide("DISK-FREE", "可用磁盘"),
    wide("TRANSFERS", "传输"),
    wide("LABELS", "标签"),
    wide("FAULTS", "问题"),
];

pub(super) fn cells(node: &Node, view: View) -> Vec<String> {
    let facts = node.status.facts.as_ref();
    let fact = |text: Option<String>| text.unwrap_or_default();
    vec![
        node.metadata.name.clone(),
        word(view.lang, status(node)),
        fact(node.status.last_seen_seconds.map(|seconds| view.age(seconds))),
        state(&node.status, view),
        apps(node),
        fact(facts.map(|facts| facts.version.clone())),
        fact(facts.map(|facts| facts.platform.clone())),
        fact(facts.map(|facts| facts.runtime.clone())),
        fact(facts.map(|facts| view.age(facts.uptime_seconds))),
        fact(facts.map(|facts| bytes(facts.disk_free))),
        transfers(&node.status, view),
        labels(&node.metadata.labels),
        node.status.faults.iter().map(|fault| problem(fault, view.lang)).collect::<Vec<_>>().join("; "),
    ]
}

/// One word for how a node is connected.
pub(in crate::cli) fn status(node: &Node) -> &'static str {
    match (&node.spec, &node.status) {
        (spec, _) if spec.revoked => "revoked",
        (_, status) if status.connected => "connected",
        (_, status) if status.last_seen.is_none() => "never",
        _ => "offline",
    }
}

/// Whether the node holds what the hub wants; of a node that is not there, how old that news is.
fn state(status: &NodeStatus, view: View) -> String {
    let said = word(view.lang, if status.in_sync { "in-sync" } else { "behind" });
    match status.age_seconds {
        Some(age) if !status.connected => format!("{said} ({})", view.age(age)),
        _ => said,
    }
}

/// How much of the images on their way has come, and the longest time that is left.
fn transfers(status: &NodeStatus, view: View) -> String {
    let begun = || status.transfers.iter().filter(|transfer| transfer.total > 0);
    let sum = |of: fn(&Transfer) -> u64| begun().map(of).fold(0, u64::saturating_add);
    if status.transfers.is_empty() {
        return String::new();
    }
    let left = begun().map(|transfer| transfer.seconds_left).max_by_key(|left| left.unwrap_or(u64::MAX)).flatten();
    format!("{}, {}", percent(sum(|of| of.done), sum(|of| of.total)), time_left(left, view.lang))
}

/// Running apps of all that shall run or do.
fn apps(node: &Node) -> String {
    let running = node.status.apps.iter().filter(|app| app.phase == Phase::Running).count();
    let reported = node.status.apps.iter().map(|app| &app.app);
    let all: std::collections::BTreeSet<_> = node.spec.apps.keys().chain(reported).collect();
    format!("{running}/{}", all.len())
}
