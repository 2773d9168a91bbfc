//! A delta of the whole layer against the layer in the same place of the old image.

use super::job::Job;
use super::report::Measured;
use crate::bench::pairs::tool::{at, tool};
use crate::demo::Failure;

/// The way of balenaEngine: the node sends a signature of what it has, and gets a delta.
pub(super) fn librsync(job: &Job<'_>) -> Result<Measured, Failure> {
    let [signature, delta, packed, out] = ["signature", "delta", "delta.gz", "out"].map(|name| job.file(name));
    let sign = job.run(tool("rdiff").args(["--block-size=2048", "signature"]).args([job.old(), &signature]))?;
    let encode = job.run(tool("rdiff").arg("delta").args([&signature, job.goal(), &delta]))?;
    let pack = job.print(tool("gzip").args(["-6", "--no-name", "--stdout"]).arg(&delta), "delta.gz")?;
    let unpack = job.print(tool("gzip").args(["--decompress", "--stdout"]).arg(&packed), "delta")?;
    let decode = job.run(tool("rdiff").arg("patch").args([job.old(), &delta, &out]))?;
    job.verify("out")?;
    let parts = [("delta", job.size("delta.gz")?), ("signature", job.size("signature")?)];
    Ok(Measured::new(&parts, encode.then(pack), sign.then(unpack).then(decode)))
}

/// The way of Mender and snapd.
pub(super) fn xdelta3(job: &Job<'_>) -> Result<Measured, Failure> {
    let (delta, out) = (job.file("delta"), job.file("out"));
    let window = ["-B", "536870912", "-f", "-s"];
    let encode = job.run(tool("xdelta3").args(["-e", "-9"]).args(window).args([job.old(), job.goal(), &delta]))?;
    let decode = job.run(tool("xdelta3").arg("-d").args(window).args([job.old(), &delta, &out]))?;
    job.verify("out")?;
    Ok(Measured::new(&[("delta", job.size("delta")?)], encode, decode))
}

/// zstd with the old layer as its dictionary; both sides keep old and new in memory.
pub(super) fn patch_from(job: &Job<'_>) -> Result<Measured, Failure> {
    against_old(job, &["-10"])
}

/// The same with search tables that reach over a whole layer: those of its levels are made for less.
pub(super) fn patch_from_wide(job: &Job<'_>) -> Result<Measured, Failure> {
    against_old(job, &["-10", "--zstd=hlog=26,clog=26"])
}

fn against_old(job: &Job<'_>, level: &[&str]) -> Result<Measured, Failure> {
    let (delta, out) = (job.file("delta"), job.file("out"));
    let old = at(job.old(), job.old().metadata())?.len();
    let long = format!("--long={}", window(old + job.change.tar.bytes));
    let from = format!("--patch-from={}", job.old().display());
    let common = ["--quiet", "--force", &long, &from];
    let encode = job.run(tool("zstd").args(common).args(level).arg(job.goal()).arg("-o").arg(&delta))?;
    let decode = job.run(tool("zstd").args(common).arg("--decompress").arg(&delta).arg("-o").arg(&out))?;
    job.verify("out")?;
    Ok(Measured::new(&[("delta", job.size("delta")?)], encode, decode))
}

/// The least window, as a power of two, that reaches over `bytes`; between what `--long` means and what zstd can.
fn window(bytes: u64) -> u32 {
    bytes.max(1).next_power_of_two().ilog2().clamp(27, 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_reaches_over_both_layers() {
        let expected = [(0, 27), (1 << 27, 27), ((1 << 27) + 1, 28), (700_000_000, 30), (1 << 40, 31)];
        assert_eq!(expected.map(|(bytes, _)| (bytes, window(bytes))), expected);
    }
}
