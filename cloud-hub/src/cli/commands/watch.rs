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
    let mut state = State { revision: list.revision, cursor: list.next.clone() };
    shape.first(session, &list.items)?;
    let mut failures = 0;
    let mut contact = Instant::now();
    loop {
        let before = (state.revision, state.cursor.clone());
        let ended = if query.kind == Kind::Events {
            poll(session, client, query, shape, &mut state).await
        } else {
            follow(session, client, query, shape, &mut state).await
        };
        let error = match ended {
            Ok(()) => None,
            Err(CliError::Client(error)) if error.is_passing() => Some(error),
            Err(error) => return Err(error),
        };
        if error.is_none() || before != (state.revision, state.cursor.clone()) {
            (failures, contact) = (0, Instant::now());
        }
        if contact.elapsed() > PATIENCE
            && let Some(error) = error
        {
            return Err(error.into());
        }
        // An idle connection that ended is normal, a hub that is away is worth a word: once.
        if let Some(error) = error.filter(|error| failures == 0 && !matches!(error, ClientError::NoAnswer { .. })) {
            let fault = Fault::new(&cli::WATCH_LOST).with("server", client.server()).with("cause", cause(&error));
            session.out.remark(fault.text(session.lang()));
        }
        failures += 1;
        sleep(backoff(failures).min(Duration::from_secs(15))).await;
    }
}

fn cause(error: &ClientError) -> String {
    let fault = error.fault();
    fault.params.get("cause").cloned().unwrap_or(fault.code)
}

/// Up to where everything was shown.
struct State {
    revision: u64,
    cursor: Option<String>,
}

/// Reads one connection of the hub's watch to its end.
async fn follow(
    session: &mut Session,
    client: &Client,
    query: &Query,
    shape: &mut Shape,
    state: &mut State,
) -> Result<(), CliError> {
    let target = Target::new(&["watch"]).with("kind", query.kind.plural()).with("from", state.revision);
    let mut stream = client.stream(Method::GET, target, None, Some(IDLE)).await?;
    let (mut lines, mut events) = (Lines::default(), Events::default());
    while let Some(piece) = stream.next().await? {
        lines.add(&piece);
        while let Some(line) = lines.next() {
            let Some(data) = events.line(&line) else { continue };
            let event: WatchEvent = serde_json::from_str(&data).map_err(|error| client.bad_answer(error))?;
            if event.change == WatchChange::Reset {
                let list = query.list(client).await?;
                state.revision = list.revision;
                shape.first(session, &list.items)?;
                return Ok(());
            }
            show(session, query, shape, &event)?;
            state.revision = event.revision;
        }
    }
    Ok(())
}

fn show(session: &mut Session, query: &Query, shape: &mut Shape, event: &WatchEvent) -> Result<(), CliError> {
    match &event.object {
        Some(object) if query.fits(object) => shape.next(session, object),
        Some(_) => Ok(()),
        None if query.takes_name(&event.name) => shape.gone(session, &event.name),
        None => Ok(()),
    }
}

/// Looks for new events, again and again.
async fn poll(
    session: &mut Session,
    client: &Client,
    query: &Query,
    shape: &mut Shape,
    state: &mut State,
) -> Result<(), CliError> {
    loop {
        sleep(LOOK).await;
        // Before the first event there is no cursor, and `after=0` would leave that one out.
        let list: List<Value> = client.get(query.events_after(state.cursor.as_deref())).await?;
        shape.first(session, &list.items)?;
        state.cursor = list.next.or(state.cursor.take());
    }
}
