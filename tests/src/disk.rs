//! A disk whose power can be cut: an ext4 file system on a loop device.
//!
//! After [`Disk::cut`] it holds what was synced, as a real one after a power cut. Dropping it unmounts it.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::mount::{UnmountFlags, mount_bind, unmount};

use crate::demo::Failure;
use crate::sys;

const SIZE: u64 = 4 << 30;
/// Killed processes let go of their files within this time.
const BUSY: Duration = Duration::from_secs(30);

/// See the module.
#[derive(Debug)]
pub struct Disk {
    file: PathBuf,
    point: PathBuf,
    /// Directories of the disk, and where else they are seen.
    lent: Vec<(PathBuf, PathBuf)>,
}

impl Disk {
    /// A new one below `dir`. Of each of `places`, which are made, the content lies on it.
    ///
    /// # Errors
    /// The program that failed, and what it said.
    pub fn new(dir: &Path, places: &[PathBuf]) -> Result<Self, Failure> {
        let (file, point) = (dir.join("disk.img"), dir.join("disk"));
        let lend = |(n, place): (usize, &PathBuf)| (point.join(n.to_string()), place.clone());
        let disk = Self { file, lent: places.iter().enumerate().map(lend).collect(), point };
        let make = || -> io::Result<()> {
            std::fs::create_dir_all(&disk.point)?;
            places.iter().try_for_each(std::fs::create_dir_all)?;
            File::create(&disk.file)?.set_len(SIZE)
        };
        make().map_err(|error| error.to_string())?;
        run(Command::new("mkfs.ext4").arg("-q").arg(&disk.file))?;
        disk.mount()?;
        Ok(disk)
    }

    /// Cuts its power.
    ///
    /// # Errors
    /// What the system said.
    pub fn cut(&self, with_log: bool) -> Result<(), Failure> {
        let failed = |error: io::Error| format!("shutting {} down: {error}", self.point.display());
        sys::shut_down(&File::open(&self.point).map_err(failed)?, with_log).map_err(failed)
    }

    /// Brings it back after its power was cut and who used it is gone.
    ///
    /// # Errors
    /// Somebody still uses it, or it cannot be mounted.
    pub async fn come_back(&self) -> Result<(), Failure> {
        let begin = Instant::now();
        for place in self.lent.iter().map(|(_, place)| place).chain([&self.point]) {
            while let Err(errno) = unmount(place, UnmountFlags::empty()) {
                if errno != Errno::BUSY || begin.elapsed() > BUSY {
                    return Err(format!("unmounting {}: {errno}", place.display()));
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
        self.mount()
    }

    fn mount(&self) -> Result<(), Failure> {
        run(Command::new("mount").args(["-o", "loop"]).arg(&self.file).arg(&self.point))?;
        for (source, place) in &self.lent {
            std::fs::create_dir_all(source).map_err(|error| error.to_string())?;
            mount_bind(source, place).map_err(|errno| format!("mounting {}: {errno}", place.display()))?;
        }
        Ok(())
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        for place in self.lent.iter().map(|(_, place)| place).chain([&self.point]) {
            _ = unmount(place, UnmountFlags::DETACH);
        }
    }
}

fn run(command: &mut Command) -> Result<(), Failure> {
    let done = command.output().map_err(|error| format!("{}: {error}", command.get_program().display()))?;
    let said = String::from_utf8_lossy(&done.stderr);
    if done.status.success() { Ok(()) } else { Err(format!("{}: {}", command.get_program().display(), said.trim())) }
}
