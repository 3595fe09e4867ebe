//! `redis-cli --cluster`: making, looking at and changing a cluster from the `$` shell, with redis-cli's output and questions.
//!
//! It is a client like any other: everything it does are commands to nodes. Where it asks something, the program ends with the
//! question; the answer runs it again from the beginning with one answer more, and what was printed before is not printed
//! again. That is sound because it looks before it changes anything, and an answer belongs to its question: `fix`, which asks
//! for each kind of fault, does not come again to what it has mended.
//!
//! Absent: `import` and `backup`, which read and write outside of the cluster.

mod args;
mod check;
mod create;
mod fix;
mod members;
mod moving;
mod nodes;

use super::line::{Class, Line};
use super::redis::Options;
use crate::base::Bytes;
use crate::port::Backend;
use args::Task;
use nodes::Net;

/// A run that waits for an answer.
#[derive(Clone, Debug)]
pub(super) struct Manager {
    login: Options,
    task: Task,
    answers: Vec<Answered>,
    shown: Vec<Line>,
    question: String,
}

/// A question that was asked, and what was said.
#[derive(Clone, Debug)]
struct Answered {
    question: String,
    answer: String,
}

/// Why a run ended before its end.
enum Stop {
    /// It has said what is wrong, or the user refused.
    Ended,
    /// An answer is needed.
    Ask(String),
}

type Step<T = ()> = Result<T, Stop>;

/// One run: what was printed, the answers still unused, the way to the servers.
struct Run<'a> {
    net: Net<'a>,
    task: &'a Task,
    lines: Vec<Line>,
    answers: Vec<Answered>,
    /// Primaries that could not be reached when the cluster was looked at last.
    unreachable: usize,
    /// Faults found so far.
    errors: usize,
}

impl Run<'_> {
    fn print(&mut self, text: impl AsRef<str>) {
        self.lines.extend(Line::split(Class::Plain, text.as_ref()));
    }

    /// `>>> ...`
    fn info(&mut self, text: impl AsRef<str>) {
        self.lines.extend(Line::split(Class::Title, text.as_ref()));
    }

    fn ok(&mut self, text: impl AsRef<str>) {
        self.lines.extend(Line::split(Class::Good, text.as_ref()));
    }

    fn warn(&mut self, text: impl AsRef<str>) {
        self.lines.extend(Line::split(Class::Bad, text.as_ref()));
    }

    fn fail<T>(&mut self, text: impl AsRef<str>) -> Step<T> {
        self.lines.extend(Line::split(Class::Error, text.as_ref()));
        Err(Stop::Ended)
    }

    /// The answer to `question`, which is shown with it once it is there.
    fn ask(&mut self, question: &str) -> Step<String> {
        match self.answers.iter().position(|each| each.question == question) {
            Some(at) => {
                let answer = self.answers.remove(at).answer;
                self.print(format!("{question}{answer}"));
                Ok(answer.trim().to_owned())
            }
            None => Err(Stop::Ask(question.to_owned())),
        }
    }

    /// A question to which only `yes` is a yes. Err: anything else.
    fn confirm(&mut self, question: &str) -> Step {
        if self.task.yes || self.ask(&format!("{question} (type 'yes' to accept): "))?.eq_ignore_ascii_case("yes") {
            return Ok(());
        }
        self.fail("*** Aborting...")
    }

    fn carry_out(&mut self) -> Step {
        match self.task.name.as_str() {
            "create" => self.create(),
            "check" | "fix" => {
                if self.check_and_tell()? {
                    Ok(())
                } else {
                    Err(Stop::Ended)
                }
            }
            "info" => self.tell_info(),
            "reshard" => self.reshard(),
            "rebalance" => self.rebalance(),
            "add-node" => self.add_node(),
            "del-node" => self.del_node(),
            "set-timeout" => self.set_timeout(),
            "call" => self.call(),
            _ => {
                self.print(args::help());
                Ok(())
            }
        }
    }
}

/// What a run or an answer led to: what is to be printed, and the run again if it waits for an answer.
pub(super) struct Outcome {
    pub lines: Vec<Line>,
    pub failed: bool,
    pub waits: Option<Box<Manager>>,
}

/// Carries out what stands behind `redis-cli --cluster`.
pub(super) fn start(words: &[Bytes], login: Options, backend: &mut dyn Backend) -> Outcome {
    match args::parse(words) {
        Err(complaint) => Outcome { lines: Line::split(Class::Error, &complaint), failed: true, waits: None },
        Ok(task) => {
            Manager { login, task, answers: Vec::new(), shown: Vec::new(), question: String::new() }.go(backend)
        }
    }
}

impl Manager {
    pub fn prompt(&self) -> &str {
        &self.question
    }

    /// Goes on with the answer to the question.
    pub fn answer(mut self, answer: &str, backend: &mut dyn Backend) -> Outcome {
        self.answers.push(Answered { question: self.question.clone(), answer: answer.to_owned() });
        self.go(backend)
    }

    fn go(mut self, backend: &mut dyn Backend) -> Outcome {
        let mut run = Run {
            net: Net::new(backend, &self.login),
            task: &self.task,
            lines: Vec::new(),
            answers: self.answers.clone(),
            unreachable: 0,
            errors: 0,
        };
        let end = run.carry_out();
        run.net.hang_up();
        let all = run.lines;
        let known = all.iter().zip(&self.shown).take_while(|(new, old)| new == old).count();
        // The question and its answer stand on the screen already, as the line that was typed.
        let typed = self.answers.last().map(|last| Line::plain(format!("{}{}", last.question, last.answer)));
        let typed = usize::from(typed.is_some() && all.get(known) == typed.as_ref());
        let lines = all[known + typed..].to_vec();
        match end {
            Ok(()) => Outcome { lines, failed: false, waits: None },
            Err(Stop::Ended) => Outcome { lines, failed: true, waits: None },
            Err(Stop::Ask(question)) => {
                (self.shown, self.question) = (all, question);
                Outcome { lines, failed: false, waits: Some(Box::new(self)) }
            }
        }
    }
}
