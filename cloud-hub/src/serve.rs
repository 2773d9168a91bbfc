//! A whole hub: everything opened in the right order, run side by side, and stopped in the right order.
//!
//! ```text
//! state directory ─▶ store, blobs, patches, CA, key ─▶ Hub ─▶ API listener, broker, gate ─▶ "ready"
//! stop ─▶ API and gate end their clients ─▶ the fleet is written down ─▶ store closed
//! ```

use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use shared::fault::{Fault, Faulty, hub};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio::task::{JoinSet, spawn_blocking};

use crate::access::ApiTokenError;
use crate::api::{self, Api, DIFFS_MAX, INGESTS_MAX, WATCHES_MAX};
use crate::blobs::{BlobError, Blobs};
use crate::broker::{Broker, BrokerError, PROBE_EVERY};
use crate::ca::{Ca, CaError, Serving};
use crate::config::{Config, ConfigError};
use crate::delta::Delta;
use crate::gate::{self, Gate, GateError};
use crate::hub::{Hub, Parts, Settings};
use crate::images;
use crate::link::Link;
use crate::os::{Clock, NoRandomness, random};
use crate::records::HUB;
use crate::secret_file::{SecretFileError, hub_key};
use crate::stop::{Stop, stopped};
use crate::store::redb::RedbStore;
use crate::store::{Store, StoreError};

/// File of the store within the state directory.
pub const STORE: &str = "hub.redb";
/// File of the hub's key.
pub const KEY: &str = "hub.key";
/// File of the first admin token.
pub const ADMIN_TOKEN: &str = "admin.token";
/// How often the server certificate's age is looked at.
const CERTIFICATE_CHECK: Duration = Duration::from_secs(24 * 3600);

