//! Version 1, frozen. A change of any type here is a new version.

mod budget;
mod bundle;
mod held;
mod neighbour;
mod release;
mod report;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use budget::{Budget, Paused, Spent, Tally};
pub use bundle::{Bundle, BundleContent, Receipt, SignedReceipt};
pub use held::{Desired, Join, Memory, Overrides};
pub use neighbour::{Answer, Ask, Recipe, Stage};
pub use release::{Envelope, Image, Layer, Release};
pub use report::{AppReport, Event, Facts, HEALTHS, NextReport, PHASES, Report, STATES, ServiceReport, Transfer};

use super::WireError;
use crate::fault::Fault as CoreFault;
use crate::id::Name;
use crate::state;

const VERSION: u8 = 1;

macro_rules! coded {
    ($($kind:ident),*) => {$(
        impl $kind {
            /// Bytes with the version in front.
            pub fn encode(&self) -> Vec<u8> {
                super::encode(VERSION, self)
            }
            /// Reads what [`encode`](Self::encode) wrote and nothing else.
            pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
                super::decode(VERSION, stringify!($kind), bytes)
            }
        }
    )*};
}
coded!(Up, Down, Envelope, Release, Desired, Memory, Overrides, Paused, Spent, Event, Join, Bundle, Receipt, SignedReceipt);
coded!(Ask, Answer, Recipe);

fn malformed(what: &'static str, why: impl ToString) -> WireError {
    WireError::Malformed { what, why: why.to_string() }
}

fn name(text: &str) -> Result<Name, WireError> {
    Name::new(text).map_err(|error| malformed("name", error))
}

/// From node to hub.
#[expect(clippy::large_enum_variant, reason = "a message is encoded or taken apart at once; none is kept")]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Up {
    /// First message of a session, and every few minutes: what the node holds.
    Hello(Hello),
    /// A snapshot.
    Report(Report),
    /// Asks for a part of a blob.
    Pull(Pull),
    /// Journal entries, in order, without gaps.
    Events(Vec<Event>),
    /// A piece of a service's log.
    Log(LogPiece),
    /// Asks how a layer can be had.
    PatchWanted(PatchWanted),
}

/// What a node holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// The desired state it accepted durably.
    pub accepted: Stamp,
    /// sha256 of that state's signed payload; all zero when it has none.
    pub hash: [u8; 32],
    /// The oldest journal entry the hub has not confirmed.
    pub journal: u64,
    /// Highest wire version it speaks.
    pub speaks: u8,
}

/// Asks for a part of a blob.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pull {
    /// Comes back in the answer.
    pub request: u32,
    /// Which blob.
    pub blob: [u8; 32],
    /// From which byte.
    pub offset: u64,
    /// At most so many, at most [`super::FRAME_MAX`].
    pub length: u32,
}

/// Asks how a layer can be had. Answered by [`Down::Patch`] or [`Down::NoBlob`], as soon as the patch is made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PatchWanted {
    /// Comes back in the answer.
    pub request: u32,
    /// diff_id of the layer.
    pub layer: [u8; 32],
    /// diff_ids of the layers the node has packs of, the newest first, at most [`super::HAVE_MAX`].
    pub have: Vec<[u8; 32]>,
}

/// A piece of a service's log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogPiece {
    /// The request it answers.
    pub request: u32,
    /// Whole lines: RFC 3339 time, space, `out` or `err`, space, text.
    #[serde(with = "super::raw")]
    pub lines: Vec<u8>,
    /// Nothing follows, with the reason if there is one.
    pub end: Option<Option<Fault>>,
}

/// From hub to node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Down {
    /// A signed desired state: [`Envelope`] over [`Desired`] bytes.
    Desired(Envelope),
    /// The hub holds the same desired state as the node's hello said.
    Agreed {
        /// Which.
        stamp: Stamp,
        /// The hub's wall clock.
        wall_ms: u64,
    },
    /// A part of a blob.
    Frame(Frame),
    /// The hub will not send this blob.
    NoBlob {
        /// The request it answers.
        request: u32,
        /// Which blob.
        blob: [u8; 32],
        /// Why.
        fault: Fault,
    },
    /// The hub has stored all journal entries below this number.
    EventsStored(u64),
    /// Asks for a service's log.
    LogWanted(LogWanted),
    /// Ends a log that is followed.
    LogEnough {
        /// The request that began it.
        request: u32,
    },
    /// A layer can be had by this patch.
    Patch(Patch),
}

/// How a layer can be had: a patch ([`crate::recipe::patch`]), which is pulled like any blob.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Patch {
    /// The request it answers.
    pub request: u32,
    /// diff_id of the layer.
    pub layer: [u8; 32],
    /// sha256 of the patch.
    pub blob: [u8; 32],
    /// Its bytes.
    pub size: u64,
}

/// A part of a blob.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Frame {
    /// The request it answers.
    pub request: u32,
    /// Which blob.
    pub blob: [u8; 32],
    /// From which byte.
    pub offset: u64,
    /// Size of the whole blob.
    pub total: u64,
    /// The bytes.
    #[serde(with = "super::raw")]
    pub data: Vec<u8>,
}

/// Asks for a service's log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogWanted {
    /// Comes back in every piece.
    pub request: u32,
    /// The app.
    pub app: String,
    /// The service; all when absent.
    pub service: Option<String>,
    /// So many of the last lines.
    pub tail: u32,
    /// Go on as lines are written, until told otherwise or the session ends.
    pub follow: bool,
}

/// [`state::Stamp`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stamp {
    /// The hub's life.
    pub epoch: u64,
    /// The change within it.
    pub generation: u64,
}

impl From<state::Stamp> for Stamp {
    fn from(stamp: state::Stamp) -> Self {
        Self { epoch: stamp.epoch, generation: stamp.generation }
    }
}

impl From<Stamp> for state::Stamp {
    fn from(stamp: Stamp) -> Self {
        Self { epoch: stamp.epoch, generation: stamp.generation }
    }
}

/// [`CoreFault`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// Stable code.
    pub code: String,
    /// Values for the text.
    pub params: BTreeMap<String, String>,
}

impl From<CoreFault> for Fault {
    fn from(fault: CoreFault) -> Self {
        Self { code: fault.code, params: fault.params }
    }
}

impl From<Fault> for CoreFault {
    fn from(fault: Fault) -> Self {
        Self { code: fault.code, params: fault.params }
    }
}
