//! What goes into a bundle.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use shared::bundle::{Content, Entry, Index, file_size};
use shared::id::{Digest, Name};
use shared::oci::Platform;
use shared::release::{Blob, Image, Layer, Release};

use super::BundleError;
use crate::catalog::CatalogError;
use crate::delta::Known;
use crate::hub::Hub;
use crate::records::{DESIRED, Desired, key};

/// Most nodes of one bundle.
const NODES_MAX: usize = 256;
/// Most releases that the site has.
const HAVE_MAX: usize = 64;

/// What somebody asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// For these nodes.
    pub(crate) nodes: BTreeSet<Name>,
    /// Their site has these releases, by id or `app@version`.
    pub(crate) have: BTreeSet<String>,
}

/// A bundle that can be sent.
#[derive(Debug)]
pub(crate) struct Plan {
    /// Bytes of the file.
    pub(crate) size: u64,
    pub(super) front: Vec<u8>,
    pub(super) parts: Vec<Part>,
    /// Layers that the site has.
    pub(super) known: Known,
}

/// The bytes of an entry, or where they are.
#[derive(Debug)]
pub(super) enum Part {
    Bytes(Bytes),
    Document(Blob),
    Patch(Layer, Blob),
}

/// Index and parts, as they grow.
#[derive(Default)]
struct Drafted {
    entries: Vec<Entry>,
    parts: Vec<Part>,
}

impl Drafted {
    fn add(&mut self, content: Content, size: u64, part: Part) {
        self.entries.push(Entry { content, size });
        self.parts.push(part);
    }
}

impl Hub {
    /// Plans a bundle; patches that are not there yet are made, and `told` hears how many layers of how many are done.
    pub(crate) async fn plan_bundle(&self, wanted: &Wanted, told: &(impl Fn(u64, u64) + Sync)) -> Result<Plan, BundleError> {
        let Wanted { nodes, have } = wanted;
        for (what, count, max) in [("nodes", nodes.len(), NODES_MAX), ("releases", have.len(), HAVE_MAX)] {
            if count > max {
                return Err(BundleError::TooMany { what, max });
            }
        }
        let mut drafted = Drafted::default();
        let ids = self.add_states(nodes, &mut drafted).await?;
        let mut releases = Vec::with_capacity(ids.len());
        for id in ids {
            releases.push(self.add_release(id, &mut drafted).await?);
        }
        let platforms = self.platforms(nodes);
        let known = self.known_layers(have, platforms.as_ref()).await?;
        let images: Vec<&Image> = releases.iter().flat_map(|release| of_platforms(release, platforms.as_ref())).collect();
        let documents: BTreeSet<Blob> = images.iter().flat_map(|image| [image.manifest, image.config]).collect();
        for blob in documents {
            drafted.add(Content::Document(blob.digest), blob.size, Part::Document(blob));
        }
        let layers: BTreeMap<Digest, Layer> =
            images.iter().flat_map(|image| &image.layers).map(|layer| (layer.tar.digest, *layer)).collect();
        self.add_patches(layers, &known, told, &mut drafted).await?;
        let index = Index { made: self.now(), entries: drafted.entries };
        let front = index.front()?;
        Ok(Plan { size: file_size(&front, &index), front, parts: drafted.parts, known })
    }

    /// The nodes' desired states; the releases that they name.
    async fn add_states(&self, nodes: &BTreeSet<Name>, drafted: &mut Drafted) -> Result<BTreeSet<Digest>, BundleError> {
        let mut ids = BTreeSet::new();
        for node in nodes {
            if self.node(node).await?.0.revoked {
                return Err(BundleError::Revoked(node.clone()));
            }
            let found = self.record::<Desired>(&key(DESIRED, node)).await?;
            let (desired, _) = found.ok_or_else(|| BundleError::NothingSigned(node.clone()))?;
            ids.extend(desired.apps.values().chain(desired.next.values()).map(|assigned| assigned.assignment.release));
            let size = desired.envelope.len() as u64;
            drafted.add(Content::Desired(node.clone()), size, Part::Bytes(desired.envelope.into()));
        }
        Ok(ids)
    }

    async fn add_release(&self, id: Digest, drafted: &mut Drafted) -> Result<Release, BundleError> {
        let gone = || CatalogError::NotFound { reference: id.to_string() };
        let bytes = self.release_envelope(id).await?.ok_or_else(gone)?;
        drafted.add(Content::Release(id), bytes.len() as u64, Part::Bytes(bytes.into()));
        Ok(self.whole_release(id).await?.ok_or_else(gone)?)
    }

    async fn add_patches(
        &self,
        mut layers: BTreeMap<Digest, Layer>,
        known: &Known,
        told: &(impl Fn(u64, u64) + Sync),
        drafted: &mut Drafted,
    ) -> Result<(), BundleError> {
        layers.retain(|diff_id, _| !known.contains_key(diff_id));
        let (have, total) = (known.keys().copied().collect::<Vec<_>>(), layers.len() as u64);
        for (layer, done) in layers.into_values().zip(1..) {
            let made = self.delta.patch(&None, layer, &have, known).await?;
            let content = Content::Patch { layer: layer.tar.digest, patch: made.blob.digest, from: made.from };
            drafted.add(content, made.blob.size, Part::Patch(layer, made.blob));
            told(done, total);
        }
        Ok(())
    }

    /// The nodes' kinds of machines; `None` when one of them never said what it is, and then any may be needed.
    fn platforms(&self, nodes: &BTreeSet<Name>) -> Option<Vec<Platform>> {
        let platform = |node| Some(self.life_of(node)?.report?.facts.platform.clone());
        nodes.iter().map(platform).collect()
    }

    /// The layers of the releases that the site has.
    async fn known_layers(&self, have: &BTreeSet<String>, platforms: Option<&Vec<Platform>>) -> Result<Known, BundleError> {
        let mut known = Known::new();
        for reference in have {
            let entry = self.find_release(None, reference).await?;
            let gone = || CatalogError::NotFound { reference: reference.clone() };
            let release = self.whole_release(entry.id).await?.ok_or_else(gone)?;
            let layers = of_platforms(&release, platforms).flat_map(|image| &image.layers);
            known.extend(layers.map(|layer| (layer.tar.digest, *layer)));
        }
        Ok(known)
    }
}

/// Images of a release that run on one of these machines.
fn of_platforms<'r>(release: &'r Release, platforms: Option<&'r Vec<Platform>>) -> impl Iterator<Item = &'r Image> {
    let fits = move |image: &&Image| platforms.is_none_or(|all| all.iter().any(|machine| image.platform.runs_on(machine)));
    release.images.values().flatten().filter(fits)
}
