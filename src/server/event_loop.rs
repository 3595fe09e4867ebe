//! The event loop: sockets, the clock and signals in; engine steps; bytes out.

use super::connection::{Connection, Got};
use super::links::{FIRST_LINK, Links};
use super::listen::{Listener, Stream};
use super::meanwhile::Lent;
use super::pulse::Turn;
use super::settle::{SYNCED, Settling};
use crate::base::{Bytes, Millis, RecentMap, Rng};
use crate::engine::client::Ends;
use crate::engine::disk::Disk;
use crate::engine::{ClientId, Env, Input, Instance, Outbox, Output};
use crate::resp::{Protocol, Reply, decode, encode};
use mio::{Events, Interest, Poll, Token};
use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// One instance being served.
pub struct Node {
    pub instance: Instance,
    pub disk: Box<dyn Disk>,
    pub rng: Rng,
    pub listeners: Vec<Listener>,
    /// Where the cluster bus is listened for.
    pub bus: Vec<Listener>,
    /// The nodes.conf that is locked while this serves.
    pub lock: Option<std::fs::File>,
}

/// Gets each line of a node's log, with the node's number.
pub(super) type Log<'a> = dyn FnMut(usize, &str) + 'a;

/// Redis' default `hz` of 10.
const TICK: Duration = Duration::from_millis(100);
/// Sockets are read into this in turn; who has more is read again in the next turn of the loop, so that none starves the others.
const READ_BYTES: usize = 64 * 1024;
/// Lower numbers are the engine's own: the client as which a replica carries out what its primary sends.
const FIRST_CLIENT: u64 = 3;
/// Tokens below are listeners, those from here on clients.
pub(super) const FIRST_TOKEN: usize = 1 << 20;
/// So many requests of a pipeline are taken from the buffer before the first of them is carried out.
const BATCH: usize = 64;
/// Room for arguments that one request of a batch leaves to the next in its place.
const ARGS_KEPT: usize = 64;

/// Serves `nodes` until all have ended. `stop` asks for a clean end, as SIGTERM does; `log` gets each line of a node's
/// log with its number. Err: the poll itself failed.
pub fn serve(nodes: Vec<Node>, stop: &Arc<AtomicBool>, log: &mut Log) -> io::Result<()> {
    let mut server = Server::new(nodes)?;
    let mut events = Events::with_capacity(1024);
    let mut last_tick = SystemTime::now();
    let mut asked_to_end = false;
    while server.nodes.iter().any(Option::is_some) {
        let due = last_tick + server.patience();
        let idle = due.duration_since(SystemTime::now()).unwrap_or(Duration::ZERO);
        let wait = if server.unread.is_empty() && server.links.news.is_empty() { idle } else { Duration::ZERO };
        match server.poll.poll(&mut events, Some(wait)) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            other => other?,
        }
        let mut turn = Turn::begin(server.commands());
        let now = wall_clock();
        server.end_syncs(false, log);
        server.note(&events);
        while let Some((token, readable)) = server.called.pop_front() {
            match token {
                token if token < FIRST_TOKEN => server.accept(token, now, log)?,
                FIRST_LINK.. => server.link_turn(token, now, log),
                _ => server.turn(token, now, readable, log),
            }
        }
        turn.commands_done();
        if stop.swap(false, Ordering::Relaxed) {
            if std::mem::replace(&mut asked_to_end, true) {
                // Redis' words: whoever signals twice does not want to wait for the save.
                log(0, "You insist... exiting now.");
                return Ok(());
            }
            server.end_syncs(true, log);
            server.end_all(now, log);
        }
        if SystemTime::now() >= due {
            let began = Instant::now();
            server.look_after_connections(wall_clock(), log);
            server.tick_all(wall_clock(), log);
            let stalled = std::mem::take(&mut server.stalled);
            server.called.extend(stalled.into_iter().map(|token| (token, true)));
            turn.ticked(began);
            last_tick = SystemTime::now();
        }
        server.follow_ports(log)?;
        server.tell_news(now, log);
        server.begin_syncs();
        server.flush_links(now, log);
        server.flush_all(log);
        turn.end(server.commands());
    }
    Ok(())
}

