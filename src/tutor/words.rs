//! The `:` words, as far as the lab answers them by itself.

use super::{Effect, Response, Session, feedback, play};
use crate::check::{Mode, Shown, Typed};
use crate::console::{Class, Line, Scope, Terminal, Word, net};
use crate::lesson::plain_text;
use crate::picture::{self, Picture};

impl Session {
    /// Does what `word` asks. False: nothing changed that goals could depend on.
    pub(super) fn word(&mut self, word: Word, terminal: usize, response: &mut Response) -> bool {
        let mut said: Vec<Line> = Vec::new();
        let judged = match word {
            Word::Goals => {
                said = self.goals();
                false
            }
            Word::Hint => {
                said = self.hint();
                false
            }
            Word::Twin => {
                let accounts = crate::losses::accounts(&self.backend.snapshot(), &self.events);
                said.extend(crate::losses::report(&accounts).into_iter().map(|line| Line::new(Class::Note, line)));
                true
            }
            Word::Why(key) => {
                let lines = feedback::why(&key, &self.backend.snapshot(), &self.events);
                said.extend(lines.into_iter().map(|line| Line::new(Class::Note, line)));
                false
            }
            Word::Solve => {
                said = self.solve(response);
                false
            }
            Word::Answer(text) => {
                said = self.answered(&text);
                true
            }
            Word::Undo(steps) => {
                said = self.undo(steps);
                true
            }
            Word::Redo(steps) => {
                said = self.redo(steps);
                true
            }
            Word::Net(changes) => {
                said.extend(net::run(&changes, &mut *self.backend));
                true
            }
            Word::Time(span) => {
                self.backend.advance(span);
                let clock = feedback::clock(self.backend.now());
                said.push(Line::new(Class::Note, format!("{} passed. It is {clock}.", play::duration(span))));
                true
            }
            Word::Reset(Scope::Exercise) => {
                self.reset_exercise();
                said.push(Line::new(Class::Note, "The exercise begins again."));
                response.effects.push(Effect::Exercise(self.current));
                true
            }
            Word::Reset(Scope::Lesson) => {
                self.reset_lesson();
                response.lines.clear();
                response.effects.push(Effect::Redraw);
                response.effects.push(Effect::Exercise(0));
                return false;
            }
            Word::Orders(asked) => {
                said = self.orders(asked);
                true
            }
            Word::Policies(line) => {
                said = self.policies(&line);
                true
            }
            Word::Terminal(name) => {
                self.terminal(name, &mut said, response);
                false
            }
            Word::Atlas(name) => {
                response.effects.push(Effect::Atlas(name));
                false
            }
            Word::Show(name) => {
                match name.as_deref().map(Picture::named) {
                    Some(Some(picture)) => response.effects.push(Effect::Show(picture)),
                    Some(None) => {
                        said.push(Line::new(Class::Bad, "There is no such picture. There are:"));
                        said.extend(picture::list().into_iter().map(|line| Line::new(Class::Note, line)));
                    }
                    None => said.extend(picture::list().into_iter().map(|line| Line::new(Class::Note, line))),
                }
                false
            }
            Word::Next => {
                match self.current + 1 < self.exercises.len() {
                    true => {
                        self.enter(self.current + 1);
                        response.effects.push(Effect::Exercise(self.current));
                    }
                    false => response.effects.push(Effect::NextLesson),
                }
                false
            }
            Word::Back => {
                match self.current.checked_sub(1) {
                    Some(before) => {
                        self.enter(before);
                        response.effects.push(Effect::Exercise(before));
                    }
                    None => {
                        said.push(Line::new(Class::Note, "This is the first exercise. `:lesson` lists all lessons."))
                    }
                }
                false
            }
            Word::Edit(path) => {
                match self.backend.read_file(&path) {
                    Ok(bytes) => {
                        let text = String::from_utf8_lossy(&bytes).into_owned();
                        response.effects.push(Effect::OpenEditor { path, text });
                    }
                    Err(_) => response.effects.push(Effect::OpenEditor { path, text: String::new() }),
                }
                false
            }
            Word::Clear => {
                self.screens[terminal].clear();
                response.lines.retain(|(index, _)| *index != terminal);
                response.effects.push(Effect::Clear(terminal));
                false
            }
            Word::Lesson(name) => {
                response.effects.push(Effect::OpenLesson(name));
                false
            }
            Word::Help(word) => {
                response.effects.push(Effect::Help(word));
                false
            }
            Word::Set(name, value) => {
                response.effects.push(Effect::Set(name, value));
                false
            }
            Word::Quit => {
                response.effects.push(Effect::Quit);
                false
            }
        };
        let terminal = terminal.min(self.screens.len() - 1);
        if let Some(typed) = self.typed.last_mut() {
            typed.printed = said.iter().map(Line::text).collect::<Vec<_>>().join("\n");
        }
        self.print(terminal, said, response);
        judged
    }

