//! COMMAND DOCS: what there is to be read of a command, derived from its literal.
//!
//! The arguments are those of `syntax`, which notes what only this reply tells: names of groups, types, versions. A group that
//! comes again (`member [member ...]`) is one argument that may be given several times.

use crate::engine::Call;
use crate::engine::command::{self, Command, Outcome};
use crate::engine::commands::{self, Entry, introspect};
use crate::engine::syntax::{self, Item, Note, Noted, What};
use crate::resp::Reply;

pub fn docs(call: &mut Call) -> Outcome {
    let wanted: Vec<&Entry> = if call.args.len() == 2 {
        introspect::top_level().collect()
    } else {
        call.args[2..].iter().filter_map(|name| commands::by_full_name(name)).collect()
    };
    Ok(Reply::Map(wanted.into_iter().map(docs_of).collect()))
}

fn docs_of(entry: &Entry) -> (Reply, Reply) {
    let command = entry.command;
    let mut fields = vec![
        ("summary", Reply::bulk(command.summary)),
        ("since", Reply::bulk(command.since)),
        ("group", Reply::bulk(command.group.name())),
        ("complexity", Reply::bulk(command.complexity)),
    ];
    let flags = [(command.deprecated.is_some(), "deprecated"), (command.flags.has(command::SYSCMD), "syscmd")];
    fields.extend(set_of(&flags).map(|flags| ("doc_flags", flags)));
    if let Some((since, instead)) = command.deprecated {
        fields.extend([("deprecated_since", Reply::bulk(since)), ("replaced_by", Reply::bulk(instead))]);
    }
    if !command.history.is_empty() {
        let change =
            |(since, text): &(&'static str, &'static str)| Reply::Array(vec![Reply::bulk(*since), Reply::bulk(*text)]);
        fields.push(("history", Reply::Set(command.history.iter().map(change).collect())));
    }
    let arguments = arguments(command);
    if !arguments.is_empty() {
        fields.push(("arguments", Reply::Array(arguments.into_iter().map(Argument::reply).collect())));
    }
    if !command.sub.is_empty() {
        let subs = entry.index + 1..=entry.index + command.sub.len();
        fields.push(("subcommands", Reply::Map(subs.map(|index| docs_of(commands::nth(index))).collect())));
    }
    (Reply::bulk(command.full_name()), map(fields))
}

