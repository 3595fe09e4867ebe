//! Typing for somebody: set-ups, solutions, and the acts of possible futures, on hidden terminals.

use crate::base::{Bytes, Millis, quote};
use crate::check::{Act, Script, Shown, Step};
use crate::console::{Line, Terminal, Word, net};
use crate::lesson::{Lesson, Opens};
use crate::port::{Backend, Signal};
use crate::snapshot::{State, What};

/// How events name the hidden terminals: what was done by it was not done by the learner.
pub const LESSON: &str = "lesson";

/// A process that was asked to end is given this long.
const ENDING: Millis = Millis(500);

/// What a script printed, line by line of it, and how that looks.
#[derive(Default)]
pub struct Played {
    pub printed: Vec<String>,
    pub shown: Vec<Shown>,
}

/// Runs `script` on terminals of its own, one for each step. Instances that are not running are started before they are
/// spoken to.
pub fn script(script: &Script, lesson: &Lesson, backend: &mut dyn Backend) -> Played {
    let mut played = Played::default();
    for step in &script.0 {
        pass(step.wait, backend);
        if step.lines.is_empty() {
            continue;
        }
        let mut terminal = hidden(step, lesson, backend);
        for line in &step.lines {
            let prompt = terminal.prompt();
            let submitted = terminal.submit(&line.text, backend);
            let mut lines = submitted.lines;
            match submitted.word {
                Some(Word::Time(span)) => backend.advance(span),
                Some(Word::Net(changes)) => lines.extend(net::run(&changes, backend)),
                _ => {}
            }
            lines.extend(terminal.poll(backend));
            let printed = lines.iter().map(Line::text).collect::<Vec<_>>().join("\n");
            played.shown.push(Shown::Typed { prompt, text: line.text.clone() });
            played.shown.extend(lines.iter().map(|line| Shown::Said(line.text())));
            played.printed.push(printed);
        }
        terminal.leave(backend);
    }
    played
}

/// A terminal that stands where the step's actor would.
fn hidden(step: &Step, lesson: &Lesson, backend: &mut dyn Backend) -> Terminal {
    let opens = match step.actor.as_str() {
        "shell" => Opens::Shell,
        "sql" => Opens::Sql,
        name => match lesson.world.terminals.iter().find(|terminal| terminal.name == name) {
            Some(terminal) => terminal.opens.clone(),
            None => Opens::Redis(name.to_owned()),
        },
    };
    if let Opens::Redis(name) = &opens {
        ensure_running(name, lesson, backend);
    }
    opened(LESSON, &opens, lesson, backend).0
}

/// A new terminal, and what it printed on opening.
pub fn opened(name: &str, opens: &Opens, lesson: &Lesson, backend: &mut dyn Backend) -> (Terminal, Vec<Line>) {
    let mut terminal = Terminal::new(name);
    let mut lines = Vec::new();
    match opens {
        Opens::Shell => {}
        Opens::Sql => terminal.open_sql(),
        Opens::Redis(instance) => {
            let port = lesson.world.instances.iter().find(|each| each.name == *instance).map_or(6379, |each| each.port);
            lines = terminal.open_redis(port, backend);
            if name == LESSON
                && let Some(password) = password_of(instance, backend)
            {
                lines.extend(terminal.submit(&format!("AUTH {}", quote::repr(&Bytes::from(password))), backend).lines);
            }
        }
    }
    (terminal, lines)
}

/// What a learner had to find out, the lesson knows: a server with a password still has to be looked into.
fn password_of(instance: &str, backend: &dyn Backend) -> Option<String> {
    let world = backend.snapshot();
    let found = world.instances.iter().find(|each| each.name == instance && each.state == State::Running)?;
    let (_, password) = found.config.iter().find(|(name, _)| name == "requirepass")?;
    (!password.is_empty()).then(|| password.clone())
}

fn ensure_running(name: &str, lesson: &Lesson, backend: &mut dyn Backend) {
    if pid_of(name, backend).is_none()
        && let Some(instance) = lesson.world.instances.iter().find(|each| each.name == name)
    {
        backend.spawn(std::slice::from_ref(&instance.file));
    }
}

