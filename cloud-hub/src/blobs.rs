//! Content by digest: the layers, configs and manifests the hub gives to its nodes.
//!
//! ```text
//! <state>/blobs/sha256/ab/ab12…   whole, verified, never changed
//! <state>/blobs/doomed/ab12…      needed no more and about to be removed; what a start finds there goes
//! <state>/blobs/parts/cd34…       on its way; the name is the digest it must get, the length is where to go on
//! ```
//!
//! A blob that no release names goes ([`crate::collect`]), unless somebody may be about to publish it ([`holds`]).
//!
//! A blob is visible when and only when all its bytes are on disk and fit digest and size: it is written as a part,
//! hashed, synced, renamed, and its directory synced. A part survives a restart of the hub, so that an upload or a pull
//! goes on where it was cut.

mod error;
mod holds;
mod part;
pub(crate) mod reader;

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use shared::id::Digest;
use shared::release::Blob;
use tokio::task::spawn_blocking;

pub use self::error::BlobError;
use self::holds::Holds;
pub use self::holds::LEASE;
pub(crate) use self::holds::lease;
pub use self::part::Part;
pub(crate) use self::part::sync_dir;
use self::reader::OpenFiles;

/// Most bytes of one [`Blobs::read`].
pub const READ_MAX: u32 = 1 << 20;
/// Most parts on disk at the same time.
pub const PARTS_MAX: usize = 64;
/// A part nobody went on with for so long is removed.
const PART_AGE_MAX: Duration = Duration::from_secs(7 * 24 * 3600);
/// Bytes of a stream that are written and hashed together.
const STEP: usize = 256 << 10;
/// Bytes that must stay free on the disk, so that the store can still commit.
const RESERVE: u64 = 64 << 20;

/// The directory of all blobs. Cheap to clone; all clones are the same directory.
#[derive(Debug, Clone)]
pub struct Blobs(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    root: PathBuf,
    /// Largest blob, in bytes.
    max: u64,
    open: OpenFiles,
    /// Parts that somebody is writing.
    busy: Mutex<BTreeSet<Digest>>,
    holds: Holds,
    /// Removes what can be made again until so many bytes have room, as far as that goes.
    give_way: OnceLock<GiveWay>,
}

/// See [`Blobs::set_give_way`].
struct GiveWay(Box<dyn Fn(u64) + Send + Sync>);

impl std::fmt::Debug for GiveWay {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("GiveWay")
    }
}

/// What [`Blobs::begin`] found.
#[derive(Debug)]
pub enum Begin {
    /// The blob is there; nothing to do.
    Have,
    /// Write from [`Part::offset`] on.
    Write(Part),
}

/// How far an upload is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Upload {
    /// All there and verified.
    Done,
    /// Go on at this byte.
    Partial(u64),
}

impl Blobs {
    /// Opens `<state>/blobs` under `state`, makes it if needed, and removes parts that are old or no parts at all.
    /// `max` is the largest blob in bytes. Blocks.
    pub fn open(state: &Path, max: u64) -> Result<Self, BlobError> {
        let root = state.join("blobs");
        for dir in ["sha256", "parts", "doomed"] {
            fs::create_dir_all(root.join(dir)).map_err(|error| BlobError::io("making the blob directory", error))?;
        }
        let (open, busy, holds, give_way) = (OpenFiles::default(), Mutex::default(), Holds::default(), OnceLock::new());
        let blobs = Self(Arc::new(Inner { root, max, open, busy, holds, give_way }));
        blobs.clean_parts_blocking(SystemTime::now())?;
        blobs.clean_doomed();
        Ok(blobs)
    }

    /// What removes things that can be made again when the disk has no room for so many bytes; it may block. The first stays.
    pub(crate) fn set_give_way(&self, give_way: impl Fn(u64) + Send + Sync + 'static) {
        let _first_stays = self.0.give_way.set(GiveWay(Box::new(give_way)));
    }

    /// Removes parts that are old at `now`, or no parts at all.
    pub async fn clean_parts(&self, now: SystemTime) -> Result<(), BlobError> {
        let this = self.clone();
        blocking(move || this.clean_parts_blocking(now)).await
    }

    /// The size of a blob that is there.
    pub async fn size(&self, digest: &Digest) -> Result<Option<u64>, BlobError> {
        if let Some(found) = self.0.open.cached(digest) {
            return Ok(Some(found.size));
        }
        let (this, digest) = (self.clone(), *digest);
        blocking(move || this.size_blocking(&digest)).await
    }

    /// Whether a blob is there.
    pub async fn has(&self, digest: &Digest) -> Result<bool, BlobError> {
        Ok(self.size(digest).await?.is_some())
    }

    /// At most `length` bytes from `offset` on, less at the end of the blob; at most [`READ_MAX`].
    pub async fn read(&self, digest: &Digest, offset: u64, length: u32) -> Result<Bytes, BlobError> {
        let (this, digest, length) = (self.clone(), *digest, length.min(READ_MAX));
        blocking(move || this.0.open.get(&digest, &this.path(&digest))?.read(offset, length)).await
    }

