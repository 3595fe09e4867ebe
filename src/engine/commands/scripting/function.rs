//! FUNCTION and FCALL: libraries of functions that are part of the data set.

use super::{eval, script};
use crate::base::{Bytes, glob};
use crate::engine::Call;
use crate::engine::command::{
    ALLOW_BUSY, Command, DENYOOM, Flags, LOADING, MAY_REPLICATE, NO_MANDATORY_KEYS, NOSCRIPT, Outcome, READONLY,
    SKIP_MONITOR, STALE, WRITE,
};
use crate::engine::commands;
use crate::engine::persist::rdb;
use crate::engine::refusal::Refusal;
use crate::engine::scripting::library::{Libraries, Library};
use crate::engine::scripting::{ScriptFlags, Scripting, Text};
use crate::resp::Reply;
use std::sync::Arc;

const COMPLEXITY: &str = "Depends on the function that is executed.";
const CALL_FLAGS: Flags = NOSCRIPT.with(SKIP_MONITOR).with(NO_MANDATORY_KEYS).with(STALE);
const TO_ALL: &[&str] = &["request_policy:all_shards", "response_policy:all_succeeded"];

pub const COMMANDS: &[Command] = &[
    Command {
        name: "FCALL",
        syntax: "function numkeys [key [key ...]] [arg [arg ...]]",
        summary: "Call a function of a library.",
        since: "7.0.0",
        complexity: COMPLEXITY,
        flags: CALL_FLAGS.with(MAY_REPLICATE),
        keys: eval::COUNTED_KEYS,
        run: |call| fcall(call, false),
        ..Command::SCRIPTING
    },
    Command {
        name: "FCALL_RO",
        syntax: "function numkeys [key [key ...]] [arg [arg ...]]",
        summary: "Call a function that may only read.",
        since: "7.0.0",
        complexity: COMPLEXITY,
        flags: CALL_FLAGS.with(READONLY),
        keys: eval::COUNTED_KEYS,
        run: |call| fcall(call, true),
        ..Command::SCRIPTING
    },
    Command {
        name: "FUNCTION",
        summary: "Look after libraries of functions.",
        since: "7.0.0",
        complexity: "Depends on the subcommand.",
        sub: &[
            Command {
                name: "FUNCTION DELETE",
                syntax: "library-name",
                summary: "Delete a library and its functions.",
                since: "7.0.0",
                flags: NOSCRIPT.with(WRITE),
                tips: TO_ALL,
                run: delete,
                ..Command::SCRIPTING
            },
            Command {
                name: "FUNCTION DUMP",
                summary: "All libraries as bytes for FUNCTION RESTORE.",
                since: "7.0.0",
                complexity: "O(N) where N is the number of functions",
                flags: NOSCRIPT,
                run: dump,
                ..Command::SCRIPTING
            },
            Command {
                name: "FUNCTION FLUSH",
                syntax: "flush-type=[ASYNC | SYNC]",
                summary: "Delete all libraries.",
                since: "7.0.0",
                complexity: "O(N) where N is the number of functions deleted",
                flags: NOSCRIPT.with(WRITE),
                tips: TO_ALL,
                run: flush,
                ..Command::SCRIPTING
            },
            Command {
                name: "FUNCTION HELP",
                summary: "List the subcommands.",
                since: "7.0.0",
                flags: LOADING.with(STALE),
                run: help,
                ..Command::SCRIPTING
            },
            Command {
                name: "FUNCTION KILL",
                summary: "End the running function, if it has not written yet.",
                since: "7.0.0",
                flags: NOSCRIPT.with(ALLOW_BUSY),
                tips: &["request_policy:all_shards", "response_policy:one_succeeded"],
                run: |call| script::kill(call, false),
                ..Command::SCRIPTING
            },
            Command {
                name: "FUNCTION LIST",
                syntax: "[LIBRARYNAME library-name-pattern] [WITHCODE]",
                summary: "List the libraries and their functions.",
                since: "7.0.0",
                complexity: "O(N) where N is the number of functions",
                flags: NOSCRIPT,
                tips: &["nondeterministic_output_order"],
                run: list,
                ..Command::SCRIPTING
            },
            Command {
                name: "FUNCTION LOAD",
                syntax: "[REPLACE] function-code",
                summary: "Make a library from its source.",
                since: "7.0.0",
                complexity: "O(1) (considering compilation time is redundant)",
                flags: NOSCRIPT.with(WRITE).with(DENYOOM),
                tips: TO_ALL,
                run: load,
                ..Command::SCRIPTING
            },
            Command {
                name: "FUNCTION RESTORE",
                syntax: "serialized-value policy=[FLUSH | APPEND | REPLACE]",
                summary: "Bring back libraries that FUNCTION DUMP gave.",
                since: "7.0.0",
                complexity: "O(N) where N is the number of functions on the payload",
                flags: NOSCRIPT.with(WRITE).with(DENYOOM),
                tips: TO_ALL,
                run: restore,
                ..Command::SCRIPTING
            },
            Command {
                name: "FUNCTION STATS",
                summary: "See which function is running, and how many there are.",
                since: "7.0.0",
                flags: NOSCRIPT.with(ALLOW_BUSY),
                tips: &["nondeterministic_output", "request_policy:all_shards", "response_policy:special"],
                run: stats,
                ..Command::SCRIPTING
            },
        ],
        ..Command::SCRIPTING
    },
];

