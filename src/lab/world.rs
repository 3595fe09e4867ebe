//! The World: processes, connections, disk and database on one clock, driven by inputs and by the passing of time.
//!
//! Every change comes in through one of the methods here, and all chance through the seeded generator, so the world is
//! a function of its topology and the sequence of calls. Time passes only in `advance`, which lets happen what is due on
//! the way, in order of time; at one moment processes come first, in the order in which they were set up, then cron jobs.

use super::access;
use super::database::{Database, Slot};
use super::disk::{self, Disk};
use super::history::History;
use super::network::{Network, Side};
use super::process::Process;
use super::topology::{Cron, Topology};
use crate::base::{Bytes, Millis, Rng};
use crate::engine::client::Ends;
use crate::engine::disk::Disk as _;
use crate::engine::{ClientId, Env, Input, Instance, KeyTrace, Outbox, Output};
use crate::port::{ConnectionId, Incoming, Signal};
use crate::race::{Program, Race};
use crate::resp::{Protocol, Reply};
use crate::snapshot::{Event, State, What};
use std::collections::{BTreeMap, VecDeque};

/// The address of the lab's machine in its network, beside loopback.
pub const ADDRESS: &str = "192.168.1.10";

/// A terminal's connection to a server.
#[derive(Clone)]
pub(super) struct Connection {
    pub process: usize,
    pub client: ClientId,
    /// None for connections that no terminal holds.
    pub terminal: Option<String>,
    /// What came and was not picked up yet.
    pub inbox: VecDeque<Incoming>,
    pub open: bool,
    /// Requests of a blocked client, oldest first, with the database they were sent in.
    asked: VecDeque<(usize, Vec<Bytes>)>,
}

/// What an instance says of a command beside its reply.
enum Change {
    Key(KeyTrace),
    Watch(ClientId, usize, Bytes),
}

impl Change {
    /// The key that was found expired.
    fn expired(&self) -> Option<(usize, Bytes)> {
        match self {
            Change::Key(trace) if trace.event == "expired" => Some((trace.db, trace.key.clone())),
            _ => None,
        }
    }
}

#[derive(Clone)]
pub struct World {
    pub(super) now: Millis,
    pub(super) rng: Rng,
    pub(super) disk: Disk,
    /// Full path of the shell's directory.
    pub(super) home: String,
    torn_tails: bool,
    pub(super) processes: Vec<Process>,
    pub(super) connections: BTreeMap<ConnectionId, Connection>,
    next_connection: u64,
    pub(super) next_pid: u32,
    pub(super) history: History,
    pub(super) database: Slot,
    pub(super) network: Network,
    started_at: Millis,
    cron: Vec<Cron>,
}

/// Whether a process runs and listens at this address: what `bind` says.
fn listens_at(process: &Process, address: &str) -> bool {
    let Some(instance) = &process.instance else { return false };
    let bind = instance.config.text("bind");
    let bind = bind.lossy();
    bind.split_whitespace().map(|word| word.trim_start_matches('-')).any(|word| match word {
        "*" | "0.0.0.0" => true,
        "localhost" => address == "127.0.0.1",
        _ => word == address,
    })
}

impl World {
    /// The first moment of `topology`: files on the platter, servers running, their setup carried out.
    pub fn new(topology: &Topology, database: Option<Box<dyn Database>>) -> World {
        let began = topology.clock - topology.settled;
        let mut world = World {
            now: began,
            rng: Rng::new(topology.seed),
            disk: Disk::new(began),
            home: disk::resolve("", &topology.home),
            torn_tails: topology.torn_tails,
            processes: Vec::new(),
            connections: BTreeMap::new(),
            next_connection: 1,
            next_pid: 1001,
            history: History::default(),
            database: Slot(database),
            network: Network::new(topology.seed, topology.latency),
            started_at: topology.clock,
            cron: topology.sql.iter().flat_map(|sql| sql.cron.clone()).collect(),
        };
        world.disk.write_through = true;
        world.lay_files(topology);
        for statement in topology.sql.iter().flat_map(|sql| &sql.schema) {
            world.run_sql(statement, false).unwrap_or_default();
        }
        for server in &topology.instances {
            world.set_up(server);
        }
        world.advance(topology.settled);
        world.disk.write_through = false;
        world.disk.capacity_bytes = topology.disk_capacity_bytes;
        world
    }

