//! Values as people read them.

use shared::fault::Lang;
use shared::health::Health;
use shared::report::{Phase, ServiceState};
use shared::time::UnixMillis;

/// An app's state.
pub const fn phase(phase: Phase, lang: Lang) -> &'static str {
    let (en, zh) = match phase {
        Phase::Pending => ("pending", "等待中"),
        Phase::Fetching => ("fetching", "下载中"),
        Phase::Starting => ("starting", "启动中"),
        Phase::Running => ("running", "运行中"),
        Phase::Failing => ("failing", "异常"),
        Phase::Undone => ("undone", "已撤回"),
        Phase::Stopped => ("stopped", "已停止"),
        Phase::Leaving => ("leaving", "移除中"),
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

/// A span of time with its two largest units: `3 d 4 h`.
pub fn age(millis: u64, lang: Lang) -> String {
    let seconds = millis / 1000;
    let units = match lang {
        Lang::En => [" d", " h", " min", " s"],
        Lang::Zh => [" 天", " 小时", " 分", " 秒"],
    };
    let parts = [seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60, seconds % 60];
    let first = parts.iter().position(|part| *part != 0).unwrap_or(3);
    let shown = parts.iter().zip(units).skip(first).take(2).filter(|(part, _)| **part != 0);
    let text = shown.map(|(part, unit)| format!("{part}{unit}")).collect::<Vec<_>>().join(" ");
    if text.is_empty() { format!("0{}", units[3]) } else { text }
}

/// A number of bytes in the largest binary unit that leaves a whole part.
pub fn bytes(count: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let power = (0..4).take_while(|power| count >> (10 * (power + 1)) != 0).count();
    let unit = UNITS.get(power).copied().unwrap_or_default();
    let tenths = (u128::from(count) * 10) >> (10 * power);
    if power == 0 || tenths >= 1000 {
        format!("{} {unit}", tenths / 10)
    } else {
        format!("{}.{} {unit}", tenths / 10, tenths % 10)
    }
}

/// A point in time as RFC 3339 in UTC with seconds. The days are counted from a first of March, so that a leap day
/// is the last day of its year (H. Hinnant, "chrono-compatible low-level date algorithms").
pub fn time(at: UnixMillis) -> String {
    let seconds = at.0 / 1000;
    let (days, second) = (seconds / 86_400 + 719_468, seconds % 86_400);
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", second / 3600, second / 60 % 60, second % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_have_two_units_at_most() {
        for (millis, en, zh) in [
            (0, "0 s", "0 秒"),
            (59_999, "59 s", "59 秒"),
            (61_000, "1 min 1 s", "1 分 1 秒"),
            (3_600_000, "1 h", "1 小时"),
            (277_200_000, "3 d 5 h", "3 天 5 小时"),
            (86_400_000 + 5_000, "1 d", "1 天"),
        ] {
            assert_eq!((age(millis, Lang::En).as_str(), age(millis, Lang::Zh).as_str()), (en, zh));
        }
    }

    #[test]
    fn bytes_are_binary() {
        for (count, text) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (1536, "1.5 KiB"),
            (120 << 20, "120 MiB"),
            (u64::MAX, "16777215 TiB"),
        ] {
            assert_eq!(bytes(count), text);
        }
    }

    #[test]
    fn times_are_utc() {
        for (millis, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_400_000, "2000-02-29T00:00:00Z"),
            (1_795_263_907_123, "2026-11-21T12:25:07Z"),
            (4_107_542_399_999, "2100-02-28T23:59:59Z"),
        ] {
            assert_eq!(time(UnixMillis(millis)), text);
        }
    }
}
