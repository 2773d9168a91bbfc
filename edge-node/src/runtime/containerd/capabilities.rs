//! Linux capabilities of a container: a small default set, and what the site lets an app add.

use std::collections::BTreeSet;

use shared::fault::{Fault, node};
use shared::manifest::{NetworkMode, Service};

/// What a container has unless it says otherwise: Podman's default, which is Docker's without `AUDIT_WRITE`, `MKNOD`
/// and `NET_RAW`. The last one would let any app forge addresses on the bridge; ping works without it, because
/// `net.ipv4.ping_group_range` is open in the container's own network.
const DEFAULT: &[&str] = &[
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "FSETID",
    "KILL",
    "NET_BIND_SERVICE",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYS_CHROOT",
];

/// The capabilities of `service`, with their `CAP_`, in alphabetical order. `cap_drop` comes first, then `cap_add`,
/// so that `drop: [ALL], add: [X]` means only X.
pub fn of(service: &Service, allowed: &[String]) -> Result<Vec<String>, Fault> {
    let mut set: BTreeSet<String> = DEFAULT.iter().map(ToString::to_string).collect();
    for name in service.cap_drop.iter().map(|name| plain(name)) {
        if name == "ALL" {
            set.clear();
        }
        set.remove(&name);
    }
    for name in service.cap_add.iter().map(|name| plain(name)) {
        // In the node's own network NET_ADMIN would rule the node's.
        let foreign = name == "NET_ADMIN" && service.network_mode == NetworkMode::Host;
        let known = DEFAULT.contains(&name.as_str()) || allowed.contains(&name);
        if !known || foreign {
            return Err(Fault::new(&node::CAPABILITY_REFUSED).with("capability", name).with("allowed", allowed.join(", ")));
        }
        set.insert(name);
    }
    Ok(set.into_iter().map(|name| format!("CAP_{name}")).collect())
}

fn plain(name: &str) -> String {
    let name = name.to_ascii_uppercase();
    name.strip_prefix("CAP_").map(str::to_owned).unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(add: &[&str], drop: &[&str], mode: NetworkMode) -> Result<Vec<String>, Fault> {
        let list = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
        let service = Service { cap_add: list(add), cap_drop: list(drop), network_mode: mode, ..super::super::spec::service() };
        super::of(&service, &list(&["NET_ADMIN", "NET_RAW"]))
    }

    #[test]
    fn drop_comes_before_add() {
        let bridge = NetworkMode::Bridge;
        assert_eq!(of(&[], &[], bridge).expect("default").len(), 11);
        assert_eq!(of(&["chown"], &["ALL"], bridge), Ok(vec!["CAP_CHOWN".into()]));
        assert_eq!(of(&[], &["all"], bridge), Ok(vec![]));
        assert!(!of(&[], &["CAP_CHOWN"], bridge).expect("less").contains(&"CAP_CHOWN".to_owned()));
        assert!(of(&["NET_RAW"], &[], bridge).expect("more").contains(&"CAP_NET_RAW".to_owned()));
    }

    #[test]
    fn what_the_site_does_not_allow_is_refused() {
        for name in ["SYS_ADMIN", "ALL", "CAP_SYS_PTRACE", "sys_module", "NONSENSE", ""] {
            let fault = of(&[name], &[], NetworkMode::Bridge).expect_err(name);
            assert_eq!(fault.code, node::CAPABILITY_REFUSED.code);
        }
        assert!(of(&["NET_ADMIN"], &[], NetworkMode::Bridge).is_ok());
        assert!(of(&["NET_ADMIN"], &[], NetworkMode::Host).is_err(), "it would rule the node's network");
    }
}
