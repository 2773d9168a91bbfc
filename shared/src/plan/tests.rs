//! The planner against a small world that carries its plans out at once.

mod damage;
mod good;
mod histories;
mod images;
mod trouble;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::health::Health;
use crate::manifest::{App, Condition, HealthCheck, Metadata, Period, Port, Probe, Restart, Service, Spec};
use crate::oci::Platform;
use crate::release::{Blob, Release};
use crate::state::{Assignment, Exit, ImageState, Instance, Memory, Override, Paused, Stamp, Task, Trial, Trouble, Undone};
use crate::time::UnixMillis;

fn name(text: &str) -> Name {
    Name::new(text).expect(text)
}

fn machine() -> Platform {
    Platform { os: "linux".into(), architecture: "amd64".into(), variant: String::new() }
}

fn service(image: &str) -> Service {
    serde_json::from_value(serde_json::json!({"image": image, "restart": "always"})).expect("service")
}

fn checked(image: &str) -> Service {
    let healthcheck = HealthCheck {
        test: Probe::Tcp { port: 1 },
        interval: Period::seconds(1),
        timeout: Period::seconds(1),
        retries: 3,
        start_period: Period::default(),
        start_interval: Period::seconds(1),
    };
    Service { healthcheck: Some(healthcheck), ..service(image) }
}

fn release(app: &str, version: &str, services: Vec<(&str, Service)>) -> Release {
    let image = |text: &str| Image {
        platform: machine(),
        manifest: Blob { digest: Digest::of(text.as_bytes()), size: 1 },
        config: Blob { digest: Digest::of(b"config"), size: 1 },
        layers: vec![],
    };
    let images = services.iter().map(|(service, definition)| (name(service), vec![image(&definition.image)])).collect();
    let metadata = Metadata { name: name(app), version: version.into(), description: String::new(), labels: BTreeMap::new() };
    let services = services.into_iter().map(|(service, definition)| (name(service), definition)).collect();
    let spec = Spec { services, ..Spec::default() };
    Release { manifest: App { api_version: crate::manifest::API_VERSION.into(), kind: "App".into(), metadata, spec }, images }
}

/// A node on which every step succeeds at once, unless told otherwise.
struct World {
    desired: Desired,
    actual: Actual,
    now: Now,
    made: u64,
    log: Vec<String>,
    /// Services that never get healthy.
    sick: BTreeSet<Name>,
    /// Services whose process ends at once with this code.
    ends: BTreeMap<Name, u32>,
    /// Images whose files are not what they should be, known or not.
    spoiled: BTreeSet<Digest>,
    /// How often unpacking an image fails from now on.
    stubborn: BTreeMap<Digest, u32>,
}

impl World {
    fn new() -> Self {
        let actual = Actual {
            platform: machine(),
            releases: BTreeMap::new(),
            images: BTreeMap::new(),
            damaged: BTreeSet::new(),
            here: BTreeSet::new(),
            instances: BTreeMap::new(),
            memory: BTreeMap::new(),
            overrides: BTreeSet::new(),
            paused: Paused::default(),
            troubles: BTreeMap::new(),
        };
        let now = Now { uptime: Duration::from_secs(1000), wall: UnixMillis(0) };
        let desired = Desired::empty(name("n1"));
        Self {
            desired,
            actual,
            now,
            made: 0,
            log: vec![],
            sick: BTreeSet::new(),
            ends: BTreeMap::new(),
            spoiled: BTreeSet::new(),
            stubborn: BTreeMap::new(),
        }
    }

    fn deploy(&mut self, release: &Release) -> Digest {
        let id = Digest::of(&release.to_bytes());
        self.actual.releases.insert(id, Arc::new(release.clone()));
        self.desired.stamp = Stamp { epoch: 1, generation: self.desired.stamp.generation + 1 };
        let assignment = Assignment { release: id, revision: self.desired.stamp.generation, run: true };
        self.desired.apps.insert(release.manifest.metadata.name.clone(), assignment);
        id
    }

