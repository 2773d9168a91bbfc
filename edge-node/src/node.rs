//! One node, assembled: store, loop and conversation around one runtime and one transport.
//!
//! ```text
//! transport ends ─▶ link ─▶ session ─▶ inbox ─▶ held ─▶ reconciler ─▶ runtime
//!                    └ supply ─▶ images ◀── fetch ────┘     └─▶ status ─▶ reporter ─▶ session
//! ```
//!
//! The daemon and the simulated world build it from the same parts.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use bytes::Bytes;
use shared::fault::{Fault, Faulty, node};
use shared::receipt::{EVENTS_MAX, RECEIPT_MAX, Receipt};
use shared::report::{Event, Report, Transfer};
use shared::sign::Keyring;
use shared::state::Override;
use shared::time::Uptime;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;

use crate::api::port::{self, Importing, LinkStatus, LogsWanted, Target};
use crate::budget::Ledger;
use crate::bundle::{self, Importer, Supply};
use crate::clock::Clock;
use crate::disk::{DiskUse, Meter};
use crate::held::Held;
use crate::images::content::Content;
use crate::images::transfers::Transfers;
use crate::inbox::{Inbox, Trust};
use crate::journal::Journal;
use crate::link::Link;
use crate::link::transport::NodeEnds;
use crate::logs::{LogFiles, Wanted};
use crate::neighbours::{Neighbours, Sharing};
use crate::reconciler::{self, Command, Status, Verb, Wish};
use crate::reporter::{Machine, Reporter};
use crate::reserve::Reserve;
use crate::runtime::Runtime;
use crate::session;
use crate::shutdown::Shutdown;

/// Commands of operators that wait for the loop.
const COMMANDS: usize = 16;
/// Words about an import that wait; more progress is left out.
const IMPORTING: usize = 16;

/// What a node is made of.
pub struct Setup<R> {
    /// Who it is and whom it believes.
    pub trust: port::Trust,
    /// What runs containers.
    pub runtime: Arc<R>,
    /// Its memory.
    pub held: Arc<Held>,
    /// What happened to it.
    pub journal: Arc<Journal>,
    /// What its link carried.
    pub ledger: Arc<Ledger>,
    /// What it has of images.
    pub content: Content,
    /// Space that is kept for its state.
    pub reserve: Reserve,
    /// Logs of services.
    pub logs: LogFiles,
    /// Its clocks.
    pub clock: Clock,
    /// What it is.
    pub machine: Machine,
    /// What was found wrong while starting.
    pub faults: Vec<Fault>,
    /// The other nodes of its site, if it shares images with them.
    pub neighbours: Option<Neighbours>,
    /// Its side of the transport.
    pub ends: NodeEnds,
}

/// A node that was assembled; [`run`](Self::run) makes it live.
pub struct Node<R> {
    view: Arc<View<R>>,
    pump: std::pin::Pin<Box<dyn Future<Output = ()> + Send>>,
    reconciler: reconciler::Parts<R, Supply>,
    commands: mpsc::Receiver<Command>,
    status: watch::Sender<Status>,
    session: session::Parts<LogFiles>,
}

/// The node as the local API sees it.
pub struct View<R> {
    runtime: Arc<R>,
    content: Content,
    /// Below it lies everything of the node's own.
    state: PathBuf,
    meter: Meter,
    transfers: Transfers,
    neighbours: Option<Neighbours>,
    trust: Mutex<port::Trust>,
    believed: Arc<RwLock<Trust>>,
    link: Link,
    held: Arc<Held>,
    journal: Arc<Journal>,
    ledger: Arc<Ledger>,
    logs: LogFiles,
    clock: Clock,
    commands: mpsc::Sender<Command>,
    importer: Arc<Importer>,
    latest: watch::Receiver<Arc<Report>>,
    confirmed: watch::Receiver<Option<Uptime>>,
    /// Whether the link was up when we last looked, and since when.
    online: Mutex<(bool, Uptime)>,
}

