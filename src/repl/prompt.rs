//! The prompt: rustyline in front of a terminal of the lab.

use super::help::{self, Next};
use super::{Machine, Options, paint};
use crate::assist::{self, Vocabulary, explain, follow};
use crate::base::{Bytes, quote};
use crate::console::word::WORDS;
use crate::console::{Line, Terminal};
use crate::resp::render::Form;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEventKind, KeyModifiers};
use ratatui::crossterm::terminal;
use rustyline::completion::{Completer, Pair};
use rustyline::error::ReadlineError;
use rustyline::highlight::{CmdKind, Highlighter};
use rustyline::hint::Hinter;
use rustyline::history::FileHistory;
use rustyline::validate::{ValidationContext, ValidationResult, Validator};
use rustyline::{CompletionType, Config, Context, Editor, Helper};
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// Names of keys kept for completion.
const KEYS_MAX: usize = 2000;
const HISTORY_MAX: usize = 2000;

type Input = Editor<Assistant, FileHistory>;

pub fn run(options: &Options, machine: &mut Machine) -> ExitCode {
    let mut terminal = Terminal::new("repl");
    let colour = paint::wanted();
    print(&terminal.open_cli(&command_line(options), machine.backend.as_mut()), colour);
    if !terminal.speaks_redis() {
        return ExitCode::FAILURE;
    }
    let settings = Config::builder()
        .completion_type(CompletionType::List)
        .max_history_size(HISTORY_MAX)
        .and_then(|builder| builder.history_ignore_dups(true))
        .map(|builder| builder.auto_add_history(false).build());
    let editor = settings.and_then(Editor::with_config);
    let mut input: Input = match editor {
        Ok(input) => input,
        Err(error) => {
            eprintln!("redlab repl: {error}");
            return ExitCode::FAILURE;
        }
    };
    input.set_helper(Some(Assistant { colour, hints: true, ..Assistant::default() }));
    let history = history_file();
    if let Some(path) = &history {
        // There is none the first time.
        let _ = input.load_history(path);
    }
    if machine.is_sandbox() {
        println!("A Redis of your own, in memory only: it ends with this prompt. `:help` tells more; Ctrl-D leaves.");
    }
    converse(&mut terminal, machine, &mut input, history, colour);
    ExitCode::SUCCESS
}

/// What stands behind the terminal's own redis-cli.
fn command_line(options: &Options) -> Vec<Bytes> {
    let mut words: Vec<String> = Vec::new();
    let mut add = |flag: &str, value: Option<String>| {
        if let Some(value) = value {
            words.extend([flag.to_owned(), value]);
        }
    };
    add("-h", options.host.clone());
    add("-p", options.port.map(|port| port.to_string()));
    add("-u", options.uri.clone());
    add("-n", options.db.map(|db| db.to_string()));
    add("--user", options.user.clone());
    add("-a", options.password.clone());
    add("-i", options.interval.map(|seconds| seconds.to_string()));
    let flags = [
        (options.protocol == Some(2), "-2"),
        (options.protocol == Some(3), "-3"),
        (options.cluster, "-c"),
        (options.form == Some(Form::Raw), "--raw"),
        (options.form == Some(Form::Csv), "--csv"),
        (options.form == Some(Form::Json), "--json"),
        (options.form == Some(Form::QuotedJson), "--quoted-json"),
        (!options.password_shown, "--no-auth-warning"),
    ];
    words.extend(flags.iter().filter(|(set, _)| *set).map(|(_, flag)| (*flag).to_owned()));
    words.into_iter().map(Bytes::from).collect()
}

