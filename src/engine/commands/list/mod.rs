//! Lists: pushed and popped at both ends, also by clients that wait for an element (`waiting`).

mod waiting;

use super::parse;
use crate::base::Bytes;
use crate::engine::call::Call;
use crate::engine::command::{BLOCKING, Command, DENYOOM, FAST, Keys, ONE_KEY, Outcome, READONLY, TWO_KEYS, WRITE};
use crate::engine::notify::Class;
use crate::engine::refusal::{self, Refusal};
use crate::engine::value::List;
use crate::engine::value::list::End;
use crate::resp::Reply;
use std::ops::Range;

const READER: Command = Command { flags: READONLY, keys: ONE_KEY, ..Command::LIST };
const WRITER: Command = Command { flags: WRITE.with(DENYOOM), ..READER };
const PUSHER: Command = Command { flags: WRITE.with(DENYOOM).with(FAST), ..READER };
const REMOVER: Command = Command { flags: WRITE, ..READER };
/// All arguments but the timeout at the end are keys.
const WAITER: Command = Command {
    since: "2.0.0",
    flags: WRITE.with(BLOCKING),
    keys: Keys::Range { first: 1, last: -2, step: 1 },
    ..Command::LIST
};

pub const COMMANDS: &[Command] = &[
    Command {
        name: "LPUSH",
        syntax: "key element [element ...]",
        summary: "Add elements at the head of a list; create the list if there is none.",
        complexity: "O(1) for each element",
        history: &[("2.4.0", "Takes several elements.")],
        run: lpush,
        ..PUSHER
    },
    Command {
        name: "RPUSH",
        syntax: "key element [element ...]",
        summary: "Add elements at the tail of a list; create the list if there is none.",
        complexity: "O(1) for each element",
        history: &[("2.4.0", "Takes several elements.")],
        run: rpush,
        ..PUSHER
    },
    Command {
        name: "LPUSHX",
        syntax: "key element [element ...]",
        summary: "Add elements at the head of a list that exists.",
        since: "2.2.0",
        complexity: "O(1) for each element",
        history: &[("4.0.0", "Takes several elements.")],
        run: lpushx,
        ..PUSHER
    },
    Command {
        name: "RPUSHX",
        syntax: "key element [element ...]",
        summary: "Add elements at the tail of a list that exists.",
        since: "2.2.0",
        complexity: "O(1) for each element",
        history: &[("4.0.0", "Takes several elements.")],
        run: rpushx,
        ..PUSHER
    },
    Command {
        name: "LPOP",
        syntax: "key [count@6.2.0]",
        summary: "Take elements off the head of a list; the key goes with its last element.",
        complexity: "O(N), N elements returned",
        history: &[("6.2.0", "Takes a count.")],
        flags: WRITE.with(FAST),
        run: lpop,
        ..READER
    },
    Command {
        name: "RPOP",
        syntax: "key [count@6.2.0]",
        summary: "Take elements off the tail of a list; the key goes with its last element.",
        complexity: "O(N), N elements returned",
        history: &[("6.2.0", "Takes a count.")],
        flags: WRITE.with(FAST),
        run: rpop,
        ..READER
    },
    Command {
        name: "LLEN",
        syntax: "key",
        summary: "Count the elements of a list.",
        complexity: "O(1)",
        flags: READONLY.with(FAST),
        run: llen,
        ..READER
    },
    Command {
        name: "LINDEX",
        syntax: "key index",
        summary: "Read the element at an index; negative ones count from the tail.",
        complexity: "O(N), N nodes between the index and the nearer end",
        run: lindex,
        ..READER
    },
    Command {
        name: "LRANGE",
        syntax: "key start stop",
        summary: "Read the elements from one index to another, both included.",
        complexity: "O(S+N), S nodes to the first element, N elements returned",
        run: lrange,
        ..READER
    },
    Command {
        name: "LPOS",
        syntax: "key element [RANK rank:integer] [COUNT num-matches:integer] [MAXLEN len:integer]",
        summary: "Find the index of an element.",
        since: "6.0.6",
        complexity: "O(N), N elements looked at",
        run: lpos,
        ..READER
    },
    Command {
        name: "LSET",
        syntax: "key index element",
        summary: "Replace the element at an index.",
        complexity: "O(N), N nodes between the index and the nearer end",
        run: lset,
        ..WRITER
    },
    Command {
        name: "LINSERT",
        syntax: "key where=<BEFORE | AFTER> pivot element",
        summary: "Insert an element before or behind another.",
        since: "2.2.0",
        complexity: "O(N), N elements before the pivot",
        run: linsert,
        ..WRITER
    },
    Command {
        name: "LREM",
        syntax: "key count element",
        summary: "Remove equal elements: all, or some counted from the head or (negative) the tail.",
        complexity: "O(N+M), N elements in the list, M removed",
        run: lrem,
        ..REMOVER
    },
    Command {
        name: "LTRIM",
        syntax: "key start stop",
        summary: "Keep only the elements from one index to another.",
        complexity: "O(N), N elements removed",
        run: ltrim,
        ..REMOVER
    },
    Command {
        name: "LMOVE",
        syntax: "source destination wherefrom=<LEFT | RIGHT> whereto=<LEFT | RIGHT>",
        summary: "Move an element from an end of a list to an end of another.",
        since: "6.2.0",
        complexity: "O(1)",
        keys: TWO_KEYS,
        run: lmove,
        ..WRITER
    },
    Command {
        name: "RPOPLPUSH",
        syntax: "source destination",
        summary: "Move the last element of a list to the head of another. LMOVE ... RIGHT LEFT does the same.",
        since: "1.2.0",
        complexity: "O(1)",
        deprecated: Some(("6.2.0", "`LMOVE` from `RIGHT` to `LEFT`")),
        keys: TWO_KEYS,
        run: rpoplpush,
        ..WRITER
    },
    Command {
        name: "LMPOP",
        syntax: "numkeys key [key ...] where=<LEFT | RIGHT> [COUNT count]",
        summary: "Take elements off the first list of several that has any.",
        since: "7.0.0",
        complexity: "O(N+M), N keys, M elements returned",
        keys: Keys::Counted { count: 1, dest: None },
        run: waiting::lmpop,
        ..REMOVER
    },
    Command {
        name: "BLPOP",
        syntax: "key [key ...] timeout",
        summary: "Take the first element of the first list that has one; wait if none has.",
        complexity: "O(N), N keys",
        history: &[("6.0.0", "The timeout may have decimals.")],
        run: waiting::blpop,
        ..WAITER
    },
    Command {
        name: "BRPOP",
        syntax: "key [key ...] timeout",
        summary: "Take the last element of the first list that has one; wait if none has.",
        complexity: "O(N), N keys",
        history: &[("6.0.0", "The timeout may have decimals.")],
        run: waiting::brpop,
        ..WAITER
    },
    Command {
        name: "BLMOVE",
        syntax: "source destination wherefrom=<LEFT | RIGHT> whereto=<LEFT | RIGHT> timeout",
        summary: "Move an element from one list to another; wait if the first is empty.",
        since: "6.2.0",
        complexity: "O(1)",
        flags: WRITE.with(DENYOOM).with(BLOCKING),
        keys: TWO_KEYS,
        run: waiting::blmove,
        ..WAITER
    },
    Command {
        name: "BRPOPLPUSH",
        syntax: "source destination timeout",
        summary: "Move the last element of a list to the head of another; wait if the first is empty.",
        since: "2.2.0",
        complexity: "O(1)",
        history: &[("6.0.0", "The timeout may have decimals.")],
        deprecated: Some(("6.2.0", "`BLMOVE` from `RIGHT` to `LEFT`")),
        flags: WRITE.with(DENYOOM).with(BLOCKING),
        keys: TWO_KEYS,
        run: waiting::brpoplpush,
        ..WAITER
    },
    Command {
        name: "BLMPOP",
        syntax: "timeout numkeys key [key ...] where=<LEFT | RIGHT> [COUNT count]",
        summary: "Take elements off the first list of several that has any; wait if none has.",
        since: "7.0.0",
        complexity: "O(N+M), N keys, M elements returned",
        keys: Keys::Counted { count: 2, dest: None },
        run: waiting::blmpop,
        ..WAITER
    },
];