impl<R: Runtime> Node<R> {
    /// Puts the parts together.
    pub fn assemble(setup: Setup<R>) -> Self {
        let Setup { trust, runtime, held, journal, ledger, content, reserve, logs, clock, machine, faults, neighbours, ends } =
            setup;
        let now = clock.now();
        journal.record(now.wall, None, Fault::new(&node::EVENT_STARTED).with("version", env!("CARGO_PKG_VERSION")));
        for fault in &faults {
            journal.record(now.wall, None, fault.clone());
        }
        let (status, changes) = watch::channel(Status::default());
        ledger.set(held.holding().desired.budget.as_ref()); // Before anybody asks what day it is on site.
        let address = neighbours.as_ref().map_or_else(|| watch::channel(None).1, Neighbours::address);
        let reporter = Reporter::new(clock, held.clone(), changes, ledger.clone(), machine.clone(), address.clone(), faults);
        let reporter = Arc::new(reporter);
        let (latest, newest) = watch::channel(Arc::new(reporter.report()));
        let (confirmed, agreed) = watch::channel(None);
        let (tell, commands) = mpsc::channel(COMMANDS);
        let (link, inbound, pump) = Link::new(ends, ledger.clone());
        let believed = Arc::new(RwLock::new(Trust {
            hub: Keyring::new([trust.hub_key], 1),
            publishers: Keyring::new(trust.publishers.iter().copied(), 1),
        }));
        let me = trust.node.clone();
        let inbox = Arc::new(Inbox::new(me.clone(), believed.clone(), held.clone()));
        let supply = Supply::new(link.clone(), content.clone(), held.clone(), neighbours.clone());
        let importer = Arc::new(Importer::new(bundle::Parts {
            me,
            platform: machine.platform.clone(),
            inbox: inbox.clone(),
            held: held.clone(),
            journal: journal.clone(),
            supply: supply.clone(),
            content: content.clone(),
            status: status.subscribe(),
            commands: tell.clone(),
            ledger: ledger.clone(),
            clock,
        }));
        let transfers = Transfers::default();
        let reconciler = reconciler::Parts {
            runtime: runtime.clone(),
            source: Arc::new(supply.clone()),
            content: content.clone(),
            transfers: transfers.clone(),
            held: held.clone(),
            ledger: ledger.clone(),
            journal: journal.clone(),
            reserve,
            clock,
            platform: machine.platform,
        };
        let session = session::Parts {
            link: link.clone(),
            inbound,
            inbox,
            supply,
            held: held.clone(),
            journal: journal.clone(),
            reporter,
            changed: status.subscribe(),
            address,
            latest,
            confirmed,
            logs: Arc::new(logs.clone()),
            clock,
        };
        let view = Arc::new(View {
            runtime,
            content,
            state: machine.state,
            meter: Meter::default(),
            transfers,
            neighbours,
            trust: Mutex::new(trust),
            believed,
            link,
            held,
            journal,
            ledger,
            logs,
            clock,
            commands: tell,
            importer,
            latest: newest,
            confirmed: agreed,
            online: Mutex::new((false, now.uptime)),
        });
        Self { view, pump: Box::pin(pump), reconciler, commands, status, session }
    }

    /// The node as the local API sees it.
    pub fn view(&self) -> Arc<View<R>> {
        self.view.clone()
    }

    /// Runs loop and conversation until `shutdown`. Containers go on running.
    pub async fn run(self, shutdown: Shutdown) {
        let Self { view, pump, reconciler, commands, status, session } = self;
        let reconcile = Box::pin(reconciler::run(reconciler, commands, status, shutdown.clone()));
        let converse = Box::pin(session::run(session, shutdown.clone()));
        let sharing = async {
            if let Some(neighbours) = &view.neighbours {
                neighbours.serve(shutdown.clone()).await;
            }
        };
        let (mut moved, mut watched) = (shutdown.clone(), shutdown.clone());
        let moving = async {
            tokio::select! {
                () = pump => {}
                () = moved.wait() => {}
            }
        };
        let watching = async {
            tokio::select! {
                () = view.watch_link() => {}
                () = watched.wait() => {}
            }
        };
        tokio::join!(reconcile, converse, sharing, moving, watching);
    }
}

impl<R> View<R> {
    async fn watch_link(&self) {
        let mut online = self.link.online();
        while online.changed().await.is_ok() {
            *lock(&self.online) = (*online.borrow_and_update(), self.clock.now().uptime);
        }
    }

    async fn tell(&self, target: Target, verb: Verb) -> Result<(), Fault> {
        let Target { app, service } = target;
        self.wish(Wish::App(Override { app, service }, verb)).await
    }

