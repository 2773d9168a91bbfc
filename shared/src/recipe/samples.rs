//! Bytes for tests.

use std::convert::Infallible;

use super::cut::Cutter;
use super::draft::File;
use super::make::Source;
use super::pack::{Pack, PackWriter};
use crate::id::Digest;
use crate::release::Blob;

/// Random bytes that do not compress, the same for the same seed.
pub(super) fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    std::iter::repeat_with(&mut next).flatten().take(length).collect()
}

/// The pack of a tar, as bytes.
pub(super) fn pack(tar: &[u8]) -> Vec<u8> {
    let mut writer = PackWriter::new(Vec::new()).unwrap();
    let mut cutter = Cutter::default();
    let mut put = |chunk: &[u8]| {
        writer.put(chunk).unwrap();
        Ok::<(), Infallible>(())
    };
    cutter.push(tar, &mut put).unwrap();
    cutter.finish(&mut put).unwrap();
    writer.finish(Blob { digest: Digest::of(tar), size: tar.len() as u64 }).unwrap()
}

pub(super) fn open(pack: Vec<u8>) -> Pack<Vec<u8>> {
    let length = pack.len() as u64;
    Pack::open(pack, length).unwrap()
}

/// A layer of one file.
pub(super) fn source(tar: &[u8]) -> Source<Vec<u8>> {
    let files = vec![File { path: b"file".into(), offset: 0, length: tar.len() as u64 }];
    Source { pack: open(pack(tar)), files }
}

pub(super) fn tar_of(mut pack: Pack<Vec<u8>>) -> Vec<u8> {
    let mut tar = Vec::new();
    let size = u32::try_from(pack.recipe().size()).unwrap();
    pack.read(0, size, &mut tar).unwrap();
    tar
}
