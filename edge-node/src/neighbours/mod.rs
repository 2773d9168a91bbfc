//! Neighbours: the other nodes of this site, as the hub's signed word names them ([`shared::neighbour`]).
//!
//! ```text
//! images::fetch ─▶ take ─▶ stages of all ─▶ turn ─┬▶ Take  ─▶ talk ─▶ build ─▶ packs
//!                                                 ├▶ Wait  ─▶ look again, as long as whoever brings it gets on
//!                                                 └▶ Bring ─▶ the link
//! serve ◀── others ask the same of us
//! ```
//!
//! Nobody here is believed. A recipe is compared with the signed release, each chunk with the recipe while it is stored,
//! and the sha256 of the whole tar with the signed one when it is unpacked. Whoever sends something else is left aside, and
//! costs one chunk when it lies from the beginning: from one to [`CHUNKS_MAX`] chunks are asked for at once, twice as many
//! after each time that all was right.
//!
//! The list of neighbours lies on disk with the desired state. Nothing here needs the hub.

mod address;
mod board;
mod build;
mod message;
mod pinned;
mod roster;
mod serve;
mod talk;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream;
use rustls::ServerConfig;
use shared::id::{Digest, Name};
use shared::neighbour::{CHUNKS_MAX, LAYERS_MAX, Stage, Turn, turn};
use shared::recipe::Recipe;
use shared::release::{Blob, Layer};
use shared::state::NEIGHBOURS_MAX;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use crate::clock::Clock;
use crate::held::Held;
use crate::identity::Identity;
use crate::images::blobs::{BlobError, blocking};
use crate::images::content::Content;
use crate::journal::Journal;
use crate::shutdown::Shutdown;
use crate::tls::Unusable;
use board::Board;
pub use board::{Brings, Wants};
use build::{Build, Refused};
use roster::{Count, Roster};
pub use roster::{Sharing, Standing, State};
use talk::{Talk, Useless};

/// So often those that bring something are asked how far they are.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// So often those that have nothing are asked whether they have something now.
const NEWS_EVERY: Duration = Duration::from_secs(5);
/// Whoever brings a layer and does not get on for so long is not waited for.
const PATIENCE: Duration = Duration::from_secs(60);
/// Whoever wants a layer and has not begun after so long is not waited for.
const GRACE: Duration = Duration::from_secs(20);
/// So often a node that cannot listen tries again.
const LISTEN_AGAIN: Duration = Duration::from_secs(10);
/// Whoever cannot be reached, or has not what it said it has, is left aside for so long.
const AWAY: Duration = Duration::from_secs(30);
/// Whoever sent wrong bytes is left aside for so long.
const LIED: Duration = Duration::from_secs(3600);

/// The neighbours of this node. Cheap to clone; clones share.
#[derive(Clone)]
pub struct Neighbours(Arc<Inner>);

struct Inner {
    identity: Arc<Identity>,
    listen: SocketAddr,
    tls: Arc<ServerConfig>,
    held: Arc<Held>,
    content: Content,
    journal: Arc<Journal>,
    clock: Clock,
    board: Board,
    roster: Mutex<Roster>,
    /// Connections that wait for the next question.
    idle: Mutex<BTreeMap<Name, Talk>>,
    address: watch::Sender<Option<SocketAddr>>,
}

impl Neighbours {
    /// The neighbours that `held` names, for a node that has `content` and listens on `listen`.
    pub fn new(
        identity: Arc<Identity>,
        listen: SocketAddr,
        held: Arc<Held>,
        content: Content,
        journal: Arc<Journal>,
        clock: Clock,
    ) -> Result<Self, Unusable> {
        let known = held.clone();
        let is_known = Arc::new(move |certificate| known.neighbour(certificate).is_some());
        let tls = Arc::new(pinned::for_neighbours(&identity, is_known)?);
        Ok(Self(Arc::new(Inner {
            identity,
            listen,
            tls,
            held,
            content,
            journal,
            clock,
            board: Board::default(),
            roster: Mutex::default(),
            idle: Mutex::default(),
            address: watch::Sender::new(None),
        })))
    }

