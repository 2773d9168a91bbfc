//! Real images made by code: what tests and demo publish, without any image builder on the machine.
//!
//! ```no_run
//! use scenarios::image::{Compression, ImageBuilder, Layer, oci_archive};
//! let rootfs = Layer::new().dir("/data", 0o755).file("/hello", b"#!/bin/true\n", 0o755).compressed(Compression::Zstd);
//! let image = ImageBuilder::new("hello:1").layer(rootfs).entrypoint(&["/hello"]).build()?;
//! std::fs::write("hello.tar", oci_archive(&[&image])?)?;
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! The same input gives the same bytes and digests: times are 0, entries keep their order. Nothing is made up
//! to be nice: whiteouts, hard links out of order or a symlink in the way are written as asked for.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use shared::id::Digest;
use shared::oci::media;
use shared::recipe::{Recipe, RecipeId};

/// How a layer travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// Plain tar.
    None,
    /// RFC 1952, what most images use.
    Gzip,
    /// RFC 8878.
    Zstd,
}

/// The entries of one layer, lowest first.
#[derive(Debug, Clone)]
pub struct Layer {
    entries: Vec<Entry>,
    owner: (u64, u64),
    compression: Compression,
}

#[derive(Debug, Clone)]
struct Entry {
    path: String,
    mode: u32,
    owner: (u64, u64),
    kind: Kind,
}

#[derive(Debug, Clone)]
enum Kind {
    Directory,
    File(Vec<u8>),
    Symlink(String),
    Hardlink(String),
}

impl Default for Layer {
    fn default() -> Self {
        Self { entries: Vec::new(), owner: (0, 0), compression: Compression::Gzip }
    }
}

impl Layer {
    /// An empty layer, gzip, entries owned by root.
    pub fn new() -> Self {
        Self::default()
    }

    /// The layer travels in this form.
    #[must_use]
    pub fn compressed(mut self, compression: Compression) -> Self {
        self.compression = compression;
        self
    }

    /// Entries added from now on belong to `uid` and `gid`.
    #[must_use]
    pub fn owner(mut self, uid: u64, gid: u64) -> Self {
        self.owner = (uid, gid);
        self
    }

    /// A directory.
    #[must_use]
    pub fn dir(self, path: &str, mode: u32) -> Self {
        self.entry(path, mode, Kind::Directory)
    }

    /// A file.
    #[must_use]
    pub fn file(self, path: &str, bytes: impl Into<Vec<u8>>, mode: u32) -> Self {
        self.entry(path, mode, Kind::File(bytes.into()))
    }

    /// A symbolic link at `path` that says `target`.
    #[must_use]
    pub fn symlink(self, path: &str, target: &str) -> Self {
        self.entry(path, 0o777, Kind::Symlink(target.into()))
    }

    /// A second name at `path` for the file `target`.
    #[must_use]
    pub fn hardlink(self, path: &str, target: &str) -> Self {
        self.entry(path, 0o644, Kind::Hardlink(bare(target).into()))
    }

    /// Hides `path` of the layers below (image specification, "Whiteouts").
    #[must_use]
    pub fn whiteout(self, path: &str) -> Self {
        let (parent, name) = bare(path).rsplit_once('/').unwrap_or(("", bare(path)));
        let path = if parent.is_empty() { format!(".wh.{name}") } else { format!("{parent}/.wh.{name}") };
        self.entry(&path, 0o644, Kind::File(Vec::new()))
    }

    /// Hides everything in `directory` of the layers below.
    #[must_use]
    pub fn opaque(self, directory: &str) -> Self {
        self.entry(&format!("{}/.wh..wh..opq", bare(directory)), 0o644, Kind::File(Vec::new()))
    }

    fn entry(mut self, path: &str, mode: u32, kind: Kind) -> Self {
        self.entries.push(Entry { path: bare(path).into(), mode, owner: self.owner, kind });
        self
    }

    /// The uncompressed tar.
    fn tar(&self) -> io::Result<Vec<u8>> {
        let mut tar = tar::Builder::new(Vec::new());
        for entry in &self.entries {
            append(&mut tar, entry)?;
        }
        tar.into_inner()
    }

