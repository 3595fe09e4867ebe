//! The keys of the server that the active terminal speaks to: type, value, and a bar for the time they have left.

use super::super::changes::mark_word;
use super::super::model::{KeyAt, Mark, Model};
use super::super::text::{clean, cut, fit, width};
use super::super::theme::{Role, Theme};
use crate::base::{Bytes, Millis};
use crate::snapshot::{Instance, Key, State, Value};
use ratatui::text::{Line, Span};

/// Of a value only so many bytes are looked at.
const PREVIEW_BYTES: usize = 200;

/// `redis :6379`, for the pane's title.
pub fn notes(model: &Model) -> String {
    let Some((i, _)) = model.here() else { return String::new() };
    let instance = &model.scene.world.instances[i];
    format!("{} :{} {}", clean(&instance.name), instance.port, state(instance.state))
}

pub fn state(state: State) -> &'static str {
    match state {
        State::Running => "running",
        State::Stopped => "stopped",
        State::Crashed => "crashed",
        State::Failed => "did not start",
    }
}

pub fn lines(model: &Model, columns: usize) -> Vec<Line<'static>> {
    let theme = &model.theme;
    let Some((i, selected)) = model.here() else {
        return vec![Line::styled("No server here.", theme.style(Role::Dim))];
    };
    let instance = &model.scene.world.instances[i];
    if instance.state != State::Running {
        let how = match instance.state {
            State::Crashed => "It crashed: what was only in its memory is gone.",
            State::Failed => "It did not start; its log says why.",
            _ => "It ended, or has not been started yet.",
        };
        return vec![
            Line::styled(format!("{} is not running.", clean(&instance.name)), theme.style(Role::Bad)),
            Line::styled(how, theme.style(Role::Dim)),
        ];
    }
    let rows = rows(model, instance);
    let dbs: Vec<usize> = {
        let mut dbs: Vec<usize> = rows.iter().map(|row| row.at.1).chain([selected]).collect();
        dbs.sort_unstable();
        dbs.dedup();
        dbs
    };
    let mut lines = Vec::new();
    for db in &dbs {
        if dbs.len() > 1 || *db != 0 {
            let here = if *db == selected { "  (you are here)" } else { "" };
            lines.push(Line::styled(format!("db {db}{here}"), theme.style(Role::Strong)));
        }
        let mine: Vec<&Row> = rows.iter().filter(|row| row.at.1 == *db).collect();
        if mine.is_empty() {
            lines.push(Line::styled("no keys yet", theme.style(Role::Dim)));
        }
        let widths = Widths::of(&mine, columns);
        lines.extend(mine.iter().map(|row| row.line(model, &widths)));
        let hidden = instance.dbs.iter().find(|d| d.index == *db).map_or(0, |d| d.size.saturating_sub(d.keys.len()));
        if hidden > 0 {
            lines.push(Line::styled(format!("and {hidden} more keys"), theme.style(Role::Dim)));
        }
    }
    lines
}

/// A key that is there, or one that just went.
struct Row<'a> {
    at: KeyAt,
    key: Option<&'a Key>,
}

fn rows<'a>(model: &Model, instance: &'a Instance) -> Vec<Row<'a>> {
    let mut rows: Vec<Row> = instance
        .dbs
        .iter()
        .flat_map(|db| {
            db.keys.iter().map(|key| Row { at: (instance.name.clone(), db.index, key.name.clone()), key: Some(key) })
        })
        .collect();
    for (at, mark) in &model.marks {
        if matches!(mark, Mark::Gone(_)) && at.0 == instance.name && !rows.iter().any(|row| row.at == *at) {
            rows.push(Row { at: at.clone(), key: None });
        }
    }
    // What changed stands first, so that it is seen however many keys there are; then by name.
    rows.sort_by(|a, b| {
        (a.at.1, !model.marks.contains_key(&a.at), &a.at.2).cmp(&(b.at.1, !model.marks.contains_key(&b.at), &b.at.2))
    });
    rows
}

struct Widths {
    name: usize,
    value: usize,
    bar: usize,
}

/// Name, kind, value and time share the row; the bar goes first where it is narrow.
const KIND: usize = 6;
const TIME: usize = 8;
const MARK: usize = 2;

impl Widths {
    fn of(rows: &[&Row], columns: usize) -> Widths {
        let longest = rows.iter().map(|row| width(&shown(&row.at.2))).max().unwrap_or(0);
        let timed = rows.iter().any(|row| row.key.is_some_and(|key| key.expires_at.is_some()));
        let bar = if timed && columns >= 46 { 8 } else { 0 };
        let time = if timed { TIME + 1 + if bar > 0 { bar + 1 } else { 0 } } else { 0 };
        let room = columns.saturating_sub(MARK + 1 + KIND + 1 + time);
        let name = longest.clamp(4, (room / 2).max(4));
        Widths { name, value: room.saturating_sub(name), bar }
    }
}

