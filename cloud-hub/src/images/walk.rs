//! Reads the headers of a tar, one member after the other, without extracting anything.
//!
//! Follows what Go's `archive/tar` does where programs differ, because that is what containerd unpacks layers with:
//! links, devices and directories have no data whatever their size field says; a PAX size beats the header's. Extension
//! headers are read into memory up to [`EXTENSION_MAX`], names up to [`NAME_MAX`].

use std::io::{self, Read};

use tar::{EntryType, Header, PaxExtensions};

/// Longest name of a member, in bytes: Linux' PATH_MAX without its NUL.
pub(super) const NAME_MAX: usize = 4095;
/// Most directories a name goes down.
const DEPTH_MAX: usize = 256;
/// Largest extension header, in bytes (Go's bound).
const EXTENSION_MAX: u64 = 1 << 20;
const BLOCK: u64 = 512;

/// A reader that can leave bytes out.
pub(super) trait Forward: Read {
    /// Goes `bytes` forward; the end of the input on the way is an error.
    fn skip(&mut self, bytes: u64) -> io::Result<()>;
}

/// One member of a tar.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Member {
    /// Its name as it stands there.
    pub(super) name: Vec<u8>,
    /// What it is.
    pub(super) kind: Kind,
    /// Byte of the archive where its data begins.
    pub(super) at: u64,
    /// Bytes of data.
    pub(super) size: u64,
}

/// What a member is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    File,
    /// To a name beside it.
    Symlink(Vec<u8>),
    /// To a name of the archive.
    Hardlink(Vec<u8>),
    /// Directory, device and so on.
    Other,
}

/// Why a tar was not read on.
#[derive(Debug)]
pub(super) enum WalkError {
    /// Its bytes are no tar here.
    Bad { at: u64, why: String },
    /// It has more members than allowed.
    TooMany,
    /// The reader failed.
    Io(io::Error),
}

/// Goes through a tar.
#[derive(Debug)]
pub(super) struct Walk<R> {
    reader: R,
    at: u64,
    /// Data and padding of the last member.
    skip: u64,
    members: u64,
    max: u64,
}

/// What extension headers say about the member behind them.
#[derive(Default)]
struct Extensions {
    name: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    size: Option<u64>,
}

impl<R: Forward> Walk<R> {
    /// Begins at the first byte; refuses more than `max` headers.
    pub(super) const fn new(reader: R, max: u64) -> Self {
        Self { reader, at: 0, skip: 0, members: 0, max }
    }

    /// What it reads from.
    pub(super) const fn reader(&mut self) -> &mut R {
        &mut self.reader
    }

    /// The next member; `None` at the end.
    pub(super) fn next(&mut self) -> Result<Option<Member>, WalkError> {
        let mut extensions = Extensions::default();
        loop {
            let Some(block) = self.header()? else { return Ok(None) };
            let header = Header::from_byte_slice(&block);
            self.check(&block, header)?;
            let kind = header.entry_type();
            if kind.is_gnu_longname() {
                extensions.name = Some(until_nul(self.extension(header)?));
            } else if kind.is_gnu_longlink() {
                extensions.link = Some(until_nul(self.extension(header)?));
            } else if kind.is_pax_local_extensions() {
                let bytes = self.extension(header)?;
                self.pax(&bytes, &mut extensions)?;
            } else if kind.is_pax_global_extensions() {
                self.extension(header)?;
            } else {
                return self.member(header, extensions).map(Some);
            }
        }
    }

    /// The next header block behind the last member's data.
    fn header(&mut self) -> Result<Option<[u8; BLOCK as usize]>, WalkError> {
        let skip = std::mem::take(&mut self.skip);
        self.reader.skip(skip).map_err(|error| self.ended(error))?;
        self.at += skip;
        let Some(block) = self.block()? else { return Ok(None) };
        if block.iter().any(|byte| *byte != 0) {
            self.members += 1;
            return if self.members > self.max { Err(WalkError::TooMany) } else { Ok(Some(block)) };
        }
        match self.block()? {
            Some(second) if second.iter().any(|byte| *byte != 0) => Err(self.bad("something follows half an end mark")),
            Some(_) | None => Ok(None),
        }
    }

