//! `future` and `probe`: what would be, tried in a copy of the world. If it fails, the learner is shown that future.

use super::form::{Node, Range, Reader, Tree, field, like, needed};
use super::script::{Act, Entered, Script, Shown, Step};
use super::table::{self, Kind};
use super::{Assertion, Check, Look, Probe, Verdict};
use crate::base::Millis;

pub const FUTURE: Kind = Kind {
    name: "future",
    about: "In a copy of the world, something happens; then a check has to hold there.",
    fields: &[
        needed(
            "do",
            "[ACT]",
            "sleep: SECONDS · power-cut · kill: INSTANCE · stop: INSTANCE · restart: INSTANCE · start-again (what crashed) · run: {INSTANCE or shell or sql: [LINES]}",
        ),
        needed("expect", "CHECK", "what holds then"),
    ],
    example: r#"future: {do: [power-cut, {restart: redis}], expect: {key: {name: "session:a1", exists: true}}}"#,
    read: |kind, node, reader| {
        let fields = reader.fields(node, "`future`", kind.fields)?;
        let acts = acts(fields.get("do")?, reader)?;
        let expect = table::read(fields.get("expect")?, reader)?;
        Some(Assertion::of(FutureCheck { acts, expect }))
    },
};

pub const PROBE: Kind = Kind {
    name: "probe",
    about: "Lines run in a copy of the world, and what the last one prints.",
    fields: &[
        needed("run", "{INSTANCE or shell or sql: [LINES]}", "what is typed there"),
        field("reply", "PATTERN", "what the last line prints"),
        field("replies", "[PATTERN]", "what each line prints"),
        field("number", "N or RANGE", "the number that the last line prints"),
    ],
    example: r#"probe: {run: {redis: ["TTL session:a1"]}, number: {between: [1, 1800]}}"#,
    read: |kind, node, reader| {
        let fields = reader.fields(node, "`probe`", kind.fields)?;
        let run = script(fields.get("run")?, reader, Actors::Machine)?;
        let mut replies = fields.get("replies").map(|node| reader.texts(node)).unwrap_or_default();
        if let Some(node) = fields.get("reply") {
            replies = vec!["*".into(); run.lines().count().saturating_sub(1)];
            replies.push(reader.text(node)?);
        }
        let number = reader.maybe(&fields, "number", Reader::range)?;
        if replies.is_empty() && number.is_none() {
            reader.complain(fields.at, "`probe` expects nothing", PROBE.example);
            return None;
        }
        Some(Assertion::of(ProbeCheck { run, replies, number }))
    },
};

/// Who may type the lines of a script.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Actors {
    /// Terminals of the lesson.
    Terminals,
    /// Instances, `shell` and `sql`, and terminals' names for what they open.
    Machine,
}

fn acts(node: &Node, reader: &mut Reader) -> Option<Vec<Act>> {
    const FORM: &str = "power-cut, start-again, {sleep: SECONDS}, {kill: NAME}, {stop: NAME}, {restart: NAME} or {run: {NAME: [LINES]}}";
    let items: Vec<&Node> = match &node.tree {
        Tree::List(items) => items.iter().collect(),
        _ => vec![node],
    };
    let mut out = Vec::new();
    for item in items {
        let act = match &item.tree {
            Tree::Scalar(text) if matches!(text.as_str(), "power-cut" | "power_cut") => Some(Act::PowerCut),
            Tree::Scalar(text) if text == "start-again" => Some(Act::StartAgain),
            Tree::Map(entries) if entries.len() == 1 => {
                let (key, value) = &entries[0];
                match key.scalar().unwrap_or("") {
                    "sleep" => Some(Act::Sleep(Millis::from_secs(reader.number(value, "seconds")?))),
                    "kill" => Some(Act::Kill(reader.instance(value)?)),
                    "stop" => Some(Act::Stop(reader.instance(value)?)),
                    "restart" | "start" => Some(Act::Restart(reader.instance(value)?)),
                    "run" => Some(Act::Run(script(value, reader, Actors::Machine)?)),
                    _ => None,
                }
            }
            _ => None,
        };
        match act {
            Some(act) => out.push(act),
            None => {
                reader.complain(item.at, "this is no act of a future", FORM);
                return None;
            }
        }
    }
    Some(out)
}

