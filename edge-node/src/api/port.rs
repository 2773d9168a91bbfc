//! What the API needs of the daemon's loop: a handful of reads, and commands.

use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use shared::budget::{Budget, Counts};
use shared::fault::Fault;
use shared::id::{Digest, Name};
use shared::receipt::Receipt;
use shared::report::{Event, Report, Transfer};
use shared::sign::PublicKey;
use shared::state::{Paused, Stamp};
use tokio::sync::mpsc;

use crate::disk::DiskUse;
use crate::neighbours::Sharing;

/// The daemon, as the API sees it.
pub trait Node: Send + Sync + 'static {
    /// The newest snapshot.
    fn report(&self) -> Arc<Report>;

    /// Images on their way, as they are now.
    fn transfers(&self) -> Vec<Transfer>;

    /// Sharing images with the other nodes of the site; absent when this node does not.
    fn neighbours(&self) -> Option<Sharing>;

    /// The session with the hub.
    fn link(&self) -> LinkStatus;

    /// What the link carried, and may carry.
    fn carried(&self) -> Carried;

    /// Who the node is and whom it believes.
    fn trust(&self) -> Trust;

    /// What the disk holds. Takes a while: files are counted. The fault says that an earlier count has not ended.
    fn disk(&self) -> impl Future<Output = Result<DiskUse, Fault>> + Send;

    /// Journal entries from number `from` on, else the newest; at most `limit`, oldest first.
    fn events(&self, from: Option<u64>, limit: usize) -> impl Future<Output = Result<Vec<Event>, Fault>> + Send;

    /// Lines of a service's log, whole lines per message: RFC 3339 time, space, `out` or `err`, space, text, newline.
    /// The service is one of the report. The channel is bounded, and closed at the end; a reader that goes away ends it.
    fn logs(&self, wanted: LogsWanted) -> impl Future<Output = Result<mpsc::Receiver<Bytes>, Fault>> + Send;

    /// Imports the bundle in this file, and says how it goes; whoever does not listen any more stops it. The channel is
    /// bounded, and closed at the end.
    fn import(&self, file: PathBuf) -> impl Future<Output = Result<mpsc::Receiver<Importing>, Fault>> + Send;

    /// What the node has to say to the hub, for somebody to carry there.
    fn receipt(&self) -> impl Future<Output = Result<Receipt, Fault>> + Send;

    /// Carries out a command; returns when its effect is durable, not when containers have followed.
    fn command(&self, command: Command) -> impl Future<Output = Result<(), Fault>> + Send;
}

/// The session with the hub, with ages instead of points in time.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LinkStatus {
    /// Whether there is one.
    pub online: bool,
    /// For how long it has been so.
    pub since: Duration,
    /// How long ago the hub last confirmed that the node has the newest desired state; never when absent.
    pub confirmed: Option<Duration>,
    /// Why there is none.
    pub trouble: Option<Fault>,
}

/// What the link carried, and may carry: bytes of messages both ways, without TLS and TCP.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Carried {
    /// The budget in force.
    pub budget: Option<Budget>,
    /// Bytes of the day.
    pub today: Counts,
    /// Bytes of the month.
    pub month: Counts,
    /// Transfers that were paused here.
    pub paused: Paused,
}

/// Who the node is and whom it believes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trust {
    /// Its name.
    pub node: Name,
    /// URL of the hub's API.
    pub hub: String,
    /// The hub's gate, `host:port`.
    pub mqtt: String,
    /// Fingerprint of the hub's CA.
    pub ca: Digest,
    /// The key that signs desired states.
    pub hub_key: PublicKey,
    /// Keys that may sign releases.
    pub publishers: Vec<PublicKey>,
}

/// How an import goes; the last one is done or failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Importing {
    /// So many bytes of the file were read.
    Checking {
        /// Bytes so far.
        done: u64,
        /// Bytes in all.
        total: u64,
    },
    /// So many bytes of images that are on their way are on disk.
    Fetching {
        /// Bytes so far.
        done: u64,
        /// Bytes in all.
        total: u64,
    },
    /// Everything of this state is on disk.
    Done(Stamp),
    /// It ended early.
    Failed(Fault),
}

/// Which lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogsWanted {
    /// The app.
    pub app: Name,
    /// The service.
    pub service: Name,
    /// So many of the last lines.
    pub tail: usize,
    /// And those that come.
    pub follow: bool,
}

/// What an on-site operator may tell the node. App and service are of the newest report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Run it again: the override is lifted.
    Start(Target),
    /// Stop it until it is started here again; a new release does not start it.
    Stop(Target),
    /// Stop its processes once and start them.
    Restart(Target),
    /// Ask for no byte more of this image, or of any: until it is resumed here.
    Pause(Option<Digest>),
    /// Go on with this image, or with all.
    Resume(Option<Digest>),
    /// A secret was set or removed; services that wait for it may start now. Running ones keep what they have.
    SecretChanged(Name),
    /// From now on these keys may sign releases; they are on disk already.
    Publishers(Vec<PublicKey>),
}

/// An app, or one service of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The app.
    pub app: Name,
    /// The service; all when absent.
    pub service: Option<Name>,
}
