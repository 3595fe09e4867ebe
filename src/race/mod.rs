//! Races: what happens to several clients that work on the same keys at the same time, as plain data.
//!
//! A *race* is a fact of the history, whatever the values mean: a write that rests on an outdated read, or one that destroys
//! what its author has not seen (`facts`). A *program* is what a client means to do, where the next command may depend on
//! what the last one answered (`program`). All orders of two or three programs, run on copies of a world, are `Orders`; one of
//! them, step by step, is a `Run`. Who runs them is the lab; panes draw them, checks judge them.

pub mod facts;
pub mod program;

pub use program::Program;

use crate::base::Bytes;

/// What went wrong between two clients.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Kind {
    /// A client read a key, another one wrote it, and then the first wrote it by what it had read.
    StaleRead,
    /// A client overwrote or removed what another one had written, without having seen it.
    LostUpdate,
}

impl Kind {
    /// `stale read`, `lost update`.
    pub fn name(self) -> &'static str {
        match self {
            Kind::StaleRead => "stale read",
            Kind::LostUpdate => "lost update",
        }
    }
}

/// One race, told by the sequence numbers of the commands that made it.
#[derive(Clone, Debug, PartialEq)]
pub struct Race {
    pub kind: Kind,
    pub instance: String,
    pub db: usize,
    pub key: Bytes,
    /// The field of a hash that it is about, if it is about one only.
    pub field: Option<Bytes>,
    /// The read that had become outdated; None for a lost update.
    pub read: Option<u64>,
    /// What the other client wrote meanwhile.
    pub other: u64,
    /// The write that did not know of it.
    pub write: u64,
}

/// All orders of some programs, or a sample of them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Orders {
    /// The clients, in the order of their letters: A, B, C.
    pub programs: Vec<Program>,
    pub orders: Vec<Order>,
    /// The most frequent first.
    pub outcomes: Vec<Outcome>,
    /// None: these are all orders there are.
    pub sample: Option<Sample>,
    /// The order in which a race shows best, as an index into `orders`; None if there is no race in any.
    pub worst: Option<usize>,
}

/// How a sample was drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample {
    pub seed: u64,
    /// How many orders there are, without what repeats; `u64::MAX` if more than that.
    pub of: u64,
}

/// One order: whose turn it was.
#[derive(Clone, Debug, PartialEq)]
pub struct Order {
    /// For each step which program took it: 0 is A.
    pub turns: Vec<u8>,
    /// Index into `Orders::outcomes`.
    pub outcome: usize,
    pub stale_reads: usize,
    pub lost_updates: usize,
}

impl Order {
    pub fn count(&self, kind: Kind) -> usize {
        match kind {
            Kind::StaleRead => self.stale_reads,
            Kind::LostUpdate => self.lost_updates,
        }
    }

    /// `AABAB`.
    pub fn letters(&self) -> String {
        self.turns.iter().map(|turn| letter(usize::from(*turn))).collect()
    }
}

/// How a run can end: what the keys hold, and how each program ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// Keys that some order changed, with what they hold in the end: `stock` and `"8"`, or `(nil)` if there is none.
    pub keys: Vec<(String, String)>,
    pub ends: Vec<End>,
    /// In how many orders.
    pub count: usize,
    /// Of these, in how many a race was found.
    pub stale: usize,
    pub lost: usize,
    /// The first of them, as an index into `Orders::orders`.
    pub example: usize,
}

/// How a program ended.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum End {
    /// All lines done; what the last command was answered, on one line.
    Done(String),
    /// A `stop if` held, at this line of the program.
    Stopped(usize),
    /// Began again too often.
    GaveUp,
    /// Still waits in a blocking command.
    Waits,
    /// The program itself is at fault: `n holds QUEUED, which is no number`.
    Failed(String),
}

impl End {
    pub fn text(&self) -> String {
        match self {
            End::Done(reply) => reply.clone(),
            End::Stopped(line) => format!("stopped at line {line}"),
            End::GaveUp => String::from("gave up"),
            End::Waits => String::from("still waits"),
            End::Failed(why) => why.clone(),
        }
    }
}

/// One order, step by step.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Run {
    pub turns: Vec<u8>,
    pub steps: Vec<Step>,
    pub ends: Vec<End>,
    pub races: Vec<Mark>,
    /// As `Outcome::keys`.
    pub keys: Vec<(String, String)>,
}

/// One command of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// Which program: 0 is A.
    pub who: usize,
    /// The program's line, from 1.
    pub line: usize,
    /// As it was sent, its `{...}` filled in.
    pub command: String,
    /// As redis-cli prints it; empty while the command waits.
    pub reply: String,
    /// What the command changed: keys with what they hold now.
    pub changed: Vec<(String, String)>,
    /// Programs whose watch this command broke, with the key.
    pub broke: Vec<(usize, String)>,
    /// What the program did next by itself: stopped, began again, failed.
    pub then: Option<String>,
}

/// A race within a run, by the indexes of its steps.
#[derive(Clone, Debug, PartialEq)]
pub struct Mark {
    pub kind: Kind,
    pub key: String,
    pub read: Option<usize>,
    pub other: usize,
    pub write: usize,
}

impl Orders {
    /// In how many orders this kind of race was found.
    pub fn with(&self, kind: Kind) -> usize {
        self.orders.iter().filter(|order| order.count(kind) > 0).count()
    }
}

/// `A` for 0.
pub fn letter(program: usize) -> char {
    char::from(b'A' + (program % 26) as u8)
}
