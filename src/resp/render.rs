//! Replies as redis-cli 7.0 prints them: for people (`tty`), raw, CSV, JSON and quoted JSON.
//!
//! Where redis-cli 7.0 ends itself with `Unknown reply type` (big numbers) we print the number, as later versions do.

use super::Reply;
use crate::base::{carry, float, quote};
use std::borrow::Cow;

/// The forms of output.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub enum Form {
    #[default]
    Tty,
    Raw,
    Csv,
    Json,
    QuotedJson,
}

/// What a piece of the form for people is, so that a front end can colour it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Part {
    Status,
    Error,
    Int,
    Double,
    Str,
    Verbatim,
    Nil,
    Bool,
    /// `1) `, with the blanks before it.
    Index,
    /// ` => ` between a key and its value.
    Arrow,
    Empty,
    NewLine,
}

/// The bytes that redis-cli writes for `reply`, its newline included; nothing for [`Reply::None`].
pub fn text(reply: &Reply, form: Form) -> Vec<u8> {
    match (reply, form) {
        (Reply::None, _) => Vec::new(),
        (Reply::Many(replies), _) => replies.iter().flat_map(|each| text(each, form)).collect(),
        (_, Form::Tty) => tty(reply).into_bytes(),
        (_, Form::Raw) => {
            let mut out = Vec::new();
            raw_to(&mut out, reply, b"\n");
            out.push(b'\n');
            out
        }
        (_, Form::Csv) => {
            let mut out = String::new();
            csv_to(&mut out, reply);
            out.push('\n');
            out.into_bytes()
        }
        (_, Form::Json | Form::QuotedJson) => {
            let mut out = Vec::new();
            json_to(&mut out, reply, form == Form::QuotedJson);
            out.push(b'\n');
            out
        }
    }
}

/// The form for people: `(integer) 5`, `1) "a"`, each line with its newline. Control bytes can stand in it only where a server sent
/// them in a status, an error or a verbatim string.
pub fn tty(reply: &Reply) -> String {
    let mut out = String::new();
    tty_parts(reply, &mut |part, text| out.push_str(if part == Part::NewLine { "\n" } else { text }));
    out
}

/// As [`tty`], piece by piece. Every line is ended by a [`Part::NewLine`].
pub fn tty_parts(reply: &Reply, sink: &mut dyn FnMut(Part, &str)) {
    if let Reply::Attributed(both) = reply {
        return tty_parts(&both.1, sink);
    }
    if let Reply::Many(replies) = reply {
        return replies.iter().for_each(|each| tty_parts(each, sink));
    }
    if *reply != Reply::None {
        Tty { sink }.reply(reply, "");
    }
}

struct Tty<'a> {
    sink: &'a mut dyn FnMut(Part, &str),
}

