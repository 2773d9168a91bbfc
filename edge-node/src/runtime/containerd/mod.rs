//! containerd over gRPC. All types of the containerd client stay inside this directory.

pub mod client;
