//! How far images are that are not ready, and how often in a row bringing them failed: the counts behind their backoff.

use std::collections::{BTreeMap, BTreeSet};

use shared::fault::Fault;
use shared::id::Digest;
use shared::state::{ImageState, Trouble};
use shared::time::Uptime;

/// What was tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attempt {
    /// To fetch an image.
    Fetch,
    /// To unpack it.
    Unpack,
}

/// Images that were fetched, or failed, until they are ready.
#[derive(Debug, Default)]
pub struct Arrivals(BTreeMap<Digest, Arrival>);

#[derive(Debug)]
struct Arrival {
    state: ImageState,
    failures: Failures,
}

/// How often in a row something failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Failures {
    fetch: u32,
    /// To fetch an image once more does not make it whole.
    unpack: u32,
}

impl Arrivals {
    /// How far each is.
    pub fn states(&self) -> BTreeMap<Digest, ImageState> {
        self.0.iter().map(|(image, arrival)| (*image, arrival.state.clone())).collect()
    }

    /// All of it is here. True when that is news: not when it was fetched again because it could not be unpacked.
    pub fn fetched(&mut self, image: Digest) -> bool {
        let failures = Failures { fetch: 0, ..self.failures(image) };
        self.0.insert(image, Arrival { state: ImageState::Fetched, failures });
        failures.unpack == 0
    }

    /// It failed. True when that is news: nothing failed before.
    pub fn failed(&mut self, image: Digest, what: Attempt, fault: Fault, at: Uptime) -> bool {
        let before = self.failures(image);
        let mut failures = before;
        let count = match what {
            Attempt::Fetch => &mut failures.fetch,
            Attempt::Unpack => &mut failures.unpack,
        };
        *count = count.saturating_add(1);
        let state = ImageState::Failed(Trouble { failures: *count, at, fault });
        self.0.insert(image, Arrival { state, failures });
        before == Failures::default()
    }

    fn failures(&self, image: Digest) -> Failures {
        self.0.get(&image).map(|arrival| arrival.failures).unwrap_or_default()
    }

    /// It is ready, or gone.
    pub fn forget(&mut self, image: Digest) {
        self.0.remove(&image);
    }

    /// These are ready.
    pub fn forget_all(&mut self, ready: &BTreeSet<Digest>) {
        self.0.retain(|image, _| !ready.contains(image));
    }

    /// What failed is tried again now.
    pub fn retry(&mut self) {
        self.0.retain(|_, arrival| !matches!(arrival.state, ImageState::Failed(_)));
    }
}

#[cfg(test)]
mod tests {
    use shared::fault::node;

    use super::*;

    fn failures(arrivals: &Arrivals, image: Digest) -> Option<u32> {
        match arrivals.states().remove(&image) {
            Some(ImageState::Failed(trouble)) => Some(trouble.failures),
            _ => None,
        }
    }

    #[test]
    fn fetching_and_unpacking_fail_each_for_itself() {
        let (mut arrivals, image) = (Arrivals::default(), Digest::of(b"image"));
        let fault = || Fault::new(&node::STOPPING);
        let news: Vec<bool> = (0..6).map(|_| arrivals.failed(image, Attempt::Fetch, fault(), Uptime::ZERO)).collect();
        assert_eq!(news, [true, false, false, false, false, false]);
        assert_eq!(failures(&arrivals, image), Some(6));
        assert!(arrivals.fetched(image));
        assert_eq!(arrivals.states(), [(image, ImageState::Fetched)].into());

        assert!(arrivals.failed(image, Attempt::Unpack, fault(), Uptime::ZERO));
        assert_eq!(failures(&arrivals, image), Some(1), "unpacking failed for the first time");
        assert!(!arrivals.fetched(image), "once more, which is no news");
        assert!(!arrivals.failed(image, Attempt::Unpack, fault(), Uptime::ZERO));
        assert_eq!(failures(&arrivals, image), Some(2), "and did not make it whole");

        arrivals.retry();
        assert!(arrivals.states().is_empty());
        assert!(arrivals.failed(image, Attempt::Unpack, fault(), Uptime::ZERO), "whoever asked hears of it again");
        arrivals.forget_all(&[image].into());
        assert!(arrivals.states().is_empty());
    }
}
