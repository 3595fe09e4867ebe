//! What lies over the screen: texts to read, the editor, the list of lessons.

use super::super::editor::Editor;
use super::super::keys::{Action, Key};
use super::super::layout::areas;
use super::super::lists::{Choice, items};
use super::super::message::Effect;
use super::super::model::{List, Model, Overlay};
use super::panes::{rows_of, shifted};
use crate::tutor::lines_of;

pub(super) fn reading(model: &mut Model, action: Action) -> Vec<Effect> {
    let page = reading_size(model.size).1 as i64;
    let step = match action {
        Action::Up => -1,
        Action::Down => 1,
        Action::PageUp => -page,
        Action::PageDown => page,
        Action::Top => -1_000_000,
        Action::Bottom => 1_000_000,
        _ => {
            model.overlay = None;
            return Vec::new();
        }
    };
    scroll_reading(model, step);
    Vec::new()
}

/// Scrolls the text that lies over the screen; false if there is none.
pub(super) fn scroll_reading(model: &mut Model, step: i64) -> bool {
    let (columns, rows) = reading_size(model.size);
    let Some(Overlay::Reading { top, lines, .. }) = &mut model.overlay else { return false };
    let all: usize = lines.iter().map(|line| rows_of(line, columns)).sum();
    *top = shifted(*top, step, all.saturating_sub(rows));
    true
}

/// Columns and rows of text that lies over a screen of this size.
pub fn reading_size((columns, rows): (u16, u16)) -> (usize, usize) {
    (usize::from(columns.min(READING_COLUMNS)).saturating_sub(4), usize::from(rows).saturating_sub(7).max(1))
}

pub const READING_COLUMNS: u16 = 92;

pub(super) fn editing(model: &mut Model, key: Key, action: Option<Action>) -> Vec<Effect> {
    let rows = usize::from(areas(model).terminals.first().map_or(10, |(_, rect)| rect.height)).saturating_sub(2);
    let directives: Vec<String> = model
        .here()
        .map(|(i, _)| model.scene.world.instances[i].config.iter().map(|(name, _)| name.clone()).collect())
        .unwrap_or_default();
    let Some(Overlay::Editor(editor)) = &mut model.overlay else { return Vec::new() };
    let before = editor.version;
    match action {
        Some(Action::Save) => {
            let (path, text) = (editor.path.clone(), editor.text());
            model.notice = editor.faults.first().map(|(line, why)| {
                format!("Saved, but no server will start with it: line {line}: {why}. edit {path} opens it again.")
            });
            model.overlay = None;
            return vec![Effect::WriteFile { path, text }];
        }
        Some(Action::Close) if !editor.changed() || editor.asking => {
            model.notice = editor.asking.then(|| "Left the file as it was.".to_owned());
            model.overlay = None;
            return Vec::new();
        }
        Some(Action::Close) => {
            editor.asking = true;
            model.notice = Some("Not saved yet: Ctrl-S saves, Esc once more leaves the file as it was.".to_owned());
            return Vec::new();
        }
        Some(Action::Complete) => editor.complete(&directives),
        Some(Action::NextFault) => {
            if !editor.next_fault() {
                model.notice = Some("No line is faulty.".to_owned());
            }
        }
        Some(Action::Edit(edit)) => editor.edit(edit),
        _ => _ = editor.key(key),
    }
    let Some(Overlay::Editor(editor)) = &mut model.overlay else { return Vec::new() };
    editor.scroll(rows);
    check(editor, before)
}

/// Asks what a server would say of the text, if it is another than before.
pub(super) fn check(editor: &Editor, before: u64) -> Vec<Effect> {
    if editor.version == before {
        return Vec::new();
    }
    vec![Effect::Check { path: editor.path.clone(), text: editor.text() }]
}

/// Opens the list of lessons at the one on the screen.
pub(super) fn open_lessons(model: &mut Model) {
    model.overlay = Some(Overlay::Lessons(List::default()));
    let current = Choice::Lesson(model.scene.lesson.id.clone());
    let here = items(model).iter().position(|item| item.choice == current).unwrap_or(0);
    model.overlay = Some(Overlay::Lessons(List { wanted: String::new(), selected: here }));
}

/// Opens the future that the current exercise's feedback speaks of.
pub(super) fn watch(model: &mut Model) {
    let future =
        model.scene.exercise().and_then(|exercise| exercise.feedback.as_ref()).map(|feedback| feedback.future.clone());
    match future.filter(|future| !future.is_empty()) {
        Some(future) => {
            model.overlay = Some(Overlay::Reading {
                title: "A possible future, in a copy of your world".to_owned(),
                lines: lines_of(&future),
                top: 0,
            });
        }
        None => model.notice = Some("There is no future to watch: no goal about the future has failed.".to_owned()),
    }
}
