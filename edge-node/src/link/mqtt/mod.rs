//! The transport over MQTT 3.1.1 and TLS 1.3. All types of the MQTT client stay in this directory.
//!
//! One session is one client object: connect, subscribe to the one downlink, say `online`, move bytes both ways, and at
//! the first trouble throw the whole object away, wait and make a new one. That gives up nothing, because the link
//! re-sends the truth anyway, and it leaves no room for the client's known troubles (measured with rumqttc): requests
//! kept from an older session, an event loop that spins without progress, a `publish` that waits for the task that
//! would make room.
//!
//! ```text
//!   from_node ─► feed ─► client queue (8) ─► event loop ─► TLS ─► hub      two futures of one task:
//!   to_node   ◄──────────────── pump ◄────── event loop ◄─ TLS ◄─ hub      feed may wait, pump goes on
//! ```
//!
//! Memory is bounded by the two queues, the client's queue and 8 messages in flight, each at most
//! [`MESSAGE_MAX`]. A node that does not take its messages for 15 s ends the session: the hub's
//! messages wait in TCP, not here.

mod lost;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rumqttc::{
    AsyncClient, Event, EventLoop, Incoming, MqttOptions, NetworkOptions, Outgoing, PublishOptions, QoS, SubscribeReasonCode,
    TlsConfiguration, Transport,
};
use rustls::ClientConfig;
use shared::fault::Faulty;
use shared::id::Name;
use shared::topic::{Channel, Topic};
use shared::wire::MESSAGE_MAX;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::backoff;
use super::transport::TransportEnds;
use crate::identity::{Address, Identity};
use crate::shutdown::Shutdown;
use crate::tls::{self, Unusable};
use lost::Lost;

/// Requests that wait inside the client, and messages that wait for the hub's acknowledgement.
const QUEUE: u16 = 8;
/// Connecting, and each flush to the network, may take so long: a 256 KiB message needs 42 s at 50 kbit/s.
const NETWORK_LIMIT: Duration = Duration::from_secs(60);
/// Room for topic and header beside a message.
const HEADER_MAX: usize = 256;
/// The node must take a message within this time.
const STALL: Duration = Duration::from_secs(15);
/// At the end, messages in flight have so long to be acknowledged before DISCONNECT.
const GOODBYE: Duration = Duration::from_secs(2);

/// How to reach the hub.
#[derive(Debug, Clone)]
pub struct MqttConfig {
    /// Who we are: client id and topics.
    pub node: Name,
    /// Where the hub's gate is.
    pub address: Address,
    /// Our certificate and the hub's CA.
    pub tls: Arc<ClientConfig>,
    /// How often to ask a silent hub, in whole seconds. After 2.5 times that without any packet the session ends.
    pub keep_alive: Duration,
}

impl MqttConfig {
    /// What an enrolled node uses: 30 s, so that NAT boxes keep the connection and half-open ones are noticed in 75 s.
    pub fn of(identity: &Identity) -> Result<Self, Unusable> {
        Ok(Self {
            node: identity.node.clone(),
            address: identity.mqtt.clone(),
            tls: Arc::new(tls::for_link(identity)?),
            keep_alive: Duration::from_secs(30),
        })
    }

    /// Longest time without a packet from the hub.
    fn silence(&self) -> Duration {
        self.keep_alive.saturating_mul(5) / 2
    }

    fn options(&self) -> MqttOptions {
        let broker = rumqttc::Broker::tcp(self.address.host.clone(), self.address.port);
        let mut options = MqttOptions::new(self.node.as_str(), broker);
        options
            .set_transport(Transport::tls_with_config(TlsConfiguration::Rustls(self.tls.clone())))
            .set_keep_alive(u16::try_from(self.keep_alive.as_secs()).unwrap_or(u16::MAX))
            .set_clean_session(true)
            .set_max_packet_size(MESSAGE_MAX + HEADER_MAX, MESSAGE_MAX + HEADER_MAX)
            .set_inflight(QUEUE);
        options
    }
}

/// Keeps a session with the hub until shutdown, or until the node drops its ends.
pub async fn run(config: MqttConfig, ends: TransportEnds, mut shutdown: Shutdown) {
    let TransportEnds { mut from_node, to_node, online, trouble } = ends;
    let mut failures = 0;
    loop {
        let session = Box::pin(session(&config, &mut from_node, &to_node, &online, &trouble, &mut shutdown)).await;
        let was_online = online.send_replace(false);
        let Err(Ended { why, useful }) = session else { return };
        failures = if useful { 0 } else { failures + 1 };
        let wait = backoff::delay(failures, random());
        let fault = why.at(&config).fault();
        if was_online {
            tracing::warn!(%fault, ?wait, "link lost");
        } else {
            tracing::info!(%fault, ?wait, failures, "no link");
        }
        trouble.send_replace(Some(fault));
        tokio::select! {
            () = sleep(wait) => {}
            () = shutdown.wait() => return,
            () = discard(&mut from_node) => return,
        }
    }
}

/// How a session ended.
struct Ended {
    why: Lost,
    /// Whether it counts as a success.
    useful: bool,
}