    /// Answers neighbours until `shutdown`, and finds out where they reach this node.
    pub async fn serve(&self, mut shutdown: Shutdown) {
        let listener = tokio::select! {
            () = shutdown.wait() => return,
            listener = self.listener() => listener,
        };
        // The system may have chosen the port.
        let bound = listener.local_addr().unwrap_or(self.0.listen);
        let following = address::follow(&self.0.address, bound, &self.0.identity.mqtt, shutdown.clone());
        tokio::join!(serve::run(self.clone(), listener, self.0.tls.clone(), shutdown), following);
    }

    /// Tries until it listens: at boot the address may come later than the daemon.
    async fn listener(&self) -> TcpListener {
        loop {
            match TcpListener::bind(self.0.listen).await {
                Ok(listener) => return listener,
                Err(error) => tracing::warn!(address = %self.0.listen, %error, "neighbours cannot reach this node yet"),
            }
            sleep(LISTEN_AGAIN).await;
        }
    }

    /// Where the others reach this node, as far as it is known.
    pub fn address(&self) -> watch::Receiver<Option<SocketAddr>> {
        self.0.address.subscribe()
    }

    /// Bytes of answers that came from neighbours, and that went to them, since the daemon started.
    pub fn carried(&self) -> (u64, u64) {
        self.roster().carried()
    }

    /// Each neighbour as it stands, and what came and went.
    pub fn sharing(&self) -> Sharing {
        let (address, roster) = (*self.0.address.borrow(), self.roster());
        let (taken, given) = roster.carried();
        Sharing { address, taken, given, neighbours: roster.list(Instant::now()) }
    }

    /// Says to the others that this node wants `layers`, until the guard is dropped.
    pub fn want(&self, layers: impl IntoIterator<Item = Digest>) -> Wants {
        self.0.board.want(layers)
    }

    /// Says to the others that this node brings `layer` over the link, until the guard is dropped.
    pub fn bring(&self, layer: Digest) -> Brings {
        self.0.board.bring(layer)
    }

    /// Those of `layers` that need not come over the link, as it looks now.
    pub async fn on_site(&self, layers: &[Digest]) -> BTreeSet<Digest> {
        let turns = self.turns(layers).await;
        turns.into_iter().filter(|(_, turn)| *turn != Turn::Bring).map(|(layer, _)| layer).collect()
    }

    /// Returns when a neighbour has one of `layers`, which this node is bringing or waiting for.
    pub async fn news(&self, layers: &[Digest]) {
        loop {
            sleep(NEWS_EVERY).await;
            if self.0.board.is_taking() {
                continue;
            }
            let missing: Vec<Digest> = layers.iter().filter(|layer| !self.0.content.packs.has(**layer)).copied().collect();
            if self.turns(&missing).await.values().any(|turn| matches!(turn, Turn::Take(_))) {
                return;
            }
        }
    }

    /// Makes the pack of `layer` of what is here and what neighbours have; waits for one that brings it. False when this node
    /// must bring it.
    pub async fn take(&self, layer: &Layer) -> Result<bool, BlobError> {
        let mut waiting = Waiting::default();
        loop {
            let stages = self.stages(&[layer.tar.digest]).await;
            let stages = stages.into_iter().filter_map(|(name, list)| Some((name, *list.first()?))).collect();
            let stages = waiting.without_idlers(stages, Instant::now());
            match turn(&self.0.identity.node, layer.tar.digest, &stages) {
                Turn::Bring => return Ok(false),
                Turn::Wait => sleep(LOOK_AGAIN).await,
                Turn::Take(from) => {
                    let _taking = self.0.board.take();
                    if self.take_from(layer, &from).await? {
                        return Ok(true);
                    }
                    sleep(LOOK_AGAIN).await;
                }
            }
        }
    }

