//! The services of one app: order, restarts, and the switch from one release to the next.
//!
//! The switch: what must go is stopped, dependents first, and removed; only when nothing is left of it
//! are new containers made, dependencies first. Ports and volumes therefore never have two owners.

use std::collections::BTreeMap;

use super::app::AppView;
use super::{Note, Plan, Step};
use crate::fault::{Fault, node};
use crate::health::Health;
use crate::id::Name;
use crate::manifest::{Condition, Restart};
use crate::release::InstanceSpec;
use crate::state::{Exit, ImageState, Instance, InstanceId, Task};
use crate::time::{Uptime, backoff};

/// What a service should be made of, and the container that is made of just that, if there is one.
pub(crate) struct ServiceView<'a> {
    pub spec: InstanceSpec,
    pub current: Option<(&'a InstanceId, &'a Instance)>,
    /// A one-shot that ended well, now or before a reboot.
    pub is_finished: bool,
    /// Hub or operator want it stopped.
    pub is_stopped: bool,
    /// Its image can start.
    pub is_ready: bool,
}

/// The services of the active release by name; empty when there is none.
pub(crate) fn services<'a>(view: &AppView<'a>) -> BTreeMap<Name, ServiceView<'a>> {
    let Some(active) = view.active() else { return BTreeMap::new() };
    let specs = active.release.manifest.spec.services.keys();
    specs
        .filter_map(|name| active.release.instance(active.id, name, &view.actual.platform))
        .map(|spec| (spec.service.clone(), service(view, spec)))
        .collect()
}

fn service<'a>(view: &AppView<'a>, spec: InstanceSpec) -> ServiceView<'a> {
    let fits = |(_, instance): &&(&InstanceId, &Instance)| instance.service == spec.service && instance.hash == spec.hash;
    let all = || view.instances.iter().filter(fits);
    let current = all().find(|(_, instance)| instance.task.is_running()).or_else(|| all().next()).copied();
    let remembered = view.memory.and_then(|memory| memory.finished.get(&spec.service)).is_some_and(|hash| *hash == spec.hash);
    let ended = current.and_then(|(_, instance)| exit(instance)).is_some_and(|exit| ends_well(spec.definition.restart, exit));
    let running = current.is_some_and(|(_, instance)| instance.task.is_running());
    ServiceView {
        is_finished: ended || (remembered && !running),
        is_stopped: view.is_stopped(&spec.service),
        is_ready: view.actual.images.get(&spec.image.id()) == Some(&ImageState::Ready),
        current,
        spec,
    }
}

/// Adds the steps that are possible now for the app's services.
pub(crate) fn steps(view: &AppView<'_>, now: Uptime, plan: &mut Plan) {
    if view.assignment.is_some() && view.active().is_none() {
        // Nothing is complete on disk: whatever runs goes on, unless it runs on damage.
        return stop(view, &damaged(view).collect(), plan);
    }
    let services = services(view);
    let is_current = |id: &InstanceId| services.values().any(|s| s.current.is_some_and(|(current, _)| current == id));
    let leaving: Vec<_> = view.instances.iter().copied().filter(|(id, _)| !is_current(id)).collect();
    let held = services.values().filter(|s| s.is_stopped).filter_map(|s| s.current);
    let stopping = leaving.iter().copied().chain(held).chain(damaged(view)).filter(|(_, instance)| instance.task.is_running());
    stop(view, &stopping.collect(), plan);
    for (id, _) in leaving.iter().filter(|(_, instance)| !instance.task.is_running()) {
        plan.act(Step::Remove((*id).clone()));
    }
    for service in services.values() {
        run(view, service, &services, leaving.is_empty(), now, plan);
    }
    if view.assignment.is_none() && view.instances.is_empty() && view.memory.is_some() {
        plan.note(view.name, Note::Forget);
    }
}

/// What runs on a damaged image.
fn damaged<'a>(view: &AppView<'a>) -> impl Iterator<Item = (&'a InstanceId, &'a Instance)> {
    let (actual, instances) = (view.actual, view.instances.clone());
    instances.into_iter().filter(|(_, instance)| actual.runs_on_damage(instance))
}

/// Adds the stops that are possible now, dependents first. Containers of two releases may each need the other, when the newer
/// one turned round who needs whom: none of them can go first, so all go at once.
fn stop(view: &AppView<'_>, stopping: &BTreeMap<&InstanceId, &Instance>, plan: &mut Plan) {
    let is_free = |instance: &Instance| !stopping.values().any(|other| depends_on(view, other, &instance.service));
    let is_any_free = stopping.values().any(|instance| is_free(instance));
    for (id, _) in stopping.iter().filter(|(_, instance)| !is_any_free || is_free(instance)) {
        plan.act(Step::Stop((*id).clone()));
    }
}

/// Whether `instance`'s own release says that it depends on `service`.
fn depends_on(view: &AppView<'_>, instance: &Instance, service: &Name) -> bool {
    let release = view.actual.releases.get(&instance.release);
    let definition = release.and_then(|release| release.manifest.spec.services.get(&instance.service));
    definition.is_some_and(|definition| definition.depends_on.contains_key(service))
}

