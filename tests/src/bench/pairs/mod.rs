//! `make bench-images`: real pairs of images, old and new, and what bringing the new one to a machine that has the old
//! one costs others and us.
//!
//! ```text
//! catalog  which pairs there are
//! make     makes their layers from Debian, PyPI and npm packages and from this workspace
//! rivals   measures what a registry, librsync, xdelta3, zstd and casync would send for the layers that changed, and
//!          what our hub sends; steps is what hub and node do then, one process each
//! figures  the numbers we promise, out of that
//! ```
//!
//! Where packages come from is this machine's own configuration of apt, pip and npm. Packages that come by version stay
//! the same; Debian's are of the day. Figures of different days are compared by their ratio to `gzip` of the same pair.

mod about;
mod archive;
mod catalog;
mod debian;
mod figures;
mod make;
mod modules;
mod program;
mod python;
mod rivals;
mod steps;
mod tool;

pub use about::{About, Change, Tar};
pub use catalog::{PAIRS, Pair, chosen};
pub use figures::figures;
pub use make::make;
pub use rivals::{Measured, Report, Row, Verdict, json, measure, table};
pub use steps::Step;
pub use tool::Cost;
