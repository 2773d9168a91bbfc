//! The page of a release.

use shared::people::{Dollars, bytes, rfc3339, yaml};

use super::super::super::page::Page;
use super::super::super::rows::{View, labels, names};
use super::super::super::table::{Column, col};
use crate::api::types::Release;

static IMAGES: [Column; 4] = [col("SERVICE", "服务"), col("PLATFORM", "平台"), col("SIZE", "大小"), col("DIGEST", "摘要")];

pub(super) fn release(page: &mut Page, release: &Release, _view: View) {
    page.field("Name", "名称", &release.metadata.name);
    page.field("Id", "编号", release.status.id);
    page.field("Labels", "标签", labels(&release.metadata.labels));
    page.field("Signed by", "签署者", names(&release.status.signed_by));
    page.field("Published", "发布时间", rfc3339(release.metadata.created));
    page.field("Size", "大小", bytes(release.status.size));
    page.field("Deployments", "部署", names(&release.status.deployments));
    page.section("Images", "镜像");
    let rows = release.spec.images.iter().flat_map(|(service, images)| {
        images.iter().map(|image| vec![service.to_string(), image.platform.clone(), bytes(image.size), image.digest.to_string()])
    });
    page.table(&IMAGES, &rows.collect::<Vec<_>>());
    if let Some(manifest) = &release.spec.manifest {
        page.section("Manifest", "清单");
        page.lines(yaml(manifest, Dollars::Doubled).lines().map(str::to_owned));
    }
}
