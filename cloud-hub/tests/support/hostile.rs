//! A registry that lies, in as few lines as possible: HTTP/1.1 by hand, so that it can break every rule.

use std::collections::BTreeMap;
use std::sync::Arc;

use shared::id::Digest;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::samples::Sample;

/// What it does wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trick {
    Honest,
    /// Ends every answer after 1 MiB and a bit.
    CutEveryMiB,
    /// The same, and begins at byte 0 whatever was asked for.
    IgnoreRanges,
    /// Says it begins at byte 7.
    OtherRange,
    EndlessManifest,
    EndlessBlob,
    OtherBytes,
    OtherManifest,
    NoContent,
    Teapot,
}

/// The server; it ends with the value.
pub struct Server {
    pub host: String,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    pub async fn start(image: &Sample, trick: Trick) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let blobs: BTreeMap<String, Vec<u8>> =
            image.blobs().into_iter().map(|bytes| (Digest::of(&bytes).to_string(), bytes)).collect();
        let blobs = Arc::new(blobs);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let blobs = Arc::clone(&blobs);
                // A client that goes away is what many of these tricks end in.
                tokio::spawn(async move { drop(serve(stream, &blobs, trick).await) });
            }
        });
        Self { host, task }
    }
}

async fn serve(mut stream: TcpStream, blobs: &BTreeMap<String, Vec<u8>>, trick: Trick) -> std::io::Result<()> {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        request.push(stream.read_u8().await?);
    }
    let request = String::from_utf8_lossy(&request).to_lowercase();
    let path = request.split(' ').nth(1).unwrap_or_default();
    let is_blob = path.contains("/blobs/");
    let range = request.split("range: bytes=").nth(1).and_then(|rest| rest.split('-').next()?.parse::<usize>().ok());
    let Some(bytes) = path.rsplit('/').next().and_then(|digest| blobs.get(digest)) else {
        return stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").await;
    };
    match (trick, is_blob) {
        (Trick::NoContent, true) => stream.write_all(b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n").await,
        (Trick::Teapot, true) => {
            stream.write_all(b"HTTP/1.1 418 T\r\ncontent-length: 15\r\nconnection: close\r\n\r\nshort and stout").await
        }
        (Trick::EndlessManifest, false) | (Trick::EndlessBlob, true) => {
            stream.write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n").await?;
            loop {
                stream.write_all(&[b' '; 65536]).await?;
            }
        }
        (Trick::OtherManifest, false) | (Trick::OtherBytes, true) => {
            let mut other = bytes.clone();
            other[0] ^= 1;
            answer(&mut stream, 0, &other, other.len()).await
        }
        (Trick::OtherRange, true) if range.is_some() => answer(&mut stream, 7, bytes, bytes.len()).await,
        (Trick::IgnoreRanges, true) => {
            // Cut the first answer only: without ranges nothing else could ever end.
            let end = if range.is_some() { bytes.len() } else { bytes.len().min((1 << 20) + 4096) };
            answer(&mut stream, 0, bytes, end).await
        }
        (Trick::CutEveryMiB | Trick::OtherRange, true) => {
            let begin = range.unwrap_or(0);
            answer(&mut stream, begin, bytes, bytes.len().min(begin + (1 << 20) + 4096)).await
        }
        _ => answer(&mut stream, range.unwrap_or(0), bytes, bytes.len()).await,
    }
}

/// Promises everything from `begin` on and sends it up to `end`.
async fn answer(stream: &mut TcpStream, begin: usize, bytes: &[u8], end: usize) -> std::io::Result<()> {
    let (length, last, total) = (bytes.len() - begin, bytes.len() - 1, bytes.len());
    let head = match begin {
        0 => format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n"),
        _ => format!(
            "HTTP/1.1 206 P\r\ncontent-length: {length}\r\ncontent-range: bytes {begin}-{last}/{total}\r\nconnection: close\r\n\r\n"
        ),
    };
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(&bytes[begin..end]).await?;
    stream.flush().await
}
