//! The fleet as the API shows it. Pure.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use shared::assign::{Assigned, AssignedBudget};
use shared::id::{Digest, Name};
use shared::report::{self, AppReport, Phase, Report};
use shared::state::Neighbour;
use shared::time::UnixMillis;

use super::{Fleet, Life, Wanted};
use crate::api::types::{
    AppStatus, Carried, DeploymentNode, DeploymentStatus, Facts, GoodStatus, NextStatus, NodeAssignment, NodeBudget, NodeStatus,
    OverruledAssignment, Problem, ServiceStatus, Stamp, Transfer,
};
use crate::hub::Hub;

/// What a deployment asks of a node, as far as its status depends on it.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// The deployment.
    pub deployment: &'a Name,
    /// Its app.
    pub app: &'a Name,
    /// The release.
    pub release: Digest,
    /// Run it, or have it on disk and stopped.
    pub run: bool,
    /// Have it on disk for later.
    pub prefetch: bool,
}

/// Whole seconds from `then` to `now`; 0 when the clock went back.
const fn age(then: UnixMillis, now: UnixMillis) -> u64 {
    now.0.saturating_sub(then.0) / 1000
}

/// The status of one node.
pub fn node_status(life: &Life, now: UnixMillis) -> NodeStatus {
    let wanted = life.wanted.as_ref().map(|wanted| wanted.stamp).unwrap_or_default();
    let report = life.report.as_deref();
    let reported = report.map_or(&[][..], |report| &report.faults);
    NodeStatus {
        connected: life.connected,
        since: life.since,
        last_seen: life.last_seen,
        last_seen_seconds: life.last_seen.map(|then| age(then, now)),
        age_seconds: life.reported.map(|then| age(then, now)),
        wanted: Stamp::from(wanted),
        accepted: life.accepted.map(Stamp::from),
        in_sync: life.accepted == Some(wanted),
        facts: report.map(facts),
        apps: report.map(|report| report.apps.iter().map(|app| app_status(app, report)).collect()).unwrap_or_default(),
        next: report.map(|report| report.next.iter().map(next_status).collect()).unwrap_or_default(),
        transfers: report
            .map(|report| report.transfers.iter().map(|of| transfer(of, life.connected)).collect())
            .unwrap_or_default(),
        carried: report.map(carried),
        faults: life.trouble.iter().chain(reported).cloned().map(Problem::from).collect(),
    }
}

impl Hub {
    /// What is known about a node; `None` when it is not enrolled.
    pub fn status_of(&self, node: &Name) -> Option<NodeStatus> {
        self.life_of(node).map(|life| node_status(&life, self.now()))
    }
}

/// What a node shall run, as shown.
pub fn assignments(apps: &BTreeMap<Name, Assigned>) -> BTreeMap<Name, NodeAssignment> {
    apps.iter().map(|(app, assigned)| (app.clone(), assignment(assigned))).collect()
}

fn assignment(assigned: &Assigned) -> NodeAssignment {
    let lost = |(deployment, revision): &(Name, u64)| OverruledAssignment { deployment: deployment.clone(), revision: *revision };
    NodeAssignment {
        deployment: assigned.deployment.clone(),
        release: assigned.assignment.release,
        revision: assigned.assignment.revision,
        run: assigned.assignment.run,
        overruled: assigned.overruled.iter().map(lost).collect(),
    }
}

/// What images may take of a node's link, as shown.
pub fn node_budget(assigned: &AssignedBudget) -> NodeBudget {
    let overruled = assigned.overruled.iter().map(|(name, _)| name.clone()).collect();
    NodeBudget { budget: assigned.name.clone(), limits: (&assigned.budget).into(), overruled }
}

/// Where a node's neighbours are reached, as shown.
pub fn neighbours(neighbours: &BTreeMap<Name, Neighbour>) -> BTreeMap<Name, SocketAddr> {
    neighbours.iter().map(|(name, neighbour)| (name.clone(), neighbour.address)).collect()
}

