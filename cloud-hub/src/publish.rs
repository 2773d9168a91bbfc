//! Publishing: a signed release becomes part of the catalog, whole or not at all.
//!
//! ```text
//! bytes ──▶ envelope ──▶ signed by a registered publisher? ──▶ manifest and images fit? ──▶ every blob here? ──▶ images as described? ──▶ commit
//! ```
//!
//! The same bytes again change nothing. Another content under a version that was published is refused: a version
//! means one thing for ever.

use std::collections::{BTreeMap, BTreeSet};

use shared::fault::{Fault, Faulty, hub};
use shared::id::{Digest, Name};
use shared::oci::LAYERS_MAX;
use shared::release::{Blob, RELEASE_MAX, Release};
use shared::sign::{Envelope, Keyring, PublicKey, Purpose, SignError};
use shared::wire::WireError;

use crate::blobs::BlobError;
use crate::catalog::{Entry, describe, is_version};
use crate::hub::Hub;
use crate::records::{self, ENVELOPES, PUBLISHERS, RELEASES, Stored, key, release_key, version_key};
use crate::refusal::{Kind, Refusal};
use crate::store::{Change, Expect, StoreError};
use crate::verify::VerifyError;

/// Room for the signatures around a release.
pub const ENVELOPE_MAX: usize = RELEASE_MAX + (16 << 10);
/// Most publishers of one hub.
pub const PUBLISHERS_MAX: usize = 256;

