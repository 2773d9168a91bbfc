//! `neighbours`.

use shared::fault::Lang;
use shared::people::{self, Table};

use super::client::Client;
use super::exit::Ended;
use super::out::Out;
use crate::neighbours::{Sharing, Standing, State};

pub async fn list(client: &Client, out: &mut Out) -> Result<(), Ended> {
    let sharing: Option<Sharing> = client.get("/v1/neighbours").await?;
    if out.is_json() {
        return out.json(&sharing);
    }
    let lang = out.lang();
    let Some(Sharing { address, neighbours, .. }) = sharing else {
        return out.line(out.pick(
            "This node shares no images with other nodes. To share them, write address = \"0.0.0.0:7448\" below [neighbours] in node.toml",
            "本节点不与其他节点共享镜像。如需共享，请在 node.toml 的 [neighbours] 下设置 address = \"0.0.0.0:7448\"",
        ));
    };
    let told = address.map_or_else(|| out.pick("not known yet", "尚未确定").to_owned(), |address| address.to_string());
    out.line(&format!("{}{told}", out.pick("Neighbours are told to reach this node at: ", "告知邻居节点的本机地址：")))?;
    if neighbours.is_empty() {
        return out.line(out.pick(
            "The hub names no neighbours. Those nodes are neighbours whose label site has the same value and that share images",
            "中心没有指定邻居节点。标签 site 的值相同且共享镜像的节点互为邻居节点",
        ));
    }
    let mut table = match lang {
        Lang::En => Table::new(["NEIGHBOUR", "ADDRESS", "STATE", "TAKEN", "GIVEN"]),
        Lang::Zh => Table::new(["邻居节点", "地址", "状态", "已取得", "已提供"]),
    };
    for Standing { neighbour, address, state, taken, given } in &neighbours {
        let state = self::state(state, lang);
        table.row([neighbour.to_string(), address.to_string(), state, people::bytes(*taken), people::bytes(*given)]);
    }
    out.table(&mut table)?;
    neighbours.iter().filter_map(|standing| standing.state.why()).try_for_each(|why| out.warn("", why))
}

/// One line for `status`.
pub fn summary(sharing: &Sharing, lang: Lang) -> String {
    let useless = sharing.neighbours.iter().filter(|standing| standing.state.why().is_some()).count();
    let (all, taken, given) = (sharing.neighbours.len(), people::bytes(sharing.taken), people::bytes(sharing.given));
    match (useless, lang) {
        (0, Lang::En) => format!("{all}; {taken} taken from them, {given} given"),
        (_, Lang::En) => format!("{all}, {useless} of no use; {taken} taken from them, {given} given"),
        (0, Lang::Zh) => format!("{all} 个；已取得 {taken}，已提供 {given}"),
        (_, Lang::Zh) => format!("{all} 个，其中 {useless} 个不可用；已取得 {taken}，已提供 {given}"),
    }
}

fn state(state: &State, lang: Lang) -> String {
    let age = |millis: u64| people::age(millis / 1000, lang);
    match (state, lang) {
        (State::Unasked, Lang::En) => "not asked yet".into(),
        (State::Unasked, Lang::Zh) => "尚未询问".into(),
        (State::Useful { asked_ms }, Lang::En) => format!("of use {} ago", age(*asked_ms)),
        (State::Useful { asked_ms }, Lang::Zh) => format!("可用（{}前）", age(*asked_ms)),
        (State::Useless { asked_ms, aside_ms: 0, .. }, Lang::En) => format!("of no use {} ago", age(*asked_ms)),
        (State::Useless { asked_ms, aside_ms: 0, .. }, Lang::Zh) => format!("不可用（{}前）", age(*asked_ms)),
        (State::Useless { aside_ms, .. }, Lang::En) => format!("left aside for {}", age(*aside_ms)),
        (State::Useless { aside_ms, .. }, Lang::Zh) => format!("搁置（还有 {}）", age(*aside_ms)),
    }
}
