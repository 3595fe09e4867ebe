//! `key` and `int`: one key of one database, as a look that never touches it finds it.

use super::form::{Range, Reader, field, needed};
use super::table::Kind;
use super::{Assertion, Check, Look, Probe, Verdict, instance_of, key_of};
use crate::base::{Bytes, Millis, quote};
use crate::snapshot::{self, State, Value};

pub const KEY: Kind = Kind {
    name: "key",
    about: "One key: whether it is there, its type, value and time to live.",
    fields: &[
        needed("name", "TEXT", "the key"),
        field("on", "INSTANCE", "which instance; needed if there are several"),
        field("db", "N", "which database (0)"),
        field("exists", "true | false", "whether it is there; true if only `name` is given"),
        field("type", "string | hash | list | set | zset | stream", "as TYPE answers"),
        field("equals", "TEXT", "a string with exactly this value"),
        field("not_equals", "TEXT", "a string with another value"),
        field("length", "N or RANGE", "bytes of a string, items of anything else"),
        field("ttl", "none | N or RANGE in seconds", "time to live; `none`: it stays for ever"),
        field("expires_at", "N or RANGE in Unix seconds", "when it ends, as EXPIRETIME answers"),
        field("encoding", "TEXT", "as OBJECT ENCODING answers"),
        field("fields", "{FIELD: VALUE}", "a hash with these fields (others may be there too)"),
        field("lacks", "FIELD or MEMBER, or a list", "fields, members or items that it must not have"),
        field("members", "[MEMBER]", "a set with exactly these members"),
        field("has", "[MEMBER]", "a set, list or sorted set with at least these"),
        field("items", "[ITEM]", "a list with exactly these items in this order"),
        field("scores", "{MEMBER: SCORE}", "a sorted set with exactly these members and scores"),
    ],
    example: r#"key: {name: "session:a1", equals: alice, ttl: {between: [1, 1800]}}"#,
    read: |kind, node, reader| {
        let fields = reader.fields(node, "`key`", kind.fields)?;
        let name = reader.text(fields.get("name")?)?;
        let on = reader.on(&fields)?;
        let db = reader.db(&fields, "db")?;
        let mut wants = Vec::new();
        for wanted in kind.fields {
            if let Some(node) = fields.get(wanted.name)
                && !["name", "on", "db"].contains(&wanted.name)
            {
                wants.push(want(wanted.name, node, reader)?);
            }
        }
        if wants.is_empty() {
            wants.push(Want::Exists(true));
        }
        Some(Assertion::of(KeyCheck { on, db, name: name.into(), wants }))
    },
};

pub const INT: Kind = Kind {
    name: "int",
    about: "A string that holds a whole number, within bounds.",
    fields: &[
        needed("name", "TEXT", "the key"),
        field("on", "INSTANCE", "which instance; needed if there are several"),
        field("db", "N", "which database (0)"),
        field("equals", "N", "exactly"),
        field("min", "N", "at least"),
        field("max", "N", "at most"),
    ],
    example: r#"int: {name: "page:home", min: 4}"#,
    read: |kind, node, reader| {
        let fields = reader.fields(node, "`int`", kind.fields)?;
        let name = reader.text(fields.get("name")?)?;
        let on = reader.on(&fields)?;
        let db = reader.db(&fields, "db")?;
        let mut bound = |name: &str, default: i64| match fields.get(name).or_else(|| fields.get("equals")) {
            Some(node) => reader.number(node, "a whole number"),
            None => Some(default),
        };
        let range = Range { min: bound("min", i64::MIN)?, max: bound("max", i64::MAX)? };
        Some(Assertion::of(KeyCheck { on, db, name: name.into(), wants: vec![Want::Int(range)] }))
    },
};

