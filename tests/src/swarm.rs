//! Thousands of nodes in one process: raw MQTT over TLS, each with its own certificate and little else.
//!
//! A client here costs a few kilobytes, so that the numbers are about the hub. It connects, subscribes to its downlink, pings
//! when its keep-alive wants it, and comes back with jittered backoff when it is lost.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use cloud_hub::ca::{CLIENT_LIFE, Ca, CaError};
use rcgen::{CertificateParams, KeyPair};
use rustls::pki_types::{PrivatePkcs8KeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use shared::id::Name;
use shared::time::UnixMillis;
use shared::topic::{Channel, Topic};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// What the swarm does.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The gate.
    pub address: SocketAddr,
    /// How many nodes.
    pub nodes: usize,
    /// How many of them connect at the same time.
    pub parallel: usize,
    /// Their keep-alive in seconds, 2 to 600.
    pub keep_alive: u16,
    /// Longest pause between two attempts of one node.
    pub backoff: Duration,
}

/// How the nodes are.
#[derive(Debug, Default)]
pub struct Counts {
    /// Connected and subscribed now.
    pub connected: AtomicUsize,
    /// Attempts that failed.
    pub failed: AtomicUsize,
    /// Sessions that were lost.
    pub lost: AtomicUsize,
}

/// Nodes that run until dropped.
pub struct Swarm {
    counts: Arc<Counts>,
    _nodes: JoinSet<()>,
}

/// Why a swarm cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum SwarmError {
    /// A certificate could not be made.
    #[error(transparent)]
    Ca(#[from] CaError),
    /// A name, key or TLS setting is not one.
    #[error("{0}")]
    Settings(String),
}

fn settings(error: impl std::fmt::Display) -> SwarmError {
    SwarmError::Settings(error.to_string())
}

impl Swarm {
    /// Makes the nodes `swarm-0`, `swarm-1` … with certificates of `ca`, and lets them go.
    pub fn start(plan: &Plan, ca: &Ca) -> Result<Self, SwarmError> {
        let counts = Arc::new(Counts::default());
        let slots = Arc::new(Semaphore::new(plan.parallel));
        let mint = Mint::new(ca)?;
        let mut nodes = JoinSet::new();
        for number in 0..plan.nodes {
            let node = Name::new(&format!("swarm-{number}")).map_err(settings)?;
            let member = Member {
                tls: mint.settings(&node)?,
                node,
                number,
                plan: plan.clone(),
                counts: counts.clone(),
                slots: slots.clone(),
            };
            nodes.spawn(member.live());
        }
        Ok(Self { counts, _nodes: nodes })
    }

    /// How the nodes are.
    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    /// Waits until `count` nodes are connected; `false` when that takes longer than `limit`.
    pub async fn reaches(&self, count: usize, limit: Duration) -> bool {
        let reached = async {
            while self.counts.connected.load(Relaxed) < count {
                sleep(Duration::from_millis(20)).await;
            }
        };
        timeout(limit, reached).await.is_ok()
    }
}

/// Makes TLS settings: one key for all, because only the names matter here.
struct Mint<'a> {
    ca: &'a Ca,
    key: KeyPair,
    request: Vec<u8>,
    roots: Arc<RootCertStore>,
    now: UnixMillis,
}

impl<'a> Mint<'a> {
    fn new(ca: &'a Ca) -> Result<Self, SwarmError> {
        let key = KeyPair::generate().map_err(settings)?;
        let request = CertificateParams::default().serialize_request(&key).map_err(settings)?.der().to_vec();
        let mut roots = RootCertStore::empty();
        roots.add(ca.root().clone()).map_err(settings)?;
        Ok(Self { ca, key, request, roots: Arc::new(roots), now: now() })
    }

    fn settings(&self, node: &Name) -> Result<Arc<ClientConfig>, SwarmError> {
        let certificate = self.ca.issue_node(node, &self.request, [1; 16], self.now, CLIENT_LIFE)?;
        let key = PrivatePkcs8KeyDer::from(self.key.serialize_der());
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().map_err(settings)?;
        let builder = builder.with_root_certificates(self.roots.clone());
        let mut config = builder.with_client_auth_cert(vec![certificate], key.into()).map_err(settings)?;
        config.resumption = rustls::client::Resumption::disabled();
        Ok(Arc::new(config))
    }
}

/// The wall clock.
pub fn now() -> UnixMillis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    UnixMillis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// One node.
struct Member {
    node: Name,
    number: usize,
    tls: Arc<ClientConfig>,
    plan: Plan,
    counts: Arc<Counts>,
    slots: Arc<Semaphore>,
}

impl Member {
    async fn live(self) {
        let mut attempt = 0;
        loop {
            match self.connect().await {
                Ok(connection) => {
                    attempt = 0;
                    self.counts.connected.fetch_add(1, Relaxed);
                    self.stay(connection).await;
                    self.counts.connected.fetch_sub(1, Relaxed);
                    self.counts.lost.fetch_add(1, Relaxed);
                }
                Err(_) => {
                    self.counts.failed.fetch_add(1, Relaxed);
                }
            }
            attempt += 1;
            sleep(pause(self.number, attempt, self.plan.backoff)).await;
        }
    }

