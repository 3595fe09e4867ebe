//! The running configuration: every parameter by name, and those that commands look at all the time as typed fields.
//!
//! `set` is the only way to change one: it checks as Redis does, keeps the text that CONFIG GET shows, and refreshes the
//! typed field that follows from it. Only what differs from the defaults is stored, so a copy of an instance is cheap.
//! Order for readers: `table` (all parameters), `value` (what they take), here, `file` (redis.conf), `rewrite`.

pub mod file;
pub mod rewrite;
pub mod table;
pub mod value;

use super::notify;
use crate::base::{Bytes, glob};
use std::collections::BTreeMap;
pub use table::{PARAMETERS, Parameter};

/// Thresholds up to which collections stay in their compact encodings.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    pub hash_max_listpack_entries: usize,
    pub hash_max_listpack_value: usize,
    pub list_max_listpack_size: i64,
    pub list_compress_depth: usize,
    pub set_max_intset_entries: usize,
    pub set_max_listpack_entries: usize,
    pub set_max_listpack_value: usize,
    pub zset_max_listpack_entries: usize,
    pub zset_max_listpack_value: usize,
    pub hll_sparse_max_bytes: usize,
    pub stream_node_max_bytes: usize,
    pub stream_node_max_entries: usize,
}

/// appendfsync: when what was written to the AOF is forced to the platter.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum Fsync {
    Always,
    #[default]
    EverySecond,
    No,
}

/// maxmemory-policy: what to remove when memory is full.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum Eviction {
    #[default]
    None,
    /// Of the keys with an expiry (`volatile`) or of all.
    Lru {
        volatile: bool,
    },
    Lfu {
        volatile: bool,
    },
    Random {
        volatile: bool,
    },
    Ttl,
}

impl Eviction {
    pub fn is_lfu(self) -> bool {
        matches!(self, Eviction::Lfu { .. })
    }
}

/// The typed fields are read only: change them by `set`, else CONFIG GET shows something else.
#[derive(Clone, Debug)]
pub struct Config {
    /// By name, as CONFIG GET shows it; what is not here has its default.
    changed: BTreeMap<&'static str, Bytes>,
    /// Grows with each change of a parameter, so that what is worked out from several can be kept.
    revision: u64,
    /// Users that the config file declares: the name, then the rules.
    pub users: Vec<Vec<Bytes>>,
    /// What `rename-command` did to a name, in upper case: the command that it now calls (its number), or none.
    pub renamed: BTreeMap<Vec<u8>, Option<usize>>,
    /// The config file, for CONFIG REWRITE; None if the server was started without.
    pub file: Option<String>,
    pub databases: usize,
    pub port: u16,
    pub limits: Limits,
    /// The classes of keyspace events that are published: letters of notify-keyspace-events as bits.
    pub notify: u32,
    pub maxmemory: u64,
    pub eviction: Eviction,
    pub maxmemory_samples: usize,
    pub lfu_log_factor: u32,
    pub lfu_decay_minutes: u32,
    pub requirepass: String,
    pub maxclients: usize,
    /// Seconds after which an idle client is closed; 0: never.
    pub timeout_secs: u64,
    pub hz: u32,
    pub slowlog_log_slower_than: i64,
    pub slowlog_max_len: usize,
    pub proto_max_bulk_len: u64,
    pub cluster_enabled: bool,
    /// Save points: after this many seconds with at least this many changes.
    pub save: Vec<(u64, u64)>,
    pub stop_writes_on_bgsave_error: bool,
    pub appendonly: bool,
    pub appendfsync: Fsync,
    pub aof_timestamps: bool,
    pub no_appendfsync_on_rewrite: bool,
    /// Writes are refused with fewer replicas than this that are no further behind than that many seconds; 0: never.
    pub min_replicas_to_write: i64,
    pub min_replicas_max_lag_secs: i64,
}

