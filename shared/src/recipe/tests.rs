use super::samples::{noise, open, pack, source, tar_of};
use super::*;
use crate::id::Digest;

#[test]
fn a_recipe_knows_where_its_chunks_are() {
    let chunk = |length| Chunk { id: ChunkId::of(b""), length };
    let recipe = Recipe::new(vec![chunk(10), chunk(5), chunk(1)]);
    assert_eq!((recipe.size(), recipe.start(0), recipe.start(2), recipe.start(3)), (16, 0, 15, 16));
    let at: Vec<usize> = [0, 9, 10, 14, 15, 16, u64::MAX].into_iter().map(|offset| recipe.at(offset)).collect();
    assert_eq!(at, [0, 0, 1, 1, 2, 3, 3]);
    assert_eq!((Recipe::default().size(), Recipe::default().at(0)), (0, 0));
}

#[test]
fn a_recipe_is_named_by_what_the_tar_is_made_of() {
    for (tar, seed) in [(Vec::new(), 0), (noise(1, 5), 1), (noise(2, 1 << 20), 2), (vec![0; 3 << 20], 3)] {
        let recipe = Recipe::of(&tar);
        assert_eq!(&recipe, open(pack(&tar)).recipe(), "{seed}: the same as in a pack");
        let bytes = recipe.to_bytes();
        assert!(bytes.len() as u64 <= Recipe::bytes_max(tar.len() as u64), "{seed}");
        assert_eq!(Recipe::from_bytes(&bytes).unwrap(), recipe);
        assert!(recipe.id().is(&bytes) && recipe.id().to_string().parse() == Ok(recipe.id()));
        let other = Recipe::of(&[&tar[..], b"!"].concat());
        assert!(!recipe.id().is(&other.to_bytes()));
    }
    let foreign = v1::Recipe { cut: [1, 2, 3], chunks: Vec::new() }.encode();
    assert!(Recipe::from_bytes(&foreign).is_err(), "cut in another way");
    for length in [0, CHUNK_MAX + 1] {
        let bytes = v1::Recipe { cut: [CHUNK_MIN, CHUNK_AVG, CHUNK_MAX], chunks: vec![([0; 32], length)] }.encode();
        assert!(Recipe::from_bytes(&bytes).is_err(), "a chunk of {length} bytes");
    }
}

#[test]
fn chunks_of_strangers_are_compared_before_they_are_stored() {
    let tar = [noise(1, 300_000), vec![0; 300_000]].concat();
    let (mut theirs, recipe) = (open(pack(&tar)), Recipe::of(&tar));
    let mut ours = pack::PackWriter::new(Vec::new()).unwrap();
    for (index, chunk) in recipe.chunks().iter().enumerate() {
        let stored = theirs.stored(index).unwrap().unwrap();
        let mut wrong = stored.frame.to_vec();
        *wrong.last_mut().unwrap() ^= 1;
        for bad in [&wrong[..], &stored.frame[1..], &[], &noise(9, chunk.length as usize)] {
            assert!(ours.put_foreign(stored.chunk, bad).is_err());
        }
        ours.put_foreign(stored.chunk, stored.frame).unwrap();
    }
    let tar_of_it = theirs.tar();
    assert!(tar_of(open(ours.finish(tar_of_it).unwrap())) == tar);
}

/// A pack of one chunk that is as it was stored, and was wrong before: its bytes are those of `is`.
fn wrong_pack(tar: &[u8], is: &[u8]) -> Vec<u8> {
    let mut writer = pack::PackWriter::new(Vec::new()).unwrap();
    writer.put_chunk(Chunk::of(tar), is).unwrap();
    writer.finish(crate::release::Blob { digest: Digest::of(tar), size: tar.len() as u64 }).unwrap()
}

#[test]
fn what_a_chunk_must_be_goes_along_when_it_is_copied() {
    let tar = noise(1, 20_000);
    let mut theirs = open(pack(&tar));
    let blob = theirs.tar();
    let mut stored = theirs.stored(0).unwrap().unwrap();
    let mut flipped = stored.frame.to_vec();
    flipped[7] ^= 1; // The chunk was read and compared, and then memory failed.
    stored.frame = &flipped;
    let mut ours = pack::PackWriter::new(Vec::new()).unwrap();
    ours.put_stored(stored).unwrap();
    let mut copied = open(ours.finish(blob).unwrap());
    assert!(matches!(copied.chunk(0), Err(pack::PackError::Damaged(_))));
}

