//! The `$` shell of the lab's machine: the words that a Redis server's machine needs, and no others.
//!
//! One table names them; help and completion follow from it. Words are split as redis-cli splits them; `;` and `&&` join
//! commands. `redis-server` runs in the background, as a service would; its log is printed up to where it is ready. A pipe
//! into grep, head, tail, wc, sort, uniq, xargs and redis-cli, a file behind `>`, and one behind `<` for redis-cli work.

use super::batch;
use super::cluster;
use super::customers;
use super::files;
use super::line::{Class, Line};
use super::pipe::Pipe;
use super::print;
use super::redis::Cli;
use super::traffic;
use super::word::{self, Entry, Word};
use crate::base::{Bytes, quote};
use crate::port::{Backend, Signal};
use crate::snapshot::State;

pub const WORDS: &[Entry] = &[
    Entry {
        name: "redis-server",
        syntax: "[FILE] [--port N] [--OPTION VALUE ...]",
        summary: "Start a server, in the background.",
    },
    Entry {
        name: "redis-cli",
        syntax: "[-p PORT] [-n DB] [-a PASSWORD] [-c] [--scan] [COMMAND ...|< FILE]",
        summary: "Talk to a server. `--cluster help`: to a cluster.",
    },
    Entry { name: "ps", syntax: "", summary: "The servers that run." },
    Entry { name: "kill", syntax: "[-9] PID|PORT", summary: "End a server: cleanly, or with -9 at once." },
    Entry { name: "power-cut", syntax: "", summary: "Cut the power: see what the platter keeps." },
    Entry { name: "ls", syntax: "[-l] [DIR]", summary: "The files of this machine." },
    Entry { name: "cat", syntax: "FILE ...", summary: "Show files." },
    Entry { name: "head", syntax: "[-n N] FILE", summary: "The first lines of a file." },
    Entry { name: "tail", syntax: "[-n N] FILE", summary: "The last lines of a file." },
    Entry { name: "grep", syntax: "[-civ] WORDS FILE", summary: "The lines of a file with these words." },
    Entry { name: "wc", syntax: "[-l | -c] FILE", summary: "How many lines or bytes a file has." },
    Entry { name: "sort", syntax: "FILE", summary: "The lines of a file in order." },
    Entry { name: "uniq", syntax: "FILE", summary: "Lines that are repeated, once." },
    Entry { name: "edit", syntax: "FILE", summary: "Change a text file." },
    Entry { name: "echo", syntax: "TEXT > FILE", summary: "Write a line to a file (>> appends)." },
    Entry { name: "sed", syntax: "-i 's/OLD/NEW/' FILE", summary: "Replace words in a file." },
    Entry { name: "xargs", syntax: "[-I NAME] COMMAND", summary: "Run COMMAND on the words that a pipe brings." },
    Entry { name: "cp", syntax: "FROM TO", summary: "Copy a file." },
    Entry { name: "mv", syntax: "FROM TO", summary: "Rename a file." },
    Entry { name: "mkdir", syntax: "[-p] DIR", summary: "Make a directory." },
    Entry { name: "rm", syntax: "[-rf] FILE ...", summary: "Remove files." },
    Entry { name: "truncate", syntax: "-s SIZE FILE", summary: "Cut a file (-s -5: five bytes off)." },
    Entry { name: "sleep", syntax: "SECONDS", summary: "Let time pass, at once: 1.5, 30m, 2h." },
    Entry { name: "date", syntax: "", summary: "The lab's clock." },
    Entry { name: "sql", syntax: "", summary: "The SQL database, if there is one." },
    Entry { name: "storm", syntax: "[LOGINS]", summary: "Measure logins in Redis and in SQL." },
    Entry {
        name: "shop-traffic",
        syntax: "VISITORS [PORT ...]",
        summary: "Let customers come; shop.conf names the servers.",
    },
    Entry { name: "shop-status", syntax: "", summary: "Who should be logged in, and who is." },
    Entry { name: "shop-open", syntax: "PORT COMMAND", summary: "Customers buy, on a cluster, while COMMAND runs." },
    Entry { name: "clear", syntax: "", summary: "Wipe this terminal's screen." },
    Entry { name: "help", syntax: "", summary: "This list." },
];