    fn plan(&self) -> Plan {
        plan(&self.desired, &self.actual, self.now)
    }

    /// One round: plan, apply all. Returns whether anything was done.
    fn round(&mut self) -> bool {
        let plan = self.plan();
        let subjects: BTreeSet<_> = plan.actions.iter().map(Action::subject).collect();
        assert_eq!(plan, self.plan(), "same input, same plan");
        assert!(
            subjects.len() >= plan.actions.iter().filter(|a| !matches!(a, Action::Note(..))).count(),
            "subjects differ: {plan:?}"
        );
        for action in &plan.actions {
            self.apply(action);
        }
        !plan.actions.is_empty()
    }

    /// Rounds until the plan is empty and no timer is set before `limit` seconds from now.
    fn settle(&mut self, limit: u64) {
        let end = self.now.uptime + Duration::from_secs(limit);
        for _ in 0..2000 {
            if self.round() {
                continue;
            }
            match self.plan().wake_at {
                Some(at) if at <= end => {
                    assert!(at > self.now.uptime, "a timer in the past would spin");
                    self.now.uptime = at;
                }
                _ => return,
            }
        }
        panic!("does not settle: {:?}", self.plan());
    }

    fn apply(&mut self, action: &Action) {
        let now = self.now.uptime;
        match action {
            Action::Fetch(image) => drop(self.actual.images.insert(image.id(), ImageState::Fetched)),
            Action::Do(Step::Unpack(image)) => {
                let running = self.actual.instances.values().filter(|instance| instance.task.is_running());
                let runs = running.into_iter().any(|instance| self.image_of(instance) == image.id());
                assert!(!runs || !self.spoiled.contains(&image.id()), "nothing runs on what is unpacked again");
                if let Some(left) = self.stubborn.get_mut(&image.id()).filter(|left| **left > 0) {
                    *left -= 1;
                    self.fails(image.id());
                    return;
                }
                self.spoiled.remove(&image.id());
                self.actual.damaged.remove(&image.id());
                self.actual.images.insert(image.id(), ImageState::Ready);
            }
            Action::Do(Step::Verify(image)) if self.spoiled.contains(&image.id()) => self.damage(image.id()),
            Action::Do(Step::Verify(image)) => drop(self.actual.images.insert(image.id(), ImageState::Ready)),
            Action::Do(Step::DropImage(id)) => {
                self.actual.images.remove(id);
                self.actual.damaged.remove(id);
            }
            Action::Do(Step::Create(spec)) => {
                self.made += 1;
                let id = InstanceId::new(&spec.app, &spec.service, self.made);
                let instance = Instance {
                    app: spec.app.clone(),
                    service: spec.service.clone(),
                    release: spec.release,
                    hash: spec.hash,
                    task: Task::Absent,
                    health: Health::Unchecked,
                    restarts: 0,
                    address: None,
                };
                self.actual.instances.insert(id.clone(), instance);
                self.start(&id, spec, "create");
            }
            Action::Do(Step::Start(id, spec)) => {
                if let Some(Instance { task: Task::Exited(_), restarts, .. }) = self.actual.instances.get_mut(id) {
                    *restarts += 1;
                }
                self.start(id, spec, "start");
            }
            Action::Do(Step::Stop(id)) => {
                let instance = self.actual.instances.get_mut(id).expect("stop of what is there");
                assert!(instance.task.is_running());
                instance.task = Task::Absent;
                self.log.push(format!("stop {}", instance.service));
            }
            Action::Do(Step::Remove(id)) => {
                let instance = self.actual.instances.remove(id).expect("removal of what is there");
                assert!(!instance.task.is_running());
                self.log.push(format!("remove {}", instance.service));
            }
            Action::Note(app, note) => self.remember(app, note, now),
        }
    }

    /// The image is found damaged.
    fn damage(&mut self, image: Digest) {
        self.spoiled.insert(image);
        self.actual.damaged.insert(image);
        self.actual.images.remove(&image);
        self.actual.here.insert(image);
    }

