//! ACL LOG: who was refused what. The same refusal within a minute is one entry with a count.

use crate::base::{Bytes, Millis};
use std::collections::VecDeque;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reason {
    Auth,
    Command,
    Key,
    Channel,
}

impl Reason {
    pub fn word(self) -> &'static str {
        match self {
            Reason::Auth => "auth",
            Reason::Command => "command",
            Reason::Key => "key",
            Reason::Channel => "channel",
        }
    }
}

/// Where a command came from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Context {
    TopLevel,
    /// Queued between MULTI and EXEC, or carried out by EXEC.
    Multi,
    /// Called by a script.
    Lua,
}

impl Context {
    pub fn word(self) -> &'static str {
        match self {
            Context::TopLevel => "toplevel",
            Context::Multi => "multi",
            Context::Lua => "lua",
        }
    }
}

#[derive(Clone, Debug)]
pub struct LogEntry {
    pub id: u64,
    pub count: u64,
    pub reason: Reason,
    pub context: Context,
    /// The command, key or channel.
    pub object: Bytes,
    pub user: Bytes,
    /// As CLIENT INFO describes the client of the last time.
    pub client: String,
    pub created: Millis,
    pub updated: Millis,
}

/// The newest first.
#[derive(Clone, Debug, Default)]
pub struct Log {
    pub entries: VecDeque<LogEntry>,
    next_id: u64,
    /// Refusals since the start, by reason; INFO shows them.
    pub auth: u64,
    pub command: u64,
    pub key: u64,
    pub channel: u64,
}

/// Refusals further apart are two entries, and so are those with ten others in between.
const GROUPED_WITHIN: Millis = Millis(60_000);
const LOOKED_THROUGH: usize = 10;

impl Log {
    /// Adds a refusal; `id` and `count` are set here. At most `max_len` entries are kept.
    pub fn add(&mut self, mut entry: LogEntry, max_len: usize) {
        *match entry.reason {
            Reason::Auth => &mut self.auth,
            Reason::Command => &mut self.command,
            Reason::Key => &mut self.key,
            Reason::Channel => &mut self.channel,
        } += 1;
        let same = |it: &LogEntry| {
            (it.reason, it.context) == (entry.reason, entry.context)
                && it.object == entry.object
                && it.user == entry.user
                && entry.updated.since(it.updated) <= GROUPED_WITHIN
        };
        if let Some(mut known) =
            self.entries.iter().take(LOOKED_THROUGH).position(same).and_then(|at| self.entries.remove(at))
        {
            known.count += 1;
            (known.client, known.updated) = (entry.client, entry.updated);
            self.entries.push_front(known);
            return;
        }
        entry.id = self.next_id;
        self.next_id += 1;
        self.entries.push_front(entry);
        self.entries.truncate(max_len);
    }

    /// CONFIG RESETSTAT.
    pub fn reset_counts(&mut self) {
        (self.auth, self.command, self.key, self.channel) = (0, 0, 0, 0);
    }
}
