//! A GET for a small text, bounded in time and size.

use std::io::{self, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

use crate::http::read_until;

/// The exchange takes at most this long; looking up the name comes before it and has the resolver's own limits.
const PATIENCE: Duration = Duration::from_secs(2);
/// Longest answer, in bytes.
const ANSWER_MAX: usize = 4 << 10;

/// The body of `http://<address><path>`, if the answer is 200.
pub(crate) fn get(address: &str, path: &str) -> io::Result<String> {
    let deadline = Instant::now() + PATIENCE;
    let target = address.to_socket_addrs()?.next().ok_or(io::ErrorKind::NotFound)?;
    let mut stream = TcpStream::connect_timeout(&target, PATIENCE)?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").as_bytes())?;
    let answer = read_until(&mut stream, deadline, ANSWER_MAX, |_| false)?;
    let answer = String::from_utf8_lossy(&answer);
    body(&answer).map(str::to_owned).ok_or_else(|| io::Error::other("the answer is not 200"))
}

fn body(answer: &str) -> Option<&str> {
    let (head, body) = answer.split_once("\r\n\r\n")?;
    head.starts_with("HTTP/1.1 200 ").then_some(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_200_has_a_body() {
        assert_eq!(body("HTTP/1.1 200 OK\r\nA: b\r\n\r\n7\n"), Some("7\n"));
        for answer in ["", "HTTP/1.1 503 No\r\n\r\n7", "HTTP/1.1 200 OK\r\n", "7"] {
            assert_eq!(body(answer), None, "{answer:?}");
        }
    }
}
