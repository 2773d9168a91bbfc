//! The gate: where nodes and other MQTT clients of the center come in.
//!
//! ```text
//!  TCP ─► doorman ─► half open (≤ 10 s) ─► session ──────────────────────────────► hub (trait Nodes)
//!         rates,     TLS 1.3, certificate   node: exact topics, one filter,   ◄──  Session handle
//!         limits     = identity, CONNECT    keep-alive, write stall
//!                                           center client: reads only         ◄──  broker (rumqttd's router)
//! ```
//!
//! Our own listener, because rumqttd's must not face a network: three single packets kill it, a silent client stops all
//! TLS handshakes, and it has no rules about topics (the packets are in `tests/gate.rs`). What the gate promises:
//!
//! - The accept loop waits for nobody. Every connection has its own task and a time limit for each stage.
//! - A client is who its certificate says. What it may publish and subscribe is an exact comparison in [`shared::topic`].
//! - Node-addressed messages go straight to the node's connection: no router, so the cost per node does not grow with the fleet.
//!   The router serves only other clients of the center, and hears of messages only while there are such clients.
//! - A client that breaks a rule loses its own connection and nothing else happens.
//! - A message of the hub waits for at most the packet that is being written and what the kernel holds: bulk waits in the
//!   session's queue until the kernel has sent nearly all it was given. How long a packet of bulk is, the node says, which
//!   knows its link.
//! - Every queue, packet, wait and table has a bound ([`Limits`]).
//!
//! MQTT here is 3.1.1 with QoS 0 downwards and QoS 0 or 1 upwards; a PUBACK says that the hub has taken the message.
//! Nothing is retained and no session outlives its connection.

mod center;
pub(crate) mod doorman;
mod framer;
pub(crate) mod half_open;
mod joined;
pub(crate) mod latch;
mod open;
mod packet;
mod roster;
mod serve;
mod session;
mod stats;
mod tls;
mod wire;

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use bytes::Bytes;
use shared::fault::{Fault, Faulty, hub};
use shared::id::{Digest, Name};
use shared::topic::Channel;
use shared::wire::MESSAGE_MAX;
use socket2::SockRef;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep, timeout};
use tokio_rustls::TlsAcceptor;

use crate::broker::Broker;
use crate::ca::{Ca, Serving};

pub use doorman::Rate;
pub use joined::{OtherEnd, joined};
pub use packet::Malformed;
pub use roster::Sessions;
pub use session::{CONTROL_BYTES_MAX, CONTROL_MAX, SendError, Session, SessionId};
pub use stats::{End, GateStats, Refusal};

use doorman::{Doorman, Source, TooMany};
use half_open::HalfOpen;
use stats::{Gauge, add_one};

/// Largest packet of a session: a message, its topic and headers.
const PACKET_MAX: usize = MESSAGE_MAX + 512;
/// A killed hub's address may be taken for a moment after its process is gone.
const BIND_PATIENCE: Duration = Duration::from_secs(5);
/// Connections the kernel may hold for the accept loop: a fleet that comes back at once.
const BACKLOG: u32 = 4096;
/// Bytes of a connection that the kernel takes and has not sent yet; more waits in the session's queues, where a desired
/// state passes frames. On a slow link the kernel would take megabytes otherwise. What is sent and not acknowledged is
/// not among it, so that a fast and long link stays full.
const UNSENT_MAX: u32 = 16 << 10;
/// For all sessions to end when the hub stops.
const STOP_PATIENCE: Duration = Duration::from_secs(10);

