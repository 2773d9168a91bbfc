//! A gate on a free port of the loopback, with its own CA and a hub that answers.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use cloud_hub::broker::Broker;
use cloud_hub::ca::{CLIENT_LIFE, Ca, Identity};
use cloud_hub::gate::{Config, Gate, GateStats, Limits, Nodes, Session, SessionId, Sessions};
use rcgen::{CertificateParams, KeyPair};
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use rustls::{ClientConfig, RootCertStore};
use shared::fault::{Fault, trust};
use shared::id::{Digest, Name};
use shared::time::UnixMillis;
use shared::topic::{Channel, Topic};
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::client::{Client, SOON};
use super::packets::{CONNACK, DISCONNECT, PUBACK, SUBACK, connect, publish, subscribe};

/// A gate that runs until dropped.
pub struct World {
    pub address: SocketAddr,
    pub ca: Ca,
    pub hub: Arc<Hub>,
    pub sessions: Sessions,
    pub stats: Arc<GateStats>,
    pub broker: Broker,
    probes: AtomicU32,
    stop: Option<oneshot::Sender<()>>,
    running: JoinHandle<()>,
    _dir: tempfile::TempDir,
}

/// Limits that let a test be as fast as it can.
pub fn limits() -> Limits {
    let much = cloud_hub::gate::Rate { per_second: 100_000, burst: 100_000 };
    Limits { from_source: much, from_all: much, ..Limits::default() }
}

impl World {
    pub async fn new() -> Self {
        Self::with(limits()).await
    }

    pub async fn with(limits: Limits) -> Self {
        let dir = tempfile::tempdir().expect("directory");
        let ca = Ca::open(dir.path(), now()).expect("CA");
        let hosts = ["localhost".parse().expect("host"), "127.0.0.1".parse().expect("host")];
        let serving = ca.serving(&hosts, [1; 16], now()).expect("server certificate");
        let (hub, broker) = (Arc::new(Hub::default()), Broker::start().expect("router"));
        let config = Config { listen: "127.0.0.1:0".parse().expect("address"), serving, limits };
        let gate = Gate::bind(config, &ca, hub.clone(), broker.clone()).await.expect("gate");
        let (address, sessions, stats) = (gate.local_addr().expect("address"), gate.sessions(), gate.stats());
        let (stop, stopped) = oneshot::channel::<()>();
        let running = tokio::spawn(gate.run(async {
            let _dropped = stopped.await;
        }));
        Self { address, ca, hub, sessions, stats, broker, probes: AtomicU32::new(0), stop: Some(stop), running, _dir: dir }
    }

    /// Stops the gate and waits until it has.
    pub async fn stop(&mut self) {
        self.stop.take();
        timeout(SOON, &mut self.running).await.expect("in time").expect("gate");
    }

    /// TLS settings of a node, with a new certificate.
    pub fn node(&self, node: &str) -> Arc<ClientConfig> {
        self.identity(&Identity::Node(name(node))).0
    }

    /// TLS settings of an identity and the fingerprint of its certificate.
    pub fn identity(&self, identity: &Identity) -> (Arc<ClientConfig>, Digest) {
        let (key, certificate) = certificate(&self.ca, identity);
        let fingerprint = Digest::of(&certificate);
        (tls(&self.ca, Some((key, certificate))), fingerprint)
    }

    /// A client that has done TLS as a node.
    pub async fn client(&self, node: &str) -> Client {
        Client::tls(self.address, &self.node(node)).await.expect("TLS")
    }

    /// A node that is connected.
    pub async fn connected(&self, node: &str) -> Client {
        let mut client = self.client(node).await;
        client.exchange(&connect(node, 60), &CONNACK).await;
        client
    }

    /// A node that is connected and has subscribed.
    pub async fn subscribed(&self, node: &str) -> Client {
        let mut client = self.connected(node).await;
        client.exchange(&subscribe(&[&topic(node, Channel::Down)]), &SUBACK).await;
        client
    }

    /// An honest node connects, asks and is answered: the gate is alive.
    pub async fn probe(&self, after: &str) {
        let node = format!("honest-{}", self.probes.fetch_add(1, Relaxed));
        let exchange = async {
            let mut client = self.subscribed(&node).await;
            client.send(&publish(topic(&node, Channel::Request).as_bytes(), 1, b"echo")).await;
            let mut got = [client.packet().await.expect("answer"), client.packet().await.expect("answer")];
            got.sort();
            let down = publish(topic(&node, Channel::Down).as_bytes(), 0, b"echo");
            assert_eq!(got, [down, PUBACK.to_vec()], "after {after}");
            client.send(&DISCONNECT).await;
        };
        timeout(SOON, exchange).await.unwrap_or_else(|_| panic!("the gate is dead after {after}"));
    }
}

