//! The argument syntax of a command as a tree, read from its literal: `key condition=[NX | XX] <EX seconds | PERSIST>`.
//!
//! Arity, COMMAND DOCS, the hints of the prompt and completion all follow from this tree. The notation is the manual's:
//! upper case is typed as it stands, lower case is a name for what is typed, `[]` may be left out, `<a | b>` is one of
//! several, `...` repeats the group it ends. What only COMMAND DOCS tells of an argument is noted at it, and not shown by
//! anything else:
//!
//! - `name=` before a group, a token or a value: what it is called, where that is not what is shown; `name?=` also says that
//!   it may be left out, where nothing else does;
//! - `(a b)`: several arguments that are told of as one;
//! - `:integer` behind a value: its type, where its name does not say it (`kind_of`); `:hidden` is not told of at all;
//! - `#1`: the key specification that finds it; `#`: none;
//! - `@6.2.0`: it is newer than its command; `@-2.8.12`: it is deprecated since then.

/// One element of a command's arguments, as everybody but COMMAND DOCS needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// Typed as it stands, in any case: `EX`.
    Token(&'static str),
    /// A value, by its name in the manual: `seconds`.
    Value(&'static str),
    /// May be left out; one of the sequences otherwise.
    Optional(Vec<Vec<Item>>),
    /// Exactly one of the sequences.
    OneOf(Vec<Vec<Item>>),
    /// The sequence that this ends may come again.
    Repeat,
}

/// An element with what is noted at it.
#[derive(Clone, Debug)]
pub struct Noted {
    pub what: What,
    pub note: Note,
}

#[derive(Clone, Debug)]
pub enum What {
    Token(&'static str),
    Value(&'static str),
    Optional(Vec<Vec<Noted>>),
    OneOf(Vec<Vec<Noted>>),
    Block(Vec<Noted>),
    Repeat,
}

#[derive(Clone, Copy, Default, Debug)]
pub struct Note {
    pub name: Option<&'static str>,
    pub optional: bool,
    pub kind: Option<&'static str>,
    /// The key specification that finds it; `Some(None)`: none does.
    pub key_spec: Option<Option<i64>>,
    pub since: Option<&'static str>,
    pub deprecated_since: Option<&'static str>,
}

/// What COMMAND DOCS calls the types of values, and `hidden`.
const KINDS: [&str; 7] = ["string", "integer", "double", "key", "pattern", "unix-time", "hidden"];

/// Reads `syntax` without its notes. Brackets that do not close are closed at the end; a table test refuses such literals.
pub fn parse(syntax: &'static str) -> Vec<Item> {
    plain(&noted(syntax))
}

/// Reads `syntax` with its notes.
pub fn noted(syntax: &'static str) -> Vec<Noted> {
    let mut words = words(syntax).into_iter();
    sequences(&mut words, "").0.into_iter().next().unwrap_or_default()
}

/// The elements without their notes: what is told of as one stands as its parts.
pub fn plain(items: &[Noted]) -> Vec<Item> {
    let all = |sequences: &[Vec<Noted>]| sequences.iter().map(|sequence| plain(sequence)).collect();
    let item = |noted: &Noted| match &noted.what {
        What::Token(word) => vec![Item::Token(word)],
        What::Value(word) => vec![Item::Value(word)],
        What::Optional(sequences) => vec![Item::Optional(all(sequences))],
        What::OneOf(sequences) => vec![Item::OneOf(all(sequences))],
        What::Block(items) => plain(items),
        What::Repeat => vec![Item::Repeat],
    };
    items.iter().flat_map(item).collect()
}

/// The type of a value that has none noted, by the name that is shown for it.
pub fn kind_of(name: &str) -> &'static str {
    match name {
        "key" | "destination" | "source" | "newkey" | "destkey" => "key",
        "pattern" => "pattern",
        "height" | "latitude" | "longitude" | "max" | "min" | "radius" | "score" | "timeout" | "width" => "double",
        "unix-time-milliseconds" | "unix-time-seconds" => "unix-time",
        "client-id" | "count" | "cursor" | "db" | "destination-db" | "end" | "end-slot" | "frequency" | "increment"
        | "index" | "limit" | "milliseconds" | "numkeys" | "numreplicas" | "offset" | "port" | "seconds" | "slot"
        | "start" | "start-slot" | "stop" | "ttl" | "weight" => "integer",
        _ => "string",
    }
}

/// The pieces of `syntax`: brackets stand alone, but for the name before one that opens and the notes behind one that closes.
fn words(syntax: &'static str) -> Vec<&'static str> {
    let mut words = Vec::new();
    for chunk in syntax.split_whitespace() {
        let mut rest = chunk;
        while let Some(at) = rest.find(['[', '<', '(', ']', '>', ')']) {
            let opens = matches!(rest.as_bytes()[at], b'[' | b'<' | b'(');
            let (begin, end) = if opens {
                (0, at + 1)
            } else {
                let behind = &rest[at + 1..];
                let notes =
                    if behind.starts_with('@') { behind.find([']', '>', ')']).unwrap_or(behind.len()) } else { 0 };
                (at, at + 1 + notes)
            };
            words.extend([&rest[..begin], &rest[begin..end]].into_iter().filter(|word| !word.is_empty()));
            rest = &rest[end..];
        }
        if !rest.is_empty() {
            words.push(rest);
        }
    }
    words
}

/// Sequences up to the bracket `end`, and what is noted behind that.
fn sequences(words: &mut impl Iterator<Item = &'static str>, end: &str) -> (Vec<Vec<Noted>>, Note) {
    let mut all = vec![Vec::new()];
    while let Some(word) = words.next() {
        let item = match word {
            _ if !end.is_empty() && word.starts_with(end) => return (all, Note::default().read(&word[end.len()..])),
            "|" => {
                all.push(Vec::new());
                continue;
            }
            _ if word.ends_with(['[', '<', '(']) => {
                let (name, bracket) = word.split_at(word.len() - 1);
                let close = match bracket {
                    "[" => "]",
                    "<" => ">",
                    _ => ")",
                };
                let (mut inner, note) = sequences(words, close);
                let what = match bracket {
                    "[" => What::Optional(inner),
                    "<" => What::OneOf(inner),
                    _ => What::Block(inner.swap_remove(0)),
                };
                Noted { what, note: note.named(name.strip_suffix('=')) }
            }
            _ => atom(word),
        };
        all.last_mut().expect("begun with one sequence").push(item);
    }
    (all, Note::default())
}

/// A word that is no bracket.
fn atom(word: &'static str) -> Noted {
    let (name, word) = match word.find('=') {
        Some(at @ 1..) => (Some(&word[..at]), &word[at + 1..]),
        _ => (None, word),
    };
    let (word, notes) = word.split_at(word.find('@').unwrap_or(word.len()));
    let mut note = Note::default().named(name).read(notes);
    let word = match word.split_once('#') {
        Some((word, number)) => {
            note.key_spec = Some(number.parse().ok());
            word
        }
        None => word,
    };
    let word = match word.rsplit_once(':') {
        Some((word, kind)) if KINDS.contains(&kind) => {
            note.kind = Some(kind);
            word
        }
        _ => word,
    };
    let what = match word {
        "..." => What::Repeat,
        _ if note.kind.is_some() || word.bytes().any(|byte| byte.is_ascii_lowercase()) => What::Value(word),
        _ => What::Token(word),
    };
    Noted { what, note }
}

impl Note {
    /// Adds the versions of `@6.2.0` and `@-6.2.0`.
    fn read(mut self, notes: &'static str) -> Note {
        for version in notes.split('@').filter(|version| !version.is_empty()) {
            match version.strip_prefix('-') {
                Some(version) => self.deprecated_since = Some(version),
                None => self.since = Some(version),
            }
        }
        self
    }

    fn named(mut self, name: Option<&'static str>) -> Note {
        self.optional = name.is_some_and(|name| name.ends_with('?'));
        self.name = name.map(|name| name.trim_end_matches('?'));
        self
    }
}

/// `items` as hints and help write them: alternatives without blanks, `LEFT|RIGHT`, `[EX seconds|PERSIST]`.
pub fn text(items: &[Item]) -> String {
    let sequences = |all: &[Vec<Item>]| all.iter().map(|sequence| text(sequence)).collect::<Vec<_>>().join("|");
    let words = items.iter().map(|item| match item {
        Item::Token(word) | Item::Value(word) => (*word).to_owned(),
        Item::Optional(all) => format!("[{}]", sequences(all)),
        Item::OneOf(all) => sequences(all),
        Item::Repeat => "...".to_owned(),
    });
    words.collect::<Vec<_>>().join(" ")
}

/// How many words `items` take at least, and whether they may take more.
pub fn span(items: &[Item]) -> (usize, bool) {
    items.iter().map(item_span).fold((0, false), |(sum, open), (least, more)| (sum + least, open || more))
}

fn item_span(item: &Item) -> (usize, bool) {
    match item {
        Item::Token(_) | Item::Value(_) => (1, false),
        Item::Optional(_) | Item::Repeat => (0, true),
        Item::OneOf(sequences) => {
            let spans: Vec<_> = sequences.iter().map(|sequence| span(sequence)).collect();
            let least = spans.iter().map(|(least, _)| *least).min().unwrap_or(0);
            (least, spans.iter().any(|(words, more)| *more || *words != least))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brackets_bars_and_dots_make_a_tree() {
        let tree = parse("key [NX | EX seconds] value [value ...]");
        assert_eq!(
            tree,
            vec![
                Item::Value("key"),
                Item::Optional(vec![vec![Item::Token("NX")], vec![Item::Token("EX"), Item::Value("seconds")]]),
                Item::Value("value"),
                Item::Optional(vec![vec![Item::Value("value"), Item::Repeat]]),
            ]
        );
    }

    #[test]
    fn notes_are_for_those_who_ask_for_them() {
        let syntax = "key id=ID:string#@-1.2.3 unit=[M | KM]@7.0.0 data=(field value) [field value ...] equal==";
        assert_eq!(text(&parse(syntax)), "key ID [M|KM] field value [field value ...] =");
        let noted = noted(syntax);
        let notes = |at: usize| (noted[at].note.name, noted[at].note.since, noted[at].note.deprecated_since);
        assert_eq!(notes(0), (None, None, None));
        assert_eq!((notes(1), noted[1].note.key_spec), ((Some("id"), None, Some("1.2.3")), Some(None)));
        assert_eq!(notes(2), (Some("unit"), Some("7.0.0"), None));
        assert_eq!(notes(3), (Some("data"), None, None));
        assert_eq!(notes(5), (Some("equal"), None, None));
    }

    #[test]
    fn a_tree_is_written_as_help_writes_it() {
        let syntax = "key <LEFT | RIGHT> [NX | EX seconds] [value [value ...]]";
        assert_eq!(text(&parse(syntax)), "key LEFT|RIGHT [NX|EX seconds] [value [value ...]]");
    }

    #[test]
    fn a_span_counts_what_must_be_typed() {
        assert_eq!(span(&parse("key <BEFORE | AFTER> pivot")), (3, false));
        assert_eq!(span(&parse("<ID client-id | ALL>")), (1, true));
        assert_eq!(span(&parse("[message]")), (0, true));
    }
}
