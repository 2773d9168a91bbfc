//! A hub on loopback with its own state, and a client that trusts its CA only.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use cloud_hub::config::Config;
use cloud_hub::hub::begin_new_epoch;
use cloud_hub::os::{Clock, system_clock};
use cloud_hub::serve::{Running, start};
use cloud_hub::store::redb::RedbStore;
use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};
use shared::id::{Digest, Name};
use shared::manifest::App;
use shared::release::{Compression, Image, Release};
use shared::sign::{Envelope, Purpose, SecretKey};
use shared::time::UnixMillis;

use crate::samples::{self, Sample};

/// A hub with its clients.
pub struct World {
    pub running: Running,
    pub token: String,
    pub http: Client,
    pub base: String,
    pub ca: String,
    /// Milliseconds the hub's clock is ahead.
    pub ahead: Arc<AtomicU64>,
    /// Removed at the end.
    dir: tempfile::TempDir,
}

pub fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

/// An HTTPS client that trusts this CA and nobody else.
pub fn client(ca: &str) -> Client {
    let _installed = rustls::crypto::ring::default_provider().install_default();
    let ca = reqwest::Certificate::from_pem(ca.as_bytes()).unwrap();
    Client::builder().tls_certs_only([ca]).build().unwrap()
}

impl World {
    pub async fn new() -> Self {
        Self::on(tempfile::tempdir().unwrap(), None).await
    }

    /// The same hub, stopped and begun anew; in between its state directory may be changed.
    pub async fn restarted(self, change: impl FnOnce(&std::path::Path)) -> Self {
        self.running.stop().await;
        change(&self.dir.path().join("hub"));
        Self::on(self.dir, Some(self.token)).await
    }

