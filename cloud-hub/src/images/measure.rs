//! What a layer is: its blob's digest, and digest, size and recipe of the tar inside, found by inflating it once.
//!
//! Nothing is kept: bytes go through two hashers and a cutter, the tar's headers through [`Walk`]. Memory is bounded by the
//! decoder's window and the recipe, time by the limits: a bomb stops at the first byte too many.

use std::io::{self, Read};

use flate2::read::MultiGzDecoder;
use sha2::{Digest as _, Sha256};
use shared::id::Digest;
use shared::recipe::cut::RecipeMaker;
use shared::release::{Blob, Compression, Layer};

use super::walk::{Forward, Kind, Walk, WalkError};
use super::{ImageError, Limits, OnProgress, Progress, Step};

/// Largest window of a zstd layer, as a power of two: 32 MiB. RFC 8878 asks decoders for 8 MiB; `--long` layers that
/// need more would cost every node that memory.
pub const ZSTD_WINDOW_LOG: u32 = 25;
/// Bytes between two progress calls.
const PROGRESS_STEP: u64 = 1 << 20;
/// Every layer may grow to this whatever its ratio, in bytes.
const FREE_GROWTH: u64 = 1 << 30;
/// Bytes of a tar that are read at once where nobody looks into them.
const STEP: usize = 64 << 10;

/// What else is done with a layer's tar while it is read.
pub trait Tap {
    /// The next bytes; an error ends the reading.
    fn bytes(&mut self, bytes: &[u8]) -> io::Result<()>;
    /// A regular file with data: its path, the byte of the tar where they begin, and their number.
    fn file(&mut self, path: Vec<u8>, offset: u64, length: u64);
}

impl Tap for RecipeMaker {
    fn bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.push(bytes);
        Ok(())
    }
    fn file(&mut self, _: Vec<u8>, _: u64, _: u64) {}
}

/// Reads a layer to its end and says what it is. The blob must be `blob`; `diff_id` is for the caller to compare.
pub(super) fn measure(
    blob: Blob,
    compression: Compression,
    reader: &mut (dyn Read + Send),
    limits: &Limits,
    progress: OnProgress<'_>,
) -> Result<Layer, ImageError> {
    let mut raw = Raw { reader, blob, hasher: Some(Sha256::new()), count: 0, told: 0, failed: None, progress };
    let mut recipe = RecipeMaker::default();
    let walked = inflate(&mut raw, compression, limits, &mut recipe);
    // A bomb is not read further; anything else is: whether the bytes are the promised ones comes first.
    if let Err(error @ ImageError::Bomb { .. }) = walked {
        return Err(error);
    }
    raw.drain()?;
    raw.verify()?;
    Ok(Layer { blob, compression, tar: walked?, recipe: recipe.finish().id() })
}

/// Reads the tar of a layer that was measured before and shows it to `tap`; it must still be `layer.tar`. The sha256 of
/// the blob is not compared: that of the tar says it all.
pub fn read_tar(
    layer: &Layer,
    reader: &mut (dyn Read + Send),
    limits: &Limits,
    tap: &mut (dyn Tap + Send),
) -> Result<(), ImageError> {
    let blob = layer.blob;
    let mut raw = Raw { reader, blob, hasher: None, count: 0, told: 0, failed: None, progress: &super::quiet };
    let walked = inflate(&mut raw, layer.compression, limits, tap);
    if let Some(error) = raw.failed.take() {
        return Err(ImageError::io("reading a layer", error));
    }
    let found = walked?;
    let Blob { digest: expected, size } = layer.tar;
    if found.digest != expected {
        return Err(ImageError::WrongDiffId { layer: blob.digest, expected, found: found.digest });
    }
    if found.size == size { Ok(()) } else { Err(ImageError::WrongSize { digest: expected, expected: size, found: found.size }) }
}

fn inflate(raw: &mut Raw<'_>, compression: Compression, limits: &Limits, tap: &mut (dyn Tap + Send)) -> Result<Blob, ImageError> {
    let blob = raw.blob;
    let max = limits.tar.min(blob.size.saturating_mul(limits.ratio).saturating_add(FREE_GROWTH));
    let decoder: Box<dyn Read + '_> = match compression {
        Compression::None => Box::new(raw),
        Compression::Gzip => Box::new(MultiGzDecoder::new(raw)),
        Compression::Zstd => {
            let mut decoder = zstd::Decoder::new(raw).map_err(|error| ImageError::io("making a zstd decoder", error))?;
            decoder.window_log_max(ZSTD_WINDOW_LOG).map_err(|error| ImageError::io("making a zstd decoder", error))?;
            Box::new(decoder)
        }
    };
    let mut tar = Tar { reader: decoder, hasher: Sha256::new(), count: 0, max, tap, step: vec![0; STEP] };
    let walked = walk(&mut tar, limits.files);
    if tar.count > max {
        return Err(ImageError::Bomb { layer: blob.digest, max });
    }
    match walked {
        Ok(()) => Ok(Blob { digest: Digest::from_bytes(tar.hasher.finalize().into()), size: tar.count }),
        Err(WalkError::TooMany) => {
            Err(ImageError::TooMany { what: format!("layer {}", blob.digest), of: "files", max: limits.files })
        }
        Err(WalkError::Bad { at, why }) => {
            Err(ImageError::BadLayer { layer: blob.digest, why: format!("its tar is damaged at byte {at}: {why}") })
        }
        Err(WalkError::Io(error)) => Err(ImageError::BadLayer { layer: blob.digest, why: error.to_string() }),
    }
}

