//! A session's life: two halves in one task, one that listens to the client and one that speaks to it.
//!
//! Whatever ends first ends both, but a message that the hub is just taking is taken to its end: the hub never sees
//! half of its own work dropped, nor `left` before `received` has returned.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use bytes::Bytes;
use shared::id::Name;
use shared::topic::{self, Channel, Topic};
use tokio::time::{Instant, timeout, timeout_at};

use super::framer::Framer;
use super::open::{Hello, Opened};
use super::packet::{self, Packet, Publish};
use super::session::{NotSubscribed, Outgoing, Session};
use super::stats::{End, Gauge, add, add_one};
use super::wire::{Broken, Wire};
use super::{Inner, Nodes, Offence, PACKET_MAX, center};
use crate::ca::Identity;

/// For the hub to finish what it is doing with a message of a session that has ended.
const FINISH: Duration = Duration::from_secs(10);
/// For the goodbye to a client that left by itself.
const GOODBYE: Duration = Duration::from_secs(1);

/// Serves an accepted client until it is gone.
pub(super) async fn serve<N: Nodes>(gate: &Arc<Inner<N>>, opened: Opened) {
    let Opened { wire, framer, seat, session, hello } = opened;
    let identity = hello.identity.clone();
    let end = match &identity {
        Identity::Node(node) => serve_node(gate, node, &wire, framer, &session, hello).await,
        Identity::Center(name) => {
            let _gauge = Gauge::of(&gate.stats.centers);
            center::serve(gate, name, &wire, framer, &session, hello.patience).await
        }
    };
    gate.stats.count_ended(end);
    tracing::debug!(%identity, session = %session.id(), %end, "session ended");
    drop(seat);
    if end == End::Left {
        wire.close(GOODBYE).await;
    }
}

async fn serve_node<N: Nodes>(
    gate: &Arc<Inner<N>>,
    node: &Name,
    wire: &Wire,
    framer: Framer,
    session: &Session,
    hello: Hello,
) -> End {
    let _gauge = Gauge::of(&gate.stats.nodes);
    gate.nodes.joined(node, session.clone()).await;
    let node_session = NodeSession { gate, node, wire, session, busy: AtomicBool::new(false) };
    let end = node_session.run(framer, hello.patience).await;
    session.end(end);
    let end = session.ended().unwrap_or(end);
    if let Some(will) = hello.will.filter(|_| end != End::Left) {
        node_session.take(Channel::State, will).await;
    }
    gate.nodes.left(node, session.id()).await;
    end
}

/// What both halves of a node's session need.
struct NodeSession<'a, N> {
    gate: &'a Arc<Inner<N>>,
    node: &'a Name,
    wire: &'a Wire,
    session: &'a Session,
    /// The hub is taking a message.
    busy: AtomicBool,
}

impl<N: Nodes> NodeSession<'_, N> {
    async fn run(&self, framer: Framer, patience: Duration) -> End {
        let topic = Topic { node: self.node.clone(), channel: Channel::Down };
        let mut listening = std::pin::pin!(self.listen(framer, patience));
        let end = tokio::select! {
            biased;
            () = self.session.ending() => End::Lost, // the session knows the reason
            end = &mut listening => return end,
            end = speak(self.gate, &topic, self.wire, self.session) => end,
        };
        self.session.end(end);
        if self.busy.load(Relaxed) {
            self.wire.close(Duration::ZERO).await; // the client is cut off now, whatever the hub still does
            let _finished = timeout(FINISH, listening).await;
        }
        end
    }

    async fn listen(&self, mut framer: Framer, patience: Duration) -> End {
        loop {
            let packet = match next_packet(self.wire, &mut framer, patience).await {
                Ok(packet) => packet,
                Err(end) => return log_offence(self.node, end),
            };
            match self.answer(packet).await {
                Ok(()) if !self.session.is_ending() => {}
                Ok(()) => return End::Lost,
                Err(stop) => return log_offence(self.node, stop),
            }
        }
    }

    /// Does what one packet asks for.
    async fn answer(&self, packet: Bytes) -> Result<(), Stop> {
        match packet::parse(&packet).map_err(Offence::from)? {
            Packet::Publish(publish) => {
                let channel = self.channel_of(&publish)?;
                let id = publish.id;
                let payload = packet.slice_ref(publish.payload);
                self.take(channel, payload).await;
                if let Some(id) = id {
                    self.session.reply(&packet::puback(id)).await;
                }
            }
            Packet::Subscribe(id, filters) => {
                if !filters.iter().all(|filter| topic::node_may_subscribe(self.node, filter)) {
                    return Err(Offence::Filter.into());
                }
                self.session.reply(&packet::suback(id, filters.len())).await;
                self.session.set_subscribed(true);
            }
            Packet::Unsubscribe(id, filters) => {
                if filters.iter().any(|filter| topic::node_may_subscribe(self.node, filter)) {
                    self.session.set_subscribed(false);
                }
                self.session.reply(&packet::unsuback(id)).await;
            }
            Packet::Ping => self.session.reply(&packet::PONG).await,
            Packet::Disconnect => return Err(Stop::End(End::Left)),
            Packet::Connect(_) => return Err(Offence::SecondConnect.into()),
            Packet::Acknowledgement => return Err(Offence::Acknowledgement.into()),
        }
        Ok(())
    }

    fn channel_of(&self, publish: &Publish<'_>) -> Result<Channel, Offence> {
        if publish.qos == 2 {
            return Err(Offence::ExactlyOnce);
        }
        topic::node_may_publish(self.node, publish.topic).ok_or(Offence::Topic)
    }

    /// Hands a message to the hub, and to the center's other clients when there are any.
    async fn take(&self, channel: Channel, payload: Bytes) {
        add_one(&self.gate.stats.messages_in);
        add(&self.gate.stats.bytes_in, payload.len());
        self.busy.store(true, Relaxed);
        let fan_out = self.gate.broker.has_readers() && center::may_read(channel, &payload);
        let copy = fan_out.then(|| payload.clone());
        Box::pin(self.gate.nodes.received(self.node, self.session.id(), channel, payload)).await;
        self.busy.store(false, Relaxed);
        if let Some(copy) = copy {
            self.gate.broker.publish(Topic { node: self.node.clone(), channel }.to_string(), copy);
        }
    }
}