/// The status of a deployment over the whole fleet, node by node when `detail` is set.
pub fn deployment_status(fleet: &Fleet, asked: Asked<'_>, detail: bool, now: UnixMillis) -> DeploymentStatus {
    let mut status = DeploymentStatus::default();
    for (node, life) in &fleet.nodes {
        let of =
            |wanted: &Arc<Wanted>| if asked.prefetch { wanted.next.get(asked.app) } else { wanted.apps.get(asked.app) }.cloned();
        let Some(assigned) = life.wanted.as_ref().and_then(of) else { continue };
        if assigned.overruled.iter().any(|(loser, _)| loser == asked.deployment) {
            status.overruled.push(node.clone());
        }
        if assigned.deployment != *asked.deployment {
            continue;
        }
        let entry = deployment_node(node, life, asked, now);
        let phase = entry.phase.map_or("unknown", phase_text).to_owned();
        status.nodes += 1;
        status.ready += u64::from(entry.ready);
        status.accepted += u64::from(life.wanted.as_ref().is_some_and(|wanted| life.accepted == Some(wanted.stamp)));
        *status.phases.entry(phase).or_default() += 1;
        if detail {
            status.detail.push(entry);
        }
    }
    status
}

fn deployment_node(node: &Name, life: &Life, asked: Asked<'_>, now: UnixMillis) -> DeploymentNode {
    let app = life.report.as_deref().and_then(|report| report.apps.iter().find(|app| app.app == *asked.app));
    let about_this = app.filter(|app| app.wanted == asked.release);
    let transfers = life.report.as_deref().map_or(&[][..], |report| &report.transfers);
    let sum = |of: fn(&report::Transfer) -> u64| transfers.iter().map(of).fold(0, u64::saturating_add);
    let (done, total, rate) = (sum(|of| of.done), sum(|of| of.total), sum(|of| of.rate));
    let next = life.report.as_deref().and_then(|report| {
        report.next.iter().find(|next| asked.prefetch && next.app == *asked.app && next.release == asked.release)
    });
    let about_this = about_this.filter(|_| !asked.prefetch);
    let fault = about_this.and_then(|app| app.fault.as_ref()).or_else(|| next.and_then(|next| next.fault.as_ref()));
    let phase = about_this.map(|app| app.phase).or_else(|| next.map(|next| next.phase));
    let is_waiting = transfers.iter().any(|transfer| transfer.waits.is_some());
    let waits = transfers.iter().filter(|_| phase == Some(Phase::Fetching)).find_map(|transfer| transfer.waits.as_ref());
    DeploymentNode {
        node: node.clone(),
        ready: about_this.is_some_and(|app| is_ready(app, asked)) || phase == Some(Phase::Fetched),
        phase,
        running: app.map(|app| app.version.clone()).filter(|version| !version.is_empty()),
        connected: life.connected,
        age_seconds: life.reported.map(|then| age(then, now)),
        transfer: (!transfers.is_empty()).then_some((done, total)),
        seconds_left: report::seconds_left(done, total, rate, life.connected).filter(|_| !is_waiting),
        fault: fault.or(waits).cloned().map(Problem::from),
    }
}

fn is_ready(app: &AppReport, asked: Asked<'_>) -> bool {
    let phase = if asked.run { Phase::Running } else { Phase::Stopped };
    app.release == asked.release && app.phase == phase
}

/// The word of a phase, as serde writes it.
const fn phase_text(phase: Phase) -> &'static str {
    match phase {
        Phase::Pending => "pending",
        Phase::Fetching => "fetching",
        Phase::Starting => "starting",
        Phase::Running => "running",
        Phase::Failing => "failing",
        Phase::Undone => "undone",
        Phase::Stopped => "stopped",
        Phase::Leaving => "leaving",
        Phase::Fetched => "fetched",
    }
}

fn facts(report: &Report) -> Facts {
    let report::Facts { version, runtime, platform, boot, cpus, memory, disk_free, address } = report.facts.clone();
    let uptime_seconds = report.uptime_ms / 1000;
    Facts { version, runtime, platform: platform.to_string(), boot, uptime_seconds, cpus, memory, disk_free, address }
}

