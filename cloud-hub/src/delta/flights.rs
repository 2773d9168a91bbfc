//! Work that is done once, however many ask for it at the same time.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Arc, Mutex};

use tokio::sync::watch;

use super::error::{DeltaError, Shared};
use crate::access::lock;

type Waiting<T> = watch::Receiver<Option<Shared<T>>>;

/// What is under way, by key. Who asked first may go away: the work goes on.
pub(super) struct Flights<K, T>(Arc<Mutex<BTreeMap<K, Waiting<T>>>>);

impl<K, T> Default for Flights<K, T> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<K, T> Flights<K, T>
where
    K: Ord + Clone + Send + 'static,
    T: Clone + Send + Sync + 'static,
{
    /// What `work` gives, or the same work that is under way for this key.
    pub(super) async fn join<W>(&self, key: K, work: impl FnOnce() -> W) -> Shared<T>
    where
        W: Future<Output = Shared<T>> + Send + 'static,
    {
        let mut waiting = self.begin(key, work);
        match waiting.wait_for(Option::is_some).await {
            Ok(answer) => answer.clone().unwrap_or_else(|| Err(Arc::new(DeltaError::Broken))),
            Err(_) => Err(Arc::new(DeltaError::Broken)),
        }
    }

    fn begin<W>(&self, key: K, work: impl FnOnce() -> W) -> Waiting<T>
    where
        W: Future<Output = Shared<T>> + Send + 'static,
    {
        let mut flights = lock(&self.0);
        if let Some(waiting) = flights.get(&key) {
            return waiting.clone();
        }
        let (told, waiting) = watch::channel(None);
        flights.insert(key.clone(), waiting.clone());
        let landing = Landing { flights: Arc::clone(&self.0), key };
        let work = work();
        tokio::spawn(async move {
            let answer = work.await;
            drop(landing);
            told.send_replace(Some(answer));
        });
        waiting
    }
}

/// Takes the work out of the table, even when it broke.
struct Landing<K: Ord, T> {
    flights: Arc<Mutex<BTreeMap<K, Waiting<T>>>>,
    key: K,
}

impl<K: Ord, T> Drop for Landing<K, T> {
    fn drop(&mut self) {
        lock(&self.flights).remove(&self.key);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[tokio::test]
    async fn many_askers_are_one_work_and_the_next_one_is_another() {
        let flights: Arc<Flights<u8, u32>> = Arc::default();
        let count = Arc::new(AtomicU32::new(0));
        let ask = || {
            let (flights, count) = (flights.clone(), count.clone());
            async move {
                let work = || async move {
                    tokio::task::yield_now().await;
                    Ok(count.fetch_add(1, Ordering::SeqCst))
                };
                flights.join(7, work).await
            }
        };
        let asked: Vec<_> = (0..100).map(|_| tokio::spawn(ask())).collect();
        for one in asked {
            assert_eq!(one.await.unwrap().unwrap(), 0);
        }
        assert_eq!(ask().await.unwrap(), 1);
        assert!(lock(&flights.0).is_empty());
    }

    #[tokio::test]
    async fn work_goes_on_without_whoever_asked_and_may_break() {
        let flights: Arc<Flights<u8, u32>> = Arc::default();
        let (go, wait) = tokio::sync::oneshot::channel::<()>();
        let first = tokio::spawn({
            let flights = flights.clone();
            async move {
                let work = || async move {
                    let _gone = wait.await;
                    Ok(1)
                };
                flights.join(1, work).await
            }
        });
        while lock(&flights.0).is_empty() {
            tokio::task::yield_now().await;
        }
        first.abort();
        let second = flights.join(1, || async { Ok(2) });
        go.send(()).unwrap();
        assert_eq!(second.await.unwrap(), 1, "the first work");
        let broken = flights.join(2, || async { panic!("broken on purpose") }).await;
        assert!(broken.is_err_and(|error| matches!(*error, DeltaError::Broken)));
        assert!(lock(&flights.0).is_empty());
    }
}
