//! The App manifest: what a person writes, with the names and meanings of the Compose Specification.
//!
//! [`read`] turns a YAML text (an App document or a plain `compose.yaml`) into an [`App`]; whatever is not
//! supported is refused with file, line, column and the nearest supported thing, never dropped. The types
//! here are the normal form: every short syntax is written out, and this form is what a release carries;
//! [`App::check`] checks it again wherever a release arrives.
//!
//! ```yaml
//! apiVersion: causeway/v1
//! kind: App
//! metadata: {name: counter, version: 1.0.0}
//! spec:
//!   services:
//!     web: {image: "registry.example/counter:1.0.0", ports: ["8080:80"], restart: unless-stopped}
//! ```
//!
//! ```
//! use shared::manifest::{Outside, read};
//! let text = "apiVersion: causeway/v1\nkind: App\nmetadata: {name: counter, version: 1.0.0}\nspec:\n  services:\n    web: {imgae: x}\n";
//! let refused = read("app.yaml", text, &Outside::default()).unwrap_err();
//! assert!(refused.to_string().starts_with("app.yaml:6:11: imgae is not supported. Nearest supported key: image"));
//! ```

pub mod bounds;
mod check;
mod problem;
mod read;
mod schema;
mod units;
mod write;
mod yaml;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use bounds::{SERVICES_MAX, TEXT_MAX};
pub use problem::{Mark, Problem, Refused};
pub use read::{Manifest, Naming, Outside, read};
pub use schema::{SCHEMA_ID, schema};
pub use units::{BadUnit, ByteSize, Period};

use crate::id::Name;

/// The one `apiVersion` this build reads.
pub const API_VERSION: &str = "causeway/v1";

/// A named application with everything its services need.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct App {
    /// Always [`API_VERSION`].
    pub api_version: String,
    /// Always `App`.
    pub kind: String,
    /// Name, version and what people need to find it.
    pub metadata: Metadata,
    /// What runs.
    pub spec: Spec,
}

/// Who the app is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Metadata {
    /// The app's name.
    pub name: Name,
    /// The release's version, 1 to 64 of `A-Z a-z 0-9 . _ + -`; shown, never compared.
    #[schemars(with = "schema::TextOrNumber")]
    pub version: String,
    /// One line for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// For selectors and people; keys and values up to 253 bytes.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(with = "schema::Labels")]
    pub labels: BTreeMap<String, String>,
}

/// The services of an app and what they share.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Spec {
    /// One container definition each; 1 to [`SERVICES_MAX`].
    pub services: BTreeMap<Name, Service>,
    /// Named volumes, kept when the app changes or goes, until somebody purges them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(with = "schema::Volumes")]
    pub volumes: BTreeMap<Name, Volume>,
    /// Files that are part of the release.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(with = "schema::Configs")]
    pub configs: BTreeMap<Name, Config>,
    /// Files that live on the node only.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(with = "schema::Secrets")]
    pub secrets: BTreeMap<Name, Secret>,
    /// How a new release proves itself on the node.
    #[serde(default)]
    pub update: Update,
}

/// How a node judges a new release before it forgets the old one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Update {
    /// All services must be up (healthy where they have a health check) within this time of the switch.
    #[schemars(with = "schema::PeriodForm")]
    pub deadline: Period,
    /// A service without a health check counts as up after running this long without exit.
    #[schemars(with = "schema::PeriodForm")]
    pub settle: Period,
}

impl Default for Update {
    fn default() -> Self {
        Self { deadline: Period::seconds(120), settle: Period::seconds(5) }
    }
}

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

fn default_grace() -> Period {
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

/// A health check, run by the node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HealthCheck {
    /// What is run or asked.
    pub test: Probe,
    /// From the end of one check to the start of the next; default 30 s, at least 1 s.
    #[serde(default = "default_interval")]
    pub interval: Period,
    /// A check that takes longer has failed; default 30 s.
    #[serde(default = "default_interval")]
    pub timeout: Period,
    /// Failures in a row that make the service unhealthy; default 3.
    #[serde(default = "default_retries")]
    pub retries: u32,
    /// Failures this long after start do not count; default 0.
    #[serde(default)]
    pub start_period: Period,
    /// Interval during `start_period`; default 5 s.
    #[serde(default = "default_start_interval")]
    pub start_interval: Period,
}

fn default_interval() -> Period {
    Period::seconds(30)
}
fn default_retries() -> u32 {
    3
}
fn default_start_interval() -> Period {
    Period::seconds(5)
}

