//! The timeline: the commands of all terminals in the order in which the servers carried them out.
//!
//! What MULTI queues is shown waiting until EXEC runs it, or DISCARD or an error throws it away. A write to a key that somebody
//! watches breaks that watch, and the EXEC that then does nothing names the write. All of it is read from the history: a watch
//! lasts from WATCH to EXEC, DISCARD or UNWATCH of the same connection, and the first change of the key in between breaks it, also
//! one's own (multi.c, `touchWatchedKey`).

use super::{Look, letter};
use crate::base::{Bytes, Millis, quote};
use crate::resp::Reply;
use crate::snapshot::{Event, State as Process, What};
use std::collections::BTreeMap;

/// How many steps a timeline keeps, the last ones.
pub const STEPS_MAX: usize = 200;
/// How far back events are looked at.
const EVENTS_MAX: usize = 4000;
/// Of a command or an answer, so many characters.
const TEXT_MAX: usize = 120;

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Timeline {
    /// Oldest first.
    pub steps: Vec<Step>,
    /// How each terminal's connections stand now.
    pub stands: Vec<Stand>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    pub sequence: u64,
    pub at: Millis,
    /// Index of the terminal; None: time, the machine, or a connection without a terminal.
    pub lane: Option<usize>,
    pub instance: String,
    pub db: usize,
    /// The command as a line, or what happened.
    pub text: String,
    pub state: State,
    pub notes: Vec<Note>,
    /// Terminals that are in MULTI, and those that watch something, when this step is done.
    pub queueing: Vec<usize>,
    pub watching: Vec<usize>,
    /// Terminals that wait for an answer.
    pub waiting: Vec<usize>,
}

/// What became of a command.
#[derive(Clone, Debug, PartialEq)]
pub enum State {
    /// Carried out; the reply in short.
    Answered(String),
    /// It blocks; no answer yet.
    Waiting,
    /// It blocked, and was answered at a later step.
    AnsweredLater {
        reply: String,
        by: u64,
    },
    Queued(Fate),
    /// Not a command: a key that expired, a power cut.
    Happened,
}

/// What became of a queued command.
#[derive(Clone, Debug, PartialEq)]
pub enum Fate {
    /// EXEC has not come yet.
    Open,
    /// Run by the EXEC with this sequence number; its reply in short.
    Ran { exec: u64, reply: String },
    /// Thrown away by DISCARD, an aborted EXEC or a lost connection.
    Dropped,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Note {
    /// This write broke the watch of a terminal.
    Breaks { lane: usize, key: String },
    /// This EXEC did nothing: a write to a watched key came before. `by` None: time, or nobody known.
    Aborted { key: String, by: Option<Writer> },
    /// This EXEC did nothing: a command was refused while it was queued.
    Refused { command: String },
}

/// Who wrote, and at which step.
#[derive(Clone, Debug, PartialEq)]
pub struct Writer {
    pub lane: Option<usize>,
    pub sequence: u64,
    pub text: String,
}

/// How a terminal's connection stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Stand {
    pub lane: usize,
    pub instance: String,
    pub port: u16,
    pub db: usize,
    /// Commands that wait for EXEC; None outside of a transaction.
    pub queued: Option<Vec<String>>,
    /// Watched keys; with who broke the watch, if somebody did.
    pub watched: Vec<(String, Option<Writer>)>,
    pub blocked: bool,
    pub subscriptions: usize,
    pub monitor: bool,
}

/// A connection: instance and client id.
type Connection = (String, u64);

/// What is known of a connection while the events are walked through.
#[derive(Default)]
struct Track {
    watched: Vec<(usize, Bytes)>,
    broken: Option<(Bytes, Option<Writer>)>,
    /// Steps that are queued; None outside of MULTI.
    queue: Option<Vec<usize>>,
    refused: Option<String>,
    /// The step that blocks.
    blocked: Option<usize>,
    lane: Option<usize>,
}

