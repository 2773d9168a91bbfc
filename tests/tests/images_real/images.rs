//! Images of a few small layers in which there is one of everything.

use std::io::Write;
use std::path::Path;

use edge_node::images::memory::Memory;
use shared::id::Digest;
use shared::oci::Platform;
use shared::recipe::Recipe;
use shared::release::{Blob, Compression, Image, Layer};

/// The bytes of a tar, entry by entry.
#[derive(Default)]
pub struct Tar(Vec<u8>);

impl Tar {
    pub fn add(mut self, kind: u8, path: &str, link: &str, data: &[u8], change: impl Fn(&mut tar::Header)) -> Self {
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

    pub fn dir(self, path: &str) -> Self {
        self.add(b'5', path, "", b"", |_| {})
    }

    pub fn file(self, path: &str, data: &[u8]) -> Self {
        self.add(b'0', path, "", data, |_| {})
    }

    pub fn pax(self, key: &str, value: &[u8]) -> Self {
        let rest = 3 + key.len() + value.len();
        let length = (1..9).map(|digits| rest + digits).find(|n| n.to_string().len() + rest == *n).unwrap();
        let body = [format!("{length} {key}=").as_bytes(), value, b"\n"].concat();
        self.add(b'x', "pax", "", &body, |_| {})
    }

    pub fn end(mut self) -> Vec<u8> {
        self.0.resize(self.0.len() + 1024, 0);
        self.0
    }
}

pub fn lower() -> Vec<u8> {
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

pub fn middle() -> Vec<u8> {
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

pub fn upper() -> Vec<u8> {
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
    pub fn pax_file(self, path: &str, data: &[u8]) -> Self {
        self.pax("path", path.as_bytes()).file("short", data)
    }
}

pub fn noise(size: usize) -> Vec<u8> {
    (0..size as u64).map(|n| (n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 29) as u8).collect()
}

pub fn packed(tar: &[u8], compression: Compression) -> Vec<u8> {
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
pub struct Made {
    pub image: Image,
    pub memory: Memory,
    pub blobs: Vec<Vec<u8>>,
}

/// `spoil` changes what is signed about the layers.
pub fn make(layers: &[(Vec<u8>, Compression)], spoil: impl Fn(&mut [Layer])) -> Made {
    let (mut memory, mut blobs) = (Memory::default(), Vec::new());
    let mut add = |bytes: Vec<u8>| {
        blobs.push(bytes.clone());
        memory.insert(bytes)
    };
    let layer = |(tar, compression): &(Vec<u8>, Compression)| {
        let signed = Blob { digest: Digest::of(tar), size: tar.len() as u64 };
        let recipe = Recipe::of(tar).id();
        Layer { blob: add(packed(tar, *compression)), compression: *compression, tar: signed, recipe }
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

pub fn three_layers() -> Made {
    make(&[(lower(), Compression::Gzip), (middle(), Compression::Zstd), (upper(), Compression::None)], |_| {})
}

/// The image as an OCI archive.
pub fn archive(made: &Made, path: &Path) {
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
