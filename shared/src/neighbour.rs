//! Neighbours: nodes of one site, which share what they have of images, so that each layer comes over the site's link
//! about once.
//!
//! ```text
//! somebody has it ──────────────────▶ Take it there, chunk by chunk, each compared with the signed release
//! somebody brings it over the link ─▶ Wait
//! several want it ──────────────────▶ the one that the layer's name chooses brings it, the others Wait
//! ```
//!
//! Nobody is asked for leave and nothing is agreed on: each node decides for itself from what the others say. Whoever is told
//! nonsense, or waits for one that does not get on ([`claim`]), loses time and brings the layer itself.

pub mod claim;

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::ops::Bound::{Excluded, Unbounded};

use crate::id::{Digest, Name};
use crate::state::{NEIGHBOURS_MAX, Neighbour};

/// The label that says of which site a node is: nodes with the same value are neighbours.
pub const SITE: &str = "site";
/// Most layers that are asked about at once.
pub const LAYERS_MAX: usize = 128;
/// Most chunks that are asked for at once.
pub const CHUNKS_MAX: usize = 16;

/// How far a node is with a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// It neither has nor wants it.
    Lacks,
    /// It will bring it.
    Wants,
    /// It is bringing it, or will; the number grows as it gets on, with this layer or with another one.
    Brings(u64),
    /// It has it.
    Has,
}

/// What a node does about a layer that it wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Turn {
    /// Take it from one of these, the first one first.
    Take(Vec<Name>),
    /// This one brings it, or will.
    Wait(Name),
    /// Bring it over the link.
    Bring,
}

/// What `me` does about `layer` when its neighbours say `stages`. Those that are not to be waited for are left out. Of several
/// that bring it already, `bringing` if `me` is one of them, the layer's name chooses one, too.
pub fn turn(me: &Name, layer: Digest, stages: &BTreeMap<Name, Stage>, bringing: bool) -> Turn {
    let at = |wanted: fn(&Stage) -> bool| stages.iter().filter(move |(_, stage)| wanted(stage)).map(|(name, _)| name);
    let mut having: Vec<Name> = at(|stage| *stage == Stage::Has).cloned().collect();
    if !having.is_empty() {
        // Each node begins with another one.
        having.sort_by_key(|name| Reverse(score(name, Digest::of(&[me.as_str().as_bytes(), layer.as_bytes()].concat()))));
        return Turn::Take(having);
    }
    let first = |wanted| at(wanted).max_by_key(|name| score(name, layer));
    let (brings, wants) = (first(|stage| matches!(stage, Stage::Brings(_))), first(|stage| *stage == Stage::Wants));
    let before_me = |name: &&Name| score(name, layer) > score(me, layer);
    let other = match (bringing, brings) {
        (true, brings) => brings.filter(before_me),
        (false, Some(brings)) => Some(brings),
        (false, None) => wants.filter(before_me),
    };
    other.map_or(Turn::Bring, |other| Turn::Wait(other.clone()))
}

/// Rendezvous hashing: of all nodes that want `layer` the one with the highest score is chosen, and everybody finds the same.
pub fn score(node: &Name, layer: Digest) -> (u64, Name) {
    let mut hasher = blake3::Hasher::new();
    hasher.update(layer.as_bytes()).update(node.as_str().as_bytes());
    let hash = hasher.finalize();
    (hash.as_bytes().first_chunk().map_or(0, |first| u64::from_le_bytes(*first)), node.clone())
}

