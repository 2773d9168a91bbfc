//! How long one that says that it brings a layer is waited for.
//!
//! Nobody can prove that it brings something, but what it says must fit the link that all of the site share: it gets on, at
//! least as fast as the link gives its share, and is done when the layer has had the time to come at that pace. What the link
//! gives this node itself shows, if it brought something lately; otherwise it is believed to be the slowest one there is. So a
//! slow node on a slow link is waited for, and whoever lies costs a small multiple of what the layer takes.

use std::time::Duration;

use crate::state::NEIGHBOURS_MAX;

/// Whoever does not get on for so long is not waited for, and after so long it must have something to show: longer than the
/// hub takes for a patch.
pub const PATIENCE: Duration = Duration::from_secs(360);
/// Bytes per second of the slowest link that images come over: 64 kbit/s.
const LINK_MIN: u64 = 8000;
/// A link that gave this node so many times as much lately is not why another one is slow.
const SLOWER: u64 = 8;
/// It may be so many times slower than its share of the link, in what it says and in all.
const SLACK: u64 = 2;

/// What one says that brings a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claim {
    /// Since when it says so.
    pub waited: Duration,
    /// Since it last got on.
    pub idle: Duration,
    /// By so many bytes it got on, with this layer or with another one.
    pub told: u64,
}

/// What a claim is measured by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Measure {
    /// Bytes of the layer, as its publisher compressed it.
    pub size: u64,
    /// Nodes that may share the link.
    pub nodes: usize,
    /// Bytes per second that the link gave this node lately; 0 when nobody knows.
    pub link: u64,
}

impl Measure {
    /// Bytes per second that one of the nodes gets at least.
    fn pace(self) -> u64 {
        let nodes = u64::try_from(self.nodes.clamp(1, NEIGHBOURS_MAX + 1)).unwrap_or(1);
        (LINK_MIN / nodes).max(self.link / SLOWER)
    }
}

impl Claim {
    /// Whether it is worth waiting.
    pub fn is_credible(self, by: Measure) -> bool {
        let pace = by.pace();
        let at_work = self.waited.saturating_sub(PATIENCE).as_secs();
        let is_on_its_way = self.told >= pace.saturating_mul(at_work) / SLACK;
        self.idle < PATIENCE && is_on_its_way && at_work <= SLACK.saturating_mul(by.size) / pace
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MB: u64 = 1_000_000;

    /// After how many seconds one is given up that says `told` after each second.
    fn given_up(by: Measure, told: impl Fn(u64) -> u64) -> u64 {
        let at = |seconds| Claim { waited: Duration::from_secs(seconds), idle: Duration::ZERO, told: told(seconds) };
        (0..1 << 20).find(|seconds| !at(*seconds).is_credible(by)).unwrap_or(u64::MAX)
    }

    #[test]
    fn an_honest_node_is_waited_for_on_the_slowest_link() {
        for (size, nodes) in [(MB / 10, 2), (MB, 2), (50 * MB, 2), (50 * MB, 4), (10 * MB, 33)] {
            // All bring something of the same size at the same time; the hub first takes five minutes for the patch.
            let share = LINK_MIN / nodes;
            let by = Measure { size, nodes: usize::try_from(nodes).unwrap(), link: 0 };
            let seen = Measure { link: share, ..by };
            let needs = 300 + size / share;
            for by in [by, seen] {
                let up = given_up(by, |seconds| (seconds.saturating_sub(300) * share).min(size));
                assert!(up > needs, "{by:?}: after {up} s, and it needs {needs}");
            }
        }
    }

    #[test]
    fn whoever_lies_costs_a_small_multiple_of_what_the_layer_takes() {
        for (size, nodes, link) in [(MB, 2, 0), (50 * MB, 2, 0), (50 * MB, 4, 0), (50 * MB, 2, MB), (500 * MB, 33, MB / 4)] {
            let by = Measure { size, nodes, link };
            let takes = size / LINK_MIN.max(link);
            let most = 361 + 16 * takes;
            for (how, told) in [("a byte a second", 1), ("just enough", by.pace()), ("very fast", 100 * MB)] {
                let up = given_up(by, |seconds| seconds * told);
                assert!((360..=most).contains(&up), "{how}, {by:?}: {up} s of at most {most}");
            }
            assert_eq!(given_up(by, |seconds| seconds), 361, "a trickle does not count");
        }
    }

    #[test]
    fn whoever_does_not_get_on_is_given_up() {
        let by = Measure { size: 50 * MB, nodes: 2, link: 0 };
        let claim = Claim { waited: Duration::from_secs(900), idle: Duration::from_secs(359), told: 50 * MB };
        assert!(claim.is_credible(by));
        assert!(!Claim { idle: PATIENCE, ..claim }.is_credible(by));
        assert!(Claim { told: 0, waited: PATIENCE, idle: Duration::ZERO }.is_credible(Measure { size: 0, nodes: 0, link: 0 }));
    }
}
