//! The daemon of one edge machine.
//!
//! A node is a loop *observe → plan → apply → report* over a desired state that lies on its own disk; the
//! link to the hub is only one of the things that can wake that loop.

pub mod api;
pub mod boot;
pub mod budget;
pub mod bundle;
pub mod cli;
pub mod clock;
pub mod config;
pub mod daemon;
pub mod disk;
pub mod held;
pub mod identity;
pub mod images;
pub mod inbox;
pub mod join;
pub mod journal;
pub mod link;
pub mod logs;
pub mod neighbours;
pub mod node;
pub mod private_file;
pub mod receipt;
pub mod reconciler;
pub mod reporter;
pub mod reserve;
pub mod runtime;
pub mod session;
pub mod shutdown;
pub mod store;
mod sys;
#[cfg(test)]
mod testing;
pub mod tls;
