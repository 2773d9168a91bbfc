//! HTTPS to the hub: one request, one answer of bounded size, every failure by its name.

use std::time::Duration;

use reqwest::{Method, RequestBuilder, Response, StatusCode, Url};
use serde::Serialize;
use serde::de::DeserializeOwned;
use shared::fault::{Fault, Faulty, Lang, cli};
use shared::id::Digest;
use shared::people::Exit;

use super::contexts::Context;
use super::lines::Lines;
use super::tls::{self, CONTACT, Distrust, Verdict};
use crate::api::types::Problem;

/// Largest answer that is read whole, in bytes.
const ANSWER_MAX: usize = 64 << 20;
/// How long one request may take, from the first byte sent to the last one read.
const REQUEST: Duration = Duration::from_secs(60);
/// Probes of a quiet connection, so that a dead one is noticed.
const KEEPALIVE: Duration = Duration::from_secs(20);

/// Why a request failed.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The hub refused, and says why.
    #[error("{status}: {}", problem.message_en)]
    Refused {
        /// HTTP status.
        status: u16,
        /// Why.
        problem: Problem,
    },
    /// Somebody answered, but not as a hub does.
    #[error("status {status}")]
    Bare {
        /// Whom was asked.
        server: String,
        /// HTTP status.
        status: u16,
    },
    /// Nobody answered.
    #[error("{server}: {cause}")]
    Unreachable {
        /// Whom was asked.
        server: String,
        /// The innermost cause.
        cause: String,
    },
    /// No answer in time.
    #[error("{server}: no answer")]
    NoAnswer {
        /// Whom was asked.
        server: String,
        /// How long was waited, in seconds.
        seconds: u64,
    },
    /// The answer is not what was asked for.
    #[error("{server}: {cause}")]
    BadAnswer {
        /// Whom was asked.
        server: String,
        /// What is wrong with it.
        cause: String,
    },
    /// Another CA than the pinned one.
    #[error("{server} shows {found}")]
    WrongCa {
        /// Whom was asked.
        server: String,
        /// The pin.
        pinned: Digest,
        /// What was shown.
        found: Digest,
    },
    /// The right CA, but the certificate does not hold.
    #[error("{server}: {cause}")]
    BadCertificate {
        /// Whom was asked.
        server: String,
        /// Why.
        cause: String,
    },
}

impl Faulty for ClientError {
    fn fault(&self) -> Fault {
        match self {
            Self::Refused { problem, .. } => Fault { code: problem.code.clone(), params: problem.params.clone() },
            Self::Bare { server, status } => Fault::new(&cli::BARE_STATUS).with("server", server).with("status", status),
            Self::Unreachable { server, cause } => Fault::new(&cli::UNREACHABLE).with("server", server).with("cause", cause),
            Self::NoAnswer { server, seconds } => Fault::new(&cli::NO_ANSWER).with("server", server).with("seconds", seconds),
            Self::BadAnswer { server, cause } => Fault::new(&cli::BAD_ANSWER).with("server", server).with("cause", cause),
            Self::WrongCa { server, pinned, found } => {
                Fault::new(&cli::WRONG_CA).with("server", server).with("pinned", pinned).with("found", found)
            }
            Self::BadCertificate { server, cause } => {
                Fault::new(&cli::BAD_CERTIFICATE).with("server", server).with("cause", cause)
            }
        }
    }
}

impl ClientError {
    /// What the shell is told.
    pub const fn exit(&self) -> Exit {
        match self {
            // A proxy says so when there is no hub behind it.
            Self::Bare { status: 502 | 503, .. } => Exit::Unreachable,
            Self::Refused { status, .. } | Self::Bare { status, .. } => match status {
                401 | 403 => Exit::Denied,
                404 => Exit::NotFound,
                409 | 412 => Exit::Conflict,
                408 | 504 => Exit::Timeout,
                _ => Exit::Error,
            },
            Self::Unreachable { .. } => Exit::Unreachable,
            Self::NoAnswer { .. } => Exit::Timeout,
            Self::BadAnswer { .. } => Exit::Error,
            Self::WrongCa { .. } | Self::BadCertificate { .. } => Exit::Denied,
        }
    }

