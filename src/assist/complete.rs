//! What the word under the cursor could become.

use super::atlas::CHAPTERS;
use super::follow;
use crate::base::{Bytes, quote};
use crate::engine::command::Keys;
use crate::engine::commands;
use crate::engine::syntax::Item;

/// Names that only the caller knows.
#[derive(Clone, Copy, Default)]
pub struct Vocabulary<'a> {
    /// Keys of the database that the prompt is in.
    pub keys: &'a [Bytes],
    /// Configuration parameters.
    pub parameters: &'a [String],
    /// Words that begin with `:`, without it, and what they do.
    pub lab: &'a [(&'a str, &'a str)],
    /// Words of the `$` shell, and what they do.
    pub shell: &'a [(&'a str, &'a str)],
    /// Files of the lab's machine.
    pub files: &'a [String],
    /// At the `$` shell, not at a redis prompt.
    pub in_shell: bool,
}

/// What may be put in place of `line[start..end]`.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Completion {
    pub start: usize,
    pub end: usize,
    pub candidates: Vec<Candidate>,
}

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Candidate {
    /// To be put into the line, quoted where that is needed.
    pub text: String,
    /// What it is, in a few words.
    pub about: String,
}

/// More are of no use to anybody.
const CANDIDATES_MAX: usize = 200;

/// Completes the word at `cursor`, a byte offset into `line`.
pub fn complete(line: &str, cursor: usize, vocabulary: &Vocabulary) -> Completion {
    let cursor = (0..=cursor.min(line.len())).rev().find(|&at| line.is_char_boundary(at)).unwrap_or(0);
    let (before, word) = follow::typed(line, cursor);
    let typed = word.text.lossy().into_owned();
    let mut candidates = if before.is_empty() && typed.starts_with(':') {
        named(&typed[1..], vocabulary.lab.iter().map(|(name, about)| (format!(":{name}"), *about)), 1)
    } else if vocabulary.in_shell {
        match before.as_slice() {
            [] => named(&typed, vocabulary.shell.iter().map(|(name, about)| ((*name).to_owned(), *about)), 0),
            _ => plain(&typed, vocabulary.files.iter().map(|file| Bytes::from(file.as_str())), "file"),
        }
    } else {
        at_redis(&before, &typed, vocabulary)
    };
    candidates.truncate(CANDIDATES_MAX);
    Completion { start: word.start, end: cursor, candidates }
}

fn at_redis(before: &[quote::Piece], typed: &str, vocabulary: &Vocabulary) -> Vec<Candidate> {
    let counted = before.len() == 1 && before[0].text.iter().all(u8::is_ascii_digit);
    if before.is_empty() || counted {
        let words = top_level().chain([("HELP".to_owned(), "About a command, or a group: HELP @string.")]);
        return named(typed, words, 0);
    }
    if before[0].text.eq_ignore_ascii_case(b"help") {
        let prefix: String = before[1..].iter().map(|word| word.text.lossy().to_ascii_uppercase() + " ").collect();
        return match typed.starts_with('@') {
            true => named(typed, groups(), 0),
            false if prefix.is_empty() => named(typed, top_level(), 0),
            false => named(typed, subcommands(prefix.trim_end()), 0),
        };
    }
    let Some(called) = follow::called(before) else { return Vec::new() };
    let arguments = &before[(called.at + called.words).min(before.len())..];
    if !called.command.sub.is_empty() {
        return if arguments.is_empty() { named(typed, subcommands(called.command.name), 0) } else { Vec::new() };
    }
    let Some(rest) = follow::rest_of(called.command, arguments) else { return Vec::new() };
    let mut tokens = Vec::new();
    let mut names = Vec::new();
    for item in follow::first(&rest) {
        match item {
            Item::Token(token) => tokens.extend(named(typed, [((*token).to_owned(), "")], 0)),
            Item::Value("parameter") => {
                names.extend(plain(
                    typed,
                    vocabulary.parameters.iter().map(|name| Bytes::from(name.as_str())),
                    "parameter",
                ));
            }
            Item::Value(name) if is_key(name) && !matches!(called.command.keys, Keys::None) => {
                names.extend(plain(typed, vocabulary.keys.iter().cloned(), "key"));
            }
            _ => {}
        }
    }
    tokens.dedup();
    names.dedup();
    [names, tokens].concat()
}

fn is_key(name: &str) -> bool {
    name.contains("key") && name != "numkeys" || matches!(name, "source" | "destination" | "src" | "dst")
}

fn top_level() -> impl Iterator<Item = (String, &'static str)> {
    let table = commands::table().iter().filter(|(name, _)| !name.contains(' '));
    table.map(|(name, entry)| ((*name).to_owned(), entry.command.summary))
}