    fn lay_files(&mut self, topology: &Topology) {
        let home = self.home.clone();
        let own = topology.instances.iter().map(|server| (&server.config_file, server.config.as_bytes()));
        let more = topology.files.iter().map(|(path, contents)| (path, contents.as_slice()));
        let dirs = topology.dirs.iter().map(|dir| disk::resolve(&home, dir));
        for dir in [home.clone()].into_iter().chain(dirs) {
            self.disk.create_dirs(&dir).expect("a new disk has room");
        }
        for (path, contents) in own.chain(more) {
            let path = disk::resolve(&home, path);
            let parent = path.rsplit_once('/').map_or("", |(parent, _)| parent).to_owned();
            self.disk.create_dirs(&parent).expect("a new disk has room");
            self.disk.write(&path, contents).expect("a new disk has room, and its directory was just made");
        }
    }

    /// Starts a server of the topology and has it carry out its setup.
    fn set_up(&mut self, server: &super::topology::Server) {
        let config_file = Some(disk::resolve(&self.home, &server.config_file));
        let dir = super::start::working_dir(&server.config, &self.home);
        self.disk.create_dirs(&dir).expect("a new disk has room");
        self.processes.push(Process::new(&server.name, server.port, config_file, &dir));
        if !server.running {
            return;
        }
        self.spawn(std::slice::from_ref(&server.config_file));
        let Ok(connection) = self.connect(server.port, "") else { return };
        let mut selected = 0;
        for (db, args) in &server.setup {
            if *db != selected {
                selected = *db;
                self.send(connection, vec![Bytes::from("SELECT"), Bytes::from(db.to_string())]);
            }
            self.send(connection, args.clone());
        }
        self.hang_up(connection);
        self.connections.remove(&connection);
    }

    // -- time --------------------------------------------------------------------------------------------------------

    pub fn now(&self) -> Millis {
        self.now
    }

    /// Lets `span` pass, with everything that is due on the way.
    pub fn advance(&mut self, span: Millis) {
        let target = self.now + span;
        while self.next_happening(target) {}
        self.set_clock(target);
    }

    /// Lets time pass until `done` holds, for `limit` at most; whether it does. Looks after each thing that happens.
    pub fn run_until(&mut self, limit: Millis, done: impl Fn(&World) -> bool) -> bool {
        let target = self.now + limit;
        while !done(self) {
            if !self.next_happening(target) {
                self.set_clock(target);
                return done(self);
            }
        }
        true
    }

    /// Lets the next thing happen that is due after now, `target` included; false if there is none.
    pub(super) fn next_happening(&mut self, target: Millis) -> bool {
        let now = self.now;
        let arrival = self.network.next_arrival().filter(|_| !self.network.frozen).map(|at| at.max(now));
        let arrivals = arrival.into_iter().chain(self.network.next_surrender());
        let jobs = self.cron.iter().map(|job| next_run(job, self.started_at, now));
        let ticks = self.processes.iter_mut().filter_map(|process| process.next_tick(now));
        let Some(at) = ticks.chain(jobs).chain(arrivals).min().filter(|at| *at <= target) else {
            return false;
        };
        let due: Vec<usize> =
            (0..self.processes.len()).filter(|index| self.processes[*index].next_tick(now) == Some(at)).collect();
        self.set_clock(at);
        self.settle();
        self.surrender_wires();
        for process in due {
            self.tick(process);
            self.settle();
        }
        self.run_jobs(now);
        true
    }

    pub(super) fn set_clock(&mut self, now: Millis) {
        self.now = now;
        self.disk.pass(now);
    }

    fn tick(&mut self, process: usize) {
        let out = self.step(process, Input::Tick);
        self.absorb(process, None, out);
    }

