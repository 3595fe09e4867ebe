//! The `:` words, by which the learner speaks to the lab itself. One table: parsing, help and completion follow from it.

use super::line::{Class, Line};
use crate::base::Millis;
use crate::base::words::distance;
use crate::port::NetworkChange;

/// What the lab has to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Word {
    /// Say the goals of this exercise again.
    Goals,
    /// The next rung of the hints.
    Hint,
    /// Who wrote, changed, expired or lost this key.
    Why(String),
    /// What each server was given to keep, and what it lost.
    Twin,
    /// Play a solution in a copy of the world.
    Solve,
    Reset(Scope),
    /// Take back this many steps.
    Undo(usize),
    Redo(usize),
    /// Let this much time pass.
    Time(Millis),
    /// Look at the network between the servers (empty), or change it.
    Net(Vec<NetworkChange>),
    /// Run programs against each other in every order, or play one of these orders.
    Orders(Orders),
    /// Run this line of the shell under every eviction policy, in copies of the world.
    Policies(String),
    /// Open or go to the terminal of this name; None: say which there are.
    Terminal(Option<String>),
    /// The page of a command or a group of them; None: the list of all.
    Atlas(Option<String>),
    /// Show a picture of the lab, by name; None: say which there are.
    Show(Option<String>),
    /// The next exercise, or lesson after the last one.
    Next,
    Back,
    /// Open the lesson of this number or id; None: list them.
    Lesson(Option<String>),
    /// The learner wants to edit this file of the lab's machine.
    Edit(String),
    /// The answer to the exercise's question.
    Answer(String),
    /// About the lab, or about one word or command.
    Help(Option<String>),
    Quit,
    /// Wipe the screen of this terminal.
    Clear,
    /// A preference and its value.
    Set(String, String),
}

impl Word {
    /// It shows something or goes somewhere, and leaves the world as it is.
    pub fn only_looks(&self) -> bool {
        match self {
            Word::Goals | Word::Hint | Word::Why(_) | Word::Twin | Word::Solve | Word::Atlas(_) | Word::Show(_) => true,
            Word::Next | Word::Back | Word::Lesson(_) | Word::Terminal(_) | Word::Edit(_) | Word::Quit => true,
            Word::Help(_) | Word::Clear | Word::Set(..) => true,
            Word::Net(changes) => changes.is_empty(),
            Word::Answer(_) | Word::Undo(_) | Word::Redo(_) | Word::Reset(_) | Word::Time(_) => false,
            Word::Orders(_) | Word::Policies(_) => false,
        }
    }
}

/// What `:orders` is asked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Orders {
    /// The last comparison once more; what was typed in this exercise, if there is none.
    Again,
    /// What was typed in the terminals since the exercise began.
    Typed,
    /// Programs in these files.
    Files(Vec<String>),
    /// This order, from 1.
    Play(usize),
    /// The order in which a race shows best.
    Worst,
    /// The next step of the order that is being played.
    Next,
}

/// How much `:reset` takes back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Scope {
    Exercise,
    Lesson,
}

/// One word of the lab or of its shell, as help and completion show it.
pub struct Entry {
    pub name: &'static str,
    pub syntax: &'static str,
    pub summary: &'static str,
}

impl Entry {
    /// The rows of a list: the call, with `mark` before the name, and what it does beside it or, behind a long one, below.
    pub fn listed(&self, mark: &str) -> Vec<Line> {
        let call = format!("  {mark}{} {}", self.name, self.syntax);
        let call = call.trim_end();
        if call.len() < 28 {
            return vec![Line::new(Class::Key, format!("{call:<28}")).and(Class::Plain, self.summary)];
        }
        vec![Line::new(Class::Key, call), Line::plain(format!("{:28}{}", "", self.summary))]
    }
}

