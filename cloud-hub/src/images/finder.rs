//! From a reference to the manifests behind it: through indexes, at most two deep.
//!
//! A state machine without I/O: the caller fetches what [`next`](Finder::next) names and gives it to
//! [`give`](Finder::give), from a registry or from an archive.

use shared::id::Digest;
use shared::oci::{Descriptor, Manifest, Platform};

use super::document::{self, Document};
use super::{ImageError, Wanted};

/// How deep indexes may stand in each other.
const DEPTH_MAX: u8 = 2;
/// Most manifests that are looked at.
const LOOK_MAX: usize = 512;

/// Looks for the manifests of one reference.
#[derive(Debug)]
pub(crate) struct Finder<'w> {
    wanted: &'w Wanted,
    todo: Vec<(Descriptor, u8)>,
    looked: usize,
    found: Vec<Found>,
    /// Platforms that indexes offer and nobody wants.
    left_out: Vec<Platform>,
}

/// One image's manifest.
#[derive(Debug)]
pub(crate) struct Found {
    /// Where it stood.
    pub(crate) descriptor: Descriptor,
    /// What it says.
    pub(crate) manifest: Manifest,
    /// Its bytes.
    pub(crate) bytes: Vec<u8>,
}

impl<'w> Finder<'w> {
    /// Begins at the descriptors of a layout's `index.json`, or at the one of a registry's reference.
    pub(crate) fn new(wanted: &'w Wanted, roots: Vec<Descriptor>) -> Self {
        let mut todo: Vec<_> = roots.into_iter().map(|root| (root, 0)).collect();
        todo.reverse();
        Self { wanted, todo, looked: 0, found: Vec::new(), left_out: Vec::new() }
    }

    /// The document to fetch next.
    pub(crate) fn next(&self) -> Option<&Descriptor> {
        self.todo.last().map(|(descriptor, _)| descriptor)
    }

    /// Takes the bytes of the document [`next`](Self::next) named; their digest was checked.
    pub(crate) fn give(&mut self, bytes: Vec<u8>) -> Result<(), ImageError> {
        let Some((descriptor, depth)) = self.todo.pop() else { return Ok(()) };
        self.looked += 1;
        match document::parse(&descriptor.digest, &bytes)? {
            Document::Manifest(manifest) => {
                if self.found.iter().all(|found| found.descriptor.digest != descriptor.digest) {
                    self.found.push(Found { descriptor, manifest, bytes });
                }
                Ok(())
            }
            Document::Index(children) => self.descend(&descriptor.digest, children, depth + 1),
        }
    }

    /// The manifests found, in the order of the index, and the platforms that were left out.
    pub(crate) fn finish(self) -> (Vec<Found>, Vec<Platform>) {
        (self.found, self.left_out)
    }

    fn descend(&mut self, index: &Digest, children: Vec<Descriptor>, depth: u8) -> Result<(), ImageError> {
        if depth > DEPTH_MAX {
            return Err(ImageError::TooMany { what: index.to_string(), of: "nested indexes", max: DEPTH_MAX.into() });
        }
        let children: Vec<Descriptor> = children.into_iter().filter(|child| !document::is_attestation(child)).collect();
        let (children, others): (Vec<_>, Vec<_>) = children.into_iter().partition(|child| self.is_worth(child));
        self.left_out.extend(others.into_iter().filter_map(|other| other.platform));
        if self.looked + self.todo.len() + children.len() > LOOK_MAX {
            return Err(ImageError::TooMany { what: index.to_string(), of: "manifests", max: LOOK_MAX as u64 });
        }
        self.todo.extend(children.into_iter().rev().map(|child| (child, depth)));
        Ok(())
    }

