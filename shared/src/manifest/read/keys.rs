//! Which keys a map may have, and what to say about every other one.
//!
//! Keys of the Compose Specification that Causeway does not support are listed with the text that explains
//! why and names the nearest thing; a key that nobody knows gets the nearest supported one by edit distance.

use crate::fault::{Fault, Text, manifest as m};

use super::super::problem::shown;

/// The keys of one kind of map.
pub(super) struct Keys {
    /// Keys that are read.
    pub(super) supported: &'static [&'static str],
    /// Keys of the Compose Specification that are refused, with the reason.
    pub(super) refused: &'static [(&'static str, &'static Text)],
}

impl Keys {
    /// Whether `key` is read, or is an extension (`x-…`), which Compose ignores by definition.
    pub(super) fn knows(&self, key: &str) -> bool {
        self.supported.contains(&key) || key.starts_with("x-")
    }

    /// Why `key` is refused; `None` when it is not.
    pub(super) fn refuse(&self, key: &str) -> Option<Fault> {
        if self.knows(key) {
            return None;
        }
        if let Some((_, text)) = self.refused.iter().find(|(refused, _)| *refused == key) {
            return Some(Fault::new(text).with("key", key));
        }
        let fault = match nearest(key, self.supported) {
            Some(near) => Fault::new(&m::UNKNOWN_KEY).with("near", near),
            None => Fault::new(&m::UNKNOWN_KEY_LIST).with("keys", self.supported.join(", ")),
        };
        Some(fault.with("key", shown(key)))
    }
}

const fn keys(supported: &'static [&'static str], refused: &'static [(&'static str, &'static Text)]) -> Keys {
    Keys { supported, refused }
}

pub(super) static APP: Keys = keys(
    &["apiVersion", "kind", "metadata", "spec"],
    &[("services", &m::KEY_BELONGS_BELOW_SPEC), ("volumes", &m::KEY_BELONGS_BELOW_SPEC), ("configs", &m::KEY_BELONGS_BELOW_SPEC)],
);
pub(super) static METADATA: Keys =
    keys(&["name", "version", "description", "labels"], &[("annotations", &m::KEY_LABELS), ("namespace", &m::KEY_NAMESPACE)]);
pub(super) static SPEC: Keys = keys(&["services", "volumes", "configs", "secrets", "update"], TOP_REFUSED);
pub(super) static COMPOSE: Keys = keys(&["name", "version", "services", "volumes", "configs", "secrets"], TOP_REFUSED);
const TOP_REFUSED: &[(&str, &Text)] = &[("networks", &m::KEY_NETWORKS), ("include", &m::KEY_EXTENDS), ("models", &m::KEY_SWARM)];

pub(super) static UPDATE: Keys = keys(&["deadline", "settle"], &[]);
pub(super) static VOLUME: Keys = keys(
    &["driver"],
    &[
        ("name", &m::KEY_SHARED_NAME),
        ("external", &m::KEY_VOLUME_EXTERNAL),
        ("driver_opts", &m::KEY_VOLUME_DRIVER),
        ("labels", &m::KEY_SHARED_LABELS),
    ],
);
pub(super) static CONFIG: Keys = keys(
    &["content", "file"],
    &[
        ("name", &m::KEY_SHARED_NAME),
        ("external", &m::KEY_CONFIG_EXTERNAL),
        ("environment", &m::KEY_CONFIG_ENVIRONMENT),
        ("labels", &m::KEY_SHARED_LABELS),
        ("template_driver", &m::KEY_SWARM),
    ],
);
pub(super) static SECRET: Keys = keys(
    &["external"],
    &[
        ("file", &m::KEY_SECRET_CONTENT),
        ("environment", &m::KEY_SECRET_CONTENT),
        ("content", &m::KEY_SECRET_CONTENT),
        ("name", &m::KEY_SHARED_NAME),
        ("labels", &m::KEY_SHARED_LABELS),
        ("driver", &m::KEY_SWARM),
        ("driver_opts", &m::KEY_SWARM),
        ("template_driver", &m::KEY_SWARM),
    ],
);

