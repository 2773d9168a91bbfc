//! The publisher's key: a file on the operator's machine that never leaves it.

use std::path::{Path, PathBuf};

use shared::fault::{Fault, Faulty, cli};
use shared::sign::{PublicKey, SecretKey};

use super::contexts::{self, ContextError};
use super::env::Env;
use super::files::{self, FileError, Privacy};
use crate::os::{NoRandomness, random};

/// Largest key file, in bytes.
const FILE_MAX: u64 = 4096;

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The file failed.
    #[error(transparent)]
    File(#[from] FileError),
    /// No place for it.
    #[error(transparent)]
    Place(#[from] ContextError),
    /// It is there already.
    #[error("{path} exists")]
    Exists {
        /// Which.
        path: String,
    },
    /// It is not there.
    #[error("{path} does not exist")]
    Missing {
        /// Which.
        path: String,
    },
    /// The file holds something else.
    #[error("{path} holds no key")]
    Damaged {
        /// Which.
        path: String,
    },
    /// No public key.
    #[error("{text:?} is no public key")]
    BadPublic {
        /// What was given.
        text: String,
    },
    /// No randomness.
    #[error(transparent)]
    Random(#[from] NoRandomness),
}

impl Faulty for KeyError {
    fn fault(&self) -> Fault {
        match self {
            Self::File(error) => error.fault(),
            Self::Place(error) => error.fault(),
            Self::Exists { path } => Fault::new(&cli::KEY_EXISTS).with("path", path),
            Self::Missing { path } => Fault::new(&cli::KEY_MISSING).with("path", path),
            Self::Damaged { path } => Fault::new(&cli::KEY_DAMAGED).with("path", path),
            Self::BadPublic { text } => Fault::new(&cli::BAD_PUBLIC_KEY).with("text", text),
            Self::Random(error) => Fault::new(&cli::NO_RANDOMNESS).with("cause", error),
        }
    }
}

/// Where the key is: the file that was named, else the one beside the contexts.
pub(super) fn path(env: &Env, named: Option<&Path>) -> Result<PathBuf, KeyError> {
    match named {
        Some(path) => Ok(path.to_owned()),
        None => Ok(contexts::directory(env)?.join("publisher.key")),
    }
}

/// Where the public half of a key is: `publisher.pub` beside `publisher.key`.
fn public_path(path: &Path) -> PathBuf {
    let text = path.as_os_str().to_string_lossy();
    let mut public = std::ffi::OsString::from(text.strip_suffix(".key").unwrap_or(&text));
    public.push(".pub");
    public.into()
}

/// Makes a key and writes it to `path`, and its public half beside it.
pub(super) fn generate(path: &Path) -> Result<PublicKey, KeyError> {
    if path.symlink_metadata().is_ok() {
        return Err(KeyError::Exists { path: path.display().to_string() });
    }
    let key = SecretKey::from_seed(&random::<32>()?);
    files::write_secret(path, &format!("{}\n", key.to_text()))?;
    files::write_open(&public_path(path), &format!("{}\n", key.public()))?;
    Ok(key.public())
}

/// Reads the key in `path`.
pub(super) fn load(path: &Path) -> Result<SecretKey, KeyError> {
    let shown = || path.display().to_string();
    match files::read(path, FILE_MAX, Privacy::Secret) {
        Ok(text) => text.parse().map_err(|_| KeyError::Damaged { path: shown() }),
        Err(error) if error.is_missing() => Err(KeyError::Missing { path: shown() }),
        Err(error) => Err(error.into()),
    }
}

/// A public key, as text or in a file.
pub(super) fn public(text: &str) -> Result<PublicKey, KeyError> {
    let bad = || KeyError::BadPublic { text: text.chars().take(120).collect() };
    if let Ok(key) = text.parse() {
        return Ok(key);
    }
    match files::read(Path::new(text), FILE_MAX, Privacy::Open) {
        Ok(content) => content.parse().map_err(|_| bad()),
        Err(error) if error.is_missing() => Err(bad()),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_made_once_and_read_back() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("publisher.key");
        assert!(matches!(load(&path), Err(KeyError::Missing { .. })));
        let made = generate(&path).unwrap();
        assert_eq!(load(&path).unwrap().public(), made);
        assert!(matches!(generate(&path), Err(KeyError::Exists { .. })), "a key is never replaced");
        assert_eq!(public(&made.to_string()).unwrap(), made);
        assert_eq!(public(&dir.path().join("publisher.pub").display().to_string()).unwrap(), made);
        for text in ["", "ed25519:00", "no-such-file"] {
            assert!(matches!(public(text), Err(KeyError::BadPublic { .. })), "{text:?}");
        }
        assert!(matches!(public(path.to_str().unwrap()), Err(KeyError::BadPublic { .. })), "the secret half is no public key");
        std::fs::write(&path, "ed25519-secret:zz").unwrap();
        let error = load(&path).unwrap_err();
        assert!(matches!(error, KeyError::Damaged { .. }) && !error.to_string().contains("zz"), "{error}");
    }
}
