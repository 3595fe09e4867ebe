//! The cluster: nodes with their roles, the slot map with zoom, the key that is being typed on its way to its node, votes, the
//! messages under way, and redirections as arrows. A node's digit is the same in the list and in the map.

use super::super::model::Model;
use super::super::text::{clean, cut, width, wrap_behind};
use super::super::theme::Role;
use crate::assist::explain::keys_of;
use crate::base::slot::SLOTS;
use crate::picture::cluster::{Facts, Node, Redirection, hash_words, hashed, node_words, vote_words};
use crate::picture::letter;
use ratatui::style::Modifier;
use ratatui::text::{Line, Span};

pub fn notes(model: &Model) -> String {
    let Some(facts) = &model.scene.derived.cluster else { return String::new() };
    let frozen = if facts.frozen { ", network stands still" } else { "" };
    format!(
        "as {} sees it: {}, epoch {}{frozen}",
        clean(&facts.seen_by),
        if facts.ok { "ok" } else { "fail" },
        facts.epoch
    )
}

pub fn lines(model: &Model, columns: usize) -> Vec<Line<'static>> {
    let theme = &model.theme;
    let Some(facts) = &model.scene.derived.cluster else {
        return vec![Line::styled("No server here is a node of a cluster.", theme.style(Role::Dim))];
    };
    let row = |label: &str, role: Role, text: String| {
        let first = Span::styled(format!("{label:<6}"), theme.style(Role::Dim));
        wrap_behind(first, Span::raw(" ".repeat(6)), &[Span::styled(clean(&text), theme.style(role))], columns)
    };
    let mut lines: Vec<Line> = Vec::new();
    for vote in &facts.votes {
        lines.extend(row("vote", Role::Warn, vote_words(vote, model.scene.world.now)));
    }
    lines.extend(map(model, facts, columns));
    lines.extend(typed_key(model, facts, columns));
    if facts.frozen || facts.under_way > 0 && !facts.votes.is_empty() {
        lines.extend(row("net", Role::Note, format!("{} messages under way", facts.under_way)));
        for (i, (from, to, what)) in facts.messages.iter().enumerate() {
            let text = format!("{from} {} {to}  {what}", theme.symbols.arrow);
            lines.extend(row(if i == 0 { " next" } else { "" }, Role::Text, text));
        }
    }
    for (at, node) in facts.nodes.iter().enumerate() {
        lines.extend(listed(model, facts, at, node, columns));
    }
    lines.extend(facts.redirections.iter().map(|it| redirected(model, it, columns)));
    for [a, b] in &facts.cuts {
        lines.extend(row("cut", Role::Bad, format!("{a} and {b} cannot reach each other")));
    }
    if !facts.hot.is_empty() {
        let hot: Vec<String> = facts.hot.iter().map(|(slot, keys)| format!("{slot} ({keys})")).collect();
        lines.extend(row("hot", Role::Dim, format!("slots with the most keys: {}", hot.join(", "))));
    }
    lines
}

/// The mark of a node in list and map: 1 to 9, then letters.
fn digit(at: usize) -> char {
    char::from_digit(at as u32 + 1, 36).unwrap_or('*')
}

fn listed(model: &Model, facts: &Facts, at: usize, node: &Node, columns: usize) -> Vec<Line<'static>> {
    let theme = &model.theme;
    let indent = if node.replica { "  " } else { "" };
    let well = !node.failed && !node.suspected && node.running != Some(false);
    let role = if well { Role::Text } else { Role::Bad };
    let mark = if well { theme.symbols.dot } else { theme.symbols.lanes[3] };
    let first = Span::styled(format!("{indent}{} ", digit(at)), theme.lane(at));
    let mut text = vec![
        Span::styled(format!("{mark} "), theme.style(role)),
        Span::styled(clean(&node.name), theme.style(Role::Strong)),
        Span::styled(format!(" :{} ", node.port), theme.style(Role::Dim)),
        Span::styled(clean(&node_words(facts, node)), theme.style(role)),
    ];
    for lane in &node.residents {
        text.push(Span::styled(format!(" {}", letter(*lane)), theme.lane(*lane)));
    }
    if !node.thinks.is_empty() {
        text.push(Span::styled(format!("  sees: {}", clean(&node.thinks.join(", "))), theme.style(Role::Warn)));
    }
    wrap_behind(first, Span::raw(format!("{indent}    ")), &text, columns)
}

