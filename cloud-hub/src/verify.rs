//! Whether the bytes of an image are what a release says: manifest, config, every layer, every diff_id.
//!
//! Reading and inflating all layers takes a while, so the result is remembered: the digest of the image as the release
//! names it, under the digest of its manifest. What a pull verified just now is remembered too.

use std::collections::BTreeMap;

use shared::fault::{Fault, Faulty, hub};
use shared::id::Digest;
use shared::release::{Image, Release};
use shared::wire::v1;
use tokio::task::{JoinError, spawn_blocking};

use crate::hub::Hub;
use crate::images::{ImageError, Known, Limits, examine, quiet};
use crate::refusal::{Kind, Refusal};
use crate::store::{Change, Expect, StoreError};

/// Prefix of what is remembered.
const IMAGES: &str = "images/";

/// Why an image is not what the release says.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// The image itself is not in order.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// The image is in order, and another one than the release describes.
    #[error("the image {image} is not as the release describes it")]
    Differs {
        /// Its manifest.
        image: Digest,
    },
    /// The work broke.
    #[error(transparent)]
    Broken(#[from] JoinError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Faulty for VerifyError {
    fn fault(&self) -> Fault {
        match self {
            Self::Image(error) => error.fault(),
            Self::Differs { image } => Fault::new(&hub::IMAGE_DIFFERS).with("image", image),
            Self::Broken(error) => Fault::new(&hub::RUNTIME_FAILED).with("doing", "verify").with("cause", error),
            Self::Store(error) => error.fault(),
        }
    }
}

impl Refusal for VerifyError {
    fn kind(&self) -> Kind {
        match self {
            Self::Image(_) | Self::Differs { .. } => Kind::Unfit,
            Self::Broken(_) => Kind::Internal,
            Self::Store(error) => error.kind(),
        }
    }
}

/// What is remembered of an image: equal for equal images.
fn mark(image: &Image) -> Digest {
    // Serialising plain data has no way to fail.
    Digest::of(&postcard::to_stdvec(&v1::Image::from(image)).unwrap_or_default())
}

impl Hub {
    /// Checks every image of `release` against the bytes in the content directory.
    pub(crate) async fn verify_images(&self, release: &Release) -> Result<(), VerifyError> {
        let images: BTreeMap<Digest, Image> =
            release.images.values().flatten().map(|image| (image.id(), image.clone())).collect();
        let mut known = Known::new();
        for (id, image) in images {
            if self.store.get(&key(id)).await?.is_some_and(|record| record.value == mark(&image).as_bytes()) {
                continue;
            }
            let blobs = self.blobs.clone();
            let examined = spawn_blocking(move || {
                let found = examine(&blobs, id, &mut known, &Limits::default(), &quiet);
                (found, known)
            });
            let found;
            (found, known) = examined.await?;
            if found? != image {
                return Err(VerifyError::Differs { image: id });
            }
            self.store.commit(vec![Change::put(key(id), mark(&image).as_bytes().to_vec())], Vec::new()).await?;
        }
        Ok(())
    }

    /// Forgets which of these manifests are those of verified images.
    pub(crate) async fn forget_verified(&self, manifests: &[Digest]) -> Result<(), StoreError> {
        let mut changes = Vec::new();
        for manifest in manifests {
            if self.store.get(&key(*manifest)).await?.is_some() {
                changes.push(Change::delete(key(*manifest), Expect::Anything));
            }
        }
        if !changes.is_empty() {
            self.store.commit(changes, Vec::new()).await?;
        }
        Ok(())
    }

    /// Remembers images that were verified while they were pulled.
    pub(crate) async fn remember_verified(&self, images: &[Image]) {
        let changes = images.iter().map(|image| Change::put(key(image.id()), mark(image).as_bytes().to_vec())).collect();
        if let Err(error) = self.store.commit(changes, Vec::new()).await {
            tracing::warn!(%error, "verified images were not remembered; they will be verified again");
        }
    }
}

fn key(image: Digest) -> String {
    format!("{IMAGES}{}", image.hex())
}
