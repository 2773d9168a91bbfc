//! The gate on real sockets, against every packet that is known to harm a broker.
//!
//! After each attack an honest node connects and exchanges messages in both directions ([`world::World::probe`]): the only
//! thing an attack may cost is its own connection.
// A test may fail anywhere; clippy's own allowance covers only the test functions themselves.
#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod attacks;
mod center;
mod client;
mod identity;
mod limits;
mod packets;
mod takeover;
mod world;
