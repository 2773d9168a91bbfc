//! Files that only the daemon may use: mode 0600 from the first byte, written whole beside the old one, synced and
//! renamed, and refused when somebody else could have read or changed them.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

use shared::fault::{Fault, Faulty, node};

use crate::reserve::LacksRoom;

/// Permission bits of a directory that holds such files.
const DIR_MODE: u32 = 0o700;
/// Permission bits of such a file.
const FILE_MODE: u32 = 0o600;

/// Why a private file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PrivateFileError {
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
    /// Others may read or change it, or it is not ours.
    #[error("{path} has mode {mode:o} and owner {owner}")]
    Exposed {
        /// Which.
        path: String,
        /// Its permission bits.
        mode: u32,
        /// The user it belongs to.
        owner: u32,
        /// The permission bits it should have.
        want: u32,
    },
    /// It is larger than anything we wrote.
    #[error("{path} has more than {max} bytes")]
    TooLarge {
        /// Which.
        path: String,
        /// The limit.
        max: u64,
    },
}

impl Faulty for PrivateFileError {
    fn fault(&self) -> Fault {
        match self {
            Self::Io { doing, path, cause } => {
                Fault::new(&node::FILE_FAILED).with("doing", doing).with("path", path).with("cause", cause)
            }
            Self::Exposed { path, mode, owner, want } => Fault::new(&node::FILE_EXPOSED)
                .with("path", path)
                .with("mode", format!("{mode:04o}"))
                .with("owner", owner)
                .with("want", format!("{want:04o}")),
            Self::TooLarge { path, max } => Fault::new(&node::FILE_TOO_LARGE).with("path", path).with("max", max),
        }
    }
}

impl LacksRoom for PrivateFileError {
    fn lacks_room(&self) -> bool {
        matches!(self, Self::Io { cause, .. } if cause.lacks_room())
    }
}

/// Writes `bytes` to `path`, whole and durable, or leaves what was there.
pub fn write(path: &Path, bytes: &[u8]) -> Result<(), PrivateFileError> {
    let fresh = path.with_added_extension("new");
    let write = || -> io::Result<()> {
        absent(fs::remove_file(&fresh))?;
        let mut file = OpenOptions::new().write(true).create_new(true).mode(FILE_MODE).open(&fresh)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&fresh, path)?;
        sync_parent(path)
    };
    write().map_err(|cause| {
        drop(fs::remove_file(&fresh)); // On a full disk what came of it would be in the way.
        failed("writing", path)(cause)
    })
}

/// Removes `path` durably; whether it was there.
pub fn remove(path: &Path) -> Result<bool, PrivateFileError> {
    match fs::remove_file(path) {
        Ok(()) => sync_parent(path).map(|()| true).map_err(failed("removing", path)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(failed("removing", path)(error)),
    }
}

/// Reads `path`, which may have at most `max` bytes; `None` when it is not there.
pub fn read(path: &Path, max: u64) -> Result<Option<Vec<u8>>, PrivateFileError> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed("reading", path)(error)),
    };
    check(path, &file.metadata().map_err(failed("reading", path))?, FILE_MODE)?;
    let mut bytes = Vec::new();
    Read::by_ref(&mut file).take(max + 1).read_to_end(&mut bytes).map_err(failed("reading", path))?;
    if bytes.len() as u64 > max {
        return Err(PrivateFileError::TooLarge { path: path.display().to_string(), max });
    }
    Ok(Some(bytes))
}

/// Makes the directory and those above it, durably; an existing one must be ours alone.
pub fn make_dir(path: &Path) -> Result<(), PrivateFileError> {
    DirBuilder::new().recursive(true).mode(DIR_MODE).create(path).map_err(failed("creating", path))?;
    sync_parent(path).map_err(failed("creating", path))?;
    check_dir(path)
}

/// Removes the directory and all in it, if it is there.
pub fn remove_dir(path: &Path) -> Result<(), PrivateFileError> {
    absent(fs::remove_dir_all(path)).map_err(failed("removing", path))
}

/// Whether the directory is ours alone. An error says that it is not there, too.
pub fn check_dir(path: &Path) -> Result<(), PrivateFileError> {
    check(path, &fs::metadata(path).map_err(failed("reading", path))?, DIR_MODE)
}

/// Makes what was created in the directory of `path`, or renamed there, survive a power cut.
pub fn sync_parent(path: &Path) -> io::Result<()> {
    File::open(path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new(".")))?.sync_all()
}

fn check(path: &Path, meta: &fs::Metadata, want: u32) -> Result<(), PrivateFileError> {
    let (mode, owner) = (meta.mode() & 0o777, meta.uid());
    if mode & 0o077 != 0 || owner != rustix::process::geteuid().as_raw() {
        return Err(PrivateFileError::Exposed { path: path.display().to_string(), mode, owner, want });
    }
    Ok(())
}

fn failed(doing: &'static str, path: &Path) -> impl Fn(io::Error) -> PrivateFileError {
    let path = path.display().to_string();
    move |cause| PrivateFileError::Io { doing, path: path.clone(), cause }
}

/// That it was not there is no error.
pub(crate) fn absent(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn files_are_whole_and_ours_alone() {
        let dir = tempfile::tempdir().expect("dir");
        let path = dir.path().join("a/key");
        make_dir(&dir.path().join("a")).expect("made");
        assert!(matches!(read(&path, 9), Ok(None)));
        write(&path, b"one").expect("written");
        write(&path, b"two").expect("written again");
        assert_eq!(read(&path, 3).expect("read").as_deref(), Some(&b"two"[..]));
        assert!(matches!(read(&path, 2), Err(PrivateFileError::TooLarge { max: 2, .. })));
        assert_eq!(fs::metadata(&path).expect("file").mode() & 0o777, 0o600);
        assert!(!dir.path().join("a/key.new").exists());

        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).expect("chmod");
        assert!(matches!(read(&path, 9), Err(PrivateFileError::Exposed { mode: 0o640, want: 0o600, .. })));
        fs::set_permissions(dir.path().join("a"), fs::Permissions::from_mode(0o755)).expect("chmod");
        assert!(matches!(make_dir(&dir.path().join("a")), Err(PrivateFileError::Exposed { want: 0o700, .. })));
        assert!(matches!(remove(&path), Ok(true)));
        assert!(matches!(remove(&path), Ok(false)));
        assert!(matches!(write(&dir.path().join("no/such"), b""), Err(PrivateFileError::Io { doing: "writing", .. })));
    }
}