/// A program that takes the terminal over.
#[derive(Clone, Debug)]
pub(super) enum Program {
    Redis(Box<Cli>),
    Batch(Box<batch::Batch>),
    /// `redis-cli --cluster`, waiting for an answer.
    Cluster(Box<cluster::Manager>),
    Sql,
}

/// What a line led to.
#[derive(Default)]
pub(super) struct Effect {
    pub lines: Vec<Line>,
    /// The exit code is not 0: what stands behind `&&` does not run.
    pub failed: bool,
    pub word: Option<Word>,
    pub program: Option<Program>,
}

pub(super) fn shown(output: files::Output) -> Effect {
    match output {
        Ok(bytes) => Effect { lines: print::text(&bytes), ..Effect::default() },
        Err(complaint) => complain(complaint),
    }
}

fn say(text: impl AsRef<str>) -> Effect {
    Effect { lines: Line::split(Class::Plain, text.as_ref()), ..Effect::default() }
}

pub(super) fn complain(text: impl AsRef<str>) -> Effect {
    Effect { lines: Line::split(Class::Error, text.as_ref()), failed: true, ..Effect::default() }
}

/// Runs a line of the shell: one command, or several joined by `;` and `&&`. What takes the terminal over ends the line.
pub(super) fn submit(line: &str, terminal: &str, backend: &mut dyn Backend) -> Effect {
    let mut all = Effect::default();
    for (only_after_success, part) in commands(line) {
        if only_after_success && all.failed {
            break;
        }
        all.add(run(part, terminal, backend));
        if all.takes_over() {
            break;
        }
    }
    all
}

impl Effect {
    /// What comes next: its lines behind those that are here, and all else of it instead.
    fn add(&mut self, next: Effect) {
        let before = std::mem::replace(self, next);
        let after = std::mem::replace(&mut self.lines, before.lines);
        self.lines.extend(after);
    }

    /// Somebody else has the terminal now: nothing of the line behind it can run.
    fn takes_over(&self) -> bool {
        self.word.is_some() || self.program.is_some()
    }
}

/// The commands of a line, each with whether it runs only if the one before succeeded (`&&`).
fn commands(line: &str) -> Vec<(bool, &str)> {
    let (mut parts, mut from, mut quote, mut after_success) = (Vec::new(), 0, None, false);
    let mut chars = line.char_indices();
    while let Some((at, c)) = chars.next() {
        match (quote, c) {
            (None, '"' | '\'') => quote = Some(c),
            (Some('"'), '\\') => drop(chars.next()),
            (Some(open), _) if open == c => quote = None,
            (None, ';') => {
                parts.push((after_success, &line[from..at]));
                (from, after_success) = (at + 1, false);
            }
            (None, '&') if line[at..].starts_with("&&") => {
                parts.push((after_success, &line[from..at]));
                (from, after_success) = (at + 2, true);
                chars.next();
            }
            _ => {}
        }
    }
    parts.push((after_success, &line[from..]));
    parts
}

