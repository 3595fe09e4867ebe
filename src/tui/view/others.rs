//! Two more pictures: who is connected and what they queue; the tables of the SQL database.

use super::super::model::Model;
use super::super::text::{clean, cut, fit, width};
use super::super::theme::Role;
use super::keyspace::shown;
use ratatui::text::{Line, Span};

/// The terminals' connections: db, transaction, watched keys, waiting.
pub fn clients(model: &Model, columns: usize) -> Vec<Line<'static>> {
    let theme = &model.theme;
    let mut lines = Vec::new();
    for instance in &model.scene.world.instances {
        for client in &instance.clients {
            let name = client.terminal.clone().unwrap_or_else(|| format!("client {}", client.id));
            let mut words = vec![format!("{} :{}", clean(&instance.name), instance.port), format!("db {}", client.db)];
            if client.blocked {
                words.push("waiting".into());
            }
            if client.subscriptions > 0 {
                words.push(format!("{} subscriptions", client.subscriptions));
            }
            if client.monitor {
                words.push("monitoring".into());
            }
            if !client.watched.is_empty() {
                let keys: Vec<String> = client.watched.iter().map(|(_, key)| shown(key)).collect();
                words.push(format!("watches {}", keys.join(" ")));
            }
            lines.push(Line::from(vec![
                Span::styled(fit(&clean(&name), 10, theme.symbols.cut), theme.style(Role::Strong)),
                Span::raw(cut(&format!(" {}", words.join(", ")), columns.saturating_sub(10), theme.symbols.cut)),
            ]));
            for (i, command) in client.queued.iter().flatten().enumerate() {
                let words: Vec<String> = command.iter().map(|arg| shown(arg)).collect();
                let text = format!("  queued {}  {}", i + 1, words.join(" "));
                lines.push(Line::styled(cut(&text, columns, theme.symbols.cut), theme.style(Role::Warn)));
            }
            if client.queued.as_ref().is_some_and(Vec::is_empty) {
                lines.push(Line::styled("  in MULTI, nothing queued yet", theme.style(Role::Warn)));
            }
        }
    }
    if lines.is_empty() {
        lines.push(Line::styled("Nobody is connected.", theme.style(Role::Dim)));
    }
    lines
}

/// Each table with its first rows.
pub fn tables(model: &Model, columns: usize) -> Vec<Line<'static>> {
    let theme = &model.theme;
    let mut lines = Vec::new();
    for table in &model.scene.world.sql {
        let count = table.rows.len();
        lines.push(Line::from(vec![
            Span::styled(clean(&table.name), theme.style(Role::Strong)),
            Span::styled(format!("  {count} row{}", if count == 1 { "" } else { "s" }), theme.style(Role::Dim)),
        ]));
        let widths: Vec<usize> = table
            .columns
            .iter()
            .enumerate()
            .map(|(i, name)| {
                table
                    .rows
                    .iter()
                    .filter_map(|row| row.get(i))
                    .map(|cell| width(&clean(cell)))
                    .fold(width(name), usize::max)
                    .min(24)
            })
            .collect();
        let row = |cells: &[String]| -> String {
            let cells: Vec<String> =
                cells.iter().zip(&widths).map(|(cell, wide)| fit(&clean(cell), *wide, theme.symbols.cut)).collect();
            cut(&format!("  {}", cells.join("  ")), columns, theme.symbols.cut)
        };
        lines.push(Line::styled(row(&table.columns), theme.style(Role::Dim)));
        lines.extend(table.rows.iter().map(|cells| Line::raw(row(cells))));
        lines.push(Line::default());
    }
    lines
}
