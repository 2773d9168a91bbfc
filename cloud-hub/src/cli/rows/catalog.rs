//! Apps and releases as rows.

use std::collections::BTreeSet;

use shared::people::bytes;

use super::super::table::{Column, col, wide};
use super::{View, labels, names};
use crate::api::types::{AppEntry, Release};

pub(super) static APPS: [Column; 7] = [
    col("NAME", "名称"),
    col("LATEST", "最新版本"),
    col("RELEASES", "发布包数"),
    col("DEPLOYMENTS", "部署"),
    col("PUBLISHED", "发布于"),
    wide("DESCRIPTION", "说明"),
    wide("LABELS", "标签"),
];

pub(super) fn app(app: &AppEntry, view: View) -> Vec<String> {
    vec![
        app.metadata.name.clone(),
        app.status.latest.clone(),
        app.status.releases.to_string(),
        names(&app.status.deployments),
        view.since(app.metadata.updated),
        app.status.description.clone(),
        labels(&app.metadata.labels),
    ]
}

pub(super) static RELEASES: [Column; 9] = [
    col("NAME", "名称"),
    col("ID", "编号"),
    col("SIZE", "大小"),
    col("SERVICES", "服务"),
    col("DEPLOYMENTS", "部署"),
    col("AGE", "存在时间"),
    wide("PLATFORMS", "平台"),
    wide("SIGNED-BY", "签署者"),
    wide("LABELS", "标签"),
];

pub(super) fn release(release: &Release, view: View) -> Vec<String> {
    let platforms: BTreeSet<&str> = release.spec.images.values().flatten().map(|image| image.platform.as_str()).collect();
    vec![
        release.metadata.name.clone(),
        release.status.id.short(),
        bytes(release.status.size),
        names(release.spec.images.keys()),
        names(&release.status.deployments),
        view.since(release.metadata.created),
        names(platforms),
        names(&release.status.signed_by),
        labels(&release.metadata.labels),
    ]
}