// -- growing ---------------------------------------------------------------------------------------------------------

fn lpush(call: &mut Call) -> Outcome {
    push(call, End::Head, false)
}

fn rpush(call: &mut Call) -> Outcome {
    push(call, End::Tail, false)
}

fn lpushx(call: &mut Call) -> Outcome {
    push(call, End::Head, true)
}

fn rpushx(call: &mut Call) -> Outcome {
    push(call, End::Tail, true)
}

fn push(call: &mut Call, end: End, only_existing: bool) -> Outcome {
    let (key, items) = (&call.args[1], &call.args[2..]);
    let limits = call.limits();
    let list = if only_existing {
        let Some(list) = call.write::<List>(key)? else { return Ok(Reply::Int(0)) };
        list
    } else {
        call.write_or_insert(key, List::default)?
    };
    list.push_all(items, end, &limits);
    let len = list.len();
    call.changed(Class::List, pushed(end), key);
    call.dirty(items.len() - 1);
    Ok(Reply::from(len))
}

/// The event of a push.
fn pushed(end: End) -> &'static str {
    if end == End::Head { "lpush" } else { "rpush" }
}

/// The event of a pop.
fn popped(end: End) -> &'static str {
    if end == End::Head { "lpop" } else { "rpop" }
}

fn linsert(call: &mut Call) -> Outcome {
    let (key, pivot, item) = (&call.args[1], &call.args[3], &call.args[4]);
    let after = call.is(2, "AFTER");
    if !after && !call.is(2, "BEFORE") {
        return Err(refusal::SYNTAX);
    }
    let limits = call.limits();
    let Some(list) = call.write::<List>(key)? else { return Ok(Reply::Int(0)) };
    // As in Redis the list grows into its new encoding before the pivot is looked for.
    list.expect([item], &limits);
    let Some(index) = list.iter().position(|it| it == pivot) else { return Ok(Reply::Int(-1)) };
    list.insert(index, item.clone(), after, &limits);
    let len = list.len();
    call.changed(Class::List, "linsert", key);
    Ok(Reply::from(len))
}

