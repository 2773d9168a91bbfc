//! States in the reader's language. JSON and YAML always keep the API's own words.

use shared::fault::Lang;

/// The API's word, English, Chinese.
static WORDS: &[(&str, &str, &str)] = &[
    // Phases of an app.
    ("pending", "pending", "等待中"),
    ("fetching", "fetching", "拉取中"),
    ("starting", "starting", "启动中"),
    ("running", "running", "运行中"),
    ("failing", "failing", "故障"),
    ("undone", "undone", "已撤销"),
    ("stopped", "stopped", "已停止"),
    ("leaving", "leaving", "移除中"),
    ("unknown", "unknown", "未知"),
    // States of a service.
    ("waiting", "waiting", "等待中"),
    ("restarting", "restarting", "重启中"),
    ("completed", "completed", "已完成"),
    ("failed", "failed", "已失败"),
    // Health.
    ("unchecked", "-", "-"),
    ("healthy", "healthy", "健康"),
    ("unhealthy", "unhealthy", "不健康"),
    // Nodes.
    ("connected", "connected", "已连接"),
    ("disconnected", "disconnected", "未连接"),
    ("offline", "offline", "离线"),
    ("revoked", "revoked", "已吊销"),
    ("never", "never seen", "从未上线"),
    ("in-sync", "in sync", "已同步"),
    ("behind", "behind", "待同步"),
    ("ready", "ready", "就绪"),
    ("accepted", "accepted", "已接受"),
    ("deleted", "deleted", "已删除"),
    // Roles.
    ("viewer", "viewer", "查看"),
    ("operator", "operator", "操作"),
    ("admin", "admin", "管理"),
    // Answers.
    ("yes", "yes", "是"),
    ("no", "no", "否"),
    ("all", "all nodes", "所有节点"),
];

/// The word in `lang`; a newer hub's word stays as it is.
pub(super) fn word(lang: Lang, api: &str) -> String {
    let found = WORDS.iter().find(|(known, ..)| *known == api);
    let text = found.map_or(api, |(_, en, zh)| if lang == Lang::Zh { zh } else { en });
    super::plain::plain(text)
}

/// The word of a value that the API writes as one.
pub(super) fn word_of(lang: Lang, value: impl serde::Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(text)) => word(lang, &text),
        Ok(_) | Err(_) => word(lang, "unknown"),
    }
}

#[cfg(test)]
mod tests {
    use shared::report::Phase;

    use super::*;

    #[test]
    fn states_are_said_in_the_readers_language() {
        assert_eq!(word_of(Lang::Zh, Phase::Undone), "已撤销");
        assert_eq!(word_of(Lang::En, Phase::Running), "running");
        assert_eq!(word(Lang::Zh, "moonlit"), "moonlit");
        assert_eq!(word(Lang::En, "a\u{1b}[2J"), "a·[2J");
    }

    #[test]
    fn no_word_stands_twice() {
        let all: std::collections::BTreeSet<&str> = WORDS.iter().map(|(api, ..)| *api).collect();
        assert_eq!(all.len(), WORDS.len());
    }
}
