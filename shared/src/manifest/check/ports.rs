//! Ports of the node: each belongs to one service only.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::super::bounds::{GRANTS_MAX, SERVICES_MAX};
use super::super::{NetworkMode, Port, Protocol, Service};
use super::Findings;
use crate::fault::{Fault, manifest as m};
use crate::id::Name;

/// The ports of one service by themselves.
pub(super) fn ports(f: &mut Findings, path: &str, service: &Service) {
    let path = format!("{path}.ports");
    f.at_most(&path, service.ports.len(), GRANTS_MAX);
    if !service.ports.is_empty() && service.network_mode != NetworkMode::Bridge {
        let mode = if service.network_mode == NetworkMode::Host { "host" } else { "none" };
        f.add(&path, Fault::new(&m::PORTS_WITHOUT_BRIDGE).with("mode", mode));
    }
    for (n, port) in service.ports.iter().enumerate() {
        if port.target == 0 || port.published == 0 {
            f.add(format!("{path}[{n}]"), Fault::new(&m::BAD_PORT).with("value", 0));
        }
    }
}

/// Two ports of the app that cannot both be opened. The later one is told, with the service that has the first.
pub(super) fn conflicts(f: &mut Findings, services: &BTreeMap<Name, Service>) {
    let mut taken: BTreeMap<(u16, Protocol), Vec<(&Name, &Port)>> = BTreeMap::new();
    for (name, service) in services.iter().take(SERVICES_MAX) {
        for (n, port) in service.ports.iter().take(GRANTS_MAX).enumerate() {
            let others = taken.entry((port.published, port.protocol)).or_default();
            if let Some((other, _)) = others.iter().find(|(_, other)| overlap(other.host_ip, port.host_ip)) {
                let fault = Fault::new(&m::PORT_TAKEN).with("port", port.published).with("service", other);
                f.add(format!("spec.services.{name}.ports[{n}]"), fault);
            } else {
                others.push((name, port));
            }
        }
    }
}

/// Whether one address listens where the other does; no address and the unspecified one listen everywhere.
fn overlap(a: Option<IpAddr>, b: Option<IpAddr>) -> bool {
    let everywhere = |ip: Option<IpAddr>| ip.is_none_or(|ip| ip.is_unspecified());
    everywhere(a) || everywhere(b) || a == b
}
