//! The app center: it stores releases, says what runs where, and delivers both to the nodes.

pub mod api;
pub mod os;
pub mod records;
pub mod store;
