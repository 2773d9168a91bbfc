//! A daemon without a loop: it says what it was given and remembers what it was told.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use edge_node::api::port::{Carried, Command, Importing, LinkStatus, LogsWanted, Node, Trust};
use edge_node::api::{Listener, serve};
use edge_node::config::Config;
use edge_node::disk::{DiskUse, ImageUse, Kinds, Need, Overhead, Patches, Place, ServiceUse, VolumeUse};
use edge_node::identity::Identity;
use edge_node::neighbours::{Sharing, Standing, State};
use edge_node::reserve::Reserve;
use edge_node::shutdown::{Trigger, shutdown};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, PKCS_ECDSA_P256_SHA256, SanType};
use rustls::pki_types::PrivatePkcs8KeyDer;
use shared::budget::{Budget, Counts, Spent};
use shared::fault::{Fault, bundle, node};
use shared::health::Health;
use shared::id::{Digest, Name};
use shared::oci::Platform;
use shared::receipt::Receipt;
use shared::report::{AppReport, Event, Facts, Good, Phase, Report, ServiceReport, ServiceState, Transfer};
use shared::sign::SecretKey;
use shared::state::Stamp;
use shared::time::UnixMillis;
use tokio::sync::mpsc;

#[derive(Default)]
pub struct Fake {
    pub told: Mutex<Vec<Command>>,
    pub sharing: Mutex<Option<Sharing>>,
}

pub fn name(text: &str) -> Name {
    Name::new(text).expect("name")
}

fn service(service: &str, state: ServiceState, pid: u32) -> ServiceReport {
    ServiceReport {
        service: name(service),
        state,
        health: Health::Unchecked,
        restarts: 2,
        instance: String::new(),
        pid,
        since_ms: 40_000,
        exit: (pid == 0).then_some(137),
        oom: pid == 0,
    }
}

fn transfers() -> Vec<Transfer> {
    let moving = Transfer {
        image: Digest::of(b"i"),
        done: 1 << 20,
        total: 3 << 20,
        taken: 0,
        rate: 64 << 10,
        reused: 260 << 20,
        waits: None,
    };
    let waits = Some(Fault::new(&shared::fault::budget::PAUSED));
    vec![moving, Transfer { image: Digest::of(b"j"), done: 0, total: 0, taken: 0, rate: 0, reused: 0, waits }]
}

/// With one neighbour of each kind.
pub fn sharing() -> Sharing {
    let why = |text| Fault::new(text).with("neighbour", "crane-9").with("cause", "timed\u{1b}[2J out").with("why", "no chunk");
    let (away, wrong) = (why(&node::NEIGHBOUR_AWAY), why(&node::NEIGHBOUR_WRONG));
    let states = [
        State::Unasked,
        State::Useful { asked_ms: 90_000 },
        State::Useless { asked_ms: 2 * 86_400_000, aside_ms: 0, why: away },
        State::Useless { asked_ms: 5000, aside_ms: 3_595_000, why: wrong },
    ];
    let neighbours = (8..).zip(states).map(|(n, state)| Standing {
        neighbour: name(&format!("crane-{n}")),
        address: ([192, 168, 7, n], 7448).into(),
        state,
        taken: u64::from(n) << 20,
        given: 3 << 20,
    });
    Sharing { address: Some(([192, 168, 7, 7], 7448).into()), taken: 40 << 20, given: 12 << 20, neighbours: neighbours.collect() }
}

