//! What neighbours may ask of us: how far we are with a layer, documents, and layers of which they know the diff_id.
//!
//! A diff_id stands in signed releases only, and the hub tells a release only to the nodes that have it. Chunks are compared
//! with their ids before they are sent, so a disk that rots spoils nobody else's.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::FileExt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustls::ServerConfig;
use shared::id::{Digest, Name};
use shared::neighbour::{CHUNKS_MAX, LAYERS_MAX};
use shared::recipe::pack::{Pack, PackError};
use shared::wire::FRAME_MAX;
use shared::wire::v1::{Answer, Ask};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::Neighbours;
use super::message::{receive, send};
use super::roster::Count;
use crate::images::packs::PackFile;
use crate::shutdown::Shutdown;

/// Most connections at once.
const CONNECTIONS: usize = 64;
/// Most connections of one neighbour.
const OF_ONE: usize = 2;
/// A stranger must have shown a certificate that we know within this time.
const HANDSHAKE: Duration = Duration::from_secs(5);
/// Nobody needs longer for a question, or between two of them.
const IDLE: Duration = Duration::from_secs(90);
/// An answer that is not taken within this time ends the connection.
const STALL: Duration = Duration::from_secs(20);
/// Most bytes of a question: so many diff_ids, with room to spare.
const ASK_MAX: usize = LAYERS_MAX * 64;
/// After an error that all connections share.
const PAUSE: Duration = Duration::from_millis(200);

/// Answers until `shutdown`.
pub(super) async fn run(neighbours: Neighbours, listener: TcpListener, tls: Arc<ServerConfig>, mut shutdown: Shutdown) {
    let (acceptor, room) = (TlsAcceptor::from(tls), Arc::new(Semaphore::new(CONNECTIONS)));
    let guests = Guests::default();
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let (tcp, from) = tokio::select! {
            () = shutdown.wait() => return,
            accepted = listener.accept() => match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(%error, "a neighbour was not let in");
                    tokio::time::sleep(PAUSE).await;
                    continue;
                }
            },
        };
        let Ok(permit) = room.clone().try_acquire_owned() else {
            tracing::debug!(%from, "too many neighbours at once");
            continue;
        };
        let (neighbours, acceptor, guests) = (neighbours.clone(), acceptor.clone(), guests.clone());
        connections.spawn(async move {
            let _permit = permit;
            if let Err(error) = Box::pin(connection(&neighbours, &acceptor, &guests, tcp, from)).await {
                tracing::debug!(%from, %error, "a neighbour's connection ended");
            }
        });
    }
}

async fn connection(
    neighbours: &Neighbours,
    acceptor: &TlsAcceptor,
    guests: &Guests,
    tcp: TcpStream,
    from: SocketAddr,
) -> io::Result<()> {
    tcp.set_nodelay(true)?;
    let mut stream = timeout(HANDSHAKE, acceptor.accept(tcp)).await??;
    let shown = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first()).map(|leaf| Digest::of(leaf));
    let who = shown.and_then(|certificate| neighbours.who(certificate)).ok_or(io::ErrorKind::PermissionDenied)?;
    let given = neighbours.given(&who).ok_or(io::ErrorKind::PermissionDenied)?;
    let _guest = guests.enter(&who).ok_or(io::ErrorKind::QuotaExceeded)?;
    tracing::debug!(%who, %from, "a neighbour is here");
    let mut shelf = Shelf { neighbours: neighbours.clone(), given, open: None };
    loop {
        let message = receive(&mut stream, ASK_MAX, IDLE).await?;
        let ask = Ask::decode(&message).map_err(io::Error::other)?;
        // The hub may have dropped it meanwhile.
        if neighbours.who(shown.unwrap_or(Digest::from_bytes([0; 32]))).is_none() {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        shelf = answer(shelf, ask, &mut stream).await?;
    }
}

