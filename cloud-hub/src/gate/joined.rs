//! A session without a network: the second implementation of the seam between gate and hub.
//!
//! ```text
//!  gate:    TCP ─► TLS ─► MQTT ─► Session ◄── hub
//!  joined:        caller ◄─ next ─ Session ◄── hub        the caller calls Nodes::received itself
//! ```
//!
//! Queues, order, bounds and backpressure are those of the gate, because it is the same [`Session`]; only what carries
//! the messages differs. A simulated world puts its own weather there. The caller keeps the gate's promises towards
//! [`Nodes`](super::Nodes): `admit`, then `joined`, then `received` one after the other, then `left`, and only then drops
//! the other end.

use bytes::Bytes;

use super::session::{Outgoing, Session};
use super::stats::End;

/// Where a session's messages come out. Dropping it ends the session and lets go whoever waits in [`Session::left`].
pub struct OtherEnd(Session);

/// A session that is subscribed from the start, and its other end. `id` must differ from that of every other session of
/// this life of the hub; of bulk messages at most `bulk` (1 to 64) wait.
pub fn joined(id: u64, bulk: usize) -> (Session, OtherEnd) {
    let session = Session::new(id, bulk);
    session.set_subscribed(true);
    (session.clone(), OtherEnd(session))
}

impl OtherEnd {
    /// The next message, in the order the gate would send it; `None` when the session was ended. Loses nothing when
    /// dropped.
    pub async fn next(&self) -> Option<Bytes> {
        loop {
            tokio::select! {
                biased;
                () = self.0.ending() => return None,
                outgoing = self.0.next() => match outgoing {
                    Ok(Outgoing::Control(message)) => return Some(message),
                    Ok(Outgoing::Bulk(message)) => {
                        self.0.bulk_sent();
                        return Some(message);
                    }
                    // Packets of MQTT, which nobody speaks here.
                    Ok(Outgoing::Replies(_)) => self.0.replies_sent(),
                    Err(_) => self.0.changed().await,
                },
            }
        }
    }
}

impl Drop for OtherEnd {
    fn drop(&mut self) {
        self.0.end(End::Lost);
        self.0.set_left();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gate::SendError;

    #[tokio::test]
    async fn messages_come_out_in_the_gates_order_and_under_its_bounds() {
        let (session, end) = joined(7, 1);
        session.try_bulk(Bytes::from_static(b"b")).expect("room");
        assert_eq!(session.try_bulk(Bytes::from_static(b"b")), Err(SendError::Full));
        session.try_control(Bytes::from_static(b"c")).expect("room");
        assert_eq!(end.next().await.as_deref(), Some(&b"c"[..]));
        assert_eq!(end.next().await.as_deref(), Some(&b"b"[..]));
        session.try_bulk(Bytes::from_static(b"d")).expect("what came out makes room");
        session.end(End::Revoked);
        assert_eq!(end.next().await, None);
        drop(end);
        session.left().await;
        assert_eq!(session.ended(), Some(End::Revoked));
    }
}
