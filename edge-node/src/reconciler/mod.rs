//! The loop: observe → plan → apply → report.
//!
//! It does nothing but loop. What to do is decided by [`shared::plan`]; here actions are started, at most one per
//! subject, their ends are noted, and the next round is woken: by an event of the runtime, a change of what the
//! node holds, the end of an action, a health check, an operator, or a timer the planner named. The loop never
//! asks whether the hub is there.

mod arrivals;
mod health;
mod restarts;
mod rounds;
mod turns;
mod work;

use std::sync::Arc;
use std::time::Duration;

use shared::fault::{Fault, Faulty, budget as texts};
use shared::id::{Digest, Name};
use shared::oci::Platform;
use shared::report::{AppReport, NextReport, Transfer};
use shared::state::{Override, PAUSED_MAX, Paused};
use shared::time::Uptime;
use tokio::sync::{mpsc, oneshot, watch};

use crate::budget::Ledger;
use crate::clock::Clock;
use crate::held::Held;
use crate::images::ChunkSource;
use crate::images::content::Content;
use crate::images::transfers::Transfers;
use crate::journal::Journal;
use crate::reserve::Reserve;
use crate::runtime::Runtime;
use crate::shutdown::Shutdown;
use rounds::Rounds;

/// Even when nothing happens, the node looks at what is there this often: events are hints.
const RESYNC: Duration = Duration::from_secs(60);
/// After a round that failed, the next comes this much later.
const RETRY: Duration = Duration::from_secs(2);

/// Everything the loop works with.
pub struct Parts<R, S> {
    /// What runs containers.
    pub runtime: Arc<R>,
    /// Where image bytes come from.
    pub source: Arc<S>,
    /// Where image bytes go.
    pub content: Content,
    /// Images on their way, for whoever looks.
    pub transfers: Transfers,
    /// What the node holds.
    pub held: Arc<Held>,
    /// What images may take of the link.
    pub ledger: Arc<Ledger>,
    /// Where events are recorded.
    pub journal: Arc<Journal>,
    /// Space that is kept for all of that.
    pub reserve: Reserve,
    /// The node's clocks.
    pub clock: Clock,
    /// This machine.
    pub platform: Platform,
}

/// What the loop says about the node after each round.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Status {
    /// The runtime's version; empty while it does not answer.
    pub runtime: String,
    /// Every app.
    pub apps: Vec<AppReport>,
    /// Releases that are brought to disk and not run.
    pub next: Vec<NextReport>,
    /// Images on their way, and those that are paused.
    pub transfers: Vec<Transfer>,
    /// What is wrong with the node as a whole.
    pub faults: Vec<Fault>,
}

/// What an on-site operator wants.
#[derive(Debug)]
pub struct Command {
    /// What.
    pub wish: Wish,
    /// Gets the answer.
    pub answer: oneshot::Sender<Result<(), Fault>>,
}

/// What an operator may want.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wish {
    /// Something of an app, or of one service of it.
    App(Override, Verb),
    /// No byte more of an image, or of any when absent.
    Pause(Option<Digest>),
    /// The end of that.
    Resume(Option<Digest>),
}

/// What an operator can do with an app.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// End a stop.
    Start,
    /// Stop, and stay stopped across reboots and new releases until started again.
    Stop,
    /// End the processes and start them again, once.
    Restart,
    /// Try what failed again now: something that was missing may be there.
    Retry,
}

/// Runs until `shutdown`. Containers go on running.
pub async fn run<R: Runtime, S: ChunkSource + 'static>(
    parts: Parts<R, S>,
    mut commands: mpsc::Receiver<Command>,
    status: watch::Sender<Status>,
    mut shutdown: Shutdown,
) {
    let (runtime, clock) = (parts.runtime.clone(), parts.clock);
    let (mut held, mut waits) = (parts.held.changed(), parts.ledger.waits());
    let mut rounds = Rounds::new(parts, status);
    loop {
        let wake = rounds.round().await;
        let at = wake.min(clock.now().uptime + RESYNC);
        tokio::select! {
            () = runtime.changed() => {}
            Ok(()) = held.changed() => {}
            Ok(()) = waits.changed() => {}
            () = rounds.work_ended() => {}
            () = tokio::time::sleep_until(clock.instant(at)) => {}
            Some(command) = commands.recv() => rounds.command(command),
            () = shutdown.wait() => return,
        }
    }
}

