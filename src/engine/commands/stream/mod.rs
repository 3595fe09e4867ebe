//! Streams: XADD and what reads it, alone or in groups.
//!
//! Adding, removing and trimming is in `add`, reading in `read`, groups in `group`, what is pending in them in `pending`,
//! XINFO in `info`.

mod add;
mod group;
mod info;
mod pending;
mod read;
#[cfg(test)]
mod tests;

use crate::base::{Bytes, carry};
use crate::engine::call::Call;
use crate::engine::command::{BLOCKING, Command, DENYOOM, FAST, Keys, LOADING, ONE_KEY, READONLY, STALE, WRITE};
use crate::engine::notify::Class;
use crate::engine::refusal::Refusal;
use crate::engine::value::stream::{Entry, Id};
use crate::resp::Reply;

const READER: Command = Command { since: "5.0.0", flags: READONLY, keys: ONE_KEY, ..Command::STREAM };
const FAST_WRITER: Command = Command { flags: WRITE.with(FAST), ..READER };
const ANY_OUTPUT: &[&str] = &["nondeterministic_output"];
const SECOND: Keys = Keys::Range { first: 2, last: 2, step: 1 };
const GROUP: Command = Command { flags: WRITE, keys: SECOND, ..READER };
const INFO: Command = Command { flags: READONLY, keys: SECOND, ..READER };
const HELP: Command = Command { flags: LOADING.with(STALE), keys: Keys::None, ..READER };

