//! The runtime port: what runs containers. Two implementations ship: [`containerd`] and `memory`.

pub mod containerd;
pub mod memory;

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use shared::fault::{Fault, Faulty};
use shared::id::{Digest, Name};
use shared::manifest::Probe;
use shared::plan::Step;
use shared::state::{InstanceId, Task};

/// What runs containers.
pub trait Runtime: Send + Sync + 'static {
    /// Everything of ours that exists right now, read from the runtime itself.
    fn observe(&self) -> impl Future<Output = Result<Observed, RuntimeError>> + Send;

    /// Carries out one step. A step that was done before succeeds again; a step that fails leaves nothing half made
    /// that a later [`observe`](Self::observe) would not show. Steps about different services run side by side.
    fn apply(&self, step: &Step) -> impl Future<Output = Result<(), RuntimeError>> + Send;

    /// Asks a running service whether it works; an answer that takes longer than `limit` is a failure.
    fn probe(
        &self,
        instance: &InstanceId,
        probe: &Probe,
        limit: Duration,
    ) -> impl Future<Output = Result<(), ProbeFailure>> + Send;

    /// What it takes of the disk. Reads the files of every container, so it may take long.
    fn usage(&self) -> impl Future<Output = Result<Usage, RuntimeError>> + Send;

    /// Returns when something may have changed since the last call: a process ended, the runtime came back.
    /// A hint; the truth is [`observe`](Self::observe).
    fn changed(&self) -> impl Future<Output = ()> + Send;
}

/// What exists.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Observed {
    /// The runtime's version.
    pub version: String,
    /// Every container of ours.
    pub instances: BTreeMap<InstanceId, Seen>,
    /// Images that are unpacked, verified and synced, by id.
    pub images: BTreeSet<Digest>,
    /// Images that were unpacked before the power went, and must be verified.
    pub doubtful: BTreeSet<Digest>,
    /// Images that are damaged.
    pub damaged: BTreeSet<Digest>,
    /// Unpacked layers that are not damaged, by chain id: their bytes need not be fetched again.
    pub layers: BTreeSet<Digest>,
    /// Where layers are unpacked, if it is known.
    pub root: Option<PathBuf>,
}

/// One container as the runtime shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// Whose.
    pub app: Name,
    /// Which service of it.
    pub service: Name,
    /// The release it was made for.
    pub release: Digest,
    /// The hash of the spec it was made from.
    pub hash: Digest,
    /// Its process.
    pub task: Task,
    /// Its address on the bridge.
    pub address: Option<IpAddr>,
}

/// What takes how much of the disk, in bytes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Usage {
    /// Images that are unpacked and synced, by id; also those that are in doubt or damaged, whose files take their room too.
    pub images: BTreeSet<Digest>,
    /// Each unpacked layer by itself, by chain id.
    pub layers: BTreeMap<Digest, u64>,
    /// Layers that are being unpacked, and whatever else is no layer and no container's.
    pub unpacking: u64,
    /// What each container wrote into its own files.
    pub instances: BTreeMap<InstanceId, Written>,
    /// Where layers are unpacked, if it is known.
    pub root: Option<PathBuf>,
}

/// What one container wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// Whose.
    pub app: Name,
    /// Which service of it.
    pub service: Name,
    /// The release it was made for.
    pub release: Digest,
    /// Bytes.
    pub bytes: u64,
}

/// Why a step failed.
#[derive(Debug, thiserror::Error)]
pub enum RuntimeError {
    /// The runtime cannot be reached; the same step may succeed later.
    #[error("the container runtime does not answer: {0}")]
    Unreachable(String),
    /// The step cannot succeed as it is, with the named reason.
    #[error("{0}")]
    Refused(Fault),
    /// The runtime or the system failed.
    #[error("{doing}: {cause}")]
    Failed {
        /// What was being done.
        doing: &'static str,
        /// The cause, as the system said it.
        cause: String,
    },
}

impl Faulty for RuntimeError {
    fn fault(&self) -> Fault {
        use shared::fault::node;
        match self {
            Self::Unreachable(cause) => Fault::new(&node::RUNTIME_UNREACHABLE).with("cause", cause),
            Self::Refused(fault) => fault.clone(),
            Self::Failed { doing, cause } => Fault::new(&node::RUNTIME_FAILED).with("doing", doing).with("cause", cause),
        }
    }
}

/// Why a health check failed, for the log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ProbeFailure(pub String);
