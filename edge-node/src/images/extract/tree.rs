//! Writing below one directory, and never anywhere else.
//!
//! Every path is resolved by the kernel with `openat2(RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV)`: a
//! symlink in the layer, absolute or with `..`, leads to where it would lead inside the container. The last name of a
//! path is only ever created, linked or removed relative to its directory's descriptor, never followed.
//!
//! A directory's modification time is put back when the extractor leaves it, so that times need no second pass and no
//! memory that grows with the layer.

use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{
    AtFlags, CWD, FileType, Gid, Mode, OFlags, ResolveFlags, Stat, Timespec, Timestamps, Uid, XattrFlags, chmodat, chownat,
    fchmod, fchown, fsetxattr, fstat, futimens, linkat, makedev, mkdirat, mknodat, openat, openat2, readlinkat, statat,
    symlinkat, utimensat,
};
use rustix::io::Errno;

use super::error::failed;
use super::name::{Meaning, Place, meaning};
use super::tarball::{Entry, Kind, Tarball};
use super::{ENTRIES_MAX, Rule, Target, Why};

mod below;
mod remove;

use below::Below;
pub(super) use remove::clear;
use remove::remove;

const DIRECTORY: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);
const NEW_FILE: OFlags = OFlags::WRONLY.union(OFlags::CREATE).union(OFlags::EXCL).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);
const INSIDE: ResolveFlags = ResolveFlags::IN_ROOT.union(ResolveFlags::NO_MAGICLINKS).union(ResolveFlags::NO_XDEV);
/// Steps to make the directories of one path, those behind symlinks included.
const STEPS_MAX: u32 = 256;
/// Times above this (year 2262) are 1970, as in containerd.
const SECONDS_MAX: u64 = i64::MAX as u64 / 1_000_000_000;
const OPAQUE: &str = "trusted.overlay.opaque";

/// The directory a layer is unpacked into.
pub(super) struct Tree {
    root: OwnedFd,
    below: Below,
    /// The directory the last entry went to; the next one mostly goes there as well.
    last: Option<Parent>,
    made: u32,
    buffer: Vec<u8>,
}

/// An open directory and its times from before anything was made in it.
struct Parent {
    path: Vec<u8>,
    fd: OwnedFd,
    times: Timestamps,
}

impl Tree {
    pub(super) fn open(target: &Target) -> Result<Self, Why> {
        let path = target.upper.as_os_str().as_encoded_bytes();
        let root = openat(CWD, path, DIRECTORY, Mode::empty()).map_err(failed("opening", path))?;
        Ok(Self { root, below: Below::open(&target.below)?, last: None, made: 0, buffer: vec![0; 256 << 10] })
    }

    /// Makes what `entry` says; a file's bytes come from `data`.
    pub(super) fn put(&mut self, entry: &Entry, data: &mut Tarball) -> Result<(), Why> {
        self.count(&entry.path)?;
        let refuse = |rule: Rule| rule.refuses(&entry.path);
        // The root itself belongs to the snapshotter.
        let Some(Place { parent, name }) = Place::of(&entry.path).map_err(refuse)? else { return Ok(()) };
        let meaning = meaning(&name).map_err(refuse)?;
        if meaning == Meaning::Aufs || (meaning != Meaning::Itself && self.below.is_empty()) {
            return Ok(()); // the lowest layer has nothing to hide
        }
        let parent = self.parent(parent)?;
        let made = match meaning {
            Meaning::Hides(hidden) => hide(&parent.fd, hidden),
            Meaning::Opaque | Meaning::Aufs => make_opaque(&parent.fd),
            Meaning::Itself => self.make(&parent.fd, &name, entry, data)?,
        };
        self.last = Some(parent);
        made.map_err(failed("making", &entry.path))
    }

    /// Leaves the last directory.
    pub(super) fn finish(&mut self) -> Result<(), Why> {
        match self.last.take() {
            Some(parent) => futimens(&parent.fd, &parent.times).map_err(failed("dating", &parent.path)),
            None => Ok(()),
        }
    }

