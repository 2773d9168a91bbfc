//! The OCI runtime specification of one container: a pure function of the service, its image's defaults and what the
//! node lends it. All safe defaults stand here: no new privileges, few capabilities, seccomp, limits, device rules.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use shared::fault::{Fault, node};
use shared::manifest::{Mount, Service};
use shared::oci::{ImageConfig, ProcessConfig};
use shared::release::InstanceSpec;

use super::capabilities;
use super::user::User;

/// Docker's default seccomp profile, for the default capabilities, without `AF_ALG`, `AF_VSOCK` and io_uring (as
/// containerd 2.0): an allow-list in OCI form, one per processor.
#[cfg(target_arch = "x86_64")]
const SECCOMP: &str = include_str!("seccomp/x86_64.json");
#[cfg(target_arch = "aarch64")]
const SECCOMP: &str = include_str!("seccomp/aarch64.json");
#[cfg(target_arch = "arm")]
const SECCOMP: &str = include_str!("seccomp/arm.json");

/// Allowed in addition for a service with `SYS_NICE`, as in Docker's profile.
const SECCOMP_NICE: &[&str] = &["get_mempolicy", "mbind", "set_mempolicy", "set_mempolicy_home_node"];

/// Hidden from containers: Docker's list.
const MASKED: &[&str] = &[
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
];

/// Read-only in containers: Docker's list.
const READ_ONLY: &[&str] = &["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What the node lends one instance, read from the node before.
#[derive(Debug, Clone)]
pub struct Ground {
    /// The resolved user.
    pub user: User,
    /// Files and directories of the node.
    pub lent: Vec<Lent>,
    /// Devices of the node.
    pub devices: Vec<DeviceNode>,
    /// The network namespace.
    pub network: Netns,
    /// The kernel we run on.
    pub host: Host,
    /// `/<namespace>/<instance>`.
    pub cgroup: String,
}

/// A file or directory of the node that the container sees.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lent {
    /// Absolute path on the node.
    pub source: String,
    /// Absolute path in the container.
    pub target: String,
    /// Mounted read-only.
    pub read_only: bool,
}

/// A device node to make in the container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceNode {
    /// Path in the container.
    pub path: String,
    /// `c` or `b`.
    pub kind: &'static str,
    /// Major number.
    pub major: u32,
    /// Minor number.
    pub minor: u32,
    /// Owner, group and permission bits, as on the node.
    pub owner: (u32, u32, u32),
    /// Any of `r`, `w`, `m`.
    pub access: String,
}

/// Which network a container is in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Netns {
    /// A namespace that the node made, at this path.
    Path(String),
    /// The node's own.
    Host,
    /// A new one with loopback only, made by runc.
    Empty,
}

/// Facts about the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Host {
    /// Only cgroup v2 is mounted.
    pub cgroup2: bool,
    /// The kernel counts swap; without it runc refuses a swap limit.
    pub swap: bool,
    /// Our own hard limit of open files: without CAP_SYS_RESOURCE runc cannot set a higher one.
    pub files: u64,
}

/// What the node's configuration decides.
#[derive(Debug, Clone)]
pub struct Rules<'a> {
    /// Capabilities that may be added.
    pub capabilities: &'a [String],
    /// Memory without a limit in the manifest, in bytes.
    pub memory: u64,
    /// Processes without a limit in the manifest.
    pub pids: u32,
}

/// The whole specification (runtime-spec 1.0.2), ready for containerd.
pub fn build(spec: &InstanceSpec, image: &ImageConfig, ground: &Ground, rules: &Rules<'_>) -> Result<Value, Fault> {
    let service = &spec.definition;
    let capabilities = capabilities::of(service, rules.capabilities)?;
    Ok(json!({
        "ociVersion": "1.0.2",
        "hostname": spec.service.as_str(),
        "root": {"path": "rootfs", "readonly": service.read_only},
        "process": process(spec, &image.config, ground, &capabilities)?,
        "mounts": mounts(spec, ground)?,
        "linux": {
            "cgroupsPath": ground.cgroup,
            "namespaces": namespaces(ground),
            "resources": resources(service, ground, rules),
            "devices": ground.devices.iter().map(device).collect::<Vec<_>>(),
            "sysctl": sysctl(&ground.network),
            "maskedPaths": MASKED,
            "readonlyPaths": READ_ONLY,
            "seccomp": seccomp(&capabilities),
        },
    }))
}

