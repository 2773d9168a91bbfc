//! Against a real mosquitto with TLS and client certificates on loopback.

use std::fs;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256};
use rustix::process::{Pid, Signal, kill_process};
use rustls::pki_types::PrivatePkcs8KeyDer;

use super::*;
use crate::identity::pem;
use crate::link::transport::{NodeEnds, transport};
use crate::shutdown::{Trigger, shutdown};
use crate::testing::Authority;

/// Longest wait for anything; the machine may be busy.
const SOON: Duration = Duration::from_secs(60);

/// A mosquitto of our own; killed when dropped.
struct Broker {
    dir: tempfile::TempDir,
    port: u16,
    ca: Authority,
    child: Option<Child>,
}

impl Broker {
    fn start() -> Self {
        let dir = tempfile::tempdir().expect("dir");
        let ca = Authority::new();
        let (leaf, key) = ca.server("localhost");
        let path = |name: &str| dir.path().join(name);
        fs::write(path("ca.pem"), pem("CERTIFICATE", &ca.der())).expect("written");
        fs::write(path("server.pem"), pem("CERTIFICATE", &leaf)).expect("written");
        fs::write(path("server.key"), pem("PRIVATE KEY", key.secret_pkcs8_der())).expect("written");
        let port = TcpListener::bind("127.0.0.1:0").expect("bound").local_addr().expect("address").port();
        let root = dir.path().display();
        let config = format!(
            "listener {port} 127.0.0.1\ncafile {root}/ca.pem\ncertfile {root}/server.pem\nkeyfile {root}/server.key\n\
             require_certificate true\nuse_identity_as_username true\ntls_version tlsv1.3\nuser root\npersistence false\n\
             log_dest file {root}/log\nlog_type notice\n"
        );
        fs::write(path("broker.conf"), config).expect("written");
        let mut broker = Self { dir, port, ca, child: None };
        broker.run();
        broker
    }

    fn run(&mut self) {
        let config: PathBuf = self.dir.path().join("broker.conf");
        let mut command = Command::new("mosquitto");
        command.arg("-c").arg(config).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        self.child = Some(command.spawn().expect("mosquitto is installed"));
    }

    fn signal(&self, signal: Signal) {
        let pid = Pid::from_child(self.child.as_ref().expect("runs"));
        kill_process(pid, signal).expect("signalled");
    }

    fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    fn config(&self, node: &str) -> MqttConfig {
        let identity = self.ca.identity(node, &format!("localhost:{}", self.port));
        MqttConfig { keep_alive: Duration::from_secs(1), ..MqttConfig::of(&identity).expect("usable") }
    }

    fn node(&self, node: &str) -> (NodeEnds, Trigger, tokio::task::JoinHandle<()>) {
        let (ends, node_ends) = transport(16);
        let (trigger, shutdown) = shutdown();
        (node_ends, trigger, tokio::spawn(run(self.config(node), ends, shutdown)))
    }

    /// The hub's side, as a plain client: what it hears comes out of the channel.
    fn hub(&self) -> (AsyncClient, mpsc::Receiver<(String, QoS, Bytes)>) {
        let config = self.config("hub");
        let (client, mut events) = AsyncClient::builder(config.options()).capacity(16).build();
        let (sender, receiver) = mpsc::channel(64);
        let subscriber = client.clone();
        tokio::spawn(async move {
            loop {
                match events.poll().await {
                    Ok(Event::Incoming(Incoming::ConnAck(_))) => {
                        subscriber.try_subscribe(topic("n1", Channel::State).replace("n1", "+"), QoS::AtLeastOnce).expect("room");
                        subscriber
                            .try_subscribe(topic("n1", Channel::Request).replace("n1", "+"), QoS::AtLeastOnce)
                            .expect("room");
                    }
                    Ok(Event::Incoming(Incoming::SubAck(_))) => {
                        let ready = ("ready".to_owned(), QoS::AtMostOnce, Bytes::new());
                        sender.try_send(ready).expect("room");
                    }
                    Ok(Event::Incoming(Incoming::Publish(publish))) => {
                        let topic = String::from_utf8(publish.topic.to_vec()).expect("utf-8");
                        sender.try_send((topic, publish.qos, publish.payload)).expect("room");
                    }
                    Ok(_) => {}
                    Err(_) => sleep(Duration::from_millis(100)).await,
                }
            }
        });
        (client, receiver)
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.kill();
    }
}

fn topic(node: &str, channel: Channel) -> String {
    Topic { node: Name::new(node).expect("name"), channel }.to_string()
}

async fn becomes(node: &mut NodeEnds, online: bool) {
    let waited = timeout(SOON, node.online.wait_for(|now| *now == online)).await;
    drop(waited.expect("in time").expect("transport runs"));
}

async fn next<T>(receiver: &mut mpsc::Receiver<T>) -> T {
    timeout(SOON, receiver.recv()).await.expect("in time").expect("open")
}