/// As which command FCALL is admitted: its function's flags say.
pub fn flags_of(scripting: &Scripting, command: &Command, args: &[Bytes]) -> Flags {
    match args.get(1).and_then(|name| scripting.libraries.function(name)) {
        Some((_, _, function)) => function.flags.command_flags(command.flags),
        None => command.flags,
    }
}

fn fcall(call: &mut Call, read_only: bool) -> Outcome {
    eval::begin(call);
    let Some((library, name, _)) = call.server.scripting.libraries.function(&call.args[1]) else {
        return Err(Refusal::new("ERR Function not found"));
    };
    let (library, name) = (Arc::clone(library), name.clone());
    if call.int(2).is_err() {
        return Err(Refusal::new("ERR Bad number of keys provided"));
    }
    let keys = eval::number_of_keys(call)?;
    eval::enter(call, Text::Function(&library, &name), keys, read_only)
}

fn failed(text: String) -> Refusal {
    Refusal::from(format!("ERR {text}"))
}

fn for_server(call: &Call) -> bool {
    call.server.hooks.stopwatch.is_some()
}

fn load(call: &mut Call) -> Outcome {
    let (options, code) = (&call.args[2..call.args.len() - 1], &call.args[call.args.len() - 1]);
    let mut replace = false;
    for option in options {
        if !option.eq_ignore_ascii_case(b"REPLACE") {
            return Err(failed(format!("Unknown option given: {}", option.printed())));
        }
        replace = true;
    }
    let for_server = for_server(call);
    let name = call.server.scripting.load_library(code, replace, for_server).map_err(failed)?;
    call.server.dirty += 1;
    Ok(Reply::Bulk(name))
}

fn delete(call: &mut Call) -> Outcome {
    if !call.server.scripting.libraries.remove(&call.args[2]) {
        return Err(Refusal::new("ERR Library not found"));
    }
    call.server.dirty += 1;
    Ok(Reply::OK)
}

fn flush(call: &mut Call) -> Outcome {
    if call.args.len() > 3 {
        return Err(commands::wrong_subcommand(call));
    }
    if call.args.len() == 3 && !call.is(2, "SYNC") && !call.is(2, "ASYNC") {
        return Err(Refusal::new("ERR FUNCTION FLUSH only supports SYNC|ASYNC option"));
    }
    call.server.scripting.libraries = Libraries::default();
    call.server.dirty += 1;
    Ok(Reply::OK)
}

fn flag_names(flags: ScriptFlags) -> Reply {
    let set = ScriptFlags::NAMES.iter().filter(|(_, flag)| flags.has(*flag));
    Reply::Set(set.map(|(name, _)| Reply::status(name)).collect())
}

