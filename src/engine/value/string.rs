//! Strings: an integer where the text is the canonical form of an i64, else bytes.

use crate::base::Bytes;
use std::borrow::Cow;

/// A string value in one of Redis' three encodings.
#[derive(Clone, Debug)]
pub enum Str {
    Int(i64),
    /// Set in one go and at most 44 bytes long.
    Embstr(Bytes),
    Raw(Bytes),
}

/// Redis keeps strings up to this length beside their object header (OBJ_ENCODING_EMBSTR_SIZE_LIMIT).
const EMBSTR_MAX: usize = 44;

impl Str {
    /// Chooses the encoding that Redis would (tryObjectEncoding).
    pub fn new(bytes: Bytes) -> Str {
        match parse_int(&bytes) {
            Some(n) => Str::Int(n),
            None => Str::text_of(bytes),
        }
    }

    /// Text without a try at an integer: what INCRBYFLOAT stores.
    pub fn text_of(bytes: Bytes) -> Str {
        if bytes.len() <= EMBSTR_MAX { Str::Embstr(bytes) } else { Str::Raw(bytes) }
    }

    /// The integer that this string is the canonical form of.
    pub fn as_int(&self) -> Option<i64> {
        match self {
            Str::Int(n) => Some(*n),
            Str::Embstr(bytes) | Str::Raw(bytes) => parse_int(bytes),
        }
    }

    pub fn encoding(&self) -> &'static str {
        match self {
            Str::Int(_) => "int",
            Str::Embstr(_) => "embstr",
            Str::Raw(_) => "raw",
        }
    }

    pub fn len(&self) -> usize {
        match self {
            Str::Int(_) => self.text().len(),
            Str::Embstr(bytes) | Str::Raw(bytes) => bytes.len(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub fn text(&self) -> Cow<'_, [u8]> {
        match self {
            Str::Int(n) => Cow::Owned(n.to_string().into_bytes()),
            Str::Embstr(bytes) | Str::Raw(bytes) => Cow::Borrowed(bytes),
        }
    }

    pub fn to_bytes(&self) -> Bytes {
        match self {
            Str::Int(n) => Bytes::from(n.to_string()),
            Str::Embstr(bytes) | Str::Raw(bytes) => bytes.clone(),
        }
    }

    /// The bytes to change in place; the value is `raw` from now on, as in Redis after APPEND or SETRANGE.
    pub fn raw_mut(&mut self) -> &mut Bytes {
        if !matches!(self, Str::Raw(_)) {
            *self = Str::Raw(self.to_bytes());
        }
        match self {
            Str::Raw(bytes) => bytes,
            Str::Int(_) | Str::Embstr(_) => unreachable!("made raw above"),
        }
    }
}

/// The i64 that `text` is the canonical decimal form of: no sign but `-`, no leading zero, no blank (string2ll).
pub fn parse_int(text: &[u8]) -> Option<i64> {
    if text == b"0" {
        return Some(0);
    }
    let (negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        _ => (false, text),
    };
    if digits.is_empty() || digits.len() > 19 || !(b'1'..=b'9').contains(&digits[0]) {
        return None;
    }
    let mut n: u64 = 0;
    for &digit in digits {
        if !digit.is_ascii_digit() {
            return None;
        }
        n = n * 10 + u64::from(digit - b'0');
    }
    if negative { 0i64.checked_sub_unsigned(n) } else { i64::try_from(n).ok() }
}