/// How a health check asks. Written as Compose's `test` list; `HTTP` and `TCP` are ours, and cost no process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "Vec<String>", into = "Vec<String>")]
#[schemars(with = "Vec<String>")]
pub enum Probe {
    /// `["CMD", arg0, …]`: run in the container, healthy when it exits 0.
    Exec(Vec<String>),
    /// `["CMD-SHELL", line]`: run by the container's `/bin/sh`.
    Shell(String),
    /// `["HTTP", ":8080/healthz"]`: healthy when GET answers 200 to 399.
    Http {
        /// Port of the service.
        port: u16,
        /// Path and query, begins with `/`.
        path: String,
    },
    /// `["TCP", ":8080"]`: healthy when the port accepts a connection.
    Tcp {
        /// Port of the service.
        port: u16,
    },
}

impl From<Probe> for Vec<String> {
    fn from(probe: Probe) -> Self {
        match probe {
            Probe::Exec(args) => std::iter::once("CMD".to_owned()).chain(args).collect(),
            Probe::Shell(line) => vec!["CMD-SHELL".into(), line],
            Probe::Http { port, path } => vec!["HTTP".into(), format!(":{port}{path}")],
            Probe::Tcp { port } => vec!["TCP".into(), format!(":{port}")],
        }
    }
}

impl TryFrom<Vec<String>> for Probe {
    type Error = String;
    fn try_from(test: Vec<String>) -> Result<Self, String> {
        let words: Vec<&str> = test.iter().map(String::as_str).collect();
        match words.as_slice() {
            ["CMD", first, ..] if !first.is_empty() => Ok(Self::Exec(test.into_iter().skip(1).collect())),
            ["CMD-SHELL", line] => Ok(Self::Shell((*line).into())),
            ["HTTP", address] => http_probe(address),
            ["TCP", address] => Ok(Self::Tcp { port: probe_port(address)? }),
            _ => Err("a test is [CMD, …], [CMD-SHELL, line], [HTTP, \":port/path\"] or [TCP, \":port\"]".into()),
        }
    }
}

fn http_probe(address: &str) -> Result<Probe, String> {
    let (port, path) = match address.find('/') {
        Some(at) => address.split_at(at),
        None => (address, "/"),
    };
    if path.bytes().any(|b| !b.is_ascii_graphic()) || path.len() > 1024 {
        return Err(format!("{path:?} is not a path of at most 1024 visible ASCII characters"));
    }
    Ok(Probe::Http { port: probe_port(port)?, path: path.into() })
}

fn probe_port(address: &str) -> Result<u16, String> {
    address
        .strip_prefix(':')
        .and_then(|digits| digits.parse().ok())
        .filter(|port| *port != 0)
        .ok_or_else(|| format!("{address:?} is not a port of this service, for example :8080"))
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

/// What happens when a process ends by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub enum Restart {
    /// Nothing (Compose's default).
    #[default]
    No,
    /// It starts again, whatever its exit code.
    Always,
    /// As `Always`; a stop by the operator is remembered in both cases.
    UnlessStopped,
    /// It starts again when its exit code is not 0.
    OnFailure {
        /// At most so many times in a row; without end when absent.
        attempts: Option<u32>,
    },
}

impl Restart {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

impl From<Restart> for String {
    fn from(restart: Restart) -> Self {
        match restart {
            Restart::No => "no".into(),
            Restart::Always => "always".into(),
            Restart::UnlessStopped => "unless-stopped".into(),
            Restart::OnFailure { attempts: None } => "on-failure".into(),
            Restart::OnFailure { attempts: Some(n) } => format!("on-failure:{n}"),
        }
    }
}

impl TryFrom<String> for Restart {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        match text.split_once(':') {
            None => match text.as_str() {
                "no" => Ok(Self::No),
                "always" => Ok(Self::Always),
                "unless-stopped" => Ok(Self::UnlessStopped),
                "on-failure" => Ok(Self::OnFailure { attempts: None }),
                _ => Err(format!("{text:?} is not no, always, unless-stopped, on-failure or on-failure:N")),
            },
            Some(("on-failure", n)) => match n.parse() {
                Ok(n) => Ok(Self::OnFailure { attempts: Some(n) }),
                Err(_) => Err(format!("{n:?} in {text:?} is not a number of attempts")),
            },
            Some(_) => Err(format!("{text:?}: only on-failure takes a number of attempts")),
        }
    }
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

/// A named volume. Nothing about it can be chosen yet; the object keeps room.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Volume {}

/// A file that is part of the release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The file's text; at most 256 KiB.
    pub content: String,
}

/// A file that lives on the node only: `edge-node secret set APP NAME` puts it there, no release carries it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Secret {
    /// Always true.
    pub external: bool,
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