/// The timeline of what `look` holds.
pub fn of(look: &Look) -> Timeline {
    let events = &look.events[look.events.len().saturating_sub(EVENTS_MAX)..];
    let mut walk = Walk { look: *look, tracks: BTreeMap::new(), steps: Vec::new() };
    for event in events {
        walk.take(event);
    }
    let stands = walk.stands();
    let mut steps = walk.steps;
    steps.drain(..steps.len().saturating_sub(STEPS_MAX));
    Timeline { steps, stands }
}

struct Walk<'a> {
    look: Look<'a>,
    tracks: BTreeMap<Connection, Track>,
    steps: Vec<Step>,
}

impl Walk<'_> {
    fn take(&mut self, event: &Event) {
        match &event.what {
            What::Command { client, terminal, db, args, reply } => {
                let lane = terminal.as_deref().and_then(|name| self.look.terminals.iter().position(|it| it == name));
                self.command(event, (event.instance.clone(), *client), lane, *db, args, reply);
            }
            What::Key { db, key, event: name, .. } => {
                if matches!(name.as_str(), "expired" | "evicted") {
                    self.happened(event, *db, format!("{} {name}", quote::word_of(key)));
                }
            }
            What::WatchBroken { client, key, by, .. } => {
                self.broken(event, (event.instance.clone(), *client), key, *by);
            }
            What::Process { state, how, .. } => {
                self.tracks.retain(|(instance, _), _| *instance != event.instance);
                let text = match state {
                    Process::Running => format!("{} starts", event.instance),
                    Process::Failed => format!("{} does not start", event.instance),
                    Process::Stopped | Process::Crashed => format!("{} ends: {how}", event.instance),
                };
                self.happened(event, 0, text);
            }
            What::PowerCut => self.happened(event, 0, "power cut".to_owned()),
            What::Log { .. } | What::Sql { .. } => {}
        }
    }

    fn push(&mut self, event: &Event, lane: Option<usize>, db: usize, text: String, state: State) -> usize {
        let lanes = |of: &dyn Fn(&Track) -> bool| {
            let mut lanes: Vec<usize> = self.tracks.values().filter(|it| of(it)).filter_map(|it| it.lane).collect();
            lanes.sort_unstable();
            lanes.dedup();
            lanes
        };
        let step = Step {
            sequence: event.sequence,
            at: event.at,
            lane,
            instance: event.instance.clone(),
            db,
            text,
            state,
            notes: Vec::new(),
            queueing: lanes(&|it| it.queue.is_some()),
            watching: lanes(&|it| !it.watched.is_empty()),
            waiting: lanes(&|it| it.blocked.is_some()),
        };
        self.steps.push(step);
        self.steps.len() - 1
    }

    fn happened(&mut self, event: &Event, db: usize, text: String) {
        self.push(event, None, db, text, State::Happened);
    }

    fn command(
        &mut self,
        event: &Event,
        who: Connection,
        lane: Option<usize>,
        db: usize,
        args: &[Bytes],
        reply: &Reply,
    ) {
        let name = args.first().map(|name| name.to_ascii_uppercase()).unwrap_or_default();
        let failed = matches!(reply, Reply::Error(_));
        let track = self.tracks.entry(who.clone()).or_default();
        track.lane = lane;
        let blocked = track.blocked.take();
        let mut notes = Vec::new();
        let mut state = State::Answered(short(reply));
        let mut queues = false;
        match name.as_slice() {
            // Told twice: when it began to wait, and now.
            _ if blocked.is_some() && *reply != Reply::None => {
                let at = blocked.expect("just looked");
                self.steps[at].state = State::AnsweredLater { reply: short(reply), by: event.sequence };
                return;
            }
            _ if *reply == Reply::None => state = State::Waiting,
            b"MULTI" if !failed => track.queue = Some(Vec::new()),
            b"WATCH" if !failed => track.watched.extend(args[1..].iter().map(|key| (db, key.clone()))),
            b"UNWATCH" if *reply == Reply::OK => (track.watched, track.broken) = Default::default(),
            b"EXEC" | b"DISCARD" | b"RESET" if track.queue.is_some() || name == b"RESET" => {
                let track = std::mem::take(track);
                notes = self.ended(event, track, reply);
                self.tracks.entry(who.clone()).or_default().lane = lane;
            }
            _ if *reply == Reply::QUEUED => {
                state = State::Queued(Fate::Open);
                queues = true;
            }
            _ if failed && track.queue.is_some() => track.refused = Some(cut(&quote::line_of(args))),
            _ => {}
        }
        // Who is nobody's terminal is shown only where it matters: where it breaks a watch (see `touched`).
        if lane.is_none() {
            return;
        }
        let waits = state == State::Waiting;
        let at = self.push(event, lane, db, cut(&quote::line_of(args)), state);
        self.steps[at].notes = notes;
        let track = self.tracks.entry(who).or_default();
        if queues && let Some(queue) = &mut track.queue {
            queue.push(at);
        }
        if waits {
            track.blocked = Some(at);
        }
    }

    /// EXEC, DISCARD or RESET: what becomes of the queue, and why.
    fn ended(&mut self, event: &Event, track: Track, reply: &Reply) -> Vec<Note> {
        let queue = track.queue.unwrap_or_default();
        let replies = match reply {
            Reply::Array(items) if items.len() == queue.len() => Some(items),
            _ => None,
        };
        for (i, step) in queue.into_iter().enumerate() {
            let fate = match replies {
                Some(items) => Fate::Ran { exec: event.sequence, reply: short(&items[i]) },
                None => Fate::Dropped,
            };
            self.steps[step].state = State::Queued(fate);
        }
        match reply {
            Reply::Nil | Reply::NilArray => {
                // A key that is past its time and was looked for by nobody is found by EXEC itself.
                let first = track.watched.first().map(|(_, key)| key.clone());
                let (key, by) = track.broken.unwrap_or_else(|| (first.unwrap_or_default(), None));
                vec![Note::Aborted { key: quote::word_of(&key), by }]
            }
            Reply::Error(_) => vec![Note::Refused { command: track.refused.unwrap_or_default() }],
            _ => Vec::new(),
        }
    }

    /// A watch is broken: by whom?
    fn broken(&mut self, event: &Event, who: Connection, key: &Bytes, by: Option<u64>) {
        let writer = by.map(|by| self.writer(by));
        let track = self.tracks.entry(who).or_default();
        track.broken = Some((key.clone(), writer));
        let Some(lane) = track.lane else { return };
        let at = match by.and_then(|by| self.steps.iter().rposition(|step| step.sequence == by)) {
            Some(at) => at,
            None if self.steps.last().is_some_and(|step| step.state == State::Happened) => self.steps.len() - 1,
            None => {
                let db = self.steps.last().map_or(0, |step| step.db);
                self.push(event, None, db, format!("{} changes", quote::word_of(key)), State::Happened)
            }
        };
        self.steps[at].notes.push(Note::Breaks { lane, key: quote::word_of(key) });
    }

    /// The command with this sequence number, as far as it is known.
    fn writer(&self, sequence: u64) -> Writer {
        if let Some(step) = self.steps.iter().rev().find(|step| step.sequence == sequence) {
            return Writer { lane: step.lane, sequence, text: step.text.clone() };
        }
        let found = self.look.events.iter().rev().find(|event| event.sequence == sequence);
        let text = match found.map(|event| &event.what) {
            Some(What::Command { args, .. }) => cut(&quote::line_of(args)),
            _ => String::new(),
        };
        Writer { lane: None, sequence, text }
    }

    /// How the terminals' connections stand, from the snapshot; who broke a watch, from the history.
    fn stands(&self) -> Vec<Stand> {
        let mut stands = Vec::new();
        for instance in &self.look.world.instances {
            for client in &instance.clients {
                let Some(lane) = self.look.terminals.iter().position(|name| client.terminal.as_ref() == Some(name))
                else {
                    continue;
                };
                let track = self.tracks.get(&(instance.name.clone(), client.id));
                let broken = track.and_then(|it| it.broken.clone());
                let by = |key: &Bytes| broken.as_ref().filter(|(of, _)| of == key).map(|(_, by)| by.clone());
                let mut queued: Option<Vec<String>> =
                    client.queued.as_ref().map(|queue| queue.iter().map(|args| cut(&quote::line_of(args))).collect());
                // A server keeps no queue that it knows to be lost, but it still answered QUEUED.
                if let (Some(queued), Some(told)) = (&mut queued, track.and_then(|it| it.queue.as_ref()))
                    && queued.len() < told.len()
                {
                    *queued = told.iter().map(|step| self.steps[*step].text.clone()).collect();
                }
                stands.push(Stand {
                    lane,
                    instance: instance.name.clone(),
                    port: instance.port,
                    db: client.db,
                    queued,
                    watched: client.watched.iter().map(|(_, key)| (quote::word_of(key), by(key).flatten())).collect(),
                    blocked: client.blocked,
                    subscriptions: client.subscriptions,
                    monitor: client.monitor,
                });
            }
        }
        stands.sort_by_key(|stand| stand.lane);
        stands
    }
}

