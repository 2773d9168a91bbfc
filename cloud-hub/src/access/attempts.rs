//! Counts failures by where they come from, so that nobody can guess for long. Bounded and pure.

use std::collections::BTreeMap;
use std::net::IpAddr;

use shared::time::UnixMillis;

/// Failures from one place within a [`WINDOW_MS`] that are let pass.
pub const FAILURES_MAX: u32 = 10;
/// How long failures count, in milliseconds.
pub const WINDOW_MS: u64 = 60_000;
/// Places that are remembered; the oldest is forgotten first.
pub const PLACES_MAX: usize = 4096;

/// Failures by place.
#[derive(Debug, Default)]
pub struct Attempts(BTreeMap<IpAddr, Window>);

#[derive(Debug, Clone, Copy)]
struct Window {
    since: UnixMillis,
    failures: u32,
}

impl Window {
    const fn is_over(&self, now: UnixMillis) -> bool {
        // A clock that went back ends the window too, so that nobody is locked out for longer.
        now.0 < self.since.0 || now.0 - self.since.0 >= WINDOW_MS
    }
}

impl Attempts {
    /// Seconds that `peer` has to wait; `None` when it may try.
    pub fn blocked(&self, peer: IpAddr, now: UnixMillis) -> Option<u64> {
        let window = self.0.get(&place(peer)).filter(|window| !window.is_over(now))?;
        let left = WINDOW_MS - (now.0 - window.since.0);
        (window.failures >= FAILURES_MAX).then(|| left.div_ceil(1000))
    }

    /// Another failure of `peer`.
    pub fn failed(&mut self, peer: IpAddr, now: UnixMillis) {
        let place = place(peer);
        if self.0.len() >= PLACES_MAX && !self.0.contains_key(&place) {
            self.make_room(now);
        }
        let window = self.0.entry(place).or_insert(Window { since: now, failures: 0 });
        if window.is_over(now) {
            *window = Window { since: now, failures: 0 };
        }
        window.failures = window.failures.saturating_add(1);
    }

    fn make_room(&mut self, now: UnixMillis) {
        self.0.retain(|_, window| !window.is_over(now));
        if self.0.len() >= PLACES_MAX {
            let oldest = self.0.iter().min_by_key(|(_, window)| window.since).map(|(place, _)| *place);
            oldest.map(|place| self.0.remove(&place));
        }
    }
}

/// One place per IPv4 address and per IPv6 /64, the smallest block that one customer gets.
fn place(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => IpAddr::V6((u128::from(address) & (u128::MAX << 64)).into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("address")
    }

    #[test]
    fn ten_failures_a_minute_and_no_more() {
        let mut attempts = Attempts::default();
        let peer = ip("192.0.2.1");
        for n in 0..u64::from(FAILURES_MAX) {
            assert_eq!(attempts.blocked(peer, UnixMillis(1000 + n)), None);
            attempts.failed(peer, UnixMillis(1000 + n));
        }
        assert_eq!(attempts.blocked(peer, UnixMillis(2000)), Some(59));
        assert_eq!(attempts.blocked(ip("192.0.2.2"), UnixMillis(2000)), None, "others are not held");
        assert_eq!(attempts.blocked(peer, UnixMillis(1000 + WINDOW_MS)), None, "a minute later");
        assert_eq!(attempts.blocked(peer, UnixMillis(0)), None, "a clock that went back");
    }

    #[test]
    fn an_ipv6_customer_is_one_place() {
        let mut attempts = Attempts::default();
        for n in 0..FAILURES_MAX {
            attempts.failed(ip(&format!("2001:db8::{n:x}")), UnixMillis(0));
        }
        assert!(attempts.blocked(ip("2001:db8::ffff"), UnixMillis(1)).is_some());
        assert!(attempts.blocked(ip("2001:db8:0:1::1"), UnixMillis(1)).is_none());
        assert_eq!(place(ip("::ffff:192.0.2.1")), ip("192.0.2.1"));
    }

    #[test]
    fn the_table_is_bounded() {
        let mut attempts = Attempts::default();
        for n in 0..PLACES_MAX as u32 + 100 {
            attempts.failed(IpAddr::V4(n.into()), UnixMillis(u64::from(n)));
        }
        assert_eq!(attempts.0.len(), PLACES_MAX);
    }
}
