//! A terminal of the lab: a line goes in, lines come out.
//!
//! It stands in one of three modes, as a terminal at work would: the `$` shell of the lab's machine, `redis-cli` on one
//! server (printed as redis-cli 7.0 prints), or `sql>`. Words that begin with `:` speak to the lab itself and work in every
//! mode; a terminal only parses them and hands them up as a [`Word`].
//!
//! Nothing here waits and nothing reads a clock: what a server says later is picked up by [`Terminal::poll`]. Text that
//! came from a user or a server is escaped before it enters a [`Span`]: no control byte reaches the screen.

pub mod line;
pub mod net;
pub mod redirect;
pub mod uri;
pub mod word;

mod batch;
mod cli_args;
mod cluster;
mod customers;
mod files;
mod help;
mod pipe;
mod print;
mod redis;
mod shell;
mod sql;
mod traffic;

pub use line::{Class, Line, Span};
pub use shell::WORDS as SHELL_WORDS;
pub use word::{Orders, Scope, Word};

use crate::base::{Bytes, quote};
use crate::port::{Backend, ConnectionId};
use redis::{Cli, Options};

/// One terminal: its mode, its connection, what it waits for.
#[derive(Clone, Debug)]
pub struct Terminal {
    name: String,
    mode: Mode,
}

/// Which program reads the terminal's lines.
#[derive(Clone, Debug)]
enum Mode {
    Shell,
    /// redis-cli with its prompt.
    Redis(Box<Cli>),
    /// redis-cli that was given a command, or a pipe to print into: ends by itself.
    Batch(Box<batch::Batch>),
    /// `redis-cli --cluster`, waiting for an answer.
    Cluster(Box<cluster::Manager>),
    Sql,
}

/// What a submitted line brought.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Submitted {
    pub lines: Vec<Line>,
    /// What the lab itself has to do now.
    pub word: Option<Word>,
}

impl From<Vec<Line>> for Submitted {
    fn from(lines: Vec<Line>) -> Submitted {
        Submitted { lines, word: None }
    }
}

impl From<Word> for Submitted {
    fn from(word: Word) -> Submitted {
        Submitted { lines: Vec::new(), word: Some(word) }
    }
}

/// Longer lines are refused: a request of 512 MB is Redis' own limit, but no one types one.
const LINE_MAX: usize = 16 * 1024 * 1024;

impl Terminal {
    /// A terminal at the `$` shell. `name` is what events and snapshots call it.
    pub fn new(name: &str) -> Terminal {
        Terminal { name: name.to_owned(), mode: Mode::Shell }
    }

    /// As if `redis-cli -p PORT` had been typed.
    pub fn open_redis(&mut self, port: u16, backend: &mut dyn Backend) -> Vec<Line> {
        self.leave(backend);
        let mut cli = Cli::new(Options { port, ..Options::default() });
        let lines = cli.connect(backend, &self.name);
        self.mode = Mode::Redis(Box::new(cli));
        lines
    }

