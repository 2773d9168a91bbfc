//! What must hold at every moment, checked as it happens.
//!
//! - The stamp a node has accepted never goes back, whatever is killed or rebooted.
//! - No process is stopped or replaced that shall run just as it is, and the old release runs until the new one is
//!   complete on disk.
//! - Nothing is started twice, and two containers never stand for one service at once.
//! - No image is dropped that a container, the last good release or the wanted one needs.
//!
//! Everything the daemon does to its runtime passes here ([`super::watched`]). A step is judged against what the node held
//! at any time in the last seconds, because it was decided a moment before it is carried out.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use edge_node::held::Holding;
use edge_node::runtime::{Observed, Seen};
use shared::id::{Digest, Name};
use shared::oci::Platform;
use shared::plan::Step;
use shared::release::Release;
use shared::state::{Override, Stamp};
use tokio::time::Instant;

/// A decision is at most this old when it is carried out.
const FRESH: Duration = Duration::from_secs(5);
/// Violations that are kept: the first ones tell.
const KEPT: usize = 20;

/// The past of a world.
pub struct History {
    platform: Platform,
    past: Mutex<Past>,
}

#[derive(Default)]
struct Past {
    violations: Vec<String>,
    told: VecDeque<String>,
    nodes: BTreeMap<Name, NodePast>,
}

#[derive(Default)]
struct NodePast {
    accepted: Option<Stamp>,
    /// What it held, and until when; the last entry is what it holds.
    holdings: VecDeque<(Instant, Holding)>,
    starts: u64,
}

impl History {
    /// An empty one of nodes of one kind.
    pub fn new(platform: Platform) -> Self {
        Self { platform, past: Mutex::default() }
    }

    /// Something is not as it must be.
    pub fn violated(&self, what: String) {
        let mut past = self.past();
        if past.violations.len() < KEPT {
            past.violations.push(what);
        }
    }

    /// Notes what happened, for whoever reads a failure.
    pub fn tell(&self, what: String) {
        let mut past = self.past();
        past.told.push_back(what);
        if past.told.len() > 400 {
            past.told.pop_front();
        }
    }

    /// What was not as it must be so far.
    pub fn violations(&self) -> Vec<String> {
        self.past().violations.clone()
    }

    /// What happened so far.
    pub fn told(&self) -> Vec<String> {
        self.past().told.iter().cloned().collect()
    }

    /// Process starts on all nodes so far.
    pub fn starts(&self) -> u64 {
        self.past().nodes.values().map(|node| node.starts).sum()
    }

    /// A node holds `holding` now.
    pub fn holds(&self, node: &Name, holding: Holding) {
        let stamp = holding.desired.stamp;
        let mut past = self.past();
        let known = past.nodes.entry(node.clone()).or_default();
        let before = known.accepted.replace(stamp);
        let now = Instant::now();
        if known.holdings.back().is_none_or(|(_, last)| *last != holding) {
            if let Some((until, _)) = known.holdings.back_mut() {
                *until = now;
            }
            known.holdings.push_back((now, holding));
        }
        while known.holdings.len() > 1 && known.holdings.front().is_some_and(|(until, _)| now - *until > FRESH) {
            known.holdings.pop_front();
        }
        drop(past);
        if before.is_some_and(|before| before > stamp) {
            self.violated(format!("{node}: accepted went back from {} to {stamp}", before.unwrap_or_default()));
        }
    }

    /// A node is about to do `step` while its runtime shows `seen`; `arrived` says whether all bytes of an image are there.
    pub fn about_to(&self, node: &Name, step: &Step, seen: &Observed, arrived: impl Fn(&shared::release::Image) -> bool) {
        let mut past = self.past();
        let known = past.nodes.entry(node.clone()).or_default();
        known.starts += u64::from(matches!(step, Step::Create(_) | Step::Start(..)));
        let holdings: Vec<Holding> = known.holdings.iter().map(|(_, holding)| holding.clone()).collect();
        drop(past);
        let wrong = match step {
            Step::Create(spec) => {
                let other = seen.instances.iter().find(|(_, seen)| (&seen.app, &seen.service) == (&spec.app, &spec.service));
                other.map(|(id, _)| format!("makes a second container beside {id}"))
            }
            Step::Start(id, _) => {
                let running = seen.instances.get(id).is_some_and(|seen| seen.task.is_running());
                running.then(|| format!("starts {id}, which runs"))
            }
            Step::Stop(id) => {
                let running = seen.instances.get(id).filter(|seen| seen.task.is_running());
                let excuse = |running: &Seen| holdings.iter().find_map(|holding| self.why_stop(holding, seen, running).err());
                running.and_then(|running| match holdings.iter().any(|holding| self.why_stop(holding, seen, running).is_ok()) {
                    true => None,
                    false => Some(format!("stops {id}: {}", excuse(running).unwrap_or_default())),
                })
            }
            Step::Remove(id) => {
                let running = seen.instances.get(id).is_some_and(|seen| seen.task.is_running());
                running.then(|| format!("removes {id}, which runs"))
            }
            Step::Verify(_) => None,
            Step::Unpack(image) => (!arrived(image)).then(|| format!("unpacks {} without its bytes", image.id().short())),
            Step::DropImage(image) => {
                let needed = holdings.iter().all(|holding| self.needs(holding, seen, *image));
                needed.then(|| format!("drops image {}, which is needed", image.short()))
            }
        };
        if let Some(wrong) = wrong {
            self.violated(format!("{node}: {wrong}"));
        }
    }

