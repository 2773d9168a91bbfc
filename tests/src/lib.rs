//! What tests and measures Causeway as a whole.

pub mod swarm;