impl Default for Config {
    fn default() -> Config {
        let limits = Limits {
            hash_max_listpack_entries: 0,
            hash_max_listpack_value: 0,
            list_max_listpack_size: 0,
            list_compress_depth: 0,
            set_max_intset_entries: 0,
            set_max_listpack_entries: 0,
            set_max_listpack_value: 0,
            zset_max_listpack_entries: 0,
            zset_max_listpack_value: 0,
            hll_sparse_max_bytes: 0,
            stream_node_max_bytes: 0,
            stream_node_max_entries: 0,
        };
        let mut config = Config {
            changed: BTreeMap::new(),
            revision: 0,
            users: Vec::new(),
            renamed: BTreeMap::new(),
            file: None,
            databases: 0,
            port: 0,
            limits,
            notify: 0,
            maxmemory: 0,
            eviction: Eviction::None,
            maxmemory_samples: 0,
            lfu_log_factor: 0,
            lfu_decay_minutes: 0,
            requirepass: String::new(),
            maxclients: 0,
            timeout_secs: 0,
            hz: 0,
            slowlog_log_slower_than: 0,
            slowlog_max_len: 0,
            proto_max_bulk_len: 0,
            cluster_enabled: false,
            save: Vec::new(),
            stop_writes_on_bgsave_error: true,
            appendonly: false,
            appendfsync: Fsync::EverySecond,
            aof_timestamps: false,
            no_appendfsync_on_rewrite: false,
            min_replicas_to_write: 0,
            min_replicas_max_lag_secs: 0,
        };
        // The table's defaults are the only ones: the zeros above are overwritten by them.
        PARAMETERS.iter().for_each(|parameter| config.refresh(parameter));
        config
    }
}

impl Config {
    /// The value of a parameter as CONFIG GET shows it. Panics on an unknown name: a misspelling in our own code.
    pub fn text(&self, name: &str) -> Bytes {
        self.text_of(known(name))
    }

    /// As long as it stays the same, so does every parameter.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// Whether a yes/no parameter says yes.
    pub fn flag(&self, name: &str) -> bool {
        *self.bytes_of(known(name)) == *b"yes"
    }

    /// What the clients' buffers may take together, by `maxmemory-clients`; None: as much as they like. Never less than 128
    /// KiB, so that one can still talk to the server (`getClientEvictionLimit`).
    pub fn client_memory_limit(&self) -> Option<u64> {
        let limit = match self.int("maxmemory-clients") {
            0 => return None,
            percent if percent < 0 && self.maxmemory == 0 => return None,
            percent if percent < 0 => self.maxmemory / 100 * percent.unsigned_abs(),
            bytes => bytes as u64,
        };
        Some(limit.max(128 * 1024))
    }

    /// A number or an amount of memory; a share of memory (`5%`) is negative.
    pub fn int(&self, name: &str) -> i64 {
        let text = String::from_utf8_lossy(self.bytes_of(known(name)));
        match text.strip_suffix('%') {
            Some(percent) => -percent.parse::<i64>().unwrap_or(0),
            None => text.parse::<i128>().map_or(0, |number| number.min(i64::MAX.into()) as i64),
        }
    }

    pub fn text_of(&self, parameter: &Parameter) -> Bytes {
        self.changed.get(parameter.name).cloned().unwrap_or_else(|| Bytes::from(parameter.default))
    }

    fn bytes_of(&self, parameter: &Parameter) -> &[u8] {
        self.changed.get(parameter.name).map_or(parameter.default.as_bytes(), |text| text)
    }

    /// Sets a parameter from one text, split at blanks where it takes several words, as CONFIG SET does. Err: the reason
    /// in Redis' words. Checks no flags: `immutable` concerns CONFIG SET only.
    pub fn set(&mut self, name: &str, text: &str) -> Result<(), String> {
        self.set_text(known(name), &Bytes::from(text))
    }

    pub fn set_text(&mut self, parameter: &'static Parameter, text: &Bytes) -> Result<(), String> {
        if parameter.flags.has(table::MULTI) {
            let words: Vec<Bytes> = text.split(|byte| *byte == b' ').map(Bytes::from).collect();
            self.set_words(parameter, &words)
        } else {
            self.set_words(parameter, std::slice::from_ref(text))
        }
    }

