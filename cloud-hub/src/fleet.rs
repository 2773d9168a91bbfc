//! The state of the fleet, folded from what the hub wants and what the nodes say. Pure: sessions, reports and
//! time come in as arguments, and nothing but this state changes.
//!
//! It lives in memory, because nodes talk more often than a disk should be written; [`keeper`] writes what people
//! would miss after a restart. All times are the hub's clock: a node's own may be wrong.

pub mod keeper;
mod rate;
mod sites;
pub mod view;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use shared::assign::{Assigned, AssignedBudget};
use shared::fault::Fault;
use shared::id::{Digest, Name};
use shared::report::Report;
use shared::state::{Neighbour, Stamp};
use shared::time::UnixMillis;
use shared::wire::v1;

use crate::{clip, records};
use rate::{Bucket, Limit};
pub use sites::Sites;

/// Entries of a journal that a node may send: one that grew while it was offline, and what happens from day to day.
const EVENTS: Limit = Limit { burst: 2000, every_ms: 1000 };

/// Every node, by name.
#[derive(Debug, Default)]
pub struct Fleet {
    /// The nodes.
    pub nodes: BTreeMap<Name, Life>,
    /// Who is whose neighbour.
    pub sites: Sites,
}

impl Fleet {
    /// Compares where `node` says it is reached with what its neighbours were told; returns those that have others now.
    pub fn placed(&mut self, node: &Name, now: UnixMillis) -> BTreeSet<Name> {
        let report = self.nodes.get(node).and_then(|life| life.report.as_deref());
        self.sites.said(node, report.and_then(|report| report.facts.address), now)
    }
}

/// What the hub wants of a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// Its place in the order.
    pub stamp: Stamp,
    /// sha256 of the signed payload.
    pub hash: Digest,
    /// By app.
    pub apps: BTreeMap<Name, Assigned>,
    /// Releases to have on disk for later, by app.
    pub next: BTreeMap<Name, Assigned>,
    /// What its link may carry.
    pub budget: Option<AssignedBudget>,
    /// Whom it shares images with.
    pub neighbours: BTreeMap<Name, Neighbour>,
}

impl From<&records::Desired> for Wanted {
    fn from(desired: &records::Desired) -> Self {
        let stamp = Stamp { epoch: desired.epoch, generation: desired.generation };
        let records::Desired { apps, next, budget, neighbours, .. } = desired.clone();
        Self { stamp, hash: desired.hash, apps, next, budget, neighbours }
    }
}

/// How much of a node's life is not on disk yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Unsaved {
    /// Nothing.
    #[default]
    Nothing,
    /// What changes all the time: that it was heard, how much disk is free.
    Quiet,
    /// Something a person waits for.
    News,
}

/// One node.
#[derive(Debug, Clone, Default)]
pub struct Life {
    /// What the hub wants; absent until it was first written.
    pub wanted: Option<Arc<Wanted>>,
    /// It has a live session.
    pub connected: bool,
    /// When it connected last.
    pub since: Option<UnixMillis>,
    /// When the hub last heard anything of it.
    pub last_seen: Option<UnixMillis>,
    /// What it holds durably, as it said last.
    pub accepted: Option<Stamp>,
    /// Its last report.
    pub report: Option<Arc<Report>>,
    /// When that came.
    pub reported: Option<UnixMillis>,
    /// What the hub finds wrong with it.
    pub trouble: Option<Fault>,
    /// How many events it may still cause. It outlives sessions: who connects anew gets no new ones.
    pub(crate) events: Bucket,
    /// What is not on disk yet.
    pub unsaved: Unsaved,
    /// When it was last written.
    pub saved: UnixMillis,
}

impl Life {
    /// It opened a session.
    pub fn connected(&mut self, now: UnixMillis) {
        self.connected = true;
        self.since = Some(now);
        self.heard(now);
        self.unsaved = Unsaved::News;
    }

    /// Its session ended.
    pub fn disconnected(&mut self) {
        self.connected = false;
        self.unsaved = Unsaved::News;
    }

    /// Some message came.
    pub fn heard(&mut self, now: UnixMillis) {
        self.last_seen = self.last_seen.max(Some(now));
        self.unsaved = self.unsaved.max(Unsaved::Quiet);
    }

