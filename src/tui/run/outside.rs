//! The world outside of the model: the desk, the clock, and what effects ask of the terminal.

use super::super::message::{Effect, Message};
use super::super::model::{LessonRow, Look, Model, Scene};
use super::super::update::{self, update};
use crate::base::Millis;
use crate::learn::{Desk, atlas};
use crate::tutor::{self, Response};
use std::io;
use std::time::{Duration, Instant};

/// Time that passed while nobody looked (a suspended laptop) does not pass in the lab.
const LEAP: Duration = Duration::from_secs(3);
/// How often what only time changed is kept.
const KEEP: Duration = Duration::from_secs(5);

/// The terminal, as far as effects touch it.
pub trait Surface {
    /// Columns and rows.
    fn size(&self) -> io::Result<(u16, u16)>;
    /// Whether the mouse is reported.
    fn mouse(&mut self, on: bool) -> io::Result<()>;
    /// The next frame is drawn from nothing.
    fn clear(&mut self) -> io::Result<()>;
    /// Back to the shell that started us, until it says `fg`.
    fn suspend(&mut self) -> io::Result<()>;
}

/// Performs effects, lets time pass, and tells the model what came of it.
pub struct Outside<'a> {
    desk: &'a mut Desk,
    /// Until when real time was handed to the lab.
    passed: Instant,
    kept: Instant,
    pub quit: bool,
}

impl<'a> Outside<'a> {
    pub fn new(desk: &'a mut Desk) -> Outside<'a> {
        Outside { desk, passed: Instant::now(), kept: Instant::now(), quit: false }
    }

    /// The screen's first moment: the lesson that is open, at its current exercise.
    pub fn model(&self, look: Look) -> Model {
        let desk = &*self.desk;
        let mut model = Model::new(look, Scene::of(desk.session(), None), screens(desk), lesson_rows(desk));
        update::show_exercise(&mut model);
        model
    }

    /// Keeps what there is, at the end.
    pub fn leave(&mut self) {
        self.desk.keep();
    }

    pub fn tell(&mut self, model: &mut Model, message: Message, screen: &mut dyn Surface) -> io::Result<()> {
        for effect in update(model, message) {
            self.perform(model, effect, screen)?;
        }
        Ok(())
    }

    fn perform(&mut self, model: &mut Model, effect: Effect, screen: &mut dyn Surface) -> io::Result<()> {
        match effect {
            Effect::Submit { terminal, line } => {
                let late = self.pass();
                let mut response = self.desk.submit(terminal, &line);
                response.lines.splice(0..0, late.lines);
                self.answer(model, response, screen)?;
            }
            Effect::Interrupt { terminal } => {
                let response = self.desk.interrupt(terminal);
                self.answer(model, response, screen)?;
            }
            Effect::WriteFile { path, text } => {
                let response = self.desk.write_file(&path, &text);
                self.answer(model, response, screen)?;
            }
            Effect::Check { path, text } => {
                let faults = self.desk.session().faults(&path, &text);
                self.tell(model, Message::Faults(faults), screen)?;
            }
            Effect::Atlas(name) => {
                let message = match atlas::page(self.desk, &name) {
                    Some((title, lines)) => Message::Page { title, lines },
                    None => Message::Notice(format!("There is no command or group `{name}`; `:atlas` lists all.")),
                };
                self.tell(model, message, screen)?;
            }
            Effect::OpenLesson(name) => {
                let went = self.desk.go_to(&name);
                self.opened(model, went, screen)?;
            }
            Effect::NextLesson => {
                let went = self.desk.next_lesson();
                self.opened(model, went, screen)?;
            }
            Effect::Mouse(on) => screen.mouse(on)?,
            Effect::Repaint => screen.clear()?,
            Effect::Suspend => {
                self.desk.keep();
                screen.suspend()?;
                self.passed = Instant::now();
                let (columns, rows) = screen.size()?;
                self.tell(model, Message::Resize(columns, rows), screen)?;
            }
            Effect::Quit => self.quit = true,
        }
        Ok(())
    }

    fn answer(&mut self, model: &mut Model, response: Response, screen: &mut dyn Surface) -> io::Result<()> {
        let whole = response.effects.contains(&tutor::Effect::Redraw);
        let message = Message::Answered {
            lines: response.lines,
            effects: response.effects,
            scene: Box::new(Scene::of(self.desk.session(), Some(&model.scene))),
            screens: whole.then(|| screens(self.desk)),
        };
        self.tell(model, message, screen)?;
        if let Some(trouble) = self.desk.trouble() {
            self.tell(model, Message::Notice(trouble), screen)?;
        }
        Ok(())
    }

    fn opened(&mut self, model: &mut Model, went: Result<(), String>, screen: &mut dyn Surface) -> io::Result<()> {
        let message = match went {
            Ok(()) => Message::Opened {
                scene: Box::new(Scene::of(self.desk.session(), None)),
                screens: screens(self.desk),
                lessons: lesson_rows(self.desk),
            },
            Err(why) => Message::Notice(why),
        };
        self.passed = Instant::now();
        self.tell(model, message, screen)
    }

    /// Hands the time that passed since the last call to the lab.
    fn pass(&mut self) -> Response {
        let span = self.passed.elapsed().min(LEAP);
        self.passed = Instant::now();
        self.desk.advance(Millis(u64::try_from(span.as_millis()).unwrap_or(0)))
    }

    /// Real time passed. True if the screen has to be drawn for it.
    pub fn tick(&mut self, model: &mut Model, screen: &mut dyn Surface) -> io::Result<bool> {
        let response = self.pass();
        self.later(model, response, screen)
    }

    /// `span` passes in the lab, whatever the clock says.
    pub fn wait(&mut self, model: &mut Model, span: Millis, screen: &mut dyn Surface) -> io::Result<bool> {
        let response = self.desk.advance(span);
        self.later(model, response, screen)
    }

    fn later(&mut self, model: &mut Model, response: Response, screen: &mut dyn Surface) -> io::Result<bool> {
        if self.kept.elapsed() > KEEP {
            self.kept = Instant::now();
            self.desk.keep();
        }
        if !response.lines.is_empty() || !response.effects.is_empty() {
            self.answer(model, response, screen)?;
            return Ok(true);
        }
        let scene = Scene::of(self.desk.session(), Some(&model.scene));
        let old = &model.scene;
        let seen = scene.world.now.secs() != old.world.now.secs()
            || scene.world.instances != old.world.instances
            || scene.exercises != old.exercises
            || scene.terminals != old.terminals;
        if seen {
            self.tell(model, Message::Looked(Box::new(scene)), screen)?;
        }
        Ok(seen)
    }
}

fn screens(desk: &Desk) -> Vec<Vec<crate::console::Line>> {
    (0..desk.session().terminals().len()).map(|i| desk.session().screen(i).to_vec()).collect()
}

fn lesson_rows(desk: &Desk) -> Vec<LessonRow> {
    desk.course
        .lessons()
        .map(|lesson| LessonRow {
            id: lesson.id.clone(),
            number: lesson.number.clone(),
            title: lesson.title.clone(),
            module: lesson.module.clone(),
            minutes: lesson.minutes,
            solved: desk.solved(lesson),
            exercises: lesson.exercises.len(),
        })
        .collect()
}
