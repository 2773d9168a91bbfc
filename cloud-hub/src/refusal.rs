//! What kind of answer an error is. Every error enum that reaches the API says so itself; only the API turns
//! it into an HTTP status.

use shared::fault::Faulty;

use crate::blobs::BlobError;
use crate::os::NoRandomness;
use crate::store::StoreError;

/// The kinds of refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The request cannot be read as what it should be.
    Malformed,
    /// Who calls is not known.
    Unauthenticated,
    /// The caller may not do this.
    Denied,
    /// There is no such thing.
    NotFound,
    /// It contradicts what is there.
    Conflict,
    /// The caller saw an older state than the present one.
    Stale,
    /// Beyond a bound.
    TooLarge,
    /// It can be read, but it cannot be done as it stands.
    Unfit,
    /// Too often; try later.
    TooMany,
    /// Not now; the same request may succeed later.
    Unavailable,
    /// The other side did not answer in time.
    Timeout,
    /// The hub failed.
    Internal,
}

/// An error that knows which kind of answer it is.
pub trait Refusal: Faulty {
    /// Which.
    fn kind(&self) -> Kind;
}

impl Refusal for StoreError {
    fn kind(&self) -> Kind {
        match self {
            Self::Conflict { .. } => Kind::Conflict,
            Self::Compacted { .. } => Kind::Stale,
            Self::TooLarge { .. } => Kind::TooLarge,
            Self::Full | Self::Closed => Kind::Unavailable,
            Self::Damaged { .. } | Self::Failed { .. } => Kind::Internal,
        }
    }
}

impl Refusal for BlobError {
    fn kind(&self) -> Kind {
        match self {
            Self::Missing { .. } => Kind::NotFound,
            Self::TooLarge { .. } => Kind::TooLarge,
            Self::WrongDigest { .. } | Self::WrongSize { .. } => Kind::Unfit,
            Self::Offset { .. } | Self::Busy { .. } => Kind::Conflict,
            Self::TooManyParts | Self::NoSpace { .. } => Kind::Unavailable,
            Self::Io { .. } => Kind::Internal,
        }
    }
}

impl Refusal for NoRandomness {
    fn kind(&self) -> Kind {
        Kind::Unavailable
    }
}
