//! One Redis instance as a pure value: the same inputs give the same outputs, byte for byte.
//!
//! The journey of a command: `Instance::step` takes a request; `dispatch` finds the command, refuses or queues it, or has
//! it performed; the handler in `commands` works on the keyspace through `Call` and reports its changes; what it changed
//! is propagated; clients that waited for a key it touched are served; replies stand in the outbox.
//!
//! Nothing in here reads a clock, opens a file or draws a number that was not handed in with `Env`.

pub mod acl;
pub mod blocked;
pub mod call;
pub mod client;
pub mod cluster;
pub mod command;
pub mod commands;
pub mod config;
pub mod dict;
pub mod disk;
mod dispatch;
pub mod due;
pub mod evict;
pub mod expire;
pub mod hooks;
pub mod keyspace;
pub mod link;
pub mod memory;
pub mod migrate;
pub mod notify;
pub mod output_limit;
pub mod persist;
pub mod pubsub;
pub mod refusal;
pub mod replication;
pub mod scripting;
pub mod slowlog;
pub mod stats;
pub mod syntax;
#[cfg(test)]
pub mod testing;
pub mod tracking;
pub mod value;
mod watch;

use crate::base::{Bytes, Millis, RecentMap, Rng};
use crate::resp::Reply;
use acl::Acl;
use blocked::Waiting;
pub use call::Call;
pub use client::ClientId;
use client::{Client, Ends};
use cluster::Cluster;
pub use command::Command;
use config::Config;
use dict::HashSeed;
use disk::Disk;
use keyspace::Db;
use link::{Address, LinkId, Links, Owner};
use persist::Persistence;
use pubsub::PubSub;
use replication::Replication;
use slowlog::SlowLog;
use stats::Stats;
use std::collections::BTreeMap;
use tracking::Trackers;

/// What the instance says it is: the last Redis under the BSD licence, which Valkey continues.
pub const VERSION: &str = "7.2.6";

/// What the outside lends for one step. `now` does not move during it.
pub struct Env<'a> {
    pub now: Millis,
    pub rng: &'a mut Rng,
    pub disk: &'a mut dyn Disk,
}

/// What DEBUG switches beside what has a place of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Switches {
    /// Checksums of RDB files and of RESTORE's payloads are not looked at.
    pub skip_checksum: bool,
    /// How long the most that stood in a client's reply buffer is remembered; None: for ever.
    pub reply_peak_kept: Option<Millis>,
    /// Reply buffers become smaller and larger as they are used.
    pub reply_resizing: bool,
    /// Microseconds that the server stands still before it writes to the append only file.
    pub aof_flush_sleep_us: u64,
}

impl Default for Switches {
    fn default() -> Self {
        let reply_peak_kept = Some(Millis::from_secs(5));
        Switches { skip_checksum: false, reply_peak_kept, reply_resizing: true, aof_flush_sleep_us: 0 }
    }
}

/// What can happen to an instance.
#[derive(Clone, Debug, PartialEq)]
pub enum Input {
    /// Somebody connects, over loopback.
    Connect(ClientId),
    /// Somebody connects, and from where.
    ConnectFrom(ClientId, Ends),
    Request(ClientId, Vec<Bytes>),
    Hangup(ClientId),
    /// A link that this instance dialled stands.
    LinkUp(LinkId),
    /// Somebody opened a link to the bus port, from this host.
    LinkCameIn(LinkId, String),
    LinkBytes(LinkId, Vec<u8>),
    /// A link ended, or could not be made.
    LinkDown(LinkId),
    /// serverCron: active expiry, timeouts, save points, fsync policy. Ten times a second, or less when idle.
    Tick,
}

/// What an instance says.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    Reply(ClientId, Reply),
    /// Out of band: a message, a MONITOR line, an invalidation.
    Push(ClientId, Reply),
    /// Bytes to a client as they stand: the snapshot and the stream that a replica gets.
    Raw(ClientId, Vec<u8>),
    /// Open a link to another server; `Input::LinkUp` or `LinkDown` answers.
    Dial(LinkId, Address),
    LinkSend(LinkId, Vec<u8>),
    /// End a link; nothing more comes over it, no `LinkDown` either.
    LinkClose(LinkId),
    /// The connection ends, after what was said before.
    Close(ClientId),
    /// A line of the server's log, without its time stamp.
    Log(String),
    /// Only while `Instance::tracing`: a key changed.
    Trace(KeyTrace),
    /// Only while `Instance::tracing`: a key that this client watches has changed, so its EXEC will answer nil.
    WatchBroken(ClientId, usize, Bytes),
    /// The process ends (SHUTDOWN).
    Exit,
}

/// A change of a key, named as its keyspace event.
#[derive(Clone, Debug, PartialEq)]
pub struct KeyTrace {
    pub db: usize,
    pub key: Bytes,
    pub event: &'static str,
}

