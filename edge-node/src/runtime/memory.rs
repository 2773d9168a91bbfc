//! Containers in memory: the runtime of the simulation and of `--runtime memory`.
//!
//! It keeps every promise of the port (a container survives the daemon, a reboot ends its process and leaves images in
//! doubt, an image must be ready before it starts) and runs nothing. What a service's process does is read from its environment:
//!
//! | variable | meaning |
//! |---|---|
//! | `SIM_EXIT` | the process ends with this code |
//! | `SIM_AFTER` | so many seconds after its start; default 0 |
//! | `SIM_HEALTH` | `never`: its health check always fails |

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use shared::id::Digest;
use shared::manifest::Probe;
use shared::oci::chain_ids;
use shared::plan::Step;
use shared::release::InstanceSpec;
use shared::state::{Exit, InstanceId, Task};
use shared::time::Uptime;
use tokio::sync::Notify;

use super::{Observed, ProbeFailure, Runtime, RuntimeError, Seen, Usage, Written};
use crate::clock::Clock;

/// Each step takes so long.
const STEP: Duration = Duration::from_millis(50);

/// The containers of one machine. Cheap to clone; outlives the daemon that uses it.
#[derive(Clone)]
pub struct Memory {
    machine: Arc<Mutex<Machine>>,
    changed: Arc<Notify>,
    clock: Clock,
}

#[derive(Default)]
struct Machine {
    containers: BTreeMap<InstanceId, Container>,
    images: BTreeMap<Digest, Unpacked>,
    layers: BTreeSet<Digest>,
    made: u64,
    starts: u64,
    damaged_starts: u64,
    down: bool,
}

/// An unpacked image.
struct Unpacked {
    layers: Vec<Digest>,
    /// Its files are what was unpacked.
    whole: bool,
    known: Known,
}

/// What the node knows of it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Known {
    Ready,
    Doubtful,
    Damaged,
}

struct Container {
    spec: InstanceSpec,
    task: Task,
    sick: bool,
}

impl Memory {
    /// An empty machine.
    pub fn new(clock: Clock) -> Self {
        Self { machine: Arc::default(), changed: Arc::default(), clock }
    }

    /// The same machine after a power cut: containers and images are there, processes are not. `clock` starts anew. What lies
    /// on its disk is damaged when `spoils` says so of an image.
    pub fn reboot(&self, clock: Clock, mut spoils: impl FnMut() -> bool) -> Self {
        let mut machine = self.lock();
        for container in machine.containers.values_mut() {
            container.task = Task::Absent;
        }
        for image in machine.images.values_mut() {
            image.known = Known::Doubtful;
            image.whole &= !spoils();
        }
        drop(machine);
        Self { machine: self.machine.clone(), changed: Arc::default(), clock }
    }

    /// The runtime stops answering, or answers again. Containers run on.
    pub fn set_down(&self, down: bool) {
        self.lock().down = down;
        self.changed.notify_one();
    }

    /// Ends the process of the nth running container, as a crash would.
    pub fn crash(&self, nth: usize, code: u32) {
        let at = self.clock.now().uptime;
        if let Some(container) = self.lock().containers.values_mut().filter(|c| c.task.is_running()).nth(nth) {
            container.task = Task::Exited(Exit { code, oom: false, at });
        }
        self.changed.notify_one();
    }

    /// Processes that were started from a damaged image so far: there must be none.
    pub fn damaged_starts(&self) -> u64 {
        self.lock().damaged_starts
    }

    /// Process starts so far: whoever compares two moments knows whether anything was restarted.
    pub fn starts(&self) -> u64 {
        self.lock().starts
    }