pub const COMMANDS: &[Command] = &[
    Command {
        name: "XACK",
        syntax: "key group id [id ...]",
        summary: "Tell a group that entries are dealt with.",
        complexity: "O(1) for each id",
        run: group::xack,
        ..FAST_WRITER
    },
    Command {
        name: "XADD",
        syntax: "key [NOMKSTREAM@6.2.0] trim=[strategy=<MAXLEN | MINID@6.2.0> operator=[equal== | approximately=~] \
                 threshold [LIMIT count@6.2.0]] id-selector=<auto-id=* | id> data=(field value) [field value ...]",
        summary: "Append an entry to a stream; create the stream if there is none.",
        complexity: "O(1) to add, O(N) to trim N entries",
        history: &[
            ("6.2.0", "`NOMKSTREAM`, `MINID` and `LIMIT`."),
            ("7.0.0", "An id may leave its number to the server: `1526919030474-*`."),
        ],
        flags: WRITE.with(DENYOOM).with(FAST),
        tips: ANY_OUTPUT,
        run: add::xadd,
        ..READER
    },
    Command {
        name: "XAUTOCLAIM",
        syntax: "key group consumer min-idle-time start:string [COUNT count] [JUSTID]",
        summary: "Take over whatever others have held for too long, some at a time.",
        since: "6.2.0",
        history: &[("7.0.0", "Tells which entries were gone and are no longer pending.")],
        tips: ANY_OUTPUT,
        run: pending::xautoclaim,
        ..FAST_WRITER
    },
    Command {
        name: "XCLAIM",
        syntax: "key group consumer min-idle-time id [id ...] [IDLE ms:integer] [TIME \
                 unix-time-milliseconds] [RETRYCOUNT count] [FORCE] [JUSTID] [LASTID lastid]",
        summary: "Take over entries that another consumer of the group has not acknowledged.",
        complexity: "O(log(N)) for each id, N pending entries of the group",
        tips: ANY_OUTPUT,
        run: pending::xclaim,
        ..FAST_WRITER
    },
    Command {
        name: "XDEL",
        syntax: "key id [id ...]",
        summary: "Remove entries from a stream.",
        complexity: "O(1) for each id",
        run: add::xdel,
        ..FAST_WRITER
    },
    Command {
        name: "XGROUP",
        summary: "Make and remove consumer groups and their consumers.",
        since: "5.0.0",
        complexity: "Depends on the subcommand",
        sub: &[
            Command {
                name: "XGROUP CREATE",
                syntax: "key group id-selector=<id | new-id=$> [MKSTREAM] [ENTRIESREAD entries-read:integer]",
                summary: "Create a group that reads on from an id.",
                history: &[("7.0.0", "`ENTRIESREAD`.")],
                flags: WRITE.with(DENYOOM),
                run: group::create,
                ..GROUP
            },
            Command {
                name: "XGROUP CREATECONSUMER",
                syntax: "key group consumer",
                summary: "Create a consumer in a group.",
                since: "6.2.0",
                flags: WRITE.with(DENYOOM),
                run: group::create_consumer,
                ..GROUP
            },
            Command {
                name: "XGROUP DELCONSUMER",
                syntax: "key group consumer",
                summary: "Remove a consumer and all that it has pending.",
                run: group::delete_consumer,
                ..GROUP
            },
            Command {
                name: "XGROUP DESTROY",
                syntax: "key group",
                summary: "Remove a group.",
                complexity: "O(N), N pending entries of the group",
                run: group::destroy,
                ..GROUP
            },
            Command { name: "XGROUP HELP", summary: "List the subcommands.", run: group::help, ..HELP },
            Command {
                name: "XGROUP SETID",
                syntax: "key group id-selector=<id | new-id=$> [ENTRIESREAD entriesread=entries-read:integer]",
                summary: "Let a group read on from another id.",
                history: &[("7.0.0", "`ENTRIESREAD`.")],
                run: group::set_id,
                ..GROUP
            },
        ],
        ..Command::STREAM
    },
    Command {
        name: "XINFO",
        summary: "Look at streams, groups and consumers.",
        since: "5.0.0",
        complexity: "Depends on the subcommand",
        sub: &[
            Command {
                name: "XINFO CONSUMERS",
                syntax: "key group",
                summary: "List the consumers of a group.",
                history: &[("7.2.0", "The field `inactive`.")],
                tips: ANY_OUTPUT,
                run: info::consumers,
                ..INFO
            },
            Command {
                name: "XINFO GROUPS",
                syntax: "key",
                summary: "List the groups of a stream.",
                history: &[("7.0.0", "The fields `entries-read` and `lag`.")],
                run: info::groups,
                ..INFO
            },
            Command { name: "XINFO HELP", summary: "List the subcommands.", run: info::help, ..HELP },
            Command {
                name: "XINFO STREAM",
                syntax: "key full-block=[FULL [COUNT count]]",
                summary: "Describe a stream; with FULL also its entries and groups.",
                history: &[
                    ("6.0.0", "`FULL`."),
                    (
                        "7.0.0",
                        "The fields `max-deleted-entry-id`, `entries-added`, `recorded-first-entry-id`, `entries-read` and `lag`.",
                    ),
                    ("7.2.0", "The field `active-time`; `seen-time` counts attempts too."),
                ],
                run: info::stream,
                ..INFO
            },
        ],
        ..Command::STREAM
    },
    Command {
        name: "XLEN",
        syntax: "key",
        summary: "Count the entries of a stream.",
        flags: READONLY.with(FAST),
        run: read::xlen,
        ..READER
    },
    Command {
        name: "XPENDING",
        syntax: "key group filters=[[IDLE min-idle-time:integer@6.2.0] start:string end:string count [consumer]]",
        summary: "List what a group has been given and has not acknowledged.",
        complexity: "O(N), N entries returned; O(1) for the summary",
        history: &[("6.2.0", "`IDLE`, and ranges without their ends.")],
        tips: ANY_OUTPUT,
        run: pending::xpending,
        ..READER
    },
    Command {
        name: "XRANGE",
        syntax: "key start:string end:string [COUNT count]",
        summary: "Read the entries between two ids.",
        complexity: "O(N), N entries returned",
        history: &[("6.2.0", "Ranges without their ends.")],
        run: read::xrange,
        ..READER
    },
    Command {
        name: "XREAD",
        syntax: "[COUNT count] [BLOCK milliseconds] STREAMS streams=(key [key ...] id [id ...])",
        summary: "Read what came after an id, of one or more streams; wait for it if asked to.",
        complexity: "O(N), N entries returned",
        flags: READONLY.with(BLOCKING),
        keys: Keys::Half { word: "STREAMS", from: 1 },
        run: read::xread,
        ..READER
    },
    Command {
        name: "XREADGROUP",
        syntax: "GROUP group-block=(group consumer) [COUNT count] [BLOCK milliseconds] [NOACK] STREAMS streams=(key \
                 [key ...] id [id ...])",
        summary: "Read as a consumer of a group what no other has been given, or again what is pending.",
        complexity: "O(N), N entries returned",
        flags: WRITE.with(BLOCKING),
        keys: Keys::Half { word: "STREAMS", from: 4 },
        run: read::xreadgroup,
        ..READER
    },
    Command {
        name: "XREVRANGE",
        syntax: "key end:string start:string [COUNT count]",
        summary: "Read the entries between two ids, last first.",
        complexity: "O(N), N entries returned",
        history: &[("6.2.0", "Ranges without their ends.")],
        run: read::xrevrange,
        ..READER
    },
    Command {
        name: "XSETID",
        syntax: "key last-id [ENTRIESADDED entries-added:integer@7.0.0] [MAXDELETEDID max-deleted-id@7.0.0]",
        summary: "Set the last id of a stream: for replicas and append only files.",
        history: &[("7.0.0", "`ENTRIESADDED` and `MAXDELETEDID`.")],
        flags: WRITE.with(DENYOOM).with(FAST),
        run: add::xsetid,
        ..READER
    },
    Command {
        name: "XTRIM",
        syntax: "key trim=(strategy=<MAXLEN | MINID@6.2.0> operator=[equal== | approximately=~] threshold [LIMIT \
                 count@6.2.0])",
        summary: "Remove the oldest entries, down to a length or up to an id.",
        complexity: "O(N), N entries removed",
        history: &[("6.2.0", "`MINID` and `LIMIT`.")],
        flags: WRITE,
        tips: ANY_OUTPUT,
        run: add::xtrim,
        ..READER
    },
];

