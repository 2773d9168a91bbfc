//! The REST API of the hub: `/api/v1`, one file per resource.

pub mod types;
