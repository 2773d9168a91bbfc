//! The router for other MQTT clients of the center: rumqttd's, kept alive.
//!
//! Nodes do not depend on it. It hears what nodes report only while such a client is connected, and forwards it with QoS 0. Its
//! one thread can die (rumqttd 0.20 panics on several inputs, none of which the gate lets through); so the hub speaks to itself
//! through it every few seconds, and makes a new one when there is no echo. Clients of the old one are closed and come back.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, PoisonError, RwLock};
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use rumqttd::local::{LinkBuilder, LinkRx, LinkTx};
use rumqttd::protocol::{Disconnect, DisconnectReasonCode, Packet};
use rumqttd::{Notification, Router, RouterConfig};
use shared::fault::{Fault, Faulty, hub};
use shared::topic::PROBE;
use tokio::sync::{oneshot, watch};
use tokio::time::{Instant, interval_at, sleep, timeout};

/// Most clients of the center.
const CLIENTS_MAX: usize = 256;
/// Messages that wait for the router; more are dropped, as QoS 0 allows.
const JOBS_MAX: usize = 1024;
/// How often the hub speaks to itself.
pub const PROBE_EVERY: Duration = Duration::from_secs(5);
/// How long an answer of the router may take.
const ANSWER: Duration = Duration::from_secs(5);

/// A handle of the router. Cheap to clone; survives the router.
#[derive(Clone)]
pub struct Broker(Arc<Shared>);

struct Shared {
    life: RwLock<Arc<Life>>,
    readers: Arc<AtomicUsize>,
    alive: AtomicBool,
    rebuilt: AtomicU64,
    dropped: AtomicU64,
}

/// One router and what belongs to it.
struct Life {
    /// Makes a link; blocks until the router answers. A closure, because the type of the router's queue has no public name.
    connect: Box<Connect>,
    jobs: SyncSender<Job>,
    /// Becomes true when the router is given up: its own channels may stay open in threads that wait for it for ever.
    over: watch::Sender<bool>,
}

type Connect = dyn Fn(&str) -> Result<(LinkTx, LinkRx), BrokerError> + Send + Sync;

/// A message on its way to the router.
struct Job {
    topic: String,
    payload: Bytes,
}

/// Why the router did not do it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the router does not answer: {cause}")]
pub struct BrokerError {
    cause: String,
}

impl Faulty for BrokerError {
    fn fault(&self) -> Fault {
        Fault::new(&hub::BROKER_DOWN).with("cause", &self.cause)
    }
}

fn failed(cause: impl fmt::Display) -> BrokerError {
    BrokerError { cause: cause.to_string() }
}

impl Broker {
    /// Starts a router. [`Self::keep_alive`] must run beside it.
    pub fn start() -> Result<Self, BrokerError> {
        Ok(Self(Arc::new(Shared {
            life: RwLock::new(Arc::new(Life::start()?)),
            readers: Arc::default(),
            alive: AtomicBool::new(true),
            rebuilt: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
        })))
    }

    /// Whether the last probe came back: part of the hub's health.
    pub fn is_alive(&self) -> bool {
        self.0.alive.load(Relaxed)
    }

    /// How often a dead router was replaced.
    pub fn rebuilt(&self) -> u64 {
        self.0.rebuilt.load(Relaxed)
    }

    /// Messages that were dropped because the router was too slow or dead.
    pub fn dropped(&self) -> u64 {
        self.0.dropped.load(Relaxed)
    }

    /// Whether anybody would hear a message.
    pub fn has_readers(&self) -> bool {
        self.0.readers.load(Relaxed) > 0
    }

    /// Forwards a message to whoever subscribed. Never waits; a message that does not fit is dropped and counted.
    pub fn publish(&self, topic: String, payload: Bytes) {
        if self.life().jobs.try_send(Job { topic, payload }).is_err() {
            self.0.dropped.fetch_add(1, Relaxed);
        }
    }

    /// Connects a client of the center under `name`, which no other connected client has. The two ends belong together:
    /// the router forgets the client when they are dropped.
    pub async fn join(&self, name: &str) -> Result<(Subscriber, Reader), BrokerError> {
        let life = self.life();
        let (tx, rx) = connect(&life, name).await?;
        self.0.readers.fetch_add(1, Relaxed);
        let reader = Reader { rx, over: life.over.subscribe(), readers: self.0.readers.clone() };
        Ok((Subscriber { tx: Some(tx) }, reader))
    }

    /// Speaks to itself through the router every `every`, and replaces a router that does not answer. Runs until dropped.
    pub async fn keep_alive(&self, every: Duration) {
        let mut ticks = interval_at(Instant::now() + every, every);
        let mut echo = Echo::default();
        loop {
            ticks.tick().await;
            let life = self.life();
            match echo.probe(&life).await {
                Ok(()) => self.0.alive.store(true, Relaxed),
                Err(error) => {
                    tracing::warn!(%error, "the router for other MQTT clients is dead; making a new one");
                    self.0.alive.store(false, Relaxed);
                    echo = Echo::default();
                    life.over.send_replace(true);
                    self.rebuild().await;
                }
            }
        }
    }

