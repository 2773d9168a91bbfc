//! The network of the site, as neighbours use it: TCP, or what a simulation has in its place.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};

/// What comes of asking the network for something.
pub type Soon<'a, T> = Pin<Box<dyn Future<Output = io::Result<T>> + Send + 'a>>;

/// A connection that nothing is said on yet.
pub type Line = Box<dyn Duplex>;

/// Bytes in both directions.
pub trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

/// A network.
pub trait Lan: Send + Sync {
    /// Connects to whoever listens there.
    fn connect(&self, to: SocketAddr) -> Soon<'_, Line>;
    /// Listens there, or on a port that the system chooses when it names none.
    fn listen(&self, at: SocketAddr) -> Soon<'_, Box<dyn Listener>>;
}

/// Somebody who listens.
pub trait Listener: Send {
    /// Where.
    fn address(&self) -> io::Result<SocketAddr>;
    /// The next connection, and where it comes from. Dropping the future loses none.
    fn accept(&mut self) -> Soon<'_, (Line, SocketAddr)>;
}

/// TCP.
#[derive(Debug, Clone, Copy)]
pub struct Tcp;

impl Lan for Tcp {
    fn connect(&self, to: SocketAddr) -> Soon<'_, Line> {
        Box::pin(async move { Ok(line(TcpStream::connect(to).await?)) })
    }

    fn listen(&self, at: SocketAddr) -> Soon<'_, Box<dyn Listener>> {
        Box::pin(async move { Ok(Box::new(TcpListener::bind(at).await?) as Box<dyn Listener>) })
    }
}

impl Listener for TcpListener {
    fn address(&self) -> io::Result<SocketAddr> {
        self.local_addr()
    }

    fn accept(&mut self) -> Soon<'_, (Line, SocketAddr)> {
        Box::pin(async move {
            let (tcp, from) = Self::accept(self).await?;
            Ok((line(tcp), from))
        })
    }
}

/// Questions are small, and the answer waits for them.
fn line(tcp: TcpStream) -> Line {
    // Where that fails the connection is broken, which whoever uses it notices.
    let _ = tcp.set_nodelay(true);
    Box::new(tcp)
}
