//! From a stream of bytes to whole packets, holding no memory between two packets.

use bytes::Bytes;

use super::packet::{self, Malformed};

/// Collects the bytes of the packet that is arriving. Grows with the bytes that came, never with a declared length.
#[derive(Default)]
pub struct Framer {
    partial: Vec<u8>,
}

impl Framer {
    /// Takes bytes off the front of `chunk`: how many, and the packet they complete. Without a packet the whole chunk
    /// was taken. `max` is the largest packet accepted at this point, header included.
    pub fn push(&mut self, chunk: &[u8], max: usize) -> Result<(usize, Option<Bytes>), Malformed> {
        if self.partial.is_empty()
            && let Some(total) = packet::length(chunk, max)?
            && let Some(whole) = chunk.get(..total)
        {
            return Ok((total, Some(Bytes::copy_from_slice(whole))));
        }
        let mut used = 0;
        loop {
            let want = match packet::length(&self.partial, max)? {
                Some(total) if total == self.partial.len() => return Ok((used, Some(self.take()))),
                Some(total) => total - self.partial.len(),
                None => 1, // the header, byte by byte
            };
            let rest = chunk.get(used..).unwrap_or_default();
            if rest.is_empty() {
                return Ok((used, None));
            }
            let part = rest.get(..want).unwrap_or(rest);
            self.partial.extend_from_slice(part);
            used += part.len();
        }
    }

    /// The packet in memory of exactly its length.
    fn take(&mut self) -> Bytes {
        Bytes::from(std::mem::take(&mut self.partial).into_boxed_slice())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Feeds `stream` in pieces of `size` bytes.
    fn packets(stream: &[u8], size: usize) -> Result<Vec<Bytes>, Malformed> {
        let mut framer = Framer::default();
        let mut packets = Vec::new();
        for mut piece in stream.chunks(size) {
            while !piece.is_empty() {
                let (used, packet) = framer.push(piece, 300)?;
                piece = &piece[used..];
                packets.extend(packet);
            }
        }
        assert!(framer.partial.is_empty() && framer.partial.capacity() == 0, "no memory is held");
        Ok(packets)
    }

    #[test]
    fn packets_come_out_whole_however_they_arrive() {
        let long = [&packet::publish_header(b"a", 200)[..], &[7; 200]].concat();
        let stream = [&[0xc0, 0][..], &long, &[0xe0, 0], &[0xc0, 0]].concat();
        for size in 1..=stream.len() {
            let got = packets(&stream, size).expect("packets");
            assert_eq!(got, [&[0xc0, 0][..], &long, &[0xe0, 0], &[0xc0, 0]], "pieces of {size}");
        }
    }

    #[test]
    fn a_packet_that_will_be_too_long_is_refused_at_its_header() {
        let mut framer = Framer::default();
        for byte in [0x30, 0xff, 0xff, 0xff] {
            assert_eq!(framer.push(&[byte], 300), Ok((1, None)));
        }
        assert_eq!(framer.push(&[0x7f], 300), Err(Malformed::TooLong { max: 300 }));
    }

    #[test]
    fn memory_follows_what_arrived() {
        let mut framer = Framer::default();
        framer.push(&packet::publish_header(b"a", 200_000), 262_144).expect("header");
        assert!(framer.partial.capacity() < 1024);
    }
}
