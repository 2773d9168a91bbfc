//! What a rollout sends: the layers of one release against those of another.

use std::collections::{BTreeMap, BTreeSet};

use shared::id::{Digest, Name};
use shared::release::{Layer, Release};

use super::make::{Known, Made};

/// What a node of one platform that has the old release needs for the new one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Needs {
    /// The platform, as the images name it.
    pub(crate) platform: String,
    /// The layers of the new release, each once, in the order of services and images.
    pub(crate) layers: Vec<Need>,
    /// The layers of the old one.
    pub(crate) have: Known,
}

/// A layer of the new release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Need {
    /// Which.
    pub(crate) layer: Layer,
    /// The services whose images have it.
    pub(crate) services: Vec<Name>,
    /// The old release has it.
    pub(crate) is_there: bool,
    /// The patch, once it is made.
    pub(crate) made: Option<Made>,
}

/// Compares two releases, for every platform of the new one.
pub(crate) fn compare(old: &Release, new: &Release) -> Vec<Needs> {
    let images = || new.images.iter().flat_map(|(service, images)| images.iter().map(move |image| (service, image)));
    let platforms: BTreeSet<String> = images().map(|(_, image)| image.platform.to_string()).collect();
    let of_platform = |platform: String| {
        let same = old.images.values().flatten().filter(|image| image.platform.to_string() == platform);
        let have: Known = same.flat_map(|image| &image.layers).map(|layer| (layer.tar.digest, *layer)).collect();
        let mut at: BTreeMap<Digest, usize> = BTreeMap::new();
        let mut layers: Vec<Need> = Vec::new();
        for (service, image) in images().filter(|(_, image)| image.platform.to_string() == platform) {
            for layer in &image.layers {
                let diff_id = layer.tar.digest;
                let place = *at.entry(diff_id).or_insert(layers.len());
                match layers.get_mut(place) {
                    Some(need) if need.services.last() == Some(service) => {}
                    Some(need) => need.services.push(service.clone()),
                    None => {
                        let is_there = have.contains_key(&diff_id);
                        layers.push(Need { layer: *layer, services: vec![service.clone()], is_there, made: None });
                    }
                }
            }
        }
        Needs { platform, layers, have }
    };
    platforms.into_iter().map(of_platform).collect()
}

#[cfg(test)]
mod tests {
    use shared::release::Compression;

    use super::*;
    use crate::images::samples::{image, tar};

    fn release(images: &[(&str, &str, &[&[u8]])]) -> Release {
        let mut all: BTreeMap<Name, Vec<_>> = BTreeMap::new();
        for (service, platform, files) in images {
            let tars: Vec<_> = files.iter().map(|file| (Compression::None, tar(&[("f", file)]))).collect();
            all.entry(Name::new(service).unwrap()).or_default().push(image(platform, &tars).expected());
        }
        let manifest = serde_json::json!({"apiVersion": "causeway/v1", "kind": "App",
            "metadata": {"name": "a", "version": "1"}, "spec": {"services": {}}});
        Release { manifest: serde_json::from_value(manifest).unwrap(), images: all }
    }

    #[test]
    fn each_layer_stands_once_per_platform() {
        let old = release(&[("web", "linux/amd64", &[b"base", b"one"]), ("web", "linux/arm64", &[b"other"])]);
        let new = release(&[
            ("db", "linux/amd64", &[b"base", b"db"]),
            ("web", "linux/amd64", &[b"base", b"two"]),
            ("web", "linux/riscv64", &[b"base"]),
        ]);
        let needs = compare(&old, &new);
        let shown: Vec<_> = (needs.iter())
            .map(|needs| {
                let layers = needs.layers.iter().map(|need| (need.services.len(), need.is_there)).collect::<Vec<_>>();
                (needs.platform.as_str(), needs.have.len(), layers)
            })
            .collect();
        assert_eq!(shown, [("linux/amd64", 2, vec![(2, true), (1, false), (1, false)]), ("linux/riscv64", 0, vec![(1, false)])]);
    }
}