    /// Whether a descriptor of an index can lead to something wanted: spares fetching what cannot.
    fn is_worth(&self, descriptor: &Descriptor) -> bool {
        descriptor.platform.as_ref().is_none_or(|platform| self.wanted.takes(platform))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use shared::oci::{Index, media};

    use super::*;
    use crate::images::samples;

    /// A world of documents by digest.
    #[derive(Default)]
    struct Documents(BTreeMap<Digest, Vec<u8>>);

    impl Documents {
        fn put(&mut self, bytes: Vec<u8>, platform: &str) -> Descriptor {
            let (digest, size) = (Digest::of(&bytes), bytes.len() as u64);
            self.0.insert(digest, bytes);
            let platform = (!platform.is_empty()).then(|| samples::platform(platform));
            Descriptor { media_type: media::MANIFEST.into(), digest, size, platform, annotations: BTreeMap::new() }
        }

        fn manifest(&mut self, platform: &str, salt: u64) -> Descriptor {
            let config = Descriptor {
                media_type: media::CONFIG.into(),
                digest: Digest::of(&salt.to_le_bytes()),
                size: 8,
                platform: None,
                annotations: BTreeMap::new(),
            };
            let manifest = Manifest { schema_version: 2, config, layers: vec![] };
            self.put(serde_json::to_vec(&manifest).unwrap(), platform)
        }

        fn index(&mut self, manifests: Vec<Descriptor>) -> Descriptor {
            self.put(serde_json::to_vec(&Index { schema_version: 2, manifests }).unwrap(), "")
        }

        fn find(&self, root: Descriptor, platforms: &[&str]) -> Result<Vec<String>, ImageError> {
            let platforms = platforms.iter().map(|text| samples::platform(text)).collect();
            let wanted = Wanted { name: None, platforms };
            let mut finder = Finder::new(&wanted, vec![root]);
            while let Some(next) = finder.next() {
                let bytes = self.0[&next.digest].clone();
                finder.give(bytes)?;
            }
            let name = |found: &Found| found.descriptor.platform.as_ref().map_or("-".into(), ToString::to_string);
            Ok(finder.finish().0.iter().map(name).collect())
        }
    }

    #[test]
    fn indexes_lead_to_the_wanted_platforms() {
        let mut world = Documents::default();
        let names = ["linux/amd64", "linux/arm64/v8", "windows/amd64", "unknown/unknown", "linux/arm/v7"];
        let manifests = (0..).zip(names).map(|(salt, name)| world.manifest(name, salt)).collect();
        let index = world.index(manifests);
        let nested = world.index(vec![index.clone()]);
        let deep = world.index(vec![nested.clone()]);
        let single = world.manifest("", 9);

        let all = vec!["linux/amd64", "linux/arm64/v8", "linux/arm/v7"];
        assert_eq!(world.find(index.clone(), &[]).unwrap(), all);
        assert_eq!(world.find(nested, &[]).unwrap(), all);
        assert_eq!(world.find(index, &["linux/arm64"]).unwrap(), ["linux/arm64/v8"]);
        assert_eq!(world.find(single, &["linux/arm64"]).unwrap(), ["-"], "its config decides");
        assert!(matches!(world.find(deep, &[]), Err(ImageError::TooMany { of: "nested indexes", .. })));
    }

    #[test]
    fn a_huge_index_is_refused_and_a_repeated_manifest_counts_once() {
        let mut world = Documents::default();
        let one = world.manifest("linux/amd64", 0);
        let twice = world.index(vec![one.clone(), one.clone()]);
        assert_eq!(world.find(twice, &[]).unwrap().len(), 1);
        let huge = world.index(vec![one.clone(); 257]);
        assert!(matches!(world.find(huge, &[]), Err(ImageError::TooMany { of: "manifests", .. })));
        let wide: Vec<_> = (0..3)
            .map(|salt| {
                let mut many = vec![one.clone(); 200];
                many.push(world.manifest("linux/amd64", 100 + salt));
                world.index(many)
            })
            .collect();
        let wide = world.index(wide);
        assert!(matches!(world.find(wide, &[]), Err(ImageError::TooMany { of: "manifests", .. })));
    }
}