impl Tty<'_> {
    fn reply(&mut self, reply: &Reply, prefix: &str) {
        match reply {
            Reply::Map(pairs) if !pairs.is_empty() => return self.map(pairs, prefix),
            Reply::Array(items) | Reply::Push(items) if !items.is_empty() => return self.list(items, prefix, ')'),
            Reply::Set(items) if !items.is_empty() => return self.list(items, prefix, '~'),
            _ => {}
        }
        self.scalar(reply);
        (self.sink)(Part::NewLine, "");
    }

    fn scalar(&mut self, reply: &Reply) {
        let (part, text) = match reply {
            Reply::Status(text) => (Part::Status, shown(text)),
            Reply::Error(text) => (Part::Error, format!("(error) {}", shown(text))),
            Reply::Int(n) => (Part::Int, format!("(integer) {n}")),
            Reply::Double(value) => (Part::Double, format!("(double) {}", float::text(*value))),
            Reply::Bulk(bytes) => (Part::Str, quote::repr(bytes)),
            Reply::Verbatim(_, bytes) => (Part::Verbatim, bytes.lossy().into_owned()),
            Reply::LongDouble(digits) => (Part::Double, format!("(double) {}", digits.lossy())),
            Reply::BigNumber(digits) => (Part::Int, format!("(big number) {}", digits.lossy())),
            Reply::Nil | Reply::NilArray => (Part::Nil, "(nil)".to_owned()),
            Reply::Bool(yes) => (Part::Bool, format!("({yes})")),
            Reply::Map(_) => (Part::Empty, "(empty hash)".to_owned()),
            Reply::Set(_) => (Part::Empty, "(empty set)".to_owned()),
            Reply::Push(_) => (Part::Empty, "(empty push)".to_owned()),
            Reply::Array(_) | Reply::Many(_) | Reply::Attributed(_) | Reply::None => {
                (Part::Empty, "(empty array)".to_owned())
            }
        };
        (self.sink)(part, &text);
    }

    fn list(&mut self, items: &[Reply], prefix: &str, mark: char) {
        let width = items.len().to_string().len();
        let inner = format!("{prefix}{:1$}", "", width + 2);
        for (i, item) in items.iter().enumerate() {
            self.index(i, prefix, width, mark);
            self.reply(item, &inner);
        }
    }

    fn map(&mut self, pairs: &[(Reply, Reply)], prefix: &str) {
        let width = pairs.len().to_string().len();
        let inner = format!("{prefix}{:1$}", "", width + 2);
        for (i, (key, value)) in pairs.iter().enumerate() {
            self.index(i, prefix, width, '#');
            self.without_last_newline(key, &inner);
            (self.sink)(Part::Arrow, " => ");
            if is_multiline(value) {
                (self.sink)(Part::NewLine, "");
                (self.sink)(Part::Index, &inner);
            }
            self.reply(value, &inner);
        }
    }

    fn without_last_newline(&mut self, reply: &Reply, prefix: &str) {
        let mut held = false;
        let sink = &mut *self.sink;
        Tty {
            sink: &mut |part, text| {
                if std::mem::replace(&mut held, part == Part::NewLine) {
                    sink(Part::NewLine, "");
                }
                if part != Part::NewLine {
                    sink(part, text);
                }
            },
        }
        .reply(reply, prefix);
    }

    /// The first item stands on its parent's line, so it needs no prefix.
    fn index(&mut self, i: usize, prefix: &str, width: usize, mark: char) {
        let prefix = if i == 0 { "" } else { prefix };
        (self.sink)(Part::Index, &format!("{prefix}{:>width$}{mark} ", i + 1));
    }
}

fn is_multiline(reply: &Reply) -> bool {
    match reply {
        Reply::Array(items) | Reply::Set(items) | Reply::Push(items) => match items.as_slice() {
            [] => false,
            [one] => is_multiline(one),
            _ => true,
        },
        Reply::Map(pairs) => match pairs.as_slice() {
            [] => false,
            [(_, value)] => is_multiline(value),
            _ => true,
        },
        _ => false,
    }
}

/// The raw form without a newline at the end: what redis-cli prints even on a terminal for INFO and its like.
pub fn raw(reply: &Reply) -> Vec<u8> {
    let mut out = Vec::new();
    raw_to(&mut out, reply, b"\n");
    out
}

fn raw_to(out: &mut Vec<u8>, reply: &Reply, delimiter: &[u8]) {
    let separate = |out: &mut Vec<u8>, i: usize| {
        if i > 0 {
            out.extend_from_slice(delimiter);
        }
    };
    match reply {
        Reply::Attributed(both) => raw_to(out, &both.1, delimiter),
        Reply::Nil | Reply::NilArray | Reply::None => {}
        Reply::Error(text) => {
            out.extend_from_slice(&carry::bytes(text));
            out.push(b'\n');
        }
        Reply::Status(text) => out.extend_from_slice(&carry::bytes(text)),
        Reply::Bulk(bytes) | Reply::Verbatim(_, bytes) | Reply::BigNumber(bytes) | Reply::LongDouble(bytes) => {
            out.extend_from_slice(bytes);
        }
        Reply::Bool(yes) => out.extend_from_slice(if *yes { b"(true)" } else { b"(false)" }),
        Reply::Int(n) => out.extend_from_slice(n.to_string().as_bytes()),
        Reply::Double(value) => out.extend_from_slice(float::text(*value).as_bytes()),
        Reply::Array(items) | Reply::Set(items) | Reply::Push(items) | Reply::Many(items) => {
            for (i, item) in items.iter().enumerate() {
                separate(out, i);
                raw_to(out, item, delimiter);
            }
        }
        Reply::Map(pairs) => {
            for (i, (key, value)) in pairs.iter().enumerate() {
                separate(out, i);
                raw_to(out, key, delimiter);
                out.push(b' ');
                raw_to(out, value, delimiter);
            }
        }
    }
}

