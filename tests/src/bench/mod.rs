//! The figures of the node, each against a floor of the same run where there is one.
//!
//! ```text
//! deploy   one container: the node's runtime against a client that makes the four calls and nothing else
//! idle     a real node joined to a real hub, ten containers, nothing to do
//! offline  the same node after a power cut, without the hub, against ten bare starts one after the other
//! ready    one large image: the node's own path, and the unpacking in it, against `ctr image import`
//! cold     one large image through the gate, against HTTPS
//! ```
//!
//! Measurement and floor take turns, so that a noisy neighbour disturbs both; the figure is the ratio of the medians.

mod bare;
mod cold;
mod deploy;
mod desk;
mod figure;
mod https;
mod idle;
mod offline;
pub mod pairs;
mod process;
mod ready;

use std::path::Path;
use std::time::Duration;

pub use figure::{Figure, Goal, json, table};

use crate::demo::{Failure, Site, say};
use crate::image::{Image, build_sample_program, sample_image};

/// How much is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plan {
    /// Turns of [`deploy`].
    pub deploys: usize,
    /// Containers of the idle node.
    pub services: usize,
    /// The idle node is left alone for so long before it is measured.
    pub settle: Duration,
    /// And measured for so long.
    pub idle: Duration,
    /// Turns of [`offline`].
    pub power_cuts: usize,
    /// Turns of [`ready`].
    pub images: usize,
    /// Turns of [`cold`].
    pub pulls: usize,
    /// Bytes of the large image, unpacked.
    pub image_size: usize,
}

impl Plan {
    /// What the figures in the README are made with.
    pub const FULL: Self = Self {
        deploys: 21,
        services: 10,
        settle: Duration::from_secs(30),
        idle: Duration::from_secs(330), // Hub and node compare what they hold every 300 s.
        power_cuts: 3,
        images: 3,
        pulls: 5,
        image_size: 290_000_000,
    };
    /// Everything once, to see that it runs. The figures mean nothing.
    pub const QUICK: Self = Self {
        deploys: 2,
        services: 2,
        settle: Duration::from_secs(1),
        idle: Duration::from_secs(2),
        power_cuts: 1,
        images: 1,
        pulls: 1,
        image_size: 6_000_000,
    };
}

/// A part of the figures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Part {
    /// One container after the other.
    Deploy,
    /// A whole node: idle, and after a reboot.
    Node,
    /// A large image, once its bytes are there.
    Image,
    /// A large image over the link.
    Pull,
}

/// Measures everything, or only one part. Whatever it needs lies below `dir`, which must be on a disk: what is written is
/// counted.
///
/// # Errors
/// The part that failed, and why.
pub async fn run(plan: &Plan, only: Option<Part>, dir: &Path) -> Result<Vec<Figure>, Failure> {
    let wanted = |part| only.is_none_or(|only| only == part);
    let failed = |error: std::io::Error| error.to_string();
    let program = std::fs::read(build_sample_program().map_err(failed)?).map_err(failed)?;
    let sample = sample_image("sample-app:1.0.0", &program).map_err(failed)?;
    let mut figures = Vec::new();
    if wanted(Part::Deploy) {
        say("… deploy");
        figures.push(deploy::measure(plan, &sample, &dir.join("deploy")).await?);
    }
    if wanted(Part::Node) {
        say("… idle");
        let mut site = site(&dir.join("site")).await?;
        let measured = node(plan, &sample, dir, &mut site).await;
        figures.extend(measured.map_err(|failure| format!("{failure}\n{}", site.logs()))?);
    }
    if wanted(Part::Image) {
        say("… image");
        figures.extend(ready::measure(plan, &dir.join("ready")).await?);
    }
    if wanted(Part::Pull) {
        say("… cold pull");
        figures.extend(cold::measure(plan, &dir.join("cold")).await?);
    }
    Ok(figures)
}

async fn site(dir: &Path) -> Result<Site, Failure> {
    std::fs::create_dir_all(dir).map_err(|error| error.to_string())?;
    Site::new(dir).await
}

/// What needs a whole node.
async fn node(plan: &Plan, sample: &Image, dir: &Path, site: &mut Site) -> Result<Vec<Figure>, Failure> {
    let mut figures = idle::measure(plan, sample, site).await?;
    say("… offline start");
    figures.push(offline::measure(plan, sample, &dir.join("offline"), site).await?);
    Ok(figures)
}
