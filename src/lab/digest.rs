//! The state hash: equal worlds give equal numbers, whatever way they came about.
//!
//! It covers all that a later step or a snapshot could depend on: clock, generator, processes with their keyspaces and
//! clients, connections with what waits in them, disk, database and history. Inner layout (the order of a hash table)
//! counts too, since SCAN and RANDOMKEY show it.

use super::world::World;
use crate::engine::Instance;
use crate::engine::value::Value;
use siphasher::sip::SipHasher13;
use std::hash::Hasher;

struct Digest(SipHasher13);

impl Digest {
    fn add(&mut self, bytes: &[u8]) {
        self.0.write(&(bytes.len() as u64).to_le_bytes());
        self.0.write(bytes);
    }

    fn debug(&mut self, value: &dyn std::fmt::Debug) {
        self.add(format!("{value:?}").as_bytes());
    }
}

impl World {
    /// A fingerprint of the whole state, history included.
    pub fn state_hash(&self) -> u64 {
        let mut digest = Digest(SipHasher13::new());
        digest.debug(&(self.now, &self.rng, &self.home, self.next_pid));
        for process in &self.processes {
            digest.debug(&(&process.name, process.port, process.pid, process.state, &process.argv));
            digest.debug(&(
                &process.config_file,
                &process.dir,
                &process.logfile,
                process.started_at,
                process.next_client,
            ));
            if let Some(instance) = &process.instance {
                add_instance(&mut digest, instance);
            }
        }
        for (id, connection) in &self.connections {
            digest.debug(&(id, connection.process, connection.client, &connection.terminal, connection.open));
            digest.debug(&connection.inbox);
        }
        digest.debug(&self.network);
        self.disk.digest(&mut |bytes| digest.add(bytes));
        if let Some(database) = &self.database.0 {
            digest.debug(&database.tables());
        }
        digest.add(&self.history.last().to_le_bytes());
        self.history.since(self.history.last().saturating_sub(1000)).for_each(|event| digest.debug(event));
        digest.0.finish()
    }
}

fn add_instance(digest: &mut Digest, instance: &Instance) {
    digest.debug(&(&instance.config, &instance.stats, instance.dirty, &instance.run_id, &instance.waiting));
    digest.debug(&(&instance.replication, &instance.links));
    digest.debug(&(&instance.watchers, &instance.pubsub, &instance.persist, &instance.pause, &instance.monitors));
    instance.acl.users().for_each(|user| digest.add(&user.describe()));
    for db in &instance.dbs {
        digest.debug(&(db.len(), db.volatile_len(), db.expire_cursor));
        for (name, slot) in db.iter() {
            digest.add(name);
            digest.debug(&(slot.expires_at(), slot.access, slot.value.encoding()));
            add_value(digest, &slot.value);
        }
    }
    for client in instance.clients.values() {
        digest.debug(&(client.id, &client.name, client.db, client.protocol, &client.user.name, client.authenticated));
        digest.debug(&(client.connected_at, client.last_seen_at, &client.watched, client.watch_broken));
        digest.debug(&(&client.channels, &client.patterns, client.monitor, client.reply_mode, &client.blocked));
        digest.debug(&(&client.waiting, client.closing));
        if let Some(transaction) = &client.transaction {
            digest.debug(&transaction.broken);
            transaction.queue.iter().for_each(|(_, args)| digest.debug(args));
        }
    }
}

fn add_value(digest: &mut Digest, value: &Value) {
    match value {
        Value::String(text) => digest.add(&text.text()),
        Value::List(list) => list.iter().for_each(|item| digest.add(item.as_ref())),
        Value::Set(set) => set.iter().for_each(|member| digest.add(member.as_ref())),
        Value::Hash(hash) => hash.iter().for_each(|(field, value)| {
            digest.add(field.as_ref());
            digest.add(value.as_ref());
        }),
        Value::Zset(zset) => zset.iter().for_each(|(member, score)| {
            digest.add(member.as_ref());
            digest.add(&score.to_bits().to_le_bytes());
        }),
        Value::Stream(stream) => {
            digest.debug(&(stream.last_id, stream.max_deleted_id, stream.entries_added, stream.groups()));
            for entry in stream.iter() {
                digest.debug(&(entry.id, entry.fields()));
            }
        }
    }
}
