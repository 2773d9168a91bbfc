//! What neighbours may ask of us: how far we are with a layer, documents, and layers of which they know the diff_id.
//!
//! A diff_id stands in signed releases only, and the hub tells a release only to the nodes that have it. Chunks are compared
//! with what was stored before they are sent, and with their ids by whoever takes them, so a disk that rots spoils nobody
//! else's.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustls::ServerConfig;
use shared::id::{Digest, Name};
use shared::neighbour::{CHUNKS_MAX, LAYERS_MAX};
use shared::oci::DOCUMENT_MAX;
use shared::recipe::pack::{Pack, PackError};
use shared::release::Blob;
use shared::rot::is_rot;
use shared::wire::FRAME_MAX;
use shared::wire::v1::{Answer, Ask};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::Neighbours;
use super::lan::{Line, Listener};
use super::message::{receive, send};
use super::roster::Count;
use crate::images::packs::PackFile;
use crate::shutdown::Shutdown;

/// Most connections that have not shown a certificate yet.
const STRANGERS: usize = 32;
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
pub(super) async fn run(neighbours: Neighbours, mut listener: Box<dyn Listener>, tls: Arc<ServerConfig>, mut shutdown: Shutdown) {
    let (acceptor, room) = (TlsAcceptor::from(tls), Arc::new(Semaphore::new(STRANGERS)));
    let guests = Guests::default();
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let (line, from) = tokio::select! {
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
            tracing::debug!(%from, "too many strangers at once");
            continue;
        };
        let (neighbours, acceptor, guests) = (neighbours.clone(), acceptor.clone(), guests.clone());
        connections.spawn(async move {
            if let Err(error) = Box::pin(connection(&neighbours, &acceptor, &guests, line, permit)).await {
                tracing::debug!(%from, %error, "a neighbour's connection ended");
            }
        });
    }
}

async fn connection(
    neighbours: &Neighbours,
    acceptor: &TlsAcceptor,
    guests: &Guests,
    line: Line,
    stranger: OwnedSemaphorePermit,
) -> io::Result<()> {
    let mut stream = timeout(HANDSHAKE, acceptor.accept(line)).await??;
    let shown = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first()).map(|leaf| Digest::of(leaf));
    let shown = shown.ok_or(io::ErrorKind::PermissionDenied)?;
    let who = neighbours.who(shown).ok_or(io::ErrorKind::PermissionDenied)?;
    let given = neighbours.given(&who).ok_or(io::ErrorKind::PermissionDenied)?;
    let mut leave = guests.enter(&who);
    drop(stranger);
    tracing::debug!(%who, "a neighbour is here");
    let mut shelf = Shelf { neighbours: neighbours.clone(), given, open: None, document: None };
    loop {
        let message = tokio::select! {
            message = receive(&mut stream, ASK_MAX, IDLE) => message?,
            _ = &mut leave => return Ok(()), // Its place is taken.
        };
        let ask = Ask::decode(&message).map_err(io::Error::other)?;
        // The hub may have dropped it meanwhile.
        if neighbours.who(shown).is_none() {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        shelf = answer(shelf, ask, &mut stream).await?;
    }
}

async fn answer(mut shelf: Shelf, ask: Ask, stream: &mut TlsStream<Line>) -> io::Result<Shelf> {
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

/// Where things are looked up; the last layer and the last document stay open.
struct Shelf {
    neighbours: Neighbours,
    /// Bytes of answers are counted here.
    given: Arc<Count>,
    open: Option<Open>,
    document: Option<(Digest, Vec<u8>)>,
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
            Find::Document(blob, offset) => self.document(blob).map(|bytes| part(bytes, offset)),
            Find::Recipe(layer, offset) => self.layer(layer).map(|open| part(&open.recipe, offset)),
            Find::Chunk(layer, number) => self.chunk(layer, number),
        };
        found.map_or(Answer::Lacks, Answer::Bytes)
    }

    /// A document that is here and is what its digest says.
    fn document(&mut self, blob: Digest) -> Option<&[u8]> {
        if self.document.as_ref().is_none_or(|(open, _)| *open != blob) {
            let blobs = &self.neighbours.content().blobs;
            let size = blobs.path(blob).metadata().ok()?.len();
            let bytes = if size <= DOCUMENT_MAX { blobs.read(&Blob { digest: blob, size }).ok()? } else { return None };
            self.document = Some((blob, bytes));
        }
        self.document.as_ref().map(|(_, bytes)| bytes.as_slice())
    }

    fn chunk(&mut self, layer: Digest, number: u32) -> Option<Vec<u8>> {
        match self.layer(layer)?.pack.stored(number as usize) {
            Ok(stored) => Some(stored?.frame.to_vec()),
            Err(error) => {
                tracing::warn!(layer = %layer.short(), %error, "a layer cannot be given to a neighbour");
                self.open = None;
                if matches!(&error, PackError::Io(cause) if is_rot(cause)) || matches!(error, PackError::Damaged(_)) {
                    // Its bytes have changed on this disk, or cannot be read: it is of no use to anybody.
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

/// Who is here. The newest connection of a neighbour takes the place of its oldest one: after a power cut the old ones are
/// ghosts.
#[derive(Clone, Default)]
struct Guests(Arc<Mutex<BTreeMap<Name, VecDeque<oneshot::Sender<()>>>>>);

impl Guests {
    /// A place for `who`; the receiver ends when another connection of `who` needs it.
    fn enter(&self, who: &Name) -> oneshot::Receiver<()> {
        let (stay, leave) = oneshot::channel();
        let mut here = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        here.retain(|_, places| {
            places.retain(|place| !place.is_closed());
            !places.is_empty()
        });
        let places = here.entry(who.clone()).or_default();
        places.push_back(stay);
        if places.len() > OF_ONE {
            drop(places.pop_front());
        }
        leave
    }
}
