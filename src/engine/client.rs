//! What the instance remembers of a connection.

use super::acl::{self, User};
use super::blocked::Blocked;
use super::command::{Command, Flags};
use super::commands::Entry;
use super::hooks::Buffers;
use super::refusal;
use super::replication::attach::Replica;
use super::tracking::Tracking;
use super::{Instance, Outbox, Output};
use crate::base::{Bytes, Millis};
use crate::resp::Protocol;
use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ClientId(pub u64);

/// A transaction being queued.
#[derive(Clone)]
pub struct Transaction {
    pub queue: Vec<(&'static Entry, Vec<Bytes>)>,
    /// A command was refused while queueing: EXEC will answer EXECABORT.
    pub broken: bool,
    /// The flags of all queued commands: EXEC is refused where one of them would be.
    pub flags: Flags,
}

impl Default for Transaction {
    fn default() -> Self {
        Transaction { queue: Vec::new(), broken: false, flags: Flags::NONE }
    }
}

#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub enum ReplyMode {
    #[default]
    On,
    Off,
    /// The reply to CLIENT REPLY SKIP's next command is left out.
    SkipNext,
    Skip,
}

/// A key under WATCH.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Watched {
    pub db: usize,
    pub key: Bytes,
    /// It was past its expiry already when WATCH came: its removal later is then no change.
    pub was_expired: bool,
}

/// Requests that came while they could not be carried out, first come first.
#[derive(Clone, Debug, Default)]
pub struct Unserved {
    requests: VecDeque<Vec<Bytes>>,
    bytes: usize,
}

impl Unserved {
    pub fn push_back(&mut self, args: Vec<Bytes>) {
        self.bytes += bytes_of(&args);
        self.requests.push_back(args);
    }

    pub fn push_front(&mut self, args: Vec<Bytes>) {
        self.bytes += bytes_of(&args);
        self.requests.push_front(args);
    }

    pub fn pop_front(&mut self) -> Option<Vec<Bytes>> {
        let args = self.requests.pop_front()?;
        self.bytes -= bytes_of(&args);
        Some(args)
    }

    /// What they take. In Redis they are still in the query buffer, and count as that.
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

/// What a request takes that is kept: its words and where they stand.
fn bytes_of(args: &[Bytes]) -> usize {
    args.iter().map(|arg| arg.len() + size_of::<Bytes>()).sum()
}

/// Both ends of a connection, as CLIENT LIST shows them.
#[derive(Clone, Debug, PartialEq)]
pub struct Ends {
    /// The client's: `127.0.0.1:50001`, or the path of the unix socket.
    pub addr: String,
    /// The server's.
    pub laddr: String,
    pub unix: bool,
}

#[derive(Clone)]
pub struct Client {
    pub id: ClientId,
    pub name: Bytes,
    pub lib_name: Bytes,
    pub lib_ver: Bytes,
    pub addr: String,
    pub laddr: String,
    /// Came in by the unix socket.
    pub unix: bool,
    /// The number that CLIENT LIST shows as the socket's.
    pub fd: i64,
    pub db: usize,
    pub protocol: Protocol,
    pub user: Arc<User>,
    pub authenticated: bool,
    pub connected_at: Millis,
    pub last_seen_at: Millis,
    pub last_command: Option<&'static Command>,
    pub transaction: Option<Transaction>,
    pub watched: Vec<Watched>,
    /// A watched key changed: EXEC will answer nil.
    pub watch_broken: bool,
    pub channels: BTreeSet<Bytes>,
    pub patterns: BTreeSet<Bytes>,
    pub shard_channels: BTreeSet<Bytes>,
    pub monitor: bool,
    pub reply_mode: ReplyMode,
    pub blocked: Option<Blocked>,
    /// Held back by CLIENT PAUSE: its request stands first in `waiting`.
    pub postponed: bool,
    /// Requests that came while this client was blocked or paused, in order.
    pub waiting: Unserved,
    pub tracking: Option<Box<Tracking>>,
    pub no_evict: bool,
    pub no_touch: bool,
    pub readonly: bool,
    /// The next command follows an ASK redirection.
    pub asking: bool,
    /// Ends after its next reply.
    pub closing: bool,
    /// What a replica has told of itself.
    pub replica: Option<Box<Replica>>,
    /// As which this replica carries out what its primary sends.
    pub primary: bool,
    /// The history as it was after its last command: what WAIT waits for.
    pub written_offset: u64,
}

impl Client {
    /// A connection of nobody in particular, who may do everything: the server's own. See `Instance::welcome` for others.
    pub fn new(id: ClientId, now: Millis) -> Client {
        Client {
            id,
            name: Bytes::new(),
            lib_name: Bytes::new(),
            lib_ver: Bytes::new(),
            addr: format!("127.0.0.1:{}", 50_000 + id.0 % 10_000),
            laddr: String::from("127.0.0.1:6379"),
            unix: false,
            fd: 7 + id.0 as i64,
            db: 0,
            protocol: Protocol::Resp2,
            user: acl::superuser(),
            authenticated: false,
            connected_at: now,
            last_seen_at: now,
            last_command: None,
            transaction: None,
            watched: Vec::new(),
            watch_broken: false,
            channels: BTreeSet::new(),
            patterns: BTreeSet::new(),
            shard_channels: BTreeSet::new(),
            monitor: false,
            reply_mode: ReplyMode::On,
            blocked: None,
            postponed: false,
            waiting: Unserved::default(),
            tracking: None,
            no_evict: false,
            no_touch: false,
            readonly: false,
            asking: false,
            closing: false,
            replica: None,
            primary: false,
            written_offset: 0,
        }
    }

