//! What may happen, drawn by chance: people deploy, lines are cut, machines and programs die, clocks lie.

use std::time::Duration;

use cloud_hub::hub::Hub;
use edge_node::api::port::{self, Command};
use shared::assign::Target;
use shared::budget::{Budget, QUOTA_MIN, RATE_MIN, Window, Zone};
use shared::id::Name;
use shared::time::UnixMillis;

use super::World;
use super::center::BEGINNING;
use super::random::Random;
use super::weather::Weather;

/// One kind of happening; the table of [`KINDS`] says how often.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A release, good or bad, is deployed to some nodes.
    Deploy,
    /// A deployment goes back to its release before.
    Rollback,
    /// A deployment is taken away.
    Undeploy,
    /// A node's label changes, so that selectors cover other nodes.
    Label,
    /// A line is cut, or mended.
    Cut,
    /// A machine's cable to the others of its site is pulled, or put in.
    Lan,
    /// The weather changes.
    Turn,
    /// A daemon is killed, and starts again a while later.
    KillDaemon,
    /// A machine loses power.
    Reboot,
    /// The hub is killed, or starts again.
    KillHub,
    /// A runtime stops answering, or answers again.
    RuntimeDown,
    /// A process ends by itself.
    Crash,
    /// Somebody on site stops or starts an app or a service.
    OnSite,
    /// A wall clock is set.
    Clock,
    /// A link gets a budget, another one, or none.
    Budget,
    /// Somebody on site holds all transfers, or lets them go on.
    Pause,
}

/// Every kind with its weight.
const KINDS: [(Kind, u64); 16] = [
    (Kind::Deploy, 24),
    (Kind::Rollback, 5),
    (Kind::Undeploy, 4),
    (Kind::Label, 6),
    (Kind::Cut, 16),
    (Kind::Lan, 6),
    (Kind::Turn, 8),
    (Kind::KillDaemon, 8),
    (Kind::Reboot, 6),
    (Kind::KillHub, 7),
    (Kind::RuntimeDown, 5),
    (Kind::Crash, 7),
    (Kind::OnSite, 6),
    (Kind::Clock, 3),
    (Kind::Budget, 8),
    (Kind::Pause, 4),
];
/// Wall clocks of machines that do not know the time: 1970, 2000, 2038, 2106, and two that are right.
const WALLS: [u64; 6] = [0, 946_684_800_000, 2_147_483_648_000, 4_294_967_296_000, BEGINNING, BEGINNING];
const DEPLOYMENTS: [(&str, &str); 7] = [
    ("web", "web"),
    ("web-some", "web"),
    ("web-prefetch", "web"),
    ("meter", "meter"),
    ("meter-some", "meter"),
    ("meter-prefetch", "meter"),
    ("job", "job"),
];
const BUDGETS: [&str; 2] = ["line", "line-some"];
const SITES: [&str; 2] = ["north", "south"];

impl World {
    /// One thing happens.
    pub async fn happen(&mut self) {
        let all = KINDS.iter().map(|(_, weight)| weight).sum();
        let mut drawn = self.random.below(all);
        let kind = KINDS.iter().find(|(_, weight)| {
            let hit = drawn < *weight;
            drawn = drawn.saturating_sub(*weight);
            hit
        });
        let kind = kind.map_or(Kind::Cut, |(kind, _)| *kind);
        self.tell(format!("{kind:?}"));
        match kind {
            Kind::Deploy => self.deploy_any().await,
            Kind::Rollback | Kind::Undeploy | Kind::Label => self.change_any(kind).await,
            Kind::Cut => {
                let machine = self.any();
                machine.plug(!machine.is_plugged());
            }
            Kind::Lan => {
                let machine = self.any();
                machine.plug_lan(!machine.is_on_lan());
            }
            Kind::Turn => {
                let weather = if self.random.chance(250) { Weather::FAIR } else { Weather::bad(&mut self.random) };
                self.any().sky.set(weather);
            }
            Kind::KillDaemon | Kind::Reboot | Kind::Clock => self.kill_any(kind).await,
            Kind::KillHub => {
                if self.center.hub().is_some() && self.random.chance(600) {
                    self.center.kill();
                } else {
                    self.center.start().await;
                }
            }
            Kind::RuntimeDown => {
                let down = self.random.chance(500);
                let name = {
                    let machine = self.any();
                    machine.memory.set_down(down);
                    machine.name.clone()
                };
                self.disturbed.insert(name);
            }
            Kind::Crash => {
                let (nth, code) = (self.random.below(3) as usize, self.random.below(3) as u32 * 70);
                let machine = self.any();
                machine.memory.crash(nth, code);
                let name = machine.name.clone();
                self.disturbed.insert(name);
            }
            Kind::OnSite => self.on_site().await,
            Kind::Budget => self.budget_any().await,
            Kind::Pause => {
                let command = if self.random.chance(600) { Command::Pause(None) } else { Command::Resume(None) };
                let _daemon_may_be_off = self.any().command(command).await;
            }
        }
    }

    /// Time passes: mostly seconds, now and then up to `longest`.
    pub async fn wait_a_while(&mut self, longest: Duration) {
        let most = match self.random.below(100) {
            0..50 => Duration::from_secs(5),
            50..90 => Duration::from_secs(60),
            90..98 => Duration::from_secs(600),
            _ => longest,
        };
        let time = Duration::from_millis(self.random.below(u64::try_from(most.as_millis()).unwrap_or(u64::MAX)));
        self.pass(time).await;
    }

