//! Layer tars as containerd's differ writes them, byte for byte.
//!
//! Directories before what is in them, names sorted; PAX with a record only where a field is too small; times in whole
//! seconds; owner 0 by number, without names; a second name of a file is a hard link to the first. Devices, pipes and
//! sockets are left out: a base image carries none, and mmdebstrap makes some for its own use.
//! Rules: `archive/tar.go` of containerd and `archive/tar/writer.go` of Go.

use std::collections::BTreeMap;
use std::fs::{File, Metadata};
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

/// Which times the entries get.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Times {
    /// Those of the files.
    Kept,
    /// All this one, in seconds since 1970: what a build that copies or compiles everything leaves.
    All(u64),
}

const BLOCK: usize = 512;
/// The file it describes is followed by zeros up to a whole block.
const ZEROS: [u8; BLOCK] = [0; BLOCK];

/// The kind of an entry that holds records of the next one. Go leaves its device numbers empty.
const RECORDS: u8 = b'x';

/// Writes what lies below `root`, which itself is no entry.
pub(super) fn write(root: &Path, times: Times, out: &mut impl Write) -> io::Result<()> {
    let mut archive = Archive { out, times, links: BTreeMap::new() };
    archive.directory(root, &PathBuf::new())?;
    archive.out.write_all(&ZEROS)?;
    archive.out.write_all(&ZEROS)
}

/// Size and sha256 of a file.
pub(super) fn digest(path: &Path) -> io::Result<(u64, String)> {
    let mut hash = Hash(Sha256::new());
    let size = io::copy(&mut File::open(path)?, &mut hash)?;
    Ok((size, hash.0.finalize().iter().map(|byte| format!("{byte:02x}")).collect()))
}

struct Hash(Sha256);

impl Write for Hash {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct Archive<'a, W> {
    out: &'a mut W,
    times: Times,
    /// First names of files that have several, by device and inode.
    links: BTreeMap<(u64, u64), PathBuf>,
}

/// What one header says.
struct Entry<'a> {
    name: Vec<u8>,
    mode: u32,
    size: u64,
    time: u64,
    kind: u8,
    link: &'a [u8],
}

impl<W: Write> Archive<'_, W> {
    /// `inside` is the directory's path below `root`.
    fn directory(&mut self, root: &Path, inside: &Path) -> io::Result<()> {
        let mut names =
            std::fs::read_dir(root.join(inside))?.map(|entry| Ok(entry?.file_name())).collect::<io::Result<Vec<_>>>()?;
        names.sort_unstable();
        for name in names {
            let path = inside.join(name);
            let metadata = root.join(&path).symlink_metadata()?;
            self.entry(root, &path, &metadata)?;
            if metadata.is_dir() {
                self.directory(root, &path)?;
            }
        }
        Ok(())
    }

    fn entry(&mut self, root: &Path, path: &Path, metadata: &Metadata) -> io::Result<()> {
        let time = match self.times {
            Times::Kept => u64::try_from(metadata.mtime()).unwrap_or(0),
            Times::All(time) => time,
        };
        let name = path.as_os_str().as_bytes().to_vec();
        let entry = Entry { name, mode: metadata.mode() & 0o7777, size: 0, time, kind: b'0', link: b"" };
        if metadata.is_dir() {
            let name = [entry.name.as_slice(), b"/"].concat();
            self.header(&Entry { name, kind: b'5', ..entry })
        } else if metadata.is_symlink() {
            let target = std::fs::read_link(root.join(path))?;
            self.header(&Entry { kind: b'2', link: target.as_os_str().as_bytes(), ..entry })
        } else if !metadata.is_file() {
            Ok(())
        } else if let Some(first) = self.first_name(path, metadata) {
            self.header(&Entry { kind: b'1', link: first.as_os_str().as_bytes(), ..entry })
        } else {
            self.header(&Entry { size: metadata.len(), ..entry })?;
            self.content(&root.join(path), metadata.len())
        }
    }

    /// The name under which the file is in the archive already.
    fn first_name(&mut self, path: &Path, metadata: &Metadata) -> Option<PathBuf> {
        if metadata.nlink() < 2 {
            return None;
        }
        let key = (metadata.dev(), metadata.ino());
        let first = self.links.get(&key).cloned();
        if first.is_none() {
            self.links.insert(key, path.to_owned());
        }
        first
    }

    fn content(&mut self, path: &Path, size: u64) -> io::Result<()> {
        let copied = io::copy(&mut File::open(path)?, &mut self.out)?;
        if copied != size {
            return Err(io::Error::other(format!("{} changed while it was read", path.display())));
        }
        self.padding(size)
    }

    fn padding(&mut self, size: u64) -> io::Result<()> {
        let over = usize::try_from(size % BLOCK as u64).unwrap_or(0);
        let missing = if over == 0 { 0 } else { BLOCK - over };
        self.out.write_all(ZEROS.get(..missing).unwrap_or_default())
    }

    fn header(&mut self, entry: &Entry<'_>) -> io::Result<()> {
        let mut records = Vec::new();
        for (key, value) in [("linkpath", entry.link), ("path", &entry.name)] {
            if value.len() > 100 || !value.is_ascii() {
                records.extend(record(key, value));
            }
        }
        if !records.is_empty() {
            let size = records.len() as u64;
            let name = extended(&entry.name);
            self.out.write_all(&block(&Entry { name, mode: 0, size, time: 0, kind: RECORDS, link: b"" })?)?;
            self.out.write_all(&records)?;
            self.padding(size)?;
        }
        self.out.write_all(&block(entry)?)
    }
}

