//! A narrow link: the real hub with its gate, and a real node over MQTT and TLS, with a relay of 256 kbit/s between them.
//!
//! ```sh
//! cargo test -p scenarios --test narrow -- --nocapture
//! ```
//!
//! Only the containers are simulated. What is measured takes real time; the bounds are seconds where a noisy machine costs
//! tens of milliseconds.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::print_stdout, missing_docs, reason = "tests")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use cloud_hub::blobs::Blobs as HubBlobs;
use cloud_hub::config::Config;
use cloud_hub::hub::Hub;
use cloud_hub::os::system_clock;
use cloud_hub::serve::{Running, start};
use edge_node::api::port::Trust;
use edge_node::budget::{Ledger, Record};
use edge_node::clock::{Clock, wall};
use edge_node::held::Held;
use edge_node::images::content::Content;
use edge_node::journal::Journal;
use edge_node::link::mqtt::{self, MqttConfig};
use edge_node::link::transport::transport;
use edge_node::logs::LogFiles;
use edge_node::node::{Node, Setup};
use edge_node::reporter::Machine;
use edge_node::reserve::Reserve;
use edge_node::runtime::memory::Memory;
use edge_node::shutdown::{Trigger, shutdown};
use edge_node::store::Store;
use scenarios::proxy::Proxy;
use scenarios::world::catalog::{Published, large, platform, publisher};
use scenarios::world::everywhere;
use shared::id::{Digest, Name};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

/// Bits a second, each way.
const RATE: u64 = 256_000;
/// Desired states that are changed while the image flows, each a second or so after the one before.
const CHANGES: usize = 12;
/// For control messages, at the 99th percentile; of so few that is the worst.
const PROMISED: Duration = Duration::from_secs(2);
/// Nothing here takes so long, on however slow a machine.
const LONG: Duration = Duration::from_secs(60);

/// Hub, relay and node.
struct Site {
    running: Running,
    proxy: Proxy,
    held: Arc<Held>,
    dir: tempfile::TempDir,
    _run: [Trigger; 2],
    _tasks: JoinSet<()>,
}

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

impl Site {
    /// All up, and the node in sync.
    async fn new() -> Self {
        let _installed = rustls::crypto::ring::default_provider().install_default();
        let dir = tempfile::tempdir().unwrap();
        let (state, node) = (dir.path().join("hub"), dir.path().join("node"));
        let text = format!("state_dir = {state:?}\n[api]\nlisten = \"127.0.0.1:0\"\n[gate]\nlisten = \"127.0.0.1:0\"\n");
        let running = start(&Config::read(&text, "test").unwrap(), system_clock()).await.unwrap();
        running.hub.add_publisher(&name("world"), publisher().public(), "test").await.unwrap();
        let proxy = Proxy::narrow(running.gate.port(), RATE).unwrap();
        let identity = Site::enrol(&running, &node).await;
        let config =
            MqttConfig { address: format!("127.0.0.1:{}", proxy.port()).parse().unwrap(), ..MqttConfig::of(&identity).unwrap() };
        let trust = Trust {
            node: identity.node.clone(),
            hub: identity.api.clone(),
            mqtt: identity.mqtt.to_string(),
            ca: Digest::of(&identity.ca),
            hub_key: identity.hub_key,
            publishers: identity.publishers.clone(),
        };
        let clock = Clock::simulated(Duration::from_secs(20), wall());
        let store = Arc::new(Store::in_memory().unwrap());
        let held = Arc::new(Held::load(store.clone(), &identity.node, clock.now().uptime));
        let (ends, node_ends) = transport(16);
        let assembled = Node::assemble(Setup {
            trust,
            runtime: Arc::new(Memory::new(clock)),
            held: held.clone(),
            ledger: Arc::new(Ledger::open(Record::in_memory(), clock)),
            journal: Arc::new(Journal::new(store)),
            content: Content::open(&node, "boot").unwrap(),
            reserve: Reserve::none(),
            logs: LogFiles::new(node.join("logs")),
            clock,
            machine: Machine { platform: platform(), boot: "boot".into(), cpus: 2, memory: 1 << 30, state: node },
            faults: Vec::new(),
            neighbours: None,
            ends: node_ends,
        });
        let ([run, carry], mut tasks) = ([shutdown(), shutdown()], JoinSet::new());
        tasks.spawn(assembled.run(run.1));
        tasks.spawn(mqtt::run(config, ends, carry.1));
        let this = Self { running, proxy, held, dir, _run: [run.0, carry.0], _tasks: tasks };
        this.until("the node to be in sync", async || this.in_sync()).await;
        this
    }