/// A reply in one short line.
pub fn short(reply: &Reply) -> String {
    let text = match reply {
        Reply::Status(text) => text.to_string(),
        Reply::Error(text) => format!("(error) {text}"),
        Reply::Int(n) => n.to_string(),
        Reply::Bulk(text) => quote::repr(&text[..text.len().min(TEXT_MAX)]),
        Reply::Nil | Reply::NilArray => "(nil)".to_owned(),
        Reply::Array(items) | Reply::Set(items) | Reply::Push(items) | Reply::Many(items) => {
            let inner: Vec<String> = items.iter().take(6).map(short).collect();
            let more = if items.len() > 6 { " ..." } else { "" };
            format!("[{}{more}]", inner.join(", "))
        }
        Reply::Map(pairs) => format!("{} pairs", pairs.len()),
        Reply::Double(n) => n.to_string(),
        Reply::Bool(b) => b.to_string(),
        Reply::Verbatim(_, text) | Reply::BigNumber(text) | Reply::LongDouble(text) => {
            quote::repr(&text[..text.len().min(TEXT_MAX)])
        }
        Reply::Attributed(both) => short(&both.1),
        Reply::None => "no answer yet".to_owned(),
    };
    cut(&text)
}

fn cut(text: &str) -> String {
    if text.chars().count() <= TEXT_MAX {
        text.to_owned()
    } else {
        text.chars().take(TEXT_MAX - 3).collect::<String>() + "..."
    }
}