    fn build(&self) -> io::Result<BuiltLayer> {
        let tar = self.tar()?;
        let (bytes, media_type) = match self.compression {
            Compression::None => (tar.clone(), media::LAYER),
            Compression::Gzip => (gzip(&tar)?, media::LAYER_GZIP),
            Compression::Zstd => (zstd::stream::encode_all(tar.as_slice(), 3)?, media::LAYER_ZSTD),
        };
        Ok(BuiltLayer { blob: Blob::new(media_type, bytes), tar: Blob::new(media::LAYER, tar) })
    }
}

/// A path as it stands in a layer tar: without the leading slash.
fn bare(path: &str) -> &str {
    path.trim_start_matches('/')
}

fn append(tar: &mut tar::Builder<Vec<u8>>, entry: &Entry) -> io::Result<()> {
    let mut header = tar::Header::new_gnu();
    header.set_mode(entry.mode);
    header.set_uid(entry.owner.0);
    header.set_gid(entry.owner.1);
    header.set_mtime(0);
    header.set_size(0);
    match &entry.kind {
        Kind::Directory => {
            header.set_entry_type(tar::EntryType::Directory);
            tar.append_data(&mut header, format!("{}/", entry.path), io::empty())
        }
        Kind::File(bytes) => {
            header.set_entry_type(tar::EntryType::Regular);
            header.set_size(bytes.len() as u64);
            tar.append_data(&mut header, &entry.path, bytes.as_slice())
        }
        Kind::Symlink(target) => {
            header.set_entry_type(tar::EntryType::Symlink);
            tar.append_link(&mut header, &entry.path, target)
        }
        Kind::Hardlink(target) => {
            header.set_entry_type(tar::EntryType::Link);
            tar.append_link(&mut header, &entry.path, target)
        }
    }
}

fn gzip(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes)?;
    encoder.finish()
}

/// What an image runs, and of which layers it is made.
#[derive(Debug, Clone)]
pub struct ImageBuilder {
    reference: String,
    architecture: String,
    layers: Vec<Layer>,
    process: BTreeMap<&'static str, Value>,
    environment: Vec<String>,
}

impl ImageBuilder {
    /// An image for this machine, without layers, named `reference` (such as `hello:1`).
    pub fn new(reference: &str) -> Self {
        Self {
            reference: reference.into(),
            architecture: architecture().into(),
            layers: Vec::new(),
            process: BTreeMap::new(),
            environment: Vec::new(),
        }
    }

    /// For another machine, in Go's words: `amd64`, `arm64`, `arm`.
    #[must_use]
    pub fn architecture(mut self, architecture: &str) -> Self {
        self.architecture = architecture.into();
        self
    }

    /// One more layer, above the others.
    #[must_use]
    pub fn layer(mut self, layer: Layer) -> Self {
        self.layers.push(layer);
        self
    }

    /// The program and its first arguments.
    #[must_use]
    pub fn entrypoint(self, words: &[&str]) -> Self {
        self.process("Entrypoint", json!(words))
    }

    /// Further arguments.
    #[must_use]
    pub fn command(self, words: &[&str]) -> Self {
        self.process("Cmd", json!(words))
    }

