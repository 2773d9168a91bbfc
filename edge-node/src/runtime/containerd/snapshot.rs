//! Snapshots: directories that containerd's snapshotter stacks. Committed ones are layers, named by chain id; active
//! ones belong to a container or to a layer being unpacked.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use containerd_client::services::v1::snapshots::snapshots_client::SnapshotsClient;
use containerd_client::services::v1::snapshots::{
    CommitSnapshotRequest, Info, ListSnapshotsRequest, MountsRequest, PrepareSnapshotRequest, RemoveSnapshotRequest,
    StatSnapshotRequest, UsageRequest, ViewSnapshotRequest,
};
use containerd_client::tonic::transport::Channel;
use containerd_client::types::Mount;
use shared::id::Digest;

use super::client::{Client, exists, failed, missing};
use super::layer::TREE;
use crate::images::extract::Target;
use crate::runtime::RuntimeError;

/// More snapshots than this are not a node's.
const SNAPSHOTS_MAX: usize = 100_000;

/// Layers by chain id.
#[derive(Debug, Default)]
pub struct Layers {
    /// Each with the one below it.
    pub all: BTreeMap<Digest, Option<Digest>>,
    /// Those that can be compared with what was unpacked.
    pub signed: BTreeSet<Digest>,
}

/// The snapshots of one snapshotter, as one client sees them. Cheap to make.
pub struct Snapshots<'a> {
    client: &'a Client,
    snapshotter: &'a str,
}

impl<'a> Snapshots<'a> {
    /// The snapshots of `snapshotter`; what is made is held by the client's lease.
    pub const fn new(client: &'a Client, snapshotter: &'a str) -> Self {
        Self { client, snapshotter }
    }

    fn service(&self) -> SnapshotsClient<Channel> {
        SnapshotsClient::new(self.client.channel())
    }

    /// A writable directory on top of `parent` (empty: on top of nothing).
    pub async fn prepare(&self, key: &str, parent: &str) -> Result<Vec<Mount>, RuntimeError> {
        let request = PrepareSnapshotRequest {
            snapshotter: self.snapshotter.into(),
            key: key.into(),
            parent: parent.into(),
            ..Default::default()
        };
        let prepared = self.service().prepare(self.client.request(request)).await;
        Ok(prepared.map_err(failed("preparing a snapshot"))?.into_inner().mounts)
    }

    /// A read-only view of `parent`.
    pub async fn view(&self, key: &str, parent: &str) -> Result<Vec<Mount>, RuntimeError> {
        let request = ViewSnapshotRequest {
            snapshotter: self.snapshotter.into(),
            key: key.into(),
            parent: parent.into(),
            ..Default::default()
        };
        let viewed = self.service().view(self.client.request(request)).await;
        Ok(viewed.map_err(failed("viewing a snapshot"))?.into_inner().mounts)
    }

    /// The mounts of an active snapshot.
    pub async fn mounts(&self, key: &str) -> Result<Vec<Mount>, RuntimeError> {
        let request = MountsRequest { snapshotter: self.snapshotter.into(), key: key.into() };
        let mounts = self.service().mounts(self.client.request(request)).await;
        Ok(mounts.map_err(failed("reading a snapshot"))?.into_inner().mounts)
    }

    /// Makes the active snapshot `key` the layer `name`, for ever with `labels`. False when that layer is there already;
    /// `key` then stays.
    pub async fn commit(&self, key: &str, name: &str, labels: &[(String, String)]) -> Result<bool, RuntimeError> {
        let request = CommitSnapshotRequest {
            snapshotter: self.snapshotter.into(),
            name: name.into(),
            key: key.into(),
            labels: labels.iter().cloned().collect(),
        };
        match self.service().commit(self.client.request(request)).await {
            Ok(_) => Ok(true),
            Err(status) if exists(&status) => Ok(false),
            Err(status) => Err(failed("committing a snapshot")(status)),
        }
    }

    /// Removes a snapshot; one that is not there is no error.
    pub async fn remove(&self, key: &str) -> Result<(), RuntimeError> {
        let request = RemoveSnapshotRequest { snapshotter: self.snapshotter.into(), key: key.into() };
        match self.service().remove(self.client.request(request)).await {
            Err(status) if !missing(&status) => Err(failed("removing a snapshot")(status)),
            _ => Ok(()),
        }
    }

    /// The labels of the snapshot of this name; `None` when there is none.
    pub async fn labels(&self, name: &str) -> Result<Option<BTreeMap<String, String>>, RuntimeError> {
        let request = StatSnapshotRequest { snapshotter: self.snapshotter.into(), key: name.into() };
        match self.service().stat(self.client.request(request)).await {
            Ok(answer) => Ok(Some(answer.into_inner().info.map(|info| info.labels.into_iter().collect()).unwrap_or_default())),
            Err(status) if missing(&status) => Ok(None),
            Err(status) => Err(failed("reading a snapshot")(status)),
        }
    }

    /// All layers.
    pub async fn layers(&self) -> Result<Layers, RuntimeError> {
        let mut layers = Layers::default();
        for info in self.list(vec!["kind==committed".to_owned()]).await? {
            let Ok(chain) = info.name.parse() else { continue };
            layers.all.insert(chain, info.parent.parse().ok());
            if info.labels.contains_key(TREE) {
                layers.signed.insert(chain);
            }
        }
        Ok(layers)
    }