/// The name of the records of `name`: beside it, in a directory that is never made.
fn extended(name: &[u8]) -> Vec<u8> {
    let (parent, last) = match name.iter().rposition(|byte| *byte == b'/') {
        Some(slash) => (name.get(..=slash).unwrap_or_default(), name.get(slash + 1..).unwrap_or_default()),
        None => (&b""[..], name),
    };
    let full = [parent, b"PaxHeaders.0/", last].concat();
    let mut short = ascii(&full, 100);
    while short.last() == Some(&b'/') {
        short.pop();
    }
    short
}

/// `length key=value\n`, where the length counts its own digits.
fn record(key: &str, value: &[u8]) -> Vec<u8> {
    let rest = key.len() + value.len() + 3;
    let mut length = rest + rest.to_string().len();
    if length.to_string().len() + rest != length {
        length = rest + length.to_string().len();
    }
    [format!("{length} {key}=").as_bytes(), value, b"\n"].concat()
}

/// What fits into a field; the record says the rest.
fn ascii(text: &[u8], most: usize) -> Vec<u8> {
    text.iter().copied().filter(u8::is_ascii).take(most).collect()
}

fn block(entry: &Entry<'_>) -> io::Result<Vec<u8>> {
    let mut block = Vec::with_capacity(BLOCK);
    let mut text = |bytes: Vec<u8>, width: usize| {
        let end = block.len() + width;
        block.extend(bytes);
        block.resize(end, 0);
    };
    text(ascii(&entry.name, 100), 100);
    text(octal(u64::from(entry.mode), 8)?, 8);
    text(octal(0, 8)?, 8);
    text(octal(0, 8)?, 8);
    text(octal(entry.size, 12)?, 12);
    text(octal(entry.time, 12)?, 12);
    text(vec![b' '; 8], 8);
    text(vec![entry.kind], 1);
    text(ascii(entry.link, 100), 100);
    text(b"ustar\x0000".to_vec(), 8);
    text(Vec::new(), 64);
    if entry.kind != RECORDS {
        text(octal(0, 8)?, 8);
        text(octal(0, 8)?, 8);
    }
    text(Vec::new(), BLOCK);
    block.truncate(BLOCK);
    let sum: u64 = block.iter().map(|byte| u64::from(*byte)).sum();
    let sum = format!("{sum:06o}\0 ");
    block.splice(148..156, sum.into_bytes());
    Ok(block)
}

