//! What the gate counts, for `/metrics`. Plain atomics; reading them stops nobody.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Why a connection was turned away before it became a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// Too many new connections from its source.
    FromSource,
    /// Too many new connections in all.
    FromAll,
    /// As many connections as the gate holds.
    Connections,
    /// Its place was needed while it had not said who it is.
    Evicted,
    /// It took too long to say who it is.
    Late,
    /// No TLS 1.3 with a certificate of this hub, or the connection broke.
    Tls,
    /// The certificate names nobody.
    Identity,
    /// The first packet was no acceptable CONNECT.
    Connect,
    /// The hub does not admit it, for example because it was revoked.
    Admission,
}

/// Why a session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum End {
    /// The client said goodbye.
    #[error("the client left")]
    Left,
    /// The connection closed or broke.
    #[error("the connection was lost")]
    Lost,
    /// Nothing was heard for 1.5 times the keep-alive.
    #[error("nothing was heard for 1.5 times the keep-alive")]
    Silent,
    /// The client did not take what was sent to it.
    #[error("the client did not read")]
    Stalled,
    /// The client broke a rule; [`crate::gate::Offence`] says which.
    #[error("the client broke a rule")]
    Offence,
    /// The same identity connected again.
    #[error("the same identity connected again")]
    TakenOver,
    /// The hub does not admit this identity any more.
    #[error("the identity was revoked")]
    Revoked,
    /// The hub could not keep up with the client or gave the session up.
    #[error("the hub gave the session up")]
    GivenUp,
    /// The hub stops.
    #[error("the hub stops")]
    Stopping,
}

/// The counters. Gauges may be momentarily off by the connections that are just coming or going.
#[derive(Debug, Default)]
pub struct GateStats {
    pub(super) connections: AtomicU64,
    pub(super) nodes: AtomicU64,
    pub(super) centers: AtomicU64,
    pub(super) accepted: AtomicU64,
    pub(super) accept_errors: AtomicU64,
    pub(super) messages_in: AtomicU64,
    pub(super) bytes_in: AtomicU64,
    pub(super) messages_out: AtomicU64,
    pub(super) bytes_out: AtomicU64,
    refused: [AtomicU64; REFUSALS.len()],
    ended: [AtomicU64; ENDS.len()],
}

const REFUSALS: [(Refusal, &str); 9] = [
    (Refusal::FromSource, "from_source"),
    (Refusal::FromAll, "from_all"),
    (Refusal::Connections, "connections"),
    (Refusal::Evicted, "evicted"),
    (Refusal::Late, "late"),
    (Refusal::Tls, "tls"),
    (Refusal::Identity, "identity"),
    (Refusal::Connect, "connect"),
    (Refusal::Admission, "admission"),
];

const ENDS: [(End, &str); 9] = [
    (End::Left, "left"),
    (End::Lost, "lost"),
    (End::Silent, "silent"),
    (End::Stalled, "stalled"),
    (End::Offence, "offence"),
    (End::TakenOver, "taken_over"),
    (End::Revoked, "revoked"),
    (End::GivenUp, "given_up"),
    (End::Stopping, "stopping"),
];

impl GateStats {
    /// TCP connections that are open now, in any state.
    pub fn connections(&self) -> u64 {
        self.connections.load(Relaxed)
    }

    /// Nodes that have a session now.
    pub fn nodes(&self) -> u64 {
        self.nodes.load(Relaxed)
    }

    /// Other clients of the center that have a session now.
    pub fn centers(&self) -> u64 {
        self.centers.load(Relaxed)
    }

    /// Connections turned away for this reason since the start.
    pub fn refused(&self, why: Refusal) -> u64 {
        count(&REFUSALS, &self.refused, &why).map_or(0, |counter| counter.load(Relaxed))
    }

    /// Sessions that ended for this reason since the start.
    pub fn ended(&self, why: End) -> u64 {
        count(&ENDS, &self.ended, &why).map_or(0, |counter| counter.load(Relaxed))
    }

    /// Every number as (name, label, value), for the metrics page. Names are without prefix; bytes are payload.
    pub fn all(&self) -> Vec<(&'static str, Option<&'static str>, u64)> {
        let plain = [
            ("connections", &self.connections),
            ("nodes", &self.nodes),
            ("centers", &self.centers),
            ("accepted_total", &self.accepted),
            ("accept_errors_total", &self.accept_errors),
            ("messages_in_total", &self.messages_in),
            ("bytes_in_total", &self.bytes_in),
            ("messages_out_total", &self.messages_out),
            ("bytes_out_total", &self.bytes_out),
        ];
        let plain = plain.into_iter().map(|(name, counter)| (name, None, counter.load(Relaxed)));
        let refused = REFUSALS.iter().map(|(why, label)| ("refused_total", Some(*label), self.refused(*why)));
        let ended = ENDS.iter().map(|(why, label)| ("ended_total", Some(*label), self.ended(*why)));
        plain.chain(refused).chain(ended).collect()
    }

    pub(super) fn count_refused(&self, why: Refusal) {
        count(&REFUSALS, &self.refused, &why).map(add_one);
    }

    pub(super) fn count_ended(&self, why: End) {
        count(&ENDS, &self.ended, &why).map(add_one);
    }
}

fn count<'a, T: PartialEq>(table: &[(T, &str)], counters: &'a [AtomicU64], key: &T) -> Option<&'a AtomicU64> {
    counters.get(table.iter().position(|(entry, _)| entry == key)?)
}

pub(super) fn add_one(counter: &AtomicU64) {
    counter.fetch_add(1, Relaxed);
}

pub(super) fn add(counter: &AtomicU64, count: usize) {
    counter.fetch_add(u64::try_from(count).unwrap_or(u64::MAX), Relaxed);
}

/// Counts something that exists, until it is dropped.
pub(super) struct Gauge<'a>(&'a AtomicU64);

impl<'a> Gauge<'a> {
    pub(super) fn of(counter: &'a AtomicU64) -> Self {
        add_one(counter);
        Self(counter)
    }
}

impl Drop for Gauge<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_its_own_counter() {
        let stats = GateStats::default();
        for (why, label) in REFUSALS {
            stats.count_refused(why);
            assert_eq!(stats.refused(why), 1, "{label}");
        }
        for (why, label) in ENDS {
            stats.count_ended(why);
            assert_eq!(stats.ended(why), 1, "{label}");
        }
        let _gauge = Gauge::of(&stats.nodes);
        assert_eq!(stats.all().iter().map(|(_, _, value)| value).sum::<u64>(), 19);
    }
}
