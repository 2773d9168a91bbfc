//! The log of events: what nodes wrote into their journals, and who did what at the hub.
//!
//! A node sends its entries in order and again until the hub confirms them, so that none is lost; the hub takes each
//! number once ([`sort`]) and writes entries and the new position in one commit before it confirms.

use shared::fault::{Fault, hub};
use shared::id::Name;
use shared::report;
use shared::time::UnixMillis;

use crate::clip;
use crate::hub::Hub;
use crate::records::{EVENTS, Event, JOURNALS, Journal, Stored, key};
use crate::store::{Append, Change, Expect, StoreError};

/// Most events that are kept; the oldest go first.
pub const KEPT: u64 = 100_000;
/// Most events of one answer.
pub const PAGE_MAX: usize = 1000;
/// Most entries that one question looks at, however few of them fit.
const SCAN_MAX: usize = 20_000;
const SCAN_STEP: usize = 1000;
/// Most journal entries that are stored at once; the node sends the rest again.
pub(crate) const BATCH: usize = 1000;

/// What is new in some journal entries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sorted {
    /// Entries that are not stored yet.
    pub fresh: Vec<report::Event>,
    /// Numbers that never came: from, and below.
    pub gaps: Vec<(u64, u64)>,
    /// All entries below are stored now.
    pub next: u64,
}

/// Compares entries with what is stored: `next` is the first number that is not; `None` when nothing is, and then any
/// first number will do.
pub fn sort(next: Option<u64>, events: Vec<report::Event>) -> Sorted {
    let mut sorted = Sorted { fresh: Vec::new(), gaps: Vec::new(), next: next.unwrap_or(0) };
    let mut known = next.is_some();
    for event in events {
        if known && event.number < sorted.next {
            continue;
        }
        if known && event.number > sorted.next {
            sorted.gaps.push((sorted.next, event.number));
        }
        known = true;
        sorted.next = event.number.saturating_add(1);
        sorted.fresh.push(event);
    }
    sorted
}

/// Which events somebody asks for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Question {
    /// About this node only.
    pub node: Option<Name>,
    /// About this app only.
    pub app: Option<Name>,
    /// After this cursor; the newest ones when absent.
    pub after: Option<u64>,
    /// At most so many.
    pub limit: usize,
}

impl Question {
    fn fits(&self, event: &Event) -> bool {
        (self.node.is_none() || self.node == event.node) && (self.app.is_none() || self.app == event.app)
    }
}

/// Events with their cursors, oldest first, and where to go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// The events.
    pub events: Vec<(u64, Event)>,
    /// The cursor up to which all was looked at.
    pub until: Option<u64>,
    /// There may be more behind it.
    pub more: bool,
}

impl Hub {
    /// One of the hub's own events, to be committed together with what it tells about.
    pub(crate) fn event(&self, node: Option<&Name>, app: Option<&Name>, by: &str, what: Fault) -> Append {
        let by = (!by.is_empty()).then(|| by.to_owned());
        let event = Event { at: self.now(), node: node.cloned(), journal: None, app: app.cloned(), by, what: what.into() };
        Append::next(EVENTS, event.encode())
    }

    /// Writes one of the hub's own events that stands for itself.
    pub(crate) async fn tell(&self, node: Option<&Name>, what: Fault) {
        let append = self.event(node, None, "", what);
        if let Err(error) = self.store.commit(Vec::new(), vec![append]).await {
            tracing::warn!(%error, "an event was not written");
        }
    }

    /// Stores a node's journal entries once each; returns below which number all are stored. `None`, and nothing is
    /// stored, when the node has filled the log too fast: nobody may push out what all the others wrote.
    pub async fn store_events(&self, node: &Name, events: Vec<report::Event>) -> Result<Option<u64>, StoreError> {
        let found = self.record::<Journal>(&key(JOURNALS, node)).await?;
        let sorted = sort(found.map(|(journal, _)| journal.next), events.into_iter().take(BATCH).collect());
        if sorted.fresh.is_empty() {
            return Ok(Some(sorted.next));
        }
        // A number that never came is an event too.
        let caused = (sorted.fresh.len() + sorted.gaps.len()) as u64;
        let now = self.now();
        if self.life(node, |life| life.may_cause(caused, now)) != Some(true) {
            return Ok(None);
        }
        self.write_sorted(node, sorted, found).await.map(Some)
    }

