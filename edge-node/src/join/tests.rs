//! Joining against a small hub of our own, an impostor, and servers that say nonsense.

use std::sync::Arc;

use rcgen::PublicKeyData;
use rustls::ServerConfig;
use rustls::pki_types::CertificateSigningRequestDer;
use rustls::pki_types::pem::PemObject;
use shared::fault::Lang;
use shared::join::{Carried, Granted, seal};
use shared::sign::SecretKey;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::*;
use crate::identity::pem;
use crate::testing::{Authority, SmallDisk};
use crate::tls;

/// What the small hub does with a request.
#[derive(Clone, Copy)]
enum Hub {
    /// Signs.
    Honest,
    /// Signs for another node.
    OtherNode,
    /// Signs with another CA.
    OtherCa,
    /// Returns a certificate over a key of its own.
    OtherKey,
    /// Somebody put another hub key into what it signed.
    Changed,
    /// Says no.
    Refuses,
    /// Says not now.
    Busy,
    /// Answers no JSON.
    Nonsense,
    /// Answers without end.
    Endless,
    /// Closes the connection.
    Silent,
    /// Closes it in the middle of its answer.
    Halts,
}

/// Starts a hub whose certificate is signed by `shown` and which signs with `ca`; returns its URL.
async fn hub(shown: &Authority, ca: Arc<Authority>, manner: Hub) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
    let (leaf, key) = shown.server("localhost");
    let config = ServerConfig::builder_with_provider(tls::provider())
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![leaf, shown.der()], key.into())
        .expect("certificate");
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let url = format!("https://localhost:{}/center/", listener.local_addr().expect("address").port());
    tokio::spawn(async move {
        while let Ok((tcp, _)) = listener.accept().await {
            let Ok(mut stream) = acceptor.accept(tcp).await else { continue };
            let mut request = Vec::new();
            let body = loop {
                let mut part = [0; 4096];
                let got = stream.read(&mut part).await.unwrap_or(0);
                request.extend_from_slice(&part[..got]);
                let text = String::from_utf8_lossy(&request).into_owned();
                assert!(got > 0 && text.starts_with("POST /center/api/v1/enroll "), "{text}");
                if let Some((_, body)) = text.split_once("\r\n\r\n").filter(|(_, body)| body.ends_with('}')) {
                    break body.to_owned();
                }
            };
            answer(&mut stream, &ca, manner, &body).await;
        }
    });
    url
}

