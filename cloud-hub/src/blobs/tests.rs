use std::convert::Infallible;
use std::io::Write;

use super::*;

fn blob(bytes: &[u8]) -> Blob {
    Blob { digest: Digest::of(bytes), size: bytes.len() as u64 }
}

fn pieces(bytes: &[u8]) -> impl Stream<Item = Result<Bytes, Infallible>> {
    let pieces: Vec<_> = bytes.chunks(1000).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
    futures_util::stream::iter(pieces)
}

fn content(length: usize) -> Vec<u8> {
    (0..length).map(|n| (n * 31 % 251) as u8).collect()
}

struct World {
    dir: tempfile::TempDir,
    blobs: Blobs,
}

fn world() -> World {
    let dir = tempfile::tempdir().unwrap();
    let blobs = Blobs::open(dir.path(), 2 << 20).unwrap();
    World { dir, blobs }
}

impl World {
    fn parts(&self) -> usize {
        fs::read_dir(self.dir.path().join("blobs/parts")).unwrap().count()
    }
}

#[tokio::test]
async fn what_was_put_is_read_in_ranges() {
    let world = world();
    let bytes = content(600_000);
    let blob = blob(&bytes);
    assert_eq!(world.blobs.size(&blob.digest).await.unwrap(), None);
    assert_eq!(world.blobs.upload(blob, 0, pieces(&bytes)).await.unwrap(), Upload::Done);
    assert_eq!(world.blobs.size(&blob.digest).await.unwrap(), Some(600_000));
    for (offset, length, expected) in [(0, 10, 0..10), (599_990, 100, 599_990..600_000), (600_000, 9, 600_000..600_000)] {
        assert_eq!(world.blobs.read(&blob.digest, offset, length).await.unwrap(), &bytes[expected]);
    }
    assert!(matches!(world.blobs.read(&blob.digest, 600_001, 1).await, Err(BlobError::Offset { have: 600_000, .. })));
    assert_eq!(world.blobs.list().await.unwrap(), [blob]);
    assert_eq!(world.parts(), 0);

    world.blobs.delete(&blob.digest).await.unwrap();
    world.blobs.delete(&blob.digest).await.unwrap();
    assert!(matches!(world.blobs.read(&blob.digest, 0, 1).await, Err(BlobError::Missing { .. })));
}

#[tokio::test]
async fn an_upload_goes_on_where_it_was_cut_even_after_a_restart() {
    let world = world();
    let bytes = content(700_000);
    let blob = blob(&bytes);
    let cut = world.blobs.upload(blob, 0, pieces(&bytes[..300_000])).await.unwrap();
    assert_eq!(cut, Upload::Partial(300_000));
    assert!(matches!(world.blobs.upload(blob, 0, pieces(&bytes)).await, Err(BlobError::Offset { have: 300_000, .. })));

    let again = Blobs::open(world.dir.path(), 1 << 20).unwrap();
    assert_eq!(again.upload_offset(&blob.digest).await.unwrap(), Upload::Partial(300_000));
    assert_eq!(again.upload(blob, 300_000, pieces(&bytes[300_000..])).await.unwrap(), Upload::Done);
    assert_eq!(again.upload_offset(&blob.digest).await.unwrap(), Upload::Done);
    assert_eq!(again.upload(blob, 0, pieces(&bytes)).await.unwrap(), Upload::Done, "again is no error");
}

#[tokio::test]
async fn wrong_bytes_never_become_a_blob() {
    let world = world();
    let bytes = content(5000);
    let good = blob(&bytes);
    let mut flipped = bytes.clone();
    flipped[2500] ^= 1;
    let longer = content(5001);
    for (sent, name) in [(&flipped, "WrongDigest"), (&longer, "WrongSize")] {
        let error = world.blobs.upload(good, 0, pieces(sent)).await.unwrap_err();
        assert!(format!("{error:?}").starts_with(name), "{error:?}");
        assert_eq!(world.parts(), 0, "nothing of it is kept");
        assert!(!world.blobs.has(&good.digest).await.unwrap());
    }
    let huge = Blob { size: (2 << 20) + 1, ..good };
    assert!(matches!(world.blobs.upload(huge, 0, pieces(&bytes)).await, Err(BlobError::TooLarge { .. })));
    world.blobs.upload(good, 0, pieces(&bytes)).await.unwrap();
}

