//! Text on a grid: how wide it is, where it may be cut, how it wraps.
//!
//! Widths follow unicode-width, as the terminal and ratatui count; cuts are made between graphemes, never inside one.
//! Whatever comes from a value, a lesson or a server passes [`clean`] first, and [`scrub`] looks over the whole frame once
//! more before it is drawn.

use crate::console::line::escaped;
use crate::console::{self, Class};
use ratatui::buffer::Buffer;
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthStr;

/// Columns that `text` takes.
pub fn width(text: &str) -> usize {
    UnicodeWidthStr::width(text)
}

/// `text` with control and direction characters made visible.
pub fn clean(text: &str) -> String {
    escaped(text)
}

/// `text` in at most `columns`, with `mark` (one column) at its end if something is missing. O(columns).
pub fn cut(text: &str, columns: usize, mark: &str) -> String {
    let mut out = String::new();
    let mut used = 0;
    let mut graphemes = text.graphemes(true).peekable();
    while let Some(grapheme) = graphemes.next() {
        let wide = width(grapheme);
        let rest_fits = used + wide <= columns && (graphemes.peek().is_none() || used + wide < columns);
        if !rest_fits {
            // Perhaps the remaining graphemes are all that is left and fit exactly.
            let rest: String = std::iter::once(grapheme).chain(graphemes.take(columns + 1)).collect();
            if used + width(&rest) <= columns {
                out.push_str(&rest);
            } else if columns > 0 {
                out.push_str(mark);
            }
            return out;
        }
        out.push_str(grapheme);
        used += wide;
    }
    out
}

/// `text` without its first `columns`; a wide grapheme that is cut in two leaves a blank.
pub fn skip(text: &str, columns: usize) -> String {
    let mut left = columns;
    let mut out = String::new();
    for grapheme in text.graphemes(true) {
        let wide = width(grapheme);
        match left {
            0 => out.push_str(grapheme),
            _ if wide <= left => left -= wide,
            _ => {
                out.extend(std::iter::repeat_n(' ', wide - left));
                left = 0;
            }
        }
    }
    out
}

/// `text` cut or filled with blanks to exactly `columns`.
pub fn fit(text: &str, columns: usize, mark: &str) -> String {
    let mut out = cut(text, columns, mark);
    out.extend(std::iter::repeat_n(' ', columns.saturating_sub(width(&out))));
    out
}

