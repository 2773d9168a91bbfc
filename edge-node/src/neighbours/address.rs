//! Where the others reach this node: where it listens, or, if that is everywhere, the address it uses toward the hub.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::{UdpSocket, lookup_host};
use tokio::sync::watch;
use tokio::time::timeout;

use crate::identity::Address;
use crate::shutdown::Shutdown;

/// A machine may get another address at any time.
const EVERY: Duration = Duration::from_secs(60);
/// Finding the hub's address must take no longer.
const LOOKUP: Duration = Duration::from_secs(5);

/// Keeps `told` up to date until `shutdown`. An address that cannot be found out now stays as it was.
pub(super) async fn follow(told: &watch::Sender<Option<SocketAddr>>, bound: SocketAddr, hub: &Address, mut shutdown: Shutdown) {
    let mut ticks = tokio::time::interval(EVERY);
    loop {
        tokio::select! {
            () = shutdown.wait() => return,
            _ = ticks.tick() => {}
        }
        match toward(bound, hub).await {
            Ok(address) => _ = told.send_if_modified(|now| now.replace(address) != Some(address)),
            Err(error) => tracing::debug!(%error, %hub, "which address leads to the hub is not known"),
        }
    }
}

async fn toward(bound: SocketAddr, hub: &Address) -> io::Result<SocketAddr> {
    if !bound.ip().is_unspecified() {
        return Ok(bound);
    }
    let mut found = timeout(LOOKUP, lookup_host((hub.host.as_str(), hub.port))).await??;
    let same_kind = |address: &SocketAddr| bound.is_ipv6() || address.is_ipv4();
    let hub = found.find(same_kind).ok_or(io::ErrorKind::AddrNotAvailable)?;
    let any: SocketAddr = if hub.is_ipv4() { ([0, 0, 0, 0], 0).into() } else { ([0_u16; 8], 0).into() };
    let socket = UdpSocket::bind(any).await?;
    socket.connect(hub).await?; // Sends nothing: the kernel chooses a route (connect(2) of a datagram socket).
    Ok(SocketAddr::new(socket.local_addr()?.ip(), bound.port()))
}
