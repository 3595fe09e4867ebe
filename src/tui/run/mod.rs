//! The loop: waits for keys, time and signals, lets `update` decide, performs what it asks for, draws what changed.
//!
//! The only part of the front end that knows crossterm, a clock or a signal. Draws only when something visible changed.

mod screen;
mod translate;

use super::message::{Effect, Message};
use super::model::{LessonRow, Look, Model, Scene};
use super::theme::Kind;
use super::{update, view};
use crate::base::Millis;
use crate::learn::{Desk, atlas};
use crate::tutor::{self, Response};
use ratatui::crossterm::event;
use screen::Screen;
use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// How often time passes in the lab.
const TICK: Duration = Duration::from_millis(200);
/// How long a signal may wait for its answer.
const WAIT: Duration = Duration::from_millis(100);
/// Time that passed while nobody looked (a suspended laptop) does not pass in the lab.
const LEAP: Duration = Duration::from_secs(3);
/// How often what only time changed is kept.
const KEEP: Duration = Duration::from_secs(5);

/// What the command line and the environment say about the screen.
#[derive(Clone, Debug, Default)]
pub struct Options {
    pub theme: Option<Kind>,
    pub ascii: bool,
    /// Where a panic's message goes.
    pub log: Option<PathBuf>,
}

/// Runs the lab until the learner leaves or a signal ends it; returns where they were, for the parting line.
pub fn run(desk: &mut Desk, options: &Options) -> io::Result<()> {
    let mut screen = Screen::enter(options.log.clone())?;
    let size = screen.size()?;
    let kind = options.theme.unwrap_or_else(theme_of_environment);
    let look = Look { size, kind, ascii: options.ascii || !speaks_unicode() };
    let mut model = Model::new(look, Scene::of(desk.session(), None), screens(desk), lesson_rows(desk));
    super::update::show_exercise(&mut model);
    let mut outside = Outside { desk, passed: Instant::now(), kept: Instant::now(), quit: false };
    let mut dirty = true;
    let mut next_tick = Instant::now() + TICK;
    loop {
        if dirty {
            screen.draw(|frame| view(&model, frame))?;
            dirty = false;
            // For the test that a panic gives the terminal back.
            if cfg!(debug_assertions) && std::env::var_os("REDLAB_TEST_PANIC").is_some() {
                panic!("asked for by REDLAB_TEST_PANIC");
            }
        }
        if screen.ended() || outside.quit {
            break;
        }
        let wait = next_tick.saturating_duration_since(Instant::now()).min(WAIT);
        if event::poll(wait)? {
            // All that is there at once: a resize storm or fast typing is one frame.
            loop {
                if let Some(message) = translate::message(event::read()?) {
                    dirty = true;
                    outside.tell(&mut model, message, &mut screen)?;
                }
                if outside.quit || !event::poll(Duration::ZERO)? {
                    break;
                }
            }
        }
        if Instant::now() >= next_tick {
            next_tick = Instant::now() + TICK;
            dirty |= outside.tick(&mut model, &mut screen)?;
        }
    }
    outside.desk.keep();
    Ok(())
}

/// The world outside of the model: the desk and the clock.
struct Outside<'a> {
    desk: &'a mut Desk,
    /// Until when real time was handed to the lab.
    passed: Instant,
    kept: Instant,
    quit: bool,
}

impl Outside<'_> {
    fn tell(&mut self, model: &mut Model, message: Message, screen: &mut Screen) -> io::Result<()> {
        for effect in update(model, message) {
            self.perform(model, effect, screen)?;
        }
        Ok(())
    }

    fn perform(&mut self, model: &mut Model, effect: Effect, screen: &mut Screen) -> io::Result<()> {
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

    fn answer(&mut self, model: &mut Model, response: Response, screen: &mut Screen) -> io::Result<()> {
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

    fn opened(&mut self, model: &mut Model, went: Result<(), String>, screen: &mut Screen) -> io::Result<()> {
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

    /// Time passed. True if the screen has to be drawn for it.
    fn tick(&mut self, model: &mut Model, screen: &mut Screen) -> io::Result<bool> {
        let response = self.pass();
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

/// NO_COLOR, then what the terminal says of its ground in COLORFGBG (`15;0`: light on black), else dark.
fn theme_of_environment() -> Kind {
    if std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty()) {
        return Kind::Mono;
    }
    let ground = std::env::var("COLORFGBG").ok().and_then(|value| value.rsplit(';').next()?.parse::<u8>().ok());
    if matches!(ground, Some(7 | 9..=15)) { Kind::Light } else { Kind::Dark }
}

/// False if the locale names another character set, or the terminal is the Linux console, whose font lacks the symbols.
fn speaks_unicode() -> bool {
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"]
        .iter()
        .find_map(|name| std::env::var(name).ok().filter(|value| !value.is_empty()));
    let utf8 = locale.is_none_or(|name| name.to_ascii_lowercase().replace('-', "").contains("utf8"));
    utf8 && std::env::var("TERM").map_or(true, |term| term != "linux")
}
