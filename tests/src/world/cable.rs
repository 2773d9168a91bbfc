//! One node's line to the hub: the transport of a simulated world.
//!
//! ```text
//!  node ◄─ TransportEnds ─► cable: delay, loss, twice, overtake, hostile, cut ◄─ Wire ─► hub
//! ```
//!
//! As every transport it keeps nothing for later: what the node says while offline is dropped, and what is under way when
//! the line is cut is lost. A cut may be noticed late by either side, as a half-open TCP connection is.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use edge_node::link::transport::TransportEnds;
use shared::id::Name;
use shared::topic::Channel;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, Sleep, sleep, sleep_until};

use super::center::{Serving, Wire};
use super::meter::Meter;
use super::weather::Sky;

/// Messages under way in one direction; more wait at their sender.
const FLIGHT_MAX: usize = 32;
/// How late a side may notice a cut: 2.5 times the keep-alive.
const LATE_MS: u64 = 75_000;
/// A message whose receiver has no room is tried again after this time.
const AGAIN: Duration = Duration::from_millis(10);

/// The node's end of a line, and who looks at it.
pub struct Ends {
    /// The node.
    pub node: Name,
    /// What it says and hears.
    pub ends: TransportEnds,
    /// The weather over the line.
    pub sky: Arc<Sky>,
    /// Counts what arrives.
    pub meter: Arc<Meter>,
}

/// Carries messages until the node drops its ends. `plugged` says whether the line is whole.
pub async fn carry(
    Ends { node, ends, sky, meter }: Ends,
    mut plugged: watch::Receiver<bool>,
    mut hub: watch::Receiver<Option<Arc<Serving>>>,
) {
    let TransportEnds { mut from_node, to_node, online, trouble: _trouble } = ends;
    loop {
        let found = both(&mut plugged, &mut hub);
        let Some(serving) = while_discarding(&mut from_node, found).await else { return };
        let delay = sleep(Duration::from_millis(sky.up_to(sky.weather().reconnect_ms)));
        if while_discarding(&mut from_node, passed(delay)).await.is_none() {
            return;
        }
        if !*plugged.borrow() {
            continue;
        }
        let Some(mut wire) = serving.connect(&node).await else {
            sleep(Duration::from_secs(1)).await;
            continue;
        };
        drop(serving);
        online.send_replace(true);
        let mut flow = Flow { node: &node, sky: &sky, meter: &meter, up: Flight::default(), down: Flight::default() };
        flow.carry(&mut from_node, &to_node, &mut wire, &mut plugged).await;
        if sky.chance(sky.weather().half_open) {
            let late = sleep(Duration::from_millis(sky.up_to(LATE_MS)));
            if sky.chance(500) {
                tokio::spawn(async move {
                    late.await;
                    drop(wire);
                });
            } else {
                drop(wire);
                if while_discarding(&mut from_node, passed(late)).await.is_none() {
                    return;
                }
            }
        }
        online.send_replace(false);
    }
}

/// The hub, once it runs and the line is whole; `None` when the world ends.
async fn both(plugged: &mut watch::Receiver<bool>, hub: &mut watch::Receiver<Option<Arc<Serving>>>) -> Option<Arc<Serving>> {
    loop {
        plugged.wait_for(|plugged| *plugged).await.ok()?;
        let found = hub.borrow_and_update().clone();
        if found.is_some() {
            return found;
        }
        tokio::select! {
            changed = plugged.changed() => changed.ok()?,
            changed = hub.changed() => changed.ok()?,
        }
    }
}

/// Waits for `event` and drops what the node says meanwhile; `None` when the node is gone or there is no event.
async fn while_discarding<T>(
    from_node: &mut mpsc::Receiver<(Channel, Bytes)>,
    event: impl Future<Output = Option<T>>,
) -> Option<T> {
    tokio::pin!(event);
    loop {
        tokio::select! {
            biased;
            came = &mut event => return came,
            said = from_node.recv() => drop(said?),
        }
    }
}

/// One connection.
struct Flow<'a> {
    node: &'a Name,
    sky: &'a Sky,
    meter: &'a Meter,
    up: Flight<(Channel, Bytes)>,
    down: Flight<(Speaker, Bytes)>,
}

