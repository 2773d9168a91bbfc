//! The local API and the command line, as an operator meets them: over a real socket, with the real program, against
//! a daemon whose loop is a small fake.
#![allow(clippy::expect_used, reason = "helpers of tests")]

mod api;
mod cli;
mod daemon;
mod fake;