    fn count(&mut self, path: &[u8]) -> Result<(), Why> {
        self.made += 1;
        if self.made > ENTRIES_MAX { Err(Rule::TooMany.refuses(path)) } else { Ok(()) }
    }

    /// The directory at `path`, made if it is missing.
    fn parent(&mut self, path: Vec<u8>) -> Result<Parent, Why> {
        if let Some(last) = self.last.take_if(|last| last.path == path) {
            return Ok(last);
        }
        self.finish()?;
        let mut steps = STEPS_MAX;
        let fd = self.enter(&path, &mut steps)?;
        let times = times_of(&fstat(&fd).map_err(failed("reading", &path))?);
        Ok(Parent { path, fd, times })
    }

    /// Opens the directory at `path`; makes it and those above it if they are missing, also at the end of symlinks.
    fn enter(&mut self, path: &[u8], steps: &mut u32) -> Result<OwnedFd, Why> {
        *steps = steps.checked_sub(1).ok_or_else(|| Rule::TooDeep.refuses(path))?;
        match self.open_inside(path) {
            Err(Errno::NOENT | Errno::NOTDIR) => {}
            opened => return opened.map_err(failed("opening", path)),
        }
        let (above, name) = split(path);
        let parent = self.enter(above, steps)?;
        let times = times_of(&fstat(&parent).map_err(failed("reading", above))?);
        match mkdirat(&parent, name, Mode::from_raw_mode(0o755)) {
            Ok(()) => {
                self.count(path)?;
                let made = open_child(&parent, name).map_err(failed("opening", path))?;
                fchmod(&made, Mode::from_raw_mode(0o755)).map_err(failed("making", path))?;
                self.below.lend(path, &made).map_err(failed("making", path))?;
                futimens(&parent, &times).map_err(failed("dating", above))?;
                Ok(made)
            }
            Err(Errno::EXIST) => self.enter_existing(&parent, above, name, steps),
            Err(errno) => Err(failed("making", path)(errno)),
        }
    }

