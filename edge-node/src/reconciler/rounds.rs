//! One round: take in what ended, observe, plan, start what is possible, say how things are.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use shared::fault::{Fault, Faulty, node};
use shared::health::Health;
use shared::id::{Digest, Name};
use shared::manifest::HealthCheck;
use shared::people::{bytes, percent};
use shared::plan::{Action, Note, Plan, Step, Subject, paused, plan, urgent};
use shared::release::Image;
use shared::report::{self, Phase};
use shared::state::{Actual, ImageState, Instance, InstanceId, Override, Paused, Task, Trouble};
use shared::time::{Now, Uptime, backoff};
use tokio::sync::watch;
use tokio::time::Instant;

use super::arrivals::{Arrivals, Attempt};
use super::health::Checkups;
use super::restarts::Restarts;
use super::work::{Done, Work};
use super::{Parts, RETRY, Status};
use crate::held::{Held, Holding};
use crate::images::ChunkSource;
use crate::images::content::Keep;
use crate::images::fetch::{Fetched, Present};
use crate::reserve;
use crate::runtime::{Observed, Runtime, Seen};

/// What the loop remembers from round to round. Nothing here matters after a restart of the daemon.
pub(super) struct Rounds<R, S> {
    parts: Parts<R, S>,
    status: watch::Sender<Status>,
    work: Work,
    ended: Vec<Done>,
    checkups: Checkups,
    /// Images that were fetched or failed; the rest is observed.
    arrivals: Arrivals,
    /// Images that were damaged when we last looked.
    damaged: BTreeSet<Digest>,
    /// Steps about a service that failed.
    troubles: BTreeMap<(Name, Name), Trouble>,
    /// Other subjects that failed: how often in a row, and not again before.
    pauses: BTreeMap<Subject, (u32, Uptime)>,
    /// Each instance's restarts in a row.
    restarts: BTreeMap<InstanceId, Restarts>,
    /// What ran when we last looked, to see ends.
    tasks: BTreeMap<InstanceId, Task>,
    /// Something ended or changed since the disk was last tidied.
    untidy: bool,
    /// Of what the node held when we last looked.
    version: u64,
}

