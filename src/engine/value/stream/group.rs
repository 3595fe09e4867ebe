//! Consumer groups: what was handed out to whom and is not acknowledged.

use super::Id;
use crate::base::{Bytes, Millis};
use std::collections::{BTreeMap, BTreeSet};

/// An entry that was delivered and not acknowledged.
#[derive(Clone, Debug, PartialEq)]
pub struct Pending {
    pub consumer: Bytes,
    pub delivered_at: Millis,
    pub deliveries: u64,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Consumer {
    /// Its last attempt to read or claim.
    pub seen_at: Millis,
    /// Its last success in that.
    pub active_at: Option<Millis>,
    pending: BTreeSet<Id>,
}

impl Consumer {
    fn new(now: Millis) -> Consumer {
        Consumer { seen_at: now, active_at: None, pending: BTreeSet::new() }
    }

    /// The ids of what it has not acknowledged.
    pub fn pending(&self) -> &BTreeSet<Id> {
        &self.pending
    }
}

/// A consumer group. An id stands in `pending` exactly if it stands in the list of its consumer.
#[derive(Clone, Debug, PartialEq)]
pub struct Group {
    /// The last entry that was handed out to anybody.
    pub last_id: Id,
    /// How many entries stand up to `last_id`, deleted ones included; None if that cannot be told.
    pub entries_read: Option<u64>,
    pending: BTreeMap<Id, Pending>,
    consumers: BTreeMap<Bytes, Consumer>,
}

impl Group {
    pub fn new(last_id: Id, entries_read: Option<u64>) -> Group {
        Group { last_id, entries_read, pending: BTreeMap::new(), consumers: BTreeMap::new() }
    }

    pub fn pending(&self) -> &BTreeMap<Id, Pending> {
        &self.pending
    }

    /// By name, in order.
    pub fn consumers(&self) -> &BTreeMap<Bytes, Consumer> {
        &self.consumers
    }

    pub fn consumer_mut(&mut self, name: &[u8]) -> Option<&mut Consumer> {
        self.consumers.get_mut(name)
    }

    /// Makes a consumer; false if there is one of that name.
    pub fn add_consumer(&mut self, name: &Bytes, now: Millis) -> bool {
        if self.consumers.contains_key(name) {
            return false;
        }
        self.consumers.insert(name.clone(), Consumer::new(now));
        true
    }

    /// Removes a consumer with all that it has pending; how much that was.
    pub fn remove_consumer(&mut self, name: &[u8]) -> Option<usize> {
        let consumer = self.consumers.remove(name)?;
        consumer.pending.iter().for_each(|id| drop(self.pending.remove(id)));
        Some(consumer.pending.len())
    }

    /// Gives an entry to a consumer, who must exist, whoever had it before.
    pub fn assign(&mut self, id: Id, pending: Pending) {
        let consumer = self.consumers.get_mut(&pending.consumer).expect("a consumer is made before it gets entries");
        consumer.pending.insert(id);
        let name = pending.consumer.clone();
        if let Some(before) = self.pending.insert(id, pending)
            && before.consumer != name
            && let Some(loser) = self.consumers.get_mut(&before.consumer)
        {
            loser.pending.remove(&id);
        }
    }

    /// Notes one more delivery of a pending entry to its consumer.
    pub fn redelivered(&mut self, id: Id, now: Millis) {
        if let Some(pending) = self.pending.get_mut(&id) {
            pending.delivered_at = now;
            pending.deliveries += 1;
        }
    }

    /// Forgets a pending entry: it is acknowledged, or gone.
    pub fn release(&mut self, id: Id) -> Option<Pending> {
        let pending = self.pending.remove(&id)?;
        if let Some(consumer) = self.consumers.get_mut(&pending.consumer) {
            consumer.pending.remove(&id);
        }
        Some(pending)
    }
}
