//! The bytes of everything ever shipped: `tests/golden/v1/*.bin` never change.
//!
//! Each value below encodes to exactly the bytes of its file and decodes back from them. `UPDATE=1` writes files
//! that are missing and never replaces one: a change of bytes is a new version. Damaged bytes become an error or
//! another value, never a panic.
#![allow(clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test ends by panic")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use shared::wire::WireError;
use shared::wire::v1::{
    Answer, AppReport, Ask, Budget, Bundle, BundleContent, Desired, Down, Envelope, Event, Facts, Fault, Frame, Hello, Image,
    Join, Layer, LogPiece, LogWanted, Memory, NextReport, Overrides, Patch, PatchWanted, Paused, Pull, Receipt, Recipe, Release,
    Report, ServiceReport, SignedReceipt, Spent, Stage, Stamp, Tally, Transfer, Up,
};

/// One golden file: its name, the bytes of its value, and how the bytes are read again.
struct Golden {
    name: &'static str,
    bytes: Vec<u8>,
    /// Decodes and encodes again.
    again: fn(&[u8]) -> Result<Vec<u8>, WireError>,
    /// Whether decoding gives the value.
    equal: Equal,
}

type Equal = Box<dyn Fn(&[u8]) -> bool>;

macro_rules! golden {
    ($kind:ident, $name:literal, $value:expr) => {{
        let value: $kind = $value;
        Golden {
            name: $name,
            bytes: value.encode(),
            again: |bytes| $kind::decode(bytes).map(|value| value.encode()),
            equal: Box::new(move |bytes| same(&$kind::decode(bytes), &Ok(value.clone()))),
        }
    }};
}

fn same<T: PartialEq>(a: &T, b: &T) -> bool {
    a == b
}

const STAMP: Stamp = Stamp { epoch: 2, generation: 300 };

fn fault() -> Fault {
    Fault {
        code: "image-wrong-digest".into(), params: [("blob".into(), "sha256:ab".into()), ("原因".into(), "é".into())].into()
    }
}

fn envelope() -> Envelope {
    Envelope { payload: b"payload".to_vec(), signatures: vec![([0xA1; 32], vec![0xB2; 64]), ([0xA2; 32], vec![0xB3; 64])] }
}

fn release() -> Release {
    let layer = |n: u8, compression| Layer {
        blob: ([n; 32], 1000 + u64::from(n)),
        compression,
        tar: ([n + 1; 32], 70_000),
        recipe: [n + 2; 32],
    };
    let image = |architecture: &str, variant: &str| Image {
        platform: ("linux".into(), architecture.into(), variant.into()),
        manifest: ([1; 32], 500),
        config: ([2; 32], 1500),
        layers: vec![layer(3, 0), layer(5, 1), layer(7, 2)],
    };
    let manifest = r#"{"apiVersion":"causeway/v1","kind":"App","metadata":{"name":"a","version":"1"},"spec":{"services":{"web":{"image":"x:1"}},"update":{"deadline":"2m","settle":"5s"}}}"#;
    let images = [("web".into(), vec![image("amd64", ""), image("arm", "v7")])].into();
    Release { manifest: manifest.into(), images }
}

fn report() -> Report {
    let service = ServiceReport {
        service: "web".into(),
        state: 1,
        health: 2,
        restarts: 3,
        instance: "a-web-00000000000000ff".into(),
        pid: 4711,
        since_ms: 12_345,
        exit: Some(137),
        oom: true,
    };
    let waiting = ServiceReport {
        service: "db".into(),
        state: 0,
        health: 0,
        instance: String::new(),
        pid: 0,
        exit: None,
        ..service.clone()
    };
    let app = AppReport {
        app: "a".into(),
        release: [1; 32],
        version: "1.0.0".into(),
        wanted: [2; 32],
        good: Some(([1; 32], "1.0.0".into())),
        phase: 5,
        services: vec![waiting, service],
        fault: Some(fault()),
    };
    Report {
        sequence: 9,
        wall_ms: 1_790_000_000_000,
        uptime_ms: 86_400_000,
        accepted: STAMP,
        facts: Facts {
            version: "0.1.0".into(),
            runtime: "1.6.20".into(),
            platform: ("linux".into(), "arm64".into(), String::new()),
            boot: "b00t".into(),
            cpus: 4,
            memory: 8 << 30,
            disk_free: 1 << 40,
            address: Some(([192, 168, 7, 21], 7448).into()),
        },
        apps: vec![app],
        next: vec![NextReport { app: "a".into(), release: [9; 32], version: "2.0.0".into(), phase: 8, fault: Some(fault()) }],
        transfers: vec![
            Transfer { image: [3; 32], done: 10, total: 20, taken: 1 << 20, rate: 5, reused: 300, waits: None },
            Transfer { image: [4; 32], done: 0, total: 0, taken: 0, rate: 0, reused: 0, waits: Some(fault()) },
        ],
        faults: vec![fault()],
        spent: spent(),
    }
}

