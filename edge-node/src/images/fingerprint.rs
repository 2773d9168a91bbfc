//! What a directory tree holds, in two sums: its shape and its content.
//!
//! An unpacked layer never changes, so the fingerprint that was taken when it was unpacked says for ever what it must be.
//! The shape (names, kinds, modes, owners, sizes, links) takes one look at each file and finds what a power cut leaves of
//! files that were not on disk yet: nothing, or files without bytes. The content takes reading all of it.
//!
//! Each entry is hashed by itself and the hashes are added, so that neither order nor memory matters. This finds accidents;
//! it is no proof against somebody who can write to the directory.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::str::FromStr;

use rustix::fs::{
    Advice, AtFlags, CWD, Dir, FileType, Mode, OFlags, Stat, fadvise, fgetxattr, flistxattr, openat, readlinkat, statat,
};
use rustix::io::Errno;
use shared::rot::is_rot;

use super::extract::{DEPTH_MAX, ENTRIES_MAX};
use super::stop::Stop;

const DIRECTORY: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);
const FILE: OFlags = OFlags::RDONLY.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);
/// Bytes read at once.
const BUFFER: usize = 256 << 10;
/// Room for the names, and for the value, of the extended attributes of one file: the kernel's own limits.
const ATTRIBUTE_MAX: usize = 64 << 10;

/// A sum over all entries of a tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sum(u128);

/// What a tree holds. As text: `v1 <shape> <content>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint {
    /// Names, kinds, modes, owners, sizes, links.
    pub shape: Sum,
    /// The bytes of files, and extended attributes.
    pub content: Sum,
}

impl Fingerprint {
    /// Reads the whole tree below `dir`.
    pub fn of(dir: &Path, stop: &Stop) -> io::Result<Self> {
        walk(dir, Some(Reading::new(false)), stop)
    }

    /// As [`of`](Self::of), and does not fill the page cache with what nobody else asked for.
    pub fn of_quietly(dir: &Path, stop: &Stop) -> io::Result<Self> {
        walk(dir, Some(Reading::new(true)), stop)
    }

    /// The shape of the tree below `dir`, without reading files.
    pub fn shape(dir: &Path, stop: &Stop) -> io::Result<Sum> {
        walk(dir, None, stop).map(|found| found.shape)
    }
}

/// Whether the error says that the disk does not have any more what it should have.
pub fn is_damage(error: &io::Error) -> bool {
    is_rot(error) || matches!(Errno::from_io_error(error), Some(Errno::NOENT | Errno::NOTDIR))
}

impl Sum {
    fn add(&mut self, hasher: &blake3::Hasher) {
        let hash = hasher.finalize();
        let first = hash.as_bytes().first_chunk().copied().unwrap_or_default();
        self.0 = self.0.wrapping_add(u128::from_le_bytes(first));
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "v1 {:032x} {:032x}", self.shape.0, self.content.0)
    }
}

impl FromStr for Fingerprint {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let sum = |text: Option<&str>| u128::from_str_radix(text.ok_or(())?, 16).map(Sum).map_err(|_| ());
        let mut words = text.split(' ');
        match words.next() {
            Some("v1") => Ok(Self { shape: sum(words.next())?, content: sum(words.next())? }),
            _ => Err(()),
        }
    }
}

/// How files are read.
struct Reading {
    forget: bool,
    buffer: Vec<u8>,
    /// Files with several names, by inode: read once.
    known: BTreeMap<u64, blake3::Hash>,
}

impl Reading {
    fn new(forget: bool) -> Self {
        Self { forget, buffer: vec![0; BUFFER], known: BTreeMap::new() }
    }
}

struct Walk<'a> {
    found: Fingerprint,
    reading: Option<Reading>,
    entries: u32,
    stop: &'a Stop,
}

fn walk(dir: &Path, reading: Option<Reading>, stop: &Stop) -> io::Result<Fingerprint> {
    let root = openat(CWD, dir, DIRECTORY, Mode::empty())?;
    let found = Fingerprint { shape: Sum::default(), content: Sum::default() };
    let mut walk = Walk { found, reading, entries: 0, stop };
    walk.directory(&root, &mut Vec::new(), 2 * DEPTH_MAX)?;
    Ok(walk.found)
}