/// Has requests of one client carried out, and how many: as long as they only bring replies to it, and none of them may
/// have changed the protocol of those before. Then what the instance says has to be dealt out.
fn serve_some(
    instance: &mut Instance,
    env: &mut Env,
    id: ClientId,
    requests: &[Vec<Bytes>],
    out: &mut Outbox,
) -> usize {
    const MAY_CHANGE_PROTOCOL: [&[u8]; 3] = [b"HELLO", b"RESET", b"EXEC"];
    let renamed = !instance.config.renamed.is_empty();
    for (done, args) in requests.iter().enumerate() {
        let changes = || renamed || MAY_CHANGE_PROTOCOL.iter().any(|name| args[0].eq_ignore_ascii_case(name));
        let is_plain = |output: &Output| matches!(output, Output::Reply(to, _) if *to == id);
        if done > 0 && (out.len() != done || !out.last().is_some_and(is_plain) || changes()) {
            return done;
        }
        instance.serve(env, id, args, out);
    }
    requests.len()
}

/// How large a request of this client may be.
fn limits_of(node: &Node, id: ClientId) -> decode::Limits {
    let config = &node.instance.config;
    let unauthenticated =
        node.instance.acl.requires_login() && node.instance.clients.get(&id).is_none_or(|client| !client.authenticated);
    decode::Limits { bulk_len: config.proto_max_bulk_len, unauthenticated }
}

/// What CONFIG SET may change of where a node listens.
fn place_of(node: &Node) -> (u16, Bytes) {
    (node.instance.config.port, node.instance.config.text("bind"))
}

pub(super) fn wall_clock() -> Millis {
    Millis(SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64))
}

pub(super) struct Server {
    pub(super) poll: Poll,
    /// None: this instance has ended.
    pub(super) nodes: Vec<Option<Box<Node>>>,
    /// What each listens on, as far as its configuration says.
    places: Vec<(u16, Bytes)>,
    /// By token, below `FIRST_TOKEN`: node and listener of each, those of the bus behind those for clients.
    pub(super) listeners: BTreeMap<usize, (usize, usize)>,
    next_listener: usize,
    /// Listeners that could not accept: there may be descriptors again at the next tick.
    stalled: Vec<usize>,
    /// By token, which is `FIRST_TOKEN` plus the client's id.
    pub(super) connections: RecentMap<usize, Connection>,
    pub(super) next_client: u64,
    pub(super) scratch: Vec<u8>,
    /// Room for the requests of the client whose turn it is; what is left there from others is empty.
    batch: Vec<Vec<Bytes>>,
    out: Outbox,
    /// Connections with something to write since the last flush.
    pub(super) dirty: Vec<usize>,
    /// Connections that may hold more than their last turn read: readiness is told once for each arrival (edge-triggered),
    /// so nobody would say so again.
    pub(super) unread: Vec<usize>,
    /// Whose turn comes next, and whether there is something to read: a script that runs long reads from here too, because
    /// the poll has told of these already.
    pub(super) called: VecDeque<(usize, bool)>,
    pub(super) links: Links,
    /// Of `dirty`, while a script runs: what has to wait for the event loop.
    pub(super) late: Vec<usize>,
    pub(super) links_accepted: u64,
    /// Which part of the connections is looked after next.
    pub(super) care_round: usize,
    /// Links with something to write.
    pub(super) dirty_links: Vec<usize>,
    pub(super) settling: Settling,
}

impl Server {
    fn new(mut nodes: Vec<Node>) -> io::Result<Server> {
        let poll = Poll::new()?;
        let mut listeners = BTreeMap::new();
        for (index, node) in nodes.iter_mut().enumerate() {
            for (at, listener) in node.listeners.iter_mut().chain(&mut node.bus).enumerate() {
                poll.registry().register(listener.source(), Token(listeners.len()), Interest::READABLE)?;
                listeners.insert(listeners.len(), (index, at));
            }
        }
        Ok(Server {
            settling: Settling::new(&poll, nodes.len())?,
            poll,
            places: nodes.iter().map(place_of).collect(),
            nodes: nodes.into_iter().map(Box::new).map(Some).collect(),
            next_listener: listeners.len(),
            stalled: Vec::new(),
            listeners,
            connections: RecentMap::new(),
            next_client: FIRST_CLIENT,
            scratch: vec![0; READ_BYTES],
            batch: Vec::new(),
            out: Outbox::new(),
            dirty: Vec::new(),
            unread: Vec::new(),
            called: VecDeque::new(),
            links: Links::default(),
            late: Vec::new(),
            links_accepted: 0,
            care_round: 0,
            dirty_links: Vec::new(),
        })
    }

