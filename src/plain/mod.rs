//! The lab as plain lines: for screen readers, pipes and terminals that can do nothing else.
//!
//! Only ever appends; draws no boxes, uses no colour and no spinner. What the screen shows as ticks and panes is said in
//! sentences, choices are numbered, and every word of the lab works as in the terminal UI. With a terminal, lines are read by
//! rustyline; from a pipe, each line of input is a line typed (and real time does not pass, so that runs repeat exactly).

mod edit;
mod reader;
mod say;
#[cfg(test)]
mod tests;

use crate::base::Millis;
use crate::console::line::escaped;
use crate::console::{self, Class};
use crate::learn::{Desk, atlas};
use crate::tutor::{Effect, ExerciseState, Response};
use edit::{Sheet, Turn};
use reader::{Read, Reader};
use std::io::{self, Write};
use std::time::Instant;

/// Runs until the learner leaves or the input ends. `terminal`: stdin is one.
pub fn run(desk: &mut Desk, terminal: bool) -> io::Result<()> {
    let mut plain = Plain::new(io::stdout(), Reader::new(terminal)?, terminal);
    plain.begin(desk)?;
    while !plain.quit {
        plain.turn(desk)?;
    }
    desk.keep();
    plain.line(&format!("You leave at {}. Everything is kept.", desk.place()))
}

/// What is printed while `input` is typed by somebody who takes `pace` for each line.
///
/// # Errors
/// None in practice: it is written to memory.
pub fn told(desk: &mut Desk, input: &str, pace: Millis) -> io::Result<String> {
    let reader = Reader::Pipe(Box::new(io::Cursor::new(input.to_owned())));
    let mut plain = Plain::new(Vec::new(), reader, false);
    plain.begin(desk)?;
    while !plain.quit {
        let late = desk.advance(pace);
        plain.tell(desk, late)?;
        plain.turn(desk)?;
    }
    String::from_utf8(plain.out).map_err(io::Error::other)
}

struct Plain<W> {
    out: W,
    reader: Reader,
    /// Somebody sits at a terminal: time passes, and what they typed is on their screen already.
    live: bool,
    active: usize,
    passed: Instant,
    /// The exercises as they were last told.
    before: Vec<ExerciseState>,
    leaving: bool,
    quit: bool,
}

impl<W: Write> Plain<W> {
    fn new(out: W, reader: Reader, live: bool) -> Plain<W> {
        Plain { out, reader, live, active: 0, passed: Instant::now(), before: Vec::new(), leaving: false, quit: false }
    }

    /// Prints a line. The one gate to the terminal: no control sequence of a value, a lesson or a name passes.
    fn line(&mut self, text: &str) -> io::Result<()> {
        writeln!(self.out, "{}", escaped(text.trim_end()))
    }

    fn lines(&mut self, lines: impl IntoIterator<Item = String>) -> io::Result<()> {
        lines.into_iter().try_for_each(|line| self.line(&line))
    }

    /// Opens the lesson that is on the desk: its title, its prose up to the current exercise, the exercise.
    fn begin(&mut self, desk: &Desk) -> io::Result<()> {
        let lesson = desk.lesson().clone();
        self.active = 0;
        self.line(&format!("Lesson {}: {}. Module: {}.", lesson.number, lesson.title, lesson.module))?;
        self.line(
            "Type a command, or a word of the lab: `:help` lists them, `:goals` repeats the goals, `:quit` leaves.",
        )?;
        self.line("")?;
        let resumed: Vec<String> = desk.session().screen(0).iter().rev().take(10).map(console::Line::text).collect();
        self.exercise(desk)?;
        if !resumed.is_empty() {
            self.line("Your terminal shows, last lines:")?;
            self.lines(resumed.into_iter().rev())?;
        }
        self.before = desk.session().exercises().to_vec();
        Ok(())
    }

    /// The prose that leads to the current exercise, and the exercise.
    fn exercise(&mut self, desk: &Desk) -> io::Result<()> {
        let session = desk.session();
        self.lines(say::prose_to(session.lesson(), session.current()))?;
        if let Some(exercise) = session.exercises().get(session.current()) {
            self.lines(say::exercise(exercise, session.current(), session.exercises().len()))?;
        }
        Ok(())
    }

