//! A plain HTTPS server with some files in memory, and a client of it: what the gate is compared with.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::Path;
use axum::http::StatusCode;
use axum::routing::get;
use bytes::Bytes;
use rcgen::generate_simple_self_signed;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use shared::id::Digest;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::{TlsAcceptor, TlsConnector, client, server};

use crate::demo::Failure;

/// The server's name, on the loopback.
const NAME: &str = "localhost";
/// Read at once, in bytes: what the gate puts into one message.
const PIECE: usize = 256 << 10;

fn said(error: impl std::fmt::Display) -> Failure {
    error.to_string()
}

/// Serves until dropped.
pub(super) struct Server {
    address: SocketAddr,
    certificate: CertificateDer<'static>,
    _serving: JoinSet<()>,
}

impl Server {
    /// Serves each of `files` by its digest in hexadecimal digits.
    pub(super) async fn start(files: BTreeMap<Digest, Bytes>) -> Result<Self, Failure> {
        let made = generate_simple_self_signed([NAME.to_owned()]).map_err(said)?;
        let (certificate, key) = (made.cert.der().clone(), PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
        let config = ServerConfig::builder().with_no_client_auth();
        let config = config.with_single_cert(vec![certificate.clone()], key.into()).map_err(said)?;
        let tcp = TcpListener::bind("127.0.0.1:0").await.map_err(said)?;
        let address = tcp.local_addr().map_err(said)?;
        let files: Arc<BTreeMap<String, Bytes>> =
            Arc::new(files.into_iter().map(|(digest, bytes)| (digest.hex(), bytes)).collect());
        let answer = async move |Path(name): Path<String>| files.get(&name).cloned().ok_or(StatusCode::NOT_FOUND);
        let router = Router::new().route("/{name}", get(answer));
        let mut serving = JoinSet::new();
        let listener = Listener { tcp, tls: TlsAcceptor::from(Arc::new(config)) };
        serving.spawn(async move { drop(axum::serve(listener, router).await) });
        Ok(Self { address, certificate, _serving: serving })
    }

    /// A connection to it.
    pub(super) async fn connect(&self) -> Result<Client, Failure> {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.clone()).map_err(said)?;
        let config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
        let tcp = TcpStream::connect(self.address).await.map_err(said)?;
        let name = ServerName::try_from(NAME).map_err(said)?;
        let stream = TlsConnector::from(Arc::new(config)).connect(name, tcp).await.map_err(said)?;
        Ok(Client(BufReader::with_capacity(PIECE, stream)))
    }
}

/// One kept-alive connection.
pub(super) struct Client(BufReader<client::TlsStream<TcpStream>>);

impl Client {
    /// Reads a file; `write` gets its bytes in order.
    pub(super) async fn get(&mut self, name: &str, mut write: impl FnMut(&[u8]) -> io::Result<()>) -> Result<(), Failure> {
        self.0.write_all(format!("GET /{name} HTTP/1.1\r\nhost: {NAME}\r\n\r\n").as_bytes()).await.map_err(said)?;
        self.0.flush().await.map_err(said)?;
        let mut left = self.head().await?;
        let mut piece = vec![0; PIECE];
        while left > 0 {
            let most = usize::try_from(left).unwrap_or(PIECE).min(PIECE);
            let count = self.0.read(piece.get_mut(..most).unwrap_or_default()).await.map_err(said)?;
            let Some(bytes) = piece.get(..count).filter(|bytes| !bytes.is_empty()) else { return Err("cut off".into()) };
            write(bytes).map_err(said)?;
            left -= count as u64;
        }
        Ok(())
    }

    /// The length that the head of an answer names.
    async fn head(&mut self) -> Result<u64, Failure> {
        let (mut length, mut first) = (None, true);
        loop {
            let mut line = String::new();
            self.0.read_line(&mut line).await.map_err(said)?;
            let line = line.trim_end().to_ascii_lowercase();
            if first && !line.contains(" 200 ") {
                return Err(line);
            }
            first = false;
            if let Some(named) = line.strip_prefix("content-length:") {
                length = named.trim().parse().ok();
            }
            if line.is_empty() {
                return length.ok_or_else(|| "an answer without its length".into());
            }
        }
    }
}

/// TLS over TCP, for axum.
struct Listener {
    tcp: TcpListener,
    tls: TlsAcceptor,
}

impl axum::serve::Listener for Listener {
    type Io = server::TlsStream<TcpStream>;
    type Addr = SocketAddr;

    /// The next connection whose handshake ends well; one after the other, for there is one client.
    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            if let Ok((tcp, address)) = self.tcp.accept().await
                && let Ok(stream) = self.tls.accept(tcp).await
            {
                return (stream, address);
            }
        }
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        self.tcp.local_addr()
    }
}
