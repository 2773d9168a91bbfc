//! Token and key while they wait for an answer, in `<identity>.asked/waiting`.
//!
//! They are on the disk before anything is asked: an answer that gets lost, or finds the disk full, is asked for again with
//! the same key, and the hub gives the same answer.

use std::path::{Path, PathBuf};

use rcgen::KeyPair;
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject;
use shared::join::{JoinToken, TOKEN_MAX};

use super::{JoinError, new_key};
use crate::identity::pem;
use crate::private_file::{self, PrivateFileError};
use crate::reserve::Reserve;

/// Largest file of what waits, in bytes: a token and a key have about 1 KiB.
const WAITING_MAX: u64 = TOKEN_MAX as u64 + 4096;

/// The key to ask with `token` for: that of the last time, if it was the same token, else a new one. It is sure to be there
/// when the answer comes.
pub fn key_for(token: &JoinToken, dir: &Path, reserve: &Reserve) -> Result<KeyPair, JoinError> {
    match last(dir)? {
        Some((asked, key)) if asked == *token => Ok(key),
        Some(_) | None => {
            let key = new_key()?;
            reserve.lend(|| keep(token, &key, dir))?;
            Ok(key)
        }
    }
}

/// What was asked for last. What cannot be read is of no use and counts as nothing.
pub fn last(dir: &Path) -> Result<Option<(JoinToken, KeyPair)>, JoinError> {
    let Some(bytes) = private_file::read(&asked(dir).join("waiting"), WAITING_MAX)? else { return Ok(None) };
    let text = String::from_utf8_lossy(&bytes);
    let token = text.lines().next().and_then(|line| line.parse().ok());
    let key = PrivatePkcs8KeyDer::from_pem_slice(&bytes).ok().and_then(|key| KeyPair::try_from(&key).ok());
    Ok(token.zip(key))
}

/// Forgets what waits for an answer: there is an identity now.
pub fn forget(dir: &Path) -> Result<(), PrivateFileError> {
    private_file::remove_dir(&asked(dir))
}

fn asked(dir: &Path) -> PathBuf {
    dir.with_added_extension("asked")
}

fn keep(token: &JoinToken, key: &KeyPair, dir: &Path) -> Result<(), PrivateFileError> {
    let text = format!("{token}\n{}", pem("PRIVATE KEY", key.serialized_der()));
    private_file::make_dir(&asked(dir))?;
    private_file::write(&asked(dir).join("waiting"), text.as_bytes())
}
