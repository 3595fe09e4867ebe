//! Taking the lowest or highest members out, also by clients that wait for one.

use super::pair;
use crate::base::Bytes;
use crate::engine::call::Call;
use crate::engine::command::Outcome;
use crate::engine::commands::{parse, sample};
use crate::engine::notify::Class;
use crate::engine::refusal::{self, Refusal};
use crate::engine::value::Zset;
use crate::resp::{Protocol, Reply};

#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Min,
    Max,
}

impl End {
    fn named(word: &[u8]) -> Option<End> {
        if word.eq_ignore_ascii_case(b"MIN") {
            Some(End::Min)
        } else if word.eq_ignore_ascii_case(b"MAX") {
            Some(End::Max)
        } else {
            None
        }
    }

    fn command(self) -> &'static str {
        if self == End::Min { "ZPOPMIN" } else { "ZPOPMAX" }
    }

    fn event(self) -> &'static str {
        if self == End::Min { "zpopmin" } else { "zpopmax" }
    }
}

pub fn zpopmin(call: &mut Call) -> Outcome {
    pop(call, End::Min)
}

pub fn zpopmax(call: &mut Call) -> Outcome {
    pop(call, End::Max)
}

fn pop(call: &mut Call, end: End) -> Outcome {
    let key = &call.args[1];
    let count = match call.args.len() {
        2 => None,
        3 => Some(parse::positive(call, 2)?),
        _ => return Err(refusal::SYNTAX),
    };
    let members = take(call, key, end, count.unwrap_or(1))?;
    // One member comes flat in both protocols, unless a count said that there may be several.
    let protocol = if count.is_some() { call.protocol } else { Protocol::Resp2 };
    Ok(sample::pairs_reply(members.iter().map(|(member, score)| pair((member, *score))), protocol))
}

/// Takes up to `count` members out of `key`, with all that follows from it; none if there is no such key.
fn take(call: &mut Call, key: &Bytes, end: End, count: usize) -> Result<Vec<(Bytes, f64)>, Refusal> {
    let Some(zset) = call.write::<Zset>(key)? else { return Ok(Vec::new()) };
    let (len, count) = (zset.len(), count.min(zset.len()));
    if count == 0 {
        return Ok(Vec::new());
    }
    let mut members = zset.remove_range(if end == End::Min { 0..count } else { len - count..len });
    if end == End::Max {
        members.reverse();
    }
    call.changed(Class::Zset, end.event(), key);
    call.dirty(count - 1);
    call.remove_if_empty(key);
    Ok(members)
}

/// The first of `keys` that holds a sorted set. Err: WRONGTYPE, if another type comes first.
fn first_zset<'a>(call: &mut Call, keys: &'a [Bytes]) -> Result<Option<&'a Bytes>, Refusal> {
    for key in keys {
        if call.write::<Zset>(key)?.is_some() {
            return Ok(Some(key));
        }
    }
    Ok(None)
}

pub fn zmpop(call: &mut Call) -> Outcome {
    let (keys, end, count) = many_arguments(call, 1)?;
    Ok(pop_many(call, keys, end, count)?.unwrap_or(Reply::NilArray))
}

pub fn bzmpop(call: &mut Call) -> Outcome {
    let (keys, end, count) = many_arguments(call, 2)?;
    let timeout = parse::timeout(call, 1)?;
    match pop_many(call, keys, end, count)? {
        Some(reply) => Ok(reply),
        None => call.block(keys, "zset", timeout, Reply::NilArray),
    }
}

/// Keys, end and count of ZMPOP and BZMPOP; the count of keys stands at argument `at`.
fn many_arguments<'a>(call: &Call<'a>, at: usize) -> Result<(&'a [Bytes], End, usize), Refusal> {
    let (keys, at) = parse::counted_keys(call, at, 1)?;
    let end = End::named(&call.args[at]).ok_or(refusal::SYNTAX)?;
    Ok((keys, end, parse::count_option(call, at + 1)?))
}

fn pop_many(call: &mut Call, keys: &[Bytes], end: End, count: usize) -> Result<Option<Reply>, Refusal> {
    let Some(key) = first_zset(call, keys)? else { return Ok(None) };
    let members = take(call, key, end, count)?;
    let taken = Bytes::from(members.len().to_string());
    call.propagate_as(vec![vec![Bytes::from(end.command()), key.clone(), taken]]);
    let pairs = members.into_iter().map(|(m, s)| Reply::Array(vec![Reply::Bulk(m), Reply::Double(s)])).collect();
    Ok(Some(Reply::Array(vec![Reply::Bulk(key.clone()), Reply::Array(pairs)])))
}

pub fn bzpopmin(call: &mut Call) -> Outcome {
    pop_or_wait(call, End::Min)
}

pub fn bzpopmax(call: &mut Call) -> Outcome {
    pop_or_wait(call, End::Max)
}

fn pop_or_wait(call: &mut Call, end: End) -> Outcome {
    let (keys, last) = (&call.args[1..call.args.len() - 1], call.args.len() - 1);
    let timeout = parse::timeout(call, last)?;
    let Some(key) = first_zset(call, keys)? else {
        return call.block(keys, "zset", timeout, Reply::NilArray);
    };
    let mut reply = vec![Reply::Bulk(key.clone())];
    for (member, score) in take(call, key, end, 1)? {
        reply.extend([Reply::Bulk(member), Reply::Double(score)]);
    }
    call.propagate_as(vec![vec![Bytes::from(end.command()), key.clone()]]);
    Ok(Reply::Array(reply))
}
