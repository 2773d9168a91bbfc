//! What we ask of a neighbour.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use shared::fault::{Fault, node};
use shared::id::{Digest, Name};
use shared::neighbour::Stage;
use shared::recipe::Recipe;
use shared::release::{Blob, Layer};
use shared::state::Neighbour;
use shared::wire::v1::{Answer, Ask};
use shared::wire::{FRAME_MAX, MESSAGE_MAX};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::lan::{Lan, Line};
use super::message::{receive, send};
use super::roster::Count;

/// A neighbour that is on and near is there within this time.
const CONNECT: Duration = Duration::from_secs(3);
/// It says within this time how far it is.
const LOOK: Duration = Duration::from_secs(3);
/// It answers other questions within this time: a chunk of 256 KiB passes 200 kbit/s in half of it.
const ANSWER: Duration = Duration::from_secs(20);

/// Why a neighbour is of no use.
#[derive(Debug, thiserror::Error)]
pub(super) enum Useless {
    /// It cannot be reached, or fell silent.
    #[error("{0}")]
    Away(#[from] io::Error),
    /// It does not have that any more.
    #[error("it does not have it any more")]
    Lacks,
    /// What it sent is not what was asked for.
    #[error("{0}")]
    Lied(String),
}

impl Useless {
    /// The same for people, about `neighbour`.
    pub(super) fn fault(&self, neighbour: &Name) -> Fault {
        let fault = match self {
            Self::Away(error) => Fault::new(&node::NEIGHBOUR_AWAY).with("cause", error),
            Self::Lacks => Fault::new(&node::NEIGHBOUR_LACKS),
            Self::Lied(what) => Fault::new(&node::NEIGHBOUR_WRONG).with("why", what),
        };
        fault.with("neighbour", neighbour)
    }
}

impl From<tokio::time::error::Elapsed> for Useless {
    fn from(elapsed: tokio::time::error::Elapsed) -> Self {
        Self::Away(elapsed.into())
    }
}

/// A connection to a neighbour, which has shown its certificate.
pub(super) struct Talk {
    /// Whom it leads to.
    pub(super) with: Neighbour,
    stream: TlsStream<Line>,
    /// Bytes of answers are counted here.
    heard: Arc<Count>,
}

impl Talk {
    /// Connects over `lan`; bytes of answers are counted in `heard`.
    pub(super) async fn open(lan: &dyn Lan, with: Neighbour, tls: Arc<ClientConfig>, heard: Arc<Count>) -> Result<Self, Useless> {
        let name = ServerName::from(with.address.ip());
        let connecting = async {
            let line = lan.connect(with.address).await?;
            TlsConnector::from(tls).connect(name, line).await
        };
        Ok(Self { with, stream: timeout(CONNECT, connecting).await??, heard })
    }

    /// How far it is with `layers`.
    pub(super) async fn stages(&mut self, layers: &[Digest]) -> Result<Vec<Stage>, Useless> {
        self.ask(&Ask::Stages(layers.iter().map(|layer| *layer.as_bytes()).collect())).await?;
        match self.answer(LOOK).await? {
            Answer::Stages(stages) if stages.len() == layers.len() => Ok(stages.into_iter().map(Stage::from).collect()),
            Answer::Stages(_) | Answer::Bytes(_) | Answer::Lacks => Err(Useless::Lied("no stages".into())),
        }
    }

    /// A document, which fits its digest.
    pub(super) async fn document(&mut self, blob: Blob) -> Result<Vec<u8>, Useless> {
        let ask = |offset| Ask::Document { blob: *blob.digest.as_bytes(), offset };
        let bytes = self.parts(ask, blob.size).await?;
        if bytes.len() as u64 == blob.size && Digest::of(&bytes) == blob.digest {
            return Ok(bytes);
        }
        Err(Useless::Lied(format!("other bytes than those of document {}", blob.digest.short())))
    }

    /// The recipe of a layer, as its release names it.
    pub(super) async fn recipe(&mut self, layer: &Layer) -> Result<Recipe, Useless> {
        let ask = |offset| Ask::Recipe { layer: *layer.tar.digest.as_bytes(), offset };
        let bytes = self.parts(ask, Recipe::bytes_max(layer.tar.size)).await?;
        if !layer.recipe.is(&bytes) {
            return Err(Useless::Lied(format!("another recipe than that of layer {}", layer.tar.digest.short())));
        }
        Recipe::from_bytes(&bytes).map_err(|error| Useless::Lied(error.to_string()))
    }

    /// Asks for chunks; [`chunk`](Self::chunk) takes them one by one.
    pub(super) async fn ask_chunks(&mut self, layer: Digest, numbers: &[u32]) -> Result<(), Useless> {
        self.ask(&Ask::Chunks { layer: *layer.as_bytes(), numbers: numbers.to_vec() }).await
    }

    /// The next chunk that was asked for, as its pack stores it. Compared with nothing.
    pub(super) async fn chunk(&mut self) -> Result<Vec<u8>, Useless> {
        match self.answer(ANSWER).await? {
            Answer::Bytes(bytes) => Ok(bytes),
            Answer::Lacks => Err(Useless::Lacks),
            Answer::Stages(_) => Err(Useless::Lied("no chunk".into())),
        }
    }

    /// What comes in parts, of at most `most` bytes.
    async fn parts(&mut self, ask: impl Fn(u64) -> Ask, most: u64) -> Result<Vec<u8>, Useless> {
        let mut bytes = Vec::new();
        loop {
            self.ask(&ask(bytes.len() as u64)).await?;
            let part = self.chunk().await?;
            bytes.extend_from_slice(&part);
            if bytes.len() as u64 > most {
                return Err(Useless::Lied(format!("more than {most} bytes")));
            }
            if part.len() < FRAME_MAX as usize {
                return Ok(bytes);
            }
        }
    }

    async fn ask(&mut self, ask: &Ask) -> Result<(), Useless> {
        Ok(send(&mut self.stream, &ask.encode(), ANSWER).await?)
    }

    async fn answer(&mut self, limit: Duration) -> Result<Answer, Useless> {
        let useless = |error: io::Error| {
            let is_lie = error.kind() == io::ErrorKind::FileTooLarge;
            if is_lie { Useless::Lied(error.to_string()) } else { Useless::Away(error) }
        };
        let message = receive(&mut self.stream, MESSAGE_MAX, limit).await.map_err(useless)?;
        self.heard.add(&message);
        Answer::decode(&message).map_err(|error| Useless::Lied(error.to_string()))
    }
}