    /// The whole of a small blob: a manifest or config of at most `max` bytes.
    pub async fn read_all(&self, digest: &Digest, max: u64) -> Result<Vec<u8>, BlobError> {
        let (this, digest) = (self.clone(), *digest);
        blocking(move || {
            let (size, reader) = this.reader(&digest)?.ok_or(BlobError::Missing { digest })?;
            if size > max {
                return Err(BlobError::TooLarge { digest, size, max });
            }
            let mut bytes = Vec::new();
            reader.take(max).read_to_end(&mut bytes).map_err(|error| BlobError::io("reading a blob", error))?;
            Ok(bytes)
        })
        .await
    }

    /// A reader from the first byte on, with the size. Blocks.
    pub fn reader(&self, digest: &Digest) -> Result<Option<(u64, impl Read + Send + use<>)>, BlobError> {
        match fs::File::open(self.path(digest)) {
            Ok(file) => {
                let size = file.metadata().map_err(|error| BlobError::io("opening a blob", error))?.len();
                Ok(Some((size, file)))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(BlobError::io("opening a blob", error)),
        }
    }

    /// Begins or goes on to write `want`. Only one writer per blob at a time. Blocks while an earlier part is hashed.
    pub fn begin_blocking(&self, want: Blob) -> Result<Begin, BlobError> {
        if want.size > self.0.max {
            return Err(BlobError::TooLarge { digest: want.digest, size: want.size, max: self.0.max });
        }
        if self.ask(&want.digest)?.is_some() {
            return Ok(Begin::Have);
        }
        let claim = part::Claim::new(self, want.digest)?;
        self.check_space(want)?;
        Part::open(claim, want).map(Begin::Write)
    }

    /// [`begin_blocking`](Self::begin_blocking) off the async threads.
    pub async fn begin(&self, want: Blob) -> Result<Begin, BlobError> {
        let this = self.clone();
        blocking(move || this.begin_blocking(want)).await
    }

    /// Writes a whole blob from memory: a manifest or config.
    pub async fn put_bytes(&self, bytes: Vec<u8>) -> Result<Blob, BlobError> {
        let blob = Blob { digest: Digest::of(&bytes), size: bytes.len() as u64 };
        let this = self.clone();
        blocking(move || this.put_blocking(blob, &mut bytes.as_slice())).await?;
        Ok(blob)
    }

    /// Writes a whole blob from a reader at its first byte. Blocks.
    pub fn put_blocking(&self, want: Blob, reader: &mut dyn Read) -> Result<(), BlobError> {
        let Begin::Write(mut part) = self.begin_blocking(want)? else { return Ok(()) };
        part.restart()?;
        let mut buffer = vec![0; STEP];
        loop {
            let read = reader.read(&mut buffer).map_err(|error| BlobError::io("reading the source of a blob", error))?;
            match buffer.get(..read) {
                Some(bytes) if !bytes.is_empty() => part.append(bytes)?,
                Some(_) | None => return part.finish(),
            }
        }
    }

    /// Writes a stream that begins at byte `offset` of the blob. A stream that ends or fails early leaves a part:
    /// go on at the offset that [`upload_offset`](Self::upload_offset) says.
    pub async fn upload<E: Into<Box<dyn std::error::Error + Send + Sync>>>(
        &self,
        want: Blob,
        offset: u64,
        stream: impl Stream<Item = Result<Bytes, E>>,
    ) -> Result<Upload, BlobError> {
        let Begin::Write(part) = self.begin(want).await? else { return Ok(Upload::Done) };
        if part.offset() != offset {
            return Err(BlobError::Offset { digest: want.digest, have: part.offset() });
        }
        let part = write_stream(part, stream).await?;
        let have = part.offset();
        if have < want.size {
            return Ok(Upload::Partial(have));
        }
        blocking(move || part.finish()).await?;
        Ok(Upload::Done)
    }

    /// Where an upload of this blob goes on. One that is there is held for [`LEASE`]: whoever asks wants to publish it.
    pub async fn upload_offset(&self, digest: &Digest) -> Result<Upload, BlobError> {
        let (this, digest) = (self.clone(), *digest);
        blocking(move || {
            if this.ask(&digest)?.is_some() {
                return Ok(Upload::Done);
            }
            Ok(Upload::Partial(fs::metadata(this.part_path(&digest)).map_or(0, |meta| meta.len())))
        })
        .await
    }

    /// Every blob, in no particular order.
    pub async fn list(&self) -> Result<Vec<Blob>, BlobError> {
        let root = self.0.root.join("sha256");
        blocking(move || list(&root).map_err(|error| BlobError::io("listing blobs", error))).await
    }

    /// Removes a blob; one that is not there is removed already. The caller knows that no release needs it.
    pub async fn delete(&self, digest: &Digest) -> Result<(), BlobError> {
        let (this, digest) = (self.clone(), *digest);
        blocking(move || {
            this.0.open.forget(&digest);
            match fs::remove_file(this.path(&digest)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(BlobError::io("removing a blob", error)),
                Ok(()) | Err(_) => Ok(()),
            }
        })
        .await
    }

    pub(crate) fn size_blocking(&self, digest: &Digest) -> Result<Option<u64>, BlobError> {
        match fs::metadata(self.path(digest)) {
            Ok(meta) => Ok(Some(meta.len())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(BlobError::io("looking for a blob", error)),
        }
    }

    /// Whether the disk can take the rest of `want`, once what can be made again gave way.
    fn check_space(&self, want: Blob) -> Result<(), BlobError> {
        let have = fs::metadata(self.part_path(&want.digest)).map_or(0, |meta| meta.len());
        let missing = want.size.saturating_sub(have);
        let Some(GiveWay(give_way)) = self.0.give_way.get() else { return check_space(&self.0.root, missing) };
        check_space(&self.0.root, missing).or_else(|_| {
            give_way(missing);
            check_space(&self.0.root, missing)
        })
    }

    fn path(&self, digest: &Digest) -> PathBuf {
        let hex = digest.hex();
        let two = hex.get(..2).unwrap_or_default();
        self.0.root.join("sha256").join(two).join(&hex)
    }

    fn part_path(&self, digest: &Digest) -> PathBuf {
        self.0.root.join("parts").join(digest.hex())
    }

    fn clean_parts_blocking(&self, now: SystemTime) -> Result<(), BlobError> {
        // Kept while files are removed: nobody begins with one of them meanwhile.
        let busy = self.busy();
        let clean = || -> io::Result<()> {
            for (path, part, modified) in self.parts()? {
                let is_old = now.duration_since(modified).unwrap_or_default() > PART_AGE_MAX;
                if part.is_none_or(|part| is_old && !busy.contains(&part)) {
                    fs::remove_file(path)?;
                }
            }
            Ok(())
        };
        clean().map_err(|error| BlobError::io("removing old parts", error))
    }

    /// What lies among the parts: where, of which blob, and since when nobody went on with it.
    fn parts(&self) -> io::Result<Vec<(PathBuf, Option<Digest>, SystemTime)>> {
        let part = |entry: io::Result<fs::DirEntry>| {
            let entry = entry?;
            let digest = entry.file_name().to_str().and_then(digest_of_name);
            Ok((entry.path(), digest, entry.metadata()?.modified()?))
        };
        // One that is finished meanwhile has moved away.
        let is_there = |part: &io::Result<_>| !matches!(part, Err(error) if error.kind() == io::ErrorKind::NotFound);
        fs::read_dir(self.0.root.join("parts"))?.map(part).filter(is_there).collect()
    }

    fn busy(&self) -> std::sync::MutexGuard<'_, BTreeSet<Digest>> {
        self.0.busy.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether the disk below `dir` can take so many bytes and keeps [`RESERVE`] of them. Blocks.
pub(crate) fn check_space(dir: &Path, bytes: u64) -> Result<(), BlobError> {
    let stat = rustix::fs::statvfs(dir).map_err(|error| BlobError::io("asking for free space", error.into()))?;
    let free = stat.f_bavail.saturating_mul(stat.f_frsize);
    let need = bytes.saturating_add(RESERVE);
    if free < need { Err(BlobError::NoSpace { need, free }) } else { Ok(()) }
}

/// Appends a stream to `part` in steps; an error of the stream ends it like its end, because the part can go on later.
pub(crate) async fn write_stream<E: Into<Box<dyn std::error::Error + Send + Sync>>>(
    mut part: Part,
    stream: impl Stream<Item = Result<Bytes, E>>,
) -> Result<Part, BlobError> {
    let mut stream = std::pin::pin!(stream);
    let mut step = Vec::with_capacity(STEP);
    loop {
        let next = stream.next().await;
        let last = !matches!(next, Some(Ok(_)));
        if let Some(Ok(bytes)) = next {
            step.extend_from_slice(&bytes);
        }
        if step.len() >= STEP || (last && !step.is_empty()) {
            let bytes = std::mem::replace(&mut step, Vec::with_capacity(STEP));
            part = blocking(move || part.append(&bytes).map(|()| part)).await?;
        }
        if last {
            return Ok(part);
        }
    }
}

/// Runs file work where it may block.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, BlobError> + Send + 'static,
) -> Result<T, BlobError> {
    spawn_blocking(work).await.unwrap_or_else(|error| Err(BlobError::io("working on blobs", io::Error::other(error))))
}

pub(crate) fn digest_of_name(name: &str) -> Option<Digest> {
    format!("sha256:{name}").parse().ok()
}

fn list(root: &Path) -> io::Result<Vec<Blob>> {
    let mut blobs = Vec::new();
    for two in fs::read_dir(root)? {
        let two = two?;
        // Whatever else somebody put there is none of the hub's.
        if !two.file_type()?.is_dir() {
            continue;
        }
        for entry in fs::read_dir(two.path())? {
            let entry = entry?;
            let Some(digest) = entry.file_name().to_str().and_then(digest_of_name) else { continue };
            match entry.metadata() {
                Ok(meta) => blobs.push(Blob { digest, size: meta.len() }),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
    }
    Ok(blobs)
}

#[cfg(test)]
mod tests;
