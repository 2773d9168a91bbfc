//! What can be deployed: three small apps with good and bad releases, signed by a real publisher key, with real images.
//!
//! | app | services | releases |
//! |---|---|---|
//! | `web` | `page` (health check) after `count` | good ×3 (only `page` changes), never healthy, crashing |
//! | `meter` | `read` | good ×2, crashing after 2 s |
//! | `job` | `once`, ends well after 20 s | good ×2 |
//!
//! The images are made once. Each hub has its content in a directory of its own, for it removes what no release of its own
//! needs; the files are shared.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use cloud_hub::blobs::Blobs;
use shared::id::{Digest, Name};
use shared::manifest::{App, Outside, read};
use shared::oci::Platform;
use shared::release::{Blob, Compression, Image, Layer, Release};
use shared::sign::{Envelope, Purpose, SecretKey};

use super::random::Random;
use crate::image::{self, ImageBuilder, architecture};

/// Largest blob of a simulated hub, in bytes.
const BLOB_MAX: u64 = 64 << 20;

/// One release.
#[derive(Debug, Clone)]
pub struct Published {
    /// Of which app.
    pub app: Name,
    /// Its version.
    pub version: String,
    /// Its id.
    pub id: Digest,
    /// Whether it proves itself when nothing disturbs it.
    pub good: bool,
    /// As its publisher signed it.
    pub envelope: Vec<u8>,
    /// What is signed.
    pub release: Release,
}

/// Every release, and where the content lies.
pub struct Catalog {
    /// The releases, in no meaningful order.
    pub all: Vec<Published>,
    state: tempfile::TempDir,
}

/// The catalog of this process: made for the first who asks, gone from the disk with the last who holds it.
pub fn catalog() -> Arc<Catalog> {
    static CATALOG: Mutex<Weak<Catalog>> = Mutex::new(Weak::new());
    let mut known = CATALOG.lock().unwrap_or_else(PoisonError::into_inner);
    known.upgrade().unwrap_or_else(|| {
        let made = Arc::new(Catalog::make());
        *known = Arc::downgrade(&made);
        made
    })
}

/// The key every release is signed with.
pub fn publisher() -> SecretKey {
    SecretKey::from_seed(&[2; 32])
}

impl Catalog {
    fn make() -> Self {
        let state = temporary();
        let mut maker = Maker { blobs: content(state.path()), layers: BTreeMap::new() };
        let web = |version: &str, variables: &str, page: u64| {
            let text = format!(
                "services:\n  page:\n    image: page:{version}\n    restart: always\n    depends_on: [count]\n    \
                 environment: {{PAGE: '{page}'{variables}}}\n    \
                 healthcheck: {{test: [HTTP, ':80/'], interval: 10s, timeout: 2s, retries: 3, start_period: 5s}}\n  \
                 count:\n    image: count:1\n    restart: always\n"
            );
            (text, vec![("page", vec![1, page]), ("count", vec![1, 90])])
        };
        let single = |service: &'static str, restart: &str, variables: &str, layer: u64| {
            let text = format!(
                "services:\n  {service}:\n    image: {service}:1\n    restart: {restart}\n    \
                 environment: {{LAYER: '{layer}'{variables}}}\n"
            );
            (text, vec![(service, vec![1, layer])])
        };
        let all = [
            ("web", "1", true, web("1", "", 10)),
            ("web", "2", true, web("2", "", 11)),
            ("web", "3", true, web("3", "", 12)),
            ("web", "4-sick", false, web("4", ", SIM_HEALTH: never", 13)),
            ("web", "5-crash", false, web("5", ", SIM_EXIT: '3'", 10)),
            ("meter", "1", true, single("read", "unless-stopped", "", 20)),
            ("meter", "2", true, single("read", "unless-stopped", "", 21)),
            ("meter", "3-crash", false, single("read", "unless-stopped", ", SIM_EXIT: '9', SIM_AFTER: '2'", 22)),
            ("job", "1", true, single("once", "on-failure", ", SIM_EXIT: '0', SIM_AFTER: '20'", 30)),
            ("job", "2", true, single("once", "on-failure", ", SIM_EXIT: '0', SIM_AFTER: '20'", 31)),
        ];
        let all = all.into_iter().map(|(app, version, good, (spec, layers))| maker.publish(app, version, good, &spec, layers));
        Self { all: all.collect(), state }
    }

    /// The content in the state directory of one more hub.
    pub fn stock(&self, state: &Path) {
        let _made = content(state);
        let [from, to] = [self.state.path(), state].map(|state| state.join("blobs/sha256"));
        let entries = |dir: &Path| std::fs::read_dir(dir).expect("content").map(|entry| entry.expect("content").file_name());
        for part in entries(&from) {
            let [from, to] = [&from, &to].map(|dir| dir.join(&part));
            std::fs::create_dir(&to).expect("content");
            for blob in entries(&from) {
                std::fs::hard_link(from.join(&blob), to.join(&blob)).expect("content");
            }
        }
    }

    /// The releases of one app.
    pub fn of(&self, app: &str) -> Vec<&Published> {
        self.all.iter().filter(|published| published.app.as_str() == app).collect()
    }

    /// One release.
    pub fn release(&self, app: &str, version: &str) -> &Published {
        let found = self.all.iter().find(|published| published.app.as_str() == app && published.version == version);
        found.expect("a release of the table above")
    }

    /// Whether the release proves itself; one that is not known does.
    pub fn is_good(&self, id: Digest) -> bool {
        self.all.iter().find(|published| published.id == id).is_none_or(|published| published.good)
    }
}

