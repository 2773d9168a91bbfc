//! Simulated world, real lanes, demo, benches and load generator: everything that runs hub and node together.

pub mod image;