fn spent() -> Spent {
    let day = Tally { period: 20_778, behind_ms: 0, counts: [1, 20, 300, 1 << 30] };
    Spent(day, Tally { period: 682, behind_ms: 3_600_000, counts: [2, 40, 600, 1 << 31] })
}

fn budget() -> Budget {
    let windows = vec![(0x7f, 22 * 60, 6 * 60), (0x60, 0, 24 * 60)];
    Budget { rate: Some(125_000), per_day: Some(1 << 30), per_month: None, windows, zone: -210 }
}

fn event() -> Event {
    Event { number: 41, wall_ms: 1_790_000_000_000, app: Some("a".into()), what: fault() }
}

fn all() -> Vec<Golden> {
    let hello = Hello { accepted: STAMP, hash: [7; 32], journal: 40, speaks: 1 };
    let pull = Pull { request: 5, blob: [8; 32], offset: 1 << 33, length: 262_144 };
    let end = Some(Some(fault()));
    let frame = Frame { request: 5, blob: [8; 32], offset: 1 << 33, total: 1 << 34, data: (0..=255).collect() };
    let wanted = LogWanted { request: 6, app: "a".into(), service: Some("web".into()), tail: 100, follow: true };
    let memory = Memory {
        good: Some([1; 32]),
        trial: Some(([2; 32], 3)),
        undone: Some(([4; 32], 5, fault())),
        finished: [("job".into(), [6; 32])].into(),
    };
    let join = Join { hub: "https://hub.example:8443".into(), node: "crane-7".into(), secret: [9; 16], ca: [8; 32] };
    let receipt = Receipt { node: "crane-7".into(), next: 43, report: report(), events: vec![event()] };
    let signed = SignedReceipt { payload: b"payload".to_vec(), certificate: vec![6; 40], signature: vec![7; 70] };
    let patch = BundleContent::Patch { layer: [3; 32], patch: [4; 32], from: vec![[5; 32]] };
    let contents =
        [BundleContent::Desired("crane-7".into()), BundleContent::Release([1; 32]), BundleContent::Document([2; 32]), patch];
    let entries = contents.into_iter().zip([5, 7, 0, 1 << 33]).collect();
    let stages = vec![Stage::Lacks, Stage::Wants, Stage::Brings(1 << 33), Stage::Has];
    let apps = [("a".into(), ([1; 32], 1, true)), ("b".into(), ([2; 32], 2, false))].into();
    vec![
        golden!(Up, "up-hello", Up::Hello(hello)),
        golden!(Up, "up-report", Up::Report(report())),
        golden!(Up, "up-pull", Up::Pull(pull)),
        golden!(Up, "up-events", Up::Events(vec![event(), Event { number: 42, app: None, ..event() }])),
        golden!(Up, "up-log", Up::Log(LogPiece { request: 6, lines: b"2026-01-01T00:00:00Z out hello\n".to_vec(), end: None })),
        golden!(Up, "up-patch-wanted", Up::PatchWanted(PatchWanted { request: 7, layer: [1; 32], have: vec![[2; 32], [3; 32]] })),
        golden!(Up, "up-log-end", Up::Log(LogPiece { request: 6, lines: Vec::new(), end })),
        golden!(Down, "down-desired", Down::Desired(envelope())),
        golden!(Down, "down-agreed", Down::Agreed { stamp: STAMP, wall_ms: 1_790_000_000_000 }),
        golden!(Down, "down-frame", Down::Frame(frame)),
        golden!(Down, "down-no-blob", Down::NoBlob { request: 5, blob: [8; 32], fault: fault() }),
        golden!(Down, "down-events-stored", Down::EventsStored(43)),
        golden!(Down, "down-log-wanted", Down::LogWanted(wanted)),
        golden!(Down, "down-log-enough", Down::LogEnough { request: 6 }),
        golden!(Down, "down-patch", Down::Patch(Patch { request: 7, layer: [1; 32], blob: [4; 32], size: 1 << 33 })),
        golden!(Envelope, "envelope", envelope()),
        golden!(Release, "release", release()),
        golden!(
            Desired,
            "desired",
            Desired {
                node: "crane-7".into(),
                stamp: STAMP,
                as_of_ms: 1_790_000_000_000,
                apps,
                next: [("a".into(), [9; 32])].into(),
                budget: Some(budget()),
                neighbours: [("crane-8".into(), (([192, 168, 7, 22], 7448).into(), [6; 32]))].into(),
            }
        ),
        golden!(Memory, "memory", memory),
        golden!(Memory, "memory-empty", Memory { good: None, trial: None, undone: None, finished: BTreeMap::new() }),
        golden!(Overrides, "overrides", Overrides(vec![("a".into(), None), ("b".into(), Some("web".into()))])),
        golden!(Paused, "paused", Paused { all: false, images: vec![[5; 32]] }),
        golden!(Spent, "spent", spent()),
        golden!(Event, "event", event()),
        golden!(Join, "join", join),
        golden!(Bundle, "bundle", Bundle { made_ms: 1_790_000_000_000, entries }),
        golden!(Receipt, "receipt", receipt),
        golden!(SignedReceipt, "signed-receipt", signed),
        golden!(Ask, "ask-stages", Ask::Stages(vec![[1; 32], [2; 32]])),
        golden!(Ask, "ask-document", Ask::Document { blob: [1; 32], offset: 300 }),
        golden!(Ask, "ask-recipe", Ask::Recipe { layer: [1; 32], offset: 1 << 18 }),
        golden!(Ask, "ask-chunks", Ask::Chunks { layer: [1; 32], numbers: vec![0, 7, 1 << 19] }),
        golden!(Answer, "answer-stages", Answer::Stages(stages)),
        golden!(Answer, "answer-bytes", Answer::Bytes((0..=255).collect())),
        golden!(Answer, "answer-lacks", Answer::Lacks),
        golden!(
            Recipe,
            "recipe",
            Recipe { cut: [16 << 10, 64 << 10, 256 << 10], chunks: vec![([1; 32], 256 << 10), ([2; 32], 1)] }
        ),
    ]
}

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/v1")
}

