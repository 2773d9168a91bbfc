//! The layers below: what a directory that the layer did not name itself looks like.
//!
//! A tar may hold `etc/app.conf` without `etc/`. In the upper directory `etc` must be made, and overlayfs then shows
//! *its* owner and mode for the merged directory. So it takes those of the directory it covers, as containerd does.

use std::os::fd::OwnedFd;
use std::path::PathBuf;

use rustix::fs::{
    AtFlags, CWD, FileType, Gid, Mode, Stat, Uid, XattrFlags, fchmod, fchown, fgetxattr, flistxattr, fsetxattr, fstat, futimens,
    openat, openat2, statat,
};
use rustix::io::Errno;

use super::super::Why;
use super::super::error::failed;
use super::{DIRECTORY, INSIDE, join, split, times_of};

/// Room for the names, and for the value, of the extended attributes of one directory: the kernel's own limits.
const ATTRIBUTE_MAX: usize = 64 << 10;

/// The directories of the layers below, topmost first.
pub(super) struct Below(Vec<OwnedFd>);

impl Below {
    pub(super) fn open(paths: &[PathBuf]) -> Result<Self, Why> {
        let open = |path: &PathBuf| {
            openat(CWD, path, DIRECTORY, Mode::empty()).map_err(failed("opening", path.as_os_str().as_encoded_bytes()))
        };
        paths.iter().map(open).collect::<Result<_, _>>().map(Self)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Gives `made` owner, mode, attributes and times of the directory at `path` below, if there is one.
    pub(super) fn lend(&self, path: &[u8], made: &OwnedFd) -> Result<(), Errno> {
        let found = self.0.iter().find_map(|layer| look(layer, path).transpose());
        let Some(stat_and_fd) = found.transpose()? else { return Ok(()) };
        let (stat, Some(covered)) = stat_and_fd else { return Ok(()) }; // something else covers it: a new directory
        fchown(made, Some(Uid::from_raw(stat.st_uid)), Some(Gid::from_raw(stat.st_gid)))?;
        copy_attributes(&covered, made)?;
        fchmod(made, Mode::from_raw_mode(stat.st_mode))?;
        futimens(made, &times_of(&stat))
    }
}

/// What one layer has at `path`: nothing, a directory (opened), or something else.
fn look(layer: &OwnedFd, path: &[u8]) -> Result<Option<(Stat, Option<OwnedFd>)>, Errno> {
    let (above, name) = split(path);
    let above = join(b".", above);
    let parent = match openat2(layer, above, DIRECTORY, Mode::empty(), INSIDE) {
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => return Ok(None),
        opened => opened?,
    };
    let stat = match statat(&parent, name, AtFlags::SYMLINK_NOFOLLOW) {
        Err(Errno::NOENT) => return Ok(None),
        stat => stat?,
    };
    if FileType::from_raw_mode(stat.st_mode) != FileType::Directory {
        return Ok(Some((stat, None)));
    }
    let directory = super::open_child(&parent, name)?;
    Ok(Some((fstat(&directory)?, Some(directory))))
}

/// Everything but `trusted.*`, which is overlayfs' own.
fn copy_attributes(from: &OwnedFd, to: &OwnedFd) -> Result<(), Errno> {
    let mut names = vec![0; ATTRIBUTE_MAX];
    let length = match flistxattr(from, names.as_mut_slice()) {
        Err(Errno::OPNOTSUPP) => return Ok(()),
        listed => listed?,
    };
    let mut value = vec![0; ATTRIBUTE_MAX];
    for name in names.get(..length).unwrap_or_default().split(|byte| *byte == 0) {
        if name.is_empty() || name.starts_with(b"trusted.") {
            continue;
        }
        let length = fgetxattr(from, name, value.as_mut_slice())?;
        fsetxattr(to, name, value.get(..length).unwrap_or_default(), XattrFlags::empty())?;
    }
    Ok(())
}
