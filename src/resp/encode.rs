//! Replies and requests as bytes, written straight into the output buffer.

use super::{Protocol, Reply};
use crate::base::{carry, float};

/// Appends `reply` to `out`. What RESP2 lacks is rendered down as Redis does it: maps flat, doubles and verbatim strings
/// as bulk strings, booleans as 1 and 0.
pub fn reply(out: &mut Vec<u8>, reply: &Reply, protocol: Protocol) {
    let resp3 = protocol == Protocol::Resp3;
    match reply {
        Reply::Status(text) if text == "OK" => out.extend_from_slice(b"+OK\r\n"),
        Reply::Status(text) => line(out, b'+', &carry::bytes(text)),
        Reply::Error(text) => line(out, b'-', &carry::bytes(text)),
        Reply::Int(n) => header(out, b':', *n),
        Reply::Bulk(bytes) => bulk(out, bytes),
        Reply::Nil if resp3 => out.extend_from_slice(b"_\r\n"),
        Reply::NilArray if resp3 => out.extend_from_slice(b"_\r\n"),
        Reply::Nil => out.extend_from_slice(b"$-1\r\n"),
        Reply::NilArray => out.extend_from_slice(b"*-1\r\n"),
        Reply::Array(items) => list(out, b'*', items, protocol),
        Reply::Set(items) => list(out, if resp3 { b'~' } else { b'*' }, items, protocol),
        Reply::Push(items) => list(out, if resp3 { b'>' } else { b'*' }, items, protocol),
        Reply::Map(pairs) => {
            let (kind, len) = if resp3 { (b'%', pairs.len()) } else { (b'*', pairs.len() * 2) };
            map(out, kind, len, pairs, protocol);
        }
        Reply::Attributed(both) => {
            if resp3 {
                map(out, b'|', both.0.len(), &both.0, protocol);
            }
            self::reply(out, &both.1, protocol);
        }
        Reply::Double(value) if resp3 => line(out, b',', float::text(*value).as_bytes()),
        Reply::Double(value) => bulk(out, float::text(*value).as_bytes()),
        Reply::Bool(yes) if resp3 => out.extend_from_slice(if *yes { b"#t\r\n" } else { b"#f\r\n" }),
        Reply::Bool(yes) => header(out, b':', i64::from(*yes)),
        Reply::Verbatim(format, text) if resp3 => {
            header(out, b'=', text.len() as i64 + 4);
            out.extend_from_slice(format.as_bytes());
            out.push(b':');
            out.extend_from_slice(text);
            out.extend_from_slice(b"\r\n");
        }
        Reply::Verbatim(_, text) => bulk(out, text),
        Reply::LongDouble(digits) if resp3 => line(out, b',', digits),
        Reply::BigNumber(digits) if resp3 => line(out, b'(', digits),
        Reply::BigNumber(digits) | Reply::LongDouble(digits) => bulk(out, digits),
        Reply::Many(replies) => replies.iter().for_each(|each| self::reply(out, each, protocol)),
        Reply::None => {}
    }
}

/// How many bytes `request` writes.
pub fn request_len<B: AsRef<[u8]>>(args: &[B]) -> usize {
    let digits = |n: usize| n.max(1).ilog10() as usize + 1;
    let words = args.iter().map(|arg| arg.as_ref().len());
    3 + digits(args.len()) + words.map(|len| 5 + digits(len) + len).sum::<usize>()
}

/// Appends `args` as a client sends a command: an array of bulk strings.
pub fn request<B: AsRef<[u8]>>(out: &mut Vec<u8>, args: &[B]) {
    header(out, b'*', args.len() as i64);
    for arg in args {
        bulk(out, arg.as_ref());
    }
}

fn list(out: &mut Vec<u8>, kind: u8, items: &[Reply], protocol: Protocol) {
    header(out, kind, items.len() as i64);
    let mut rest = items;
    while let Some((first, behind)) = rest.split_first() {
        let short = rest.iter().take_while(|item| matches!(item, Reply::Bulk(bytes) if bytes.len() < SHORT)).count();
        if short > 1 {
            short_bulks(out, &rest[..short]);
            rest = &rest[short..];
        } else {
            reply(out, first, protocol);
            rest = behind;
        }
    }
}

/// From this length on, a bulk string has a length of three digits.
const SHORT: usize = 100;

/// A run of bulk strings shorter than `SHORT`, the bulk of what most lists are: room for all of them is made once.
fn short_bulks(out: &mut Vec<u8>, items: &[Reply]) {
    let texts = || items.iter().filter_map(|item| if let Reply::Bulk(bytes) = item { Some(&**bytes) } else { None });
    let start = out.len();
    out.resize(start + texts().map(|text| text.len() + 6 + usize::from(text.len() >= 10)).sum::<usize>(), 0);
    let mut room = &mut out[start..];
    for text in texts() {
        let (tens, ones) = ((text.len() / 10) as u8, (text.len() % 10) as u8);
        let digits = 1 + usize::from(tens > 0);
        let (place, behind) = room.split_at_mut(text.len() + digits + 5);
        place[0] = b'$';
        place[1] = b'0' + tens;
        place[digits] = b'0' + ones;
        place[digits + 1] = b'\r';
        place[digits + 2] = b'\n';
        place[digits + 3..digits + 3 + text.len()].copy_from_slice(text);
        place[digits + 3 + text.len()..].copy_from_slice(b"\r\n");
        room = behind;
    }
}

fn map(out: &mut Vec<u8>, kind: u8, len: usize, pairs: &[(Reply, Reply)], protocol: Protocol) {
    header(out, kind, len as i64);
    for (key, value) in pairs {
        reply(out, key, protocol);
        reply(out, value, protocol);
    }
}

