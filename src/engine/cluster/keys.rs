//! Which keys a slot has: kept beside the keyspace of a cluster node, and nowhere else.

use super::slots::slot_of;
use crate::base::Bytes;
use std::collections::BTreeMap;

/// The keys of one slot.
#[derive(Clone, Debug, Default)]
struct Keys {
    next: u64,
    by_age: BTreeMap<u64, Bytes>,
    ages: BTreeMap<Bytes, u64>,
}

/// The keys of all slots. O(log n) a change.
#[derive(Clone, Debug, Default)]
pub struct SlotKeys(BTreeMap<u16, Keys>);

impl SlotKeys {
    /// A key that was not there.
    pub fn add(&mut self, key: &Bytes) {
        let keys = self.0.entry(slot_of(key)).or_default();
        keys.next += 1;
        keys.by_age.insert(keys.next, key.clone());
        keys.ages.insert(key.clone(), keys.next);
    }

    pub fn remove(&mut self, key: &[u8]) {
        let slot = slot_of(key);
        let Some(keys) = self.0.get_mut(&slot) else { return };
        if let Some(age) = keys.ages.remove(key) {
            keys.by_age.remove(&age);
        }
        if keys.ages.is_empty() {
            self.0.remove(&slot);
        }
    }

    pub fn clear(&mut self) {
        self.0.clear();
    }

    pub fn count(&self, slot: u16) -> usize {
        self.0.get(&slot).map_or(0, |keys| keys.ages.len())
    }

    /// The newest first, as Redis has them.
    pub fn of(&self, slot: u16) -> impl Iterator<Item = &Bytes> {
        self.0.get(&slot).into_iter().flat_map(|keys| keys.by_age.values().rev())
    }

    /// Slots that have a key.
    pub fn slots(&self) -> Vec<u16> {
        self.0.keys().copied().collect()
    }
}
