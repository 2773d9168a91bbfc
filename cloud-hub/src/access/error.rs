//! Why a caller is refused, and why an API token was not made or removed.

use std::sync::Arc;

use shared::fault::{Fault, Faulty, hub};
use shared::id::Name;

use super::{API_TOKENS_MAX, TTL_MAX};
use crate::os::NoRandomness;
use crate::refusal::{Kind, Refusal};
use crate::store::StoreError;

/// Why a caller is refused.
#[derive(Debug, Clone, thiserror::Error)]
pub enum AuthError {
    /// No token came along.
    #[error("no API token")]
    Missing,
    /// The token is not known, or its time is over.
    #[error("wrong API token")]
    Wrong,
    /// Too many wrong tokens came from there.
    #[error("too many wrong tokens; try again in {seconds} s")]
    TooMany {
        /// How long to wait.
        seconds: u64,
    },
    /// The token's role does not reach so far.
    #[error("{name} may not do this")]
    Denied {
        /// Name of the token.
        name: Name,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Faulty for AuthError {
    fn fault(&self) -> Fault {
        match self {
            Self::Missing => Fault::new(&hub::TOKEN_MISSING),
            Self::Wrong => Fault::new(&hub::TOKEN_WRONG),
            Self::TooMany { seconds } => Fault::new(&hub::TOO_MANY_ATTEMPTS).with("seconds", seconds),
            Self::Denied { name } => Fault::new(&hub::DENIED).with("name", name),
            Self::Store(error) => error.fault(),
        }
    }
}

impl Refusal for AuthError {
    fn kind(&self) -> Kind {
        match self {
            Self::Missing | Self::Wrong => Kind::Unauthenticated,
            Self::TooMany { .. } => Kind::TooMany,
            Self::Denied { .. } => Kind::Denied,
            Self::Store(error) => error.kind(),
        }
    }
}

/// Why an API token was not made or removed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ApiTokenError {
    /// There is one of this name.
    #[error("API token {name} exists")]
    NameTaken {
        /// The name.
        name: Name,
    },
    /// There is none of this name.
    #[error("no API token {name}")]
    NotFound {
        /// The name.
        name: Name,
    },
    /// There are [`API_TOKENS_MAX`] already.
    #[error("more than {API_TOKENS_MAX} API tokens")]
    TooMany,
    /// It would live no time or too long.
    #[error("an API token lives from 1 to {TTL_MAX} seconds, or without end")]
    BadTtl,
    /// It is the last one of an admin that has no end.
    #[error("the last API token of an admin")]
    LastAdmin,
    /// No randomness.
    #[error("{0}")]
    Random(Arc<NoRandomness>),
    /// The file for the first token was not written.
    #[error("{0}")]
    File(Arc<crate::secret_file::SecretFileError>),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<NoRandomness> for ApiTokenError {
    fn from(error: NoRandomness) -> Self {
        Self::Random(error.into())
    }
}

impl From<crate::secret_file::SecretFileError> for ApiTokenError {
    fn from(error: crate::secret_file::SecretFileError) -> Self {
        Self::File(error.into())
    }
}

impl Faulty for ApiTokenError {
    fn fault(&self) -> Fault {
        match self {
            Self::NameTaken { name } => Fault::new(&hub::API_TOKEN_TAKEN).with("name", name),
            Self::NotFound { name } => Fault::new(&hub::API_TOKEN_NOT_FOUND).with("name", name),
            Self::TooMany => Fault::new(&hub::TOO_MANY).with("what", "api-tokens").with("max", API_TOKENS_MAX),
            Self::BadTtl => Fault::new(&hub::BAD_TTL).with("max", TTL_MAX),
            Self::LastAdmin => Fault::new(&hub::LAST_ADMIN),
            Self::Random(error) => error.fault(),
            Self::File(error) => error.fault(),
            Self::Store(error) => error.fault(),
        }
    }
}

impl Refusal for ApiTokenError {
    fn kind(&self) -> Kind {
        match self {
            Self::NameTaken { .. } | Self::LastAdmin => Kind::Conflict,
            Self::NotFound { .. } => Kind::NotFound,
            Self::TooMany | Self::BadTtl => Kind::Unfit,
            Self::Random(_) | Self::File(_) => Kind::Unavailable,
            Self::Store(error) => error.kind(),
        }
    }
}
