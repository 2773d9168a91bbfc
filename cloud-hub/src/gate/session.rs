//! A session as the rest of the hub sees it, and what waits to be sent on it.
//!
//! Three queues, in this order: **replies** to the client's own packets, **control** messages (desired state, agreements: few
//! and small; when they do not fit the hub hears it at once), and **bulk** (frames of blobs), where [`Session::bulk`] waits
//! for room, so that a sender is as slow as its node. Nothing is sent before the client has subscribed. Queues take memory
//! only while something is in them.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use shared::wire::MESSAGE_MAX;
use tokio::sync::{Notify, Semaphore};

use super::latch::Latch;
use super::stats::End;

/// Most control messages that wait.
pub const CONTROL_MAX: usize = 64;
/// Most bytes of control messages that wait.
pub const CONTROL_BYTES_MAX: usize = 4 * MESSAGE_MAX;
/// Bytes of replies that wait before the gate stops reading from the client.
const REPLIES_MAX: usize = 1024;

/// Which session: never used twice in one life of the hub.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(pub(super) u64);

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Cheap-to-clone handle of one connection of a node. Works until the session ends; after that everything says
/// [`SendError::Gone`].
#[derive(Clone)]
pub struct Session(Arc<Shared>);

/// Why a message was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// As much waits already as may wait.
    #[error("the node does not take what is sent to it")]
    Full,
    /// The session has ended.
    #[error("the session has ended")]
    Gone,
    /// The message is longer than [`MESSAGE_MAX`].
    #[error("the message is too long")]
    TooLong,
}

struct Shared {
    id: SessionId,
    queues: Mutex<Queues>,
    /// Something to send, or a change of `subscribed`.
    work: Notify,
    /// Replies were sent.
    replied: Notify,
    /// One permit per bulk message that still fits; closed when the session ends.
    room: Semaphore,
    ended: Latch,
    left: Latch,
}

#[derive(Default)]
struct Queues {
    replies: Vec<u8>,
    control: VecDeque<Bytes>,
    control_bytes: usize,
    bulk: VecDeque<Bytes>,
    subscribed: bool,
    end: Option<End>,
}

/// What the connection sends next.
pub(super) enum Outgoing {
    /// Whole packets.
    Replies(Vec<u8>),
    /// The payload of a message.
    Control(Bytes),
    /// The payload of a message; [`Session::bulk_sent`] makes room for another one.
    Bulk(Bytes),
}

impl Session {
    pub(super) fn new(id: u64, bulk_max: usize) -> Self {
        Self(Arc::new(Shared {
            id: SessionId(id),
            queues: Mutex::default(),
            work: Notify::new(),
            replied: Notify::new(),
            room: Semaphore::new(bulk_max.clamp(1, 64)),
            ended: Latch::new(),
            left: Latch::new(),
        }))
    }

    /// Which session.
    pub fn id(&self) -> SessionId {
        self.0.id
    }

    /// Sends `message` before all bulk. Refused when [`CONTROL_MAX`] messages or [`CONTROL_BYTES_MAX`] bytes wait.
    pub fn try_control(&self, message: Bytes) -> Result<(), SendError> {
        check(&message)?;
        let mut queues = self.queues();
        if queues.end.is_some() {
            return Err(SendError::Gone);
        }
        let bytes = queues.control_bytes + message.len();
        if queues.control.len() >= CONTROL_MAX || bytes > CONTROL_BYTES_MAX {
            return Err(SendError::Full);
        }
        queues.control_bytes = bytes;
        queues.control.push_back(message);
        drop(queues);
        self.0.work.notify_one();
        Ok(())
    }

    /// Sends `message` after all control messages; waits while as many frames are under way as the gate's limits allow.
    /// Whoever waited first is served first.
    pub async fn bulk(&self, message: Bytes) -> Result<(), SendError> {
        check(&message)?;
        let permit = self.0.room.acquire().await.map_err(|_| SendError::Gone)?;
        permit.forget();
        self.push_bulk(message)
    }

