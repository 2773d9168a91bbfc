//! Deployments as rows.

use super::super::table::{Column, col, wide};
use super::super::words;
use super::{View, names, target};
use crate::api::types::Deployment;

pub(super) static COLUMNS: [Column; 11] = [
    col("NAME", "名称"),
    col("RELEASE", "发布包"),
    col("READY", "就绪"),
    col("PHASES", "阶段"),
    col("TARGET", "目标"),
    col("AGE", "存在时间"),
    wide("REVISION", "修订"),
    wide("ACCEPTED", "已接受"),
    wide("ABSENT", "未接入"),
    wide("OVERRULED", "被覆盖"),
    wide("ID", "编号"),
];

pub(super) fn cells(deployment: &Deployment, view: View) -> Vec<String> {
    let (spec, status) = (&deployment.spec, &deployment.status);
    let phases = status.phases.iter().map(|(phase, nodes)| format!("{nodes} {}", words::phase(view.lang, phase)));
    vec![
        deployment.metadata.name.clone(),
        format!("{}@{}", spec.app, spec.version),
        format!("{}/{}", status.ready, status.nodes),
        phases.collect::<Vec<_>>().join(", "),
        target(&spec.target, view.lang),
        view.since(deployment.metadata.created),
        spec.revision.to_string(),
        format!("{}/{}", status.accepted, status.nodes),
        names(&status.absent),
        names(&status.overruled),
        spec.release.short(),
    ]
}