fn subcommands(container: &str) -> impl Iterator<Item = (String, &'static str)> {
    let command = commands::table().get(container).map(|entry| entry.command);
    let all = command.into_iter().flat_map(|command| command.sub.iter());
    all.map(|sub| (sub.name.rsplit(' ').next().unwrap_or(sub.name).to_owned(), sub.summary))
}

fn groups() -> Vec<(String, &'static str)> {
    let mut groups: Vec<_> = CHAPTERS.iter().map(|chapter| (format!("@{}", chapter.name()), chapter.says)).collect();
    groups.sort();
    groups
}

/// Words of a table that begin with `typed`, in any case, in the case that `typed` is in. The first `skip` bytes of a word are not typed.
fn named<'a>(typed: &str, words: impl IntoIterator<Item = (String, &'a str)>, skip: usize) -> Vec<Candidate> {
    let lower = typed.chars().any(char::is_lowercase) && !typed.chars().any(char::is_uppercase);
    let matching = words.into_iter().filter(|(word, _)| starts_with_nocase(&word.as_bytes()[skip..], typed.as_bytes()));
    let cased = matching.map(|(word, about)| Candidate {
        text: if lower { word.to_lowercase() } else { word },
        about: about.to_owned(),
    });
    cased.collect()
}

fn starts_with_nocase(word: &[u8], prefix: &[u8]) -> bool {
    word.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
}

/// Names that begin with exactly `typed`.
fn plain(typed: &str, names: impl Iterator<Item = Bytes>, about: &str) -> Vec<Candidate> {
    let matching = names.filter(|name| name.starts_with(typed.as_bytes()) && **name != *typed.as_bytes());
    matching
        .take(CANDIDATES_MAX)
        .map(|name| Candidate { text: quote::word_of(&name), about: about.to_owned() })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Rng;

    fn completed(line: &str) -> Vec<String> {
        let keys = ["session:a1", "session:b 2", "cart:42"].map(Bytes::from);
        let vocabulary = Vocabulary { keys: &keys, lab: &[("goals", ""), ("hint", "")], ..Vocabulary::default() };
        complete(line, line.len(), &vocabulary).candidates.into_iter().map(|candidate| candidate.text).collect()
    }

    #[test]
    fn commands_complete_in_the_case_they_are_typed_in() {
        assert!(completed("GETD").contains(&"GETDEL".to_owned()));
        assert!(completed("getd").contains(&"getdel".to_owned()));
        assert!(completed("3 getd").contains(&"getdel".to_owned()));
        assert!(completed("help getd").contains(&"getdel".to_owned()));
        assert_eq!(completed("help @sor"), ["@sorted-set"]);
        assert_eq!(completed(":g"), [":goals"]);
    }

    #[test]
    fn keys_and_options_complete_where_they_can_stand() {
        assert_eq!(completed("GET se"), ["session:a1", "\"session:b 2\""]);
        assert_eq!(completed("GET nope"), Vec::<String>::new());
        assert_eq!(completed("set k v kee"), ["keepttl"]);
        assert_eq!(completed("SET k v EX 5 KEE"), Vec::<String>::new(), "EX and KEEPTTL exclude each other");
        assert_eq!(completed("nonsense x"), Vec::<String>::new());
    }

    #[test]
    fn the_word_under_the_cursor_is_replaced() {
        let keys = [Bytes::from("session:a1")];
        let vocabulary = Vocabulary { keys: &keys, ..Vocabulary::default() };
        let completion = complete("GET  sess x", 9, &vocabulary);
        assert_eq!((completion.start, completion.end), (5, 9));
        let completion = complete("GET \"sess", 9, &vocabulary);
        assert_eq!((completion.start, completion.candidates[0].text.as_str()), (4, "session:a1"));
    }

    #[test]
    fn the_shell_completes_words_and_files() {
        let files = ["redis.conf".to_owned(), "dump.rdb".to_owned()];
        let vocabulary =
            Vocabulary { shell: &[("redis-server", "")], files: &files, in_shell: true, ..Vocabulary::default() };
        assert_eq!(complete("red", 3, &vocabulary).candidates[0].text, "redis-server");
        assert_eq!(complete("redis-server re", 15, &vocabulary).candidates[0].text, "redis.conf");
    }

    #[test]
    fn no_line_and_no_cursor_panics() {
        let mut rng = Rng::new(51);
        let words = ["SET", "k", "\"", "'", "é", "EX", "5", ":", "help", "@", " ", "  ", "config", "\\x", "GETEX"];
        for _ in 0..5000 {
            let line: Vec<&str> = (0..rng.below(7)).map(|_| words[rng.below(words.len())]).collect();
            let line = line.join([" ", ""][rng.below(2)]);
            let completion = complete(&line, rng.below(line.len() + 3), &Vocabulary::default());
            assert!(completion.start <= completion.end && line.is_char_boundary(completion.start), "{line}");
            super::super::hint(&line);
            super::super::highlight(&line);
            super::super::explain(&line, rng.below(line.len() + 3));
        }
    }
}