/// Runs one command of the shell.
fn run(line: &str, terminal: &str, backend: &mut dyn Backend) -> Effect {
    // The prompt is easily copied along with a line.
    let line = line.trim().trim_start_matches("$ ").trim_start();
    // `&`: a server runs in the background anyway. `# ...` alone is a remark.
    let line = line.strip_suffix('&').unwrap_or(line);
    if line.starts_with('#') || line == "$" {
        return Effect::default();
    }
    let Ok(words) = quote::split(line.as_bytes()) else {
        return complain("bash: unexpected EOF while looking for a matching quote");
    };
    if let Some(at) = words.windows(2).position(|pair| pair[0] == "|" && (pair[1] == "xargs" || pair[1] == "redis-cli"))
    {
        return fed(&words, at, terminal, backend);
    }
    let (words, pipe) = match Pipe::split(&words) {
        Ok(split) => split,
        Err(complaint) => return complain(complaint),
    };
    let Some((name, rest)) = words.split_first() else { return Effect::default() };
    let name = name.lossy();
    let output = match name.as_ref() {
        "redis-cli" => {
            let (words, input) = match batch::input(rest, backend) {
                Ok(split) => split,
                Err(complaint) => return complain(complaint),
            };
            return batch::redis_cli(&words, input, pipe, terminal, backend);
        }
        "redis-server" => return redis_server(rest, backend),
        "kill" => return kill(rest, backend),
        "power-cut" | "powercut" => return power_cut(backend),
        "sleep" => return sleep(rest, backend),
        "edit" | "vi" | "vim" | "nano" | "emacs" => return edit(rest),
        "sql" | "sqlite3" | "mysql" | "psql" => return open_sql(backend),
        "clear" => return Effect { word: Some(Word::Clear), ..Effect::default() },
        "exit" | "logout" | "quit" => {
            return say("This is the lab's own shell; there is nothing below it. `:quit` leaves the lab.");
        }
        "help" | "man" | "?" => return help(rest),
        "storm" => storm(rest, backend),
        "shop-traffic" => traffic::traffic(rest, backend),
        "shop-status" => traffic::status(backend),
        "shop-open" => return shop_open(rest, terminal, backend),
        "ps" => ps(backend),
        "date" => Ok(format!("{}\n", date(backend.now().0)).into_bytes()),
        "ls" | "ll" => files::ls(rest, backend),
        "cat" | "less" | "more" => files::cat(rest, pipe.is_terminal(), backend),
        "head" | "tail" | "grep" | "wc" | "sort" | "uniq" => return filter_file(&words, pipe, backend),
        "mkdir" => files::mkdir(rest, backend),
        "rm" => files::rm(rest, backend),
        "cp" => files::copy(rest, true, backend),
        "mv" => files::copy(rest, false, backend),
        "echo" => files::echo(rest),
        "sed" => files::sed(rest, backend),
        "truncate" => files::truncate(rest, backend),
        "xargs" => Err("xargs: it stands behind a pipe: redis-cli --scan | xargs redis-cli UNLINK".to_owned()),
        "pwd" => Ok(b"/home/lab\n".to_vec()),
        "whoami" => Ok(b"redis\n".to_vec()),
        _ => return unknown(&name),
    };
    shown(output.and_then(|bytes| pipe.send(bytes, backend)))
}

fn unknown(name: &str) -> Effect {
    let mut effect = complain(format!("bash: {name}: command not found"));
    let is_redis = is_redis_command(name);
    let near = WORDS.iter().map(|entry| entry.name).find(|word| crate::base::words::distance(name, word) <= 1);
    let advice = match near {
        _ if is_redis => format!(
            "`{}` is a command of Redis: start `redis-cli` first, or type `redis-cli {name} ...`.",
            name.to_ascii_uppercase()
        ),
        Some(word) => format!("Did you mean `{word}`?"),
        None => "`help` lists what this shell knows.".to_owned(),
    };
    effect.lines.push(Line::new(Class::Note, advice));
    effect
}