impl Row<'_> {
    fn line(&self, model: &Model, widths: &Widths) -> Line<'static> {
        let theme = &model.theme;
        let mark = model.marks.get(&self.at);
        let (sign, role) = match mark {
            Some(Mark::New) => ("+ ", Role::Changed),
            Some(Mark::Changed) => ("~ ", Role::Changed),
            Some(Mark::Gone(_)) => ("- ", Role::Bad),
            None => ("  ", Role::Text),
        };
        let mut spans = vec![
            Span::styled(sign, theme.style(role)),
            Span::styled(
                fit(&shown(&self.at.2), widths.name, theme.symbols.cut),
                theme.style(if mark.is_some() { role } else { Role::Text }),
            ),
        ];
        let Some(key) = self.key else {
            spans.push(Span::styled(format!(" {}", mark.map(mark_word).unwrap_or_default()), theme.style(Role::Bad)));
            return Line::from(spans);
        };
        spans.push(Span::styled(format!(" {} ", fit(key.kind, KIND, theme.symbols.cut)), theme.style(Role::Dim)));
        spans.push(Span::raw(fit(&preview(&key.value, widths.value), widths.value, theme.symbols.cut)));
        if let Some(end) = key.expires_at {
            spans.push(Span::raw(" "));
            spans.extend(ttl(model, &self.at, end, widths.bar, theme));
        }
        Line::from(spans)
    }
}

/// The bar that runs down, and the time left in words.
fn ttl(model: &Model, at: &KeyAt, end: Millis, bar: usize, theme: &Theme) -> Vec<Span<'static>> {
    let left = end.since(model.scene.world.now);
    let span = model.spans.get(at).map_or(left, |(_, span)| *span).0.max(1);
    let low = left.0 * 5 < span;
    let style = theme.style(if low { Role::BarLow } else { Role::Bar });
    let mut spans = Vec::new();
    if bar > 0 {
        let filled = ((u128::from(left.0) * bar as u128).div_ceil(u128::from(span)) as usize).min(bar);
        spans.push(Span::styled(theme.symbols.full.repeat(filled), style));
        spans.push(Span::styled(theme.symbols.empty.repeat(bar - filled), theme.style(Role::Dim)));
        spans.push(Span::raw(" "));
    }
    spans.push(Span::styled(format!("{:>TIME$}", span_words(left)), style));
    spans
}

/// `29:59`, `1:00:00`, `3d 4h`, rounded up to the second as nobody has 0 seconds left.
pub fn span_words(span: Millis) -> String {
    let secs = span.0.div_ceil(1000);
    let (days, hours, minutes, seconds) = (secs / 86_400, secs / 3600 % 24, secs / 60 % 60, secs % 60);
    if days > 0 {
        format!("{days}d {hours}h")
    } else if hours > 0 {
        format!("{hours}:{minutes:02}:{seconds:02}")
    } else {
        format!("{minutes}:{seconds:02}")
    }
}

/// A key or a value as text: UTF-8 as it is, everything else as `\xhh`.
pub fn shown(bytes: &[u8]) -> String {
    let bytes = &bytes[..bytes.len().min(PREVIEW_BYTES)];
    let mut out = String::new();
    for chunk in bytes.utf8_chunks() {
        out.push_str(&clean(chunk.valid()));
        for byte in chunk.invalid() {
            out.push_str(&format!("\\x{byte:02x}"));
        }
    }
    out
}

/// The beginning of a value in at most about `columns`.
fn preview(value: &Value, columns: usize) -> String {
    let quoted = |bytes: &Bytes| format!("\"{}\"", shown(bytes));
    match value {
        Value::String(text) => quoted(text),
        Value::Hash(fields) => {
            joined(fields.iter().map(|(field, value)| format!("{}={}", shown(field), shown(value))), columns)
        }
        Value::List(items) | Value::Set(items) => joined(items.iter().map(|item| shown(item)), columns),
        Value::Zset(items) => joined(items.iter().map(|(member, score)| format!("{}:{score}", shown(member))), columns),
        Value::Stream(entries) => joined(entries.iter().map(|(id, _)| id.clone()), columns),
    }
}

/// Items with blanks between them, no more than are seen.
fn joined(items: impl Iterator<Item = String>, columns: usize) -> String {
    let mut out = String::new();
    for item in items {
        if !out.is_empty() {
            out.push_str("  ");
        }
        out.push_str(&item);
        if width(&out) > columns {
            break;
        }
    }
    cut(&out, columns + 1, " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_said_as_a_clock_would() {
        for (ms, words) in
            [(0, "0:00"), (1, "0:01"), (1_800_000, "30:00"), (3_600_000, "1:00:00"), (273_600_000, "3d 4h")]
        {
            assert_eq!(span_words(Millis(ms)), words);
        }
    }

    #[test]
    fn values_are_shown_without_control_bytes() {
        assert_eq!(shown(b"a\x1b[2J\xff"), "a\\x1b[2J\\xff");
        assert_eq!(preview(&Value::Hash(vec![("f".into(), "v".into()), ("g".into(), "w".into())]), 40), "f=v  g=w");
    }
}
