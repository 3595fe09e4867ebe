//! Text that carries any bytes.
//!
//! An error is text, but it may repeat a client's words, which are whatever bytes they are. In such a text a byte that is no
//! UTF-8 stands as a character of its own, U+10FF00 and the byte, and becomes that byte again on the wire.

use std::borrow::Cow;

/// The characters that stand for a byte; one that came as such is carried byte by byte too, so that nothing is taken for it.
const CARRIED: std::ops::RangeInclusive<char> = '\u{10ff00}'..='\u{10ffff}';
/// What each of them begins with in UTF-8.
const LEAD: u8 = 0xf4;

/// The text that carries `bytes`.
pub fn text(bytes: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(bytes) {
        Ok(text) if !bytes.contains(&LEAD) => Cow::Borrowed(text),
        _ => Cow::Owned(carry(bytes)),
    }
}

fn carry(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    let alone = |out: &mut String, bytes: &[u8]| {
        out.extend(bytes.iter().map(|byte| char::from_u32(0x10_ff00 + u32::from(*byte)).expect("within the planes")));
    };
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            match CARRIED.contains(&c) {
                true => alone(&mut out, c.encode_utf8(&mut [0; 4]).as_bytes()),
                false => out.push(c),
            }
        }
        alone(&mut out, chunk.invalid());
    }
    out
}

/// The bytes that `text` carries.
pub fn bytes(text: &str) -> Cow<'_, [u8]> {
    if !text.as_bytes().contains(&LEAD) {
        return Cow::Borrowed(text.as_bytes());
    }
    let mut out = Vec::with_capacity(text.len());
    for c in text.chars() {
        match CARRIED.contains(&c) {
            true => out.push(c as u8),
            false => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    Cow::Owned(out)
}

/// As C prints a string: up to its first zero byte.
pub fn printed(bytes: &[u8]) -> Cow<'_, str> {
    text(before_zero(bytes))
}

/// What C takes `bytes` for: a zero byte ends a string.
pub fn before_zero(bytes: &[u8]) -> &[u8] {
    &bytes[..bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len())]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_bytes_come_back() {
        let carried = "\u{10ffc3}".as_bytes();
        for given in
            [&b"plain"[..], b"\xc3\xa9", b"\xc3", b"a\xff\xfe\x00b", carried, &carried[..2], "\u{100000}".as_bytes()]
        {
            assert_eq!(bytes(&text(given)), given);
        }
        assert_eq!(text(b"a\xc3\xa9"), "a\u{e9}");
        assert_eq!(printed(b"a\x00b"), "a");
    }
}