/// `... | xargs COMMAND`: the words that the first part prints, behind the command; with `-I NAME`, in the place of NAME.
/// `... | redis-cli`: the lines that it prints, typed at redis-cli.
fn fed(words: &[Bytes], at: usize, terminal: &str, backend: &mut dyn Backend) -> Effect {
    let (before, command) = (&words[..at], &words[at + 2..]);
    // What stands before the pipe prints as it does into a pipe: `head` without an end lets everything through.
    let first = run(&format!("{} | head -n 1000000", line_of(before)), terminal, backend);
    if first.failed || first.takes_over() {
        return first;
    }
    // Warnings go to the terminal, as what a program writes to stderr does.
    let (warnings, output): (Vec<Line>, Vec<Line>) = first.lines.into_iter().partition(is_complaint);
    let mut all = Effect { lines: warnings, ..Effect::default() };
    let lines: Vec<String> = output.iter().map(Line::text).collect();
    if words[at + 1] == "redis-cli" {
        all.add(match Pipe::split(command) {
            Ok((command, pipe)) => batch::redis_cli(&command, Some(lines), pipe, terminal, backend),
            Err(complaint) => complain(complaint),
        });
        return all;
    }
    if let [option, name, rest @ ..] = command
        && option == "-I"
    {
        // COMMAND runs once for each line, which takes the place of NAME.
        for line in lines {
            let filled = rest.iter().map(|word| Bytes::from(word.lossy().replace(&*name.lossy(), line.trim())));
            all.add(run(&line_of(&filled.collect::<Vec<_>>()), terminal, backend));
            if all.takes_over() {
                break;
            }
        }
        return all;
    }
    let more: Vec<Bytes> = lines.iter().flat_map(|line| line.split_whitespace()).map(Bytes::from).collect();
    let command = if command.is_empty() { vec![Bytes::from("echo")] } else { command.to_vec() };
    all.add(run(&line_of(&[command, more].concat()), terminal, backend));
    all
}

pub(super) fn is_complaint(line: &Line) -> bool {
    line.0.iter().any(|span| span.class == Class::Error)
}

/// Words as the line that they came from.
fn line_of(words: &[Bytes]) -> String {
    words.iter().map(shell_word).collect::<Vec<_>>().join(" ")
}

/// A word as the shell reads it back: pipes and their like stay bare, anything odd is quoted.
fn shell_word(word: &Bytes) -> String {
    match word.as_ref() {
        b"|" | b"<" | b">" | b">>" => word.lossy().into_owned(),
        _ => quote::word_of(word),
    }
}

/// `shop-open PORT COMMAND`: what COMMAND prints, then the shop's report.
fn shop_open(words: &[Bytes], terminal: &str, backend: &mut dyn Backend) -> Effect {
    let port = words.first().and_then(|word| word.lossy().parse::<u16>().ok());
    let (Some(port), [_, command @ ..]) = (port, words) else {
        return complain("usage: shop-open PORT COMMAND (a node of the cluster, and what runs meanwhile: sleep 5)");
    };
    if command.is_empty() {
        return complain("shop-open: what is to happen meanwhile? shop-open 7001 sleep 5");
    }
    let line = line_of(command);
    let (mut effect, report) = customers::open(port, backend, |backend| run(&line, terminal, backend));
    effect.lines.extend(shown(report).lines);
    if effect.program.is_some() {
        effect
            .lines
            .push(Line::new(Class::Note, "The shop has closed: nothing happens while the program waits for you."));
    }
    effect
}

fn redis_server(words: &[Bytes], backend: &mut dyn Backend) -> Effect {
    let argv: Vec<String> = words.iter().map(|word| word.lossy().into_owned()).collect();
    let spawned = backend.spawn(&argv);
    let failed = spawned.pid.is_none();
    let class = if failed { Class::Error } else { Class::Log };
    Effect {
        lines: spawned.log.iter().flat_map(|line| Line::split(class, line)).collect(),
        failed,
        ..Effect::default()
    }
}

fn storm(words: &[Bytes], backend: &mut dyn Backend) -> files::Output {
    let logins = match words {
        [] => Ok(10_000),
        [one] => one.lossy().parse().map_err(|_| "usage: storm [LOGINS]".to_owned()),
        _ => Err("usage: storm [LOGINS]".to_owned()),
    };
    Ok(backend.storm(logins?)?.iter().flat_map(|line| format!("{line}\n").into_bytes()).collect())
}

fn ps(backend: &dyn Backend) -> files::Output {
    let mut out = "    PID COMMAND\n".to_owned();
    for instance in backend.snapshot().instances.iter().filter(|instance| instance.state == State::Running) {
        let setting = |name: &str| instance.config.iter().find(|(it, _)| it == name).map_or("", |(_, value)| value);
        // As the process calls itself (`proc-title-template`): the first address it listens at, and the mode.
        let address = setting("bind").split(' ').next().filter(|it| !it.is_empty()).unwrap_or("*");
        let mode = if setting("cluster-enabled") == "yes" { " [cluster]" } else { "" };
        out.push_str(&format!("{:>7} redis-server {address}:{}{mode}\n", instance.pid, instance.port));
    }
    Ok(out.into_bytes())
}

