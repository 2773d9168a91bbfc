//! What hub and node do with a layer, one step at a time, for programs that measure whole processes: the code they run,
//! over files.

use std::convert::Infallible;
use std::fs::File;
use std::io::{self, BufReader, Read, Write};
use std::path::{Path, PathBuf};

use clap::Subcommand;
use edge_node::images::packs::{PackFile, PackTar};
use sha2::{Digest as _, Sha256};
use shared::id::Digest;
use shared::recipe::ChunkId;
use shared::recipe::apply::apply;
use shared::recipe::cut::Cutter;
use shared::recipe::draft;
use shared::recipe::make::{Source, make};
use shared::recipe::pack::{Pack, PackWriter};
use shared::recipe::patch::PatchReader;
use shared::release::Blob;

use super::make::{load, store};
use super::tool::at;
use crate::demo::Failure;

/// Bytes of a tar that are read at once.
const STEP: usize = 1 << 20;

/// A step.
#[derive(Debug, Clone, Subcommand)]
pub enum Step {
    /// Nothing but reading a tar: what the steps below cost without doing anything.
    Read {
        /// The tar.
        tar: PathBuf,
    },
    /// Hub: where a tar is cut, and the names of its chunks.
    Chunk {
        /// The tar.
        tar: PathBuf,
    },
    /// Hub: a tar into a pack, with the list of its files beside it.
    Pack {
        /// The tar.
        tar: PathBuf,
        /// The pack.
        pack: PathBuf,
    },
    /// Hub: what makes one layer out of others.
    Patch {
        /// Pack of the new layer.
        new: PathBuf,
        /// The patch.
        patch: PathBuf,
        /// Packs of the old layers.
        old: Vec<PathBuf>,
    },
    /// Node: a patch and old packs into a pack.
    Apply {
        /// The patch.
        patch: PathBuf,
        /// The new pack.
        new: PathBuf,
        /// The old packs.
        old: Vec<PathBuf>,
    },
    /// Node: the tar of a pack, with its sha256, on standard output.
    Tar {
        /// The pack.
        pack: PathBuf,
    },
}

impl Step {
    /// Does it.
    ///
    /// # Errors
    /// The file it was about, and why.
    pub fn run(&self) -> Result<(), Failure> {
        match self {
            Self::Read { tar } => each(tar, |_| Ok(())),
            Self::Chunk { tar } => chunk(tar),
            Self::Pack { tar, pack } => write_pack(tar, pack),
            Self::Patch { new, patch, old } => write_patch(new, patch, old),
            Self::Apply { patch, new, old } => write_new(patch, new, old),
            Self::Tar { pack } => write_tar(pack),
        }
    }
}

fn chunk(tar: &Path) -> Result<(), Failure> {
    let mut last = None;
    let mut cutter = Cutter::default();
    let mut name = |chunk: &[u8]| {
        last = Some(ChunkId::of(chunk));
        Ok::<(), Infallible>(())
    };
    each(tar, |bytes| {
        let Ok(()) = cutter.push(bytes, &mut name);
        Ok(())
    })?;
    let Ok(()) = cutter.finish(&mut name);
    last.map(drop).ok_or_else(|| format!("{}: empty", tar.display()))
}

fn write_pack(tar: &Path, path: &Path) -> Result<(), Failure> {
    let failed = |error: shared::recipe::pack::PackError| format!("{}: {error}", path.display());
    let mut writer = PackWriter::new(PackFile::from(at(path, created(path))?)).map_err(failed)?;
    let (mut cutter, mut hash, mut size) = (Cutter::default(), Sha256::new(), 0);
    each(tar, |bytes| {
        hash.update(bytes);
        size += bytes.len() as u64;
        cutter.push(bytes, |chunk| writer.put(chunk)).map_err(failed)
    })?;
    cutter.finish(|chunk| writer.put(chunk)).map_err(failed)?;
    writer.finish(Blob { digest: Digest::from_bytes(hash.finalize().into()), size }).map_err(failed)?;
    store(&files_of(path), &files(tar)?)
}

/// Where the list of files lies that belongs to a pack.
fn files_of(pack: &Path) -> PathBuf {
    pack.with_extension("files")
}

fn files(tar: &Path) -> Result<Vec<draft::File>, Failure> {
    let mut archive = tar::Archive::new(BufReader::new(at(tar, File::open(tar))?));
    let mut files = Vec::new();
    for entry in at(tar, archive.entries_with_seek())? {
        let entry = at(tar, entry)?;
        if entry.header().entry_type().is_file() && entry.size() > 0 {
            let path = entry.path_bytes().into_owned();
            files.push(draft::File { path, offset: entry.raw_file_position(), length: entry.size() });
        }
    }
    Ok(files)
}

fn write_patch(new: &Path, path: &Path, old: &[PathBuf]) -> Result<(), Failure> {
    let source = |path: &PathBuf| Ok::<_, Failure>(Source { pack: open(path)?, files: load(&files_of(path))? });
    let mut to = source(&new.to_path_buf())?;
    let mut from = old.iter().map(source).collect::<Result<Vec<_>, _>>()?;
    let out = io::BufWriter::new(at(path, created(path))?);
    let mut out = make(&mut to, &mut from, out, &|| false).map_err(|error| format!("{}: {error}", path.display()))?;
    at(path, out.flush())
}

fn write_new(patch: &Path, new: &Path, old: &[PathBuf]) -> Result<(), Failure> {
    let failed = |error: String| format!("{}: {error}", patch.display());
    let mut reader =
        PatchReader::new(BufReader::new(at(patch, File::open(patch))?)).map_err(|error| failed(error.to_string()))?;
    let mut from = old.iter().map(|path| open(path)).collect::<Result<Vec<_>, _>>()?;
    let out = PackFile::from(at(new, created(new))?);
    apply(&mut reader, &mut from, out, &|| false).map(drop).map_err(|error| failed(error.to_string()))
}

fn write_tar(pack: &Path) -> Result<(), Failure> {
    let pack_of = open(pack)?;
    let (signed, mut tar) = (pack_of.tar(), PackTar::new(pack_of));
    let (mut hash, mut buffer, mut out) = (Sha256::new(), vec![0; STEP], io::stdout().lock());
    loop {
        let n = at(pack, tar.read(&mut buffer))?;
        let bytes = buffer.get(..n).unwrap_or_default();
        if bytes.is_empty() {
            break;
        }
        hash.update(bytes);
        at(pack, out.write_all(bytes))?;
    }
    let found = Digest::from_bytes(hash.finalize().into());
    if found == signed.digest { Ok(()) } else { Err(format!("{}: it holds {found}", pack.display())) }
}

/// Gives the bytes of a file, piece by piece.
fn each(path: &Path, mut take: impl FnMut(&[u8]) -> Result<(), Failure>) -> Result<(), Failure> {
    let (mut file, mut buffer) = (at(path, File::open(path))?, vec![0; STEP]);
    loop {
        let n = at(path, file.read(&mut buffer))?;
        match buffer.get(..n).filter(|bytes| !bytes.is_empty()) {
            Some(bytes) => take(bytes)?,
            None => return Ok(()),
        }
    }
}

fn open(path: &Path) -> Result<Pack<PackFile>, Failure> {
    let file = at(path, File::open(path))?;
    let length = at(path, file.metadata())?.len();
    Pack::open(PackFile::from(file), length).map_err(|error| format!("{}: {error}", path.display()))
}

fn created(path: &Path) -> io::Result<File> {
    File::options().read(true).write(true).create(true).truncate(true).open(path)
}
