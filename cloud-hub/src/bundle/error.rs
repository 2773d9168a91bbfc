//! Why there is no bundle.

use std::sync::Arc;

use shared::fault::{Fault, Faulty, bundle, hub};
use shared::id::{Digest, Name};

use crate::blobs::BlobError;
use crate::catalog::CatalogError;
use crate::delta::DeltaError;
use crate::nodes::NodeError;
use crate::refusal::{Kind, Refusal};
use crate::store::StoreError;

/// Why there is no bundle.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// A node.
    #[error(transparent)]
    Node(#[from] NodeError),
    /// A node may have nothing any more.
    #[error("node {0} is revoked")]
    Revoked(Name),
    /// Nothing was ever wanted of a node.
    #[error("no desired state for node {0}")]
    NothingSigned(Name),
    /// Too many of something are named.
    #[error("more than {max} {what}")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// The bound.
        max: usize,
    },
    /// A release that the site has.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// A patch was made again with other bytes: another version of the hub made the first.
    #[error("the patch of layer {layer} has changed")]
    Changed {
        /// Its diff_id.
        layer: Digest,
    },
    /// A patch.
    #[error(transparent)]
    Delta(#[from] Arc<DeltaError>),
    /// A document.
    #[error(transparent)]
    Blob(#[from] BlobError),
    /// The index is too large.
    #[error(transparent)]
    Index(#[from] shared::bundle::BundleError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Faulty for BundleError {
    fn fault(&self) -> Fault {
        match self {
            Self::Node(error) => error.fault(),
            Self::Revoked(node) => Fault::new(&hub::NODE_IS_REVOKED).with("node", node),
            Self::NothingSigned(node) => Fault::new(&bundle::NOTHING_SIGNED).with("node", node),
            Self::TooMany { what, max } => Fault::new(&hub::TOO_MANY).with("what", what).with("max", max),
            Self::Catalog(error) => error.fault(),
            Self::Changed { layer } => Fault::new(&hub::LAYER_DAMAGED).with("layer", layer).with("cause", self),
            Self::Delta(error) => error.fault(),
            Self::Blob(error) => error.fault(),
            Self::Index(error) => error.fault(),
            Self::Store(error) => error.fault(),
        }
    }
}

impl Refusal for BundleError {
    fn kind(&self) -> Kind {
        match self {
            Self::Node(error) => error.kind(),
            Self::Revoked(_) | Self::NothingSigned(_) => Kind::Conflict,
            Self::TooMany { .. } | Self::Index(_) => Kind::Unfit,
            Self::Catalog(error) => error.kind(),
            Self::Changed { .. } => Kind::Internal,
            Self::Delta(error) => error.kind(),
            Self::Blob(error) => error.kind(),
            Self::Store(error) => error.kind(),
        }
    }
}
