//! SAVE, BGSAVE, BGREWRITEAOF, LASTSAVE, SHUTDOWN: what a person may ask of `persist`.

use crate::base::Millis;
use crate::engine::Env;
use crate::engine::call::Call;
use crate::engine::command::{
    ADMIN, ALLOW_BUSY, Command, FAST, LOADING, NO_ASYNC_LOADING, NO_MULTI, NOSCRIPT, Outcome, STALE,
};
use crate::engine::persist::{Child, Shutdown};
use crate::engine::refusal::{self, Refusal};
use crate::resp::Reply;

pub const COMMANDS: &[Command] = &[
    Command {
        name: "BGREWRITEAOF",
        summary: "Write the append only file anew, as short as it can be, in the background.",
        complexity: "O(1)",
        flags: ADMIN.with(NOSCRIPT).with(NO_ASYNC_LOADING),
        run: bgrewriteaof,
        ..Command::SERVER
    },
    Command {
        name: "BGSAVE",
        syntax: "[SCHEDULE@3.2.2]",
        summary: "Write the data set to the RDB file in the background.",
        complexity: "O(1)",
        history: &[("3.2.2", "`SCHEDULE`.")],
        flags: ADMIN.with(NOSCRIPT).with(NO_ASYNC_LOADING),
        run: bgsave,
        ..Command::SERVER
    },
    Command {
        name: "LASTSAVE",
        summary: "Tell when the data set was last saved, in seconds since 1970.",
        complexity: "O(1)",
        flags: LOADING.with(STALE).with(FAST),
        acl: &["admin", "dangerous"],
        tips: &["nondeterministic_output"],
        run: lastsave,
        ..Command::SERVER
    },
    Command {
        name: "SAVE",
        summary: "Write the data set to the RDB file, and let everybody wait for it.",
        complexity: "O(N) where N is the number of keys in all databases",
        flags: ADMIN.with(NOSCRIPT).with(NO_ASYNC_LOADING).with(NO_MULTI),
        run: save,
        ..Command::SERVER
    },
    Command {
        name: "SHUTDOWN",
        syntax: "save-selector=[NOSAVE | SAVE] [NOW@7.0.0] [FORCE@7.0.0] [ABORT@7.0.0]",
        summary: "Save as the configuration asks for, then end the server.",
        complexity: "O(N) when saving, where N is the number of keys in all databases",
        history: &[("7.0.0", "`NOW`, `FORCE` and `ABORT`.")],
        flags: ADMIN.with(NOSCRIPT).with(LOADING).with(STALE).with(NO_MULTI).with(ALLOW_BUSY),
        run: shutdown,
        ..Command::SERVER
    },
];

fn save(call: &mut Call) -> Outcome {
    if matches!(call.server.persist.child, Some(Child::Save { .. })) {
        return Err(Refusal::new("ERR Background save already in progress"));
    }
    call.server.persist.saves += 1;
    let mut env = Env { now: call.now, rng: call.rng, disk: call.disk };
    match call.server.save(&mut env, call.out) {
        Ok(()) => Ok(Reply::OK),
        Err(()) => Err(Refusal::new("ERR")),
    }
}

fn bgsave(call: &mut Call) -> Outcome {
    let schedule = match call.args.len() {
        1 => false,
        2 if call.is(1, "SCHEDULE") => true,
        _ => return Err(refusal::SYNTAX),
    };
    let in_exec = !call.may_block;
    match call.server.persist.child {
        Some(Child::Save { .. }) => Err(Refusal::new("ERR Background save already in progress")),
        Some(Child::Rewrite { .. }) if !schedule && !in_exec => Err(Refusal::new(
            "ERR Another child process is active (AOF?): can't BGSAVE right now. Use BGSAVE SCHEDULE in order to schedule a BGSAVE whenever possible.",
        )),
        None if !in_exec => {
            let mut env = Env { now: call.now, rng: call.rng, disk: call.disk };
            call.server.start_bgsave(&mut env, call.out);
            Ok(Reply::status("Background saving started"))
        }
        _ => {
            call.server.persist.bgsave_scheduled = true;
            Ok(Reply::status("Background saving scheduled"))
        }
    }
}

fn bgrewriteaof(call: &mut Call) -> Outcome {
    match call.server.persist.child {
        Some(Child::Rewrite { .. }) => {
            Err(Refusal::new("ERR Background append only file rewriting already in progress"))
        }
        None if call.may_block => {
            let mut env = Env { now: call.now, rng: call.rng, disk: call.disk };
            match call.server.start_rewrite(&mut env, call.out) {
                Ok(()) => Ok(Reply::status("Background append only file rewriting started")),
                Err(()) => Err(Refusal::new(
                    "ERR Can't execute an AOF background rewriting. Please check the server logs for more information.",
                )),
            }
        }
        _ => {
            call.server.persist.aof.rewrite_scheduled = true;
            Ok(Reply::status("Background append only file rewriting scheduled"))
        }
    }
}

fn lastsave(call: &mut Call) -> Outcome {
    Ok(Reply::Int(call.server.persist.last_save.secs() as i64))
}

fn shutdown(call: &mut Call) -> Outcome {
    let mut how = Shutdown::default();
    let mut abort = false;
    for index in 1..call.args.len() {
        match call.args[index].to_ascii_uppercase().as_slice() {
            b"NOSAVE" => how.nosave = true,
            b"SAVE" => how.save = true,
            b"NOW" => how.now = true,
            b"FORCE" => how.force = true,
            b"ABORT" => abort = true,
            _ => return Err(refusal::SYNTAX),
        }
    }
    if (abort && how != Shutdown::default()) || (how.save && how.nosave) {
        return Err(refusal::SYNTAX);
    }
    if abort {
        return call.server.abort_shutdown(call.out).map(|()| Reply::OK);
    }
    if !how.now && !call.may_block {
        return Err(Refusal::new("ERR SHUTDOWN without NOW or ABORT isn't allowed for DENY BLOCKING client"));
    }
    if !how.nosave
        && let Some(active) = &call.server.scripting.active
    {
        return Err(active.busy());
    }
    let mut env = Env { now: call.now, rng: call.rng, disk: call.disk };
    call.server.shut_down(&mut env, how, call.out)?;
    if call.server.persist.ending.is_some() {
        return call.block(&[], "", Millis::ZERO, Reply::None);
    }
    Ok(Reply::None)
}
