//! Executables out of their older builds: tolerant matching as bsdiff does it, with a model of what moves.
//!
//! A rebuilt program differs from the one before in few places, but everything behind them has moved, and with it
//! every displacement in the code and every address in its tables. So a body tells
//!
//! 1. which ranges of `new` are **copies** of which ranges of `old` (`matching`),
//! 2. for every displacement that machine code holds in a copy (`sites`) whether the guess is right that is made from
//!    where its target went (`shifts`), and else what it is,
//! 3. the **fixes**: other words and bytes of the copies that are changed, guessed from the ones before (`model`),
//! 4. the **literals**: what is no copy.
//!
//! Guesses are nearly always right, and a bit that says so costs a hundredth of a bit in a range coder (`coder`).
//! No disassembly and no symbol is needed; data that is no code costs some bits and is rebuilt all the same.
//!
//! # Body
//!
//! | bytes | what |
//! |---|---|
//! | 1..=5 | length of the coded part: 7 bits a byte, the least first, the top bit set on all but the last |
//! | as many | the coded part; zeros at its end are left out |
//! | the rest | the literals in order: as they are if exactly as many bytes as are missing are left, else one zstd frame |
//!
//! The coded part is one stream of bits, each with the chance that `coder` keeps for its context:
//!
//! 1. the number of copies; for each the literals before it, where it begins in `old` (as a difference to where the
//!    copy before it would go on behind as many bytes as there are literals), and its length less `matching::SHORTEST`;
//! 2. the gap to the first fix;
//! 3. along the copies, whatever comes first: a displacement, or a fix (wide or not, what is added) and the gap to the
//!    next one. Gaps count bytes of copies that are not in displacements.
//!
//! Contexts, tables and the patterns of displacements are part of the format: a change to any of them is a new codec.

mod coder;
mod matching;
mod model;
mod shifts;
mod sites;
#[cfg(test)]
mod tests;

use coder::{Reader, Writer};
use matching::Copy;

/// Why a body does not give the bytes asked for. One that passes may still be the wrong one: who needs to know compares
/// a digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BsdiffError {
    /// It ends within its coded part, or before.
    #[error("the body is cut off")]
    Short,
    /// A copy reaches beyond the old or the new bytes.
    #[error("a copy of the body leaves its window")]
    Copies,
    /// The literals do not unpack to as many bytes as are missing.
    #[error("the literals of the body do not fill the gaps")]
    Literals,
}

/// Level of the literals' compression. They are few.
const LEVEL: i32 = 15;

/// Body that turns `old` into `new`, each at most 1 GiB. Deterministic: same input, same bytes.
///
/// Works best where most of `old` is machine code or tables of an older build of `new`. Memory: about 3 times `old`
/// plus 3 times `new` plus 6 MiB.
pub fn encode(old: &[u8], new: &[u8]) -> Vec<u8> {
    let copies = matching::copies(&sites::skeleton(old), &sites::skeleton(new));
    let fixes = model::fixes(old, new, &copies);
    let mut coder = Writer::new();
    model::copies(&mut coder, &copies, old.len(), new.len());
    model::patch(&mut coder, old, &mut new.to_vec(), &copies, &fixes);
    let coded = coder.finish();

    let mut body = Vec::with_capacity(coded.len() + 8);
    put_length(&mut body, coded.len());
    body.extend(coded);
    body.extend(packed(gaps(&copies, new.len()).flat_map(|(from, to)| new.get(from..to).unwrap_or_default()).copied().collect()));
    body
}

/// Rebuilds `size` bytes from `old` and a `body` of [`encode`].
///
/// The caller bounds `size`. Whatever the body says, memory is at most 4 times `size` plus a quarter of `old` plus 1 MiB,
/// and time is linear in `size` and the length of the body.
pub fn decode(old: &[u8], body: &[u8], size: usize) -> Result<Vec<u8>, BsdiffError> {
    let (coded, packed) = split(body).ok_or(BsdiffError::Short)?;
    let mut coder = Reader::new(coded);
    let copies = model::copies(&mut coder, &[], old.len(), size).ok_or(BsdiffError::Copies)?;
    let missing = gaps(&copies, size).map(|(from, to)| to - from).sum();
    let literals = unpacked(packed, missing).ok_or(BsdiffError::Literals)?;

    let mut out = vec![0; size];
    let mut rest = literals.as_slice();
    for (from, to) in gaps(&copies, size) {
        if let (Some(gap), Some((piece, behind))) = (out.get_mut(from..to), rest.split_at_checked(to - from)) {
            gap.copy_from_slice(piece);
            rest = behind;
        }
    }
    model::patch(&mut coder, old, &mut out, &copies, &[]);
    Ok(out)
}

/// From where to where there are literals: before every copy and behind the last.
fn gaps(copies: &[Copy], size: usize) -> impl Iterator<Item = (usize, usize)> {
    let ends = copies.iter().map(|copy| copy.new + copy.len);
    let begins = copies.iter().map(|copy| copy.new);
    std::iter::once(0).chain(ends).zip(begins.chain([size]))
}

fn packed(literals: Vec<u8>) -> Vec<u8> {
    zstd::bulk::compress(&literals, LEVEL).ok().filter(|packed| packed.len() < literals.len()).unwrap_or(literals)
}

fn unpacked(packed: &[u8], missing: usize) -> Option<Vec<u8>> {
    if packed.len() == missing {
        return Some(packed.to_vec());
    }
    zstd::bulk::decompress(packed, missing).ok().filter(|literals| literals.len() == missing)
}

fn put_length(body: &mut Vec<u8>, mut length: usize) {
    while length > 0x7F {
        body.push(length as u8 | 0x80);
        length >>= 7;
    }
    body.push(length as u8);
}

/// The coded part and the literals of a body.
fn split(body: &[u8]) -> Option<(&[u8], &[u8])> {
    let last = body.iter().take(5).position(|byte| byte & 0x80 == 0)?;
    let (length, rest) = body.split_at_checked(last + 1)?;
    let length = length.iter().rev().fold(0u64, |sum, byte| sum << 7 | u64::from(byte & 0x7F));
    rest.split_at_checked(usize::try_from(length).ok()?)
}
