//! How a node gets a layer: it says which layer and what it has, and hears by which patch.
//!
//! A session that asks has one task for it beside the one for pulls, so that frames go on while a patch is made. Requests
//! are answered in their order. The task goes when nothing was asked for a while.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use shared::fault::{Fault, Faulty, hub};
use shared::id::{Digest, Name};
use shared::wire::HAVE_MAX;
use shared::wire::v1::{Down, Patch, PatchWanted};
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;

use super::pull::Allowed;
use crate::access::lock;
use crate::delta::Made;
use crate::gate::{SendError, Session, SessionId};
use crate::hub::Hub;

/// Requests of one session that wait. A node asks for one layer after the other; more are dropped, and asked again.
const WAITING_MAX: usize = 64;
/// A task without work ends after this time.
const IDLE: Duration = Duration::from_secs(60);

/// Hands a request to the session's task; starts one when there is none.
pub(super) fn queue(hub: &Arc<Hub>, node: &Name, session: SessionId, wanted: PatchWanted) {
    if wanted.have.len() > HAVE_MAX {
        return hub.unreadable(node, "a request for a patch that names too many layers");
    }
    let mut table = lock(&hub.link.live);
    let Some(live) = table.get_mut(node).filter(|live| live.session.id() == session) else { return };
    let unsent = match &live.patches {
        None => Some(wanted),
        Some(task) => match task.try_send(wanted) {
            Ok(()) => None,
            Err(TrySendError::Closed(wanted)) => Some(wanted),
            Err(TrySendError::Full(wanted)) => {
                tracing::debug!(%node, request = wanted.request, "too many patches at once; a request is dropped");
                None
            }
        },
    };
    if let Some(wanted) = unsent {
        let (sender, waiting) = mpsc::channel(WAITING_MAX);
        if sender.try_send(wanted).is_ok() {
            live.patches = Some(sender);
            tokio::spawn(serve(hub.clone(), node.clone(), live.session.clone(), waiting));
        }
    }
}

async fn serve(hub: Arc<Hub>, node: Name, session: Session, mut waiting: mpsc::Receiver<PatchWanted>) {
    let mut allowed = Allowed::default();
    while let Ok(Some(wanted)) = tokio::time::timeout(IDLE, waiting.recv()).await {
        let (request, layer) = (wanted.request, wanted.layer);
        // Nobody waits for the answer of a session that is over; what is being made is kept for the next one.
        let made = tokio::select! {
            made = answer(&hub, &node, &mut allowed, wanted) => made,
            () = session.left() => return,
        };
        let sent = match made {
            Ok(Made { blob, .. }) => {
                let patch = Patch { request, layer, blob: *blob.digest.as_bytes(), size: blob.size };
                say(&session, &Down::Patch(patch)).await
            }
            Err(fault) => {
                hub.metrics.pulls_refused.inc();
                tracing::debug!(%node, layer = %Digest::from_bytes(layer), code = %fault.code, "a patch was refused");
                // In its place in line with the frames, so that a node cannot fill the control queue with refusals.
                session.bulk(Down::NoBlob { request, blob: layer, fault: fault.into() }.encode().into()).await
            }
        };
        if sent.is_err() {
            return;
        }
    }
}

/// Before frames that wait, if there is room.
async fn say(session: &Session, message: &Down) -> Result<(), SendError> {
    let message = bytes::Bytes::from(message.encode());
    match session.try_control(message.clone()) {
        Err(SendError::Full) => session.bulk(message).await,
        sent => sent,
    }
}

async fn answer(hub: &Hub, node: &Name, allowed: &mut Allowed, wanted: PatchWanted) -> Result<Made, Fault> {
    let diff_id = Digest::from_bytes(wanted.layer);
    let found = allowed.layer(hub, node, diff_id).await.map_err(|error| error.fault())?;
    let to = found.ok_or_else(|| Fault::new(&hub::BLOB_NOT_ASSIGNED).with("blob", diff_id).with("node", node))?;
    let have: Vec<Digest> = wanted.have.into_iter().map(Digest::from_bytes).collect();
    let named: BTreeSet<Digest> = have.iter().copied().collect();
    let known = allowed.known(hub, node, &named).await.map_err(|error| error.fault())?;
    hub.delta.patch(&Some(node.clone()), to, &have, &known).await.map_err(|error| error.fault())
}
