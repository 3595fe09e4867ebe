//! The loop: waits for keys, time and signals, lets `update` decide, performs what it asks for, draws what changed.
//!
//! The only part of the front end that knows crossterm, a clock or a signal. Draws only when something visible changed.

mod outside;
mod screen;
mod translate;

use super::model::Look;
use super::theme::Kind;
use super::view;
use crate::learn::Desk;
pub use outside::{Outside, Surface};
use ratatui::crossterm::event;
use screen::Screen;
use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// How often time passes in the lab.
const TICK: Duration = Duration::from_millis(200);
/// How long a signal may wait for its answer.
const WAIT: Duration = Duration::from_millis(100);

/// What the command line and the environment say about the screen.
#[derive(Clone, Debug, Default)]
pub struct Options {
    pub theme: Option<Kind>,
    pub ascii: bool,
    /// Where a panic's message goes.
    pub log: Option<PathBuf>,
}

/// Runs the lab until the learner leaves or a signal ends it.
pub fn run(desk: &mut Desk, options: &Options) -> io::Result<()> {
    let mut screen = Screen::enter(options.log.clone())?;
    let size = screen.size()?;
    let kind = options.theme.unwrap_or_else(theme_of_environment);
    let look = Look { size, kind, ascii: options.ascii || !speaks_unicode() };
    let mut outside = Outside::new(desk);
    let mut model = outside.model(look);
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
    outside.leave();
    Ok(())
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
