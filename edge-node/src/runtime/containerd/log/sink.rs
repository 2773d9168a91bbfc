//! The logger of one container: the daemon's own program, started by containerd's shim as a `binary://` logger.
//!
//! containerd turns `binary:///usr/bin/edge-node?causeway-log=DIR&causeway-log-bytes=N` into the arguments
//! `causeway-log DIR causeway-log-bytes N` (in any order), and hands over the container's output as descriptor 3, its
//! errors as 4, and 5 to be closed when the logger is ready. It ends when the container has closed both. It must never
//! stop reading, or the container would block: what a full disk refuses is counted and said later.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{FlockOperation, OFlags, flock};

use super::line::{self, Stream, TEXT_MAX};
use super::{CURRENT, PREVIOUS};

/// Written at once, in bytes: longer than any line, and shorter than any file, because one read of short lines grows
/// many times when each gets its time.
const PIECE: usize = 2 * TEXT_MAX;
/// Argument before the directory.
const DIR: &str = "causeway-log";
/// Argument before the largest size of one file.
const BYTES: &str = "causeway-log-bytes";

/// The URI for both standard streams of a task.
pub fn uri(program: &Path, dir: &Path, bytes: u64) -> String {
    let (program, dir) = (escape(program, b"/"), escape(dir, b""));
    format!("binary://{program}?{DIR}={dir}&{BYTES}={bytes}")
}

/// Becomes a logger when containerd started this process as one, and says so when it is done: `main` calls this before
/// anything else and returns on `true`.
pub fn run_if_asked() -> bool {
    let Some((dir, bytes)) = asked(std::env::args().skip(1)) else { return false };
    // Nobody reads what a logger says about itself; its end is seen in containerd's log.
    drop(run(&dir, bytes));
    true
}

/// The directory and size of a logger's arguments; `None` for every other command line.
fn asked(arguments: impl Iterator<Item = String>) -> Option<(PathBuf, u64)> {
    let all: Vec<String> = arguments.take(5).collect();
    let pairs: BTreeMap<&str, &str> =
        all.chunks_exact(2).filter_map(|pair| Some((pair.first()?.as_str(), pair.get(1)?.as_str()))).collect();
    let dir = PathBuf::from(*pairs.get(DIR)?);
    (all.len() == 4 && dir.is_absolute()).then_some((dir, pairs.get(BYTES)?.parse().ok()?))
}

fn run(dir: &Path, bytes: u64) -> io::Result<()> {
    let [out, err, ready] = crate::sys::logger_descriptors()?;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    let log = Log::open(dir, bytes)?;
    drop(ready);
    Sink { log, lost: 0 }.copy(out, err)
}

/// Both streams and the file they go to.
struct Sink {
    log: Log,
    /// Bytes that could not be written.
    lost: u64,
}

/// A stream with the beginning of a line that has not ended.
struct Source {
    stream: Stream,
    pipe: Option<File>,
    rest: Vec<u8>,
}

impl Sink {
    fn copy(mut self, out: OwnedFd, err: OwnedFd) -> io::Result<()> {
        let source = |stream, pipe| Source { stream, pipe: Some(File::from(pipe)), rest: Vec::new() };
        let mut sources = [source(Stream::Out, out), source(Stream::Err, err)];
        let mut chunk = vec![0; TEXT_MAX];
        while sources.iter().any(|source| source.pipe.is_some()) {
            let ready = wait(&sources)?;
            for (source, ready) in sources.iter_mut().zip(ready) {
                if ready {
                    let lines = source.read(&mut chunk);
                    self.write(&lines);
                }
            }
        }
        Ok(())
    }

    fn write(&mut self, lines: &[u8]) {
        if lines.is_empty() {
            return;
        }
        let mut said = Vec::new();
        if self.lost > 0 {
            let text = format!("causeway: {} bytes of output were lost here, the disk could not take them", self.lost);
            line::push(&mut said, &line::rfc3339(SystemTime::now()), Stream::Err, text.as_bytes());
        }
        said.extend_from_slice(lines);
        match self.log.append(&said) {
            Ok(()) => self.lost = 0,
            Err(_) => self.lost += lines.len() as u64,
        }
    }
}