    async fn wish(&self, wish: Wish) -> Result<(), Fault> {
        let (answer, answered) = oneshot::channel();
        let gone = || Fault::new(&node::STOPPING);
        self.commands.send(Command { wish, answer }).await.map_err(|_| gone())?;
        answered.await.map_err(|_| gone())?
    }
}

impl<R: Runtime> port::Node for View<R> {
    fn report(&self) -> Arc<Report> {
        self.latest.borrow().clone()
    }

    fn transfers(&self) -> Vec<Transfer> {
        self.transfers.list(Instant::now(), self.ledger.waits().borrow().as_ref())
    }

    fn neighbours(&self) -> Option<Sharing> {
        self.neighbours.as_ref().map(Neighbours::sharing)
    }

    fn link(&self) -> LinkStatus {
        let (now, (online, since)) = (self.clock.now().uptime, *lock(&self.online));
        let age = |at: Uptime| now.saturating_sub(at);
        LinkStatus { online, since: age(since), confirmed: self.confirmed.borrow().map(age), trouble: self.link.trouble() }
    }

    fn carried(&self) -> port::Carried {
        let (budget, spent) = self.ledger.view();
        port::Carried { budget, today: spent.day.counts, month: spent.month.counts, paused: self.held.holding().paused }
    }

    fn trust(&self) -> port::Trust {
        lock(&self.trust).clone()
    }

    async fn disk(&self) -> Result<DiskUse, Fault> {
        let (holding, report) = (self.held.holding(), self.report());
        Box::pin(self.meter.measure(&*self.runtime, &self.content, &self.state, &holding, &report)).await
    }

    async fn events(&self, from: Option<u64>, limit: usize) -> Result<Vec<Event>, Fault> {
        let from = from.unwrap_or_else(|| self.journal.next().saturating_sub(limit as u64));
        self.journal.entries(from, limit).map_err(|error| error.fault())
    }

    async fn logs(&self, wanted: LogsWanted) -> Result<mpsc::Receiver<Bytes>, Fault> {
        let LogsWanted { app, service, tail, follow } = wanted;
        let mut pieces = self.logs.open(&Wanted { app, service: Some(service), tail, follow })?;
        let (send, lines) = mpsc::channel(1);
        tokio::spawn(async move {
            while let Some(piece) = pieces.recv().await {
                if send.send(Bytes::from(piece)).await.is_err() {
                    return;
                }
            }
        });
        Ok(lines)
    }

    async fn import(&self, file: PathBuf) -> Result<mpsc::Receiver<Importing>, Fault> {
        let (tell, told) = mpsc::channel(IMPORTING);
        let importer = self.importer.clone();
        tokio::spawn(async move {
            let last = tokio::select! {
                () = tell.closed() => return, // Nobody waits for it any more: the stick may be pulled.
                done = importer.import(file, &tell) => done.map_or_else(Importing::Failed, Importing::Done),
            };
            let _reader_may_be_gone = tell.send(last).await;
        });
        Ok(told)
    }

    async fn receipt(&self) -> Result<Receipt, Fault> {
        let events = self.journal.unconfirmed_within(EVENTS_MAX, RECEIPT_MAX / 2).map_err(|error| error.fault())?;
        let next = events.last().map_or_else(|| self.journal.next(), |event| event.number.saturating_add(1));
        let report = self.latest.borrow().clone();
        Ok(Receipt { node: lock(&self.trust).node.clone(), next, report: (*report).clone(), events })
    }

    async fn command(&self, command: port::Command) -> Result<(), Fault> {
        match command {
            port::Command::Start(target) => self.tell(target, Verb::Start).await,
            port::Command::Stop(target) => self.tell(target, Verb::Stop).await,
            port::Command::Restart(target) => self.tell(target, Verb::Restart).await,
            port::Command::Pause(image) => self.wish(Wish::Pause(image)).await,
            port::Command::Resume(image) => self.wish(Wish::Resume(image)).await,
            port::Command::SecretChanged(app) => self.tell(Target { app, service: None }, Verb::Retry).await,
            port::Command::Publishers(keys) => {
                let mut believed = self.believed.write().unwrap_or_else(PoisonError::into_inner);
                believed.publishers = Keyring::new(keys.iter().copied(), 1);
                lock(&self.trust).publishers = keys;
                Ok(())
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
