//! Images in doubt, and damaged ones: what stands on them, and how they are mended.

use super::*;

/// Release 1 of an app with the one service web proved itself.
fn one_proved(service: fn(&str) -> Service) -> (World, impl Fn(&str) -> Release) {
    let mut world = World::new();
    let version = move |version: &str| release("shop", version, vec![("web", service(&format!("web:{version}")))]);
    world.deploy(&version("1"));
    world.settle(300);
    (world, version)
}

impl World {
    /// Deploys `release`, whose trial has begun when this returns.
    fn try_out(&mut self, release: &Release) {
        self.deploy(release);
        (0..5).for_each(|_| _ = self.round());
        assert!(self.actual.memory[&name("shop")].trial.is_some());
    }

    /// The image is damaged, its bytes are gone, and no link brings them.
    fn lose(&mut self, image: Digest) {
        self.damage(image);
        self.fails(image);
        self.actual.here.clear();
        self.actual.paused.all = true;
    }

    /// What runs, when nothing of the app was undone.
    fn proved(&self) -> Vec<String> {
        assert_eq!(self.actual.memory[&name("shop")].undone, None);
        self.running()
    }
}

#[test]
fn nothing_starts_from_an_image_in_doubt_and_a_damaged_one_is_unpacked_again() {
    let mut world = World::new();
    let (web, db) = (after(service("web:1"), "db", Condition::ServiceStarted), service("db:1"));
    let first = release("shop", "1", vec![("web", web.clone()), ("db", db.clone())]);
    world.deploy(&first);
    world.settle(60);
    world.deploy(&release("shop", "2", vec![("web", Service { image: "web:2".into(), ..web }), ("db", db)]));
    world.settle(60);
    world.take_log();

    world.power_cut();
    let starts = |plan: Plan| plan.actions.iter().any(|action| matches!(action, Action::Do(Step::Start(..) | Step::Create(_))));
    assert!(!starts(world.plan()), "in doubt");
    let of = |release: &Release, service: &str| release.images[&name(service)][0].id();
    world.spoiled.insert(of(&first, "db"));
    world.settle(60);
    assert_eq!(world.take_log(), ["start db", "start web"], "mended, and no older release in between");
    assert!(world.spoiled.is_empty());

    // Found later, while it runs: what stands on it ends first, dependents before it only if they stand on it too.
    world.damage(of(&first, "db"));
    world.round();
    let report = crate::report::apps(&world.desired, &world.actual, world.now);
    assert_eq!(report[0].fault.as_ref().map(|fault| &*fault.code), Some("node-image-damaged"));
    world.settle(60);
    assert_eq!(world.take_log(), ["stop db", "start db"]);
    assert_eq!(world.plan(), Plan::default());
}

#[test]
fn what_runs_on_a_damaged_image_ends_and_is_mended_whatever_failed_before() {
    let shop = release("shop", "1", vec![("web", service("web:1")), ("db", service("db:1"))]);
    let [web, db] = ["web", "db"].map(|service| shop.images[&name(service)][0].id());
    for (damaged, failed) in [(vec![web, db], vec![web]), (vec![web, db], vec![web, db]), (vec![db], vec![web])] {
        let mut world = World::new();
        world.deploy(&shop);
        world.settle(60);
        world.take_log();
        damaged.iter().for_each(|image| world.damage(*image));
        failed.iter().for_each(|image| world.fails(*image));
        let stops = world.plan().actions.into_iter().filter(|action| matches!(action, Action::Do(Step::Stop(_))));
        assert_eq!(stops.count(), damaged.len(), "at once");
        world.settle(60);
        assert_eq!((world.running(), world.plan()), (vec!["db@1".to_owned(), "web@1".to_owned()], Plan::default()));
    }
}

