//! The vocabulary: one entry for each kind of assertion. Parsing, messages to authors and the author reference follow from it.

use super::form::{Field, Node, Reader, Tree, spelled_like};
use super::{
    Assertion, acl, answer, client, cluster, config, db, fate, future, instance, key, logic, persist, race,
    replication, saw, slot, sql,
};

/// One kind of assertion.
pub struct Kind {
    pub name: &'static str,
    pub about: &'static str,
    /// Empty if it takes no map.
    pub fields: &'static [Field],
    /// YAML that stands for itself.
    pub example: &'static str,
    pub read: fn(&Kind, &Node, &mut Reader) -> Option<Assertion>,
}

pub const KINDS: &[Kind] = &[
    key::KEY,
    key::INT,
    db::DB,
    config::CONFIG,
    config::FILE_CONFIG,
    persist::FILE,
    persist::PERSIST,
    client::CLIENT,
    saw::SAW,
    race::STALE_READ,
    race::LOST_UPDATE,
    race::ORDERS,
    instance::INSTANCE,
    replication::REPLICATION,
    cluster::CLUSTER,
    slot::SLOT,
    acl::ACL,
    fate::LOST,
    fate::EXPIRED,
    fate::EVICTED,
    fate::DELETED,
    answer::ANSWER,
    sql::SQL,
    future::PROBE,
    future::FUTURE,
    logic::ALL,
    logic::ANY,
    logic::NOT,
];

/// A map of one or more kinds; all of them have to hold.
pub fn read(node: &Node, reader: &mut Reader) -> Option<Assertion> {
    match &node.tree {
        Tree::Map(_) => {
            let entries: Vec<&(Node, Node)> = reader.entries(node).iter().collect();
            read_entries(node.at, &entries, reader)
        }
        _ => {
            reader.complain(node.at, "expected a check: a map with one of its kinds", example());
            None
        }
    }
}

/// Entries of a map that are checks, such as a goal's without `say` and `when`.
pub fn read_entries(at: u32, entries: &[&(Node, Node)], reader: &mut Reader) -> Option<Assertion> {
    if entries.is_empty() {
        reader.complain(at, "there is no check here", example());
        return None;
    }
    let mut all = Vec::new();
    let mut complete = true;
    for (key, value) in entries {
        let name = key.scalar().unwrap_or("");
        let Some(kind) = KINDS.iter().find(|kind| kind.name == name) else {
            let help = spelled_like(name, KINDS.iter().map(|kind| kind.name));
            reader.complain(key.at, format!("`{name}` is no kind of check"), help);
            complete = false;
            continue;
        };
        match (kind.read)(kind, value, reader) {
            Some(assertion) => all.push(assertion),
            None => complete = false,
        }
    }
    match (complete, all.len()) {
        (false, _) => None,
        (true, 1) => all.pop(),
        (true, _) => Some(Assertion::of(logic::All(all))),
    }
}

fn example() -> String {
    format!("for example {}", KINDS[0].example)
}

/// The author reference's part on checks.
pub fn reference() -> String {
    use std::fmt::Write;
    let mut out = String::new();
    for kind in KINDS {
        writeln!(out, "{}\n    {}", kind.name, kind.about).expect("writing to a String never fails");
        for field in kind.fields {
            let mark = if field.required { " (required)" } else { "" };
            let line = format!("      {}: {}{}", field.name, field.form, mark);
            writeln!(out, "{line}\n          {}", field.about).expect("writing to a String never fails");
        }
        writeln!(out, "    Example:  {}\n", kind.example).expect("writing to a String never fails");
    }
    out
}
