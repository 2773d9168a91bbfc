//! The node's session with the hub: typed messages over whatever transport there is.
//!
//! The link holds no truth. What must arrive is said again: after every reconnect the node says hello, sends
//! its newest report and the journal entries the hub has not confirmed, and asks again for the frames it misses.
//!
//! ```text
//! inbox, journal, logs ◀── Inbound ◀─┐
//!                                    ├── Link ◀──▶ transport (link/mqtt, or joined ends in the simulation)
//! images ── read, patch (ChunkSource) ┘        every message is counted by what it is for (budget::Ledger)
//! ```

pub mod backoff;
pub mod mqtt;
pub mod transport;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use shared::budget::Class;
use shared::fault::Fault;
use shared::id::Digest;
use shared::release::Blob;
use shared::topic::Channel;
use shared::wire::HAVE_MAX;
use shared::wire::v1::{Down, Frame, LogWanted, PatchWanted, Pull, Up};
use shared::{sign, state, wire};
use tokio::sync::{mpsc, oneshot, watch};

use crate::budget::Ledger;
use crate::images::{ChunkSource, SourceError};
use transport::NodeEnds;

/// The hub makes a patch within this time, or is asked again and goes on making it.
const PATCH_LIMIT: Duration = Duration::from_secs(300);
/// A frame of a document that takes longer is asked for again. Images know their own patience ([`crate::images::fetch`]).
const DOCUMENT_LIMIT: Duration = Duration::from_secs(120);
/// Length of such a frame: a second at 256 kbit/s, because a desired state may have to wait behind it. Most releases fit.
const DOCUMENT_FRAME: u32 = 32 << 10;
/// Inbound messages that wait to be handled.
const INBOUND: usize = 8;

/// What the hub said, other than frames.
#[derive(Debug)]
pub enum Inbound {
    /// The session began: say hello.
    Online,
    /// A signed desired state.
    Desired(sign::Envelope),
    /// Hub and node hold the same desired state.
    Agreed(state::Stamp),
    /// The hub has all journal entries below this number.
    EventsStored(u64),
    /// Somebody wants to read a log.
    LogWanted(LogWanted),
    /// Nobody wants to read that log any more.
    LogEnough(u32),
}

/// The node's end of the link. Cheap to clone.
#[derive(Clone)]
pub struct Link(Arc<Shared>);

struct Shared {
    to_hub: mpsc::Sender<(Channel, Bytes)>,
    ledger: Arc<Ledger>,
    online: watch::Receiver<bool>,
    trouble: watch::Receiver<Option<Fault>>,
    asked: Mutex<Requests>,
    next: AtomicU32,
}

impl Link {
    /// The link over `ends`, counted in `ledger`, and what the hub says. The second future moves messages until the
    /// transport ends.
    pub fn new(ends: NodeEnds, ledger: Arc<Ledger>) -> (Self, mpsc::Receiver<Inbound>, impl Future<Output = ()> + Send) {
        let (tell, inbound) = mpsc::channel(INBOUND);
        let NodeEnds { to_hub, from_hub, online, trouble } = ends;
        let link = Self(Arc::new(Shared { to_hub, ledger, online, trouble, asked: Mutex::default(), next: AtomicU32::new(1) }));
        (link.clone(), inbound, pump(link, from_hub, tell))
    }

    /// Whether the hub can be reached.
    pub fn is_online(&self) -> bool {
        *self.0.online.borrow()
    }

    /// Why the hub cannot be reached, for people.
    pub fn trouble(&self) -> Option<Fault> {
        self.0.trouble.borrow().clone()
    }

    /// Watches whether the hub can be reached.
    pub fn online(&self) -> watch::Receiver<bool> {
        self.0.online.clone()
    }

