//! The hub's configuration: one struct, one file (`/etc/causeway/hub.toml`), nothing unknown in it. Every value has a
//! default, so that a hub runs without any file.
//!
//! ```toml
//! name = "hub"
//! state_dir = "/var/lib/causeway/hub"
//! hosts = ["hub.example", "192.0.2.10"]        # names in the hub's certificate; the first one is told to nodes
//!
//! [api]
//! listen = "0.0.0.0:8443"
//! address = "hub.example:443"                  # as clients see it, where that differs
//!
//! [gate]
//! listen = "0.0.0.0:8883"
//!
//! [images]
//! plain_http = ["registry.example:5000"]       # registries without TLS, because you say so
//! max_blob = 17179869184
//! patch_cache = 4294967296                     # bytes of prepared patches that are kept
//!
//! [log]
//! format = "text"                              # or "json"
//! filter = "info"
//! ```

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use shared::fault::{Fault, Faulty, hub};
use shared::id::Name;

use crate::ca::Host;

/// Where the file is unless somebody says otherwise.
pub const PATH: &str = "/etc/causeway/hub.toml";
/// Longest file, in bytes.
const SIZE_MAX: u64 = 1 << 20;
/// Most names of the hub.
const HOSTS_MAX: usize = 32;

/// Everything that can be set.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The hub's name, for people; `hub` when absent.
    pub name: Option<Name>,
    /// Its state: store, blobs, packs and patches, CA, key.
    pub state_dir: PathBuf,
    /// Names and addresses under which it is reached. The machine's own name and the loopback are always added.
    pub hosts: Vec<String>,
    /// The REST API.
    pub api: Listen,
    /// The gate for nodes.
    pub gate: Listen,
    /// Images.
    pub images: Images,
    /// Logging.
    pub log: Log,
}

/// Where one service is.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Listen {
    /// Where it listens; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Where others reach it, `host:port`; the first of `hosts` and the port when absent.
    #[serde(default)]
    pub address: Option<String>,
}

/// How images come in.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Images {
    /// Registries, `host:port`, that have no TLS.
    pub plain_http: BTreeSet<String>,
    /// Largest blob, in bytes.
    pub max_blob: u64,
    /// Bytes of patches that are kept for the next node that needs them.
    pub patch_cache: u64,
}

/// How the hub logs, to stderr.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Log {
    /// For people or for machines.
    pub format: Format,
    /// As in `RUST_LOG`: `info`, `info,cloud_hub=debug` …
    pub filter: String,
}

/// Form of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// One JSON object.
    Json,
}

impl Default for Config {
    fn default() -> Self {
        let everywhere = |port| Listen { listen: (Ipv4Addr::UNSPECIFIED, port).into(), address: None };
        Self {
            name: None,
            state_dir: "/var/lib/causeway/hub".into(),
            hosts: Vec::new(),
            api: everywhere(8443),
            gate: everywhere(8883),
            images: Images::default(),
            log: Log::default(),
        }
    }
}

impl Default for Images {
    fn default() -> Self {
        Self { plain_http: BTreeSet::new(), max_blob: 16 << 30, patch_cache: 4 << 30 }
    }
}

impl Default for Log {
    fn default() -> Self {
        Self { format: Format::Text, filter: "info".into() }
    }
}

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("reading {path}")]
    Unreadable {
        /// Which.
        path: String,
        /// The cause.
        #[source]
        cause: std::io::Error,
    },
    /// It is not what it should be.
    #[error("{place}: {why}")]
    Bad {
        /// `file:line:column`.
        place: String,
        /// What is wrong.
        why: String,
    },
    /// A value does not fit.
    #[error("{key} = {value}: {expected} is expected")]
    Value {
        /// Which.
        key: &'static str,
        /// What it is.
        value: String,
        /// What it should be.
        expected: &'static str,
    },
}

impl Faulty for ConfigError {
    fn fault(&self) -> Fault {
        match self {
            Self::Unreadable { path, cause } => Fault::new(&hub::CONFIG_UNREADABLE).with("path", path).with("cause", cause),
            Self::Bad { place, why } => Fault::new(&hub::CONFIG_BAD).with("place", place).with("why", why),
            Self::Value { key, value, expected } => {
                Fault::new(&hub::CONFIG_VALUE).with("key", key).with("value", value).with("expected", expected)
            }
        }
    }
}

impl Config {
    /// Reads the file at `path`; the defaults when it does not exist and `must_exist` is not set.
    pub fn load(path: &Path, must_exist: bool) -> Result<Self, ConfigError> {
        let unreadable = |cause| ConfigError::Unreadable { path: path.display().to_string(), cause };
        let size = match std::fs::metadata(path) {
            Ok(meta) => meta.len(),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && !must_exist => return Ok(Self::default()),
            Err(error) => return Err(unreadable(error)),
        };
        if size > SIZE_MAX {
            return Err(unreadable(std::io::ErrorKind::FileTooLarge.into()));
        }
        let text = std::fs::read_to_string(path).map_err(unreadable)?;
        Self::read(&text, &path.display().to_string())
    }

    /// Reads `text`, which stands in `file`.
    pub fn read(text: &str, file: &str) -> Result<Self, ConfigError> {
        toml::from_str(text).map_err(|error| {
            let at = error.span().map_or(0, |span| span.start).min(text.len());
            let before = text.get(..at).unwrap_or_default();
            let line = before.matches('\n').count() + 1;
            let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
            ConfigError::Bad { place: format!("{file}:{line}:{column}"), why: error.message().replace('\n', " ") }
        })
    }

