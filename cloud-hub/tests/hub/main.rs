//! The hub over its own TLS listeners: REST API with reqwest, gate with a small MQTT node. Nothing is mocked.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, clippy::large_futures)]

mod access;
mod bad_input;
mod budgets;
mod collect;
mod enroll;
mod flow;
mod ingest;
mod killed;
mod link;
mod neighbours;
mod node;
mod patches;
#[path = "../support/registry.rs"]
mod registry;
#[path = "../support/samples.rs"]
mod samples;
mod watch;
mod world;
