//! A client that sends whatever bytes it is told to.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Longer than any answer takes, also on a busy machine.
pub const SOON: Duration = Duration::from_secs(20);

/// A TLS connection to the gate.
pub struct Client(pub TlsStream<TcpStream>);

impl Client {
    pub async fn tls(address: SocketAddr, config: &Arc<ClientConfig>) -> std::io::Result<Self> {
        let tcp = TcpStream::connect(address).await?;
        tcp.set_nodelay(true)?;
        let name = ServerName::try_from("localhost").expect("name");
        Ok(Self(TlsConnector::from(config.clone()).connect(name, tcp).await?))
    }

    /// Sends what the peer may refuse to take: errors show when reading.
    pub async fn send(&mut self, bytes: &[u8]) {
        let _outcome = async {
            self.0.write_all(bytes).await?;
            self.0.flush().await
        }
        .await;
    }

    /// The next packet; `None` when the gate has closed.
    pub async fn packet(&mut self) -> Option<Vec<u8>> {
        timeout(SOON, self.read_packet()).await.expect("an answer or the end")
    }

    async fn read_packet(&mut self) -> Option<Vec<u8>> {
        let mut packet = vec![self.0.read_u8().await.ok()?];
        let mut length = 0;
        for place in 0.. {
            let byte = self.0.read_u8().await.ok()?;
            packet.push(byte);
            length |= usize::from(byte & 0x7f) << (7 * place);
            if byte & 0x80 == 0 {
                break;
            }
        }
        let header = packet.len();
        packet.resize(header + length, 0);
        self.0.read_exact(&mut packet[header..]).await.ok()?;
        Some(packet)
    }

    /// Expects the gate to close this connection, whatever it says before.
    pub async fn closed(&mut self, why: &str) {
        let closed = async { while self.read_packet().await.is_some() {} };
        timeout(SOON, closed).await.unwrap_or_else(|_| panic!("{why}: not closed"));
    }

    /// Sends `bytes` and expects exactly `answer`.
    pub async fn exchange(&mut self, bytes: &[u8], answer: &[u8]) {
        self.send(bytes).await;
        assert_eq!(self.packet().await.as_deref(), Some(answer));
    }
}