fn report() -> Report {
    let fault = Fault::new(&node::SERVICE_EXITS).with("service", "db").with("code", 137).with("restarts", 2);
    let shop = AppReport {
        app: name("shop"),
        release: Digest::of(b"one"),
        version: "1.0 \"x\"".into(),
        wanted: Digest::of(b"one"),
        good: Some(Good { release: Digest::of(b"zero"), version: "0.9".into() }),
        phase: Phase::Failing,
        services: vec![service("db", ServiceState::Failed, 0), service("web", ServiceState::Running, 42)],
        fault: Some(fault.clone()),
    };
    let idle = AppReport { app: name("idle"), phase: Phase::Pending, services: vec![], good: None, fault: None, ..shop.clone() };
    Report {
        sequence: 1,
        wall: UnixMillis(1_795_263_907_000),
        uptime_ms: 100_000,
        accepted: Stamp { epoch: 1, generation: 7 },
        facts: Facts {
            version: "0.1.0".into(),
            runtime: "1.6\"20".into(),
            platform: Platform { os: "linux".into(), architecture: "amd64".into(), variant: String::new() },
            boot: "b".into(),
            cpus: 2,
            memory: 1 << 30,
            disk_free: 5 << 30,
            address: None,
        },
        apps: vec![idle, shop],
        next: vec![],
        transfers: transfers(),
        faults: vec![fault],
        spent: Spent::default(),
    }
}

impl Node for Fake {
    fn report(&self) -> Arc<Report> {
        Arc::new(report())
    }

    fn transfers(&self) -> Vec<Transfer> {
        transfers()
    }

    fn neighbours(&self) -> Option<Sharing> {
        self.sharing.lock().expect("lock").clone()
    }

    fn link(&self) -> LinkStatus {
        let since = Duration::from_secs(3 * 86_400 + 4 * 3600);
        LinkStatus { online: false, since, confirmed: Some(Duration::from_secs(90)), trouble: None }
    }

    fn carried(&self) -> Carried {
        let budget = Budget { per_day: Some(1 << 30), ..Budget::default() };
        let today = Counts { control: 1, events: 2, logs: 3, images: 4 << 20 };
        Carried { budget: Some(budget), today, month: today, ..Carried::default() }
    }

    fn trust(&self) -> Trust {
        let key = |n: u8| SecretKey::from_seed(&[n; 32]).public();
        Trust {
            node: name("crane-7"),
            hub: "https://hub.example".into(),
            mqtt: "hub.example:8883".into(),
            ca: Digest::of(b"ca"),
            hub_key: key(1),
            publishers: vec![key(2)],
        }
    }

    async fn disk(&self) -> Result<DiskUse, Fault> {
        let service = |service| ServiceUse {
            need: Need::Running,
            app: name("shop"),
            version: "1.0".into(),
            release: Digest::of(b"one"),
            service: name(service),
        };
        let image = ImageUse {
            image: Digest::of(b"image"),
            need: Need::Running,
            uses: vec![service("db"), service("web")],
            packs: 40 << 20,
            unpacked: Some(100 << 20),
            own: 30 << 20,
        };
        Ok(DiskUse {
            images: vec![image],
            kinds: Kinds { packs: 40 << 20, patches: 3 << 20, unpacked: Some(100 << 20), ..Kinds::default() },
            patches: Patches { count: 1, arrived: 1 << 20, total: 3 << 20 },
            overhead: Some(Overhead { packs: 40, unpacked: 100 }),
            volumes: vec![VolumeUse { app: name("gone"), volume: name("data"), bytes: 7 << 20 }],
            places: vec![Place { path: "/var/lib/causeway".into(), size: 9 << 30, free: 5 << 30, reserve: 256 << 20 }],
            complete: false,
            faults: vec![Fault::new(&node::RUNTIME_UNREACHABLE).with("cause", "gone")],
        })
    }

    async fn events(&self, from: Option<u64>, limit: usize) -> Result<Vec<Event>, Fault> {
        let event = |number| Event {
            number,
            wall: UnixMillis(0),
            app: (number == 2).then(|| name("shop")),
            what: Fault::new(&node::RUNTIME_UNREACHABLE).with("cause", "gone\u{1b}[2J\u{202e}"),
        };
        Ok((from.unwrap_or(0).max(1)..=3).take(limit).map(event).collect())
    }

    async fn logs(&self, wanted: LogsWanted) -> Result<mpsc::Receiver<Bytes>, Fault> {
        let (sender, receiver) = mpsc::channel(4);
        tokio::spawn(async move {
            let line = format!("2026-01-01T00:00:00.000000000Z out {} {}\n", wanted.service, wanted.tail);
            let mut open = sender.send(Bytes::from(line)).await.is_ok();
            while wanted.follow && open {
                tokio::time::sleep(Duration::from_millis(20)).await;
                open = sender.send(Bytes::from_static(b"2026-01-01T00:00:00.000000000Z err more\n")).await.is_ok();
            }
        });
        Ok(receiver)
    }

