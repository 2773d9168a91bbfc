//! The hub's side of the link: what nodes say is folded, stored or answered here, and what they shall know is sent.
//!
//! ```text
//! gate ──▶ Link (Nodes) ─┬─ State ───▶ hello: compare (stamp, hash) ──▶ Agreed | Desired | "it is ahead of us"
//!                        │             report: fold into the fleet
//!                        ├─ Request ─▶ pull: a task per busy session sends frames, as fast as the node takes them
//!                        │             patch wanted: another task has it made, and tells its digest
//!                        └─ Event ───▶ journal: store, then confirm;  log pieces: to whoever asked
//! ```
//!
//! Everything is a hint that may be lost, but for what is confirmed: a desired state that did not fit the session's queue
//! is sent again at the next hello or report.

mod hello;
pub mod logs;
mod patch;
mod pull;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock};

use bytes::Bytes;
use shared::fault::{Fault, hub};
use shared::id::{Digest, Name};
use shared::report::{Event, Report};
use shared::time::UnixMillis;
use shared::topic::Channel;
use shared::wire::v1::{self, Down, Up};
use tokio::sync::mpsc;

use crate::access::lock;
use crate::delta::Pin;
use crate::gate::{self, End, Nodes, Session, SessionId};
use crate::hub::Hub;
use crate::records::{NODES, Node, key};
use logs::Streams;

/// A session and what is under way in it.
struct Live {
    session: Session,
    /// To the task that answers pulls, while there is one.
    pulls: Option<mpsc::Sender<v1::Pull>>,
    /// To the task that has patches made, while there is one.
    patches: Option<mpsc::Sender<v1::PatchWanted>>,
    /// The patch the node is in the middle of.
    reading: Option<Pin>,
    /// The desired state that was sent last, and when.
    sent: Option<(Digest, UnixMillis)>,
}

/// Live sessions by node, and the logs that people read through them.
#[derive(Default)]
pub struct Sessions {
    live: Mutex<BTreeMap<Name, Live>>,
    streams: Mutex<Streams>,
    roster: OnceLock<gate::Sessions>,
}

impl Sessions {
    /// Tells the gate's own table, so that a session can be ended that has not begun yet.
    pub fn set_roster(&self, roster: gate::Sessions) {
        // A second gate on the same hub would be a mistake of the program; the first stays.
        let _first_stays = self.roster.set(roster);
    }

    /// The live session of `node`.
    pub(crate) fn session(&self, node: &Name) -> Option<Session> {
        lock(&self.live).get(node).map(|live| live.session.clone())
    }

    /// Ends the session of `node`: it is not admitted any more, for the reason `why`.
    pub(crate) fn end(&self, node: &Name, why: &Fault) {
        let known = self.roster.get().is_some_and(|roster| roster.end_node(node, End::Revoked));
        let session = self.session(node);
        if let Some(session) = &session {
            session.end(End::Revoked);
        }
        if known || session.is_some() {
            tracing::info!(%node, why = %why.code, "session ended");
        }
    }

    /// Sends a message that people or the node's state wait for; `false` when it could not be queued.
    pub(crate) fn tell(&self, node: &Name, message: &Down) -> bool {
        self.session(node).is_some_and(|session| session.try_control(message.encode().into()).is_ok())
    }

    /// What the node's session is in the middle of from now on.
    fn reads(&self, node: &Name, session: SessionId, pin: Option<Pin>) {
        let mut table = lock(&self.live);
        let Some(live) = table.get_mut(node).filter(|live| live.session.id() == session) else { return };
        let before = std::mem::replace(&mut live.reading, pin);
        drop(table);
        drop(before);
    }

    fn remember_sent(&self, node: &Name, hash: Digest, now: UnixMillis) {
        if let Some(live) = lock(&self.live).get_mut(node) {
            live.sent = Some((hash, now));
        }
    }

    fn sent(&self, node: &Name) -> Option<(Digest, UnixMillis)> {
        lock(&self.live).get(node)?.sent
    }
}