/// One thing that a key should be.
#[derive(Clone, Debug, PartialEq)]
enum Want {
    Exists(bool),
    Type(&'static str),
    Equals(Bytes),
    Differs(Bytes),
    Int(Range),
    Length(Range),
    NoTtl,
    Ttl(Range),
    ExpiresAt(Range),
    Encoding(String),
    Fields(Vec<(String, String)>),
    Lacks(Vec<String>),
    Members(Vec<String>),
    Has(Vec<String>),
    Items(Vec<String>),
    Scores(Vec<(String, f64)>),
}

const TYPES: &[(&str, &str)] =
    &[("string", "string"), ("hash", "hash"), ("list", "list"), ("set", "set"), ("zset", "zset"), ("stream", "stream")];

fn want(name: &str, node: &super::form::Node, reader: &mut Reader) -> Option<Want> {
    Some(match name {
        "exists" => Want::Exists(reader.flag(node)?),
        "type" => Want::Type(reader.one_of(node, TYPES)?),
        "equals" => Want::Equals(reader.text(node)?.into()),
        "not_equals" => Want::Differs(reader.text(node)?.into()),
        "length" => Want::Length(reader.range(node)?),
        "ttl" if node.scalar() == Some("none") => Want::NoTtl,
        "ttl" => Want::Ttl(reader.range(node)?),
        "expires_at" => Want::ExpiresAt(reader.range(node)?),
        "encoding" => Want::Encoding(reader.text(node)?),
        "fields" => Want::Fields(reader.pairs(node)),
        "lacks" => Want::Lacks(reader.texts(node)),
        "members" => Want::Members(reader.texts(node)),
        "has" => Want::Has(reader.texts(node)),
        "items" => Want::Items(reader.texts(node)),
        "scores" => {
            let pairs = reader.entries(node);
            let scores = pairs.iter().map(|(key, value)| Some((reader.text(key)?, reader.number(value, "a score")?)));
            Want::Scores(scores.collect::<Option<_>>()?)
        }
        other => unreachable!("`{other}` stands in KEY.fields and has no reader"),
    })
}

#[derive(Clone, Debug)]
struct KeyCheck {
    on: String,
    db: usize,
    name: Bytes,
    wants: Vec<Want>,
}

impl Check for KeyCheck {
    fn judge(&self, probe: &dyn Probe) -> Verdict {
        let world = probe.world();
        let state = instance_of(world, &self.on).map(|instance| instance.state);
        if state != Some(State::Running) {
            let saw = format!("Nobody can look: the server `{}` is not running.", self.on);
            return Verdict::new(false, saw);
        }
        let key = key_of(world, &self.on, self.db, &self.name);
        for want in &self.wants {
            if !self.holds(want, key, world.now) {
                return Verdict::new(false, self.saw(want, key, world.now));
            }
        }
        Verdict::new(true, self.saw(&self.wants[0], key, world.now))
    }

    fn look_at(&self) -> Vec<Look> {
        vec![Look::Key { instance: self.on.clone(), db: self.db, name: self.name.clone() }]
    }

    fn literals(&self) -> Vec<String> {
        let mut out = vec![self.name.lossy().into_owned()];
        for want in &self.wants {
            match want {
                Want::Equals(value) => out.push(value.lossy().into_owned()),
                Want::Fields(pairs) => {
                    out.extend(pairs.iter().flat_map(|(field, value)| [field.clone(), value.clone()]))
                }
                Want::Members(items) | Want::Has(items) | Want::Items(items) => out.extend(items.iter().cloned()),
                Want::Scores(scores) => {
                    out.extend(scores.iter().flat_map(|(member, score)| [member.clone(), score.to_string()]));
                }
                Want::Int(range) if range.min == range.max => out.extend(range.literals()),
                _ => {}
            }
        }
        out.retain(|literal| !literal.is_empty());
        out
    }
}

impl KeyCheck {
    fn holds(&self, want: &Want, key: Option<&snapshot::Key>, now: Millis) -> bool {
        let Some(key) = key else { return matches!(want, Want::Exists(false)) };
        let same = |a: &Bytes, b: &String| *a == *b.as_str();
        match (want, &key.value) {
            (Want::Exists(yes), _) => *yes,
            (Want::Type(kind), _) => key.kind == *kind,
            (Want::Equals(wanted), Value::String(value)) => value == wanted,
            (Want::Differs(unwanted), Value::String(value)) => value != unwanted,
            (Want::Differs(_), _) => true,
            (Want::Int(range), Value::String(value)) => value.lossy().parse().is_ok_and(|n| range.holds(n)),
            (Want::Length(range), _) => range.holds(key.length as i64),
            (Want::NoTtl, _) => key.expires_at.is_none(),
            (Want::Ttl(range), _) => key.expires_at.is_some_and(|at| range.holds(ttl_s(at, now))),
            (Want::ExpiresAt(range), _) => key.expires_at.is_some_and(|at| range.holds(((at.0 + 500) / 1000) as i64)),
            (Want::Encoding(wanted), _) => key.encoding == wanted,
            (Want::Fields(wanted), Value::Hash(pairs)) => {
                wanted.iter().all(|(field, value)| pairs.iter().any(|(f, v)| same(f, field) && same(v, value)))
            }
            (Want::Lacks(unwanted), value) => {
                !unwanted.iter().any(|word| items(value).iter().any(|item| same(item, word)))
            }
            (Want::Members(wanted), Value::Set(members)) => {
                wanted.len() == members.len()
                    && wanted.iter().all(|word| members.iter().any(|member| same(member, word)))
            }
            (Want::Has(wanted), value) => wanted.iter().all(|word| items(value).iter().any(|item| same(item, word))),
            (Want::Items(wanted), Value::List(items)) => {
                wanted.len() == items.len() && items.iter().zip(wanted).all(|(item, word)| same(item, word))
            }
            (Want::Scores(wanted), Value::Zset(pairs)) => {
                wanted.len() == pairs.len()
                    && wanted.iter().all(|(member, score)| pairs.iter().any(|(m, s)| same(m, member) && s == score))
            }
            _ => false,
        }
    }

