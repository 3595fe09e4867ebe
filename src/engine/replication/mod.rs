//! Replication: a primary's changes as a stream of bytes, and the replicas that follow it.
//!
//! As in Redis each data set's history has a name (the replication id) and a length in bytes (the offset). A replica dials
//! its primary's client port, says who it is, and asks to go on at the offset that it has reached; the primary answers with
//! the missing bytes, or with a whole snapshot. What a replica gets it hands on byte for byte, so that after a failover
//! everybody can go on from where they stood: the new primary remembers the old id up to the offset at which it took over.
//!
//! Order for readers: here (what an instance knows, and its change of roles), `feed` (a primary's stream), `attach` (how a
//! replica joins it), `follow` and `stream` (the replica's side), `wait`, `failover`, `cron`, `info`.

pub mod attach;
mod backlog;
mod cron;
pub mod failover;
mod feed;
mod follow;
mod info;
mod stream;
pub mod wait;

use super::client::ClientId;
use super::command::{self, Flags};
use super::config;
use super::link::LinkId;
use super::persist::rdb;
use super::refusal::Refusal;
use super::{Env, Instance, Outbox, Output};
use crate::base::{Bytes, Millis, Rng};
use crate::resp::Reply;
use attach::Replica;
use backlog::Backlog;
use failover::Failover;
pub use follow::{Phase, Primary};
use stream::{Cached, Stream};
use wait::Waiter;

/// The id of no history.
pub const NO_ID: &str = "0000000000000000000000000000000000000000";

/// The client as which a replica carries out what its primary sends. Real clients have higher numbers.
pub const PRIMARY: ClientId = ClientId(2);

const MASTERDOWN: &str = "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.";
const READONLY: &str = "READONLY You can't write against a read only replica.";
const NOREPLICAS: &str = "NOREPLICAS Not enough good replicas to write.";
const UNBLOCKED: &str = "UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)";

/// What an instance knows of its place in replication.
#[derive(Clone, Debug)]
pub struct Replication {
    /// Names the history of changes that this instance's data set is part of.
    pub id: String,
    /// The history that it was part of until `second_offset`, before a failover; `NO_ID` if none.
    pub id2: String,
    /// The first offset that `id2` is no longer valid for; -1 without one.
    pub second_offset: i64,
    /// Bytes of the history so far.
    pub offset: u64,
    pub(in crate::engine) backlog: Option<Backlog>,
    /// Clients that are replicas, in the order in which they came.
    pub replicas: Vec<ClientId>,
    /// Since when a primary has had none.
    no_replicas_since: Millis,
    /// The database that the stream stands in; None: the next command names its own first.
    selected_db: Option<usize>,
    /// Ask all replicas how far they are at the end of this step.
    asks_for_acks: bool,
    /// Clients in WAIT and WAITAOF.
    waiters: Vec<Waiter>,
    failover: Option<Failover>,
    /// None: a primary.
    pub primary: Option<Primary>,
    /// What flows from the primary, over a link that is up.
    stream: Option<Stream>,
    /// Where the stream broke off, or would have to go on from here.
    cached: Option<Cached>,
    /// When a replica lost its primary; zero: never.
    down_since: Millis,
    /// The RDB file that stands on the disk was made for replicas, or came from the primary.
    sync_file: bool,
    next_cron: Millis,
    cron_runs: u64,
    /// The history as far as the AOF has it on the platter; -1 without an AOF.
    pub fsynced_offset: i64,
    pub syncs_full: u64,
    pub syncs_partial_ok: u64,
    pub syncs_partial_refused: u64,
}