impl<R: Runtime, S: ChunkSource + 'static> Rounds<R, S> {
    pub fn new(parts: Parts<R, S>, status: watch::Sender<Status>) -> Self {
        Self {
            work: Work::new(parts.transfers.clone()),
            parts,
            status,
            ended: Vec::new(),
            checkups: Checkups::default(),
            arrivals: Arrivals::default(),
            damaged: BTreeSet::new(),
            troubles: BTreeMap::new(),
            pauses: BTreeMap::new(),
            restarts: BTreeMap::new(),
            tasks: BTreeMap::new(),
            untidy: true,
            version: 0,
        }
    }

    /// Waits until an action or a health check ended.
    pub async fn work_ended(&mut self) {
        tokio::select! {
            done = self.work.ended() => self.ended.push(done),
            () = self.checkups.answered() => {}
        }
    }

    /// One round; answers when the next is due although nothing happens.
    pub async fn round(&mut self) -> Uptime {
        let now = self.now();
        for done in std::mem::take(&mut self.ended) {
            self.take(done, now.uptime);
        }
        self.restrain();
        let missing = self.look_at_reserve();
        let again = missing.as_ref().map(|_| now.uptime + reserve::LOOK);
        let wake = match self.parts.runtime.observe().await {
            Ok(observed) => self.proceed(observed, missing, now),
            Err(error) => {
                self.say(|status| {
                    status.runtime.clear();
                    status.faults = missing.into_iter().chain([error.fault()]).collect();
                });
                now.uptime + RETRY
            }
        };
        again.map_or(wake, |at| at.min(wake))
    }

    /// What images may not do, whether the runtime answers or not: the budget in force, and what an operator holds.
    fn restrain(&mut self) {
        let holding = self.parts.held.holding();
        self.parts.ledger.set(holding.desired.budget.as_ref());
        let paused = self.paused(&holding);
        let going = self.work.fetching().into_iter().filter(|image| !paused.covers(*image)).collect();
        self.untidy |= self.work.keep_fetching(&going);
    }

    /// What is missing of the space that is kept for the node's state.
    fn look_at_reserve(&self) -> Option<Fault> {
        let news = self.parts.reserve.look();
        let missing = self.parts.reserve.missing();
        if news.is_some()
            && missing.is_none()
            && let Err(error) = self.parts.held.there_is_room()
        {
            tracing::warn!(%error, "what the disk did not take comes with the next change");
        }
        news.into_iter().for_each(|news| self.record(None, news));
        missing
    }

    fn proceed(&mut self, observed: Observed, missing: Option<Fault>, now: Now) -> Uptime {
        self.untidy |= std::mem::replace(&mut self.version, self.parts.held.version()) != self.version;
        let holding = self.parts.held.holding();
        self.parts.ledger.news().into_iter().for_each(|news| self.record(None, news));
        let version = observed.version.clone();
        let present = Present { layers: observed.layers.clone(), root: observed.root.clone() };
        let actual = self.actual(&holding, observed);
        self.notice_ends(&actual, now);
        let plan = plan(&holding.desired, &actual, now);
        let mut wake = plan.wake_at;
        self.work.set_urgent(urgent(&holding.desired, &actual));
        let mut failed = self.start_all(&plan, &present, now);
        failed |= self.tidy(&plan, &holding, &actual);
        for due in
            [self.check_all(&actual), failed.then(|| now.uptime + RETRY), self.next_pause(now.uptime)].into_iter().flatten()
        {
            wake = Some(wake.map_or(due, |at| at.min(due)));
        }
        self.parts.transfers.pause(paused(&holding.desired, &actual));
        let waits = self.parts.ledger.waits().borrow().clone();
        let transfers = self.parts.transfers.list(Instant::now(), waits.as_ref());
        let apps = report::apps(&holding.desired, &actual, now);
        let next = report::next(&holding.desired, &actual);
        let faults = missing.into_iter().collect();
        self.say(|status| *status = Status { runtime: version, apps, next, transfers, faults });
        wake.unwrap_or(Uptime::MAX)
    }

    /// What is observed, with what the loop remembers.
    fn actual(&mut self, holding: &Holding, observed: Observed) -> Actual {
        self.arrivals.forget_all(&observed.images);
        let mut images = self.arrivals.states();
        images.extend(self.work.fetching().into_iter().map(|image| (image, ImageState::Fetching)));
        images.extend(observed.images.iter().map(|image| (*image, ImageState::Ready)));
        images.extend(observed.doubtful.iter().map(|image| (*image, ImageState::Doubtful)));
        self.notice_damage(&observed.damaged);
        let known = holding.releases.values().flat_map(|release| release.images.values().flatten());
        let missing = known
            .filter(|image| image.platform.runs_on(&self.parts.platform))
            .filter(|image| matches!(images.get(&image.id()), None | Some(ImageState::Failed(_))));
        let here = missing.filter(|image| self.parts.content.has(image)).map(Image::id).collect();
        let mut instances = BTreeMap::new();
        for (id, seen) in observed.instances {
            // Still being made: until then it is the business of the step that makes it.
            if self.work.is_busy(&Subject::Service(seen.app.clone(), seen.service.clone())) {
                continue;
            }
            let instance = self.instance(holding, &id, seen);
            instances.insert(id, instance);
        }
        self.restarts.retain(|id, _| instances.contains_key(id));
        self.checkups.retain(|id| instances.contains_key(id));
        Actual {
            platform: self.parts.platform.clone(),
            releases: holding.releases.clone(),
            images,
            damaged: observed.damaged,
            here,
            instances,
            memory: holding.memory.clone(),
            overrides: holding.overrides.clone(),
            paused: self.paused(holding),
            troubles: self.troubles.clone(),
        }
    }

    /// What an operator holds. What comes from the operator's own hand is not held.
    fn paused(&self, holding: &Holding) -> Paused {
        if self.parts.source.is_at_hand() { Paused::default() } else { holding.paused.clone() }
    }

    fn instance(&mut self, holding: &Holding, id: &InstanceId, seen: Seen) -> Instance {
        let Seen { app, service, release, hash, task, address } = seen;
        let restarts = self.restarts.entry(id.clone()).or_default().seen(&task);
        let mut health = Health::Unchecked;
        if let Task::Running { since, .. } = &task
            && check(holding, release, &service).is_some()
        {
            health = self.checkups.health(id, *since);
        }
        Instance { app, service, release, hash, task, health, restarts, address }
    }

    /// Records images that turned out damaged since the last look.
    fn notice_damage(&mut self, damaged: &BTreeSet<Digest>) {
        for image in damaged.difference(&self.damaged) {
            self.record(None, Fault::new(&node::IMAGE_DAMAGED).with("image", image.short()));
        }
        self.damaged.clone_from(damaged);
    }

    /// Records processes that ended by themselves since the last look.
    fn notice_ends(&mut self, actual: &Actual, now: Now) {
        let tasks = actual.instances.iter().map(|(id, instance)| (id.clone(), instance.task.clone())).collect();
        let before = std::mem::replace(&mut self.tasks, tasks);
        for (id, instance) in &actual.instances {
            let Task::Exited(exit) = &instance.task else { continue };
            let by_us = self.work.is_busy(&Subject::Instance(id.clone()));
            if !by_us && before.get(id).is_some_and(Task::is_running) {
                let text = if exit.oom { &node::EVENT_OUT_OF_MEMORY } else { &node::EVENT_EXIT };
                let event = Fault::new(text).with("service", &instance.service).with("code", exit.code);
                self.parts.journal.record(now.wall, Some(&instance.app), event);
            }
        }
    }

    /// Starts every action whose subject is free. True when something could not be remembered.
    fn start_all(&mut self, plan: &Plan, present: &Present, now: Now) -> bool {
        let mut failed = false;
        for action in &plan.actions {
            let subject = action.subject();
            if self.work.is_busy(&subject) || self.pauses.get(&subject).is_some_and(|(_, until)| *until > now.uptime) {
                continue;
            }
            match action {
                Action::Fetch(image) => {
                    let Parts { source, content, ledger, .. } = &self.parts;
                    let (source, content, ledger) = (source.clone(), content.clone(), ledger.clone());
                    self.work.fetch(subject, source, content, image.clone(), present.clone(), ledger);
                }
                // What is being made needs its image, and is no instance yet.
                Action::Do(Step::DropImage(_)) if self.work.is_creating() => {}
                // Images share layers, and a damaged one is unpacked where it lies: nobody may be about to run on it.
                Action::Do(Step::Unpack(_)) if !self.damaged.is_empty() && self.work.is_at_containers() => {}
                Action::Do(step) => self.work.step(subject, self.parts.runtime.clone(), step.clone()),
                Action::Note(app, note) => failed |= !self.note(app, note, now),
            }
        }
        failed
    }

    fn note(&mut self, app: &Name, note: &Note, now: Now) -> bool {
        if let Err(error) = self.parts.held.note(app, note.clone(), now.uptime) {
            tracing::warn!(%error, %app, "could not be remembered; trying again");
            return false;
        }
        let event = match note {
            Note::Try(release, _) => Fault::new(&node::EVENT_TRY).with("release", release.short()),
            Note::Keep(release) => Fault::new(&node::EVENT_KEEP).with("release", release.short()),
            Note::Rest(release) => Fault::new(&node::EVENT_REST).with("release", release.short()),
            Note::Abandon(release) => Fault::new(&node::EVENT_ABANDON).with("release", release.short()),
            Note::Undo(release, _, fault) => Fault::new(&node::EVENT_UNDO).with("release", release.short()).because(fault),
            Note::Finish(service, _) => Fault::new(&node::EVENT_FINISH).with("service", service),
            Note::Forget => Fault::new(&node::EVENT_GONE),
        };
        self.parts.journal.record(now.wall, Some(app), event);
        true
    }

    /// Gives up fetching what nothing needs any more. When nothing is left to do, forgets releases and bytes that nothing
    /// needs. True when it must be tried again.
    fn tidy(&mut self, plan: &Plan, holding: &Holding, actual: &Actual) -> bool {
        let wanted = plan.actions.iter().filter_map(|action| match action {
            Action::Fetch(image) => Some(image.id()),
            Action::Do(_) | Action::Note(..) => None,
        });
        let needed = needed_images(holding, actual).map(Image::id);
        self.untidy |= self.work.keep_fetching(&wanted.chain(needed).collect());
        if !self.untidy || !plan.actions.is_empty() || !self.work.is_idle() {
            return false;
        }
        let used = actual.instances.values().map(|instance| instance.release).collect();
        let pruned = self.parts.held.prune(&used);
        let swept = self.parts.content.sweep(&self.needed(&self.parts.held.holding(), actual));
        if let Err(error) = &pruned {
            tracing::warn!(%error, "releases that nothing needs stay for now");
        }
        if let Err(error) = &swept {
            tracing::warn!(%error, "bytes that nothing needs stay for now");
        }
        self.untidy = pruned.is_err() || swept.is_err();
        self.untidy
    }

    /// What must stay on disk of the images this node needs, now or when a release is undone: their documents, patches of
    /// layers that are not ready yet, as far as they arrived; and their layers.
    fn needed(&self, holding: &Holding, actual: &Actual) -> Keep {
        let mut keep = Keep::default();
        for image in needed_images(holding, actual).filter(|image| image.platform.runs_on(&self.parts.platform)) {
            keep.layers.extend(image.diff_ids());
            keep.documents.extend([image.manifest.digest, image.config.digest]);
            if actual.images.get(&image.id()) != Some(&ImageState::Ready) {
                keep.awaited.extend(image.diff_ids());
            }
        }
        keep
    }

    /// Asks every running service whose check is due; answers when the next will be.
    fn check_all(&mut self, actual: &Actual) -> Option<Uptime> {
        let mut next = None;
        for (id, instance) in actual.instances.iter().filter(|(_, instance)| instance.task.is_running()) {
            let definition = actual.releases.get(&instance.release).and_then(|r| r.manifest.spec.services.get(&instance.service));
            let Some(check) = definition.and_then(|definition| definition.healthcheck.as_ref()) else { continue };
            let due = self.checkups.ask(&self.parts.runtime, self.parts.clock, id, check);
            next = [next, due].into_iter().flatten().min();
        }
        next
    }

    fn next_pause(&mut self, now: Uptime) -> Option<Uptime> {
        self.pauses.values().map(|(_, until)| *until).filter(|until| *until > now).min()
    }

    /// Takes in how an action ended.
    fn take(&mut self, done: Done, now: Uptime) {
        self.untidy = true;
        match done {
            Done::Step(step, Ok(())) => self.succeeded(&step, now),
            Done::Step(step, Err(error)) => self.failed(&step, error.fault(), now),
            Done::Fetch(image, Ok(fetched)) => self.fetched(image, fetched),
            Done::Fetch(image, Err(fault)) => self.image_failed(image, Attempt::Fetch, fault, now),
            Done::Lost => {}
        }
    }

    fn fetched(&mut self, image: Digest, fetched: Fetched) {
        if !self.arrivals.fetched(image) {
            return;
        }
        let event = Fault::new(&node::EVENT_IMAGE_FETCHED)
            .with("image", image.short())
            .with("sent", bytes(fetched.sent))
            .with("whole", bytes(fetched.whole))
            .with("percent", percent(fetched.sent, fetched.whole));
        self.record(None, event);
    }

    fn succeeded(&mut self, step: &Step, now: Uptime) {
        self.pauses.remove(&Action::Do(step.clone()).subject());
        match step {
            Step::Unpack(image) => {
                self.arrivals.forget(image.id());
                let event = Fault::new(&node::EVENT_IMAGE_READY).with("image", image.id().short());
                self.parts.journal.record(self.now().wall, None, event);
            }
            Step::Verify(_) => {} // What was found is observed.
            Step::DropImage(image) => self.arrivals.forget(*image),
            Step::Create(spec) => drop(self.troubles.remove(&(spec.app.clone(), spec.service.clone()))),
            Step::Start(id, spec) => {
                self.troubles.remove(&(spec.app.clone(), spec.service.clone()));
                let again = matches!(self.tasks.get(id), Some(Task::Exited(_)));
                self.restarts.entry(id.clone()).or_default().started(now, again);
            }
            Step::Stop(_) | Step::Remove(_) => {}
        }
    }

    fn failed(&mut self, step: &Step, fault: Fault, at: Uptime) {
        tracing::warn!(%fault, "a step failed");
        match step {
            Step::Unpack(image) => self.image_failed(image.id(), Attempt::Unpack, fault, at),
            Step::Create(spec) | Step::Start(_, spec) => {
                let key = (spec.app.clone(), spec.service.clone());
                let failures = self.troubles.get(&key).map_or(0, |trouble| trouble.failures);
                if failures == 0 {
                    self.record(Some(&spec.app), fault.clone());
                }
                self.troubles.insert(key, Trouble { failures: failures.saturating_add(1), at, fault });
            }
            Step::Verify(_) | Step::Stop(_) | Step::Remove(_) | Step::DropImage(_) => {
                let (count, until) = self.pauses.entry(Action::Do(step.clone()).subject()).or_default();
                *count = count.saturating_add(1);
                *until = at + backoff(*count);
            }
        }
    }

    fn image_failed(&mut self, image: Digest, what: Attempt, fault: Fault, at: Uptime) {
        if self.arrivals.failed(image, what, fault.clone(), at) {
            self.record(None, fault);
        }
    }

    /// Ends the processes that `over` names; the planner starts them again.
    pub fn restart(&mut self, over: &Override) {
        let running = self.parts.held.holding();
        let reports = self.status.borrow().apps.clone();
        let services = reports.iter().filter(|report| report.app == over.app && running.desired.apps.contains_key(&report.app));
        for service in services.flat_map(|report| &report.services) {
            let named = over.service.as_ref().is_none_or(|name| *name == service.service);
            let Some(id) = InstanceId::parse(&service.instance).filter(|_| named && service.pid != 0) else { continue };
            let subject = Subject::Instance(id.clone());
            if !self.work.is_busy(&subject) {
                self.work.step(subject, self.parts.runtime.clone(), Step::Stop(id));
            }
        }
    }

    /// Forgets that steps about the app failed, and images, so that they are tried again now. What was said about them is
    /// taken back: whoever sees a fault from now on sees a new one.
    pub fn retry(&mut self, app: &Name) {
        self.troubles.retain(|(of, _), _| of != app);
        self.arrivals.retry();
        self.say(|status| {
            for report in status.apps.iter_mut().filter(|report| report.app == *app && report.phase == Phase::Pending) {
                report.fault = None;
            }
        });
    }

    /// Whether the node has the app, and the service if one is named.
    pub fn knows(&self, over: &Override) -> bool {
        let status = self.status.borrow();
        let report = status.apps.iter().find(|report| report.app == over.app);
        report.is_some_and(|report| over.service.as_ref().is_none_or(|name| report.services.iter().any(|s| s.service == *name)))
    }

    /// Whether the image is on its way, or paused.
    pub fn transfers(&self, image: Digest) -> bool {
        self.status.borrow().transfers.iter().any(|transfer| transfer.image == image)
    }

    pub fn now(&self) -> Now {
        self.parts.clock.now()
    }

    pub fn held(&self) -> &Arc<Held> {
        &self.parts.held
    }

    pub fn record(&self, app: Option<&Name>, what: Fault) {
        self.parts.journal.record(self.now().wall, app, what);
    }

    fn say(&self, change: impl FnOnce(&mut Status)) {
        self.status.send_if_modified(|status| {
            let before = status.clone();
            change(status);
            *status != before
        });
    }
}

/// The health check of a service of a release the node holds.
fn check<'a>(holding: &'a Holding, release: Digest, service: &Name) -> Option<&'a HealthCheck> {
    holding.releases.get(&release)?.manifest.spec.services.get(service)?.healthcheck.as_ref()
}

/// Images of releases that may have to run, and of those that containers are of.
fn needed_images<'a>(holding: &'a Holding, actual: &Actual) -> impl Iterator<Item = &'a Image> + use<'a> {
    let mut needed = holding.needed();
    needed.extend(actual.instances.values().map(|instance| instance.release));
    let releases = holding.releases.iter().filter(move |(id, _)| needed.contains(*id));
    releases.flat_map(|(_, release)| release.images.values().flatten())
}
