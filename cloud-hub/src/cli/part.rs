//! Files on their way to a place of the operator's, for example a USB stick.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use super::files::{FileError, give_name};
use crate::fresh_file;

/// Whoever carries it may read it, as far as the umask lets them.
const OPEN: u32 = 0o666;

/// A file on its way. Removed when it does not get its name.
pub(super) struct Part {
    path: PathBuf,
    part: PathBuf,
    file: File,
}

impl Part {
    /// One left by an earlier run is removed.
    pub(super) fn create(path: &Path) -> Result<Self, FileError> {
        let part = path.with_added_extension("part");
        let file = fresh_file::create(&part, OPEN).map_err(|cause| FileError::failed("writing", &part, cause))?;
        Ok(Self { path: path.into(), part, file })
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), FileError> {
        self.file.write_all(bytes).map_err(|cause| FileError::failed("writing", &self.part, cause))
    }

    /// Makes it durable, and gives it its name.
    pub(super) fn finish(self) -> Result<(), FileError> {
        give_name(&self.file, &self.part, &self.path).map_err(|cause| FileError::failed("writing", &self.path, cause))
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        // After it got its name there is none; otherwise it is of no use.
        drop(fs::remove_file(&self.part));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_has_its_name_only_when_it_is_whole() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("site.bundle");
        fs::write(&path, "old").unwrap();
        let mut part = Part::create(&path).unwrap();
        part.write(b"new").unwrap();
        drop(part);
        assert_eq!((fs::read(&path).unwrap(), fs::read_dir(dir.path()).unwrap().count()), (b"old".to_vec(), 1));
        let mut part = Part::create(&path).unwrap();
        part.write(b"new").unwrap();
        part.finish().unwrap();
        assert_eq!((fs::read(&path).unwrap(), fs::read_dir(dir.path()).unwrap().count()), (b"new".to_vec(), 1));
        assert!(Part::create(&dir.path().join("no/such")).is_err());
    }

    #[test]
    fn what_a_stick_has_in_place_of_the_begun_file_is_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let (victim, path) = (dir.path().join("victim"), dir.path().join("x"));
        fs::write(&victim, "known").unwrap();
        std::os::unix::fs::symlink(&victim, dir.path().join("x.part")).unwrap();
        let mut part = Part::create(&path).unwrap();
        part.write(b"new").unwrap();
        part.finish().unwrap();
        assert_eq!(fs::read(&victim).unwrap(), b"known");
        assert!(fs::symlink_metadata(&path).unwrap().is_file());
        assert_eq!(fs::read(&path).unwrap(), b"new");
        fs::write(dir.path().join("x.part"), "of an earlier run").unwrap();
        drop(Part::create(&path).unwrap());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2, "what was begun earlier is not in the way");
    }
}
