//! `sql`: what a query finds in the lab's database. It runs in a copy, so that looking leaves no trace.

use super::form::needed;
use super::script::{Act, Script};
use super::table::Kind;
use super::{Assertion, Check, Look, Probe, Verdict};

pub const SQL: Kind = Kind {
    name: "sql",
    about: "The one value that a query gives.",
    fields: &[
        needed("query", "SELECT", "a query with one column and one row"),
        needed("equals", "TEXT", "its value as text; an empty text for NULL or no row"),
    ],
    example: r#"sql: {query: "SELECT count(*) FROM sessions", equals: "1"}"#,
    read: |kind, node, reader| {
        let fields = reader.fields(node, "`sql`", kind.fields)?;
        let query = reader.text(fields.get("query")?)?;
        Some(Assertion::of(SqlCheck { query, equals: reader.text(fields.get("equals")?)? }))
    },
};

#[derive(Clone, Debug)]
struct SqlCheck {
    query: String,
    equals: String,
}

impl Check for SqlCheck {
    fn judge(&self, probe: &dyn Probe) -> Verdict {
        let Some(attempt) = probe.attempt(&[Act::Run(Script::line("sql", self.query.clone()))]) else {
            return Verdict::new(false, "The table cannot be looked at here.");
        };
        let printed = attempt.printed.first().map_or("", String::as_str);
        let found = value_of(printed);
        Verdict::new(found == self.equals, format!("The table answers `{found}`."))
    }

    fn look_at(&self) -> Vec<Look> {
        vec![Look::Table(String::new())]
    }

    fn literals(&self) -> Vec<String> {
        Vec::new()
    }
}

/// The single value in what an SQL client printed: the line after the one of dashes, without bars.
fn value_of(printed: &str) -> String {
    let mut lines = printed.lines();
    let is_rule = |line: &str| !line.is_empty() && line.chars().all(|c| "-+| =".contains(c));
    let after_rule = lines.by_ref().skip_while(|line| !is_rule(line)).find(|line| !is_rule(line));
    let line = after_rule.unwrap_or_else(|| printed.lines().next().unwrap_or(""));
    if line.starts_with('(') && line.ends_with(')') {
        return String::new();
    }
    line.trim().trim_matches('|').trim().to_owned()
}
