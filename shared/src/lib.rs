//! What Causeway knows and decides.
//!
//! This crate holds the words (ids, manifest, release, desired and actual state), the decisions
//! ([`plan::plan`], [`assign::assign`], [`health::Health::after`]) and the formats (wire, topics,
//! signatures) that hub and node share. It does no I/O, reads no clock and knows no async: time and
//! randomness are arguments, so every decision can be replayed from its inputs.
#![forbid(unsafe_code)]

pub mod accept;
pub mod assign;
pub mod budget;
pub mod bundle;
pub mod fault;
pub mod health;
pub mod id;
pub mod join;
pub mod manifest;
pub mod neighbour;
pub mod oci;
pub mod people;
pub mod plan;
pub mod receipt;
pub mod recipe;
pub mod release;
pub mod report;
pub mod rot;
pub mod sign;
pub mod state;
mod text;
pub mod time;
pub mod topic;
pub mod wire;
