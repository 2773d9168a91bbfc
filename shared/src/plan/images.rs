//! Images: what must come, and what nothing needs any more.

use std::collections::{BTreeMap, BTreeSet};

use super::app::{AppView, Chosen};
use super::{Action, Plan, Step};
use crate::id::Digest;
use crate::release::Image;
use crate::state::{Actual, Desired, ImageState};
use crate::time::{Uptime, backoff};

/// Adds the steps that are possible now for images.
pub(super) fn steps(desired: &Desired, actual: &Actual, now: Uptime, plan: &mut Plan) {
    for image in wanted(desired, actual) {
        let state = actual.images.get(&image.id());
        let is_here = state == Some(&ImageState::Fetched) || actual.here.contains(&image.id());
        match state {
            Some(ImageState::Fetching | ImageState::Ready | ImageState::Doubtful | ImageState::Damaged) => {}
            // What is under way is given up by whoever does it, and has all its bytes on disk when it goes on.
            _ if actual.paused.covers(image.id()) && !is_here => {}
            Some(ImageState::Failed(trouble)) if trouble.at + backoff(trouble.failures) > now => {
                plan.wake(trouble.at + backoff(trouble.failures));
            }
            // What is here needs no link, whoever holds that.
            _ if is_here => {
                if !runs_on_damage(actual) {
                    plan.act(Step::Unpack(image.clone()));
                }
            }
            _ => plan.actions.push(Action::Fetch(image.clone())),
        }
    }
    let needed = needed(desired, actual);
    let known = actual.releases.values().flat_map(|release| release.images.values().flatten());
    let known: BTreeMap<Digest, &Image> = known.map(|image| (image.id(), image)).collect();
    for (id, state) in actual.images.iter().filter(|(_, state)| **state != ImageState::Fetching) {
        match (state, known.get(id)) {
            _ if needed.as_ref().is_some_and(|needed| !needed.contains(id)) => plan.act(Step::DropImage(*id)),
            (ImageState::Doubtful, Some(image)) => plan.act(Step::Verify((*image).clone())),
            (ImageState::Damaged, Some(image)) if !runs_on_damage(actual) => plan.act(Step::Unpack((*image).clone())),
            _ => {}
        }
    }
}

/// Whether any process runs on a damaged image. Images share layers: until it is stopped, none of them is touched.
fn runs_on_damage(actual: &Actual) -> bool {
    if !actual.images.values().any(|state| *state == ImageState::Damaged) {
        return false;
    }
    actual.instances.values().filter(|instance| instance.task.is_running()).any(|instance| {
        let Some(release) = actual.releases.get(&instance.release) else { return true }; // Nobody can say.
        let image = release.image(&instance.service, &actual.platform);
        image.is_some_and(|image| actual.images.get(&image.id()) == Some(&ImageState::Damaged))
    })
}

/// Images that are wanted, not on disk yet, and paused by an on-site operator.
pub fn paused(desired: &Desired, actual: &Actual) -> Vec<Digest> {
    let is_on_disk = |image: &Digest| actual.here.contains(image) || actual.images.get(image).is_some_and(ImageState::is_on_disk);
    wanted(desired, actual)
        .into_iter()
        .map(Image::id)
        .filter(|image| actual.paused.covers(*image) && !is_on_disk(image))
        .collect()
}

/// Images of every wanted release, then those of every last good one, because the way back is lost with its images, then of
/// those that only come to disk. Each once.
fn wanted<'a>(desired: &'a Desired, actual: &'a Actual) -> Vec<&'a Image> {
    let views = || desired.apps.keys().map(|name| AppView::new(name, desired, actual));
    let (wanted, good) = (views().filter_map(|view| view.wanted()), views().filter_map(|view| view.good()));
    let next = desired.next.values().filter_map(|id| Some(Chosen { id: *id, release: actual.releases.get(id)? }));
    let mut seen = BTreeSet::new();
    let all = wanted.chain(good).chain(next).flat_map(|chosen| images(chosen, actual));
    all.filter(|image| seen.insert(image.id())).collect()
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
