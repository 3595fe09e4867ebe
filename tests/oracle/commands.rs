//! COMMAND: arity, flags, key positions, ACL categories, tips and key specs of every command, as redis-server 7.2.6 tells them
//! (`commands-7.2.txt`, one command a line; the notes of key specs are absent). And COMMAND DOCS (`docs-7.2.txt`): versions,
//! groups, flags and arguments; its texts are our own.
//!
//! To record anew: `REDLAB_RECORD_7_2=PROGRAM cargo test --test oracle commands`, with a redis-server 7.2 as the program.

use crate::servers::{Engine, Redis, Server};
use redlab::base::Bytes;
use redlab::resp::Reply;
use std::collections::BTreeMap;
use std::path::Path;

/// What 7.2 changed of commands that 7.0 has: the live oracle is older than the recording.
const CHANGED_SINCE_7_0: &[&str] = &[
    "acl|deluser",
    "acl|save",
    "acl|setuser",
    "blmove",
    "blpop",
    "brpop",
    "brpoplpush",
    "bzpopmax",
    "bzpopmin",
    "client|setname",
    "cluster|shards",
    "cluster|slots",
    "config|resetstat",
    "config|rewrite",
    "command|getkeys",
    "command|getkeysandflags",
    "latency|reset",
    "msetnx",
    "randomkey",
    "scan",
    "wait",
    "zrank",
    "zrevrank",
];

/// Commands that are new in 7.2.
const NEW_SINCE_7_0: &[&str] = &["client|no-touch", "client|setinfo", "cluster|myshardid", "waitaof"];

fn words(reply: &Reply) -> Vec<String> {
    let (Reply::Array(items) | Reply::Set(items)) = reply else { return vec![format!("{reply:?}")] };
    items.iter().map(text).collect()
}

fn text(reply: &Reply) -> String {
    match reply {
        Reply::Status(text) => text.to_string(),
        Reply::Bulk(text) => text.lossy().into_owned(),
        Reply::Int(n) => n.to_string(),
        Reply::Array(items) | Reply::Set(items) => {
            format!("[{}]", items.iter().map(text).collect::<Vec<_>>().join(" "))
        }
        other => format!("{other:?}"),
    }
}

/// A key spec without the note that some have; its flags are a set.
fn spec(reply: &Reply) -> String {
    let Reply::Array(fields) = reply else { return text(reply) };
    let mut parts = Vec::new();
    for pair in fields.chunks(2) {
        match text(&pair[0]).as_str() {
            "notes" => {}
            "flags" => {
                let mut flags = words(&pair[1]);
                flags.sort();
                parts.push(flags.join("+"));
            }
            name => parts.push(format!("{name} {}", text(&pair[1]))),
        }
    }
    parts.join(" ")
}

/// Each command's facts by its name, subcommands included.
fn facts(commands: &Reply, all: &mut BTreeMap<String, String>) {
    let Reply::Array(commands) = commands else { panic!("COMMAND answers with an array, not {commands:?}") };
    for command in commands {
        let Reply::Array(parts) = command else { panic!("a command is an array, not {command:?}") };
        let sorted = |at: usize| {
            let mut words = words(&parts[at]);
            words.sort();
            words.join(",")
        };
        let Reply::Array(specs) = &parts[8] else { panic!("key specs are an array") };
        let numbers = [1, 3, 4, 5].map(|at| text(&parts[at])).join(" ");
        let specs: Vec<_> = specs.iter().map(spec).collect();
        let tips = words(&parts[7]).join(",");
        let line = format!("{numbers} {} {} ({tips}) {}", sorted(2), sorted(6), specs.join("; "));
        all.insert(text(&parts[0]), line.trim_end().to_owned());
        facts(&parts[9], all);
    }
}

fn facts_of(server: &mut dyn Server) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    facts(&server.request("", &[Bytes::from("COMMAND")]), &mut all);
    all
}

#[track_caller]
fn assert_same(ours: &BTreeMap<String, String>, theirs: &BTreeMap<String, String>) {
    let names: std::collections::BTreeSet<_> = ours.keys().chain(theirs.keys()).collect();
    let differ = names.into_iter().filter(|name| ours.get(*name) != theirs.get(*name));
    let lines: Vec<String> = differ
        .map(|name| format!("{name}\n  ours:   {:?}\n  theirs: {:?}", ours.get(name), theirs.get(name)))
        .collect();
    assert!(lines.is_empty(), "{}", lines.join("\n"));
}

