//! Servers side by side: a column each, a row for each thing to compare; in several tables below each other, where they are many.

use super::super::model::Model;
use super::super::text::{clean, fit, wrap};
use super::super::theme::Role;
use super::keyspace::state;
use crate::losses::Why;
use crate::picture::databases::size;
use crate::picture::twin::Side;
use crate::snapshot::State;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

/// Servers in one table at most.
const ABREAST_MAX: usize = 4;

pub fn lines(model: &Model, columns: usize) -> Vec<Line<'static>> {
    let twin = &model.scene.derived.twin;
    if twin.sides.is_empty() {
        return vec![Line::styled("No server here.", model.theme.style(Role::Dim))];
    }
    let tables = twin.sides.len().div_ceil(ABREAST_MAX);
    let abreast = twin.sides.len().div_ceil(tables);
    let mut lines = Vec::new();
    for (n, sides) in twin.sides.chunks(abreast).enumerate() {
        if n > 0 {
            lines.push(Line::default());
        }
        let from = n * abreast;
        let differs = twin
            .differs
            .iter()
            .filter_map(|(name, values)| Some((name.as_str(), values.get(from..from + sides.len())?)));
        lines.extend(table(model, columns, abreast, sides, differs.collect()));
    }
    lines
}

fn table(
    model: &Model,
    columns: usize,
    abreast: usize,
    sides: &[Side],
    differs: Vec<(&str, &[String])>,
) -> Vec<Line<'static>> {
    let theme = &model.theme;
    let label = if columns >= 60 { 18 } else { 12 };
    let wide = columns.saturating_sub(label) / abreast;
    let table = Table { model, label, wide };
    let each = |of: &dyn Fn(&Side) -> (String, Role)| -> Vec<(String, Style)> {
        sides.iter().map(of).map(|(text, role)| (text, theme.style(role))).collect()
    };
    let running = |side: &Side| side.state == State::Running;
    let told = |side: &Side, text: String| if running(side) { (text, Role::Text) } else { (String::new(), Role::Dim) };
    let mut lines = table.rows(
        "",
        each(&|side| match running(side) {
            true => (format!("{} :{}", clean(&side.instance), side.port), Role::Strong),
            false => (format!("{} {}", clean(&side.instance), state(side.state)), Role::Bad),
        }),
    );
    if sides.iter().any(|side| side.maxmemory_bytes > 0) {
        lines.push(table.bars(sides));
    }
    lines.extend(table.rows("memory", each(&|side| told(side, memory(side)))));
    lines.extend(table.rows("keys", each(&counts)));
    lines.extend(table.rows("on disk", each(&|side| told(side, side.keeps.clone()))));
    lines.extend(losses(&table, sides));
    if abreast > 1 && !differs.is_empty() {
        lines.push(Line::styled("settings that differ", theme.style(Role::Dim)));
        lines.extend(differs.iter().flat_map(|(name, values)| {
            table.rows(name, values.iter().map(|value| (clean(value), theme.style(Role::Text))).collect())
        }));
    }
    lines
}

fn memory(side: &Side) -> String {
    match side.maxmemory_bytes {
        0 => format!("{}, no limit", size(side.used_memory_bytes)),
        max => format!("{} of {}", size(side.used_memory_bytes), size(max)),
    }
}

/// `4, evicted 12, expired 3`.
fn counts(side: &Side) -> (String, Role) {
    if side.state != State::Running {
        return (String::new(), Role::Dim);
    }
    let mut text = side.keys.to_string();
    for (word, count) in [("evicted", side.evicted), ("expired", side.expired)] {
        if count > 0 {
            text.push_str(&format!(", {word} {count}"));
        }
    }
    (text, if side.evicted > 0 { Role::Warn } else { Role::Text })
}

