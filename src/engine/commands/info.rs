//! INFO: what the server knows of itself, section by section, in Redis' order.
//!
//! What only a real process has (its size, its processor time, its network traffic) is 0 or constant in the lab, so that
//! the same inputs show the same bytes; `Hooks` supply some of it to `redlab serve`.

use crate::base::Bytes;
use crate::engine::command::{Command, LOADING, Outcome, STALE};
use crate::engine::config::Eviction;
use crate::engine::hooks::{LoopStats, Usage};
use crate::engine::{Call, VERSION, commands};
use crate::resp::Reply;
use std::collections::BTreeSet;
use std::fmt::Write;

pub const COMMANDS: &[Command] = &[Command {
    name: "INFO",
    syntax: "[section [section ...]]",
    summary: "Read what the server knows of itself.",
    history: &[("7.0.0", "Takes several sections.")],
    flags: LOADING.with(STALE),
    acl: &["dangerous"],
    tips: &["nondeterministic_output", "request_policy:all_shards", "response_policy:special"],
    run: info,
    ..Command::SERVER
}];

/// A section: its name in requests, its title, and whether a plain INFO shows it.
struct Section {
    name: &'static str,
    title: &'static str,
    default: bool,
    lines: fn(&mut Call, &mut String),
}

const SECTIONS: &[Section] = &[
    Section { name: "server", title: "Server", default: true, lines: server },
    Section { name: "clients", title: "Clients", default: true, lines: clients },
    Section { name: "memory", title: "Memory", default: true, lines: memory },
    Section { name: "persistence", title: "Persistence", default: true, lines: persistence },
    Section { name: "stats", title: "Stats", default: true, lines: stats },
    Section { name: "replication", title: "Replication", default: true, lines: replication },
    Section { name: "cpu", title: "CPU", default: true, lines: cpu },
    Section { name: "modules", title: "Modules", default: true, lines: |_, _| {} },
    Section { name: "commandstats", title: "Commandstats", default: false, lines: commandstats },
    Section { name: "errorstats", title: "Errorstats", default: true, lines: errorstats },
    Section { name: "latencystats", title: "Latencystats", default: false, lines: latencystats },
    Section { name: "cluster", title: "Cluster", default: true, lines: cluster },
    Section { name: "keyspace", title: "Keyspace", default: true, lines: keyspace },
    Section { name: "debug", title: "Debug", default: false, lines: debug },
];

fn info(call: &mut Call) -> Outcome {
    let asked: Vec<String> = call.args[1..].iter().map(|word| word.lossy().to_ascii_lowercase()).collect();
    let asks = |word: &str| asked.iter().any(|asked| asked == word);
    let everything = asks("all") || asks("everything");
    let default = asked.is_empty() || asks("default");
    let mut text = String::new();
    for section in SECTIONS {
        // `all` is everything but what modules have to say.
        let hidden = section.name == "modules" && !default && !asks("everything") && !asks("modules")
            || section.name == "debug" && !asks("debug");
        if hidden || !(everything || asks(section.name) || default && section.default) {
            continue;
        }
        if !text.is_empty() {
            text.push_str("\r\n");
        }
        let _ = write!(text, "# {}\r\n", section.title);
        (section.lines)(call, &mut text);
    }
    Ok(Reply::Verbatim("txt", Bytes::from(text)))
}

fn line(text: &mut String, name: &str, value: impl std::fmt::Display) {
    // Writing to a String cannot fail.
    let _ = write!(text, "{name}:{value}\r\n");
}

fn lines<const N: usize>(text: &mut String, pairs: [(&str, &dyn std::fmt::Display); N]) {
    pairs.iter().for_each(|(name, value)| line(text, name, value));
}

/// 919.10K, as Redis writes amounts of memory for people.
pub fn human(bytes: u64) -> String {
    match bytes {
        0..1024 => format!("{bytes}B"),
        1024..0x10_0000 => format!("{:.2}K", bytes as f64 / 1024.0),
        0x10_0000..0x4000_0000 => format!("{:.2}M", bytes as f64 / f64::from(0x10_0000)),
        0x4000_0000..0x100_0000_0000 => format!("{:.2}G", bytes as f64 / f64::from(0x4000_0000)),
        _ => format!("{:.2}T", bytes as f64 / (1u64 << 40) as f64),
    }
}

