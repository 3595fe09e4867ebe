//! Why an exercise is not done yet: the one message that helps most, and `:why`.
//!
//! The first of these that applies is told: a broken `always`; a wrong attempt that the author knows; a cause that the history
//! shows; a near miss; what the first unmet goal found. Nothing but the goals while nothing has been done.

use super::{Feedback, Tone};
use crate::base::words::distance;
use crate::base::{Bytes, Millis, quote};
use crate::check::fate::fate_by;
use crate::check::{Look, Probe, Verdict, instance_of, key_of};
use crate::lesson::{Exercise, prose};
use crate::resp::Reply;
use crate::snapshot::{Event, State, What, World};

/// `verdicts`: one for each goal; `unmet`: the index of the first goal that is neither met nor an `always`.
pub fn of(exercise: &Exercise, probe: &dyn Probe, verdicts: &[Verdict], unmet: Option<usize>) -> Option<Feedback> {
    for wrong in &exercise.wrong {
        if wrong.when.judge(probe).met {
            return Some(Feedback { tone: Tone::Wrong, say: wrong.say.clone(), goal: unmet, future: Vec::new() });
        }
    }
    let goal = unmet?;
    let looks = exercise.goals[goal].check.look_at();
    let said =
        looks.iter().find_map(|look| cause(look, probe)).or_else(|| looks.iter().find_map(|look| near(look, probe)));
    if let Some(text) = said {
        return Some(Feedback { tone: Tone::Wrong, say: prose::inlines(&text), goal: Some(goal), future: Vec::new() });
    }
    let verdict = &verdicts[goal];
    let say = prose::inlines(&verdict.saw);
    Some(Feedback { tone: Tone::Missing, say, goal: Some(goal), future: verdict.future.clone() })
}

/// What the history tells about a key that is not as it should be.
fn cause(look: &Look, probe: &dyn Probe) -> Option<String> {
    let events = probe.events();
    let (instance, db, name) = match look {
        Look::Key { instance, db, name } => (instance, db, name),
        Look::Terminal(terminal) => return aborted_exec(events, |_, whose| whose == Some(terminal.as_str())),
        _ => return None,
    };
    if let Some(text) = aborted_exec(events, |key, _| key == name) {
        return Some(text);
    }
    let key = quote::word_of(name);
    let there = key_of(probe.world(), instance, *db, name);
    let last = events.iter().rev().find_map(|event| match &event.what {
        What::Key { db: at, key, event: what, by } if event.instance == *instance && at == db && key == name => {
            Some((event, what.as_str(), *by))
        }
        _ => None,
    })?;
    let (event, what, by) = last;
    let flushed = events.iter().find_map(|later| match &later.what {
        What::Key { db: at, event: what, by, .. }
            if later.sequence > event.sequence && later.instance == *instance && at == db && what == "flushdb" =>
        {
            Some((later, "del", *by))
        }
        _ => None,
    });
    let (event, what, by) = flushed.filter(|_| there.is_none()).unwrap_or((event, what, by));
    let at = clock(event.at);
    match (there.is_some(), what) {
        (false, "expired") => Some(format!("`{key}` was there, and expired at {at}.")),
        (false, "evicted") => Some(format!("`{key}` was evicted at {at}: memory was short.")),
        (false, "del") => Some(format!("`{key}` was there; {} removed it at {at}.", culprit(events, by))),
        (false, "rename_from") => Some(format!("`{key}` was renamed at {at} by {}.", culprit(events, by))),
        (false, _) => lost(events, instance, event).map(|how| format!("`{key}` was written at {at} and lost: {how}.")),
        (true, "set") => {
            let dropped = there.is_some_and(|key| key.expires_at.is_none())
                && had_ttl(events, instance, *db, name, event.sequence);
            dropped.then(|| format!("`{key}` has no time to live: {} at {at} removed it.", culprit(events, by)))
        }
        (true, "persist") => Some(format!("`{key}` has no time to live: {} at {at} removed it.", culprit(events, by))),
        _ => None,
    }
}

/// Did the key have a time to live before event `sequence`?
fn had_ttl(events: &[Event], instance: &str, db: usize, name: &[u8], sequence: u64) -> bool {
    let mut ttl = false;
    for event in events.iter().take_while(|event| event.sequence < sequence) {
        if let What::Key { db: at, key, event: what, .. } = &event.what
            && event.instance == instance
            && *at == db
            && *key == *name
        {
            match what.as_str() {
                "expire" => ttl = true,
                "set" | "del" | "persist" | "expired" => ttl = false,
                _ => {}
            }
        }
    }
    ttl
}

