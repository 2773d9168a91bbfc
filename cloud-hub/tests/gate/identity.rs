//! Who may come in: certificates of this hub that are not revoked, over TLS 1.3.

use std::time::Duration;

use cloud_hub::ca::{Ca, Identity};
use cloud_hub::gate::{End, Refusal};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};

use super::client::{Client, SOON};
use super::packets::*;
use super::world::{World, certificate, name, now, tls};

/// With TLS 1.3 a client learns only at its first read that its certificate was refused.
async fn refused(world: &World, client: std::io::Result<Client>, why: &str) {
    if let Ok(mut client) = client {
        client.send(&connect("n1", 60)).await;
        assert_eq!(client.packet().await, None, "{why}");
    }
    world.probe(why).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_stay_outside() {
    let world = World::new().await;
    let me = Identity::Node(name("n1"));
    let nobody = Client::tls(world.address, &tls(&world.ca, None)).await;
    refused(&world, nobody, "no certificate").await;

    let dir = tempfile::tempdir().expect("directory");
    let other = Ca::open(dir.path(), now()).expect("CA");
    let foreign = Client::tls(world.address, &tls(&world.ca, Some(certificate(&other, &me)))).await;
    refused(&world, foreign, "a certificate of another CA").await;

    let (_, good) = certificate(&world.ca, &me);
    let (other_key, _) = certificate(&world.ca, &me);
    let key = rustls::pki_types::PrivatePkcs8KeyDer::from(other_key.serialize_der());
    let key = rustls::crypto::ring::sign::any_supported_type(&key.into()).expect("key");
    let stolen = rustls::sign::CertifiedKey::new(vec![good], key);
    let mut config = (*tls(&world.ca, None)).clone();
    config.client_auth_cert_resolver = std::sync::Arc::new(rustls::sign::SingleCertAndKey::from(stolen));
    let thief = Client::tls(world.address, &std::sync::Arc::new(config)).await;
    refused(&world, thief, "a good certificate without its key").await;

    let mut plain = TcpStream::connect(world.address).await.expect("TCP");
    plain.write_all(&connect("n1", 60)).await.expect("write");
    let _alert = timeout(SOON, plain.read_to_end(&mut Vec::new())).await.expect("closed");
    world.probe("MQTT without TLS").await;
    assert!(world.hub.seen("n1").is_empty());
    assert_eq!(world.stats.refused(Refusal::Tls), 4);
}

/// A ClientHello as TLS 1.2 clients send it: no supported_versions.
fn client_hello_1_2() -> Vec<u8> {
    let extensions = [
        &[0, 10, 0, 6, 0, 4, 0, 29, 0, 23][..], // supported_groups: x25519, secp256r1
        &[0, 13, 0, 6, 0, 4, 4, 3, 8, 4],       // signature_algorithms
    ]
    .concat();
    let mut hello = vec![3, 3];
    hello.extend([7; 32]);
    hello.extend([0, 0, 4, 0xc0, 0x2b, 0xc0, 0x2f, 1, 0]); // no session, two suites, no compression
    hello.extend(u16::try_from(extensions.len()).expect("length").to_be_bytes());
    hello.extend(extensions);
    let length = u16::try_from(hello.len()).expect("length");
    let [high, low] = (length + 4).to_be_bytes();
    let record = [22, 3, 1, high, low, 1, 0];
    [&record[..], &length.to_be_bytes(), &hello].concat()
}

#[tokio::test(flavor = "multi_thread")]
async fn older_tls_is_refused() {
    let world = World::new().await;
    let mut tcp = TcpStream::connect(world.address).await.expect("TCP");
    tcp.write_all(&client_hello_1_2()).await.expect("write");
    let mut answer = Vec::new();
    timeout(SOON, tcp.read_to_end(&mut answer)).await.expect("closed").expect("read");
    assert_eq!(answer, [21, 3, 3, 0, 2, 2, 70], "alert: fatal, protocol_version");
    world.probe("TLS 1.2").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_node_is_cut_off_and_stays_out() {
    let world = World::new().await;
    let (config, fingerprint) = world.identity(&Identity::Node(name("n1")));
    let mut client = Client::tls(world.address, &config).await.expect("TLS");
    client.exchange(&connect("n1", 60), &CONNACK).await;
    world.hub.session("n1").await;

    world.hub.denied.lock().expect("denied").insert(fingerprint);
    let began = Instant::now();
    assert!(world.sessions.end_node(&name("n1"), End::Revoked));
    client.closed("revoked while connected").await;
    assert!(began.elapsed() < Duration::from_secs(5));
    world.hub.expect("n1", &["joined", "left"]).await;

    let mut again = Client::tls(world.address, &config).await.expect("TLS");
    again.exchange(&connect("n1", 60), &[0x20, 2, 0, 5]).await;
    again.closed("revoked").await;
    assert_eq!((world.stats.ended(End::Revoked), world.stats.refused(Refusal::Admission)), (1, 1));

    // The thief of a revoked certificate cannot push out the node that was enrolled anew.
    let mut fresh = world.connected("n1").await;
    let mut thief = Client::tls(world.address, &config).await.expect("TLS");
    thief.exchange(&connect("n1", 60), &[0x20, 2, 0, 5]).await;
    sleep(Duration::from_millis(50)).await;
    fresh.exchange(&PING, &[0xd0, 0]).await;
    world.probe("revocation").await;
}
