//! Assertions: what a goal says about the world, judged by looking.
//!
//! The vocabulary is closed: [`table::KINDS`] has one entry for each kind, with its fields, an example and its reader; the
//! author reference is printed from it. Each family stands in one file and knows how to judge, to say what it saw, and
//! what to look at. The world is seen only through the port [`Probe`], so that the same checks hold on the embedded engine,
//! on a fork of it and on a real server.

pub mod form;
pub mod script;
pub mod table;

pub mod acl;
pub mod answer;
pub mod client;
pub mod cluster;
pub mod config;
pub mod db;
pub mod fate;
pub mod future;
pub mod instance;
pub mod key;
pub mod logic;
pub mod persist;
pub mod race;
pub mod replication;
pub mod saw;
pub mod slot;
pub mod sql;

pub use script::{Act, Entered, Script, Shown, Step};

use crate::base::{Bytes, Millis};
use crate::race::{Orders, Program, Race};
use crate::snapshot::{self, Event, World};
use std::sync::Arc;

/// The world as checks see it. Looking never changes it.
pub trait Probe {
    fn world(&self) -> &World;
    /// What happened since the exercise began, oldest first.
    fn events(&self) -> &[Event];
    /// What the learner typed since the exercise began, also what no server ever saw.
    fn typed(&self) -> &[Typed];
    /// When the exercise began.
    fn began(&self) -> Millis;
    /// What the learner answered to a question of this exercise, and what is true; None while there is no answer.
    fn answer(&self, question: &str) -> Option<Answer>;
    /// None: there is no such file.
    fn read_file(&self, path: &str) -> Option<Vec<u8>>;
    /// The path of the config file that an instance was first started with.
    fn config_file(&self, instance: &str) -> String;
    /// Races in what happened since the exercise began.
    fn races(&self) -> Vec<Race>;
    /// What each terminal sent since then, as programs.
    fn typed_programs(&self) -> Vec<Program>;
    /// All orders of these programs against an instance, each on a copy of the exercise's first moment. Err: why not.
    fn orders(&self, instance: &str, programs: &[Program]) -> Result<Orders, String>;
    /// One of these orders and the world at its end. None where a world cannot be copied.
    fn play_order(&self, instance: &str, programs: &[Program], turns: &[u8]) -> Option<Attempt>;
    /// Tries `acts` in a copy of this world. None where a world cannot be copied.
    fn attempt(&self, acts: &[Act]) -> Option<Attempt>;
}

/// A line typed into a terminal of the lab, and what came of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Typed {
    pub at: Millis,
    pub terminal: String,
    pub mode: Mode,
    pub text: String,
    /// All that was printed, lines parted by `\n`.
    pub printed: String,
}

/// Where a line was typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    Redis,
    Shell,
    Sql,
    /// A `:` word, in whichever terminal.
    Lab,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    pub said: String,
    /// Which choice that is, from 1; None for free text.
    pub choice: Option<usize>,
    pub right: bool,
}

/// A copy of the world in which something was tried.
pub struct Attempt {
    pub after: Box<dyn Probe>,
    /// What each line of the scripts printed, in order, without colours.
    pub printed: Vec<String>,
    /// The same, for the learner to watch.
    pub shown: Vec<Shown>,
}

/// What a check found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Verdict {
    pub met: bool,
    /// One sentence on what was seen, built from the state: "`a` is a list of 3 items."
    pub saw: String,
    /// The future that failed, to be watched.
    pub future: Vec<Shown>,
}

impl Verdict {
    pub fn new(met: bool, saw: impl Into<String>) -> Verdict {
        Verdict { met, saw: saw.into(), future: Vec::new() }
    }
}

/// What an assertion is about: where causes and near misses are searched, and what panes may point at.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Look {
    Key { instance: String, db: usize, name: Bytes },
    Instance(String),
    File(String),
    Config { instance: String, name: String },
    Terminal(String),
    Table(String),
    Question(String),
}

/// The instance called `name`, running or not.
pub fn instance_of<'w>(world: &'w World, name: &str) -> Option<&'w snapshot::Instance> {
    world.instances.iter().find(|instance| instance.name == name)
}

/// A key that is there and has not expired.
pub fn key_of<'w>(world: &'w World, instance: &str, db: usize, name: &[u8]) -> Option<&'w snapshot::Key> {
    let db = instance_of(world, instance)?.dbs.iter().find(|each| each.index == db)?;
    let key = db.keys.iter().find(|key| key.name == *name)?;
    key.expires_at.is_none_or(|at| at > world.now).then_some(key)
}

/// One kind of assertion with its parameters.
pub trait Check: Send + Sync + std::fmt::Debug {
    fn judge(&self, probe: &dyn Probe) -> Verdict;
    fn look_at(&self) -> Vec<Look>;
    /// Words that the learner has to know to meet it: names, values, patterns.
    fn literals(&self) -> Vec<String>;
}

/// A check that can be shared; what goals hold.
#[derive(Clone, Debug)]
pub struct Assertion(pub Arc<dyn Check>);

impl Assertion {
    pub fn of(check: impl Check + 'static) -> Assertion {
        Assertion(Arc::new(check))
    }
}

impl std::ops::Deref for Assertion {
    type Target = dyn Check;
    fn deref(&self) -> &Self::Target {
        &*self.0
    }
}
