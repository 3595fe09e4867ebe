//! Transactions: MULTI queues, EXEC runs the queue with nobody in between, WATCH makes that conditional.
//!
//! There is no way back: a command that fails inside EXEC is one error among the replies, and the others have run. What
//! can be told while queueing (an unknown command, a wrong number of arguments) makes EXEC refuse as a whole.

use crate::engine::Call;
use crate::engine::acl::log::Context;
use crate::engine::acl::selector::Denied;
use crate::engine::call::Propagate;
use crate::engine::client::Watched;
use crate::engine::command::{
    ALL_KEYS, ALLOW_BUSY, Command, FAST, LOADING, NOSCRIPT, NOT_QUEUED, Outcome, SKIP_SLOWLOG, STALE,
};
use crate::engine::refusal::{self, Refusal};
use crate::resp::Reply;

pub const COMMANDS: &[Command] = &[
    Command {
        name: "MULTI",
        summary: "Begin a transaction: what follows is queued until EXEC.",
        since: "1.2.0",
        flags: NOSCRIPT.with(LOADING).with(STALE).with(FAST).with(ALLOW_BUSY).with(NOT_QUEUED),
        run: multi,
        ..Command::TRANSACTIONS
    },
    Command {
        name: "EXEC",
        summary: "Run everything queued since MULTI, with no other client in between.",
        since: "1.2.0",
        complexity: "Depends on the subcommand.",
        flags: NOSCRIPT.with(LOADING).with(STALE).with(SKIP_SLOWLOG).with(NOT_QUEUED),
        run: exec,
        ..Command::TRANSACTIONS
    },
    Command {
        name: "DISCARD",
        summary: "Forget everything queued since MULTI.",
        since: "2.0.0",
        complexity: "O(N)",
        flags: NOSCRIPT.with(LOADING).with(STALE).with(FAST).with(ALLOW_BUSY).with(NOT_QUEUED),
        run: discard,
        ..Command::TRANSACTIONS
    },
    Command {
        name: "WATCH",
        syntax: "key [key ...]",
        summary: "Let the next EXEC run only if none of these keys has changed by then.",
        since: "2.2.0",
        flags: NOSCRIPT.with(LOADING).with(STALE).with(FAST).with(ALLOW_BUSY).with(NOT_QUEUED),
        keys: ALL_KEYS,
        run: watch,
        ..Command::TRANSACTIONS
    },
    Command {
        name: "UNWATCH",
        summary: "Stop watching all keys.",
        since: "2.2.0",
        flags: NOSCRIPT.with(LOADING).with(STALE).with(FAST).with(ALLOW_BUSY),
        run: unwatch,
        ..Command::TRANSACTIONS
    },
];

fn multi(call: &mut Call) -> Outcome {
    if call.me().transaction.is_some() {
        return Err(Refusal::new("ERR MULTI calls can not be nested"));
    }
    call.me_mut().transaction = Some(Default::default());
    Ok(Reply::OK)
}

fn discard(call: &mut Call) -> Outcome {
    if call.me().transaction.is_none() {
        return Err(Refusal::new("ERR DISCARD without MULTI"));
    }
    let me = call.client;
    call.server.discard(me);
    Ok(Reply::OK)
}

fn exec(call: &mut Call) -> Outcome {
    call.propagate = Propagate::Nothing;
    let now = call.now;
    let expired = {
        let mut watched = call.me().watched.iter().filter(|watched| !watched.was_expired);
        watched.find(|it| call.server.dbs[it.db].slot(&it.key).is_some_and(|slot| slot.is_expired(now))).cloned()
    };
    let Some(transaction) = call.me_mut().transaction.take() else {
        return Err(Refusal::new("ERR EXEC without MULTI"));
    };
    let changed = call.me().watch_broken || expired.is_some();
    let me = call.client;
    if let Some(watched) = expired
        && !call.me().watch_broken
    {
        call.server.watch_expired(me, watched);
    }
    call.server.unwatch(me);
    if transaction.broken {
        return Err(refusal::EXECABORT);
    }
    if changed {
        return Ok(Reply::NilArray);
    }
    let mut replies = Vec::with_capacity(transaction.queue.len());
    for (entry, args) in &transaction.queue {
        if let Err(denied) = call.server.permit(call.client, entry, args, Context::Multi) {
            replies.push(Reply::Error(revoked(denied).into()));
            continue;
        }
        match call.nested(entry, args) {
            // SUBSCRIBE answers once per channel, even in here.
            Ok(Reply::Many(many)) => replies.extend(many),
            Ok(Reply::None) => {}
            Ok(reply) => replies.push(reply),
            Err(refusal) => replies.push(refusal.into()),
        }
    }
    if let Some(tracking) = call.me_mut().tracking.as_deref_mut() {
        tracking.caching = false;
    }
    Ok(Reply::Array(replies))
}

/// A user may lose a right between MULTI and EXEC.
fn revoked(denied: Denied) -> String {
    let reason = match denied {
        Denied::Command => "no permission to execute the command or subcommand",
        Denied::Key(_) => "no permission to touch the specified keys",
        Denied::Channel(_) => "no permission to access one of the channels used as arguments",
    };
    format!(
        "NOPERM ACLs rules changed between the moment the transaction was accumulated and the EXEC call. This command is no longer allowed for the following reason: {reason}"
    )
}

fn watch(call: &mut Call) -> Outcome {
    if call.me().transaction.is_some() {
        return Err(Refusal::new("ERR WATCH inside MULTI is not allowed"));
    }
    if call.me().watch_broken {
        return Ok(Reply::OK);
    }
    let (db, now, me) = (call.db, call.now, call.client);
    for key in &call.args[1..] {
        if call.me().watched.iter().any(|watched| watched.db == db && watched.key == *key) {
            continue;
        }
        let was_expired = call.db_ref().slot(key).is_some_and(|slot| slot.is_expired(now));
        call.me_mut().watched.push(Watched { db, key: key.clone(), was_expired });
        call.server.watchers.entry((db, key.clone())).or_default().push(me);
    }
    Ok(Reply::OK)
}

fn unwatch(call: &mut Call) -> Outcome {
    let me = call.client;
    call.server.unwatch(me);
    Ok(Reply::OK)
}
