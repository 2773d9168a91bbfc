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

fn ledger(store: &Arc<Store>, budget: &Budget) -> Ledger {
    let ledger = Ledger::open(store.clone(), clock());
    ledger.set(Some(budget));
    ledger
}

fn store() -> Arc<Store> {
    Arc::new(Store::in_memory().expect("store"))
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
    let ledger = ledger(&store(), &per_day(1 << 20));
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
    let (store, budget) = (store(), per_day(4 << 20));
    let (mut all, mut crashes) = (0, 0);
    loop {
        let ledger = ledger(&store, &budget);
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
    let store = store();
    let ledger = ledger(&store, &per_day(1 << 20));
    take_all(&ledger, 4 << 10);
    ledger.rest();
    let mut writes = 0;
    let mut before = store.get(SPENT);
    for _ in 0..1000 {
        ledger.count(Class::Control, 100);
        let after = store.get(SPENT);
        writes += u32::from(after != before);
        before = after;
    }
    assert!(writes <= 4, "{writes} writes");
    let (_, spent) = ledger.view();
    assert_eq!((spent.day.counts.control, spent.month.counts.control), (100_000, 100_000));
    let on_disk = Ledger::open(store, clock()).view().1;
    assert!(on_disk.day.counts.total() >= spent.day.counts.total());
}

#[tokio::test(start_paused = true)]
async fn a_new_budget_wakes_whoever_waits() {
    let ledger = ledger(&store(), &per_day(64 << 10));
    take_all(&ledger, 4 << 10);
    let (started, waiting) = (tokio::time::Instant::now(), ledger.later(LOOK));
    tokio::join!(waiting, async { ledger.set(None) });
    assert!(started.elapsed() < LOOK);
    assert_eq!(ledger.ask(), Ask::Go(u64::MAX));
}
