//! The wish to end, told to every task at once: a task that is asked ends its own work in order.

use tokio::sync::watch;

/// The side that asks. Dropping it asks too, so that no task outlives who started it.
#[derive(Debug)]
pub struct Trigger(watch::Sender<bool>);

/// The side that is asked. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Shutdown(watch::Receiver<bool>);

/// Both sides.
pub fn shutdown() -> (Trigger, Shutdown) {
    let (sender, receiver) = watch::channel(false);
    (Trigger(sender), Shutdown(receiver))
}

impl Trigger {
    /// Asks all to end.
    pub fn pull(&self) {
        self.0.send_replace(true);
    }
}

impl Shutdown {
    /// Returns when asked to end; at once when it was asked before.
    pub async fn wait(&mut self) {
        // An error says that the trigger is gone, which is the same wish.
        drop(self.0.wait_for(|asked| *asked).await);
    }

    /// Whether it was asked.
    pub fn is_asked(&self) -> bool {
        *self.0.borrow() || self.0.has_changed().is_err()
    }
}