    /// A document, if a neighbour has it.
    pub async fn document(&self, blob: Blob) -> Option<Vec<u8>> {
        for name in self.present() {
            let asked = async {
                let mut talk = self.talk(&name).await?;
                let answered = talk.document(blob).await;
                self.keep(&name, talk, answered)
            };
            match asked.await {
                Ok(bytes) => return Some(bytes),
                Err(Useless::Lacks) => {}
                Err(why) => self.leave_aside(&name, &why),
            }
        }
        None
    }

    /// What this node does about each of `layers`.
    async fn turns(&self, layers: &[Digest]) -> BTreeMap<Digest, Turn> {
        let said = self.stages(layers).await;
        let of = |(index, layer): (usize, &Digest)| {
            let stages = said.iter().filter_map(|(name, list)| Some((name.clone(), *list.get(index)?))).collect();
            (*layer, turn(&self.0.identity.node, *layer, &stages))
        };
        layers.iter().enumerate().map(of).collect()
    }

    /// How far each neighbour is with each of `layers`.
    async fn stages(&self, layers: &[Digest]) -> BTreeMap<Name, Vec<Stage>> {
        let layers = layers.get(..LAYERS_MAX).unwrap_or(layers);
        if layers.is_empty() {
            return BTreeMap::new();
        }
        let ask = |name: Name| async move {
            let asked = async {
                let mut talk = self.talk(&name).await?;
                let answered = talk.stages(layers).await;
                self.keep(&name, talk, answered)
            };
            let stages = asked.await.map_err(|why| self.leave_aside(&name, &why)).ok()?;
            Some((name, stages))
        };
        stream::iter(self.present()).map(ask).buffer_unordered(NEIGHBOURS_MAX).filter_map(std::future::ready).collect().await
    }

    /// Takes `layer` from one neighbour after the other. False when none of them is of use.
    async fn take_from(&self, layer: &Layer, from: &[Name]) -> Result<bool, BlobError> {
        let packs = self.0.content.packs.clone();
        let claim = packs.claim(layer.tar.digest).await;
        if packs.has(layer.tar.digest) {
            return Ok(true);
        }
        let Some(recipe) = self.recipe(layer, from).await else { return Ok(false) };
        let (path, tar) = (packs.path(layer.tar.digest), layer.tar);
        let mut build = blocking("beginning", &path, move || Build::begin(packs, claim, tar, &recipe)).await??;
        for name in from {
            let ended;
            (build, ended) = self.fill(build, name, layer.tar.digest).await?;
            match ended {
                Ok(()) => {
                    blocking("finishing", &path, move || build.finish()).await??;
                    tracing::info!(layer = %layer.tar.digest.short(), neighbour = %name, "a layer came from a neighbour");
                    return Ok(true);
                }
                Err(why) => self.leave_aside(name, &why),
            }
        }
        Ok(false)
    }

    /// The recipe of `layer`, from the first that has the right one.
    async fn recipe(&self, layer: &Layer, from: &[Name]) -> Option<Recipe> {
        for name in from {
            let asked = async {
                let mut talk = self.talk(name).await?;
                let answered = talk.recipe(layer).await;
                self.keep(name, talk, answered)
            };
            match asked.await {
                Ok(recipe) => return Some(recipe),
                Err(why) => self.leave_aside(name, &why),
            }
        }
        None
    }

    /// Brings what is missing of `build` from `name`, until nothing is missing or `name` is of no use any more.
    async fn fill(&self, mut build: Build, name: &Name, layer: Digest) -> Result<(Build, Result<(), Useless>), BlobError> {
        let mut talk = match self.talk(name).await {
            Ok(talk) => talk,
            Err(why) => return Ok((build, Err(why))),
        };
        let (path, mut at_once) = (self.0.content.packs.path(layer), 1);
        while !build.missing().is_empty() {
            let numbers: Vec<u32> = build.missing().iter().take(at_once).copied().collect();
            if let Err(why) = talk.ask_chunks(layer, &numbers).await {
                return Ok((build, Err(why)));
            }
            for _ in numbers {
                let stored = match talk.chunk().await {
                    Ok(stored) => stored,
                    Err(why) => return Ok((build, Err(why))),
                };
                let put;
                (build, put) = blocking("writing", &path, move || {
                    let put = build.put(&stored);
                    (build, put)
                })
                .await?;
                match put {
                    Ok(()) => {}
                    Err(Refused::Wrong(why)) => return Ok((build, Err(why))),
                    Err(Refused::Disk(error)) => return Err(error),
                }
            }
            at_once = (2 * at_once).min(CHUNKS_MAX);
        }
        Ok((build, self.keep(name, talk, Ok(()))))
    }