/// `A alice`, `somebody else`.
pub fn name(lane: Option<usize>, terminals: &[String]) -> String {
    match lane {
        Some(lane) => format!("{} {}", letter(lane), terminals.get(lane).map_or("", String::as_str)),
        None => "somebody else".to_owned(),
    }
}

/// The note in words; `long`: with the terminal's name and the writer's command.
pub fn said(note: &Note, terminals: &[String], long: bool) -> String {
    let who = |lane: Option<usize>| match lane {
        Some(lane) if !long => letter(lane).to_string(),
        lane => name(lane, terminals),
    };
    match note {
        Note::Breaks { lane, key } => format!("breaks the watch of {} on {key}", who(Some(*lane))),
        Note::Aborted { key, by: Some(writer) } => {
            format!("did nothing: {}'s {} had changed the watched {key}", who(writer.lane), writer.text)
        }
        Note::Aborted { key, by: None } => format!("did nothing: time took the watched {key}"),
        Note::Refused { command } if command.is_empty() => "did nothing: a command had been refused".to_owned(),
        Note::Refused { command } => format!("did nothing: {command} had been refused"),
    }
}

/// The timeline in sentences.
pub fn words(look: &Look) -> Vec<String> {
    let timeline = of(look);
    let mut lines = step_words(&timeline.steps, look.terminals);
    if lines.is_empty() {
        lines.push("Nothing has been done yet.".to_owned());
    }
    for stand in &timeline.stands {
        lines.push(format!("Now {}: {}.", name(Some(stand.lane), look.terminals), stand_words(stand, look.terminals)));
    }
    lines
}

