//! Ranges of a sorted set: by rank, by score, by text. Reading, counting, storing and removing them.
//!
//! All three become ranges of ranks first; what is done with the members is then the same.

use super::pair;
use crate::base::{Bytes, carry, float};
use crate::engine::call::Call;
use crate::engine::command::Outcome;
use crate::engine::commands::{parse, sample};
use crate::engine::notify::Class;
use crate::engine::refusal::{self, Refusal};
use crate::engine::value::{Kind, Zset};
use crate::resp::Reply;
use std::ops::Range;

/// A range as it was asked for.
enum Span {
    Ranks(i64, i64),
    Scores { min: Score, max: Score },
    Texts { min: Text, max: Text },
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum By {
    Rank,
    Score,
    Text,
}

/// One end of a range of scores.
struct Score {
    value: f64,
    excluded: bool,
}

/// One end of a range of texts.
enum Text {
    Lowest,
    Highest,
    At { text: Bytes, excluded: bool },
}

impl Score {
    /// `1.5`, `(1.5`, `-inf`. As strtod reads it: nothing at all is 0, and a number too large is infinite.
    fn parse(text: &[u8]) -> Option<Score> {
        let (digits, excluded) = match carry::before_zero(text) {
            [b'(', rest @ ..] => (rest, true),
            text => (text, false),
        };
        let value = if digits.is_empty() { 0.0 } else { lenient(digits.trim_ascii_start())? };
        Some(Score { value, excluded })
    }
}

fn lenient(digits: &[u8]) -> Option<f64> {
    let beyond_range = || std::str::from_utf8(digits).ok()?.parse().ok().filter(|value: &f64| !value.is_nan());
    float::parse(digits).or_else(beyond_range)
}

impl Text {
    /// `[text`, `(text`, `-`, `+`.
    fn parse(text: &[u8]) -> Option<Text> {
        match text {
            b"-" => Some(Text::Lowest),
            b"+" => Some(Text::Highest),
            [b'[', rest @ ..] => Some(Text::At { text: Bytes::copy(rest), excluded: false }),
            [b'(', rest @ ..] => Some(Text::At { text: Bytes::copy(rest), excluded: true }),
            _ => None,
        }
    }

    /// Whether `member` stands before a range that begins here.
    fn begins_behind(&self, member: &[u8]) -> bool {
        match self {
            Text::Lowest => false,
            Text::Highest => true,
            Text::At { text, excluded } => member < &text[..] || (*excluded && *member == text[..]),
        }
    }

    /// Whether `member` stands behind a range that ends here.
    fn ends_before(&self, member: &[u8]) -> bool {
        match self {
            Text::Lowest => true,
            Text::Highest => false,
            Text::At { text, excluded } => member > &text[..] || (*excluded && *member == text[..]),
        }
    }
}

impl Span {
    fn parse(by: By, min: &[u8], max: &[u8]) -> Result<Span, Refusal> {
        match by {
            By::Rank => {
                let int = |text| crate::engine::value::string::parse_int(text).ok_or(refusal::NOT_INTEGER);
                Ok(Span::Ranks(int(min)?, int(max)?))
            }
            By::Score => match (Score::parse(min), Score::parse(max)) {
                (Some(min), Some(max)) => Ok(Span::Scores { min, max }),
                _ => Err(Refusal::new("ERR min or max is not a float")),
            },
            By::Text => match (Text::parse(min), Text::parse(max)) {
                (Some(min), Some(max)) => Ok(Span::Texts { min, max }),
                _ => Err(Refusal::new("ERR min or max not valid string range item")),
            },
        }
    }

    /// The ranks of the members in this range. O(log n).
    fn ranks(&self, zset: &Zset) -> Range<usize> {
        let (start, end) = match self {
            Span::Ranks(start, stop) => return parse::index_range(*start, *stop, zset.len()),
            Span::Scores { min, max } => (
                zset.partition(|score, _| score < min.value || (min.excluded && score == min.value)),
                zset.partition(|score, _| score < max.value || (!max.excluded && score == max.value)),
            ),
            Span::Texts { min, max } => (
                zset.partition(|_, member| min.begins_behind(member)),
                zset.partition(|_, member| !max.ends_before(member)),
            ),
        };
        start..end.max(start)
    }
}

// -- reading ---------------------------------------------------------------------------------------------------------

/// What ZRANGE and its kin are asked for.
struct Wanted {
    span: Span,
    backwards: bool,
    with_scores: bool,
    offset: i64,
    /// Negative: all.
    count: i64,
}

impl Wanted {
    /// Reads `min max [options]` from argument `at` on. `by` and `backwards` are given by the older commands' names;
    /// None lets options say it.
    fn parse(call: &Call, at: usize, by: Option<By>, backwards: Option<bool>, stored: bool) -> Result<Wanted, Refusal> {
        let (fixed_by, fixed_direction) = (by.is_some(), backwards.is_some());
        let (mut by, mut backwards) = (by.unwrap_or(By::Rank), backwards.unwrap_or(false));
        let (mut with_scores, mut offset, mut count) = (false, 0, -1);
        let mut chosen = fixed_by;
        let mut next = at + 2;
        while next < call.args.len() {
            if !stored && call.is(next, "WITHSCORES") {
                with_scores = true;
            } else if call.is(next, "LIMIT") && next + 2 < call.args.len() {
                (offset, count) = (call.int(next + 1)?, call.int(next + 2)?);
                next += 2;
            } else if !fixed_direction && !backwards && call.is(next, "REV") {
                backwards = true;
            } else if !chosen && call.is(next, "BYLEX") {
                (by, chosen) = (By::Text, true);
            } else if !chosen && call.is(next, "BYSCORE") {
                (by, chosen) = (By::Score, true);
            } else {
                return Err(refusal::SYNTAX);
            }
            next += 1;
        }
        if count != -1 && by == By::Rank {
            return Err(Refusal::new(
                "ERR syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX",
            ));
        }
        if with_scores && by == By::Text {
            return Err(Refusal::new("ERR syntax error, WITHSCORES not supported in combination with BYLEX"));
        }
        let (mut min, mut max) = (&call.args[at], &call.args[at + 1]);
        // Backwards, a range of scores or texts is written from its upper end.
        if backwards && by != By::Rank {
            (min, max) = (max, min);
        }
        Ok(Wanted { span: Span::parse(by, min, max)?, backwards, with_scores, offset, count })
    }