#[test]
fn bytes_never_change() {
    let update = std::env::var_os("UPDATE").is_some();
    for golden in all() {
        let path = directory().join(format!("{}.bin", golden.name));
        if !path.exists() {
            assert!(update, "{} is missing; UPDATE=1 writes it", path.display());
            std::fs::create_dir_all(directory()).expect("directory");
            std::fs::write(&path, &golden.bytes).expect("write");
        }
        let shipped = std::fs::read(&path).expect("golden file");
        assert_eq!(hex::encode(&golden.bytes), hex::encode(&shipped), "{}: a change of bytes is a new version", golden.name);
        assert!((golden.equal)(&shipped), "{} decodes to another value", golden.name);
    }
}

#[test]
fn every_file_is_tested() {
    let names: Vec<&str> = all().iter().map(|golden| golden.name).collect();
    for entry in std::fs::read_dir(directory()).expect("directory") {
        let path = entry.expect("entry").path();
        let name = path.file_stem().and_then(|name| name.to_str()).expect("name").to_owned();
        assert!(names.contains(&name.as_str()), "{name}.bin belongs to no value of this test");
    }
}

#[test]
fn damage_is_an_error_or_another_value() {
    for golden in all() {
        let bytes = golden.bytes;
        for length in 0..bytes.len() {
            let cut = (golden.again)(&bytes[..length]);
            assert!(cut.is_err(), "{} cut to {length} bytes", golden.name);
        }
        let mut longer = bytes.clone();
        longer.push(0);
        assert!((golden.again)(&longer).is_err(), "{} and one byte more", golden.name);
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            // Either is fine; what decodes must encode.
            if let Ok(again) = (golden.again)(&flipped) {
                assert!((golden.again)(&again).is_ok(), "{} with bit {bit} flipped", golden.name);
            }
        }
    }
}

#[test]
fn other_versions_are_named() {
    for golden in all() {
        for version in (0..=255).filter(|version| *version != 1) {
            let mut bytes = golden.bytes.clone();
            bytes[0] = version;
            assert_eq!((golden.again)(&bytes), Err(WireError::UnknownVersion(version)), "{}", golden.name);
        }
        assert_eq!((golden.again)(&[]), Err(WireError::Empty));
    }
}

#[test]
fn core_types_come_back_from_the_wire() {
    let core: shared::release::Release = release().try_into().expect("release");
    assert_eq!(Release::from(&core).images, release().images);
    assert_eq!(shared::release::Release::from_bytes(&core.to_bytes()).expect("own bytes"), core);
    let core: shared::report::Report = report().try_into().expect("report");
    assert_eq!(Report::from(&core), report());
    let core: shared::report::Event = event().try_into().expect("event");
    assert_eq!(Event::from(&core), event());
}
