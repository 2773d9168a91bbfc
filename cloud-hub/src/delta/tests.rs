use std::fs;
use std::time::Duration;

use shared::recipe::Recipe;
use shared::recipe::apply::apply;
use shared::recipe::cut::Cutter;
use shared::recipe::pack::{Pack, PackError, PackWriter};
use shared::recipe::patch::PatchReader;
use shared::release::{Blob, Compression};

use super::*;
use crate::images::{ImageError, samples};

/// A directory with blobs, packs and patches.
struct World {
    dir: tempfile::TempDir,
    blobs: Blobs,
    delta: Delta,
}

const CACHE: u64 = 8 << 20;

fn world() -> World {
    let dir = tempfile::tempdir().unwrap();
    let blobs = Blobs::open(dir.path(), 64 << 20).unwrap();
    let delta = Delta::open(dir.path(), &blobs, CACHE).unwrap();
    World { dir, blobs, delta }
}

/// A tar of 2 MB, a tenth of it other bytes for another version.
fn tar(version: u64) -> Vec<u8> {
    let (same, other) = (samples::noise(1, 1_800_000), samples::noise(100 + version, 200_000));
    samples::tar(&[("usr/lib/same", &same), ("usr/bin/app", &other), ("etc/empty", b"")])
}

impl World {
    /// Has the blob of a layer.
    fn put(&self, tar: &[u8], compression: Compression) -> Layer {
        let bytes = match compression {
            Compression::None => tar.to_vec(),
            Compression::Gzip => samples::gzip(tar),
            Compression::Zstd => samples::zstd(tar, 3),
        };
        let blob = samples::blob(&bytes);
        self.blobs.put_blocking(blob, &mut bytes.as_slice()).unwrap();
        Layer { blob, compression, tar: samples::blob(tar), recipe: Recipe::of(tar).id() }
    }

    fn pack_path(&self, layer: &Layer) -> std::path::PathBuf {
        self.dir.path().join("packs").join(format!("{}.pack", layer.tar.digest.hex()))
    }

    /// The bytes of a patch that was made.
    async fn bytes(&self, blob: Blob) -> Vec<u8> {
        let bytes = self.delta.read(&blob.digest, 0, u32::try_from(blob.size).unwrap()).await.unwrap();
        assert_eq!(samples::blob(&bytes), blob);
        bytes.to_vec()
    }

    async fn patch(&self, to: Layer, have: &[Layer]) -> Made {
        let known: Known = have.iter().map(|layer| (layer.tar.digest, *layer)).collect();
        let have: Vec<Digest> = known.keys().copied().collect();
        self.delta.patch(&None, to, &have, &known).await.unwrap()
    }
}

/// The pack of a tar as everybody makes it.
fn pack(tar: &[u8]) -> Vec<u8> {
    let mut writer = PackWriter::new(Vec::new()).unwrap();
    let mut cutter = Cutter::default();
    cutter.push(tar, |chunk| writer.put(chunk)).unwrap();
    cutter.finish(|chunk| writer.put(chunk)).unwrap();
    writer.finish(samples::blob(tar)).unwrap()
}

/// What a node makes of a patch.
fn applied(patch: &[u8], from: &[&[u8]]) -> Vec<u8> {
    let open = |bytes: Vec<u8>| Pack::open(bytes.clone(), bytes.len() as u64).unwrap();
    let mut packs: Vec<_> = from.iter().map(|tar| open(pack(tar))).collect();
    let made = apply(&mut PatchReader::new(patch).unwrap(), &mut packs, Vec::new(), &|| false).unwrap();
    let mut made = open(made);
    let (mut tar, size) = (Vec::new(), u32::try_from(made.tar().size).unwrap());
    made.read(0, size, &mut tar).unwrap();
    tar
}

