//! An instance from nothing to a running process, again after its process or the machine ended, and back to nothing.

use std::collections::BTreeSet;
use std::sync::PoisonError;
use std::time::Duration;

use containerd_client::services::v1::container::Runtime;
use containerd_client::services::v1::containers_client::ContainersClient;
use containerd_client::services::v1::{
    Container, CreateContainerRequest, DeleteContainerRequest, GetContainerRequest, UpdateContainerRequest,
};
use containerd_client::types::Mount;
use prost_types::{Any, FieldMask};
use shared::oci::{DOCUMENT_MAX, ImageConfig, chain_ids};
use shared::release::{Image, InstanceSpec};
use shared::state::InstanceId;

use super::client::{Client, failed, missing};
use super::image::blocking;
use super::lease::Lease;
use super::snapshot::{Snapshots, restore};
use super::spec::{Ground, Lent, Rules};
use super::{Containerd, content, failed_to, files, grants, log, rootfs, spec, task};
use crate::runtime::RuntimeError;

const RUNTIME: &str = "io.containerd.runc.v2";
const SPEC_TYPE: &str = "types.containerd.io/opencontainers/runtime-spec/1/Spec";
/// Our labels. Labels of image and manifest are never copied: containerd would obey some of them (CVE-2026-53488).
pub const APP: &str = "causeway/app";
pub const SERVICE: &str = "causeway/service";
pub const RELEASE: &str = "causeway/release";
pub const HASH: &str = "causeway/hash";
/// Milliseconds from the stop signal to SIGKILL.
const GRACE: &str = "causeway/grace";
/// Number of the stop signal.
const SIGNAL: &str = "causeway/signal";
const LOOK_UP: &str = "look up the user in the image";
const MAKE_FILES: &str = "make the files of an instance";

/// What an instance needs before its process can be made.
struct Parts {
    image: ImageConfig,
    lent: Vec<Lent>,
}

impl Containerd {
    /// Makes a new instance and starts it; after an error nothing of it is left.
    pub(super) async fn create(&self, spec: &InstanceSpec) -> Result<(), RuntimeError> {
        let unique = getrandom::u64().map_err(failed_to("choose the name of an instance"))?;
        let id = InstanceId::new(&spec.app, &spec.service, unique);
        let made = self.make(&id, spec).await;
        if made.is_err() {
            self.unmake(&id).await;
        }
        made
    }

    /// Starts an instance whose process ended or is lost. A running one is left alone.
    pub(super) async fn start(&self, id: &InstanceId, spec: &InstanceSpec) -> Result<(), RuntimeError> {
        match task::get(&self.client, id.as_str()).await? {
            Some(process) if task::is_running(&process) => return Ok(()),
            Some(_) => task::delete(&self.client, id).await?,
            None => {}
        }
        self.exits.forget(id);
        self.network.claim(id, spec)?;
        let (snapshots, key) = (self.snapshots(), id.to_string());
        let (container, mounts, parts) = tokio::join!(container(&self.client, id), snapshots.mounts(&key), self.gather(id, spec));
        let (container, mounts, parts) = (container?, mounts?, parts?);
        restore(&mounts).map_err(failed_to("make a container's directories again"))?;
        let renew = async {
            let made = self.describe(id, spec, parts, &mounts).await?;
            if made.spec != container.spec || made.labels != container.labels {
                update(&self.client, made).await?;
            }
            self.create_task(id, spec, mounts).await
        };
        let (connected, created) = tokio::join!(self.network.connect(id), renew);
        let started = match connected.and(created) {
            Ok(()) => task::start(&self.client, id).await,
            Err(error) => Err(error),
        };
        if started.is_err() {
            drop(task::delete(&self.client, id).await);
        }
        started
    }

    /// Ends the process, then frees address and ports; [`start`](Self::start) makes them anew.
    pub(super) async fn stop(&self, id: &InstanceId) -> Result<(), RuntimeError> {
        let Some(container) = find(&self.client, id).await? else { return Ok(()) };
        let number = |label: &str| container.labels.get(label).and_then(|text| text.parse::<u64>().ok());
        let grace = Duration::from_millis(number(GRACE).unwrap_or(10_000));
        let signal = number(SIGNAL).and_then(|signal| u32::try_from(signal).ok()).unwrap_or(15);
        task::stop(&self.client, id, signal, grace).await?;
        task::delete(&self.client, id).await?;
        self.exits.forget(id);
        self.network.detach(id).await
    }

    /// Removes an instance without a running process. The container goes after the network, so that what could not be
    /// taken back stays visible, and before the snapshot, which is garbage without it.
    pub(super) async fn remove(&self, id: &InstanceId) -> Result<(), RuntimeError> {
        task::delete(&self.client, id).await?;
        self.network.detach(id).await?;
        let request = DeleteContainerRequest { id: id.to_string() };
        match ContainersClient::new(self.client.channel()).delete(self.client.request(request)).await {
            Err(status) if !missing(&status) => return Err(failed("delete a container")(status)),
            _ => {}
        }
        self.snapshots().remove(id.as_str()).await?;
        self.exits.forget(id);
        self.discard(id).await
    }

