//! A reader of INFO as strict as redis_exporter's, and the other requests it makes at each scrape, on a busy server with a replica.
//!
//! It takes every line apart: a section's title, `name:value`, and within the sections of commands, errors, latencies, replicas and
//! databases the form that this section has. What is a number for redis-server must be one here.

use crate::served::{Client, Served, wait_for};
use redlab::resp::Reply;
use std::collections::BTreeMap;

/// What is no number in INFO of 7.2.
const TEXTS: &[&str] = &[
    "redis_version",
    "redis_git_sha1",
    "redis_build_id",
    "redis_mode",
    "os",
    "monotonic_clock",
    "multiplexing_api",
    "atomicvar_api",
    "gcc_version",
    "process_supervised",
    "run_id",
    "executable",
    "config_file",
    "maxmemory_policy",
    "mem_allocator",
    "rdb_last_bgsave_status",
    "aof_last_bgrewrite_status",
    "aof_last_write_status",
    "role",
    "master_host",
    "master_link_status",
    "master_failover_state",
    "master_replid",
    "master_replid2",
];

/// The titles of INFO ALL, in their order; what only modules have to say is not among them.
const TITLES: &[&str] = &[
    "Server",
    "Clients",
    "Memory",
    "Persistence",
    "Stats",
    "Replication",
    "CPU",
    "Commandstats",
    "Errorstats",
    "Latencystats",
    "Cluster",
    "Keyspace",
];

/// `calls=3,usec=10` with exactly these names, each a number.
#[track_caller]
fn numbers(line: &str, value: &str, names: &[&str]) -> Vec<f64> {
    let parts: Vec<(&str, &str)> = value.split(',').filter_map(|part| part.split_once('=')).collect();
    let found: Vec<&str> = parts.iter().map(|(name, _)| *name).collect();
    assert_eq!(found, names, "{line}");
    parts.iter().map(|(_, number)| number.parse().unwrap_or_else(|_| panic!("{line}: {number} is no number"))).collect()
}

