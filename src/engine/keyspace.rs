//! One numbered database: keys, their values, their expiry.

use super::cluster::keys::SlotKeys;
use super::dict::{Chains, Dict, HashSeed};
use super::memory;
use super::value::Value;
use crate::base::{Bytes, Millis, Rng};

/// What stands behind a key.
#[derive(Clone, Debug)]
pub struct Slot {
    pub value: Value,
    /// 0: never.
    expires_at: u64,
    /// LRU: seconds of the last access; LFU: minutes of the last decay in the upper 16 bits, the counter below.
    pub access: u32,
    /// What it takes, in units of 8 bytes, while the database tracks that.
    measured: u32,
}

impl Slot {
    pub fn expires_at(&self) -> Option<Millis> {
        (self.expires_at != 0).then_some(Millis(self.expires_at))
    }

    /// Redis: a key is gone once the clock is *past* its moment.
    pub fn is_expired(&self, now: Millis) -> bool {
        self.expires_at != 0 && now.0 > self.expires_at
    }
}

/// One database. Does not expire by itself: `Call` does, because expiry is also propagated and announced.
#[derive(Clone, Debug)]
pub struct Db {
    slots: Dict<Slot>,
    /// The keys that have an expiry, for the sampling passes of active expiry and eviction.
    volatile: Dict<()>,
    /// Where active expiry goes on with its next pass, an index into `volatile`.
    pub expire_cursor: usize,
    /// The sum of `measured` while it is kept up to date.
    tracked: Option<u64>,
    /// Which keys a hash slot has: kept in cluster mode only.
    slot_keys: Option<Box<SlotKeys>>,
    /// The earliest expiry of all keys: `NEVER` if none has one, 0 while unknown, because the key that had it changed.
    earliest: u64,
}

const NEVER: u64 = u64::MAX;

impl Db {
    pub fn new(seed: HashSeed) -> Db {
        Db {
            slots: Dict::new(seed),
            volatile: Dict::new(seed),
            expire_cursor: 0,
            tracked: None,
            slot_keys: None,
            earliest: NEVER,
        }
    }

    /// As DBSIZE counts: expired keys that nobody has found yet are among them.
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// Looks without a trace: no expiry, no access time. None also if the key is past its expiry.
    pub fn peek(&self, key: &[u8], now: Millis) -> Option<&Slot> {
        self.slots.get(key).filter(|slot| !slot.is_expired(now))
    }

    /// The slot as it stands, expired or not.
    pub fn slot(&self, key: &[u8]) -> Option<&Slot> {
        self.slots.get(key)
    }

    pub fn slot_mut(&mut self, key: &[u8]) -> Option<&mut Slot> {
        self.slots.get_mut(key)
    }

    /// Index form of a look-up, for callers that decide between looking and removing.
    pub fn position(&self, key: &[u8]) -> Option<usize> {
        self.slots.position(key)
    }

    pub fn at(&self, position: usize) -> &Slot {
        self.slots.nth(position).expect("positions come from `position`, with nothing removed since").1
    }

    pub fn at_mut(&mut self, position: usize) -> &mut Slot {
        self.slots.nth_mut(position).expect("positions come from `position`, with nothing removed since").1
    }

    /// Puts a value under `key`. With `keep_ttl` an existing expiry stays, else it is dropped.
    pub fn insert(&mut self, key: &Bytes, value: Value, access: u32, keep_ttl: bool) -> Option<Value> {
        let hash = match self.slots.find(key) {
            Ok(position) => {
                self.at_mut(position).access = access;
                return Some(self.replace(position, value, keep_ttl));
            }
            Err(hash) => hash,
        };
        if let Some(index) = &mut self.slot_keys {
            index.add(key);
        }
        self.slots.push(key.clone(), Slot { value, expires_at: 0, access, measured: 0 }, hash);
        None
    }