    /// Says something to the hub. Lost when the link is down: whoever must be heard says it again after `Online`.
    pub async fn say(&self, message: Up) {
        let (channel, class) = match message {
            Up::Hello(_) | Up::Report(_) => (Channel::State, Class::Control),
            Up::Pull(_) | Up::PatchWanted(_) => (Channel::Request, Class::Images),
            Up::Events(_) => (Channel::Event, Class::Events),
            Up::Log(_) => (Channel::Event, Class::Logs),
        };
        let bytes = Bytes::from(message.encode());
        self.0.ledger.count(class, bytes.len() as u64);
        // The other end goes away only when the daemon ends.
        let _ = self.0.to_hub.send((channel, bytes)).await;
    }

    /// A whole small blob whose size nobody told: a signed release.
    pub async fn document(&self, blob: Digest, most: usize) -> Result<Vec<u8>, SourceError> {
        let mut bytes = Vec::new();
        loop {
            let pull = self.pull(blob, bytes.len() as u64, DOCUMENT_FRAME);
            let frame = tokio::time::timeout(DOCUMENT_LIMIT, pull).await.map_err(|_| SourceError::Timeout)??;
            let total = usize::try_from(frame.total).unwrap_or(usize::MAX);
            if total > most || (frame.data.is_empty() && bytes.len() < total) {
                return Err(SourceError::Timeout);
            }
            bytes.extend_from_slice(&frame.data);
            if bytes.len() >= total {
                bytes.truncate(total);
                return Ok(bytes);
            }
        }
    }

    async fn pull(&self, blob: Digest, offset: u64, length: u32) -> Result<Frame, SourceError> {
        let what = What::Bytes { blob, offset };
        let ask = |request| Up::Pull(Pull { request, blob: *blob.as_bytes(), offset, length });
        match self.ask(what, ask).await? {
            Answer::Frame(frame) => Ok(frame),
            Answer::Patch(_) => Err(SourceError::Timeout), // Not what was asked.
        }
    }

    /// Waits for the answer as long as the link is up.
    async fn ask(&self, what: What, message: impl FnOnce(u32) -> Up) -> Result<Answer, SourceError> {
        if !self.is_online() {
            return Err(SourceError::Away);
        }
        let request = self.0.next.fetch_add(1, Ordering::Relaxed);
        let (answer, answered) = oneshot::channel();
        let waiting = Waiting { shared: &self.0, request };
        self.asked().insert(request, Asked { what, answer });
        self.say(message(request)).await;
        let answer = answered.await;
        drop(waiting);
        answer.unwrap_or(Err(SourceError::Away))
    }

    fn asked(&self) -> std::sync::MutexGuard<'_, Requests> {
        self.0.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands an answer to whoever waits for it: who asked again on a slow link takes the first one, too.
    fn answer(&self, request: u32, what: &What, answer: Answer) {
        let mut waiting = self.asked();
        let exact = waiting.get(&request).is_some_and(|asked| asked.what == *what).then_some(request);
        let who = exact.or_else(|| waiting.iter().find(|(_, asked)| asked.what == *what).map(|(request, _)| *request));
        if let Some(asked) = who.and_then(|request| waiting.remove(&request)) {
            let _ = asked.answer.send(Ok(answer)); // Nobody waits any more: it was given up.
        }
    }

    fn refused(&self, request: u32, fault: Fault) {
        if let Some(asked) = self.asked().remove(&request) {
            let _ = asked.answer.send(Err(SourceError::NotThere(fault))); // As above.
        }
    }
}

/// What somebody waits for, by the number of the request.
type Requests = BTreeMap<u32, Asked>;

/// What was asked, and who waits.
struct Asked {
    what: What,
    answer: oneshot::Sender<Result<Answer, SourceError>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    Bytes { blob: Digest, offset: u64 },
    Patch { layer: Digest },
}

enum Answer {
    Frame(Frame),
    Patch(Blob),
}

/// Forgets a request that nobody waits for any more.
struct Waiting<'a> {
    shared: &'a Shared,
    request: u32,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.shared.asked.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.request);
    }
}

