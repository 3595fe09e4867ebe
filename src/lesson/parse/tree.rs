//! YAML text to a tree of numbered nodes, and the place of a node found again.
//!
//! serde's visitors see no positions, but an error raised while a node is being read carries the exact place of it. So a
//! node is found again by reading the text once more and failing on purpose at its number.

use crate::check::form::{Node, Tree};
use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use std::fmt;

/// More than any lesson needs, and little enough to be read in no time.
pub const LEN_MAX: usize = 256 * 1024;

/// Why a text is no tree: message, line, column (from 1; 0 if unknown).
pub type Broken = (String, usize, usize);

pub fn parse(text: &str) -> Result<Node, Broken> {
    if text.len() > LEN_MAX {
        return Err((format!("the file has {} bytes; {LEN_MAX} is the most", text.len()), 0, 0));
    }
    if let Some((line, column)) = anchor(text) {
        return Err((
            "anchors (&) and aliases (*) are not used in lessons: quote the text if it is meant as text".into(),
            line,
            column,
        ));
    }
    let mut count = 0;
    read(text, &mut count, None).map_err(|error| {
        let (line, column) = error.location().map_or((0, 0), |at| (at.line(), at.column()));
        let message = error.to_string();
        let message = message.split(" at line ").next().unwrap_or(&message).to_owned();
        (message, line, column)
    })
}

/// Line and column of node number `at`, from 1; (0, 0) if there is none.
pub fn place(text: &str, at: u32) -> (usize, usize) {
    let mut count = 0;
    match read(text, &mut count, Some(at)) {
        Err(error) => error.location().map_or((0, 0), |at| (at.line(), at.column())),
        Ok(_) => (0, 0),
    }
}

fn read(text: &str, count: &mut u32, stop: Option<u32>) -> Result<Node, serde_yaml::Error> {
    Seed { count, stop }.deserialize(serde_yaml::Deserializer::from_str(text))
}

/// Reads one node, counting; fails at number `stop`.
struct Seed<'c> {
    count: &'c mut u32,
    stop: Option<u32>,
}

impl<'de> DeserializeSeed<'de> for Seed<'_> {
    type Value = Node;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl Seed<'_> {
    fn number<E: serde::de::Error>(&mut self) -> Result<u32, E> {
        let at = *self.count;
        *self.count += 1;
        if self.stop == Some(at) { Err(E::custom("here")) } else { Ok(at) }
    }

    fn scalar<E: serde::de::Error>(mut self, text: impl ToString) -> Result<Node, E> {
        Ok(Node { at: self.number()?, tree: Tree::Scalar(text.to_string()) })
    }
}

impl<'de> Visitor<'de> for Seed<'_> {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("YAML")
    }

    fn visit_bool<E: serde::de::Error>(self, value: bool) -> Result<Node, E> {
        self.scalar(value)
    }

    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<Node, E> {
        self.scalar(value)
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<Node, E> {
        self.scalar(value)
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Node, E> {
        self.scalar(value)
    }

    fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<Node, E> {
        self.scalar(value)
    }

    fn visit_unit<E: serde::de::Error>(mut self) -> Result<Node, E> {
        Ok(Node { at: self.number()?, tree: Tree::Null })
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut items: A) -> Result<Node, A::Error> {
        let at = self.number()?;
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(Seed { count: self.count, stop: self.stop })? {
            list.push(item);
        }
        Ok(Node { at, tree: Tree::List(list) })
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut entries: A) -> Result<Node, A::Error> {
        let at = self.number()?;
        let mut map = Vec::new();
        while let Some(key) = entries.next_key_seed(Seed { count: self.count, stop: self.stop })? {
            if key.scalar().is_none() {
                return Err(A::Error::custom("a key is a plain word"));
            }
            let value = entries.next_value_seed(Seed { count: self.count, stop: self.stop })?;
            map.push((key, value));
        }
        Ok(Node { at, tree: Tree::Map(map) })
    }
}

/// Where an anchor or alias stands: a plain `&name` or `*name` where a value begins, outside of quotes and text blocks.
fn anchor(text: &str) -> Option<(usize, usize)> {
    let mut block: Option<usize> = None;
    for (number, line) in text.lines().enumerate() {
        let indent = line.len() - line.trim_start().len();
        if block.is_some_and(|outer| line.trim().is_empty() || indent > outer) {
            continue;
        }
        block = None;
        let mut quoted: Option<char> = None;
        let mut may_begin = true;
        let mut before = ' ';
        let chars: Vec<char> = line.chars().collect();
        for (column, &c) in chars.iter().enumerate() {
            match quoted {
                Some(quote) => {
                    if c == quote && before != '\\' {
                        quoted = None;
                    }
                    before = if before == '\\' { ' ' } else { c };
                    continue;
                }
                None if c == '#' && before == ' ' => break,
                None if may_begin && (c == '"' || c == '\'') => quoted = Some(c),
                None if may_begin
                    && (c == '&' || c == '*')
                    && chars.get(column + 1).is_some_and(|next| next.is_alphanumeric() || *next == '_') =>
                {
                    return Some((number + 1, column + 1));
                }
                None => {}
            }
            may_begin = matches!(c, '[' | '{' | ',') || c == ' ' && (may_begin || matches!(before, ':' | '-' | ','));
            before = c;
        }
        let end = line.trim_end().trim_end_matches(['+', '-']).trim_end_matches(|c: char| c.is_ascii_digit());
        if quoted.is_none()
            && (end.ends_with(": |") || end.ends_with(": >") || end.ends_with("- |") || end.ends_with("- >"))
        {
            block = Some(indent);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_node_is_found_again_at_its_line_and_column() {
        let text = "id: a\ngoals:\n  - say: x\n    key: {name: \"b\", ttl: 5}\n";
        let tree = parse(text).unwrap();
        let Tree::Map(entries) = &tree.tree else { panic!() };
        assert_eq!(place(text, entries[1].0.at), (2, 1));
        let Tree::List(goals) = &entries[1].1.tree else { panic!() };
        let Tree::Map(goal) = &goals[0].tree else { panic!() };
        assert_eq!(place(text, goal[1].0.at), (4, 5));
        let Tree::Map(key) = &goal[1].1.tree else { panic!() };
        assert_eq!(place(text, key[1].0.at), (4, 22));
        assert_eq!(place(text, key[1].1.at), (4, 27));
        assert_eq!(place(text, 999), (0, 0));
    }

    #[test]
    fn anchors_are_refused_where_they_stand_and_stars_in_texts_are_not() {
        assert_eq!(parse("a: 1\nb: &x 2\n").unwrap_err().1, 2);
        assert_eq!(parse("a: [*x]\n").unwrap_err().1, 1);
        for fine in
            ["a: \"*x\"", "a: SELECT * FROM t", "a: |\n  *bold*\n  & co\nb: 2", "a: FLUSH*", "a: x # *y", "a: '*x'"]
        {
            assert!(parse(fine).is_ok(), "{fine}: {:?}", parse(fine));
        }
    }

    #[test]
    fn a_syntax_error_has_a_place() {
        let (message, line, _) = parse("title: GET: x\n").unwrap_err();
        assert_eq!((message.as_str(), line), ("mapping values are not allowed in this context", 1));
    }

    #[test]
    fn a_bomb_of_depth_is_refused() {
        assert!(parse(&"[".repeat(5000)).is_err());
    }
}
