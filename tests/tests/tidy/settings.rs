//! The sample settings in `cross/` show every key with its default.
