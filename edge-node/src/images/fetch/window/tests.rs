//! Against a simulated link: one queue that is emptied at a rate, and a delay before and after it.
#![allow(clippy::print_stdout, reason = "tests")]

use std::collections::VecDeque;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

/// A link whose rate may change. Times in microseconds.
struct Path {
    /// Bits per second from a moment on, in order.
    rates: Vec<(u64, u64)>,
    /// Time of an answer of no length.
    delay: u64,
}

impl Path {
    fn steady(bits: u64, delay: u64) -> Self {
        Self { rates: vec![(0, bits)], delay: delay * 1000 }
    }

    /// When `bytes` whose first is sent at `at` have left the queue.
    fn sent(&self, at: u64, bytes: u64) -> u64 {
        let rate = self.rates.iter().rev().find(|(from, _)| *from <= at).expect("a rate").1;
        let until = self.rates.iter().find(|(from, _)| *from > at).map_or(u64::MAX, |(from, _)| *from);
        let fits = u128::from(until - at) * u128::from(rate) / 8_000_000;
        match u64::try_from(fits) {
            Ok(fits) if fits < bytes => self.sent(until, bytes - fits),
            _ => at + (bytes * 8_000_000).div_ceil(rate),
        }
    }
}

/// What was seen of one second.
#[derive(Debug, Clone, Copy, Default)]
struct Seen {
    /// Bytes that arrived.
    bytes: u64,
    /// Longest time that a message of the hub would have waited behind frames.
    wait: Duration,
    under_way: u64,
    frame: u32,
}

/// Fetches without end for so many seconds.
fn fetch(path: &Path, seconds: u64) -> Vec<Seen> {
    fetch_with(path, seconds, &mut Window::default(), |_, _| {})
}

fn fetch_with(path: &Path, seconds: u64, window: &mut Window, mut at: impl FnMut(u64, &mut Window)) -> Vec<Seen> {
    let mut seen = vec![Seen::default(); seconds as usize];
    let mut flying: VecDeque<(u64, Asked)> = VecDeque::new();
    let (mut now, mut free) = (0, 0_u64);
    // An image begins with its manifest, of a kilobyte or so.
    let mut left = 1000;
    loop {
        let second = (now / 1_000_000) as usize;
        let Some(here) = seen.get_mut(second) else { return seen };
        at(now, window);
        while let Some(asked) = window.ask(Duration::from_micros(now), left) {
            left = u64::MAX;
            let begins = free.max(now + path.delay / 2);
            free = path.sent(begins, asked.length.into());
            flying.push_back((free + path.delay / 2, asked));
            here.wait = here.wait.max(Duration::from_micros(free - (now + path.delay / 2)));
            here.under_way = here.under_way.max(window.under_way);
            here.frame = here.frame.max(asked.length);
        }
        let (arrives, asked) = flying.pop_front().expect("something is always under way");
        now = arrives.max(now);
        window.arrived(asked, Duration::from_micros(now));
        if let Some(here) = seen.get_mut((now / 1_000_000) as usize) {
            here.bytes += u64::from(asked.length);
        }
    }
}

fn longest(seen: &[Seen]) -> Duration {
    seen.iter().map(|seen| seen.wait).max().unwrap_or_default()
}

/// Percent of what the link could have brought.
fn used(seen: &[Seen], bits: u64) -> u64 {
    seen.iter().map(|seen| seen.bytes).sum::<u64>() * 8 * 100 / (bits * seen.len() as u64)
}

#[test]
fn links_of_all_kinds_are_full_and_nothing_waits_long() {
    for (name, bits, delay, starts, wait) in [
        ("64 kbit/s", 64_000, 30, 4, 1_100),
        ("64 kbit/s by satellite", 64_000, 600, 4, 1_100),
        ("256 kbit/s", 256_000, 40, 3, 550),
        ("256 kbit/s by satellite", 256_000, 600, 4, 550),
        ("1 Mbit/s", 1_000_000, 50, 3, 550),
        ("10 Mbit/s, 300 ms", 10_000_000, 300, 5, 550),
        ("50 Mbit/s", 50_000_000, 20, 3, 550),
    ] {
        let seen = fetch(&Path::steady(bits, delay), 120);
        let settled = &seen[starts..];
        let (used, wait_most, at_first) = (used(settled, bits), longest(settled), longest(&seen[..starts]));
        println!("{name}: {used} % used, waits of {wait_most:?}, at first {at_first:?}, frames of {}", seen[60].frame);
        assert!(used >= 95, "{name}: {used} % used");
        assert!(wait_most <= Duration::from_millis(wait), "{name}: {wait_most:?}");
        // The bytes of the start, and growth: about two seconds at most.
        assert!(at_first <= Duration::from_millis(2_200), "{name}: {at_first:?}");
    }
}

