//! Joining where no link reaches: a person carries the request to the hub, and its answer back.
//!
//! ```text
//! token ─► request ─► hubctl answer-join ─► answer ─► checked as if it had come over the link ─► written
//! ```
//!
//! Until the answer comes, token and key wait beside the identity ([`super::waiting`]). Asking once more with the same token
//! asks for the same key, so that it does not matter which of the files is carried.

use std::path::Path;

use shared::id::Name;
use shared::join::{Carried, JoinToken};

use super::{JoinError, Request, identity, store, waiting};
use crate::identity::{Identity, refuse_second};
use crate::reserve::Reserve;

/// Asks the hub of the token `text` for an identity, to be written to `dir`; who asks, and the bytes to carry there.
pub fn ask(text: &str, dir: &Path, again: bool, reserve: &Reserve) -> Result<(Name, Vec<u8>), JoinError> {
    let token: JoinToken = text.parse()?;
    if !again {
        refuse_second(dir)?;
    }
    let key = waiting::key_for(&token, dir, reserve)?;
    Ok((token.node().clone(), Carried::Request.to_bytes(&Request::new(&token, &key)?)?))
}

/// Writes the identity that the hub answered to what was asked last.
pub fn answered(bytes: &[u8], dir: &Path, again: bool, reserve: &Reserve) -> Result<Identity, JoinError> {
    let answer = Carried::Answer.from_bytes(bytes)?;
    if !again {
        refuse_second(dir)?;
    }
    let (token, key) = waiting::last(dir)?.ok_or(JoinError::NotAsked)?;
    let identity = identity(&token, &key, answer).map_err(|why| JoinError::OtherAnswer { node: token.node().clone(), why })?;
    store(&identity, dir, again, reserve)?;
    Ok(identity)
}