    /// As [`store_events`](Self::store_events), for entries that an operator brings, who answers for them: a whole journal
    /// comes at once. The number of those that are new.
    pub(crate) async fn store_carried_events(&self, node: &Name, events: Vec<report::Event>) -> Result<u64, StoreError> {
        let mut count = 0;
        let mut events = events.into_iter().peekable();
        while events.peek().is_some() {
            let found = self.record::<Journal>(&key(JOURNALS, node)).await?;
            let sorted = sort(found.map(|(journal, _)| journal.next), events.by_ref().take(BATCH).collect());
            if !sorted.fresh.is_empty() {
                count += sorted.fresh.len() as u64;
                self.write_sorted(node, sorted, found).await?;
            }
        }
        Ok(count)
    }

    /// Writes what is new, and the position behind it, in one commit; returns that position.
    async fn write_sorted(&self, node: &Name, sorted: Sorted, found: Option<(Journal, u64)>) -> Result<u64, StoreError> {
        let (count, now, next) = (sorted.fresh.len() as u64, self.now(), sorted.next);
        let expect = found.map_or(Expect::Absent, |(_, revision)| Expect::Revision(revision));
        let change = Change { key: key(JOURNALS, node), expect, value: Some(Journal { next }.encode()) };
        let gaps = sorted.gaps.iter().map(|(from, below)| {
            self.event(
                Some(node),
                None,
                "",
                Fault::new(&hub::JOURNAL_GAP).with("node", node).with("from", from).with("below", below),
            )
        });
        let fresh = sorted.fresh.into_iter().map(|event| Append::next(EVENTS, from_node(now, node, event).encode()));
        self.store.commit(vec![change], gaps.chain(fresh).collect()).await?;
        self.metrics.events.inc_by(count);
        Ok(next)
    }

    /// Answers a question about the log; looks at a bounded number of entries.
    pub async fn events(&self, question: &Question) -> Result<Page, StoreError> {
        let bounds = self.store.log_bounds(EVENTS).await?;
        let limit = question.limit.clamp(1, PAGE_MAX);
        match question.after {
            Some(after) => self.events_after(question, after.saturating_add(1).max(bounds.first), limit).await,
            None => self.newest_events(question, bounds.first, bounds.next, limit).await,
        }
    }

    async fn events_after(&self, question: &Question, from: u64, limit: usize) -> Result<Page, StoreError> {
        let mut page = Page { events: Vec::new(), until: from.checked_sub(1), more: true };
        let mut from = from;
        let mut looked_at = 0;
        while looked_at < SCAN_MAX {
            let entries = self.store.read_log(EVENTS, from, SCAN_STEP).await?;
            if entries.is_empty() {
                page.more = false;
                break;
            }
            looked_at += entries.len();
            for (number, bytes) in entries {
                let event = Event::decode(EVENTS, &bytes)?;
                page.until = Some(number);
                from = number.saturating_add(1);
                if question.fits(&event) {
                    page.events.push((number, event));
                }
                if page.events.len() == limit {
                    return Ok(page);
                }
            }
        }
        Ok(page)
    }

    /// Reads backwards in steps until there are enough.
    async fn newest_events(&self, question: &Question, first: u64, next: u64, limit: usize) -> Result<Page, StoreError> {
        let mut newest_first = Vec::new();
        let mut below = next;
        for _ in 0..SCAN_MAX.div_ceil(SCAN_STEP) {
            let from = below.saturating_sub(SCAN_STEP as u64).max(first);
            if from >= below {
                break;
            }
            for (number, bytes) in self.entries(from, below).await?.into_iter().rev() {
                let event = Event::decode(EVENTS, &bytes)?;
                if newest_first.len() < limit && question.fits(&event) {
                    newest_first.push((number, event));
                }
            }
            if newest_first.len() == limit {
                break;
            }
            below = from;
        }
        newest_first.reverse();
        Ok(Page { events: newest_first, until: next.checked_sub(1), more: false })
    }

    /// The entries `from..below`. The store ends a page early when it grows large, and the newest must not be missing.
    async fn entries(&self, from: u64, below: u64) -> Result<Vec<(u64, Vec<u8>)>, StoreError> {
        let mut entries: Vec<(u64, Vec<u8>)> = Vec::new();
        let mut from = from;
        while from < below {
            let step = usize::try_from(below - from).unwrap_or(SCAN_STEP);
            let page = self.store.read_log(EVENTS, from, step).await?;
            let Some((last, _)) = page.last() else { break };
            from = last.saturating_add(1);
            entries.extend(page);
        }
        Ok(entries)
    }

    /// Forgets the oldest events when there are clearly too many.
    pub async fn trim_events(&self) -> Result<(), StoreError> {
        let bounds = self.store.log_bounds(EVENTS).await?;
        if bounds.next - bounds.first > KEPT + KEPT / 10 {
            self.store.trim(EVENTS, bounds.next - KEPT).await?;
        }
        Ok(())
    }
}

