//! The files of a layout or archive, by name, without extracting: a directory, or a tar with an index of its members.
//!
//! A name from a document is only ever compared with the names of members, or opened beneath the directory with
//! `openat2(RESOLVE_BENEATH | NO_SYMLINKS)`: there is no path it could lead out by.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags};
use shared::release::Compression;

use super::walk::{Forward, Kind, Member, Walk, WalkError};
use super::{ImageError, Limits, docker};

/// Most members of an archive.
const MEMBERS_MAX: u64 = 100_000;

/// Where the files are.
#[derive(Debug)]
pub(super) enum Source {
    Directory(OwnedFd),
    Tar { file: Arc<File>, members: BTreeMap<String, Member> },
}

/// Some bytes of a file.
#[derive(Debug, Clone)]
pub(super) struct Slice {
    file: Arc<File>,
    at: u64,
    left: u64,
}

impl Source {
    /// Opens a directory or an archive; an archive in gzip or zstd is inflated into an unnamed file in `scratch` first.
    pub(super) fn open(path: &Path, scratch: &Path, limits: &Limits) -> Result<Self, ImageError> {
        let opening = |error: rustix::io::Errno| ImageError::io("opening the archive", error.into());
        let fd = rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).map_err(opening)?;
        let file = File::from(fd);
        let kind = file.metadata().map_err(|error| ImageError::io("opening the archive", error))?.file_type();
        if kind.is_dir() {
            return Ok(Self::Directory(file.into()));
        }
        if !kind.is_file() {
            return Err(ImageError::NotAnArchive { why: "it is neither a file nor a directory".into() });
        }
        let mut begin = [0; 4];
        let read = file.read_at(&mut begin, 0).map_err(|error| ImageError::io("reading the archive", error))?;
        match docker::compression(begin.get(..read).unwrap_or_default()) {
            Compression::None => Self::tar(file),
            Compression::Gzip => Self::tar(inflate(flate2::read::MultiGzDecoder::new(file), scratch, limits)?),
            Compression::Zstd => {
                let decoder = zstd::Decoder::new(file).map_err(|error| ImageError::io("making a zstd decoder", error))?;
                Self::tar(inflate(decoder, scratch, limits)?)
            }
        }
    }

    /// Reads the headers of a tar.
    fn tar(file: File) -> Result<Self, ImageError> {
        let reading = |error| ImageError::io("reading the archive", error);
        let size = file.metadata().map_err(reading)?.len();
        let file = Arc::new(file);
        let mut walk = Walk::new(Slice { file: Arc::clone(&file), at: 0, left: size }, MEMBERS_MAX);
        let mut members = BTreeMap::new();
        while let Some(member) = walk.next().map_err(bad)? {
            // A name that is not UTF-8 cannot be meant by any document.
            let Ok(name) = std::str::from_utf8(&member.name).map(normal) else { continue };
            if member.kind != Kind::Other && members.insert(name.clone(), member).is_some() {
                return Err(ImageError::Duplicate { name });
            }
        }
        Ok(Self::Tar { file, members })
    }

    /// Whether this is a directory: only layouts come as one.
    pub(super) const fn is_directory(&self) -> bool {
        matches!(self, Self::Directory(_))
    }

    /// The file of that name. A link is refused by name; with `follow`, a link of a tar to a file of the same tar is
    /// taken, because `docker save` wrote such links for layers that images share.
    pub(super) fn file(&self, name: &str, follow: bool) -> Result<Option<Slice>, ImageError> {
        match self {
            Self::Directory(dir) => beneath(dir, name),
            Self::Tar { file, members } => {
                let Some(member) = members.get(&normal(name)) else { return Ok(None) };
                let member = match target(member) {
                    None => member,
                    Some(target) => follow
                        .then(|| members.get(&target).filter(|member| member.kind == Kind::File))
                        .flatten()
                        .ok_or(ImageError::Link { name: name.into(), target })?,
                };
                Ok(Some(Slice { file: Arc::clone(file), at: member.at, left: member.size }))
            }
        }
    }
}