#[test]
fn a_fast_link_has_all_that_memory_allows_within_no_time() {
    let path = Path { rates: vec![(0, 1_000_000_000)], delay: 300 };
    let seen = fetch(&path, 5);
    assert!(used(&seen, 1_000_000_000) >= 98, "{seen:?}");
    assert_eq!((seen[4].under_way, seen[4].frame), (WINDOW_MAX, FRAME_MAX));
    let window = &mut Window::default();
    let mut full_at = None;
    fetch_with(&path, 1, window, |now, window| {
        if window.size == WINDOW_MAX {
            full_at.get_or_insert(now);
        }
    });
    assert!(full_at.expect("it grows") < 50_000, "{full_at:?} µs");
}

#[test]
fn a_long_fast_link_is_as_fast_as_memory_allows() {
    // 1 Gbit/s around half the world: 2 MiB per round trip, as with a window that never moves.
    let seen = fetch(&Path::steady(1_000_000_000, 300), 20);
    let most = WINDOW_MAX * 1000 / 300;
    let rate = seen[4..].iter().map(|seen| seen.bytes).sum::<u64>() / 16;
    assert!(rate >= most * 95 / 100, "{rate} of {most} bytes per second");
    assert!(seen.iter().all(|seen| seen.under_way < WINDOW_MAX + u64::from(FRAME_MAX)));
}

#[test]
fn a_rate_that_drops_tenfold_is_followed_and_so_is_one_that_comes_back() {
    for (bits, delay) in [(10_000_000, 300), (10_000_000, 30), (2_560_000, 40), (640_000, 40)] {
        let (drop, back) = (30, 60);
        let rates = vec![(0, bits), (drop * 1_000_000, bits / 10), (back * 1_000_000, bits)];
        let seen = fetch(&Path { rates, delay: delay * 1000 }, 90);
        let slow = &seen[drop as usize..back as usize];
        // What was under way must pass, ten times slower; behind that all is as on any link of this rate.
        let before = (Duration::from_millis(delay) + TARGET) * 10;
        let settles = before.as_secs() as usize + 5;
        println!("{bits}: {:?}, then {:?}", longest(slow), longest(&slow[settles..]));
        assert!(longest(slow) <= before + SECOND, "{bits}, {delay}: {:?}", longest(slow));
        let most = if bits == 640_000 { 1_600 } else { 550 };
        assert!(longest(&slow[settles..]) <= Duration::from_millis(most), "{bits}, {delay}: {:?}", longest(&slow[settles..]));
        assert!(used(&slow[1..], bits / 10) >= 90, "{bits}, {delay}: {} %", used(slow, bits / 10));
        let again = &seen[back as usize + 5..];
        assert!(used(again, bits) >= 90, "{bits}, {delay}: {} % again", used(again, bits));
        assert!(longest(again) <= Duration::from_millis(550), "{bits}, {delay}: {:?} again", longest(again));
    }
}

#[test]
fn a_route_that_becomes_longer_is_learned() {
    // From 20 to 600 ms: the next probe sees it, and the window grows from almost nothing.
    let (short, long) = (Path::steady(4_000_000, 20), Path::steady(4_000_000, 600));
    let window = &mut Window::default();
    fetch_with(&short, 15, window, |_, _| {});
    window.under_way = 0;
    window.count = 0;
    let seen = fetch_with(&long, 60, window, |_, _| {});
    assert!(used(&seen[40..], 4_000_000) >= 90, "{} %", used(&seen[40..], 4_000_000));
    assert!(longest(&seen[40..]) <= Duration::from_millis(550), "{:?}", longest(&seen[40..]));
}

#[test]
fn a_cut_begins_anew_with_little() {
    let window = &mut Window::default();
    let path = Path::steady(100_000_000, 10);
    fetch_with(&path, 3, window, |_, _| {});
    assert!(window.size > 10 * WINDOW_START, "{}", window.size);
    let old = Asked { length: FRAME_MAX, at: Duration::ZERO, under_way: WINDOW_MAX, full: true, probe: false, life: window.life };
    window.cut();
    window.arrived(old, Duration::from_micros(1));
    assert_eq!(window.size, WINDOW_START, "what was asked before says nothing");
    assert_eq!(window.link.rate(), 0);
}

#[test]
fn small_blobs_say_nothing_about_the_rate_and_always_pass() {
    let window = &mut Window::default();
    for n in 0..100_u32 {
        let now = SECOND * n;
        let asked = window.ask(now, 8).expect("room");
        assert_eq!(asked.length, 8);
        assert!(
            window.ask(now, 8).is_some_and(|second| {
                window.gone(second);
                true
            }),
            "more than one at once"
        );
        window.arrived(asked, now + Duration::from_millis(200));
    }
    assert_eq!(window.size, WINDOW_START);
}

#[test]
fn many_short_frames_have_a_bound_too() {
    let window = &mut Window { size: WINDOW_MAX, ..Window::default() };
    let asked = std::iter::from_fn(|| window.ask(SECOND, 1)).count();
    assert_eq!(asked, COUNT_MAX as usize);
    assert!(Window::default().ask(SECOND, 0).is_none(), "nothing is no frame: whoever asks for it would never rest");
}
