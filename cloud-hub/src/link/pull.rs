//! Blobs on their way to one node, as fast as it takes them.
//!
//! A session that pulls has one task, which goes when nothing is pulled for a while: an idle node costs nothing. The task
//! waits in [`Session::bulk`], so control messages and other nodes never wait for it. A node may pull what its assigned
//! releases are made of and nothing else: the release itself (its signed envelope, under the release's id) and the blobs
//! of its images.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use shared::assign::releases;
use shared::fault::{Fault, Faulty, hub};
use shared::id::{Digest, Name};
use shared::wire::FRAME_MAX;
use shared::wire::v1::{Down, Frame, Pull};
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;

use crate::access::lock;
use crate::gate::{Session, SessionId};
use crate::hub::Hub;
use crate::store::StoreError;

/// Pulls of one node that wait; a node with a window of frames stays far below. More are dropped, and pulled again.
const WAITING_MAX: usize = 64;
/// A task without work ends after this time.
const IDLE: Duration = Duration::from_secs(60);

/// Hands a pull to the session's task; starts one when there is none.
pub(super) fn queue(hub: &Arc<Hub>, node: &Name, session: SessionId, pull: Pull) {
    let mut table = lock(&hub.link.live);
    let Some(live) = table.get_mut(node).filter(|live| live.session.id() == session) else { return };
    let unsent = match &live.pulls {
        None => Some(pull),
        Some(task) => match task.try_send(pull) {
            Ok(()) => None,
            Err(TrySendError::Closed(pull)) => Some(pull),
            Err(TrySendError::Full(pull)) => {
                tracing::debug!(%node, request = pull.request, "too many pulls at once; one is dropped");
                None
            }
        },
    };
    if let Some(pull) = unsent {
        let (sender, waiting) = mpsc::channel(WAITING_MAX);
        if sender.try_send(pull).is_ok() {
            live.pulls = Some(sender);
            tokio::spawn(serve(hub.clone(), node.clone(), live.session.clone(), waiting));
        }
    }
}

/// What one node may pull, while its desired state is the one with this hash.
#[derive(Default)]
struct Allowed {
    hash: Option<Digest>,
    blobs: BTreeMap<Digest, Content>,
}

#[derive(Clone)]
enum Content {
    /// In the content directory, with its size.
    Blob(u64),
    /// The signed bytes of a release.
    Envelope(Bytes),
}

async fn serve(hub: Arc<Hub>, node: Name, session: Session, mut waiting: mpsc::Receiver<Pull>) {
    let mut allowed = Allowed::default();
    while let Ok(Some(pull)) = tokio::time::timeout(IDLE, waiting.recv()).await {
        let Pull { request, offset, .. } = pull;
        let blob = Digest::from_bytes(pull.blob);
        let sent = match answer(&hub, &node, &mut allowed, blob, offset, pull.length).await {
            Ok((total, data)) => {
                let size = data.len() as u64;
                let frame = Frame { request, blob: pull.blob, offset, total, data: data.into() };
                let sent = session.bulk(Down::Frame(frame).encode().into()).await;
                if sent.is_ok() {
                    hub.metrics.frames.inc();
                    hub.metrics.frame_bytes.inc_by(size);
                }
                sent
            }
            Err(fault) => {
                hub.metrics.pulls_refused.inc();
                tracing::debug!(%node, %blob, code = %fault.code, "a pull was refused");
                // In its place in line with the frames, so that a node cannot fill the control queue with refusals.
                session.bulk(Down::NoBlob { request, blob: pull.blob, fault: fault.into() }.encode().into()).await
            }
        };
        if sent.is_err() {
            return;
        }
    }
}

/// The total size of the blob and the bytes that were asked for.
async fn answer(
    hub: &Hub,
    node: &Name,
    allowed: &mut Allowed,
    blob: Digest,
    offset: u64,
    length: u32,
) -> Result<(u64, Bytes), Fault> {
    refresh(hub, node, allowed).await.map_err(|error| error.fault())?;
    let content = allowed.blobs.get(&blob).cloned();
    let content = content.ok_or_else(|| Fault::new(&hub::BLOB_NOT_ASSIGNED).with("blob", blob).with("node", node))?;
    let total = match &content {
        Content::Blob(size) => *size,
        Content::Envelope(bytes) => bytes.len() as u64,
    };
    if length == 0 || offset > total || (offset == total && total != 0) {
        return Err(Fault::new(&hub::BLOB_BEYOND_END).with("blob", blob).with("offset", offset).with("size", total));
    }
    let length = length.min(FRAME_MAX);
    match content {
        Content::Blob(_) => match hub.blobs.read(&blob, offset, length).await {
            Ok(data) => Ok((total, data)),
            Err(error) => Err(error.fault()),
        },
        Content::Envelope(bytes) => {
            let from = usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len());
            let until = from.saturating_add(length as usize).min(bytes.len());
            Ok((total, bytes.slice(from..until)))
        }
    }
}

/// Looks up anew what the node may pull when its desired state has changed.
async fn refresh(hub: &Hub, node: &Name, allowed: &mut Allowed) -> Result<(), StoreError> {
    let wanted = hub.life(node, |life| life.wanted.clone()).flatten();
    let hash = wanted.as_ref().map(|wanted| wanted.hash);
    if hash.is_some() && hash == allowed.hash {
        return Ok(());
    }
    let mut blobs = BTreeMap::new();
    for id in wanted.as_ref().map(|wanted| releases(&wanted.apps)).unwrap_or_default() {
        if let Some(entry) = hub.release(id).await? {
            blobs.extend(entry.record.blobs.iter().map(|blob| (blob.digest, Content::Blob(blob.size))));
        }
        if let Some(bytes) = hub.release_envelope(id).await? {
            blobs.insert(id, Content::Envelope(bytes.into()));
        }
    }
    *allowed = Allowed { hash, blobs };
    Ok(())
}
