use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use shared::budget::{Budget, QUOTA_MIN, RATE_MIN};
use shared::bundle::{Entry, Index, Trailer};
use shared::manifest::{Outside, read};
use shared::oci::Platform;
use shared::recipe::Recipe;
use shared::release::{Compression, Image, Layer, Release};
use shared::report::Phase;
use shared::sign::{Envelope, Purpose, SecretKey};
use shared::state::{Assignment, Desired, Stamp};
use shared::wire::v1;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::*;
use crate::api::port::{self, Importing, Node as _};
use crate::budget::Ledger;
use crate::clock::Clock;
use crate::held::Held;
use crate::images::ChunkSource;
use crate::images::content::Content as Images;
use crate::images::memory::Memory as Layers;
use crate::journal::Journal;
use crate::link::transport::{TransportEnds, transport};
use crate::logs::LogFiles;
use crate::node::{Node, Setup, View};
use crate::reporter::Machine;
use crate::reserve::Reserve;
use crate::runtime::memory::Memory;
use crate::shutdown::{Trigger, shutdown};
use crate::store::Store;

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

fn platform() -> Platform {
    Platform { os: "linux".into(), architecture: "amd64".into(), variant: String::new() }
}

/// A layer's tar of which little differs by version.
fn tar(version: u8) -> Vec<u8> {
    let mut seed = 7_u32;
    let mut noise = || {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (seed >> 24) as u8
    };
    let mut tar: Vec<u8> = (0..500_000).map(|_| noise()).collect();
    tar.iter_mut().take(300).for_each(|byte| *byte = version);
    tar
}

/// What a hub would write, entry by entry.
#[derive(Clone)]
struct Draft(Vec<(Content, Vec<u8>)>);

impl Draft {
    /// App `shop` in this version for the node `n1`; the layer as a patch out of what `have` says.
    async fn of(version: u8, have: Option<u8>) -> Self {
        Self::under(None, version, have).await
    }

    /// As [`of`](Self::of), under a budget.
    async fn under(budget: Option<Budget>, version: u8, have: Option<u8>) -> Self {
        let mut layers = Layers::default();
        let layer = layers.insert_layer(&tar(version)).unwrap();
        let old: Vec<Digest> = have.map(|old| layers.insert_layer(&tar(old)).unwrap().digest).into_iter().collect();
        let patch = layers.patch(layer.digest, &old).await.unwrap();
        let patch_bytes = layers.read(patch.digest, 0, u32::try_from(patch.size).unwrap()).await.unwrap();
        let document = |text: &str| {
            let bytes = format!("{text} {version}").into_bytes();
            (Blob { digest: Digest::of(&bytes), size: bytes.len() as u64 }, bytes)
        };
        let [(manifest, manifest_bytes), (config, config_bytes)] = ["manifest", "config"].map(document);
        let blob = Blob { digest: Digest::of(b"compressed"), size: layer.size };
        let layers = vec![Layer { blob, compression: Compression::Gzip, tar: layer, recipe: Recipe::of(&tar(version)).id() }];
        let image = Image { platform: platform(), manifest, config, layers };
        let text = format!(
            "apiVersion: causeway/v1\nkind: App\nmetadata: {{name: shop, version: {version}.0.0}}\nspec: {{services: {{web: {{image: web, command: [x]}}}}}}\n"
        );
        let app = read("app.yaml", &text, &Outside::default()).unwrap().app;
        let release = Release { manifest: app, images: BTreeMap::from([(name("web"), vec![image])]) };
        let release = Envelope::sign(Purpose::Release, release.to_bytes(), &[&SecretKey::from_seed(&[2; 32])]);
        let id = release.payload_digest();
        let mut desired = Desired::empty(name("n1"));
        desired.stamp = Stamp { epoch: 1, generation: version.into() };
        desired.budget = budget;
        desired.apps.insert(name("shop"), Assignment { release: id, revision: version.into(), run: true });
        let hub = SecretKey::from_seed(&[1; 32]);
        let state = Envelope::sign(Purpose::Desired, v1::Desired::from(&desired).encode(), &[&hub]);
        let from = old;
        Self(vec![
            (Content::Desired(name("n1")), state.to_bytes()),
            (Content::Release(id), release.to_bytes()),
            (Content::Document(manifest.digest), manifest_bytes),
            (Content::Document(config.digest), config_bytes),
            (Content::Patch { layer: layer.digest, patch: patch.digest, from }, patch_bytes.to_vec()),
        ])
    }