    /// What a person is told: the hub's own text if it sent one, for it may know codes that this program does not.
    pub fn text(&self, lang: Lang) -> String {
        match self {
            Self::Refused { problem, .. } if !problem.text(lang).is_empty() => problem.text(lang).to_owned(),
            Self::Refused { .. }
            | Self::Bare { .. }
            | Self::Unreachable { .. }
            | Self::NoAnswer { .. }
            | Self::BadAnswer { .. }
            | Self::WrongCa { .. }
            | Self::BadCertificate { .. } => self.fault().text(lang),
        }
    }

    /// Whether the same request may succeed later: the hub restarts, or the network comes back.
    pub const fn is_passing(&self) -> bool {
        match self {
            Self::Refused { status, .. } | Self::Bare { status, .. } => matches!(*status, 429 | 502 | 503 | 504),
            Self::Unreachable { .. } | Self::NoAnswer { .. } => true,
            Self::BadAnswer { .. } | Self::WrongCa { .. } | Self::BadCertificate { .. } => false,
        }
    }

    /// Whether the hub says that there is no such thing.
    pub const fn is_not_found(&self) -> bool {
        matches!(self, Self::Refused { status: 404, .. })
    }
}

/// A path below `/api/v1` in its segments, and a query.
#[derive(Debug, Clone, Default)]
pub(super) struct Target<'a> {
    segments: Vec<&'a str>,
    query: Vec<(&'static str, String)>,
}

impl<'a> Target<'a> {
    /// `/api/v1/<segments>`; whatever a segment holds is escaped.
    pub(super) fn new(segments: &[&'a str]) -> Self {
        Self { segments: segments.to_vec(), query: Vec::new() }
    }

    /// The same with `?key=value`.
    #[must_use]
    pub(super) fn with(mut self, key: &'static str, value: impl ToString) -> Self {
        self.query.push((key, value.to_string()));
        self
    }

    /// The same with `?key=value` if there is a value.
    #[must_use]
    pub(super) fn with_some(self, key: &'static str, value: Option<impl ToString>) -> Self {
        match value {
            Some(value) => self.with(key, value),
            None => self,
        }
    }
}

/// The hub, as one operator talks to it.
pub struct Client {
    http: reqwest::Client,
    server: String,
    pin: Digest,
    token: String,
    verdict: Verdict,
}

impl Client {
    /// A client for the hub of `context`. Connects with the first request.
    pub(super) fn new(context: Context) -> Result<Self, ClientError> {
        let Context { server, ca, token } = context;
        let verdict = Verdict::default();
        let broken = |cause: String| ClientError::BadAnswer { server: server.clone(), cause };
        let tls = tls::config(ca, &verdict).map_err(|error| broken(error.to_string()))?;
        let http = builder(tls).build().map_err(|error| broken(innermost(&error)))?;
        Ok(Self { http, server, pin: ca, token, verdict })
    }

    /// The hub's address.
    pub(super) fn server(&self) -> &str {
        &self.server
    }

    /// `GET`, read as JSON.
    pub(super) async fn get<T: DeserializeOwned>(&self, target: Target<'_>) -> Result<T, ClientError> {
        let response = self.send(self.request(Method::GET, &target)?).await?;
        self.json(response).await
    }

    /// `GET`, as bytes, at most `max`.
    pub(super) async fn bytes(&self, target: Target<'_>, max: usize) -> Result<Vec<u8>, ClientError> {
        let response = self.send(self.request(Method::GET, &target)?).await?;
        self.body(response, max).await
    }

    /// Sends JSON, reads JSON; says whether something new was made (201).
    pub(super) async fn change<T: DeserializeOwned>(
        &self,
        method: Method,
        target: Target<'_>,
        seen: Option<u64>,
        body: &impl Serialize,
    ) -> Result<(T, bool), ClientError> {
        let mut request = self.request(method, &target)?.json(body);
        if let Some(revision) = seen {
            request = request.header("if-match", format!("\"{revision}\""));
        }
        let response = self.send(request).await?;
        let is_new = response.status() == StatusCode::CREATED;
        Ok((self.json(response).await?, is_new))
    }

    /// Sends bytes, reads JSON; says whether something new was made (201).
    pub(super) async fn upload<T: DeserializeOwned>(
        &self,
        method: Method,
        target: Target<'_>,
        bytes: Vec<u8>,
    ) -> Result<(T, bool), ClientError> {
        let request = self.request(method, &target)?.header("content-type", "application/octet-stream").body(bytes);
        let response = self.send(request).await?;
        let is_new = response.status() == StatusCode::CREATED;
        Ok((self.json(response).await?, is_new))
    }

