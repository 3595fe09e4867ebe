//! Every parameter of redis.conf in Redis 7.2: its name, its older name, what it takes, its default.
//!
//! One line each. CONFIG GET, SET and REWRITE, the config file's parser, completion and the docs follow from it. Those
//! that this engine does not act on (TLS, syslog, defragmentation ...) are kept all the same: a real redis.conf loads,
//! and says what it says.

use std::collections::BTreeMap;
use std::sync::LazyLock;

/// What a parameter takes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    YesNo,
    Text,
    /// Text for which "empty" and "not set" are the same, so that CONFIG REWRITE leaves it out.
    OptionalText,
    Choice(&'static [&'static str]),
    /// Inclusive bounds, as for the other numbers.
    Int(i128, i128),
    /// Bytes, with `kb` (1024), `k` (1000) and so on.
    Memory(i128, i128),
    /// Bytes, or a share of maxmemory, kept negative: `5%` is -5.
    MemoryOrPercent(i128, i128),
    Octal(i128, i128),
    Dir,
    Save,
    OutputLimits,
    OomValues,
    Events,
    Bind,
    ReplicaOf,
    Percentiles,
}
use Kind::*;

/// A set of properties.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Flags(u8);

impl Flags {
    pub const fn with(self, more: Flags) -> Flags {
        Flags(self.0 | more.0)
    }

    pub const fn has(self, flag: Flags) -> bool {
        self.0 & flag.0 != 0
    }
}

pub const PLAIN: Flags = Flags(0);
/// Only a config file or the command line can set it.
pub const IMMUTABLE: Flags = Flags(1);
/// CONFIG SET needs `enable-protected-configs`.
pub const PROTECTED: Flags = Flags(1 << 1);
/// Its value is left out of MONITOR and the slow log.
pub const SENSITIVE: Flags = Flags(1 << 2);
/// No pattern of CONFIG GET finds it, only its name.
pub const HIDDEN: Flags = Flags(1 << 3);
/// Takes several words.
pub const MULTI: Flags = Flags(1 << 4);

#[derive(Debug)]
pub struct Parameter {
    pub name: &'static str,
    /// The name it had before, "" if none.
    pub alias: &'static str,
    pub kind: Kind,
    /// As CONFIG GET shows it.
    pub default: &'static str,
    pub flags: Flags,
}

const fn parameter(
    name: &'static str,
    alias: &'static str,
    kind: Kind,
    default: &'static str,
    flags: Flags,
) -> Parameter {
    Parameter { name, alias, kind, default, flags }
}

const I32_MIN: i128 = i32::MIN as i128;
const I32_MAX: i128 = i32::MAX as i128;
const U32_MAX: i128 = u32::MAX as i128;
const I64_MAX: i128 = i64::MAX as i128;
const U64_MAX: i128 = u64::MAX as i128;

const ALLOWED: &[&str] = &["no", "yes", "local"];
const SHUTDOWN_ON: &[&str] = &["default", "save", "nosave", "now", "force"];

