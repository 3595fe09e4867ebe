//! redis-cli as the shell runs it: the prompt, one command, `--scan`, or the lines of a file or a pipe.

use super::cli_args::{self, Scan};
use super::cluster;
use super::files;
use super::line::{Class, Line};
use super::pipe::Pipe;
use super::redis::Cli;
use super::shell::{Effect, Program, complain, is_complaint, shown};
use crate::base::{Bytes, quote};
use crate::port::{Backend, ConnectionId, Incoming};
use crate::resp::Reply;
use crate::resp::render::{self, Form};
use std::collections::VecDeque;

/// redis-cli with a command that is not answered yet, and perhaps more to come.
#[derive(Clone, Debug)]
pub(super) struct Batch {
    pub cli: Cli,
    pipe: Pipe,
    held: Vec<Line>,
    /// Lines that are typed at redis-cli when the one before is answered.
    to_come: VecDeque<String>,
}

impl Batch {
    /// Prints what came; with a pipe, only when all of it is there.
    pub fn receive(&mut self, backend: &mut dyn Backend, terminal: &str) -> Vec<Line> {
        let mut lines = self.cli.receive(backend, terminal);
        lines.extend(self.go_on(backend, terminal));
        self.print(lines, backend)
    }

    /// Types the lines that are to come, up to one that has to wait.
    fn go_on(&mut self, backend: &mut dyn Backend, terminal: &str) -> Vec<Line> {
        let mut lines = Vec::new();
        while let Some(line) = self.to_come.pop_front_if(|_| !self.cli.busy()) {
            match quote::split(line.as_bytes()) {
                Ok(words) if words.is_empty() => {}
                Ok(words) if words.len() == 1 && [&b"quit"[..], b"exit"].contains(&&*words[0].to_ascii_lowercase()) => {
                    self.to_come.clear();
                }
                Ok(words) => lines.extend(self.cli.run(words, 1, backend, terminal)),
                Err(_) => lines.push(Line::new(Class::Error, "Invalid argument(s)")),
            }
        }
        lines
    }

    fn print(&mut self, lines: Vec<Line>, backend: &mut dyn Backend) -> Vec<Line> {
        if self.pipe.is_terminal() {
            return lines;
        }
        self.held.extend(lines);
        if self.cli.busy() || !self.to_come.is_empty() {
            return Vec::new();
        }
        let output: Vec<u8> =
            std::mem::take(&mut self.held).iter().flat_map(|line| format!("{}\n", line.text()).into_bytes()).collect();
        shown(self.pipe.send(output, backend)).lines
    }
}

/// Takes `< FILE` out of what stands behind `redis-cli`: the other words, and the lines of the file. Err: what bash says.
pub(super) fn input(words: &[Bytes], backend: &dyn Backend) -> Result<(Vec<Bytes>, Option<Vec<String>>), String> {
    let Some(at) = words.iter().position(|word| word == "<") else { return Ok((words.to_vec(), None)) };
    let path = words.get(at + 1).ok_or("bash: syntax error near unexpected token `newline'")?.lossy().into_owned();
    let contents = backend.read_file(&path).map_err(|error| format!("bash: {path}: {error}"))?;
    let lines = String::from_utf8_lossy(&contents).lines().map(str::to_owned).collect();
    Ok(([&words[..at], &words[at + 2..]].concat(), Some(lines)))
}

