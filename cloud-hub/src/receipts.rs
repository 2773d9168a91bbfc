//! Receipts: what nodes say, brought by a person ([`shared::receipt`]).
//!
//! A receipt is merged as if it had come over the link: journal entries by their numbers, each once, and the report only if
//! it is newer than what the hub has. Which is newer is told by the number of the journal's next entry, which grows through
//! reboots; a node that is connected has said something newer already. Merging one twice changes nothing.

use std::cmp::Ordering;

use shared::fault::{Fault, Faulty, bundle, hub};
use shared::id::{Digest, Name};
use shared::people::rfc3339;
use shared::receipt::{Receipt, ReceiptError, Signed};
use shared::sign::Purpose;
use shared::time::UnixMillis;

use crate::api::types::Merged;
use crate::ca::{SignatureError, verify};
use crate::hub::Hub;
use crate::nodes::NodeError;
use crate::records::{JOURNALS, Journal, key};
use crate::refusal::{Kind, Refusal};
use crate::store::StoreError;

/// Why a receipt was not merged.
#[derive(Debug, thiserror::Error)]
pub enum MergeError {
    /// It cannot be read.
    #[error(transparent)]
    Unreadable(#[from] ReceiptError),
    /// The node is not one of ours.
    #[error(transparent)]
    Node(#[from] NodeError),
    /// The node may say nothing any more.
    #[error("node {0} is revoked")]
    Revoked(Name),
    /// Somebody else signed it, or the node did before it joined anew.
    #[error("node {0} has another certificate")]
    OtherCertificate(Name),
    /// It was changed, or nobody signed it.
    #[error("not signed by node {node}")]
    NotSigned {
        /// Whose it says it is.
        node: Name,
        /// Why not.
        #[source]
        cause: SignatureError,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Faulty for MergeError {
    fn fault(&self) -> Fault {
        match self {
            Self::Unreadable(error) => error.fault(),
            Self::Node(error) => error.fault(),
            Self::Revoked(node) => Fault::new(&hub::NODE_IS_REVOKED).with("node", node),
            Self::OtherCertificate(node) => Fault::new(&hub::NODE_OTHER_CERTIFICATE).with("node", node),
            Self::NotSigned { node, cause } => Fault::new(&bundle::RECEIPT_NOT_SIGNED).with("node", node).with("cause", cause),
            Self::Store(error) => error.fault(),
        }
    }
}

impl Refusal for MergeError {
    fn kind(&self) -> Kind {
        match self {
            Self::Unreadable(_) | Self::NotSigned { .. } => Kind::Unfit,
            Self::Node(error) => error.kind(),
            Self::Revoked(_) | Self::OtherCertificate(_) => Kind::Conflict,
            Self::Store(error) => error.kind(),
        }
    }
}

impl Hub {
    /// Merges a receipt that `by` brought.
    pub async fn merge_receipt(&self, bytes: &[u8], by: &str) -> Result<Merged, MergeError> {
        let Receipt { node, next, report, events } = self.signed_receipt(bytes).await?;
        let wall = report.wall;
        let stored = self.record::<Journal>(&key(JOURNALS, &node)).await?.map_or(0, |(journal, _)| journal.next);
        let is_newer = self.life_of(&node).is_some_and(|life| {
            let last = life.report.as_deref();
            let same_boot = last.is_none_or(|last| last.facts.boot == report.facts.boot);
            !life.connected
                && match next.cmp(&stored) {
                    Ordering::Greater => true,
                    Ordering::Equal => same_boot,
                    Ordering::Less => false,
                }
        });
        let events = self.store_carried_events(&node, events).await?;
        // It may have come by itself while its events were stored.
        let is_away = self.life_of(&node).is_some_and(|life| !life.connected);
        let report = is_newer && is_away && self.take_report(&node, report, self.written(&node, wall)).await;
        if events > 0 || report {
            let what = Fault::new(&bundle::RECEIPT_TAKEN).with("node", &node).with("events", events).with("wall", rfc3339(wall));
            self.store.commit(Vec::new(), vec![self.event(Some(&node), None, by, what)]).await?;
        }
        Ok(Merged { node, events, report })
    }

    /// What a receipt says, if the node that it names signed it.
    async fn signed_receipt(&self, bytes: &[u8]) -> Result<Receipt, MergeError> {
        let signed = Signed::from_bytes(bytes)?;
        let receipt = signed.receipt()?;
        let node = receipt.node.clone();
        let (record, _) = self.node(&node).await?;
        if record.revoked {
            return Err(MergeError::Revoked(node));
        }
        if !record.certificate.is_some_and(|expected| expected.same(Digest::of(&signed.certificate))) {
            return Err(MergeError::OtherCertificate(node));
        }
        let message = Purpose::Receipt.message(&signed.payload);
        match verify(&signed.certificate, &message, &signed.signature) {
            Ok(()) => Ok(receipt),
            Err(cause) => Err(MergeError::NotSigned { node, cause }),
        }
    }

    /// When a report was written, by the node's clock: never in the future, and never before the one that is there.
    fn written(&self, node: &Name, wall: UnixMillis) -> UnixMillis {
        let last = self.life_of(node).and_then(|life| life.reported).unwrap_or_default();
        wall.max(last).min(self.now())
    }
}
