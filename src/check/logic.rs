//! `all`, `any`, `not`: checks made of checks.

use super::form::{Node, Reader};
use super::table::{self, Kind};
use super::{Assertion, Check, Look, Probe, Verdict};

pub const ALL: Kind = Kind {
    name: "all",
    about: "Every check of a list holds. Several checks in one map mean the same.",
    fields: &[],
    example: r#"all: [{key: {name: "session:a1", exists: true}}, {db: {size: 1}}]"#,
    read: |_, node, reader| Some(Assertion::of(All(list(node, reader)?))),
};

pub const ANY: Kind = Kind {
    name: "any",
    about: "At least one check of a list holds.",
    fields: &[],
    example: r#"any: [{saw: {cmd: SAVE}}, {saw: {cmd: BGSAVE}}]"#,
    read: |_, node, reader| Some(Assertion::of(Any(list(node, reader)?))),
};

pub const NOT: Kind = Kind {
    name: "not",
    about: "The check does not hold.",
    fields: &[],
    example: r#"not: {saw: {cmd: KEYS}}"#,
    read: |_, node, reader| Some(Assertion::of(Not(table::read(node, reader)?))),
};

fn list(node: &Node, reader: &mut Reader) -> Option<Vec<Assertion>> {
    let items = reader.list(node);
    if items.is_empty() {
        reader.complain(node.at, "expected a list of checks", "");
    }
    let read: Vec<Option<Assertion>> = items.iter().map(|item| table::read(item, reader)).collect();
    read.into_iter().collect::<Option<Vec<_>>>().filter(|checks| !checks.is_empty())
}

#[derive(Clone, Debug)]
pub struct All(pub Vec<Assertion>);

impl Check for All {
    fn judge(&self, probe: &dyn Probe) -> Verdict {
        let mut saw = Vec::new();
        for check in &self.0 {
            let verdict = check.judge(probe);
            if !verdict.met {
                return verdict;
            }
            saw.push(verdict.saw);
        }
        Verdict::new(true, saw.join(" "))
    }

    fn look_at(&self) -> Vec<Look> {
        self.0.iter().flat_map(|check| check.look_at()).collect()
    }

    fn literals(&self) -> Vec<String> {
        self.0.iter().flat_map(|check| check.literals()).collect()
    }
}

#[derive(Clone, Debug)]
pub struct Any(pub Vec<Assertion>);

impl Check for Any {
    fn judge(&self, probe: &dyn Probe) -> Verdict {
        let mut first = None;
        for check in &self.0 {
            let verdict = check.judge(probe);
            if verdict.met {
                return verdict;
            }
            first.get_or_insert(verdict);
        }
        first.unwrap_or_default()
    }

    fn look_at(&self) -> Vec<Look> {
        self.0.iter().flat_map(|check| check.look_at()).collect()
    }

    /// The learner has to know one way, and which one is free: none is asked for.
    fn literals(&self) -> Vec<String> {
        self.0.first().map(|check| check.literals()).unwrap_or_default()
    }
}

#[derive(Clone, Debug)]
pub struct Not(pub Assertion);

impl Check for Not {
    fn judge(&self, probe: &dyn Probe) -> Verdict {
        let verdict = self.0.judge(probe);
        Verdict { met: !verdict.met, ..verdict }
    }

    fn look_at(&self) -> Vec<Look> {
        self.0.look_at()
    }

    /// What must not be need not be known.
    fn literals(&self) -> Vec<String> {
        Vec::new()
    }
}
