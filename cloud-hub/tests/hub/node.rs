//! A node as the hub sees it: TLS with a client certificate, MQTT 3.1.1 by hand, wire v1.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256};
use reqwest::{Method, StatusCode};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use serde_json::{Value, json};
use shared::id::Name;
use shared::join::{JoinToken, proof};
use shared::topic::{Channel, Topic};
use shared::wire::v1::{self, Down, Up};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::world::{World, name};

/// What a machine has after it enrolled.
pub struct Identity {
    pub node: Name,
    pub certificate: String,
    pub key: KeyPair,
    pub answer: Value,
}

/// A key and a request for a certificate.
pub fn request() -> (KeyPair, String) {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
    let csr = CertificateParams::default().serialize_request(&key).unwrap().pem().unwrap();
    (key, csr)
}

/// What a machine that has `token` says to join as `node`.
pub fn asks(token: &str, node: &str, csr: &str) -> Value {
    let token: JoinToken = token.parse().unwrap();
    json!({"node": node, "csr": csr, "proof": proof(token.secret_digest(), csr)})
}

/// Enrols a new node.
pub async fn enroll(world: &World, node: &str) -> Identity {
    let token = world.join_token(node).await;
    let (key, csr) = request();
    let (status, answer) = world.call_as("", Method::POST, "/api/v1/enroll", Some(asks(&token, node, &csr))).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    let certificate = answer["certificate"].as_str().unwrap().to_owned();
    Identity { node: name(node), certificate, key, answer }
}

/// A connection to the API on which nothing is said yet.
pub async fn api_stream(world: &World) -> TlsStream<TcpStream> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(world.ca.as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider).with_protocol_versions(&[&rustls::version::TLS13]);
    let config = builder.unwrap().with_root_certificates(roots).with_no_client_auth();
    let tcp = TcpStream::connect(world.running.api).await.unwrap();
    let host = ServerName::IpAddress(world.running.api.ip().into());
    TlsConnector::from(Arc::new(config)).connect(host, tcp).await.unwrap()
}

/// A live session.
pub struct FakeNode {
    stream: TlsStream<TcpStream>,
    node: Name,
}

/// Why there is no session.
#[derive(Debug, PartialEq, Eq)]
pub enum NoSession {
    Refused(u8),
    Broken,
}

