//! The lines above the hint bar: what to do next, or why it is not done yet. One message at a time.

use super::super::model::{Model, Overlay};
use super::super::prose::inlines;
use super::super::text::{width, wrap_behind};
use super::super::theme::Role;
use super::put;
use crate::tutor::Tone;
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::Span;

pub fn view(model: &Model, frame: &mut Frame, area: Rect) {
    let (label, role, text) = message(model);
    let theme = &model.theme;
    let columns = usize::from(area.width).saturating_sub(2);
    let rows = usize::from(area.height);
    let first = Span::styled(format!("{label}  "), theme.style(role).bold());
    // Behind a long label the second row begins near the margin.
    let inset = if width(&label) > 12 { 2 } else { width(&label) + 2 };
    let rest = Span::raw(" ".repeat(inset));
    let mut lines = wrap_behind(first, rest, &text, columns);
    if lines.len() > rows && rows > 0 {
        lines.truncate(rows);
        if let Some(last) = lines.last_mut() {
            last.spans.push(Span::styled(format!(" {}", theme.symbols.cut), theme.style(Role::Dim)));
        }
    }
    // Set against the panes by standing at the bottom of its place.
    let skip = rows.saturating_sub(lines.len().max(2)).min(1);
    for (i, line) in lines.into_iter().enumerate().take(rows - skip) {
        put(frame, area.x + 1, area.y + (skip + i) as u16, area.width.saturating_sub(1), line);
    }
}

/// The most pressing thing to say: its label, what kind it is, and the words.
fn message(model: &Model) -> (String, Role, Vec<Span<'static>>) {
    let theme = &model.theme;
    let plain = |text: &str| vec![Span::raw(super::super::text::clean(text))];
    if let Some(notice) = &model.notice {
        return (theme.symbols.here.to_owned(), Role::Warn, plain(notice));
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
        if !question.choices.is_empty() {
            let choices: Vec<String> = (1..=question.choices.len()).map(|n| format!(":{n}")).collect();
            text.push(Span::styled(format!("  Answer with {}.", choices.join(" or ")), theme.style(Role::Note)));
        } else {
            text.push(Span::styled("  Answer with :answer and your words.", theme.style(Role::Note)));
        }
        return ("First".into(), Role::Warn, text);
    }
    let met = exercise.goals.iter().filter(|goal| goal.met).count();
    if met == 0 && !exercise.task.is_empty() {
        return ("To do".into(), Role::Focus, inlines(&exercise.task, theme));
    }
    match exercise.goals.iter().position(|goal| !goal.met) {
        Some(n) => {
            (format!("Goal {} of {}", n + 1, exercise.goals.len()), Role::Focus, inlines(&exercise.goals[n].say, theme))
        }
        None => ("To do".into(), Role::Focus, inlines(&exercise.task, theme)),
    }
}
