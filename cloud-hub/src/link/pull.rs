//! Blobs on their way to one node, as fast as it takes them.
//!
//! A session that pulls has one task, which goes when nothing is pulled for a while: an idle node costs nothing. The task
//! waits in [`Session::bulk`], so control messages and other nodes never wait for it. A node may pull what its assigned
//! releases are made of and nothing else: the release itself (its signed envelope, under the release's id) and the blobs
//! of its images. Of the same apps the releases before them count too: those in the history of the same deployments, and
//! those that the node said it runs or would go back to, whichever deployment brought them. A node that has undone the
//! assigned one runs one of those, and needs it again when its disk was damaged. A patch may be pulled by whoever may have
//! the layer that it makes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use shared::assign::{Assigned, releases};
use shared::fault::{Fault, Faulty, hub};
use shared::id::{Digest, Name};
use shared::release::Layer;
use shared::wire::FRAME_MAX;
use shared::wire::v1::{Down, Frame, Pull};
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;

use crate::access::lock;
use crate::delta::Known;
use crate::fleet::Life;
use crate::gate::{Session, SessionId};
use crate::hub::Hub;
use crate::records::{DEPLOYMENTS, Deployment, key};
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

/// What one node may pull, while its desired state is the one with this hash. Small: every session that pulls has one.
#[derive(Default)]
pub(super) struct Allowed {
    hash: Option<Digest>,
    /// Earlier releases are among it, and what the node said it has when they were looked up. Few nodes ever need them, so that
    /// is done when something is not found.
    earlier: Option<BTreeSet<(Name, Digest)>>,
    content: BTreeMap<Digest, Content>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Content {
    /// In the content directory, with its size.
    Blob(u64),
    /// The signed bytes of a release; read when they are pulled.
    Envelope,
    /// A patch, with its size.
    Patch(u64),
}

async fn serve(hub: Arc<Hub>, node: Name, session: Session, mut waiting: mpsc::Receiver<Pull>) {
    let mut allowed = Allowed::default();
    let mut reading = Reading::default();
    while let Ok(Some(pull)) = tokio::time::timeout(IDLE, waiting.recv()).await {
        let Pull { request, offset, .. } = pull;
        let blob = Digest::from_bytes(pull.blob);
        let sent = match answer(&hub, &node, &mut allowed, blob, offset, pull.length).await {
            Ok((total, data)) => {
                let size = data.len() as u64;
                reading.went_on(&hub, &node, session.id(), blob, offset.saturating_add(size) < total);
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

/// The patch that the session is in the middle of: it stays in the cache for a slow link, and for one that is held a while.
#[derive(Default)]
struct Reading(Option<Digest>);

impl Reading {
    /// A piece of `blob` was read, and there is more of it or not.
    fn went_on(&mut self, hub: &Hub, node: &Name, session: SessionId, blob: Digest, has_more: bool) {
        let is_known = self.0 == Some(blob);
        if has_more && !is_known {
            if let Some(pin) = hub.delta.pin(&blob) {
                self.0 = Some(blob);
                hub.link.reads(node, session, Some(pin));
            }
        } else if !has_more && (is_known || self.0.is_none()) {
            // A task before this one may have begun it.
            self.0 = None;
            hub.link.reads(node, session, None);
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
    let content = find(hub, node, allowed, blob).await.map_err(|error| error.fault())?;
    let not_assigned = || Fault::new(&hub::BLOB_NOT_ASSIGNED).with("blob", blob).with("node", node);
    let content = content.ok_or_else(not_assigned)?;
    let (total, envelope) = match content {
        Content::Blob(size) | Content::Patch(size) => (size, None),
        Content::Envelope => {
            let bytes = hub.release_envelope(blob).await.map_err(|error| error.fault())?.ok_or_else(not_assigned)?;
            (bytes.len() as u64, Some(Bytes::from(bytes)))
        }
    };
    if length == 0 || offset > total || (offset == total && total != 0) {
        return Err(Fault::new(&hub::BLOB_BEYOND_END).with("blob", blob).with("offset", offset).with("size", total));
    }
    let length = length.min(FRAME_MAX);
    match envelope {
        None => {
            let read = match content {
                Content::Patch(_) => hub.delta.read(&blob, offset, length).await,
                Content::Blob(_) | Content::Envelope => hub.blobs.read(&blob, offset, length).await,
            };
            read.map(|data| (total, data)).map_err(|error| error.fault())
        }
        Some(bytes) => {
            let from = usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len());
            let until = from.saturating_add(length as usize).min(bytes.len());
            Ok((total, bytes.slice(from..until)))
        }
    }
}

/// What `blob` is to the node; `None` when it may not pull it.
async fn find(hub: &Hub, node: &Name, allowed: &mut Allowed, blob: Digest) -> Result<Option<Content>, StoreError> {
    if !allowed.refresh(hub, node).await? {
        return Ok(None);
    }
    if let Some((layer, size)) = hub.delta.patch_of(&blob)
        && !allowed.content.contains_key(&blob)
    {
        return Ok(allowed.layer(hub, node, layer).await?.map(|_| Content::Patch(size)));
    }
    if !allowed.content.contains_key(&blob) {
        allowed.add_earlier(hub, node).await?;
    }
    Ok(allowed.content.get(&blob).copied())
}

impl Allowed {
    /// Looks up anew what the node may pull when its desired state has changed; `false` when it has none.
    async fn refresh(&mut self, hub: &Hub, node: &Name) -> Result<bool, StoreError> {
        let Some(wanted) = hub.life(node, |life| life.wanted.clone()).flatten() else { return Ok(false) };
        if self.hash != Some(wanted.hash) {
            let content = content_of(hub, &releases(&wanted.apps) | &releases(&wanted.next)).await?;
            *self = Self { hash: Some(wanted.hash), earlier: None, content };
        }
        Ok(true)
    }

    async fn add_earlier(&mut self, hub: &Hub, node: &Name) -> Result<(), StoreError> {
        let Some((wanted, said)) = hub.life(node, |life| Some((life.wanted.clone()?, said(life)))).flatten() else {
            return Ok(());
        };
        if self.earlier.as_ref() != Some(&said) {
            let mut earlier = earlier_releases(hub, &wanted.apps).await?;
            for (app, release) in &said {
                let is_of_app = hub.release(*release).await?.is_some_and(|entry| entry.record.app == *app);
                earlier.extend((is_of_app && wanted.apps.contains_key(app)).then_some(*release));
            }
            self.content.extend(content_of(hub, earlier).await?);
            self.earlier = Some(said);
        }
        Ok(())
    }

    /// The layer of this diff_id, if the node may have it.
    pub(super) async fn layer(&mut self, hub: &Hub, node: &Name, diff_id: Digest) -> Result<Option<Layer>, StoreError> {
        if !self.refresh(hub, node).await? {
            return Ok(None);
        }
        let wanted = BTreeSet::from([diff_id]);
        if let Some(layer) = self.layers(hub, &wanted).await?.remove(&diff_id) {
            return Ok(Some(layer));
        }
        self.add_earlier(hub, node).await?;
        Ok(self.layers(hub, &wanted).await?.remove(&diff_id))
    }

    /// Those of these layers that the node may have. Its earlier releases are looked up only for what the assigned ones do not
    /// have.
    pub(super) async fn known(&mut self, hub: &Hub, node: &Name, diff_ids: &BTreeSet<Digest>) -> Result<Known, StoreError> {
        let found = self.layers(hub, diff_ids).await?;
        if found.len() == diff_ids.len() {
            return Ok(found);
        }
        self.add_earlier(hub, node).await?;
        self.layers(hub, diff_ids).await
    }

    async fn layers(&self, hub: &Hub, diff_ids: &BTreeSet<Digest>) -> Result<Known, StoreError> {
        let mut found = Known::new();
        for (release, _) in self.content.iter().filter(|(_, content)| **content == Content::Envelope) {
            let layers = hub.layers_of(*release).await?;
            found.extend(
                layers.iter().filter(|layer| diff_ids.contains(&layer.tar.digest)).map(|layer| (layer.tar.digest, *layer)),
            );
        }
        Ok(found)
    }
}

/// Everything that `releases` are made of.
async fn content_of(hub: &Hub, releases: BTreeSet<Digest>) -> Result<BTreeMap<Digest, Content>, StoreError> {
    let mut content = BTreeMap::new();
    for id in releases {
        if let Some(entry) = hub.release(id).await? {
            content.extend(entry.record.blobs.iter().map(|blob| (blob.digest, Content::Blob(blob.size))));
            content.insert(id, Content::Envelope);
        }
    }
    Ok(content)
}

/// What a node says it runs, and would go back to. One that lies gets other releases of the apps that it has.
fn said(life: &Life) -> BTreeSet<(Name, Digest)> {
    let apps = life.report.iter().flat_map(|report| &report.apps);
    apps.flat_map(|of| {
        let releases = [Some(of.release), of.good.as_ref().map(|good| good.release)];
        releases.into_iter().flatten().map(|release| (of.app.clone(), release))
    })
    .collect()
}

/// What the deployments on a node brought before.
async fn earlier_releases(hub: &Hub, apps: &BTreeMap<Name, Assigned>) -> Result<BTreeSet<Digest>, StoreError> {
    let mut earlier = BTreeSet::new();
    for assigned in apps.values() {
        if let Some((deployment, _)) = hub.record::<Deployment>(&key(DEPLOYMENTS, &assigned.deployment)).await? {
            earlier.extend(deployment.history.iter().map(|past| past.release));
        }
    }
    Ok(earlier)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_holds_digests_and_sizes_and_no_bytes() {
        // In a rollout every node has a session that pulls: 5,000 of them with the envelopes of ten apps were 5 GB.
        assert!(size_of::<(Digest, Content)>() <= 48 && !std::mem::needs_drop::<Content>());
    }
}
