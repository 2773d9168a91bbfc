//! From a TCP connection to a client that may have a session: TLS, identity, CONNECT, admission. All of it within one time limit.

use std::sync::Arc;

use bytes::Bytes;
use shared::id::{Digest, Name};
use shared::topic::{Channel, node_may_publish};
use tokio::net::TcpStream;
use tokio::time::{Duration, timeout};

use super::doorman::Source;
use super::framer::Framer;
use super::packet::{self, Code, Connect, Malformed, Packet};
use super::roster::Seat;
use super::session::Session;
use super::stats::Refusal;
use super::wire::{Broken, Wire};
use super::{Inner, Nodes, Offence};
use crate::ca::{Identity, identity_of};

/// Largest packet before the client is accepted.
const CONNECT_MAX: usize = 16 << 10;
/// Bytes that TLS may hold for a client that reads slowly.
const TLS_BUFFER: usize = 32 << 10;
/// For the goodbye to a client that is not accepted.
const GOODBYE: Duration = Duration::from_secs(1);

/// A client that is accepted.
pub(super) struct Opened {
    pub wire: Wire,
    pub framer: Framer,
    pub seat: Seat,
    pub session: Session,
    pub hello: Hello,
}

/// What is kept of a CONNECT.
pub(super) struct Hello {
    pub identity: Identity,
    /// The client is lost when nothing is heard for so long: 1.5 times its keep-alive [MQTT-3.1.2-24].
    pub patience: Duration,
    /// Goes to the node's state channel when the node is lost.
    pub will: Option<Bytes>,
}

/// Opens a connection or says why not. The caller boxes this future, so that an idle connection does not carry the
/// memory of its handshake.
pub(super) async fn open<N: Nodes>(gate: &Arc<Inner<N>>, tcp: TcpStream, source: Source) -> Result<Opened, Refusal> {
    let place = gate.half_open.enter(source);
    let opening = timeout(gate.limits.connect, open_without_limit(gate, tcp));
    tokio::select! {
        biased;
        () = place.evicted() => Err(Refusal::Evicted),
        outcome = opening => outcome.unwrap_or(Err(Refusal::Late)),
    }
}

async fn open_without_limit<N: Nodes>(gate: &Arc<Inner<N>>, tcp: TcpStream) -> Result<Opened, Refusal> {
    let (wire, identity, certificate) = handshake(gate, tcp).await?;
    let mut framer = Framer::default();
    let greeted = greeting(&wire, &mut framer, identity).await;
    let hello = match greeted {
        Ok(hello) => hello,
        Err((code, offence)) => {
            tracing::warn!(%offence, "a client of this hub sent no acceptable CONNECT");
            return refuse(&wire, code, Refusal::Connect).await;
        }
    };
    // Asked twice: before an older session is ended for this one, and after this one can be found and ended, so that
    // a revocation in between is not missed.
    if !admitted(gate, &hello.identity, &certificate).await {
        return refuse(&wire, Code::NotAuthorized, Refusal::Admission).await;
    }
    let session = Session::new(gate.next_session(), gate.limits.bulk);
    let seat = gate.sessions.take_seat(&hello.identity, &session).await;
    if !admitted(gate, &hello.identity, &certificate).await {
        return refuse(&wire, Code::NotAuthorized, Refusal::Admission).await;
    }
    wire.send(&packet::connack(Code::Accepted), &[], gate.limits.stall).await.map_err(|_| Refusal::Connect)?;
    Ok(Opened { wire, framer, seat, session, hello })
}

/// TLS, and whom the certificate names; its fingerprint is the sha256 of its DER.
async fn handshake<N: Nodes>(gate: &Inner<N>, tcp: TcpStream) -> Result<(Wire, Identity, Digest), Refusal> {
    let accept = gate.acceptor.accept_with(tcp, |tls| tls.set_buffer_limit(Some(TLS_BUFFER)));
    let tls = Box::pin(accept).await.map_err(|error| {
        tracing::debug!(%error, "no TLS session");
        Refusal::Tls
    })?;
    let certificate = tls.get_ref().1.peer_certificates().and_then(|chain| chain.first());
    let certificate = certificate.ok_or(Refusal::Identity)?;
    let fingerprint = Digest::of(certificate);
    let identity = identity_of(certificate).map_err(|error| {
        tracing::warn!(%error, certificate = %fingerprint, "a certificate of this hub names nobody");
        Refusal::Identity
    })?;
    Ok((Wire::new(tls), identity, fingerprint))
}

