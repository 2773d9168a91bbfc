//! Why an image was not taken.

use std::fmt::Display;
use std::io;

use shared::fault::{Fault, Faulty, image};
use shared::id::Digest;

use crate::blobs::BlobError;
use crate::registry::RegistryError;

/// Why an image was not taken. Nothing of it is published; blobs that were verified may stay.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// The registry did not give it.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// The hub's blobs did not take it.
    #[error(transparent)]
    Blob(#[from] BlobError),
    /// A manifest, index or config that cannot be read.
    #[error("{what}: {why}")]
    Document {
        /// Which document.
        what: String,
        /// The cause.
        why: String,
    },
    /// Docker's first manifest format, without diff_ids.
    #[error("{what} has schema 1")]
    Schema1 {
        /// Which document.
        what: String,
    },
    /// An artifact that is no container image.
    #[error("{media_type} is no container image")]
    NotAnImage {
        /// What it is.
        media_type: String,
    },
    /// A bound of count or depth.
    #[error("{what} has more than {max} {of}")]
    TooMany {
        /// Where.
        what: String,
        /// Of what.
        of: &'static str,
        /// The bound.
        max: u64,
    },
    /// A bound of bytes.
    #[error("{what} has more than {max} bytes")]
    TooLarge {
        /// What.
        what: String,
        /// The bound in bytes.
        max: u64,
    },
    /// A layer that may not be passed on, so that it lies elsewhere.
    #[error("layer {digest} is foreign ({media_type})")]
    ForeignLayer {
        /// Which.
        digest: Digest,
        /// Its type.
        media_type: String,
    },
    /// A layer in a form nobody here unpacks.
    #[error("layer {digest} has the type {media_type}")]
    LayerType {
        /// Which.
        digest: Digest,
        /// Its type.
        media_type: String,
    },
    /// The source has other platforms.
    #[error("no image for {wanted}; there are: {available}")]
    NoPlatform {
        /// What was asked for.
        wanted: String,
        /// What there is.
        available: String,
    },
    /// Several images fit.
    #[error("several images fit: {names}")]
    Ambiguous {
        /// Their names or digests.
        names: String,
    },
    /// No image of that name.
    #[error("no image is named {name}; there are: {names}")]
    NoName {
        /// What was asked for.
        name: String,
        /// What there is.
        names: String,
    },
    /// A blob that a document names is not there.
    #[error("blob {digest} is missing")]
    Missing {
        /// Which.
        digest: Digest,
    },
    /// The bytes are other ones.
    #[error("blob {expected} has the digest {found}")]
    WrongDigest {
        /// What was promised.
        expected: Digest,
        /// What is there.
        found: Digest,
    },
    /// Another number of bytes.
    #[error("blob {digest} shall have {expected} bytes and has {found}")]
    WrongSize {
        /// Which.
        digest: Digest,
        /// What was promised.
        expected: u64,
        /// What is there.
        found: u64,
    },
    /// The layer unpacks to something else than the config says.
    #[error("layer {layer} unpacks to {found}, its config says {expected}")]
    WrongDiffId {
        /// The layer's blob.
        layer: Digest,
        /// The config's diff_id.
        expected: Digest,
        /// The digest of the tar.
        found: Digest,
    },
    /// Manifest and config do not belong together.
    #[error("the manifest has {layers} layers, the config {diff_ids}")]
    LayerCount {
        /// Layers of the manifest.
        layers: usize,
        /// diff_ids of the config.
        diff_ids: usize,
    },
    /// A layer that does not inflate, or whose tar is malformed.
    #[error("layer {layer}: {why}")]
    BadLayer {
        /// The layer's blob.
        layer: Digest,
        /// The cause.
        why: String,
    },
    /// A decompression bomb.
    #[error("layer {layer} grows beyond {max} bytes")]
    Bomb {
        /// The layer's blob.
        layer: Digest,
        /// Where inflating stopped.
        max: u64,
    },
    /// Not an archive of an image.
    #[error("not an image archive: {why}")]
    NotAnArchive {
        /// The cause.
        why: String,
    },
    /// An archive that ends early, or whose headers are damaged.
    #[error("damaged archive at byte {at}: {why}")]
    BadArchive {
        /// Where.
        at: u64,
        /// The cause.
        why: String,
    },
    /// The same name twice: nobody can say which one is meant.
    #[error("{name} stands twice in the archive")]
    Duplicate {
        /// The entry.
        name: String,
    },
    /// A link where content is needed.
    #[error("{name} is a link to {target}")]
    Link {
        /// The entry.
        name: String,
        /// Where it points.
        target: String,
    },
    /// The system failed.
    #[error("{doing}")]
    Io {
        /// What was being done.
        doing: &'static str,
        /// The cause.
        source: io::Error,
    },
}

