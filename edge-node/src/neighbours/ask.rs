//! Asking the neighbours: how far they are, what they have, and whom not to ask for a while.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream;
use shared::id::{Digest, Name};
use shared::neighbour::{LAYERS_MAX, Stage, Turn, turn};
use shared::release::Blob;
use shared::state::NEIGHBOURS_MAX;
use tokio::time::{Instant, sleep};

use super::talk::{Talk, Useless};
use super::{Neighbours, lock, pinned};

/// So soon those that have nothing are asked whether they have something now …
const ASK_AGAIN: Duration = Duration::from_secs(5);
/// … and twice as late each time that it came to nothing, up to this.
const ASK_LATEST: Duration = Duration::from_secs(600);
/// Whoever cannot be reached, or has not what it said it has, is left aside for so long.
const AWAY: Duration = Duration::from_secs(30);
/// Whoever sent wrong bytes is left aside for so long.
const LIED: Duration = Duration::from_secs(3600);

impl Neighbours {
    /// Those of `layers` that need not come over the link, as it looks now.
    pub async fn on_site(&self, layers: &[Digest]) -> BTreeSet<Digest> {
        let turns = self.turns(layers).await;
        turns.into_iter().filter(|(_, turn)| *turn != Turn::Bring).map(|(layer, _)| layer).collect()
    }

    /// Returns when a neighbour has `layer`, which did not come from one so often before.
    pub async fn offered(&self, layer: Digest, before: u32) {
        loop {
            self.pause(before).await;
            if matches!(self.turns(&[layer]).await.get(&layer), Some(Turn::Take(_))) {
                return;
            }
        }
    }

    /// Returns when it makes sense to ask again, after it came to nothing so often.
    pub async fn pause(&self, before: u32) {
        sleep(ASK_AGAIN.saturating_mul(1 << before.min(10)).min(ASK_LATEST)).await;
    }

    /// A document, if a neighbour has it.
    pub async fn document(&self, blob: Blob) -> Option<Vec<u8>> {
        for name in self.present() {
            let asked = async {
                let mut talk = self.talk(&name).await?;
                let answered = talk.document(blob).await;
                self.keep(&name, talk, answered)
            };
            match asked.await {
                Ok(bytes) => return Some(bytes),
                Err(Useless::Lacks) => {}
                Err(why) => self.leave_aside(&name, &why),
            }
        }
        None
    }

    /// What this node does about each of `layers`.
    async fn turns(&self, layers: &[Digest]) -> BTreeMap<Digest, Turn> {
        let said = self.stages(layers).await;
        let of = |(index, layer): (usize, &Digest)| {
            let stages = said.iter().filter_map(|(name, list)| Some((name.clone(), *list.get(index)?))).collect();
            (*layer, turn(&self.0.identity.node, *layer, &stages, false))
        };
        layers.iter().enumerate().map(of).collect()
    }

    /// How far each neighbour is with each of `layers`.
    pub(super) async fn stages(&self, layers: &[Digest]) -> BTreeMap<Name, Vec<Stage>> {
        let layers = layers.get(..LAYERS_MAX).unwrap_or(layers);
        if layers.is_empty() {
            return BTreeMap::new();
        }
        let ask = |name: Name| async move {
            let asked = async {
                let mut talk = self.talk(&name).await?;
                let answered = talk.stages(layers).await;
                self.keep(&name, talk, answered)
            };
            let stages = asked.await.map_err(|why| self.leave_aside(&name, &why)).ok()?;
            Some((name, stages))
        };
        stream::iter(self.present()).map(ask).buffer_unordered(NEIGHBOURS_MAX).filter_map(std::future::ready).collect().await
    }

    /// A connection that works.
    pub(super) async fn talk(&self, name: &Name) -> Result<Talk, Useless> {
        let neighbour = self.0.held.neighbours().get(name).copied().ok_or(Useless::Lacks)?;
        let kept = lock(&self.0.idle).remove(name);
        if let Some(mut talk) = kept.filter(|talk| talk.with == neighbour)
            && talk.stages(&[]).await.is_ok()
        {
            return Ok(talk);
        }
        let tls = pinned::for_neighbour(&self.0.identity, neighbour.certificate).map_err(io::Error::other)?;
        let taken = self.roster().taken(name).ok_or(Useless::Lacks)?;
        Talk::open(&*self.0.lan, neighbour, Arc::new(tls), taken).await
    }

    /// Keeps a connection that works for the next question.
    pub(super) fn keep<T>(&self, name: &Name, talk: Talk, answered: Result<T, Useless>) -> Result<T, Useless> {
        if matches!(answered, Ok(_) | Err(Useless::Lacks)) {
            self.roster().useful(name, Instant::now());
            let now = self.0.held.neighbours();
            let mut idle = lock(&self.0.idle);
            idle.insert(name.clone(), talk);
            idle.retain(|name, talk| now.get(name) == Some(&talk.with));
        }
        answered
    }

    /// Neighbours that are not left aside.
    fn present(&self) -> Vec<Name> {
        self.roster().present(Instant::now())
    }

    /// Asks `name` nothing for a while.
    pub(super) fn leave_aside(&self, name: &Name, why: &Useless) {
        let fault = why.fault(name);
        let time = match why {
            Useless::Away(_) | Useless::Lacks => {
                tracing::debug!(neighbour = %name, %why, "a neighbour is of no use now");
                AWAY
            }
            Useless::Lied(_) => {
                tracing::warn!(%fault, "a neighbour is left aside");
                self.0.journal.record(self.0.clock.now().wall, None, fault.clone());
                LIED
            }
        };
        self.roster().useless(name, Instant::now(), time, fault);
    }
}
