//! Whatever happens to a node, in whatever order: it settles, and then all is as it should be.

use proptest::prelude::*;

use super::*;

/// Anything that may happen to a node between two rounds.
#[derive(Debug, Clone)]
enum Happening {
    Deploy { app: u8, version: u8 },
    Undeploy { app: u8 },
    Stop { app: u8 },
    Go { app: u8 },
    Reboot,
    Kill { nth: usize, code: u32 },
    Sicken { service: u8 },
    Heal,
    LoseImage { nth: usize },
    PowerCut { spoils: usize },
    FoundDamaged { nth: usize },
    MendingFails { nth: usize, times: u32, lost: bool },
    Wait { seconds: u64 },
    Rounds { n: u8 },
}

fn happening() -> impl Strategy<Value = Happening> {
    prop_oneof![
        4 => (0..2u8, 0..4u8).prop_map(|(app, version)| Happening::Deploy { app, version }),
        1 => (0..2u8).prop_map(|app| Happening::Undeploy { app }),
        1 => (0..2u8).prop_map(|app| Happening::Stop { app }),
        1 => (0..2u8).prop_map(|app| Happening::Go { app }),
        1 => Just(Happening::Reboot),
        2 => (0..6usize, 0..3u32).prop_map(|(nth, code)| Happening::Kill { nth, code }),
        1 => (0..3u8).prop_map(|service| Happening::Sicken { service }),
        1 => Just(Happening::Heal),
        1 => (0..6usize).prop_map(|nth| Happening::LoseImage { nth }),
        1 => (0..6usize).prop_map(|spoils| Happening::PowerCut { spoils }),
        2 => (0..6usize).prop_map(|nth| Happening::FoundDamaged { nth }),
        2 => (0..6usize, 0..4u32, any::<bool>()).prop_map(|(nth, times, lost)| Happening::MendingFails { nth, times, lost }),
        2 => (1..200u64).prop_map(|seconds| Happening::Wait { seconds }),
        5 => (1..6u8).prop_map(|n| Happening::Rounds { n }),
    ]
}

fn versions(app: u8, version: u8) -> Release {
    let image = |service: &str| format!("{service}:{app}:{}", if service == "db" { 0 } else { version });
    let (web, db) = (checked(&image("web")), service(&image("db")));
    // db stays the same container in all versions, whoever needs whom.
    let (web, db) = match version {
        0 | 1 => (after(web, "db", Condition::ServiceStarted), db),
        _ => (web, after(db, "web", Condition::ServiceStarted)),
    };
    let job = Service { restart: Restart::OnFailure { attempts: Some(2) }, ..service(&image("job")) };
    let mut services = vec![("db", db), ("web", web)];
    if version % 2 == 1 {
        services.push(("job", job));
    }
    release(if app == 0 { "shop" } else { "other" }, &version.to_string(), services)
}

