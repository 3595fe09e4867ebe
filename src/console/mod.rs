//! A terminal of the lab: a line goes in, lines come out.
//!
//! It stands in one of three modes, as a terminal at work would: the `$` shell of the lab's machine, `redis-cli` on one
//! server (printed as redis-cli 7.0 prints), or `sql>`. Words that begin with `:` speak to the lab itself and work in every
//! mode; a terminal only parses them and hands them up as a [`Word`].
//!
//! Nothing here waits and nothing reads a clock: what a server says later is picked up by [`Terminal::poll`]. Text that
//! came from a user or a server is escaped before it enters a [`Span`]: no control byte reaches the screen.

pub mod line;
pub mod word;

pub use line::{Class, Line, Span};
pub use word::{Scope, Word};

use crate::port::Backend;

/// One terminal: its mode, its connection, what it waits for.
pub struct Terminal {
    name: String,
}

/// What a submitted line brought.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Submitted {
    pub lines: Vec<Line>,
    /// What the lab itself has to do now.
    pub word: Option<Word>,
}

impl Terminal {
    /// A terminal at the `$` shell. `name` is what events and snapshots call it.
    pub fn new(name: &str) -> Terminal {
        Terminal { name: name.to_owned() }
    }

    /// As if `redis-cli -p PORT` had been typed.
    pub fn open_redis(&mut self, port: u16, backend: &mut dyn Backend) -> Vec<Line> {
        let _ = (port, backend);
        Vec::new()
    }

    /// As if `sql` had been typed.
    pub fn open_sql(&mut self) {}

    pub fn name(&self) -> &str {
        &self.name
    }

    /// What stands before the cursor: `$ `, `127.0.0.1:6379[1](TX)> `, `sql> `.
    pub fn prompt(&self) -> String {
        "$ ".to_owned()
    }

    /// Runs one line, without its newline. The line itself is not echoed.
    pub fn submit(&mut self, line: &str, backend: &mut dyn Backend) -> Submitted {
        let _ = backend;
        if let Some(word) = word::parse(line) {
            return match word {
                Ok(word) => Submitted { lines: Vec::new(), word: Some(word) },
                Err(complaint) => Submitted { lines: complaint, word: None },
            };
        }
        Submitted::default()
    }

    /// What arrived meanwhile: the answer of a blocked command, messages, MONITOR's lines.
    pub fn poll(&mut self, backend: &mut dyn Backend) -> Vec<Line> {
        let _ = backend;
        Vec::new()
    }

    /// True while it waits: a blocked command, MONITOR, SUBSCRIBE. A line submitted now is refused; `interrupt` ends it.
    pub fn busy(&self) -> bool {
        false
    }

    /// Ctrl-C.
    pub fn interrupt(&mut self, backend: &mut dyn Backend) -> Vec<Line> {
        let _ = backend;
        Vec::new()
    }
}
