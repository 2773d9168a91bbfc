use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use shared::oci::Platform;
use shared::release::{Compression, Layer};

use super::*;
use crate::images::FRAME_MAX;
use crate::images::memory::Memory;

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
    /// Frames handed out: blob, offset and length.
    given: Mutex<Vec<(Digest, u64, u64)>>,
}

impl Weather {
    fn fair(memory: Memory) -> Self {
        let given = Mutex::default();
        Self { memory, seed: AtomicU64::new(1), away: 0, lost: 0, jitter: 0, lies: AtomicU32::new(0), given }
    }

    fn random(&self, below: u64) -> u64 {
        let step = |seed: u64| seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let seed = self.seed.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |seed| Some(step(seed))).unwrap();
        (step(seed) >> 33) % below.max(1)
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
        let bytes = self.memory.read(blob, offset, length).await?;
        self.given.lock().unwrap().push((blob, offset, length.into()));
        if self.lies.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |lies| lies.checked_sub(1)).is_ok() {
            let mut wrong = bytes.to_vec();
            wrong[0] ^= 1;
            return Ok(wrong.into());
        }
        Ok(bytes)
    }
}

fn bytes(size: usize, salt: u64) -> Vec<u8> {
    (0..size as u64).map(|n| (n.wrapping_mul(2_654_435_761).wrapping_add(salt) >> 7) as u8).collect()
}

/// An image of a manifest, a config and layers of the given sizes. Nothing is unpacked, so tars are not needed.
fn image(memory: &mut Memory, sizes: &[usize]) -> Image {
    let mut layer = |(n, size): (usize, &usize)| {
        let blob = memory.insert(bytes(*size, n as u64));
        Layer { blob, compression: Compression::None, tar: blob }
    };
    let layers = sizes.iter().enumerate().map(&mut layer).collect();
    let platform = Platform { os: "linux".into(), architecture: "amd64".into(), variant: String::new() };
    Image { platform, manifest: memory.insert(&b"manifest"[..]), config: memory.insert(&b"config"[..]), layers }
}

struct Desk {
    _dir: tempfile::TempDir,
    blobs: Blobs,
    progress: watch::Sender<Progress>,
}

fn desk() -> Desk {
    let dir = tempfile::tempdir().unwrap();
    Desk { blobs: Blobs::open(dir.path(), "boot").unwrap(), _dir: dir, progress: watch::Sender::default() }
}

impl Desk {
    async fn fetch(&self, source: &Weather, image: &Image) -> Result<(), FetchError> {
        fetch(source, &self.blobs, image, &BTreeSet::new(), &self.progress).await
    }
}

const FRAME: usize = FRAME_MAX as usize;

#[tokio::test]
async fn an_image_arrives_and_each_byte_is_asked_for_once() {
    let mut memory = Memory::default();
    let image = image(&mut memory, &[3 * FRAME + 17, 0, FRAME, 1, 3 * FRAME + 17]);
    let source = Weather::fair(memory);
    let desk = desk();
    desk.fetch(&source, &image).await.unwrap();
    for layer in &image.layers {
        assert!(desk.blobs.has(&layer.blob));
        assert!(desk.blobs.verify(&layer.blob).unwrap());
    }
    let total = (2 * (3 * FRAME + 17) + FRAME + 1 + 14) as u64;
    assert_eq!(*desk.progress.borrow(), Progress { done: total, total });
    assert_eq!(source.bytes_given(), total, "each byte once");
    desk.fetch(&source, &image).await.unwrap();
    assert_eq!(source.bytes_given(), total, "what is there is not asked for again");
}

#[tokio::test]
async fn layers_the_runtime_has_are_not_fetched() {
    let mut memory = Memory::default();
    let image = image(&mut memory, &[FRAME, 5, 7]);
    let chain = chain_ids(&image.diff_ids());
    let present: BTreeSet<_> = chain[..2].iter().copied().collect();
    let missing: Vec<_> = wanted(&image, &present).unwrap().iter().map(|blob| blob.size).collect();
    assert_eq!(missing, [8, 6, 7]);
}

#[tokio::test(start_paused = true)]
async fn a_link_that_comes_and_goes_loses_nothing() {
    let mut memory = Memory::default();
    let image = image(&mut memory, &[20 * FRAME + 1]);
    for seed in 0..30 {
        let source = Weather { away: 40, jitter: 200, seed: AtomicU64::new(seed), ..Weather::fair(memory.clone()) };
        desk().fetch(&source, &image).await.unwrap();
        assert_eq!(source.bytes_given(), (20 * FRAME + 1 + 14) as u64, "seed {seed}: each byte once");
    }
}

#[tokio::test(start_paused = true)]
async fn lost_frames_are_asked_for_again() {
    let mut memory = Memory::default();
    let image = image(&mut memory, &[20 * FRAME + 1]);
    for seed in 0..10 {
        let source = Weather { lost: 10, jitter: 50, seed: AtomicU64::new(seed), ..Weather::fair(memory.clone()) };
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
            assert!(!desk.blobs.has(&image.manifest));
        }
    }
}

#[tokio::test]
async fn what_the_source_does_not_have_is_its_own_fault() {
    let mut memory = Memory::default();
    let image = image(&mut memory, &[5]);
    let error = desk().fetch(&Weather::fair(Memory::default()), &image).await.unwrap_err();
    assert_eq!(error.fault().code, "image-blob-unknown");
}

/// Kills of the daemon at random points: after each, a new fetch over the same directory goes on. The source answers
/// in order, as the link does.
#[tokio::test(start_paused = true)]
async fn each_kill_costs_at_most_one_frame() {
    for seed in 0..20 {
        let mut memory = Memory::default();
        let image = image(&mut memory, &[4 * FRAME + 5, FRAME]);
        let source = Weather { seed: AtomicU64::new(seed), ..Weather::fair(memory) };
        let link = InOrder { inner: &source, turn: tokio::sync::Mutex::new(()) };
        let dir = tempfile::tempdir().unwrap();
        let (progress, _) = watch::channel(Progress::default());
        let (mut kills, none) = (0, BTreeSet::new());
        loop {
            let blobs = reopen(dir.path()).await;
            let whole = fetch(&link, &blobs, &image, &none, &progress);
            let life = Duration::from_millis(20 + source.random(200));
            match tokio::time::timeout(life, whole).await {
                Ok(ended) => break ended.unwrap(),
                Err(_) => kills += 1,
            }
        }
        assert!(kills > 0);
        let (whole, given, frame) = ((5 * FRAME + 5 + 14) as u64, source.bytes_given(), source.longest_frame());
        assert!(given <= whole + kills * frame, "seed {seed}: {kills} kills, {given} of {whole} bytes, frames up to {frame}");
    }
}

/// A dead daemon's last write may still be under way in this process; a real kill would have ended it.
async fn reopen(dir: &std::path::Path) -> Blobs {
    loop {
        match Blobs::open(dir, "boot") {
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
}
