//! CONFIG: the running configuration, looked at, changed and written into its file.

use crate::base::{Bytes, carry};
use crate::engine::call::Call;
use crate::engine::command::{ADMIN, Command, LOADING, NOSCRIPT, Outcome, STALE};
use crate::engine::config::{Config, Parameter, table};
use crate::engine::disk::{Disk, DiskError};
use crate::engine::persist::aof::State;
use crate::engine::refusal::{self, Refusal};
use crate::engine::{Env, Output, commands};
use crate::resp::Reply;

pub const COMMANDS: &[Command] = &[Command {
    name: "CONFIG",
    summary: "Look at, change and keep the configuration.",
    since: "2.0.0",
    complexity: "Depends on the subcommand.",
    sub: &[
        Command {
            name: "CONFIG GET",
            syntax: "parameter [parameter ...]",
            summary: "Read the parameters that match the patterns.",
            since: "2.0.0",
            complexity: "O(N) where N is the number of parameters",
            history: &[("7.0.0", "Takes several patterns.")],
            flags: ADMIN.with(NOSCRIPT).with(LOADING).with(STALE),
            run: get,
            ..Command::SERVER
        },
        Command {
            name: "CONFIG HELP",
            summary: "List the subcommands of CONFIG.",
            since: "5.0.0",
            complexity: "O(1)",
            flags: LOADING.with(STALE),
            run: help,
            ..Command::SERVER
        },
        Command {
            name: "CONFIG RESETSTAT",
            summary: "Set the counters that INFO shows back to zero.",
            since: "2.0.0",
            complexity: "O(1)",
            flags: ADMIN.with(NOSCRIPT).with(LOADING).with(STALE),
            tips: &["request_policy:all_nodes", "response_policy:all_succeeded"],
            run: resetstat,
            ..Command::SERVER
        },
        Command {
            name: "CONFIG REWRITE",
            summary: "Write the running configuration into the config file.",
            since: "2.8.0",
            complexity: "O(1)",
            flags: ADMIN.with(NOSCRIPT).with(LOADING).with(STALE),
            tips: &["request_policy:all_nodes", "response_policy:all_succeeded"],
            run: rewrite,
            ..Command::SERVER
        },
        Command {
            name: "CONFIG SET",
            syntax: "data=(parameter value) [parameter value ...]",
            summary: "Change parameters: all of them or, if one is refused, none.",
            since: "2.0.0",
            complexity: "O(N) where N is the number of parameters",
            history: &[("7.0.0", "Sets several parameters, all or none.")],
            flags: ADMIN.with(NOSCRIPT).with(LOADING).with(STALE),
            tips: &["request_policy:all_nodes", "response_policy:all_succeeded"],
            run: set,
            ..Command::SERVER
        },
    ],
    ..Command::SERVER
}];

fn get(call: &mut Call) -> Outcome {
    let found = call.server.config.matching(&call.args[2..]);
    Ok(Reply::Map(found.into_iter().map(|(name, value)| (Reply::bulk(name), Reply::Bulk(value))).collect()))
}

fn help(_: &mut Call) -> Outcome {
    Ok(commands::help(
        "CONFIG",
        &[
            "GET <pattern>",
            "    Return parameters matching the glob-like <pattern> and their values.",
            "SET <directive> <value>",
            "    Set the configuration <directive> to <value>.",
            "RESETSTAT",
            "    Reset statistics reported by the INFO command.",
            "REWRITE",
            "    Rewrite the configuration file.",
        ],
    ))
}

fn resetstat(call: &mut Call) -> Outcome {
    call.server.stats.reset();
    call.server.acl.log.reset_counts();
    Ok(Reply::OK)
}

fn rewrite(call: &mut Call) -> Outcome {
    rewrite_file(call, false)
}

/// `all`: with what is at its default too.
pub fn rewrite_file(call: &mut Call, all: bool) -> Outcome {
    let Some(path) = call.server.config.file.clone() else {
        return Err(Refusal::new("ERR The server is running without a config file"));
    };
    let in_file = call.server.acl_path().is_some();
    let users: Vec<Bytes> = call.server.acl.users().filter(|_| !in_file).map(|user| user.describe()).collect();
    match write_file(&call.server.config, &users, all, &path, call.disk) {
        Ok(()) => {
            call.out.push(Output::Log(String::from("* CONFIG REWRITE executed with success.")));
            Ok(Reply::OK)
        }
        Err(error) => {
            call.out.push(Output::Log(format!("# CONFIG REWRITE failed: {error}")));
            Err(Refusal::from(format!("ERR Rewriting config file: {error}")))
        }
    }
}

/// Writes `config` into the file at `path`, whose comments and order stay.
fn write_file(config: &Config, users: &[Bytes], all: bool, path: &str, disk: &mut dyn Disk) -> Result<(), DiskError> {
    let old = match disk.read(path) {
        Ok(old) => old,
        Err(DiskError::NotFound) => Vec::new(),
        Err(error) => return Err(error),
    };
    let text = config.rewritten_with(&old, users, all);
    disk.replace(path, &format!("{path}.rewrite"), &text, true).map_err(|(_, error)| error)
}

