//! What a disk has lost.

use std::io;

/// EIO, EBADMSG and EUCLEAN of errno(3), as Linux numbers them on ARM and x86.
const ROT: [i32; 3] = [5, 74, 117];

/// Whether the disk, or its file system, cannot give the bytes any more, however often it is asked.
pub fn is_rot(error: &io::Error) -> bool {
    error.raw_os_error().is_some_and(|number| ROT.contains(&number))
}
