//! What must hold when everything is calm again: hub and nodes agree, and what runs is what shall run.
//!
//! The oracle works out by itself what should be: from the hub's deployments and labels with [`shared::assign`], and from
//! the catalog, which knows the good releases. It asks neither planner nor reconciler.

use std::collections::{BTreeMap, BTreeSet};

use cloud_hub::api::types::NodeStatus;
use cloud_hub::events::Question;
use cloud_hub::hub::Hub;
use cloud_hub::records::{self, DESIRED, EVENTS, Stored, key};
use edge_node::api::port::Node as _;
use edge_node::held::Holding;
use edge_node::runtime::{Observed, Runtime};
use shared::assign::{Assigned, Rule, assign, assign_next};
use shared::fault::{hub, node};
use shared::id::{Digest, Name};
use shared::release::Image;
use shared::release::InstanceSpec;
use shared::report::{Phase, Report};
use shared::state::{Assignment, Override, Stamp, Task};

use super::World;
use super::catalog::platform;
use super::history::target;
use super::machine::{Daemon, Machine};

impl World {
    /// What is not as it must be; empty when all is well. Only meaningful in calm.
    pub async fn disagreements(&self) -> Vec<String> {
        let Some(hub) = self.center.hub() else { return vec!["the hub does not run".into()] };
        let mut wrong = Vec::new();
        for machine in &self.machines {
            let Some(daemon) = machine.daemon() else {
                wrong.push(format!("{}: no daemon", machine.name));
                continue;
            };
            let seen = machine.memory.observe().await.unwrap_or_default();
            let check = Check { world: self, hub: &hub, machine, daemon, holding: daemon.held.holding(), seen };
            wrong.extend(check.all().await.into_iter().map(|what| format!("{}: {what}", machine.name)));
        }
        wrong
    }
}

impl World {
    /// Where hub and nodes do not hold the same, or it is not what the deployments say.
    pub async fn unequal(&self) -> Vec<String> {
        let Some(hub) = self.center.hub() else { return vec!["the hub does not run".into()] };
        let mut wrong = Vec::new();
        for machine in &self.machines {
            let Some(daemon) = machine.daemon() else { continue };
            let check =
                Check { world: self, hub: &hub, machine, daemon, holding: daemon.held.holding(), seen: Observed::default() };
            wrong.extend(check.assignment().await.into_iter().map(|what| format!("{}: {what}", machine.name)));
        }
        wrong
    }
}

struct Check<'a> {
    world: &'a World,
    hub: &'a Hub,
    machine: &'a Machine,
    daemon: &'a Daemon,
    holding: Holding,
    seen: Observed,
}

