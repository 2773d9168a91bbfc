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