    /// Sets a parameter from the words that stand behind it in a config file.
    pub fn set_words(&mut self, parameter: &'static Parameter, words: &[Bytes]) -> Result<(), String> {
        let mut text = value::parse(parameter, words, &self.text_of(parameter))?;
        if parameter.name == "hz" {
            // Out of range is not refused but capped.
            text = Bytes::from(text.lossy().parse::<u32>().unwrap_or(10).clamp(1, 500).to_string());
        }
        self.revision += 1;
        if *text == *parameter.default.as_bytes() {
            self.changed.remove(parameter.name);
        } else {
            self.changed.insert(parameter.name, text);
        }
        self.refresh(parameter);
        if parameter.name == "notify-keyspace-events"
            && let [letters] = words
        {
            // The text hides `n` beside `A`; published it is all the same.
            self.notify = notify::parse(letters).unwrap_or(self.notify);
        }
        Ok(())
    }

    /// Whether new users may use all channels.
    pub fn acl_all_channels(&self) -> bool {
        *self.text("acl-pubsub-default") == *b"allchannels"
    }

    /// What CONFIG GET answers to these patterns: name and value, in the table's order, old names where they match.
    pub fn matching(&self, patterns: &[Bytes]) -> Vec<(&'static str, Bytes)> {
        let mut found = Vec::new();
        for parameter in PARAMETERS {
            for name in [parameter.name, parameter.alias] {
                let hidden = parameter.flags.has(table::HIDDEN);
                let matches = |pattern: &Bytes| match pattern.iter().any(|byte| b"[*?".contains(byte)) {
                    false => pattern.eq_ignore_ascii_case(name.as_bytes()),
                    true => !hidden && glob::matches_nocase(pattern, name.as_bytes()),
                };
                if !name.is_empty() && patterns.iter().any(matches) {
                    found.push((name, self.text_of(parameter)));
                }
            }
        }
        found
    }

    /// The path of a file in the working directory. The port `Disk` resolves a relative one.
    pub fn path(&self, name: &str) -> String {
        match &*self.text("dir").lossy() {
            "" => name.to_owned(),
            dir => format!("{}/{name}", dir.trim_end_matches('/')),
        }
    }

    /// Says where the process works, as an absolute path: a `dir` that was given relative to it becomes absolute.
    pub fn start_in(&mut self, cwd: &str) {
        let dir = self.text("dir");
        let dir = dir.lossy();
        let absolute = match &*dir {
            "" | "." | "./" => cwd.to_owned(),
            dir if dir.starts_with('/') => dir.to_owned(),
            dir => format!("{}/{}", cwd.trim_end_matches('/'), dir.trim_start_matches("./").trim_end_matches('/')),
        };
        self.set("dir", &absolute).expect("dir takes any text");
    }

    /// Brings the typed field of `parameter` up to date with its text.
    fn refresh(&mut self, parameter: &Parameter) {
        let name = parameter.name;
        let number = |config: &Config| config.int(name).max(0) as usize;
        match name {
            "databases" => self.databases = number(self),
            "port" => self.port = number(self) as u16,
            "hash-max-listpack-entries" => self.limits.hash_max_listpack_entries = number(self),
            "hash-max-listpack-value" => self.limits.hash_max_listpack_value = number(self),
            "list-max-listpack-size" => self.limits.list_max_listpack_size = self.int(name),
            "list-compress-depth" => self.limits.list_compress_depth = number(self),
            "set-max-intset-entries" => self.limits.set_max_intset_entries = number(self),
            "set-max-listpack-entries" => self.limits.set_max_listpack_entries = number(self),
            "set-max-listpack-value" => self.limits.set_max_listpack_value = number(self),
            "zset-max-listpack-entries" => self.limits.zset_max_listpack_entries = number(self),
            "zset-max-listpack-value" => self.limits.zset_max_listpack_value = number(self),
            "hll-sparse-max-bytes" => self.limits.hll_sparse_max_bytes = number(self),
            "stream-node-max-bytes" => self.limits.stream_node_max_bytes = number(self),
            "stream-node-max-entries" => self.limits.stream_node_max_entries = number(self),
            "notify-keyspace-events" => self.notify = notify::parse(&self.text(name)).unwrap_or(0),
            "maxmemory" => self.maxmemory = self.text(name).lossy().parse().unwrap_or(0),
            "maxmemory-policy" => self.eviction = eviction(&self.text(name)),
            "maxmemory-samples" => self.maxmemory_samples = number(self),
            "lfu-log-factor" => self.lfu_log_factor = number(self) as u32,
            "lfu-decay-time" => self.lfu_decay_minutes = number(self) as u32,
            "requirepass" => self.requirepass = self.text(name).lossy().into_owned(),
            "maxclients" => self.maxclients = number(self),
            "timeout" => self.timeout_secs = number(self) as u64,
            "hz" => self.hz = number(self) as u32,
            "slowlog-log-slower-than" => self.slowlog_log_slower_than = self.int(name),
            "slowlog-max-len" => self.slowlog_max_len = number(self),
            "proto-max-bulk-len" => self.proto_max_bulk_len = number(self) as u64,
            "cluster-enabled" => self.cluster_enabled = self.flag(name),
            "save" => self.save = save_points(&self.text(name)),
            "stop-writes-on-bgsave-error" => self.stop_writes_on_bgsave_error = self.flag(name),
            "appendonly" => self.appendonly = self.flag(name),
            "aof-timestamp-enabled" => self.aof_timestamps = self.flag(name),
            "no-appendfsync-on-rewrite" => self.no_appendfsync_on_rewrite = self.flag(name),
            "min-replicas-to-write" => self.min_replicas_to_write = self.int(name),
            "min-replicas-max-lag" => self.min_replicas_max_lag_secs = self.int(name),
            "appendfsync" => {
                self.appendfsync = match &*self.text(name) {
                    b"always" => Fsync::Always,
                    b"no" => Fsync::No,
                    _ => Fsync::EverySecond,
                }
            }
            _ => {}
        }
    }
}

