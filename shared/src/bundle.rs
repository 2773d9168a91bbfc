//! A bundle: what nodes shall run and everything it is made of, in one file that a person carries to them.
//!
//! ```text
//! 8 bytes    "CWBUNDLE"
//! 4 bytes    length of the index (u32, little endian)
//! index      versioned (shared::wire::v1::Bundle): what each entry is, and its size
//! entries    their bytes, one after the other, in the order of the index
//! 32 bytes   sha256 of everything before
//! ```
//!
//! The index comes first, so that the size of the whole file is known before its first byte is written; the hash comes
//! last, so that it is written and read from front to back. The hash finds what a bad stick does to a file. It proves
//! nothing: whoever made the file made the hash. What is in a bundle is believed for the same reasons as what comes over
//! the link: the hub's signature, a publisher's signature, and digests that these name.

use std::collections::BTreeSet;

use sha2::{Digest as _, Sha256};

use crate::fault::{Fault, Faulty, bundle};
use crate::id::{Digest, Name};
use crate::people::bytes;
use crate::recipe::FROM_MAX;
use crate::time::UnixMillis;
use crate::wire::{WireError, v1};

/// How a bundle begins.
pub const MAGIC: [u8; 8] = *b"CWBUNDLE";
/// Most bytes of an index.
pub const INDEX_MAX: usize = 4 << 20;
/// Most entries.
pub const ENTRIES_MAX: usize = 20_000;
/// Bytes of magic and length.
const FRONT: usize = 12;
/// Bytes of the hash at the end.
const TRAILER: usize = 32;

/// What an entry is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Content {
    /// The desired state of this node, as the hub signed it.
    Desired(Name),
    /// The release of this id, as its publisher signed it.
    Release(Digest),
    /// An image's manifest or config, by its sha256.
    Document(Digest),
    /// A patch ([`crate::recipe::patch`]).
    Patch {
        /// diff_id of the layer it makes.
        layer: Digest,
        /// sha256 of its bytes.
        patch: Digest,
        /// diff_ids of the layers it begins with; none: it needs nothing.
        from: Vec<Digest>,
    },
}

/// A part of a bundle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// What it is.
    pub content: Content,
    /// Its bytes.
    pub size: u64,
}

/// What is in a bundle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Index {
    /// When the hub made it, by its clock. For people.
    pub made: UnixMillis,
    /// In the order of their bytes.
    pub entries: Vec<Entry>,
}

/// Why bytes are no bundle.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BundleError {
    /// They begin in another way.
    #[error("not a bundle")]
    Other,
    /// Made in another version.
    #[error("bundles of version {0} are not known here")]
    UnknownVersion(u8),
    /// The index is beyond its bounds or makes no sense.
    #[error("its index: {0}")]
    Index(String),
    /// They end early.
    #[error("{0} bytes are missing")]
    Short(u64),
    /// Something follows the end.
    #[error("something follows its end")]
    Long,
    /// They have changed since they were written.
    #[error("its bytes do not fit its hash")]
    Differs,
}

impl Faulty for BundleError {
    fn fault(&self) -> Fault {
        match self {
            Self::Other => Fault::new(&bundle::NOT_ONE),
            Self::UnknownVersion(version) => Fault::new(&bundle::UNKNOWN_VERSION).with("version", version),
            Self::Index(why) => Fault::new(&bundle::BAD_INDEX).with("why", why),
            Self::Short(missing) => Fault::new(&bundle::SHORT).with("missing", bytes(*missing)),
            Self::Long => Fault::new(&bundle::LONG),
            Self::Differs => Fault::new(&bundle::DIFFERS),
        }
    }
}

impl Index {
    /// Everything before the entries' bytes.
    ///
    /// # Errors
    /// The index is beyond its bounds.
    pub fn front(&self) -> Result<Vec<u8>, BundleError> {
        self.check()?;
        let index = v1::Bundle::from(self).encode();
        let length = u32::try_from(index.len()).ok().filter(|_| index.len() <= INDEX_MAX);
        let length = length.ok_or_else(|| BundleError::Index(format!("{} bytes", index.len())))?;
        Ok([&MAGIC[..], &length.to_le_bytes(), &index].concat())
    }

    /// Bytes of all entries.
    pub fn content_size(&self) -> u64 {
        self.entries.iter().map(|entry| entry.size).fold(0, u64::saturating_add)
    }

    /// The entries, each with the place of its first byte behind the front.
    pub fn places(&self) -> impl Iterator<Item = (&Entry, u64)> {
        self.entries.iter().scan(0_u64, |next, entry| {
            let place = *next;
            *next = next.saturating_add(entry.size);
            Some((entry, place))
        })
    }

    fn check(&self) -> Result<(), BundleError> {
        let bad = |why: &str| Err(BundleError::Index(why.into()));
        if self.entries.len() > ENTRIES_MAX {
            return bad("too many entries");
        }
        let mut seen = BTreeSet::new();
        let mut size = 0_u64;
        for entry in &self.entries {
            if matches!(&entry.content, Content::Patch { from, .. } if from.len() > FROM_MAX) {
                return bad("a patch of too many layers");
            }
            if !seen.insert(&entry.content) {
                return bad("an entry stands twice");
            }
            match size.checked_add(entry.size) {
                Some(sum) => size = sum,
                None => return bad("sizes beyond all disks"),
            }
        }
        Ok(())
    }
}

