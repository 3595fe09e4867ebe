//! Snapshots: the world as panes and checks see it. Made by peeking only, so looking never changes anything.

use super::process::Process;
use super::world::World;
use crate::base::Bytes;
use crate::engine::Instance;
use crate::engine::client::{Client, ClientId};
use crate::engine::keyspace::{Db, Slot};
use crate::engine::memory;
use crate::engine::persist::Child;
use crate::engine::replication::{NO_ID, attach};
use crate::engine::value::Value;
use crate::resp::Protocol;
use crate::snapshot::{self, ITEMS_SHOWN, KEYS_SHOWN};
use std::collections::BinaryHeap;

impl World {
    pub fn snapshot(&self) -> snapshot::World {
        let own =
            |path: &str| self.processes.iter().any(|process| process.dir != self.home && below(path, &process.dir));
        let shared = self.disk.files_below("").filter(|path| !own(path));
        snapshot::World {
            now: self.now,
            instances: (0..self.processes.len()).map(|at| self.look_at(at)).collect(),
            files: shared.map(|path| self.look_at_file(path, &self.home)).collect(),
            sql: self.database.0.as_ref().map(|database| database.tables()).unwrap_or_default(),
            network: self.look_at_network(),
        }
    }

    /// What a key holds, if it is there and has not expired.
    pub(super) fn value_of(&self, process: usize, db: usize, key: &[u8]) -> Option<snapshot::Value> {
        let slot = self.processes[process].instance.as_ref()?.dbs.get(db)?.peek(key, self.now)?;
        Some(look_at_value(&slot.value))
    }

    fn look_at(&self, at: usize) -> snapshot::Instance {
        let process = &self.processes[at];
        let instance = process.instance.as_deref();
        let dbs = instance.map(|it| it.dbs.iter().enumerate().filter(|(_, db)| !db.is_empty()).collect::<Vec<_>>());
        let clients =
            instance.map(|it| it.clients.values().map(|client| self.look_at_client(at, it, client)).collect());
        snapshot::Instance {
            name: process.name.clone(),
            port: process.port,
            pid: process.pid,
            state: process.state,
            dbs: dbs.unwrap_or_default().into_iter().map(|(index, db)| look_at_db(index, db)).collect(),
            clients: clients.unwrap_or_default(),
            disk: self.look_at_disk(process, instance),
            config: instance.map(look_at_config).unwrap_or_default(),
            users: instance.map(look_at_users).unwrap_or_default(),
            used_memory_bytes: instance.map_or(0, Instance::used_memory),
            expired_keys: instance.map_or(0, |it| it.stats.expired_keys),
            evicted_keys: instance.map_or(0, |it| it.stats.evicted_keys),
            replication: instance.map(look_at_replication),
            cluster: instance.and_then(|it| self.look_at_cluster(it)),
        }
    }

    /// The instance of the server that listens on `port`, for tests and measures; None: it does not run.
    pub fn instance(&self, port: u16) -> Option<&Instance> {
        self.processes.iter().find(|process| process.port == port)?.instance.as_deref()
    }

    fn look_at_client(&self, at: usize, instance: &Instance, client: &Client) -> snapshot::Client {
        snapshot::Client {
            id: client.id.0,
            terminal: self.terminal_of(at, client.id),
            db: client.db,
            queued: client.transaction.as_ref().map(|it| it.queue.iter().map(|(_, args)| args.clone()).collect()),
            watched: client.watched.iter().map(|it| (it.db, it.key.clone())).collect(),
            subscriptions: client.subscriptions(),
            blocked: client.blocked.is_some() || client.postponed,
            monitor: client.monitor,
            resp3: client.protocol == Protocol::Resp3,
            name: client.name.clone(),
            user: client.user.name.clone(),
            authenticated: client.authenticated || !instance.acl.requires_login(),
        }
    }

    fn terminal_of(&self, at: usize, client: ClientId) -> Option<String> {
        let mut all = self.connections.values();
        all.find(|it| it.open && it.process == at && it.client == client).and_then(|it| it.terminal.clone())
    }

    fn look_at_disk(&self, process: &Process, instance: Option<&Instance>) -> snapshot::Disk {
        let files = self.disk.files_below(&process.dir).map(|path| self.look_at_file(path, &process.dir)).collect();
        let dir = format!("/{}", process.dir);
        let Some(instance) = instance else { return snapshot::Disk { dir, files, ..snapshot::Disk::default() } };
        let (config, persist) = (&instance.config, &instance.persist);
        snapshot::Disk {
            dir,
            files,
            changes_since_save: instance.dirty,
            // A start counts as a save to LASTSAVE, but is none.
            last_save: Some(persist.last_save).filter(|at| *at != process.started_at),
            save_points: config.save.clone(),
            saving: matches!(persist.child, Some(Child::Save { .. })),
            aof_enabled: persist.aof.listens(),
            appendfsync: config.text("appendfsync").lossy().into_owned(),
            aof_rewriting: matches!(persist.child, Some(Child::Rewrite { .. })),
            aof_last_fsync: Some(persist.aof.last_fsync).filter(|_| persist.aof.listens()),
            aof_in_memory_bytes: persist.aof.buffer.len() as u64,
        }
    }

