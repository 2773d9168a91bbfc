use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use shared::budget::{Budget, Class};
use shared::oci::Platform;
use shared::recipe::Recipe;
use shared::release::{Compression, Layer};
use shared::time::UnixMillis;
use tokio::time::Instant;

use super::*;
use crate::budget::Record;
use crate::clock::Clock;
use crate::images::FRAME_MAX;
use crate::images::memory::Memory;
use crate::images::packs::PackTar;
use crate::testing::noise;

/// A source with the weather of a real link, from a seed.
struct Weather {
    memory: Memory,
    seed: AtomicU64,
    /// Of 100 requests so many are met by a link that is down.
    away: u64,
    /// … are never answered.
    lost: u64,
    /// Answers take up to so many milliseconds, so they overtake each other.
    jitter: u64,
    /// The first so many whole answers carry a flipped bit.
    lies: AtomicU32,
    /// After so many bytes the hub gives its patch up; it makes the same again when it is asked.
    given_up_after: Option<u64>,
    /// Named for every layer, in place of the right one.
    wrong_patch: Option<Blob>,
    /// Times that a patch was named.
    patches: AtomicU32,
    /// Frames handed out: blob, offset and length.
    given: Mutex<Vec<(Digest, u64, u64)>>,
}

impl Weather {
    fn fair(memory: Memory) -> Self {
        let given = Mutex::default();
        Self {
            memory,
            seed: AtomicU64::new(1),
            away: 0,
            lost: 0,
            jitter: 0,
            lies: AtomicU32::new(0),
            given_up_after: None,
            wrong_patch: None,
            patches: AtomicU32::new(0),
            given,
        }
    }

    fn random(&self, below: u64) -> u64 {
        let step = |seed: u64| seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let seed = self.seed.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |seed| Some(step(seed))).unwrap();
        (step(seed) >> 33) % below.max(1)
    }

    fn asked_again(&self) -> bool {
        self.patches.load(Ordering::Relaxed) > 1
    }

    fn bytes_given(&self) -> u64 {
        self.given.lock().unwrap().iter().map(|(_, _, length)| length).sum()
    }

    fn longest_frame(&self) -> u64 {
        self.given.lock().unwrap().iter().map(|(_, _, length)| *length).max().unwrap_or(0)
    }
}

impl ChunkSource for Weather {
    async fn read(&self, blob: Digest, offset: u64, length: u32) -> Result<Bytes, SourceError> {
        assert!(length <= FRAME_MAX);
        let (fate, delay) = (self.random(100), self.random(self.jitter + 1));
        tokio::time::sleep(Duration::from_millis(delay)).await;
        if fate < self.away {
            return Err(SourceError::Away);
        }
        if fate < self.away + self.lost {
            std::future::pending::<()>().await;
        }
        if self.given_up_after.is_some_and(|after| self.bytes_given() >= after) && !self.asked_again() {
            return Err(SourceError::NotThere(Fault::new(&image::BLOB_UNKNOWN).with("blob", blob.short())));
        }
        let bytes = self.memory.read(blob, offset, length).await?;
        self.given.lock().unwrap().push((blob, offset, length.into()));
        if self.lies.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |lies| lies.checked_sub(1)).is_ok() {
            let mut wrong = bytes.to_vec();
            wrong[0] ^= 1;
            return Ok(wrong.into());
        }
        Ok(bytes)
    }

    async fn patch(&self, layer: Digest, have: &[Digest]) -> Result<Blob, SourceError> {
        let fate = self.random(100);
        if fate < self.away {
            return Err(SourceError::Away);
        }
        if fate < self.away + self.lost {
            return Err(SourceError::Timeout);
        }
        self.patches.fetch_add(1, Ordering::Relaxed);
        match self.wrong_patch {
            Some(patch) => Ok(patch),
            None => self.memory.patch(layer, have).await,
        }
    }
}

/// An image of a manifest, a config and layers of the given sizes. Nothing is unpacked, so the layers are no real tars.
fn image(memory: &mut Memory, sizes: &[usize]) -> Image {
    of_layers(memory, sizes.iter().enumerate().map(|(n, size)| noise(*size, n as u64 % 4)))
}