/// Steps in sentences, numbered.
pub fn step_words(steps: &[Step], terminals: &[String]) -> Vec<String> {
    let mut lines = Vec::new();
    for (i, step) in steps.iter().enumerate() {
        let n = i + 1;
        let number_of = |sequence: u64| steps.iter().position(|it| it.sequence == sequence).map(|at| at + 1);
        let what = match &step.state {
            State::Answered(reply) => format!("answered {reply}"),
            State::Waiting => "waits for its answer".to_owned(),
            State::AnsweredLater { reply, .. } => format!("waited, then answered {reply}"),
            State::Queued(Fate::Open) => "queued, waits for EXEC".to_owned(),
            State::Queued(Fate::Ran { exec, reply }) => match number_of(*exec) {
                Some(exec) => format!("queued; step {exec} ran it: {reply}"),
                None => format!("queued, then run: {reply}"),
            },
            State::Queued(Fate::Dropped) => "queued, then thrown away".to_owned(),
            State::Happened => {
                lines.push(format!("{n}. {}.", step.text));
                continue;
            }
        };
        let mut line = format!("{n}. {}: {}: {what}.", name(step.lane, terminals), step.text);
        for note in &step.notes {
            line.push_str(&format!(" It {}.", said(note, terminals, true)));
        }
        lines.push(line);
    }
    lines
}