/// Reads and judges the first packet.
async fn greeting(wire: &Wire, framer: &mut Framer, identity: Identity) -> Result<Hello, (Option<Code>, Offence)> {
    let first = wire.packet(framer, CONNECT_MAX).await.map_err(|broken| match broken {
        Broken::Malformed(malformed) => (None, malformed.into()),
        Broken::Lost | Broken::Stalled => (None, Offence::NoConnect),
    })?;
    match packet::parse(&first) {
        Ok(Packet::Connect(connect)) => judge(&connect, identity),
        Ok(_) => Err((None, Offence::NoConnect)),
        Err(Malformed::Version) => Err((Some(Code::Version), Malformed::Version.into())),
        Err(malformed) => Err((None, malformed.into())),
    }
}

/// The rules for CONNECT: client id = identity, a keep-alive that finds dead connections, and a will only of a node and only
/// to its own state topic.
fn judge(connect: &Connect<'_>, identity: Identity) -> Result<Hello, (Option<Code>, Offence)> {
    if connect.client_id != identity.name().as_str() {
        return Err((Some(Code::ClientId), Offence::ClientId));
    }
    if !(1..=600).contains(&connect.keep_alive) {
        return Err((Some(Code::NotAuthorized), Offence::KeepAlive));
    }
    let will = match (&connect.will, &identity) {
        (None, _) => None,
        (Some(will), Identity::Node(node)) if own_state(node, will.topic) && will.qos < 2 => {
            Some(Bytes::copy_from_slice(will.payload))
        }
        (Some(_), _) => return Err((Some(Code::NotAuthorized), Offence::Will)),
    };
    Ok(Hello { identity, patience: Duration::from_secs(connect.keep_alive.into()) * 3 / 2, will })
}

fn own_state(node: &Name, topic: &str) -> bool {
    node_may_publish(node, topic) == Some(Channel::State)
}

async fn admitted<N: Nodes>(gate: &Inner<N>, identity: &Identity, certificate: &Digest) -> bool {
    let outcome = match identity {
        Identity::Node(node) => gate.nodes.admit(node, certificate).await,
        Identity::Center(center) => gate.nodes.admit_center(center, certificate).await,
    };
    outcome.inspect_err(|fault| tracing::warn!(%identity, %certificate, %fault, "not admitted")).is_ok()
}

async fn refuse<T>(wire: &Wire, code: impl Into<Option<Code>>, why: Refusal) -> Result<T, Refusal> {
    if let Some(code) = code.into() {
        let _sent = wire.send(&packet::connack(code), &[], GOODBYE).await;
    }
    wire.close(GOODBYE).await;
    Err(why)
}

#[cfg(test)]
mod tests {
    use super::*;
    use shared::topic::Topic;

    #[test]
    fn a_connect_is_judged_by_the_certificate() {
        let me = Name::new("n1").expect("name");
        let topic = |node: &str, channel| Topic { node: Name::new(node).expect("name"), channel }.to_string();
        let (own, other, down) = (topic("n1", Channel::State), topic("n2", Channel::State), topic("n1", Channel::Down));
        let offence = |client_id: &str, keep_alive, will: Option<&str>, qos| {
            let will = will.map(|topic| packet::Will { topic, payload: b"w", qos });
            let connect = Connect { client_id, keep_alive, will };
            judge(&connect, Identity::Node(me.clone())).map_err(|(_, offence)| offence).err()
        };
        assert_eq!(offence("n1", 60, None, 0), None);
        assert_eq!(offence("n1", 600, Some(&own), 1), None);
        for id in ["", "n2", "N1", "n1 ", "bad#id", "n1-x"] {
            assert_eq!(offence(id, 60, None, 0), Some(Offence::ClientId), "{id:?}");
        }
        for keep_alive in [0, 601, u16::MAX] {
            assert_eq!(offence("n1", keep_alive, None, 0), Some(Offence::KeepAlive), "{keep_alive}");
        }
        for topic in [&other, &down, "é/x", "#", "", "$share/g/t"] {
            assert_eq!(offence("n1", 60, Some(topic), 0), Some(Offence::Will), "{topic:?}");
        }
        assert_eq!(offence("n1", 60, Some(&own), 2), Some(Offence::Will));
        let center = Connect { client_id: "n1", keep_alive: 60, will: Some(packet::Will { topic: &own, payload: b"", qos: 0 }) };
        assert!(judge(&center, Identity::Center(me.clone())).is_err(), "only nodes have a will");
    }
}
