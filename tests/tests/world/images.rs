//! Images, and the lines they come over.

use std::sync::Arc;
use std::time::Duration;

use edge_node::api::port::Command;
use scenarios::world::catalog::large;
use scenarios::world::center::BEGINNING;
use scenarios::world::weather::{Sky, Weather};
use scenarios::world::{World, everywhere, node, say};
use shared::assign::Target;
use shared::budget::Budget;
use shared::report::Phase;
use shared::time::UnixMillis;

use super::{days, name, running, seconds, story, version};

/// Puts an image of so many KiB on every node; the sky over the first one, which counts frames from now on.
async fn pull(world: &mut World, kib: usize, weather: Weather) -> Arc<Sky> {
    let big = large(world.center.content(), "big", "1", kib);
    world.center.publish(&big).await;
    let sky = world.machines[0].sky.clone();
    sky.set(weather);
    sky.count_frames();
    world.put("big", &big, everywhere(), true, false).await;
    sky
}

#[test]
fn an_image_arrives_on_a_line_of_64_kbit_and_nearly_nothing_comes_twice() {
    story(1, async |world| {
        let sky = pull(world, 40 * 256, Weather { kbit: 64, ..Weather::FAIR }).await;
        // 10 MiB take 22 minutes; a tenth more for what surrounds them, and for starting.
        world.pass(seconds(25 * 60)).await;
        assert_eq!(running(world, 0).await.len(), 1);
        let pulled = sky.pulled();
        say(&format!("64 kbit/s: {} bytes arrived, {} of them again", pulled.bytes, pulled.again()));
        assert!(pulled.bytes > 10 << 20);
        assert_eq!(pulled.again(), 0);
    });
}

/// `n1` and `n3` are of one site. What one of them brings, the other one takes; when nothing connects them, each brings its own.
#[test]
fn nodes_of_a_site_bring_an_image_once_between_them_and_need_not_each_other() {
    for (connected, most) in [(true, 1), (false, 2)] {
        story(3, async |world| {
            world.must_settle().await; // They know each other.
            world.machines[2].plug_lan(connected);
            let sky = pull(world, 4 * 256, Weather { kbit: 512, ..Weather::FAIR }).await;
            let other = world.machines[2].sky.clone();
            other.set(Weather { kbit: 512, ..Weather::FAIR });
            other.count_frames();
            world.pass(seconds(120)).await;
            for n in [0, 2] {
                assert_eq!(running(world, n).await.len(), 1, "connected {connected}: n{}", n + 1);
            }
            let came = sky.pulled().bytes + other.pulled().bytes;
            let image = 1 << 20;
            assert!((most * image..most * image + image / 4).contains(&came), "connected {connected}: {came} bytes");
            world.must_settle().await;
        });
    }
}

/// A release that was prefetched lies on the disk, whatever runs meanwhile and through a reboot; the switch needs no byte.
#[test]
fn what_was_prefetched_is_switched_to_without_a_byte() {
    story(1, async |world| {
        world.deploy("web", "web", "1", everywhere()).await;
        world.must_settle().await;
        let before = running(world, 0).await;
        let catalog = world.catalog.clone();
        world.prefetch("web-prefetch", catalog.release("web", "2"), everywhere()).await;
        world.must_settle().await;
        let phase = async |world: &World| {
            let status = world.center.hub().expect("hub").status_of(&node(1)).expect("status");
            status.next.iter().map(|next| (next.version.clone(), next.phase)).collect::<Vec<_>>()
        };
        assert_eq!(phase(world).await, [("2".to_owned(), Phase::Fetched)]);
        assert_eq!((running(world, 0).await, version(world, 0, "page").await), (before, "1".to_owned()));

        world.machines[0].reboot(seconds(30), UnixMillis(BEGINNING), || false).await;
        world.must_settle().await;
        let sky = world.machines[0].sky.clone();
        sky.count_frames();
        world.deploy("web", "web", "2", everywhere()).await;
        world.must_settle().await;
        assert_eq!((version(world, 0, "page").await.as_str(), sky.pulled().bytes), ("2", 0));
        assert_eq!(phase(world).await, [], "what was deployed later ends it");
    });
}

