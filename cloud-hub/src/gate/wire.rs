//! One TLS connection, read and written by the two halves of one task.
//!
//! Reading needs no buffer of ours: packets are taken straight from what TLS has decrypted, and an idle connection holds none.
//! Every write ends within the stall limit or ends the connection; slow progress is progress.

use std::future::poll_fn;
use std::io::IoSlice;
use std::pin::Pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncBufRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::server::TlsStream;

use super::framer::Framer;
use super::packet::Malformed;

/// A connection whose TLS handshake is done. Boxed: it moves through several futures.
pub struct Wire(Box<Mutex<TlsStream<TcpStream>>>);

/// Why nothing more can be read or written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// Closed or failed.
    #[error("the connection was lost")]
    Lost,
    /// The peer did not take what was sent.
    #[error("the peer does not read")]
    Stalled,
    /// The peer's bytes are no packet.
    #[error("{0}")]
    Malformed(#[from] Malformed),
}

impl Wire {
    pub fn new(tls: TlsStream<TcpStream>) -> Self {
        Self(Box::new(Mutex::new(tls)))
    }

    /// The next whole packet of at most `max` bytes. May be dropped and called again: `framer` keeps what came.
    pub async fn packet(&self, framer: &mut Framer, max: usize) -> Result<Bytes, Broken> {
        poll_fn(|cx| self.poll_packet(cx, framer, max)).await
    }

    fn poll_packet(&self, cx: &mut Context<'_>, framer: &mut Framer, max: usize) -> Poll<Result<Bytes, Broken>> {
        let mut tls = self.lock();
        loop {
            let chunk = match ready!(Pin::new(&mut *tls).poll_fill_buf(cx)) {
                Ok([]) | Err(_) => return Poll::Ready(Err(Broken::Lost)),
                Ok(chunk) => chunk,
            };
            let (used, packet) = framer.push(chunk, max)?;
            Pin::new(&mut *tls).consume(used);
            if let Some(packet) = packet {
                return Poll::Ready(Ok(packet));
            }
        }
    }

    /// Sends `head` and then `body`. Fails when the peer takes nothing for `stall`.
    pub async fn send(&self, head: &[u8], body: &[u8], stall: Duration) -> Result<(), Broken> {
        let (mut head, mut body) = (head, body);
        while !(head.is_empty() && body.is_empty()) {
            let parts = [IoSlice::new(head), IoSlice::new(body)];
            let write = poll_fn(|cx| Pin::new(&mut *self.lock()).poll_write_vectored(cx, &parts));
            let count = within(stall, write).await?;
            if count == 0 {
                return Err(Broken::Lost);
            }
            let of_head = count.min(head.len());
            head = head.get(of_head..).unwrap_or_default();
            body = body.get(count - of_head..).unwrap_or_default();
        }
        within(stall, poll_fn(|cx| Pin::new(&mut *self.lock()).poll_flush(cx))).await
    }

    /// Says goodbye; takes at most `limit`.
    pub async fn close(&self, limit: Duration) {
        let _closed = within(limit, poll_fn(|cx| Pin::new(&mut *self.lock()).poll_shutdown(cx))).await;
    }

    fn lock(&self) -> MutexGuard<'_, TlsStream<TcpStream>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn within<T>(limit: Duration, work: impl Future<Output = std::io::Result<T>>) -> Result<T, Broken> {
    match timeout(limit, work).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(_)) => Err(Broken::Lost),
        Err(_) => Err(Broken::Stalled),
    }
}
