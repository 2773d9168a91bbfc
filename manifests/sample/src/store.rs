//! A number on disk that no crash takes back: written aside, synced, renamed, directory synced.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

/// The number and its file.
#[derive(Debug)]
pub(crate) struct Store {
    directory: PathBuf,
    number: u64,
}

impl Store {
    /// Opens `directory/counter`; 0 when there is none. A damaged file is an error: counting from 0 again would hide it.
    pub(crate) fn open(directory: &str) -> io::Result<Self> {
        let directory = PathBuf::from(directory);
        let number = match File::open(directory.join("counter")) {
            Ok(file) => parse(file, &directory)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
            Err(error) => return Err(error),
        };
        Ok(Self { directory, number })
    }

    /// The last number that is on disk.
    pub(crate) const fn number(&self) -> u64 {
        self.number
    }

    /// Counts one up; returns when the new number is on disk.
    pub(crate) fn next(&mut self) -> io::Result<u64> {
        let next = self.number.saturating_add(1);
        let new = self.directory.join("counter.new");
        let mut file = File::create(&new)?;
        file.write_all(format!("{next}\n").as_bytes())?;
        file.sync_all()?;
        fs::rename(&new, self.directory.join("counter"))?;
        File::open(&self.directory)?.sync_all()?;
        self.number = next;
        Ok(next)
    }
}

fn parse(file: File, directory: &Path) -> io::Result<u64> {
    let mut text = String::new();
    file.take(64).read_to_string(&mut text)?;
    text.trim_end().parse().map_err(|_| {
        let file = directory.join("counter");
        io::Error::new(io::ErrorKind::InvalidData, format!("{} holds no number; remove it to count from 0", file.display()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_survives_and_damage_is_named() {
        let directory = std::env::temp_dir().join(format!("sample-app-{}", std::process::id()));
        fs::create_dir_all(&directory).expect("directory");
        let path = directory.to_str().expect("path");
        let mut store = Store::open(path).expect("empty");
        assert_eq!((store.number(), store.next().expect("1"), store.next().expect("2")), (0, 1, 2));
        assert_eq!(Store::open(path).expect("again").number(), 2);
        fs::write(directory.join("counter"), "two").expect("damage");
        assert_eq!(Store::open(path).expect_err("damaged").kind(), io::ErrorKind::InvalidData);
        fs::remove_dir_all(&directory).expect("clean");
    }
}