    /// The next 512 bytes; `None` when the input ends before them.
    fn block(&mut self) -> Result<Option<[u8; BLOCK as usize]>, WalkError> {
        let mut block = [0; BLOCK as usize];
        let mut have = 0;
        while let Some(rest) = block.get_mut(have..).filter(|rest| !rest.is_empty()) {
            match self.reader.read(rest) {
                Ok(0) if have == 0 => return Ok(None),
                Ok(0) => return Err(self.bad("it ends within a header")),
                Ok(read) => have += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(WalkError::Io(error)),
            }
        }
        self.at += BLOCK;
        Ok(Some(block))
    }

    /// Whether the block is a header: its checksum says so.
    fn check(&self, block: &[u8; BLOCK as usize], header: &Header) -> Result<(), WalkError> {
        let sum = |(at, byte): (usize, &u8)| u32::from(if (148..156).contains(&at) { b' ' } else { *byte });
        let found: u32 = block.iter().enumerate().map(sum).sum();
        match header.cksum() {
            Ok(expected) if expected == found => Ok(()),
            Ok(_) | Err(_) => Err(self.bad("the checksum of a header is wrong")),
        }
    }

    /// The data of an extension header.
    fn extension(&mut self, header: &Header) -> Result<Vec<u8>, WalkError> {
        let size = header.entry_size().map_err(|_| self.bad("a size is no number"))?;
        if size > EXTENSION_MAX {
            return Err(self.bad("an extension header is larger than 1 MiB"));
        }
        let mut bytes = Vec::new();
        (&mut self.reader).take(size).read_to_end(&mut bytes).map_err(WalkError::Io)?;
        if (bytes.len() as u64) < size {
            return Err(self.bad("it ends within an extension header"));
        }
        self.at += size;
        self.skip = padding(size);
        Ok(bytes)
    }