impl Walk<'_> {
    /// `path` is that of the directory, and is left as it was.
    fn directory(&mut self, directory: &OwnedFd, path: &mut Vec<u8>, depth: usize) -> io::Result<()> {
        let depth = depth.checked_sub(1).ok_or(Errno::LOOP)?;
        for entry in Dir::read_from(directory)? {
            let entry = entry?;
            let name = entry.file_name().to_bytes();
            if matches!(name, b"." | b"..") {
                continue;
            }
            let length = path.len();
            path.push(b'/');
            path.extend_from_slice(name);
            self.entry(directory, name, path, depth)?;
            path.truncate(length);
        }
        Ok(())
    }

    fn entry(&mut self, parent: &OwnedFd, name: &[u8], path: &mut Vec<u8>, depth: usize) -> io::Result<()> {
        self.entries += 1;
        if self.stop.is_asked() || self.entries > 2 * ENTRIES_MAX {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let stat = statat(parent, name, AtFlags::SYMLINK_NOFOLLOW)?;
        let kind = FileType::from_raw_mode(stat.st_mode);
        let link = if kind == FileType::Symlink { readlinkat(parent, name, Vec::new())?.into_bytes() } else { Vec::new() };
        self.found.shape.add(&shape(path, &stat, kind, &link));
        if kind == FileType::Directory {
            let child = openat(parent, name, DIRECTORY, Mode::empty())?;
            self.content(&child, path, None)?;
            self.directory(&child, path, depth)?;
        } else if kind == FileType::RegularFile && self.reading.is_some() {
            self.content(&openat(parent, name, FILE, Mode::empty())?, path, Some(&stat))?;
        }
        Ok(())
    }

    /// Adds the attributes of `fd`, and its bytes when it is a file.
    fn content(&mut self, fd: &OwnedFd, path: &[u8], file: Option<&Stat>) -> io::Result<()> {
        let Some(reading) = &mut self.reading else { return Ok(()) };
        let mut hasher = begin(path);
        if let Some(stat) = file {
            hasher.update(reading.bytes(fd, stat, self.stop)?.as_bytes());
        }
        attributes(fd, &mut hasher)?;
        self.found.content.add(&hasher);
        Ok(())
    }
}

impl Reading {
    fn bytes(&mut self, fd: &OwnedFd, stat: &Stat, stop: &Stop) -> io::Result<blake3::Hash> {
        if let Some(known) = self.known.get(&stat.st_ino) {
            return Ok(*known);
        }
        let mut hasher = blake3::Hasher::new();
        loop {
            let n = match rustix::io::read(fd, self.buffer.as_mut_slice()) {
                Err(Errno::INTR) => continue,
                read => read?,
            };
            if stop.is_asked() {
                return Err(io::ErrorKind::Interrupted.into());
            }
            match self.buffer.get(..n) {
                Some(bytes) if n > 0 => _ = hasher.update(bytes),
                _ => break,
            }
        }
        if self.forget {
            fadvise(fd, 0, None, Advice::DontNeed)?;
        }
        let hash = hasher.finalize();
        if stat.st_nlink > 1 {
            self.known.insert(stat.st_ino, hash);
        }
        Ok(hash)
    }
}

/// A hasher that knows which entry it is about.
fn begin(path: &[u8]) -> blake3::Hasher {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&(path.len() as u64).to_le_bytes()).update(path);
    hasher
}

fn shape(path: &[u8], stat: &Stat, kind: FileType, link: &[u8]) -> blake3::Hasher {
    // The size of a directory is the file system's own business.
    let size = if kind == FileType::Directory { 0 } else { stat.st_size.cast_unsigned() };
    let mut hasher = begin(path);
    for number in [u64::from(stat.st_mode), stat.st_uid.into(), stat.st_gid.into(), size, stat.st_rdev] {
        hasher.update(&number.to_le_bytes());
    }
    hasher.update(link);
    hasher
}