/// What was written, what is there, and each way in which some of it was lost.
fn losses(table: &Table, sides: &[Side]) -> Vec<Line<'static>> {
    let theme = &table.model.theme;
    if sides.iter().all(|side| side.account.written() == 0) {
        return Vec::new();
    }
    let mut lines = vec![Line::styled("of the keys written by clients", theme.style(Role::Dim))];
    let there = |side: &Side| {
        let doubt: usize = side.account.groups.iter().map(|group| group.in_doubt).sum();
        let text = match doubt {
            0 => format!("{} of {}", side.account.there(), side.account.written()),
            _ => format!("{doubt} in doubt: down"),
        };
        (text, theme.style(if doubt > 0 { Role::Warn } else { Role::Text }))
    };
    lines.extend(table.rows("there", sides.iter().map(there).collect()));
    for why in Why::ALL {
        let counts: Vec<usize> = sides.iter().map(|side| side.account.lost(why)).collect();
        if counts.iter().any(|count| *count > 0) {
            let accident = !matches!(why, Why::Deleted | Why::Expired | Why::Flushed);
            let role = if accident { Role::Bad } else { Role::Text };
            let cells = counts.iter().map(|n| match n {
                0 => (theme.symbols.dot.to_owned(), theme.style(Role::Dim)),
                n => (n.to_string(), theme.style(role)),
            });
            lines.extend(table.rows(short(why), cells.collect()));
        }
    }
    // By prefix, where there is more than one: it is sessions that must not be lost.
    let mut prefixes: Vec<&str> =
        sides.iter().flat_map(|side| side.account.groups.iter().map(|group| group.prefix.as_str())).collect();
    prefixes.sort_unstable();
    prefixes.dedup();
    for prefix in prefixes.iter().filter(|_| prefixes.len() > 1).take(6) {
        let cells = sides.iter().map(|side| {
            let group = side.account.groups.iter().find(|group| group.prefix == **prefix);
            let lost = group.is_some_and(|group| group.there < group.written);
            let text =
                group.map_or(theme.symbols.dot.to_owned(), |group| format!("{} of {}", group.there, group.written));
            (text, theme.style(if lost { Role::Warn } else { Role::Text }))
        });
        lines.extend(table.rows(&format!("  {}", clean(prefix)), cells.collect()));
    }
    lines
}

/// As the label of a row.
fn short(why: Why) -> &'static str {
    match why {
        Why::Killed => "lost: kill -9",
        Why::PowerCut => "lost: power",
        Why::Ended => "not saved",
        other => other.words(),
    }
}

/// A cell has no more rows than that.
const CELL_ROWS: usize = 3;

struct Table<'a> {
    model: &'a Model,
    label: usize,
    wide: usize,
}

impl Table<'_> {
    /// A label and a cell for each server; what does not fit into a cell goes on below it.
    fn rows(&self, label: &str, cells: Vec<(String, Style)>) -> Vec<Line<'static>> {
        let theme = &self.model.theme;
        let room = self.wide.saturating_sub(1).max(1);
        let laid: Vec<(Vec<Line<'static>>, Style)> =
            cells.into_iter().map(|(text, style)| (wrap(&[Span::styled(text, style)], room), style)).collect();
        let high = laid.iter().map(|(rows, _)| rows.len()).max().unwrap_or(1).min(CELL_ROWS);
        let row = |n: usize| {
            let label = if n == 0 { label } else { "" };
            let label = fit(label, self.label.saturating_sub(1), theme.symbols.cut) + " ";
            let mut spans = vec![Span::styled(label, theme.style(Role::Dim))];
            for (rows, style) in &laid {
                let text = rows.get(n).map_or(String::new(), Line::to_string);
                // Where even that is too little room, the last row says that there is more.
                let text = if n + 1 == CELL_ROWS && rows.len() > CELL_ROWS { text + " ..." } else { text };
                spans.push(Span::styled(fit(&text, room, theme.symbols.cut) + " ", *style));
            }
            Line::from(spans)
        };
        (0..high).map(row).collect()
    }

    /// How full the memory is, for servers that have a limit.
    fn bars(&self, sides: &[Side]) -> Line<'static> {
        let theme = &self.model.theme;
        let mut spans = vec![Span::raw(" ".repeat(self.label))];
        let bar = self.wide.saturating_sub(2).min(24);
        for side in sides {
            let (text, style) = match side.maxmemory_bytes {
                _ if side.state != State::Running => (String::new(), Style::default()),
                0 => (String::new(), Style::default()),
                max => {
                    let full = ((u128::from(side.used_memory_bytes) * bar as u128).div_ceil(u128::from(max)) as usize)
                        .min(bar);
                    let low = side.used_memory_bytes * 10 >= max * 9;
                    let text = theme.symbols.full.repeat(full) + &theme.symbols.empty.repeat(bar - full);
                    (text, theme.style(if low { Role::BarLow } else { Role::Bar }))
                }
            };
            spans.push(Span::styled(fit(&text, self.wide, " "), style));
        }
        Line::from(spans)
    }
}
