//! A world with its past: the journal, undo and redo, forks, resuming.
//!
//! Everything done to the world goes through `apply`, which writes it into the journal first. A *step* is what `mark`
//! ends, usually one line of a terminal; it begins with its first deed, so the time that ran before the line was typed,
//! and the connection it was typed on, stay when the step is taken back. Undo goes to the state before that deed: from the
//! nearest checkpoint, a copy of the world, by replaying what stands between. Redo replays the step itself, and what ran by
//! before it; any new input but running time forgets what was undone.

use super::database::Database;
use super::journal::{self, Entries, Input, JournalError};
use super::topology::Topology;
use super::world::World;
use crate::base::{Bytes, Millis};
use crate::port::{ConnectionId, Incoming, NetworkChange, Signal, Spawned};
use std::rc::Rc;

/// A copy of the world is kept at the first step after so many deeds, and so many copies at most.
const DEEDS_PER_CHECKPOINT: usize = 128;
const CHECKPOINTS: usize = 8;

/// A step of undo, as positions in the journal.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Step {
    /// Before its first deed.
    start: usize,
    /// After its mark.
    end: usize,
}

#[derive(Clone)]
struct Checkpoint {
    /// The journal's length when it was made.
    at: usize,
    world: Rc<World>,
}

#[derive(Clone)]
pub struct Timeline {
    world: World,
    fingerprint: u64,
    /// Entries, encoded; `passing` is not among them yet.
    entries: Vec<u8>,
    /// Running time since the last entry: it becomes one entry when something else happens.
    passing: Millis,
    steps: Vec<Step>,
    /// Where the first deed after the last mark stands.
    step_start: Option<usize>,
    /// Steps taken back, the next one to redo last: what stood in the journal from the end of the step before.
    undone: Vec<Vec<u8>>,
    /// The first moment, then copies in the order of the journal.
    checkpoints: Vec<Checkpoint>,
    deeds_since_checkpoint: usize,
}

impl Timeline {
    pub fn new(topology: &Topology, database: Option<Box<dyn Database>>) -> Timeline {
        let world = World::new(topology, database);
        Timeline { fingerprint: topology.fingerprint(), ..Timeline::of_world(world) }
    }

    /// A world without a past: what became of one in a copy. Its journal belongs to no topology.
    pub fn of_world(world: World) -> Timeline {
        Timeline {
            checkpoints: vec![Checkpoint { at: 0, world: Rc::new(world.clone()) }],
            world,
            fingerprint: 0,
            entries: Vec::new(),
            passing: Millis::ZERO,
            steps: Vec::new(),
            step_start: None,
            undone: Vec::new(),
            deeds_since_checkpoint: 0,
        }
    }

    /// The world that `journal` was written on, at the moment it was written. `topology` and `database` as at its start.
    pub fn resume(
        topology: &Topology,
        database: Option<Box<dyn Database>>,
        journal: &[u8],
    ) -> Result<Timeline, JournalError> {
        let body = journal::body(journal, topology.fingerprint())?;
        // Read it all before doing any of it: a damaged journal makes no half world.
        let inputs: Vec<Input> = Entries::new(body).collect::<Result<_, _>>()?;
        let mut timeline = Timeline::new(topology, database);
        for input in inputs {
            match input {
                Input::Mark => timeline.mark(),
                input => timeline.apply(&input),
            }
        }
        Ok(timeline)
    }

    /// Everything needed to make this world again on its topology.
    pub fn journal(&self) -> Vec<u8> {
        let mut bytes = journal::head(self.fingerprint);
        bytes.extend_from_slice(&self.entries);
        if self.passing > Millis::ZERO {
            Input::Pass(self.passing).encode(&mut bytes);
        }
        bytes
    }

    pub fn world(&self) -> &World {
        &self.world
    }

    // -- inputs ------------------------------------------------------------------------------------------------------

    /// Time that runs by itself.
    pub fn pass(&mut self, span: Millis) {
        self.apply(&Input::Pass(span));
    }

