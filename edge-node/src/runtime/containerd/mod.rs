//! containerd over gRPC. All types of the containerd client stay inside this directory.

pub mod client;
pub mod content;
pub mod image;
mod layer;
pub mod lease;
pub mod snapshot;
