//! Clock and randomness: the only place where the hub reads them. Decisions take both as arguments.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use shared::fault::{Fault, Faulty, hub};
use shared::time::UnixMillis;

/// What tells the time. The hub is given one, so that a test can let a token expire without waiting.
pub type Clock = Arc<dyn Fn() -> UnixMillis + Send + Sync>;

/// The system's wall clock.
pub fn system_clock() -> Clock {
    Arc::new(|| {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        UnixMillis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    })
}

/// The system gives no randomness.
#[derive(Debug, thiserror::Error)]
#[error("the system gives no random bytes: {0}")]
pub struct NoRandomness(getrandom::Error);

impl Faulty for NoRandomness {
    fn fault(&self) -> Fault {
        Fault::new(&hub::NO_RANDOMNESS).with("cause", self.0)
    }
}

/// `N` random bytes for keys, tokens and ids.
pub fn random<const N: usize>() -> Result<[u8; N], NoRandomness> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(NoRandomness)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn randomness_differs_and_the_clock_is_in_this_century() {
        assert_ne!(random::<32>().expect("random"), random::<32>().expect("random"));
        assert!(system_clock()().0 > 1_700_000_000_000);
    }
}