/// Why a hub does not start.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The configuration does not fit.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The state directory cannot be made.
    #[error("making {path}")]
    State {
        /// Which.
        path: String,
        /// The cause.
        #[source]
        cause: std::io::Error,
    },
    /// The API's address cannot be listened on.
    #[error("listening on {address}")]
    Listen {
        /// Which.
        address: SocketAddr,
        /// The cause.
        #[source]
        cause: std::io::Error,
    },
    /// TLS cannot be set up.
    #[error(transparent)]
    Tls(#[from] rustls::Error),
    /// The store cannot be opened.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The blobs cannot be opened.
    #[error(transparent)]
    Blobs(#[from] BlobError),
    /// The CA cannot be opened.
    #[error(transparent)]
    Ca(#[from] CaError),
    /// The hub's key cannot be read or made.
    #[error(transparent)]
    Key(#[from] SecretFileError),
    /// The first token cannot be made.
    #[error(transparent)]
    Token(#[from] ApiTokenError),
    /// The gate cannot open.
    #[error(transparent)]
    Gate(#[from] GateError),
    /// The router does not start.
    #[error(transparent)]
    Broker(#[from] BrokerError),
    /// No randomness.
    #[error(transparent)]
    Random(#[from] NoRandomness),
}

impl Faulty for ServeError {
    fn fault(&self) -> Fault {
        match self {
            Self::Config(error) => error.fault(),
            Self::State { path, cause } => {
                Fault::new(&hub::SECRET_FILE_FAILED).with("doing", "making").with("path", path).with("cause", cause)
            }
            Self::Listen { address, cause } => Fault::new(&hub::LISTEN_FAILED).with("address", address).with("cause", cause),
            Self::Tls(error) => Fault::new(&hub::RUNTIME_FAILED).with("doing", "TLS").with("cause", error),
            Self::Store(error) => error.fault(),
            Self::Blobs(error) => error.fault(),
            Self::Ca(error) => error.fault(),
            Self::Key(error) => error.fault(),
            Self::Token(error) => error.fault(),
            Self::Gate(error) => error.fault(),
            Self::Broker(error) => error.fault(),
            Self::Random(error) => error.fault(),
        }
    }
}

/// A hub that runs.
pub struct Running {
    /// The hub.
    pub hub: Arc<Hub>,
    /// Where its API listens.
    pub api: SocketAddr,
    /// Where its gate listens.
    pub gate: SocketAddr,
    /// The first admin token, at the first start.
    pub first_token: Option<String>,
    stop: watch::Sender<bool>,
    tasks: JoinSet<()>,
}

impl Running {
    /// Stops everything and returns when all is written.
    pub async fn stop(mut self) {
        self.stop.send_replace(true);
        while self.tasks.join_next().await.is_some() {}
    }

    /// Returns when a part ended that never should; only a mistake in the program does that.
    pub async fn broken(&mut self) {
        if let Some(Err(error)) = self.tasks.join_next().await {
            tracing::error!(%error, "a part of the hub broke");
        }
    }
}

/// Starts a hub; when this returns it serves.
pub async fn start(config: &Config, clock: Clock) -> Result<Running, ServeError> {
    config.check()?;
    let machine = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let opened = open(config, clock.clone(), &machine).await?;
    let listener = listen(config.api.listen).await?;
    let api = listener.local_addr().map_err(|cause| ServeError::Listen { address: config.api.listen, cause })?;

    let settings = Settings {
        name: config.name.as_ref().map_or("hub", shared::id::Name::as_str).to_owned(),
        api: format!("https://{}", config.public_address(&config.api, api, &machine)),
        mqtt: config.public_address(&config.gate, config.gate.listen, &machine),
    };
    let Opened { store, blobs, delta, ca, key, serving } = opened;
    let hub = Arc::new(Hub::open(Parts { store, blobs, delta, ca: ca.clone(), key, clock, settings }).await?);
    let first_token = hub.make_first_token(&config.state_dir.join(ADMIN_TOKEN)).await?;

    let broker = Broker::start()?;
    let at_gate = gate::Config { listen: config.gate.listen, serving: serving.clone(), limits: gate::Limits::default() };
    let gate = Gate::bind(at_gate, &ca, Arc::new(Link(hub.clone())), broker.clone()).await?;
    let gate_address = gate.local_addr().map_err(|cause| ServeError::Listen { address: config.gate.listen, cause })?;
    hub.set_gate_address(config.public_address(&config.gate, gate_address, &machine));
    hub.link.set_roster(gate.sessions());
    hub.metrics.set_gate(gate.stats(), broker.clone());

    let (stop, stopping) = watch::channel(false);
    let mut tasks = JoinSet::new();
    let router = api::router(Api {
        hub: hub.clone(),
        limits: images::Limits { blob: config.images.max_blob, ..images::Limits::default() },
        plain_http: Arc::new(config.images.plain_http.clone()),
        watches: Arc::new(Semaphore::new(WATCHES_MAX)),
        ingests: Arc::new(Semaphore::new(INGESTS_MAX)),
        diffs: Arc::new(Semaphore::new(DIFFS_MAX)),
        stop: stopping.clone(),
    });
    let tls = api::server::tls(serving.resolver())?;
    tasks.spawn(api::server::serve(listener, tls, router, stopping.clone()));
    tasks.spawn(run_gate(gate, stopping.clone()));
    tasks.spawn(run_broker(broker, stopping.clone()));
    tasks.spawn(keep_certificate(serving, ca, hub.clone(), stopping.clone()));
    let running = hub.clone();
    tasks.spawn(async move { running.run(stopping).await });
    Ok(Running { hub, api, gate: gate_address, first_token, stop, tasks })
}

/// What lies in the state directory.
struct Opened {
    store: Arc<dyn Store>,
    blobs: Blobs,
    delta: Delta,
    ca: Arc<Ca>,
    key: shared::sign::SecretKey,
    serving: Serving,
}

async fn open(config: &Config, clock: Clock, machine: &str) -> Result<Opened, ServeError> {
    make_state(&config.state_dir)?;
    let (state, max_blob, cache) = (config.state_dir.clone(), config.images.max_blob, config.images.patch_cache);
    let (serial, hosts) = (random()?, config.certificate_hosts(machine)?);
    let files = spawn_blocking(move || -> Result<_, ServeError> {
        let store = RedbStore::open(&state.join(STORE))?;
        let blobs = Blobs::open(&state, max_blob)?;
        let delta = Delta::open(&state, &blobs, cache)?;
        let ca = Ca::open(&state, clock())?;
        let serving = ca.serving(&hosts, serial, clock())?;
        Ok((store, blobs, delta, ca, serving))
    });
    let broken = |error: tokio::task::JoinError| StoreError::Failed { doing: "opening the state", source: Arc::new(error) };
    let (store, blobs, delta, ca, serving) = files.await.map_err(broken)??;
    // A hub that ran before has a key that nodes trust: it is never silently replaced.
    let is_new = store.get(HUB).await?.is_none();
    let key = hub_key(&config.state_dir.join(KEY), is_new)?;
    Ok(Opened { store: Arc::new(store), blobs, delta, ca: Arc::new(ca), key, serving })
}

fn make_state(path: &Path) -> Result<(), ServeError> {
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(|cause| ServeError::State { path: path.display().to_string(), cause })
}

/// A killed hub's address may be taken for a moment after its process is gone.
async fn listen(address: SocketAddr) -> Result<TcpListener, ServeError> {
    let mut tries = 50;
    loop {
        match TcpListener::bind(address).await {
            Err(error) if error.kind() == std::io::ErrorKind::AddrInUse && tries > 0 => {
                tries -= 1;
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            bound => return bound.map_err(|cause| ServeError::Listen { address, cause }),
        }
    }
}

async fn run_gate(gate: Gate<Link>, mut stop: Stop) {
    gate.run(async move { stopped(&mut stop).await }).await;
}

async fn run_broker(broker: Broker, mut stop: Stop) {
    tokio::select! {
        () = broker.keep_alive(PROBE_EVERY) => {}
        () = stopped(&mut stop) => {}
    }
}

/// Reissues the server certificate when half its life is over.
async fn keep_certificate(serving: Serving, ca: Arc<Ca>, hub: Arc<Hub>, mut stop: Stop) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(CERTIFICATE_CHECK) => {}
            () = stopped(&mut stop) => return,
        }
        let refreshed = match random() {
            Ok(serial) => serving.refresh(&ca, serial, hub.now()).map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        };
        match refreshed {
            Ok(true) => tracing::info!("the server certificate was reissued"),
            Ok(false) => {}
            Err(error) => tracing::warn!(%error, "the server certificate was not reissued; trying again tomorrow"),
        }
    }
}
