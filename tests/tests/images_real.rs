//! Images on a real, private containerd: what our unpacker makes is what containerd's own makes, and nothing that
//! happens on the way leaves anything behind.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use containerd_client::types::Mount;
use edge_node::budget::Ledger;
use edge_node::clock::Clock;
use edge_node::images::content::Content;
use edge_node::images::fetch::{Present, fetch};
use edge_node::images::memory::Memory;
use edge_node::runtime::RuntimeError;
use edge_node::runtime::containerd::client::Client;
use edge_node::runtime::containerd::image::Images;
use edge_node::runtime::containerd::lease::Lease;
use edge_node::runtime::containerd::snapshot::Snapshots;
use rustix::mount::{MountFlags, UnmountFlags};
use scenarios::containerd::Private;
use shared::fault::Faulty;
use shared::id::Digest;
use shared::oci::{Platform, chain_ids};
use shared::recipe::pack::PackWriter;
use shared::release::{Blob, Compression, Image, Layer};
use shared::time::UnixMillis;

const OVERLAYFS: &str = "overlayfs";

// ---------------------------------------------------------------- images

/// The bytes of a tar, entry by entry.
#[derive(Default)]
struct Tar(Vec<u8>);

impl Tar {
    fn add(mut self, kind: u8, path: &str, link: &str, data: &[u8], change: impl Fn(&mut tar::Header)) -> Self {
        let mut header = tar::Header::new_ustar();
        header.as_old_mut().linkflag = [kind];
        header.as_old_mut().name[..path.len()].copy_from_slice(path.as_bytes());
        header.as_old_mut().linkname[..link.len()].copy_from_slice(link.as_bytes());
        header.set_mode(if kind == b'5' { 0o755 } else { 0o644 });
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(1_700_000_000);
        header.set_size(data.len() as u64);
        header.set_device_major(0).unwrap();
        header.set_device_minor(0).unwrap();
        change(&mut header);
        header.set_cksum();
        self.0.extend(header.as_bytes());
        self.0.extend(data);
        self.0.resize(self.0.len().next_multiple_of(512), 0);
        self
    }

    fn dir(self, path: &str) -> Self {
        self.add(b'5', path, "", b"", |_| {})
    }

    fn file(self, path: &str, data: &[u8]) -> Self {
        self.add(b'0', path, "", data, |_| {})
    }

    fn pax(self, key: &str, value: &[u8]) -> Self {
        let rest = 3 + key.len() + value.len();
        let length = (1..9).map(|digits| rest + digits).find(|n| n.to_string().len() + rest == *n).unwrap();
        let body = [format!("{length} {key}=").as_bytes(), value, b"\n"].concat();
        self.add(b'x', "pax", "", &body, |_| {})
    }

    fn end(mut self) -> Vec<u8> {
        self.0.resize(self.0.len() + 1024, 0);
        self.0
    }
}

fn lower() -> Vec<u8> {
    let busybox = std::fs::read("/bin/busybox").expect("busybox-static is installed");
    Tar::default()
        .dir("./")
        .dir("bin/")
        .add(b'0', "bin/busybox", "", &busybox, |h| h.set_mode(0o755))
        .add(b'1', "bin/sh", "bin/busybox", b"", |h| h.set_mode(0o755))
        .add(b'5', "etc/", "", b"", |h| {
            h.set_mode(0o1775);
            h.set_uid(3);
            h.set_gid(4);
        })
        .pax("SCHILY.xattr.user.kept", b"yes")
        .add(b'5', "srv/", "", b"", |h| h.set_mode(0o750))
        .file("etc/gone", b"gone")
        .file("etc/kept", b"kept")
        .dir("cache/")
        .file("cache/old", b"old")
        .dir("tree/")
        .file("tree/a", b"a")
        .end()
}

fn middle() -> Vec<u8> {
    Tar::default()
        .file("etc/.wh.gone", b"")
        .file("cache/.wh..wh..opq", b"")
        .file("cache/new", b"new")
        .file("srv/implicit/parents/file", b"x")
        .add(b'0', "etc/owned", "", b"owned", |h| {
            h.set_uid(1234);
            h.set_gid(2345);
            h.set_mode(0o6755);
        })
        .pax("SCHILY.xattr.security.capability", b"\x01\0\0\x02\x0a\x04\0\0\0\0\0\0\0\0\0\0\0\0\0\0")
        .file("bin/capable", b"#!")
        .file("tree", b"a file now")
        .add(b'6', "fifo", "", b"", |_| {})
        .end()
}

