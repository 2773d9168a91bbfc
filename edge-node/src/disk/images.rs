//! Which images there are, what for, and what is theirs alone. Pure.

use std::collections::{BTreeMap, BTreeSet};

use shared::id::{Digest, Name};
use shared::oci::{Platform, chain_ids};
use shared::release::Image;

use super::{ImageUse, Need, Overhead, ServiceUse};
use crate::held::Holding;
use crate::runtime::Usage;

/// Bytes of each pack, by diff_id.
pub(super) type Layers = BTreeMap<Digest, u64>;

/// The diff_ids of all layers that the node may be told to have.
pub(super) fn layers(holding: &Holding) -> BTreeSet<Digest> {
    let images = holding.releases.values().flat_map(|release| release.images.values().flatten());
    images.flat_map(Image::diff_ids).collect()
}

/// Every image of the releases that the node holds, for `machine`; those that run first.
pub(super) fn images(
    holding: &Holding,
    machine: &Platform,
    running: &BTreeSet<(Name, Name, Digest)>,
    packs: &Layers,
    usage: Option<&Usage>,
) -> Vec<ImageUse> {
    let mut found: BTreeMap<Digest, (&Image, BTreeSet<ServiceUse>)> = BTreeMap::new();
    for (id, release) in &holding.releases {
        let (app, version) = (&release.manifest.metadata.name, &release.manifest.metadata.version);
        for service in release.manifest.spec.services.keys() {
            let Some(image) = release.image(service, machine) else { continue };
            let runs = running.contains(&(app.clone(), service.clone(), *id));
            let is_ready = usage.is_none_or(|usage| usage.images.contains(&image.id()));
            let need = if runs { Need::Running } else { need(holding, app, *id, is_ready) };
            let (app, version, service) = (app.clone(), version.clone(), service.clone());
            let uses = &mut found.entry(image.id()).or_insert_with(|| (image, BTreeSet::new())).1;
            uses.insert(ServiceUse { need, app, version, release: *id, service });
        }
    }
    let mut diffs: BTreeMap<Digest, usize> = BTreeMap::new();
    let mut chains: BTreeMap<Digest, usize> = BTreeMap::new();
    for (image, _) in found.values() {
        own(image).for_each(|diff| *diffs.entry(diff).or_default() += 1);
        chain_ids(&image.diff_ids()).into_iter().for_each(|chain| *chains.entry(chain).or_default() += 1);
    }
    let mut images: Vec<ImageUse> = found
        .into_iter()
        .map(|(id, (image, uses))| {
            let packed = own(image).filter_map(|diff| Some((*packs.get(&diff)?, diffs.get(&diff) == Some(&1))));
            let (packs, own_packs) = sum(packed);
            let unpacked = usage.map(|usage| {
                let chain = chain_ids(&image.diff_ids()).into_iter();
                sum(chain.filter_map(|chain| Some((*usage.layers.get(&chain)?, chains.get(&chain) == Some(&1)))))
            });
            ImageUse {
                image: id,
                need: uses.first().map_or(Need::Unneeded, |first| first.need),
                uses: uses.into_iter().collect(),
                packs,
                unpacked: unpacked.map(|(all, _)| all),
                own: own_packs.saturating_add(unpacked.map_or(0, |(_, own)| own)),
            }
        })
        .collect();
    images.sort_by(|a, b| (a.need, &a.uses).cmp(&(b.need, &b.uses)));
    images
}

/// What a release that does not run is there for.
fn need(holding: &Holding, app: &Name, release: Digest, is_ready: bool) -> Need {
    let memory = holding.memory.get(app);
    let wanted = holding.desired.apps.get(app).is_some_and(|assignment| assignment.release == release);
    let tried = memory.and_then(|memory| memory.trial.as_ref()).is_some_and(|trial| trial.release == release);
    let next = holding.desired.next.get(app) == Some(&release);
    match (wanted || tried, next, is_ready) {
        (true, _, true) => Need::Wanted,
        (true, _, false) | (false, true, false) => Need::Awaited,
        (false, true, true) => Need::Next,
        (false, false, _) if memory.is_some_and(|memory| memory.good == Some(release)) => Need::LastGood,
        (false, false, _) => Need::Unneeded,
    }
}

/// Packs of layers that are unpacked, and the files they were unpacked to.
pub(super) fn overhead(holding: &Holding, packs: &Layers, usage: &Usage) -> Option<Overhead> {
    let (mut both, mut unpacked) = (BTreeMap::new(), BTreeMap::new());
    for image in holding.releases.values().flat_map(|release| release.images.values().flatten()) {
        for (diff, chain) in image.diff_ids().into_iter().zip(chain_ids(&image.diff_ids())) {
            if let (Some(pack), Some(files)) = (packs.get(&diff), usage.layers.get(&chain)) {
                both.insert(diff, *pack);
                unpacked.insert(chain, *files);
            }
        }
    }
    let overhead = Overhead { packs: both.values().sum(), unpacked: unpacked.values().sum() };
    (overhead.unpacked > 0).then_some(overhead)
}

/// Its layers, each once.
fn own(image: &Image) -> impl Iterator<Item = Digest> {
    image.diff_ids().into_iter().collect::<BTreeSet<_>>().into_iter()
}

/// All bytes, and those of what has one owner.
fn sum(parts: impl Iterator<Item = (u64, bool)>) -> (u64, u64) {
    parts.fold((0, 0), |(all, alone): (u64, u64), (bytes, is_alone)| {
        (all.saturating_add(bytes), if is_alone { alone.saturating_add(bytes) } else { alone })
    })
}
