//! The grey text behind the cursor: what the command still wants, as redis-cli 7.2 shows it.
//!
//! It changes only when a blank ends a word. What is typed vanishes from it; a word that cannot be matched switches it off.

use super::follow;
use crate::engine::syntax;

/// The hint behind `line`, empty if there is none. It begins with a blank if `line` does not end with one.
pub fn hint(line: &str) -> String {
    let (words, _) = follow::typed(line, line.len());
    let Some(called) = follow::called(&words) else { return String::new() };
    let arguments = &words[called.at + called.words..];
    let Some(rest) = follow::rest_of(called.command, arguments) else { return String::new() };
    let text = syntax::text(&rest);
    match line.ends_with(char::is_whitespace) {
        _ if text.is_empty() => text,
        true => text,
        false => format!(" {text}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::assist::follow::rest;
    use crate::base::quote;

    /// The hint for `words` typed behind a command of this syntax.
    fn after(syntax: &'static str, words: &str) -> String {
        let (pieces, _) = quote::pieces(words.as_bytes());
        rest(&syntax::parse(syntax), &pieces).map(|rest| syntax::text(&rest)).unwrap_or_default()
    }

    const SET: &str = "key value [NX | XX] [GET] [EX seconds | PX milliseconds | KEEPTTL]";
    const ZRANGE: &str = "key min max [BYSCORE | BYLEX] [REV] [LIMIT offset count] [WITHSCORES]";
    const GEORADIUS: &str = "key longitude latitude radius <M | KM> [WITHCOORD] [COUNT count [ANY]] [ASC | DESC]";
    const ZADD: &str = "key [NX | XX] [GT | LT] [CH] [INCR] score member [score member ...]";

    #[test]
    fn what_is_typed_vanishes() {
        for (syntax, words, hint) in [
            ("key", "", "key"),
            ("key", "abc", ""),
            ("key decrement", "xyz", "decrement"),
            ("key [count]", "k", "[count]"),
            ("key [count]", "k 3", ""),
            ("key start end [COUNT count]", "k 4 2 count", "count"),
            ("key [count [WITHSCORES]]", "k", "[count [WITHSCORES]]"),
            ("key [count [WITHSCORES]]", "k 3", "[WITHSCORES]"),
            ("key [count [WITHSCORES]]", "k cnt", ""),
            ("source destination <LEFT | RIGHT> <LEFT | RIGHT> timeout", "s d left", "LEFT|RIGHT timeout"),
            ("host port <key | \"\"> timeout", "h 1 \"\"", "timeout"),
        ] {
            assert_eq!(after(syntax, words), hint, "{syntax}: {words}");
        }
    }

    #[test]
    fn optional_arguments_come_in_any_order_and_the_begun_one_first() {
        let scan = "cursor [MATCH pattern] [COUNT count] [TYPE type]";
        for (syntax, words, hint) in [
            (scan, "2 MATCH", "pattern [COUNT count] [TYPE type]"),
            (scan, "2 COUNT", "count [MATCH pattern] [TYPE type]"),
            (ZRANGE, "k 1 2 limit 2 4", "[BYSCORE|BYLEX] [REV] [WITHSCORES]"),
            (ZRANGE, "k 1 2 bylex rev limit 2 4 WITHSCORES", ""),
            (SET, "k v", "[NX|XX] [GET] [EX seconds|PX milliseconds|KEEPTTL]"),
            (SET, "k v EX", "seconds [NX|XX] [GET]"),
            (SET, "k v KEEPTTL", "[NX|XX] [GET]"),
            (SET, "k v FOOBAR", ""),
            (SET, "k v EX sec", ""),
            (GEORADIUS, "k 1 2 3 M COUNT", "count [ANY] [WITHCOORD] [ASC|DESC]"),
            (GEORADIUS, "k 1 -2.345 3 M COUNT 12", "[ANY] [WITHCOORD] [ASC|DESC]"),
            (GEORADIUS, "k 1 2 3 M COUNT 12 ASC", "[WITHCOORD]"),
            (GEORADIUS, "k 1 X", ""),
            (ZADD, "k", "[NX|XX] [GT|LT] [CH] [INCR] score member [score member ...]"),
            (ZADD, "k CH LT", "[NX|XX] [INCR] score member [score member ...]"),
            (ZADD, "k 0", "member [score member ...]"),
        ] {
            assert_eq!(after(syntax, words), hint, "{syntax}: {words}");
        }
    }

    #[test]
    fn what_repeats_is_never_used_up() {
        let pairs = "parameter value [parameter value ...]";
        for (syntax, words, hint) in [
            ("key [key ...]", "k", "[key ...]"),
            ("key [key ...]", "k k k", "[key ...]"),
            (pairs, "a", "value [parameter value ...]"),
            (pairs, "a 1", "[parameter value ...]"),
            (pairs, "a 1 b", "value [parameter value ...]"),
            (pairs, "a 1 b 2", "[parameter value ...]"),
        ] {
            assert_eq!(after(syntax, words), hint, "{syntax}: {words}");
        }
    }

    #[test]
    fn a_hint_waits_for_the_blank() {
        assert_eq!(hint("GET"), "");
        assert_eq!(hint("get "), "key");
        assert_eq!(hint("3 get "), "key");
        assert_eq!(hint("GET abc"), " key");
        assert_eq!(hint("GET abc "), "");
        assert_eq!(hint("nonsense "), "");
        assert_eq!(hint("get \"a b"), " key");
    }

    #[test]
    fn every_command_of_the_table_hints_its_whole_syntax() {
        for (name, entry) in crate::engine::commands::table() {
            let whole = syntax::text(&syntax::parse(entry.command.syntax));
            assert_eq!(hint(&format!("{name} ")), whole, "{name}");
        }
    }
}
