//! The client of the local API.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::header::{CONTENT_TYPE, HOST};
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use shared::fault::{Fault, bundle, cli};
use tokio::net::UnixStream;

use super::exit::{Ended, Exit};
use crate::api::problem::ProblemBody;

/// The daemon must begin to answer within this time, in seconds: a little more than it allows itself.
const ANSWER_SECONDS: u64 = 35;
/// Largest answer that is read as a whole, in bytes.
const ANSWER_MAX: usize = 16 << 20;

/// A daemon, by its socket. Cheap to clone; each request is a connection of its own.
#[derive(Debug, Clone)]
pub struct Client {
    socket: PathBuf,
}

impl Client {
    /// Of the daemon that listens at `socket`.
    pub const fn new(socket: PathBuf) -> Self {
        Self { socket }
    }

    /// Reads JSON.
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Ended> {
        let response = self.request(Method::GET, path, Bytes::new()).await?;
        let body = Limited::new(response.into_body(), ANSWER_MAX).collect();
        let body = self.within(body).await?.map_err(|error| self.bad_answer(error.as_ref()))?;
        serde_json::from_slice(&body.to_bytes()).map_err(|error| self.bad_answer(&error))
    }

    /// Reads bytes, at most `most`.
    pub async fn bytes(&self, path: &str, most: usize) -> Result<Bytes, Ended> {
        let response = self.request(Method::GET, path, Bytes::new()).await?;
        let body = Limited::new(response.into_body(), most).collect();
        Ok(self.within(body).await?.map_err(|error| self.bad_answer(error.as_ref()))?.to_bytes())
    }

    /// Sends something whose answer is lines of JSON, as they come. Between two lines any time may pass.
    pub async fn lines(&self, path: &str, body: Bytes) -> Result<Lines, Ended> {
        let response = self.request(Method::POST, path, body).await?;
        Ok(Lines { stream: Stream { body: response.into_body(), client: self.clone() }, rest: Vec::new() })
    }

    /// Sends something whose answer has no content.
    pub async fn send(&self, method: Method, path: &str, body: Bytes) -> Result<(), Ended> {
        self.request(method, path, body).await.map(drop)
    }

    /// Reads text as it comes. Between two pieces any time may pass.
    pub async fn stream(&self, path: &str) -> Result<Stream, Ended> {
        let response = self.request(Method::GET, path, Bytes::new()).await?;
        Ok(Stream { body: response.into_body(), client: self.clone() })
    }

    async fn request(&self, method: Method, path: &str, body: Bytes) -> Result<Response<Incoming>, Ended> {
        let stream = UnixStream::connect(&self.socket).await.map_err(|error| self.unreachable(&error))?;
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, "edge-node")
            .header(CONTENT_TYPE, "application/json")
            .body(Full::new(body))
            .map_err(|error| self.bad_answer(&error))?;
        let exchange = async {
            let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
            // It ends with the response's body, or with this process.
            tokio::spawn(connection);
            sender.send_request(request).await
        };
        let response = self.within(exchange).await?.map_err(|error| self.bad_answer(&error))?;
        if response.status().is_success() { Ok(response) } else { Err(self.refusal(response).await) }
    }

    /// What the daemon said.
    async fn refusal(&self, response: Response<Incoming>) -> Ended {
        let status = response.status();
        let body = self.within(Limited::new(response.into_body(), ANSWER_MAX).collect()).await;
        let body = match body {
            Ok(Ok(body)) => body.to_bytes(),
            Ok(Err(error)) => return self.bad_answer(error.as_ref()),
            Err(ended) => return ended,
        };
        let exit = match status {
            StatusCode::NOT_FOUND => Exit::NotFound,
            StatusCode::FORBIDDEN => Exit::Denied,
            StatusCode::GATEWAY_TIMEOUT => Exit::Timeout,
            _ => Exit::Error,
        };
        match serde_json::from_slice::<ProblemBody>(&body) {
            Ok(problem) => Ended::failed(exit, problem.fault),
            Err(error) => self.bad_answer(&error),
        }
    }

    async fn within<T>(&self, work: impl Future<Output = T>) -> Result<T, Ended> {
        tokio::time::timeout(Duration::from_secs(ANSWER_SECONDS), work).await.map_err(|_| {
            let fault = Fault::new(&cli::DAEMON_TIMEOUT).with("seconds", ANSWER_SECONDS);
            Ended::failed(Exit::Timeout, fault.with("path", self.socket.display()))
        })
    }

    fn unreachable(&self, error: &io::Error) -> Ended {
        let (exit, text) = if error.kind() == io::ErrorKind::PermissionDenied {
            (Exit::Denied, &cli::DAEMON_DENIED)
        } else {
            (Exit::Unreachable, &cli::DAEMON_UNREACHABLE)
        };
        Ended::failed(exit, Fault::new(text).with("path", self.socket.display()).with("cause", error))
    }

    fn bad_answer(&self, why: &dyn std::error::Error) -> Ended {
        let fault = Fault::new(&cli::DAEMON_BAD_ANSWER).with("path", self.socket.display()).with("why", why);
        Ended::failed(Exit::Error, fault)
    }
}

/// Lines of JSON that come over time.
#[derive(Debug)]
pub struct Lines {
    stream: Stream,
    /// What came of the next line.
    rest: Vec<u8>,
}

impl Lines {
    /// The next line; `None` at the end.
    pub async fn next<T: DeserializeOwned>(&mut self) -> Result<Option<T>, Ended> {
        loop {
            if let Some(end) = self.rest.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.rest.drain(..=end).collect();
                return serde_json::from_slice(&line).map(Some).map_err(|error| self.stream.client.bad_answer(&error));
            }
            match self.stream.next().await.map_err(|_| self.interrupted())? {
                Some(piece) if self.rest.len() + piece.len() <= ANSWER_MAX => self.rest.extend_from_slice(&piece),
                Some(_) => return Err(self.interrupted()),
                None => return Ok(None),
            }
        }
    }

    /// There should have been more: the daemon ended.
    pub fn interrupted(&self) -> Ended {
        let fault = Fault::new(&bundle::INTERRUPTED).with("path", self.stream.client.socket.display());
        Ended::failed(Exit::Unreachable, fault)
    }
}

/// Text that comes over time.
#[derive(Debug)]
pub struct Stream {
    body: Incoming,
    client: Client,
}

impl Stream {
    /// The next piece; `None` at the end.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Ended> {
        loop {
            match self.body.frame().await {
                None => return Ok(None),
                Some(Err(error)) => return Err(self.client.bad_answer(&error)),
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => return Ok(Some(data)),
                    Err(_) => continue,
                },
            }
        }
    }
}
