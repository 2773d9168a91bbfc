//! The node's images on a private containerd, and what can be asked of them.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use containerd_client::types::Mount;
use edge_node::boot::Boot;
use edge_node::budget::Ledger;
use edge_node::clock::Clock;
use edge_node::images::content::Content;
use edge_node::images::fetch::{Present, fetch};
use edge_node::runtime::RuntimeError;
use edge_node::runtime::containerd::client::Client;
use edge_node::runtime::containerd::image::Images;
use edge_node::runtime::containerd::lease::Lease;
use edge_node::runtime::containerd::proof::Proofs;
use edge_node::runtime::containerd::snapshot::Snapshots;
use rustix::mount::{MountFlags, UnmountFlags};
use scenarios::containerd::Private;
use shared::id::Digest;
use shared::oci::chain_ids;
use shared::release::Image;
use shared::time::UnixMillis;

use super::images::Made;

pub const OVERLAYFS: &str = "overlayfs";

pub struct Desk {
    pub private: Private,
    pub client: Client,
    pub content: Content,
    pub images: Images,
    pub dir: tempfile::TempDir,
}

pub async fn desk(snapshotter: &str) -> Desk {
    let dir = tempfile::tempdir().unwrap();
    let private = Private::start(&dir.path().join("ctd")).await;
    let client = Client::connect(&private.socket(), private.namespace()).await.unwrap();
    let content = Content::open(dir.path(), "boot").unwrap();
    let images = Images::new(client.clone(), snapshotter, content.clone(), proofs(dir.path(), false));
    Desk { private, client, content, images, dir }
}

/// What a daemon knows at its beginning, the first one in a boot or not.
pub fn proofs(state: &Path, first: bool) -> Proofs {
    Proofs::new(Arc::new(Boot::begin(state, first).unwrap()), Arc::default())
}

pub fn now() -> UnixMillis {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    UnixMillis(since.as_millis() as u64)
}

impl Desk {
    pub async fn fetch(&self, made: &Made) {
        let layers = self.images.unpacked().await.unwrap().layers;
        let unpacked = Present { layers, root: self.images.root().await };
        let progress = tokio::sync::watch::Sender::default();
        fetch(&made.memory, &self.content, &made.image, &unpacked, &Ledger::unlimited(Clock::system()), &progress).await.unwrap();
    }

    pub async fn bring(&self, made: &Made) -> Result<(), RuntimeError> {
        self.fetch(made).await;
        self.images.unpack(&made.image, now()).await
    }

    pub fn ctr(&self, namespace: &str, args: &[&str]) -> String {
        let output = Command::new("ctr").arg("--address").arg(self.private.socket()).args(["-n", namespace]).args(args).output();
        let output = output.expect("ctr is installed");
        assert!(output.status.success(), "ctr {args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Every snapshot of the namespace, by name.
    pub fn snapshots(&self, snapshotter: &str) -> Vec<String> {
        let listed = self.ctr(self.private.namespace(), &["snapshots", "--snapshotter", snapshotter, "ls"]);
        listed.lines().skip(1).filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect()
    }

    /// Directories that the snapshotter has on disk.
    pub fn directories(&self) -> usize {
        let dir = self.private.root().join("io.containerd.snapshotter.v1.overlayfs/snapshots");
        std::fs::read_dir(dir).map_or(0, Iterator::count)
    }

    /// Runs the garbage collector to its end.
    pub async fn collect(&self) {
        let lease = Lease::take(&self.client, "none".into(), now()).await.unwrap();
        drop(lease);
        self.ctr(self.private.namespace(), &["leases", "rm", "--sync", "none"]);
    }

    /// The tree that a container of the image would see.
    pub async fn tree(&self, client: &Client, snapshotter: &str, image: &Image) -> BTreeMap<PathBuf, String> {
        let snapshots = Snapshots::new(client, snapshotter);
        let top = *chain_ids(&image.diff_ids()).last().unwrap();
        let mounts = snapshots.view("tree", &top.to_string()).await.unwrap();
        let point = self.dir.path().join("point");
        std::fs::create_dir_all(&point).unwrap();
        let mounted = Mounted::new(&mounts[0], point);
        let mut tree = BTreeMap::new();
        walk(&mounted.0, Path::new(""), &mut tree);
        drop(mounted);
        snapshots.remove("tree").await.unwrap();
        tree
    }
}

/// A mount that ends with the test, whichever way.
pub struct Mounted(PathBuf);

impl Mounted {
    pub fn new(mount: &Mount, point: PathBuf) -> Self {
        if mount.r#type == "overlay" {
            let data = std::ffi::CString::new(mount.options.join(",")).unwrap();
            rustix::mount::mount("overlay", &point, "overlay", MountFlags::RDONLY, data.as_c_str()).unwrap();
        } else {
            rustix::mount::mount_bind(&mount.source, &point).unwrap();
        }
        Self(point)
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = rustix::mount::unmount(&self.0, UnmountFlags::DETACH);
    }
}

/// Everything that can be seen of each file, in one line.
pub fn walk(root: &Path, path: &Path, tree: &mut BTreeMap<PathBuf, String>) {
    for entry in std::fs::read_dir(root.join(path)).unwrap().map(Result::unwrap) {
        let (path, full) = (path.join(entry.file_name()), entry.path());
        let meta = full.symlink_metadata().unwrap();
        let content = match meta.file_type() {
            kind if kind.is_file() => Digest::of(&std::fs::read(&full).unwrap()).short(),
            kind if kind.is_symlink() => std::fs::read_link(&full).unwrap().display().to_string(),
            _ => String::new(),
        };
        // containerd lets a directory that a layer adds to without naming it have the time of that moment.
        let time = if meta.is_dir() { (0, 0) } else { (meta.mtime(), meta.mtime_nsec()) };
        let links = if meta.is_dir() { 0 } else { meta.nlink() };
        let numbers = (meta.mode(), meta.uid(), meta.gid(), meta.rdev(), links);
        tree.insert(path.clone(), format!("{numbers:?} {time:?} {content} {}", attributes(&full)));
        if meta.is_dir() {
            walk(root, &path, tree);
        }
    }
}

pub fn attributes(path: &Path) -> String {
    let mut names = vec![0; 4096];
    let length = rustix::fs::llistxattr(path, names.as_mut_slice()).unwrap();
    let mut found = Vec::new();
    for name in names[..length].split(|byte| *byte == 0).filter(|name| !name.is_empty()) {
        let mut value = vec![0; 4096];
        let length = rustix::fs::lgetxattr(path, name, value.as_mut_slice()).unwrap();
        found.push(format!("{}={}", name.escape_ascii(), value[..length].escape_ascii()));
    }
    found.sort();
    found.join(",")
}

impl Desk {
    /// The daemon's next life.
    pub fn life(&self, first: bool) -> Images {
        Images::new(self.client.clone(), OVERLAYFS, self.content.clone(), proofs(self.dir.path(), first))
    }

    /// The machine went down under the daemon, and is up again.
    pub fn reboot(&mut self) {
        self.images = self.life(true);
    }

    /// Returns when there is no doubt any more.
    pub async fn settled(&self, doubtful: &Path) {
        while doubtful.exists() {
            assert_eq!(self.images.unpacked().await.unwrap().damaged, BTreeSet::new());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}