    async fn connect(&self) -> io::Result<Box<TlsStream<TcpStream>>> {
        let _slot = self.slots.acquire().await.map_err(io::Error::other)?;
        timeout(Duration::from_secs(20), Box::pin(self.open())).await?
    }

    async fn open(&self) -> io::Result<Box<TlsStream<TcpStream>>> {
        let tcp = TcpStream::connect(self.plan.address).await?;
        let name = ServerName::IpAddress(self.plan.address.ip().into());
        let mut tls = Box::new(TlsConnector::from(self.tls.clone()).connect(name, tcp).await?);
        tls.write_all(&connect(self.node.as_str(), self.plan.keep_alive)).await?;
        expect(&mut tls, &[0x20, 2, 0, 0]).await?;
        let down = Topic { node: self.node.clone(), channel: Channel::Down }.to_string();
        tls.write_all(&subscribe(&down)).await?;
        expect(&mut tls, &[0x90, 3, 0, 1, 0]).await?;
        Ok(tls)
    }

    /// Reads and forgets whatever comes, and pings at half the keep-alive.
    async fn stay(&self, mut tls: Box<TlsStream<TcpStream>>) {
        let silence = Duration::from_secs(self.plan.keep_alive.into()) / 2;
        loop {
            match timeout(silence, tls.fill_buf()).await.map(|read| read.map(<[u8]>::len)) {
                Ok(Ok(0) | Err(_)) => return,
                Ok(Ok(count)) => tls.consume(count),
                Err(_) if tls.write_all(&[0xc0, 0]).await.is_err() => return,
                Err(_) => {}
            }
        }
    }
}

async fn expect(tls: &mut TlsStream<TcpStream>, want: &[u8]) -> io::Result<()> {
    let mut got = vec![0; want.len()];
    tls.read_exact(&mut got).await?;
    if got == want { Ok(()) } else { Err(io::Error::other("another answer")) }
}

/// Backoff with full jitter, doubling from 0.2 s; the same for the same node and attempt.
fn pause(number: usize, attempt: u32, most: Duration) -> Duration {
    let longest = Duration::from_millis(200).saturating_mul(1 << attempt.min(10)).min(most);
    let scattered = u32::try_from((number * 7919 + attempt as usize * 104_729) % 1000).unwrap_or_default();
    longest.mul_f64(f64::from(scattered) / 1000.0)
}

/// CONNECT with a clean session (MQTT 3.1.1, section 3.1).
fn connect(id: &str, keep_alive: u16) -> Vec<u8> {
    let body = [&b"\x00\x04MQTT\x04\x02"[..], &keep_alive.to_be_bytes(), &[0, short(id)], id.as_bytes()].concat();
    [&[0x10, short_length(&body)], &body[..]].concat()
}

/// SUBSCRIBE to one filter with packet id 1 and QoS 0 (section 3.8).
fn subscribe(filter: &str) -> Vec<u8> {
    let body = [&[0, 1, 0, short(filter)], filter.as_bytes(), &[0]].concat();
    [&[0x82, short_length(&body)], &body[..]].concat()
}

/// Names and topics are shorter than 100 bytes, so every length here has one byte.
fn short(text: &str) -> u8 {
    u8::try_from(text.len()).unwrap_or(u8::MAX)
}

fn short_length(body: &[u8]) -> u8 {
    u8::try_from(body.len()).unwrap_or(u8::MAX) & 0x7f
}

/// Proportional memory of a process in bytes, from `/proc/<pid>/smaps_rollup`.
pub fn memory_of(pid: u32) -> io::Result<u64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
    let line = text.lines().find_map(|line| line.strip_prefix("Pss:"));
    let kilobytes = line.and_then(|line| line.trim().trim_end_matches("kB").trim().parse::<u64>().ok());
    kilobytes.map(|kilobytes| kilobytes * 1024).ok_or_else(|| io::Error::other("no Pss line"))
}

/// Allows this process and its children as many open files as the system lets it; returns how many.
pub fn raise_open_files() -> io::Result<u64> {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit)?;
    Ok(limit.current.unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_are_those_of_the_standard() {
        assert_eq!(connect("n1", 60), b"\x10\x0e\x00\x04MQTT\x04\x02\x00\x3c\x00\x02n1");
        assert_eq!(subscribe("a"), b"\x82\x06\x00\x01\x00\x01a\x00");
    }

    #[test]
    fn pauses_are_scattered_and_bounded() {
        let most = Duration::from_secs(3);
        let pauses: Vec<Duration> = (0..1000).map(|number| pause(number, 8, most)).collect();
        assert!(pauses.iter().all(|pause| *pause < most));
        let early = pauses.iter().filter(|pause| **pause < most / 2).count();
        assert!((400..600).contains(&early), "{early}");
    }
}
