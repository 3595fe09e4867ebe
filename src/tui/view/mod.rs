//! The model drawn. Pure: the same model gives the same frame.
//!
//! Panes have no boxes, only a rule with their title: at 80x24 every row and column counts, and calm reads better. The pane that
//! has the focus says so by a mark before its title, bold, and by the cursor.

mod cluster;
mod databases;
mod disk;
mod editor;
mod keyspace;
mod orders;
mod others;
mod overlay;
pub(super) mod strip;
mod terminal;
mod timeline;
mod twin;

use super::keys::{self, Action};
use super::layout::{Areas, SMALLEST, areas};
use super::model::{Focus, Model, Overlay, Picture};
use super::prose;
use super::text::{clean, cut, scrub, width};
use super::theme::Role;
use super::update::{lesson_columns, place, row_of};
use ratatui::Frame;
use ratatui::layout::{Position, Rect};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Paragraph, Widget};

pub fn view(model: &Model, frame: &mut Frame) {
    let areas = areas(model);
    if areas.too_small {
        too_small(model, frame);
        return;
    }
    top(model, frame, areas.top);
    if let Some(area) = areas.lesson {
        lesson(model, frame, area, &areas);
    }
    for wall in &areas.walls {
        for y in wall.top()..wall.bottom() {
            put(frame, wall.x, y, 1, Line::styled(model.theme.symbols.wall, model.theme.style(Role::Rule)));
        }
    }
    if let Some(Overlay::Editor(open)) = &model.overlay {
        let area = areas.terminals.first().map(|(_, area)| *area).unwrap_or_default();
        editor::view(model, open, frame, area);
    } else {
        for (terminal, area) in &areas.terminals {
            terminal::view(model, *terminal, areas.terminals.len() == 1, frame, *area);
        }
    }
    if let Some(area) = areas.picture {
        picture(model, model.picture, frame, area, &areas);
    }
    if let Some(area) = areas.second {
        let pictures = model.pictures();
        let other = pictures.iter().find(|picture| **picture != model.picture).copied().unwrap_or(Picture::Keys);
        picture(model, other, frame, area, &areas);
    }
    strip::view(model, frame, areas.strip);
    bar(model, frame, areas.bar);
    overlay::view(model, frame);
    scrub(frame.buffer_mut());
}

/// One line at a place, cut at `columns`.
fn put(frame: &mut Frame, x: u16, y: u16, columns: u16, line: Line) {
    let area = Rect::new(x, y, columns, 1).intersection(frame.area());
    line.render(area, frame.buffer_mut());
}

fn too_small(model: &Model, frame: &mut Frame) {
    let (columns, rows) = model.size;
    let text = format!("Too small: now {columns}x{rows}, needs {}x{}.", SMALLEST.0, SMALLEST.1);
    let lines: Vec<Line> = super::text::wrap(&[Span::raw(text)], usize::from(columns));
    Paragraph::new(lines).render(frame.area(), frame.buffer_mut());
}

fn top(model: &Model, frame: &mut Frame, area: Rect) {
    let theme = &model.theme;
    let scene = &model.scene;
    let columns = usize::from(area.width);
    let total = scene.exercises.len();
    let solved = scene.exercises.iter().filter(|exercise| exercise.solved).count();
    let ticks: String = scene
        .exercises
        .iter()
        .enumerate()
        .map(|(i, exercise)| {
            if exercise.solved {
                theme.symbols.met
            } else if i == scene.current {
                theme.symbols.here
            } else {
                theme.symbols.unmet
            }
        })
        .collect();
    let clock = clock(scene.world.now.0, columns >= 100);
    let right = if columns >= 70 {
        format!("{ticks}  {solved} of {total} done   {clock} ")
    } else {
        format!("{solved}/{total} {clock} ")
    };
    let room = columns.saturating_sub(width(&right) + 1);
    let title = format!(" {} {}", scene.lesson.number, clean(&scene.lesson.title));
    let mut spans = vec![Span::styled(cut(&title, room, theme.symbols.cut), theme.style(Role::Strong))];
    let used = spans[0].width();
    let module = format!("   {}", clean(&scene.lesson.module));
    if columns >= 90 && used + width(&module) < room {
        spans.push(Span::styled(module, theme.style(Role::Dim)));
    }
    let used: usize = spans.iter().map(Span::width).sum();
    spans.push(Span::raw(" ".repeat(columns.saturating_sub(used + width(&right)))));
    spans.push(Span::styled(right, theme.style(Role::Dim)));
    put(frame, area.x, area.y, area.width, Line::from(spans));
}