    /// Came over loopback or the unix socket.
    pub fn is_local(&self) -> bool {
        self.unix || self.addr.starts_with("127.") || self.addr.starts_with("[::1]")
    }

    pub fn subscriptions(&self) -> usize {
        self.channels.len() + self.patterns.len()
    }

    /// In RESP2 a subscriber may only manage its subscriptions.
    pub fn is_subscriber(&self) -> bool {
        self.subscriptions() + self.shard_channels.len() > 0
    }

    /// As CLIENT LIST TYPE and CLIENT KILL TYPE tell connections apart.
    pub fn kind(&self) -> &'static str {
        match () {
            () if self.primary => "master",
            () if self.is_replica() => "replica",
            () if self.is_subscriber() => "pubsub",
            () => "normal",
        }
    }

    /// Whether it may be ended for its silence: not while it waits or listens, and not if it replicates.
    fn may_time_out(&self) -> bool {
        self.blocked.is_none() && !self.is_subscriber() && !self.is_replica() && !self.monitor && !self.primary
    }

    /// What its transaction's queue takes, as CLIENT LIST's `multi-mem` counts it.
    fn queued_bytes(&self) -> usize {
        let words = self.transaction.iter().flat_map(|transaction| &transaction.queue).flat_map(|(_, args)| args);
        words.map(|arg| arg.len() + size_of::<usize>()).sum()
    }

    /// What is kept of its requests, in bytes: those that wait, and those of its transaction.
    pub fn kept_bytes(&self) -> usize {
        self.waiting.bytes() + self.queued_bytes()
    }

    /// Whether `maxmemory-clients` may end it (`clientEvictionAllowed`).
    pub fn may_be_evicted(&self) -> bool {
        !self.no_evict && !self.primary && !self.is_replica()
    }

    fn flag_letters(&self) -> String {
        let tracking = self.tracking.as_deref();
        let letters = [
            (self.monitor, 'O'),
            (self.is_replica() && !self.monitor, 'S'),
            (self.primary, 'M'),
            (self.is_subscriber(), 'P'),
            (self.transaction.is_some(), 'x'),
            (self.blocked.is_some() || self.postponed, 'b'),
            (tracking.is_some(), 't'),
            (tracking.is_some_and(|it| it.redirect_broken), 'R'),
            (tracking.is_some_and(|it| it.broadcast), 'B'),
            (self.watch_broken, 'd'),
            (self.closing, 'c'),
            (self.unix, 'U'),
            (self.readonly, 'r'),
            (self.no_evict, 'e'),
            (self.no_touch, 'T'),
        ];
        let set: String = letters.iter().filter(|(set, _)| *set).map(|(_, letter)| letter).collect();
        if set.is_empty() { String::from("N") } else { set }
    }

