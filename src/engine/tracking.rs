//! Client-side caching: who has read which key and is told when it changes.
//!
//! By default the server remembers every key that a tracking client has read, and forgets it with the first
//! invalidation. In broadcasting mode nothing is remembered: the client hears of every changed key with one of its
//! prefixes. Messages stand in the outbox behind the reply of the command that changed the keys.

use super::client::{Client, ClientId};
use super::{Instance, Outbox, Output};
use crate::base::Bytes;
use crate::resp::{Protocol, Reply};
use std::collections::{BTreeMap, BTreeSet};

/// How one connection tracks.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tracking {
    /// Who gets the messages in place of the client itself.
    pub redirect: Option<ClientId>,
    /// The connection that messages went to is gone.
    pub redirect_broken: bool,
    pub broadcast: bool,
    pub opt_in: bool,
    pub opt_out: bool,
    pub no_loop: bool,
    /// CLIENT CACHING was given: it counts for the next command, or until the end of the transaction.
    pub caching: bool,
    pub prefixes: BTreeSet<Bytes>,
}

/// What the instance remembers for all of them.
#[derive(Clone, Debug, Default)]
pub struct Trackers {
    /// How many connections track: nothing else is done while it is 0.
    pub clients: usize,
    readers: BTreeMap<Bytes, BTreeSet<ClientId>>,
    /// Changed keys that broadcasting clients have yet to be told, each with the client that changed it last.
    changed: BTreeMap<Bytes, Option<ClientId>>,
    /// Messages to be sent behind the reply: to whom, and which key (None: all of them).
    pending: Vec<(ClientId, Option<Bytes>)>,
}

impl Trackers {
    pub fn keys(&self) -> usize {
        self.readers.len()
    }

    /// Pairs of key and reader.
    pub fn items(&self) -> usize {
        self.readers.values().map(BTreeSet::len).sum()
    }
}

impl Instance {
    pub fn untrack(&mut self, id: ClientId) {
        if self.clients.get_mut(&id).is_some_and(|client| client.tracking.take().is_some()) {
            self.trackers.clients -= 1;
        }
    }

    /// Different prefixes that somebody listens to.
    pub fn tracked_prefixes(&self) -> usize {
        let all: BTreeSet<&Bytes> =
            self.clients.values().filter_map(|client| client.tracking.as_deref()).flat_map(|it| &it.prefixes).collect();
        all.len()
    }

