//! Quoting: how redis-cli (and a server, for inline commands) splits a line, and how both write bytes in quotes.
//!
//! Blanks separate words. `"..."` knows `\xhh \n \r \t \b \a`, `'...'` knows only `\'`; a quote may open inside a word,
//! but what follows a closing quote must be a blank. Outside of quotes every byte, also `\`, is itself. All of it is
//! byte-wise, as `sdssplitargs` and `sdscatrepr` are.

use super::Bytes;
use super::carry;

/// Why a line cannot be split.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unbalanced {
    /// A quote is open at the end of the line.
    Open(u8),
    /// A closing quote is followed by something that is no blank.
    Trailing,
}

/// A word of a line, and where it stood in it, its quotes included.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Piece {
    pub text: Bytes,
    pub start: usize,
    pub end: usize,
}

/// The words of `line`. As in C, a zero byte ends it.
pub fn split(line: &[u8]) -> Result<Vec<Bytes>, Unbalanced> {
    let (pieces, error) = pieces(line);
    match error {
        None => Ok(pieces.into_iter().map(|piece| piece.text).collect()),
        Some(error) => Err(error),
    }
}

/// The words of `line` with their places; also those before a fault, so that a half-typed line can be coloured. If the
/// fault is an open quote, the word it stands in is the last one.
pub fn pieces(line: &[u8]) -> (Vec<Piece>, Option<Unbalanced>) {
    let line = carry::before_zero(line);
    let mut pieces = Vec::new();
    let mut at = 0;
    loop {
        while at < line.len() && is_space(line[at]) {
            at += 1;
        }
        if at == line.len() {
            return (pieces, None);
        }
        let start = at;
        let mut text = Bytes::new();
        let fault = word(line, &mut at, &mut text);
        pieces.push(Piece { text, start, end: at });
        if fault.is_some() {
            return (pieces, fault);
        }
    }
}

/// Reads one word from `at` on into `text`.
fn word(line: &[u8], at: &mut usize, text: &mut Bytes) -> Option<Unbalanced> {
    while *at < line.len() {
        let byte = line[*at];
        match byte {
            b' ' | b'\n' | b'\r' | b'\t' => return None,
            b'"' | b'\'' => {
                *at += 1;
                let closed = if byte == b'"' { double_quoted(line, at, text) } else { single_quoted(line, at, text) };
                return match line.get(*at) {
                    _ if !closed => Some(Unbalanced::Open(byte)),
                    Some(&next) if !is_space(next) => Some(Unbalanced::Trailing),
                    _ => None,
                };
            }
            _ => text.extend(&[byte]),
        }
        *at += 1;
    }
    None
}

/// Reads up to behind the closing quote; false if there is none.
fn double_quoted(line: &[u8], at: &mut usize, text: &mut Bytes) -> bool {
    loop {
        let (byte, len) = match line[*at..] {
            [] => return false,
            [b'"', ..] => {
                *at += 1;
                return true;
            }
            [b'\\', b'x', high, low, ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                (hex(high) * 16 + hex(low), 4)
            }
            [b'\\', escaped, ..] => (unescaped(escaped), 2),
            [byte, ..] => (byte, 1),
        };
        text.extend(&[byte]);
        *at += len;
    }
}

fn single_quoted(line: &[u8], at: &mut usize, text: &mut Bytes) -> bool {
    loop {
        let (byte, len) = match line[*at..] {
            [] => return false,
            [b'\'', ..] => {
                *at += 1;
                return true;
            }
            [b'\\', b'\'', ..] => (b'\'', 2),
            [byte, ..] => (byte, 1),
        };
        text.extend(&[byte]);
        *at += len;
    }
}

fn unescaped(letter: u8) -> u8 {
    match letter {
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'b' => 8,
        b'a' => 7,
        other => other,
    }
}

fn hex(digit: u8) -> u8 {
    (digit as char).to_digit(16).expect("the caller saw a hex digit") as u8
}

/// isspace(3) in the C locale.
pub fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t'..=b'\r')
}

/// `bytes` in double quotes, printable ASCII as it is, the rest escaped: as redis-cli prints a bulk string.
pub fn repr(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len() + 2);
    repr_to(&mut out, bytes);
    out
}

