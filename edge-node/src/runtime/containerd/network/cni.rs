//! The Container Network Interface: plugins are programs that read JSON and answer JSON (CNI specification 0.4.0).
//!
//! `bridge` (with `host-local` addresses) comes first; `portmap` and `firewall` only read its answer, so they run side
//! by side. Plugins get a cleared environment, and a time limit after which they are killed.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};
use shared::fault::{Fault, Faulty, node};
use shared::manifest::{Port, Protocol};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::Command;

use super::super::config::Config;
use crate::runtime::RuntimeError;

const VERSION: &str = "0.4.0";
const INTERFACE: &str = "eth0";
/// Plugins call `iptables`.
const PATH: &str = "/usr/sbin:/usr/bin:/sbin:/bin";
const CALL_LIMIT: Duration = Duration::from_secs(30);
/// Largest answer that is read, in bytes.
const ANSWER_MAX: u64 = 1 << 20;

/// Our one network.
pub struct Cni {
    dirs: Vec<PathBuf>,
    network: String,
    subnet: String,
    /// Where `host-local` remembers addresses.
    addresses: PathBuf,
}

/// Why a plugin did not do it.
#[derive(Debug, thiserror::Error)]
pub enum CniError {
    /// It is not installed.
    #[error("the network plugin {plugin} is not in {searched}")]
    Missing {
        /// Its name.
        plugin: &'static str,
        /// Where it was searched.
        searched: String,
    },
    /// It did not end in time.
    #[error("the network plugin {0} did not end in time")]
    Late(&'static str),
    /// It could not be run.
    #[error("the network plugin {0} could not be run")]
    Run(&'static str, #[source] std::io::Error),
    /// It said no.
    #[error("the network plugin {plugin} failed: {said}")]
    Failed {
        /// Its name.
        plugin: &'static str,
        /// Its own words.
        said: String,
    },
}

impl From<CniError> for RuntimeError {
    fn from(error: CniError) -> Self {
        match error {
            CniError::Missing { .. } => Self::Refused(error.fault()),
            CniError::Run(plugin, cause) => Self::Failed { doing: "attach to the network", cause: format!("{plugin}: {cause}") },
            CniError::Late(_) | CniError::Failed { .. } => {
                Self::Failed { doing: "attach to the network", cause: error.to_string() }
            }
        }
    }
}

impl Faulty for CniError {
    fn fault(&self) -> Fault {
        match self {
            Self::Missing { plugin, searched } => {
                Fault::new(&node::CNI_MISSING).with("plugin", plugin).with("searched", searched)
            }
            Self::Late(_) | Self::Run(..) | Self::Failed { .. } => {
                Fault::new(&node::RUNTIME_FAILED).with("doing", "attach to the network").with("cause", self)
            }
        }
    }
}

/// What one call is about.
struct Call<'a> {
    command: &'static str,
    id: &'a str,
    /// None in a DEL after the namespace is gone.
    netns: Option<&'a Path>,
    interface: &'static str,
}

impl Cni {
    /// The network of a node.
    pub fn new(config: &Config) -> Self {
        Self {
            dirs: config.cni_dirs.clone(),
            network: config.bridge.clone(),
            subnet: config.subnet.clone(),
            addresses: config.run.join("addresses"),
        }
    }

    /// Its name.
    pub fn network(&self) -> &str {
        &self.network
    }

    /// Gives the namespace loopback, an address and port maps; answers the bridge plugin's result.
    pub async fn add(&self, id: &str, netns: &Path, ports: &[Port]) -> Result<Value, CniError> {
        let call = Call { command: "ADD", id, netns: Some(netns), interface: INTERFACE };
        let loopback = Call { interface: "lo", ..Call { ..call } };
        let (up, bridged) = tokio::join!(self.call(&loopback, "loopback", json!({})), self.call(&call, "bridge", self.bridge()),);
        up?;
        let result = bridged?;
        let mapped = async {
            if ports.is_empty() { Ok(Value::Null) } else { self.call(&call, "portmap", port_maps(ports, Some(&result))).await }
        };
        // Older plugin packages have none; it matters only where the node's own firewall forwards nothing.
        let allowed = async {
            match self.find("firewall") {
                Ok(_) => self.call(&call, "firewall", json!({"prevResult": result})).await,
                Err(_) => Ok(Value::Null),
            }
        };
        let (mapped, allowed) = tokio::join!(mapped, allowed);
        mapped.and(allowed)?;
        Ok(result)
    }

    /// Takes back what [`add`](Self::add) did, in reverse; done before is fine.
    pub async fn del(&self, id: &str, netns: Option<&Path>, ports: &[Port], result: Option<&Value>) -> Result<(), CniError> {
        let call = Call { command: "DEL", id, netns, interface: INTERFACE };
        if let (Some(result), Ok(_)) = (result, self.find("firewall")) {
            self.call(&call, "firewall", json!({"prevResult": result})).await?;
        }
        if !ports.is_empty() {
            self.call(&call, "portmap", port_maps(ports, result)).await?;
        }
        let mut bridge = self.bridge();
        if let (Some(bridge), Some(result)) = (bridge.as_object_mut(), result) {
            bridge.insert("prevResult".into(), result.clone());
        }
        self.call(&call, "bridge", bridge).await.map(drop)
    }

