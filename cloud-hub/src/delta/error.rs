//! Why a layer's patch was not made.

use std::sync::Arc;

use shared::fault::{Fault, Faulty, hub};
use shared::id::Digest;
use shared::people::bytes;
use shared::recipe::pack::PackError;

use crate::blobs::BlobError;
use crate::images::ImageError;
use crate::refusal::{Kind, Refusal};
use crate::store::StoreError;

/// Why a layer's patch was not made.
#[derive(Debug, thiserror::Error)]
pub enum DeltaError {
    /// The layer's blob is not what its release says.
    #[error("layer {layer}: {cause}")]
    Layer {
        /// Its diff_id.
        layer: Digest,
        /// Why.
        #[source]
        cause: Box<ImageError>,
    },
    /// The layer's pack cannot be used, and was made again in vain.
    #[error("pack of layer {layer}: {cause}")]
    Pack {
        /// Its diff_id.
        layer: Digest,
        /// Why.
        #[source]
        cause: PackError,
    },
    /// A file was not read or written.
    #[error(transparent)]
    Disk(#[from] BlobError),
    /// What nodes pull now fills the cache.
    #[error("{size} bytes do not fit beside the patches that are in use; {max} may be kept")]
    CacheFull {
        /// Bytes of the new patch.
        size: u64,
        /// The bound.
        max: u64,
    },
    /// The hub stops.
    #[error("the hub stops")]
    Stopped,
    /// The work broke: a mistake of the program.
    #[error("the work broke")]
    Broken,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl DeltaError {
    /// Whether the same bytes fail again, however often they are tried.
    pub(super) fn is_final(&self) -> bool {
        match self {
            // A blob that is missing may come; one that could not be read may be read another time.
            Self::Layer { cause, .. } => {
                !matches!(**cause, ImageError::Missing { .. } | ImageError::Io { .. } | ImageError::Blob(_))
            }
            Self::Pack { cause, .. } => matches!(cause, PackError::TooLarge),
            Self::Disk(_) | Self::CacheFull { .. } | Self::Stopped | Self::Broken | Self::Store(_) => false,
        }
    }

    /// An error of the disk.
    pub(super) fn io(doing: &'static str, error: std::io::Error) -> Self {
        Self::Disk(BlobError::io(doing, error))
    }
}

impl Faulty for DeltaError {
    fn fault(&self) -> Fault {
        match self {
            Self::Layer { layer, cause } if matches!(**cause, ImageError::Missing { .. }) => {
                Fault::new(&hub::LAYER_GONE).with("layer", layer)
            }
            Self::Layer { layer, cause } => Fault::new(&hub::LAYER_DAMAGED).with("layer", layer).with("cause", cause),
            Self::Disk(error) => error.fault(),
            Self::Pack { layer, cause: PackError::TooLarge } => Fault::new(&hub::LAYER_TOO_LARGE).with("layer", layer),
            Self::Pack { layer, cause } => Fault::new(&hub::LAYER_DAMAGED).with("layer", layer).with("cause", cause),
            Self::CacheFull { size, max } => {
                Fault::new(&hub::PATCH_CACHE_FULL).with("size", bytes(*size)).with("max", bytes(*max))
            }
            Self::Stopped => Fault::new(&hub::STORE_CLOSED),
            Self::Broken => Fault::new(&hub::RUNTIME_FAILED).with("doing", "patch").with("cause", self),
            Self::Store(error) => error.fault(),
        }
    }
}

impl Refusal for DeltaError {
    fn kind(&self) -> Kind {
        match self {
            Self::Disk(error) => error.kind(),
            Self::Layer { .. } | Self::Pack { cause: PackError::TooLarge, .. } => Kind::Unfit,
            Self::CacheFull { .. } | Self::Stopped => Kind::Unavailable,
            Self::Pack { .. } | Self::Broken => Kind::Internal,
            Self::Store(error) => error.kind(),
        }
    }
}

/// What came of work that several wait for.
pub type Shared<T> = Result<T, Arc<DeltaError>>;
