//! The editor over the panes: line numbers, redis.conf in its colours.

use super::super::editor::Editor;
use super::super::model::Model;
use super::super::text::{clean, cut, width};
use super::super::theme::{Role, Theme};
use super::{cursor, put, titled};
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

pub fn view(model: &Model, editor: &Editor, frame: &mut Frame, area: Rect) {
    let theme = &model.theme;
    let title = vec![Span::styled(format!("Edit {}", clean(&editor.path)), theme.style(Role::Strong))];
    let notes =
        format!("{}line {} of {}", if editor.changed() { "changed, " } else { "" }, editor.row + 1, editor.lines.len());
    let inner = titled(model, frame, area, true, title, &notes);
    let digits = editor.lines.len().to_string().len().max(2);
    let margin = digits + 3;
    let columns = usize::from(inner.width).saturating_sub(margin + 1);
    // Scrolled sideways only as far as the cursor needs.
    let aside = (editor.column() + 1).saturating_sub(columns);
    for (i, y) in (editor.top..editor.lines.len()).zip(inner.top()..inner.bottom()) {
        let here = i == editor.row;
        let number = format!(" {:>digits$}  ", i + 1);
        let mut spans = vec![Span::styled(number, theme.style(if here { Role::Strong } else { Role::Dim }))];
        let text: String = clean(&editor.lines[i]).chars().skip(if here { aside } else { 0 }).collect();
        spans.extend(highlighted(&cut(&text, columns, theme.symbols.cut), theme));
        put(frame, inner.x, y, inner.width, Line::from(spans));
    }
    let row = editor.row.saturating_sub(editor.top) as u16;
    if row < inner.height {
        let column = width(&clean(&editor.lines[editor.row][..editor.at])).saturating_sub(aside);
        cursor(frame, inner.x + (margin + column) as u16, inner.y + row);
    }
}

/// A line of redis.conf: comments dim, the directive bold.
fn highlighted(line: &str, theme: &Theme) -> Vec<Span<'static>> {
    if line.trim_start().starts_with('#') {
        return vec![Span::styled(line.to_owned(), theme.style(Role::Dim))];
    }
    let lead = line.len() - line.trim_start().len();
    let end = line[lead..].find(char::is_whitespace).map_or(line.len(), |i| lead + i);
    vec![Span::styled(line[..end].to_owned(), theme.style(Role::Code)), Span::raw(line[end..].to_owned())]
}
