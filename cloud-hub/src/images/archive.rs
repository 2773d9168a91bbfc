//! Reads an OCI layout (directory or tar) or a docker archive, each also in gzip or zstd, and verifies everything.
//!
//! Needs no hub: `hubctl` reads on the operator's machine, signs a release over the digests found, and uploads
//! [`ArchiveImage::blobs`] with [`ArchiveImage::open`].

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Cursor, Read};
use std::path::Path;

use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use shared::id::Digest;
use shared::oci::{self, DOCUMENT_MAX, Descriptor};
use shared::release::{Blob, Compression, Image};

use super::docker::{self, Saved};
use super::document::{self, Document, printable};
use super::error::join;
use super::examine::{Known, examine, platform_of, read_document};
use super::source::{Slice, Source};
use super::walk::Forward;
use super::{Content, Finder, ImageError, Limits, OnProgress, Opened, Wanted};

/// Annotations that name an image in a layout: OCI's, and the full name that containerd and Docker add.
const NAMES: [&str; 2] = ["org.opencontainers.image.ref.name", "io.containerd.image.name"];

/// The verified images of an archive, with their bytes at hand.
#[derive(Debug)]
pub struct ArchiveImage {
    /// One per platform.
    pub images: Vec<Image>,
    files: Files,
}

/// The archive's files by digest.
#[derive(Debug)]
struct Files {
    source: Source,
    /// Docker archive: files are named by nothing a digest could tell.
    names: BTreeMap<Digest, String>,
    /// Docker archive: the manifests made for it.
    made: BTreeMap<Digest, Vec<u8>>,
}

/// What an archive offers.
#[derive(Debug, Default)]
struct Listed {
    /// Digest and name of each manifest that may be wanted.
    manifests: Vec<(Digest, String)>,
    /// Platforms that are certainly not.
    left_out: Vec<oci::Platform>,
}

/// Reads and verifies the images of `path` that are `wanted`. `scratch` is a directory with room for the unpacked
/// archive if it is compressed. Blocks as long as reading and inflating everything takes.
pub fn read(
    path: &Path,
    wanted: &Wanted,
    scratch: &Path,
    limits: &Limits,
    progress: OnProgress<'_>,
) -> Result<ArchiveImage, ImageError> {
    let source = Source::open(path, scratch, limits)?;
    let mut files = Files { source, names: BTreeMap::new(), made: BTreeMap::new() };
    let listed = if let Some(index) = files.document("index.json")? {
        files.check_layout()?;
        files.manifests_of_layout(&index, wanted)?
    } else if let Some(saved) = files.saved()? {
        files.manifests_of_saved(&saved, wanted)?
    } else {
        return Err(ImageError::NotAnArchive { why: "it has neither index.json nor manifest.json".into() });
    };
    let images = files.examine(&listed, wanted, limits, progress)?;
    Ok(ArchiveImage { images, files })
}

impl ArchiveImage {
    /// All blobs of the images, each once: layers first, manifests last, so that who has the manifest has it all.
    pub fn blobs(&self) -> Vec<Blob> {
        let layers = self.images.iter().flat_map(|image| image.layers.iter().map(|layer| layer.blob));
        let configs = self.images.iter().map(|image| image.config);
        let manifests = self.images.iter().map(|image| image.manifest);
        let mut seen = BTreeSet::new();
        layers.chain(configs).chain(manifests).filter(|blob| seen.insert(blob.digest)).collect()
    }

    /// The bytes of one of [`blobs`](Self::blobs) from `offset` on. Reading blocks.
    pub fn open(&self, digest: &Digest, offset: u64) -> Result<Box<dyn Read + Send + '_>, ImageError> {
        if let Some(bytes) = self.files.made.get(digest) {
            let mut cursor = Cursor::new(bytes.as_slice());
            cursor.set_position(offset);
            return Ok(Box::new(cursor));
        }
        let mut slice = self.files.slice(digest)?.ok_or(ImageError::Missing { digest: *digest })?;
        slice.skip(offset).map_err(|error| ImageError::io("reading the archive", error))?;
        Ok(Box::new(slice))
    }
}