#[test]
fn no_patch_is_made_of_a_chunk_that_is_not_what_its_id_says() {
    let (tar, wrong) = (noise(1, 20_000), noise(2, 20_000));
    let mut to = make::Source { pack: open(wrong_pack(&tar, &wrong)), files: Vec::new() };
    let made = make::make(&mut to, &mut [], Vec::new(), &|| false);
    assert!(matches!(made, Err(make::MakeError::New(pack::PackError::Damaged(_)))));
}

/// A golden file. `UPDATE=1` writes one that is missing and never replaces one: a change of bytes is a new version.
fn golden(name: &str, made: impl FnOnce() -> Vec<u8>) -> Vec<u8> {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/recipe").join(name);
    if !path.exists() && std::env::var_os("UPDATE").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, made()).unwrap();
    }
    std::fs::read(&path).unwrap()
}

/// Of four letters, so that golden files stay small.
fn letters(seed: u64, length: usize) -> Vec<u8> {
    noise(seed, length).into_iter().map(|byte| b'a' + byte % 4).collect()
}

#[test]
fn packs_and_patches_of_version_1_are_read_for_ever() {
    let old = [&b"\x7fELF"[..], &letters(1, 90_000)].concat();
    let mut changed = old[30_000..60_000].to_vec();
    changed[7] ^= 1;
    let fresh = [letters(2, 50_000), noise(3, 20_000)].concat();
    let new = [&old[..30_000], &changed, &old[60_000..], &fresh, &old, &fresh].concat();
    let from = golden("old.pack", || pack(&old));
    assert!(tar_of(open(from.clone())) == old);
    let bytes = golden("new.patch", || make::make(&mut source(&new), &mut [source(&old)], Vec::new(), &|| false).unwrap());
    let (mut copies, mut repeats, mut codecs) = (0, 0, std::collections::BTreeSet::new());
    let mut reader = patch::PatchReader::new(bytes.as_slice()).unwrap();
    while let Some((operation, _)) = reader.read().unwrap() {
        match operation {
            patch::Operation::Copy { .. } => copies += 1,
            patch::Operation::Repeat { .. } => repeats += 1,
            patch::Operation::Run(run) => {
                codecs.insert(run.codec as u8);
            }
        }
    }
    assert!(copies > 0 && repeats > 0 && !codecs.is_empty(), "{copies} {repeats} {codecs:?}");
    let mut reader = patch::PatchReader::new(bytes.as_slice()).unwrap();
    let made = apply::apply(&mut reader, &mut [open(from)], Vec::new(), &|| false).unwrap();
    assert!(tar_of(open(made)) == new);
}

/// What `from` and a patch make of it is `to`; the bytes of the patch.
fn there_and_back(from: &[&[u8]], to: &[u8]) -> Vec<u8> {
    let mut sources: Vec<_> = from.iter().map(|tar| source(tar)).collect();
    let patch = make::make(&mut source(to), &mut sources, Vec::new(), &|| false).unwrap();
    let again = make::make(&mut source(to), &mut sources, Vec::new(), &|| false).unwrap();
    assert_eq!(patch, again, "the same patch has the same bytes");
    let mut packs: Vec<_> = from.iter().map(|tar| open(pack(tar))).collect();
    let mut reader = patch::PatchReader::new(patch.as_slice()).unwrap();
    assert_eq!(reader.head().from, from.iter().map(|tar| Digest::of(tar)).collect::<Vec<_>>());
    let made = apply::apply(&mut reader, &mut packs, Vec::new(), &|| false).unwrap();
    assert_eq!(made, pack(to), "a pack is the same however it came");
    assert!(tar_of(open(made)) == to);
    patch
}