    /// It said what it holds.
    pub fn accepted(&mut self, stamp: Stamp) {
        if self.accepted != Some(stamp) {
            self.accepted = Some(stamp);
            self.unsaved = Unsaved::News;
        }
    }

    /// The hub finds something wrong, or nothing any more. Returns whether it is to be said aloud: it is wrong in another
    /// way than before, and the node may still cause events. Details that a node can vary make nothing new.
    pub fn troubled(&mut self, trouble: Option<Fault>, now: UnixMillis) -> bool {
        let code = |trouble: &Option<Fault>| trouble.as_ref().map(|fault| fault.code.clone());
        let new = code(&self.trouble) != code(&trouble);
        self.trouble = trouble;
        if new {
            self.unsaved = Unsaved::News;
        }
        new && self.trouble.is_some() && self.may_cause(1, now)
    }

    /// Counts `events` that it causes; `false`, and nothing is counted, when that is too many for now.
    pub fn may_cause(&mut self, events: u64, now: UnixMillis) -> bool {
        self.events.take(&EVENTS, events, now)
    }

    /// A snapshot came, and is cut to what a node may say. An older one of the same boot, delivered late or twice, is
    /// dropped.
    pub fn reported(&mut self, report: Report, now: UnixMillis) -> bool {
        let report = clip::report(report);
        self.heard(now);
        if self.report.as_deref().is_some_and(|last| is_older(&report, last)) {
            return false;
        }
        if self.report.as_deref().is_none_or(|last| is_news(last, &report)) {
            self.unsaved = Unsaved::News;
        }
        self.accepted(report.accepted);
        self.report = Some(Arc::new(report));
        self.reported = Some(now);
        true
    }

    /// As it is stored.
    pub fn to_record(&self) -> records::Fleet {
        let report = self.report.as_deref().map(|report| v1::Up::Report(v1::Report::from(report)).encode());
        records::Fleet {
            since: self.since,
            last_seen: self.last_seen,
            reported: self.reported,
            report: report.unwrap_or_default(),
        }
    }

    /// As it was stored: a report that this build cannot read is as good as none.
    pub fn from_record(record: records::Fleet) -> Self {
        let report = match v1::Up::decode(&record.report) {
            Ok(v1::Up::Report(report)) => Report::try_from(report).ok().map(clip::report),
            Ok(v1::Up::Hello(_) | v1::Up::Pull(_) | v1::Up::PatchWanted(_) | v1::Up::Events(_) | v1::Up::Log(_)) | Err(_) => None,
        };
        Self {
            since: record.since,
            last_seen: record.last_seen,
            accepted: report.as_ref().map(|report| report.accepted),
            reported: record.reported.filter(|_| report.is_some()),
            report: report.map(Arc::new),
            ..Self::default()
        }
    }
}

/// Within one boot reports are numbered; a new boot begins anew.
fn is_older(report: &Report, last: &Report) -> bool {
    report.facts.boot == last.facts.boot && report.sequence <= last.sequence
}

/// Whether a person would want to know: everything but clocks and free space.
fn is_news(last: &Report, report: &Report) -> bool {
    let facts = |report: &Report| shared::report::Facts { disk_free: 0, ..report.facts.clone() };
    last.accepted != report.accepted
        || last.apps != report.apps
        || last.next != report.next
        || last.transfers != report.transfers
        || last.faults != report.faults
        || facts(last) != facts(report)
}

#[cfg(test)]
pub(crate) mod tests {
    use shared::health::Health;
    use shared::oci::Platform;
    use shared::report::{AppReport, Facts, Phase, ServiceReport, ServiceState};

    use super::*;

    pub(crate) fn report(sequence: u64, generation: u64) -> Report {
        Report {
            sequence,
            wall: UnixMillis(5),
            uptime_ms: sequence * 1000,
            accepted: Stamp { epoch: 1, generation },
            facts: Facts {
                version: "0.1.0".into(),
                runtime: "1.6.20".into(),
                platform: Platform { os: "linux".into(), architecture: "amd64".into(), variant: String::new() },
                boot: "b1".into(),
                cpus: 2,
                memory: 1 << 30,
                disk_free: 1000 - sequence,
                address: None,
            },
            apps: Vec::new(),
            next: Vec::new(),
            transfers: Vec::new(),
            faults: Vec::new(),
            spent: shared::budget::Spent::default(),
        }
    }

