//! What a transport moves between node and hub: bytes of wire messages, no more. Both queues are bounded.

use bytes::Bytes;
use shared::topic::Channel;
use tokio::sync::{mpsc, watch};

/// Messages that wait in each direction: two windows of image frames.
const QUEUE: usize = 16;

/// The transport's side.
pub struct TransportEnds {
    /// What the node wants to say. While offline it is thrown away: the link says everything anew.
    pub from_node: mpsc::Receiver<(Channel, Bytes)>,
    /// What the hub said.
    pub to_node: mpsc::Sender<Bytes>,
    /// Whether messages pass in both directions.
    pub online: watch::Sender<bool>,
}

/// The node's side.
pub struct NodeEnds {
    /// Says something to the hub.
    pub to_hub: mpsc::Sender<(Channel, Bytes)>,
    /// Hears the hub.
    pub from_hub: mpsc::Receiver<Bytes>,
    /// Whether messages pass in both directions.
    pub online: watch::Receiver<bool>,
}

/// Two ends that belong together.
pub fn transport() -> (TransportEnds, NodeEnds) {
    let (to_hub, from_node) = mpsc::channel(QUEUE);
    let (to_node, from_hub) = mpsc::channel(QUEUE);
    let (tell, online) = watch::channel(false);
    (TransportEnds { from_node, to_node, online: tell }, NodeEnds { to_hub, from_hub, online })
}