/// The user a service asks for: its own, else the image's.
pub fn user<'a>(service: &'a Service, image: &'a ImageConfig) -> &'a str {
    service.user.as_deref().unwrap_or(&image.config.user)
}

/// The signal that asks the process to end: the service's, else the image's, else SIGTERM.
pub fn stop_signal(service: &Service, image: &ImageConfig) -> Result<u32, Fault> {
    let name = service.stop_signal.as_deref().unwrap_or(&image.config.stop_signal);
    if name.is_empty() {
        return Ok(15);
    }
    signal(name).ok_or_else(|| Fault::new(&node::SIGNAL_UNKNOWN).with("signal", name.chars().take(32).collect::<String>()))
}

/// Signals in the order of their numbers on x86 and ARM, from 1.
const SIGNALS: &[&str] = &[
    "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2", "PIPE", "ALRM", "TERM", "STKFLT",
    "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG", "XCPU", "XFSZ", "VTALRM", "PROF", "WINCH", "IO", "PWR", "SYS",
];

fn signal(name: &str) -> Option<u32> {
    if let Ok(number) = name.parse::<u32>() {
        return (1..=64).contains(&number).then_some(number);
    }
    let name = name.to_ascii_uppercase();
    let name = name.strip_prefix("SIG").unwrap_or(&name);
    if let Some(above) = name.strip_prefix("RTMIN") {
        let above: u32 = if above.is_empty() { 0 } else { above.strip_prefix('+')?.parse().ok()? };
        return (above <= 30).then_some(34 + above);
    }
    SIGNALS.iter().position(|known| *known == name).and_then(|at| u32::try_from(at + 1).ok())
}

fn process(spec: &InstanceSpec, image: &ProcessConfig, ground: &Ground, capabilities: &[String]) -> Result<Value, Fault> {
    let User { uid, gid, groups, .. } = &ground.user;
    let working_dir = spec.definition.working_dir.as_ref().unwrap_or(&image.working_dir);
    // Soft 65536 because many servers never raise it; 524288 is systemd's hard limit.
    let (soft, hard) = (ground.host.files.min(65_536), ground.host.files.min(524_288));
    Ok(json!({
        "terminal": false,
        "user": {"uid": uid, "gid": gid, "additionalGids": groups},
        "args": arguments(spec, image)?,
        "env": environment(spec, image, &ground.user)?,
        "cwd": if working_dir.is_empty() { "/" } else { checked_path(spec, "the working directory", working_dir, false)? },
        // Neither inheritable nor ambient (CVE-2022-24769).
        "capabilities": {"bounding": capabilities, "effective": capabilities, "permitted": capabilities},
        "rlimits": [{"type": "RLIMIT_NOFILE", "soft": soft, "hard": hard}, {"type": "RLIMIT_CORE", "soft": 0, "hard": 0}],
        "noNewPrivileges": true,
        // Without it containers would inherit the shim's -999 and never be chosen by the kernel.
        "oomScoreAdj": 0,
    }))
}

/// Compose: `entrypoint` replaces the image's and drops its `Cmd`; `command` replaces `Cmd`.
fn arguments(spec: &InstanceSpec, image: &ProcessConfig) -> Result<Vec<String>, Fault> {
    let service = &spec.definition;
    let entrypoint = service.entrypoint.as_ref().unwrap_or(&image.entrypoint);
    let command = match (&service.command, &service.entrypoint) {
        (Some(command), _) => command.as_slice(),
        (None, Some(_)) => &[],
        (None, None) => &image.cmd,
    };
    let arguments: Vec<String> = entrypoint.iter().chain(command).cloned().collect();
    if arguments.first().is_none_or(String::is_empty) {
        return Err(Fault::new(&node::COMMAND_MISSING).with("service", &spec.service));
    }
    no_nul(spec, "the command", arguments)
}

