//! The list of a layer's files as it lies on disk: a version byte and one zstd frame with a checksum, in which the files
//! stand in postcard.

use std::io::{self, Read};

use shared::recipe::draft::File;

const VERSION: u8 = 1;
const LEVEL: i32 = 3;
/// Most bytes of a list before it is compressed.
pub(super) const LIST_MAX: u64 = 64 << 20;

/// The bytes of a list.
pub(super) fn encode(files: &[File]) -> io::Result<Vec<u8>> {
    let plain = postcard::to_stdvec(files).map_err(io::Error::other)?;
    let mut encoder = zstd::Encoder::new(vec![VERSION], LEVEL)?;
    encoder.include_checksum(true)?;
    io::copy(&mut plain.as_slice(), &mut encoder)?;
    encoder.finish()
}

/// The list; `None` when the bytes are none.
pub(super) fn decode(bytes: &[u8]) -> Option<Vec<File>> {
    let frame = bytes.strip_prefix(&[VERSION])?;
    let mut plain = Vec::new();
    zstd::Decoder::with_buffer(frame).ok()?.take(LIST_MAX).read_to_end(&mut plain).ok()?;
    match postcard::take_from_bytes(&plain) {
        Ok((files, [])) => Some(files),
        Ok(_) | Err(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_comes_back_and_a_damaged_one_is_none() {
        let files: Vec<File> =
            (0..500).map(|n| File { path: format!("usr/lib/{n}").into(), offset: n * 1024, length: n + 1 }).collect();
        let bytes = encode(&files).unwrap();
        assert!(decode(&bytes).as_ref() == Some(&files));
        assert_eq!(decode(&encode(&[]).unwrap()), Some(Vec::new()));
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 4;
            // Not every bit of a frame's header matters.
            assert!(decode(&damaged).is_none_or(|found| found == files), "byte {at}");
            assert!(decode(&bytes[..at]).is_none(), "{at} bytes");
        }
    }
}