pub const WORDS: &[Entry] = &[
    Entry { name: "goals", syntax: "", summary: "What this exercise asks for, and what of it holds already." },
    Entry { name: "hint", syntax: "", summary: "A hint; asked again, a plainer one." },
    Entry { name: "why", syntax: "KEY", summary: "Who wrote, changed, expired or lost a key, and when." },
    Entry { name: "twin", syntax: "", summary: "What each server was given to keep, what it lost, and why." },
    Entry {
        name: "solve",
        syntax: "",
        summary: "Watch a solution in a copy of your world. It does not count as solved.",
    },
    Entry {
        name: "answer",
        syntax: "TEXT",
        summary: "Answer the question of this exercise; `:2` is short for `:answer 2`.",
    },
    Entry { name: "next", syntax: "", summary: "Go on." },
    Entry { name: "back", syntax: "", summary: "Go back one exercise." },
    Entry { name: "undo", syntax: "[N]", summary: "Take back the last N steps (1)." },
    Entry { name: "redo", syntax: "[N]", summary: "Do again what was taken back." },
    Entry { name: "reset", syntax: "[exercise | lesson]", summary: "Start this exercise, or the whole lesson, anew." },
    Entry { name: "time", syntax: "+SPAN", summary: "Let time pass at once: +30m, +1h30m, +10s, +500ms, +2d." },
    Entry {
        name: "net",
        syntax: "[cut A B | heal [A B] | delay A B SPAN | loss A B PERCENT | step [N] | freeze | run]",
        summary: "The network between the servers: look, slow it down, cut it, one message at a time.",
    },
    Entry {
        name: "orders",
        syntax: "[FILE FILE | N | next]",
        summary: "Run programs (or what was typed) in every order; play order N.",
    },
    Entry {
        name: "policies",
        syntax: "LINE",
        summary: "Run a line of the shell in copies of the world, one for each eviction policy.",
    },
    Entry { name: "terminal", syntax: "[NAME]", summary: "Open a terminal, or go to it (by its letter, too)." },
    Entry {
        name: "atlas",
        syntax: "[COMMAND | @GROUP]",
        summary: "All commands: what each is for, what it costs, an example run in a copy, the lessons that teach it.",
    },
    Entry { name: "show", syntax: "[PICTURE]", summary: "Show a picture of the lab: timeline, keys, disk and others." },
    Entry { name: "lesson", syntax: "[NUMBER]", summary: "Open a lesson; without a number, list them." },
    Entry { name: "set", syntax: "NAME VALUE", summary: "Change a preference: `:set hints off`." },
    Entry { name: "clear", syntax: "", summary: "Wipe this terminal's screen." },
    Entry { name: "help", syntax: "[WORD]", summary: "This list, or more about one word." },
    Entry { name: "quit", syntax: "", summary: "Leave the lab. Everything is kept." },
];

/// The word on `line`; None if the line is not for the lab, Err with what to print if it is but cannot be understood.
pub fn parse(line: &str) -> Option<Result<Word, Vec<Line>>> {
    let rest = line.trim().strip_prefix(':')?;
    let (name, argument) = match rest.split_once(char::is_whitespace) {
        Some((name, argument)) => (name, argument.trim()),
        None => (rest, ""),
    };
    Some(word(&name.to_ascii_lowercase(), argument))
}

