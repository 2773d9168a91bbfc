//! Removing what is in the way of an entry, with everything in it; symlinks are removed, not followed.

use std::os::fd::OwnedFd;

use rustix::fs::{AtFlags, Dir, unlinkat};
use rustix::io::Errno;

use super::super::DEPTH_MAX;
use super::open_child;

/// Removes `name` and what is in it.
pub(super) fn remove(parent: &OwnedFd, name: &[u8]) -> Result<(), Errno> {
    tree(parent, name, 2 * DEPTH_MAX)
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
