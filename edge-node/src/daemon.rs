//! The daemon: what surrounds the loop.
//!
//! ```text
//! lock ─► identity ─► store, blobs, runtime ─► link, local API (own tasks) ─► node (the loop) ─► READY=1
//!      … until shutdown … ─► STOPPING=1, DISCONNECT
//! ```
//!
//! One daemon per run directory. Ending it ends no container.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};
use sd_notify::NotifyState;
use shared::fault::{Fault, Faulty, node};
use tokio::task::JoinHandle;

use crate::api::{self, Listener, port};
use crate::boot::Boot;
use crate::budget::{Ledger, Record};
use crate::clock::Clock;
use crate::config::{Config, RuntimeKind};
use crate::held::Held;
use crate::identity::{Identity, IdentityError};
use crate::images::blobs::BlobError;
use crate::images::content::Content;
use crate::journal::Journal;
use crate::link::mqtt::{self, MqttConfig};
use crate::link::transport::{NodeEnds, transport};
use crate::logs::LogFiles;
use crate::neighbours::Neighbours;
use crate::neighbours::lan::Tcp;
use crate::node::{Node, Setup};
use crate::reporter::Machine;
use crate::reserve::Reserve;
use crate::runtime::containerd::Containerd;
use crate::runtime::memory::Memory;
use crate::runtime::{Runtime, RuntimeError};
use crate::shutdown::Shutdown;
use crate::store::{Store, StoreError};
use crate::tls::Unusable;

