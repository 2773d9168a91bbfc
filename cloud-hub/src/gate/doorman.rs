//! Who may come to the door now: token buckets for new connections, per source and for all. Pure.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

/// Most sources that are remembered. Beyond that, strangers share one bucket.
const SOURCES_MAX: usize = 8192;
/// How often full buckets are looked for, which takes the longer the more sources there are.
const TIDY_EVERY: Duration = Duration::from_secs(1);

/// So many per second for ever, and so many at once after a pause.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// Tokens that come back each second.
    pub per_second: u32,
    /// Most tokens there are.
    pub burst: u32,
}

/// Where a connection comes from: an IPv4 address, or an IPv6 network of 64 bits, which is what one customer gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Source(u128);

impl From<IpAddr> for Source {
    fn from(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self(u32::from(address).into()),
            IpAddr::V6(address) => Self(u128::from(address) & !u128::from(u64::MAX)),
        }
    }
}

/// Keeps the buckets.
#[derive(Debug)]
pub struct Doorman {
    source_rate: Rate,
    all: Bucket,
    sources: BTreeMap<Source, Bucket>,
    strangers: Bucket,
    tidied: Duration,
}

/// What the doorman says to a connection that may not enter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TooMany {
    /// From this source.
    FromSource,
    /// From everywhere together.
    FromAll,
}

impl Doorman {
    /// All buckets are full at `now`, a time on any clock that only goes forward.
    pub fn new(source_rate: Rate, all_rate: Rate, now: Duration) -> Self {
        let strangers = Bucket::new(source_rate, now);
        Self { source_rate, all: Bucket::new(all_rate, now), sources: BTreeMap::new(), strangers, tidied: now }
    }

    /// May a connection from `source` be served now? The source pays first, so that one of them alone cannot use up what
    /// is there for all.
    pub fn admit(&mut self, source: Source, now: Duration) -> Result<(), TooMany> {
        if !self.bucket(source, now).take(now) {
            return Err(TooMany::FromSource);
        }
        if self.all.take(now) { Ok(()) } else { Err(TooMany::FromAll) }
    }

    fn bucket(&mut self, source: Source, now: Duration) -> &mut Bucket {
        if self.sources.len() >= SOURCES_MAX && !self.sources.contains_key(&source) {
            self.tidy(now);
            if self.sources.len() >= SOURCES_MAX {
                return &mut self.strangers;
            }
        }
        self.sources.entry(source).or_insert_with(|| Bucket::new(self.source_rate, now))
    }

    /// Forgets full buckets: they say what a new one says.
    fn tidy(&mut self, now: Duration) {
        if now.saturating_sub(self.tidied) >= TIDY_EVERY {
            self.tidied = now;
            self.sources.retain(|_, bucket| !bucket.is_full(now));
        }
    }
}

/// A token bucket that counts in thousandths.
#[derive(Debug)]
struct Bucket {
    rate: Rate,
    millis: u64,
    at: Duration,
}

impl Bucket {
    fn new(rate: Rate, now: Duration) -> Self {
        Self { rate, millis: u64::from(rate.burst) * 1000, at: now }
    }

    fn level(&self, now: Duration) -> u64 {
        let passed = u64::try_from(now.saturating_sub(self.at).as_millis()).unwrap_or(u64::MAX);
        let back = passed.saturating_mul(self.rate.per_second.into());
        self.millis.saturating_add(back).min(u64::from(self.rate.burst) * 1000)
    }

    fn is_full(&self, now: Duration) -> bool {
        self.level(now) == u64::from(self.rate.burst) * 1000
    }

    fn take(&mut self, now: Duration) -> bool {
        self.millis = self.level(now);
        self.at = self.at.max(now);
        let paid = self.millis.checked_sub(1000);
        self.millis = paid.unwrap_or(self.millis);
        paid.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(text: &str) -> Source {
        Source::from(text.parse::<IpAddr>().expect("address"))
    }

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    fn doorman() -> Doorman {
        Doorman::new(Rate { per_second: 10, burst: 3 }, Rate { per_second: 100, burst: 5 }, ms(0))
    }

    #[test]
    fn a_source_has_its_burst_and_then_its_rate() {
        let mut doorman = doorman();
        let a = source("192.0.2.1");
        let admitted =
            |doorman: &mut Doorman, at: &[u64]| at.iter().map(|at| doorman.admit(a, ms(*at)).is_ok()).collect::<Vec<_>>();
        assert_eq!(admitted(&mut doorman, &[0, 0, 0, 0, 99]), [true, true, true, false, false]);
        assert_eq!(admitted(&mut doorman, &[100, 100, 10_000, 10_000, 10_000, 10_000]), [true, false, true, true, true, false]);
        assert_eq!(doorman.admit(a, ms(5)), Err(TooMany::FromSource), "a clock that goes back gives nothing");
    }

    #[test]
    fn one_source_cannot_use_up_what_is_there_for_all() {
        let mut doorman = doorman();
        for _ in 0..100 {
            let _flood = doorman.admit(source("192.0.2.1"), ms(0));
        }
        assert_eq!(doorman.admit(source("192.0.2.2"), ms(0)), Ok(()));
        assert_eq!(doorman.admit(source("192.0.2.3"), ms(0)), Ok(()));
        assert_eq!(doorman.admit(source("192.0.2.4"), ms(0)), Err(TooMany::FromAll));
    }

    #[test]
    fn an_ipv6_network_is_one_source() {
        assert_eq!(source("2001:db8::1"), source("2001:db8::ffff"));
        assert_ne!(source("2001:db8::1"), source("2001:db8:0:1::1"));
        assert_eq!(source("::ffff:192.0.2.1"), source("192.0.2.1"));
    }

    #[test]
    fn memory_is_bounded_by_any_number_of_sources() {
        let one = Rate { per_second: 1, burst: 2 };
        let mut doorman = Doorman::new(one, Rate { per_second: 1_000_000, burst: 1_000_000 }, ms(0));
        for n in 0..100_000 {
            let _outcome = doorman.admit(Source(n), ms(0));
        }
        assert_eq!(doorman.sources.len(), SOURCES_MAX);
        assert_eq!(doorman.admit(Source(200_000), ms(0)), Err(TooMany::FromSource), "strangers share one bucket");
        assert_eq!(doorman.admit(Source(200_000), ms(5000)), Ok(()));
        assert_eq!(doorman.sources.len(), 1, "full buckets are forgotten");
    }
}
