//! What a network and a hostile neighbour may do to one message: lose it, say it twice, hold it back, let others overtake
//! it, or put something else beside it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use shared::id::{Digest, Name};
use shared::wire::v1::{Down, Frame};

use super::center::lock;
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
    /// What reached the node of blobs, when somebody counts.
    pulled: Mutex<Option<Pulled>>,
}

/// Bytes of blobs that reached a node.
#[derive(Debug, Clone, Default)]
pub struct Pulled {
    /// All of them.
    pub bytes: u64,
    /// Of each blob its bytes that came at least once, as ranges: from, until.
    ranges: BTreeMap<Digest, BTreeMap<u64, u64>>,
    /// Longest frame.
    pub longest: u64,
}

impl Pulled {
    fn add(&mut self, blob: Digest, mut from: u64, length: u64) {
        self.bytes += length;
        self.longest = self.longest.max(length);
        let mut until = from + length;
        let ranges = self.ranges.entry(blob).or_default();
        while let Some((near, end)) = ranges.range(..=until).next_back().filter(|(_, end)| **end >= from).map(|(a, b)| (*a, *b)) {
            ranges.remove(&near);
            (from, until) = (from.min(near), until.max(end));
        }
        ranges.insert(from, until);
    }

    /// Different bytes.
    pub fn new_bytes(&self) -> u64 {
        self.ranges.values().flatten().map(|(from, until)| until - from).sum()
    }

    /// Bytes that came once more.
    pub fn again(&self) -> u64 {
        self.bytes - self.new_bytes()
    }
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
        Self { now: Mutex::new(Weather::FAIR), random: Mutex::new(random), archive, pulled: Mutex::default() }
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
        *lock(&self.pulled) = Some(Pulled::default());
    }

    /// What was counted.
    pub fn pulled(&self) -> Pulled {
        lock(&self.pulled).clone().unwrap_or_default()
    }

    /// A message reached the node.
    pub fn arrived(&self, message: &Bytes) {
        if let Some(pulled) = lock(&self.pulled).as_mut()
            && let Ok(Down::Frame(frame)) = Down::decode(message)
        {
            pulled.add(Digest::from_bytes(frame.blob), frame.offset, frame.data.len() as u64);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_that_came_twice_are_counted_once() {
        let mut pulled = Pulled::default();
        let (a, b) = (Digest::of(b"a"), Digest::of(b"b"));
        for (blob, from, length, new) in
            [(a, 0, 10, 10), (a, 20, 10, 20), (b, 0, 5, 25), (a, 5, 20, 35), (a, 0, 30, 35), (a, 0, 40, 45)]
        {
            pulled.add(blob, from, length);
            assert_eq!(pulled.new_bytes(), new, "{from}+{length}");
        }
        assert_eq!((pulled.bytes, pulled.again(), pulled.longest), (115, 70, 40));
    }
}
