use std::time::Duration;

use shared::budget::Spent;
use shared::manifest::{Outside, read};
use shared::oci::chain_ids;
use shared::recipe::Recipe;
use shared::release::{Blob, Compression, Image, Layer, Release};
use shared::report::{AppReport, Facts, Phase, ServiceReport, ServiceState};
use shared::state::{Assignment, Desired, Memory, Paused, Stamp};
use shared::time::UnixMillis;

use super::*;
use crate::clock::Clock;
use crate::runtime::memory;
use crate::runtime::{Observed, ProbeFailure, Written};

fn name(text: &str) -> Name {
    Name::new(text).expect(text)
}

fn machine() -> Platform {
    Platform { os: "linux".into(), architecture: "amd64".into(), variant: String::new() }
}

fn blob(text: &str) -> Blob {
    Blob { digest: Digest::of(text.as_bytes()), size: 100 }
}

/// An image of these layers, the lowest first.
fn image(layers: &[&str]) -> Image {
    let layer = |text: &&str| {
        let recipe = Recipe::of(text.as_bytes()).id();
        Layer { blob: blob(text), compression: Compression::Zstd, tar: blob(text), recipe }
    };
    let id = layers.join("/");
    let layers = layers.iter().map(layer).collect();
    Image { platform: machine(), manifest: blob(&format!("manifest {id}")), config: blob(&format!("config {id}")), layers }
}

/// A release of `shop` whose services have these images.
fn release(version: &str, images: &[(&str, &Image)]) -> (Digest, Arc<Release>) {
    let services: String = images.iter().map(|(service, _)| format!("{service}: {{image: x}}, ")).collect();
    let text = format!(
        "apiVersion: causeway/v1\nkind: App\nmetadata: {{name: shop, version: {version}}}\nspec: {{services: {{{services}}}}}\n"
    );
    let manifest = read("app.yaml", &text, &Outside::default()).expect("manifest").app;
    let images = images.iter().map(|(service, image)| (name(service), vec![(*image).clone()])).collect();
    let release = Release { manifest, images };
    (Digest::of(&release.to_bytes()), Arc::new(release))
}

/// `wanted` is assigned, `good` proved itself.
fn holding(wanted: Digest, good: Digest, releases: &[&(Digest, Arc<Release>)]) -> Holding {
    let mut desired = Desired::empty(name("n1"));
    desired.stamp = Stamp { epoch: 1, generation: 1 };
    desired.apps.insert(name("shop"), Assignment { release: wanted, revision: 1, run: true });
    Holding {
        desired,
        hash: Digest::of(b""),
        releases: releases.iter().map(|(id, release)| (*id, release.clone())).collect(),
        memory: [(name("shop"), Memory { good: Some(good), ..Memory::default() })].into(),
        overrides: BTreeSet::new(),
        paused: Paused::default(),
    }
}

/// Each pack takes 10, each unpacked layer 100.
fn sizes(images: &[&Image]) -> (Layers, Usage) {
    let packs = images.iter().flat_map(|image| image.diff_ids()).map(|diff| (diff, 10)).collect();
    let layers = images.iter().flat_map(|image| chain_ids(&image.diff_ids())).map(|chain| (chain, 100)).collect();
    let images = images.iter().map(|image| image.id()).collect();
    (packs, Usage { images, layers, ..Usage::default() })
}