fn kill(words: &[Bytes], backend: &mut dyn Backend) -> Effect {
    let words: Vec<String> = words.iter().map(|word| word.lossy().into_owned()).collect();
    let mut signal = Signal::Term;
    let mut targets = Vec::new();
    let mut rest = words.iter();
    while let Some(word) = rest.next() {
        let name = if word == "-s" { rest.next().map(String::as_str) } else { word.strip_prefix('-') };
        match name.map(|name| name.trim_start_matches("SIG")) {
            None => targets.push(word),
            Some("9" | "KILL") => signal = Signal::Kill,
            Some("15" | "TERM" | "2" | "INT") => signal = Signal::Term,
            Some(other) => return complain(format!("bash: kill: {other}: invalid signal specification")),
        }
    }
    if targets.is_empty() {
        return complain("kill: usage: kill [-9] PID|PORT");
    }
    let mut effect = Effect::default();
    for target in targets {
        let Ok(number) = target.parse::<u32>() else {
            effect.add(complain(format!("bash: kill: {target}: arguments must be process IDs or ports")));
            continue;
        };
        let running = backend.snapshot().instances;
        let mut running = running.iter().filter(|instance| instance.state == State::Running);
        let pid = running.find(|it| it.pid == number || u32::from(it.port) == number).map_or(number, |it| it.pid);
        if let Err(error) = backend.signal(pid, signal) {
            let reason = error.rsplit(" - ").next().unwrap_or(&error);
            effect.add(complain(format!("bash: kill: ({number}) - {reason}")));
        }
    }
    effect
}

fn power_cut(backend: &mut dyn Backend) -> Effect {
    backend.power_cut();
    Effect {
        lines: vec![Line::new(
            Class::Note,
            "The power is gone, and back. Every process has ended; what was not on the platter is lost.",
        )],
        ..Effect::default()
    }
}

fn sleep(words: &[Bytes], backend: &mut dyn Backend) -> Effect {
    let mut total = 0u64;
    for word in words {
        let text = word.lossy();
        let span = word::span(&text).filter(|_| !text.starts_with('+')).map(|span| span.0);
        let fraction = || text.strip_suffix('s').unwrap_or(&text).parse::<f64>().ok();
        let fraction = || fraction().filter(|s| (0.0..=1e9).contains(s)).map(|s| (s * 1000.0) as u64);
        match span.or_else(fraction) {
            Some(ms) => total = total.saturating_add(ms),
            None => return complain(format!("sleep: invalid time interval '{text}'")),
        }
    }
    if words.is_empty() {
        return complain("sleep: missing operand");
    }
    backend.advance(crate::base::Millis(total));
    Effect::default()
}

fn edit(words: &[Bytes]) -> Effect {
    match words {
        [path] => Effect { word: Some(Word::Edit(path.lossy().into_owned())), ..Effect::default() },
        _ => complain("usage: edit FILE"),
    }
}

fn open_sql(backend: &mut dyn Backend) -> Effect {
    match backend.sql("SELECT 1") {
        Ok(_) => Effect { program: Some(Program::Sql), ..Effect::default() },
        Err(reason) => complain(format!("sql: {reason}")),
    }
}

/// `grep WORDS FILE` and its kin: the same filters, with the file before them.
fn filter_file(words: &[Bytes], pipe: Pipe, backend: &mut dyn Backend) -> Effect {
    let Some((path, filter)) = words.split_last().filter(|(_, rest)| !rest.is_empty()) else {
        return complain(format!("usage: {} ... FILE", words[0].lossy()));
    };
    let stage = [&[Bytes::from("cat"), Bytes::from("|")], filter].concat();
    let output = Pipe::split(&stage).and_then(|(_, mut first)| {
        let contents = files::cat(std::slice::from_ref(path), false, backend)?;
        first.filters.extend(pipe.filters);
        first.file = pipe.file;
        first.send(contents, backend)
    });
    shown(output.map_err(|error| error.replace("cat:", &format!("{}:", words[0].lossy()))))
}

