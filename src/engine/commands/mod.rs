//! All commands, one family a file: literals beside their handlers.

pub mod dump;
pub mod expiry;
pub mod keys;
pub mod migrate;
pub mod object;
pub mod scan;
pub mod sort;

pub mod config;
pub mod persistence;

pub mod bitmap;
pub mod geo;
pub mod hash;
pub mod hyperloglog;
pub mod list;
pub mod parse;
pub mod sample;
pub mod set;
pub mod stream;
pub mod string;
pub mod zset;

pub mod client;
pub mod cluster;
pub mod connection;
pub mod pubsub;
pub mod scripting;
pub mod transactions;

pub mod acl;
pub mod debug;
pub mod docs;
pub mod info;
pub mod introspect;
pub mod key_flags;
pub mod memory;
pub mod module;
pub mod replication;
pub mod server;
pub mod slowlog;

use super::call::Call;
use super::command::Command;
use super::refusal::Refusal;
use crate::base::{Bytes, carry};
use crate::resp::Reply;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::LazyLock;

/// The families, in the order of COMMAND LIST's groups. A new family is one line here.
pub const FAMILIES: &[&[Command]] = &[
    keys::COMMANDS,
    expiry::COMMANDS,
    dump::COMMANDS,
    migrate::COMMANDS,
    object::COMMANDS,
    sort::COMMANDS,
    string::COMMANDS,
    bitmap::COMMANDS,
    hyperloglog::COMMANDS,
    list::COMMANDS,
    set::COMMANDS,
    zset::COMMANDS,
    hash::COMMANDS,
    geo::COMMANDS,
    stream::COMMANDS,
    transactions::COMMANDS,
    connection::COMMANDS,
    client::COMMANDS,
    pubsub::COMMANDS,
    scripting::EVAL,
    scripting::SCRIPT,
    cluster::COMMANDS,
    scripting::FUNCTION,
    config::COMMANDS,
    persistence::COMMANDS,
    replication::COMMANDS,
    server::COMMANDS,
    info::COMMANDS,
    introspect::COMMANDS,
    memory::COMMANDS,
    slowlog::COMMANDS,
    acl::COMMANDS,
    module::COMMANDS,
    debug::COMMANDS,
];

/// A command of the table, with what is derived from its literal.
pub struct Entry {
    pub command: &'static Command,
    pub arity: i32,
    /// Its number, for counters.
    pub index: usize,
}

impl Entry {
    /// Whether a call of so many words, the command's name among them, agrees with the arity.
    pub fn takes(&self, words: usize) -> bool {
        let least = self.arity.unsigned_abs() as usize;
        if self.arity >= 0 { words == least } else { words >= least }
    }
}

/// The entries in the order of `FAMILIES`, subcommands right behind their container, and a hash table over their names:
/// one look-up per request, so without allocation and with one probe as a rule.
struct Index {
    entries: Vec<Entry>,
    /// Open addressing: number of the entry plus one, 0 for free. Top-level commands only.
    slots: Vec<u16>,
    /// By the number of the entry, its name's `word`.
    words: Vec<u64>,
}

static INDEX: LazyLock<Index> = LazyLock::new(|| {
    let all = FAMILIES
        .iter()
        .flat_map(|family| family.iter())
        .flat_map(|command| std::iter::once(command).chain(command.sub.iter()));
    let entries: Vec<Entry> =
        all.enumerate().map(|(index, command)| Entry { command, arity: command.arity(), index }).collect();
    let mut slots = vec![0; (entries.len() * 4).next_power_of_two()];
    for entry in entries.iter().filter(|entry| !entry.command.name.contains(' ')) {
        let name = entry.command.name.as_bytes();
        let mut at = hash(word(name), name.len()) & (slots.len() - 1);
        while slots[at] != 0 {
            at = (at + 1) & (slots.len() - 1);
        }
        slots[at] = entry.index as u16 + 1;
    }
    let words = entries.iter().map(|entry| word(entry.command.name.as_bytes())).collect();
    Index { entries, slots, words }
});

static TABLE: LazyLock<BTreeMap<&'static str, &'static Entry>> =
    LazyLock::new(|| INDEX.entries.iter().map(|entry| (entry.command.name, entry)).collect());

/// The first eight bytes of a name in upper case, zeros behind a shorter one: nearly all there is to know of it.
fn word(name: &[u8]) -> u64 {
    const EACH: u64 = 0x0101_0101_0101_0101;
    let word = name.iter().take(8).rev().fold(0, |word, byte| word << 8 | u64::from(*byte));
    // All eight at once: the top bit of a byte of `lower` says that a small letter stands there.
    let low = word & (0x7f * EACH);
    let lower =
        !word & (low + (0x80 - u64::from(b'a')) * EACH) & !(low + (0x7f - u64::from(b'z')) * EACH) & (0x80 * EACH);
    word ^ (lower >> 2)
}

/// Of a name with this `word`.
fn hash(word: u64, len: usize) -> usize {
    ((word ^ len as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as usize
}

/// By upper-case name; subcommands by `CONTAINER SUB`.
pub fn table() -> &'static BTreeMap<&'static str, &'static Entry> {
    &TABLE
}

/// How many commands there are, subcommands counted.
pub fn count() -> usize {
    INDEX.entries.len()
}

/// By the number that counters use.
pub fn nth(index: usize) -> &'static Entry {
    &INDEX.entries[index]
}

