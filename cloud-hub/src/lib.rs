//! The app center: it stores releases, says what runs where, and delivers both to the nodes.

pub mod access;
pub mod api;
pub mod blobs;
pub mod broker;
pub mod ca;
pub mod catalog;
//config
pub mod deployments;
pub mod desired;
pub mod events;
pub mod fleet;
pub mod gate;
pub mod hub;
pub mod images;
pub mod link;
pub mod metrics;
pub mod nodes;
pub mod os;
pub mod publish;
pub mod records;
pub mod refusal;
pub mod registry;
pub mod secret_file;
//serve
pub mod stop;
pub mod store;
pub mod tokens;
pub mod verify;