/// The slots, as many to a cell as the zoom says; then what moves.
fn map(model: &Model, facts: &Facts, columns: usize) -> Vec<Line<'static>> {
    let theme = &model.theme;
    let (from, span) = model.slots_seen(columns);
    let cells = columns.min(span);
    let typed = typed_slot(model);
    let mut spans = Vec::new();
    let mut marks = Vec::new();
    for cell in 0..cells {
        let (first, last) = (from + cell * span / cells, (from + (cell + 1) * span / cells).saturating_sub(1));
        let has = |slot: u16| (first..=last.max(first)).contains(&usize::from(slot));
        let owner = facts.owner(u16::try_from(first).unwrap_or(u16::MAX));
        let (text, style) = match owner {
            Some(at) => (digit(at).to_string(), theme.lane(at)),
            None => (theme.symbols.empty.to_owned(), theme.style(Role::Bad)),
        };
        let hot = facts.hot.iter().any(|(slot, _)| has(*slot));
        spans.push(Span::styled(text, if hot { style.add_modifier(Modifier::REVERSED) } else { style }));
        let (mark, role) = if typed.is_some_and(has) {
            ("^", Role::Strong)
        } else if facts.moving.iter().any(|(slot, ..)| has(*slot)) {
            (theme.symbols.arrow, Role::Warn)
        } else {
            (" ", Role::Text)
        };
        marks.push(Span::styled(mark, theme.style(role)));
    }
    let each = (span / cells.max(1)).max(1);
    let zoom = if span < SLOTS { "; + - zoom, left and right move" } else { "; + zooms" };
    let head = format!("slots {from} to {}, {each} to a cell{zoom}", from + span - 1);
    let mut lines =
        vec![Line::styled(cut(&head, columns, theme.symbols.cut), theme.style(Role::Dim)), Line::from(spans)];
    if typed.is_some() || !facts.moving.is_empty() {
        lines.push(Line::from(marks));
    }
    let name =
        |at: Option<usize>| at.map_or("?".to_owned(), |at| format!("{} {}", digit(at), clean(&facts.nodes[at].name)));
    for (slot, from, to) in facts.moving.iter().take(3) {
        let text = format!("slot {slot} moves {} {} {}", name(*from), theme.symbols.arrow, name(*to));
        lines.push(Line::styled(cut(&text, columns, theme.symbols.cut), theme.style(Role::Warn)));
    }
    if facts.moving.len() > 3 {
        lines.push(Line::styled(format!("and {} more slots move", facts.moving.len() - 3), theme.style(Role::Warn)));
    }
    if facts.unowned() > 0 {
        let text = format!("{} slots belong to nobody", facts.unowned());
        lines.push(Line::styled(text, theme.style(Role::Bad)));
    }
    lines
}

/// The slot of the first key in the line that is being typed.
fn typed_slot(model: &Model) -> Option<u16> {
    keys_of(model.shell()?.input.text()).first().map(|key| hashed(key).slot)
}

/// Key, CRC16, slot, node: while it is typed.
fn typed_key(model: &Model, facts: &Facts, columns: usize) -> Vec<Line<'static>> {
    let theme = &model.theme;
    let keys = model.shell().map(|shell| keys_of(shell.input.text())).unwrap_or_default();
    let mut lines = Vec::new();
    for key in keys.iter().take(3) {
        let hashed = hashed(key);
        let node = facts
            .owner(hashed.slot)
            .map_or("nobody".to_owned(), |at| format!("{} {}", digit(at), facts.nodes[at].name));
        let text = format!("{} {} {node}", hash_words(&hashed), theme.symbols.arrow);
        let first = Span::styled("key   ", theme.style(Role::Dim));
        lines.extend(wrap_behind(
            first,
            Span::raw("      "),
            &[Span::styled(clean(&text), theme.style(Role::Code))],
            columns,
        ));
    }
    lines
}

/// `A n1 MOVED -> n2  slot 8123  GET user:1`.
fn redirected(model: &Model, it: &Redirection, columns: usize) -> Line<'static> {
    let theme = &model.theme;
    let who = it.lane.map_or(" ".to_owned(), |lane| letter(lane).to_string());
    let style = it.lane.map_or(theme.style(Role::Dim), |lane| theme.lane(lane));
    let (kind, arrow) = (if it.ask { "ASK" } else { "MOVED" }, theme.symbols.arrow);
    let way = format!("{} {kind} {arrow} {}", clean(&it.from), clean(&it.to));
    let rest = format!("  slot {}  {}", it.slot, clean(&it.command));
    let rest = cut(&rest, columns.saturating_sub(width(&way) + 2), theme.symbols.cut);
    Line::from(vec![
        Span::styled(format!("{who} "), style),
        Span::styled(way, theme.style(Role::Warn)),
        Span::styled(rest, theme.style(Role::Dim)),
    ])
}
