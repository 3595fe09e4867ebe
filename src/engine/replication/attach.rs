//! How a replica joins the stream: REPLCONF, PSYNC and SYNC, on the primary's side.
//!
//! A replica that can go on from the backlog does so at once. All others wait for a snapshot: one background save serves
//! everybody who waits when it begins; what changes meanwhile is kept for each. Without a disk the snapshot ends in a mark
//! of 40 bytes, and the stream begins only when the replica has said that it has seen it.

use super::backlog::Backlog;
use super::{address, host_of, notice, warning};
use crate::base::{Bytes, Millis, quote};
use crate::engine::call::Call;
use crate::engine::client::{Client, ClientId};
use crate::engine::command::Outcome;
use crate::engine::keyspace::Db;
use crate::engine::persist::{Child, rdb};
use crate::engine::refusal::{self, Refusal};
use crate::engine::value::string::parse_int;
use crate::engine::{Env, Instance, Outbox, Output};
use crate::resp::Reply;
use std::sync::Arc;

/// A backlog has at least this many bytes (`CONFIG_REPL_BACKLOG_MIN_SIZE`).
const BACKLOG_MIN: i64 = 16 * 1024;

#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub enum State {
    /// It has told of itself, but asked for nothing.
    #[default]
    Greeting,
    WaitBgsaveStart,
    WaitBgsaveEnd,
    Online,
    /// It wanted a snapshot only, and has it.
    RdbSent,
}

impl State {
    /// INFO's word; None where it shows nothing.
    pub fn word(self) -> Option<&'static str> {
        match self {
            State::Greeting => None,
            State::WaitBgsaveStart | State::WaitBgsaveEnd => Some("wait_bgsave"),
            State::Online => Some("online"),
            State::RdbSent => Some("rdb_transmitted"),
        }
    }
}

/// What a primary remembers of a replica, beside the client that it is.
#[derive(Clone, Debug, Default)]
pub struct Replica {
    pub state: State,
    /// 0: not told.
    pub listening_port: u16,
    /// Empty: where it connects from.
    pub ip_address: String,
    understands_mark: bool,
    understands_psync2: bool,
    /// It came with SYNC, as old versions do, and will acknowledge nothing.
    pub before_psync: bool,
    /// It wants no stream behind the snapshot.
    pub rdb_only: bool,
    leaves_out: LeavesOut,
    /// What it has acknowledged: applied, and on the platter; when.
    pub ack_offset: u64,
    pub aof_offset: u64,
    pub ack_time: Millis,
    /// The stream's offset at which its snapshot was taken.
    snapshot_offset: u64,
    /// The stream since then.
    pub buffered: Vec<u8>,
    /// The stream begins with its first acknowledgement.
    pub starts_on_ack: bool,
    asked_at: Millis,
}

/// REPLCONF rdb-filter-only: parts of the snapshot that a replica does not want.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
struct LeavesOut {
    data: bool,
    functions: bool,
}

impl Replica {
    pub fn is_attached(&self) -> bool {
        self.state != State::Greeting
    }
}

/// REPLCONF: what a replica tells of itself, and acknowledgements.
pub fn replconf(call: &mut Call) -> Outcome {
    if call.args.len().is_multiple_of(2) {
        return Err(refusal::SYNTAX);
    }
    for index in (1..call.args.len()).step_by(2) {
        let value = call.args[index + 1].clone();
        match call.args[index].to_ascii_lowercase().as_slice() {
            b"listening-port" => replica(call).listening_port = call_port(call, index + 1)?,
            b"ip-address" if value.len() >= 256 => {
                let len = value.len();
                return Err(Refusal::from(format!(
                    "ERR REPLCONF ip-address provided by replica instance is too long: {len} bytes"
                )));
            }
            b"ip-address" => replica(call).ip_address = value.lossy().into_owned(),
            b"capa" => {
                // What is not understood is ignored: newer replicas know more.
                let replica = replica(call);
                replica.understands_mark |= value.eq_ignore_ascii_case(b"eof");
                replica.understands_psync2 |= value.eq_ignore_ascii_case(b"psync2");
            }
            b"ack" => {
                acknowledge(call, index);
                return Ok(Reply::None);
            }
            b"getack" => {
                call.server.send_ack(call.out);
                return Ok(Reply::None);
            }
            b"rdb-only" => match call.int(index + 1)? {
                wanted @ (0 | 1) => replica(call).rdb_only = wanted == 1,
                _ => return Err(Refusal::new("ERR value is out of range, must be between 0 and 1")),
            },
            b"rdb-filter-only" => replica(call).leaves_out = filter(&value)?,
            _ => {
                let option = call.args[index].lossy().into_owned();
                return Err(Refusal::from(format!("ERR Unrecognized REPLCONF option: {option}")));
            }
        }
    }
    Ok(Reply::OK)
}

