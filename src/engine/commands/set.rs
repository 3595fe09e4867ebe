//! Sets: members without order, and what sets have in common.

use super::{parse, sample, scan};
use crate::base::Bytes;
use crate::engine::call::Call;
use crate::engine::command::{ALL_KEYS, Command, DENYOOM, FAST, Keys, ONE_KEY, Outcome, READONLY, TWO_KEYS, WRITE};
use crate::engine::notify::Class;
use crate::engine::refusal::{self, Refusal};
use crate::engine::value::{Kind, Set};
use crate::resp::Reply;

const READER: Command = Command { flags: READONLY, keys: ONE_KEY, ..Command::SET };
const FAST_READER: Command = Command { flags: READONLY.with(FAST), ..READER };
const FAST_WRITER: Command = Command { flags: WRITE.with(FAST), ..READER };
const COMBINER: Command = Command { keys: ALL_KEYS, tips: ANY_ORDER, ..READER };
const STORER: Command = Command { flags: WRITE.with(DENYOOM), keys: ALL_KEYS, ..READER };
const ANY_ORDER: &[&str] = &["nondeterministic_output_order"];
const ANY_OUTPUT: &[&str] = &["nondeterministic_output"];

pub const COMMANDS: &[Command] = &[
    Command {
        name: "SADD",
        syntax: "key member [member ...]",
        summary: "Add members to a set; create the set if there is none.",
        complexity: "O(1) for each member",
        history: &[("2.4.0", "Takes several members.")],
        flags: WRITE.with(DENYOOM).with(FAST),
        run: sadd,
        ..READER
    },
    Command {
        name: "SREM",
        syntax: "key member [member ...]",
        summary: "Remove members of a set; the key goes with its last member.",
        complexity: "O(N), N members to remove",
        history: &[("2.4.0", "Takes several members.")],
        run: srem,
        ..FAST_WRITER
    },
    Command {
        name: "SISMEMBER",
        syntax: "key member",
        summary: "Tell whether a set has a member.",
        complexity: "O(1)",
        run: sismember,
        ..FAST_READER
    },
    Command {
        name: "SMISMEMBER",
        syntax: "key member [member ...]",
        summary: "Tell of several members whether a set has them.",
        since: "6.2.0",
        complexity: "O(N), N members asked for",
        run: smismember,
        ..FAST_READER
    },
    Command {
        name: "SMEMBERS",
        syntax: "key",
        summary: "List the members of a set.",
        complexity: "O(N), N members in the set",
        tips: ANY_ORDER,
        run: sinter,
        ..READER
    },
    Command {
        name: "SCARD",
        syntax: "key",
        summary: "Count the members of a set.",
        complexity: "O(1)",
        run: scard,
        ..FAST_READER
    },
    Command {
        name: "SMOVE",
        syntax: "source destination member",
        summary: "Move a member from one set to another.",
        complexity: "O(1)",
        keys: TWO_KEYS,
        run: smove,
        ..FAST_WRITER
    },
    Command {
        name: "SPOP",
        syntax: "key [count@3.2.0]",
        summary: "Take random members out of a set.",
        complexity: "O(1); with a count O(N), N members returned",
        history: &[("3.2.0", "Takes a count.")],
        tips: ANY_OUTPUT,
        run: spop,
        ..FAST_WRITER
    },
    Command {
        name: "SRANDMEMBER",
        syntax: "key [count@2.6.0]",
        summary: "Read random members of a set; a negative count allows repeats.",
        complexity: "O(1); with a count O(N), N members returned",
        history: &[("2.6.0", "Takes a count.")],
        tips: ANY_OUTPUT,
        run: srandmember,
        ..READER
    },
    Command {
        name: "SINTER",
        syntax: "key [key ...]",
        summary: "List the members that all sets have.",
        complexity: "O(N*M), N members in the smallest set, M sets",
        run: sinter,
        ..COMBINER
    },
    Command {
        name: "SINTERSTORE",
        syntax: "destination key [key ...]",
        summary: "Store the members that all sets have as a set.",
        complexity: "O(N*M), N members in the smallest set, M sets",
        run: sinterstore,
        ..STORER
    },
    Command {
        name: "SINTERCARD",
        syntax: "numkeys key [key ...] [LIMIT limit]",
        summary: "Count the members that all sets have, up to a limit.",
        since: "7.0.0",
        complexity: "O(N*M), N members in the smallest set, M sets",
        keys: Keys::Counted { count: 1, dest: None },
        run: sintercard,
        ..READER
    },
    Command {
        name: "SUNION",
        syntax: "key [key ...]",
        summary: "List the members that any of the sets has.",
        complexity: "O(N), N members in all sets",
        run: sunion,
        ..COMBINER
    },
    Command {
        name: "SUNIONSTORE",
        syntax: "destination key [key ...]",
        summary: "Store the members that any of the sets has as a set.",
        complexity: "O(N), N members in all sets",
        run: sunionstore,
        ..STORER
    },
    Command {
        name: "SDIFF",
        syntax: "key [key ...]",
        summary: "List the members of the first set that no other has.",
        complexity: "O(N), N members in all sets",
        run: sdiff,
        ..COMBINER
    },
    Command {
        name: "SDIFFSTORE",
        syntax: "destination key [key ...]",
        summary: "Store the members of the first set that no other has as a set.",
        complexity: "O(N), N members in all sets",
        run: sdiffstore,
        ..STORER
    },
    Command {
        name: "SSCAN",
        syntax: "key cursor [MATCH pattern] [COUNT count]",
        summary: "Walk over the members of a set, some at a time.",
        since: "2.8.0",
        complexity: "O(1) for each call, O(N) for all of them, N elements",
        tips: ANY_OUTPUT,
        run: sscan,
        ..READER
    },
];

