//! The simulated world: seeded runs, and short stories that each show one promise.
//!
//! ```sh
//! cargo test -p scenarios --test world                          # 200 seeds and every story
//! WORLD_SEEDS=10000 cargo test -p scenarios --test world seeds  # the long lane
//! WORLD_SEED=17 WORLD_LOG=1 cargo test -p scenarios --test world seeds -- --nocapture
//! ```
//!
//! `WORLD_TIMES=20` plays one seed so many times: what a seed does not fix ([`scenarios::world`]) may need it.
#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used, missing_docs, reason = "tests")]

#[path = "world/images.rs"]
mod images;

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use cloud_hub::hub::begin_new_epoch;
use edge_node::api::port::{self, Command};
use edge_node::runtime::Runtime;
use scenarios::promises;
use scenarios::world::center::BEGINNING;
use scenarios::world::weather::Weather;
use scenarios::world::{Size, World, errors, everywhere, in_simulated_time, node, oracle, run, say};
use shared::assign::Target;
use shared::id::Name;
use shared::report::Phase;
use shared::state::{InstanceId, Task};
use shared::time::UnixMillis;

/// Found by trying: larger runs find no more per second, smaller ones miss what needs several nodes or two phases.
const SIZE: Size = Size { nodes: 3, phases: 2, happenings: 14, longest: Duration::from_secs(1800) };
/// Seeds of the short lane.
const SEEDS: u64 = 200;

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{variable} is a number")))
}

#[test]
fn seeds() {
    let (first, count) = match number("WORLD_SEED") {
        Some(seed) => (seed, 1),
        None => (1, number("WORLD_SEEDS").unwrap_or(SEEDS)),
    };
    let times = number("WORLD_TIMES").unwrap_or(1);
    let (next, failed) = (AtomicU64::new(0), Mutex::new(Vec::new()));
    let work = || {
        while failed.lock().unwrap().len() < 3 {
            let n = next.fetch_add(1, Relaxed);
            if n >= count * times {
                return;
            }
            let seed = first + n % count;
            if let Err(why) = run(seed, SIZE) {
                say(&format!("WORLD_SEED={seed} failed:\n{why}\n"));
                failed.lock().unwrap().push(seed);
            }
        }
    };
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| (0..cores).for_each(|_| drop(scope.spawn(work))));
    let failed = failed.into_inner().unwrap();
    promises::record(
        "world",
        next.into_inner().min(count * times),
        failed.len() as u64,
        "simulated worlds of up to 3 nodes: after any happenings hub and nodes agree and run what they shall; no quota is passed",
        "WORLD_SEEDS=n cargo test -p scenarios --test world seeds",
    );
    assert!(failed.is_empty(), "replay with WORLD_SEED=n cargo test -p scenarios --test world seeds, n in {failed:?}");
}

/// A world of `nodes` nodes and one story in it.
fn story<T>(nodes: usize, tell: impl AsyncFnOnce(&mut World) -> T) -> T {
    errors::listen();
    in_simulated_time(async move {
        let mut world = World::new(1, nodes).await;
        let told = tell(&mut world).await;
        let wrong = [world.history.violations(), errors::heard()].concat();
        assert!(wrong.is_empty(), "{}", world.account(&wrong));
        told
    })
}

const fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

const fn days(n: u64) -> Duration {
    Duration::from_secs(n * 24 * 3600)
}

fn name(text: &str) -> Name {
    Name::new(text).expect("name")
}

/// The nth node's containers whose process runs, with process and start.
async fn running(world: &World, n: usize) -> BTreeMap<InstanceId, (u32, Duration)> {
    let seen = world.machines[n].memory.observe().await.expect("runtime");
    let task = |task: &Task| match task {
        Task::Running { pid, since } => Some((*pid, *since)),
        Task::Absent | Task::Exited(_) => None,
    };
    seen.instances.iter().filter_map(|(id, seen)| Some((id.clone(), task(&seen.task)?))).collect()
}