async fn answer(stream: &mut tokio_rustls::server::TlsStream<tokio::net::TcpStream>, ca: &Authority, manner: Hub, body: &str) {
    let body: serde_json::Value = serde_json::from_str(body).expect("json");
    let csr = body["csr"].as_str().expect("csr");
    assert_eq!(body["proof"], proof(token("https://h", ca.digest()).secret_digest(), csr).to_string());
    let asked = key_of(csr);
    let other = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).expect("key");
    let (status, text) = match manner {
        Hub::Honest => ("200 OK", enrolled(&ca.client("crane-7", &asked), ca)),
        Hub::OtherNode => ("200 OK", enrolled(&ca.client("crane-8", &asked), ca)),
        Hub::OtherKey => ("200 OK", enrolled(&ca.client("crane-7", &other), ca)),
        Hub::Changed => {
            let mut answer = granted(&ca.client("crane-7", &asked), ca);
            answer["hubKey"] = foreign();
            ("200 OK", answer.to_string())
        }
        Hub::OtherCa => {
            let other = Authority::new();
            ("200 OK", enrolled(&other.client("crane-7", &asked), &other))
        }
        Hub::Refuses => ("403 Forbidden", r#"{"code":"hub-enroll-refused","message_en":"no"}"#.into()),
        Hub::Busy => {
            ("429 Too Many Requests", r#"{"code":"hub-too-many-attempts","params":{"seconds":"7"},"message_en":"slow"}"#.into())
        }
        Hub::Nonsense => ("200 OK", "<html>welcome</html>".into()),
        Hub::Endless => ("200 OK", "x".repeat(1 << 20)),
        Hub::Halts => ("200 OK", "{".into()),
        Hub::Silent => return,
    };
    let more = usize::from(matches!(manner, Hub::Halts));
    let head = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n", text.len() + more);
    // A client that has read enough may be gone.
    let _ = stream.write_all(head.as_bytes()).await;
    let _ = stream.write_all(text.as_bytes()).await;
    let _ = stream.shutdown().await;
}

/// The key that a request asks a certificate for.
fn key_of(csr: &str) -> rcgen::PublicKey {
    let csr = CertificateSigningRequestDer::from_pem_slice(csr.as_bytes()).expect("pem");
    rcgen::CertificateSigningRequestParams::from_der(&csr).expect("csr").public_key
}

/// What a hub answers to whoever has [`token`].
fn granted(leaf: &rustls::pki_types::CertificateDer<'_>, ca: &Authority) -> serde_json::Value {
    let (certificate, ca_text) = (pem("CERTIFICATE", leaf), pem("CERTIFICATE", &ca.der()));
    let (hub_key, publishers) = (SecretKey::from_seed(&[1; 32]).public(), [SecretKey::from_seed(&[2; 32]).public()]);
    let (mqtt, epoch) = ("localhost:8883", 3);
    let granted = Granted { certificate: &certificate, ca: &ca_text, hub_key: &hub_key, publishers: &publishers, mqtt, epoch };
    serde_json::json!({
        "certificate": certificate,
        "ca": ca_text,
        "hubKey": hub_key,
        "publishers": publishers,
        "mqtt": mqtt,
        "epoch": epoch,
        "seal": seal(token("https://h", ca.digest()).secret_digest(), &granted),
        "somethingNewer": true,
    })
}

fn enrolled(leaf: &rustls::pki_types::CertificateDer<'_>, ca: &Authority) -> String {
    granted(leaf, ca).to_string()
}

/// The key of whoever holds the stick.
fn foreign() -> serde_json::Value {
    serde_json::json!(SecretKey::from_seed(&[6; 32]).public())
}

fn token(url: &str, ca: Digest) -> JoinToken {
    JoinToken::new(url, Name::new("crane-7").expect("name"), [7; 16], ca).expect("token")
}

#[tokio::test]
async fn a_node_joins_once_and_again_only_when_told() {
    let ca = Arc::new(Authority::new());
    let url = hub(&ca, ca.clone(), Hub::Honest).await;
    let state = tempfile::tempdir().expect("dir");
    let dir = state.path().join("identity");
    let text = token(&url, ca.digest()).to_string();

    let made = join(&text, &dir, false, &Reserve::none()).await.expect("joined");
    let read = Identity::load(&dir).expect("read");
    assert_eq!((read.node.as_str(), read.epoch, read.mqtt.to_string().as_str()), ("crane-7", 3, "localhost:8883"));
    assert_eq!(read.key.secret_pkcs8_der(), made.key.secret_pkcs8_der());

    let error = join(&text, &dir, false, &Reserve::none()).await.expect_err("second time");
    assert!(matches!(error, JoinError::Identity(IdentityError::Present { .. })), "{error}");
    let again = join(&text, &dir, true, &Reserve::none()).await.expect("again");
    assert_ne!(again.key.secret_pkcs8_der(), made.key.secret_pkcs8_der(), "a new key every time");
}

#[tokio::test]
async fn an_impostor_learns_nothing_and_changes_nothing() {
    let (ours, theirs) = (Authority::new(), Arc::new(Authority::new()));
    // It would panic at the first byte that is no enrolment, and never sees one.
    let url = hub(&theirs, theirs.clone(), Hub::Honest).await;
    let state = tempfile::tempdir().expect("dir");
    let dir = state.path().join("identity");
    let error = join(&token(&url, ours.digest()).to_string(), &dir, false, &Reserve::none()).await.expect_err("impostor");
    assert!(matches!(error, JoinError::Impostor { .. }), "{error}");
    assert!(!dir.exists());
}

#[tokio::test]
async fn every_wrong_answer_is_named_and_leaves_nothing() {
    let ca = Arc::new(Authority::new());
    let state = tempfile::tempdir().expect("dir");
    let dir = state.path().join("identity");
    for (manner, code) in [
        (Hub::OtherNode, "trust-join-bad-answer"),
        (Hub::OtherCa, "trust-join-bad-answer"),
        (Hub::OtherKey, "trust-join-bad-answer"),
        (Hub::Changed, "trust-join-bad-answer"),
        (Hub::Nonsense, "trust-join-bad-answer"),
        (Hub::Endless, "trust-join-bad-answer"),
        (Hub::Refuses, "trust-join-refused"),
        (Hub::Busy, "trust-join-not-now"),
        (Hub::Silent, "trust-join-lost"),
        (Hub::Halts, "trust-join-lost"),
    ] {
        let url = hub(&ca, ca.clone(), manner).await;
        let error = join(&token(&url, ca.digest()).to_string(), &dir, false, &Reserve::none()).await.expect_err(code);
        assert_eq!(error.fault().code, code, "{error}");
        let text = error.fault().text(Lang::Zh);
        assert!(!text.contains('{') && !text.contains("hub-"), "{text}");
        let cause = Fault::new(&shared::fault::hub::ENROLL_REFUSED).text(Lang::Zh);
        assert_eq!(text.contains(&cause), matches!(manner, Hub::Refuses), "{text}");
        assert_eq!(text.contains("hubctl token create crane-7"), matches!(manner, Hub::Refuses), "{text}");
        let (silent, en) = (matches!(manner, Hub::Silent | Hub::Halts), error.fault().text(Lang::En));
        assert!(!silent || !en.contains("still good"), "{en}");
        assert!(!dir.exists() && !dir.with_added_extension("new").exists());
    }
    let error =
        join(&token("https://localhost:1", ca.digest()).to_string(), &dir, false, &Reserve::none()).await.expect_err("nobody");
    assert!(matches!(error, JoinError::Unreachable { .. }), "{error}");
    let error = join("hunter2", &dir, false, &Reserve::none()).await.expect_err("no token");
    assert!(matches!(error, JoinError::Token(_)), "{error}");
}

/// What the hub writes about a request, as a file.
fn carried(leaf: &rustls::pki_types::CertificateDer<'_>, ca: &Authority) -> Vec<u8> {
    Carried::Answer.to_bytes(&granted(leaf, ca)).expect("a file")
}

/// A change to an answer on its way.
type Change = fn(&mut serde_json::Value);

#[test]
fn an_answer_that_was_changed_on_its_way_is_refused() {
    let ca = Authority::new();
    let state = tempfile::tempdir().expect("dir");
    let dir = state.path().join("identity");
    let (_, request) = ask(&token("https://h", ca.digest()).to_string(), &dir, false, &Reserve::none()).expect("asked");
    let body: serde_json::Value = Carried::Request.from_bytes(&request).expect("a request");
    let right = granted(&ca.client("crane-7", &key_of(body["csr"].as_str().expect("csr"))), &ca);
    let changes: [(&str, Change); 7] = [
        ("another hub key", |answer| answer["hubKey"] = foreign()),
        ("one more publisher", |answer| answer["publishers"].as_array_mut().expect("keys").push(foreign())),
        ("no publisher", |answer| answer["publishers"] = serde_json::json!([])),
        ("another gate", |answer| answer["mqtt"] = serde_json::json!("elsewhere:8883")),
        ("another epoch", |answer| answer["epoch"] = serde_json::json!(4)),
        ("another certificate", |answer| answer["certificate"] = serde_json::json!(format!("{}\n", answer["certificate"]))),
        ("no seal to speak of", |answer| answer["seal"] = serde_json::json!(Digest::of(b""))),
    ];
    for (what, change) in changes {
        let mut answer = right.clone();
        change(&mut answer);
        let bytes = Carried::Answer.to_bytes(&answer).expect("a file");
        let error = answered(&bytes, &dir, false, &Reserve::none()).expect_err(what);
        assert_eq!(error.fault().code, "trust-join-other-answer", "{what}: {error}");
        assert!(!dir.exists() && !dir.with_added_extension("new").exists(), "{what}");
    }
    answered(&Carried::Answer.to_bytes(&right).expect("a file"), &dir, false, &Reserve::none()).expect("as the hub gave it");
}

#[test]
fn a_node_joins_by_what_is_carried() {
    let (ca, other) = (Authority::new(), Authority::new());
    let state = tempfile::tempdir().expect("dir");
    let dir = state.path().join("identity");
    let text = token("https://hub.example", ca.digest()).to_string();
    assert!(matches!(
        answered(&carried(&ca.client("crane-7", &KeyPair::generate().unwrap()), &ca), &dir, false, &Reserve::none()),
        Err(JoinError::NotAsked)
    ));

    let csr = |request: &[u8]| {
        let body: serde_json::Value = Carried::Request.from_bytes(request).expect("a request");
        assert_eq!((body["node"].as_str(), body.as_object().map(|body| body.len())), (Some("crane-7"), Some(3)));
        let csr = body["csr"].as_str().expect("csr").to_owned();
        assert_eq!(body["proof"], proof(text.parse::<JoinToken>().expect("token").secret_digest(), &csr).to_string());
        csr
    };
    let (node, request) = ask(&text, &dir, false, &Reserve::none()).expect("asked");
    let (_, once_more) = ask(&text, &dir, false, &Reserve::none()).expect("asked once more");
    let (key, same) = (key_of(&csr(&request)), key_of(&csr(&once_more)));
    assert_eq!((node.as_str(), key.der_bytes()), ("crane-7", same.der_bytes()), "either file may be carried");
    assert!(!dir.exists());

    let right = carried(&ca.client("crane-7", &key), &ca);
    for (what, bytes, code) in [
        ("the request", &request, "trust-not-a-join-answer"),
        ("half an answer", &right[..right.len() / 2].to_vec(), "trust-join-file-damaged"),
        ("another node's", &carried(&ca.client("crane-8", &key), &ca), "trust-join-other-answer"),
        ("another key's", &carried(&ca.client("crane-7", &KeyPair::generate().unwrap()), &ca), "trust-join-other-answer"),
        ("another hub's", &carried(&other.client("crane-7", &key), &other), "trust-join-other-answer"),
    ] {
        let error = answered(bytes, &dir, false, &Reserve::none()).expect_err(what);
        assert_eq!(error.fault().code, code, "{what}: {error}");
        assert!(!dir.exists(), "{what}");
    }

    let identity = answered(&right, &dir, false, &Reserve::none()).expect("joined");
    assert_eq!((identity.node.as_str(), identity.epoch), ("crane-7", 3));
    assert_eq!(Identity::load(&dir).expect("read").ca_digest(), ca.digest());
    assert_eq!(std::fs::read_dir(state.path()).expect("state").count(), 1, "what waited is gone");
    let present = |error| matches!(error, JoinError::Identity(IdentityError::Present { .. }));
    assert!(present(answered(&right, &dir, false, &Reserve::none()).expect_err("a second time")));
    assert!(present(ask(&text, &dir, false, &Reserve::none()).expect_err("joined already")));
    assert!(matches!(answered(&right, &dir, true, &Reserve::none()), Err(JoinError::NotAsked)));
    ask(&text, &dir, true, &Reserve::none()).expect("asked for another identity");
    assert!(Identity::load(&dir).is_ok(), "which it has until the answer comes");
}

#[test]
fn another_token_asks_for_another_key_and_a_damaged_memory_is_none() {
    let ca = Authority::new();
    let state = tempfile::tempdir().expect("dir");
    let dir = state.path().join("identity");
    let key = |url| {
        let (_, request) = ask(&token(url, ca.digest()).to_string(), &dir, false, &Reserve::none()).expect("asked");
        let body: serde_json::Value = Carried::Request.from_bytes(&request).expect("a request");
        key_of(body["csr"].as_str().expect("csr")).der_bytes().to_vec()
    };
    let first = key("https://a");
    assert_eq!(first, key("https://a"));
    assert_ne!(first, key("https://b"));
    let second = key("https://b");
    std::fs::write(state.path().join("identity.asked/waiting"), "noise").expect("damaged");
    assert_ne!(second, key("https://b"));
}

#[tokio::test]
async fn what_cannot_be_stored_is_asked_for_again_with_the_same_key() {
    let ca = Arc::new(Authority::new());
    let url = hub(&ca, ca.clone(), Hub::Honest).await;
    let state = tempfile::tempdir().expect("dir");
    let dir = state.path().join("identity");
    let text = token(&url, ca.digest()).to_string();
    std::fs::write(dir.with_added_extension("asked"), "in the way").expect("file");
    let nowhere = token("https://localhost:1", ca.digest()).to_string();
    let error = join(&nowhere, &dir, false, &Reserve::none()).await.expect_err("no key that would be lost is shown to a hub");
    assert!(matches!(error, JoinError::File(_)), "{error}");
    std::fs::remove_file(dir.with_added_extension("asked")).expect("removed");

    std::fs::write(dir.with_added_extension("new"), "in the way").expect("file");
    let error = join(&text, &dir, false, &Reserve::none()).await.expect_err("nowhere to write it");
    assert!(matches!(error, JoinError::Identity(IdentityError::File(_))), "{error}");
    let (_, key) = waiting::last(&dir).expect("read").expect("kept");
    std::fs::remove_file(dir.with_added_extension("new")).expect("removed");
    let joined = join(&text, &dir, false, &Reserve::none()).await.expect("the same command again");
    assert_eq!(joined.key.secret_pkcs8_der(), key.serialized_der());
    assert_eq!(std::fs::read_dir(state.path()).expect("state").count(), 1, "what waited is gone");
}

#[test]
fn a_node_whose_disk_is_full_joins_out_of_its_reserve() {
    let ca = Authority::new();
    let disk = SmallDisk::mount(8);
    let dir = disk.path().join("identity");
    let reserve = Reserve::of(disk.path(), 1 << 20);
    disk.fill();
    let text = token("https://h", ca.digest()).to_string();
    ask(&text, &dir, false, &Reserve::none()).expect_err("it is full");
    let (_, request) = ask(&text, &dir, false, &reserve).expect("asked");
    let body: serde_json::Value = Carried::Request.from_bytes(&request).expect("a request");
    let answer = carried(&ca.client("crane-7", &key_of(body["csr"].as_str().expect("csr"))), &ca);
    disk.fill();
    answered(&answer, &dir, false, &Reserve::none()).expect_err("it is full again");
    answered(&answer, &dir, false, &reserve).expect("joined");
}