    /// Calls up those who are unread, and those whom the poll tells of.
    pub(super) fn note(&mut self, events: &Events) {
        self.called.extend(self.unread.drain(..).map(|token| (token, true)));
        for event in events.iter().filter(|event| event.token().0 != SYNCED) {
            let token = event.token().0;
            self.called.push_back((token, event.is_readable() || event.is_read_closed()));
            if event.is_read_closed() && (FIRST_TOKEN..FIRST_LINK).contains(&token) {
                // The end stands behind the bytes that are read first, and is not told of again.
                self.unread.push(token);
            }
        }
    }

    /// How many commands all instances have carried out.
    fn commands(&self) -> u64 {
        self.nodes.iter().flatten().map(|node| node.instance.stats.commands_processed).sum()
    }

    /// Listens elsewhere where CONFIG SET says so. That all of it could be had was asked before.
    fn follow_ports(&mut self, log: &mut Log) -> io::Result<()> {
        if !super::LISTEN_ANEW.take() {
            return Ok(());
        }
        for index in 0..self.places.len() {
            let place = self.places[index].clone();
            let Some(node) = self.nodes[index].as_deref_mut().filter(|node| place_of(node) != place) else {
                continue;
            };
            let registry = self.poll.registry();
            for listener in node.listeners.iter_mut().chain(&mut node.bus) {
                registry.deregister(listener.source())?;
            }
            self.listeners.retain(|_, (of, _)| *of != index);
            // Those of the unix socket stay; the old ones of TCP have to be gone before the new ones are made.
            node.listeners.retain(|listener| listener.port().is_none());
            match super::tcp_listeners(&node.instance.config, node.instance.config.port) {
                Ok(listeners) if node.instance.config.port != 0 => node.listeners.extend(listeners),
                Ok(_) => {}
                Err(error) => log(index, &format!("# {error}")),
            }
            self.places[index] = place_of(node);
            for (at, listener) in node.listeners.iter_mut().chain(&mut node.bus).enumerate() {
                registry.register(listener.source(), Token(self.next_listener), Interest::READABLE)?;
                self.listeners.insert(self.next_listener, (index, at));
                // What called meanwhile is not told of again.
                self.called.push_back((self.next_listener, true));
                self.next_listener += 1;
            }
        }
        Ok(())
    }

    /// How long the loop may sleep: short while a client waits with a time-out, which is kept to some milliseconds, and
    /// while keys remain to be evicted.
    fn patience(&self) -> Duration {
        let nodes = || self.nodes.iter().flatten().map(|node| &node.instance);
        if nodes().any(|instance| instance.eviction_pool.under_way) {
            return Duration::from_millis(1);
        }
        let waits = nodes().any(|instance| !instance.waiting.is_empty() || instance.replication.has_waiters());
        if waits { Duration::from_millis(5) } else { TICK }
    }

    pub(super) fn id_of(&self, token: usize) -> ClientId {
        ClientId((token - FIRST_TOKEN) as u64)
    }

    pub(super) fn token_of(&self, id: ClientId) -> usize {
        FIRST_TOKEN + id.0 as usize
    }

    fn accept(&mut self, token: usize, now: Millis, log: &mut Log) -> io::Result<()> {
        let Some(&(index, at)) = self.listeners.get(&token) else { return Ok(()) };
        if self.settling.waits(index) {
            self.settling.park(token);
            return Ok(());
        }
        loop {
            let Some(node) = &mut self.nodes[index] else { return Ok(()) };
            let clients = node.listeners.len();
            let listener = if at < clients { &node.listeners[at] } else { &node.bus[at - clients] };
            let (mut stream, addr, laddr) = match listener.accept() {
                Ok(accepted) => accepted,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => {
                    // Out of file descriptors, or the client was gone again: neither ends the server.
                    self.stalled.push(token);
                    log(index, &format!("Error accepting a client connection: {error}"));
                    return Ok(());
                }
            };
            if at >= clients {
                if let Stream::Tcp(stream) = stream {
                    let host = addr.rsplit_once(':').map_or(addr.as_str(), |(host, _)| host).to_owned();
                    self.accept_link(index, stream, host, now, log);
                }
                continue;
            }
            let unix = !matches!(stream, Stream::Tcp(_));
            let id = ClientId(self.next_client);
            self.next_client += 1;
            let token = self.token_of(id);
            self.poll.registry().register(stream.source(), Token(token), Interest::READABLE)?;
            self.connections.insert(token, Connection::new(stream, index, now));
            self.step(index, now, Input::ConnectFrom(id, Ends { addr, laddr, unix }), log);
        }
    }