    /// The ranks of the members to return.
    fn ranks(&self, zset: &Zset) -> Range<usize> {
        let ranks = self.span.ranks(zset);
        if let Span::Ranks(..) = self.span {
            let len = zset.len();
            return if self.backwards { len - ranks.end..len - ranks.start } else { ranks };
        }
        // A negative offset never arrives at the first member to return.
        let Ok(offset) = usize::try_from(self.offset) else { return 0..0 };
        let skipped = offset.min(ranks.len());
        let taken = usize::try_from(self.count).unwrap_or(usize::MAX).min(ranks.len() - skipped);
        if self.backwards {
            ranks.end - skipped - taken..ranks.end - skipped
        } else {
            ranks.start + skipped..ranks.start + skipped + taken
        }
    }
}

pub fn zrange(call: &mut Call) -> Outcome {
    read(call, None, None)
}

pub fn zrevrange(call: &mut Call) -> Outcome {
    read(call, Some(By::Rank), Some(true))
}

pub fn zrangebyscore(call: &mut Call) -> Outcome {
    read(call, Some(By::Score), Some(false))
}

pub fn zrevrangebyscore(call: &mut Call) -> Outcome {
    read(call, Some(By::Score), Some(true))
}

pub fn zrangebylex(call: &mut Call) -> Outcome {
    read(call, Some(By::Text), Some(false))
}

pub fn zrevrangebylex(call: &mut Call) -> Outcome {
    read(call, Some(By::Text), Some(true))
}

fn read(call: &mut Call, by: Option<By>, backwards: Option<bool>) -> Outcome {
    let key = &call.args[1];
    let wanted = Wanted::parse(call, 2, by, backwards, false)?;
    let protocol = call.protocol;
    let Some(zset) = call.read::<Zset>(key)? else { return Ok(Reply::Array(Vec::new())) };
    let ranks = wanted.ranks(zset);
    let members: &mut dyn Iterator<Item = (&Bytes, f64)> =
        if wanted.backwards { &mut zset.range_back(ranks) } else { &mut zset.range(ranks) };
    Ok(if wanted.with_scores {
        sample::pairs_reply(members.map(pair), protocol)
    } else {
        Reply::Array(members.map(|(member, _)| Reply::Bulk(member.clone())).collect())
    })
}

pub fn zrangestore(call: &mut Call) -> Outcome {
    let (destination, source) = (&call.args[1], &call.args[2]);
    let wanted = Wanted::parse(call, 3, None, None, true)?;
    let (limits, seed) = (call.limits(), call.seed());
    let found = call.read::<Zset>(source)?;
    let members = found.map_or_else(Vec::new, |zset| {
        zset.range(wanted.ranks(zset)).map(|(member, score)| (member.clone(), score)).collect()
    });
    let count = members.len();
    call.store(destination, Zset::build(members, seed, &limits).into_value(), Class::Zset, "zrangestore");
    Ok(Reply::from(count))
}

// -- counting and removing -------------------------------------------------------------------------------------------

pub fn zcount(call: &mut Call) -> Outcome {
    count(call, By::Score)
}

pub fn zlexcount(call: &mut Call) -> Outcome {
    count(call, By::Text)
}

fn count(call: &mut Call, by: By) -> Outcome {
    let key = &call.args[1];
    let span = Span::parse(by, &call.args[2], &call.args[3])?;
    Ok(Reply::from(call.read::<Zset>(key)?.map_or(0, |zset| span.ranks(zset).len())))
}

pub fn zremrangebyrank(call: &mut Call) -> Outcome {
    remove(call, By::Rank, "zremrangebyrank")
}

pub fn zremrangebyscore(call: &mut Call) -> Outcome {
    remove(call, By::Score, "zremrangebyscore")
}

pub fn zremrangebylex(call: &mut Call) -> Outcome {
    remove(call, By::Text, "zremrangebylex")
}

fn remove(call: &mut Call, by: By, event: &'static str) -> Outcome {
    let key = &call.args[1];
    let span = Span::parse(by, &call.args[2], &call.args[3])?;
    let Some(zset) = call.write::<Zset>(key)? else { return Ok(Reply::Int(0)) };
    let gone = zset.remove_range(span.ranks(zset)).len();
    if gone > 0 {
        call.changed(Class::Zset, event, key);
        call.dirty(gone - 1);
        call.remove_if_empty(key);
    }
    Ok(Reply::from(gone))
}
