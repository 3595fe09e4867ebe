//! Every order of two or three programs: how often each outcome came, in which of them a race was found, and one order replayed.

use crate::race::{End, Kind, Mark, Orders, Run, letter};

/// Programs that were run against each other, and the order that is being played.
#[derive(Clone, Copy)]
pub struct Played<'a> {
    pub orders: &'a Orders,
    /// The order that is being played, as an index.
    pub chosen: Option<usize>,
    pub run: &'a Run,
    /// How many of its steps are shown.
    pub shown: usize,
    /// A program's file says something else by now.
    pub changed: bool,
}

/// Outcomes that have a bar of their own; the rest share one.
const BARS_MAX: usize = 8;

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Facts {
    /// The programs, by letter.
    pub names: Vec<String>,
    /// Orders that were run.
    pub count: usize,
    /// Of how many, if they are a sample: `720720`, `far too many`.
    pub of: Option<String>,
    /// The most frequent first.
    pub bars: Vec<Bar>,
    /// Outcomes without a bar, and their orders.
    pub others: (usize, usize),
    /// In how many orders.
    pub stale: usize,
    pub lost: usize,
    /// Number (from 1) and letters of the order in which a race shows best.
    pub worst: Option<(usize, String)>,
    pub replay: Option<Replay>,
    /// A program's file says something else by now.
    pub changed: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Bar {
    pub count: usize,
    /// `stock "9"`
    pub keys: String,
    /// `A: OK  B: (nil)`
    pub ends: String,
    pub stale: usize,
    pub lost: usize,
    /// The first order that ends so, from 1.
    pub example: usize,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Replay {
    /// From 1.
    pub number: usize,
    pub turns: Vec<u8>,
    /// Those that are shown.
    pub rows: Vec<Row>,
    pub steps: usize,
    /// How it ended, once all steps are shown.
    pub end: Option<String>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    pub who: usize,
    pub command: String,
    pub reply: String,
    /// What is to be said of it; true: a race.
    pub notes: Vec<(bool, String)>,
}

pub fn of(played: &Played) -> Facts {
    let orders = played.orders;
    let bar = |outcome: &crate::race::Outcome| Bar {
        count: outcome.count,
        keys: pairs(&outcome.keys),
        ends: ends(&outcome.ends),
        stale: outcome.stale,
        lost: outcome.lost,
        example: outcome.example + 1,
    };
    let rest = orders.outcomes.get(BARS_MAX..).unwrap_or_default();
    Facts {
        names: orders.programs.iter().map(|program| program.name.clone()).collect(),
        count: orders.orders.len(),
        of: orders.sample.map(|sample| match sample.of {
            u64::MAX => String::from("far too many"),
            n => n.to_string(),
        }),
        bars: orders.outcomes.iter().take(BARS_MAX).map(bar).collect(),
        others: (rest.len(), rest.iter().map(|outcome| outcome.count).sum()),
        stale: orders.with(Kind::StaleRead),
        lost: orders.with(Kind::LostUpdate),
        worst: orders.worst.and_then(|at| Some((at + 1, orders.orders.get(at)?.letters()))),
        replay: played.chosen.and_then(|at| replay(played, at)),
        changed: played.changed,
    }
}

fn replay(played: &Played, at: usize) -> Option<Replay> {
    let (order, run) = (played.orders.orders.get(at)?, played.run);
    let rows = run.steps.iter().take(played.shown).enumerate().map(|(index, step)| {
        let reply = step.reply.split('\n').map(str::trim).collect::<Vec<_>>().join(" ");
        let reply = if reply.is_empty() { String::from("waits") } else { reply };
        Row { who: step.who, command: step.command.clone(), reply, notes: notes(run, index) }
    });
    Some(Replay {
        number: at + 1,
        turns: order.turns.clone(),
        rows: rows.collect(),
        steps: run.steps.len(),
        end: (played.shown >= run.steps.len()).then(|| state(&run.keys, &run.ends)),
    })
}

/// What is to be said of a step; true: a race.
pub fn notes(run: &Run, index: usize) -> Vec<(bool, String)> {
    let Some(step) = run.steps.get(index) else { return Vec::new() };
    let mut notes: Vec<(bool, String)> = step
        .broke
        .iter()
        .map(|(who, key)| {
            let (by, whose) = (letter(step.who), letter(*who));
            (false, format!("{by} changed {key}, which {whose} watches: {whose}'s EXEC will do nothing."))
        })
        .collect();
    notes.extend(run.races.iter().filter(|mark| mark.write == index).map(|mark| (true, race(run, mark))));
    notes.extend(step.then.iter().map(|then| (false, format!("{then}."))));
    notes
}

/// A race in a sentence.
fn race(run: &Run, mark: &Mark) -> String {
    let who = |step: usize| run.steps.get(step).map_or('?', |step| letter(step.who));
    let (writer, other) = (who(mark.write), who(mark.other));
    match mark.read {
        Some(read) => format!(
            "STALE READ: {writer} goes by what it read in step {}; {other} changed {} in step {}.",
            read + 1,
            mark.key,
            mark.other + 1
        ),
        None => format!(
            "LOST UPDATE: what {other} wrote to {} in step {} is gone, and {writer} never saw it.",
            mark.key,
            mark.other + 1
        ),
    }
}

/// `stock "9"  A: OK  B: OK`.
pub fn state(keys: &[(String, String)], last: &[End]) -> String {
    format!("{}  {}", pairs(keys), ends(last)).trim().to_owned()
}

fn pairs(keys: &[(String, String)]) -> String {
    keys.iter().map(|(key, value)| format!("{key} {value}")).collect::<Vec<_>>().join("  ")
}

fn ends(ends: &[End]) -> String {
    let ends = ends.iter().enumerate().map(|(nth, end)| format!("{}: {}", letter(nth), end.text()));
    ends.collect::<Vec<_>>().join("  ")
}

/// `12 orders, all there are`, `5000 of 720720 orders, drawn`.
pub fn how_many(facts: &Facts) -> String {
    match &facts.of {
        None => format!("{} orders, all there are", facts.count),
        Some(of) => format!("{} of {of} orders, drawn", facts.count),
    }
}

/// `LOST UPDATE, STALE READ in 2`; empty if there is none.
pub fn races(bar: &Bar) -> String {
    let part = |name: &str, count: usize| match count {
        0 => None,
        n if n == bar.count => Some(name.to_uppercase()),
        n => Some(format!("{} in {n}", name.to_uppercase())),
    };
    let parts = [part(Kind::LostUpdate.name(), bar.lost), part(Kind::StaleRead.name(), bar.stale)];
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

/// The orders in sentences.
pub fn words(played: Option<Played>) -> Vec<String> {
    let Some(facts) = played.map(|played| of(&played)) else {
        return vec![NOTHING_YET.to_owned()];
    };
    let names = facts.names.iter().enumerate().map(|(nth, name)| format!("{} {name}", letter(nth)));
    let mut lines = vec![format!("{}: {}.", names.collect::<Vec<_>>().join(", "), how_many(&facts))];
    for bar in &facts.bars {
        let races = races(bar);
        let races = if races.is_empty() { "no race".to_owned() } else { races };
        lines.push(format!(
            "  {} of {} end so: {}  {}; {races}. Order {} is one of them.",
            bar.count, facts.count, bar.keys, bar.ends, bar.example
        ));
    }
    if facts.others.0 > 0 {
        lines.push(format!("  {} end in {} other ways.", facts.others.1, facts.others.0));
    }
    lines.push(verdict(&facts));
    lines.extend(facts.changed.then(|| CHANGED.to_owned()));
    if let Some(replay) = &facts.replay {
        lines.push(format!("Order {}, step {} of {}:", replay.number, replay.rows.len(), replay.steps));
        for (i, row) in replay.rows.iter().enumerate() {
            lines.push(format!("  {}. {}: {}: {}.", i + 1, letter(row.who), row.command, row.reply));
            lines.extend(row.notes.iter().map(|(_, note)| format!("     {note}")));
        }
        lines.extend(replay.end.iter().map(|end| format!("  In the end: {end}.")));
    }
    lines
}

/// In how many orders something went wrong, and where it is seen best.
pub fn verdict(facts: &Facts) -> String {
    match &facts.worst {
        Some((number, letters)) => format!(
            "A stale read in {} of {} orders, a lost update in {}. Worst: order {number}, {letters}.",
            facts.stale, facts.count, facts.lost
        ),
        None => format!("No stale read and no lost update in any of {} orders.", facts.count),
    }
}

/// What is said of orders whose programs have been edited since.
pub const CHANGED: &str = "A program has been changed since. `:orders` runs them anew.";

pub const NOTHING_YET: &str = "Nothing has been compared yet. `:orders FILE FILE` runs two programs in every order, `:orders typed` what was typed in two terminals.";
