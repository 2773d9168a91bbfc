//! What `edge-node run --check` finds on this machine. Nothing is changed.

use std::fs;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::UnixStream;
use std::path::Path;

use rustix::fs::{Access, access};
use shared::fault::{Fault, Faulty, node};

use super::{Config, RuntimeKind};
use crate::identity::Identity;

/// CNI plugins that every app needs.
const PLUGINS: &[&str] = &["bridge", "host-local", "portmap", "loopback"];

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The setting.
    pub what: &'static str,
    /// What would be used.
    pub value: String,
    /// Why that would not work.
    pub problem: Option<Fault>,
}

/// Looks at everything the daemon would use.
pub fn check(config: &Config) -> Vec<Finding> {
    let found = |what, value: String, result: Result<(), Fault>| Finding { what, value, problem: result.err() };
    let text = |path: &Path| path.display().to_string();
    let mut list = vec![
        found("state_dir", text(&config.state_dir), writable(&config.state_dir)),
        found("run_dir", text(&config.run_dir), writable(&config.run_dir)),
        found("socket", text(&config.socket()), writable(config.socket().parent().unwrap_or(Path::new("/")))),
        identity(config),
    ];
    list.push(found("runtime.kind", format!("{:?}", config.runtime.kind).to_lowercase(), Ok(())));
    if config.runtime.kind == RuntimeKind::Containerd {
        list.push(found("runtime.socket", text(&config.runtime.socket), listens(&config.runtime.socket)));
        list.push(found("runtime.namespace", config.runtime.namespace.clone(), Ok(())));
        list.push(found("runtime.snapshotter", config.runtime.snapshotter.clone(), Ok(())));
        let dirs: Vec<String> = config.network.cni_dirs.iter().map(|dir| text(dir)).collect();
        list.push(found("network.cni_dirs", dirs.join(", "), plugins(config, &dirs.join(", "))));
        list.push(found("network.bridge", config.network.bridge.clone(), Ok(())));
        list.push(found("network.subnet", config.network.subnet.clone(), Ok(())));
    }
    list.extend(config.bind_roots.iter().map(|root| found("bind_roots", text(root), directory(root))));
    list.push(found("devices", config.devices.join(", "), Ok(())));
    list.push(found("capabilities", config.capabilities.join(", "), Ok(())));
    list.push(found("host_network", config.host_network.to_string(), Ok(())));
    list.push(found("limits.memory", String::from(config.limits.memory), Ok(())));
    list.push(found("limits.pids", config.limits.pids.to_string(), Ok(())));
    list.push(found("limits.log_size", String::from(config.limits.log_size), Ok(())));
    list.push(found("disk.reserve", String::from(config.disk.reserve), Ok(())));
    let neighbours = config.neighbours.address.map(|at| found("neighbours.address", at.to_string(), listens_at(at, config)));
    list.extend(neighbours);
    list
}

fn identity(config: &Config) -> Finding {
    let dir = config.identity_dir();
    match Identity::load(&dir) {
        Ok(identity) => Finding { what: "identity", value: format!("{} → {}", identity.node, identity.mqtt), problem: None },
        Err(error) => Finding { what: "identity", value: dir.display().to_string(), problem: Some(error.fault()) },
    }
}

/// Whether we may write to the directory, or make it below the nearest one that is there.
fn writable(dir: &Path) -> Result<(), Fault> {
    let there = dir.ancestors().find(|ancestor| ancestor.exists()).unwrap_or(Path::new("/"));
    let refused =
        |cause: &dyn std::fmt::Display| Fault::new(&node::CHECK_NOT_WRITABLE).with("path", dir.display()).with("cause", cause);
    if !there.is_dir() {
        return Err(refused(&format!("{} is not a directory", there.display())));
    }
    access(there, Access::WRITE_OK | Access::EXEC_OK).map_err(|error| refused(&io::Error::from(error)))
}

fn listens(socket: &Path) -> Result<(), Fault> {
    let refused =
        |cause: &dyn std::fmt::Display| Fault::new(&node::CHECK_NO_SOCKET).with("path", socket.display()).with("cause", cause);
    let meta = fs::metadata(socket).map_err(|error| refused(&error))?;
    if !meta.file_type().is_socket() {
        return Err(refused(&"not a socket"));
    }
    UnixStream::connect(socket).map(drop).map_err(|error| refused(&error))
}

