//! Images fetched by the hub from a real registry (the Debian package `docker-registry`), as lines of JSON.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use shared::id::Digest;
use shared::oci::media;

use crate::samples::Sample;
use crate::world::{World, release, sample, signed};

struct Registry {
    child: Child,
    host: String,
    _dir: tempfile::TempDir,
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ended = self.child.kill();
        let _ended = self.child.wait();
    }
}

impl Registry {
    /// `None` when the package is not installed.
    async fn start() -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let (host, file) = (format!("127.0.0.1:{port}"), dir.path().join("config.yml"));
        let storage = format!("storage: {{filesystem: {{rootdirectory: {:?}}}}}", dir.path().join("data"));
        std::fs::write(&file, format!("version: 0.1\nlog: {{level: error}}\nhttp: {{addr: \"{host}\"}}\n{storage}\n")).unwrap();
        let mut command = Command::new("docker-registry");
        command.arg("serve").arg(&file).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let registry = Self { child: command.spawn().ok()?, host, _dir: dir };
        for _ in 0..200 {
            if tokio::net::TcpStream::connect(&registry.host).await.is_ok() {
                return Some(registry);
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("the registry does not listen");
    }

    async fn push(&self, image: &Sample) -> String {
        let (http, base) = (reqwest::Client::new(), format!("http://{}/v2/team/web", self.host));
        for bytes in image.blobs() {
            let begun = http.post(format!("{base}/blobs/uploads/")).send().await.unwrap();
            let place = begun.headers()["location"].to_str().unwrap().to_owned();
            let put = http.put(format!("{place}&digest={}", Digest::of(&bytes))).body(bytes);
            assert!(put.send().await.unwrap().status().is_success());
        }
        let put = http.put(format!("{base}/manifests/1")).header("content-type", media::MANIFEST).body(image.manifest());
        assert!(put.send().await.unwrap().status().is_success());
        format!("{}/team/web:1", self.host)
    }
}

/// All lines of an ingest.
async fn ingest(world: &World, body: Value) -> Vec<Value> {
    let request = world.http.post(format!("{}/api/v1/images:ingest", world.base)).bearer_auth(&world.token).json(&body);
    let response = request.send().await.unwrap();
    assert_eq!(
        (response.status(), &response.headers()["content-type"]),
        (StatusCode::OK, &"application/x-ndjson".parse().unwrap())
    );
    response.text().await.unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test]
async fn an_image_comes_from_a_registry_and_is_published() {
    let world = World::new().await;
    let Some(registry) = Registry::start().await else { return };
    let image = sample("1", "linux/amd64");
    let reference = registry.push(&image).await;
    let lines = ingest(&world, json!({"reference": reference, "platforms": ["linux/amd64"]})).await;
    let (last, before) = lines.split_last().unwrap();
    assert_eq!(last["type"], "done", "{last}");
    assert!(before.iter().all(|line| line["type"] == "progress") && !before.is_empty());
    let images: Vec<shared::release::Image> = serde_json::from_value(last["images"].clone()).unwrap();
    assert_eq!(images, [image.expected()]);
    assert!(last["reference"].as_str().unwrap().ends_with(&image.expected().id().to_string()));

    world.publisher().await;
    let (status, made) = world.bytes(Method::POST, "/api/v1/releases", signed(&release("web", "1", images))).await;
    assert_eq!(status, StatusCode::CREATED, "{made}");
}

#[tokio::test]
async fn what_cannot_be_fetched_ends_with_the_reason() {
    let world = World::new().await;
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for reference in [format!("{free}/team/web:1"), "not a reference".into(), "127.0.0.1:1/x@sha256:00".into()] {
        let lines = ingest(&world, json!({"reference": reference})).await;
        let last = lines.last().unwrap();
        assert_eq!(last["type"], "failed", "{reference}: {last}");
        assert!(last["problem"]["message_zh"].as_str().unwrap().chars().any(|c| c > '\u{2E80}'), "{last}");
    }
}
