//! Health checks under way. What a result means is decided by [`shared::health`].

use std::collections::BTreeMap;
use std::sync::Arc;

use shared::health::{Checks, Health};
use shared::manifest::HealthCheck;
use shared::state::InstanceId;
use shared::time::Uptime;
use tokio::task::JoinSet;

use crate::clock::Clock;
use crate::runtime::Runtime;

/// The state of every checked instance. A new start of its process begins anew.
#[derive(Default)]
pub struct Checkups {
    checks: BTreeMap<InstanceId, Checkup>,
    running: JoinSet<Answer>,
}

struct Checkup {
    checks: Checks,
    asking: bool,
}

struct Answer {
    instance: InstanceId,
    started: Uptime,
    check: HealthCheck,
    ok: bool,
    at: Uptime,
}

impl Checkups {
    /// What is known about the process of `instance` that started at `since`.
    pub fn health(&mut self, instance: &InstanceId, since: Uptime) -> Health {
        let entry = self.checks.entry(instance.clone()).or_insert_with(|| Checkup::new(since));
        if entry.checks.started != since {
            *entry = Checkup::new(since);
        }
        entry.checks.health
    }

    /// Asks `instance` if its check is due; otherwise says when it will be.
    pub fn ask<R: Runtime>(
        &mut self,
        runtime: &Arc<R>,
        clock: Clock,
        instance: &InstanceId,
        check: &HealthCheck,
    ) -> Option<Uptime> {
        let entry = self.checks.get_mut(instance).filter(|entry| !entry.asking)?;
        let due = entry.checks.due(check);
        if due > clock.now().uptime {
            return Some(due);
        }
        entry.asking = true;
        let (runtime, instance, check, started) = (runtime.clone(), instance.clone(), check.clone(), entry.checks.started);
        self.running.spawn(async move {
            let answer = runtime.probe(&instance, &check.test, check.timeout.duration()).await;
            if let Err(failure) = &answer {
                tracing::debug!(%instance, %failure, "a health check failed");
            }
            Answer { instance, started, check, ok: answer.is_ok(), at: clock.now().uptime }
        });
        None
    }

    /// Waits for the next answer and takes it in. Loses nothing when dropped.
    pub async fn answered(&mut self) {
        match self.running.join_next().await {
            Some(Ok(answer)) => self.take(&answer),
            Some(Err(error)) => tracing::error!(%error, "a health check ended badly"),
            None => std::future::pending().await,
        }
    }

    /// Forgets instances for which `keep` is false.
    pub fn retain(&mut self, keep: impl Fn(&InstanceId) -> bool) {
        self.checks.retain(|instance, _| keep(instance));
    }

    fn take(&mut self, answer: &Answer) {
        if let Some(entry) = self.checks.get_mut(&answer.instance)
            && entry.checks.started == answer.started
        {
            *entry = Checkup { checks: entry.checks.after(&answer.check, answer.ok, answer.at), asking: false };
        }
    }
}

impl Checkup {
    const fn new(since: Uptime) -> Self {
        Self { checks: Checks::new(since), asking: false }
    }
}