#[tokio::test]
async fn one_writer_per_blob_and_a_bound_on_parts() {
    let world = world();
    let bytes = content(10);
    let Begin::Write(part) = world.blobs.begin(blob(&bytes)).await.unwrap() else { panic!("new") };
    assert!(matches!(world.blobs.begin(blob(&bytes)).await, Err(BlobError::Busy { .. })));
    drop(part);
    assert_eq!(world.parts(), 0, "an empty part is nothing to go on with");
    let mut writing = Vec::new();
    for n in 0..PARTS_MAX {
        writing.push(world.blobs.begin(blob(format!("{n}").as_bytes())).await.unwrap());
    }
    assert!(matches!(world.blobs.begin(blob(&bytes)).await, Err(BlobError::TooManyParts)));
    writing.pop();
    world.blobs.put_blocking(blob(&bytes), &mut bytes.as_slice()).unwrap();
}

#[tokio::test]
async fn uploads_that_were_given_up_stop_nobody() {
    let world = world();
    let begun = |n: usize| content(100 + n);
    for n in 0..PARTS_MAX {
        let bytes = begun(n);
        assert_eq!(world.blobs.upload(blob(&bytes), 0, pieces(&bytes[..50])).await.unwrap(), Upload::Partial(50));
        let file = fs::File::options().append(true).open(world.blobs.part_path(&blob(&bytes).digest)).unwrap();
        // The first is the oldest but for the one that is being written.
        file.set_modified(SystemTime::now() - Duration::from_secs(if n == 7 { 9000 } else { 1000 - n as u64 })).unwrap();
    }
    let Begin::Write(busy) = world.blobs.begin(blob(&begun(7))).await.unwrap() else { panic!("a part") };
    let bytes = content(5000);
    assert_eq!(world.blobs.upload(blob(&bytes), 0, pieces(&bytes[..1000])).await.unwrap(), Upload::Partial(1000));
    assert_eq!(world.parts(), PARTS_MAX);
    let offset = async |n| world.blobs.upload_offset(&blob(&begun(n)).digest).await.unwrap();
    assert_eq!([offset(0).await, offset(1).await, offset(7).await].map(|at| at == Upload::Partial(0)), [true, false, false]);
    assert_eq!(busy.offset(), 50);
    drop(busy);
    assert_eq!(world.blobs.upload(blob(&bytes), 1000, pieces(&bytes[1000..])).await.unwrap(), Upload::Done);
}

#[tokio::test]
async fn an_empty_blob_is_a_blob() {
    let world = world();
    let blob = world.blobs.put_bytes(vec![]).await.unwrap();
    assert_eq!(world.blobs.read(&blob.digest, 0, 9).await.unwrap(), "");
    assert_eq!(world.blobs.read_all(&blob.digest, 0).await.unwrap(), b"");
}

#[tokio::test]
async fn old_parts_and_foreign_files_go() {
    let world = world();
    let dir = world.dir.path().join("blobs/parts");
    let part = dir.join(blob(b"part").digest.hex());
    fs::File::create(&part).unwrap().write_all(b"p").unwrap();
    fs::File::create(dir.join("left.tmp")).unwrap();
    let blobs = Blobs::open(world.dir.path(), 2 << 20).unwrap();
    assert!(part.exists() && !dir.join("left.tmp").exists());

    let late = SystemTime::now() + PART_AGE_MAX + Duration::from_secs(60);
    let writing = blobs.begin(blob(b"part")).await.unwrap();
    blobs.clean_parts(late).await.unwrap();
    assert!(part.exists(), "somebody writes it");
    drop(writing);
    blobs.clean_parts(late).await.unwrap();
    assert!(!part.exists());
}

#[tokio::test]
async fn what_a_killed_hub_left_doomed_goes_at_the_next_start() {
    let world = world();
    let dir = world.dir.path().join("blobs/doomed");
    let one = blob(b"one");
    world.blobs.put_blocking(one, &mut b"one".as_slice()).unwrap();
    fs::write(dir.join(one.digest.hex()), b"one").unwrap();
    let blobs = Blobs::open(world.dir.path(), 2 << 20).unwrap();
    assert_eq!(fs::read_dir(&dir).unwrap().count(), 0);
    assert_eq!(blobs.list().await.unwrap(), [one], "it came again");
    assert!(goes(&blobs, one, SystemTime::now() + LEASE, LEASE).await);
    assert_eq!((fs::read_dir(&dir).unwrap().count(), blobs.list().await.unwrap()), (0, vec![]));
}