fn server(call: &mut Call, text: &mut String) {
    let server = &*call.server;
    let up = call.now.since(server.stats.started_at).secs();
    let file = server.config.file.clone().unwrap_or_default();
    let lru_clock = call.now.secs() & 0xff_ffff;
    lines(
        text,
        [
            ("redis_version", &VERSION),
            ("redis_git_sha1", &"00000000"),
            ("redis_git_dirty", &0),
            ("redis_build_id", &"0000000000000000"),
            ("redis_mode", &if server.cluster.is_some() { "cluster" } else { "standalone" }),
            ("os", &"Linux 6.1.0 x86_64"),
            ("arch_bits", &64),
            ("monotonic_clock", &"POSIX clock_gettime"),
            ("multiplexing_api", &"epoll"),
            ("atomicvar_api", &"c11-builtin"),
            ("gcc_version", &"0.0.0"),
            ("process_id", &server.hooks.pid.unwrap_or(1)),
            ("process_supervised", &"no"),
            ("run_id", &server.run_id),
            ("tcp_port", &server.config.port),
            ("server_time_usec", &(call.now.0 * 1000)),
            ("uptime_in_seconds", &up),
            ("uptime_in_days", &(up / 86_400)),
            ("hz", &server.config.hz),
            ("configured_hz", &server.config.hz),
            ("lru_clock", &lru_clock),
            ("executable", &"/usr/bin/redlab"),
            ("config_file", &file),
            ("io_threads_active", &0),
        ],
    );
    if let Some(left) = server.shuts_down_in(call.now) {
        line(text, "shutdown_in_milliseconds", left.0);
    }
    let (port, bind, socket) = (server.config.port, server.config.text("bind"), server.config.text("unixsocket"));
    let bound: String = bind.lossy().split(' ').map(|address| format!(",bind={address}")).collect();
    let tcp = (port != 0).then(|| format!("name=tcp{bound},port={port}"));
    let unix = (!socket.is_empty()).then(|| format!("name=unix,bind={}", socket.lossy()));
    for (number, listener) in tcp.into_iter().chain(unix).enumerate() {
        line(text, &format!("listener{number}"), listener);
    }
}

/// Shown to those who ask for it by name.
fn debug(call: &mut Call, text: &mut String) {
    let turns = call.server.hooks.event_loop.map_or(LoopStats::default(), |stats| stats());
    lines(
        text,
        [
            ("eventloop_duration_aof_sum", &0),
            ("eventloop_duration_cron_sum", &turns.cron_us),
            ("eventloop_duration_max", &turns.longest_us),
            ("eventloop_cmd_per_cycle_max", &turns.commands_max),
        ],
    );
}

fn clients(call: &mut Call, text: &mut String) {
    let server = &*call.server;
    let blocked = server.clients.values().filter(|client| client.blocked.is_some() || client.postponed).count();
    let on_loss: BTreeSet<_> = server
        .clients
        .values()
        .filter_map(|client| client.blocked.as_ref().filter(|blocked| blocked.on_loss))
        .flat_map(|blocked| blocked.keys.iter().map(|key| (blocked.db, key)))
        .collect();
    let timed =
        server.clients.values().filter(|client| client.blocked.as_ref().is_some_and(|it| it.deadline.is_some()));
    lines(
        text,
        [
            ("connected_clients", &(server.clients.len() - server.replication.replicas.len())),
            ("cluster_connections", &server.cluster.as_ref().map_or(0, |cluster| (cluster.count() - 1) * 2)),
            ("maxclients", &server.config.maxclients),
            ("client_recent_max_input_buffer", &20480),
            ("client_recent_max_output_buffer", &0),
            ("blocked_clients", &blocked),
            ("tracking_clients", &server.trackers.clients),
            ("clients_in_timeout_table", &timed.count()),
            ("total_blocking_keys", &server.waiting.keys()),
            ("total_blocking_keys_on_nokey", &on_loss.len()),
        ],
    );
}

