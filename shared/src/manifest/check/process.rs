//! The process of a service: image, words, environment, user, capabilities, signal, limits, health check.

use super::super::bounds::{
    ARG_MAX, ARGS_MAX, ENVIRONMENT_MAX, MEMORY_MIN, MILLI_CPUS_MAX, PIDS_MAX, RETRIES_MAX, SIZE_MAX, USER_MAX, VARIABLE_NAME_MAX,
    VARIABLES_MAX,
};
use super::super::problem::shown;
use super::super::{HealthCheck, Limits, NetworkMode, Probe, Restart, Service};
use super::{Findings, image};
use crate::fault::{Fault, manifest as m};

/// Linux's capabilities, `include/uapi/linux/capability.h` of Linux 6.1, without `CAP_`.
const CAPABILITIES: [&str; 41] = [
    "AUDIT_CONTROL",
    "AUDIT_READ",
    "AUDIT_WRITE",
    "BLOCK_SUSPEND",
    "BPF",
    "CHECKPOINT_RESTORE",
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "IPC_LOCK",
    "IPC_OWNER",
    "KILL",
    "LEASE",
    "LINUX_IMMUTABLE",
    "MAC_ADMIN",
    "MAC_OVERRIDE",
    "MKNOD",
    "NET_ADMIN",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_RAW",
    "PERFMON",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYSLOG",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_CHROOT",
    "SYS_MODULE",
    "SYS_NICE",
    "SYS_PACCT",
    "SYS_PTRACE",
    "SYS_RAWIO",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "WAKE_ALARM",
];

/// Signals of Linux by number, from 1 (signal(7), x86 and ARM).
const SIGNALS: [&str; 31] = [
    "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2", "PIPE", "ALRM", "TERM", "STKFLT",
    "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG", "XCPU", "XFSZ", "VTALRM", "PROF", "WINCH", "IO", "PWR", "SYS",
];

pub(super) fn process(f: &mut Findings, path: &str, service: &Service) {
    if !image::is_reference(&service.image) {
        f.add(format!("{path}.image"), Fault::new(&m::BAD_IMAGE).with("value", shown(&service.image)));
    }
    words(f, &format!("{path}.command"), service.command.as_deref().unwrap_or_default());
    words(f, &format!("{path}.entrypoint"), service.entrypoint.as_deref().unwrap_or_default());
    environment(f, &format!("{path}.environment"), service);
    if let Some(user) = &service.user {
        self::user(f, &format!("{path}.user"), user);
    }
    capabilities(f, path, service);
    if let Some(signal) = service.stop_signal.as_ref().filter(|signal| signal_name(signal).as_ref() != Some(*signal)) {
        f.add(format!("{path}.stop_signal"), Fault::new(&m::BAD_SIGNAL).with("value", shown(signal)));
    }
    if service.restart == (Restart::OnFailure { attempts: Some(0) }) {
        f.add(format!("{path}.restart"), Fault::new(&m::BAD_RESTART).with("value", "on-failure:0"));
    }
    limits(f, &format!("{path}.deploy.resources.limits"), &service.deploy.resources.limits);
    if let Some(check) = &service.healthcheck {
        healthcheck(f, &format!("{path}.healthcheck"), check, service.network_mode);
    }
}

fn words(f: &mut Findings, path: &str, words: &[String]) {
    f.at_most(path, words.len(), ARGS_MAX);
    for (n, word) in words.iter().enumerate() {
        f.text(&format!("{path}[{n}]"), word, ARG_MAX);
    }
}

fn environment(f: &mut Findings, path: &str, service: &Service) {
    f.at_most(path, service.environment.len(), VARIABLES_MAX);
    for (name, value) in &service.environment {
        let path = format!("{path}.{name}");
        if name.is_empty() || name.len() > VARIABLE_NAME_MAX || !name.bytes().all(|b| b.is_ascii_graphic() && b != b'=') {
            f.add(&path, Fault::new(&m::BAD_VARIABLE_NAME).with("name", shown(name)));
        }
        f.text(&path, value, ARG_MAX);
    }
    let total: usize = service.environment.iter().map(|(name, value)| name.len() + value.len()).sum();
    if total > ENVIRONMENT_MAX {
        f.add(path, Fault::new(&m::TOO_LONG).with("size", total).with("max", ENVIRONMENT_MAX));
    }
}

/// `user`, `uid`, `user:group` or `uid:gid`; ids fit the kernel's 32 bits, less the one that means none.
fn user(f: &mut Findings, path: &str, text: &str) {
    let fits = |part: &str| {
        let digits = !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        let word = |b: u8| b.is_ascii_graphic() && !matches!(b, b':' | b'/');
        !part.is_empty() && part.bytes().all(word) && (!digits || part.parse::<u32>().is_ok_and(|id| id < u32::MAX))
    };
    let (user, group) = text.split_once(':').map_or((text, None), |(user, group)| (user, Some(group)));
    if text.len() > USER_MAX || !fits(user) || !group.is_none_or(fits) {
        f.add(path, Fault::new(&m::BAD_USER).with("value", shown(text)));
    }
}

