//! A learner at their desk: the course, the lesson that is open, and what is kept of it.
//!
//! Both front ends of `redlab learn` sit on this. Whatever the learner did is kept before its answer is shown, so that `kill -9`
//! of the program loses no command that was answered.

pub mod atlas;

use crate::base::Millis;
use crate::lesson::{self, Course, Lesson};
use crate::port::Backend;
use crate::tutor::{Response, Saved, Session};
use std::sync::Arc;

/// Makes the machine that a lesson's world describes.
pub type Make = Box<dyn Fn(&lesson::World) -> Box<dyn Backend>>;

/// Where progress is kept: a port, so that front ends run without a disk too.
pub trait Shelf {
    /// What was kept of this lesson, if it is still the same lesson.
    fn load(&self, lesson: &Lesson) -> Option<Saved>;
    /// Keeps it. Err: a sentence for the learner, with the path and what to do.
    fn keep(&mut self, session: &Session) -> Result<(), String>;
    /// The id of the lesson that the learner was in.
    fn here(&self) -> Option<String>;
    /// How many exercises of this lesson are solved.
    fn solved(&self, lesson: &Lesson) -> usize;
}

/// Keeps nothing beyond the process.
pub struct Nowhere;

impl Shelf for Nowhere {
    fn load(&self, _: &Lesson) -> Option<Saved> {
        None
    }

    fn keep(&mut self, _: &Session) -> Result<(), String> {
        Ok(())
    }

    fn here(&self) -> Option<String> {
        None
    }

    fn solved(&self, _: &Lesson) -> usize {
        0
    }
}

pub struct Desk {
    pub course: Course,
    make: Make,
    shelf: Box<dyn Shelf>,
    session: Session,
    /// The last trouble with keeping, until it is told.
    trouble: Option<String>,
    told: bool,
}

impl Desk {
    /// Opens `wanted` (an id or a number), else the lesson where the learner was, else the first one. Err: a sentence.
    pub fn open(course: Course, make: Make, shelf: Box<dyn Shelf>, wanted: Option<&str>) -> Result<Desk, String> {
        let lesson = match wanted {
            Some(name) => course.lesson(name).cloned().ok_or_else(|| no_such(&course, name))?,
            None => shelf
                .here()
                .and_then(|id| course.lesson(&id).cloned())
                .or_else(|| course.lessons().next().cloned())
                .ok_or("This course has no lessons.")?,
        };
        let session = Session::open(&lesson, &*make, shelf.load(&lesson).as_ref());
        let mut desk = Desk { course, make, shelf, session, trouble: None, told: false };
        desk.keep();
        Ok(desk)
    }

    pub fn session(&self) -> &Session {
        &self.session
    }

    pub fn lesson(&self) -> &Arc<Lesson> {
        self.session.lesson()
    }

    pub fn submit(&mut self, terminal: usize, line: &str) -> Response {
        let response = self.session.submit(terminal, line);
        self.keep();
        response
    }

    pub fn interrupt(&mut self, terminal: usize) -> Response {
        let response = self.session.interrupt(terminal);
        self.keep();
        response
    }

    pub fn write_file(&mut self, path: &str, text: &str) -> Response {
        let response = self.session.write_file(path, text);
        self.keep();
        response
    }

    /// Real time that passed.
    pub fn advance(&mut self, span: Millis) -> Response {
        self.session.advance(span)
    }

    /// Goes to another lesson, by id or number. Err: a sentence; the old one stays open.
    pub fn go_to(&mut self, name: &str) -> Result<(), String> {
        self.keep();
        let lesson = self.course.lesson(name).cloned().ok_or_else(|| no_such(&self.course, name))?;
        self.session = Session::open(&lesson, &*self.make, self.shelf.load(&lesson).as_ref());
        self.keep();
        Ok(())
    }

    /// Goes to the lesson after this one. Err: it was the last.
    pub fn next_lesson(&mut self) -> Result<(), String> {
        let id = self.lesson().id.clone();
        match self.course.after(&id).map(|lesson| lesson.id.clone()) {
            Some(next) => self.go_to(&next),
            None => Err("That was the last lesson of the course. `:lesson` lists them all.".to_owned()),
        }
    }

    /// How many exercises of `lesson` are solved.
    pub fn solved(&self, lesson: &Lesson) -> usize {
        if lesson.id == self.lesson().id {
            return self.session.exercises().iter().filter(|exercise| exercise.solved).count();
        }
        self.shelf.solved(lesson)
    }

    /// Writes down what there is.
    pub fn keep(&mut self) {
        match self.shelf.keep(&self.session) {
            Ok(()) => self.told = false,
            Err(trouble) => self.trouble = Some(trouble),
        }
    }

    /// What went wrong with keeping, told once until it works again.
    pub fn trouble(&mut self) -> Option<String> {
        let trouble = self.trouble.take()?;
        (!std::mem::replace(&mut self.told, true)).then_some(trouble)
    }

    /// Where the learner is, in words: `1.2, exercise 3`.
    pub fn place(&self) -> String {
        format!("{} {}, exercise {}", self.lesson().number, self.lesson().title, self.session.current() + 1)
    }
}

fn no_such(course: &Course, name: &str) -> String {
    let known: Vec<&str> = course.lessons().map(|lesson| lesson.number.as_str()).collect();
    format!("There is no lesson `{}`. The lessons: {}.", crate::console::line::escaped(name), known.join(", "))
}