    /// An attempt to bring the image failed, once more.
    fn fails(&mut self, image: Digest) {
        let before = match self.actual.images.get(&image) {
            Some(ImageState::Failed(trouble)) => trouble.failures,
            _ => 0,
        };
        let fault = Fault::new(&crate::fault::image::LAYER_UNKNOWN);
        let trouble = Trouble { failures: before + 1, at: self.now.uptime, fault };
        self.actual.images.insert(image, ImageState::Failed(trouble));
    }

    fn image_of(&self, instance: &Instance) -> Digest {
        self.actual.releases[&instance.release].image(&instance.service, &machine()).expect("image").id()
    }

    fn start(&mut self, id: &InstanceId, spec: &InstanceSpec, word: &str) {
        assert!(!self.spoiled.contains(&spec.image.id()), "nothing starts from a damaged image");
        assert_eq!(self.actual.images.get(&spec.image.id()), Some(&ImageState::Ready), "only complete images start");
        let instance = self.actual.instances.get_mut(id).expect("instance");
        let since = self.now.uptime;
        instance.task = match self.ends.get(&spec.service) {
            Some(code) => Task::Exited(Exit { code: *code, oom: false, at: since }),
            None => Task::Running { pid: 1, since },
        };
        instance.health = match (&spec.definition.healthcheck, self.sick.contains(&spec.service)) {
            (None, _) => Health::Unchecked,
            (Some(_), true) => Health::Unhealthy,
            (Some(_), false) => Health::Healthy,
        };
        self.log.push(format!("{word} {}", spec.service));
    }

    fn remember(&mut self, app: &Name, note: &Note, now: Uptime) {
        if *note == Note::Forget {
            self.actual.memory.remove(app);
        } else {
            self.actual.memory.entry(app.clone()).or_default().apply(note.clone(), now);
        }
    }

    fn take_log(&mut self) -> Vec<String> {
        std::mem::take(&mut self.log)
    }

    fn reboot(&mut self) {
        for instance in self.actual.instances.values_mut() {
            instance.task = Task::Absent;
            instance.health = Health::Unchecked;
        }
        self.now.uptime = Duration::from_secs(20);
        for memory in self.actual.memory.values_mut() {
            if let Some(trial) = &mut memory.trial {
                trial.since = self.now.uptime;
            }
        }
    }

    /// A reboot after which no image is believed.
    fn power_cut(&mut self) {
        self.reboot();
        for state in self.actual.images.values_mut().filter(|state| **state == ImageState::Ready) {
            *state = ImageState::Doubtful;
        }
    }

    /// The daemon begins anew and believes no image; what runs goes on, and no attempt is remembered.
    fn restart_in_doubt(&mut self) {
        let damaged = std::mem::take(&mut self.actual.damaged);
        self.actual.images = self.actual.images.keys().chain(&damaged).map(|id| (*id, ImageState::Doubtful)).collect();
    }

    fn running(&self) -> Vec<String> {
        let version = |i: &Instance| self.actual.releases[&i.release].manifest.metadata.version.clone();
        let running = self.actual.instances.values().filter(|i| i.task.is_running());
        running.map(|i| format!("{}@{}", i.service, version(i))).collect()
    }
}

fn after(definition: Service, dependency: &str, condition: Condition) -> Service {
    Service { depends_on: [(name(dependency), condition)].into(), ..definition }
}

#[test]
fn services_start_in_order_and_an_unchanged_one_is_never_touched() {
    let mut world = World::new();
    let web = after(service("web:1"), "db", Condition::ServiceHealthy);
    world.deploy(&release("shop", "1", vec![("web", web.clone()), ("db", checked("db:1"))]));
    world.settle(60);
    assert_eq!(world.take_log(), ["create db", "create web"]);
    assert_eq!(world.plan(), Plan::default(), "nothing to do, nothing to wait for");

    let web = Service { image: "web:2".into(), ..web };
    world.deploy(&release("shop", "2", vec![("web", web), ("db", checked("db:1"))]));
    world.settle(60);
    assert_eq!(world.take_log(), ["stop web", "remove web", "create web"]);
    assert_eq!(world.actual.images.len(), 2, "the old web image is dropped once the new release is good");
}