    fn goals(&self) -> Vec<Line> {
        let state = &self.exercises[self.current];
        let mut lines = vec![Line::new(Class::Title, &state.title)];
        if !state.task.is_empty() {
            lines.push(Line::new(Class::Plain, plain_text(&state.task)));
        }
        for goal in &state.goals {
            let (class, mark) = match (goal.met, goal.broken) {
                (true, _) => (Class::Good, "[x] "),
                (_, true) => (Class::Bad, "[!] "),
                _ => (Class::Dim, "[ ] "),
            };
            lines.push(Line::new(class, mark).and(Class::Plain, plain_text(&goal.say)));
        }
        for question in &state.questions {
            lines.push(Line::new(Class::Plain, plain_text(&question.ask)));
            for (index, choice) in question.choices.iter().enumerate() {
                lines.push(Line::new(Class::Index, format!("  {}) ", index + 1)).and(Class::Plain, choice));
            }
        }
        lines
    }

    fn hint(&mut self) -> Vec<Line> {
        let hints = &self.lesson.exercises[self.current].hints;
        let state = &mut self.exercises[self.current];
        match hints.get(state.hints_shown.len()) {
            Some(hint) => {
                state.hints_shown.push(hint.clone());
                let count = format!("Hint {} of {}: ", state.hints_shown.len(), hints.len());
                vec![Line::new(Class::Title, count).and(Class::Note, hint)]
            }
            None => vec![Line::new(
                Class::Note,
                "That was the last hint. `:solve` shows a solution in a copy of your world.",
            )],
        }
    }

    /// Plays the first solution in a copy of the exercise's first moment.
    fn solve(&mut self, response: &mut Response) -> Vec<Line> {
        let exercise = &self.lesson.exercises[self.current];
        let start = self.progress[self.current].start.as_ref();
        let Some((mut backend, mut terminals)) =
            start.and_then(|start| Some((start.backend.fork()?, start.terminals.clone())))
        else {
            return vec![Line::new(Class::Note, "This machine cannot be copied; the last hint says what to type.")];
        };
        let mut lines = Vec::new();
        for (actor, line) in exercise.solutions[0].lines() {
            let Some(terminal) = terminals.iter_mut().find(|terminal| terminal.name() == actor) else { continue };
            let name = if self.terminals.len() > 1 { format!("{actor}  ") } else { String::new() };
            lines.push(Line::new(Class::Dim, name).and(Class::Prompt, terminal.prompt()).and(Class::Echo, &line.text));
            let submitted = terminal.submit(&line.text, &mut *backend);
            lines.extend(submitted.lines);
            match submitted.word {
                Some(Word::Time(span)) => backend.advance(span),
                Some(Word::Net(changes)) => lines.extend(net::run(&changes, &mut *backend)),
                Some(Word::Undo(steps)) => {
                    for _ in 0..steps {
                        backend.undo();
                    }
                }
                _ => {}
            }
            for terminal in &mut terminals {
                lines.extend(terminal.poll(&mut *backend));
            }
            backend.mark();
        }
        self.exercises[self.current].solution_seen = true;
        response.effects.push(Effect::ShowFuture { title: "A solution, played in a copy".into(), lines });
        vec![Line::new(Class::Note, "That was a copy. Your world is as it was: now you.")]
    }

    fn answered(&mut self, text: &str) -> Vec<Line> {
        match self.answer(text) {
            None => vec![Line::new(Class::Note, "There is no question here to answer.")],
            Some((answer, say)) => {
                // A choice may set off code itself.
                let said = answer.said.replace('`', "");
                let mut line = match answer.right {
                    true => Line::new(Class::Good, format!("`{said}`: right.")),
                    false => Line::new(Class::Bad, format!("`{said}`: no.")),
                };
                if !say.is_empty() {
                    line = line.and(Class::Note, format!(" {}", plain_text(&say)));
                } else if !answer.right {
                    line = line.and(Class::Note, " Try it and see, then answer again.");
                }
                vec![line]
            }
        }
    }

