//! `/etc/causeway/node.toml`: one struct, every key optional, nothing unknown accepted.
//!
//! ```text
//! defaults ◄── file ◄── flags        then every value is checked, and all problems are said at once
//! ```
//!
//! [`check`] looks at the machine as well: what `edge-node run --check` prints.

pub mod check;
mod parse;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use shared::fault::{Fault, Faulty, node};
use shared::manifest::ByteSize;

use crate::images::room::RESERVE;
use crate::runtime::containerd;

/// Where the settings are looked for when no file is named; they need not be there.
pub const FILE: &str = "/etc/causeway/node.toml";
/// Largest file of settings, in bytes.
pub const FILE_MAX: u64 = 256 << 10;

/// Settings of the daemon. [`Default`] is what an installed node uses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// What survives a reboot: identity, store, blobs, packs, volumes, secrets, logs.
    pub state_dir: PathBuf,
    /// What does not: sockets, locks, network namespaces.
    pub run_dir: PathBuf,
    /// Socket of the local API; `<run_dir>/node.sock` when absent.
    pub socket: Option<PathBuf>,
    /// Directories of the node below which an app may bind-mount.
    pub bind_roots: Vec<PathBuf>,
    /// Beginnings of device paths that an app may ask for.
    pub devices: Vec<String>,
    /// Capabilities, without `CAP_`, that an app may add to the default set.
    pub capabilities: Vec<String>,
    /// Whether an app may use the node's own network, with `network_mode: host`.
    pub host_network: bool,
    /// What runs containers.
    pub runtime: RuntimeConfig,
    /// How containers reach the network.
    pub network: NetworkConfig,
    /// Limits of a service that names none.
    pub limits: LimitsConfig,
    /// How the disk is used.
    pub disk: DiskConfig,
    /// Sharing images with the other nodes of the site.
    pub neighbours: NeighboursConfig,
    /// What the daemon says about itself.
    pub log: LogConfig,
}

/// What runs containers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RuntimeConfig {
    /// Which runtime.
    pub kind: RuntimeKind,
    /// Socket of containerd.
    pub socket: PathBuf,
    /// Our containerd namespace.
    pub namespace: String,
    /// containerd's snapshotter.
    pub snapshotter: String,
}

/// The runtimes that ship.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum RuntimeKind {
    /// Real containers.
    Containerd,
    /// Containers that exist in memory only, for trying things out.
    Memory,
}

/// How containers reach the network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NetworkConfig {
    /// Name of the bridge.
    pub bridge: String,
    /// The bridge's IPv4 addresses, as `a.b.c.d/bits`.
    pub subnet: String,
    /// Directories searched for CNI plugins, first hit wins.
    pub cni_dirs: Vec<PathBuf>,
}

/// Limits of a service that names none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LimitsConfig {
    /// Memory, such as `256m`.
    pub memory: ByteSize,
    /// Processes and threads.
    pub pids: u32,
    /// Largest log file of a service; each has two.
    pub log_size: ByteSize,
}

/// How the disk is used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DiskConfig {
    /// Bytes that images leave free, such as `256m`.
    pub reserve: ByteSize,
}

/// Sharing images with the other nodes of the site.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NeighboursConfig {
    /// Where they reach this node, such as `0.0.0.0:7448`; nothing is shared when absent. An address of all interfaces is told
    /// as the one that this machine uses toward the hub.
    pub address: Option<SocketAddr>,
}

/// What the daemon says about itself, on its standard error.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LogConfig {
    /// As text for people or JSON for programs.
    pub format: LogFormat,
    /// From which severity on.
    pub level: LogLevel,
}

/// Form of the daemon's own log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// One line of text per event.
    Text,
    /// One JSON object per event.
    Json,
}

/// Severity of the daemon's own log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    /// Promises are broken or about to be: somebody must act.
    Error,
    /// Something failed that the node goes on trying by itself.
    Warn,
    /// What changed and why.
    Info,
    /// What was tried, for developers.
    Debug,
    /// Everything.
    Trace,
}

impl Default for Config {
    fn default() -> Self {
        let containerd::Config { state, run, bind_roots, devices, capabilities, host_network, .. } =
            containerd::Config::default();
        Self {
            state_dir: state,
            run_dir: run,
            socket: None,
            bind_roots,
            devices,
            capabilities,
            host_network,
            runtime: RuntimeConfig::default(),
            network: NetworkConfig::default(),
            limits: LimitsConfig::default(),
            disk: DiskConfig::default(),
            neighbours: NeighboursConfig::default(),
            log: LogConfig::default(),
        }
    }
}

impl Default for RuntimeConfig {
    fn default() -> Self {
        Self {
            kind: RuntimeKind::Containerd,
            socket: "/run/containerd/containerd.sock".into(),
            namespace: "causeway".into(),
            snapshotter: "overlayfs".into(),
        }
    }
}