/// A budget of 4 MiB a day and an image of 10: it takes three days, and neither kills, nor a power cut, nor a clock that
/// was not set give a byte more. What was paused on site stays so through all of that.
#[test]
fn a_link_budget_is_kept_and_a_pause_outlives_a_reboot() {
    const QUOTA: u64 = 4 << 20;
    story(1, async |world| {
        let began = tokio::time::Instant::now();
        let wall = move || UnixMillis(BEGINNING + began.elapsed().as_millis() as u64);
        let budget = Budget { per_day: Some(QUOTA), ..Budget::default() };
        let set = async |world: &World| {
            let hub = world.center.hub().expect("hub");
            hub.set_budget(&name("day"), budget.clone(), everywhere(), None, "world").await.expect("set");
        };
        set(world).await;
        let sky = pull(world, 10 * 1024, Weather::FAIR).await;
        world.pass(seconds(3600)).await;
        let first = sky.pulled().bytes;
        assert!((QUOTA * 9 / 10..=QUOTA).contains(&first), "{first}");
        let waits = async |world: &World| {
            let status = world.center.hub().expect("hub").status_of(&node(1)).expect("status");
            status.transfers.first().and_then(|transfer| transfer.waits.as_ref().map(|fault| fault.code.clone()))
        };
        assert_eq!(waits(world).await.as_deref(), Some("budget-day-used"));

        world.machines[0].kill().await;
        world.machines[0].start().await;
        world.pass(seconds(600)).await;
        world.machines[0].reboot(seconds(30), UnixMillis(0), || false).await;
        world.machines[0].start().await;
        world.pass(seconds(3600)).await;
        world.machines[0].turn_clock(wall()).await;
        world.machines[0].start().await;
        world.pass(seconds(3600)).await;
        assert!(sky.pulled().bytes <= QUOTA, "{}", sky.pulled().bytes);

        world.pass(days(1)).await;
        let second = sky.pulled().bytes;
        assert!((QUOTA * 18 / 10..=QUOTA * 2).contains(&second), "{second}");
        assert_eq!(world.machines[0].command(Command::Pause(None)).await, Some(Ok(())));
        world.machines[0].reboot(seconds(30), wall(), || false).await;
        world.machines[0].start().await;
        world.pass(days(2)).await;
        assert_eq!(sky.pulled().bytes, second);
        assert_eq!(waits(world).await.as_deref(), Some("budget-paused"));
        assert_eq!(world.machines[0].command(Command::Resume(None)).await, Some(Ok(())));
        world.pass(seconds(3600)).await;
        assert_eq!(running(world, 0).await.len(), 1);
        assert_eq!(sky.pulled().again(), 0, "nothing was lost");
        assert_eq!(waits(world).await, None);
        world.must_settle().await;
    });
}

/// What stops images stops one that is under way, also while the runtime does not answer.
#[test]
fn a_pause_and_a_budget_do_not_wait_for_the_runtime() {
    for pause in [true, false] {
        story(1, async |world| {
            let sky = pull(world, 8 * 1024, Weather { kbit: 256, ..Weather::FAIR }).await;
            while sky.pulled().bytes < 256 << 10 {
                world.pass(Duration::from_millis(100)).await;
            }
            world.machines[0].memory.set_down(true);
            world.pass(seconds(5)).await;
            if pause {
                assert_eq!(world.machines[0].command(Command::Pause(None)).await, Some(Ok(())));
            } else {
                let (budget, hub) = (Budget { per_day: Some(64 << 10), ..Budget::default() }, world.center.hub().expect("hub"));
                hub.set_budget(&name("day"), budget, everywhere(), None, "world").await.expect("set");
            }
            world.pass(seconds(30)).await;
            let before = sky.pulled().bytes;
            world.pass(seconds(600)).await;
            assert_eq!(sky.pulled().bytes, before, "paused: {pause}");
            world.be_thrifty().await.expect("hub and node agree");
            world.must_settle().await;
            assert_eq!(running(world, 0).await.len(), 1);
        });
    }
}

#[test]
fn desired_states_and_reports_pass_an_image_on_a_line_of_256_kbit() {
    const CHANGES: usize = 60;
    story(1, async |world| {
        world.deploy("meter", "meter", "1", everywhere()).await;
        world.must_settle().await;
        let sky = pull(world, 16 * 1024, Weather { kbit: 256, ..Weather::FAIR }).await;
        while sky.pulled().bytes < 64 << 10 {
            world.pass(Duration::from_millis(10)).await;
        }
        let (meter, hub) = (world.catalog.release("meter", "1").clone(), world.center.hub().expect("hub"));
        let held = world.machines[0].daemon().expect("daemon").held.clone();
        let (before, began) = (sky.pulled().bytes, tokio::time::Instant::now());
        let (mut down, mut up) = (Vec::new(), Vec::new());
        for n in 0..CHANGES {
            let (old, said) = (held.accepted(), tokio::time::Instant::now());
            world.put("meter", &meter, everywhere(), n % 2 == 1, false).await;
            while held.accepted() == old {
                world.pass(Duration::from_millis(5)).await;
            }
            down.push(said.elapsed());
            let accepted = tokio::time::Instant::now();
            while !hub.status_of(&node(1)).expect("status").in_sync {
                world.pass(Duration::from_millis(5)).await;
            }
            up.push(accepted.elapsed());
            let pause = world.random.between(500, 4_000);
            world.pass(Duration::from_millis(pause)).await;
        }
        let (flowed, passed) = (sky.pulled().bytes - before, began.elapsed());
        let rate = flowed * 8 / passed.as_millis() as u64;
        let (down, up) = (worst(&mut down), worst(&mut up));
        say(&format!("256 kbit/s: desired states within {down:?}, reports within {up:?}, image at {rate} kbit/s"));
        assert!(down <= seconds(1) && up <= seconds(1), "desired states within {down:?}, reports within {up:?}");
        assert!(rate >= 256 * 9 / 10, "{rate} kbit/s of the image");
        assert_eq!(sky.pulled().again(), 0);
    });
}