/// Whether neighbours can reach a daemon on this machine there. The one that runs already may hold it.
fn listens_at(address: SocketAddr, config: &Config) -> Result<(), Fault> {
    match TcpListener::bind(address) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse && UnixStream::connect(config.socket()).is_ok() => Ok(()),
        Err(error) => Err(Fault::new(&node::CHECK_NO_LISTENER).with("address", address).with("cause", error)),
    }
}

fn plugins(config: &Config, searched: &str) -> Result<(), Fault> {
    let there = |plugin: &str| config.network.cni_dirs.iter().any(|dir| access(dir.join(plugin), Access::EXEC_OK).is_ok());
    match PLUGINS.iter().find(|plugin| !there(plugin)) {
        Some(plugin) => Err(Fault::new(&node::CNI_MISSING).with("plugin", plugin).with("searched", searched)),
        None => Ok(()),
    }
}

/// A bind root that is not there forbids nothing and allows nothing; only something else in its place is wrong.
fn directory(path: &Path) -> Result<(), Fault> {
    match fs::metadata(path) {
        Ok(meta) if meta.is_dir() => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Ok(_) => Err(Fault::new(&node::CHECK_NO_DIRECTORY).with("path", path.display()).with("cause", "another kind of file")),
        Err(error) => Err(Fault::new(&node::CHECK_NO_DIRECTORY).with("path", path.display()).with("cause", error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixListener;

    use crate::config::{NeighboursConfig, NetworkConfig, RuntimeConfig};

    #[test]
    fn problems_of_the_machine_are_found_one_by_one() {
        let dir = tempfile::tempdir().expect("dir");
        let file = dir.path().join("file");
        fs::write(&file, "").expect("written");
        let good = Config {
            state_dir: dir.path().join("a/b/state"),
            run_dir: dir.path().join("run"),
            bind_roots: vec![dir.path().into(), dir.path().join("not-there")],
            ..Config::default()
        };
        let problem = |config: &Config, what: &str| {
            let found = check(config).into_iter().find(|finding| finding.what == what && finding.problem.is_some());
            found.and_then(|finding| finding.problem).map(|fault| fault.code)
        };
        for what in ["state_dir", "run_dir", "socket", "bind_roots", "runtime.kind"] {
            assert_eq!(problem(&good, what), None, "{what}");
        }
        assert_eq!(problem(&good, "identity").as_deref(), Some("trust-not-joined"));
        assert!(!dir.path().join("a").exists(), "nothing was made");

        let runtime = RuntimeConfig { socket: file.clone(), ..RuntimeConfig::default() };
        let network = NetworkConfig { cni_dirs: vec![dir.path().into()], ..NetworkConfig::default() };
        let bad = Config { state_dir: file.join("x"), bind_roots: vec![file.clone()], runtime, network, ..good };
        for (what, code) in [
            ("state_dir", "node-check-not-writable"),
            ("bind_roots", "node-check-no-directory"),
            ("runtime.socket", "node-check-no-socket"),
            ("network.cni_dirs", "node-cni-missing"),
        ] {
            assert_eq!(problem(&bad, what).as_deref(), Some(code), "{what}");
        }
    }

    #[test]
    fn neighbours_need_a_port_that_nobody_holds_but_the_daemon() {
        let dir = tempfile::tempdir().expect("dir");
        let holder = TcpListener::bind("127.0.0.1:0").expect("bound");
        let address = holder.local_addr().expect("address");
        let neighbours = NeighboursConfig { address: Some(address) };
        let config = Config { run_dir: dir.path().into(), neighbours, ..Config::default() };
        let found = |config: &Config| {
            let found = check(config).into_iter().find(|finding| finding.what == "neighbours.address")?;
            Some((found.value, found.problem.map(|fault| fault.code)))
        };
        let taken = Some("node-check-no-listener".to_owned());
        assert_eq!(found(&config), Some((address.to_string(), taken)), "somebody else holds it");
        let _daemon = UnixListener::bind(config.socket()).expect("bound");
        assert_eq!(found(&config), Some((address.to_string(), None)), "the daemon runs and holds it");
        drop(holder);
        assert_eq!(found(&config), Some((address.to_string(), None)));
        assert_eq!(found(&Config::default()), None, "nothing is shared");
    }
}