    /// The same hub, stopped and begun anew as one whose store was restored at `now`.
    pub async fn of_a_new_epoch(self, now: UnixMillis) -> Self {
        self.running.stop().await;
        let path = self.dir.path().join("hub/hub.redb");
        let mut store = RedbStore::open(&path);
        // The last connections of a hub that was stopped hold its store for a moment.
        for _ in 0..200 {
            if store.is_ok() {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            store = RedbStore::open(&path);
        }
        let store = store.unwrap();
        begin_new_epoch(&store, now).await.unwrap();
        store.close().await;
        Self::on(self.dir, Some(self.token)).await
    }

    async fn on(dir: tempfile::TempDir, token: Option<String>) -> Self {
        let text = format!(
            "state_dir = {:?}\n[api]\nlisten = \"127.0.0.1:0\"\n[gate]\nlisten = \"127.0.0.1:0\"\n",
            dir.path().join("hub")
        );
        let ahead = Arc::new(AtomicU64::new(0));
        let (real, offset) = (system_clock(), ahead.clone());
        let clock: Clock = Arc::new(move || UnixMillis(real().0 + offset.load(Ordering::SeqCst)));
        let config = Config::read(&text, "test").unwrap();
        let mut started = start(&config, clock.clone()).await;
        // The last connections of a hub that was stopped hold its store for a moment.
        for _ in 0..200 {
            if started.is_ok() {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            started = start(&config, clock.clone()).await;
        }
        let running = started.unwrap_or_else(|error| panic!("{error}"));
        let token = token.unwrap_or_else(|| running.first_token.clone().unwrap());
        let ca = read_ca(&dir.path().join("hub"));
        let base = format!("https://{}", running.api);
        Self { http: client(&ca), token, base, ca, ahead, dir, running }
    }

    /// The hub's state directory.
    pub fn state(&self) -> std::path::PathBuf {
        self.dir.path().join("hub")
    }

    /// Lets time pass for the hub.
    pub fn pass(&self, seconds: u64) {
        self.ahead.fetch_add(seconds * 1000, Ordering::SeqCst);
    }

    pub async fn call_as(&self, token: &str, method: Method, path: &str, body: Option<Value>) -> (StatusCode, Value) {
        let mut request = self.http.request(method, format!("{}{path}", self.base));
        if !token.is_empty() {
            request = request.bearer_auth(token);
        }
        if let Some(body) = body {
            request = request.json(&body);
        }
        answer(request).await
    }

    pub async fn call(&self, method: Method, path: &str, body: Option<Value>) -> (StatusCode, Value) {
        self.call_as(&self.token, method, path, body).await
    }

    pub async fn get(&self, path: &str) -> Value {
        let (status, value) = self.call(Method::GET, path, None).await;
        assert_eq!(status, StatusCode::OK, "{path}: {value}");
        value
    }

    pub async fn post(&self, path: &str, body: Value) -> (StatusCode, Value) {
        self.call(Method::POST, path, Some(body)).await
    }

    pub async fn bytes(&self, method: Method, path: &str, bytes: Vec<u8>) -> (StatusCode, Value) {
        let request = self.http.request(method, format!("{}{path}", self.base)).bearer_auth(&self.token);
        answer(request.header("content-type", "application/octet-stream").body(bytes)).await
    }

    /// Uploads all blobs of an image.
    pub async fn upload(&self, sample: &Sample) {
        for bytes in sample.blobs() {
            let (status, value) = self.bytes(Method::PUT, &format!("/api/v1/blobs/{}", Digest::of(&bytes)), bytes).await;
            assert_eq!(status, StatusCode::CREATED, "{value}");
        }
    }

    /// Registers the test publisher.
    pub async fn publisher(&self) {
        let key = key().public().to_string();
        let (status, value) = self.post("/api/v1/publishers", json!({"name": "team", "key": key})).await;
        assert!(status.is_success(), "{value}");
    }

    /// Publishes `web` in `version` with an image of `platform`; returns the release's id.
    pub async fn publish(&self, version: &str, platform: &str) -> Digest {
        self.publisher().await;
        let sample = sample(version, platform);
        self.upload(&sample).await;
        let release = release("web", version, vec![sample.expected()]);
        let (status, value) = self.bytes(Method::POST, "/api/v1/releases", signed(&release)).await;
        assert!(status.is_success(), "{value}");
        value["status"]["id"].as_str().unwrap().parse().unwrap()
    }

    /// Deploys `web@version` to nodes.
    pub async fn deploy(&self, deployment: &str, version: &str, nodes: &[&str]) -> Value {
        let body = json!({"app": "web", "release": version, "target": {"nodes": nodes}});
        let (status, value) = self.call(Method::PUT, &format!("/api/v1/deployments/{deployment}"), Some(body)).await;
        assert_eq!(status, StatusCode::OK, "{value}");
        value
    }

    /// A join token for `node`.
    pub async fn join_token(&self, node: &str) -> String {
        let (status, value) = self.post("/api/v1/tokens", json!({"node": node, "labels": {"site": "north"}})).await;
        assert_eq!(status, StatusCode::CREATED, "{value}");
        value["token"].as_str().unwrap().to_owned()
    }
}

pub async fn answer(request: reqwest::RequestBuilder) -> (StatusCode, Value) {
    let response = request.send().await.unwrap();
    let status = response.status();
    let text = response.text().await.unwrap();
    (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
}

pub fn read_ca(state: &std::path::Path) -> String {
    let pem = std::fs::read_to_string(state.join("ca/root.pem")).unwrap();
    let end = "-----END CERTIFICATE-----";
    let from = pem.find("-----BEGIN CERTIFICATE-----").unwrap();
    pem[from..pem.find(end).unwrap() + end.len()].to_owned()
}

/// The test publisher's key.
pub fn key() -> SecretKey {
    SecretKey::from_seed(&[5; 32])
}

/// An image that differs by version.
pub fn sample(version: &str, platform: &str) -> Sample {
    let text: Vec<u8> = version.bytes().cycle().take(300_000).collect();
    let tar = samples::tar(&[("bin/app", text.as_slice())]);
    samples::image(platform, &[(Compression::None, tar), (Compression::Gzip, samples::tar(&[("v", version.as_bytes())]))])
}

/// A release of one service.
pub fn release(app: &str, version: &str, images: Vec<Image>) -> Release {
    let manifest: App = serde_json::from_value(json!({
        "apiVersion": "causeway/v1", "kind": "App", "metadata": {"name": app, "version": version},
        "spec": {"services": {"web": {"image": format!("registry.example/{app}:{version}")}}},
    }))
    .unwrap();
    Release { manifest, images: [(name("web"), images)].into() }
}

/// The release as the test publisher signs it.
pub fn signed(release: &Release) -> Vec<u8> {
    Envelope::sign(Purpose::Release, release.to_bytes(), &[&key()]).to_bytes()
}