impl ImageError {
    /// A system error while `doing`.
    pub(crate) const fn io(doing: &'static str, source: io::Error) -> Self {
        Self::Io { doing, source }
    }

    /// `what` is not readable as a document.
    pub(crate) fn document(what: impl Display, why: impl Display) -> Self {
        Self::Document { what: what.to_string(), why: why.to_string() }
    }

    /// Nothing there for `wanted`.
    pub(crate) fn no_platform(wanted: &impl Display, available: &[impl Display]) -> Self {
        Self::NoPlatform { wanted: wanted.to_string(), available: join(available) }
    }

    /// Whether trying the same again later can help.
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Registry(error) if error.is_retryable())
    }
}

/// Names for people: at most ten, joined by commas.
pub(crate) fn join(names: &[impl Display]) -> String {
    let text: Vec<String> = names.iter().take(10).map(ToString::to_string).collect();
    match names.len() {
        0 => "–".into(),
        n if n > 10 => format!("{} …", text.join(", ")),
        _ => text.join(", "),
    }
}

impl Faulty for ImageError {
    fn fault(&self) -> Fault {
        match self {
            Self::Registry(error) => error.fault(),
            Self::Blob(error) => error.fault(),
            Self::Document { what, why } => Fault::new(&image::DOCUMENT).with("what", what).with("why", why),
            Self::Schema1 { what } => Fault::new(&image::SCHEMA_1).with("what", what),
            Self::NotAnImage { media_type } => Fault::new(&image::NOT_AN_IMAGE).with("type", media_type),
            Self::TooMany { what, of, max } => Fault::new(&image::TOO_MANY).with("what", what).with("of", of).with("max", max),
            Self::TooLarge { what, max } => Fault::new(&image::TOO_LARGE).with("what", what).with("max", max),
            Self::ForeignLayer { digest, media_type } => {
                Fault::new(&image::FOREIGN_LAYER).with("digest", digest).with("type", media_type)
            }
            Self::LayerType { digest, media_type } => {
                Fault::new(&image::LAYER_TYPE).with("digest", digest).with("type", media_type)
            }
            Self::NoPlatform { wanted, available } => {
                Fault::new(&image::NO_PLATFORM).with("wanted", wanted).with("available", available)
            }
            Self::Ambiguous { names } => Fault::new(&image::AMBIGUOUS).with("names", names),
            Self::NoName { name, names } => Fault::new(&image::NO_NAME).with("name", name).with("names", names),
            Self::Missing { digest } => Fault::new(&image::MISSING).with("digest", digest),
            Self::WrongDigest { expected, found } => {
                Fault::new(&image::WRONG_DIGEST).with("expected", expected).with("found", found)
            }
            Self::WrongSize { digest, expected, found } => {
                Fault::new(&image::WRONG_SIZE).with("digest", digest).with("expected", expected).with("found", found)
            }
            Self::WrongDiffId { layer, expected, found } => {
                Fault::new(&image::WRONG_DIFF_ID).with("layer", layer).with("expected", expected).with("found", found)
            }
            Self::LayerCount { layers, diff_ids } => {
                Fault::new(&image::LAYER_COUNT).with("layers", layers).with("diff_ids", diff_ids)
            }
            Self::BadLayer { layer, why } => Fault::new(&image::BAD_LAYER).with("layer", layer).with("why", why),
            Self::Bomb { layer, max } => Fault::new(&image::BOMB).with("layer", layer).with("max", max),
            Self::NotAnArchive { why } => Fault::new(&image::NOT_AN_ARCHIVE).with("why", why),
            Self::BadArchive { at, why } => Fault::new(&image::BAD_ARCHIVE).with("at", at).with("why", why),
            Self::Duplicate { name } => Fault::new(&image::DUPLICATE).with("name", name),
            Self::Link { name, target } => Fault::new(&image::LINK).with("name", name).with("target", target),
            Self::Io { doing, source } => Fault::new(&image::IO).with("doing", doing).with("cause", source),
        }
    }
}
