//! Whether what is unpacked on this disk is believed.
//!
//! Nothing counts as unpacked before it was synced, so a power cut takes nothing that counts, unless the disk lies about
//! what it keeps, or its file system comes back repaired. Therefore the images that the first daemon finds after the machine
//! went down under an earlier one are in doubt until they are verified ([`crate::runtime::containerd::image`]).
//!
//! ```text
//! <state>/running    there while a daemon runs, and after every end that was not in order
//! <state>/doubtful   there from such a boot until all images are verified, however often the daemon is restarted meanwhile
//! ```

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use crate::private_file::absent;

/// Asked whenever images are looked at, so that the answer is kept in memory.
#[derive(Debug)]
pub struct Boot {
    state: PathBuf,
    doubtful: AtomicBool,
}

impl Boot {
    /// Begins a life of the daemon. `first` says that it is the first one since the machine was started. The caller holds
    /// the lock of the state directory.
    pub fn begin(state: &Path, first: bool) -> io::Result<Self> {
        let boot = Self { state: state.into(), doubtful: AtomicBool::new(false) };
        let doubtful = boot.doubt().try_exists()? || (first && boot.running().try_exists()?);
        if doubtful {
            File::create(boot.doubt())?;
        }
        File::create(boot.running())?;
        boot.sync()?;
        boot.doubtful.store(doubtful, Ordering::Relaxed);
        Ok(boot)
    }

    /// Whether images are in doubt.
    pub fn is_doubtful(&self) -> bool {
        self.doubtful.load(Ordering::Relaxed)
    }

    /// All images are verified.
    pub fn believe(&self) -> io::Result<()> {
        absent(fs::remove_file(self.doubt()))?;
        self.sync()?;
        self.doubtful.store(false, Ordering::Relaxed);
        Ok(())
    }

    /// The daemon ends in order.
    pub fn end(&self) -> io::Result<()> {
        absent(fs::remove_file(self.running()))?;
        self.sync()
    }

    fn running(&self) -> PathBuf {
        self.state.join("running")
    }

    fn doubt(&self) -> PathBuf {
        self.state.join("doubtful")
    }

    fn sync(&self) -> io::Result<()> {
        File::open(&self.state)?.sync_all()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_machine_that_went_down_under_the_daemon_leaves_doubt() {
        let dir = tempfile::tempdir().unwrap();
        let begin = |first| Boot::begin(dir.path(), first).unwrap();
        assert!(!begin(true).is_doubtful(), "the first daemon ever");
        assert!(!begin(false).is_doubtful(), "killed, and started again in the same boot");
        begin(false).end().unwrap();
        assert!(!begin(true).is_doubtful(), "ended in order");
        let boot = begin(true);
        assert!(boot.is_doubtful());
        boot.end().unwrap();
        assert!(begin(false).is_doubtful(), "until all is verified");
        begin(true).believe().unwrap();
        assert!(!begin(false).is_doubtful());
    }
}
