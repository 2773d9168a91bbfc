//! Taking a layer from neighbours, or waiting for the one that brings it.

use std::time::Duration;

use shared::id::{Digest, Name};
use shared::neighbour::{CHUNKS_MAX, Stage, Turn, turn};
use shared::recipe::Recipe;
use shared::release::Layer;
use tokio::time::{Instant, sleep, timeout_at};

use super::Neighbours;
use super::build::{Build, Refused};
use super::talk::Useless;
use super::waiting::Waiting;
use crate::images::blobs::{BlobError, blocking};

/// So often those that bring something are asked how far they are.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
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
        let (me, digest) = (&self.0.identity.node, layer.tar.digest);
        let mut waiting = Waiting::new(digest, layer.blob.size);
        loop {
            let stages = self.stages(&[digest]).await;
            let stages = stages.into_iter().filter_map(|(name, list)| Some((name, *list.first()?))).collect();
            let bringing = matches!(self.stage(digest), Stage::Brings(_));
            let now = Instant::now();
            let turn = turn(me, digest, &waiting.without_idlers(stages, self.0.board.link(now), now), bringing);
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
