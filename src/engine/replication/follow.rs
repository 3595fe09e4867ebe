//! The replica's side up to the stream: dialling the primary, the handshake, the snapshot.
//!
//! PING; AUTH if there is a password; REPLCONF listening-port, ip-address, capa; PSYNC. The primary answers +CONTINUE, and
//! the stream goes on where it broke off, or +FULLRESYNC, and a snapshot comes first: `$LENGTH`, or `$EOF:` and a mark of 40
//! bytes that also ends it. A primary that knows no PSYNC is asked by SYNC.

use super::stream::{Cached, Stream};
use super::{NO_ID, PRIMARY, link_of, notice, warning, words};
use crate::base::{Bytes, Millis};
use crate::engine::client::Client;
use crate::engine::link::{Address, LinkId, Owner};
use crate::engine::persist::{Child, rdb};
use crate::engine::{Env, Input, Instance, Outbox, Output};
use crate::resp::encode;
use std::collections::VecDeque;

/// How far a replica has come with its primary.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Phase {
    /// The next cron dials.
    Connect,
    Connecting,
    Ping,
    /// The answers that are still to come.
    Greeting(VecDeque<Greeting>),
    Psync,
    Transfer(Transfer),
    Connected,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Greeting {
    Auth,
    Port,
    Address,
    Capabilities,
}

/// A snapshot on its way.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Transfer {
    /// None: the line that says so is still to come.
    pub len: Option<usize>,
    /// Ends it, if its length is not known.
    mark: Vec<u8>,
    pub image: Vec<u8>,
}

/// The primary that this instance follows.
#[derive(Clone, Debug)]
pub struct Primary {
    pub host: String,
    pub port: u16,
    pub link: Option<LinkId>,
    pub phase: Phase,
    /// When the last byte came before the stream flowed.
    pub transfer_io: Millis,
    /// Bytes that make no whole line yet.
    inbox: Vec<u8>,
    /// What +FULLRESYNC said: the history, and where the snapshot stands in it. None after SYNC.
    history: Option<(String, u64)>,
}

impl Primary {
    pub fn new(host: &str, port: u16) -> Primary {
        Primary {
            host: host.to_owned(),
            port,
            link: None,
            phase: Phase::Connect,
            transfer_io: Millis::ZERO,
            inbox: Vec::new(),
            history: None,
        }
    }

    /// ROLE's word for the phase.
    pub fn word(&self) -> &'static str {
        match self.phase {
            Phase::Connect => "connect",
            Phase::Connecting => "connecting",
            Phase::Ping | Phase::Greeting(_) | Phase::Psync => "handshake",
            Phase::Transfer(_) => "sync",
            Phase::Connected => "connected",
        }
    }

    pub(super) fn is_in_handshake(&self) -> bool {
        matches!(self.phase, Phase::Ping | Phase::Greeting(_) | Phase::Psync)
    }
}

impl Instance {
    pub(super) fn connect_to_primary(&mut self, now: Millis, out: &mut Outbox) {
        let Some(primary) = &mut self.replication.primary else { return };
        let address = Address { host: primary.host.clone(), port: primary.port };
        primary.link = Some(self.links.dial(Owner::Replication, address, out));
        primary.transfer_io = now;
        primary.phase = Phase::Connecting;
        primary.inbox.clear();
        notice(out, "MASTER <-> REPLICA sync started");
    }

    /// What the link to the primary brings.
    pub(in crate::engine) fn primary_input(&mut self, env: &mut Env, input: Input, out: &mut Outbox) {
        let (Input::LinkUp(link) | Input::LinkBytes(link, _) | Input::LinkDown(link)) = &input else { return };
        if link_of(&self.replication.primary) != Some(*link) {
            return;
        }
        if let Input::LinkBytes(_, bytes) = &input {
            self.stats.replication_in += bytes.len() as u64;
        }
        match input {
            Input::LinkUp(_) => {
                notice(out, "Non blocking connect for SYNC fired the event.");
                self.set_phase(Phase::Ping);
                self.say_to_primary(&words(&["PING"]), out);
            }
            Input::LinkBytes(_, bytes) if self.link_up() => self.apply_stream(env, bytes, out),
            Input::LinkBytes(_, bytes) => {
                if let Some(primary) = &mut self.replication.primary {
                    primary.inbox.extend(bytes);
                }
                self.read_handshake(env, out);
            }
            Input::LinkDown(_) => self.primary_is_gone(env, out),
            _ => {}
        }
        self.after_step(env, out);
    }