    /// A connection that works.
    async fn talk(&self, name: &Name) -> Result<Talk, Useless> {
        let neighbour = self.0.held.neighbours().get(name).copied().ok_or(Useless::Lacks)?;
        let kept = lock(&self.0.idle).remove(name);
        if let Some(mut talk) = kept.filter(|talk| talk.with == neighbour)
            && talk.stages(&[]).await.is_ok()
        {
            return Ok(talk);
        }
        let tls = pinned::for_neighbour(&self.0.identity, neighbour.certificate).map_err(io::Error::other)?;
        let taken = self.roster().taken(name).ok_or(Useless::Lacks)?;
        Talk::open(neighbour, Arc::new(tls), taken).await
    }

    /// Keeps a connection that works for the next question.
    fn keep<T>(&self, name: &Name, talk: Talk, answered: Result<T, Useless>) -> Result<T, Useless> {
        if matches!(answered, Ok(_) | Err(Useless::Lacks)) {
            self.roster().useful(name, Instant::now());
            let now = self.0.held.neighbours();
            let mut idle = lock(&self.0.idle);
            idle.insert(name.clone(), talk);
            idle.retain(|name, talk| now.get(name) == Some(&talk.with));
        }
        answered
    }

    /// Neighbours that are not left aside.
    fn present(&self) -> Vec<Name> {
        self.roster().present(Instant::now())
    }

    /// Asks `name` nothing for a while.
    fn leave_aside(&self, name: &Name, why: &Useless) {
        let fault = why.fault(name);
        let time = match why {
            Useless::Away(_) | Useless::Lacks => {
                tracing::debug!(neighbour = %name, %why, "a neighbour is of no use now");
                AWAY
            }
            Useless::Lied(_) => {
                tracing::warn!(%fault, "a neighbour is left aside");
                self.0.journal.record(self.0.clock.now().wall, None, fault.clone());
                LIED
            }
        };
        self.roster().useless(name, Instant::now(), time, fault);
    }

    /// The neighbours whom the hub names now.
    fn roster(&self) -> MutexGuard<'_, Roster> {
        let mut roster = lock(&self.0.roster);
        roster.follow(&self.0.held.neighbours());
        roster
    }

    /// Whose certificate this is.
    fn who(&self, certificate: Digest) -> Option<Name> {
        self.0.held.neighbour(certificate)
    }

    /// How far this node is with a layer.
    fn stage(&self, layer: Digest) -> Stage {
        if self.0.content.packs.has(layer) { Stage::Has } else { self.0.board.stage(layer) }
    }

    fn content(&self) -> &Content {
        &self.0.content
    }

    /// Where answers to `name` are counted.
    fn given(&self, name: &Name) -> Option<Arc<Count>> {
        self.roster().given(name)
    }
}

/// Whom a node has waited for while it wants a layer.
#[derive(Default)]
struct Waiting(BTreeMap<Name, (Stage, Instant)>);

impl Waiting {
    /// What the others say, without those that have not got on for too long.
    fn without_idlers(&mut self, stages: BTreeMap<Name, Stage>, now: Instant) -> BTreeMap<Name, Stage> {
        self.0.retain(|name, _| stages.contains_key(name));
        let still = |(name, stage): &(Name, Stage)| {
            let (was, since) = self.0.entry(name.clone()).or_insert((*stage, now));
            if was != stage {
                (*was, *since) = (*stage, now);
            }
            let patience = match stage {
                Stage::Brings(_) => PATIENCE,
                Stage::Wants => GRACE,
                Stage::Has | Stage::Lacks => return true,
            };
            now.duration_since(*since) < patience
        };
        stages.into_iter().filter(still).collect()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
