//! Panes: which has the focus, which picture is shown, what is scrolled.

use super::super::keys::Action;
use super::super::layout::{self, areas};
use super::super::message::Effect;
use super::super::model::{Focus, Model, Picture};
use super::super::prose;
use super::super::text::printed;
use super::super::theme::{Kind, Theme};
use super::super::view::from_end;
use super::is_ascii;
use super::line::say;
use super::over::scroll_reading;
use crate::base::slot::SLOTS;
use crate::console::Line;
use ratatui::style::Style;

/// Terminals, lesson, picture, in a ring.
pub(super) fn step_pane(model: &mut Model, forward: bool) {
    let count = model.shells.len().max(1);
    let at = match model.focus {
        Focus::Terminal => model.active,
        Focus::Lesson => count,
        Focus::Picture => count + 1,
    };
    let next = (at + if forward { 1 } else { count + 1 }) % (count + 2);
    model.focus = match next {
        n if n < count => {
            model.active = n;
            Focus::Terminal
        }
        n if n == count => Focus::Lesson,
        _ => Focus::Picture,
    };
    if model.focus == Focus::Lesson {
        model.picture_up = false;
    }
    seen(model);
}

/// On a small screen lesson and pictures share a place: lesson, first picture, second, lesson again.
pub(super) fn next_picture(model: &mut Model) {
    let pictures = model.pictures();
    let at = pictures.iter().position(|picture| *picture == model.picture).unwrap_or(0);
    model.picture_top = 0;
    let areas = areas(model);
    if areas.tabs && !model.picture_up {
        model.picture_up = true;
        model.picture = pictures[0];
    } else if areas.tabs && at + 1 == pictures.len() {
        model.picture_up = false;
        model.picture = pictures[0];
    } else {
        model.picture = pictures[(at + 1) % pictures.len()];
    }
    if model.focus == Focus::Lesson && model.picture_up && areas.tabs {
        model.focus = Focus::Terminal;
    }
}

pub(super) fn set_theme(model: &mut Model, kind: Kind) {
    model.theme = Theme::new(kind, is_ascii(model));
    model.notice = Some(format!("Theme: {}.", kind.name()));
}

/// Rows of a page, as a step of scrolling.
pub(super) fn page(model: &Model) -> i64 {
    let areas = areas(model);
    let rect = match model.focus {
        Focus::Picture => areas.picture.or(areas.lesson),
        _ => areas.lesson.or(areas.picture),
    };
    i64::from(rect.map_or(model.size.1, |rect| rect.height)).saturating_sub(3).max(1)
}

pub(super) fn shifted(at: usize, step: i64, max: usize) -> usize {
    (at as i64).saturating_add(step).clamp(0, max as i64) as usize
}

pub(super) fn scroll_focused(model: &mut Model, step: i64) {
    match model.focus {
        Focus::Picture => scroll_picture(model, step),
        _ => scroll_lesson(model, step),
    }
}

/// One step on in the picture that is shown: said as the word that does it, which the learner so learns.
pub(super) fn step(model: &mut Model) -> Vec<Effect> {
    match model.picture {
        Picture::Orders => say(model, ":orders next"),
        // The first press stops the network, every further one lets one message through.
        Picture::Cluster => say(model, if model.scene.world.network.frozen { ":net step" } else { ":net freeze" }),
        _ => {
            model.notice = Some("Nothing here goes step by step; `:orders` and a network that stands still do.".into());
            Vec::new()
        }
    }
}

/// Zooms into the slot map and walks along it.
pub(super) fn move_slots(model: &mut Model, action: Action) {
    let columns = areas(model).picture.map_or(60, |rect| usize::from(rect.width)).saturating_sub(2);
    let (from, span) = model.slots_seen(columns);
    let middle = from + span / 2;
    // In on what there is to see: the key that is typed, a slot that moves, the fullest one.
    let seen = |slot: &usize| (from..from + span).contains(slot);
    let telling = || {
        let typed = model.typed_keys().first().map(|key| key.slot);
        let facts = model.cluster();
        let moving = facts.and_then(|facts| facts.moving.first()).map(|(slot, ..)| *slot);
        let hot = facts.and_then(|facts| facts.hot.first()).map(|(slot, _)| *slot);
        typed.or(moving).or(hot).map(usize::from).filter(seen)
    };
    model.slots = match action {
        Action::ZoomIn => ((span / 4).max(1), telling().unwrap_or(middle).saturating_sub(span / 8)),
        Action::ZoomOut => ((span * 4).min(SLOTS), middle.saturating_sub(span * 2)),
        Action::SlotsLeft => (span, from.saturating_sub(span / 2)),
        _ => (span, from + span / 2),
    };
    let (from, span) = model.slots_seen(columns);
    model.slots = (span, from);
}

fn scroll_picture(model: &mut Model, step: i64) {
    let step = if from_end(model, model.picture) { step.saturating_neg() } else { step };
    model.picture_top = shifted(model.picture_top, step, 2000);
}