/// The hub, as the gate sees it.
#[derive(Clone)]
pub struct Link(pub Arc<Hub>);

impl Nodes for Link {
    async fn admit(&self, node: &Name, certificate: &Digest) -> Result<(), Fault> {
        let hub = &self.0;
        let unknown = || Fault::new(&hub::NODE_NOT_FOUND).with("name", node);
        let found = hub.record::<Node>(&key(NODES, node)).await;
        let (record, _) = found.map_err(|error| shared::fault::Faulty::fault(&error))?.ok_or_else(unknown)?;
        match record.certificate {
            _ if record.revoked => Err(Fault::new(&hub::NODE_IS_REVOKED).with("node", node)),
            Some(expected) if expected.same(*certificate) => Ok(()),
            _ => Err(Fault::new(&hub::NODE_OTHER_CERTIFICATE).with("node", node)),
        }
    }

    async fn joined(&self, node: &Name, session: Session) {
        let (id, now) = (session.id(), self.0.now());
        lock(&self.0.link.live).insert(node.clone(), Live { session, pulls: None, patches: None, reading: None, sent: None });
        self.0.life(node, |life| life.connected(now));
        tracing::debug!(%node, session = %id, "node connected");
    }

    async fn received(&self, node: &Name, session: SessionId, channel: Channel, payload: Bytes) {
        let hub = &self.0;
        let now = hub.now();
        hub.life(node, |life| life.heard(now));
        match (channel, Up::decode(&payload)) {
            (Channel::State, Ok(Up::Hello(hello))) => hub.hello(node, &hello).await,
            (Channel::State, Ok(Up::Report(report))) => match Report::try_from(report) {
                Ok(report) => hub.report(node, report).await,
                Err(error) => hub.unreadable(node, &error.to_string()),
            },
            (Channel::Request, Ok(Up::Pull(pull))) => pull::queue(hub, node, session, pull),
            (Channel::Request, Ok(Up::PatchWanted(wanted))) => patch::queue(hub, node, session, wanted),
            (Channel::Event, Ok(Up::Events(events))) => hub.journal(node, events).await,
            (Channel::Event, Ok(Up::Log(piece))) => hub.link.log_piece(node, piece).await,
            (_, Ok(_)) => hub.unreadable(node, "a message on a channel that is not its own"),
            (_, Err(error)) => hub.unreadable(node, &error.to_string()),
        }
    }

    async fn left(&self, node: &Name, session: SessionId) {
        let mut live = lock(&self.0.link.live);
        if live.get(node).is_none_or(|live| live.session.id() != session) {
            return;
        }
        live.remove(node);
        drop(live);
        lock(&self.0.link.streams).end_node(node);
        self.0.life(node, crate::fleet::Life::disconnected);
        tracing::debug!(%node, %session, "node disconnected");
    }
}

impl Hub {
    async fn journal(&self, node: &Name, events: Vec<v1::Event>) {
        let events: Result<Vec<Event>, _> = events.into_iter().take(crate::events::BATCH).map(Event::try_from).collect();
        let stored = match events {
            Ok(events) => self.store_events(node, events).await,
            Err(error) => return self.unreadable(node, &error.to_string()),
        };
        match stored {
            Ok(Some(next)) => {
                self.link.tell(node, &Down::EventsStored(next));
            }
            // Not confirmed, so the node sends them again, later.
            Ok(None) => tracing::debug!(%node, "too many journal entries at once"),
            Err(error) => tracing::warn!(%node, %error, "journal entries were not stored"),
        }
    }

    /// A message that makes no sense here: from a newer node, or a broken one. Shown at the node until it says something
    /// that does.
    fn unreadable(&self, node: &Name, why: &str) {
        self.metrics.unreadable.inc();
        let fault = Fault::new(&hub::NODE_UNREADABLE).with("node", node).with("why", why);
        let now = self.now();
        if self.life(node, |life| life.troubled(Some(fault), now)) == Some(true) {
            tracing::warn!(%node, why, "a message could not be read");
        }
    }
}
