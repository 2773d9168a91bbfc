//! How the bytes of a run travel.

use serde::{Deserialize, Serialize};
use zstd::zstd_safe::{CCtx, CParameter, DCtx, get_error_name};

use super::{REFERENCES_MAX, RUN_MAX, bsdiff};

/// Level of what travels. Level 3 made runs 2.3 times as large, level 15 gained 1 % at seven times the work.
const LEVEL: i32 = 10;
/// The window that covers references and run: no smaller one sees all of them, a larger one sees nothing more.
const WINDOW_LOG: u32 = (REFERENCES_MAX + RUN_MAX).next_power_of_two().trailing_zeros();

/// The table in which zstd looks for matches has 2^20 places. 2^22, as it takes by itself, found 0.1 % more and took half as
/// much time again, most of it waiting for memory; 2^19 made some runs much larger.
const HASH_LOG: u32 = 20;
/// Of a program no other codec is tried when its differences are so small a part of it.
const SMALL: usize = 8;

/// How the body of a run is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Codec {
    /// The bytes themselves.
    Raw,
    /// One zstd frame, with the referenced bytes as its prefix.
    Zstd,
    /// Differences to the referenced bytes ([`bsdiff`]).
    Bsdiff,
}

/// What a run holds, as far as it decides which codec is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A part of a program or library: in a rebuilt one addresses have moved everywhere.
    Program,
    /// Anything else.
    Other,
}

/// Why a body could not be turned into its run.
#[derive(Debug, thiserror::Error)]
pub enum CodecError {
    /// Not a zstd frame of this run.
    #[error("zstd: {0}")]
    Zstd(&'static str),
    /// Not the differences of this run.
    #[error(transparent)]
    Bsdiff(#[from] bsdiff::BsdiffError),
    /// Another number of bytes.
    #[error("{got} bytes in place of {expected}")]
    Size {
        /// What came out.
        got: usize,
        /// What was announced.
        expected: usize,
    },
}

/// A small body that turns `references` into `run`, and its codec. For a program differences are tried first, and nothing
/// else when they are small; for anything else only zstd. Trying everything made the patch of a Debian base image 0.8 %
/// smaller in twice the time.
pub fn encode(references: &[u8], run: &[u8], kind: Kind) -> (Codec, Vec<u8>) {
    let bsdiff = (kind == Kind::Program && !references.is_empty()).then(|| bsdiff::encode(references, run));
    let best = match bsdiff {
        Some(bsdiff) if bsdiff.len() * SMALL <= run.len() => return (Codec::Bsdiff, bsdiff),
        Some(bsdiff) => match zstd(references, run) {
            // Decoding differences takes longer: only where they win clearly.
            Some(zstd) if zstd.len() * 9 < bsdiff.len() * 10 => (Codec::Zstd, zstd),
            Some(_) | None => (Codec::Bsdiff, bsdiff),
        },
        None => (Codec::Zstd, zstd(references, run).unwrap_or_else(|| run.to_vec())),
    };
    if best.1.len() < run.len() { best } else { (Codec::Raw, run.to_vec()) }
}

/// The `size` bytes of a run; the caller has checked `size` against [`RUN_MAX`] and `references` against
/// [`REFERENCES_MAX`].
pub fn decode(codec: Codec, references: &[u8], body: &[u8], size: usize) -> Result<Vec<u8>, CodecError> {
    let run = match codec {
        Codec::Raw => body.to_vec(),
        Codec::Zstd => unzstd(references, body, size)?,
        Codec::Bsdiff => bsdiff::decode(references, body, size)?,
    };
    if run.len() == size { Ok(run) } else { Err(CodecError::Size { got: run.len(), expected: size }) }
}

/// `None` when zstd refuses, which it does for want of memory only.
fn zstd(prefix: &[u8], run: &[u8]) -> Option<Vec<u8>> {
    let mut context = CCtx::try_create()?;
    context.set_parameter(CParameter::CompressionLevel(LEVEL)).ok()?;
    context.set_parameter(CParameter::WindowLog(WINDOW_LOG)).ok()?;
    context.set_parameter(CParameter::HashLog(HASH_LOG)).ok()?;
    context.set_parameter(CParameter::ChecksumFlag(false)).ok()?;
    context.ref_prefix(prefix).ok()?;
    let mut body = Vec::with_capacity(zstd::zstd_safe::compress_bound(run.len()));
    context.compress2(&mut body, run).ok()?;
    Some(body)
}

/// Decodes in one go into `size` bytes: no window is allocated, whatever the frame declares.
fn unzstd(prefix: &[u8], body: &[u8], size: usize) -> Result<Vec<u8>, CodecError> {
    let mut context = DCtx::try_create().ok_or(CodecError::Zstd("no memory"))?;
    let failed = |code| CodecError::Zstd(get_error_name(code));
    context.ref_prefix(prefix).map_err(failed)?;
    let mut run = Vec::with_capacity(size);
    context.decompress(&mut run, body).map_err(failed)?;
    Ok(run)
}
