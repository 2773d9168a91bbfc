//! HTTPS: our own accept loop over TLS 1.3, with a bound on everything a client can make the hub hold.

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
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt;

use super::guard::Peer;
use crate::stop::{Stop, stopped};

/// Most connections at the same time.
const CONNECTIONS_MAX: usize = 1024;
/// For a client to finish its TLS handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);
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
    let acceptor = TlsAcceptor::from(Arc::new(tls));
    let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stopped(&mut stop) => break,
        };
        match accepted {
            Ok((tcp, peer)) => match room.clone().try_acquire_owned() {
                Ok(permit) => {
                    let (acceptor, router, stop) = (acceptor.clone(), router.clone(), stop.clone());
                    tokio::spawn(async move {
                        Box::pin(connection(acceptor, tcp, peer, router, stop)).await;
                        drop(permit);
                    });
                }
                Err(_) => tracing::warn!(%peer, "too many API connections; one was turned away"),
            },
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

async fn connection(acceptor: TlsAcceptor, tcp: TcpStream, peer: SocketAddr, router: Router, mut stop: Stop) {
    let _nodelay = tcp.set_nodelay(true);
    let tls = match timeout(HANDSHAKE, acceptor.accept(tcp)).await {
        Ok(Ok(tls)) => tls,
        Ok(Err(error)) => return tracing::debug!(%peer, %error, "no TLS"),
        Err(_) => return tracing::debug!(%peer, "TLS took too long"),
    };
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        let router = router.clone();
        async move {
            let mut request: Request = request.map(axum::body::Body::new);
            request.extensions_mut().insert(Peer(peer));
            match router.oneshot(request).await {
                Ok(response) => Ok::<_, Infallible>(response),
                Err(never) => match never {},
            }
        }
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD).max_buf_size(HEAD_MAX).max_headers(HEADERS_MAX);
    let mut connection = std::pin::pin!(http.serve_connection(TokioIo::new(tls), service));
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stopped(&mut stop) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%peer, %error, "an API connection broke");
    }
}