    fn bridge(&self) -> Value {
        json!({
            "bridge": self.network, "isGateway": true, "ipMasq": true, "hairpinMode": true,
            "ipam": {
                "type": "host-local", "dataDir": self.addresses,
                "ranges": [[{"subnet": self.subnet}]], "routes": [{"dst": "0.0.0.0/0"}],
            },
        })
    }

    async fn call(&self, call: &Call<'_>, plugin: &'static str, mut conf: Value) -> Result<Value, CniError> {
        if let Some(conf) = conf.as_object_mut() {
            conf.insert("cniVersion".into(), VERSION.into());
            conf.insert("name".into(), self.network.clone().into());
            conf.insert("type".into(), plugin.into());
        }
        let program = self.find(plugin)?;
        let run = self.run(&program, call, conf.to_string());
        let answer = tokio::time::timeout(CALL_LIMIT, run).await.map_err(|_| CniError::Late(plugin))?;
        let (success, said) = answer.map_err(|error| CniError::Run(plugin, error))?;
        if !success {
            return Err(CniError::Failed { plugin, said: reason(&said) });
        }
        Ok(serde_json::from_slice(&said).unwrap_or(Value::Null))
    }

    async fn run(&self, program: &Path, call: &Call<'_>, conf: String) -> std::io::Result<(bool, Vec<u8>)> {
        let search = self.dirs.iter().map(|dir| dir.display().to_string()).collect::<Vec<_>>().join(":");
        let mut plugin = Command::new(program)
            .env_clear()
            .env("PATH", PATH)
            .env("CNI_PATH", search)
            .env("CNI_COMMAND", call.command)
            .env("CNI_CONTAINERID", call.id)
            .env("CNI_IFNAME", call.interface)
            .env("CNI_NETNS", call.netns.unwrap_or(Path::new("")))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()?;
        if let Some(mut stdin) = plugin.stdin.take() {
            stdin.write_all(conf.as_bytes()).await?;
        }
        let mut said = Vec::new();
        if let Some(stdout) = plugin.stdout.take() {
            stdout.take(ANSWER_MAX).read_to_end(&mut said).await?;
        }
        Ok((plugin.wait().await?.success(), said))
    }

    fn find(&self, plugin: &'static str) -> Result<PathBuf, CniError> {
        let found = self.dirs.iter().map(|dir| dir.join(plugin)).find(|path| path.is_file());
        found.ok_or_else(|| CniError::Missing {
            plugin,
            searched: self.dirs.iter().map(|dir| dir.display().to_string()).collect::<Vec<_>>().join(", "),
        })
    }
}

/// The address in a result, without its prefix length.
pub fn address(result: &Value) -> Option<IpAddr> {
    result.pointer("/ips/0/address")?.as_str()?.split('/').next()?.parse().ok()
}

/// The bridge's own address: the node, as containers see it.
pub fn gateway(result: &Value) -> Option<IpAddr> {
    result.pointer("/ips/0/gateway")?.as_str()?.parse().ok()
}

fn port_maps(ports: &[Port], result: Option<&Value>) -> Value {
    let map = |port: &Port| {
        let protocol = match port.protocol {
            Protocol::Tcp => "tcp",
            Protocol::Udp => "udp",
        };
        let host_ip = port.host_ip.map(|ip| ip.to_string()).unwrap_or_default();
        json!({"hostPort": port.published, "containerPort": port.target, "protocol": protocol, "hostIP": host_ip})
    };
    let maps: Vec<Value> = ports.iter().map(map).collect();
    let mut conf = json!({"runtimeConfig": {"portMappings": maps}});
    if let (Some(conf), Some(result)) = (conf.as_object_mut(), result) {
        conf.insert("prevResult".into(), result.clone());
    }
    conf
}

/// What a plugin says of its failure: `msg` and `details` of its JSON, else the text itself.
fn reason(said: &[u8]) -> String {
    let parsed: Option<Value> = serde_json::from_slice(said).ok();
    let field = |name: &str| parsed.as_ref()?.get(name)?.as_str().map(str::to_owned);
    let words: Vec<String> = [field("msg"), field("details")].into_iter().flatten().filter(|text| !text.is_empty()).collect();
    let text = if words.is_empty() { String::from_utf8_lossy(said).into_owned() } else { words.join(": ") };
    text.chars().take(500).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_read() {
        let result = json!({"ips": [{"version": "4", "address": "10.231.0.7/16", "gateway": "10.231.0.1"}]});
        assert_eq!(address(&result), "10.231.0.7".parse().ok());
        assert_eq!(gateway(&result), "10.231.0.1".parse().ok());
        assert_eq!(address(&json!({"ips": []})), None);
        assert_eq!(address(&json!(null)), None);
        assert_eq!(reason(br#"{"code": 11, "msg": "no addresses", "details": ""}"#), "no addresses");
        assert_eq!(reason(b"panic"), "panic");
    }

    #[tokio::test]
    async fn a_missing_plugin_has_a_way_out() {
        let dir = tempfile::tempdir().expect("directory");
        let config = Config { cni_dirs: vec![dir.path().into()], ..Config::default() };
        let error = Cni::new(&config).add("x-1", Path::new("/none"), &[]).await.expect_err("nothing is there");
        assert!(error.fault().text(shared::fault::Lang::En).contains("apt-get install"));
    }
}