impl Check<'_> {
    async fn all(&self) -> Vec<String> {
        let mut wrong = self.assignment().await;
        let damaged = self.machine.memory.damaged_starts();
        if damaged > 0 {
            wrong.push(format!("started {damaged} times from a damaged image"));
        }
        for (app, assignment) in &self.holding.desired.apps {
            wrong.extend(self.app(app, assignment).into_iter().map(|what| format!("app {app}: {what}")));
        }
        let apps = &self.holding.desired.apps;
        let strays = self.seen.instances.iter().filter(|(_, seen)| !apps.contains_key(&seen.app));
        wrong.extend(strays.map(|(id, _)| format!("{id} is of no app that is wanted")));
        wrong.extend(self.leftovers());
        wrong.extend(self.view());
        wrong.extend(self.journal().await);
        wrong
    }

    /// Hub and node hold the same, and it is what the deployments say.
    async fn assignment(&self) -> Vec<String> {
        let name = &self.machine.name;
        let Ok((record, _)) = self.hub.node(name).await else { return vec!["it is not enrolled".into()] };
        let rules: BTreeMap<Name, Rule> = match self.hub.all_deployments().await {
            Ok(all) => all.into_iter().map(|(name, deployment, _)| (name, rule(deployment))).collect(),
            Err(error) => return vec![error.to_string()],
        };
        let should: BTreeMap<Name, Assignment> = plain(&assign(name, &record.labels, &rules));
        let stored = self.world.center.store().get(&key(DESIRED, name)).await.ok().flatten();
        let Some((signed, _)) = stored.and_then(|record| records::Desired::read(DESIRED, record).ok()) else {
            return vec!["nothing was ever signed for it".into()];
        };
        let mut wrong = Vec::new();
        if plain(&signed.apps) != should {
            wrong.push(format!("the hub signed {:?}, its deployments say {should:?}", plain(&signed.apps)));
        }
        let stamp = Stamp { epoch: signed.epoch, generation: signed.generation };
        if self.daemon.held.accepted() != Some((stamp, signed.hash)) {
            wrong.push(format!("it holds {:?}, the hub signed {stamp}", self.daemon.held.accepted()));
        }
        if self.holding.desired.apps != should {
            wrong.push("it holds other apps than its deployments say".into());
        }
        let next = assign_next(name, &record.labels, &rules);
        if !next.iter().map(|(app, next)| (app, next.assignment.release)).eq(self
            .holding
            .desired
            .next
            .iter()
            .map(|(a, r)| (a, *r)))
        {
            wrong.push("it has other releases for later than its deployments say".into());
        }
        wrong
    }

    /// It runs the assigned release, or the last good one when that is bad.
    fn app(&self, app: &Name, assignment: &Assignment) -> Vec<String> {
        let memory = self.holding.memory.get(app).cloned().unwrap_or_default();
        let is_good = self.world.catalog.is_good(assignment.release);
        let held = !assignment.run || self.holding.overrides.iter().any(|over| over.app == *app);
        let mut wrong = Vec::new();
        if memory.good.is_some_and(|good| !self.world.catalog.is_good(good)) {
            wrong.push("a bad release counts as good".into());
        }
        let runs = target(&self.holding, app).unwrap_or(assignment.release);
        let is_undone = runs != assignment.release;
        if is_good && is_undone && !self.world.disturbed.contains(&self.machine.name) {
            wrong.push("a good release was undone".into());
        }
        if is_good && !is_undone && !held && memory.good != Some(assignment.release) {
            wrong.push("its release is still on trial".into());
        }
        let has_way_back = memory.good.is_some_and(|good| good != assignment.release);
        if !is_good && !is_undone && !held && has_way_back {
            wrong.push("its bad release is not undone".into());
        }
        wrong.extend(self.services(app, runs, is_good || is_undone));
        wrong
    }

    /// Every service of the release has its one container, and it runs.
    fn services(&self, app: &Name, id: Digest, must_run: bool) -> Vec<String> {
        let Some(release) = self.holding.releases.get(&id) else { return vec![format!("release {} is unknown", id.short())] };
        let specs = release.manifest.spec.services.keys().filter_map(|service| release.instance(id, service, &platform()));
        let mut wrong = Vec::new();
        let mut names = BTreeSet::new();
        for spec in specs {
            names.insert(spec.service.clone());
            wrong.extend(self.service(app, &spec, must_run).map(|what| format!("service {}: {what}", spec.service)));
        }
        let strays = self.seen.instances.iter().filter(|(_, seen)| seen.app == *app && !names.contains(&seen.service));
        wrong.extend(strays.map(|(id, _)| format!("{id} is of no service")));
        wrong
    }

    fn service(&self, app: &Name, spec: &InstanceSpec, must_run: bool) -> Option<String> {
        let its: Vec<_> =
            self.seen.instances.iter().filter(|(_, seen)| seen.app == *app && seen.service == spec.service).collect();
        let stopped = self.is_stopped(app, &spec.service);
        let finished = self.holding.memory.get(app).is_some_and(|memory| memory.finished.get(&spec.service) == Some(&spec.hash));
        match its.as_slice() {
            [] if stopped || finished || !must_run => None,
            [] => Some("it has no container".into()),
            [(id, seen)] if seen.hash != spec.hash => Some(format!("{id} is made of something else")),
            [(_, seen)] if seen.task.is_running() && stopped => Some("it runs although it was stopped".into()),
            [(_, seen)] if seen.task.is_running() || stopped || finished || !must_run => None,
            [(id, seen)] => Some(format!("{id} does not run: {:?}", seen.task)),
            _ => Some(format!("it has {} containers", its.len())),
        }
    }

    fn is_stopped(&self, app: &Name, service: &Name) -> bool {
        let over = |service| self.holding.overrides.contains(&Override { app: app.clone(), service });
        self.holding.desired.apps.get(app).is_some_and(|assignment| !assignment.run) || over(None) || over(Some(service.clone()))
    }

    /// Nothing is left of what nobody needs.
    fn leftovers(&self) -> Vec<String> {
        let mut wrong = Vec::new();
        let used: BTreeSet<Digest> = self.seen.instances.values().map(|seen| seen.release).collect();
        let wanted = self.holding.desired.releases().map(|(_, release)| release);
        let memory = self.holding.memory.values();
        let remembered = memory.flat_map(|memory| [memory.good, memory.trial.as_ref().map(|trial| trial.release)]).flatten();
        let keep: BTreeSet<Digest> = used.into_iter().chain(wanted).chain(remembered).collect();
        let releases: BTreeSet<Digest> = self.holding.releases.keys().copied().collect();
        if let Some(id) = releases.difference(&keep).next() {
            wrong.push(format!("release {} is kept for nobody", id.short()));
        }
        let kept = keep.iter().filter_map(|id| self.holding.releases.get(id));
        let images: Vec<&Image> = kept.flat_map(|release| release.images.values().flatten()).collect();
        let ids: BTreeSet<Digest> = images.iter().map(|image| image.id()).collect();
        if let Some(id) = self.seen.images.difference(&ids).next() {
            wrong.push(format!("image {} is kept for nobody", id.short()));
        }
        // What an image is made of stays with it: its documents and its layers' packs, and no patch.
        let made_of = |image: &&Image| {
            let documents = [image.manifest.digest.hex(), image.config.digest.hex()];
            let packs = image.layers.iter().map(|layer| format!("{}.pack", layer.tar.digest.hex()));
            documents.into_iter().chain(packs).collect::<Vec<_>>()
        };
        let files = images.iter().flat_map(made_of).collect();
        if let Some(file) = self.machine.files().difference(&files).next() {
            wrong.push(format!("{file} is kept for nobody"));
        }
        wrong
    }

    /// The hub's view is what the node says, and what the node says is what is.
    fn view(&self) -> Vec<String> {
        let name = &self.machine.name;
        let Some(status) = self.hub.status_of(name) else { return vec!["the hub does not know it".into()] };
        let report = self.daemon.view.report();
        let mut wrong = differences(&status, &report);
        if !status.connected || !status.in_sync {
            wrong.push(format!("the hub's view: connected {}, in sync {}", status.connected, status.in_sync));
        }
        if !status.faults.is_empty() {
            wrong.push(format!("the hub's view has faults: {:?}", status.faults));
        }
        for app in &report.apps {
            let held = self.holding.overrides.iter().any(|over| over.app == app.app);
            let assigned = self.holding.desired.apps.get(&app.app);
            let settled = match (assigned, target(&self.holding, &app.app)) {
                _ if held => true,
                (Some(assignment), _) if !assignment.run => app.phase == Phase::Stopped,
                (Some(assignment), Some(target)) if target != assignment.release => app.phase == Phase::Undone,
                (Some(assignment), _) if self.world.catalog.is_good(assignment.release) => app.phase == Phase::Running,
                (Some(_), _) => true,
                (None, _) => false,
            };
            if !settled {
                wrong.push(format!("app {} is said to be {:?}: {:?}", app.app, app.phase, app.fault));
            }
        }
        let said: BTreeMap<&str, u32> = report
            .apps
            .iter()
            .flat_map(|app| &app.services)
            .filter(|service| service.pid != 0)
            .map(|service| (service.instance.as_str(), service.pid))
            .collect();
        let bad = |id: &&shared::state::InstanceId| {
            let seen = self.seen.instances.get(*id);
            seen.is_some_and(|seen| !self.world.catalog.is_good(seen.release)) // It may start and end at any moment.
        };
        for (id, seen) in &self.seen.instances {
            let pid = if let Task::Running { pid, .. } = seen.task { Some(pid) } else { None };
            if said.get(id.as_str()).copied() != pid && !bad(&id) {
                wrong.push(format!("{id} has process {pid:?}, said is {:?}", said.get(id.as_str())));
            }
        }
        wrong
    }

    /// Every journal entry of the node stands at the hub once, and none is missing.
    async fn journal(&self) -> Vec<String> {
        let mut wrong = Vec::new();
        let mut numbers = Vec::new();
        let (mut after, mut begun) = (None, false);
        loop {
            let from = if begun { after } else { None };
            let entries =
                self.world.center.store().read_log(EVENTS, from.map_or(0, |n: u64| n + 1), 1000).await.unwrap_or_default();
            begun = true;
            let Some((last, _)) = entries.last() else { break };
            after = Some(*last);
            for (_, bytes) in &entries {
                let Ok(event) = records::Event::decode(EVENTS, bytes) else { continue };
                if event.node.as_ref() == Some(&self.machine.name) {
                    let fault = shared::fault::Fault::from(event.what);
                    if fault.code == hub::JOURNAL_GAP.code && !self.world.may_have_gaps {
                        wrong.push(format!("the journal has a gap: {fault}"));
                    }
                    if fault.code == node::NEIGHBOUR_WRONG.code {
                        wrong.push(format!("nobody lies here: {fault}"));
                    }
                    numbers.extend(event.journal.map(|(number, _)| number));
                }
            }
        }
        let gapless = numbers.iter().copied().eq(0..numbers.len() as u64);
        if !gapless && !self.world.may_have_gaps {
            wrong.push(format!("journal entries at the hub: {numbers:?}"));
        }
        let newest = self.daemon.journal.entries(self.daemon.journal.confirmed(), 10).unwrap_or_default();
        if !newest.is_empty() {
            let (confirmed, next) = (self.daemon.journal.confirmed(), self.daemon.journal.next());
            wrong.push(format!("of {next} journal entries those from {confirmed} on are not confirmed"));
        }
        wrong.extend(self.undone_twice());
        wrong
    }

    /// A release that was undone is tried again only when somebody deployed it again, or after another one.
    fn undone_twice(&self) -> Vec<String> {
        let entries = self.daemon.journal.entries(0, usize::MAX).unwrap_or_default();
        let mut last: BTreeMap<Name, (bool, String)> = BTreeMap::new();
        let mut again: BTreeMap<String, u64> = BTreeMap::new();
        for event in entries {
            let (Some(app), code) = (event.app, &*event.what.code) else { continue };
            let release = event.what.params.get("release").map(ToString::to_string).unwrap_or_default();
            if code == node::EVENT_TRY.code {
                if last.get(&app) == Some(&(true, release.clone())) {
                    *again.entry(release.clone()).or_default() += 1;
                }
                last.insert(app, (false, release));
            } else if code == node::EVENT_UNDO.code {
                last.insert(app, (true, release));
            } else if code == node::EVENT_GONE.code {
                last.remove(&app);
            }
        }
        let deployed = |short: &str| {
            let times = self.world.deployed.iter().filter(|(id, _)| id.short() == short);
            times.map(|(_, times)| *times).sum::<u64>()
        };
        let twice = again.into_iter().filter(|(release, times)| *times + 1 > deployed(release));
        twice.map(|(release, times)| format!("release {release} was tried {times} times more after it was undone")).collect()
    }
}