fn of_layers(memory: &mut Memory, layers: impl Iterator<Item = Vec<u8>>) -> Image {
    let mut layer = |tar: Vec<u8>| {
        let recipe = Recipe::of(&tar).id();
        let tar = memory.insert_layer(&tar).unwrap();
        Layer { blob: tar, compression: Compression::None, tar, recipe }
    };
    let layers = layers.map(&mut layer).collect();
    let platform = Platform { os: "linux".into(), architecture: "amd64".into(), variant: String::new() };
    Image { platform, manifest: memory.insert(&b"manifest"[..]), config: memory.insert(&b"config"[..]), layers }
}

struct Desk {
    _dir: tempfile::TempDir,
    content: Content,
    ledger: Ledger,
    progress: watch::Sender<Progress>,
}

fn desk() -> Desk {
    let dir = tempfile::tempdir().unwrap();
    let (ledger, progress) = (Ledger::unlimited(Clock::system()), watch::Sender::default());
    Desk { content: Content::open(dir.path(), "boot").unwrap(), _dir: dir, ledger, progress }
}

impl Desk {
    async fn fetch(&self, source: &Weather, image: &Image) -> Result<Fetched, FetchError> {
        fetch(source, &self.content, image, &Present::default(), &self.ledger, &self.progress).await
    }

    /// The tar of a layer, from its pack.
    fn tar(&self, layer: &Layer) -> Vec<u8> {
        let mut tar = Vec::new();
        PackTar::new(self.content.packs.read(layer.tar.digest).unwrap()).read_to_end(&mut tar).unwrap();
        tar
    }
}

const FRAME: usize = FRAME_MAX as usize;

#[tokio::test]
async fn an_image_arrives_and_each_byte_is_asked_for_once() {
    let mut memory = Memory::default();
    let image = image(&mut memory, &[3 * FRAME + 17, 0, FRAME, 1, 3 * FRAME + 17]); // the first and the last are the same
    let source = Weather::fair(memory);
    let desk = desk();
    desk.fetch(&source, &image).await.unwrap();
    for layer in &image.layers {
        assert_eq!(Digest::of(&desk.tar(layer)), layer.tar.digest);
    }
    assert_eq!(image.layers[0].tar, image.layers[4].tar);
    let Progress { done, total, reused, rate, .. } = desk.progress.borrow().clone();
    assert!(rate.per_second(Instant::now()) > 0 && reused < total, "all of it travelled: {reused} of {total}");
    let bytes = (3 * FRAME + 17 + FRAME + 1 + 14) as u64;
    assert!(done == total && (bytes..bytes + 5000).contains(&total), "{done} of {total}");
    assert_eq!(source.bytes_given(), total, "each byte once");
    assert_eq!(desk.content.patches.sweep(&BTreeSet::new()).unwrap(), 0, "no patch is left");
    desk.fetch(&source, &image).await.unwrap();
    assert_eq!(source.bytes_given(), total, "what is there is not asked for again");
}

#[tokio::test]
async fn layers_the_runtime_has_are_not_fetched() {
    let mut memory = Memory::default();
    let image = image(&mut memory, &[FRAME, 5, 7]);
    let chain = chain_ids(&image.diff_ids());
    let present: BTreeSet<_> = chain[..2].iter().copied().collect();
    let Wanted { documents, layers } = wanted(&image, &present).unwrap();
    assert_eq!((documents, layers), ([image.manifest, image.config], vec![image.layers[2]]));
}

#[tokio::test(start_paused = true)]
async fn a_link_that_comes_and_goes_loses_nothing() {
    let mut memory = Memory::default();
    let image = image(&mut memory, &[20 * FRAME + 1]);
    for seed in 0..30 {
        let source = Weather { away: 40, jitter: 200, seed: AtomicU64::new(seed), ..Weather::fair(memory.clone()) };
        let fetched = desk().fetch(&source, &image).await.unwrap();
        assert_eq!(source.bytes_given(), fetched.sent, "seed {seed}: each byte once");
    }
}