fn set(call: &mut Call) -> Outcome {
    if call.args.len() % 2 == 1 {
        return Err(refusal::SYNTAX);
    }
    let changes = settable(call)?;
    let mut config = call.server.config.clone();
    for Change { name, parameter, text } in &changes {
        check_dir(parameter, text, call.disk).map_err(|reason| failed(name, &reason))?;
        config.set_text(parameter, text).map_err(|reason| failed(name, &reason))?;
    }
    if let Some(could_listen) = call.server.hooks.could_listen
        && let Some(change) = changes.iter().find(|change| matches!(change.name, "port" | "bind"))
        && !could_listen(&call.server.config, &config)
    {
        call.out.push(Output::Log(format!(
            "# Failed applying new configuration. Possibly related to new {} setting. Restoring previous settings.",
            change.name
        )));
        let reason = match change.name {
            "port" => "Unable to listen on this port. Check server logs.",
            _ => "Failed to bind to specified addresses.",
        };
        return Err(failed(change.name, reason));
    }
    let before = std::mem::replace(&mut call.server.config, config);
    if let Err(refusal) = apply_appendonly(call) {
        call.server.config = before;
        return Err(refusal);
    }
    call.server.resize_backlog();
    if let Some(change) = changes.iter().find(|change| change.name == "requirepass") {
        let user = call.server.acl.with_password(&change.text);
        call.server.put_user(user, call.out);
    }
    let has = |name: &str| changes.iter().any(|change| change.name == name);
    if has("maxmemory") {
        shrink(call);
    }
    if has("tracking-table-max-keys") {
        let max_keys = call.server.config.int("tracking-table-max-keys") as usize;
        call.server.limit_trackers(max_keys);
    }
    Ok(Reply::OK)
}

/// Has keys evicted, as soon as the request is done, where less memory is allowed than is used.
fn shrink(call: &mut Call) {
    let (max, used) = (call.server.config.maxmemory, call.server.used_memory());
    if max == 0 || used <= max {
        return;
    }
    call.out.push(Output::Log(format!("# WARNING: the new maxmemory value set via CONFIG SET ({max}) is smaller than the current memory usage ({used}). This will result in key eviction and/or the inability to accept new write commands depending on the maxmemory-policy.")));
    call.server.eviction_pool.under_way = true;
}

fn failed(name: &str, reason: &str) -> Refusal {
    Refusal::from(format!("ERR CONFIG SET failed (possibly related to argument '{name}') - {reason}"))
}

/// A parameter that is to be set, by the name that was used: the new or the old one.
struct Change {
    name: &'static str,
    parameter: &'static Parameter,
    text: Bytes,
}

/// The parameters that are to be set. Err: one is unknown, cannot be set, or comes twice.
fn settable(call: &mut Call) -> Result<Vec<Change>, Refusal> {
    let mut changes: Vec<Change> = Vec::new();
    let mut refused = None;
    for (nth, pair) in call.args[2..].chunks_exact(2).enumerate() {
        let typed = pair[0].printed();
        let Some((parameter, old_name)) = table::find(&pair[0]) else {
            let unknown = format!("ERR Unknown option or number of arguments for CONFIG SET - '{typed}'");
            refused.get_or_insert_with(|| Refusal::from(unknown));
            continue;
        };
        // Also where another one is refused: what is secret stays out of the logs.
        if parameter.flags.has(table::SENSITIVE) {
            call.redact(3 + nth * 2);
        }
        let name = if old_name { parameter.alias } else { parameter.name };
        let reason = if parameter.flags.has(table::IMMUTABLE) {
            "can't set immutable config"
        } else if parameter.flags.has(table::PROTECTED)
            && !call.server.allows_protected(call.client, "enable-protected-configs")
        {
            "can't set protected config"
        } else if changes.iter().any(|earlier| earlier.name == name) {
            "duplicate parameter"
        } else {
            changes.push(Change { name, parameter, text: Bytes::copy(carry::before_zero(&pair[1])) });
            continue;
        };
        refused.get_or_insert_with(|| failed(&typed, reason));
    }
    refused.map_or(Ok(changes), Err)
}

fn check_dir(parameter: &Parameter, text: &Bytes, disk: &dyn Disk) -> Result<(), String> {
    if parameter.kind != table::Kind::Dir {
        return Ok(());
    }
    disk.list(&text.lossy()).map(drop).map_err(|error| error.to_string())
}

/// Switches the AOF on or off if `appendonly` no longer says what is done.
fn apply_appendonly(call: &mut Call) -> Result<(), Refusal> {
    let (wanted, state) = (call.server.config.appendonly, call.server.persist.aof.state);
    let in_exec = !call.may_block;
    let mut env = Env { now: call.now, rng: call.rng, disk: call.disk };
    if !wanted && state != State::Off {
        call.server.stop_aof(&mut env, call.out);
    } else if wanted && state == State::Off {
        let begun = call.server.start_aof(&mut env, in_exec, call.out);
        begun.map_err(|()| failed("appendonly", "Unable to turn on AOF. Check server logs."))?;
    }
    Ok(())
}
