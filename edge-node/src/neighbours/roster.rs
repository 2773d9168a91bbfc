//! How each neighbour stands: of what use it was when it was last asked, and the bytes that went both ways.
//!
//! Exactly those are known whom the hub names. Time is an argument.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use shared::fault::Fault;
use shared::id::Name;
use shared::state::Neighbour;
use tokio::time::Instant;

/// Sharing images with the other nodes of the site, as people see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sharing {
    /// Where neighbours are told to reach this node, once that is known.
    pub address: Option<SocketAddr>,
    /// Bytes of answers that came from neighbours since the daemon started, former ones among them.
    pub taken: u64,
    /// Bytes of answers that went to them.
    pub given: u64,
    /// The neighbours that the hub names, by name.
    pub neighbours: Vec<Standing>,
}

/// A neighbour, and how it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// Its name.
    pub neighbour: Name,
    /// Where it is reached.
    pub address: SocketAddr,
    /// Of what use it is.
    #[serde(flatten)]
    pub state: State,
    /// Bytes of answers that came from it since the daemon started.
    pub taken: u64,
    /// Bytes of answers that went to it.
    pub given: u64,
}

/// Of what use a neighbour was when it was last asked. Ages and spans are milliseconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum State {
    /// It was asked nothing yet: nothing was wanted.
    Unasked,
    /// It answered.
    Useful {
        /// How long ago.
        asked_ms: u64,
    },
    /// It did not, or not rightly.
    Useless {
        /// How long ago.
        asked_ms: u64,
        /// For so long it is left aside; 0 when it is asked again as soon as something is wanted.
        aside_ms: u64,
        /// What was wrong with it.
        why: Fault,
    },
}

impl State {
    /// As in JSON.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Unasked => "unasked",
            Self::Useful { .. } => "useful",
            Self::Useless { .. } => "useless",
        }
    }

    /// What was wrong with it, if anything.
    pub const fn why(&self) -> Option<&Fault> {
        match self {
            Self::Useless { why, .. } => Some(why),
            Self::Unasked | Self::Useful { .. } => None,
        }
    }
}

/// Bytes of one neighbour's answers one way; they count for all neighbours too.
#[derive(Debug, Default)]
pub(super) struct Count {
    one: AtomicU64,
    all: Arc<AtomicU64>,
}

impl Count {
    /// One of those that `all` sums up.
    fn of(all: &Arc<AtomicU64>) -> Arc<Self> {
        Arc::new(Self { one: AtomicU64::new(0), all: all.clone() })
    }

    pub(super) fn add(&self, answer: &[u8]) {
        self.one.fetch_add(answer.len() as u64, Relaxed);
        self.all.fetch_add(answer.len() as u64, Relaxed);
    }
}

/// The neighbours that the hub names.
#[derive(Default)]
pub(super) struct Roster {
    known: BTreeMap<Name, Known>,
    taken: Arc<AtomicU64>,
    given: Arc<AtomicU64>,
}

struct Known {
    address: SocketAddr,
    last: Option<Last>,
    taken: Arc<Count>,
    given: Arc<Count>,
}

/// When it was last asked; if that was of no use, until when it is left aside and why.
struct Last {
    asked: Instant,
    useless: Option<(Instant, Fault)>,
}

impl Known {
    fn is_aside(&self, now: Instant) -> bool {
        self.last.as_ref().and_then(|last| last.useless.as_ref()).is_some_and(|(until, _)| *until > now)
    }

    fn state(&self, now: Instant) -> State {
        let Some(Last { asked, useless }) = &self.last else { return State::Unasked };
        let asked_ms = millis(now.saturating_duration_since(*asked));
        match useless {
            None => State::Useful { asked_ms },
            Some((until, why)) => {
                let aside_ms = millis(until.saturating_duration_since(now));
                State::Useless { asked_ms, aside_ms, why: why.clone() }
            }
        }
    }
}

impl Roster {
    /// Knows those in `named` and no others.
    pub(super) fn follow(&mut self, named: &BTreeMap<Name, Neighbour>) {
        let Self { known, taken, given } = self;
        known.retain(|name, _| named.contains_key(name));
        for (name, Neighbour { address, .. }) in named {
            let new = || Known { address: *address, last: None, taken: Count::of(taken), given: Count::of(given) };
            known.entry(name.clone()).or_insert_with(new).address = *address;
        }
    }

    /// Those that are not left aside.
    pub(super) fn present(&self, now: Instant) -> Vec<Name> {
        self.known.iter().filter(|(_, known)| !known.is_aside(now)).map(|(name, _)| name.clone()).collect()
    }

    /// It answered. Whoever is left aside stays so: that answer was under way.
    pub(super) fn useful(&mut self, name: &Name, now: Instant) {
        if let Some(known) = self.known.get_mut(name).filter(|known| !known.is_aside(now)) {
            known.last = Some(Last { asked: now, useless: None });
        }
    }

    /// It is left aside for `time`, or for longer if it is already.
    pub(super) fn useless(&mut self, name: &Name, now: Instant, time: Duration, why: Fault) {
        let Some(known) = self.known.get_mut(name) else { return };
        let until = now + time;
        let is_longer = |last: &Last| last.useless.as_ref().is_some_and(|(aside, _)| *aside > until);
        if !known.last.as_ref().is_some_and(is_longer) {
            known.last = Some(Last { asked: now, useless: Some((until, why)) });
        }
    }