    fn set_phase(&mut self, phase: Phase) {
        if let Some(primary) = &mut self.replication.primary {
            primary.phase = phase;
        }
    }

    pub(super) fn say_to_primary(&mut self, args: &[Bytes], out: &mut Outbox) {
        if let Some(link) = link_of(&self.replication.primary) {
            let mut bytes = Vec::new();
            encode::request(&mut bytes, args);
            out.push(Output::LinkSend(link, bytes));
        }
    }

    /// The link ended by itself.
    fn primary_is_gone(&mut self, env: &mut Env, out: &mut Outbox) {
        let Some(primary) = &mut self.replication.primary else { return };
        primary.link = None;
        match &primary.phase {
            Phase::Connected => {
                notice(out, "Connection with master lost.");
                self.cache_stream(out);
                self.reconnect(env.now, out);
            }
            Phase::Transfer(_) => {
                warning(out, "I/O error trying to sync with MASTER: connection lost");
                self.cancel_sync(out);
                self.reconnect_after_failure(env.now, out);
            }
            Phase::Connecting => self.give_up("Error condition on socket for SYNC: Connection refused", env, out),
            Phase::Psync => self.give_up("Master did not reply to PSYNC, will try later", env, out),
            _ => self.give_up("Master did not respond to command during SYNC handshake", env, out),
        }
    }

    /// Ends this attempt; the next cron makes another one.
    fn give_up(&mut self, why: &str, env: &mut Env, out: &mut Outbox) {
        warning(out, why);
        self.cancel_sync(out);
        if self.is_failing_over() {
            self.abort_failover("Failover target rejected psync request", env, out);
        }
    }

    pub(super) fn reconnect(&mut self, now: Millis, out: &mut Outbox) {
        let Some(primary) = &self.replication.primary else { return };
        notice(out, format!("Reconnecting to MASTER {}:{}", primary.host, primary.port));
        self.connect_to_primary(now, out);
    }

    pub(super) fn reconnect_after_failure(&mut self, now: Millis, out: &mut Outbox) {
        let Some(primary) = &self.replication.primary else { return };
        notice(out, format!("Reconnecting to MASTER {}:{} after failure", primary.host, primary.port));
        self.connect_to_primary(now, out);
    }

    /// Ends whatever is under way before the stream flows.
    pub(super) fn cancel_sync(&mut self, out: &mut Outbox) {
        let Some(primary) = self.replication.primary.as_mut().filter(|it| it.phase != Phase::Connected) else { return };
        primary.phase = Phase::Connect;
        primary.inbox.clear();
        if let Some(link) = primary.link.take() {
            self.links.close(link, out);
        }
    }

    // -- the handshake -----------------------------------------------------------------------------------------------

    fn read_handshake(&mut self, env: &mut Env, out: &mut Outbox) {
        loop {
            let Some(primary) = &mut self.replication.primary else { return };
            primary.transfer_io = env.now;
            match &mut primary.phase {
                Phase::Connected => {
                    let rest = std::mem::take(&mut primary.inbox);
                    if !rest.is_empty() {
                        self.apply_stream(env, rest, out);
                    }
                    return;
                }
                Phase::Transfer(transfer) if transfer.len.is_some() || !transfer.mark.is_empty() => {
                    if !transfer.take(&mut primary.inbox) {
                        return;
                    }
                    let image = std::mem::take(&mut transfer.image);
                    let marked = !transfer.mark.is_empty();
                    self.load_snapshot(&image, marked, env, out);
                }
                Phase::Connect | Phase::Connecting => return,
                _ => {
                    let Some(end) = primary.inbox.iter().position(|byte| *byte == b'\n') else { return };
                    let line: Vec<u8> = primary.inbox.drain(..=end).collect();
                    let line = String::from_utf8_lossy(&line).trim_end_matches(['\r', '\n']).to_owned();
                    self.take_line(&line, env, out);
                }
            }
        }
    }