    pub(crate) fn service() -> ServiceReport {
        ServiceReport {
            service: Name::new("s").expect("name"),
            state: ServiceState::Restarting,
            health: Health::Unhealthy,
            restarts: 0,
            instance: String::new(),
            pid: 0,
            since_ms: 0,
            exit: None,
            oom: false,
        }
    }

    pub(crate) fn app(name: &str, release: Digest, phase: Phase) -> AppReport {
        AppReport {
            app: Name::new(name).expect("name"),
            release,
            version: "1.0.0".into(),
            wanted: release,
            good: None,
            phase,
            services: Vec::new(),
            fault: None,
        }
    }

    #[test]
    fn only_the_newest_report_of_a_boot_counts() {
        let mut life = Life::default();
        let mut reboot = report(1, 3);
        reboot.facts.boot = "b2".into();
        for (n, (report, taken)) in
            [(report(5, 1), true), (report(5, 1), false), (report(4, 9), false), (report(6, 2), true), (reboot, true)]
                .into_iter()
                .enumerate()
        {
            assert_eq!(life.reported(report, UnixMillis(10 + n as u64)), taken, "report {n}");
        }
        assert_eq!(life.accepted, Some(Stamp { epoch: 1, generation: 3 }));
        assert_eq!((life.reported, life.last_seen), (Some(UnixMillis(14)), Some(UnixMillis(14))));
    }

    #[test]
    fn what_changes_all_the_time_is_no_news() {
        let mut life = Life::default();
        let unsaved = |life: &mut Life, report: Report| {
            life.unsaved = Unsaved::Nothing;
            life.reported(report, UnixMillis(1));
            life.unsaved
        };
        assert_eq!(unsaved(&mut life, report(1, 1)), Unsaved::News, "the first");
        assert_eq!(unsaved(&mut life, report(2, 1)), Unsaved::Quiet, "clock and disk");
        assert_eq!(unsaved(&mut life, report(3, 2)), Unsaved::News, "accepted");
        let with_app = Report { apps: vec![app("web", Digest::of(b"r"), Phase::Running)], ..report(4, 2) };
        assert_eq!(unsaved(&mut life, with_app), Unsaved::News, "an app");
    }

    #[test]
    fn a_life_survives_the_store() {
        let mut life = Life::default();
        life.connected(UnixMillis(7));
        life.reported(report(1, 4), UnixMillis(9));
        let again = Life::from_record(life.to_record());
        assert!(!again.connected, "sessions end with the hub");
        assert_eq!((again.since, again.last_seen, again.reported), (life.since, life.last_seen, life.reported));
        assert_eq!(again.report, life.report);
        assert_eq!(again.accepted, life.accepted);

        let unreadable =
            Life::from_record(records::Fleet { report: vec![99], reported: Some(UnixMillis(1)), ..life.to_record() });
        assert!(unreadable.report.is_none() && unreadable.reported.is_none());
        assert_eq!(unreadable.last_seen, life.last_seen);
    }

    #[test]
    fn trouble_is_said_once_whatever_its_details() {
        let mut life = Life::default();
        let (ahead, differs) = (&shared::fault::hub::NODE_AHEAD, &shared::fault::hub::NODE_DIFFERS);
        for (n, (text, said)) in
            [(Some(ahead), true), (Some(ahead), false), (Some(differs), true), (None, false), (None, false), (Some(ahead), true)]
                .into_iter()
                .enumerate()
        {
            let fault = text.map(|text| Fault::new(text).with("held", n));
            assert_eq!(life.troubled(fault.clone(), UnixMillis(0)), said, "{n}");
            assert_eq!(life.trouble, fault, "the newest details are shown");
        }
    }

    #[test]
    fn a_node_that_is_in_trouble_now_and_then_is_not_heard_for_ever() {
        let mut life = Life::default();
        let fault = || Some(Fault::new(&shared::fault::hub::NODE_AHEAD));
        let said = (0..10_000).filter(|_| life.troubled(fault(), UnixMillis(5)) | life.troubled(None, UnixMillis(5))).count();
        assert_eq!(said, 2000, "no more than a burst of its journal");
        life.disconnected();
        life.connected(UnixMillis(5));
        assert!(!life.may_cause(1, UnixMillis(5)), "a new session gives nothing");
        assert!(life.may_cause(1, UnixMillis(1005)));
    }
}
