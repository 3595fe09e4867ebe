//! Clients that wait for a key, as BLPOP and its kin do.
//!
//! As in Redis 7.2 a blocked request is run again from the start when one of its keys changes: it then either answers or
//! goes on waiting, in its old place in the queue. Keys are served in the order in which they became ready, the clients
//! of a key in the order in which they came.

use super::client::ClientId;
use super::value::Value;
use crate::base::{Bytes, Millis};
use crate::resp::Reply;
use std::collections::{BTreeMap, VecDeque};

/// Why and until when a client waits.
#[derive(Clone, Debug)]
pub struct Blocked {
    pub args: Vec<Bytes>,
    pub db: usize,
    pub keys: Vec<Bytes>,
    /// Only values of this type (TYPE's word) wake it.
    pub kind: &'static str,
    /// It is also woken when the key goes or gets another type: its group is gone then (XREADGROUP).
    pub on_loss: bool,
    /// None: for ever.
    pub deadline: Option<Millis>,
    pub timeout_reply: Reply,
    pub since: Millis,
}

/// Who waits for what, and what became ready in this step.
#[derive(Clone, Debug, Default)]
pub struct Waiting {
    queues: BTreeMap<(usize, Bytes), VecDeque<ClientId>>,
    ready: VecDeque<(usize, Bytes)>,
    /// Clients whose wait has ended and that may have sent more meanwhile.
    pub resumed: VecDeque<ClientId>,
}

impl Waiting {
    pub fn is_empty(&self) -> bool {
        self.queues.is_empty()
    }

    pub fn clients(&self) -> usize {
        let ids: std::collections::BTreeSet<_> = self.queues.values().flatten().collect();
        ids.len()
    }

    /// How many different keys are waited for.
    pub fn keys(&self) -> usize {
        self.queues.len()
    }

    pub fn add(&mut self, client: ClientId, blocked: &Blocked) {
        for key in &blocked.keys {
            let queue = self.queues.entry((blocked.db, key.clone())).or_default();
            if !queue.contains(&client) {
                queue.push_back(client);
            }
        }
    }

    pub fn remove(&mut self, client: ClientId, blocked: &Blocked) {
        for key in &blocked.keys {
            let place = (blocked.db, key.clone());
            if let Some(queue) = self.queues.get_mut(&place) {
                queue.retain(|id| *id != client);
                if queue.is_empty() {
                    self.queues.remove(&place);
                }
            }
        }
    }

    /// Notes that a key has changed, if anybody waits for it.
    pub fn touch(&mut self, db: usize, key: &[u8]) {
        if self.queues.is_empty() {
            return;
        }
        let place = (db, Bytes::copy(key));
        if self.queues.contains_key(&place) && !self.ready.contains(&place) {
            self.ready.push_back(place);
        }
    }

    /// Notes that all keys of a database may have changed (SWAPDB).
    pub fn touch_db(&mut self, db: usize) {
        let keys = self.queues.range((db, Bytes::new())..(db + 1, Bytes::new())).map(|(place, _)| place.clone());
        let new: Vec<_> = keys.filter(|place| !self.ready.contains(place)).collect();
        self.ready.extend(new);
    }

    pub fn next_ready(&mut self) -> Option<(usize, Bytes)> {
        self.ready.pop_front()
    }

    /// Who waits for a key now, first come first.
    pub fn queue(&self, db: usize, key: &[u8]) -> Vec<ClientId> {
        self.queues.get(&(db, Bytes::copy(key))).map(|queue| queue.iter().copied().collect()).unwrap_or_default()
    }
}

impl Blocked {
    /// Whether the request is worth trying again, now that its key holds `value`.
    pub fn is_woken_by(&self, value: Option<&Value>) -> bool {
        self.on_loss || value.is_some_and(|value| self.kind.is_empty() || value.kind() == self.kind)
    }
}
