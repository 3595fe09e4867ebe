//! One command being carried out: its arguments, and everything a handler may touch.
//!
//! Handlers look keys up with `read` and `write`, which expire lazily and answer WRONGTYPE, and report what they changed
//! with `changed`, once per key: dirty count, WATCH, blocked clients, keyspace event and trace follow from that.

use super::blocked::Blocked;
use super::client::{Client, ClientId};
use super::command::{Command, Outcome};
use super::commands::Entry;
use super::config::Limits;
use super::dict::HashSeed;
use super::disk::Disk;
use super::evict;
use super::hooks::Buffers;
use super::keyspace::{Db, Slot};
use super::notify::Class;
use super::refusal::{self, Refusal};
use super::value::{Kind, Value};
use super::{Instance, Outbox};
use crate::base::{Bytes, Millis, Rng};
use crate::resp::{Protocol, Reply};

/// What goes to the AOF and the replicas for this call.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Propagate {
    /// The request itself, if it changed something.
    #[default]
    AsRequested,
    /// These instead, if it changed something.
    Instead(Vec<Vec<Bytes>>),
    Nothing,
    /// The request itself, even if nothing changed (FLUSHALL ...).
    Always,
    /// The request itself, but not to the AOF: messages.
    ToReplicas,
}

pub struct Call<'a> {
    /// Argument 0 is the command's name (of a subcommand: the container's).
    pub args: &'a [Bytes],
    pub command: &'static Command,
    /// The command's number in the table.
    pub index: usize,
    pub server: &'a mut Instance,
    pub now: Millis,
    pub rng: &'a mut Rng,
    pub disk: &'a mut dyn Disk,
    pub out: &'a mut Outbox,
    pub client: ClientId,
    pub db: usize,
    pub protocol: Protocol,
    /// False inside EXEC and scripts, where nobody can wait.
    pub may_block: bool,
    /// CLIENT NO-TOUCH: reads leave no mark on access times.
    pub no_touch: bool,
    /// A blocked client's request, run once more.
    pub again: bool,
    /// Arguments that MONITOR and SLOWLOG must not show, as bits.
    pub redacted: u64,
    /// What this command shall be said to have taken on top (DEBUG SLEEP where nobody can sleep).
    pub pretended_us: u64,
    pub propagate: Propagate,
}

impl<'a> Call<'a> {
    // -- looking -----------------------------------------------------------------------------------------------------

    /// The value of `key` to read; None if there is none. Expires lazily, counts hits and misses, marks the access.
    pub fn read_value(&mut self, key: &[u8]) -> Option<&Value> {
        match self.live_position(key) {
            Some(position) => {
                self.server.stats.keyspace_hits += 1;
                let slot = self.touch_access(position);
                Some(&slot.value)
            }
            None => {
                self.server.stats.keyspace_misses += 1;
                self.notify(Class::KeyMiss, "keymiss", key);
                None
            }
        }
    }

    /// The value of `key` to change in place; None if there is none.
    pub fn write_value(&mut self, key: &[u8]) -> Option<&mut Value> {
        let position = self.live_position(key)?;
        Some(&mut self.touch_access(position).value)
    }

