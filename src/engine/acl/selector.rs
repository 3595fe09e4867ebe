//! A selector: commands, keys and channels that go together. A command is allowed if one selector of its user allows all of it.
//!
//! The rules about commands are kept twice, as in Redis: as bits by the number of the command, to check against, and as the
//! shortest list of rules in the order in which they came, to show. Source: acl.c of Redis 7.2.

use super::keys::{self, Access};
use crate::base::{Bytes, glob, quote};
use crate::engine::command::{self, Command};
use crate::engine::commands::{self, Entry, introspect};

/// Why a rule is not taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RuleError {
    Syntax,
    Unknown,
    AfterAllKeys,
    AfterAllChannels,
    NoSuchPassword,
    BadHash,
    FirstArgOfSubcommand,
    /// A user is declared twice in config files.
    Duplicate,
    /// A bracket in a config file does not close.
    Format,
}

impl RuleError {
    /// In Redis' words.
    pub fn text(self) -> &'static str {
        match self {
            RuleError::Syntax => "Syntax error",
            RuleError::Unknown => "Unknown command or category name in ACL",
            RuleError::AfterAllKeys => {
                "Adding a pattern after the * pattern (or the 'allkeys' flag) is not valid and does not have any effect. Try 'resetkeys' to start with an empty list of patterns"
            }
            RuleError::AfterAllChannels => {
                "Adding a pattern after the * pattern (or the 'allchannels' flag) is not valid and does not have any effect. Try 'resetchannels' to start with an empty list of channels"
            }
            RuleError::NoSuchPassword => "The password you are trying to remove from the user does not exist",
            RuleError::BadHash => {
                "The password hash must be exactly 64 characters and contain only lowercase hexadecimal characters"
            }
            RuleError::FirstArgOfSubcommand => "Allowing first-arg of a subcommand is not supported",
            RuleError::Format => "Wrong format",
            RuleError::Duplicate => "Duplicate user found. A user can only be defined once in config files",
        }
    }
}

/// What stands in the way of a command, and at which argument. In the order of Redis' reasons: the last one is told.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Denied {
    Command,
    Key(usize),
    Channel(usize),
}

/// A pattern of keys and what may be done with them.
#[derive(Clone, PartialEq, Eq, Debug)]
struct KeyPattern {
    pattern: Bytes,
    access: Access,
}

impl KeyPattern {
    fn text(&self) -> Vec<u8> {
        let sign: &[u8] = match (self.access.read, self.access.write) {
            (true, true) => b"~",
            (true, false) => b"%R~",
            _ => b"%W~",
        };
        [sign, &self.pattern].concat()
    }
}

/// How a selector looks, in the words of ACL GETUSER.
pub struct Shown {
    pub commands: String,
    pub keys: Bytes,
    pub channels: Bytes,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Selector {
    /// By the number of the command in the table.
    allowed: Vec<u64>,
    /// No command has been taken away since `+@all`.
    all_commands: bool,
    /// It began with `+@all`: what comes with a later version is allowed too.
    begins_with_all: bool,
    /// Words that must stand first behind a command which is else not allowed.
    first_args: Vec<(usize, Bytes)>,
    /// `+get`, `-@admin`: in order, lower case.
    rules: Vec<String>,
    all_keys: bool,
    patterns: Vec<KeyPattern>,
    all_channels: bool,
    pub(super) channels: Vec<Bytes>,
}

impl Selector {
    /// Nothing is allowed, but perhaps all channels (`acl-pubsub-default`).
    pub fn new(all_channels: bool) -> Selector {
        Selector {
            allowed: vec![0; commands::count().div_ceil(64)],
            all_commands: false,
            begins_with_all: false,
            first_args: Vec::new(),
            rules: Vec::new(),
            all_keys: false,
            patterns: Vec::new(),
            all_channels,
            channels: Vec::new(),
        }
    }

    /// Reads what stands between the brackets of `(+get ~cache:*)`.
    pub fn parse(rules: &[u8], all_channels: bool) -> Result<Selector, RuleError> {
        let mut selector = Selector::new(all_channels);
        for rule in quote::split(rules).unwrap_or_default() {
            selector.apply(&rule)?;
        }
        Ok(selector)
    }

    // -- rules -------------------------------------------------------------------------------------------------------