/// Why a release was not published.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// Beyond [`RELEASE_MAX`].
    #[error("the release has {size} bytes")]
    TooLarge {
        /// Its size in bytes.
        size: usize,
    },
    /// The bytes are no envelope, or it holds no release.
    #[error("not a signed release")]
    Unreadable(#[from] WireError),
    /// No registered publisher signed it.
    #[error(transparent)]
    Untrusted(#[from] SignError),
    /// It contradicts itself.
    #[error("release {app}@{version}: {why}")]
    Unfit {
        /// The app.
        app: Name,
        /// Its version.
        version: String,
        /// What does not fit.
        why: String,
    },
    /// The manifest breaks a rule.
    #[error("{0}")]
    Manifest(Fault),
    /// Content is missing.
    #[error("{missing} blobs of {app}@{version} are not here")]
    BlobsMissing {
        /// The app.
        app: Name,
        /// Its version.
        version: String,
        /// How many.
        missing: usize,
        /// The first few.
        blobs: String,
    },
    /// The version means something else already.
    #[error("{app}@{version} was published with other content")]
    VersionTaken {
        /// The app.
        app: Name,
        /// Its version.
        version: String,
        /// The release it means.
        id: Digest,
    },
    /// An image is not what the release says.
    #[error(transparent)]
    Image(#[from] VerifyError),
    /// The content directory failed.
    #[error(transparent)]
    Blobs(#[from] BlobError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Faulty for PublishError {
    fn fault(&self) -> Fault {
        match self {
            Self::TooLarge { size } => Fault::new(&hub::RELEASE_TOO_LARGE).with("size", size).with("max", RELEASE_MAX),
            Self::Unreadable(error) => Fault::new(&hub::RELEASE_UNREADABLE).with("why", error),
            Self::Untrusted(error) => error.fault(),
            Self::Unfit { app, version, why } => {
                Fault::new(&hub::RELEASE_UNFIT).with("app", app).with("version", version).with("why", why)
            }
            Self::Manifest(fault) => fault.clone(),
            Self::BlobsMissing { app, version, missing, blobs } => Fault::new(&hub::BLOBS_MISSING)
                .with("app", app)
                .with("version", version)
                .with("missing", missing)
                .with("blobs", blobs),
            Self::VersionTaken { app, version, id } => {
                Fault::new(&hub::VERSION_TAKEN).with("app", app).with("version", version).with("id", id)
            }
            Self::Image(error) => error.fault(),
            Self::Blobs(error) => error.fault(),
            Self::Store(error) => error.fault(),
        }
    }
}

impl Refusal for PublishError {
    fn kind(&self) -> Kind {
        match self {
            Self::TooLarge { .. } => Kind::TooLarge,
            Self::Unreadable(_) => Kind::Malformed,
            Self::Untrusted(_) | Self::Unfit { .. } | Self::Manifest(_) | Self::BlobsMissing { .. } => Kind::Unfit,
            Self::VersionTaken { .. } => Kind::Conflict,
            Self::Image(error) => error.kind(),
            Self::Blobs(error) => error.kind(),
            Self::Store(error) => error.kind(),
        }
    }
}

/// Whether the parts of a release fit each other.
pub fn check(release: &Release) -> Result<(), PublishError> {
    let metadata = &release.manifest.metadata;
    let unfit = |why: String| PublishError::Unfit { app: metadata.name.clone(), version: metadata.version.clone(), why };
    if !is_version(&metadata.version) {
        return Err(unfit("its version is not 1 to 64 of A-Z a-z 0-9 . _ + -".into()));
    }
    let services = &release.manifest.spec.services;
    if let Some(service) = release.images.keys().find(|service| !services.contains_key(service)) {
        return Err(unfit(format!("it has an image for {service}, which is not one of its services")));
    }
    for service in services.keys() {
        let images = release.images.get(service).map_or(&[][..], Vec::as_slice);
        if images.is_empty() {
            return Err(unfit(format!("service {service} has no image")));
        }
        let platforms: BTreeSet<String> = images.iter().map(|image| image.platform.to_string()).collect();
        if platforms.len() != images.len() {
            return Err(unfit(format!("service {service} has two images for one platform")));
        }
        if let Some(image) = images.iter().find(|image| image.layers.len() > LAYERS_MAX) {
            return Err(unfit(format!("the image of {service} for {} has more than {LAYERS_MAX} layers", image.platform)));
        }
    }
    sizes_agree(release).map_err(unfit)
}

/// One blob has one size, however often it is named.
fn sizes_agree(release: &Release) -> Result<(), String> {
    let mut sizes: BTreeMap<Digest, u64> = BTreeMap::new();
    for blob in release.images.values().flatten().flat_map(crate::catalog::blobs_of) {
        if *sizes.entry(blob.digest).or_insert(blob.size) != blob.size {
            return Err(format!("blob {} is named with two sizes", blob.digest));
        }
    }
    Ok(())
}

impl Hub {
    /// Publishes the signed bytes; returns the release and whether it is new.
    pub async fn publish(&self, bytes: &[u8], by: &str) -> Result<(Entry, bool), PublishError> {
        if bytes.len() > ENVELOPE_MAX {
            return Err(PublishError::TooLarge { size: bytes.len() });
        }
        let envelope = Envelope::from_bytes(bytes)?;
        if envelope.payload.len() > RELEASE_MAX {
            return Err(PublishError::TooLarge { size: envelope.payload.len() });
        }
        let ring = Keyring::new(self.publisher_keys().await?, 1);
        let payload = envelope.verify(Purpose::Release, &ring)?;
        let release = Release::from_bytes(payload)?;
        check(&release)?;
        release.manifest.check().map_err(|refused| PublishError::Manifest(refused.fault()))?;
        let signers = envelope.signatures.iter().map(|signature| signature.key).collect();
        let id = envelope.payload_digest();
        if let Some(entry) = self.release(id).await? {
            return Ok((entry, false));
        }
        let record = describe(&release, signers, by, self.now());
        // What is here now stays until the release names it.
        let _claims = self.blobs.claim(record.blobs.iter().map(|blob| blob.digest));
        self.blobs_are_here(&record).await?;
        self.verify_images(&release).await?;
        let entered = self.enter(id, record, bytes.to_vec(), by).await?;
        self.delta.prepare(&release);
        Ok(entered)
    }

    async fn blobs_are_here(&self, record: &records::Release) -> Result<(), PublishError> {
        let mut missing: Vec<Digest> = Vec::new();
        for Blob { digest, size } in &record.blobs {
            if self.blobs.size_held(digest).await? != Some(*size) {
                missing.push(*digest);
            }
        }
        if missing.is_empty() {
            return Ok(());
        }
        let first: Vec<String> = missing.iter().take(3).map(Digest::to_string).collect();
        let blobs = if missing.len() > first.len() { format!("{} …", first.join(", ")) } else { first.join(", ") };
        let (app, version) = (record.app.clone(), record.version.clone());
        Err(PublishError::BlobsMissing { app, version, missing: missing.len(), blobs })
    }

    async fn enter(
        &self,
        id: Digest,
        record: records::Release,
        envelope: Vec<u8>,
        by: &str,
    ) -> Result<(Entry, bool), PublishError> {
        let _changing = self.changing.lock().await;
        // A version that was taken back still means what it meant.
        if let Some(known) = self.version_id(&record.app, &record.version).await? {
            if known != id {
                return Err(PublishError::VersionTaken { app: record.app, version: record.version, id: known });
            }
            if let Some(entry) = self.release(id).await? {
                return Ok((entry, false));
            }
        }
        let what = Fault::new(&hub::PUBLISHED).with("app", &record.app).with("version", &record.version).with("by", by);
        let event = self.event(None, Some(&record.app), by, what);
        let changes = vec![
            Change::put(version_key(&record.app, &record.version), id.as_bytes().to_vec()),
            Change::create(release_key(ENVELOPES, id), envelope),
            Change::create(release_key(RELEASES, id), record.encode()),
        ];
        let revision = self.store.commit(changes, vec![event]).await?;
        Ok((Entry { id, record, revision }, true))
    }
}

/// Why a publisher was not registered or removed.
#[derive(Debug, thiserror::Error)]
pub enum PublisherError {
    /// The name stands for another key.
    #[error("publisher {name} has another key")]
    NameTaken {
        /// The name.
        name: Name,
    },
    /// The key is registered under another name.
    #[error("the key is registered as {name}")]
    KeyTaken {
        /// Under this one.
        name: Name,
    },
    /// There is no such publisher.
    #[error("no publisher {name}")]
    NotFound {
        /// The name.
        name: Name,
    },
    /// There are [`PUBLISHERS_MAX`] already.
    #[error("more than {PUBLISHERS_MAX} publishers")]
    TooMany,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Faulty for PublisherError {
    fn fault(&self) -> Fault {
        match self {
            Self::NameTaken { name } => Fault::new(&hub::PUBLISHER_NAME_TAKEN).with("name", name),
            Self::KeyTaken { name } => Fault::new(&hub::PUBLISHER_KEY_TAKEN).with("name", name),
            Self::NotFound { name } => Fault::new(&hub::PUBLISHER_NOT_FOUND).with("name", name),
            Self::TooMany => Fault::new(&hub::TOO_MANY).with("what", "publishers").with("max", PUBLISHERS_MAX),
            Self::Store(error) => error.fault(),
        }
    }
}

impl Refusal for PublisherError {
    fn kind(&self) -> Kind {
        match self {
            Self::NameTaken { .. } | Self::KeyTaken { .. } => Kind::Conflict,
            Self::NotFound { .. } => Kind::NotFound,
            Self::TooMany => Kind::Unfit,
            Self::Store(error) => error.kind(),
        }
    }
}

impl Hub {
    /// Every publisher with the revision of its record.
    pub async fn publishers(&self) -> Result<Vec<(Name, records::Publisher, u64)>, StoreError> {
        self.all(PUBLISHERS).await
    }

    /// The keys that may sign releases.
    pub async fn publisher_keys(&self) -> Result<Vec<PublicKey>, StoreError> {
        Ok(self.publishers().await?.into_iter().map(|(_, publisher, _)| publisher.key).collect())
    }

    /// Registers a key; the same again changes nothing. Returns whether it is new.
    pub async fn add_publisher(
        &self,
        name: &Name,
        public: PublicKey,
        by: &str,
    ) -> Result<(records::Publisher, u64, bool), PublisherError> {
        let _changing = self.changing.lock().await;
        let known = self.publishers().await?;
        for (other, publisher, revision) in &known {
            match (other == name, publisher.key == public) {
                (true, true) => return Ok((publisher.clone(), *revision, false)),
                (true, false) => return Err(PublisherError::NameTaken { name: name.clone() }),
                (false, true) => return Err(PublisherError::KeyTaken { name: other.clone() }),
                (false, false) => {}
            }
        }
        if known.len() >= PUBLISHERS_MAX {
            return Err(PublisherError::TooMany);
        }
        let publisher = records::Publisher { key: public, created: self.now(), by: by.to_owned() };
        let what = Fault::new(&hub::PUBLISHER_ADDED).with("name", name).with("key", public.id().short()).with("by", by);
        let change = Change::create(key(PUBLISHERS, name), publisher.encode());
        let revision = self.store.commit(vec![change], vec![self.event(None, None, by, what)]).await?;
        Ok((publisher, revision, true))
    }

    /// Removes a key: it can sign nothing new. What it signed stays.
    pub async fn remove_publisher(&self, name: &Name, by: &str) -> Result<(), PublisherError> {
        let _changing = self.changing.lock().await;
        let key = key(PUBLISHERS, name);
        let Some((_, revision)) = self.record::<records::Publisher>(&key).await? else {
            return Err(PublisherError::NotFound { name: name.clone() });
        };
        let what = Fault::new(&hub::PUBLISHER_REMOVED).with("name", name).with("by", by);
        let change = Change::delete(key, Expect::Revision(revision));
        self.store.commit(vec![change], vec![self.event(None, None, by, what)]).await?;
        Ok(())
    }
}