/// Sends what waits in the session's queues, until the connection breaks or stalls.
async fn speak<N: Nodes>(gate: &Inner<N>, topic: &Topic, wire: &Wire, session: &Session) -> End {
    let mut deaf_until: Option<Instant> = None;
    loop {
        let sent = match session.next().await {
            Ok(Outgoing::Replies(packets)) => {
                let sent = wire.send(&packets, &[], gate.limits.stall).await;
                session.replies_sent();
                sent
            }
            Ok(Outgoing::Control(message)) => {
                deaf_until = None;
                send_message(gate, topic, wire, &message).await
            }
            Ok(Outgoing::Bulk(message)) => {
                deaf_until = None;
                let sent = send_message(gate, topic, wire, &message).await;
                session.bulk_sent();
                sent
            }
            Err(NotSubscribed) => {
                let until = *deaf_until.get_or_insert_with(|| Instant::now() + gate.limits.stall);
                timeout_at(until, session.changed()).await.map_err(|_| Broken::Stalled)
            }
        };
        match sent {
            Ok(()) => {}
            Err(Broken::Stalled) => return End::Stalled,
            Err(Broken::Lost | Broken::Malformed(_)) => return End::Lost,
        }
    }
}

async fn send_message<N>(gate: &Inner<N>, topic: &Topic, wire: &Wire, message: &Bytes) -> Result<(), Broken> {
    let header = packet::publish_header(topic.to_string().as_bytes(), message.len());
    wire.send(&header, message, gate.limits.stall).await?;
    add_one(&gate.stats.messages_out);
    add(&gate.stats.bytes_out, message.len());
    Ok(())
}

/// The next whole packet. Only whole packets show that a client is alive: one byte now and then does not.
pub(super) async fn next_packet(wire: &Wire, framer: &mut Framer, patience: Duration) -> Result<Bytes, Stop> {
    match timeout(patience, wire.packet(framer, PACKET_MAX)).await {
        Ok(Ok(packet)) => Ok(packet),
        Ok(Err(Broken::Malformed(malformed))) => Err(Offence::from(malformed).into()),
        Ok(Err(Broken::Lost)) => Err(Stop::End(End::Lost)),
        Ok(Err(Broken::Stalled)) => Err(Stop::End(End::Stalled)),
        Err(_) => Err(Stop::End(End::Silent)),
    }
}

/// Why a client is not listened to any longer.
pub(super) enum Stop {
    End(End),
    Offence(Offence),
}

impl From<Offence> for Stop {
    fn from(offence: Offence) -> Self {
        Self::Offence(offence)
    }
}

pub(super) fn log_offence(name: &Name, stop: Stop) -> End {
    match stop {
        Stop::End(end) => end,
        Stop::Offence(offence) => {
            tracing::warn!(client = %name, %offence, "closed a client that broke a rule");
            End::Offence
        }
    }
}
