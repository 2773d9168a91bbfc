//! The node's session with the hub.

pub mod backoff;
pub mod mqtt;
pub mod transport;