/// `redis-cli WORDS`. `typed`: what is typed at its prompt, where that comes from a file or a pipe.
pub(super) fn redis_cli(
    words: &[Bytes],
    typed: Option<Vec<String>>,
    pipe: Pipe,
    terminal: &str,
    backend: &mut dyn Backend,
) -> Effect {
    let mut asked = match cli_args::parse(words) {
        Ok(asked) => asked,
        Err(complaint) => return complain(complaint),
    };
    let mut effect = Effect::default();
    if asked.password_shown {
        let text = "Warning: Using a password with '-a' or '-u' option on the command line interface may not be safe.";
        effect.lines.push(Line::new(Class::Error, text));
    }
    if let Some(words) = asked.cluster {
        let outcome = cluster::start(&words, asked.options, backend);
        effect.lines.extend(outcome.lines);
        effect.failed = outcome.failed;
        effect.program = outcome.waits.map(Program::Cluster);
        return effect;
    }
    // As redis-cli does where its output is no terminal.
    let plain = !words.iter().any(|word| word == "--no-raw");
    if !pipe.is_terminal() && asked.options.form == Form::Tty && plain {
        asked.options.form = Form::Raw;
    }
    let form = asked.options.form;
    let mut cli = Cli::new(asked.options);
    effect.lines.extend(cli.connect(backend, terminal));
    if let Some(scan) = asked.scan {
        effect.failed = cli.connection().is_none();
        let output = cli.connection().map_or(Ok(Vec::new()), |connection| walk(connection, &scan, form, backend));
        cli.disconnect(backend);
        let shown = shown(output.and_then(|bytes| pipe.send(bytes, backend)));
        effect.failed |= shown.failed;
        effect.lines.extend(shown.lines);
        return effect;
    }
    let batch = |cli, to_come| Batch { cli, pipe, held: Vec::new(), to_come };
    let mut batch = match typed {
        Some(lines) if asked.command.is_empty() => {
            let mut batch = batch(cli, lines.into());
            let lines = batch.go_on(backend, terminal);
            effect.lines.extend(batch.print(lines, backend));
            batch
        }
        _ if asked.command.is_empty() => {
            effect.program = Some(Program::Redis(Box::new(cli)));
            return effect;
        }
        _ if cli.connection().is_none() => return Effect { failed: true, ..effect },
        _ => batch(cli, VecDeque::new()),
    };
    let Some(times) = asked.repeat else {
        batch.cli.disconnect(backend);
        return complain("The lab repeats a command only a number of times: -r N.");
    };
    if times > 0 && !asked.command.is_empty() {
        let lines = batch.cli.run(asked.command, times, backend, terminal);
        effect.lines.extend(batch.print(lines, backend));
    }
    if batch.cli.busy() {
        effect.program = Some(Program::Batch(Box::new(batch)));
    } else {
        // An error reply is an answer like another: redis-cli fails only where there is none.
        let lost = batch.cli.connection().is_none();
        effect.failed = lost && effect.lines.last().is_some_and(is_complaint);
        batch.cli.disconnect(backend);
    }
    effect
}

/// `redis-cli --scan`: SCAN from end to end. Names are quoted for a terminal, and raw for a pipe.
fn walk(connection: ConnectionId, scan: &Scan, form: Form, backend: &mut dyn Backend) -> files::Output {
    let mut cursor = Bytes::from("0");
    let mut out = Vec::new();
    loop {
        let mut args = vec![Bytes::from("SCAN"), cursor];
        if let Some(pattern) = &scan.pattern {
            args.extend([Bytes::from("MATCH"), pattern.clone()]);
        }
        if let Some(count) = scan.count {
            args.extend([Bytes::from("COUNT"), Bytes::from(count.to_string())]);
        }
        backend.send(connection, args);
        let (next, names) = match backend.receive(connection).pop() {
            Some(Incoming::Reply(Reply::Array(parts))) => match <[Reply; 2]>::try_from(parts) {
                Ok([Reply::Bulk(next), Reply::Array(names)]) => (next, names),
                _ => return Err("ERROR: Non-array response to SCAN".to_owned()),
            },
            Some(Incoming::Reply(reply)) if reply.is_error() => {
                let text = render::tty(&reply);
                return Err(format!("ERROR: {}", text.trim().trim_start_matches("(error) ")));
            }
            _ => return Err("I/O error".to_owned()),
        };
        for name in names.into_iter().filter_map(|name| if let Reply::Bulk(name) = name { Some(name) } else { None }) {
            out.extend(if form == Form::Raw { name.to_vec() } else { quote::repr(&name).into_bytes() });
            out.push(b'\n');
        }
        if next == "0" {
            return Ok(out);
        }
        cursor = next;
    }
}
