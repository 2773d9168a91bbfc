//! The bytes of a tar, counted and hashed on the way, and never more than were signed.

use std::io::{self, Read};

use sha2::{Digest as _, Sha256};
use shared::id::Digest;
use shared::release::Blob;
use shared::rot::is_rot;

use super::{Stop, Why};

/// Bytes read at once when nobody looks at them.
const BUFFER: usize = 128 << 10;

/// A tar that must be the signed one.
pub(super) struct Signed {
    reader: Box<dyn Read>,
    hasher: Sha256,
    seen: u64,
    signed: Blob,
    stop: Stop,
}

impl Signed {
    pub(super) fn new(signed: Blob, tar: impl Read + 'static, stop: &Stop) -> Self {
        Self { reader: Box::new(tar), hasher: Sha256::new(), seen: 0, signed, stop: stop.clone() }
    }

    /// Bytes read so far.
    pub(super) const fn seen(&self) -> u64 {
        self.seen
    }

    /// Reads some bytes; 0 at the end. The byte after the signed size is an error.
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Why> {
        if self.stop.is_asked() {
            return Err(Why::Stopped);
        }
        let n = match self.reader.read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return self.read(buffer),
            Err(cause) if cause.raw_os_error().is_some() && !is_rot(&cause) => {
                return Err(Why::Io { doing: "reading", entry: "the pack".into(), cause });
            }
            read => read.map_err(Why::Broken)?,
        };
        self.seen += n as u64;
        if self.seen > self.signed.size {
            return Err(Why::Longer(self.signed));
        }
        self.hasher.update(buffer.get(..n).unwrap_or_default());
        Ok(n)
    }

    /// Fills as much of `buffer` as there is.
    pub(super) fn fill(&mut self, buffer: &mut [u8]) -> Result<usize, Why> {
        let mut filled = 0;
        while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match self.read(rest)? {
                0 => break,
                n => filled += n,
            }
        }
        Ok(filled)
    }

    /// Reads what follows the tar's end mark and checks the whole.
    pub(super) fn finish(mut self) -> Result<(), Why> {
        let mut buffer = vec![0; BUFFER];
        while self.read(&mut buffer)? > 0 {}
        let got = Blob { digest: Digest::from_bytes(self.hasher.finalize().into()), size: self.seen };
        if got == self.signed { Ok(()) } else { Err(Why::Differs { got, signed: self.signed }) }
    }
}
