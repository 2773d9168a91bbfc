use shared::time::UnixMillis;

use super::*;

/// 2026-11-21 12:00 UTC.
const NOON: u64 = 1_795_262_400_000;

fn clock() -> Clock {
    Clock::simulated(Duration::from_secs(100), UnixMillis(NOON))
}

fn per_day(quota: u64) -> Budget {
    Budget { per_day: Some(quota), ..Budget::default() }
}

fn ledger(record: &Record, budget: &Budget) -> Ledger {
    let ledger = Ledger::open(record.clone(), clock());
    ledger.set(Some(budget));
    ledger
}

fn record() -> Record {
    Record::in_memory()
}

/// Asks for frames of `length` until it may not; the bytes that came, as the link counts them.
fn take_all(ledger: &Ledger, length: u64) -> u64 {
    let mut all = 0;
    while let Ask::Go(most) = ledger.ask() {
        let bytes = length.min(most);
        let reserved = ledger.reserve(bytes).expect("the store takes it");
        ledger.count(Class::Images, bytes);
        drop(reserved);
        all += bytes;
    }
    all
}

#[tokio::test(start_paused = true)]
async fn frames_on_their_way_are_spent_until_they_cannot_come() {
    let ledger = ledger(&record(), &per_day(1 << 20));
    let first = ledger.reserve(1 << 19).expect("room");
    let second = ledger.reserve((1 << 19) - 1000).expect("room");
    assert_eq!(ledger.ask(), Ask::Go(1000 - 2 * HEADERS));
    let third = ledger.reserve(1000).expect("the rest");
    assert_eq!(ledger.ask(), Ask::Later(LOOK));
    assert_eq!(*ledger.waits().borrow(), None, "nobody waits for tomorrow yet");
    drop(first);
    assert_eq!(ledger.ask(), Ask::Go((1 << 19) - 2 * HEADERS));
    drop((second, third));
    assert_eq!(take_all(&ledger, 4 << 10), 1 << 20);
    let waits = ledger.waits().borrow().clone().expect("all is used");
    assert_eq!((waits.code.as_str(), waits.params["until"].as_str()), ("budget-day-used", "2026-11-22 00:00 +00:00"));
    tokio::time::sleep(Duration::from_secs(12 * 3600)).await;
    assert_eq!(ledger.ask(), Ask::Go(1 << 20));
    assert_eq!(*ledger.waits().borrow(), None);
}

#[tokio::test(start_paused = true)]
async fn no_crash_gives_bytes_back() {
    let (record, budget) = (record(), per_day(4 << 20));
    let (mut all, mut crashes) = (0, 0);
    loop {
        let ledger = ledger(&record, &budget);
        // It dies with a frame on its way, which came all the same.
        let Ask::Go(most) = ledger.ask() else { break };
        let bytes = most.min(10_000);
        let _on_its_way = ledger.reserve(bytes).expect("room");
        (all, crashes) = (all + bytes, crashes + 1);
    }
    assert!(all <= 4 << 20, "{all}");
    assert!(crashes >= 30, "a crash costs a thirty-second of the quota: {crashes}");
}

#[tokio::test(start_paused = true)]
async fn control_passes_and_is_counted_and_an_idle_node_hardly_writes() {
    let record = record();
    let ledger = ledger(&record, &per_day(1 << 20));
    take_all(&ledger, 4 << 10);
    ledger.rest();
    let mut writes = 0;
    let mut before = record.found();
    for _ in 0..1000 {
        ledger.count(Class::Control, 100);
        let after = record.found();
        writes += u32::from(after != before);
        before = after;
    }
    assert!(writes <= 4, "{writes} writes");
    let (_, spent) = ledger.view();
    assert_eq!((spent.day.counts.control, spent.month.counts.control), (100_000, 100_000));
    let on_disk = Ledger::open(record, clock()).view().1;
    assert!(on_disk.day.counts.total() >= spent.day.counts.total());
}

#[tokio::test(start_paused = true)]
async fn a_new_budget_wakes_whoever_waits() {
    let ledger = ledger(&record(), &per_day(64 << 10));
    take_all(&ledger, 4 << 10);
    let (started, waiting) = (tokio::time::Instant::now(), ledger.later(LOOK));
    tokio::join!(waiting, async { ledger.set(None) });
    assert!(started.elapsed() < LOOK);
    assert_eq!(ledger.ask(), Ask::Go(u64::MAX));
}

#[tokio::test(start_paused = true)]
async fn a_used_quota_is_told_once_in_its_period_over_restarts() {
    let (record, budget) = (record(), Budget { per_month: Some(1 << 50), ..per_day(64 << 10) });
    let told = |ledger: &Ledger| ledger.news().into_iter().map(|fault| fault.code.to_string()).collect::<Vec<_>>();
    let first = ledger(&record, &budget);
    assert_eq!(told(&first), Vec::<String>::new());
    take_all(&first, 4 << 10);
    assert_eq!((told(&first), told(&first)), (vec!["budget-day-used".to_owned()], vec![]));
    let again = ledger(&record, &budget);
    assert_eq!(told(&again), Vec::<String>::new());
    tokio::time::sleep(Duration::from_secs(12 * 3600)).await;
    assert_eq!(told(&again), Vec::<String>::new());
    again.count(Class::Control, 64 << 10);
    assert_eq!(told(&again), ["budget-day-used"], "whether images wait for it or not");
}

#[tokio::test(start_paused = true)]
async fn what_nobody_knows_any_more_counts_as_used_until_its_period_ends() {
    let dir = tempfile::tempdir().expect("dir");
    let store = crate::store::Store::in_memory().expect("store");
    store.write(vec![("accepted".into(), Some(vec![1]))]).expect("write");
    for zone in ["-12:00", "+00:00", "+14:00"] {
        for slot in [0, 1] {
            std::fs::write(dir.path().join(format!("spent.{slot}")), b"garbage").expect("damage");
        }
        let budget = Budget { zone: zone.parse().expect(zone), ..per_day(1 << 40) };
        let ledger = Ledger::open(Record::open(dir.path(), &store, crate::reserve::Reserve::none()), clock());
        ledger.set(Some(&budget));
        assert!(matches!(ledger.ask(), Ask::Later(_)), "{zone}");
        assert_eq!(ledger.news().iter().map(|fault| &*fault.code).collect::<Vec<_>>(), ["budget-count-lost"]);
        let again = Ledger::open(Record::open(dir.path(), &store, crate::reserve::Reserve::none()), clock());
        again.set(Some(&budget));
        assert!(matches!(again.ask(), Ask::Later(_)) && again.news().is_empty(), "it is told, and kept");
        again.set(None);
        assert_eq!(again.ask(), Ask::Go(u64::MAX));
        again.set(Some(&budget));
        tokio::time::sleep(Duration::from_secs(3 * 24 * 3600)).await;
        assert!(matches!(again.ask(), Ask::Go(_)), "{zone}");
    }
}
