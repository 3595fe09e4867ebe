//! Members with scores: ZADD, ZINCRBY, and what GEOADD stores.

use crate::base::{Bytes, float};
use crate::engine::call::Call;
use crate::engine::command::Outcome;
use crate::engine::config::Limits;
use crate::engine::notify::Class;
use crate::engine::refusal::{self, Refusal};
use crate::engine::value::Zset;
use crate::resp::Reply;
use smallvec::SmallVec;

/// What ZADD's options ask for.
#[derive(Clone, Copy, Default)]
pub(in crate::engine::commands) struct Adding {
    pub only_new: bool,
    pub only_existing: bool,
    pub only_greater: bool,
    pub only_less: bool,
    pub count_changed: bool,
    pub increment: bool,
}

/// What became of one member.
enum Added {
    New(f64),
    Moved(f64),
    /// It had that score already.
    Same(f64),
    /// The options forbid it.
    Refused,
}

pub(super) fn zadd(call: &mut Call) -> Outcome {
    let mut how = Adding::default();
    let mut first = 2;
    while let Some(word) = call.args.get(first) {
        match word.to_ascii_lowercase().as_slice() {
            b"nx" => how.only_new = true,
            b"xx" => how.only_existing = true,
            b"gt" => how.only_greater = true,
            b"lt" => how.only_less = true,
            b"ch" => how.count_changed = true,
            b"incr" => how.increment = true,
            _ => break,
        }
        first += 1;
    }
    add(call, first, how)
}

pub(super) fn zincrby(call: &mut Call) -> Outcome {
    add(call, 2, Adding { increment: true, ..Adding::default() })
}

fn add(call: &mut Call, first: usize, how: Adding) -> Outcome {
    let (key, pairs) = (&call.args[1], &call.args[first..]);
    if pairs.is_empty() || pairs.len() % 2 == 1 {
        return Err(refusal::SYNTAX);
    }
    check(how, pairs.len() / 2)?;
    let scores: SmallVec<[f64; 4]> = pairs.iter().step_by(2).map(|text| score(text)).collect::<Result<_, _>>()?;
    add_scored(call, key, &scores, pairs.iter().skip(1).step_by(2), how)
}

/// Adds members with the scores that stand at the same places; there is at least one. What ZADD replies.
pub(in crate::engine::commands) fn add_scored<'a>(
    call: &mut Call,
    key: &Bytes,
    scores: &[f64],
    members: impl Iterator<Item = &'a Bytes> + Clone,
    how: Adding,
) -> Outcome {
    let (limits, seed) = (call.limits(), call.seed());
    let first_len = members.clone().next().map_or(0, |member| member.len());
    let zset = if how.only_existing {
        let Some(zset) = call.write::<Zset>(key)? else {
            return Ok(if how.increment { Reply::Nil } else { Reply::Int(0) });
        };
        zset
    } else {
        call.write_or_insert(key, || {
            let mut zset = Zset::new(seed);
            zset.expect(scores.len(), first_len, &limits);
            zset
        })?
    };
    zset.expect(scores.len(), 0, &limits);
    let (mut new, mut moved, mut last) = (0, 0, Reply::Nil);
    for (member, score) in members.zip(scores) {
        last = match add_one(zset, member, *score, how, &limits)? {
            Added::New(score) => {
                new += 1;
                Reply::Double(score)
            }
            Added::Moved(score) => {
                moved += 1;
                Reply::Double(score)
            }
            Added::Same(score) => Reply::Double(score),
            Added::Refused => continue,
        };
    }
    if new + moved > 0 {
        call.changed(Class::Zset, if how.increment { "zincr" } else { "zadd" }, key);
        call.dirty(new + moved - 1);
    }
    if how.increment {
        return Ok(last);
    }
    Ok(Reply::from(if how.count_changed { new + moved } else { new }))
}

/// Options that contradict each other.
fn check(how: Adding, pairs: usize) -> Result<(), Refusal> {
    if how.only_new && how.only_existing {
        return Err(Refusal::new("ERR XX and NX options at the same time are not compatible"));
    }
    if (how.only_new && (how.only_greater || how.only_less)) || (how.only_greater && how.only_less) {
        return Err(Refusal::new("ERR GT, LT, and/or NX options at the same time are not compatible"));
    }
    if how.increment && pairs > 1 {
        return Err(Refusal::new("ERR INCR option supports a single increment-element pair"));
    }
    Ok(())
}

pub(super) fn score(text: &[u8]) -> Result<f64, Refusal> {
    float::parse(text).ok_or(refusal::NOT_FLOAT)
}

fn add_one(zset: &mut Zset, member: &Bytes, score: f64, how: Adding, limits: &Limits) -> Result<Added, Refusal> {
    let Some(before) = zset.score(member) else {
        if how.only_existing {
            return Ok(Added::Refused);
        }
        zset.insert(member.clone(), score, limits);
        return Ok(Added::New(score));
    };
    if how.only_new {
        return Ok(Added::Refused);
    }
    let score = if how.increment { before + score } else { score };
    if score.is_nan() {
        return Err(Refusal::new("ERR resulting score is not a number (NaN)"));
    }
    if (how.only_less && score >= before) || (how.only_greater && score <= before) {
        return Ok(Added::Refused);
    }
    if score == before {
        return Ok(Added::Same(score));
    }
    zset.insert(member.clone(), score, limits);
    Ok(Added::Moved(score))
}
