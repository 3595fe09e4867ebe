//! What is typed where: solutions, wrong attempts, set-ups, and the acts of a possible future.
//!
//! A script is what a person would type, line by line, so that it can be shown as well as run.

use crate::base::Millis;

/// A line of a script.
#[derive(Clone, Debug, PartialEq)]
pub struct Entered {
    pub text: String,
    /// The exercise can be solved without it: `- optional: "GET a"`.
    pub optional: bool,
    /// Some line is needed here, but its words are free: `- free: "PING"`.
    pub free: bool,
    /// Which node of the YAML file it is, for messages to the author.
    pub at: u32,
}

/// Lines typed by one actor: a terminal (in solutions and wrong attempts), or an instance, `shell` or `sql` (elsewhere).
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    pub actor: String,
    pub lines: Vec<Entered>,
    /// Time that passes after the lines: `wait: SECONDS`.
    pub wait: Millis,
    pub at: u32,
}

/// Steps in order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Script(pub Vec<Step>);

impl Script {
    /// One line that `actor` types, of no file.
    pub fn line(actor: &str, text: String) -> Script {
        let line = Entered { text, optional: false, free: false, at: 0 };
        Script(vec![Step { actor: actor.to_owned(), lines: vec![line], wait: Millis::ZERO, at: 0 }])
    }

    /// All lines with who types them, in order.
    pub fn lines(&self) -> impl Iterator<Item = (&str, &Entered)> {
        self.0.iter().flat_map(|step| step.lines.iter().map(|line| (step.actor.as_str(), line)))
    }

    pub fn is_empty(&self) -> bool {
        self.0.iter().all(|step| step.lines.is_empty())
    }
}

/// One thing that happens in a possible future.
#[derive(Clone, Debug, PartialEq)]
pub enum Act {
    Sleep(Millis),
    PowerCut,
    /// `kill -9`.
    Kill(String),
    /// SIGTERM: the clean end.
    Stop(String),
    /// Starts the instance again from its config file; ends it cleanly before, if it runs.
    Restart(String),
    /// Starts every server that crashed, as it was started before.
    StartAgain,
    Run(Script),
}

/// A line of a future as the learner is shown it.
#[derive(Clone, Debug, PartialEq)]
pub enum Shown {
    /// What was typed, and at which prompt.
    Typed {
        prompt: String,
        text: String,
    },
    Said(String),
    /// The lab's own words: time that passed, a verdict.
    Note(String),
}