    /// Applies one rule. Err: it is none; nothing has changed.
    pub fn apply(&mut self, rule: &[u8]) -> Result<(), RuleError> {
        match rule.to_ascii_lowercase().as_slice() {
            b"allkeys" | b"~*" => (self.all_keys, self.patterns) = (true, Vec::new()),
            b"resetkeys" => (self.all_keys, self.patterns) = (false, Vec::new()),
            b"allchannels" | b"&*" => (self.all_channels, self.channels) = (true, Vec::new()),
            b"resetchannels" => (self.all_channels, self.channels) = (false, Vec::new()),
            b"allcommands" | b"+@all" => self.set_all(true),
            b"nocommands" | b"-@all" => self.set_all(false),
            _ => match rule {
                [b'~' | b'%', ..] => return self.add_key_pattern(rule),
                [b'&', pattern @ ..] => return self.add_channel(pattern),
                [b'+', b'@', category @ ..] => return self.set_category(category, true),
                [b'-', b'@', category @ ..] => return self.set_category(category, false),
                [b'+', name @ ..] => return self.allow(name),
                [b'-', name @ ..] => {
                    let entry = commands::by_full_name(name).ok_or(RuleError::Unknown)?;
                    self.set_command(entry, false);
                    self.note('-', entry.command.full_name());
                }
                _ => return Err(RuleError::Syntax),
            },
        }
        Ok(())
    }

    fn set_all(&mut self, allowed: bool) {
        self.allowed.fill(if allowed { u64::MAX } else { 0 });
        (self.all_commands, self.begins_with_all) = (allowed, allowed);
        self.rules.clear();
        self.first_args.clear();
    }

    fn add_key_pattern(&mut self, rule: &[u8]) -> Result<(), RuleError> {
        if self.all_keys {
            return Err(RuleError::AfterAllKeys);
        }
        let (access, pattern) = match rule {
            [b'~', pattern @ ..] => (Access { read: true, write: true }, pattern),
            _ => {
                let tilde = rule.iter().position(|byte| *byte == b'~').ok_or(RuleError::Syntax)?;
                let mut access = Access::default();
                for letter in &rule[1..tilde] {
                    let given = match letter.to_ascii_uppercase() {
                        b'R' => &mut access.read,
                        b'W' => &mut access.write,
                        _ => return Err(RuleError::Syntax),
                    };
                    if std::mem::replace(given, true) {
                        return Err(RuleError::Syntax);
                    }
                }
                if access == Access::default() {
                    return Err(RuleError::Syntax);
                }
                (access, &rule[tilde + 1..])
            }
        };
        if has_spaces(pattern) {
            return Err(RuleError::Syntax);
        }
        match self.patterns.iter_mut().find(|known| known.pattern == *pattern) {
            Some(known) => {
                known.access.read |= access.read;
                known.access.write |= access.write;
            }
            None => self.patterns.push(KeyPattern { pattern: Bytes::copy(pattern), access }),
        }
        Ok(())
    }

    fn add_channel(&mut self, pattern: &[u8]) -> Result<(), RuleError> {
        if self.all_channels {
            return Err(RuleError::AfterAllChannels);
        }
        if has_spaces(pattern) {
            return Err(RuleError::Syntax);
        }
        if !self.channels.iter().any(|known| *known == *pattern) {
            self.channels.push(Bytes::copy(pattern));
        }
        Ok(())
    }

    fn set_category(&mut self, category: &[u8], allowed: bool) -> Result<(), RuleError> {
        let (category, members) = introspect::category(category).ok_or(RuleError::Unknown)?;
        self.note(if allowed { '+' } else { '-' }, format!("@{category}"));
        members.iter().for_each(|entry| self.set_command(entry, allowed));
        Ok(())
    }

    /// `+get`, `+config|get`, or `+select|0`: the last one for a command that has no subcommands.
    fn allow(&mut self, name: &[u8]) -> Result<(), RuleError> {
        let Some(bar) = name.iter().rposition(|byte| *byte == b'|') else {
            let entry = commands::by_full_name(name).ok_or(RuleError::Unknown)?;
            self.set_command(entry, true);
            self.note('+', entry.command.full_name());
            return Ok(());
        };
        let entry = commands::by_full_name(&name[..bar]).ok_or(RuleError::Unknown)?;
        let word = &name[bar + 1..];
        if entry.command.name.contains(' ') {
            return Err(RuleError::FirstArgOfSubcommand);
        }
        if word.is_empty() {
            return Err(RuleError::Syntax);
        }
        if entry.command.sub.is_empty() {
            let known = |(index, arg): &(usize, Bytes)| *index == entry.index && arg.eq_ignore_ascii_case(word);
            if !self.first_args.iter().any(known) {
                self.first_args.push((entry.index, Bytes::copy(word)));
            }
        } else {
            self.set_command(commands::by_full_name(name).ok_or(RuleError::Unknown)?, true);
        }
        self.note('+', String::from_utf8_lossy(name).to_ascii_lowercase());
        Ok(())
    }

    /// Allows or forbids a command, with all its subcommands.
    fn set_command(&mut self, entry: &Entry, allowed: bool) {
        for index in entry.index..=entry.index + entry.command.sub.len() {
            let (word, bit) = (index / 64, 1u64 << (index % 64));
            if allowed {
                self.allowed[word] |= bit;
            } else {
                self.allowed[word] &= !bit;
                self.all_commands = false;
            }
        }
        self.first_args.retain(|(index, _)| *index != entry.index);
    }

