//! The `sql>` prompt: one statement a line, on the machine's SQL database.

use super::line::{Class, Line};
use crate::port::Backend;

/// What a line at the prompt leads to.
pub(super) enum Next {
    Print(Vec<Line>),
    /// Back to the `$` shell.
    Leave,
}

pub(super) fn submit(line: &str, backend: &mut dyn Backend) -> Next {
    let statement = line.trim();
    let statement = match statement.trim_end_matches(';').trim_end().to_ascii_lowercase().as_str() {
        "" => return Next::Print(Vec::new()),
        "exit" | "quit" | ".quit" | ".exit" | "\\q" => return Next::Leave,
        "help" | ".help" | "\\h" | "?" => {
            return Next::Print(HELP.iter().map(|line| Line::new(Class::Note, line)).collect());
        }
        ".tables" | "show tables" | "\\d" => "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name",
        ".schema" => "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY name",
        _ => statement,
    };
    Next::Print(match backend.sql(statement) {
        Ok(lines) => lines.iter().flat_map(|line| Line::split(Class::Plain, line)).collect(),
        Err(error) => Line::split(Class::Error, &format!("Error: {error}")),
    })
}

const HELP: &[&str] = &[
    "An SQL statement, on one line. now() is the lab's clock.",
    ".tables  the tables        .schema  how they were made        exit  back to the shell",
];