/// A script: `{ACTOR: [LINES], ACTOR: [LINES]}`, or a list of such maps when actors take turns. `wait: SECONDS` lets time pass.
pub fn script(node: &Node, reader: &mut Reader, actors: Actors) -> Option<Script> {
    let maps: Vec<&Node> = match &node.tree {
        Tree::List(items) => items.iter().collect(),
        _ => vec![node],
    };
    let mut steps: Vec<Step> = Vec::new();
    for map in maps {
        for (key, value) in reader.entries(map) {
            let name = key.scalar().unwrap_or("");
            if name == "wait" {
                let wait = Millis::from_secs(reader.number(value, "seconds")?);
                steps.push(Step { actor: String::new(), lines: Vec::new(), wait, at: key.at });
                continue;
            }
            let known = reader.names.terminals.iter().any(|each| each == name)
                || actors == Actors::Machine
                    && (["shell", "sql"].contains(&name) || reader.names.instances.iter().any(|each| each == name));
            if !known {
                let mut names = reader.names.terminals.clone();
                if actors == Actors::Machine {
                    names.extend(reader.names.instances.iter().cloned());
                    names.extend(["shell".into(), "sql".into()]);
                }
                let help = super::form::spelled_like(name, names.iter().map(String::as_str));
                let what = if actors == Actors::Machine { "instance or terminal" } else { "terminal" };
                reader.complain(key.at, format!("there is no {what} `{name}`"), help);
                return None;
            }
            steps.push(Step { actor: name.to_owned(), lines: lines(value, reader)?, wait: Millis::ZERO, at: key.at });
        }
    }
    Some(Script(steps))
}

fn lines(node: &Node, reader: &mut Reader) -> Option<Vec<Entered>> {
    let items: Vec<&Node> = match &node.tree {
        Tree::List(items) => items.iter().collect(),
        _ => vec![node],
    };
    let mut out = Vec::new();
    for item in items {
        out.push(match &item.tree {
            Tree::Scalar(text) => Entered { text: text.clone(), optional: false, free: false, at: item.at },
            Tree::Map(entries)
                if matches!(entries.as_slice(), [(key, _)] if matches!(key.scalar(), Some("optional" | "free"))) =>
            {
                let optional = entries[0].0.scalar() == Some("optional");
                Entered { text: reader.text(&entries[0].1)?, optional, free: !optional, at: item.at }
            }
            _ => {
                reader.complain(item.at, "expected a line to type", "text, {optional: TEXT} or {free: TEXT}");
                return None;
            }
        });
    }
    Some(out)
}

#[derive(Clone, Debug)]
struct FutureCheck {
    acts: Vec<Act>,
    expect: Assertion,
}

impl Check for FutureCheck {
    fn judge(&self, probe: &dyn Probe) -> Verdict {
        let Some(attempt) = probe.attempt(&self.acts) else {
            return Verdict::new(false, "This machine cannot be copied, so nobody can look into its future.");
        };
        let verdict = self.expect.judge(&*attempt.after);
        let mut future = attempt.shown;
        future.push(Shown::Note(verdict.saw.clone()));
        let saw =
            if verdict.met { verdict.saw } else { format!("Not if that happened now: {}", lower_first(&verdict.saw)) };
        Verdict { met: verdict.met, saw, future: if verdict.met { Vec::new() } else { future } }
    }

    fn look_at(&self) -> Vec<Look> {
        self.expect.look_at()
    }

    /// What the future itself writes need not be known.
    fn literals(&self) -> Vec<String> {
        let runs = self.acts.iter().filter_map(|act| match act {
            Act::Run(script) => Some(script),
            _ => None,
        });
        let typed: Vec<&str> = runs.flat_map(Script::lines).map(|(_, line)| line.text.as_str()).collect();
        self.expect
            .literals()
            .into_iter()
            .filter(|literal| !typed.iter().any(|line| line.contains(literal.as_str())))
            .collect()
    }
}

pub(super) fn lower_first(sentence: &str) -> String {
    let mut chars = sentence.chars();
    match chars.next() {
        Some(first) => first.to_lowercase().chain(chars).collect(),
        None => String::new(),
    }
}

#[derive(Clone, Debug)]
struct ProbeCheck {
    run: Script,
    replies: Vec<String>,
    number: Option<Range>,
}

impl Check for ProbeCheck {
    fn judge(&self, probe: &dyn Probe) -> Verdict {
        let Some(attempt) = probe.attempt(&[Act::Run(self.run.clone())]) else {
            return Verdict::new(false, "This machine cannot be copied, so nothing can be tried.");
        };
        let lines: Vec<&str> = self.run.lines().map(|(_, line)| line.text.as_str()).collect();
        let mut saw = String::new();
        let mut met = true;
        for (index, printed) in attempt.printed.iter().enumerate() {
            saw = format!(
                "We ran `{}` and got `{}`.",
                lines.get(index).unwrap_or(&""),
                printed.lines().next().unwrap_or("")
            );
            if self.replies.get(index).is_some_and(|pattern| !like(pattern, printed)) {
                met = false;
                break;
            }
        }
        if let Some(range) = self.number {
            let last = attempt.printed.last().map_or("", String::as_str);
            let digits: String = last.chars().filter(|c| c.is_ascii_digit() || *c == '-').collect();
            met &= digits.parse().is_ok_and(|n| range.holds(n));
        }
        Verdict { met, saw, future: if met { Vec::new() } else { attempt.shown } }
    }

    fn look_at(&self) -> Vec<Look> {
        Vec::new()
    }

    fn literals(&self) -> Vec<String> {
        Vec::new()
    }
}