fn policy(eviction: Eviction) -> &'static str {
    match eviction {
        Eviction::None => "noeviction",
        Eviction::Lru { volatile: true } => "volatile-lru",
        Eviction::Lru { volatile: false } => "allkeys-lru",
        Eviction::Lfu { volatile: true } => "volatile-lfu",
        Eviction::Lfu { volatile: false } => "allkeys-lfu",
        Eviction::Random { volatile: true } => "volatile-random",
        Eviction::Random { volatile: false } => "allkeys-random",
        Eviction::Ttl => "volatile-ttl",
    }
}

fn memory(call: &mut Call, text: &mut String) {
    let server = &mut *call.server;
    let used = server.used_memory();
    server.stats.peak_memory = server.stats.peak_memory.max(used);
    let peak = server.stats.peak_memory;
    let data = server.used_memory_dataset();
    let usage = server.hooks.usage.map_or(Usage { resident: used, ..Usage::default() }, |usage| usage());
    let rss = usage.resident;
    let startup = used.saturating_sub(data);
    let clients = server.client_memory.unwrap_or_default();
    let backlog = server.replication.backlog.as_ref().map_or(0, |backlog| backlog.held());
    let waiting = server.persist.aof.buffer.len();
    let share = |part: u64, whole: u64| format!("{:.2}%", part as f64 * 100.0 / whole.max(1) as f64);
    // What the interpreter itself holds is left out: a fork has none until a script runs.
    let (scripts, functions) = (server.scripting.scripts_memory(), server.scripting.libraries.memory());
    lines(
        text,
        [
            ("used_memory", &used),
            ("used_memory_human", &human(used)),
            ("used_memory_rss", &rss),
            ("used_memory_rss_human", &human(rss)),
            ("used_memory_peak", &peak),
            ("used_memory_peak_human", &human(peak)),
            ("used_memory_peak_perc", &share(used, peak)),
            ("used_memory_overhead", &startup),
            ("used_memory_startup", &startup),
            ("used_memory_dataset", &data),
            ("used_memory_dataset_perc", &share(data, used)),
            ("allocator_allocated", &used),
            ("allocator_active", &used),
            ("allocator_resident", &rss),
            ("total_system_memory", &usage.memory),
            ("total_system_memory_human", &human(usage.memory)),
            ("used_memory_lua", &0),
            ("used_memory_vm_eval", &0),
            ("used_memory_lua_human", &"0B"),
            ("used_memory_scripts_eval", &scripts),
            ("number_of_cached_scripts", &server.scripting.scripts.len()),
            ("number_of_functions", &server.scripting.libraries.functions()),
            ("number_of_libraries", &server.scripting.libraries.by_name.len()),
            ("used_memory_vm_functions", &0),
            ("used_memory_vm_total", &0),
            ("used_memory_vm_total_human", &"0B"),
            ("used_memory_functions", &functions),
            ("used_memory_scripts", &(scripts + functions)),
            ("used_memory_scripts_human", &human((scripts + functions) as u64)),
            ("maxmemory", &server.config.maxmemory),
            ("maxmemory_human", &human(server.config.maxmemory)),
            ("maxmemory_policy", &policy(server.config.eviction)),
            ("allocator_frag_ratio", &"1.00"),
            ("allocator_frag_bytes", &0),
            ("allocator_rss_ratio", &"1.00"),
            ("allocator_rss_bytes", &0),
            ("rss_overhead_ratio", &"1.00"),
            ("rss_overhead_bytes", &0),
            ("mem_fragmentation_ratio", &format_args!("{:.2}", rss as f64 / used.max(1) as f64)),
            ("mem_fragmentation_bytes", &(rss as i64 - used as i64)),
            ("mem_not_counted_for_evict", &waiting),
            ("mem_replication_backlog", &backlog),
            ("mem_total_replication_buffers", &backlog),
            ("mem_clients_slaves", &clients.replicas),
            ("mem_clients_normal", &clients.normal),
            ("mem_cluster_links", &0),
            ("mem_aof_buffer", &waiting),
            ("mem_allocator", &"libc"),
            ("active_defrag_running", &0),
            ("lazyfree_pending_objects", &0),
            ("lazyfreed_objects", &server.stats.lazyfreed_objects),
        ],
    );
}