fn replica<'a>(call: &'a mut Call) -> &'a mut Replica {
    call.me_mut().replica.get_or_insert_default()
}

fn call_port(call: &Call, index: usize) -> Result<u16, Refusal> {
    // Redis keeps any number; what is none shows as 0.
    call.int(index).map(|port| u16::try_from(port).unwrap_or(0))
}

fn filter(value: &Bytes) -> Result<LeavesOut, Refusal> {
    let words: Vec<Bytes> = quote::split(value).map_err(|_| Refusal::new("ERR Missing rdb-filter-only values"))?;
    let mut leaves_out = LeavesOut { data: true, functions: true };
    for word in words {
        if !word.eq_ignore_ascii_case(b"functions") {
            return Err(Refusal::from(format!("ERR Unsupported rdb-filter-only option: {}", word.printed())));
        }
        leaves_out.functions = false;
    }
    Ok(leaves_out)
}

/// REPLCONF ACK offset [FACK offset], of a replica only. Never answered.
fn acknowledge(call: &mut Call, index: usize) {
    let (applied, word, synced) = (number_at(call, index + 1), call.is(index + 2, "fack"), number_at(call, index + 3));
    let (now, id) = (call.now, call.client);
    let Some(replica) = call.me_mut().replica.as_deref_mut().filter(|replica| replica.is_attached()) else { return };
    let Some(applied) = applied else { return };
    replica.ack_offset = replica.ack_offset.max(applied);
    if word && let Some(synced) = synced {
        replica.aof_offset = replica.aof_offset.max(synced);
    }
    replica.ack_time = now;
    if replica.starts_on_ack && replica.state == State::Online {
        replica.starts_on_ack = false;
        let behind = std::mem::take(&mut replica.buffered);
        if !behind.is_empty() {
            call.out.push(Output::Raw(id, behind));
        }
    }
}

fn number_at(call: &Call, at: usize) -> Option<u64> {
    parse_int(call.args.get(at)?).and_then(|n| u64::try_from(n).ok())
}

/// PSYNC replid offset [FAILOVER], and SYNC.
pub fn sync(call: &mut Call) -> Outcome {
    let me = call.client;
    if call.me().is_replica() {
        return Ok(Reply::None);
    }
    let psync = call.command.name == "PSYNC";
    if psync && call.args.len() > 3 && call.is(3, "FAILOVER") {
        take_over(call)?;
    }
    if call.server.replication.failover.is_some() {
        return Err(Refusal::new("NOMASTERLINK Can't SYNC while failing over"));
    }
    if call.server.is_replica() && !call.server.link_up() {
        return Err(Refusal::new("NOMASTERLINK Can't SYNC while not connected with my master"));
    }
    let told = call.me().replica.as_deref().cloned().unwrap_or_default();
    if told.leaves_out != LeavesOut::default() && !told.understands_mark {
        return Err(Refusal::new("ERR Filtered replica requires EOF capability"));
    }
    let name = call.server.name_of_replica(me);
    notice(call.out, format!("Replica {name} asks for synchronization"));
    if psync {
        let Ok(offset) = call.int(2) else {
            warning(call.out, format!("Replica {name} asks for synchronization but with a wrong offset"));
            return Err(refusal::NOT_INTEGER);
        };
        let id = call.args[1].clone();
        if call.server.go_on(me, &id, offset, call.out) {
            call.server.replication.syncs_partial_ok += 1;
            return Ok(Reply::None);
        }
        call.server.replication.syncs_partial_refused += u64::from(!id.starts_with(b"?"));
    }
    let now = call.now;
    let replica = replica(call);
    replica.before_psync |= !psync;
    replica.state = State::WaitBgsaveStart;
    replica.asked_at = now;
    let mut env = Env { now: call.now, rng: call.rng, disk: call.disk };
    call.server.attach(me, &mut env, call.out);
    Ok(Reply::None)
}

/// PSYNC ... FAILOVER: the primary asks its replica to take its place.
fn take_over(call: &mut Call) -> Result<(), Refusal> {
    let id = call.args[1].lossy().into_owned();
    notice(call.out, format!("Failover request received for replid {id}."));
    if !call.server.is_replica() {
        return Err(Refusal::new("ERR PSYNC FAILOVER can't be sent to a master."));
    }
    if !id.eq_ignore_ascii_case(&call.server.replication.id) {
        return Err(Refusal::new("ERR PSYNC FAILOVER replid must match my replid."));
    }
    let client = call.describe_me();
    let mut env = Env { now: call.now, rng: call.rng, disk: call.disk };
    call.server.promote(&mut env, call.out);
    notice(call.out, format!("MASTER MODE enabled (failover request from '{client}')"));
    Ok(())
}

