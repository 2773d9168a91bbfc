//! The containerd runtime against real parts: a private containerd, runc, CNI plugins, iptables, and the kernel's own
//! word on what a container may do. Needs root; fails where a part is missing (`make test` installs them).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "tests"
)]

mod confined;
mod disk;
mod ends;
mod files;
mod network;
mod outages;
mod world;