/// Shows a picture by name, wherever pictures stand on this screen.
pub(super) fn show_picture(model: &mut Model, picture: Picture) {
    (model.picture, model.picture_top, model.picture_up) = (picture, 0, true);
    if model.maximised || areas(model).picture.is_none() {
        model.focus = Focus::Picture;
    } else if model.focus == Focus::Lesson {
        model.focus = Focus::Terminal;
    }
}

/// The columns of the lesson's text; where the lesson is not on the screen, what it would have there.
pub fn lesson_columns(model: &Model) -> (usize, usize) {
    let areas = areas(model);
    let rect = areas.lesson.or(areas.picture).unwrap_or_default();
    (usize::from(rect.width).saturating_sub(3), usize::from(rect.height).saturating_sub(1))
}

pub(super) fn scroll_lesson(model: &mut Model, step: i64) {
    if model.picture_up && areas(model).tabs {
        model.picture_up = false;
    }
    let (columns, rows) = lesson_columns(model);
    let all = prose::rows(model, columns);
    let top = shifted(row_of(&all, model.lesson_top), step, all.len().saturating_sub(rows.max(1)));
    model.lesson_top = anchor(&all, top);
}

/// The row that an anchor (block, row of it) names; the nearest before it where the block got shorter.
pub fn row_of(rows: &[prose::Row], (block, within): (usize, usize)) -> usize {
    let start = rows.iter().position(|row| row.block >= block).unwrap_or(rows.len().saturating_sub(1));
    let len = rows[start.min(rows.len())..].iter().take_while(|row| row.block == block).count();
    start + within.min(len.saturating_sub(1))
}

pub(super) fn anchor(rows: &[prose::Row], top: usize) -> (usize, usize) {
    let Some(row) = rows.get(top) else { return (0, 0) };
    let start = rows.iter().position(|other| other.block == row.block).unwrap_or(0);
    (row.block, top - start)
}

/// Scrolls the lesson to the current exercise: to the prose that leads to it.
pub fn show_exercise(model: &mut Model) {
    model.lesson_top = (prose::start_of(model), 0);
    model.picture_up = false;
}

/// Scrolls the lesson as little as is needed for the exercise's task and goals to be seen; for its end, where it is too long.
/// What somebody is reading stays where it is.
pub(super) fn reveal_exercise(model: &mut Model) {
    let (columns, height) = lesson_columns(model);
    let rows = prose::rows(model, columns);
    let Some((first, end)) = prose::exercise_rows(model, &rows, columns).filter(|_| model.focus != Focus::Lesson)
    else {
        return;
    };
    let top = row_of(&rows, model.lesson_top);
    if end > top + height {
        model.lesson_top = anchor(&rows, end - height);
    } else if first < top {
        model.lesson_top = anchor(&rows, first.max(end.saturating_sub(height)));
    }
}

/// The active terminal, half a page up or down.
pub(super) fn scroll_active(model: &mut Model, up: bool) {
    let areas = areas(model);
    let rect = areas.terminals.iter().find(|(i, _)| *i == model.active).map(|(_, rect)| *rect).unwrap_or_default();
    let half = i64::from(rect.height / 2).max(1);
    scroll_terminal(model, model.active, if up { half } else { -half });
}

/// Rows towards the first line of a terminal.
fn scroll_terminal(model: &mut Model, terminal: usize, rows: i64) {
    let areas = areas(model);
    let rect = areas.terminals.iter().find(|(i, _)| *i == terminal).map(|(_, rect)| *rect).unwrap_or_default();
    let columns = usize::from(rect.width).saturating_sub(2);
    let Some(shell) = model.shells.get_mut(terminal) else { return };
    let max: usize = shell.lines.iter().map(|line| rows_of(line, columns)).sum();
    shell.up = shifted(shell.up, rows, max.saturating_sub(1));
}

/// How many rows a line takes at `columns`.
pub fn rows_of(line: &Line, columns: usize) -> usize {
    printed(line, |_| Style::default(), columns).len()
}

pub(super) fn wheel(model: &mut Model, column: u16, row: u16, up: bool) -> Vec<Effect> {
    let step = if up { -3 } else { 3 };
    if scroll_reading(model, step) {
        return Vec::new();
    }
    match layout::pane_at(&areas(model), column, row).filter(|_| model.overlay.is_none()) {
        Some((Focus::Lesson, _)) => scroll_lesson(model, step),
        Some((Focus::Picture, _)) => scroll_picture(model, step),
        Some((Focus::Terminal, Some(i))) => scroll_terminal(model, i, -step),
        _ => {}
    }
    Vec::new()
}

/// The active terminal is on the screen: nothing in it is unread.
pub(super) fn seen(model: &mut Model) {
    if let Some(shell) = model.shell_mut() {
        shell.unread = false;
    }
}
