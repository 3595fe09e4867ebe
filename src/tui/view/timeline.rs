//! The timeline: a lane for each terminal, a row for each command, what it was answered, and what it broke.
//!
//! In a lane stands the terminal's letter where it did something; between, a thick line while commands wait for EXEC, a dotted
//! one while keys are watched, an ellipsis while an answer is awaited. The words beside it say the same.

use super::super::model::Model;
use super::super::text::{clean, cut, width, wrap_behind};
use super::super::theme::Role;
use crate::picture::letter;
use crate::picture::timeline::{Fate, Note, Stand, State, Step, Timeline, said};
use ratatui::style::Style;
use ratatui::text::{Line, Span};

/// Terminals that have a lane; those behind share the last column.
const LANES_MAX: usize = 8;

/// `2 wait for EXEC`, for the pane's title.
pub fn notes(model: &Model) -> String {
    let waiting: usize = model.scene.derived.timeline.stands.iter().flat_map(|stand| &stand.queued).map(Vec::len).sum();
    let blocked = model.scene.derived.timeline.stands.iter().filter(|stand| stand.blocked).count();
    match (waiting, blocked) {
        (0, 0) => String::new(),
        (0, 1) => "1 terminal waits".to_owned(),
        (0, n) => format!("{n} terminals wait"),
        (1, _) => "1 waits for EXEC".to_owned(),
        (n, _) => format!("{n} wait for EXEC"),
    }
}

pub fn lines(model: &Model, columns: usize) -> Vec<Line<'static>> {
    let (theme, timeline) = (&model.theme, &model.scene.derived.timeline);
    let mut lines = steps(model, timeline, columns);
    if lines.is_empty() {
        lines.push(Line::styled("Nothing has been done yet.", theme.style(Role::Dim)));
    }
    let mut feet: Vec<Line> = timeline.stands.iter().flat_map(|it| stand(model, it, columns)).collect();
    if !feet.is_empty() {
        feet.insert(0, Line::default());
    }
    lines.extend(feet);
    lines
}

/// Rows for steps alone: also what an order of commands is replayed with.
pub fn steps(model: &Model, timeline: &Timeline, columns: usize) -> Vec<Line<'static>> {
    timeline.steps.iter().flat_map(|step| rows(model, step, columns)).collect()
}

fn rows(model: &Model, step: &Step, columns: usize) -> Vec<Line<'static>> {
    let theme = &model.theme;
    let [_, _, _, broken] = theme.symbols.lanes;
    let gutter = gutter(model, step, step.lane, None);
    let used: usize = gutter.iter().map(Span::width).sum();
    let room = columns.saturating_sub(used);
    let (text, answer) = (clean(&step.text), answer(step));
    let dim = theme.style(Role::Dim);
    let (text_style, answer_style) = match &step.state {
        State::Queued(Fate::Open) | State::Waiting => (theme.style(Role::Warn), theme.style(Role::Warn)),
        State::Queued(Fate::Dropped) => (dim, theme.style(Role::Bad)),
        State::Happened => (theme.style(Role::Note), dim),
        _ if answer.starts_with("(error)") => (theme.style(Role::Text), theme.style(Role::Bad)),
        _ => (theme.style(Role::Text), dim),
    };
    let mut line = gutter;
    // The command has the row; its answer what is left, which is at least a third.
    let answer = if answer.is_empty() { answer } else { format!(" {} {}", theme.symbols.arrow, clean(&answer)) };
    let kept = width(&answer).min(room / 3 + 4);
    let text = cut(&text, room.saturating_sub(kept), theme.symbols.cut);
    let rest = room.saturating_sub(width(&text));
    line.push(Span::styled(text, text_style));
    line.push(Span::styled(cut(&answer, rest, theme.symbols.cut), answer_style));
    let mut lines = vec![Line::from(line)];
    for note in &step.notes {
        let names = model.names();
        let words = clean(&said(note, &names, false));
        let (lane, role) = match note {
            Note::Breaks { lane, .. } => (Some(*lane), theme.lane(*lane)),
            _ => (step.lane, theme.style(Role::Bad)),
        };
        let first = self::gutter(model, step, lane, Some(broken));
        let head: usize = first.iter().map(Span::width).sum();
        let blank = Span::raw(" ".repeat(head));
        let wrapped = wrap_behind(blank.clone(), blank, &[Span::styled(words, role)], columns);
        for (i, mut row) in wrapped.into_iter().enumerate() {
            if i == 0 {
                row.spans.splice(0..1, first.clone());
            }
            lines.push(row);
        }
    }
    lines
}

/// What stands behind a command.
fn answer(step: &Step) -> String {
    match &step.state {
        State::Answered(reply) => reply.clone(),
        State::Waiting => "waits".to_owned(),
        State::AnsweredLater { reply, .. } => format!("waited, {reply}"),
        State::Queued(Fate::Open) => "waits for EXEC".to_owned(),
        State::Queued(Fate::Ran { reply, .. }) => format!("at EXEC {reply}"),
        State::Queued(Fate::Dropped) => "thrown away".to_owned(),
        State::Happened => String::new(),
    }
}

/// The lanes left of a step: `mark` (or the letter) in the lane `here`, what goes on in the others.
fn gutter(model: &Model, step: &Step, here: Option<usize>, mark: Option<&'static str>) -> Vec<Span<'static>> {
    let theme = &model.theme;
    let [queueing, watching, waiting, _] = theme.symbols.lanes;
    let lanes = model.scene.terminals.len().clamp(1, LANES_MAX);
    let mut spans = Vec::new();
    for lane in 0..lanes {
        let mine = here == Some(lane) || lane + 1 == lanes && here.is_some_and(|here| here >= lanes);
        let (text, style): (String, Style) = if mine {
            let shown = here.unwrap_or(lane);
            (mark.map_or_else(|| letter(shown).to_string(), str::to_owned), theme.lane(shown))
        } else if step.queueing.contains(&lane) {
            (queueing.to_owned(), theme.lane(lane))
        } else if step.watching.contains(&lane) {
            (watching.to_owned(), theme.lane(lane))
        } else if step.waiting.contains(&lane) {
            (waiting.to_owned(), theme.lane(lane))
        } else {
            (" ".to_owned(), Style::default())
        };
        spans.push(Span::styled(format!("{text} "), style));
    }
    let queued = matches!(step.state, State::Queued(_)) && mark.is_none();
    spans.push(Span::raw(if queued { "   " } else { " " }));
    spans
}

/// How a terminal stands now.
fn stand(model: &Model, stand: &Stand, columns: usize) -> Vec<Line<'static>> {
    let theme = &model.theme;
    let names = model.names();
    let words = crate::picture::timeline::stand_words(stand, &names);
    let name = names.get(stand.lane).map_or(String::new(), |name| clean(name));
    let first =
        Span::styled(format!("{} {} ", letter(stand.lane), cut(&name, 12, theme.symbols.cut)), theme.lane(stand.lane));
    let busy = stand.queued.is_some() || stand.blocked || !stand.watched.is_empty();
    let role = if busy { Role::Text } else { Role::Dim };
    wrap_behind(first, Span::raw("  "), &[Span::styled(clean(&words), theme.style(role))], columns)
}