#[tokio::test]
async fn a_pack_is_the_same_whatever_the_layer_travelled_in() {
    let expected = pack(&tar(1));
    for compression in [Compression::None, Compression::Gzip, Compression::Zstd] {
        let world = world();
        let layer = world.put(&tar(1), compression);
        world.delta.ensure(&layer).await.unwrap();
        assert!(fs::read(world.pack_path(&layer)).unwrap() == expected);
        let source = world.delta.0.packs.read(&layer.tar.digest).unwrap();
        assert_eq!(source.pack.recipe().id(), layer.recipe, "nodes compare chunks of the pack with what the release says");
        let files: Vec<_> = source.files.iter().map(|file| (file.path.as_slice(), file.offset, file.length)).collect();
        assert_eq!(files, [(&b"usr/lib/same"[..], 512, 1_800_000), (b"usr/bin/app", 1_801_216, 200_000)]);
        assert_eq!(fs::read_dir(world.dir.path().join("packs")).unwrap().count(), 2);
    }
}

#[tokio::test]
async fn what_is_not_the_layer_gets_no_pack() {
    let world = world();
    let layer = world.put(&tar(1), Compression::Gzip);
    let other = Layer { tar: samples::blob(&tar(2)), ..layer };
    let longer = Layer { tar: Blob { size: layer.tar.size + 1, ..layer.tar }, ..layer };
    let gone = Layer { blob: samples::blob(b"gone"), ..layer };
    for (bad, expected) in [(other, "WrongDiffId"), (longer, "WrongSize"), (gone, "Missing")] {
        let error = world.delta.ensure(&bad).await.unwrap_err();
        let DeltaError::Layer { cause, .. } = &*error else { panic!("{error:?}") };
        assert!(format!("{cause:?}").starts_with(expected), "{cause:?}");
        assert!(!world.delta.0.packs.has(&bad.tar.digest));
    }
    assert_eq!(fs::read_dir(world.dir.path().join("packs")).unwrap().count(), 0);
    let error = world.delta.patch(&None, gone, &[], &Known::new()).await.unwrap_err();
    assert_eq!(shared::fault::Faulty::fault(&*error).code, "hub-layer-gone");
    assert!(matches!(&*error, DeltaError::Layer { cause, .. } if matches!(**cause, ImageError::Missing { .. })));
}

#[tokio::test]
async fn a_start_finds_whole_packs_and_removes_halves() {
    let world = world();
    let (one, two) = (world.put(&tar(1), Compression::None), world.put(&tar(2), Compression::None));
    for layer in [&one, &two] {
        world.delta.ensure(layer).await.unwrap();
    }
    let packs = world.dir.path().join("packs");
    fs::remove_file(world.pack_path(&two)).unwrap();
    for name in ["1-2.tmp", "strange", "zz.pack"] {
        fs::write(packs.join(name), b"?").unwrap();
    }
    fs::create_dir(packs.join("lost+found")).unwrap();
    let again = Delta::open(world.dir.path(), &world.blobs, CACHE).unwrap();
    assert_eq!([&one, &two].map(|layer| again.0.packs.has(&layer.tar.digest)), [true, false]);
    assert_eq!(fs::read_dir(&packs).unwrap().count(), 3, "pack, list of files, lost+found");
}