    /// Whether all values fit.
    pub fn check(&self) -> Result<(), ConfigError> {
        if self.hosts.len() > HOSTS_MAX {
            let value = format!("[{} …]", self.hosts.len());
            return Err(ConfigError::Value { key: "hosts", value, expected: "at most 32" });
        }
        self.certificate_hosts("localhost")?;
        for (key, address) in [("api.address", &self.api.address), ("gate.address", &self.gate.address)] {
            if let Some(value) = address.as_ref().filter(|address| !is_host_and_port(address)) {
                return Err(ConfigError::Value { key, value: value.clone(), expected: "host:port" });
            }
        }
        if !self.state_dir.is_absolute() {
            let value = self.state_dir.display().to_string();
            return Err(ConfigError::Value { key: "state_dir", value, expected: "an absolute path" });
        }
        Ok(())
    }

    /// Names in the hub's certificate; `machine` is the machine's own one.
    pub fn certificate_hosts(&self, machine: &str) -> Result<Vec<Host>, ConfigError> {
        let mut hosts = vec![
            Host::Name("localhost".into()),
            Host::Address(IpAddr::V4(Ipv4Addr::LOCALHOST)),
            Host::Address(IpAddr::V6(Ipv6Addr::LOCALHOST)),
        ];
        // A machine may have a name that is none in DNS; then it is not reached by it either.
        hosts.extend(machine.parse::<Host>());
        let listening = [self.api.listen.ip(), self.gate.listen.ip()];
        hosts.extend(listening.into_iter().filter(|ip| !ip.is_unspecified()).map(Host::Address));
        for text in &self.hosts {
            let bad = |_| ConfigError::Value { key: "hosts", value: text.clone(), expected: "a DNS name or an IP address" };
            hosts.push(text.parse().map_err(bad)?);
        }
        hosts.sort();
        hosts.dedup();
        Ok(hosts)
    }

    /// `host:port` under which others reach a service that listens on `bound`.
    pub fn public_address(&self, service: &Listen, bound: SocketAddr, machine: &str) -> String {
        if let Some(address) = &service.address {
            return address.clone();
        }
        let host = match self.hosts.first() {
            Some(host) => host.clone(),
            None if bound.ip().is_unspecified() => machine.to_owned(),
            None => bound.ip().to_string(),
        };
        if host.contains(':') { format!("[{host}]:{}", bound.port()) } else { format!("{host}:{}", bound.port()) }
    }
}

fn is_host_and_port(text: &str) -> bool {
    let Some((host, port)) = text.rsplit_once(':') else { return false };
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    port.parse::<u16>().is_ok_and(|port| port != 0) && host.parse::<Host>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_in_the_docs_is_a_configuration() {
        let text: String = include_str!("config.rs")
            .lines()
            .skip_while(|line| *line != "//! ```toml")
            .skip(1)
            .take_while(|line| *line != "//! ```")
            .map(|line| format!("{}\n", line.trim_start_matches("//!").trim_start()))
            .collect();
        let config = Config::read(&text, "hub.toml").expect("the example");
        config.check().expect("good values");
        assert_eq!(config.api.address.as_deref(), Some("hub.example:443"));
        assert_eq!(Config::read("", "hub.toml").expect("nothing"), Config::default());
    }

    #[test]
    fn errors_name_file_line_and_column() {
        for (text, place) in [
            ("nam = \"x\"\n", "hub.toml:1:1"),
            ("name = \"hub\"\nstate_dir = 7\n", "hub.toml:2:13"),
            ("name = \"hub\"\n\n[api]\nlisten = \"nowhere\"\n", "hub.toml:4:10"),
            ("[api]\nlisten = \"0.0.0.0:1\"\nport = 3\n", "hub.toml:3:1"),
            ("name = \"No Name\"\n", "hub.toml:1:8"),
            ("name = \n", "hub.toml:1:8"),
            ("[log]\nformat = \"xml\"\n", "hub.toml:2:10"),
        ] {
            match Config::read(text, "hub.toml") {
                Err(ConfigError::Bad { place: found, .. }) => assert_eq!(found, place, "{text}"),
                other => panic!("{text}: {other:?}"),
            }
        }
    }

    #[test]
    fn values_are_checked() {
        let with = |text: &str| Config::read(text, "hub.toml").expect(text).check();
        assert!(with("hosts = [\"hub.example\", \"192.0.2.1\", \"2001:db8::1\"]").is_ok());
        for bad in [
            "hosts = [\"not a host\"]",
            "hosts = [\"\"]",
            "state_dir = \"relative\"",
            "[api]\nlisten = \"0.0.0.0:1\"\naddress = \"hub.example\"",
            "[gate]\nlisten = \"0.0.0.0:1\"\naddress = \"hub.example:0\"",
        ] {
            assert!(matches!(with(bad), Err(ConfigError::Value { .. })), "{bad}");
        }
    }

    #[test]
    fn nodes_are_told_an_address_that_leads_here() {
        let bound: SocketAddr = "0.0.0.0:8883".parse().expect("address");
        let own: SocketAddr = "192.0.2.7:99".parse().expect("address");
        let address = |text: &str, bound| {
            let config = Config::read(text, "hub.toml").expect(text);
            config.public_address(&config.gate, bound, "machine")
        };
        assert_eq!(address("", bound), "machine:8883");
        assert_eq!(address("", own), "192.0.2.7:99");
        assert_eq!(address("hosts = [\"hub.example\"]", own), "hub.example:99");
        assert_eq!(address("hosts = [\"2001:db8::1\"]", bound), "[2001:db8::1]:8883");
        assert_eq!(address("[gate]\nlisten = \"0.0.0.0:1\"\naddress = \"a.example:5\"", bound), "a.example:5");
    }
}
