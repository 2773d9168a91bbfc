//! What a network and a hostile neighbour may do to one message: lose it, say it twice, hold it back, let others overtake
//! it, or put something else beside it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use shared::id::{Digest, Name};
use shared::wire::v1::{Down, Frame};

use super::random::Random;

/// Messages kept for a replay, per node.
const KEPT: usize = 12;

/// How bad it is. Chances are per thousand messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Weather {
    /// Delay of a message, at least, in milliseconds.
    pub least_ms: u64,
    /// Delay of a message, at most, in milliseconds.
    pub most_ms: u64,
    /// So many bits pass in a millisecond; without end when 0.
    pub kbit: u64,
    /// It never arrives.
    pub loss: u64,
    /// It arrives twice.
    pub twice: u64,
    /// It does not wait for those before it.
    pub overtake: u64,
    /// Something hostile comes beside it, from the hub's side.
    pub hostile: u64,
    /// A connection takes up to so many milliseconds to come back.
    pub reconnect_ms: u64,
    /// Only one side notices a cut at once.
    pub half_open: u64,
}

impl Weather {
    /// The time that `bytes` take up the line.
    pub fn passing(&self, bytes: usize) -> Duration {
        (bytes as u64 * 8).checked_div(self.kbit).map_or(Duration::ZERO, Duration::from_millis)
    }

    /// A good line.
    pub const FAIR: Self =
        Self { least_ms: 5, most_ms: 30, kbit: 0, loss: 0, twice: 0, overtake: 0, hostile: 0, reconnect_ms: 2_000, half_open: 0 };

    /// One of many kinds of bad.
    pub fn bad(random: &mut Random) -> Self {
        let most_ms = [30, 200, 2_000, 20_000].get(random.below(4) as usize).copied().unwrap_or(30);
        Self {
            least_ms: 1,
            most_ms,
            kbit: 0,
            loss: random.below(2) * random.below(80),
            twice: random.below(2) * random.below(200),
            overtake: random.below(2) * random.below(400),
            hostile: random.below(2) * random.below(60),
            reconnect_ms: 60_000,
            half_open: 400,
        }
    }
}

/// The weather over one node's line, with its own source of chance.
pub struct Sky {
    now: Mutex<Weather>,
    random: Mutex<Random>,
    archive: Arc<Archive>,
    /// Frames that reached the node, by blob and offset, when somebody counts.
    frames: Mutex<Option<BTreeMap<(Digest, u64), u32>>>,
}

/// Desired states that the hub sent to any node, for replays.
#[derive(Default)]
pub struct Archive(Mutex<BTreeMap<Name, Vec<Bytes>>>);

impl Archive {
    fn keep(&self, node: &Name, message: &Bytes) {
        let mut archive = lock(&self.0);
        let kept = archive.entry(node.clone()).or_default();
        if kept.len() < KEPT && kept.last() != Some(message) {
            kept.push(message.clone());
        }
    }

    fn pick(&self, random: &mut Random, of: impl Fn(&Name) -> bool) -> Option<Bytes> {
        let archive = lock(&self.0);
        let kept: Vec<&Bytes> = archive.iter().filter(|(node, _)| of(node)).flat_map(|(_, kept)| kept).collect();
        random.pick(&kept).map(|message| (*message).clone())
    }
}

impl Sky {
    /// Fair weather.
    pub fn new(random: Random, archive: Arc<Archive>) -> Self {
        Self { now: Mutex::new(Weather::FAIR), random: Mutex::new(random), archive, frames: Mutex::default() }
    }

    /// The weather changes.
    pub fn set(&self, weather: Weather) {
        *lock(&self.now) = weather;
    }

    /// The weather now.
    pub fn weather(&self) -> Weather {
        *lock(&self.now)
    }

    /// A number up to `most`.
    pub fn up_to(&self, most: u64) -> u64 {
        lock(&self.random).below(most + 1)
    }

    /// True `per_mille` times of a thousand.
    pub fn chance(&self, per_mille: u64) -> bool {
        lock(&self.random).chance(per_mille)
    }

    /// What becomes of a message: one entry per copy that arrives, with its delay and whether it overtakes.
    pub fn fate(&self) -> Vec<(Duration, bool)> {
        let (weather, mut random) = (self.weather(), lock(&self.random));
        let copies = if random.chance(weather.loss) { 0 } else { 1 + u64::from(random.chance(weather.twice)) };
        let delay = |random: &mut Random| Duration::from_millis(random.between(weather.least_ms, weather.most_ms));
        (0..copies).map(|_| (delay(&mut random), random.chance(weather.overtake))).collect()
    }

    /// What a hostile neighbour says to `node` after the hub's `message`.
    pub fn hostile(&self, node: &Name, message: &Bytes) -> Option<Bytes> {
        let decoded = self.remember(node, message);
        let mut random = lock(&self.random);
        if !random.chance(lock(&self.now).hostile) {
            return None;
        }
        match (random.below(6), decoded) {
            (0, _) => self.archive.pick(&mut random, |of| of == node),
            (1, _) => self.archive.pick(&mut random, |of| of != node),
            (2, _) => Some(Bytes::from(vec![0xff; 1 + random.below(300) as usize])),
            (3, _) => Some([&[2], &message[1..]].concat().into()),
            (4, Some(Down::Frame(frame))) => {
                let blob = *Digest::of(&frame.blob).as_bytes();
                Some(Down::Frame(Frame { blob, ..frame }).encode().into())
            }
            (5, Some(Down::Frame(mut frame))) => {
                frame.data.iter_mut().take(1).for_each(|byte| *byte ^= 1);
                Some(Down::Frame(frame).encode().into())
            }
            (_, _) => Some(message.slice(..message.len() / 2)),
        }
    }

    /// Keeps desired states; reads a message only where somebody needs to know what it is.
    fn remember(&self, node: &Name, message: &Bytes) -> Option<Down> {
        if self.weather().hostile == 0 && message.len() > 64 << 10 {
            return None;
        }
        let decoded = Down::decode(message).ok();
        if matches!(decoded, Some(Down::Desired(_))) {
            self.archive.keep(node, message);
        }
        decoded
    }

    /// From now on frames that reach the node are counted.
    pub fn count_frames(&self) {
        *lock(&self.frames) = Some(BTreeMap::new());
    }

    /// How often each frame reached the node.
    pub fn frames(&self) -> BTreeMap<(Digest, u64), u32> {
        lock(&self.frames).clone().unwrap_or_default()
    }

    /// A message reached the node.
    pub fn arrived(&self, message: &Bytes) {
        if let Some(frames) = lock(&self.frames).as_mut()
            && let Ok(Down::Frame(frame)) = Down::decode(message)
        {
            *frames.entry((Digest::from_bytes(frame.blob), frame.offset)).or_default() += 1;
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
