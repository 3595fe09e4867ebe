//! Counters that INFO shows.

use crate::base::Millis;

/// Counters of one command.
#[derive(Clone, Debug, Default)]
pub struct CommandStat {
    pub calls: u64,
    pub usec: u64,
    pub rejected: u64,
    pub failed: u64,
    pub histogram: Histogram,
}

/// How many calls took up to 1, 2, 4, ... microseconds.
#[derive(Clone, Debug, Default)]
pub struct Histogram {
    pub counts: Vec<u64>,
}

impl Histogram {
    pub fn add(&mut self, micros: u64) {
        let bucket = (64 - micros.max(1).leading_zeros() - u32::from(micros.max(1).is_power_of_two())) as usize;
        if self.counts.len() <= bucket {
            self.counts.resize(bucket + 1, 0);
        }
        self.counts[bucket] += 1;
    }

    /// The bound in microseconds below which `percent` of the calls stayed.
    pub fn percentile(&self, percent: f64) -> u64 {
        let total: u64 = self.counts.iter().sum();
        let wanted = (percent / 100.0 * total as f64).ceil() as u64;
        let mut seen = 0;
        let bucket = self.counts.iter().position(|count| {
            seen += count;
            seen >= wanted.max(1)
        });
        1 << bucket.unwrap_or(0)
    }
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
    /// Values that UNLINK left to a thread of its own to free, in Redis.
    pub lazyfreed_objects: u64,
    /// Clients cut off for `maxmemory-clients`.
    pub evicted_clients: u64,
    /// Since when memory is over `maxmemory` though keys are evicted, or none may be.
    pub over_memory_since: Option<Millis>,
    /// How long that was before.
    pub over_memory_ms: u64,
    /// Bytes of replication streams, to replicas and from a primary.
    pub replication_out: u64,
    pub replication_in: u64,
    /// Clients' reply buffers made smaller and larger.
    pub reply_buffer_shrinks: u64,
    pub reply_buffer_expands: u64,
    pub error_replies: u64,
    pub rejected_connections: u64,
    pub peak_memory: u64,
    /// Indexed by `Entry::index` of the command table.
    pub commands: Vec<CommandStat>,
    /// By the error's code word.
    pub errors: std::collections::BTreeMap<String, u64>,
}

impl Stats {
    pub fn memory_fits(&mut self, now: Millis) {
        if let Some(since) = self.over_memory_since.take() {
            self.over_memory_ms += now.since(since).0;
        }
    }

    /// What CONFIG RESETSTAT does.
    pub fn reset(&mut self) {
        *self = Stats {
            started_at: self.started_at,
            commands: vec![CommandStat::default(); self.commands.len()],
            ..Stats::default()
        };
    }
}
