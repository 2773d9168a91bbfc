//! What services print: one directory per service, with a file that grows and the one before it.
//!
//! ```text
//! <state>/logs/<app>/<service>/current     lines: RFC 3339 time, out or err, text
//! <state>/logs/<app>/<service>/previous    what `current` was when it reached its cap
//! ```
//!
//! A [`sink`] process per container writes them. containerd starts it beside the container, so a restart or a kill of
//! the daemon loses no line; [`read`] serves them to people.

pub mod line;
pub mod read;
pub mod sink;

/// The file that grows.
const CURRENT: &str = "current";
/// The file before it.
const PREVIOUS: &str = "previous";