/// What a patch of these operations makes of `from`, for a layer of `size` bytes.
fn applied(from: &[&[u8]], size: u64, operations: Vec<(patch::Operation, Vec<u8>)>) -> Result<Vec<u8>, String> {
    let to = crate::release::Blob { digest: Digest::of(b"?"), size };
    let from_ids = from.iter().map(|tar| Digest::of(tar)).collect();
    let head = patch::Head { from: from_ids, to, recipe: Recipe::default().id() };
    let mut writer = patch::PatchWriter::new(Vec::new(), &head).unwrap();
    for (operation, body) in operations {
        writer.put(operation, &body).unwrap();
    }
    let bytes = writer.finish().unwrap();
    let mut packs: Vec<_> = from.iter().map(|tar| open(pack(tar))).collect();
    let mut reader = patch::PatchReader::new(bytes.as_slice()).unwrap();
    apply::apply(&mut reader, &mut packs, Vec::new(), &|| false).map_err(|error| error.to_string())
}

fn run(bytes: &[u8]) -> (patch::Operation, Vec<u8>) {
    let chunks = if bytes.is_empty() { Vec::new() } else { vec![Chunk::of(bytes)] };
    let body = u32::try_from(bytes.len()).unwrap();
    let references = vec![patch::Piece { layer: 0, offset: 0, length: 1000 }];
    (patch::Operation::Run(patch::Run { codec: codec::Codec::Raw, body, references, chunks }), bytes.to_vec())
}

/// Few bytes never make much work: not by short chunks, nor by operations of nothing.
#[test]
fn a_hostile_patch_is_refused_early() {
    use patch::Operation::{Copy, Repeat};
    let old = noise(5, 100_000);
    let whole = noise(6, CHUNK_MIN as usize);
    for (operations, why) in [
        (vec![run(b"x"), (Repeat { first: 0, count: u32::MAX }, Vec::new())], "a short chunk"),
        (vec![run(&whole), (Repeat { first: 0, count: u32::MAX }, Vec::new())], "more bytes"),
        (vec![(Repeat { first: 0, count: 1 }, Vec::new())], "did not come before"),
        (vec![(Copy { layer: 0, first: 0, count: u32::MAX }, Vec::new())], "the old layer does not have"),
        (vec![(Copy { layer: 0, first: u32::MAX, count: 9 }, Vec::new())], "fewer bytes"),
        (vec![(Copy { layer: 1, first: 0, count: 1 }, Vec::new())], "does not name"),
        (vec![(Copy { layer: 0, first: 0, count: 0 }, Vec::new())], "makes nothing"),
        (vec![run(b"")], "beyond its bounds"),
        (vec![run(&whole)], "fewer bytes"),
        (vec![], "fewer bytes"),
    ] {
        let error = applied(&[&old], 1 << 30, operations).unwrap_err();
        assert!(error.contains(why), "{error:?} does not say {why:?}");
    }
    let error = applied(&[], u64::from(CHUNK_MIN), vec![(run(&whole).0, whole.clone())]).unwrap_err();
    assert!(error.contains("does not name"), "{error}");
    let error = applied(&[&old], u64::from(CHUNK_MIN), vec![run(&whole)]).unwrap_err();
    assert!(error.contains("another layer"), "{error}");
}

/// Bytes that know how often they were read.
struct Counted(Vec<u8>, std::rc::Rc<std::cell::Cell<usize>>);

impl ReadAt for Counted {
    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<()> {
        self.1.set(self.1.get() + 1);
        self.0.read_at(offset, into)
    }
}

