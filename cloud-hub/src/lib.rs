//! The app center: it stores releases, says what runs where, and delivers both to the nodes.

pub mod blobs;
pub mod ca;
pub mod images;
pub mod registry;
pub mod store;