    fn bytes(&self) -> Vec<u8> {
        let entry = |(content, bytes): &(Content, Vec<u8>)| Entry { content: content.clone(), size: bytes.len() as u64 };
        let index = Index { made: UnixMillis(0), entries: self.0.iter().map(entry).collect() };
        let mut bytes = index.front().unwrap();
        bytes.extend(self.0.iter().flat_map(|(_, bytes)| bytes));
        sealed(bytes)
    }

    /// Without the entry of this number.
    fn without(&self, number: usize) -> Vec<u8> {
        let mut draft = self.clone();
        draft.0.remove(number);
        draft.bytes()
    }
}

/// Bytes with the hash that fits them, which anybody can make.
fn sealed(mut bytes: Vec<u8>) -> Vec<u8> {
    let mut trailer = Trailer::default();
    trailer.push(&bytes);
    bytes.extend(trailer.finish());
    bytes
}

/// A node that never reached its hub, and a stick.
struct Site {
    view: Arc<View<Memory>>,
    held: Arc<Held>,
    stick: PathBuf,
    ends: TransportEnds,
    _run: Trigger,
    _tasks: JoinSet<()>,
    _dir: tempfile::TempDir,
}

impl Site {
    fn new() -> Self {
        Self::reserving(0)
    }

    /// So many bytes of its disk stay free.
    fn reserving(reserve: u64) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let state = dir.path().join("state");
        let (clock, store) = (Clock::system(), Arc::new(Store::in_memory().unwrap()));
        let held = Arc::new(Held::load(store.clone(), &name("n1"), Duration::ZERO));
        let (ends, node_ends) = transport(8);
        let mut content = Images::open(&state, "boot").unwrap();
        content.reserve = reserve;
        let trust = port::Trust {
            node: name("n1"),
            hub: "https://hub".into(),
            mqtt: "hub:8883".into(),
            ca: Digest::of(b"CA"),
            hub_key: SecretKey::from_seed(&[1; 32]).public(),
            publishers: vec![SecretKey::from_seed(&[2; 32]).public()],
        };
        let node = Node::assemble(Setup {
            reserve: Reserve::none(),
            trust,
            runtime: Arc::new(Memory::new(clock)),
            held: held.clone(),
            journal: Arc::new(Journal::new(store)),
            ledger: Arc::new(Ledger::unlimited(clock)),
            content,
            logs: LogFiles::new(state.join("logs")),
            clock,
            machine: Machine { platform: platform(), boot: "boot".into(), cpus: 1, memory: 1 << 30, state },
            faults: Vec::new(),
            neighbours: None,
            ends: node_ends,
        });
        let (run, end) = shutdown();
        let (view, mut tasks) = (node.view(), JoinSet::new());
        tasks.spawn(node.run(end));
        let stick = dir.path().join("stick");
        Self { view, held, stick, ends, _run: run, _tasks: tasks, _dir: dir }
    }

    async fn begin(&self, bytes: &[u8]) -> mpsc::Receiver<Importing> {
        std::fs::write(&self.stick, bytes).unwrap();
        self.view.import(self.stick.clone()).await.unwrap()
    }

    /// The state that the node has then, or why not.
    async fn import(&self, bytes: &[u8]) -> Result<u64, String> {
        let mut told = self.begin(bytes).await;
        while let Some(word) = told.recv().await {
            match word {
                Importing::Done(stamp) => return Ok(stamp.generation),
                Importing::Failed(fault) => return Err(fault.code),
                Importing::Checking { .. } | Importing::Fetching { .. } => {}
            }
        }
        panic!("no last word");
    }

    fn generation(&self) -> Option<u64> {
        self.held.accepted().map(|(stamp, _)| stamp.generation)
    }

    async fn runs(&self, version: &str) {
        let runs = || self.view.report().apps.iter().any(|app| app.phase == Phase::Running && app.version == version);
        for _ in 0..1000 {
            if runs() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("{:?}", self.view.report());
    }
}

