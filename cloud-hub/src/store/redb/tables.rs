//! The tables of the file, the bytes in them, and what redb's errors mean.
//!
//! | table | key | value |
//! |---|---|---|
//! | `meta` | `format`, `revision` | number |
//! | `records` | key | `01`, revision (8 bytes, little endian), value |
//! | `logs` | (log, number) | `01`, entry |
//! | `heads` | log | (first, next) |

use std::io;
use std::sync::Arc;

use redb::{ReadableTable, TableDefinition};

use crate::store::{Bounds, Record, StoreError};

/// Numbers about the file itself.
pub(super) const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");
/// Records by key.
pub(super) const RECORDS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("records");
/// Log entries by log and number.
pub(super) const LOGS: TableDefinition<'_, (&str, u64), &[u8]> = TableDefinition::new("logs");
/// First and next number of every log.
pub(super) const HEADS: TableDefinition<'_, &str, (u64, u64)> = TableDefinition::new("heads");

/// In `meta`: the version of the tables.
pub(super) const FORMAT: &str = "format";
/// In `meta`: the revision of the last commit.
pub(super) const REVISION: &str = "revision";
/// The version this build reads and writes.
pub(super) const FORMAT_NOW: u64 = 1;
/// First byte of every record and entry.
const VERSION: u8 = 1;

/// A record as it lies in the file.
pub(super) fn record_to_bytes(revision: u64, value: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(value.len() + 9);
    bytes.push(VERSION);
    bytes.extend_from_slice(&revision.to_le_bytes());
    bytes.extend_from_slice(value);
    bytes
}

/// Reads what [`record_to_bytes`] wrote.
pub(super) fn record_from_bytes(key: &str, bytes: &[u8]) -> Result<Record, StoreError> {
    match bytes.split_first() {
        Some((&VERSION, rest)) => match rest.split_first_chunk::<8>() {
            Some((revision, value)) => Ok(Record { revision: u64::from_le_bytes(*revision), value: value.to_vec() }),
            None => Err(damaged(format!("record {key} is cut off"))),
        },
        Some((version, _)) => Err(damaged(format!("record {key} has the unknown format {version}"))),
        None => Err(damaged(format!("record {key} is empty"))),
    }
}

/// A log entry as it lies in the file.
pub(super) fn entry_to_bytes(entry: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(entry.len() + 1);
    bytes.push(VERSION);
    bytes.extend_from_slice(entry);
    bytes
}

/// Reads what [`entry_to_bytes`] wrote.
pub(super) fn entry_from_bytes(log: &str, number: u64, bytes: &[u8]) -> Result<Vec<u8>, StoreError> {
    match bytes.split_first() {
        Some((&VERSION, entry)) => Ok(entry.to_vec()),
        Some((version, _)) => Err(damaged(format!("entry {number} of log {log} has the unknown format {version}"))),
        None => Err(damaged(format!("entry {number} of log {log} is empty"))),
    }
}

/// The bounds of `log`.
pub(super) fn bounds(heads: &impl ReadableTable<&'static str, (u64, u64)>, log: &str) -> Result<Bounds, StoreError> {
    let head = heads.get(log).map_err(|error| failed("reading a log's head", error))?;
    Ok(head.map(|guard| guard.value()).map_or_else(Bounds::default, |(first, next)| Bounds { first, next }))
}

pub(super) fn damaged(what: impl Into<String>) -> StoreError {
    StoreError::Damaged { what: what.into() }
}

/// Sorts redb's error into ours; `doing` completes "the store failed while …".
pub(super) fn failed(doing: &'static str, error: impl Into<redb::Error>) -> StoreError {
    let error = error.into();
    if let redb::Error::Corrupted(what) = error {
        return StoreError::Damaged { what };
    }
    if matches!(&error, redb::Error::Io(cause) if is_full(cause)) {
        return StoreError::Full;
    }
    StoreError::Failed { doing, source: Arc::new(error) }
}

/// The file was written by another version of the hub.
pub(super) fn unknown_format(found: Option<u64>) -> StoreError {
    let found = found.map_or_else(|| "no format".into(), |format| format!("format {format}"));
    let cause = io::Error::other(format!("it has {found}, this hub reads format {FORMAT_NOW}: use the hub that wrote it"));
    StoreError::Failed { doing: "opening the store", source: Arc::new(cause) }
}

pub(super) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Golden: files of this version exist in the field. A change here is a new version byte.
    #[test]
    fn the_bytes_of_version_1() {
        let bytes = [1, 0x2a, 0, 0, 0, 0, 0, 0, 0, b'h', b'i'];
        assert_eq!(record_to_bytes(42, b"hi"), bytes);
        assert_eq!(record_from_bytes("k", &bytes).expect("golden"), Record { revision: 42, value: b"hi".to_vec() });
        assert_eq!(entry_to_bytes(b"hi"), [1, b'h', b'i']);
        assert_eq!(entry_from_bytes("l", 0, &[1, b'h', b'i']).expect("golden"), b"hi");
    }

    #[test]
    fn other_bytes_are_damage_with_a_place() {
        for bytes in [&[][..], &[1], &[1, 0, 0, 0, 0, 0, 0, 0], &[2, 0, 0, 0, 0, 0, 0, 0, 0]] {
            let error = record_from_bytes("nodes/n1", bytes).expect_err("refused").to_string();
            assert!(error.contains("nodes/n1"), "{error}");
        }
        assert!(entry_from_bytes("events", 7, &[9]).expect_err("refused").to_string().contains("entry 7 of log events"));
    }
}
