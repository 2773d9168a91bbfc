//! A TCP relay that counts what passes and cuts connections where it is told to: the bad link between node and gate.
//!
//! ```text
//! node ──▶ Proxy::port ──▶ the gate       what flows back to the node is counted, and measured against the cuts to come
//! ```
//!
//! A cut drops both sides in the middle of whatever is under way, without a goodbye on any level above TCP.

use std::collections::VecDeque;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncReadExt, AsyncWriteExt, copy};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

/// Bytes relayed at once.
const PIECE: usize = 16 << 10;

/// A relay to one port of this machine; it ends with this value.
pub struct Proxy {
    port: u16,
    shared: Arc<Shared>,
    accepting: JoinHandle<()>,
}

#[derive(Default)]
struct Shared {
    /// Bytes that went back to who connected.
    bytes: AtomicU64,
    cuts: AtomicU64,
    /// After how many bytes each of the next connections is cut.
    planned: Mutex<VecDeque<u64>>,
}

impl Proxy {
    /// Relays to `to` on the loopback, from a free port.
    ///
    /// # Errors
    /// No port is free.
    pub async fn start(to: u16) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let port = listener.local_addr()?.port();
        let shared = Arc::new(Shared::default());
        let accepting = tokio::spawn(accept(listener, to, shared.clone()));
        Ok(Self { port, shared, accepting })
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Bytes that went back to who connected, over all connections.
    pub fn bytes(&self) -> u64 {
        self.shared.bytes.load(Relaxed)
    }

    /// Connections that were cut as planned.
    pub fn cuts(&self) -> u64 {
        self.shared.cuts.load(Relaxed)
    }

    /// The connection that is up, and those that follow, are cut when so many more bytes went back on them; one number
    /// per cut.
    pub fn cut_after(&self, bytes: impl IntoIterator<Item = u64>) {
        self.shared.planned().extend(bytes);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort(); // The connections are tasks of that task.
    }
}

impl Shared {
    fn planned(&self) -> std::sync::MutexGuard<'_, VecDeque<u64>> {
        self.planned.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts `bytes` that are about to pass; whether the connection is cut instead of passing the rest, and after how
    /// many of them.
    fn pass(&self, bytes: usize) -> (usize, bool) {
        let mut planned = self.planned();
        let Some(left) = planned.front_mut() else {
            self.bytes.fetch_add(bytes as u64, Relaxed);
            return (bytes, false);
        };
        let passing = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes);
        *left -= passing as u64;
        let cut = *left == 0;
        if cut {
            planned.pop_front();
            self.cuts.fetch_add(1, Relaxed);
        }
        self.bytes.fetch_add(passing as u64, Relaxed);
        (passing, cut)
    }
}

async fn accept(listener: TcpListener, to: u16, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => if let Ok((near, _)) = accepted {
                connections.spawn(relay(near, to, shared.clone()));
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn relay(near: TcpStream, to: u16, shared: Arc<Shared>) {
    let Ok(far) = TcpStream::connect(("127.0.0.1", to)).await else { return };
    let (mut near_in, near_out) = near.into_split();
    let (far_in, mut far_out) = far.into_split();
    tokio::select! {
        _ = copy(&mut near_in, &mut far_out) => {}
        () = back(far_in, near_out, &shared) => {}
    }
}

/// Relays what flows back until an end goes away or a cut is due.
async fn back(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, shared: &Shared) {
    let mut piece = vec![0; PIECE];
    while let Ok(length @ 1..) = from.read(&mut piece).await {
        let (passing, cut) = shared.pass(length);
        if to.write_all(piece.get(..passing).unwrap_or_default()).await.is_err() || cut {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn it_cuts_where_it_was_told_to_and_counts() {
        let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let proxy = Proxy::start(server.local_addr().unwrap().port()).await.unwrap();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = server.accept().await {
                stream.write_all(&[7; 100_000]).await.unwrap();
            }
        });
        proxy.cut_after([1, 70_000]);
        for expected in [1, 70_000, 100_000] {
            let mut got = Vec::new();
            let mut stream = TcpStream::connect(("127.0.0.1", proxy.port())).await.unwrap();
            _ = stream.read_to_end(&mut got).await;
            assert_eq!(got.len(), expected);
        }
        assert_eq!((proxy.cuts(), proxy.bytes()), (2, 170_001));
    }
}