/// Looks at every header, then reads what follows the end mark, because the diff_id covers it.
fn walk(tar: &mut Tar<'_>, files: u64) -> Result<(), WalkError> {
    let mut walk = Walk::new(&mut *tar, files);
    while let Some(member) = walk.next()? {
        if member.kind == Kind::File && member.size > 0 {
            walk.reader().tap.file(member.name, member.at, member.size);
        }
    }
    tar.pass(u64::MAX).map(drop).map_err(WalkError::Io)
}

/// The blob's own bytes.
struct Raw<'r> {
    reader: &'r mut (dyn Read + Send),
    blob: Blob,
    /// None: nobody wants to know the digest.
    hasher: Option<Sha256>,
    count: u64,
    told: u64,
    failed: Option<io::Error>,
    progress: OnProgress<'r>,
}

impl Read for Raw<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.reader.read(buffer).inspect_err(|error| self.failed = Some(error.kind().into()))?;
        if let Some(hasher) = &mut self.hasher {
            hasher.update(buffer.get(..read).unwrap_or_default());
        }
        self.count += read as u64;
        if self.count >= self.told.saturating_add(PROGRESS_STEP) || read == 0 {
            self.told = self.count;
            let Blob { digest, size } = self.blob;
            (self.progress)(Progress { step: Step::Check, blob: digest, done: self.count.min(size), total: size });
        }
        Ok(read)
    }
}

impl Raw<'_> {
    /// Reads to the end, but not far beyond the promised size.
    fn drain(&mut self) -> Result<(), ImageError> {
        let left = self.blob.size.saturating_add(1).saturating_sub(self.count);
        let drained = io::copy(&mut self.take(left), &mut io::sink());
        match (drained, self.failed.take()) {
            (Err(error), _) | (Ok(_), Some(error)) => Err(ImageError::io("reading a layer", error)),
            (Ok(_), None) => Ok(()),
        }
    }

    fn verify(&mut self) -> Result<(), ImageError> {
        let Blob { digest, size } = self.blob;
        if self.count != size {
            return Err(ImageError::WrongSize { digest, expected: size, found: self.count });
        }
        let found = self.hasher.take().map_or(digest, |hasher| Digest::from_bytes(hasher.finalize().into()));
        if found != digest { Err(ImageError::WrongDigest { expected: digest, found }) } else { Ok(()) }
    }
}

/// The uncompressed bytes.
struct Tar<'r> {
    reader: Box<dyn Read + 'r>,
    hasher: Sha256,
    count: u64,
    max: u64,
    tap: &'r mut (dyn Tap + Send),
    step: Vec<u8>,
}

impl Tar<'_> {
    /// Reads `bytes` bytes or up to the end; how many there were.
    fn pass(&mut self, bytes: u64) -> io::Result<u64> {
        let mut step = std::mem::take(&mut self.step);
        let mut left = bytes;
        let passed = loop {
            let wanted = usize::try_from(left).unwrap_or(usize::MAX).min(step.len());
            match self.read(step.get_mut(..wanted).unwrap_or_default()) {
                Ok(0) => break Ok(bytes - left),
                Ok(read) => left -= read as u64,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => break Err(error),
            }
        };
        self.step = step;
        passed
    }
}

impl Read for Tar<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.reader.read(buffer)?;
        self.count += read as u64;
        if self.count > self.max {
            return Err(io::Error::other("too large"));
        }
        let bytes = buffer.get(..read).unwrap_or_default();
        self.hasher.update(bytes);
        self.tap.bytes(bytes)?;
        Ok(read)
    }
}