/// The image's environment, then the service's, then what every program expects.
fn environment(spec: &InstanceSpec, image: &ProcessConfig, user: &User) -> Result<Vec<String>, Fault> {
    let split = |pair: &'_ str| pair.split_once('=').map(|(key, value)| (key.to_owned(), value.to_owned()));
    let mut all: BTreeMap<String, String> = image.env.iter().filter_map(|pair| split(pair)).collect();
    all.extend(spec.definition.environment.clone());
    for (key, value) in [("HOME", user.home.as_str()), ("HOSTNAME", spec.service.as_str()), ("PATH", PATH)] {
        all.entry(key.into()).or_insert_with(|| value.into());
    }
    no_nul(spec, "the environment", all.into_iter().map(|(key, value)| format!("{key}={value}")).collect())
}

fn no_nul(spec: &InstanceSpec, what: &str, texts: Vec<String>) -> Result<Vec<String>, Fault> {
    if texts.iter().any(|text| text.contains('\0')) {
        return Err(Fault::new(&node::TEXT_REFUSED).with("what", what).with("service", &spec.service));
    }
    Ok(texts)
}

/// A path inside the container that cannot steer runc: absolute, no `..` (it is resolved inside the root anyway), and
/// nothing below `/proc` (CVE-2024-21626 entered the node through a working directory there).
fn checked_path<'a>(spec: &InstanceSpec, what: &str, path: &'a str, mount: bool) -> Result<&'a str, Fault> {
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
    let first = parts.first().copied().unwrap_or_default();
    let bad = !path.starts_with('/')
        || path.contains('\0')
        || path.len() > 4095
        || parts.contains(&"..")
        || ["proc", "sys"].contains(&first)
        || (mount && (parts.is_empty() || parts == ["dev"]));
    if bad {
        let path: String = path.chars().take(200).collect();
        return Err(Fault::new(&node::PATH_REFUSED).with("path", path).with("what", what).with("service", &spec.service));
    }
    Ok(path)
}

/// The file systems of every container, then what the service mounts: short targets first, so that none hides another.
fn mounts(spec: &InstanceSpec, ground: &Ground) -> Result<Vec<Value>, Fault> {
    let mut own: Vec<(String, Value)> = Vec::new();
    for Lent { source, target, read_only } in &ground.lent {
        checked_path(spec, "a mount", target, true)?;
        // Not recursive when read-only: runc makes only the top mount so, and one below would stay writable.
        let (bind, mode) = if *read_only { ("bind", "ro") } else { ("rbind", "rw") };
        let options = [bind, "rprivate", "nosuid", "nodev", mode];
        own.push((target.clone(), json!({"destination": target, "type": "bind", "source": source, "options": options})));
    }
    for mount in &spec.definition.volumes {
        if let Mount::Tmpfs { target, size } = mount {
            checked_path(spec, "a mount", target, true)?;
            let size = format!("size={}", size.map_or(64 << 20, |size| size.0));
            let options = ["nosuid", "nodev", "mode=1777", &size];
            own.push((target.clone(), json!({"destination": target, "type": "tmpfs", "source": "tmpfs", "options": options})));
        }
    }
    own.sort_by_key(|(target, _)| target.split('/').filter(|part| !part.is_empty()).count());
    Ok(base_mounts().into_iter().chain(own.into_iter().map(|(_, mount)| mount)).collect())
}