/// Of so few the worst is the 99th percentile.
fn worst(times: &mut [Duration]) -> Duration {
    times.sort_unstable();
    times.last().copied().unwrap_or_default()
}

#[test]
fn a_thousand_cuts_cost_little_and_the_image_arrives() {
    const FRAMES: usize = 64;
    const CUTS: usize = 1000;
    story(1, async |world| {
        let sky = pull(world, FRAMES * 256, Weather::FAIR).await;
        while world.machines[0].daemon().expect("daemon").held.holding().desired.apps.is_empty() {
            world.pass(Duration::from_millis(5)).await;
        }
        // A request and its answer take longer than most connections last, so that each brings a frame now and then.
        sky.set(Weather { least_ms: 100, most_ms: 200, reconnect_ms: 10, ..Weather::FAIR });
        for _ in 0..CUTS {
            world.machines[0].plug(false);
            world.pass(Duration::from_millis(50)).await;
            world.machines[0].plug(true);
            let life = world.random.below(290);
            world.pass(Duration::from_millis(life)).await;
        }
        let meanwhile = sky.pulled().bytes;
        world.must_settle().await;
        let (pulled, whole) = (sky.pulled(), (FRAMES * 256) << 10);
        say(&format!("{CUTS} cuts: {} bytes arrived, {meanwhile} meanwhile, {} of them again", pulled.bytes, pulled.again()));
        assert!((16_000..whole as u64).contains(&meanwhile), "the cuts fell into the transfer: {meanwhile} of {whole} bytes");
        assert!(pulled.again() <= pulled.longest, "{} bytes came again", pulled.again());
    });
}

/// The release that repairs an app does not wait for the one that it replaces, nor for what only comes to disk.
#[test]
fn what_nobody_wants_any_more_and_what_is_for_later_do_not_hold_up_a_release() {
    for prefetch in [false, true] {
        story(1, async |world| {
            let first = large(world.center.content(), "big", "1", 40 * 256);
            let repair = large(world.center.content(), "big", "2", 64);
            for release in [&first, &repair] {
                world.center.publish(release).await;
            }
            world.machines[0].sky.set(Weather { kbit: 64, ..Weather::FAIR });
            if prefetch {
                world.prefetch("big-next", &first, everywhere()).await;
            } else {
                world.put("big", &first, everywhere(), true, false).await;
            }
            world.pass(seconds(60)).await;
            world.put("big", &repair, everywhere(), true, false).await;
            world.pass(seconds(120)).await;
            assert_eq!(running(world, 0).await.len(), 1, "prefetch {prefetch}");
            world.machines[0].sky.set(Weather::FAIR);
            world.must_settle().await;
        });
    }
}

/// While the link is away an image that nobody on site has holds up none that a neighbour has.
#[test]
fn an_image_that_waits_for_the_link_lets_others_come_from_neighbours() {
    story(3, async |world| {
        let some = |n| Target::Nodes([node(n)].into());
        world.deploy("meter-some", "meter", "1", some(3)).await;
        world.must_settle().await;
        let big = large(world.center.content(), "big", "1", 40 * 256);
        world.center.publish(&big).await;
        world.machines[0].sky.set(Weather { kbit: 64, ..Weather::FAIR });
        world.put("big", &big, some(1), true, false).await;
        world.deploy("meter", "meter", "1", some(1)).await;
        world.pass(seconds(20)).await;
        world.machines[0].plug(false);
        world.pass(seconds(300)).await;
        assert_eq!(running(world, 0).await.len(), 1);
        world.machines[0].sky.set(Weather::FAIR);
        world.must_settle().await;
    });
}
