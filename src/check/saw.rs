//! `saw`: commands that were typed and what they were answered, how often and in which order.
//!
//! Patterns compare with the command as its words, parted by single blanks, whatever the case of the first word, the blanks
//! and quotes that were typed; and with the reply as redis-cli prints it. `*` is any text, `|` parts alternatives.

use super::form::{Range, Reader, field, like};
use super::table::Kind;
use super::{Assertion, Check, Look, Mode, Probe, Verdict};
use crate::base::{Bytes, Millis, quote};
use crate::resp::{Reply, render};
use crate::snapshot::What;

pub const SAW: Kind = Kind {
    name: "saw",
    about: "Something that was typed since the exercise began, and its answer.",
    fields: &[
        field(
            "cmd",
            "PATTERN",
            "the command, or the line of a shell or SQL terminal; `GET` means GET with anything behind it",
        ),
        field(
            "reply",
            "PATTERN",
            "the answer as redis-cli prints it: `\"alice\"`, `(nil)`, `(integer) 1`, `(error) ERR *`",
        ),
        field("terminal", "TERMINAL", "typed there"),
        field("on", "INSTANCE", "sent to this instance"),
        field("db", "N", "sent while in this database"),
        field("count", "N or RANGE", "how often (at least once)"),
        field("after", "SECONDS", "only what came at least so long after the exercise began"),
        field("then", "[{cmd, reply ...}]", "further commands that came later, in this order"),
        field("output", "PATTERN", "whatever a line printed, in any mode"),
        field("word", "PATTERN", "a word of the lab: `:undo`"),
    ],
    example: r#"saw: {cmd: "GET session:a1", reply: "\"alice\""}"#,
    read: |kind, node, reader| {
        let fields = reader.fields(node, "`saw`", kind.fields)?;
        let after = reader.maybe(&fields, "after", |reader, node| reader.number(node, "seconds"))?;
        let first = Sighting {
            cmd: reader.maybe(&fields, "cmd", Reader::text)?,
            reply: reader.maybe(&fields, "reply", Reader::text)?,
            output: reader.maybe(&fields, "output", Reader::text)?,
            word: reader.maybe(&fields, "word", Reader::text)?,
            terminal: reader.maybe(&fields, "terminal", Reader::terminal)?,
            on: reader.maybe(&fields, "on", Reader::instance)?,
            db: reader.maybe(&fields, "db", |reader, node| reader.number(node, "a database"))?,
            after: Millis::from_secs(after.unwrap_or(0)),
        };
        if first.cmd.is_none() && first.reply.is_none() && first.output.is_none() && first.word.is_none() {
            reader.complain(fields.at, "`saw` says nothing", SAW.example);
            return None;
        }
        let mut then = Vec::new();
        if let Some(node) = fields.get("then") {
            for item in reader.list(node) {
                then.push(later(item, reader)?);
            }
        }
        let count = reader.maybe(&fields, "count", Reader::range)?.unwrap_or(Range::AT_LEAST_ONE);
        Some(Assertion::of(SawCheck { first, then, count }))
    },
};

const LATER: &[super::form::Field] = &[
    field("cmd", "PATTERN", "the command"),
    field("reply", "PATTERN", "its answer"),
    field("terminal", "TERMINAL", "typed there"),
    field("word", "PATTERN", "a word of the lab"),
];

fn later(node: &super::form::Node, reader: &mut Reader) -> Option<Sighting> {
    let fields = reader.fields(node, "`then`", LATER)?;
    Some(Sighting {
        cmd: reader.maybe(&fields, "cmd", Reader::text)?,
        reply: reader.maybe(&fields, "reply", Reader::text)?,
        terminal: reader.maybe(&fields, "terminal", Reader::terminal)?,
        word: reader.maybe(&fields, "word", Reader::text)?,
        ..Sighting::default()
    })
}

/// What one line or command has to look like.
#[derive(Clone, Debug, Default, PartialEq)]
struct Sighting {
    cmd: Option<String>,
    reply: Option<String>,
    output: Option<String>,
    word: Option<String>,
    terminal: Option<String>,
    on: Option<String>,
    db: Option<usize>,
    after: Millis,
}

#[derive(Clone, Debug)]
struct SawCheck {
    first: Sighting,
    then: Vec<Sighting>,
    count: Range,
}

