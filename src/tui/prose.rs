//! The lesson as rows: structured prose laid out for a width, with the exercises where the author put them.
//!
//! Each row remembers the block it came from, so that scrolling holds its place when the width changes. Code is never wrapped
//! silently: a line of code that is too long folds behind a mark.

use super::model::Model;
use super::text::{clean, fold, width, wrap, wrap_behind};
use super::theme::{Role, Theme};
use crate::lesson::{Alert, Block, Inline};
use crate::tutor::{ExerciseState, Tone};
use ratatui::style::Style;
use ratatui::text::{Line, Span};

/// A row of the lesson and the index of its block.
pub struct Row {
    pub block: usize,
    pub line: Line<'static>,
}

/// All rows of the lesson at `columns`.
pub fn rows(model: &Model, columns: usize) -> Vec<Row> {
    let mut rows = Vec::new();
    let blocks = &model.scene.lesson.prose;
    for (i, block) in blocks.iter().enumerate() {
        let lines = match block {
            Block::Exercise(n) => exercise(model, *n, columns),
            block => laid_out(block, &model.theme, columns),
        };
        rows.extend(lines.into_iter().map(|line| Row { block: i, line }));
        rows.push(Row { block: i, line: Line::default() });
    }
    // Exercises that the prose forgot still have to be seen.
    for n in (0..model.scene.exercises.len()).filter(|n| !blocks.contains(&Block::Exercise(*n))) {
        rows.extend(exercise(model, n, columns).into_iter().map(|line| Row { block: blocks.len(), line }));
    }
    while rows.last().is_some_and(|row| row.line.width() == 0) {
        rows.pop();
    }
    rows
}

/// The block at which the current exercise's part of the lesson begins: behind the exercise before it.
pub fn start_of(model: &Model) -> usize {
    let blocks = &model.scene.lesson.prose;
    let Some(here) = blocks.iter().position(|block| *block == Block::Exercise(model.scene.current)) else { return 0 };
    blocks[..here].iter().rposition(|block| matches!(block, Block::Exercise(_))).map_or(0, |before| before + 1)
}

fn laid_out(block: &Block, theme: &Theme, columns: usize) -> Vec<Line<'static>> {
    match block {
        Block::Heading { text, .. } => wrap(&styled(text, theme, theme.style(Role::Heading)), columns),
        Block::Paragraph(text) => wrap(&inlines(text, theme), columns),
        Block::Code { text, info, .. } => code(text, info, theme, columns),
        Block::List { first, items } => list(*first, items, theme, columns),
        Block::Table { head, rows } => table(head, rows, theme, columns),
        Block::Quote { kind, blocks } => quote(*kind, blocks, theme, columns),
        Block::Rule => vec![Line::styled(theme.symbols.rule.repeat(columns.min(24)), theme.style(Role::Rule))],
        Block::Exercise(_) => Vec::new(),
    }
}

/// Inline text in its styles.
pub fn inlines(text: &[Inline], theme: &Theme) -> Vec<Span<'static>> {
    styled(text, theme, Style::default())
}

fn styled(text: &[Inline], theme: &Theme, base: Style) -> Vec<Span<'static>> {
    text.iter()
        .map(|inline| {
            let mut style = base;
            if inline.strong {
                style = style.patch(theme.style(Role::Strong));
            }
            if inline.emphasis {
                style = style.patch(theme.style(Role::Emphasis));
            }
            if inline.code {
                style = style.patch(theme.style(Role::Code));
            }
            Span::styled(clean(&inline.text.replace('\n', " ")), style)
        })
        .collect()
}

fn code(text: &str, info: &str, theme: &Theme, columns: usize) -> Vec<Line<'static>> {
    let session = matches!(info.split([' ', ',']).next(), Some("redis" | "shell" | "sql"));
    let mut lines = Vec::new();
    for line in text.lines() {
        let typed = session && (line.starts_with("> ") || line.starts_with("$ "));
        let role = if !session || typed { Role::Code } else { Role::Dim };
        for (i, row) in
            fold(&[Span::styled(clean(line), theme.style(role))], columns.saturating_sub(3)).into_iter().enumerate()
        {
            let margin = if i == 0 { "  ".to_owned() } else { format!(" {}", theme.symbols.cut) };
            let mut spans = vec![Span::styled(margin, theme.style(Role::Dim))];
            spans.extend(row.spans);
            lines.push(Line::from(spans));
        }
    }
    lines
}

