//! Space that is kept for the node's own state, so that a disk which an app filled to the last byte still takes what the hub
//! or an operator wants.
//!
//! ```text
//! <state>/reserve   16 MiB of the disk, really allocated, with nothing in it
//!
//! a write of state finds no room ─▶ the file gives up a quarter ─▶ the same write again, until it fits or nothing is left
//! the loop, every ten seconds while something is missing ─▶ there is room again ─▶ the file is whole again
//! ```
//!
//! Every write of state goes through [`Reserve::lend`]: the store with its second copy, the count of the link, secrets,
//! publisher keys, a new identity, the marks of a boot. It is given up in parts because whoever filled the disk may take what
//! is freed: then there is more for the next write. When all of it is gone, writes of state fail by name, apps run on, and
//! room that comes back is found without anybody's help.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::fs::{FallocateFlags, fallocate};
use rustix::io::Errno;
use shared::fault::{Fault, node};
use shared::people::bytes;

use crate::images::room::Disk;

/// Bytes that are kept. A state of 256 apps with two releases each is a tenth of it.
pub const SIZE: u64 = 16 << 20;
/// While some of it is missing, room is looked for this often.
pub const LOOK: Duration = Duration::from_secs(10);
/// It is given up in so many parts.
const PARTS: u64 = 4;
/// The file's name in the state directory.
const FILE: &str = "reserve";

/// An error of a write.
pub trait LacksRoom {
    /// Whether the write may succeed once the disk, or the quota on it, has room.
    fn lacks_room(&self) -> bool;
}

impl LacksRoom for io::Error {
    fn lacks_room(&self) -> bool {
        matches!(self.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded)
    }
}

/// The space that is kept. Cheap to clone; clones share.
#[derive(Debug, Clone)]
pub struct Reserve(Option<Arc<Inner>>);

#[derive(Debug)]
struct Inner {
    file: PathBuf,
    size: u64,
    /// Bytes that were there when somebody was last told.
    told: Mutex<u64>,
}

impl Reserve {
    /// The reserve of the state directory `state`, whole if there is room.
    pub fn open(state: &Path) -> Self {
        Self::of(state, SIZE)
    }

    /// Nothing is kept: for the simulation.
    pub const fn none() -> Self {
        Self(None)
    }

    /// What a daemon has kept in the state directory `state`, be it nothing: for a command that writes state beside it.
    pub fn existing(state: &Path) -> Self {
        Self(Some(Arc::new(Inner::new(state, SIZE))))
    }

    pub(crate) fn of(state: &Path, size: u64) -> Self {
        let inner = Inner::new(state, size);
        inner.fill_if_room();
        Self(Some(Arc::new(inner)))
    }

    /// Does `write`. While it fails for want of room, gives up a part of the reserve and does it again.
    pub fn lend<T, E: LacksRoom>(&self, mut write: impl FnMut() -> Result<T, E>) -> Result<T, E> {
        for _ in 0..PARTS {
            match write() {
                Err(error) if error.lacks_room() && self.0.as_ref().is_some_and(|inner| inner.give()) => {}
                done => return done,
            }
        }
        write()
    }

    /// Makes the reserve whole if there is room again. What somebody should hear: that some of it was given up since the last
    /// look, or that all of it is back.
    pub fn look(&self) -> Option<Fault> {
        let inner = self.0.as_ref()?;
        inner.fill_if_room();
        let (left, mut told) = (inner.left(), inner.told());
        let before = std::mem::replace(&mut *told, left);
        if left == before {
            return None;
        }
        Some(inner.missing(left).unwrap_or_else(|| Fault::new(&node::STATE_RESERVE_BACK).with("size", bytes(inner.size))))
    }

    /// What is missing of it, as of the last look.
    pub fn missing(&self) -> Option<Fault> {
        let inner = self.0.as_ref()?;
        let told = *inner.told();
        inner.missing(told)
    }
}

impl Inner {
    fn new(state: &Path, size: u64) -> Self {
        Self { file: state.join(FILE), size, told: Mutex::new(size) }
    }

    /// Bytes of the disk that the file holds. The file is the truth: a person may have removed it to make room.
    fn left(&self) -> u64 {
        held(&self.file).min(self.size)
    }

    fn missing(&self, left: u64) -> Option<Fault> {
        let fault = || {
            let dir = self.file.parent().unwrap_or(&self.file);
            let fault = Fault::new(&node::STATE_RESERVE_USED).with("path", dir.display());
            fault.with("left", bytes(left)).with("size", bytes(self.size))
        };
        (left < self.size).then(fault)
    }

    /// Gives up a part; false when there is nothing left.
    fn give(&self) -> bool {
        let _turn = self.told();
        let left = self.left();
        let shrink = || File::options().write(true).open(&self.file)?.set_len(left.saturating_sub(self.size.div_ceil(PARTS)));
        let given = left > 0 && shrink().is_ok();
        if given {
            tracing::warn!(left = self.left(), "the disk is full; the node's state takes some of its reserve");
        }
        given
    }

    /// Makes the file whole, unless that would leave less than as much again: room that is so scarce would soon be gone.
    fn fill_if_room(&self) {
        let _turn = self.told();
        let missing = self.size.saturating_sub(self.left());
        let free = self.file.parent().and_then(Disk::of).map_or(0, |disk| disk.free);
        if missing == 0 || free < missing.saturating_add(self.size) {
            return;
        }
        if let Err(error) = self.fill() {
            tracing::warn!(%error, "no space could be reserved for the node's state");
        }
    }