/// Something that happened, in the shape that patterns are compared with.
struct Seen<'a> {
    at: Millis,
    terminal: Option<&'a str>,
    on: Option<&'a str>,
    db: Option<usize>,
    cmd: Option<String>,
    reply: String,
    /// A typed line, with everything that it printed.
    typed: Option<(Mode, &'a str)>,
}

impl Check for SawCheck {
    fn judge(&self, probe: &dyn Probe) -> Verdict {
        let began = probe.began();
        let all = seen(probe);
        let hits: Vec<usize> = (0..all.len())
            .filter(|&i| self.first.matches(&all[i], began))
            .filter(|&i| self.rest_follows(&all[i + 1..], began))
            .collect();
        let met = self.count.holds(hits.len() as i64);
        Verdict::new(met, self.words(&all, hits.len(), began))
    }

    fn look_at(&self) -> Vec<Look> {
        let terminal = self.first.terminal.iter().map(|name| Look::Terminal(name.clone()));
        let key = self
            .first
            .cmd
            .as_deref()
            .and_then(|cmd| cmd.split(' ').nth(1))
            .filter(|key| !key.contains(['*', '?', '|']));
        let db = self.first.db.unwrap_or(0);
        let key = key.zip(self.first.on.clone()).map(|(key, instance)| Look::Key { instance, db, name: key.into() });
        terminal.chain(key).collect()
    }

    /// The words of the command that are spelled out, names of keys and values.
    fn literals(&self) -> Vec<String> {
        let patterns = std::iter::once(&self.first).chain(&self.then).filter_map(|each| each.cmd.as_deref());
        let words = patterns.flat_map(|cmd| cmd.split('|').next().unwrap_or(cmd).split(' '));
        words.filter(|word| !word.is_empty() && !word.contains(['*', '?'])).map(str::to_owned).collect()
    }
}

/// Everything since the exercise began, commands of servers and lines of terminals, in the order of time.
fn seen(probe: &dyn Probe) -> Vec<Seen<'_>> {
    let commands = probe.events().iter().filter_map(|event| match &event.what {
        What::Command { terminal: Some(terminal), db, args, reply, .. } => Some(Seen {
            at: event.at,
            terminal: Some(terminal),
            on: Some(&event.instance),
            db: Some(*db),
            cmd: Some(line_of(args)),
            reply: printed(reply),
            typed: None,
        }),
        _ => None,
    });
    let typed = probe.typed().iter().map(|typed| Seen {
        at: typed.at,
        terminal: Some(&typed.terminal),
        on: None,
        db: None,
        cmd: matches!(typed.mode, Mode::Shell | Mode::Sql).then(|| one_spaced(&typed.text)),
        reply: typed.printed.clone(),
        typed: Some((typed.mode, &typed.text)),
    });
    let mut all: Vec<Seen> = commands.chain(typed).collect();
    all.sort_by_key(|seen| seen.at);
    all
}

/// The words of a command as a pattern sees them: no quotes unless a word needs them.
fn line_of(args: &[Bytes]) -> String {
    args.iter().map(|arg| quote::word_of(arg)).collect::<Vec<_>>().join(" ")
}

/// What redis-cli prints, without its last newline.
pub fn printed(reply: &Reply) -> String {
    render::tty(reply).trim_end_matches('\n').to_owned()
}