/// Starts one service if it shall run, does not, and may.
fn run(
    view: &AppView<'_>,
    service: &ServiceView<'_>,
    all: &BTreeMap<Name, ServiceView<'_>>,
    may_create: bool,
    now: Uptime,
    plan: &mut Plan,
) {
    let ServiceView { spec, current, .. } = service;
    if let Some((_, instance)) = current
        && exit(instance).is_some_and(|exit| ends_well(spec.definition.restart, exit))
        && view.memory.and_then(|memory| memory.finished.get(&spec.service)).is_none_or(|hash| *hash != spec.hash)
    {
        plan.note(view.name, Note::Finish(spec.service.clone(), spec.hash));
    }
    if service.is_stopped || service.is_finished || !service.is_ready || !dependencies_hold(spec, all) {
        return;
    }
    let due = match current {
        Some((_, instance)) => due(spec.definition.restart, instance),
        None if may_create => Some(Uptime::ZERO),
        None => None,
    };
    let trouble = view.actual.troubles.get(&(view.name.clone(), spec.service.clone()));
    let retry = trouble.map_or(Uptime::ZERO, |trouble| trouble.at + backoff(trouble.failures));
    match (due.map(|due| due.max(retry)), current) {
        (Some(due), _) if due > now => plan.wake(due),
        (Some(_), Some((id, _))) => plan.act(Step::Start((*id).clone(), Box::new(spec.clone()))),
        (Some(_), None) => plan.act(Step::Create(Box::new(spec.clone()))),
        (None, _) => {}
    }
}

/// When the process of an existing container shall start again; `None` when it runs or stays ended.
pub(crate) fn due(restart: Restart, instance: &Instance) -> Option<Uptime> {
    let exit = match &instance.task {
        Task::Absent => return Some(Uptime::ZERO),
        Task::Running { .. } => return None,
        Task::Exited(exit) => exit,
    };
    let again = match restart {
        Restart::No => false,
        Restart::Always | Restart::UnlessStopped => true,
        Restart::OnFailure { attempts } => exit.code != 0 && attempts.is_none_or(|most| instance.restarts < most),
    };
    again.then(|| exit.at + backoff(instance.restarts))
}

pub(crate) fn exit(instance: &Instance) -> Option<&Exit> {
    match &instance.task {
        Task::Exited(exit) => Some(exit),
        Task::Absent | Task::Running { .. } => None,
    }
}

/// Whether the end of a process is a success that stays: a one-shot.
fn ends_well(restart: Restart, exit: &Exit) -> bool {
    exit.code == 0 && matches!(restart, Restart::No | Restart::OnFailure { .. })
}

fn dependencies_hold(spec: &InstanceSpec, all: &BTreeMap<Name, ServiceView<'_>>) -> bool {
    spec.definition.depends_on.iter().all(|(name, condition)| {
        let Some(service) = all.get(name) else { return false };
        let task = service.current.map(|(_, instance)| &instance.task);
        match condition {
            // Only an order among those that shall run: who is stopped on purpose holds up nobody.
            Condition::ServiceStarted => {
                service.is_finished || service.is_stopped || task.is_some_and(|task| *task != Task::Absent)
            }
            Condition::ServiceHealthy => {
                service.current.is_some_and(|(_, instance)| instance.task.is_running() && instance.health == Health::Healthy)
            }
            Condition::ServiceCompletedSuccessfully => service.is_finished,
        }
    })
}

/// Why a service that shall run does not start: it needs one that is stopped on purpose.
pub(crate) fn held_up(service: &ServiceView<'_>, all: &BTreeMap<Name, ServiceView<'_>>) -> Option<Fault> {
    let is_running = service.current.is_some_and(|(_, instance)| instance.task.is_running());
    if is_running || service.is_stopped || service.is_finished {
        return None;
    }
    let needed = service.spec.definition.depends_on.iter().filter(|(_, condition)| **condition != Condition::ServiceStarted);
    let (needed, _) = needed.into_iter().find(|(name, _)| all.get(*name).is_some_and(|it| it.is_stopped && !it.is_finished))?;
    Some(Fault::new(&node::SERVICE_HELD_UP).with("service", &service.spec.service).with("needed", needed))
}

impl ServiceView<'_> {
    /// Up: it does what its release promises. `Err` says when that could become true by itself.
    pub fn up(&self, settle: Uptime, now: Uptime) -> Result<(), Option<Uptime>> {
        match self.current {
            _ if self.is_finished => Ok(()),
            Some((_, Instance { task: Task::Running { since, .. }, health, .. })) => match health {
                Health::Healthy => Ok(()),
                Health::Unchecked if now.saturating_sub(*since) >= settle => Ok(()),
                Health::Unchecked => Err(Some(*since + settle)),
                Health::Starting | Health::Unhealthy => Err(None),
            },
            _ => Err(None),
        }
    }
}
