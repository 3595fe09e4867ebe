//! Where things stand: rectangles from the size of the terminal and what is shown, computed anew for every frame.
//!
//! Wide enough, the lesson stands left of the terminals, with a picture below them (or right of them, on a very wide screen).
//! Several terminals stand side by side below lesson and picture; where they do not fit, below each other; where even that is
//! too much, the active one is large and of the others only the title and the last line are seen.
//! Below 100 columns they stand on top of each other and the picture takes the lesson's place when asked for. Below 60x15 there
//! is one pane at a time, and below 40x10 only a message. What is to be done next, and why, gets the rows that it needs.

use super::model::{Focus, Model, Overlay, Picture};
use super::view::strip;
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
    let (usual, most) = match rows {
        ..15 => (1, 1),
        15..20 => (2, 2),
        20..34 => (2, 4),
        34.. => (3, 5),
    };
    // What is missing and why has to be read whole.
    let strip_rows = (strip::rows_needed(model, columns) as u16).clamp(usual, most);
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
            Focus::Terminal => place_terminals(model, &mut areas, body),
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
        place_terminals(model, areas, middle);
        return;
    }
    if model.picture_up || model.focus == Focus::Picture {
        areas.picture = Some(upper);
    } else {
        areas.lesson = Some(upper);
    }
    place_terminals(model, areas, lower);
}

fn beside(model: &Model, areas: &mut Areas, body: Rect) {
    let share = if body.width >= 160 { body.width * 2 / 5 } else { body.width * 46 / 100 };
    if body.width >= 180 {
        let (lesson, wall, right) = cut_columns(body, share.min(LESSON_MAX));
        let (middle, second_wall, far) = cut_columns(right, right.width / 2);
        areas.lesson = Some(lesson);
        areas.walls.extend([wall, second_wall]);
        place_terminals(model, areas, middle);
        let (picture, second) = cut_rows(far, far.height / 2);
        areas.picture = Some(picture);
        areas.second = Some(second);
        return;
    }
    let several = model.shells.len() > 1;
    let (upper, lower) = if several { cut_rows(body, body.height * 3 / 5) } else { (body, Rect::default()) };
    let (lesson, wall, right) = cut_columns(upper, share.min(LESSON_MAX));
    areas.lesson = Some(lesson);
    areas.walls.push(wall);
    // Beside terminals that take the width, a long picture has its place to itself.
    let long = model.picture == Picture::Cluster
        || several && matches!(model.picture, Picture::Databases | Picture::Twin | Picture::Orders | Picture::Cluster);
    let two = body.height >= 34 && model.pictures().len() > 1 && !long;
    let pictures = if several {
        place_terminals(model, areas, lower);
        right
    } else {
        let share = if two { right.height * 9 / 20 } else { right.height * 3 / 5 };
        let (terminal, pictures) = cut_rows(right, share);
        place_terminals(model, areas, terminal);
        pictures
    };
    if two {
        // The disk takes a dozen rows, whichever of the two it is; keys fill what is left.
        let first = match model.picture {
            Picture::Disk => DISK_ROWS,
            Picture::Timeline => pictures.height * 3 / 5,
            _ => pictures.height.saturating_sub(DISK_ROWS),
        };
        let (picture, second) = cut_rows(pictures, first.clamp(4, pictures.height.saturating_sub(4)));
        areas.picture = Some(picture);
        areas.second = Some(second);
    } else {
        areas.picture = Some(pictures);
    }
}

/// From this width of the screen on terminals stand side by side, if each gets [`SIDE_COLUMNS`].
const SIDE_FROM: u16 = 100;
const SIDE_COLUMNS: u16 = 39;
const STACKED_ROWS: u16 = 6;

/// Side by side, in two rows of two, below each other, or the active one with a line of each other: what fits first.
fn place_terminals(model: &Model, areas: &mut Areas, area: Rect) {
    let count = u16::try_from(model.shells.len()).unwrap_or(u16::MAX);
    if count < 2 {
        areas.terminals = vec![(model.active, area)];
        return;
    }
    let beside = |rect: Rect, first: usize, count: u16, areas: &mut Areas| {
        let mut rest = rect;
        for i in 0..count {
            let share = (rest.width - (count - i - 1)) / (count - i);
            let (mine, wall, others) = cut_columns(rest, share);
            areas.terminals.push((first + usize::from(i), mine));
            if wall.width > 0 {
                areas.walls.push(wall);
            }
            rest = others;
        }
    };
    let wide = area.width >= SIDE_FROM;
    if wide && area.width / count >= SIDE_COLUMNS {
        beside(area, 0, count, areas);
    } else if wide && area.height / count.div_ceil(2) >= STACKED_ROWS {
        let mut rest = area;
        let lines = count.div_ceil(2);
        for line in 0..lines {
            let (mine, others) = cut_rows(rest, rest.height / (lines - line));
            beside(mine, usize::from(line) * 2, (count - line * 2).min(2), areas);
            rest = others;
        }
    } else if area.height / count >= STACKED_ROWS {
        let mut rest = area;
        for i in 0..count {
            let (mine, others) = cut_rows(rest, rest.height / (count - i));
            areas.terminals.push((usize::from(i), mine));
            rest = others;
        }
    } else if area.height >= count + 3 {
        let mut rest = area;
        for i in 0..usize::from(count) {
            let rows = if i == model.active { area.height - (count - 1) } else { 1 };
            let (mine, others) = cut_rows(rest, rows);
            areas.terminals.push((i, mine));
            rest = others;
        }
    } else {
        areas.terminals = vec![(model.active, area)];
    }
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
