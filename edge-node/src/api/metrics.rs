//! `/metrics` in the Prometheus text format 0.0.4, made by hand: so few need no library.

use std::fmt::Write;

use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use shared::budget::Counts;
use shared::report::{Phase, Report, ServiceState, Transfer};

use super::Api;
use super::port::{Carried, LinkStatus, Node};
use crate::neighbours::Sharing;

pub async fn metrics<N: Node>(State(api): State<Api<N>>) -> impl IntoResponse {
    let (report, transfers, sharing) = (api.node.report(), api.node.transfers(), api.node.neighbours());
    let text = render(&report, &transfers, sharing.as_ref(), &api.node.link(), &api.node.carried());
    ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text)
}

/// Labels are names, versions and fixed words; only versions can hold what needs escaping.
fn render(report: &Report, transfers: &[Transfer], sharing: Option<&Sharing>, link: &LinkStatus, carried: &Carried) -> String {
    let mut page = Page(String::new());
    let facts = &report.facts;
    let versions = format!("version=\"{}\",runtime=\"{}\"", escape(&facts.version), escape(&facts.runtime));
    page.gauge("causeway_node_info", "The daemon and its container runtime", [(versions, 1.0)]);
    page.gauge("causeway_node_hub_online", "Whether there is a session with the hub", [(String::new(), flag(link.online))]);
    let confirmed = link.confirmed.map(|age| (String::new(), age.as_secs_f64()));
    page.gauge("causeway_node_hub_confirmed_age_seconds", "Age of the hub's last confirmation", confirmed);
    page.gauge("causeway_node_accepted_epoch", "Epoch of the accepted state", [(String::new(), count(report.accepted.epoch))]);
    let generation = count(report.accepted.generation);
    page.gauge("causeway_node_accepted_generation", "Generation of the accepted state", [(String::new(), generation)]);
    page.gauge("causeway_node_faults", "Faults of the node as a whole", [(String::new(), count(report.faults.len() as u64))]);
    page.gauge("causeway_node_disk_free_bytes", "Bytes free for images and volumes", [(String::new(), count(facts.disk_free))]);
    let apps = report.apps.iter().map(|app| (format!("app=\"{}\"", app.app), flag(app.phase == Phase::Running)));
    page.gauge("causeway_app_running", "Whether all services of the app are up", apps);
    let services = || {
        let pairs = report.apps.iter().flat_map(|app| app.services.iter().map(move |service| (app, service)));
        pairs.map(|(app, service)| (format!("app=\"{}\",service=\"{}\"", app.app, service.service), service))
    };
    let up = services().map(|(labels, service)| (labels, flag(service.state == ServiceState::Running)));
    page.gauge("causeway_service_running", "Whether the service's process runs", up);
    let restarts = services().map(|(labels, service)| (labels, f64::from(service.restarts)));
    page.gauge("causeway_service_restarts", "Starts after exits by itself, in a row", restarts);
    let left = transfers.iter().map(|transfer| transfer.total.saturating_sub(transfer.done)).sum();
    page.gauge("causeway_node_transfer_left_bytes", "Bytes of images that are still to come", [(String::new(), count(left))]);
    let rate = transfers.iter().map(|transfer| transfer.rate).sum();
    page.gauge("causeway_node_transfer_bytes_per_second", "Bytes of images that come now", [(String::new(), count(rate))]);
    let counts = [("day", carried.today), ("month", carried.month)].into_iter().flat_map(|(period, counts)| {
        let Counts { control, events, logs, images } = counts;
        [("control", control), ("events", events), ("logs", logs), ("images", images)]
            .map(|(class, bytes)| (format!("period=\"{period}\",class=\"{class}\""), count(bytes)))
    });
    page.gauge("causeway_node_link_bytes", "Bytes that the link carried in the day and in the month", counts);
    neighbours(&mut page, sharing);
    page.0
}

/// Nothing when this node shares nothing.
fn neighbours(page: &mut Page, sharing: Option<&Sharing>) {
    let all = || sharing.into_iter().flat_map(|sharing| &sharing.neighbours);
    let in_state = |state| {
        let these = all().filter(|standing| standing.state.word() == state);
        (format!("state=\"{state}\""), count(these.count() as u64))
    };
    let states = sharing.into_iter().flat_map(|_| ["unasked", "useful", "useless"]).map(in_state);
    page.gauge("causeway_node_neighbours", "Neighbours, by what they were when last asked", states);
    let label = |name| format!("neighbour=\"{name}\"");
    let taken = all().map(|standing| (label(&standing.neighbour), count(standing.taken)));
    page.counter("causeway_node_neighbour_taken_bytes_total", "Bytes of images that came from the neighbour", taken);
    let given = all().map(|standing| (label(&standing.neighbour), count(standing.given)));
    page.counter("causeway_node_neighbour_given_bytes_total", "Bytes of images that went to the neighbour", given);
}

struct Page(String);

impl Page {
    fn gauge(&mut self, name: &str, help: &str, samples: impl IntoIterator<Item = (String, f64)>) {
        self.family("gauge", name, help, samples);
    }

    fn counter(&mut self, name: &str, help: &str, samples: impl IntoIterator<Item = (String, f64)>) {
        self.family("counter", name, help, samples);
    }

    fn family(&mut self, kind: &str, name: &str, help: &str, samples: impl IntoIterator<Item = (String, f64)>) {
        // Writing to a String does not fail.
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
        for (labels, value) in samples {
            let labels = if labels.is_empty() { labels } else { format!("{{{labels}}}") };
            let _ = writeln!(self.0, "{name}{labels} {value}");
        }
    }
}

fn escape(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

const fn flag(is: bool) -> f64 {
    if is { 1.0 } else { 0.0 }
}

#[expect(clippy::cast_precision_loss, reason = "samples of this format are floating point")]
const fn count(number: u64) -> f64 {
    number as f64
}
