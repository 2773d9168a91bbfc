//! One layer for one rival: its files, and the proof that what came out is what went in.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::bench::pairs::about::Change;
use crate::bench::pairs::archive;
use crate::bench::pairs::tool::{Cost, at, measured};
use crate::demo::Failure;

/// A layer that changed, and a directory of its own.
pub(super) struct Job<'a> {
    pub(super) change: &'a Change,
    pub(super) work: &'a Path,
}

impl Job<'_> {
    /// The layer as it was.
    pub(super) fn old(&self) -> &Path {
        &self.change.old
    }

    /// The layer as it becomes.
    pub(super) fn goal(&self) -> &Path {
        &self.change.new
    }

    /// A file of the rival's own.
    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.work.join(name)
    }

    /// Bytes of such a file.
    pub(super) fn size(&self, name: &str) -> Result<u64, Failure> {
        let path = self.file(name);
        at(&path, path.metadata()).map(|metadata| metadata.len())
    }

    /// Runs a program that writes its own files.
    pub(super) fn run(&self, command: &Command) -> Result<Cost, Failure> {
        measured(self.work, command, None)
    }

    /// Runs a program that writes to its standard output, which becomes the file `name`.
    pub(super) fn print(&self, command: &Command, name: &str) -> Result<Cost, Failure> {
        measured(self.work, command, Some(&self.file(name)))
    }

    /// That the file `name` is the new layer, byte for byte.
    pub(super) fn verify(&self, name: &str) -> Result<(), Failure> {
        let path = self.file(name);
        let (_, sha256) = at(&path, archive::digest(&path))?;
        if sha256 == self.change.tar.sha256 {
            return Ok(());
        }
        Err(format!("{} came out as {sha256}, not as {}", self.change.new.display(), self.change.tar.sha256))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::pairs::about::Tar;

    #[test]
    fn only_the_new_layer_will_do() {
        let dir = tempfile::tempdir().expect("directory");
        let [old, new] = ["old", "new"].map(|name| dir.path().join(name));
        std::fs::write(&new, "new").expect("layer");
        let (bytes, sha256) = archive::digest(&new).expect("digest");
        let tar = Tar { file: "new".into(), holds: String::new(), bytes, sha256 };
        let change = Change { old, new, tar };
        let job = Job { change: &change, work: dir.path() };
        assert_eq!(job.verify("new"), Ok(()));
        std::fs::write(job.file("out"), "other").expect("result");
        assert!(job.verify("out").is_err_and(|failure| failure.contains("came out as d9298a10")));
    }
}