    /// Runs the cron jobs that have become due since `before`.
    fn run_jobs(&mut self, before: Millis) {
        let due = self.cron.iter().filter(|job| next_run(job, self.started_at, before) == self.now);
        let statements: Vec<String> = due.map(|job| job.statement.clone()).collect();
        for statement in statements {
            // What went wrong stands in the history, as it would in cron's mail.
            self.run_sql(&statement, true).unwrap_or_default();
        }
    }

    // -- connections -------------------------------------------------------------------------------------------------

    /// Opens a connection to whatever listens on `port`. `terminal` may be empty: nobody's. Err: redis-cli's line.
    pub fn connect(&mut self, port: u16, terminal: &str) -> Result<ConnectionId, String> {
        self.connect_over("127.0.0.1", port, terminal)
    }

    /// As `connect`, to the machine's address in its network instead of loopback: to the server it is as if another machine
    /// connected.
    pub fn connect_from_outside(&mut self, port: u16, terminal: &str) -> Result<ConnectionId, String> {
        self.connect_over(ADDRESS, port, terminal)
    }

    fn connect_over(&mut self, address: &str, port: u16, terminal: &str) -> Result<ConnectionId, String> {
        let Some(at) = self.processes.iter().position(|process| process.port == port && listens_at(process, address))
        else {
            return Err(format!("Could not connect to Redis at {address}:{port}: Connection refused"));
        };
        self.processes[at].next_client += 1;
        let client = ClientId(self.processes[at].next_client);
        let id = ConnectionId(self.next_connection);
        self.next_connection += 1;
        let terminal = (!terminal.is_empty()).then(|| terminal.to_owned());
        let (inbox, asked) = Default::default();
        self.connections.insert(id, Connection { process: at, client, terminal, inbox, open: true, asked });
        let from = 50_000 + client.0 % 10_000;
        let ends = Ends { addr: format!("{address}:{from}"), laddr: format!("{address}:{port}"), unix: false };
        let out = self.step(at, Input::ConnectFrom(client, ends));
        self.absorb(at, None, out);
        self.settle();
        Ok(id)
    }

    /// Sends a request; what is answered stands in the inbox afterwards, unless the client has to wait. Nothing happens
    /// on a connection that is closed.
    pub fn send(&mut self, id: ConnectionId, args: Vec<Bytes>) {
        let Some(connection) = self.connections.get_mut(&id).filter(|connection| connection.open) else { return };
        let (process, client) = (connection.process, connection.client);
        let db = self.client_db(process, client);
        self.connections.get_mut(&id).expect("just found").asked.push_back((db, args.clone()));
        let out = self.step(process, Input::Request(client, args));
        self.absorb(process, Some(id), out);
        self.settle();
    }

    /// Picks up what came over a connection. A connection that is not there (any more) is closed.
    pub fn receive(&mut self, id: ConnectionId) -> Vec<Incoming> {
        match self.connections.get_mut(&id) {
            Some(connection) => connection.inbox.drain(..).collect(),
            None => vec![Incoming::Closed],
        }
    }

    /// Whether `receive` would give anything.
    pub fn has_incoming(&self, id: ConnectionId) -> bool {
        self.connections.get(&id).is_none_or(|connection| !connection.inbox.is_empty())
    }

    pub fn hang_up(&mut self, id: ConnectionId) {
        let Some(connection) = self.connections.remove(&id) else { return };
        if connection.open {
            let out = self.step(connection.process, Input::Hangup(connection.client));
            self.absorb(connection.process, None, out);
            self.settle();
        }
    }

    fn client_db(&self, process: usize, client: ClientId) -> usize {
        let instance = self.processes[process].instance.as_ref();
        instance.and_then(|instance| instance.clients.get(&client)).map_or(0, |client| client.db)
    }

    // -- accidents ---------------------------------------------------------------------------------------------------

    /// Err: no such process, in the words of kill(1).
    pub fn signal(&mut self, pid: u32, signal: Signal) -> Result<(), String> {
        let Some(at) = self.processes.iter().position(|process| process.is_running() && process.pid == pid) else {
            return Err(format!("kill: ({pid}) - No such process"));
        };
        match signal {
            Signal::Term => {
                // A server that cannot save stays; its log says why.
                let out = self.with_instance(at, |instance, env, out| drop(instance.terminate(env, out)));
                self.absorb(at, None, out);
            }
            Signal::Kill => self.end(at, State::Crashed, "kill -9"),
        }
        self.settle();
        Ok(())
    }