/// Messages that may wait between the link and its transport, each way.
const LINK_QUEUE: usize = 16;
/// Bytes of the lock file that are read.
const LOCK_MAX: u64 = 4096;
/// The transport says goodbye within this time.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// Why the daemon does not run.
#[derive(Debug, thiserror::Error)]
pub enum DaemonError {
    /// Another one has the run directory.
    #[error("another daemon has {}", .0.display())]
    AlreadyRuns(PathBuf),
    /// A file of its own cannot be made.
    #[error("{doing} {path}")]
    File {
        /// What was being done.
        doing: &'static str,
        /// To which file.
        path: String,
        /// The cause.
        #[source]
        cause: io::Error,
    },
    /// It has no identity.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The identity is of no use for TLS.
    #[error(transparent)]
    Tls(#[from] Unusable),
    /// Its memory cannot be opened.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The directory of image bytes cannot be opened.
    #[error(transparent)]
    Blobs(#[from] BlobError),
    /// The container runtime cannot be set up.
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    /// A part of it ended although nobody asked.
    #[error("{task} ended: {cause}")]
    TaskEnded {
        /// Which.
        task: &'static str,
        /// Why.
        cause: String,
    },
}

impl Faulty for DaemonError {
    fn fault(&self) -> Fault {
        match self {
            Self::AlreadyRuns(path) => Fault::new(&node::ALREADY_RUNS).with("path", path.display()),
            Self::File { doing, path, cause } => {
                Fault::new(&node::FILE_FAILED).with("doing", doing).with("path", path).with("cause", cause)
            }
            Self::Identity(error) => error.fault(),
            Self::Tls(error) => error.fault(),
            Self::Store(error) => error.fault(),
            Self::Blobs(error) => error.fault(),
            Self::Runtime(error) => error.fault(),
            Self::TaskEnded { task, cause } => Fault::new(&node::TASK_ENDED).with("task", task).with("cause", cause),
        }
    }
}

/// Runs the daemon until shutdown.
pub async fn run(config: Config, shutdown: Shutdown) -> Result<(), DaemonError> {
    let machine = Machine::this(config.state_dir.clone());
    let lock = Lock::take(&config, &machine.boot)?;
    let identity = Arc::new(Identity::load(&config.identity_dir())?);
    let mut content = Content::open(&config.state_dir, &machine.boot)?;
    content.reserve = config.disk.reserve.0;
    let reserve = Reserve::open(&config.state_dir);
    let begin = || Boot::begin(&config.state_dir, lock.first);
    let boot = reserve.lend(begin).map_err(failed("marking the beginning in", &config.state_dir))?;
    let boot = Arc::new(boot);
    lock.sign(&machine.boot)?;
    match config.runtime.kind {
        RuntimeKind::Containerd => {
            let runtime = Containerd::new(config.containerd(own_path()?), content.clone(), boot.clone())?;
            serve(&config, &identity, runtime, content, reserve, machine, shutdown).await?;
        }
        RuntimeKind::Memory => {
            serve(&config, &identity, Memory::new(Clock::system()), content, reserve, machine, shutdown).await?;
        }
    }
    boot.end().map_err(failed("marking the end in", &config.state_dir))
}

/// Runs the node around `runtime`.
async fn serve<R: Runtime>(
    config: &Config,
    identity: &Arc<Identity>,
    runtime: R,
    content: Content,
    reserve: Reserve,
    machine: Machine,
    mut shutdown: Shutdown,
) -> Result<(), DaemonError> {
    let (clock, store_dir) = (Clock::system(), config.state_dir.join("store"));
    let (store, repaired) = Store::open(&store_dir, reserve.clone())?;
    let store = Arc::new(store);
    let (ends, mut transport) = connect(identity, shutdown.clone())?;
    let held = Arc::new(Held::load(store.clone(), &identity.node, clock.now().uptime));
    let journal = Arc::new(Journal::new(store.clone()));
    let share = |address| {
        Neighbours::new(identity.clone(), Arc::new(Tcp), address, held.clone(), content.clone(), journal.clone(), clock)
    };
    let neighbours = config.neighbours.address.map(share).transpose()?;
    let node = Node::assemble(Setup {
        trust: trust(identity),
        runtime: Arc::new(runtime),
        held,
        ledger: Arc::new(Ledger::open(Record::open(&store_dir, &store, reserve.clone()), clock)),
        journal,
        content,
        reserve: reserve.clone(),
        neighbours,
        logs: LogFiles::new(config.state_dir.join("logs")),
        clock,
        machine,
        faults: repaired.into_iter().collect(),
        ends,
    });
    let listener = Listener::bind(&config.socket()).map_err(failed("listening on", &config.socket()))?;
    let mut api = Box::pin(api::serve(listener, node.view(), config, reserve, shutdown.clone()));
    let mut node = tokio::spawn(Box::pin(node.run(shutdown.clone())));
    tracing::info!(node = %identity.node, hub = %identity.mqtt, state = %config.state_dir.display(), "running");
    notify(NotifyState::Ready);
    tokio::spawn(heartbeat());
    tokio::select! {
        biased; // A part that ends because it was asked to is no failure.
        () = shutdown.wait() => {}
        ended = &mut transport => return Err(ended_early("link", &ended)),
        ended = &mut node => return Err(ended_early("loop", &ended)),
        ended = &mut api => return Err(ended_early("local API", &Ok(ended.is_ok()))),
    }
    notify(NotifyState::Stopping);
    // Whoever cannot be told in time notices by the closed connection.
    drop(tokio::time::timeout(LAST_WORDS, async { tokio::join!(transport, node, api) }).await);
    Ok(())
}

/// What the node believes, for people and for the inbox.
fn trust(identity: &Identity) -> port::Trust {
    port::Trust {
        node: identity.node.clone(),
        hub: identity.api.clone(),
        mqtt: identity.mqtt.to_string(),
        ca: identity.ca_digest(),
        hub_key: identity.hub_key,
        publishers: identity.publishers.clone(),
    }
}

/// The program that is running, as the log sink of containers. Its path must outlive an upgrade.
fn own_path() -> Result<PathBuf, DaemonError> {
    std::env::current_exe().map_err(failed("finding", Path::new("/proc/self/exe")))
}

fn failed(doing: &'static str, path: &Path) -> impl Fn(io::Error) -> DaemonError + use<> {
    let path = path.display().to_string();
    move |cause| DaemonError::File { doing, path: path.clone(), cause }
}

/// Starts the session with the hub in a task of its own.
fn connect(identity: &Identity, shutdown: Shutdown) -> Result<(NodeEnds, JoinHandle<()>), DaemonError> {
    let config = MqttConfig::of(identity)?;
    let (ends, node_ends) = transport(LINK_QUEUE);
    Ok((node_ends, tokio::spawn(Box::pin(mqtt::run(config, ends, shutdown)))))
}

/// A task ended although nobody asked it to.
fn ended_early<T>(task: &'static str, ended: &Result<T, tokio::task::JoinError>) -> DaemonError {
    let cause = ended.as_ref().err().map_or_else(|| "it returned".to_owned(), ToString::to_string);
    DaemonError::TaskEnded { task, cause }
}

/// Tells systemd; without it, nobody.
fn notify(state: NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(&[state]) {
        tracing::debug!(%error, "systemd was not told");
    }
}

/// Tells systemd's watchdog twice per period that the runtime of this thread still turns.
async fn heartbeat() {
    let Some(period) = sd_notify::watchdog_enabled() else { return };
    let mut ticks = tokio::time::interval(period / 2);
    loop {
        ticks.tick().await;
        notify(NotifyState::Watchdog);
    }
}

/// The sign that this run directory is taken. The kernel removes it with the process, however that ends. The file holds our
/// process id, for people, and the boot.
#[derive(Debug)]
pub struct Lock {
    file: File,
    path: PathBuf,
    /// No daemon before this one had the run directory since the machine was started.
    pub first: bool,
}

impl Lock {
    /// Makes the directories and takes the lock; `boot` differs after every boot.
    pub fn take(config: &Config, boot: &str) -> Result<Self, DaemonError> {
        make_dir(&config.run_dir, 0o755)?;
        make_dir(&config.state_dir, 0o711)?;
        let path = lock_path(config);
        let failed = failed("locking", &path);
        let file =
            OpenOptions::new().create(true).truncate(false).read(true).write(true).mode(0o600).open(&path).map_err(&failed)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => return Err(DaemonError::AlreadyRuns(config.run_dir.clone())),
            Err(error) => return Err(failed(error.into())),
        }
        let mut before = String::new();
        (&file).take(LOCK_MAX).read_to_string(&mut before).map_err(failed)?;
        Ok(Self { first: before.lines().nth(1) != Some(boot), path, file })
    }

    /// Whether a daemon has the run directory. Who cannot be asked has not.
    pub fn is_held(config: &Config) -> bool {
        // A lock that is shared is gone again at once; a daemon that begins in between is started again by systemd.
        let held = |file| flock(&file, FlockOperation::NonBlockingLockShared) == Err(rustix::io::Errno::WOULDBLOCK);
        File::open(lock_path(config)).is_ok_and(held)
    }

    /// Writes down who has it, and in which boot: the next daemon is not the first one in this boot any more. Call it when
    /// nothing else depends on that.
    pub fn sign(&self, boot: &str) -> Result<(), DaemonError> {
        let mut file = &self.file;
        let mut sign = || {
            file.set_len(0)?;
            file.rewind()?;
            writeln!(file, "{}\n{boot}", std::process::id())
        };
        sign().map_err(failed("signing", &self.path))
    }
}

fn lock_path(config: &Config) -> PathBuf {
    config.run_dir.join("node.lock")
}

/// Makes a directory and those above it; an existing one keeps its mode.
fn make_dir(path: &Path, mode: u32) -> Result<(), DaemonError> {
    DirBuilder::new().recursive(true).mode(mode).create(path).map_err(failed("creating", path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shutdown::shutdown;
    use crate::testing::Authority;

    fn config(dir: &Path) -> Config {
        Config { state_dir: dir.join("state"), run_dir: dir.join("run"), ..Config::default() }
    }

    #[tokio::test]
    async fn there_is_one_daemon_and_it_ends_when_asked() {
        let dir = tempfile::tempdir().expect("dir");
        let config = config(dir.path());
        let (trigger, shutdown) = shutdown();
        assert!(matches!(run(config.clone(), shutdown.clone()).await, Err(DaemonError::Identity(IdentityError::Absent(_)))));
        // Nobody listens there: the daemon runs all the same.
        Authority::new().identity("n1", "localhost:1").store(&config.identity_dir(), false).expect("stored");
        let first = tokio::spawn(run(config.clone(), shutdown.clone()));
        let second = loop {
            tokio::task::yield_now().await;
            match run(config.clone(), {
                let (_now, asked) = crate::shutdown::shutdown();
                asked
            })
            .await
            {
                Ok(()) => continue,
                Err(error) => break error,
            }
        };
        assert!(matches!(second, DaemonError::AlreadyRuns(_)), "{second}");
        trigger.pull();
        first.await.expect("no panic").expect("ended in order");
        assert!(!Lock::take(&config, &Machine::this(config.state_dir.clone()).boot).expect("free").first);
        assert!(!Lock::is_held(&config));
        let another = Lock::take(&config, "another boot").expect("free");
        assert!(another.first && Lock::is_held(&config));
        drop(another);
        assert!(!Lock::is_held(&config) && !Lock::is_held(&Config { run_dir: dir.path().join("none"), ..config.clone() }));
        assert!(Lock::take(&config, "another boot").expect("free").first, "whoever did not get far does not count");
        Lock::take(&config, "another boot").expect("free").sign("another boot").expect("signed");
        assert!(!Lock::take(&config, "another boot").expect("free").first);
    }
}
