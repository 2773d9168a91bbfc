//! Whom a node waits for, second by second.

use shared::neighbour::{Turn, turn};

use super::super::*;
use super::name;
use crate::neighbours::waiting::Waiting;

#[test]
fn whoever_does_not_get_on_is_not_waited_for() {
    let (mut waiting, start) = (Waiting::new(Digest::of(b"layer"), 50_000_000), Instant::now());
    let mut at = |seconds, a, b| {
        let said = BTreeMap::from([(name(0), a), (name(1), b)]);
        waiting.without_idlers(said, 0, start + Duration::from_secs(seconds)).into_keys().collect::<Vec<_>>()
    };
    let (both, a, b) = (vec![name(0), name(1)], vec![name(0)], vec![name(1)]);
    let on = |megabytes: u64| Stage::Brings(megabytes << 20);
    assert_eq!(at(0, on(1), Stage::Wants), both);
    assert_eq!(at(359, on(1), Stage::Wants), both, "while somebody brings it nobody else need begin");
    assert_eq!(at(360, on(1), Stage::Wants), b, "it does not get on");
    assert_eq!(at(361, on(2), Stage::Wants), both);
    assert_eq!(at(362, on(1), Stage::Wants), both);
    assert_eq!(at(380, Stage::Lacks, Stage::Wants), both, "it vanished: now the time of the other begins");
    assert_eq!(at(382, Stage::Lacks, Stage::Wants), a, "it wants and does not begin");
    assert_eq!(at(400, on(2), Stage::Wants), both);
    assert_eq!(at(760, on(1), Stage::Wants), [], "less than before is no progress");
    assert_eq!(at(761, Stage::Has, Stage::Lacks), both);
    assert_eq!(at(99_999, Stage::Has, Stage::Lacks), both);
}

/// When this node begins itself to bring a layer of `size` bytes, which the other one says that it brings; `says` by seconds.
fn begins(size: u64, link: u64, says: impl Fn(u64) -> Stage) -> Option<u64> {
    let (layer, start) = (Digest::of(b"layer"), Instant::now());
    let mut waiting = Waiting::new(layer, size);
    (0..6 * 3600).find(|seconds| {
        let said = BTreeMap::from([(name(1), says(*seconds))]);
        let stages = waiting.without_idlers(said, link, start + Duration::from_secs(*seconds));
        turn(&name(0), layer, &stages, false) == Turn::Bring
    })
}

#[test]
fn a_neighbour_that_lies_about_what_it_brings_costs_little_time() {
    use Stage::{Brings, Wants};
    let trickles = |seconds: u64| Brings(seconds);
    let rushes = |seconds: u64| Brings(seconds << 30);
    let as_slow_as_may_be = |seconds: u64| Brings(2000 * seconds);
    let flaps = |seconds: u64| [Brings(seconds << 20), Wants, Brings(0)][seconds as usize % 3];
    for (how, says) in [
        ("trickles", &trickles as &dyn Fn(u64) -> Stage),
        ("rushes", &rushes),
        ("as slow as may be", &as_slow_as_may_be),
        ("flaps", &flaps),
        ("starts again and again", &|seconds: u64| Brings((seconds % 300) << 20)),
    ] {
        for (size, link, most) in [(1_000_000, 0, 900), (10_000_000, 0, 360 + 5001), (10_000_000, 1_000_000, 530)] {
            let begun = begins(size, link, says).unwrap_or(u64::MAX);
            assert!(begun <= most, "{how}: {begun} s for {size} bytes where the link gives {link}");
        }
    }
    assert_eq!(begins(1 << 40, 0, trickles), Some(361));
}

#[test]
fn a_slow_neighbour_on_a_slow_link_is_waited_for() {
    for (size, outage, link) in [(1_000_000, 0, 0), (50_000_000, 300, 0), (50_000_000, 300, 8000)] {
        // The hub takes five minutes for the patch; the outage comes when half of it is there.
        let half = 300 + size / 2 / 8000;
        let says = |seconds: u64| {
            let came = 8000 * (seconds.min(half).saturating_sub(300) + seconds.saturating_sub(half + outage));
            if came < size { Stage::Brings(came) } else { Stage::Has }
        };
        assert_eq!(begins(size, link, says), None, "{size} bytes");
    }
}

#[test]
fn of_those_that_do_not_begin_one_after_the_other_is_given_up() {
    let (layer, start) = (Digest::of(b"layer"), Instant::now());
    let nodes: Vec<Name> = (0..6).map(name).collect();
    let begins = |me: &Name| {
        let others: BTreeMap<Name, Stage> =
            nodes.iter().filter(|other| *other != me).map(|other| (other.clone(), Stage::Wants)).collect();
        let mut waiting = Waiting::new(layer, 50_000_000);
        let turn_at = |seconds| {
            let stages = waiting.without_idlers(others.clone(), 0, start + Duration::from_secs(seconds));
            turn(me, layer, &stages, false)
        };
        (0..=200).map(turn_at).position(|turn| turn == Turn::Bring).unwrap()
    };
    let mut seconds: Vec<usize> = nodes.iter().map(begins).collect();
    seconds.sort_unstable();
    assert_eq!(seconds, [0, 20, 40, 60, 80, 100]);
}
