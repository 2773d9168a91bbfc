//! What a transport moves: bytes of wire messages, no more.
//!
//! ```text
//!   node                                   transport
//!   to_hub     ── (Channel, bytes) ──►  from_node      bounded; what comes while offline is dropped
//!   from_hub   ◄── bytes ─────────────  to_node        bounded
//!   online     ◄── bool ──────────────  online         true from the moment the hub can reach the node
//!   trouble    ◄── fault ─────────────  trouble        why it is not online
//! ```
//!
//! A transport never keeps messages for later: the link sends the present truth whenever `online` becomes true, so
//! anything older would only be in its way. A simulated world joins two of these instead of a network.

use bytes::Bytes;
use shared::fault::Fault;
use shared::topic::Channel;
use tokio::sync::{mpsc, watch};

/// The transport's side.
#[derive(Debug)]
pub struct TransportEnds {
    /// What the node sends. Its end means that the node is done.
    pub from_node: mpsc::Receiver<(Channel, Bytes)>,
    /// What the hub sends.
    pub to_node: mpsc::Sender<Bytes>,
    /// Whether both can reach each other.
    pub online: watch::Sender<bool>,
    /// Why not, for people; `None` while online and before the first attempt ended.
    pub trouble: watch::Sender<Option<Fault>>,
}

/// The node's side.
#[derive(Debug)]
pub struct NodeEnds {
    /// What the node sends.
    pub to_hub: mpsc::Sender<(Channel, Bytes)>,
    /// What the hub sends.
    pub from_hub: mpsc::Receiver<Bytes>,
    /// Whether both can reach each other.
    pub online: watch::Receiver<bool>,
    /// Why not.
    pub trouble: watch::Receiver<Option<Fault>>,
}

/// Both sides, with room for `capacity` messages each way (at least one).
pub fn transport(capacity: usize) -> (TransportEnds, NodeEnds) {
    let (to_hub, from_node) = mpsc::channel(capacity.max(1));
    let (to_node, from_hub) = mpsc::channel(capacity.max(1));
    let (online, is_online) = watch::channel(false);
    let (trouble, its_trouble) = watch::channel(None);
    let node = NodeEnds { to_hub, from_hub, online: is_online, trouble: its_trouble };
    (TransportEnds { from_node, to_node, online, trouble }, node)
}
