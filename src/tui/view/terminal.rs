//! A terminal: its letter, what it printed, its prompt, the line being typed with its grey continuation.

use super::super::model::{Focus, Model};
use super::super::text::{clean, cut, fold, printed, width};
use super::super::theme::Role;
use super::super::typing;
use super::{cursor, put, titled};
use crate::picture::letter;
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Modifier;
use ratatui::text::{Line, Span};

/// Of a longer line only so many bytes around the cursor are laid out.
const WINDOW: usize = 4096;

/// `alone`: no other terminal is on the screen, so the title names them all.
pub fn view(model: &Model, index: usize, alone: bool, frame: &mut Frame, area: Rect) {
    let Some(shell) = model.shells.get(index) else { return };
    let active = index == model.active;
    let focused = active && model.focus == Focus::Terminal;
    let mut title = title(model, index, alone);
    if area.height == 1 {
        strip(model, index, &mut title, usize::from(area.width));
    }
    let notes = match shell.up {
        0 if area.height == 1 => String::new(),
        0 => stands(model, index),
        up => format!("{up} rows up; Esc goes back"),
    };
    let inner = titled(model, frame, area, focused, title, &notes);
    let (columns, rows) = (usize::from(inner.width).saturating_sub(2), usize::from(inner.height));
    if rows == 0 || columns == 0 {
        return;
    }
    let (typed, at) = input(model, index, columns);
    // From the end backwards, only as many lines as are seen.
    let mut seen: Vec<Line> = typed.into_iter().rev().collect();
    let from_end = seen.len() - 1 - at.1;
    for line in shell.lines.iter().rev() {
        if seen.len() >= rows + shell.up {
            break;
        }
        seen.extend(printed(line, |class| model.theme.class(class), columns).into_iter().rev());
    }
    let up = shell.up.min(seen.len().saturating_sub(rows));
    let shown: Vec<Line> = seen.into_iter().skip(up).take(rows).collect();
    let count = shown.len();
    for (i, line) in shown.into_iter().rev().enumerate() {
        put(frame, inner.x + 1, inner.y + i as u16, inner.width.saturating_sub(1), line);
    }
    if focused && model.overlay.is_none() && from_end >= up && from_end < up + count {
        let row = count - 1 - (from_end - up);
        cursor(frame, inner.x + 1 + at.0 as u16, inner.y + row as u16);
    }
}

/// One terminal is called just that. Of several each has its letter in its colour: this one, and `alone` the others too.
fn title(model: &Model, index: usize, alone: bool) -> Vec<Span<'static>> {
    let theme = &model.theme;
    let mut spans = Vec::new();
    if model.scene.terminals.len() < 2 {
        spans.push(Span::styled("Terminal", theme.style(Role::Strong)));
    }
    let several = model.scene.terminals.len() > 1;
    for (i, terminal) in model.scene.terminals.iter().enumerate().filter(|(i, _)| several && (alone || *i == index)) {
        let here = i == model.active;
        let badge = if here { theme.lane(i).add_modifier(Modifier::REVERSED) } else { theme.lane(i) };
        let unread = model.shells.get(i).is_some_and(|shell| shell.unread);
        let role = if here { Role::Strong } else { Role::Dim };
        let gap = if spans.is_empty() { "" } else { "  " };
        spans.push(Span::raw(gap));
        spans.push(Span::styled(format!(" {} ", letter(i)), badge));
        spans.push(Span::styled(
            format!(" {}{}", clean(&terminal.name), if unread { "*" } else { "" }),
            theme.style(role),
        ));
    }
    if model.scene.terminals.get(index).is_some_and(|terminal| terminal.busy) {
        let how = if index == model.active { " waiting; Ctrl-C stops it" } else { " waiting" };
        spans.push(Span::styled(how, theme.style(Role::Warn)));
    }
    spans
}

