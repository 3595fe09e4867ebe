//! Counters that INFO shows.

use crate::base::Millis;

/// Counters of one command.
#[derive(Clone, Copy, Debug, Default)]
pub struct CommandStat {
    pub calls: u64,
    pub usec: u64,
    pub rejected: u64,
    pub failed: u64,
}

#[derive(Clone, Debug, Default)]
pub struct Stats {
    pub started_at: Millis,
    pub connections_received: u64,
    pub commands_processed: u64,
    pub keyspace_hits: u64,
    pub keyspace_misses: u64,
    pub expired_keys: u64,
    pub evicted_keys: u64,
    pub error_replies: u64,
    /// Indexed by `Entry::index` of the command table.
    pub commands: Vec<CommandStat>,
    /// By the error's code word.
    pub errors: std::collections::BTreeMap<String, u64>,
}
