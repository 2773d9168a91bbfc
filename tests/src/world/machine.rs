//! One edge machine: what survives a reboot, what survives a kill of the daemon, and the daemon itself, put together of
//! the real parts as the binary does it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use edge_node::api::port::{Command, Node as _, Trust};
use edge_node::budget::{Ledger, Record};
use edge_node::clock::Clock;
use edge_node::held::Held;
use edge_node::images::blobs::BlobError;
use edge_node::images::content::Content;
use edge_node::journal::Journal;
use edge_node::link::transport::transport;
use edge_node::logs::LogFiles;
use edge_node::neighbours::Neighbours;
use edge_node::node::{Node, Setup, View};
use edge_node::reporter;
use edge_node::reserve::Reserve;
use edge_node::runtime::memory::Memory;
use edge_node::shutdown::{Trigger, shutdown};
use edge_node::store::Store;
use shared::fault::Fault;
use shared::id::{Digest, Name};
use shared::time::UnixMillis;
use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};

use super::cable;
use super::catalog::{Catalog, platform, publisher, temporary};
use super::center::{BEGINNING, Center, Serving};
use super::history::History;
use super::identity::identity;
use super::lan::Port;
use super::meter::Meter;
use super::watched::Watched;
use super::weather::Sky;

/// Messages between link and transport, as the binary has it.
const QUEUE: usize = 16;
/// Where neighbours reach it.
const NEIGHBOURS_PORT: u16 = 7448;

/// One machine.
pub struct Machine {
    /// Its name.
    pub name: Name,
    /// Its containers.
    pub memory: Memory,
    /// The weather over its line.
    pub sky: Arc<Sky>,
    lan: Arc<Port>,
    meter: Arc<Meter>,
    store: Arc<Store>,
    spent: Record,
    dir: tempfile::TempDir,
    clock: Clock,
    boots: u32,
    plug: watch::Sender<bool>,
    hub: watch::Receiver<Option<Arc<Serving>>>,
    history: Arc<History>,
    daemon: Option<Daemon>,
}

/// A daemon that runs.
pub struct Daemon {
    /// What it holds.
    pub held: Arc<Held>,
    /// What it wrote down.
    pub journal: Arc<Journal>,
    /// How people on site see it.
    pub view: Arc<View<Watched>>,
    _run: Trigger,
    tasks: JoinSet<()>,
}

impl Machine {
    /// A machine that was enrolled and is off.
    pub fn new(
        name: Name,
        sky: Sky,
        lan: Port,
        hub: watch::Receiver<Option<Arc<Serving>>>,
        catalog: Arc<Catalog>,
        history: Arc<History>,
    ) -> Self {
        let clock = Clock::simulated(Duration::from_secs(20), UnixMillis(BEGINNING));
        let store = Arc::new(Store::in_memory().expect("store"));
        let (memory, sky, plug) = (Memory::new(clock), Arc::new(sky), watch::channel(true).0);
        let meter = Arc::new(Meter::new(name.clone(), clock, catalog, history.clone()));
        Self {
            name,
            memory,
            sky,
            lan: Arc::new(lan),
            meter,
            store,
            spent: Record::in_memory(),
            dir: temporary(),
            clock,
            boots: 1,
            plug,
            hub,
            history,
            daemon: None,
        }
    }

    /// The daemon, while it runs.
    pub const fn daemon(&self) -> Option<&Daemon> {
        self.daemon.as_ref()
    }

    /// Cuts its line, or mends it.
    pub fn plug(&self, whole: bool) {
        self.plug.send_replace(whole);
    }

    /// Whether its line is whole.
    pub fn is_plugged(&self) -> bool {
        *self.plug.borrow()
    }

    /// Pulls its cable to the other machines of the site, or puts it in.
    pub fn plug_lan(&self, is_in: bool) {
        self.lan.network.plug(self.lan.machine, is_in);
    }

    /// Whether that cable is in.
    pub fn is_on_lan(&self) -> bool {
        self.lan.network.is_plugged(self.lan.machine)
    }