impl Forward for Tar<'_> {
    fn skip(&mut self, bytes: u64) -> io::Result<()> {
        let skipped = self.pass(bytes)?;
        if skipped < bytes { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use shared::recipe::Recipe;

    use super::*;
    use crate::images::{quiet, samples};

    fn limits() -> Limits {
        Limits { tar: 4 << 20, files: 100, ..Limits::default() }
    }

    fn check(bytes: &[u8], compression: Compression) -> Result<Layer, ImageError> {
        let blob = Blob { digest: Digest::of(bytes), size: bytes.len() as u64 };
        measure(blob, compression, &mut &bytes[..], &limits(), &quiet)
    }

    #[test]
    fn all_three_forms_have_the_same_tar_inside() {
        let tar = samples::tar(&[("bin/app", &[7; 100_000]), ("etc/x", b"y")]);
        let (gzip, zstd) = (samples::gzip(&tar), samples::zstd(&tar, 3));
        let two_members = [samples::gzip(&tar[..5000]), samples::gzip(&tar[5000..])].concat();
        for (bytes, compression) in
            [(&tar, Compression::None), (&gzip, Compression::Gzip), (&two_members, Compression::Gzip), (&zstd, Compression::Zstd)]
        {
            let layer = check(bytes, compression).unwrap();
            assert_eq!(layer.tar, Blob { digest: Digest::of(&tar), size: tar.len() as u64 }, "{compression:?}");
            assert_eq!(layer.blob.digest, Digest::of(bytes));
            assert_eq!(layer.recipe, Recipe::of(&tar).id(), "{compression:?}");
        }
        assert_eq!(check(&samples::gzip(b""), Compression::Gzip).unwrap().tar.size, 0);
    }

    #[test]
    fn layers_that_are_not_what_they_say_are_named() {
        let tar = samples::tar(&[("a", b"1")]);
        let gzip = samples::gzip(&tar);
        let many: Vec<(String, &[u8])> = (0..101).map(|n| (n.to_string(), &b""[..])).collect();
        let many: Vec<(&str, &[u8])> = many.iter().map(|(name, data)| (name.as_str(), *data)).collect();
        let nested = samples::gzip(&gzip);
        for (bytes, compression, expected) in [
            (tar.clone(), Compression::Gzip, "BadLayer"),
            (gzip.clone(), Compression::None, "BadLayer"),
            (gzip.clone(), Compression::Zstd, "BadLayer"),
            (nested, Compression::Gzip, "BadLayer"),
            (gzip[..gzip.len() - 9].to_vec(), Compression::Gzip, "BadLayer"),
            ([gzip.as_slice(), b"trailing"].concat(), Compression::Gzip, "BadLayer"),
            (samples::gzip(&samples::tar(&many)), Compression::Gzip, "TooMany"),
            (samples::zstd_long(&tar, 27), Compression::Zstd, "BadLayer"),
            (samples::gzip(&vec![0; (4 << 20) + 1]), Compression::Gzip, "Bomb"),
            (samples::zstd(&vec![0; (4 << 20) + 1], 3), Compression::Zstd, "Bomb"),
        ] {
            let result = format!("{:?}", check(&bytes, compression));
            assert!(result.starts_with(&format!("Err({expected}")), "{expected}: {result}");
        }
    }

    /// H07: whatever bit flips, it is the digest that is wrong, not some detail of gzip.
    #[test]
    fn every_flipped_bit_is_a_wrong_digest() {
        let bytes = samples::gzip(&samples::tar(&[("a", b"some text"), ("b", &[3; 2000])]));
        let blob = Blob { digest: Digest::of(&bytes), size: bytes.len() as u64 };
        for at in 0..bytes.len() {
            let mut flipped = bytes.clone();
            flipped[at] ^= 1 << (at % 8);
            let error = measure(blob, Compression::Gzip, &mut &flipped[..], &limits(), &quiet).unwrap_err();
            assert!(matches!(error, ImageError::WrongDigest { .. }), "byte {at}: {error:?}");
        }
        for length in [0, 1, bytes.len() - 1] {
            let error = measure(blob, Compression::Gzip, &mut &bytes[..length], &limits(), &quiet).unwrap_err();
            assert!(matches!(error, ImageError::WrongSize { .. }), "{length}: {error:?}");
        }
    }

    /// H09: 10 GiB of zeros in 10 MB stop at the ratio, long before the limit of the tar.
    #[test]
    fn a_bomb_stops_at_the_ratio() {
        let zeros = samples::gzip(&vec![0; 64 << 20]);
        let blob = Blob { digest: Digest::of(b""), size: zeros.len() as u64 };
        let limits = Limits { ratio: 1, tar: 8 << 20, ..Limits::default() };
        let error = measure(blob, Compression::Gzip, &mut &zeros[..], &limits, &quiet).unwrap_err();
        assert!(matches!(error, ImageError::Bomb { max, .. } if max == 8 << 20), "{error:?}");
    }
}
