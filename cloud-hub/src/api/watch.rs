//! The watch: what changed since a revision, as server-sent events that can be resumed.
//!
//! A client lists, remembers the list's revision, and watches from it; after a cut it goes on from the last id it saw. An event
//! carries the object as it is *now*: many changes may be one event, but the last state always comes.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use shared::fault::{Fault, hub};
use shared::id::{Digest, Name};
use tokio::sync::OwnedSemaphorePermit;

use super::extract::Params;
use super::problem::ApiError;
use super::types::{Problem, WatchChange, WatchEvent};
use super::{Api, deployments, nodes, publishers, releases};
use crate::hub::Hub;
use crate::records::{self, DEPLOYMENTS, DESIRED, FLEET, NODES, PUBLISHERS, RELEASES, VERSIONS};
use crate::stop::{Stop, stopped};
use crate::store::{Changed, StoreError, Watch};

/// Changes that are looked at together.
const BATCH: usize = 1000;
/// A comment is sent when nothing happened for so long, so that both sides notice a dead connection.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// Changes within this time become one batch.
const GATHER: Duration = Duration::from_millis(100);

/// What to watch.
#[derive(Debug, Default, serde::Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(super) struct Which {
    /// Kinds with commas between them, of `nodes`, `deployments`, `releases`, `publishers`; all when absent.
    kind: Option<String>,
    /// Changes after this revision (`Last-Event-ID` does the same); from now on when absent.
    from: Option<u64>,
}

/// A kind of object that can be watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Nodes,
    Deployments,
    Releases,
    Publishers,
}

impl Kind {
    const ALL: [Self; 4] = [Self::Nodes, Self::Deployments, Self::Releases, Self::Publishers];

    const fn text(self) -> &'static str {
        match self {
            Self::Nodes => "nodes",
            Self::Deployments => "deployments",
            Self::Releases => "releases",
            Self::Publishers => "publishers",
        }
    }
}

/// Watches objects. Ids are revisions; a `reset` means that changes were missed: list again.
#[utoipa::path(get, path = "/api/v1/watch", tag = "events",
    params(Which, ("Last-Event-ID" = Option<u64>, Header, description = "As from")),
    responses((status = 200, description = "Server-sent events", body = WatchEvent, content_type = "text/event-stream"),
        (status = 429, description = "Too many watches", body = Problem)))]
pub(super) async fn watch(
    State(api): State<Api>,
    Params(which): Params<Which>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let kinds = kinds(which.kind.as_deref())?;
    let last_id = headers.get("last-event-id").and_then(|value| value.to_str().ok()?.parse().ok());
    let Ok(permit) = api.watches.clone().try_acquire_owned() else {
        let fault = Fault::new(&hub::TOO_MANY_READERS).with("max", super::WATCHES_MAX);
        return Err(ApiError::new(StatusCode::TOO_MANY_REQUESTS, fault));
    };
    let store_watch = api.hub.store.watch();
    let seen = match last_id.or(which.from) {
        Some(from) => from,
        None => api.hub.store.revision().await?,
    };
    let watcher =
        Watcher { hub: api.hub, kinds, seen, watch: store_watch, stop: api.stop, waiting: VecDeque::new(), _permit: permit };
    let events = stream::unfold(watcher, |mut watcher| async move {
        let event = watcher.next().await?;
        Some((Ok::<_, Infallible>(sse(&event)), watcher))
    });
    Ok(Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)).into_response())
}

fn kinds(text: Option<&str>) -> Result<BTreeSet<Kind>, ApiError> {
    let Some(text) = text else { return Ok(Kind::ALL.into()) };
    let read = |part: &str| Kind::ALL.into_iter().find(|kind| kind.text() == part.trim());
    text.split(',')
        .map(|part| {
            read(part).ok_or_else(|| {
                let why = format!("kind: {:?}", part.chars().take(40).collect::<String>());
                ApiError::bad_request(Fault::new(&hub::BAD_QUERY).with("why", why))
            })
        })
        .collect()
}

fn sse(event: &WatchEvent) -> Event {
    let name = match event.change {
        WatchChange::Put => "put",
        WatchChange::Delete => "delete",
        WatchChange::Reset => "reset",
    };
    let bare = Event::default().id(event.revision.to_string()).event(name);
    // Plain data with string keys always has a JSON form.
    bare.json_data(event).unwrap_or_default()
}

struct Watcher {
    hub: Arc<Hub>,
    kinds: BTreeSet<Kind>,
    seen: u64,
    watch: Watch,
    stop: Stop,
    waiting: VecDeque<WatchEvent>,
    _permit: OwnedSemaphorePermit,
}

impl Watcher {
    /// The next event; `None` when the hub stops or its store fails.
    async fn next(&mut self) -> Option<WatchEvent> {
        loop {
            if let Some(event) = self.waiting.pop_front() {
                return Some(event);
            }
            match self.look().await {
                Ok(()) => {}
                Err(StoreError::Compacted { .. }) => {
                    self.seen = self.hub.store.revision().await.ok()?;
                    let (kind, name) = (String::new(), String::new());
                    return Some(WatchEvent { change: WatchChange::Reset, kind, name, revision: self.seen, object: None });
                }
                Err(error) => {
                    tracing::warn!(%error, "a watch ended");
                    return None;
                }
            }
            if self.waiting.is_empty() {
                tokio::select! {
                    changed = self.watch.changed() => changed.ok()?,
                    () = stopped(&mut self.stop) => return None,
                };
                tokio::time::sleep(GATHER).await;
            }
        }
    }