    /// One more variable.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.environment.push(format!("{name}={value}"));
        self
    }

    /// `user`, `uid`, `user:group` or `uid:gid`.
    #[must_use]
    pub fn user(self, user: &str) -> Self {
        self.process("User", json!(user))
    }

    /// Where the process starts.
    #[must_use]
    pub fn working_dir(self, path: &str) -> Self {
        self.process("WorkingDir", json!(path))
    }

    /// How the process is asked to end.
    #[must_use]
    pub fn stop_signal(self, signal: &str) -> Self {
        self.process("StopSignal", json!(signal))
    }

    /// Any other key of the image's `config`, for example `Labels` that a node must not copy.
    #[must_use]
    pub fn process(mut self, key: &'static str, value: Value) -> Self {
        self.process.insert(key, value);
        self
    }

    /// All bytes of the image.
    pub fn build(&self) -> io::Result<Image> {
        let layers = self.layers.iter().map(Layer::build).collect::<io::Result<Vec<_>>>()?;
        let config = self.config(&layers);
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": media::MANIFEST,
            "config": config.descriptor(),
            "layers": layers.iter().map(|layer| layer.blob.descriptor()).collect::<Vec<_>>(),
        });
        let manifest = Blob::new(media::MANIFEST, manifest.to_string().into_bytes());
        Ok(Image { reference: self.reference.clone(), architecture: self.architecture.clone(), manifest, config, layers })
    }

    fn config(&self, layers: &[BuiltLayer]) -> Blob {
        let mut process = self.process.clone();
        if !self.environment.is_empty() {
            process.insert("Env", json!(self.environment));
        }
        let diff_ids: Vec<String> = layers.iter().map(|layer| layer.tar.digest.to_string()).collect();
        let config = json!({
            "created": "1970-01-01T00:00:00Z",
            "os": "linux",
            "architecture": self.architecture,
            "config": process,
            "rootfs": {"type": "layers", "diff_ids": diff_ids},
        });
        Blob::new(media::CONFIG, config.to_string().into_bytes())
    }
}

/// This machine in Go's words.
pub const fn architecture() -> &'static str {
    if cfg!(target_arch = "aarch64") {
        "arm64"
    } else if cfg!(target_arch = "arm") {
        "arm"
    } else {
        "amd64"
    }
}

/// Some content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blob {
    /// What the bytes are.
    pub media_type: &'static str,
    /// Their digest.
    pub digest: Digest,
    /// The bytes.
    pub bytes: Vec<u8>,
}

impl Blob {
    fn new(media_type: &'static str, bytes: Vec<u8>) -> Self {
        Self { media_type, digest: Digest::of(&bytes), bytes }
    }

    fn descriptor(&self) -> Value {
        json!({"mediaType": self.media_type, "digest": self.digest.to_string(), "size": self.bytes.len()})
    }
}

/// A layer as it travels, and as it is unpacked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuiltLayer {
    /// As it travels.
    pub blob: Blob,
    /// The uncompressed tar; its digest is the diff_id.
    pub tar: Blob,
}

impl BuiltLayer {
    /// What a release says its tar is made of.
    pub fn recipe(&self) -> RecipeId {
        Recipe::of(&self.tar.bytes).id()
    }
}

/// An image with all its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// Its name.
    pub reference: String,
    /// Its machine.
    pub architecture: String,
    /// Its OCI manifest; the digest is the image's id.
    pub manifest: Blob,
    /// Its config.
    pub config: Blob,
    /// Its layers, lowest first.
    pub layers: Vec<BuiltLayer>,
}

impl Image {
    /// Everything the image is made of: manifest, config, layers.
    pub fn blobs(&self) -> impl Iterator<Item = &Blob> {
        [&self.manifest, &self.config].into_iter().chain(self.layers.iter().map(|layer| &layer.blob))
    }

    /// Bytes that travel for this image.
    pub fn size(&self) -> usize {
        self.blobs().map(|blob| blob.bytes.len()).sum()
    }

    /// What `docker save` writes: `manifest.json` beside a config and plain layer tars.
    pub fn docker_archive(&self) -> io::Result<Vec<u8>> {
        let config = format!("{}.json", self.config.digest.hex());
        let layer = |layer: &BuiltLayer| format!("{}/layer.tar", layer.tar.digest.hex());
        let names: Vec<String> = self.layers.iter().map(layer).collect();
        let index = json!([{"Config": config, "RepoTags": [self.reference], "Layers": names}]);
        let mut files = BTreeMap::from([(config, self.config.bytes.as_slice())]);
        for (name, layer) in names.iter().zip(&self.layers) {
            files.insert(name.clone(), &layer.tar.bytes);
        }
        let index = index.to_string();
        files.insert("manifest.json".into(), index.as_bytes());
        archive(&files)
    }
}