impl Content for Files {
    fn open(&self, digest: &Digest) -> Result<Option<Opened<'_>>, ImageError> {
        if let Some(bytes) = self.made.get(digest) {
            return Ok(Some((bytes.len() as u64, Box::new(bytes.as_slice()))));
        }
        let slice = self.slice(digest)?;
        Ok(slice.map(|slice| (slice.left(), Box::new(slice) as Box<dyn Read + Send>)))
    }
}

impl Files {
    fn slice(&self, digest: &Digest) -> Result<Option<Slice>, ImageError> {
        match self.names.get(digest) {
            Some(name) => self.source.file(name, true),
            None => self.source.file(&format!("blobs/sha256/{}", digest.hex()), false),
        }
    }

    /// A file that is a document.
    fn document(&self, name: &str) -> Result<Option<Vec<u8>>, ImageError> {
        let Some(slice) = self.source.file(name, false)? else { return Ok(None) };
        if slice.left() > DOCUMENT_MAX {
            return Err(ImageError::TooLarge { what: name.into(), max: DOCUMENT_MAX });
        }
        let mut bytes = Vec::new();
        slice.take(DOCUMENT_MAX).read_to_end(&mut bytes).map_err(|error| ImageError::io("reading the archive", error))?;
        Ok(Some(bytes))
    }

    /// `oci-layout` must be there and have a version 1 (image layout specification).
    fn check_layout(&self) -> Result<(), ImageError> {
        #[derive(Deserialize)]
        struct Marker {
            #[serde(rename = "imageLayoutVersion")]
            version: String,
        }
        let bytes = self.document("oci-layout")?.unwrap_or_default();
        let marker: Marker = serde_json::from_slice(&bytes).map_err(|error| ImageError::document("oci-layout", error))?;
        if marker.version.split('.').next() != Some("1") {
            return Err(ImageError::document("oci-layout", format!("version {:?} is not known", marker.version)));
        }
        Ok(())
    }

    /// The manifests that `index.json` leads to.
    fn manifests_of_layout(&self, index: &[u8], wanted: &Wanted) -> Result<Listed, ImageError> {
        let index: oci::Index = serde_json::from_slice(index).map_err(|error| ImageError::document("index.json", error))?;
        let roots = named(index.manifests, wanted)?;
        let names: BTreeMap<Digest, String> = roots.iter().map(|root| (root.digest, name(root))).collect();
        let mut listed = Listed::default();
        for root in roots {
            let name = names.get(&root.digest).cloned().unwrap_or_default();
            let mut finder = Finder::new(wanted, vec![root]);
            while let Some(next) = finder.next() {
                let bytes = read_document(self, next.digest, Some(next.size))?;
                finder.give(bytes)?;
            }
            let (found, left_out) = finder.finish();
            listed.manifests.extend(found.into_iter().map(|found| (found.descriptor.digest, name.clone())));
            listed.left_out.extend(left_out);
        }
        Ok(listed)
    }

    /// `manifest.json` of a docker archive; a directory has none.
    fn saved(&self) -> Result<Option<Vec<u8>>, ImageError> {
        if self.source.is_directory() { Ok(None) } else { self.document("manifest.json") }
    }

    /// The manifests made for the images of a docker archive.
    fn manifests_of_saved(&mut self, bytes: &[u8], wanted: &Wanted) -> Result<Listed, ImageError> {
        let mut listed = Listed::default();
        for saved in docker::saved(bytes, wanted.name.as_deref())? {
            let bytes = self.make_manifest(&saved)?;
            let digest = Digest::of(&bytes);
            self.made.insert(digest, bytes);
            let tags = saved.repo_tags.unwrap_or_default();
            listed.manifests.push((digest, tags.into_iter().next().unwrap_or_else(|| digest.to_string())));
        }
        Ok(listed)
    }