/// A whole INFO ALL, taken apart: the numbers by section and name.
#[track_caller]
fn read(text: &str) -> BTreeMap<String, f64> {
    assert!(text.ends_with("\r\n"));
    let (mut section, mut titles, mut found) = ("", Vec::new(), BTreeMap::new());
    for line in text.strip_suffix("\r\n").expect("checked above").split("\r\n") {
        assert!(!line.contains(['\r', '\n']), "{line:?}");
        if let Some(title) = line.strip_prefix("# ") {
            section = title;
            titles.push(title);
            continue;
        }
        if line.is_empty() {
            section = "";
            continue;
        }
        let (name, value) = line.split_once(':').unwrap_or_else(|| panic!("{line} has no name"));
        assert!(name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_|-.".contains(&byte)), "{line}");
        let mut note = |name: &str, number: f64| {
            assert!(found.insert(name.to_owned(), number).is_none(), "{name} comes twice");
        };
        match section {
            "Commandstats" => {
                let command = name.strip_prefix("cmdstat_").unwrap_or_else(|| panic!("{line}"));
                let names = ["calls", "usec", "usec_per_call", "rejected_calls", "failed_calls"];
                let values = numbers(line, value, &names);
                assert!((values[2] - values[1] / values[0].max(1.0)).abs() <= 0.01, "{line}");
                note(&format!("calls of {command}"), values[0]);
                note(&format!("rejected of {command}"), values[3]);
                note(&format!("failed of {command}"), values[4]);
            }
            "Errorstats" => {
                let code = name.strip_prefix("errorstat_").unwrap_or_else(|| panic!("{line}"));
                note(&format!("errors {code}"), numbers(line, value, &["count"])[0]);
            }
            "Latencystats" => {
                let command = name.strip_prefix("latency_percentiles_usec_").unwrap_or_else(|| panic!("{line}"));
                let values = numbers(line, value, &["p50", "p99", "p99.9"]);
                assert!(values.is_sorted(), "{line}");
                assert!(value.split(',').all(|part| part.len() - part.find('.').expect("decimals") >= 4), "{line}");
                note(&format!("median of {command}"), values[0]);
            }
            "Keyspace" => {
                assert!(name.strip_prefix("db").is_some_and(|index| index.parse::<usize>().is_ok()), "{line}");
                note(&format!("keys of {name}"), numbers(line, value, &["keys", "expires", "avg_ttl"])[0]);
            }
            "Replication" if name.strip_prefix("slave").is_some_and(|rest| rest.parse::<usize>().is_ok()) => {
                let parts: Vec<(&str, &str)> = value.split(',').filter_map(|part| part.split_once('=')).collect();
                let names: Vec<&str> = parts.iter().map(|(name, _)| *name).collect();
                assert_eq!(names, ["ip", "port", "state", "offset", "lag"], "{line}");
                note("offset of the replica", parts[3].1.parse().expect("a number"));
            }
            "Server" if name.starts_with("listener") => assert!(value.starts_with("name=tcp,bind="), "{line}"),
            _ if TEXTS.contains(&name) || name.ends_with("_human") => {}
            _ if name.ends_with("_perc") && value.ends_with('%') => {
                note(name, value.trim_end_matches('%').parse().expect("a share"));
            }
            "" => panic!("{line} stands outside of every section"),
            _ => note(name, value.parse().unwrap_or_else(|_| panic!("{line}: no number"))),
        }
    }
    assert_eq!(titles, TITLES);
    found
}

fn busy() -> (Served, Served, Client) {
    let served = Served::start(&["--appendonly", "yes", "--repl-diskless-sync-delay", "0"]);
    let mut client = served.client();
    for number in 0..100 {
        client.ask(&format!("SET cart:{number} {}", "x".repeat(300)));
        client.ask(&format!("GET cart:{number}"));
    }
    for line in [
        "EXPIRE cart:1 100",
        "GET none",
        "INCR cart:2",
        "NOSUCH x",
        "GET",
        "EVAL \"return redis.call('GET', 'cart:3')\" 0",
        "EVAL \"return redis.call('INCR', 'cart:3')\" 0",
        "CONFIG SET latency-monitor-threshold 1",
        "CONFIG SET slowlog-log-slower-than 0",
        "SELECT 3",
        "SET elsewhere 1",
        "SELECT 0",
        "CLIENT KILL TYPE pubsub",
        "XADD log * a 1",
    ] {
        client.ask(line);
    }
    let replica = Served::start(&["--save", "", "--replicaof", &format!("127.0.0.1 {}", served.port)]);
    wait_for("the replica", || client.text("INFO replication").contains("state=online"));
    client.ask("SET written after");
    assert_eq!(client.ask("WAIT 1 5000"), "(integer) 1");
    (served, replica, client)
}

#[test]
fn info_all_can_be_taken_apart() {
    let (_served, replica, mut client) = busy();
    let found = read(&client.text("INFO all"));
    for (name, expected) in [
        ("keys of db0", 102.0),
        ("keys of db3", 1.0),
        ("calls of set", 102.0),
        ("calls of eval", 2.0),
        ("failed of incr", 2.0),
        ("rejected of get", 1.0),
        ("connected_slaves", 1.0),
        ("cluster_enabled", 0.0),
        ("aof_enabled", 1.0),
        ("keyspace_misses", 1.0),
    ] {
        assert_eq!(found.get(name).copied(), Some(expected), "{name}");
    }
    assert!(found["errors ERR"] >= 3.0, "{}", found["errors ERR"]);
    for name in ["median of get", "total_net_repl_output_bytes", "mem_replication_backlog", "offset of the replica"] {
        assert!(found[name] > 0.0, "{name} is {}", found[name]);
    }
    // Each command has been counted once, wherever it is counted.
    let processed: f64 = found.iter().filter(|(name, _)| name.starts_with("calls of ")).map(|(_, calls)| calls).sum();
    let within_scripts = found["calls of get"] + found["failed of incr"] - 101.0 - 1.0;
    assert!(processed - within_scripts <= found["total_commands_processed"] + 1.0, "{processed}");
    let mut client = replica.client();
    let found = read(&client.text("INFO all"));
    assert_eq!((found["slave_read_only"], found["master_sync_in_progress"]), (1.0, 0.0));
    for name in ["slave_repl_offset", "total_net_repl_input_bytes", "master_port"] {
        assert!(found[name] > 0.0, "{name} is {}", found[name]);
    }
}

/// The requests of a scrape, and the shape that each reply must have to be read.
#[test]
fn a_scrape_is_answered() {
    let (_served, _replica, mut client) = busy();
    let mut ask = |line: &str| {
        client.send(line);
        client.receive().unwrap_or_else(|| panic!("{line}: the connection has ended"))
    };
    assert_eq!(ask("CLIENT SETNAME redis_exporter"), Reply::OK);
    let Reply::Array(config) = ask("CONFIG GET *") else { panic!("no list") };
    let text = |reply: &Reply| match reply {
        Reply::Bulk(text) => text.lossy().into_owned(),
        other => panic!("{other:?} is no text"),
    };
    let config: BTreeMap<String, String> = config.chunks(2).map(|pair| (text(&pair[0]), text(&pair[1]))).collect();
    assert_eq!(config["databases"], "16");
    for name in ["maxmemory", "maxclients", "slowlog-max-len", "io-threads"] {
        assert!(config[name].parse::<u64>().is_ok(), "{name} is {}", config[name]);
    }
    assert!(config.len() > 190, "{} parameters", config.len());
    assert!(matches!(ask("CLUSTER INFO"), Reply::Error(_)), "no cluster");
    assert!(matches!(ask("LATENCY LATEST"), Reply::Array(_)));
    // By command: how many calls, and how many took up to so many microseconds.
    let Reply::Array(histograms) = ask("LATENCY HISTOGRAM") else { panic!("no list") };
    let names: Vec<String> = histograms.iter().step_by(2).map(text).collect();
    assert!(names.contains(&String::from("get")) && names.contains(&String::from("client|setname")), "{names:?}");
    for histogram in histograms.iter().skip(1).step_by(2) {
        let Reply::Array(parts) = histogram else { panic!("{histogram:?}") };
        let (Reply::Int(calls), Reply::Array(counts)) = (&parts[1], &parts[3]) else { panic!("{histogram:?}") };
        assert_eq!((text(&parts[0]).as_str(), text(&parts[2]).as_str()), ("calls", "histogram_usec"));
        assert_eq!(counts.last(), Some(&Reply::Int(*calls)), "the last count is that of all");
    }
    let Reply::Int(len) = ask("SLOWLOG LEN") else { panic!("no number") };
    assert!(len > 0);
    let Reply::Array(entries) = ask("SLOWLOG GET 1") else { panic!("no list") };
    let Reply::Array(entry) = &entries[0] else { panic!("{entries:?}") };
    assert!(matches!(entry[..], [Reply::Int(_), Reply::Int(_), Reply::Int(_), Reply::Array(_), Reply::Bulk(_), _]));
    let clients = text(&ask("CLIENT LIST"));
    let own = clients.lines().find(|line| line.contains("name=redis_exporter")).expect("this one");
    for part in own.split(' ') {
        assert!(part.contains('='), "{own}");
    }
    // RedisInsight asks these before it shows anything.
    for line in
        ["MODULE LIST", "COMMAND", "ACL WHOAMI", "MEMORY DOCTOR", "SCAN 0 COUNT 100", "FUNCTION LIST", "COMMAND DOCS"]
    {
        assert!(!matches!(ask(line), Reply::Error(_)), "{line}");
    }
}