/// The version `service` runs in on the nth node; empty when it does not run.
async fn version(world: &World, n: usize, service: &str) -> String {
    let seen = world.machines[n].memory.observe().await.expect("runtime");
    let of = |release| world.catalog.all.iter().find(|published| published.id == release).map(|p| p.version.clone());
    let running = seen.instances.values().filter(|seen| seen.service.as_str() == service && seen.task.is_running());
    running.filter_map(|seen| of(seen.release)).collect()
}

/// How often the nth node wrote down an event of this code.
fn times(world: &World, n: usize, code: &str) -> usize {
    let entries = world.machines[n].daemon().expect("daemon").journal.entries(0, usize::MAX).expect("journal");
    entries.iter().filter(|event| event.what.code == code).count()
}

#[test]
fn a_change_of_one_service_restarts_only_that_one() {
    story(1, async |world| {
        world.deploy("web", "web", "1", everywhere()).await;
        world.must_settle().await;
        let before = running(world, 0).await;
        world.deploy("web", "web", "2", everywhere()).await;
        world.must_settle().await;
        let after = running(world, 0).await;
        let stayed: Vec<_> = before.iter().filter(|(id, process)| after.get(*id) == Some(process)).collect();
        assert_eq!((before.len(), after.len(), stayed.len()), (2, 2, 1), "{before:?} {after:?}");
        assert!(stayed[0].0.as_str().starts_with("web-count-"));
        assert_eq!(world.machines[0].memory.starts(), 3);
    });
}

#[test]
fn after_a_power_cut_everything_comes_back_without_the_hub() {
    story(1, async |world| {
        world.deploy("web", "web", "1", everywhere()).await;
        world.deploy("meter", "meter", "1", everywhere()).await;
        world.deploy("job", "job", "1", everywhere()).await;
        world.must_settle().await;
        world.pass(seconds(60)).await;
        let before: Vec<_> = running(world, 0).await.into_keys().collect();
        let accepted = world.machines[0].daemon().expect("daemon").held.accepted();
        world.center.kill();
        world.machines[0].plug(false);
        world.machines[0].reboot(seconds(30), UnixMillis(0), || true).await;
        assert!(running(world, 0).await.is_empty());
        world.machines[0].start().await;
        world.pass(seconds(30)).await;
        assert_eq!(running(world, 0).await.into_keys().collect::<Vec<_>>(), before, "a finished one-shot does not run again");
        assert_eq!(world.machines[0].memory.damaged_starts(), 0, "all images were damaged, and are made again from packs");
        assert_eq!(world.machines[0].daemon().expect("daemon").held.accepted(), accepted);
        world.must_settle().await;
    });
}

#[test]
fn a_bad_release_is_undone_without_the_hub_once_and_with_few_starts() {
    for (bad, starts) in [("4-sick", 1), ("5-crash", 4)] {
        story(1, async |world| {
            world.deploy("web", "web", "1", everywhere()).await;
            world.must_settle().await;
            world.deploy("web", "web", bad, everywhere()).await;
            while times(world, 0, "node-release-tried") < 2 {
                world.pass(Duration::from_millis(100)).await;
            }
            let before = world.machines[0].memory.starts();
            world.center.kill();
            world.pass(days(1)).await;
            assert_eq!(version(world, 0, "page").await, "1", "{bad}");
            assert_eq!(times(world, 0, "node-release-undone"), 1, "{bad}");
            let since = world.machines[0].memory.starts() - before;
            assert!(since <= starts + 1, "{bad}: {since} starts, one of them of the release before");
            world.must_settle().await;
            let status = world.center.hub().expect("hub").status_of(&node(1)).expect("status");
            assert_eq!(status.apps[0].phase, Phase::Undone);

            // The same release under a new revision is tried once more.
            let catalog = world.catalog.clone();
            world.put("web", catalog.release("web", bad), everywhere(), true, true).await;
            world.must_settle().await;
            assert_eq!(times(world, 0, "node-release-undone"), 2, "{bad}");
        });
    }
}

