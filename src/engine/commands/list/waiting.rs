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

#[cfg(test)]
mod tests {
    use crate::engine::testing::transcript;

    #[test]
    fn a_waiting_client_is_served_by_a_push() {
        transcript(
            "
            bob> BLPOP a b 0
            > RPUSH b 1 2
            (integer) 2
            bob>
            1) \"b\"
            2) \"1\"
            > LRANGE b 0 -1
            1) \"2\"
            ",
        );
    }

    #[test]
    fn who_waits_longest_is_served_first() {
        transcript(
            "
            bob> BLPOP l 0
            carol> BRPOP l 0
            > RPUSH l 1 2 3
            (integer) 3
            bob>
            1) \"l\"
            2) \"1\"
            carol>
            1) \"l\"
            2) \"3\"
            > LRANGE l 0 -1
            1) \"2\"
            ",
        );
    }

    #[test]
    fn a_client_that_waits_for_several_keys_gets_the_first_that_is_ready() {
        transcript(
            "
            bob> BLPOP a b c 0
            > MULTI
            OK
            > RPUSH c 3
            QUEUED
            > RPUSH b 2
            QUEUED
            > EXEC
            1) (integer) 1
            2) (integer) 1
            bob>
            1) \"b\"
            2) \"2\"
            > EXISTS a b c
            (integer) 1
            ",
        );
    }

    #[test]
    fn a_chain_of_moves_runs_to_its_end() {
        transcript(
            "
            bob> BLMOVE a b LEFT RIGHT 0
            carol> BRPOPLPUSH b c 0
            dave> BLPOP c 0
            > RPUSH a x
            (integer) 1
            bob>
            \"x\"
            carol>
            \"x\"
            dave>
            1) \"c\"
            2) \"x\"
            > EXISTS a b c
            (integer) 0
            ",
        );
    }

    #[test]
    fn a_list_moved_onto_itself_while_waiting_rotates() {
        transcript(
            "
            bob> BLMOVE l l LEFT RIGHT 0
            > RPUSH l 1 2
            (integer) 2
            bob>
            \"1\"
            > LRANGE l 0 -1
            1) \"2\"
            2) \"1\"
            ",
        );
    }

    #[test]
    fn a_move_to_a_key_of_another_type_ends_the_wait_with_an_error() {
        transcript(
            "
            > SET dst text
            OK
            bob> BLMOVE src dst LEFT RIGHT 0
            > RPUSH src 1
            (integer) 1
            bob>
            (error) WRONGTYPE Operation against a key holding the wrong kind of value
            > LRANGE src 0 -1
            1) \"1\"
            ",
        );
    }

    #[test]
    fn another_type_does_not_wake_and_a_list_does() {
        transcript(
            "
            bob> BLPOP k 0
            > SADD k member
            (integer) 1
            bob>
            > DEL k
            (integer) 1
            > RPUSH k 1
            (integer) 1
            bob>
            1) \"k\"
            2) \"1\"
            ",
        );
    }

    #[test]
    fn a_key_that_is_gone_again_at_the_end_of_a_transaction_wakes_nobody() {
        transcript(
            "
            bob> BLPOP l 0
            > MULTI
            OK
            > RPUSH l 1
            QUEUED
            > DEL l
            QUEUED
            > EXEC
            1) (integer) 1
            2) (integer) 1
            bob>
            > RPUSH l 2
            (integer) 1
            bob>
            1) \"l\"
            2) \"2\"
            ",
        );
    }

    #[test]
    fn inside_a_transaction_nobody_waits() {
        transcript(
            "
            > MULTI
            OK
            > BLPOP l 0
            QUEUED
            > BLMOVE l m LEFT LEFT 0
            QUEUED
            > BLMPOP 0 1 l LEFT
            QUEUED
            > BZPOPMIN z 0
            QUEUED
            > EXEC
            1) (nil)
            2) (nil)
            3) (nil)
            4) (nil)
            ",
        );
    }

    #[test]
    fn a_wait_ends_at_its_timeout_and_not_before() {
        transcript(
            "
            bob> BLPOP l 1.5
            > .sleep 1499
            bob>
            > .sleep 1
            bob>
            (nil)
            > RPUSH l 1
            (integer) 1
            bob>
            ",
        );
    }

    #[test]
    fn requests_sent_meanwhile_are_answered_after_the_wait() {
        transcript(
            "
            bob> BLPOP l 0
            bob> PING
            bob> LLEN m
            > RPUSH l 1
            (integer) 1
            bob>
            1) \"l\"
            2) \"1\"
            PONG
            (integer) 0
            ",
        );
    }

    #[test]
    fn all_who_wait_are_served_before_one_goes_on_with_what_it_sent_meanwhile() {
        transcript(
            "
            bob> BLPOP l 0
            bob> LPOP l
            carol> BLPOP l 0
            > RPUSH l 1 2
            (integer) 2
            bob>
            1) \"l\"
            2) \"1\"
            (nil)
            carol>
            1) \"l\"
            2) \"2\"
            ",
        );
    }

    #[test]
    fn what_one_client_sent_meanwhile_may_wake_another() {
        transcript(
            "
            bob> BLPOP l 0
            bob> LPUSH m x
            bob> BLPOP l 0
            carol> BLPOP m 0
            > RPUSH l 1
            (integer) 1
            bob>
            1) \"l\"
            2) \"1\"
            (integer) 1
            carol>
            1) \"m\"
            2) \"x\"
            > RPUSH l 2
            (integer) 1
            bob>
            1) \"l\"
            2) \"2\"
            ",
        );
    }

    #[test]
    fn the_end_of_a_wait_lets_the_next_request_run() {
        transcript(
            "
            bob> BLPOP l 1
            bob> PING
            carol> BLMOVE l m LEFT LEFT 0.5
            carol> PING
            > .sleep 1000
            bob>
            (nil)
            PONG
            carol>
            (nil)
            PONG
            ",
        );
    }

    #[test]
    fn a_wait_can_be_ended_by_others() {
        transcript(
            "
            bob> CLIENT ID
            (integer) 1
            bob> BLPOP l 0
            > CLIENT UNBLOCK 1
            (integer) 1
            bob>
            (nil)
            bob> BLPOP l 0
            > CLIENT UNBLOCK 1 ERROR
            (integer) 1
            bob>
            (error) UNBLOCKED client unblocked via CLIENT UNBLOCK
            > CLIENT UNBLOCK 1
            (integer) 0
            ",
        );
    }

    #[test]
    fn a_push_inside_a_transaction_serves_after_it() {
        transcript(
            "
            bob> BRPOP l 0
            > MULTI
            OK
            > RPUSH l 1
            QUEUED
            > LPUSH l 0
            QUEUED
            > LPOP l
            QUEUED
            > EXEC
            1) (integer) 1
            2) (integer) 2
            3) \"0\"
            bob>
            1) \"l\"
            2) \"1\"
            ",
        );
    }

    #[test]
    fn a_rename_and_a_copy_bring_elements_too() {
        transcript(
            "
            bob> BLPOP l 0
            > RPUSH other 1
            (integer) 1
            > RENAME other l
            OK
            bob>
            1) \"l\"
            2) \"1\"
            bob> BLPOP m 0
            > RPUSH other 2
            (integer) 1
            > COPY other m
            (integer) 1
            bob>
            1) \"m\"
            2) \"2\"
            ",
        );
    }

    #[test]
    fn swapped_databases_bring_elements_too() {
        transcript(
            "
            bob> BLPOP l 0
            > SELECT 1
            OK
            > RPUSH l 1
            (integer) 1
            bob>
            > SWAPDB 0 1
            OK
            bob>
            1) \"l\"
            2) \"1\"
            ",
        );
    }

    #[test]
    fn timeouts_are_numbers_of_seconds_from_zero_on() {
        transcript(
            "
            > BLPOP l x
            (error) ERR timeout is not a float or out of range
            > BLPOP l -1
            (error) ERR timeout is negative
            > BLPOP l 9223372036854775807
            (error) ERR timeout is out of range
            > BLMPOP 1 0 l LEFT
            (error) ERR numkeys should be greater than 0
            > BLMPOP 1 1 l UP
            (error) ERR syntax error
            > BLMPOP 1 1 l LEFT COUNT 0
            (error) ERR count should be greater than 0
            ",
        );
    }

    #[test]
    fn blmpop_takes_as_many_as_there_are() {
        transcript(
            "
            bob> BLMPOP 0 2 a b RIGHT COUNT 5
            > RPUSH b 1 2 3
            (integer) 3
            bob>
            1) \"b\"
            2) 1) \"3\"
               2) \"2\"
               3) \"1\"
            ",
        );
    }
}