impl<R: Runtime, S: ChunkSource + 'static> Rounds<R, S> {
    /// Carries out an operator's wish as a change of what the node holds; the planner does the rest.
    fn command(&mut self, command: Command) {
        let Command { wish, answer } = command;
        let done = match wish {
            Wish::App(over, verb) => self.of_app(over, verb),
            Wish::Pause(image) => self.pause(image),
            Wish::Resume(image) => self.resume(image),
        };
        let _ = answer.send(done); // Whoever asked may have gone.
    }

    fn of_app(&mut self, over: Override, verb: Verb) -> Result<(), Fault> {
        let now = self.now().uptime;
        match verb {
            Verb::Retry => {
                self.retry(&over.app);
                Ok(())
            }
            _ if !self.knows(&over) => Err(Fault::new(&shared::fault::node::NO_SUCH_APP)
                .with("app", &over.app)
                .with("service", over.service.as_ref().map_or("*", Name::as_str))),
            Verb::Start => self.hold(over, false, now),
            Verb::Stop => self.hold(over, true, now),
            Verb::Restart => {
                self.restart(&over);
                Ok(())
            }
        }
    }

    /// One image that is on its way, or all there is and will be.
    fn pause(&self, image: Option<Digest>) -> Result<(), Fault> {
        let mut paused = self.held().holding().paused;
        match image {
            None => paused.all = true,
            Some(image) if !self.transfers(image) => return Err(no_transfer(image)),
            Some(_) if paused.images.len() >= PAUSED_MAX => {
                return Err(Fault::new(&texts::TOO_MANY_PAUSED).with("max", PAUSED_MAX));
            }
            Some(image) => _ = paused.images.insert(image),
        }
        self.keep_paused(paused, Fault::new(&texts::OPERATOR_PAUSE), image)
    }

    /// One image that was paused by itself, or all.
    fn resume(&self, image: Option<Digest>) -> Result<(), Fault> {
        let mut paused = self.held().holding().paused;
        match image {
            None => paused = Paused::default(),
            Some(image) if paused.all => return Err(Fault::new(&texts::ALL_PAUSED).with("image", image.short())),
            Some(image) if !paused.images.remove(&image) && !self.transfers(image) => return Err(no_transfer(image)),
            Some(_) => {}
        }
        self.keep_paused(paused, Fault::new(&texts::OPERATOR_RESUME), image)
    }

    fn keep_paused(&self, paused: Paused, event: Fault, image: Option<Digest>) -> Result<(), Fault> {
        if self.held().holding().paused == paused {
            return Ok(());
        }
        self.held().pause(paused).map_err(|error| error.fault())?;
        self.record(None, event.with("image", image.map_or_else(|| "*".to_owned(), |image| image.short())));
        Ok(())
    }

    fn hold(&mut self, over: Override, stop: bool, now: Uptime) -> Result<(), Fault> {
        use shared::fault::node::{OPERATOR_START, OPERATOR_STOP};
        let text = if stop { &OPERATOR_STOP } else { &OPERATOR_START };
        let event = Fault::new(text).with("service", over.service.as_ref().map_or("*", Name::as_str));
        let app = over.app.clone();
        self.held().hold(over, stop, now).map_err(|error| error.fault())?;
        self.record(Some(&app), event);
        Ok(())
    }
}

fn no_transfer(image: Digest) -> Fault {
    Fault::new(&texts::NO_TRANSFER).with("image", image.short())
}
