//! What the command under the cursor is about, for a status line.

use super::follow;
use crate::base::Bytes;
use crate::engine::command::{Command, Keys};
use crate::engine::syntax::Item;

#[derive(Clone, Copy)]
pub struct Explanation {
    pub command: &'static Command,
    /// The manual's name for what is to be typed next, if that is one thing: `seconds`.
    pub next: Option<&'static str>,
}

/// About the command that `line` calls; None while it calls none.
pub fn explain(line: &str, cursor: usize) -> Option<Explanation> {
    let cursor = (0..=cursor.min(line.len())).rev().find(|&at| line.is_char_boundary(at)).unwrap_or(0);
    let (mut words, open) = follow::typed(line, cursor);
    if words.is_empty() {
        words.push(open);
    }
    let called = follow::called(&words)?;
    let arguments = words.get(called.at + called.words..).unwrap_or_default();
    let rest = follow::rest_of(called.command, arguments).unwrap_or_default();
    let next = match follow::first(&rest).as_slice() {
        [Item::Value(name)] => Some(*name),
        _ => None,
    };
    Some(Explanation { command: called.command, next })
}

/// Which of `args` (the command's name is the first) are keys, as far as they are there. O(args).
pub fn key_positions(keys: Keys, args: &[Bytes]) -> Vec<usize> {
    let len = args.len() as i64;
    match keys {
        Keys::None => Vec::new(),
        Keys::Range { first, last, step } => {
            let last = if last < 0 { len + i64::from(last) } else { i64::from(last) };
            let range = (i64::from(first)..=last.min(len - 1)).step_by(step.max(1) as usize);
            range.map(|at| at as usize).collect()
        }
        Keys::Counted { count, dest } => {
            let number = args.get(count).and_then(|text| text.lossy().parse::<usize>().ok()).unwrap_or(0);
            let counted = (count + 1)..(count + 1).saturating_add(number).min(args.len()).max(count + 1);
            dest.into_iter().filter(|&at| at < args.len()).chain(counted).collect()
        }
        // These are found in whole requests: a half-typed one may be too short.
        Keys::Half { .. } | Keys::Found(_) | Keys::Told { .. } => Vec::new(),
    }
}

/// The keys in a line that is being typed, as far as they are there; none while it calls no command.
pub fn keys_of(line: &str) -> Vec<Bytes> {
    let (mut words, open) = follow::typed(line, line.len());
    if !open.text.is_empty() {
        words.push(open);
    }
    let Some(called) = follow::called(&words) else { return Vec::new() };
    let args: Vec<Bytes> = words[called.at..].iter().map(|word| word.text.clone()).collect();
    key_positions(called.command.keys, &args).into_iter().filter_map(|at| args.get(at).cloned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_and_the_next_argument_are_named() {
        let about = |line: &str| explain(line, line.len()).map(|it| (it.command.name, it.next));
        assert_eq!(about("get"), Some(("GET", Some("key"))));
        assert_eq!(about("set k "), Some(("SET", Some("value"))));
        assert_eq!(about("set k v ex "), Some(("SET", Some("seconds"))));
        assert_eq!(about("nonsense"), None);
        assert_eq!(about(""), None);
    }

    #[test]
    fn keys_of_a_line_are_known_while_it_is_typed() {
        assert_eq!(keys_of("3 set user:1"), [Bytes::from("user:1")]);
        assert_eq!(keys_of("MSET a 1 b 2"), [Bytes::from("a"), Bytes::from("b")]);
        assert_eq!(keys_of("get "), Vec::<Bytes>::new());
        assert_eq!(keys_of("nonsense x"), Vec::<Bytes>::new());
    }

    #[test]
    fn keys_are_found_in_half_typed_lines() {
        let args: Vec<Bytes> = ["ZUNIONSTORE", "d", "2", "a"].map(Bytes::from).to_vec();
        assert_eq!(key_positions(Keys::Counted { count: 2, dest: Some(1) }, &args), [1, 3]);
        assert_eq!(key_positions(Keys::Range { first: 1, last: -1, step: 2 }, &args), [1, 3]);
        assert_eq!(key_positions(Keys::Range { first: 1, last: -1, step: 1 }, &args[..1]), Vec::<usize>::new());
    }
}