    fn take_line(&mut self, line: &str, env: &mut Env, out: &mut Outbox) {
        let Some(primary) = &mut self.replication.primary else { return };
        match &mut primary.phase {
            Phase::Ping => self.take_pong(line, env, out),
            Phase::Greeting(awaited) => {
                let answered = awaited.pop_front();
                let done = awaited.is_empty();
                let refused = line.starts_with('-');
                match answered {
                    Some(Greeting::Auth) if refused => {
                        return self.give_up(&format!("Unable to AUTH to MASTER: {line}"), env, out);
                    }
                    Some(Greeting::Port) if refused => not_understood("listening-port", line, out),
                    Some(Greeting::Address) if refused => not_understood("ip-address", line, out),
                    Some(Greeting::Capabilities) if refused => not_understood("capa", line, out),
                    _ => {}
                }
                if done {
                    self.ask_to_go_on(out);
                }
            }
            // A primary that takes its time sends empty lines.
            Phase::Psync if line.is_empty() => {}
            Phase::Psync => self.take_psync_reply(line, env, out),
            Phase::Transfer(_) if line.is_empty() => {}
            Phase::Transfer(transfer) => {
                if let Some(mark) = line.strip_prefix("$EOF:").filter(|mark| mark.len() >= 40) {
                    transfer.mark = mark.as_bytes()[..40].to_vec();
                    notice(out, "MASTER <-> REPLICA sync: receiving streamed RDB from master with EOF to disk");
                } else if let Some(len) = line.strip_prefix('$').and_then(|digits| digits.parse().ok()) {
                    transfer.len = Some(len);
                    notice(out, format!("MASTER <-> REPLICA sync: receiving {len} bytes from master to disk"));
                } else {
                    match line.strip_prefix('-') {
                        Some(error) => warning(out, format!("MASTER aborted replication with an error: {error}")),
                        None => warning(
                            out,
                            format!(
                                "Bad protocol from MASTER, the first byte is not '$' (we received '{line}'), are you sure the host and port are right?"
                            ),
                        ),
                    }
                    self.cancel_sync(out);
                    self.reconnect_after_failure(env.now, out);
                }
            }
            _ => {}
        }
    }

    fn take_pong(&mut self, line: &str, env: &mut Env, out: &mut Outbox) {
        let wants_password =
            ["-NOAUTH", "-NOPERM", "-ERR operation not permitted"].iter().any(|start| line.starts_with(start));
        if !line.starts_with('+') && !wants_password {
            return self.give_up(&format!("Error reply to PING from master: '{line}'"), env, out);
        }
        notice(out, "Master replied to PING, replication can continue...");
        let config = &self.config;
        let (user, password) = (config.text("masteruser"), config.text("masterauth"));
        let announced = (config.int("replica-announce-port"), config.text("replica-announce-ip"));
        let port = if announced.0 == 0 { i64::from(config.port) } else { announced.0 };
        let mut awaited = VecDeque::new();
        if !password.is_empty() {
            let auth = [Bytes::from("AUTH"), user, password];
            let auth: Vec<Bytes> = auth.into_iter().filter(|word| !word.is_empty()).collect();
            self.say_to_primary(&auth, out);
            awaited.push_back(Greeting::Auth);
        }
        self.say_to_primary(&words(&["REPLCONF", "listening-port", &port.to_string()]), out);
        awaited.push_back(Greeting::Port);
        if !announced.1.is_empty() {
            self.say_to_primary(&[Bytes::from("REPLCONF"), Bytes::from("ip-address"), announced.1], out);
            awaited.push_back(Greeting::Address);
        }
        self.say_to_primary(&words(&["REPLCONF", "capa", "eof", "capa", "psync2"]), out);
        awaited.push_back(Greeting::Capabilities);
        self.set_phase(Phase::Greeting(awaited));
    }

    fn ask_to_go_on(&mut self, out: &mut Outbox) {
        let (id, offset) = match &self.replication.cached {
            Some(cached) => {
                let next = cached.offset + 1;
                notice(out, format!("Trying a partial resynchronization (request {}:{next}).", cached.id));
                (cached.id.clone(), next.to_string())
            }
            None => {
                notice(out, "Partial resynchronization not possible (no cached master)");
                (String::from("?"), String::from("-1"))
            }
        };
        let mut request = words(&["PSYNC", &id, &offset]);
        if self.is_failing_over() {
            request.push(Bytes::from("FAILOVER"));
        }
        self.say_to_primary(&request, out);
        self.set_phase(Phase::Psync);
    }

