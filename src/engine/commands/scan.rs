//! What SCAN, HSCAN, SSCAN and ZSCAN share: the cursor, the options, and how far one call goes.
//!
//! A call visits buckets until COUNT elements were seen (matching or not), or COUNT * 10 buckets when the table is sparse.
//! A collection in a compact encoding is returned whole, with cursor 0, whatever COUNT says: its `scan` answers 0.

use crate::base::{Bytes, carry, glob};
use crate::engine::refusal::{self, Refusal};
use crate::engine::value::string::parse_int;
use crate::resp::Reply;

const BAD_CURSOR: Refusal = Refusal::new("ERR invalid cursor");

/// The cursor as strtoul reads it: an optional sign, then decimal digits; 64 bits. Err: `invalid cursor`.
pub fn cursor(text: &[u8]) -> Result<u64, Refusal> {
    let text = carry::before_zero(text);
    let (negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, text),
    };
    // strtoul accepts the empty string as 0, but no sign without digits.
    if digits.is_empty() {
        return if text.is_empty() { Ok(0) } else { Err(BAD_CURSOR) };
    }
    let mut n: u64 = 0;
    for &digit in digits {
        let value = digit.is_ascii_digit().then(|| u64::from(digit - b'0')).ok_or(BAD_CURSOR)?;
        n = n.checked_mul(10).and_then(|n| n.checked_add(value)).ok_or(BAD_CURSOR)?;
    }
    Ok(if negative { n.wrapping_neg() } else { n })
}

/// `[MATCH pattern] [COUNT count] [TYPE type]`, in any order; the last of a kind counts.
pub struct Options<'a> {
    pub count: usize,
    pattern: Option<&'a [u8]>,
    /// TYPE's word as it was typed; only SCAN has it.
    pub kind: Option<&'a [u8]>,
}

impl<'a> Options<'a> {
    /// Reads the arguments behind the cursor. Err: syntax error, or COUNT is not an integer.
    pub fn parse(args: &'a [Bytes], with_type: bool) -> Result<Options<'a>, Refusal> {
        let mut options = Options { count: 10, pattern: None, kind: None };
        let mut rest = args;
        while let [word, more @ ..] = rest {
            let [value, after @ ..] = more else { return Err(refusal::SYNTAX) };
            if word.eq_ignore_ascii_case(b"count") {
                let count = parse_int(value).ok_or(refusal::NOT_INTEGER)?;
                options.count = usize::try_from(count).ok().filter(|count| *count > 0).ok_or(refusal::SYNTAX)?;
            } else if word.eq_ignore_ascii_case(b"match") {
                options.pattern = Some(value).map(|value| &value[..]).filter(|pattern| *pattern != b"*");
            } else if word.eq_ignore_ascii_case(b"type") && with_type {
                options.kind = Some(value);
            } else {
                return Err(refusal::SYNTAX);
            }
            rest = after;
        }
        Ok(options)
    }

    pub fn matches(&self, name: &[u8]) -> bool {
        self.pattern.is_none_or(|pattern| glob::matches(pattern, name))
    }

    /// Repeats `step` (which visits what is at a cursor and answers the next cursor and how many elements it saw) as
    /// often as one call may; the cursor to go on with.
    pub fn walk(&self, mut cursor: u64, mut step: impl FnMut(u64) -> (u64, usize)) -> u64 {
        let mut seen = 0;
        let mut buckets_left = self.count.saturating_mul(10);
        loop {
            let (next, visited) = step(cursor);
            cursor = next;
            seen += visited;
            if cursor == 0 || buckets_left == 0 || seen >= self.count {
                return cursor;
            }
            buckets_left -= 1;
        }
    }
}

/// The reply of every scan: the next cursor and what was found.
pub fn reply(cursor: u64, found: Vec<Reply>) -> Reply {
    Reply::Array(vec![Reply::bulk(cursor.to_string()), Reply::Array(found)])
}

/// The reply for a key that does not exist.
pub fn nothing() -> Reply {
    reply(0, Vec::new())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_are_read_as_strtoul_reads_them() {
        assert_eq!(cursor(b"18446744073709551615"), Ok(u64::MAX));
        assert_eq!(cursor(b"-1"), Ok(u64::MAX));
        assert_eq!(cursor(b"+7"), Ok(7));
        for bad in ["18446744073709551616", "1x", " 1", "-"] {
            assert_eq!(cursor(bad.as_bytes()), Err(BAD_CURSOR), "{bad}");
        }
    }

    #[test]
    fn a_walk_stops_after_count_elements_or_ten_times_as_many_empty_buckets() {
        let options = Options { count: 3, pattern: None, kind: None };
        assert_eq!(options.walk(0, |at| (at + 1, 1)), 3);
        assert_eq!(options.walk(0, |at| (at + 1, 0)), 31);
        assert_eq!(options.walk(5, |_| (0, 0)), 0);
    }
}