#[tokio::test]
async fn bytes_go_both_ways_and_the_end_is_said() {
    let broker = Broker::start();
    let (hub, mut heard) = broker.hub();
    assert_eq!((next(&mut heard).await.0, next(&mut heard).await.0), ("ready".into(), "ready".into()));
    let (mut node, trigger, task) = broker.node("n1");
    becomes(&mut node, true).await;
    assert_eq!(*node.trouble.borrow(), None);

    node.to_hub.send((Channel::State, Bytes::from_static(b"hello"))).await.expect("taken");
    node.to_hub.send((Channel::Request, Bytes::from_static(b"pull"))).await.expect("taken");
    assert_eq!(next(&mut heard).await, (topic("n1", Channel::State), QoS::AtLeastOnce, Bytes::from_static(b"hello")));
    assert_eq!(next(&mut heard).await, (topic("n1", Channel::Request), QoS::AtMostOnce, Bytes::from_static(b"pull")));

    // The largest message of the wire fits, both ways; a longer one is dropped and harms nobody.
    let largest = Bytes::from(vec![7; MESSAGE_MAX]);
    node.to_hub.send((Channel::State, Bytes::from(vec![7; MESSAGE_MAX + 1]))).await.expect("taken");
    node.to_hub.send((Channel::State, Bytes::from_static(b"after"))).await.expect("taken");
    assert_eq!(next(&mut heard).await.2, Bytes::from_static(b"after"));
    hub.publish(topic("n2", Channel::Down), b"for another".as_slice(), PublishOptions::at_least_once()).await.expect("sent");
    for round in 0..20_u8 {
        hub.publish(topic("n1", Channel::Down), vec![round], PublishOptions::at_least_once()).await.expect("sent");
        assert_eq!(next(&mut node.from_hub).await, vec![round]);
    }
    let mut large = broker.config("hub2").options();
    large.set_max_packet_size(1 << 20, 1 << 20);
    let (large_hub, mut events) = AsyncClient::builder(large).capacity(4).build();
    tokio::spawn(async move { while events.poll().await.is_ok() {} });
    large_hub.publish(topic("n1", Channel::Down), largest.clone(), PublishOptions::at_most_once()).await.expect("sent");
    assert_eq!(next(&mut node.from_hub).await, largest);

    trigger.pull();
    timeout(SOON, task).await.expect("in time").expect("no panic");
    assert!(!*node.online.borrow());
    // What mosquitto writes for DISCONNECT; a connection that just ends is "closed its connection".
    let said = || fs::read_to_string(broker.dir.path().join("log")).expect("log").contains("Client n1 disconnected");
    let told = async {
        while !said() {
            sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(SOON, told).await.expect("DISCONNECT was the last word");
}

#[tokio::test]
async fn a_killed_broker_is_found_again_and_nothing_old_is_sent() {
    let mut broker = Broker::start();
    let (mut node, _trigger, _task) = broker.node("n1");
    becomes(&mut node, true).await;
    broker.kill();
    becomes(&mut node, false).await;
    timeout(SOON, node.trouble.wait_for(Option::is_some)).await.expect("in time").expect("said");
    for _ in 0..100 {
        node.to_hub.send((Channel::State, Bytes::from_static(b"stale"))).await.expect("dropped, not queued");
    }
    broker.run();
    let (_hub, mut heard) = broker.hub();
    assert_eq!((next(&mut heard).await.0, next(&mut heard).await.0), ("ready".into(), "ready".into()));
    becomes(&mut node, true).await;
    node.to_hub.send((Channel::State, Bytes::from_static(b"fresh"))).await.expect("taken");
    assert_eq!(next(&mut heard).await.2, Bytes::from_static(b"fresh"));
}

#[tokio::test]
async fn a_frozen_broker_is_noticed_while_the_connection_stays_open() {
    let broker = Broker::start();
    let (mut node, _trigger, _task) = broker.node("n1");
    becomes(&mut node, true).await;
    broker.signal(Signal::STOP);
    // 2.5 keep-alives of one second, and room for a busy machine.
    timeout(Duration::from_secs(15), becomes(&mut node, false)).await.expect("noticed");
    broker.signal(Signal::CONT);
    becomes(&mut node, true).await;
}

#[tokio::test]
async fn a_node_that_takes_nothing_does_not_stop_what_it_sends() {
    let broker = Broker::start();
    let (hub, mut heard) = broker.hub();
    assert_eq!((next(&mut heard).await.0, next(&mut heard).await.0), ("ready".into(), "ready".into()));
    let (mut node, trigger, task) = broker.node("n1");
    becomes(&mut node, true).await;
    for n in 0..60_u8 {
        hub.publish(topic("n1", Channel::Down), vec![n], PublishOptions::at_most_once()).await.expect("sent");
    }
    for _ in 0..10 {
        node.to_hub.send((Channel::State, Bytes::from_static(b"alive"))).await.expect("taken");
    }
    // The pump waits for the node; shutdown still ends it.
    trigger.pull();
    timeout(SOON, task).await.expect("in time").expect("no panic");
}

#[tokio::test]
async fn strangers_on_either_side_are_named() {
    let broker = Broker::start();
    let (mut known, _known_trigger, _task) = broker.node("known");
    becomes(&mut known, true).await;
    let other = Authority::new();
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).expect("key");
    let mut foreign_node = other.identity("n1", &format!("localhost:{}", broker.port));
    foreign_node.ca = broker.ca.der();
    let mut foreign_hub = broker.ca.identity("n1", &format!("localhost:{}", broker.port));
    foreign_hub.ca = other.der();
    let mut nobody = broker.ca.identity("n1", "localhost:1");
    nobody.chain = vec![broker.ca.client("n1", &key)];
    nobody.key = PrivatePkcs8KeyDer::from(key.serialize_der());
    for (identity, code) in [(foreign_node, "link-refused"), (foreign_hub, "link-untrusted"), (nobody, "link-unreachable")] {
        let (ends, mut node) = transport(4);
        let (_trigger, shutdown) = shutdown();
        tokio::spawn(run(MqttConfig::of(&identity).expect("usable"), ends, shutdown));
        let fault = timeout(SOON, node.trouble.wait_for(Option::is_some)).await.expect("in time").expect("said").clone();
        assert_eq!(fault.map(|fault| fault.code), Some(code.to_owned()));
    }
}
