//! The network between the machines of a world, over which neighbours share images: no loss and no delay, but each machine's
//! cable can be pulled.
//!
//! ```text
//!  who connects ◄─ Duplex ─► relay: waits while a cable is out ◄─ Duplex ─► who listens
//! ```
//!
//! A connection outlives that, as one of TCP does: what is under way waits. An end that is gone is noticed at once while
//! both cables are in, and else when they are again.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};

use edge_node::neighbours::lan::{Lan, Line, Listener, Soon};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, ReadHalf, WriteHalf, duplex, split};
use tokio::sync::{mpsc, watch};

use super::center::lock;

/// Bytes under way in one direction.
const FLIGHT: usize = 64 << 10;
/// Connections that nobody has accepted yet.
const BACKLOG: usize = 32;

/// The network.
#[derive(Default)]
pub struct Network {
    doors: Mutex<BTreeMap<SocketAddr, mpsc::Sender<Line>>>,
    cables: Mutex<BTreeMap<IpAddr, watch::Sender<bool>>>,
}

impl Network {
    /// Pulls the cable of a machine, or puts it in.
    pub fn plug(&self, machine: IpAddr, is_in: bool) {
        self.cable(machine, |cable| cable.send_replace(is_in));
    }

    /// Whether the machine's cable is in.
    pub fn is_plugged(&self, machine: IpAddr) -> bool {
        self.cable(machine, |cable| *cable.borrow())
    }

    fn cable<T>(&self, machine: IpAddr, look: impl FnOnce(&watch::Sender<bool>) -> T) -> T {
        look(lock(&self.cables).entry(machine).or_insert_with(|| watch::Sender::new(true)))
    }
}

/// The network as one machine has it.
pub struct Port {
    /// All of it.
    pub network: Arc<Network>,
    /// The machine's address.
    pub machine: IpAddr,
}

impl Lan for Port {
    fn connect(&self, to: SocketAddr) -> Soon<'_, Line> {
        Box::pin(async move {
            let mut cables = [self.machine, to.ip()].map(|machine| self.network.cable(machine, watch::Sender::subscribe));
            all_in(&mut cables).await;
            let door = lock(&self.network.doors).get(&to).cloned().ok_or(io::ErrorKind::ConnectionRefused)?;
            let [(ours, near), (theirs, far)] = [duplex(FLIGHT), duplex(FLIGHT)];
            door.try_send(Box::new(theirs)).map_err(|_| io::ErrorKind::ConnectionRefused)?;
            let [(near_in, near_out), (far_in, far_out)] = [split(near), split(far)];
            tokio::spawn(relay(near_in, far_out, cables.clone()));
            tokio::spawn(relay(far_in, near_out, cables));
            Ok(Box::new(ours) as Line)
        })
    }

    fn listen(&self, at: SocketAddr) -> Soon<'_, Box<dyn Listener>> {
        let (door, come) = mpsc::channel(BACKLOG);
        lock(&self.network.doors).insert(at, door);
        Box::pin(async move { Ok(Box::new(Door { at, come }) as Box<dyn Listener>) })
    }
}

/// Somebody who listens; with it the door is gone.
struct Door {
    at: SocketAddr,
    come: mpsc::Receiver<Line>,
}

impl Listener for Door {
    fn address(&self) -> io::Result<SocketAddr> {
        Ok(self.at)
    }

    fn accept(&mut self) -> Soon<'_, (Line, SocketAddr)> {
        Box::pin(async move {
            // The network keeps the other end.
            let line = self.come.recv().await.ok_or(io::ErrorKind::BrokenPipe)?;
            Ok((line, self.at))
        })
    }
}

/// Carries bytes in one direction until an end is gone.
async fn relay(mut from: ReadHalf<DuplexStream>, mut to: WriteHalf<DuplexStream>, mut cables: [watch::Receiver<bool>; 2]) {
    let mut bytes = vec![0; FLIGHT];
    loop {
        let read = from.read(&mut bytes).await.unwrap_or(0);
        all_in(&mut cables).await;
        let carried = bytes.get(..read).unwrap_or_default();
        if carried.is_empty() || to.write_all(carried).await.is_err() {
            let _the_other_may_be_gone = to.shutdown().await;
            return;
        }
    }
}

/// Returns when no cable is out.
async fn all_in(cables: &mut [watch::Receiver<bool>; 2]) {
    while cables.iter().any(|cable| !*cable.borrow()) {
        for cable in &mut *cables {
            // A network that is gone carries nothing any more.
            if cable.wait_for(|is_in| *is_in).await.is_err() {
                return std::future::pending().await;
            }
        }
    }
}
