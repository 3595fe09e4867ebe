//! MEMORY: where memory goes, by the model of `engine::memory`.

use crate::base::Bytes;
use crate::engine::command::{Command, Keys, LOADING, Outcome, READONLY, STALE};
use crate::engine::refusal;
use crate::engine::{Call, commands, memory};
use crate::resp::Reply;

pub const COMMANDS: &[Command] = &[Command {
    name: "MEMORY",
    summary: "Look at where memory goes.",
    since: "4.0.0",
    sub: &[
        Command {
            name: "MEMORY DOCTOR",
            summary: "Read advice on memory.",
            since: "4.0.0",
            tips: &["nondeterministic_output", "request_policy:all_shards", "response_policy:special"],
            run: doctor,
            ..Command::SERVER
        },
        Command {
            name: "MEMORY HELP",
            summary: "List the subcommands.",
            since: "4.0.0",
            flags: LOADING.with(STALE),
            run: help,
            ..Command::SERVER
        },
        Command {
            name: "MEMORY MALLOC-STATS",
            summary: "Read the allocator's statistics.",
            since: "4.0.0",
            tips: &["nondeterministic_output", "request_policy:all_shards", "response_policy:special"],
            run: malloc_stats,
            ..Command::SERVER
        },
        Command {
            name: "MEMORY PURGE",
            summary: "Give unused memory back to the system.",
            since: "4.0.0",
            tips: &["request_policy:all_shards", "response_policy:all_succeeded"],
            run: purge,
            ..Command::SERVER
        },
        Command {
            name: "MEMORY STATS",
            summary: "Read where memory goes.",
            since: "4.0.0",
            tips: &["nondeterministic_output", "request_policy:all_shards", "response_policy:special"],
            run: stats,
            ..Command::SERVER
        },
        Command {
            name: "MEMORY USAGE",
            syntax: "key [SAMPLES count]",
            summary: "Estimate what a key and its value take.",
            since: "4.0.0",
            complexity: "O(N)",
            flags: READONLY,
            keys: Keys::Range { first: 2, last: 2, step: 1 },
            run: usage,
            ..Command::SERVER
        },
    ],
    ..Command::SERVER
}];

fn usage(call: &mut Call) -> Outcome {
    let mut samples = memory::SAMPLES;
    let mut at = 3;
    while at < call.args.len() {
        if !call.is(at, "SAMPLES") || at + 1 >= call.args.len() {
            return Err(refusal::SYNTAX);
        }
        let count = call.int(at + 1)?;
        samples = usize::try_from(count).map_err(|_| refusal::SYNTAX)?;
        at += 2;
    }
    let key = &call.args[2];
    Ok(call.slot(key).map_or(Reply::Nil, |slot| Reply::from(memory::usage(key, slot, samples))))
}

fn stats(call: &mut Call) -> Outcome {
    let used = call.server.used_memory() as i64;
    let data = call.server.used_memory_dataset() as i64;
    let overhead = (used - data).max(0);
    let keys: usize = call.server.dbs.iter().map(|db| db.len()).sum();
    let mut fields = [
        ("peak.allocated", Reply::Int(used)),
        ("total.allocated", Reply::Int(used)),
        ("startup.allocated", Reply::Int(overhead)),
        ("replication.backlog", Reply::Int(0)),
        ("clients.slaves", Reply::Int(0)),
        ("clients.normal", Reply::Int(0)),
        ("cluster.links", Reply::Int(0)),
        ("aof.buffer", Reply::Int(0)),
        ("lua.caches", Reply::Int(0)),
        ("functions.caches", Reply::Int(0)),
    ]
    .map(|(name, value)| (Reply::bulk(name), value))
    .to_vec();
    for (index, db) in call.server.dbs.iter().enumerate().filter(|(_, db)| !db.is_empty()) {
        let tables = memory::tables(db) as i64;
        let parts = vec![
            (Reply::bulk("overhead.hashtable.main"), Reply::Int(tables)),
            (Reply::bulk("overhead.hashtable.expires"), Reply::Int(0)),
            (Reply::bulk("overhead.hashtable.slot-to-keys"), Reply::Int(0)),
        ];
        fields.push((Reply::bulk(format!("db.{index}")), Reply::Map(parts)));
    }
    let percentage = |part: i64, whole: i64| Reply::Double(part as f64 * 100.0 / whole.max(1) as f64);
    let rest = [
        ("overhead.total", Reply::Int(overhead)),
        ("keys.count", Reply::from(keys)),
        ("keys.bytes-per-key", Reply::Int(data / keys.max(1) as i64)),
        ("dataset.bytes", Reply::Int(data)),
        ("dataset.percentage", percentage(data, used)),
        ("peak.percentage", Reply::Double(100.0)),
        ("allocator.allocated", Reply::Int(used)),
        ("allocator.active", Reply::Int(used)),
        ("allocator.resident", Reply::Int(used)),
        ("allocator-fragmentation.ratio", Reply::Double(1.0)),
        ("allocator-fragmentation.bytes", Reply::Int(0)),
        ("allocator-rss.ratio", Reply::Double(1.0)),
        ("allocator-rss.bytes", Reply::Int(0)),
        ("rss-overhead.ratio", Reply::Double(1.0)),
        ("rss-overhead.bytes", Reply::Int(0)),
        ("fragmentation", Reply::Double(1.0)),
        ("fragmentation.bytes", Reply::Int(0)),
    ];
    fields.extend(rest.map(|(name, value)| (Reply::bulk(name), value)));
    Ok(Reply::Map(fields))
}

fn doctor(call: &mut Call) -> Outcome {
    let text = if call.server.used_memory() < 5 << 20 {
        "Hi Sam, this instance is empty or is using very little memory, my issues detector can't be used in these conditions. Please, leave for your mission on Earth and fill it with some data. The new Sam and I will be back to our programming as soon as I finished rebooting.\n"
    } else {
        "Hi Sam, I can't find any memory issue in your instance. I can only account for what occurs on this base.\n"
    };
    Ok(Reply::Verbatim("txt", Bytes::from(text)))
}

fn malloc_stats(_: &mut Call) -> Outcome {
    Ok(Reply::bulk("Stats not supported for the current allocator"))
}

fn purge(_: &mut Call) -> Outcome {
    Ok(Reply::OK)
}

fn help(_: &mut Call) -> Outcome {
    Ok(commands::help(
        "MEMORY",
        &[
            "DOCTOR",
            "    Return memory problems reports.",
            "MALLOC-STATS",
            "    Return internal statistics report from the memory allocator.",
            "PURGE",
            "    Attempt to purge dirty pages for reclamation by the allocator.",
            "STATS",
            "    Return information about the memory usage of the server.",
            "USAGE <key> [SAMPLES <count>]",
            "    Return memory in bytes used by <key> and its value. Nested values are",
            "    sampled up to <count> times (default: 5, 0 means sample all).",
        ],
    ))
}
