//! A TCP relay that counts what passes and cuts connections where it is told to: the bad link between node and gate.
//!
//! ```text
//! node ──▶ Proxy::port ──▶ the gate       what flows back to the node is counted, and measured against the cuts to come
//! ```
//!
//! A cut drops both sides in the middle of whatever is under way, without a goodbye on any level above TCP. A narrow one
//! lets through so many bytes a second each way, and has small buffers, so that what waits waits at its sender.

use std::collections::VecDeque;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, sleep_until};

/// Bytes relayed at once.
const PIECE: usize = 16 << 10;
/// As before, on a narrow one: what a packet carries.
const NARROW_PIECE: usize = 1400;
/// Receive and send buffers of a narrow one, in bytes; the kernel doubles them.
const NARROW_BUFFER: u32 = 16 << 10;

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
    up: Bucket,
    down: Bucket,
}

/// Lets bytes through one after the other, at a rate.
#[derive(Default)]
struct Bucket {
    /// Bytes a second; `None` without end.
    rate: Option<u64>,
    /// When what was let through has passed.
    free: tokio::sync::Mutex<Option<Instant>>,
}

impl Bucket {
    fn new(rate: Option<u64>) -> Self {
        Self { rate, ..Self::default() }
    }

    fn piece(&self) -> usize {
        self.rate.map_or(PIECE, |_| NARROW_PIECE)
    }

    /// Returns when so many bytes have passed.
    async fn pass(&self, bytes: usize) {
        let Some(rate) = self.rate else { return };
        let mut free = self.free.lock().await;
        let now = Instant::now();
        let until = free.map_or(now, |free| free.max(now)) + Duration::from_micros(bytes as u64 * 1_000_000 / rate);
        *free = Some(until);
        sleep_until(until).await;
    }
}

fn socket(rate: Option<u64>) -> io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    if rate.is_some() {
        socket.set_recv_buffer_size(NARROW_BUFFER)?;
        socket.set_send_buffer_size(NARROW_BUFFER)?;
    }
    Ok(socket)
}

impl Proxy {
    /// Relays to `to` on the loopback, from a free port.
    ///
    /// # Errors
    /// No port is free.
    pub fn start(to: u16) -> io::Result<Self> {
        Self::with(to, None)
    }

    /// As [`start`](Self::start), for at most so many bits a second each way, on all connections together.
    ///
    /// # Errors
    /// As there.
    pub fn narrow(to: u16, bits: u64) -> io::Result<Self> {
        Self::with(to, Some(bits.max(8) / 8))
    }

    fn with(to: u16, rate: Option<u64>) -> io::Result<Self> {
        let socket = socket(rate)?;
        socket.bind(([127, 0, 0, 1], 0).into())?;
        let listener = socket.listen(64)?;
        let port = listener.local_addr()?.port();
        let shared = Arc::new(Shared { up: Bucket::new(rate), down: Bucket::new(rate), ..Shared::default() });
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
    let Ok(socket) = socket(shared.up.rate) else { return };
    let Ok(far) = socket.connect(([127, 0, 0, 1], to).into()).await else { return };
    _ = (near.set_nodelay(true), far.set_nodelay(true));
    let (near_in, near_out) = near.into_split();
    let (far_in, far_out) = far.into_split();
    tokio::select! {
        () = there(near_in, far_out, &shared) => {}
        () = back(far_in, near_out, &shared) => {}
    }
}

/// Relays what flows to the gate until an end goes away.
async fn there(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, shared: &Shared) {
    let mut piece = vec![0; shared.up.piece()];
    while let Ok(length @ 1..) = from.read(&mut piece).await {
        shared.up.pass(length).await;
        if to.write_all(piece.get(..length).unwrap_or_default()).await.is_err() {
            return;
        }
    }
}

/// Relays what flows back until an end goes away or a cut is due.
async fn back(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, shared: &Shared) {
    let mut piece = vec![0; shared.down.piece()];
    while let Ok(length @ 1..) = from.read(&mut piece).await {
        shared.down.pass(length).await;
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
        let proxy = Proxy::start(server.local_addr().unwrap().port()).unwrap();
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
