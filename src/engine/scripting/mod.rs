//! Scripts: Lua 5.1 as Redis runs it, in one interpreter for EVAL and functions.
//!
//! What an instance *is* stays a value: the texts of cached scripts (by SHA1), the sources of function libraries, the state of
//! `math.random`. The interpreter itself is not part of it: it is made when a script first runs, never cloned, and made anew
//! from the texts in a fork, after an undo, or when a script has used up its memory. What a library keeps in its own upvalues
//! therefore does not survive a fork, as it does not survive a restart of a real server.
//!
//! Order for readers: `script` (texts and their flags), `library`, `machine` (the interpreter), `api` (`redis.*`), `convert`
//! (values both ways), `raw` (the only `unsafe`), then the libraries that scripts can use.

pub mod library;
pub mod script;

mod busy;
mod machine;
mod running;

mod api;
mod call;
mod convert;
mod raw;

mod args;
mod bit;
mod cjson;
mod cmsgpack;
mod rand;
mod structs;

use crate::base::Bytes;
use crate::engine::refusal::Refusal;
use crate::resp::Protocol;
use library::Libraries;
use machine::Machine;
use rand::Rand48;
pub use running::{Run, Text, compile, run};
pub use script::{Script, ScriptFlags};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The SHA1 of a script in lower-case hexadecimal.
pub type Sha = [u8; 40];

/// What an instance knows of scripts.
#[derive(Clone, Default)]
pub struct Scripting {
    /// What EVAL has run and SCRIPT LOAD has brought.
    pub scripts: BTreeMap<Sha, Arc<Script>>,
    pub libraries: Libraries,
    rand: Rand48,
    machine: Spare,
    /// The script that is running.
    pub active: Option<Box<Active>>,
    /// An error that the command is about to answer has been counted where it arose.
    pub error_counted: bool,
    /// Clients that went away while their script ran.
    pub gone: Vec<crate::engine::ClientId>,
    /// There was no room under `maxmemory` when the command began.
    pub out_of_memory: bool,
}

/// An interpreter between two scripts. A clone of it is none.
#[derive(Default)]
struct Spare(Option<Box<Machine>>);

impl Clone for Spare {
    fn clone(&self) -> Spare {
        Spare(None)
    }
}

/// What the running script may do and has done.
#[derive(Clone, Debug)]
pub struct Active {
    /// The SHA1 of a script, the name of a function.
    pub name: Bytes,
    /// EVAL, not FCALL.
    pub is_eval: bool,
    pub read_only: bool,
    pub allow_oom: bool,
    /// It has called a command that writes: it can no longer be refused anything, nor killed.
    pub wrote: bool,
    /// SCRIPT KILL has come.
    pub killed: bool,
    /// Its keys may be in several hash slots.
    pub any_slot: bool,
    /// The hash slot of the keys that it has used or declared.
    pub slot: Option<u16>,
    /// The database that its commands work on.
    pub db: usize,
    /// What `redis.setresp` chose.
    pub protocol: Protocol,
    /// What `redis.set_repl` chose: 1 the AOF, 2 the replicas.
    pub repl: u8,
    /// Microseconds of the stopwatch, or 0.
    pub began_us: u64,
    /// It has run longer than `busy-reply-threshold`; these are the words of the command that runs it.
    pub slow: Option<Vec<Bytes>>,
}

impl Active {
    /// What others are told while it runs.
    pub fn busy(&self) -> Refusal {
        Refusal::new(if self.is_eval {
            "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE."
        } else {
            "BUSY Redis is busy running a script. You can only call FUNCTION KILL or SHUTDOWN NOSAVE."
        })
    }
}

impl Scripting {
    /// Bytes that the texts of cached scripts take.
    pub fn scripts_memory(&self) -> usize {
        self.scripts.values().map(|script| script.body.len() + 40 + size_of::<Script>()).sum()
    }

    /// The sources of all libraries: what is saved of them.
    pub fn library_sources(&self) -> Vec<Bytes> {
        self.libraries.by_name.values().map(|library| library.code.clone()).collect()
    }

    /// SCRIPT FLUSH: forgets all scripts, and what they may have left in the interpreter.
    pub fn flush_scripts(&mut self) {
        self.scripts.clear();
        self.machine = Spare(None);
    }
}