fn from_node(at: UnixMillis, node: &Name, event: report::Event) -> Event {
    let journal = Some((event.number, event.wall));
    Event { at, node: Some(node.clone()), journal, app: event.app, by: None, what: clip::fault(&event.what).into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events(numbers: &[u64]) -> Vec<report::Event> {
        let what = Fault { code: "x".into(), params: [].into() };
        numbers.iter().map(|n| report::Event { number: *n, wall: UnixMillis(0), app: None, what: what.clone() }).collect()
    }

    #[test]
    fn what_a_node_says_is_cut_to_a_bounded_size() {
        let params = (0..1000).map(|n| (format!("{n:9999}"), "宁".repeat(10_000))).collect();
        let event = report::Event { number: 1, wall: UnixMillis(0), app: None, what: Fault { code: "c".repeat(9999), params } };
        let stored = from_node(UnixMillis(0), &Name::new("n1").expect("name"), event).encode();
        assert!(stored.len() < 6000, "{}", stored.len());
    }

    #[tokio::test]
    async fn long_events_hide_no_newer_ones() {
        let (hub, _dir) = crate::hub::tests::in_memory().await;
        // Ten of them exceed what the store reads at once.
        let long =
            |n: u64| hub.event(None, None, &format!("{n}"), Fault::new(&hub::NODE_LABELLED).with("x", "x".repeat(2 << 20)));
        for n in 0..20 {
            hub.store.commit(Vec::new(), vec![long(n)]).await.expect("commit");
        }
        let by = |page: Page| page.events.into_iter().filter_map(|(_, event)| event.by).collect::<Vec<_>>();
        let newest = hub.events(&Question { limit: 2, ..Question::default() }).await.expect("newest");
        assert_eq!(by(newest), ["18", "19"]);
        let after = hub.events(&Question { limit: 50, after: Some(0), ..Question::default() }).await.expect("after");
        assert!(!after.more);
        assert_eq!(by(after).len(), 19);
    }

    #[tokio::test]
    async fn no_node_fills_the_log_with_gaps_or_by_connecting_again() {
        let (hub, _dir) = crate::hub::tests::in_memory().await;
        let node = Name::new("n1").expect("name");
        hub.fleet().nodes.insert(node.clone(), crate::fleet::Life::default());
        let (mut stored, mut number) = (0, 0);
        for _ in 0..10 {
            hub.life(&node, |life| life.connected(hub.now()));
            // Every other number is missing.
            let numbers: Vec<u64> = (0..100).map(|n| number + 2 * n).collect();
            if hub.store_events(&node, events(&numbers)).await.expect("stored").is_some() {
                (stored, number) = (stored + 1, number + 200);
            }
        }
        let bounds = hub.store.log_bounds(EVENTS).await.expect("bounds");
        assert!(bounds.next - bounds.first <= 2000, "{bounds:?}");
        assert_eq!(stored, 10);
        for _ in 0..100 {
            let numbers: Vec<u64> = (0..100).map(|n| number + 2 * n).collect();
            number += 200;
            hub.store_events(&node, events(&numbers)).await.expect("stored");
        }
        let bounds = hub.store.log_bounds(EVENTS).await.expect("bounds");
        assert!(bounds.next - bounds.first <= 2000, "{bounds:?}");
    }

    #[test]
    fn each_number_is_taken_once_and_missing_ones_are_named() {
        for (next, came, fresh, gaps, then) in [
            (None, &[][..], &[][..], &[][..], 0),
            (None, &[1, 2], &[1, 2], &[], 3),
            (None, &[40, 41], &[40, 41], &[], 42),
            (Some(3), &[1, 2], &[], &[], 3),
            (Some(3), &[2, 3, 4], &[3, 4], &[], 5),
            (Some(3), &[3, 3, 4], &[3, 4], &[], 5),
            (Some(3), &[5], &[5], &[(3, 5)], 6),
            (Some(3), &[3, 7, 8, 10], &[3, 7, 8, 10], &[(4, 7), (9, 10)], 11),
            (Some(u64::MAX), &[u64::MAX], &[u64::MAX], &[], u64::MAX),
        ] {
            let sorted = sort(next, events(came));
            let numbers: Vec<u64> = sorted.fresh.iter().map(|event| event.number).collect();
            assert_eq!((numbers.as_slice(), sorted.gaps.as_slice(), sorted.next), (fresh, gaps, then), "{next:?} {came:?}");
        }
    }
}
