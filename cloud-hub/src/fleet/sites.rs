//! Which nodes are neighbours: an index by site, so that a change is worked out for those whose neighbours it changes,
//! however large the fleet. Pure.
//!
//! ```text
//! label site, certificate, not revoked ─┐
//! an address in the newest report ──────┴─▶ stands in its site ──▶ shared::neighbour::around
//! ```
//!
//! Only a node that serves takes part: the others would refuse one that stands in no list of theirs. One that is away keeps
//! its place, for its neighbours need it most when links are down.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use shared::id::{Digest, Name};
use shared::neighbour::{SITE, around};
use shared::state::Neighbour;
use shared::time::UnixMillis;

use super::rate::{Bucket, Limit};
use crate::records::Node;

/// How often a node may have its neighbours told anew that it moved: each time costs a signature for every one of them, and
/// some 2 KB over the site's link for each of up to 33 states. In the long run that is 5 MB a month at most.
const MOVES: Limit = Limit { burst: 8, every_ms: 15 * 60_000 };

/// Every enrolled node, and who stands in which site.
#[derive(Debug, Default)]
pub struct Sites {
    members: BTreeMap<Name, Member>,
    standing: BTreeMap<String, BTreeMap<Name, Neighbour>>,
}

/// What decides about one node.
#[derive(Debug, Default)]
struct Member {
    /// Its site and its certificate, as far as it may take part.
    place: Option<(String, Digest)>,
    /// Where it says it is reached.
    address: Option<SocketAddr>,
    moves: Bucket,
}

impl Member {
    fn stands(&self) -> Option<(String, Neighbour)> {
        let ((site, certificate), address) = (self.place.clone()?, self.address?);
        Some((site, Neighbour { address, certificate }))
    }
}

/// The site and the certificate of a node that may take part. A site has a name: an empty label is none.
fn place(record: &Node) -> Option<(String, Digest)> {
    let site = record.labels.get(SITE).filter(|site| !site.is_empty() && !record.revoked)?;
    Some((site.clone(), record.certificate?))
}

/// All changes return the nodes whose neighbours may be others now.
impl Sites {
    /// `node` is enrolled, and this is its record.
    pub fn recorded(&mut self, node: &Name, record: &Node) -> BTreeSet<Name> {
        self.change(node, |member| member.place = place(record))
    }

    /// `node` is forgotten.
    pub fn removed(&mut self, node: &Name) -> BTreeSet<Name> {
        let touched = self.change(node, |member| member.place = None);
        self.members.remove(node);
        touched
    }

    /// `node` says that it is reached there. One that moves too often is believed later, when it says so again.
    pub fn said(&mut self, node: &Name, address: Option<SocketAddr>, now: UnixMillis) -> BTreeSet<Name> {
        let member = self.members.get_mut(node).filter(|member| member.address != address);
        if member.is_some_and(|member| member.moves.take(&MOVES, 1, now)) {
            self.change(node, |member| member.address = address)
        } else {
            BTreeSet::new()
        }
    }

    /// The neighbours of `node`; none while it takes no part.
    pub fn around(&self, node: &Name) -> BTreeMap<Name, Neighbour> {
        let stands = self.members.get(node).and_then(Member::stands);
        stands.map(|(site, _)| self.around_in(&site, node)).unwrap_or_default()
    }

    fn around_in(&self, site: &str, node: &Name) -> BTreeMap<Name, Neighbour> {
        self.standing.get(site).map(|site| around(node, site)).unwrap_or_default()
    }

    fn change(&mut self, node: &Name, change: impl FnOnce(&mut Member)) -> BTreeSet<Name> {
        let member = self.members.entry(node.clone()).or_default();
        let before = member.stands();
        change(member);
        let after = member.stands();
        let mut touched = BTreeSet::new();
        if before == after {
            return touched;
        }
        touched.insert(node.clone());
        if let Some((site, _)) = before {
            touched.extend(self.around_in(&site, node).into_keys());
            self.leave(&site, node);
        }
        if let Some((site, neighbour)) = after {
            self.standing.entry(site.clone()).or_default().insert(node.clone(), neighbour);
            touched.extend(self.around_in(&site, node).into_keys());
        }
        touched
    }

