//! How much disk the files below a directory take.
//!
//! Volumes belong to apps, which may be hostile and write while they are measured: below the directory nothing is followed,
//! not even a link that takes a directory's place at the last moment; no other file system is entered; and the number of
//! files is bounded.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, ResolveFlags, Stat, fstat, openat, openat2, statat};
use rustix::io::Errno;

use crate::images::stop::Stop;

/// Most files and directories of one walk.
pub const FILES_MAX: usize = 200_000;

const OPEN: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// Counts through several directories, within one bound.
#[derive(Debug)]
pub struct Walk {
    left: usize,
    is_complete: bool,
    /// Files with several names that were counted, by file system and number.
    counted: BTreeSet<(u64, u64)>,
    stop: Stop,
}

impl Walk {
    /// A walk that ends when `stop` is asked.
    pub fn new(stop: Stop) -> Self {
        Self { left: FILES_MAX, is_complete: true, counted: BTreeSet::new(), stop }
    }

    /// Whether everything below all the directories was counted.
    pub const fn is_complete(&self) -> bool {
        self.is_complete
    }

    /// Bytes of the disk that `dir` takes, with everything below; 0 when it is not there.
    pub fn below(&mut self, dir: &Path) -> u64 {
        let root = match openat(CWD, dir, OPEN, Mode::empty()) {
            Ok(root) => root,
            Err(errno) => return self.missed(errno),
        };
        let mut bytes = fstat(&root).map_or(0, |stat| taken(&stat));
        let mut waiting = vec![PathBuf::from(".")];
        while let Some(path) = waiting.pop() {
            let more = self.directory(&root, &path, &mut waiting).unwrap_or_else(|errno| self.missed(errno));
            bytes = bytes.saturating_add(more);
        }
        bytes
    }

    /// What lies in one directory; directories in it wait.
    fn directory(&mut self, root: &OwnedFd, path: &Path, waiting: &mut Vec<PathBuf>) -> Result<u64, Errno> {
        let within = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_XDEV;
        let dir = openat2(root, path, OPEN, Mode::empty(), within)?;
        let mut bytes: u64 = 0;
        for entry in Dir::read_from(&dir)? {
            let entry = entry?;
            let name = entry.file_name();
            if matches!(name.to_bytes(), b"." | b"..") {
                continue;
            }
            if self.left == 0 || self.stop.is_asked() {
                self.is_complete = false;
                waiting.clear();
                return Ok(bytes);
            }
            self.left -= 1;
            match statat(&dir, name, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(stat) => {
                    let is_directory = FileType::from_raw_mode(stat.st_mode) == FileType::Directory;
                    if is_directory {
                        waiting.push(path.join(OsStr::from_bytes(name.to_bytes())));
                    } else if stat.st_nlink > 1 && !self.counted.insert((stat.st_dev, stat.st_ino)) {
                        continue;
                    }
                    bytes = bytes.saturating_add(taken(&stat));
                }
                Err(errno) => _ = self.missed(errno),
            }
        }
        Ok(bytes)
    }

    /// What is gone, is a link now or lies on another file system is not there; all else was missed.
    fn missed(&mut self, errno: Errno) -> u64 {
        self.is_complete &= matches!(errno, Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::XDEV);
        0
    }
}

/// Blocks are of 512 bytes, whatever the file system's are (stat(2)).
fn taken(stat: &Stat) -> u64 {
    u64::try_from(stat.st_blocks).unwrap_or_default().saturating_mul(512)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{MetadataExt, symlink};

    use super::*;

    #[test]
    fn blocks_count_once_and_nothing_is_followed() {
        let dir = tempfile::tempdir().unwrap();
        let (inside, outside) = (dir.path().join("in"), dir.path().join("out"));
        fs::create_dir_all(inside.join("a/b")).unwrap();
        fs::create_dir(&outside).unwrap();
        let noise: Vec<u8> = (0..1_000_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
        fs::write(inside.join("a/b/file"), &noise).unwrap();
        fs::hard_link(inside.join("a/b/file"), inside.join("again")).unwrap();
        fs::write(outside.join("large"), &noise).unwrap();
        symlink(&outside, inside.join("a/link")).unwrap();
        let sparse = fs::File::create(inside.join("sparse")).unwrap();
        sparse.set_len(1 << 40).unwrap();

        let mut walk = Walk::new(Stop::default());
        let bytes = walk.below(&inside);
        let file = fs::metadata(inside.join("again")).unwrap().blocks() * 512;
        assert!((file..file + 100_000).contains(&bytes), "{bytes} of a file of {file}");
        assert!(walk.is_complete());
        assert_eq!(walk.below(&inside.join("nowhere")), 0);
        assert!(walk.is_complete());
    }

    #[test]
    fn a_walk_has_an_end() {
        let dir = tempfile::tempdir().unwrap();
        for n in 0..50 {
            fs::create_dir_all(dir.path().join(format!("d{n}/e/f"))).unwrap();
        }
        let mut short = Walk { left: 20, ..Walk::new(Stop::default()) };
        short.below(dir.path());
        assert!(!short.is_complete() && short.left == 0);
        let stop = Stop::default();
        stop.now();
        let mut stopped = Walk::new(stop);
        stopped.below(dir.path());
        assert!(!stopped.is_complete() && stopped.left == FILES_MAX);
    }
}
