//! All commands, one family a file: literals beside their handlers.

pub mod expiry;
pub mod keys;
pub mod object;
pub mod scan;
pub mod sort;

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
    object::COMMANDS,
    sort::COMMANDS,
    string::COMMANDS,
    bitmap::COMMANDS,
    hyperloglog::COMMANDS,
    geo::COMMANDS,
    stream::COMMANDS,
    list::COMMANDS,
    set::COMMANDS,
    zset::COMMANDS,
    hash::COMMANDS,
];

/// A command of the table, with what is derived from its literal.
pub struct Entry {
    pub command: &'static Command,
    pub arity: i32,
    /// Its number, for counters.
    pub index: usize,
}

/// By upper-case name; subcommands by `CONTAINER SUB`. Made from the literals, never changed.
static TABLE: LazyLock<BTreeMap<&'static str, Entry>> = LazyLock::new(|| {
    let all = FAMILIES
        .iter()
        .flat_map(|family| family.iter())
        .flat_map(|command| std::iter::once(command).chain(command.sub.iter()));
    all.enumerate().map(|(index, command)| (command.name, Entry { command, arity: command.arity(), index })).collect()
});

pub fn table() -> &'static BTreeMap<&'static str, Entry> {
    &TABLE
}

/// The command that `args` calls, subcommands resolved. Err: unknown command or subcommand, in Redis' words.
pub fn find(args: &[Bytes]) -> Result<&'static Command, Refusal> {
    let Some(command) = lookup(&args[0]) else { return Err(unknown(args)) };
    if command.sub.is_empty() {
        return Ok(command);
    }
    let Some(word) = args.get(1) else { return Ok(command) };
    let sub = command
        .sub
        .iter()
        .find(|sub| sub.name.split(' ').nth(1).is_some_and(|name| word.eq_ignore_ascii_case(name.as_bytes())));
    sub.ok_or_else(|| {
        let word = String::from_utf8_lossy(&word[..word.len().min(128)]).into_owned();
        Refusal::from(format!("ERR unknown subcommand '{word}'. Try {} HELP.", command.name))
    })
}

fn lookup(name: &[u8]) -> Option<&'static Command> {
    let mut upper = [0u8; 32];
    let upper = upper.get_mut(..name.len())?;
    upper.copy_from_slice(name);
    upper.make_ascii_uppercase();
    TABLE.get(std::str::from_utf8(upper).ok()?).map(|entry| entry.command)
}

fn unknown(args: &[Bytes]) -> Refusal {
    let mut shown = String::new();
    for arg in &args[1..] {
        if shown.len() >= 128 {
            break;
        }
        shown.push_str(&format!("'{}' ", String::from_utf8_lossy(&arg[..arg.len().min(128 - shown.len())])));
    }
    let name = String::from_utf8_lossy(&args[0][..args[0].len().min(128)]).into_owned();
    Refusal::from(format!("ERR unknown command '{name}', with args beginning with: {shown}"))
}

fn entry(command: &Command) -> &'static Entry {
    TABLE.get(command.name).expect("every command is in the table")
}

pub fn index(command: &Command) -> usize {
    entry(command).index
}

pub fn arity(command: &Command) -> i32 {
    entry(command).arity
}

/// The reply of a container's HELP: `lines` in Redis' frame.
pub fn help(container: &str, lines: &'static [&'static str]) -> Reply {
    let head = format!("{container} <subcommand> [<arg> [value] [opt] ...]. Subcommands are:");
    let body = lines.iter().chain(["HELP", "    Print this help."].iter()).map(|line| Reply::status(line));
    Reply::Array(std::iter::once(Reply::Status(head.into())).chain(body).collect())
}