fn help(words: &[Bytes]) -> Effect {
    let wanted = words.first().map(|word| word.lossy().into_owned());
    let entries = WORDS.iter().filter(|entry| wanted.as_ref().is_none_or(|word| word == entry.name));
    let mut lines: Vec<Line> = entries.flat_map(|entry| entry.listed("")).collect();
    lines.push(match wanted.filter(|_| lines.is_empty()) {
        Some(word) if is_redis_command(&word) => Line::new(
            Class::Note,
            format!("`{0}` is a command of Redis: `help {0}` at the prompt of redis-cli tells of it.", word),
        ),
        Some(word) => Line::new(Class::Note, format!("This shell knows no `{word}`. `help` lists what it knows.")),
        None => Line::new(Class::Note, "`:help` tells of the words of the lab itself."),
    });
    Effect { lines, ..Effect::default() }
}

/// What to say at the redis prompt to somebody who typed a word of the shell there.
pub(super) fn meant_for_the_shell(word: &[u8]) -> Option<Line> {
    let entry = WORDS.iter().find(|entry| word == entry.name.as_bytes())?;
    Some(Line::new(Class::Note, format!("`{}` is a word of the shell: `exit` leads there.", entry.name)))
}

fn is_redis_command(word: &str) -> bool {
    crate::engine::commands::table().contains_key(word.to_ascii_uppercase().as_str())
}

/// `Tue Jan  1 09:00:00 UTC 2030`, from milliseconds since 1970.
fn date(ms: u64) -> String {
    const WEEK: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let (days, secs) = (ms / 86_400_000, ms / 1000 % 86_400);
    let leap = |year: u64| (year.is_multiple_of(4) && !year.is_multiple_of(100)) || year.is_multiple_of(400);
    let (mut year, mut rest) = (1970, days);
    while rest >= 365 + u64::from(leap(year)) {
        rest -= 365 + u64::from(leap(year));
        year += 1;
    }
    let lengths = [31, 28 + u64::from(leap(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let mut month = 0;
    while rest >= lengths[month] {
        rest -= lengths[month];
        month += 1;
    }
    let clock = format!("{:02}:{:02}:{:02}", secs / 3600, secs / 60 % 60, secs % 60);
    format!("{} {} {:>2} {clock} UTC {year}", WEEK[(days % 7) as usize], MONTHS[month], rest + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Millis;
    use crate::port::{ConnectionId, Incoming};

    #[test]
    fn a_line_holds_commands_joined_outside_of_quotes() {
        assert_eq!(commands("ls; ps && date"), [(false, "ls"), (false, " ps "), (true, " date")]);
        assert_eq!(commands("echo \"a; b \\\" && c\" ';'"), [(false, "echo \"a; b \\\" && c\" ';'")]);
        assert_eq!(commands("redis-server &"), [(false, "redis-server &")]);
    }

    #[test]
    fn every_word_of_the_table_is_known() {
        for entry in WORDS {
            let effect = run(entry.name, "t", &mut Nothing);
            let said = effect.lines.iter().map(Line::text).collect::<String>();
            assert!(!said.contains("command not found"), "{}", entry.name);
        }
    }

    /// A machine without anything.
    struct Nothing;

    impl Backend for Nothing {
        fn now(&self) -> Millis {
            Millis::ZERO
        }
        fn advance(&mut self, _: Millis) {}
        fn connect(&mut self, _: u16, _: &str) -> Result<ConnectionId, String> {
            Err("refused".to_owned())
        }
        fn send(&mut self, _: ConnectionId, _: Vec<Bytes>) {}
        fn receive(&mut self, _: ConnectionId) -> Vec<Incoming> {
            Vec::new()
        }
        fn hang_up(&mut self, _: ConnectionId) {}
    }
}