    /// `name` is there and is no directory: a symlink whose target is missing, a whiteout, or an error.
    fn enter_existing(&mut self, parent: &OwnedFd, above: &[u8], name: &[u8], steps: &mut u32) -> Result<OwnedFd, Why> {
        let path = join(above, name);
        let stat = statat(parent, name, AtFlags::SYMLINK_NOFOLLOW).map_err(failed("reading", &path))?;
        if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
            return self.open_inside(&path).map_err(failed("opening", &path)); // `..` of a directory made just now
        }
        if FileType::from_raw_mode(stat.st_mode) == FileType::Symlink {
            let target = readlinkat(parent, name, Vec::new()).map_err(failed("reading", &path))?.into_bytes();
            let next = if target.starts_with(b"/") { target } else { join(above, &target) };
            return self.enter(&next, steps);
        }
        if !is_whiteout(&stat) {
            return Err(Rule::NotDirectory.refuses(&path));
        }
        remove(parent, name).map_err(failed("replacing", &path))?;
        mkdirat(parent, name, Mode::from_raw_mode(0o755)).map_err(failed("making", &path))?;
        let made = open_child(parent, name).map_err(failed("opening", &path))?;
        make_opaque(&made).map_err(failed("making", &path))?;
        Ok(made)
    }

    fn open_inside(&self, path: &[u8]) -> Result<OwnedFd, Errno> {
        let path = if path.is_empty() { b"." } else { path };
        let open = || openat2(&self.root, path, DIRECTORY, Mode::empty(), INSIDE);
        // EAGAIN: something was renamed elsewhere and the kernel could not be sure (openat2(2)).
        std::iter::repeat_with(open).take(16).find(|r| !matches!(r, Err(Errno::AGAIN))).unwrap_or(Err(Errno::AGAIN))
    }

    fn make(&mut self, parent: &OwnedFd, name: &[u8], entry: &Entry, data: &mut Tarball) -> Result<Result<(), Errno>, Why> {
        Ok(match entry.kind {
            Kind::File => return self.file(parent, name, entry, data).map(Ok),
            Kind::HardLink => return self.hard_link(parent, name, entry).map(Ok),
            Kind::Directory => directory(parent, name, entry),
            Kind::Symlink => {
                replacing(parent, name, || symlinkat(entry.link.as_slice(), parent, name)).and_then(|()| own(parent, name, entry))
            }
            Kind::CharDevice { major, minor } => node(parent, name, entry, FileType::CharacterDevice, makedev(major, minor)),
            Kind::Fifo => node(parent, name, entry, FileType::Fifo, 0),
        })
    }

    fn file(&mut self, parent: &OwnedFd, name: &[u8], entry: &Entry, data: &mut Tarball) -> Result<(), Why> {
        let create = || openat(parent, name, NEW_FILE, Mode::from_raw_mode(0o600));
        let file = replacing(parent, name, create).map_err(failed("making", &entry.path))?;
        loop {
            let n = data.data(&mut self.buffer)?;
            let Some(mut bytes) = self.buffer.get(..n).filter(|bytes| !bytes.is_empty()) else { break };
            while !bytes.is_empty() {
                let written = rustix::io::write(&file, bytes).map_err(failed("writing", &entry.path))?;
                bytes = bytes.get(written..).unwrap_or_default();
            }
        }
        dress(&file, entry).map_err(failed("making", &entry.path))
    }

    /// Another name for a file of this layer. The file keeps its own owner and mode: a name has none.
    fn hard_link(&self, parent: &OwnedFd, name: &[u8], entry: &Entry) -> Result<(), Why> {
        let missing = || Rule::Link.refuses(&entry.path);
        let refuse = |rule: Rule| rule.refuses(&entry.path);
        let target = Place::of(&entry.link).map_err(refuse)?.ok_or_else(missing)?;
        let from = self.open_inside(&target.parent).map_err(|_| missing())?;
        let link = || linkat(&from, target.name.as_slice(), parent, name, AtFlags::empty());
        match replacing(parent, name, link) {
            Err(Errno::NOENT | Errno::PERM) => Err(missing()), // nothing there, or a directory
            linked => linked.map_err(failed("linking", &entry.path)),
        }
    }
}

/// Does `make`; what is in its way is removed first.
fn replacing<T>(parent: &OwnedFd, name: &[u8], make: impl Fn() -> Result<T, Errno>) -> Result<T, Errno> {
    match make() {
        Err(Errno::EXIST) => {
            remove(parent, name)?;
            make()
        }
        made => made,
    }
}

/// A directory: merged with the one that is there, or instead of whatever else is there.
fn directory(parent: &OwnedFd, name: &[u8], entry: &Entry) -> Result<(), Errno> {
    let make = || mkdirat(parent, name, Mode::from_raw_mode(0o700));
    let in_the_way = match make() {
        Err(Errno::EXIST) => Some(statat(parent, name, AtFlags::SYMLINK_NOFOLLOW)?),
        made => made.map(|()| None)?,
    };
    let in_the_way = in_the_way.filter(|stat| FileType::from_raw_mode(stat.st_mode) != FileType::Directory);
    if in_the_way.is_some() {
        remove(parent, name)?;
        make()?;
    }
    let made = open_child(parent, name)?;
    if in_the_way.as_ref().is_some_and(is_whiteout) {
        make_opaque(&made)?; // the layer hides what was below and begins anew
    }
    dress(&made, entry)
}

fn node(parent: &OwnedFd, name: &[u8], entry: &Entry, kind: FileType, device: u64) -> Result<(), Errno> {
    replacing(parent, name, || mknodat(parent, name, kind, Mode::from_raw_mode(0o600), device))?;
    own(parent, name, entry)?;
    // This name was just made here and is no symlink.
    chmodat(parent, name, Mode::from_raw_mode(entry.mode), AtFlags::empty())?;
    utimensat(parent, name, &times(entry), AtFlags::SYMLINK_NOFOLLOW)
}

