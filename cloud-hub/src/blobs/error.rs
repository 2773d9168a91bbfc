//! Why a blob was not read or written.

use std::io;

use shared::fault::{Fault, Faulty, hub};
use shared::id::Digest;

use super::{PARTS_MAX, RESERVE};

/// Why a blob was not read or written.
#[derive(Debug, thiserror::Error)]
pub enum BlobError {
    /// There is no such blob.
    #[error("blob {digest} is not here")]
    Missing {
        /// Which.
        digest: Digest,
    },
    /// Beyond the largest allowed size.
    #[error("blob {digest} has {size} bytes, allowed are {max}")]
    TooLarge {
        /// Which.
        digest: Digest,
        /// Its size in bytes.
        size: u64,
        /// The bound in bytes.
        max: u64,
    },
    /// The bytes are not those of the digest; they were thrown away.
    #[error("the bytes for {expected} have the digest {found}")]
    WrongDigest {
        /// What was promised.
        expected: Digest,
        /// What came.
        found: Digest,
    },
    /// More or fewer bytes than promised.
    #[error("blob {digest} shall have {expected} bytes and has {found}")]
    WrongSize {
        /// Which.
        digest: Digest,
        /// What was promised.
        expected: u64,
        /// What came.
        found: u64,
    },
    /// A read behind the end, or an upload that begins elsewhere than the part ends.
    #[error("blob {digest} goes on at byte {have}")]
    Offset {
        /// Which.
        digest: Digest,
        /// Where to go on.
        have: u64,
    },
    /// Somebody else writes the same blob right now.
    #[error("blob {digest} is being written by somebody else")]
    Busy {
        /// Which.
        digest: Digest,
    },
    /// Too many unfinished blobs.
    #[error("{PARTS_MAX} blobs are unfinished already")]
    TooManyParts,
    /// The disk is too full for it.
    #[error("{need} bytes are needed, {free} are free")]
    NoSpace {
        /// Bytes needed, with the reserve.
        need: u64,
        /// Bytes free.
        free: u64,
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

impl BlobError {
    /// Sorts a system error: a full disk has its own name.
    pub(crate) fn io(doing: &'static str, source: io::Error) -> Self {
        if matches!(source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) {
            return Self::NoSpace { need: RESERVE, free: 0 };
        }
        Self::Io { doing, source }
    }
}

impl Faulty for BlobError {
    fn fault(&self) -> Fault {
        match self {
            Self::Missing { digest } => Fault::new(&hub::BLOB_MISSING).with("digest", digest),
            Self::TooLarge { digest, size, max } => {
                Fault::new(&hub::BLOB_TOO_LARGE).with("digest", digest).with("size", size).with("max", max)
            }
            Self::WrongDigest { expected, found } => {
                Fault::new(&hub::BLOB_WRONG_DIGEST).with("expected", expected).with("found", found)
            }
            Self::WrongSize { digest, expected, found } => {
                Fault::new(&hub::BLOB_WRONG_SIZE).with("digest", digest).with("expected", expected).with("found", found)
            }
            Self::Offset { digest, have } => Fault::new(&hub::BLOB_OFFSET).with("digest", digest).with("have", have),
            Self::Busy { digest } => Fault::new(&hub::BLOB_BUSY).with("digest", digest),
            Self::TooManyParts => Fault::new(&hub::BLOB_TOO_MANY_PARTS).with("max", PARTS_MAX),
            Self::NoSpace { need, free } => Fault::new(&hub::BLOB_NO_SPACE).with("need", need).with("free", free),
            Self::Io { doing, source } => Fault::new(&hub::BLOB_IO).with("doing", doing).with("cause", source),
        }
    }
}
