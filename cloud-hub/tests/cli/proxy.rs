//! A bad network: passes bytes to the hub, and cuts connections.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// A way to the hub.
pub struct Proxy {
    pub address: SocketAddr,
    /// Connections end when it changes.
    cut: watch::Sender<u64>,
    /// Connections so far.
    pub connections: Arc<AtomicU64>,
}

impl Proxy {
    /// To `hub`; the first `broken` connections end after `bytes` towards the hub.
    pub async fn new(hub: SocketAddr, broken: u64, bytes: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (cut, ended) = watch::channel(0);
        let connections = Arc::new(AtomicU64::new(0));
        let count = connections.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let number = count.fetch_add(1, Ordering::SeqCst);
                let limit = if number < broken { bytes } else { usize::MAX };
                tokio::spawn(pass(client, hub, limit, ended.clone()));
            }
        });
        Self { address, cut, connections }
    }

    /// Ends all connections there are.
    pub fn cut(&self) {
        self.cut.send_modify(|n| *n += 1);
    }
}

async fn pass(client: TcpStream, hub: SocketAddr, limit: usize, mut ended: watch::Receiver<u64>) {
    ended.mark_unchanged();
    let Ok(server) = TcpStream::connect(hub).await else { return };
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let up = async move {
        let (mut buffer, mut passed) = (vec![0; 16 << 10], 0);
        while let Ok(read @ 1..) = from_client.read(&mut buffer).await {
            passed += read;
            if passed > limit || to_server.write_all(&buffer[..read]).await.is_err() {
                return;
            }
        }
    };
    let down = async move {
        let _ended = tokio::io::copy(&mut from_server, &mut to_client).await;
    };
    tokio::select! {
        () = up => {}
        () = down => {}
        _ = ended.changed() => {}
    }
}
