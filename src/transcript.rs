//! Transcripts: commands and what they print, as a person would copy them from a terminal. One format for unit tests,
//! lessons' code blocks, recordings of a real server and bug reports.
//!
//! ```text
//! # a remark: only at the top, or behind an empty line
//! > SET k v
//! OK
//! bob> LRANGE l 0 -1          a command of the terminal `bob`
//! 1) "a"
//! ...                         any lines, also none
//! ```
//!
//! Indentation shared by all lines does not count, nor do empty lines behind a reply and blanks at a line's end.

use crate::base::{Bytes, quote};
use crate::resp::{Reply, render};
use std::fmt::Write;

/// Something that commands can be given to.
pub trait Execute {
    /// Runs `line` at `terminal` (`""` where the transcript names none); what it prints, lines ended by `\n`.
    fn execute(&mut self, terminal: &str, line: &str) -> String;
}

/// A server behind a function, printed as redis-cli prints it for people.
pub struct Server<F>(pub F);

impl<F: FnMut(&str, Vec<Bytes>) -> Reply> Execute for Server<F> {
    fn execute(&mut self, terminal: &str, line: &str) -> String {
        match quote::split(line.as_bytes()) {
            Ok(args) if args.is_empty() => String::new(),
            Ok(args) if render::prints_raw(&args) => {
                String::from_utf8_lossy(&render::raw(&(self.0)(terminal, args))).into_owned()
            }
            Ok(args) => render::tty(&(self.0)(terminal, args)),
            Err(_) => "Invalid argument(s)\n".to_owned(),
        }
    }
}

/// One command and what it must print.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    pub terminal: String,
    pub line: String,
    /// Lines, without blanks at their ends.
    pub expected: Vec<String>,
    /// The command's line in the transcript, from 1.
    pub at: usize,
}

/// The steps of `text`. Err: the number of a line that belongs to no command, and what is wrong.
pub fn parse(text: &str) -> Result<Vec<Step>, (usize, String)> {
    let indent =
        text.lines().filter(|line| !line.trim().is_empty()).map(|line| line.len() - line.trim_start().len()).min();
    let mut steps: Vec<Step> = Vec::new();
    let mut after_gap = true;
    for (i, line) in text.lines().enumerate() {
        let line = line.get(indent.unwrap_or(0)..).unwrap_or("").trim_end();
        if let Some((terminal, command)) = command(line) {
            steps.push(Step {
                terminal: terminal.to_owned(),
                line: command.to_owned(),
                expected: Vec::new(),
                at: i + 1,
            });
        } else if !(after_gap && line.starts_with('#')) {
            match steps.last_mut() {
                Some(step) => step.expected.push(line.to_owned()),
                None if line.is_empty() => {}
                None => return Err((i + 1, format!("`{line}` stands before any command: one begins with `> `"))),
            }
        }
        after_gap = line.is_empty() || (after_gap && line.starts_with('#'));
    }
    for step in &mut steps {
        while step.expected.last().is_some_and(String::is_empty) {
            step.expected.pop();
        }
    }
    Ok(steps)
}

/// `> GET k` or `bob> GET k`: the terminal and the command.
fn command(line: &str) -> Option<(&str, &str)> {
    let (name, rest) = line.split_once('>')?;
    let is_name = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-');
    let separated = rest.is_empty() || rest.starts_with(' ');
    (is_name && separated && !name.starts_with(|c: char| c.is_ascii_digit())).then(|| (name, rest.trim()))
}

/// Runs every step. Err: the first that printed something else, told so that one can see the difference.
pub fn run(text: &str, on: &mut dyn Execute) -> Result<(), String> {
    let steps = parse(text).map_err(|(line, what)| format!("line {line}: {what}"))?;
    for (i, step) in steps.iter().enumerate() {
        let printed = on.execute(&step.terminal, &step.line);
        let printed: Vec<&str> = lines(&printed);
        if !agrees(&step.expected, &printed) {
            return Err(complaint(&steps[..=i], &printed));
        }
    }
    Ok(())
}

