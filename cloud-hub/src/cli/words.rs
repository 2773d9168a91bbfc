//! Words of the API in the reader's language; those of apps and services are [`shared::people`]'s. JSON and YAML always
//! keep the API's own words.

use serde::Deserialize;
use serde::de::IntoDeserializer;
use serde::de::value::Error;
use shared::fault::Lang;
use shared::people;
use shared::report::Phase;

/// The API's word, English, Chinese.
static WORDS: &[(&str, &str, &str)] = &[
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
    // Layers.
    ("unchanged", "unchanged", "不变"),
    ("patch", "patch", "补丁"),
    ("cold", "whole", "完整"),
    // Roles.
    ("viewer", "viewer", "查看"),
    ("operator", "operator", "操作"),
    ("admin", "admin", "管理"),
    // Answers.
    ("yes", "yes", "是"),
    ("no", "no", "否"),
    ("all", "all nodes", "所有节点"),
    ("prefetch", "prefetch only", "仅预取"),
    ("unknown", "unknown", "未知"),
];

/// The word in `lang`; a newer hub's word stays as it is.
pub(super) fn word(lang: Lang, api: &str) -> String {
    let found = WORDS.iter().find(|(known, ..)| *known == api);
    let text = found.map_or(api, |(_, en, zh)| if lang == Lang::Zh { zh } else { en });
    people::plain(text)
}

/// The word of an app's phase, which is none while a node has not reported.
pub(super) fn phase(lang: Lang, api: &str) -> String {
    let known = Phase::deserialize(IntoDeserializer::<Error>::into_deserializer(api));
    known.map_or_else(|_| word(lang, api), |phase| people::phase(phase, lang).into())
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
    use super::*;

    #[test]
    fn states_are_said_in_the_readers_language() {
        assert_eq!(phase(Lang::Zh, "undone"), "已回退");
        assert_eq!(phase(Lang::En, "running"), "running");
        assert_eq!(phase(Lang::Zh, "unknown"), "未知");
        assert_eq!(phase(Lang::Zh, "moonlit"), "moonlit");
        assert_eq!(word(Lang::En, "a\u{1b}[2J"), "a·[2J");
    }

    #[test]
    fn no_word_stands_twice() {
        let all: std::collections::BTreeSet<&str> = WORDS.iter().map(|(api, ..)| *api).collect();
        assert_eq!(all.len(), WORDS.len());
    }
}
