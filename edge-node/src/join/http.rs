//! One HTTPS request to a hub that is known only by the fingerprint of its CA. Everything has a limit.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::client::conn::http1;
use hyper::header::{ACCEPT, CONTENT_TYPE, HOST};
use hyper::{Method, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use serde::Serialize;
use serde::de::DeserializeOwned;
use shared::fault::Fault;
use shared::id::{Digest, Name};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::JoinError;
use crate::tls;

/// Time for reaching the hub, and again for its TLS handshake, in seconds.
const CONNECT_SECONDS: u64 = 15;
/// Time for its answer, in seconds.
const ANSWER_SECONDS: u64 = 30;
/// Largest answer, in bytes: two certificates and 64 keys have about 10 KiB.
const ANSWER_MAX: usize = 64 << 10;

/// Posts `body` as JSON to `path` below the URL `hub` and reads a JSON answer.
pub async fn post<T: DeserializeOwned>(
    hub: &str,
    ca: Digest,
    path: &str,
    body: &impl Serialize,
    node: &Name,
) -> Result<T, JoinError> {
    let unreachable = |cause: String| JoinError::Unreachable { hub: hub.into(), cause };
    // From the first byte of the request on, nobody knows here what the hub did with it.
    let lost = |cause: String| JoinError::Lost { hub: hub.into(), cause };
    let bad = |why: String| JoinError::BadAnswer { hub: hub.into(), why };
    let place = Place::of(hub).ok_or_else(|| unreachable("its address is not a URL".into()))?;
    let stream = connect(hub, &place, ca).await?;
    let body = serde_json::to_vec(body).map_err(|error| unreachable(error.to_string()))?;
    let request = hyper::Request::builder()
        .method(Method::POST)
        .uri(format!("{}{path}", place.base))
        .header(HOST, &place.authority)
        .header(CONTENT_TYPE, "application/json")
        .header(ACCEPT, "application/json")
        .body(Full::new(Bytes::from(body)))
        .map_err(|error| unreachable(error.to_string()))?;
    let exchange = async {
        let (mut sender, connection) =
            http1::handshake(TokioIo::new(stream)).await.map_err(|error| unreachable(error.to_string()))?;
        let connection = tokio::spawn(connection);
        let response = sender.send_request(request).await.map_err(|error| lost(error.to_string()));
        let read = match response {
            Ok(response) => {
                let status = response.status();
                let read = Limited::new(response.into_body(), ANSWER_MAX).collect().await;
                read.map(|body| (status, body.to_bytes())).map_err(|error| {
                    let why = error.to_string();
                    if error.is::<LengthLimitError>() { bad(why) } else { lost(why) }
                })
            }
            Err(error) => Err(error),
        };
        connection.abort();
        read
    };
    let (status, bytes) = within(hub, "waiting for its answer", ANSWER_SECONDS, exchange).await??;
    if !status.is_success() {
        return Err(JoinError::Refused { node: node.clone(), status: status.as_u16(), reason: reason(status, &bytes) });
    }
    serde_json::from_slice(&bytes).map_err(|error| bad(error.to_string()))
}

/// The parts of the hub's URL.
struct Place {
    host: String,
    port: u16,
    /// As in the Host header.
    authority: String,
    /// Path before `/api`, without a slash at its end.
    base: String,
}

impl Place {
    fn of(hub: &str) -> Option<Self> {
        let uri: Uri = hub.parse().ok()?;
        let authority = uri.authority()?;
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        let base = uri.path().trim_end_matches('/').to_owned();
        Some(Self { host, port: authority.port_u16().unwrap_or(443), authority: authority.to_string(), base })
    }
}

async fn connect(hub: &str, place: &Place, ca: Digest) -> Result<TlsStream<TcpStream>, JoinError> {
    let unreachable = |cause: String| JoinError::Unreachable { hub: hub.into(), cause };
    let name = ServerName::try_from(place.host.clone()).map_err(|error| unreachable(error.to_string()))?;
    let tcp = within(hub, "connecting", CONNECT_SECONDS, TcpStream::connect((place.host.as_str(), place.port))).await?;
    let tcp = tcp.map_err(|error| unreachable(error.to_string()))?;
    let connector = TlsConnector::from(Arc::new(tls::for_enrolment(ca)?));
    let tls = within(hub, "the TLS handshake", CONNECT_SECONDS, connector.connect(name, tcp)).await?;
    tls.map_err(|error| match proof(&error) {
        Some(cause) => JoinError::Impostor { hub: hub.into(), cause },
        None => unreachable(error.to_string()),
    })
}

/// What is wrong with the certificate that was shown, if that is what is wrong.
fn proof(error: &io::Error) -> Option<String> {
    let error = error.get_ref()?.downcast_ref::<rustls::Error>()?;
    matches!(error, rustls::Error::InvalidCertificate(_)).then(|| error.to_string())
}

/// What the hub said, if it said it in the form of its API.
fn reason(status: StatusCode, body: &[u8]) -> Fault {
    serde_json::from_slice(body).unwrap_or_else(|_| Fault { code: status.to_string(), params: [].into() })
}

async fn within<T>(hub: &str, doing: &'static str, seconds: u64, work: impl Future<Output = T>) -> Result<T, JoinError> {
    tokio::time::timeout(Duration::from_secs(seconds), work).await.map_err(|_| JoinError::Timeout {
        hub: hub.into(),
        doing,
        seconds,
    })
}