fn lset(call: &mut Call) -> Outcome {
    let (key, item) = (&call.args[1], &call.args[3]);
    let limits = call.limits();
    if call.write::<List>(key)?.is_none() {
        return Err(refusal::NO_SUCH_KEY);
    }
    let index = call.int(2)?;
    let list = call.peek_mut::<List>(key).ok_or(refusal::NO_SUCH_KEY)?;
    // Redis 7.2 keeps the lower 32 bits of the index here.
    let index = position(i64::from(index as i32), list.len()).ok_or(refusal::OUT_OF_RANGE)?;
    list.set(index, item.clone(), &limits);
    call.changed(Class::List, "lset", key);
    Ok(Reply::OK)
}

/// The place of `index`, which counts from the tail if it is negative.
fn position(index: i64, len: usize) -> Option<usize> {
    let at = if index < 0 { index.checked_add(len as i64)? } else { index };
    usize::try_from(at).ok().filter(|at| *at < len)
}

// -- shrinking -------------------------------------------------------------------------------------------------------

fn lpop(call: &mut Call) -> Outcome {
    pop(call, End::Head)
}

fn rpop(call: &mut Call) -> Outcome {
    pop(call, End::Tail)
}

fn pop(call: &mut Call, end: End) -> Outcome {
    let key = &call.args[1];
    let count = match call.args.len() {
        2 => None,
        3 => Some(parse::positive(call, 2)?),
        _ => return Err(refusal::wrong_arity(call.command.name)),
    };
    if call.write::<List>(key)?.is_none() {
        return Ok(if count.is_some() { Reply::NilArray } else { Reply::Nil });
    }
    match count {
        Some(0) => Ok(Reply::Array(Vec::new())),
        Some(count) => Ok(Reply::Array(take(call, key, end, count)?)),
        None => Ok(take_one(call, key, end)?.map_or(Reply::Nil, Reply::Bulk)),
    }
}

