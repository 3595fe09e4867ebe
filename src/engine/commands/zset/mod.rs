//! Sorted sets: members with scores, in order.
//!
//! Adding is in `add`, reading and removing ranges in `range`, popping (and waiting for a member) in `pop`, unions and their
//! kin in `combine`.

mod add;
mod combine;
mod pop;
mod range;

use super::{sample, scan};
use crate::base::{Bytes, float};
use crate::engine::call::Call;
use crate::engine::command::{BLOCKING, Command, DENYOOM, FAST, Keys, ONE_KEY, Outcome, READONLY, TWO_KEYS, WRITE};
use crate::engine::notify::Class;
use crate::engine::refusal;
use crate::engine::value::Zset;
use crate::resp::Reply;
pub(super) use add::{Adding, add_scored};

const READER: Command = Command { flags: READONLY, keys: ONE_KEY, ..Command::SORTED_SET };
const FAST_READER: Command = Command { flags: READONLY.with(FAST), ..READER };
const PUSHER: Command = Command { flags: WRITE.with(DENYOOM).with(FAST), ..READER };
const STORER: Command =
    Command { flags: WRITE.with(DENYOOM), keys: Keys::Counted { count: 2, dest: Some(1) }, ..READER };
const COUNTED: Keys = Keys::Counted { count: 1, dest: None };
const ALL_BUT_TIMEOUT: Keys = Keys::Range { first: 1, last: -2, step: 1 };
const ANY_OUTPUT: &[&str] = &["nondeterministic_output"];