    /// Sends a body as it comes, reads JSON. The caller bounds the time.
    pub(super) async fn send_stream<T: DeserializeOwned>(
        &self,
        method: Method,
        target: Target<'_>,
        body: reqwest::Body,
    ) -> Result<T, ClientError> {
        let request = self.bare_request(method, &target)?.header("content-type", "application/octet-stream").body(body);
        let response = self.send(request).await?;
        self.json(response).await
    }

    /// `DELETE`; whatever comes back is not read.
    pub(super) async fn delete(&self, target: Target<'_>) -> Result<(), ClientError> {
        self.send(self.request(Method::DELETE, &target)?).await.map(drop)
    }

    /// `POST` without body, read as JSON.
    pub(super) async fn poke<T: DeserializeOwned>(&self, target: Target<'_>) -> Result<T, ClientError> {
        let response = self.send(self.request(Method::POST, &target)?).await?;
        self.json(response).await
    }

    /// The status and a header of a `HEAD`; a status is no error here, except that of a refused caller.
    pub(super) async fn head(&self, target: Target<'_>, header: &str) -> Result<(u16, Option<String>), ClientError> {
        let request = self.request(Method::HEAD, &target)?.timeout(REQUEST);
        let response = request.send().await.map_err(|error| self.failed(&error))?;
        let status = response.status();
        if !status.is_success() && status != StatusCode::NOT_FOUND {
            return Err(ClientError::Bare { server: self.server.clone(), status: status.as_u16() });
        }
        let value = response.headers().get(header).and_then(|value| value.to_str().ok()).map(str::to_owned);
        Ok((status.as_u16(), value))
    }

    /// A long answer, read as it comes; between two pieces of it at most `idle` may pass.
    pub(super) async fn stream(
        &self,
        method: Method,
        target: Target<'_>,
        body: Option<serde_json::Value>,
        idle: Option<Duration>,
    ) -> Result<Stream<'_>, ClientError> {
        let mut request = self.bare_request(method, &target)?;
        if let Some(body) = body {
            request = request.json(&body);
        }
        // The head of the answer comes at once, even where its body takes hours.
        let sent = tokio::time::timeout(REQUEST, request.send()).await.map_err(|_| self.no_answer_within(REQUEST))?;
        let response = self.check(sent.map_err(|error| self.failed(&error))?).await?;
        Ok(Stream { client: self, response, idle })
    }

    fn request(&self, method: Method, target: &Target<'_>) -> Result<RequestBuilder, ClientError> {
        Ok(self.bare_request(method, target)?.timeout(REQUEST))
    }

    fn bare_request(&self, method: Method, target: &Target<'_>) -> Result<RequestBuilder, ClientError> {
        let bad = |cause: String| ClientError::BadAnswer { server: self.server.clone(), cause };
        let mut url = Url::parse(&self.server).map_err(|error| bad(error.to_string()))?;
        url.path_segments_mut().map_err(|()| bad("no path".into()))?.clear().extend(["api", "v1"]).extend(&target.segments);
        if !target.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&target.query);
        }
        Ok(self.http.request(method, url).bearer_auth(&self.token))
    }

    async fn send(&self, request: RequestBuilder) -> Result<Response, ClientError> {
        let response = request.send().await.map_err(|error| self.failed(&error))?;
        self.check(response).await
    }

    /// A good answer, or why it is none.
    async fn check(&self, response: Response) -> Result<Response, ClientError> {
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let status = status.as_u16();
        let body = self.body(response, 1 << 20).await.unwrap_or_default();
        match serde_json::from_slice::<Problem>(&body) {
            Ok(problem) => Err(ClientError::Refused { status, problem }),
            Err(_) => Err(ClientError::Bare { server: self.server.clone(), status }),
        }
    }

    async fn json<T: DeserializeOwned>(&self, response: Response) -> Result<T, ClientError> {
        let body = self.body(response, ANSWER_MAX).await?;
        serde_json::from_slice(&body).map_err(|error| self.bad_answer(error))
    }

    async fn body(&self, mut response: Response, max: usize) -> Result<Vec<u8>, ClientError> {
        let mut body = Vec::new();
        while let Some(piece) = response.chunk().await.map_err(|error| self.failed(&error))? {
            if body.len() + piece.len() > max {
                return Err(self.bad_answer(format_args!("it has more than {max} bytes")));
            }
            body.extend_from_slice(&piece);
        }
        Ok(body)
    }

    /// An answer that cannot be read.
    pub(super) fn bad_answer(&self, cause: impl std::fmt::Display) -> ClientError {
        ClientError::BadAnswer { server: self.server.clone(), cause: cause.to_string() }
    }

    /// No answer within `time`.
    pub(super) fn no_answer_within(&self, time: Duration) -> ClientError {
        ClientError::NoAnswer { server: self.server.clone(), seconds: time.as_secs() }
    }

    fn failed(&self, error: &reqwest::Error) -> ClientError {
        let server = self.server.clone();
        match self.verdict.take() {
            Some(Distrust::OtherCa(found)) => ClientError::WrongCa { server, pinned: self.pin, found },
            Some(Distrust::Certificate(cause)) => ClientError::BadCertificate { server, cause },
            None if error.is_timeout() && !error.is_connect() => self.no_answer_within(REQUEST),
            None => ClientError::Unreachable { server, cause: innermost(error) },
        }
    }
}

