//! `redlab repl`: the sandbox prompt, and a client of a real server with -h, -p or -u.
//!
//! It is a terminal of the lab at `redis-cli`, in front of rustyline (`prompt`) or of a pipe (`stream`). The sandbox is an
//! embedded machine with one server, whose clock runs with the real one; nothing of it is kept. What comes from a pipe is
//! answered in redis-cli's raw form, byte for byte.

mod help;
mod paint;
mod prompt;
mod stream;

use crate::base::{Bytes, Millis};
use crate::port::Backend;
use crate::resp::render::Form;
use std::io::IsTerminal;
use std::process::ExitCode;
use std::time::Instant;

/// What the command line said: the words are redis-cli's.
#[derive(Clone, Debug, Default)]
pub struct Options {
    pub host: Option<String>,
    pub port: Option<u16>,
    pub uri: Option<String>,
    pub db: Option<u32>,
    pub user: Option<String>,
    pub password: Option<String>,
    /// A password stands on the command line, where `ps` and the shell's history show it.
    pub password_shown: bool,
    pub protocol: Option<u8>,
    pub cluster: bool,
    /// None: for people on a terminal, else raw.
    pub form: Option<Form>,
    pub repeat: Option<u64>,
    pub interval: Option<f64>,
    /// An error reply makes the exit code 1.
    pub exit_on_error: bool,
    /// A command to run instead of a prompt.
    pub command: Vec<String>,
}

impl Options {
    /// Was a server named? Else the prompt is the sandbox's.
    pub fn names_a_server(&self) -> bool {
        self.host.is_some() || self.port.is_some() || self.uri.is_some()
    }
}

/// Runs the prompt, the pipe or the command to its end, on `backend`: a machine of its own with a server on port 6379, or
/// a client where `options` name a server.
pub fn run(options: Options, backend: Box<dyn Backend>) -> ExitCode {
    let mut machine = Machine::new(backend, !options.names_a_server());
    let (typed, seen) = (std::io::stdin().is_terminal(), std::io::stdout().is_terminal());
    let form = options.form.unwrap_or(if seen { Form::Tty } else { Form::Raw });
    if !options.command.is_empty() {
        let command: Vec<Bytes> = options.command.iter().map(|word| Bytes::from(word.as_str())).collect();
        return stream::run_command(&options, form, command, &mut machine);
    }
    if typed && seen {
        return prompt::run(&options, &mut machine);
    }
    stream::run_lines(&options, form, std::io::stdin().lock(), &mut machine)
}

/// A backend, and how its time passes.
struct Machine {
    backend: Box<dyn Backend>,
    /// When the sandbox's clock was last brought up to the real one; None: the backend has the real time.
    seen: Option<Instant>,
}

impl Machine {
    fn new(backend: Box<dyn Backend>, sandbox: bool) -> Machine {
        Machine { backend, seen: sandbox.then(Instant::now) }
    }

    fn is_sandbox(&self) -> bool {
        self.seen.is_some()
    }

    /// Lets the sandbox's clock catch up with the real one.
    fn keep_time(&mut self) {
        let Some(seen) = &mut self.seen else { return };
        let passed = Millis(seen.elapsed().as_millis() as u64);
        if passed > Millis::ZERO {
            *seen += std::time::Duration::from_millis(passed.0);
            self.backend.advance(passed);
        }
    }
}
