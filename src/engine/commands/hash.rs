//! Hashes: fields with values under one key.

use super::{sample, scan};
use crate::base::{Bytes, float};
use crate::engine::call::Call;
use crate::engine::command::{Command, DENYOOM, FAST, ONE_KEY, Outcome, READONLY, WRITE};
use crate::engine::notify::Class;
use crate::engine::refusal::{self, Refusal};
use crate::engine::value::Hash;
use crate::engine::value::string::parse_int;
use crate::resp::Reply;

const READER: Command = Command { since: "2.0.0", flags: READONLY, keys: ONE_KEY, ..Command::HASH };
const FAST_READER: Command = Command { flags: READONLY.with(FAST), ..READER };
const WRITER: Command = Command { flags: WRITE.with(DENYOOM).with(FAST), ..READER };
const ANY_ORDER: &[&str] = &["nondeterministic_output_order"];
const ANY_OUTPUT: &[&str] = &["nondeterministic_output"];

pub const COMMANDS: &[Command] = &[
    Command {
        name: "HSET",
        syntax: "key data=(field value) [field value ...]",
        summary: "Set fields of a hash; create the hash if there is none.",
        complexity: "O(1) for each field",
        history: &[("4.0.0", "Takes several fields.")],
        run: hset,
        ..WRITER
    },
    Command {
        name: "HGET",
        syntax: "key field",
        summary: "Read a field of a hash.",
        complexity: "O(1)",
        run: hget,
        ..FAST_READER
    },
    Command {
        name: "HGETALL",
        syntax: "key",
        summary: "Read all fields of a hash with their values.",
        complexity: "O(N), N fields in the hash",
        tips: ANY_ORDER,
        run: hgetall,
        ..READER
    },
    Command {
        name: "HMGET",
        syntax: "key field [field ...]",
        summary: "Read several fields of a hash.",
        complexity: "O(N), N fields asked for",
        run: hmget,
        ..FAST_READER
    },
    Command {
        name: "HMSET",
        syntax: "key data=(field value) [field value ...]",
        summary: "Set fields of a hash. HSET does the same.",
        complexity: "O(N), N fields set",
        deprecated: Some(("4.0.0", "`HSET` with several fields")),
        run: hset,
        ..WRITER
    },
    Command {
        name: "HSETNX",
        syntax: "key field value",
        summary: "Set a field of a hash unless it exists.",
        complexity: "O(1)",
        run: hsetnx,
        ..WRITER
    },
    Command {
        name: "HDEL",
        syntax: "key field [field ...]",
        summary: "Delete fields of a hash; the key goes with its last field.",
        complexity: "O(N), N fields to delete",
        history: &[("2.4.0", "Takes several fields.")],
        flags: WRITE.with(FAST),
        run: hdel,
        ..READER
    },
    Command {
        name: "HEXISTS",
        syntax: "key field",
        summary: "Tell whether a hash has a field.",
        complexity: "O(1)",
        run: hexists,
        ..FAST_READER
    },
    Command {
        name: "HLEN",
        syntax: "key",
        summary: "Count the fields of a hash.",
        complexity: "O(1)",
        run: hlen,
        ..FAST_READER
    },
    Command {
        name: "HSTRLEN",
        syntax: "key field",
        summary: "Tell how many bytes a field's value has.",
        since: "3.2.0",
        complexity: "O(1)",
        run: hstrlen,
        ..FAST_READER
    },
    Command {
        name: "HKEYS",
        syntax: "key",
        summary: "List the fields of a hash.",
        complexity: "O(N), N fields in the hash",
        tips: ANY_ORDER,
        run: hkeys,
        ..READER
    },
    Command {
        name: "HVALS",
        syntax: "key",
        summary: "List the values of a hash.",
        complexity: "O(N), N fields in the hash",
        tips: ANY_ORDER,
        run: hvals,
        ..READER
    },
    Command {
        name: "HINCRBY",
        syntax: "key field increment",
        summary: "Add to the integer in a field of a hash; a missing one counts as 0.",
        complexity: "O(1)",
        run: hincrby,
        ..WRITER
    },
    Command {
        name: "HINCRBYFLOAT",
        syntax: "key field increment:double",
        summary: "Add to the number in a field of a hash; a missing one counts as 0.",
        since: "2.6.0",
        complexity: "O(1)",
        run: hincrbyfloat,
        ..WRITER
    },
    Command {
        name: "HRANDFIELD",
        syntax: "key options=[count [WITHVALUES]]",
        summary: "Read random fields of a hash; a negative count allows repeats.",
        since: "6.2.0",
        complexity: "O(N), N fields returned",
        tips: ANY_OUTPUT,
        run: hrandfield,
        ..READER
    },
    Command {
        name: "HSCAN",
        syntax: "key cursor [MATCH pattern] [COUNT count]",
        summary: "Walk over the fields of a hash, some at a time.",
        since: "2.8.0",
        complexity: "O(1) for each call, O(N) for all of them, N elements",
        tips: ANY_OUTPUT,
        run: hscan,
        ..READER
    },
];