    /// As [`Self::bulk`], but does not wait.
    pub fn try_bulk(&self, message: Bytes) -> Result<(), SendError> {
        check(&message)?;
        let permit = self.0.room.try_acquire().map_err(|error| match error {
            tokio::sync::TryAcquireError::Closed => SendError::Gone,
            tokio::sync::TryAcquireError::NoPermits => SendError::Full,
        })?;
        permit.forget();
        self.push_bulk(message)
    }

    /// Ends the session soon; the first reason counts.
    pub fn end(&self, reason: End) {
        let mut queues = self.queues();
        queues.end.get_or_insert(reason);
        drop(queues);
        self.0.room.close();
        self.0.ended.set();
    }

    /// Returns when the session is over: its [`Nodes::left`](super::Nodes::left) has returned.
    pub async fn left(&self) {
        self.0.left.wait().await;
    }

    /// Why it ended; `None` while it goes on.
    pub fn ended(&self) -> Option<End> {
        self.queues().end
    }

    fn push_bulk(&self, message: Bytes) -> Result<(), SendError> {
        let mut queues = self.queues();
        if queues.end.is_some() {
            return Err(SendError::Gone);
        }
        queues.bulk.push_back(message);
        drop(queues);
        self.0.work.notify_one();
        Ok(())
    }

    fn queues(&self) -> MutexGuard<'_, Queues> {
        self.0.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }

    // ------------------------------------------------------------ for the connection

    /// Returns once [`Self::end`] was called.
    pub(super) async fn ending(&self) {
        self.0.ended.wait().await;
    }

    pub(super) fn is_ending(&self) -> bool {
        self.0.ended.is_set()
    }

    /// Nothing of the session is left; what still waits is dropped.
    pub(super) fn set_left(&self) {
        self.end(End::Lost);
        let end = self.ended();
        *self.queues() = Queues { end, ..Queues::default() };
        self.0.left.set();
    }

    pub(super) fn set_subscribed(&self, subscribed: bool) {
        self.queues().subscribed = subscribed;
        self.0.work.notify_one();
    }

    /// Answers the client; waits while it does not take its answers.
    pub(super) async fn reply(&self, packet: &[u8]) {
        let waiting = {
            let mut queues = self.queues();
            queues.replies.extend_from_slice(packet);
            queues.replies.len()
        };
        self.0.work.notify_one();
        if waiting > REPLIES_MAX {
            tokio::select! {
                () = self.0.replied.notified() => {}
                () = self.0.ended.wait() => {}
            }
        }
    }

    /// What is to be sent next. `Err` when messages wait for a client that has not subscribed.
    pub(super) async fn next(&self) -> Result<Outgoing, NotSubscribed> {
        loop {
            if let Some(outgoing) = self.queues().take() {
                return outgoing;
            }
            self.0.work.notified().await;
        }
    }

    /// Returns at the next change of the queues.
    pub(super) async fn changed(&self) {
        self.0.work.notified().await;
    }

    pub(super) fn replies_sent(&self) {
        self.0.replied.notify_one();
    }

    pub(super) fn bulk_sent(&self) {
        if !self.is_ending() {
            self.0.room.add_permits(1);
        }
    }
}

/// Messages wait, but the client has no subscription.
#[derive(Debug)]
pub(super) struct NotSubscribed;

impl Queues {
    fn take(&mut self) -> Option<Result<Outgoing, NotSubscribed>> {
        if !self.replies.is_empty() {
            return Some(Ok(Outgoing::Replies(std::mem::take(&mut self.replies))));
        }
        if !self.subscribed {
            return if self.control.is_empty() && self.bulk.is_empty() { None } else { Some(Err(NotSubscribed)) };
        }
        if let Some(message) = take_first(&mut self.control) {
            self.control_bytes -= message.len();
            return Some(Ok(Outgoing::Control(message)));
        }
        take_first(&mut self.bulk).map(|message| Ok(Outgoing::Bulk(message)))
    }
}

