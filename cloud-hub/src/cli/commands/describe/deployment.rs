//! The page of a deployment.

use shared::people::{self, bytes, rfc3339};

use super::super::super::page::Page;
use super::super::super::rows::{View, names, problem, target};
use super::super::super::table::{Column, col};
use super::super::super::words::word;
use crate::api::types::{Deployment, DeploymentNode, HistoryEntry};

static NODES: [Column; 6] = [
    col("NODE", "节点"),
    col("READY", "就绪"),
    col("PHASE", "阶段"),
    col("RUNNING", "运行版本"),
    col("CONNECTED", "已连接"),
    col("REPORT-AGE", "报告时间"),
];
static HISTORY: [Column; 5] =
    [col("REVISION", "修订"), col("VERSION", "版本"), col("ID", "编号"), col("WHEN", "时间"), col("BY", "操作者")];

pub(super) fn page(page: &mut Page, deployment: &Deployment, view: View) {
    let (spec, status) = (&deployment.spec, &deployment.status);
    page.field("Name", "名称", &deployment.metadata.name);
    page.field("Release", "发布包", format_args!("{}@{}", spec.app, spec.version));
    page.field("Id", "编号", spec.release);
    page.field("Target", "目标", target(&spec.target, view.lang));
    let run = if spec.prefetch {
        "prefetch"
    } else if spec.run {
        "yes"
    } else {
        "no"
    };
    page.field("Run", "运行", word(view.lang, run));
    page.field("Revision", "修订", spec.revision);
    page.field("Ready", "就绪", format_args!("{}/{}", status.ready, status.nodes));
    page.field("Accepted", "已接受", format_args!("{}/{}", status.accepted, status.nodes));
    page.field("Changed", "变更时间", rfc3339(deployment.metadata.updated));
    page.field_some("Not joined", "未接入", (!status.absent.is_empty()).then(|| names(&status.absent)));
    page.field_some("Overruled on", "被覆盖于", (!status.overruled.is_empty()).then(|| names(&status.overruled)));
    if !status.detail.is_empty() {
        page.section("Nodes", "节点");
        page.table(&NODES, &status.detail.iter().map(|node| self::node(node, view)).collect::<Vec<_>>());
    }
    let faults: Vec<String> = status
        .detail
        .iter()
        .filter_map(|node| node.fault.as_ref().map(|fault| format!("{}: {}", node.node, problem(fault, view.lang))))
        .collect();
    if !faults.is_empty() {
        page.section("Problems", "问题");
        page.lines(faults);
    }
    page.section("History", "历史");
    page.table(&HISTORY, &deployment.history.iter().map(past).collect::<Vec<_>>());
}

fn node(node: &DeploymentNode, view: View) -> Vec<String> {
    let answer = |yes: bool| word(view.lang, if yes { "yes" } else { "no" });
    let phase = node.phase.map_or_else(|| word(view.lang, "unknown"), |phase| people::phase(phase, view.lang).into());
    let phase = match node.transfer {
        Some((done, total)) => {
            format!("{phase} {} / {}, {}", bytes(done), bytes(total), people::time_left(node.seconds_left, view.lang))
        }
        None => phase,
    };
    vec![
        node.node.to_string(),
        answer(node.ready),
        phase,
        node.running.clone().unwrap_or_default(),
        answer(node.connected),
        node.age_seconds.map(|seconds| view.age(seconds)).unwrap_or_default(),
    ]
}

fn past(entry: &HistoryEntry) -> Vec<String> {
    vec![entry.revision.to_string(), entry.version.clone(), entry.release.short(), rfc3339(entry.at), entry.by.clone()]
}
