//! A disk whose power can be cut, and that can be filled: an ext4 file system on a loop device.
//!
//! After [`Disk::cut`] it holds what was synced, as a real one after a power cut. Dropping it unmounts it.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::fs::{FallocateFlags, fallocate};
use rustix::io::Errno;
use rustix::mount::{UnmountFlags, mount_bind, unmount};

use crate::demo::Failure;
use crate::sys;

/// Large enough for everything here.
pub const SIZE: u64 = 4 << 30;
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
    /// A new one below `dir`, of `size` bytes. Of each of `places`, which are made, the content lies on it.
    ///
    /// # Errors
    /// The program that failed, and what it said.
    pub fn new(dir: &Path, size: u64, places: &[PathBuf]) -> Result<Self, Failure> {
        let (file, point) = (dir.join("disk.img"), dir.join("disk"));
        let lend = |(n, place): (usize, &PathBuf)| (point.join(n.to_string()), place.clone());
        let disk = Self { file, lent: places.iter().enumerate().map(lend).collect(), point };
        let make = || -> io::Result<()> {
            std::fs::create_dir_all(&disk.point)?;
            places.iter().try_for_each(std::fs::create_dir_all)?;
            File::create(&disk.file)?.set_len(size)
        };
        make().map_err(|error| error.to_string())?;
        run(Command::new("mkfs.ext4").arg("-q").arg(&disk.file))?;
        disk.mount()?;
        Ok(disk)
    }

    /// Fills it to the last block, also those that are kept for root.
    ///
    /// # Errors
    /// What the system said, other than that it is full.
    pub fn fill(&self) -> Result<(), Failure> {
        let fill = || -> io::Result<()> {
            let mut file = File::options().create(true).append(true).open(self.ballast())?;
            for step in [64 << 20, 1 << 20, 64 << 10] {
                while fallocate(&file, FallocateFlags::empty(), file.metadata()?.len(), step).is_ok() {}
            }
            while file.write_all(&[1; 512]).is_ok() {}
            file.sync_all()
        };
        match fill() {
            Err(error) if error.kind() != io::ErrorKind::StorageFull => Err(format!("filling {}: {error}", self.point.display())),
            _ => Ok(()),
        }
    }

    /// Frees what [`fill`](Self::fill) took.
    ///
    /// # Errors
    /// What the system said.
    pub fn free(&self) -> Result<(), Failure> {
        std::fs::remove_file(self.ballast()).map_err(|error| format!("{}: {error}", self.ballast().display()))
    }

    fn ballast(&self) -> PathBuf {
        self.point.join("ballast")
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
