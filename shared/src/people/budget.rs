//! Budgets of links, and what links carried.

use super::bytes;
use crate::budget::{Budget, Counts, Window};
use crate::fault::Lang;

/// A budget on one line: `1 MiB/s; 2 GiB a day; 22:00-06:00 (+08:00)`.
pub fn budget(budget: &Budget, lang: Lang) -> String {
    let pick = |en, zh| if lang == Lang::Zh { zh } else { en };
    let limit = |limit: Option<u64>, per| limit.map(|limit| format!("{}{per}", bytes(limit)));
    let windows: Vec<String> = budget.windows.iter().map(Window::to_string).collect();
    let parts = [
        limit(budget.rate, pick("/s", "/秒")),
        limit(budget.per_day, pick(" a day", "/天")),
        limit(budget.per_month, pick(" a month", "/月")),
        (!windows.is_empty()).then(|| windows.join(", ")),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    format!("{} ({})", parts.join("; "), budget.zone)
}

/// Bytes by class on one line: `12 MiB: images 11 MiB, logs 800 KiB, events 90 KiB, control 120 KiB`.
pub fn counts(counts: &Counts, lang: Lang) -> String {
    let Counts { control, events, logs, images } = counts;
    let [all, images, logs, events, control] = [counts.total(), *images, *logs, *events, *control].map(bytes);
    match lang {
        Lang::En => format!("{all}: images {images}, logs {logs}, events {events}, control {control}"),
        Lang::Zh => format!("{all}：镜像 {images}，日志 {logs}，事件 {events}，控制 {control}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_is_one_line() {
        let windows = vec!["22:00-06:00".parse().expect("window"), "sat,sun 00:00-24:00".parse().expect("window")];
        let zone = "+08:00".parse().expect("zone");
        let all = Budget { rate: Some(125_000), per_day: Some(2 << 30), per_month: Some(20 << 30), windows, zone };
        let en = "122 KiB/s; 2 GiB a day; 20 GiB a month; 22:00-06:00, sat,sun 00:00-24:00 (+08:00)";
        assert_eq!(budget(&all, Lang::En), en);
        let day = Budget { per_day: Some(1 << 20), ..Budget::default() };
        assert_eq!(budget(&day, Lang::Zh), "1 MiB/天 (+00:00)");
        let spent = Counts { control: 1, events: 2, logs: 3, images: 4096 };
        assert_eq!(counts(&spent, Lang::En), "4 KiB: images 4 KiB, logs 3 B, events 2 B, control 1 B");
        assert_eq!(counts(&spent, Lang::Zh), "4 KiB：镜像 4 KiB，日志 3 B，事件 2 B，控制 1 B");
    }
}