#[rustfmt::skip]
pub const PARAMETERS: &[Parameter] = &[
    parameter("rdbchecksum", "", YesNo, "yes", IMMUTABLE),
    parameter("daemonize", "", YesNo, "no", IMMUTABLE),
    parameter("io-threads-do-reads", "", YesNo, "no", IMMUTABLE),
    parameter("always-show-logo", "", YesNo, "no", IMMUTABLE),
    parameter("protected-mode", "", YesNo, "yes", PLAIN),
    parameter("rdbcompression", "", YesNo, "yes", PLAIN),
    parameter("rdb-del-sync-files", "", YesNo, "no", PLAIN),
    parameter("activerehashing", "", YesNo, "yes", PLAIN),
    parameter("stop-writes-on-bgsave-error", "", YesNo, "yes", PLAIN),
    parameter("set-proc-title", "", YesNo, "yes", IMMUTABLE),
    parameter("dynamic-hz", "", YesNo, "yes", PLAIN),
    parameter("lazyfree-lazy-eviction", "", YesNo, "no", PLAIN),
    parameter("lazyfree-lazy-expire", "", YesNo, "no", PLAIN),
    parameter("lazyfree-lazy-server-del", "", YesNo, "no", PLAIN),
    parameter("lazyfree-lazy-user-del", "", YesNo, "no", PLAIN),
    parameter("lazyfree-lazy-user-flush", "", YesNo, "no", PLAIN),
    parameter("repl-disable-tcp-nodelay", "", YesNo, "no", PLAIN),
    parameter("repl-diskless-sync", "", YesNo, "yes", PLAIN),
    parameter("aof-rewrite-incremental-fsync", "", YesNo, "yes", PLAIN),
    parameter("no-appendfsync-on-rewrite", "", YesNo, "no", PLAIN),
    parameter("cluster-require-full-coverage", "", YesNo, "yes", PLAIN),
    parameter("rdb-save-incremental-fsync", "", YesNo, "yes", PLAIN),
    parameter("aof-load-truncated", "", YesNo, "yes", PLAIN),
    parameter("aof-use-rdb-preamble", "", YesNo, "yes", PLAIN),
    parameter("aof-timestamp-enabled", "", YesNo, "no", PLAIN),
    parameter("cluster-replica-no-failover", "cluster-slave-no-failover", YesNo, "no", PLAIN),
    parameter("replica-lazy-flush", "slave-lazy-flush", YesNo, "no", PLAIN),
    parameter("replica-serve-stale-data", "slave-serve-stale-data", YesNo, "yes", PLAIN),
    parameter("replica-read-only", "slave-read-only", YesNo, "yes", PLAIN),
    parameter("replica-ignore-maxmemory", "slave-ignore-maxmemory", YesNo, "yes", PLAIN),
    parameter("jemalloc-bg-thread", "", YesNo, "yes", PLAIN),
    parameter("activedefrag", "", YesNo, "no", PLAIN),
    parameter("syslog-enabled", "", YesNo, "no", IMMUTABLE),
    parameter("cluster-enabled", "", YesNo, "no", IMMUTABLE),
    parameter("appendonly", "", YesNo, "no", PLAIN),
    parameter("cluster-allow-reads-when-down", "", YesNo, "no", PLAIN),
    parameter("cluster-allow-pubsubshard-when-down", "", YesNo, "yes", PLAIN),
    parameter("crash-log-enabled", "", YesNo, "yes", PLAIN),
    parameter("crash-memcheck-enabled", "", YesNo, "yes", PLAIN),
    parameter("use-exit-on-panic", "", YesNo, "no", HIDDEN),
    parameter("disable-thp", "", YesNo, "yes", IMMUTABLE),
    parameter("cluster-allow-replica-migration", "", YesNo, "yes", PLAIN),
    parameter("replica-announced", "", YesNo, "yes", PLAIN),
    parameter("latency-tracking", "", YesNo, "yes", PLAIN),
    parameter("aof-disable-auto-gc", "", YesNo, "no", HIDDEN),
    parameter("replica-ignore-disk-write-errors", "", YesNo, "no", PLAIN),
    parameter("aclfile", "", Text, "", IMMUTABLE),
    parameter("unixsocket", "", OptionalText, "", IMMUTABLE),
    parameter("pidfile", "", OptionalText, "", IMMUTABLE),
    parameter("replica-announce-ip", "slave-announce-ip", OptionalText, "", PLAIN),
    parameter("masteruser", "", OptionalText, "", SENSITIVE),
    parameter("cluster-announce-ip", "", OptionalText, "", PLAIN),
    parameter("cluster-config-file", "", Text, "nodes.conf", IMMUTABLE),
    parameter("cluster-announce-hostname", "", OptionalText, "", PLAIN),
    parameter("cluster-announce-human-nodename", "", OptionalText, "", PLAIN),
    parameter("syslog-ident", "", Text, "redis", IMMUTABLE),
    parameter("dbfilename", "", Text, "dump.rdb", PROTECTED),
    parameter("appendfilename", "", Text, "appendonly.aof", IMMUTABLE),
    parameter("appenddirname", "", Text, "appendonlydir", IMMUTABLE),
    parameter("server_cpulist", "", OptionalText, "", IMMUTABLE),
    parameter("bio_cpulist", "", OptionalText, "", IMMUTABLE),
    parameter("aof_rewrite_cpulist", "", OptionalText, "", IMMUTABLE),
    parameter("bgsave_cpulist", "", OptionalText, "", IMMUTABLE),
    parameter("ignore-warnings", "", Text, "", PLAIN),
    parameter("proc-title-template", "", Text, "{title} {listen-addr} {server-mode}", PLAIN),
    parameter("bind-source-addr", "", OptionalText, "", PLAIN),
    parameter("logfile", "", Text, "", IMMUTABLE),
    parameter("locale-collate", "", Text, "", PLAIN),
    parameter("masterauth", "", OptionalText, "", SENSITIVE),
    parameter("requirepass", "", OptionalText, "", SENSITIVE),
    parameter("supervised", "", Choice(&["upstart", "systemd", "auto", "no"]), "no", IMMUTABLE),
    parameter("syslog-facility", "", Choice(&["user", "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7"]), "local0", IMMUTABLE),
    parameter("repl-diskless-load", "", Choice(&["disabled", "on-empty-db", "swapdb"]), "disabled", PLAIN),
    parameter("loglevel", "", Choice(&["debug", "verbose", "notice", "warning", "nothing"]), "notice", PLAIN),
    parameter("maxmemory-policy", "", Choice(&["volatile-lru", "volatile-lfu", "volatile-random", "volatile-ttl", "allkeys-lru", "allkeys-lfu", "allkeys-random", "noeviction"]), "noeviction", PLAIN),
    parameter("appendfsync", "", Choice(&["everysec", "always", "no"]), "everysec", PLAIN),
    parameter("oom-score-adj", "", Choice(&["no", "yes", "relative", "absolute"]), "no", PLAIN),
    parameter("acl-pubsub-default", "", Choice(&["allchannels", "resetchannels"]), "resetchannels", PLAIN),
    parameter("sanitize-dump-payload", "", Choice(&["no", "yes", "clients"]), "no", PLAIN),
    parameter("enable-protected-configs", "", Choice(ALLOWED), "no", IMMUTABLE),
    parameter("enable-debug-command", "", Choice(ALLOWED), "no", IMMUTABLE),
    parameter("enable-module-command", "", Choice(ALLOWED), "no", IMMUTABLE),
    parameter("cluster-preferred-endpoint-type", "", Choice(&["ip", "hostname", "unknown-endpoint"]), "ip", PLAIN),
    parameter("propagation-error-behavior", "", Choice(&["ignore", "panic", "panic-on-replicas"]), "ignore", PLAIN),
    parameter("shutdown-on-sigint", "", Choice(SHUTDOWN_ON), "default", MULTI),
    parameter("shutdown-on-sigterm", "", Choice(SHUTDOWN_ON), "default", MULTI),
    parameter("databases", "", Int(1, I32_MAX), "16", IMMUTABLE),
    parameter("port", "", Int(0, 65_535), "6379", PLAIN),
    parameter("io-threads", "", Int(1, 128), "1", IMMUTABLE),
    parameter("auto-aof-rewrite-percentage", "", Int(0, I32_MAX), "100", PLAIN),
    parameter("cluster-replica-validity-factor", "cluster-slave-validity-factor", Int(0, I32_MAX), "10", PLAIN),
    parameter("list-max-listpack-size", "list-max-ziplist-size", Int(I32_MIN, I32_MAX), "-2", PLAIN),
    parameter("tcp-keepalive", "", Int(0, I32_MAX), "300", PLAIN),
    parameter("cluster-migration-barrier", "", Int(0, I32_MAX), "1", PLAIN),
    parameter("active-defrag-cycle-min", "", Int(1, 99), "1", PLAIN),
    parameter("active-defrag-cycle-max", "", Int(1, 99), "25", PLAIN),
    parameter("active-defrag-threshold-lower", "", Int(0, 1_000), "10", PLAIN),
    parameter("active-defrag-threshold-upper", "", Int(0, 1_000), "100", PLAIN),
    parameter("lfu-log-factor", "", Int(0, I32_MAX), "10", PLAIN),
    parameter("lfu-decay-time", "", Int(0, I32_MAX), "1", PLAIN),
    parameter("replica-priority", "slave-priority", Int(0, I32_MAX), "100", PLAIN),
    parameter("repl-diskless-sync-delay", "", Int(0, I32_MAX), "5", PLAIN),
    parameter("maxmemory-samples", "", Int(1, I32_MAX), "5", PLAIN),
    parameter("maxmemory-eviction-tenacity", "", Int(0, 100), "10", PLAIN),
    parameter("timeout", "", Int(0, I32_MAX), "0", PLAIN),
    parameter("replica-announce-port", "slave-announce-port", Int(0, 65_535), "0", PLAIN),
    parameter("tcp-backlog", "", Int(0, I32_MAX), "511", IMMUTABLE),
    parameter("cluster-port", "", Int(0, 65_535), "0", IMMUTABLE),
    parameter("cluster-announce-bus-port", "", Int(0, 65_535), "0", PLAIN),
    parameter("cluster-announce-port", "", Int(0, 65_535), "0", PLAIN),
    parameter("cluster-announce-tls-port", "", Int(0, 65_535), "0", PLAIN),
    parameter("repl-timeout", "", Int(1, I32_MAX), "60", PLAIN),
    parameter("repl-ping-replica-period", "repl-ping-slave-period", Int(1, I32_MAX), "10", PLAIN),
    parameter("list-compress-depth", "", Int(0, I32_MAX), "0", PLAIN),
    parameter("rdb-key-save-delay", "", Int(I32_MIN, I32_MAX), "0", HIDDEN),
    parameter("key-load-delay", "", Int(I32_MIN, I32_MAX), "0", HIDDEN),
    parameter("active-expire-effort", "", Int(1, 10), "1", PLAIN),
    parameter("hz", "", Int(0, I32_MAX), "10", PLAIN),
    parameter("min-replicas-to-write", "min-slaves-to-write", Int(0, I32_MAX), "0", PLAIN),
    parameter("min-replicas-max-lag", "min-slaves-max-lag", Int(0, I32_MAX), "10", PLAIN),
    parameter("watchdog-period", "", Int(0, I32_MAX), "0", HIDDEN),
    parameter("shutdown-timeout", "", Int(0, I32_MAX), "10", PLAIN),
    parameter("repl-diskless-sync-max-replicas", "", Int(0, I32_MAX), "0", PLAIN),
    parameter("maxclients", "", Int(1, U32_MAX), "10000", PLAIN),
    parameter("unixsocketperm", "", Octal(0, 0o777), "0", IMMUTABLE),
    parameter("socket-mark-id", "", Int(0, U32_MAX), "0", IMMUTABLE),
    parameter("active-defrag-max-scan-fields", "", Int(1, I64_MAX), "1000", PLAIN),
    parameter("slowlog-max-len", "", Int(0, I64_MAX), "128", PLAIN),
    parameter("acllog-max-len", "", Int(0, I64_MAX), "128", PLAIN),
    parameter("busy-reply-threshold", "lua-time-limit", Int(0, I64_MAX), "5000", PLAIN),
    parameter("cluster-node-timeout", "", Int(0, I64_MAX), "15000", PLAIN),
    parameter("cluster-ping-interval", "", Int(0, I64_MAX), "0", HIDDEN),
    parameter("slowlog-log-slower-than", "", Int(-1, I64_MAX), "10000", PLAIN),
    parameter("latency-monitor-threshold", "", Int(0, I64_MAX), "0", PLAIN),
    parameter("proto-max-bulk-len", "", Memory(1_048_576, I64_MAX), "536870912", PLAIN),
    parameter("stream-node-max-entries", "", Int(0, I64_MAX), "100", PLAIN),
    parameter("repl-backlog-size", "", Memory(1, I64_MAX), "1048576", PLAIN),
    parameter("maxmemory", "", Memory(0, U64_MAX), "0", PLAIN),
    parameter("cluster-link-sendbuf-limit", "", Memory(0, U64_MAX), "0", PLAIN),
    parameter("hash-max-listpack-entries", "hash-max-ziplist-entries", Int(0, I64_MAX), "512", PLAIN),
    parameter("set-max-intset-entries", "", Int(0, I64_MAX), "512", PLAIN),
    parameter("set-max-listpack-entries", "", Int(0, I64_MAX), "128", PLAIN),
    parameter("set-max-listpack-value", "", Int(0, I64_MAX), "64", PLAIN),
    parameter("zset-max-listpack-entries", "zset-max-ziplist-entries", Int(0, I64_MAX), "128", PLAIN),
    parameter("active-defrag-ignore-bytes", "", Memory(1, I64_MAX), "104857600", PLAIN),
    parameter("hash-max-listpack-value", "hash-max-ziplist-value", Memory(0, I64_MAX), "64", PLAIN),
    parameter("stream-node-max-bytes", "", Memory(0, I64_MAX), "4096", PLAIN),
    parameter("zset-max-listpack-value", "zset-max-ziplist-value", Memory(0, I64_MAX), "64", PLAIN),
    parameter("hll-sparse-max-bytes", "", Memory(0, I64_MAX), "3000", PLAIN),
    parameter("tracking-table-max-keys", "", Int(0, I64_MAX), "1000000", PLAIN),
    parameter("client-query-buffer-limit", "", Memory(1_048_576, I64_MAX), "1073741824", PLAIN),
    parameter("maxmemory-clients", "", MemoryOrPercent(-100, I64_MAX), "0", PLAIN),
    parameter("repl-backlog-ttl", "", Int(0, I64_MAX), "3600", PLAIN),
    parameter("auto-aof-rewrite-min-size", "", Memory(0, I64_MAX), "67108864", PLAIN),
    parameter("loading-process-events-interval-bytes", "", Int(1_024, I32_MAX), "2097152", HIDDEN),
    parameter("tls-port", "", Int(0, 65_535), "0", PLAIN),
    parameter("tls-session-cache-size", "", Int(0, I32_MAX), "20480", PLAIN),
    parameter("tls-session-cache-timeout", "", Int(0, I32_MAX), "300", PLAIN),
    parameter("tls-cluster", "", YesNo, "no", PLAIN),
    parameter("tls-replication", "", YesNo, "no", PLAIN),
    parameter("tls-auth-clients", "", Choice(&["no", "yes", "optional"]), "yes", PLAIN),
    parameter("tls-prefer-server-ciphers", "", YesNo, "no", PLAIN),
    parameter("tls-session-caching", "", YesNo, "yes", PLAIN),
    parameter("tls-cert-file", "", OptionalText, "", PLAIN),
    parameter("tls-key-file", "", OptionalText, "", PLAIN),
    parameter("tls-key-file-pass", "", OptionalText, "", PLAIN),
    parameter("tls-client-cert-file", "", OptionalText, "", PLAIN),
    parameter("tls-client-key-file", "", OptionalText, "", PLAIN),
    parameter("tls-client-key-file-pass", "", OptionalText, "", PLAIN),
    parameter("tls-dh-params-file", "", OptionalText, "", PLAIN),
    parameter("tls-ca-cert-file", "", OptionalText, "", PLAIN),
    parameter("tls-ca-cert-dir", "", OptionalText, "", PLAIN),
    parameter("tls-protocols", "", OptionalText, "", PLAIN),
    parameter("tls-ciphers", "", OptionalText, "", PLAIN),
    parameter("tls-ciphersuites", "", OptionalText, "", PLAIN),
    parameter("dir", "", Dir, "", PROTECTED),
    parameter("save", "", Save, "3600 1 300 100 60 10000", MULTI),
    parameter("client-output-buffer-limit", "", OutputLimits, "normal 0 0 0 slave 268435456 67108864 60 pubsub 33554432 8388608 60", MULTI),
    parameter("oom-score-adj-values", "", OomValues, "0 200 800", MULTI),
    parameter("notify-keyspace-events", "", Events, "", PLAIN),
    parameter("bind", "", Bind, "* -::*", MULTI),
    parameter("replicaof", "slaveof", ReplicaOf, "", IMMUTABLE.with(MULTI)),
    parameter("latency-tracking-info-percentiles", "", Percentiles, "50 99 99.9", MULTI),
];