/// The lab's clock, in UTC as the servers of the lab have it.
fn clock(ms: u64, long: bool) -> String {
    let Ok(at) = jiff::Timestamp::from_millisecond(i64::try_from(ms).unwrap_or(i64::MAX)) else { return String::new() };
    at.strftime(if long { "%-d %b %Y %H:%M:%S" } else { "%H:%M:%S" }).to_string()
}

/// A pane's title row; returns what is left below it. `notes` stands at the right end.
fn titled(model: &Model, frame: &mut Frame, area: Rect, focused: bool, title: Vec<Span<'static>>, notes: &str) -> Rect {
    let theme = &model.theme;
    let rule = theme.style(if focused { Role::Focus } else { Role::Rule });
    let lead = if focused {
        format!("{}{} ", theme.symbols.rule, theme.symbols.focus)
    } else {
        theme.symbols.rule.repeat(2) + " "
    };
    let mut spans = vec![Span::styled(lead, rule)];
    spans.extend(title);
    spans.push(Span::raw(" "));
    let columns = usize::from(area.width);
    let used: usize = spans.iter().map(Span::width).sum();
    let notes = if notes.is_empty() { String::new() } else { format!(" {notes} ") };
    let notes = if used + width(&notes) < columns { notes } else { String::new() };
    let fill = columns.saturating_sub(used + width(&notes) + usize::from(!notes.is_empty()));
    spans.push(Span::styled(theme.symbols.rule.repeat(fill), rule));
    if !notes.is_empty() {
        spans.push(Span::styled(notes, theme.style(Role::Dim)));
        spans.push(Span::styled(theme.symbols.rule, rule));
    }
    put(frame, area.x, area.y, area.width, Line::from(spans));
    Rect { y: area.y + 1, height: area.height.saturating_sub(1), ..area }
}

/// Titles that share a place: the one that is shown is bold, the others can be reached with F7. Where they are too many for
/// `columns`, the one that is shown and how many there are.
fn tabs(model: &Model, shown: Option<Picture>, with_lesson: bool, columns: u16) -> Vec<Span<'static>> {
    let theme = &model.theme;
    let mut names: Vec<(&str, bool)> = Vec::new();
    if with_lesson {
        names.push(("Lesson", shown.is_none()));
    }
    names.extend(model.pictures().into_iter().map(|picture| (picture.title(), shown == Some(picture))));
    let wide: usize = names.iter().map(|(name, _)| width(name) + 3).sum();
    if wide + 3 > usize::from(columns) {
        let at = names.iter().position(|(_, on)| *on).unwrap_or(0);
        return vec![
            Span::styled(names[at].0.to_owned(), theme.style(Role::Strong)),
            Span::styled(format!(" {} of {}", at + 1, names.len()), theme.style(Role::Dim)),
        ];
    }
    let mut spans = Vec::new();
    for (i, (name, on)) in names.into_iter().enumerate() {
        if i > 0 {
            spans.push(Span::styled(format!(" {} ", theme.symbols.wall), theme.style(Role::Rule)));
        }
        spans.push(Span::styled(name.to_owned(), theme.style(if on { Role::Strong } else { Role::Dim })));
    }
    spans
}

fn lesson(model: &Model, frame: &mut Frame, area: Rect, areas: &Areas) {
    let theme = &model.theme;
    let (columns, height) = lesson_columns(model);
    let rows = prose::rows(model, columns);
    let top = row_of(&rows, model.lesson_top).min(rows.len().saturating_sub(1));
    let below = rows.len().saturating_sub(top + height);
    let notes = match (top > 0, below > 0) {
        (_, true) => format!("PgDn {} {below} more", theme.symbols.more),
        (true, false) => "end; PgUp goes back".to_owned(),
        (false, false) => String::new(),
    };
    let title = if areas.tabs {
        tabs(model, None, true, area.width)
    } else {
        vec![Span::styled("Lesson", theme.style(Role::Strong))]
    };
    let inner = titled(model, frame, area, model.focus == Focus::Lesson, title, &notes);
    for (y, row) in (inner.top()..inner.bottom()).zip(rows.into_iter().skip(top)) {
        put(frame, inner.x + 1, y, inner.width.saturating_sub(1), row.line);
    }
}