pub const COMMANDS: &[Command] = &[
    Command {
        name: "ZADD",
        syntax: "key condition=[NX | XX]@3.0.2 comparison=[GT | LT]@6.2.0 [change=CH@3.0.2] [increment=INCR@3.0.2] \
                 data=(score member) [score member ...]",
        summary: "Add members with their scores, or change their scores.",
        since: "1.2.0",
        complexity: "O(log(N)) for each member, N members in the sorted set",
        history: &[
            ("2.4.0", "Takes several members."),
            ("3.0.2", "`XX`, `NX`, `CH` and `INCR`."),
            ("6.2.0", "`GT` and `LT`."),
        ],
        run: add::zadd,
        ..PUSHER
    },
    Command {
        name: "ZINCRBY",
        syntax: "key increment member",
        summary: "Add to a member's score; a missing one counts as 0.",
        since: "1.2.0",
        complexity: "O(log(N)), N members in the sorted set",
        run: add::zincrby,
        ..PUSHER
    },
    Command {
        name: "ZREM",
        syntax: "key member [member ...]",
        summary: "Remove members; the key goes with its last member.",
        since: "1.2.0",
        complexity: "O(M*log(N)), N members in the sorted set, M to remove",
        history: &[("2.4.0", "Takes several members.")],
        flags: WRITE.with(FAST),
        run: zrem,
        ..READER
    },
    Command {
        name: "ZSCORE",
        syntax: "key member",
        summary: "Read a member's score.",
        since: "1.2.0",
        complexity: "O(1)",
        run: zscore,
        ..FAST_READER
    },
    Command {
        name: "ZMSCORE",
        syntax: "key member [member ...]",
        summary: "Read the scores of several members.",
        since: "6.2.0",
        complexity: "O(N), N members asked for",
        run: zmscore,
        ..FAST_READER
    },
    Command {
        name: "ZCARD",
        syntax: "key",
        summary: "Count the members of a sorted set.",
        since: "1.2.0",
        complexity: "O(1)",
        run: zcard,
        ..FAST_READER
    },
    Command {
        name: "ZCOUNT",
        syntax: "key min max",
        summary: "Count the members with scores in a range.",
        since: "2.0.0",
        complexity: "O(log(N)), N members in the sorted set",
        run: range::zcount,
        ..FAST_READER
    },
    Command {
        name: "ZLEXCOUNT",
        syntax: "key min:string max:string",
        summary: "Count the members in a range of texts, where all scores are equal.",
        since: "2.8.9",
        complexity: "O(log(N)), N members in the sorted set",
        run: range::zlexcount,
        ..FAST_READER
    },
    Command {
        name: "ZRANK",
        syntax: "key member [WITHSCORE]",
        summary: "Tell how many members stand before one, lowest score first.",
        since: "2.0.0",
        complexity: "O(log(N)), N members in the sorted set",
        history: &[("7.2.0", "`WITHSCORE`.")],
        run: zrank,
        ..FAST_READER
    },
    Command {
        name: "ZREVRANK",
        syntax: "key member [WITHSCORE]",
        summary: "Tell how many members stand before one, highest score first.",
        since: "2.0.0",
        complexity: "O(log(N)), N members in the sorted set",
        history: &[("7.2.0", "`WITHSCORE`.")],
        run: zrevrank,
        ..FAST_READER
    },
    Command {
        name: "ZRANGE",
        syntax: "key start:string stop:string sortby=[BYSCORE | BYLEX]@6.2.0 [REV@6.2.0] [LIMIT limit=(offset \
                 count)@6.2.0] [WITHSCORES]",
        summary: "Read the members in a range of ranks, scores or texts.",
        since: "1.2.0",
        complexity: "O(log(N)+M), N members in the sorted set, M returned",
        history: &[("6.2.0", "`REV`, `BYSCORE`, `BYLEX` and `LIMIT`.")],
        run: range::zrange,
        ..READER
    },
    Command {
        name: "ZREVRANGE",
        syntax: "key start stop [WITHSCORES]",
        summary: "Read the members in a range of ranks, highest score first. ZRANGE ... REV does the same.",
        since: "1.2.0",
        complexity: "O(log(N)+M), N members in the sorted set, M returned",
        deprecated: Some(("6.2.0", "`ZRANGE` with `REV`")),
        run: range::zrevrange,
        ..READER
    },
    Command {
        name: "ZRANGEBYSCORE",
        syntax: "key min max [WITHSCORES@2.0.0] [LIMIT limit=(offset count)]",
        summary: "Read the members with scores in a range. ZRANGE ... BYSCORE does the same.",
        since: "1.0.5",
        complexity: "O(log(N)+M), N members in the sorted set, M returned",
        history: &[("2.0.0", "`WITHSCORES`.")],
        deprecated: Some(("6.2.0", "`ZRANGE` with `BYSCORE`")),
        run: range::zrangebyscore,
        ..READER
    },
    Command {
        name: "ZREVRANGEBYSCORE",
        syntax: "key max min [WITHSCORES] [LIMIT limit=(offset count)]",
        summary: "Read the members with scores in a range, highest first. ZRANGE ... BYSCORE REV does the same.",
        since: "2.2.0",
        complexity: "O(log(N)+M), N members in the sorted set, M returned",
        history: &[("2.1.6", "Ranges without their ends.")],
        deprecated: Some(("6.2.0", "`ZRANGE` with `REV` and `BYSCORE`")),
        run: range::zrevrangebyscore,
        ..READER
    },
    Command {
        name: "ZRANGEBYLEX",
        syntax: "key min:string max:string [LIMIT limit=(offset count)]",
        summary: "Read the members in a range of texts, where all scores are equal. ZRANGE ... BYLEX does the same.",
        since: "2.8.9",
        complexity: "O(log(N)+M), N members in the sorted set, M returned",
        deprecated: Some(("6.2.0", "`ZRANGE` with `BYLEX`")),
        run: range::zrangebylex,
        ..READER
    },
    Command {
        name: "ZREVRANGEBYLEX",
        syntax: "key max:string min:string [LIMIT limit=(offset count)]",
        summary: "Read the members in a range of texts, last first. ZRANGE ... BYLEX REV does the same.",
        since: "2.8.9",
        complexity: "O(log(N)+M), N members in the sorted set, M returned",
        deprecated: Some(("6.2.0", "`ZRANGE` with `REV` and `BYLEX`")),
        run: range::zrevrangebylex,
        ..READER
    },
    Command {
        name: "ZRANGESTORE",
        syntax: "dst:key src:key min:string max:string sortby=[BYSCORE | BYLEX] [REV] [LIMIT limit=(offset count)]",
        summary: "Store the members in a range of ranks, scores or texts as a sorted set.",
        since: "6.2.0",
        complexity: "O(log(N)+M), N members in the sorted set, M stored",
        flags: WRITE.with(DENYOOM),
        keys: TWO_KEYS,
        run: range::zrangestore,
        ..READER
    },
    Command {
        name: "ZREMRANGEBYRANK",
        syntax: "key start stop",
        summary: "Remove the members in a range of ranks.",
        since: "2.0.0",
        complexity: "O(log(N)+M), N members in the sorted set, M removed",
        flags: WRITE,
        run: range::zremrangebyrank,
        ..READER
    },
    Command {
        name: "ZREMRANGEBYSCORE",
        syntax: "key min max",
        summary: "Remove the members with scores in a range.",
        since: "1.2.0",
        complexity: "O(log(N)+M), N members in the sorted set, M removed",
        flags: WRITE,
        run: range::zremrangebyscore,
        ..READER
    },
    Command {
        name: "ZREMRANGEBYLEX",
        syntax: "key min:string max:string",
        summary: "Remove the members in a range of texts, where all scores are equal.",
        since: "2.8.9",
        complexity: "O(log(N)+M), N members in the sorted set, M removed",
        flags: WRITE,
        run: range::zremrangebylex,
        ..READER
    },
    Command {
        name: "ZPOPMIN",
        syntax: "key [count]",
        summary: "Take out the members with the lowest scores.",
        since: "5.0.0",
        complexity: "O(log(N)*M), N members in the sorted set, M returned",
        flags: WRITE.with(FAST),
        run: pop::zpopmin,
        ..READER
    },
    Command {
        name: "ZPOPMAX",
        syntax: "key [count]",
        summary: "Take out the members with the highest scores.",
        since: "5.0.0",
        complexity: "O(log(N)*M), N members in the sorted set, M returned",
        flags: WRITE.with(FAST),
        run: pop::zpopmax,
        ..READER
    },
    Command {
        name: "ZMPOP",
        syntax: "numkeys key [key ...] where=<MIN | MAX> [COUNT count]",
        summary: "Take members out of the first sorted set of several that has any.",
        since: "7.0.0",
        complexity: "O(K)+O(M*log(N)), K keys, N members in the sorted set, M returned",
        flags: WRITE,
        keys: COUNTED,
        run: pop::zmpop,
        ..READER
    },
    Command {
        name: "BZPOPMIN",
        syntax: "key [key ...] timeout",
        summary: "Take out the lowest member of the first sorted set that has one; wait if none has.",
        since: "5.0.0",
        complexity: "O(log(N)), N members in the sorted set",
        history: &[("6.0.0", "The timeout may have decimals.")],
        flags: WRITE.with(FAST).with(BLOCKING),
        keys: ALL_BUT_TIMEOUT,
        run: pop::bzpopmin,
        ..READER
    },
    Command {
        name: "BZPOPMAX",
        syntax: "key [key ...] timeout",
        summary: "Take out the highest member of the first sorted set that has one; wait if none has.",
        since: "5.0.0",
        complexity: "O(log(N)), N members in the sorted set",
        history: &[("6.0.0", "The timeout may have decimals.")],
        flags: WRITE.with(FAST).with(BLOCKING),
        keys: ALL_BUT_TIMEOUT,
        run: pop::bzpopmax,
        ..READER
    },
    Command {
        name: "BZMPOP",
        syntax: "timeout numkeys key [key ...] where=<MIN | MAX> [COUNT count]",
        summary: "Take members out of the first sorted set of several that has any; wait if none has.",
        since: "7.0.0",
        complexity: "O(K)+O(M*log(N)), K keys, N members in the sorted set, M returned",
        flags: WRITE.with(BLOCKING),
        keys: Keys::Counted { count: 2, dest: None },
        run: pop::bzmpop,
        ..READER
    },
    Command {
        name: "ZRANDMEMBER",
        syntax: "key options=[count [WITHSCORES]]",
        summary: "Read random members; a negative count allows repeats.",
        since: "6.2.0",
        complexity: "O(N), N members returned",
        tips: ANY_OUTPUT,
        run: zrandmember,
        ..READER
    },
    Command {
        name: "ZUNION",
        syntax: "numkeys key [key ...] [WEIGHTS weight [weight ...]] [AGGREGATE aggregate=<SUM | MIN | MAX>] \
                 [WITHSCORES]",
        summary: "List the members that any of the sorted sets has, their scores combined.",
        since: "6.2.0",
        complexity: "O(N)+O(M*log(M)), N members in all sorted sets, M in the result",
        keys: COUNTED,
        run: combine::zunion,
        ..READER
    },
    Command {
        name: "ZINTER",
        syntax: "numkeys key [key ...] [WEIGHTS weight [weight ...]] [AGGREGATE aggregate=<SUM | MIN | MAX>] \
                 [WITHSCORES]",
        summary: "List the members that all sorted sets have, their scores combined.",
        since: "6.2.0",
        complexity: "O(N*K)+O(M*log(M)), N members in the smallest, K sorted sets, M in the result",
        keys: COUNTED,
        run: combine::zinter,
        ..READER
    },
    Command {
        name: "ZINTERCARD",
        syntax: "numkeys key [key ...] [LIMIT limit]",
        summary: "Count the members that all sorted sets have, up to a limit.",
        since: "7.0.0",
        complexity: "O(N*K), N members in the smallest, K sorted sets",
        keys: COUNTED,
        run: combine::zintercard,
        ..READER
    },
    Command {
        name: "ZDIFF",
        syntax: "numkeys key [key ...] [WITHSCORES]",
        summary: "List the members of the first sorted set that no other has.",
        since: "6.2.0",
        complexity: "O(L+(N-K)*log(N)), L members in all sorted sets, N in the first, K in the result",
        keys: COUNTED,
        run: combine::zdiff,
        ..READER
    },
    Command {
        name: "ZUNIONSTORE",
        syntax: "destination numkeys key [key ...] [WEIGHTS weight [weight ...]] [AGGREGATE aggregate=<SUM | MIN | \
                 MAX>]",
        summary: "Store the members that any of the sorted sets has, their scores combined.",
        since: "2.0.0",
        complexity: "O(N)+O(M*log(M)), N members in all sorted sets, M in the result",
        run: combine::zunionstore,
        ..STORER
    },
    Command {
        name: "ZINTERSTORE",
        syntax: "destination numkeys key [key ...] [WEIGHTS weight [weight ...]] [AGGREGATE aggregate=<SUM | MIN | \
                 MAX>]",
        summary: "Store the members that all sorted sets have, their scores combined.",
        since: "2.0.0",
        complexity: "O(N*K)+O(M*log(M)), N members in the smallest, K sorted sets, M in the result",
        run: combine::zinterstore,
        ..STORER
    },
    Command {
        name: "ZDIFFSTORE",
        syntax: "destination numkeys key [key ...]",
        summary: "Store the members of the first sorted set that no other has.",
        since: "6.2.0",
        complexity: "O(L+(N-K)*log(N)), L members in all sorted sets, N in the first, K in the result",
        run: combine::zdiffstore,
        ..STORER
    },
    Command {
        name: "ZSCAN",
        syntax: "key cursor [MATCH pattern] [COUNT count]",
        summary: "Walk over the members of a sorted set, some at a time.",
        since: "2.8.0",
        complexity: "O(1) for each call, O(N) for all of them, N elements",
        tips: ANY_OUTPUT,
        run: zscan,
        ..READER
    },
];

