//! Files that a person carries: written whole, read up to a bound.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::Path;

use shared::fault::{Fault, node};

use super::exit::{Ended, Exit};

/// Writes a file that has its name only when all of it is on the disk.
pub fn write(path: &Path, bytes: &[u8]) -> Result<(), Ended> {
    let part = path.with_added_extension("part");
    let written = || -> io::Result<()> {
        let mut file = File::create(&part)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&part, path)?;
        File::open(path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new(".")))?.sync_all()
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