#[tokio::test(start_paused = true)]
async fn lost_frames_are_asked_for_again() {
    let mut memory = Memory::default();
    let image = image(&mut memory, &[20 * FRAME + 1]);
    for seed in 0..10 {
        // One frame that is lost five times in a row ends a fetch: with 10 of 100 lost that happened now and then.
        let source = Weather { lost: 3, jitter: 50, seed: AtomicU64::new(seed), ..Weather::fair(memory.clone()) };
        desk().fetch(&source, &image).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_silent_source_is_a_fault_in_the_end() {
    let mut memory = Memory::default();
    let image = image(&mut memory, &[FRAME]);
    let source = Weather { lost: 100, ..Weather::fair(memory) };
    let error = desk().fetch(&source, &image).await.unwrap_err();
    assert!(matches!(error, FetchError::Silent { offset: 0, failures: FAILURES_MAX, .. }), "{error:?}");
}

#[tokio::test]
async fn wrong_bytes_are_fetched_once_more_and_then_a_fault() {
    for (lies, arrives) in [(1, true), (2, false)] {
        let mut memory = Memory::default();
        let image = image(&mut memory, &[100]);
        let desk = desk();
        let source = Weather { lies: AtomicU32::new(lies), ..Weather::fair(memory) };
        let ended = desk.fetch(&source, &image).await;
        assert_eq!(ended.is_ok(), arrives, "{ended:?}");
        if !arrives {
            assert!(matches!(ended, Err(FetchError::Differs(digest)) if digest == image.id()));
            assert!(!desk.content.blobs.has(&image.manifest));
        }
    }
}

#[tokio::test]
async fn what_the_source_does_not_have_is_its_own_fault() {
    let mut memory = Memory::default();
    let image = image(&mut memory, &[5]);
    let error = desk().fetch(&Weather::fair(Memory::default()), &image).await.unwrap_err();
    assert_eq!(error.fault().code, "image-layer-unknown");
}

/// Kills of the daemon at random points: after each, a new fetch over the same directory goes on. The source answers
/// in order, as the link does.
#[tokio::test(start_paused = true)]
async fn each_kill_costs_at_most_one_frame() {
    let mut memory = Memory::default();
    let image = image(&mut memory, &[4 * FRAME + 5, FRAME]);
    let whole = desk().fetch(&Weather::fair(memory.clone()), &image).await.unwrap().sent;
    for seed in 0..20 {
        let source = Weather { seed: AtomicU64::new(seed), ..Weather::fair(memory.clone()) };
        let link = InOrder { inner: &source, turn: tokio::sync::Mutex::new(()) };
        let dir = tempfile::tempdir().unwrap();
        let (progress, _) = watch::channel(Progress::default());
        let (mut kills, none, ledger) = (0, Present::default(), Ledger::unlimited(Clock::system()));
        loop {
            let content = reopen(dir.path()).await;
            let whole = fetch(&link, &content, &image, &none, &ledger, &progress);
            let life = Duration::from_millis(20 + source.random(200));
            match tokio::time::timeout(life, whole).await {
                Ok(ended) => break ended.map(|_| ()).unwrap(),
                Err(_) => kills += 1,
            }
        }
        assert!(kills > 0);
        let (given, frame) = (source.bytes_given(), source.longest_frame());
        assert!(given <= whole + kills * frame, "seed {seed}: {kills} kills, {given} of {whole} bytes, frames up to {frame}");
    }
}

/// A dead daemon's last write may still be under way in this process; a real kill would have ended it.
async fn reopen(dir: &Path) -> Content {
    loop {
        match Content::open(dir, "boot") {
            Err(BlobError::InUse(_)) => tokio::time::sleep(Duration::from_millis(1)).await,
            opened => return opened.unwrap(),
        }
    }
}

/// One answer after the other, 10 ms each.
struct InOrder<'a> {
    inner: &'a Weather,
    turn: tokio::sync::Mutex<()>,
}

impl ChunkSource for InOrder<'_> {
    async fn read(&self, blob: Digest, offset: u64, length: u32) -> Result<Bytes, SourceError> {
        let _turn = self.turn.lock().await;
        tokio::time::sleep(Duration::from_millis(10)).await;
        self.inner.read(blob, offset, length).await
    }

    async fn patch(&self, layer: Digest, have: &[Digest]) -> Result<Blob, SourceError> {
        self.inner.patch(layer, have).await
    }
}