fn persistence(call: &mut Call, text: &mut String) {
    for (name, value) in call.server.persistence_info(call.now) {
        line(text, name, value);
    }
}

fn stats(call: &mut Call, text: &mut String) {
    let server = &*call.server;
    let stats = &server.stats;
    let over_ms = stats.over_memory_since.map_or(0, |since| call.now.since(since).0);
    let turns = server.hooks.event_loop.map_or(LoopStats::default(), |stats| stats());
    lines(
        text,
        [
            ("total_connections_received", &stats.connections_received),
            ("total_commands_processed", &stats.commands_processed),
            ("instantaneous_ops_per_sec", &turns.commands_per_sec),
            ("total_net_input_bytes", &(turns.bytes_in + stats.replication_in)),
            ("total_net_output_bytes", &turns.bytes_out),
            ("total_net_repl_input_bytes", &stats.replication_in),
            ("total_net_repl_output_bytes", &stats.replication_out),
            ("instantaneous_input_kbps", &kilobytes(turns.bytes_in_per_sec)),
            ("instantaneous_output_kbps", &kilobytes(turns.bytes_out_per_sec)),
            ("instantaneous_input_repl_kbps", &"0.00"),
            ("instantaneous_output_repl_kbps", &"0.00"),
            ("rejected_connections", &stats.rejected_connections),
            ("sync_full", &call.server.replication.syncs_full),
            ("sync_partial_ok", &call.server.replication.syncs_partial_ok),
            ("sync_partial_err", &call.server.replication.syncs_partial_refused),
            ("expired_keys", &stats.expired_keys),
            ("expired_stale_perc", &"0.00"),
            ("expired_time_cap_reached_count", &0),
            ("expire_cycle_cpu_milliseconds", &0),
            ("evicted_keys", &stats.evicted_keys),
            ("evicted_clients", &stats.evicted_clients),
            ("total_eviction_exceeded_time", &(stats.over_memory_ms + over_ms)),
            ("current_eviction_exceeded_time", &over_ms),
            ("keyspace_hits", &stats.keyspace_hits),
            ("keyspace_misses", &stats.keyspace_misses),
            ("pubsub_channels", &server.pubsub.channels.len()),
            ("pubsub_patterns", &server.pubsub.patterns.len()),
            ("pubsubshard_channels", &server.pubsub.shard_channels.len()),
            ("latest_fork_usec", &server.persist.last_fork_us),
            ("total_forks", &server.persist.forks),
            ("migrate_cached_sockets", &0),
            ("slave_expires_tracked_keys", &0),
            ("active_defrag_hits", &0),
            ("active_defrag_misses", &0),
            ("active_defrag_key_hits", &0),
            ("active_defrag_key_misses", &0),
            ("total_active_defrag_time", &0),
            ("current_active_defrag_time", &0),
            ("tracking_total_keys", &server.trackers.keys()),
            ("tracking_total_items", &server.trackers.items()),
            ("tracking_total_prefixes", &server.tracked_prefixes()),
            ("unexpected_error_replies", &0),
            ("total_error_replies", &stats.error_replies),
            ("dump_payload_sanitizations", &0),
            ("total_reads_processed", &turns.reads),
            ("total_writes_processed", &turns.writes),
            ("io_threaded_reads_processed", &0),
            ("io_threaded_writes_processed", &0),
            ("reply_buffer_shrinks", &stats.reply_buffer_shrinks),
            ("reply_buffer_expands", &stats.reply_buffer_expands),
            ("eventloop_cycles", &turns.cycles),
            ("eventloop_duration_sum", &turns.us),
            ("eventloop_duration_cmd_sum", &turns.commands_us),
            ("instantaneous_eventloop_cycles_per_sec", &turns.cycles_per_sec),
            ("instantaneous_eventloop_duration_usec", &turns.us_per_cycle),
            ("acl_access_denied_auth", &server.acl.log.auth),
            ("acl_access_denied_cmd", &server.acl.log.command),
            ("acl_access_denied_key", &server.acl.log.key),
            ("acl_access_denied_channel", &server.acl.log.channel),
        ],
    );
}