    /// A file, its path from `dir`.
    fn look_at_file(&self, path: &str, dir: &str) -> snapshot::File {
        let status = self.disk.status(path).expect("listed by the disk itself");
        let shown =
            if below(path, dir) { path[dir.len()..].trim_start_matches('/').to_owned() } else { format!("/{path}") };
        snapshot::File { path: shown, len: status.len, durable_len: status.durable_len, durable: status.durable }
    }
}

fn look_at_replication(instance: &Instance) -> snapshot::Replication {
    let replication = &instance.replication;
    snapshot::Replication {
        primary: replication.primary.as_ref().map(|primary| (primary.host.clone(), primary.port)),
        link_up: instance.link_up(),
        replid: replication.id.clone(),
        replid2: Some(replication.id2.clone()).filter(|id| id != NO_ID),
        offset: instance.replication_offset(),
        replicas: instance
            .attached()
            .filter_map(|(client, replica)| look_at_replica(instance, client, replica))
            .collect(),
    }
}

fn look_at_replica(instance: &Instance, client: &Client, replica: &attach::Replica) -> Option<snapshot::Replica> {
    let (host, port) = attach::place_of(client);
    Some(snapshot::Replica {
        host: host.to_owned(),
        port,
        state: replica.state.word()?,
        offset: replica.ack_offset,
        lag: instance.now.since(replica.ack_time),
    })
}

fn below(path: &str, dir: &str) -> bool {
    dir.is_empty() || path.strip_prefix(dir).is_some_and(|rest| rest.starts_with('/'))
}

/// As CONFIG GET * answers, sorted by name.
fn look_at_config(instance: &Instance) -> Vec<(String, String)> {
    let all = instance.config.matching(&[Bytes::from("*")]);
    let mut pairs: Vec<_> = all.into_iter().map(|(name, text)| (name.to_owned(), text.lossy().into_owned())).collect();
    pairs.sort();
    pairs
}

fn look_at_users(instance: &Instance) -> Vec<snapshot::User> {
    let look = |user: &std::sync::Arc<crate::engine::acl::User>| snapshot::User {
        name: user.name.clone(),
        on: user.on,
        nopass: user.nopass,
        rules: user.describe().lossy().into_owned(),
    };
    instance.acl.users().map(look).collect()
}

fn look_at_db(index: usize, db: &Db) -> snapshot::Db {
    // The first names in order, without sorting a million of them.
    let mut first: BinaryHeap<&Bytes> = BinaryHeap::new();
    for (name, _) in db.iter() {
        if first.len() < KEYS_SHOWN {
            first.push(name);
        } else if first.peek().is_some_and(|last| name < *last) {
            first.pop();
            first.push(name);
        }
    }
    let names = first.into_sorted_vec();
    let keys = names.into_iter().map(|name| look_at_key(name, db.slot(name).expect("iterated"))).collect();
    snapshot::Db { index, keys, size: db.len() }
}

fn look_at_key(name: &Bytes, slot: &Slot) -> snapshot::Key {
    snapshot::Key {
        name: name.clone(),
        kind: slot.value.kind(),
        encoding: slot.value.encoding(),
        length: slot.value.len(),
        expires_at: slot.expires_at(),
        memory_bytes: memory::usage(name, slot, memory::SAMPLES),
        value: look_at_value(&slot.value),
    }
}

fn look_at_value(value: &Value) -> snapshot::Value {
    match value {
        Value::String(text) => {
            let text = text.text();
            snapshot::Value::String(Bytes::copy(&text[..text.len().min(ITEMS_SHOWN * 64)]))
        }
        Value::List(list) => snapshot::Value::List(list.iter().take(ITEMS_SHOWN).map(to_bytes).collect()),
        Value::Set(set) => {
            let mut members: Vec<Bytes> = set.iter().collect();
            members.sort();
            members.truncate(ITEMS_SHOWN);
            snapshot::Value::Set(members)
        }
        Value::Hash(hash) => {
            let fields = hash.iter().take(ITEMS_SHOWN);
            snapshot::Value::Hash(fields.map(|(field, value)| (to_bytes(field), to_bytes(value))).collect())
        }
        Value::Zset(zset) => {
            let members = zset.iter().take(ITEMS_SHOWN);
            snapshot::Value::Zset(members.map(|(member, score)| (to_bytes(member), score)).collect())
        }
        Value::Stream(stream) => {
            let pairs = |fields: Vec<Bytes>| fields.chunks(2).map(|pair| (pair[0].clone(), pair[1].clone())).collect();
            let entries = stream.iter().take(ITEMS_SHOWN);
            snapshot::Value::Stream(entries.map(|entry| (entry.id.to_string(), pairs(entry.fields()))).collect())
        }
    }
}

fn to_bytes(bytes: impl AsRef<[u8]>) -> Bytes {
    Bytes::copy(bytes.as_ref())
}