// -- one set ---------------------------------------------------------------------------------------------------------

fn sadd(call: &mut Call) -> Outcome {
    let (key, members) = (&call.args[1], &call.args[2..]);
    let (limits, seed) = (call.limits(), call.seed());
    let set = call.write_or_insert(key, || Set::for_members(&members[0], members.len(), seed, &limits))?;
    set.expect(members.len(), &limits);
    let added = members.iter().filter(|member| set.insert((*member).clone(), &limits)).count();
    if added > 0 {
        call.changed(Class::Set, "sadd", key);
        call.dirty(added - 1);
    }
    Ok(Reply::from(added))
}

fn srem(call: &mut Call) -> Outcome {
    let (key, members) = (&call.args[1], &call.args[2..]);
    let Some(set) = call.write::<Set>(key)? else { return Ok(Reply::Int(0)) };
    let gone = members.iter().filter(|member| set.remove(member)).count();
    if gone > 0 {
        call.changed(Class::Set, "srem", key);
        call.dirty(gone - 1);
        call.remove_if_empty(key);
    }
    Ok(Reply::from(gone))
}

fn sismember(call: &mut Call) -> Outcome {
    let (key, member) = (&call.args[1], &call.args[2]);
    Ok(Reply::flag(call.read::<Set>(key)?.is_some_and(|set| set.contains(member))))
}

fn smismember(call: &mut Call) -> Outcome {
    let (key, members) = (&call.args[1], &call.args[2..]);
    let set = call.read::<Set>(key)?;
    let found = |member: &Bytes| Reply::flag(set.is_some_and(|set| set.contains(member)));
    Ok(Reply::Array(members.iter().map(found).collect()))
}

fn scard(call: &mut Call) -> Outcome {
    let key = &call.args[1];
    Ok(Reply::from(call.read::<Set>(key)?.map_or(0, Set::len)))
}

fn smove(call: &mut Call) -> Outcome {
    let (source, destination, member) = (&call.args[1], &call.args[2], &call.args[3]);
    let (limits, seed) = (call.limits(), call.seed());
    if call.write::<Set>(source)?.is_none() {
        return Ok(Reply::Int(0));
    }
    call.write::<Set>(destination)?;
    let Some(set) = call.peek_mut::<Set>(source) else { return Ok(Reply::Int(0)) };
    if source == destination {
        return Ok(Reply::flag(set.contains(member)));
    }
    if !set.remove(member) {
        return Ok(Reply::Int(0));
    }
    call.changed(Class::Set, "srem", source);
    call.remove_if_empty(source);
    let target = call.peek_or_insert(destination, || Set::for_members(member, 1, seed, &limits))?;
    if target.insert(member.clone(), &limits) {
        call.changed(Class::Set, "sadd", destination);
    }
    Ok(Reply::Int(1))
}