fn bulk(out: &mut Vec<u8>, bytes: &[u8]) {
    let (tens, ones) = (b'0' + (bytes.len() / 10 % 10) as u8, b'0' + (bytes.len() % 10) as u8);
    match bytes.len() {
        0..10 => out.extend_from_slice(&[b'$', ones, b'\r', b'\n']),
        10..100 => out.extend_from_slice(&[b'$', tens, ones, b'\r', b'\n']),
        len => header(out, b'$', len as i64),
    }
    out.extend_from_slice(bytes);
    out.extend_from_slice(b"\r\n");
}

/// A line break inside of a line would end it; as Redis does, it becomes a blank.
fn line(out: &mut Vec<u8>, kind: u8, text: &[u8]) {
    out.push(kind);
    if text.iter().any(|byte| matches!(byte, b'\r' | b'\n')) {
        out.extend(text.iter().map(|&byte| if matches!(byte, b'\r' | b'\n') { b' ' } else { byte }));
    } else {
        out.extend_from_slice(text);
    }
    out.extend_from_slice(b"\r\n");
}

/// `kind`, the digits of `n`, the end of the line: made backwards in one place and appended at once.
fn header(out: &mut Vec<u8>, kind: u8, n: i64) {
    let mut text = [0u8; 24];
    let mut at = text.len() - 2;
    text[at..].copy_from_slice(b"\r\n");
    let mut rest = n.unsigned_abs();
    loop {
        at -= 1;
        text[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    if n < 0 {
        at -= 1;
        text[at] = b'-';
    }
    text[at - 1] = kind;
    out.extend_from_slice(&text[at - 1..]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Bytes;

    fn wire(value: &Reply, protocol: Protocol) -> String {
        let mut out = Vec::new();
        reply(&mut out, value, protocol);
        String::from_utf8_lossy(&out).replace("\r\n", ".")
    }

    #[test]
    fn a_line_carries_bytes_that_are_no_text() {
        let mut out = Vec::new();
        let text = format!("ERR unknown command '{}'", Bytes::from(b"\xff\xc3a\x00b").printed());
        reply(&mut out, &Reply::Error(text.into()), Protocol::Resp2);
        assert_eq!(out, b"-ERR unknown command '\xff\xc3a'\r\n");
    }

    #[test]
    fn each_kind_has_its_form_in_both_protocols() {
        let pair = || vec![Reply::bulk("a"), Reply::Int(-1)];
        for (reply, resp2, resp3) in [
            (Reply::OK, "+OK.", "+OK."),
            (Reply::error("ERR a\r\nb"), "-ERR a  b.", "-ERR a  b."),
            (Reply::Int(i64::MIN), ":-9223372036854775808.", ":-9223372036854775808."),
            (Reply::bulk(""), "$0..", "$0.."),
            (Reply::Nil, "$-1.", "_."),
            (Reply::NilArray, "*-1.", "_."),
            (Reply::Array(pair()), "*2.$1.a.:-1.", "*2.$1.a.:-1."),
            (Reply::Set(pair()), "*2.$1.a.:-1.", "~2.$1.a.:-1."),
            (Reply::Push(pair()), "*2.$1.a.:-1.", ">2.$1.a.:-1."),
            (Reply::Map(vec![(Reply::bulk("k"), Reply::Nil)]), "*2.$1.k.$-1.", "%1.$1.k._."),
            (Reply::Double(1.5), "$3.1.5.", ",1.5."),
            (Reply::Double(f64::INFINITY), "$3.inf.", ",inf."),
            (Reply::Bool(true), ":1.", "#t."),
            (Reply::Verbatim("txt", Bytes::from("hi")), "$2.hi.", "=6.txt:hi."),
            (Reply::BigNumber(Bytes::from("123")), "$3.123.", "(123."),
            (Reply::LongDouble(Bytes::from("0.50")), "$4.0.50.", ",0.50."),
            (
                Reply::Attributed(Box::new((vec![(Reply::bulk("k"), Reply::Int(1))], Reply::bulk("v")))),
                "$1.v.",
                "|1.$1.k.:1.$1.v.",
            ),
            (Reply::Many(pair()), "$1.a.:-1.", "$1.a.:-1."),
            (Reply::None, "", ""),
        ] {
            assert_eq!(wire(&reply, Protocol::Resp2), resp2, "{reply:?}");
            assert_eq!(wire(&reply, Protocol::Resp3), resp3, "{reply:?}");
        }
    }

    #[test]
    fn a_list_of_bulk_strings_is_each_of_them_whatever_its_length() {
        let mixed: Vec<Reply> = [0, 9, 10, 11, 98, 99, 100, 101, 5, 1000, 7]
            .iter()
            .flat_map(|len| [Reply::bulk("x".repeat(*len)), Reply::bulk("y".repeat(len / 2)), Reply::Int(*len as i64)])
            .chain((0..120).map(|len| Reply::bulk("z".repeat(len))))
            .collect();
        let one_by_one = mixed.iter().map(|item| match item {
            Reply::Bulk(bytes) => format!("${}.{}.", bytes.len(), bytes.lossy()),
            other => wire(other, Protocol::Resp2),
        });
        let whole = format!("*{}.{}", mixed.len(), one_by_one.collect::<String>());
        assert_eq!(wire(&Reply::Array(mixed), Protocol::Resp2), whole);
    }

    #[test]
    fn a_request_is_an_array_of_bulk_strings() {
        let mut out = Vec::new();
        request(&mut out, &["SET", "k", ""]);
        assert_eq!(out, b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$0\r\n\r\n");
    }
}
