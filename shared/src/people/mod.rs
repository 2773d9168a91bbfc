//! What people and their scripts read, the same on site and at the hub: dates, ages, sizes, words for states, tables,
//! YAML, exit codes. Texts from elsewhere lose their power over a terminal here.

mod age;
mod budget;
mod bytes;
mod date;
mod exit;
mod percent;
mod table;
mod terminal;
mod transfer;
mod words;
mod yaml;

pub use age::age;
pub use budget::{budget, counts};
pub use bytes::bytes;
pub(crate) use date::civil;
pub use date::{rfc3339, rfc3339_nanos};
pub use exit::Exit;
pub use percent::percent;
pub use table::Table;
pub use terminal::{log, plain, width};
pub use transfer::{time_left, transfer};
pub use words::{health, phase, state};
pub use yaml::{Dollars, yaml};
