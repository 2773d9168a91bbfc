//! The node's session with the hub: typed messages over whatever transport there is.
//!
//! The link holds no truth. What must arrive is said again: after every reconnect the node says hello, sends
//! its newest report and the journal entries the hub has not confirmed, and asks again for the frames it misses.
//!
//! ```text
//! inbox, journal, logs ◀── Inbound ◀─┐
//!                                    ├── Link ◀──▶ transport (link/mqtt, or joined ends in the simulation)
//! images ── read (ChunkSource) ──────┘
//! ```

pub mod backoff;
pub mod mqtt;
pub mod transport;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use shared::fault::Fault;
use shared::id::Digest;
use shared::topic::Channel;
use shared::wire::v1::{Down, Frame, LogWanted, Pull, Up};
use shared::{sign, state, wire};
use tokio::sync::{mpsc, oneshot, watch};

use crate::images::{ChunkSource, SourceError};
use transport::NodeEnds;

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
    online: watch::Receiver<bool>,
    trouble: watch::Receiver<Option<Fault>>,
    pulls: Mutex<Pulls>,
    next: AtomicU32,
}

impl Link {
    /// The link over `ends`, and what the hub says. The second future moves messages until the transport ends.
    pub fn new(ends: NodeEnds) -> (Self, mpsc::Receiver<Inbound>, impl Future<Output = ()> + Send) {
        let (tell, inbound) = mpsc::channel(INBOUND);
        let NodeEnds { to_hub, from_hub, online, trouble } = ends;
        let link = Self(Arc::new(Shared { to_hub, online, trouble, pulls: Mutex::default(), next: AtomicU32::new(1) }));
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
        let channel = match message {
            Up::Hello(_) | Up::Report(_) => Channel::State,
            Up::Pull(_) => Channel::Request,
            Up::Events(_) | Up::Log(_) => Channel::Event,
        };
        // The other end goes away only when the daemon ends.
        let _ = self.0.to_hub.send((channel, Bytes::from(message.encode()))).await;
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

    /// Waits for the answer as long as the link is up.
    async fn pull(&self, blob: Digest, offset: u64, length: u32) -> Result<Frame, SourceError> {
        if !self.is_online() {
            return Err(SourceError::Away);
        }
        let request = self.0.next.fetch_add(1, Ordering::Relaxed);
        let (answer, answered) = oneshot::channel();
        let waiting = Waiting { shared: &self.0, request };
        self.pulls().insert(request, Asked { blob, offset, answer });
        self.say(Up::Pull(Pull { request, blob: *blob.as_bytes(), offset, length })).await;
        let frame = answered.await;
        drop(waiting);
        frame.unwrap_or(Err(SourceError::Away))
    }

    fn pulls(&self) -> std::sync::MutexGuard<'_, Pulls> {
        self.0.pulls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands a frame to whoever waits for these bytes: who asked again on a slow link takes the first answer, too.
    fn arrived(&self, frame: Frame) {
        let mut pulls = self.pulls();
        let fits = |asked: &Asked| *asked.blob.as_bytes() == frame.blob && asked.offset == frame.offset;
        let exact = pulls.get(&frame.request).is_some_and(fits).then_some(frame.request);
        let who = exact.or_else(|| pulls.iter().find(|(_, asked)| fits(asked)).map(|(request, _)| *request));
        if let Some(asked) = who.and_then(|request| pulls.remove(&request)) {
            let _ = asked.answer.send(Ok(frame)); // Nobody waits any more: it was given up.
        }
    }

    fn refused(&self, request: u32, fault: Fault) {
        if let Some(asked) = self.pulls().remove(&request) {
            let _ = asked.answer.send(Err(SourceError::NotThere(fault))); // As above.
        }
    }
}

/// Frames that somebody waits for, by the number of the request.
type Pulls = BTreeMap<u32, Asked>;

/// Which frame, and who waits.
struct Asked {
    blob: Digest,
    offset: u64,
    answer: oneshot::Sender<Result<Frame, SourceError>>,
}

/// Forgets a request that nobody waits for any more.
struct Waiting<'a> {
    shared: &'a Shared,
    request: u32,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.shared.pulls.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.request);
    }
}

impl ChunkSource for Link {
    async fn read(&self, blob: Digest, offset: u64, length: u32) -> Result<Bytes, SourceError> {
        self.pull(blob, offset, length).await.map(|frame| Bytes::from(frame.data))
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
                    let waiting = std::mem::take(&mut *link.pulls());
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
    match Down::decode(message) {
        Ok(Down::Frame(frame)) => link.arrived(frame),
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
