use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::time::UnixMillis;

/// 2026-11-21 00:00 UTC, a Saturday.
const SATURDAY: u64 = 1_795_219_200_000;
const MINUTE: u64 = 60_000;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

fn at(millis: u64) -> UnixMillis {
    UnixMillis(SATURDAY + millis)
}

fn windows(texts: &[&str], zone: &str) -> Budget {
    let windows = texts.iter().map(|text| text.parse().expect(text)).collect();
    Budget { windows, zone: zone.parse().expect(zone), ..Budget::default() }
}

fn waits(budget: &Budget, spent: &Spent, now: UnixMillis) -> Option<(UnixMillis, Why)> {
    match permit(budget, spent, now) {
        Permit::Now(_) => None,
        Permit::Wait(wait) => Some((wait.until, wait.why)),
    }
}

#[test]
fn windows_and_zones_are_read_as_they_are_written() {
    for (text, written) in [
        ("22:00-06:00", Some("22:00-06:00")),
        (" mon-fri 22:00-24:00 ", Some("mon,tue,wed,thu,fri 22:00-24:00")),
        ("Sat,sun 00:00-24:00", Some("sat,sun 00:00-24:00")),
        ("mon-sun 01:02-03:04", Some("01:02-03:04")),
        ("22:00", None),
        ("22:00-22:00", None),
        ("24:00-06:00", None),
        ("22:00-24:01", None),
        ("22:60-23:00", None),
        ("2:00-3:00", None),
        ("fri-mon 22:00-23:00", None),
        ("someday 22:00-23:00", None),
        ("", None),
    ] {
        let read = text.parse::<Window>();
        assert_eq!(read.as_ref().ok().map(ToString::to_string).as_deref(), written, "{text:?}");
        if let Ok(window) = read {
            assert_eq!(window.to_string().parse(), Ok(window));
            let (days, from, to) = window.numbers();
            assert_eq!(Window::new(days, from, to), Ok(window));
        }
    }
    for (text, minutes) in
        [("+08:00", Some(480)), ("-03:30", Some(-210)), ("Z", Some(0)), ("+14:00", Some(840)), ("+14:01", None), ("8", None)]
    {
        assert_eq!(text.parse::<Zone>().ok().map(Zone::minutes), minutes, "{text}");
    }
    assert!(Window::new(0x80, 0, 1).is_err() && Window::new(0, 0, 1).is_err() && Zone::new(-721).is_err());
}

#[test]
fn a_window_is_open_between_its_times_on_its_days() {
    for (texts, zone, minutes, opens) in [
        (&["22:00-06:00"][..], "+00:00", 5 * 60 + 59, None),
        (&["22:00-06:00"], "+00:00", 6 * 60, Some(22 * 60)),
        (&["22:00-06:00"], "+00:00", 22 * 60, None),
        // At noon in UTC it is 20:00 at the site.
        (&["22:00-06:00"], "+08:00", 12 * 60, Some(14 * 60)),
        (&["22:00-06:00"], "+08:00", 14 * 60, None),
        // Saturday's early morning belongs to Friday's window.
        (&["fri 22:00-06:00"], "+00:00", 60, None),
        (&["sat 22:00-06:00"], "+00:00", 60, Some(22 * 60)),
        (&["mon 00:00-24:00"], "+00:00", 0, Some(2 * 24 * 60)),
        (&["sat 00:00-01:00"], "+00:00", 60, Some(7 * 24 * 60)),
        (&["sun 03:00-04:00", "12:00-13:00"], "+00:00", 60, Some(12 * 60)),
    ] {
        let found = waits(&windows(texts, zone), &Spent::default(), at(minutes * MINUTE));
        assert_eq!(found, opens.map(|minutes| (at(minutes * MINUTE), Why::Window)), "{texts:?} {zone} {minutes}");
    }
}