    /// One client's turn: read once, run every whole request.
    fn turn(&mut self, token: usize, now: Millis, readable: bool, log: &mut Log) {
        let Some(connection) = self.connections.get_mut(&token) else { return };
        let index = connection.node;
        self.dirty.push(token);
        if !readable || connection.closing {
            return;
        }
        if self.settling.waits(index) {
            self.settling.park(token);
            return;
        }
        let mut scratch = std::mem::take(&mut self.scratch);
        let got = connection.read(&mut scratch);
        self.scratch = scratch;
        match got {
            Got::Nothing => return,
            Got::End => return self.hang_up(token, now, log),
            Got::Bytes => {}
            Got::Full => self.unread.push(token),
        }
        connection.read_at = now;
        if self.cut_off_if_too_long(token, now, log) {
            return;
        }
        let mut batch = std::mem::take(&mut self.batch);
        let id = self.id_of(token);
        loop {
            let count = self.take_batch(token, &mut batch);
            if count == 0 {
                break;
            }
            let mut rest = &batch[..count];
            while !rest.is_empty() && self.connections.get(&token).is_some_and(|connection| !connection.closing) {
                self.carry_out(index, now, Some(id), log, |instance, env, out| {
                    rest = &rest[serve_some(instance, env, id, rest, out)..];
                });
            }
            for args in &mut batch[..count] {
                args.clear();
                args.shrink_to(ARGS_KEPT);
            }
            if let Some(node) = &mut self.nodes[index] {
                node.instance.pipeline_ended();
            }
        }
        self.batch = batch;
    }

    /// The next whole requests of a client, and how many; 0 if there are none. One alone while the client has to log in, because the
    /// limits of the next depend on its answer. A request that breaks the protocol is answered, and ends the connection.
    fn take_batch(&mut self, token: usize, batch: &mut Vec<Vec<Bytes>>) -> usize {
        let id = self.id_of(token);
        let Some(connection) = self.connections.get_mut(&token).filter(|connection| !connection.closing) else {
            return 0;
        };
        let Some(node) = self.nodes[connection.node].as_mut() else { return 0 };
        let limits = limits_of(node, id);
        let most = if limits.unauthenticated { 1 } else { BATCH };
        let mut count = 0;
        while count < most {
            if batch.len() == count {
                batch.push(Vec::new());
            }
            match connection.requests.next_into(limits, &mut batch[count]) {
                Ok(true) => count += 1,
                Ok(false) => break,
                // What came whole before the fault is carried out first; the fault will still be there.
                Err(_) if count > 0 => break,
                Err(error) => {
                    encode::reply(&mut connection.out, &Reply::error(error.0), Protocol::Resp2);
                    connection.closing = true;
                    return 0;
                }
            }
        }
        if count > 1 {
            node.instance.expect(id, &batch[..count]);
        }
        count
    }

    /// Gives one input to a node and deals out what it says.
    pub(super) fn step(&mut self, index: usize, now: Millis, input: Input, log: &mut Log) {
        let client = if let Input::Request(id, _) = &input { Some(*id) } else { None };
        self.carry_out(index, now, client, log, |instance, env, out| instance.step(env, input, out));
    }

    /// Lets an instance do some work and deals out what it says. `client`: whose request the work is.
    fn carry_out(
        &mut self,
        index: usize,
        now: Millis,
        client: Option<ClientId>,
        log: &mut Log,
        work: impl FnOnce(&mut Instance, &mut Env, &mut Outbox),
    ) {
        // Taken out, so that a script that runs long can be given all the rest.
        let Some(mut node) = self.nodes[index].take() else { return };
        let mut out = std::mem::take(&mut self.out);
        let Node { instance, disk, rng, listeners, .. } = &mut *node;
        let mut lent = Lent { disk: disk.as_mut(), server: self, listeners, index, client };
        work(instance, &mut Env { now, rng, disk: &mut lent }, &mut out);
        self.nodes[index] = Some(node);
        let mut ended = false;
        for output in &out {
            match output {
                Output::Reply(id, reply) | Output::Push(id, reply) => self.say(index, *id, reply),
                Output::Close(id) => {
                    let token = self.token_of(*id);
                    if let Some(connection) = self.connections.get_mut(&token) {
                        connection.closing = true;
                        self.dirty.push(token);
                    }
                }
                Output::Raw(id, bytes) => {
                    let token = self.token_of(*id);
                    if let Some(connection) = self.connections.get_mut(&token) {
                        connection.out.extend_from_slice(bytes);
                        self.dirty.push(token);
                    }
                }
                Output::Dial(link, address) => self.dial(index, *link, address),
                Output::LinkSend(link, bytes) => self.send_over(index, *link, bytes),
                Output::LinkClose(link) => self.close_link(index, *link),
                Output::Log(line) => log(index, line),
                Output::Trace(_) | Output::WatchBroken(..) => {}
                Output::Exit => ended = true,
            }
        }
        out.clear();
        self.out = out;
        if ended {
            self.end(index);
        }
    }

