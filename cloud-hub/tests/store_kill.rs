//! The store under `kill -9`: every commit that was acknowledged is there afterwards, and nothing else is damaged.
//!
//! The test runs itself again as a child that commits numbers in a loop and prints each one *after* the store said it is
//! durable; the parent kills it at different moments and looks into the file.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use cloud_hub::store::redb::RedbStore;
use cloud_hub::store::{Append, Change, Store};

const FILE: &str = "CAUSEWAY_TEST_STORE";
const KILLS: u64 = 20;

/// Not a test by itself: does nothing unless the parent names a file.
#[tokio::test]
async fn child_commits_until_it_is_killed() {
    let Ok(path) = std::env::var(FILE) else { return };
    let store = RedbStore::open(path.as_ref()).unwrap();
    let mut number = store.log_bounds("numbers").await.unwrap().next;
    loop {
        let bytes = number.to_le_bytes().to_vec();
        store.commit(vec![Change::put("last", bytes.clone())], vec![Append::next("numbers", bytes)]).await.unwrap();
        writeln!(std::io::stdout(), "acknowledged {number}").unwrap();
        number += 1;
    }
}

#[tokio::test]
async fn no_acknowledged_commit_is_lost() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("hub.redb");
    for round in 0..KILLS {
        let acknowledged = run_and_kill(&path, Duration::from_millis(40 + 13 * round));
        let store = RedbStore::open(&path).unwrap();
        let next = store.log_bounds("numbers").await.unwrap().next;
        assert!(next > acknowledged, "round {round}: {acknowledged} was acknowledged, the log ends before {next}");
        let last = store.get("last").await.unwrap().unwrap().value;
        assert_eq!(u64::from_le_bytes(last.try_into().unwrap()), next - 1, "record and log are of one commit");
        let entries = store.read_log("numbers", 0, usize::MAX).await.unwrap();
        assert!(entries.iter().all(|(number, entry)| number.to_le_bytes()[..] == entry[..]));
        store.close().await;
    }
}

/// Lets the child work for `time` after its first commit, kills it, and answers the last number it acknowledged.
fn run_and_kill(path: &Path, time: Duration) -> u64 {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child_commits_until_it_is_killed", "--nocapture"])
        .env(FILE, path)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    let first = lines.by_ref().find_map(|line| number(&line)).expect("a first commit");
    let last = std::thread::scope(|scope| {
        scope.spawn(|| {
            // The moment of the kill is the point of this test, not a wait for something.
            #[allow(clippy::disallowed_methods)]
            std::thread::sleep(time);
            child.kill().unwrap();
        });
        lines.filter_map(|line| number(&line)).last()
    });
    child.wait().unwrap();
    last.unwrap_or(first)
}

fn number(line: &str) -> Option<u64> {
    line.split("acknowledged ").nth(1)?.trim().parse().ok()
}
