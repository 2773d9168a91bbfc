//! Taking a layer from neighbours, or waiting for the one that brings it.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::time::Duration;

use shared::id::{Digest, Name};
use shared::neighbour::{CHUNKS_MAX, Stage, Turn, score, turn};
use shared::recipe::Recipe;
use shared::release::Layer;
use tokio::time::{Instant, sleep, timeout_at};

use super::Neighbours;
use super::build::{Build, Refused};
use super::talk::Useless;
use crate::images::blobs::{BlobError, blocking};

/// So often those that bring something are asked how far they are.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// Whoever brings a layer and does not get on for so long is not waited for: longer than the hub takes for a patch.
const PATIENCE: Duration = Duration::from_secs(360);
/// Whoever wants a layer and has not begun after so long is not waited for.
const GRACE: Duration = Duration::from_secs(20);
/// Bytes per second that a neighbour must send: with less than that, the link is as good.
const RATE_MIN: u64 = 32 << 10;
/// Beside what this rate takes.
const START: Duration = Duration::from_secs(5);

/// How a layer comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum News<'n> {
    /// This neighbour is waited for.
    Waits(&'n Name),
    /// This neighbour sends it.
    Gives(&'n Name),
    /// So many bytes of it came.
    Came(u64),
}

impl Neighbours {
    /// Makes the pack of `layer` of what is here and what neighbours have; waits for one that brings it, as long as
    /// `may_wait` says so. `say` hears how it comes. False when this node must bring it.
    pub async fn take(
        &self,
        layer: &Layer,
        may_wait: impl Fn() -> bool,
        say: &(impl Fn(News<'_>) + Sync),
    ) -> Result<bool, BlobError> {
        let (mut waiting, me, digest) = (Waiting::default(), &self.0.identity.node, layer.tar.digest);
        loop {
            let stages = self.stages(&[digest]).await;
            let stages = stages.into_iter().filter_map(|(name, list)| Some((name, *list.first()?))).collect();
            let bringing = matches!(self.stage(digest), Stage::Brings(_));
            let turn = turn(me, digest, &waiting.without_idlers(digest, stages, Instant::now()), bringing);
            if let Turn::Take(from) = &turn {
                match self.take_from(layer, from, say).await {
                    Ok(false) => {}
                    // An old layer of our own was no use, and is gone: then more must come.
                    Err(BlobError::Differs(old)) => tracing::warn!(layer = %old.short(), "a layer on this disk is damaged"),
                    ended => return ended,
                }
            }
            if turn == Turn::Bring || !may_wait() {
                return Ok(false);
            }
            if let Turn::Wait(whom) = &turn {
                say(News::Waits(whom));
            }
            sleep(LOOK_AGAIN).await;
        }
    }

    /// Takes `layer` from one neighbour after the other. False when none of them is of use.
    async fn take_from(&self, layer: &Layer, from: &[Name], say: &(impl Fn(News<'_>) + Sync)) -> Result<bool, BlobError> {
        let packs = self.0.content.packs.clone();
        let claim = packs.claim(layer.tar.digest).await;
        if packs.has(layer.tar.digest) {
            return Ok(true);
        }
        let Some(recipe) = self.recipe(layer, from).await else { return Ok(false) };
        let (path, tar) = (packs.path(layer.tar.digest), layer.tar);
        let mut build = blocking("beginning", &path, move || Build::begin(packs, claim, tar, &recipe)).await??;
        for name in from {
            say(News::Gives(name));
            let ended;
            (build, ended) = self.fill(build, name, layer.tar.digest, say).await?;
            match ended {
                Ok(()) => {
                    blocking("finishing", &path, move || build.finish()).await??;
                    tracing::info!(layer = %layer.tar.digest.short(), neighbour = %name, "a layer came from a neighbour");
                    return Ok(true);
                }
                Err(why) => self.leave_aside(name, &why),
            }
        }
        Ok(false)
    }

    /// The recipe of `layer`, from the first that has the right one.
    async fn recipe(&self, layer: &Layer, from: &[Name]) -> Option<Recipe> {
        for name in from {
            let asked = async {
                let mut talk = self.talk(name).await?;
                let answered = talk.recipe(layer).await;
                self.keep(name, talk, answered)
            };
            match asked.await {
                Ok(recipe) => return Some(recipe),
                Err(why) => self.leave_aside(name, &why),
            }
        }
        None
    }

    /// Brings what is missing of `build` from `name`, until nothing is missing or `name` is of no use any more.
    async fn fill(
        &self,
        mut build: Build,
        name: &Name,
        layer: Digest,
        say: &(impl Fn(News<'_>) + Sync),
    ) -> Result<(Build, Result<(), Useless>), BlobError> {
        let mut talk = match self.talk(name).await {
            Ok(talk) => talk,
            Err(why) => return Ok((build, Err(why))),
        };
        let (path, mut at_once) = (self.0.content.packs.path(layer), 1);
        while !build.missing().is_empty() {
            let numbers: Vec<u32> = build.missing().iter().take(at_once).copied().collect();
            let in_time = Instant::now() + START + Duration::from_secs(build.bytes(&numbers) / RATE_MIN);
            if let Err(why) = talk.ask_chunks(layer, &numbers).await {
                return Ok((build, Err(why)));
            }
            for _ in numbers {
                let stored = match timeout_at(in_time, talk.chunk()).await.unwrap_or_else(|late| Err(late.into())) {
                    Ok(stored) => stored,
                    Err(why) => return Ok((build, Err(why))),
                };
                let length = stored.len() as u64;
                let put;
                (build, put) = blocking("writing", &path, move || {
                    let put = build.put(&stored);
                    (build, put)
                })
                .await?;
                match put {
                    Ok(()) => say(News::Came(length)),
                    Err(Refused::Wrong(why)) => return Ok((build, Err(why))),
                    Err(Refused::Disk(error)) => return Err(error),
                }
            }
            at_once = (2 * at_once).min(CHUNKS_MAX);
        }
        Ok((build, self.keep(name, talk, Ok(()))))
    }
}

/// Whom a node waits for while it wants a layer.
#[derive(Default)]
pub(super) struct Waiting(BTreeMap<Name, Waited>);

/// How far one was when it last got on, and when that was.
struct Waited {
    stage: Stage,
    since: Instant,
}

impl Waiting {
    /// What the others say of `layer`, without those that have not got on for too long. Of those that only want it one after
    /// the other is given up, the chosen one first, so that the next one begins before all do.
    pub(super) fn without_idlers(
        &mut self,
        layer: Digest,
        mut stages: BTreeMap<Name, Stage>,
        now: Instant,
    ) -> BTreeMap<Name, Stage> {
        self.0.retain(|name, _| stages.contains_key(name));
        for (name, stage) in &stages {
            let waited = self.0.entry(name.clone()).or_insert(Waited { stage: *stage, since: now });
            if gets_on(waited.stage, *stage) {
                *waited = Waited { stage: *stage, since: now };
            }
        }
        stages.retain(|name, stage| !matches!(stage, Stage::Brings(_)) || self.idle(name, now) < PATIENCE);
        if stages.values().any(|stage| matches!(stage, Stage::Brings(_))) {
            // Whoever brings it may vanish: then the time of the others begins.
            self.0.values_mut().filter(|waited| waited.stage == Stage::Wants).for_each(|waited| waited.since = now);
            return stages;
        }
        let wanting = stages.iter().filter(|(_, stage)| **stage == Stage::Wants).map(|(name, _)| name.clone());
        let mut wanting: Vec<Name> = wanting.collect();
        wanting.sort_by_cached_key(|name| Reverse(score(name, layer)));
        for (patience, name) in (1..).map(|rank| GRACE * rank).zip(wanting) {
            if self.idle(&name, now) >= patience {
                stages.remove(&name);
            }
        }
        stages
    }

    fn idle(&self, name: &Name, now: Instant) -> Duration {
        self.0.get(name).map_or(Duration::ZERO, |waited| now.duration_since(waited.since))
    }
}

/// Whether one that said `before` and says `now` gets on.
fn gets_on(before: Stage, now: Stage) -> bool {
    match (before, now) {
        (Stage::Brings(before), Stage::Brings(now)) => now > before,
        (before, now) => before != now,
    }
}