    fn fill(&self) -> io::Result<()> {
        let file = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&self.file)?;
        let before = self.left();
        let filled = match fallocate(&file, FallocateFlags::empty(), 0, self.size) {
            Err(Errno::OPNOTSUPP | Errno::NOSYS) => write_out(&file, self.size),
            done => done.map_err(Into::into),
        };
        if filled.is_err() {
            file.set_len(before)?; // What came of it must not lie about.
        }
        filled.and_then(|()| file.sync_all())
    }

    fn told(&self) -> MutexGuard<'_, u64> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Bytes of the disk that the reserve of the state directory `state` holds.
pub fn left(state: &Path) -> u64 {
    held(&state.join(FILE))
}

fn held(file: &Path) -> u64 {
    std::fs::symlink_metadata(file).map_or(0, |meta| meta.len().min(meta.blocks().saturating_mul(512)))
}

/// Allocates by writing, where the file system can do no better. What is written does not compress.
fn write_out(mut file: &File, size: u64) -> io::Result<()> {
    let mut block = vec![0; 64 << 10];
    getrandom::fill(&mut block).map_err(|error| io::Error::other(error.to_string()))?;
    let mut left = size;
    while left > 0 {
        let part = block.get(..usize::try_from(left).unwrap_or(usize::MAX)).unwrap_or(&block);
        file.write_all(part)?;
        left -= part.len() as u64;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::private_file::{self, PrivateFileError};
    use crate::testing::SmallDisk;

    const SMALL: u64 = 1 << 20;

    fn code(news: Option<Fault>) -> Option<String> {
        news.map(|fault| fault.code.to_string())
    }

    /// Replaces the state by so many bytes.
    fn write(disk: &SmallDisk, bytes: usize) -> Result<(), PrivateFileError> {
        private_file::write(&disk.path().join("state"), &vec![1; bytes])
    }

    #[test]
    fn a_full_disk_takes_state_until_the_reserve_is_used_and_it_comes_back_by_itself() {
        let disk = SmallDisk::mount(8);
        let reserve = Reserve::of(disk.path(), SMALL);
        assert_eq!((left(disk.path()), reserve.look(), reserve.missing()), (SMALL, None, None));
        let ballast = disk.fill();
        write(&disk, 1000).expect_err("it is full");
        reserve.lend(|| write(&disk, 1000)).expect("a quarter of the reserve");
        assert_eq!(left(disk.path()), SMALL / 4 * 3);
        assert_eq!(code(reserve.look()).as_deref(), Some("node-state-reserve-used"));
        assert_eq!((reserve.look(), code(reserve.missing()).as_deref()), (None, Some("node-state-reserve-used")), "said once");
        disk.fill();
        reserve.lend(|| write(&disk, 400_000)).expect("as much as is needed");
        assert_eq!(left(disk.path()), SMALL / 4);
        disk.fill();
        reserve.lend(|| write(&disk, 1 << 20)).expect_err("more than there is");
        assert_eq!((left(disk.path()), code(reserve.look()).as_deref()), (0, Some("node-state-reserve-used")));

        File::options().write(true).open(&ballast).and_then(|file| file.set_len(6 << 20)).expect("a little room");
        assert_eq!((reserve.look(), left(disk.path())), (None, 0), "too little to take it all");
        std::fs::remove_file(ballast).expect("room");
        assert_eq!(code(reserve.look()).as_deref(), Some("node-state-reserve-back"));
        assert_eq!((left(disk.path()), reserve.look(), reserve.missing()), (SMALL, None, None));
        std::fs::remove_file(disk.path().join(FILE)).expect("by hand");
        assert_eq!((reserve.look(), left(disk.path())), (None, SMALL), "made again");
    }

    #[test]
    fn other_errors_and_other_disks_cost_nothing() {
        let disk = SmallDisk::mount(8);
        let reserve = Reserve::of(disk.path(), SMALL);
        reserve.lend(|| Err::<(), _>(io::Error::from(ErrorKind::PermissionDenied))).expect_err("refused");
        assert_eq!(left(disk.path()), SMALL);
        let mut tries = 0;
        let full = || {
            tries += 1;
            Err::<(), _>(io::Error::from(ErrorKind::QuotaExceeded))
        };
        reserve.lend(full).expect_err("whatever is given up");
        assert_eq!((tries, left(disk.path())), (5, 0));
        Reserve::none().lend(|| Err::<(), _>(io::Error::from(ErrorKind::StorageFull))).expect_err("nothing to give");
    }

    #[test]
    fn no_reserve_is_made_where_there_is_no_room_for_it() {
        let disk = SmallDisk::mount(8);
        let reserve = Reserve::of(disk.path(), 5 << 20);
        assert_eq!((left(disk.path()), code(reserve.look()).as_deref()), (0, Some("node-state-reserve-used")));
    }

    #[test]
    fn where_nothing_can_be_allocated_it_is_written() {
        let disk = SmallDisk::mount(8);
        let file = File::create(disk.path().join(FILE)).expect("file");
        file.set_len(SMALL).expect("a hole");
        assert_eq!(left(disk.path()), 0, "a hole is no reserve");
        write_out(&file, SMALL - 9).expect("written");
        assert_eq!(left(disk.path()), SMALL);
    }
}