/// Which of the two have something to read, or have ended.
fn wait(sources: &[Source; 2]) -> io::Result<[bool; 2]> {
    let mut waiting: Vec<PollFd<'_>> =
        sources.iter().filter_map(|source| source.pipe.as_ref()).map(|pipe| PollFd::new(pipe, PollFlags::IN)).collect();
    match poll(&mut waiting, None) {
        Ok(_) | Err(rustix::io::Errno::INTR) => {}
        Err(error) => return Err(error.into()),
    }
    let mut answers = waiting.iter().map(|answer| !answer.revents().is_empty());
    Ok(std::array::from_fn(|n| sources.get(n).is_some_and(|source| source.pipe.is_some()) && answers.next() == Some(true)))
}

impl Source {
    /// Reads once; answers the lines that are complete now, and at the end of the stream the rest.
    fn read(&mut self, chunk: &mut [u8]) -> Vec<u8> {
        let count = match self.pipe.as_mut().map(|pipe| pipe.read(chunk)) {
            Some(Ok(count)) => count,
            Some(Err(error)) if error.kind() == io::ErrorKind::Interrupted => return Vec::new(),
            Some(Err(_)) | None => 0,
        };
        let now = line::rfc3339(SystemTime::now());
        let mut lines = Vec::new();
        if count == 0 {
            self.pipe = None;
            if !self.rest.is_empty() {
                line::push(&mut lines, &now, self.stream, &self.rest);
                self.rest.clear();
            }
        }
        self.split(chunk.get(..count).unwrap_or_default(), &now, &mut lines);
        lines
    }

    /// Cuts at line ends, and at [`TEXT_MAX`] where there is none.
    fn split(&mut self, mut bytes: &[u8], now: &str, lines: &mut Vec<u8>) {
        while !bytes.is_empty() {
            let room = TEXT_MAX - self.rest.len();
            let end = bytes.iter().take(room).position(|byte| *byte == b'\n');
            let take = end.unwrap_or_else(|| bytes.len().min(room));
            let (text, tail) = bytes.split_at(take);
            self.rest.extend_from_slice(text);
            bytes = if end.is_some() { tail.get(1..).unwrap_or_default() } else { tail };
            if end.is_some() || self.rest.len() == TEXT_MAX {
                line::push(lines, now, self.stream, &self.rest);
                self.rest.clear();
            }
        }
    }
}

/// The files of one service. Two containers of it may be written at the same time while one replaces the other.
struct Log {
    dir: PathBuf,
    file: File,
    max: u64,
}

impl Log {
    fn open(dir: &Path, max: u64) -> io::Result<Self> {
        Ok(Self { dir: dir.into(), file: open(&dir.join(CURRENT))?, max })
    }

    /// Appends whole lines in few writes, so that lines of two writers never mix, and rotates before the cap is passed.
    fn append(&mut self, lines: &[u8]) -> io::Result<()> {
        let mut rest = lines;
        while !rest.is_empty() {
            let piece =
                rest.get(..PIECE).and_then(|piece| piece.iter().rposition(|byte| *byte == b'\n')).map_or(rest.len(), |at| at + 1);
            let (piece, tail) = rest.split_at(piece);
            if self.file.metadata()?.len() + piece.len() as u64 > self.max {
                self.rotate()?;
            }
            self.file.write_all(piece)?;
            rest = tail;
        }
        Ok(())
    }

    /// Only one writer renames; the other one sees that its file is no longer the current one and follows.
    fn rotate(&mut self) -> io::Result<()> {
        let path = self.dir.join(CURRENT);
        let dir = File::open(&self.dir)?;
        flock(&dir, FlockOperation::LockExclusive)?;
        let ours = self.file.metadata()?;
        let current = std::fs::symlink_metadata(&path);
        if current.is_ok_and(|now| (now.dev(), now.ino()) == (ours.dev(), ours.ino())) {
            std::fs::rename(&path, self.dir.join(PREVIOUS))?;
        }
        self.file = open(&path)?;
        Ok(())
    }
}

