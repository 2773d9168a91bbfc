//! The floor: a client that makes the calls a container needs, and nothing else.

use std::path::Path;

use containerd_client::services::v1;
use containerd_client::services::v1::containers_client::ContainersClient;
use containerd_client::services::v1::snapshots::snapshots_client::SnapshotsClient;
use containerd_client::services::v1::snapshots::{MountsRequest, PrepareSnapshotRequest};
use containerd_client::services::v1::tasks_client::TasksClient;
use containerd_client::types::Mount;
use serde_json::{Value, json};
use tonic::transport::Channel;
use tonic::{Request, Status};

use crate::demo::Failure;

/// It makes containers like one that is there, without its bind mounts.
pub(super) struct Bare {
    channel: Channel,
    namespace: String,
    container: v1::Container,
    /// The chain id of the image's highest layer.
    top: String,
}

impl Bare {
    /// Like the container `id` of `namespace`, whose files begin with the snapshot `top`.
    pub(super) async fn like(socket: &Path, namespace: &str, id: &str, top: String) -> Result<Self, Failure> {
        let channel = connect(socket).await?;
        let mut bare = Self { channel, namespace: namespace.into(), container: v1::Container::default(), top };
        let get = bare.request(v1::GetContainerRequest { id: id.into() })?;
        let found = ContainersClient::new(bare.channel.clone()).get(get).await.map_err(said)?;
        bare.container = found.into_inner().container.ok_or("no container")?;
        Ok(bare)
    }

    /// Connects again after containerd was restarted.
    pub(super) async fn reconnect(&mut self, socket: &Path) -> Result<(), Failure> {
        self.channel = connect(socket).await?;
        Ok(())
    }

    fn request<T>(&self, message: T) -> Result<Request<T>, Failure> {
        let mut request = Request::new(message);
        let namespace = self.namespace.parse().map_err(|_| format!("{} is no namespace", self.namespace))?;
        request.metadata_mut().insert("containerd-namespace", namespace);
        Ok(request)
    }

    /// Prepare, Create, and what [`run`](Self::run) does.
    pub(super) async fn create_and_run(&self, id: &str) -> Result<(), Failure> {
        let mounts = self.create(id).await?;
        self.run(id, mounts).await
    }

    /// A container and its files; nothing runs.
    pub(super) async fn create(&self, id: &str) -> Result<Vec<Mount>, Failure> {
        let mut container = self.container.clone();
        let any = container.spec.as_mut().ok_or("no spec")?;
        any.value = bare_spec(&any.value, &format!("/{}/{id}", self.namespace))?;
        (container.id, container.snapshot_key) = (id.into(), id.into());
        let (snapshotter, parent) = (container.snapshotter.clone(), self.top.clone());
        let prepare = PrepareSnapshotRequest { snapshotter, key: id.into(), parent, ..Default::default() };
        let rootfs = SnapshotsClient::new(self.channel.clone()).prepare(self.request(prepare)?).await.map_err(said)?;
        let create = v1::CreateContainerRequest { container: Some(container) };
        ContainersClient::new(self.channel.clone()).create(self.request(create)?).await.map_err(said)?;
        Ok(rootfs.into_inner().mounts)
    }

    /// Starts a container that is there, as after a reboot.
    pub(super) async fn start(&self, id: &str) -> Result<(), Failure> {
        let mounts = MountsRequest { snapshotter: self.container.snapshotter.clone(), key: id.into() };
        let rootfs = SnapshotsClient::new(self.channel.clone()).mounts(self.request(mounts)?).await.map_err(said)?;
        self.run(id, rootfs.into_inner().mounts).await
    }

    /// Task and Start.
    async fn run(&self, id: &str, rootfs: Vec<Mount>) -> Result<(), Failure> {
        let mut tasks = TasksClient::new(self.channel.clone());
        let create = v1::CreateTaskRequest { container_id: id.into(), rootfs, ..Default::default() };
        tasks.create(self.request(create)?).await.map_err(said)?;
        let start = v1::StartRequest { container_id: id.into(), exec_id: String::new() };
        tasks.start(self.request(start)?).await.map_err(said).map(drop)
    }
}

async fn connect(socket: &Path) -> Result<Channel, Failure> {
    containerd_client::connect(socket).await.map_err(|error| error.to_string())
}

/// The spec with its own cgroup, and without files that belong to another container.
fn bare_spec(spec: &[u8], cgroup: &str) -> Result<Vec<u8>, Failure> {
    let mut spec: Value = serde_json::from_slice(spec).map_err(|error| error.to_string())?;
    *spec.pointer_mut("/linux/cgroupsPath").ok_or("no cgroup")? = json!(cgroup);
    let mounts = spec.pointer_mut("/mounts").and_then(Value::as_array_mut).ok_or("no mounts")?;
    mounts.retain(|mount| mount.get("type").is_none_or(|kind| kind != "bind"));
    Ok(spec.to_string().into_bytes())
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn said(status: Status) -> Failure {
    status.to_string()
}