#[test]
fn quotas_are_those_of_the_sites_days_and_months() {
    let budget =
        Budget { per_day: Some(1000), per_month: Some(1500), zone: "+08:00".parse().expect("zone"), ..Budget::default() };
    let mut spent = Spent::default();
    spent.pass(budget.zone, at(0), Duration::ZERO);
    assert_eq!(permit(&budget, &spent, at(0)), Permit::Now(1000));
    spent.count(Class::Images, 900);
    spent.count(Class::Control, 50);
    assert_eq!(permit(&budget, &spent, at(0)), Permit::Now(50));
    spent.count(Class::Logs, 60);
    assert_eq!(waits(&budget, &spent, at(0)), Some((at(16 * HOUR), Why::Day(1000))), "midnight in China");
    spent.pass(budget.zone, at(16 * HOUR), Duration::from_secs(16 * 3600));
    assert_eq!(permit(&budget, &spent, at(16 * HOUR)), Permit::Now(490), "what the month leaves");
    spent.count(Class::Images, 1000);
    let december = (at(9 * DAY + 16 * HOUR), Why::Month(1500));
    assert_eq!(waits(&budget, &spent, at(17 * HOUR)), Some(december), "the longer reason is named");
    assert_eq!(budget.zone.show(december.0), "2026-12-01 00:00 +08:00");
    spent.pass(budget.zone, december.0, Duration::ZERO);
    assert_eq!(permit(&budget, &spent, december.0), Permit::Now(1000));
}

#[test]
fn a_reason_is_told_in_both_languages() {
    use crate::fault::Lang;
    let budget = Budget { per_day: Some(1 << 20), zone: "+08:00".parse().expect("zone"), ..Budget::default() };
    let mut spent = Spent::default();
    spent.pass(budget.zone, at(0), Duration::ZERO);
    spent.count(Class::Images, 1 << 20);
    let Permit::Wait(wait) = permit(&budget, &spent, at(0)) else { panic!("all is used") };
    let fault = wait.fault(&budget, &spent);
    let en = "The link's bytes of the day are used (1 MiB of 1 MiB); images go on at 2026-11-22 00:00 +08:00";
    assert_eq!(fault.text(Lang::En), en);
    assert!(fault.text(Lang::Zh).contains("2026-11-22 00:00 +08:00"));
}

#[test]
fn a_clock_that_is_wrong_gives_no_quota_twice_and_withholds_none_for_ever() {
    let budget = Budget { per_day: Some(1000), per_month: Some(2000), ..Budget::default() };
    let hour = Duration::from_secs(3600);
    let mut spent = Spent::default();
    spent.pass(budget.zone, at(0), Duration::ZERO);
    spent.count(Class::Images, 1000);
    // It boots without a clock, is set right, and jumps back again.
    for now in [UnixMillis(5), at(HOUR), UnixMillis(7), at(0)] {
        spent.pass(budget.zone, now, hour);
        assert!(waits(&budget, &spent, now).is_some(), "{now:?}");
    }
    // A clock that stays wrong is believed after a day of running.
    for hours in 0..24 {
        spent.pass(budget.zone, UnixMillis(hours), hour);
        assert_eq!(waits(&budget, &spent, UnixMillis(hours)).is_none(), hours == 23, "{hours}");
    }
    spent.count(Class::Images, 1000);
    let (until, why) = waits(&budget, &spent, UnixMillis(0)).expect("the month is used");
    assert_eq!(why, Why::Month(2000));
    assert_eq!(until.0, 30 * DAY, "it has been behind for a day");
    for _ in 0..30 * 24 {
        spent.pass(budget.zone, UnixMillis(0), hour);
    }
    assert_eq!(permit(&budget, &spent, UnixMillis(0)), Permit::Now(1000));
    // What was used meanwhile is not given again when the clock is right at last.
    spent.count(Class::Images, 1000);
    spent.pass(budget.zone, at(0), hour);
    assert!(waits(&budget, &spent, at(0)).is_some());
}

