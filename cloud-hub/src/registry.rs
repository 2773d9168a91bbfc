//! OCI registries, read only: manifests and blobs of one repository.
//!
//! `oci-client` parses references and does the token dance (distribution specification, "auth"); the requests for
//! content are made here, because they must be bounded: a document ends at [`DOCUMENT_MAX`], a silent connection after
//! half a minute, a range that is not what was asked for is refused. Every byte is verified by who asked for it.

mod error;

use std::net::IpAddr;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use oci_client::client::{Client, ClientConfig, ClientProtocol};
use oci_client::errors::OciDistributionError;
use oci_client::secrets::RegistryAuth;
use oci_client::{Reference, RegistryOperation};
use reqwest::header::{ACCEPT, CONTENT_RANGE, RANGE};
use reqwest::{Response, StatusCode};
use shared::id::Digest;
use shared::oci::{DOCUMENT_MAX, media};
use tokio::sync::Mutex;

pub use self::error::RegistryError;

/// A connection must stand within this time.
const CONNECT: Duration = Duration::from_secs(10);
/// A connection that says nothing for so long is given up.
const IDLE: Duration = Duration::from_secs(30);
/// A document and a token must be here within this time.
const DOCUMENT_TIME: Duration = Duration::from_secs(60);

/// An image in a registry, and how to get there.
#[derive(Debug, Clone)]
pub struct Source {
    /// As people write it: `registry.example/app:1.0`, `nginx`, `host:5000/app@sha256:…`.
    pub reference: String,
    /// Who asks.
    pub auth: Auth,
    /// How.
    pub transport: Transport,
}

impl Source {
    /// Anonymous, over HTTPS (plain HTTP only on this machine).
    pub fn anonymous(reference: impl Into<String>) -> Self {
        Self { reference: reference.into(), auth: Auth::Anonymous, transport: Transport::default() }
    }
}

/// Who asks a registry.
#[derive(Clone)]
pub enum Auth {
    /// Nobody in particular.
    Anonymous,
    /// A user with a password or access token.
    Basic {
        /// The user.
        user: String,
        /// The secret; never shown.
        password: String,
    },
}

impl std::fmt::Debug for Auth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Anonymous => f.write_str("Anonymous"),
            Self::Basic { user, .. } => f.debug_struct("Basic").field("user", user).finish_non_exhaustive(),
        }
    }
}

/// How a registry is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Transport {
    /// HTTPS; plain HTTP for a registry on the loopback of this machine.
    #[default]
    Auto,
    /// HTTPS always.
    Https,
    /// Plain HTTP, because an operator said so for this registry.
    PlainHttp,
}

/// One repository of a registry.
#[derive(Debug)]
pub struct Registry {
    reference: Reference,
    digest: Option<Digest>,
    /// `https://host/v2/repository`.
    base: String,
    auth: Auth,
    http: reqwest::Client,
    tokens: Tokens,
    /// The bearer token that worked last.
    bearer: Mutex<Option<String>>,
}

/// The crate's client, which has no `Debug`.
struct Tokens(Client);

impl std::fmt::Debug for Tokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tokens")
    }
}