#[tokio::test]
async fn a_node_that_never_reached_its_hub_runs_what_the_bundle_says() {
    let site = Site::new();
    assert_eq!(site.import(&Draft::of(1, None).await.bytes()).await, Ok(1));
    site.runs("1.0.0").await;
    assert_eq!(site.import(&Draft::of(1, None).await.bytes()).await, Ok(1), "twice is once");
    // The next version needs little more than what differs.
    let (delta, whole) = (Draft::of(2, Some(1)).await, Draft::of(2, None).await);
    assert!(delta.bytes().len() * 2 < whole.bytes().len());
    assert_eq!(site.import(&delta.bytes()).await, Ok(2));
    site.runs("2.0.0").await;
    assert_eq!(site.import(&Draft::of(1, None).await.bytes()).await, Err("trust-rollback".into()), "never backwards");
    let receipt = site.view.receipt().await.unwrap();
    assert_eq!((receipt.report.accepted.generation, receipt.events.first().map(|event| event.number)), (2, Some(0)));
    assert_eq!(receipt.next, receipt.events.len() as u64);
    assert!(receipt.events.iter().any(|event| event.what.code == "bundle-imported"));
}

#[tokio::test]
async fn neither_budget_nor_pause_holds_what_a_person_carries() {
    let site = Site::new();
    site.view.command(port::Command::Pause(None)).await.unwrap();
    let budget = Budget { rate: Some(RATE_MIN), per_day: Some(QUOTA_MIN), ..Budget::default() };
    let bytes = Draft::under(Some(budget), 1, None).await.bytes();
    assert_eq!(tokio::time::timeout(Duration::from_secs(30), site.import(&bytes)).await, Ok(Ok(1)));
    site.runs("1.0.0").await;
    assert_eq!(site.view.carried().today.images, 0, "nothing of it came over the link");
    assert!(site.view.carried().paused.all, "the link is still paused");
}

#[tokio::test]
async fn what_a_bundle_lacks_is_named_and_the_next_one_brings_it() {
    let site = Site::new();
    let (whole, delta) = (Draft::of(1, None).await, Draft::of(1, Some(9)).await);
    let mut other = whole.clone();
    other.0[0].0 = Content::Desired(name("n2"));
    let mut mislabelled = Draft::of(1, None).await;
    mislabelled.0[0].1 = mislabelled.0[1].1.clone();
    for (bytes, code) in [
        (other.bytes(), "bundle-not-for-us"),
        (whole.without(0), "bundle-not-for-us"),
        (whole.without(1), "trust-release-refused"),
        (mislabelled.bytes(), "trust-not-our-hub"),
        (b"PK\x03\x04".to_vec(), "bundle-not-one"),
        (Vec::new(), "bundle-not-one"),
    ] {
        assert_eq!(site.import(&bytes).await, Err(code.into()));
        assert_eq!(site.generation(), None);
    }
    // The state counts from here on: it is as if the link had been cut.
    assert_eq!(site.import(&whole.without(2)).await, Err("bundle-lacks".into()));
    assert_eq!(site.import(&delta.bytes()).await, Err("bundle-lacks".into()), "a patch of a layer that is not here");
    assert_eq!(site.generation(), Some(1));
    assert_eq!(site.import(&whole.bytes()).await, Ok(1));
    site.runs("1.0.0").await;
    assert!(
        site.view
            .import("/nowhere".into())
            .await
            .unwrap()
            .recv()
            .await
            .is_some_and(|word| matches!(word, Importing::Failed(fault) if fault.code == "bundle-unreadable"))
    );
    assert!(
        site.view
            .import(site.stick.with_file_name("state"))
            .await
            .unwrap()
            .recv()
            .await
            .is_some_and(|word| matches!(word, Importing::Failed(fault) if fault.code == "bundle-unreadable"))
    );
}

/// A hub that says what shall run and names a patch, and is cut off before anything of the image came.
async fn cut_off_early(site: &mut Site, draft: &Draft) {
    let (state, release) = (&draft.0[0].1, draft.0[1].1.clone());
    let ends = &mut site.ends;
    ends.online.send_replace(true);
    let desired = v1::Down::Desired(v1::Envelope::decode(state).unwrap());
    ends.to_node.send(desired.encode().into()).await.unwrap();
    let (mut named, mut pulled) = (false, false);
    while !(named && pulled) {
        let (_, message) = ends.from_node.recv().await.unwrap();
        let answer = match v1::Up::decode(&message).unwrap() {
            v1::Up::Pull(v1::Pull { request, blob, .. }) if draft.0[1].0 == Content::Release(Digest::from_bytes(blob)) => {
                let total = release.len() as u64;
                v1::Down::Frame(v1::Frame { request, blob, offset: 0, total, data: release.clone() })
            }
            v1::Up::PatchWanted(v1::PatchWanted { request, layer, .. }) => {
                named = true;
                v1::Down::Patch(v1::Patch { request, layer, blob: [7; 32], size: 1000 })
            }
            v1::Up::Pull(_) => {
                pulled = true;
                continue;
            }
            v1::Up::Hello(_) | v1::Up::Report(_) | v1::Up::Events(_) | v1::Up::Log(_) => continue,
        };
        ends.to_node.send(answer.encode().into()).await.unwrap();
    }
    ends.online.send_replace(false);
}

