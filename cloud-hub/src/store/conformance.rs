//! What every [`Store`] must do, run against each implementation.

use std::sync::Arc;
use std::time::Duration;

use super::*;

/// Runs all checks on an empty store.
pub(crate) async fn conformance(store: Arc<dyn Store>) {
    compare_and_swap(&*store).await;
    all_or_nothing(&*store).await;
    listing(&*store).await;
    logs(&*store).await;
    trimming(&*store).await;
    watching(&*store).await;
    bounds(&*store).await;
    racing(store).await;
}

async fn put(store: &dyn Store, key: &str, value: &str) -> u64 {
    store.commit(vec![Change::put(key, value.into())], vec![]).await.unwrap()
}

async fn compare_and_swap(store: &dyn Store) {
    assert_eq!(store.revision().await.unwrap(), 0);
    assert_eq!(store.get("cas/a").await.unwrap(), None);

    let one = store.commit(vec![Change::create("cas/a", b"1".to_vec())], vec![]).await.unwrap();
    assert_eq!(store.get("cas/a").await.unwrap(), Some(Record { revision: one, value: b"1".to_vec() }));
    let two = store.commit(vec![Change::replace("cas/a", one, b"2".to_vec())], vec![]).await.unwrap();
    assert!(two > one);

    let (revision, nothing) = (Found::Revision(two), Found::Nothing);
    for (change, expected_found) in [
        (Change::create("cas/a", vec![]), revision),
        (Change::replace("cas/a", one, vec![]), revision),
        (Change::replace("cas/b", one, vec![]), nothing),
        (Change::delete("cas/a", Expect::Revision(one)), revision),
        (Change::delete("cas/b", Expect::Revision(one)), nothing),
    ] {
        let expect = change.expect;
        match store.commit(vec![change.clone()], vec![]).await {
            Err(StoreError::Conflict { key, expected, found }) => {
                assert_eq!((key, expected, found), (change.key, expect, expected_found));
            }
            other => panic!("{change:?}: {other:?}"),
        }
    }
    assert_eq!(store.revision().await.unwrap(), two, "a refused commit takes no revision");

    store.commit(vec![Change::delete("cas/a", Expect::Revision(two))], vec![]).await.unwrap();
    assert_eq!(store.get("cas/a").await.unwrap(), None);
    store.commit(vec![Change::delete("cas/a", Expect::Anything)], vec![]).await.unwrap();
    store.commit(vec![Change::create("cas/a", vec![])], vec![]).await.unwrap();
    assert_eq!(store.get("cas/a").await.unwrap().unwrap().value, b"", "an empty value is a value");
}

async fn all_or_nothing(store: &dyn Store) {
    let before = store.revision().await.unwrap();
    let changes = vec![Change::put("all/x", vec![1]), Change::replace("all/y", 9999, vec![1])];
    store.commit(changes, vec![Append::next("all", vec![1])]).await.unwrap_err();
    assert_eq!(store.get("all/x").await.unwrap(), None);
    assert_eq!(store.log_bounds("all").await.unwrap(), Bounds::default());
    assert_eq!(store.commit(vec![], vec![]).await.unwrap(), before, "nothing to do, nothing done");

    let changes = vec![Change::put("all/x", vec![1]), Change::create("all/y", vec![2])];
    let revision = store.commit(changes, vec![]).await.unwrap();
    assert_eq!(revision, before + 1, "one commit, one revision");
    assert_eq!(store.get("all/y").await.unwrap().unwrap().revision, revision);
}

async fn listing(store: &dyn Store) {
    for key in ["list/a", "list/b", "list/b/c", "list/é", "lisu", "list"] {
        put(store, key, key).await;
    }
    let keys = async |prefix: &str, after: Option<&str>, limit: usize| -> Vec<String> {
        store.list(prefix, after, limit).await.unwrap().into_iter().map(|(key, _)| key).collect()
    };
    assert_eq!(keys("list/", None, 99).await, ["list/a", "list/b", "list/b/c", "list/é"]);
    assert_eq!(keys("list/", None, 2).await, ["list/a", "list/b"]);
    assert_eq!(keys("list/", Some("list/b"), 99).await, ["list/b/c", "list/é"]);
    assert_eq!(keys("list/", Some("a"), 1).await, ["list/a"], "before the prefix");
    assert_eq!(keys("list/", Some("z"), 9).await, [""; 0]);
    assert_eq!(keys("list/", None, 0).await, [""; 0]);
    assert!(keys("", None, usize::MAX).await.len() >= 6, "the empty prefix is everything");
}

