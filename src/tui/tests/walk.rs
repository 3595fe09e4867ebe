//! Every lesson that a learner is promised to finish at the screen is finished there: key by key, at a learner's pace, with the
//! solutions that its author wrote down.

use super::frames::text;
use crate::backend::lesson::embedded;
use crate::base::Millis;
use crate::check::Script;
use crate::learn::{Desk, Nowhere};
use crate::lesson::{Course, Lesson};
use crate::tui::keys::{Code, Key};
use crate::tui::message::Message;
use crate::tui::model::{Look, Model};
use crate::tui::run::{Outside, Surface};
use crate::tui::theme::Kind;
use std::io;

/// What a learner takes to read an answer and to type the next line.
const PACE: Millis = Millis(3000);

/// A terminal of which only the size matters.
struct Glass((u16, u16));

impl Surface for Glass {
    fn size(&self) -> io::Result<(u16, u16)> {
        Ok(self.0)
    }
    fn mouse(&mut self, _: bool) -> io::Result<()> {
        Ok(())
    }
    fn clear(&mut self) -> io::Result<()> {
        Ok(())
    }
    fn suspend(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A learner at the screen.
struct Seat<'a> {
    outside: Outside<'a>,
    model: Model,
    glass: Glass,
}

impl Seat<'_> {
    fn press(&mut self, key: Key) {
        self.outside.tell(&mut self.model, Message::Key(key), &mut self.glass).expect("nothing here can fail");
    }

    fn wait(&mut self, span: Millis) {
        self.outside.wait(&mut self.model, span, &mut self.glass).expect("nothing here can fail");
    }

    fn solve(&mut self, script: &Script) {
        for step in &script.0 {
            self.wait(step.wait);
            for _ in 0..self.model.shells.len() {
                if self.model.scene.terminals[self.model.active].name == step.actor {
                    break;
                }
                self.press(Key::ctrl('x'));
            }
            assert_eq!(self.model.scene.terminals[self.model.active].name, step.actor, "Ctrl-X reaches every terminal");
            for line in &step.lines {
                self.wait(PACE);
                line.text.chars().for_each(|c| self.press(Key::char(c)));
                self.press(Key::of(Code::Enter));
            }
        }
    }
}

/// What went wrong on the way through a lesson.
fn walk(lesson: &Lesson, size: (u16, u16)) -> Vec<String> {
    let nowhere = Box::new(Nowhere);
    let mut desk = Desk::open(Course::bundled(), Box::new(embedded), nowhere, Some(&lesson.id)).expect("it is bundled");
    let outside = Outside::new(&mut desk);
    let model = outside.model(Look { size, kind: Kind::Dark, ascii: false });
    let mut seat = Seat { outside, model, glass: Glass(size) };
    let mut wrong = Vec::new();
    for (n, exercise) in lesson.exercises.iter().enumerate() {
        let place = format!("{} {} at {}x{}", lesson.number, exercise.id, size.0, size.1);
        seat.solve(&exercise.solutions[0]);
        let shown = text(&seat.model);
        let state = &seat.model.scene.exercises[n];
        let green = state.goals.iter().all(|goal| goal.met && !goal.broken);
        if !state.solved || !green || !shown.contains("✓ Done: ") {
            wrong.push(format!("{place} is not done:\n{shown}"));
        }
        // An empty line goes on where all is done, F4 everywhere.
        seat.press(Key::of(if n % 2 == 0 { Code::Enter } else { Code::F(4) }));
        if n + 1 < lesson.exercises.len() && seat.model.scene.current != n + 1 {
            wrong.push(format!("{place}: the next exercise does not come"));
            seat.press(Key::of(Code::F(4)));
        }
    }
    let after = &seat.model.scene.lesson.number;
    if *after == lesson.number && Course::bundled().after(&lesson.id).is_some() {
        wrong.push(format!("{} at {}x{}: its end does not lead on", lesson.number, size.0, size.1));
    }
    wrong
}

fn walk_all(size: (u16, u16)) {
    let course = Course::bundled();
    let only = std::env::var("REDLAB_LESSON").ok();
    let lessons = course.lessons().filter(|lesson| match &only {
        Some(only) => *only == lesson.number,
        None => ["2.", "3.", "4."].iter().any(|module| lesson.number.starts_with(module)),
    });
    let wrong: Vec<String> = lessons.flat_map(|lesson| walk(lesson, size)).collect();
    assert!(wrong.is_empty(), "{}\nREDLAB_LESSON=N.N walks one lesson", wrong.join("\n"));
}

#[test]
fn every_lesson_can_be_finished_on_a_small_screen() {
    walk_all((80, 24));
}

#[test]
fn every_lesson_can_be_finished_on_a_large_screen() {
    walk_all((120, 40));
}