pub type Outbox = Vec<Output>;

/// A command on its way to the AOF and the replicas.
#[derive(Clone, Debug, PartialEq)]
pub struct Propagated {
    /// Or `ANY_DB`.
    pub db: usize,
    pub args: Vec<Bytes>,
    /// Messages go to replicas only.
    pub to_aof: bool,
}

/// For a command that has no database of its own: MULTI and EXEC around what was propagated together.
pub const ANY_DB: usize = usize::MAX;

/// CLIENT PAUSE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pause {
    pub until: Millis,
    /// Reads wait too.
    pub all: bool,
}

/// A Redis server without its process.
#[derive(Clone)]
pub struct Instance {
    pub config: Config,
    pub acl: Acl,
    pub dbs: Vec<Db>,
    pub clients: RecentMap<ClientId, Client>,
    pub pubsub: PubSub,
    pub stats: Stats,
    pub waiting: Waiting,
    /// Where in `propagated` begins what the request being carried out has caused.
    unit_mark: usize,
    /// As whoever holds the connections has told last; None where nobody does.
    pub client_memory: Option<hooks::ClientMemory>,
    /// The database with which active expiry goes on.
    pub expire_from: usize,
    pub eviction_pool: evict::Pool,
    /// Who watches which key.
    pub watchers: BTreeMap<(usize, Bytes), Vec<ClientId>>,
    /// Changes since the last save.
    pub dirty: u64,
    /// What this step has to write to the AOF and send to replicas, in order.
    pub propagated: Vec<Propagated>,
    /// Whose requests this step has carried out.
    carried_out: Vec<ClientId>,
    /// Clients that see every command (MONITOR), first come first.
    pub monitors: Vec<ClientId>,
    pub trackers: Trackers,
    pub slowlog: SlowLog,
    pub scripting: scripting::Scripting,
    pub latency: slowlog::Latency,
    /// Waits that this step ends, with their replies (CLIENT UNBLOCK).
    pub woken: Vec<(ClientId, Reply)>,
    /// Where in the outbox the command that is being carried out begins to speak.
    command_mark: usize,
    /// Whose request is being carried out.
    pub current: Option<ClientId>,
    /// CLIENT PAUSE: until when, and whether it holds back reads too.
    pub pause: Option<Pause>,
    /// DEBUG SET-ACTIVE-EXPIRE 0 switches the sampling passes off.
    pub active_expire: bool,
    pub switches: Switches,
    /// DEBUG PAUSE-CRON.
    pub cron_paused: bool,
    /// How long DEBUG SLEEP really slept in this step: what follows in it is that much later.
    pub slept: Millis,
    pub hooks: hooks::Hooks,
    /// Within a pipeline, when its last command ended by the stopwatch: the next one begins there.
    lap_us: Option<u64>,
    pipelined: bool,
    /// Say every change of a key as `Output::Trace`, and every broken watch as `Output::WatchBroken`.
    pub tracing: bool,
    /// Watches that broke and were not told yet; empty between steps.
    broken_watches: Vec<(ClientId, usize, Bytes)>,
    pub seed: HashSeed,
    pub run_id: String,
    pub persist: Persistence,
    pub replication: Replication,
    pub links: Links,
    /// None: cluster mode is off.
    pub cluster: Option<Box<Cluster>>,
    /// MIGRATE is under way: nobody else is served.
    pub migration: Option<Box<migrate::Migration>>,
    /// A manual failover holds back writes of clients until then.
    pub failover_pause: Option<Millis>,
    pub now: Millis,
}

impl Instance {
    /// An empty instance. `rng` gives its run id and the secret of its hash tables.
    pub fn new(config: Config, now: Millis, rng: &mut Rng) -> Instance {
        let seed = HashSeed(rng.next_u64(), rng.next_u64());
        let stats =
            Stats { started_at: now, commands: vec![Default::default(); commands::count()], ..Stats::default() };
        let mut acl = Acl::default();
        acl.put(acl.with_password(&config.text("requirepass")));
        Instance {
            acl,
            dbs: (0..config.databases).map(|_| Db::new(seed)).collect(),
            config,
            clients: RecentMap::new(),
            pubsub: PubSub::default(),
            stats,
            waiting: Waiting::default(),
            unit_mark: 0,
            client_memory: None,
            expire_from: 0,
            eviction_pool: evict::Pool::default(),
            watchers: BTreeMap::new(),
            dirty: 0,
            propagated: Vec::new(),
            carried_out: Vec::new(),
            monitors: Vec::new(),
            trackers: Trackers::default(),
            slowlog: SlowLog::default(),
            scripting: scripting::Scripting::default(),
            latency: slowlog::Latency::default(),
            woken: Vec::new(),
            command_mark: 0,
            current: None,
            pause: None,
            active_expire: true,
            switches: Switches::default(),
            cron_paused: false,
            slept: Millis::ZERO,
            hooks: hooks::Hooks::default(),
            lap_us: None,
            pipelined: false,
            tracing: false,
            broken_watches: Vec::new(),
            seed,
            run_id: rng.hex40(),
            persist: Persistence::new(now),
            replication: Replication::new(now, rng),
            links: Links::default(),
            cluster: None,
            migration: None,
            failover_pause: None,
            now,
        }
    }