fn pid_of(name: &str, backend: &dyn Backend) -> Option<u32> {
    let world = backend.snapshot();
    let running = |each: &&crate::snapshot::Instance| each.name == name && each.state == State::Running;
    world.instances.iter().find(running).map(|each| each.pid)
}

/// Lets time pass as it passes by itself: in small pieces, so that it is nobody's deed.
pub fn pass(span: Millis, backend: &mut dyn Backend) {
    let mut left = span.0;
    while left > 0 {
        let piece = left.min(500);
        backend.advance(Millis(piece));
        left -= piece;
    }
}

/// Does the acts of a future.
pub fn acts(acts: &[Act], lesson: &Lesson, backend: &mut dyn Backend) -> Played {
    let mut played = Played::default();
    for act in acts {
        let shell = |text: String| Shown::Typed { prompt: "$ ".into(), text };
        match act {
            Act::Sleep(span) => {
                backend.advance(*span);
                played.shown.push(Shown::Note(format!("{} later:", duration(*span))));
            }
            Act::PowerCut => {
                backend.power_cut();
                played.shown.push(shell("power-cut".into()));
            }
            Act::Kill(name) | Act::Stop(name) => {
                let kill = matches!(act, Act::Kill(_));
                if let Some(pid) = pid_of(name, backend) {
                    played.shown.push(shell(format!("kill {}{pid}", if kill { "-9 " } else { "" })));
                    // Err would mean that it ended meanwhile: what was wanted.
                    backend.signal(pid, if kill { Signal::Kill } else { Signal::Term }).ok();
                    backend.advance(ENDING);
                }
            }
            Act::Restart(name) => {
                if let Some(pid) = pid_of(name, backend) {
                    played.shown.push(shell(format!("kill {pid}")));
                    backend.signal(pid, Signal::Term).ok();
                    backend.advance(ENDING);
                }
                if let Some(instance) = lesson.world.instances.iter().find(|each| each.name == *name) {
                    played.shown.push(shell(format!("redis-server {}", instance.file)));
                    let spawned = backend.spawn(std::slice::from_ref(&instance.file));
                    if spawned.pid.is_none() {
                        played.shown.extend(spawned.log.into_iter().map(Shown::Said));
                    }
                    backend.advance(ENDING);
                }
            }
            Act::StartAgain => {
                for line in crashed(backend) {
                    played.shown.push(shell(line.clone()));
                    let argv: Vec<String> = line.split(' ').skip(1).map(str::to_owned).collect();
                    let spawned = backend.spawn(&argv);
                    if spawned.pid.is_none() {
                        played.shown.extend(spawned.log.into_iter().map(Shown::Said));
                    }
                }
                backend.advance(ENDING);
            }
            Act::Run(lines) => {
                let run = script(lines, lesson, backend);
                played.printed.extend(run.printed);
                played.shown.extend(run.shown);
            }
        }
    }
    played
}

/// The command lines of the servers that have crashed.
fn crashed(backend: &dyn Backend) -> Vec<String> {
    let (world, events) = (backend.snapshot(), backend.events_since(0));
    let dead = world.instances.iter().filter(|each| each.state == State::Crashed);
    let begun = |name: &str| {
        events.iter().rev().find_map(|event| match &event.what {
            What::Process { state: State::Running, how, .. } if event.instance == name => Some(how.clone()),
            _ => None,
        })
    };
    dead.filter_map(|each| begun(&each.name)).collect()
}

/// `31 minutes`, `2 seconds`, `1 hour`.
pub fn duration(span: Millis) -> String {
    let units = [(86_400, "day"), (3600, "hour"), (60, "minute"), (1, "second")];
    let secs = span.secs();
    if secs == 0 {
        return format!("{} ms", span.0);
    }
    let exact = units.iter().find(|(unit, _)| secs.is_multiple_of(*unit) && secs >= *unit);
    let (unit, name) = exact.copied().unwrap_or((1, "second"));
    let n = secs / unit;
    format!("{n} {name}{}", if n == 1 { "" } else { "s" })
}