/// Reads lines until the end.
fn converse(
    terminal: &mut Terminal,
    machine: &mut Machine,
    input: &mut Input,
    mut history: Option<PathBuf>,
    colour: bool,
) {
    while terminal.speaks_redis() {
        machine.keep_time();
        print(&terminal.poll(machine.backend.as_mut()), colour);
        if let Some(helper) = input.helper_mut() {
            helper.look(terminal, machine);
        }
        let line = match input.readline(&terminal.prompt()) {
            Ok(line) => line,
            // Only the line is given up, unlike in redis-cli.
            Err(ReadlineError::Interrupted) => continue,
            Err(ReadlineError::Eof) => return,
            Err(error) => {
                eprintln!("redlab repl: {error}");
                return;
            }
        };
        machine.keep_time();
        remember(&line, input, &mut history);
        let submitted = terminal.submit(&line, machine.backend.as_mut());
        print(&submitted.lines, colour);
        if let Some(word) = submitted.word {
            match help::obey(word, machine.is_sandbox(), machine.backend.as_mut()) {
                Next::Print(lines) => print(&lines, colour),
                Next::Hints(on) => input.helper_mut().into_iter().for_each(|helper| helper.hints = on),
                Next::Clear => drop(input.clear_screen()),
                Next::Quit => return,
            }
            continue;
        }
        machine.backend.mark();
        wait(terminal, machine, colour);
    }
}

fn remember(line: &str, input: &mut Input, history: &mut Option<PathBuf>) {
    if line.trim().is_empty() || assist::is_sensitive(line) {
        return;
    }
    if let Some(helper) = input.helper_mut() {
        helper.learn(line);
    }
    let added = input.add_history_entry(line).unwrap_or(false);
    if let (true, Some(path)) = (added, history.as_ref())
        && let Err(error) = input.append_history(path)
    {
        eprintln!("redlab repl: the history is not kept: {}: {error}", path.display());
        *history = None;
    }
}

/// Where the history is kept: beside redlab's other data. None if this system has no place for it.
fn history_file() -> Option<PathBuf> {
    use etcetera::BaseStrategy;
    if let Some(path) = std::env::var_os("REDLAB_HISTORY") {
        return (path != "/dev/null" && !path.is_empty()).then(|| PathBuf::from(path));
    }
    let dir = etcetera::choose_base_strategy().ok()?.data_dir().join("redlab");
    std::fs::create_dir_all(&dir).ok()?;
    Some(dir.join("history"))
}