impl Registry {
    /// Reads the reference and makes the clients; nothing is asked yet.
    pub fn open(source: &Source) -> Result<Self, RegistryError> {
        // Another part of the program may have installed it before; it is the same one.
        let _installed = rustls::crypto::ring::default_provider().install_default();
        let text = || source.reference.chars().filter(|c| !c.is_control()).take(300).collect::<String>();
        let bad = |why: String| RegistryError::BadReference { reference: text(), why };
        let reference: Reference = source.reference.parse().map_err(|error| bad(format!("{error}")))?;
        let digest = reference.digest().map(str::parse).transpose().map_err(|error| bad(format!("{error}")))?;
        let registry = reference.resolve_registry().to_owned();
        let plain = match source.transport {
            Transport::Auto => is_loopback(&registry),
            Transport::Https => false,
            Transport::PlainHttp => true,
        };
        let failed = |cause: String| RegistryError::Unreachable { registry: registry.clone(), cause };
        let protocol = if plain { ClientProtocol::HttpsExcept(vec![registry.clone()]) } else { ClientProtocol::Https };
        let config =
            ClientConfig { protocol, connect_timeout: Some(CONNECT), read_timeout: Some(IDLE), ..ClientConfig::default() };
        let tokens = Tokens(Client::try_from(config).map_err(|error| failed(error.to_string()))?);
        let http = reqwest::Client::builder()
            .connect_timeout(CONNECT)
            .read_timeout(IDLE)
            .https_only(!plain)
            .user_agent(concat!("causeway/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| failed(cause(error)))?;
        let scheme = if plain { "http" } else { "https" };
        let base = format!("{scheme}://{registry}/v2/{}", reference.repository());
        Ok(Self { reference, digest, base, auth: source.auth.clone(), http, tokens, bearer: Mutex::new(None) })
    }

    /// The digest the reference names, if it names one.
    pub const fn digest(&self) -> Option<Digest> {
        self.digest
    }

    /// The reference pinned to a digest, for people and releases.
    pub fn pinned(&self, digest: &Digest) -> String {
        format!("{}/{}@{digest}", self.reference.registry(), self.reference.repository())
    }

    /// The registry's host, for errors.
    pub fn host(&self) -> &str {
        self.reference.resolve_registry()
    }

    /// A manifest or index: of `digest`, or what the reference names. At most [`DOCUMENT_MAX`] bytes, not verified.
    pub async fn manifest(&self, digest: Option<&Digest>) -> Result<Vec<u8>, RegistryError> {
        let name = match digest.or(self.digest.as_ref()) {
            Some(digest) => digest.to_string(),
            None => self.reference.tag().unwrap_or("latest").to_owned(),
        };
        let url = format!("{}/manifests/{name}", self.base);
        let accept = [media::INDEX, media::MANIFEST, media::DOCKER_INDEX, media::DOCKER_MANIFEST].join(", ");
        let asked = async {
            let response = self.get(&url, Some(&accept), 0).await?;
            self.document(response).await
        };
        tokio::time::timeout(DOCUMENT_TIME, asked).await.unwrap_or_else(|_| Err(self.too_slow()))
    }

    /// A blob from byte `offset` on: where the answer really begins (0 when the registry ignores ranges), and its bytes.
    pub async fn blob(
        &self,
        digest: &Digest,
        offset: u64,
    ) -> Result<(u64, impl Stream<Item = Result<Bytes, RegistryError>> + Send + use<>), RegistryError> {
        let url = format!("{}/blobs/{digest}", self.base);
        let asked = self.get(&url, None, offset);
        let response = tokio::time::timeout(DOCUMENT_TIME, asked).await.unwrap_or_else(|_| Err(self.too_slow()))?;
        let begin = if response.status() == StatusCode::PARTIAL_CONTENT { range_begin(&response) } else { Some(0) };
        let begin = begin.filter(|begin| *begin == 0 || *begin == offset).ok_or_else(|| RegistryError::Refused {
            registry: self.host().to_owned(),
            status: response.status().as_u16(),
            message: "it sent another range than asked for".into(),
        })?;
        let registry = self.host().to_owned();
        let broken = move |error| RegistryError::Unreachable { registry: registry.clone(), cause: cause(error) };
        Ok((begin, response.bytes_stream().map(move |piece| piece.map_err(&broken))))
    }

    /// Asks; with a fresh token when the old one is not taken any more.
    async fn get(&self, url: &str, accept: Option<&str>, offset: u64) -> Result<Response, RegistryError> {
        let response = self.send(url, accept, offset, false).await?;
        if response.status() == StatusCode::UNAUTHORIZED {
            return self.check(self.send(url, accept, offset, true).await?).await;
        }
        self.check(response).await
    }

    async fn send(&self, url: &str, accept: Option<&str>, offset: u64, fresh: bool) -> Result<Response, RegistryError> {
        let mut request = self.http.get(url);
        if let Some(accept) = accept {
            request = request.header(ACCEPT, accept);
        }
        if offset > 0 {
            request = request.header(RANGE, format!("bytes={offset}-"));
        }
        if let Some(bearer) = self.bearer(fresh).await? {
            request = request.bearer_auth(bearer);
        } else if let (Auth::Basic { user, password }, true) = (&self.auth, fresh) {
            request = request.basic_auth(user, Some(password));
        }
        request.send().await.map_err(|error| self.unreachable(cause(error)))
    }

    /// The token to send: none at first, because many registries ask for none; a `fresh` one after a refusal.
    async fn bearer(&self, fresh: bool) -> Result<Option<String>, RegistryError> {
        let mut bearer = self.bearer.lock().await;
        if fresh {
            *bearer = self.token().await?;
        }
        Ok(bearer.clone())
    }

    async fn token(&self) -> Result<Option<String>, RegistryError> {
        let auth = match &self.auth {
            Auth::Anonymous => RegistryAuth::Anonymous,
            Auth::Basic { user, password } => RegistryAuth::Basic(user.clone(), password.clone()),
        };
        let asked = self.tokens.0.auth(&self.reference, &auth, RegistryOperation::Pull);
        match tokio::time::timeout(DOCUMENT_TIME, asked).await {
            Err(_) => Err(self.too_slow()),
            Ok(Ok(token)) => Ok(token),
            Ok(Err(OciDistributionError::RequestError(error))) => Err(self.unreachable(cause(error))),
            Ok(Err(_refused)) => Err(self.unauthorized()),
        }
    }

    /// An answer with content, or the error it stands for.
    async fn check(&self, response: Response) -> Result<Response, RegistryError> {
        let registry = self.host().to_owned();
        match response.status() {
            StatusCode::OK | StatusCode::PARTIAL_CONTENT => Ok(response),
            StatusCode::NOT_FOUND => Err(RegistryError::NotFound { reference: self.reference.to_string() }),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Err(self.unauthorized()),
            status if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS => {
                Err(RegistryError::Busy { registry, status: status.as_u16() })
            }
            status => {
                let body = self.document(response).await.unwrap_or_default();
                let message = String::from_utf8_lossy(&body).chars().filter(|c| !c.is_control()).take(200).collect();
                Err(RegistryError::Refused { registry, status: status.as_u16(), message })
            }
        }
    }

    /// A body of at most [`DOCUMENT_MAX`] bytes.
    async fn document(&self, mut response: Response) -> Result<Vec<u8>, RegistryError> {
        let mut body = Vec::new();
        while let Some(piece) = response.chunk().await.map_err(|error| self.unreachable(cause(error)))? {
            body.extend_from_slice(&piece);
            if body.len() as u64 > DOCUMENT_MAX {
                return Err(RegistryError::Refused {
                    registry: self.host().to_owned(),
                    status: response.status().as_u16(),
                    message: format!("a document of more than {DOCUMENT_MAX} bytes"),
                });
            }
        }
        Ok(body)
    }

    fn unreachable(&self, cause: String) -> RegistryError {
        RegistryError::Unreachable { registry: self.host().to_owned(), cause }
    }

    fn unauthorized(&self) -> RegistryError {
        RegistryError::Unauthorized { reference: self.reference.to_string() }
    }

    /// The registry took longer than anybody should wait.
    pub(crate) fn too_slow(&self) -> RegistryError {
        RegistryError::TooSlow { registry: self.host().to_owned() }
    }
}

/// The chain of causes without the URL: after a redirect it may carry a signature.
fn cause(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut next = std::error::Error::source(&error);
    while let Some(source) = next {
        text = format!("{text}: {source}");
        next = source.source();
    }
    text
}

/// The first byte of a partial answer: `Content-Range: bytes 10-99/100`.
fn range_begin(response: &Response) -> Option<u64> {
    let range = response.headers().get(CONTENT_RANGE)?.to_str().ok()?;
    range.strip_prefix("bytes ")?.split('-').next()?.parse().ok()
}

/// Whether `host[:port]` can only be this machine.
fn is_loopback(registry: &str) -> bool {
    let host = match registry.strip_prefix('[') {
        Some(v6) => v6.split(']').next().unwrap_or_default(),
        None => registry.split(':').next().unwrap_or_default(),
    };
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_http_is_for_this_machine_only() {
        for (registry, loopback) in [
            ("localhost:5000", true),
            ("127.0.0.1:5000", true),
            ("127.9.9.9", true),
            ("[::1]:5000", true),
            ("localhost.example:5000", false),
            ("127.0.0.1.example", false),
            ("registry.example", false),
            ("10.0.0.1:5000", false),
        ] {
            assert_eq!(is_loopback(registry), loopback, "{registry}");
        }
    }

    #[test]
    fn references_are_read_as_docker_reads_them() {
        for (text, base) in [
            ("nginx", "https://index.docker.io/v2/library/nginx"),
            ("registry.example/a/b:1", "https://registry.example/v2/a/b"),
            ("127.0.0.1:5000/a", "http://127.0.0.1:5000/v2/a"),
        ] {
            assert_eq!(Registry::open(&Source::anonymous(text)).unwrap().base, base);
        }
        for bad in ["", "A", "a b", "https://registry.example/a", "../a", "a@sha256:12", &"x".repeat(5000)] {
            let error = Registry::open(&Source::anonymous(bad)).unwrap_err();
            assert!(matches!(error, RegistryError::BadReference { .. }), "{bad}: {error:?}");
        }
    }

    #[test]
    fn secrets_are_not_shown() {
        let auth = Auth::Basic { user: "anna".into(), password: "pa55".into() };
        let source = Source { reference: "a".into(), auth, transport: Transport::Auto };
        assert!(!format!("{source:?}").contains("pa55"));
        assert!(!format!("{:?}", Registry::open(&source).unwrap()).contains("pa55"));
    }
}