pub(super) static SERVICE: Keys = keys(
    &[
        "image",
        "command",
        "entrypoint",
        "environment",
        "ports",
        "volumes",
        "tmpfs",
        "devices",
        "healthcheck",
        "depends_on",
        "restart",
        "stop_grace_period",
        "stop_signal",
        "deploy",
        "cpus",
        "mem_limit",
        "pids_limit",
        "cap_add",
        "cap_drop",
        "read_only",
        "user",
        "working_dir",
        "network_mode",
        "labels",
        "configs",
        "secrets",
    ],
    &[
        ("build", &m::KEY_BUILD),
        ("develop", &m::KEY_BUILD),
        ("platform", &m::KEY_PLATFORM),
        ("pull_policy", &m::KEY_PLATFORM),
        ("networks", &m::KEY_NETWORKS),
        ("links", &m::KEY_NETWORKS),
        ("external_links", &m::KEY_NETWORKS),
        ("mac_address", &m::KEY_NETWORKS),
        ("expose", &m::KEY_EXPOSE),
        ("container_name", &m::KEY_HOSTNAME),
        ("hostname", &m::KEY_HOSTNAME),
        ("domainname", &m::KEY_HOSTNAME),
        ("extra_hosts", &m::KEY_DNS),
        ("dns", &m::KEY_DNS),
        ("dns_opt", &m::KEY_DNS),
        ("dns_search", &m::KEY_DNS),
        ("privileged", &m::KEY_PRIVILEGED),
        ("security_opt", &m::KEY_SECURITY_OPT),
        ("credential_spec", &m::KEY_SECURITY_OPT),
        ("group_add", &m::KEY_GROUP_ADD),
        ("device_cgroup_rules", &m::KEY_DEVICES),
        ("gpus", &m::KEY_DEVICES),
        ("extends", &m::KEY_EXTENDS),
        ("profiles", &m::KEY_PROFILES),
        ("logging", &m::KEY_LOGGING),
        ("log_driver", &m::KEY_LOGGING),
        ("log_opt", &m::KEY_LOGGING),
        ("attach", &m::KEY_TERMINAL),
        ("tty", &m::KEY_TERMINAL),
        ("stdin_open", &m::KEY_TERMINAL),
        ("env_file", &m::KEY_ENV_FILE),
        ("label_file", &m::KEY_LABELS),
        ("annotations", &m::KEY_LABELS),
        ("pid", &m::KEY_SHARED_NAMESPACE),
        ("ipc", &m::KEY_SHARED_NAMESPACE),
        ("uts", &m::KEY_SHARED_NAMESPACE),
        ("userns_mode", &m::KEY_SHARED_NAMESPACE),
        ("cgroup", &m::KEY_SHARED_NAMESPACE),
        ("cgroup_parent", &m::KEY_SHARED_NAMESPACE),
        ("isolation", &m::KEY_SHARED_NAMESPACE),
        ("runtime", &m::KEY_RUNTIME),
        ("sysctls", &m::KEY_SYSCTLS),
        ("ulimits", &m::KEY_OTHER_LIMIT),
        ("cpu_count", &m::KEY_OTHER_LIMIT),
        ("cpu_percent", &m::KEY_OTHER_LIMIT),
        ("cpu_shares", &m::KEY_OTHER_LIMIT),
        ("cpu_period", &m::KEY_OTHER_LIMIT),
        ("cpu_quota", &m::KEY_OTHER_LIMIT),
        ("cpu_rt_period", &m::KEY_OTHER_LIMIT),
        ("cpu_rt_runtime", &m::KEY_OTHER_LIMIT),
        ("cpuset", &m::KEY_OTHER_LIMIT),
        ("mem_reservation", &m::KEY_OTHER_LIMIT),
        ("mem_swappiness", &m::KEY_OTHER_LIMIT),
        ("memswap_limit", &m::KEY_OTHER_LIMIT),
        ("oom_kill_disable", &m::KEY_OTHER_LIMIT),
        ("oom_score_adj", &m::KEY_OTHER_LIMIT),
        ("blkio_config", &m::KEY_OTHER_LIMIT),
        ("storage_opt", &m::KEY_OTHER_LIMIT),
        ("shm_size", &m::KEY_SHM_SIZE),
        ("scale", &m::KEY_REPLICAS),
        ("init", &m::KEY_INIT),
        ("volumes_from", &m::KEY_VOLUMES_FROM),
        ("volume_driver", &m::KEY_VOLUME_DRIVER),
        ("post_start", &m::KEY_HOOKS),
        ("pre_stop", &m::KEY_HOOKS),
        ("provider", &m::KEY_SWARM),
        ("models", &m::KEY_SWARM),
        ("use_api_socket", &m::KEY_SWARM),
    ],
);

pub(super) static PORT: Keys =
    keys(&["target", "published", "host_ip", "protocol", "mode"], &[("name", &m::KEY_LABELS), ("app_protocol", &m::KEY_LABELS)]);
