//! One layer for one rival: its files, and the proof that what came out is what went in.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use super::super::about::Change;
use super::super::archive;
use super::super::tool::{Cost, at, measured};
use crate::demo::Failure;

/// A layer that changed, and a directory of its own.
pub(super) struct Job<'a> {
    pub(super) change: &'a Change,
    pub(super) work: &'a Path,
}

impl Job<'_> {
    /// The layer as it was.
    pub(super) fn old(&self) -> &OsStr {
        self.change.old.as_os_str()
    }

    /// The layer as it becomes.
    pub(super) fn new(&self) -> &OsStr {
        self.change.new.as_os_str()
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
    pub(super) fn run<A: AsRef<OsStr>>(&self, argv: &[A]) -> Result<Cost, Failure> {
        measured(self.work, &argv.iter().map(AsRef::as_ref).collect::<Vec<_>>(), None)
    }

    /// Runs a program that writes to its standard output, which becomes the file `name`.
    pub(super) fn print<A: AsRef<OsStr>>(&self, argv: &[A], name: &str) -> Result<Cost, Failure> {
        measured(self.work, &argv.iter().map(AsRef::as_ref).collect::<Vec<_>>(), Some(&self.file(name)))
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
