//! The network of instances: one bridge, addresses and port maps by CNI plugins, names by a hosts file per app.
//!
//! The node owns what the plugins do not: which port of the node leads where (portmap maps one port twice without a
//! word), and what is attached. An [`Attachment`] is written before a plugin runs, so that whatever a killed daemon
//! left can be taken back; all of it lies below `<run>` and is gone after a reboot, as the network is.

mod cni;
mod iptables;
mod netns;
mod ports;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use shared::id::Name;
use shared::manifest::{NetworkMode, Port};
use shared::release::InstanceSpec;
use shared::state::InstanceId;

use super::config::Config;
use super::spec::Netns;
use super::{failed_to, hosts};
use crate::runtime::RuntimeError;

/// First byte of a stored attachment.
const VERSION: u8 = 1;
/// How often a DEL is tried; plugins fail while the kernel still frees what they used.
const DEL_TRIES: u32 = 3;

/// What is attached, and how to attach more.
pub struct Network {
    run: PathBuf,
    cni: cni::Cni,
    table: Mutex<BTreeMap<InstanceId, Attachment>>,
    /// Plugins are not made to run side by side.
    turn: tokio::sync::Mutex<()>,
}

/// The network of one instance.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Attachment {
    app: Name,
    service: Name,
    /// Later ones win where two instances of a service exist.
    order: u64,
    mode: NetworkMode,
    ports: Vec<Port>,
    /// Never used twice: the names of the plugins' firewall chains are made of it.
    cni_id: String,
    /// What the plugins answered; none before they did.
    result: Option<Value>,
}

impl Attachment {
    fn address(&self) -> Option<IpAddr> {
        cni::address(self.result.as_ref()?)
    }
}

impl Network {
    /// Reads what an earlier daemon attached.
    pub fn load(config: &Config) -> Self {
        let network = Self {
            run: config.run.clone(),
            cni: cni::Cni::new(config),
            table: Mutex::new(BTreeMap::new()),
            turn: tokio::sync::Mutex::new(()),
        };
        let stored = std::fs::read_dir(network.records()).into_iter().flatten().flatten();
        let stored = stored.filter_map(|entry| {
            let id = InstanceId::parse(entry.file_name().to_str()?)?;
            let bytes = std::fs::read(entry.path()).ok()?;
            let (version, json) = bytes.split_first()?;
            (*version == VERSION).then(|| serde_json::from_slice(json).ok().map(|attachment| (id, attachment)))?
        });
        network.table().extend(stored);
        network
    }

    /// Reserves the ports of an instance. Refuses when one leads elsewhere or a program of the node listens on it.
    pub fn claim(&self, id: &InstanceId, spec: &InstanceSpec) -> Result<(), RuntimeError> {
        let mut table = self.table();
        if table.contains_key(id) {
            return Ok(());
        }
        let mode = spec.definition.network_mode;
        let ports = if mode == NetworkMode::Bridge { spec.definition.ports.clone() } else { Vec::new() };
        let held = table.values().map(|other| (&other.app, &other.service, other.ports.as_slice()));
        ports::check(&ports, held).map_err(RuntimeError::Refused)?;
        let order = table.values().map(|other| other.order).max().unwrap_or_default() + 1;
        let (app, service) = (spec.app.clone(), spec.service.clone());
        let attachment = Attachment { app, service, order, mode, ports, cni_id: fresh_id(id, order), result: None };
        self.store(id, &attachment)?;
        table.insert(id.clone(), attachment);
        Ok(())
    }

    /// What goes into the instance's specification.
    pub fn netns(&self, id: &InstanceId, mode: NetworkMode) -> Netns {
        match mode {
            NetworkMode::Bridge => Netns::Path(self.netns_path(id).display().to_string()),
            NetworkMode::Host => Netns::Host,
            NetworkMode::None => Netns::Empty,
        }
    }

    /// Makes the network namespace of a claimed instance, if it needs one and it is gone. What the plugins did for the
    /// one that is gone is taken back first.
    pub async fn open(&self, id: &InstanceId) -> Result<(), RuntimeError> {
        let path = self.netns_path(id);
        let Some(mut attachment) = self.get(id).filter(|attachment| attachment.mode == NetworkMode::Bridge) else {
            return Ok(());
        };
        if netns::alive(&path) {
            return Ok(());
        }
        if attachment.result.is_some() {
            let _turn = self.turn.lock().await;
            self.disconnect(&attachment, &path).await?;
            attachment.order = self.next_order();
            attachment.cni_id = fresh_id(id, attachment.order);
            attachment.result = None;
            self.put(id, attachment)?;
        }
        netns::create(path).await.map_err(failed_to("make a network namespace"))
    }

    /// Attaches an open namespace to the bridge, unless it is. Then the app's services know each other's names.
    pub async fn connect(&self, id: &InstanceId) -> Result<(), RuntimeError> {
        let Some(mut attachment) = self.get(id) else { return Ok(()) };
        let app = attachment.app.clone();
        if attachment.mode == NetworkMode::Bridge && attachment.result.is_none() {
            let _turn = self.turn.lock().await;
            let path = self.netns_path(id);
            match self.cni.add(&attachment.cni_id, &path, &attachment.ports).await {
                Ok(result) => attachment.result = Some(result),
                Err(error) => {
                    // Half attached: the next try must find nothing.
                    drop(self.disconnect(&attachment, &path).await);
                    return Err(error.into());
                }
            }
            self.put(id, attachment)?;
        }
        self.write_hosts(&app)
    }

