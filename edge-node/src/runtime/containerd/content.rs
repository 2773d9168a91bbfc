//! containerd's content store: the manifest and config of every image, and layers only for snapshotters whose
//! directories cannot be seen.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use containerd_client::services::v1::content_client::ContentClient;
use containerd_client::services::v1::{
    AbortRequest, DeleteContentRequest, Info, ReadContentRequest, UpdateRequest, WriteAction, WriteContentRequest,
    WriteContentResponse,
};
use containerd_client::tonic::{Code, Status, Streaming};
use prost_types::FieldMask;
use shared::id::Digest;
use shared::recipe::pack::Pack;
use shared::release::Blob;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use super::client::{Client, exists, failed, missing};
use crate::images::packs::PackFile;
use crate::runtime::RuntimeError;

/// Bytes per message (containerd takes 16 MiB with framing).
const PIECE: u64 = 1 << 20;
/// Messages under way; one at a time was three times slower.
const WINDOW: usize = 8;
/// A whole blob is written within this time.
const WRITE_LIMIT: Duration = Duration::from_secs(3600);

/// Where the bytes to write are.
pub enum Source {
    /// In memory.
    Memory(Bytes),
    /// The tar of a pack.
    Pack(Box<Pack<PackFile>>),
}

/// Writes `blob` with `labels`. Goes on where an earlier write stopped; a blob that is there only gets the labels.
pub async fn write(client: &Client, blob: Blob, source: Source, labels: &[(String, String)]) -> Result<(), RuntimeError> {
    match send(client, blob, source, labels).await {
        Ok(()) => Ok(()),
        Err(Stopped::Exists) => relabel(client, blob.digest, labels).await,
        Err(Stopped::Failed(error)) => Err(error),
        Err(Stopped::Status(status)) => {
            if status.code() == Code::FailedPrecondition {
                abort(client, blob.digest).await; // wrong bytes would stay and be continued
            }
            Err(failed("writing content")(*status))
        }
    }
}

/// All bytes of a blob of at most `limit`, checked against its digest; `None` when it is not there.
pub async fn read(client: &Client, digest: Digest, limit: u64) -> Result<Option<Vec<u8>>, RuntimeError> {
    let request = client.request(ReadContentRequest { digest: digest.to_string(), offset: 0, size: 0 });
    let mut stream = match ContentClient::new(client.channel()).read(request).await {
        Err(status) if missing(&status) => return Ok(None),
        answer => answer.map_err(failed("reading content"))?.into_inner(),
    };
    let mut bytes = Vec::new();
    loop {
        match stream.message().await {
            Ok(Some(piece)) if (bytes.len() + piece.data.len()) as u64 <= limit => bytes.extend(piece.data),
            Ok(Some(_)) => return Err(broken("it is larger than it may be")),
            Ok(None) if Digest::of(&bytes) == digest => return Ok(Some(bytes)),
            Ok(None) => return Err(broken("its bytes do not fit its digest")),
            Err(status) if missing(&status) => return Ok(None),
            Err(status) => return Err(failed("reading content")(status)),
        }
    }
}

/// Forgets a blob; one that is not there is no error. Its bytes go when containerd collects its garbage.
pub async fn remove(client: &Client, digest: Digest) -> Result<(), RuntimeError> {
    let request = client.request(DeleteContentRequest { digest: digest.to_string() });
    match ContentClient::new(client.channel()).delete(request).await {
        Err(status) if !missing(&status) => Err(failed("removing content")(status)),
        _ => Ok(()),
    }
}

fn broken(why: &str) -> RuntimeError {
    RuntimeError::Failed { doing: "reading content", cause: why.into() }
}

/// Why a write did not come to its end.
enum Stopped {
    /// The blob is there.
    Exists,
    Status(Box<Status>),
    Failed(RuntimeError),
}

impl From<Status> for Stopped {
    fn from(status: Status) -> Self {
        if exists(&status) { Self::Exists } else { Self::Status(Box::new(status)) }
    }
}

