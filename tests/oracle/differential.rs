//! The same random commands on the engine and on redis-server: replies and data must agree.

use crate::generate;
use crate::servers::{Engine, Redis, Server};
use redlab::base::{Bytes, Rng};
use redlab::engine::command::{BLOCKING, Command, Group};
use redlab::engine::commands;
use redlab::resp::{Reply, render};

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
];

/// Not run: what they leave behind is drawn by chance, or another test's matter.
const NOT_RUN: &[&str] =
    &["SPOP", "MIGRATE", "WAIT", "WAITAOF", "RESTORE", "PFDEBUG", "PFSELFTEST", "SORT", "SORT_RO", "MOVE", "COPY"];

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
];

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
    ];
    let all = commands::table().values().map(|entry| entry.command);
    all.filter(|command| groups.contains(&command.group) && command.sub.is_empty())
        .filter(|command| !command.flags.has(BLOCKING) && !NOT_RUN.contains(&command.name))
        .collect()
}

fn printed(command: &Command, reply: &Reply) -> String {
    let text = render::tty(reply);
    if !UNORDERED.contains(&command.name) || !matches!(reply, Reply::Array(_) | Reply::Set(_)) {
        return text;
    }
    let (Reply::Array(items) | Reply::Set(items)) = reply else { return text };
    let mut items: Vec<String> = items.iter().map(render::tty).collect();
    items.sort();
    items.concat()
}

/// A call that 7.2 answers otherwise than the 7.0 oracle: the command, which calls, and what is new.
type Change = (&'static str, fn(&[Bytes]) -> bool, &'static str);

const CHANGED_BY_7_2: &[Change] =
    &[("ZRANK", |args| args.len() > 3, "takes WITHSCORE"), ("ZREVRANK", |args| args.len() > 3, "takes WITHSCORE")];

fn is_newer(command: &Command, args: &[Bytes], oracle: &Reply) -> bool {
    let unknown = ["ERR unknown command", "ERR unknown subcommand"];
    let whole = matches!(oracle, Reply::Error(text) if unknown.iter().any(|start| text.starts_with(start)));
    whole || CHANGED_BY_7_2.iter().any(|(name, newer, _)| *name == command.name && newer(args))
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

/// All data, in an order that does not depend on the server.
fn data(server: &mut dyn Server) -> String {
    let Reply::Array(keys) = server.request("", &[Bytes::from("KEYS"), Bytes::from("*")]) else { return String::new() };
    let mut keys: Vec<String> = keys.iter().map(|key| render::tty(key).trim().trim_matches('"').to_owned()).collect();
    keys.sort();
    let mut all = String::new();
    for key in keys.iter().filter(|key| !key.is_empty() && !key.contains([' ', '\\'])) {
        let kind = ask(server, &format!("TYPE {key}"));
        let dump = match kind.trim() {
            "string" => format!("GET {key}"),
            "list" => format!("LRANGE {key} 0 -1"),
            "set" => format!("SMEMBERS {key}"),
            "hash" => format!("HGETALL {key}"),
            _ => format!("ZRANGE {key} 0 -1 WITHSCORES"),
        };
        all += &format!("{key} {kind}{}", ask(server, &dump));
    }
    all
}

#[test]
fn random_commands_do_and_answer_the_same() {
    let Some(mut redis) = Redis::start() else { return };
    let rounds: u64 = std::env::var("REDLAB_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(40);
    let tested = tested();
    for seed in 0..rounds {
        let mut rng = Rng::new(seed);
        let mut engine = Engine::new(seed);
        redis.request("", &[Bytes::from("FLUSHALL")]);
        let mut history = String::new();
        for _ in 0..150 {
            let command = tested[rng.below(tested.len())];
            let args = generate::call(command, &mut rng);
            let theirs = redis.request("", &args);
            if is_newer(command, &args, &theirs) {
                continue;
            }
            let ours = engine.request("", &args);
            history += &format!("{}\n", args.iter().map(|arg| format!("{arg:?}")).collect::<Vec<_>>().join(" "));
            if !BY_CHANCE.contains(&command.name) {
                let (ours, theirs) = (printed(command, &ours), printed(command, &theirs));
                assert!(agree(&ours, &theirs), "seed {seed}, after\n{history}redis-server: {theirs}engine: {ours}");
            }
        }
        let (ours, theirs) = (data(&mut engine), data(&mut redis));
        assert!(
            agree(&ours, &theirs),
            "seed {seed}, the data after\n{history}redis-server:\n{theirs}\nengine:\n{ours}"
        );
    }
}
