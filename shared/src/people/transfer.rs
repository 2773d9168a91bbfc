//! How far an image is, in words.

use super::{age, bytes, percent};
use crate::fault::Lang;
use crate::report::Transfer;

/// One image on its way: `12 MiB of 30 MiB (40.0 %), 1.2 MiB/s, 15s left; 260 MiB reused`. `left` is
/// [`Transfer::seconds_left`].
pub fn transfer(transfer: &Transfer, left: Option<u64>, lang: Lang) -> String {
    let Transfer { done, total, taken, rate, reused, waits, .. } = transfer;
    let waits = waits.as_ref().map(|fault| format!("{} [{}]", fault.text(lang), fault.code));
    if *total == 0 {
        let begun = match lang {
            Lang::En => "not begun",
            Lang::Zh => "尚未开始",
        };
        return waits.map_or_else(|| begun.into(), |waits| format!("{begun}: {waits}"));
    }
    let (part, done, total, rate) = (percent(*done, *total), bytes(*done), bytes(*total), bytes(*rate));
    let (left, reused) = (time_left(left, lang), bytes(*reused));
    let reused = match (*taken, lang) {
        (0, Lang::En) => format!("{reused} reused"),
        (0, Lang::Zh) => format!("复用 {reused}"),
        (taken, Lang::En) => format!("{} from neighbours, {reused} reused", bytes(taken)),
        (taken, Lang::Zh) => format!("来自邻居节点 {}，复用 {reused}", bytes(taken)),
    };
    match (waits, lang) {
        (Some(waits), Lang::En) => format!("{done} of {total} ({part}); {reused}; {waits}"),
        (Some(waits), Lang::Zh) => format!("{total} 中已到 {done}（{part}）；{reused}；{waits}"),
        (None, Lang::En) => format!("{done} of {total} ({part}), {rate}/s, {left}; {reused}"),
        (None, Lang::Zh) => format!("{total} 中已到 {done}（{part}），{rate}/s，{left}；{reused}"),
    }
}

/// The time that is left, or that nobody can say.
pub fn time_left(left: Option<u64>, lang: Lang) -> String {
    match (left.map(|seconds| age(seconds, lang)), lang) {
        (Some(left), Lang::En) => format!("{left} left"),
        (Some(left), Lang::Zh) => format!("剩余 {left}"),
        (None, Lang::En) => "time left unknown".into(),
        (None, Lang::Zh) => "剩余时间未知".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::{Fault, budget, node};
    use crate::id::Digest;

    #[test]
    fn it_is_said_what_is_known() {
        let moving = Transfer {
            image: Digest::of(b"i"),
            done: 12 << 20,
            total: 30 << 20,
            taken: 0,
            rate: 1_280_000,
            reused: 260 << 20,
            waits: None,
        };
        let say = |of: &Transfer, online, lang| transfer(of, of.seconds_left(online), lang);
        for (of, online, en, zh) in [
            (
                moving.clone(),
                true,
                "12 MiB of 30 MiB (40.0 %), 1.2 MiB/s, 15s left; 260 MiB reused",
                "30 MiB 中已到 12 MiB（40.0 %），1.2 MiB/s，剩余 15 秒；复用 260 MiB",
            ),
            (
                moving.clone(),
                false,
                "12 MiB of 30 MiB (40.0 %), 1.2 MiB/s, time left unknown; 260 MiB reused",
                "30 MiB 中已到 12 MiB（40.0 %），1.2 MiB/s，剩余时间未知；复用 260 MiB",
            ),
            (
                Transfer { waits: Some(Fault::new(&budget::PAUSED)), ..moving.clone() },
                true,
                "12 MiB of 30 MiB (40.0 %); 260 MiB reused; ",
                "30 MiB 中已到 12 MiB（40.0 %）；复用 260 MiB；",
            ),
            (
                Transfer { taken: 9 << 20, waits: Some(Fault::new(&node::NEIGHBOUR_GIVES)), ..moving.clone() },
                true,
                "12 MiB of 30 MiB (40.0 %); 9 MiB from neighbours, 260 MiB reused; ",
                "30 MiB 中已到 12 MiB（40.0 %）；来自邻居节点 9 MiB，复用 260 MiB；",
            ),
            (
                Transfer { taken: 9 << 20, ..moving.clone() },
                true,
                "12 MiB of 30 MiB (40.0 %), 1.2 MiB/s, 15s left; 9 MiB from neighbours, 260 MiB reused",
                "30 MiB 中已到 12 MiB（40.0 %），1.2 MiB/s，剩余 15 秒；来自邻居节点 9 MiB，复用 260 MiB",
            ),
            (Transfer { done: 0, total: 0, rate: 0, ..moving }, true, "not begun", "尚未开始"),
        ] {
            for (lang, begins) in [(Lang::En, en), (Lang::Zh, zh)] {
                let why = of.waits.as_ref().map(|fault| format!("{} [{}]", fault.text(lang), fault.code)).unwrap_or_default();
                assert_eq!(say(&of, online, lang), format!("{begins}{why}"));
            }
        }
    }
}
