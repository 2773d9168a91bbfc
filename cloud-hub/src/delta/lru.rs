//! A table in memory that keeps what was used last, within a bound.

use std::collections::BTreeMap;

/// Values by key; together they cost at most so much.
#[derive(Debug)]
pub(super) struct Lru<K, V> {
    entries: BTreeMap<K, Entry<V>>,
    max: usize,
    cost: usize,
    uses: u64,
}

#[derive(Debug)]
struct Entry<V> {
    value: V,
    cost: usize,
    used: u64,
}

impl<K: Ord + Clone, V: Clone> Lru<K, V> {
    /// A table of values that cost at most `max` together.
    pub(super) const fn new(max: usize) -> Self {
        Self { entries: BTreeMap::new(), max, cost: 0, uses: 0 }
    }

    /// The value of `key`, which is the last one used now.
    pub(super) fn get(&mut self, key: &K) -> Option<V> {
        self.uses += 1;
        let entry = self.entries.get_mut(key)?;
        entry.used = self.uses;
        Some(entry.value.clone())
    }

    /// Puts a value in; those used longest ago go. One that costs more than all may is not kept.
    pub(super) fn put(&mut self, key: K, value: V, cost: usize) {
        self.remove(&key);
        if cost > self.max {
            return;
        }
        while self.cost + cost > self.max {
            let oldest = self.entries.iter().min_by_key(|(_, entry)| entry.used).map(|(key, _)| key.clone());
            match oldest {
                Some(oldest) => self.remove(&oldest),
                None => break,
            }
        }
        self.uses += 1;
        self.cost += cost;
        self.entries.insert(key, Entry { value, cost, used: self.uses });
    }

    /// Forgets a value.
    pub(super) fn remove(&mut self, key: &K) {
        if let Some(entry) = self.entries.remove(key) {
            self.cost -= entry.cost;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_used_longest_ago_goes() {
        let mut lru = Lru::new(10);
        for key in 0..5 {
            lru.put(key, key, 2);
        }
        assert_eq!(lru.get(&0), Some(0));
        lru.put(9, 9, 4);
        assert_eq!([0, 1, 2, 3, 9].map(|key| lru.get(&key)), [Some(0), None, None, Some(3), Some(9)]);
        lru.put(8, 8, 11);
        assert_eq!((lru.get(&8), lru.cost), (None, 10));
        lru.put(9, 10, 1);
        lru.remove(&0);
        assert_eq!((lru.get(&9), lru.cost), (Some(10), 5));
    }
}
