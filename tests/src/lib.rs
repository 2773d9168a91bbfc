//! What the tests, the demo and the benches share: real parts in private places, and a simulated world.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a test lane that lacks a part must fail, loudly")]

pub mod bench;
pub mod busybox;
pub mod containerd;
pub mod demo;
pub mod disk;
pub mod firewall;
pub mod image;
pub mod promises;
pub mod proxy;
pub mod swarm;
mod sys;
pub mod world;