fn app_status(app: &AppReport, report: &Report) -> AppStatus {
    AppStatus {
        app: app.app.clone(),
        release: app.release,
        version: app.version.clone(),
        wanted: app.wanted,
        good: app.good.clone().map(|report::Good { release, version }| GoodStatus { release, version }),
        phase: app.phase,
        services: app.services.iter().map(|service| service_status(service, report.uptime_ms)).collect(),
        fault: app.fault.clone().map(Problem::from),
    }
}

fn next_status(next: &report::NextReport) -> NextStatus {
    let report::NextReport { app, release, version, phase, fault } = next.clone();
    NextStatus { app, release, version, phase, fault: fault.map(Problem::from) }
}

fn service_status(service: &report::ServiceReport, uptime_ms: u64) -> ServiceStatus {
    ServiceStatus {
        service: service.service.clone(),
        state: service.state,
        health: service.health,
        restarts: service.restarts,
        instance: service.instance.clone(),
        pid: service.pid,
        running_seconds: (service.pid != 0).then(|| uptime_ms.saturating_sub(service.since_ms) / 1000),
        exit: service.exit,
        oom: service.oom,
    }
}

fn transfer(transfer: &report::Transfer, online: bool) -> Transfer {
    let seconds_left = transfer.seconds_left(online);
    let report::Transfer { image, done, total, taken, rate, reused, waits } = transfer.clone();
    Transfer { image, done, total, taken, rate, reused, seconds_left, waits: waits.map(Problem::from) }
}

