//! Files of the operator: read up to a bound, secrets only when nobody else may read them, written whole and private.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use shared::fault::{Fault, Faulty, cli};

/// Why a file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The system failed.
    #[error("{doing} {path}")]
    Failed {
        /// What was being done.
        doing: &'static str,
        /// To which file.
        path: String,
        /// The cause.
        #[source]
        cause: io::Error,
    },
    /// It is larger than what is read.
    #[error("{path} is larger than {max} bytes")]
    TooLarge {
        /// Which.
        path: String,
        /// The bound in bytes.
        max: u64,
    },
    /// It is no text.
    #[error("{path} is not UTF-8")]
    NotText {
        /// Which.
        path: String,
    },
    /// It holds a secret, and others may read it.
    #[error("{path} has mode {mode:o}")]
    Exposed {
        /// Which.
        path: String,
        /// Its permission bits.
        mode: u32,
    },
}

impl FileError {
    pub(super) fn failed(doing: &'static str, path: &Path, cause: io::Error) -> Self {
        Self::Failed { doing, path: path.display().to_string(), cause }
    }

    /// Whether the file is just not there.
    pub fn is_missing(&self) -> bool {
        matches!(self, Self::Failed { cause, .. } if cause.kind() == io::ErrorKind::NotFound)
    }
}

impl Faulty for FileError {
    fn fault(&self) -> Fault {
        match self {
            Self::Failed { doing, path, cause } => {
                Fault::new(&cli::FILE_FAILED).with("doing", doing).with("path", path).with("cause", cause)
            }
            Self::TooLarge { path, max } => Fault::new(&cli::FILE_TOO_LARGE).with("path", path).with("max", max),
            Self::NotText { path } => Fault::new(&cli::FILE_NOT_TEXT).with("path", path),
            Self::Exposed { path, mode } => {
                Fault::new(&cli::FILE_EXPOSED).with("path", path).with("mode", format_args!("{mode:o}"))
            }
        }
    }
}

/// Who may read a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Privacy {
    /// Whoever may.
    Open,
    /// Its owner alone; otherwise it is refused.
    Secret,
}

/// The text of `path`, at most `max` bytes.
pub(super) fn read(path: &Path, max: u64, privacy: Privacy) -> Result<String, FileError> {
    let file = File::open(path).map_err(|cause| FileError::failed("reading", path, cause))?;
    let meta = file.metadata().map_err(|cause| FileError::failed("reading", path, cause))?;
    let mode = meta.permissions().mode() & 0o777;
    if privacy == Privacy::Secret && mode & 0o077 != 0 {
        return Err(FileError::Exposed { path: path.display().to_string(), mode });
    }
    text(file, path, max)
}

/// The whole text of `source`, which is called `path`.
pub(super) fn text(source: impl Read, path: &Path, max: u64) -> Result<String, FileError> {
    String::from_utf8(all(source, path, max)?).map_err(|_| FileError::NotText { path: path.display().to_string() })
}

/// The bytes of `path`, at most `max`.
pub(super) fn bytes(path: &Path, max: u64) -> Result<Vec<u8>, FileError> {
    let file = File::open(path).map_err(|cause| FileError::failed("reading", path, cause))?;
    all(file, path, max)
}

/// All bytes of `source`, which is called `path`.
fn all(source: impl Read, path: &Path, max: u64) -> Result<Vec<u8>, FileError> {
    let mut bytes = Vec::new();
    source.take(max + 1).read_to_end(&mut bytes).map_err(|cause| FileError::failed("reading", path, cause))?;
    if bytes.len() as u64 > max {
        return Err(FileError::TooLarge { path: path.display().to_string(), max });
    }
    Ok(bytes)
}

/// Writes a secret: mode 0600 from its first byte, whole or not at all, in a directory of mode 0700 that is made if
/// needed.
pub(super) fn write_secret(path: &Path, text: &str) -> Result<(), FileError> {
    write(path, text, 0o600)
}

/// Writes what everybody may read.
pub(super) fn write_open(path: &Path, text: &str) -> Result<(), FileError> {
    write(path, text, 0o644)
}

fn write(path: &Path, text: &str, mode: u32) -> Result<(), FileError> {
    let mut fresh = path.as_os_str().to_owned();
    fresh.push(format!(".{}.new", std::process::id()));
    let fresh = Path::new(&fresh);
    let write = || -> io::Result<()> {
        DirBuilder::new().recursive(true).mode(0o700).create(directory(path))?;
        let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(fresh)?;
        file.write_all(text.as_bytes())?;
        give_name(&file, fresh, path)
    };
    write().map_err(|cause| {
        // What was begun is of no use; that it may not even exist does not matter.
        drop(fs::remove_file(fresh));
        FileError::failed("writing", path, cause)
    })
}

/// Makes `file` durable, which is all written at `fresh`, and gives it the name `path` in the same directory.
pub(super) fn give_name(file: &File, fresh: &Path, path: &Path) -> io::Result<()> {
    file.sync_all()?;
    fs::rename(fresh, path)?;
    File::open(directory(path))?.sync_all()
}

/// Where the file lies.
pub(super) fn directory(path: &Path) -> &Path {
    path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_private_from_the_first_byte_and_refused_when_they_are_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/b/key");
        write_secret(&path, "s").unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(read(&path, 10, Privacy::Secret).unwrap(), "s");
        write_secret(&path, "t").unwrap();
        assert_eq!(read(&path, 10, Privacy::Secret).unwrap(), "t");
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "nothing else is left");

        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(read(&path, 10, Privacy::Secret), Err(FileError::Exposed { mode: 0o644, .. })));
        assert!(read(&path, 10, Privacy::Open).is_ok());
    }

    #[test]
    fn bounds_and_other_contents_are_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        fs::write(&path, "12345").unwrap();
        assert!(read(&path, 5, Privacy::Open).is_ok());
        assert!(matches!(read(&path, 4, Privacy::Open), Err(FileError::TooLarge { max: 4, .. })));
        fs::write(&path, [0xff]).unwrap();
        assert!(matches!(read(&path, 5, Privacy::Open), Err(FileError::NotText { .. })));
        assert!(read(&dir.path().join("none"), 5, Privacy::Open).unwrap_err().is_missing());
        assert!(read(dir.path(), 5, Privacy::Open).is_err());
    }
}