/// The next version of an image: its layer is made of what the node has, and only what is new is sent.
#[tokio::test]
async fn a_new_version_brings_what_is_new() {
    let (old, mut memory) = (noise(8 * FRAME, 9), Memory::default());
    let new = [&old[..5 * FRAME], &noise(9000, 10), &old[5 * FRAME..]].concat();
    let first = of_layers(&mut memory, [old].into_iter());
    let second = of_layers(&mut memory, [new.clone()].into_iter());
    let (desk, source) = (desk(), Weather::fair(memory));
    desk.fetch(&source, &first).await.unwrap();
    let fetched = desk.fetch(&source, &second).await.unwrap();
    assert_eq!(fetched.sent, desk.progress.borrow().total);
    assert!((4..200).contains(&(fetched.sent * 1000 / fetched.whole)), "{fetched:?}");
    assert!(desk.tar(&second.layers[0]) == new);
}

/// An image the disk has no room for is refused with numbers, before its first byte.
#[tokio::test]
async fn no_room_is_said_before_the_first_byte() {
    let mut memory = Memory::default();
    let image = image(&mut memory, &[5 * FRAME]);
    let (mut desk, source) = (desk(), Weather::fair(memory));
    desk.content.reserve = u64::MAX;
    let fault = desk.fetch(&source, &image).await.unwrap_err().fault();
    assert_eq!((fault.code.as_str(), fault.params["packs"].as_str()), ("image-no-room", "1.2 MiB"));
    assert_eq!(source.bytes_given(), 0);
    desk.content.reserve = 0;
    desk.fetch(&source, &image).await.unwrap();
}

/// An old layer's pack that changed on this disk is thrown away, and the new layer is fetched without it.
#[tokio::test]
async fn a_damaged_old_layer_is_left_out() {
    let (old, mut memory) = (noise(4 * FRAME, 9), Memory::default());
    let new = [&old[..], &noise(9000, 10)].concat();
    let first = of_layers(&mut memory, [old].into_iter());
    let second = of_layers(&mut memory, [new.clone()].into_iter());
    for at in [20_000, 2] {
        let (desk, source) = (desk(), Weather::fair(memory.clone()));
        desk.fetch(&source, &first).await.unwrap();
        let path = desk.content.packs.path(first.layers[0].tar.digest);
        let mut bytes = std::fs::read(&path).unwrap();
        let at = if at == 2 { bytes.len() - 2 } else { at };
        bytes[at] ^= 1;
        std::fs::write(&path, bytes).unwrap();
        desk.fetch(&source, &second).await.unwrap();
        assert!(desk.tar(&second.layers[0]) == new);
        assert!(!path.exists());
    }
}

/// Whatever the hub sends in place of a patch, the node ends with a fault, and goes on when the hub is right again.
#[tokio::test]
async fn a_patch_that_makes_nothing_is_a_fault() {
    let mut memory = Memory::default();
    let image = image(&mut memory, &[FRAME]);
    let other = of_layers(&mut memory, [noise(FRAME, 7)].into_iter());
    let garbage = memory.insert(noise(500, 1));
    let foreign = memory.patch(other.layers[0].tar.digest, &[]).await.unwrap();
    let endless = Blob { size: 1 << 40, ..garbage };
    for wrong in [garbage, foreign, endless] {
        let (desk, mut source) = (desk(), Weather::fair(memory.clone()));
        source.wrong_patch = Some(wrong);
        let error = desk.fetch(&source, &image).await.unwrap_err();
        assert_eq!(error.fault().code, "image-patch-unfit");
        source.wrong_patch = None;
        desk.fetch(&source, &image).await.unwrap();
        assert_eq!(Digest::of(&desk.tar(&image.layers[0])), image.layers[0].tar.digest);
    }
}

/// A hub whose cache was full makes the patch again, with the same bytes: what arrived of it counts.
#[tokio::test]
async fn a_patch_that_the_hub_gave_up_goes_on_where_it_was() {
    let mut memory = Memory::default();
    let image = image(&mut memory, &[8 * FRAME]);
    let (desk, source) = (desk(), Weather { given_up_after: Some(1 << 20), ..Weather::fair(memory) });
    let fetched = desk.fetch(&source, &image).await.unwrap();
    assert!(source.asked_again());
    let again = source.bytes_given() - fetched.sent;
    // What was under way behind the refused frame may come twice: no more than the window.
    assert!(again <= 512 << 10, "{again} of {} bytes came again", fetched.sent);
}

