//! Strings: reading, writing, counting, and parts of strings.

mod lcs;
mod set;

pub(super) use set::invalid_expire_time;

use crate::base::{Bytes, float};
use crate::engine::call::Call;
use crate::engine::command::{ALL_KEYS, Command, DENYOOM, FAST, Keys, ONE_KEY, Outcome, READONLY, TWO_KEYS, WRITE};
use crate::engine::notify::Class;
use crate::engine::refusal::{self, Refusal};
use crate::engine::value::{Kind, Str};
use crate::resp::Reply;

const KEYS_AND_VALUES: Keys = Keys::Range { first: 1, last: -1, step: 2 };

pub const COMMANDS: &[Command] = &[
    Command {
        name: "APPEND",
        syntax: "key value",
        summary: "Add to the end of a string; begin it if it is not there.",
        since: "2.0.0",
        flags: WRITE.with(DENYOOM).with(FAST),
        keys: ONE_KEY,
        run: append,
        ..Command::STRING
    },
    Command {
        name: "DECR",
        syntax: "key",
        summary: "Count an integer down by one; a missing key counts as 0.",
        flags: WRITE.with(DENYOOM).with(FAST),
        keys: ONE_KEY,
        run: |call| add(call, -1),
        ..Command::STRING
    },
    Command {
        name: "DECRBY",
        syntax: "key decrement:integer",
        summary: "Subtract from an integer; a missing key counts as 0.",
        flags: WRITE.with(DENYOOM).with(FAST),
        keys: ONE_KEY,
        run: decrby,
        ..Command::STRING
    },
    Command {
        name: "GET",
        syntax: "key",
        summary: "Read a string.",
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
        flags: WRITE.with(FAST),
        keys: ONE_KEY,
        run: getdel,
        ..Command::STRING
    },
    Command {
        name: "GETEX",
        syntax: "key expiration=[EX seconds | PX milliseconds | EXAT unix-time-seconds | PXAT unix-time-milliseconds \
                 | PERSIST]",
        summary: "Read a string and set or drop its expiry.",
        since: "6.2.0",
        flags: WRITE.with(FAST),
        keys: ONE_KEY,
        run: set::getex,
        ..Command::STRING
    },
    Command {
        name: "GETRANGE",
        syntax: "key start end",
        summary: "Read a part of a string, by byte positions; negative ones count from the end.",
        since: "2.4.0",
        complexity: "O(N), N the length of what is returned",
        flags: READONLY,
        keys: ONE_KEY,
        run: getrange,
        ..Command::STRING
    },
    Command {
        name: "GETSET",
        syntax: "key value",
        summary: "Set a string and return what it was before.",
        deprecated: Some(("6.2.0", "`SET` with `GET`")),
        flags: WRITE.with(DENYOOM).with(FAST),
        keys: ONE_KEY,
        run: getset,
        ..Command::STRING
    },
    Command {
        name: "INCR",
        syntax: "key",
        summary: "Count an integer up by one; a missing key counts as 0.",
        flags: WRITE.with(DENYOOM).with(FAST),
        keys: ONE_KEY,
        run: |call| add(call, 1),
        ..Command::STRING
    },
    Command {
        name: "INCRBY",
        syntax: "key increment",
        summary: "Add to an integer; a missing key counts as 0.",
        flags: WRITE.with(DENYOOM).with(FAST),
        keys: ONE_KEY,
        run: |call| {
            let by = call.int(2)?;
            add(call, by)
        },
        ..Command::STRING
    },
    Command {
        name: "INCRBYFLOAT",
        syntax: "key increment:double",
        summary: "Add to a decimal number; a missing key counts as 0.",
        since: "2.6.0",
        flags: WRITE.with(DENYOOM).with(FAST),
        keys: ONE_KEY,
        run: incrbyfloat,
        ..Command::STRING
    },
    Command {
        name: "LCS",
        syntax: "key1:key key2:key [LEN] [IDX] [MINMATCHLEN min-match-len:integer] [WITHMATCHLEN]",
        summary: "The longest text that two strings share, in order but with gaps.",
        since: "7.0.0",
        complexity: "O(N*M), N and M the lengths of the two strings",
        flags: READONLY,
        keys: TWO_KEYS,
        run: lcs::lcs,
        ..Command::STRING
    },
    Command {
        name: "MGET",
        syntax: "key [key ...]",
        summary: "Read several strings at once.",
        complexity: "O(N), N the number of keys",
        flags: READONLY.with(FAST),
        keys: ALL_KEYS,
        tips: &["request_policy:multi_shard"],
        run: mget,
        ..Command::STRING
    },
    Command {
        name: "MSET",
        syntax: "data=(key value) [key value ...]",
        summary: "Set several strings at once.",
        since: "1.0.1",
        complexity: "O(N), N the number of keys",
        flags: WRITE.with(DENYOOM),
        keys: KEYS_AND_VALUES,
        tips: &["request_policy:multi_shard", "response_policy:all_succeeded"],
        run: |call| mset(call).map(|()| Reply::OK),
        ..Command::STRING
    },
    Command {
        name: "MSETNX",
        syntax: "data=(key value) [key value ...]",
        summary: "Set several strings at once, but only if none of the keys exists.",
        since: "1.0.1",
        complexity: "O(N), N the number of keys",
        flags: WRITE.with(DENYOOM),
        keys: KEYS_AND_VALUES,
        run: msetnx,
        ..Command::STRING
    },
    Command {
        name: "PSETEX",
        syntax: "key milliseconds value",
        summary: "Set a string that expires, in milliseconds.",
        since: "2.6.0",
        deprecated: Some(("2.6.12", "`SET` with `PX`")),
        flags: WRITE.with(DENYOOM),
        keys: ONE_KEY,
        run: |call| set::setex(call, set::Unit::Millis),
        ..Command::STRING
    },
    Command {
        name: "SET",
        syntax: "key value condition=[NX | XX]@2.6.12 [GET@6.2.0] expiration=[EX seconds@2.6.12 | PX \
                 milliseconds@2.6.12 | EXAT unix-time-seconds@6.2.0 | PXAT unix-time-milliseconds@6.2.0 | \
                 KEEPTTL@6.0.0]",
        summary: "Set a string, whatever the key held before.",
        history: &[
            ("2.6.12", "`EX`, `PX`, `NX` and `XX`."),
            ("6.0.0", "`KEEPTTL`."),
            ("6.2.0", "`GET`, `EXAT` and `PXAT`."),
            ("7.0.0", "`NX` and `GET` go together."),
        ],
        flags: WRITE.with(DENYOOM),
        keys: ONE_KEY,
        run: set::set,
        ..Command::STRING
    },
    Command {
        name: "SETEX",
        syntax: "key seconds value",
        summary: "Set a string that expires, in seconds.",
        since: "2.0.0",
        deprecated: Some(("2.6.12", "`SET` with `EX`")),
        flags: WRITE.with(DENYOOM),
        keys: ONE_KEY,
        run: |call| set::setex(call, set::Unit::Seconds),
        ..Command::STRING
    },
    Command {
        name: "SETNX",
        syntax: "key value",
        summary: "Set a string only if its key does not exist.",
        deprecated: Some(("2.6.12", "`SET` with `NX`")),
        flags: WRITE.with(DENYOOM).with(FAST),
        keys: ONE_KEY,
        run: setnx,
        ..Command::STRING
    },
    Command {
        name: "SETRANGE",
        syntax: "key offset value",
        summary: "Overwrite a part of a string from a byte position on, filling a gap with zero bytes.",
        since: "2.2.0",
        complexity: "O(M), M the length of the value",
        flags: WRITE.with(DENYOOM),
        keys: ONE_KEY,
        run: setrange,
        ..Command::STRING
    },
    Command {
        name: "STRLEN",
        syntax: "key",
        summary: "The length of a string in bytes.",
        since: "2.2.0",
        flags: READONLY.with(FAST),
        keys: ONE_KEY,
        run: strlen,
        ..Command::STRING
    },
    Command {
        name: "SUBSTR",
        syntax: "key start end",
        summary: "The old name of GETRANGE.",
        complexity: "O(N), N the length of what is returned",
        deprecated: Some(("2.0.0", "`GETRANGE`")),
        flags: READONLY,
        keys: ONE_KEY,
        run: getrange,
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
    call.propagate_as(vec![vec![Bytes::from("DEL"), key.clone()]]);
    Ok(Reply::Bulk(text))
}

fn getset(call: &mut Call) -> Outcome {
    let (key, value) = (&call.args[1], &call.args[2]);
    let before = call.read::<Str>(key)?.map(Str::to_bytes);
    call.insert(key, Str::new(value.clone()).into_value());
    call.changed(Class::String, "set", key);
    call.propagate_as(vec![vec![Bytes::from("SET"), key.clone(), value.clone()]]);
    Ok(before.into())
}

fn setnx(call: &mut Call) -> Outcome {
    let (key, value) = (&call.args[1], &call.args[2]);
    if call.write_value(key).is_some() {
        return Ok(Reply::Int(0));
    }
    call.insert(key, Str::new(value.clone()).into_value());
    call.changed(Class::String, "set", key);
    Ok(Reply::Int(1))
}

fn mget(call: &mut Call) -> Outcome {
    let keys = &call.args[1..];
    call.db_ref().warm(keys.iter().map(|key| &**key));
    // A key that holds something else reads as nil here, not as an error.
    let read = |key: &Bytes| call.read_value(key).and_then(Str::of).map_or(Reply::Nil, |s| Reply::Bulk(s.to_bytes()));
    Ok(Reply::Array(keys.iter().map(read).collect()))
}

fn mset(call: &mut Call) -> Result<(), Refusal> {
    check_pairs(call)?;
    call.db_ref().warm(call.args[1..].iter().step_by(2).map(|key| &**key));
    for pair in call.args[1..].chunks_exact(2) {
        call.insert(&pair[0], Str::new(pair[1].clone()).into_value());
        call.changed(Class::String, "set", &pair[0]);
    }
    Ok(())
}

fn msetnx(call: &mut Call) -> Outcome {
    check_pairs(call)?;
    if call.args[1..].chunks_exact(2).any(|pair| call.write_value(&pair[0]).is_some()) {
        return Ok(Reply::Int(0));
    }
    mset(call).map(|()| Reply::Int(1))
}

fn check_pairs(call: &Call) -> Result<(), Refusal> {
    if call.args.len().is_multiple_of(2) { Err(refusal::wrong_arity(call.command.name)) } else { Ok(()) }
}

/// INCR and its kin. Err: not an integer, overflow.
fn add(call: &mut Call, by: i64) -> Outcome {
    let key = &call.args[1];
    let sum = match call.write::<Str>(key)? {
        Some(string) => {
            let before = string.as_int().ok_or(refusal::NOT_INTEGER)?;
            let sum = before.checked_add(by);
            let sum = sum.ok_or(Refusal::new("ERR increment or decrement would overflow"))?;
            *string = Str::Int(sum);
            sum
        }
        None => {
            call.insert_missing(key, Str::Int(by).into_value());
            by
        }
    };
    call.changed(Class::String, "incrby", key);
    Ok(Reply::Int(sum))
}

fn decrby(call: &mut Call) -> Outcome {
    let by = call.int(2)?;
    let by = by.checked_neg().ok_or(Refusal::new("ERR decrement would overflow"))?;
    add(call, by)
}

fn incrbyfloat(call: &mut Call) -> Outcome {
    let (key, by) = (&call.args[1], &call.args[2]);
    let before = call.write::<Str>(key)?.map_or(Bytes::from("0"), |string| string.to_bytes());
    let sum = float::add(&before, by).map_err(|fault| match fault {
        float::Fault::NotFloat => refusal::NOT_FLOAT,
        float::Fault::NotFinite => Refusal::new("ERR increment would produce NaN or Infinity"),
    })?;
    let sum = Bytes::from(sum);
    // Even a whole number is kept as text.
    call.put(key, Str::text_of(sum.clone()).into_value(), true);
    call.changed(Class::String, "incrbyfloat", key);
    let set = [Bytes::from("SET"), key.clone(), sum.clone(), Bytes::from("KEEPTTL")];
    call.propagate_as(vec![set.to_vec()]);
    Ok(Reply::Bulk(sum))
}

fn append(call: &mut Call) -> Outcome {
    let (key, tail) = (&call.args[1], &call.args[2]);
    let max = max_len(call);
    let len = match call.write::<Str>(key)? {
        Some(string) => {
            check_len(string.len(), tail.len(), max)?;
            let bytes = string.raw_mut();
            bytes.extend(tail);
            bytes.len()
        }
        None => {
            call.insert(key, Str::new(tail.clone()).into_value());
            tail.len()
        }
    };
    call.changed(Class::String, "append", key);
    Ok(len.into())
}

fn strlen(call: &mut Call) -> Outcome {
    let key = &call.args[1];
    Ok(call.read::<Str>(key)?.map_or(0, Str::len).into())
}

fn setrange(call: &mut Call) -> Outcome {
    let (key, part) = (&call.args[1], &call.args[3]);
    let offset = call.int(2)?;
    let offset = usize::try_from(offset).map_err(|_| Refusal::new("ERR offset is out of range"))?;
    let max = max_len(call);
    let len = call.write::<Str>(key)?.map(|string| string.len());
    if part.is_empty() {
        return Ok(len.unwrap_or(0).into());
    }
    check_len(offset, part.len(), max)?;
    let bytes = call.peek_or_insert(key, || Str::Raw(Bytes::new()))?.raw_mut();
    let end = offset + part.len();
    if bytes.len() < end {
        bytes.resize(end, 0);
    }
    bytes[offset..end].copy_from_slice(part);
    let len = bytes.len();
    call.changed(Class::String, "setrange", key);
    Ok(len.into())
}

fn getrange(call: &mut Call) -> Outcome {
    let key = &call.args[1];
    let (start, end) = (call.int(2)?, call.int(3)?);
    let Some(string) = call.read::<Str>(key)? else { return Ok(Reply::bulk("")) };
    let text = string.text();
    let part = byte_range(start, end, text.len()).map_or(&[][..], |(first, last)| &text[first..=last]);
    Ok(Reply::bulk(part))
}

/// The bytes from `start` to `end`, both included and counted from the end if negative, of a string of `len`.
pub(super) fn byte_range(start: i64, end: i64, len: usize) -> Option<(usize, usize)> {
    if start < 0 && end < 0 && start > end {
        return None;
    }
    let len = len as i64;
    let from_front = |at: i64| if at < 0 { at.saturating_add(len).max(0) } else { at };
    let (first, last) = (from_front(start), from_front(end).min(len - 1));
    (first <= last && len > 0).then_some((first as usize, last as usize))
}

/// The longest string that may be made: proto-max-bulk-len, in bytes. What another server has made is made here too.
pub(super) fn max_len(call: &Call) -> u64 {
    if call.obeys() { u64::MAX } else { call.server.config.proto_max_bulk_len }
}

/// Refuses to make a string of `len + more` bytes if that is over `max`.
fn check_len(len: usize, more: usize, max: u64) -> Result<(), Refusal> {
    match (len as u64).checked_add(more as u64) {
        Some(total) if total <= max => Ok(()),
        _ => Err(Refusal::new("ERR string exceeds maximum allowed size (proto-max-bulk-len)")),
    }
}

#[cfg(test)]
mod tests {
    use crate::engine::testing::Lab;
    use crate::resp::Reply;

    // A replica with a lower limit than its primary refused the write, and from then on the two differed.
    #[test]
    fn what_a_primary_or_a_file_makes_may_be_longer_than_clients_may_make_it() {
        let mut lab = Lab::new(1);
        lab.instance.config.proto_max_bulk_len = 4;
        lab.ask(&["SET", "cart:42", "app"]);
        assert!(lab.ask(&["APPEND", "cart:42", "les"]).is_error());
        assert!(lab.ask(&["SETBIT", "bits", "32", "1"]).is_error());
        lab.instance.persist.loading = true;
        assert_eq!(lab.ask(&["APPEND", "cart:42", "les"]), Reply::Int(6));
        assert_eq!(lab.ask(&["SETBIT", "bits", "32", "1"]), Reply::Int(0));
    }
}
