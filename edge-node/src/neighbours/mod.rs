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
//! costs one chunk (64 KiB on average) or one recipe (2 KiB per MiB) when it lies from the beginning: from one to
//! [`CHUNKS_MAX`](shared::neighbour::CHUNKS_MAX) chunks are asked for at once, twice as many after each time that all was
//! right. Whoever says that it brings a layer and does not get on costs time, which has a bound, too
//! ([`shared::neighbour::claim`]).
//!
//! The list of neighbours lies on disk with the desired state. Nothing here needs the hub.

mod address;
mod ask;
mod board;
mod build;
pub mod lan;
mod message;
mod pinned;
mod roster;
mod serve;
mod take;
mod talk;
#[cfg(test)]
mod tests;
mod waiting;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustls::ServerConfig;
use shared::id::{Digest, Name};
use shared::neighbour::Stage;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use crate::clock::Clock;
use crate::held::Held;
use crate::identity::Identity;
use crate::images::content::Content;
use crate::journal::Journal;
use crate::shutdown::Shutdown;
use crate::tls::Unusable;
use board::Board;
pub use board::{Brings, Wants};
use lan::{Lan, Listener};
use roster::{Count, Roster};
pub use roster::{Sharing, Standing, State};
pub use take::News;
use talk::Talk;

/// So often a node that cannot listen tries again.
const LISTEN_AGAIN: Duration = Duration::from_secs(10);
/// The neighbours of this node. Cheap to clone; clones share.
#[derive(Clone)]
pub struct Neighbours(Arc<Inner>);

struct Inner {
    identity: Arc<Identity>,
    lan: Arc<dyn Lan>,
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
    /// The neighbours that `held` names, for a node that has `content` and listens on `listen` of `lan`.
    pub fn new(
        identity: Arc<Identity>,
        lan: Arc<dyn Lan>,
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
            lan,
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
        let bound = listener.address().unwrap_or(self.0.listen);
        let following = address::follow(&self.0.address, bound, &self.0.identity.mqtt, shutdown.clone());
        tokio::join!(serve::run(self.clone(), listener, self.0.tls.clone(), shutdown), following);
    }

    /// Tries until it listens: at boot the address may come later than the daemon.
    async fn listener(&self) -> Box<dyn Listener> {
        loop {
            match self.0.lan.listen(self.0.listen).await {
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

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