fn word(name: &str, argument: &str) -> Result<Word, Vec<Line>> {
    let optional = || (!argument.is_empty()).then(|| argument.to_owned());
    let word = match name {
        "goals" | "goal" => Word::Goals,
        "hint" | "hints" => Word::Hint,
        "why" if !argument.is_empty() => Word::Why(argument.to_owned()),
        "twin" => Word::Twin,
        "solve" => Word::Solve,
        "answer" if !argument.is_empty() => Word::Answer(argument.to_owned()),
        "next" | "n" => Word::Next,
        "back" | "prev" => Word::Back,
        "undo" => Word::Undo(count(name, argument)?),
        "redo" => Word::Redo(count(name, argument)?),
        "reset" => match argument {
            "" | "exercise" => Word::Reset(Scope::Exercise),
            "lesson" => Word::Reset(Scope::Lesson),
            _ => return Err(usage(name)),
        },
        "time" => Word::Time(span(argument).ok_or_else(|| usage(name))?),
        "net" | "network" => Word::Net(super::net::parse(argument).ok_or_else(|| usage("net"))?),
        "orders" | "order" => Word::Orders(orders(argument)?),
        "policies" if !argument.is_empty() => Word::Policies(argument.to_owned()),
        "terminal" => Word::Terminal(optional()),
        "atlas" | "commands" => Word::Atlas(optional()),
        "show" => Word::Show(optional()),
        "lesson" | "lessons" => Word::Lesson(optional()),
        "set" => match argument.split_once(char::is_whitespace) {
            Some((key, value)) => Word::Set(key.to_owned(), value.trim().to_owned()),
            None if argument == "hints" => Word::Set("hints".into(), "on".into()),
            None if argument == "nohints" => Word::Set("hints".into(), "off".into()),
            None => return Err(usage(name)),
        },
        "clear" => Word::Clear,
        "help" | "h" | "?" => Word::Help(optional()),
        "quit" | "q" | "exit" => Word::Quit,
        number if !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()) => Word::Answer(number.to_owned()),
        known if WORDS.iter().any(|entry| entry.name == known) => return Err(usage(known)),
        unknown => return Err(not_a_word(unknown)),
    };
    Ok(word)
}

/// How many steps the word `name` is to go.
fn count(name: &str, argument: &str) -> Result<usize, Vec<Line>> {
    match argument {
        "" => Ok(1),
        text => text.parse().ok().filter(|&n| n > 0).ok_or_else(|| usage(name)),
    }
}

fn orders(argument: &str) -> Result<Orders, Vec<Line>> {
    let words: Vec<&str> = argument.split_whitespace().collect();
    Ok(match words.as_slice() {
        [] => Orders::Again,
        ["typed"] => Orders::Typed,
        ["worst"] => Orders::Worst,
        ["next" | "n"] => Orders::Next,
        [one] => Orders::Play(one.trim_start_matches('#').parse().map_err(|_| usage("orders"))?),
        files => Orders::Files(files.iter().map(|file| (*file).to_owned()).collect()),
    })
}

/// `+30m`, `1h30m`, `90` (seconds), `500ms` as a span. None if it is no span, or longer than a thousand years.
pub fn span(text: &str) -> Option<Millis> {
    let text = text.strip_prefix('+').unwrap_or(text).replace(' ', "");
    let mut rest = text.as_str();
    let mut total: u64 = 0;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let n: u64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let letters = rest.bytes().take_while(u8::is_ascii_alphabetic).count();
        let unit_ms = match &rest[..letters] {
            "ms" => 1,
            "" | "s" => 1000,
            "m" | "min" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return None,
        };
        rest = &rest[letters..];
        total = total.checked_add(n.checked_mul(unit_ms)?)?;
    }
    (total <= 1000 * 365 * 86_400_000).then_some(Millis(total))
}

fn usage(name: &str) -> Vec<Line> {
    let entry = WORDS.iter().find(|entry| entry.name == name).expect("usage is asked only for words of the table");
    let syntax = format!(":{} {}", entry.name, entry.syntax);
    vec![Line::new(Class::Bad, format!("Usage: {}", syntax.trim_end())), Line::new(Class::Note, entry.summary)]
}

fn not_a_word(name: &str) -> Vec<Line> {
    let near: Vec<String> = near(name).into_iter().map(|word| format!(":{word}")).collect();
    let advice = if near.is_empty() {
        "`:help` lists the words of the lab.".to_owned()
    } else {
        format!("Did you mean {}? `:help` lists all words.", near.join(" or "))
    };
    vec![Line::new(Class::Bad, format!("The lab knows no word `:{name}`.")).and(Class::Note, format!(" {advice}"))]
}