/// How the process that held a key went after `written`.
fn lost(events: &[Event], instance: &str, written: &Event) -> Option<String> {
    let later = events.iter().filter(|event| event.sequence > written.sequence);
    later.filter_map(|event| ended(event, instance)).next().map(|(how, at)| format!("{how} at {at}"))
}

fn ended(event: &Event, instance: &str) -> Option<(String, String)> {
    let how = match &event.what {
        What::PowerCut => "the power was cut",
        What::Process { state: State::Crashed, .. } if event.instance == instance => "the server was killed",
        What::Process { state: State::Stopped, .. } if event.instance == instance => "the server was stopped",
        _ => return None,
    };
    Some((how.to_owned(), clock(event.at)))
}

/// The last EXEC, if it answered nil, and whose write did it. `fits`: the watched key that was changed, and the terminal.
fn aborted_exec(events: &[Event], fits: impl Fn(&Bytes, Option<&str>) -> bool) -> Option<String> {
    let (exec, reply, who, terminal) = events.iter().rev().find_map(|event| match &event.what {
        What::Command { args, reply, client, terminal, .. } if is(args, "exec") => {
            Some((event, reply, *client, terminal.as_deref()))
        }
        _ => None,
    })?;
    if !matches!(reply, Reply::Nil | Reply::NilArray) {
        return None;
    }
    let broken =
        events.iter().rev().filter(|event| event.sequence <= exec.sequence + 1).find_map(|event| match &event.what {
            What::WatchBroken { client, key, by, .. } if *client == who => Some((key, *by)),
            _ => None,
        });
    let (key, by) = broken.filter(|(key, _)| fits(key, terminal))?;
    let key = quote::word_of(key);
    let Some(writer) = by.and_then(|by| command(events, by)) else {
        return Some(format!("EXEC at {} did nothing: the watched `{key}` had expired.", clock(exec.at)));
    };
    let own = matches!(&writer.what, What::Command { client, .. } if *client == who);
    let after = if own { " Your own writes between WATCH and MULTI count too." } else { "" };
    Some(format!(
        "EXEC at {} did nothing: {} had changed the watched `{key}` before.{after} Read again, and try again.",
        clock(exec.at),
        deed(writer)
    ))
}

fn is(args: &[Bytes], name: &str) -> bool {
    args.first().is_some_and(|first| first.eq_ignore_ascii_case(name.as_bytes()))
}

fn command(events: &[Event], sequence: u64) -> Option<&Event> {
    events.iter().find(|event| event.sequence == sequence)
}

/// "your `SET session:a1 alice` in `shop`", "the server".
fn culprit(events: &[Event], by: Option<u64>) -> String {
    by.and_then(|by| command(events, by)).map_or_else(|| "the server".into(), deed)
}

fn deed(event: &Event) -> String {
    match &event.what {
        What::Command { args, terminal, .. } => {
            let line = quote::line_of(args);
            let line = if line.chars().count() > 50 { line.chars().take(47).collect::<String>() + "..." } else { line };
            match terminal.as_deref() {
                Some(super::play::LESSON) => format!("the lesson's `{line}`"),
                Some(terminal) => format!("your `{line}` in `{terminal}`"),
                None => format!("`{line}`"),
            }
        }
        _ => "the server".into(),
    }
}

/// Something like what was meant, somewhere else: another spelling, database or instance.
fn near(look: &Look, probe: &dyn Probe) -> Option<String> {
    let Look::Key { instance, db, name } = look else { return None };
    let world = probe.world();
    if key_of(world, instance, *db, name).is_some() || instance_of(world, instance)?.state != State::Running {
        return None;
    }
    let key = quote::word_of(name);
    if let Some(there) = other_db(world, instance, *db, name) {
        return Some(format!("`{key}` is in database {there}, not in {db}. SELECT leads from one to the other."));
    }
    let elsewhere =
        world.instances.iter().find(|each| each.name != *instance && key_of(world, &each.name, *db, name).is_some());
    if let Some(other) = elsewhere {
        return Some(format!("`{key}` is on `{}` (port {}), not on `{instance}`.", other.name, other.port));
    }
    let spelled = instance_of(world, instance)?
        .dbs
        .iter()
        .find(|each| each.index == *db)?
        .keys
        .iter()
        .find(|each| wrote(probe.events(), &each.name) && spelled_alike(&each.name.lossy(), &name.lossy()))?;
    Some(format!("There is a key `{}`. The one asked for is `{key}`.", quote::word_of(&spelled.name)))
}