/// The files of an OCI image layout that holds `images`: one index entry each, blobs once.
fn layout(images: &[&Image]) -> BTreeMap<String, Vec<u8>> {
    let entry = |image: &&Image| {
        let mut entry = image.manifest.descriptor();
        if let Some(entry) = entry.as_object_mut() {
            entry.insert("platform".into(), json!({"os": "linux", "architecture": image.architecture}));
            entry.insert("annotations".into(), json!({"org.opencontainers.image.ref.name": image.reference}));
        }
        entry
    };
    let entries: Vec<Value> = images.iter().map(entry).collect();
    let index = json!({"schemaVersion": 2, "mediaType": media::INDEX, "manifests": entries});
    let mut files = BTreeMap::from([
        ("oci-layout".to_owned(), json!({"imageLayoutVersion": "1.0.0"}).to_string().into_bytes()),
        ("index.json".to_owned(), index.to_string().into_bytes()),
    ]);
    for blob in images.iter().flat_map(|image| image.blobs()) {
        files.insert(format!("blobs/sha256/{}", blob.digest.hex()), blob.bytes.clone());
    }
    files
}

/// An OCI image layout as one tar.
pub fn oci_archive(images: &[&Image]) -> io::Result<Vec<u8>> {
    let files = layout(images);
    archive(&files.iter().map(|(name, bytes)| (name.clone(), bytes.as_slice())).collect())
}

/// An OCI image layout as a directory, which is made.
pub fn write_oci_layout(directory: &Path, images: &[&Image]) -> io::Result<()> {
    for (name, bytes) in layout(images) {
        let path = directory.join(name);
        std::fs::create_dir_all(path.parent().unwrap_or(directory))?;
        std::fs::write(path, bytes)?;
    }
    Ok(())
}

fn archive(files: &BTreeMap<String, &[u8]>) -> io::Result<Vec<u8>> {
    let mut tar = tar::Builder::new(Vec::new());
    for (name, bytes) in files {
        let entry = Entry { path: name.clone(), mode: 0o644, owner: (0, 0), kind: Kind::File(bytes.to_vec()) };
        append(&mut tar, &entry)?;
    }
    tar.into_inner()
}

/// The image of the project's sample program: nothing but the program, two users and `/data`, which user `app` owns.
/// What never changes is a layer of its own, so that a new version moves only the program.
pub fn sample_image(reference: &str, program: &[u8]) -> io::Result<Image> {
    let base = Layer::new()
        .dir("/etc", 0o755)
        .file("/etc/passwd", "root:x:0:0:root:/:/sbin/nologin\napp:x:1000:1000:app:/data:/sbin/nologin\n", 0o644)
        .file("/etc/group", "root:x:0:\napp:x:1000:\n", 0o644)
        .owner(1000, 1000)
        .dir("/data", 0o755);
    ImageBuilder::new(reference)
        .layer(base)
        .layer(Layer::new().file("/sample-app", program, 0o755))
        .entrypoint(&["/sample-app"])
        .user("app")
        .working_dir("/data")
        .build()
}

