//! The system calls that need `unsafe`, each with its proof. Nothing else in this crate is unsafe.
#![allow(unsafe_code)]

use std::fs::File;
use std::io;

/// `EXT4_IOC_SHUTDOWN` (fs/ext4/ext4.h).
const SHUTDOWN: rustix::ioctl::Opcode = 0x8004_587d;

/// Has an ext4 file system keep nothing that is not on its disk yet. Nothing can be read or written there afterwards.
/// `with_log` says whether the journal gets there first.
pub fn shut_down(mounted: &File, with_log: bool) -> io::Result<()> {
    // EXT4_GOING_FLAGS_LOGFLUSH, EXT4_GOING_FLAGS_NOLOGFLUSH.
    let flags: u32 = if with_log { 1 } else { 2 };
    // SAFETY: the kernel reads one u32 through the pointer, which points to one; on any other file system it fails.
    unsafe { rustix::ioctl::ioctl(mounted, rustix::ioctl::Setter::<SHUTDOWN, u32>::new(flags)) }?;
    Ok(())
}
