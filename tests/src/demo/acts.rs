//! What an operator does at a site: found it, let the node join, publish versions of the sample app.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;

use super::{Failure, Site, wait_for};
use crate::image::{Compression, Image, ImageBuilder, Layer, build_sample_program, oci_archive, sample_image};

/// The node of the site; it has the label `site=demo`.
pub const NODE: &str = "demo-node";
/// Where the program lies in an image with ballast.
pub const PROGRAM: &str = "/sample-app";
/// Where the ballast lies.
pub const BALLAST: &str = "/ballast";
/// Nothing here takes so long, on however slow a machine.
const LONG: Duration = Duration::from_secs(60);

/// A version of the sample app.
#[derive(Debug, Clone)]
pub struct Version<'a> {
    /// The app's name.
    pub app: &'a str,
    /// Its version.
    pub version: &'a str,
    /// Whether its health checks ever succeed.
    pub healthy: bool,
    /// Seconds until an update counts as failed.
    pub deadline: u32,
    /// Whether its page has a port of the node; only one app can have it.
    pub page: bool,
    /// Random bytes in its image that no compression makes fewer, as one more layer.
    pub ballast: usize,
}

impl<'a> Version<'a> {
    /// A good version of `sample`, small.
    pub const fn new(version: &'a str) -> Self {
        Self { app: "sample", version, healthy: true, deadline: 30, page: true, ballast: 0 }
    }

    fn manifest(&self, page: u16) -> String {
        let sample = include_str!("../../../manifests/sample/app.yaml");
        let port = if self.page { format!("[\"{page}:8080\"]") } else { "[]".to_owned() };
        let manifest = sample
            .replace("name: sample\n", &format!("name: {}\n", self.app))
            .replace("1.0.0", self.version)
            .replace("deadline: 30s", &format!("deadline: {}s", self.deadline))
            .replace("[\"8080:8080\"]", &port);
        let healthy = "SAMPLE_COUNTER: counter:8081";
        if self.healthy { manifest } else { manifest.replace(healthy, &format!("{healthy}\n        SAMPLE_HEALTH: never")) }
    }

    /// The program of this version.
    ///
    /// # Errors
    /// It cannot be built.
    pub fn program(&self) -> std::io::Result<Vec<u8>> {
        let mut program = std::fs::read(build_sample_program()?)?;
        program.extend_from_slice(self.version.as_bytes()); // Behind an ELF file's end: another program, another layer.
        Ok(program)
    }

    /// What is in [`BALLAST`].
    pub fn ballast(&self) -> Vec<u8> {
        noise(self.version, self.ballast)
    }

    /// An image that differs from version to version.
    fn image(&self) -> std::io::Result<Image> {
        let program = self.program()?;
        let name = format!("sample-app:{}", self.version);
        if self.ballast == 0 {
            return sample_image(&name, &program);
        }
        let layer = |layer: Layer| layer.compressed(Compression::None);
        ImageBuilder::new(&name)
            .layer(layer(Layer::new().owner(1000, 1000).dir("/data", 0o755)))
            .layer(layer(Layer::new().file(PROGRAM, program, 0o755)))
            .layer(layer(Layer::new().file(BALLAST, self.ballast(), 0o644)))
            .entrypoint(&[PROGRAM])
            .user("1000:1000")
            .working_dir("/data")
            .build()
    }
}

/// `length` bytes without any pattern, always the same for the same `seed`.
fn noise(seed: &str, length: usize) -> Vec<u8> {
    let mut state =
        seed.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3));
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

impl Site {
    /// Starts a new hub, logs in, makes a publisher key and registers it.
    ///
    /// # Errors
    /// What failed, as for all here.
    pub async fn open_hub(&mut self) -> Result<(), Failure> {
        self.start_hub().await?;
        self.login().await?;
        self.hubctl(&["keygen"])?;
        let public = self.dir.join("config/causeway/publisher.pub").display().to_string();
        self.hubctl(&["publisher", "add", "demo", &public]).map(drop)
    }

    /// A new join token for a node with the label `site=demo`.
    pub fn token(&self, node: &str) -> Result<String, Failure> {
        let said = self.hubctl(&["token", "create", node, "-l", "site=demo"])?;
        let token = said.split_whitespace().find(|word| word.starts_with("cwj1."));
        token.map(str::to_owned).ok_or_else(|| "no token in what hubctl token create said".into())
    }

    /// The node joins, starts, and reaches the hub.
    pub async fn enrol(&mut self) -> Result<(), Failure> {
        self.join(&self.token(NODE)?)?;
        self.start_node().await?;
        self.online(LONG).await
    }

    /// Publishes a version of the sample app: a signed manifest, and an image. Returns the image's size in bytes.
    pub fn publish(&self, version: &Version<'_>) -> Result<usize, Failure> {
        let failed = |error: std::io::Error| error.to_string();
        let file = |kind: &str| -> PathBuf { self.dir.join(format!("{}-{}.{kind}", version.app, version.version)) };
        let image = version.image().map_err(failed)?;
        let (archive, manifest) = (file("tar"), file("yaml"));
        std::fs::write(&archive, oci_archive(&[&image]).map_err(failed)?).map_err(failed)?;
        std::fs::write(&manifest, version.manifest(self.page)).map_err(failed)?;
        let of = |service: &str| format!("{service}={}", archive.display());
        let manifest = manifest.display().to_string();
        self.hubctl(&["publish", &manifest, "--image", &of("web"), "--image", &of("counter")])?;
        Ok(image.size())
    }

    /// Returns when the node has a session with the hub.
    pub async fn online(&self, limit: Duration) -> Result<(), Failure> {
        wait_for("the link to the hub", limit, async || self.status().ok()?.pointer("/hub/online")?.as_bool()?.then_some(()))
            .await
    }

    /// What the newest image cost on its way, as the node's journal says it.
    pub fn travelled(&self) -> Result<String, Failure> {
        let text = self.edge_node(&["events", "-o", "json"])?;
        let events: Vec<Value> = serde_json::from_str(&text).map_err(|error| format!("edge-node events -o json: {error}"))?;
        let fetched = |event: &&Value| event.pointer("/what/code").and_then(Value::as_str) == Some("node-image-fetched");
        let event = events.iter().rev().find(fetched).ok_or("no image was fetched")?;
        let of = |name: &str| event.pointer(&format!("/what/params/{name}")).and_then(Value::as_str).unwrap_or("?").to_owned();
        Ok(format!("{} of the image's {} travelled ({})", of("sent"), of("whole"), of("percent")))
    }

    /// What `edge-node status` says.
    pub fn status(&self) -> Result<Value, Failure> {
        let text = self.edge_node(&["status", "-o", "json"])?;
        serde_json::from_str(&text).map_err(|error| format!("edge-node status -o json: {error}"))
    }

    /// One app of the node, as its own report says it.
    pub fn app(&self, name: &str) -> Result<Value, Failure> {
        let apps = self.apps()?;
        let found = apps.as_array().into_iter().flatten().find(|app| app.get("app").and_then(Value::as_str) == Some(name));
        found.cloned().ok_or_else(|| format!("there is no app {name}"))
    }
}
