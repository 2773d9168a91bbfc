//! What to say about each app: the planner's view of it, in words for people.

use std::collections::BTreeMap;

use super::{AppReport, Good, NextReport, Phase, ServiceReport, ServiceState};
use crate::fault::{Fault, budget, node};
use crate::health::Health;
use crate::id::{Digest, Name};
use crate::plan::app::{AppView, Chosen};
use crate::plan::services::{ServiceView, due, exit, held_up, services};
use crate::plan::{self, trial};
use crate::state::{Actual, Desired, ImageState, Instance, Task};
use crate::time::{Now, Uptime};

/// Every app of the node, by name.
pub fn apps(desired: &Desired, actual: &Actual, now: Now) -> Vec<AppReport> {
    plan::apps(desired, actual).into_iter().map(|name| app(&AppView::new(name, desired, actual), now.uptime)).collect()
}

/// Every release that is brought to disk and does not run, by app.
pub fn next(desired: &Desired, actual: &Actual) -> Vec<NextReport> {
    let of = |(app, release): (&Name, &Digest)| {
        let view = AppView::new(app, desired, actual);
        let (phase, fault) = match view.known(*release) {
            None => (Phase::Pending, None),
            Some(chosen) if view.is_complete(chosen) => (Phase::Fetched, None),
            Some(chosen) => arriving(&view, chosen),
        };
        NextReport { app: app.clone(), release: *release, version: version(&view, *release), phase, fault }
    };
    desired.next.iter().map(of).collect()
}

fn app(view: &AppView<'_>, now: Uptime) -> AppReport {
    let active = view.active();
    let services = services(view);
    let shown = active.map(|chosen| chosen.id).or_else(|| view.instances.first().map(|(_, instance)| instance.release));
    let wanted = view.assignment.map(|assignment| assignment.release).or(shown).unwrap_or(Digest::from_bytes([0; 32]));
    let release = shown.unwrap_or(wanted);
    let (phase, fault) = match (view.assignment, view.wanted()) {
        (None, _) => (Phase::Leaving, None),
        (Some(_), None) => (Phase::Pending, None),
        (Some(_), Some(wanted)) if !view.is_complete(wanted) || active.is_some_and(|active| active.id != wanted.id) => {
            arriving(view, wanted)
        }
        (Some(_), Some(_)) => running(view, active, &services, now),
    };
    let services = if services.is_empty() {
        view.instances
            .iter()
            .map(|(id, instance)| describe(Some((id.as_str(), instance)), &instance.service, ServiceState::Stopped))
            .collect()
    } else {
        services
            .iter()
            .map(|(name, service)| describe(service.current.map(|(id, instance)| (id.as_str(), instance)), name, state(service)))
            .collect()
    };
    let good = view.good().map(|good| Good { release: good.id, version: version(view, good.id) });
    AppReport { app: view.name.clone(), release, version: version(view, release), wanted, good, phase, services, fault }
}

fn version(view: &AppView<'_>, release: Digest) -> String {
    view.actual.releases.get(&release).map(|release| release.manifest.metadata.version.clone()).unwrap_or_default()
}

/// The wanted release is not complete on disk.
fn arriving(view: &AppView<'_>, wanted: Chosen<'_>) -> (Phase, Option<Fault>) {
    let platform = &view.actual.platform;
    let mut fetching = false;
    for service in wanted.release.manifest.spec.services.keys() {
        let Some(image) = wanted.release.image(service, platform) else {
            let fault = Fault::new(&node::NO_IMAGE_FOR_PLATFORM).with("service", service).with("platform", platform);
            return (Phase::Pending, Some(fault));
        };
        if view.actual.paused.covers(image.id()) && !view.actual.is_on_disk(image.id()) {
            return (Phase::Pending, Some(Fault::new(&budget::PAUSED)));
        }
        match view.actual.images.get(&image.id()) {
            Some(ImageState::Failed(trouble)) => return (Phase::Pending, Some(trouble.fault.clone())),
            Some(ImageState::Fetching | ImageState::Fetched) => fetching = true,
            Some(ImageState::Ready | ImageState::Doubtful) | None => {}
        }
    }
    (if fetching { Phase::Fetching } else { Phase::Pending }, None)
}