    /// Puts another value where one is; the old one.
    pub fn replace(&mut self, position: usize, value: Value, keep_ttl: bool) -> Value {
        let (key, slot) = self.slots.nth_mut(position).expect("positions come from `position`");
        if !keep_ttl && slot.expires_at != 0 {
            if std::mem::take(&mut slot.expires_at) == self.earliest {
                self.earliest = 0;
            }
            self.volatile.remove(key);
        }
        std::mem::replace(&mut slot.value, value)
    }

    pub fn remove(&mut self, key: &[u8]) -> Option<Slot> {
        let mut slot = self.slots.remove(key)?;
        if let Some(index) = &mut self.slot_keys {
            index.remove(key);
        }
        if let Some(sum) = &mut self.tracked {
            *sum -= u64::from(std::mem::take(&mut slot.measured));
        }
        if slot.expires_at != 0 {
            if slot.expires_at == self.earliest {
                self.earliest = 0;
            }
            self.volatile.remove(key);
        }
        Some(slot)
    }

    /// Sets or drops the expiry of an existing key; false if there is no such key.
    pub fn set_expiry(&mut self, key: &[u8], at: Option<Millis>) -> bool {
        let Some(position) = self.slots.position(key) else { return false };
        let (name, slot) = self.slots.nth_mut(position).expect("just found");
        // Redis stores no moment before 1: 0 is our "never", and anything that early has long passed.
        let moment = at.map_or(0, |at| at.0.max(1));
        match (slot.expires_at != 0, moment != 0) {
            (false, true) => drop(self.volatile.insert(name.clone(), ())),
            (true, false) => drop(self.volatile.remove(key)),
            _ => {}
        }
        let before = std::mem::replace(&mut slot.expires_at, moment);
        if moment != 0 && moment <= self.earliest {
            self.earliest = moment;
        } else if before != 0 && before == self.earliest {
            self.earliest = 0;
        }
        true
    }

    pub fn clear(&mut self) {
        self.slots.clear();
        self.volatile.clear();
        self.earliest = NEVER;
        self.tracked = self.tracked.map(|_| 0);
        if let Some(index) = &mut self.slot_keys {
            index.clear();
        }
    }

    /// Keeps from now on which keys each hash slot has. O(keys).
    pub fn index_slots(&mut self) {
        let mut index = SlotKeys::default();
        self.slots.iter().for_each(|(key, _)| index.add(key));
        self.slot_keys = Some(Box::new(index));
    }

    /// Keys of a hash slot; 0 outside of cluster mode.
    pub fn keys_in_slot(&self, slot: u16) -> usize {
        self.slot_keys.as_ref().map_or(0, |index| index.count(slot))
    }

    /// The newest first; none outside of cluster mode.
    pub fn keys_of_slot(&self, slot: u16) -> impl Iterator<Item = &Bytes> {
        self.slot_keys.iter().flat_map(move |index| index.of(slot))
    }

    /// Hash slots that have a key; none outside of cluster mode.
    pub fn slots_with_keys(&self) -> Vec<u16> {
        self.slot_keys.as_ref().map_or_else(Vec::new, |index| index.slots())
    }

    /// Keeps the memory that the keys take up to date from now on.
    pub fn track_memory(&mut self) {
        if self.tracked.is_some() {
            return;
        }
        let mut sum = 0;
        for index in 0..self.slots.len() {
            let (key, slot) = self.slots.nth_mut(index).expect("below the length");
            slot.measured = units(memory::usage(key, slot, memory::SAMPLES));
            sum += u64::from(slot.measured);
        }
        self.tracked = Some(sum);
    }

    pub fn forget_memory(&mut self) {
        self.tracked = None;
    }

    /// Buckets of the table of keys.
    pub fn buckets(&self) -> usize {
        self.slots.buckets()
    }

    /// Whether one key more calls for a larger table.
    pub fn is_full(&self) -> bool {
        self.slots.is_full()
    }

    pub fn put_off_growth(&mut self, held: bool) {
        self.slots.put_off_growth(held);
    }

