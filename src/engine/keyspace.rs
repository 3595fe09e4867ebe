//! One numbered database: keys, their values, their expiry.

use super::dict::{Dict, HashSeed};
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
}

impl Db {
    pub fn new(seed: HashSeed) -> Db {
        Db { slots: Dict::new(seed), volatile: Dict::new(seed), expire_cursor: 0 }
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
        if let Some(slot) = self.slots.get_mut(key) {
            let old = std::mem::replace(&mut slot.value, value);
            slot.access = access;
            if !keep_ttl && slot.expires_at != 0 {
                slot.expires_at = 0;
                self.volatile.remove(key);
            }
            return Some(old);
        }
        self.slots.insert(key.clone(), Slot { value, expires_at: 0, access });
        None
    }

    pub fn remove(&mut self, key: &[u8]) -> Option<Slot> {
        let slot = self.slots.remove(key)?;
        if slot.expires_at != 0 {
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
        slot.expires_at = moment;
        true
    }

    pub fn clear(&mut self) {
        self.slots.clear();
        self.volatile.clear();
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
