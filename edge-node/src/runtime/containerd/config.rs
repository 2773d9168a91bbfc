//! Where the runtime keeps things, and what this node lets an app have.

use std::path::PathBuf;

/// Settings of the containerd runtime; [`Default`] is what an installed node uses.
#[derive(Debug, Clone)]
pub struct Config {
    /// Socket of containerd.
    pub socket: PathBuf,
    /// Our containerd namespace; also the name of our cgroup, because runc's state is global per namespace.
    pub namespace: String,
    /// Survives a reboot: `volumes/<app>/<volume>`, `secrets/<app>/<name>`, `logs/<app>/<service>`.
    pub state: PathBuf,
    /// Gone after a reboot: network namespaces, CNI's memory, files made for one instance.
    pub run: PathBuf,
    /// containerd's snapshotter.
    pub snapshotter: String,
    /// The program that writes the logs: the daemon's own, on a path that outlives an upgrade.
    pub log_sink: PathBuf,
    /// Directories searched for CNI plugins, first hit wins.
    pub cni_dirs: Vec<PathBuf>,
    /// Name of the bridge, and of the CNI network.
    pub bridge: String,
    /// The bridge's addresses.
    pub subnet: String,
    /// Directories of the node below which an app may bind-mount.
    pub bind_roots: Vec<PathBuf>,
    /// Beginnings of device paths that an app may ask for, compared after symlinks were followed.
    pub devices: Vec<String>,
    /// Capabilities, without `CAP_`, that an app may add to the default set.
    pub capabilities: Vec<String>,
    /// Whether an app may use the node's own network: it reaches what listens on the loopback, and every port is its own.
    pub host_network: bool,
    /// Memory of a service that names no limit, in bytes.
    pub memory: u64,
    /// Processes and threads of a service that names no limit.
    pub pids: u32,
    /// Largest log file, in bytes; each service has two.
    pub log_bytes: u64,
}

/// Serial lines, cameras, buses, GPUs and sound: what edge apps ask for. Disks, memory and `/dev/net/tun` are not here.
const DEVICES: &[&str] = &[
    "/dev/ttyUSB",
    "/dev/ttyACM",
    "/dev/ttyS",
    "/dev/ttyAMA",
    "/dev/video",
    "/dev/media",
    "/dev/i2c-",
    "/dev/spidev",
    "/dev/gpiochip",
    "/dev/bus/usb/",
    "/dev/input/",
    "/dev/snd/",
    "/dev/dri/",
    "/dev/nvidia",
    "/dev/watchdog",
    "/dev/rtc",
];

/// What cannot leave a container with its own namespaces, device rules and seccomp filter.
const CAPABILITIES: &[&str] = &["AUDIT_WRITE", "IPC_LOCK", "MKNOD", "NET_ADMIN", "NET_BROADCAST", "NET_RAW", "SYS_NICE"];

impl Default for Config {
    fn default() -> Self {
        let strings = |list: &[&str]| list.iter().map(ToString::to_string).collect();
        Self {
            socket: "/run/containerd/containerd.sock".into(),
            namespace: "causeway".into(),
            state: "/var/lib/causeway".into(),
            run: "/run/causeway".into(),
            snapshotter: "overlayfs".into(),
            log_sink: "/usr/bin/edge-node".into(),
            cni_dirs: vec!["/usr/lib/cni".into(), "/opt/cni/bin".into()],
            bridge: "causeway0".into(),
            subnet: "10.231.0.0/16".into(),
            bind_roots: vec!["/srv".into(), "/mnt".into(), "/media".into()],
            devices: strings(DEVICES),
            capabilities: strings(CAPABILITIES),
            host_network: false,
            memory: 256 << 20,
            pids: 512,
            log_bytes: 10 << 20,
        }
    }
}
