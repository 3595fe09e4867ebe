//! The argument syntax of a command as a tree, read from its literal: `key [NX | XX] <EX seconds | PERSIST>`.
//!
//! Arity, COMMAND DOCS, the hints of the prompt and completion all follow from this tree. The notation is the manual's:
//! upper case is typed as it stands, lower case is a name for what is typed, `[]` may be left out, `<a | b>` is one of
//! several, `...` repeats the group it ends.

/// One element of a command's arguments.
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

/// Reads `syntax`. Brackets that do not close are closed at the end; a table test refuses such literals.
pub fn parse(syntax: &'static str) -> Vec<Item> {
    let mut words = words(syntax).into_iter();
    sequences(&mut words, "").into_iter().next().unwrap_or_default()
}

fn words(syntax: &'static str) -> Vec<&'static str> {
    let mut words = Vec::new();
    for chunk in syntax.split_whitespace() {
        let mut rest = chunk;
        while let Some(at) = rest.find(['[', ']', '<', '>']) {
            words.extend([&rest[..at], &rest[at..=at]].into_iter().filter(|word| !word.is_empty()));
            rest = &rest[at + 1..];
        }
        if !rest.is_empty() {
            words.push(rest);
        }
    }
    words
}

fn sequences(words: &mut impl Iterator<Item = &'static str>, end: &str) -> Vec<Vec<Item>> {
    let mut all = vec![Vec::new()];
    while let Some(word) = words.next() {
        let item = match word {
            _ if word == end => break,
            "|" => {
                all.push(Vec::new());
                continue;
            }
            "[" => Item::Optional(sequences(words, "]")),
            "<" => Item::OneOf(sequences(words, ">")),
            "..." => Item::Repeat,
            _ if word.bytes().any(|byte| byte.is_ascii_lowercase()) => Item::Value(word),
            _ => Item::Token(word),
        };
        all.last_mut().expect("begun with one sequence").push(item);
    }
    all
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
