//! What happens to the screen, and what the screen asks of the outside.

use super::keys::Key;
use super::model::{LessonRow, Scene};
use crate::console::Line;
use crate::tutor;

/// Something happened.
pub enum Message {
    Key(Key),
    Paste(String),
    Resize(u16, u16),
    Wheel {
        column: u16,
        row: u16,
        up: bool,
    },
    Click {
        column: u16,
        row: u16,
    },
    /// Time passed, and this is what the lab looks like now.
    Looked(Box<Scene>),
    /// The lab answered. `screens`: what the terminals show as a whole, where that changed.
    Answered {
        lines: Vec<(usize, Line)>,
        effects: Vec<tutor::Effect>,
        scene: Box<Scene>,
        screens: Option<Vec<Vec<Line>>>,
    },
    /// A lesson was opened.
    Opened {
        scene: Box<Scene>,
        screens: Vec<Vec<Line>>,
        lessons: Vec<LessonRow>,
    },
    /// What is wrong with the text that is being edited: line numbers from 1, and the server's reasons.
    Faults(Vec<(usize, String)>),
    /// A text to read that was asked for.
    Page {
        title: String,
        lines: Vec<Line>,
    },
    Notice(String),
}

/// What `run` has to do, outside.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    Submit {
        terminal: usize,
        line: String,
    },
    Interrupt {
        terminal: usize,
    },
    WriteFile {
        path: String,
        text: String,
    },
    /// The text of the file being edited has changed: what would a server refuse in it?
    Check {
        path: String,
        text: String,
    },
    /// The page of a command in the atlas.
    Atlas(String),
    OpenLesson(String),
    /// The lesson after the one that is open.
    NextLesson,
    Mouse(bool),
    Repaint,
    Suspend,
    Quit,
}
