//! From a blob to the bytes of its tar, counted and hashed on the way, and never more than were signed.

use std::fs::File;
use std::io::{self, BufReader, Read};

use flate2::bufread::MultiGzDecoder;
use sha2::{Digest as _, Sha256};
use shared::id::Digest;
use shared::release::{Blob, Compression};

use super::{Stop, Why};

/// Largest window of a zstd frame, as a power of two: 32 MiB. Builders use up to 8 MiB at their usual levels and
/// 32 MiB at their best; RFC 8878 asks decoders for 8 MiB. The decoder's memory is what the frame declares.
const ZSTD_WINDOW_LOG_MAX: u32 = 25;
/// Bytes read from the blob at once.
const BUFFER: usize = 128 << 10;

/// The tar inside a blob.
pub(super) struct Decoded {
    reader: Box<dyn Read>,
    hasher: Sha256,
    seen: u64,
    signed: Blob,
    stop: Stop,
}

impl Decoded {
    pub(super) fn new(blob: File, compression: Compression, signed: Blob, stop: Stop) -> Result<Self, Why> {
        let file = BufReader::with_capacity(BUFFER, blob);
        let reader: Box<dyn Read> = match compression {
            Compression::None => Box::new(file),
            Compression::Gzip => Box::new(MultiGzDecoder::new(file)),
            Compression::Zstd => {
                let mut decoder = zstd::stream::read::Decoder::with_buffer(file).map_err(Why::Broken)?;
                decoder.window_log_max(ZSTD_WINDOW_LOG_MAX).map_err(Why::Broken)?;
                Box::new(decoder)
            }
        };
        Ok(Self { reader, hasher: Sha256::new(), seen: 0, signed, stop })
    }

    /// Bytes read so far.
    pub(super) const fn seen(&self) -> u64 {
        self.seen
    }

    /// Reads some bytes; 0 at the end. The byte after the signed size is an error, however it was compressed.
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Why> {
        if self.stop.asked() {
            return Err(Why::Stopped);
        }
        let n = match self.reader.read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return self.read(buffer),
            Err(cause) if cause.raw_os_error().is_some() => {
                return Err(Why::Io { doing: "reading", entry: "the blob".into(), cause });
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
