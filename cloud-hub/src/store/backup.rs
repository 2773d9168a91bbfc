//! A store as a plain file: what a backup is, and how a store moves from one implementation to another.
//!
//! ```text
//! "causeway-store" 01 │ length (4 bytes, little endian) │ item (postcard) │ … │ End │ sha256 of everything before
//! ```
//!
//! Items come in a fixed order: the revision, the records, each log's bounds followed by its entries. A file that was
//! cut or changed is refused as a whole.

use std::io::{self, Read, Write};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::{KEY_MAX, VALUE_MAX};

/// The first bytes; the last one is the version.
const MAGIC: &[u8; 15] = b"causeway-store\x01";
/// Largest item.
const ITEM_MAX: usize = VALUE_MAX + KEY_MAX + 64;

/// One line of a backup. Frozen: a change is a new version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Item {
    Revision(u64),
    Record { key: String, revision: u64, value: Vec<u8> },
    Log { log: String, first: u64, next: u64 },
    Entry { log: String, number: u64, entry: Vec<u8> },
    End { items: u64 },
}

/// Writes items and, at the end, their digest.
pub(super) struct Writer<W> {
    out: W,
    hasher: Sha256,
    items: u64,
}

impl<W: Write> Writer<W> {
    pub(super) fn new(out: W) -> io::Result<Self> {
        let mut writer = Self { out, hasher: Sha256::new(), items: 0 };
        writer.write(MAGIC)?;
        Ok(writer)
    }

    pub(super) fn item(&mut self, item: &Item) -> io::Result<()> {
        let bytes = postcard::to_stdvec(item).map_err(io::Error::other)?;
        let length = u32::try_from(bytes.len()).map_err(io::Error::other)?;
        self.items += 1;
        self.write(&length.to_le_bytes())?;
        self.write(&bytes)
    }

    /// Writes end mark and digest; answers the output for syncing.
    pub(super) fn finish(mut self) -> io::Result<W> {
        self.item(&Item::End { items: self.items })?;
        let digest = self.hasher.finalize();
        self.out.write_all(&digest)?;
        self.out.flush()?;
        Ok(self.out)
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.hasher.update(bytes);
        self.out.write_all(bytes)
    }
}

/// Reads items; what it gave is to be trusted only once it answered `None`.
pub(super) struct Reader<R> {
    input: R,
    hasher: Sha256,
    items: u64,
}

impl<R: Read> Reader<R> {
    pub(super) fn new(input: R) -> io::Result<Self> {
        let mut reader = Self { input, hasher: Sha256::new(), items: 0 };
        let begin = reader.read::<15>()?;
        if begin != *MAGIC {
            return Err(invalid("this is no backup of a store, or one of a newer hub"));
        }
        Ok(reader)
    }

    /// The next item; `None` when the end was reached and the digest fits.
    pub(super) fn next(&mut self) -> io::Result<Option<Item>> {
        let length = u32::from_le_bytes(self.read::<4>()?) as usize;
        if length > ITEM_MAX {
            return Err(invalid("an item is too large"));
        }
        let mut bytes = vec![0; length];
        self.input.read_exact(&mut bytes)?;
        self.hasher.update(&bytes);
        let item = postcard::from_bytes(&bytes).map_err(|error| invalid(&error.to_string()))?;
        if let Item::End { items } = item {
            return self.end(items).map(|()| None);
        }
        self.items += 1;
        Ok(Some(item))
    }

    fn end(&mut self, items: u64) -> io::Result<()> {
        let found: [u8; 32] = self.hasher.clone().finalize().into();
        let expected = self.read::<32>()?;
        if found != expected || items != self.items {
            return Err(invalid("its digest is wrong"));
        }
        match self.input.read(&mut [0])? {
            0 => Ok(()),
            _ => Err(invalid("something follows its end")),
        }
    }

    fn read<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        let mut bytes = [0; N];
        self.input.read_exact(&mut bytes)?;
        self.hasher.update(bytes);
        Ok(bytes)
    }
}

fn invalid(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn items() -> Vec<Item> {
        vec![
            Item::Revision(7),
            Item::Record { key: "a".into(), revision: 7, value: b"v".to_vec() },
            Item::Log { log: "l".into(), first: 1, next: 2 },
            Item::Entry { log: "l".into(), number: 1, entry: b"e".to_vec() },
        ]
    }

    fn write(items: &[Item]) -> Vec<u8> {
        let mut writer = Writer::new(Vec::new()).unwrap();
        items.iter().for_each(|item| writer.item(item).unwrap());
        writer.finish().unwrap()
    }

    fn read(bytes: &[u8]) -> io::Result<Vec<Item>> {
        let mut reader = Reader::new(bytes)?;
        let mut items = Vec::new();
        while let Some(item) = reader.next()? {
            items.push(item);
        }
        Ok(items)
    }

    /// Golden: backups of this version lie on shelves.
    #[test]
    fn the_bytes_of_version_1() {
        let text = hex::encode(write(&items()));
        let (body, digest) = text.split_at(text.len() - 64);
        expect_test::expect![
            "63617573657761792d73746f726501020000000007060000000101610701760500000002016c010206000000030\
             16c0101650200000004\
             04"
        ]
        .assert_eq(body);
        assert_eq!(digest.len(), 64);
        assert_eq!(read(&write(&items())).unwrap(), items());
    }

    #[test]
    fn a_backup_that_was_cut_or_changed_is_no_backup() {
        let good = write(&items());
        for length in 0..good.len() {
            assert!(read(&good[..length]).is_err(), "cut at {length}");
        }
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 1;
            assert!(read(&bad).is_err(), "changed at {at}");
        }
        assert!(read(&[good.as_slice(), b"x"].concat()).is_err());
    }
}
