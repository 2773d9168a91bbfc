//! Images that only come to disk, and those that an operator holds.

use super::*;

#[test]
fn what_comes_next_is_brought_and_kept_and_then_switched_to_without_a_byte() {
    let mut world = World::new();
    world.deploy(&release("shop", "1", vec![("web", service("web:1"))]));
    world.settle(60);
    world.take_log();
    let next = release("shop", "2", vec![("web", service("web:2"))]);
    let (id, image) = (Digest::of(&next.to_bytes()), next.images[&name("web")][0].id());
    world.actual.releases.insert(id, Arc::new(next.clone()));
    world.desired.next.insert(name("shop"), id);
    let phase = |world: &World| crate::report::next(&world.desired, &world.actual)[0].phase;
    assert_eq!(phase(&world), crate::report::Phase::Pending);
    world.settle(60);
    assert_eq!((world.running(), world.take_log()), (vec!["web@1".to_owned()], vec![]), "nothing is touched");
    assert_eq!((phase(&world), world.plan()), (crate::report::Phase::Fetched, Plan::default()), "and nothing is dropped");
    assert_eq!(world.actual.images.get(&image), Some(&ImageState::Ready));
    world.desired.next.clear();
    world.deploy(&next);
    assert!(!world.plan().actions.iter().any(|action| matches!(action, Action::Fetch(_))));
    world.settle(60);
    assert_eq!(world.running(), ["web@2"]);

    // A prefetch that is taken back leaves nothing.
    let third = release("shop", "3", vec![("web", service("web:3"))]);
    let id = Digest::of(&third.to_bytes());
    world.actual.releases.insert(id, Arc::new(third));
    world.desired.next.insert(name("shop"), id);
    world.settle(60);
    assert_eq!(world.actual.images.len(), 2);
    world.desired.next.clear();
    world.settle(60);
    assert_eq!(world.actual.images.len(), 1);
}

#[test]
fn what_shall_run_comes_before_what_only_comes_to_disk() {
    let mut world = World::new();
    world.deploy(&release("shop", "1", vec![("web", service("web:1")), ("db", service("db:1"))]));
    for version in ["a", "b", "c"] {
        let next = release(version, "1", vec![("web", service(&format!("{version}:1")))]);
        let id = Digest::of(&next.to_bytes());
        world.actual.releases.insert(id, Arc::new(next));
        world.desired.next.insert(name(version), id);
    }
    let shop: BTreeSet<_> = ["web:1", "db:1"].map(|image| Digest::of(image.as_bytes())).into();
    let fetched: Vec<_> = world
        .plan()
        .actions
        .iter()
        .map(|action| match action {
            Action::Fetch(image) => shop.contains(&image.id()),
            other @ (Action::Do(_) | Action::Note(..)) => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(fetched, [true, true, false, false, false]);
}

#[test]
fn what_is_paused_is_not_asked_for_and_the_rest_goes_on() {
    let mut world = World::new();
    world.deploy(&release("shop", "1", vec![("web", service("web:1"))]));
    world.settle(60);
    let next = release("shop", "2", vec![("web", service("web:2")), ("db", service("db:1"))]);
    world.deploy(&next);
    let image = next.images[&name("web")][0].id();
    world.actual.paused.images.insert(image);
    world.settle(600);
    assert_eq!(world.running(), ["web@1"]);
    assert_eq!(world.actual.images.get(&next.images[&name("db")][0].id()), Some(&ImageState::Ready));
    let trouble = Trouble { failures: 1, at: world.now.uptime, fault: Fault::new(&crate::fault::node::STOPPING) };
    world.actual.images.insert(image, ImageState::Failed(trouble));
    assert_eq!(world.plan(), Plan::default(), "no timer wakes for it either");
    let report = crate::report::apps(&world.desired, &world.actual, world.now);
    assert_eq!(report[0].fault.as_ref().map(|fault| &*fault.code), Some("budget-paused"));
    world.actual.paused = Paused { all: true, ..Paused::default() };
    assert_eq!(world.plan(), Plan::default());
    world.actual.paused = Paused::default();
    world.settle(60);
    assert_eq!(world.running(), ["db@2", "web@2"]);
}
