//! `hubctl` as people run it: the real program against a real hub, over TLS on loopback. Nothing is mocked.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, clippy::large_futures, dead_code)]

mod bundle;
mod fleet;
mod image;
mod language;
mod login;
#[path = "../hub/node.rs"]
mod node;
mod proxy;
mod publish;
#[path = "../support/registry.rs"]
mod registry;
#[path = "../support/samples.rs"]
mod samples;
mod shell;
mod watch;
#[path = "../hub/world.rs"]
mod world;