/// A regular file beneath `dir`.
fn beneath(dir: &OwnedFd, name: &str) -> Result<Option<Slice>, ImageError> {
    use rustix::io::Errno;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let file = match rustix::fs::openat2(dir, name, flags, Mode::empty(), resolve) {
        Ok(fd) => File::from(fd),
        Err(Errno::NOENT | Errno::NOTDIR) => return Ok(None),
        Err(Errno::LOOP | Errno::XDEV) => {
            return Err(ImageError::Link { name: name.into(), target: "–".into() });
        }
        Err(error) => return Err(ImageError::io("opening a file of the layout", error.into())),
    };
    let meta = file.metadata().map_err(|error| ImageError::io("opening a file of the layout", error))?;
    Ok(meta.is_file().then(|| Slice { file: Arc::new(file), at: 0, left: meta.len() }))
}

/// The normal name a link points to; `None` when it is no link. A name that leaves the archive is none of its members.
fn target(member: &Member) -> Option<String> {
    match &member.kind {
        Kind::Hardlink(target) => Some(normal(&String::from_utf8_lossy(target))),
        Kind::Symlink(target) => {
            let name = String::from_utf8_lossy(&member.name);
            let beside = name.rsplit_once('/').map_or("", |(dir, _)| dir);
            let target = String::from_utf8_lossy(target);
            if target.starts_with('/') { Some(target.into_owned()) } else { Some(resolve(&format!("{beside}/{target}"))) }
        }
        Kind::File | Kind::Other => None,
    }
}

/// A name without `./` in front and `/` behind.
fn normal(name: &str) -> String {
    let mut name = name.trim_end_matches('/');
    while let Some(rest) = name.strip_prefix("./") {
        name = rest.trim_start_matches('/');
    }
    name.to_owned()
}

/// A name without `.` and `..`; one that leaves the top keeps its `..`, which no member's lookup survives.
fn resolve(name: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in name.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

/// Inflates an archive into a file without a name, which is gone with the process.
fn inflate(mut decoder: impl Read, scratch: &Path, limits: &Limits) -> Result<File, ImageError> {
    let failed = |error| ImageError::io("unpacking the archive", error);
    let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
    let fd = rustix::fs::openat(CWD, scratch, flags, Mode::RUSR | Mode::WUSR).map_err(|error| failed(error.into()))?;
    let mut file = File::from(fd);
    let mut buffer = vec![0; 256 << 10];
    let mut count: u64 = 0;
    loop {
        let read = decoder
            .read(&mut buffer)
            .map_err(|error| ImageError::NotAnArchive { why: format!("it does not inflate: {error}") })?;
        let Some(bytes) = buffer.get(..read).filter(|bytes| !bytes.is_empty()) else { break };
        count += read as u64;
        if count > limits.archive {
            return Err(ImageError::TooLarge { what: "the unpacked archive".into(), max: limits.archive });
        }
        io::Write::write_all(&mut file, bytes).map_err(failed)?;
    }
    file.seek(SeekFrom::Start(0)).map_err(failed)?;
    Ok(file)
}

fn bad(error: WalkError) -> ImageError {
    match error {
        WalkError::Bad { at, why } => ImageError::BadArchive { at, why },
        WalkError::TooMany => ImageError::TooMany { what: "the archive".into(), of: "files", max: MEMBERS_MAX },
        WalkError::Io(error) => ImageError::io("reading the archive", error),
    }
}

impl Slice {
    /// Bytes from here to the end.
    pub(super) const fn left(&self) -> u64 {
        self.left
    }
}

impl Read for Slice {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let wanted = buffer.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        let read = self.file.read_at(buffer.get_mut(..wanted).unwrap_or_default(), self.at)?;
        self.at += read as u64;
        self.left -= read as u64;
        Ok(read)
    }
}

impl Forward for Slice {
    fn skip(&mut self, bytes: u64) -> io::Result<()> {
        if bytes > self.left {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.at += bytes;
        self.left -= bytes;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_resolved_inside_or_not_at_all() {
        let member = |name: &str, kind| Member { name: name.into(), kind, at: 0, size: 0 };
        for (name, link, expected) in [
            ("a/layer.tar", "../b/layer.tar", "b/layer.tar"),
            ("./a/layer.tar", "./x", "a/x"),
            ("layer.tar", "../../etc/passwd", "../../etc/passwd"),
            ("a/b", "/etc/passwd", "/etc/passwd"),
            ("a/b", "../../b/../c", "../c"),
        ] {
            assert_eq!(target(&member(name, Kind::Symlink(link.into()))), Some(expected.into()), "{name} → {link}");
        }
        assert_eq!(target(&member("a", Kind::Hardlink(b"./b".to_vec()))), Some("b".into()));
        assert_eq!(target(&member("a", Kind::File)), None);
        assert_eq!(normal(".//./a/"), "a");
    }
}