fn one_spaced(line: &str) -> String {
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

impl Sighting {
    fn matches(&self, seen: &Seen, began: Millis) -> bool {
        let place = self.terminal.as_deref().is_none_or(|name| seen.terminal == Some(name))
            && self.on.as_deref().is_none_or(|name| seen.on == Some(name))
            && self.db.is_none_or(|db| seen.db == Some(db))
            && seen.at >= began + self.after;
        let cmd = match &self.cmd {
            None => true,
            Some(pattern) => {
                let mode = seen.typed.map_or(Mode::Redis, |(mode, _)| mode);
                seen.cmd.as_deref().is_some_and(|cmd| {
                    // A line of the shell may hold several commands.
                    let parts = cmd.split(';').flat_map(|part| part.split("&&")).map(str::trim);
                    like_command(pattern, cmd, mode)
                        || mode == Mode::Shell && parts.into_iter().any(|part| like_command(pattern, part, mode))
                })
            }
        };
        let output = match &self.output {
            None => true,
            Some(pattern) => seen.typed.is_some() && like(pattern, &seen.reply),
        };
        let word = match &self.word {
            None => true,
            Some(pattern) => {
                matches!(seen.typed, Some((Mode::Lab, text)) if like_command(pattern, &one_spaced(text), Mode::Lab))
            }
        };
        // A reply alone is asked of commands, not of lines that may hold several.
        let reply = self.reply.as_deref().is_none_or(|pattern| {
            (self.cmd.is_some() || self.word.is_some() || seen.typed.is_none()) && like(pattern, &seen.reply)
        });
        place && cmd && output && word && reply
    }
}

impl SawCheck {
    fn rest_follows(&self, mut rest: &[Seen], began: Millis) -> bool {
        self.then.iter().all(|wanted| match rest.iter().position(|seen| wanted.matches(seen, began)) {
            Some(index) => {
                rest = &rest[index + 1..];
                true
            }
            None => false,
        })
    }

    /// What has still to come behind the last sighting of the first command; None if that was not seen at all.
    fn missing(&self, all: &[Seen], began: Millis) -> Option<String> {
        let first = all.iter().rposition(|seen| self.first.matches(seen, began))?;
        let name = |sighting: &Sighting| {
            let text = sighting.cmd.as_deref().or(sighting.word.as_deref());
            text.map_or_else(|| "such a reply".into(), |text| format!("`{}`", readable(text)))
        };
        let (mut rest, mut before) = (&all[first + 1..], &self.first);
        for wanted in &self.then {
            let Some(index) = rest.iter().position(|seen| wanted.matches(seen, began)) else {
                let loose = Sighting { reply: None, ..wanted.clone() };
                let other = rest.iter().rev().find(|seen| wanted.reply.is_some() && loose.matches(seen, began));
                return Some(match other.filter(|_| wanted.cmd.is_some()) {
                    Some(seen) if seen.reply.is_empty() => format!("{} has no answer yet.", name(wanted)),
                    Some(seen) => {
                        let reply = telling_line(&seen.reply, wanted.reply.as_deref());
                        format!("{} was answered `{reply}`.", name(wanted))
                    }
                    None if name(wanted) == name(before) => format!("{} is still to come once more.", name(wanted)),
                    None => format!("{} is still to come, after {}.", name(wanted), name(before)),
                });
            };
            rest = &rest[index + 1..];
            before = wanted;
        }
        None
    }

    /// What of it was seen: nothing, another reply, too few times.
    fn words(&self, all: &[Seen], hits: usize, began: Millis) -> String {
        let what = match (&self.first.cmd, &self.first.word, &self.first.output) {
            (Some(cmd), _, _) => format!("`{}`", readable(cmd)),
            (_, Some(word), _) => format!("`{}`", readable(word)),
            (_, _, Some(output)) => format!("A line that prints `{}`", readable(output)),
            _ => "Such a reply".into(),
        };
        if hits > 0 {
            return format!("{what} was seen {}.", times(hits));
        }
        if let Some(missing) = self.missing(all, began) {
            return missing;
        }
        let loose = Sighting { reply: None, output: None, after: Millis::ZERO, ..self.first.clone() };
        let other = all.iter().rev().find(|seen| loose.matches(seen, began));
        match other {
            Some(seen) if self.first.reply.is_some() && self.first.cmd.is_some() => {
                let cmd = seen.cmd.as_deref().unwrap_or("");
                match telling_line(&seen.reply, self.first.reply.as_deref()) {
                    "" => format!("`{cmd}` has no answer yet."),
                    line => format!("`{cmd}` was answered `{line}`."),
                }
            }
            Some(seen) if self.first.output.is_some() && self.first.cmd.is_some() => {
                let first = seen.reply.lines().find(|line| !line.trim().is_empty()).unwrap_or("nothing").trim();
                format!("`{}` printed something else: `{first}`.", seen.cmd.as_deref().unwrap_or(""))
            }
            Some(_) if self.first.reply.is_some() && self.first.word.is_some() => {
                format!("{what} was seen, but did not print what is asked for.")
            }
            Some(_) if self.first.after > Millis::ZERO => format!("{what} came too early."),
            _ => match &self.first.terminal {
                Some(terminal) => format!("{what} has not been seen in `{terminal}`."),
                None => format!("{what} has not been seen."),
            },
        }
    }
}

/// The line of an answer that has most in common with the pattern; the first, where none has.
fn telling_line<'a>(reply: &'a str, pattern: Option<&str>) -> &'a str {
    let wanted: Vec<&str> =
        pattern.unwrap_or("").split(['*', '|', ' ', '\n']).filter(|piece| piece.len() > 2).collect();
    let score =
        |line: &str| wanted.iter().filter(|piece| line.contains(**piece)).map(|piece| piece.len()).sum::<usize>();
    // Of several lines alike the first is meant.
    reply.lines().rev().max_by_key(|line| score(line)).unwrap_or("")
}