    /// As if `sql` had been typed at the shell.
    pub fn open_sql(&mut self) {
        self.mode = Mode::Sql;
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// What stands before the cursor: `$ `, `127.0.0.1:6379[1](TX)> `, `sql> `; nothing while a program runs that reads no line.
    pub fn prompt(&self) -> String {
        match &self.mode {
            Mode::Shell => "$ ".to_owned(),
            Mode::Redis(cli) => cli.prompt(),
            Mode::Batch(_) => String::new(),
            Mode::Cluster(manager) => manager.prompt().to_owned(),
            Mode::Sql => "sql> ".to_owned(),
        }
    }

    /// True at the redis prompt: where commands, and hints for them, are wanted.
    pub fn speaks_redis(&self) -> bool {
        matches!(self.mode, Mode::Redis(_))
    }

    /// True at the `$` shell.
    pub fn is_shell(&self) -> bool {
        matches!(self.mode, Mode::Shell)
    }

    /// The server's port and the database of the redis prompt, as it shows them; None in other modes.
    pub fn target(&self) -> Option<(u16, usize)> {
        match &self.mode {
            Mode::Redis(cli) => Some((cli.options.port, cli.db())),
            _ => None,
        }
    }

    /// The connection held open, if one is.
    pub fn connection(&self) -> Option<ConnectionId> {
        match &self.mode {
            Mode::Redis(cli) => cli.connection(),
            Mode::Batch(batch) => batch.cli.connection(),
            _ => None,
        }
    }

    /// Runs one line, without its newline. The line itself is not echoed. While a command is being waited for nothing but a
    /// `:` word is taken.
    pub fn submit(&mut self, line: &str, backend: &mut dyn Backend) -> Submitted {
        if line.len() > LINE_MAX {
            return vec![Line::new(Class::Bad, "This line is longer than 16 MB; it was not run.")].into();
        }
        match word::parse(line) {
            Some(Ok(word)) => return word.into(),
            Some(Err(complaint)) => return complaint.into(),
            None => {}
        }
        match &mut self.mode {
            Mode::Redis(cli) if cli.blocked() => vec![Line::new(Class::Note, WAITING)].into(),
            Mode::Batch(_) => vec![Line::new(Class::Note, WAITING)].into(),
            Mode::Redis(_) => self.submit_redis(line, backend),
            Mode::Sql => match sql::submit(line, backend) {
                sql::Next::Print(lines) => lines.into(),
                sql::Next::Leave => {
                    self.mode = Mode::Shell;
                    Submitted::default()
                }
            },
            Mode::Shell => self.submit_shell(line, backend),
            Mode::Cluster(_) => {
                let Mode::Cluster(manager) = std::mem::replace(&mut self.mode, Mode::Shell) else {
                    return Submitted::default();
                };
                let outcome = manager.answer(line, backend);
                if let Some(manager) = outcome.waits {
                    self.mode = Mode::Cluster(manager);
                }
                outcome.lines.into()
            }
        }
    }

    /// As if `redis-cli` had been typed at the shell with these words behind it.
    pub fn open_cli(&mut self, words: &[Bytes], backend: &mut dyn Backend) -> Vec<Line> {
        let effect = batch::redis_cli(words, None, pipe::Pipe::default(), &self.name, backend);
        self.came_of(effect).lines
    }

    fn submit_shell(&mut self, line: &str, backend: &mut dyn Backend) -> Submitted {
        let effect = shell::submit(line, &self.name, backend);
        self.came_of(effect)
    }

    fn came_of(&mut self, effect: shell::Effect) -> Submitted {
        if let Some(program) = effect.program {
            self.mode = match program {
                shell::Program::Redis(cli) => Mode::Redis(cli),
                shell::Program::Batch(batch) => Mode::Batch(batch),
                shell::Program::Cluster(manager) => Mode::Cluster(manager),
                shell::Program::Sql => Mode::Sql,
            };
        }
        Submitted { lines: effect.lines, word: effect.word }
    }

    /// A line at the redis prompt, as redis-cli's loop takes it.
    fn submit_redis(&mut self, line: &str, backend: &mut dyn Backend) -> Submitted {
        let Mode::Redis(cli) = &mut self.mode else { return Submitted::default() };
        let Ok(mut words) = quote::split(line.as_bytes()) else {
            return vec![Line::plain("Invalid argument(s)")].into();
        };
        let Some(first) = words.first() else { return Submitted::default() };
        let mut times = 1;
        if words.len() > 1
            && let Ok(number) = first.lossy().parse::<i128>()
        {
            match u64::try_from(number) {
                Ok(n @ 1..=0x7fff_ffff_ffff_ffff) => times = n,
                _ => return vec![Line::plain("Invalid redis-cli repeat command option value.")].into(),
            }
            words.remove(0);
            if times > REPEAT_MAX {
                return vec![Line::new(Class::Bad, format!("The lab repeats a command at most {REPEAT_MAX} times."))]
                    .into();
            }
        }
        match (words[0].to_ascii_lowercase().as_slice(), words.len()) {
            (b"quit" | b"exit", _) => {
                self.leave(backend);
                Submitted::default()
            }
            (b"help" | b"?", _) => help::page(&words[1..]).into(),
            (b"clear", 1) => Word::Clear.into(),
            (b"restart", _) => vec![Line::plain("Use 'restart' only in Lua debugging mode.")].into(),
            (b"connect", 3) => {
                cli.options.host = words[1].lossy().into_owned();
                cli.options.port = words[2].lossy().parse().unwrap_or(0);
                cli.connect(backend, &self.name).into()
            }
            _ => {
                let advice = shell::meant_for_the_shell(&words[0]);
                let mut lines = cli.run(words, times, backend, &self.name);
                if lines.first().is_some_and(|line| line.text().starts_with("(error) ERR unknown command")) {
                    lines.extend(advice);
                }
                lines.into()
            }
        }
    }

    /// What arrived meanwhile: the answer of a blocked command, messages, MONITOR's lines.
    pub fn poll(&mut self, backend: &mut dyn Backend) -> Vec<Line> {
        match &mut self.mode {
            Mode::Redis(cli) => cli.receive(backend, &self.name),
            Mode::Batch(batch) => {
                let lines = batch.receive(backend, &self.name);
                if !batch.cli.busy() {
                    self.leave(backend);
                }
                lines
            }
            Mode::Shell | Mode::Sql | Mode::Cluster(_) => Vec::new(),
        }
    }

    /// True while it waits: a blocked command, MONITOR, SUBSCRIBE. In subscribed mode commands can be submitted all the
    /// same; anything else that is submitted now is refused, and `interrupt` ends the waiting.
    pub fn busy(&self) -> bool {
        match &self.mode {
            Mode::Redis(cli) => cli.busy(),
            Mode::Batch(_) => true,
            Mode::Shell | Mode::Sql | Mode::Cluster(_) => false,
        }
    }

    /// True while a program asks something: the next line is its answer.
    pub fn asks(&self) -> bool {
        matches!(self.mode, Mode::Cluster(_))
    }

    /// Ctrl-C: ends what is being waited for, and a program that asks something. Does nothing at a prompt.
    pub fn interrupt(&mut self, backend: &mut dyn Backend) -> Vec<Line> {
        match &mut self.mode {
            Mode::Redis(cli) if cli.busy() => cli.interrupt(backend, &self.name),
            Mode::Batch(_) | Mode::Cluster(_) => {
                self.leave(backend);
                Vec::new()
            }
            _ => Vec::new(),
        }
    }

    /// Back to the `$` shell (Ctrl-D at a prompt, too).
    pub fn leave(&mut self, backend: &mut dyn Backend) {
        match &mut self.mode {
            Mode::Redis(cli) => cli.disconnect(backend),
            Mode::Batch(batch) => batch.cli.disconnect(backend),
            Mode::Shell | Mode::Sql | Mode::Cluster(_) => {}
        }
        self.mode = Mode::Shell;
    }
}

/// Redis would take any number; the lab's machine is one thread.
const REPEAT_MAX: u64 = 100_000;

const WAITING: &str = "This terminal waits for an answer. Ctrl-C ends that.";

#[cfg(test)]
mod tests;
