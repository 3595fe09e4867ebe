//! What the lab answers, taken into the model.

use super::super::editor::{Editor, FILE_MAX_BYTES};
use super::super::layout::areas;
use super::super::message::Effect;
use super::super::model::{Focus, List, Model, Overlay, Picture, Scene};
use super::super::theme::{Kind, Theme};
use super::over::open_lessons;
use super::panes::{reveal_exercise, rows_of, seen, set_theme, show_exercise, show_picture};
use crate::console::Line;
use crate::picture::orders;
use crate::tutor;

/// Takes in a new look at the lab. `step`: the learner did something, so the marks begin anew.
pub(super) fn looked(model: &mut Model, scene: Scene, step: bool) {
    super::super::changes::mark(model, &scene, step);
    model.scene = scene;
    model.note_spans();
    while model.shells.len() < model.scene.terminals.len() {
        model.shells.push(super::super::model::Shell::default());
    }
}

pub(super) fn answered(
    model: &mut Model,
    lines: Vec<(usize, Line)>,
    effects: Vec<tutor::Effect>,
    scene: Scene,
    screens: Option<Vec<Vec<Line>>>,
) -> Vec<Effect> {
    let (exercise, ticks) = (model.scene.current, ticks(model));
    // An edited program is no new comparison.
    let facts = |scene: &Scene| scene.orders.clone().map(|facts| orders::Facts { changed: false, ..facts });
    let compared = scene.orders.is_some() && facts(&scene) != facts(&model.scene);
    looked(model, scene, true);
    if compared {
        show_picture(model, Picture::Orders);
    }
    match screens {
        Some(screens) => model.fill(screens),
        None => lines.into_iter().for_each(|(terminal, line)| print(model, terminal, line)),
    }
    if model.scene.current != exercise {
        show_exercise(model);
    } else if self::ticks(model) != ticks {
        reveal_exercise(model);
    }
    effects.into_iter().flat_map(|effect| told(model, effect)).collect()
}

/// What the box of the current exercise shows of what was done: goals, answers, hints.
fn ticks(model: &Model) -> (Vec<(bool, bool)>, Vec<bool>, usize) {
    let Some(exercise) = model.scene.exercise() else { return Default::default() };
    (
        exercise.goals.iter().map(|goal| (goal.met, goal.broken)).collect(),
        exercise.questions.iter().map(|question| question.said.is_some()).collect(),
        exercise.hints_shown.len(),
    )
}

pub(super) fn print(model: &mut Model, terminal: usize, line: Line) {
    let areas = areas(model);
    // One row is only a title with the last line.
    let on_screen = areas.terminals.iter().find(|(i, rect)| *i == terminal && rect.height > 1);
    let on_screen = on_screen.map(|(_, rect)| usize::from(rect.width));
    let active = terminal == model.active;
    let Some(shell) = model.shells.get_mut(terminal) else { return };
    if shell.up > 0 {
        // What is being read stays where it is.
        shell.up += rows_of(&line, on_screen.unwrap_or(80).saturating_sub(2));
    }
    shell.unread |= !active && on_screen.is_none();
    shell.print(line);
}

pub(super) fn told(model: &mut Model, effect: tutor::Effect) -> Vec<Effect> {
    match effect {
        tutor::Effect::Solved(_) | tutor::Effect::LessonDone => {}
        tutor::Effect::OpenEditor { path, text } => {
            if text.len() > FILE_MAX_BYTES {
                model.notice = Some(format!("{path} is too large to edit here."));
            } else {
                model.overlay = Some(Overlay::Editor(Box::new(Editor::new(&path, &text))));
                return vec![Effect::Check { path, text }];
            }
        }
        tutor::Effect::ShowFuture { title, lines } => model.overlay = Some(Overlay::Reading { title, lines, top: 0 }),
        tutor::Effect::Exercise(_) => show_exercise(model),
        tutor::Effect::Focus(terminal) => {
            model.active = terminal.min(model.shells.len().saturating_sub(1));
            model.focus = Focus::Terminal;
            seen(model);
        }
        tutor::Effect::Clear(terminal) => {
            if let Some(shell) = model.shells.get_mut(terminal) {
                shell.lines.clear();
                shell.up = 0;
            }
        }
        // The screens came with the answer.
        tutor::Effect::Redraw => {}
        tutor::Effect::Atlas(Some(name)) => return vec![Effect::Atlas(name)],
        tutor::Effect::Atlas(None) => {
            model.overlay = Some(Overlay::Atlas(List { wanted: String::new(), selected: 1 }));
        }
        tutor::Effect::Show(picture) => show_picture(model, picture),
        tutor::Effect::OpenLesson(Some(id)) => return vec![Effect::OpenLesson(id)],
        tutor::Effect::OpenLesson(None) => open_lessons(model),
        tutor::Effect::NextLesson => return vec![Effect::NextLesson],
        tutor::Effect::Help(word) => {
            model.overlay =
                Some(Overlay::Help(List { selected: usize::from(word.is_none()), wanted: word.unwrap_or_default() }));
        }
        tutor::Effect::Set(name, value) => return set(model, &name, &value),
        tutor::Effect::Quit => return vec![Effect::Quit],
    }
    Vec::new()
}

/// A preference: `:set theme light`, `:set hints off`, `:set mouse on`.
pub(super) fn set(model: &mut Model, name: &str, value: &str) -> Vec<Effect> {
    let on = matches!(value, "on" | "yes" | "1");
    match name {
        "theme" => match Kind::named(value) {
            Some(kind) => set_theme(model, kind),
            None => model.notice = Some(format!("Themes: {}.", Kind::names())),
        },
        "hints" => {
            model.hints = on;
            model.notice = Some(format!("Grey hints are {}.", if on { "on" } else { "off" }));
        }
        "mouse" => {
            model.mouse = on;
            return vec![Effect::Mouse(on)];
        }
        "ascii" => {
            model.theme = Theme::new(model.theme.kind, on);
        }
        _ => model.notice = Some("`:set` knows: theme, hints, mouse, ascii.".to_owned()),
    }
    Vec::new()
}
