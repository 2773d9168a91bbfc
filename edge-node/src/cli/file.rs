//! Files that a person carries: written whole, read up to a bound.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::Path;

use shared::fault::{Fault, node};

use super::exit::{Ended, Exit};
use crate::private_file;

/// Writes a file that has its name only when all of it is on the disk.
pub fn write(path: &Path, bytes: &[u8]) -> Result<(), Ended> {
    let part = path.with_added_extension("part");
    let written = || -> io::Result<()> {
        // A hostile stick may have a link there: what it names must not be opened, least of all by root.
        private_file::absent(fs::remove_file(&part))?;
        let mut file = File::create_new(&part)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&part, path)?;
        private_file::sync_parent(path)
    };
    written().map_err(|cause| {
        // What was begun is of no use; that it may not even exist does not matter.
        drop(fs::remove_file(&part));
        failed("writing", path, &cause)
    })
}

/// Reads a file of at most `max` bytes.
pub fn read(path: &Path, max: u64) -> Result<Vec<u8>, Ended> {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(max + 1).read_to_end(&mut bytes));
    read.map_err(|cause| failed("reading", path, &cause))?;
    if bytes.len() as u64 > max {
        let fault = Fault::new(&node::FILE_TOO_LARGE).with("path", path.display()).with("max", max);
        return Err(Ended::failed(Exit::Error, fault));
    }
    Ok(bytes)
}

fn failed(doing: &str, path: &Path, cause: &io::Error) -> Ended {
    let fault = Fault::new(&node::FILE_FAILED).with("doing", doing).with("path", path.display());
    Ended::failed(Exit::Error, fault.with("cause", cause))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn what_a_stick_has_in_place_of_the_begun_file_is_not_followed() {
        let dir = tempfile::tempdir().expect("dir");
        let (victim, path) = (dir.path().join("victim"), dir.path().join("x"));
        fs::write(&victim, "known").expect("victim");
        symlink(&victim, dir.path().join("x.part")).expect("link");
        write(&path, b"new").expect("written");
        assert_eq!(fs::read(&victim).expect("victim"), b"known");
        assert!(fs::symlink_metadata(&path).expect("file").is_file());
        assert_eq!((fs::read(&path).expect("file"), fs::read_dir(dir.path()).expect("dir").count()), (b"new".to_vec(), 2));
        fs::write(dir.path().join("x.part"), "of an earlier run, longer").expect("begun");
        write(&path, b"newer").expect("written over what was begun");
        assert_eq!(fs::read(&path).expect("file"), b"newer");
        assert!(write(&dir.path().join("no/such"), b"").is_err());
    }
}