    /// Every process ends at once, and only the platter remains.
    pub fn power_cut(&mut self) {
        self.note("", What::PowerCut);
        for at in 0..self.processes.len() {
            if self.processes[at].is_running() {
                self.end(at, State::Crashed, "power cut");
            }
        }
        let torn = self.torn_tails.then_some(&mut self.rng);
        self.disk.power_cut(torn);
    }

    /// The process is gone: its memory with it, its connections closed.
    pub(super) fn end(&mut self, at: usize, state: State, how: &str) {
        let process = &mut self.processes[at];
        process.instance = None;
        process.state = state;
        let (name, pid) = (process.name.clone(), process.pid);
        for connection in self.connections.values_mut().filter(|it| it.process == at && it.open) {
            connection.open = false;
            connection.asked.clear();
            connection.inbox.push_back(Incoming::Closed);
        }
        self.note(&name, What::Process { pid, state, how: how.to_owned() });
        self.leave_all(at);
    }

    // -- the SQL database --------------------------------------------------------------------------------------------

    /// A statement of the learner. Err: the client's error line.
    pub fn sql(&mut self, statement: &str) -> Result<Vec<String>, String> {
        self.run_sql(statement, false)
    }

    fn run_sql(&mut self, statement: &str, cron: bool) -> Result<Vec<String>, String> {
        let now = self.now;
        let Some(database) = &mut self.database.0 else {
            return Err(String::from("There is no SQL database on this machine."));
        };
        let answer = database.execute(now, statement);
        let (lines, failed) = match &answer {
            Ok(lines) => (lines.clone(), false),
            Err(line) => (vec![line.clone()], true),
        };
        self.note("sql", What::Sql { statement: statement.to_owned(), lines, failed, cron });
        answer
    }

    // -- files -------------------------------------------------------------------------------------------------------

    /// Paths are taken from home. Err: in the words of cat(1).
    pub fn read_file(&self, path: &str) -> Result<Vec<u8>, String> {
        let path = disk::resolve(&self.home, path);
        self.disk.read(&path).map(<[u8]>::to_vec).map_err(|error| error.to_string())
    }

    /// Replaces the whole file, as an editor does it: it survives a power cut.
    pub fn write_file(&mut self, path: &str, contents: &[u8]) -> Result<(), String> {
        let path = disk::resolve(&self.home, path);
        let beside = format!("{path}~");
        let mut view = disk::From { disk: &mut self.disk, dir: "" };
        view.replace(&path, &beside, contents, true).map_err(|(_, error)| error.to_string())
    }

    /// A path that ends in `/` is a directory; it may hold directories, but no files.
    pub fn remove_file(&mut self, path: &str) -> Result<(), String> {
        let full = disk::resolve(&self.home, path);
        let removed = match path.ends_with('/') {
            true => self.disk.remove_dir(&full),
            false if self.disk.is_dir(&full) => return Err(String::from("Is a directory")),
            false => self.disk.remove(&full),
        };
        removed.map_err(|error| error.to_string())
    }

    pub fn make_dir(&mut self, path: &str) -> Result<(), String> {
        let path = disk::resolve(&self.home, path);
        if self.disk.is_dir(&path) || self.disk.len(&path).is_some() {
            return Err(String::from("File exists"));
        }
        self.disk.create_dir(&path).map_err(|error| error.to_string())
    }

    /// Paths of the files below `dir`, themselves from `dir`, sorted; empty directories too, with a `/` behind.
    pub fn list_files(&self, dir: &str) -> Vec<String> {
        let dir = disk::resolve(&self.home, dir);
        let skip = if dir.is_empty() { 0 } else { dir.len() + 1 };
        let files = self.disk.files_below(&dir).map(|path| path[skip..].to_owned());
        let mut paths: Vec<String> =
            files.chain(self.disk.empty_dirs_below(&dir).map(|path| format!("{}/", &path[skip..]))).collect();
        paths.sort();
        paths
    }

