//! What to copy and what to send: decided from recipes and the names of files, without a byte of the layers.
//!
//! A chunk that an old layer has, or that came before, is copied. What is left is collected into runs of neighbours, and
//! each run gets references: for every file in it the old bytes of the file of the same name, around the place that
//! corresponds ([`place`](super::place)). A file whose name differs in its version numbers only counts as the same
//! (`libssl.so.3.0.15`, `numpy-1.26.4.dist-info`).

use std::collections::BTreeMap;
use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::patch::{PIECES_MAX, Piece};
use super::place::Copies;
use super::{ChunkId, RUN_MAX, Recipe};

/// Most old bytes for a run of one file, which gets three times its own: two times made the patches of moved programs 3 %
/// larger, more than three made none smaller.
const WINDOW: u64 = 2 << 20;
/// Least old bytes for a run of one file.
const WINDOW_MIN: u64 = 256 << 10;
/// Least old bytes for a file of a run of several, and most of the run in all.
const SHARE_MIN: u64 = 64 << 10;
/// A tar header, which stands before each file.
const HEADER: u64 = 512;

/// A file of a layer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct File {
    /// Its path as the tar has it.
    pub path: Vec<u8>,
    /// Where its data begin in the tar.
    pub offset: u64,
    /// Their bytes; more than none.
    pub length: u64,
}

impl File {
    pub(super) const fn end(&self) -> u64 {
        self.offset.saturating_add(self.length)
    }
}

/// A layer to decide about: its chunks, and its files in the order of the tar.
#[derive(Debug, Clone, Copy)]
pub struct Layer<'a> {
    /// Its chunks.
    pub recipe: &'a Recipe,
    /// Its files.
    pub files: &'a [File],
}

/// What makes the next chunks of the new layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Draft {
    /// An old layer has them.
    Copy {
        /// Which layer.
        layer: u8,
        /// The number of its first chunk.
        first: u32,
        /// How many.
        count: u32,
    },
    /// They came before.
    Repeat {
        /// The number of the first.
        first: u32,
        /// How many.
        count: u32,
    },
    /// They must be sent.
    Run {
        /// Which chunks of the new layer.
        chunks: Range<usize>,
        /// Which files of the new layer have bytes in them.
        files: Range<usize>,
        /// The old bytes they resemble.
        references: Vec<Piece>,
    },
}

/// How the layer `to` is made when the layers `from` are there. The first of `from` that has something is preferred.
pub fn draft(to: Layer<'_>, from: &[Layer<'_>]) -> Vec<Draft> {
    let mut found = Found::new(from);
    let mut drafts: Vec<Draft> = Vec::new();
    for (index, chunk) in to.recipe.chunks().iter().enumerate() {
        let next = match found.find(chunk.id, index) {
            Some(Place::Old { layer, index }) => Draft::Copy { layer, first: index, count: 1 },
            Some(Place::New { index }) => Draft::Repeat { first: index, count: 1 },
            None => Draft::Run { chunks: index..index + 1, files: 0..0, references: Vec::new() },
        };
        let joined = drafts.last_mut().is_some_and(|last| join(last, &next, to.recipe));
        if !joined {
            drafts.push(next);
        }
    }
    let old = Old { names: Names::new(from), copies: Copies::of(&drafts, to, from) };
    for draft in &mut drafts {
        if let Draft::Run { chunks, files, references } = draft {
            let bytes = to.recipe.start(chunks.start)..to.recipe.start(chunks.end);
            *files = within(&bytes, to.files);
            *references = old.refer(bytes, to.files.get(files.clone()).unwrap_or_default());
        }
    }
    drafts
}

enum Place {
    Old { layer: u8, index: u32 },
    New { index: u32 },
}

/// Where each chunk can be had.
struct Found {
    old: BTreeMap<ChunkId, (u8, u32)>,
    new: BTreeMap<ChunkId, u32>,
}

impl Found {
    fn new(from: &[Layer<'_>]) -> Self {
        let mut old = BTreeMap::new();
        for (layer, number) in from.iter().zip(0..=u8::MAX) {
            for (chunk, index) in layer.recipe.chunks().iter().zip(0..=u32::MAX) {
                old.entry(chunk.id).or_insert((number, index));
            }
        }
        Self { old, new: BTreeMap::new() }
    }

    /// Where chunk number `index` of the new layer can be had; from now on it is there.
    fn find(&mut self, id: ChunkId, index: usize) -> Option<Place> {
        if let Some((layer, index)) = self.old.get(&id).copied() {
            return Some(Place::Old { layer, index });
        }
        let here = u32::try_from(index).ok()?;
        let first = *self.new.entry(id).or_insert(here);
        (first != here).then_some(Place::New { index: first })
    }
}

/// Adds `next` to `last` where they are one.
fn join(last: &mut Draft, next: &Draft, recipe: &Recipe) -> bool {
    match (last, next) {
        (Draft::Copy { layer, first, count }, Draft::Copy { layer: other, first: at, .. }) => {
            let joined = layer == other && first.checked_add(*count) == Some(*at);
            *count += u32::from(joined);
            joined
        }
        (Draft::Repeat { first, count }, Draft::Repeat { first: at, .. }) => {
            let joined = first.checked_add(*count) == Some(*at);
            *count += u32::from(joined);
            joined
        }
        (Draft::Run { chunks, .. }, Draft::Run { chunks: more, .. }) => {
            let joined = recipe.start(more.end) - recipe.start(chunks.start) <= u64::from(RUN_MAX);
            if joined {
                chunks.end = more.end;
            }
            joined
        }
        _ => false,
    }
}

/// The files of the old layers by name.
struct Names<'a> {
    exact: BTreeMap<&'a [u8], (u8, &'a File)>,
    alike: BTreeMap<Vec<u8>, Vec<(u8, &'a File)>>,
}

