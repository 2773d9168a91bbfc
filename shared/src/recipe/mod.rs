//! How a node builds new layers out of old bytes.

pub mod bsdiff;
