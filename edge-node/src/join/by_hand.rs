//! Joining where no link reaches: a person carries the request to the hub, and its answer back.
//!
//! ```text
//! token ─► request ─► hubctl answer-join ─► answer ─► checked as if it had come over the link ─► written
//! ```
//!
//! Until the answer comes, token and key wait beside the identity, in `<identity>.asked/waiting`. Asking once more with the
//! same token asks for the same key, so that it does not matter which of the files is carried.

use std::path::{Path, PathBuf};

use rcgen::KeyPair;
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject;
use shared::id::Name;
use shared::join::{Carried, JoinToken, TOKEN_MAX};

use super::{JoinError, Request, identity, new_key};
use crate::identity::{Identity, pem, refuse_second};
use crate::private_file::{self, PrivateFileError};

/// Largest file of what waits, in bytes: a token and a key have about 1 KiB.
const WAITING_MAX: u64 = TOKEN_MAX as u64 + 4096;

/// Asks the hub of the token `text` for an identity, to be written to `dir`; who asks, and the bytes to carry there.
pub fn ask(text: &str, dir: &Path, again: bool) -> Result<(Name, Vec<u8>), JoinError> {
    let token: JoinToken = text.parse()?;
    if !again {
        refuse_second(dir)?;
    }
    let key = match waiting(dir)? {
        Some((asked, key)) if asked == token => key,
        Some(_) | None => keep(&token, new_key()?, dir)?,
    };
    Ok((token.node().clone(), Carried::Request.to_bytes(&Request::new(&token, &key)?)?))
}

/// Writes the identity that the hub answered to what was asked last.
pub fn answered(bytes: &[u8], dir: &Path, again: bool) -> Result<Identity, JoinError> {
    let answer = Carried::Answer.from_bytes(bytes)?;
    if !again {
        refuse_second(dir)?;
    }
    let (token, key) = waiting(dir)?.ok_or(JoinError::NotAsked)?;
    let identity = identity(&token, &key, answer).map_err(|why| JoinError::OtherAnswer { node: token.node().clone(), why })?;
    identity.store(dir, again)?;
    forget(dir)?;
    Ok(identity)
}

/// Forgets what waits for an answer: there is an identity now.
pub(super) fn forget(dir: &Path) -> Result<(), PrivateFileError> {
    private_file::remove_dir(&asked(dir))
}

fn asked(dir: &Path) -> PathBuf {
    dir.with_added_extension("asked")
}

/// The key, once it is sure to be there when the answer comes.
fn keep(token: &JoinToken, key: KeyPair, dir: &Path) -> Result<KeyPair, JoinError> {
    let text = format!("{token}\n{}", pem("PRIVATE KEY", key.serialized_der()));
    private_file::make_dir(&asked(dir))?;
    private_file::write(&asked(dir).join("waiting"), text.as_bytes())?;
    Ok(key)
}

/// What was asked for last. What cannot be read is of no use and counts as nothing.
fn waiting(dir: &Path) -> Result<Option<(JoinToken, KeyPair)>, JoinError> {
    let Some(bytes) = private_file::read(&asked(dir).join("waiting"), WAITING_MAX)? else { return Ok(None) };
    let text = String::from_utf8_lossy(&bytes);
    let token = text.lines().next().and_then(|line| line.parse().ok());
    let key = PrivatePkcs8KeyDer::from_pem_slice(&bytes).ok().and_then(|key| KeyPair::try_from(&key).ok());
    Ok(token.zip(key))
}
