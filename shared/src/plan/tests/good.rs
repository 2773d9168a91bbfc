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