impl FakeNode {
    /// Connects, and subscribes to the node's own downlink.
    pub async fn connect(gate: SocketAddr, identity: &Identity, ca: &str) -> Result<Self, NoSession> {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(ca.as_bytes()).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let chain = vec![CertificateDer::from_pem_slice(identity.certificate.as_bytes()).unwrap()];
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(identity.key.serialize_der()));
        let config = rustls::ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .with_root_certificates(roots)
            .with_client_auth_cert(chain, key)
            .unwrap();
        let tcp = TcpStream::connect(gate).await.unwrap();
        let host = ServerName::IpAddress(gate.ip().into());
        let stream = TlsConnector::from(Arc::new(config)).connect(host, tcp).await.map_err(|_| NoSession::Broken)?;
        let mut this = Self { stream, node: identity.node.clone() };
        this.packet(0x10, &[&text("MQTT"), &[4, 2, 0, 60][..], &text(this.node.as_str())].concat()).await;
        match this.read_packet().await {
            Some((0x20, body)) if body.get(1) == Some(&0) => {}
            Some((0x20, body)) => return Err(NoSession::Refused(body[1])),
            _ => return Err(NoSession::Broken),
        }
        let filter = Topic { node: this.node.clone(), channel: Channel::Down }.to_string();
        this.packet(0x82, &[&[0, 1][..], &text(&filter), &[0]].concat()).await;
        assert_eq!(this.read_packet().await.unwrap().0, 0x90);
        Ok(this)
    }

    /// Says something, with QoS 0.
    pub async fn say(&mut self, up: &Up) {
        let channel = match up {
            Up::Hello(_) | Up::Report(_) => Channel::State,
            Up::Pull(_) | Up::PatchWanted(_) => Channel::Request,
            Up::Events(_) | Up::Log(_) => Channel::Event,
        };
        self.say_bytes(channel, &up.encode()).await;
    }

    /// Says something that may be anything.
    pub async fn say_bytes(&mut self, channel: Channel, bytes: &[u8]) {
        let topic = Topic { node: self.node.clone(), channel }.to_string();
        self.packet(0x30, &[&text(&topic), bytes].concat()).await;
    }

    pub async fn hello(&mut self, generation: u64, hash: [u8; 32]) {
        let accepted = v1::Stamp { epoch: u64::from(generation > 0), generation };
        self.say(&Up::Hello(v1::Hello { accepted, hash, journal: 0, speaks: 1 })).await;
    }

    /// The next message; `None` when the session ended.
    pub async fn hear(&mut self) -> Option<Down> {
        loop {
            let (kind, body) = tokio::time::timeout(Duration::from_secs(60), self.read_packet()).await.expect("in time")?;
            if kind & 0xf0 == 0x30 {
                let topic = 2 + usize::from(u16::from_be_bytes([body[0], body[1]]));
                return Some(Down::decode(&body[topic..]).unwrap());
            }
        }
    }

    /// Nothing comes for a while.
    pub async fn hears_nothing(&mut self) {
        let heard = tokio::time::timeout(Duration::from_millis(400), self.read_packet()).await;
        assert!(heard.is_err(), "{:?}", heard.unwrap().map(|(_, body)| body.len()));
    }

    async fn packet(&mut self, kind: u8, body: &[u8]) {
        let mut bytes = vec![kind];
        let mut left = body.len();
        loop {
            let digit = u8::try_from(left % 128).unwrap();
            left /= 128;
            bytes.push(if left > 0 { digit | 0x80 } else { digit });
            if left == 0 {
                break;
            }
        }
        bytes.extend_from_slice(body);
        let _may_be_closed = self.stream.write_all(&bytes).await;
        let _may_be_closed = self.stream.flush().await;
    }

    async fn read_packet(&mut self) -> Option<(u8, Vec<u8>)> {
        let kind = self.stream.read_u8().await.ok()?;
        let (mut length, mut shift) = (0_usize, 0);
        loop {
            let digit = self.stream.read_u8().await.ok()?;
            length |= usize::from(digit & 0x7f) << shift;
            shift += 7;
            if digit & 0x80 == 0 {
                break;
            }
        }
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body).await.ok()?;
        Some((kind, body))
    }
}

fn text(text: &str) -> Vec<u8> {
    [&u16::try_from(text.len()).unwrap().to_be_bytes()[..], text.as_bytes()].concat()
}

/// A report about one app.
pub fn report(sequence: u64, generation: u64, app: Option<shared::report::AppReport>) -> Up {
    report_from("linux/amd64", sequence, generation, app)
}

/// The report of a machine of this platform that runs nothing.
pub fn report_of(platform: &str, sequence: u64) -> Up {
    report_from(platform, sequence, 0, None)
}

fn report_from(platform: &str, sequence: u64, generation: u64, app: Option<shared::report::AppReport>) -> Up {
    use shared::report::{Facts, Report};
    let report = Report {
        sequence,
        wall: shared::time::UnixMillis(1),
        uptime_ms: 5000,
        accepted: shared::state::Stamp { epoch: 1, generation },
        facts: Facts {
            version: "0.1.0".into(),
            runtime: "1.6.20".into(),
            platform: crate::samples::platform(platform),
            boot: "boot".into(),
            cpus: 2,
            memory: 1 << 30,
            disk_free: 1 << 30,
            address: None,
        },
        apps: app.into_iter().collect(),
        transfers: Vec::new(),
        faults: Vec::new(),
        next: Vec::new(),
        spent: shared::budget::Spent::default(),
    };
    Up::Report(v1::Report::from(&report))
}

/// An app that runs this release.
pub fn running(app: &str, release: shared::id::Digest, version: &str) -> shared::report::AppReport {
    use shared::report::{AppReport, Phase, ServiceReport, ServiceState};
    AppReport {
        app: name(app),
        release,
        version: version.into(),
        wanted: release,
        good: None,
        phase: Phase::Running,
        services: vec![ServiceReport {
            service: name("web"),
            state: ServiceState::Running,
            health: shared::health::Health::Unchecked,
            restarts: 0,
            instance: format!("{app}-web-0"),
            pid: 42,
            since_ms: 1000,
            exit: None,
            oom: false,
        }],
        fault: None,
    }
}