async fn answer(mut shelf: Shelf, ask: Ask, stream: &mut TlsStream<TcpStream>) -> io::Result<Shelf> {
    let answers: Vec<Find> = match ask {
        Ask::Stages(layers) if layers.len() <= LAYERS_MAX => {
            let layers: Vec<Digest> = layers.into_iter().map(Digest::from_bytes).collect();
            vec![Find::Stages(layers)]
        }
        Ask::Document { blob, offset } => vec![Find::Document(Digest::from_bytes(blob), offset)],
        Ask::Recipe { layer, offset } => vec![Find::Recipe(Digest::from_bytes(layer), offset)],
        Ask::Chunks { layer, numbers } if numbers.len() <= CHUNKS_MAX => {
            numbers.into_iter().map(|number| Find::Chunk(Digest::from_bytes(layer), number)).collect()
        }
        Ask::Stages(_) | Ask::Chunks { .. } => return Err(io::Error::other("too much at once")),
    };
    for find in answers {
        let answer;
        (shelf, answer) = spawn_blocking(move || {
            let answer = shelf.find(find);
            (shelf, answer)
        })
        .await?;
        let message = answer.encode();
        shelf.given.add(&message);
        send(stream, &message, STALL).await?;
    }
    Ok(shelf)
}

/// One thing that is looked up.
enum Find {
    Stages(Vec<Digest>),
    Document(Digest, u64),
    Recipe(Digest, u64),
    Chunk(Digest, u32),
}

/// Where things are looked up; the pack of the last layer stays open.
struct Shelf {
    neighbours: Neighbours,
    /// Bytes of answers are counted here.
    given: Arc<Count>,
    open: Option<Open>,
}

struct Open {
    layer: Digest,
    pack: Pack<PackFile>,
    recipe: Vec<u8>,
}

impl Shelf {
    /// What cannot be read is not here, for whoever asks.
    fn find(&mut self, find: Find) -> Answer {
        let found = match find {
            Find::Stages(layers) => {
                return Answer::Stages(layers.into_iter().map(|layer| self.neighbours.stage(layer).into()).collect());
            }
            Find::Document(blob, offset) => self.document(blob, offset),
            Find::Recipe(layer, offset) => self.layer(layer).map(|open| part(&open.recipe, offset)),
            Find::Chunk(layer, number) => self.chunk(layer, number),
        };
        found.map_or(Answer::Lacks, Answer::Bytes)
    }

    fn document(&self, blob: Digest, offset: u64) -> Option<Vec<u8>> {
        let file = File::open(self.neighbours.content().blobs.path(blob)).ok()?;
        let size = file.metadata().ok()?.len();
        let length = size.saturating_sub(offset).min(FRAME_MAX.into());
        let mut part = vec![0; usize::try_from(length).ok()?];
        file.read_exact_at(&mut part, offset).ok()?;
        Some(part)
    }

    fn chunk(&mut self, layer: Digest, number: u32) -> Option<Vec<u8>> {
        match self.layer(layer)?.pack.stored(number as usize) {
            Ok(stored) => Some(stored?.frame.to_vec()),
            Err(error) => {
                tracing::warn!(layer = %layer.short(), %error, "a layer cannot be given to a neighbour");
                self.open = None;
                if matches!(error, PackError::Damaged(_)) {
                    // Its bytes have changed on this disk: it is of no use to anybody.
                    self.neighbours.content().packs.remove(layer).ok()?;
                }
                None
            }
        }
    }

    fn layer(&mut self, layer: Digest) -> Option<&mut Open> {
        if self.open.as_ref().is_none_or(|open| open.layer != layer) {
            let pack = self.neighbours.content().packs.read(layer).ok()?;
            let recipe = pack.recipe().to_bytes();
            self.open = Some(Open { layer, pack, recipe });
        }
        self.open.as_mut()
    }
}

fn part(bytes: &[u8], offset: u64) -> Vec<u8> {
    let rest = usize::try_from(offset).ok().and_then(|offset| bytes.get(offset..)).unwrap_or_default();
    rest.get(..FRAME_MAX as usize).unwrap_or(rest).to_vec()
}

/// Who is here, and how often.
#[derive(Clone, Default)]
struct Guests(Arc<Mutex<BTreeMap<Name, usize>>>);

impl Guests {
    fn enter(&self, who: &Name) -> Option<Guest> {
        let mut here = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = here.entry(who.clone()).or_default();
        if *count >= OF_ONE {
            return None;
        }
        *count += 1;
        Some(Guest { guests: self.clone(), who: who.clone() })
    }
}

struct Guest {
    guests: Guests,
    who: Name,
}

impl Drop for Guest {
    fn drop(&mut self) {
        let mut here = self.guests.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = here.get_mut(&self.who) {
            *count -= 1;
            if *count == 0 {
                here.remove(&self.who);
            }
        }
    }
}