/// One session; `Ok` when we ended it.
async fn session(
    config: &MqttConfig,
    from_node: &mut mpsc::Receiver<(Channel, Bytes)>,
    to_node: &mpsc::Sender<Bytes>,
    online: &watch::Sender<bool>,
    trouble: &watch::Sender<Option<shared::fault::Fault>>,
    shutdown: &mut Shutdown,
) -> Result<(), Ended> {
    let (client, mut events) = AsyncClient::builder(config.options()).capacity(usize::from(QUEUE)).build();
    let mut network = NetworkOptions::new();
    network.set_connection_timeout(NETWORK_LIMIT.as_secs());
    network.set_tcp_nodelay(true);
    events.set_network_options(network);
    let mut pump = Pump { config, client: &client, to_node, online, trouble, online_since: None, received: 0 };
    tokio::select! {
        biased;
        () = shutdown.wait() => {}
        why = pump.run(&mut events) => {
            let useful = pump.online_since.is_some_and(|since| backoff::useful(since.elapsed(), pump.received));
            return Err(Ended { why, useful });
        }
        () = feed(&client, &config.node, from_node, online) => {}
    }
    if *online.borrow() {
        // Whoever cannot be told in time notices by the closed connection.
        drop(timeout(GOODBYE * 2, goodbye(&client, &mut events)).await);
    }
    Ok(())
}

/// Moves what the node sends into the client; returns when the node is done.
async fn feed(client: &AsyncClient, node: &Name, from_node: &mut mpsc::Receiver<(Channel, Bytes)>, online: &watch::Sender<bool>) {
    while let Some((channel, message)) = from_node.recv().await {
        if !*online.borrow() {
            continue;
        }
        if message.len() > MESSAGE_MAX {
            tracing::error!(bytes = message.len(), ?channel, "a message is longer than the wire allows; not sent");
            continue;
        }
        let topic = Topic { node: node.clone(), channel }.to_string();
        if let Err(error) = client.publish(topic, message, PublishOptions::new(qos(channel))).await {
            // The event loop is gone, and with it the session; the pump says why.
            tracing::debug!(%error, "not sent");
        }
    }
}

/// As the table in [`shared::topic`] says.
const fn qos(channel: Channel) -> QoS {
    match channel {
        Channel::Down | Channel::Request => QoS::AtMostOnce,
        Channel::State | Channel::Event => QoS::AtLeastOnce,
    }
}

/// The receiving half of a session.
struct Pump<'a> {
    config: &'a MqttConfig,
    client: &'a AsyncClient,
    to_node: &'a mpsc::Sender<Bytes>,
    online: &'a watch::Sender<bool>,
    trouble: &'a watch::Sender<Option<shared::fault::Fault>>,
    online_since: Option<Instant>,
    /// Bytes of messages the node took.
    received: u64,
}

impl Pump<'_> {
    /// Drives the connection until it is lost.
    async fn run(&mut self, events: &mut EventLoop) -> Lost {
        let mut heard = Instant::now();
        loop {
            let polled = timeout_at(heard + self.config.silence(), events.poll()).await;
            let packet = match polled {
                Err(_) => return Lost::Silent,
                Ok(Err(error)) => return Lost::from_error(&error, self.online_since.is_some()),
                Ok(Ok(Event::Outgoing(_))) => continue,
                Ok(Ok(Event::Incoming(packet))) => packet,
            };
            if let Err(lost) = self.take(packet).await {
                return lost;
            }
            heard = Instant::now();
        }
    }

    async fn take(&mut self, packet: Incoming) -> Result<(), Lost> {
        #[expect(clippy::wildcard_enum_match_arm, reason = "acknowledgements and pings are the client's own business")]
        match packet {
            Incoming::ConnAck(_) => {
                let topic = Topic { node: self.config.node.clone(), channel: Channel::Down }.to_string();
                self.client.try_subscribe(topic, qos(Channel::Down)).map_err(|error| Lost::Broken(error.to_string()))
            }
            Incoming::SubAck(ack) => match ack.return_codes.as_slice() {
                [SubscribeReasonCode::Success(_)] => {
                    tracing::info!(hub = %self.config.address, "link is up");
                    self.online_since = Some(Instant::now());
                    self.trouble.send_replace(None);
                    self.online.send_replace(true);
                    Ok(())
                }
                _ => Err(Lost::Refused("it may not subscribe to its downlink".into())),
            },
            Incoming::Publish(publish) => {
                let length = publish.payload.len() as u64;
                match timeout(STALL, self.to_node.send(publish.payload)).await {
                    Ok(_) => {
                        self.received = self.received.saturating_add(length);
                        Ok(())
                    }
                    Err(_) => Err(Lost::Stalled),
                }
            }
            _ => Ok(()),
        }
    }
}

/// Waits for what is in flight, then tells the hub that this is no accident.
async fn goodbye(client: &AsyncClient, events: &mut EventLoop) {
    if client.try_disconnect_with_timeout(GOODBYE).is_err() {
        return;
    }
    while let Ok(event) = events.poll().await {
        if event == Event::Outgoing(Outgoing::Disconnect) {
            return;
        }
    }
}

/// Drops what the node sends while there is no session; returns when the node is done.
async fn discard(from_node: &mut mpsc::Receiver<(Channel, Bytes)>) {
    while from_node.recv().await.is_some() {}
}

/// Randomness for the delay only. Without a generator all nodes wait the longest, which is safe.
fn random() -> u64 {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).map_or(u64::MAX, |()| u64::from_le_bytes(bytes))
}