    // -- the past ----------------------------------------------------------------------------------------------------

    /// All events after `sequence`, oldest first.
    pub fn events_since(&self, sequence: u64) -> impl Iterator<Item = &Event> {
        self.history.since(sequence)
    }

    /// Races among the events after `sequence`.
    pub fn races_since(&self, sequence: u64) -> Vec<Race> {
        access::races(self.history.since(sequence), &|_| false)
    }

    /// What each terminal sent after event `sequence`, as programs.
    pub fn programs_since(&self, sequence: u64) -> Vec<Program> {
        access::programs(self.history.since(sequence))
    }

    /// Writes an event into the history; its sequence number.
    pub(super) fn note(&mut self, instance: &str, what: What) -> u64 {
        let sequence = self.history.last() + 1;
        self.history.push(Event { sequence, at: self.now, instance: instance.to_owned(), what });
        sequence
    }

    // -- inside ------------------------------------------------------------------------------------------------------

    /// Hands one input to the instance of a running process.
    pub(super) fn step(&mut self, at: usize, input: Input) -> Outbox {
        self.with_instance(at, |instance, env, out| instance.step(env, input, out))
    }

    pub(super) fn with_instance(
        &mut self,
        at: usize,
        act: impl FnOnce(&mut Instance, &mut Env, &mut Outbox),
    ) -> Outbox {
        let mut out = Outbox::new();
        let process = &mut self.processes[at];
        if let Some(instance) = &mut process.instance {
            // Paths that the engine hands out are full ones: its config knows the directory.
            let mut view = disk::From { disk: &mut self.disk, dir: "" };
            act(instance, &mut Env { now: self.now, rng: &mut self.rng, disk: &mut view }, &mut out);
        }
        process.stirred();
        out
    }

    /// Delivers what an instance said and writes it into the history. `asker` is who sent the request of this step.
    ///
    /// The engine says the changes of a command before its reply, so the changes up to a reply are that command's.
    pub(super) fn absorb(&mut self, at: usize, asker: Option<ConnectionId>, out: Outbox) {
        let name = self.processes[at].name.clone();
        let mut changes = Vec::new();
        let mut exits = false;
        let mut told = None;
        for output in out {
            match output {
                Output::Reply(client, reply) if self.reply_over_wire(at, client, &reply) => {}
                Output::Push(client, reply) if self.reply_over_wire(at, client, &reply) => {}
                Output::Reply(client, reply) => {
                    let id = self.connection_of(at, client);
                    if let Some(sequence) = self.tell(&name, id, client, &reply) {
                        told = (id == asker).then_some(sequence).or(told);
                        self.note_changes(at, &name, &mut changes, Some(sequence));
                    }
                    let reply = reply.seen_by(self.protocol_of(at, client));
                    self.deliver(id, Incoming::Reply(reply));
                }
                Output::Push(client, reply) => {
                    let id = self.connection_of(at, client);
                    let reply = reply.seen_by(self.protocol_of(at, client));
                    self.deliver(id, Incoming::Push(reply));
                }
                Output::Close(client) => {
                    self.close(at, client);
                    self.leave(at, Side::Client(client));
                }
                Output::Raw(..) | Output::Dial(..) | Output::LinkSend(..) | Output::LinkClose(_) => {
                    self.network_output(at, output);
                }
                Output::Log(text) => self.log(at, &text),
                Output::Trace(trace) => changes.push(Change::Key(trace)),
                Output::WatchBroken(client, db, key) => changes.push(Change::Watch(client, db, key)),
                Output::Exit => exits = true,
            }
        }
        let told = told.or_else(|| asker.and_then(|id| self.tell_unanswered(&name, at, id)));
        self.note_changes(at, &name, &mut changes, told);
        if exits {
            let instance = self.processes[at].instance.as_ref();
            let by_client = asker.is_some() || instance.is_some_and(|instance| instance.is_shut_down_by_client());
            self.end(at, State::Stopped, if by_client { "SHUTDOWN" } else { "SIGTERM" });
        }
    }

