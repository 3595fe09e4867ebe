//! A command as one literal: everything that is known of it, and the function that does it.
//!
//! Arity, COMMAND INFO and DOCS, usage, hints, completion and the README's table are derived from these literals.
//! Each family of commands keeps its own in a `COMMANDS` slice beside the handlers; `commands::FAMILIES` lists them.

use super::call::Call;
use super::refusal::Refusal;
use super::syntax;
use super::value::string::parse_int;
use crate::base::Bytes;
use crate::resp::Reply;

pub type Outcome = Result<Reply, Refusal>;

pub struct Command {
    /// Upper case; a subcommand's name has its container's before it: `CONFIG GET`.
    pub name: &'static str,
    /// The arguments in the notation of `syntax`: `key seconds condition=[NX | XX | GT | LT]@7.0.0`.
    pub syntax: &'static str,
    /// In our own words, one sentence.
    pub summary: &'static str,
    pub since: &'static str,
    pub complexity: &'static str,
    /// What versions changed of it: the version, and the change in our own words.
    pub history: &'static [(&'static str, &'static str)],
    /// Since when nobody should begin to use it, and what to use instead.
    pub deprecated: Option<(&'static str, &'static str)>,
    pub group: Group,
    pub flags: Flags,
    /// ACL categories besides those that follow from group and flags.
    pub acl: &'static [&'static str],
    pub keys: Keys,
    /// Hints for clients and proxies, as COMMAND INFO lists them.
    pub tips: &'static [&'static str],
    pub run: fn(&mut Call) -> Outcome,
    pub sub: &'static [Command],
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Group {
    Generic,
    String,
    Bitmap,
    List,
    Set,
    SortedSet,
    Hash,
    HyperLogLog,
    Geo,
    Stream,
    PubSub,
    Transactions,
    Scripting,
    Connection,
    Server,
    Cluster,
}

impl Group {
    /// As COMMAND DOCS names it.
    pub fn name(self) -> &'static str {
        match self {
            Group::Generic => "generic",
            Group::String => "string",
            Group::Bitmap => "bitmap",
            Group::List => "list",
            Group::Set => "set",
            Group::SortedSet => "sorted-set",
            Group::Hash => "hash",
            Group::HyperLogLog => "hyperloglog",
            Group::Geo => "geo",
            Group::Stream => "stream",
            Group::PubSub => "pubsub",
            Group::Transactions => "transactions",
            Group::Scripting => "scripting",
            Group::Connection => "connection",
            Group::Server => "server",
            Group::Cluster => "cluster",
        }
    }
}

/// A set of command flags.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Flags(pub u32);

impl Flags {
    pub const NONE: Flags = Flags(0);

    pub const fn with(self, more: Flags) -> Flags {
        Flags(self.0 | more.0)
    }

    pub const fn without(self, less: Flags) -> Flags {
        Flags(self.0 & !less.0)
    }

    pub const fn has(self, flag: Flags) -> bool {
        self.0 & flag.0 == flag.0 && flag.0 != 0
    }

    pub const fn any(self, flags: Flags) -> bool {
        self.0 & flags.0 != 0
    }
}

pub const WRITE: Flags = Flags(1);
pub const READONLY: Flags = Flags(1 << 1);
pub const DENYOOM: Flags = Flags(1 << 2);
pub const ADMIN: Flags = Flags(1 << 3);
pub const PUBSUB: Flags = Flags(1 << 4);
pub const NOSCRIPT: Flags = Flags(1 << 5);
pub const BLOCKING: Flags = Flags(1 << 6);
pub const LOADING: Flags = Flags(1 << 7);
pub const STALE: Flags = Flags(1 << 8);
pub const SKIP_MONITOR: Flags = Flags(1 << 9);
pub const SKIP_SLOWLOG: Flags = Flags(1 << 10);
pub const ASKING: Flags = Flags(1 << 11);
pub const FAST: Flags = Flags(1 << 12);
pub const NO_AUTH: Flags = Flags(1 << 13);
pub const MAY_REPLICATE: Flags = Flags(1 << 14);
pub const NO_ASYNC_LOADING: Flags = Flags(1 << 15);
pub const NO_MULTI: Flags = Flags(1 << 16);
pub const MOVABLEKEYS: Flags = Flags(1 << 17);
pub const ALLOW_BUSY: Flags = Flags(1 << 18);
pub const NO_MANDATORY_KEYS: Flags = Flags(1 << 19);
/// Told of by COMMAND DOCS only: servers send it to each other, or tests to a server.
pub const SYSCMD: Flags = Flags(1 << 28);
/// Not a flag that clients see: an `enable-...-command` parameter has to allow it.
pub const PROTECTED: Flags = Flags(1 << 29);
/// Not a flag that clients see: runs even inside MULTI instead of being queued.
pub const NOT_QUEUED: Flags = Flags(1 << 30);

/// Where a command's keys stand among its arguments (argument 0 is the name, of a subcommand the container's).
#[derive(Clone, Copy)]
pub enum Keys {
    None,
    /// From `first` to `last` (negative: from the end) in steps of `step`.
    Range {
        first: i32,
        last: i32,
        step: i32,
    },
    /// A count of keys stands at argument `count`, the keys behind it; `dest` is an additional key before it.
    Counted {
        count: usize,
        dest: Option<usize>,
    },
    /// Behind the word, which stands at argument `from` or later: the first half of what follows, the rest says how to
    /// read each of them.
    Half {
        word: &'static str,
        from: usize,
    },
    /// Found by looking at the arguments: positions.
    Found(fn(&[Bytes]) -> Vec<usize>),
    /// As `Found`, and what COMMAND INFO says of it.
    Told {
        find: fn(&[Bytes]) -> Vec<usize>,
        specs: &'static [Spec],
    },
}

