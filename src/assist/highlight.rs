//! What each word of a line is, so that a front end can colour it.

use super::follow::{self, Called};
use crate::base::Bytes;
use crate::base::quote::{self, Piece};
use crate::engine::syntax::{self, Item};
use std::ops::Range;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Token {
    Command,
    /// The first word, and no command is called so.
    Unknown,
    /// An option or keyword of the command: `EX`, `NX`.
    Option,
    Key,
    Number,
    /// A value in quotes.
    Quoted,
    Value,
    /// A quote that is not closed, or closed too early.
    Fault,
    /// A word of the lab: `:goals`.
    Lab,
    /// A repeat count.
    Count,
}

/// The words of `line` at a redis prompt, with their places in it, in order. Blanks belong to none.
pub fn highlight(line: &str) -> Vec<(Range<usize>, Token)> {
    let (pieces, fault) = quote::pieces(line.as_bytes());
    if pieces.first().is_some_and(|first| first.text.starts_with(b":")) {
        let first = pieces[0].start..pieces[0].end;
        return std::iter::once((first, Token::Lab))
            .chain(pieces[1..].iter().map(|word| (word.start..word.end, Token::Value)))
            .collect();
    }
    let called = follow::called(&pieces);
    let keys = called.map(|called| key_words(called, &pieces)).unwrap_or_default();
    let tokens = called.map(|called| tokens(&syntax::parse(called.command.syntax))).unwrap_or_default();
    let last = pieces.len().saturating_sub(1);
    let token = |i: usize, piece: &Piece| match called {
        _ if i == last && fault.is_some() => Token::Fault,
        Some(called) if i < called.at => Token::Count,
        Some(called) if i < called.at + called.words => Token::Command,
        None if i == 0 => first_word(&pieces),
        _ if keys.contains(&i) => Token::Key,
        _ if tokens.iter().any(|token| piece.text.eq_ignore_ascii_case(token.as_bytes())) => Token::Option,
        _ if matches!(line.as_bytes()[piece.start], b'"' | b'\'') => Token::Quoted,
        _ if is_number(&piece.text) => Token::Number,
        _ => Token::Value,
    };
    // An end inside of a character is possible only behind a fault; the word reaches to the line's end then.
    let end = |piece: &Piece| if line.is_char_boundary(piece.end) { piece.end } else { line.len() };
    pieces.iter().enumerate().map(|(i, piece)| (piece.start..end(piece), token(i, piece))).collect()
}

fn first_word(pieces: &[Piece]) -> Token {
    let local: [&[u8]; 6] = [b"help", b"?", b"quit", b"exit", b"connect", b"clear"];
    if local.iter().any(|word| pieces[0].text.eq_ignore_ascii_case(word)) { Token::Command } else { Token::Unknown }
}

fn is_number(text: &[u8]) -> bool {
    crate::base::float::parse(text).is_some()
}

/// The tokens anywhere in `items`.
fn tokens(items: &[Item]) -> Vec<&'static str> {
    let nested = |all: &[Vec<Item>]| all.iter().flat_map(|items| tokens(items)).collect();
    let each = items.iter().flat_map(|item| match item {
        Item::Token(token) => vec![*token],
        Item::Optional(all) | Item::OneOf(all) => nested(all),
        Item::Value(_) | Item::Repeat => Vec::new(),
    });
    each.collect()
}

/// Which words of the line are keys.
fn key_words(called: Called, pieces: &[Piece]) -> Vec<usize> {
    let args: Vec<Bytes> = pieces[called.at..].iter().map(|piece| piece.text.clone()).collect();
    super::explain::key_positions(called.command.keys, &args).into_iter().map(|at| at + called.at).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens_of(line: &str) -> Vec<(&str, Token)> {
        highlight(line).into_iter().map(|(range, token)| (&line[range], token)).collect()
    }

    #[test]
    fn words_are_what_they_are() {
        use Token::*;
        assert_eq!(
            tokens_of("2 set k 'a b' ex 10"),
            [("2", Count), ("set", Command), ("k", Key), ("'a b'", Quoted), ("ex", Option), ("10", Number)]
        );
        assert_eq!(tokens_of("mget a b"), [("mget", Command), ("a", Key), ("b", Key)]);
        assert_eq!(tokens_of("nonsense a"), [("nonsense", Unknown), ("a", Value)]);
        assert_eq!(tokens_of("get \"a"), [("get", Command), ("\"a", Fault)]);
        assert_eq!(tokens_of(":why k"), [(":why", Lab), ("k", Value)]);
        assert_eq!(tokens_of("help get"), [("help", Command), ("get", Value)]);
    }
}
