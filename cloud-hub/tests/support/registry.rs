//! A real registry (the Debian package `docker-registry`) on a port of its own on loopback. Without the package the tests
//! that need it say so and are left out.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::print_stderr, clippy::panic)]

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use shared::id::Digest;
use shared::oci::media;

use crate::samples::Sample;

/// A registry process with its own directory, ended with the test.
pub struct Registry {
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
    /// Starts it; `password`: user `anna` must give it. `None` when the package is not installed.
    pub async fn start(password: Option<&str>) -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let host = format!("127.0.0.1:{port}");
        let mut config = format!(
            "version: 0.1\nlog: {{level: error, accesslog: {{disabled: true}}}}\nhttp: {{addr: \"{host}\"}}\nstorage: {{filesystem: {{rootdirectory: \"{}\"}}, delete: {{enabled: true}}}}\n",
            dir.path().join("data").display()
        );
        if let Some(password) = password {
            let htpasswd = dir.path().join("htpasswd");
            std::fs::write(&htpasswd, format!("anna:{password}\n")).unwrap();
            config += &format!("auth: {{htpasswd: {{realm: test, path: \"{}\"}}}}\n", htpasswd.display());
        }
        let file = dir.path().join("config.yml");
        std::fs::write(&file, config).unwrap();
        let mut command = Command::new("docker-registry");
        command.arg("serve").arg(&file).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let Ok(child) = command.spawn() else {
            eprintln!("docker-registry is not installed: left out");
            return None;
        };
        let registry = Self { child, host, _dir: dir };
        registry.wait().await;
        Some(registry)
    }

    async fn wait(&self) {
        for _ in 0..200 {
            if tokio::net::TcpStream::connect(&self.host).await.is_ok() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("the registry does not listen");
    }

    /// Uploads blobs and manifests of `images` as `repository:tag`; several become an index.
    pub async fn push(&self, repository: &str, tag: &str, images: &[&Sample]) -> Digest {
        let http = client();
        for image in images {
            for bytes in image.blobs() {
                let url = format!("http://{}/v2/{repository}/blobs/uploads/", self.host);
                let response = http.post(url).send().await.unwrap();
                let place = response.headers()["location"].to_str().unwrap().to_owned();
                let url = format!("{place}&digest={}", Digest::of(&bytes));
                assert!(http.put(url).body(bytes).send().await.unwrap().status().is_success());
            }
            self.put_manifest(repository, &Digest::of(&image.manifest()).to_string(), media::MANIFEST, image.manifest()).await;
        }
        match images {
            [image] => self.put_manifest(repository, tag, media::MANIFEST, image.manifest()).await,
            images => self.put_manifest(repository, tag, media::INDEX, plain_index(images)).await,
        }
    }

    async fn put_manifest(&self, repository: &str, name: &str, media_type: &str, bytes: Vec<u8>) -> Digest {
        let digest = Digest::of(&bytes);
        let url = format!("http://{}/v2/{repository}/manifests/{name}", self.host);
        let response = client().put(url).header("content-type", media_type).body(bytes).send().await.unwrap();
        let status = response.status();
        assert!(status.is_success(), "{status}: {}", response.text().await.unwrap());
        digest
    }

    /// What an image here is called: `repository:tag` with the host before it.
    pub fn reference(&self, image: &str) -> String {
        format!("{}/{image}", self.host)
    }
}

fn client() -> reqwest::Client {
    let _installed = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::new()
}

/// An index without the attestation: a registry takes only what it has.
fn plain_index(images: &[&Sample]) -> Vec<u8> {
    let mut index: serde_json::Value = serde_json::from_slice(&crate::samples::index(images)).unwrap();
    index["manifests"].as_array_mut().unwrap().pop();
    index.to_string().into_bytes()
}