pub(super) static MOUNT_VOLUME: Keys = keys(&["type", "source", "target", "read_only"], MOUNT_REFUSED);
pub(super) static MOUNT_BIND: Keys = keys(&["type", "source", "target", "read_only", "bind"], MOUNT_REFUSED);
pub(super) static MOUNT_TMPFS: Keys = keys(&["type", "target", "tmpfs", "size"], MOUNT_REFUSED);
const MOUNT_REFUSED: &[(&str, &Text)] = &[
    ("consistency", &m::KEY_MOUNT_OPTION),
    ("volume", &m::KEY_MOUNT_OPTION),
    ("bind", &m::KEY_MOUNT_OPTION),
    ("tmpfs", &m::KEY_MOUNT_OPTION),
    ("image", &m::KEY_MOUNT_OPTION),
    ("source", &m::KEY_MOUNT_OPTION),
    ("read_only", &m::KEY_MOUNT_OPTION),
];
pub(super) static BIND: Keys = keys(
    &["create_host_path"],
    &[("propagation", &m::KEY_MOUNT_OPTION), ("selinux", &m::KEY_MOUNT_OPTION), ("recursive", &m::KEY_MOUNT_OPTION)],
);
pub(super) static TMPFS: Keys = keys(&["size"], &[("mode", &m::KEY_MOUNT_OPTION)]);
pub(super) static DEVICE: Keys = keys(&["source", "target", "permissions"], &[]);
pub(super) static HEALTHCHECK: Keys =
    keys(&["test", "interval", "timeout", "retries", "start_period", "start_interval", "disable"], &[]);
pub(super) static DEPENDENCY: Keys = keys(&["condition", "required", "restart"], &[]);
pub(super) static GRANT: Keys = keys(&["source", "target", "uid", "gid", "mode"], &[]);
pub(super) static DEPLOY: Keys = keys(
    &["resources"],
    &[
        ("replicas", &m::KEY_REPLICAS),
        ("mode", &m::KEY_REPLICAS),
        ("placement", &m::KEY_REPLICAS),
        ("restart_policy", &m::KEY_RESTART_POLICY),
        ("update_config", &m::KEY_UPDATE_CONFIG),
        ("rollback_config", &m::KEY_UPDATE_CONFIG),
        ("labels", &m::KEY_LABELS),
        ("endpoint_mode", &m::KEY_NETWORKS),
    ],
);
pub(super) static RESOURCES: Keys = keys(&["limits"], &[("reservations", &m::KEY_OTHER_LIMIT)]);
pub(super) static LIMITS: Keys = keys(&["cpus", "memory", "pids"], &[]);

/// The entry of `list` that `text` was probably meant to be: at most a third of its letters differ.
pub(super) fn nearest<'l>(text: &str, list: &[&'l str]) -> Option<&'l str> {
    const LONGEST: usize = 40;
    let text: Vec<char> = text.chars().take(LONGEST).map(|c| if c == '-' { '_' } else { c.to_ascii_lowercase() }).collect();
    let scored = list.iter().map(|entry| (distance(&text, &entry.to_ascii_lowercase().chars().collect::<Vec<_>>()), *entry));
    scored.min().filter(|(distance, entry)| distance * 3 <= entry.len().max(3)).map(|(_, entry)| entry)
}

/// Letters to insert, delete, replace or swap with their neighbour to make one of the other (optimal string alignment).
fn distance(a: &[char], b: &[char]) -> usize {
    let at = |row: &[usize], j: usize| row.get(j).copied().unwrap_or_default();
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=b.len()).collect();
    let mut last = None;
    for (i, x) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        let mut left = None;
        for (j, y) in b.iter().enumerate() {
            let mut best = (at(&above, j) + usize::from(x != y)).min(at(&above, j + 1) + 1).min(at(&row, j) + 1);
            if last == Some(y) && left == Some(x) {
                best = best.min(at(&before, j.saturating_sub(1)) + 1);
            }
            row.push(best);
            left = Some(y);
        }
        before = std::mem::replace(&mut above, row);
        last = Some(x);
    }
    at(&above, b.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn typing_errors_find_their_key() {
        for (typed, meant) in [
            ("imgae", Some("image")),
            ("enviroment", Some("environment")),
            ("depends-on", Some("depends_on")),
            ("healthCheck", Some("healthcheck")),
            ("stopGracePeriod", Some("stop_grace_period")),
            ("port", Some("ports")),
            ("zzz", None),
            ("", None),
        ] {
            assert_eq!(nearest(typed, SERVICE.supported), meant, "{typed}");
        }
        assert_eq!(nearest(&"x".repeat(1 << 20), SERVICE.supported), None);
    }

    #[test]
    fn no_key_is_both_supported_and_refused_except_by_kind_of_mount() {
        for keys in [&APP, &METADATA, &SPEC, &COMPOSE, &VOLUME, &CONFIG, &SECRET, &SERVICE, &PORT, &BIND, &TMPFS, &DEPLOY] {
            for (key, text) in keys.refused {
                assert!(!keys.supported.contains(key), "{key}");
                assert!(text.en.contains("{key}"), "{}", text.code);
            }
        }
    }

    #[test]
    fn extensions_are_ignored_as_compose_defines() {
        assert!(SERVICE.refuse("x-anything").is_none());
        assert_eq!(SERVICE.refuse("build").expect("refused").code, "manifest-key-build");
    }
}