#[test]
fn a_repair_that_failed_is_repeated_with_pauses_and_the_app_stays_at_its_release() {
    let mut world = World::new();
    let version = |version: &str| {
        release("shop", version, vec![("web", service(&format!("web:{version}"))), ("db", service(&format!("db:{version}")))])
    };
    world.deploy(&version("1"));
    world.settle(60);
    let second = version("2");
    world.try_out(&second);
    assert_eq!(world.running(), ["db@2", "web@2"], "on trial");
    world.take_log();
    let image = second.images[&name("db")][0].id();
    world.damage(image);
    world.stubborn.insert(image, 4);
    let before = world.now.uptime;
    world.settle(60);
    assert_eq!(world.take_log(), ["stop db", "start db"], "web runs on, and no older release in between");
    assert!(world.now.uptime >= before + Duration::from_secs(1 + 2 + 4 + 8));
    assert_eq!((world.running().len(), &world.actual.memory[&name("shop")].undone), (2, &None));
}

#[test]
fn a_trial_begins_anew_when_its_image_had_to_come_once_more() {
    let (mut world, version) = one_proved(checked);
    world.sick.insert(name("web"));
    let second = version("2");
    world.try_out(&second);
    let image = second.images[&name("web")][0].id();
    world.lose(image);
    world.sick.clear();
    world.settle(1);
    assert_eq!(world.running(), ["web@1"]);
    world.now.uptime += Duration::from_secs(24 * 3600);
    world.actual.paused.all = false;
    world.settle(300);
    assert_eq!(world.proved(), ["web@2"]);
}

#[test]
fn while_a_damaged_image_is_fetched_again_the_last_good_release_runs() {
    let (mut world, version) = one_proved(service);
    let second = version("2");
    world.try_out(&second);
    assert_eq!(world.running(), ["web@2"], "on trial");
    world.power_cut();
    let fault = Fault::new(&crate::fault::image::LAYER_UNKNOWN);
    let failed = ImageState::Failed(Trouble { failures: 3, at: world.now.uptime, fault });
    world.actual.images.insert(second.images[&name("web")][0].id(), failed);
    world.settle(1);
    assert_eq!(world.running(), ["web@1"]);
    world.settle(60);
    assert_eq!(world.running(), ["web@2"]);
}

#[test]
fn a_trial_begins_anew_after_a_doubt_however_long_that_took() {
    let (mut world, version) = one_proved(checked);
    world.sick.insert(name("web"));
    let second = version("2");
    world.try_out(&second);
    world.power_cut();
    world.spoiled.insert(second.images[&name("web")][0].id());
    let doubtful = world.plan();
    assert!(doubtful.actions.contains(&Action::Note(name("shop"), Note::Rest(Digest::of(&second.to_bytes())))));
    world.apply(&doubtful.actions[0]);
    world.now.uptime += Duration::from_secs(24 * 3600); // So slow is no disk.
    world.sick.clear();
    world.settle(300);
    assert_eq!(world.proved(), ["web@2"]);
}

/// Release 2 of an app is damaged and its bytes are gone, no link is there, and release 1 runs instead.
fn fallen_back() -> (World, Digest) {
    let (mut world, version) = one_proved(service);
    let second = version("2");
    world.try_out(&second);
    let image = second.images[&name("web")][0].id();
    world.lose(image);
    world.settle(60);
    assert_eq!(world.running(), ["web@1"]);
    world.take_log();
    (world, image)
}

