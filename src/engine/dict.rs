//! The hash table behind keyspaces, sets and hashes.
//!
//! Entries stand densely in one vector (so a random element is one index away and a clone is one copy); buckets are
//! chains of indexes into it. `scan` walks buckets in reverse-binary order of the cursor, as Redis' dict does: an
//! element that is there from the first to the last call is returned at least once, however often the table was resized
//! in between. Hashing is SipHash-1-3, keyed by the instance's seed: the same on every machine, not guessable by clients.

use crate::base::{Bytes, Rng, sip};
use std::cell::Cell;

const END: u32 = u32::MAX;
const SMALLEST: usize = 4;

/// The key of the hash function.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HashSeed(pub u64, pub u64);

#[derive(Clone, Debug)]
struct Entry<V> {
    key: Bytes,
    value: V,
    hash: u32,
    next: u32,
}

impl<V> Entry<V> {
    /// Reads a little of both of its ends: the key may stand in another line of the cache than the hash.
    fn read(&self) -> u32 {
        self.hash.wrapping_add(u32::from(self.key.first().copied().unwrap_or(0)))
    }
}

/// A map from byte strings to `V` with Redis' scanning guarantee. At most 2^32 - 1 entries.
#[derive(Clone, Debug)]
pub struct Dict<V> {
    entries: Vec<Entry<V>>,
    buckets: Vec<u32>,
    seed: HashSeed,
    /// Where the key looked up last stands, or stood: a command looks the same key up several times, and the next command
    /// often that key again. It is a guess, believed only if that entry has the key.
    recent: Cell<u32>,
    /// More buckets would take too much memory just now, see `put_off_growth`.
    held: bool,
}

/// How the entries of a table lie in its buckets.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Chains {
    pub buckets: usize,
    pub entries: usize,
    /// How many buckets have so many entries, from none on.
    pub lengths: Vec<usize>,
}

/// With more entries to a bucket a table grows, whatever that takes (`HASHTABLE_MAX_LOAD_FACTOR`).
const MAX_LOAD: f64 = 1.618;

impl<V> Dict<V> {
    pub fn new(seed: HashSeed) -> Self {
        Dict { entries: Vec::new(), buckets: Vec::new(), seed, recent: Cell::new(0), held: false }
    }

    pub fn seed(&self) -> HashSeed {
        self.seed
    }

    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// How many buckets there are: what DEBUG HTSTATS and the memory model count.
    pub fn buckets(&self) -> usize {
        self.buckets.len()
    }

    /// Whether the next entry calls for more buckets.
    pub fn is_full(&self) -> bool {
        !self.buckets.is_empty() && self.entries.len() >= self.buckets.len()
    }

    /// Lets the table stay as it is while it has no more than 1.6 entries to a bucket: for as long as memory is short.
    pub fn put_off_growth(&mut self, held: bool) {
        self.held = held;
    }

    /// O(buckets + entries).
    pub fn chains(&self) -> Chains {
        let mut chains = Chains { buckets: self.buckets.len(), entries: self.entries.len(), lengths: Vec::new() };
        for head in &self.buckets {
            let (mut at, mut length) = (*head, 0);
            while at != END {
                (at, length) = (self.entries[at as usize].next, length + 1);
            }
            if chains.lengths.len() <= length {
                chains.lengths.resize(length + 1, 0);
            }
            chains.lengths[length] += 1;
        }
        chains
    }

    fn hash(&self, key: &[u8]) -> u32 {
        sip::hash(self.seed.0, self.seed.1, key) as u32
    }

    /// Where `key` stands in the dense order, for `nth` and `nth_mut`; valid until the next insert or remove.
    pub fn position(&self, key: &[u8]) -> Option<usize> {
        if self.entries.is_empty() {
            return None;
        }
        self.position_of_recent(key).or_else(|| self.position_hashed(key, self.hash(key)))
    }

    #[inline]
    fn position_of_recent(&self, key: &[u8]) -> Option<usize> {
        let at = self.recent.get() as usize;
        self.entries.get(at).is_some_and(|entry| *entry.key == *key).then_some(at)
    }

    fn position_hashed(&self, key: &[u8], hash: u32) -> Option<usize> {
        if self.buckets.is_empty() {
            return None;
        }
        let mut at = self.buckets[hash as usize & (self.buckets.len() - 1)];
        while at != END {
            let entry = &self.entries[at as usize];
            if entry.hash == hash && *entry.key == *key {
                self.recent.set(at);
                return Some(at as usize);
            }
            at = entry.next;
        }
        None
    }

