//! One import after the other: checks the bundle, lets inbox and loop work with it, and waits until nothing of it is needed
//! any more.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use shared::fault::{self, Fault, Faulty, node, trust};
use shared::id::Name;
use shared::oci::Platform;
use shared::people::rfc3339;
use shared::report::Phase;
use shared::sign::Envelope;
use shared::state::{Override, Stamp};
use shared::wire::MESSAGE_MAX;
use tokio::sync::{Mutex, mpsc, oneshot, watch};

use super::{Bundle, OpenError, Supply};
use crate::api::port::Importing;
use crate::budget::Ledger;
use crate::clock::Clock;
use crate::held::Held;
use crate::images::content::Content;
use crate::images::stop::StopOnDrop;
use crate::inbox::{Inbox, Taken};
use crate::journal::Journal;
use crate::reconciler::{Command, Status, Verb, Wish};

/// The disk is looked at this often although the loop said nothing.
const LOOK: Duration = Duration::from_millis(500);

/// What an import works with.
pub struct Parts {
    /// This node.
    pub me: Name,
    /// Its kind of machine.
    pub platform: Platform,
    /// Takes desired states.
    pub inbox: Arc<Inbox>,
    /// What the node holds.
    pub held: Arc<Held>,
    /// What happened.
    pub journal: Arc<Journal>,
    /// Where bundles are put in.
    pub supply: Supply,
    /// What it has of images.
    pub content: Content,
    /// What the loop says.
    pub status: watch::Receiver<Status>,
    /// To the loop.
    pub commands: mpsc::Sender<Command>,
    /// Who waits for the budget of the link need not, when the bundle has it.
    pub ledger: Arc<Ledger>,
    /// The node's clocks.
    pub clock: Clock,
}

/// Imports bundles.
pub struct Importer {
    parts: Parts,
    turn: Mutex<()>,
}

/// Whoever wants to hear how it goes; progress is left out when nobody takes it.
type Tell = mpsc::Sender<Importing>;

/// How far the images of the accepted state are.
enum Arrived {
    All,
    NotYet,
    Never(Fault),
}

impl Importer {
    /// An importer of `parts`.
    pub fn new(parts: Parts) -> Self {
        Self { parts, turn: Mutex::const_new(()) }
    }

    /// Imports the bundle in `path`. Drop the future to stop; what was accepted and copied stays.
    pub async fn import(&self, path: PathBuf, tell: &Tell) -> Result<Stamp, Fault> {
        let _turn = self.turn.try_lock().map_err(|_| Fault::new(&fault::bundle::RUNS))?;
        let bundle = Arc::new(open(path, tell.clone()).await?);
        let envelope = self.state(bundle.clone()).await?;
        self.parts.inbox.is_from_hub(&envelope).map_err(|error| error.fault())?;
        let (supply, plugging) = (self.parts.supply.clone(), bundle.clone());
        let inserted = tokio::task::spawn_blocking(move || supply.plug(plugging)).await;
        let _inserted = inserted.map_err(|_| Fault::new(&node::STOPPING))?;
        self.parts.ledger.stir();
        self.record(Fault::new(&fault::bundle::BEGUN).with("made", rfc3339(bundle.made())));
        let done = self.with(envelope, &bundle, tell).await;
        match &done {
            Ok(stamp) => self.record(Fault::new(&fault::bundle::IMPORTED).with("stamp", stamp)),
            Err(fault) => self.record(fault.clone()),
        }
        done
    }

    /// The signed state in the bundle that is for this node. It may be anything.
    async fn state(&self, bundle: Arc<Bundle>) -> Result<Envelope, Fault> {
        let me = self.parts.me.clone();
        let nodes: Vec<String> = bundle.nodes().take(8).map(Name::to_string).collect();
        let state = tokio::task::spawn_blocking(move || bundle.state(&me, MESSAGE_MAX)).await;
        let not_for_us = || Fault::new(&fault::bundle::NOT_FOR_US).with("nodes", nodes.join(", ")).with("node", &self.parts.me);
        let state = state.map_err(|_| Fault::new(&node::STOPPING))??.ok_or_else(not_for_us)?;
        Envelope::from_bytes(&state).map_err(|error| Fault::new(&trust::UNREADABLE_STATE).with("cause", error))
    }