#[test]
fn what_runs_instead_goes_on_until_the_wanted_release_can_start() {
    type Happening = (&'static str, fn(&mut World, Digest));
    let happenings: [Happening; 4] = [
        ("the daemon begins in doubt", |world, _| world.restart_in_doubt()),
        ("what failed is forgotten", |world, image| drop(world.actual.images.remove(&image))),
        ("it came again and is not unpacked", |world, image| {
            world.actual.here.insert(image);
            world.fails(image);
        }),
        ("what runs ended for a moment meanwhile", |world, image| {
            let exit = Exit { code: 1, oom: false, at: world.now.uptime };
            world.actual.instances.values_mut().for_each(|instance| instance.task = Task::Exited(exit));
            world.actual.images.remove(&image);
        }),
    ];
    for (what, happens) in happenings {
        let (mut world, image) = fallen_back();
        world.stubborn.insert(image, 4);
        happens(&mut world, image);
        for _ in 0..4 {
            world.settle(1);
            assert_eq!(world.running(), ["web@1"], "{what}");
            let report = crate::report::apps(&world.desired, &world.actual, world.now);
            assert_eq!(report[0].phase, crate::report::Phase::Pending, "{what}");
        }
        assert!(!world.take_log().iter().any(|line| line.starts_with("stop") || line.starts_with("remove")), "{what}");
        world.actual.paused.all = false;
        world.settle(3600);
        assert_eq!(world.running(), ["web@2"], "{what}");
    }
}

#[test]
fn a_trial_begins_anew_although_nothing_could_run_until_its_image_came() {
    let (mut world, version) = one_proved(checked);
    world.sick.insert(name("web"));
    world.try_out(&version("2"));
    for release in [version("1"), version("2")] {
        world.lose(release.images[&name("web")][0].id());
    }
    world.sick.clear();
    world.settle(1);
    assert!(world.running().is_empty());
    world.now.uptime += Duration::from_secs(24 * 3600);
    world.actual.paused.all = false;
    world.settle(300);
    assert_eq!(world.proved(), ["web@2"]);
}

#[test]
fn a_repair_that_always_fails_gives_way_to_the_last_good_release_and_spares_the_disk() {
    let (mut world, version) = one_proved(service);
    let second = version("2");
    world.try_out(&second);
    let image = second.images[&name("web")][0].id();
    world.damage(image);
    world.stubborn.insert(image, 1000);
    world.settle(120);
    assert_eq!(world.running(), ["web@1"]);
    spares_the_disk(world, image);
}

/// Unpacking `image`, of release 2, fails all the time: that is tried seldom, release 1 runs, and all ends well.
fn spares_the_disk(mut world: World, image: Digest) {
    world.settle(3600);
    assert!(world.stubborn[&image] > 1000 - 16, "{} attempts in an hour", 1000 - world.stubborn[&image]);
    assert_eq!(world.running(), ["web@1"]);
    world.stubborn.clear();
    world.settle(3600);
    assert_eq!(world.proved(), ["web@2"]);
}

#[test]
fn an_image_that_is_here_and_cannot_be_unpacked_spares_the_disk() {
    let (mut world, version) = one_proved(service);
    let second = version("2");
    world.deploy(&second);
    let image = second.images[&name("web")][0].id();
    world.actual.here.insert(image);
    world.stubborn.insert(image, 1000);
    spares_the_disk(world, image);
}

#[test]
fn a_repair_that_always_fails_leaves_the_rest_of_the_app_alone_when_nothing_can_take_over() {
    let mut world = World::new();
    let shop = release("shop", "1", vec![("web", service("web:1")), ("db", service("db:1"))]);
    world.deploy(&shop);
    world.settle(60);
    let image = shop.images[&name("db")][0].id();
    world.damage(image);
    world.stubborn.insert(image, 1000);
    world.settle(600);
    let exit = Exit { code: 1, oom: false, at: world.now.uptime };
    world.actual.instances.values_mut().filter(|it| it.task.is_running()).for_each(|it| it.task = Task::Exited(exit));
    world.settle(60);
    assert_eq!(world.running(), ["web@1"], "what can run is started again");
}

#[test]
fn of_whom_nobody_knows_what_it_runs_on_holds_up_mending_and_goes_on() {
    let mut world = World::new();
    world.deploy(&release("other", "1", vec![("job", service("job:1"))]));
    let shop = release("shop", "1", vec![("web", service("web:1"))]);
    world.deploy(&shop);
    world.settle(60);
    let other = world.desired.apps[&name("other")].release;
    let unknown = world.actual.releases.remove(&other).expect("known");
    world.take_log();
    world.damage(shop.images[&name("web")][0].id());
    world.settle(60);
    assert_eq!(world.take_log(), ["stop web"]);
    world.actual.releases.insert(other, unknown);
    world.settle(60);
    assert_eq!(world.take_log(), ["start web"]);
}
