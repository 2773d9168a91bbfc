use super::*;
use crate::store::conformance::conformance;

#[tokio::test]
async fn in_memory_it_keeps_the_contract() {
    conformance(Arc::new(RedbStore::in_memory().unwrap())).await;
}

#[tokio::test]
async fn in_a_file_it_keeps_the_contract() {
    let dir = tempfile::tempdir().unwrap();
    conformance(Arc::new(RedbStore::open(&dir.path().join("hub.redb")).unwrap())).await;
}

#[tokio::test]
async fn what_was_committed_is_there_after_close_and_open() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("hub.redb");
    let store = RedbStore::open(&path).unwrap();
    let revision = store.commit(vec![Change::put("a", b"1".to_vec())], vec![Append::next("l", b"x".to_vec())]).await.unwrap();
    store.close().await;

    let store = RedbStore::open(&path).unwrap();
    assert_eq!(store.revision().await.unwrap(), revision);
    assert_eq!(store.get("a").await.unwrap(), Some(Record { revision, value: b"1".to_vec() }));
    assert_eq!(store.read_log("l", 0, 9).await.unwrap(), [(0, b"x".to_vec())]);
    assert!(matches!(store.changes(0, 9).await, Err(StoreError::Compacted { oldest: 1 })), "history begins at the start");
}

#[tokio::test]
async fn a_backup_is_the_same_store() {
    let dir = tempfile::tempdir().unwrap();
    let (backup, path) = (dir.path().join("backup"), dir.path().join("hub.redb"));
    let store: Arc<RedbStore> = Arc::new(RedbStore::in_memory().unwrap());
    conformance(Arc::clone(&store) as Arc<dyn Store>).await;
    store.export(&backup).await.unwrap();

    RedbStore::import(&backup, &path).unwrap();
    let copy = RedbStore::open(&path).unwrap();
    assert_eq!(copy.revision().await.unwrap(), store.revision().await.unwrap());
    assert_eq!(copy.list("", None, 999).await.unwrap(), store.list("", None, 999).await.unwrap());
    for log in ["log/a", "log/b"] {
        assert_eq!(copy.log_bounds(log).await.unwrap(), store.log_bounds(log).await.unwrap());
        assert_eq!(copy.read_log(log, 0, 99).await.unwrap(), store.read_log(log, 0, 99).await.unwrap());
    }

    assert!(RedbStore::import(&backup, &path).unwrap_err().to_string().contains("reading the backup"), "it exists");
    let cut = std::fs::read(&backup).unwrap();
    std::fs::write(&backup, &cut[..cut.len() - 1]).unwrap();
    RedbStore::import(&backup, &dir.path().join("other.redb")).unwrap_err();
    let mut names: Vec<_> = std::fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["backup", "hub.redb"], "nothing half made is left");
}

#[tokio::test]
async fn waiting_commits_share_a_transaction_and_still_answer_each_for_itself() {
    let store = Arc::new(RedbStore::in_memory().unwrap());
    let creates = (0..200).map(|n| {
        let store = Arc::clone(&store);
        tokio::spawn(async move { store.commit(vec![Change::create(format!("k{}", n % 100), vec![])], vec![]).await })
    });
    let results = futures_util::future::join_all(creates).await;
    let (good, bad): (Vec<_>, Vec<_>) = results.into_iter().map(|joined| joined.unwrap()).partition(Result::is_ok);
    assert_eq!((good.len(), bad.len()), (100, 100));
    assert!(bad.into_iter().all(|result| result.unwrap_err().is_conflict()));
    assert_eq!(store.revision().await.unwrap(), 100);
}

/// A real full disk, a small tmpfs (needs root): refused by name, nothing lost, and well again once there is space.
#[tokio::test]
async fn a_full_disk_heals() {
    use rustix::mount::{MountFlags, UnmountFlags, mount, mount_remount, unmount};
    let dir = tempfile::tempdir().unwrap();
    if mount("none", dir.path(), "tmpfs", MountFlags::empty(), Some(c"size=6m")).is_err() {
        return;
    }
    let store = RedbStore::open(&dir.path().join("hub.redb")).unwrap();
    let put = async |n: u64| store.commit(vec![Change::put(format!("k{n:04}"), vec![7; 100_000])], vec![]).await;
    let mut written = 0;
    let error = loop {
        match put(written).await {
            Ok(_) => written += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(error, StoreError::Full), "{error:?}");
    assert!(written > 5, "{written}");
    for _ in 0..3 {
        put(written).await.unwrap_err();
        assert!(store.get("k0000").await.unwrap().is_some(), "reads go on");
    }
    mount_remount(dir.path(), MountFlags::empty(), c"size=32m").unwrap();
    put(written).await.unwrap();
    let keys = store.list("k", None, 999).await.unwrap().len() as u64;
    store.close().await;
    unmount(dir.path(), UnmountFlags::DETACH).unwrap();
    assert_eq!(keys, written + 1);
}

/// F08: each page zeroed in turn gives an answer or a named error, never a panic that escapes, never wrong data.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_file_is_an_error_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("hub.redb");
    let store = RedbStore::open(&path).unwrap();
    let value = |n: usize| vec![n as u8; 700];
    for n in 0..60 {
        store.commit(vec![Change::put(format!("k{n:03}"), value(n))], vec![Append::next("l", value(n))]).await.unwrap();
    }
    store.close().await;
    let good = std::fs::read(&path).unwrap();

    for page in 0..good.len() / 4096 {
        let mut bytes = good.clone();
        bytes[page * 4096..(page + 1) * 4096].fill(0);
        if bytes == good {
            continue;
        }
        std::fs::write(&path, &bytes).unwrap();
        let Ok(store) = RedbStore::open(&path) else { continue };
        for n in 0..60 {
            if let Ok(Some(record)) = store.get(&format!("k{n:03}")).await {
                assert_eq!(record.value, value(n), "page {page}");
            }
        }
        let _answer = store.commit(vec![Change::put("new", vec![])], vec![]).await;
        store.close().await;
    }
}
