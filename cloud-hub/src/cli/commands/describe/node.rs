//! The page of a node.

use std::net::SocketAddr;

use shared::fault::Fault;
use shared::neighbour::SITE;
use shared::people::{self, bytes, rfc3339};
use shared::report;

use super::super::super::page::Page;
use super::super::super::rows::{self, View, labels, problem};
use super::super::super::table::{Column, col};
use super::super::super::words::word;
use crate::api::types::{AppStatus, Facts, NextStatus, Node, ServiceStatus, Stamp, Transfer};

static WANTED: [Column; 4] = [col("APP", "应用"), col("RELEASE", "发布包"), col("DEPLOYMENT", "部署"), col("RUN", "运行")];
static SERVICES: [Column; 7] = [
    col("APP", "应用"),
    col("SERVICE", "服务"),
    col("STATE", "状态"),
    col("HEALTH", "健康"),
    col("RESTARTS", "重启"),
    col("RUNNING", "已运行"),
    col("EXIT", "退出码"),
];
static NEIGHBOURS: [Column; 2] = [col("NEIGHBOUR", "邻居"), col("ADDRESS", "地址")];
static APPS: [Column; 4] = [col("APP", "应用"), col("VERSION", "版本"), col("PHASE", "阶段"), col("LAST GOOD", "上一个正常")];
static NEXT: [Column; 3] = [col("APP", "应用"), col("VERSION", "版本"), col("PHASE", "阶段")];

pub(super) fn page(page: &mut Page, node: &Node, view: View) {
    let status = &node.status;
    page.field("Name", "名称", &node.metadata.name);
    page.field("Labels", "标签", labels(&node.metadata.labels));
    page.field_some("Site", "站点", node.metadata.labels.get(SITE));
    page.field("Status", "状态", word(view.lang, rows::node::status(node)));
    page.field_some("Since", "自", status.since.map(rfc3339));
    page.field_some("Last seen", "最近联系", status.last_seen_seconds.map(|seconds| view.age(seconds)));
    page.field("Wanted state", "期望状态", stamp(status.wanted));
    page.field_some("Accepted state", "已接受状态", status.accepted.map(stamp));
    page.field_some("Certificate", "证书", node.spec.certificate.map(|digest| digest.short()));
    let budget = node.spec.budget.as_ref();
    page.field_some(
        "Link budget",
        "链路预算",
        budget.map(|b| format!("{}: {}", b.budget, rows::budget::limits(&b.limits, view.lang))),
    );
    // Everything from here on is as old as this.
    page.field_some("Report age", "报告时间", status.age_seconds.map(|seconds| view.age(seconds)));
    if let Some(facts) = &status.facts {
        self::facts(page, facts, view);
    }
    if let Some(carried) = status.carried {
        page.field("Carried today", "当日流量", people::counts(&carried.today.into(), view.lang));
        page.field("This month", "当月流量", people::counts(&carried.month.into(), view.lang));
    }
    if !node.spec.apps.is_empty() {
        page.section("Wanted apps", "期望的应用");
        let row = |(app, wanted): (&shared::id::Name, &crate::api::types::NodeAssignment)| {
            let run = word(view.lang, if wanted.run { "yes" } else { "no" });
            vec![app.to_string(), wanted.release.short(), wanted.deployment.to_string(), run]
        };
        page.table(&WANTED, &node.spec.apps.iter().map(row).collect::<Vec<_>>());
    }
    if !node.spec.neighbours.is_empty() {
        page.section("Neighbours", "邻居");
        let row = |(name, address): (&shared::id::Name, &SocketAddr)| vec![name.to_string(), address.to_string()];
        page.table(&NEIGHBOURS, &node.spec.neighbours.iter().map(row).collect::<Vec<_>>());
    }
    apps(page, &status.apps, view);
    if !status.next.is_empty() {
        page.section("Prefetched", "预取");
        page.table(&NEXT, &status.next.iter().map(|next| self::next(next, view)).collect::<Vec<_>>());
    }
    if !status.transfers.is_empty() {
        page.section("Images on their way", "传输中的镜像");
        page.lines(status.transfers.iter().map(|transfer| self::transfer(transfer, view)));
    }
    let of_apps = status.apps.iter().filter_map(|app| app.fault.as_ref().map(|fault| (Some(&app.app), fault)));
    let faults: Vec<_> = status.faults.iter().map(|fault| (None, fault)).chain(of_apps).collect();
    if !faults.is_empty() {
        page.section("Problems", "问题");
        page.lines(faults.into_iter().map(|(app, fault)| match app {
            Some(app) => format!("{app}: {}", problem(fault, view.lang)),
            None => problem(fault, view.lang),
        }));
    }
}

fn transfer(transfer: &Transfer, view: View) -> String {
    let Transfer { image, done, total, taken, rate, reused, seconds_left, ref waits } = *transfer;
    let waits = waits.as_ref().map(|why| Fault { code: why.code.clone(), params: why.params.clone() });
    let moving = people::transfer(&report::Transfer { image, done, total, taken, rate, reused, waits }, seconds_left, view.lang);
    format!("{}  {moving}", image.short())
}

fn next(next: &NextStatus, view: View) -> Vec<String> {
    vec![next.app.to_string(), next.version.clone(), people::phase(next.phase, view.lang).into()]
}

fn stamp(stamp: Stamp) -> String {
    format!("{}.{}", stamp.epoch, stamp.generation)
}

fn facts(page: &mut Page, facts: &Facts, view: View) {
    page.field("Version", "版本", &facts.version);
    page.field("Platform", "平台", &facts.platform);
    page.field("containerd", "containerd", &facts.runtime);
    page.field("Up for", "开机时间", view.age(facts.uptime_seconds));
    page.field("Processors", "处理器", facts.cpus);
    page.field("Memory", "内存", bytes(facts.memory));
    page.field("Disk free", "可用磁盘", bytes(facts.disk_free));
    page.field_some("Shares images at", "镜像共享地址", facts.address);
}

fn apps(page: &mut Page, apps: &[AppStatus], view: View) {
    if apps.is_empty() {
        return;
    }
    page.section("Apps", "应用");
    page.table(&APPS, &apps.iter().map(|app| self::app(app, view)).collect::<Vec<_>>());
    page.section("Services", "服务");
    let rows = apps.iter().flat_map(|app| app.services.iter().map(|service| self::service(app, service, view)));
    page.table(&SERVICES, &rows.collect::<Vec<_>>());
}

fn app(app: &AppStatus, view: View) -> Vec<String> {
    let good = app.good.as_ref().map(|good| good.version.clone()).unwrap_or_default();
    vec![app.app.to_string(), app.version.clone(), people::phase(app.phase, view.lang).into(), good]
}

fn service(app: &AppStatus, service: &ServiceStatus, view: View) -> Vec<String> {
    let exit = service.exit.map(|code| if service.oom { format!("{code} (OOM)") } else { code.to_string() });
    vec![
        app.app.to_string(),
        service.service.to_string(),
        people::state(service.state, view.lang).into(),
        people::health(service.health, view.lang).into(),
        service.restarts.to_string(),
        service.running_seconds.map(|seconds| view.age(seconds)).unwrap_or_default(),
        exit.unwrap_or_default(),
    ]
}
