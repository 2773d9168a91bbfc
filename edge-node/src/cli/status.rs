//! `status` and `version`.

use shared::fault::Lang;
use shared::people::{self, Table};

use super::client::Client;
use super::exit::Ended;
use super::neighbours::summary;
use super::out::Out;
use crate::api::{Hub, Status, TransferView};

pub async fn run(client: &Client, out: &mut Out) -> Result<(), Ended> {
    let status: Status = client.get("/v1/status").await?;
    if out.is_json() {
        return out.json(&status);
    }
    let lang = out.lang();
    let Status { node, hub, accepted, facts, wall, uptime_ms, apps, transfers, faults, carried, neighbours } = &status;
    let runtime = if facts.runtime.is_empty() { out.pick("not reached", "未连接").to_owned() } else { facts.runtime.clone() };
    let mut table = Table::default();
    table.row([out.pick("Node", "节点").into(), node.to_string()]);
    table.row([out.pick("Hub", "中心").into(), hub.url.clone()]);
    table.row([out.pick("Link", "连接").into(), link(hub, lang)]);
    table.row([out.pick("Confirmed", "上次确认").into(), confirmed(hub, lang)]);
    table.row([out.pick("Accepted", "已接受状态").into(), accepted.to_string()]);
    table.row([out.pick("Apps", "应用数").into(), apps.to_string()]);
    for TransferView { transfer, seconds_left } in transfers {
        let said = people::transfer(transfer, *seconds_left, lang);
        table.row([out.pick("Image on its way", "传输中的镜像").into(), format!("{}: {said}", transfer.image.short())]);
    }
    table.row([out.pick("Runtime", "容器运行时").into(), runtime]);
    table.row([out.pick("Version", "版本").into(), facts.version.clone()]);
    table.row([out.pick("Disk free", "可用磁盘").into(), people::bytes(facts.disk_free)]);
    table.row([out.pick("Clock", "时钟").into(), people::rfc3339(*wall)]);
    table.row([out.pick("Booted", "开机").into(), ago(*uptime_ms, lang)]);
    if let Some(budget) = &carried.budget {
        table.row([out.pick("Link budget", "链路预算").into(), people::budget(budget, lang)]);
    }
    table.row([out.pick("Carried today", "当日流量").into(), people::counts(&carried.today, lang)]);
    table.row([out.pick("This month", "当月流量").into(), people::counts(&carried.month, lang)]);
    if carried.paused.all {
        let text = out.pick("paused here; go on with: edge-node resume", "已在本机暂停；恢复请执行 edge-node resume");
        table.row([out.pick("Transfers", "传输"), text]);
    }
    if let Some(sharing) = neighbours {
        table.row([out.pick("Neighbours", "邻居节点").into(), summary(sharing, lang)]);
    }
    out.table(&mut table)?;
    for fault in hub.trouble.iter().chain(faults) {
        out.warn("", fault)?;
    }
    Ok(())
}

fn link(hub: &Hub, lang: Lang) -> String {
    let age = people::age(hub.since_ms / 1000, lang);
    match (hub.online, lang) {
        (true, Lang::En) => format!("online for {age}"),
        (true, Lang::Zh) => format!("在线（已 {age}）"),
        (false, Lang::En) => format!("offline for {age}"),
        (false, Lang::Zh) => format!("离线（已 {age}）"),
    }
}

fn confirmed(hub: &Hub, lang: Lang) -> String {
    match (hub.confirmed_ms, lang) {
        (Some(age), _) => ago(age, lang),
        (None, Lang::En) => "never since the daemon started".into(),
        (None, Lang::Zh) => "守护进程启动后尚未确认".into(),
    }
}

fn ago(millis: u64, lang: Lang) -> String {
    let age = people::age(millis / 1000, lang);
    match lang {
        Lang::En => format!("{age} ago"),
        Lang::Zh => format!("{age}前"),
    }
}

/// The version of this program; that of the daemon is in `status`.
pub fn version(out: &mut Out) -> Result<(), Ended> {
    let version = env!("CARGO_PKG_VERSION");
    if out.is_json() { out.json(&serde_json::json!({ "version": version })) } else { out.line(&format!("edge-node {version}")) }
}