#[test]
fn what_cannot_be_kept_is_refused() {
    let good = Budget { rate: Some(RATE_MIN), ..Budget::default() };
    assert_eq!(good.check(), Ok(()));
    let window: Window = "22:00-06:00".parse().expect("window");
    for (bad, code) in [
        (Budget::default(), "budget-limits-nothing"),
        (Budget { rate: Some(RATE_MIN - 1), ..good.clone() }, "budget-out-of-range"),
        (Budget { per_day: Some(0), ..good.clone() }, "budget-out-of-range"),
        (Budget { per_month: Some(MOST + 1), ..good.clone() }, "budget-out-of-range"),
        (Budget { windows: vec![window; WINDOWS_MAX + 1], ..good }, "budget-too-many-windows"),
    ] {
        assert_eq!(bad.check().expect_err("refused").fault().code, code);
    }
}

/// What may happen to a node between two looks.
#[derive(Debug, Clone)]
enum Happening {
    /// It asks for a frame of at most so many bytes.
    Ask(u64),
    /// Control messages pass.
    Control(u64),
    /// Time passes, in minutes.
    Pass(u64),
    /// Somebody sets the clock, to minutes around [`SATURDAY`], or to 1970.
    Turn(Option<i64>),
}

fn happening() -> impl Strategy<Value = Happening> {
    prop_oneof![
        8 => (1..400u64).prop_map(Happening::Ask),
        1 => (0..300u64).prop_map(Happening::Control),
        4 => (1..600u64).prop_map(Happening::Pass),
        1 => prop_oneof![Just(None), (-60_000..60_000i64).prop_map(Some)].prop_map(Happening::Turn),
    ]
}

proptest! {
    /// Over any sequence of frames, days, months and wrong clocks: no count of a period ever has more bytes of images than
    /// its quota, a new count begins only when the clock shows a day that it never showed before or a whole day was run,
    /// and images come again within two days of running.
    #[test]
    fn no_quota_is_ever_exceeded(happenings in proptest::collection::vec(happening(), 1..300), zone in -720..=840i16) {
        let budget = Budget { per_day: Some(1000), zone: Zone::new(zone).expect("zone"), ..Budget::default() };
        let (mut wall, mut ran, mut spent) = (SATURDAY, Duration::ZERO, Spent::default());
        spent.pass(budget.zone, UnixMillis(wall), Duration::ZERO);
        let (mut latest, mut days, mut run, mut images) = (spent.day.period, 1, Duration::ZERO, 0);
        for happening in happenings {
            match happening {
                Happening::Ask(length) => match permit(&budget, &spent, UnixMillis(wall)) {
                    Permit::Now(most) => {
                        let length = length.min(most);
                        prop_assert!(length > 0);
                        images += length;
                        spent.count(Class::Images, length);
                    }
                    Permit::Wait(wait) => prop_assert!(wait.until.0 > wall && wait.until.0 - wall <= 2 * DAY),
                },
                Happening::Control(bytes) => spent.count(Class::Control, bytes),
                Happening::Pass(minutes) => {
                    wall += minutes * MINUTE;
                    ran = Duration::from_secs(minutes * 60);
                }
                Happening::Turn(to) => wall = to.map_or(0, |minutes| SATURDAY.saturating_add_signed(minutes * 60_000)),
            }
            run += ran;
            spent.pass(budget.zone, UnixMillis(wall), std::mem::take(&mut ran));
            let today = (wall / 1000).saturating_add_signed(i64::from(zone) * 60) / 86_400;
            days += u64::from(today > latest);
            latest = latest.max(today);
            prop_assert!(spent.day.counts.images <= 1000);
            prop_assert!(images <= 1000 * (days + run.as_secs() / 86_400), "{images} bytes in {days} days");
        }
        for _ in 0..48 {
            wall += HOUR;
            spent.pass(budget.zone, UnixMillis(wall), Duration::from_secs(3600));
        }
        prop_assert!(matches!(permit(&budget, &spent, UnixMillis(wall)), Permit::Now(_)));
    }
}
