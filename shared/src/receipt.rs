//! A receipt: what a node says about itself, signed, for a person to carry to the hub.
//!
//! ```text
//! 9 bytes   "CWRECEIPT"
//! rest      versioned (shared::wire::v1::SignedReceipt): payload, the node's certificate, signature
//! ```
//!
//! It says what the node would say over the link: its newest report, and the journal entries the hub has not confirmed. The
//! key is that of the node's certificate; the hub knows the one certificate a node may show.

use crate::fault::{Fault, Faulty, bundle};
use crate::id::Name;
use crate::report::{Event, Report};
use crate::wire::{WireError, v1};

/// How a receipt begins.
const MAGIC: &[u8] = b"CWRECEIPT";
/// Most bytes of a receipt.
pub const RECEIPT_MAX: usize = 16 << 20;
/// Most entries of a journal in one receipt: all that a node keeps.
pub const EVENTS_MAX: usize = 10_000;

/// What a node says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// Whose.
    pub node: Name,
    /// The number of the journal's next entry. It grows through reboots: of two receipts the one with the higher number is
    /// the newer one.
    pub next: u64,
    /// The node, whole.
    pub report: Report,
    /// Entries the hub has not confirmed, in order, without gaps, the oldest first.
    pub events: Vec<Event>,
}

/// A receipt as it travels. Says nothing about trust.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signed {
    /// Canonical bytes of the [`Receipt`].
    pub payload: Vec<u8>,
    /// The node's certificate in DER.
    pub certificate: Vec<u8>,
    /// ECDSA P-256 with SHA-256, in DER, over [`crate::sign::Purpose::Receipt`]'s message.
    pub signature: Vec<u8>,
}

/// Why bytes are no receipt.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReceiptError {
    /// They begin in another way.
    #[error("not a receipt")]
    Other,
    /// They are damaged, or of another version.
    #[error(transparent)]
    Wire(#[from] WireError),
    /// More entries than a node keeps.
    #[error("{0} entries")]
    TooMany(usize),
}

impl Faulty for ReceiptError {
    fn fault(&self) -> Fault {
        match self {
            Self::Other => Fault::new(&bundle::NOT_A_RECEIPT),
            Self::Wire(_) | Self::TooMany(_) => Fault::new(&bundle::RECEIPT_UNREADABLE).with("cause", self),
        }
    }
}

impl Receipt {
    /// The bytes that are signed.
    pub fn to_bytes(&self) -> Vec<u8> {
        v1::Receipt::from(self).encode()
    }
}

impl Signed {
    /// The file.
    pub fn to_bytes(&self) -> Vec<u8> {
        let Self { payload, certificate, signature } = self.clone();
        [MAGIC, &v1::SignedReceipt { payload, certificate, signature }.encode()].concat()
    }

    /// Reads what [`to_bytes`](Self::to_bytes) wrote.
    ///
    /// # Errors
    /// It is something else.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ReceiptError> {
        let rest = bytes.strip_prefix(MAGIC).ok_or(ReceiptError::Other)?;
        let v1::SignedReceipt { payload, certificate, signature } = v1::SignedReceipt::decode(rest)?;
        Ok(Self { payload, certificate, signature })
    }

    /// What it says. Believe it only after its signature was checked.
    ///
    /// # Errors
    /// The payload is damaged or beyond its bounds.
    pub fn receipt(&self) -> Result<Receipt, ReceiptError> {
        let receipt: Receipt = v1::Receipt::decode(&self.payload)?.try_into()?;
        match receipt.events.len() {
            count if count > EVENTS_MAX => Err(ReceiptError::TooMany(count)),
            _ => Ok(receipt),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_receipt_is_told_from_everything_else() {
        let signed = Signed { payload: vec![1; 30], certificate: vec![2; 30], signature: vec![3; 30] };
        let bytes = signed.to_bytes();
        assert_eq!(Signed::from_bytes(&bytes), Ok(signed.clone()));
        for length in 0..bytes.len() {
            let error = Signed::from_bytes(&bytes[..length]).unwrap_err();
            assert_eq!(error == ReceiptError::Other, length < MAGIC.len(), "{length}: {error}");
        }
        assert!(matches!(signed.receipt(), Err(ReceiptError::Wire(_))));
    }
}