    /// One line of CLIENT LIST, without its end. `request` is what this client is sending right now: it counts as still in
    /// the buffer.
    pub fn describe(&self, now: Millis, request: Option<&[Bytes]>, buffers: Buffers) -> String {
        let sent = request.map_or(0, crate::resp::encode::request_len);
        let arguments = request.map_or(0, |args| args.iter().map(|arg| arg.len()).sum::<usize>());
        let queued = self.queued_bytes();
        let query = buffers.query + sent;
        let free = buffers.query_size.saturating_sub(query);
        let (obl, oll, omem) = buffers.output();
        let command = self.last_command.map_or_else(|| String::from("NULL"), Command::full_name);
        format!(
            "id={} addr={} laddr={} fd={} name={} age={} idle={} flags={} db={} sub={} psub={} ssub={} multi={} qbuf={} \
             qbuf-free={} argv-mem={} multi-mem={} rbs={} rbp={} obl={obl} oll={oll} omem={omem} tot-mem={} events=r cmd={} user={} \
             redir={} resp={} lib-name={} lib-ver={}",
            self.id.0,
            self.addr,
            self.laddr,
            self.fd,
            self.name.lossy(),
            now.since(self.connected_at).secs(),
            now.since(self.last_seen_at).secs(),
            self.flag_letters(),
            self.db,
            self.channels.len(),
            self.patterns.len(),
            self.shard_channels.len(),
            self.transaction.as_ref().map_or(-1, |transaction| transaction.queue.len() as i64),
            query,
            free,
            arguments,
            queued,
            buffers.reply_size,
            buffers.reply_peak,
            query + free + arguments + queued + buffers.reply_size + omem + Buffers::CLIENT,
            command,
            self.user.name.lossy(),
            self.tracking.as_deref().map_or(-1, |it| it.redirect.map_or(0, |id| id.0 as i64)),
            if self.protocol == Protocol::Resp3 { 3 } else { 2 },
            self.lib_name.lossy(),
            self.lib_ver.lossy(),
        )
    }
}

impl Instance {
    /// Takes a connection in, or refuses it: there are too many, or it comes from another machine and anybody could.
    pub(super) fn welcome(&mut self, id: ClientId, ends: Option<Ends>, out: &mut Outbox) {
        let mut client = Client::new(id, self.now);
        self.begin_as_default(&mut client);
        client.laddr = format!("127.0.0.1:{}", self.config.port);
        if let Some(ends) = ends {
            (client.addr, client.laddr, client.unix) = (ends.addr, ends.laddr, ends.unix);
        }
        let open_to_all = self.acl.default_user().nopass && self.config.flag("protected-mode");
        let refusal = if self.clients.len() >= self.config.maxclients {
            refusal::TOO_MANY_CLIENTS
        } else if open_to_all && !client.is_local() {
            refusal::PROTECTED_MODE
        } else {
            self.stats.connections_received += 1;
            self.clients.insert(id, client);
            return;
        };
        self.stats.rejected_connections += 1;
        out.extend([Output::Reply(id, refusal.into()), Output::Close(id)]);
    }

    /// Ends connections that have sent nothing for longer than `timeout`; not those that wait, listen or replicate
    /// (`clientsCronHandleTimeout`).
    pub(super) fn close_idle(&mut self, out: &mut Outbox) {
        let (now, limit) = (self.now.secs(), self.config.timeout_secs);
        let is_idle =
            |client: &&Client| client.may_time_out() && now.saturating_sub(client.last_seen_at.secs()) > limit;
        let idle: Vec<ClientId> = self.clients.values().filter(is_idle).map(|client| client.id).collect();
        idle.into_iter().for_each(|id| self.close_client(id, out));
    }