/// Most old files that share a name but for their version numbers and are looked at.
const ALIKE_MAX: usize = 16;

impl<'a> Names<'a> {
    fn new(from: &[Layer<'a>]) -> Self {
        let (mut exact, mut alike): (BTreeMap<_, _>, BTreeMap<_, Vec<_>>) = Default::default();
        for (layer, number) in from.iter().zip(0..=u8::MAX) {
            for file in layer.files {
                exact.entry(file.path.as_slice()).or_insert((number, file));
                let same = alike.entry(without_versions(&file.path)).or_default();
                if same.len() < ALIKE_MAX {
                    same.push((number, file));
                }
            }
        }
        Self { exact, alike }
    }

    /// The old file that `file` is a version of: of the same name, else of the name that differs in numbers only and the
    /// nearest length.
    fn find(&self, file: &File) -> Option<(u8, &'a File)> {
        let exact = self.exact.get(file.path.as_slice()).copied();
        exact.or_else(|| {
            let alike = self.alike.get(&without_versions(&file.path))?;
            alike.iter().min_by_key(|(_, old)| old.length.abs_diff(file.length)).copied()
        })
    }
}

/// A path with every number in it replaced, dots between numbers included.
pub(super) fn without_versions(path: &[u8]) -> Vec<u8> {
    let mut name: Vec<u8> = Vec::with_capacity(path.len());
    for byte in path {
        let within = name.last() == Some(&b'#');
        match byte {
            b'0'..=b'9' if within => {}
            b'0'..=b'9' => name.push(b'#'),
            b'.' if within => {}
            other => name.push(*other),
        }
    }
    name
}

/// The files that have bytes in these bytes of the tar.
fn within(bytes: &Range<u64>, files: &[File]) -> Range<usize> {
    let first = files.partition_point(|file| file.end() <= bytes.start);
    first..files.partition_point(|file| file.offset < bytes.end).max(first)
}

/// What the old layers have that runs can refer to.
struct Old<'a> {
    names: Names<'a>,
    copies: Copies,
}

impl Old<'_> {
    /// The old bytes for a run that holds these bytes of the new tar, which are of these files.
    fn refer(&self, run: Range<u64>, files: &[File]) -> Vec<Piece> {
        let alone = files.len() == 1;
        let mut pieces: Vec<Piece> = Vec::new();
        let mut left = u64::from(super::REFERENCES_MAX);
        for file in files {
            let Some((layer, old)) = self.names.find(file) else { continue };
            let part = run.start.max(file.offset)..run.end.min(file.end());
            let length = part.end - part.start;
            let share = if alone { (length * 3).clamp(WINDOW_MIN, WINDOW) } else { (length * 2).max(SHARE_MIN) };
            let bytes = self.copies.corresponding(part, file, (layer, old), share.min(left));
            // With the header before them.
            let bytes = bytes.start.saturating_sub(HEADER)..bytes.end;
            if !add(&mut pieces, layer, bytes, &mut left) {
                break;
            }
        }
        pieces
    }
}

/// Adds bytes of an old layer, joined with the last piece where they touch; whether there was room.
fn add(pieces: &mut Vec<Piece>, layer: u8, mut bytes: Range<u64>, left: &mut u64) -> bool {
    if let Some(last) = pieces.last_mut()
        && last.layer == layer
        && (last.offset..=last.offset + u64::from(last.length)).contains(&bytes.start)
    {
        bytes.start = last.offset + u64::from(last.length);
        let more = bytes.end.saturating_sub(bytes.start).min(*left);
        *left -= more;
        last.length = last.length.saturating_add(u32::try_from(more).unwrap_or(0));
        return true;
    }
    let length = u32::try_from((bytes.end - bytes.start).min(*left)).unwrap_or(0);
    if length == 0 || pieces.len() >= PIECES_MAX {
        return false;
    }
    *left -= u64::from(length);
    pieces.push(Piece { layer, offset: bytes.start, length });
    true
}