impl Replication {
    pub fn new(now: Millis, rng: &mut Rng) -> Replication {
        Replication {
            id: rng.hex40(),
            id2: NO_ID.to_owned(),
            second_offset: -1,
            offset: 0,
            backlog: None,
            replicas: Vec::new(),
            no_replicas_since: now,
            selected_db: None,
            asks_for_acks: false,
            waiters: Vec::new(),
            failover: None,
            primary: None,
            stream: None,
            cached: None,
            down_since: Millis::ZERO,
            sync_file: false,
            next_cron: now,
            cron_runs: 0,
            fsynced_offset: -1,
            syncs_full: 0,
            syncs_partial_ok: 0,
            syncs_partial_refused: 0,
        }
    }

    /// Begins a history of its own: what stood before does not lead here.
    pub fn rename(&mut self, rng: &mut Rng) {
        self.id = rng.hex40();
        self.id2 = NO_ID.to_owned();
        self.second_offset = -1;
    }

    /// Goes on under another name; what was until now is remembered under the old one.
    fn shift(&mut self, rng: &mut Rng, out: &mut Outbox) {
        self.id2 = std::mem::replace(&mut self.id, rng.hex40());
        self.second_offset = self.offset as i64 + 1;
        notice(
            out,
            format!(
                "Setting secondary replication ID to {}, valid up to offset: {}. New replication ID is {}",
                self.id2, self.second_offset, self.id
            ),
        );
    }

    /// A failover waits for a replica that has everything.
    pub fn failover_waits(&self) -> bool {
        self.failover.is_some()
    }

    /// A client waits for no acknowledgement any more.
    pub(super) fn forget_waiter(&mut self, id: ClientId) {
        if !self.waiters.is_empty() {
            wait::forget(&mut self.waiters, id);
        }
    }

    /// Somebody waits in WAIT or WAITAOF.
    pub fn has_waiters(&self) -> bool {
        !self.waiters.is_empty()
    }
}

fn notice(out: &mut Outbox, text: impl Into<String>) {
    out.push(Output::Log(format!("* {}", text.into())));
}

fn warning(out: &mut Outbox, text: impl Into<String>) {
    out.push(Output::Log(format!("# {}", text.into())));
}

// -- looking ---------------------------------------------------------------------------------------------------------

impl Instance {
    pub fn is_replica(&self) -> bool {
        self.replication.primary.is_some()
    }

    /// Bytes of the history that this data set is at: what it has sent as a primary, what it has applied as a replica.
    pub fn replication_offset(&self) -> u64 {
        match (&self.replication.primary, &self.replication.stream, &self.replication.cached) {
            (Some(_), Some(stream), _) => stream.offset,
            (Some(_), None, Some(cached)) => cached.offset,
            (Some(_), None, None) => 0,
            (None, ..) => self.replication.offset,
        }
    }

    /// Whether the stream from the primary flows; false for a primary.
    pub fn link_up(&self) -> bool {
        self.replication.primary.as_ref().is_some_and(|primary| primary.phase == Phase::Connected)
    }

    /// When something last came from the primary, over a link that is up.
    pub fn last_io(&self) -> Option<Millis> {
        self.replication.stream.as_ref().map(|stream| stream.last_io)
    }

    /// Since when a replica has been without its primary; None if it is not, or never had one.
    pub fn down_since(&self) -> Option<Millis> {
        Some(self.replication.down_since).filter(|since| *since > Millis::ZERO && self.is_replica() && !self.link_up())
    }

    /// Whether anybody has to be told what changes: the AOF, or replicas now or later.
    pub fn propagates(&self) -> bool {
        self.persist.aof.listens() || (self.replication.backlog.is_some() && self.replication.primary.is_none())
    }

    // -- refusing ----------------------------------------------------------------------------------------------------

    /// Why writes of ordinary clients are refused here for the sake of replication; None if they are not.
    pub fn write_refusal(&self) -> Option<Refusal> {
        if !self.is_replica() {
            let wanted = self.config.min_replicas_to_write;
            if wanted > 0 && self.config.min_replicas_max_lag_secs > 0 && (self.good_replicas() as i64) < wanted {
                return Some(Refusal::new(NOREPLICAS));
            }
            return None;
        }
        self.config.flag("replica-read-only").then(|| Refusal::new(READONLY))
    }

