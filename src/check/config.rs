//! `config` and `file_config`: what a server runs with, and what a restart would read. The two differ more often than people think.

use super::form::{Node, Range, Reader, Tree, field, like};
use super::table::Kind;
use super::{Assertion, Check, Look, Probe, Verdict, instance_of};
use crate::base::quote;
use crate::snapshot::State;

pub const CONFIG: Kind = Kind {
    name: "config",
    about: "Parameters of a running server, as CONFIG GET answers.",
    fields: &[
        field("on", "INSTANCE", "which instance; needed if there are several (`instance` means the same)"),
        field(
            "PARAMETER",
            "VALUE, PATTERN or RANGE",
            "any number of parameters: `appendonly: \"yes\"`, `requirepass: \"?*\"`",
        ),
    ],
    example: r#"config: {appendonly: "yes", appendfsync: everysec}"#,
    read: |_, node, reader| {
        let (on, values) = parameters(node, reader)?;
        Some(Assertion::of(Running { on, values }))
    },
};

pub const FILE_CONFIG: Kind = Kind {
    name: "file_config",
    about: "Parameters as the config file of an instance has them: what its next start would read.",
    fields: &[
        field("on", "INSTANCE", "which instance; needed if there are several (`instance` means the same)"),
        field("PARAMETER", "VALUE, PATTERN or RANGE", "any number of parameters; a missing line is the empty text"),
    ],
    example: r#"file_config: {appendonly: "yes"}"#,
    read: |_, node, reader| {
        let (on, values) = parameters(node, reader)?;
        Some(Assertion::of(InFile { on, values }))
    },
};

/// What a parameter should be.
#[derive(Clone, Debug)]
enum Want {
    /// Texts compare in any case, numbers by what they are worth (`2mb`), patterns as everywhere; a text that begins with a star
    /// is no pattern, as the addresses of `bind` may (`* -::*`).
    Text(String),
    Number(Range),
}

impl Want {
    fn holds(&self, found: &str) -> bool {
        match self {
            Want::Text(wanted) if wanted.contains(['*', '?']) && !wanted.starts_with('*') => like(wanted, found),
            Want::Text(wanted) => {
                found.eq_ignore_ascii_case(wanted)
                    || matches!((bytes_of(found), bytes_of(wanted)), (Some(a), Some(b)) if a == b)
            }
            Want::Number(range) => bytes_of(found).is_some_and(|n| range.holds(n)),
        }
    }
}

/// A number as config files write it, with a unit of memory or without.
fn bytes_of(text: &str) -> Option<i64> {
    let text = text.to_ascii_lowercase();
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '-').unwrap_or(text.len());
    let unit = match &text[digits..] {
        "" | "b" => 1,
        "k" => 1000,
        "kb" => 1 << 10,
        "m" => 1_000_000,
        "mb" => 1 << 20,
        "g" => 1_000_000_000,
        "gb" => 1 << 30,
        _ => return None,
    };
    text[..digits].parse::<i64>().ok()?.checked_mul(unit)
}

fn parameters(node: &Node, reader: &mut Reader) -> Option<(String, Vec<(String, Want)>)> {
    let Tree::Map(entries) = &node.tree else {
        reader.complain(node.at, "expected a map of parameters and values", CONFIG.example);
        return None;
    };
    reader.entries(node);
    let mut on = None;
    let mut values = Vec::new();
    for (key, value) in entries {
        match key.scalar()? {
            "on" | "instance" => on = Some(reader.instance(value)?),
            name => {
                let want = match &value.tree {
                    Tree::Map(_) => Want::Number(reader.range(value)?),
                    _ => Want::Text(reader.text(value)?),
                };
                values.push((name.to_ascii_lowercase(), want));
            }
        }
    }
    if values.is_empty() {
        reader.complain(node.at, "name at least one parameter and its value", CONFIG.example);
        return None;
    }
    let on = match on {
        Some(on) => on,
        None => reader.only_instance(node.at)?,
    };
    Some((on, values))
}

#[derive(Clone, Debug)]
struct Running {
    on: String,
    values: Vec<(String, Want)>,
}

impl Check for Running {
    fn judge(&self, probe: &dyn Probe) -> Verdict {
        let Some(instance) = instance_of(probe.world(), &self.on).filter(|instance| instance.state == State::Running)
        else {
            return Verdict::new(false, format!("The server `{}` is not running.", self.on));
        };
        let mut saw = String::new();
        for (name, wanted) in &self.values {
            let found = instance.config.iter().find(|(each, _)| each == name).map_or("", |(_, value)| value);
            saw = format!("The server `{}` runs with `{name}` set to `{}`.", self.on, or_empty(found));
            if !wanted.holds(found) {
                return Verdict::new(false, saw);
            }
        }
        Verdict::new(true, saw)
    }

    fn look_at(&self) -> Vec<Look> {
        let on = |name: &String| Look::Config { instance: self.on.clone(), name: name.clone() };
        self.values.iter().map(|(name, _)| on(name)).collect()
    }

    fn literals(&self) -> Vec<String> {
        Vec::new()
    }
}

#[derive(Clone, Debug)]
struct InFile {
    on: String,
    values: Vec<(String, Want)>,
}

impl Check for InFile {
    fn judge(&self, probe: &dyn Probe) -> Verdict {
        let path = probe.config_file(&self.on);
        let Some(text) = probe.read_file(&path) else {
            return Verdict::new(false, format!("There is no file `{path}`."));
        };
        let text = String::from_utf8_lossy(&text);
        let mut saw = String::new();
        for (name, wanted) in &self.values {
            let found = in_file(&text, name);
            saw = match &found {
                Some(value) => format!("`{path}` says `{name} {}`.", or_empty(value)),
                None => format!("`{path}` has no line `{name}`."),
            };
            if !wanted.holds(&found.unwrap_or_default()) {
                return Verdict::new(false, saw);
            }
        }
        Verdict::new(true, saw)
    }

    fn look_at(&self) -> Vec<Look> {
        vec![Look::Instance(self.on.clone())]
    }

    fn literals(&self) -> Vec<String> {
        Vec::new()
    }
}

fn or_empty(value: &str) -> &str {
    if value.is_empty() { "\"\"" } else { value }
}

/// The value of `name` in the text of a config file: the last line wins, but `save` lines add up, as Redis reads them.
pub fn in_file(text: &str, name: &str) -> Option<String> {
    let mut found: Option<String> = None;
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let Ok(words) = quote::split(line.as_bytes()) else { continue };
        let Some((first, rest)) = words.split_first() else { continue };
        if !first.lossy().eq_ignore_ascii_case(name) {
            continue;
        }
        let value = rest.iter().map(|word| word.lossy().into_owned()).collect::<Vec<_>>().join(" ");
        found = match found {
            Some(before) if name == "save" && !value.is_empty() && !before.is_empty() => {
                Some(format!("{before} {value}"))
            }
            _ => Some(value),
        };
    }
    found
}

#[cfg(test)]
mod tests {
    use super::in_file;

    #[test]
    fn a_file_is_read_as_redis_reads_it() {
        let text = "# appendonly yes\nAppendOnly no\nsave 60 1\nsave 10 5\nappendonly \"yes\"\n";
        assert_eq!(in_file(text, "appendonly").as_deref(), Some("yes"));
        assert_eq!(in_file(text, "save").as_deref(), Some("60 1 10 5"));
        assert_eq!(in_file("save 60 1\nsave \"\"\n", "save").as_deref(), Some(""));
        assert_eq!(in_file(text, "port"), None);
    }
}