    /// Time that somebody lets pass: a deed, which undo takes back.
    pub fn sleep(&mut self, span: Millis) {
        self.apply(&Input::Sleep(span));
    }

    pub fn connect(&mut self, port: u16, terminal: &str) -> Result<ConnectionId, String> {
        self.record(&Input::Connect { port, terminal: terminal.to_owned(), outside: false });
        self.world.connect(port, terminal)
    }

    pub fn connect_from_outside(&mut self, port: u16, terminal: &str) -> Result<ConnectionId, String> {
        self.record(&Input::Connect { port, terminal: terminal.to_owned(), outside: true });
        self.world.connect_from_outside(port, terminal)
    }

    pub fn send(&mut self, connection: ConnectionId, args: Vec<Bytes>) {
        self.apply(&Input::Send { connection, args });
    }

    pub fn receive(&mut self, connection: ConnectionId) -> Vec<Incoming> {
        if !self.world.has_incoming(connection) {
            return Vec::new();
        }
        self.record(&Input::Receive(connection));
        self.world.receive(connection)
    }

    pub fn hang_up(&mut self, connection: ConnectionId) {
        self.apply(&Input::HangUp(connection));
    }

    pub fn spawn(&mut self, argv: &[String]) -> Spawned {
        self.record(&Input::Spawn(argv.to_vec()));
        self.world.spawn(argv)
    }

    pub fn signal(&mut self, pid: u32, signal: Signal) -> Result<(), String> {
        self.record(&Input::Signal { pid, signal });
        self.world.signal(pid, signal)
    }

    pub fn power_cut(&mut self) {
        self.apply(&Input::PowerCut);
    }

    pub fn write_file(&mut self, path: &str, contents: &[u8]) -> Result<(), String> {
        self.record(&Input::Write { path: path.to_owned(), contents: contents.to_vec() });
        self.world.write_file(path, contents)
    }

    pub fn remove_file(&mut self, path: &str) -> Result<(), String> {
        self.record(&Input::Remove(path.to_owned()));
        self.world.remove_file(path)
    }

    pub fn make_dir(&mut self, path: &str) -> Result<(), String> {
        self.record(&Input::MakeDir(path.to_owned()));
        self.world.make_dir(path)
    }

    /// For a step: the message that arrived, in words. Err: no such server.
    pub fn network(&mut self, change: NetworkChange) -> Result<Option<String>, String> {
        self.record(&Input::Network(change.clone()));
        self.world.change_network(&change)
    }

    pub fn sql(&mut self, statement: &str) -> Result<Vec<String>, String> {
        self.record(&Input::Sql(statement.to_owned()));
        self.world.sql(statement)
    }

    /// Journals an input and does it; answers are left behind.
    fn apply(&mut self, input: &Input) {
        self.record(input);
        perform(&mut self.world, input);
    }

    /// Writes an input into the journal. A copy of the world as it is now may be kept before.
    fn record(&mut self, input: &Input) {
        if let Input::Pass(span) = input {
            self.passing += *span;
            return;
        }
        self.flush_passing();
        if !matches!(input, Input::Receive(_)) {
            self.undone.clear();
        }
        if input.is_deed() {
            // Nobody goes back into the middle of a step, and one line may be thousands of deeds (slots that move).
            if self.step_start.is_none() && self.deeds_since_checkpoint >= DEEDS_PER_CHECKPOINT {
                self.keep_checkpoint();
            }
            self.step_start.get_or_insert(self.entries.len());
            self.deeds_since_checkpoint += 1;
        }
        input.encode(&mut self.entries);
    }

    fn flush_passing(&mut self) {
        let span = std::mem::take(&mut self.passing);
        if span > Millis::ZERO {
            Input::Pass(span).encode(&mut self.entries);
        }
    }