    /// As `write_refusal`, for a command of these flags; EXEC counts as what it will carry out.
    pub(super) fn admit_write_by_role(&self, flags: Flags) -> Result<(), Refusal> {
        if !flags.has(command::WRITE) {
            return Ok(());
        }
        self.write_refusal().map_or(Ok(()), Err)
    }

    /// Whether the data may be old, and must then not be served: a replica without its primary.
    pub(super) fn is_stale(&self) -> bool {
        self.is_replica() && !self.link_up() && !self.config.flag("replica-serve-stale-data")
    }

    /// Other reasons of replication to refuse an ordinary client's command.
    pub(super) fn admit_by_role(&self, id: ClientId, flags: Flags) -> Result<(), Refusal> {
        if self.is_stale() && !flags.has(command::STALE) {
            return Err(Refusal::new(MASTERDOWN));
        }
        let touches_keys = command::WRITE.with(command::READONLY).with(command::MAY_REPLICATE);
        if flags.any(touches_keys) && self.clients[&id].is_replica() {
            return Err(Refusal::new("ERR Replica can't interact with the keyspace"));
        }
        Ok(())
    }

    // -- changing roles ----------------------------------------------------------------------------------------------

    /// What REPLICAOF HOST PORT does: follows another primary from now on. The data set stays until the new primary has
    /// said how to go on.
    pub fn replicate_from(&mut self, host: &str, port: u16, env: &mut Env, out: &mut Outbox) {
        let was_primary = !self.is_replica();
        self.leave_primary(out);
        self.unblock_all(out);
        if was_primary {
            self.discard_cached(out);
            notice(
                out,
                "Before turning into a replica, using my own master parameters to synthesize a cached master: I may be able to synchronize with the new master with just a partial transfer.",
            );
            self.cache_myself();
        }
        self.replication.primary = Some(Primary::new(host, port));
        self.note_primary();
        notice(out, format!("Connecting to MASTER {host}:{port}"));
        self.connect_to_primary(env.now, out);
    }

    /// What REPLICAOF NO ONE does: a primary from now on, with a history of its own that begins where the old one ends.
    /// Nothing happens to a primary.
    pub fn promote(&mut self, env: &mut Env, out: &mut Outbox) {
        if self.replication.primary.is_none() {
            return;
        }
        self.leave_primary(out);
        self.discard_cached(out);
        self.replication.shift(env.rng, out);
        // They must learn of the new name; that they can go on without a snapshot makes it quick.
        self.drop_replicas(out);
        self.replication.selected_db = None;
        self.replication.no_replicas_since = env.now;
        self.replication.down_since = Millis::ZERO;
        self.note_primary();
        self.restart_aof(env, out);
    }

    /// CONFIG GET replicaof, and what CONFIG REWRITE keeps, say who is followed.
    fn note_primary(&mut self) {
        let primary = self.replication.primary.as_ref();
        let words =
            primary.map_or([String::from("no"), String::from("one")], |it| [it.host.clone(), it.port.to_string()]);
        if let Some((parameter, _)) = config::table::find(b"replicaof") {
            // A host as a client gave it is never refused here.
            let _ = self.config.set_words(parameter, &words.map(Bytes::from));
        }
    }

    /// At the start: follows whom the config file names. The first tick dials.
    pub(super) fn follow_config(&mut self) {
        let named = self.config.text("replicaof").lossy().into_owned();
        if let Some((host, port)) = named.split_once(' ')
            && let Ok(port) = port.parse()
        {
            self.replication.primary = Some(Primary::new(host, port));
        }
    }

    /// Ends the link to the primary, however far it has come; where the stream broke off is remembered.
    fn leave_primary(&mut self, out: &mut Outbox) {
        let link = self.replication.primary.take().and_then(|primary| primary.link);
        self.drop_stream(out);
        if let Some(link) = link {
            self.links.close(link, out);
        }
    }

