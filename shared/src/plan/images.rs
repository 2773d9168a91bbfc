//! Images: what must come, and what nothing needs any more.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::app::{AppView, Chosen};
use super::{Action, Plan, Step};
use crate::id::Digest;
use crate::release::Image;
use crate::state::{Actual, Desired, ImageState, MENDS, Trouble};
use crate::time::{Uptime, backoff};

/// Between two attempts to unpack an image, or to mend it, when [`MENDS`] failed.
const VAIN: Duration = Duration::from_secs(600);

/// Adds the steps that are possible now for images.
pub(super) fn steps(desired: &Desired, actual: &Actual, now: Uptime, plan: &mut Plan) {
    let wanted = wanted(desired, actual);
    for image in &wanted {
        // What is under way is given up by whoever does it, and has all its bytes on disk when it goes on.
        bring(image, actual, !actual.paused.covers(image.id()), now, plan);
    }
    let wanted: BTreeSet<Digest> = wanted.into_iter().map(Image::id).collect();
    let needed = needed(desired, actual);
    let known = actual.releases.values().flat_map(|release| release.images.values().flatten());
    let known: BTreeMap<Digest, &Image> = known.map(|image| (image.id(), image)).collect();
    let all: BTreeSet<Digest> = actual.images.keys().chain(&actual.damaged).copied().collect();
    for id in all {
        match (actual.images.get(&id), known.get(&id)) {
            (Some(ImageState::Fetching), _) => {}
            _ if needed.as_ref().is_some_and(|needed| !needed.contains(&id)) => plan.act(Step::DropImage(id)),
            (Some(ImageState::Doubtful), Some(image)) => plan.act(Step::Verify((*image).clone())),
            // It runs until something else is there: it is mended, and not brought once more.
            (_, Some(image)) if actual.damaged.contains(&id) && !wanted.contains(&id) => bring(image, actual, false, now, plan),
            _ => {}
        }
    }
}

/// Adds what is possible now for an image that is not ready. It is fetched if it `may`.
fn bring(image: &Image, actual: &Actual, may: bool, now: Uptime, plan: &mut Plan) {
    let id = image.id();
    let state = actual.images.get(&id);
    // Whether all is here that a damaged image is mended from, the first try shows.
    let untried = state.is_none() && actual.damaged.contains(&id);
    let is_here = untried || state == Some(&ImageState::Fetched) || actual.here.contains(&id);
    match state {
        Some(ImageState::Fetching | ImageState::Ready | ImageState::Doubtful) => {}
        _ if !is_here && !may => {}
        Some(ImageState::Failed(trouble)) if trouble.at + pause(id, trouble, actual) > now => {
            plan.wake(trouble.at + pause(id, trouble, actual));
        }
        _ if !is_here => plan.actions.push(Action::Fetch(image.clone())),
        // What is here needs no link, whoever holds that. Images share layers: while a process runs on a damaged one, none
        // of them is touched.
        _ if actual.instances.values().any(|instance| actual.may_run_on_damage(instance)) => {}
        _ => plan.act(Step::Unpack(image.clone())),
    }
}

/// How long nothing is tried after a failure. Unpacking in vain writes whole layers again and again: more seldom.
fn pause(image: Digest, trouble: &Trouble, actual: &Actual) -> Duration {
    let is_vain = trouble.failures >= MENDS && actual.here.contains(&image);
    if is_vain { VAIN } else { backoff(trouble.failures) }
}

/// Images that are wanted, not on disk yet, and paused by an on-site operator.
pub fn paused(desired: &Desired, actual: &Actual) -> Vec<Digest> {
    let is_held = |image: &Digest| actual.paused.covers(*image) && !actual.is_on_disk(*image);
    wanted(desired, actual).into_iter().map(Image::id).filter(is_held).collect()
}

/// Images that apps wait for. What only comes to disk lets them pass, also when it is under way.
pub fn urgent(desired: &Desired, actual: &Actual) -> BTreeSet<Digest> {
    of_apps(desired, actual).flat_map(|chosen| images(chosen, actual)).map(Image::id).collect()
}

/// Images of [`of_apps`], then of releases that only come to disk. Each once.
fn wanted<'a>(desired: &'a Desired, actual: &'a Actual) -> Vec<&'a Image> {
    let next = desired.next.values().filter_map(|id| Some(Chosen { id: *id, release: actual.releases.get(id)? }));
    let mut seen = BTreeSet::new();
    let all = of_apps(desired, actual).chain(next).flat_map(|chosen| images(chosen, actual));
    all.filter(|image| seen.insert(image.id())).collect()
}

/// Every wanted release, then every last good one, because the way back is lost with its images.
fn of_apps<'a>(desired: &'a Desired, actual: &'a Actual) -> impl Iterator<Item = Chosen<'a>> {
    let views = || desired.apps.keys().map(|name| AppView::new(name, desired, actual));
    views().filter_map(|view| view.wanted()).chain(views().filter_map(|view| view.good()))
}

fn images<'a>(chosen: Chosen<'a>, actual: &'a Actual) -> impl Iterator<Item = &'a Image> {
    let services = chosen.release.manifest.spec.services.keys();
    services.filter_map(move |service| chosen.release.image(service, &actual.platform))
}

/// Ids of the images that must stay: of wanted, next, active, tried and last good releases, and of every container.
/// `None` when a container's release is unknown: then nobody can say what it needs.
fn needed(desired: &Desired, actual: &Actual) -> Option<BTreeSet<Digest>> {
    let mut needed = BTreeSet::new();
    for (name, assignment) in &desired.apps {
        let memory = actual.memory.get(name);
        let trial = memory.and_then(|memory| memory.trial.as_ref()).map(|trial| trial.release);
        let releases = [Some(assignment.release), memory.and_then(|memory| memory.good), trial];
        let known = releases.into_iter().flatten().filter_map(|id| Some(Chosen { id, release: actual.releases.get(&id)? }));
        needed.extend(known.flat_map(|chosen| images(chosen, actual)).map(Image::id));
    }
    let next = desired.next.values().filter_map(|id| Some(Chosen { id: *id, release: actual.releases.get(id)? }));
    needed.extend(next.flat_map(|chosen| images(chosen, actual)).map(Image::id));
    for instance in actual.instances.values() {
        let release = actual.releases.get(&instance.release)?;
        needed.extend(release.image(&instance.service, &actual.platform).map(Image::id));
    }
    Some(needed)
}
