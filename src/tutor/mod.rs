//! The learner in a lesson: terminals, exercises, feedback, and what is kept to resume.
//!
//! A session is fed with what happens at the keyboard and with time that passed; everything else follows from the lesson and
//! from that, so what is saved is just that: replaying the entries gives the same screen, the same world and the same
//! progress, after a crash of the program too.

mod feedback;
mod judge;
mod orders;
pub mod play;
mod policies;
mod session;
mod view;
mod words;

pub use orders::Compared;
pub use session::Session;
pub use view::View;
pub use words::lines_of;

use crate::base::Millis;
use crate::check::Shown;
use crate::console::Line;
use crate::lesson::Inline;
use crate::picture::Picture;

/// What an exercise looks like to the learner at this moment.
#[derive(Clone, Debug, PartialEq)]
pub struct ExerciseState {
    pub id: String,
    pub title: String,
    pub task: Vec<Inline>,
    pub goals: Vec<GoalState>,
    pub questions: Vec<QuestionState>,
    /// At most one message at a time.
    pub feedback: Option<Feedback>,
    pub hints_shown: Vec<String>,
    pub hints_total: usize,
    pub solved: bool,
    /// The solution was played; shown in the summary.
    pub solution_seen: bool,
    pub started: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub struct GoalState {
    pub say: Vec<Inline>,
    pub met: bool,
    /// It stays met, whatever comes.
    pub latched: bool,
    /// An `always` goal that was broken.
    pub broken: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub struct QuestionState {
    pub id: String,
    pub ask: Vec<Inline>,
    pub choices: Vec<String>,
    pub said: Option<String>,
    pub right: Option<bool>,
}

/// Why the current exercise is not done yet, in a sentence or two.
#[derive(Clone, Debug, PartialEq)]
pub struct Feedback {
    pub tone: Tone,
    pub say: Vec<Inline>,
    /// The goal that it is about.
    pub goal: Option<usize>,
    /// The future that failed, to be watched.
    pub future: Vec<Shown>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Tone {
    /// A goal that had to hold all the time was broken.
    Broken,
    /// A known mistake, or a cause found in the history.
    Wrong,
    /// Not there yet.
    Missing,
    Solved,
}

/// What came of one thing that the learner did.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Response {
    /// New lines, each with the terminal they belong to. What the learner typed comes first, with its prompt.
    pub lines: Vec<(usize, Line)>,
    pub effects: Vec<Effect>,
}

/// What a front end has to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    Solved(usize),
    LessonDone,
    /// Open the editor; hand the result to `Session::write_file`.
    OpenEditor {
        path: String,
        text: String,
    },
    /// A future that failed, or a solution played in a copy of the world.
    ShowFuture {
        title: String,
        lines: Vec<Line>,
    },
    /// The learner went to another exercise.
    Exercise(usize),
    /// Terminals were added, or the focus moved to this one.
    Focus(usize),
    /// Wipe this terminal's screen.
    Clear(usize),
    /// The screens changed as a whole (undo, redo, reset): draw them from `Session::screen`.
    Redraw,
    /// The command atlas: the page of a command or a group; None: the list.
    Atlas(Option<String>),
    /// Show this picture.
    Show(Picture),
    OpenLesson(Option<String>),
    /// The lesson is at its end and the learner wants to go on.
    NextLesson,
    Help(Option<String>),
    Set(String, String),
    Quit,
}

/// What is needed to resume.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Saved {
    pub lesson: String,
    pub hash: String,
    pub entries: Vec<Entry>,
}

/// Something that happened to a session from outside.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Entry {
    Line { terminal: usize, text: String },
    Interrupt { terminal: usize },
    Advance(Millis),
    WriteFile { path: String, text: String },
    GoTo(usize),
}
