//! Where things stand: rectangles from the size of the terminal and what is shown, computed anew for every frame.
//!
//! Wide enough, the lesson stands left of the terminals, with a picture below them (or right of them, on a very wide screen).
//! Below 100 columns they stand on top of each other and the picture takes the lesson's place when asked for. Below 60x15 there
//! is one pane at a time, and below 40x10 only a message.

use super::model::{Focus, Model, Overlay, Picture};
use ratatui::layout::Rect;

pub const SMALLEST: (u16, u16) = (40, 10);
/// Lines of prose longer than this are tiring.
const LESSON_MAX: u16 = 84;
/// What the picture of the disk needs, title included.
const DISK_ROWS: u16 = 11;

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Areas {
    pub too_small: bool,
    pub top: Rect,
    pub lesson: Option<Rect>,
    /// Terminals on the screen: index and place, title row included.
    pub terminals: Vec<(usize, Rect)>,
    pub picture: Option<Rect>,
    /// A second picture, where there is room.
    pub second: Option<Rect>,
    /// The column between lesson and terminals, and the one between terminals and pictures.
    pub walls: Vec<Rect>,
    /// What to do next, and why.
    pub strip: Rect,
    pub bar: Rect,
    /// Lesson and picture share a place, so their titles are tabs.
    pub tabs: bool,
}

/// Splits `area` after `rows` rows.
fn cut_rows(area: Rect, rows: u16) -> (Rect, Rect) {
    let rows = rows.min(area.height);
    (Rect { height: rows, ..area }, Rect { y: area.y + rows, height: area.height - rows, ..area })
}

/// Splits `area` after `columns` columns and one for the wall.
fn cut_columns(area: Rect, columns: u16) -> (Rect, Rect, Rect) {
    let columns = columns.min(area.width);
    let wall = Rect { x: area.x + columns, width: 1.min(area.width - columns), ..area };
    let rest = Rect { x: wall.x + wall.width, width: area.width - columns - wall.width, ..area };
    (Rect { width: columns, ..area }, wall, rest)
}

pub fn areas(model: &Model) -> Areas {
    let (columns, rows) = model.size;
    let full = Rect::new(0, 0, columns, rows);
    if columns < SMALLEST.0 || rows < SMALLEST.1 {
        return Areas { too_small: true, ..Areas::default() };
    }
    let strip_rows = if rows < 15 {
        1
    } else if rows < 34 {
        2
    } else {
        3
    };
    let (top, rest) = cut_rows(full, 1);
    let (body, rest) = cut_rows(rest, rows - 2 - strip_rows);
    let (strip, bar) = cut_rows(rest, strip_rows);
    let mut areas = Areas { top, strip, bar, ..Areas::default() };
    if matches!(model.overlay, Some(Overlay::Editor(_))) {
        areas.terminals = vec![(model.active, body)];
        return areas;
    }
    if model.maximised || columns < 60 || rows < 15 {
        match model.focus {
            Focus::Lesson => areas.lesson = Some(body),
            Focus::Picture => areas.picture = Some(body),
            Focus::Terminal => areas.terminals = terminals(model, body),
        }
        return areas;
    }
    if columns < 100 {
        stacked(model, &mut areas, body);
    } else {
        beside(model, &mut areas, body);
    }
    areas
}

fn stacked(model: &Model, areas: &mut Areas, body: Rect) {
    let picture_too = body.height >= 30;
    let share = if picture_too { body.height * 2 / 5 } else { body.height * 11 / 20 };
    let (upper, lower) = cut_rows(body, share);
    areas.tabs = !picture_too;
    if picture_too {
        let (middle, picture) = cut_rows(lower, lower.height * 3 / 5);
        areas.lesson = Some(upper);
        areas.picture = Some(picture);
        areas.terminals = terminals(model, middle);
        return;
    }
    if model.picture_up || model.focus == Focus::Picture {
        areas.picture = Some(upper);
    } else {
        areas.lesson = Some(upper);
    }
    areas.terminals = terminals(model, lower);
}

fn beside(model: &Model, areas: &mut Areas, body: Rect) {
    let share = if body.width >= 160 { body.width * 2 / 5 } else { body.width * 46 / 100 };
    let (lesson, wall, right) = cut_columns(body, share.min(LESSON_MAX));
    areas.lesson = Some(lesson);
    areas.walls.push(wall);
    if body.width >= 180 {
        let (middle, wall, far) = cut_columns(right, right.width / 2);
        areas.walls.push(wall);
        areas.terminals = terminals(model, middle);
        let (picture, second) = cut_rows(far, far.height / 2);
        areas.picture = Some(picture);
        areas.second = Some(second);
        return;
    }
    let two = body.height >= 34 && model.pictures().len() > 1;
    let share = if two { right.height * 9 / 20 } else { right.height * 3 / 5 };
    let (upper, lower) = cut_rows(right, share);
    areas.terminals = terminals(model, upper);
    if two {
        // The disk takes a dozen rows, whichever of the two it is; keys fill what is left.
        let first = if model.picture == Picture::Disk { DISK_ROWS } else { lower.height.saturating_sub(DISK_ROWS) };
        let (picture, second) = cut_rows(lower, first.clamp(4, lower.height.saturating_sub(4)));
        areas.picture = Some(picture);
        areas.second = Some(second);
    } else {
        areas.picture = Some(lower);
    }
}

/// All terminals below each other if each gets six rows, else the active one.
fn terminals(model: &Model, area: Rect) -> Vec<(usize, Rect)> {
    let count = model.shells.len() as u16;
    if count < 2 || area.height / count.max(1) < 6 {
        return vec![(model.active, area)];
    }
    let mut rest = area;
    (0..count)
        .map(|i| {
            let (mine, others) = cut_rows(rest, rest.height / (count - i));
            rest = others;
            (i as usize, mine)
        })
        .collect()
}

/// The pane below a point, for the mouse.
pub fn pane_at(areas: &Areas, column: u16, row: u16) -> Option<(Focus, Option<usize>)> {
    let hit = |rect: &Rect| rect.contains((column, row).into());
    if areas.lesson.as_ref().is_some_and(hit) {
        return Some((Focus::Lesson, None));
    }
    if areas.picture.as_ref().is_some_and(hit) || areas.second.as_ref().is_some_and(hit) {
        return Some((Focus::Picture, None));
    }
    areas.terminals.iter().find(|(_, rect)| hit(rect)).map(|(i, _)| (Focus::Terminal, Some(*i)))
}
