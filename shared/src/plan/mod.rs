//! The planner: from desired and actual state to the steps that are possible now.
//!
//! [`plan`] is a pure function. The reconciler carries out what it returns, observes again and asks again
//! until the plan is empty; whatever happened in between (a crash, a reboot, a second release) is just
//! another actual state. What holds for every plan:
//!
//! - the same input gives the same plan, and carrying plans out leads to an empty one;
//! - an instance whose hash is wanted and whose process runs is never touched;
//! - the old release runs until every image of the new one is ready on disk; one on trial that fails meanwhile gives way to the
//!   last good one;
//! - a release that fails its trial is undone once, remembered, and not tried again under the same revision;
//! - a node that knows no desired state touches nothing;
//! - no image is dropped that a running instance, the last good release, the wanted one or the next one needs;
//! - nothing is started from an image that is in doubt or damaged, what runs on a damaged one is stopped, and that is mended
//!   as often as it takes, whatever failed before.
//!
//! ```text
//! app ──► which release now? (app)  ──► its services (services) ──► Create, Start, Stop, Remove
//!     └─► did it prove itself? (trial) ──► Try, Keep, Undo
//! all apps ──► images (images) ──► Fetch, Unpack, Verify, DropImage
//! ```

pub(crate) mod app;
mod images;
pub(crate) mod services;
pub(crate) mod trial;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use crate::fault::Fault;
use crate::id::{Digest, Name};
use crate::release::{Image, InstanceSpec};
use crate::state::{Actual, Desired, InstanceId, Stamp};
use crate::time::{Now, Uptime};

use app::AppView;
pub use images::{paused, urgent};

/// What [`plan`] answers: the steps possible now, and when to look again although nothing happened.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Plan {
    /// Steps about different [subjects](Action::subject), which may run side by side.
    pub actions: Vec<Action>,
    /// When a timer changes the answer.
    pub wake_at: Option<Uptime>,
}

/// One action of the node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Bring all bytes of an image to disk.
    Fetch(Image),
    /// Have the runtime do something.
    Do(Step),
    /// Remember something about an app.
    Note(Name, Note),
}

/// One step of the runtime.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Unpack, verify and sync an image whose bytes are on disk; what is damaged of it is unpacked again.
    Unpack(Image),
    /// Find out whether an unpacked image is as it was unpacked.
    Verify(Image),
    /// Make the container of a service and start its process.
    Create(Box<InstanceSpec>),
    /// Start the process of an existing container again; its network is made anew if it is gone.
    Start(InstanceId, Box<InstanceSpec>),
    /// End the process: signal, grace period, kill. Afterwards the instance has no task.
    Stop(InstanceId),
    /// Remove a container that has no running process, with its snapshot and network.
    Remove(InstanceId),
    /// Remove an image that nothing needs.
    DropImage(Digest),
}

/// Something to remember about an app.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Note {
    /// The release is proving itself under this revision from now on.
    Try(Digest, u64),
    /// The release proved itself.
    Keep(Digest),
    /// The release cannot start for a reason that lies with this machine: it proves itself later, from the beginning.
    Rest(Digest),
    /// The release is no longer wanted, although its trial is not over.
    Abandon(Digest),
    /// The release did not; the last good one comes back.
    Undo(Digest, u64, Fault),
    /// A one-shot service ended well.
    Finish(Name, Digest),
    /// Nothing is left of the app.
    Forget,
}

/// The steps possible now.
pub fn plan(desired: &Desired, actual: &Actual, now: Now) -> Plan {
    let mut plan = Plan::default();
    if desired.stamp == Stamp::default() {
        return plan; // Nothing was ever accepted here, or it was lost: whatever runs goes on.
    }
    for name in apps(desired, actual) {
        let view = AppView::new(name, desired, actual);
        trial::judge(&view, now.uptime, &mut plan);
        services::steps(&view, now.uptime, &mut plan);
    }
    images::steps(desired, actual, now.uptime, &mut plan);
    plan
}

/// Every app that is wanted, runs, or is remembered.
pub(crate) fn apps<'a>(desired: &'a Desired, actual: &'a Actual) -> BTreeSet<&'a Name> {
    let running = actual.instances.values().map(|instance| &instance.app);
    desired.apps.keys().chain(running).chain(actual.memory.keys()).collect()
}

impl Plan {
    pub(crate) fn act(&mut self, step: Step) {
        self.actions.push(Action::Do(step));
    }

    pub(crate) fn note(&mut self, app: &Name, note: Note) {
        self.actions.push(Action::Note(app.clone(), note));
    }

    /// Look again at `at` or earlier.
    pub(crate) fn wake(&mut self, at: Uptime) {
        self.wake_at = Some(self.wake_at.map_or(at, |earlier| earlier.min(at)));
    }
}

/// What an action is about. While one is under way, no other with the same subject may begin.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    /// An image.
    Image(Digest),
    /// A service of an app that has no container yet.
    Service(Name, Name),
    /// A container.
    Instance(InstanceId),
    /// What is remembered about an app.
    Memory(Name),
}

impl Action {
    /// What the action is about.
    pub fn subject(&self) -> Subject {
        match self {
            Self::Fetch(image) | Self::Do(Step::Unpack(image) | Step::Verify(image)) => Subject::Image(image.id()),
            Self::Do(Step::DropImage(image)) => Subject::Image(*image),
            Self::Do(Step::Create(spec)) => Subject::Service(spec.app.clone(), spec.service.clone()),
            Self::Do(Step::Start(id, _) | Step::Stop(id) | Step::Remove(id)) => Subject::Instance(id.clone()),
            Self::Note(app, _) => Subject::Memory(app.clone()),
        }
    }
}