    fn take_psync_reply(&mut self, line: &str, env: &mut Env, out: &mut Outbox) {
        let Some(primary) = &mut self.replication.primary else { return };
        if let Some(rest) = line.strip_prefix("+FULLRESYNC") {
            let mut parts = rest.split_whitespace();
            let history = match (parts.next(), parts.next().and_then(|offset| offset.parse().ok())) {
                (Some(id), Some(offset)) if id.len() == 40 => Some((id.to_owned(), offset)),
                _ => None,
            };
            match &history {
                Some((id, offset)) => notice(out, format!("Full resync from master: {id}:{offset}")),
                None => warning(out, "Master replied with wrong +FULLRESYNC syntax."),
            }
            primary.history = history;
            primary.phase = Phase::Transfer(Transfer::default());
            self.end_failover();
        } else if let Some(rest) = line.strip_prefix("+CONTINUE") {
            notice(out, "Successful partial resynchronization with master.");
            self.end_failover();
            self.resume_stream(rest.trim(), env, out);
        } else if line.starts_with("-NOMASTERLINK") || line.starts_with("-LOADING") {
            notice(out, format!("Master is currently unable to PSYNC but should be in the future: {line}"));
            self.cancel_sync(out);
            if self.is_failing_over() {
                self.abort_failover("Failover target rejected psync request", env, out);
            }
        } else {
            match line.starts_with("-ERR") {
                true => {
                    notice(out, format!("Master does not support PSYNC or is in error state (reply: {line})"));
                }
                false => warning(out, format!("Unexpected reply to PSYNC from master: {line}")),
            }
            if self.is_failing_over() {
                self.cancel_sync(out);
                return self.abort_failover("Failover target rejected psync request", env, out);
            }
            notice(out, "Retrying with SYNC...");
            if let Some(primary) = &mut self.replication.primary {
                primary.history = None;
                primary.phase = Phase::Transfer(Transfer::default());
            }
            if let Some(link) = link_of(&self.replication.primary) {
                out.push(Output::LinkSend(link, b"SYNC\r\n".to_vec()));
            }
        }
    }

    // -- the snapshot ------------------------------------------------------------------------------------------------

    /// The whole snapshot is there: it takes the place of the data set, and the stream begins.
    fn load_snapshot(&mut self, image: &[u8], marked: bool, env: &mut Env, out: &mut Outbox) {
        if self.persist.aof.listens() {
            self.stop_aof(env, out);
        }
        if let Some(Child::Save { pid, .. }) = &self.persist.child {
            notice(
                out,
                format!(
                    "Replica is about to load the RDB file received from the master, but there is a pending RDB child running. Killing process {pid} and removing its temp file to avoid any race"
                ),
            );
            self.kill_child(env);
        }
        // What was known of the old history is of no use any more, here and for those who follow this replica.
        self.discard_cached(out);
        self.drop_replicas(out);
        self.replication.backlog = None;
        notice(out, "MASTER <-> REPLICA sync: Flushing old data");
        let all = 0..self.dbs.len();
        self.empty(all);
        notice(out, "MASTER <-> REPLICA sync: Loading DB in memory");
        self.keep_snapshot_file(image, env, out);
        let options = rdb::LoadOptions { drop_expired: false, ..self.load_options(env.now) };
        let loaded = match rdb::load(image, &mut self.dbs, &options) {
            Ok(loaded) => loaded,
            Err(fault) => {
                fault.log_lines().into_iter().for_each(|line| out.push(Output::Log(line)));
                warning(out, "Failed trying to load the MASTER synchronization DB from disk, check server logs.");
                let all = 0..self.dbs.len();
                self.empty(all);
                self.cancel_sync(out);
                return self.reconnect_after_failure(env.now, out);
            }
        };
        crate::engine::persist::boot::about(&loaded, env.now).into_iter().for_each(|line| out.push(Output::Log(line)));
        notice(out, format!("Done loading RDB, keys loaded: {}, keys expired: {}.", loaded.keys, loaded.expired));
        self.scripting.libraries = Default::default();
        if let Err(line) = self.load_functions(&loaded.functions, true) {
            out.push(Output::Log(line));
        }
        self.dirty = 0;
        let db = loaded.aux("repl-stream-db").and_then(|text| text.lossy().parse().ok()).unwrap_or(0);
        self.begin_stream(db, env.now);
        notice(out, "MASTER <-> REPLICA sync: Finished with success");
        // Only now does the primary know that the mark was seen.
        if marked {
            self.send_ack(out);
        }
        self.restart_aof(env, out);
    }