fn known(name: &str) -> &'static Parameter {
    match table::find(name.as_bytes()) {
        Some((parameter, _)) => parameter,
        None => unreachable!("`{name}` is written in our own code and must be in the table"),
    }
}

fn eviction(text: &[u8]) -> Eviction {
    match text {
        b"volatile-lru" => Eviction::Lru { volatile: true },
        b"volatile-lfu" => Eviction::Lfu { volatile: true },
        b"volatile-random" => Eviction::Random { volatile: true },
        b"volatile-ttl" => Eviction::Ttl,
        b"allkeys-lru" => Eviction::Lru { volatile: false },
        b"allkeys-lfu" => Eviction::Lfu { volatile: false },
        b"allkeys-random" => Eviction::Random { volatile: false },
        _ => Eviction::None,
    }
}

fn save_points(text: &Bytes) -> Vec<(u64, u64)> {
    let text = text.lossy();
    let numbers: Vec<u64> = text.split(' ').filter_map(|word| word.parse().ok()).collect();
    numbers.chunks_exact(2).map(|pair| (pair[0], pair[1])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn typed_fields_follow_the_texts() {
        let mut config = Config::default();
        assert_eq!((config.databases, config.port, config.limits.hash_max_listpack_entries), (16, 6379, 512));
        assert_eq!(config.save, [(3600, 1), (300, 100), (60, 10000)]);
        config.set("save", "").unwrap();
        config.set("maxmemory", "2mb").unwrap();
        config.set("hash-max-ziplist-entries", "7").unwrap();
        config.set("maxmemory-policy", "ALLKEYS-LFU").unwrap();
        assert_eq!((config.save.len(), config.maxmemory, config.limits.hash_max_listpack_entries), (0, 2 << 20, 7));
        assert!(config.eviction.is_lfu());
        assert!(config.set("port", "x").is_err());
        assert_eq!(config.port, 6379);
    }

    #[test]
    fn patterns_find_old_names_too_but_no_hidden_ones() {
        let config = Config::default();
        let names = |pattern: &str| -> Vec<&str> {
            config.matching(&[pattern.into()]).into_iter().map(|(name, _)| name).collect()
        };
        assert_eq!(names("hash-max-*-entries"), ["hash-max-listpack-entries", "hash-max-ziplist-entries"]);
        assert_eq!(names("SAVE"), ["save"]);
        assert_eq!(names("watchdog-*"), Vec::<&str>::new());
        assert_eq!(names("watchdog-period"), ["watchdog-period"]);
        assert!(names("nothing").is_empty());
    }

    #[test]
    fn files_stand_in_the_working_directory() {
        let mut config = Config::default();
        assert_eq!(config.path("dump.rdb"), "dump.rdb");
        config.set("dir", "./data/").unwrap();
        config.start_in("/home/lab");
        assert_eq!(config.path("dump.rdb"), "/home/lab/data/dump.rdb");
    }
}