    /// Reads what changed after `seen`, and queues the objects.
    async fn look(&mut self) -> Result<(), StoreError> {
        let changes = self.hub.store.changes(self.seen, BATCH).await?;
        let Some(last) = changes.last().map(|changed| changed.revision) else { return Ok(()) };
        let versions = self.versions(&changes).await?;
        for ((kind, name), revision) in self.subjects(&changes) {
            let object = object(&self.hub, kind, &name).await?;
            let change = if object.is_some() { WatchChange::Put } else { WatchChange::Delete };
            let name = versions.get(&name).filter(|_| kind == Kind::Releases).cloned().unwrap_or(name);
            self.waiting.push_back(WatchEvent { change, kind: kind.text().into(), name, revision, object });
        }
        self.seen = last;
        // A client that resumes goes on behind the whole batch, and only after all of it.
        let before = changes.first().map_or(last, |changed| changed.revision.saturating_sub(1));
        let count = self.waiting.len();
        for (n, event) in self.waiting.iter_mut().enumerate() {
            event.revision = if n + 1 == count { last } else { before };
        }
        Ok(())
    }

    /// What people call the releases that came or went, by id in hex: their versions are written together with them.
    async fn versions(&self, changes: &[Changed]) -> Result<BTreeMap<String, String>, StoreError> {
        let mut versions = BTreeMap::new();
        for key in changes.iter().map(|changed| &changed.key).filter(|_| self.kinds.contains(&Kind::Releases)) {
            let Some(version) = key.strip_prefix(VERSIONS) else { continue };
            if let Some(record) = self.hub.store.get(key).await? {
                versions.insert(hex::encode(record.value), version.replacen('/', "@", 1));
            }
        }
        Ok(versions)
    }

    /// The objects that are not what they were, with the revision of their last change.
    fn subjects(&self, changes: &[Changed]) -> BTreeMap<(Kind, String), u64> {
        let mut subjects = BTreeMap::new();
        let mut add = |kind: Kind, name: String, revision| {
            if self.kinds.contains(&kind) {
                subjects.insert((kind, name), revision);
            }
        };
        for Changed { revision, key } in changes {
            let Some((prefix, name)) = key.split_once('/') else { continue };
            match format!("{prefix}/").as_str() {
                NODES => add(Kind::Nodes, name.to_owned(), *revision),
                DEPLOYMENTS => add(Kind::Deployments, name.to_owned(), *revision),
                RELEASES => add(Kind::Releases, name.to_owned(), *revision),
                PUBLISHERS => add(Kind::Publishers, name.to_owned(), *revision),
                FLEET | DESIRED => {
                    add(Kind::Nodes, name.to_owned(), *revision);
                    // A node's news are news of the deployments on it.
                    for deployment in self.deployments_on(name) {
                        add(Kind::Deployments, deployment.to_string(), *revision);
                    }
                }
                _ => {}
            }
        }
        subjects
    }

    fn deployments_on(&self, node: &str) -> Vec<Name> {
        let Ok(node) = Name::new(node) else { return Vec::new() };
        let wanted = self.hub.life(&node, |life| life.wanted.clone()).flatten();
        wanted.map(|wanted| wanted.apps.values().map(|assigned| assigned.deployment.clone()).collect()).unwrap_or_default()
    }
}

/// The object as lists show it; `None` when it is gone.
async fn object(hub: &Hub, kind: Kind, name: &str) -> Result<Option<serde_json::Value>, StoreError> {
    let key = |prefix: &str| format!("{prefix}{name}");
    let parsed = Name::new(name);
    let object = match (kind, parsed) {
        (Kind::Releases, _) => match digest(name) {
            Some(id) => match hub.release(id).await? {
                Some(entry) => serde_json::to_value(releases::object(hub, &entry).await?).ok(),
                None => None,
            },
            None => None,
        },
        (Kind::Nodes, Ok(name)) => {
            let found = hub.record::<records::Node>(&key(NODES)).await?;
            found.and_then(|(record, revision)| serde_json::to_value(nodes::object(hub, &name, record, revision)).ok())
        }
        (Kind::Deployments, Ok(name)) => {
            let found = hub.record::<records::Deployment>(&key(DEPLOYMENTS)).await?;
            found.and_then(|(record, revision)| {
                serde_json::to_value(deployments::object(hub, &name, record, revision, false)).ok()
            })
        }
        (Kind::Publishers, Ok(name)) => {
            let found = hub.record::<records::Publisher>(&key(PUBLISHERS)).await?;
            found.and_then(|(record, revision)| serde_json::to_value(publishers::object(&name, &record, revision)).ok())
        }
        (Kind::Nodes | Kind::Deployments | Kind::Publishers, Err(_)) => None,
    };
    Ok(object)
}

fn digest(hex: &str) -> Option<Digest> {
    format!("sha256:{hex}").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_named_one_by_one() {
        assert_eq!(kinds(None).expect("all").len(), 4);
        assert_eq!(kinds(Some("nodes, releases")).expect("two"), [Kind::Nodes, Kind::Releases].into());
        for bad in ["", "node", "nodes,", "nodes,secrets"] {
            assert!(kinds(Some(bad)).is_err(), "{bad:?}");
        }
    }
}