fn rule(deployment: records::Deployment) -> Rule {
    let records::Deployment { app, release, revision, run, target, prefetch, .. } = deployment;
    Rule { app, assignment: Assignment { release, revision, run }, target, prefetch }
}

fn plain(apps: &BTreeMap<Name, Assigned>) -> BTreeMap<Name, Assignment> {
    apps.iter().map(|(app, assigned)| (app.clone(), assigned.assignment.clone())).collect()
}

/// Where the hub's view of a node's apps is not the node's own.
fn differences(status: &NodeStatus, report: &Report) -> Vec<String> {
    let theirs: Vec<_> = status
        .apps
        .iter()
        .map(|app| {
            let services: Vec<_> =
                app.services.iter().map(|s| (s.service.clone(), s.instance.clone(), s.pid, s.restarts)).collect();
            (app.app.clone(), app.release, app.wanted, app.phase, services)
        })
        .collect();
    let own: Vec<_> = report
        .apps
        .iter()
        .map(|app| {
            let services: Vec<_> =
                app.services.iter().map(|s| (s.service.clone(), s.instance.clone(), s.pid, s.restarts)).collect();
            (app.app.clone(), app.release, app.wanted, app.phase, services)
        })
        .collect();
    if theirs == own { Vec::new() } else { vec![format!("the hub's view {theirs:?} is not what it says: {own:?}")] }
}

/// Events that the hub wrote or took about a node, newest last.
pub async fn events(hub: &Hub, node: &Name) -> Vec<shared::fault::Fault> {
    let question = Question { node: Some(node.clone()), limit: 1000, ..Question::default() };
    let page = hub.events(&question).await.expect("events");
    page.events.into_iter().map(|(_, event)| event.what.into()).collect()
}