fn spop(call: &mut Call) -> Outcome {
    let key = &call.args[1];
    let count = match call.args.len() {
        2 => None,
        3 => Some(parse::positive(call, 2)?),
        _ => return Err(refusal::SYNTAX),
    };
    let Some(size) = call.write::<Set>(key)?.map(|set| set.len()) else {
        return Ok(if count.is_some() { Reply::Set(Vec::new()) } else { Reply::Nil });
    };
    if count == Some(0) {
        return Ok(Reply::Set(Vec::new()));
    }
    let picks = sample::distinct(count.unwrap_or(1), size, call.rng);
    let set = call.peek_mut::<Set>(key).expect("just looked up");
    let gone: Vec<Bytes> = picks.into_iter().filter_map(|at| set.nth(at)).collect();
    for member in &gone {
        set.remove(member);
    }
    call.changed(Class::Set, "spop", key);
    call.dirty(gone.len() - 1);
    let emptied = call.remove_if_empty(key);
    // Chance is no matter for a replica: it is told which members went.
    if emptied && count.is_some() {
        call.propagate_as(vec![call.server.deletion("lazyfree-lazy-server-del", key)]);
    } else {
        let batch = |members: &[Bytes]| [&[Bytes::from("SREM"), key.clone()], members].concat();
        call.propagate_as(gone.chunks(1024).map(batch).collect());
    }
    let mut gone = gone.into_iter().map(Reply::Bulk);
    Ok(if count.is_some() { Reply::Set(gone.collect()) } else { gone.next().unwrap_or(Reply::Nil) })
}

fn srandmember(call: &mut Call) -> Outcome {
    let key = &call.args[1];
    let count = match call.args.len() {
        2 => None,
        3 => Some(sample::count(call, 2, false)?),
        _ => return Err(refusal::SYNTAX),
    };
    let Some(size) = call.read::<Set>(key)?.map(Set::len) else {
        return Ok(if count.is_some() { Reply::Array(Vec::new()) } else { Reply::Nil });
    };
    let picks = sample::positions(count.unwrap_or(1), size, call.rng)?;
    let set = call.peek::<Set>(key);
    let mut members = picks.into_iter().filter_map(|at| set?.nth(at)).map(Reply::Bulk);
    Ok(if count.is_some() { Reply::Array(members.collect()) } else { members.next().unwrap_or(Reply::Nil) })
}

fn sscan(call: &mut Call) -> Outcome {
    let (key, cursor, options) = (&call.args[1], scan::cursor(&call.args[2])?, &call.args[3..]);
    let Some(set) = call.read::<Set>(key)? else { return Ok(scan::nothing()) };
    let options = scan::Options::parse(options, false)?;
    let mut found = Vec::new();
    let next = options.walk(cursor, |at| {
        let mut visited = 0;
        let next = set.scan(at, |member| {
            visited += 1;
            if options.matches(&member) {
                found.push(Reply::Bulk(member));
            }
        });
        (next, visited)
    });
    Ok(scan::reply(next, found))
}

// -- several sets ----------------------------------------------------------------------------------------------------

/// The sets of `keys`; None stands for a key that is not there. Err: WRONGTYPE, whichever key it is.
fn sets<'c>(call: &'c mut Call, keys: &[Bytes]) -> Result<Vec<Option<&'c Set>>, Refusal> {
    let found = keys.iter().map(|key| Ok(call.read::<Set>(key)?.is_some())).collect::<Result<Vec<bool>, Refusal>>()?;
    let call = &*call;
    Ok(keys.iter().zip(found).map(|(key, found)| if found { call.peek(key) } else { None }).collect())
}

/// The sets in which to look for common members, the smallest first; None if one is missing.
fn smallest_first(sets: Vec<Option<&Set>>) -> Option<Vec<&Set>> {
    let mut sets: Vec<&Set> = sets.into_iter().collect::<Option<_>>()?;
    sets.sort_by_key(|set| set.len());
    Some(sets)
}

