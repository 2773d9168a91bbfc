//! Connections that have not said who they are yet: a bounded number, and when it is full the source with the most of them
//! loses its oldest one. So a flood from one place pushes out itself, and an honest client still gets in.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::doorman::Source;
use super::latch::Latch;

/// All of them.
pub struct HalfOpen {
    max: usize,
    table: Mutex<Table>,
}

#[derive(Default)]
struct Table {
    next: u64,
    count: usize,
    by_source: BTreeMap<Source, BTreeMap<u64, Arc<Latch>>>,
}

/// A place among them; given back when dropped.
pub struct Place<'a> {
    all: &'a HalfOpen,
    source: Source,
    number: u64,
    evicted: Arc<Latch>,
}

impl HalfOpen {
    pub fn new(max: usize) -> Self {
        Self { max: max.max(1), table: Mutex::default() }
    }

    /// Enters a connection from `source`, which may evict another one.
    pub fn enter(&self, source: Source) -> Place<'_> {
        let evicted = Arc::new(Latch::new());
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        if table.count >= self.max {
            table.evict();
        }
        let number = table.next;
        table.next += 1;
        table.count += 1;
        table.by_source.entry(source).or_default().insert(number, evicted.clone());
        drop(table);
        Place { all: self, source, number, evicted }
    }
}

impl Table {
    fn evict(&mut self) {
        let Some(source) = self.by_source.iter().max_by_key(|(_, places)| places.len()).map(|(source, _)| *source) else {
            return;
        };
        let oldest = self.by_source.get(&source).and_then(|places| places.keys().next().copied());
        if let Some(place) = oldest.and_then(|number| self.remove(source, number)) {
            place.set();
        }
    }

    fn remove(&mut self, source: Source, number: u64) -> Option<Arc<Latch>> {
        let places = self.by_source.get_mut(&source)?;
        let place = places.remove(&number)?;
        if places.is_empty() {
            self.by_source.remove(&source);
        }
        self.count -= 1;
        Some(place)
    }
}

impl Place<'_> {
    /// Returns when another connection needs the place.
    pub async fn evicted(&self) {
        self.evicted.wait().await;
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.all.table.lock().unwrap_or_else(PoisonError::into_inner).remove(self.source, self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::IpAddr;

    #[test]
    fn the_source_with_the_most_loses_its_oldest() {
        let [flood, honest] = ["192.0.2.1", "192.0.2.2"].map(|text| Source::from(text.parse::<IpAddr>().expect("address")));
        let all = HalfOpen::new(4);
        let first = all.enter(honest);
        let floods: Vec<Place<'_>> = (0..10).map(|_| all.enter(flood)).collect();
        let second = all.enter(honest);
        assert!(!first.evicted.is_set() && !second.evicted.is_set());
        assert_eq!(floods.iter().filter(|place| !place.evicted.is_set()).count(), 2);
        assert!(!floods[9].evicted.is_set() && floods[0].evicted.is_set());
        drop((first, second, floods));
        let table = all.table.lock().expect("table");
        assert_eq!((table.count, table.by_source.len()), (0, 0));
    }
}