    async fn rebuild(&self) {
        match start_apart().await {
            Ok(life) => {
                *self.0.life.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(life);
                self.0.rebuilt.fetch_add(1, Relaxed);
            }
            Err(error) => tracing::warn!(%error, "no new router; trying again"),
        }
    }

    fn life(&self) -> Arc<Life> {
        self.0.life.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Life {
    /// A new router. Blocks for a moment.
    fn start() -> Result<Self, BrokerError> {
        let router = Router::new(0, config()).spawn();
        let connect = move |name: &str| {
            let link = LinkBuilder::new(name, router.clone()).build().map_err(failed)?;
            Ok((link.0, link.1))
        };
        let (tx, rx) = connect("hub")?;
        let (jobs, queue) = sync_channel(JOBS_MAX);
        thread::Builder::new().name("broker-feed".into()).spawn(move || feed(tx, &rx, &queue)).map_err(failed)?;
        Ok(Self { connect: Box::new(connect), jobs, over: watch::Sender::new(false) })
    }
}

/// The router keeps up to two segments for every filter ever subscribed; small ones, since readers get only what is new.
fn config() -> RouterConfig {
    RouterConfig {
        max_connections: CLIENTS_MAX + 2,
        max_outgoing_packet_count: 50,
        max_segment_size: 512 << 10,
        max_segment_count: 2,
        ..RouterConfig::default()
    }
}

/// Gives messages to the router from a thread of its own, because that blocks while the router is busy. Ends with the
/// router, or when its handle is replaced. `_rx` keeps the link whole.
fn feed(mut tx: LinkTx, _rx: &LinkRx, queue: &Receiver<Job>) {
    while let Ok(Job { topic, payload }) = queue.recv() {
        if tx.publish(topic, payload).is_err() {
            return;
        }
    }
}

async fn start_apart() -> Result<Life, BrokerError> {
    timeout(ANSWER, apart(Life::start)?).await.map_err(failed)?.map_err(failed)?
}

async fn connect(life: &Arc<Life>, name: &str) -> Result<(LinkTx, LinkRx), BrokerError> {
    let (life, name) = (life.clone(), name.to_owned());
    timeout(ANSWER, apart(move || (life.connect)(&name))?).await.map_err(failed)?.map_err(failed)?
}

/// Does what may block for ever, on a thread of its own: a router that dies while it is being asked never answers, and
/// the process must still be able to end. Such a thread stays parked; there is at most one per client and dead router.
fn apart<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<oneshot::Receiver<T>, BrokerError> {
    let (done, result) = oneshot::channel();
    let work = move || drop(done.send(work()));
    thread::Builder::new().name("broker-call".into()).stack_size(256 << 10).spawn(work).map_err(failed)?;
    Ok(result)
}

/// The end of a client that changes subscriptions.
pub struct Subscriber {
    tx: Option<LinkTx>,
}

impl Subscriber {
    /// Begins to forward messages that match `filter`, which the caller has checked.
    pub fn subscribe(&mut self, filter: &str) -> Result<(), BrokerError> {
        let tx = self.tx.as_mut().ok_or_else(|| failed("left"))?;
        tx.try_subscribe(filter).map(|_| ()).map_err(failed)
    }

    /// Ends that.
    pub fn unsubscribe(&mut self, filter: &str) -> Result<(), BrokerError> {
        let tx = self.tx.as_mut().ok_or_else(|| failed("left"))?;
        tx.try_unsubscribe(filter).map(|_| ()).map_err(failed)
    }
}

impl Drop for Subscriber {
    /// Says goodbye to the router.
    fn drop(&mut self) {
        let Some(mut tx) = self.tx.take() else { return };
        let _sent = apart(move || {
            let disconnect = Disconnect { reason_code: DisconnectReasonCode::NormalDisconnection };
            tx.send(Packet::Disconnect(disconnect, None)).now_or_never();
        });
    }
}

/// The end of a client that gets messages.
pub struct Reader {
    rx: LinkRx,
    over: watch::Receiver<bool>,
    readers: Arc<AtomicUsize>,
}

impl Reader {
    /// The next message as (topic, payload); `None` when the router is gone. May be dropped and called again.
    pub async fn next(&mut self) -> Option<(Bytes, Bytes)> {
        tokio::select! {
            message = next(&mut self.rx) => message,
            _ = self.over.wait_for(|over| *over) => None,
        }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.readers.fetch_sub(1, Relaxed);
    }
}

async fn next(rx: &mut LinkRx) -> Option<(Bytes, Bytes)> {
    loop {
        match rx.next().await.ok()? {
            Some(Notification::Forward(forward)) => return Some((forward.publish.topic, forward.publish.payload)),
            Some(Notification::Unschedule) => rx.wake().await.ok()?,
            Some(Notification::Disconnect(..)) => return None,
            Some(_) | None => {}
        }
    }
}

/// The hub's way of hearing itself.
#[derive(Default)]
struct Echo {
    link: Option<(LinkTx, LinkRx)>,
    number: u64,
}

impl Echo {
    async fn probe(&mut self, life: &Arc<Life>) -> Result<(), BrokerError> {
        let (_, rx) = match &mut self.link {
            Some(link) => link,
            empty => {
                let (mut tx, rx) = connect(life, "hub-echo").await?;
                tx.try_subscribe(PROBE).map_err(failed)?;
                empty.insert((tx, rx))
            }
        };
        self.number += 1;
        let call = Bytes::copy_from_slice(&self.number.to_be_bytes());
        timeout(ANSWER, call_and_hear(life, rx, call)).await.map_err(failed)?
    }
}

async fn call_and_hear(life: &Life, rx: &mut LinkRx, call: Bytes) -> Result<(), BrokerError> {
    let mut job = Job { topic: PROBE.into(), payload: call.clone() };
    while let Err(error) = life.jobs.try_send(job) {
        match error {
            TrySendError::Full(full) => job = full,
            TrySendError::Disconnected(_) => return Err(failed("its thread has ended")),
        }
        sleep(Duration::from_millis(50)).await; // other messages go first
    }
    loop {
        match next(rx).await {
            Some((_, heard)) if heard == call => return Ok(()),
            Some(_) => {}
            None => return Err(failed("its thread has ended")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TICK: Duration = Duration::from_millis(20);
    /// A router that dies writes its backtrace first, which takes seconds on a busy machine.
    const SOON: Duration = Duration::from_secs(60);

    async fn hears(reader: &mut Reader) -> Option<(String, Bytes)> {
        let (topic, payload) = timeout(SOON, reader.next()).await.expect("in time")?;
        Some((String::from_utf8_lossy(&topic).into_owned(), payload))
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn readers_hear_what_they_subscribed_to_while_they_are_there() {
        let broker = Broker::start().expect("router");
        assert!(!broker.has_readers());
        let (mut subscriber, mut reader) = broker.join("grafana").await.expect("link");
        assert!(broker.has_readers());
        subscriber.subscribe("a/+/s").expect("subscribe");
        for (topic, payload) in [("a/1/s", "one"), ("a/1/e", "other"), ("b/1/s", "other"), ("a/2/s", "two")] {
            broker.publish(topic.into(), payload.into());
        }
        assert_eq!(hears(&mut reader).await, Some(("a/1/s".into(), "one".into())));
        assert_eq!(hears(&mut reader).await, Some(("a/2/s".into(), "two".into())));
        for n in 0..500 {
            broker.publish("a/1/s".into(), format!("{n}").into());
            assert_eq!(hears(&mut reader).await, Some(("a/1/s".into(), format!("{n}").into())));
        }
        drop((subscriber, reader));
        assert!(!broker.has_readers());
        let again = broker.join("grafana").await;
        assert!(again.is_ok(), "the name is free again");
    }

    /// The topic that kills rumqttd 0.20 (it slices the first byte of it) stands for every such defect.
    #[tokio::test(flavor = "multi_thread")]
    async fn a_dead_router_is_noticed_and_replaced() {
        let broker = Broker::start().expect("router");
        let watch = tokio::spawn({
            let broker = broker.clone();
            async move { broker.keep_alive(TICK).await }
        });
        let (mut subscriber, mut reader) = broker.join("grafana").await.expect("link");
        subscriber.subscribe("a/+/s").expect("subscribe");
        broker.publish("é/x".into(), Bytes::new());
        assert_eq!(hears(&mut reader).await, None, "its clients are told");
        let replaced = async {
            while broker.rebuilt() == 0 || !broker.is_alive() {
                sleep(TICK).await;
            }
        };
        timeout(SOON, replaced).await.expect("a new router");
        drop((subscriber, reader));
        let (mut subscriber, mut reader) = broker.join("grafana").await.expect("link");
        subscriber.subscribe("a/+/s").expect("subscribe");
        // A probe that waits for the router takes the next message along, past a filter that came between the two.
        let speaks = async {
            loop {
                broker.publish("a/1/s".into(), "alive".into());
                sleep(TICK).await;
            }
        };
        tokio::select! {
            heard = hears(&mut reader) => assert_eq!(heard, Some(("a/1/s".into(), "alive".into()))),
            () = speaks => {}
        }
        assert!(!watch.is_finished());
        watch.abort();
    }
}
