//! The high-water mark beside a partial blob: how many bytes of it are known to be on disk, and in which boot
//! it was written.
//!
//! Two slots of 45 bytes, 4096 bytes apart, written in turn: a power cut while one is written leaves the other.
//! The valid one with the higher sequence counts.
//!
//! ```text
//! byte 0 version (1) │ 1 sequence u32 │ 5 boot, 16 bytes of sha256 │ 21 synced u64 │ 29 size u64 │ 37 check, 8 bytes of sha256 over 0..37
//! ```
//! Numbers are little-endian.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use shared::id::Digest;

const VERSION: u8 = 1;
const LENGTH: usize = 45;
const CHECKED: usize = 37;
const SLOT: u64 = 4096;

/// One mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mark {
    /// Grows with every mark of this blob.
    pub(super) sequence: u32,
    /// [`boot_id`] of the boot that wrote it.
    pub(super) boot: [u8; 16],
    /// Bytes that are on disk for certain.
    pub(super) synced: u64,
    /// Size of the whole blob.
    pub(super) size: u64,
}

/// The text that differs after every boot, in fixed length.
pub(super) fn boot_id(boot: &str) -> [u8; 16] {
    first(Digest::of(boot.as_bytes()))
}

/// How many bytes of a partial file of `length` bytes count: all in the same boot, the synced ones in another.
pub(super) fn trusted(mark: Option<&Mark>, boot: [u8; 16], size: u64, length: u64) -> u64 {
    match mark {
        Some(mark) if mark.size == size && mark.boot == boot => length.min(size),
        Some(mark) if mark.size == size => mark.synced.min(length).min(size),
        Some(_) | None => 0,
    }
}

impl Mark {
    /// Reads the mark that counts; `None` when neither slot holds one.
    pub(super) fn read(file: &File) -> io::Result<Option<Self>> {
        let mut newest: Option<Self> = None;
        for slot in [0, SLOT] {
            let mut bytes = [0; LENGTH];
            match file.read_exact_at(&mut bytes, slot) {
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => continue,
                read => read?,
            }
            newest = [newest, Self::decode(&bytes)].into_iter().flatten().max_by_key(|mark| mark.sequence);
        }
        Ok(newest)
    }

    /// Writes the mark to its slot and syncs it.
    pub(super) fn write(&self, file: &File) -> io::Result<()> {
        file.write_all_at(&self.encode(), u64::from(self.sequence % 2) * SLOT)?;
        file.sync_data()
    }

    fn encode(&self) -> [u8; LENGTH] {
        let mut bytes = Vec::with_capacity(LENGTH);
        bytes.push(VERSION);
        bytes.extend(self.sequence.to_le_bytes());
        bytes.extend(self.boot);
        bytes.extend(self.synced.to_le_bytes());
        bytes.extend(self.size.to_le_bytes());
        bytes.extend(first::<8>(Digest::of(&bytes)));
        bytes.try_into().unwrap_or([0; LENGTH])
    }

    fn decode(bytes: &[u8; LENGTH]) -> Option<Self> {
        let (body, check) = bytes.split_at(CHECKED);
        let part = |from: usize, to: usize| body.get(from..to);
        if body.first() != Some(&VERSION) || check != first::<8>(Digest::of(body)) {
            return None;
        }
        Some(Self {
            sequence: u32::from_le_bytes(part(1, 5)?.try_into().ok()?),
            boot: part(5, 21)?.try_into().ok()?,
            synced: u64::from_le_bytes(part(21, 29)?.try_into().ok()?),
            size: u64::from_le_bytes(part(29, 37)?.try_into().ok()?),
        })
    }
}

/// The first bytes of a digest.
fn first<const N: usize>(digest: Digest) -> [u8; N] {
    let mut short = [0; N];
    short.iter_mut().zip(digest.as_bytes()).for_each(|(to, from)| *to = *from);
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    const MARK: Mark = Mark { sequence: 7, boot: [3; 16], synced: 4096, size: 9000 };

    #[test]
    fn the_bytes_on_disk_stay_as_they_are() {
        let golden = "010700000003030303030303030303030303030303001000000000000028230000000000009324316e5cab37d2";
        assert_eq!(hex::encode(MARK.encode()), golden);
        assert_eq!(Mark::decode(&MARK.encode()), Some(MARK));
    }

    #[test]
    fn every_damaged_byte_is_noticed() {
        for place in 0..LENGTH {
            let mut bytes = MARK.encode();
            bytes[place] ^= 1;
            assert_eq!(Mark::decode(&bytes), None, "byte {place}");
        }
    }

    #[test]
    fn a_torn_slot_leaves_the_other() {
        let file = tempfile::tempfile().unwrap();
        assert_eq!(Mark::read(&file).unwrap(), None);
        MARK.write(&file).unwrap();
        let next = Mark { sequence: 8, synced: 8192, ..MARK };
        next.write(&file).unwrap();
        assert_eq!(Mark::read(&file).unwrap(), Some(next));
        file.write_all_at(b"torn", 20).unwrap();
        assert_eq!(Mark::read(&file).unwrap(), Some(MARK));
    }

    #[test]
    fn only_what_is_certain_counts() {
        for (mark, boot, size, length, counts) in [
            (Some(MARK), [3; 16], 9000, 7000, 7000),
            (Some(MARK), [3; 16], 9000, 9999, 9000),
            (Some(MARK), [4; 16], 9000, 7000, 4096),
            (Some(MARK), [4; 16], 9000, 100, 100),
            (Some(MARK), [3; 16], 8000, 7000, 0),
            (None, [3; 16], 9000, 7000, 0),
        ] {
            assert_eq!(trusted(mark.as_ref(), boot, size, length), counts, "{mark:?} {length} of {size}");
        }
    }
}
