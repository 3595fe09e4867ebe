//! Every lesson can be finished, at the screen, small and large, and in plain lines: at a learner's pace, with the solutions that
//! its author wrote down.
//!
//! `REDLAB_LESSON=5.6` walks one lesson, `REDLAB_LESSON=5` a module, `REDLAB_LESSON=all` all of them, which CI does with fast
//! code: a debug build takes half a minute for a lesson that moves thousands of slots. Without it a lesson of each kind is walked.

use ratatui::Terminal;
use ratatui::backend::TestBackend;
use redlab::backend::lesson::embedded;
use redlab::base::Millis;
use redlab::check::Script;
use redlab::learn::{Desk, Nowhere};
use redlab::lesson::{Course, Lesson};
use redlab::plain;
use redlab::tui::keys::{Code, Key};
use redlab::tui::message::Message;
use redlab::tui::model::{Look, Model};
use redlab::tui::run::{Outside, Surface};
use redlab::tui::theme::Kind;
use redlab::tui::view;
use std::io;
use std::sync::Arc;

/// What a learner takes to read an answer and to type the next line.
const PACE: Millis = Millis(3000);
/// What is walked without REDLAB_LESSON.
const USUAL: [&str; 5] = ["1.2", "2.1", "3.2", "4.2", "5.1"];

fn lessons(course: &Course) -> impl Iterator<Item = &Arc<Lesson>> {
    let only = std::env::var("REDLAB_LESSON").ok();
    let wanted: Vec<String> = match only {
        Some(only) => vec![only],
        None => USUAL.map(String::from).to_vec(),
    };
    let is = move |lesson: &&Arc<Lesson>| {
        let module = lesson.number.split('.').next().unwrap_or_default();
        wanted.iter().any(|it| it == "all" || *it == lesson.number || it == module)
    };
    course.lessons().filter(is)
}

fn desk(lesson: &Lesson) -> Desk {
    Desk::open(Course::bundled(), Box::new(embedded), Box::new(Nowhere), Some(&lesson.id)).expect("it is bundled")
}

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

    /// The screen as text.
    fn shown(&self) -> String {
        let (columns, rows) = self.glass.0;
        let mut terminal = Terminal::new(TestBackend::new(columns, rows)).expect("memory is a terminal");
        terminal.draw(|frame| view(&self.model, frame)).expect("memory can be drawn on");
        let buffer = terminal.backend().buffer();
        let row = |y| (0..columns).map(|x| buffer[(x, y)].symbol()).collect::<String>().trim_end().to_owned();
        (0..rows).map(row).collect::<Vec<_>>().join("\n")
    }
}

/// What went wrong on the way through a lesson at the screen.
fn walk(lesson: &Lesson, size: (u16, u16)) -> Vec<String> {
    let mut desk = desk(lesson);
    let outside = Outside::new(&mut desk);
    let model = outside.model(Look { size, kind: Kind::Dark, ascii: false });
    let mut seat = Seat { outside, model, glass: Glass(size) };
    let mut wrong = Vec::new();
    for (n, exercise) in lesson.exercises.iter().enumerate() {
        let place = format!("{} {} at {}x{}", lesson.number, exercise.id, size.0, size.1);
        seat.solve(&exercise.solutions[0]);
        let shown = seat.shown();
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
    let wrong: Vec<String> = lessons(&course).flat_map(|lesson| walk(lesson, size)).collect();
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

/// All lines that do a lesson, one exercise after the other.
fn lines_of(lesson: &Lesson) -> String {
    let first = lesson.world.terminals.first().map_or("", |terminal| terminal.name.as_str());
    let mut at = first.to_owned();
    let mut lines = Vec::new();
    for exercise in &lesson.exercises {
        for step in &exercise.solutions[0].0 {
            if step.wait > Millis::ZERO {
                lines.push(format!(":time +{}s", step.wait.secs()));
            }
            if step.actor != at {
                lines.push(format!(":terminal {}", step.actor));
                at = step.actor.clone();
            }
            lines.extend(step.lines.iter().map(|line| line.text.clone()));
        }
        lines.push(":next".to_owned());
    }
    lines.iter().map(|line| format!("{line}\n")).collect()
}

#[test]
fn every_lesson_can_be_finished_in_plain_lines() {
    let course = Course::bundled();
    let mut wrong = Vec::new();
    for lesson in lessons(&course) {
        let printed = plain::told(&mut desk(lesson), &lines_of(lesson), PACE).expect("memory can be written to");
        for (n, exercise) in lesson.exercises.iter().enumerate() {
            if !printed.contains(&format!("Exercise {} done: ", n + 1)) {
                wrong.push(format!("{} {} is not done:\n{printed}", lesson.number, exercise.id));
            }
        }
        let on = if course.after(&lesson.id).is_some() { "\nLesson " } else { "That was the last lesson" };
        if !printed.contains("The lesson is done. `:next` opens the next one.") || !printed.contains(on) {
            wrong.push(format!("{} does not end:\n{printed}", lesson.number));
        }
    }
    assert!(wrong.is_empty(), "{}\nREDLAB_LESSON=N.N walks one lesson", wrong.join("\n"));
}
