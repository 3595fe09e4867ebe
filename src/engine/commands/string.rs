//! Strings.

use crate::engine::call::Call;
use crate::engine::command::{Command, FAST, ONE_KEY, Outcome, READONLY, WRITE};
use crate::engine::notify::Class;
use crate::engine::value::Str;
use crate::resp::Reply;

pub const COMMANDS: &[Command] = &[
    Command {
        name: "GET",
        syntax: "key",
        summary: "Read a string.",
        complexity: "O(1)",
        flags: READONLY.with(FAST),
        keys: ONE_KEY,
        run: get,
        ..Command::STRING
    },
    Command {
        name: "GETDEL",
        syntax: "key",
        summary: "Read a string, then delete its key.",
        since: "6.2.0",
        complexity: "O(1)",
        flags: WRITE.with(FAST),
        keys: ONE_KEY,
        run: getdel,
        ..Command::STRING
    },
];

fn get(call: &mut Call) -> Outcome {
    let key = &call.args[1];
    Ok(call.read::<Str>(key)?.map_or(Reply::Nil, |string| Reply::Bulk(string.to_bytes())))
}

fn getdel(call: &mut Call) -> Outcome {
    let key = &call.args[1];
    let Some(text) = call.read::<Str>(key)?.map(Str::to_bytes) else { return Ok(Reply::Nil) };
    call.remove(key);
    call.changed(Class::Generic, "del", key);
    Ok(Reply::Bulk(text))
}