const INVALID_ID: Refusal = Refusal::new("ERR Invalid stream ID specified as stream command argument");

/// An id without `-` and `+`; a missing second part is `missing`.
fn strict_id(text: &[u8], missing: u64) -> Result<Id, Refusal> {
    Id::parse(text, missing).ok_or(INVALID_ID)
}

/// An id, or `-` or `+` for the first or last there can be.
fn loose_id(text: &[u8], missing: u64) -> Result<Id, Refusal> {
    match text {
        b"-" => Ok(Id::MIN),
        b"+" => Ok(Id::MAX),
        _ => strict_id(text, missing),
    }
}

/// The lower end of an interval; `(` leaves the id itself out.
fn interval_start(text: &[u8]) -> Result<Id, Refusal> {
    match text {
        [b'(', id @ ..] if !id.is_empty() => {
            strict_id(id, 0)?.next().ok_or(Refusal::new("ERR invalid start ID for the interval"))
        }
        _ => loose_id(text, 0),
    }
}

/// The upper end of an interval.
fn interval_end(text: &[u8]) -> Result<Id, Refusal> {
    match text {
        [b'(', id @ ..] if !id.is_empty() => {
            strict_id(id, u64::MAX)?.previous().ok_or(Refusal::new("ERR invalid end ID for the interval"))
        }
        _ => loose_id(text, u64::MAX),
    }
}

fn no_group(group: &[u8], key: &[u8]) -> Refusal {
    let (group, key) = (carry::printed(group), carry::printed(key));
    Refusal::from(format!("NOGROUP No such consumer group '{group}' for key name '{key}'"))
}

fn no_key_or_group(key: &[u8], group: &[u8]) -> Refusal {
    Refusal::from(format!(
        "NOGROUP No such key '{}' or consumer group '{}'",
        carry::printed(key),
        carry::printed(group)
    ))
}

fn id_reply(id: Id) -> Reply {
    Reply::bulk(id.to_string())
}

/// An entry as clients see it: its id, and names and values in turn.
fn entry_reply(entry: &Entry) -> Reply {
    Reply::Array(vec![id_reply(entry.id), Reply::bulks(entry.fields())])
}

/// A change that concerns a stream's groups or ids, not its entries: nobody who watches the key or waits for it hears.
fn noted(call: &mut Call, event: &'static str, key: &Bytes) {
    call.server.dirty += 1;
    call.measure(key);
    call.notify(Class::Stream, event, key);
}

fn word(word: &str) -> Bytes {
    Bytes::from(word)
}

fn number(n: impl std::fmt::Display) -> Bytes {
    Bytes::from(n.to_string())
}