/// What containerd's own clients mount by default.
fn base_mounts() -> Vec<Value> {
    let mount = |target: &str, kind: &str, options: &[&str]| json!({"destination": target, "type": kind, "source": kind, "options": options});
    vec![
        mount("/proc", "proc", &["nosuid", "noexec", "nodev"]),
        mount("/dev", "tmpfs", &["nosuid", "strictatime", "mode=755", "size=65536k"]),
        mount("/dev/pts", "devpts", &["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]),
        mount("/dev/shm", "tmpfs", &["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"]),
        mount("/dev/mqueue", "mqueue", &["nosuid", "noexec", "nodev"]),
        mount("/sys", "sysfs", &["nosuid", "noexec", "nodev", "ro"]),
        mount("/sys/fs/cgroup", "cgroup", &["nosuid", "noexec", "nodev", "relatime", "ro"]),
    ]
}

fn namespaces(ground: &Ground) -> Vec<Value> {
    let mut all: Vec<Value> = ["pid", "ipc", "uts", "mount"].iter().map(|kind| json!({"type": kind})).collect();
    match &ground.network {
        Netns::Path(path) => all.push(json!({"type": "network", "path": path})),
        Netns::Empty => all.push(json!({"type": "network"})),
        Netns::Host => {}
    }
    if ground.host.cgroup2 {
        all.push(json!({"type": "cgroup"}));
    }
    all
}

/// Safe to open in a network of one's own: unprivileged ping, and ports below 1024 for users other than root.
fn sysctl(network: &Netns) -> Value {
    match network {
        Netns::Host => json!({}),
        Netns::Path(_) | Netns::Empty => {
            json!({"net.ipv4.ip_unprivileged_port_start": "0", "net.ipv4.ping_group_range": "0 2147483647"})
        }
    }
}

fn resources(service: &Service, ground: &Ground, rules: &Rules<'_>) -> Value {
    let limits = &service.deploy.resources.limits;
    let memory = limits.memory.map_or(rules.memory, |size| size.0);
    let memory = if ground.host.swap { json!({"limit": memory, "swap": memory}) } else { json!({"limit": memory}) };
    // Everything is denied first; runc itself allows null, zero, full, random, urandom, tty and the terminals.
    let deny = json!({"allow": false, "access": "rwm"});
    let allow = ground
        .devices
        .iter()
        .map(|d| json!({"allow": true, "type": d.kind, "major": d.major, "minor": d.minor, "access": d.access}));
    let mut all = json!({
        "devices": std::iter::once(deny).chain(allow).collect::<Vec<_>>(),
        "memory": memory,
        "pids": {"limit": limits.pids.unwrap_or(rules.pids)},
    });
    if let (Some(milli), Some(all)) = (limits.milli_cpus, all.as_object_mut()) {
        // The kernel's smallest quota is 1 ms.
        let quota = (u64::from(milli) * 100).max(1000);
        all.insert("cpu".into(), json!({"period": 100_000, "quota": quota}));
    }
    all
}

fn device(device: &DeviceNode) -> Value {
    let DeviceNode { path, kind, major, minor, owner: (uid, gid, mode), .. } = device;
    json!({"path": path, "type": kind, "major": major, "minor": minor, "uid": uid, "gid": gid, "fileMode": mode})
}

fn seccomp(capabilities: &[String]) -> Value {
    // The text is part of the program and a test reads every one of the three; were one broken, nothing is allowed.
    let mut profile: Value = serde_json::from_str(SECCOMP).unwrap_or_else(|_| json!({"defaultAction": "SCMP_ACT_ERRNO"}));
    let rules = profile.get_mut("syscalls").and_then(Value::as_array_mut);
    if let (Some(rules), true) = (rules, capabilities.iter().any(|name| name == "CAP_SYS_NICE")) {
        rules.push(json!({"names": SECCOMP_NICE, "action": "SCMP_ACT_ALLOW"}));
    }
    profile
}

/// The smallest service, for tests.
#[cfg(test)]
pub(super) fn service() -> Service {
    serde_json::from_value(json!({"image": "example/app:1"})).expect("a service")
}

#[cfg(test)]
mod tests;