    /// Takes one input and appends what follows from it to `out`.
    pub fn step(&mut self, env: &mut Env, input: Input, out: &mut Outbox) {
        self.now = env.now;
        match input {
            Input::Connect(id) => self.welcome(id, None, out),
            Input::ConnectFrom(id, ends) => self.welcome(id, Some(ends), out),
            Input::Request(id, args) => self.request(env, id, &args, out),
            Input::Hangup(id) => {
                self.note_lost_replica(id, out);
                self.hang_up(id);
            }
            Input::LinkUp(_) | Input::LinkCameIn(..) | Input::LinkBytes(..) | Input::LinkDown(_) => {
                self.link_input(env, input, out);
            }
            Input::Tick => self.tick(env, out),
        }
        self.end_cluster_step(env, out);
        self.tell_broken_watches(out);
    }

    /// The step of an `Input::Request` whose words are only lent.
    pub fn serve(&mut self, env: &mut Env, id: ClientId, args: &[Bytes], out: &mut Outbox) {
        self.now = env.now;
        self.request(env, id, args, out);
        self.end_cluster_step(env, out);
        self.tell_broken_watches(out);
    }

    /// Says which watches broke, while somebody traces. Before the reply of the command that did it, as its other changes.
    fn tell_broken_watches(&mut self, out: &mut Outbox) {
        if self.broken_watches.is_empty() {
            return;
        }
        out.extend(self.broken_watches.drain(..).map(|(id, db, key)| Output::WatchBroken(id, db, key)));
    }

    /// Hands what a link brings to the part of the instance that it belongs to.
    fn link_input(&mut self, env: &mut Env, input: Input, out: &mut Outbox) {
        let (Input::LinkUp(link) | Input::LinkCameIn(link, _) | Input::LinkBytes(link, _) | Input::LinkDown(link)) =
            input
        else {
            return;
        };
        if matches!(input, Input::LinkCameIn(..)) {
            self.links.came_in(link);
        }
        // Of a link that this instance has closed nothing matters any more.
        let Some(owner) = self.links.owner(link) else { return };
        if matches!(input, Input::LinkDown(_)) {
            self.links.ended(link);
        }
        match owner {
            Owner::Bus => {
                self.bus_input(env, input, out);
                self.after_step(env, out);
            }
            Owner::Migrate => {
                self.migration_input(env, input, out);
                self.after_step(env, out);
            }
            Owner::Replication => self.primary_input(env, input, out),
        }
    }

    /// Told of requests that one client will make next, one right after the other, looks ahead at their keys: a matter of
    /// speed only. Small tables are in the processor's cache anyway. `pipeline_ended` is called behind the last of them.
    pub fn expect(&mut self, id: ClientId, requests: &[Vec<Bytes>]) {
        self.pipelined = true;
        let Some(db) = self.clients.get(&id).and_then(|client| self.dbs.get(client.db)) else { return };
        db.warm(requests.iter().filter_map(|args| args.get(1)).map(|key| &**key));
        // Often all of them are about one collection: then it is its members that are far apart.
        if let Some([_, key, ..]) = requests.first().map(Vec::as_slice)
            && let Some(slot) = db.slot(key)
        {
            slot.value.warm(requests.iter().map(Vec::as_slice).filter(|args| args.get(1) == Some(key)));
        }
    }

    pub fn pipeline_ended(&mut self) {
        (self.pipelined, self.lap_us) = (false, None);
    }

    /// Whether this instance removes expired keys itself (a replica waits for its primary's DEL); not during a pause.
    pub fn expires_keys(&self) -> bool {
        let paused = self.pause.is_some() || self.failover_pause.is_some() || self.persist.ending.is_some();
        !paused && !self.persist.loading && !self.is_replica()
    }

    /// What `Slot::access` of a new key is.
    pub fn access_stamp(&self, now: Millis) -> u32 {
        evict::fresh(&self.config, now)
    }

    /// Notes a command for the AOF and the replicas.
    pub fn propagate(&mut self, db: usize, args: Vec<Bytes>) {
        if self.propagates() {
            self.propagated.push(Propagated { db, args, to_aof: true });
        }
    }

    /// Notes a command for the replicas only.
    pub fn propagate_to_replicas(&mut self, db: usize, args: Vec<Bytes>) {
        if self.propagates() {
            self.propagated.push(Propagated { db, args, to_aof: false });
        }
    }
}