fn open(path: &Path) -> io::Result<File> {
    #[expect(clippy::cast_possible_wrap, reason = "flags of open(2) are an int")]
    let flags = OFlags::NOFOLLOW.bits() as i32;
    std::fs::OpenOptions::new().append(true).create(true).mode(0o600).custom_flags(flags).open(path)
}

/// Percent-encodes all but letters, digits, `-._` and `keep`.
fn escape(path: &Path, keep: &[u8]) -> String {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._".contains(byte) || keep.contains(byte);
    let bytes = path.as_os_str().as_encoded_bytes();
    bytes.iter().map(|byte| if plain(byte) { char::from(*byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_loggers_arguments_make_a_logger() {
        let ask = |text: &str| asked(text.split(' ').map(str::to_owned));
        let yes = Some((PathBuf::from("/l/a b"), 7));
        let both = ["causeway-log", "/l/a b", "causeway-log-bytes", "7"].map(str::to_owned);
        assert_eq!(asked(both.clone().into_iter()), yes);
        assert_eq!(asked([2, 3, 0, 1].map(|n| both[n].clone()).into_iter()), yes);
        for other in ["", "run", "causeway-log /l", "causeway-log l causeway-log-bytes 7", "causeway-log /l causeway-log-bytes x"]
        {
            assert_eq!(ask(other), None, "{other:?}");
        }
        assert_eq!(ask("causeway-log /l causeway-log-bytes 7 more"), None);
    }

    #[test]
    fn the_uri_survives_odd_paths() {
        let uri = uri(Path::new("/usr/bin/edge node"), Path::new("/l/a&b=c"), 7);
        assert_eq!(uri, "binary:///usr/bin/edge%20node?causeway-log=%2Fl%2Fa%26b%3Dc&causeway-log-bytes=7");
    }

    fn lines(chunks: &[&[u8]]) -> Vec<String> {
        let mut source = Source { stream: Stream::Out, pipe: None, rest: Vec::new() };
        let mut all = Vec::new();
        for chunk in chunks {
            source.split(chunk, "Z", &mut all);
        }
        all.extend(source.read(&mut []));
        String::from_utf8(all).expect("text").lines().map(|line| line.rsplit(' ').next().expect("text").to_owned()).collect()
    }

    #[test]
    fn lines_are_cut_where_they_end_or_become_too_long() {
        assert_eq!(lines(&[b"a\nb", b"c\n\n", b"d"]), ["a", "bc", "", "d"]);
        let long = vec![b'x'; TEXT_MAX * 2 + 5];
        let lengths: Vec<usize> = lines(&[&long, b"\n"]).iter().map(String::len).collect();
        assert_eq!(lengths, [TEXT_MAX, TEXT_MAX, 5]);
    }

    #[test]
    fn two_writers_rotate_without_losing_lines() {
        let dir = tempfile::tempdir().expect("directory");
        let [mut one, mut two] = [(); 2].map(|()| Log::open(dir.path(), 100).expect("open"));
        for n in 0..15 {
            one.append(format!("one {n:02}\n").as_bytes()).expect("append");
            two.append(format!("two {n:02}\n").as_bytes()).expect("append");
        }
        let read = |name| std::fs::read_to_string(dir.path().join(name)).expect("file");
        let both = read(PREVIOUS) + &read(CURRENT);
        assert!(read(PREVIOUS).len() <= 100 && read(CURRENT).len() <= 100);
        for n in 9..15 {
            assert!(both.contains(&format!("one {n:02}")) && both.contains(&format!("two {n:02}")), "{n}: {both}");
        }
    }

    #[test]
    fn a_link_in_place_of_the_file_is_refused() {
        let dir = tempfile::tempdir().expect("directory");
        std::os::unix::fs::symlink("/etc/hostname", dir.path().join(CURRENT)).expect("link");
        assert!(Log::open(dir.path(), 100).is_err());
    }
}
