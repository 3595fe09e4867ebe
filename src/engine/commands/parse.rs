//! Arguments that several families read alike: index ranges, counts of keys, timeouts.

use crate::base::{Bytes, Millis, float};
use crate::engine::call::Call;
use crate::engine::refusal::{self, Refusal};
use crate::engine::value::string::parse_int;
use std::ops::Range;

/// `start` to `stop` inclusive, negative from the end, cut to `len`: empty if they cross.
pub fn index_range(start: i64, stop: i64, len: usize) -> Range<usize> {
    let from_end = |index: i64| if index < 0 { index.saturating_add(len as i64) } else { index };
    let (start, stop) = (from_end(start).max(0), from_end(stop).min(len as i64 - 1));
    if start > stop { 0..0 } else { start as usize..stop as usize + 1 }
}

/// Argument `index` as an integer of at least `least`. Err: `message`, whatever is wrong.
pub fn at_least(call: &Call, index: usize, least: i64, message: &'static str) -> Result<i64, Refusal> {
    parse_int(&call.args[index]).filter(|n| *n >= least).ok_or(Refusal::new(message))
}

/// Argument `index` as a number from 0 on. Err: `must be positive`, also for what is no number.
pub fn positive(call: &Call, index: usize) -> Result<usize, Refusal> {
    parse_int(&call.args[index]).and_then(|n| usize::try_from(n).ok()).ok_or(refusal::NOT_POSITIVE)
}

/// The keys behind a count at argument `index`, and where the arguments go on. Err: `ERR numkeys should be greater than
/// 0`, or a syntax error if fewer than `behind` arguments follow them.
pub fn counted_keys<'a>(call: &Call<'a>, index: usize, behind: usize) -> Result<(&'a [Bytes], usize), Refusal> {
    let count = at_least(call, index, 1, "ERR numkeys should be greater than 0")? as usize;
    let (args, first) = (call.args, index + 1);
    match first.checked_add(count) {
        Some(end) if end.saturating_add(behind) <= args.len() => Ok((&args[first..end], end)),
        _ => Err(refusal::SYNTAX),
    }
}

/// `[COUNT count]` at the end, from argument `index` on; 1 without it.
pub fn count_option(call: &Call, index: usize) -> Result<usize, Refusal> {
    if index == call.args.len() {
        return Ok(1);
    }
    if !call.is(index, "COUNT") || index + 1 == call.args.len() {
        return Err(refusal::SYNTAX);
    }
    let count = at_least(call, index + 1, 1, "ERR count should be greater than 0")?;
    if index + 2 == call.args.len() { Ok(count as usize) } else { Err(refusal::SYNTAX) }
}

/// `[LIMIT limit]` from argument `index` on: how much to count at most.
pub fn limit_option(call: &Call, index: usize) -> Result<usize, Refusal> {
    let mut limit = 0;
    for at in (index..call.args.len()).step_by(2) {
        if !call.is(at, "LIMIT") || at + 1 == call.args.len() {
            return Err(refusal::SYNTAX);
        }
        limit = at_least(call, at + 1, 0, "ERR LIMIT can't be negative")? as usize;
    }
    Ok(if limit == 0 { usize::MAX } else { limit })
}

/// Argument `index` as a timeout in whole milliseconds; zero lets a blocking command wait for ever.
pub fn timeout_ms(call: &Call, index: usize) -> Result<Millis, Refusal> {
    let ms = parse_int(&call.args[index]).ok_or(Refusal::new("ERR timeout is not an integer or out of range"))?;
    let ms = u64::try_from(ms).map_err(|_| Refusal::new("ERR timeout is negative"))?;
    // The moment of the deadline has to fit into an i64 as well.
    if ms > i64::MAX as u64 - call.now.0 { Err(Refusal::new("ERR timeout is out of range")) } else { Ok(Millis(ms)) }
}

/// Argument `index` as the timeout of a blocking command: seconds, with a fraction; zero waits for ever.
pub fn timeout(call: &Call, index: usize) -> Result<Millis, Refusal> {
    let seconds = float::parse(&call.args[index]).ok_or(Refusal::new("ERR timeout is not a float or out of range"))?;
    let ms = (seconds * 1000.0).ceil();
    // The moment of the deadline has to fit into an i64 as well.
    if ms >= (i64::MAX as u64 - call.now.0) as f64 {
        return Err(Refusal::new("ERR timeout is out of range"));
    }
    if ms < 0.0 {
        return Err(Refusal::new("ERR timeout is negative"));
    }
    Ok(Millis(ms as u64))
}