fn map(pairs: Vec<(&'static str, Reply)>) -> Reply {
    Reply::Map(pairs.into_iter().map(|(name, value)| (Reply::bulk(name), value)).collect())
}

fn list(call: &mut Call) -> Outcome {
    let (mut with_code, mut pattern) = (false, None);
    let mut at = 2;
    while at < call.args.len() {
        if !with_code && call.is(at, "WITHCODE") {
            with_code = true;
        } else if pattern.is_none() && call.is(at, "LIBRARYNAME") {
            at += 1;
            let name = call.args.get(at).ok_or(Refusal::new("ERR library name argument was not given"))?;
            pattern = Some(name);
        } else {
            return Err(failed(format!("Unknown argument {}", call.args[at].printed())));
        }
        at += 1;
    }
    let libraries = call.server.scripting.libraries.by_name.values();
    let wanted = libraries.filter(|it| pattern.is_none_or(|pattern| glob::matches_nocase(pattern, &it.name)));
    Ok(Reply::Array(wanted.map(|library| describe(library, with_code)).collect()))
}

fn describe(library: &Library, with_code: bool) -> Reply {
    let functions = library.functions.iter().map(|(name, function)| {
        map(vec![
            ("name", Reply::Bulk(name.clone())),
            ("description", function.description.clone().map_or(Reply::Nil, Reply::Bulk)),
            ("flags", flag_names(function.flags)),
        ])
    });
    let mut fields = vec![
        ("library_name", Reply::Bulk(library.name.clone())),
        ("engine", Reply::bulk("LUA")),
        ("functions", Reply::Array(functions.collect())),
    ];
    if with_code {
        fields.push(("library_code", Reply::Bulk(library.code.clone())));
    }
    map(fields)
}

fn stats(call: &mut Call) -> Outcome {
    let scripting = &call.server.scripting;
    let mut running = Reply::Nil;
    if let Some(active) = &scripting.active {
        if active.is_eval {
            return Err(active.busy());
        }
        let micros = call.server.hooks.micros().saturating_sub(active.began_us);
        running = map(vec![
            ("name", Reply::Bulk(active.name.clone())),
            ("command", Reply::bulks(active.slow.clone().unwrap_or_default())),
            ("duration_ms", Reply::Int(micros as i64 / 1000)),
        ]);
    }
    let lua = map(vec![
        ("libraries_count", Reply::from(scripting.libraries.by_name.len())),
        ("functions_count", Reply::from(scripting.libraries.functions())),
    ]);
    Ok(map(vec![("running_script", running), ("engines", map(vec![("LUA", lua)]))]))
}

fn dump(call: &mut Call) -> Outcome {
    let codes: Vec<Bytes> =
        call.server.scripting.libraries.by_name.values().map(|library| library.code.clone()).collect();
    Ok(Reply::bulk(rdb::dump_functions(&codes, &call.limits())))
}

fn restore(call: &mut Call) -> Outcome {
    if call.args.len() > 4 {
        return Err(commands::wrong_subcommand(call));
    }
    let (flush, replace) = (call.is(3, "FLUSH"), call.is(3, "REPLACE"));
    if call.args.len() == 4 && !flush && !replace && !call.is(3, "APPEND") {
        return Err(Refusal::new("ERR Wrong restore policy given, value should be either FLUSH, APPEND or REPLACE."));
    }
    let options = rdb::LoadOptions::of(&call.server.config, call.now, call.seed());
    let codes = rdb::restore_functions(&call.args[2], &options).map_err(Refusal::new)?;
    let for_server = for_server(call);
    let scripting = &mut call.server.scripting;
    let restored = scripting.read_libraries(&codes, for_server).map_err(failed)?;
    if flush {
        scripting.libraries = restored;
    } else {
        // All or none: against what is left when those that are replaced are gone.
        let mut kept = scripting.libraries.clone();
        for library in restored.by_name.values() {
            if kept.by_name.contains_key(&library.name) && !replace {
                return Err(failed(format!("Library {} already exists", library.name.printed())));
            }
            kept.remove(&library.name);
        }
        restored.by_name.values().try_for_each(|library| kept.admits(library, false)).map_err(failed)?;
        restored.by_name.values().for_each(|library| kept.put(Arc::clone(library)));
        scripting.libraries = kept;
    }
    call.server.dirty += 1;
    Ok(Reply::OK)
}

fn help(_: &mut Call) -> Outcome {
    Ok(commands::help(
        "FUNCTION",
        &[
            "LOAD [REPLACE] <FUNCTION CODE>",
            "    Create a new library with the given library name and code.",
            "DELETE <LIBRARY NAME>",
            "    Delete the given library.",
            "LIST [LIBRARYNAME PATTERN] [WITHCODE]",
            "    Return general information on all the libraries:",
            "    * Library name",
            "    * The engine used to run the Library",
            "    * Library description",
            "    * Functions list",
            "    * Library code (if WITHCODE is given)",
            "    It also possible to get only function that matches a pattern using LIBRARYNAME argument.",
            "STATS",
            "    Return information about the current function running:",
            "    * Function name",
            "    * Command used to run the function",
            "    * Duration in MS that the function is running",
            "    If no function is running, return nil",
            "    In addition, returns a list of available engines.",
            "KILL",
            "    Kill the current running function.",
            "FLUSH [ASYNC|SYNC]",
            "    Delete all the libraries.",
            "    When called without the optional mode argument, the behavior is determined by the",
            "    lazyfree-lazy-user-flush configuration directive. Valid modes are:",
            "    * ASYNC: Asynchronously flush the libraries.",
            "    * SYNC: Synchronously flush the libraries.",
            "DUMP",
            "    Return a serialized payload representing the current libraries, can be restored using FUNCTION RESTORE command",
            "RESTORE <PAYLOAD> [FLUSH|APPEND|REPLACE]",
            "    Restore the libraries represented by the given payload, it is possible to give a restore policy to",
            "    control how to handle existing libraries (default APPEND):",
            "    * FLUSH: delete all existing libraries.",
            "    * APPEND: appends the restored libraries to the existing libraries. On collision, abort.",
            "    * REPLACE: appends the restored libraries to the existing libraries, On collision, replace the old",
            "      libraries with the new libraries (notice that even on this option there is a chance of failure",
            "      in case of functions name collision with another library).",
        ],
    ))
}
