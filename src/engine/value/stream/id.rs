//! The id of a stream's entry: milliseconds and a number within them.

use crate::base::carry;
use std::fmt;

/// Ordered by time, then by number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id {
    pub ms: u64,
    pub seq: u64,
}

impl Id {
    pub const MIN: Id = Id { ms: 0, seq: 0 };
    pub const MAX: Id = Id { ms: u64::MAX, seq: u64::MAX };

    pub const fn new(ms: u64, seq: u64) -> Id {
        Id { ms, seq }
    }

    /// The id right behind this one; None behind the last.
    pub fn next(self) -> Option<Id> {
        match self.seq.checked_add(1) {
            Some(seq) => Some(Id { seq, ..self }),
            None => Some(Id { ms: self.ms.checked_add(1)?, seq: 0 }),
        }
    }

    /// The id right before this one; None before the first.
    pub fn previous(self) -> Option<Id> {
        match self.seq.checked_sub(1) {
            Some(seq) => Some(Id { seq, ..self }),
            None => Some(Id { ms: self.ms.checked_sub(1)?, seq: u64::MAX }),
        }
    }

    /// What `text` says, as XADD and XRANGE take it: `ms` or `ms-seq`, with `missing` where there is no number. None if it
    /// is no id. The signs `-` and `+` for the first and last one are the caller's.
    pub fn parse(text: &[u8], missing: u64) -> Option<Id> {
        match Id::parse_open(text)? {
            (ms, Seq::Given(seq)) => Some(Id { ms, seq }),
            (ms, Seq::Missing) => Some(Id { ms, seq: missing }),
            (_, Seq::Auto) => None,
        }
    }

    /// Also takes `ms-*`.
    pub fn parse_open(text: &[u8]) -> Option<(u64, Seq)> {
        if text.len() > 127 {
            return None;
        }
        // A C string: it ends at a zero byte.
        let text = carry::before_zero(text);
        let Some(dash) = text.iter().position(|byte| *byte == b'-') else {
            return Some((unsigned(text)?, Seq::Missing));
        };
        let (ms, seq) = (unsigned(&text[..dash])?, &text[dash + 1..]);
        Some((ms, if seq == b"*" { Seq::Auto } else { Seq::Given(unsigned(seq)?) }))
    }

    /// Big-endian, so that bytes sort as ids do: the keys of Redis' radix trees.
    pub fn to_be_bytes(self) -> [u8; 16] {
        (u128::from(self.ms) << 64 | u128::from(self.seq)).to_be_bytes()
    }

    pub fn from_be_bytes(bytes: [u8; 16]) -> Id {
        let both = u128::from_be_bytes(bytes);
        Id { ms: (both >> 64) as u64, seq: both as u64 }
    }
}

/// The second part of an id as it was typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seq {
    Given(u64),
    Missing,
    /// `*`: to be chosen.
    Auto,
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.ms, self.seq)
    }
}

/// As string2ull reads: a canonical integer, else what strtoull takes, which is more (blanks before it, a sign, zeros).
fn unsigned(text: &[u8]) -> Option<u64> {
    let text = text.trim_ascii_start();
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] => (false, digits),
        digits => (false, digits),
    };
    let n = digits.iter().try_fold(0u64, |n, digit| {
        let digit = digit.is_ascii_digit().then(|| u64::from(digit - b'0'))?;
        n.checked_mul(10)?.checked_add(digit)
    })?;
    // A canonical negative number is refused; one that only strtoull reads is taken modulo 2^64, but nobody types that.
    (!digits.is_empty() && !negative).then_some(n)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_read_as_redis_reads_them() {
        let cases: [(&str, Option<Id>); 14] = [
            ("5", Some(Id::new(5, 9))),
            ("5-0", Some(Id::new(5, 0))),
            ("5-007", Some(Id::new(5, 7))),
            ("5-+7", Some(Id::new(5, 7))),
            ("18446744073709551615-18446744073709551615", Some(Id::MAX)),
            ("18446744073709551616", None),
            ("", None),
            ("-", None),
            ("-5", None),
            ("5-", None),
            ("5--3", None),
            ("5-*", None),
            ("5-3-1", None),
            ("five", None),
        ];
        for (text, id) in cases {
            assert_eq!(Id::parse(text.as_bytes(), 9), id, "{text}");
        }
        assert_eq!(Id::parse_open(b"7-*"), Some((7, Seq::Auto)));
    }

    #[test]
    fn neighbours_carry_over_into_the_time() {
        assert_eq!(Id::new(1, u64::MAX).next(), Some(Id::new(2, 0)));
        assert_eq!(Id::new(2, 0).previous(), Some(Id::new(1, u64::MAX)));
        assert_eq!((Id::MAX.next(), Id::MIN.previous()), (None, None));
        assert_eq!(Id::from_be_bytes(Id::new(3, 4).to_be_bytes()), Id::new(3, 4));
    }
}
