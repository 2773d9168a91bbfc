//! `depends_on` as a graph: targets exist, conditions can come true, nobody waits for itself.

use std::collections::{BTreeMap, BTreeSet};

use super::super::{Condition, Restart, Service};
use super::{Findings, list};
use crate::fault::{Fault, manifest as m};
use crate::id::Name;

type Services = BTreeMap<Name, Service>;

pub(super) fn depends_on(f: &mut Findings, services: &Services) {
    for (name, service) in services {
        for (target, condition) in &service.depends_on {
            let path = format!("spec.services.{name}.depends_on.{target}");
            edge(f, &path, services, target, *condition);
        }
    }
    for cycle in cycles(services) {
        let [first, second, ..] = cycle.as_slice() else { continue };
        let path = format!("spec.services.{first}.depends_on.{second}");
        let round = cycle.iter().map(|name| name.as_str()).collect::<Vec<_>>().join(" → ");
        f.add(path, Fault::new(&m::CYCLE).with("cycle", round));
    }
}

fn edge(f: &mut Findings, path: &str, services: &Services, target: &Name, condition: Condition) {
    let about = format!("spec.services.{target}");
    let Some(service) = services.get(target) else {
        let fault = Fault::new(&m::UNKNOWN_DEPENDENCY).with("name", target).with("defined", list(services.keys()));
        return f.add_about(path, about, fault);
    };
    match condition {
        Condition::ServiceStarted => {}
        Condition::ServiceHealthy if service.healthcheck.is_none() => {
            f.add_about(path, format!("{about}.healthcheck"), Fault::new(&m::NEVER_HEALTHY).with("name", target));
        }
        Condition::ServiceHealthy => {}
        Condition::ServiceCompletedSuccessfully => {
            if matches!(service.restart, Restart::Always | Restart::UnlessStopped) {
                let fault = Fault::new(&m::NEVER_COMPLETED).with("name", target).with("restart", String::from(service.restart));
                f.add_about(path, format!("{about}.restart"), fault);
            }
        }
    }
}

/// One cycle per knot of services that wait for each other, written out from its first name to the same name again.
fn cycles(services: &Services) -> Vec<Vec<&Name>> {
    let mut done = BTreeSet::new();
    let mut cycles = Vec::new();
    for name in services.keys() {
        let mut trail = Vec::new();
        visit(services, name, &mut trail, &mut done, &mut cycles);
    }
    cycles
}

/// Depth first; every service is entered once, so the recursion is no deeper than there are services, and a release with
/// more than [`super::super::bounds::SERVICES_MAX`] is cut there.
fn visit<'s>(
    services: &'s Services,
    name: &'s Name,
    trail: &mut Vec<&'s Name>,
    done: &mut BTreeSet<&'s Name>,
    cycles: &mut Vec<Vec<&'s Name>>,
) {
    if let Some(from) = trail.iter().position(|seen| *seen == name) {
        let mut cycle: Vec<&Name> = trail.iter().skip(from).copied().collect();
        let least = cycle.iter().enumerate().min_by_key(|(_, name)| **name).map_or(0, |(at, _)| at);
        cycle.rotate_left(least);
        cycle.extend(cycle.first().copied());
        cycles.push(cycle);
        return;
    }
    if trail.len() > super::super::bounds::SERVICES_MAX || done.contains(name) {
        return;
    }
    trail.push(name);
    for next in services.get(name).into_iter().flat_map(|service| service.depends_on.keys()) {
        visit(services, next, trail, done, cycles);
    }
    trail.pop();
    done.insert(name);
}