/// An answer that comes in pieces.
pub(super) struct Stream<'a> {
    client: &'a Client,
    response: Response,
    idle: Option<Duration>,
}

impl<'a> Stream<'a> {
    /// The answer as objects, one JSON text in a line.
    pub(super) fn objects(self) -> Objects<'a> {
        Objects { stream: self, lines: Lines::default() }
    }

    /// The next piece; `None` at the end.
    pub(super) async fn next(&mut self) -> Result<Option<bytes::Bytes>, ClientError> {
        let next = self.response.chunk();
        let piece = match self.idle {
            Some(idle) => tokio::time::timeout(idle, next)
                .await
                .map_err(|_| ClientError::NoAnswer { server: self.client.server.clone(), seconds: idle.as_secs() })?,
            None => next.await,
        };
        piece.map_err(|error| self.client.failed(&error))
    }
}

/// An answer that comes as objects.
pub(super) struct Objects<'a> {
    stream: Stream<'a>,
    lines: Lines,
}

impl Objects<'_> {
    /// The next object; `None` at the end.
    pub(super) async fn next<T: DeserializeOwned>(&mut self) -> Result<Option<T>, ClientError> {
        loop {
            if let Some(line) = self.lines.next() {
                return serde_json::from_str(&line).map(Some).map_err(|error| self.stream.client.bad_answer(error));
            }
            match self.stream.next().await? {
                Some(piece) => self.lines.add(&piece),
                None => return Ok(None),
            }
        }
    }
}

/// The fingerprint of the CA that `server` shows. Nothing is sent but the handshake.
pub(super) async fn first_contact(server: &str) -> Result<Digest, ClientError> {
    let verdict = Verdict::default();
    let bad = |cause: String| ClientError::BadAnswer { server: server.to_owned(), cause };
    let tls = tls::stranger(&verdict).map_err(|error| bad(error.to_string()))?;
    let http = builder(tls).build().map_err(|error| bad(innermost(&error)))?;
    let error = match http.get(server).timeout(CONTACT).send().await {
        Ok(_) => return Err(bad("it was trusted without a reason".into())),
        Err(error) => error,
    };
    match verdict.take() {
        Some(Distrust::OtherCa(found)) => Ok(found),
        Some(Distrust::Certificate(cause)) => Err(ClientError::BadCertificate { server: server.to_owned(), cause }),
        None => Err(ClientError::Unreachable { server: server.to_owned(), cause: innermost(&error) }),
    }
}

fn builder(tls: rustls::ClientConfig) -> reqwest::ClientBuilder {
    reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .https_only(true)
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(CONTACT)
        .tcp_keepalive(KEEPALIVE)
        .tcp_keepalive_interval(KEEPALIVE)
        .tcp_keepalive_retries(3)
        .user_agent(concat!("hubctl/", env!("CARGO_PKG_VERSION")))
}

/// The last error of a chain: the layers above it say only that something failed.
fn innermost(error: &dyn std::error::Error) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}