    async fn import(&self, file: PathBuf) -> Result<mpsc::Receiver<Importing>, Fault> {
        let (tell, told) = mpsc::channel(4);
        let missing = Fault::new(&bundle::UNREADABLE).with("path", file.display()).with("cause", "gone\u{1b}[2J");
        let last = match file.file_name().is_some_and(|name| name == "good.bundle") {
            true => Importing::Done(Stamp { epoch: 1, generation: 7 }),
            false => Importing::Failed(missing),
        };
        for word in [Importing::Checking { done: 1 << 20, total: 4 << 20 }, Importing::Fetching { done: 1, total: 2 }, last] {
            tell.try_send(word).expect("room");
        }
        Ok(told)
    }

    async fn receipt(&self) -> Result<Receipt, Fault> {
        let events = self.events(None, 9).await?;
        Ok(Receipt { node: name("crane-7"), next: 4, report: report(), events })
    }

    async fn command(&self, command: Command) -> Result<(), Fault> {
        self.told.lock().expect("lock").push(command);
        Ok(())
    }
}

/// A served fake in a directory of its own.
pub struct Daemon {
    pub dir: tempfile::TempDir,
    pub node: Arc<Fake>,
    pub trigger: Trigger,
    pub serving: std::thread::JoinHandle<()>,
}

impl Daemon {
    /// Serves in a thread of its own, so that tests may block.
    pub fn start() -> Self {
        let dir = tempfile::tempdir().expect("dir");
        let node = Arc::new(Fake { sharing: Mutex::new(Some(sharing())), ..Fake::default() });
        let config = Config { state_dir: dir.path().join("state"), run_dir: dir.path().into(), ..Config::default() };
        let (trigger, asked) = shutdown();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
        let listener = runtime.block_on(async { Listener::bind(&config.socket()) }).expect("bound");
        let served = node.clone();
        let serving = std::thread::spawn(move || {
            runtime.block_on(serve(listener, served, &config, Reserve::none(), asked)).expect("served")
        });
        Self { dir, node, trigger, serving }
    }

    pub fn socket(&self) -> PathBuf {
        self.dir.path().join("node.sock")
    }

    pub fn state(&self) -> PathBuf {
        self.dir.path().join("state")
    }

    pub fn told(&self) -> Vec<Command> {
        std::mem::take(&mut self.node.told.lock().expect("lock"))
    }

    /// Has joined a hub that nobody can reach.
    pub fn joined(&self) -> Identity {
        let identity = identity("localhost:1");
        identity.store(&self.state().join("identity"), false).expect("stored");
        identity
    }

    pub fn stop(self) -> tempfile::TempDir {
        self.trigger.pull();
        self.serving.join().expect("no panic");
        self.dir
    }
}

/// An identity from a CA of its own.
pub fn identity(mqtt: &str) -> Identity {
    let key = |_| KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).expect("key");
    let (ca_key, node_key) = (key("ca"), key("node"));
    let mut ca = CertificateParams::default();
    ca.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    let root = ca.self_signed(&ca_key).expect("root");
    let mut leaf = CertificateParams::default();
    leaf.subject_alt_names = vec![SanType::URI("urn:causeway:node:crane-7".try_into().expect("uri"))];
    let leaf = leaf.signed_by(&node_key, &Issuer::new(ca, ca_key)).expect("leaf");
    Identity {
        node: name("crane-7"),
        epoch: 1,
        api: "https://hub.example".into(),
        mqtt: mqtt.parse().expect("address"),
        hub_key: SecretKey::from_seed(&[1; 32]).public(),
        publishers: vec![SecretKey::from_seed(&[2; 32]).public()],
        chain: vec![leaf.der().clone()],
        ca: root.der().clone(),
        key: PrivatePkcs8KeyDer::from(node_key.serialize_der()),
    }
}

pub fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(path).expect("there").permissions().mode() & 0o777
}
