//! Spans of time.

use crate::fault::Lang;

/// A span of time in its two largest units, as `kubectl` writes ages: `3d4h`, `1m30s`; in Chinese `3 天 4 小时`.
pub fn age(seconds: u64, lang: Lang) -> String {
    let (units, between) = match lang {
        Lang::En => (["d", "h", "m", "s"], ""),
        Lang::Zh => ([" 天", " 小时", " 分", " 秒"], " "),
    };
    let parts = [seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60, seconds % 60];
    let first = parts.iter().position(|part| *part != 0).unwrap_or(3);
    let shown = parts.iter().zip(units).enumerate().skip(first).take(2);
    let shown = shown.filter(|(n, (part, _))| *n == first || **part != 0);
    shown.map(|(_, (part, unit))| format!("{part}{unit}")).collect::<Vec<_>>().join(between)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_have_two_units_at_most() {
        for (seconds, en, zh) in [
            (0, "0s", "0 秒"),
            (59, "59s", "59 秒"),
            (61, "1m1s", "1 分 1 秒"),
            (3600, "1h", "1 小时"),
            (277_200, "3d5h", "3 天 5 小时"),
            (86_405, "1d", "1 天"),
            (34_560_000, "400d", "400 天"),
        ] {
            assert_eq!((age(seconds, Lang::En).as_str(), age(seconds, Lang::Zh).as_str()), (en, zh));
        }
    }
}