impl Instance {
    /// The replicas with what is remembered of them, first come first.
    pub fn attached(&self) -> impl Iterator<Item = (&Client, &Replica)> {
        let clients = self.replication.replicas.iter().filter_map(|id| self.clients.get(id));
        clients.filter_map(|client| Some((client, client.replica.as_deref()?)))
    }

    /// As the log calls a replica.
    pub(in crate::engine) fn name_of_replica(&self, id: ClientId) -> String {
        let Some(client) = self.clients.get(&id) else { return format!("client id #{}", id.0) };
        let (host, port) = place_of(client);
        if port == 0 { format!("{host}:<unknown-replica-port>") } else { address(host, port) }
    }

    /// Lets a replica go on from the backlog; false if that cannot be.
    fn go_on(&mut self, id: ClientId, replid: &[u8], offset: i64, out: &mut Outbox) -> bool {
        let name = self.name_of_replica(id);
        let replication = &self.replication;
        let asked = String::from_utf8_lossy(replid).into_owned();
        let (current, before) =
            (asked.eq_ignore_ascii_case(&replication.id), asked.eq_ignore_ascii_case(&replication.id2));
        if !current && (!before || offset > replication.second_offset) {
            if asked.starts_with('?') {
                notice(out, format!("Full resync requested by replica {name}"));
            } else if !before {
                notice(
                    out,
                    format!(
                        "Partial resynchronization not accepted: Replication ID mismatch (Replica asked for '{asked}', my replication IDs are '{}' and '{}')",
                        replication.id, replication.id2
                    ),
                );
            } else {
                notice(
                    out,
                    format!(
                        "Partial resynchronization not accepted: Requested offset for second ID was {offset}, but I can reply up to {}",
                        replication.second_offset
                    ),
                );
            }
            return false;
        }
        let Some(behind) = replication.backlog.as_ref().and_then(|backlog| backlog.since(offset)) else {
            notice(
                out,
                format!(
                    "Unable to partial resync with replica {name} for lack of backlog (Replica request was: {offset})."
                ),
            );
            if offset > replication.offset as i64 {
                warning(
                    out,
                    format!(
                        "Warning: replica {name} tried to PSYNC with an offset that is greater than the master replication offset."
                    ),
                );
            }
            return false;
        };
        let now = self.now;
        let client = self.clients.get_mut(&id).expect("its request is being carried out");
        let replica = client.replica.get_or_insert_default();
        replica.state = State::Online;
        replica.ack_time = now;
        replica.starts_on_ack = false;
        let psync2 = replica.understands_psync2;
        let mut bytes = match psync2 {
            true => format!("+CONTINUE {}\r\n", self.replication.id).into_bytes(),
            false => b"+CONTINUE\r\n".to_vec(),
        };
        let sent = behind.len();
        bytes.extend(behind);
        out.push(Output::Raw(id, bytes));
        self.replication.replicas.push(id);
        notice(
            out,
            format!(
                "Partial resynchronization request from {name} accepted. Sending {sent} bytes of backlog starting from offset {offset}."
            ),
        );
        true
    }

    /// Takes in a replica that needs a snapshot.
    fn attach(&mut self, id: ClientId, env: &mut Env, out: &mut Outbox) {
        self.replication.syncs_full += 1;
        self.replication.replicas.push(id);
        if self.replication.backlog.is_none() && self.replication.replicas.len() == 1 {
            self.replication.rename(env.rng);
            self.create_backlog();
            let (id, id2) = (&self.replication.id, &self.replication.id2);
            notice(out, format!("Replication backlog created, my new replication IDs are '{id}' and '{id2}'"));
        }
        match &self.persist.child {
            Some(Child::Save { to_replicas: false, .. }) => self.share_save(id, out),
            Some(Child::Save { .. }) => {
                notice(out, "Current BGSAVE has socket target. Waiting for next BGSAVE for SYNC");
            }
            Some(Child::Rewrite { .. }) => {
                notice(out, "No BGSAVE in progress, but another BG operation is active. BGSAVE for replication delayed")
            }
            None => {
                let client = &self.clients[&id];
                let marked = client.replica.as_deref().is_some_and(|replica| replica.understands_mark);
                let delay = self.config.int("repl-diskless-sync-delay");
                if self.config.flag("repl-diskless-sync") && marked && delay > 0 {
                    notice(out, "Delay next BGSAVE for diskless SYNC");
                } else {
                    self.save_for_replicas(env, out);
                }
            }
        }
    }

