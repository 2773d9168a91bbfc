//! SIGTERM and SIGINT: the process ends at once, with 0.
//!
//! As process 1 of a container it would not end at all: the kernel drops signals for process 1 that have no
//! handler (pid_namespaces(7)). The standard library installs none, so this file does. Ending at any moment
//! is safe, because the counter's file is replaced atomically.
#![allow(unsafe_code)]

use std::ffi::{c_int, c_void};

const SIGINT: c_int = 2;
const SIGTERM: c_int = 15;

unsafe extern "C" {
    fn signal(number: c_int, handler: extern "C" fn(c_int)) -> *mut c_void;
    fn write(file: c_int, bytes: *const c_void, count: usize) -> isize;
    fn _exit(code: c_int) -> !;
}

extern "C" fn end(_signal: c_int) {
    const LINE: &[u8] = b"sample-app: asked to stop\n";
    // SAFETY: `write` and `_exit` are async-signal-safe (signal-safety(7)); LINE is valid for its whole length.
    unsafe {
        write(1, LINE.as_ptr().cast(), LINE.len());
        _exit(0)
    }
}

/// From now on SIGTERM and SIGINT end the process with 0.
pub(crate) fn exit_on_signals() {
    for number in [SIGTERM, SIGINT] {
        // SAFETY: `end` is an `extern "C"` function of the signature that signal(2) asks for, and is itself safe to run
        // in a signal handler. The previous handler is not needed.
        unsafe {
            signal(number, end);
        }
    }
}