fn hset(call: &mut Call) -> Outcome {
    let (key, fields) = (&call.args[1], &call.args[2..]);
    if fields.len() % 2 == 1 {
        return Err(refusal::wrong_arity(call.command.name));
    }
    let (limits, seed) = (call.limits(), call.seed());
    let hash = call.write_or_insert(key, || Hash::new(seed))?;
    hash.expect(fields, &limits);
    let mut created = 0;
    for pair in fields.chunks_exact(2) {
        created += usize::from(hash.set(pair[0].clone(), pair[1].clone(), &limits).is_none());
    }
    call.changed(Class::Hash, "hset", key);
    call.dirty(fields.len() / 2 - 1);
    Ok(if call.command.name == "HSET" { Reply::from(created) } else { Reply::OK })
}

fn hsetnx(call: &mut Call) -> Outcome {
    let (key, field, value) = (&call.args[1], &call.args[2], &call.args[3]);
    let (limits, seed) = (call.limits(), call.seed());
    let hash = call.write_or_insert(key, || Hash::new(seed))?;
    if hash.contains(field) {
        return Ok(Reply::Int(0));
    }
    hash.set(field.clone(), value.clone(), &limits);
    call.changed(Class::Hash, "hset", key);
    Ok(Reply::Int(1))
}

fn hincrby(call: &mut Call) -> Outcome {
    let (key, field, by) = (&call.args[1], &call.args[2], call.int(3)?);
    let before = match call.write::<Hash>(key)?.and_then(|hash| hash.get(field)) {
        Some(value) => parse_int(value).ok_or(Refusal::new("ERR hash value is not an integer"))?,
        None => 0,
    };
    let after = before.checked_add(by).ok_or(Refusal::new("ERR increment or decrement would overflow"))?;
    set_field(call, key, field, Bytes::from(after.to_string()))?;
    call.changed(Class::Hash, "hincrby", key);
    Ok(Reply::Int(after))
}

fn hincrbyfloat(call: &mut Call) -> Outcome {
    let (key, field, by) = (&call.args[1], &call.args[2], &call.args[3]);
    // Adding to zero tells whether the increment itself is a finite number.
    float::add(b"0", by).map_err(|fault| match fault {
        float::Fault::NotFloat => refusal::NOT_FLOAT,
        float::Fault::NotFinite => Refusal::new("ERR value is NaN or Infinity"),
    })?;
    let before = call.write::<Hash>(key)?.and_then(|hash| hash.get(field)).cloned();
    let sum = float::add(before.as_deref().unwrap_or(b"0"), by).map_err(|fault| match fault {
        float::Fault::NotFloat => Refusal::new("ERR hash value is not a float"),
        float::Fault::NotFinite => Refusal::new("ERR increment would produce NaN or Infinity"),
    })?;
    let after = Bytes::from(sum);
    set_field(call, key, field, after.clone())?;
    call.changed(Class::Hash, "hincrbyfloat", key);
    // A replica whose floats differ must not count by itself.
    call.propagate_as(vec![vec![Bytes::from("HSET"), key.clone(), field.clone(), after.clone()]]);
    Ok(Reply::Bulk(after))
}

fn set_field(call: &mut Call, key: &Bytes, field: &Bytes, value: Bytes) -> Result<(), Refusal> {
    let (limits, seed) = (call.limits(), call.seed());
    call.peek_or_insert(key, || Hash::new(seed))?.set(field.clone(), value, &limits);
    Ok(())
}

fn hget(call: &mut Call) -> Outcome {
    let (key, field) = (&call.args[1], &call.args[2]);
    Ok(call.read::<Hash>(key)?.and_then(|hash| hash.get(field)).cloned().into())
}

