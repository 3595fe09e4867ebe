//! How far a line has come along the syntax of its command, and what may still follow.
//!
//! As redis-cli 7.2 matches its hints: optional arguments in a row come in any order, a value that has to be a number must begin as
//! one, repeated groups are never used up. What cannot be matched leads nowhere.

use crate::base::quote::{self, Piece};
use crate::engine::command::Command;
use crate::engine::commands;
use crate::engine::syntax::{self, Item};

/// The command that a line calls.
#[derive(Clone, Copy)]
pub struct Called {
    pub command: &'static Command,
    /// Which word of the line names it: 1 behind a repeat count, else 0.
    pub at: usize,
    /// Words of its name.
    pub words: usize,
}

/// The command that `words` calls, subcommands resolved as far as they are there.
pub fn called(words: &[Piece]) -> Option<Called> {
    let at = usize::from(words.len() > 1 && words[0].text.iter().all(u8::is_ascii_digit) && !words[0].text.is_empty());
    let upper = |i: usize| words.get(i).map(|word| word.text.lossy().to_ascii_uppercase());
    let first = upper(at)?;
    let sub = upper(at + 1).and_then(|second| commands::table().get(format!("{first} {second}").as_str()));
    if let Some(entry) = sub {
        return Some(Called { command: entry.command, at, words: 2 });
    }
    let entry = commands::table().get(first.as_str())?;
    Some(Called { command: entry.command, at, words: 1 })
}

/// The words of `line` before `cursor` that are typed to their end, and the one being typed (empty behind a blank).
pub fn typed(line: &str, cursor: usize) -> (Vec<Piece>, Piece) {
    let before = &line.as_bytes()[..cursor.min(line.len())];
    let (mut pieces, fault) = quote::pieces(before);
    let open = fault.is_some() || before.last().is_some_and(|&byte| !quote::is_space(byte));
    let last = if open { pieces.pop() } else { None };
    let end = before.len();
    (pieces, last.unwrap_or(Piece { text: Default::default(), start: end, end }))
}

/// What may follow the arguments `words`; None if they do not fit `items`.
pub fn rest(items: &[Item], words: &[Piece]) -> Option<Vec<Item>> {
    let (used, rest) = sequence(items, words)?;
    (used == words.len()).then_some(rest)
}

/// As [`rest`], for the arguments of `command`.
pub fn rest_of(command: &'static Command, arguments: &[Piece]) -> Option<Vec<Item>> {
    rest(&syntax::parse(command.syntax), arguments)
}

/// How many of `words` the items take, and what may follow if that is all of them. None: a word that is needed does not fit.
fn sequence(items: &[Item], words: &[Piece]) -> Option<(usize, Vec<Item>)> {
    let (mut used, mut i) = (0, 0);
    while i < items.len() {
        if used == words.len() {
            return Some((used, items[i..].to_vec()));
        }
        match &items[i] {
            Item::Optional(_) => {
                let group = items[i..].iter().take_while(|item| matches!(item, Item::Optional(_))).count();
                let (n, rest) = optional(&items[i..i + group], &words[used..]);
                used += n;
                i += group;
                if used == words.len() {
                    return Some((used, [rest, items[i..].to_vec()].concat()));
                }
            }
            Item::OneOf(all) => {
                let (n, rest) = alternative(all, &words[used..])?;
                used += n;
                i += 1;
                if used == words.len() {
                    return Some((used, [rest, items[i..].to_vec()].concat()));
                }
            }
            Item::Repeat => i += 1,
            Item::Token(token) if !words[used].text.eq_ignore_ascii_case(bare(token).as_bytes()) => return None,
            Item::Value(name) if !fits(name, &words[used].text) => return None,
            Item::Token(_) | Item::Value(_) => {
                used += 1;
                i += 1;
            }
        }
    }
    Some((used, Vec::new()))
}

/// The empty argument is written as a token in quotes.
fn bare(token: &str) -> &str {
    if token == "\"\"" { "" } else { token }
}

/// The first of `all` that takes at least one word.
fn alternative(all: &[Vec<Item>], words: &[Piece]) -> Option<(usize, Vec<Item>)> {
    all.iter().filter_map(|items| sequence(items, words)).find(|(used, _)| *used > 0)
}

/// Optional items in any order, each once, those that repeat as often as they fit.
fn optional(group: &[Item], words: &[Piece]) -> (usize, Vec<Item>) {
    let mut open: Vec<&Item> = group.iter().collect();
    let (mut used, mut begun) = (0, Vec::new());
    while used < words.len() {
        let next = open.iter().enumerate().find_map(|(at, item)| {
            let Item::Optional(all) = item else { return None };
            let (n, rest) = repeated(all, &words[used..]).or_else(|| alternative(all, &words[used..]))?;
            Some((at, n, rest))
        });
        let Some((at, n, rest)) = next else { break };
        open.remove(at);
        used += n;
        begun = rest;
    }
    begun.extend(open.into_iter().cloned());
    (used, begun)
}

/// `[value ...]`: the sequence as often as it fits; it may always come once more.
fn repeated(all: &[Vec<Item>], words: &[Piece]) -> Option<(usize, Vec<Item>)> {
    let [items] = all else { return None };
    let Some((Item::Repeat, once)) = items.split_last() else { return None };
    let (mut used, mut rest) = sequence(once, words).filter(|(used, _)| *used > 0)?;
    while used < words.len() {
        match sequence(once, &words[used..]) {
            Some((n, more)) if n > 0 => (used, rest) = (used + n, more),
            _ => break,
        }
    }
    rest.push(Item::Optional(all.to_vec()));
    Some((used, rest))
}

/// May `text` stand where the manual says `name`?
fn fits(name: &str, text: &[u8]) -> bool {
    const INTEGERS: &[&str] = &[
        "seconds",
        "milliseconds",
        "count",
        "increment",
        "decrement",
        "index",
        "cursor",
        "numkeys",
        "destination-db",
        "unix-time-seconds",
        "unix-time-milliseconds",
        "limit",
        "threshold",
        "rank",
        "length",
    ];
    const DOUBLES: &[&str] =
        &["timeout", "score", "longitude", "latitude", "radius", "width", "height", "weight", "factor"];
    let unsigned = text.strip_prefix(b"-").or_else(|| text.strip_prefix(b"+")).unwrap_or(text);
    let digit = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_digit);
    if INTEGERS.contains(&name) {
        return digit(unsigned.first());
    }
    if DOUBLES.contains(&name) {
        let lower = unsigned.to_ascii_lowercase();
        let point = unsigned.first() == Some(&b'.') && digit(unsigned.get(1));
        return digit(unsigned.first()) || point || lower == b"inf" || lower == b"infinity";
    }
    true
}

/// What the next word can be: the tokens and values that may begin `rest`.
pub fn first(rest: &[Item]) -> Vec<&Item> {
    let mut found = Vec::new();
    collect_first(rest, &mut found);
    found
}

fn collect_first<'i>(items: &'i [Item], found: &mut Vec<&'i Item>) {
    for item in items {
        match item {
            Item::Token(_) | Item::Value(_) => {
                found.push(item);
                return;
            }
            Item::OneOf(all) => {
                all.iter().for_each(|sequence| collect_first(sequence, found));
                return;
            }
            Item::Optional(all) => all.iter().for_each(|sequence| collect_first(sequence, found)),
            Item::Repeat => {}
        }
    }
}
