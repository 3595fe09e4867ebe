//! Words drawn from a command's syntax. Two test programs draw them: the fuzzer, and the comparison with a real server.

use redlab::base::{Bytes, Rng};
use redlab::engine::syntax::Item;

/// How words are drawn.
pub struct Manner {
    /// An optional part is there so often: a number of times of another.
    pub optional: (usize, usize),
    /// No repetition begins behind so many words.
    pub longest: usize,
    /// A word for the manual's name of an argument.
    pub value: fn(&str, &mut Rng) -> Bytes,
}

impl Manner {
    pub fn sequence(&self, items: &[Item], rng: &mut Rng, words: &mut Vec<Bytes>) {
        let from = words.len();
        let one_of = |sequences: &[Vec<Item>], rng: &mut Rng, words: &mut Vec<Bytes>| {
            self.sequence(&sequences[rng.below(sequences.len())], rng, words);
        };
        for item in items {
            match item {
                Item::Token(token) => {
                    words.push(if rng.below(4) == 0 { token.to_lowercase().into() } else { (*token).into() })
                }
                Item::Value(name) => words.push((self.value)(name, rng)),
                Item::Optional(sequences) if rng.below(self.optional.1) < self.optional.0 => {
                    one_of(sequences, rng, words);
                }
                Item::Optional(_) => {}
                Item::OneOf(sequences) => one_of(sequences, rng, words),
                // Once more: the same shape with other values.
                Item::Repeat if rng.below(2) == 0 && words.len() - from < self.longest => {
                    self.sequence(&items[..items.len() - 1], rng, words);
                }
                Item::Repeat => {}
            }
        }
        // How many keys there are is said before them; a number that fits is drawn often enough.
        if let Some(at) = (from..words.len()).find(|&at| words[at] == *NUMKEYS) {
            words[at] = Bytes::from((1 + rng.below(3)).to_string());
        }
    }
}

/// What `Manner::value` gives for `numkeys`.
pub const NUMKEYS: &str = "#numkeys";

pub fn pick<'a>(words: &[&'a str], rng: &mut Rng) -> &'a str {
    words[rng.below(words.len())]
}