/// Who said what comes down the line.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Speaker {
    Hub,
    Stranger,
}

impl Flow<'_> {
    /// Returns when the line is cut or an end is gone.
    async fn carry(
        &mut self,
        from_node: &mut mpsc::Receiver<(Channel, Bytes)>,
        to_node: &mpsc::Sender<Bytes>,
        wire: &mut Wire,
        plugged: &mut watch::Receiver<bool>,
    ) {
        loop {
            tokio::select! {
                biased;
                cut = plugged.wait_for(|plugged| !*plugged) => return drop(cut),
                said = from_node.recv(), if self.up.has_room() => match said {
                    Some(said) => {
                        let size = said.1.len();
                        self.up.take(self.sky, said, size);
                    }
                    None => return,
                },
                said = wire.down.recv(), if self.down.has_room() => match said {
                    Some(said) => {
                        let hostile = self.sky.hostile(self.node, &said);
                        let size = said.len();
                        self.down.take(self.sky, (Speaker::Hub, said), size);
                        hostile.into_iter().for_each(|hostile| self.down.take(self.sky, (Speaker::Stranger, hostile), 0));
                    }
                    None => return,
                },
                () = self.up.due() => if let Some(said) = self.up.pop() {
                    self.up.settle(unsent(wire.up.try_send(said)));
                },
                () = self.down.due() => if let Some((speaker, said)) = self.down.pop() {
                    self.sky.arrived(&said);
                    if speaker == Speaker::Hub {
                        self.meter.arrived(&said);
                    }
                    self.down.settle(unsent(to_node.try_send(said)).map(|said| (speaker, said)));
                },
            }
        }
    }
}

/// Some, when the time has passed.
async fn passed(time: Sleep) -> Option<()> {
    time.await;
    Some(())
}

/// Messages under way in one direction, by the moment they arrive.
struct Flight<T> {
    under_way: BTreeMap<(Instant, u64), T>,
    count: u64,
    last: Option<Instant>,
    /// When the line has sent what it was given.
    free: Option<Instant>,
}

impl<T> Default for Flight<T> {
    fn default() -> Self {
        Self { under_way: BTreeMap::new(), count: 0, last: None, free: None }
    }
}

impl<T: Clone> Flight<T> {
    fn has_room(&self) -> bool {
        self.under_way.len() < FLIGHT_MAX
    }

    /// Sends one message on its way, behind those that still take up the line.
    fn take(&mut self, sky: &Sky, message: T, size: usize) {
        let now = Instant::now();
        let sent = self.free.map_or(now, |free| free.max(now)) + sky.weather().passing(size);
        self.free = Some(sent);
        for (delay, overtakes) in sky.fate() {
            let arrives = sent + delay;
            let arrives = if overtakes { arrives } else { self.last.map_or(arrives, |last| last.max(arrives)) };
            self.last = self.last.max(Some(arrives));
            self.put(arrives, message.clone());
        }
    }

    fn put(&mut self, arrives: Instant, message: T) {
        self.count += 1;
        self.under_way.insert((arrives, self.count), message);
    }

    /// Returns when the next message arrives.
    async fn due(&self) {
        match self.under_way.first_key_value() {
            Some(((arrives, _), _)) => sleep_until(*arrives).await,
            None => std::future::pending().await,
        }
    }

    fn pop(&mut self) -> Option<T> {
        self.under_way.pop_first().map(|(_, message)| message)
    }

    /// What found no room comes again, before all others.
    fn settle(&mut self, unsent: Option<T>) {
        let Some(message) = unsent else { return };
        let first = Instant::now() + AGAIN;
        let behind = std::mem::take(&mut self.under_way);
        self.under_way.insert((first, 0), message);
        self.under_way.extend(behind.into_iter().map(|((at, n), message)| ((at.max(first), n), message)));
    }
}

/// What its receiver had no room for.
fn unsent<T>(sent: Result<(), mpsc::error::TrySendError<T>>) -> Option<T> {
    match sent {
        Err(mpsc::error::TrySendError::Full(message)) => Some(message),
        Ok(()) | Err(mpsc::error::TrySendError::Closed(_)) => None,
    }
}
