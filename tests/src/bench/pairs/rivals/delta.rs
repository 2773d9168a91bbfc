//! A delta of the whole layer against the layer in the same place of the old image.

use super::job::Job;
use super::report::Measured;
use crate::demo::Failure;

/// The way of balenaEngine: the node sends a signature of what it has, and gets a delta.
pub(super) fn librsync(job: &Job<'_>) -> Result<Measured, Failure> {
    let [signature, delta, out] = ["signature", "delta", "out"].map(|name| job.file(name));
    let [signature, delta, out] = [&signature, &delta, &out].map(|path| path.as_os_str());
    let sign = job.run(&["rdiff".as_ref(), "--block-size=2048".as_ref(), "signature".as_ref(), job.old(), signature])?;
    let encode = job.run(&["rdiff".as_ref(), "delta".as_ref(), signature, job.new(), delta])?;
    let pack = job.print(&["gzip".as_ref(), "-6".as_ref(), "--no-name".as_ref(), "--stdout".as_ref(), delta], "delta.gz")?;
    let packed = job.file("delta.gz");
    let unpack = job.print(&["gzip".as_ref(), "--decompress".as_ref(), "--stdout".as_ref(), packed.as_os_str()], "delta")?;
    let decode = job.run(&["rdiff".as_ref(), "patch".as_ref(), job.old(), delta, out])?;
    job.verify("out")?;
    let parts = [("delta", job.size("delta.gz")?), ("signature", job.size("signature")?)];
    Ok(Measured::new(&parts, encode.then(pack), sign.then(unpack).then(decode)))
}

/// The way of Mender and snapd.
pub(super) fn xdelta3(job: &Job<'_>) -> Result<Measured, Failure> {
    let (delta, out) = (job.file("delta"), job.file("out"));
    let window = ["-B".as_ref(), "536870912".as_ref(), "-f".as_ref(), "-s".as_ref(), job.old()];
    let encode = [&["xdelta3".as_ref(), "-e".as_ref(), "-9".as_ref()], &window[..], &[job.new(), delta.as_os_str()]].concat();
    let encode = job.run(&encode)?;
    let decode = [&["xdelta3".as_ref(), "-d".as_ref()], &window[..], &[delta.as_os_str(), out.as_os_str()]].concat();
    let decode = job.run(&decode)?;
    job.verify("out")?;
    Ok(Measured::new(&[("delta", job.size("delta")?)], encode, decode))
}

/// zstd with the old layer as its dictionary; both sides keep old and new in memory.
pub(super) fn patch_from(job: &Job<'_>) -> Result<Measured, Failure> {
    let (delta, out) = (job.file("delta"), job.file("out"));
    let long = format!("--long={}", window(job.change.tar.bytes + size(job)?));
    let from = format!("--patch-from={}", job.change.old.display());
    let common = ["zstd".as_ref(), "--quiet".as_ref(), "--force".as_ref(), long.as_ref(), from.as_ref()];
    let encode = job.run(&[&common[..], &["-10".as_ref(), job.new(), "-o".as_ref(), delta.as_os_str()]].concat())?;
    let decode = job.run(&[&common[..], &["-d".as_ref(), delta.as_os_str(), "-o".as_ref(), out.as_os_str()]].concat())?;
    job.verify("out")?;
    Ok(Measured::new(&[("delta", job.size("delta")?)], encode, decode))
}

fn size(job: &Job<'_>) -> Result<u64, Failure> {
    super::super::tool::at(&job.change.old, job.change.old.metadata()).map(|metadata| metadata.len())
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