    /// Brings what a look-up of each of `keys` will read into the processor's cache. The reads do not depend on each other,
    /// so their misses overlap, where look-ups one after the other would wait for each. Changes nothing, answers nothing; for a
    /// small table, which is in the cache anyway, it does nothing.
    pub fn warm<'a>(&self, keys: impl Iterator<Item = &'a [u8]>) {
        const LARGE: usize = 4096;
        if self.entries.len() < LARGE {
            return;
        }
        let mask = self.buckets.len() - 1;
        let heads: smallvec::SmallVec<[u32; 64]> =
            keys.map(|key| self.buckets[self.hash(key) as usize & mask]).filter(|head| *head != END).collect();
        let read = heads.iter().fold(0, |sum: u32, head| sum.wrapping_add(self.entries[*head as usize].read()));
        std::hint::black_box(read);
    }

    pub fn contains(&self, key: &[u8]) -> bool {
        self.position(key).is_some()
    }

    pub fn get(&self, key: &[u8]) -> Option<&V> {
        self.position(key).map(|at| &self.entries[at].value)
    }

    pub fn get_mut(&mut self, key: &[u8]) -> Option<&mut V> {
        self.position(key).map(|at| &mut self.entries[at].value)
    }

    /// Where `key` stands, as `position`. Err: it is not there; its hash, for `push`.
    pub fn find(&self, key: &[u8]) -> Result<usize, u32> {
        if let Some(at) = self.position_of_recent(key) {
            return Ok(at);
        }
        let hash = self.hash(key);
        self.position_hashed(key, hash).ok_or(hash)
    }

    /// Adds `key`, which `find` has just not found.
    pub fn push(&mut self, key: Bytes, value: V, hash: u32) {
        let held = || self.held && self.entries.len() as f64 <= self.buckets.len() as f64 * MAX_LOAD;
        if self.entries.len() >= self.buckets.len() && (self.buckets.is_empty() || !held()) {
            self.resize((self.entries.len() + 1).next_power_of_two().max(SMALLEST));
        }
        let bucket = hash as usize & (self.buckets.len() - 1);
        let next = std::mem::replace(&mut self.buckets[bucket], self.entries.len() as u32);
        self.recent.set(self.entries.len() as u32);
        self.entries.push(Entry { key, value, hash, next });
    }

    /// Sets `key` to `value`; the value that was there before, if any.
    pub fn insert(&mut self, key: Bytes, value: V) -> Option<V> {
        match self.find(&key) {
            Ok(at) => Some(std::mem::replace(&mut self.entries[at].value, value)),
            Err(hash) => {
                self.push(key, value, hash);
                None
            }
        }
    }

    pub fn remove(&mut self, key: &[u8]) -> Option<V> {
        self.remove_entry(key).map(|(_, value)| value)
    }

    pub fn remove_entry(&mut self, key: &[u8]) -> Option<(Bytes, V)> {
        let at = self.position(key)?;
        let (hash, next) = (self.entries[at].hash, self.entries[at].next);
        self.relink(hash, at as u32, next);
        let last = self.entries.len() - 1;
        if at != last {
            let moved = self.entries[last].hash;
            self.relink(moved, last as u32, at as u32);
        }
        let entry = self.entries.swap_remove(at);
        if self.buckets.len() > SMALLEST && self.entries.len() * 8 < self.buckets.len() {
            self.resize((self.entries.len() * 2).next_power_of_two().max(SMALLEST));
        }
        Some((entry.key, entry.value))
    }

    /// Makes whatever points at entry `from` in the chain of `hash` point to `to`.
    fn relink(&mut self, hash: u32, from: u32, to: u32) {
        let bucket = hash as usize & (self.buckets.len() - 1);
        if self.buckets[bucket] == from {
            self.buckets[bucket] = to;
            return;
        }
        let mut at = self.buckets[bucket] as usize;
        while self.entries[at].next != from {
            at = self.entries[at].next as usize;
        }
        self.entries[at].next = to;
    }

    fn resize(&mut self, buckets: usize) {
        self.buckets.clear();
        self.buckets.resize(buckets, END);
        self.buckets.shrink_to(buckets);
        for (at, entry) in self.entries.iter_mut().enumerate() {
            let bucket = entry.hash as usize & (buckets - 1);
            entry.next = std::mem::replace(&mut self.buckets[bucket], at as u32);
        }
        if self.entries.capacity() > self.entries.len() * 4 {
            self.entries.shrink_to(self.entries.len() * 2);
        }
    }

    /// Makes room for `more` entries at once.
    pub fn reserve(&mut self, more: usize) {
        let wanted = (self.entries.len() + more).next_power_of_two().max(SMALLEST);
        self.entries.reserve(more);
        if wanted > self.buckets.len() && !self.held {
            self.resize(wanted);
        }
    }

    pub fn clear(&mut self) {
        self.entries = Vec::new();
        self.buckets = Vec::new();
    }

    /// All entries, in an order that depends only on the operations done so far.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (&Bytes, &V)> + ExactSizeIterator {
        self.entries.iter().map(|entry| (&entry.key, &entry.value))
    }

    pub fn keys(&self) -> impl DoubleEndedIterator<Item = &Bytes> + ExactSizeIterator {
        self.entries.iter().map(|entry| &entry.key)
    }

    pub fn values_mut(&mut self) -> impl Iterator<Item = &mut V> {
        self.entries.iter_mut().map(|entry| &mut entry.value)
    }

    /// A uniformly random entry; None if there is none. O(1).
    pub fn random(&self, rng: &mut Rng) -> Option<(&Bytes, &V)> {
        let entry = self.entries.get(rng.below(self.entries.len()))?;
        Some((&entry.key, &entry.value))
    }

    /// The entry at `index` of the dense order, 0..len.
    pub fn nth(&self, index: usize) -> Option<(&Bytes, &V)> {
        self.entries.get(index).map(|entry| (&entry.key, &entry.value))
    }

    pub fn nth_mut(&mut self, index: usize) -> Option<(&Bytes, &mut V)> {
        self.entries.get_mut(index).map(|entry| (&entry.key, &mut entry.value))
    }

    /// Visits one bucket and returns the cursor of the next; 0 when all have been visited. Start with 0.
    pub fn scan<'a>(&'a self, cursor: u64, mut visit: impl FnMut(&'a Bytes, &'a V)) -> u64 {
        if self.buckets.is_empty() {
            return 0;
        }
        let mask = self.buckets.len() as u64 - 1;
        let mut at = self.buckets[(cursor & mask) as usize];
        while at != END {
            let entry = &self.entries[at as usize];
            visit(&entry.key, &entry.value);
            at = entry.next;
        }
        // Counts up from the highest bit of the mask: buckets of a larger or smaller table that cover the same hashes
        // are then either wholly before the cursor or wholly behind it.
        (cursor | !mask).reverse_bits().wrapping_add(1).reverse_bits()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn key(n: u64) -> Bytes {
        Bytes::from(format!("key:{n}"))
    }

    #[test]
    fn it_agrees_with_a_map_over_random_operations() {
        let mut rng = Rng::new(42);
        let mut dict = Dict::new(HashSeed(1, 2));
        let mut model = std::collections::BTreeMap::new();
        for step in 0..20_000u64 {
            let k = key(rng.below(300) as u64);
            if rng.below(3) == 0 {
                assert_eq!(dict.remove(&k), model.remove(&k));
            } else {
                assert_eq!(dict.insert(k.clone(), step), model.insert(k, step));
            }
            assert_eq!(dict.len(), model.len());
        }
        assert!(model.iter().all(|(k, v)| dict.get(k) == Some(v)));
    }

    #[test]
    fn scan_finds_what_stays_while_the_table_grows_and_shrinks() {
        for seed in 0..20 {
            let mut rng = Rng::new(seed);
            let mut dict = Dict::new(HashSeed(seed, 9));
            (0..100).for_each(|n| assert!(dict.insert(key(n), ()).is_none()));
            let mut seen = BTreeSet::new();
            let mut cursor = 0;
            loop {
                cursor = dict.scan(cursor, |k, ()| {
                    seen.insert(k.clone());
                });
                if cursor == 0 {
                    break;
                }
                match rng.below(4) {
                    0 => {
                        for n in 1000..1000 + rng.below(900) as u64 {
                            dict.insert(key(n), ());
                        }
                    }
                    1 => {
                        for n in 1000..1900 {
                            dict.remove(&key(n));
                        }
                    }
                    _ => {}
                }
            }
            assert!((0..100).all(|n| seen.contains(&key(n))), "seed {seed}");
        }
    }
}