/// Pops one element with all that follows from it.
fn take_one(call: &mut Call, key: &Bytes, end: End) -> Result<Option<Bytes>, Refusal> {
    let limits = call.limits();
    let Some(item) = call.peek_mut::<List>(key).and_then(|list| list.pop(end, &limits)) else { return Ok(None) };
    call.changed(Class::List, popped(end), key);
    call.remove_if_empty(key);
    Ok(Some(item))
}

/// Pops up to `count` elements, in the order in which they leave.
fn take(call: &mut Call, key: &Bytes, end: End, count: usize) -> Result<Vec<Reply>, Refusal> {
    let limits = call.limits();
    let Some(list) = call.peek_mut::<List>(key) else { return Ok(Vec::new()) };
    let count = count.min(list.len());
    let items: Vec<Reply> = if end == End::Head {
        let items = list.iter().take(count).cloned().map(Reply::Bulk).collect();
        list.remove_range(0..count, &limits);
        items
    } else {
        let items = list.iter().rev().take(count).cloned().map(Reply::Bulk).collect();
        list.remove_range(list.len() - count..list.len(), &limits);
        items
    };
    call.changed(Class::List, popped(end), key);
    call.dirty(count - 1);
    call.remove_if_empty(key);
    Ok(items)
}

fn lrem(call: &mut Call) -> Outcome {
    let (key, count, item) = (&call.args[1], call.int(2)?, &call.args[3]);
    let limits = call.limits();
    let Some(list) = call.write::<List>(key)? else { return Ok(Reply::Int(0)) };
    let from = if count < 0 { End::Tail } else { End::Head };
    let most = if count == 0 { usize::MAX } else { count.unsigned_abs() as usize };
    let gone = list.remove_equal(item, most, from, &limits);
    if gone > 0 {
        call.changed(Class::List, "lrem", key);
        call.dirty(gone - 1);
        call.remove_if_empty(key);
    }
    Ok(Reply::from(gone))
}

fn ltrim(call: &mut Call) -> Outcome {
    let (key, start, stop) = (&call.args[1], call.int(2)?, call.int(3)?);
    let limits = call.limits();
    let Some(list) = call.write::<List>(key)? else { return Ok(Reply::OK) };
    let len = list.len();
    let Range { start, end } = parse::index_range(start, stop, len);
    list.remove_range(end..len, &limits);
    list.remove_range(0..start, &limits);
    let gone = len - list.len();
    // A trim that removes nothing is announced like any other, but it is no change to propagate.
    call.touched(key);
    call.notify(Class::List, "ltrim", key);
    call.dirty(gone);
    call.remove_if_empty(key);
    Ok(Reply::OK)
}

// -- moving ----------------------------------------------------------------------------------------------------------

fn lmove(call: &mut Call) -> Outcome {
    let (from, to) = move_ends(call)?;
    Ok(shift(call, from, to)?.map_or(Reply::Nil, Reply::Bulk))
}

fn rpoplpush(call: &mut Call) -> Outcome {
    Ok(shift(call, End::Tail, End::Head)?.map_or(Reply::Nil, Reply::Bulk))
}

/// The two ends that arguments 3 and 4 name.
fn move_ends(call: &Call) -> Result<(End, End), Refusal> {
    let end = |index: usize| End::named(&call.args[index]).ok_or(refusal::SYNTAX);
    Ok((end(3)?, end(4)?))
}

