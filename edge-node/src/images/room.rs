//! Whether the disk has room for an image, decided before its first byte is asked for.
//!
//! What is there already stays until the new image has proved itself, so the image needs its room beside the old one: the
//! patch on its way, its packs, and its unpacked files, which may lie on another file system. Packs are as large as the
//! publisher's compressed layers, within a few per cent.

use std::path::{Path, PathBuf};

use rustix::fs::{stat, statvfs};

/// Bytes that stay free for the node's own records when nothing else is set.
pub const RESERVE: u64 = 256 << 20;

/// What an image will take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Need {
    /// The largest patch: each goes when its layer is made.
    pub patch: u64,
    /// Its packs.
    pub packs: u64,
    /// Its files.
    pub files: u64,
}

/// The file system of a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disk {
    /// The directory.
    pub path: PathBuf,
    /// Which file system.
    pub device: u64,
    /// Bytes that are free there.
    pub free: u64,
}

impl Disk {
    /// The file system that `path` lies on; `None` when it cannot be asked.
    pub fn of(path: &Path) -> Option<Self> {
        let (stat, room) = (stat(path).ok()?, statvfs(path).ok()?);
        Some(Self { path: path.into(), device: stat.st_dev, free: room.f_bavail.saturating_mul(room.f_frsize) })
    }
}

/// A file system without room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoRoom {
    /// Where.
    pub disk: Disk,
    /// Bytes that are needed there.
    pub need: u64,
}

/// Whether there is room: for patches and packs in `state`, for files in `images`; `reserve` bytes stay free on each. A
/// file system that cannot be asked is believed to have room.
pub fn check(need: Need, state: Option<Disk>, images: Option<Disk>, reserve: u64) -> Result<(), NoRoom> {
    let own = need.patch.saturating_add(need.packs);
    let together = matches!((&state, &images), (Some(state), Some(images)) if state.device == images.device);
    let wanted = if together { vec![(state, own.saturating_add(need.files))] } else { vec![(state, own), (images, need.files)] };
    for (disk, need) in wanted {
        if let Some(disk) = disk.filter(|disk| need > 0 && disk.free < need.saturating_add(reserve)) {
            return Err(NoRoom { disk, need });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_needs_its_room_beside_what_is_there() {
        let disk = |device, free| Some(Disk { path: format!("/{device}").into(), device, free });
        let need = Need { patch: 10, packs: 30, files: 100 };
        for (state, images, reserve, short) in [
            (disk(1, 140), disk(1, 140), 0, None),
            (disk(1, 139), disk(1, 139), 0, Some(("/1", 140))),
            (disk(1, 149), disk(1, 149), 10, Some(("/1", 140))),
            (disk(1, 40), disk(2, 100), 0, None),
            (disk(1, 39), disk(2, 100), 0, Some(("/1", 40))),
            (disk(1, 50), disk(2, 105), 10, Some(("/2", 100))),
            (disk(1, 39), None, 0, Some(("/1", 40))),
            (None, None, u64::MAX, None),
        ] {
            let found = check(need, state, images, reserve).err().map(|short| (short.disk.path, short.need));
            assert_eq!(found, short.map(|(path, need)| (PathBuf::from(path), need)));
        }
        assert_eq!(check(Need::default(), disk(1, 0), disk(1, 0), 5), Ok(()), "nothing needs no room");
    }

    #[test]
    fn a_disk_is_asked() {
        let disk = Disk::of(Path::new("/")).unwrap();
        assert!(disk.free > 0 && Disk::of(Path::new("/nowhere")).is_none());
    }
}
