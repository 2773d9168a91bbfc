//! Reading logs: the last lines, and what comes after them. Every read is bounded, and no link is followed, so that
//! nothing but a log file is ever shown.

use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

use super::line::Line;
use super::{CURRENT, PREVIOUS};

/// Most bytes that one call reads.
pub const READ_MAX: usize = 1 << 20;

/// A place in the log of one service.
#[derive(Debug)]
pub struct Follow {
    dir: PathBuf,
    file: Option<File>,
    offset: u64,
}

/// The last `count` lines of both files, oldest first, out of at most [`READ_MAX`] bytes, and the place after them.
pub fn tail(dir: &Path, count: usize) -> io::Result<(Vec<Line>, Follow)> {
    let current = open(&dir.join(CURRENT))?;
    let (bytes, offset) = match &current {
        Some(file) => end_of(file, READ_MAX)?,
        None => (Vec::new(), 0),
    };
    let mut lines = parse(&bytes);
    let room = READ_MAX - bytes.len();
    let more = lines.len() < count && room > 0;
    if let Some(file) = more.then(|| open(&dir.join(PREVIOUS))).transpose()?.flatten() {
        let mut older = parse(&end_of(&file, room)?.0);
        older.append(&mut lines);
        lines = older;
    }
    lines.drain(..lines.len().saturating_sub(count));
    Ok((lines, Follow { dir: dir.into(), file: current, offset }))
}

impl Follow {
    /// The complete lines that came since the last call, out of at most [`READ_MAX`] bytes; none when there is nothing
    /// new. Lines of a file that was rotated away are not lost unless it was rotated twice between two calls.
    pub fn more(&mut self) -> io::Result<Vec<Line>> {
        let mut lines = self.read_on()?;
        if lines.is_empty() && self.was_rotated()? {
            self.file = open(&self.dir.join(CURRENT))?;
            self.offset = 0;
            lines = self.read_on()?;
        }
        Ok(lines)
    }

    fn read_on(&mut self) -> io::Result<Vec<Line>> {
        let Some(file) = &self.file else { return Ok(Vec::new()) };
        let bytes = read_at(file, self.offset, READ_MAX)?;
        let complete = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        self.offset += complete as u64;
        Ok(parse(bytes.get(..complete).unwrap_or_default()))
    }

    fn was_rotated(&self) -> io::Result<bool> {
        let id = |file: &File| file.metadata().map(|meta| (meta.dev(), meta.ino()));
        match (&self.file, open(&self.dir.join(CURRENT))?) {
            (Some(ours), Some(now)) => Ok(id(ours)? != id(&now)?),
            (None, Some(_)) => Ok(true),
            (_, None) => Ok(false),
        }
    }
}

/// A log file; `None` when there is none. Anything but a regular file is refused.
fn open(path: &Path) -> io::Result<Option<File>> {
    #[expect(clippy::cast_possible_wrap, reason = "flags of open(2) are an int")]
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits() as i32;
    match std::fs::OpenOptions::new().read(true).custom_flags(flags).open(path) {
        Ok(file) if file.metadata()?.is_file() => Ok(Some(file)),
        Ok(_) => Err(io::Error::other("a log that is not a regular file is not read")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// The last `max` bytes up to the last line end, from a line's beginning on, and the offset after them.
fn end_of(file: &File, max: usize) -> io::Result<(Vec<u8>, u64)> {
    let length = file.metadata()?.len();
    let from = length.saturating_sub(max as u64);
    let mut bytes = read_at(file, from, max)?;
    bytes.truncate(bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1));
    let end = from + bytes.len() as u64;
    if from > 0 {
        let begin = bytes.iter().position(|byte| *byte == b'\n').map_or(bytes.len(), |at| at + 1);
        bytes.drain(..begin);
    }
    Ok((bytes, end))
}

fn read_at(file: &File, offset: u64, max: usize) -> io::Result<Vec<u8>> {
    let length = file.metadata()?.len().saturating_sub(offset);
    let mut bytes = vec![0; usize::try_from(length).unwrap_or(max).min(max)];
    let mut filled = 0;
    while let Some(room) = bytes.get_mut(filled..).filter(|room| !room.is_empty()) {
        match file.read_at(room, offset + filled as u64) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    bytes.truncate(filled);
    Ok(bytes)
}

fn parse(bytes: &[u8]) -> Vec<Line> {
    bytes.split(|byte| *byte == b'\n').filter_map(Line::parse).collect()
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn write(dir: &Path, name: &str, numbers: std::ops::Range<u32>) {
        let mut file = std::fs::OpenOptions::new().create(true).append(true).open(dir.join(name)).expect("file");
        for n in numbers {
            writeln!(file, "2026-11-21T00:00:00.000000000Z out {n}").expect("write");
        }
    }

    fn texts(lines: &[Line]) -> Vec<&str> {
        lines.iter().map(|line| line.text.as_str()).collect()
    }

    #[test]
    fn the_last_lines_reach_back_over_both_files() {
        let dir = tempfile::tempdir().expect("directory");
        assert!(tail(dir.path(), 5).expect("nothing yet").0.is_empty());
        write(dir.path(), PREVIOUS, 0..4);
        write(dir.path(), CURRENT, 4..6);
        for (count, expected) in [(0, vec![]), (1, vec!["5"]), (3, vec!["3", "4", "5"]), (9, vec!["0", "1", "2", "3", "4", "5"])]
        {
            assert_eq!(texts(&tail(dir.path(), count).expect("tail").0), expected);
        }
    }

    #[test]
    fn following_goes_on_over_a_rotation() {
        let dir = tempfile::tempdir().expect("directory");
        let (_, mut follow) = tail(dir.path(), 0).expect("nothing yet");
        assert!(follow.more().expect("nothing").is_empty());
        write(dir.path(), CURRENT, 0..2);
        assert_eq!(texts(&follow.more().expect("two")), ["0", "1"]);
        write(dir.path(), CURRENT, 2..3);
        std::fs::rename(dir.path().join(CURRENT), dir.path().join(PREVIOUS)).expect("rotate");
        write(dir.path(), CURRENT, 3..4);
        assert_eq!(texts(&follow.more().expect("the old file first")), ["2"]);
        assert_eq!(texts(&follow.more().expect("then the new one")), ["3"]);
        assert!(follow.more().expect("nothing").is_empty());
    }

    #[test]
    fn a_line_that_has_not_ended_waits() {
        let dir = tempfile::tempdir().expect("directory");
        write(dir.path(), CURRENT, 0..1);
        let (_, mut follow) = tail(dir.path(), 0).expect("tail");
        let mut file = std::fs::OpenOptions::new().append(true).open(dir.path().join(CURRENT)).expect("file");
        file.write_all(b"2026-11-21T00:00:00.000000000Z out ha").expect("half");
        assert!(follow.more().expect("half").is_empty());
        file.write_all(b"lf\n").expect("rest");
        assert_eq!(texts(&follow.more().expect("whole")), ["half"]);
    }

    #[test]
    fn no_link_is_followed() {
        let dir = tempfile::tempdir().expect("directory");
        std::os::unix::fs::symlink("/etc/hostname", dir.path().join(CURRENT)).expect("link");
        assert!(tail(dir.path(), 5).is_err());
    }
}
