//! The daemon of one edge machine.
//!
//! A node is a loop *observe → plan → apply → report* over a desired state that lies on its own disk; the
//! link to the hub is only one of the things that can wake that loop.

pub mod api;
pub mod cli;
pub mod config;
pub mod daemon;
pub mod identity;
pub mod images;
pub mod join;
pub mod link;
pub mod private_file;
pub mod runtime;
pub mod shutdown;
#[cfg(test)]
mod testing;
pub mod tls;
