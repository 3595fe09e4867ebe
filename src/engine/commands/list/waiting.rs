//! Pops of several keys, and the commands that wait for an element.
//!
//! A blocking command first tries what its plain kin does. Only if there is nothing it waits; it is then run again from
//! the start when one of its keys gets a list. What reaches the AOF is the plain pop that took place.

use super::{move_ends, shift, take, take_one};
use crate::base::{Bytes, Millis};
use crate::engine::call::Call;
use crate::engine::command::Outcome;
use crate::engine::commands::parse;
use crate::engine::refusal::{self, Refusal};
use crate::engine::value::List;
use crate::engine::value::list::End;
use crate::resp::Reply;

pub fn blpop(call: &mut Call) -> Outcome {
    pop_or_wait(call, End::Head)
}

pub fn brpop(call: &mut Call) -> Outcome {
    pop_or_wait(call, End::Tail)
}

fn pop_or_wait(call: &mut Call, end: End) -> Outcome {
    let (keys, last) = (&call.args[1..call.args.len() - 1], call.args.len() - 1);
    let timeout = parse::timeout(call, last)?;
    let Some(key) = first_list(call, keys)? else {
        return call.block(keys, "list", timeout, Reply::NilArray);
    };
    let item = take_one(call, key, end)?.map_or(Reply::Nil, Reply::Bulk);
    call.propagate_as(vec![vec![Bytes::from(pop_name(end)), key.clone()]]);
    Ok(Reply::Array(vec![Reply::Bulk(key.clone()), item]))
}

/// The first of `keys` that holds a list. Err: WRONGTYPE, if another type comes first.
fn first_list<'a>(call: &mut Call, keys: &'a [Bytes]) -> Result<Option<&'a Bytes>, Refusal> {
    for key in keys {
        if call.write::<List>(key)?.is_some() {
            return Ok(Some(key));
        }
    }
    Ok(None)
}

fn pop_name(end: End) -> &'static str {
    if end == End::Head { "LPOP" } else { "RPOP" }
}

pub fn lmpop(call: &mut Call) -> Outcome {
    let (keys, end, count) = many_arguments(call, 1)?;
    Ok(pop_many(call, keys, end, count)?.unwrap_or(Reply::NilArray))
}

pub fn blmpop(call: &mut Call) -> Outcome {
    let (keys, end, count) = many_arguments(call, 2)?;
    let timeout = parse::timeout(call, 1)?;
    match pop_many(call, keys, end, count)? {
        Some(reply) => Ok(reply),
        None => call.block(keys, "list", timeout, Reply::NilArray),
    }
}

/// Keys, end and count of LMPOP and BLMPOP; the count of keys stands at argument `at`.
fn many_arguments<'a>(call: &Call<'a>, at: usize) -> Result<(&'a [Bytes], End, usize), Refusal> {
    let (keys, at) = parse::counted_keys(call, at, 1)?;
    let end = End::named(&call.args[at]).ok_or(refusal::SYNTAX)?;
    Ok((keys, end, parse::count_option(call, at + 1)?))
}

fn pop_many(call: &mut Call, keys: &[Bytes], end: End, count: usize) -> Result<Option<Reply>, Refusal> {
    let Some(key) = first_list(call, keys)? else { return Ok(None) };
    let items = take(call, key, end, count)?;
    let taken = Bytes::from(items.len().to_string());
    call.propagate_as(vec![vec![Bytes::from(pop_name(end)), key.clone(), taken]]);
    Ok(Some(Reply::Array(vec![Reply::Bulk(key.clone()), Reply::Array(items)])))
}

pub fn blmove(call: &mut Call) -> Outcome {
    let (from, to) = move_ends(call)?;
    let timeout = parse::timeout(call, 5)?;
    let mut plain = vec![Bytes::from("LMOVE")];
    plain.extend_from_slice(&call.args[1..5]);
    move_or_wait(call, (from, to), timeout, plain)
}

pub fn brpoplpush(call: &mut Call) -> Outcome {
    let timeout = parse::timeout(call, 3)?;
    let mut plain = vec![Bytes::from("RPOPLPUSH")];
    plain.extend_from_slice(&call.args[1..3]);
    move_or_wait(call, (End::Tail, End::Head), timeout, plain)
}

fn move_or_wait(call: &mut Call, (from, to): (End, End), timeout: Millis, plain: Vec<Bytes>) -> Outcome {
    if let Some(item) = shift(call, from, to)? {
        call.propagate_as(vec![plain]);
        return Ok(Reply::Bulk(item));
    }
    if !call.may_block {
        return Ok(Reply::Nil);
    }
    // A timeout is told by the null array, also where an element would have been a bulk string.
    call.block(&call.args[1..2], "list", timeout, Reply::NilArray)
}