/// The rest of the hub, as the gate needs it.
pub trait Nodes: Send + Sync + 'static {
    /// May this identity connect now? Called after TLS and a good CONNECT, before the client is accepted; twice, see
    /// [`Sessions::end_node`]. `certificate` is the sha256 of its DER. To revoke: remember it first, so that this
    /// refuses, then end the session.
    fn admit(&self, node: &Name, certificate: &Digest) -> impl Future<Output = Result<(), Fault>> + Send;

    /// As [`Self::admit`], for another MQTT client of the center. Admits whoever has a certificate unless implemented.
    fn admit_center(&self, center: &Name, certificate: &Digest) -> impl Future<Output = Result<(), Fault>> + Send {
        let _everybody = (center, certificate);
        std::future::ready(Ok(()))
    }

    /// A session began. At most one per node: the gate has ended an older one already, and its [`Self::left`] returned.
    fn joined(&self, node: &Name, session: Session) -> impl Future<Output = ()> + Send;

    /// A message arrived. The gate reads the node's next packet only when this returns (backpressure), and acknowledges QoS 1
    /// then; what is sent to the node goes out meanwhile, so it is safe to wait in [`Session::bulk`] here. When the
    /// session ends meanwhile it has 10 s to return.
    fn received(&self, node: &Name, session: SessionId, channel: Channel, payload: Bytes) -> impl Future<Output = ()> + Send;

    /// The session ended; nothing more comes from it.
    fn left(&self, node: &Name, session: SessionId) -> impl Future<Output = ()> + Send;
}

/// Where to listen, as whom, and how much.
#[derive(Clone)]
pub struct Config {
    /// The address; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The hub's certificate.
    pub serving: Serving,
    /// The bounds.
    pub limits: Limits,
}

/// Every bound of the gate. The defaults hold 20,000 nodes on a small machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Most TCP connections.
    pub connections: usize,
    /// Most of them that have not said who they are; one more pushes out an older one.
    pub half_open: usize,
    /// For TLS and CONNECT together.
    pub connect: Duration,
    /// For a client to take anything of what is sent to it.
    pub stall: Duration,
    /// New connections from one address (IPv6: one network of 64 bits). A site's nodes may share one.
    pub from_source: Rate,
    /// New connections in all. One costs about 1 ms of processor time.
    pub from_all: Rate,
    /// Bulk messages under way per node.
    pub bulk: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 20_000,
            half_open: 2048,
            connect: Duration::from_secs(10),
            stall: Duration::from_secs(30),
            from_source: Rate { per_second: 400, burst: 2000 },
            from_all: Rate { per_second: 1000, burst: 4000 },
            bulk: 4,
        }
    }
}

/// Why the gate cannot open.
#[derive(Debug, thiserror::Error)]
pub enum GateError {
    /// The address cannot be listened on.
    #[error("listening for nodes on {address}: {cause}")]
    Listen {
        /// Which.
        address: SocketAddr,
        /// The cause.
        #[source]
        cause: io::Error,
    },
    /// The TLS settings cannot be used.
    #[error("TLS settings for nodes: {cause}")]
    Tls {
        /// The cause.
        cause: String,
    },
}

impl Faulty for GateError {
    fn fault(&self) -> Fault {
        match self {
            Self::Listen { address, cause } => Fault::new(&hub::GATE_LISTEN_FAILED).with("address", address).with("cause", cause),
            Self::Tls { cause } => Fault::new(&hub::GATE_TLS_FAILED).with("cause", cause),
        }
    }
}

/// What a client did that closed its connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Offence {
    /// Its bytes are no packet of a client.
    #[error("{0}")]
    Malformed(#[from] Malformed),
    /// Something else came first.
    #[error("the first packet was not CONNECT")]
    NoConnect,
    /// CONNECT came again [MQTT-3.1.0-2].
    #[error("a second CONNECT")]
    SecondConnect,
    /// The client id is not the certificate's name.
    #[error("a client id other than the certificate's name")]
    ClientId,
    /// Without a keep-alive a dead connection is never found.
    #[error("a keep-alive outside 1 to 600 seconds")]
    KeepAlive,
    /// A will that the client may not publish.
    #[error("a will to a topic other than its own state")]
    Will,
    /// A topic it may not publish to.
    #[error("a publish to a topic that is not its own")]
    Topic,
    /// A filter it may not subscribe to.
    #[error("a subscription that is not its own")]
    Filter,
    /// QoS 2 is not served.
    #[error("a publish with quality of service 2")]
    ExactlyOnce,
    /// It acknowledged something that was never sent.
    #[error("an acknowledgement of nothing")]
    Acknowledgement,
}

/// An open gate; [`Gate::run`] lets clients in.
pub struct Gate<N> {
    listener: TcpListener,
    inner: Arc<Inner<N>>,
}

/// What every connection shares.
struct Inner<N> {
    acceptor: TlsAcceptor,
    nodes: Arc<N>,
    broker: Broker,
    limits: Limits,
    stats: Arc<GateStats>,
    sessions: Sessions,
    half_open: HalfOpen,
    connections: Arc<Semaphore>,
    last_session: AtomicU64,
}

