//! COMMAND: what there is to be called. Everything here is derived from the literals of the command table.

use crate::base::{Bytes, glob};
use crate::engine::Call;
use crate::engine::command::{self, Flags, Group, Keys, Spec};
use crate::engine::command::{Command, LOADING, Outcome, STALE};
use crate::engine::commands::{self, Entry, docs, key_flags};
use crate::engine::refusal::{self, Refusal};
use crate::resp::Reply;
use std::sync::LazyLock;

pub const COMMANDS: &[Command] = &[Command {
    name: "COMMAND",
    syntax: "[subcommand:hidden]",
    summary: "Describe the commands there are.",
    since: "2.8.13",
    complexity: "O(N)",
    flags: LOADING.with(STALE),
    acl: &["connection"],
    tips: &["nondeterministic_output_order"],
    run: all,
    sub: &[
        Command {
            name: "COMMAND COUNT",
            summary: "Count the commands.",
            since: "2.8.13",
            flags: LOADING.with(STALE),
            acl: &["connection"],
            run: count,
            ..Command::SERVER
        },
        Command {
            name: "COMMAND DOCS",
            syntax: "[command-name [command-name ...]]",
            summary: "Read the documentation of commands.",
            since: "7.0.0",
            complexity: "O(N)",
            flags: LOADING.with(STALE),
            acl: &["connection"],
            tips: &["nondeterministic_output_order"],
            run: docs::docs,
            ..Command::SERVER
        },
        Command {
            name: "COMMAND GETKEYS",
            syntax: "command [arg [arg ...]]",
            summary: "Find the keys in a full command.",
            since: "2.8.13",
            complexity: "O(N)",
            flags: LOADING.with(STALE),
            acl: &["connection"],
            run: getkeys,
            ..Command::SERVER
        },
        Command {
            name: "COMMAND GETKEYSANDFLAGS",
            syntax: "command [arg [arg ...]]",
            summary: "Find the keys in a full command, and what it does with them.",
            since: "7.0.0",
            complexity: "O(N)",
            flags: LOADING.with(STALE),
            acl: &["connection"],
            run: getkeysandflags,
            ..Command::SERVER
        },
        Command {
            name: "COMMAND HELP",
            summary: "List the subcommands.",
            since: "5.0.0",
            flags: LOADING.with(STALE),
            acl: &["connection"],
            run: help,
            ..Command::SERVER
        },
        Command {
            name: "COMMAND INFO",
            syntax: "[command-name [command-name ...]]",
            summary: "Read how clients are to treat commands.",
            since: "2.8.13",
            complexity: "O(N)",
            history: &[("7.0.0", "Tells of all commands if none is named.")],
            flags: LOADING.with(STALE),
            acl: &["connection"],
            tips: &["nondeterministic_output_order"],
            run: info,
            ..Command::SERVER
        },
        Command {
            name: "COMMAND LIST",
            syntax: "[FILTERBY filterby=<MODULE module-name | ACLCAT category | PATTERN pattern>]",
            summary: "List the names of the commands.",
            since: "7.0.0",
            complexity: "O(N)",
            flags: LOADING.with(STALE),
            acl: &["connection"],
            tips: &["nondeterministic_output_order"],
            run: list,
            ..Command::SERVER
        },
    ],
    ..Command::SERVER
}];

/// Flags that clients may see, in the order in which COMMAND INFO lists them.
const FLAGS: [(Flags, &str); 17] = [
    (command::WRITE, "write"),
    (command::READONLY, "readonly"),
    (command::DENYOOM, "denyoom"),
    (command::ADMIN, "admin"),
    (command::PUBSUB, "pubsub"),
    (command::NOSCRIPT, "noscript"),
    (command::BLOCKING, "blocking"),
    (command::LOADING, "loading"),
    (command::STALE, "stale"),
    (command::SKIP_MONITOR, "skip_monitor"),
    (command::SKIP_SLOWLOG, "skip_slowlog"),
    (command::ASKING, "asking"),
    (command::FAST, "fast"),
    (command::NO_AUTH, "no_auth"),
    (command::NO_MANDATORY_KEYS, "no_mandatory_keys"),
    (command::NO_ASYNC_LOADING, "no_async_loading"),
    (command::NO_MULTI, "no_multi"),
];

