//! Who touched which key: the history read with the command table, for finding races.
//!
//! What a command changed stands in the history; what it read, and whether it could see what it replaced, follows from the
//! flags of its keys. Commands of a transaction happen at its EXEC.

use crate::base::Bytes;
use crate::engine::command::{self, Command, Group};
use crate::engine::commands::{self, key_flags};
use crate::race::facts::{self, Access, Touch};
use crate::race::{Program, Race};
use crate::resp::Reply;
use crate::snapshot::{Event, What};
use std::collections::BTreeMap;

/// All races among `events`. `based`: whether the command with this number is known to rest on what its client had read.
pub fn races<'e>(events: impl Iterator<Item = &'e Event>, based: &dyn Fn(u64) -> bool) -> Vec<Race> {
    facts::races(&accesses(events, based))
}

/// What each terminal sent in `events`, as a program: commands that touch keys or make transactions; others, such as PING,
/// are in nobody's way. In the order in which the terminals began.
pub fn programs<'e>(events: impl Iterator<Item = &'e Event>) -> Vec<Program> {
    let mut sent: Vec<(&str, Vec<Vec<Bytes>>)> = Vec::new();
    // A command that waited is told twice.
    let mut waiting: BTreeMap<u64, &[Bytes]> = BTreeMap::new();
    for event in events {
        let What::Command { terminal: Some(terminal), args, reply, client, .. } = &event.what else { continue };
        if waiting.get(client).is_some_and(|waits| *waits == args.as_slice()) {
            waiting.remove(client);
            continue;
        }
        if *reply == Reply::None {
            waiting.insert(*client, args);
        }
        let Ok(entry) = commands::entry_of(args) else { continue };
        let matters = matches!(entry.command.group, Group::Transactions | Group::Scripting)
            || !entry.command.key_places(args).is_empty();
        if matters {
            match sent.iter_mut().find(|(name, _)| name == terminal) {
                Some((_, commands)) => commands.push(args.clone()),
                None => sent.push((terminal, vec![args.clone()])),
            }
        }
    }
    sent.into_iter().map(|(name, commands)| Program::of_commands(name, commands)).collect()
}

/// A command that waits for its EXEC.
struct Queued {
    args: Vec<Bytes>,
    based: bool,
}

/// One command, as it was carried out.
struct Deed<'a> {
    sequence: u64,
    client: u64,
    instance: &'a str,
    db: usize,
    args: &'a [Bytes],
    based: bool,
}

fn accesses<'e>(events: impl Iterator<Item = &'e Event>, based: &dyn Fn(u64) -> bool) -> Vec<Access> {
    let events: Vec<&Event> = events.collect();
    let mut changed: BTreeMap<u64, Vec<&Bytes>> = BTreeMap::new();
    for event in &events {
        if let What::Key { key, by: Some(by), .. } = &event.what {
            changed.entry(*by).or_default().push(key);
        }
    }
    let mut queues: BTreeMap<(&str, u64), Vec<Queued>> = BTreeMap::new();
    let mut found = Vec::new();
    for event in events {
        let What::Command { client, db, args, reply, .. } = &event.what else { continue };
        let (sequence, instance) = (event.sequence, event.instance.as_str());
        let queue = queues.entry((instance, *client)).or_default();
        let changed = changed.get(&sequence).map_or(&[][..], Vec::as_slice);
        let mut deed = Deed { sequence, client: *client, instance, db: *db, args, based: based(sequence) };
        match args.first().map(|name| name.to_ascii_uppercase()).unwrap_or_default().as_slice() {
            b"MULTI" | b"DISCARD" | b"RESET" => queue.clear(),
            b"EXEC" => {
                let queue = std::mem::take(queue);
                if !matches!(reply, Reply::Array(_)) {
                    continue;
                }
                for queued in &queue {
                    if queued.args[0].eq_ignore_ascii_case(b"SELECT") {
                        deed.db = queued.args.get(1).and_then(|db| db.lossy().parse().ok()).unwrap_or(deed.db);
                    }
                    touch(&Deed { args: &queued.args, based: queued.based, ..deed }, changed, &mut found);
                }
            }
            _ if *reply == Reply::QUEUED => queue.push(Queued { args: args.clone(), based: deed.based }),
            // It waits, or was refused.
            _ if matches!(reply, Reply::None | Reply::Error(_)) && changed.is_empty() => {}
            _ => touch(&deed, changed, &mut found),
        }
    }
    found
}

/// What one command did to its keys.
fn touch(deed: &Deed, changed: &[&Bytes], found: &mut Vec<Access>) {
    let Ok(entry) = commands::entry_of(deed.args) else { return };
    let command = entry.command;
    let places = command.key_places(deed.args);
    for (nth, place) in places.iter().enumerate() {
        let key = &deed.args[*place];
        let wrote = changed.contains(&key);
        let touch = match wrote {
            true => how(command, nth, deed.args),
            false if looks(command) => Touch::Read,
            false => continue,
        };
        let mut push = |field: Option<Bytes>| {
            found.push(Access {
                sequence: deed.sequence,
                client: deed.client,
                instance: deed.instance.to_owned(),
                db: deed.db,
                key: key.clone(),
                field,
                touch,
                based: deed.based,
            });
        };
        match fields(command.name, deed.args) {
            Some(fields) => fields.into_iter().for_each(|field| push(Some(field))),
            None => push(None),
        }
    }
}

/// Whether a command that changed nothing has told something of its key.
fn looks(command: &Command) -> bool {
    command.flags.has(command::READONLY)
        || command.group == Group::Scripting
        || key_flags::of(command).iter().any(|flags| flags.contains("access"))
}

/// How a command that changed its `nth` key did that.
fn how(command: &Command, nth: usize, args: &[Bytes]) -> Touch {
    let has = |word: &str| args.iter().skip(3).any(|arg| arg.eq_ignore_ascii_case(word.as_bytes()));
    let flags = key_flags::of(command);
    let flags = flags.get(nth).or(flags.last()).copied().unwrap_or("");
    match command.name {
        // With NX there was nothing to lose, with GET it saw what it replaced.
        "SET" if has("NX") || has("GET") => Touch::Change,
        "SET" | "HSET" | "HMSET" | "HDEL" => Touch::Overwrite,
        _ if flags.starts_with("RM") || flags == "OW update" => Touch::Overwrite,
        _ => Touch::Change,
    }
}

/// The fields of a hash that a command is about; None: the whole key.
fn fields(name: &str, args: &[Bytes]) -> Option<Vec<Bytes>> {
    match name {
        "HSET" | "HMSET" => Some(args.iter().skip(2).step_by(2).cloned().collect()),
        "HDEL" | "HMGET" => Some(args.iter().skip(2).cloned().collect()),
        "HGET" | "HEXISTS" | "HSTRLEN" | "HINCRBY" | "HINCRBYFLOAT" | "HSETNX" => {
            Some(args.iter().skip(2).take(1).cloned().collect())
        }
        _ => None,
    }
}
