//! The port `Backend`: the machine that lessons are about, embedded or real, as terminals, tutor and panes use it.
//!
//! Time passes only by `advance`. Nothing here blocks: what a server says later is picked up by `receive`.

use crate::base::{Bytes, Millis};
use crate::race::{Orders, Program, Race, Run};
use crate::resp::Reply;
use crate::snapshot;

/// A connection that a terminal holds open to one server.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ConnectionId(pub u64);

/// What came over a connection.
#[derive(Clone, Debug, PartialEq)]
pub enum Incoming {
    Reply(Reply),
    /// Out of band: pub/sub messages under RESP3, MONITOR lines, invalidations.
    Push(Reply),
    Closed,
}

/// What a started or ended process had to say.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Spawned {
    /// None if it refused to start.
    pub pid: Option<u32>,
    /// What redis-server prints, line by line.
    pub log: Vec<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Signal {
    /// SIGTERM: the clean end that saves as Redis does.
    Term,
    /// SIGKILL: no last word. The page cache survives.
    Kill,
}

/// What can be done to the network between two servers, or to all of it.
#[derive(Clone, Debug, PartialEq)]
pub enum NetworkChange {
    /// Nothing gets through between two servers, in both directions.
    Cut(String, String),
    /// Takes the cut away; delay and loss stay.
    Heal(String, String),
    /// Takes all faults away.
    HealAll,
    /// A packet takes so long, each way.
    Delay(String, String, Millis),
    /// So many of a hundred packets are lost, and sent again.
    Loss(String, String, u32),
    /// Nothing arrives but by `Step`.
    Freeze(bool),
    /// The next message arrives, within so much time.
    Step(Millis),
}

const NO_COPY: &str = "This machine cannot be copied, so other orders cannot be tried on it.";
/// What a machine answers that has neither shell nor files: a client of a server that runs elsewhere.
const CLIENT_ONLY: &str = "this prompt is a client only";

/// Whether `host` is what every machine calls itself. Err: the text redis-cli prints of a name that nobody knows.
pub fn own_name(host: &str, port: u16) -> Result<(), String> {
    match host {
        "127.0.0.1" | "localhost" | "::1" | "0.0.0.0" | "" => Ok(()),
        _ => Err(format!("Could not connect to Redis at {host}:{port}: Name or service not known")),
    }
}

/// A machine with a clock, a disk and redis-server processes. A clock and connections are all that it must have; what else
/// there may be says by default that it is not there.
pub trait Backend {
    fn now(&self) -> Millis;

    /// Lets time pass, with everything that is due on the way.
    fn advance(&mut self, span: Millis);

    /// Opens a connection to whatever listens on `port`; Err is the text redis-cli prints:
    /// `Could not connect to Redis at 127.0.0.1:6390: Connection refused`.
    fn connect(&mut self, port: u16, terminal: &str) -> Result<ConnectionId, String>;
    /// As `connect`, to a named host. A machine that stands by itself has only its own names.
    fn connect_to(&mut self, host: &str, port: u16, terminal: &str) -> Result<ConnectionId, String> {
        own_name(host, port)?;
        self.connect(port, terminal)
    }
    fn send(&mut self, connection: ConnectionId, args: Vec<Bytes>);
    fn receive(&mut self, connection: ConnectionId) -> Vec<Incoming>;
    fn hang_up(&mut self, connection: ConnectionId);

    /// `redis-server ARGS`: `argv` without the program's name, resolved in the lab's home directory.
    fn spawn(&mut self, argv: &[String]) -> Spawned {
        let _ = argv;
        Spawned { pid: None, log: vec![CLIENT_ONLY.to_owned()] }
    }
    /// Err: no such process, in the words of kill(1).
    fn signal(&mut self, pid: u32, signal: Signal) -> Result<(), String> {
        let _ = (pid, signal);
        Err(CLIENT_ONLY.to_owned())
    }
    /// Every process ends at once and only the platter remains.
    fn power_cut(&mut self) {}

    /// Changes the network between the machine's servers, named by name or port. For a step: the message that arrived, in
    /// words. Err: the reason.
    fn network(&mut self, change: NetworkChange) -> Result<Option<String>, String> {
        let _ = change;
        Err(String::from("The network of this machine is not the lab's: nothing can be cut or slowed down here."))
    }