    /// One line of input and all that comes of it.
    fn turn(&mut self, desk: &mut Desk) -> io::Result<()> {
        let terminals = desk.session().terminals();
        let busy = terminals.get(self.active).is_some_and(console::Terminal::busy);
        let asks = terminals.get(self.active).is_some_and(console::Terminal::asks);
        let prompt = match terminals.get(self.active) {
            Some(_) if busy => "(waiting; Enter looks again, Ctrl-C stops it) ".to_owned(),
            Some(terminal) if terminals.len() > 1 => format!("[{}] {}", terminal.name(), terminal.prompt()),
            Some(terminal) => terminal.prompt(),
            None => "> ".to_owned(),
        };
        self.out.flush()?;
        let leaving = std::mem::take(&mut self.leaving);
        match self.reader.line(&prompt)? {
            Read::Line(line) => {
                let late = self.pass(desk);
                self.tell(desk, late)?;
                if line.trim().is_empty() {
                    return self.empty(desk, busy);
                }
                let response = desk.submit(self.active, &line);
                self.tell(desk, response)
            }
            Read::Interrupt if busy || asks => self.interrupt(desk),
            Read::End if busy && self.live => self.interrupt(desk),
            Read::Interrupt if leaving => {
                self.quit = true;
                Ok(())
            }
            Read::Interrupt => {
                self.leaving = true;
                self.line("Ctrl-C once more leaves the lab. Everything is kept.")
            }
            Read::End if self.live && !self.at_shell(desk) => {
                let response = desk.submit(self.active, "exit");
                self.tell(desk, response)
            }
            Read::End => {
                self.quit = true;
                Ok(())
            }
        }
    }

    fn interrupt(&mut self, desk: &mut Desk) -> io::Result<()> {
        let response = desk.interrupt(self.active);
        self.tell(desk, response)
    }

    fn at_shell(&self, desk: &Desk) -> bool {
        desk.session().terminals().get(self.active).is_none_or(|terminal| terminal.prompt().starts_with('$'))
    }

    /// An empty line: goes on if the exercise is done.
    fn empty(&mut self, desk: &mut Desk, busy: bool) -> io::Result<()> {
        let solved = desk.session().exercises().get(desk.session().current()).is_some_and(|exercise| exercise.solved);
        if solved && !busy && self.live {
            let response = desk.submit(self.active, ":next");
            return self.tell(desk, response);
        }
        Ok(())
    }

    fn pass(&mut self, desk: &mut Desk) -> Response {
        let span = self.passed.elapsed();
        self.passed = Instant::now();
        if !self.live {
            return Response::default();
        }
        desk.advance(Millis(u64::try_from(span.as_millis()).unwrap_or(0)))
    }

    /// Says what came of something: the lines, then what changed in the goals, then what the lab has to do.
    fn tell(&mut self, desk: &mut Desk, response: Response) -> io::Result<()> {
        for (terminal, line) in &response.lines {
            let typed = line.0.first().is_some_and(|span| span.class == Class::Prompt)
                && line.0.iter().any(|s| s.class == Class::Echo);
            if typed && self.live && *terminal == self.active {
                continue;
            }
            let who = desk.session().terminals().get(*terminal).map(|terminal| terminal.name().to_owned());
            match who.filter(|_| *terminal != self.active) {
                Some(who) => self.line(&format!("[{who}] {}", line.text()))?,
                None => self.line(&line.text())?,
            }
        }
        let session = desk.session();
        // An exercise that begins is told as a whole, with the goals that are met already.
        let begins = response.effects.iter().find_map(|effect| match effect {
            Effect::Exercise(exercise) => Some(*exercise),
            _ => None,
        });
        let changes = say::changes(&self.before, session.exercises(), session.current(), begins);
        self.before = session.exercises().to_vec();
        self.lines(changes)?;
        for effect in response.effects {
            self.perform(desk, effect)?;
        }
        if let Some(trouble) = desk.trouble() {
            self.line(&trouble)?;
        }
        Ok(())
    }

