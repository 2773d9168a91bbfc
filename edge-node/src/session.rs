//! The conversation with the hub: what the node says when, and what it does with what it hears.
//!
//! | when | the node says |
//! |---|---|
//! | the link comes up, every few minutes, after accepting a state | hello: stamp and hash of what it holds |
//! | something changed, at most once a second | a whole report |
//! | the journal grew, the hub confirmed some, every few minutes | the next entries it has not confirmed |
//! | somebody reads a log | pieces of it |
//!
//! Nothing here is needed for containers to run.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use shared::fault::{Fault, Faulty, node};
use shared::report::Report;
use shared::sign::Envelope;
use shared::time::Uptime;
use shared::wire::v1::{Hello, LogPiece, LogWanted, Up};
use tokio::sync::{mpsc, watch};
use tokio::task::AbortHandle;
use tokio::time::Instant;

use crate::bundle::Supply;
use crate::clock::Clock;
use crate::held::Held;
use crate::inbox::{Inbox, InboxError, Taken};
use crate::journal::Journal;
use crate::link::{Inbound, Link};
use crate::reporter::{Reporter, says_the_same};
use crate::shutdown::Shutdown;

/// Even when nothing happens, hub and node compare what they hold this often.
const HELLO_EVERY: Duration = Duration::from_secs(300);
/// Two reports are at least this far apart.
const REPORT_GAP: Duration = Duration::from_secs(1);
/// Changes that come together are reported together.
const SETTLE: Duration = Duration::from_millis(100);
/// While something is on its way or starting, ages and progress are reported this often.
const REPORT_EVERY: Duration = Duration::from_secs(60);
/// Logs that are read at once.
const LOGS_MAX: usize = 8;

/// Reads logs of services; the end of the receiver is the end of the log.
pub trait Logs: Send + Sync + 'static {
    /// Lines of the wanted log, in pieces of at most 64 KiB.
    fn read(&self, wanted: &LogWanted) -> Result<mpsc::Receiver<Vec<u8>>, Fault>;
}

/// Everything the conversation works with.
pub struct Parts<L> {
    /// The link.
    pub link: Link,
    /// What the hub says.
    pub inbound: mpsc::Receiver<Inbound>,
    /// Takes desired states.
    pub inbox: Arc<Inbox>,
    /// Where the releases they name come from.
    pub supply: Supply,
    /// What the node holds.
    pub held: Arc<Held>,
    /// What happened.
    pub journal: Arc<Journal>,
    /// Makes reports.
    pub reporter: Arc<Reporter>,
    /// Wakes when a report may say something new.
    pub changed: watch::Receiver<crate::reconciler::Status>,
    /// Where other nodes of the site reach this one.
    pub address: watch::Receiver<Option<SocketAddr>>,
    /// The newest report, for whoever asks on site.
    pub latest: watch::Sender<Arc<Report>>,
    /// Uptime when the hub last agreed; `None` when it did not since the daemon started.
    pub confirmed: watch::Sender<Option<Uptime>>,
    /// Reads logs.
    pub logs: Arc<L>,
    /// The node's clocks.
    pub clock: Clock,
}

/// Runs until `shutdown`.
pub async fn run<L: Logs>(parts: Parts<L>, mut shutdown: Shutdown) {
    let Parts {
        link,
        mut inbound,
        inbox,
        supply,
        held,
        journal,
        reporter,
        mut changed,
        mut address,
        latest,
        confirmed,
        logs,
        clock,
    } = parts;
    let (offers, offered) = watch::channel(None);
    let taking = tokio::spawn(take_all(inbox, offered, supply, held.clone(), journal.clone(), reporter.clone(), clock));
    let _taking = AbortOnDrop(taking.abort_handle());
    let mut holds = held.changed();
    let mut entries = journal.changed();
    let mut talk = Talk { link, held, journal, reporter, latest, logs, reading: BTreeMap::new(), said: None };
    let (mut hello_due, mut report_due, mut reported) = (Instant::now() + HELLO_EVERY, Instant::now(), Instant::now());
    loop {
        tokio::select! {
            () = shutdown.wait() => return,
            heard = inbound.recv() => match heard {
                None => return,
                Some(Inbound::Online) => {
                    talk.said = None;
                    talk.stop_reading_all();
                    talk.hello().await;
                    talk.events().await;
                    report_due = Instant::now();
                }
                Some(Inbound::Desired(envelope)) => _ = offers.send_replace(Some(Arc::new(envelope))),
                Some(Inbound::Agreed(_)) => {
                    talk.reporter.took_state();
                    confirmed.send_replace(Some(clock.now().uptime));
                }
                Some(Inbound::EventsStored(below)) => {
                    if let Err(error) = talk.journal.confirm(below) {
                        tracing::warn!(%error, "the hub's confirmation could not be kept; it will come again");
                    }
                    talk.events().await;
                }
                Some(Inbound::LogWanted(wanted)) => talk.read_log(wanted).await,
                Some(Inbound::LogEnough(request)) => talk.stop_reading(request),
            },
            Ok(()) = changed.changed() => report_due = report_due.min((reported + REPORT_GAP).max(Instant::now() + SETTLE)),
            Ok(()) = address.changed() => report_due = Instant::now(),
            Ok(()) = holds.changed() => talk.hello().await,
            Ok(()) = entries.changed() => talk.events().await,
            () = tokio::time::sleep_until(report_due) => {
                talk.report().await;
                reported = Instant::now();
                report_due = reported + REPORT_EVERY;
            }
            () = tokio::time::sleep_until(hello_due) => {
                talk.said = None;
                talk.hello().await;
                talk.report().await;
                talk.events().await;
                hello_due = Instant::now() + HELLO_EVERY;
            }
        }
    }
}

