//! The ACL group: looking at users, changing them, keeping them in a file. What users are and may do: `engine::acl`.

use super::introspect::{CATEGORIES, categories};
use crate::engine::acl::selector::{Shown, has_spaces};
use crate::engine::command::{ADMIN, Command, LOADING, NOSCRIPT, Outcome, STALE};
use crate::engine::refusal::{self, Refusal};
use crate::engine::{Call, Output, commands};
use crate::resp::Reply;

pub const COMMANDS: &[Command] = &[Command {
    name: "ACL",
    summary: "Look at users and what they may do.",
    since: "6.0.0",
    complexity: "Depends on the subcommand.",
    sub: &[
        Command {
            name: "ACL CAT",
            syntax: "[category]",
            summary: "List the categories of commands, or the commands of one.",
            since: "6.0.0",
            flags: NOSCRIPT.with(LOADING).with(STALE),
            run: cat,
            ..Command::SERVER
        },
        Command {
            name: "ACL DELUSER",
            syntax: "username [username ...]",
            summary: "Remove users.",
            since: "6.0.0",
            flags: ADMIN.with(NOSCRIPT).with(LOADING).with(STALE),
            tips: &["request_policy:all_nodes", "response_policy:all_succeeded"],
            run: deluser,
            ..Command::SERVER
        },
        Command {
            name: "ACL DRYRUN",
            syntax: "username command [arg [arg ...]]",
            summary: "Ask whether a user may run a command.",
            since: "7.0.0",
            flags: ADMIN.with(NOSCRIPT).with(LOADING).with(STALE),
            run: dryrun,
            ..Command::SERVER
        },
        Command {
            name: "ACL GENPASS",
            syntax: "[bits:integer]",
            summary: "Make up a password.",
            since: "6.0.0",
            flags: NOSCRIPT.with(LOADING).with(STALE),
            run: genpass,
            ..Command::SERVER
        },
        Command {
            name: "ACL GETUSER",
            syntax: "username",
            summary: "Describe a user.",
            since: "6.0.0",
            complexity: "O(N)",
            history: &[
                ("6.2.0", "The channels that a user may use are told too."),
                ("7.0.0", "Selectors are told, and keys and channels as rules instead of lists."),
            ],
            flags: ADMIN.with(NOSCRIPT).with(LOADING).with(STALE),
            run: getuser,
            ..Command::SERVER
        },
        Command {
            name: "ACL HELP",
            summary: "List the subcommands.",
            since: "6.0.0",
            flags: LOADING.with(STALE),
            run: help,
            ..Command::SERVER
        },
        Command {
            name: "ACL LIST",
            summary: "List the users as rules.",
            since: "6.0.0",
            complexity: "O(N)",
            flags: ADMIN.with(NOSCRIPT).with(LOADING).with(STALE),
            run: list,
            ..Command::SERVER
        },
        Command {
            name: "ACL LOAD",
            summary: "Read the users from the ACL file.",
            since: "6.0.0",
            complexity: "O(N)",
            flags: ADMIN.with(NOSCRIPT).with(LOADING).with(STALE),
            run: load,
            ..Command::SERVER
        },
        Command {
            name: "ACL LOG",
            syntax: "operation=[count | RESET]",
            summary: "Read who was refused what.",
            since: "6.0.0",
            complexity: "O(N)",
            history: &[("7.2.0", "Each entry has a number and tells when it was begun and last added to.")],
            flags: ADMIN.with(NOSCRIPT).with(LOADING).with(STALE),
            run: log,
            ..Command::SERVER
        },
        Command {
            name: "ACL SAVE",
            summary: "Write the users to the ACL file.",
            since: "6.0.0",
            complexity: "O(N)",
            flags: ADMIN.with(NOSCRIPT).with(LOADING).with(STALE),
            tips: &["request_policy:all_nodes", "response_policy:all_succeeded"],
            run: save,
            ..Command::SERVER
        },
        Command {
            name: "ACL SETUSER",
            syntax: "username [rule [rule ...]]",
            summary: "Make or change a user.",
            since: "6.0.0",
            complexity: "O(N)",
            history: &[
                ("6.2.0", "Rules for channels."),
                ("7.0.0", "Selectors, and rules that tell reading a key from writing it."),
            ],
            flags: ADMIN.with(NOSCRIPT).with(LOADING).with(STALE),
            tips: &["request_policy:all_nodes", "response_policy:all_succeeded"],
            run: setuser,
            ..Command::SERVER
        },
        Command {
            name: "ACL USERS",
            summary: "List the names of the users.",
            since: "6.0.0",
            complexity: "O(N)",
            flags: ADMIN.with(NOSCRIPT).with(LOADING).with(STALE),
            run: users,
            ..Command::SERVER
        },
        Command {
            name: "ACL WHOAMI",
            summary: "Say which user this connection is.",
            since: "6.0.0",
            flags: NOSCRIPT.with(LOADING).with(STALE),
            run: whoami,
            ..Command::SERVER
        },
    ],
    ..Command::SERVER
}];

