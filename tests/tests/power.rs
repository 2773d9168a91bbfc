//! F09: the power of a node's disk is cut while images are received and unpacked.
//!
//! ```sh
//! cargo test -p scenarios --test power                              # needs the programs: cargo build --bins
//! POWER_CUTS=200 POWER_SEED=7 cargo test -p scenarios --test power  # longer; the same seed, the same choices
//! ```
//!
//! All that survives a reboot lies on one ext4 file system: the node's state, and containerd's. At a cut it loses what was not
//! synced. In every other cut the disk has lied besides, and containerd's own id is empty: files of unpacked layers are empty,
//! or have other bytes, although they were synced. Then the node boots without the hub. Whatever it starts must have exactly
//! the files that were published; other bytes of the right number may be found a little later, while the app runs.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    missing_docs,
    reason = "tests"
)]

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use scenarios::demo::{BALLAST, Failure, PROGRAM, Site, Version, wait_for};
use scenarios::disk::{self, Disk};
use scenarios::promises;
use scenarios::world::random::Random;
use serde_json::Value;

/// Nothing here takes so long, on however slow a machine.
const LONG: Duration = Duration::from_secs(120);
/// From the daemon's start to the app's answer, offline, with damage to mend.
const HEALED: Duration = Duration::from_secs(60);
/// Without compression it is as much on the link.
const SIZE: usize = 6 << 20;

fn number(variable: &str, usual: u64) -> u64 {
    std::env::var(variable).map_or(usual, |text| text.parse().unwrap_or_else(|_| panic!("{variable} is a number")))
}

fn version(n: u64) -> String {
    format!("{n}.0.0")
}

fn published(version: &str) -> Version<'_> {
    Version { ballast: SIZE, ..Version::new(version) }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_starts_from_a_damaged_image_after_a_power_cut() {
    let (cuts, seed) = (number("POWER_CUTS", 4), number("POWER_SEED", u64::from(std::process::id())));
    println!("POWER_SEED={seed}");
    let dir = tempfile::Builder::new().prefix("causeway-power-").tempdir().unwrap();
    let disk = Disk::new(dir.path(), disk::SIZE, &[dir.path().join("node"), dir.path().join("containerd/root")]).unwrap();
    let mut site = Site::new(dir.path()).await.unwrap();
    let told = cut_often(&mut site, &disk, cuts, &mut Random::new(seed)).await;
    let figure = match &told {
        Ok(slowest) => format!(
            "0 damaged starts; the app was back and whole within {:.1} s of the daemon's start, offline",
            slowest.as_secs_f64()
        ),
        Err(failure) => failure.clone(),
    };
    println!("{cuts} cuts: {figure}");
    promises::record("F09", cuts, told.is_err().into(), &figure, "POWER_CUTS=n cargo test -p scenarios --test power");
    if let Err(failure) = told {
        panic!("{failure}\n\n{}", site.logs());
    }
    drop(site);
}

/// The longest time that the node needed, offline, until the app answered from files that are as published.
async fn cut_often(site: &mut Site, disk: &Disk, cuts: u64, random: &mut Random) -> Result<Duration, Failure> {
    let mut slowest = Duration::ZERO;
    site.open_hub().await?;
    site.enrol().await?;
    deploy(site, &version(0))?;
    ready(site)?;
    for n in 1..=cuts {
        deploy(site, &version(n))?;
        tokio::time::sleep(Duration::from_millis(random.below(3000))).await;
        disk.cut(random.chance(500))?;
        site.kill_hub();
        site.power_off_node();
        disk.come_back().await?;
        let flips = random.chance(500);
        let lied = if n % 2 == 0 { lie(&site.containerd.root(), random, flips) } else { Vec::new() };
        site.containerd.restart().await;
        let begin = Instant::now();
        site.start_node().await?;
        let runs = answers(site, HEALED).await.map_err(|failure| format!("cut {n}, damaged {lied:?}: {failure}"))?;
        if runs != version(n) && runs != version(n - 1) {
            return Err(format!("cut {n}: {runs} came back"));
        }
        while let Err(failure) = intact(site, &runs) {
            if !flips || lied.is_empty() || begin.elapsed() > HEALED {
                return Err(format!("cut {n}, damaged {lied:?}: {failure}"));
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        slowest = slowest.max(begin.elapsed());
        site.start_hub().await?;
        site.online(LONG).await?;
        ready(site)?;
        intact(site, &answers(site, LONG).await?)?;
    }
    Ok(slowest)
}

fn deploy(site: &Site, version: &str) -> Result<(), Failure> {
    site.publish(&published(version))?;
    site.hubctl(&["deploy", &format!("sample@{version}"), "-l", "site=demo"]).map(drop)
}

fn ready(site: &Site) -> Result<(), Failure> {
    site.hubctl(&["wait", "--for", "ready", "deployment/sample", "--timeout", "120s"]).map(drop)
}

/// The version that the app's page shows, once it shows one and all services run.
async fn answers(site: &Site, limit: Duration) -> Result<String, Failure> {
    wait_for("the app's page", limit, async || {
        let status: Value = serde_json::from_str(&site.get("/status").await?).ok()?;
        let all = site.pids().ok()?.iter().filter(|(_, pid)| *pid != 0).count() == 2;
        status["version"].as_str().filter(|_| all).map(str::to_owned)
    })
    .await
}

/// Whether every process of the app sees the files of `version`, byte for byte.
fn intact(site: &Site, version: &str) -> Result<(), Failure> {
    let truth = published(version);
    let program = truth.program().map_err(|error| error.to_string())?;
    for (service, pid) in site.pids()? {
        for (name, bytes) in [(PROGRAM, &program), (BALLAST, &truth.ballast())] {
            let path = format!("/proc/{pid}/root{name}");
            let found = std::fs::read(&path).map_err(|error| format!("{service}: {path}: {error}"))?;
            if found != *bytes {
                return Err(format!("{service} of {version} runs with another {name}: {} bytes", found.len()));
            }
        }
    }
    Ok(())
}

/// Damages what the disk said to have kept: `flips` a bit, or leaves nothing; what it was.
fn lie(containerd: &Path, random: &mut Random, flips: bool) -> Vec<PathBuf> {
    let snapshots = containerd.join("io.containerd.snapshotter.v1.overlayfs/snapshots");
    let layers = std::fs::read_dir(snapshots).into_iter().flatten().flatten().map(|entry| entry.path().join("fs"));
    let files = layers.flat_map(|layer| [PROGRAM, BALLAST].map(|name| layer.join(name.trim_start_matches('/'))));
    let damaged: Vec<PathBuf> = files.filter(|path| path.is_file() && random.chance(500)).collect();
    for path in &damaged {
        let mut bytes = std::fs::read(path).unwrap();
        match bytes.last_mut() {
            Some(byte) if flips => *byte ^= 1,
            _ => bytes.clear(),
        }
        std::fs::write(path, bytes).unwrap();
    }
    // containerd's own id, as a power cut may leave it: then its introspection says so in place of an answer.
    let introspection = containerd.join("io.containerd.grpc.v1.introspection");
    std::fs::create_dir_all(&introspection).unwrap();
    std::fs::write(introspection.join("uuid"), b"").unwrap();
    damaged
}