/// Breaks styled text into rows of at most `columns`, between words where there are any. A word longer than a row is cut
/// between graphemes. Blanks at a break vanish. Never returns no row.
pub fn wrap(spans: &[Span<'static>], columns: usize) -> Vec<Line<'static>> {
    wrap_from(0, spans, columns)
}

/// Wraps with `lead` columns of the first row taken already.
fn wrap_from(lead: usize, spans: &[Span<'static>], columns: usize) -> Vec<Line<'static>> {
    let columns = columns.max(1);
    let mut rows = Rows { used: lead.min(columns), ..Rows::default() };
    for span in spans {
        for word in span.content.split_word_bounds() {
            let wide = width(word);
            if word.chars().all(char::is_whitespace) {
                rows.blank(word, span.style);
            } else {
                rows.word(word, wide, span.style, columns);
            }
        }
    }
    rows.end()
}

/// Breaks styled text into rows at exactly the margin, as a terminal does. Never returns no row.
pub fn fold(spans: &[Span<'static>], columns: usize) -> Vec<Line<'static>> {
    let columns = columns.max(1);
    let mut rows: Vec<Line<'static>> = Vec::new();
    let mut row: Vec<Span<'static>> = Vec::new();
    let mut used = 0;
    for span in spans {
        let mut piece = String::new();
        for grapheme in span.content.graphemes(true) {
            let wide = width(grapheme);
            if used + wide > columns && used > 0 {
                if !piece.is_empty() {
                    row.push(Span::styled(std::mem::take(&mut piece), span.style));
                }
                rows.push(Line::from(std::mem::take(&mut row)));
                used = 0;
            }
            if wide <= columns {
                piece.push_str(grapheme);
                used += wide;
            }
        }
        if !piece.is_empty() {
            row.push(Span::styled(piece, span.style));
        }
    }
    rows.push(Line::from(row));
    rows
}

/// Wraps as [`wrap`], behind `first` on the first row and `rest` on the others.
pub fn wrap_behind(
    first: Span<'static>,
    rest: Span<'static>,
    spans: &[Span<'static>],
    columns: usize,
) -> Vec<Line<'static>> {
    let inset = width(&rest.content);
    let lead = width(&first.content).saturating_sub(inset);
    wrap_from(lead, spans, columns.saturating_sub(inset))
        .into_iter()
        .enumerate()
        .map(|(i, mut row)| {
            row.spans.insert(0, if i == 0 { first.clone() } else { rest.clone() });
            row
        })
        .collect()
}

/// A line of a terminal as rows: what the lab says wraps between words, as far in as it begins, or behind its label; what a
/// server or a person typed folds at the margin.
pub fn printed(line: &console::Line, style: impl Fn(Class) -> Style, columns: usize) -> Vec<Line<'static>> {
    let spans: Vec<Span<'static>> =
        line.0.iter().map(|span| Span::styled(span.text.clone(), style(span.class))).collect();
    let label = match line.0.first() {
        Some(first) if first.class == Class::Title => first.text.ends_with(' '),
        Some(first) if first.class == Class::Key => first.text.ends_with("  "),
        _ => false,
    };
    if label && spans.len() > 1 && spans[0].width() * 2 < columns {
        let inset = Span::raw(" ".repeat(spans[0].width()));
        return wrap_behind(spans[0].clone(), inset, &spans[1..], columns);
    }
    let lab = line.0.iter().any(|span| matches!(span.class, Class::Note | Class::Good | Class::Bad | Class::Title));
    if !lab {
        return fold(&spans, columns);
    }
    let blanks = spans.iter().flat_map(|span| span.content.chars()).take_while(|c| *c == ' ').count();
    let inset = Span::raw(" ".repeat(blanks.min(columns / 2)));
    wrap_behind(inset.clone(), inset, &spans, columns)
}

#[derive(Default)]
struct Rows {
    done: Vec<Line<'static>>,
    row: Vec<Span<'static>>,
    used: usize,
    /// Blanks that are printed only if a word follows on the same row.
    waiting: Option<(String, Style)>,
    /// Where the piece of text without a blank that stands last on `row` begins: spans and columns.
    glued: (usize, usize),
}

impl Rows {
    fn blank(&mut self, blanks: &str, style: Style) {
        if self.used > 0 {
            match &mut self.waiting {
                Some((text, _)) => text.push_str(blanks),
                None => self.waiting = Some((blanks.to_owned(), style)),
            }
        }
    }

    fn word(&mut self, word: &str, wide: usize, style: Style, columns: usize) {
        let gap = self.waiting.as_ref().map_or(0, |(text, _)| width(text));
        if self.used + gap + wide <= columns {
            if let Some((blanks, style)) = self.waiting.take() {
                self.used += gap;
                self.row.push(Span::styled(blanks, style));
                self.glued = (self.row.len(), self.used);
            }
        } else if self.waiting.take().is_some() {
            self.break_row();
        } else if self.used > 0 {
            // `word` follows without a blank (punctuation, a span's end): take along what it is glued to.
            let (spans, at) = self.glued;
            if spans > 0 && self.used - at + wide <= columns {
                let tail = self.row.split_off(spans.min(self.row.len()));
                while self.row.last().is_some_and(|span| span.content.trim().is_empty()) {
                    self.row.pop();
                }
                let carried = self.used - at;
                self.break_row();
                self.row = tail;
                self.used = carried;
            } else {
                self.break_row();
            }
        }
        if self.used + wide <= columns {
            self.row.push(Span::styled(word.to_owned(), style));
            self.used += wide;
            return;
        }
        for grapheme in word.graphemes(true) {
            let wide = width(grapheme);
            if self.used + wide > columns {
                self.break_row();
            }
            if wide <= columns {
                match self.row.last_mut() {
                    Some(last) if last.style == style => last.content.to_mut().push_str(grapheme),
                    _ => self.row.push(Span::styled(grapheme.to_owned(), style)),
                }
                self.used += wide;
            }
        }
    }

    fn break_row(&mut self) {
        self.done.push(Line::from(std::mem::take(&mut self.row)));
        self.used = 0;
        self.glued = (0, 0);
    }

    fn end(mut self) -> Vec<Line<'static>> {
        if !self.row.is_empty() || self.done.is_empty() {
            self.break_row();
        }
        self.done.into_iter().map(joined).collect()
    }
}

/// Neighbouring spans of one style as one: frames get smaller and tests readable.
fn joined(line: Line<'static>) -> Line<'static> {
    let mut spans: Vec<Span<'static>> = Vec::new();
    for span in line.spans {
        match spans.last_mut() {
            Some(last) if last.style == span.style => last.content.to_mut().push_str(&span.content),
            _ => spans.push(span),
        }
    }
    Line::from(spans)
}

/// The last gate: no cell of the frame may hold a control or direction character, wherever it came from.
pub fn scrub(buffer: &mut Buffer) {
    for cell in &mut buffer.content {
        let symbol = cell.symbol();
        if symbol.len() > 1 || symbol.as_bytes().first().is_some_and(|b| *b < 0x20 || *b == 0x7f) {
            let safe = escaped(symbol);
            if safe != symbol {
                cell.set_char('?');
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(text: &str, columns: usize) -> Vec<String> {
        wrap(&[Span::raw(text.to_owned())], columns).iter().map(Line::to_string).collect()
    }

    #[test]
    fn words_wrap_at_blanks_and_long_words_at_the_margin() {
        assert_eq!(rows("one two three", 7), ["one two", "three"]);
        assert_eq!(rows("abcdefghij kl", 4), ["abcd", "efgh", "ij", "kl"]);
        assert_eq!(rows("", 4), [""]);
        // A row that is exactly full once swallowed the blank behind it and glued the next word to its last.
        assert_eq!(rows("ab that the", 7), ["ab that", "the"]);
    }

    #[test]
    fn punctuation_stays_with_its_word_across_spans() {
        let spans = [Span::raw("see the "), Span::styled("key", Style::new().bold()), Span::raw(", then go")];
        let rows: Vec<String> = wrap(&spans, 11).iter().map(Line::to_string).collect();
        assert_eq!(rows, ["see the", "key, then", "go"]);
    }

    #[test]
    fn wide_graphemes_are_never_halved() {
        assert_eq!(cut("日本語", 5, "~"), "日本~");
        assert_eq!(cut("日本", 4, "~"), "日本");
        assert_eq!(fit("e\u{301}a", 4, "~"), "e\u{301}a  ");
        let folded: Vec<String> = fold(&[Span::raw("日本語")], 3).iter().map(Line::to_string).collect();
        assert_eq!(folded, ["日", "本", "語"]);
    }

    #[test]
    fn one_column_and_no_column_are_survived() {
        assert_eq!(cut("abc", 0, "~"), "");
        assert_eq!(cut("abc", 1, "~"), "~");
        assert_eq!(rows("日 a", 1), ["", "a"]);
        assert_eq!(fold(&[Span::raw("ab")], 0).len(), 2);
    }

    #[test]
    fn a_frame_is_scrubbed_of_control_characters() {
        let mut buffer = Buffer::empty(ratatui::layout::Rect::new(0, 0, 2, 1));
        buffer[(0, 0)].set_symbol("\u{9b}");
        buffer[(1, 0)].set_symbol("\x1b");
        scrub(&mut buffer);
        assert_eq!((buffer[(0, 0)].symbol(), buffer[(1, 0)].symbol()), ("?", "?"));
    }
}