#[test]
fn a_release_that_was_given_up_on_trial_never_comes_back() {
    let mut world = World::new();
    let version = |version: &str| release("shop", version, vec![("web", service(&format!("web:{version}")))]);
    world.deploy(&version("1"));
    world.settle(60);
    world.deploy(&version("2"));
    world.round();
    world.round();
    world.round();
    let trial = world.actual.memory[&name("shop")].trial.clone();
    assert!(trial.is_some(), "2 is still proving itself");
    world.deploy(&version("1"));
    world.settle(60);
    assert_eq!((world.running(), &world.actual.memory[&name("shop")].trial), (vec!["web@1".to_owned()], &None));
    world.take_log();
    let third = version("3");
    world.deploy(&third);
    world.actual.images.insert(third.images[&name("web")][0].id(), ImageState::Fetching);
    world.settle(600);
    assert_eq!((world.take_log(), world.running()), (vec![], vec!["web@1".to_owned()]), "1 runs until 3 is complete");
}

#[test]
fn who_is_stopped_on_purpose_holds_up_only_those_that_need_it_to_work() {
    for (condition, log, fault) in [
        (Condition::ServiceStarted, &["create web"][..], None),
        (Condition::ServiceHealthy, &[], Some("node-service-held-up")),
        (Condition::ServiceCompletedSuccessfully, &[], Some("node-service-held-up")),
    ] {
        let mut world = World::new();
        world.deploy(&release("shop", "1", vec![("web", after(service("web:1"), "db", condition)), ("db", checked("db:1"))]));
        world.actual.overrides.insert(Override { app: name("shop"), service: Some(name("db")) });
        world.settle(60);
        assert_eq!(world.take_log(), log, "{condition:?}");
        let report = crate::report::apps(&world.desired, &world.actual, world.now);
        assert_eq!(report[0].fault.as_ref().map(|fault| &*fault.code), fault, "{condition:?}");
    }
}

#[test]
fn the_old_release_runs_until_the_new_one_is_complete_on_disk() {
    let mut world = World::new();
    world.deploy(&release("shop", "1", vec![("web", service("web:1"))]));
    world.settle(60);
    world.take_log();
    let next = release("shop", "2", vec![("web", service("web:2"))]);
    world.deploy(&next);
    let image = next.images[&name("web")][0].id();
    for state in [None, Some(ImageState::Fetching)] {
        match state {
            Some(state) => drop(world.actual.images.insert(image, state)),
            None => drop(world.actual.images.remove(&image)),
        }
        assert!(!world.plan().actions.iter().any(|action| matches!(action, Action::Do(Step::Stop(_)))));
        assert_eq!(world.running(), ["web@1"]);
    }
    world.actual.images.remove(&image);
    world.settle(60);
    assert_eq!(world.running(), ["web@2"]);
}

/// While an operator stops a part of an app nothing can be said about its release, and yet it is the one that runs.
#[test]
fn a_release_that_never_gets_healthy_is_undone_once() {
    let mut world = World::new();
    let good = world.deploy(&release("shop", "1", vec![("web", checked("web:1"))]));
    world.settle(300);
    assert_eq!(world.actual.memory[&name("shop")].good, Some(good));
    world.take_log();

    world.sick.insert(name("web"));
    let bad = release("shop", "2", vec![("web", checked("web:2"))]);
    world.deploy(&bad);
    for _ in 0..20 {
        world.round();
        if world.actual.memory[&name("shop")].undone.is_some() {
            world.sick.clear();
        }
    }
    world.settle(300);
    assert_eq!(world.running(), ["web@1"]);
    assert_eq!(world.take_log(), ["stop web", "remove web", "create web", "stop web", "remove web", "create web"]);
    assert_eq!(world.plan(), Plan::default(), "not tried again by itself");

    world.deploy(&bad);
    world.settle(300);
    assert_eq!(world.running(), ["web@2"], "a new revision is a new trial");
}

