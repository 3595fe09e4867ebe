//! `:help` at the sandbox prompt, and what a `:` word does there.

use crate::console::word::WORDS;
use crate::console::{Class, Line, Word, net};
use crate::port::Backend;

/// The words that mean something outside of a lesson.
const HERE: &[&str] = &["undo", "redo", "time", "net", "set", "clear", "help", "quit"];

/// What the loop has to do after a word.
pub enum Next {
    Print(Vec<Line>),
    Hints(bool),
    Clear,
    Quit,
}

/// Does what `word` says. `sandbox`: the backend can go back and let time pass.
pub fn obey(word: Word, sandbox: bool, backend: &mut dyn Backend) -> Next {
    let say = |text: String| Next::Print(vec![Line::new(Class::Note, text)]);
    match word {
        Word::Quit => Next::Quit,
        Word::Clear => Next::Clear,
        Word::Set(name, value) if name == "hints" && matches!(value.as_str(), "on" | "off") => {
            Next::Hints(value == "on")
        }
        Word::Set(name, _) => {
            say(format!("unknown preference '{name}'; there is `:set hints on` and `:set hints off`"))
        }
        Word::Help(_) => Next::Print(page()),
        Word::Undo(_) | Word::Redo(_) | Word::Time(_) if !sandbox => {
            say("That works in the sandbox only; this is a real server.".to_owned())
        }
        Word::Undo(times) => say(steps("taken back", (0..times).take_while(|_| backend.undo()).count())),
        Word::Redo(times) => say(steps("done again", (0..times).take_while(|_| backend.redo()).count())),
        Word::Net(changes) => {
            let lines = net::run(&changes, backend);
            backend.mark();
            Next::Print(lines)
        }
        Word::Time(span) => {
            backend.advance(span);
            backend.mark();
            say(format!("{span} later."))
        }
        _ => say("That word belongs to a lesson: `redlab` opens the lab.".to_owned()),
    }
}

fn steps(what: &str, count: usize) -> String {
    match count {
        0 => format!("Nothing to be {what}."),
        1 => format!("One step {what}."),
        n => format!("{n} steps {what}."),
    }
}

fn page() -> Vec<Line> {
    let entries = WORDS.iter().filter(|entry| HERE.contains(&entry.name));
    let mut lines: Vec<Line> = entries.flat_map(|entry| entry.listed(":")).collect();
    lines.push(Line::new(Class::Note, "`help SET` tells of a command, TAB completes, Ctrl-R searches the history."));
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::console::word;

    #[test]
    fn the_page_lists_the_words_that_do_something_and_only_these() {
        for entry in WORDS {
            let argument = match entry.name {
                "time" => "+1s",
                "net" => "",
                "orders" => "2",
                "reset" => "lesson",
                _ if entry.syntax.is_empty() => "",
                _ => "1 x",
            };
            let argument = if matches!(entry.name, "undo" | "redo") { "1" } else { argument };
            let Some(Ok(word)) = word::parse(&format!(":{} {argument}", entry.name)) else { panic!("{}", entry.name) };
            let mut backend = Quiet;
            let foreign = match obey(word, true, &mut backend) {
                Next::Print(lines) => lines.iter().any(|line| line.text().contains("belongs to a lesson")),
                _ => false,
            };
            assert_eq!(foreign, !HERE.contains(&entry.name), "{}", entry.name);
        }
    }

    struct Quiet;

    impl Backend for Quiet {
        fn now(&self) -> crate::base::Millis {
            crate::base::Millis::ZERO
        }
        fn advance(&mut self, _: crate::base::Millis) {}
        fn connect(&mut self, _: u16, _: &str) -> Result<crate::port::ConnectionId, String> {
            Err(String::new())
        }
        fn send(&mut self, _: crate::port::ConnectionId, _: Vec<crate::base::Bytes>) {}
        fn receive(&mut self, _: crate::port::ConnectionId) -> Vec<crate::port::Incoming> {
            Vec::new()
        }
        fn hang_up(&mut self, _: crate::port::ConnectionId) {}
    }
}