fn running(
    view: &AppView<'_>,
    active: Option<Chosen<'_>>,
    services: &BTreeMap<Name, ServiceView<'_>>,
    now: Uptime,
) -> (Phase, Option<Fault>) {
    let undone = view.memory.and_then(|memory| memory.undone.as_ref()).filter(|_| view.is_undone());
    if let Some(undone) = undone {
        return (Phase::Undone, Some(undone.fault.clone()));
    }
    let Some(active) = active else { return (Phase::Pending, None) };
    if services.values().all(|service| service.is_stopped) {
        return (Phase::Stopped, None);
    }
    // The answer to a start may be lost, and the process runs all the same.
    let runs = |service: &ServiceView<'_>| service.current.is_some_and(|(_, instance)| instance.task.is_running());
    let trouble = |service: &ServiceView<'_>| {
        let trouble = view.actual.troubles.get(&(view.name.clone(), service.spec.service.clone()));
        trouble.filter(|_| !runs(service)).map(|trouble| trouble.fault.clone())
    };
    let fault = services.values().find_map(|service| trial::failure(service).or_else(|| trouble(service)));
    let settle = active.release.manifest.spec.update.settle.duration();
    match fault {
        Some(fault) => (Phase::Failing, Some(fault)),
        None if services.values().filter(|service| !service.is_stopped).all(|service| service.up(settle, now).is_ok()) => {
            (Phase::Running, None)
        }
        None => {
            (Phase::Starting, services.values().find_map(|service| damaged(view, service).or_else(|| held_up(service, services))))
        }
    }
}

/// Why a service does not start: its image is damaged, or could not be mended.
fn damaged(view: &AppView<'_>, service: &ServiceView<'_>) -> Option<Fault> {
    let image = service.spec.image.id();
    view.actual.damaged.contains(&image).then(|| match view.actual.images.get(&image) {
        Some(ImageState::Failed(trouble)) => trouble.fault.clone(),
        _ => Fault::new(&node::IMAGE_DAMAGED).with("image", image.short()),
    })
}

fn state(service: &ServiceView<'_>) -> ServiceState {
    match service.current {
        Some((_, Instance { task: Task::Running { .. }, .. })) => ServiceState::Running,
        _ if service.is_finished => ServiceState::Completed,
        _ if service.is_stopped => ServiceState::Stopped,
        Some((_, instance)) if exit(instance).is_some() => {
            if due(service.spec.definition.restart, instance).is_some() {
                ServiceState::Restarting
            } else {
                ServiceState::Failed
            }
        }
        _ => ServiceState::Waiting,
    }
}

fn describe(instance: Option<(&str, &Instance)>, service: &Name, state: ServiceState) -> ServiceReport {
    let (pid, since) = match instance.map(|(_, instance)| &instance.task) {
        Some(Task::Running { pid, since }) => (*pid, *since),
        Some(Task::Absent | Task::Exited(_)) | None => (0, Uptime::ZERO),
    };
    let end = instance.and_then(|(_, instance)| exit(instance));
    ServiceReport {
        service: service.clone(),
        state: if pid != 0 { ServiceState::Running } else { state },
        health: instance.map_or(Health::Unchecked, |(_, instance)| instance.health),
        restarts: instance.map_or(0, |(_, instance)| instance.restarts),
        instance: instance.map(|(id, _)| id.to_owned()).unwrap_or_default(),
        pid,
        since_ms: u64::try_from(since.as_millis()).unwrap_or(u64::MAX),
        exit: end.map(|exit| exit.code),
        oom: end.is_some_and(|exit| exit.oom),
    }
}
