//! Receipts: what this node says to the hub, signed with the key of its certificate, for somebody to carry there.

use rcgen::{KeyPair, SigningKey};
use shared::fault::{Fault, Faulty, bundle};
use shared::receipt::{Receipt, Signed};
use shared::sign::Purpose;

use crate::identity::Identity;

/// The node's key cannot sign.
#[derive(Debug, thiserror::Error)]
#[error("the node's key cannot sign a receipt: {0}")]
pub struct NotSigned(String);

impl Faulty for NotSigned {
    fn fault(&self) -> Fault {
        Fault::new(&bundle::RECEIPT_KEY).with("cause", &self.0)
    }
}

/// The receipt as it travels.
pub fn sign(receipt: &Receipt, identity: &Identity) -> Result<Signed, NotSigned> {
    let failed = |error: rcgen::Error| NotSigned(error.to_string());
    let payload = receipt.to_bytes();
    let key = KeyPair::try_from(&identity.key).map_err(failed)?;
    let signature = key.sign(&Purpose::Receipt.message(&payload)).map_err(failed)?;
    let certificate = identity.chain.first().map(|certificate| certificate.to_vec()).unwrap_or_default();
    Ok(Signed { payload, certificate, signature })
}
