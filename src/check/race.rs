//! `stale_read`, `lost_update`, `orders`: what clients do to each other, in what the learner did or in every order of programs.
//!
//! Without `of` the first two look at the history of the exercise. With `of` the programs are run against each other in
//! every order, from the first moment of the exercise on.

use super::form::{Field, Node, Range, Reader, Tree, field, needed};
use super::table::{self, Kind};
use super::{Assertion, Check, Look, Probe, Shown, Verdict};
use crate::base::{Bytes, quote};
use crate::race::{self, Orders, Program, Run, letter};
use crate::snapshot::{Event, What};

const OF: Field = field(
    "of",
    "[PROGRAM, PROGRAM]",
    "two or three programs: the PATH of a file on the lab's machine, a list of lines, or {terminal: NAME} for what was typed there",
);

const FIELDS: &[Field] = &[
    field("key", "TEXT", "only at this key"),
    OF,
    field("orders", "some | none | all", "with `of`: in how many orders there has to be one (some)"),
    field("on", "INSTANCE", "which instance; needed if there are several"),
];

pub const STALE_READ: Kind = Kind {
    name: "stale_read",
    about: "A client read a key, another one wrote it, and then the first wrote it by what it had read.",
    fields: FIELDS,
    example: r#"stale_read: {of: [sell.txt, sell.txt], orders: none}"#,
    read: |kind, node, reader| read(kind, node, reader, race::Kind::StaleRead),
};

pub const LOST_UPDATE: Kind = Kind {
    name: "lost_update",
    about: "A client overwrote or removed what another one had written, without having seen it.",
    fields: FIELDS,
    example: r#"lost_update: {key: "stock:plum"}"#,
    read: |kind, node, reader| read(kind, node, reader, race::Kind::LostUpdate),
};

pub const ORDERS: Kind = Kind {
    name: "orders",
    about: "Programs are run against each other in every order; in the world at the end of each a check has to hold.",
    fields: &[
        needed("of", OF.form, OF.about),
        field("expect", "CHECK", "what holds at the end of every order"),
        field("outcomes", "N or RANGE", "in how many different ways it may end"),
        field("on", "INSTANCE", "which instance; needed if there are several"),
    ],
    example: r#"orders: {of: [sell.txt, sell.txt], expect: {key: {name: stock, equals: "8"}}}"#,
    read: |kind, node, reader| {
        let fields = reader.fields(node, "`orders`", kind.fields)?;
        let of = programs(fields.get("of")?, reader)?;
        let on = reader.on(&fields)?;
        let expect = reader.maybe(&fields, "expect", |reader, node| table::read(node, reader))?;
        let outcomes = reader.maybe(&fields, "outcomes", Reader::range)?;
        if expect.is_none() && outcomes.is_none() {
            reader.complain(fields.at, "`orders` expects nothing", ORDERS.example);
            return None;
        }
        Some(Assertion::of(OrdersCheck { of, on, expect, outcomes }))
    },
};

fn read(kind: &Kind, node: &Node, reader: &mut Reader, race: race::Kind) -> Option<Assertion> {
    const IN: &[(&str, In)] = &[("some", In::Some), ("none", In::None), ("all", In::All)];
    let fields = reader.fields(node, &format!("`{}`", kind.name), kind.fields)?;
    let key = reader.maybe(&fields, "key", Reader::text)?.map(Bytes::from);
    let of = reader.maybe(&fields, "of", |reader, node| programs(node, reader))?;
    let wanted = reader.maybe(&fields, "orders", |reader, node| reader.one_of(node, IN))?.unwrap_or(In::Some);
    let on = reader.on(&fields)?;
    if of.is_none() && fields.has("orders") {
        reader.complain(fields.at, "`orders` needs `of`: which programs are run", kind.example);
        return None;
    }
    Some(Assertion::of(RaceCheck { race, key, of, wanted, on }))
}

/// Where a program comes from.
#[derive(Clone, Debug, PartialEq)]
pub enum Source {
    File(String),
    Lines(Program),
    Terminal(String),
}