    /// The Command event of the oldest unanswered request of `id`; None if a further reply belongs to the same request.
    fn tell(&mut self, name: &str, id: Option<ConnectionId>, client: ClientId, reply: &Reply) -> Option<u64> {
        let connection = self.connections.get_mut(&id?)?;
        // A blocked client's first request is answered later, within somebody else's step; its later ones wait behind it.
        let (db, args) = connection.asked.pop_front()?;
        let terminal = connection.terminal.clone();
        let what = What::Command { client: client.0, terminal, db, args, reply: reply.clone() };
        Some(self.note(name, what))
    }

    /// The Command event of a request that got no reply in its own step: it blocks, or wants none.
    fn tell_unanswered(&mut self, name: &str, at: usize, id: ConnectionId) -> Option<u64> {
        let connection = self.connections.get(&id)?;
        let (client, terminal) = (connection.client, connection.terminal.clone());
        let (db, args) = connection.asked.back()?.clone();
        let blocks = self.processes[at]
            .instance
            .as_ref()
            .and_then(|it| it.clients.get(&client))
            .is_some_and(|it| it.blocked.is_some());
        if !blocks {
            self.connections.get_mut(&id)?.asked.pop_back();
        }
        Some(self.note(name, What::Command { client: client.0, terminal, db, args, reply: Reply::None }))
    }

    fn note_changes(&mut self, at: usize, name: &str, changes: &mut Vec<Change>, cause: Option<u64>) {
        let expired: Vec<(usize, Bytes)> = changes.iter().filter_map(Change::expired).collect();
        for change in changes.drain(..) {
            // A command may be the one that finds an expired key, but it was time that took it.
            let what = match change {
                Change::Key(KeyTrace { db, key, event }) => {
                    What::Key { db, key, event: event.to_owned(), by: cause.filter(|_| event != "expired") }
                }
                Change::Watch(client, db, key) => {
                    let terminal = self.connection_of(at, client).and_then(|id| self.connections[&id].terminal.clone());
                    // EXEC itself changes nothing before it looks: what it found had expired.
                    let own_exec = cause.is_some_and(|cause| self.is_exec_of(cause, client));
                    let by = cause.filter(|_| !own_exec && !expired.contains(&(db, key.clone())));
                    What::WatchBroken { client: client.0, terminal, db, key, by }
                }
            };
            self.note(name, what);
        }
    }

    /// Whether event `sequence` is an EXEC of `client`.
    fn is_exec_of(&self, sequence: u64, client: ClientId) -> bool {
        matches!(self.history.since(sequence - 1).next().map(|event| &event.what),
            Some(What::Command { client: id, args, .. }) if *id == client.0 && args.first().is_some_and(|name| name.eq_ignore_ascii_case(b"exec")))
    }

    fn connection_of(&self, at: usize, client: ClientId) -> Option<ConnectionId> {
        let mut all = self.connections.iter().filter(|(_, it)| it.open);
        all.find(|(_, it)| it.process == at && it.client == client).map(|(id, _)| *id)
    }

    /// The protocol that a client speaks now; RESP2 for one that is gone.
    pub(super) fn protocol_of(&self, at: usize, client: ClientId) -> Protocol {
        let instance = self.processes[at].instance.as_ref();
        instance.and_then(|instance| instance.clients.get(&client)).map_or(Protocol::Resp2, |client| client.protocol)
    }

    fn deliver(&mut self, id: Option<ConnectionId>, incoming: Incoming) {
        if let Some(connection) = id.and_then(|id| self.connections.get_mut(&id)) {
            connection.inbox.push_back(incoming);
        }
    }

    fn close(&mut self, at: usize, client: ClientId) {
        let Some(id) = self.connection_of(at, client) else { return };
        let connection = self.connections.get_mut(&id).expect("just found");
        connection.open = false;
        connection.inbox.push_back(Incoming::Closed);
    }
}

/// When `job` runs next after `now`.
fn next_run(job: &Cron, started_at: Millis, now: Millis) -> Millis {
    let every = job.every.0.max(1);
    Millis(started_at.0 + (now.since(started_at).0 / every + 1) * every)
}
