//! The same random commands on the engine and on redis-server, from three clients: replies and data must agree.
//! `REDLAB_ROUNDS` says how often 150 commands are drawn, `REDLAB_REDIS_SERVER` names another server, a 7.2 for instance.

use crate::generate;
use crate::servers::{Engine, Redis, Server};
use redlab::base::{Bytes, Rng};
use redlab::engine::command::{BLOCKING, Command, Group};
use redlab::engine::commands;
use redlab::resp::{Reply, render};
use std::collections::BTreeSet;

/// Answers that are drawn by chance or depend on the moment: run for their effect on the data, not compared.
const BY_CHANCE: &[&str] = &[
    "RANDOMKEY",
    "SRANDMEMBER",
    "HRANDFIELD",
    "ZRANDMEMBER",
    "SCAN",
    "HSCAN",
    "SSCAN",
    "ZSCAN",
    "TTL",
    "PTTL",
    "OBJECT IDLETIME",
    "OBJECT FREQ",
    "OBJECT ENCODING",
    "OBJECT HELP",
    "DUMP",
    "EXPIRETIME",
    "PEXPIRETIME",
    "OBJECT REFCOUNT",
    "XPENDING",
    "XINFO CONSUMERS",
    "XINFO STREAM",
    "XINFO GROUPS",
];

/// Not run: what they leave behind is drawn by chance, or another test's matter.
const NOT_RUN: &[&str] = &["SPOP", "MIGRATE", "WAIT", "WAITAOF", "RESTORE", "PFDEBUG", "PFSELFTEST"];

/// Answers whose order Redis does not promise.
const UNORDERED: &[&str] = &[
    "KEYS",
    "SMEMBERS",
    "SINTER",
    "SUNION",
    "SDIFF",
    "HGETALL",
    "HKEYS",
    "HVALS",
    "SINTERSTORE",
    "ZDIFF",
    "ZUNION",
    "ZINTER",
    "SORT",
    "SORT_RO",
    "GEORADIUS",
    "GEORADIUS_RO",
    "GEORADIUSBYMEMBER",
    "GEORADIUSBYMEMBER_RO",
    "GEOSEARCH",
];

/// Three clients, one of them of RESP3.
const CLIENTS: [&str; 3] = ["alice", "bob", "carol"];

fn tested() -> Vec<&'static Command> {
    let groups = [
        Group::Generic,
        Group::String,
        Group::Bitmap,
        Group::List,
        Group::Set,
        Group::SortedSet,
        Group::Hash,
        Group::HyperLogLog,
        Group::Stream,
        Group::Geo,
        Group::Transactions,
    ];
    let all = commands::table().values().map(|entry| entry.command);
    all.filter(|command| groups.contains(&command.group) && command.sub.is_empty())
        .filter(|command| !NOT_RUN.contains(&command.name) && !command.name.ends_with(" HELP"))
        .filter(|command| !command.flags.has(BLOCKING) || command.group == Group::Stream)
        .collect()
}

fn printed(command: &Command, reply: &Reply) -> String {
    let mut items: Vec<String> = match reply {
        Reply::Array(items) | Reply::Set(items) if UNORDERED.contains(&command.name) => {
            items.iter().map(render::tty).collect()
        }
        Reply::Map(pairs) if UNORDERED.contains(&command.name) => {
            pairs.iter().map(|(name, value)| render::tty(name) + &render::tty(value)).collect()
        }
        _ => return render::tty(reply),
    };
    items.sort();
    items.concat()
}

/// Words of calls that are not made: nobody waits here, and what a range of texts is in a sorted set whose scores differ,
/// Redis does not promise.
fn is_left_out(word: &[u8]) -> bool {
    let word = word.to_ascii_uppercase();
    word == b"BLOCK" || word.starts_with(b"Z") && word.ends_with(b"LEX") || word == b"BYLEX" || word == b"ZLEXCOUNT"
}

/// A call that 7.2 answers otherwise than the 7.0 oracle: the command, which calls by their words and the oracle's answer,
/// and what is new.
type Change = (&'static str, fn(&[Bytes], &str) -> bool, &'static str);

const CHANGED_BY_7_2: &[Change] = &[
    ("ZRANK", |args, _| args.len() > 3, "takes WITHSCORE"),
    ("ZREVRANK", |args, _| args.len() > 3, "takes WITHSCORE"),
    ("XREAD", |_, answer| answer.starts_with("ERR Unbalanced"), "the error names the command"),
    ("XREADGROUP", |_, answer| answer.starts_with("ERR Unbalanced"), "the error names the command"),
];

fn is_newer(command: &Command, args: &[Bytes], oracle: &Reply) -> bool {
    let answer = if let Reply::Error(text) = oracle { text } else { "" };
    let unknown = ["ERR unknown command", "ERR unknown subcommand"];
    unknown.iter().any(|start| answer.starts_with(start))
        || CHANGED_BY_7_2.iter().any(|(name, newer, _)| *name == command.name && newer(args, answer))
}