    /// A replica's RDB file is its primary's snapshot from now on.
    fn keep_snapshot_file(&mut self, image: &[u8], env: &mut Env, out: &mut Outbox) {
        let temporary = self.config.path(&format!("temp-{}.{}.rdb", env.now.secs(), self.persist.pid));
        let path = self.rdb_path();
        match env.disk.replace(&path, &temporary, image, true) {
            Ok(()) => self.persist.last_save = env.now,
            Err((_, error)) => {
                warning(
                    out,
                    format!(
                        "Failed trying to rename the temp DB into {path} in MASTER <-> REPLICA synchronization: {error}"
                    ),
                );
            }
        }
        if self.config.flag("rdb-del-sync-files") && self.config.save.is_empty() && !self.config.appendonly {
            notice(out, "Removing the RDB file obtained from the master. This replica has persistence disabled");
            let _ = env.disk.remove(&path);
        }
    }

    /// After a snapshot: the primary's history is this instance's, and its stream flows.
    fn begin_stream(&mut self, db: usize, now: Millis) {
        let Some(primary) = &mut self.replication.primary else { return };
        let (id, offset) = primary.history.clone().unwrap_or_else(|| (NO_ID.to_owned(), 0));
        let acknowledges = primary.history.is_some();
        primary.phase = Phase::Connected;
        self.replication.stream = Some(Stream::new(id.clone(), offset, acknowledges, now));
        self.put_primary_client(db, now);
        let replication = &mut self.replication;
        replication.id = id;
        replication.offset = offset;
        (replication.id2, replication.second_offset) = (NO_ID.to_owned(), -1);
        replication.down_since = Millis::ZERO;
        self.create_backlog();
    }

    /// +CONTINUE: the stream goes on where it broke off.
    fn resume_stream(&mut self, id: &str, env: &mut Env, out: &mut Outbox) {
        let Some(mut cached) = self.replication.cached.take() else { return };
        if id.len() == 40 && id != cached.id {
            notice(out, format!("Master replication ID changed to {id}"));
            self.replication.id2 = std::mem::replace(&mut cached.id, id.to_owned());
            self.replication.second_offset = self.replication.offset as i64 + 1;
            self.replication.id = id.to_owned();
            // They must learn of the new name too.
            self.drop_replicas(out);
        }
        self.replication.stream = Some(Stream::new(cached.id.clone(), cached.offset, true, env.now));
        self.put_primary_client(cached.db, env.now);
        self.replication.down_since = Millis::ZERO;
        self.set_phase(Phase::Connected);
        if self.replication.backlog.is_none() {
            self.create_backlog();
        }
        notice(out, "MASTER <-> REPLICA sync: Master accepted a Partial Resynchronization.");
    }

    fn put_primary_client(&mut self, db: usize, now: Millis) {
        let Some(primary) = &self.replication.primary else { return };
        let mut client = Client::new(PRIMARY, now);
        client.addr = super::address(&primary.host, primary.port);
        client.laddr = format!("127.0.0.1:{}", 40_000 + self.config.port % 10_000);
        client.authenticated = true;
        client.primary = true;
        client.db = db;
        self.clients.insert(PRIMARY, client);
    }

    /// A primary that becomes a replica may go on from its own history with the new one.
    pub(in crate::engine) fn cache_myself(&mut self) {
        let (id, offset) = (self.replication.id.clone(), self.replication.offset);
        self.replication.cached = Some(Cached { id, offset, db: 0 });
    }

    pub(super) fn discard_cached(&mut self, out: &mut Outbox) {
        if self.replication.cached.take().is_some() {
            notice(out, "Discarding previously cached master state.");
        }
    }
}

fn not_understood(option: &str, line: &str, out: &mut Outbox) {
    notice(out, format!("(Non critical) Master does not understand REPLCONF {option}: {line}"));
}

impl Transfer {
    /// Takes what belongs to the snapshot out of `inbox`; true if it is whole now.
    fn take(&mut self, inbox: &mut Vec<u8>) -> bool {
        match self.len {
            Some(len) => {
                let missing = (len - self.image.len()).min(inbox.len());
                self.image.extend(inbox.drain(..missing));
                self.image.len() == len
            }
            None => {
                self.image.append(inbox);
                let whole = self.image.ends_with(&self.mark);
                if whole {
                    self.image.truncate(self.image.len() - self.mark.len());
                }
                whole
            }
        }
    }
}
