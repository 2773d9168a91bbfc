//! Actions under way: at most one per subject, a bounded number at once.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::sync::Arc;

use shared::fault::{Fault, Faulty};
use shared::id::Digest;
use shared::plan::{Step, Subject};
use shared::release::Image;
use tokio::sync::Semaphore;
use tokio::task::{AbortHandle, JoinSet};

use super::turns::Turns;
use crate::budget::Ledger;
use crate::images::ChunkSource;
use crate::images::content::Content;
use crate::images::fetch::{Fetched, Present, fetch};
use crate::images::transfers::Transfers;
use crate::runtime::{Runtime, RuntimeError};

/// Starts and removals at once: a start is mostly waiting for runc, and a node has few cores. A stop needs no permit: it
/// waits for its service, and nobody else shall wait for that.
const STEPS: usize = 4;
/// Images unpacked at once: the disk is the bottleneck.
const UNPACKS: usize = 1;

/// How an action ended.
#[derive(Debug)]
pub enum Done {
    /// A step of the runtime.
    Step(Step, Result<(), RuntimeError>),
    /// A fetch.
    Fetch(Digest, Result<Fetched, Fault>),
    /// It panicked: a bug. Its subject is free again, and the planner will ask for it again.
    Lost,
}

/// The actions under way.
pub struct Work {
    running: JoinSet<(Subject, Done)>,
    subjects: BTreeMap<Subject, AbortHandle>,
    steps: Arc<Semaphore>,
    unpacks: Arc<Semaphore>,
    turns: Turns,
    transfers: Transfers,
}

impl Work {
    /// Nothing is under way; images on their way will be seen in `transfers`.
    pub fn new(transfers: Transfers) -> Self {
        Self {
            running: JoinSet::new(),
            subjects: BTreeMap::new(),
            steps: Arc::new(Semaphore::new(STEPS)),
            unpacks: Arc::new(Semaphore::new(UNPACKS)),
            turns: Turns::default(),
            transfers,
        }
    }

    /// Whether an action about `subject` is under way.
    pub fn is_busy(&self, subject: &Subject) -> bool {
        self.subjects.contains_key(subject)
    }

    /// Whether a container is being made.
    pub fn is_creating(&self) -> bool {
        self.subjects.keys().any(|subject| matches!(subject, Subject::Service(..)))
    }

    /// Whether anything is done with any container.
    pub fn is_at_containers(&self) -> bool {
        self.subjects.keys().any(|subject| matches!(subject, Subject::Service(..) | Subject::Instance(_)))
    }

    /// Whether nothing is under way.
    pub fn is_idle(&self) -> bool {
        self.subjects.is_empty()
    }

    /// Images that are being fetched.
    pub fn fetching(&self) -> Vec<Digest> {
        self.transfers.images()
    }

    /// Starts a step of the runtime.
    pub fn step<R: Runtime>(&mut self, subject: Subject, runtime: Arc<R>, step: Step) {
        let limit = match step {
            Step::Stop(_) => None,
            Step::Unpack(_) | Step::Verify(_) => Some(self.unpacks.clone()),
            Step::Create(_) | Step::Start(..) | Step::Remove(_) | Step::DropImage(_) => Some(self.steps.clone()),
        };
        self.spawn(subject, async move {
            let _permit = match limit {
                Some(limit) => limit.acquire_owned().await.ok(),
                None => None,
            };
            let done = runtime.apply(&step).await;
            Done::Step(step, done)
        });
    }

    /// Starts to fetch an image, as soon as it is its turn.
    pub fn fetch<S: ChunkSource + 'static>(
        &mut self,
        subject: Subject,
        source: Arc<S>,
        content: Content,
        image: Image,
        present: Present,
        ledger: Arc<Ledger>,
    ) {
        let tell = self.transfers.begin(image.id());
        let turns = self.turns.clone();
        self.spawn(subject, async move {
            let attempt = || fetch(&*source, &content, &image, &present, &ledger, &tell);
            let done = turns.take(image.id(), &tell, attempt).await;
            Done::Fetch(image.id(), done.map_err(|error| error.fault()))
        });
    }

    /// What apps wait for comes before other images.
    pub fn set_urgent(&self, urgent: BTreeSet<Digest>) {
        self.turns.set_urgent(urgent);
    }

    /// Gives up fetching images that are no longer in `wanted`; whether there were any. What arrived stays on disk until it
    /// is swept.
    pub fn keep_fetching(&mut self, wanted: &BTreeSet<Digest>) -> bool {
        let unwanted: Vec<Digest> = self.fetching().into_iter().filter(|image| !wanted.contains(image)).collect();
        for image in &unwanted {
            self.transfers.end(*image);
            if let Some(task) = self.subjects.remove(&Subject::Image(*image)) {
                task.abort();
            }
        }
        !unwanted.is_empty()
    }

    /// The next action that ended; waits for ever when none is under way. Loses nothing when dropped.
    pub async fn ended(&mut self) -> Done {
        loop {
            match self.running.join_next_with_id().await {
                // Given up when it had just ended: another one may have its subject by now.
                Some(Ok((id, (subject, _)))) if self.subjects.get(&subject).is_none_or(|task| task.id() != id) => {}
                Some(Ok((_, (subject, done)))) => {
                    self.subjects.remove(&subject);
                    if let Done::Fetch(image, _) = &done {
                        self.transfers.end(*image);
                    }
                    return done;
                }
                Some(Err(error)) if error.is_cancelled() => {}
                Some(Err(error)) => {
                    tracing::error!(%error, "an action ended badly");
                    self.subjects.retain(|_, task| !task.is_finished());
                    let lost = |image: &Digest| !self.subjects.contains_key(&Subject::Image(*image));
                    self.fetching().into_iter().filter(lost).for_each(|image| self.transfers.end(image));
                    return Done::Lost;
                }
                None => std::future::pending().await,
            }
        }
    }

    fn spawn(&mut self, subject: Subject, action: impl Future<Output = Done> + Send + 'static) {
        let about = subject.clone();
        let task = self.running.spawn(async move { (about, action.await) });
        self.subjects.insert(subject, task);
    }
}