#[test]
fn references_of_few_bytes_in_many_chunks_are_refused_early() {
    let old = vec![0; 4 << 20]; // Nothing in it says where to cut: all chunks are of the largest size.
    let chunks = old.len() as u64 / u64::from(CHUNK_MAX);
    let pieces = (0..patch::PIECES_MAX as u64)
        .map(|n| patch::Piece { layer: 0, offset: n % chunks * u64::from(CHUNK_MAX), length: 1 })
        .collect();
    let bytes = noise(6, CHUNK_MIN as usize);
    let run = patch::Run { codec: codec::Codec::Raw, body: CHUNK_MIN, references: pieces, chunks: vec![Chunk::of(&bytes)] };
    let to = crate::release::Blob { digest: Digest::of(&bytes), size: bytes.len() as u64 };
    let head = patch::Head { from: vec![Digest::of(&old)], to, recipe: Recipe::of(&bytes).id() };
    let mut writer = patch::PatchWriter::new(Vec::new(), &head).unwrap();
    writer.put(patch::Operation::Run(run), &bytes).unwrap();
    let bytes = writer.finish().unwrap();

    let (packed, reads) = (pack(&old), std::rc::Rc::default());
    let length = packed.len() as u64;
    let pack = pack::Pack::open(Counted(packed, std::rc::Rc::clone(&reads)), length).unwrap();
    let opening = reads.get();
    let mut reader = patch::PatchReader::new(bytes.as_slice()).unwrap();
    let refused = apply::apply(&mut reader, &mut [pack], Vec::new(), &|| false).map(drop).unwrap_err();
    assert!(matches!(refused, apply::ApplyError::Unfit("references in too many chunks")), "{refused}");
    let most = usize::try_from(UNPACKED_MAX / u64::from(CHUNK_MAX)).unwrap() + 1;
    assert!(reads.get() - opening <= most, "{} of {most} reads", reads.get() - opening);
}

/// A chunk that is copied is not unpacked; that it changed on the disk shows all the same.
#[test]
fn a_copy_of_a_damaged_chunk_is_refused_by_the_name_of_its_layer() {
    let (old, new) = (noise(7, 400_000), [noise(7, 400_000), noise(8, 100_000)].concat());
    let patch = make::make(&mut source(&new), &mut [source(b"other"), source(&old)], Vec::new(), &|| false).unwrap();
    let applied = |of_old: Vec<u8>| {
        let mut reader = patch::PatchReader::new(patch.as_slice()).unwrap();
        apply::apply(&mut reader, &mut [open(pack(b"other")), open(of_old)], Vec::new(), &|| false)
    };
    let whole = pack(&old);
    assert_eq!(applied(whole.clone()).unwrap(), pack(&new));
    for at in [8, 200_000] {
        let mut damaged = whole.clone();
        damaged[at] ^= 1;
        let refused = applied(damaged).unwrap_err();
        assert!(matches!(refused, apply::ApplyError::Old { layer: 1, cause: pack::PackError::Damaged(_) }), "{refused}");
    }
}

/// Whatever happens to the bytes of a patch: an error or the layer, and no panic.
#[test]
fn a_spoilt_patch_makes_the_layer_or_nothing() {
    let old = noise(1, 300_000);
    let new = [&old[..100_000], &noise(2, 50_000), &old[100_000..]].concat();
    let patch = make::make(&mut source(&new), &mut [source(&old)], Vec::new(), &|| false).unwrap();
    for at in (0..patch.len()).step_by(patch.len() / 150 + 1) {
        let mut spoilt = patch.clone();
        spoilt[at] ^= 1 << (at % 8);
        let made = patch::PatchReader::new(spoilt.as_slice())
            .map(|mut reader| apply::apply(&mut reader, &mut [open(pack(&old))], Vec::new(), &|| false));
        if let Ok(Ok(made)) = made {
            assert!(tar_of(open(made)) == new, "byte {at}");
        }
    }
}

#[test]
fn a_patch_makes_the_layer_from_any_others() {
    let old = noise(1, 1_500_000);
    let new = [&old[..400_000], &noise(2, 90_000), &old[420_000..], &noise(3, 2_500_000), &noise(2, 90_000)].concat();
    for from in [&[][..], &[&old[..]], &[&new], &[b"", &old], &[&noise(4, 100_000), &old]] {
        let patch = there_and_back(from, &new);
        let sent = patch.len() as u64;
        let fresh = if from.contains(&new.as_slice()) {
            0
        } else if from.contains(&old.as_slice()) {
            2_600_000
        } else {
            3_980_000
        };
        assert!(sent < fresh + 300_000, "{sent} bytes for {fresh} new ones from {} layers", from.len());
    }
    there_and_back(&[&old], b"");
    assert!(there_and_back(&[], &vec![0; 5_000_000]).len() < 2_000);
}