/// A pattern as somebody would say it: the first of its alternatives, with dots for what may be anything.
fn readable(pattern: &str) -> String {
    let pattern = pattern.split('|').next().unwrap_or(pattern);
    let pieces: Vec<&str> = pattern.split('*').map(str::trim).filter(|piece| !piece.is_empty()).collect();
    let open = if pattern.ends_with(" *") { " ..." } else { "" };
    format!("{}{open}", pieces.join(" ... "))
}

pub(super) fn times(n: usize) -> String {
    match n {
        1 => "once".into(),
        2 => "twice".into(),
        n => format!("{n} times"),
    }
}

/// A command against a pattern: the whole line, or its beginning up to a blank. The first word is read in any case, and so are
/// the words that the pattern has in capitals (subcommands, options) and all of an SQL statement.
fn like_command(pattern: &str, line: &str, mode: Mode) -> bool {
    let same_case = |text: &str| {
        if mode == Mode::Sql {
            return text.trim_end_matches(';').to_ascii_uppercase();
        }
        let word = text.find(|c: char| !c.is_ascii_alphabetic() && c != '-').unwrap_or(text.len());
        text[..word].to_ascii_uppercase() + &text[word..]
    };
    pattern.split('|').map(same_case).any(|each| {
        let line = capitals_of(&each, &same_case(line));
        like(&each, &line) || like(&format!("{each} *"), &line)
    })
}

/// `line` with each word in capitals that `pattern` has in capitals: `config rewrite` for `CONFIG REWRITE`.
fn capitals_of(pattern: &str, line: &str) -> String {
    let capitals: Vec<&str> = pattern.split(' ').filter(|word| word.bytes().all(|b| b.is_ascii_uppercase())).collect();
    let same = |word: &str| capitals.iter().find(|capital| capital.eq_ignore_ascii_case(word)).copied();
    line.split(' ').map(|word| same(word).unwrap_or(word)).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::{like_command, telling_line};

    use crate::check::Mode;

    #[test]
    fn of_a_long_answer_the_line_is_told_that_was_looked_at() {
        // `CLUSTER NODES` was told of by its first line, which was about another node.
        let nodes = "id6 127.0.0.1:7006@17006 slave - 0\nid1 127.0.0.1:7001@17001 master - 0\nid2 127.0.0.1:7002@17002 master - 0";
        let line = telling_line(nodes, Some("*127.0.0.1:7001@17001 master,fail - *"));
        assert_eq!(line, "id1 127.0.0.1:7001@17001 master - 0");
        assert_eq!(telling_line("one\ntwo", None), "one");
        assert_eq!(telling_line("", Some("*x*")), "");
    }

    #[test]
    fn a_pattern_is_a_command_or_how_it_begins() {
        for (pattern, line, matches) in [
            ("GET", "get session:a1", true),
            ("GET session:a1", "GET session:a1", true),
            ("GET session:a1", "GET session:a12", false),
            ("SET session:a1", "set session:a1 alice EX 5", true),
            ("GET", "GETEX a", false),
            ("INCR* page:home*", "incrby page:home 3", true),
            ("SAVE|BGSAVE", "bgsave", true),
            ("* session:f6", "TTL session:f6", true),
            ("CONFIG REWRITE", "config rewrite", true),
            ("EXPIRE a 1800 GT", "expire a 1800 gt", true),
            // Keys are case-sensitive.
            ("GET Key", "GET key", false),
        ] {
            assert_eq!(like_command(pattern, line, Mode::Redis), matches, "{pattern} / {line}");
        }
        assert!(like_command("SELECT*expires_at*", "select user from t where EXPIRES_AT > now();", Mode::Sql));
    }
}
