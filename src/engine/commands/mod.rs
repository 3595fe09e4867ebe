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
use crate::base::Bytes;
use crate::resp::Reply;
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

/// The entries in the order of `FAMILIES`, subcommands right behind their container, and a hash table over their names:
/// one look-up per request, so without allocation and with one probe as a rule.
struct Index {
    entries: Vec<Entry>,
    /// Open addressing: number of the entry plus one, 0 for free. Top-level commands only.
    slots: Vec<u16>,
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
        let mut at = hash(entry.command.name.as_bytes()) & (slots.len() - 1);
        while slots[at] != 0 {
            at = (at + 1) & (slots.len() - 1);
        }
        slots[at] = entry.index as u16 + 1;
    }
    Index { entries, slots }
});

static TABLE: LazyLock<BTreeMap<&'static str, &'static Entry>> =
    LazyLock::new(|| INDEX.entries.iter().map(|entry| (entry.command.name, entry)).collect());

/// FNV-1a over the upper-case form.
fn hash(name: &[u8]) -> usize {
    name.iter().fold(0xcbf2_9ce4_8422_2325u64, |hash, byte| {
        (hash ^ u64::from(byte.to_ascii_uppercase())).wrapping_mul(0x0000_0100_0000_01b3)
    }) as usize
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
pub fn find(args: &[Bytes]) -> Result<&'static Command, Refusal> {
    entry_of(args).map(|entry| entry.command)
}

/// As `find`, with what is derived from the literal.
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
        let word = word[..word.len().min(128)].escape_lossy();
        Refusal::from(format!("ERR unknown subcommand '{word}'. Try {name} HELP."))
    })
}

/// A top-level command by its name, in any case.
pub fn by_name(name: &[u8]) -> Option<&'static Entry> {
    let index = &*INDEX;
    let mut at = hash(name) & (index.slots.len() - 1);
    while index.slots[at] != 0 {
        let entry = &index.entries[usize::from(index.slots[at]) - 1];
        if name.eq_ignore_ascii_case(entry.command.name.as_bytes()) {
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

pub(super) fn unknown(args: &[Bytes]) -> Refusal {
    let mut shown = String::new();
    for arg in &args[1..] {
        if shown.len() >= 128 {
            break;
        }
        shown.push_str(&format!("'{}' ", arg[..arg.len().min(128 - shown.len())].escape_lossy()));
    }
    let name = args[0][..args[0].len().min(128)].escape_lossy();
    Refusal::from(format!("ERR unknown command '{name}', with args beginning with: {shown}"))
}

trait Lossy {
    fn escape_lossy(&self) -> String;
}

impl Lossy for [u8] {
    /// As C prints `%s`: up to the first zero byte.
    fn escape_lossy(&self) -> String {
        let end = self.iter().position(|&byte| byte == 0).unwrap_or(self.len());
        String::from_utf8_lossy(&self[..end]).into_owned()
    }
}

pub fn index(command: &Command) -> usize {
    TABLE.get(command.name).expect("every command is in the table").index
}

pub fn arity(command: &Command) -> i32 {
    TABLE.get(command.name).expect("every command is in the table").arity
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
    let word = call.args[1][..call.args[1].len().min(128)].escape_lossy();
    Refusal::from(format!("ERR unknown subcommand or wrong number of arguments for '{word}'. Try {container} HELP."))
}
