//! Why a join token was not made, and why an enrolment was refused.

use shared::fault::{Fault, Faulty, hub};
use shared::id::Name;
use shared::join::BadToken;

use super::{NODES_MAX, TOKENS_MAX, TTL_MAX};
use crate::ca::CaError;
use crate::nodes::NodeError;
use crate::os::NoRandomness;
use crate::refusal::{Kind, Refusal};
use crate::store::StoreError;

/// Why a join token was not made or removed.
#[derive(Debug, thiserror::Error)]
pub enum JoinTokenError {
    /// It would live no time or too long.
    #[error("a join token lives from 1 to {TTL_MAX} seconds")]
    BadTtl,
    /// There is none for this node.
    #[error("no join token for {node}")]
    NotFound {
        /// The node.
        node: Name,
    },
    /// There are [`TOKENS_MAX`] already.
    #[error("more than {TOKENS_MAX} join tokens")]
    TooMany,
    /// A label is not one.
    #[error(transparent)]
    Labels(#[from] NodeError),
    /// The hub's own address does not fit into a token.
    #[error(transparent)]
    Address(#[from] BadToken),
    /// No randomness.
    #[error(transparent)]
    Random(#[from] NoRandomness),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Faulty for JoinTokenError {
    fn fault(&self) -> Fault {
        match self {
            Self::BadTtl => Fault::new(&hub::BAD_TTL).with("max", TTL_MAX),
            Self::NotFound { node } => Fault::new(&hub::JOIN_TOKEN_NOT_FOUND).with("node", node),
            Self::TooMany => Fault::new(&hub::TOO_MANY).with("what", "tokens").with("max", TOKENS_MAX),
            Self::Labels(error) => error.fault(),
            Self::Address(error) => error.fault(),
            Self::Random(error) => error.fault(),
            Self::Store(error) => error.fault(),
        }
    }
}

impl Refusal for JoinTokenError {
    fn kind(&self) -> Kind {
        match self {
            Self::BadTtl | Self::TooMany => Kind::Unfit,
            Self::NotFound { .. } => Kind::NotFound,
            Self::Labels(error) => error.kind(),
            Self::Address(_) => Kind::Internal,
            Self::Random(error) => error.kind(),
            Self::Store(error) => error.kind(),
        }
    }
}

/// Why an enrolment was refused.
#[derive(Debug, thiserror::Error)]
pub enum EnrollError {
    /// The token was used, replaced or removed, is for another node, or was never made. Which of these is not said, so
    /// that nobody learns what to guess.
    #[error("the join token is worth nothing for this node")]
    Refused,
    /// Its time is over.
    #[error("the join token for {node} has expired")]
    Expired {
        /// The node.
        node: Name,
    },
    /// The certificate request cannot be read.
    #[error("certificate request: {why}")]
    BadRequest {
        /// Why.
        why: String,
    },
    /// Too many failures from there.
    #[error("too many failed enrolments; try again in {seconds} s")]
    TooMany {
        /// How long to wait.
        seconds: u64,
    },
    /// There are [`NODES_MAX`] already.
    #[error("more than {NODES_MAX} nodes")]
    TooManyNodes,
    /// The node would have too many labels.
    #[error(transparent)]
    Labels(#[from] NodeError),
    /// The CA makes no certificate of it.
    #[error(transparent)]
    Ca(#[from] CaError),
    /// No randomness.
    #[error(transparent)]
    Random(#[from] NoRandomness),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl EnrollError {
    /// Whether it looks like somebody guessing tokens.
    pub const fn is_a_guess(&self) -> bool {
        match self {
            Self::Refused | Self::Expired { .. } => true,
            Self::BadRequest { .. }
            | Self::TooMany { .. }
            | Self::TooManyNodes
            | Self::Labels(_)
            | Self::Ca(_)
            | Self::Random(_)
            | Self::Store(_) => false,
        }
    }
}

impl Faulty for EnrollError {
    fn fault(&self) -> Fault {
        match self {
            Self::Refused => Fault::new(&hub::ENROLL_REFUSED),
            Self::Expired { node } => Fault::new(&hub::ENROLL_EXPIRED).with("node", node),
            Self::BadRequest { why } => Fault::new(&shared::fault::trust::CSR_REFUSED).with("why", why),
            Self::TooMany { seconds } => Fault::new(&hub::TOO_MANY_ATTEMPTS).with("seconds", seconds),
            Self::TooManyNodes => Fault::new(&hub::TOO_MANY).with("what", "nodes").with("max", NODES_MAX),
            Self::Labels(error) => error.fault(),
            Self::Ca(error) => error.fault(),
            Self::Random(error) => error.fault(),
            Self::Store(error) => error.fault(),
        }
    }
}

impl Refusal for EnrollError {
    fn kind(&self) -> Kind {
        match self {
            Self::BadRequest { .. } => Kind::Malformed,
            Self::Refused | Self::Expired { .. } => Kind::Denied,
            Self::TooMany { .. } => Kind::TooMany,
            Self::TooManyNodes => Kind::Unfit,
            Self::Labels(error) => error.kind(),
            Self::Ca(CaError::Request { .. }) => Kind::Unfit,
            Self::Ca(_) => Kind::Internal,
            Self::Random(error) => error.kind(),
            Self::Store(error) => error.kind(),
        }
    }
}