/// Digits up to the last byte of a field, which stays 0.
fn octal(number: u64, width: usize) -> io::Result<Vec<u8>> {
    let digits = width - 1;
    let text = format!("{number:0digits$o}");
    if text.len() > digits {
        return Err(io::Error::other(format!("{number} does not fit into a header")));
    }
    Ok(text.into_bytes())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn tree(dir: &Path) {
        let long = "l".repeat(60);
        std::fs::create_dir_all(dir.join("b").join(&long)).expect("directory");
        for (name, text) in [("b/two", "2"), ("b.txt", "dot"), ("a", ""), ("b/ä", "umlaut")] {
            std::fs::write(dir.join(name), text).expect("file");
        }
        std::fs::write(dir.join("b").join(&long).join(&long), [7; 600]).expect("file");
        std::fs::hard_link(dir.join("b/two"), dir.join("c")).expect("link");
        symlink("b/two", dir.join("s")).expect("link");
        drop(std::os::unix::net::UnixListener::bind(dir.join("socket")).expect("socket"));
    }

    fn tar(times: Times) -> Vec<u8> {
        let dir = tempfile::tempdir().expect("directory");
        tree(dir.path());
        let mut bytes = Vec::new();
        write(dir.path(), times, &mut bytes).expect("tar");
        bytes
    }

    fn listed(bytes: &[u8]) -> Vec<String> {
        let show = |entry: io::Result<tar::Entry<'_, &[u8]>>| {
            let entry = entry.expect("entry");
            let link = entry.link_name().expect("link").map(|link| format!(" > {}", link.display())).unwrap_or_default();
            let name = entry.path().expect("path").display().to_string().replace(&"l".repeat(60), "L");
            format!("{:?} {name} {}{link}", entry.header().entry_type(), entry.size())
        };
        tar::Archive::new(bytes).entries().expect("entries").map(show).collect()
    }

    #[test]
    fn the_same_tree_gives_the_same_bytes() {
        let bytes = tar(Times::All(1_750_000_000));
        assert_eq!(bytes, tar(Times::All(1_750_000_000)));
        assert_ne!(bytes, tar(Times::All(1_750_000_001)));
        assert_eq!(bytes.len() % BLOCK, 0);
    }

    #[test]
    fn entries_are_sorted_and_complete() {
        let expected = [
            "Regular a 0",
            "Directory b/ 0",
            "Directory b/L/ 0",
            "Regular b/L/L 600",
            "Regular b/two 1",
            "Regular b/ä 6",
            "Regular b.txt 3",
            "Link c 0 > b/two",
            "Symlink s 0 > b/two",
        ];
        assert_eq!(listed(&tar(Times::All(0))), expected);
    }

    #[test]
    fn owners_are_numbers_and_times_whole() {
        let bytes = tar(Times::Kept);
        for entry in tar::Archive::new(bytes.as_slice()).entries().expect("entries") {
            let entry = entry.expect("entry");
            let header = entry.header();
            assert_eq!((header.uid().expect("uid"), header.gid().expect("gid")), (0, 0));
            assert_eq!((header.username(), header.groupname()), (Ok(Some("")), Ok(Some(""))));
            assert!(header.mtime().expect("time") > 1_700_000_000);
        }
        assert!(!bytes.windows(6).any(|part| part == b"mtime="), "no record of a time");
    }

    #[test]
    fn a_record_counts_its_own_length() {
        for length in 0..2000 {
            let record = record("path", &vec![b'x'; length]);
            assert!(record.starts_with(format!("{} path=", record.len()).as_bytes()), "{length}");
        }
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        assert!(octal(0o7777777, 8).is_ok() && octal(0o10000000, 8).is_err());
    }

    #[test]
    fn a_file_has_size_and_digest() {
        let dir = tempfile::tempdir().expect("directory");
        std::fs::write(dir.path().join("x"), "abc").expect("file");
        let (size, sha256) = digest(&dir.path().join("x")).expect("digest");
        assert_eq!((size, &sha256[..8]), (3, "ba7816bf"));
    }
}
