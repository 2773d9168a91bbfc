//! The real binary, killed with SIGKILL and started again on the same state.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use cloud_hub::records::{self, HUB, Stored};
use cloud_hub::store::redb::RedbStore;
use cloud_hub::store::{Change, Store};
use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};
use shared::time::UnixMillis;

use crate::world::{client, key, read_ca, release, sample, signed};

/// Ends with the test, however that ends.
struct Process(Child);

struct Hub {
    process: Process,
    http: Client,
    base: String,
    token: String,
}

impl Drop for Process {
    fn drop(&mut self) {
        let _gone = self.0.kill();
        let _gone = self.0.wait();
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

impl Hub {
    async fn start(state: &Path, api: u16, gate: u16) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cloud-hub"));
        command
            .args(["serve", "--state-dir", state.to_str().unwrap(), "--config", "/dev/null", "--log", "warn"])
            .args(["--listen-api", &format!("127.0.0.1:{api}"), "--listen-mqtt", &format!("127.0.0.1:{gate}")])
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        let process = Process(command.spawn().unwrap());
        let base = format!("https://127.0.0.1:{api}");
        for _ in 0..200 {
            tokio::time::sleep(Duration::from_millis(50)).await;
            if !state.join("admin.token").exists() || !state.join("ca/root.pem").exists() {
                continue;
            }
            let http = client(&read_ca(state));
            if http.get(format!("{base}/readyz")).send().await.is_ok_and(|response| response.status().is_success()) {
                let token = std::fs::read_to_string(state.join("admin.token")).unwrap().trim().to_owned();
                return Self { process, http, base, token };
            }
        }
        panic!("the hub did not start");
    }

    async fn call(&self, method: Method, path: &str, body: Option<Value>) -> (StatusCode, Value) {
        let request = self.http.request(method, format!("{}{path}", self.base)).bearer_auth(&self.token);
        crate::world::answer(match body {
            Some(body) => request.json(&body),
            None => request,
        })
        .await
    }

    async fn octets(&self, method: Method, path: &str, body: Vec<u8>) -> StatusCode {
        let request = self.http.request(method, format!("{}{path}", self.base)).bearer_auth(&self.token);
        crate::world::answer(request.header("content-type", "application/octet-stream").body(body)).await.0
    }
}

impl Hub {
    async fn know_publisher(&self) {
        let body = json!({"name": "team", "key": key().public().to_string()});
        assert_eq!(self.call(Method::POST, "/api/v1/publishers", Some(body)).await.0, StatusCode::CREATED);
    }

