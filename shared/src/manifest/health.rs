//! Health checks as a manifest says them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Period;

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

pub(super) fn default_interval() -> Period {
    Period::seconds(30)
}
pub(super) fn default_retries() -> u32 {
    3
}
pub(super) fn default_start_interval() -> Period {
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
