//! What lies over the screen: lists with a search, and texts to read.

use super::super::lists::{Choice, Item, items};
use super::super::model::{List, Model, Overlay};
use super::super::text::{cut, fit, printed, width};
use super::super::theme::Role;
use super::super::update::{READING_COLUMNS, reading_size};
use super::{cursor, put, titled};
use crate::console;
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Clear, Widget};

pub fn view(model: &Model, frame: &mut Frame) {
    match &model.overlay {
        Some(Overlay::Help(list)) => listed(model, frame, "Help", list),
        Some(Overlay::Lessons(list)) => listed(model, frame, "Lessons", list),
        Some(Overlay::Atlas(list)) => listed(model, frame, "Commands of Redis", list),
        Some(Overlay::Palette(list)) => listed(model, frame, "What the lab can do", list),
        Some(Overlay::Reading { title, lines, top }) => reading(model, frame, title, lines, *top),
        Some(Overlay::Paste { text, lines, .. }) => paste(model, frame, text, *lines),
        Some(Overlay::Editor(_)) | None => {}
    }
}

/// The middle of the screen, at most `columns` x `rows`, cleared; the strip and the hint bar stay seen.
fn middle(frame: &mut Frame, columns: u16, rows: usize) -> Rect {
    let full = frame.area();
    let columns = columns.min(full.width);
    let rows = u16::try_from(rows).unwrap_or(u16::MAX).min(full.height.saturating_sub(4)).max(3.min(full.height));
    let x = (full.width - columns) / 2;
    let area = Rect::new(x, 1.min(full.height - rows), columns, rows);
    Clear.render(area, frame.buffer_mut());
    area
}

/// A frame around `area`'s body, so that what lies below ends visibly; returns the inside.
fn framed(model: &Model, frame: &mut Frame, area: Rect, title: &str, notes: &str) -> Rect {
    let theme = &model.theme;
    let inner =
        titled(model, frame, area, true, vec![Span::styled(title.to_owned(), theme.style(Role::Strong))], notes);
    let wall = || Line::styled(theme.symbols.wall, theme.style(Role::Focus));
    for y in inner.top()..inner.bottom() {
        put(frame, inner.x, y, 1, wall());
        put(frame, inner.right().saturating_sub(1), y, 1, wall());
    }
    let [upper_right, lower_left, lower_right, upper_left] = theme.symbols.corners;
    let corner = |symbol: &'static str| Line::styled(symbol, theme.style(Role::Focus));
    let bottom = theme.symbols.rule.repeat(usize::from(area.width));
    put(frame, area.x, area.bottom().saturating_sub(1), area.width, Line::styled(bottom, theme.style(Role::Focus)));
    put(frame, area.x, area.y, 1, corner(upper_left));
    put(frame, area.right().saturating_sub(1), area.y, 1, corner(upper_right));
    put(frame, area.x, area.bottom().saturating_sub(1), 1, corner(lower_left));
    put(frame, area.right().saturating_sub(1), area.bottom().saturating_sub(1), 1, corner(lower_right));
    Rect { x: inner.x + 2, width: inner.width.saturating_sub(4), height: inner.height.saturating_sub(1), ..inner }
}

fn listed(model: &Model, frame: &mut Frame, title: &str, list: &List) {
    let theme = &model.theme;
    let items = items(model);
    let area = middle(frame, 96, items.len() + 4);
    let named = || items.iter().filter(|item| item.choice != Choice::Title);
    let count = named().count();
    let inner = framed(model, frame, area, title, &format!("{count}"));
    let search = Line::from(vec![
        Span::styled("Search: ", theme.style(Role::Dim)),
        Span::raw(super::super::text::clean(&list.wanted)),
        Span::styled(if list.wanted.is_empty() { " just type" } else { "" }, theme.style(Role::Ghost)),
    ]);
    put(frame, inner.x, inner.y, inner.width, search);
    cursor(frame, inner.x + (8 + width(&list.wanted)) as u16, inner.y);
    let rows = usize::from(inner.height).saturating_sub(2);
    let columns = usize::from(inner.width);
    let says = named().map(|item| width(&said(item))).max().unwrap_or(0);
    let left = name_columns(named().map(|item| width(&item.left)), says, columns);
    // What a row has no room for is said above them while that row is chosen.
    if let Some(item) = items.get(list.selected)
        && !fits(item, left, columns)
    {
        let says = cut(&said(item), columns, theme.symbols.cut);
        put(frame, inner.x, inner.y + 1, inner.width, Line::styled(says, theme.style(Role::Note)));
    }
    let top = (list.selected + 1).saturating_sub(rows.max(1));
    if items.is_empty() {
        put(frame, inner.x, inner.y + 2, inner.width, Line::styled("Nothing of that name.", theme.style(Role::Dim)));
    }
    for (i, item) in items.iter().enumerate().skip(top).take(rows) {
        let line = row(model, item, i == list.selected, left, columns);
        put(frame, inner.x, inner.y + 2 + (i - top) as u16, inner.width, line);
    }
}