async fn logs(store: &dyn Store) {
    let entry = |text: &str| Append::next("log/a", text.into());
    store.commit(vec![], vec![entry("0"), entry("1"), Append::next("log/b", b"b".to_vec())]).await.unwrap();
    let at = |at, text: &str| Append { log: "log/a".into(), at: Some(at), entry: text.into() };
    store.commit(vec![], vec![at(2, "2"), at(3, "3")]).await.unwrap();

    let again = store.commit(vec![], vec![at(3, "3")]).await.unwrap_err();
    assert!(matches!(again, StoreError::Conflict { found: Found::Revision(4), .. }), "{again:?}");
    store.commit(vec![], vec![at(4, "4"), at(4, "4")]).await.unwrap_err();

    assert_eq!(store.log_bounds("log/a").await.unwrap(), Bounds { first: 0, next: 4 });
    let entries = store.read_log("log/a", 1, 2).await.unwrap();
    assert_eq!(entries, [(1, b"1".to_vec()), (2, b"2".to_vec())]);
    assert_eq!(store.read_log("log/b", 0, 9).await.unwrap().len(), 1, "logs do not mix");
    assert_eq!(store.read_log("log/a", 4, 9).await.unwrap(), []);
    assert_eq!(store.read_log("log/none", 0, 9).await.unwrap(), []);
}

async fn trimming(store: &dyn Store) {
    store.trim("log/a", 2).await.unwrap();
    store.trim("log/a", 1).await.unwrap();
    assert_eq!(store.log_bounds("log/a").await.unwrap(), Bounds { first: 2, next: 4 });
    assert_eq!(store.read_log("log/a", 0, 1).await.unwrap(), [(2, b"2".to_vec())]);
    store.trim("log/a", u64::MAX).await.unwrap();
    store.trim("log/none", 7).await.unwrap();
    store.commit(vec![], vec![Append::next("log/a", b"4".to_vec())]).await.unwrap();
    assert_eq!(store.read_log("log/a", 0, 9).await.unwrap(), [(4, b"4".to_vec())], "numbers are never used again");
}

async fn watching(store: &dyn Store) {
    let mut watch = store.watch();
    let from = store.revision().await.unwrap();
    assert_eq!(watch.revision(), from);
    let silent = tokio::time::timeout(Duration::from_millis(50), watch.changed()).await;
    assert!(silent.is_err(), "no commit, no wake");

    put(store, "watch/a", "1").await;
    let to =
        store.commit(vec![Change::put("watch/b", vec![]), Change::delete("watch/a", Expect::Anything)], vec![]).await.unwrap();
    let woken = tokio::time::timeout(Duration::from_secs(5), watch.changed()).await.unwrap().unwrap();
    assert!(woken > from);
    let changed = store.changes(from, 99).await.unwrap();
    let expected = [(to - 1, "watch/a"), (to, "watch/b"), (to, "watch/a")];
    assert_eq!(changed.iter().map(|c| (c.revision, c.key.as_str())).collect::<Vec<_>>(), expected);
    assert_eq!(store.changes(to, 99).await.unwrap(), []);
    assert!(matches!(store.changes(to + 1, 9).await, Err(StoreError::Compacted { .. })));
}

async fn bounds(store: &dyn Store) {
    let many = vec![Change::put("a", vec![]); COMMIT_MAX + 1];
    for (changes, appends) in [
        (vec![Change::put("k".repeat(KEY_MAX + 1), vec![])], vec![]),
        (vec![Change::put("k", vec![0; VALUE_MAX + 1])], vec![]),
        (vec![], vec![Append::next("l", vec![0; VALUE_MAX + 1])]),
        (vec![], vec![Append::next("l".repeat(KEY_MAX + 1), vec![])]),
        (many, vec![]),
    ] {
        assert!(matches!(store.commit(changes, appends).await, Err(StoreError::TooLarge { .. })));
    }
    store.commit(vec![Change::put("k".repeat(KEY_MAX), vec![7; VALUE_MAX])], vec![]).await.unwrap();
}

/// Eight tasks add 1 to a number 25 times each by compare-and-swap: nothing is lost.
async fn racing(store: Arc<dyn Store>) {
    put(&*store, "race", "0").await;
    let tasks = (0..8).map(|_| {
        let store = Arc::clone(&store);
        tokio::spawn(async move {
            for _ in 0..25 {
                loop {
                    let record = store.get("race").await.unwrap().unwrap();
                    let number: u32 = String::from_utf8(record.value).unwrap().parse().unwrap();
                    let next = (number + 1).to_string().into_bytes();
                    match store.commit(vec![Change::replace("race", record.revision, next)], vec![]).await {
                        Ok(_) => break,
                        Err(error) => assert!(error.is_conflict(), "{error}"),
                    }
                }
            }
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.unwrap();
    }
    assert_eq!(store.get("race").await.unwrap().unwrap().value, b"200");
}