fn whoami(call: &mut Call) -> Outcome {
    Ok(Reply::Bulk(call.me().user.name.clone()))
}

fn users(call: &mut Call) -> Outcome {
    Ok(Reply::bulks(call.server.acl.users().map(|user| user.name.clone())))
}

fn list(call: &mut Call) -> Outcome {
    Ok(Reply::bulks(call.server.acl.users().map(|user| user.describe())))
}

fn map<const N: usize>(pairs: [(&'static str, Reply); N]) -> Reply {
    Reply::Map(pairs.into_iter().map(|(name, value)| (Reply::bulk(name), value)).collect())
}

fn getuser(call: &mut Call) -> Outcome {
    let Some(user) = call.server.acl.user(&call.args[2]) else { return Ok(Reply::Nil) };
    let shown: Vec<Shown> = user.selectors().iter().map(|selector| selector.shown()).collect();
    let mut shown = shown.into_iter();
    let own = shown.next().expect("a user has a selector");
    let others = shown.map(|it| {
        map([
            ("commands", Reply::bulk(it.commands)),
            ("keys", Reply::Bulk(it.keys)),
            ("channels", Reply::Bulk(it.channels)),
        ])
    });
    Ok(map([
        ("flags", Reply::Set(user.flags().map(Reply::bulk).collect())),
        ("passwords", Reply::bulks(user.passwords().iter().map(String::as_str))),
        ("commands", Reply::bulk(own.commands)),
        ("keys", Reply::Bulk(own.keys)),
        ("channels", Reply::Bulk(own.channels)),
        ("selectors", Reply::Array(others.collect())),
    ]))
}

fn cat(call: &mut Call) -> Outcome {
    match call.args.len() {
        2 => Ok(Reply::bulks(CATEGORIES)),
        3 => {
            let wanted = &call.args[2];
            let Some(category) = CATEGORIES.iter().find(|name| wanted.eq_ignore_ascii_case(name.as_bytes())) else {
                return Err(Refusal::from(format!("ERR Unknown category '{}'", wanted.printed())));
            };
            let all = (0..commands::count()).map(|index| commands::nth(index).command);
            let fitting = all.filter(|command| categories(command).any(|name| name == *category));
            Ok(Reply::bulks(fitting.map(|command| command.full_name())))
        }
        _ => Err(commands::wrong_subcommand(call)),
    }
}

fn genpass(call: &mut Call) -> Outcome {
    let bits = if call.args.len() == 3 { call.int(2)? } else { 256 };
    if call.args.len() > 3 {
        return Err(commands::wrong_subcommand(call));
    }
    if !(1..=4096).contains(&bits) {
        return Err(Refusal::new(
            "ERR ACL GENPASS argument must be the number of bits for the output password, a positive number up to 4096",
        ));
    }
    let digits = (bits as usize).div_ceil(4);
    let text: String = (0..digits).map(|_| char::from(b"0123456789abcdef"[call.rng.below(16)])).collect();
    Ok(Reply::bulk(text))
}

fn log(call: &mut Call) -> Outcome {
    let count = match call.args.len() {
        2 => 10,
        3 if call.is(2, "RESET") => {
            call.server.acl.log.entries.clear();
            return Ok(Reply::OK);
        }
        3 => call.int(2)?.max(0) as usize,
        _ => return Err(commands::wrong_subcommand(call)),
    };
    let now = call.now;
    let shown = call.server.acl.log.entries.iter().take(count).map(|entry| {
        map([
            ("count", Reply::Int(entry.count as i64)),
            ("reason", Reply::bulk(entry.reason.word())),
            ("context", Reply::bulk(entry.context.word())),
            ("object", Reply::Bulk(entry.object.clone())),
            ("username", Reply::Bulk(entry.user.clone())),
            ("age-seconds", Reply::Double(now.since(entry.updated).0 as f64 / 1000.0)),
            ("client-info", Reply::bulk(entry.client.as_str())),
            ("entry-id", Reply::Int(entry.id as i64)),
            ("timestamp-created", Reply::Int(entry.created.0 as i64)),
            ("timestamp-last-updated", Reply::Int(entry.updated.0 as i64)),
        ])
    });
    Ok(Reply::Array(shown.collect()))
}

fn dryrun(call: &mut Call) -> Outcome {
    let Some(user) = call.server.acl.user(&call.args[2]) else {
        return Err(Refusal::from(format!("ERR User '{}' not found", call.args[2].printed())));
    };
    let args = &call.args[3..];
    let Ok(entry) = call.server.entry_of(args) else {
        return Err(Refusal::from(format!("ERR Command '{}' not found", args[0].printed())));
    };
    if !entry.takes(args.len()) {
        return Err(refusal::wrong_arity(&entry.command.full_name()));
    }
    Ok(match user.check(entry, args) {
        Ok(()) => Reply::OK,
        Err(denied) => Reply::bulk(denied.message(user, entry, args, true)),
    })
}

fn setuser(call: &mut Call) -> Outcome {
    (2..call.args.len()).for_each(|index| call.redact(index));
    let (name, rules) = (&call.args[2], &call.args[3..]);
    if has_spaces(name) {
        return Err(Refusal::new("ERR Usernames can't contain spaces or null characters"));
    }
    let all_channels = call.server.config.acl_all_channels();
    let user = call.server.acl.changed(name, rules, all_channels);
    let user = user.map_err(|reason| Refusal::from(format!("ERR {reason}")))?;
    call.server.put_user(user, call.out);
    Ok(Reply::OK)
}

fn deluser(call: &mut Call) -> Outcome {
    let names = &call.args[2..];
    if names.iter().any(|name| name == "default") {
        return Err(Refusal::new("ERR The 'default' user cannot be removed"));
    }
    Ok(Reply::from(call.server.remove_users(names, call.out)))
}

fn file(call: &Call) -> Result<String, Refusal> {
    call.server.acl_path().ok_or(Refusal::new(
        "ERR This Redis instance is not configured to use an ACL file. You may want to specify users via the ACL SETUSER command and then issue a CONFIG REWRITE (assuming you have a Redis configuration file set) in order to store users in the Redis configuration.",
    ))
}

fn load(call: &mut Call) -> Outcome {
    let path = file(call)?;
    let loaded = call.server.load_acl(call.disk, &path, call.out);
    loaded.map_err(|errors| Refusal::from(format!("ERR {errors}")))?;
    Ok(Reply::OK)
}

fn save(call: &mut Call) -> Outcome {
    let path = file(call)?;
    let saved = call.server.save_acl(call.disk, &path);
    saved.map_err(|line| {
        call.out.push(Output::Log(line));
        Refusal::new(
            "ERR There was an error trying to save the ACLs. Please check the server logs for more information",
        )
    })?;
    Ok(Reply::OK)
}

fn help(_: &mut Call) -> Outcome {
    Ok(commands::help(
        "ACL",
        &[
            "CAT [<category>]",
            "    List all commands that belong to <category>, or all command categories",
            "    when no category is specified.",
            "DELUSER <username> [<username> ...]",
            "    Delete a list of users.",
            "DRYRUN <username> <command> [<arg> ...]",
            "    Returns whether the user can execute the given command without executing the command.",
            "GETUSER <username>",
            "    Get the user's details.",
            "GENPASS [<bits>]",
            "    Generate a secure 256-bit user password. The optional `bits` argument can",
            "    be used to specify a different size.",
            "LIST",
            "    Show users details in config file format.",
            "LOAD",
            "    Reload users from the ACL file.",
            "LOG [<count> | RESET]",
            "    Show the ACL log entries.",
            "SAVE",
            "    Save the current config to the ACL file.",
            "SETUSER <username> <attribute> [<attribute> ...]",
            "    Create or modify a user with the specified attributes.",
            "USERS",
            "    List all the registered usernames.",
            "WHOAMI",
            "    Return the current connection username.",
        ],
    ))
}