/// The content of the hub with this state directory.
pub fn content(state: &Path) -> Blobs {
    Blobs::open(state, BLOB_MAX).expect("content directory")
}

/// A release of one service whose image has one layer of `kib` KiB, beside the catalog. The content lands in `blobs`.
pub fn large(blobs: Blobs, app: &str, version: &str, kib: usize) -> Published {
    let mut maker = Maker { blobs, layers: BTreeMap::new() };
    maker.layers.insert(0, layer(0, kib));
    let spec = "services:\n  big:\n    image: big:1\n    restart: always\n";
    maker.publish(app, version, true, spec, vec![("big", vec![0])])
}

struct Maker {
    blobs: Blobs,
    layers: BTreeMap<u64, image::Layer>,
}

impl Maker {
    fn publish(&mut self, app: &str, version: &str, good: bool, services: &str, layers: Vec<(&str, Vec<u64>)>) -> Published {
        let app = Name::new(app).expect("name");
        let indented: String = services.lines().map(|line| format!("  {line}\n")).collect();
        let text = format!(
            "apiVersion: causeway/v1\nkind: App\nmetadata:\n  name: {app}\n  version: {version}\nspec:\n{indented}  \
             update: {{deadline: 60s, settle: 5s}}\n"
        );
        let manifest: App = read("world", &text, &Outside::default()).unwrap_or_else(|refused| panic!("{refused:?}\n{text}")).app;
        let images = layers.into_iter().map(|(service, layers)| (Name::new(service).expect("name"), vec![self.image(&layers)]));
        let release = Release { manifest, images: images.collect() };
        let envelope = Envelope::sign(Purpose::Release, release.to_bytes(), &[&publisher()]);
        let (id, envelope) = (envelope.payload_digest(), envelope.to_bytes());
        Published { app, version: version.into(), id, good, envelope, release }
    }

    fn image(&mut self, layers: &[u64]) -> Image {
        let mut builder = ImageBuilder::new("world:1").entrypoint(&["/main"]);
        for salt in layers {
            // The lowest layer has several frames; those above a few KiB to a few tens of KiB.
            let made =
                self.layers.entry(*salt).or_insert_with(|| layer(*salt, if *salt == 1 { 300 } else { 4 + *salt as usize }));
            builder = builder.layer(made.clone());
        }
        let built = builder.build().expect("image");
        for blob in built.blobs() {
            let want = Blob { digest: blob.digest, size: blob.bytes.len() as u64 };
            self.blobs.put_blocking(want, &mut blob.bytes.as_slice()).expect("content");
        }
        let size = |blob: &image::Blob| Blob { digest: blob.digest, size: blob.bytes.len() as u64 };
        let layers = built.layers.iter();
        Image {
            platform: platform(),
            manifest: size(&built.manifest),
            config: size(&built.config),
            layers: layers
                .map(|layer| Layer {
                    blob: size(&layer.blob),
                    compression: Compression::None,
                    tar: size(&layer.tar),
                    recipe: layer.recipe(),
                })
                .collect(),
        }
    }
}

/// A layer of `kib` KiB that nothing compresses.
fn layer(salt: u64, kib: usize) -> image::Layer {
    let mut random = Random::new(salt);
    let bytes: Vec<u8> = std::iter::repeat_with(|| random.word().to_le_bytes()).take(kib * 128).flatten().collect();
    image::Layer::new().compressed(image::Compression::None).file(&format!("/data/{salt}"), bytes, 0o644)
}

/// This machine, as the images say it.
pub fn platform() -> Platform {
    Platform { os: "linux".into(), architecture: architecture().into(), variant: String::new() }
}

/// A directory in memory where there is one: the world syncs a lot.
pub fn temporary() -> tempfile::TempDir {
    let shm = Path::new("/dev/shm");
    let made = if shm.is_dir() { tempfile::tempdir_in(shm) } else { tempfile::tempdir() };
    made.expect("a temporary directory")
}
