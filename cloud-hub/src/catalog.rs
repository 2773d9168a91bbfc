//! What was published: apps and their releases, found by id, by `app@version` or by version.

use std::collections::BTreeMap;

use shared::fault::{Fault, Faulty, hub};
use shared::id::{Digest, Name};
use shared::release::Release;
use shared::sign::Envelope;

use crate::hub::{Hub, PAGE};
use crate::records::{self, ENVELOPES, RELEASES, VERSIONS, release_key, version_key};
use crate::refusal::{Kind, Refusal};
use crate::store::StoreError;

/// Why a release is not found.
#[derive(Debug, thiserror::Error)]
pub enum CatalogError {
    /// There is none of this name.
    #[error("no release {reference}")]
    NotFound {
        /// What was asked for.
        reference: String,
    },
    /// What was asked for is no reference at all.
    #[error("{reference:?} names no release")]
    BadReference {
        /// What was asked for, cut to 120 characters.
        reference: String,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Faulty for CatalogError {
    fn fault(&self) -> Fault {
        match self {
            Self::NotFound { reference } => Fault::new(&hub::RELEASE_NOT_FOUND).with("release", reference),
            Self::BadReference { reference } => Fault::new(&hub::RELEASE_BAD_REFERENCE).with("release", reference),
            Self::Store(error) => error.fault(),
        }
    }
}

impl Refusal for CatalogError {
    fn kind(&self) -> Kind {
        match self {
            Self::NotFound { .. } => Kind::NotFound,
            Self::BadReference { .. } => Kind::Malformed,
            Self::Store(error) => error.kind(),
        }
    }
}

/// A release with its id and the revision of its record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// sha256 of the canonical bytes.
    pub id: Digest,
    /// What the hub keeps at hand about it.
    pub record: records::Release,
    /// The store's revision.
    pub revision: u64,
}

/// What a text refers to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reference {
    /// A release by id.
    Id(Digest),
    /// A release by app and version.
    Version(Name, String),
}

/// Whether `version` is one ([`shared::manifest::Metadata::version`]).
pub fn is_version(version: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'+' | b'-');
    (1..=64).contains(&version.len()) && version.bytes().all(allowed)
}

/// Reads `sha256:…`, `app@version`, or, where the app is known, a plain version.
pub fn parse_reference(app: Option<&Name>, text: &str) -> Result<Reference, CatalogError> {
    let bad = || CatalogError::BadReference { reference: text.chars().take(120).collect() };
    if let Ok(id) = text.parse() {
        return Ok(Reference::Id(id));
    }
    let (app, version) = match (text.split_once('@'), app) {
        (Some((app, version)), _) => (Name::new(app).map_err(|_| bad())?, version),
        (None, Some(app)) => (app.clone(), text),
        (None, None) => return Err(bad()),
    };
    if is_version(version) { Ok(Reference::Version(app, version.to_owned())) } else { Err(bad()) }
}

impl Hub {
    /// The release a person means.
    pub async fn find_release(&self, app: Option<&Name>, text: &str) -> Result<Entry, CatalogError> {
        let not_found = || CatalogError::NotFound { reference: text.to_owned() };
        let id = match parse_reference(app, text)? {
            Reference::Id(id) => id,
            Reference::Version(app, version) => self.version_id(&app, &version).await?.ok_or_else(not_found)?,
        };
        self.release(id).await?.ok_or_else(not_found)
    }

    /// The id of a version of an app.
    pub(crate) async fn version_id(&self, app: &Name, version: &str) -> Result<Option<Digest>, StoreError> {
        let key = version_key(app, version);
        self.store.get(&key).await?.map(|record| read_id(&key, &record.value)).transpose()
    }

    /// A release by id.
    pub async fn release(&self, id: Digest) -> Result<Option<Entry>, StoreError> {
        let found = self.record::<records::Release>(&release_key(RELEASES, id)).await?;
        Ok(found.map(|(record, revision)| Entry { id, record, revision }))
    }

