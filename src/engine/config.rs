//! The running configuration.

/// Thresholds up to which collections stay in their compact encodings.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    pub hash_max_listpack_entries: usize,
    pub hash_max_listpack_value: usize,
    pub list_max_listpack_size: i64,
    pub set_max_intset_entries: usize,
    pub set_max_listpack_entries: usize,
    pub set_max_listpack_value: usize,
    pub zset_max_listpack_entries: usize,
    pub zset_max_listpack_value: usize,
}

#[derive(Clone, Debug)]
pub struct Config {
    pub databases: usize,
    pub port: u16,
    pub limits: Limits,
    /// The classes of keyspace events that are published: letters of notify-keyspace-events as bits.
    pub notify: u32,
    pub maxmemory: u64,
    pub requirepass: String,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            databases: 16,
            port: 6379,
            limits: Limits {
                hash_max_listpack_entries: 128,
                hash_max_listpack_value: 64,
                list_max_listpack_size: -2,
                set_max_intset_entries: 512,
                set_max_listpack_entries: 128,
                set_max_listpack_value: 64,
                zset_max_listpack_entries: 128,
                zset_max_listpack_value: 64,
            },
            notify: 0,
            maxmemory: 0,
            requirepass: String::new(),
        }
    }
}