/// A line that may carry bytes that are no text, for people.
fn shown(text: &str) -> String {
    match carry::bytes(text) {
        Cow::Borrowed(_) => text.to_owned(),
        Cow::Owned(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
    }
}

fn csv_to(out: &mut String, reply: &Reply) {
    let list = |out: &mut String, items: &mut dyn Iterator<Item = &Reply>| {
        for (i, item) in items.enumerate() {
            if i > 0 {
                out.push(',');
            }
            csv_to(out, item);
        }
    };
    match reply {
        Reply::Attributed(both) => csv_to(out, &both.1),
        Reply::Error(text) => {
            out.push_str("ERROR,");
            quote::repr_to(out, &carry::bytes(text));
        }
        Reply::Status(text) => quote::repr_to(out, &carry::bytes(text)),
        Reply::Bulk(bytes) | Reply::Verbatim(_, bytes) => quote::repr_to(out, bytes),
        Reply::BigNumber(digits) | Reply::LongDouble(digits) => out.push_str(&digits.lossy()),
        Reply::Int(n) => out.push_str(&n.to_string()),
        Reply::Double(value) => out.push_str(&float::text(*value)),
        Reply::Nil | Reply::NilArray => out.push_str("NULL"),
        Reply::Bool(yes) => out.push_str(&yes.to_string()),
        Reply::Array(items) | Reply::Set(items) | Reply::Push(items) | Reply::Many(items) => {
            list(out, &mut items.iter())
        }
        Reply::Map(pairs) => list(out, &mut pairs.iter().flat_map(|(key, value)| [key, value])),
        Reply::None => {}
    }
}

fn json_to(out: &mut Vec<u8>, reply: &Reply, quoted: bool) {
    match reply {
        Reply::Attributed(both) => json_to(out, &both.1, quoted),
        Reply::Error(text) => {
            out.extend_from_slice(b"error:");
            json_string(out, &carry::bytes(text), quoted);
        }
        Reply::Status(text) => json_string(out, &carry::bytes(text), quoted),
        Reply::Bulk(bytes) | Reply::Verbatim(_, bytes) => json_string(out, bytes, quoted),
        Reply::BigNumber(digits) | Reply::LongDouble(digits) => out.extend_from_slice(digits),
        Reply::Int(n) => out.extend_from_slice(n.to_string().as_bytes()),
        Reply::Double(value) => out.extend_from_slice(float::text(*value).as_bytes()),
        Reply::Nil | Reply::NilArray | Reply::None => out.extend_from_slice(b"null"),
        Reply::Bool(yes) => out.extend_from_slice(yes.to_string().as_bytes()),
        Reply::Array(items) | Reply::Set(items) | Reply::Push(items) | Reply::Many(items) => {
            out.push(b'[');
            for (i, item) in items.iter().enumerate() {
                if i > 0 {
                    out.push(b',');
                }
                json_to(out, item, quoted);
            }
            out.push(b']');
        }
        Reply::Map(pairs) => {
            out.push(b'{');
            for (i, (key, value)) in pairs.iter().enumerate() {
                if i > 0 {
                    out.push(b',');
                }
                json_key(out, key, quoted);
                out.push(b':');
                json_to(out, value, quoted);
            }
            out.push(b'}');
        }
    }
}

/// Keys of a JSON object are strings, whatever the reply's are.
fn json_key(out: &mut Vec<u8>, key: &Reply, quoted: bool) {
    let mut text = Vec::new();
    json_to(&mut text, key, quoted);
    if matches!(key, Reply::Error(_)) || text.first() == Some(&b'"') {
        out.extend_from_slice(&text);
    } else {
        out.push(b'"');
        out.extend_from_slice(&text);
        out.push(b'"');
    }
}

fn json_string(out: &mut Vec<u8>, bytes: &[u8], quoted: bool) {
    if quoted {
        return out.extend_from_slice(quote::repr(bytes).replace('\\', "\\\\").as_bytes());
    }
    out.push(b'"');
    for &byte in bytes {
        match byte {
            b'\\' | b'"' => out.extend_from_slice(&[b'\\', byte]),
            b'\n' => out.extend_from_slice(b"\\n"),
            0x0c => out.extend_from_slice(b"\\f"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            8 => out.extend_from_slice(b"\\b"),
            0..=0x1f => out.extend_from_slice(format!("\\u{byte:04x}").as_bytes()),
            _ => out.push(byte),
        }
    }
    out.push(b'"');
}

/// The invalidation message of client tracking as redis-cli shows it to people; None if `push` is something else.
pub fn invalidation(push: &Reply) -> Option<String> {
    let (Reply::Push(items) | Reply::Array(items)) = push else { return None };
    let [Reply::Bulk(kind), Reply::Array(keys)] = items.as_slice() else { return None };
    if !kind.starts_with(b"invalidate") {
        return None;
    }
    let keys: Vec<String> = keys
        .iter()
        .map(|key| match key {
            Reply::Bulk(key) => format!("'{}'", key.lossy()),
            other => format!("'{}'", tty(other).trim_end()),
        })
        .collect();
    Some(format!("-> invalidate: {}\n", keys.join(", ")))
}

/// Commands whose answer redis-cli prints raw even to people: it is a text with lines of its own.
pub fn prints_raw<B: AsRef<[u8]>>(args: &[B]) -> bool {
    let word = |i: usize| {
        args.get(i).map(|arg| String::from_utf8_lossy(arg.as_ref()).to_ascii_lowercase()).unwrap_or_default()
    };
    let (first, second) = (word(0), word(1));
    match (first.as_str(), second.as_str()) {
        ("info" | "lolwut", _) => true,
        ("debug", "htstats" | "htstats-key" | "client-eviction") => true,
        ("memory", "malloc-stats" | "doctor") => true,
        ("cluster", "nodes" | "info") => args.len() == 2,
        ("client", "list" | "info") => true,
        ("latency", "graph") => args.len() == 3,
        ("latency", "doctor") => args.len() == 2,
        ("proxy", "info") => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Bytes;

    fn shown(reply: &Reply, form: Form) -> String {
        String::from_utf8(text(reply, form)).unwrap()
    }

    fn hash() -> Reply {
        Reply::Map(vec![
            (Reply::bulk("f1"), Reply::bulk("v,1")),
            (Reply::bulk("f2"), Reply::Array(vec![Reply::Int(1), Reply::bulks(["a", "\"q\""])])),
        ])
    }

    #[test]
    fn people_see_types_and_numbers() {
        assert_eq!(tty(&Reply::error("ERR no")), "(error) ERR no\n");
        assert_eq!(tty(&Reply::Double(1e20)), "(double) 1e+20\n");
        assert_eq!(tty(&Reply::bulk("é\n")), "\"\\xc3\\xa9\\n\"\n");
        assert_eq!(tty(&Reply::Verbatim("txt", Bytes::from("two\nlines"))), "two\nlines\n");
        assert_eq!(
            tty(&hash()),
            "1# \"f1\" => \"v,1\"\n2# \"f2\" => \n   1) (integer) 1\n   2) 1) \"a\"\n      2) \"\\\"q\\\"\"\n"
        );
        let ten = Reply::Set((1..=10).map(Reply::Int).collect());
        assert!(tty(&ten).starts_with(" 1~ (integer) 1\n 2~ (integer) 2\n"), "{}", tty(&ten));
        assert_eq!(tty(&Reply::Map(vec![])), "(empty hash)\n");
        assert_eq!(tty(&Reply::Many(vec![Reply::OK, Reply::Nil])), "OK\n(nil)\n");
    }

    #[test]
    fn programs_see_plain_forms() {
        assert_eq!(shown(&hash(), Form::Raw), "f1 v,1\nf2 1\na\n\"q\"\n");
        assert_eq!(shown(&hash(), Form::Csv), "\"f1\",\"v,1\",\"f2\",1,\"a\",\"\\\"q\\\"\"\n");
        assert_eq!(shown(&hash(), Form::Json), "{\"f1\":\"v,1\",\"f2\":[1,[\"a\",\"\\\"q\\\"\"]]}\n");
        assert_eq!(shown(&Reply::error("ERR x"), Form::Raw), "ERR x\n\n");
        assert_eq!(shown(&Reply::bulk(b"\xf0\x01"), Form::QuotedJson), "\"\\\\xf0\\\\x01\"\n");
        assert_eq!(shown(&Reply::Map(vec![(Reply::Int(1), Reply::Nil)]), Form::Json), "{\"1\":null}\n");
    }

    #[test]
    fn texts_with_lines_of_their_own_are_printed_raw() {
        assert!(
            prints_raw(&["INFO", "server"]) && prints_raw(&["client", "LIST"]) && prints_raw(&["cluster", "nodes"])
        );
        assert!(!prints_raw(&["cluster", "nodes", "x"]) && !prints_raw(&["GET", "info"]) && !prints_raw::<&str>(&[]));
    }

    #[test]
    fn an_invalidation_names_its_keys() {
        let push = Reply::Push(vec![Reply::bulk("invalidate"), Reply::bulks(["a", "b"])]);
        assert_eq!(invalidation(&push).as_deref(), Some("-> invalidate: 'a', 'b'\n"));
        assert_eq!(invalidation(&Reply::bulks(["message", "a", "b"])), None);
    }
}