/// `db 0, in MULTI: 2 commands wait for EXEC, watches stock (broken by B bob's SET stock 4)`.
pub fn stand_words(stand: &Stand, terminals: &[String]) -> String {
    let mut words = vec![format!("{} :{} db {}", stand.instance, stand.port, stand.db)];
    if let Some(queue) = &stand.queued {
        words.push(match queue.len() {
            0 => "in MULTI, nothing queued yet".to_owned(),
            1 => "in MULTI, 1 command waits for EXEC".to_owned(),
            n => format!("in MULTI, {n} commands wait for EXEC"),
        });
    }
    for (key, broken) in &stand.watched {
        words.push(match broken {
            Some(writer) => {
                format!("watches {key}, which {} has changed: EXEC will do nothing", name(writer.lane, terminals))
            }
            None => format!("watches {key}"),
        });
    }
    if stand.blocked {
        words.push("waits for an answer".to_owned());
    }
    if stand.subscriptions > 0 {
        words.push(format!("{} subscriptions", stand.subscriptions));
    }
    if stand.monitor {
        words.push("monitoring".to_owned());
    }
    words.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::World;

    /// Events from lines: who, the command and its reply; `breaks KEY` for alice's watch, broken by the command before it.
    fn history(lines: &[(&str, &str, Reply)]) -> Vec<Event> {
        let mut events: Vec<Event> = Vec::new();
        let mut last = 0;
        for (who, line, reply) in lines {
            let sequence = events.len() as u64 + 1;
            let what = if *who == "breaks" {
                let (client, terminal) = (u64::from(b'a'), Some("alice".to_owned()));
                What::WatchBroken { client, terminal, db: 0, key: (*line).into(), by: (last > 0).then_some(last) }
            } else {
                last = sequence;
                What::Command {
                    client: u64::from(who.as_bytes()[0]),
                    terminal: Some((*who).to_owned()),
                    db: 0,
                    args: line.split(' ').map(Bytes::from).collect(),
                    reply: reply.clone(),
                }
            };
            events.push(Event { sequence, at: Millis(sequence), instance: "redis".into(), what });
        }
        events
    }

    fn said_of(lines: &[(&str, &str, Reply)]) -> Vec<String> {
        let terminals = ["alice".to_owned(), "bob".to_owned()];
        let events = history(lines);
        words(&Look {
            world: &World::default(),
            events: &events,
            first_event: 0,
            terminals: &terminals,
            here: 0,
            nodes_meant: false,
            orders: None,
        })
    }

    #[test]
    fn a_write_breaks_a_watch_and_the_exec_names_it() {
        let said = said_of(&[
            ("alice", "WATCH stock", Reply::OK),
            ("bob", "SET stock 4", Reply::OK),
            ("breaks", "stock", Reply::None),
            ("alice", "MULTI", Reply::OK),
            ("alice", "SET stock 4", Reply::QUEUED),
            ("alice", "EXEC", Reply::NilArray),
        ]);
        assert_eq!(
            said,
            [
                "1. A alice: WATCH stock: answered OK.",
                "2. B bob: SET stock 4: answered OK. It breaks the watch of A alice on stock.",
                "3. A alice: MULTI: answered OK.",
                "4. A alice: SET stock 4: queued, then thrown away.",
                "5. A alice: EXEC: answered (nil). It did nothing: B bob's SET stock 4 had changed the watched stock.",
            ]
        );
    }

    #[test]
    fn what_is_queued_waits_and_is_run_by_exec() {
        let mut lines = vec![("alice", "MULTI", Reply::OK), ("alice", "INCR account:balance", Reply::QUEUED)];
        assert_eq!(said_of(&lines)[1], "2. A alice: INCR account:balance: queued, waits for EXEC.");
        lines.push(("bob", "GET account:balance", Reply::Nil));
        lines.push(("alice", "EXEC", Reply::Array(vec![Reply::Int(1)])));
        let said = said_of(&lines);
        assert_eq!(said[1], "2. A alice: INCR account:balance: queued; step 4 ran it: 1.");
        assert_eq!(said[3], "4. A alice: EXEC: answered [1].");
    }

    #[test]
    fn ones_own_write_between_watch_and_multi_breaks_the_watch_and_unwatch_ends_it() {
        let own = said_of(&[
            ("alice", "WATCH stock", Reply::OK),
            ("alice", "SET stock 4", Reply::OK),
            ("breaks", "stock", Reply::None),
        ]);
        assert!(own[1].ends_with("It breaks the watch of A alice on stock."), "{own:?}");
        let unwatched = said_of(&[
            ("alice", "WATCH stock", Reply::OK),
            ("alice", "UNWATCH", Reply::OK),
            ("bob", "SET stock 4", Reply::OK),
        ]);
        assert_eq!(unwatched[2], "3. B bob: SET stock 4: answered OK.");
    }

    #[test]
    fn a_refused_command_is_named_by_the_exec_that_aborts() {
        let said = said_of(&[
            ("alice", "MULTI", Reply::OK),
            ("alice", "SET stock", Reply::Error("ERR wrong number of arguments for 'set' command".into())),
            ("alice", "EXEC", Reply::Error("EXECABORT Transaction discarded because of previous errors.".into())),
        ]);
        assert!(said[2].ends_with("It did nothing: SET stock had been refused."), "{said:?}");
    }

    #[test]
    fn a_blocked_command_waits_until_it_is_answered_and_stands_at_its_own_place() {
        let pop = || Reply::Array(vec![Reply::bulk("mail"), Reply::bulk("hello")]);
        let said = said_of(&[("alice", "BLPOP mail 0", Reply::None), ("bob", "RPUSH mail hello", Reply::Int(1))]);
        assert_eq!(said[0], "1. A alice: BLPOP mail 0: waits for its answer.");
        let said = said_of(&[
            ("alice", "BLPOP mail 0", Reply::None),
            ("bob", "RPUSH mail hello", Reply::Int(1)),
            ("alice", "BLPOP mail 0", pop()),
        ]);
        assert_eq!(said.len(), 2);
        assert_eq!(said[0], "1. A alice: BLPOP mail 0: waited, then answered [\"mail\", \"hello\"].");
    }
}
