//! Whose turn it is to bring an image: one after the other, for the link is the bottleneck, and room on the disk is counted
//! for one.
//!
//! What an app waits for comes before what only shall lie on the disk. Whoever has the turn and waits for the link or its
//! budget lets the others try: what they need may be on site.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use shared::id::Digest;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep};

use crate::images::Progress;

/// Whoever waits in vain for so long lets the others try …
const PATIENCE: Duration = Duration::from_secs(30);
/// … and comes again after this time, or when nobody else has the turn …
const REST: Duration = Duration::from_secs(60);
/// … and twice as late each time that it was in vain again, up to this, unless the link carries something meanwhile: what the
/// others do on the disk needs its time, too.
const REST_MAX: Duration = Duration::from_secs(600);
/// How often it is looked how far the image is whose turn it is.
const LOOK: Duration = Duration::from_secs(5);

/// The turns. Cheap to clone; clones share.
#[derive(Clone, Default)]
pub struct Turns(Arc<Inner>);

#[derive(Default)]
struct Inner {
    queue: Mutex<Queue>,
    changed: Notify,
}

#[derive(Default)]
struct Queue {
    /// Whose turn it is, and how it gets on.
    at: Option<(Digest, watch::Receiver<Progress>)>,
    /// Who waits, the first who came first.
    waiting: BTreeMap<u64, Digest>,
    /// How many came.
    came: u64,
    /// What apps wait for.
    urgent: BTreeSet<Digest>,
}

impl Queue {
    /// Who comes next.
    fn first(&self) -> Option<u64> {
        let place = |(number, image): (&u64, &Digest)| (!self.urgent.contains(image), *number);
        self.waiting.iter().map(place).min().map(|(_, number)| number)
    }

    /// Whether somebody waits who comes before the one whose turn it is.
    fn is_overtaken(&self) -> bool {
        let is_urgent = |image: &Digest| self.urgent.contains(image);
        !self.at.as_ref().is_some_and(|(image, _)| is_urgent(image)) && self.waiting.values().any(is_urgent)
    }
}

impl Turns {
    /// What apps wait for: these images and no others.
    pub fn set_urgent(&self, urgent: BTreeSet<Digest>) {
        self.0.queue().urgent = urgent;
        self.0.changed.notify_waiters();
    }

    /// Brings an image by `attempt`, which is begun as often as it gets a turn, and goes on where it was. `progress` is how it
    /// gets on.
    pub async fn take<T, F: Future<Output = T>>(
        &self,
        image: Digest,
        progress: &watch::Sender<Progress>,
        attempt: impl Fn() -> F,
    ) -> T {
        let mut rest = REST;
        loop {
            let turn = self.wait(image, progress).await;
            tokio::select! {
                done = attempt() => return done,
                () = self.overtaken() => drop(turn),
                () = self.in_vain(progress) => {
                    drop(turn);
                    self.rest(rest).await;
                    rest = REST_MAX.min(rest * 2);
                }
            }
        }
    }

    /// Returns when it is this image's turn, which lasts as long as the guard.
    async fn wait(&self, image: Digest, progress: &watch::Sender<Progress>) -> Turn {
        let place = Place::new(self.0.clone(), image);
        self.until(|queue| {
            let is_mine = queue.at.is_none() && queue.first() == Some(place.number);
            if is_mine {
                queue.at = Some((image, progress.subscribe()));
            }
            is_mine
        })
        .await;
        Turn(self.0.clone())
    }

    /// Returns when somebody comes before the one whose turn it is.
    async fn overtaken(&self) {
        self.until(|queue| queue.is_overtaken()).await;
    }

    /// Returns when whoever has the turn waits for the link, and nothing came for a while although others want the turn.
    async fn in_vain(&self, progress: &watch::Sender<Progress>) {
        let (mut seen, mut since) = (0, Instant::now());
        loop {
            self.until(|queue| !queue.waiting.is_empty()).await;
            let (came, stuck) = {
                let progress = progress.borrow();
                (progress.done.saturating_add(progress.taken), progress.stuck)
            };
            if stuck == 0 || came != seen {
                (seen, since) = (came, Instant::now());
            }
            if since.elapsed() >= PATIENCE {
                return;
            }
            sleep(LOOK).await;
        }
    }

    /// Lets the others try, for so long at most.
    async fn rest(&self, time: Duration) {
        tokio::select! {
            () = sleep(time) => {}
            () = self.until(|queue| queue.at.is_none() && queue.waiting.is_empty()) => {}
            () = async { sleep(REST).await; self.carried().await } => {}
        }
    }

    /// Returns when the link has carried something for whoever has the turn.
    async fn carried(&self) {
        let look = || self.0.queue().at.as_ref().map(|(image, progress)| (*image, progress.borrow().done));
        let mut before = look();
        loop {
            sleep(LOOK).await;
            let now = look();
            if let (Some((image, done)), Some((same, more))) = (before, now)
                && image == same
                && more > done
            {
                return;
            }
            before = now;
        }
    }