/// The categories of ACL rules, in the order in which Redis lists them.
pub const CATEGORIES: [&str; 21] = [
    "keyspace",
    "read",
    "write",
    "set",
    "sortedset",
    "list",
    "hash",
    "string",
    "bitmap",
    "hyperloglog",
    "geo",
    "stream",
    "pubsub",
    "admin",
    "fast",
    "slow",
    "blocking",
    "dangerous",
    "connection",
    "transaction",
    "scripting",
];

/// The category of this name, in any case, and the commands in it. Found once: an ACL file names categories thousands of times.
pub fn category(name: &[u8]) -> Option<(&'static str, &'static [&'static Entry])> {
    static MEMBERS: LazyLock<Vec<Vec<&Entry>>> = LazyLock::new(|| {
        let all = || (0..commands::count()).map(commands::nth);
        let members = |name| all().filter(move |entry| categories(entry.command).any(|it| it == name)).collect();
        CATEGORIES.into_iter().map(members).collect()
    });
    let at = CATEGORIES.iter().position(|known| name.eq_ignore_ascii_case(known.as_bytes()))?;
    Some((CATEGORIES[at], &MEMBERS[at]))
}

/// The ACL category that goes with a group; the commands of the others name theirs themselves.
fn category_of_group(group: Group) -> Option<&'static str> {
    match group {
        Group::Generic => Some("keyspace"),
        Group::SortedSet => Some("sortedset"),
        Group::Transactions => Some("transaction"),
        Group::PubSub | Group::Server | Group::Cluster => None,
        _ => Some(group.name()),
    }
}

/// The ACL categories of a command, in the order of `CATEGORIES`: of its group, of its flags, and those it names itself.
pub fn categories(command: &Command) -> impl Iterator<Item = &'static str> {
    let flags = command.flags;
    // These belong to the types they work on, or to the connection, and not to the keyspace.
    let apart = ["SORT", "SORT_RO", "WAIT", "WAITAOF"].contains(&command.name) || !command.sub.is_empty();
    let of_group = category_of_group(command.group).filter(|_| !apart);
    CATEGORIES.into_iter().filter(move |category| {
        let implied = match *category {
            "write" => flags.has(command::WRITE),
            "read" => flags.has(command::READONLY) && command.group != Group::Scripting,
            "admin" => flags.has(command::ADMIN),
            "dangerous" => flags.has(command::ADMIN),
            "pubsub" => flags.has(command::PUBSUB),
            "fast" => flags.has(command::FAST),
            "slow" => !flags.has(command::FAST),
            "blocking" => flags.has(command::BLOCKING),
            _ => false,
        };
        implied || of_group == Some(category) || command.acl.contains(category)
    })
}

/// First key, last key and step, as COMMAND INFO has had them from the beginning; 0 where they cannot say it.
fn legacy_range(keys: Keys) -> [i64; 3] {
    match keys {
        Keys::Range { first, last, step } => [first, last, step].map(i64::from),
        Keys::Counted { dest: Some(dest), .. } => [dest as i64, dest as i64, 1],
        Keys::Told { specs: [Spec::At(first), ..], .. } => [*first, *first, 1],
        _ => [0, 0, 0],
    }
}

