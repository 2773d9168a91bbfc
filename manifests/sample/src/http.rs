//! As much of HTTP/1.1 as the sample serves: `GET`, one request per connection, every read and wait bounded.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::say;

/// Longest request head, in bytes.
const HEAD_MAX: usize = 8 << 10;
/// A client has so long to say what it wants, and again to take the answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// More connections than this at once are turned away.
const CONNECTIONS_MAX: usize = 32;

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) kind: &'static str,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn text(status: u16, body: impl Into<String>) -> Self {
        Self { status, kind: "text/plain; charset=utf-8", body: body.into() }
    }

    /// `/healthz`.
    pub(crate) fn health(healthy: bool) -> Self {
        if healthy { Self::text(200, "ok\n") } else { Self::text(503, "this release is never healthy\n") }
    }

    const fn reason(&self) -> &'static str {
        match self.status {
            200 => "OK",
            400 => "Bad Request",
            404 => "Not Found",
            405 => "Method Not Allowed",
            431 => "Request Header Fields Too Large",
            500 => "Internal Server Error",
            502 => "Bad Gateway",
            503 => "Service Unavailable",
            _ => "Answer",
        }
    }
}

/// Serves `answer(path)` on `address` until the process ends.
pub(crate) fn serve(
    role: &'static str,
    address: &str,
    answer: impl Fn(&str) -> Answer + Send + Sync + 'static,
) -> io::Result<()> {
    let listener = TcpListener::bind(address)?;
    say(&format!("{role}: listening on {}", listener.local_addr()?));
    let answer = Arc::new(answer);
    let open = Arc::new(AtomicUsize::new(0));
    for stream in listener.incoming() {
        let Ok(stream) = stream else { continue };
        let ticket = Ticket::take(&open);
        let answer = Arc::clone(&answer);
        let thread = std::thread::Builder::new().name(role.into()).stack_size(128 << 10);
        // Without a thread or a ticket the connection is closed; the client tries again.
        let Some(ticket) = ticket else { continue };
        let _ = thread.spawn(move || {
            let _ticket = ticket;
            connection(role, stream, &*answer);
        });
    }
    Ok(())
}

/// The right to serve one connection.
struct Ticket(Arc<AtomicUsize>);

impl Ticket {
    fn take(open: &Arc<AtomicUsize>) -> Option<Self> {
        let more = |n: usize| (n < CONNECTIONS_MAX).then_some(n + 1);
        open.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).ok().map(|_| Self(Arc::clone(open)))
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

fn connection(role: &str, mut stream: TcpStream, answer: &dyn Fn(&str) -> Answer) {
    let Ok(head) = read_head(&mut stream, Instant::now() + PATIENCE) else { return };
    let (path, answered) = match request(&head) {
        Ok(path) => (path, answer(path)),
        Err(refusal) => ("?", refusal),
    };
    if path != "/healthz" {
        say(&format!("{role}: GET {path} {}", answered.status));
    }
    let _ = stream.set_write_timeout(Some(PATIENCE));
    let _ = stream.write_all(response(&answered).as_bytes());
}

/// Bytes up to the empty line that ends a head, at most [`HEAD_MAX`], before `deadline`.
fn read_head(stream: &mut TcpStream, deadline: Instant) -> io::Result<Vec<u8>> {
    read_until(stream, deadline, HEAD_MAX, |head| head.windows(4).any(|end| end == b"\r\n\r\n"))
}

/// Bytes until `done`, the end, or `max` of them. The deadline is for all reads together, so that no drip outlasts it.
pub(crate) fn read_until(
    stream: &mut TcpStream,
    deadline: Instant,
    max: usize,
    done: impl Fn(&[u8]) -> bool,
) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut piece = [0; 1024];
    while bytes.len() < max && !done(&bytes) {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        stream.set_read_timeout(Some(left))?;
        match stream.read(&mut piece)? {
            0 => break,
            count => bytes.extend_from_slice(piece.get(..count).unwrap_or_default()),
        }
    }
    Ok(bytes)
}

/// The path that a head asks for.
fn request(head: &[u8]) -> Result<&str, Answer> {
    if !head.windows(4).any(|end| end == b"\r\n\r\n") {
        let status = if head.len() >= HEAD_MAX { 431 } else { 400 };
        return Err(Answer::text(status, "not a whole request\n"));
    }
    let line = head.split(|b| *b == b'\r').next().unwrap_or_default();
    let line = std::str::from_utf8(line).map_err(|_| Answer::text(400, "not a request\n"))?;
    match line.split(' ').collect::<Vec<_>>().as_slice() {
        ["GET", path, "HTTP/1.1" | "HTTP/1.0"] if path.starts_with('/') && path.bytes().all(|b| b.is_ascii_graphic()) => {
            Ok(path.split('?').next().unwrap_or(path))
        }
        [_, _, "HTTP/1.1" | "HTTP/1.0"] => Err(Answer::text(405, "only GET\n")),
        _ => Err(Answer::text(400, "not a request\n")),
    }
}

fn response(answer: &Answer) -> String {
    format!(
        "HTTP/1.1 {} {}\r\nContent-Type: {}\r\nContent-Length: {}\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n{}",
        answer.status,
        answer.reason(),
        answer.kind,
        answer.body.len(),
        answer.body
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests() {
        for (head, path) in [("GET / HTTP/1.1\r\n\r\n", "/"), ("GET /next?x=1 HTTP/1.0\r\nHost: a\r\n\r\n", "/next")] {
            assert_eq!(request(head.as_bytes()), Ok(path));
        }
        for (head, status) in [
            ("", 400),
            ("GET / HTTP/1.1\r\n", 400),
            ("POST / HTTP/1.1\r\n\r\n", 405),
            ("GET  / HTTP/1.1\r\n\r\n", 400),
            ("GET x HTTP/1.1\r\n\r\n", 405),
            ("GET /\0 HTTP/1.1\r\n\r\n", 405),
            ("\r\n\r\n", 400),
            (&"a".repeat(HEAD_MAX), 431),
        ] {
            assert_eq!(request(head.as_bytes()).expect_err(head).status, status, "{head:?}");
        }
        assert_eq!(request(b"GET /\xff HTTP/1.1\r\n\r\n").expect_err("not utf-8").status, 400);
    }

    #[test]
    fn connections_are_bounded() {
        let open = Arc::new(AtomicUsize::new(0));
        let tickets: Vec<_> = std::iter::repeat_with(|| Ticket::take(&open)).take(CONNECTIONS_MAX).collect();
        assert!(tickets.iter().all(Option::is_some));
        assert!(Ticket::take(&open).is_none());
        drop(tickets);
        assert!(Ticket::take(&open).is_some());
    }
}
