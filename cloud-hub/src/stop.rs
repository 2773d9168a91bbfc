//! How tasks hear that the hub stops.

use tokio::sync::watch;

/// Says `true` once, when everything shall end.
pub type Stop = watch::Receiver<bool>;

/// Returns when the hub stops, or when nobody is left who could say so.
pub async fn stopped(stop: &mut Stop) {
    let _either_way = stop.wait_for(|stop| *stop).await;
}
