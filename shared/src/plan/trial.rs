//! The trial of a release: it becomes the last good one when all its services are up, and is undone when
//! one of them fails or the deadline passes. Decided on the node alone, so it works offline.

use super::app::{AppView, Chosen};
use super::services::{ServiceView, due, exit, services};
use super::{Note, Plan};
use crate::fault::{Fault, node};
use crate::health::Health;
use crate::state::{Assignment, ImageState, Task, Trial};
use crate::time::Uptime;

/// Restarts in a row that fail a trial: a program that starts and dies three times will do so a fourth time.
const CRASHES: u32 = 3;

/// Adds what is to be remembered about the app's release.
pub(super) fn judge(view: &AppView<'_>, now: Uptime, plan: &mut Plan) {
    let Some(assignment) = view.assignment else { return };
    let trial = view.memory.and_then(|memory| memory.trial.as_ref());
    let on_trial = trial.filter(|trial| trial.release == assignment.release).and_then(|trial| view.known(trial.release));
    if on_trial.is_some_and(|chosen| !view.is_complete(chosen)) && !view.is_held() {
        plan.note(view.name, Note::Rest(assignment.release)); // Its images must come once more, whatever runs meanwhile.
        return;
    }
    let Some(active) = view.active() else { return };
    let proven = view.memory.is_some_and(|memory| memory.good == Some(active.id));
    if let Some(trial) = trial.filter(|_| proven && active.id == assignment.release) {
        // Somebody went back before it had proved itself: it must not come back while a third one arrives.
        plan.note(view.name, Note::Abandon(trial.release));
    }
    let is_away = trial.is_some_and(|trial| trial.release == assignment.release && trial.release != active.id);
    if is_away && !view.is_held() {
        plan.note(view.name, Note::Rest(assignment.release)); // Another one runs until it can start.
        return;
    }
    if active.id != assignment.release {
        if let Some(trial) = trial.filter(|trial| trial.release == active.id) {
            overtaken(view, active, trial, now, plan);
        }
        return;
    }
    if proven {
        return;
    }
    let proving = trial.filter(|trial| trial.release == active.id && trial.revision == assignment.revision);
    if view.is_held() {
        if proving.is_none() && view.runs(active) {
            // It goes on until a third one is complete. Its time begins anew when nothing is held any more.
            plan.note(view.name, Note::Try(active.id, assignment.revision));
        }
        return;
    }
    if is_doubted(view, active) {
        if let Some(trial) = trial {
            plan.note(view.name, Note::Rest(trial.release)); // Its time begins anew when it can start.
        }
        return;
    }
    match proving {
        None => plan.note(view.name, Note::Try(active.id, assignment.revision)),
        Some(trial) => verdict(view, active, assignment, trial.since, now, plan),
    }
}

/// Whether this machine's disk, and not the release, may be why a service is not up.
fn is_doubted(view: &AppView<'_>, active: Chosen<'_>) -> bool {
    let mut services = active.release.manifest.spec.services.keys();
    services.any(|service| view.image(active.release, service) != Some(&ImageState::Ready))
}

/// A release on trial that another one was deployed over. It runs on until that one is complete, which may take days; unless
/// it fails, for then the last good one does better meanwhile.
fn overtaken(view: &AppView<'_>, active: Chosen<'_>, trial: &Trial, now: Uptime, plan: &mut Plan) {
    if view.is_held() || is_doubted(view, active) || !has_way_back(view, active) {
        return;
    }
    let deadline = trial.since + active.release.manifest.spec.update.deadline.duration();
    let services = services(view);
    let is_stuck = services.values().any(|service| is_stuck(view, service));
    if services.values().any(|service| failure(service).is_some()) || (is_stuck && now >= deadline) {
        plan.note(view.name, Note::Abandon(active.id));
    } else if is_stuck {
        plan.wake(deadline);
    }
}

/// Whether a service neither runs nor starts again by itself. It may have been up for long: a pause between two starts is
/// nothing against it.
fn is_stuck(view: &AppView<'_>, service: &ServiceView<'_>) -> bool {
    let task = service.current.map_or(&Task::Absent, |(_, instance)| &instance.task);
    let fails = view.actual.troubles.contains_key(&(view.name.clone(), service.spec.service.clone()));
    !service.is_finished && !task.is_running() && (fails || *task == Task::Absent)
}

/// Whether the last good release is another one, and can run.
fn has_way_back(view: &AppView<'_>, active: Chosen<'_>) -> bool {
    view.good().is_some_and(|good| good.id != active.id && view.is_complete(good))
}

fn verdict(view: &AppView<'_>, active: Chosen<'_>, assignment: &Assignment, since: Uptime, now: Uptime, plan: &mut Plan) {
    let update = &active.release.manifest.spec.update;
    let deadline = since + update.deadline.duration();
    let services = services(view);
    let mut all_up = true;
    for service in services.values() {
        if let Err(later) = service.up(update.settle.duration(), now) {
            all_up = false;
            later.into_iter().for_each(|at| plan.wake(at));
        }
    }
    if all_up {
        plan.note(view.name, Note::Keep(active.id));
        return;
    }
    let late = || Fault::new(&node::TRIAL_DEADLINE).with("seconds", update.deadline.duration().as_secs());
    let failure = services.values().find_map(failure).or_else(|| (now >= deadline).then(late));
    match failure {
        Some(fault) if has_way_back(view, active) => plan.note(view.name, Note::Undo(active.id, assignment.revision, fault)),
        Some(_) => {}
        None => plan.wake(deadline),
    }
}

/// Why a service can no longer come up by itself, if so.
pub(crate) fn failure(service: &ServiceView<'_>) -> Option<Fault> {
    let (_, instance) = service.current?;
    let name = &service.spec.service;
    if instance.task.is_running() && instance.health == Health::Unhealthy {
        return Some(Fault::new(&node::SERVICE_UNHEALTHY).with("service", name));
    }
    let exit = exit(instance)?;
    if service.is_finished {
        return None;
    }
    let stays = due(service.spec.definition.restart, instance).is_none();
    (stays || instance.restarts >= CRASHES).then(|| {
        let text = if exit.oom { &node::SERVICE_OUT_OF_MEMORY } else { &node::SERVICE_EXITS };
        Fault::new(text).with("service", name).with("code", exit.code).with("restarts", instance.restarts)
    })
}