    async fn until(&self, mut is_so: impl FnMut(&mut Queue) -> bool) {
        loop {
            let changed = self.0.changed.notified();
            if is_so(&mut self.0.queue()) {
                return;
            }
            changed.await;
        }
    }
}

impl Inner {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place among those who wait.
struct Place {
    of: Arc<Inner>,
    number: u64,
}

impl Place {
    fn new(of: Arc<Inner>, image: Digest) -> Self {
        let number = {
            let mut queue = of.queue();
            queue.came += 1;
            let number = queue.came;
            queue.waiting.insert(number, image);
            number
        };
        of.changed.notify_waiters();
        Self { of, number }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.of.queue().waiting.remove(&self.number);
        self.of.changed.notify_waiters();
    }
}

/// It is somebody's turn.
struct Turn(Arc<Inner>);

impl Drop for Turn {
    fn drop(&mut self) {
        self.0.queue().at = None;
        self.0.changed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

    use tokio::time::timeout;

    use super::*;

    fn image(text: &str) -> Digest {
        Digest::of(text.as_bytes())
    }

    /// Brings an image within so many seconds of its turns; how long that took in all.
    async fn bring(turns: Turns, name: &'static str, seconds: u64, stuck: u32) -> (u64, usize) {
        let (began, tries) = (Instant::now(), AtomicUsize::new(0));
        let progress = watch::Sender::new(Progress { stuck, ..Progress::default() });
        let attempt = || async {
            tries.fetch_add(1, Relaxed);
            sleep(Duration::from_secs(seconds)).await;
        };
        turns.take(image(name), &progress, attempt).await;
        (began.elapsed().as_secs(), tries.into_inner())
    }

    #[tokio::test(start_paused = true)]
    async fn one_after_the_other_in_the_order_in_which_they_came() {
        let turns = Turns::default();
        let all = ["a", "b", "c"].map(|name| bring(turns.clone(), name, 100, 0));
        let [a, b, c] = all;
        assert_eq!(tokio::join!(a, b, c), ((100, 1), (200, 1), (300, 1)));
    }

    #[tokio::test(start_paused = true)]
    async fn what_an_app_waits_for_overtakes_what_is_for_later() {
        let turns = Turns::default();
        let fix = async {
            sleep(Duration::from_secs(10)).await;
            turns.set_urgent([image("fix"), image("more")].into());
            tokio::join!(bring(turns.clone(), "fix", 20, 0), bring(turns.clone(), "more", 20, 0))
        };
        let later = bring(turns.clone(), "later", 100, 0);
        assert_eq!(tokio::join!(later, fix), ((150, 2), ((20, 1), (40, 1))));
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_for_the_link_lets_others_try_and_comes_again() {
        let turns = Turns::default();
        turns.set_urgent([image("waits")].into());
        let (waits, other) = tokio::join!(bring(turns.clone(), "waits", 3600, 1), bring(turns.clone(), "other", 50, 0));
        assert_eq!(other, (80, 1), "after its patience was at an end");
        assert_eq!(waits, (3600 + 80, 2), "as soon as the turn is free");
        // Alone it needs no patience.
        assert_eq!(bring(turns.clone(), "waits", 3600, 1).await, (3600, 1));
    }

    /// How often an image that waits for the link gets a turn in an hour in which another one comes, over the link or not.
    async fn tries_beside(link: u64) -> usize {
        let (turns, tries) = (Turns::default(), AtomicUsize::new(0));
        turns.set_urgent([image("waits")].into());
        let waits = async {
            let stuck = watch::Sender::new(Progress { stuck: 1, ..Progress::default() });
            let attempt = || async {
                tries.fetch_add(1, Relaxed);
                std::future::pending::<()>().await
            };
            turns.take(image("waits"), &stuck, attempt).await;
        };
        let other = async {
            let progress = watch::Sender::new(Progress::default());
            let attempt = || async {
                loop {
                    sleep(Duration::from_secs(1)).await;
                    progress.send_modify(|progress| progress.done += link);
                }
            };
            turns.take::<(), _>(image("other"), &progress, attempt).await;
        };
        let both = async { tokio::join!(waits, other) };
        timeout(Duration::from_secs(3600), both).await.expect_err("neither ends");
        tries.into_inner()
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_for_the_link_comes_soon_when_it_carries_something() {
        assert_eq!((tries_beside(1).await, tries_beside(0).await), (38, 9));
    }

    #[tokio::test(start_paused = true)]
    async fn all_that_wait_for_the_link_take_turns() {
        let turns = Turns::default();
        let all = ["a", "b"].map(|name| timeout(Duration::from_secs(3600), bring(turns.clone(), name, 7200, 1)));
        let [a, b] = all;
        let (a, b) = tokio::join!(a, b);
        assert!(a.is_err() && b.is_err());
        // Both were given up: the turn is free.
        assert_eq!(bring(turns.clone(), "c", 5, 0).await, (5, 1));
    }
}