fn hmget(call: &mut Call) -> Outcome {
    let (key, fields) = (&call.args[1], &call.args[2..]);
    let hash = call.read::<Hash>(key)?;
    let value = |field: &Bytes| hash.and_then(|hash| hash.get(field)).cloned().into();
    Ok(Reply::Array(fields.iter().map(value).collect()))
}

fn hdel(call: &mut Call) -> Outcome {
    let (key, fields) = (&call.args[1], &call.args[2..]);
    let Some(hash) = call.write::<Hash>(key)? else { return Ok(Reply::Int(0)) };
    let gone = fields.iter().filter(|field| hash.remove(field).is_some()).count();
    if gone > 0 {
        call.changed(Class::Hash, "hdel", key);
        call.dirty(gone - 1);
        call.remove_if_empty(key);
    }
    Ok(Reply::from(gone))
}

fn hlen(call: &mut Call) -> Outcome {
    let key = &call.args[1];
    Ok(Reply::from(call.read::<Hash>(key)?.map_or(0, Hash::len)))
}

fn hstrlen(call: &mut Call) -> Outcome {
    let (key, field) = (&call.args[1], &call.args[2]);
    Ok(Reply::from(call.read::<Hash>(key)?.and_then(|hash| hash.get(field)).map_or(0, |value| value.len())))
}

fn hexists(call: &mut Call) -> Outcome {
    let (key, field) = (&call.args[1], &call.args[2]);
    Ok(Reply::flag(call.read::<Hash>(key)?.is_some_and(|hash| hash.contains(field))))
}

fn hgetall(call: &mut Call) -> Outcome {
    let key = &call.args[1];
    let pair = |(field, value): (&Bytes, &Bytes)| (Reply::Bulk(field.clone()), Reply::Bulk(value.clone()));
    Ok(Reply::Map(call.read::<Hash>(key)?.map_or_else(Vec::new, |hash| hash.iter().map(pair).collect())))
}

fn hkeys(call: &mut Call) -> Outcome {
    list(call, |(field, _)| field.clone())
}

fn hvals(call: &mut Call) -> Outcome {
    list(call, |(_, value)| value.clone())
}

fn list(call: &mut Call, what: fn((&Bytes, &Bytes)) -> Bytes) -> Outcome {
    let key = &call.args[1];
    let hash = call.read::<Hash>(key)?;
    Ok(Reply::Array(hash.map_or_else(Vec::new, |hash| hash.iter().map(|pair| Reply::Bulk(what(pair))).collect())))
}

fn hrandfield(call: &mut Call) -> Outcome {
    let key = &call.args[1];
    let with_values = match call.args.len() {
        4 if call.is(3, "WITHVALUES") => true,
        4.. => {
            sample::count(call, 2, false)?;
            return Err(refusal::SYNTAX);
        }
        _ => false,
    };
    let count = if call.args.len() > 2 { Some(sample::count(call, 2, with_values)?) } else { None };
    let protocol = call.protocol;
    let Some(size) = call.read::<Hash>(key)?.map(Hash::len) else {
        return Ok(if count.is_some() { Reply::Array(Vec::new()) } else { Reply::Nil });
    };
    let picks = sample::positions(count.unwrap_or(1), size, call.rng)?;
    let hash = call.peek::<Hash>(key);
    let mut pairs = picks.into_iter().filter_map(|at| hash?.nth(at));
    if count.is_none() {
        return Ok(pairs.next().map(|(field, _)| field.clone()).into());
    }
    if !with_values {
        return Ok(Reply::Array(pairs.map(|(field, _)| Reply::Bulk(field.clone())).collect()));
    }
    Ok(sample::pairs_reply(pairs.map(|(f, v)| (Reply::Bulk(f.clone()), Reply::Bulk(v.clone()))), protocol))
}

fn hscan(call: &mut Call) -> Outcome {
    let (key, cursor, options) = (&call.args[1], scan::cursor(&call.args[2])?, &call.args[3..]);
    let Some(hash) = call.read::<Hash>(key)? else { return Ok(scan::nothing()) };
    let options = scan::Options::parse(options, false)?;
    let mut found = Vec::new();
    let next = options.walk(cursor, |at| {
        let mut visited = 0;
        let next = hash.scan(at, |field, value| {
            visited += 1;
            if options.matches(field) {
                found.extend([Reply::Bulk(field.clone()), Reply::Bulk(value.clone())]);
            }
        });
        (next, visited)
    });
    Ok(scan::reply(next, found))
}
