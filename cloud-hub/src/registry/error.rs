//! Why a registry did not give an image.

use shared::fault::{Fault, Faulty, image};

/// Why a registry did not give an image.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RegistryError {
    /// Not a reference.
    #[error("{reference:?} is no image reference: {why}")]
    BadReference {
        /// What was written.
        reference: String,
        /// What is wrong with it.
        why: String,
    },
    /// No such image.
    #[error("{reference} is not in its registry")]
    NotFound {
        /// Which.
        reference: String,
    },
    /// The registry wants to know who asks, or does not like the answer.
    #[error("{reference}: not authorized")]
    Unauthorized {
        /// Which.
        reference: String,
    },
    /// No connection, or it broke.
    #[error("registry {registry} cannot be reached: {cause}")]
    Unreachable {
        /// Its host.
        registry: String,
        /// The cause.
        cause: String,
    },
    /// It has too much to do.
    #[error("registry {registry} is busy ({status})")]
    Busy {
        /// Its host.
        registry: String,
        /// HTTP status.
        status: u16,
    },
    /// It sends too slowly.
    #[error("registry {registry} is too slow")]
    TooSlow {
        /// Its host.
        registry: String,
    },
    /// It does not do it.
    #[error("registry {registry} refused ({status}): {message}")]
    Refused {
        /// Its host.
        registry: String,
        /// HTTP status.
        status: u16,
        /// What it said.
        message: String,
    },
}

impl RegistryError {
    /// Whether the same request may succeed later.
    pub const fn is_retryable(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Busy { .. } | Self::TooSlow { .. } => true,
            Self::BadReference { .. } | Self::NotFound { .. } | Self::Unauthorized { .. } | Self::Refused { .. } => false,
        }
    }
}

impl Faulty for RegistryError {
    fn fault(&self) -> Fault {
        match self {
            Self::BadReference { reference, why } => {
                Fault::new(&image::BAD_REFERENCE).with("reference", reference).with("why", why)
            }
            Self::NotFound { reference } => Fault::new(&image::NOT_FOUND).with("reference", reference),
            Self::Unauthorized { reference } => Fault::new(&image::UNAUTHORIZED).with("reference", reference),
            Self::Unreachable { registry, cause } => {
                Fault::new(&image::REGISTRY_UNREACHABLE).with("registry", registry).with("cause", cause)
            }
            Self::Busy { registry, status } => {
                Fault::new(&image::REGISTRY_BUSY).with("registry", registry).with("status", status)
            }
            Self::TooSlow { registry } => Fault::new(&image::REGISTRY_TOO_SLOW).with("registry", registry),
            Self::Refused { registry, status, message } => {
                Fault::new(&image::REGISTRY_REFUSED).with("registry", registry).with("status", status).with("message", message)
            }
        }
    }
}