/// The command that `args` calls, subcommands resolved. Err: unknown command or subcommand, in Redis' words.
pub fn entry_of(args: &[Bytes]) -> Result<&'static Entry, Refusal> {
    let Some(entry) = by_name(&args[0]) else { return Err(unknown(args)) };
    resolve(entry, args)
}

/// The subcommand of `entry` that `args` calls, or itself if it has none or none is named. Err: there is no such subcommand.
pub fn resolve(entry: &'static Entry, args: &[Bytes]) -> Result<&'static Entry, Refusal> {
    let subs = entry.command.sub.len();
    let Some(word) = args.get(1).filter(|_| subs > 0) else { return Ok(entry) };
    let name = entry.command.name;
    let sub = INDEX.entries[entry.index + 1..=entry.index + subs]
        .iter()
        .find(|sub| word.eq_ignore_ascii_case(&sub.command.name.as_bytes()[name.len() + 1..]));
    sub.ok_or_else(|| {
        let word = name_shown(word);
        Refusal::from(format!("ERR unknown subcommand '{word}'. Try {name} HELP."))
    })
}

/// A top-level command by its name, in any case.
pub fn by_name(name: &[u8]) -> Option<&'static Entry> {
    let index = &*INDEX;
    let word = word(name);
    let mut at = hash(word, name.len()) & (index.slots.len() - 1);
    while index.slots[at] != 0 {
        let number = usize::from(index.slots[at]) - 1;
        let entry = &index.entries[number];
        let known = entry.command.name.as_bytes();
        if index.words[number] == word
            && known.len() == name.len()
            && (name.len() <= 8 || name[8..].eq_ignore_ascii_case(&known[8..]))
        {
            return Some(entry);
        }
        at = (at + 1) & (index.slots.len() - 1);
    }
    None
}

/// By the name that error texts use, in any case: `config` or `config|get`.
pub fn by_full_name(name: &[u8]) -> Option<&'static Entry> {
    let mut words = name.split(|byte| *byte == b'|');
    let entry = by_name(words.next()?)?;
    match (words.next(), words.next()) {
        (None, _) => Some(entry),
        (Some(sub), None) if !entry.command.sub.is_empty() => {
            resolve(entry, &[Bytes::from(entry.command.name), Bytes::from(sub)]).ok()
        }
        _ => None,
    }
}

/// Nothing is called so: in Redis' words.
pub(super) fn unknown(args: &[Bytes]) -> Refusal {
    let mut words = Vec::new();
    for arg in &args[1..] {
        if words.len() >= NAME_SHOWN {
            break;
        }
        let most = arg.len().min(NAME_SHOWN - words.len());
        words.extend([b"'", carry::before_zero(&arg[..most]), b"' "].concat());
    }
    let (name, words) = (name_shown(&args[0]), carry::text(&words));
    Refusal::from(format!("ERR unknown command '{name}', with args beginning with: {words}"))
}

/// How many bytes of a command's name, and of all its arguments together, an error shows.
const NAME_SHOWN: usize = 128;

fn name_shown(word: &[u8]) -> Cow<'_, str> {
    carry::printed(&word[..word.len().min(NAME_SHOWN)])
}

/// The reply of a container's HELP: `lines` in Redis' frame.
pub fn help(container: &str, lines: &'static [&'static str]) -> Reply {
    let head = format!("{container} <subcommand> [<arg> [value] [opt] ...]. Subcommands are:");
    let body = lines.iter().chain(["HELP", "    Print this help."].iter()).map(|line| Reply::status(line));
    Reply::Array(std::iter::once(Reply::Status(head.into())).chain(body).collect())
}

/// A container's answer to a subcommand with too many arguments.
pub fn wrong_subcommand(call: &Call) -> Refusal {
    let container = call.command.name.split(' ').next().unwrap_or_default();
    let word = name_shown(&call.args[1]);
    Refusal::from(format!("ERR unknown subcommand or wrong number of arguments for '{word}'. Try {container} HELP."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_found_in_any_case_and_nothing_else_is() {
        for entry in INDEX.entries.iter().filter(|entry| !entry.command.name.contains(' ')) {
            let name = entry.command.name;
            let mixed: String =
                name.char_indices().map(|(at, c)| if at % 2 == 0 { c.to_ascii_lowercase() } else { c }).collect();
            for name in [name, &name.to_lowercase(), &mixed] {
                assert_eq!(by_name(name.as_bytes()).map(|found| found.index), Some(entry.index), "{name}");
            }
            for byte in 0..=255u8 {
                for at in [0, name.len() / 2, name.len() - 1] {
                    let mut other = name.as_bytes().to_vec();
                    other[at] = byte;
                    let found = by_name(&other).map(|found| found.command.name.as_bytes());
                    assert!(found.is_none_or(|found| found.eq_ignore_ascii_case(&other)), "{}", other.escape_ascii());
                }
            }
            assert!(by_name(&[name.as_bytes(), b"\0"].concat()).is_none());
        }
        assert!(by_name(b"").is_none());
    }

    #[test]
    fn bytes_and_not_characters_count_for_what_an_error_shows_of_the_arguments() {
        let args = [&b"NOPE"[..], &[0xff; 60], b"apple"].map(Bytes::from);
        let text = unknown(&args).0;
        assert!(text.ends_with(" 'apple' "), "{text}");
    }
}
