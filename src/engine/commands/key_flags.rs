//! What commands do with their keys: the facts that COMMAND INFO and GETKEYSANDFLAGS show and that no flag tells.
//!
//! RO reads, RW reads and writes, OW overwrites, RM removes the key; `access` returns data of it, `update`, `insert` and
//! `delete` say what happens to that data. Source: the JSON files of Redis 7.2's commands.

use crate::base::Bytes;
use crate::engine::command::{self, Command};

/// The flags of the first and of further keys (or of the rest of them), and the commands that have these.
const FLAGS: &[(&[&str], &[&str])] = &[
    (
        &["RO"],
        &[
            "EXISTS",
            "HEXISTS",
            "HLEN",
            "HSTRLEN",
            "LLEN",
            "MEMORY USAGE",
            "OBJECT ENCODING",
            "OBJECT FREQ",
            "OBJECT IDLETIME",
            "OBJECT REFCOUNT",
            "SCARD",
            "SISMEMBER",
            "STRLEN",
            "TOUCH",
            "TYPE",
            "XLEN",
            "ZCARD",
        ],
    ),
    (
        &["RW update"],
        &[
            "EXPIRE",
            "EXPIREAT",
            "GEOADD",
            "HMSET",
            "HSET",
            "LSET",
            "PERSIST",
            "PEXPIRE",
            "PEXPIREAT",
            "SETRANGE",
            "XACK",
            "XADD",
            "XCLAIM",
            "XGROUP SETID",
            "XSETID",
            "ZADD",
        ],
    ),
    (
        &["RW access delete"],
        &[
            "BLMPOP", "BLPOP", "BRPOP", "BZMPOP", "BZPOPMAX", "BZPOPMIN", "GETDEL", "LMPOP", "LPOP", "RPOP", "SPOP",
            "ZMPOP", "ZPOPMAX", "ZPOPMIN",
        ],
    ),
    (
        &["RW delete"],
        &[
            "HDEL",
            "LREM",
            "LTRIM",
            "SREM",
            "XAUTOCLAIM",
            "XDEL",
            "XGROUP DELCONSUMER",
            "XGROUP DESTROY",
            "XTRIM",
            "ZREM",
            "ZREMRANGEBYLEX",
            "ZREMRANGEBYRANK",
            "ZREMRANGEBYSCORE",
        ],
    ),
    (
        &["RW insert"],
        &[
            "APPEND",
            "HSETNX",
            "LINSERT",
            "LPUSH",
            "LPUSHX",
            "PFADD",
            "RPUSH",
            "RPUSHX",
            "SADD",
            "XGROUP CREATE",
            "XGROUP CREATECONSUMER",
        ],
    ),
    (
        &["OW update", "RO access"],
        &[
            "BITOP",
            "GEOSEARCHSTORE",
            "SDIFFSTORE",
            "SUNIONSTORE",
            "ZDIFFSTORE",
            "ZINTERSTORE",
            "ZRANGESTORE",
            "ZUNIONSTORE",
        ],
    ),
    (&["RW access delete", "RW insert"], &["BLMOVE", "BRPOPLPUSH", "LMOVE", "RPOPLPUSH", "SMOVE"]),
    (&["OW update"], &["MSET", "PSETEX", "RESTORE-ASKING", "RESTORE", "SETEX"]),
    (&["RW access update"], &["EVAL", "EVALSHA", "FCALL"]),
    (&["not_key"], &["SPUBLISH", "SSUBSCRIBE", "SUNSUBSCRIBE"]),
    (&["RM delete"], &["DEL", "UNLINK"]),
    (&["RO access", "OW update", "OW update"], &["GEORADIUS", "GEORADIUSBYMEMBER"]),
    (&["OW insert"], &["MSETNX", "SETNX"]),
    (&["RW access"], &["PFCOUNT", "PFDEBUG"]),
    (&["RW update access variable_flags"], &["BITFIELD"]),
    (&["RO access", "OW update"], &["COPY"]),
    (&["RW access delete", "RW access delete incomplete"], &["MIGRATE"]),
    (&["RW access insert", "RO access"], &["PFMERGE"]),
    (&["RW access delete", "OW update"], &["RENAME"]),
    (&["RW access delete", "OW insert"], &["RENAMENX"]),
    (&["RW access update variable_flags"], &["SET"]),
    (&["RW update", "RO access"], &["SINTERSTORE"]),
    (&["RO access", "RO access", "OW update"], &["SORT"]),
    (&["RO access"], &["XREADGROUP"]),
];

/// One text of flags for each group of keys; what follows from the command's own flags if it is not in the table.
pub fn of(command: &Command) -> &'static [&'static str] {
    let known = FLAGS.iter().find(|(_, names)| names.contains(&command.name)).map(|(flags, _)| *flags);
    known.unwrap_or(match (command.flags.has(command::WRITE), command.flags.has(command::READONLY)) {
        (true, _) => &["RW access update"],
        (_, true) => &["RO access"],
        _ => &["RO"],
    })
}

/// The places of the keys in a call, with what is done with each: options may change that.
pub fn of_call(command: &Command, args: &[Bytes]) -> Vec<(usize, &'static str)> {
    let has = |word: &str, from: usize| args.iter().skip(from).any(|arg| arg.eq_ignore_ascii_case(word.as_bytes()));
    let flags: &[&'static str] = match command.name {
        // Without GET the old value is not looked at.
        "SET" if has("GET", 3) => &["RW access update"],
        "SET" => &["OW update"],
        "BITFIELD" if only_gets(args.get(2..).unwrap_or_default()) => &["RO access"],
        "BITFIELD" => &["RW access update"],
        // The second key is that behind STORE: those that BY and GET point to are not known.
        "SORT" => &["RO access", "OW update"],
        _ => of(command),
    };
    let places = command.key_places(args).into_iter().enumerate();
    places.map(|(nth, place)| (place, flags[nth.min(flags.len() - 1)])).collect()
}

/// Whether operations of BITFIELD only read.
fn only_gets(mut rest: &[Bytes]) -> bool {
    while let Some(word) = rest.first() {
        let len = match word.to_ascii_lowercase().as_slice() {
            b"get" => 3,
            b"overflow" => 2,
            _ => return false,
        };
        if rest.len() < len {
            return false;
        }
        rest = &rest[len..];
    }
    true
}