fn capabilities(f: &mut Findings, path: &str, service: &Service) {
    for (key, list) in [("cap_add", &service.cap_add), ("cap_drop", &service.cap_drop)] {
        f.at_most(&format!("{path}.{key}"), list.len(), CAPABILITIES.len() + 1);
        for (n, name) in list.iter().enumerate() {
            let path = format!("{path}.{key}[{n}]");
            match name.as_str() {
                "ALL" if key == "cap_add" => f.add(path, Fault::new(&m::CAP_ADD_ALL)),
                "ALL" => {}
                name if CAPABILITIES.contains(&name) => {}
                name => f.add(path, Fault::new(&m::BAD_CAPABILITY).with("value", shown(name))),
            }
        }
    }
}

/// The one way to write a signal: `SIGINT` for `INT`, `SIGINT` and `2`; real-time signals as `SIGRTMIN+3` or `SIGRTMAX-1`.
pub(in crate::manifest) fn signal_name(text: &str) -> Option<String> {
    let bare = text.strip_prefix("SIG").unwrap_or(text);
    let by_number = || bare.parse::<usize>().ok().and_then(|n| SIGNALS.get(n.checked_sub(1)?)).copied();
    if let Some(name) = SIGNALS.iter().find(|name| **name == bare).copied().or_else(by_number) {
        return Some(format!("SIG{name}"));
    }
    let offset = |prefix: &str, sign: char| match bare.strip_prefix(prefix)? {
        "" => Some(0),
        rest => rest.strip_prefix(sign).and_then(super::super::read::whole::<u8>).filter(|n| *n > 0 && *n <= 30),
    };
    (offset("RTMIN", '+').is_some() || offset("RTMAX", '-').is_some()).then(|| format!("SIG{bare}"))
}

fn limits(f: &mut Findings, path: &str, limits: &Limits) {
    if limits.milli_cpus.is_some_and(|milli| milli == 0 || milli > MILLI_CPUS_MAX) {
        f.add(format!("{path}.cpus"), Fault::new(&m::LIMIT_CPUS).with("max", MILLI_CPUS_MAX / 1000));
    }
    if limits.memory.is_some_and(|size| size.0 < MEMORY_MIN || size.0 > SIZE_MAX) {
        f.add(format!("{path}.memory"), Fault::new(&m::LIMIT_MEMORY));
    }
    if limits.pids.is_some_and(|pids| pids == 0 || pids > PIDS_MAX) {
        f.add(format!("{path}.pids"), Fault::new(&m::LIMIT_PIDS).with("max", PIDS_MAX));
    }
}

fn healthcheck(f: &mut Findings, path: &str, check: &HealthCheck, network: NetworkMode) {
    let second = super::super::Period::seconds(1);
    for (key, period) in [("interval", check.interval), ("start_interval", check.start_interval)] {
        if period < second {
            f.add(format!("{path}.{key}"), Fault::new(&m::HEALTH_TOO_OFTEN).with("value", period));
        }
    }
    if check.timeout.duration().is_zero() {
        f.add(format!("{path}.timeout"), Fault::new(&m::HEALTH_NO_TIME));
    }
    if check.retries == 0 || check.retries > RETRIES_MAX {
        f.add(format!("{path}.retries"), Fault::new(&m::HEALTH_RETRIES).with("max", RETRIES_MAX));
    }
    let path = format!("{path}.test");
    match &check.test {
        Probe::Exec(args) if args.first().is_none_or(String::is_empty) => {
            f.add(&path, Fault::new(&m::BAD_TEST).with("cause", "CMD"));
        }
        Probe::Exec(args) => words(f, &path, args),
        Probe::Shell(line) => f.text(&path, line, ARG_MAX),
        Probe::Http { .. } | Probe::Tcp { .. } if network == NetworkMode::None => f.add(&path, Fault::new(&m::HEALTH_NO_NETWORK)),
        Probe::Http { .. } | Probe::Tcp { .. } => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_have_one_name() {
        for (text, name) in
            [("TERM", "SIGTERM"), ("SIGINT", "SIGINT"), ("9", "SIGKILL"), ("RTMIN+3", "SIGRTMIN+3"), ("SIGRTMAX", "SIGRTMAX")]
        {
            assert_eq!(signal_name(text).as_deref(), Some(name));
            assert_eq!(signal_name(name).as_deref(), Some(name), "its own name");
        }
        for text in ["", "0", "32", "SIG", "TERMINATE", "RTMIN-1", "RTMIN+99", "RTMIN+", "-1", "sigterm"] {
            assert_eq!(signal_name(text), None, "{text}");
        }
    }

    #[test]
    fn the_lists_are_sorted_and_whole() {
        assert!(CAPABILITIES.is_sorted());
        assert_eq!(SIGNALS.iter().position(|name| *name == "TERM"), Some(14));
    }
}