fn list(first: Option<u64>, items: &[Vec<Block>], theme: &Theme, columns: usize) -> Vec<Line<'static>> {
    let mut lines = Vec::new();
    for (i, item) in items.iter().enumerate() {
        let mark = match first {
            Some(n) => format!(" {}. ", n + i as u64),
            None => format!(" {} ", theme.symbols.bullet),
        };
        let inset = width(&mark);
        for (j, block) in item.iter().enumerate() {
            for (k, mut line) in laid_out(block, theme, columns.saturating_sub(inset)).into_iter().enumerate() {
                let margin = if j == 0 && k == 0 { mark.clone() } else { " ".repeat(inset) };
                line.spans.insert(0, Span::raw(margin));
                lines.push(line);
            }
        }
    }
    lines
}

/// Columns as wide as their widest cell; where that is too wide, the last one wraps.
fn table(head: &[Vec<Inline>], rows: &[Vec<Vec<Inline>>], theme: &Theme, columns: usize) -> Vec<Line<'static>> {
    let count = head.len().max(rows.iter().map(Vec::len).max().unwrap_or(0));
    if count == 0 {
        return Vec::new();
    }
    let plain = |cell: &[Inline]| cell.iter().map(|inline| width(&clean(&inline.text))).sum::<usize>();
    let mut widths: Vec<usize> = (0..count)
        .map(|i| {
            rows.iter()
                .chain(std::iter::once(&head.to_vec()))
                .filter_map(|row| row.get(i))
                .map(|cell| plain(cell))
                .max()
        })
        .map(|widest| widest.unwrap_or(0).max(1))
        .collect();
    let gaps = 2 * (count - 1);
    while widths.iter().sum::<usize>() + gaps > columns {
        let Some(widest) = widths.iter_mut().max().filter(|w| **w > 4) else { break };
        *widest -= 1;
    }
    let row = |cells: &[Vec<Inline>], base: Style| -> Vec<Line<'static>> {
        let laid: Vec<Vec<Line<'static>>> = (0..count)
            .map(|i| wrap(&styled(cells.get(i).map_or(&[][..], Vec::as_slice), theme, base), widths[i]))
            .collect();
        let high = laid.iter().map(Vec::len).max().unwrap_or(1);
        (0..high)
            .map(|r| {
                let mut spans = Vec::new();
                for (i, cell) in laid.iter().enumerate() {
                    let line = cell.get(r).cloned().unwrap_or_default();
                    let fill = widths[i].saturating_sub(line.width()) + if i + 1 < count { 2 } else { 0 };
                    spans.extend(line.spans);
                    spans.push(Span::raw(" ".repeat(fill)));
                }
                Line::from(spans)
            })
            .collect()
    };
    let mut lines = row(head, theme.style(Role::Strong));
    let rule = widths.iter().sum::<usize>() + gaps;
    lines.push(Line::styled(theme.symbols.rule.repeat(rule.min(columns)), theme.style(Role::Rule)));
    for cells in rows {
        lines.extend(row(cells, Style::default()));
    }
    lines
}

fn quote(kind: Option<Alert>, blocks: &[Block], theme: &Theme, columns: usize) -> Vec<Line<'static>> {
    let (title, role) = match kind {
        None => ("", Role::Dim),
        Some(Alert::Note) => ("Note", Role::Note),
        Some(Alert::Tip) => ("Tip", Role::Good),
        Some(Alert::Important) => ("Important", Role::Warn),
        Some(Alert::Warning) => ("Warning", Role::Bad),
        Some(Alert::Caution) => ("Careful", Role::Bad),
    };
    let mut lines = Vec::new();
    if !title.is_empty() {
        lines.push(Line::styled(title, theme.style(role).bold()));
    }
    for (i, block) in blocks.iter().enumerate() {
        if i > 0 {
            lines.push(Line::default());
        }
        lines.extend(laid_out(block, theme, columns.saturating_sub(2)));
    }
    barred(lines, theme, role)
}

/// Lines behind a bar.
fn barred(lines: Vec<Line<'static>>, theme: &Theme, role: Role) -> Vec<Line<'static>> {
    lines
        .into_iter()
        .map(|mut line| {
            line.spans.insert(0, Span::styled(format!("{} ", theme.symbols.quote), theme.style(role)));
            line
        })
        .collect()
}

/// The box of an exercise: what to do, its goals with a tick and a word, hints, and why it is not done yet.
fn exercise(model: &Model, n: usize, columns: usize) -> Vec<Line<'static>> {
    let theme = &model.theme;
    let Some(state) = model.scene.exercises.get(n) else { return Vec::new() };
    let total = model.scene.exercises.len();
    let current = n == model.scene.current;
    let (mark, word, role) = if state.solved {
        (theme.symbols.met, "done", Role::Good)
    } else if current {
        (theme.symbols.here, "now", Role::Focus)
    } else {
        (theme.symbols.unmet, "later", Role::Dim)
    };
    let title = format!("Exercise {} of {total}, {word}: {}", n + 1, clean(&state.title));
    let mut lines = wrap_behind(
        Span::styled(format!("{mark} "), theme.style(role)),
        Span::raw("  "),
        &[Span::styled(title, if current { theme.style(role).bold() } else { theme.style(role) })],
        columns.saturating_sub(2),
    );
    if current || state.solved {
        lines.extend(asked(model, state, current, columns.saturating_sub(2)));
    }
    if current {
        lines.extend(why(state, theme, columns.saturating_sub(2)));
    }
    barred(lines, theme, role)
}

