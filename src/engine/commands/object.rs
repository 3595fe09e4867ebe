//! OBJECT: how a value is kept, and when it was last used.

use crate::engine::call::Call;
use crate::engine::command::{Command, Keys, LOADING, Outcome, READONLY, STALE};
use crate::engine::evict;
use crate::engine::keyspace::Slot;
use crate::engine::refusal::Refusal;
use crate::engine::value::{Str, Value};
use crate::resp::Reply;

const SUB: Command = Command {
    syntax: "key",
    flags: READONLY,
    acl: &["keyspace"],
    keys: Keys::Range { first: 2, last: 2, step: 1 },
    tips: &["nondeterministic_output"],
    ..Command::GENERIC
};

pub const COMMANDS: &[Command] = &[Command {
    name: "OBJECT",
    summary: "How a value is kept inside.",
    since: "2.2.3",
    complexity: "Depends on the subcommand",
    sub: &[
        Command {
            name: "OBJECT ENCODING",
            summary: "The structure that a value is kept in.",
            since: "2.2.3",
            run: encoding,
            ..SUB
        },
        Command {
            name: "OBJECT FREQ",
            summary: "How often a key is used: the logarithmic counter of the LFU policies.",
            since: "4.0.0",
            run: freq,
            ..SUB
        },
        Command {
            name: "OBJECT HELP",
            syntax: "",
            summary: "What the subcommands do.",
            since: "6.2.0",
            flags: LOADING.with(STALE),
            keys: Keys::None,
            tips: &[],
            run: |_| Ok(help()),
            ..SUB
        },
        Command {
            name: "OBJECT IDLETIME",
            summary: "Seconds since a key was last used.",
            since: "2.2.3",
            run: idletime,
            ..SUB
        },
        Command {
            name: "OBJECT REFCOUNT",
            summary: "How many places refer to a value.",
            since: "2.2.3",
            run: refcount,
            ..SUB
        },
    ],
    ..Command::GENERIC
}];

fn encoding(call: &mut Call) -> Outcome {
    Ok(slot(call).map_or(Reply::Nil, |slot| Reply::bulk(slot.value.encoding())))
}

fn refcount(call: &mut Call) -> Outcome {
    // With maxmemory and an LRU or LFU policy every value needs its own access time, so nothing is shared.
    let shared = !(call.server.config.maxmemory > 0 && call.server.config.eviction.tracks_access());
    Ok(slot(call).map_or(Reply::Nil, |slot| {
        let one_of_all = matches!(slot.value, Value::String(Str::Int(0..SHARED_INTEGERS)) if shared);
        Reply::Int(if one_of_all { SHARED_REFCOUNT } else { 1 })
    }))
}

/// Redis makes these integers once and lets all keys share them (OBJ_SHARED_INTEGERS, OBJ_SHARED_REFCOUNT).
const SHARED_INTEGERS: i64 = 10_000;
const SHARED_REFCOUNT: i64 = i32::MAX as i64;

fn idletime(call: &mut Call) -> Outcome {
    let (now, lfu) = (call.now, call.server.config.eviction.is_lfu());
    let Some(slot) = slot(call) else { return Ok(Reply::Nil) };
    if lfu {
        return Err(Refusal::new(
            "ERR An LFU maxmemory policy is selected, idle time not tracked. Please note that when switching between \
             policies at runtime LRU and LFU data will take some time to adjust.",
        ));
    }
    Ok(Reply::Int(evict::idle_secs(slot.access, now) as i64))
}

fn freq(call: &mut Call) -> Outcome {
    let (now, lfu, decay) = (call.now, call.server.config.eviction.is_lfu(), call.server.config.lfu_decay_minutes);
    let Some(slot) = slot(call) else { return Ok(Reply::Nil) };
    if !lfu {
        return Err(Refusal::new(
            "ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please note that when switching \
             between policies at runtime LRU and LFU data will take some time to adjust.",
        ));
    }
    Ok(Reply::Int(i64::from(evict::frequency(slot.access, now, decay))))
}

fn slot<'a>(call: &'a mut Call) -> Option<&'a Slot> {
    let key = &call.args[2];
    call.slot(key)
}

fn help() -> Reply {
    super::help(
        "OBJECT",
        &[
            "ENCODING <key>",
            "    Return the kind of internal representation used in order to store the value",
            "    associated with a <key>.",
            "FREQ <key>",
            "    Return the access frequency index of the <key>. The returned integer is",
            "    proportional to the logarithm of the recent access frequency of the key.",
            "IDLETIME <key>",
            "    Return the idle time of the <key>, that is the approximated number of",
            "    seconds elapsed since the last access to the key.",
            "REFCOUNT <key>",
            "    Return the number of references of the value associated with the specified",
            "    <key>.",
        ],
    )
}
