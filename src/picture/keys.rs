//! Keys, disk and tables in sentences. The screen draws these from the snapshot itself.

use super::Look;
use crate::base::{Bytes, Millis, quote};
use crate::snapshot::{Instance, Key, State, Value};

/// How many keys of a database are said.
const KEYS_SAID: usize = 40;
/// Of a value, so many items.
const ITEMS_SAID: usize = 8;

/// Every key of every server.
pub fn words(look: &Look) -> Vec<String> {
    let mut lines = Vec::new();
    for instance in &look.world.instances {
        lines.push(head(instance));
        for db in &instance.dbs {
            for key in db.keys.iter().take(KEYS_SAID) {
                let place = if db.index > 0 { format!("db {}: ", db.index) } else { String::new() };
                lines.push(format!("  {place}{}", key_words(key, look.world.now)));
            }
            let more = db.size.saturating_sub(db.keys.len().min(KEYS_SAID));
            if more > 0 {
                lines.push(format!("  and {more} more keys in db {}.", db.index));
            }
        }
        if instance.state == State::Running && instance.dbs.is_empty() {
            lines.push("  no keys".to_owned());
        }
    }
    lines
}

/// `redis, port 6379, running.`
pub fn head(instance: &Instance) -> String {
    let state = match instance.state {
        State::Running => "running",
        State::Stopped => "stopped",
        State::Crashed => "crashed",
        State::Failed => "did not start",
    };
    format!("{}, port {}, {state}.", instance.name, instance.port)
}

fn key_words(key: &Key, now: Millis) -> String {
    let time = match key.expires_at {
        Some(end) => format!(", expires in {} s", end.since(now).0.div_ceil(1000)),
        None => String::new(),
    };
    format!("{} ({}): {}{time}.", quote::word_of(&key.name), key.kind, value_words(&key.value))
}

fn value_words(value: &Value) -> String {
    let some = |items: Vec<String>, all: usize| {
        let more = all.saturating_sub(items.len());
        let tail = if more > 0 { format!(" and {more} more") } else { String::new() };
        format!("{}{tail}", items.join(", "))
    };
    let word = |bytes: &Bytes| quote::word_of(&bytes[..bytes.len().min(200)]);
    match value {
        Value::String(text) => quote::repr(&text[..text.len().min(200)]),
        Value::Hash(fields) => some(
            fields.iter().take(ITEMS_SAID).map(|(f, v)| format!("{} = {}", word(f), word(v))).collect(),
            fields.len(),
        ),
        Value::List(items) | Value::Set(items) => some(items.iter().take(ITEMS_SAID).map(word).collect(), items.len()),
        Value::Zset(items) => some(
            items.iter().take(ITEMS_SAID).map(|(member, score)| format!("{} {score}", word(member))).collect(),
            items.len(),
        ),
        Value::Stream(entries) => {
            some(entries.iter().take(ITEMS_SAID).map(|(id, _)| id.clone()).collect(), entries.len())
        }
    }
}

/// What each server has in memory, in the page cache and on the platter.
pub fn disk_words(look: &Look) -> Vec<String> {
    let mut lines = Vec::new();
    for instance in &look.world.instances {
        lines.push(head(instance));
        let disk = &instance.disk;
        let keys: usize = instance.dbs.iter().map(|db| db.size).sum();
        lines.push(format!("  In memory: {keys} keys; {} changes since the last RDB.", disk.changes_since_save));
        if disk.aof_enabled {
            lines.push(format!(
                "  AOF on, appendfsync {}; {} bytes not handed to the system yet.",
                disk.appendfsync, disk.aof_in_memory_bytes
            ));
        } else {
            lines.push("  AOF off.".to_owned());
        }
        let points: Vec<String> = disk.save_points.iter().map(|(secs, n)| format!("{n} changes in {secs} s")).collect();
        lines.push(match points.is_empty() {
            true => "  RDB: no save points.".to_owned(),
            false => format!("  RDB: saves after {}.", points.join(", or ")),
        });
        for file in &disk.files {
            let platter = if file.durable {
                "all of it on the platter".to_owned()
            } else {
                format!("{} of them on the platter; a power cut takes the rest", file.durable_len)
            };
            lines.push(format!("  {}: {} bytes, {platter}.", file.path, file.len));
        }
    }
    lines
}

/// The SQL tables.
pub fn table_words(look: &Look) -> Vec<String> {
    let mut lines = Vec::new();
    for table in &look.world.sql {
        lines.push(format!("Table {}: {} rows.", table.name, table.rows.len()));
        for row in table.rows.iter().take(KEYS_SAID) {
            let cells: Vec<String> =
                table.columns.iter().zip(row).map(|(column, cell)| format!("{column} {cell}")).collect();
            lines.push(format!("  {}.", cells.join(", ")));
        }
    }
    if lines.is_empty() {
        lines.push("There is no SQL database in this lesson.".to_owned());
    }
    lines
}