/// Whether a transaction with this command answers something that cannot be compared.
fn is_vague(command: &Command) -> bool {
    let changed = CHANGED_BY_7_2.iter().any(|(name, ..)| *name == command.name);
    changed || BY_CHANCE.contains(&command.name) || UNORDERED.contains(&command.name)
}

/// Equal but for how a double is written: 7.2 prints the shortest digits that read back the same, 7.0 seventeen.
fn agree(ours: &str, theirs: &str) -> bool {
    let number = |line: &str| line.rsplit(' ').next().and_then(|word| word.trim_matches('"').parse::<f64>().ok());
    let same = |(a, b): (&str, &str)| a == b || number(a).is_some_and(|n| Some(n) == number(b));
    ours.lines().count() == theirs.lines().count() && ours.lines().zip(theirs.lines()).all(same)
}

fn ask(server: &mut dyn Server, line: &str) -> String {
    let args: Vec<Bytes> = line.split(' ').map(Bytes::from).collect();
    let reply = server.request("", &args);
    let mut lines: Vec<String> = match reply {
        Reply::Array(items) | Reply::Set(items) => items.iter().map(render::tty).collect(),
        other => vec![render::tty(&other)],
    };
    if !line.starts_with("LRANGE") && !line.starts_with("ZRANGE") {
        lines.sort();
    }
    lines.concat()
}

/// All data of the first two databases, in an order that does not depend on the server.
fn data(server: &mut dyn Server) -> String {
    let mut all = String::new();
    for db in ["0", "1"] {
        server.request("", &[Bytes::from("SELECT"), Bytes::from(db)]);
        let Reply::Array(keys) = server.request("", &[Bytes::from("KEYS"), Bytes::from("*")]) else { continue };
        let mut keys: Vec<String> =
            keys.iter().map(|key| render::tty(key).trim().trim_matches('"').to_owned()).collect();
        keys.sort();
        for key in keys.iter().filter(|key| !key.is_empty() && !key.contains([' ', '\\'])) {
            let kind = ask(server, &format!("TYPE {key}"));
            let dump = match kind.trim() {
                "string" => format!("GET {key}"),
                "list" => format!("LRANGE {key} 0 -1"),
                "set" => format!("SMEMBERS {key}"),
                "hash" => format!("HGETALL {key}"),
                "stream" => format!("XRANGE {key} - +"),
                _ => format!("ZRANGE {key} 0 -1 WITHSCORES"),
            };
            all += &format!("{db} {key} {kind}{}", ask(server, &dump));
        }
    }
    all
}

#[test]
fn random_commands_do_and_answer_the_same() {
    let Some(mut redis) = Redis::start() else { return };
    let rounds: u64 = std::env::var("REDLAB_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(120);
    let tested = tested();
    for seed in 0..rounds {
        let mut rng = Rng::new(seed);
        let mut engine = Engine::new(seed);
        redis.request("", &[Bytes::from("FLUSHALL")]);
        let mut history = String::new();
        // Who has queued what need not answer the same.
        let mut vague = BTreeSet::new();
        for server in [&mut redis as &mut dyn Server, &mut engine] {
            server.request("carol", &[Bytes::from("HELLO"), Bytes::from("3")]);
        }
        for _ in 0..150 {
            let command = tested[rng.below(tested.len())];
            let client = CLIENTS[rng.below(CLIENTS.len())];
            let mut args = generate::call(command, &mut rng);
            if args.iter().any(|arg| is_left_out(arg)) {
                continue;
            }
            // The two clocks are not the same to the millisecond.
            if command.name == "XADD"
                && let Some(star) = args.iter_mut().find(|arg| **arg == *"*")
            {
                *star = Bytes::from(format!("{}-*", 1 + rng.below(8)));
            }
            let theirs = redis.request(client, &args);
            if is_newer(command, &args, &theirs) {
                // It has spoilt a transaction on one side only.
                for server in [&mut redis as &mut dyn Server, &mut engine] {
                    server.request(client, &[Bytes::from("DISCARD")]);
                }
                continue;
            }
            let ours = engine.request(client, &args);
            let words = args.iter().map(|arg| format!("{arg:?}")).collect::<Vec<_>>().join(" ");
            history += &format!("{client}> {words}\n");
            let by_chance = BY_CHANCE.contains(&command.name);
            let ends = matches!(command.name, "EXEC" | "DISCARD") && vague.remove(client);
            if ours == Reply::QUEUED && is_vague(command) {
                vague.insert(client);
            }
            if !by_chance && !ends {
                let (ours, theirs) = (printed(command, &ours), printed(command, &theirs));
                assert!(agree(&ours, &theirs), "seed {seed}, after\n{history}redis-server: {theirs}engine: {ours}");
            }
        }
        // Nobody stays in a transaction, or in another database, for the next round.
        for client in CLIENTS {
            redis.request(client, &[Bytes::from("RESET")]);
        }
        let (ours, theirs) = (data(&mut engine), data(&mut redis));
        assert!(
            agree(&ours, &theirs),
            "seed {seed}, the data after\n{history}redis-server:\n{theirs}\nengine:\n{ours}"
        );
    }
}