impl ChunkSource for Link {
    async fn read(&self, blob: Digest, offset: u64, length: u32) -> Result<Bytes, SourceError> {
        self.pull(blob, offset, length).await.map(|frame| Bytes::from(frame.data))
    }

    async fn patch(&self, layer: Digest, have: &[Digest]) -> Result<Blob, SourceError> {
        let have = have.iter().take(HAVE_MAX).map(|layer| *layer.as_bytes()).collect();
        let ask = |request| Up::PatchWanted(PatchWanted { request, layer: *layer.as_bytes(), have });
        let answer = tokio::time::timeout(PATCH_LIMIT, self.ask(What::Patch { layer }, ask)).await;
        match answer.map_err(|_| SourceError::Timeout)?? {
            Answer::Patch(patch) => Ok(patch),
            Answer::Frame(_) => Err(SourceError::Timeout), // Not what was asked.
        }
    }

    async fn back(&self) {
        let mut online = self.online();
        let _ = online.wait_for(|online| *online).await; // An error means that the daemon ends.
    }
}

async fn pump(link: Link, mut from_hub: mpsc::Receiver<Bytes>, tell: mpsc::Sender<Inbound>) {
    let mut online = link.online();
    loop {
        tokio::select! {
            // What came before the link was lost counts: it need not be sent again.
            biased;
            message = from_hub.recv() => {
                let Some(message) = message else { return };
                if let Some(inbound) = hear(&link, &message) && tell.send(inbound).await.is_err() {
                    return;
                }
            }
            changed = online.changed() => {
                if changed.is_err() {
                    return;
                }
                let up = *online.borrow_and_update();
                if !up {
                    let waiting = std::mem::take(&mut *link.asked());
                    waiting.into_values().for_each(|asked| _ = asked.answer.send(Err(SourceError::Away)));
                } else if tell.send(Inbound::Online).await.is_err() {
                    return;
                }
            }
        }
    }
}

/// Answers a waiting request, or returns what somebody else must handle.
fn hear(link: &Link, message: &[u8]) -> Option<Inbound> {
    let heard = Down::decode(message);
    link.0.ledger.count(heard.as_ref().map_or(Class::Control, class), message.len() as u64);
    match heard {
        Ok(Down::Frame(frame)) => {
            let what = What::Bytes { blob: Digest::from_bytes(frame.blob), offset: frame.offset };
            link.answer(frame.request, &what, Answer::Frame(frame));
        }
        Ok(Down::Patch(patch)) => {
            let blob = Blob { digest: Digest::from_bytes(patch.blob), size: patch.size };
            link.answer(patch.request, &What::Patch { layer: Digest::from_bytes(patch.layer) }, Answer::Patch(blob));
        }
        Ok(Down::NoBlob { request, fault, .. }) => link.refused(request, Fault::from(fault)),
        Ok(Down::Desired(envelope)) => return Some(Inbound::Desired(envelope.into())),
        Ok(Down::Agreed { stamp, .. }) => return Some(Inbound::Agreed(stamp.into())),
        Ok(Down::EventsStored(below)) => return Some(Inbound::EventsStored(below)),
        Ok(Down::LogWanted(wanted)) => return Some(Inbound::LogWanted(wanted)),
        Ok(Down::LogEnough { request }) => return Some(Inbound::LogEnough(request)),
        Err(wire::WireError::UnknownVersion(version)) => {
            tracing::warn!(version, "the hub speaks a newer version; update this node")
        }
        Err(error) => tracing::warn!(%error, "the hub sent something that is no message"),
    }
    None
}

/// What the hub's message is for. Bytes of an image count before anybody hears of them: until then they are on their way.
const fn class(message: &Down) -> Class {
    match message {
        Down::Desired(_) | Down::Agreed { .. } => Class::Control,
        Down::EventsStored(_) => Class::Events,
        Down::LogWanted(_) | Down::LogEnough { .. } => Class::Logs,
        Down::Frame(_) | Down::NoBlob { .. } | Down::Patch(_) => Class::Images,
    }
}
