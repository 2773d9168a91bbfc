//! The gate on real sockets, against every packet that is known to harm a broker.
//!
//! After each attack an honest node connects and exchanges messages in both directions ([`world::World::probe`]): the only
//! thing an attack may cost is its own connection.

mod attacks;
mod center;
mod client;
mod identity;
mod limits;
mod packets;
mod takeover;
mod world;