/// The first release of an app has nothing to go back to: it is tried again, later and later.
#[test]
fn a_program_that_ends_at_once_backs_off_also_on_a_machine_that_is_long_up() {
    story(1, async |world| {
        world.pass(days(1)).await;
        world.deploy("web", "web", "5-crash", everywhere()).await;
        world.pass(seconds(3600)).await;
        let starts = world.machines[0].memory.starts();
        assert!((50..80).contains(&starts), "{starts} starts in an hour: 1, 2, 4 … 60 s apart");
    });
}

#[test]
fn after_400_days_offline_nothing_was_restarted_and_nobody_is_needed() {
    story(1, async |world| {
        world.deploy("meter", "meter", "1", everywhere()).await;
        world.must_settle().await;
        let before = running(world, 0).await;
        world.machines[0].plug(false);
        world.center.kill();
        world.pass(days(2)).await;
        // Suspended in between: every minute of 400 days is lived through in the long lane.
        match number("WORLD_SEEDS") {
            Some(_) => world.pass(days(397)).await,
            None => tokio::time::advance(days(397)).await,
        }
        world.pass(days(1)).await;
        assert_eq!(running(world, 0).await, before);
        world.center.start().await;
        world.deploy("job", "job", "1", everywhere()).await;
        world.must_settle().await;
        world.pass(seconds(60)).await;
        assert_eq!(running(world, 0).await, before, "only what is new was started");
        assert_eq!(world.machines[0].memory.starts(), 2);
    });
    promises::record(
        "F31",
        1,
        0,
        "400 days offline: nothing restarted, nobody needed",
        "WORLD_SEEDS=n cargo test -p scenarios --test world days",
    );
}

#[test]
fn a_hub_restored_from_an_older_store_is_refused_by_name_until_its_epoch_grows() {
    story(2, async |world| {
        world.may_have_gaps = true;
        world.deploy("web", "web", "1", everywhere()).await;
        world.must_settle().await;
        let backup = world.center.back_up().await;
        world.deploy("web", "web", "2", everywhere()).await;
        world.must_settle().await;
        let held = world.machines[0].daemon().expect("daemon").held.accepted();
        let starts = world.machines[0].memory.starts();

        world.center.restore(backup);
        world.center.start().await;
        world.pass(seconds(900)).await;
        let hub = world.center.hub().expect("hub");
        for n in [1, 2] {
            let status = hub.status_of(&node(n)).expect("status");
            assert!(status.connected && !status.in_sync);
            assert!(status.faults.iter().any(|fault| fault.code == "hub-node-ahead"), "{:?}", status.faults);
            let events = oracle::events(&hub, &node(n)).await;
            assert_eq!(events.iter().filter(|event| event.code == "hub-node-ahead").count(), 1, "told once");
        }
        assert_eq!(world.machines[0].daemon().expect("daemon").held.accepted(), held);
        assert_eq!(version(world, 0, "page").await, "2");

        // The forgetful hub signs on, and comes to a stamp that the node has seen with other content.
        world.deploy("meter", "meter", "1", everywhere()).await;
        world.pass(seconds(900)).await;
        assert_eq!(world.machines[0].daemon().expect("daemon").held.accepted(), held);
        assert_eq!(world.machines[0].memory.starts(), starts);
        drop(hub);

        world.center.kill();
        begin_new_epoch(&*world.center.store(), UnixMillis(BEGINNING)).await.expect("epoch");
        world.must_settle().await;
        assert_eq!(version(world, 0, "page").await, "1", "a new epoch may go back, and says so");
    });
}