#[tokio::test]
async fn patches_make_layers_out_of_what_is_there() {
    let world = world();
    let (old, new) = (world.put(&tar(1), Compression::Gzip), world.put(&tar(2), Compression::Gzip));
    let cold = world.patch(new, &[]).await;
    let warm = world.patch(new, &[old, new]).await;
    assert_eq!((cold.from.as_slice(), warm.from.as_slice()), (&[][..], &[old.tar.digest][..]));
    assert!(warm.blob.size < 450_000 && cold.blob.size > 1_900_000, "{warm:?} {cold:?}");
    assert!(applied(&world.bytes(warm.blob).await, &[&tar(1)]) == tar(2));
    assert!(applied(&world.bytes(cold.blob).await, &[]) == tar(2));
    assert_eq!(world.delta.patch_of(&warm.blob.digest), Some((new.tar.digest, warm.blob.size)));
    assert_eq!(world.patch(new, &[old]).await, warm);
    let unknown: Vec<Digest> = (0..256_u32).map(|n| Digest::of(&n.to_le_bytes())).collect();
    assert_eq!(world.delta.patch(&None, new, &unknown, &Known::new()).await.unwrap(), cold);
    // There is a pack of it, and it is not for whoever asks: what the two have in common is not told.
    assert_eq!(world.delta.patch(&None, new, &[old.tar.digest], &Known::new()).await.unwrap(), cold);
    let figures: BTreeMap<_, _> = world.delta.figures().into_iter().collect();
    assert_eq!((figures["patches_made_total"], figures["patch_cache_hits_total"], figures["packs_made_total"]), (2.0, 3.0, 2.0));
    assert_eq!(figures["patch_cache_bytes"], (warm.blob.size + cold.blob.size) as f64);

    let again = Delta::open(world.dir.path(), &world.blobs, CACHE).unwrap();
    let known = Known::from([(old.tar.digest, old)]);
    assert_eq!(again.patch(&None, new, &[old.tar.digest], &known).await.unwrap(), warm);
    assert_eq!(again.figures()[1], ("patches_made_total", 0.0), "it was there");
    for entry in fs::read_dir(world.dir.path().join("patches")).unwrap() {
        fs::remove_file(entry.unwrap().path()).unwrap();
    }
    let anew = Delta::open(world.dir.path(), &world.blobs, CACHE).unwrap();
    assert_eq!(anew.patch(&None, new, &[old.tar.digest], &known).await.unwrap(), warm, "made again with the same bytes");
}

/// Changes a byte of a chunk that a patch between two versions needs.
fn damage(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    let at = bytes.len() - 50_000;
    bytes[at] ^= 1;
    fs::write(path, bytes).unwrap();
}

#[tokio::test]
async fn a_damaged_pack_is_made_again() {
    let world = world();
    let (old, new) = (world.put(&tar(1), Compression::None), world.put(&tar(2), Compression::None));
    for layer in [&old, &new] {
        world.delta.ensure(layer).await.unwrap();
        damage(&world.pack_path(layer));
    }
    let made = world.patch(new, &[old]).await;
    assert_eq!(made.from, [old.tar.digest]);
    assert!(applied(&world.bytes(made.blob).await, &[&tar(1)]) == tar(2));
    assert!(fs::read(world.pack_path(&new)).unwrap() == pack(&tar(2)));
    // The index and the list of files too.
    let newer = world.put(&tar(3), Compression::None);
    fs::write(world.pack_path(&new), b"CWPACK").unwrap();
    fs::write(world.pack_path(&old).with_extension("files"), b"\x01?").unwrap();
    let again = Delta::open(world.dir.path(), &world.blobs, CACHE).unwrap();
    let known: Known = [old, new].map(|layer| (layer.tar.digest, layer)).into();
    let made = again.patch(&None, newer, &[old.tar.digest, new.tar.digest], &known).await.unwrap();
    assert_eq!(made.from.len(), 1);
}

#[tokio::test]
async fn a_pack_that_the_disk_does_not_give_any_more_is_made_again() {
    use rustix::io::Errno;
    let world = world();
    let (old, new) = (world.put(&tar(1), Compression::None), world.put(&tar(2), Compression::None));
    for (errno, stays) in [(Errno::IO, false), (Errno::UCLEAN, false), (Errno::BADMSG, false), (Errno::MFILE, true)] {
        world.delta.ensure(&old).await.unwrap();
        world.delta.0.packs.discard_damaged(&old.tar.digest, &PackError::Io(errno.into()));
        assert_eq!((world.delta.0.packs.has(&old.tar.digest), world.pack_path(&old).exists()), (stays, stays), "{errno}");
    }
    world.delta.0.packs.discard_damaged(&old.tar.digest, &PackError::Io(Errno::IO.into()));
    assert_eq!(world.patch(new, &[old]).await.from, [old.tar.digest]);
}

