//! ACL: there is one user, `default`, who may do everything once they have given `requirepass`.

use super::introspect::{CATEGORIES, categories};
use crate::engine::command::{ADMIN, Command, LOADING, NOSCRIPT, Outcome, STALE};
use crate::engine::refusal::{self, Refusal};
use crate::engine::{Call, commands};
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
            syntax: "[bits]",
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
            syntax: "[count | RESET]",
            summary: "Read who was refused what.",
            since: "6.0.0",
            complexity: "O(N)",
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
    Ok(Reply::bulk(call.me().user.as_str()))
}

fn users(_: &mut Call) -> Outcome {
    Ok(Reply::bulks(["default"]))
}

/// The password as the rules show it: never itself, only its SHA-256.
fn secret(call: &Call) -> Option<String> {
    let password = call.server.config.text("requirepass");
    (!password.is_empty()).then(|| crate::base::sha::sha256_hex(&password))
}

fn list(call: &mut Call) -> Outcome {
    let secret = secret(call).map_or(String::from("nopass"), |hash| format!("#{hash}"));
    Ok(Reply::bulks([format!("user default on {secret} sanitize-payload ~* &* +@all")]))
}

fn getuser(call: &mut Call) -> Outcome {
    if call.args[2] != *"default" {
        return Ok(Reply::NilArray);
    }
    let secret = secret(call);
    let flags = ["on"].into_iter().chain(secret.is_none().then_some("nopass")).chain(["sanitize-payload"]);
    Ok(Reply::Map(
        [
            ("flags", Reply::Set(flags.map(Reply::bulk).collect())),
            ("passwords", Reply::bulks(secret)),
            ("commands", Reply::bulk("+@all")),
            ("keys", Reply::bulk("~*")),
            ("channels", Reply::bulk("&*")),
            ("selectors", Reply::Array(Vec::new())),
        ]
        .map(|(name, value)| (Reply::bulk(name), value))
        .into(),
    ))
}

fn cat(call: &mut Call) -> Outcome {
    match call.args.len() {
        2 => Ok(Reply::bulks(CATEGORIES)),
        3 => {
            let wanted = &call.args[2];
            let Some(category) = CATEGORIES.iter().find(|name| wanted.eq_ignore_ascii_case(name.as_bytes())) else {
                return Err(Refusal::from(format!("ERR Unknown category '{}'", wanted.lossy())));
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
    match call.args.len() {
        2 => Ok(Reply::Array(Vec::new())),
        3 if call.is(2, "RESET") => Ok(Reply::OK),
        3 => call.int(2).map(|_| Reply::Array(Vec::new())),
        _ => Err(commands::wrong_subcommand(call)),
    }
}

fn dryrun(call: &mut Call) -> Outcome {
    if call.args[2] != *"default" {
        return Err(Refusal::from(format!("ERR User '{}' not found", call.args[2].lossy())));
    }
    let args = &call.args[3..];
    let Ok(entry) = commands::entry_of(args) else {
        return Err(Refusal::from(format!("ERR Command '{}' not found", args[0].lossy())));
    };
    let wrong = if entry.arity > 0 { args.len() as i32 != entry.arity } else { (args.len() as i32) < -entry.arity };
    if wrong { Err(refusal::wrong_arity(&entry.command.full_name())) } else { Ok(Reply::OK) }
}

fn deluser(call: &mut Call) -> Outcome {
    if call.args[2..].iter().any(|name| *name == "default") {
        return Err(Refusal::new("ERR The 'default' user cannot be removed"));
    }
    Ok(Reply::Int(0))
}

/// No other users yet, and `default` is changed by CONFIG SET requirepass.
fn setuser(_: &mut Call) -> Outcome {
    Err(Refusal::new(
        "ERR ACL SETUSER is not available: there is only the user 'default', whose password is requirepass",
    ))
}

fn load(_: &mut Call) -> Outcome {
    Err(Refusal::new(
        "ERR This Redis instance is not configured to use an ACL file. You may want to specify users via the ACL SETUSER command and then issue a CONFIG REWRITE (assuming you have a Redis configuration file set) in order to store users in the Redis configuration.",
    ))
}

fn save(call: &mut Call) -> Outcome {
    load(call)
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