    /// Everything from the ports to the running process.
    async fn make(&self, id: &InstanceId, spec: &InstanceSpec) -> Result<(), RuntimeError> {
        self.network.claim(id, spec)?;
        let taken = Lease::take(&self.client, format!("make-{id}"), crate::clock::wall());
        let (lease, parts) = tokio::join!(taken, self.gather(id, spec));
        let lease = lease?;
        let result = match parts {
            Ok(parts) => {
                let (connected, assembled) = tokio::join!(self.network.connect(id), self.assemble(id, spec, parts, lease));
                connected.and(assembled)
            }
            Err(error) => {
                self.release(lease).await;
                Err(error)
            }
        };
        result?;
        task::start(&self.client, id).await
    }

    /// Snapshot, container object and task, held by a lease until the container object names the snapshot: a fresh one
    /// is garbage to containerd.
    async fn assemble(&self, id: &InstanceId, spec: &InstanceSpec, parts: Parts, lease: Lease) -> Result<(), RuntimeError> {
        match self.register(id, spec, parts, lease.client()).await {
            Ok(mounts) => {
                let ((), created) = tokio::join!(self.release(lease), self.create_task(id, spec, mounts));
                created
            }
            Err(error) => {
                self.release(lease).await;
                Err(error)
            }
        }
    }

    /// A writable snapshot on top of the image's layers, named like the instance, and the container object.
    async fn register(
        &self,
        id: &InstanceId,
        spec: &InstanceSpec,
        parts: Parts,
        leased: &Client,
    ) -> Result<Vec<Mount>, RuntimeError> {
        let top = chain_ids(&spec.image.diff_ids()).last().map(ToString::to_string).unwrap_or_default();
        let mounts = Snapshots::new(leased, &self.config.snapshotter).prepare(id.as_str(), &top).await?;
        let container = Some(self.describe(id, spec, parts, &mounts).await?);
        let request = leased.request(CreateContainerRequest { container });
        ContainersClient::new(leased.channel()).create(request).await.map_err(failed("create a container"))?;
        Ok(mounts)
    }

    /// A lease that could not be released expires.
    async fn release(&self, lease: Lease) {
        if let Err(error) = lease.release(&self.client).await {
            tracing::debug!(%error, "a lease stays until it expires");
        }
    }