/// A patch that is on disk needs nobody to be applied.
#[tokio::test]
async fn a_complete_patch_is_applied_while_the_hub_is_away() {
    let mut memory = Memory::default();
    let image = image(&mut memory, &[FRAME]);
    let (desk, layer) = (desk(), image.layers[0].tar);
    let patch = memory.patch(layer.digest, &[]).await.unwrap();
    desk.content.patches.remember_patch(layer.digest, patch).unwrap();
    for (blobs, blob) in
        [(&desk.content.blobs, image.manifest), (&desk.content.blobs, image.config), (&desk.content.patches, patch)]
    {
        let Begun::Missing(mut partial) = blobs.begin(blob).await.unwrap() else { panic!("it is there") };
        partial.append(&memory.read(blob.digest, 0, u32::try_from(blob.size).unwrap()).await.unwrap()).unwrap();
        partial.finish().unwrap();
    }
    desk.fetch(&Weather { away: 100, ..Weather::fair(memory) }, &image).await.unwrap();
    assert_eq!(Digest::of(&desk.tar(&image.layers[0])), layer.digest);
}

/// A source over a link that counts what it carries, as the real one does; and how much that was on which day.
struct Metered<'a> {
    inner: &'a Weather,
    ledger: &'a Ledger,
    clock: Clock,
    days: &'a Mutex<BTreeMap<u64, u64>>,
}

impl ChunkSource for Metered<'_> {
    async fn read(&self, blob: Digest, offset: u64, length: u32) -> Result<Bytes, SourceError> {
        let bytes = self.inner.read(blob, offset, length).await?;
        let (size, day) = (bytes.len() as u64, self.clock.now().wall.0 / 86_400_000);
        self.ledger.count(Class::Images, size + 60);
        *self.days.lock().unwrap().entry(day).or_default() += size;
        Ok(bytes)
    }

    async fn patch(&self, layer: Digest, have: &[Digest]) -> Result<Blob, SourceError> {
        self.inner.patch(layer, have).await
    }
}

/// 2026-11-21 12:00 UTC.
const NOON: u64 = 1_795_262_400_000;

/// Fetches `image` under `budget`, from noon on, and kills the daemon every few hours if `kills`; the bytes of each day.
async fn days_of(source: &Weather, image: &Image, budget: &Budget, kills: bool) -> Vec<u64> {
    let clock = Clock::simulated(Duration::from_secs(50), UnixMillis(NOON));
    let (record, dir) = (Record::in_memory(), tempfile::tempdir().unwrap());
    let (progress, none, days) = (watch::Sender::default(), Present::default(), Mutex::default());
    loop {
        let ledger = Ledger::open(record.clone(), clock);
        ledger.set(Some(budget));
        let content = reopen(dir.path()).await;
        let life = if kills { Duration::from_secs(1 + source.random(4 * 3600)) } else { Duration::from_secs(86_400 * 365) };
        let source = Metered { inner: source, ledger: &ledger, clock, days: &days };
        let whole = fetch(&source, &content, image, &none, &ledger, &progress);
        if let Ok(fetched) = tokio::time::timeout(life, whole).await {
            fetched.unwrap();
            return days.into_inner().unwrap().into_values().collect();
        }
    }
}