/// That this server tells of its commands what is recorded in `file`, a command a line.
#[track_caller]
fn assert_as_recorded(file: &str, told_by: fn(&mut dyn Server) -> BTreeMap<String, String>) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/oracle").join(file);
    if let Ok(program) = std::env::var("REDLAB_RECORD_7_2") {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let theirs = told_by(&mut Redis::start_program(&program, dir, &["--save", ""]).expect("it starts"));
        let lines: String = theirs.iter().map(|(name, facts)| format!("{name}: {facts}\n")).collect();
        std::fs::write(&path, lines).expect("writable");
    }
    let recorded = std::fs::read_to_string(&path).expect("it is part of the project");
    let pairs = recorded.lines().filter_map(|line| line.split_once(": "));
    let theirs = pairs.map(|(name, facts)| (name.to_owned(), facts.to_owned())).collect();
    assert_same(&told_by(&mut Engine::new(1)), &theirs);
}

#[test]
fn commands_are_described_as_by_7_2() {
    assert_as_recorded("commands-7.2.txt", facts_of);
}

/// The fields of a map, in the form of RESP2.
fn fields(reply: &Reply) -> BTreeMap<String, &Reply> {
    let Reply::Array(pairs) = reply else { panic!("a map is an array of pairs here, not {reply:?}") };
    pairs.chunks(2).map(|pair| (text(&pair[0]), &pair[1])).collect()
}

/// An argument with all that is said of it: `name:type field=value (its arguments)`.
fn argument(reply: &Reply) -> String {
    let mut fields = fields(reply);
    let parts = fields.remove("arguments").map(|parts| format!(" ({})", arguments(parts))).unwrap_or_default();
    let mut take = |name: &str| fields.remove(name).map(text).unwrap_or_default();
    let (name, kind) = (take("name"), take("type"));
    let more: String = fields.iter().map(|(name, value)| format!(" {name}={}", text(value))).collect();
    format!("{name}:{kind}{more}{parts}")
}

fn arguments(reply: &Reply) -> String {
    let Reply::Array(items) = reply else { panic!("arguments are an array, not {reply:?}") };
    items.iter().map(argument).collect::<Vec<_>>().join(", ")
}

/// What COMMAND DOCS says of each command, but for its texts: of these, only that there are any, and of which versions. Redis
/// has no complexity of four commands.
fn documented(reply: &Reply, all: &mut BTreeMap<String, String>) {
    for (name, docs) in fields(reply) {
        let mut fields = fields(docs);
        if let Some(subcommands) = fields.remove("subcommands") {
            documented(subcommands, all);
        }
        fields.remove("complexity");
        let facts = fields.iter().map(|(name, value)| match name.as_str() {
            "summary" | "replaced_by" => {
                assert!(!text(value).is_empty(), "{name} says nothing");
                name.clone()
            }
            "arguments" => format!("arguments {}", arguments(value)),
            "history" => {
                let Reply::Array(changes) = value else { panic!("history is an array, not {value:?}") };
                let versions = changes.iter().map(|change| words(change).swap_remove(0));
                format!("history {}", versions.collect::<Vec<_>>().join(","))
            }
            name => format!("{name} {}", text(value)),
        });
        all.insert(name.clone(), facts.collect::<Vec<_>>().join("; "));
    }
}

fn documented_by(server: &mut dyn Server) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    documented(&server.request("", &["COMMAND", "DOCS"].map(Bytes::from)), &mut all);
    all
}

#[test]
fn commands_are_documented_as_by_7_2() {
    assert_as_recorded("docs-7.2.txt", documented_by);
}

#[test]
fn commands_are_described_as_by_the_server_that_is_installed() {
    let Some(mut redis) = Redis::start() else { return };
    let newer = |name: &String| CHANGED_SINCE_7_0.iter().chain(NEW_SINCE_7_0).any(|it| it == name);
    let (mut ours, mut theirs) = (facts_of(&mut Engine::new(1)), facts_of(&mut redis));
    assert!(
        CHANGED_SINCE_7_0.iter().all(|name| ours.get(*name) != theirs.get(*name)),
        "the list names what did not change"
    );
    assert!(NEW_SINCE_7_0.iter().all(|name| !theirs.contains_key(*name)), "the list names what is not new");
    ours.retain(|name, _| !newer(name));
    theirs.retain(|name, _| !newer(name));
    assert_same(&ours, &theirs);
}