// -- removing --------------------------------------------------------------------------------------------------------

fn zrem(call: &mut Call) -> Outcome {
    let (key, members) = (&call.args[1], &call.args[2..]);
    let Some(zset) = call.write::<Zset>(key)? else { return Ok(Reply::Int(0)) };
    let gone = members.iter().filter(|member| zset.remove(member).is_some()).count();
    if gone > 0 {
        call.changed(Class::Zset, "zrem", key);
        call.dirty(gone - 1);
        call.remove_if_empty(key);
    }
    Ok(Reply::from(gone))
}

// -- looking ---------------------------------------------------------------------------------------------------------

fn zscore(call: &mut Call) -> Outcome {
    let (key, member) = (&call.args[1], &call.args[2]);
    Ok(call.read::<Zset>(key)?.and_then(|zset| zset.score(member)).map_or(Reply::Nil, Reply::Double))
}

fn zmscore(call: &mut Call) -> Outcome {
    let (key, members) = (&call.args[1], &call.args[2..]);
    let zset = call.read::<Zset>(key)?;
    let score = |member: &Bytes| zset.and_then(|zset| zset.score(member)).map_or(Reply::Nil, Reply::Double);
    Ok(Reply::Array(members.iter().map(score).collect()))
}

fn zcard(call: &mut Call) -> Outcome {
    let key = &call.args[1];
    Ok(Reply::from(call.read::<Zset>(key)?.map_or(0, Zset::len)))
}

