//! Removing what is in the way of an entry, with everything in it; symlinks are removed, not followed.

use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{AtFlags, CWD, Dir, Mode, mkdir, openat, unlinkat};
use rustix::io::Errno;

use super::super::error::failed;
use super::super::{DEPTH_MAX, Why};
use super::{DIRECTORY, open_child};

/// Removes `name` and what is in it.
pub(super) fn remove(parent: &OwnedFd, name: &[u8]) -> Result<(), Errno> {
    tree(parent, name, 2 * DEPTH_MAX)
}

/// Makes `dir` an empty directory.
pub(in super::super) fn clear(dir: &Path) -> Result<(), Why> {
    let path = dir.as_os_str().as_encoded_bytes();
    match mkdir(dir, Mode::from_raw_mode(0o755)) {
        Err(Errno::EXIST) => {}
        made => return made.map_err(failed("making", path)),
    }
    let all = || {
        let root = openat(CWD, dir, DIRECTORY, Mode::empty())?;
        for entry in Dir::read_from(&root)? {
            let entry = entry?;
            if !matches!(entry.file_name().to_bytes(), b"." | b"..") {
                remove(&root, entry.file_name().to_bytes())?;
            }
        }
        Ok(())
    };
    all().map_err(failed("removing", path))
}

/// `depth` bounds the recursion; entries lie at most [`DEPTH_MAX`] deep, by way of symlinks a little deeper.
fn tree(parent: &OwnedFd, name: &[u8], depth: usize) -> Result<(), Errno> {
    match unlinkat(parent, name, AtFlags::empty()) {
        Err(Errno::ISDIR) => {}
        removed => return removed,
    }
    let Some(depth) = depth.checked_sub(1) else { return Err(Errno::LOOP) };
    let directory = open_child(parent, name)?;
    for entry in Dir::read_from(&directory)? {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if !matches!(name, b"." | b"..") {
            tree(&directory, name, depth)?;
        }
    }
    unlinkat(parent, name, AtFlags::REMOVEDIR)
}