fn programs(node: &Node, reader: &mut Reader) -> Option<Vec<Source>> {
    let mut sources = Vec::new();
    for item in reader.list(node) {
        sources.push(match &item.tree {
            Tree::Scalar(path) => Source::File(path.clone()),
            Tree::List(_) => {
                let text = reader.texts(item).join("\n");
                match Program::parse("the other", &text) {
                    Ok(program) => Source::Lines(program),
                    Err(why) => {
                        reader.complain(item.at, why, "");
                        return None;
                    }
                }
            }
            Tree::Map(entries) if matches!(entries.as_slice(), [(key, _)] if key.scalar() == Some("terminal")) => {
                Source::Terminal(reader.terminal(&entries[0].1)?)
            }
            _ => {
                reader.complain(item.at, "this is no program", OF.about);
                return None;
            }
        });
    }
    if !(2..=3).contains(&sources.len()) {
        reader.complain(node.at, "two or three programs can be run against each other", STALE_READ.example);
        return None;
    }
    Some(sources)
}

/// The programs as they are now. Err: what is missing, for the learner.
fn load(sources: &[Source], probe: &dyn Probe) -> Result<Vec<Program>, String> {
    let load = |source: &Source| match source {
        Source::Lines(program) => Ok(program.clone()),
        Source::File(path) => {
            let bytes = probe.read_file(path).ok_or_else(|| format!("There is no file `{path}` yet."))?;
            Program::parse(path, &String::from_utf8_lossy(&bytes))
        }
        Source::Terminal(name) => {
            let typed = probe.typed_programs().into_iter().find(|program| program.name == *name);
            typed.ok_or_else(|| format!("Nothing was sent from `{name}` yet."))
        }
    };
    sources.iter().map(load).collect()
}