    /// Err: in the words of cat(1), `No such file or directory`.
    fn read_file(&self, path: &str) -> Result<Vec<u8>, String> {
        let _ = path;
        Err(CLIENT_ONLY.to_owned())
    }
    fn write_file(&mut self, path: &str, contents: &[u8]) -> Result<(), String> {
        let _ = (path, contents);
        Err(CLIENT_ONLY.to_owned())
    }
    /// A path that ends in `/` is a directory without files.
    fn remove_file(&mut self, path: &str) -> Result<(), String> {
        let _ = path;
        Err(CLIENT_ONLY.to_owned())
    }
    /// Err: in the words of mkdir(1): `File exists`, `No such file or directory`.
    fn make_dir(&mut self, path: &str) -> Result<(), String> {
        let _ = path;
        Err(CLIENT_ONLY.to_owned())
    }
    /// Paths of the files below `dir`, themselves from `dir`, sorted; empty directories too, with a `/` behind.
    fn list_files(&self, dir: &str) -> Vec<String> {
        let _ = dir;
        Vec::new()
    }

    /// What redis-server would refuse in a config file of this text: line numbers from 1, and its reason for each.
    fn config_faults(&self, text: &str) -> Vec<(usize, String)> {
        let _ = text;
        Vec::new()
    }

    fn snapshot(&self) -> snapshot::World {
        snapshot::World { now: self.now(), ..snapshot::World::default() }
    }
    /// All events after `sequence`, oldest first.
    fn events_since(&self, sequence: u64) -> Vec<snapshot::Event> {
        let _ = sequence;
        Vec::new()
    }

    /// The world as it is, to try something out in; None where a world cannot be copied (a real server).
    fn fork(&self) -> Option<Box<dyn Backend>> {
        None
    }
    /// Takes back the last step (one `mark` to the one before it); false if there is none.
    fn undo(&mut self) -> bool {
        false
    }
    fn redo(&mut self) -> bool {
        false
    }
    /// How many steps can be taken back, and how many of those taken back can be done again.
    fn depth(&self) -> (usize, usize) {
        (0, 0)
    }
    /// Ends a step: what undo takes back in one go. Called after each line of a terminal.
    fn mark(&mut self) {}
    /// Everything needed to make this world again, marks included: for resuming after a crash of the program.
    fn journal(&self) -> Vec<u8> {
        Vec::new()
    }

    /// Races among the events after `sequence`; none where nobody keeps a history.
    fn races_since(&self, sequence: u64) -> Vec<Race> {
        let _ = sequence;
        Vec::new()
    }
    /// What each terminal sent after event `sequence`, as programs, as far as it could be in anybody's way.
    fn programs_since(&self, sequence: u64) -> Vec<Program> {
        let _ = sequence;
        Vec::new()
    }
    /// All orders (or a sample) in which the programs can run against the server at `port`, each on a copy of this machine.
    /// Err: why not, in a sentence.
    fn orders(&self, port: u16, programs: &[Program]) -> Result<Orders, String> {
        let _ = (port, programs);
        Err(String::from(NO_COPY))
    }
    /// One of these orders, step by step, and the machine at its end.
    fn play_order(&self, port: u16, programs: &[Program], turns: &[u8]) -> Result<(Run, Box<dyn Backend>), String> {
        let _ = (port, programs, turns);
        Err(String::from(NO_COPY))
    }

    /// The SQL database on this machine, if the world has one: a statement, and what the client prints. Err: the reason.
    fn sql(&mut self, statement: &str) -> Result<Vec<String>, String> {
        let _ = statement;
        Err(String::from("there is no SQL database on this machine"))
    }

    /// Logs `logins` users in and looks each of them up, in Redis and in SQL, against the real clock of this computer; the
    /// report, line by line. Changes nothing in the lab's machine. Err: not to be measured here.
    fn storm(&mut self, logins: usize) -> Result<Vec<String>, String> {
        let _ = logins;
        Err(String::from("storm: not on this machine"))
    }
}
