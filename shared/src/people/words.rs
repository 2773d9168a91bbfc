//! States in the reader's language. JSON and YAML keep the words of the API.

use crate::fault::Lang;
use crate::health::Health;
use crate::report::{Phase, ServiceState};

/// An app's state.
pub const fn phase(phase: Phase, lang: Lang) -> &'static str {
    let (en, zh) = match phase {
        Phase::Pending => ("pending", "等待中"),
        Phase::Fetching => ("fetching", "拉取中"),
        Phase::Starting => ("starting", "启动中"),
        Phase::Running => ("running", "运行中"),
        Phase::Failing => ("failing", "异常"),
        Phase::Undone => ("undone", "已回退"),
        Phase::Stopped => ("stopped", "已停止"),
        Phase::Leaving => ("leaving", "移除中"),
        Phase::Fetched => ("fetched", "已就位"),
    };
    pick(lang, en, zh)
}

/// A service's state.
pub const fn state(state: ServiceState, lang: Lang) -> &'static str {
    let (en, zh) = match state {
        ServiceState::Waiting => ("waiting", "等待中"),
        ServiceState::Running => ("running", "运行中"),
        ServiceState::Restarting => ("restarting", "重启中"),
        ServiceState::Completed => ("completed", "已完成"),
        ServiceState::Failed => ("failed", "失败"),
        ServiceState::Stopped => ("stopped", "已停止"),
    };
    pick(lang, en, zh)
}

/// A service's health.
pub const fn health(health: Health, lang: Lang) -> &'static str {
    let (en, zh) = match health {
        Health::Unchecked => ("-", "-"),
        Health::Starting => ("starting", "检查中"),
        Health::Healthy => ("healthy", "健康"),
        Health::Unhealthy => ("unhealthy", "不健康"),
    };
    pick(lang, en, zh)
}

const fn pick(lang: Lang, en: &'static str, zh: &'static str) -> &'static str {
    match lang {
        Lang::En => en,
        Lang::Zh => zh,
    }
}