    /// Publishes a version of the app web, with its images.
    async fn publish(&self, version: &str) {
        let sample = sample(version, "linux/amd64");
        for bytes in sample.blobs() {
            let path = format!("/api/v1/blobs/{}", shared::id::Digest::of(&bytes));
            assert_eq!(self.octets(Method::PUT, &path, bytes).await, StatusCode::CREATED);
        }
        let release = release("web", version, vec![sample.expected()]);
        assert_eq!(self.octets(Method::POST, "/api/v1/releases", signed(&release)).await, StatusCode::CREATED);
    }
}

#[tokio::test]
async fn a_killed_hub_keeps_everything_and_never_reuses_a_generation() {
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().join("hub");
    let (api, gate) = (free_port(), free_port());
    let hub = Hub::start(&state, api, gate).await;
    hub.know_publisher().await;
    for version in ["1", "2"] {
        hub.publish(version).await;
    }
    let (_, token) = hub.call(Method::POST, "/api/v1/tokens", Some(json!({"node": "n1"}))).await;
    let (_, csr) = crate::node::request();
    let body = crate::node::asks(token["token"].as_str().unwrap(), "n1", &csr);
    let (status, enrolled) = hub.call(Method::POST, "/api/v1/enroll", Some(body)).await;
    assert_eq!(status, StatusCode::OK, "{enrolled}");

    let deploy = |version: &'static str| Some(json!({"app": "web", "release": version, "target": {"nodes": ["n1"]}}));
    let generation = |node: &Value| node["status"]["wanted"]["generation"].as_u64().unwrap();
    let mut last = 0;
    let mut hub = hub;
    for round in 0..4 {
        let version = if round % 2 == 0 { "1" } else { "2" };
        let (status, made) = hub.call(Method::PUT, "/api/v1/deployments/d", deploy(version)).await;
        assert_eq!(status, StatusCode::OK, "{made}");
        let (_, node) = hub.call(Method::GET, "/api/v1/nodes/n1", None).await;
        assert!(generation(&node) > last, "round {round}: {} after {last}", generation(&node));
        last = generation(&node);
        let before = (
            hub.call(Method::GET, "/api/v1/deployments/d", None).await,
            hub.call(Method::GET, "/api/v1/releases", None).await.1["items"].clone(),
            hub.call(Method::GET, "/api/v1/version", None).await,
            hub.call(Method::GET, "/api/v1/events", None).await.1["items"].clone(),
        );
        hub.process.0.kill().unwrap();
        hub.process.0.wait().unwrap();
        hub = Hub::start(&state, api, gate).await;
        let after = (
            hub.call(Method::GET, "/api/v1/deployments/d", None).await,
            hub.call(Method::GET, "/api/v1/releases", None).await.1["items"].clone(),
            hub.call(Method::GET, "/api/v1/version", None).await,
            hub.call(Method::GET, "/api/v1/events", None).await.1["items"].clone(),
        );
        assert_eq!(before, after, "round {round}");
        let (_, node) = hub.call(Method::GET, "/api/v1/nodes/n1", None).await;
        assert_eq!(generation(&node), last, "a restart is no change");
    }
}

/// Lets the leases of all blobs be over.
fn age_blobs(state: &Path) {
    let old = std::time::SystemTime::now() - Duration::from_secs(3 * 24 * 3600);
    for two in std::fs::read_dir(state.join("blobs/sha256")).unwrap() {
        for blob in std::fs::read_dir(two.unwrap().path()).unwrap() {
            std::fs::File::open(blob.unwrap().path()).unwrap().set_modified(old).unwrap();
        }
    }
}

/// Lets the store be an old one, which is trusted to know what is needed.
async fn age_store(state: &Path) {
    let store = RedbStore::open(&state.join("hub.redb")).unwrap();
    let (hub, revision) = records::Hub::read(HUB, store.get(HUB).await.unwrap().unwrap()).unwrap();
    let old = records::Hub { created: UnixMillis(hub.created.0 - 3 * 24 * 3_600_000), ..hub };
    store.commit(vec![Change::replace(HUB, revision, old.encode())], Vec::new()).await.unwrap();
    store.close().await;
}

#[tokio::test]
async fn a_hub_killed_while_it_removes_blobs_removes_them_all_and_no_others() {
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().join("hub");
    let (api, gate) = (free_port(), free_port());
    let mut hub = Hub::start(&state, api, gate).await;
    hub.know_publisher().await;
    let versions: Vec<String> = (0..24).map(|n| format!("1.{n}")).collect();
    for version in &versions {
        hub.publish(version).await;
    }
    hub.process.0.kill().unwrap();
    hub.process.0.wait().unwrap();
    age_blobs(&state);
    age_store(&state).await;
    hub = Hub::start(&state, api, gate).await;
    for version in &versions[1..] {
        let (status, value) = hub.call(Method::DELETE, &format!("/api/v1/releases/web@{version}"), None).await;
        assert_eq!(status, StatusCode::NO_CONTENT, "{value}");
    }
    let stay: std::collections::BTreeSet<String> =
        sample(&versions[0], "linux/amd64").blobs().iter().map(|bytes| shared::id::Digest::of(bytes).hex()).collect();
    let there = || crate::collect::files(&state, "blobs/sha256");
    let (mut kills, mut tries) = (0, 0);
    while there() != stay {
        assert!(there().is_superset(&stay) && tries < 200);
        tries += 1;
        if kills < 4 {
            hub.process.0.kill().unwrap();
            hub.process.0.wait().unwrap();
            kills += 1;
            hub = Hub::start(&state, api, gate).await;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let (status, release) = hub.call(Method::GET, "/api/v1/releases", None).await;
    assert_eq!((status, release["items"].as_array().unwrap().len()), (StatusCode::OK, 1));
}

#[tokio::test]
async fn a_hub_stops_when_it_is_asked_to_and_a_new_epoch_begins_on_demand() {
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().join("hub");
    let (api, gate) = (free_port(), free_port());
    let epoch = |args: &[&str]| {
        Command::new(env!("CARGO_BIN_EXE_cloud-hub")).args(args).args(["--state-dir", state.to_str().unwrap()]).output().unwrap()
    };
    let refused = epoch(&["--lang", "zh", "new-epoch"]);
    assert_eq!(refused.status.code(), Some(3));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("没有中心"), "{refused:?}");

    let mut hub = Hub::start(&state, api, gate).await;
    let busy = epoch(&["new-epoch"]);
    assert!(!busy.status.success(), "not beside a hub that runs");
    rustix::process::kill_process(rustix::process::Pid::from_child(&hub.process.0), rustix::process::Signal::TERM).unwrap();
    assert!(hub.process.0.wait().unwrap().success(), "SIGTERM ends it well");
    assert!(epoch(&["new-epoch"]).status.success());
    let hub = Hub::start(&state, api, gate).await;
    assert_eq!(hub.call(Method::GET, "/api/v1/version", None).await.1["epoch"], 2);
}

#[test]
fn a_configuration_is_checked_without_starting() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("hub.toml");
    let check = |text: &str, lang: &str| {
        std::fs::write(&file, text).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_cloud-hub"));
        command.env("LANG", lang).env_remove("LC_ALL").env_remove("LC_MESSAGES");
        command.args(["serve", "--check", "--config", file.to_str().unwrap()]).output().unwrap()
    };
    assert!(check("name = \"hub\"\n", "C").status.success());
    let bad = check("name = \"hub\"\n[api]\nport = 1\n", "C");
    let text = String::from_utf8_lossy(&bad.stderr).into_owned();
    assert!(bad.status.code() == Some(2) && text.contains("hub.toml:3:1"), "{text}");
    let bad = check("hosts = [\"a b\"]\n", "zh_CN.UTF-8");
    assert!(bad.status.code() == Some(2) && String::from_utf8_lossy(&bad.stderr).contains("应为"));
}
