//! The whole layer, compressed: what a registry sends.

use std::process::Command;

use super::job::Job;
use super::report::Measured;
use crate::bench::pairs::tool::tool;
use crate::demo::Failure;

/// What most layers in registries are.
pub(super) fn gzip(job: &Job<'_>) -> Result<Measured, Failure> {
    whole(
        job,
        tool("gzip").args(["-6", "--no-name", "--stdout"]).arg(job.goal()),
        tool("gzip").args(["--decompress", "--stdout"]).arg(job.file("layer")),
    )
}

/// The best that may be expected of a registry.
pub(super) fn zstd(job: &Job<'_>) -> Result<Measured, Failure> {
    whole(
        job,
        tool("zstd").args(["--quiet", "-10", "--stdout"]).arg(job.goal()),
        tool("zstd").args(["--quiet", "--decompress", "--stdout"]).arg(job.file("layer")),
    )
}

fn whole(job: &Job<'_>, pack: &Command, unpack: &Command) -> Result<Measured, Failure> {
    let encode = job.print(pack, "layer")?;
    let decode = job.print(unpack, "out")?;
    job.verify("out")?;
    Ok(Measured::new(&[("layer", job.size("layer")?)], encode, decode))
}
