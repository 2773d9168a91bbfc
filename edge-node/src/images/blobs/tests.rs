use std::os::unix::fs::FileExt;

use super::*;

const MIB: usize = 1 << 20;

fn bytes(size: usize) -> Vec<u8> {
    (0..size).map(|n| (n.wrapping_mul(40_503) >> 5) as u8).collect()
}

fn blob(bytes: &[u8]) -> Blob {
    Blob { digest: Digest::of(bytes), size: bytes.len() as u64 }
}

async fn partial(blobs: &Blobs, blob: Blob) -> Box<Partial> {
    match blobs.begin(blob).await.unwrap() {
        Begun::Missing(partial) => partial,
        Begun::Complete => panic!("complete"),
    }
}

#[tokio::test]
async fn resumes_by_length_in_one_boot_and_by_the_mark_in_the_next() {
    // what is written (MiB), which boot goes on, where it goes on (MiB)
    for (written, boot, from) in [(0, "a", 0), (3, "a", 3), (3, "b", 0), (5, "a", 5), (5, "b", 4), (9, "b", 8), (10, "b", 8)] {
        let dir = tempfile::tempdir().unwrap();
        let all = bytes(10 * MIB);
        let blobs = Blobs::open(dir.path(), "a").unwrap();
        let mut writer = partial(&blobs, blob(&all)).await;
        all[..written * MIB].chunks(MIB / 4).for_each(|chunk| writer.append(chunk).unwrap());
        drop((writer, blobs));

        let blobs = Blobs::open(dir.path(), boot).unwrap();
        let mut writer = partial(&blobs, blob(&all)).await;
        assert_eq!(writer.offset(), (from * MIB) as u64, "{written} MiB written, boot {boot}");
        writer.append(&all[from * MIB..]).unwrap();
        writer.finish().unwrap();
        assert!(blobs.verify(&blob(&all)).unwrap());
        let names: Vec<_> = fs::read_dir(dir.path().join("sha256")).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(names, [blob(&all).digest.hex().as_str()], "no part and no mark is left");
    }
}

#[tokio::test]
async fn garbage_after_a_power_cut_is_not_trusted() {
    let dir = tempfile::tempdir().unwrap();
    let all = bytes(6 * MIB);
    let blobs = Blobs::open(dir.path(), "a").unwrap();
    let mut writer = partial(&blobs, blob(&all)).await;
    writer.append(&all[..4 * MIB]).unwrap();
    writer.append(&all[4 * MIB..5 * MIB]).unwrap();
    drop((writer, blobs));
    let part = dir.path().join("sha256").join(blob(&all).digest.hex()).with_extension("part");
    fs::OpenOptions::new().write(true).open(part).unwrap().write_all_at(&[0; 1000], 4 * MIB as u64 + 7).unwrap();
    let blobs = Blobs::open(dir.path(), "b").unwrap();
    let mut writer = partial(&blobs, blob(&all)).await;
    assert_eq!(writer.offset(), 4 * MIB as u64);
    drop((writer, blobs));

    // killed at once in the new boot: the mark of the old one still counts
    let blobs = Blobs::open(dir.path(), "c").unwrap();
    writer = partial(&blobs, blob(&all)).await;
    assert_eq!(writer.offset(), 4 * MIB as u64);
    writer.append(&all[4 * MIB..]).unwrap();
    writer.finish().unwrap();
}

#[tokio::test]
async fn wrong_bytes_never_get_a_name() {
    let dir = tempfile::tempdir().unwrap();
    let blobs = Blobs::open(dir.path(), "a").unwrap();
    let all = bytes(1000);
    let mut writer = partial(&blobs, blob(&all)).await;
    let mut wrong = all.clone();
    wrong[999] ^= 1;
    writer.append(&wrong).unwrap();
    assert!(matches!(writer.append(&[0]), Err(BlobError::Differs(_))), "never longer than it is");
    assert!(matches!(writer.finish(), Err(BlobError::Differs(_))));
    assert!(!blobs.has(&blob(&all)));
    assert_eq!(partial(&blobs, blob(&all)).await.offset(), 0);
    let short = partial(&blobs, blob(&all)).await;
    assert!(matches!(short.finish(), Err(BlobError::Differs(_))));
}