/// What the node says.
struct Talk<L> {
    link: Link,
    held: Arc<Held>,
    journal: Arc<Journal>,
    reporter: Arc<Reporter>,
    latest: watch::Sender<Arc<Report>>,
    logs: Arc<L>,
    reading: BTreeMap<u32, AbortHandle>,
    /// The last report the hub heard in this session.
    said: Option<Report>,
}

impl<L: Logs> Talk<L> {
    async fn hello(&self) {
        if !self.link.is_online() {
            return;
        }
        let accepted = self.held.accepted().filter(|_| self.held.is_complete());
        let (accepted, hash) = accepted.map_or_else(Default::default, |(stamp, hash)| (stamp, *hash.as_bytes()));
        let journal = self.journal.confirmed();
        self.link.say(Up::Hello(Hello { accepted: accepted.into(), hash, journal, speaks: 1 })).await;
    }

    async fn report(&mut self) {
        let report = self.reporter.report();
        self.latest.send_replace(Arc::new(report.clone()));
        let is_news = self.said.as_ref().is_none_or(|said| !says_the_same(said, &report));
        if is_news && self.link.is_online() {
            self.link.say(Up::Report((&report).into())).await;
            self.said = Some(report);
        }
    }

    async fn events(&self) {
        if !self.link.is_online() {
            return;
        }
        match self.journal.unconfirmed() {
            Ok(entries) if entries.is_empty() => {}
            Ok(entries) => self.link.say(Up::Events(entries)).await,
            Err(error) => tracing::warn!(%error, "the journal cannot be read"),
        }
    }

    async fn read_log(&mut self, wanted: LogWanted) {
        self.reading.retain(|_, task| !task.is_finished());
        let request = wanted.request;
        self.stop_reading(request);
        let refused = |fault: Fault| Up::Log(LogPiece { request, lines: Vec::new(), end: Some(Some(fault.into())) });
        if self.reading.len() >= LOGS_MAX {
            return self.link.say(refused(Fault::new(&node::TOO_MANY_LOGS).with("limit", LOGS_MAX))).await;
        }
        match self.logs.read(&wanted) {
            Err(fault) => self.link.say(refused(fault)).await,
            Ok(pieces) => {
                let task = tokio::spawn(send_log(self.link.clone(), request, pieces));
                self.reading.insert(request, task.abort_handle());
            }
        }
    }

    /// Whoever read a log did so in the session that ended.
    fn stop_reading_all(&mut self) {
        std::mem::take(&mut self.reading).into_values().for_each(|task| task.abort());
    }

    fn stop_reading(&mut self, request: u32) {
        if let Some(task) = self.reading.remove(&request) {
            task.abort();
        }
    }
}

async fn send_log(link: Link, request: u32, mut pieces: mpsc::Receiver<Vec<u8>>) {
    while let Some(lines) = pieces.recv().await {
        if !link.is_online() {
            return;
        }
        link.say(Up::Log(LogPiece { request, lines, end: None })).await;
    }
    link.say(Up::Log(LogPiece { request, lines: Vec::new(), end: Some(None) })).await;
}

/// Takes desired states one after the other, always the newest that was offered.
async fn take_all(
    inbox: Arc<Inbox>,
    mut offered: watch::Receiver<Option<Arc<Envelope>>>,
    supply: Supply,
    held: Arc<Held>,
    journal: Arc<Journal>,
    reporter: Arc<Reporter>,
    clock: Clock,
) {
    while offered.changed().await.is_ok() {
        let Some(envelope) = offered.borrow_and_update().clone() else { continue };
        let before = held.accepted();
        match inbox.receive((*envelope).clone(), &supply).await {
            Ok(Taken::Accepted(stamp)) => {
                reporter.took_state();
                journal.record(clock.now().wall, None, Fault::new(&node::EVENT_ACCEPTED).with("stamp", stamp));
            }
            Ok(Taken::Same(_)) => reporter.took_state(),
            Err(InboxError::Away) => tracing::info!("the link went down while a state was being taken"),
            Err(error) => {
                journal.record(clock.now().wall, None, error.fault());
                reporter.blame(error.fault());
            }
        }
        debug_assert!(held.accepted() >= before, "what was accepted never goes back");
    }
}

struct AbortOnDrop(AbortHandle);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}
