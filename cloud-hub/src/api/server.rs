//! HTTPS: our own accept loop over TLS 1.3, with a bound on everything a client can make the hub hold.
//!
//! Whoever has shown no good token yet is a stranger. Strangers share a bounded number of places, and when those are taken
//! the source with the most of them loses its oldest one: a flood pushes out itself, and who has a token keeps its
//! connection.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use rustls::ServerConfig;
use rustls::server::ResolvesServerCert;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt;

use super::guard::{Caller, Peer};
use crate::gate::Rate;
use crate::gate::doorman::{Doorman, Source};
use crate::gate::half_open::HalfOpen;
use crate::stop::{Stop, stopped};

/// Most connections at the same time.
const CONNECTIONS_MAX: usize = 1024;
/// Most of them whose client has shown no good token.
const STRANGERS_MAX: usize = 512;
/// New connections from one address: command lines of an office, or a site whose nodes enrol.
const FROM_SOURCE: Rate = Rate { per_second: 200, burst: 2000 };
/// New connections in all. One costs about 1 ms of processor time.
const FROM_ALL: Rate = Rate { per_second: 500, burst: 4000 };
/// How often refusals are written down.
const TELL: Duration = Duration::from_secs(60);
/// For a client to finish its TLS handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// For a client to send the head of its first request.
const FIRST_HEAD: Duration = Duration::from_secs(10);
/// For a client to send the head of a request; also the longest time between two requests.
const HEAD: Duration = Duration::from_secs(60);
/// Largest head of a request, in bytes.
const HEAD_MAX: usize = 64 << 10;
/// Most headers of a request.
const HEADERS_MAX: usize = 64;
/// For open requests to end when the hub stops.
const GOODBYE: Duration = Duration::from_secs(10);

/// TLS 1.3 with the hub's certificate; clients authenticate with tokens.
pub fn tls(certificate: Arc<dyn ResolvesServerCert>) -> Result<ServerConfig, rustls::Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider).with_protocol_versions(&[&rustls::version::TLS13])?;
    let mut config = builder.with_no_client_auth().with_cert_resolver(certificate);
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

/// Serves `router` on `listener` until `stop` says so; open requests then have 10 s to end.
pub async fn serve(listener: TcpListener, tls: ServerConfig, router: Router, mut stop: Stop) {
    let shared = Arc::new(Shared { acceptor: Arc::new(tls).into(), router, strangers: HalfOpen::new(STRANGERS_MAX) });
    let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let (began, mut refusals) = (Instant::now(), Refusals::default());
    let mut doorman = Doorman::new(FROM_SOURCE, FROM_ALL, Duration::ZERO);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stopped(&mut stop) => break,
        };
        match accepted {
            Ok((tcp, peer)) => {
                let now = began.elapsed();
                let permit =
                    doorman.admit(Source::from(peer.ip()), now).ok().and_then(|()| room.clone().try_acquire_owned().ok());
                if let Some(permit) = permit {
                    let (shared, stop) = (shared.clone(), stop.clone());
                    tokio::spawn(async move {
                        Box::pin(connection(&shared, tcp, peer, stop)).await;
                        drop(permit);
                    });
                } else if let Some(refused) = refusals.add(now) {
                    tracing::warn!(%peer, refused, "too many API connections; the last one turned away came from here");
                }
            }
            Err(error) => {
                // No file descriptors or no memory: leave the rest of the hub some air.
                tracing::warn!(%error, "an API connection could not be accepted");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
    drop(listener);
    let all = u32::try_from(CONNECTIONS_MAX).unwrap_or(u32::MAX);
    let _gone = timeout(GOODBYE, room.acquire_many(all)).await;
}

/// What every connection shares.
struct Shared {
    acceptor: TlsAcceptor,
    router: Router,
    strangers: HalfOpen,
}

/// Connections that were turned away. Pure.
#[derive(Default)]
struct Refusals {
    count: u64,
    told: Option<Duration>,
}

impl Refusals {
    /// One more at `now`; how many there were since somebody was told, when it is time to tell again.
    fn add(&mut self, now: Duration) -> Option<u64> {
        self.count += 1;
        if self.told.is_some_and(|told| now.saturating_sub(told) < TELL) {
            return None;
        }
        self.told = Some(now);
        Some(std::mem::take(&mut self.count))
    }
}

/// Serves a connection until it ends; as long as its client is a stranger, at most until another one needs the place.
async fn connection(shared: &Shared, tcp: TcpStream, peer: SocketAddr, stop: Stop) {
    let place = shared.strangers.enter(Source::from(peer.ip()));
    let caller = Arc::new(Caller::default());
    let mut serving = std::pin::pin!(serve_one(shared, tcp, peer, caller.clone(), stop));
    tokio::select! {
        () = serving.as_mut() => return,
        () = place.evicted() => return tracing::debug!(%peer, "a stranger's place was needed"),
        () = caller.known.wait() => {}
    }
    drop(place);
    serving.await;
}

async fn serve_one(shared: &Shared, tcp: TcpStream, peer: SocketAddr, caller: Arc<Caller>, mut stop: Stop) {
    let _nodelay = tcp.set_nodelay(true);
    let tls = match timeout(HANDSHAKE, shared.acceptor.accept(tcp)).await {
        Ok(Ok(tls)) => tls,
        Ok(Err(error)) => return tracing::debug!(%peer, %error, "no TLS"),
        Err(_) => return tracing::debug!(%peer, "TLS took too long"),
    };
    let service = service_fn(|request: hyper::Request<Incoming>| {
        let (router, caller) = (shared.router.clone(), caller.clone());
        async move {
            caller.asked.set();
            let mut request: Request = request.map(axum::body::Body::new);
            request.extensions_mut().insert(Peer(peer));
            request.extensions_mut().insert(caller);
            match router.oneshot(request).await {
                Ok(response) => Ok::<_, Infallible>(response),
                Err(never) => match never {},
            }
        }
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD).max_buf_size(HEAD_MAX).max_headers(HEADERS_MAX);
    let mut connection = std::pin::pin!(http.serve_connection(TokioIo::new(tls), service));
    let late = async {
        if timeout(FIRST_HEAD, caller.asked.wait()).await.is_ok() {
            std::future::pending::<()>().await;
        }
    };
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = late => return tracing::debug!(%peer, "the first request took too long"),
        () = stopped(&mut stop) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%peer, %error, "an API connection broke");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_told_once_a_minute_with_their_number() {
        let mut refusals = Refusals::default();
        let told: Vec<_> = [0, 1, 59, 60, 61, 200].map(|second| refusals.add(Duration::from_secs(second))).into();
        assert_eq!(told, [Some(1), None, None, Some(3), None, Some(2)]);
    }
}
