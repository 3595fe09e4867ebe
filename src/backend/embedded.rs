//! The embedded machine: `lab::Timeline` behind the port `Backend`, with SQLite as its SQL database.

use super::sql::Sqlite;
use super::storm;
use crate::base::{Bytes, Millis};
use crate::lab::journal::JournalError;
use crate::lab::{self, Database, Timeline, Topology, orders};
use crate::port::{self, Backend, ConnectionId, Incoming, NetworkChange, Signal, Spawned};
use crate::race::{Orders, Program, Race, Run};
use crate::snapshot;

/// `advance` in one go by at least this much is somebody's deed (`sleep 5`), which undo takes back; less is the clock
/// running on between two key presses.
const DEED: Millis = Millis(1000);

/// Decides which orders are looked at where there are too many.
const ORDERS_SEED: u64 = 1;

/// A simulated machine. Its clock moves only by `advance`; everything in it can be copied, taken back and resumed.
#[derive(Clone)]
pub struct Embedded {
    timeline: Timeline,
}

impl Embedded {
    pub fn new(topology: &Topology) -> Embedded {
        Embedded { timeline: Timeline::new(topology, database_for(topology)) }
    }

    /// The machine as it was when `journal` was taken. Err: the journal is damaged or belongs to another topology.
    pub fn resume(topology: &Topology, journal: &[u8]) -> Result<Embedded, JournalError> {
        Ok(Embedded { timeline: Timeline::resume(topology, database_for(topology), journal)? })
    }

    pub fn timeline(&self) -> &Timeline {
        &self.timeline
    }
}

fn database_for(topology: &Topology) -> Option<Box<dyn Database>> {
    topology.sql.is_some().then(|| Box::new(Sqlite::new()) as Box<dyn Database>)
}

impl Backend for Embedded {
    fn now(&self) -> Millis {
        self.timeline.world().now()
    }

    fn advance(&mut self, span: Millis) {
        if span < DEED { self.timeline.pass(span) } else { self.timeline.sleep(span) }
    }

    fn connect(&mut self, port: u16, terminal: &str) -> Result<ConnectionId, String> {
        self.timeline.connect(port, terminal)
    }

    fn connect_to(&mut self, host: &str, port: u16, terminal: &str) -> Result<ConnectionId, String> {
        if host == lab::ADDRESS {
            return self.timeline.connect_from_outside(port, terminal);
        }
        port::own_name(host, port)?;
        self.connect(port, terminal)
    }

    fn send(&mut self, connection: ConnectionId, args: Vec<Bytes>) {
        self.timeline.send(connection, args);
    }

    fn receive(&mut self, connection: ConnectionId) -> Vec<Incoming> {
        self.timeline.receive(connection)
    }

    fn hang_up(&mut self, connection: ConnectionId) {
        self.timeline.hang_up(connection);
    }

    fn spawn(&mut self, argv: &[String]) -> Spawned {
        self.timeline.spawn(argv)
    }

    fn signal(&mut self, pid: u32, signal: Signal) -> Result<(), String> {
        self.timeline.signal(pid, signal)
    }

    fn power_cut(&mut self) {
        self.timeline.power_cut();
    }

    fn network(&mut self, change: NetworkChange) -> Result<Option<String>, String> {
        self.timeline.network(change)
    }

    fn read_file(&self, path: &str) -> Result<Vec<u8>, String> {
        self.timeline.world().read_file(path)
    }

    fn write_file(&mut self, path: &str, contents: &[u8]) -> Result<(), String> {
        self.timeline.write_file(path, contents)
    }

    fn remove_file(&mut self, path: &str) -> Result<(), String> {
        self.timeline.remove_file(path)
    }

    fn make_dir(&mut self, path: &str) -> Result<(), String> {
        self.timeline.make_dir(path)
    }

    fn list_files(&self, dir: &str) -> Vec<String> {
        self.timeline.world().list_files(dir)
    }

    fn snapshot(&self) -> snapshot::World {
        self.timeline.world().snapshot()
    }

    fn events_since(&self, sequence: u64) -> Vec<snapshot::Event> {
        self.timeline.world().events_since(sequence).cloned().collect()
    }

    fn fork(&self) -> Option<Box<dyn Backend>> {
        Some(Box::new(self.clone()))
    }

    fn undo(&mut self) -> bool {
        self.timeline.undo()
    }

    fn redo(&mut self) -> bool {
        self.timeline.redo()
    }

    fn depth(&self) -> (usize, usize) {
        self.timeline.depth()
    }

    fn mark(&mut self) {
        self.timeline.mark();
    }

    fn journal(&self) -> Vec<u8> {
        self.timeline.journal()
    }

    fn config_faults(&self, text: &str) -> Vec<(usize, String)> {
        crate::engine::config::file::faults(text.as_bytes())
    }

    fn races_since(&self, sequence: u64) -> Vec<Race> {
        self.timeline.world().races_since(sequence)
    }

    fn programs_since(&self, sequence: u64) -> Vec<Program> {
        self.timeline.world().programs_since(sequence)
    }

    fn orders(&self, port: u16, programs: &[Program]) -> Result<Orders, String> {
        orders::all(self.timeline.world(), port, programs, ORDERS_SEED)
    }

    fn play_order(&self, port: u16, programs: &[Program], turns: &[u8]) -> Result<(Run, Box<dyn Backend>), String> {
        let (run, world) = orders::one(self.timeline.world(), port, programs, turns)?;
        Ok((run, Box::new(Embedded { timeline: Timeline::of_world(world) })))
    }

    fn sql(&mut self, statement: &str) -> Result<Vec<String>, String> {
        self.timeline.sql(statement)
    }

    fn storm(&mut self, logins: usize) -> Result<Vec<String>, String> {
        Ok(storm::run(logins))
    }
}