    /// Remembers a rule in place of older ones about the same command or category, or about its subcommands.
    fn note(&mut self, sign: char, name: String) {
        let subsumed =
            |rule: &str| rule.strip_prefix(&name).is_some_and(|rest| rest.is_empty() || rest.starts_with('|'));
        self.rules.retain(|rule| !subsumed(&rule[1..]));
        self.rules.push(format!("{sign}{name}"));
    }

    // -- looking -----------------------------------------------------------------------------------------------------

    /// Whether there is nothing that this selector does not allow.
    pub fn is_unrestricted(&self) -> bool {
        self.all_commands && self.all_keys && self.all_channels
    }

    pub fn has_all_channels(&self) -> bool {
        self.all_channels
    }

    pub fn shown(&self) -> Shown {
        let first = if self.begins_with_all { "+@all" } else { "-@all" };
        let commands: Vec<&str> = [first].into_iter().chain(self.rules.iter().map(String::as_str)).collect();
        let keys: Vec<_> = self.patterns.iter().map(KeyPattern::text).collect();
        let channels: Vec<_> = self.channels.iter().map(|channel| [b"&", &channel[..]].concat()).collect();
        Shown {
            commands: commands.join(" "),
            keys: if self.all_keys { Bytes::from("~*") } else { Bytes::from(keys.join(&b' ')) },
            channels: if self.all_channels { Bytes::from("&*") } else { Bytes::from(channels.join(&b' ')) },
        }
    }

    /// As ACL LIST and the files write it.
    pub fn describe(&self) -> Vec<u8> {
        let shown = self.shown();
        let mut parts: Vec<&[u8]> = vec![&shown.keys];
        if !self.all_channels {
            parts.push(b"resetchannels");
        }
        parts.extend([&shown.channels[..], shown.commands.as_bytes()]);
        parts.retain(|part| !part.is_empty());
        parts.join(&b' ')
    }

    // -- checking ----------------------------------------------------------------------------------------------------

    /// Whether all of a command is allowed. Err: what is not.
    pub fn check(&self, entry: &Entry, args: &[Bytes]) -> Result<(), Denied> {
        if !self.allows_command(entry, args) {
            return Err(Denied::Command);
        }
        if !self.all_keys {
            let mut used = keys::of(entry.command, args).into_iter();
            if let Some((place, _)) = used.find(|(place, access)| !self.allows_key(&args[*place], *access)) {
                return Err(Denied::Key(place));
            }
        }
        if !self.all_channels
            && let Some(kind) = channels_of(entry.command)
        {
            let last = if kind == ChannelUse::Publish { 1 } else { args.len() - 1 };
            let refused = |place: &usize| !self.allows_channel(&args[*place], kind == ChannelUse::Pattern);
            if let Some(place) = (1..=last).find(refused) {
                return Err(Denied::Channel(place));
            }
        }
        Ok(())
    }

    fn allows_command(&self, entry: &Entry, args: &[Bytes]) -> bool {
        let index = entry.index;
        self.all_commands
            || entry.command.flags.has(command::NO_AUTH)
            || self.allowed[index / 64] & 1 << (index % 64) != 0
            || args.get(1).is_some_and(|word| {
                self.first_args.iter().any(|(of, arg)| *of == index && word.eq_ignore_ascii_case(arg))
            })
    }

    pub fn allows_key(&self, key: &[u8], access: Access) -> bool {
        let covers = |it: &Access| (it.read || !access.read) && (it.write || !access.write);
        self.all_keys || self.patterns.iter().any(|it| covers(&it.access) && glob::matches(&it.pattern, key))
    }

    /// Whether every key there may ever be can be read.
    pub fn reads_all_keys(&self) -> bool {
        self.all_keys || self.patterns.iter().any(|it| it.access.read && it.pattern == "*")
    }

    /// `literal`: the name is a pattern itself, so it must be one of those that are given.
    pub fn allows_channel(&self, name: &[u8], literal: bool) -> bool {
        let fits = |pattern: &Bytes| if literal { **pattern == *name } else { glob::matches(pattern, name) };
        self.all_channels || self.channels.iter().any(fits)
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum ChannelUse {
    Publish,
    Subscribe,
    Pattern,
}

/// How a command uses the channels among its arguments; None if it has none, or only leaves them.
fn channels_of(command: &Command) -> Option<ChannelUse> {
    match command.name {
        "PUBLISH" | "SPUBLISH" => Some(ChannelUse::Publish),
        "SUBSCRIBE" | "SSUBSCRIBE" => Some(ChannelUse::Subscribe),
        "PSUBSCRIBE" => Some(ChannelUse::Pattern),
        _ => None,
    }
}

/// Names and patterns with blanks could not be told apart in a file.
pub fn has_spaces(text: &[u8]) -> bool {
    text.iter().any(|byte| *byte == 0 || quote::is_space(*byte))
}
