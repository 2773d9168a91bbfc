//! A large image that a node has nothing of, through the gate, against the same bytes from a plain HTTPS server.
//!
//! ```text
//! gate   hub ── TLS 1.3, MQTT ──▶ the node's link ──▶ fetch: files, sha256, synced; patch ──▶ pack
//! HTTPS  axum ─ TLS 1.3, HTTP ──▶ files, sha256, synced
//! ```
//!
//! The same bytes travel both ways: manifest, config and the patches, which of a layer that is all new are its chunks,
//! compressed. The hub made them before. Two figures:
//!
//! - the transfer: of each file the time from the first byte that was asked for to the last that came, with the writing and
//!   hashing that goes on meanwhile; both ways without the sync at the end of a file (the node syncs every 4 MiB as well);
//! - the whole fetch: with syncs, and with the packs made, which HTTPS does not do.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use cloud_hub::blobs::Blobs;
use cloud_hub::config::Config;
use cloud_hub::os::system_clock;
use cloud_hub::serve::{Running, start};
use edge_node::budget::Ledger;
use edge_node::clock::Clock;
use edge_node::images::content::Content;
use edge_node::images::fetch::{Present, fetch};
use edge_node::images::{ChunkSource, FRAME_MAX, SourceError};
use edge_node::link::Link;
use edge_node::link::mqtt::{self, MqttConfig};
use edge_node::link::transport::transport;
use edge_node::reserve::Reserve;
use edge_node::shutdown::{Trigger, shutdown};
use sha2::Digest as _;
use shared::id::{Digest, Name};
use shared::manifest::{Outside, read};
use shared::release::{Blob, Image, Release};
use shared::sign::{Envelope, Purpose};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::https::Server;
use super::ready::large;
use super::{Figure, Plan};
use crate::demo::Failure;
use crate::image;
use crate::world::catalog::publisher;
use crate::world::everywhere;

/// One file of the image in so many is noise, as programs and pictures that are compressed already are.
const NOISE: u64 = 4;
/// The rate shall be at least 0.8 of that of HTTPS: the time at most this many times its time.
const GOAL: f64 = 1.25;
/// The hub has made its packs, and the link is up, within this time.
const LONG: Duration = Duration::from_secs(600);

fn said(error: impl std::fmt::Display) -> Failure {
    error.to_string()
}

/// Pulls through the gate and over HTTPS, in turns.
pub(super) async fn measure(plan: &Plan, dir: &Path) -> Result<Vec<Figure>, Failure> {
    std::fs::create_dir_all(dir).map_err(said)?;
    let site = Site::new(dir, &large(plan.image_size, NOISE).map_err(said)?).await?;
    let bytes = site.everything().await?;
    let wire: u64 = bytes.values().map(|bytes| bytes.len() as u64).sum();
    let server = Server::start(bytes.clone()).await?;
    let (mut whole, mut link, mut floor, mut https) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for round in 0..plan.pulls {
        let (took, moved) = download(&server, &bytes, &dir.join(format!("https-{round}"))).await?;
        floor.push(took);
        https.push(moved);
        let (took, moved) = site.pull(&dir.join(format!("node-{round}"))).await?;
        whole.push(took);
        link.push(moved);
    }
    let rate = |times: &[Duration]| {
        let mut times = times.to_vec();
        times.sort_unstable();
        times.get(times.len() / 2).map_or(0.0, |median| wire as f64 / 1e6 / median.as_secs_f64())
    };
    let about = format!(
        "bench: {:.0} MB unpacked, {:.0} MB on the wire both ways, TLS 1.3 on the loopback; HTTPS {:.0} MB/s",
        plan.image_size as f64 / 1e6,
        wire as f64 / 1e6,
        rate(&https)
    );
    let link_said = format!("{about}, gate {:.0} MB/s; {} turns", rate(&link), plan.pulls);
    let whole_said = format!("{about}, gate {:.0} MB/s with syncs and the packs made; {} turns", rate(&whole), plan.pulls);
    Ok(vec![
        Figure::against("cold_pull", &mut link, &mut https, GOAL, link_said),
        Figure { goal: None, ..Figure::against("cold_pull_and_packs", &mut whole, &mut floor, GOAL, whole_said) },
    ])
}