/// Where the current exercise stands among `rows`: its first row, and the one behind its last goal or hint.
pub fn exercise_rows(model: &Model, rows: &[Row], columns: usize) -> Option<(usize, usize)> {
    let block = model.scene.lesson.prose.iter().position(|block| *block == Block::Exercise(model.scene.current))?;
    let first = rows.iter().position(|row| row.block == block)?;
    // The empty row behind the block, and why it is not done yet, which is said below as well.
    let more = 1 + model.scene.exercise().map_or(0, |state| why(state, &model.theme, columns.saturating_sub(2)).len());
    let len = rows[first..].iter().take_while(|row| row.block == block).count();
    Some((first, first + len.saturating_sub(more).max(1)))
}

/// The task, its question, the goals and the hints.
fn asked(model: &Model, state: &ExerciseState, current: bool, columns: usize) -> Vec<Line<'static>> {
    let theme = &model.theme;
    let mut lines = Vec::new();
    if !state.task.is_empty() {
        lines.extend(wrap(&inlines(&state.task, theme), columns));
    }
    for question in &state.questions {
        lines.extend(self::question(question, theme, columns));
    }
    for goal in &state.goals {
        let (mark, word, role) = match (goal.met, goal.broken) {
            (_, true) => ("!", "broken ", Role::Bad),
            (true, _) => (theme.symbols.met, "done   ", Role::Good),
            (false, _) => (theme.symbols.unmet, "to do  ", Role::Dim),
        };
        let first = Span::styled(format!("{mark} {word}"), theme.style(role));
        lines.extend(wrap_behind(first, Span::raw(" ".repeat(9)), &inlines(&goal.say, theme), columns));
    }
    if current {
        for (i, hint) in state.hints_shown.iter().enumerate() {
            let first = Span::styled(format!("Hint {}  ", i + 1), theme.style(Role::Note));
            lines.extend(wrap_behind(first, Span::raw(" ".repeat(8)), &marked(hint, theme), columns));
        }
    }
    lines
}

fn why(state: &ExerciseState, theme: &Theme, columns: usize) -> Vec<Line<'static>> {
    let Some(feedback) = state.feedback.as_ref().filter(|feedback| feedback.tone != Tone::Solved) else {
        return Vec::new();
    };
    let role = if feedback.tone == Tone::Missing { Role::Note } else { Role::Warn };
    let first = Span::styled("Why  ", theme.style(role).bold());
    wrap_behind(first, Span::raw("     "), &inlines(&feedback.say, theme), columns)
}

fn question(question: &crate::tutor::QuestionState, theme: &Theme, columns: usize) -> Vec<Line<'static>> {
    let mut lines = wrap_behind(
        Span::styled("? ", theme.style(Role::Warn)),
        Span::raw("  "),
        &inlines(&question.ask, theme),
        columns,
    );
    for (i, choice) in question.choices.iter().enumerate() {
        let said = question.said.as_deref() == Some(choice.as_str());
        let mark = if said { theme.symbols.here } else { " " };
        let first = Span::styled(format!(" {mark}:{} ", i + 1), theme.style(Role::Chord));
        let mut spans = marked(choice, theme);
        if said {
            let (word, role) = match question.right {
                Some(true) => ("  right", Role::Good),
                Some(false) => ("  not so", Role::Bad),
                None => ("  your guess", Role::Note),
            };
            spans.push(Span::styled(word, theme.style(role)));
        }
        lines.extend(wrap_behind(first, Span::raw("     "), &spans, columns));
    }
    if let (true, Some(said)) = (question.choices.is_empty(), &question.said) {
        lines.push(Line::from(format!("  You said: {}", clean(said))));
    }
    lines
}

/// Plain text in which backquotes set off code.
pub fn marked(text: &str, theme: &Theme) -> Vec<Span<'static>> {
    let text = clean(text);
    text.split('`')
        .enumerate()
        .map(|(i, piece)| {
            Span::styled(piece.to_owned(), if i % 2 == 1 { theme.style(Role::Code) } else { Style::default() })
        })
        .collect()
}