    fn lock(&self) -> MutexGuard<'_, Machine> {
        self.machine.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The machine after the time that a step takes.
    async fn later(&self) -> Result<MutexGuard<'_, Machine>, RuntimeError> {
        tokio::time::sleep(STEP).await;
        let machine = self.lock();
        if machine.down { Err(RuntimeError::Unreachable("switched off".into())) } else { Ok(machine) }
    }

    /// First the container, then its process: in between others look, and a daemon may be killed.
    async fn create(&self, spec: &InstanceSpec) -> Result<(), RuntimeError> {
        let failed = |cause: &str| Err(RuntimeError::Failed { doing: "creating a container", cause: cause.into() });
        let id = {
            let mut machine = self.later().await?;
            if machine.images.get(&spec.image.id()).is_none_or(|image| image.known != Known::Ready) {
                return failed("its image is not there");
            }
            machine.made += 1;
            let id = InstanceId::new(&spec.app, &spec.service, machine.made);
            let sick = spec.definition.environment.get("SIM_HEALTH").is_some_and(|health| health == "never");
            machine.containers.insert(id.clone(), Container { spec: spec.clone(), task: Task::Absent, sick });
            id
        };
        self.changed.notify_one();
        let mut machine = self.later().await?;
        if machine.containers.get(&id).is_none_or(|container| container.task != Task::Absent) {
            return failed("another step took it");
        }
        self.begin(&mut machine, &id);
        Ok(())
    }

    fn begin(&self, machine: &mut Machine, id: &InstanceId) {
        let since = self.clock.now().uptime;
        machine.starts += 1;
        let pid = u32::try_from(machine.starts).unwrap_or(u32::MAX);
        let Some(container) = machine.containers.get_mut(id) else { return };
        let whole = machine.images.get(&container.spec.image.id()).is_some_and(|image| image.whole);
        machine.damaged_starts += u64::from(!whole);
        container.task = Task::Running { pid, since };
        let (Some(code), after) = (number(&container.spec, "SIM_EXIT"), number(&container.spec, "SIM_AFTER").unwrap_or(0)) else {
            return;
        };
        let (this, id, at) = (self.clone(), id.clone(), since + Duration::from_secs(u64::from(after)));
        tokio::spawn(async move {
            tokio::time::sleep_until(this.clock.instant(at)).await;
            this.end(&id, pid, code, at);
        });
    }

    fn end(&self, id: &InstanceId, pid: u32, code: u32, at: Uptime) {
        if let Some(container) = self.lock().containers.get_mut(id)
            && matches!(container.task, Task::Running { pid: now, .. } if now == pid)
        {
            container.task = Task::Exited(Exit { code, oom: false, at });
        }
        self.changed.notify_one();
    }
}

fn number(spec: &InstanceSpec, variable: &str) -> Option<u32> {
    spec.definition.environment.get(variable)?.parse().ok()
}

impl Runtime for Memory {
    async fn observe(&self) -> Result<Observed, RuntimeError> {
        let machine = self.lock();
        if machine.down {
            return Err(RuntimeError::Unreachable("switched off".into()));
        }
        let images = |known| machine.images.iter().filter(move |(_, image)| image.known == known);
        let ids = |known| images(known).map(|(id, _)| *id).collect();
        let damaged: BTreeSet<Digest> = images(Known::Damaged).flat_map(|(_, image)| image.layers.iter().copied()).collect();
        let seen = |container: &Container| Seen {
            app: container.spec.app.clone(),
            service: container.spec.service.clone(),
            release: container.spec.release,
            hash: container.spec.hash,
            task: container.task.clone(),
            address: None,
        };
        Ok(Observed {
            version: "memory".into(),
            instances: machine.containers.iter().map(|(id, container)| (id.clone(), seen(container))).collect(),
            images: ids(Known::Ready),
            doubtful: ids(Known::Doubtful),
            damaged: ids(Known::Damaged),
            layers: machine.layers.difference(&damaged).copied().collect(),
            root: None,
        })
    }

    async fn apply(&self, step: &Step) -> Result<(), RuntimeError> {
        if let Step::Create(spec) = step {
            return self.create(spec).await;
        }
        let mut machine = self.later().await?;
        match step {
            Step::Create(_) => {} // Above: it takes two moments.
            Step::Unpack(image) => {
                let layers = chain_ids(&image.diff_ids());
                machine.layers.extend(&layers);
                machine.images.insert(image.id(), Unpacked { layers, whole: true, known: Known::Ready });
            }
            Step::Verify(image) => {
                if let Some(image) = machine.images.get_mut(&image.id()) {
                    image.known = if image.whole { Known::Ready } else { Known::Damaged };
                }
            }
            Step::DropImage(id) => _ = machine.images.remove(id),
            Step::Start(id, _) => self.begin(&mut machine, id),
            Step::Stop(id) => {
                if let Some(container) = machine.containers.get_mut(id) {
                    container.task = Task::Absent;
                }
            }
            Step::Remove(id) => _ = machine.containers.remove(id),
        }
        Ok(())
    }

    async fn probe(&self, instance: &InstanceId, _probe: &Probe, _limit: Duration) -> Result<(), ProbeFailure> {
        match self.lock().containers.get(instance) {
            Some(container) if container.task.is_running() && !container.sick => Ok(()),
            Some(_) => Err(ProbeFailure("sick".into())),
            None => Err(ProbeFailure("gone".into())),
        }
    }

    /// What is in memory takes nothing of the disk.
    async fn usage(&self) -> Result<Usage, RuntimeError> {
        let machine = self.lock();
        if machine.down {
            return Err(RuntimeError::Unreachable("switched off".into()));
        }
        let written = |Container { spec, .. }: &Container| Written {
            app: spec.app.clone(),
            service: spec.service.clone(),
            release: spec.release,
            bytes: 0,
        };
        Ok(Usage {
            images: machine.images.keys().copied().collect(),
            layers: machine.layers.iter().map(|layer| (*layer, 0)).collect(),
            instances: machine.containers.iter().map(|(id, container)| (id.clone(), written(container))).collect(),
            ..Usage::default()
        })
    }

    async fn changed(&self) {
        self.changed.notified().await;
    }
}