impl Default for NetworkConfig {
    fn default() -> Self {
        let cni_dirs = vec!["/usr/lib/cni".into(), "/opt/cni/bin".into()];
        Self { bridge: "causeway0".into(), subnet: "10.231.0.0/16".into(), cni_dirs }
    }
}

impl Default for LimitsConfig {
    fn default() -> Self {
        Self { memory: ByteSize(256 << 20), pids: 512, log_size: ByteSize(10 << 20) }
    }
}

impl Default for DiskConfig {
    fn default() -> Self {
        Self { reserve: ByteSize(RESERVE) }
    }
}

impl Default for LogConfig {
    fn default() -> Self {
        Self { format: LogFormat::Text, level: LogLevel::Info }
    }
}

impl Config {
    /// Where the local API listens.
    pub fn socket(&self) -> PathBuf {
        self.socket.clone().unwrap_or_else(|| self.run_dir.join("node.sock"))
    }

    /// What the containerd runtime needs; `log_sink` is the program that writes logs.
    pub fn containerd(&self, log_sink: PathBuf) -> containerd::Config {
        containerd::Config {
            socket: self.runtime.socket.clone(),
            namespace: self.runtime.namespace.clone(),
            state: self.state_dir.clone(),
            run: self.run_dir.clone(),
            snapshotter: self.runtime.snapshotter.clone(),
            log_sink,
            cni_dirs: self.network.cni_dirs.clone(),
            bridge: self.network.bridge.clone(),
            subnet: self.network.subnet.clone(),
            bind_roots: self.bind_roots.clone(),
            devices: self.devices.clone(),
            capabilities: self.capabilities.clone(),
            host_network: self.host_network,
            memory: self.limits.memory.0,
            pids: self.limits.pids,
            log_bytes: self.limits.log_size.0,
        }
    }

    /// Where the identity lies.
    pub fn identity_dir(&self) -> PathBuf {
        self.state_dir.join("identity")
    }

    /// Where secrets lie: `<app>/<name>`.
    pub fn secrets_dir(&self) -> PathBuf {
        self.state_dir.join("secrets")
    }

    /// Reads `file`, or [`FILE`] if that is there. All problems at once, in the order of the file.
    pub fn load(file: Option<&Path>) -> Result<Self, Vec<ConfigError>> {
        let path = file.unwrap_or(Path::new(FILE));
        let name = path.display().to_string();
        match parse::read(path) {
            Ok(text) => parse::parse(&name, &text),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && file.is_none() => Ok(Self::default()),
            Err(cause) => Err(vec![ConfigError::Unreadable { file: name, cause }]),
        }
    }

    /// Checks values that did not come from the file; `source` says where they came from.
    pub fn validate(&self, source: &str) -> Result<(), Vec<ConfigError>> {
        let problems = parse::problems(self);
        if problems.is_empty() {
            return Ok(());
        }
        Err(problems
            .into_iter()
            .map(|(key, why)| ConfigError::BadValue { file: source.into(), line: 0, key: key.into(), why })
            .collect())
    }
}

/// What is wrong with the settings.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("{file}")]
    Unreadable {
        /// Its path.
        file: String,
        /// The cause.
        #[source]
        cause: std::io::Error,
    },
    /// It is not TOML.
    #[error("{file}:{line}: {why}")]
    Syntax {
        /// Its path.
        file: String,
        /// The line, from 1.
        line: usize,
        /// What the reader said.
        why: String,
    },
    /// There is no such setting.
    #[error("{file}:{line}: unknown setting {key}")]
    UnknownKey {
        /// Its path.
        file: String,
        /// The line, from 1.
        line: usize,
        /// With its table.
        key: String,
        /// The setting it was probably meant to be.
        near: String,
    },
    /// The value does not fit.
    #[error("{file}:{line}: {key}: {why}")]
    BadValue {
        /// Its path, or that it came from the command line.
        file: String,
        /// The line, from 1.
        line: usize,
        /// With its table.
        key: String,
        /// What is wrong.
        why: String,
    },
}

impl Faulty for ConfigError {
    fn fault(&self) -> Fault {
        match self {
            Self::Unreadable { file, cause } => Fault::new(&node::CONFIG_UNREADABLE).with("file", file).with("cause", cause),
            Self::Syntax { file, line, why } => {
                Fault::new(&node::CONFIG_SYNTAX).with("file", file).with("line", line).with("cause", why)
            }
            Self::UnknownKey { file, line, key, near } => {
                let fault = Fault::new(&node::CONFIG_UNKNOWN_KEY).with("file", file).with("line", line);
                fault.with("key", key).with("near", near)
            }
            Self::BadValue { file, line, key, why } => {
                let fault = Fault::new(&node::CONFIG_BAD_VALUE).with("file", file).with("line", line);
                fault.with("key", key).with("cause", why)
            }
        }
    }
}
