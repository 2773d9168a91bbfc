//! The pack of a layer, made of chunks that are here already and of chunks that neighbours send.
//!
//! It is written from front to back, and what is written stays when nobody goes on with it, the daemon is killed or the power
//! goes: the next build begins behind the last chunk of it that is what its id says. A power cut takes at most
//! [`SYNC_EVERY`] bytes.

use std::collections::BTreeMap;

use shared::id::Digest;
use shared::recipe::pack::{Pack, PackError, PackWriter};
use shared::recipe::{Chunk, ChunkId, Recipe};
use shared::release::Blob;
use shared::rot::is_rot;

use super::talk::Useless;
use crate::images::blobs::{BlobError, SYNC_EVERY, failed};
use crate::images::claims::Claim;
use crate::images::packs::{PackFile, Packs};

/// Most packs of this node that are looked through for chunks, the newest first.
const PACKS_MAX: usize = 16;

/// A pack that is being made. Dropped before it is finished, it stays as far as it is.
pub(super) struct Build {
    packs: Packs,
    tar: Blob,
    chunks: Vec<Chunk>,
    /// Our own packs that have some of them.
    own: Vec<(Digest, Pack<PackFile>)>,
    /// Where chunks are in `own`: which pack, and the number there.
    here: BTreeMap<ChunkId, (usize, usize)>,
    writer: PackWriter<PackFile>,
    /// So many bytes of it no power cut takes.
    synced: u64,
    /// Chunks that are written.
    written: usize,
    /// Numbers of the chunks that must come, in order.
    missing: Vec<u32>,
    /// How many of them came.
    came: usize,
    _claim: Claim,
}

/// Why a chunk was not taken.
#[derive(Debug)]
pub(super) enum Refused {
    /// It is not what its id says.
    Wrong(Useless),
    /// The disk failed.
    Disk(BlobError),
}

impl From<BlobError> for Refused {
    fn from(error: BlobError) -> Self {
        Self::Disk(error)
    }
}

impl Build {
    /// Begins the pack of the layer `tar`, of which `recipe` is the recipe. The caller has claimed it.
    pub(super) fn begin(packs: Packs, claim: Claim, tar: Blob, recipe: &Recipe) -> Result<Self, BlobError> {
        let chunks = recipe.chunks().to_vec();
        let (file, length) = packs.resume(tar.digest)?;
        let writer = PackWriter::resume(file, length, &chunks).map_err(|error| trouble(&packs, tar, error))?;
        packs.cut(tar.digest, writer.out(), writer.length())?;
        let written = writer.chunks();
        let mut first: BTreeMap<ChunkId, u32> = BTreeMap::new();
        for (number, chunk) in (0..).zip(&chunks) {
            first.entry(chunk.id).or_insert(number);
        }
        let (mut own, mut here) = (Vec::new(), BTreeMap::new());
        for layer in packs.list()?.into_iter().take(PACKS_MAX) {
            // One that cannot be read is of no use here; whoever needs it will say so.
            let Ok(pack) = packs.read(layer) else { continue };
            let before = here.len();
            for (number, chunk) in pack.recipe().chunks().iter().enumerate() {
                if first.contains_key(&chunk.id) {
                    here.entry(chunk.id).or_insert((own.len(), number));
                }
            }
            if here.len() > before {
                own.push((layer, pack));
            }
        }
        let is_missing = |id: &ChunkId, number: u32| number as usize >= written && !here.contains_key(id);
        let missing = first.iter().filter(|(id, number)| is_missing(id, **number)).map(|(_, number)| *number);
        let mut missing: Vec<u32> = missing.collect();
        missing.sort_unstable();
        Ok(Self { packs, tar, chunks, own, here, writer, synced: 0, written, missing, came: 0, _claim: claim })
    }

    /// Numbers of the chunks that must still come, in order.
    pub(super) fn missing(&self) -> &[u32] {
        self.missing.get(self.came..).unwrap_or_default()
    }

    /// Bytes of these chunks before they are stored.
    pub(super) fn bytes(&self, numbers: &[u32]) -> u64 {
        let lengths = numbers.iter().filter_map(|number| self.chunks.get(*number as usize)).map(|chunk| u64::from(chunk.length));
        lengths.sum()
    }

    /// Takes the first of the missing chunks, as somebody says that a pack stores it.
    pub(super) fn put(&mut self, stored: &[u8]) -> Result<(), Refused> {
        let Some(number) = self.missing().first().map(|number| *number as usize) else { return Ok(()) };
        self.put_own(number)?;
        let Some(chunk) = self.chunks.get(number).copied() else { return Ok(()) };
        match self.writer.put_foreign(chunk, stored) {
            Ok(()) => {
                (self.came, self.written) = (self.came + 1, number + 1);
                Ok(self.sync_now_and_then()?)
            }
            Err(PackError::Damaged(why)) => Err(Refused::Wrong(Useless::Lied(format!("{why}, number {number}")))),
            Err(error @ (PackError::Io(_) | PackError::TooLarge)) => Err(trouble(&self.packs, self.tar, error).into()),
        }
    }

    /// Makes the pack durable once nothing is missing.
    pub(super) fn finish(mut self) -> Result<(), BlobError> {
        self.put_own(self.chunks.len())?;
        let finished = self.writer.finish(self.tar).map_err(|error| trouble(&self.packs, self.tar, error));
        let ended = finished.and_then(|file| self.packs.finish(self.tar.digest, &file));
        if ended.is_err() {
            self.packs.give_up(self.tar.digest)?;
        }
        ended
    }

    fn sync_now_and_then(&mut self) -> Result<(), BlobError> {
        if self.writer.length().saturating_sub(self.synced) >= SYNC_EVERY {
            self.packs.sync(self.tar.digest, self.writer.out())?;
            self.synced = self.writer.length();
        }
        Ok(())
    }

    /// Writes chunks of our own, and those that came before, up to the chunk `until`.
    fn put_own(&mut self, until: usize) -> Result<(), BlobError> {
        while self.written < until {
            let Some(chunk) = self.chunks.get(self.written).copied() else { break };
            let place = self.here.get(&chunk.id).and_then(|(pack, number)| Some((self.own.get_mut(*pack)?, *number)));
            let put = match place {
                Some(((layer, pack), number)) => match pack.stored(number) {
                    Ok(Some(stored)) => self.writer.put_stored(stored),
                    Ok(None) => self.writer.put_again(chunk),
                    Err(PackError::Io(cause)) if !is_rot(&cause) => {
                        return Err(failed("reading", &self.packs.path(*layer), 0)(cause));
                    }
                    // Its bytes have changed on this disk, or cannot be read: it is of no use to anybody.
                    Err(PackError::Io(_) | PackError::Damaged(_) | PackError::TooLarge) => {
                        self.packs.remove(*layer)?;
                        return Err(BlobError::Differs(*layer));
                    }
                },
                None => self.writer.put_again(chunk),
            };
            put.map_err(|error| trouble(&self.packs, self.tar, error))?;
            self.written += 1;
        }
        Ok(())
    }
}

fn trouble(packs: &Packs, tar: Blob, error: PackError) -> BlobError {
    let cause = match error {
        PackError::Io(cause) => cause,
        other @ (PackError::Damaged(_) | PackError::TooLarge) => std::io::Error::other(other),
    };
    failed("writing", &packs.path(tar.digest), 0)(cause)
}