/// Where one group of a command's keys stands, as COMMAND INFO tells clients.
#[derive(Clone, Copy)]
pub enum Spec {
    /// One key, at this argument.
    At(i64),
    /// Behind a word, which stands at argument `from` (negative: from the end) or later; `last` as in `Keys::Range`, from
    /// the first of them.
    Behind { word: &'static str, from: i64, last: i64 },
    /// Nowhere that could be told in advance.
    Unknown,
}

pub const ONE_KEY: Keys = Keys::Range { first: 1, last: 1, step: 1 };
pub const ALL_KEYS: Keys = Keys::Range { first: 1, last: -1, step: 1 };
pub const TWO_KEYS: Keys = Keys::Range { first: 1, last: 2, step: 1 };

fn no_handler(_: &mut Call) -> Outcome {
    unreachable!("a command's literal always names its handler; containers have none and are never run")
}

impl Command {
    const BASE: Command = Command {
        name: "",
        syntax: "",
        summary: "",
        since: "1.0.0",
        complexity: "O(1)",
        history: &[],
        deprecated: None,
        group: Group::Generic,
        flags: Flags::NONE,
        acl: &[],
        keys: Keys::None,
        tips: &[],
        run: no_handler,
        sub: &[],
    };
    pub const GENERIC: Command = Command { group: Group::Generic, ..Command::BASE };
    pub const STRING: Command = Command { group: Group::String, ..Command::BASE };
    pub const BITMAP: Command = Command { group: Group::Bitmap, ..Command::BASE };
    pub const LIST: Command = Command { group: Group::List, ..Command::BASE };
    pub const SET: Command = Command { group: Group::Set, ..Command::BASE };
    pub const SORTED_SET: Command = Command { group: Group::SortedSet, ..Command::BASE };
    pub const HASH: Command = Command { group: Group::Hash, ..Command::BASE };
    pub const HYPERLOGLOG: Command = Command { group: Group::HyperLogLog, ..Command::BASE };
    pub const GEO: Command = Command { group: Group::Geo, ..Command::BASE };
    pub const STREAM: Command = Command { group: Group::Stream, ..Command::BASE };
    pub const PUBSUB: Command = Command { group: Group::PubSub, ..Command::BASE };
    pub const TRANSACTIONS: Command = Command { group: Group::Transactions, ..Command::BASE };
    pub const SCRIPTING: Command = Command { group: Group::Scripting, ..Command::BASE };
    pub const CONNECTION: Command = Command { group: Group::Connection, ..Command::BASE };
    pub const SERVER: Command = Command { group: Group::Server, ..Command::BASE };
    pub const CLUSTER: Command = Command { group: Group::Cluster, ..Command::BASE };

    /// As error texts and CLIENT LIST write it: `client|list`.
    pub fn full_name(&self) -> String {
        self.name.to_ascii_lowercase().replace(' ', "|")
    }

    /// Where the keys stand in `args`, as far as `args` goes; empty if it has none or is too short to tell.
    pub fn key_places(&self, args: &[Bytes]) -> Vec<usize> {
        match self.keys {
            Keys::None => Vec::new(),
            Keys::Found(find) | Keys::Told { find, .. } => find(args),
            Keys::Half { word, from } => {
                let Some(at) = (from..args.len()).find(|at| args[*at].eq_ignore_ascii_case(word.as_bytes())) else {
                    return Vec::new();
                };
                let behind = args.len() - at - 1;
                if behind == 0 || behind % 2 == 1 { Vec::new() } else { (at + 1..=at + behind / 2).collect() }
            }
            Keys::Range { first, last, step } => {
                let last = if last < 0 { args.len() as i32 + last } else { last.min(args.len() as i32 - 1) };
                (first..=last).step_by(step.max(1) as usize).map(|place| place as usize).collect()
            }
            Keys::Counted { count, dest } => {
                let number = args.get(count).and_then(|arg| usize::try_from(parse_int(arg)?).ok());
                let Some(number) = number.filter(|number| *number > 0 && *number < args.len() - count) else {
                    return Vec::new();
                };
                dest.into_iter().chain(count + 1..=count + number).collect()
            }
        }
    }

    /// As Redis counts: the number of words with the name's, negative if that is only the least.
    pub fn arity(&self) -> i32 {
        let (least, more) = syntax::span(&syntax::parse(self.syntax));
        // A container needs the name of a subcommand; what that needs, its own arity says.
        let words = (self.name.split(' ').count() + least)
            .max(1 + usize::from(!self.sub.is_empty() && self.syntax.is_empty())) as i32;
        if more || !self.sub.is_empty() { -words } else { words }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arity_follows_from_the_syntax() {
        let arity = |name, syntax| Command { name, syntax, ..Command::GENERIC }.arity();
        assert_eq!(arity("GET", "key"), 2);
        assert_eq!(arity("DEL", "key [key ...]"), -2);
        assert_eq!(arity("PING", "[message]"), -1);
        assert_eq!(arity("CONFIG GET", "parameter [parameter ...]"), -3);
        assert_eq!(arity("LINSERT", "key <BEFORE | AFTER> pivot element"), 5);
        assert_eq!(arity("ZADD", "key [NX | XX] score member [score member ...]"), -4);
        assert_eq!(arity("SCRIPT DEBUG", "<YES | SYNC | NO>"), 3);
    }
}
