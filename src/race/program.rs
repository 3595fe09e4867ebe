//! A program: what one client means to do, where a command may depend on what was answered before.
//!
//! Line by line, as in a terminal, with as little besides as read-then-write needs:
//!
//! ```text
//! # sell one plum
//! WATCH stock
//! n = GET stock            the answer gets a name
//! stop if {n} < 1          ends the program; also `stop if nil`, `stop if error`
//! MULTI
//! SET stock {n-1}          its value, or a small sum with it
//! EXEC
//! again if nil             from the first line, as nothing was done
//! ```
//!
//! `nil` and `error` speak of the last answer. No answer counts as 0 in a sum. Braces around anything that no line has
//! named stay as they are, so hash tags and Lua tables can be written.

use crate::base::{Bytes, quote};
use crate::resp::Reply;
use std::collections::BTreeMap;

/// Names given to answers.
pub type Names = BTreeMap<String, Reply>;

#[derive(Clone, Debug, PartialEq)]
pub struct Program {
    /// Where it comes from: a file's path, a terminal's name.
    pub name: String,
    pub lines: Vec<Line>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// From 1, remarks and empty lines counted.
    pub number: usize,
    /// As it was written.
    pub text: String,
    pub what: What,
}

#[derive(Clone, Debug, PartialEq)]
pub enum What {
    /// A command; its answer may get a name.
    Send { into: Option<String>, words: Vec<Bytes> },
    /// Ends the program if this holds.
    Stop(Condition),
    /// Begins again from the first line if this holds.
    Again(Condition),
}

#[derive(Clone, Debug, PartialEq)]
pub enum Condition {
    /// The last answer was nil.
    Nil,
    /// The last answer was an error, or held one.
    Error,
    Compare(String, Comparison, String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    Equal,
    Differs,
    Less,
    LessOrEqual,
    More,
    MoreOrEqual,
}

const COMPARISONS: &[(&str, Comparison)] = &[
    ("=", Comparison::Equal),
    ("==", Comparison::Equal),
    ("!=", Comparison::Differs),
    ("<", Comparison::Less),
    ("<=", Comparison::LessOrEqual),
    (">", Comparison::More),
    (">=", Comparison::MoreOrEqual),
];

impl Program {
    /// Err: which line is wrong, and why, in a sentence for the learner.
    pub fn parse(name: &str, text: &str) -> Result<Program, String> {
        let mut lines = Vec::new();
        for (index, text) in text.lines().enumerate() {
            let (number, text) = (index + 1, text.trim());
            if text.is_empty() || text.starts_with('#') {
                continue;
            }
            let what = read(text).map_err(|why| format!("{name}, line {number}: {why}"))?;
            lines.push(Line { number, text: text.to_owned(), what });
        }
        let program = Program { name: name.to_owned(), lines };
        program.check_names()?;
        if program.commands() == 0 {
            return Err(format!("{name} holds no command."));
        }
        Ok(program)
    }

    /// A program of commands that depend on nothing, each already split into words.
    pub fn of_commands(name: &str, commands: impl IntoIterator<Item = Vec<Bytes>>) -> Program {
        let line = |(index, words): (usize, Vec<Bytes>)| Line {
            number: index + 1,
            text: quote::line_of(&words),
            what: What::Send { into: None, words },
        };
        Program { name: name.to_owned(), lines: commands.into_iter().enumerate().map(line).collect() }
    }

    /// How many commands it sends, if nothing ends it early and nothing is done again.
    pub fn commands(&self) -> usize {
        self.lines.iter().filter(|line| matches!(line.what, What::Send { .. })).count()
    }

    fn names(&self) -> Vec<&str> {
        let named = self.lines.iter().filter_map(|line| match &line.what {
            What::Send { into, .. } => into.as_deref(),
            _ => None,
        });
        named.collect()
    }

    /// A sum with a name that no line gives is a slip.
    fn check_names(&self) -> Result<(), String> {
        let names = self.names();
        for line in &self.lines {
            let texts: Vec<String> = match &line.what {
                What::Send { words, .. } => words.iter().map(|word| word.lossy().into_owned()).collect(),
                What::Stop(Condition::Compare(a, _, b)) | What::Again(Condition::Compare(a, _, b)) => {
                    vec![a.clone(), b.clone()]
                }
                _ => Vec::new(),
            };
            for (_, _, hole) in texts.iter().flat_map(|text| holes(text)) {
                let sum = hole.rest.is_some() || !matches!(line.what, What::Send { .. });
                if sum && !names.contains(&hole.name.as_str()) {
                    let (name, number) = (&hole.name, line.number);
                    return Err(format!(
                        "{}, line {number}: no line gives anything the name `{name}`. For example `{name} = GET stock`.",
                        self.name
                    ));
                }
            }
        }
        Ok(())
    }