    async fn with(&self, envelope: Envelope, bundle: &Bundle, tell: &Tell) -> Result<Stamp, Fault> {
        let stamp = match self.parts.inbox.receive(envelope, &self.parts.supply).await {
            Ok(Taken::Accepted(stamp)) => {
                self.record(Fault::new(&node::EVENT_ACCEPTED).with("stamp", stamp));
                stamp
            }
            Ok(Taken::Same(stamp)) => stamp,
            Err(error) => return Err(bundle.broken().unwrap_or_else(|| error.fault())),
        };
        self.retry().await?;
        let mut status = self.parts.status.clone();
        loop {
            let now = status.borrow_and_update().clone();
            match (bundle.broken(), self.arrived(&now)) {
                (_, Arrived::All) => return Ok(stamp),
                (Some(fault), _) | (None, Arrived::Never(fault)) => return Err(fault),
                (None, Arrived::NotYet) => {}
            }
            let sum = |part: fn(&shared::report::Transfer) -> u64| now.transfers.iter().map(part).fold(0, u64::saturating_add);
            let _progress = tell.try_send(Importing::Fetching { done: sum(|t| t.done), total: sum(|t| t.total) });
            tokio::select! {
                changed = status.changed() => changed.map_err(|_| Fault::new(&node::STOPPING))?,
                () = tokio::time::sleep(LOOK) => {}
            }
        }
    }

    /// What could not be fetched without the bundle is tried again now.
    async fn retry(&self) -> Result<(), Fault> {
        let stopping = || Fault::new(&node::STOPPING);
        for app in self.parts.held.holding().desired.apps.into_keys() {
            let (answer, answered) = oneshot::channel();
            let retry = Command { wish: Wish::App(Override { app, service: None }, Verb::Retry), answer };
            self.parts.commands.send(retry).await.map_err(|_| stopping())?;
            answered.await.map_err(|_| stopping())??;
        }
        Ok(())
    }

    /// Whether everything is on disk that the accepted state needs; a release that was undone here is not needed. What can
    /// come does, before it is said of the rest that it cannot.
    fn arrived(&self, status: &Status) -> Arrived {
        let Parts { held, content, platform, .. } = &self.parts;
        let holding = held.holding();
        let mut arrived = Arrived::All;
        for (app, id) in holding.desired.releases() {
            let Some(release) = holding.releases.get(&id) else { continue };
            let mut services = release.manifest.spec.services.keys();
            if services.all(|service| release.image(service, platform).is_some_and(|image| content.has(image))) {
                continue;
            }
            let runs = status.apps.iter().find(|report| report.app == *app && report.wanted == id);
            let next = status.next.iter().find(|next| next.app == *app && next.release == id);
            let said = runs.map(|report| (report.phase, &report.fault)).or(next.map(|next| (next.phase, &next.fault)));
            match (said, &arrived) {
                (Some((Phase::Undone, _)), _) => {}
                (Some((Phase::Pending, Some(fault))), Arrived::All) => arrived = Arrived::Never(fault.clone()),
                (Some((Phase::Pending, Some(_))), Arrived::NotYet | Arrived::Never(_)) => {}
                (Some(_) | None, _) => arrived = Arrived::NotYet,
            }
        }
        arrived
    }

    fn record(&self, what: Fault) {
        self.parts.journal.record(self.parts.clock.now().wall, None, what);
    }
}

/// Opens the bundle where it may block.
async fn open(path: PathBuf, tell: Tell) -> Result<Bundle, Fault> {
    let stop = StopOnDrop::default();
    let asked = stop.asked();
    let told = move |done, total| {
        let _progress = tell.try_send(Importing::Checking { done, total });
    };
    let opened = tokio::task::spawn_blocking(move || Bundle::open(&path, &asked, told)).await;
    opened.map_err(|_| Fault::new(&node::STOPPING))?.map_err(|error: OpenError| error.fault())
}
