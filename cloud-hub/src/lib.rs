//! The app center: it stores releases, says what runs where, and delivers both to the nodes.

pub mod blobs;
pub mod broker;
pub mod ca;
pub mod gate;
pub mod images;
pub mod registry;
pub mod store;