    fn leave(&mut self, site: &str, node: &Name) {
        if let Some(nodes) = self.standing.get_mut(site) {
            nodes.remove(node);
            if nodes.is_empty() {
                self.standing.remove(site);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use shared::state::NEIGHBOURS_MAX;

    use super::*;

    const NOW: UnixMillis = UnixMillis(1_000_000);

    fn name(n: u32) -> Name {
        Name::new(&format!("n{n:04}")).expect("name")
    }

    fn address(n: u32) -> Option<SocketAddr> {
        Some(([10, 0, 0, 1], u16::try_from(n + 1).expect("a port")).into())
    }

    fn record(site: &str, certificate: u32) -> Node {
        Node {
            labels: [(SITE.to_owned(), site.to_owned())].into(),
            certificate: Some(Digest::of(&certificate.to_le_bytes())),
            revoked: false,
            created: NOW,
            updated: NOW,
        }
    }

    /// Sites and what their nodes were told last: as the hub does it, only those that are touched are told.
    #[derive(Default)]
    struct World {
        sites: Sites,
        told: BTreeMap<Name, BTreeMap<Name, Neighbour>>,
    }

    impl World {
        /// These nodes in one site.
        fn of(count: u32) -> Self {
            let mut world = Self::default();
            for n in 0..count {
                world.joins(n, "north");
            }
            world
        }

        fn joins(&mut self, n: u32, site: &str) {
            self.step(|sites| sites.recorded(&name(n), &record(site, n)));
            self.step(|sites| sites.said(&name(n), address(n), NOW));
        }

        /// After each change everybody was told what is so, and knows those that know it. How many were told anew.
        fn step(&mut self, change: impl FnOnce(&mut Sites) -> BTreeSet<Name>) -> usize {
            let touched = change(&mut self.sites);
            for node in &touched {
                self.told.insert(node.clone(), self.sites.around(node));
            }
            for (node, told) in &self.told {
                assert_eq!(*told, self.sites.around(node), "{node}");
                assert!(told.len() <= NEIGHBOURS_MAX && !told.contains_key(node));
                assert!(told.keys().all(|other| self.told[other].contains_key(node)), "{node}: {told:?}");
            }
            touched.len()
        }

        fn knows(&self, n: u32) -> Vec<Name> {
            self.told.get(&name(n)).map(|told| told.keys().cloned().collect()).unwrap_or_default()
        }
    }

    #[test]
    fn nodes_of_one_site_know_each_other_and_nobody_else() {
        let mut world = World::of(3);
        world.joins(7, "south");
        world.joins(8, "");
        world.joins(9, "");
        assert_eq!([0, 1, 2].map(|n| world.knows(n).len()), [2, 2, 2]);
        assert_eq!([7, 8, 9].map(|n| world.knows(n).len()), [0, 0, 0]);
        assert_eq!(world.step(|sites| sites.recorded(&name(2), &record("south", 2))), 4);
        assert_eq!([0, 2, 7].map(|n| world.knows(n)), [vec![name(1)], vec![name(7)], vec![name(2)]]);
        let unlabelled = Node { labels: BTreeMap::new(), ..record("", 2) };
        assert_eq!(world.step(|sites| sites.recorded(&name(2), &unlabelled)), 2);
        assert_eq!([2, 7].map(|n| world.knows(n).len()), [0, 0]);
        assert_eq!(world.step(|sites| sites.recorded(&name(2), &record("north", 2))), 3, "its address was kept");
    }

    #[test]
    fn who_may_not_or_does_not_serve_takes_no_part() {
        let mut world = World::of(3);
        let revoked = Node { revoked: true, ..record("north", 0) };
        let never = Node { certificate: None, ..record("north", 0) };
        for (gone, back) in [(revoked, record("north", 0)), (never, record("north", 9))] {
            assert_eq!(world.step(|sites| sites.recorded(&name(0), &gone)), 3);
            assert_eq!([0, 1].map(|n| world.knows(n)), [vec![], vec![name(2)]]);
            assert_eq!(world.step(|sites| sites.recorded(&name(0), &back)), 3);
        }
        assert_eq!(world.told[&name(1)][&name(0)].certificate, Digest::of(&9_u32.to_le_bytes()), "the new one");
        assert_eq!(world.step(|sites| sites.said(&name(0), None, NOW)), 3);
        assert_eq!(world.knows(0), [], "and is told nobody, who would refuse it");
        assert_eq!(world.step(|sites| sites.removed(&name(1))), 2);
        assert_eq!([0, 2].map(|n| world.knows(n)), [[], []]);
        assert_eq!(world.step(|sites| sites.said(&name(1), address(1), NOW)), 0, "nobody's");
    }

    #[test]
    fn what_changes_nothing_touches_nobody() {
        let mut world = World::of(4);
        let labelled = Node {
            labels: record("north", 1).labels.into_iter().chain([("a".into(), "b".into())]).collect(),
            ..record("north", 1)
        };
        assert_eq!(world.step(|sites| sites.recorded(&name(1), &labelled)), 0);
        assert_eq!(world.step(|sites| sites.said(&name(1), address(1), NOW)), 0);
        assert_eq!(world.step(|sites| sites.said(&name(1), address(7), NOW)), 4);
        assert_eq!(world.told[&name(3)][&name(1)].address, address(7).expect("an address"));
    }

    #[test]
    fn a_change_in_a_large_site_touches_those_around_it() {
        let mut world = World::of(40);
        assert!((0..40).all(|n| world.knows(n).len() == NEIGHBOURS_MAX));
        assert_eq!(world.step(|sites| sites.said(&name(5), address(99), NOW)), NEIGHBOURS_MAX + 1);
        assert_eq!(world.step(|sites| sites.removed(&name(5))), NEIGHBOURS_MAX + 1);
        world.joins(5, "north");
        let south = |n| record("south", n);
        for n in 0..20 {
            world.step(|sites| sites.recorded(&name(n), &south(n)));
        }
        assert!((0..40).all(|n| world.knows(n).len() == 19));
    }

    #[test]
    fn one_that_moves_all_the_time_is_believed_now_and_then() {
        let mut world = World::of(2);
        let said = |world: &mut World, n, now| world.step(|sites| sites.said(&name(0), address(n), UnixMillis(now)));
        let believed = (0..100).filter(|n| said(&mut world, 10 + n, NOW.0) > 0).count();
        assert_eq!(believed as u64, MOVES.burst - 1, "one move was its first address");
        assert_eq!(said(&mut world, 500, NOW.0 + MOVES.every_ms - 1), 0);
        assert_eq!(said(&mut world, 500, NOW.0 + MOVES.every_ms), 2);
        assert_eq!(said(&mut world, 500, NOW.0 + MOVES.every_ms), 0, "and what it says again costs nothing");
    }

    #[test]
    fn one_that_flaps_all_day_leaves_the_link_to_others() {
        let mut world = World::of(2);
        let minute = |n: u64| UnixMillis(NOW.0 + n * 60_000);
        let flaps = |n: u64| world.step(|sites| sites.said(&name(0), address(10 + (n % 2) as u32), minute(n))) > 0;
        let believed = (1..=24 * 60).map(flaps).filter(|was| *was).count();
        assert!((4 * 24..=4 * 24 + 8).contains(&believed), "four an hour: {believed}");
    }
}