    /// Remembers that `reader` has read `keys`.
    pub(super) fn remember_reads<'a>(&mut self, reader: ClientId, keys: impl Iterator<Item = &'a Bytes>) {
        for key in keys {
            self.trackers.readers.entry(key.clone()).or_default().insert(reader);
        }
    }

    /// Notes that `key` changed, for those who track it.
    pub(super) fn invalidate(&mut self, key: &[u8]) {
        // What those have read who track no longer is forgotten here, too.
        if self.trackers.clients == 0 {
            self.trackers.readers.remove(key);
            return;
        }
        self.trackers.changed.insert(Bytes::copy(key), self.current);
        self.invalidate_readers(key);
    }

    fn invalidate_readers(&mut self, key: &[u8]) {
        for reader in self.trackers.readers.remove(key).unwrap_or_default() {
            let Some(tracking) = self.clients.get(&reader).and_then(|client| client.tracking.as_deref()) else {
                continue;
            };
            if tracking.broadcast || tracking.no_loop && self.current == Some(reader) {
                continue;
            }
            self.trackers.pending.push((reader, Some(Bytes::copy(key))));
        }
    }

    /// A whole database was emptied: one message without a key to everybody who tracks.
    pub(super) fn invalidate_all(&mut self) {
        let trackers = self.clients.values().filter(|client| client.tracking.is_some()).map(|client| (client.id, None));
        self.trackers.pending.extend(trackers);
        self.trackers.readers.clear();
    }

    /// Keeps the table of readers below tracking-table-max-keys, by invalidating some keys.
    pub(in crate::engine) fn limit_trackers(&mut self, max_keys: usize) {
        // Nobody has changed the key: those with NOLOOP hear of it too, also if it was their command that needed the room.
        let current = self.current.take();
        while max_keys > 0 && self.trackers.readers.len() > max_keys {
            let key = self.trackers.readers.keys().next().expect("not empty").clone();
            self.invalidate_readers(&key);
        }
        self.current = current;
    }

    /// Whether more keys are remembered than tracking-table-max-keys allows.
    pub(super) fn has_too_many_tracked(&self) -> bool {
        let max_keys = self.config.int("tracking-table-max-keys") as usize;
        max_keys > 0 && self.trackers.readers.len() > max_keys
    }

    /// Tells those who read a key that it has changed.
    pub(super) fn flush_invalidations(&mut self, out: &mut Outbox) {
        if self.trackers.clients == 0 {
            self.trackers.pending.clear();
            return;
        }
        for (reader, key) in std::mem::take(&mut self.trackers.pending) {
            let keys = key.map_or(Reply::Nil, |key| Reply::Array(vec![Reply::Bulk(key)]));
            self.send_invalidation(reader, keys, out);
        }
    }

    /// Tells those who broadcast of all that a step has changed, in one message for each prefix.
    pub(super) fn flush_broadcasts(&mut self, out: &mut Outbox) {
        if self.trackers.changed.is_empty() {
            return;
        }
        let changed = std::mem::take(&mut self.trackers.changed);
        for (reader, keys) in self.broadcasts(&changed) {
            self.send_invalidation(reader, keys, out);
        }
    }

    /// One message for each broadcasting client and prefix that any of `changed` has.
    fn broadcasts(&self, changed: &BTreeMap<Bytes, Option<ClientId>>) -> Vec<(ClientId, Reply)> {
        let mut messages = Vec::new();
        let listeners = self.clients.values().filter_map(|client| Some((client.id, client.tracking.as_deref()?)));
        for (id, tracking) in listeners.filter(|(_, tracking)| tracking.broadcast) {
            for prefix in &tracking.prefixes {
                let keys = changed
                    .iter()
                    .filter(|(key, by)| key.starts_with(prefix) && !(tracking.no_loop && **by == Some(id)));
                let keys: Vec<Reply> = keys.map(|(key, _)| Reply::Bulk(key.clone())).collect();
                if !keys.is_empty() {
                    messages.push((id, Reply::Array(keys)));
                }
            }
        }
        messages
    }

    fn send_invalidation(&mut self, reader: ClientId, keys: Reply, out: &mut Outbox) {
        let Some(client) = self.clients.get(&reader) else { return };
        let protocol = client.protocol;
        let Some(tracking) = client.tracking.as_deref() else { return };
        let target = match tracking.redirect {
            None => reader,
            Some(target) if self.clients.contains_key(&target) => target,
            Some(target) => {
                let client = self.clients.get_mut(&reader).expect("looked up above");
                client.tracking.as_deref_mut().expect("looked up above").redirect_broken = true;
                if protocol == Protocol::Resp3 {
                    let parts = vec![Reply::bulk("tracking-redir-broken"), Reply::Int(target.0 as i64)];
                    out.push(Output::Push(reader, Reply::Push(parts)));
                }
                return;
            }
        };
        let receiver: &Client = &self.clients[&target];
        if receiver.protocol == Protocol::Resp3 {
            out.push(Output::Push(target, Reply::Push(vec![Reply::bulk("invalidate"), keys])));
        } else if target != reader && receiver.is_subscriber() {
            // RESP2 knows no pushes: a redirected message looks like one of a channel.
            let parts = vec![Reply::bulk("message"), Reply::bulk("__redis__:invalidate"), keys];
            out.push(Output::Push(target, Reply::Push(parts)));
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::engine::testing::Lab;
    use crate::resp::Reply;

    fn invalidated(keys: &[&'static str]) -> Reply {
        let keys = keys.iter().map(|key| Reply::bulk(*key)).collect();
        Reply::Push(vec![Reply::bulk("invalidate"), Reply::Array(keys)])
    }

    #[test]
    fn what_a_step_changes_is_broadcast_in_one_message() {
        let mut lab = Lab::new(1);
        lab.send("bob", &["HELLO", "3"]);
        lab.send("bob", &["CLIENT", "TRACKING", "ON", "BCAST"]);
        lab.take("bob");
        lab.send("carol", &["BLMOVE", "orders", "packed", "LEFT", "LEFT", "0"]);
        lab.ask(&["RPUSH", "orders", "42"]);
        assert_eq!(lab.take("bob"), [invalidated(&["orders", "packed"])]);
    }

    #[test]
    fn who_has_read_a_key_hears_of_its_change_once() {
        let mut lab = Lab::new(1);
        lab.send("bob", &["HELLO", "3"]);
        lab.send("bob", &["CLIENT", "TRACKING", "ON"]);
        lab.send("bob", &["GET", "page:home"]);
        lab.take("bob");
        lab.ask(&["SET", "page:home", "new"]);
        assert_eq!(lab.take("bob"), [invalidated(&["page:home"])]);
        lab.ask(&["SET", "page:home", "newer"]);
        assert_eq!(lab.take("bob"), []);
    }
}
