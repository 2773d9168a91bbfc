//! The simulated world: seeded runs, and short stories that each show one promise.
//!
//! ```sh
//! cargo test -p scenarios --test world                          # 200 seeds and every story
//! WORLD_SEEDS=10000 cargo test -p scenarios --test world seeds  # the long lane
//! WORLD_SEED=17 WORLD_LOG=1 cargo test -p scenarios --test world seeds -- --nocapture
//! ```
//!
//! `WORLD_TIMES=20` plays one seed so many times: what a seed does not fix ([`scenarios::world`]) may need it.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, missing_docs, reason = "tests")]

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use scenarios::world::{Size, run, say};

/// Found by trying: larger runs find no more per second, smaller ones miss what needs several nodes or two phases.
const SIZE: Size = Size { nodes: 3, phases: 2, happenings: 14 };
/// Seeds of the short lane.
const SEEDS: u64 = 200;

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{variable} is a number")))
}

#[test]
fn seeds() {
    let (first, count) = match number("WORLD_SEED") {
        Some(seed) => (seed, 1),
        None => (1, number("WORLD_SEEDS").unwrap_or(SEEDS)),
    };
    let times = number("WORLD_TIMES").unwrap_or(1);
    let (next, failed) = (AtomicU64::new(0), Mutex::new(Vec::new()));
    let work = || {
        while failed.lock().unwrap().len() < 3 {
            let n = next.fetch_add(1, Relaxed);
            if n >= count * times {
                return;
            }
            let seed = first + n % count;
            if let Err(why) = run(seed, SIZE) {
                say(&format!("WORLD_SEED={seed} failed:\n{why}\n"));
                failed.lock().unwrap().push(seed);
            }
        }
    };
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| (0..cores).for_each(|_| drop(scope.spawn(work))));
    let failed = failed.into_inner().unwrap();
    assert!(failed.is_empty(), "replay with WORLD_SEED=n cargo test -p scenarios --test world seeds, n in {failed:?}");
}
