//! The socket of the API: mode 0600, and only so many connections at once.

use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::unix::SocketAddr;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Connections served at once; more wait in the socket's backlog.
pub const CONNECTIONS_MAX: usize = 32;

/// The bound socket; its file is removed with it.
#[derive(Debug)]
pub struct Listener {
    socket: UnixListener,
    free: Arc<Semaphore>,
    path: PathBuf,
}

impl Listener {
    /// Binds `path`. A socket of a daemon that is gone is replaced; whoever calls holds the lock that says so.
    /// The file gets its name only after its mode is set.
    pub fn bind(path: &Path) -> io::Result<Self> {
        let fresh = path.with_added_extension("new");
        remove_socket(&fresh)?;
        let socket = UnixListener::bind(&fresh)?;
        fs::set_permissions(&fresh, fs::Permissions::from_mode(0o600))?;
        remove_socket(path)?;
        fs::rename(&fresh, path)?;
        Ok(Self { socket, free: Arc::new(Semaphore::new(CONNECTIONS_MAX)), path: path.into() })
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        // A file that stays is replaced at the next start.
        drop(fs::remove_file(&self.path));
    }
}

fn remove_socket(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(meta) if meta.file_type().is_socket() => fs::remove_file(path),
        Ok(_) => Err(io::Error::new(io::ErrorKind::AlreadyExists, "something that is not a socket has its place")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

impl axum::serve::Listener for Listener {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Connection, SocketAddr) {
        let permit = self.free.clone().acquire_owned().await.ok();
        let (stream, address) = axum::serve::Listener::accept(&mut self.socket).await;
        (Connection { stream, _permit: permit }, address)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }
}

/// A connection that gives its place back at its end.
#[derive(Debug)]
pub struct Connection {
    stream: UnixStream,
    _permit: Option<OwnedSemaphorePermit>,
}

impl AsyncRead for Connection {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
