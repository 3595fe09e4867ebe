//! `lost`, `expired`, `evicted`, `deleted`: how a key went, told from the history and the state.

use super::form::{Range, Reader, field, like};
use super::table::Kind;
use super::{Assertion, Check, Look, Probe, Verdict, key_of};
use crate::base::{Bytes, quote};
use crate::losses::{self, Why};
use crate::snapshot::{Event, State, What};

const FIELDS: &[super::form::Field] = &[
    field("name", "TEXT", "the key"),
    field("match", "PATTERN", "instead of `name`: all keys like this, of all databases"),
    field("count", "N or RANGE", "with `match`: how many of them (at least 1)"),
    field("on", "INSTANCE", "which instance; needed if there are several"),
    field("db", "N", "with `name`: which database (0)"),
];

pub const LOST: Kind = Kind {
    name: "lost",
    about: "The key was written in this exercise, nobody removed it, and after a crash or restart it is not there.",
    fields: FIELDS,
    example: r#"lost: {name: "session:b2"}"#,
    read: |kind, node, reader| read(kind, node, reader, Fate::Lost),
};

pub const EXPIRED: Kind = Kind {
    name: "expired",
    about: "The key's time came to its end in this exercise.",
    fields: FIELDS,
    example: r#"expired: {name: "session:a1"}"#,
    read: |kind, node, reader| read(kind, node, reader, Fate::Expired),
};

pub const EVICTED: Kind = Kind {
    name: "evicted",
    about: "The server removed the key in this exercise because memory was short.",
    fields: FIELDS,
    example: r#"evicted: {match: "cache:*", count: {at_least: 1}}"#,
    read: |kind, node, reader| read(kind, node, reader, Fate::Evicted),
};

pub const DELETED: Kind = Kind {
    name: "deleted",
    about: "A command removed the key in this exercise.",
    fields: FIELDS,
    example: r#"deleted: {name: "session:a1"}"#,
    read: |kind, node, reader| read(kind, node, reader, Fate::Deleted),
};

fn read(kind: &Kind, node: &super::form::Node, reader: &mut Reader, fate: Fate) -> Option<Assertion> {
    let fields = reader.fields(node, &format!("`{}`", kind.name), kind.fields)?;
    let on = reader.on(&fields)?;
    if let Some(node) = fields.get("match") {
        let pattern = reader.text(node)?;
        let count = reader.maybe(&fields, "count", Reader::range)?.unwrap_or(Range::AT_LEAST_ONE);
        return Some(Assertion::of(FatesCheck { on, pattern, count, fate }));
    }
    let Some(name) = fields.get("name") else {
        reader.complain(fields.at, format!("`{}` needs `name` or `match`", kind.name), kind.example);
        return None;
    };
    let name = reader.text(name)?.into();
    let db = reader.db(&fields, "db")?;
    Some(Assertion::of(FateCheck { on, db, name, fate }))
}

/// What became of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    Lost,
    Expired,
    Evicted,
    Deleted,
}

/// How the keyspace event `event` took its key away; None: the key is there after it. (`flushdb` is about no key of its own.)
pub fn fate_by(event: &str) -> Option<Fate> {
    match event {
        "expired" => Some(Fate::Expired),
        "evicted" => Some(Fate::Evicted),
        "del" | "rename_from" | "move_from" => Some(Fate::Deleted),
        _ => None,
    }
}

/// How `key` last went according to `events`; None if nothing there took it away. Whether it is there now is another question.
fn fate_of(events: &[Event], instance: &str, db: usize, key: &[u8]) -> Option<Fate> {
    let mut there = false;
    let mut fate = None;
    for event in events {
        match &event.what {
            What::Key { db: at, key: name, event: what, .. }
                if event.instance == instance && *at == db && *name == *key =>
            {
                fate = fate_by(what);
                there = fate.is_none();
            }
            What::Key { db: at, event: what, .. } if event.instance == instance && *at == db && what == "flushdb" => {
                fate = if there { Some(Fate::Deleted) } else { fate };
                there = false;
            }
            What::PowerCut if there => fate = Some(Fate::Lost),
            What::Process { state, .. } if there && event.instance == instance && *state != State::Running => {
                fate = Some(Fate::Lost);
            }
            _ => {}
        }
    }
    fate
}