#[tokio::test]
async fn what_the_link_began_the_stick_ends() {
    let mut site = Site::new();
    let whole = Draft::of(1, None).await;
    cut_off_early(&mut site, &whole).await;
    assert_eq!((site.generation(), site.import(&whole.bytes()).await), (Some(1), Ok(1)));
    site.runs("1.0.0").await;
}

#[tokio::test]
async fn a_disk_without_room_is_told_before_the_first_byte() {
    let site = Site::reserving(u64::MAX);
    assert_eq!(site.import(&Draft::of(1, None).await.bytes()).await, Err("image-no-room".into()));
    let files = |name: &str| std::fs::read_dir(site.stick.with_file_name("state").join(name)).unwrap().count();
    assert_eq!((files("packs"), files("blobs/sha256")), (0, 0));
}

#[tokio::test]
async fn one_import_at_a_time_and_whoever_goes_away_ends_it() {
    let site = Site::new();
    let whole = Draft::of(1, None).await.bytes();
    let (first, second) = (site.begin(&whole).await, site.view.import(site.stick.clone()).await.unwrap());
    let last = |mut told: mpsc::Receiver<Importing>| async move {
        let mut last = None;
        while let Some(word) = told.recv().await {
            last = Some(word);
        }
        last.unwrap()
    };
    let both = [last(first).await, last(second).await];
    assert!(both.iter().any(|word| matches!(word, Importing::Done(_))), "{both:?}");
    assert!(both.iter().all(|word| matches!(word, Importing::Done(_) | Importing::Failed(_))), "{both:?}");
    for _ in 0..20 {
        drop(site.begin(&whole).await);
        tokio::time::sleep(Duration::from_millis(3)).await;
    }
    for _ in 0..200 {
        match site.import(&whole).await {
            Err(code) if code == "bundle-runs" => tokio::time::sleep(Duration::from_millis(10)).await,
            ended => return assert_eq!(ended, Ok(1)),
        }
    }
    panic!("an import that nobody waits for never ends");
}

#[tokio::test]
async fn every_cut_and_flipped_bit_is_refused_by_name_and_changes_nothing() {
    let site = Site::new();
    let mut small = Draft::of(1, None).await;
    small.0.truncate(4);
    let bytes = small.bytes();
    for length in (0..bytes.len()).step_by(7) {
        let code = site.import(&bytes[..length]).await.unwrap_err();
        assert!(matches!(code.as_str(), "bundle-short" | "bundle-not-one"), "cut to {length}: {code}");
    }
    for bit in (0..200).map(|n| (n * 7919) % (bytes.len() * 8)) {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let code = site.import(&flipped).await.unwrap_err();
        assert!(code.starts_with("bundle-"), "bit {bit}: {code}");
    }
    assert_eq!(site.generation(), None);
    assert!(site.held.releases().is_empty());
}

#[tokio::test]
async fn whoever_can_make_the_hash_still_cannot_make_software() {
    let bytes = Draft::of(1, None).await.bytes();
    let inner = &bytes[..bytes.len() - 32];
    let site = Site::new();
    // Half of them where it says what is in it.
    let front = (0..40).map(|n| (n * 7919) % 20_000);
    for bit in front.chain((0..40).map(|n| (n * 104_729) % (inner.len() * 8))) {
        let mut flipped = inner.to_vec();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let ended = site.import(&sealed(flipped)).await;
        assert!(site.generation().is_none_or(|generation| generation == 1), "bit {bit}: {ended:?}");
    }
    assert_eq!(site.import(&bytes).await, Ok(1));
    site.runs("1.0.0").await;
}