#[tokio::test]
async fn a_damaged_blob_is_noticed_and_removed() {
    let dir = tempfile::tempdir().unwrap();
    let blobs = Blobs::open(dir.path(), "a").unwrap();
    let all = bytes(1000);
    for read in [true, false] {
        let mut writer = partial(&blobs, blob(&all)).await;
        writer.append(&all).unwrap();
        writer.finish().unwrap();
        assert_eq!(blobs.read(&blob(&all)).unwrap(), all);
        let file = fs::OpenOptions::new().write(true).open(blobs.path(blob(&all).digest)).unwrap();
        file.write_all_at(b"x", 500).unwrap();
        if read {
            assert!(matches!(blobs.read(&blob(&all)), Err(BlobError::Differs(_))));
        } else {
            assert!(!blobs.verify(&blob(&all)).unwrap());
        }
        assert!(!blobs.has(&blob(&all)));
    }
}

#[tokio::test]
async fn a_blob_that_the_disk_does_not_give_any_more_is_not_there() {
    let dir = tempfile::tempdir().unwrap();
    let blobs = Blobs::open(dir.path(), "a").unwrap();
    let (all, of) = (bytes(1000), blob(&bytes(1000)));
    for (errno, stays) in [(Errno::IO, false), (Errno::UCLEAN, false), (Errno::BADMSG, false), (Errno::MFILE, true)] {
        fs::write(blobs.path(of.digest), &all).unwrap();
        let read = blobs.checked(&of, Err(errno.into()));
        assert_eq!((blobs.has(&of), matches!(read, Err(BlobError::Differs(_)))), (stays, !stays), "{read:?}");
    }
    assert_eq!(blobs.read(&of).unwrap(), all);
    blobs.remove(of.digest).unwrap();
    assert!(matches!(blobs.read(&of), Err(BlobError::Absent(_))));
}

#[tokio::test]
async fn one_daemon_per_directory_and_one_writer_per_blob() {
    let dir = tempfile::tempdir().unwrap();
    let blobs = Blobs::open(dir.path(), "a").unwrap();
    assert!(matches!(Blobs::open(dir.path(), "a"), Err(BlobError::InUse(_))));
    let all = bytes(10);
    let mut first = partial(&blobs, blob(&all)).await;
    let second = tokio::spawn({
        let (blobs, blob) = (blobs.clone(), blob(&all));
        async move { matches!(blobs.begin(blob).await, Ok(Begun::Complete)) }
    });
    tokio::task::yield_now().await;
    assert!(!second.is_finished());
    first.append(&all).unwrap();
    first.finish().unwrap();
    assert!(second.await.unwrap(), "the second finds it done");
}

#[tokio::test]
async fn the_directory_is_locked_as_long_as_somebody_writes_in_it() {
    let dir = tempfile::tempdir().unwrap();
    let blobs = Blobs::open(dir.path(), "a").unwrap();
    let writer = partial(&blobs, blob(&bytes(10))).await;
    drop(blobs);
    assert!(matches!(Blobs::open(dir.path(), "a"), Err(BlobError::InUse(_))));
    drop(writer);
    Blobs::open(dir.path(), "a").unwrap();
}

#[tokio::test]
async fn sweeping_keeps_what_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let blobs = Blobs::open(dir.path(), "a").unwrap();
    let (keep, drop_it, half) = (bytes(10), bytes(20), bytes(30));
    for all in [&keep, &drop_it] {
        let mut writer = partial(&blobs, blob(all)).await;
        writer.append(all).unwrap();
        writer.finish().unwrap();
    }
    drop(partial(&blobs, blob(&half)).await);
    assert!(blobs.sweep(&[blob(&keep).digest].into()).unwrap() >= 20);
    assert!(blobs.has(&blob(&keep)));
    assert_eq!(fs::read_dir(dir.path().join("sha256")).unwrap().count(), 1);
}

#[tokio::test]
async fn a_full_disk_is_known_before_the_link_is_used() {
    let dir = tempfile::tempdir().unwrap();
    let flags = rustix::mount::MountFlags::empty();
    rustix::mount::mount("tmpfs", dir.path(), "tmpfs", flags, Some(c"size=1m")).unwrap();
    let blobs = Blobs::open(dir.path(), "a").unwrap();
    let begun = blobs.begin(blob(&bytes(2 * MIB))).await;
    let ended = begun.map(drop).map_err(|error| error.fault());
    rustix::mount::unmount(dir.path(), rustix::mount::UnmountFlags::DETACH).unwrap();
    let fault = ended.unwrap_err();
    assert_eq!(fault.code, "image-disk-full");
    assert_eq!(fault.params["need"], (2 * MIB).to_string());
}
