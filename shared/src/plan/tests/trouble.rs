//! Services that could not be started.

use super::*;

#[test]
fn trouble_waits_for_its_backoff() {
    let mut world = World::new();
    world.deploy(&release("shop", "1", vec![("web", service("web"))]));
    let trouble = Trouble { failures: 3, at: world.now.uptime, fault: Fault::new(&crate::fault::node::TRIAL_DEADLINE) };
    world.actual.troubles.insert((name("shop"), name("web")), trouble);
    for _ in 0..4 {
        world.round();
    }
    assert_eq!(world.take_log(), Vec::<String>::new());
    assert_eq!(world.plan().wake_at, Some(world.now.uptime + Duration::from_secs(4)));
}

/// The answer to its start was lost, and it runs all the same.
#[test]
fn a_service_that_runs_is_in_no_trouble() {
    let mut world = World::new();
    world.deploy(&release("shop", "1", vec![("web", service("web"))]));
    world.settle(60);
    let trouble = Trouble { failures: 1, at: world.now.uptime, fault: Fault::new(&crate::fault::node::TRIAL_DEADLINE) };
    world.actual.troubles.insert((name("shop"), name("web")), trouble);
    let report = crate::report::apps(&world.desired, &world.actual, world.now).remove(0);
    assert_eq!((report.phase, report.fault), (crate::report::Phase::Running, None));
}