    /// Whether it follows this one.
    pub fn follows(&self, host: &str, port: u16) -> bool {
        let primary = self.replication.primary.as_ref();
        primary.is_some_and(|primary| primary.host.eq_ignore_ascii_case(host) && primary.port == port)
    }

    pub fn failover_under_way(&self) -> bool {
        self.replication.failover.is_some()
    }

    /// A notice of the log about this instance's role.
    pub(super) fn say_role(&self, text: &str, out: &mut Outbox) {
        notice(out, text);
    }

    /// Where the data set stands in a history, for RDB files.
    pub(super) fn stream_position(&self) -> Option<rdb::Position> {
        let replication = &self.replication;
        let db = match (&replication.stream, &replication.cached) {
            _ if !self.is_replica() && replication.backlog.is_some() => replication.selected_db.unwrap_or(0),
            (Some(_), _) => self.clients.get(&PRIMARY).map_or(0, |client| client.db),
            (None, Some(cached)) => cached.db,
            _ => return None,
        };
        let id = replication.id.as_bytes().try_into().ok()?;
        Some(rdb::Position { db, id, offset: replication.offset })
    }

    /// What an RDB file that was loaded at the start says of its place in a history: a replica can go on from there, a
    /// primary can serve those that come back.
    pub(super) fn resume_history(&mut self, position: rdb::Position) {
        let id = String::from_utf8_lossy(&position.id).into_owned();
        let replication = &mut self.replication;
        replication.offset = position.offset;
        if replication.primary.is_some() {
            replication.id = id;
            self.cache_myself();
            if let Some(cached) = &mut self.replication.cached {
                cached.db = position.db;
            }
        } else {
            replication.id2 = id;
            replication.second_offset = position.offset as i64 + 1;
            replication.no_replicas_since = self.now;
            self.create_backlog();
        }
    }

    /// Clients that wait are sent away: what they wait for may never happen here.
    fn unblock_all(&mut self, out: &mut Outbox) {
        let blocked: Vec<ClientId> =
            self.clients.values().filter(|client| client.blocked.is_some()).map(|client| client.id).collect();
        for id in blocked {
            self.end_wait(id, Reply::error(UNBLOCKED), out);
            self.close_client(id, out);
        }
    }

    /// Ends the links to all replicas.
    fn drop_replicas(&mut self, out: &mut Outbox) {
        for id in self.replication.replicas.clone() {
            self.close_client(id, out);
        }
    }

    /// Switches the AOF on again that was off while the data set was replaced.
    fn restart_aof(&mut self, env: &mut Env, out: &mut Outbox) {
        if self.config.appendonly && !self.persist.aof.listens() && self.start_aof(env, false, out).is_err() {
            warning(
                out,
                "FATAL: this replica instance finished the synchronization with its master, but the AOF can't be turned on. Exiting now.",
            );
            out.push(Output::Exit);
        }
    }
}

/// `host:port`, an IPv6 host in brackets.
fn address(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

/// The host of a client's `host:port`.
fn host_of(addr: &str) -> &str {
    addr.rsplit_once(':').map_or(addr, |(host, _)| host).trim_start_matches('[').trim_end_matches(']')
}

impl super::client::Client {
    /// It gets the stream, or waits for its snapshot.
    pub fn is_replica(&self) -> bool {
        self.replica.as_deref().is_some_and(Replica::is_attached)
    }

    /// The one as which the primary's commands are carried out.
    pub fn is_primary(&self) -> bool {
        self.primary
    }
}

/// What a replica tells of itself, and the rest of a request over its link.
fn words(words: &[&str]) -> Vec<Bytes> {
    words.iter().map(|word| Bytes::from(*word)).collect()
}

/// The link of a dialled primary.
fn link_of(primary: &Option<Primary>) -> Option<LinkId> {
    primary.as_ref()?.link
}
