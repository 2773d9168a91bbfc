//! `df`: what takes the disk.

use shared::fault::Lang;
use shared::people::{self, Table, bytes};

use super::client::Client;
use super::exit::Ended;
use super::out::Out;
use crate::disk::{DiskUse, ImageUse, Need, Place, ServiceUse};
use crate::reserve::SIZE;

pub async fn run(client: &Client, out: &mut Out) -> Result<(), Ended> {
    let disk: DiskUse = client.get("/v1/disk").await?;
    if out.is_json() {
        return out.json(&disk);
    }
    let lang = out.lang();
    let mut table = match lang {
        Lang::En => Table::new(["IMAGE", "NEED", "USED BY", "PACKS", "UNPACKED", "ITS OWN"]),
        Lang::Zh => Table::new(["镜像", "用途", "使用者", "分层包", "解包后", "独占"]),
    };
    for image in &disk.images {
        table.row(cells(image, lang));
    }
    out.table(&mut table)?;
    out.line("")?;
    let mut table = match lang {
        Lang::En => Table::new(["KIND", "BYTES", ""]),
        Lang::Zh => Table::new(["类别", "大小", ""]),
    };
    kinds(&disk, &mut table, out);
    for place in &disk.places {
        table.row([out.pick("Free", "可用").into(), bytes(place.free), self::place(place, lang)]);
    }
    out.table(&mut table)?;
    if !disk.complete {
        out.line(out.pick(
            "! There are more files than were counted: the disk holds more than this.",
            "! 文件过多，未能全部统计：实际占用大于以上数值。",
        ))?;
    }
    disk.faults.iter().try_for_each(|fault| out.warn("", fault))
}

fn cells(image: &ImageUse, lang: Lang) -> [String; 6] {
    let unpacked = image.unpacked.map_or_else(|| "-".into(), bytes);
    [image.image.short(), need(image.need, lang).into(), users(&image.uses), bytes(image.packs), unpacked, bytes(image.own)]
}

/// App, version and services of each release: `shop 1.2.0 (web, db)`.
fn users(uses: &[ServiceUse]) -> String {
    let mut users: Vec<(String, Vec<&str>)> = Vec::new();
    for one in uses {
        let release = format!("{} {}", one.app, one.version);
        match users.iter_mut().find(|(known, _)| *known == release) {
            Some((_, services)) => services.push(one.service.as_str()),
            None => users.push((release, vec![one.service.as_str()])),
        }
    }
    users.into_iter().map(|(release, services)| format!("{release} ({})", services.join(", "))).collect::<Vec<_>>().join("; ")
}

fn kinds(disk: &DiskUse, table: &mut Table, out: &Out) {
    let kinds = &disk.kinds;
    let compared = disk.overhead.map(|both| {
        let part = people::percent(both.packs, both.unpacked);
        match out.lang() {
            Lang::En => format!("{part} of the files unpacked from them"),
            Lang::Zh => format!("为其解包后文件的 {part}"),
        }
    });
    let some = |bytes: Option<u64>| bytes.map_or_else(|| "-".into(), people::bytes);
    let mut row = |en, zh, bytes: String, note: String| table.row([out.pick(en, zh).into(), bytes, note]);
    row("Packs", "分层包", bytes(kinds.packs), compared.unwrap_or_default());
    row("Unpacked layers", "解包后的层", some(kinds.unpacked), String::new());
    row("Patches", "补丁", bytes(kinds.patches), patches(disk, out.lang()));
    row("Manifests and configs", "镜像清单与配置", bytes(kinds.documents), String::new());
    row("Files of containers", "容器写入的文件", some(kinds.containers), String::new());
    row("Volumes", "卷", bytes(kinds.volumes), String::new());
    for volume in &disk.volumes {
        row("  volume", "  卷", bytes(volume.bytes), format!("{}/{}", volume.app, volume.volume));
    }
    row("Logs", "日志", bytes(kinds.logs), String::new());
    row("State", "节点状态", bytes(kinds.store), String::new());
    row("Kept for the state", "为节点状态预留", bytes(kinds.reserve), kept(kinds.reserve, out.lang()));
}

fn kept(left: u64, lang: Lang) -> String {
    match (left < SIZE, lang) {
        (false, Lang::En) => "for when the disk is full".into(),
        (false, Lang::Zh) => "磁盘写满时使用".into(),
        (true, Lang::En) => format!("of {}: the disk was full", bytes(SIZE)),
        (true, Lang::Zh) => format!("应为 {}：磁盘曾写满", bytes(SIZE)),
    }
}

fn patches(disk: &DiskUse, lang: Lang) -> String {
    let (count, arrived, total) = (disk.patches.count, bytes(disk.patches.arrived), bytes(disk.patches.total));
    match (count, lang) {
        (0, _) => String::new(),
        (_, Lang::En) => format!("{count} on their way: {arrived} of {total} arrived"),
        (_, Lang::Zh) => format!("{count} 个传输中：{total} 中已到 {arrived}"),
    }
}

fn place(place: &Place, lang: Lang) -> String {
    let (path, size, reserve) = (place.path.display(), bytes(place.size), bytes(place.reserve));
    match lang {
        Lang::En => format!("of {size} at {path}; images leave {reserve} free"),
        Lang::Zh => format!("{path} 所在磁盘共 {size}，镜像须留出 {reserve}"),
    }
}

const fn need(need: Need, lang: Lang) -> &'static str {
    match (need, lang) {
        (Need::Running, Lang::En) => "running",
        (Need::Running, Lang::Zh) => "运行中",
        (Need::Wanted, Lang::En) => "wanted",
        (Need::Wanted, Lang::Zh) => "已就绪",
        (Need::Awaited, Lang::En) => "awaited",
        (Need::Awaited, Lang::Zh) => "等待中",
        (Need::Next, Lang::En) => "prefetched",
        (Need::Next, Lang::Zh) => "已预取",
        (Need::LastGood, Lang::En) => "last good",
        (Need::LastGood, Lang::Zh) => "上一个正常",
        (Need::Unneeded, Lang::En) => "not needed",
        (Need::Unneeded, Lang::Zh) => "不再需要",
    }
}