/// Builds the sample program, linked statically, and returns its path. Its target directory is its own, so that other
/// builds with other flags never replace it.
pub fn build_sample_program() -> io::Result<PathBuf> {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let target = workspace.join("target").join("sample");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = std::process::Command::new(cargo)
        .current_dir(&workspace)
        .args(["rustc", "--quiet", "--package", "sample-app", "--release", "--bin", "sample-app", "--target-dir"])
        .arg(&target)
        .args(["--", "-C", "target-feature=+crt-static"])
        .status()?;
    if !status.success() {
        return Err(io::Error::other(format!("the sample program could not be built: {status}")));
    }
    Ok(target.join("release").join("sample-app"))
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use shared::oci::{ImageConfig, Index, Manifest};

    use super::*;

    fn image() -> Image {
        let lower = Layer::new().dir("/a", 0o755).file("/a/x", "one", 0o640).symlink("/a/s", "x").hardlink("/a/h", "/a/x");
        let upper = Layer::new().owner(1000, 1000).whiteout("/a/x").opaque("/b").file("/c", "two", 0o4755);
        ImageBuilder::new("t:1")
            .layer(lower.clone().compressed(Compression::None))
            .layer(lower)
            .layer(upper.compressed(Compression::Zstd))
            .entrypoint(&["/c"])
            .env("A", "b")
            .user("app")
            .build()
            .expect("image")
    }

    fn files(tar: &[u8]) -> BTreeMap<String, Vec<u8>> {
        let mut archive = tar::Archive::new(tar);
        let read = |entry: io::Result<tar::Entry<'_, &[u8]>>| {
            let mut entry = entry.expect("entry");
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).expect("bytes");
            (entry.path().expect("path").display().to_string(), bytes)
        };
        archive.entries().expect("entries").map(read).collect()
    }

    #[test]
    fn the_same_input_gives_the_same_bytes() {
        assert_eq!(image(), image());
        assert_eq!(oci_archive(&[&image()]).expect("tar"), oci_archive(&[&image()]).expect("tar"));
    }

    #[test]
    fn a_layout_leads_from_its_index_to_every_byte() {
        let image = image();
        let files = files(&oci_archive(&[&image]).expect("tar"));
        let blob = |digest: Digest| {
            let bytes = &files[&format!("blobs/sha256/{}", digest.hex())];
            assert_eq!(Digest::of(bytes), digest);
            bytes.clone()
        };
        let index: Index = serde_json::from_slice(&files["index.json"]).expect("index");
        let manifest: Manifest = serde_json::from_slice(&blob(index.manifests[0].digest)).expect("manifest");
        let config: ImageConfig = serde_json::from_slice(&blob(manifest.config.digest)).expect("config");
        assert_eq!((config.config.user.as_str(), config.config.env.as_slice()), ("app", &["A=b".to_owned()][..]));
        assert_eq!(manifest.layers.len(), 3);
        for (layer, diff_id) in manifest.layers.iter().zip(config.rootfs.diff_ids) {
            let bytes = blob(layer.digest);
            assert_eq!(bytes.len() as u64, layer.size);
            let mut tar = Vec::new();
            match layer.media_type.as_str() {
                media::LAYER => tar = bytes,
                media::LAYER_GZIP => drop(flate2::read::GzDecoder::new(bytes.as_slice()).read_to_end(&mut tar).expect("gzip")),
                _ => tar = zstd::stream::decode_all(bytes.as_slice()).expect("zstd"),
            }
            assert_eq!(Digest::of(&tar), diff_id);
        }
    }

    #[test]
    fn layers_hold_what_was_asked_for() {
        let image = image();
        let mut archive = tar::Archive::new(image.layers[0].tar.bytes.as_slice());
        let entries: Vec<String> = archive
            .entries()
            .expect("entries")
            .map(|entry| {
                let entry = entry.expect("entry");
                let link = entry.link_name().expect("link").map(|link| format!(" > {}", link.display())).unwrap_or_default();
                format!("{:?} {}{link}", entry.header().entry_type(), entry.path().expect("path").display())
            })
            .collect();
        assert_eq!(entries, ["Directory a/", "Regular a/x", "Symlink a/s > x", "Link a/h > a/x"]);
        let upper: Vec<String> = files(&image.layers[2].tar.bytes).into_keys().collect();
        assert_eq!(upper, ["a/.wh.x", "b/.wh..wh..opq", "c"]);
    }

    #[test]
    fn a_docker_archive_names_config_and_plain_layers() {
        let image = image();
        let files = files(&image.docker_archive().expect("tar"));
        let index: Value = serde_json::from_slice(&files["manifest.json"]).expect("index");
        assert_eq!(index[0]["RepoTags"], json!(["t:1"]));
        assert_eq!(Digest::of(&files[index[0]["Config"].as_str().expect("config")]), image.config.digest);
        for (name, layer) in index[0]["Layers"].as_array().expect("layers").iter().zip(&image.layers) {
            assert_eq!(Digest::of(&files[name.as_str().expect("name")]), layer.tar.digest);
        }
    }

    #[test]
    fn a_new_version_of_the_sample_shares_its_lower_layer() {
        let [one, two] = ["one", "two"].map(|program| sample_image("sample-app:1", program.as_bytes()).expect("image"));
        assert_eq!(one.layers[0], two.layers[0]);
        assert_ne!(one.manifest.digest, two.manifest.digest);
    }
}