    /// Takes everything back: rules, address, namespace, ports, name. Done before is fine.
    pub async fn detach(&self, id: &InstanceId) -> Result<(), RuntimeError> {
        let path = self.netns_path(id);
        if let Some(attachment) = self.get(id) {
            if attachment.mode == NetworkMode::Bridge {
                let _turn = self.turn.lock().await;
                self.disconnect(&attachment, &path).await?;
            }
            self.forget(id)?;
            self.write_hosts(&attachment.app)?;
        }
        netns::delete(&path).map_err(failed_to("remove a network namespace"))
    }

    /// Where the instance answers the node: its address on the bridge, or the node itself.
    pub fn reach(&self, id: &InstanceId) -> Option<IpAddr> {
        let attachment = self.get(id)?;
        match attachment.mode {
            NetworkMode::Bridge => attachment.address(),
            NetworkMode::Host => Some(Ipv4Addr::LOCALHOST.into()),
            NetworkMode::None => None,
        }
    }

    /// The instance's address on the bridge.
    pub fn address(&self, id: &InstanceId) -> Option<IpAddr> {
        self.get(id)?.address()
    }

    /// The network mode of every instance.
    pub fn modes(&self) -> Vec<(InstanceId, NetworkMode)> {
        self.table().iter().map(|(id, attachment)| (id.clone(), attachment.mode)).collect()
    }

    /// Takes back what belongs to no container of `alive`: attachments, namespaces, masquerade rules.
    pub async fn sweep(&self, alive: &BTreeSet<InstanceId>) {
        let dead: Vec<InstanceId> = self.table().keys().filter(|id| !alive.contains(*id)).cloned().collect();
        for id in &dead {
            if let Err(error) = self.detach(id).await {
                tracing::warn!(instance = %id, %error, "the network of a container that is gone could not be removed");
            }
        }
        for path in netns::all(&self.run.join("netns")) {
            let owner = path.file_name().and_then(|name| InstanceId::parse(name.to_str()?));
            if owner.is_none_or(|id| self.get(&id).is_none()) {
                drop(netns::delete(&path));
            }
        }
        let used: BTreeSet<String> = self.table().values().map(|attachment| attachment.cni_id.clone()).collect();
        let _turn = self.turn.lock().await;
        iptables::sweep(self.cni.network(), &used).await;
    }

    /// DEL until it works. The address and the ports are free only then.
    async fn disconnect(&self, attachment: &Attachment, path: &std::path::Path) -> Result<(), RuntimeError> {
        let Attachment { cni_id, ports, result, .. } = attachment;
        let path = netns::alive(path).then_some(path);
        let mut tries = 0;
        loop {
            tries += 1;
            match self.cni.del(cni_id, path, ports, result.as_ref()).await {
                Ok(()) => return Ok(()),
                Err(error) if tries == DEL_TRIES => return Err(error.into()),
                Err(error) => tracing::debug!(%cni_id, %error, "CNI DEL is tried again"),
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// The newest instance of each service gives the service's address.
    fn write_hosts(&self, app: &Name) -> Result<(), RuntimeError> {
        let table = self.table();
        let mut ours: Vec<&Attachment> = table.values().filter(|attachment| attachment.app == *app).collect();
        if ours.is_empty() {
            hosts::remove(&self.run, app);
            return Ok(());
        }
        ours.sort_by_key(|attachment| attachment.order);
        let gateway = ours.iter().find_map(|attachment| cni::gateway(attachment.result.as_ref()?));
        let node = gateway.unwrap_or(Ipv4Addr::LOCALHOST.into());
        let address = |attachment: &Attachment| match attachment.mode {
            NetworkMode::Bridge => attachment.address(),
            NetworkMode::Host => Some(node),
            NetworkMode::None => None,
        };
        let services = ours.into_iter().filter_map(|a| Some((a.service.clone(), address(a)?))).collect();
        hosts::write(&self.run, app, &services).map_err(failed_to("write the names of an app's services"))
    }

    fn put(&self, id: &InstanceId, attachment: Attachment) -> Result<(), RuntimeError> {
        self.store(id, &attachment)?;
        self.table().insert(id.clone(), attachment);
        Ok(())
    }

    fn store(&self, id: &InstanceId, attachment: &Attachment) -> Result<(), RuntimeError> {
        let write = || -> std::io::Result<()> {
            std::fs::create_dir_all(self.records())?;
            let mut bytes = vec![VERSION];
            serde_json::to_writer(&mut bytes, attachment)?;
            let (new, path) = (self.records().join(format!(".{id}")), self.records().join(id.as_str()));
            std::fs::write(&new, bytes)?;
            std::fs::rename(new, path)
        };
        write().map_err(failed_to("remember a network attachment"))
    }

    fn forget(&self, id: &InstanceId) -> Result<(), RuntimeError> {
        match std::fs::remove_file(self.records().join(id.as_str())) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(failed_to("forget a network attachment")(error));
            }
            _ => {}
        }
        self.table().remove(id);
        Ok(())
    }

    fn get(&self, id: &InstanceId) -> Option<Attachment> {
        self.table().get(id).cloned()
    }

    fn next_order(&self) -> u64 {
        self.table().values().map(|other| other.order).max().unwrap_or_default() + 1
    }

    fn table(&self) -> MutexGuard<'_, BTreeMap<InstanceId, Attachment>> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn records(&self) -> PathBuf {
        self.run.join("network")
    }

    fn netns_path(&self, id: &InstanceId) -> PathBuf {
        self.run.join("netns").join(id.as_str())
    }
}

fn fresh_id(id: &InstanceId, order: u64) -> String {
    format!("{id}-{order}")
}