/// A hub with one image, and the link of a node that shall have it.
struct Site {
    link: Link,
    image: Image,
    _running: Running,
    _run: Trigger,
    _tasks: JoinSet<()>,
}

impl Site {
    async fn new(dir: &Path, made: &image::Image) -> Result<Self, Failure> {
        drop(rustls::crypto::ring::default_provider().install_default()); // It fails when there is one already.
        let state = dir.join("hub");
        let text = format!("state_dir = {state:?}\n[api]\nlisten = \"127.0.0.1:0\"\n[gate]\nlisten = \"127.0.0.1:0\"\n");
        let config = Config::read(&text, "bench").map_err(|errors| format!("{errors:?}"))?;
        let running = start(&config, system_clock()).await.map_err(said)?;
        let image = publish(&running, &state, made).await?;
        let node = Name::new("n1").map_err(said)?;
        let (token, _) = running.hub.make_join_token(&node, None, BTreeMap::default(), "bench").await.map_err(said)?;
        let identity =
            edge_node::join::join(&token.to_string(), &dir.join("identity"), false, &Reserve::none()).await.map_err(said)?;
        let address = format!("127.0.0.1:{}", running.gate.port()).parse().map_err(|error| format!("{error:?}"))?;
        let config = MqttConfig { address, ..MqttConfig::of(&identity).map_err(said)? };
        let ((ends, node_ends), (run, asked), mut tasks) = (transport(16), shutdown(), JoinSet::new());
        let ledger = Arc::new(Ledger::unlimited(Clock::system()));
        let (link, mut inbound, pump) = Link::new(node_ends, ledger);
        tasks.spawn(mqtt::run(config, ends, asked));
        tasks.spawn(pump);
        tasks.spawn(async move { while inbound.recv().await.is_some() {} });
        let mut online = link.online();
        tokio::time::timeout(LONG, online.wait_for(|online| *online)).await.map_err(said)?.map_err(said)?;
        Ok(Self { link, image, _running: running, _run: run, _tasks: tasks })
    }

    /// All that travels, asked for once; from then on the hub has made it.
    async fn everything(&self) -> Result<BTreeMap<Digest, Bytes>, Failure> {
        let mut blobs = vec![self.image.manifest, self.image.config];
        for layer in &self.image.layers {
            blobs.push(self.link.patch(layer.tar.digest, &[]).await.map_err(said)?);
        }
        let mut all = BTreeMap::new();
        for blob in blobs {
            let mut bytes = Vec::new();
            while (bytes.len() as u64) < blob.size {
                let length = u64::from(FRAME_MAX).min(blob.size - bytes.len() as u64);
                let length = u32::try_from(length).unwrap_or(FRAME_MAX);
                bytes.extend(self.link.read(blob.digest, bytes.len() as u64, length).await.map_err(said)?);
            }
            all.insert(blob.digest, bytes.into());
        }
        Ok(all)
    }

    /// The time of a whole fetch, and of the transfers in it.
    async fn pull(&self, dir: &Path) -> Result<(Duration, Duration), Failure> {
        let content = Content::open(dir, "boot").map_err(said)?;
        let (source, progress) = (Timed { link: self.link.clone(), spans: Mutex::default() }, watch::Sender::default());
        rustix::fs::sync();
        let begin = Instant::now();
        let ledger = Ledger::unlimited(Clock::system());
        fetch(&source, &content, &self.image, &Present::default(), &ledger, &progress).await.map_err(said)?;
        let took = begin.elapsed();
        drop(content);
        std::fs::remove_dir_all(dir).map_err(said)?;
        Ok((took, source.moved()))
    }
}