    /// The tables of the keys, and of those that expire.
    pub fn chains(&self) -> [Chains; 2] {
        [self.slots.chains(), self.volatile.chains()]
    }

    /// See `Dict::warm`.
    pub fn warm<'a>(&self, keys: impl Iterator<Item = &'a [u8]>) {
        self.slots.warm(keys);
    }

    /// Notes what `key` takes after a change, if that is kept up to date.
    pub fn measure(&mut self, key: &[u8]) {
        let Some(sum) = &mut self.tracked else { return };
        let Some(slot) = self.slots.get_mut(key) else { return };
        let now = units(memory::usage(key, slot, memory::SAMPLES));
        *sum = *sum - u64::from(slot.measured) + u64::from(now);
        slot.measured = now;
    }

    /// Bytes that the keys and their tables take. O(keys) unless it is kept up to date.
    pub fn used_memory(&self) -> u64 {
        let measure = |(key, slot): (&Bytes, &Slot)| u64::from(units(memory::usage(key, slot, memory::SAMPLES)));
        let keys = self.tracked.unwrap_or_else(|| self.iter().map(measure).sum());
        keys * 8 + memory::tables(self)
    }

    /// When the first key expires. O(keys with an expiry) only after the one that was first has changed.
    pub fn earliest_expiry(&mut self) -> Option<Millis> {
        if self.earliest == 0 {
            let names = self.volatile.iter().filter_map(|(name, ())| self.slots.get(name));
            self.earliest = names.map(|slot| slot.expires_at).min().unwrap_or(NEVER);
        }
        (self.earliest != NEVER).then_some(Millis(self.earliest))
    }

    /// Keys that have an expiry.
    pub fn volatile_len(&self) -> usize {
        self.volatile.len()
    }

    pub fn volatile_at(&self, index: usize) -> Option<&Bytes> {
        self.volatile.nth(index).map(|(key, ())| key)
    }

    pub fn random_volatile(&self, rng: &mut Rng) -> Option<&Bytes> {
        self.volatile.random(rng).map(|(key, ())| key)
    }

    pub fn random(&self, rng: &mut Rng) -> Option<(&Bytes, &Slot)> {
        self.slots.random(rng)
    }

    /// The key at `index` of any order that holds until the next change.
    pub fn nth(&self, index: usize) -> Option<(&Bytes, &Slot)> {
        self.slots.nth(index)
    }

    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (&Bytes, &Slot)> + ExactSizeIterator {
        self.slots.iter()
    }

    pub fn scan<'a>(&'a self, cursor: u64, visit: impl FnMut(&'a Bytes, &'a Slot)) -> u64 {
        self.slots.scan(cursor, visit)
    }

    /// Makes room for `keys` more, `volatile` of them with an expiry: RESIZEDB of an RDB file.
    pub fn reserve(&mut self, keys: usize, volatile: usize) {
        self.slots.reserve(keys);
        self.volatile.reserve(volatile);
    }
}

/// Allocations come in multiples of 8 bytes.
fn units(bytes: usize) -> u32 {
    u32::try_from(bytes / 8).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::value::Str;

    #[test]
    fn the_earliest_expiry_is_that_of_a_fresh_look() {
        let mut rng = Rng::new(9);
        let mut db = Db::new(HashSeed(1, 2));
        for _ in 0..5000 {
            let key = Bytes::from(format!("key:{}", rng.below(30)));
            match rng.below(8) {
                0 => drop(db.remove(&key)),
                1 => drop(db.set_expiry(&key, None)),
                2..5 => drop(db.set_expiry(&key, Some(Millis(rng.below(40) as u64)))),
                5 if rng.below(50) == 0 => db.clear(),
                n => drop(db.insert(&key, Value::String(Str::new(key.clone())), 0, n == 6)),
            }
            let fresh = db.iter().filter_map(|(_, slot)| slot.expires_at()).min();
            assert_eq!(db.earliest_expiry(), fresh);
        }
    }
}