fn other_db(world: &World, instance: &str, db: usize, name: &[u8]) -> Option<usize> {
    let dbs = &instance_of(world, instance)?.dbs;
    dbs.iter().map(|each| each.index).find(|index| *index != db && key_of(world, instance, *index, name).is_some())
}

/// The same word with a slip in it, or in other case. Ids differ in few letters and are meant to: `session:a1`, `session:b2`.
fn spelled_alike(a: &str, b: &str) -> bool {
    let (a, b) = (a.to_lowercase(), b.to_lowercase());
    let id = |name: &str| {
        name.rsplit_once(':').map_or((String::new(), name.to_owned()), |(a, b)| (a.to_owned(), b.to_owned()))
    };
    let ((space_a, id_a), (space_b, id_b)) = (id(&a), id(&b));
    a == b || !(space_a == space_b && id_a.len().min(id_b.len()) <= 3) && distance(&a, &b) <= 2.min(b.len() / 3)
}

/// Was it changed since the exercise began?
fn wrote(events: &[Event], name: &Bytes) -> bool {
    events.iter().any(|event| matches!(&event.what, What::Key { key, .. } if key == name))
}

/// `:why KEY`: everything that happened to a key of that name, line by line.
pub fn why(name: &str, world: &World, events: &[Event]) -> Vec<String> {
    let bytes: Bytes = name.into();
    let mut lines = Vec::new();
    let mut there: Vec<(String, usize)> = Vec::new();
    for event in events {
        match &event.what {
            What::Key { db, event: what, by, .. } if what == "flushdb" => {
                let home = (event.instance.clone(), *db);
                if there.contains(&home) {
                    let place = place(world, &event.instance, *db);
                    lines.push(format!("{} flushed away: {}{place}", clock(event.at), culprit(events, *by)));
                    there.retain(|each| *each != home);
                }
            }
            What::Key { db, key, event: what, by } if *key == bytes => {
                let place = place(world, &event.instance, *db);
                let line = match (what.as_str(), by) {
                    ("expired", _) => format!("{} it expired{place}", clock(event.at)),
                    ("evicted", _) => format!("{} it was evicted{place}: memory was short", clock(event.at)),
                    (what, by) => format!("{} {}: {}{place}", clock(event.at), said(what), culprit(events, *by)),
                };
                lines.push(line);
                let home = (event.instance.clone(), *db);
                there.retain(|each| *each != home);
                if fate_by(what).is_none() {
                    there.push(home);
                }
            }
            _ => {
                let lived: Vec<(String, usize)> =
                    there.iter().filter(|(on, _)| ended(event, on).is_some()).cloned().collect();
                for (on, db) in lived {
                    let (how, at) = ended(event, &on).expect("just filtered by it");
                    lines.push(format!("{at} {how}: what was not on disk of `{on}` is gone"));
                    there.retain(|each| *each != (on.clone(), db));
                }
            }
        }
    }
    let now: Vec<String> = world
        .instances
        .iter()
        .flat_map(|instance| instance.dbs.iter().map(move |db| (instance, db.index)))
        .filter_map(|(instance, db)| key_of(world, &instance.name, db, &bytes).map(|key| (instance, db, key)))
        .map(|(instance, db, key)| {
            let text = crate::check::key::described(&format!("`{}`", quote::word_of(&bytes)), key);
            let ttl = match key.expires_at {
                Some(at) => format!(" It expires at {}.", clock(at)),
                None => String::new(),
            };
            format!("Now{}: {text}{ttl}", place(world, &instance.name, db))
        })
        .collect();
    if lines.is_empty() && now.is_empty() {
        return vec![format!("Nothing has happened to a key `{name}` in this lesson.")];
    }
    lines.extend(if now.is_empty() { vec![format!("Now: there is no key `{name}`.")] } else { now });
    lines
}

/// A keyspace event in plain words.
fn said(event: &str) -> &str {
    match event {
        "set" => "written",
        "del" => "deleted",
        "expire" => "given a time to live",
        "persist" => "made to stay",
        "rename_from" => "renamed away",
        "rename_to" => "renamed to this",
        other => other,
    }
}

/// Said only where it is not the obvious one.
fn place(world: &World, instance: &str, db: usize) -> String {
    let on = if world.instances.len() > 1 { format!(" on `{instance}`") } else { String::new() };
    let db = if db > 0 { format!(" in database {db}") } else { String::new() };
    format!("{on}{db}")
}

/// `10:02:07`, in UTC as the lab's clock shows it.
pub fn clock(at: Millis) -> String {
    let secs = at.secs() % 86_400;
    format!("{:02}:{:02}:{:02}", secs / 3600, secs / 60 % 60, secs % 60)
}