    fn make_manifest(&mut self, saved: &Saved) -> Result<Vec<u8>, ImageError> {
        let (config, _) = self.hash(&saved.config)?;
        let layers: Vec<_> = saved.layers.iter().map(|name| self.hash(name)).collect::<Result<_, _>>()?;
        docker::manifest(config, &layers)
    }

    /// Reads a file of a docker archive once to know its digest, and remembers it under that.
    fn hash(&mut self, name: &str) -> Result<(Blob, Compression), ImageError> {
        let missing = || ImageError::document("manifest.json", format!("{} is not in the archive", printable(name)));
        let mut slice = self.source.file(name, true)?.ok_or_else(missing)?;
        let (mut hasher, mut buffer, mut size, mut compression) = (Sha256::new(), vec![0; 256 << 10], 0, None);
        loop {
            let read = slice.read(&mut buffer).map_err(|error| ImageError::io("reading the archive", error))?;
            let bytes = buffer.get(..read).unwrap_or_default();
            compression.get_or_insert_with(|| docker::compression(bytes));
            if bytes.is_empty() {
                break;
            }
            hasher.update(bytes);
            size += read as u64;
        }
        let digest = Digest::from_bytes(hasher.finalize().into());
        self.names.insert(digest, name.to_owned());
        Ok((Blob { digest, size }, compression.unwrap_or(Compression::None)))
    }

    /// Verifies what is wanted of `listed`: one image per platform.
    fn examine(
        &self,
        listed: &Listed,
        wanted: &Wanted,
        limits: &Limits,
        progress: OnProgress<'_>,
    ) -> Result<Vec<Image>, ImageError> {
        let mut chosen: BTreeMap<oci::Platform, (Digest, &str)> = BTreeMap::new();
        let mut available = listed.left_out.clone();
        for (digest, name) in &listed.manifests {
            let platform = self.platform(digest)?;
            available.push(platform.clone());
            if !wanted.takes(&platform) {
                continue;
            }
            // Of two for one platform the first counts (image index specification), but not across names.
            let (first, first_name) = *chosen.entry(platform).or_insert((*digest, name.as_str()));
            if first != *digest && first_name != name {
                return Err(ImageError::Ambiguous { names: join(&[first_name, name]) });
            }
        }
        let found: Vec<_> = chosen.keys().cloned().collect();
        wanted.check(&found, &available)?;
        let mut known = Known::new();
        chosen.values().map(|(digest, _)| examine(self, *digest, &mut known, limits, progress)).collect()
    }

    fn platform(&self, digest: &Digest) -> Result<oci::Platform, ImageError> {
        let bytes = read_document(self, *digest, None)?;
        match document::parse(digest, &bytes)? {
            Document::Manifest(manifest) => platform_of(self, &manifest),
            Document::Index(_) => Err(ImageError::document(digest, "an index where a manifest is needed")),
        }
    }
}

/// The descriptors of a layout that have the wanted name.
fn named(manifests: Vec<Descriptor>, wanted: &Wanted) -> Result<Vec<Descriptor>, ImageError> {
    let Some(wanted) = wanted.name.as_deref() else { return Ok(manifests) };
    let names: Vec<String> = manifests.iter().map(name).collect();
    let has = |descriptor: &Descriptor| NAMES.iter().any(|key| descriptor.annotations.get(*key).is_some_and(|n| n == wanted));
    let named: Vec<Descriptor> = manifests.into_iter().filter(has).collect();
    if named.is_empty() { Err(ImageError::NoName { name: wanted.into(), names: join(&names) }) } else { Ok(named) }
}

/// What people call the image of a descriptor.
fn name(descriptor: &Descriptor) -> String {
    let full = NAMES.iter().rev().find_map(|key| descriptor.annotations.get(*key));
    full.map_or_else(|| descriptor.digest.to_string(), |name| printable(name))
}

#[cfg(test)]
mod tests;
