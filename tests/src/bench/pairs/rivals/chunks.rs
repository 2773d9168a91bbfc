//! Content-defined chunks of 64 KiB on average: what casync, and desync after it, would send.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::job::Job;
use super::report::Measured;
use crate::bench::pairs::tool::{Cost, at, tool};
use crate::bench::process::Used;
use crate::demo::Failure;

/// The level at which the other rivals use zstd.
const LEVEL: i32 = 10;

/// The index of the new layer, and the chunks that the old one does not have, as casync itself compresses them.
pub(super) fn casync(job: &Job<'_>) -> Result<Measured, Failure> {
    exchange(job).map(|(measured, _)| measured)
}

/// The same chunks at a higher level than casync's own.
pub(super) fn casync_zstd(job: &Job<'_>) -> Result<Measured, Failure> {
    let (measured, missing) = exchange(job)?;
    let mine = || Used::by(std::process::id()).map(|used| used.cpu.as_secs_f64());
    let (before, mut bytes) = (mine()?, 0);
    for path in missing {
        let packed = at(&path, std::fs::read(&path))?;
        let plain = at(&path, zstd::stream::decode_all(packed.as_slice()))?;
        let packed = at(&path, zstd::stream::encode_all(plain.as_slice(), LEVEL))?;
        if at(&path, zstd::stream::decode_all(packed.as_slice()))? != plain {
            return Err(format!("{} came out as something else", path.display()));
        }
        bytes += packed.len() as u64;
    }
    let encode = Cost { cpu_s: mine()? - before, peak_rss_mb: 0.0 };
    let index = measured.parts.get("index").copied().unwrap_or(0);
    Ok(Measured::new(&[("chunks", bytes), ("index", index)], measured.encode.then(encode), measured.decode))
}

/// What is exchanged, and the files of the missing chunks.
fn exchange(job: &Job<'_>) -> Result<(Measured, Vec<PathBuf>), Failure> {
    let [old, new] = ["old.castr", "new.castr"].map(|name| job.file(name));
    chop(job, &old, "old.caibx", job.old())?;
    let encode = chop(job, &new, "new.caibx", job.goal())?;
    let (held, all) = (chunks(&old)?, chunks(&new)?);
    let mut missing = Vec::new();
    let mut bytes = 0;
    for (name, path) in all {
        if held.contains_key(&name) {
            at(&path, std::fs::remove_file(&path))?;
        } else {
            bytes += at(&path, path.metadata())?.len();
            missing.push(path);
        }
    }
    let stores = [format!("--store={}", new.display()), format!("--extra-store={}", old.display())];
    let decode = job.run(tool("casync").arg("extract").args(stores).args([job.file("new.caibx"), job.file("out")]))?;
    job.verify("out")?;
    Ok((Measured::new(&[("chunks", bytes), ("index", job.size("new.caibx")?)], encode, decode), missing))
}

fn chop(job: &Job<'_>, store: &Path, index: &str, tar: &Path) -> Result<Cost, Failure> {
    let store = format!("--store={}", store.display());
    job.run(tool("casync").args(["make", &store, "--chunk-size=65536"]).args([&job.file(index), tar]))
}

/// The chunks of a store by name: `<store>/<four digits>/<digest>.cacnk`.
fn chunks(store: &Path) -> Result<BTreeMap<OsString, PathBuf>, Failure> {
    let mut found = BTreeMap::new();
    for group in at(store, std::fs::read_dir(store))? {
        let group = at(store, group)?.path();
        for chunk in at(&group, std::fs::read_dir(&group))? {
            let chunk = at(&group, chunk)?;
            found.insert(chunk.file_name(), chunk.path());
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_are_found_by_name() {
        let dir = tempfile::tempdir().expect("directory");
        for name in ["00aa/00aa1.cacnk", "00aa/00aa2.cacnk", "ffff/ffff1.cacnk"] {
            std::fs::create_dir_all(dir.path().join(&name[..4])).expect("group");
            std::fs::write(dir.path().join(name), "x").expect("chunk");
        }
        let names: Vec<_> = chunks(dir.path()).expect("chunks").into_keys().collect();
        assert_eq!(names, ["00aa1.cacnk", "00aa2.cacnk", "ffff1.cacnk"]);
    }
}
