//! Files that only the hub may read: its key, the first admin token. Mode 0600 from the first byte, written whole
//! beside the old one and renamed, synced before anything relies on them.

use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use shared::fault::{Fault, Faulty, hub};
use shared::sign::SecretKey;

use crate::fresh_file;
use crate::os::{NoRandomness, random};

/// Longest file that is read, in bytes.
const SIZE_MAX: u64 = 4096;

/// Why a secret file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SecretFileError {
    /// The system failed.
    #[error("{doing} {path}")]
    Io {
        /// What was being done.
        doing: &'static str,
        /// To which file.
        path: String,
        /// The cause.
        #[source]
        cause: io::Error,
    },
    /// Others may read it.
    #[error("{path} has mode {mode:o}")]
    Exposed {
        /// Which.
        path: String,
        /// Its permission bits.
        mode: u32,
    },
    /// It does not hold what it should.
    #[error("{path} holds no key")]
    Damaged {
        /// Which.
        path: String,
    },
    /// No randomness.
    #[error(transparent)]
    Random(#[from] NoRandomness),
}

impl Faulty for SecretFileError {
    fn fault(&self) -> Fault {
        match self {
            Self::Io { doing, path, cause } => {
                Fault::new(&hub::SECRET_FILE_FAILED).with("doing", doing).with("path", path).with("cause", cause)
            }
            Self::Exposed { path, mode } => {
                Fault::new(&hub::SECRET_FILE_EXPOSED).with("path", path).with("mode", format!("{mode:o}"))
            }
            Self::Damaged { path } => Fault::new(&hub::SECRET_FILE_DAMAGED).with("path", path),
            Self::Random(error) => error.fault(),
        }
    }
}

/// Writes `text` to `path`.
pub fn write(path: &Path, text: &str) -> Result<(), SecretFileError> {
    let fresh = path.with_extension("new");
    let failed = |cause| SecretFileError::Io { doing: "writing", path: path.display().to_string(), cause };
    let write = || -> io::Result<()> {
        let mut file = fresh_file::create(&fresh, 0o600)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&fresh, path)?;
        fs::File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()
    };
    write().map_err(failed)
}

/// Reads `path`; `None` when it does not exist. Refused when others may read it.
pub fn read(path: &Path) -> Result<Option<String>, SecretFileError> {
    let failed = |cause| SecretFileError::Io { doing: "reading", path: path.display().to_string(), cause };
    let file = match fs::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    let mode = file.metadata().map_err(failed)?.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(SecretFileError::Exposed { path: path.display().to_string(), mode });
    }
    let mut text = String::new();
    file.take(SIZE_MAX).read_to_string(&mut text).map_err(failed)?;
    Ok(Some(text))
}

/// The hub's key in `path`, made when there is none and `may_make` says that none was lost.
pub fn hub_key(path: &Path, may_make: bool) -> Result<SecretKey, SecretFileError> {
    let damaged = || SecretFileError::Damaged { path: path.display().to_string() };
    match read(path)? {
        Some(text) => text.parse().map_err(|_| damaged()),
        None if !may_make => Err(damaged()),
        None => {
            let key = SecretKey::from_seed(&random::<32>()?);
            write(path, &format!("{}\n", key.to_text()))?;
            Ok(key)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_made_once_and_only_for_the_hub_to_read() {
        let dir = tempfile::tempdir().expect("dir");
        let path = dir.path().join("hub.key");
        let made = hub_key(&path, true).expect("made").public();
        assert_eq!(hub_key(&path, true).expect("read").public(), made);
        assert_eq!(fs::metadata(&path).expect("file").permissions().mode() & 0o777, 0o600);
        assert!(!path.with_extension("new").exists());

        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).expect("chmod");
        assert!(matches!(hub_key(&path, true), Err(SecretFileError::Exposed { mode: 0o640, .. })));
    }

    #[test]
    fn a_lost_or_damaged_key_is_never_replaced() {
        let dir = tempfile::tempdir().expect("dir");
        let path = dir.path().join("hub.key");
        assert!(matches!(hub_key(&path, false), Err(SecretFileError::Damaged { .. })));
        write(&path, "ed25519-secret:00").expect("written");
        assert!(matches!(hub_key(&path, true), Err(SecretFileError::Damaged { .. })));
        assert!(matches!(write(&dir.path().join("no/such/dir"), "x"), Err(SecretFileError::Io { .. })));
    }
}