fn upper() -> Vec<u8> {
    Tar::default()
        .file("etc/.wh.nothing", b"")
        .add(b'2', "link", "../../etc/kept", b"", |_| {})
        .add(b'2', "dir-link", "/etc", b"", |_| {})
        .pax("mtime", b"1600000000.123456789")
        .pax_file("名/ünï", b"unicode")
        .add(b'3', "null", "", b"", |h| {
            h.set_device_major(1).unwrap();
            h.set_device_minor(3).unwrap();
        })
        .file("big", &noise(3 << 20))
        .end()
}

impl Tar {
    fn pax_file(self, path: &str, data: &[u8]) -> Self {
        self.pax("path", path.as_bytes()).file("short", data)
    }
}

fn noise(size: usize) -> Vec<u8> {
    (0..size as u64).map(|n| (n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 29) as u8).collect()
}

fn packed(tar: &[u8], compression: Compression) -> Vec<u8> {
    match compression {
        Compression::None => tar.to_vec(),
        Compression::Gzip => {
            let mut writer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            writer.write_all(tar).unwrap();
            writer.finish().unwrap()
        }
        Compression::Zstd => zstd::encode_all(tar, 3).unwrap(),
    }
}

/// An image with all its blobs.
#[derive(Clone)]
struct Made {
    image: Image,
    memory: Memory,
    blobs: Vec<Vec<u8>>,
}

/// `spoil` changes what is signed about the layers.
fn make(layers: &[(Vec<u8>, Compression)], spoil: impl Fn(&mut [Layer])) -> Made {
    let (mut memory, mut blobs) = (Memory::default(), Vec::new());
    let mut add = |bytes: Vec<u8>| {
        blobs.push(bytes.clone());
        memory.insert(bytes)
    };
    let layer = |(tar, compression): &(Vec<u8>, Compression)| {
        let signed = Blob { digest: Digest::of(tar), size: tar.len() as u64 };
        Layer { blob: add(packed(tar, *compression)), compression: *compression, tar: signed }
    };
    let tars = layers;
    let mut layers: Vec<Layer> = tars.iter().map(layer).collect();
    spoil(&mut layers);
    let diff_ids: Vec<_> = layers.iter().map(|layer| layer.tar.digest).collect();
    let config = serde_json::json!({
        "os": "linux", "architecture": std::env::consts::ARCH.replace("x86_64", "amd64").replace("aarch64", "arm64"),
        "config": {"Cmd": ["/bin/sh"], "Labels": {"containerd.io/restart.status": "running"}},
        "rootfs": {"type": "layers", "diff_ids": diff_ids},
    });
    let config = add(config.to_string().into_bytes());
    let media = |layer: &Layer| match layer.compression {
        Compression::None => "application/vnd.oci.image.layer.v1.tar",
        Compression::Gzip => "application/vnd.oci.image.layer.v1.tar+gzip",
        Compression::Zstd => "application/vnd.oci.image.layer.v1.tar+zstd",
    };
    let descriptor = |media: &str, blob: Blob| serde_json::json!({"mediaType": media, "digest": blob.digest, "size": blob.size});
    let manifest = serde_json::json!({
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": descriptor("application/vnd.oci.image.config.v1+json", config),
        "layers": layers.iter().map(|layer| descriptor(media(layer), layer.blob)).collect::<Vec<_>>(),
    });
    let manifest = add(manifest.to_string().into_bytes());
    for (layer, (tar, _)) in layers.iter().zip(tars) {
        memory.insert_as(layer.tar.digest, tar).unwrap();
    }
    let platform = Platform { os: "linux".into(), architecture: "amd64".into(), variant: String::new() };
    Made { image: Image { platform, manifest, config, layers }, memory, blobs }
}

fn three_layers() -> Made {
    make(&[(lower(), Compression::Gzip), (middle(), Compression::Zstd), (upper(), Compression::None)], |_| {})
}