/// While the terminal waits: prints what comes. Ctrl-C ends the waiting; in subscribed mode any key leads to the prompt.
fn wait(terminal: &mut Terminal, machine: &mut Machine, colour: bool) {
    if !terminal.busy() {
        return;
    }
    // An answer that is on its way needs no key handling, which would swallow what is typed ahead.
    for _ in 0..10 {
        machine.keep_time();
        print(&terminal.poll(machine.backend.as_mut()), colour);
        if !terminal.busy() {
            return;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    while terminal.busy() {
        match key() {
            Some(Key::Interrupt) => {
                print(&terminal.interrupt(machine.backend.as_mut()), colour);
                machine.backend.mark();
                return;
            }
            Some(Key::Any) if terminal.prompt().contains("(subscribed mode)") => return,
            _ => {}
        }
        machine.keep_time();
        print(&terminal.poll(machine.backend.as_mut()), colour);
    }
}

enum Key {
    Interrupt,
    Any,
}

/// A key, if one is pressed within a moment. The terminal is in raw mode only for that time.
fn key() -> Option<Key> {
    terminal::enable_raw_mode().ok()?;
    let pressed = event::poll(Duration::from_millis(50)).unwrap_or(false).then(event::read);
    terminal::disable_raw_mode().ok()?;
    match pressed?.ok()? {
        Event::Key(key) if key.kind == KeyEventKind::Release => None,
        Event::Key(key) if key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL) => {
            Some(Key::Interrupt)
        }
        Event::Key(_) => Some(Key::Any),
        _ => None,
    }
}

fn print(lines: &[Line], colour: bool) {
    lines.iter().for_each(|line| println!("{}", paint::line(line, colour)));
}

/// What rustyline asks while a line is typed.
#[derive(Default)]
struct Assistant {
    colour: bool,
    hints: bool,
    keys: Vec<Bytes>,
    /// Keys that were typed in this session: all that is known of a real server's.
    learned: BTreeSet<Bytes>,
}

impl Assistant {
    /// Takes the names of the keys that the sandbox has now.
    fn look(&mut self, terminal: &Terminal, machine: &Machine) {
        let mut keys = self.learned.clone();
        if let Some((port, db)) = terminal.target().filter(|_| machine.is_sandbox()) {
            let world = machine.backend.snapshot();
            let instances = world.instances.into_iter().filter(|instance| instance.port == port);
            let dbs = instances.flat_map(|instance| instance.dbs).filter(|it| it.index == db);
            // In the sandbox only what is there counts: what was typed may have been deleted.
            keys = dbs.flat_map(|db| db.keys).map(|key| key.name).take(KEYS_MAX).collect();
        }
        self.keys = keys.into_iter().collect();
    }

    fn learn(&mut self, line: &str) {
        let (pieces, _) = quote::pieces(line.as_bytes());
        let Some(called) = follow::called(&pieces) else { return };
        let args: Vec<Bytes> = pieces[called.at..].iter().map(|piece| piece.text.clone()).collect();
        for at in explain::key_positions(called.command.keys, &args) {
            if self.learned.len() < KEYS_MAX {
                self.learned.insert(args[at].clone());
            }
        }
    }
}

impl Helper for Assistant {}

impl Completer for Assistant {
    type Candidate = Pair;

    fn complete(&self, line: &str, pos: usize, _: &Context<'_>) -> rustyline::Result<(usize, Vec<Pair>)> {
        let lab: Vec<(&str, &str)> = WORDS.iter().map(|entry| (entry.name, entry.summary)).collect();
        let vocabulary = Vocabulary { keys: &self.keys, lab: &lab, ..Vocabulary::default() };
        let completion = assist::complete(line, pos, &vocabulary);
        let pair =
            |candidate: assist::Candidate| Pair { display: candidate.text.clone(), replacement: candidate.text + " " };
        Ok((completion.start, completion.candidates.into_iter().map(pair).collect()))
    }
}

impl Hinter for Assistant {
    type Hint = String;

    fn hint(&self, line: &str, pos: usize, _: &Context<'_>) -> Option<String> {
        (self.hints && pos == line.len()).then(|| assist::hint(line)).filter(|hint| !hint.is_empty())
    }
}

impl Highlighter for Assistant {
    fn highlight<'l>(&self, line: &'l str, _: usize) -> Cow<'l, str> {
        if !self.colour {
            return Cow::Borrowed(line);
        }
        let (mut out, mut at) = (String::with_capacity(line.len() * 2), 0);
        for (range, token) in assist::highlight(line) {
            out.push_str(&line[at..range.start]);
            out.push_str(&paint::wrap(paint::of_token(token), &line[range.clone()]));
            at = range.end;
        }
        out.push_str(&line[at..]);
        Cow::Owned(out)
    }

    fn highlight_hint<'h>(&self, hint: &'h str) -> Cow<'h, str> {
        if self.colour { Cow::Owned(paint::wrap("90", hint)) } else { Cow::Borrowed(hint) }
    }

    fn highlight_char(&self, _: &str, _: usize, kind: CmdKind) -> bool {
        self.colour && kind != CmdKind::MoveCursor
    }
}

impl Validator for Assistant {
    /// An open quote goes on in the next line.
    fn validate(&self, context: &mut ValidationContext) -> rustyline::Result<ValidationResult> {
        let (pieces, fault) = quote::pieces(context.input().as_bytes());
        let for_the_lab = pieces.first().is_some_and(|first| first.text.starts_with(b":"));
        Ok(match fault {
            Some(quote::Unbalanced::Open(_)) if !for_the_lab => ValidationResult::Incomplete,
            _ => ValidationResult::Valid(None),
        })
    }
}