/// In one row: behind the title the last thing that was printed, or what is being typed.
fn strip(model: &Model, index: usize, title: &mut Vec<Span<'static>>, columns: usize) {
    let theme = &model.theme;
    let Some(shell) = model.shells.get(index) else { return };
    let used: usize = title.iter().map(Span::width).sum();
    let text = match shell.input.is_empty() {
        false => format!("typed: {}", around(shell.input.text(), shell.input.cursor()).0),
        true => shell.lines.back().map_or(String::new(), |line| line.text()),
    };
    let text = cut(&clean(&text), columns.saturating_sub(used + 8), theme.symbols.cut);
    title.push(Span::raw("  "));
    title.push(Span::styled(text, theme.style(Role::Text)));
}

/// In words for the title: what its connection is in, where there is more to say than the prompt does.
fn stands(model: &Model, index: usize) -> String {
    let Some(stand) = model.scene.derived.timeline.stands.iter().find(|stand| stand.lane == index) else {
        return String::new();
    };
    let queued = stand.queued.as_ref().map(|queue| format!("{} queued", queue.len()));
    let broken = stand.watched.iter().find(|(_, broken)| broken.is_some());
    let watched = match broken {
        Some((key, _)) => Some(format!("{} changed under the watch", clean(key))),
        None if stand.watched.len() == 1 => Some(format!("watches {}", clean(&stand.watched[0].0))),
        None if stand.watched.is_empty() => None,
        None => Some(format!("watches {} keys", stand.watched.len())),
    };
    queued.into_iter().chain(watched).collect::<Vec<_>>().join(", ")
}

/// The prompt with the line being typed as rows, and where the cursor stands in them (column, row).
fn input(model: &Model, index: usize, columns: usize) -> (Vec<Line<'static>>, (usize, usize)) {
    let theme = &model.theme;
    let (Some(shell), Some(terminal)) = (model.shells.get(index), model.scene.terminals.get(index)) else {
        return (vec![Line::default()], (0, 0));
    };
    if terminal.busy {
        return (vec![Line::default()], (0, 0));
    }
    let prompt = match &shell.input.search {
        Some(search) => format!("(search back) {}: ", clean(&search.wanted)),
        None => clean(&terminal.prompt),
    };
    let (before, after) = around(shell.input.text(), shell.input.cursor());
    let lead = width(&prompt) + width(&before);
    let mut spans = vec![
        Span::styled(prompt, theme.style(Role::Prompt)),
        Span::styled(before, theme.style(Role::Strong)),
        Span::styled(after, theme.style(Role::Strong)),
    ];
    if index == model.active {
        // The grey text never makes the line longer than the row.
        let used: usize = spans.iter().map(Span::width).sum();
        let room = (columns - used % columns).saturating_sub(1);
        let ghost = cut(&typing::ghost(model), room, theme.symbols.cut);
        spans.push(Span::styled(ghost, theme.style(Role::Ghost)));
    }
    let mut rows = fold(&spans, columns);
    // Walk to the cursor as `fold` broke the rows: wide graphemes may leave a column empty.
    let (mut row, mut left) = (0, lead);
    while row + 1 < rows.len() && left >= rows[row].width() {
        left -= rows[row].width();
        row += 1;
    }
    if left >= columns {
        rows.push(Line::default());
        (row, left) = (rows.len() - 1, 0);
    }
    (rows, (left, row))
}

/// What stands before and behind the cursor, made safe, and cut to a window if the line is very long.
fn around(text: &str, at: usize) -> (String, String) {
    let from = (at.saturating_sub(WINDOW)..=at).find(|i| text.is_char_boundary(*i)).unwrap_or(at);
    let to = (at..=(at + WINDOW).min(text.len())).rev().find(|i| text.is_char_boundary(*i)).unwrap_or(at);
    let head = if from > 0 { format!("[{from} bytes] ") } else { String::new() };
    let tail = if to < text.len() { format!(" [{} bytes]", text.len() - to) } else { String::new() };
    (head + &clean(&text[from..at]), clean(&text[at..to]) + &tail)
}
