//! `hubctl get --watch`: what there is, then what changes; a lost connection is made again from the last revision.

use std::time::Duration;

use reqwest::Method;
use serde_json::Value;
use shared::fault::{Fault, Faulty, cli};
use shared::time::backoff;
use tokio::time::{Instant, sleep};

use super::super::client::{Client, ClientError, Target};
use super::super::error::CliError;
use super::super::kinds::Kind;
use super::super::lines::{Events, Lines};
use super::super::session::Session;
use super::super::show::Shape;
use super::get::Query;
use crate::api::types::{List, WatchChange, WatchEvent};

/// The hub sends something every 15 s; after so long without anything the connection is dead.
const IDLE: Duration = Duration::from_secs(50);
/// So long without any hub, and the watch gives up.
const PATIENCE: Duration = Duration::from_secs(600);
/// Between two looks at the events.
const LOOK: Duration = Duration::from_secs(2);

/// Shows `list` and what changes from then on. Ends only with an error, or when nobody reads any more.
pub(super) async fn run(
    session: &mut Session,
    client: &Client,
    query: &Query,
    shape: &mut Shape,
    list: List<Value>,
) -> Result<(), CliError> {
    shape.first(session, &list.items)?;
    let mut watch = Watch { session, client, query, shape, revision: list.revision, cursor: list.next };
    let mut failures = 0;
    let mut contact = Instant::now();
    loop {
        let before = (watch.revision, watch.cursor.clone());
        let ended = if query.kind == Kind::Events { watch.poll().await } else { watch.follow().await };
        let error = match ended {
            Ok(()) => None,
            Err(CliError::Client(error)) if error.is_passing() => Some(error),
            Err(error) => return Err(error),
        };
        if error.is_none() || before != (watch.revision, watch.cursor.clone()) {
            (failures, contact) = (0, Instant::now());
        }
        if contact.elapsed() > PATIENCE
            && let Some(error) = error
        {
            return Err(error.into());
        }
        // An idle connection that ended is normal, a hub that is away is worth a word: once.
        if let Some(error) = error.filter(|error| failures == 0 && !matches!(error, ClientError::NoAnswer { .. })) {
            watch.lost(&error);
        }
        failures += 1;
        sleep(backoff(failures).min(Duration::from_secs(15))).await;
    }
}

/// Who looks at what, and up to where everything was shown.
struct Watch<'a> {
    session: &'a mut Session,
    client: &'a Client,
    query: &'a Query,
    shape: &'a mut Shape,
    revision: u64,
    cursor: Option<String>,
}

impl Watch<'_> {
    /// Reads one connection of the hub's watch to its end.
    async fn follow(&mut self) -> Result<(), CliError> {
        let target = Target::new(&["watch"]).with("kind", self.query.kind.plural()).with("from", self.revision);
        let mut stream = self.client.stream(Method::GET, target, None, Some(IDLE)).await?;
        let (mut lines, mut events) = (Lines::default(), Events::default());
        while let Some(piece) = stream.next().await? {
            lines.add(&piece);
            while let Some(line) = lines.next() {
                let Some(data) = events.line(&line) else { continue };
                let event: WatchEvent = serde_json::from_str(&data).map_err(|error| self.client.bad_answer(error))?;
                if event.change == WatchChange::Reset {
                    let list = self.query.list(self.client).await?;
                    self.revision = list.revision;
                    self.shape.first(self.session, &list.items)?;
                    return Ok(());
                }
                self.show(&event)?;
                self.revision = event.revision;
            }
        }
        Ok(())
    }

    fn show(&mut self, event: &WatchEvent) -> Result<(), CliError> {
        match &event.object {
            Some(object) if self.query.fits(object) => self.shape.next(self.session, object),
            Some(_) => Ok(()),
            None if self.query.takes_name(&event.name) => self.shape.gone(self.session, &event.name),
            None => Ok(()),
        }
    }

    /// Looks for new events, again and again.
    async fn poll(&mut self) -> Result<(), CliError> {
        loop {
            sleep(LOOK).await;
            // Before the first event there is no cursor, and `after=0` would leave that one out.
            let list: List<Value> = self.client.get(self.query.events_after(self.cursor.as_deref())).await?;
            self.shape.first(self.session, &list.items)?;
            self.cursor = list.next.or(self.cursor.take());
        }
    }

    /// Says that the hub is away.
    fn lost(&mut self, error: &ClientError) {
        let fault = Fault::new(&cli::WATCH_LOST).with("server", self.client.server()).with("cause", cause(error));
        self.session.out.remark(fault.text(self.session.lang()));
    }
}

fn cause(error: &ClientError) -> String {
    let fault = error.fault();
    fault.params.get("cause").cloned().unwrap_or(fault.code)
}
