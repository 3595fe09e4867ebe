//! Servers side by side: how they are configured, what they hold, and what each has lost and why.
//!
//! One workload, two configurations: what differs between them is what explains the difference in the end.

use super::databases::{memory_words, parameter};
use super::{Look, keys};
use crate::losses::{self, Account};
use crate::snapshot::{Instance, State};

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Twin {
    pub sides: Vec<Side>,
    /// Parameters that are not the same on all sides that run: name, and the value on each side.
    pub differs: Vec<(String, Vec<String>)>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Side {
    pub instance: String,
    pub port: u16,
    pub state: State,
    pub keys: usize,
    pub used_memory_bytes: u64,
    pub maxmemory_bytes: u64,
    pub policy: String,
    pub evicted: u64,
    pub expired: u64,
    /// `AOF everysec`, `RDB`, `nothing`: what survives a clean end.
    pub keeps: String,
    pub account: Account,
}

/// What is asked about first; other parameters follow by name. Those behind are different by nature.
const FIRST: &[&str] = &["maxmemory", "maxmemory-policy", "appendonly", "appendfsync", "save"];
const LAST: &[&str] = &["port", "dir", "dbfilename", "appenddirname", "appendfilename", "pidfile", "logfile"];
/// Old names of other parameters.
const ALIASES: &[&str] = &["slaveof"];
/// Never shown.
const SECRET: &[&str] = &["requirepass", "masterauth", "tls-key-file-pass", "tls-client-key-file-pass"];

pub fn of(look: &Look) -> Twin {
    let accounts = losses::accounts(look.world, look.events);
    let shown: Vec<&Instance> = look.world.instances.iter().collect();
    let sides = shown
        .iter()
        .zip(accounts)
        .map(|(instance, account)| Side {
            instance: instance.name.clone(),
            port: instance.port,
            state: instance.state,
            keys: instance.dbs.iter().map(|db| db.size).sum(),
            used_memory_bytes: instance.used_memory_bytes,
            maxmemory_bytes: parameter(instance, "maxmemory").parse().unwrap_or(0),
            policy: parameter(instance, "maxmemory-policy").to_owned(),
            evicted: instance.evicted_keys,
            expired: instance.expired_keys,
            keeps: keeps(instance),
            account,
        })
        .collect();
    Twin { sides, differs: differs(&shown) }
}

fn keeps(instance: &Instance) -> String {
    let rdb = !instance.disk.save_points.is_empty();
    match (instance.disk.aof_enabled, rdb) {
        (true, true) => format!("AOF {}, RDB", instance.disk.appendfsync),
        (true, false) => format!("AOF {}", instance.disk.appendfsync),
        (false, true) => "RDB".to_owned(),
        (false, false) => "nothing".to_owned(),
    }
}

fn differs(instances: &[&Instance]) -> Vec<(String, Vec<String>)> {
    let Some(first) = instances.iter().find(|instance| !instance.config.is_empty()) else { return Vec::new() };
    let rank = |name: &str| match FIRST.iter().position(|known| *known == name) {
        Some(at) => at,
        None if LAST.contains(&name) => usize::MAX,
        None => FIRST.len(),
    };
    let mut rows: Vec<(String, Vec<String>)> = first
        .config
        .iter()
        .filter(|(name, _)| !ALIASES.contains(&name.as_str()))
        .map(|(name, _)| {
            let values = instances.iter().map(|instance| match instance.config.is_empty() {
                true => "?".to_owned(),
                false if SECRET.contains(&name.as_str()) && !parameter(instance, name).is_empty() => "set".to_owned(),
                false if parameter(instance, name).is_empty() => "\"\"".to_owned(),
                false => parameter(instance, name).to_owned(),
            });
            (name.clone(), values.collect::<Vec<_>>())
        })
        .filter(|(_, values)| {
            let mut known = values.iter().filter(|value| *value != "?");
            let first = known.next();
            known.any(|value| Some(value) != first)
        })
        .collect();
    rows.sort_by(|(a, _), (b, _)| (rank(a), a).cmp(&(rank(b), b)));
    rows
}

/// The servers side by side in sentences.
pub fn words(look: &Look) -> Vec<String> {
    let twin = of(look);
    let mut lines = Vec::new();
    for (side, instance) in twin.sides.iter().zip(&look.world.instances) {
        lines.push(keys::head(instance));
        if side.state == State::Running {
            let memory = memory_words(side.used_memory_bytes, side.maxmemory_bytes, &side.policy);
            lines.push(format!(
                "  {} keys, {memory}; {} evicted, {} expired; keeps on disk: {}.",
                side.keys, side.evicted, side.expired, side.keeps
            ));
        }
    }
    if twin.sides.len() > 1 {
        lines.push("What differs in the configuration:".to_owned());
        for (name, values) in &twin.differs {
            let values: Vec<String> =
                twin.sides.iter().zip(values).map(|(side, value)| format!("{} {value}", side.instance)).collect();
            lines.push(format!("  {name}: {}.", values.join(", ")));
        }
    }
    lines.push("What each was given and what became of it:".to_owned());
    lines
        .extend(losses::report(&losses::accounts(look.world, look.events)).into_iter().map(|line| format!("  {line}")));
    lines
}