#[derive(Clone, Debug)]
struct FateCheck {
    on: String,
    db: usize,
    name: Bytes,
    fate: Fate,
}

impl Check for FateCheck {
    fn judge(&self, probe: &dyn Probe) -> Verdict {
        let name = quote::word_of(&self.name);
        let world = probe.world();
        if key_of(world, &self.on, self.db, &self.name).is_some() {
            return Verdict::new(false, format!("`{name}` is there."));
        }
        let running = super::instance_of(world, &self.on).is_some_and(|each| each.state == State::Running);
        let found = fate_of(probe.events(), &self.on, self.db, &self.name);
        // While the server is down nobody knows yet what it will find when it starts.
        let found = found.filter(|fate| *fate != Fate::Lost || running);
        let saw = match found {
            None => format!("Nothing took `{name}` away in this exercise."),
            Some(Fate::Lost) => format!("`{name}` was lost with the process."),
            Some(Fate::Expired) => format!("`{name}` expired."),
            Some(Fate::Evicted) => format!("`{name}` was evicted."),
            Some(Fate::Deleted) => format!("A command removed `{name}`."),
        };
        Verdict::new(found == Some(self.fate), saw)
    }

    fn look_at(&self) -> Vec<Look> {
        vec![Look::Key { instance: self.on.clone(), db: self.db, name: self.name.clone() }]
    }

    fn literals(&self) -> Vec<String> {
        vec![self.name.lossy().into_owned()]
    }
}

/// How many keys of a pattern went in one way.
#[derive(Clone, Debug)]
struct FatesCheck {
    on: String,
    pattern: String,
    count: Range,
    fate: Fate,
}

impl Check for FatesCheck {
    fn judge(&self, probe: &dyn Probe) -> Verdict {
        let count = match self.fate {
            Fate::Lost => self.lost(probe),
            Fate::Expired | Fate::Evicted | Fate::Deleted => self.went(probe),
        };
        let keys = if count == 1 { "1 key".to_owned() } else { format!("{count} keys") };
        let how = match self.fate {
            Fate::Lost => "lost in a crash",
            Fate::Expired => "expired",
            Fate::Evicted => "evicted",
            Fate::Deleted => "removed by commands",
        };
        let was = if count == 1 { "was" } else { "were" };
        let saw = format!("On `{}` {keys} like `{}` {was} {how} in this exercise.", self.on, self.pattern);
        Verdict::new(self.count.holds(count as i64), saw)
    }

    fn look_at(&self) -> Vec<Look> {
        vec![Look::Instance(self.on.clone())]
    }

    fn literals(&self) -> Vec<String> {
        Vec::new()
    }
}

impl FatesCheck {
    /// Different keys that went so, even if they came again.
    fn went(&self, probe: &dyn Probe) -> usize {
        let mut names = std::collections::BTreeSet::new();
        let mut there = std::collections::BTreeSet::new();
        for event in probe.events().iter().filter(|event| event.instance == self.on) {
            let What::Key { db, key, event: what, .. } = &event.what else { continue };
            if what == "flushdb" {
                let gone: Vec<_> = there.iter().filter(|(at, _)| at == db).cloned().collect();
                there.retain(|(at, _)| at != db);
                names.extend(gone.into_iter().filter(|_| self.fate == Fate::Deleted));
            } else if like(&self.pattern, &key.lossy()) {
                let key = (*db, key.clone());
                match fate_by(what) {
                    None => drop(there.insert(key)),
                    Some(fate) => {
                        there.remove(&key);
                        names.extend(Some(key).filter(|_| fate == self.fate));
                    }
                }
            }
        }
        names.len()
    }

    /// While the server is down nobody knows yet what it will find when it starts: none is lost.
    fn lost(&self, probe: &dyn Probe) -> usize {
        let accounts = losses::accounts(probe.world(), probe.events());
        let account = accounts.iter().find(|account| account.instance == self.on);
        let crash = |why: Why| matches!(why, Why::PowerCut | Why::Killed | Why::Ended);
        let lost = account.map_or(&[][..], |account| &account.losses);
        lost.iter().filter(|loss| crash(loss.why) && like(&self.pattern, &loss.key.lossy())).count()
    }
}