#[test]
fn a_first_release_that_fails_has_nothing_to_go_back_to() {
    let mut world = World::new();
    world.ends.insert(name("web"), 1);
    world.deploy(&release("shop", "1", vec![("web", service("web:1"))]));
    world.settle(600);
    assert_eq!(world.actual.memory[&name("shop")].undone, None);
    let starts = world.take_log().len();
    assert!((10..30).contains(&starts), "backoff is bounded: {starts} starts in ten minutes");
}

#[test]
fn what_happens_when_a_process_ends() {
    use Restart::{Always, No, OnFailure, UnlessStopped};
    // policy, exit code, starts within two minutes
    for (policy, code, starts) in [
        (No, 0, 1),
        (No, 1, 1),
        (Always, 0, 8),
        (UnlessStopped, 1, 8),
        (OnFailure { attempts: None }, 0, 1),
        (OnFailure { attempts: None }, 1, 8),
        (OnFailure { attempts: Some(2) }, 1, 3),
    ] {
        let mut world = World::new();
        world.ends.insert(name("job"), code);
        world.deploy(&release("batch", "1", vec![("job", Service { restart: policy, ..service("job") })]));
        world.settle(120);
        assert_eq!(world.take_log().len(), starts, "{policy:?} {code}");
    }
}

#[test]
fn everything_comes_back_after_a_reboot_except_what_was_finished() {
    let mut world = World::new();
    let migrate = Service { restart: Restart::No, ..service("migrate") };
    let web = after(Service { restart: Restart::No, ..service("web") }, "migrate", Condition::ServiceCompletedSuccessfully);
    world.ends.insert(name("migrate"), 0);
    world.deploy(&release("shop", "1", vec![("migrate", migrate), ("web", web)]));
    world.settle(60);
    assert_eq!(world.take_log(), ["create migrate", "create web"]);
    world.reboot();
    world.settle(60);
    assert_eq!(world.take_log(), ["start web"], "even with restart: no, a reboot is not the end of a service");
    assert_eq!(world.running(), ["web@1"]);
}

#[test]
fn what_is_on_disk_is_unpacked_whoever_holds_the_link() {
    let mut world = World::new();
    let shop = release("shop", "1", vec![("web", service("web:1"))]);
    let image = shop.images[&name("web")][0].id();
    world.deploy(&shop);
    world.actual.paused.all = true;
    world.settle(60);
    assert_eq!(world.running(), Vec::<String>::new(), "nothing is here, and nothing is asked for");
    let fault = Fault::new(&crate::fault::image::LAYER_UNKNOWN);
    let failed = ImageState::Failed(Trouble { failures: 1, at: world.now.uptime, fault });
    for state in [None, Some(failed)] {
        let mut world = World::new();
        world.deploy(&shop);
        world.actual.paused.all = true;
        world.actual.here.insert(image);
        state.into_iter().for_each(|state| drop(world.actual.images.insert(image, state)));
        world.settle(60);
        assert_eq!(world.running(), ["web@1"]);
    }
}

#[test]
fn stops_by_hub_and_operator_hold_and_end() {
    let mut world = World::new();
    let web = after(service("web"), "db", Condition::ServiceStarted);
    world.deploy(&release("shop", "1", vec![("db", service("db")), ("web", web)]));
    world.settle(60);
    world.take_log();

    let over = Override { app: name("shop"), service: None };
    world.actual.overrides.insert(over.clone());
    world.settle(60);
    assert_eq!(world.take_log(), ["stop web", "stop db"], "dependents first");
    world.reboot();
    world.settle(60);
    assert_eq!(world.take_log(), Vec::<String>::new(), "a stop outlives a reboot");
    world.actual.overrides.remove(&over);
    world.settle(60);
    assert_eq!(world.take_log(), ["start db", "start web"]);

    world.desired.apps.get_mut(&name("shop")).expect("shop").run = false;
    world.settle(60);
    assert_eq!(world.running(), Vec::<String>::new());
}