fn map(fields: Vec<(&'static str, Reply)>) -> Reply {
    Reply::Map(fields.into_iter().map(|(name, value)| (Reply::bulk(name), value)).collect())
}

/// The names of the flags that are set, unless none is.
fn set_of(flags: &[(bool, &'static str)]) -> Option<Reply> {
    let set: Vec<_> = flags.iter().filter(|(set, _)| *set).map(|(_, name)| Reply::status(name)).collect();
    (!set.is_empty()).then_some(Reply::Set(set))
}

/// One argument as this reply tells of it.
#[derive(Default)]
struct Argument {
    name: String,
    kind: &'static str,
    /// As usage shows it; groups have none.
    display: Option<String>,
    key_spec: Option<i64>,
    token: Option<&'static str>,
    since: Option<&'static str>,
    deprecated_since: Option<&'static str>,
    optional: bool,
    multiple: bool,
    /// The token is given each time.
    multiple_token: bool,
    arguments: Option<Vec<Argument>>,
}

impl Argument {
    fn reply(self) -> Reply {
        let text = |text: &str| Reply::bulk(text.to_owned());
        let mut fields = vec![("name", text(&self.name)), ("type", Reply::bulk(self.kind))];
        let facts = [
            ("display_text", self.display.as_deref().map(text)),
            ("key_spec_index", self.key_spec.map(Reply::Int)),
            // The empty argument is written as quotes.
            ("token", self.token.map(|token| text(if token == "\"\"" { "" } else { token }))),
            ("since", self.since.map(text)),
            ("deprecated_since", self.deprecated_since.map(text)),
            (
                "flags",
                set_of(&[
                    (self.optional, "optional"),
                    (self.multiple, "multiple"),
                    (self.multiple_token, "multiple_token"),
                ]),
            ),
        ];
        fields.extend(facts.into_iter().filter_map(|(name, value)| Some((name, value?))));
        if let Some(arguments) = self.arguments {
            fields.push(("arguments", Reply::Array(arguments.into_iter().map(Argument::reply).collect())));
        }
        map(fields)
    }
}

fn arguments(command: &Command) -> Vec<Argument> {
    let specs = introspect::key_specs(command).len() as i64;
    Reader { key_spec: 0, key_spec_last: specs - 1 }.sequence(&syntax::noted(command.syntax))
}

/// Keys are found by the command's key specifications in turn, and by the last one if there are more keys.
struct Reader {
    key_spec: i64,
    key_spec_last: i64,
}

impl Reader {
    fn sequence(&mut self, items: &[Noted]) -> Vec<Argument> {
        let mut all = Vec::new();
        let mut rest = items;
        while !rest.is_empty() {
            let (argument, used) = self.argument(rest);
            all.extend(argument);
            rest = &rest[used..];
        }
        all
    }

    /// The argument that `items` begin with, unless it is not told of, and how many of them it takes.
    fn argument(&mut self, items: &[Noted]) -> (Option<Argument>, usize) {
        let Noted { what, note } = &items[0];
        let groups = |item: Option<&Noted>| {
            item.is_some_and(|item| matches!(item.what, What::Value(_) | What::OneOf(_) | What::Block(_)))
        };
        match what {
            What::Repeat => (None, 1),
            What::Value(_) if note.kind == Some("hidden") => (None, 1),
            What::Optional(sequences) => (self.optional(sequences, note), 1),
            // A word and the value behind it are one argument with a token.
            What::Token(token) if note.name.is_none() && groups(items.get(1)) => {
                let mut argument = self.value(&items[1]);
                argument.token = Some(token);
                let used = 2 + repeats(&mut argument, &items[1], items.get(2));
                (Some(argument), used)
            }
            What::Token(token) => {
                let name = note.name.map_or_else(|| token.to_ascii_lowercase(), str::to_owned);
                let display = Some(name.clone());
                let argument = Argument { name, kind: "pure-token", display, token: Some(token), ..noted_at(note) };
                (Some(argument), 1)
            }
            What::Value(_) | What::OneOf(_) | What::Block(_) => {
                let mut argument = self.value(&items[0]);
                let used = 1 + repeats(&mut argument, &items[0], items.get(1));
                (Some(argument), used)
            }
        }
    }

    /// What may be left out: a group if it is named or a choice, else the one argument in the brackets.
    fn optional(&mut self, sequences: &[Vec<Noted>], note: &Note) -> Option<Argument> {
        let argument = match sequences {
            [only] if note.name.is_none() => self.sequence(only).into_iter().next()?,
            [only] => self.group(note, "block", std::slice::from_ref(only)),
            _ => self.group(note, "oneof", sequences),
        };
        Some(Argument { optional: true, ..argument })
    }

    fn value(&mut self, item: &Noted) -> Argument {
        let note = &item.note;
        match &item.what {
            What::OneOf(sequences) => self.group(note, "oneof", sequences),
            What::Block(items) => self.group(note, "block", std::slice::from_ref(items)),
            What::Value(shown) => {
                let kind = note.kind.unwrap_or_else(|| syntax::kind_of(shown));
                let key_spec = note.key_spec.unwrap_or_else(|| (kind == "key").then_some(self.key_spec));
                if kind == "key" {
                    self.key_spec = (self.key_spec + 1).min(self.key_spec_last);
                }
                let name = note.name.unwrap_or(shown).to_owned();
                Argument { name, kind, display: Some((*shown).to_owned()), key_spec, ..noted_at(note) }
            }
            What::Token(_) | What::Optional(_) | What::Repeat => unreachable!("the callers have looked"),
        }
    }

    fn group(&mut self, note: &Note, kind: &'static str, sequences: &[Vec<Noted>]) -> Argument {
        let arguments = sequences.iter().flat_map(|sequence| self.sequence(sequence)).collect();
        let name = note.name.unwrap_or(kind).to_owned();
        Argument { name, kind, arguments: Some(arguments), ..noted_at(note) }
    }
}

fn noted_at(note: &Note) -> Argument {
    let Note { optional, since, deprecated_since, .. } = *note;
    Argument { optional, since, deprecated_since, ..Argument::default() }
}

/// 1 if `next` is `[item ...]`, which makes `argument`, read from `item`, one that may be given several times.
fn repeats(argument: &mut Argument, item: &Noted, next: Option<&Noted>) -> usize {
    let Some(Noted { what: What::Optional(sequences), .. }) = next else { return 0 };
    let [only] = sequences.as_slice() else { return 0 };
    let again = syntax::plain(only);
    let Some((Item::Repeat, again)) = again.split_last() else { return 0 };
    let body = syntax::plain(std::slice::from_ref(item));
    let with_token = match (again.split_first(), argument.token) {
        (Some((Item::Token(first), rest)), Some(token)) => *first == token && rest == body,
        _ => false,
    };
    if !with_token && again != body {
        return 0;
    }
    argument.multiple = true;
    argument.multiple_token = with_token;
    1
}