    /// Like `read_value`, for one type. Err: WRONGTYPE.
    pub fn read<K: Kind + 'static>(&mut self, key: &[u8]) -> Result<Option<&K>, Refusal> {
        self.read_value(key).map(|value| K::of(value).ok_or(refusal::WRONGTYPE)).transpose()
    }

    /// Like `write_value`, for one type. Err: WRONGTYPE.
    pub fn write<K: Kind + 'static>(&mut self, key: &[u8]) -> Result<Option<&mut K>, Refusal> {
        self.write_value(key).map(|value| K::of_mut(value).ok_or(refusal::WRONGTYPE)).transpose()
    }

    /// The value to change, made by `new` if there is none. Err: WRONGTYPE.
    pub fn write_or_insert<K: Kind + 'static>(
        &mut self,
        key: &Bytes,
        new: impl FnOnce() -> K,
    ) -> Result<&mut K, Refusal> {
        let found = self.live_position(key);
        if let Some(position) = found {
            self.touch_access(position);
        }
        self.found_or_inserted(found, key, new)
    }

    /// As `write_or_insert`, for a key that has been looked up before.
    pub fn peek_or_insert<K: Kind + 'static>(
        &mut self,
        key: &Bytes,
        new: impl FnOnce() -> K,
    ) -> Result<&mut K, Refusal> {
        let found = self.live_position(key);
        self.found_or_inserted(found, key, new)
    }

    fn found_or_inserted<K: Kind + 'static>(
        &mut self,
        found: Option<usize>,
        key: &Bytes,
        new: impl FnOnce() -> K,
    ) -> Result<&mut K, Refusal> {
        let position = found.unwrap_or_else(|| {
            self.put_at(None, key, new().into_value(), false);
            self.db_ref().position(key).expect("just inserted")
        });
        K::of_mut(&mut self.db_mut().at_mut(position).value).ok_or(refusal::WRONGTYPE)
    }

    /// The value of a key that `read` or `write` has just looked up, without looking anew for expiry and without marks:
    /// for commands that hold several values at once.
    pub fn peek<K: Kind + 'static>(&self, key: &[u8]) -> Option<&K> {
        self.db_ref().slot(key).and_then(|slot| K::of(&slot.value))
    }

    /// As `peek`, to change it.
    pub fn peek_mut<K: Kind + 'static>(&mut self, key: &[u8]) -> Option<&mut K> {
        self.db_mut().slot_mut(key).and_then(|slot| K::of_mut(&mut slot.value))
    }

    /// Whether `key` exists; expires lazily, counts nothing.
    pub fn exists(&mut self, key: &[u8]) -> bool {
        self.live_position(key).is_some()
    }

    /// The slot of `key`, counting hits and misses but no access: EXISTS, TYPE, TTL. Expires lazily.
    pub fn look(&mut self, key: &[u8]) -> Option<&Slot> {
        match self.live_position(key) {
            Some(position) => {
                self.server.stats.keyspace_hits += 1;
                Some(self.db_ref().at(position))
            }
            None => {
                self.server.stats.keyspace_misses += 1;
                self.notify(Class::KeyMiss, "keymiss", key);
                None
            }
        }
    }

    /// The whole slot, without hits, misses or access marks (OBJECT, TTL ...). Expires lazily.
    pub fn slot(&mut self, key: &[u8]) -> Option<&Slot> {
        let position = self.live_position(key)?;
        Some(self.db_ref().at(position))
    }

    pub fn expires_at(&mut self, key: &[u8]) -> Option<Millis> {
        self.slot(key)?.expires_at()
    }

    fn live_position(&mut self, key: &[u8]) -> Option<usize> {
        let position = self.db_ref().position(key)?;
        if self.db_ref().at(position).is_expired(self.now) {
            // A replica hides what has expired and waits for its primary's DEL, whose own commands see everything; so do those
            // of an append only file, which were carried out when it had not expired.
            if self.obeys() {
                return Some(position);
            }
            if self.server.expires_keys() || self.may_expire_here() {
                self.expire(self.db, &Bytes::copy(key));
            }
            return None;
        }
        Some(position)
    }

    /// A write to a writable replica removes what has expired: it would be written over otherwise.
    fn may_expire_here(&self) -> bool {
        self.server.is_replica()
            && self.command.flags.has(super::command::WRITE)
            && !self.server.config.flag("replica-read-only")
    }

    fn touch_access(&mut self, position: usize) -> &mut Slot {
        let slot = self.server.dbs[self.db].at_mut(position);
        if self.no_touch && self.command.name != "TOUCH" {
            return slot;
        }
        slot.access = evict::accessed(&self.server.config, slot.access, self.now, self.rng);
        slot
    }

    pub fn db_ref(&self) -> &Db {
        &self.server.dbs[self.db]
    }

    pub fn db_mut(&mut self) -> &mut Db {
        &mut self.server.dbs[self.db]
    }

    // -- changing ----------------------------------------------------------------------------------------------------

    /// Puts a value under `key`, dropping an expiry. Reports nothing: call `changed`.
    pub fn insert(&mut self, key: &Bytes, value: Value) {
        let found = self.live_position(key);
        if let Some(position) = found {
            self.touch_access(position);
        }
        self.put_at(found, key, value, false);
    }

    /// Puts a value under a key that has been looked up before: no access is marked once more.
    pub fn put(&mut self, key: &Bytes, value: Value, keep_ttl: bool) {
        let found = self.live_position(key);
        self.put_at(found, key, value, keep_ttl);
    }

    /// Puts a value under a key that has just been looked for in vain.
    pub fn insert_missing(&mut self, key: &Bytes, value: Value) {
        self.put_at(None, key, value, false);
    }

    fn put_at(&mut self, found: Option<usize>, key: &Bytes, value: Value, keep_ttl: bool) {
        match found {
            Some(position) => drop(self.db_mut().replace(position, value, keep_ttl)),
            None => {
                let stamp = self.server.access_stamp(self.now);
                self.db_mut().insert(key, value, stamp, keep_ttl);
                self.notify(Class::New, "new", key);
            }
        }
    }

    /// Removes `key` if it is there and alive. Reports nothing: call `changed`.
    pub fn remove(&mut self, key: &[u8]) -> Option<Value> {
        self.live_position(key)?;
        self.db_mut().remove(key).map(|slot| slot.value)
    }

    pub fn set_expiry(&mut self, key: &[u8], at: Option<Millis>) -> bool {
        self.db_mut().set_expiry(key, at)
    }

    /// Notes what `key` takes now that it is kept otherwise, though nothing has changed that anybody is told of.
    pub fn measure(&mut self, key: &[u8]) {
        self.db_mut().measure(key);
    }

    /// Reports one change of `key`: dirty count, WATCH, blocked clients, keyspace event. Once per change.
    pub fn changed(&mut self, class: Class, event: &'static str, key: &[u8]) {
        self.server.dirty += 1;
        self.touched(key);
        self.notify(class, event, key);
    }

    /// Removes `key` if its collection has become empty, and reports that with `del`.
    pub fn remove_if_empty(&mut self, key: &[u8]) -> bool {
        if !self.db_ref().slot(key).is_some_and(|slot| slot.value.is_empty()) {
            return false;
        }
        self.db_mut().remove(key);
        self.touched(key);
        self.notify(Class::Generic, "del", key);
        true
    }

    /// Stores the result of a command under `key` in place of whatever is there, or removes that if the result is empty,
    /// and reports it: what SINTERSTORE, ZRANGESTORE and their kin have in common.
    pub fn store(&mut self, key: &Bytes, result: Value, class: Class, event: &'static str) {
        if !result.is_empty() {
            self.insert(key, result);
            self.changed(class, event, key);
        } else if self.remove(key).is_some() {
            self.changed(Class::Generic, "del", key);
        }
    }

    /// More changes than the one that `changed` counted: elements of one command.
    pub fn dirty(&mut self, more: usize) {
        self.server.dirty += more as u64;
    }

    /// The part of `changed` that concerns other clients: WATCH and those that wait for the key.
    pub fn touched(&mut self, key: &[u8]) {
        self.server.touch(self.db, key);
    }

    /// Publishes a keyspace event, without any other consequence.
    pub fn notify(&mut self, class: Class, event: &'static str, key: &[u8]) {
        let db = self.db;
        self.server.notify(db, class, event, key, self.out);
    }

    /// Removes an expired key of database `db`, with all that follows from it.
    pub fn expire(&mut self, db: usize, key: &Bytes) {
        self.server.expire(db, key, self.out);
    }

    // -- the rest ----------------------------------------------------------------------------------------------------

    pub fn me(&self) -> &Client {
        &self.server.clients[&self.client]
    }

    /// This client as CLIENT LIST shows it.
    pub fn describe_me(&mut self) -> String {
        self.describe_client(self.client)
    }

    /// A client that there is, as CLIENT LIST shows it.
    pub fn describe_client(&mut self, id: ClientId) -> String {
        let request = (id == self.client).then_some(self.args);
        let buffers = self.disk.outside().map_or_else(|| Buffers::usual(request), |outside| outside.buffers(id));
        self.server.clients[&id].describe(self.now, request, buffers)
    }

    /// What a client takes with its buffers, in bytes.
    pub fn memory_of_client(&mut self, id: ClientId) -> u64 {
        let buffers = self.disk.outside().map_or_else(|| Buffers::usual(None), |outside| outside.buffers(id));
        (buffers.query_size + buffers.reply_size + buffers.output().2 + Buffers::CLIENT) as u64
    }

    pub fn me_mut(&mut self) -> &mut Client {
        self.server.clients.get_mut(&self.client).expect("a call's client lives as long as the call")
    }

    pub fn limits(&self) -> Limits {
        self.server.config.limits
    }

    pub fn seed(&self) -> HashSeed {
        self.server.seed
    }

    /// What comes from the primary or the append only file was carried out before: here it is obeyed, without the limits that
    /// clients have (`mustObeyClient`).
    pub fn obeys(&self) -> bool {
        self.server.persist.loading || self.me().is_primary()
    }

    /// Argument `index` as an integer. Err: `value is not an integer or out of range`.
    pub fn int(&self, index: usize) -> Result<i64, Refusal> {
        super::value::string::parse_int(&self.args[index]).ok_or(refusal::NOT_INTEGER)
    }

    /// Whether argument `index` is `word`, in any case.
    pub fn is(&self, index: usize, word: &str) -> bool {
        self.args.get(index).is_some_and(|arg| arg.eq_ignore_ascii_case(word.as_bytes()))
    }

    /// Waits for `keys`: the request is run again when one of them changes. Where nobody may wait, `timeout_reply` at once.
    /// `kind` is TYPE's word for what can serve it; `timeout` in ms, 0 for ever.
    pub fn block(&mut self, keys: &[Bytes], kind: &'static str, timeout: Millis, timeout_reply: Reply) -> Outcome {
        self.block_as(self.args.to_vec(), keys, kind, false, timeout, timeout_reply)
    }

    /// As `block`, with another request to run then; `on_loss`: also when a key goes or gets another type.
    pub fn block_as(
        &mut self,
        args: Vec<Bytes>,
        keys: &[Bytes],
        kind: &'static str,
        on_loss: bool,
        timeout: Millis,
        timeout_reply: Reply,
    ) -> Outcome {
        if !self.may_block {
            return Ok(timeout_reply);
        }
        let (now, db) = (self.now, self.db);
        let me = self.me_mut();
        let (deadline, since) = match &me.blocked {
            // Run again and still without an answer: the first deadline stands.
            Some(before) => (before.deadline, before.since),
            None => ((timeout > Millis::ZERO).then(|| now + timeout), now),
        };
        let blocked = Blocked { args, db, keys: keys.to_vec(), kind, on_loss, deadline, timeout_reply, since };
        me.blocked = Some(blocked.clone());
        let client = self.client;
        self.server.waiting.add(client, &blocked);
        Ok(Reply::None)
    }

    /// Hides argument `index` from MONITOR and SLOWLOG: it is a secret.
    pub fn redact(&mut self, index: usize) {
        self.redacted |= 1 << index.min(63);
    }

    /// Propagates `commands` in place of the request.
    pub fn propagate_as(&mut self, commands: Vec<Vec<Bytes>>) {
        self.propagate = Propagate::Instead(commands);
    }

    /// Runs another command as part of this one (EXEC, scripts): with its own checks of arity and type, no queueing.
    pub fn nested(&mut self, entry: &'static Entry, args: &[Bytes]) -> Outcome {
        let (db, protocol) = (self.me().db, self.me().protocol);
        let mut call = Call {
            args,
            command: entry.command,
            index: entry.index,
            server: self.server,
            now: self.now,
            rng: self.rng,
            disk: self.disk,
            out: self.out,
            client: self.client,
            db,
            protocol,
            may_block: false,
            no_touch: self.no_touch,
            again: false,
            redacted: 0,
            pretended_us: 0,
            propagate: Propagate::AsRequested,
        };
        Instance::perform(&mut call)
    }
}

impl Instance {
    /// Tells those who watch or wait for `key` that it changed.
    pub fn touch(&mut self, db: usize, key: &[u8]) {
        self.dbs[db].measure(key);
        self.waiting.touch(db, key);
        self.invalidate(key);
        if !self.watchers.is_empty() {
            self.break_watches(db, key);
        }
    }

    /// What tells replicas that a key went: DEL, or UNLINK where `parameter` lets values be freed later (`propagateDeletion`).
    pub fn deletion(&self, parameter: &str, key: &Bytes) -> Vec<Bytes> {
        let name = if self.config.flag(parameter) { "UNLINK" } else { "DEL" };
        vec![Bytes::from(name), key.clone()]
    }

    /// Removes an expired key: propagated as a deletion, announced as `expired`, a change for WATCH.
    pub fn expire(&mut self, db: usize, key: &Bytes, out: &mut Outbox) {
        let began_us = self.hooks.micros();
        self.dbs[db].remove(key);
        self.note_latency("expire-del", began_us, self.now);
        self.stats.expired_keys += 1;
        self.propagate(db, self.deletion("lazyfree-lazy-expire", key));
        self.touch(db, key);
        self.notify(db, Class::Expired, "expired", key, out);
    }
}