    /// Starts the daemon, if it does not run.
    pub async fn start(&mut self) {
        if self.daemon.is_some() {
            return;
        }
        let (clock, me, history, meter) = (self.clock, self.name.clone(), self.history.clone(), self.meter.clone());
        meter.starts(clock);
        let content = self.content().await;
        let held = Arc::new(Held::load(self.store.clone(), &me, clock.now().uptime));
        history.holds(&me, held.holding());
        meter.holds(&held.holding());
        let journal = Arc::new(Journal::new(self.store.clone()));
        let runtime = Watched {
            node: me.clone(),
            memory: self.memory.clone(),
            held: held.clone(),
            content: content.clone(),
            history: history.clone(),
        };
        let (at, lan) = ((self.lan.machine, NEIGHBOURS_PORT).into(), self.lan.clone());
        let neighbours = Neighbours::new(identity(&me), lan, at, held.clone(), content.clone(), journal.clone(), clock);
        let state = self.dir.path().to_owned();
        let (ends, node_ends) = transport(QUEUE);
        let node = Node::assemble(Setup {
            trust: self.trust(),
            runtime: Arc::new(runtime),
            held: held.clone(),
            journal: journal.clone(),
            ledger: Arc::new(Ledger::open(self.spent.clone(), clock)),
            content,
            reserve: Reserve::none(),
            logs: LogFiles::new(state.join("logs")),
            clock,
            machine: reporter::Machine { platform: platform(), boot: self.boot(), cpus: 2, memory: 1 << 30, state },
            faults: Vec::new(),
            neighbours: Some(neighbours.expect("TLS")),
            ends: node_ends,
        });
        let (run, end) = shutdown();
        let daemon = Daemon { held: held.clone(), journal, view: node.view(), _run: run, tasks: JoinSet::new() };
        let daemon = self.daemon.insert(daemon);
        daemon.tasks.spawn(node.run(end));
        let ends = cable::Ends { node: me.clone(), ends, sky: self.sky.clone(), meter: meter.clone() };
        daemon.tasks.spawn(cable::carry(ends, self.plug.subscribe(), self.hub.clone()));
        daemon.tasks.spawn(async move {
            let mut changed = held.changed();
            while changed.changed().await.is_ok() {
                history.holds(&me, held.holding());
                meter.holds(&held.holding());
            }
        });
    }

    /// Whom it believes since it was enrolled.
    fn trust(&self) -> Trust {
        Trust {
            node: self.name.clone(),
            hub: "https://hub".into(),
            mqtt: "hub:8883".into(),
            ca: Digest::of(b"the hub's CA"),
            hub_key: Center::key(),
            publishers: vec![publisher().public()],
        }
    }

    /// Ends the daemon as `kill -9` does; containers run on.
    pub async fn kill(&mut self) {
        if let Some(mut daemon) = self.daemon.take() {
            daemon.tasks.abort_all();
            while let Some(ended) = daemon.tasks.join_next().await {
                no_panic(ended);
            }
        }
    }

    /// Cuts the power: no process survives, and of what is unpacked only images of which `spoils` does not say so. After `off`
    /// the machine is up again, with its wall clock at `wall`; the daemon is not started.
    pub async fn reboot(&mut self, off: Duration, wall: UnixMillis, spoils: impl FnMut() -> bool) {
        self.kill().await;
        self.memory = self.memory.reboot(self.clock, spoils);
        tokio::time::sleep(off).await;
        self.boots += 1;
        self.clock = Clock::simulated(Duration::from_secs(20), wall);
        self.memory = self.memory.reboot(self.clock, || false);
    }

    /// Kills the daemon and sets the wall clock.
    pub async fn turn_clock(&mut self, wall: UnixMillis) {
        self.kill().await;
        self.clock = Clock::simulated(self.clock.now().uptime, wall);
    }

    /// Somebody on site wants something; the answer, if the daemon runs.
    pub async fn command(&self, command: Command) -> Option<Result<(), Fault>> {
        Some(self.daemon.as_ref()?.view.command(command).await)
    }

    /// Names of the files that it keeps of images: blobs, patches and what is known of them, packs.
    pub fn files(&self) -> BTreeSet<String> {
        let dirs = ["blobs/sha256", "patches/sha256", "packs"].map(|dir| std::fs::read_dir(self.dir.path().join(dir)));
        let entries = dirs.into_iter().flatten().flatten().flatten();
        entries.filter_map(|entry| entry.file_name().into_string().ok()).collect()
    }

    /// Whether a part of the daemon ended by itself.
    pub fn is_broken(&mut self) -> bool {
        self.daemon.as_mut().is_some_and(|daemon| daemon.tasks.try_join_next().is_some())
    }

    fn boot(&self) -> String {
        format!("{}-boot-{}", self.name, self.boots)
    }

    /// What it has of images. A killed daemon's last write may still be under way; a real kill would have ended it.
    async fn content(&self) -> Content {
        loop {
            match Content::open(self.dir.path(), &self.boot()) {
                Err(BlobError::InUse(_)) => tokio::time::sleep(Duration::from_millis(1)).await,
                opened => return opened.expect("the state directory"),
            }
        }
    }
}

/// A task that panicked fails the run.
pub(super) fn no_panic(ended: Result<(), JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        tracing::error!(%error, "a task panicked");
    }
}
