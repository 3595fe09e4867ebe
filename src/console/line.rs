//! What terminals print: lines of spans, each with a class that a front end gives a colour or a mark.

use crate::base::quote::is_dangerous;

/// What a span means; never how it looks.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Class {
    Plain,
    Prompt,
    /// What the user typed, when it is shown again.
    Echo,
    Status,
    Error,
    Int,
    Str,
    Nil,
    /// `1) ` before an item.
    Index,
    /// The lab speaks.
    Note,
    /// A line of a server's log.
    Log,
    Good,
    Bad,
    Key,
    Dim,
    Title,
}

/// A piece of a line. The text holds no control byte: make it with [`Span::new`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Span {
    pub class: Class,
    pub text: String,
}

impl Span {
    /// `text` with everything that a terminal could take for a command made visible.
    pub fn new(class: Class, text: impl AsRef<str>) -> Span {
        Span { class, text: escaped(text.as_ref()) }
    }
}

/// One line, without a newline.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Line(pub Vec<Span>);

impl Line {
    pub fn new(class: Class, text: impl AsRef<str>) -> Line {
        Line(vec![Span::new(class, text)])
    }

    pub fn plain(text: impl AsRef<str>) -> Line {
        Line::new(Class::Plain, text)
    }

    /// `text` as one line per `\n`.
    pub fn split(class: Class, text: &str) -> Vec<Line> {
        text.split('\n').map(|line| Line::new(class, line.trim_end_matches('\r'))).collect()
    }

    pub fn and(mut self, class: Class, text: impl AsRef<str>) -> Line {
        self.0.push(Span::new(class, text));
        self
    }

    /// The words alone.
    pub fn text(&self) -> String {
        self.0.iter().map(|span| span.text.as_str()).collect()
    }
}

/// `text` without control characters: C0, DEL and C1 as `\xhh`, a tab as blanks, and the characters that turn the writing
/// direction around (they could make one command look like another) as `\u{hhhh}`.
pub fn escaped(text: &str) -> String {
    use std::fmt::Write;
    if !text.chars().any(is_dangerous) {
        return text.to_owned();
    }
    let mut out = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        match c {
            '\t' => out.push_str("    "),
            c if c.is_control() => {
                write!(out, "\\x{:02x}", c as u32).expect("writing to a String never fails");
            }
            c if is_dangerous(c) => {
                write!(out, "\\u{{{:04x}}}", c as u32).expect("writing to a String never fails");
            }
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_control_character_survives() {
        let line = Line::plain("a\x1b[31m\u{9b}2J\r\n\x07\u{202e}é日");
        assert_eq!(line.text(), "a\\x1b[31m\\x9b2J\\x0d\\x0a\\x07\\u{202e}é日");
        assert!((0..0x300u32).filter_map(char::from_u32).all(|c| !escaped(&c.to_string()).chars().any(is_dangerous)));
    }

    #[test]
    fn a_text_splits_into_its_lines() {
        let lines = Line::split(Class::Log, "one\r\ntwo\n");
        assert_eq!(lines.iter().map(Line::text).collect::<Vec<_>>(), ["one", "two", ""]);
    }
}
