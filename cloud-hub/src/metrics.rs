//! What the hub counts, as Prometheus reads it. Names begin with `causeway_hub_`; labels never hold anything that
//! grows with the fleet.

use std::fmt::{self, Write};
use std::sync::{Arc, OnceLock};

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::{encode_eof, encode_registry};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

use crate::broker::Broker;
use crate::delta::Delta;
use crate::gate::GateStats;
use crate::hub::Hub;

/// One answered request.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Answered {
    /// HTTP method.
    pub method: &'static str,
    /// The route's pattern, never the path.
    pub route: &'static str,
    /// HTTP status.
    pub status: u16,
}

/// The counters.
pub struct Metrics {
    registry: Registry,
    gate: OnceLock<(Arc<GateStats>, Broker)>,
    nodes: Gauge,
    connected: Gauge,
    in_sync: Gauge,
    /// Requests answered by the API.
    pub requests: Family<Answered, Counter>,
    /// Callers refused for their token.
    pub logins_failed: Counter,
    /// Enrolments refused.
    pub joins_failed: Counter,
    /// Nodes enrolled.
    pub joins: Counter,
    /// Reports taken from nodes.
    pub reports: Counter,
    /// Desired states sent to nodes.
    pub desired: Counter,
    /// Frames of blobs sent.
    pub frames: Counter,
    /// Bytes of blobs sent.
    pub frame_bytes: Counter,
    /// Pulls refused.
    pub pulls_refused: Counter,
    /// Journal entries stored.
    pub events: Counter,
    /// Messages from nodes that could not be read.
    pub unreadable: Counter,
    /// Blobs, packs and patches removed because no release needs them.
    pub collected: Counter,
    /// Their bytes.
    pub collected_bytes: Counter,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("causeway_hub");
        let metrics = Self {
            nodes: Gauge::default(),
            connected: Gauge::default(),
            in_sync: Gauge::default(),
            requests: Family::default(),
            logins_failed: Counter::default(),
            joins_failed: Counter::default(),
            joins: Counter::default(),
            reports: Counter::default(),
            desired: Counter::default(),
            frames: Counter::default(),
            frame_bytes: Counter::default(),
            pulls_refused: Counter::default(),
            events: Counter::default(),
            unreadable: Counter::default(),
            collected: Counter::default(),
            collected_bytes: Counter::default(),
            registry: Registry::default(),
            gate: OnceLock::new(),
        };
        registry.register("nodes", "Enrolled nodes", metrics.nodes.clone());
        registry.register("nodes_connected", "Nodes with a live session", metrics.connected.clone());
        registry.register("nodes_in_sync", "Nodes that hold what the hub wants", metrics.in_sync.clone());
        registry.register("api_requests", "Requests answered by the API", metrics.requests.clone());
        registry.register("logins_failed", "Callers refused for their token", metrics.logins_failed.clone());
        registry.register("joins_failed", "Enrolments refused", metrics.joins_failed.clone());
        registry.register("joins", "Nodes enrolled", metrics.joins.clone());
        registry.register("reports", "Reports taken from nodes", metrics.reports.clone());
        registry.register("desired_sent", "Desired states sent to nodes", metrics.desired.clone());
        registry.register("frames_sent", "Frames of blobs sent to nodes", metrics.frames.clone());
        registry.register_with_unit("frames_sent", "Blob content sent to nodes", Unit::Bytes, metrics.frame_bytes.clone());
        registry.register("pulls_refused", "Pulls of blobs refused", metrics.pulls_refused.clone());
        registry.register("events_stored", "Journal entries stored", metrics.events.clone());
        registry.register("unreadable", "Messages from nodes that could not be read", metrics.unreadable.clone());
        let help = "Blobs, packs and patches removed because no release needs them";
        registry.register("collected", help, metrics.collected.clone());
        registry.register_with_unit("collected", "What that freed", Unit::Bytes, metrics.collected_bytes.clone());
        Self { registry, ..metrics }
    }
}

impl Metrics {
    /// Shows the gate's figures too.
    pub fn set_gate(&self, stats: Arc<GateStats>, broker: Broker) {
        // A second gate on the same hub would be a mistake of the program; the first stays.
        let _first_stays = self.gate.set((stats, broker));
    }

    fn write(&self, delta: &Delta, text: &mut String) -> fmt::Result {
        encode_registry(text, &self.registry)?;
        for (name, value) in delta.figures() {
            write_type(text, "hub", name)?;
            writeln!(text, "causeway_hub_{name} {value}")?;
        }
        if let Some((stats, broker)) = self.gate.get() {
            write_gate(text, stats, broker)?;
        }
        encode_eof(text)
    }
}

/// The type line of a plain number; that of a counter has no `_total`.
fn write_type(text: &mut String, part: &str, name: &str) -> fmt::Result {
    let (family, kind) = name.strip_suffix("_total").map_or((name, "gauge"), |family| (family, "counter"));
    writeln!(text, "# TYPE causeway_{part}_{family} {kind}")
}

/// The gate keeps plain numbers: here they become OpenMetrics text.
fn write_gate(text: &mut String, stats: &GateStats, broker: &Broker) -> fmt::Result {
    let broker = [
        ("broker_alive", None, u64::from(broker.is_alive())),
        ("broker_rebuilt_total", None, broker.rebuilt()),
        ("broker_dropped_total", None, broker.dropped()),
    ];
    let mut last = "";
    for (name, reason, value) in stats.all().into_iter().chain(broker) {
        if name != last {
            write_type(text, "gate", name)?;
            last = name;
        }
        match reason {
            Some(reason) => writeln!(text, "causeway_gate_{name}{{reason=\"{reason}\"}} {value}")?,
            None => writeln!(text, "causeway_gate_{name} {value}")?,
        }
    }
    Ok(())
}

impl Hub {
    /// Everything in OpenMetrics text.
    pub fn metrics_text(&self) -> String {
        let (mut nodes, mut connected, mut in_sync) = (0, 0, 0);
        for life in self.fleet().nodes.values() {
            nodes += 1;
            connected += i64::from(life.connected);
            in_sync += i64::from(life.wanted.as_ref().is_some_and(|wanted| life.accepted == Some(wanted.stamp)));
        }
        self.metrics.nodes.set(nodes);
        self.metrics.connected.set(connected);
        self.metrics.in_sync.set(in_sync);
        let mut text = String::new();
        // Writing to a string has no way to fail.
        let _cannot_fail = self.metrics.write(&self.delta, &mut text);
        text
    }
}
