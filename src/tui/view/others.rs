//! The tables of the SQL database.

use super::super::model::Model;
use super::super::text::{clean, cut, fit, width};
use super::super::theme::Role;
use ratatui::text::{Line, Span};

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