/// TLS settings of a client that trusts `ca`.
pub fn tls(ca: &Ca, client: Option<(KeyPair, CertificateDer<'static>)>) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(ca.root().clone()).expect("root");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().expect("versions");
    let builder = builder.with_root_certificates(roots);
    Arc::new(match client {
        None => builder.with_no_client_auth(),
        Some((key, certificate)) => {
            let key = PrivatePkcs8KeyDer::from(key.serialize_der());
            builder.with_client_auth_cert(vec![certificate], key.into()).expect("certificate")
        }
    })
}

/// A new key and certificate for `identity`.
pub fn certificate(ca: &Ca, identity: &Identity) -> (KeyPair, CertificateDer<'static>) {
    let key = KeyPair::generate().expect("key");
    let request = CertificateParams::default().serialize_request(&key).expect("request");
    let issued = match identity {
        Identity::Node(name) => ca.issue_node(name, request.der(), [2; 16], now(), CLIENT_LIFE),
        Identity::Center(name) => ca.issue_center(name, request.der(), [2; 16], now(), CLIENT_LIFE),
    };
    (key, issued.expect("certificate"))
}

pub fn name(text: &str) -> Name {
    Name::new(text).expect("name")
}

pub fn topic(node: &str, channel: Channel) -> String {
    Topic { node: name(node), channel }.to_string()
}

pub fn now() -> UnixMillis {
    let millis = SystemTime::now().duration_since(UNIX_EPOCH).expect("clock").as_millis();
    UnixMillis(u64::try_from(millis).expect("clock"))
}

/// A hub that remembers what it was told and answers every request with the same bytes, as a frame.
#[derive(Default)]
pub struct Hub {
    pub denied: Mutex<BTreeSet<Digest>>,
    pub log: Mutex<Vec<String>>,
    /// Lets one message with the payload `slow` go on.
    pub go_on: Notify,
    sessions: Mutex<BTreeMap<Name, Session>>,
}

impl Hub {
    /// The node's session, once it has one.
    pub async fn session(&self, node: &str) -> Session {
        loop {
            if let Some(session) = self.sessions.lock().expect("sessions").get(&name(node)) {
                return session.clone();
            }
            sleep(Duration::from_millis(5)).await;
        }
    }

    /// What was logged about `node`, once it is `want`.
    pub async fn expect(&self, node: &str, want: &[&str]) {
        let mut seen = Vec::new();
        let matches = async {
            loop {
                seen = self.seen(node);
                if seen == want {
                    return;
                }
                sleep(Duration::from_millis(5)).await;
            }
        };
        if timeout(SOON, matches).await.is_err() {
            assert_eq!(self.seen(node), want);
        }
    }

    /// What was logged about `node`.
    pub fn seen(&self, node: &str) -> Vec<String> {
        let start = format!("{node} ");
        let log = self.log.lock().expect("log");
        log.iter().filter_map(|line| line.strip_prefix(&start)).map(str::to_owned).collect()
    }

    fn note(&self, node: &Name, what: &str) {
        self.log.lock().expect("log").push(format!("{node} {what}"));
    }
}

impl Nodes for Hub {
    async fn admit(&self, _: &Name, certificate: &Digest) -> Result<(), Fault> {
        let denied = self.denied.lock().expect("denied").contains(certificate);
        if denied { Err(Fault::new(&trust::IDENTITY_NONE).with("why", "revoked")) } else { Ok(()) }
    }

    async fn joined(&self, node: &Name, session: Session) {
        self.note(node, "joined");
        self.sessions.lock().expect("sessions").insert(node.clone(), session);
    }

    async fn received(&self, node: &Name, _: SessionId, channel: Channel, payload: Bytes) {
        if channel == Channel::Request {
            let session = self.session(node.as_str()).await;
            let _gone = session.bulk(payload).await;
        } else {
            if &payload[..] == b"slow" {
                self.note(node, "begins");
                self.go_on.notified().await;
            }
            self.note(node, &format!("{channel:?} {}", String::from_utf8_lossy(&payload)));
        }
    }

    async fn left(&self, node: &Name, session: SessionId) {
        self.note(node, "left");
        let mut sessions = self.sessions.lock().expect("sessions");
        if sessions.get(node).is_some_and(|current| current.id() == session) {
            sessions.remove(node);
        }
    }
}