fn info_of(entry: &Entry) -> Reply {
    let command = entry.command;
    let flags = FLAGS.iter().filter(|(flag, _)| command.flags.has(*flag)).map(|(_, name)| Reply::status(name));
    let movable = command.flags.has(command::MOVABLEKEYS)
        || matches!(command.keys, Keys::Found(_) | Keys::Told { .. } | Keys::Half { .. } | Keys::Counted { .. });
    let movable = movable.then(|| Reply::status("movablekeys"));
    let busy = command.flags.has(command::ALLOW_BUSY).then(|| Reply::status("allow_busy"));
    let [first, last, step] = legacy_range(command.keys);
    let subs = entry.index + 1..=entry.index + command.sub.len();
    Reply::Array(vec![
        Reply::bulk(command.full_name()),
        Reply::Int(i64::from(entry.arity)),
        Reply::Set(flags.chain(movable).chain(busy).collect()),
        Reply::Int(first),
        Reply::Int(last),
        Reply::Int(step),
        Reply::Set(categories(command).map(|name| Reply::Status(format!("@{name}").into())).collect()),
        Reply::Set(command.tips.iter().map(|tip| Reply::bulk(*tip)).collect()),
        Reply::Set(key_specs(command)),
        Reply::Array(subs.map(|index| info_of(commands::nth(index))).collect()),
    ])
}

/// `RW access update` as a set of flags.
fn flag_set(flags: &'static str) -> Reply {
    Reply::Set(flags.split(' ').map(Reply::status).collect())
}

pub fn key_specs(command: &Command) -> Vec<Reply> {
    let map = |pairs: Vec<(&'static str, Reply)>| {
        Reply::Map(pairs.into_iter().map(|(name, value)| (Reply::bulk(name), value)).collect())
    };
    let at = |index: i64| map(vec![("type", Reply::bulk("index")), ("spec", map(vec![("index", Reply::Int(index))]))]);
    let limited = |last: i64, step: i64, limit: i64| {
        let spec =
            map(vec![("lastkey", Reply::Int(last)), ("keystep", Reply::Int(step)), ("limit", Reply::Int(limit))]);
        map(vec![("type", Reply::bulk("range")), ("spec", spec)])
    };
    let range = |last: i64, step: i64| limited(last, step, 0);
    let unknown = || map(vec![("type", Reply::bulk("unknown")), ("spec", map(Vec::new()))]);
    let behind = |word: &'static str, from: i64| {
        let spec = map(vec![("keyword", Reply::bulk(word)), ("startfrom", Reply::Int(from))]);
        map(vec![("type", Reply::bulk("keyword")), ("spec", spec)])
    };
    let flags = key_flags::of(command);
    let spec = |group: usize, begin: Reply, find: Reply| {
        let flags = flag_set(flags[group.min(flags.len() - 1)]);
        map(vec![("flags", flags), ("begin_search", begin), ("find_keys", find)])
    };
    match command.keys {
        Keys::None => Vec::new(),
        // The first key and the others are used differently: RENAME, SDIFFSTORE.
        Keys::Range { first, last, step } if flags.len() == 2 => {
            let rest = if last < 0 { last } else { last - first - 1 };
            let others = spec(1, at(i64::from(first) + 1), range(rest.into(), step.into()));
            vec![spec(0, at(first.into()), range(0, 1)), others]
        }
        Keys::Range { first, last, step } => {
            let last = if last < 0 { last } else { last - first };
            vec![spec(0, at(first.into()), range(last.into(), step.into()))]
        }
        Keys::Counted { count, dest } => {
            let counted =
                map(vec![("keynumidx", Reply::Int(0)), ("firstkey", Reply::Int(1)), ("keystep", Reply::Int(1))]);
            let counted = map(vec![("type", Reply::bulk("keynum")), ("spec", counted)]);
            let first = dest.map(|dest| spec(0, at(dest as i64), range(0, 1)));
            first.into_iter().chain([spec(1, at(count as i64), counted)]).collect()
        }
        Keys::Half { word, from } => vec![spec(0, behind(word, from as i64), limited(-1, 1, 2))],
        Keys::Told { specs, .. } => {
            let one = |(index, each): (usize, &Spec)| match *each {
                Spec::At(place) => spec(index, at(place), range(0, 1)),
                Spec::Behind { word, from, last } => spec(index, behind(word, from), range(last, 1)),
                Spec::Unknown => spec(index, unknown(), unknown()),
            };
            specs.iter().enumerate().map(one).collect()
        }
        Keys::Found(_) => vec![spec(0, unknown(), unknown())],
    }
}