/// A real full disk: a small tmpfs. Needs root.
#[tokio::test]
async fn a_full_disk_has_a_name() {
    let dir = tempfile::tempdir().unwrap();
    let flags = rustix::mount::MountFlags::empty();
    if rustix::mount::mount("none", dir.path(), "tmpfs", flags, Some(c"size=1m")).is_err() {
        return;
    }
    let blobs = Blobs::open(dir.path(), 1 << 30).unwrap();
    let result = blobs.put_bytes(content(10_000)).await;
    rustix::mount::unmount(dir.path(), rustix::mount::UnmountFlags::DETACH).unwrap();
    assert!(matches!(result, Err(BlobError::NoSpace { .. })), "{result:?}");
}

/// Whether a blob goes at `now` under this lease.
async fn goes(blobs: &Blobs, blob: Blob, now: SystemTime, lease: Duration) -> bool {
    blobs.remove_unless_held(&blob.digest, now, lease).await.unwrap() == Some(blob.size)
}

#[tokio::test]
async fn a_blob_that_somebody_may_publish_stays() {
    let world = world();
    let [one, two, three] = [b"one".as_slice(), b"two", b"three"].map(|bytes| (blob(bytes), bytes));
    for (blob, mut bytes) in [one, two, three] {
        world.blobs.put_blocking(blob, &mut bytes).unwrap();
    }
    let later = SystemTime::now() + LEASE;
    assert!(!goes(&world.blobs, one.0, later, LEASE).await, "it was uploaded just now, whatever the clock says");

    let again = Blobs::open(world.dir.path(), 1 << 20).unwrap();
    assert!(!goes(&again, one.0, SystemTime::now(), LEASE).await, "a restart does not end a lease");
    let claims = again.claim([one.0.digest]);
    let second = again.claim([one.0.digest]);
    drop(claims);
    assert!(!goes(&again, one.0, later, LEASE).await, "it is being recorded");
    drop(second);
    assert!(!goes(&again, one.0, later, LEASE).await, "it was recorded just now");
    assert_eq!(again.upload_offset(&two.0.digest).await.unwrap(), Upload::Done);
    assert!(!goes(&again, two.0, later, LEASE).await, "somebody asked for it");
    assert!(matches!(again.begin(three.0).await.unwrap(), Begin::Have));
    assert!(!goes(&again, three.0, later, LEASE).await, "somebody wanted to upload it");

    let anew = Blobs::open(world.dir.path(), 1 << 20).unwrap();
    assert!(!goes(&anew, one.0, later, PART_AGE_MAX).await);
    assert!(goes(&anew, one.0, later, LEASE).await);
    assert!(!goes(&anew, one.0, later, LEASE).await && !anew.has(&one.0.digest).await.unwrap(), "gone");
    // One that came while the clock was ahead has its lease from now on, whatever the clock says next.
    let past = SystemTime::now() - LEASE;
    assert!(!goes(&anew, two.0, past, LEASE).await && !goes(&anew, two.0, later, LEASE).await);
    let last = Blobs::open(world.dir.path(), 1 << 20).unwrap();
    assert!(!goes(&last, two.0, past + LEASE / 2, LEASE).await && goes(&last, two.0, past + LEASE, LEASE).await);
}

#[tokio::test]
async fn while_something_is_uploaded_leases_are_longer() {
    let world = world();
    assert!(!world.blobs.is_uploading().await.unwrap());
    let bytes = content(1000);
    world.blobs.upload(blob(&bytes), 0, pieces(&bytes[..10])).await.unwrap();
    assert!(world.blobs.is_uploading().await.unwrap());
    assert_eq!((lease(true), lease(false)), (PART_AGE_MAX, LEASE));
    world.blobs.upload(blob(&bytes), 10, pieces(&bytes[10..])).await.unwrap();
    assert!(!world.blobs.is_uploading().await.unwrap());
}