/// The first message; an emptied queue gives its memory back.
fn take_first(queue: &mut VecDeque<Bytes>) -> Option<Bytes> {
    let message = queue.pop_front();
    if queue.is_empty() {
        *queue = VecDeque::new();
    }
    message
}

fn check(message: &Bytes) -> Result<(), SendError> {
    if message.len() > MESSAGE_MAX { Err(SendError::TooLong) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(text: &str) -> Bytes {
        Bytes::copy_from_slice(text.as_bytes())
    }

    fn sent(session: &Session) -> Option<String> {
        let outgoing = session.queues().take()?;
        Some(match outgoing {
            Ok(Outgoing::Replies(packet)) => format!("reply {}", String::from_utf8_lossy(&packet)),
            Ok(Outgoing::Control(message)) => format!("control {}", String::from_utf8_lossy(&message)),
            Ok(Outgoing::Bulk(message)) => format!("bulk {}", String::from_utf8_lossy(&message)),
            Err(NotSubscribed) => "not subscribed".into(),
        })
    }

    #[tokio::test]
    async fn replies_go_first_then_control_then_bulk() {
        let session = Session::new(1, 4);
        session.try_bulk(bytes("b1")).expect("room");
        session.try_control(bytes("c1")).expect("room");
        assert_eq!(sent(&session).as_deref(), Some("not subscribed"));
        session.reply(b"r").await;
        assert_eq!(sent(&session).as_deref(), Some("reply r"), "a reply needs no subscription");
        session.set_subscribed(true);
        session.try_control(bytes("c2")).expect("room");
        let order: Vec<String> = std::iter::from_fn(|| sent(&session)).collect();
        assert_eq!(order, ["control c1", "control c2", "bulk b1"]);
        let queues = session.queues();
        assert_eq!((queues.control.capacity(), queues.bulk.capacity()), (0, 0), "no memory is held");
    }

    #[tokio::test]
    async fn every_queue_has_a_bound() {
        let session = Session::new(1, 2);
        for _ in 0..CONTROL_MAX {
            session.try_control(bytes("c")).expect("room");
        }
        assert_eq!(session.try_control(bytes("c")), Err(SendError::Full));
        let other = Session::new(2, 2);
        let large = Bytes::from(vec![0; MESSAGE_MAX]);
        assert_eq!((0..5).filter(|_| other.try_control(large.clone()).is_ok()).count(), 4);
        assert_eq!(other.try_control(Bytes::from(vec![0; MESSAGE_MAX + 1])), Err(SendError::TooLong));
        assert_eq!((0..5).filter(|_| session.try_bulk(large.clone()).is_ok()).count(), 2);
        assert_eq!(session.try_bulk(large.clone()), Err(SendError::Full));
        let waiting = tokio::spawn({
            let session = session.clone();
            async move { session.bulk(large).await }
        });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        session.bulk_sent();
        assert_eq!(waiting.await.expect("task"), Ok(()));
    }

    #[tokio::test]
    async fn an_ended_session_takes_nothing_and_frees_everybody() {
        let session = Session::new(1, 1);
        session.try_bulk(bytes("b")).expect("room");
        let waiting = tokio::spawn({
            let session = session.clone();
            async move { session.bulk(bytes("b")).await }
        });
        tokio::task::yield_now().await;
        session.end(End::Revoked);
        session.end(End::Lost);
        assert_eq!(session.ended(), Some(End::Revoked), "the first reason counts");
        assert_eq!(waiting.await.expect("task"), Err(SendError::Gone));
        assert_eq!((session.try_control(bytes("c")), session.try_bulk(bytes("b"))), (Err(SendError::Gone), Err(SendError::Gone)));
        session.ending().await;
        session.set_left();
        session.left().await;
        assert_eq!(sent(&session), None);
    }
}