/// The transcript of `text`'s commands with what they print now: to record, or to correct a recording.
pub fn record(text: &str, on: &mut dyn Execute) -> Result<String, String> {
    let steps = parse(text).map_err(|(line, what)| format!("line {line}: {what}"))?;
    let mut out = String::new();
    for step in steps {
        let printed = on.execute(&step.terminal, &step.line);
        writeln!(out, "{}> {}", step.terminal, step.line).expect("writing to a String never fails");
        lines(&printed).iter().for_each(|line| {
            writeln!(out, "{line}").expect("writing to a String never fails");
        });
    }
    Ok(out)
}

fn lines(printed: &str) -> Vec<&str> {
    let mut lines: Vec<&str> = printed.lines().map(str::trim_end).collect();
    while lines.last() == Some(&"") {
        lines.pop();
    }
    lines
}

/// Do the lines agree, where an expected `...` stands for any number of them? O(len * len) at worst.
fn agrees(expected: &[String], printed: &[&str]) -> bool {
    match expected.split_first() {
        None => printed.is_empty(),
        Some((line, rest)) if line == "..." => (0..=printed.len()).any(|skipped| agrees(rest, &printed[skipped..])),
        Some((line, rest)) => {
            printed.split_first().is_some_and(|(first, others)| first == line && agrees(rest, others))
        }
    }
}

fn complaint(steps: &[Step], printed: &[&str]) -> String {
    let (step, before) = steps.split_last().expect("there is at least the step that failed");
    let mut text = format!("line {}: `{}> {}` printed something else\n", step.at, step.terminal, step.line);
    let shared = step.expected.iter().zip(printed).take_while(|(a, b)| a == b).count();
    let tell = |text: &mut String, mark: char, lines: &mut dyn Iterator<Item = &str>| {
        lines.for_each(|line| writeln!(text, "  {mark} {line}").expect("writing to a String never fails"));
    };
    tell(&mut text, ' ', &mut printed[..shared].iter().copied());
    tell(&mut text, '-', &mut step.expected[shared..].iter().map(String::as_str));
    tell(&mut text, '+', &mut printed[shared..].iter().copied());
    text.push_str("  (- as the transcript says, + as it is)\n");
    if !before.is_empty() {
        text.push_str("after\n");
        let first = before.len().saturating_sub(10);
        for step in &before[first..] {
            writeln!(text, "  {}> {}", step.terminal, step.line).expect("writing to a String never fails");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Answers with its arguments.
    fn echo() -> Server<impl FnMut(&str, Vec<Bytes>) -> Reply> {
        Server(|terminal: &str, args: Vec<Bytes>| match &*args[0] {
            b"WHO" => Reply::bulk(terminal),
            b"OK" => Reply::OK,
            _ => Reply::bulks(args),
        })
    }

    #[test]
    fn a_transcript_runs() {
        let text = "
            # a remark

            > OK
            OK

            # another
            bob> WHO
            \"bob\"
            > a 'b c'
            1) \"a\"
            2) \"b c\"
            > x y z
            1) \"x\"
            ...
            > \"open
            Invalid argument(s)
        ";
        run(text, &mut echo()).unwrap();
        assert_eq!(parse(text).unwrap().iter().map(|step| step.at).collect::<Vec<_>>(), [4, 8, 10, 13, 16]);
    }

    #[test]
    fn a_difference_is_shown_with_its_place() {
        let error = run("> OK\nOK\n> a b\n1) \"a\"\n2) \"c\"\n", &mut echo()).unwrap_err();
        assert_eq!(
            error,
            "line 3: `> a b` printed something else\n    1) \"a\"\n  - 2) \"c\"\n  + 2) \"b\"\n  \
             (- as the transcript says, + as it is)\nafter\n  > OK\n"
        );
        assert!(run("> OK\n", &mut echo()).is_err(), "what is printed must be told");
        assert!(run("> OK\nOK\n...\nmore\n", &mut echo()).is_err());
        assert!(run("OK\n> OK\n", &mut echo()).unwrap_err().starts_with("line 1: `OK` stands before any command"));
    }

    #[test]
    fn a_recording_agrees_with_itself() {
        let recorded = record("> a b\nbob> WHO\n> OK\n", &mut echo()).unwrap();
        assert_eq!(recorded, "> a b\n1) \"a\"\n2) \"b\"\nbob> WHO\n\"bob\"\n> OK\nOK\n");
        run(&recorded, &mut echo()).unwrap();
    }
}