impl<N: Nodes> Gate<N> {
    /// Opens the gate. An address that is still taken is tried for 5 seconds.
    pub async fn bind(config: Config, ca: &Ca, nodes: Arc<N>, broker: Broker) -> Result<Self, GateError> {
        let tls = tls::config(ca, &config.serving)?;
        let listener = listen(config.listen).await?;
        let inner = Inner {
            acceptor: tls.into(),
            nodes,
            broker,
            limits: config.limits,
            stats: Arc::default(),
            sessions: Sessions::default(),
            half_open: HalfOpen::new(config.limits.half_open),
            connections: Arc::new(Semaphore::new(config.limits.connections)),
            last_session: AtomicU64::new(0),
        };
        Ok(Self { listener, inner: Arc::new(inner) })
    }

    /// Where it listens.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Its counters.
    pub fn stats(&self) -> Arc<GateStats> {
        self.inner.stats.clone()
    }

    /// Its sessions, to end them.
    pub fn sessions(&self) -> Sessions {
        self.inner.sessions.clone()
    }

    /// Lets clients in until `shutdown` is ready; then ends all sessions and returns when they are gone, at most 10 s later.
    pub async fn run(self, shutdown: impl Future<Output = ()>) {
        let Self { listener, inner } = self;
        tokio::select! {
            () = accept_all(&listener, &inner) => {}
            () = shutdown => {}
        }
        drop(listener);
        inner.sessions.end_all(End::Stopping);
        let all = u32::try_from(inner.limits.connections).unwrap_or(u32::MAX);
        let _gone = timeout(STOP_PATIENCE, inner.connections.acquire_many(all)).await;
    }
}

impl<N> Inner<N> {
    fn next_session(&self) -> u64 {
        self.last_session.fetch_add(1, Relaxed) + 1
    }
}

async fn listen(address: SocketAddr) -> Result<TcpListener, GateError> {
    let try_once = || {
        let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        socket.listen(BACKLOG)
    };
    let until = Instant::now() + BIND_PATIENCE;
    loop {
        match try_once() {
            Ok(listener) => return Ok(listener),
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && Instant::now() < until => {
                sleep(Duration::from_millis(100)).await;
            }
            Err(cause) => return Err(GateError::Listen { address, cause }),
        }
    }
}

/// Never waits for a client: what cannot be served now is turned away now.
async fn accept_all<N: Nodes>(listener: &TcpListener, gate: &Arc<Inner<N>>) {
    let began = Instant::now();
    let mut doorman = Doorman::new(gate.limits.from_source, gate.limits.from_all, Duration::ZERO);
    loop {
        match listener.accept().await {
            Ok((tcp, peer)) => {
                add_one(&gate.stats.accepted);
                let source = Source::from(peer.ip());
                if let Err(too_many) = doorman.admit(source, began.elapsed()) {
                    gate.stats.count_refused(match too_many {
                        TooMany::FromSource => Refusal::FromSource,
                        TooMany::FromAll => Refusal::FromAll,
                    });
                } else {
                    admit(gate, tcp, source);
                }
            }
            Err(error) => {
                // No file descriptors or no memory: there is nothing to do but to leave the rest of the hub some air.
                add_one(&gate.stats.accept_errors);
                tracing::warn!(%error, "a connection could not be accepted");
                sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

fn admit<N: Nodes>(gate: &Arc<Inner<N>>, tcp: TcpStream, source: Source) {
    let Ok(permit) = gate.connections.clone().try_acquire_owned() else {
        gate.stats.count_refused(Refusal::Connections);
        return;
    };
    let gate = gate.clone();
    tokio::spawn(async move {
        let _gauge = Gauge::of(&gate.stats.connections);
        let _nodelay = tcp.set_nodelay(true);
        let _lowat = SockRef::from(&tcp).set_tcp_notsent_lowat(UNSENT_MAX);
        match Box::pin(open::open(&gate, tcp, source)).await {
            Ok(opened) => serve::serve(&gate, opened).await,
            Err(why) => gate.stats.count_refused(why),
        }
        drop(permit);
    });
}
