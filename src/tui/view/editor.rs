//! The editor over the panes: line numbers, redis.conf in its colours, a mark at each line that a server would refuse and below
//! the text the reason that it would give.

use super::super::editor::Editor;
use super::super::model::Model;
use super::super::text::{clean, cut, skip};
use super::super::theme::{Role, Theme};
use super::{cursor, put, titled};
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

pub fn view(model: &Model, editor: &Editor, frame: &mut Frame, area: Rect) {
    let theme = &model.theme;
    let title = vec![Span::styled(format!("Edit {}", clean(&editor.path)), theme.style(Role::Strong))];
    let faults = match editor.faults.len() {
        0 => String::new(),
        1 => "1 error, ".to_owned(),
        n => format!("{n} errors, "),
    };
    let changed = if editor.changed() { "changed, " } else { "" };
    let notes = format!("{faults}{changed}line {} of {}", editor.row + 1, editor.lines.len());
    let inner = titled(model, frame, area, true, title, &notes);
    let (text, below) = (Rect { height: inner.height.saturating_sub(1), ..inner }, inner.bottom().saturating_sub(1));
    let digits = editor.lines.len().to_string().len().max(2);
    let margin = digits + 4;
    let columns = usize::from(text.width).saturating_sub(margin + 1);
    // Scrolled sideways only as far as the cursor needs.
    let aside = (editor.column() + 1).saturating_sub(columns);
    for (i, y) in (editor.top..editor.lines.len()).zip(text.top()..text.bottom()) {
        let here = i == editor.row;
        let fault = editor.fault(i);
        let mark = if fault.is_some() { theme.symbols.lanes[3] } else { " " };
        let mut spans = vec![
            Span::styled(mark, theme.style(Role::Bad)),
            Span::styled(format!("{:>digits$}  ", i + 1), theme.style(if here { Role::Strong } else { Role::Dim })),
            Span::raw(" "),
        ];
        let line = skip(&clean(&editor.lines[i]), if here { aside } else { 0 });
        spans.extend(highlighted(&cut(&line, columns, theme.symbols.cut), fault.is_some(), theme));
        put(frame, text.x, y, text.width, Line::from(spans));
    }
    put(frame, inner.x + 1, below, inner.width.saturating_sub(1), verdict(editor, theme, usize::from(inner.width)));
    let row = editor.row.saturating_sub(editor.top) as u16;
    if row < text.height {
        let column = editor.column().saturating_sub(aside);
        cursor(frame, text.x + (margin + column) as u16, text.y + row);
    }
}

/// The reason for the line that the cursor is in, else for the first faulty one, else nothing.
fn verdict(editor: &Editor, theme: &Theme, columns: usize) -> Line<'static> {
    let here = editor.fault(editor.row).map(|why| (editor.row + 1, why));
    let Some((line, why)) = here.or(editor.faults.first().map(|(line, why)| (*line, why.as_str()))) else {
        return Line::default();
    };
    let text = format!("{} line {line}: {}", theme.symbols.lanes[3], clean(why));
    Line::styled(cut(&text, columns.saturating_sub(2), theme.symbols.cut), theme.style(Role::Bad))
}

/// A line of redis.conf: comments dim, the directive in its colour, text in quotes and numbers in theirs.
fn highlighted(line: &str, faulty: bool, theme: &Theme) -> Vec<Span<'static>> {
    if line.trim_start().starts_with('#') {
        return vec![Span::styled(line.to_owned(), theme.style(Role::Dim))];
    }
    let lead = line.len() - line.trim_start().len();
    let end = line[lead..].find(char::is_whitespace).map_or(line.len(), |i| lead + i);
    let name = theme.style(if faulty { Role::Bad } else { Role::Code });
    let mut spans = vec![Span::styled(line[..end].to_owned(), name)];
    let mut quoted = false;
    for word in line[end..].split_inclusive(' ') {
        let number = word.starts_with(|c: char| c.is_ascii_digit());
        let opens = word.matches('"').count() % 2 == 1;
        let role = if quoted || word.contains('"') {
            Role::Emphasis
        } else if number {
            Role::Number
        } else {
            Role::Text
        };
        quoted ^= opens;
        spans.push(Span::styled(word.to_owned(), theme.style(role)));
    }
    spans
}