#[tokio::test]
async fn an_old_layer_that_cannot_be_had_is_done_without() {
    let world = world();
    let (old, new) = (world.put(&tar(1), Compression::None), world.put(&tar(2), Compression::None));
    world.delta.ensure(&old).await.unwrap();
    world.blobs.delete(&old.blob.digest).await.unwrap();
    damage(&world.pack_path(&old));
    let made = world.patch(new, &[old]).await;
    assert_eq!(made.from, []);
    assert!(applied(&world.bytes(made.blob).await, &[]) == tar(2));
    assert!(!world.pack_path(&old).exists());
    assert!(matches!(world.delta.0.packs.read(&old.tar.digest), Err(PackError::Io(_))));
}

/// A real full disk: a small tmpfs. Needs root.
#[tokio::test]
async fn a_full_disk_has_a_name_and_leaves_nothing() {
    let world = world();
    let layer = world.put(&tar(1), Compression::None);
    let full = tempfile::tempdir().unwrap();
    let flags = rustix::mount::MountFlags::empty();
    if rustix::mount::mount("none", full.path(), "tmpfs", flags, Some(c"size=1m")).is_err() {
        return;
    }
    let delta = Delta::open(full.path(), &world.blobs, CACHE).unwrap();
    let answer = delta.patch(&None, layer, &[], &Known::new()).await;
    let left = fs::read_dir(full.path().join("packs")).unwrap().count();
    rustix::mount::unmount(full.path(), rustix::mount::UnmountFlags::DETACH).unwrap();
    let error = answer.unwrap_err();
    assert_eq!((shared::fault::Faulty::fault(&*error).code.as_str(), left), ("hub-blob-no-space", 0), "{error:?}");
}

/// A tmpfs again: 64 MiB always stay free.
#[tokio::test]
async fn patches_give_way_to_what_is_uploaded() {
    let dir = tempfile::tempdir().unwrap();
    let flags = rustix::mount::MountFlags::empty();
    if rustix::mount::mount("none", dir.path(), "tmpfs", flags, Some(c"size=73m")).is_err() {
        return;
    }
    let blobs = Blobs::open(dir.path(), 64 << 20).unwrap();
    let delta = Delta::open(dir.path(), &blobs, CACHE).unwrap();
    let keep = |n: u8| {
        let mut patch = delta.0.patches.begin(1).unwrap();
        std::io::Write::write_all(&mut patch, &vec![n; 6 << 20]).unwrap();
        delta.0.patches.keep(Digest::of(&[n]), Digest::of(b"to"), patch).unwrap()
    };
    let kept = keep(1);
    drop(delta);
    // Opened again, nobody uses it.
    let blobs = Blobs::open(dir.path(), 64 << 20).unwrap();
    let delta = Delta::open(dir.path(), &blobs, CACHE).unwrap();
    let bytes = samples::noise(7, 4 << 20);
    let put = |bytes: &[u8]| blobs.put_blocking(samples::blob(bytes), &mut &*bytes);
    let (small, gone) = (put(&bytes), delta.patch_of(&kept.digest));
    let large = put(&samples::noise(8, 10 << 20));
    rustix::mount::unmount(dir.path(), rustix::mount::UnmountFlags::DETACH).unwrap();
    assert!(small.is_ok() && gone.is_none(), "{small:?} {gone:?}");
    assert!(matches!(large, Err(BlobError::NoSpace { .. })), "{large:?}");
}

#[tokio::test]
async fn a_patch_for_which_there_is_no_room_is_not_begun() {
    let world = world();
    let layer = world.put(&tar(1), Compression::None);
    let mut used = world.delta.0.patches.begin(1).unwrap();
    std::io::Write::write_all(&mut used, &vec![1; (CACHE - 100_000) as usize]).unwrap();
    let used = world.delta.0.patches.keep(Digest::of(b"used"), Digest::of(b"to"), used).unwrap();
    let error = world.delta.patch(&None, layer, &[], &Known::new()).await.unwrap_err();
    let pack = fs::metadata(world.pack_path(&layer)).unwrap().len();
    assert!(matches!(&*error, DeltaError::CacheFull { size, max: CACHE } if *size == pack / 2), "{error:?}");
    // The session that is in the middle of it holds it.
    assert!(world.delta.pin(&layer.tar.digest).is_none());
    let pin = world.delta.pin(&used.digest);
    assert!(pin.is_some());
    drop(pin);
}

