//! Logs that people read through the link: a request goes down, pieces come up, and each reader has a bounded pipe.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use shared::fault::{Fault, Faulty, hub};
use shared::id::Name;
use shared::wire::v1::{Down, LogPiece, LogWanted};
use tokio::sync::mpsc;

use super::Sessions;
use crate::access::lock;
use crate::hub::Hub;
use crate::refusal::{Kind, Refusal};

/// Logs that are read at the same time.
pub const STREAMS_MAX: usize = 64;
/// Of these, on one node.
pub const STREAMS_OF_NODE_MAX: usize = 8;
/// Most last lines.
pub const TAIL_MAX: u32 = 100_000;
/// Pieces that wait for one reader.
const PIECES: usize = 8;
/// A reader that takes nothing for so long is cut off.
const PATIENCE: Duration = Duration::from_secs(5);
/// A node that sends no first piece for so long does not answer.
const FIRST: Duration = Duration::from_secs(15);

/// Logs that are being read, by request.
#[derive(Debug, Default)]
pub struct Streams {
    last: u32,
    open: BTreeMap<u32, (Name, mpsc::Sender<LogPiece>)>,
}

impl Streams {
    fn begin(&mut self, node: &Name) -> Result<(u32, mpsc::Receiver<LogPiece>), LogError> {
        let of_node = self.open.values().filter(|(other, _)| other == node).count();
        if self.open.len() >= STREAMS_MAX || of_node >= STREAMS_OF_NODE_MAX {
            return Err(LogError::TooMany);
        }
        let (sender, receiver) = mpsc::channel(PIECES);
        while self.last == 0 || self.open.contains_key(&self.last) {
            self.last = self.last.wrapping_add(1);
        }
        let request = self.last;
        self.last = self.last.wrapping_add(1);
        self.open.insert(request, (node.clone(), sender));
        Ok((request, receiver))
    }

    /// Ends every log of a node that is gone.
    pub(super) fn end_node(&mut self, node: &Name) {
        self.open.retain(|_, (other, _)| other != node);
    }
}

impl Sessions {
    /// A piece came: it goes to its reader, who slows the node down a little and is cut off when it takes too long.
    pub(super) async fn log_piece(&self, node: &Name, piece: LogPiece) {
        let (request, is_last) = (piece.request, piece.end.is_some());
        let sender = lock(&self.streams).open.get(&request).filter(|(other, _)| other == node).map(|(_, sender)| sender.clone());
        let taken = match sender {
            Some(sender) => sender.send_timeout(piece, PATIENCE).await.is_ok(),
            None => false,
        };
        if is_last {
            lock(&self.streams).open.remove(&request);
        } else if !taken {
            lock(&self.streams).open.remove(&request);
            self.tell(node, &Down::LogEnough { request });
        }
    }
}

/// Why a log cannot be read.
#[derive(Debug, Clone, thiserror::Error)]
pub enum LogError {
    /// The node has no session.
    #[error("node {node} is not connected")]
    NotConnected {
        /// The node.
        node: Name,
    },
    /// Too many logs are read already.
    #[error("too many logs are read already")]
    TooMany,
    /// No piece came in time.
    #[error("node {node} does not answer")]
    Silent {
        /// The node.
        node: Name,
    },
    /// The node says why not.
    #[error("{0}")]
    Refused(Fault),
}

impl Faulty for LogError {
    fn fault(&self) -> Fault {
        match self {
            Self::NotConnected { node } => Fault::new(&hub::NODE_NOT_CONNECTED).with("node", node),
            Self::TooMany => Fault::new(&hub::TOO_MANY_LOGS).with("max", STREAMS_MAX).with("per_node", STREAMS_OF_NODE_MAX),
            Self::Silent { node } => Fault::new(&hub::NODE_SILENT).with("node", node),
            Self::Refused(fault) => fault.clone(),
        }
    }
}

impl Refusal for LogError {
    fn kind(&self) -> Kind {
        match self {
            Self::NotConnected { .. } => Kind::Unavailable,
            Self::TooMany => Kind::TooMany,
            Self::Silent { .. } => Kind::Timeout,
            Self::Refused(_) => Kind::Unfit,
        }
    }
}

/// A log that is being read. Dropping it tells the node that it is enough.
pub struct LogReader {
    hub: Arc<Hub>,
    node: Name,
    request: u32,
    first: Option<LogPiece>,
    pieces: mpsc::Receiver<LogPiece>,
    ended: bool,
}

impl LogReader {
    /// The next piece; `None` at the end, or when the session ended or this reader was too slow.
    pub async fn next(&mut self) -> Option<LogPiece> {
        if self.ended {
            return None;
        }
        let piece = match self.first.take() {
            Some(piece) => Some(piece),
            None => self.pieces.recv().await,
        };
        self.ended = piece.as_ref().is_none_or(|piece| piece.end.is_some());
        piece
    }
}

impl Drop for LogReader {
    fn drop(&mut self) {
        let open = lock(&self.hub.link.streams).open.remove(&self.request).is_some();
        if open {
            self.hub.link.tell(&self.node, &Down::LogEnough { request: self.request });
        }
    }
}

impl Hub {
    /// Asks `node` for a log and waits for the first piece.
    pub async fn read_log(
        self: &Arc<Self>,
        node: &Name,
        app: &Name,
        service: Option<&Name>,
        tail: u32,
        follow: bool,
    ) -> Result<LogReader, LogError> {
        let not_connected = || LogError::NotConnected { node: node.clone() };
        if self.link.session(node).is_none() {
            return Err(not_connected());
        }
        let (request, pieces) = lock(&self.link.streams).begin(node)?;
        let mut reader = LogReader { hub: self.clone(), node: node.clone(), request, first: None, pieces, ended: false };
        let (app, service) = (app.to_string(), service.map(Name::to_string));
        let wanted = Down::LogWanted(LogWanted { request, app, service, tail: tail.min(TAIL_MAX), follow });
        if !self.link.tell(node, &wanted) {
            return Err(not_connected());
        }
        let first = tokio::time::timeout(FIRST, reader.pieces.recv()).await;
        match first {
            // A node that follows has nothing to say before a line is written.
            Err(_) if follow => Ok(reader),
            Err(_) => Err(LogError::Silent { node: node.clone() }),
            Ok(None) => Err(not_connected()),
            Ok(Some(LogPiece { lines, end: Some(Some(fault)), .. })) if lines.is_empty() => {
                reader.ended = true;
                Err(LogError::Refused(fault.into()))
            }
            Ok(Some(piece)) => {
                reader.first = Some(piece);
                Ok(reader)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_readers_is_bounded_and_requests_differ() {
        let mut streams = Streams { last: u32::MAX, ..Streams::default() };
        let name = |n: usize| Name::new(&format!("n{n}")).expect("name");
        let mut kept = Vec::new();
        for n in 0..STREAMS_MAX {
            kept.push(streams.begin(&name(n % 10)).expect("room"));
        }
        assert!(matches!(streams.begin(&name(99)), Err(LogError::TooMany)));
        let requests: std::collections::BTreeSet<u32> = kept.iter().map(|(request, _)| *request).collect();
        assert_eq!(requests.len(), STREAMS_MAX);
        assert!(!requests.contains(&0));

        streams.end_node(&name(0));
        for _ in 0..7 {
            kept.push(streams.begin(&name(1)).unwrap_or_else(|_| streams.begin(&name(50)).expect("room elsewhere")));
        }
    }
}
