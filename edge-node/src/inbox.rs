//! The inbox: what the hub wants becomes what the node holds, or is refused by name.
//!
//! A desired state passes four gates: the hub's signature, its place in the order ([`shared::accept`]), every
//! release it names (fetched when new, signed by a publisher, valid), and the disk. Only then does the loop hear
//! of it. A state that fails at any gate leaves the node on what it has.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use shared::accept::{Accept, Refusal, consider};
use shared::fault::{Fault, Faulty, trust};
use shared::id::{Digest, Name};
use shared::release::{RELEASE_MAX, Release};
use shared::sign::{Envelope, Keyring, Purpose, SignError};
use shared::state::{Desired, Stamp};
use shared::wire::{WireError, v1};

use crate::bundle::Supply;
use crate::held::{Accepted, Held};
use crate::images::SourceError;
use crate::store::StoreError;

/// Room for signatures around a release.
const SIGNED_MAX: usize = RELEASE_MAX + 4096;

/// Who the node believes.
#[derive(Debug, Clone)]
pub struct Trust {
    /// Says what runs here.
    pub hub: Keyring,
    /// Say which releases may exist.
    pub publishers: Keyring,
}

/// Takes desired states.
pub struct Inbox {
    me: Name,
    trust: Arc<RwLock<Trust>>,
    held: Arc<Held>,
    /// States come over the link and out of bundles at once; they are accepted one after the other.
    accepting: Mutex<()>,
}

/// What became of a desired state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// The node holds it now.
    Accepted(Stamp),
    /// The node held it already.
    Same(Stamp),
}

/// Why a desired state was not taken.
#[derive(Debug, thiserror::Error)]
pub enum InboxError {
    /// The hub's signature.
    #[error("the desired state is not signed by this node's hub: {0}")]
    Hub(#[source] SignError),
    /// Its bytes.
    #[error("the desired state cannot be read: {0}")]
    Unreadable(#[source] WireError),
    /// Its place in the order.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// A release it names.
    #[error("release {release} of app {app}: {fault}")]
    Release {
        /// The app.
        app: Name,
        /// Short id of the release.
        release: String,
        /// What is wrong with it.
        fault: Fault,
    },
    /// The link went down on the way; the hub will offer the state again.
    #[error("the link to the hub went down while a release was on its way")]
    Away,
    /// The disk.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Faulty for InboxError {
    fn fault(&self) -> Fault {
        match self {
            Self::Hub(error) => Fault::new(&trust::NOT_OUR_HUB).because(&error.fault()),
            Self::Unreadable(error) => Fault::new(&trust::UNREADABLE_STATE).with("cause", error),
            Self::Refused(refusal) => refusal.fault(),
            Self::Release { app, release, fault } => {
                Fault::new(&trust::RELEASE_REFUSED).with("app", app).with("release", release).because(fault)
            }
            Self::Away => Fault::new(&trust::STATE_INTERRUPTED),
            Self::Store(error) => error.fault(),
        }
    }
}

impl Inbox {
    /// An inbox for the node `me`.
    pub fn new(me: Name, trust: Arc<RwLock<Trust>>, held: Arc<Held>) -> Self {
        Self { me, trust, held, accepting: Mutex::default() }
    }

    /// Whether the hub signed it.
    pub fn is_from_hub(&self, envelope: &Envelope) -> Result<(), InboxError> {
        let trust = self.trust.read().unwrap_or_else(PoisonError::into_inner);
        envelope.verify(Purpose::Desired, &trust.hub).map(drop).map_err(InboxError::Hub)
    }

    /// Takes one desired state; fetches the releases it needs from `supply`.
    pub async fn receive(&self, envelope: Envelope, supply: &Supply) -> Result<Taken, InboxError> {
        let trust = self.trust.read().unwrap_or_else(PoisonError::into_inner).clone();
        let payload = envelope.verify(Purpose::Desired, &trust.hub).map_err(InboxError::Hub)?;
        let desired: Desired = v1::Desired::decode(payload).and_then(TryInto::try_into).map_err(InboxError::Unreadable)?;
        let stamp = desired.stamp;
        let same = consider(&self.me, self.held.accepted(), &desired, envelope.payload_digest())? == Accept::Same;
        if same && self.held.is_complete() {
            return Ok(Taken::Same(stamp));
        }
        let releases = self.releases(&desired, &trust.publishers, supply).await?;
        let _turn = self.accepting.lock().unwrap_or_else(PoisonError::into_inner);
        let same = consider(&self.me, self.held.accepted(), &desired, envelope.payload_digest())? == Accept::Same;
        if same && self.held.is_complete() {
            return Ok(Taken::Same(stamp)); // It was taken from elsewhere meanwhile.
        }
        match self.held.accept(Accepted { desired, envelope, releases })? {
            true => Ok(Taken::Accepted(stamp)),
            // One that was here was forgotten while others were fetched. The hub says the state again.
            false => Err(InboxError::Away),
        }
    }

    /// The releases that `desired` names and the node does not have, checked.
    async fn releases(
        &self,
        desired: &Desired,
        publishers: &Keyring,
        supply: &Supply,
    ) -> Result<BTreeMap<Digest, (Envelope, Release)>, InboxError> {
        let known: BTreeSet<Digest> = self.held.releases();
        let mut new = BTreeMap::new();
        for (app, id) in desired.releases() {
            if known.contains(&id) || new.contains_key(&id) {
                continue;
            }
            let bytes = supply.release(id, SIGNED_MAX).await;
            let refused = |fault| InboxError::Release { app: app.clone(), release: id.short(), fault };
            let signed = match bytes {
                Ok(bytes) => open(&bytes, id, app, publishers).map_err(refused)?,
                Err(SourceError::NotThere(fault)) => return Err(refused(fault)),
                Err(SourceError::Away | SourceError::Timeout) => return Err(InboxError::Away),
            };
            new.insert(id, signed);
        }
        Ok(new)
    }
}

/// A release out of the bytes that came for `id`, if a publisher signed it and it is what it says.
fn open(bytes: &[u8], id: Digest, app: &Name, publishers: &Keyring) -> Result<(Envelope, Release), Fault> {
    let unreadable = |error: WireError| Fault::new(&trust::UNREADABLE_RELEASE).with("cause", error);
    let envelope = Envelope::from_bytes(bytes).map_err(unreadable)?;
    let payload = envelope.verify(Purpose::Release, publishers).map_err(|error| error.fault())?;
    let release = Release::from_bytes(payload).map_err(unreadable)?;
    if envelope.payload_digest() != id || release.manifest.metadata.name != *app {
        return Err(Fault::new(&trust::OTHER_RELEASE).with("got", envelope.payload_digest().short()));
    }
    release.check()?;
    Ok((envelope, release))
}