/// The messages of one write: where we are (Stat), pieces, Commit. Each is answered once, in order.
async fn send(client: &Client, blob: Blob, source: Source, labels: &[(String, String)]) -> Result<(), Stopped> {
    let total = i64::try_from(blob.size).unwrap_or(i64::MAX);
    let message = |action: WriteAction, offset: u64, data: Vec<u8>| WriteContentRequest {
        action: action.into(),
        r#ref: name(blob.digest),
        total,
        expected: blob.digest.to_string(),
        offset: i64::try_from(offset).unwrap_or(i64::MAX),
        data,
        ..Default::default()
    };
    let (sender, receiver) = mpsc::channel(WINDOW + 1);
    push(&sender, message(WriteAction::Stat, 0, Vec::new())).await?;
    let mut request = client.request(ReceiverStream::new(receiver));
    request.set_timeout(WRITE_LIMIT);
    let mut answers = ContentClient::new(client.channel()).write(request).await?.into_inner();
    let mut offset = u64::try_from(answer(&mut answers).await?.offset).unwrap_or_default();
    let mut under_way = VecDeque::new();
    let pieces = Pieces::from(source);
    while offset < blob.size || !under_way.is_empty() {
        if offset < blob.size && under_way.len() < WINDOW {
            let data = pieces.get(offset, PIECE.min(blob.size - offset)).await.map_err(unreadable)?;
            let next = offset + data.len() as u64;
            push(&sender, message(WriteAction::Write, offset, data)).await?;
            offset = next;
            under_way.push_back(next);
        } else {
            let reached = answer(&mut answers).await?.offset;
            if under_way.pop_front().map(i64::try_from) != Some(Ok(reached)) {
                return Err(Stopped::Failed(lost("its offset is not ours")));
            }
        }
    }
    // The true offset again: containerd takes 0 for "begin anew".
    let commit =
        WriteContentRequest { labels: labels.iter().cloned().collect(), ..message(WriteAction::Commit, offset, Vec::new()) };
    push(&sender, commit).await?;
    answer(&mut answers).await.map(drop)
}

async fn push(sender: &mpsc::Sender<WriteContentRequest>, message: WriteContentRequest) -> Result<(), Stopped> {
    // When containerd ended the call the next answer says why.
    drop(sender.send(message).await);
    Ok(())
}

async fn answer(answers: &mut Streaming<WriteContentResponse>) -> Result<WriteContentResponse, Stopped> {
    answers.message().await?.ok_or_else(|| Stopped::Failed(lost("the answers ended")))
}

fn lost(why: &str) -> RuntimeError {
    RuntimeError::Failed { doing: "writing content", cause: why.into() }
}

fn unreadable(cause: io::Error) -> Stopped {
    Stopped::Failed(RuntimeError::Failed { doing: "reading what is written", cause: cause.to_string() })
}

/// An open [`Source`].
enum Pieces {
    Memory(Bytes),
    Pack(Arc<Mutex<Pack<PackFile>>>),
}

impl From<Source> for Pieces {
    fn from(source: Source) -> Self {
        match source {
            Source::Memory(bytes) => Self::Memory(bytes),
            Source::Pack(pack) => Self::Pack(Arc::new(Mutex::new(*pack))),
        }
    }
}

impl Pieces {
    /// `length` bytes from `offset` on.
    async fn get(&self, offset: u64, length: u64) -> io::Result<Vec<u8>> {
        let length = usize::try_from(length).unwrap_or_default();
        match self {
            Self::Memory(bytes) => {
                let start = usize::try_from(offset).unwrap_or(usize::MAX);
                let piece = bytes.get(start..start.saturating_add(length));
                piece.map(<[u8]>::to_vec).ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
            }
            Self::Pack(pack) => {
                let pack = pack.clone();
                let read = move || {
                    let mut bytes = Vec::with_capacity(length);
                    let mut pack = pack.lock().unwrap_or_else(PoisonError::into_inner);
                    pack.read(offset, u32::try_from(length).unwrap_or(u32::MAX), &mut bytes).map_err(io::Error::other)?;
                    if bytes.len() == length { Ok(bytes) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
                };
                tokio::task::spawn_blocking(read).await.map_err(io::Error::other)?
            }
        }
    }
}

/// The name of an unfinished write: lists of them do not show the digest, so it is in the name.
fn name(digest: Digest) -> String {
    format!("causeway-{}", digest.hex())
}

async fn relabel(client: &Client, digest: Digest, labels: &[(String, String)]) -> Result<(), RuntimeError> {
    if labels.is_empty() {
        return Ok(());
    }
    let paths = labels.iter().map(|(key, _)| format!("labels.{key}")).collect();
    let info = Info { digest: digest.to_string(), labels: labels.iter().cloned().collect(), ..Default::default() };
    let request = client.request(UpdateRequest { info: Some(info), update_mask: Some(FieldMask { paths }) });
    ContentClient::new(client.channel()).update(request).await.map(drop).map_err(failed("labelling content"))
}

async fn abort(client: &Client, digest: Digest) {
    let request = client.request(AbortRequest { r#ref: name(digest) });
    if let Err(status) = ContentClient::new(client.channel()).abort(request).await {
        tracing::debug!(%digest, %status, "an unfinished write stays until containerd expires it");
    }
}