/// Words that `name` may have been meant as: it begins them, or differs by at most two letters.
fn near(name: &str) -> Vec<&'static str> {
    let mut found: Vec<(usize, &str)> = WORDS
        .iter()
        .map(|entry| {
            (if !name.is_empty() && entry.name.starts_with(name) { 0 } else { distance(name, entry.name) }, entry.name)
        })
        .filter(|(far, word)| *far <= 2 && *far < word.len())
        .collect();
    found.sort();
    found.into_iter().map(|(_, word)| word).take(2).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complaint(line: &str) -> String {
        parse(line).unwrap().unwrap_err()[0].text()
    }

    #[test]
    fn words_are_understood_in_any_case_and_spacing() {
        assert_eq!(parse("SET a b"), None);
        assert_eq!(parse("  :Goals "), Some(Ok(Word::Goals)));
        assert_eq!(parse(":why  session:a1 "), Some(Ok(Word::Why("session:a1".into()))));
        assert_eq!(parse(":undo 3"), Some(Ok(Word::Undo(3))));
        assert_eq!(parse(":2"), Some(Ok(Word::Answer("2".into()))));
        assert_eq!(parse(":reset lesson"), Some(Ok(Word::Reset(Scope::Lesson))));
        assert_eq!(parse(":orders"), Some(Ok(Word::Orders(Orders::Again))));
        assert_eq!(parse(":orders 17"), Some(Ok(Word::Orders(Orders::Play(17)))));
        let files = Orders::Files(vec!["sell.txt".into(), "sell.txt".into()]);
        assert_eq!(parse(":orders sell.txt  sell.txt"), Some(Ok(Word::Orders(files))));
        assert!(matches!(parse(":orders sell.txt"), Some(Err(_))));
        assert_eq!(parse(":set nohints"), Some(Ok(Word::Set("hints".into(), "off".into()))));
    }

    #[test]
    fn spans_of_time_are_read_as_people_write_them() {
        assert_eq!(span("+30m"), Some(Millis(1_800_000)));
        assert_eq!(span("1h30m"), Some(Millis(5_400_000)));
        assert_eq!(span("90"), Some(Millis(90_000)));
        assert_eq!(span("500ms"), Some(Millis(500)));
        for bad in ["", "+", "m", "3x", "-3s", "99999999999999999999", "9999999999d", "3é"] {
            assert_eq!(span(bad), None, "{bad}");
        }
    }

    #[test]
    fn an_unknown_word_names_its_neighbours() {
        assert!(complaint(":gaols").contains(":goals"), "{}", complaint(":gaols"));
        assert!(complaint(":te").contains(":terminal"));
        assert_eq!(
            complaint(":frobnicate"),
            "The lab knows no word `:frobnicate`. `:help` lists the words of the lab."
        );
        assert_eq!(complaint(":time"), "Usage: :time +SPAN");
        assert_eq!(complaint(":why"), "Usage: :why KEY");
        assert_eq!(complaint(":redo all"), "Usage: :redo [N]");
    }

    #[test]
    fn a_long_call_stands_above_its_summary() {
        // In the sandbox it ran into it.
        let listed = |name: &str| WORDS.iter().find(|entry| entry.name == name).unwrap().listed(":");
        assert_eq!(listed("goals")[0].text().find("What"), Some(28));
        assert_eq!((listed("net").len(), listed("net")[1].text().find("The network")), (2, Some(28)));
    }

    #[test]
    fn every_word_of_the_table_is_parsed() {
        for entry in WORDS {
            let argument = match entry.name {
                "time" => "+1s",
                "set" => "a b",
                "undo" | "redo" | "orders" => "2",
                "net" => "cut a b",
                _ if entry.syntax.is_empty() => "",
                _ if entry.syntax.contains("exercise") => "lesson",
                _ => "x",
            };
            assert!(matches!(parse(&format!(":{} {argument}", entry.name)), Some(Ok(_))), "{}", entry.name);
        }
    }
}