pub fn top_level() -> impl Iterator<Item = &'static Entry> {
    (0..commands::count()).map(commands::nth).filter(|entry| !entry.command.name.contains(' '))
}

fn all(_: &mut Call) -> Outcome {
    Ok(Reply::Array(top_level().map(info_of).collect()))
}

fn count(_: &mut Call) -> Outcome {
    Ok(Reply::from(top_level().count()))
}

fn info(call: &mut Call) -> Outcome {
    if call.args.len() == 2 {
        return all(call);
    }
    Ok(Reply::Array(
        call.args[2..].iter().map(|name| commands::by_full_name(name).map_or(Reply::NilArray, info_of)).collect(),
    ))
}

fn list(call: &mut Call) -> Outcome {
    let names = (0..commands::count()).map(commands::nth).map(|entry| entry.command);
    let shown = |command: &&Command| Reply::bulk(command.full_name());
    if call.args.len() == 2 {
        return Ok(Reply::Array(names.map(|command| shown(&command)).collect()));
    }
    if call.args.len() != 5 || !call.is(2, "FILTERBY") {
        return Err(refusal::SYNTAX);
    }
    let wanted = &call.args[4];
    let fits: Box<dyn Fn(&Command) -> bool> = if call.is(3, "MODULE") {
        Box::new(|_| false)
    } else if call.is(3, "ACLCAT") {
        Box::new(|command| categories(command).any(|name| wanted.eq_ignore_ascii_case(name.as_bytes())))
    } else if call.is(3, "PATTERN") {
        Box::new(|command| glob::matches_nocase(wanted, command.full_name().as_bytes()))
    } else {
        return Err(refusal::SYNTAX);
    };
    Ok(Reply::Array(names.filter(|command| fits(command)).map(|command| shown(&command)).collect()))
}

/// The keys of the command that stands behind COMMAND GETKEYS.
fn keys_of<'a>(call: &Call<'a>) -> Result<(&'static Command, Vec<&'a Bytes>), Refusal> {
    let args = &call.args[2..];
    let entry = commands::entry_of(args).map_err(|_| Refusal::new("ERR Invalid command specified"))?;
    let command = entry.command;
    if matches!(command.keys, Keys::None) {
        return Err(Refusal::new("ERR The command has no key arguments"));
    }
    if !entry.takes(args.len()) {
        return Err(Refusal::new("ERR Invalid number of arguments specified for command"));
    }
    let places = command.key_places(args);
    if places.is_empty() && !command.flags.has(command::NO_MANDATORY_KEYS) {
        return Err(Refusal::new("ERR Invalid arguments specified for command"));
    }
    Ok((command, places.into_iter().map(|place| &args[place]).collect()))
}

fn getkeys(call: &mut Call) -> Outcome {
    Ok(Reply::bulks(keys_of(call)?.1.into_iter().cloned()))
}

fn getkeysandflags(call: &mut Call) -> Outcome {
    let (command, _) = keys_of(call)?;
    let args = &call.args[2..];
    let pair =
        |(place, flags): (usize, &'static str)| Reply::Array(vec![Reply::Bulk(args[place].clone()), flag_set(flags)]);
    Ok(Reply::Array(key_flags::of_call(command, args).into_iter().map(pair).collect()))
}

fn help(_: &mut Call) -> Outcome {
    Ok(commands::help(
        "COMMAND",
        &[
            "(no subcommand)",
            "    Return details about all Redis commands.",
            "COUNT",
            "    Return the total number of commands in this Redis server.",
            "LIST",
            "    Return a list of all commands in this Redis server.",
            "INFO [<command-name> ...]",
            "    Return details about multiple Redis commands.",
            "    If no command names are given, documentation details for all",
            "    commands are returned.",
            "DOCS [<command-name> ...]",
            "    Return documentation details about multiple Redis commands.",
            "    If no command names are given, documentation details for all",
            "    commands are returned.",
            "GETKEYS <full-command>",
            "    Return the keys from a full Redis command.",
            "GETKEYSANDFLAGS <full-command>",
            "    Return the keys and the access flags from a full Redis command.",
        ],
    ))
}
