//! The lines above the hint bar: what to do next, or why it is not done yet. One message at a time.

use super::super::model::{Model, Overlay};
use super::super::prose::{inlines, marked};
use super::super::text::{cut, width, wrap_behind};
use super::super::theme::Role;
use super::put;
use crate::tutor::Tone;
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

/// How many rows the message needs on a screen of `columns`.
pub fn rows_needed(model: &Model, columns: u16) -> usize {
    laid(model, usize::from(columns).saturating_sub(2), USUAL_ROWS).len()
}

/// More than that only what cannot be said shorter.
const USUAL_ROWS: usize = 2;

pub fn view(model: &Model, frame: &mut Frame, area: Rect) {
    let theme = &model.theme;
    let columns = usize::from(area.width).saturating_sub(2);
    let rows = usize::from(area.height);
    let mut lines = laid(model, columns, rows);
    if lines.len() > rows && rows > 0 {
        lines.truncate(rows);
        if let Some(last) = lines.last_mut() {
            let mark = format!(" {}", theme.symbols.cut);
            shorten(last, columns.saturating_sub(width(&mark)));
            last.spans.push(Span::styled(mark, theme.style(Role::Dim)));
        }
    }
    // Set against the panes by standing at the bottom of its place.
    let skip = rows.saturating_sub(lines.len().max(2)).min(1);
    for (i, line) in lines.into_iter().enumerate().take(rows - skip) {
        put(frame, area.x + 1, area.y + (skip + i) as u16, area.width.saturating_sub(1), line);
    }
}

/// The message in rows; the choices of a question with it, if both fit into `rows`, else only their numbers.
fn laid(model: &Model, columns: usize, rows: usize) -> Vec<Line<'static>> {
    let laid = |(label, role, text): Said| {
        let first = Span::styled(format!("{label}  "), model.theme.style(role).bold());
        // Behind a long label the second row begins near the margin.
        let inset = if width(&label) > 12 { 2 } else { width(&label) + 2 };
        wrap_behind(first, Span::raw(" ".repeat(inset)), &text, columns)
    };
    let lines = laid(message(model, true));
    if lines.len() > rows { laid(message(model, false)) } else { lines }
}

/// Takes words from the end of a line until it fits into `columns`.
fn shorten(line: &mut Line<'static>, columns: usize) {
    while line.width() > columns
        && let Some(span) = line.spans.pop()
    {
        let room = columns.saturating_sub(line.width());
        let fits = cut(&span.content, room, "");
        let words = fits.trim_end().rfind(' ').map_or("", |at| &fits[..at]);
        if !words.is_empty() {
            line.spans.push(Span::styled(words.to_owned(), span.style));
            return;
        }
    }
}

/// Something to say: its label, what kind it is, and the words.
type Said = (String, Role, Vec<Span<'static>>);

/// The most pressing thing to say. `choices`: those of a question are written out.
fn message(model: &Model, choices: bool) -> Said {
    let theme = &model.theme;
    let plain = |text: &str| vec![Span::raw(super::super::text::clean(text))];
    if let Some(notice) = &model.notice {
        return (theme.symbols.here.to_owned(), Role::Warn, marked(notice, theme));
    }
    if let Some(Overlay::Paste { lines, .. }) = &model.overlay {
        return (
            "Paste".into(),
            Role::Warn,
            plain(&format!("Run {lines} lines? Enter runs them one after the other; any other key drops them.")),
        );
    }
    let Some(exercise) = model.scene.exercise() else {
        return ("Read".into(), Role::Note, plain("Nothing to do here; F4 goes on."));
    };
    if exercise.solved {
        let on = if model.scene.done {
            "The lesson is done. Enter goes on to the next one; or stay and play, the world is yours."
        } else {
            "Enter goes on; or stay and play, the world is yours."
        };
        return (
            format!("{} Done: {}.", theme.symbols.met, exercise.title.trim_end_matches(['.', '!', '?'])),
            Role::Good,
            plain(on),
        );
    }
    if let Some(feedback) = &exercise.feedback {
        let role = if feedback.tone == Tone::Missing { Role::Note } else { Role::Warn };
        let mut text = inlines(&feedback.say, theme);
        if !feedback.future.is_empty() {
            text.push(Span::styled("  F5 shows that future.", theme.style(Role::Note)));
        }
        return ("Why".into(), role, text);
    }
    if let Some(question) = exercise.questions.iter().find(|question| question.said.is_none()) {
        let mut text = inlines(&question.ask, theme);
        if choices && !question.choices.is_empty() {
            for (n, choice) in question.choices.iter().enumerate() {
                text.push(Span::styled(format!("  :{} ", n + 1), theme.style(Role::Chord)));
                text.extend(marked(choice, theme));
            }
        } else if !question.choices.is_empty() {
            let choices: Vec<String> = (1..=question.choices.len()).map(|n| format!(":{n}")).collect();
            text.push(Span::styled(format!("  Answer with {}.", choices.join(" or ")), theme.style(Role::Note)));
        } else {
            text.push(Span::styled("  Answer with :answer and your words.", theme.style(Role::Note)));
        }
        return ("First".into(), Role::Warn, text);
    }
    // Nothing has been done yet: else there were something to say of it.
    if !exercise.task.is_empty() {
        return ("To do".into(), Role::Focus, inlines(&exercise.task, theme));
    }
    match exercise.goals.iter().position(|goal| !goal.met) {
        Some(n) => {
            (format!("Goal {} of {}", n + 1, exercise.goals.len()), Role::Focus, inlines(&exercise.goals[n].say, theme))
        }
        None => ("Read".into(), Role::Note, plain("Nothing is left to do here; F4 goes on.")),
    }
}