    /// Whether there is a reason under `holding` to stop a process; the error says why there is none.
    fn why_stop(&self, holding: &Holding, seen: &Observed, running: &Seen) -> Result<(), String> {
        let Some(assignment) = holding.desired.apps.get(&running.app) else { return Ok(()) };
        let over = |service| holding.overrides.contains(&Override { app: running.app.clone(), service });
        if !assignment.run || over(None) || over(Some(running.service.clone())) {
            return Ok(());
        }
        let image = holding.releases.get(&running.release).and_then(|release| release.image(&running.service, &self.platform));
        if image.is_some_and(|image| seen.damaged.contains(&image.id())) {
            return Ok(());
        }
        let target = target(holding, &running.app).unwrap_or(assignment.release);
        let Some(release) = holding.releases.get(&target) else { return Err("the wanted release is unknown".into()) };
        let spec = release.instance(target, &running.service, &self.platform);
        if spec.is_some_and(|spec| spec.hash == running.hash) {
            return Err("it shall run just as it is".into());
        }
        if self.is_ready(release, seen) || self.goes_back(holding, seen, running) {
            Ok(())
        } else {
            Err("the next release is not complete on disk".into())
        }
    }

    /// Whether a process gives way to the last good release: its own was on trial and failed while the next one arrives.
    fn goes_back(&self, holding: &Holding, seen: &Observed, running: &Seen) -> bool {
        let Some(memory) = holding.memory.get(&running.app) else { return false };
        let is_on_trial = memory.trial.as_ref().is_some_and(|trial| trial.release == running.release);
        let good = memory.good.filter(|good| *good != running.release && !is_on_trial);
        let good = good.and_then(|id| Some((id, holding.releases.get(&id)?)));
        good.is_some_and(|(id, release)| {
            let spec = release.instance(id, &running.service, &self.platform);
            spec.is_none_or(|spec| spec.hash != running.hash) && self.is_ready(release, seen)
        })
    }

    fn is_ready(&self, release: &Release, seen: &Observed) -> bool {
        let images = release.manifest.spec.services.keys().map(|service| release.image(service, &self.platform));
        let is_unpacked =
            |id: Digest| [&seen.images, &seen.doubtful, &seen.damaged].iter().any(|unpacked| unpacked.contains(&id));
        images.into_iter().all(|image| image.is_some_and(|image| is_unpacked(image.id())))
    }

    fn needs(&self, holding: &Holding, seen: &Observed, image: Digest) -> bool {
        let of = |id: &Digest| {
            let release = holding.releases.get(id);
            release.is_some_and(|release| release.images.values().flatten().any(|of| of.id() == image))
        };
        let wanted = holding.desired.apps.iter().any(|(app, assignment)| {
            of(&assignment.release) || holding.memory.get(app).and_then(|memory| memory.good.as_ref()).is_some_and(of)
        });
        wanted
            || seen.instances.values().any(|seen| {
                let release = holding.releases.get(&seen.release);
                release.and_then(|release| release.image(&seen.service, &self.platform)).is_some_and(|of| of.id() == image)
            })
    }

    fn past(&self) -> MutexGuard<'_, Past> {
        self.past.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The release of `app` that shall run once it is complete: the assigned one, or the last good one after an undo.
pub fn target(holding: &Holding, app: &Name) -> Option<Digest> {
    let assignment = holding.desired.apps.get(app)?;
    let memory = holding.memory.get(app);
    let undone = memory.and_then(|memory| memory.undone.as_ref());
    let is_undone = undone.is_some_and(|undone| (undone.release, undone.revision) == (assignment.release, assignment.revision));
    let good = memory.and_then(|memory| memory.good);
    Some(good.filter(|_| is_undone).unwrap_or(assignment.release))
}