fn common<'s>(sets: &'s [&'s Set]) -> impl Iterator<Item = Bytes> + 's {
    sets[0].iter().filter(|member| sets[1..].iter().all(|set| set.contains(member)))
}

fn sinter(call: &mut Call) -> Outcome {
    let keys = &call.args[1..];
    let Some(sets) = smallest_first(sets(call, keys)?) else { return Ok(Reply::Set(Vec::new())) };
    Ok(Reply::Set(common(&sets).map(Reply::Bulk).collect()))
}

fn sintercard(call: &mut Call) -> Outcome {
    let numkeys = parse::at_least(call, 1, 1, "ERR numkeys should be greater than 0")? as usize;
    if numkeys > call.args.len() - 2 {
        return Err(Refusal::new("ERR Number of keys can't be greater than number of args"));
    }
    let limit = parse::limit_option(call, 2 + numkeys)?;
    let keys = &call.args[2..2 + numkeys];
    let Some(sets) = smallest_first(sets(call, keys)?) else { return Ok(Reply::Int(0)) };
    Ok(Reply::from(common(&sets).take(limit).count()))
}

fn sinterstore(call: &mut Call) -> Outcome {
    let keys = &call.args[2..];
    let (limits, seed) = (call.limits(), call.seed());
    let result = smallest_first(sets(call, keys)?).map(|sets| {
        let ints = sets[0].encoding() == "intset";
        let mut result = if ints { Set::new(seed) } else { Set::small(seed) };
        result.extend(common(&sets), &limits);
        result.into_ints_if_small(&limits)
    });
    store(call, result.unwrap_or_else(|| Set::new(seed)), "sinterstore")
}

fn sunion(call: &mut Call) -> Outcome {
    let keys = &call.args[1..];
    Ok(Reply::Set(union(call, keys)?.iter().map(Reply::Bulk).collect()))
}

fn sunionstore(call: &mut Call) -> Outcome {
    let keys = &call.args[2..];
    let result = union(call, keys)?;
    store(call, result, "sunionstore")
}

fn union(call: &mut Call, keys: &[Bytes]) -> Result<Set, Refusal> {
    let (limits, seed) = (call.limits(), call.seed());
    let mut result = Set::new(seed);
    for set in sets(call, keys)?.into_iter().flatten() {
        result.extend(set.iter(), &limits);
    }
    Ok(result)
}

fn sdiff(call: &mut Call) -> Outcome {
    let keys = &call.args[1..];
    Ok(Reply::Set(difference(call, keys)?.iter().map(Reply::Bulk).collect()))
}

fn sdiffstore(call: &mut Call) -> Outcome {
    let keys = &call.args[2..];
    let result = difference(call, keys)?;
    store(call, result, "sdiffstore")
}

fn difference(call: &mut Call, keys: &[Bytes]) -> Result<Set, Refusal> {
    let (limits, seed) = (call.limits(), call.seed());
    let sets = sets(call, keys)?;
    let mut result = Set::new(seed);
    let Some(first) = sets[0] else { return Ok(result) };
    let others = || sets[1..].iter().flatten();
    // Either looks each member of the first set up in all others, or takes the others' members out of a copy, as is
    // less work: half a look-up counts as a removal, as Redis weighs it.
    let (look_ups, removals) =
        others().fold((first.len(), first.len()), |(a, b), set| (a + first.len(), b + set.len()));
    if look_ups / 2 <= removals {
        let alone = first.iter().filter(|member| !others().any(|set| set.contains(member)));
        result.extend(alone, &limits);
    } else {
        result.extend(first.iter(), &limits);
        for member in others().flat_map(|set| set.iter()) {
            result.remove(&member);
        }
    }
    Ok(result)
}

/// Stores the result of an operation at argument 1, in place of whatever is there; the count of its members.
fn store(call: &mut Call, result: Set, event: &'static str) -> Outcome {
    let (destination, count) = (&call.args[1], result.len());
    call.store(destination, result.into_value(), Class::Set, event);
    Ok(Reply::from(count))
}