/// Bytes of a whole bundle with this front.
pub fn file_size(front: &[u8], index: &Index) -> u64 {
    index.content_size().saturating_add((front.len() + TRAILER) as u64)
}

/// Hashes a bundle while it is written.
#[derive(Debug, Default)]
pub struct Trailer(Sha256);

impl Trailer {
    /// The next bytes were written.
    pub fn push(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The last bytes of the file.
    pub fn finish(self) -> [u8; TRAILER] {
        self.0.finalize().into()
    }
}

/// Looks at a bundle from front to back. Holds the index and nothing else of it, and allocates nothing for what a length
/// says before so much has come.
#[derive(Debug, Default)]
pub struct Checker {
    hash: Trailer,
    front: Vec<u8>,
    index: Option<Index>,
    /// Bytes of entries that did not come yet.
    left: u64,
    trailer: Vec<u8>,
}

/// A bundle whose bytes fit its hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    /// What is in it.
    pub index: Index,
    /// Where the bytes of the first entry begin.
    pub begin: u64,
}

impl Checker {
    /// The next bytes came.
    ///
    /// # Errors
    /// They cannot be those of a bundle, whatever follows.
    pub fn push(&mut self, mut bytes: &[u8]) -> Result<(), BundleError> {
        while self.index.is_none() {
            let missing = self.missing_of_front()?;
            if missing > 0 && bytes.is_empty() {
                return Ok(());
            }
            let taken = take(&mut bytes, missing as u64);
            self.hash.push(taken);
            self.front.extend_from_slice(taken);
            if missing == 0 {
                self.read_index()?;
            }
        }
        let taken = take(&mut bytes, self.left);
        self.hash.push(taken);
        self.left -= taken.len() as u64;
        let taken = take(&mut bytes, (TRAILER - self.trailer.len()) as u64);
        self.trailer.extend_from_slice(taken);
        if bytes.is_empty() { Ok(()) } else { Err(BundleError::Long) }
    }

    /// What is in it, once that came.
    pub const fn index(&self) -> Option<&Index> {
        self.index.as_ref()
    }

    /// Bytes of the whole file, once that is known.
    pub fn size(&self) -> Option<u64> {
        self.index.as_ref().map(|index| file_size(&self.front, index))
    }

    /// Nothing follows.
    ///
    /// # Errors
    /// Something is missing, or has changed.
    pub fn finish(self) -> Result<Checked, BundleError> {
        let missing = self.left.saturating_add((TRAILER - self.trailer.len()) as u64);
        match self.index {
            None if self.front.is_empty() => Err(BundleError::Other),
            None => Err(BundleError::Short(missing_of_front(&self.front)? as u64)),
            Some(_) if missing > 0 => Err(BundleError::Short(missing)),
            Some(index) if self.trailer == self.hash.finish() => Ok(Checked { index, begin: self.front.len() as u64 }),
            Some(_) => Err(BundleError::Differs),
        }
    }

    fn missing_of_front(&self) -> Result<usize, BundleError> {
        missing_of_front(&self.front)
    }

    fn read_index(&mut self) -> Result<(), BundleError> {
        let bytes = self.front.get(FRONT..).unwrap_or_default();
        let index: Result<Index, WireError> = v1::Bundle::decode(bytes).and_then(TryInto::try_into);
        let index = index.map_err(|error| match error {
            WireError::UnknownVersion(version) => BundleError::UnknownVersion(version),
            other @ (WireError::Empty | WireError::Malformed { .. }) => BundleError::Index(other.to_string()),
        })?;
        index.check()?;
        self.left = index.content_size();
        self.index = Some(index);
        Ok(())
    }
}

/// Bytes that `front` lacks, as far as what is there says.
fn missing_of_front(front: &[u8]) -> Result<usize, BundleError> {
    let start = front.get(..MAGIC.len().min(front.len())).unwrap_or_default();
    if !MAGIC.starts_with(start) {
        return Err(BundleError::Other);
    }
    let Some(length) = front.get(MAGIC.len()..FRONT).and_then(|length| <[u8; 4]>::try_from(length).ok()) else {
        return Ok(FRONT - front.len());
    };
    let length = usize::try_from(u32::from_le_bytes(length)).unwrap_or(usize::MAX);
    if length > INDEX_MAX {
        return Err(BundleError::Index(format!("{length} bytes")));
    }
    Ok(FRONT + length - front.len())
}

/// The first `most` of `bytes`, or fewer; the rest stays.
fn take<'b>(bytes: &mut &'b [u8], most: u64) -> &'b [u8] {
    let most = usize::try_from(most).unwrap_or(usize::MAX).min(bytes.len());
    let (taken, rest) = bytes.split_at(most);
    *bytes = rest;
    taken
}

#[cfg(test)]
mod tests;
