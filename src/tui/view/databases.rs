//! The numbered databases: a row each, with a bar for its size and the letters of the terminals that stand in it.

use super::super::model::Model;
use super::super::text::{clean, cut, fit, width, wrap_behind};
use super::super::theme::Role;
use super::keyspace::state;
use crate::picture::databases::{Guest, House, Room, guest_words, memory_words, size};
use crate::picture::letter;
use crate::snapshot::State;
use ratatui::text::{Line, Span};

pub fn lines(model: &Model, columns: usize) -> Vec<Line<'static>> {
    let theme = &model.theme;
    let mut lines = Vec::new();
    let houses = &model.scene.derived.houses;
    let largest = houses.iter().flat_map(|house| &house.rooms).map(|room| room.bytes).max().unwrap_or(0).max(1);
    for (i, house) in houses.iter().enumerate() {
        if i > 0 {
            lines.push(Line::default());
        }
        lines.push(Line::from(vec![
            Span::styled(clean(&house.instance), theme.style(Role::Strong)),
            Span::styled(format!(" :{} {}", house.port, state(house.state)), theme.style(Role::Dim)),
        ]));
        if house.state != State::Running {
            continue;
        }
        lines.extend(house.rooms.iter().map(|room| row(model, room, largest, columns)));
        lines.extend(shared(model, house, columns));
        lines.extend(guests(model, &house.users, columns));
    }
    if houses.is_empty() {
        lines.push(Line::styled("No server here.", theme.style(Role::Dim)));
    }
    lines
}

fn row(model: &Model, room: &Room, largest: usize, columns: usize) -> Line<'static> {
    let theme = &model.theme;
    let bar = if columns >= 50 { 10 } else { 4 };
    let full = (room.bytes * bar).div_ceil(largest).min(bar);
    let more = if room.some { "+" } else { "" };
    let counts = match room.keys {
        0 => "empty".to_owned(),
        1 => "1 key".to_owned(),
        n => format!("{n} keys"),
    };
    let expires = if room.expires > 0 { format!("{}{more} expire", room.expires) } else { String::new() };
    let bytes = if room.keys > 0 { format!("{}{more}", size(room.bytes as u64)) } else { String::new() };
    let mut spans = vec![
        Span::styled(format!(" db {:<2} ", room.index), theme.style(Role::Strong)),
        Span::styled(theme.symbols.full.repeat(full), theme.style(Role::Bar)),
        Span::styled(theme.symbols.empty.repeat(bar - full), theme.style(Role::Dim)),
        Span::raw(format!(" {}", fit(&counts, 9, theme.symbols.cut))),
    ];
    if columns >= 46 {
        spans.push(Span::styled(
            format!(" {} {:>8}", fit(&expires, 10, theme.symbols.cut), bytes),
            theme.style(Role::Dim),
        ));
    }
    for lane in &room.residents {
        spans.push(Span::raw(" "));
        spans.push(Span::styled(letter(*lane).to_string(), theme.lane(*lane)));
        let used: usize = spans.iter().map(Span::width).sum();
        if let Some(terminal) = model.scene.terminals.get(*lane)
            && used + width(&terminal.name) < columns
        {
            spans.push(Span::styled(format!(" {}", clean(&terminal.name)), theme.style(Role::Dim)));
        }
    }
    Line::from(spans)
}

/// What no database has for itself.
fn shared(model: &Model, house: &House, columns: usize) -> Vec<Line<'static>> {
    let theme = &model.theme;
    let empty = house.count.saturating_sub(house.rooms.len());
    let text = format!(
        "{empty} more are empty. Shared by all: {}; config, persistence, eviction.",
        memory_words(house.used_memory_bytes, house.maxmemory_bytes, &house.policy)
    );
    wrap_behind(Span::raw(" "), Span::raw(" "), &[Span::styled(text, theme.style(Role::Dim))], columns)
}

/// ACL users, where there are others than the default one.
fn guests(model: &Model, users: &[Guest], columns: usize) -> Vec<Line<'static>> {
    let theme = &model.theme;
    if users.len() < 2 {
        return Vec::new();
    }
    let name = users.iter().map(|user| width(&clean(&user.name))).max().unwrap_or(0).min(16);
    users
        .iter()
        .flat_map(|user| {
            let first = fit(&clean(&user.name), name, theme.symbols.cut);
            let style = theme.style(if user.on { Role::Code } else { Role::Dim });
            wrap_behind(
                Span::styled(format!(" {first} "), style),
                Span::raw(" ".repeat(name.min(columns / 3) + 2)),
                &[Span::raw(cut(&clean(&guest_words(user)), 600, theme.symbols.cut))],
                columns,
            )
        })
        .collect()
}
