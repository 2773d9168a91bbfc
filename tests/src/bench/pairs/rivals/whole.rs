//! The whole layer, compressed: what a registry sends.

use super::job::Job;
use super::report::Measured;
use crate::demo::Failure;

/// What most layers in registries are.
pub(super) fn gzip(job: &Job<'_>) -> Result<Measured, Failure> {
    let encode = job.print(&["gzip".as_ref(), "-6".as_ref(), "--no-name".as_ref(), "--stdout".as_ref(), job.new()], "gz")?;
    let decode =
        job.print(&["gzip".as_ref(), "--decompress".as_ref(), "--stdout".as_ref(), job.file("gz").as_os_str()], "out")?;
    job.verify("out")?;
    Ok(Measured::new(&[("layer", job.size("gz")?)], encode, decode))
}

/// The best that may be expected of a registry.
pub(super) fn zstd(job: &Job<'_>) -> Result<Measured, Failure> {
    let encode = job.print(&["zstd".as_ref(), "--quiet".as_ref(), "-10".as_ref(), "--stdout".as_ref(), job.new()], "zst")?;
    let decode = job.print(&["zstd".as_ref(), "--quiet".as_ref(), "-dc".as_ref(), job.file("zst").as_os_str()], "out")?;
    job.verify("out")?;
    Ok(Measured::new(&[("layer", job.size("zst")?)], encode, decode))
}