/// Moves an element from the list of argument 1 to that of argument 2; None if there is none to move.
fn shift(call: &mut Call, from: End, to: End) -> Result<Option<Bytes>, Refusal> {
    let (source, destination) = (&call.args[1], &call.args[2]);
    let limits = call.limits();
    if call.write::<List>(source)?.is_none() {
        return Ok(None);
    }
    call.write::<List>(destination)?;
    let Some(item) = call.peek_mut::<List>(source).and_then(|list| list.pop(from, &limits)) else { return Ok(None) };
    call.peek_or_insert(destination, List::default)?.push(item.clone(), to, &limits);
    call.touched(destination);
    call.notify(Class::List, pushed(to), destination);
    call.changed(Class::List, popped(from), source);
    call.remove_if_empty(source);
    Ok(Some(item))
}

// -- looking ---------------------------------------------------------------------------------------------------------

fn llen(call: &mut Call) -> Outcome {
    let key = &call.args[1];
    Ok(Reply::from(call.read::<List>(key)?.map_or(0, List::len)))
}

fn lindex(call: &mut Call) -> Outcome {
    let key = &call.args[1];
    if call.read::<List>(key)?.is_none() {
        return Ok(Reply::Nil);
    }
    let index = call.int(2)?;
    let list = call.peek::<List>(key);
    Ok(list.and_then(|list| list.get(position(index, list.len())?)).cloned().into())
}

fn lrange(call: &mut Call) -> Outcome {
    let (key, start, stop) = (&call.args[1], call.int(2)?, call.int(3)?);
    let Some(list) = call.read::<List>(key)? else { return Ok(Reply::Array(Vec::new())) };
    let range = parse::index_range(start, stop, list.len());
    let mut items = Vec::with_capacity(range.len());
    // Not `extend`: asked one by one, an iterator of parts looks each time which part it is in.
    list.iter_from(range.start).take(range.len()).for_each(|item| items.push(Reply::Bulk(item.clone())));
    Ok(Reply::Array(items))
}

fn lpos(call: &mut Call) -> Outcome {
    let (key, wanted) = (&call.args[1], &call.args[2]);
    let (mut rank, mut count, mut maxlen) = (1, None, 0);
    for at in (3..call.args.len()).step_by(2) {
        let given = at + 1 < call.args.len();
        if given && call.is(at, "RANK") {
            rank = search_rank(call, at + 1)?;
        } else if given && call.is(at, "COUNT") {
            count = Some(parse::at_least(call, at + 1, 0, "ERR COUNT can't be negative")? as usize);
        } else if given && call.is(at, "MAXLEN") {
            maxlen = parse::at_least(call, at + 1, 0, "ERR MAXLEN can't be negative")? as usize;
        } else {
            return Err(refusal::SYNTAX);
        }
    }
    let Some(list) = call.read::<List>(key)? else {
        return Ok(if count.is_some() { Reply::Array(Vec::new()) } else { Reply::Nil });
    };
    let looked_at = if maxlen == 0 { usize::MAX } else { maxlen };
    let skipped = rank.unsigned_abs() as usize - 1;
    let found = match count {
        None => 1,
        Some(0) => usize::MAX,
        Some(count) => count,
    };
    let len = list.len();
    let mut matches: Vec<Reply> = if rank > 0 {
        let items = list.iter().take(looked_at).enumerate().filter(|(_, item)| *item == wanted);
        items.skip(skipped).take(found).map(|(index, _)| Reply::from(index)).collect()
    } else {
        let items = list.iter().rev().take(looked_at).enumerate().filter(|(_, item)| *item == wanted);
        items.skip(skipped).take(found).map(|(index, _)| Reply::from(len - 1 - index)).collect()
    };
    Ok(if count.is_some() { Reply::Array(matches) } else { matches.pop().unwrap_or(Reply::Nil) })
}

/// Argument `index` as the RANK of LPOS.
fn search_rank(call: &Call, index: usize) -> Result<i64, Refusal> {
    match call.int(index)? {
        0 => Err(Refusal::new(
            "ERR RANK can't be zero: use 1 to start from the first match, 2 from the second ... or use negative to start from the end of the list",
        )),
        i64::MIN => Err(Refusal::from(format!("ERR value is out of range, value must between -{0} and {0}", i64::MAX))),
        rank => Ok(rank),
    }
}