#[tokio::test]
async fn a_layer_that_can_never_be_packed_is_tried_once() {
    let world = world();
    let (broken, new) = (world.put(b"no tar at all", Compression::None), world.put(&tar(2), Compression::None));
    let known = Known::from([(broken.tar.digest, broken)]);
    assert!(!world.delta.ensure_old(&broken.tar.digest, &known).await && world.delta.is_refused(&broken));
    let made = world.patch(new, &[broken]).await;
    assert_eq!(made.from, []);
    assert_eq!(world.delta.candidates(new.tar.digest, &[broken.tar.digest], &Arc::new(known.clone())).await.unwrap(), []);
    // Published again, it is tried again; a blob that is only missing is tried whenever it is asked for.
    lock(&world.delta.0.refused).remove(&broken.blob.digest);
    world.blobs.delete(&broken.blob.digest).await.unwrap();
    assert!(!world.delta.ensure_old(&broken.tar.digest, &known).await && !world.delta.is_refused(&broken));
    let too_large = DeltaError::Pack { layer: new.tar.digest, cause: PackError::TooLarge };
    assert!(too_large.is_final());
    assert_eq!(shared::fault::Faulty::fault(&too_large).code, "hub-layer-too-large");
}

#[tokio::test]
async fn a_hundred_at_once_are_one_work() {
    let world = Arc::new(world());
    let (old, new) = (world.put(&tar(1), Compression::Gzip), world.put(&tar(2), Compression::Gzip));
    let ask = |n: u32| {
        let world = world.clone();
        tokio::spawn(async move {
            let node = Some(Name::new(&format!("n{n}")).unwrap());
            let known = Known::from([(old.tar.digest, old)]);
            world.delta.patch(&node, new, &[old.tar.digest], &known).await.unwrap()
        })
    };
    let asked: Vec<_> = (0..100).map(ask).collect();
    for one in asked {
        assert_eq!(one.await.unwrap().from, [old.tar.digest]);
    }
    let figures: BTreeMap<_, _> = world.delta.figures().into_iter().collect();
    assert_eq!((figures["patches_made_total"], figures["packs_made_total"]), (1.0, 2.0));
    let _another = world.delta.turn(&None);
    assert_eq!(lock(&world.delta.0.turns).len(), 1, "nobody's turn is remembered");
}

#[tokio::test]
async fn what_was_published_is_packed_and_a_stop_ends_all() {
    let world = world();
    let image = samples::image("linux/amd64", &[(Compression::Gzip, tar(1)), (Compression::None, tar(2))]);
    for bytes in image.blobs() {
        world.blobs.put_bytes(bytes).await.unwrap();
    }
    let manifest = serde_json::json!({"apiVersion": "causeway/v1", "kind": "App",
        "metadata": {"name": "a", "version": "1"}, "spec": {"services": {}}});
    let images = [(Name::new("web").unwrap(), vec![image.expected()])].into();
    world.delta.prepare(&Release { manifest: serde_json::from_value(manifest).unwrap(), images });
    let (stop, stopping) = tokio::sync::watch::channel(false);
    let running = tokio::spawn({
        let delta = world.delta.clone();
        async move { delta.run(stopping).await }
    });
    while !image.expected().layers.iter().all(|layer| world.delta.0.packs.has(&layer.tar.digest)) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    stop.send(true).unwrap();
    running.await.unwrap();
    let error = world.delta.patch(&None, image.expected().layers[0], &[], &Known::new()).await.unwrap_err();
    assert!(matches!(*error, DeltaError::Stopped));
    assert_eq!(fs::read_dir(world.dir.path().join("patches")).unwrap().count(), 0);
}