    fn undo(&mut self, steps: usize) -> Vec<Line> {
        let mut taken = Vec::new();
        // The word itself is no step; what was typed before it is.
        for _ in 0..steps {
            if self.moments.len() <= self.progress[self.current].floor || !self.backend.undo() {
                break;
            }
            let Some(moment) = self.moments.pop() else { break };
            taken.push(moment.line.clone());
            let mut now = super::session::Moment { line: moment.line.clone(), ..self.moment("") };
            now.tail = self.restore(moment);
            self.redone.push(now);
        }
        match taken.len() {
            0 => vec![Line::new(Class::Note, "There is nothing to take back in this exercise.")],
            _ => taken.iter().map(|line| Line::new(Class::Note, format!("Taken back: {line}"))).collect(),
        }
    }

    fn redo(&mut self, steps: usize) -> Vec<Line> {
        let mut done = Vec::new();
        for _ in 0..steps {
            if self.redone.is_empty() || !self.backend.redo() {
                break;
            }
            let Some(moment) = self.redone.pop() else { break };
            done.push(moment.line.clone());
            self.moments.push(super::session::Moment { line: moment.line.clone(), ..self.moment("") });
            self.restore(super::session::Moment { typed: self.typed.len(), ..moment });
        }
        match done.len() {
            0 => vec![Line::new(Class::Note, "There is nothing to do again.")],
            _ => done.iter().map(|line| Line::new(Class::Note, format!("Done again: {line}"))).collect(),
        }
    }

    /// Everything beside the world as it was; what had been typed since. Terminals opened since stay, at the shell.
    fn restore(&mut self, moment: super::session::Moment) -> Vec<Typed> {
        let extra: Vec<Terminal> = self.terminals.iter().skip(moment.terminals.len()).cloned().collect();
        self.terminals = moment.terminals;
        self.terminals.extend(extra.iter().map(|terminal| Terminal::new(terminal.name())));
        // The lab's own words stay typed: `:undo` is one of them.
        let since = self.typed.split_off(moment.typed.min(self.typed.len()));
        let (words, lines): (Vec<Typed>, Vec<Typed>) = since.into_iter().partition(|typed| typed.mode == Mode::Lab);
        self.typed.extend(words);
        self.typed.extend(moment.tail);
        self.progress[self.current].broken = moment.broken;
        self.events = self.backend.events_since(0);
        lines
    }

    fn terminal(&mut self, name: Option<String>, said: &mut Vec<Line>, response: &mut Response) {
        let names: Vec<String> = self.terminals.iter().map(|terminal| terminal.name().to_owned()).collect();
        match name {
            None => said.push(Line::new(Class::Note, format!("Terminals: {}", names.join(", ")))),
            Some(name) => match names.iter().position(|each| *each == name).or_else(|| lettered(&name, names.len())) {
                Some(index) => response.effects.push(Effect::Focus(index)),
                None if !names_a_terminal(&name) => {
                    let say = format!("A terminal is called by one word of up to {NAME_CHARS_MAX} letters and digits.");
                    said.push(Line::new(Class::Note, say));
                }
                None if names.len() >= TERMINALS_MAX => {
                    said.push(Line::new(Class::Note, "There are terminals enough. `:terminal` lists them."));
                }
                None => self.open_terminal(&name, response),
            },
        }
    }
}

/// The terminal that a letter stands for: `b` is the second.
fn lettered(name: &str, count: usize) -> Option<usize> {
    let mut letters = name.chars();
    let letter = letters.next().filter(|_| letters.next().is_none())?.to_ascii_uppercase();
    (0..count).find(|index| picture::letter(*index) == letter)
}

/// A name that fits a pane's title, and is not that of the lesson's own hidden terminals.
fn names_a_terminal(name: &str) -> bool {
    let fits = name.chars().count() <= NAME_CHARS_MAX && name.chars().all(|c| c.is_alphanumeric() || "-_".contains(c));
    fits && name != play::LESSON
}

const TERMINALS_MAX: usize = 8;
const NAME_CHARS_MAX: usize = 20;

/// A future or a replay as lines of a terminal.
pub fn lines_of(shown: &[Shown]) -> Vec<Line> {
    let lines = |each: &Shown| match each {
        Shown::Typed { prompt, text } => vec![Line::new(Class::Prompt, prompt).and(Class::Echo, text)],
        Shown::Said(text) => Line::split(Class::Plain, text),
        Shown::Note(text) => Line::split(Class::Note, text),
    };
    shown.iter().flat_map(lines).collect()
}
