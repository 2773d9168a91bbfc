//! Where x86-64 machine code holds displacements: the four bytes after a call or jump, and those of an operand that
//! is addressed relative to the next instruction.
//!
//! A guess by patterns, without disassembly: in data it finds a few that are none, which costs a bit each.

/// What precedes a displacement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// `E8`: a call.
    Call,
    /// `E9`, `0F 80`..`0F 8F`: a jump.
    Jump,
    /// An operand relative to the instruction pointer.
    Operand,
}

/// Bytes of a displacement.
pub(super) const WIDTH: usize = 4;

/// The first displacement of `bytes` that begins at `from` or later: its position and kind. What stands before `from`
/// is not looked at.
pub(super) fn next(bytes: &[u8], from: usize) -> Option<(usize, Kind)> {
    let bytes = bytes.get(from..)?;
    let mut at = 0;
    loop {
        at += bytes.get(at..)?.iter().position(|&byte| HINTS.get(usize::from(byte)) == Some(&true))?;
        if let Some((start, kind)) = site(bytes, at) {
            match bytes.get(start..start + WIDTH)? {
                &[.., top] if top.wrapping_add(4) < 8 => return Some((from + start, kind)),
                _ => {}
            }
        }
        at += 1;
    }
}

/// Where the displacement is if the byte at `at` announces one.
fn site(bytes: &[u8], at: usize) -> Option<(usize, Kind)> {
    match bytes.get(at)? {
        0xE8 => Some((at + 1, Kind::Call)),
        0xE9 => Some((at + 1, Kind::Jump)),
        0x0F => matches!(bytes.get(at + 1)?, 0x80..=0x8F).then_some((at + 2, Kind::Jump)),
        _ => match bytes.get(..at)? {
            [.., 0x0F, _] => Some((at + 1, Kind::Operand)),
            [.., opcode] if TAKERS.get(usize::from(*opcode)) == Some(&true) => Some((at + 1, Kind::Operand)),
            _ => None,
        },
    }
}

/// Bytes of addressing that mean: relative to the next instruction.
const RELATIVE: [u8; 8] = [0x05, 0x0D, 0x15, 0x1D, 0x25, 0x2D, 0x35, 0x3D];

/// Bytes that may announce a displacement.
const HINTS: [bool; 256] = set(&RELATIVE, set(&[0xE8, 0xE9, 0x0F], [false; 256]));

/// Opcodes that are followed by a byte that says how their operand is addressed.
const TAKERS: [bool; 256] = set(
    &[
        0x01, 0x03, 0x09, 0x0B, 0x21, 0x23, 0x29, 0x2B, 0x31, 0x33, 0x38, 0x39, 0x3A, 0x3B, 0x63, 0x69, 0x6B, 0x80, 0x81, 0x83,
        0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8A, 0x8B, 0x8D, 0xC6, 0xC7, 0xD8, 0xD9, 0xDA, 0xDB, 0xDC, 0xDD, 0xDE, 0xDF, 0xF6,
        0xF7, 0xFE, 0xFF,
    ],
    [false; 256],
);

#[expect(clippy::indexing_slicing, reason = "runs while compiling")]
const fn set(bytes: &[u8], mut table: [bool; 256]) -> [bool; 256] {
    let mut at = 0;
    while at < bytes.len() {
        table[bytes[at] as usize] = true;
        at += 1;
    }
    table
}

/// `bytes` with all displacements zero: what is left is the same wherever the code is put.
pub(super) fn skeleton(bytes: &[u8]) -> Vec<u8> {
    let mut bones = bytes.to_vec();
    let mut from = 0;
    while let Some((at, _)) = next(bytes, from) {
        if let Some(displacement) = bones.get_mut(at..at + WIDTH) {
            displacement.fill(0);
        }
        from = at + WIDTH;
    }
    bones
}