    pub(super) fn create_backlog(&mut self) {
        let capacity = self.config.int("repl-backlog-size").max(BACKLOG_MIN) as usize;
        self.replication.backlog = Some(Backlog::new(capacity, self.replication.offset));
    }

    /// CONFIG SET repl-backlog-size: too little is not refused but raised.
    pub(in crate::engine) fn resize_backlog(&mut self) {
        if self.config.int("repl-backlog-size") < BACKLOG_MIN {
            self.config.set("repl-backlog-size", &BACKLOG_MIN.to_string()).expect("it takes a size");
        }
        let capacity = self.config.int("repl-backlog-size") as usize;
        if let Some(backlog) = &mut self.replication.backlog {
            backlog.resize(capacity);
        }
    }

    /// A save to disk is at work: its snapshot serves this replica too, if another one has kept what changed since.
    fn share_save(&mut self, id: ClientId, out: &mut Outbox) {
        let mine = self.clients[&id].replica.as_deref().cloned().unwrap_or_default();
        let other = self.attached().find(|(_, it)| it.state == State::WaitBgsaveEnd && (!it.rdb_only || mine.rdb_only));
        let fits = |it: &Replica| {
            (!it.understands_mark || mine.understands_mark)
                && (!it.understands_psync2 || mine.understands_psync2)
                && it.leaves_out == mine.leaves_out
        };
        match other.map(|(_, it)| it.clone()).filter(fits) {
            Some(other) => {
                if let Some(replica) = self.clients.get_mut(&id).and_then(|client| client.replica.as_deref_mut()) {
                    replica.buffered = if replica.rdb_only { Vec::new() } else { other.buffered };
                }
                self.begin_full_resync(id, other.snapshot_offset, out);
                notice(out, "Waiting for end of BGSAVE for SYNC");
            }
            None => {
                notice(out, "Can't attach the replica to the current BGSAVE. Waiting for next BGSAVE for SYNC");
            }
        }
    }

    /// Tells a replica which history its snapshot belongs to; from here on the stream is kept for it.
    fn begin_full_resync(&mut self, id: ClientId, offset: u64, out: &mut Outbox) {
        self.replication.selected_db = None;
        let Some(replica) = self.clients.get_mut(&id).and_then(|client| client.replica.as_deref_mut()) else { return };
        replica.snapshot_offset = offset;
        replica.state = State::WaitBgsaveEnd;
        if !replica.before_psync {
            let line = format!("+FULLRESYNC {} {offset}\r\n", self.replication.id);
            out.push(Output::Raw(id, line.into_bytes()));
        }
    }

    /// Begins the save that those replicas get who wait for one, if it is time.
    pub(super) fn save_for_replicas_if_due(&mut self, env: &mut Env, out: &mut Outbox) {
        if self.persist.child.is_some() {
            return;
        }
        let waiting: Vec<Millis> = self.waiting_replicas().map(|(_, replica)| replica.asked_at).collect();
        let Some(first) = waiting.iter().min() else { return };
        let most = self.config.int("repl-diskless-sync-max-replicas");
        let due = !self.config.flag("repl-diskless-sync")
            || (most > 0 && waiting.len() as i64 >= most)
            || env.now.secs().saturating_sub(first.secs()) as i64 >= self.config.int("repl-diskless-sync-delay");
        if due {
            self.save_for_replicas(env, out);
        }
    }

    fn waiting_replicas(&self) -> impl Iterator<Item = (&Client, &Replica)> {
        self.attached().filter(|(_, replica)| replica.state == State::WaitBgsaveStart)
    }

    /// Begins a save for those who wait: to disk, or straight to them.
    fn save_for_replicas(&mut self, env: &mut Env, out: &mut Outbox) {
        let Some(leaves_out) = self.waiting_replicas().next().map(|(_, replica)| replica.leaves_out) else { return };
        let alike = |replica: &Replica| replica.leaves_out == leaves_out;
        let to_replicas = (self.config.flag("repl-diskless-sync") || leaves_out != LeavesOut::default())
            && self.waiting_replicas().all(|(_, replica)| !alike(replica) || replica.understands_mark);
        let target = if to_replicas { "replicas sockets" } else { "disk" };
        notice(out, format!("Starting BGSAVE for SYNC with target: {target}"));
        let ids: Vec<ClientId> =
            self.waiting_replicas().filter(|(_, replica)| alike(replica)).map(|(client, _)| client.id).collect();
        if to_replicas {
            let now = env.now;
            self.start_transfer(|it| it.image_without(leaves_out, now), env, out);
        } else {
            self.start_bgsave(env, out);
            self.replication.sync_file = self.config.flag("rdb-del-sync-files");
        }
        let offset = self.replication.offset;
        for id in ids {
            self.begin_full_resync(id, offset, out);
        }
    }