/// The image as an OCI archive.
fn archive(made: &Made, path: &Path) {
    let mut tar = Tar::default().file("oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#);
    let manifest = serde_json::json!({
        "mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": made.image.id(), "size": made.image.manifest.size,
        "annotations": {"org.opencontainers.image.ref.name": "other"},
    });
    let index = serde_json::json!({"schemaVersion": 2, "manifests": [manifest]});
    tar = tar.file("index.json", index.to_string().as_bytes());
    for blob in &made.blobs {
        tar = tar.file(&format!("blobs/sha256/{}", Digest::of(blob).hex()), blob);
    }
    std::fs::write(path, tar.end()).unwrap();
}

// ---------------------------------------------------------------- the desk

struct Desk {
    private: Private,
    client: Client,
    content: Content,
    images: Images,
    dir: tempfile::TempDir,
}

async fn desk(snapshotter: &str) -> Desk {
    let dir = tempfile::tempdir().unwrap();
    let private = Private::start(&dir.path().join("ctd")).await;
    let client = Client::connect(&private.socket(), private.namespace()).await.unwrap();
    let content = Content::open(dir.path(), "boot").unwrap();
    let images = Images::new(client.clone(), snapshotter, content.clone());
    Desk { private, client, content, images, dir }
}

fn now() -> UnixMillis {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    UnixMillis(since.as_millis() as u64)
}

impl Desk {
    async fn fetch(&self, made: &Made) {
        let layers = self.images.unpacked().await.unwrap().layers;
        let unpacked = Present { layers, root: self.images.root().await };
        let progress = tokio::sync::watch::Sender::default();
        fetch(&made.memory, &self.content, &made.image, &unpacked, &Ledger::unlimited(Clock::system()), &progress).await.unwrap();
    }

    async fn bring(&self, made: &Made) -> Result<(), RuntimeError> {
        self.fetch(made).await;
        self.images.unpack(&made.image, now()).await
    }

    fn ctr(&self, namespace: &str, args: &[&str]) -> String {
        let output = Command::new("ctr").arg("--address").arg(self.private.socket()).args(["-n", namespace]).args(args).output();
        let output = output.expect("ctr is installed");
        assert!(output.status.success(), "ctr {args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Every snapshot of the namespace, by name.
    fn snapshots(&self, snapshotter: &str) -> Vec<String> {
        let listed = self.ctr(self.private.namespace(), &["snapshots", "--snapshotter", snapshotter, "ls"]);
        listed.lines().skip(1).filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect()
    }

    /// Directories that the snapshotter has on disk.
    fn directories(&self) -> usize {
        let dir = self.private.root().join("io.containerd.snapshotter.v1.overlayfs/snapshots");
        std::fs::read_dir(dir).map_or(0, Iterator::count)
    }

    /// Runs the garbage collector to its end.
    async fn collect(&self) {
        let lease = Lease::take(&self.client, "none".into(), now()).await.unwrap();
        drop(lease);
        self.ctr(self.private.namespace(), &["leases", "rm", "--sync", "none"]);
    }

    /// The tree that a container of the image would see.
    async fn tree(&self, client: &Client, snapshotter: &str, image: &Image) -> BTreeMap<PathBuf, String> {
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
struct Mounted(PathBuf);

impl Mounted {
    fn new(mount: &Mount, point: PathBuf) -> Self {
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
fn walk(root: &Path, path: &Path, tree: &mut BTreeMap<PathBuf, String>) {
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

fn attributes(path: &Path) -> String {
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

// ---------------------------------------------------------------- tests

#[tokio::test]
async fn the_tree_is_the_one_that_containerd_makes() {
    let desk = desk(OVERLAYFS).await;
    let made = three_layers();
    desk.bring(&made).await.unwrap();
    assert!(desk.images.root().await.is_some_and(|root| root.is_dir()), "where layers are unpacked");
    let unpacked = desk.images.unpacked().await.unwrap();
    assert_eq!(unpacked.images, BTreeSet::from([made.image.id()]));
    assert_eq!(unpacked.layers, chain_ids(&made.image.diff_ids()).into_iter().collect());
    assert_eq!(desk.content.patches.sweep(&BTreeSet::new()).unwrap(), 0, "no patch is kept");

    let other = format!("{}-ctr", desk.private.namespace());
    let path = desk.dir.path().join("image.tar");
    archive(&made, &path);
    desk.ctr(&other, &["images", "import", path.to_str().unwrap()]);
    let theirs = Client::connect(&desk.private.socket(), &other).await.unwrap();
    let (ours, theirs) =
        (desk.tree(&desk.client, OVERLAYFS, &made.image).await, desk.tree(&theirs, OVERLAYFS, &made.image).await);
    assert_eq!(ours, theirs);
    assert!(ours.len() > 15, "{ours:#?}");
    for (path, there) in [("etc/gone", false), ("etc/kept", true), ("cache/old", false), ("cache/new", true), ("big", true)] {
        assert_eq!(ours.contains_key(Path::new(path)), there, "{path}");
    }
    assert!(ours[Path::new("bin/capable")].contains("security.capability"), "{ours:#?}");

    let config = desk.images.config(made.image.id()).await.unwrap();
    assert_eq!(config.config.cmd, ["/bin/sh"]);
    let name = format!("causeway/{}", made.image.id().hex());
    let script = "cat /etc/kept; busybox stat -c ' %u:%g %a' /etc/owned; ls /cache";
    let run = ["run", "--rm", &name, "reader", "/bin/busybox", "sh", "-c", script];
    assert_eq!(desk.ctr(desk.private.namespace(), &run), "kept 1234:2345 6755\nnew\n");
    let labels = desk.ctr(desk.private.namespace(), &["images", "ls"]);
    assert!(!labels.contains("restart"), "no label of the image reaches containerd: {labels}");
}

#[tokio::test]
async fn unpacking_goes_on_after_being_cut_off_anywhere() {
    let mut desk = desk(OVERLAYFS).await;
    let made = three_layers();
    desk.fetch(&made).await;
    let mut limit = Duration::from_millis(1);
    let mut cuts = 0;
    while tokio::time::timeout(limit, desk.images.unpack(&made.image, now())).await.is_err() {
        limit += Duration::from_millis(4);
        cuts += 1;
        if cuts % 5 == 0 {
            // containerd dies as well, with the daemon's calls under way
            let unpacking = tokio::spawn({
                let (images, image) = (desk.images.clone(), made.image.clone());
                async move { images.unpack(&image, now()).await }
            });
            tokio::time::sleep(limit).await;
            desk.private.kill();
            drop(unpacking.await.unwrap());
            desk.private.restart().await;
        }
    }
    assert!(cuts > 0);
    let fresh = self::desk(OVERLAYFS).await;
    fresh.bring(&made).await.unwrap();
    let [a, b] = [&desk, &fresh].map(|desk| desk.tree(&desk.client, OVERLAYFS, &made.image));
    assert_eq!(a.await, b.await);
    desk.collect().await;
    assert_eq!(desk.snapshots(OVERLAYFS).len(), 3, "{cuts} cuts leave nothing: {:?}", desk.snapshots(OVERLAYFS));
    assert_eq!(desk.directories(), 3);
}

#[tokio::test]
async fn layers_other_than_signed_are_refused_and_leave_nothing() {
    let desk = desk(OVERLAYFS).await;
    let layers = [(lower(), Compression::Gzip), (middle(), Compression::Zstd)];
    let other = make(&layers, |layers| layers[1].tar.digest = Digest::of(b"something else"));
    // A source that says so is refused while it is fetched; a pack that says so, however it came, while it is unpacked.
    let (none, progress) = (Present::default(), tokio::sync::watch::Sender::default());
    let error = fetch(&other.memory, &desk.content, &other.image, &none, &Ledger::unlimited(Clock::system()), &progress)
        .await
        .unwrap_err();
    assert_eq!(error.fault().code, "image-patch-unfit");
    let signed = other.image.layers[1].tar;
    let mut lie = PackWriter::new(Vec::new()).unwrap();
    lie.put(&middle()).unwrap();
    std::fs::write(desk.content.packs.path(signed.digest), lie.finish(signed).unwrap()).unwrap();
    let error = desk.bring(&other).await.unwrap_err();
    assert_eq!(error.fault().code, "image-layer-differs");
    desk.collect().await;
    assert_eq!(desk.snapshots(OVERLAYFS), Vec::<String>::new());
    assert_eq!(desk.directories(), 0);
    assert_eq!(desk.images.unpacked().await.unwrap().images, BTreeSet::new());
    assert!(!desk.content.packs.has(other.image.layers[1].tar.digest), "what makes another layer is not kept");
    // The documents must say what was signed, too.
    let mut made = three_layers();
    made.image.layers.pop();
    assert_eq!(desk.bring(&made).await.unwrap_err().fault().code, "image-documents-differ");

    // A pack that was damaged on this disk is thrown away, and fetched again.
    let made = three_layers();
    desk.fetch(&made).await;
    let path = desk.content.packs.path(made.image.layers[1].tar.digest);
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[100] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let error = desk.images.unpack(&made.image, now()).await.unwrap_err();
    assert_eq!(error.fault().code, "image-pack-damaged");
    assert!(!path.exists());
    desk.bring(&made).await.unwrap();
}

#[tokio::test]
async fn images_share_layers_and_removal_frees_what_nobody_needs() {
    let desk = desk(OVERLAYFS).await;
    let base = (lower(), Compression::Gzip);
    let a = make(&[base.clone(), (middle(), Compression::Gzip)], |_| {});
    let b = make(&[base, (upper(), Compression::Zstd)], |_| {});
    desk.fetch(&a).await;
    desk.fetch(&b).await;
    // Side by side, twice each, while garbage is collected all the time.
    let collecting = tokio::spawn({
        let client = desk.client.clone();
        async move {
            loop {
                let lease = Lease::take(&client, "garbage".into(), now()).await.unwrap();
                lease.release(&client).await.unwrap();
            }
        }
    });
    let unpack = |made: &Made| {
        let (images, image) = (desk.images.clone(), made.image.clone());
        async move { images.unpack(&image, now()).await }
    };
    let all = tokio::join!(unpack(&a), unpack(&b), unpack(&a), unpack(&b));
    collecting.abort();
    assert!(all.0.is_ok() && all.1.is_ok() && all.2.is_ok() && all.3.is_ok(), "{all:?}");
    desk.collect().await;
    assert_eq!((desk.snapshots(OVERLAYFS).len(), desk.directories()), (3, 3));

    let before = desk.tree(&desk.client, OVERLAYFS, &b.image).await;
    desk.images.remove(a.image.id()).await.unwrap();
    assert_eq!((desk.snapshots(OVERLAYFS).len(), desk.directories()), (2, 2));
    assert_eq!(desk.tree(&desk.client, OVERLAYFS, &b.image).await, before);
    desk.images.remove(b.image.id()).await.unwrap();
    desk.images.remove(b.image.id()).await.unwrap();
    assert_eq!((desk.snapshots(OVERLAYFS).len(), desk.directories()), (0, 0));
    assert_eq!(desk.ctr(desk.private.namespace(), &["content", "ls", "-q"]), "");

    // The packs are still there: nothing of a layer is asked for again.
    let bare = Made { memory: Memory::default(), ..b.clone() };
    let Made { mut memory, image, blobs } = bare;
    for blob in blobs.iter().filter(|blob| blob.len() < 4096) {
        memory.insert(blob.clone());
    }
    desk.bring(&Made { memory, image, blobs }).await.unwrap();
    assert_eq!(desk.tree(&desk.client, OVERLAYFS, &b.image).await, before);
}

#[tokio::test]
async fn a_snapshotter_without_overlay_goes_through_containerd() {
    let direct = desk(OVERLAYFS).await;
    let native = desk("native").await;
    let made = three_layers();
    direct.bring(&made).await.unwrap();
    native.bring(&made).await.unwrap();
    let ours = native.tree(&native.client, "native", &made.image).await;
    let same = direct.tree(&direct.client, OVERLAYFS, &made.image).await;
    assert_eq!(ours.keys().collect::<Vec<_>>(), same.keys().collect::<Vec<_>>());
    for path in ["etc/owned", "cache/new", "big", "tree", "bin/capable", "etc"] {
        assert_eq!(ours[Path::new(path)], same[Path::new(path)], "{path}");
    }
    native.collect().await;
    let content = native.ctr(native.private.namespace(), &["content", "ls", "-q"]);
    assert_eq!(content.lines().count(), 2, "manifest and config stay, layers do not: {content}");
}

#[tokio::test]
async fn writes_into_the_content_store_go_on_where_they_stopped() {
    let desk = desk("native").await;
    let made = three_layers();
    desk.fetch(&made).await;
    let mut limit = Duration::from_millis(1);
    loop {
        limit += Duration::from_millis(7);
        match tokio::time::timeout(limit, desk.images.unpack(&made.image, now())).await {
            Ok(Ok(())) => break,
            // The write that was cut off may still hold its name for a moment.
            Ok(Err(RuntimeError::Unreachable(_))) | Err(_) => {}
            Ok(Err(error)) => panic!("{error}"),
        }
    }
    desk.collect().await;
    assert_eq!(desk.snapshots("native").len(), 3);
}