    pub(super) fn snapshots(&self) -> Snapshots<'_> {
        Snapshots::new(&self.client, &self.config.snapshotter)
    }

    /// Takes back a half-made instance; what cannot be taken back now is tried again at the next look.
    async fn unmake(&self, id: &InstanceId) {
        // The process may just have been started when the answer was lost.
        drop(task::stop(&self.client, id, 9, Duration::ZERO).await);
        if let Err(error) = self.remove(id).await {
            tracing::warn!(instance = %id, %error, "a half-made instance could not be removed yet");
            self.leftovers.lock().unwrap_or_else(PoisonError::into_inner).insert(id.clone());
        }
    }

    /// Takes back what [`unmake`](Self::unmake) could not; `alive` are those that have a container.
    pub(super) async fn clear_leftovers(&self, alive: &BTreeSet<InstanceId>) {
        let leftovers = std::mem::take(&mut *self.leftovers.lock().unwrap_or_else(PoisonError::into_inner));
        for id in leftovers.difference(alive) {
            self.unmake(id).await;
        }
    }

    /// What can be had at the same time: the image's config, the node's files, the network namespace.
    async fn gather(&self, id: &InstanceId, spec: &InstanceSpec) -> Result<Parts, RuntimeError> {
        let (config, owned, at) = (self.config.clone(), spec.clone(), id.clone());
        let lend = blocking(MAKE_FILES, move || files::lend(&config, &at, &owned));
        let image = image_config(&self.client, &spec.image);
        let (lent, image, opened) = tokio::join!(lend, image, self.network.open(id));
        let lent = lent??;
        opened?;
        Ok(Parts { image: image?, lent })
    }

    /// The container object.
    async fn describe(
        &self,
        id: &InstanceId,
        spec: &InstanceSpec,
        parts: Parts,
        mounts: &[Mount],
    ) -> Result<Container, RuntimeError> {
        let Parts { image, lent } = parts;
        let signal = spec::stop_signal(&spec.definition, &image).map_err(RuntimeError::Refused)?;
        let ground = self.ground(id, spec, &image, lent, mounts).await?;
        let config = &self.config;
        let rules = Rules { capabilities: &config.capabilities, memory: config.memory, pids: config.pids };
        let oci = spec::build(spec, &image, &ground, &rules).map_err(RuntimeError::Refused)?;
        let grace = spec.definition.stop_grace_period.duration().as_millis();
        let labels = [
            (APP, spec.app.to_string()),
            (SERVICE, spec.service.to_string()),
            (RELEASE, spec.release.to_string()),
            (HASH, spec.hash.to_string()),
            (GRACE, grace.to_string()),
            (SIGNAL, signal.to_string()),
        ];
        Ok(Container {
            id: id.to_string(),
            image: spec.image.id().to_string(),
            labels: labels.into_iter().map(|(label, value)| (label.to_owned(), value)).collect(),
            runtime: Some(Runtime { name: RUNTIME.into(), options: None }),
            spec: Some(Any { type_url: SPEC_TYPE.into(), value: oci.to_string().into_bytes() }),
            snapshotter: config.snapshotter.clone(),
            snapshot_key: id.to_string(),
            ..Container::default()
        })
    }

    /// Looks up the user in the image, then makes what belongs to the user.
    async fn ground(
        &self,
        id: &InstanceId,
        spec: &InstanceSpec,
        image: &ImageConfig,
        mut lent: Vec<Lent>,
        mounts: &[Mount],
    ) -> Result<Ground, RuntimeError> {
        grants::network(&spec.service, spec.definition.network_mode, &self.config).map_err(RuntimeError::Refused)?;
        let (config, owned, mounts) = (self.config.clone(), spec.clone(), mounts.to_vec());
        let (name, at) = (spec::user(&spec.definition, image).to_owned(), files::scratch(&config, id));
        let look = move || -> Result<_, RuntimeError> {
            let devices = owned.definition.devices.iter().map(|device| grants::device(device, &config.devices));
            let devices = devices.collect::<Result<Vec<_>, _>>().map_err(RuntimeError::Refused)?;
            let user = rootfs::resolve_user(&mounts, &at, &name).map_err(failed_to(LOOK_UP))?;
            let user = user.map_err(|error| RuntimeError::Refused(shared::fault::Faulty::fault(&error)))?;
            let volumes = files::volumes(&config, &owned, &user)?;
            Ok((devices, user, volumes))
        };
        let (devices, user, volumes) = blocking(LOOK_UP, look).await??;
        lent.extend(volumes);
        let network = self.network.netns(id, spec.definition.network_mode);
        Ok(Ground { user, lent, devices, network, host: self.host, cgroup: self.cgroup(id) })
    }

    async fn create_task(&self, id: &InstanceId, spec: &InstanceSpec, mounts: Vec<Mount>) -> Result<(), RuntimeError> {
        let dir = files::log_dir(&self.config, &spec.app, &spec.service).map_err(failed_to("make a directory for logs"))?;
        let log = log::sink::uri(&self.config.log_sink, &dir, self.config.log_bytes);
        task::create(&self.client, id, mounts, &log).await
    }

    async fn discard(&self, id: &InstanceId) -> Result<(), RuntimeError> {
        let (config, id) = (self.config.clone(), id.clone());
        blocking(MAKE_FILES, move || files::discard(&config, &id)).await?
    }

    /// The cgroup of an instance; runc's cgroup names are global, as is its state.
    pub(super) fn cgroup(&self, id: &InstanceId) -> String {
        format!("/{}/{id}", self.config.namespace)
    }
}

/// The image's defaults, by the digest that was signed.
async fn image_config(client: &Client, image: &Image) -> Result<ImageConfig, RuntimeError> {
    const DOING: &str = "read the image's config";
    let bytes = content::read(client, image.config.digest, DOCUMENT_MAX).await?;
    let bytes = bytes.ok_or_else(|| failed_to(DOING)(format!("{} is not there", image.config.digest)))?;
    serde_json::from_slice(&bytes).map_err(failed_to(DOING))
}

async fn container(client: &Client, id: &InstanceId) -> Result<Container, RuntimeError> {
    let gone = || RuntimeError::Failed { doing: "find a container", cause: format!("{id} is not there") };
    find(client, id).await?.ok_or_else(gone)
}

/// The container object of an instance.
pub async fn find(client: &Client, id: &InstanceId) -> Result<Option<Container>, RuntimeError> {
    let request = GetContainerRequest { id: id.to_string() };
    match ContainersClient::new(client.channel()).get(client.request(request)).await {
        Ok(answer) => Ok(answer.into_inner().container),
        Err(status) if missing(&status) => Ok(None),
        Err(status) => Err(failed("find a container")(status)),
    }
}

async fn update(client: &Client, container: Container) -> Result<(), RuntimeError> {
    let update_mask = Some(FieldMask { paths: vec!["spec".into(), "labels".into()] });
    let request = UpdateContainerRequest { container: Some(container), update_mask };
    let answer = ContainersClient::new(client.channel()).update(client.request(request)).await;
    answer.map(drop).map_err(failed("update a container"))
}
