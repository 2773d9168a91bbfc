//! The hub's machine: the real [`Hub`] over its store, and in place of the gate one task per session, which keeps the
//! gate's promises.
//!
//! What outlives the hub's process is here: store, content, key, clock. [`Center::kill`] is `kill -9`: nothing is written
//! on the way out.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use cloud_hub::blobs::Blobs;
use cloud_hub::ca::Ca;
use cloud_hub::delta::Delta;
use cloud_hub::gate::{End, Nodes, OtherEnd, Session, joined};
use cloud_hub::hub::{Hub, Parts, Settings};
use cloud_hub::link::Link;
use cloud_hub::records::{NODES, Node, Stored, key};
use cloud_hub::store::{Change, Store};
use shared::assign::Labels;
use shared::id::Name;
use shared::sign::{PublicKey, SecretKey};
use shared::time::UnixMillis;
use shared::topic::Channel;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::catalog::{Catalog, Published, content, publisher, temporary};
use super::identity::certificate;
use super::prompt::Prompt;

/// Bulk messages under way per node, as the gate's default.
const BULK: usize = 4;
/// Messages in the simulated socket's buffer.
const SOCKET: usize = 4;
/// When every world begins: 2026-01-01, in milliseconds.
pub const BEGINNING: u64 = 1_767_225_600_000;

/// What stays when the hub's process ends.
pub struct Center {
    store: Arc<Prompt>,
    catalog: Arc<Catalog>,
    ca: Arc<Ca>,
    wall: Arc<AtomicI64>,
    started: Instant,
    dir: tempfile::TempDir,
    now: watch::Sender<Option<Arc<Serving>>>,
    backups: u32,
}

/// A hub that runs.
pub struct Serving {
    /// The hub.
    pub hub: Arc<Hub>,
    link: Link,
    sessions: Mutex<BTreeMap<Name, Session>>,
    tasks: Mutex<JoinSet<()>>,
    last: AtomicU64,
    killed: AtomicBool,
    _stop: watch::Sender<bool>,
}

/// A node's connection with a hub that runs. Dropping it closes it.
pub struct Wire {
    /// Towards the hub.
    pub up: mpsc::Sender<(Channel, Bytes)>,
    /// From the hub; its end is the end of the connection.
    pub down: mpsc::Receiver<Bytes>,
}

impl Center {
    /// A hub with the catalog published and `nodes` enrolled. It is not started.
    pub async fn new(catalog: Arc<Catalog>, nodes: &BTreeMap<Name, Labels>) -> Self {
        let dir = temporary();
        catalog.stock(dir.path());
        let ca = Arc::new(Ca::open(dir.path(), UnixMillis(BEGINNING)).expect("CA"));
        let store = Arc::new(Prompt::in_memory());
        let enrolled = nodes.iter().map(|(name, labels)| {
            let (created, updated) = (UnixMillis(BEGINNING), UnixMillis(BEGINNING));
            let certificate = Some(certificate(name));
            Change::create(
                key(NODES, name),
                Node { labels: labels.clone(), certificate, revoked: false, created, updated }.encode(),
            )
        });
        store.commit(enrolled.collect(), Vec::new()).await.expect("enrol");
        let (wall, started, now) = (Arc::default(), Instant::now(), watch::channel(None).0);
        let mut center = Self { store, catalog, ca, wall, started, dir, now, backups: 0 };
        center.start().await;
        let hub = center.hub().expect("just started");
        hub.add_publisher(&Name::new("world").expect("name"), publisher().public(), "world").await.expect("publisher");
        for published in &center.catalog.all {
            hub.publish(&published.envelope, "world").await.expect("publish");
        }
        center
    }

    /// Publishes one more release; its content is there.
    pub async fn publish(&self, published: &Published) {
        self.hub().expect("it runs").publish(&published.envelope, "world").await.expect("publish");
    }

    /// Its content, for somebody beside it.
    pub fn content(&self) -> Blobs {
        content(self.dir.path())
    }

    /// The key the nodes trust.
    pub fn key() -> PublicKey {
        hub_key().public()
    }

    /// Starts the hub, if it does not run.
    pub async fn start(&mut self) {
        if self.now.borrow().is_some() {
            return;
        }
        let settings = Settings { name: "world".into(), api: "https://hub.world:8443".into(), mqtt: "hub.world:8883".into() };
        let (wall, started) = (self.wall.clone(), self.started);
        let clock = Arc::new(move || {
            let passed = i64::try_from(started.elapsed().as_millis()).unwrap_or(i64::MAX);
            UnixMillis(BEGINNING.saturating_add_signed(passed + wall.load(Relaxed)))
        });
        let (store, blobs, ca) = (self.store.clone(), self.content(), self.ca.clone());
        let delta = Delta::open(self.dir.path(), &blobs, 1 << 30).expect("packs and patches");
        let hub = Hub::open(Parts { store, blobs, delta, ca, key: hub_key(), clock, settings }).await.expect("the hub opens");
        let hub = Arc::new(hub);
        let (stop, stopping) = watch::channel(false);
        let mut tasks = JoinSet::new();
        let running = hub.clone();
        tasks.spawn(async move { running.run(stopping).await });
        let serving = Serving {
            link: Link(hub.clone()),
            hub,
            sessions: Mutex::default(),
            tasks: Mutex::new(tasks),
            last: AtomicU64::new(0),
            killed: AtomicBool::new(false),
            _stop: stop,
        };
        self.now.send_replace(Some(Arc::new(serving)));
    }

