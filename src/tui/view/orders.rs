//! Every order of some programs: a bar for each outcome, races in words, and the order that is replayed in lanes.

use super::super::keys::{self, Action};
use super::super::model::Model;
use super::super::text::{clean, cut, width, wrap_behind};
use super::super::theme::Role;
use crate::picture::orders::{Bar, CHANGED, Facts, NOTHING_YET, Replay, how_many, races, verdict};
use crate::race::letter;
use ratatui::text::{Line, Span};

pub fn notes(model: &Model) -> String {
    model.scene.orders.as_ref().map_or(String::new(), how_many)
}

pub fn lines(model: &Model, columns: usize) -> Vec<Line<'static>> {
    let theme = &model.theme;
    let Some(facts) = &model.scene.orders else {
        let text = Span::styled(NOTHING_YET.replace('`', ""), theme.style(Role::Dim));
        return super::super::text::wrap(&[text], columns);
    };
    let mut head = Vec::new();
    for (nth, name) in facts.names.iter().enumerate() {
        head.push(Span::styled(format!("{} ", letter(nth)), theme.lane(nth)));
        head.push(Span::styled(format!("{}  ", clean(name)), theme.style(Role::Dim)));
    }
    let mut lines = vec![Line::from(head)];
    let most = facts.bars.iter().map(|bar| bar.count).max().unwrap_or(1).max(facts.others.1).max(1);
    lines.extend(facts.bars.iter().flat_map(|bar| outcome(model, bar, most, columns)));
    if facts.others.0 > 0 {
        let text = format!("{} in {} other ways", facts.others.1, facts.others.0);
        lines.push(Line::styled(cut(&text, columns, theme.symbols.cut), theme.style(Role::Dim)));
    }
    lines.extend(judged(model, facts, columns));
    if facts.changed {
        let text = Span::styled(CHANGED.replace('`', ""), theme.style(Role::Warn));
        lines.extend(super::super::text::wrap(&[text], columns));
    }
    if let Some(replay) = &facts.replay {
        lines.extend(replayed(model, replay, columns));
    }
    lines
}

fn outcome(model: &Model, bar: &Bar, most: usize, columns: usize) -> Vec<Line<'static>> {
    let theme = &model.theme;
    let wide = if columns >= 50 { 12 } else { 6 };
    let full = (bar.count * wide).div_ceil(most).min(wide);
    let raced = races(bar);
    let style = theme.style(if raced.is_empty() { Role::Bar } else { Role::BarLow });
    let first = vec![
        Span::styled(theme.symbols.full.repeat(full), style),
        Span::styled(theme.symbols.empty.repeat(wide - full), theme.style(Role::Dim)),
        Span::styled(format!(" {:>4} ", bar.count), theme.style(Role::Strong)),
    ];
    let head: usize = first.iter().map(Span::width).sum();
    let mut text = vec![Span::raw(clean(&format!("{}  {}", bar.keys, bar.ends)).trim().to_owned())];
    if !raced.is_empty() {
        text.push(Span::styled(format!("  {raced}"), theme.style(Role::Bad)));
    }
    let blank = Span::raw(" ".repeat(head));
    let mut rows = wrap_behind(blank.clone(), blank, &text, columns);
    if let Some(row) = rows.first_mut() {
        row.spans.splice(0..1, first);
    }
    rows
}

fn judged(model: &Model, facts: &Facts, columns: usize) -> Vec<Line<'static>> {
    let role = if facts.worst.is_some() { Role::Bad } else { Role::Good };
    let mut text = vec![Span::styled(verdict(facts), model.theme.style(role))];
    if facts.worst.is_some() && facts.replay.is_none() {
        text.push(Span::styled("  :orders worst plays it.", model.theme.style(Role::Note)));
    }
    super::super::text::wrap(&text, columns)
}

/// The order in lanes, as far as it is shown; then its turns, so that one sees how far.
fn replayed(model: &Model, replay: &Replay, columns: usize) -> Vec<Line<'static>> {
    let theme = &model.theme;
    let lanes = replay.turns.iter().map(|turn| usize::from(*turn) + 1).max().unwrap_or(1);
    let mut title = vec![Span::styled(format!("Order {}  ", replay.number), theme.style(Role::Strong))];
    for (i, turn) in replay.turns.iter().take(columns.saturating_sub(36)).enumerate() {
        let turn = usize::from(*turn);
        let style = if i < replay.rows.len() { theme.lane(turn) } else { theme.style(Role::Dim) };
        title.push(Span::styled(letter(turn).to_string(), style));
    }
    let key = keys::key_of(Action::Step).map_or(String::new(), |key| key.to_string());
    let more = if replay.rows.len() < replay.steps { format!("  {key}: next step") } else { String::new() };
    title
        .push(Span::styled(format!("  {} of {} steps{more}", replay.rows.len(), replay.steps), theme.style(Role::Dim)));
    let mut lines = vec![Line::from(title)];
    for (i, row) in replay.rows.iter().enumerate() {
        let lane = |mark: &str| {
            let mut spans = vec![Span::styled(format!("{:>2} ", i + 1), theme.style(Role::Dim))];
            for each in 0..lanes {
                let text = if each == row.who { mark } else { " " };
                spans.push(Span::styled(format!("{text} "), theme.lane(each)));
            }
            spans
        };
        let mut line = lane(&letter(row.who).to_string());
        let head: usize = line.iter().map(Span::width).sum();
        let reply = format!(" {} {}", theme.symbols.arrow, clean(&row.reply));
        let room = columns.saturating_sub(head);
        let kept = width(&reply).min(room / 2);
        let command = cut(&clean(&row.command), room.saturating_sub(kept), theme.symbols.cut);
        let rest = room.saturating_sub(width(&command));
        line.push(Span::raw(command));
        line.push(Span::styled(cut(&reply, rest, theme.symbols.cut), theme.style(Role::Dim)));
        lines.push(Line::from(line));
        for (race, note) in &row.notes {
            let role = if *race { Role::Bad } else { Role::Note };
            let blank = Span::raw(" ".repeat(head));
            lines.extend(wrap_behind(blank.clone(), blank, &[Span::styled(clean(note), theme.style(role))], columns));
        }
    }
    if let Some(end) = &replay.end {
        let first = Span::styled("In the end  ", theme.style(Role::Strong));
        lines.extend(wrap_behind(first, Span::raw("  "), &[Span::raw(clean(end))], columns));
    }
    lines
}