    async fn deploy_any(&mut self) {
        let (name, app) = self.random.pick(&DEPLOYMENTS).copied().unwrap_or(("web", "web"));
        let catalog = self.catalog.clone();
        let Some(release) = self.random.pick(&catalog.of(app)).copied() else { return };
        let target = self.target_any(name);
        if name.ends_with("-prefetch") {
            self.tell(format!("  {name}: {}@{} to the disks of {target:?}", release.app, release.version));
            return self.prefetch(name, release, target).await;
        }
        let run = !self.random.chance(80);
        let redeploy = self.random.chance(200);
        self.tell(format!("  {name}: {}@{} to {target:?}, run {run}", release.app, release.version));
        self.put(name, release, target, run, redeploy).await;
    }

    /// Everything, or some of it when the name says so.
    fn target_any(&mut self, name: &str) -> Target {
        match self.random.below(2) {
            _ if !name.contains('-') => Target::Labels([].into()),
            0 => Target::Nodes([self.any().name.clone()].into()),
            _ => Target::Labels([("site".to_owned(), SITES[self.random.below(2) as usize].to_owned())].into()),
        }
    }

    async fn budget_any(&mut self) {
        let Some(hub) = self.center.hub() else { return };
        let name = BUDGETS[self.random.below(2) as usize];
        let key = Name::new(name).expect("name");
        if self.random.chance(300) {
            let _there_may_be_none = hub.remove_budget(&key, None, "world").await;
            return;
        }
        let (budget, target) = (budget(&mut self.random), self.target_any(name));
        self.tell(format!("  {name}: {budget:?} for {target:?}"));
        hub.set_budget(&key, budget, target, None, "world").await.expect("set");
    }

    async fn change_any(&mut self, kind: Kind) {
        let Some(hub) = self.center.hub() else { return };
        let Some((name, _)) = self.random.pick(&DEPLOYMENTS).copied() else { return };
        let name = Name::new(name).expect("name");
        if kind == Kind::Label {
            let site = SITES[self.random.below(2) as usize].to_owned();
            let node = self.any().name.clone();
            hub.label_node(&node, [("site".to_owned(), Some(site))].into(), None, "world").await.expect("label");
            self.take_over(&hub).await;
        } else if hub.deployment(&name).await.is_ok() {
            if kind == Kind::Undeploy {
                hub.undeploy(&name, None, "world").await.expect("undeploy");
                self.take_over(&hub).await;
            } else if let Ok((record, ..)) = hub.rollback(&name, None, None, "world").await
                && !record.prefetch
            {
                *self.deployed.entry(record.release).or_default() += 1;
            }
        }
    }

    /// Nodes may have come under any other deployment now, which is as good as deploying what that one says.
    async fn take_over(&mut self, hub: &Hub) {
        for (name, _) in DEPLOYMENTS {
            if let Ok((record, _)) = hub.deployment(&Name::new(name).expect("name")).await {
                *self.deployed.entry(record.release).or_default() += 1;
            }
        }
    }

    async fn kill_any(&mut self, kind: Kind) {
        let wall = UnixMillis(self.random.pick(&WALLS).copied().unwrap_or(BEGINNING));
        let wait = Duration::from_millis(self.random.below(30_000));
        let mut spoils = Random::new(self.random.below(u64::MAX));
        let machine = self.any();
        match kind {
            Kind::Reboot => machine.reboot(wait, wall, || spoils.chance(200)).await,
            Kind::Clock => machine.turn_clock(wall).await,
            Kind::KillDaemon
            | Kind::Deploy
            | Kind::Rollback
            | Kind::Undeploy
            | Kind::Label
            | Kind::Cut
            | Kind::Lan
            | Kind::Turn
            | Kind::KillHub
            | Kind::RuntimeDown
            | Kind::Crash
            | Kind::OnSite
            | Kind::Budget
            | Kind::Pause => {
                machine.kill().await;
                tokio::time::sleep(wait).await;
            }
        }
        machine.start().await;
        if kind == Kind::Clock {
            let hours = self.random.between(0, 200_000) as i64 - 100_000;
            self.center.turn_clock(hours * 3_600_000);
        }
    }

    async fn on_site(&mut self) {
        let (stop, one) = (self.random.chance(500), self.random.chance(500));
        let catalog = self.catalog.clone();
        let Some(release) = self.random.pick(&catalog.all) else { return };
        let service = release.release.manifest.spec.services.keys().next().filter(|_| one);
        let target = port::Target { app: release.app.clone(), service: service.cloned() };
        let command = if stop { Command::Stop(target) } else { Command::Start(target) };
        let machine = self.any();
        // It may know no such app now, or its daemon may be off: then nothing happens.
        let _answer = machine.command(command).await;
        let name = machine.name.clone();
        self.disturbed.insert(name);
    }

    fn any(&mut self) -> &mut super::machine::Machine {
        let which = self.random.below(self.machines.len() as u64) as usize;
        &mut self.machines[which]
    }
}

/// Such as images of a few hundred KiB notice.
fn budget(random: &mut Random) -> Budget {
    let zone = [0, 8 * 60, -12 * 60, 14 * 60].get(random.below(4) as usize).copied().unwrap_or(0);
    let window =
        |random: &mut Random| Window::new(1 << random.below(7) | 1, random.below(1440) as u16, random.below(1440) as u16);
    Budget {
        rate: random.chance(500).then(|| RATE_MIN << random.below(8)),
        per_day: (!random.chance(400)).then(|| random.between(QUOTA_MIN, 8 * QUOTA_MIN)),
        per_month: Some(random.between(2 * QUOTA_MIN, 64 * QUOTA_MIN)),
        windows: (0..random.below(3)).filter_map(|_| window(random).ok()).collect(),
        zone: Zone::new(zone).unwrap_or_default(),
    }
}