    fn say(&mut self, index: usize, id: ClientId, reply: &Reply) {
        let token = self.token_of(id);
        let Some(node) = &self.nodes[index] else { return };
        let Some(connection) = self.connections.get_mut(&token) else { return };
        let protocol = node.instance.clients.get(&id).map_or(Protocol::Resp2, |client| client.protocol);
        if connection.pending() == 0 {
            self.dirty.push(token);
        }
        encode::reply(&mut connection.out, reply, protocol);
    }

    pub(super) fn hang_up(&mut self, token: usize, now: Millis, log: &mut Log) {
        if let Some(mut connection) = self.connections.remove(&token) {
            // The socket is closed right after; a failure to deregister it changes nothing.
            let _ = self.poll.registry().deregister(connection.stream.source());
            let id = self.id_of(token);
            self.step(connection.node, now, Input::Hangup(id), log);
        }
    }

    fn tick_all(&mut self, now: Millis, log: &mut Log) {
        for index in 0..self.nodes.len() {
            if !self.settling.waits(index) {
                self.step(index, now, Input::Tick, log);
            }
        }
    }

    /// Asks every node to end as SIGTERM does: with the save that its configuration calls for.
    fn end_all(&mut self, now: Millis, log: &mut Log) {
        for index in 0..self.nodes.len() {
            // A server that cannot save stays; its log says why.
            self.carry_out(index, now, None, log, |instance, env, out| drop(instance.terminate(env, out)));
        }
    }

    pub(super) fn end(&mut self, index: usize) {
        let put_off = self.nodes[index].as_mut().and_then(|node| node.disk.unsettled());
        // It ends anyway; what it could not write it has not said.
        if put_off.is_none_or(|work| work().is_ok()) {
            self.flush_all(&mut |_, _| {});
        }
        self.nodes[index] = None;
        self.connections.retain(|_, connection| connection.node != index);
        self.links.forget(index);
    }

    /// Writes what is to be written, and drops connections that are done or broken.
    fn flush_all(&mut self, log: &mut Log) {
        let mut gone = Vec::new();
        let mut late = Vec::new();
        for token in std::mem::take(&mut self.dirty) {
            if self.token_waits(token) {
                self.dirty.push(token);
                continue;
            }
            let Some(connection) = self.connections.get_mut(&token) else { continue };
            let alive = connection.flush().is_ok();
            let waits = connection.pending() > 0;
            if !alive || (connection.closing && !waits) {
                gone.push(token);
                continue;
            }
            if waits {
                late.push(token);
            }
            if waits != connection.waits_to_write {
                connection.waits_to_write = waits;
                let interest = if waits { Interest::READABLE | Interest::WRITABLE } else { Interest::READABLE };
                if self.poll.registry().reregister(connection.stream.source(), Token(token), interest).is_err() {
                    gone.push(token);
                }
            }
        }
        let now = wall_clock();
        late.retain(|token| self.is_over_limit(*token, now));
        for token in late {
            let (id, connection) = (self.id_of(token), &self.connections[&token]);
            let (index, buffers) = (connection.node, connection.buffers());
            let Some(node) = &mut self.nodes[index] else { continue };
            let mut out = Outbox::new();
            node.instance.cut_off(id, buffers, &mut out);
            for output in out {
                if let Output::Log(line) = output {
                    log(index, &line);
                }
            }
            gone.push(token);
        }
        for token in gone {
            self.hang_up(token, now, log);
        }
    }

    /// Whether more waits to be written to a client than client-output-buffer-limit allows.
    fn is_over_limit(&mut self, token: usize, now: Millis) -> bool {
        let id = self.id_of(token);
        let Some(connection) = self.connections.get_mut(&token) else { return false };
        let Some(node) = &self.nodes[connection.node] else { return false };
        let limit = node.instance.output_limit(id);
        let pending = connection.pending() as u64;
        connection.over_soft_since = limit.is_soft(pending).then(|| connection.over_soft_since.unwrap_or(now));
        limit.is_exceeded(pending, connection.over_soft_since, now)
    }
}

#[cfg(test)]
mod tests;
