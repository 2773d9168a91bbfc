//! A file that is being made: seen by nobody before all of it is on the disk.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use shared::recipe::{ReadAt, WriteAt};

use crate::blobs::{BlobError, check_space, sync_dir};

/// How the name of a file ends that is being made.
const ENDING: &str = "tmp";
/// Bytes between two looks at how full the disk is.
const LOOK: u64 = 8 << 20;

/// A file that is being made. Dropped before [`finish`](Self::finish), it is gone.
#[derive(Debug)]
pub(super) struct NewFile {
    file: File,
    path: PathBuf,
    dir: PathBuf,
    /// Bytes so far.
    size: u64,
    /// Bytes at the last look at the disk.
    looked: u64,
}

impl NewFile {
    /// Begins a file in `dir`. The disk must have room beyond its reserve, now and later.
    pub(super) fn create(dir: &Path) -> Result<Self, BlobError> {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        check_space(dir, LOOK)?;
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = dir.join(format!("{}-{number}.{ENDING}", std::process::id()));
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(&path);
        let file = file.map_err(|error| BlobError::io("making a file", error))?;
        Ok(Self { file, path, dir: dir.to_owned(), size: 0, looked: 0 })
    }

    /// Bytes so far.
    pub(super) const fn size(&self) -> u64 {
        self.size
    }

    /// Makes it durable under its name.
    pub(super) fn finish(self, name: &str) -> Result<(), BlobError> {
        let finish = || -> io::Result<()> {
            self.file.sync_all()?;
            fs::rename(&self.path, self.dir.join(name))?;
            sync_dir(&self.dir)
        };
        finish().map_err(|error| BlobError::io("finishing a file", error))
    }

    fn grow(&mut self, end: u64) -> io::Result<()> {
        self.size = self.size.max(end);
        if self.size >= self.looked + LOOK {
            self.looked = self.size;
            check_space(&self.dir, LOOK).map_err(|error| io::Error::new(io::ErrorKind::StorageFull, error))?;
        }
        Ok(())
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        // When it was finished, nothing is there any more; when this fails, the next start removes it.
        let _gone = fs::remove_file(&self.path);
    }
}

impl WriteAt for NewFile {
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all_at(bytes, offset)?;
        self.grow(offset.saturating_add(bytes.len() as u64))
    }
}

impl Write for NewFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.grow(self.size.saturating_add(written as u64))?;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// A file that is read at positions.
#[derive(Debug)]
pub(super) struct OldFile(pub(super) File);

impl ReadAt for OldFile {
    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<()> {
        self.0.read_exact_at(into, offset)
    }
}

/// Makes the directory if needed, removes what a killed hub left, and gives the other files by name, with what the system
/// says about them.
pub(super) fn open_dir(dir: &Path) -> io::Result<Vec<(String, fs::Metadata)>> {
    fs::create_dir_all(dir)?;
    let mut files = Vec::new();
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let meta = entry.metadata()?;
        // A directory may stand here: `lost+found`.
        if !meta.is_file() {
            continue;
        }
        match entry.file_name().into_string() {
            Ok(name) if !name.ends_with(&format!(".{ENDING}")) => files.push((name, meta)),
            Ok(_) | Err(_) => fs::remove_file(entry.path())?,
        }
    }
    Ok(files)
}