/// Where explanations begin: behind all names, if the longest explanation, `says`, fits there; else behind nine of ten and not
/// beyond the middle. Longer names push theirs along.
fn name_columns(names: impl Iterator<Item = usize>, says: usize, columns: usize) -> usize {
    let mut wide: Vec<usize> = names.collect();
    wide.sort_unstable();
    if let Some(longest) = wide.last().filter(|longest| **longest + says + 4 <= columns) {
        return *longest;
    }
    wide.get(wide.len() * 9 / 10).copied().unwrap_or(0).min(columns / 2)
}

/// What a row says, without the marks of code.
fn said(item: &Item) -> String {
    item.says.replace('`', "")
}

fn fits(item: &Item, left: usize, columns: usize) -> bool {
    item.choice == Choice::Title || width(&item.left).max(left) + width(&said(item)) + 4 <= columns
}

fn row(model: &Model, item: &Item, selected: bool, left: usize, columns: usize) -> Line<'static> {
    let theme = &model.theme;
    if item.choice == Choice::Title {
        let style = if selected { theme.style(Role::Selected) } else { theme.style(Role::Heading) };
        return Line::styled(item.left.clone(), style);
    }
    let mark = if selected { theme.symbols.focus } else { " " };
    let left = width(&item.left).max(left).min(columns.saturating_sub(12));
    let text = cut(&said(item), columns.saturating_sub(left + 4), theme.symbols.cut);
    let (strong, dim) = if selected {
        (theme.style(Role::Selected), theme.style(Role::Selected))
    } else {
        (theme.style(Role::Strong), theme.style(Role::Dim))
    };
    let text = if selected { fit(&text, columns.saturating_sub(left + 4), theme.symbols.cut) } else { text };
    Line::from(vec![
        Span::styled(format!("{mark} "), dim),
        Span::styled(fit(&item.left, left, theme.symbols.cut), strong),
        Span::styled(format!("  {text}"), dim),
    ])
}

fn reading(model: &Model, frame: &mut Frame, title: &str, lines: &[console::Line], top: usize) {
    let columns = reading_size(model.size).0;
    let all: Vec<Line<'static>> =
        lines.iter().flat_map(|line| printed(line, |class| model.theme.class(class), columns)).collect();
    let area = middle(frame, READING_COLUMNS, all.len() + 3);
    let rows = usize::from(area.height).saturating_sub(3);
    let top = top.min(all.len().saturating_sub(rows));
    let below = all.len().saturating_sub(top + rows);
    let notes = if below > 0 { format!("{} {below} more", model.theme.symbols.more) } else { "Esc closes".to_owned() };
    let inner = framed(model, frame, area, &super::super::text::clean(title), &notes);
    for (y, line) in (inner.top() + 1..inner.bottom()).zip(all.into_iter().skip(top)) {
        put(frame, inner.x, y, inner.width, line);
    }
}

fn paste(model: &Model, frame: &mut Frame, text: &str, lines: usize) {
    let seen: Vec<String> = text
        .lines()
        .filter(|line| !line.trim().is_empty())
        .take(8)
        .map(|line| line.chars().take(400).collect())
        .collect();
    let area = middle(frame, 80, seen.len() + 5);
    let inner = framed(model, frame, area, &format!("Run {lines} pasted lines?"), "Enter: yes, Esc: no");
    for (y, line) in (inner.top() + 1..inner.bottom()).zip(&seen) {
        let text = cut(&super::super::text::clean(line), usize::from(inner.width), model.theme.symbols.cut);
        put(frame, inner.x, y, inner.width, Line::raw(text));
    }
    if lines > seen.len() {
        let more = format!("and {} more", lines - seen.len());
        put(
            frame,
            inner.x,
            inner.bottom().saturating_sub(1),
            inner.width,
            Line::styled(more, model.theme.style(Role::Dim)),
        );
    }
}