fn carried(report: &Report) -> Carried {
    Carried { today: report.spent.day.counts.into(), month: report.spent.month.counts.into() }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use shared::state::Assignment;

    use super::super::Wanted;
    use super::super::tests::{app, report};
    use super::*;

    fn name(text: &str) -> Name {
        Name::new(text).expect("name")
    }

    fn assigned(deployment: &str, release: Digest, overruled: &[&str]) -> Assigned {
        Assigned {
            assignment: Assignment { release, revision: 5, run: true },
            deployment: name(deployment),
            overruled: overruled.iter().map(|loser| (name(loser), 2)).collect(),
        }
    }

    fn life(assigned: Option<Assigned>, said: Option<AppReport>) -> Life {
        let apps = assigned.into_iter().map(|a| (name("web"), a)).collect();
        let stamp = shared::state::Stamp { epoch: 1, generation: 3 };
        let mut life = Life {
            wanted: Some(Arc::new(Wanted {
                stamp,
                hash: Digest::of(b""),
                apps,
                next: BTreeMap::new(),
                budget: None,
                neighbours: BTreeMap::new(),
            })),
            ..Life::default()
        };
        if let Some(said) = said {
            life.reported(Report { apps: vec![said], ..report(1, 3) }, UnixMillis(1000));
        }
        life
    }

    #[test]
    fn phases_are_written_as_serde_writes_them() {
        use Phase::{Failing, Fetched, Fetching, Leaving, Pending, Running, Starting, Stopped, Undone};
        for phase in [Pending, Fetching, Starting, Running, Failing, Undone, Stopped, Leaving, Fetched] {
            assert_eq!(serde_json::to_value(phase).expect("phase"), phase_text(phase));
        }
    }

    #[test]
    fn a_deployment_counts_only_what_nodes_said_about_this_release() {
        let (v1, v2) = (Digest::of(b"v1"), Digest::of(b"v2"));
        let undone = AppReport { release: v1, wanted: v2, ..app("web", v1, Phase::Undone) };
        let fleet = Fleet {
            nodes: [
                ("n1", life(Some(assigned("d", v2, &[])), Some(app("web", v2, Phase::Running)))),
                ("n2", life(Some(assigned("d", v2, &[])), Some(app("web", v1, Phase::Running)))),
                ("n3", life(Some(assigned("d", v2, &[])), None)),
                ("n4", life(Some(assigned("d", v2, &[])), Some(undone))),
                ("n5", life(Some(assigned("other", v1, &["d"])), Some(app("web", v1, Phase::Running)))),
                ("n6", life(None, None)),
            ]
            .into_iter()
            .map(|(n, life)| (name(n), life))
            .collect(),
            ..Fleet::default()
        };
        let asked = Asked { deployment: &name("d"), app: &name("web"), release: v2, run: true, prefetch: false };
        let status = deployment_status(&fleet, asked, true, UnixMillis(61_000));
        assert_eq!((status.nodes, status.ready, status.accepted), (4, 1, 3));
        let phases: Vec<(&str, u64)> = status.phases.iter().map(|(p, n)| (p.as_str(), *n)).collect();
        assert_eq!(phases, [("running", 1), ("undone", 1), ("unknown", 2)]);
        assert_eq!(status.overruled, [name("n5")]);
        assert_eq!(status.detail.len(), 4);
        assert_eq!(status.detail[0].age_seconds, Some(60));
        assert_eq!(status.detail[1].running.as_deref(), Some("1.0.0"), "what it runs meanwhile is shown");
    }

    #[test]
    fn the_time_that_is_left_is_said_while_the_node_is_there() {
        let release = Digest::of(b"v2");
        let mut life = life(Some(assigned("d", release, &[])), None);
        life.connected(UnixMillis(500));
        let transfer = |image: &[u8], done, rate| report::Transfer {
            image: Digest::of(image),
            done,
            total: 100,
            taken: 0,
            rate,
            reused: 9,
            waits: None,
        };
        let transfers = vec![transfer(b"a", 100, 0), transfer(b"b", 40, 20)];
        life.reported(Report { apps: vec![app("web", release, Phase::Fetching)], transfers, ..report(1, 3) }, UnixMillis(1000));
        let asked = Asked { deployment: &name("d"), app: &name("web"), release, run: true, prefetch: false };
        let node = |life: &Life| deployment_node(&name("n1"), life, asked, UnixMillis(1000));
        let left = |life: &Life| node_status(life, UnixMillis(1000)).transfers.iter().map(|t| t.seconds_left).collect::<Vec<_>>();
        assert_eq!((node(&life).transfer, node(&life).seconds_left), (Some((140, 200)), Some(3)));
        assert_eq!(left(&life), [Some(0), Some(3)]);
        let why = shared::fault::Fault::new(&shared::fault::node::NEIGHBOUR_BRINGS).with("neighbour", "n2");
        let waiting = report::Transfer { waits: Some(why), ..transfer(b"b", 100, 0) };
        life.reported(
            Report { apps: vec![app("web", release, Phase::Fetching)], transfers: vec![waiting], ..report(2, 3) },
            UnixMillis(1000),
        );
        assert_eq!((node(&life).transfer, node(&life).seconds_left, left(&life)), (Some((100, 100)), None, vec![None]));
        assert_eq!(node(&life).fault.expect("a reason").code, "node-neighbour-brings");
        let transfers = vec![transfer(b"a", 100, 0), transfer(b"b", 40, 20)];
        life.reported(Report { apps: vec![app("web", release, Phase::Fetching)], transfers, ..report(3, 3) }, UnixMillis(1000));
        life.disconnected();
        assert_eq!((node(&life).transfer, node(&life).seconds_left), (Some((140, 200)), None));
        assert_eq!(left(&life), [Some(0), None]);
    }

    #[test]
    fn old_data_is_shown_with_its_age_and_a_clock_that_went_back_does_no_harm() {
        let life = life(None, Some(app("web", Digest::of(b"v1"), Phase::Running)));
        let status = node_status(&life, UnixMillis(86_401_000));
        assert_eq!((status.connected, status.age_seconds), (false, Some(86_400)));
        assert!(status.in_sync);
        assert_eq!(node_status(&life, UnixMillis(0)).age_seconds, Some(0));
        assert_eq!(node_status(&Life::default(), UnixMillis(0)).age_seconds, None);
    }
}
