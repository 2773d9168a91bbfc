//! The local API.

pub mod port;
