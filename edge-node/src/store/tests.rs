use shared::id::Digest;

use super::*;
use crate::testing::SmallDisk;

fn set(name: &str, value: &str) -> Change {
    (name.into(), Some(value.into()))
}

fn reopen(dir: &Path) -> (Store, Option<Fault>) {
    Store::open(dir, Reserve::none()).expect("open")
}

#[test]
fn what_was_written_is_there_after_a_restart() {
    let dir = tempfile::tempdir().expect("dir");
    let (store, fault) = reopen(dir.path());
    assert_eq!(fault, None);
    store.write(vec![set("a", "1"), set("b", "2")]).expect("write");
    store.write(vec![set("a", "3"), ("b".into(), None)]).expect("write");
    store.append(2, |index, number| format!("{index} {number}").into_bytes()).expect("append");
    drop(store);
    let (store, _) = reopen(dir.path());
    assert_eq!(store.records(), [("a".to_owned(), b"3".to_vec())].into());
    assert_eq!(store.next_entry(), 2);
    assert_eq!(store.journal(1, 9).expect("journal"), [(1, b"1 1".to_vec())]);
}

#[test]
fn the_journal_is_bounded_and_keeps_its_numbers() {
    let store = Store::in_memory().expect("store");
    for _ in 0..11 {
        store.append(1000, |_, number| number.to_be_bytes().to_vec()).expect("append");
    }
    let kept = store.journal(0, usize::MAX).expect("journal");
    assert_eq!((kept.len() as u64, kept.first().map(|row| row.0), store.next_entry()), (JOURNAL_MAX, Some(1000), 11_000));
}

#[test]
fn a_damaged_file_is_made_anew_from_the_copy() {
    for damage in [&b"garbage"[..], b""] {
        let dir = tempfile::tempdir().expect("dir");
        let (store, _) = reopen(dir.path());
        store.write(vec![set("a", "1")]).expect("write");
        drop(store);
        std::fs::write(dir.path().join("state.redb"), damage).expect("damage");
        let (store, fault) = reopen(dir.path());
        assert_eq!(fault.expect("fault").code, "node-state-repaired");
        assert_eq!(store.get("a"), Some(b"1".to_vec()));
    }
}

/// A disk that lied about what it had written has an older file after a power cut, sound in itself.
#[test]
fn a_file_that_fell_behind_is_made_anew_from_what_is_later() {
    let dir = tempfile::tempdir().expect("dir");
    let (file, copy) = (dir.path().join(FILE), dir.path().join(COPY));
    let (store, _) = reopen(dir.path());
    store.write(vec![set("a", "1"), set("b", "1")]).expect("write");
    drop(store);
    let older = [&file, &copy].map(|path| std::fs::read(path).expect("read"));
    let (store, _) = reopen(dir.path());
    store.write(vec![set("a", "2"), ("b".into(), None)]).expect("write");

    // While the store is open: the records in memory are the later ones.
    store.lock().db = None;
    std::fs::write(&file, &older[0]).expect("an older file");
    store.write(vec![set("c", "1")]).expect("write");
    let newest: Records = [("a".to_owned(), b"2".to_vec()), ("c".to_owned(), b"1".to_vec())].into();
    assert_eq!(store.records(), newest);
    drop(store);
    let (store, fault) = reopen(dir.path());
    assert_eq!((store.records(), fault), (newest.clone(), None));
    drop(store);

    // At a start: the copy is later.
    std::fs::write(&file, &older[0]).expect("an older file");
    let (store, fault) = reopen(dir.path());
    assert_eq!(fault.expect("fault").code, "node-state-repaired");
    assert_eq!(store.records(), newest);
    drop(store);

    // And an older copy is as good as none.
    std::fs::write(&copy, &older[1]).expect("an older copy");
    let (store, fault) = reopen(dir.path());
    assert_eq!((store.records(), fault), (newest, None));
}

#[test]
fn what_was_refused_is_undone_although_the_file_has_it() {
    let dir = tempfile::tempdir().expect("dir");
    let (store, _) = reopen(dir.path());
    store.write(vec![set("a", "1"), set("b", "1")]).expect("write");
    store.lock().db = None;
    let opened = file::open(&dir.path().join(FILE)).expect("open");
    file::write(&opened.db, 0, &[set("a", "2"), set("x", "1"), ("b".into(), None)]).expect("nobody hears that it was done");
    drop(opened);
    store.write(vec![set("c", "1")]).expect("write");
    let told = store.records();
    assert_eq!(told.keys().collect::<Vec<_>>(), ["a", "b", "c"]);
    drop(store);
    let (store, fault) = reopen(dir.path());
    assert_eq!((store.records(), fault), (told, None));
    assert_eq!(store.get("a"), Some(b"1".to_vec()));
}

/// Every page of the file is destroyed in turn: the store opens, and nothing that was written is lost.
#[test]
fn no_damaged_page_loses_a_record_or_ends_the_process() {
    let dir = tempfile::tempdir().expect("dir");
    let (store, _) = reopen(dir.path());
    for n in 0..40 {
        store.write(vec![set(&format!("release/{n}"), &"x".repeat(3000))]).expect("write");
    }
    let expected = store.records();
    drop(store);
    let file = dir.path().join("state.redb");
    let whole = std::fs::read(&file).expect("read");
    for page in 0..whole.len() / 4096 {
        let mut broken = whole.clone();
        broken[page * 4096..(page + 1) * 4096].fill(0);
        std::fs::write(&file, &broken).expect("damage");
        let (store, _) = reopen(dir.path());
        if store.records() != expected {
            panic!("page {page}: {} of {} records", store.records().len(), expected.len());
        }
        store.write(vec![set("probe", "1"), ("probe".into(), None)]).expect("still writes");
        drop(store);
    }
}