fn zrank(call: &mut Call) -> Outcome {
    rank(call, |_, rank| rank)
}

fn zrevrank(call: &mut Call) -> Outcome {
    rank(call, |len, rank| len - 1 - rank)
}

fn rank(call: &mut Call, counted: fn(usize, usize) -> usize) -> Outcome {
    let (key, member) = (&call.args[1], &call.args[2]);
    let with_score = match call.args.len() {
        3 => false,
        4 if call.is(3, "WITHSCORE") => true,
        4 => return Err(refusal::SYNTAX),
        _ => return Err(refusal::wrong_arity(call.command.name)),
    };
    let missing = if with_score { Reply::NilArray } else { Reply::Nil };
    let Some(zset) = call.read::<Zset>(key)? else { return Ok(missing) };
    let (Some(score), Some(rank)) = (zset.score(member), zset.rank(member)) else { return Ok(missing) };
    let rank = Reply::from(counted(zset.len(), rank));
    Ok(if with_score { Reply::Array(vec![rank, Reply::Double(score)]) } else { rank })
}

fn zrandmember(call: &mut Call) -> Outcome {
    let key = &call.args[1];
    let with_scores = match call.args.len() {
        4 if call.is(3, "WITHSCORES") => true,
        4.. => {
            sample::count(call, 2, false)?;
            return Err(refusal::SYNTAX);
        }
        _ => false,
    };
    let count = if call.args.len() > 2 { Some(sample::count(call, 2, with_scores)?) } else { None };
    let protocol = call.protocol;
    let Some(size) = call.read::<Zset>(key)?.map(Zset::len) else {
        return Ok(if count.is_some() { Reply::Array(Vec::new()) } else { Reply::Nil });
    };
    let picks = sample::positions(count.unwrap_or(1), size, call.rng)?;
    let zset = call.peek::<Zset>(key);
    let mut members = picks.into_iter().filter_map(|at| zset?.any(at));
    if count.is_none() {
        return Ok(members.next().map(|(member, _)| member.clone()).into());
    }
    if !with_scores {
        return Ok(Reply::Array(members.map(|(member, _)| Reply::Bulk(member.clone())).collect()));
    }
    Ok(sample::pairs_reply(members.map(pair), protocol))
}

