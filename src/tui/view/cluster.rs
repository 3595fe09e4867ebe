//! The cluster: nodes with their roles, the slot map with zoom, the key that is being typed on its way to its node, votes, the
//! messages under way, and redirections as arrows. A node's digit is the same in the list and in the map.

use super::super::model::{Focus, Model};
use super::super::text::{clean, cut, width, wrap, wrap_behind};
use super::super::theme::Role;
use crate::base::slot::SLOTS;
use crate::picture::cluster::{
    Facts, Node, Redirection, counted, cut_words, hash_words, hot_words, node_words, sees_words, stranger_words,
    vote_words,
};
use crate::picture::letter;
use ratatui::style::Modifier;
use ratatui::text::{Line, Span};

pub fn lines(model: &Model, columns: usize) -> Vec<Line<'static>> {
    let theme = &model.theme;
    let Some(facts) = model.cluster() else {
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
        let still = if facts.frozen { "stands still; " } else { "" };
        lines.extend(row("net", Role::Note, format!("{still}{} under way", counted(facts.under_way, "message"))));
        for (i, (from, to, what)) in facts.messages.iter().enumerate() {
            let text = format!("{from} {} {to}  {what}", theme.symbols.arrow);
            lines.extend(row(if i == 0 { " next" } else { "" }, Role::Text, text));
        }
    }
    // What has just happened stands above the nodes, which may be many.
    lines.extend(facts.redirections.iter().map(|it| redirected(model, it, columns)));
    lines.extend(facts.cuts.iter().flat_map(|cut| row("cut", Role::Bad, cut_words(cut))));
    for node in &facts.nodes {
        lines.extend(listed(model, facts, node, columns));
    }
    for it in &facts.strangers {
        let role = if it.knows.is_some() { Role::Text } else { Role::Bad };
        let name = (it.mark, it.name.as_str(), it.port);
        lines.extend(entry(model, "", name, role, &stranger_words(facts, it), &it.residents, "", columns));
    }
    lines.extend(hot_words(facts).into_iter().flat_map(|words| row("keys", Role::Dim, words)));
    lines
}

/// The mark of a node in list and map: 1 to 9, then letters.
fn digit(mark: usize) -> char {
    char::from_digit(mark as u32 + 1, 36).unwrap_or('*')
}

fn listed(model: &Model, facts: &Facts, node: &Node, columns: usize) -> Vec<Line<'static>> {
    let well = !node.failed && !node.suspected && node.running != Some(false);
    let role = if well { Role::Text } else { Role::Bad };
    let sees = if node.thinks.is_empty() { String::new() } else { format!("  sees: {}", sees_words(facts, node)) };
    let (indent, name) = (if node.replica { "  " } else { "" }, (node.mark, node.name.as_str(), node.port));
    entry(model, indent, name, role, &node_words(facts, node), &node.residents, &sees, columns)
}

/// A server in the list: its mark, name and port, what it is, who is connected to it, and what it sees differently.
#[allow(clippy::too_many_arguments)]
fn entry(
    model: &Model,
    indent: &str,
    (mark, name, port): (usize, &str, u16),
    role: Role,
    words: &str,
    residents: &[usize],
    sees: &str,
    columns: usize,
) -> Vec<Line<'static>> {
    let theme = &model.theme;
    let sign = if role == Role::Bad { theme.symbols.lanes[3] } else { theme.symbols.dot };
    let first = Span::styled(format!("{indent}{} ", digit(mark)), theme.lane(mark));
    let mut text = vec![
        Span::styled(format!("{sign} "), theme.style(role)),
        Span::styled(clean(name), theme.style(Role::Strong)),
        Span::styled(format!(" :{port} "), theme.style(Role::Dim)),
        Span::styled(clean(words), theme.style(role)),
    ];
    for lane in residents {
        text.push(Span::styled(format!(" {}", letter(*lane)), theme.lane(*lane)));
    }
    if !sees.is_empty() {
        text.push(Span::styled(clean(sees), theme.style(Role::Warn)));
    }
    wrap_behind(first, Span::raw(format!("{indent}    ")), &text, columns)
}

/// The slots, as many to a cell as the zoom says; then what moves.
fn map(model: &Model, facts: &Facts, columns: usize) -> Vec<Line<'static>> {
    let theme = &model.theme;
    let (from, span) = model.slots_seen(columns);
    let cells = columns.min(span);
    let typed = model.typed_keys().first().map(|key| key.slot);
    let mut spans = Vec::new();
    let mut marks = Vec::new();
    for cell in 0..cells {
        let (first, last) = (from + cell * span / cells, (from + (cell + 1) * span / cells).saturating_sub(1));
        let has = |slot: u16| (first..=last.max(first)).contains(&usize::from(slot));
        let owner = facts.owner(u16::try_from(first).unwrap_or(u16::MAX));
        let (text, style) = match owner {
            Some(at) => (digit(facts.nodes[at].mark).to_string(), theme.lane(facts.nodes[at].mark)),
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
    let lines = head(model, facts, (from, span), cells);
    let lines = wrap(&[Span::styled(lines, theme.style(Role::Dim))], columns);
    let mut lines: Vec<Line> = lines;
    lines.push(Line::from(spans));
    if typed.is_some() || !facts.moving.is_empty() {
        lines.push(Line::from(marks));
    }
    let name = |at: Option<usize>| at.map_or("?".to_owned(), |at| marked(&facts.nodes[at]));
    for (slot, from, to) in facts.moving.iter().take(3) {
        let text = format!("slot {slot} moves {} {} {}", name(*from), theme.symbols.arrow, name(*to));
        lines.push(Line::styled(cut(&text, columns, theme.symbols.cut), theme.style(Role::Warn)));
    }
    if facts.moving.len() > 3 {
        lines.push(Line::styled(format!("and {} more slots move", facts.moving.len() - 3), theme.style(Role::Warn)));
    }
    if facts.unowned() > 0 {
        let text = match facts.unowned() {
            1 => "1 slot belongs to nobody".to_owned(),
            slots => format!("{slots} slots belong to nobody"),
        };
        lines.push(Line::styled(text, theme.style(Role::Bad)));
    }
    lines
}

/// `3 n3`.
fn marked(node: &Node) -> String {
    format!("{} {}", digit(node.mark), clean(&node.name))
}

/// Whose view it is, what it thinks of the whole, and which slots the map shows.
fn head(model: &Model, facts: &Facts, (from, span): (usize, usize), cells: usize) -> String {
    let seen = match facts.seen_by.as_str() {
        "" => "no node runs".to_owned(),
        name => {
            format!("as {} sees it: {}, epoch {}", clean(name), if facts.ok { "ok" } else { "fail" }, facts.epoch)
        }
    };
    let each = counted((span / cells.max(1)).max(1), "slot");
    let slots = match span < SLOTS {
        true => format!("slots {from} to {}, {each} to a cell", from + span - 1),
        false => format!("{each} to a cell"),
    };
    let keys = match (model.focus == Focus::Picture, span < SLOTS) {
        (true, true) => "; + - zoom, left and right move",
        (true, false) => "; + zooms",
        _ => "",
    };
    format!("{seen}; {slots}{keys}")
}

/// Key, CRC16, slot, node: while it is typed.
fn typed_key(model: &Model, facts: &Facts, columns: usize) -> Vec<Line<'static>> {
    let theme = &model.theme;
    let mut lines = Vec::new();
    for key in model.typed_keys().iter().take(3) {
        let node = facts.owner(key.slot).map_or("nobody".to_owned(), |at| marked(&facts.nodes[at]));
        let text = format!("{} {} {node}", hash_words(key), theme.symbols.arrow);
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