/// The neighbours of `me` among the nodes of its site: all, or of a large site those that are next to it in the order of
/// their names, as many on either side. If one node is another's neighbour, so is the other its.
pub fn around(me: &Name, site: &BTreeMap<Name, Neighbour>) -> BTreeMap<Name, Neighbour> {
    // The ring of names, from the one behind `me` to the one before it. Only its ends are walked.
    let ring = || site.range((Excluded(me), Unbounded)).chain(site.range::<Name, _>((Unbounded, Excluded(me))));
    let side = NEIGHBOURS_MAX / 2;
    let near = ring().take(side).chain(ring().rev().take(side));
    near.map(|(name, neighbour)| (name.clone(), *neighbour)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        Name::new(text).unwrap()
    }

    fn stages(list: &[(&str, Stage)]) -> BTreeMap<Name, Stage> {
        list.iter().map(|(node, stage)| (name(node), *stage)).collect()
    }

    #[test]
    fn what_somebody_has_is_taken_there() {
        let layer = Digest::of(b"layer");
        let said = stages(&[("a", Stage::Has), ("b", Stage::Brings(9)), ("c", Stage::Has), ("d", Stage::Wants)]);
        let Turn::Take(from) = turn(&name("me"), layer, &said, false) else { panic!("{said:?}") };
        assert_eq!(from.iter().collect::<std::collections::BTreeSet<_>>(), [&name("a"), &name("c")].into());
        let first = |n: u32| match turn(&name(&format!("n{n}")), layer, &said, false) {
            Turn::Take(from) => from[0].clone(),
            other @ (Turn::Wait(_) | Turn::Bring) => panic!("{other:?}"),
        };
        let both: std::collections::BTreeSet<Name> = (0..32).map(first).collect();
        assert_eq!(both.len(), 2, "the load is spread");
    }

    #[test]
    fn of_those_that_want_a_layer_one_brings_it() {
        let nodes: Vec<Name> = (0..9).map(|n| name(&format!("n{n}"))).collect();
        let mut chosen = std::collections::BTreeSet::new();
        for n in 0..64_u32 {
            let layer = Digest::of(&n.to_le_bytes());
            let of = |me: &Name| {
                let others = nodes.iter().filter(|other| *other != me).map(|other| (other.clone(), Stage::Wants)).collect();
                turn(me, layer, &others, false)
            };
            let (bringing, waiting): (Vec<&Name>, Vec<&Name>) = nodes.iter().partition(|me| of(me) == Turn::Bring);
            assert_eq!(bringing.len(), 1, "{bringing:?}");
            assert!(waiting.iter().all(|me| of(me) == Turn::Wait(bringing[0].clone())), "and the others know who");
            chosen.extend(bringing);
        }
        assert_eq!(chosen.len(), nodes.len(), "and not always the same");
        let begun = stages(&[("a", Stage::Lacks), ("b", Stage::Brings(0))]);
        let waits = Turn::Wait(name("b"));
        assert!(nodes.iter().all(|me| turn(me, Digest::of(b"x"), &begun, false) == waits), "whoever began goes on");
        assert_eq!(turn(&nodes[0], Digest::of(b"x"), &stages(&[("a", Stage::Lacks)]), false), Turn::Bring);
    }

    #[test]
    fn of_those_that_began_together_one_goes_on() {
        let nodes: Vec<Name> = (0..5).map(|n| name(&format!("n{n}"))).collect();
        let goes_on = |me: &&Name| {
            let others = nodes.iter().filter(|other| other != me).map(|other| (other.clone(), Stage::Brings(7))).collect();
            turn(me, Digest::of(b"x"), &others, true) == Turn::Bring
        };
        assert_eq!(nodes.iter().filter(goes_on).count(), 1);
        let wanting = stages(&[("a", Stage::Wants), ("b", Stage::Wants), ("c", Stage::Wants), ("d", Stage::Wants)]);
        assert!(nodes.iter().all(|me| turn(me, Digest::of(b"x"), &wanting, true) == Turn::Bring), "whoever began goes on");
    }

    #[test]
    fn neighbours_of_a_large_site_know_each_other() {
        for size in [1, 2, 3, 32, 33, 34, 100] {
            let neighbour = |n: u16| Neighbour { address: ([10, 0, 0, 1], n).into(), certificate: Digest::of(&n.to_le_bytes()) };
            let site: BTreeMap<Name, Neighbour> = (0..size).map(|n| (name(&format!("n{n}")), neighbour(n))).collect();
            let all: BTreeMap<&Name, _> = site.keys().map(|me| (me, around(me, &site))).collect();
            for (me, mine) in &all {
                assert!(!mine.contains_key(*me));
                assert_eq!(mine.len(), NEIGHBOURS_MAX.min(usize::from(size) - 1), "{me} of {size}");
                assert!(mine.keys().all(|other| all[other].contains_key(*me)), "{me} of {size}");
            }
        }
    }
}
