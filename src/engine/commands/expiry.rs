//! When keys stop existing: EXPIRE and its kin set it, TTL and its kin tell it.
//!
//! A span or a moment, in seconds or milliseconds, becomes one moment in ms. If that has passed, the key is deleted at
//! once and this is propagated as DEL; else as PEXPIREAT, because a span would begin anew for a replica or after a restart.

use crate::base::{Bytes, Millis};
use crate::engine::call::Call;
use crate::engine::command::{Command, FAST, ONE_KEY, Outcome, READONLY, WRITE};
use crate::engine::notify::Class;
use crate::engine::refusal::{self, Refusal};
use crate::engine::value::string::parse_int;
use crate::resp::Reply;

const SETS: Command = Command { acl: &["keyspace"], flags: WRITE.with(FAST), keys: ONE_KEY, ..Command::GENERIC };
const TELLS: Command = Command { flags: READONLY.with(FAST), ..SETS };

pub const COMMANDS: &[Command] = &[
    Command {
        name: "EXPIRE",
        syntax: "key seconds condition=[NX | XX | GT | LT]@7.0.0",
        summary: "Let a key expire in so many seconds.",
        history: &[("7.0.0", "`NX`, `XX`, `GT` and `LT`.")],
        run: |call| expire(call, Clock::Span, 1000),
        ..SETS
    },
    Command {
        name: "EXPIREAT",
        syntax: "key unix-time-seconds condition=[NX | XX | GT | LT]@7.0.0",
        summary: "Let a key expire at a moment, in seconds since 1970.",
        since: "1.2.0",
        history: &[("7.0.0", "`NX`, `XX`, `GT` and `LT`.")],
        run: |call| expire(call, Clock::Moment, 1000),
        ..SETS
    },
    Command {
        name: "EXPIRETIME",
        syntax: "key",
        summary: "The moment at which a key expires, in seconds since 1970.",
        since: "7.0.0",
        run: |call| Ok(told(call, |at, _| rounded_secs(at))),
        ..TELLS
    },
    Command {
        name: "PERSIST",
        syntax: "key",
        summary: "Drop the expiry of a key.",
        since: "2.2.0",
        run: persist,
        ..SETS
    },
    Command {
        name: "PEXPIRE",
        syntax: "key milliseconds condition=[NX | XX | GT | LT]@7.0.0",
        summary: "Let a key expire in so many milliseconds.",
        since: "2.6.0",
        history: &[("7.0.0", "`NX`, `XX`, `GT` and `LT`.")],
        run: |call| expire(call, Clock::Span, 1),
        ..SETS
    },
    Command {
        name: "PEXPIREAT",
        syntax: "key unix-time-milliseconds condition=[NX | XX | GT | LT]@7.0.0",
        summary: "Let a key expire at a moment, in milliseconds since 1970.",
        since: "2.6.0",
        history: &[("7.0.0", "`NX`, `XX`, `GT` and `LT`.")],
        run: |call| expire(call, Clock::Moment, 1),
        ..SETS
    },
    Command {
        name: "PEXPIRETIME",
        syntax: "key",
        summary: "The moment at which a key expires, in milliseconds since 1970.",
        since: "7.0.0",
        run: |call| Ok(told(call, |at, _| at)),
        ..TELLS
    },
    Command {
        name: "PTTL",
        syntax: "key",
        summary: "How long a key has to live, in milliseconds.",
        since: "2.6.0",
        history: &[("2.8.0", "Answers -2 if there is no such key.")],
        tips: &["nondeterministic_output"],
        run: |call| Ok(told(call, Millis::since)),
        ..TELLS
    },
    Command {
        name: "TTL",
        syntax: "key",
        summary: "How long a key has to live, in seconds.",
        history: &[("2.8.0", "Answers -2 if there is no such key.")],
        tips: &["nondeterministic_output"],
        run: |call| Ok(told(call, |at, now| rounded_secs(at.since(now)))),
        ..TELLS
    },
];

/// What the number of an EXPIRE counts from.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Clock {
    Span,
    Moment,
}

/// When an expiry is to be changed at all.
#[derive(Default)]
struct Conditions {
    nx: bool,
    xx: bool,
    gt: bool,
    lt: bool,
}

impl Conditions {
    fn parse(args: &[Bytes]) -> Result<Conditions, Refusal> {
        let mut these = Conditions::default();
        for word in args {
            match &word.to_ascii_lowercase()[..] {
                b"nx" => these.nx = true,
                b"xx" => these.xx = true,
                b"gt" => these.gt = true,
                b"lt" => these.lt = true,
                _ => return Err(Refusal::from(format!("ERR Unsupported option {}", word.printed()))),
            }
        }
        if these.nx && (these.xx || these.gt || these.lt) {
            let text = "ERR NX and XX, GT or LT options at the same time are not compatible";
            return Err(Refusal::new(text));
        }
        if these.gt && these.lt {
            return Err(Refusal::new("ERR GT and LT options at the same time are not compatible"));
        }
        Ok(these)
    }

    /// No expiry counts as one that never comes.
    fn allow(&self, at: i64, current: Option<Millis>) -> bool {
        let current = current.map(|at| at.0 as i64);
        !(self.nx && current.is_some()
            || self.xx && current.is_none()
            || self.gt && current.is_none_or(|current| at <= current)
            || self.lt && current.is_some_and(|current| at >= current))
    }
}

fn expire(call: &mut Call, clock: Clock, scale: i64) -> Outcome {
    let key = &call.args[1];
    let conditions = Conditions::parse(&call.args[3..])?;
    let n = parse_int(&call.args[2]).ok_or(refusal::NOT_INTEGER)?;
    let base = if clock == Clock::Span { call.now.0 as i64 } else { 0 };
    let at = n.checked_mul(scale).and_then(|ms| ms.checked_add(base));
    let at = at.ok_or_else(|| super::string::invalid_expire_time(call))?;
    if call.write_value(key).is_none() || !conditions.allow(at, call.expires_at(key)) {
        return Ok(Reply::Int(0));
    }
    if at <= call.now.0 as i64 && call.server.expires_keys() {
        call.remove(key);
        call.changed(Class::Generic, "del", key);
        call.propagate_as(vec![call.server.deletion("lazyfree-lazy-expire", key)]);
        return Ok(Reply::Int(1));
    }
    call.set_expiry(key, Some(Millis(at.max(1) as u64)));
    call.changed(Class::Generic, "expire", key);
    let mut propagated = vec![Bytes::from("PEXPIREAT"), key.clone(), Bytes::from(at.to_string())];
    propagated.extend_from_slice(&call.args[3..]);
    call.propagate_as(vec![propagated]);
    Ok(Reply::Int(1))
}

fn persist(call: &mut Call) -> Outcome {
    let key = &call.args[1];
    if call.write_value(key).is_none() || call.expires_at(key).is_none() {
        return Ok(Reply::Int(0));
    }
    call.set_expiry(key, None);
    call.changed(Class::Generic, "persist", key);
    Ok(Reply::Int(1))
}

/// -2 for a key that does not exist, -1 for one that does not expire, else what `tell` makes of its moment and of now.
fn told(call: &mut Call, tell: impl Fn(Millis, Millis) -> Millis) -> Reply {
    let (key, now) = (&call.args[1], call.now);
    Reply::Int(match call.look(key).map(|slot| slot.expires_at()) {
        None => -2,
        Some(None) => -1,
        Some(Some(at)) => tell(at, now).0 as i64,
    })
}

fn rounded_secs(ms: Millis) -> Millis {
    Millis((ms.0 + 500) / 1000)
}