#[test]
fn who_uses_an_image_and_what_is_its_own() {
    let (one, two, three) = (image(&["base", "a"]), image(&["base", "b"]), image(&["other", "b"]));
    let old = release("1.0.0", &[("web", &one), ("db", &two)]);
    let new = release("2.0.0", &[("web", &three), ("db", &two)]);
    let gone = release("0.9.0", &[("web", &image(&["base", "z"]))]);
    let mut holding = holding(new.0, old.0, &[&old, &new, &gone]);
    let (mut packs, mut usage) = sizes(&[&one, &two]);
    packs.insert(Digest::of(b"other"), 10); // of the third image, one layer came
    let running = [(name("shop"), name("web"), old.0), (name("shop"), name("db"), old.0)].into();

    let found = images::images(&holding, &machine(), &running, &packs, Some(&usage));
    let told: Vec<_> = found.iter().map(|i| (i.image, i.need, i.uses.len(), i.packs, i.unpacked, i.own)).collect();
    assert_eq!(
        told,
        [
            (two.id(), Need::Running, 2, 20, Some(200), 100),
            (one.id(), Need::Running, 1, 20, Some(200), 110),
            (three.id(), Need::Awaited, 1, 20, Some(0), 10),
            (image(&["base", "z"]).id(), Need::Unneeded, 1, 10, Some(100), 0),
        ],
        "base belongs to three, the pack of b to two, its files to one"
    );
    assert_eq!(found[0].uses.iter().map(|one| one.need).collect::<Vec<_>>(), [Need::Running, Need::Wanted]);
    let both = images::overhead(&holding, &packs, &usage);
    assert_eq!(both, Some(Overhead { packs: 30, unpacked: 300 }), "shared layers count once, what is not unpacked not at all");

    // After the switch, with nothing running yet.
    usage.images.insert(three.id());
    let found = images::images(&holding, &machine(), &BTreeSet::new(), &packs, Some(&usage));
    let needs: Vec<Need> = found.iter().map(|image| image.need).collect();
    assert_eq!(needs, [Need::Wanted, Need::Wanted, Need::LastGood, Need::Unneeded]);

    // One for later, on its way and then there.
    holding.desired.next.insert(name("shop"), gone.0);
    for expected in [Need::Awaited, Need::Next] {
        let found = images::images(&holding, &machine(), &BTreeSet::new(), &packs, Some(&usage));
        let needs: Vec<Need> = found.iter().map(|image| image.need).collect();
        assert_eq!(needs, [Need::Wanted, Need::Wanted, expected, Need::LastGood]);
        usage.images.extend(found.iter().map(|image| image.image));
    }
    assert!(images::images(&holding, &machine(), &running, &packs, None).iter().all(|image| image.unpacked.is_none()));
}

/// A runtime that knows what it is told.
struct Told(Result<Usage, ()>);

impl Runtime for Told {
    async fn observe(&self) -> Result<Observed, RuntimeError> {
        Ok(Observed::default())
    }

    async fn apply(&self, _: &shared::plan::Step) -> Result<(), RuntimeError> {
        Ok(())
    }

    async fn probe(&self, _: &InstanceId, _: &shared::manifest::Probe, _: Duration) -> Result<(), ProbeFailure> {
        Ok(())
    }

    async fn usage(&self) -> Result<Usage, RuntimeError> {
        self.0.clone().map_err(|()| RuntimeError::Unreachable("gone".into()))
    }

    async fn changed(&self) {
        std::future::pending().await
    }
}

fn report(instance: &str, release: Digest) -> Report {
    let service = ServiceReport {
        service: name("web"),
        state: ServiceState::Running,
        health: shared::health::Health::Unchecked,
        restarts: 0,
        instance: instance.into(),
        pid: 7,
        since_ms: 0,
        exit: None,
        oom: false,
    };
    let app = AppReport {
        app: name("shop"),
        release,
        version: "1.0.0".into(),
        wanted: release,
        good: None,
        phase: Phase::Running,
        services: vec![service],
        fault: None,
    };
    let facts = Facts {
        version: String::new(),
        runtime: String::new(),
        platform: machine(),
        boot: String::new(),
        cpus: 1,
        memory: 1,
        disk_free: 1,
        address: None,
    };
    Report {
        sequence: 1,
        wall: UnixMillis(0),
        uptime_ms: 0,
        accepted: Stamp::default(),
        facts,
        apps: vec![app],
        next: vec![],
        transfers: vec![],
        faults: vec![],
        spent: Spent::default(),
    }
}