    /// Ends the hub's process without a word.
    pub fn kill(&mut self) {
        if let Some(serving) = self.now.send_replace(None) {
            serving.killed.store(true, Relaxed);
            lock(&serving.tasks).abort_all();
            lock(&serving.sessions).values().for_each(|session| session.end(End::Stopping));
        }
    }

    /// The hub, while it runs.
    pub fn hub(&self) -> Option<Arc<Hub>> {
        self.now.borrow().as_ref().map(|serving| serving.hub.clone())
    }

    /// What it stores.
    pub fn store(&self) -> Arc<dyn Store> {
        self.store.clone()
    }

    /// Watches whether it runs.
    pub fn serving(&self) -> watch::Receiver<Option<Arc<Serving>>> {
        self.now.subscribe()
    }

    /// Sets the hub's wall clock `millis` forward or back.
    pub fn turn_clock(&self, millis: i64) {
        self.wall.store(millis, Relaxed);
    }

    /// Writes a backup and says which.
    pub async fn back_up(&mut self) -> u32 {
        self.backups += 1;
        self.store.export(&self.dir.path().join(format!("backup-{}", self.backups))).await;
        self.backups
    }

    /// Kills the hub and puts a backup in the place of its store. It is not started, and its epoch stays as it was.
    pub fn restore(&mut self, backup: u32) {
        self.kill();
        let (from, to) = (format!("backup-{backup}"), format!("store-{backup}-{}", self.last_file()));
        let (from, to) = (self.dir.path().join(from), self.dir.path().join(to));
        cloud_hub::store::redb::RedbStore::import(&from, &to).expect("restore");
        self.store = Arc::new(Prompt::open(&to));
    }

    fn last_file(&self) -> usize {
        std::fs::read_dir(self.dir.path()).map_or(0, Iterator::count)
    }
}

impl Drop for Center {
    fn drop(&mut self) {
        self.kill();
    }
}

impl Serving {
    /// What the gate does between CONNECT and the first message; `None` when the node is not admitted.
    pub async fn connect(self: &Arc<Self>, node: &Name) -> Option<Wire> {
        self.link.admit(node, &certificate(node)).await.ok()?;
        let (session, end) = joined(self.last.fetch_add(1, Relaxed) + 1, BULK);
        loop {
            let older = lock(&self.sessions).get(node).cloned();
            let Some(older) = older.filter(|_| !self.killed.load(Relaxed)) else { break };
            older.end(End::TakenOver);
            older.left().await;
        }
        if self.killed.load(Relaxed) {
            return None;
        }
        lock(&self.sessions).insert(node.clone(), session.clone());
        let (up, from_node) = mpsc::channel(SOCKET);
        let (to_node, down) = mpsc::channel(SOCKET);
        let served = serve(self.clone(), node.clone(), session, end, from_node, to_node);
        let mut tasks = lock(&self.tasks);
        while let Some(ended) = tasks.try_join_next() {
            super::machine::no_panic(ended);
        }
        tasks.spawn(served);
        Some(Wire { up, down })
    }

    /// Sessions that are open.
    pub fn sessions(&self) -> usize {
        lock(&self.sessions).len()
    }
}

/// A session's life, as `gate::serve` has it: two halves, and a message that is being taken is taken to its end.
async fn serve(
    serving: Arc<Serving>,
    node: Name,
    session: Session,
    end: OtherEnd,
    mut from_node: mpsc::Receiver<(Channel, Bytes)>,
    to_node: mpsc::Sender<Bytes>,
) {
    let (link, id, busy) = (&serving.link, session.id(), AtomicBool::new(false));
    link.joined(&node, session.clone()).await;
    let speak = async {
        while let Some(message) = end.next().await {
            if to_node.send(message).await.is_err() {
                return;
            }
        }
    };
    let listen = async {
        while let Some((channel, payload)) = from_node.recv().await {
            busy.store(true, Relaxed);
            link.received(&node, id, channel, payload).await;
            busy.store(false, Relaxed);
            if session.ended().is_some() {
                return;
            }
        }
    };
    let mut listen = Box::pin(listen);
    tokio::select! {
        biased;
        () = speak => {
            session.end(End::Lost);
            if busy.load(Relaxed) {
                let _finished = tokio::time::timeout(std::time::Duration::from_secs(10), &mut listen).await;
            }
        }
        () = &mut listen => session.end(End::Lost),
    }
    link.left(&node, id).await;
    lock(&serving.sessions).remove(&node);
    drop(end);
}

fn hub_key() -> SecretKey {
    SecretKey::from_seed(&[1; 32])
}

/// Whoever panicked with it has failed the run already.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