    fn image_without(&self, leaves_out: LeavesOut, now: Millis) -> Vec<u8> {
        let options = self.save_options(now);
        let functions = if leaves_out.functions { Vec::new() } else { self.scripting.library_sources() };
        let dbs: &[Db] = if leaves_out.data { &[] } else { &self.dbs };
        rdb::save_with(dbs, &functions, &options)
    }

    /// Whether somebody gets the snapshot of the save that is at work.
    pub(in crate::engine) fn replicas_wait_for_save(&self) -> bool {
        self.attached().any(|(_, replica)| replica.state == State::WaitBgsaveEnd)
    }

    /// A background save has ended: who waited for it gets the snapshot, or is sent away if there is none.
    pub(in crate::engine) fn save_reached_replicas(
        &mut self,
        image: Option<&Arc<Vec<u8>>>,
        to_replicas: bool,
        env: &mut Env,
        out: &mut Outbox,
    ) {
        let waiting = self.attached().filter(|(_, replica)| replica.state == State::WaitBgsaveEnd);
        let waiting: Vec<ClientId> = waiting.map(|(client, _)| client.id).collect();
        for id in waiting {
            let Some(image) = image else {
                warning(out, "SYNC failed. BGSAVE child returned an error");
                self.close_client(id, out);
                continue;
            };
            let mark = env.rng.hex40();
            let mut bytes = match to_replicas {
                true => format!("$EOF:{mark}\r\n").into_bytes(),
                false => format!("${}\r\n", image.len()).into_bytes(),
            };
            bytes.extend_from_slice(image);
            if to_replicas {
                bytes.extend_from_slice(mark.as_bytes());
                let name = self.name_of_replica(id);
                notice(
                    out,
                    format!(
                        "Streamed RDB transfer with replica {name} succeeded (socket). Waiting for REPLCONF ACK from replica to enable streaming"
                    ),
                );
            }
            out.push(Output::Raw(id, bytes));
            self.put_online(id, to_replicas, out);
        }
        // Who came too late for the save that has just ended gets the next one.
        self.save_for_replicas_if_due(env, out);
    }

    fn put_online(&mut self, id: ClientId, starts_on_ack: bool, out: &mut Outbox) {
        let name = self.name_of_replica(id);
        let now = self.now;
        let Some(replica) = self.clients.get_mut(&id).and_then(|client| client.replica.as_deref_mut()) else { return };
        if replica.rdb_only {
            replica.state = State::RdbSent;
            notice(out, format!("RDB transfer completed, rdb only replica ({name}) should be disconnected asap"));
            if starts_on_ack {
                self.close_client(id, out);
            }
            return;
        }
        replica.state = State::Online;
        replica.ack_time = now;
        replica.starts_on_ack = starts_on_ack;
        notice(out, format!("Synchronization with replica {name} succeeded"));
        if !starts_on_ack {
            let behind = std::mem::take(&mut replica.buffered);
            if !behind.is_empty() {
                out.push(Output::Raw(id, behind));
            }
        }
    }

    /// What is forgotten with a client that was a replica, or waited for some.
    pub(in crate::engine) fn forget_replica(&mut self, id: ClientId) {
        let before = self.replication.replicas.len();
        self.replication.replicas.retain(|replica| *replica != id);
        if before > 0 && self.replication.replicas.is_empty() {
            self.replication.no_replicas_since = self.now;
        }
    }

    /// Logs that a replica is gone, if this client is one.
    pub(in crate::engine) fn note_lost_replica(&self, id: ClientId, out: &mut Outbox) {
        if self.clients.get(&id).is_some_and(Client::is_replica) {
            notice(out, format!("Connection with replica {} lost.", self.name_of_replica(id)));
        }
    }
}

/// Where a replica listens: what it said, else where it connects from.
pub fn place_of(client: &Client) -> (&str, u16) {
    let replica = client.replica.as_deref();
    let told = replica.map(|replica| replica.ip_address.as_str()).filter(|host| !host.is_empty());
    (told.unwrap_or_else(|| host_of(&client.addr)), replica.map_or(0, |replica| replica.listening_port))
}
