//! The last good release: what is said of it, and what takes its place.

use super::*;

#[test]
fn the_release_to_go_back_to_is_said() {
    let mut world = World::new();
    let said = |world: &World| crate::report::apps(&world.desired, &world.actual, world.now).remove(0);
    let one = world.deploy(&release("shop", "1", vec![("web", service("web:1"))]));
    assert_eq!(said(&world).good, None, "none has proved itself");
    world.settle(60);
    let good = Some(crate::report::Good { release: one, version: "1".into() });
    assert_eq!(said(&world).good, good);
    let two = world.deploy(&release("shop", "2", vec![("web", service("web:2"))]));
    assert_eq!((said(&world).wanted, said(&world).good), (two, good));
    world.settle(60);
    assert_eq!(said(&world).good.map(|good| good.version), Some("2".into()));
    world.actual.releases.remove(&two);
    assert_eq!(said(&world).good, None, "nobody goes back to what is lost");
}

#[test]
fn an_untried_release_runs_until_the_new_one_is_complete_on_disk() {
    let mut world = World::new();
    let version =
        |version: &str| release("shop", version, vec![("web", service(&format!("web:{version}"))), ("db", service("db:1"))]);
    world.deploy(&version("1"));
    world.settle(60);
    world.actual.overrides.insert(Override { app: name("shop"), service: Some(name("db")) });
    world.deploy(&version("2"));
    world.settle(60);
    assert_eq!(world.running(), ["web@2"]);
    world.take_log();
    let third = version("3");
    let image = third.images[&name("web")][0].id();
    world.deploy(&third);
    world.actual.images.insert(image, ImageState::Fetching);
    world.settle(600);
    assert_eq!((world.take_log(), world.running()), (vec![], vec!["web@2".to_owned()]));
    world.actual.images.remove(&image);
    world.settle(60);
    assert_eq!(world.running(), ["web@3"]);
    assert_eq!(world.actual.memory[&name("shop")].good, Some(Digest::of(&version("1").to_bytes())), "nothing is proved");
}

#[test]
fn an_untried_release_that_fails_gives_way_while_the_new_one_arrives() {
    let version =
        |version: &str| release("shop", version, vec![("web", service(&format!("web:{version}"))), ("db", service("db:1"))]);
    let sick =
        |version: &str| release("shop", version, vec![("web", checked(&format!("web:{version}"))), ("db", service("db:1"))]);
    type Failing = (Release, fn(&mut World));
    let failing: [Failing; 2] =
        [(version("2"), |world| _ = world.ends.insert(name("web"), 1)), (sick("2"), |world| _ = world.sick.insert(name("web")))];
    for (second, fails) in failing {
        let mut world = World::new();
        world.deploy(&version("1"));
        world.settle(60);
        fails(&mut world);
        world.deploy(&second);
        (0..5).for_each(|_| _ = world.round());
        assert!(world.actual.memory[&name("shop")].trial.is_some(), "on trial");
        let third = version("3");
        let image = third.images[&name("web")][0].id();
        world.deploy(&third);
        world.actual.images.insert(image, ImageState::Fetching);
        world.settle(60);
        world.ends.clear();
        world.sick.clear();
        world.settle(600);
        assert_eq!(world.running(), ["db@1", "web@1"]);
        assert_eq!(world.actual.memory[&name("shop")].undone, None, "nobody asks for it any more");
        world.actual.images.remove(&image);
        world.settle(60);
        assert_eq!(world.running(), ["db@1", "web@3"]);
    }
}

#[test]
fn an_untried_release_whose_container_cannot_be_made_has_until_its_deadline() {
    let mut world = World::new();
    let version = |version: &str| release("shop", version, vec![("web", service(&format!("web:{version}")))]);
    world.deploy(&version("1"));
    world.settle(60);
    let second = version("2");
    world.deploy(&second);
    (0..3).for_each(|_| _ = world.round());
    assert!(world.actual.memory[&name("shop")].trial.is_some(), "on trial");
    let third = version("3");
    world.deploy(&third);
    world.actual.images.insert(third.images[&name("web")][0].id(), ImageState::Fetching);
    (0..3).for_each(|_| _ = world.round());
    assert_eq!(world.running(), ["web@2"]);

    // Its process ends now and then: it starts again, however late that is.
    world.now.uptime += Duration::from_secs(24 * 3600);
    let exit = Exit { code: 1, oom: false, at: world.now.uptime };
    world.actual.instances.values_mut().for_each(|instance| instance.task = Task::Exited(exit));
    world.settle(600);
    assert_eq!(world.running(), ["web@2"]);

    // It does not start any more.
    let exit = Exit { code: 1, oom: false, at: world.now.uptime };
    world.actual.instances.values_mut().for_each(|instance| instance.task = Task::Exited(exit));
    let trouble = Trouble { failures: 3, at: world.now.uptime, fault: Fault::new(&crate::fault::node::STOPPING) };
    world.actual.troubles.insert((name("shop"), name("web")), trouble);
    world.round();
    world.actual.troubles.clear();
    world.settle(60);
    assert_eq!(world.running(), ["web@1"]);
}