/// The files among the programs: what the learner writes.
fn paths(sources: &[Source]) -> impl Iterator<Item = &String> {
    sources.iter().filter_map(|source| match source {
        Source::File(path) => Some(path),
        _ => None,
    })
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum In {
    Some,
    None,
    All,
}

#[derive(Clone, Debug)]
struct RaceCheck {
    race: race::Kind,
    key: Option<Bytes>,
    /// None: the history of the exercise.
    of: Option<Vec<Source>>,
    wanted: In,
    on: String,
}

impl Check for RaceCheck {
    fn judge(&self, probe: &dyn Probe) -> Verdict {
        match &self.of {
            None => self.in_history(probe),
            Some(of) => match load(of, probe).and_then(|programs| probe.orders(&self.on, &programs)) {
                Ok(orders) => self.in_orders(&orders, probe),
                Err(why) => Verdict::new(false, why),
            },
        }
    }

    fn look_at(&self) -> Vec<Look> {
        self.of.iter().flat_map(|of| paths(of)).map(|path| Look::File(path.clone())).collect()
    }

    fn literals(&self) -> Vec<String> {
        let key = self.key.iter().map(|key| key.lossy().into_owned());
        key.chain(self.of.iter().flat_map(|of| paths(of)).cloned()).collect()
    }
}

impl RaceCheck {
    fn in_history(&self, probe: &dyn Probe) -> Verdict {
        let name = self.race.name();
        let fits = |race: &&race::Race| {
            race.kind == self.race && race.instance == self.on && self.key.as_ref().is_none_or(|key| *key == race.key)
        };
        let races = probe.races();
        match races.iter().rev().find(fits) {
            None => Verdict::new(false, format!("There is no {name} in what was done.")),
            Some(race) => {
                let key = quote::word_of(&race.key);
                let told = |sequence: u64| deed_of(probe.events(), sequence);
                let saw = match race.read {
                    Some(read) => format!(
                        "{} goes by what {} had read of `{key}`; {} came in between.",
                        told(race.write),
                        told(read),
                        told(race.other)
                    ),
                    None => format!("{} overwrote what {} had made of `{key}`.", told(race.write), told(race.other)),
                };
                Verdict::new(true, saw)
            }
        }
    }

    fn in_orders(&self, orders: &Orders, probe: &dyn Probe) -> Verdict {
        let (name, count) = (self.race.name(), orders.orders.len());
        let found = orders.with(self.race);
        let met = match self.wanted {
            In::Some => found > 0,
            In::None => found == 0,
            In::All => found == count,
        };
        let saw = match found {
            0 => format!("No {name} in any of {count} orders."),
            _ => format!("There is a {name} in {found} of {count} orders."),
        };
        // The order to look at: one that has what must not be, or has not what must be.
        let bad = |order: &race::Order| (order.count(self.race) > 0) == (self.wanted == In::None);
        let order = orders.orders.iter().position(bad);
        let order = orders.worst.filter(|at| bad(&orders.orders[*at])).or(order);
        let Some(at) = order.filter(|_| !met && self.wanted != In::Some) else { return Verdict::new(met, saw) };
        let saw = format!("{saw} Order {} is one that should not be.", at + 1);
        let run = probe.play_order(&self.on, &orders.programs, &orders.orders[at].turns);
        let future = run.map(|attempt| attempt.shown).unwrap_or_default();
        Verdict { met, saw, future }
    }
}

#[derive(Clone, Debug)]
struct OrdersCheck {
    of: Vec<Source>,
    on: String,
    expect: Option<Assertion>,
    outcomes: Option<Range>,
}

impl Check for OrdersCheck {
    fn judge(&self, probe: &dyn Probe) -> Verdict {
        let orders = match load(&self.of, probe).and_then(|programs| probe.orders(&self.on, &programs)) {
            Ok(orders) => orders,
            Err(why) => return Verdict::new(false, why),
        };
        let (ways, count) = (orders.outcomes.len(), orders.orders.len());
        if self.outcomes.is_some_and(|range| !range.holds(ways as i64)) {
            let ways = if ways == 1 { String::from("1 way") } else { format!("{ways} different ways") };
            return Verdict::new(false, format!("The {count} orders end in {ways}."));
        }
        let Some(expect) = &self.expect else {
            return Verdict::new(true, format!("The {count} orders end as they should."));
        };
        // Orders that end in the same way need no look each.
        for outcome in &orders.outcomes {
            let turns = &orders.orders[outcome.example].turns;
            let Some(attempt) = probe.play_order(&self.on, &orders.programs, turns) else { continue };
            let verdict = expect.judge(&*attempt.after);
            if !verdict.met {
                let number = outcome.example + 1;
                let saw = format!("Not in order {number} of {count}: {}", super::future::lower_first(&verdict.saw));
                let mut future = attempt.shown;
                future.push(Shown::Note(verdict.saw));
                return Verdict { met: false, saw, future };
            }
        }
        Verdict::new(true, format!("It holds at the end of all {count} orders."))
    }

    fn look_at(&self) -> Vec<Look> {
        paths(&self.of).map(|path| Look::File(path.clone())).collect()
    }

    fn literals(&self) -> Vec<String> {
        let expected = self.expect.iter().flat_map(|expect| expect.literals());
        paths(&self.of).cloned().chain(expected).collect()
    }
}

/// "`SET stock 9` in `alice`".
fn deed_of(events: &[Event], sequence: u64) -> String {
    let found = events.iter().find(|event| event.sequence == sequence).map(|event| &event.what);
    match found {
        Some(What::Command { args, terminal: Some(terminal), .. }) => {
            format!("`{}` in `{terminal}`", quote::line_of(args))
        }
        Some(What::Command { args, .. }) => format!("`{}`", quote::line_of(args)),
        _ => String::from("somebody"),
    }
}

/// A run as the learner is shown it.
pub fn shown(run: &Run) -> Vec<Shown> {
    let mut out = Vec::new();
    for (index, step) in run.steps.iter().enumerate() {
        out.push(Shown::Typed { prompt: format!("{}> ", letter(step.who)), text: step.command.clone() });
        out.extend(step.reply.lines().map(|line| Shown::Said(line.to_owned())));
        for mark in run.races.iter().filter(|mark| mark.write == index) {
            out.push(Shown::Note(format!("A {} of {}.", mark.kind.name(), mark.key)));
        }
        out.extend(step.then.iter().map(|then| Shown::Note(format!("{then}."))));
    }
    out
}