fn replication(call: &mut Call, text: &mut String) {
    for (name, value) in call.server.replication_info(call.now) {
        line(text, &name, value);
    }
}

fn cpu(call: &mut Call, text: &mut String) {
    let usage = call.server.hooks.usage.map_or(Usage::default(), |usage| usage());
    for (name, us) in [
        ("used_cpu_sys", usage.system),
        ("used_cpu_user", usage.user),
        ("used_cpu_sys_children", usage.children_system),
        ("used_cpu_user_children", usage.children_user),
        // There is one thread.
        ("used_cpu_sys_main_thread", usage.system),
        ("used_cpu_user_main_thread", usage.user),
    ] {
        line(text, name, format_args!("{}.{:06}", us / 1_000_000, us % 1_000_000));
    }
}

fn kilobytes(bytes: u64) -> String {
    format!("{:.2}", bytes as f64 / 1024.0)
}

fn commandstats(call: &mut Call, text: &mut String) {
    for (index, stat) in call.server.stats.commands.iter().enumerate() {
        if stat.calls + stat.rejected + stat.failed == 0 {
            continue;
        }
        let per_call = if stat.calls == 0 { 0.0 } else { stat.usec as f64 / stat.calls as f64 };
        line(
            text,
            &format!("cmdstat_{}", commands::nth(index).command.full_name()),
            format_args!(
                "calls={},usec={},usec_per_call={per_call:.2},rejected_calls={},failed_calls={}",
                stat.calls, stat.usec, stat.rejected, stat.failed
            ),
        );
    }
}

fn errorstats(call: &mut Call, text: &mut String) {
    for (code, count) in &call.server.stats.errors {
        line(text, &format!("errorstat_{code}"), format_args!("count={count}"));
    }
}

fn latencystats(call: &mut Call, text: &mut String) {
    if !call.server.config.flag("latency-tracking") {
        return;
    }
    let percentiles = call.server.config.text("latency-tracking-info-percentiles");
    let percentiles = percentiles.lossy();
    for (index, stat) in call.server.stats.commands.iter().enumerate().filter(|(_, stat)| stat.calls > 0) {
        let shown: Vec<String> = percentiles
            .split_whitespace()
            .filter_map(|text| Some((text, text.parse().ok()?)))
            .map(|(text, percent)| format!("p{text}={:.3}", stat.histogram.percentile(percent) as f64))
            .collect();
        let name = format!("latency_percentiles_usec_{}", commands::nth(index).command.full_name());
        line(text, &name, shown.join(","));
    }
}

fn cluster(call: &mut Call, text: &mut String) {
    line(text, "cluster_enabled", i32::from(call.server.config.cluster_enabled));
}

fn keyspace(call: &mut Call, text: &mut String) {
    let now = call.now;
    for (index, db) in call.server.dbs.iter().enumerate().filter(|(_, db)| !db.is_empty()) {
        // Redis averages over the samples of active expiry; looking at all keys gives what that tends to.
        let left = |at: usize| Some(db.slot(db.volatile_at(at)?)?.expires_at()?.since(now).0);
        let volatile = db.volatile_len();
        let sum: u64 = (0..volatile).filter_map(left).sum();
        let average = sum.checked_div(volatile as u64).unwrap_or(0);
        line(text, &format!("db{index}"), format_args!("keys={},expires={volatile},avg_ttl={average}", db.len()));
    }
}

#[cfg(test)]
mod tests {
    use super::human;

    #[test]
    fn amounts_are_written_for_people() {
        assert_eq!(human(0), "0B");
        assert_eq!(human(941_160), "919.10K");
        assert_eq!(human(6_733_824), "6.42M");
        assert_eq!(human(25_276_510_208), "23.54G");
    }
}