/// Puts the image into the hub and deploys it.
async fn publish(running: &Running, state: &Path, made: &image::Image) -> Result<Image, Failure> {
    let blobs = Blobs::open(state, 1 << 30).map_err(said)?;
    for blob in made.blobs() {
        let want = Blob { digest: blob.digest, size: blob.bytes.len() as u64 };
        blobs.put_blocking(want, &mut blob.bytes.as_slice()).map_err(said)?;
    }
    let image = super::desk::named(made);
    let text =
        "apiVersion: causeway/v1\nkind: App\nmetadata: {name: large, version: '1'}\nspec: {services: {large: {image: x}}}\n";
    let manifest = read("bench", text, &Outside::default()).map_err(|refused| format!("{refused:?}"))?.app;
    let app = manifest.metadata.name.clone();
    let release = Release { manifest, images: BTreeMap::from([(app.clone(), vec![image.clone()])]) };
    let envelope = Envelope::sign(Purpose::Release, release.to_bytes(), &[&publisher()]);
    running.hub.add_publisher(&app, publisher().public(), "bench").await.map_err(said)?;
    let (entry, _) = running.hub.publish(&envelope.to_bytes(), "bench").await.map_err(said)?;
    let request = cloud_hub::deployments::request(&entry, everywhere(), true, false);
    running.hub.deploy(&app, request, None, "bench").await.map_err(said)?;
    Ok(image)
}

/// The link, with the time of each transfer.
struct Timed {
    link: Link,
    /// By blob: when its first bytes were asked for, and when its last came.
    spans: Mutex<BTreeMap<Digest, (Instant, Instant)>>,
}

impl Timed {
    fn spans(&self) -> MutexGuard<'_, BTreeMap<Digest, (Instant, Instant)>> {
        self.spans.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All transfers together; one comes after the other.
    fn moved(&self) -> Duration {
        self.spans().values().map(|(begin, end)| *end - *begin).sum()
    }
}

impl ChunkSource for Timed {
    async fn read(&self, blob: Digest, offset: u64, length: u32) -> Result<Bytes, SourceError> {
        let begin = Instant::now();
        self.spans().entry(blob).or_insert((begin, begin));
        let answer = self.link.read(blob, offset, length).await;
        self.spans().entry(blob).and_modify(|(_, end)| *end = Instant::now());
        answer
    }

    async fn patch(&self, layer: Digest, have: &[Digest]) -> Result<Blob, SourceError> {
        self.link.patch(layer, have).await
    }
}

/// The time of a download into files, each checked and synced, and of the transfers in it.
async fn download(server: &Server, wanted: &BTreeMap<Digest, Bytes>, dir: &Path) -> Result<(Duration, Duration), Failure> {
    std::fs::create_dir_all(dir).map_err(said)?;
    rustix::fs::sync();
    let (begin, mut moved) = (Instant::now(), Duration::ZERO);
    let mut client = server.connect().await?;
    for digest in wanted.keys() {
        let mut file = std::fs::File::create(dir.join(digest.hex())).map_err(said)?;
        let mut hash = sha2::Sha256::new();
        let write = |bytes: &[u8]| {
            hash.update(bytes);
            file.write_all(bytes)
        };
        let asked = Instant::now();
        client.get(&digest.hex(), write).await?;
        moved += asked.elapsed();
        let same = Digest::from_bytes(hash.finalize().into()) == *digest;
        file.sync_all().map_err(said)?;
        if !same {
            return Err(format!("{digest} came with other bytes"));
        }
    }
    let took = begin.elapsed();
    std::fs::remove_dir_all(dir).map_err(said)?;
    Ok((took, moved))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn the_same_bytes_come_both_ways() {
        let dir = tempfile::tempdir().expect("a directory");
        let site = Site::new(dir.path(), &large(2_000_000, NOISE).expect("an image")).await.expect("a site");
        let bytes = site.everything().await.expect("all bytes");
        assert!(bytes.iter().all(|(digest, bytes)| Digest::of(bytes) == *digest));
        let (took, moved) = site.pull(&dir.path().join("node")).await.expect("pulled");
        assert!(moved <= took && moved > Duration::ZERO, "{moved:?} of {took:?}");
        let server = Server::start(bytes.clone()).await.expect("a server");
        download(&server, &bytes, &dir.path().join("https")).await.expect("downloaded");
    }
}