    fn keep_checkpoint(&mut self) {
        self.deeds_since_checkpoint = 0;
        self.checkpoints.push(Checkpoint { at: self.entries.len(), world: Rc::new(self.world.clone()) });
        if self.checkpoints.len() > CHECKPOINTS {
            // Drops the one whose neighbours stand closest together, old gaps counting less: near the present they stay dense.
            let gap = |at: &usize| {
                let age = self.entries.len() - self.checkpoints[*at].at;
                (self.checkpoints[at + 1].at - self.checkpoints[at - 1].at) as u64 * 1024 / (age as u64 + 1)
            };
            let victim = (1..self.checkpoints.len() - 1).min_by_key(gap).expect("there are more than two");
            self.checkpoints.remove(victim);
        }
    }

    // -- steps -------------------------------------------------------------------------------------------------------

    /// Ends a step. Without a deed since the last mark there is none to end.
    pub fn mark(&mut self) {
        if let Some(start) = self.step_start.take() {
            self.flush_passing();
            Input::Mark.encode(&mut self.entries);
            self.steps.push(Step { start, end: self.entries.len() });
        }
    }

    /// Takes back the last step; deeds without a mark yet are a step too. False if there is none.
    pub fn undo(&mut self) -> bool {
        self.mark();
        let Some(step) = self.steps.pop() else { return false };
        let taken_back = self.entries[self.last_end()..step.end].to_vec();
        self.rewind(step.start);
        self.undone.push(taken_back);
        true
    }

    /// Does the step again that was taken back last; false if there is none.
    pub fn redo(&mut self) -> bool {
        let Some(step) = self.undone.pop() else { return false };
        // What ran by since the undo is dropped: the step happens at its own time.
        self.rewind(self.last_end());
        let mut start = self.entries.len();
        let mut entries = Entries::new(&step);
        while let Some(Ok(input)) = entries.next() {
            if input.is_deed() {
                break;
            }
            start = self.entries.len() + entries.at;
        }
        replay(&mut self.world, &step);
        self.entries.extend_from_slice(&step);
        self.steps.push(Step { start, end: self.entries.len() });
        true
    }

    /// Where the last step ends in the journal.
    fn last_end(&self) -> usize {
        self.steps.last().map_or(0, |step| step.end)
    }

    /// How many steps can be taken back, and how many can be done again.
    pub fn depth(&self) -> (usize, usize) {
        (self.steps.len() + usize::from(self.step_start.is_some()), self.undone.len())
    }

    /// Makes the world as it was when the journal had `at` bytes.
    fn rewind(&mut self, at: usize) {
        self.entries.truncate(at);
        self.passing = Millis::ZERO;
        self.step_start = None;
        self.checkpoints.retain(|checkpoint| checkpoint.at <= at);
        let checkpoint = self.checkpoints.last().expect("the first moment is always kept");
        let mut world = World::clone(&checkpoint.world);
        replay(&mut world, &self.entries[checkpoint.at..]);
        self.world = world;
    }
}

/// Does what `entries` say; they were written here, so they can be read.
fn replay(world: &mut World, entries: &[u8]) {
    for input in Entries::new(entries) {
        perform(world, &input.expect("the journal was encoded by this program, or checked by `resume`"));
    }
}

fn perform(world: &mut World, input: &Input) {
    match input {
        Input::Pass(span) => world.pass(*span),
        Input::Sleep(span) => world.advance(*span),
        Input::Connect { port, terminal, outside: false } => drop(world.connect(*port, terminal)),
        Input::Connect { port, terminal, outside: true } => drop(world.connect_from_outside(*port, terminal)),
        Input::Send { connection, args } => world.send(*connection, args.clone()),
        Input::Receive(connection) => drop(world.receive(*connection)),
        Input::HangUp(connection) => world.hang_up(*connection),
        Input::Spawn(argv) => drop(world.spawn(argv)),
        Input::Signal { pid, signal } => drop(world.signal(*pid, *signal)),
        Input::PowerCut => world.power_cut(),
        Input::Write { path, contents } => drop(world.write_file(path, contents)),
        Input::Remove(path) => drop(world.remove_file(path)),
        Input::MakeDir(path) => drop(world.make_dir(path)),
        Input::Sql(statement) => drop(world.sql(statement)),
        Input::Network(change) => drop(world.change_network(change)),
        Input::Mark => {}
    }
}