/// Names and values, in the order of the names.
fn attributes(fd: &OwnedFd, hasher: &mut blake3::Hasher) -> io::Result<()> {
    let mut names = vec![0; ATTRIBUTE_MAX];
    let length = match flistxattr(fd, names.as_mut_slice()) {
        Ok(0) | Err(Errno::OPNOTSUPP) => return Ok(()),
        listed => listed?,
    };
    let mut value = vec![0; ATTRIBUTE_MAX];
    let mut sorted: Vec<&[u8]> = names.get(..length).unwrap_or_default().split(|byte| *byte == 0).collect();
    sorted.sort_unstable();
    for name in sorted.into_iter().filter(|name| !name.is_empty()) {
        let length = fgetxattr(fd, name, value.as_mut_slice())?;
        hasher.update(&(name.len() as u64).to_le_bytes()).update(name);
        hasher.update(&(length as u64).to_le_bytes()).update(value.get(..length).unwrap_or_default());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    fn tree(dir: &Path) {
        fs::create_dir_all(dir.join("etc/empty")).unwrap();
        fs::write(dir.join("etc/a"), b"a").unwrap();
        fs::write(dir.join("b"), vec![7; BUFFER + 1]).unwrap();
        fs::hard_link(dir.join("b"), dir.join("etc/b")).unwrap();
        symlink("../b", dir.join("etc/link")).unwrap();
    }

    #[test]
    fn every_change_shows_in_its_sum() {
        let first = tempfile::tempdir().unwrap();
        tree(first.path());
        let stop = Stop::default();
        let was = Fingerprint::of(first.path(), &stop).unwrap();
        assert_eq!(was.to_string().parse(), Ok(was));
        assert_eq!(Fingerprint::of_quietly(first.path(), &stop).unwrap(), was);
        assert_eq!(Fingerprint::shape(first.path(), &stop).unwrap(), was.shape);
        type Change<'a> = (bool, &'a dyn Fn(&Path));
        let changes: [Change<'_>; 6] = [
            (true, &|dir| fs::write(dir.join("etc/a"), b"").unwrap()),
            (true, &|dir| fs::remove_dir(dir.join("etc/empty")).unwrap()),
            (true, &|dir| fs::set_permissions(dir.join("b"), fs::Permissions::from_mode(0o4755)).unwrap()),
            (true, &|dir| {
                fs::remove_file(dir.join("etc/link")).unwrap();
                symlink("../c", dir.join("etc/link")).unwrap();
            }),
            (false, &|dir| fs::write(dir.join("etc/a"), b"b").unwrap()),
            (false, &|dir| {
                let mut bytes = vec![7; BUFFER + 1];
                bytes[BUFFER] = 8;
                fs::write(dir.join("b"), bytes).unwrap();
            }),
        ];
        for (n, (in_shape, change)) in changes.iter().enumerate() {
            let dir = tempfile::tempdir().unwrap();
            tree(dir.path());
            assert_eq!(Fingerprint::of(dir.path(), &stop).unwrap(), was, "wherever the tree is");
            change(dir.path());
            let is = Fingerprint::of(dir.path(), &stop).unwrap();
            assert_eq!((is.shape != was.shape, is == was), (*in_shape, false), "change {n}");
        }
        assert!(is_damage(&Fingerprint::of(&first.path().join("gone"), &stop).unwrap_err()));
        stop.now();
        assert!(!is_damage(&Fingerprint::of(first.path(), &stop).unwrap_err()));
    }

    #[test]
    fn the_text_stays_as_it_is() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("a"), b"a").unwrap();
        fs::set_permissions(dir.path().join("a"), fs::Permissions::from_mode(0o644)).unwrap();
        std::os::unix::fs::chown(dir.path().join("a"), Some(0), Some(0)).unwrap();
        let found = Fingerprint::of(dir.path(), &Stop::default()).unwrap();
        assert_eq!(found.to_string(), "v1 c7b2e755e63e19c82a688f4a2e5d624b c080a3122330d867a16c1d47a426bbdf");
        assert_eq!("v2 0 0".parse::<Fingerprint>(), Err(()));
    }
}