/// No day has more than its quota, whatever the link does and however often the daemon dies.
#[tokio::test(start_paused = true)]
async fn a_quota_is_never_exceeded_and_the_image_arrives() {
    let mut memory = Memory::default();
    let image = image(&mut memory, &[20 * FRAME + 1]);
    let quota = 1 << 20;
    let budget = Budget { per_day: Some(quota), ..Budget::default() };
    for (seed, away, kills) in [(1, 0, false), (2, 30, false), (3, 0, true), (4, 20, true)] {
        let source = Weather { away, jitter: 100, seed: AtomicU64::new(seed), ..Weather::fair(memory.clone()) };
        let days = days_of(&source, &image, &budget, kills).await;
        assert!(days.iter().all(|day| *day <= quota), "seed {seed}: {days:?}");
        assert!((6..12).contains(&days.len()), "seed {seed}: {days:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_rate_is_kept() {
    let mut memory = Memory::default();
    let image = image(&mut memory, &[20 * FRAME + 1]);
    for rate in [16 << 10, 125_000, 2 << 20] {
        let (source, mut desk) = (Weather { jitter: 20, ..Weather::fair(memory.clone()) }, desk());
        desk.ledger = Ledger::unlimited(Clock::simulated(Duration::from_secs(50), UnixMillis(NOON)));
        desk.ledger.set(Some(&Budget { rate: Some(rate), ..Budget::default() }));
        let began = Instant::now();
        let sent = desk.fetch(&source, &image).await.unwrap().sent;
        let took = began.elapsed().as_millis() as u64;
        assert!((sent * 1000 / rate * 98 / 100..sent * 1000 / rate * 110 / 100).contains(&took), "{rate}: {sent} in {took} ms");
    }
}

#[tokio::test(start_paused = true)]
async fn outside_its_windows_a_fetch_waits_and_says_until_when() {
    let mut memory = Memory::default();
    let image = image(&mut memory, &[FRAME]);
    let (source, mut desk) = (Weather::fair(memory), desk());
    desk.ledger = Ledger::unlimited(Clock::simulated(Duration::from_secs(50), UnixMillis(NOON)));
    desk.ledger.set(Some(&Budget { windows: vec!["22:00-06:00".parse().unwrap()], ..Budget::default() }));
    let mut waits = desk.ledger.waits();
    let began = Instant::now();
    let (fetched, ()) = tokio::join!(desk.fetch(&source, &image), async {
        waits.changed().await.unwrap();
        let fault = waits.borrow_and_update().clone().unwrap();
        assert_eq!((fault.code.as_str(), fault.params["until"].as_str()), ("budget-window-closed", "2026-11-21 22:00 +00:00"));
        assert_eq!(source.bytes_given(), 0);
    });
    fetched.unwrap();
    assert!((36_000..36_061).contains(&began.elapsed().as_secs()));
    assert_eq!(*waits.borrow(), None);
}

/// Answers with so many bytes, whatever it is asked for.
struct Late {
    lengths: Mutex<Vec<usize>>,
    asked: Mutex<Vec<(u64, u32)>>,
}

impl ChunkSource for Late {
    async fn read(&self, _: Digest, offset: u64, length: u32) -> Result<Bytes, SourceError> {
        self.asked.lock().unwrap().push((offset, length));
        let late = self.lengths.lock().unwrap().pop().unwrap_or(length as usize);
        Ok((offset..).take(late).map(|byte| byte as u8).collect())
    }

    async fn patch(&self, _: Digest, _: &[Digest]) -> Result<Blob, SourceError> {
        Err(SourceError::Timeout)
    }
}

/// On a slow link a late answer meets a question of another length: what is right of it is not asked for again.
#[tokio::test(start_paused = true)]
async fn a_late_answer_counts_as_far_as_it_goes() {
    for (lengths, expected) in [
        (vec![3, 5], vec![(0, 10), (3, 7), (8, 2)]),
        (vec![12], vec![(0, 10)]),
        (vec![4, 99], vec![(0, 10), (4, 6)]),
        (vec![0, 0], vec![(0, 10), (0, 10), (0, 10)]),
    ] {
        let source = Late { lengths: Mutex::new(lengths.into_iter().rev().collect()), asked: Mutex::default() };
        let (ledger, blob) = (Ledger::unlimited(Clock::system()), Digest::of(b"blob"));
        let progress = watch::Sender::default();
        let line = Line::new(&source, &ledger, &progress);
        let Turn::Go(flying) = line.try_ask(blob, 10) else { panic!("nobody else asks") };
        let pieces = frame(&line, blob, 0, flying).await.unwrap();
        assert_eq!(pieces.concat(), (0..10).collect::<Vec<u8>>());
        assert_eq!(*source.asked.lock().unwrap(), expected);
    }
}