/// The parameter of that name, old or new, in any case; and whether it was the old one.
pub fn find(name: &[u8]) -> Option<(&'static Parameter, bool)> {
    // Our own code asks by the name itself, some times for each tick of each server.
    BY_NAME.get(name).or_else(|| BY_NAME.get(name.to_ascii_lowercase().as_slice())).copied()
}

/// Each parameter by its name and by its older one, and whether that is the older one.
static BY_NAME: LazyLock<BTreeMap<&'static [u8], (&'static Parameter, bool)>> = LazyLock::new(|| {
    let names = |it: &'static Parameter| [(it.name, (it, false)), (it.alias, (it, true))];
    let all = PARAMETERS.iter().flat_map(names).filter(|(name, _)| !name.is_empty());
    all.map(|(name, found)| (name.as_bytes(), found)).collect()
});

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::config::value;

    #[test]
    fn names_are_unique_and_defaults_are_values_that_their_parameter_takes() {
        let mut names: Vec<&str> =
            PARAMETERS.iter().flat_map(|it| [it.name, it.alias]).filter(|n| !n.is_empty()).collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
        for it in PARAMETERS {
            let words: Vec<crate::base::Bytes> = match it.kind {
                _ if it.default.is_empty() => continue,
                _ if it.flags.has(MULTI) => it.default.split(' ').map(Into::into).collect(),
                _ => vec![it.default.into()],
            };
            let canonical = value::parse(it, &words, &it.default.into());
            assert_eq!(canonical, Ok(it.default.into()), "{}", it.name);
        }
    }
}