    /// When `close_idle` has something to do; None: never, or it is switched off.
    pub(super) fn next_idle_end(&self) -> Option<Millis> {
        let limit = self.config.timeout_secs;
        if limit == 0 || self.cron_paused {
            return None;
        }
        let seen = self.clients.values().filter(|client| client.may_time_out()).map(|client| client.last_seen_at);
        seen.min().map(|at| Millis::from_secs(at.secs().saturating_add(limit).saturating_add(1)))
    }

    /// Makes a connection the default user's, who need not log in if they need no password.
    fn begin_as_default(&self, client: &mut Client) {
        client.user = Arc::clone(self.acl.default_user());
        client.authenticated = !self.acl.requires_login();
    }

    /// Ends a connection: at once, or behind the reply to the command that it has just sent.
    pub(super) fn drop_client(&mut self, id: ClientId, out: &mut Outbox) {
        match self.clients.get_mut(&id).filter(|_| self.current == Some(id)) {
            Some(client) => client.closing = true,
            None => self.close_client(id, out),
        }
    }

    /// Ends a connection at once.
    pub(super) fn close_client(&mut self, id: ClientId, out: &mut Outbox) {
        self.note_lost_replica(id, out);
        out.push(Output::Close(id));
        self.hang_up(id);
    }

    /// Forgets a connection and everything that hung on it.
    pub(super) fn hang_up(&mut self, id: ClientId) {
        self.unblock(id);
        self.unwatch(id);
        self.monitors.retain(|monitor| *monitor != id);
        self.untrack(id);
        self.forget_replica(id);
        if let Some(client) = self.clients.remove(&id) {
            self.pubsub.forget(&client);
        }
    }

    /// What RESET does: a connection as new, but for its library's name.
    pub(super) fn reset_client(&mut self, id: ClientId) {
        self.unwatch(id);
        self.monitors.retain(|monitor| *monitor != id);
        self.untrack(id);
        let (user, authenticated) = (Arc::clone(self.acl.default_user()), !self.acl.requires_login());
        let Some(client) = self.clients.get_mut(&id) else { return };
        self.pubsub.forget(client);
        client.channels.clear();
        client.patterns.clear();
        client.shard_channels.clear();
        client.monitor = false;
        client.db = 0;
        client.protocol = Protocol::Resp2;
        (client.user, client.authenticated) = (user, authenticated);
        client.transaction = None;
        client.name = Bytes::new();
        client.reply_mode = ReplyMode::On;
        client.readonly = false;
        client.asking = false;
        client.no_evict = false;
        client.no_touch = false;
    }
}

#[cfg(test)]
mod tests {
    use crate::base::Millis;
    use crate::engine::Input;
    use crate::engine::testing::Lab;

    #[test]
    fn timeout_ends_those_who_are_silent_but_not_those_who_wait_or_listen() {
        let mut lab = Lab::new(1);
        lab.send("waits", &["BLPOP", "queue", "0"]);
        lab.send("listens", &["SUBSCRIBE", "news"]);
        lab.send("silent", &["PING"]);
        lab.ask(&["CONFIG", "SET", "timeout", "5"]);
        lab.now += Millis(5999);
        lab.step(Input::Tick);
        assert_eq!(lab.instance.clients.len(), 4, "five seconds are not over before the sixth");
        lab.send("", &["PING"]);
        lab.now += Millis(1);
        lab.step(Input::Tick);
        let left = ["waits", "listens", "silent", ""].map(|name| {
            let id = lab.client(name);
            lab.instance.clients.contains_key(&id)
        });
        assert_eq!(left, [true, true, false, true]);
    }

    #[test]
    fn what_was_read_under_tracking_is_forgotten_also_when_nobody_tracks_any_more() {
        let mut lab = Lab::new(1);
        lab.ask(&["HELLO", "3"]);
        for forget in [["SET", "a", "1", "KEEPTTL"].as_slice(), &["FLUSHALL"]] {
            lab.ask(&["CLIENT", "TRACKING", "ON"]);
            lab.ask(&["GET", "a"]);
            lab.ask(&["CLIENT", "TRACKING", "OFF"]);
            assert_eq!(lab.instance.trackers.keys(), 1);
            lab.ask(forget);
            assert_eq!(lab.instance.trackers.keys(), 0, "{forget:?}");
        }
    }
}
