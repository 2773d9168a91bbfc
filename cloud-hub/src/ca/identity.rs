//! Who a client certificate speaks for. The chain has been verified by then; this reads the one name that counts.

use std::fmt;

use shared::fault::{Fault, Faulty, trust};
use shared::id::Name;
use x509_parser::extensions::GeneralName;

const NODE: &str = "urn:causeway:node:";
const CENTER: &str = "urn:causeway:center:";

/// Whom a certificate names. The text form is its SAN URI.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Identity {
    /// A node.
    Node(Name),
    /// Another MQTT client of the center, which may read what nodes report.
    Center(Name),
}

impl Identity {
    /// The bare name; the client id it must use.
    pub const fn name(&self) -> &Name {
        match self {
            Self::Node(name) | Self::Center(name) => name,
        }
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Node(name) => write!(f, "{NODE}{name}"),
            Self::Center(name) => write!(f, "{CENTER}{name}"),
        }
    }
}

/// Why a certificate names nobody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    /// Not X.509.
    #[error("not a certificate")]
    NotACertificate,
    /// No subject alternative name, or not exactly one.
    #[error("not exactly one subject alternative name")]
    NotOneName,
    /// The one name is not of this hub's forms.
    #[error("its name is not of this hub's forms")]
    OtherForm,
}

impl Faulty for IdentityError {
    fn fault(&self) -> Fault {
        Fault::new(&trust::IDENTITY_NONE).with("why", self)
    }
}

/// The identity in a certificate (DER): its one SAN URI. The subject is for people and not looked at.
pub fn identity_of(certificate: &[u8]) -> Result<Identity, IdentityError> {
    let (_, parsed) = x509_parser::parse_x509_certificate(certificate).map_err(|_| IdentityError::NotACertificate)?;
    let names = parsed.subject_alternative_name().map_err(|_| IdentityError::NotOneName)?;
    match names.map(|names| names.value.general_names.as_slice()) {
        Some([GeneralName::URI(uri)]) => identity(uri).ok_or(IdentityError::OtherForm),
        Some([_]) => Err(IdentityError::OtherForm),
        Some(_) | None => Err(IdentityError::NotOneName),
    }
}

fn identity(uri: &str) -> Option<Identity> {
    let node = uri.strip_prefix(NODE).map(|name| Name::new(name).map(Identity::Node));
    let center = uri.strip_prefix(CENTER).map(|name| Name::new(name).map(Identity::Center));
    node.or(center)?.ok()
}
