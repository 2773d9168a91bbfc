//! The API as bytes: status lines and bodies, as any HTTP client sees them.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use edge_node::api::port::{Command, Target};
use edge_node::api::{CONNECTIONS_MAX, ROUTES};
use edge_node::identity::Identity;
use shared::sign::SecretKey;

use super::fake::{Daemon, mode, name};

/// One request; the status and the body.
fn ask(daemon: &Daemon, method: &str, path: &str, body: &[u8]) -> (u16, String) {
    let mut stream = UnixStream::connect(daemon.socket()).expect("connected");
    stream.set_read_timeout(Some(Duration::from_secs(30))).expect("limit");
    let length = body.len();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).expect("sent");
    // A body that is refused early may not be read to its end.
    let _ = stream.write_all(body);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    let text = String::from_utf8_lossy(&answer).into_owned();
    let status = text.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("status");
    (status, text.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default())
}

#[test]
fn only_the_owner_may_open_the_socket() {
    let daemon = Daemon::start();
    let socket = daemon.socket();
    assert_eq!(mode(&socket), 0o600);
    drop(daemon.stop());
    assert!(!socket.exists());
}

#[test]
fn every_route_answers_and_nothing_else_does() {
    let daemon = Daemon::start();
    for (method, path) in ROUTES {
        let path = path.replace("{app}", "shop").replace("{service}", "web").replace("{verb}", "stop").replace("{name}", "pin");
        let (status, body) = ask(&daemon, &method.to_uppercase(), &path, b"");
        assert!(!body.contains("node-api-no-route"), "{method} {path}: {status} {body}");
    }
    for (method, path) in [("GET", "/"), ("GET", "/v2/status"), ("DELETE", "/v1/status"), ("GET", "/v1/secrets/shop/pin")] {
        let (status, body) = ask(&daemon, method, path, b"");
        assert_eq!(status, 404, "{method} {path}");
        for part in ["\"code\":\"node-api-no-route\"", "\"message_en\":", "\"message_zh\":", "\"params\":"] {
            assert!(body.contains(part), "{body}");
        }
    }
}

#[test]
fn commands_reach_the_node_only_for_what_it_has() {
    let daemon = Daemon::start();
    let target = |service: Option<&str>| Target { app: name("shop"), service: service.map(name) };
    assert_eq!(ask(&daemon, "POST", "/v1/apps/shop/stop", b"").0, 204);
    assert_eq!(ask(&daemon, "POST", "/v1/apps/shop/services/web/restart", b"").0, 204);
    assert_eq!(daemon.told(), [Command::Stop(target(None)), Command::Restart(target(Some("web")))]);
    for (path, status, code) in [
        ("/v1/apps/nope/stop", 404, "node-app-not-found"),
        ("/v1/apps/shop/services/nope/stop", 404, "node-service-not-found"),
        ("/v1/apps/shop/explode", 400, "node-api-bad-request"),
        ("/v1/apps/..%2fetc/stop", 400, "node-api-bad-request"),
        ("/v1/apps/SHOP/stop", 400, "node-api-bad-request"),
    ] {
        let (got, body) = ask(&daemon, "POST", path, b"");
        assert_eq!(got, status, "{path} {body}");
        assert!(body.contains(code), "{path} {body}");
    }
    assert_eq!(daemon.told(), []);
    for path in ["/v1/logs/nope/web", "/v1/logs/shop/nope"] {
        assert_eq!(ask(&daemon, "GET", path, b"").0, 404);
    }
    for path in ["/v1/logs/shop/web?tail=x", "/v1/events?from=-1", "/v1/events?since=1"] {
        assert_eq!(ask(&daemon, "GET", path, b"").0, 400, "{path}");
    }
}