fn pair((member, score): (&Bytes, f64)) -> (Reply, Reply) {
    (Reply::Bulk(member.clone()), Reply::Double(score))
}

fn zscan(call: &mut Call) -> Outcome {
    let (key, cursor, options) = (&call.args[1], scan::cursor(&call.args[2])?, &call.args[3..]);
    let Some(zset) = call.read::<Zset>(key)? else { return Ok(scan::nothing()) };
    let options = scan::Options::parse(options, false)?;
    let score_text = if zset.encoding() == "skiplist" { long_text } else { float::text };
    let mut found = Vec::new();
    let next = options.walk(cursor, |at| {
        let mut visited = 0;
        let next = zset.scan(at, |member, score| {
            visited += 1;
            if options.matches(member) {
                // Scores are texts here, also in RESP3.
                found.extend([Reply::Bulk(member.clone()), Reply::bulk(score_text(score))]);
            }
        });
        (next, visited)
    });
    Ok(scan::reply(next, found))
}

/// `%.17Lg`, which shows more digits than a score needs: so ZSCAN, and only it, writes the scores of large sorted sets.
fn long_text(score: f64) -> String {
    if !score.is_finite() || score == 0.0 {
        return float::text(score);
    }
    let scientific = format!("{score:.16e}");
    let (digits, exponent) = scientific.split_once('e').expect("that is what `e` formats");
    let exponent: i32 = exponent.parse().expect("that is what `e` formats");
    let trimmed = |text: &str| match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text.to_owned(),
    };
    if (-4..17).contains(&exponent) {
        return trimmed(&format!("{score:.*}", (16 - exponent) as usize));
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{}e{sign}{:02}", trimmed(digits), exponent.abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resp3_nests_pairs_where_resp2_is_flat() {
        crate::engine::testing::transcript(
            "
            > ZADD z 1 a 2.5 b 3 c
            (integer) 3
            > ZRANGE z 0 0 WITHSCORES
            1) \"a\"
            2) \"1\"
            > HELLO 3
            ...
            > ZRANGE z 0 1 WITHSCORES
            1) 1) \"a\"
               2) (double) 1
            2) 1) \"b\"
               2) (double) 2.5
            > ZUNION 1 z WITHSCORES
            ...
            > ZSCORE z b
            (double) 2.5
            > ZRANK z b WITHSCORE
            1) (integer) 1
            2) (double) 2.5
            > ZPOPMIN z
            1) \"a\"
            2) (double) 1
            > ZPOPMAX z 1
            1) 1) \"c\"
               2) (double) 3
            > ZMPOP 1 z MIN
            1) \"z\"
            2) 1) 1) \"b\"
                  2) (double) 2.5
            > ZADD z 1 x
            (integer) 1
            > BZPOPMIN z 0
            1) \"z\"
            2) \"x\"
            3) (double) 1
            > HSET h f v
            (integer) 1
            > HGETALL h
            1# \"f\" => \"v\"
            > HRANDFIELD h 1 WITHVALUES
            1) 1) \"f\"
               2) \"v\"
            > SADD s m
            (integer) 1
            > SMEMBERS s
            1~ \"m\"
            > SRANDMEMBER s 1
            1) \"m\"
            > SPOP s 1
            1~ \"m\"
            > HSCAN h 0
            1) \"0\"
            2) 1) \"f\"
               2) \"v\"
            ",
        );
    }

    #[test]
    fn a_rank_with_its_score_is_an_array_or_nothing() {
        crate::engine::testing::transcript(
            "
            > ZADD z 1 a 2 b
            (integer) 2
            > ZREVRANK z a WITHSCORE
            1) (integer) 1
            2) \"1\"
            > ZRANK z nope WITHSCORE
            (nil)
            > ZRANK none a WITHSCORE
            (nil)
            > ZRANK z a SCORE
            (error) ERR syntax error
            > ZRANK z a WITHSCORE x
            (error) ERR wrong number of arguments for 'zrank' command
            ",
        );
    }

    #[test]
    fn sets_keep_their_7_2_encodings() {
        crate::engine::testing::transcript(
            "
            > SADD s 1 2 3
            (integer) 3
            > OBJECT ENCODING s
            \"intset\"
            > SADD s a
            (integer) 1
            > OBJECT ENCODING s
            \"listpack\"
            > SADD t 1 2 a
            (integer) 3
            > SINTERSTORE d s t
            (integer) 3
            > OBJECT ENCODING d
            \"listpack\"
            > SADD ints 1 2 7
            (integer) 3
            > SINTERSTORE d s ints
            (integer) 2
            > OBJECT ENCODING d
            \"intset\"
            > SDIFFSTORE d s ints
            (integer) 2
            > OBJECT ENCODING d
            \"listpack\"
            ",
        );
    }

    #[test]
    fn long_texts_are_those_of_printf() {
        for (score, text) in [
            (3.0, "3"),
            (-1.5, "-1.5"),
            (0.1, "0.10000000000000001"),
            (1e16, "10000000000000000"),
            (1e17, "1e+17"),
            (1.0 / 3.0, "0.33333333333333331"),
            (1e-5, "1.0000000000000001e-05"),
            (1e-300, "1e-300"),
            (f64::INFINITY, "inf"),
        ] {
            assert_eq!(long_text(score), text);
        }
    }
}