    async fn enrol(running: &Running, node: &std::path::Path) -> edge_node::identity::Identity {
        let (token, _) = running.hub.make_join_token(&name("n1"), None, Default::default(), "test").await.unwrap();
        edge_node::join::join(&token.to_string(), &node.join("identity"), false, &Reserve::none()).await.unwrap()
    }

    fn hub(&self) -> &Hub {
        &self.running.hub
    }

    fn in_sync(&self) -> bool {
        self.hub().status_of(&name("n1")).is_some_and(|status| status.in_sync)
    }

    /// Publishes an app whose image has so many KiB.
    async fn publish(&self, app: &str, kib: usize) -> Published {
        let published = large(HubBlobs::open(&self.dir.path().join("hub"), 64 << 20).unwrap(), app, "1", kib);
        self.hub().publish(&published.envelope, "test").await.unwrap();
        published
    }

    /// Says that it shall run, or not.
    async fn put(&self, published: &Published, run: bool) {
        let entry = self.hub().release(published.id).await.unwrap().unwrap();
        let request = cloud_hub::deployments::request(&entry, everywhere(), run, false);
        self.hub().deploy(&published.app, request, None, "test").await.unwrap();
    }

    /// Looks every few milliseconds; how long it took.
    async fn until(&self, what: &str, is: impl AsyncFn() -> bool) -> Duration {
        let began = Instant::now();
        let looks = async {
            while !is().await {
                sleep(Duration::from_millis(2)).await;
            }
        };
        timeout(LONG, looks).await.unwrap_or_else(|_| panic!("waited for {what}"));
        began.elapsed()
    }

    /// Waits until so many more bytes came.
    async fn flows(&self, more: u64) {
        let before = self.proxy.bytes();
        self.until("the image to flow", async || self.proxy.bytes() >= before + more).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn control_messages_pass_an_image_within_two_seconds() {
    let site = Site::new().await;
    let small = site.publish("small", 4).await;
    let big = site.publish("big", 2 << 10).await;
    site.put(&small, true).await;
    site.until("the first state", async || site.held.holding().desired.apps.len() == 1 && site.in_sync()).await;
    site.put(&big, true).await;
    site.flows(64 << 10).await;
    let (bytes, began) = (site.proxy.bytes(), Instant::now());
    let (mut down, mut up) = (Vec::new(), Vec::new());
    for n in 0..CHANGES {
        let old = site.held.accepted();
        let said = Instant::now();
        site.put(&small, n % 2 == 1).await;
        site.until("the state to be accepted", async || site.held.accepted() != old).await;
        down.push(said.elapsed());
        up.push(site.until("the hub to hear of it", async || site.in_sync()).await);
        sleep(Duration::from_millis(700 + 97 * n as u64 % 500)).await;
    }
    let flowed = site.proxy.bytes() - bytes;
    let used = flowed * 8 * 100 * 1000 / u64::try_from(began.elapsed().as_millis()).unwrap() / RATE;
    down.sort_unstable();
    up.sort_unstable();
    println!("desired states: median {:?}, worst {:?}", down[CHANGES / 2], down[CHANGES - 1]);
    println!("reports: median {:?}, worst {:?}; the link is {used} % used", up[CHANGES / 2], up[CHANGES - 1]);
    assert!(down[CHANGES - 1] <= PROMISED, "{down:?}");
    assert!(up[CHANGES - 1] <= PROMISED, "{up:?}");
    assert!(used >= 75, "the image had only {used} % of the link");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_costs_at_most_a_frame() {
    const CUTS: u64 = 3;
    const KIB: u64 = 200;
    /// A frame on such a link, and what the two ends say to each other when they meet again: TLS, hello, state.
    const PER_CUT: u64 = (4 << 10) + (4 << 10);
    let site = Site::new().await;
    let big = site.publish("big", KIB as usize).await;
    let before = site.proxy.bytes();
    site.proxy.cut_after([50_001, 30_002, 40_003]);
    site.put(&big, true).await;
    site.until("the image", async || {
        site.hub()
            .status_of(&name("n1"))
            .is_some_and(|status| status.apps.iter().any(|app| app.phase == shared::report::Phase::Running))
    })
    .await;
    let (came, whole) = (site.proxy.bytes() - before, KIB << 10);
    assert_eq!(site.proxy.cuts(), CUTS);
    // One of a hundred is promised; four are what goes beside each frame: digest, topic, TLS. And there is the release.
    let most = whole * (100 + 1 + 4) / 100 + CUTS * PER_CUT + (8 << 10);
    println!("{came} bytes came for an image of {whole} bytes over {CUTS} cuts, {most} allowed");
    assert!(came <= most, "{came} bytes, {most} allowed");
}