    /// The signed bytes of a release, as the publisher sent them.
    pub async fn release_envelope(&self, id: Digest) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.store.get(&release_key(ENVELOPES, id)).await?.map(|record| record.value))
    }

    /// A release with its manifest. It was verified when it was published.
    pub async fn whole_release(&self, id: Digest) -> Result<Option<Release>, StoreError> {
        let damaged = |why: String| StoreError::Damaged { what: format!("release {id}: {why}") };
        let Some(bytes) = self.release_envelope(id).await? else { return Ok(None) };
        let envelope = Envelope::from_bytes(&bytes).map_err(|error| damaged(error.to_string()))?;
        if envelope.payload_digest() != id {
            return Err(damaged("its bytes do not fit its id".into()));
        }
        Release::from_bytes(&envelope.payload).map(Some).map_err(|error| damaged(error.to_string()))
    }

    /// Releases ordered by app and version, behind the version `after`, at most `limit`; of one app if `app` is given.
    pub async fn releases(
        &self,
        app: Option<&Name>,
        after: Option<&str>,
        limit: usize,
    ) -> Result<(Vec<Entry>, Option<String>), StoreError> {
        let prefix = app.map_or_else(|| VERSIONS.to_owned(), |app| format!("{VERSIONS}{app}/"));
        let after = after.map(|after| format!("{VERSIONS}{}", after.replacen('@', "/", 1)));
        let page = self.store.list(&prefix, after.as_deref(), limit).await?;
        let next = (page.len() == limit).then(|| page.last()).flatten();
        let next = next.map(|(key, _)| key.strip_prefix(VERSIONS).unwrap_or(key).replacen('/', "@", 1));
        let mut entries = Vec::with_capacity(page.len());
        for (key, record) in &page {
            entries.extend(self.release(read_id(key, &record.value)?).await?);
        }
        Ok((entries, next))
    }

    /// Every app with its number of releases and the newest one.
    pub async fn apps(&self) -> Result<BTreeMap<Name, (u64, Entry)>, StoreError> {
        let mut apps: BTreeMap<Name, (u64, Entry)> = BTreeMap::new();
        let mut after: Option<String> = None;
        loop {
            let (page, next) = self.releases(None, after.as_deref(), PAGE).await?;
            for entry in page {
                match apps.get_mut(&entry.record.app) {
                    None => drop(apps.insert(entry.record.app.clone(), (1, entry))),
                    Some((count, newest)) => {
                        *count += 1;
                        if (newest.record.created, newest.revision) < (entry.record.created, entry.revision) {
                            *newest = entry;
                        }
                    }
                }
            }
            if next.is_none() {
                return Ok(apps);
            }
            after = next;
        }
    }
}

fn read_id(key: &str, bytes: &[u8]) -> Result<Digest, StoreError> {
    let damaged = |_| StoreError::Damaged { what: format!("record {key}: not a digest") };
    <[u8; 32]>::try_from(bytes).map(Digest::from_bytes).map_err(damaged)
}

/// The record of a release, made from what was published.
pub(crate) fn describe(release: &Release, signers: Vec<Digest>, by: &str, now: shared::time::UnixMillis) -> records::Release {
    let images = release.images.iter().map(|(service, images)| {
        let image = |image: &shared::release::Image| {
            let size = blobs_of(image).map(|blob| blob.size).fold(0, u64::saturating_add);
            (image.platform.to_string(), image.id(), size)
        };
        (service.clone(), images.iter().map(image).collect())
    });
    let blobs: BTreeMap<Digest, u64> =
        release.images.values().flatten().flat_map(blobs_of).map(|blob| (blob.digest, blob.size)).collect();
    let metadata = &release.manifest.metadata;
    records::Release {
        app: metadata.name.clone(),
        version: metadata.version.clone(),
        description: metadata.description.clone(),
        labels: metadata.labels.clone(),
        signers,
        images: images.collect(),
        blobs: blobs.into_iter().map(|(digest, size)| shared::release::Blob { digest, size }).collect(),
        created: now,
        by: by.to_owned(),
    }
}

/// Every blob of an image: what a node that has nothing must fetch.
pub(crate) fn blobs_of(image: &shared::release::Image) -> impl Iterator<Item = shared::release::Blob> {
    [image.manifest, image.config].into_iter().chain(image.layers.iter().map(|layer| layer.blob))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_are_named_in_three_ways() {
        let app = Name::new("web").expect("name");
        let id = Digest::of(b"x");
        let version = |app: &str, version: &str| Some(Reference::Version(Name::new(app).expect("name"), version.into()));
        for (known, text, found) in [
            (None, id.to_string().as_str(), Some(Reference::Id(id))),
            (Some(&app), id.to_string().as_str(), Some(Reference::Id(id))),
            (None, "web@1.0.0", version("web", "1.0.0")),
            (Some(&app), "1.0.0+b_7", version("web", "1.0.0+b_7")),
            (Some(&app), "db@2", version("db", "2")),
            (None, "1.0.0", None),
            (None, "web@", None),
            (None, "web@1/2", None),
            (None, "../x@1", None),
            (None, "web@1@2", None),
            (Some(&app), "", None),
            (Some(&app), "é", None),
            (Some(&app), &"1".repeat(65), None),
        ] {
            assert_eq!(parse_reference(known, text).ok(), found, "{text:?}");
        }
    }
}