impl World {
    fn happen(&mut self, happening: &Happening) {
        let app = |n: &u8| name(if *n == 0 { "shop" } else { "other" });
        match happening {
            Happening::Deploy { app, version } => drop(self.deploy(&versions(*app, *version))),
            Happening::Undeploy { app: n } => drop(self.desired.apps.remove(&app(n))),
            Happening::Stop { app: n } => drop(self.actual.overrides.insert(Override { app: app(n), service: None })),
            Happening::Go { app: n } => drop(self.actual.overrides.remove(&Override { app: app(n), service: None })),
            Happening::Reboot => self.reboot(),
            Happening::Kill { nth, code } => {
                let at = self.now.uptime;
                let mut running = self.actual.instances.values_mut().filter(|i| i.task.is_running());
                if let Some(instance) = running.nth(*nth) {
                    instance.task = Task::Exited(Exit { code: *code, oom: false, at });
                }
            }
            Happening::Sicken { service } => drop(self.sick.insert(name(["db", "web", "job"][usize::from(*service)]))),
            Happening::Heal => self.sick.clear(),
            Happening::LoseImage { nth } => {
                let in_use: BTreeSet<Digest> = self.actual.instances.values().map(|i| self.image_of(i)).collect();
                let lost = self.actual.images.keys().filter(|id| !in_use.contains(*id)).nth(*nth).copied();
                lost.map(|id| self.actual.images.remove(&id));
            }
            Happening::PowerCut { spoils } => {
                self.power_cut();
                let doubtful = self.actual.images.iter().filter(|(_, state)| **state == ImageState::Doubtful);
                self.spoiled.extend(doubtful.map(|(id, _)| *id).nth(*spoils));
            }
            Happening::FoundDamaged { nth } => {
                let ready = self.actual.images.iter().filter(|(_, state)| **state == ImageState::Ready).nth(*nth);
                ready.map(|(id, _)| *id).into_iter().for_each(|id| self.damage(id));
            }
            Happening::MendingFails { nth, times, lost } => {
                let damaged = self.actual.damaged.iter().nth(*nth).copied();
                damaged.into_iter().for_each(|id| {
                    self.stubborn.insert(id, *times);
                    self.fails(id);
                    if *lost {
                        self.actual.here.remove(&id);
                    }
                });
            }
            Happening::Wait { seconds } => self.now.uptime += Duration::from_secs(*seconds),
            Happening::Rounds { n } => (0..*n).for_each(|_| _ = self.round()),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    /// Whatever happened, the node settles; then every wanted service of the release it chose runs or stays ended,
    /// nothing else runs, and needed images are there.
    #[test]
    fn every_history_settles(happenings in prop::collection::vec(happening(), 1..40)) {
        let mut world = World::new();
        for happening in &happenings {
            let before = world.running_ids();
            world.happen(happening);
            world.check_damage();
            if matches!(happening, Happening::Wait { .. } | Happening::Heal) {
                prop_assert_eq!(before, world.running_ids());
            }
        }
        world.sick.clear();
        for instance in world.actual.instances.values_mut() {
            if instance.health == Health::Unhealthy { instance.health = Health::Healthy; }
        }
        world.settle(3600);
        for image in &world.actual.damaged {
            prop_assert!(!world.is_asked_for(*image) && !world.actual.here.contains(image), "not mended");
        }
        let plan = world.plan();
        prop_assert!(plan.actions.is_empty());
        for (app, assignment) in &world.desired.apps {
            let view = AppView::new(app, &world.desired, &world.actual);
            let active = view.active().expect("settled apps have a release");
            prop_assert!(active.id == assignment.release || view.is_undone());
            prop_assert!(view.good().is_none_or(|good| view.is_complete(good)), "the way back is on disk");
            let held = view.is_held();
            for (service, state) in services::services(&view) {
                let running = state.current.is_some_and(|(_, i)| i.task.is_running());
                let may_stay_down = state.is_finished || state.current.is_some_and(|(_, i)| services::due(state.spec.definition.restart, i).is_none());
                prop_assert!(if held { !running } else { running || may_stay_down }, "{app}/{service}: {:?}", state.current);
            }
        }
        for instance in world.actual.instances.values() {
            prop_assert!(world.desired.apps.contains_key(&instance.app));
            prop_assert_eq!(world.actual.images.get(&world.image_of(instance)), Some(&ImageState::Ready));
        }
    }
}

impl World {
    /// What runs on damage is stopped at once, but for those that others need which are stopped first.
    fn check_damage(&self) {
        let actions = self.plan().actions;
        let mut on_damage = self.actual.instances.iter().filter(|(_, instance)| self.actual.runs_on_damage(instance)).peekable();
        let stops = |id: &InstanceId| actions.contains(&Action::Do(Step::Stop(id.clone())));
        let is_known = self.desired.stamp != Stamp::default();
        assert!(!is_known || on_damage.peek().is_none() || self.actual.instances.keys().any(stops), "{actions:?}");
        let unpacks = actions.iter().any(|action| matches!(action, Action::Do(Step::Unpack(_))));
        assert!(on_damage.peek().is_none() || !unpacks, "{actions:?}");
    }

    /// Whether the image is of a release that an app shall run or may go back to. One that only began to prove itself before
    /// its app was held may stay damaged when it cannot be mended here.
    fn is_asked_for(&self, image: Digest) -> bool {
        let views = self.desired.apps.keys().map(|app| AppView::new(app, &self.desired, &self.actual));
        let mut asked = views.flat_map(|view| [view.wanted(), view.good()]).flatten();
        asked.any(|chosen| chosen.release.images.values().flatten().any(|of| of.id() == image))
    }

    fn running_ids(&self) -> BTreeSet<InstanceId> {
        self.actual.instances.iter().filter(|(_, i)| i.task.is_running()).map(|(id, _)| id.clone()).collect()
    }
}
