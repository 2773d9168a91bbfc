//! One container definition and its parts, in Compose's names.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{ByteSize, HealthCheck, Period, Restart, schema, units};
use crate::id::Name;

/// One container definition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(transform = schema::service_synonyms)]
pub struct Service {
    /// Reference as written; the release pins it to digests.
    pub image: String,
    /// Replaces the image's `Cmd`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "schema::Words")]
    pub command: Option<Vec<String>>,
    /// Replaces the image's `Entrypoint`, and drops its `Cmd`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "schema::Words")]
    pub entrypoint: Option<Vec<String>>,
    /// Added to the image's environment.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(with = "schema::Environment")]
    pub environment: BTreeMap<String, String>,
    /// Ports of the node that lead to this service.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(with = "schema::Ports")]
    pub ports: Vec<Port>,
    /// Volumes, binds and tmpfs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(with = "schema::Mounts")]
    pub volumes: Vec<Mount>,
    /// Devices of the node, as explicit grants.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(with = "schema::Devices")]
    pub devices: Vec<Device>,
    /// How the node finds out whether the service works.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "schema::Healthcheck")]
    pub healthcheck: Option<HealthCheck>,
    /// What must hold in other services before this one starts.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(with = "schema::DependsOn")]
    pub depends_on: BTreeMap<Name, Condition>,
    /// What happens when the process ends by itself.
    #[serde(default, skip_serializing_if = "Restart::is_default")]
    #[schemars(with = "schema::RestartForm")]
    pub restart: Restart,
    /// From SIGTERM to SIGKILL; default 10 s.
    #[serde(default = "default_grace", skip_serializing_if = "is_default_grace")]
    #[schemars(with = "schema::PeriodForm")]
    pub stop_grace_period: Period,
    /// Signal that asks the process to end, for example `SIGINT`; default the image's, else SIGTERM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "schema::TextOrNumber")]
    pub stop_signal: Option<String>,
    /// Limits; the node sets its own defaults where none is given.
    #[serde(default, skip_serializing_if = "Deploy::is_default")]
    pub deploy: Deploy,
    /// Capabilities beyond the safe default set, without `CAP_`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cap_add: Vec<String>,
    /// Capabilities removed from the default set; `ALL` removes all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cap_drop: Vec<String>,
    /// Root file system read-only.
    #[serde(default, skip_serializing_if = "is_false")]
    pub read_only: bool,
    /// `user`, `uid`, `user:group` or `uid:gid`; names are looked up in the image's own passwd and group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "schema::TextOrNumber")]
    pub user: Option<String>,
    /// Working directory inside the container.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub working_dir: Option<String>,
    /// The app's bridge (default), the node's own network, or none.
    #[serde(default, skip_serializing_if = "NetworkMode::is_default")]
    pub network_mode: NetworkMode,
    /// For people and reports; never handed to containerd.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(with = "schema::Labels")]
    pub labels: BTreeMap<String, String>,
    /// Configs of the app seen as files.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(with = "schema::Grants")]
    pub configs: Vec<FileGrant>,
    /// Secrets of the app seen as files.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(with = "schema::Grants")]
    pub secrets: Vec<FileGrant>,
}

pub(super) fn default_grace() -> Period {
    Period::seconds(10)
}

fn is_default_grace(period: &Period) -> bool {
    *period == default_grace()
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's skip_serializing_if takes a reference")]
fn is_false(value: &bool) -> bool {
    !*value
}

/// A port of the node that leads to a port of the service.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Port {
    /// Port inside the container.
    pub target: u16,
    /// Port of the node.
    pub published: u16,
    /// Address of the node to listen on; all when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host_ip: Option<std::net::IpAddr>,
    /// Transport protocol.
    #[serde(default)]
    pub protocol: Protocol,
}

/// Transport protocol of a [`Port`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// TCP.
    #[default]
    Tcp,
    /// UDP.
    Udp,
}

/// Something mounted into a service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "lowercase", deny_unknown_fields)]
pub enum Mount {
    /// A named volume of the app.
    Volume {
        /// Key in `spec.volumes`.
        source: Name,
        /// Absolute path inside the container.
        target: String,
        /// Mounted read-only.
        #[serde(default, skip_serializing_if = "is_false")]
        read_only: bool,
    },
    /// A directory of the node, below a root that the site policy allows.
    Bind {
        /// Absolute path on the node.
        source: String,
        /// Absolute path inside the container.
        target: String,
        /// Mounted read-only.
        #[serde(default, skip_serializing_if = "is_false")]
        read_only: bool,
    },
    /// Memory, gone when the container stops.
    Tmpfs {
        /// Absolute path inside the container.
        target: String,
        /// Largest size; default 64 MiB.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        size: Option<ByteSize>,
    },
}

impl Mount {
    /// Absolute path inside the container.
    pub fn target(&self) -> &str {
        match self {
            Self::Volume { target, .. } | Self::Bind { target, .. } | Self::Tmpfs { target, .. } => target,
        }
    }
}

/// A device of the node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Device {
    /// Path on the node, below `/dev`.
    pub source: String,
    /// Path inside the container.
    pub target: String,
    /// Any of `r`, `w`, `m`.
    #[serde(default = "default_device_permissions")]
    pub permissions: String,
}

fn default_device_permissions() -> String {
    "rwm".into()
}

/// When a dependency counts as fulfilled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Condition {
    /// Its process was started.
    #[default]
    ServiceStarted,
    /// Its health check succeeded.
    ServiceHealthy,
    /// Its process ended with exit code 0.
    ServiceCompletedSuccessfully,
}

/// Compose's `deploy`; only limits mean something on one node.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Deploy {
    /// Limits and reservations.
    #[serde(default)]
    pub resources: Resources,
}

impl Deploy {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// Compose's `deploy.resources`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Resources {
    /// Upper bounds, enforced by the kernel.
    #[serde(default)]
    pub limits: Limits,
}

/// Upper bounds of one service.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Processors in thousandths (`cpus: "1.5"` is 1500); no limit when absent.
    #[serde(default, rename = "cpus", with = "units::cpus", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "schema::Cpus")]
    pub milli_cpus: Option<u32>,
    /// Memory; the node's default when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "schema::Size")]
    pub memory: Option<ByteSize>,
    /// Processes and threads; the node's default when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "schema::Count")]
    pub pids: Option<u32>,
}

/// Which network a service sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum NetworkMode {
    /// Its own address on the node's bridge; the app's services find each other by name.
    #[default]
    Bridge,
    /// The node's own network.
    Host,
    /// Loopback only.
    None,
}

impl NetworkMode {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// A config or secret as a service sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FileGrant {
    /// Key in `spec.configs` or `spec.secrets`.
    pub source: Name,
    /// Absolute path inside the container: default `/<source>` for configs, `/run/secrets/<source>` for secrets.
    pub target: String,
    /// Owner; default 0.
    #[serde(default)]
    pub uid: u32,
    /// Group; default 0.
    #[serde(default)]
    pub gid: u32,
    /// Permission bits in octal, such as `"0440"`; default 0444 for configs, 0400 for secrets.
    #[serde(with = "units::mode")]
    #[schemars(with = "String")]
    pub mode: u32,
}