fn picture(model: &Model, picture: Picture, frame: &mut Frame, area: Rect, areas: &Areas) {
    let focused = model.focus == Focus::Picture && picture == model.picture;
    let second = areas.second.is_some();
    let title = if second {
        vec![Span::styled(picture.title(), model.theme.style(Role::Strong))]
    } else {
        tabs(model, Some(picture), areas.tabs, area.width)
    };
    let notes = match picture {
        Picture::Keys => keyspace::notes(model),
        Picture::Disk => disk::notes(model),
        Picture::Timeline => timeline::notes(model),
        Picture::Orders => orders::notes(model),
        _ => String::new(),
    };
    let inner = titled(model, frame, area, focused, title, &notes);
    let columns = usize::from(inner.width).saturating_sub(2);
    let rows = usize::from(inner.height);
    let lines = match picture {
        Picture::Keys => keyspace::lines(model, columns),
        Picture::Disk => disk::lines(model, columns),
        Picture::Timeline => timeline::lines(model, columns),
        Picture::Orders => orders::lines(model, columns),
        Picture::Databases => databases::lines(model, columns),
        Picture::Twin => twin::lines(model, columns),
        Picture::Cluster => cluster::lines(model, columns),
        Picture::Sql => others::tables(model, columns),
    };
    let room = rows.max(1);
    let scrolled = if picture == model.picture { model.picture_top.min(lines.len().saturating_sub(room)) } else { 0 };
    let top = if from_end(model, picture) { lines.len().saturating_sub(room + scrolled) } else { scrolled };
    let below = lines.len().saturating_sub(top + rows);
    for (i, (y, line)) in (inner.top()..inner.bottom()).zip(lines.into_iter().skip(top)).enumerate() {
        let symbols = model.theme.symbols;
        let line = if below > 0 && i + 1 == rows {
            Line::styled(format!("{} {} more", symbols.more, below + 1), model.theme.style(Role::Dim))
        } else if from_end(model, picture) && top > 0 && i == 0 && rows > 1 {
            Line::styled(format!("{} {} more", symbols.less, top + 1), model.theme.style(Role::Dim))
        } else {
            line
        };
        put(frame, inner.x + 1, y, inner.width.saturating_sub(1), line);
    }
}

/// Pictures whose last row is the one to look at: they scroll up from there.
pub fn from_end(model: &Model, picture: Picture) -> bool {
    match picture {
        Picture::Timeline => true,
        Picture::Orders => model.scene.orders.as_ref().is_some_and(|facts| facts.replay.is_some()),
        _ => false,
    }
}

/// As many hints as fit, most useful first.
fn bar(model: &Model, frame: &mut Frame, area: Rect) {
    let theme = &model.theme;
    let mut spans = vec![Span::raw(" ")];
    let mut used = 1;
    let mut hints: Vec<(String, String)> = Vec::new();
    if matches!(model.overlay, Some(Overlay::Paste { .. })) {
        hints.push(("Enter".into(), "run them".into()));
        hints.push(("Esc".into(), "drop them".into()));
    } else {
        let enter_goes_on = model.overlay.is_none()
            && model.focus == Focus::Terminal
            && model.scene.exercise().is_some_and(|exercise| exercise.solved)
            && model.shell().is_some_and(|shell| shell.input.is_empty());
        if enter_goes_on {
            hints.push(("Enter".into(), "go on".into()));
        }
        let several = model.overlay.is_none() && model.scene.terminals.len() > 1;
        if several && let Some(key) = keys::key_of(Action::NextTerminal) {
            hints.push((key.to_string(), "other terminal".into()));
        }
        let bound = keys::hints(place(model)).filter_map(|b| Some((b.keys.first()?.to_string(), b.bar.to_owned())));
        hints.extend(bound.filter(|(_, word)| !(enter_goes_on && word == "next")));
    }
    for (key, word) in hints {
        let wide = width(&key) + width(&word) + 3;
        if used + wide > usize::from(area.width) {
            break;
        }
        used += wide;
        spans.push(Span::styled(key, theme.style(Role::Chord)));
        spans.push(Span::styled(format!(" {word}  "), theme.style(Role::Dim)));
    }
    put(frame, area.x, area.y, area.width, Line::from(spans));
}

/// Puts the cursor where typing happens.
fn cursor(frame: &mut Frame, x: u16, y: u16) {
    if frame.area().contains(Position { x, y }) {
        frame.set_cursor_position(Position { x, y });
    }
}
