//! Messages on a connection: the length in 4 bytes, little endian, and then the message.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

/// Sends a message; it must be gone within `limit`.
pub(super) async fn send(to: &mut (impl AsyncWrite + Unpin), message: &[u8], limit: Duration) -> io::Result<()> {
    let length = u32::try_from(message.len()).map_err(io::Error::other)?;
    let sending = async {
        to.write_all(&length.to_le_bytes()).await?;
        to.write_all(message).await?;
        to.flush().await
    };
    timeout(limit, sending).await?
}

/// The next message; all of it must be there within `limit`. `FileTooLarge`: it says that it has more than `most` bytes.
pub(super) async fn receive(from: &mut (impl AsyncRead + Unpin), most: usize, limit: Duration) -> io::Result<Vec<u8>> {
    let receiving = async {
        let mut length = [0; 4];
        from.read_exact(&mut length).await?;
        let length = u32::from_le_bytes(length) as usize;
        if length > most {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("a message of {length} bytes")));
        }
        let mut message = vec![0; length];
        from.read_exact(&mut message).await?;
        Ok(message)
    };
    timeout(limit, receiving).await?
}