#[test]
fn secrets_go_in_and_never_come_out() {
    let daemon = Daemon::start();
    let largest = vec![b'x'; 256 << 10];
    assert_eq!(ask(&daemon, "GET", "/v1/secrets/shop", b""), (200, "[]".into()));
    assert_eq!(ask(&daemon, "PUT", "/v1/secrets/shop/pin", b"1234\n").0, 204);
    assert_eq!(ask(&daemon, "PUT", "/v1/secrets/shop/key", &largest).0, 204);
    assert_eq!(daemon.told(), [Command::SecretChanged(name("shop")), Command::SecretChanged(name("shop"))]);
    assert_eq!(ask(&daemon, "GET", "/v1/secrets/shop", b""), (200, r#"["key","pin"]"#.into()));
    let dir = daemon.state().join("secrets/shop");
    assert_eq!(std::fs::read(dir.join("pin")).expect("stored"), b"1234\n");
    assert_eq!((mode(&dir.join("pin")), mode(&dir), mode(&daemon.state().join("secrets"))), (0o600, 0o700, 0o700));

    let (status, body) = ask(&daemon, "PUT", "/v1/secrets/shop/pin", &vec![b'x'; (256 << 10) + 1]);
    assert!(status == 413 && body.contains("node-secret-too-large"), "{status} {body}");
    assert_eq!(std::fs::read(dir.join("pin")).expect("kept"), b"1234\n");
    for path in ["/v1/secrets/shop/a.b", "/v1/secrets/shop/..", "/v1/secrets/..%2f..%2fetc/x"] {
        assert!(ask(&daemon, "PUT", path, b"x").0 >= 400, "{path}");
    }
    assert_eq!(ask(&daemon, "DELETE", "/v1/secrets/shop/pin", b"").0, 204);
    assert_eq!(ask(&daemon, "DELETE", "/v1/secrets/shop/pin", b"").0, 404);
    for n in 0..63 {
        assert_eq!(ask(&daemon, "PUT", &format!("/v1/secrets/shop/n{n}"), b"x").0, 204);
    }
    assert_eq!(ask(&daemon, "PUT", "/v1/secrets/shop/one-more", b"x").0, 409);
    assert_eq!(ask(&daemon, "PUT", "/v1/secrets/shop/key", b"x").0, 204, "a known one may still change");
}

#[test]
fn trust_takes_keys_and_nothing_else() {
    let daemon = Daemon::start();
    for body in ["", "{}", r#"{"key":"ed25519:00"}"#, r#"{"key":1}"#, r#"{"key":"x","more":1}"#] {
        let (status, answer) = ask(&daemon, "POST", "/v1/trust/publishers", body.as_bytes());
        assert!(status == 400 && answer.contains("node-api-bad-request"), "{body} {status} {answer}");
    }
    let key = SecretKey::from_seed(&[9; 32]).public();
    let body = format!(r#"{{"key":"{key}"}}"#);
    assert_eq!(ask(&daemon, "POST", "/v1/trust/publishers", body.as_bytes()).0, 500, "it has not joined");
    let before = daemon.joined().publishers;
    assert_eq!(ask(&daemon, "POST", "/v1/trust/publishers", body.as_bytes()).0, 204);
    let all = [before, vec![key]].concat();
    assert_eq!(Identity::load(&daemon.state().join("identity")).expect("read").publishers, all);
    assert_eq!(daemon.told(), [Command::Publishers(all)]);
    let (status, answer) = ask(&daemon, "POST", "/v1/trust/publishers", &vec![b' '; 1 << 20]);
    assert!(status == 400, "{status} {answer}");
    assert_eq!(daemon.told(), []);
}

#[test]
fn metrics_are_in_the_text_format() {
    let daemon = Daemon::start();
    let (status, page) = ask(&daemon, "GET", "/metrics", b"");
    assert_eq!(status, 200);
    for line in [
        "# TYPE causeway_node_hub_online gauge",
        "causeway_node_hub_online 0",
        "causeway_node_hub_confirmed_age_seconds 90",
        "causeway_node_accepted_generation 7",
        "causeway_app_running{app=\"shop\"} 0",
        "causeway_service_running{app=\"shop\",service=\"web\"} 1",
        "causeway_node_info{version=\"0.1.0\",runtime=\"1.6\\\"20\"} 1",
        "causeway_node_transfer_left_bytes 2097152",
        "causeway_node_transfer_bytes_per_second 65536",
        "# TYPE causeway_node_neighbours gauge",
        "causeway_node_neighbours{state=\"unasked\"} 1",
        "causeway_node_neighbours{state=\"useful\"} 1",
        "causeway_node_neighbours{state=\"useless\"} 2",
        "# TYPE causeway_node_neighbour_taken_bytes_total counter",
        "causeway_node_neighbour_taken_bytes_total{neighbour=\"crane-9\"} 9437184",
        "causeway_node_neighbour_given_bytes_total{neighbour=\"crane-8\"} 3145728",
    ] {
        assert!(page.lines().any(|found| found == line), "{line} is missing in\n{page}");
    }
    *daemon.node.sharing.lock().expect("lock") = None;
    let (_, page) = ask(&daemon, "GET", "/metrics", b"");
    assert!(!page.lines().any(|line| line.starts_with("causeway_node_neighbour")), "{page}");
}

#[test]
fn neighbours_are_an_object_and_null_without_sharing() {
    let daemon = Daemon::start();
    let (status, body) = ask(&daemon, "GET", "/v1/neighbours", b"");
    let json: serde_json::Value = serde_json::from_str(&body).expect("json");
    assert_eq!((status, &json["address"], &json["taken"]), (200, &"192.168.7.7:7448".into(), &(40 << 20).into()));
    let first = serde_json::json!({
        "neighbour": "crane-8", "address": "192.168.7.8:7448", "state": "unasked", "taken": 8 << 20, "given": 3 << 20
    });
    assert_eq!(json["neighbours"][0], first);
    let [second, last] = [1, 3].map(|n| json["neighbours"][n].clone());
    assert_eq!((&second["state"], &second["asked_ms"]), (&"useful".into(), &90_000.into()));
    assert_eq!((&last["state"], &last["why"]["code"]), (&"useless".into(), &"node-neighbour-wrong".into()));
    *daemon.node.sharing.lock().expect("lock") = None;
    assert_eq!(ask(&daemon, "GET", "/v1/neighbours", b""), (200, "null".into()));
}

#[test]
fn a_followed_log_and_many_connections_do_not_hold_up_the_end() {
    let daemon = Daemon::start();
    let mut follower = UnixStream::connect(daemon.socket()).expect("connected");
    follower.write_all(b"GET /v1/logs/shop/web?follow=true HTTP/1.1\r\nhost: x\r\n\r\n").expect("sent");
    let mut first = [0; 512];
    assert!(follower.read(&mut first).expect("a line") > 0);
    let silent: Vec<_> = (0..2 * CONNECTIONS_MAX).map(|_| UnixStream::connect(daemon.socket()).expect("queued")).collect();
    let began = Instant::now();
    drop(daemon.stop());
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    drop(silent);
}
