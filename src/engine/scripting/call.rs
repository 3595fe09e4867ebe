//! `redis.call` and `redis.pcall`: a command in the name of a script.

use super::api::{Ended, Thrown};
use super::running::Running;
use super::{busy, convert};
use crate::base::Bytes;
use crate::engine::acl::log::Context;
use crate::engine::command;
use crate::engine::commands::Entry;
use crate::engine::{Call, Instance, call};
use crate::resp::{Protocol, Reply};
use mlua::{Lua, MultiValue, Value};

/// What the script's arguments are to the command. Err: in Redis' words.
fn arguments(args: &MultiValue) -> Result<Vec<Bytes>, Thrown> {
    if args.is_empty() {
        return Err(Thrown::Line(String::from("ERR Please specify at least one argument for this redis lib call")));
    }
    let words: Option<Vec<Bytes>> = args.iter().map(convert::argument).collect();
    words.ok_or_else(|| Thrown::Line(String::from("ERR Lua redis lib command arguments must be strings or integers")))
}

/// Carries out the command. `raise`: an error is thrown, as `redis.call` does, else returned.
pub fn from_script(lua: &Lua, running: &Running, args: MultiValue, raise: bool) -> Ended {
    // Commands take time without using up instructions.
    running.calls.set(running.calls.get() + 1);
    let ends = running.with(|call| busy::ends_between_calls(call, running.calls.get())).unwrap_or(false);
    if ends {
        return Err(Thrown::Line(String::from(busy::KILLED)));
    }
    let answer = arguments(&args).and_then(|args| {
        let answer = running.with(|call| {
            let answer = answer(call, &args);
            let protocol = call.server.scripting.active.as_ref().map_or(Protocol::Resp2, |active| active.protocol);
            (answer, protocol)
        });
        answer.ok_or_else(|| Thrown::Line(String::from("ERR redis.call can only be used while a script is running")))
    });
    let value = match answer {
        Ok((Ok(Reply::Error(line)), _)) | Ok((Err(line), _)) => {
            let table = Value::Table(convert::error_table(lua, &line, true)?);
            if raise {
                return Err(Thrown::Value(table));
            }
            table
        }
        Ok((Ok(reply), protocol)) => convert::to_lua(lua, reply.seen_by(protocol), protocol)?,
        Err(Thrown::Line(line)) if !raise => Value::Table(convert::error_table(lua, &line, false)?),
        Err(thrown) => return Err(thrown),
    };
    Ok(vec![value])
}

type Answer = Result<Reply, std::borrow::Cow<'static, str>>;

/// The command's reply. Err: it was refused before it ran; it has been counted.
fn answer(call: &mut Call, args: &[Bytes]) -> Answer {
    let found = call.server.entry_of(args);
    let checked = match &found {
        Ok(entry) => check(call, entry, args),
        Err(_) => Err("ERR Unknown Redis command called from script".into()),
    };
    if let Err(text) = checked {
        if let Ok(entry) = found {
            call.server.stats.commands[entry.index].rejected += 1;
        }
        call.server.count_error(&text);
        return Err(text);
    }
    let entry = found.expect("checked above");
    Ok(perform(call, entry, args))
}

fn check(call: &mut Call, entry: &'static Entry, args: &[Bytes]) -> Result<(), std::borrow::Cow<'static, str>> {
    let command = entry.command;
    if !entry.takes(args.len()) {
        return Err("ERR Wrong number of args calling Redis command from script".into());
    }
    if command.flags.has(command::NOSCRIPT) && !call.server.scripting.allows_all {
        return Err("ERR This Redis command is not allowed from script".into());
    }
    if call.server.is_stale() && !command.flags.has(command::STALE) {
        return Err("ERR Can not execute the command on a stale replica".into());
    }
    if let Err(denied) = call.server.permit(call.client, entry, args, Context::Lua) {
        let message = denied.message(&call.me().user, entry, args, false);
        return Err(format!("ERR ACL failure in script: {message}").into());
    }
    let Some(active) = &call.server.scripting.active else { return Ok(()) };
    let (read_only, wrote, allow_oom) = (active.read_only, active.wrote, active.allow_oom);
    if read_only && command.flags.any(command::WRITE.with(command::MAY_REPLICATE)) {
        return Err("ERR Write commands are not allowed from read-only scripts.".into());
    }
    if command.flags.has(command::WRITE)
        && !wrote
        && let Some(refusal) = call.server.write_refusal().or_else(|| call.server.misconf())
    {
        return Err(refusal.0);
    }
    if !allow_oom && !wrote && call.server.scripting.out_of_memory && command.flags.has(command::DENYOOM) {
        return Err(crate::engine::refusal::OOM.0);
    }
    if command.flags.has(command::WRITE)
        && let Some(active) = &mut call.server.scripting.active
    {
        active.wrote = true;
    }
    call.server.check_slots_of_script(call.client, command, args).map_err(|refusal| refusal.0)
}

/// Runs it in the script's database and protocol, which are not those of the client that runs the script.
fn perform(call: &mut Call, entry: &'static Entry, args: &[Bytes]) -> Reply {
    let (db, protocol, repl) = match &call.server.scripting.active {
        Some(active) => (active.db, active.protocol, active.repl),
        None => (call.db, Protocol::Resp2, 3),
    };
    let me = call.me_mut();
    let own = (me.db, me.protocol);
    (me.db, me.protocol) = (db, protocol);
    let mark = call.server.propagated.len();
    let mut inner = Call {
        args,
        command: entry.command,
        index: entry.index,
        server: call.server,
        now: call.now,
        rng: call.rng,
        disk: call.disk,
        out: call.out,
        client: call.client,
        db,
        protocol,
        may_block: false,
        no_touch: call.no_touch,
        again: false,
        redacted: 0,
        pretended_us: 0,
        propagate: call::Propagate::AsRequested,
    };
    let outcome = Instance::perform(&mut inner);
    if repl == 0 {
        call.server.propagated.truncate(mark);
    }
    let chosen = std::mem::replace(&mut call.me_mut().db, own.0);
    call.me_mut().protocol = own.1;
    if let Some(active) = &mut call.server.scripting.active {
        active.db = chosen;
    }
    outcome.unwrap_or_else(Reply::from)
}

/// `redis.acl_check_cmd`: whether the script's user may call this command.
pub fn acl_check_cmd(_: &Lua, running: &Running, args: MultiValue) -> Ended {
    let args = arguments(&args)?;
    let allowed = running.with(|call| Some(call.me().user.check(call.server.entry_of(&args).ok()?, &args).is_ok()));
    match allowed.flatten() {
        Some(allowed) => Ok(vec![Value::Boolean(allowed)]),
        None => Err(Thrown::Line(String::from("ERR Invalid command passed to redis.acl_check_cmd()"))),
    }
}