    /// Where the answers of a neighbour are counted.
    pub(super) fn taken(&self, name: &Name) -> Option<Arc<Count>> {
        self.known.get(name).map(|known| known.taken.clone())
    }

    /// Where the answers to a neighbour are counted.
    pub(super) fn given(&self, name: &Name) -> Option<Arc<Count>> {
        self.known.get(name).map(|known| known.given.clone())
    }

    /// Bytes taken and given in all.
    pub(super) fn carried(&self) -> (u64, u64) {
        (self.taken.load(Relaxed), self.given.load(Relaxed))
    }

    /// All of them, as they stand.
    pub(super) fn list(&self, now: Instant) -> Vec<Standing> {
        let standing = |(name, known): (&Name, &Known)| Standing {
            neighbour: name.clone(),
            address: known.address,
            state: known.state(now),
            taken: known.taken.one.load(Relaxed),
            given: known.given.one.load(Relaxed),
        };
        self.known.iter().map(standing).collect()
    }
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use shared::fault::node;
    use shared::id::Digest;

    use super::*;

    const AWAY: Duration = Duration::from_secs(30);
    const LIED: Duration = Duration::from_secs(3600);

    fn name(n: u16) -> Name {
        Name::new(&format!("n{n}")).unwrap()
    }

    fn named(names: impl IntoIterator<Item = u16>) -> BTreeMap<Name, Neighbour> {
        let neighbour = |n: u16| Neighbour { address: ([10, 0, 0, 1], n).into(), certificate: Digest::of(&n.to_le_bytes()) };
        names.into_iter().map(|n| (name(n), neighbour(n))).collect()
    }

    fn why(cause: &str) -> Fault {
        Fault::new(&node::NEIGHBOUR_AWAY).with("neighbour", name(1)).with("cause", cause)
    }

    #[test]
    fn a_neighbour_is_what_it_was_when_it_was_last_asked() {
        let (mut roster, start) = (Roster::default(), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        let state = |roster: &Roster, seconds| roster.list(at(seconds)).remove(0).state;
        roster.follow(&named([1]));
        assert_eq!(state(&roster, 0), State::Unasked);
        roster.useful(&name(1), at(1));
        assert_eq!(state(&roster, 3), State::Useful { asked_ms: 2000 });
        roster.useless(&name(1), at(4), AWAY, why("off"));
        assert_eq!(state(&roster, 5), State::Useless { asked_ms: 1000, aside_ms: 29_000, why: why("off") });
        assert_eq!(roster.present(at(33)), []);
        assert_eq!(roster.present(at(34)), [name(1)], "it is asked again");
        assert_eq!(state(&roster, 64), State::Useless { asked_ms: 60_000, aside_ms: 0, why: why("off") }, "nobody knows better");
        roster.useful(&name(1), at(70));
        assert_eq!(state(&roster, 70), State::Useful { asked_ms: 0 });
    }

    #[test]
    fn whoever_lied_is_not_asked_earlier_whatever_it_does() {
        let (mut roster, start) = (Roster::default(), Instant::now());
        roster.follow(&named([1]));
        roster.useless(&name(1), start, LIED, why("lied"));
        roster.useful(&name(1), start);
        roster.useless(&name(1), start, AWAY, why("off"));
        assert_eq!(roster.present(start + AWAY), []);
        let state = roster.list(start).remove(0).state;
        assert_eq!(state, State::Useless { asked_ms: 0, aside_ms: 3_600_000, why: why("lied") });
    }

    #[test]
    fn those_whom_the_hub_names_are_known_and_no_others() {
        let (mut roster, now) = (Roster::default(), Instant::now());
        let names = |roster: &Roster| roster.list(now).into_iter().map(|standing| standing.neighbour).collect::<Vec<_>>();
        roster.useful(&name(9), now);
        assert!(names(&roster).is_empty() && roster.taken(&name(9)).is_none());
        roster.follow(&named([1, 2]));
        let (taken, given) = (roster.taken(&name(1)).unwrap(), roster.given(&name(2)).unwrap());
        taken.add(b"seven b");
        given.add(b"four");
        roster.follow(&named([2, 3]));
        assert_eq!(names(&roster), [name(2), name(3)]);
        let counted: Vec<_> = roster.list(now).into_iter().map(|standing| (standing.taken, standing.given)).collect();
        assert_eq!(counted, [(0, 4), (0, 0)]);
        taken.add(b"late");
        assert_eq!(roster.carried(), (11, 4), "the sum never falls");
    }

    #[test]
    fn a_standing_stays_itself_as_json() {
        for state in [State::Unasked, State::Useful { asked_ms: 5 }, State::Useless { asked_ms: 5, aside_ms: 0, why: why("off") }]
        {
            let address = ([10, 0, 0, 1], 7448).into();
            let standing = Standing { neighbour: name(1), address, state, taken: 1, given: 2 };
            let text = serde_json::to_string(&standing).unwrap();
            assert_eq!(serde_json::from_str::<Standing>(&text).unwrap(), standing, "{text}");
            assert!(text.contains(&format!("\"state\":\"{}\"", standing.state.word())), "{text}");
        }
    }
}