#[test]
fn a_selector_covers_the_nodes_that_have_its_labels_and_follows_them() {
    story(2, async |world| {
        let north = Target::Labels([("site".to_owned(), "north".to_owned())].into());
        world.deploy("meter", "meter", "1", everywhere()).await;
        world.deploy("meter-north", "meter", "2", north).await;
        world.must_settle().await;
        assert_eq!([version(world, 0, "read").await, version(world, 1, "read").await], ["2", "1"]);
        let hub = world.center.hub().expect("hub");
        hub.label_node(&node(2), [("site".to_owned(), Some("north".to_owned()))].into(), None, "world").await.expect("label");
        hub.label_node(&node(1), [("site".to_owned(), None)].into(), None, "world").await.expect("label");
        drop(hub);
        world.must_settle().await;
        assert_eq!([version(world, 0, "read").await, version(world, 1, "read").await], ["1", "2"]);
        let hub = world.center.hub().expect("hub");
        hub.undeploy(&name("meter-north"), None, "world").await.expect("undeploy");
        hub.undeploy(&name("meter"), None, "world").await.expect("undeploy");
        drop(hub);
        world.must_settle().await;
        assert!(running(world, 0).await.is_empty() && running(world, 1).await.is_empty());
    });
}

#[test]
fn everything_twice_late_and_out_of_order_changes_nothing() {
    story(2, async |world| {
        for machine in &world.machines {
            machine.sky.set(Weather { most_ms: 3_000, twice: 1000, overtake: 500, ..Weather::FAIR });
        }
        for version in ["1", "2", "3"] {
            world.deploy("web", "web", version, everywhere()).await;
            world.pass(seconds(120)).await;
        }
        world.must_settle().await;
        for n in [0, 1] {
            assert_eq!(version(world, n, "page").await, "3");
            assert_eq!(times(world, n, "trust-equivocation"), 0);
            assert!(times(world, n, "node-accepted") <= 4, "at most the empty state and three releases");
            assert_eq!(world.machines[n].memory.starts(), 4);
        }
    });
}

#[test]
fn what_a_hostile_neighbour_says_is_refused_and_nothing_stops() {
    story(2, async |world| {
        for version in ["1", "2", "3"] {
            world.deploy("web", "web", version, everywhere()).await;
            world.must_settle().await;
        }
        let starts: Vec<u64> = world.machines.iter().map(|machine| machine.memory.starts()).collect();
        for machine in &world.machines {
            machine.sky.set(Weather { hostile: 1000, ..Weather::FAIR });
        }
        world.pass(days(1)).await;
        assert_eq!(world.machines.iter().map(|machine| machine.memory.starts()).collect::<Vec<_>>(), starts);
        assert!(times(world, 0, "trust-rollback") > 0);
        assert!(times(world, 0, "trust-other-node") > 0);
        world.must_settle().await;
    });
}

#[test]
fn twenty_kills_of_the_daemon_restart_no_container() {
    story(1, async |world| {
        world.deploy("web", "web", "1", everywhere()).await;
        world.deploy("meter", "meter", "1", everywhere()).await;
        world.must_settle().await;
        let before = running(world, 0).await;
        for _ in 0..20 {
            let life = world.random.below(20_000);
            world.machines[0].kill().await;
            world.machines[0].start().await;
            world.pass(Duration::from_millis(life)).await;
        }
        world.must_settle().await;
        assert_eq!(running(world, 0).await, before);
    });
}

#[test]
fn a_stop_on_site_outlives_reboots_and_new_releases() {
    story(1, async |world| {
        world.deploy("meter", "meter", "1", everywhere()).await;
        world.must_settle().await;
        let meter = port::Target { app: name("meter"), service: None };
        let answer = world.machines[0].command(Command::Stop(meter.clone())).await;
        assert_eq!(answer, Some(Ok(())));
        world.must_settle().await;
        assert!(running(world, 0).await.is_empty());
        world.deploy("meter", "meter", "2", everywhere()).await;
        world.machines[0].reboot(seconds(5), UnixMillis(0), || false).await;
        world.must_settle().await;
        assert!(running(world, 0).await.is_empty());
        world.machines[0].command(Command::Start(meter)).await.expect("daemon").expect("started");
        world.must_settle().await;
        assert_eq!(version(world, 0, "read").await, "2");
    });
}
