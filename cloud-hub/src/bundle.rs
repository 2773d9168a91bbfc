//! Bundles: what nodes shall run, and all it is made of, in one file for a person to carry ([`shared::bundle`]).
//!
//! ```text
//! nodes ─▶ their signed desired states ─▶ releases ─▶ images of the nodes' platforms ─▶ documents, and a patch per layer
//! releases that the site has ─▶ layers that are left out, and what patches are made of
//! ```
//!
//! A bundle is for named nodes, because only a desired state says what a node shall have: bytes that no state asks for
//! would lie on its disk without anybody to say for how long. First everything is planned, and patches are made that are
//! not there yet; then the size of the file is known, and it is sent from front to back. A patch that goes from the cache
//! meanwhile is made again with the same bytes.

mod error;
mod plan;

use std::sync::Arc;

use bytes::Bytes;
use shared::bundle::Trailer;
use shared::release::{Blob, Layer};
use tokio::sync::mpsc;

pub use error::BundleError;
pub(crate) use plan::{Plan, Wanted};

use crate::blobs::BlobError;
use crate::delta::Known;
use crate::hub::Hub;
use plan::Part;

/// Bytes of one step.
const STEP: u32 = 256 << 10;

/// Where the bytes go; whoever reads them may have gone.
pub(crate) type Pieces = mpsc::Sender<Result<Bytes, BundleError>>;

impl Plan {
    /// Sends the whole file. Ends early when nobody takes it any more.
    pub(crate) async fn send(self, hub: Arc<Hub>, to: Pieces) {
        let mut sending = Sending { hub, to, trailer: Trailer::default() };
        if let Err(Some(error)) = sending.all(self).await {
            tracing::warn!(%error, "a bundle was not sent to its end");
            let _reader_may_be_gone = sending.to.send(Err(error)).await;
        }
    }
}

/// A bundle on its way.
struct Sending {
    hub: Arc<Hub>,
    to: Pieces,
    trailer: Trailer,
}

/// Why it ended early; nothing: nobody takes it any more.
type Ended = Option<BundleError>;

impl Sending {
    async fn all(&mut self, plan: Plan) -> Result<(), Ended> {
        let Plan { front, parts, known, .. } = plan;
        self.piece(front.into()).await?;
        for part in parts {
            match part {
                Part::Bytes(bytes) => self.piece(bytes).await?,
                Part::Document(blob) => self.document(blob).await?,
                Part::Patch(layer, patch) => self.patch(layer, patch, &known).await?,
            }
        }
        let trailer = std::mem::take(&mut self.trailer).finish();
        self.piece(Bytes::copy_from_slice(&trailer)).await
    }

    async fn document(&mut self, blob: Blob) -> Result<(), Ended> {
        let mut at = 0;
        while at < blob.size {
            let bytes = self.hub.blobs.read(&blob.digest, at, step(blob.size - at)).await.map_err(failed)?;
            at += advanced(&bytes, blob)?;
            self.piece(bytes).await?;
        }
        Ok(())
    }

    async fn patch(&mut self, layer: Layer, patch: Blob, known: &Known) -> Result<(), Ended> {
        let mut at = 0;
        while at < patch.size {
            let bytes = match self.hub.delta.read(&patch.digest, at, step(patch.size - at)).await {
                Err(BlobError::Missing { .. }) => {
                    let have: Vec<_> = known.keys().copied().collect();
                    let made = self.hub.delta.patch(&None, layer, &have, known).await.map_err(failed)?;
                    if made.blob != patch {
                        return Err(Some(BundleError::Changed { layer: layer.tar.digest }));
                    }
                    self.hub.delta.read(&patch.digest, at, step(patch.size - at)).await
                }
                read => read,
            };
            let bytes = bytes.map_err(failed)?;
            at += advanced(&bytes, patch)?;
            self.piece(bytes).await?;
        }
        Ok(())
    }

    async fn piece(&mut self, bytes: Bytes) -> Result<(), Ended> {
        self.trailer.push(&bytes);
        self.to.send(Ok(bytes)).await.map_err(|_| None)
    }
}

fn failed(error: impl Into<BundleError>) -> Ended {
    Some(error.into())
}

fn step(left: u64) -> u32 {
    u32::try_from(left).unwrap_or(STEP).min(STEP)
}

/// Bytes that came; content never changes its size, and an empty read must not be asked for without end.
fn advanced(bytes: &Bytes, blob: Blob) -> Result<u64, Ended> {
    if bytes.is_empty() {
        return Err(failed(BlobError::Missing { digest: blob.digest }));
    }
    Ok(bytes.len() as u64)
}