    /// All snapshots that pass a filter; without filters, all.
    pub async fn list(&self, filters: Vec<String>) -> Result<Vec<Info>, RuntimeError> {
        let request = ListSnapshotsRequest { snapshotter: self.snapshotter.into(), filters };
        let listed = self.service().list(self.client.request(request)).await;
        let mut pages = listed.map_err(failed("listing snapshots"))?.into_inner();
        let mut found = Vec::new();
        while let Some(page) = pages.message().await.map_err(failed("listing snapshots"))? {
            found.extend(page.info);
            if found.len() > SNAPSHOTS_MAX {
                return Err(RuntimeError::Failed { doing: "listing snapshots", cause: format!("more than {SNAPSHOTS_MAX}") });
            }
        }
        Ok(found)
    }

    /// Bytes of the disk that a snapshot takes, without those below it; `None` when it is gone. containerd remembers it of a
    /// layer, and reads the files of a container again.
    pub async fn usage(&self, name: &str) -> Result<Option<u64>, RuntimeError> {
        let request = UsageRequest { snapshotter: self.snapshotter.into(), key: name.into() };
        match self.service().usage(self.client.request(request)).await {
            Ok(usage) => Ok(Some(u64::try_from(usage.into_inner().size).unwrap_or_default())),
            Err(status) if missing(&status) => Ok(None),
            Err(status) => Err(failed("measuring a snapshot")(status)),
        }
    }
}

/// The directories behind the mounts of an active snapshot, when they can be seen: a bind mount is the `lowest` layer's
/// own directory, an overlay names all of them. `None` for block devices, for copies of the layers below (a bind mount
/// above the lowest layer: the `native` snapshotter) and for everything else.
pub fn target(mounts: &[Mount], lowest: bool) -> Option<Target> {
    let [mount] = mounts else { return None };
    match mount.r#type.as_str() {
        "bind" | "rbind" if lowest => Some(Target { upper: mount.source.clone().into(), below: Vec::new() }),
        "overlay" => Some(Target { upper: option(mount, "upperdir")?.into(), below: lower(option(mount, "lowerdir")?)? }),
        _ => None,
    }
}

/// The directories of the layers behind the mounts of a view, topmost first, when they can be seen. Views of
/// [`target`]'s kind only: a bind mount is the one layer.
pub fn directories(mounts: &[Mount]) -> Option<Vec<PathBuf>> {
    let mount = mounts.first()?;
    match mount.r#type.as_str() {
        "bind" | "rbind" => Some(vec![mount.source.clone().into()]),
        "overlay" => lower(option(mount, "lowerdir")?),
        _ => None,
    }
}

/// Makes the directories of a container's own snapshot again, if a power cut took them before they were on disk; whatever the
/// container wrote was lost with them. Without them it could never start again.
pub fn restore(mounts: &[Mount]) -> io::Result<()> {
    let Some(mount) = mounts.first().filter(|mount| mount.r#type == "overlay") else { return Ok(()) };
    let (Some(upper), Some(work)) = (option(mount, "upperdir"), option(mount, "workdir")) else { return Ok(()) };
    for dir in [upper, work].map(Path::new) {
        if !dir.try_exists()? {
            tracing::warn!(dir = %dir.display(), "a container's own files are gone, as after a power cut; it begins without them");
            std::fs::create_dir_all(dir)?;
            // The root of the container looks like that of its image.
            if let Some(below) = option(mount, "lowerdir").and_then(lower).and_then(|dirs| dirs.into_iter().next()) {
                let meta = std::fs::metadata(below)?;
                std::os::unix::fs::chown(dir, Some(meta.uid()), Some(meta.gid()))?;
                std::fs::set_permissions(dir, meta.permissions())?;
            }
        }
    }
    Ok(())
}

fn option<'a>(mount: &'a Mount, key: &str) -> Option<&'a str> {
    mount.options.iter().find_map(|option| option.strip_prefix(key)?.strip_prefix('='))
}

/// overlayfs' list of directories, topmost first. One whose path holds an escaped colon is not ours to guess.
fn lower(list: &str) -> Option<Vec<PathBuf>> {
    (!list.contains('\\')).then(|| list.split(':').map(PathBuf::from).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mount(kind: &str, source: &str, options: &[&str]) -> Mount {
        let options = options.iter().map(ToString::to_string).collect();
        Mount { r#type: kind.into(), source: source.into(), options, ..Default::default() }
    }

    #[test]
    fn directories_are_read_from_mounts() {
        let bind = mount("bind", "/s/1/fs", &["rw", "rbind"]);
        let overlay =
            mount("overlay", "overlay", &["index=off", "workdir=/s/3/work", "upperdir=/s/3/fs", "lowerdir=/s/2/fs:/s/1/fs"]);
        let view = mount("overlay", "overlay", &["lowerdir=/s/2/fs:/s/1/fs"]);
        let block = mount("ext4", "/dev/mapper/x", &[]);
        let below_all = Target { upper: "/s/1/fs".into(), below: vec![] };
        let upper = Target { upper: "/s/3/fs".into(), below: vec!["/s/2/fs".into(), "/s/1/fs".into()] };
        for (mounts, lowest, expected) in [
            (vec![bind.clone()], true, Some(below_all)),
            (vec![bind.clone()], false, None),
            (vec![overlay.clone()], false, Some(upper)),
            (vec![view.clone()], false, None),
            (vec![block.clone()], true, None),
            (vec![bind, overlay], false, None),
            (vec![], true, None),
        ] {
            assert_eq!(target(&mounts, lowest), expected, "{mounts:?}");
        }
        assert_eq!(directories(&[view]), Some(vec!["/s/2/fs".into(), "/s/1/fs".into()]));
        assert_eq!(directories(&[block]), None);
    }
}