    /// What was found where `want` was asked for.
    fn saw(&self, want: &Want, key: Option<&snapshot::Key>, now: Millis) -> String {
        let name = format!("`{}`", quote::word_of(&self.name));
        let place = if self.db == 0 { String::new() } else { format!(" in database {}", self.db) };
        let Some(key) = key else { return format!("There is no key {name}{place}.") };
        let ttl = match key.expires_at {
            None => format!("{name} has no time to live."),
            Some(at) => format!("{name} lives for another {} s.", ttl_s(at, now)),
        };
        match (want, &key.value) {
            (Want::Exists(_), _) => format!("{name} is there{place}."),
            (Want::NoTtl | Want::Ttl(_), _) => ttl,
            (Want::ExpiresAt(_), _) => match key.expires_at {
                None => ttl,
                Some(at) => format!("{name} ends at {} (Unix time).", (at.0 + 500) / 1000),
            },
            (Want::Encoding(_), _) => format!("{name} is encoded as {}.", key.encoding),
            (Want::Length(_), Value::String(_)) => format!("{name} has {} bytes.", key.length),
            (Want::Length(_), _) => format!("{name} has {} items.", key.length),
            (Want::Fields(wanted), Value::Hash(pairs)) => {
                let odd =
                    wanted.iter().find_map(|(field, value)| match pairs.iter().find(|(f, _)| *f == *field.as_str()) {
                        None => Some(format!("{name} has no field `{field}`.")),
                        Some((_, v)) if *v != *value.as_str() => {
                            Some(format!("Field `{field}` of {name} is `{}`.", quote::word_of(v)))
                        }
                        _ => None,
                    });
                odd.unwrap_or_else(|| described(&name, key))
            }
            _ => described(&name, key),
        }
    }
}

/// Seconds as TTL counts them: rounded.
fn ttl_s(at: Millis, now: Millis) -> i64 {
    ((at.since(now).0 + 500) / 1000) as i64
}

/// Fields, members or items.
fn items(value: &Value) -> Vec<&Bytes> {
    match value {
        Value::String(_) | Value::Stream(_) => Vec::new(),
        Value::Hash(pairs) => pairs.iter().map(|(field, _)| field).collect(),
        Value::List(items) | Value::Set(items) => items.iter().collect(),
        Value::Zset(pairs) => pairs.iter().map(|(member, _)| member).collect(),
    }
}

/// A key in a sentence: what it holds, as far as it fits.
pub fn described(name: &str, key: &snapshot::Key) -> String {
    let few = |words: Vec<String>| {
        let more = if words.len() > 4 { format!(" and {} more", words.len() - 4) } else { String::new() };
        format!("{}{more}", words.iter().take(4).map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", "))
    };
    let word = |bytes: &Bytes| {
        let text = quote::word_of(bytes);
        if text.chars().count() > 40 { format!("{}...", text.chars().take(40).collect::<String>()) } else { text }
    };
    match &key.value {
        Value::String(value) => format!("{name} holds `{}`.", word(value)),
        Value::Hash(pairs) => {
            let words = pairs.iter().map(|(field, value)| format!("{} {}", word(field), word(value))).collect();
            format!("{name} is a hash with {}.", few(words))
        }
        Value::List(items) => format!("{name} is a list of {}.", few(items.iter().map(word).collect())),
        Value::Set(members) => format!("{name} is a set of {}.", few(members.iter().map(word).collect())),
        Value::Zset(pairs) => {
            let words = pairs.iter().map(|(member, score)| format!("{score} {}", word(member))).collect();
            format!("{name} is a sorted set of {}.", few(words))
        }
        Value::Stream(entries) => format!("{name} is a stream of {} entries.", entries.len()),
    }
}
