//! The system calls that need `unsafe`, each with its proof. Nothing else in this crate is unsafe.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::{FromRawFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::thread::UnshareFlags;

/// Takes over the descriptors 3, 4 and 5, which containerd hands to a logger: the container's output, its errors,
/// and the pipe whose closing says that the logger is ready.
///
/// # Errors
/// At the second call, and when one of them is not open.
pub fn logger_descriptors() -> io::Result<[OwnedFd; 3]> {
    static TAKEN: AtomicBool = AtomicBool::new(false);
    let open = |fd: i32| std::fs::symlink_metadata(format!("/proc/self/fd/{fd}")).is_ok();
    if TAKEN.swap(true, Ordering::SeqCst) || ![3, 4, 5].into_iter().all(open) {
        return Err(io::Error::from_raw_os_error(9)); // EBADF
    }
    // SAFETY: the three are open, as was just seen, and belong to nobody: `log::sink::run_if_asked` is the first
    // thing `main` does, before this process opened anything, and the flag above lets only one caller through.
    Ok([3, 4, 5].map(|fd| unsafe { OwnedFd::from_raw_fd(fd) }))
}

/// Gives the calling thread a network namespace of its own. Call it on a thread that ends soon.
pub fn unshare_network() -> io::Result<()> {
    // SAFETY: only FILES would break other threads' use of descriptors (rustix's own condition); NEWNET touches none.
    Ok(unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWNET) }?)
}