/// Hides what the layers below have under `name`. What this layer itself has there stays: a whiteout speaks of the
/// layers below only (image specification); a directory hides what was below it.
fn hide(parent: &OwnedFd, name: &[u8]) -> Result<(), Errno> {
    match mknodat(parent, name, FileType::CharacterDevice, Mode::empty(), 0) {
        Err(Errno::EXIST) => match open_child(parent, name) {
            Ok(directory) => make_opaque(&directory),
            Err(Errno::NOTDIR | Errno::LOOP) => Ok(()),
            Err(errno) => Err(errno),
        },
        made => made,
    }
}

fn make_opaque(directory: &OwnedFd) -> Result<(), Errno> {
    fsetxattr(directory, OPAQUE, b"y", XattrFlags::empty())
}

fn is_whiteout(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::CharacterDevice && stat.st_rdev == 0
}

/// Owner, attributes, mode and time, in the order in which one does not undo the other: a change of owner clears setuid
/// and capabilities, an ACL changes the mode.
fn dress(made: &OwnedFd, entry: &Entry) -> Result<(), Errno> {
    fchown(made, Some(Uid::from_raw(entry.uid)), Some(Gid::from_raw(entry.gid)))?;
    for (name, value) in &entry.attributes {
        match fsetxattr(made, name.as_slice(), value, XattrFlags::empty()) {
            Err(Errno::OPNOTSUPP) if name.starts_with(b"user.") => {}
            set => set?,
        }
    }
    fchmod(made, Mode::from_raw_mode(entry.mode))?;
    futimens(made, &times(entry))
}

/// Owner of something that cannot be opened. A symlink has no mode, and its time is set as well.
fn own(parent: &OwnedFd, name: &[u8], entry: &Entry) -> Result<(), Errno> {
    let (uid, gid) = (Some(Uid::from_raw(entry.uid)), Some(Gid::from_raw(entry.gid)));
    chownat(parent, name, uid, gid, AtFlags::SYMLINK_NOFOLLOW)?;
    utimensat(parent, name, &times(entry), AtFlags::SYMLINK_NOFOLLOW)
}

fn open_child(parent: impl AsFd, name: &[u8]) -> Result<OwnedFd, Errno> {
    openat(parent, name, DIRECTORY.union(OFlags::NOFOLLOW), Mode::empty())
}

fn times(entry: &Entry) -> Timestamps {
    let (seconds, nanos) = if entry.mtime.0 > SECONDS_MAX { (0, 0) } else { entry.mtime };
    let time = Timespec { tv_sec: i64::try_from(seconds).unwrap_or_default(), tv_nsec: nanos.into() };
    Timestamps { last_access: time, last_modification: time }
}

fn times_of(stat: &Stat) -> Timestamps {
    let nanos = |n| i64::try_from(n).unwrap_or_default();
    Timestamps {
        last_access: Timespec { tv_sec: stat.st_atime, tv_nsec: nanos(stat.st_atime_nsec) },
        last_modification: Timespec { tv_sec: stat.st_mtime, tv_nsec: nanos(stat.st_mtime_nsec) },
    }
}

/// Directory and last name of a path that is not empty.
fn split(path: &[u8]) -> (&[u8], &[u8]) {
    let end = path.iter().rposition(|byte| *byte != b'/').map_or(0, |at| at + 1);
    let path = path.get(..end).unwrap_or_default();
    match path.iter().rposition(|byte| *byte == b'/') {
        Some(at) => (path.get(..at).unwrap_or_default(), path.get(at + 1..).unwrap_or_default()),
        None => (&[], path),
    }
}

fn join(above: &[u8], name: &[u8]) -> Vec<u8> {
    if above.is_empty() { name.to_vec() } else { [above, b"/", name].concat() }
}

#[cfg(test)]
impl Tree {
    /// As if so many entries had been made.
    pub(super) fn pretend_made(&mut self, made: u32) {
        self.made = made;
    }
}
