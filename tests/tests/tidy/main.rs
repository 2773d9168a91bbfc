//! What prose promises and no compiler checks: where things may stand, what may be linked in, and that the documents
//! say what the code does.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod dependencies;
mod documents;
mod files;
mod settings;
mod sources;
mod spdx;