#[test]
fn an_app_that_leaves_takes_everything_along() {
    let mut world = World::new();
    let web = after(service("web"), "db", Condition::ServiceStarted);
    world.deploy(&release("shop", "1", vec![("db", service("db")), ("web", web)]));
    world.deploy(&release("other", "1", vec![("web", service("other"))]));
    world.settle(60);
    world.take_log();
    world.desired.apps.remove(&name("shop"));
    world.settle(60);
    assert_eq!(world.take_log(), ["stop web", "stop db", "remove web", "remove db"]);
    assert_eq!(world.actual.memory.keys().collect::<Vec<_>>(), [&name("other")]);
    assert_eq!(world.actual.images.len(), 1);
}

#[test]
fn services_that_each_wait_for_the_other_are_stopped_together() {
    let needs = |image: &str, other| after(service(image), other, Condition::ServiceStarted);
    let turned_round = || {
        let mut world = World::new();
        world.deploy(&release("shop", "1", vec![("web", needs("web:1", "db")), ("db", service("db:1"))]));
        world.settle(60);
        world.deploy(&release("shop", "2", vec![("web", service("web:1")), ("db", needs("db:2", "web"))]));
        world.settle(60);
        assert_eq!(world.running(), ["db@2", "web@1"], "web is what it was, and remembers that it needs db");
        world.take_log();
        world
    };
    let mut world = turned_round();
    world.desired.apps.get_mut(&name("shop")).expect("shop").run = false;
    world.settle(60);
    assert_eq!(world.running(), Vec::<String>::new());

    let mut world = turned_round();
    world.deploy(&release("shop", "3", vec![("web", service("web:3")), ("db", needs("db:3", "web"))]));
    world.settle(60);
    assert_eq!(world.running(), ["db@3", "web@3"]);

    let mut world = turned_round();
    world.desired.apps.clear();
    world.settle(60);
    assert!(world.actual.instances.is_empty());
}

#[test]
fn a_service_that_moves_its_port_to_another_never_shares_it() {
    let port = |image: &str| Service {
        ports: vec![Port { target: 80, published: 80, host_ip: None, protocol: crate::manifest::Protocol::Tcp }],
        ..service(image)
    };
    let mut world = World::new();
    world.deploy(&release("shop", "1", vec![("old", port("web"))]));
    world.settle(60);
    world.take_log();
    world.deploy(&release("shop", "2", vec![("new", port("web"))]));
    world.settle(60);
    assert_eq!(world.take_log(), ["stop old", "remove old", "create new"]);
}

#[test]
fn a_node_that_lost_its_memory_touches_nothing() {
    let mut world = World::new();
    world.deploy(&release("shop", "1", vec![("web", service("web"))]));
    world.settle(60);
    world.desired = Desired::empty(name("n1"));
    assert_eq!(world.plan(), Plan::default());
}

#[test]
fn memory_takes_notes() {
    let (a, b) = (Digest::of(b"a"), Digest::of(b"b"));
    let mut memory = Memory::default();
    memory.apply(Note::Try(a, 1), Duration::from_secs(5));
    assert_eq!(memory.trial, Some(Trial { release: a, revision: 1, since: Duration::from_secs(5) }));
    memory.apply(Note::Keep(a), Duration::ZERO);
    assert_eq!((memory.good, &memory.trial), (Some(a), &None));
    let fault = Fault::new(&crate::fault::node::TRIAL_DEADLINE);
    memory.apply(Note::Try(b, 2), Duration::ZERO);
    memory.apply(Note::Undo(b, 2, fault.clone()), Duration::ZERO);
    assert_eq!((memory.good, &memory.trial, &memory.undone), (Some(a), &None, &Some(Undone { release: b, revision: 2, fault })));
}