    fn pax(&self, bytes: &[u8], extensions: &mut Extensions) -> Result<(), WalkError> {
        for record in PaxExtensions::new(bytes) {
            let record = record.map_err(|_| self.bad("an extension header is malformed"))?;
            match record.key_bytes() {
                b"path" => extensions.name = Some(record.value_bytes().to_vec()),
                b"linkpath" => extensions.link = Some(record.value_bytes().to_vec()),
                b"size" => {
                    let number = record.value().ok().and_then(|text| text.parse().ok());
                    extensions.size = Some(number.ok_or_else(|| self.bad("a size is no number"))?);
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn member(&mut self, header: &Header, extensions: Extensions) -> Result<Member, WalkError> {
        let name = extensions.name.unwrap_or_else(|| header.path_bytes().into_owned());
        self.check_name(&name)?;
        let link = || extensions.link.clone().or_else(|| header.link_name_bytes().map(Into::into)).unwrap_or_default();
        let entry_type = header.entry_type();
        let kind = match entry_type.as_byte() {
            0 | b'0' | b'7' | b'S' => Kind::File,
            b'1' => Kind::Hardlink(link()),
            b'2' => Kind::Symlink(link()),
            _ => Kind::Other,
        };
        let size = match entry_type.as_byte() {
            b'1'..=b'6' => 0,
            _ => extensions.size.map_or_else(|| header.entry_size(), Ok).map_err(|_| self.bad("a size is no number"))?,
        };
        self.sparse(header, entry_type)?;
        self.skip = size.checked_add(padding(size)).ok_or_else(|| self.bad("a size is too large"))?;
        Ok(Member { name, kind, at: self.at, size })
    }

    /// Old GNU sparse files have further blocks of their map behind the header.
    fn sparse(&mut self, header: &Header, entry_type: EntryType) -> Result<(), WalkError> {
        let mut more = entry_type.is_gnu_sparse() && header.as_gnu().is_some_and(tar::GnuHeader::is_extended);
        while more {
            let block = self.block()?.ok_or_else(|| self.bad("it ends within a header"))?;
            self.members += 1;
            if self.members > self.max {
                return Err(WalkError::TooMany);
            }
            more = block.get(504) == Some(&1);
        }
        Ok(())
    }

    fn check_name(&self, name: &[u8]) -> Result<(), WalkError> {
        if name.len() > NAME_MAX {
            return Err(self.bad("a name is longer than 4,095 bytes"));
        }
        let depth = name.split(|byte| *byte == b'/').filter(|part| !part.is_empty()).count();
        if depth > DEPTH_MAX { Err(self.bad("a name goes more than 256 directories down")) } else { Ok(()) }
    }

    fn ended(&self, error: io::Error) -> WalkError {
        if error.kind() == io::ErrorKind::UnexpectedEof { self.bad("it ends within a file") } else { WalkError::Io(error) }
    }

    fn bad(&self, why: &str) -> WalkError {
        WalkError::Bad { at: self.at, why: why.into() }
    }
}

impl<R: Forward + ?Sized> Forward for &mut R {
    fn skip(&mut self, bytes: u64) -> io::Result<()> {
        (**self).skip(bytes)
    }
}

const fn padding(size: u64) -> u64 {
    (BLOCK - size % BLOCK) % BLOCK
}

fn until_nul(mut bytes: Vec<u8>) -> Vec<u8> {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    bytes.truncate(end);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::images::samples;

    impl Forward for &[u8] {
        fn skip(&mut self, bytes: u64) -> io::Result<()> {
            *self = self.get(bytes as usize..).ok_or(io::ErrorKind::UnexpectedEof)?;
            Ok(())
        }
    }

    fn names(tar: &[u8], max: u64) -> Result<Vec<String>, String> {
        let mut walk = Walk::new(tar, max);
        let mut names = Vec::new();
        while let Some(member) = walk.next().map_err(|error| format!("{error:?}"))? {
            names.push(format!("{}:{}@{}", String::from_utf8_lossy(&member.name), member.size, member.at));
        }
        Ok(names)
    }

    #[test]
    fn members_are_found_with_their_places() {
        let long = "d/".repeat(150) + "f";
        let tar = samples::tar(&[("a", b"12"), (long.as_str(), b""), ("b", &[7; 513])]);
        let found = names(&tar, 99).unwrap();
        assert_eq!((found[0].as_str(), found.len()), ("a:2@512", 3));
        assert!(found[1].starts_with(&long));
        assert!(found[2].starts_with("b:513@"));
        assert_eq!(names(b"", 9).unwrap(), [""; 0], "nothing is an empty tar");
        assert_eq!(names(&[0; 1024], 9).unwrap(), [""; 0]);
        assert_eq!(names(&[0; 512], 9).unwrap(), [""; 0]);
    }

    #[test]
    fn hostile_tars_end_with_a_reason() {
        let good = samples::tar(&[("a", &[1; 600]), ("b", b"2")]);
        let with = |change: &dyn Fn(&mut Vec<u8>)| {
            let mut tar = good.clone();
            change(&mut tar);
            tar
        };
        let pax = |key: &str, value: &str| samples::tar_with_pax(&[(key, value)], "a", b"x");
        let deep = "d/".repeat(300);
        for (tar, expected) in [
            (with(&|tar| tar.truncate(700)), "ends within a file"),
            (with(&|tar| tar.truncate(1600)), "ends within a header"),
            (with(&|tar| tar[3] ^= 1), "checksum"),
            (with(&|tar| tar[1540] ^= 1), "checksum"),
            (with(&|tar| tar.splice(1536..1536, [0; 512]).for_each(drop)), "half an end mark"),
            (pax("size", "18446744073709551615"), "too large"),
            (pax("size", "9223372036854775807"), "ends within a file"),
            (pax("size", "-1"), "no number"),
            (pax("path", &"x".repeat(4096)), "4,095"),
            (pax("path", &deep), "256 directories"),
            (pax("comment", &"x".repeat(1 << 20)), "1 MiB"),
        ] {
            let error = names(&tar, 99).unwrap_err();
            assert!(error.contains(expected), "{expected}: {error}");
        }
        assert_eq!(names(&good, 1).unwrap_err(), "TooMany");
    }

    #[test]
    fn every_prefix_ends_in_time() {
        let tar = samples::tar(&[("a", &[1; 600]), ("b", b"2")]);
        for length in 0..tar.len() {
            let _any = names(&tar[..length], 99);
        }
    }
}