    fn perform(&mut self, desk: &mut Desk, effect: Effect) -> io::Result<()> {
        match effect {
            Effect::Solved(_) | Effect::Clear(_) => Ok(()),
            Effect::LessonDone => {
                let session = desk.session();
                self.lines(say::prose_to(session.lesson(), session.exercises().len()))?;
                self.line("The lesson is done. `:next` opens the next one.")
            }
            Effect::Exercise(_) => self.exercise(desk),
            Effect::ShowFuture { title, lines } => {
                self.line(&format!("{title}:"))?;
                self.lines(lines.iter().map(console::Line::text).collect::<Vec<_>>())?;
                self.line("End of that.")
            }
            Effect::OpenEditor { path, text } => self.edit(desk, &path, &text),
            Effect::Focus(terminal) => {
                self.active = terminal;
                let name = desk.session().terminals().get(terminal).map_or(String::new(), |t| t.name().to_owned());
                self.line(&format!("You are at terminal {name}."))
            }
            Effect::Redraw => self.line("The world is as it was then."),
            Effect::Atlas(None) => {
                self.lines(atlas::groups().iter().map(console::Line::text).collect::<Vec<_>>())?;
                self.line("`:atlas @string` lists a group, `:atlas GET` tells of a command.")
            }
            Effect::Atlas(Some(name)) => match atlas::page(desk, &name) {
                Some((title, lines)) => {
                    self.line(&format!("{title}:"))?;
                    self.lines(lines.iter().map(console::Line::text).collect::<Vec<_>>())
                }
                None => self.line(&format!("There is no command or group `{name}`.")),
            },
            Effect::Show(picture) => {
                let words = desk.session().picture_words(picture, self.active);
                self.lines(words)
            }
            Effect::OpenLesson(Some(name)) => {
                let went = desk.go_to(&name);
                self.arrive(desk, went)
            }
            Effect::OpenLesson(None) => self.lesson_list(desk),
            Effect::NextLesson => {
                let went = desk.next_lesson();
                self.arrive(desk, went)
            }
            Effect::Help(word) => self.lines(say::help(word.as_deref())),
            Effect::Set(..) => self.line("There is nothing to set in plain mode."),
            Effect::Quit => {
                self.quit = true;
                Ok(())
            }
        }
    }

    fn arrive(&mut self, desk: &Desk, went: Result<(), String>) -> io::Result<()> {
        match went {
            Ok(()) => self.begin(desk),
            Err(why) => self.line(&why),
        }
    }

    fn lesson_list(&mut self, desk: &Desk) -> io::Result<()> {
        let here = desk.lesson().id.clone();
        let rows: Vec<String> = desk
            .course
            .lessons()
            .map(|lesson| {
                let (solved, total) = (desk.solved(lesson), lesson.exercises.len());
                let state = match solved {
                    n if total > 0 && n >= total => "done".to_owned(),
                    n => format!("{n} of {total} exercises done"),
                };
                let you = if lesson.id == here { ", you are here" } else { "" };
                format!("{}: {} ({}), {state}{you}.", lesson.number, lesson.title, lesson.module)
            })
            .collect();
        self.lines(rows)?;
        self.line("`:lesson` and a number opens one.")
    }

    /// A file, line by line: shown with its numbers, changed by lines, saved by a dot.
    fn edit(&mut self, desk: &mut Desk, path: &str, text: &str) -> io::Result<()> {
        let mut sheet = Sheet::new(path, text);
        self.lines(sheet.listing())?;
        self.line(edit::HOW)?;
        loop {
            self.out.flush()?;
            match self.reader.line("")? {
                Read::Line(line) => match sheet.take(&line) {
                    Turn::Say(lines) => {
                        self.lines(lines)?;
                        self.faults(desk, &sheet)?;
                    }
                    Turn::Save => break,
                    Turn::Leave => return self.line("Left as it was."),
                },
                Read::Interrupt | Read::End => return self.line("Left as it was."),
            }
        }
        self.faults(desk, &sheet)?;
        let response = desk.write_file(path, &sheet.text());
        self.line(&format!("Saved {path}."))?;
        self.tell(desk, response)
    }

    /// What a server would refuse in the file as it is now.
    fn faults(&mut self, desk: &Desk, sheet: &Sheet) -> io::Result<()> {
        let faults = desk.session().faults(&sheet.path, &sheet.text());
        self.lines(faults.iter().map(|(line, why)| format!("A server would refuse line {line}: {why}.")))
    }
}