#[tokio::test]
async fn a_state_directory_is_measured() {
    let dir = tempfile::tempdir().expect("dir");
    let content = Content::open(dir.path(), "boot").expect("content");
    let (one, two) = (image(&["base", "a"]), image(&["base", "b"]));
    let (old, new) = (release("1.0.0", &[("web", &one)]), release("2.0.0", &[("web", &two)]));
    let holding = holding(new.0, old.0, &[&old, &new]);
    let block = vec![7_u8; 64 << 10];
    for layer in ["base", "a"] {
        std::fs::write(content.packs.path(Digest::of(layer.as_bytes())), &block).expect("pack");
    }
    std::fs::write(content.packs.path(Digest::of(b"b")).with_extension("part"), &block).expect("pack in part");
    let patch = Blob { digest: Digest::of(b"patch"), size: 1 << 20 };
    content.patches.remember_patch(Digest::of(b"b"), patch).expect("named");
    std::fs::write(content.patches.path(patch.digest).with_extension("part"), &block).expect("patch in part");
    for (place, volume) in [("volumes/shop/data", "data"), ("volumes/gone/old", "old"), ("volumes/BAD/x", "x")] {
        std::fs::create_dir_all(dir.path().join(place)).expect("dir");
        std::fs::write(dir.path().join(place).join(volume), &block).expect("file");
    }
    let id = InstanceId::new(&name("shop"), &name("web"), 1);
    let (_, mut usage) = sizes(&[&one]);
    let written = Written { app: name("shop"), service: name("web"), release: old.0, bytes: 5 };
    usage.instances.insert(id.clone(), written);
    usage.unpacking = 3;
    usage.root = Some(dir.path().into());

    let (meter, said) = (Meter::default(), report(id.as_str(), new.0));
    let disk = meter.measure(&Told(Ok(usage)), &content, dir.path(), &holding, &said).await.expect("measured");
    let kinds = &disk.kinds;
    let size = 64 << 10;
    assert_eq!((kinds.packs, kinds.unpacked, kinds.containers), (3 * size, Some(203), Some(5)));
    assert!(kinds.patches >= size && kinds.documents > 0 && kinds.volumes >= 2 * size, "{kinds:?}");
    assert_eq!(disk.patches, Patches { count: 1, arrived: size, total: 1 << 20 });
    let volumes: Vec<_> = disk.volumes.iter().map(|v| (v.app.as_str(), v.volume.as_str(), v.bytes >= size)).collect();
    assert_eq!(volumes, [("gone", "old", true), ("shop", "data", true)], "those of an app that is gone too");
    assert_eq!(disk.images.iter().map(|image| image.need).collect::<Vec<_>>(), [Need::Running, Need::Awaited]);
    assert_eq!(disk.overhead, Some(Overhead { packs: 2 * size, unpacked: 200 }));
    assert_eq!(disk.places.len(), 1, "both lie on one file system");
    assert!(disk.places[0].free <= disk.places[0].size && disk.complete && disk.faults.is_empty(), "{disk:?}");

    let disk = meter.measure(&Told(Err(())), &content, dir.path(), &holding, &said).await.expect("measured");
    assert_eq!((disk.kinds.packs, disk.kinds.unpacked, disk.overhead), (3 * size, None, None));
    assert_eq!(disk.faults[0].code, "node-runtime-unreachable");
    assert!(disk.images.iter().any(|image| image.need == Need::Running), "what runs was reported");

    let memory = memory::Memory::new(Clock::system());
    assert_eq!(meter.measure(&memory, &content, dir.path(), &holding, &said).await.expect("measured").kinds.unpacked, Some(0));
}

#[tokio::test(start_paused = true)]
async fn a_measurement_that_hangs_holds_up_nobody_for_long() {
    let hangs = tokio::spawn(std::future::pending::<()>());
    let stop = StopOnDrop::default();
    let began = tokio::time::Instant::now();
    assert!(in_time(hangs, stop.asked()).await.expect_err("never").contains("22 s"));
    assert!(stop.asked().is_asked() && began.elapsed() <= LIMIT + GRACE + Duration::from_millis(9));

    let dir = tempfile::tempdir().expect("dir");
    let content = Content::open(dir.path(), "boot").expect("content");
    let meter = Meter::default();
    let _hangs = meter.0.clone().lock_owned().await;
    let (old, memory) = (release("1.0.0", &[("web", &image(&["a"]))]), memory::Memory::new(Clock::system()));
    let (holding, said) = (holding(old.0, old.0, &[&old]), report("shop-web-0", old.0));
    let began = tokio::time::Instant::now();
    let fault = meter.measure(&memory, &content, dir.path(), &holding, &said).await.expect_err("another one is under way");
    assert_eq!((fault.code.as_str(), began.elapsed().as_secs()), ("node-measuring", TURN.as_secs()));
}