#[test]
fn a_full_disk_damages_nothing() {
    let disk = SmallDisk::mount(2);
    let dir = disk.path().join("store");
    let (store, _) = reopen(&dir);
    store.write(vec![set("a", "1")]).expect("write");
    store.append(1, |_, _| b"one".to_vec()).expect("append");
    let ballast = disk.fill();
    for _ in 0..4 {
        store.write(vec![set("big", &"x".repeat(900_000))]).expect_err("no room");
        drop(store.append(1, |_, _| vec![0; 900_000]));
    }
    std::fs::remove_file(ballast).expect("room again");
    let after = (0..3).find(|_| store.write(vec![set("b", "2")]).is_ok());
    assert!(after.is_some(), "it writes again once there is room");
    assert_eq!(store.journal(0, 1).expect("journal"), [(0, b"one".to_vec())]);
    drop(store);
    assert!(!dir.join("state.redb.damaged").exists(), "the good file was not put aside");
    let (store, fault) = reopen(&dir);
    assert_eq!(fault, None);
    assert_eq!((store.get("a"), store.get("b")), (Some(b"1".to_vec()), Some(b"2".to_vec())));
    assert_eq!(copy::read(&dir.join(COPY)).records, store.records());
}

#[test]
fn a_full_disk_takes_what_the_reserve_has_room_for() {
    let disk = SmallDisk::mount(8);
    let reserve = Reserve::of(disk.path(), 2 << 20);
    let dir = disk.path().join("store");
    let open = || Store::open(&dir, reserve.clone()).expect("opened").0;
    let store = open();
    let ballast = disk.fill();
    let mut written = Records::new();
    for n in 0..8 {
        store.write(vec![set(&format!("release/{n}"), &"x".repeat(50_000))]).expect("some of the reserve");
        store.append(1, |_, number| format!("{number}").into_bytes()).expect("the journal, too");
        written = store.records();
    }
    drop(store);
    let store = open();
    assert_eq!((store.records(), store.next_entry()), (written.clone(), 8));
    assert_eq!(copy::read(&dir.join(COPY)).records, written);

    let refused = (0..100).find_map(|n| store.write(vec![set(&format!("more/{n}"), &"x".repeat(50_000))]).err());
    assert!(matches!(refused, Some(StoreError::Full(_))), "{refused:?}");
    written = store.records();
    drop(store);
    let store = open();
    assert_eq!(store.records(), written, "all that was taken, and nothing that was refused");
    assert_ne!(copy::read(&dir.join(COPY)).records, written, "there was no room for a second copy");
    assert_eq!(reserve.look().map(|fault| fault.code), Some("node-state-reserve-used".into()));
    std::fs::remove_file(ballast).expect("room again");
    store.write(Vec::new()).expect("at once");
    assert_eq!(copy::read(&dir.join(COPY)).records, written);
    assert_eq!(reserve.look().map(|fault| fault.code), Some("node-state-reserve-back".into()));
    assert!(!dir.join("state.redb.damaged").exists());
}

#[test]
fn the_copy_is_written_again_when_it_could_not_be() {
    let dir = tempfile::tempdir().expect("dir");
    let (store, _) = reopen(dir.path());
    let copy = dir.path().join(COPY);
    std::fs::create_dir(copy.with_extension("copy.new")).expect("something in the way");
    store.write(vec![set("a", "1")]).expect("the file has it");
    assert_eq!(copy::read(&copy), Kept::default());
    std::fs::remove_dir(copy.with_extension("copy.new")).expect("out of the way");
    store.write(vec![set("a", "1")]).expect("the same again");
    assert_eq!(copy::read(&copy).records, store.records());
}

#[test]
fn a_damaged_copy_is_not_believed() {
    let dir = tempfile::tempdir().expect("dir");
    let path = dir.path().join("copy");
    let kept = Kept { writes: 7, records: [("a".to_owned(), vec![1, 2, 3])].into() };
    copy::write(&path, &kept).expect("write");
    assert_eq!(copy::read(&path), kept);
    let bytes = std::fs::read(&path).expect("read");
    for at in 0..bytes.len() {
        let mut broken = bytes.clone();
        broken[at] ^= 1;
        std::fs::write(&path, broken).expect("damage");
        assert_eq!(copy::read(&path), Kept::default(), "byte {at}");
    }
}

/// A copy of `a` = [1, 2, 3], as it is on disk.
fn golden(version: u8, body: &[u8]) -> Vec<u8> {
    [&[version], Digest::of(body).as_bytes().as_slice(), body].concat()
}

#[test]
fn the_bytes_of_a_copy_stay_what_they_are() {
    let dir = tempfile::tempdir().expect("dir");
    let path = dir.path().join(COPY);
    let kept = Kept { writes: 300, records: [("a".to_owned(), vec![1, 2, 3])].into() };
    copy::write(&path, &kept).expect("write");
    assert_eq!(std::fs::read(&path).expect("read"), golden(2, &[0xac, 2, 1, 1, b'a', 3, 1, 2, 3]));
}

#[test]
fn a_store_of_before_writes_were_counted_has_lost_nothing() {
    let dir = tempfile::tempdir().expect("dir");
    std::fs::write(dir.path().join(COPY), golden(1, &[1, 1, b'a', 3, 1, 2, 3])).expect("write");
    let (store, fault) = reopen(dir.path());
    assert_eq!(fault.expect("the file is missing").code, "node-state-repaired");
    assert_eq!(store.records(), [("a".to_owned(), vec![1, 2, 3])].into());
}
