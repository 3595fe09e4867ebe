//! SCRIPT: the cache of scripts, and the end of one that does not end.

use super::eval;
use crate::engine::Call;
use crate::engine::call::Propagate;
use crate::engine::command::{ALLOW_BUSY, Command, LOADING, NOSCRIPT, Outcome, STALE};
use crate::engine::commands;
use crate::engine::refusal::Refusal;
use crate::engine::scripting::script;
use crate::resp::Reply;

pub const COMMANDS: &[Command] = &[Command {
    name: "SCRIPT",
    summary: "Look after cached scripts.",
    since: "2.6.0",
    complexity: "Depends on the subcommand.",
    sub: &[
        Command {
            name: "SCRIPT DEBUG",
            syntax: "mode=<YES | SYNC | NO>",
            summary: "Choose whether this connection's scripts are run in a debugger.",
            since: "3.2.0",
            flags: NOSCRIPT,
            run: debug,
            ..Command::SCRIPTING
        },
        Command {
            name: "SCRIPT EXISTS",
            syntax: "sha1 [sha1 ...]",
            summary: "Ask which scripts are cached.",
            since: "2.6.0",
            complexity: "O(N) with N being the number of scripts to check (so checking a single script is an O(1) operation).",
            flags: NOSCRIPT,
            tips: &["request_policy:all_shards", "response_policy:agg_logical_and"],
            run: exists,
            ..Command::SCRIPTING
        },
        Command {
            name: "SCRIPT FLUSH",
            syntax: "flush-type=[ASYNC | SYNC]@6.2.0",
            summary: "Forget all cached scripts.",
            since: "2.6.0",
            complexity: "O(N) with N being the number of scripts in cache",
            history: &[("6.2.0", "`ASYNC` and `SYNC`.")],
            flags: NOSCRIPT,
            tips: &["request_policy:all_nodes", "response_policy:all_succeeded"],
            run: flush,
            ..Command::SCRIPTING
        },
        Command {
            name: "SCRIPT HELP",
            summary: "List the subcommands.",
            since: "5.0.0",
            flags: LOADING.with(STALE),
            run: help,
            ..Command::SCRIPTING
        },
        Command {
            name: "SCRIPT KILL",
            summary: "End the running script, if it has not written yet.",
            since: "2.6.0",
            flags: NOSCRIPT.with(ALLOW_BUSY),
            tips: &["request_policy:all_shards", "response_policy:one_succeeded"],
            run: |call| kill(call, true),
            ..Command::SCRIPTING
        },
        Command {
            name: "SCRIPT LOAD",
            syntax: "script",
            summary: "Cache a script and get its SHA1, without running it.",
            since: "2.6.0",
            complexity: "O(N) with N being the length in bytes of the script body.",
            flags: NOSCRIPT.with(STALE),
            tips: &["request_policy:all_nodes", "response_policy:all_succeeded"],
            run: load,
            ..Command::SCRIPTING
        },
    ],
    ..Command::SCRIPTING
}];

fn load(call: &mut Call) -> Outcome {
    call.propagate = Propagate::Nothing;
    let body = &call.args[2];
    let sha = script::sha_of(body);
    if !call.server.scripting.scripts.contains_key(&sha) {
        eval::load(call, &sha, body)?;
    }
    Ok(Reply::bulk(&sha[..]))
}

fn exists(call: &mut Call) -> Outcome {
    let scripts = &call.server.scripting.scripts;
    let known = |name: &crate::base::Bytes| script::sha_named(name).is_some_and(|sha| scripts.contains_key(&sha));
    Ok(Reply::Array(call.args[2..].iter().map(|name| Reply::flag(known(name))).collect()))
}

fn flush(call: &mut Call) -> Outcome {
    if call.args.len() > 3 || call.args.len() == 3 && !call.is(2, "SYNC") && !call.is(2, "ASYNC") {
        return Err(Refusal::new("ERR SCRIPT FLUSH only support SYNC|ASYNC option"));
    }
    call.server.scripting.flush_scripts();
    Ok(Reply::OK)
}

/// SCRIPT KILL and FUNCTION KILL: each ends only its own kind.
pub fn kill(call: &mut Call, eval: bool) -> Outcome {
    let Some(active) = &mut call.server.scripting.active else {
        return Err(Refusal::new("NOTBUSY No scripts in execution right now."));
    };
    if active.wrote {
        return Err(Refusal::new(
            "UNKILLABLE Sorry the script already executed write commands against the dataset. You can either wait the script termination or kill the server in a hard way using the SHUTDOWN NOSAVE command.",
        ));
    }
    if eval != active.is_eval {
        return Err(active.busy());
    }
    active.killed = true;
    Ok(Reply::OK)
}

/// There is no debugger here: who asks for one is told so, instead of waiting for its prompt.
fn debug(call: &mut Call) -> Outcome {
    if call.is(2, "NO") {
        return Ok(Reply::OK);
    }
    if call.is(2, "YES") || call.is(2, "SYNC") {
        return Err(Refusal::new("ERR the Lua debugger is not available here"));
    }
    Err(Refusal::new("ERR Use SCRIPT DEBUG YES/SYNC/NO"))
}

fn help(_: &mut Call) -> Outcome {
    Ok(commands::help(
        "SCRIPT",
        &[
            "DEBUG (YES|SYNC|NO)",
            "    Set the debug mode for subsequent scripts executed.",
            "EXISTS <sha1> [<sha1> ...]",
            "    Return information about the existence of the scripts in the script cache.",
            "FLUSH [ASYNC|SYNC]",
            "    Flush the Lua scripts cache. Very dangerous on replicas.",
            "    When called without the optional mode argument, the behavior is determined by the",
            "    lazyfree-lazy-user-flush configuration directive. Valid modes are:",
            "    * ASYNC: Asynchronously flush the scripts cache.",
            "    * SYNC: Synchronously flush the scripts cache.",
            "KILL",
            "    Kill the currently executing Lua script.",
            "LOAD <script>",
            "    Load a script into the scripts cache without executing it.",
        ],
    ))
}
