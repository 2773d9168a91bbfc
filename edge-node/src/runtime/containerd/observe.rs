//! What exists, as containerd says it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};

use containerd_client::services::v1::containers_client::ContainersClient;
use containerd_client::services::v1::version_client::VersionClient;
use containerd_client::services::v1::{Container, ListContainersRequest};
use containerd_client::types::v1::Process;
use shared::id::{Digest, Name};
use shared::state::{Exit, InstanceId, Task};

use super::client::{Client, failed};
use super::container::{APP, HASH, RELEASE, SERVICE};
use super::image::{Unpacked, blocking};
use super::{Containerd, clock, exits, files, task};
use crate::runtime::{Observed, RuntimeError, Seen};

/// The labels of one of our containers.
pub(super) struct Ours {
    pub(super) app: Name,
    pub(super) service: Name,
    pub(super) release: Digest,
    hash: Digest,
}

impl Containerd {
    /// Everything of ours. The first look removes what belongs to no container any more.
    pub(super) async fn look(&self) -> Result<Observed, RuntimeError> {
        if !self.swept.load(Ordering::SeqCst) {
            self.images.remove_orphans().await?; // before anybody counts on them
        }
        let (version, containers, tasks, Unpacked { images, doubtful, damaged, layers }) =
            tokio::try_join!(version(&self.client), containers(&self.client), task::list(&self.client), self.images.unpacked(),)?;
        let mut processes: BTreeMap<String, Process> = tasks.into_iter().map(|task| (task.id.clone(), task)).collect();
        let mut instances = BTreeMap::new();
        for container in containers {
            let Some((id, ours)) = ours(&container) else {
                tracing::warn!(container = container.id, "a container in our namespace is not one of ours; it is left alone");
                continue;
            };
            // containerd leaves a task out of its list when the shim is slow; absent is only what is not there.
            let process = match processes.remove(id.as_str()) {
                Some(process) => Some(process),
                None => task::get(&self.client, id.as_str()).await?,
            };
            let Ours { app, service, release, hash } = ours;
            let (task, address) = (self.task(&id, process), self.network.address(&id));
            instances.insert(id, Seen { app, service, release, hash, task, address });
        }
        self.exits.retain(|id| instances.contains_key(id));
        let alive = instances.keys().cloned().collect();
        self.clear_leftovers(&alive).await;
        let (config, modes) = (self.config.clone(), self.network.modes());
        blocking("bring resolvers up to date", move || files::renew_resolvers(&config, &modes)).await?;
        if !self.swept.swap(true, Ordering::SeqCst) {
            self.sweep(&alive).await;
        }
        Ok(Observed { version, instances, images, doubtful, damaged, layers, root: self.images.root().await })
    }

    fn task(&self, id: &InstanceId, process: Option<Process>) -> Task {
        use containerd_client::types::v1::Status;
        let Some(process) = process else { return Task::Absent };
        match process.status() {
            Status::Created => Task::Absent,
            Status::Stopped => Task::Exited(self.exit(id, &process)),
            Status::Running | Status::Paused | Status::Pausing | Status::Unknown => {
                Task::Running { pid: process.pid, since: clock::started(process.pid).unwrap_or_else(crate::clock::uptime) }
            }
        }
    }

    fn exit(&self, id: &InstanceId, process: &Process) -> Exit {
        let at = process.exited_at.as_ref().map_or(SystemTime::UNIX_EPOCH, |at| {
            let seconds = u64::try_from(at.seconds).unwrap_or_default();
            SystemTime::UNIX_EPOCH + Duration::new(seconds, u32::try_from(at.nanos).unwrap_or_default())
        });
        if exits::counted_oom(&self.cgroup(id)) {
            self.exits.out_of_memory(id.clone());
        }
        Exit { code: process.exit_status, oom: self.exits.was_out_of_memory(id), at: self.exits.ended(id, at) }
    }

    /// Removes networks and files of containers that are gone: a daemon that was killed could not.
    async fn sweep(&self, alive: &BTreeSet<InstanceId>) {
        self.network.sweep(alive).await;
        for id in files::instances(&self.config).into_iter().filter(|id| !alive.contains(id)) {
            if let Err(error) = files::discard(&self.config, &id) {
                tracing::warn!(instance = %id, %error, "files of a container that is gone could not be removed");
            }
        }
    }
}

async fn version(client: &Client) -> Result<String, RuntimeError> {
    let answer = VersionClient::new(client.channel()).version(client.request(())).await;
    Ok(answer.map_err(failed("ask for the version"))?.into_inner().version)
}

pub(super) async fn containers(client: &Client) -> Result<Vec<Container>, RuntimeError> {
    let mut service = ContainersClient::new(client.channel()).max_decoding_message_size(task::LIST_MAX);
    let answer = service.list(client.request(ListContainersRequest::default())).await;
    Ok(answer.map_err(failed("list containers"))?.into_inner().containers)
}

pub(super) fn ours(container: &Container) -> Option<(InstanceId, Ours)> {
    let label = |name: &str| container.labels.get(name);
    let ours = Ours {
        app: label(APP)?.parse().ok()?,
        service: label(SERVICE)?.parse().ok()?,
        release: label(RELEASE)?.parse().ok()?,
        hash: label(HASH)?.parse().ok()?,
    };
    Some((InstanceId::parse(&container.id)?, ours))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_containers_with_all_our_labels_are_ours() {
        let digest = Digest::of(b"x").to_string();
        let all = [(APP, "shop"), (SERVICE, "web"), (RELEASE, &digest), (HASH, &digest)];
        let with = |id: &str, labels: &[(&str, &str)]| Container {
            id: id.into(),
            labels: labels.iter().map(|(label, value)| ((*label).to_owned(), (*value).to_owned())).collect(),
            ..Container::default()
        };
        assert!(ours(&with("shop-web-1", &all)).is_some());
        assert!(ours(&with("../x", &all)).is_none());
        for left_out in 0..all.len() {
            let some: Vec<_> = all.iter().enumerate().filter(|(n, _)| *n != left_out).map(|(_, label)| *label).collect();
            assert!(ours(&with("shop-web-1", &some)).is_none());
        }
        assert!(ours(&with("shop-web-1", &[(APP, "A"), (SERVICE, "web"), (RELEASE, &digest), (HASH, &digest)])).is_none());
    }
}
