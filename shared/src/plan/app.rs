//! One app as the planner sees it: which release is wanted, and which one shall run now.

use crate::id::{Digest, Name};
use crate::release::Release;
use crate::state::{Actual, Assignment, Desired, ImageState, Instance, InstanceId, Memory, Override};

/// Everything about one app.
pub(crate) struct AppView<'a> {
    pub name: &'a Name,
    pub actual: &'a Actual,
    /// What the hub wants; `None` when the app is leaving.
    pub assignment: Option<&'a Assignment>,
    pub memory: Option<&'a Memory>,
    pub instances: Vec<(&'a InstanceId, &'a Instance)>,
}

/// A release the node has.
#[derive(Clone, Copy)]
pub(crate) struct Chosen<'a> {
    pub id: Digest,
    pub release: &'a Release,
}

impl<'a> AppView<'a> {
    pub fn new(name: &'a Name, desired: &'a Desired, actual: &'a Actual) -> Self {
        let instances = actual.instances.iter().filter(|(_, instance)| instance.app == *name).collect();
        Self { name, actual, assignment: desired.apps.get(name), memory: actual.memory.get(name), instances }
    }

    /// The release that shall run once it is on disk: the assigned one, or the last good one after an undo.
    pub fn wanted(&self) -> Option<Chosen<'a>> {
        let assignment = self.assignment?;
        if self.is_undone() {
            return self.good();
        }
        self.known(assignment.release)
    }

    /// The release that shall run now: the wanted one if it is complete on disk, else the one before it. A doubt about an
    /// image is no reason to go back, and none to go forth: what runs instead goes on until the wanted one can start.
    pub fn active(&self) -> Option<Chosen<'a>> {
        self.assignment?;
        let wanted = self.wanted();
        let trial = self.memory.and_then(|memory| memory.trial.as_ref()).and_then(|trial| self.known(trial.release));
        let others = || [trial, self.good()].into_iter().flatten();
        match wanted.filter(|wanted| self.is_complete(*wanted)) {
            Some(wanted) if self.can_start(wanted) => Some(wanted),
            Some(wanted) => others().find(|other| self.runs_instead(*other, wanted)).or(Some(wanted)),
            // When nothing can take over, the rest of an app goes on whose image is mended in vain.
            None => others().find(|other| self.is_complete(*other)).or(wanted.filter(|wanted| self.is_mended(*wanted))),
        }
    }

    /// Whether containers of `other` are here that are none of `wanted`, and all of it may go on.
    fn runs_instead(&self, other: Chosen<'_>, wanted: Chosen<'_>) -> bool {
        let is_of = |chosen: Chosen<'_>, instance: &Instance| {
            let spec = chosen.release.instance(chosen.id, &instance.service, &self.actual.platform);
            spec.is_some_and(|spec| spec.hash == instance.hash)
        };
        self.all_images(other, |id| self.actual.stands(id))
            && self.instances.iter().any(|(_, instance)| is_of(other, instance) && !is_of(wanted, instance))
    }

    /// Whether a process of `chosen` runs.
    pub fn runs(&self, Chosen { id, release }: Chosen<'_>) -> bool {
        let hash = |service| release.instance(id, service, &self.actual.platform).map(|spec| spec.hash);
        let mut running = self.instances.iter().filter(|(_, instance)| instance.task.is_running());
        running.any(|(_, instance)| hash(&instance.service).is_some_and(|hash| hash == instance.hash))
    }

    /// The last good release, if the node still has it.
    pub fn good(&self) -> Option<Chosen<'a>> {
        self.known(self.memory?.good?)
    }

    /// Whether the assigned release failed its trial under the assigned revision and there is one to go back to.
    pub fn is_undone(&self) -> bool {
        let (Some(assignment), Some(undone)) = (self.assignment, self.memory.and_then(|memory| memory.undone.as_ref())) else {
            return false;
        };
        undone.release == assignment.release && undone.revision == assignment.revision && self.good().is_some()
    }

    /// Whether every image of the release for this machine is unpacked. One that is damaged counts while it is mended from
    /// this disk, and no longer when it must come once more: that may take days.
    pub fn is_complete(&self, chosen: Chosen<'_>) -> bool {
        self.all_images(chosen, |id| self.actual.is_unpacked(id))
    }

    /// As [`Self::is_complete`], however often mending failed.
    fn is_mended(&self, chosen: Chosen<'_>) -> bool {
        self.all_images(chosen, |id| self.actual.is_unpacked(id) || self.actual.is_mended_here(id))
    }

    /// Whether all of the release can start.
    fn can_start(&self, chosen: Chosen<'_>) -> bool {
        self.all_images(chosen, |id| self.actual.images.get(&id) == Some(&ImageState::Ready))
    }

    fn all_images(&self, Chosen { release, .. }: Chosen<'_>, holds: impl Fn(Digest) -> bool) -> bool {
        let image = |service| release.image(service, &self.actual.platform);
        release.manifest.spec.services.keys().all(|service| image(service).is_some_and(|it| holds(it.id())))
    }

    /// How far the image of a service is; `None` when nothing of it is there.
    pub fn image(&self, release: &Release, service: &Name) -> Option<&'a ImageState> {
        self.actual.images.get(&release.image(service, &self.actual.platform)?.id())
    }

    /// Whether hub or operator want the service stopped.
    pub fn is_stopped(&self, service: &Name) -> bool {
        let by = |service| self.actual.overrides.contains(&Override { app: self.name.clone(), service });
        self.assignment.is_some_and(|assignment| !assignment.run) || by(None) || by(Some(service.clone()))
    }

    /// Whether hub or operator want any part of the app stopped: then nothing can be said about its release.
    pub fn is_held(&self) -> bool {
        self.assignment.is_some_and(|assignment| !assignment.run)
            || self.actual.overrides.iter().any(|over| over.app == *self.name)
    }

    pub fn known(&self, id: Digest) -> Option<Chosen<'a>> {
        self.actual.releases.get(&id).map(|release| Chosen { id, release })
    }
}