/// As [`repr`], appended to `out`.
pub fn repr_to(out: &mut String, bytes: &[u8]) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    out.push('"');
    for &byte in bytes {
        match byte {
            b'\\' | b'"' => {
                out.push('\\');
                out.push(byte as char);
            }
            b'\n' => out.push_str("\\n"),
            b'\r' => out.push_str("\\r"),
            b'\t' => out.push_str("\\t"),
            7 => out.push_str("\\a"),
            8 => out.push_str("\\b"),
            b' '..=b'~' => out.push(byte as char),
            _ => {
                out.push_str("\\x");
                out.push(HEX[usize::from(byte >> 4)] as char);
                out.push(HEX[usize::from(byte & 15)] as char);
            }
        }
    }
    out.push('"');
}

/// `bytes` as one word of a line: bare where that is enough, else in quotes. [`split`] reads it back.
pub fn word_of(bytes: &[u8]) -> String {
    let bare = !bytes.is_empty() && bytes.iter().all(|byte| (b'!'..=b'~').contains(byte) && !b"\"'".contains(byte));
    if bare { bytes.iter().map(|&byte| byte as char).collect() } else { repr(bytes) }
}

/// A line that [`split`] takes apart into `args` again.
pub fn line_of<B: AsRef<[u8]>>(args: &[B]) -> String {
    args.iter().map(|arg| word_of(arg.as_ref())).collect::<Vec<_>>().join(" ")
}

/// Whether a terminal could take `c` for more than a letter: control characters, and those that turn the writing direction
/// around, by which one command could look like another.
pub fn is_dangerous(c: char) -> bool {
    let turns = matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    c.is_control() || turns
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Rng;

    fn words(line: &str) -> Vec<String> {
        split(line.as_bytes()).unwrap().iter().map(|word| word.escape_ascii().to_string()).collect()
    }

    #[test]
    fn a_line_splits_as_in_redis_cli() {
        assert_eq!(words("  SET  a   b "), ["SET", "a", "b"]);
        assert_eq!(words(r#"set "a b" 'c d'"#), ["set", "a b", "c d"]);
        assert_eq!(words(r#"ab"cd" key"" """#), ["abcd", "key", ""]);
        assert_eq!(words(r#""\x41\n\r\t\b\a\q\"\xzz""#), [r#"A\n\r\t\x08\x07q\"xzz"#]);
        assert_eq!(words(r#"'a\'b\n'"#), [r#"a\'b\\n"#]);
        assert_eq!(words(r"a\ b"), [r"a\\", "b"]);
        assert_eq!(words(""), Vec::<String>::new());
        assert_eq!(words("a\0b c"), ["a"], "a zero byte ends the line");
        assert_eq!(words("\u{b}a\u{b}b"), ["a\\x0bb"], "a vertical tab separates only before a word");
    }

    #[test]
    fn unbalanced_quotes_are_told_apart() {
        assert_eq!(split(b"set \"a"), Err(Unbalanced::Open(b'"')));
        assert_eq!(split(b"set 'a\\'"), Err(Unbalanced::Open(b'\'')));
        assert_eq!(split(b"set \"a\"b"), Err(Unbalanced::Trailing));
        assert_eq!(split(b"set \"a\\"), Err(Unbalanced::Open(b'"')));
    }

    #[test]
    fn pieces_keep_their_places() {
        let (pieces, fault) = pieces(b"set  \"a b\" 'c");
        let spans: Vec<_> = pieces.iter().map(|piece| (piece.start, piece.end)).collect();
        assert_eq!(spans, [(0, 3), (5, 10), (11, 13)]);
        assert_eq!(fault, Some(Unbalanced::Open(b'\'')));
    }

    #[test]
    fn repr_escapes_all_but_printable_ascii() {
        assert_eq!(repr(b"a\"\\\n\r\t\x07\x08\x1b\x7f\xc3\xa9 ~"), r#""a\"\\\n\r\t\a\b\x1b\x7f\xc3\xa9 ~""#);
    }

    #[test]
    fn any_bytes_come_back_from_their_quoted_form_and_no_line_panics() {
        let mut rng = Rng::new(3);
        for case in 0..5000 {
            let args: Vec<Vec<u8>> = (0..1 + rng.below(4))
                .map(|_| {
                    (0..rng.below(6))
                        .map(|_| if rng.below(2) == 0 { rng.below(256) as u8 } else { b"\\\"' x\n"[rng.below(6)] })
                        .collect()
                })
                .collect();
            let line = line_of(&args);
            let back = split(line.as_bytes()).unwrap_or_else(|fault| panic!("case {case}: {fault:?} in {line}"));
            assert_eq!(back.iter().map(|word| word.to_vec()).collect::<Vec<_>>(), args, "case {case}");
            let _ = split(&args.concat());
        }
    }
}
