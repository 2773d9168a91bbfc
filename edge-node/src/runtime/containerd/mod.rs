//! containerd over gRPC. All types of the containerd client stay inside this directory.
//!
//! An instance is a container object (what it is made of, with our labels), a snapshot (its files), an attachment
//! ([`network`]) and a task (its process). [`apply`](Runtime::apply) is one `match`; each step first looks at what is
//! there, so that a step that was interrupted can be done again. The daemon keeps no state of its own about
//! containers: containerd and `<run>` say everything after a restart.
//!
//! ```text
//! Create: claim ports ─┬ lease, config, files, namespace ─ Prepare ─ user, volumes ─ Containers.Create ─ Tasks.Create ┬ Start
//!                      └───────────────────────────────── CNI ADD, names ────────────────────────────────────────────┘
//! ```

mod capabilities;
pub mod client;
mod clock;
mod config;
mod container;
pub mod content;
mod event;
mod exits;
mod files;
mod grants;
mod hosts;
pub mod image;
mod layer;
pub mod lease;
pub mod log;
mod network;
mod observe;
mod probe;
pub mod proof;
mod rootfs;
pub mod snapshot;
mod spec;
mod task;
mod usage;
mod user;
mod verify;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use shared::manifest::Probe;
use shared::plan::Step;
use shared::state::InstanceId;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use self::client::Client;
pub use self::config::Config;
use self::exits::Exits;
use self::image::Images;
use self::network::Network;
use self::proof::Proofs;
use self::spec::Host;
use super::{Observed, ProbeFailure, Runtime, RuntimeError, Usage};
use crate::boot::Boot;
use crate::images::content::Content;

/// The runtime that ships: containers of one containerd namespace.
pub struct Containerd {
    config: Arc<Config>,
    client: Client,
    images: Images,
    network: Network,
    host: Host,
    exits: Arc<Exits>,
    wake: Arc<Notify>,
    /// Leftovers of an earlier daemon were removed.
    swept: AtomicBool,
    /// Half-made instances that could not be taken back yet; they may hold ports.
    leftovers: Mutex<BTreeSet<InstanceId>>,
    events: JoinHandle<()>,
}

impl Containerd {
    /// Connects lazily, and begins to listen for events on the current tokio runtime. Images are unpacked from
    /// `content`; `boot` says whether those that are there are believed.
    pub fn new(config: Config, content: Content, boot: Arc<Boot>) -> Result<Self, RuntimeError> {
        let client = Client::lazy(&config.socket, &config.namespace)?;
        let (exits, wake) = (Arc::new(Exits::default()), Arc::new(Notify::new()));
        let images = Images::new(client.clone(), &config.snapshotter, content, Proofs::new(boot, wake.clone()));
        let events = tokio::spawn(event::listen(client.clone(), config.namespace.clone(), exits.clone(), wake.clone()));
        let (network, host) = (Network::load(&config), host());
        Ok(Self {
            config: Arc::new(config),
            client,
            images,
            network,
            host,
            exits,
            wake,
            swept: AtomicBool::new(false),
            leftovers: Mutex::default(),
            events,
        })
    }
}

impl Drop for Containerd {
    fn drop(&mut self) {
        self.events.abort();
    }
}

impl Runtime for Containerd {
    async fn observe(&self) -> Result<Observed, RuntimeError> {
        self.look().await
    }

    async fn apply(&self, step: &Step) -> Result<(), RuntimeError> {
        match step {
            Step::Unpack(image) => Box::pin(self.images.unpack(image, crate::clock::wall())).await,
            Step::Verify(image) => Box::pin(self.images.verify(image, crate::clock::wall())).await,
            Step::Create(spec) => Box::pin(self.create(spec)).await,
            Step::Start(id, spec) => Box::pin(self.start(id, spec)).await,
            Step::Stop(id) => self.stop(id).await,
            Step::Remove(id) => self.remove(id).await,
            Step::DropImage(image) => self.images.remove(*image).await,
        }
    }

    async fn probe(&self, instance: &InstanceId, probe: &Probe, limit: Duration) -> Result<(), ProbeFailure> {
        probe::run(&self.client, self.network.reach(instance), instance, probe, limit).await
    }

    async fn usage(&self) -> Result<Usage, RuntimeError> {
        self.measure().await
    }

    async fn changed(&self) {
        self.wake.notified().await;
    }
}

/// What this machine is.
fn host() -> Host {
    let cgroup2 = Path::new("/sys/fs/cgroup/cgroup.controllers").exists();
    let swap = cgroup2 || Path::new("/sys/fs/cgroup/memory/memory.memsw.limit_in_bytes").exists();
    let files = rustix::process::getrlimit(rustix::process::Resource::Nofile).maximum.unwrap_or(u64::MAX);
    Host { cgroup2, swap, files }
}

/// Makes an error of whatever the system said while we wanted to `doing`.
fn failed_to<E: std::fmt::Display>(doing: &'static str) -> impl Fn(E) -> RuntimeError {
    move |cause| RuntimeError::Failed { doing, cause: cause.to_string() }
}