    /// The words of a command with its holes filled; and whether there were any. Err: a sum with what is no number.
    pub fn filled(&self, words: &[Bytes], names: &Names) -> Result<(Vec<Bytes>, bool), String> {
        let mut depends = false;
        let mut out = Vec::with_capacity(words.len());
        for word in words {
            if !word.contains(&b'{') {
                out.push(word.clone());
                continue;
            }
            let (text, filled) = self.fill(&word.lossy(), names)?;
            depends |= filled;
            out.push(if filled { Bytes::from(text) } else { word.clone() });
        }
        Ok((out, depends))
    }

    fn fill(&self, text: &str, names: &Names) -> Result<(String, bool), String> {
        let known = self.names();
        let (mut out, mut from, mut filled) = (String::new(), 0, false);
        for (start, end, hole) in holes(text) {
            if !known.contains(&hole.name.as_str()) {
                continue;
            }
            out.push_str(&text[from..start]);
            out.push_str(&hole.value(names)?);
            (from, filled) = (end, true);
        }
        out.push_str(&text[from..]);
        Ok((out, filled))
    }

    /// Whether a condition holds after the answer `last`.
    pub fn holds(&self, condition: &Condition, names: &Names, last: &Reply) -> Result<bool, String> {
        Ok(match condition {
            Condition::Nil => is_nil(last),
            Condition::Error => has_error(last),
            Condition::Compare(a, comparison, b) => {
                let (a, b) = (self.fill(a, names)?.0, self.fill(b, names)?.0);
                // What is not there counts as 0 beside a number, as in a sum.
                let number = |text: &str, other: &str| match text {
                    "nil" if other.parse::<i64>().is_ok() => Some(0),
                    text => text.parse::<i64>().ok(),
                };
                let order = match (number(&a, &b), number(&b, &a)) {
                    (Some(a), Some(b)) => a.cmp(&b),
                    _ => a.cmp(&b),
                };
                match comparison {
                    Comparison::Equal => a == b || order.is_eq(),
                    Comparison::Differs => a != b && order.is_ne(),
                    Comparison::Less => order.is_lt(),
                    Comparison::LessOrEqual => order.is_le(),
                    Comparison::More => order.is_gt(),
                    Comparison::MoreOrEqual => order.is_ge(),
                }
            }
        })
    }
}

fn is_nil(reply: &Reply) -> bool {
    matches!(reply, Reply::Nil | Reply::NilArray)
}

fn has_error(reply: &Reply) -> bool {
    match reply {
        Reply::Error(_) => true,
        Reply::Array(items) => items.iter().any(has_error),
        _ => false,
    }
}

fn read(text: &str) -> Result<What, String> {
    for (word, make) in [("stop", What::Stop as fn(Condition) -> What), ("again", What::Again)] {
        if let Some(rest) = text.strip_prefix(word).filter(|rest| rest.starts_with(' ') || rest.is_empty()) {
            let condition = rest.trim_start().strip_prefix("if ");
            let condition = condition.ok_or_else(|| format!("`{word}` needs a reason: `{word} if nil`."))?;
            return Ok(make(condition_of(condition.trim())?));
        }
    }
    let (into, command) = match text.split_once('=') {
        Some((name, rest)) if is_name(name.trim()) && rest.starts_with(' ') && !rest.trim().is_empty() => {
            (Some(name.trim().to_owned()), rest.trim())
        }
        _ => (None, text),
    };
    let words = quote::split(command.as_bytes()).map_err(|_| String::from("a quote is not closed."))?;
    if words.is_empty() {
        return Err(String::from("there is no command."));
    }
    Ok(What::Send { into, words })
}

fn condition_of(text: &str) -> Result<Condition, String> {
    match text {
        "nil" => return Ok(Condition::Nil),
        "error" => return Ok(Condition::Error),
        _ => {}
    }
    let words: Vec<&str> = text.split_whitespace().collect();
    if let [a, sign, b] = words.as_slice()
        && let Some((_, comparison)) = COMPARISONS.iter().find(|(text, _)| text == sign)
    {
        return Ok(Condition::Compare((*a).to_owned(), *comparison, (*b).to_owned()));
    }
    Err(format!("`{text}` is no reason. There are `nil`, `error` and comparisons such as `{{n}} < 1`."))
}

fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

/// `{n}`, `{n-1}`, `{a+b}`.
struct Hole {
    name: String,
    rest: Option<(char, String)>,
}

/// All holes of a text, with where they begin and end.
fn holes(text: &str) -> Vec<(usize, usize, Hole)> {
    let mut found = Vec::new();
    for (start, _) in text.match_indices('{') {
        let Some(len) = text[start..].find('}') else { break };
        let inside = &text[start + 1..start + len];
        let split = inside.find(['+', '-', '*']);
        let name = inside[..split.unwrap_or(inside.len())].trim();
        let rest = split.map(|at| {
            let sign = inside[at..].chars().next().expect("found there");
            (sign, inside[at + 1..].trim().to_owned())
        });
        let sums = rest.as_ref().is_none_or(|(_, with)| is_name(with) || with.parse::<i64>().is_ok());
        if is_name(name) && sums {
            found.push((start, start + len + 1, Hole { name: name.to_owned(), rest }));
        }
    }
    found
}

impl Hole {
    fn value(&self, names: &Names) -> Result<String, String> {
        let Some((sign, with)) = &self.rest else {
            return Ok(names.get(&self.name).map_or_else(|| String::from("nil"), text_of));
        };
        let a = number(&self.name, names)?;
        let b = if is_name(with) { number(with, names)? } else { with.parse().unwrap_or(0) };
        let sum = match sign {
            '+' => a.checked_add(b),
            '-' => a.checked_sub(b),
            _ => a.checked_mul(b),
        };
        sum.map(|sum| sum.to_string()).ok_or_else(|| String::from("the sum is too large"))
    }
}

fn number(name: &str, names: &Names) -> Result<i64, String> {
    let Some(reply) = names.get(name) else {
        return Err(format!("`{name}` has not been read yet"));
    };
    if is_nil(reply) {
        return Ok(0);
    }
    let text = text_of(reply);
    text.parse().map_err(|_| format!("`{name}` is {text}, which is no number"))
}

/// An answer as a word of a later command.
fn text_of(reply: &Reply) -> String {
    match reply {
        Reply::Bulk(text) => text.lossy().into_owned(),
        Reply::Status(text) | Reply::Error(text) => text.to_string(),
        Reply::Int(n) => n.to_string(),
        Reply::Nil | Reply::NilArray => String::from("nil"),
        Reply::Array(items) => items.iter().map(text_of).collect::<Vec<_>>().join(" "),
        other => crate::resp::render::tty(other).trim_end().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(pairs: &[(&str, Reply)]) -> Names {
        pairs.iter().map(|(name, reply)| ((*name).to_owned(), reply.clone())).collect()
    }

    fn sent(program: &Program, line: usize, names: &Names) -> Result<String, String> {
        let What::Send { words, .. } = &program.lines[line].what else { panic!("{:?}", program.lines[line]) };
        program.filled(words, names).map(|(words, _)| quote::line_of(&words))
    }

    #[test]
    fn an_answer_gets_a_name_and_fills_holes() {
        let program =
            Program::parse("sell.txt", "n = GET stock\n\n# less one\nSET stock {n-1}\nSET log \"{n} left\"").unwrap();
        assert_eq!((program.commands(), program.lines[1].number), (3, 4));
        assert_eq!(sent(&program, 1, &names(&[("n", Reply::bulk("10"))])), Ok("SET stock 9".into()));
        assert_eq!(sent(&program, 1, &names(&[("n", Reply::Nil)])), Ok("SET stock -1".into()));
        assert_eq!(sent(&program, 2, &names(&[("n", Reply::bulk("10"))])), Ok("SET log \"10 left\"".into()));
    }

    #[test]
    fn inside_multi_there_is_nothing_to_count_with() {
        let program = Program::parse("p", "n = GET stock\nSET stock {n-1}").unwrap();
        let queued = names(&[("n", Reply::QUEUED)]);
        assert_eq!(sent(&program, 1, &queued), Err("`n` is QUEUED, which is no number".into()));
    }

    #[test]
    fn other_braces_stay() {
        let program =
            Program::parse("p", "n = GET {user7}:stock\nEVAL \"local t = {1, n}; return {n}\" 0 {n}").unwrap();
        let known = names(&[("n", Reply::Int(4))]);
        assert_eq!(sent(&program, 0, &known), Ok("GET {user7}:stock".into()));
        assert!(sent(&program, 1, &known).unwrap().ends_with("0 4"));
    }

    #[test]
    fn conditions_compare_numbers_as_numbers() {
        let program = Program::parse("p", "n = GET stock\nstop if {n} < 1").unwrap();
        let What::Stop(condition) = &program.lines[1].what else { panic!() };
        for (value, holds) in [(Reply::bulk("10"), false), (Reply::bulk("0"), true), (Reply::Nil, true)] {
            assert_eq!(program.holds(condition, &names(&[("n", value.clone())]), &Reply::OK), Ok(holds), "{value:?}");
        }
        let nil = Condition::Nil;
        assert_eq!(program.holds(&nil, &Names::new(), &Reply::NilArray), Ok(true));
        assert_eq!(program.holds(&Condition::Error, &Names::new(), &Reply::error("ERR x")), Ok(true));
    }

    #[test]
    fn what_cannot_be_read_says_where_and_why() {
        for (text, says) in [
            ("GET stock\nSET stock {n-1}", "p, line 2: no line gives anything the name `n`"),
            ("again", "p, line 1: `again` needs a reason"),
            ("GET a\nstop if maybe", "p, line 2: `maybe` is no reason"),
            ("GET \"a", "p, line 1: a quote is not closed"),
            ("# nothing", "p holds no command"),
        ] {
            let complaint = Program::parse("p", text).unwrap_err();
            assert!(complaint.starts_with(says), "{complaint}");
        }
    }
}
