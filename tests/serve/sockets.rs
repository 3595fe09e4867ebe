//! Where it listens, who may come, and who has to go.

use crate::served::{Client, Served, free_port, wait_for};
use redlab::resp::Reply;
use std::io::Write;
use std::net::TcpStream;
use std::time::{Duration, Instant};

#[test]
fn it_listens_where_config_set_says() {
    let served = Served::start(&["--save", ""]);
    let mut client = served.client();
    let port = free_port();
    assert_eq!(client.ask(&format!("CONFIG SET port {port}")), "OK");
    let mut moved = Client::of(TcpStream::connect(("127.0.0.1", port)).expect("it listens there"));
    assert_eq!(moved.ask("PING"), "PONG");
    assert_eq!(client.ask("PING"), "PONG", "who is there stays");
    assert!(TcpStream::connect(("127.0.0.1", served.port)).is_err());

    assert_eq!(client.ask("CONFIG SET bind \"127.0.0.1 127.0.0.2\""), "OK");
    let mut other = Client::of(TcpStream::connect(("127.0.0.2", port)).expect("it listens there too"));
    assert_eq!(other.ask("PING"), "PONG");
    assert_eq!(client.ask("CONFIG SET bind 127.0.0.2"), "OK");
    assert!(TcpStream::connect(("127.0.0.1", port)).is_err());
    let refused =
        "(error) ERR CONFIG SET failed (possibly related to argument 'bind') - Failed to bind to specified addresses.";
    assert_eq!(client.ask("CONFIG SET bind 192.0.2.1"), refused);
    assert_eq!(Client::of(TcpStream::connect(("127.0.0.2", port)).expect("as before")).ask("PING"), "PONG");
    let taken = std::net::TcpListener::bind("127.0.0.2:0").expect("a free port");
    let refused = client.ask(&format!("CONFIG SET port {}", taken.local_addr().expect("bound").port()));
    assert!(refused.ends_with("- Unable to listen on this port. Check server logs."), "{refused}");
}

#[cfg(unix)]
#[test]
fn a_unix_socket_has_the_permissions_asked_for_and_goes_with_the_server() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("redis.sock");
    let mut served =
        Served::start(&["--save", "", "--unixsocket", &path.display().to_string(), "--unixsocketperm", "700"]);
    let mode = || std::fs::metadata(&path).map_or(0, |it| it.permissions().mode() & 0o777);
    wait_for("the permissions", || mode() == 0o700);
    let mut stream = std::os::unix::net::UnixStream::connect(&path).expect("it listens");
    stream.write_all(b"PING\r\n").expect("it reads");
    let mut reply = [0; 7];
    std::io::Read::read_exact(&mut stream, &mut reply).expect("it answers");
    assert_eq!(&reply, b"+PONG\r\n");
    served.terminate();
    served.wait_for_end();
    assert!(!path.exists());
}

#[test]
fn too_many_and_too_quiet_clients_are_sent_away() {
    let served = Served::start(&["--save", "", "--maxclients", "3"]);
    let mut clients = vec![served.client()];
    wait_for("those of the start to be gone", || clients[0].info("connected_clients") == "1");
    clients.extend([served.client(), served.client()]);
    clients.iter_mut().for_each(|client| assert_eq!(client.ask("PING"), "PONG"));
    let mut fourth = served.client();
    assert_eq!(fourth.receive(), Some(Reply::error("ERR max number of clients reached")));
    assert_eq!(fourth.receive(), None);
    assert_ne!(clients[0].info("rejected_connections"), "0");

    clients[0].ask("CONFIG SET timeout 1");
    clients[2].send("SUBSCRIBE news");
    assert!(clients[2].receive().is_some());
    let began = Instant::now();
    assert_eq!(clients[1].receive(), None, "idle for longer than a second");
    assert!(began.elapsed() > Duration::from_millis(900), "{:?}", began.elapsed());
    let mut publisher = served.client();
    assert_eq!(publisher.ask("PUBLISH news x"), "(integer) 1", "who listens to a channel is not idle");
}

#[test]
fn no_request_and_no_reply_grows_without_bound() {
    let served = Served::start(&["--save", "", "--client-query-buffer-limit", "2mb"]);
    let mut greedy = served.client();
    let part = vec![b'x'; 64 * 1024];
    // A request of many arguments that never comes to its end.
    let mut sent = greedy.stream.write_all(b"*1000000\r\n");
    let began = Instant::now();
    while sent.is_ok() && began.elapsed() < Duration::from_secs(20) {
        let head = format!("${}\r\n", part.len());
        sent = greedy.stream.write_all(&[head.as_bytes(), &part, b"\r\n"].concat());
    }
    assert!(sent.is_err(), "it took all of that");
    wait_for("the log", || served.log().contains("Closing client that reached max query buffer length"));

    let mut client = served.client();
    client.ask("CONFIG SET client-output-buffer-limit \"normal 1mb 0 0\"");
    client.ask("SETRANGE big 100000 x");
    let mut deaf = served.client();
    let mut sent = Ok(());
    for _ in 0..10_000 {
        sent = sent.and_then(|()| deaf.stream.write_all(b"GET big\r\n"));
    }
    wait_for("the limit", || client.text("CLIENT LIST").lines().count() <= 1);
    assert!(served.log().contains("overcoming of output buffer limits"), "{}", served.log());
}

#[test]
fn a_thousand_connections_are_served() {
    let served = Served::start(&["--save", ""]);
    let mut clients: Vec<Client> = (0..1000).map(|_| served.client()).collect();
    for (number, client) in clients.iter_mut().enumerate() {
        client.send(&format!("SET cart:{number} {number}"));
    }
    for client in &mut clients {
        assert_eq!(client.receive(), Some(Reply::OK));
    }
    assert_eq!(clients[0].ask("DBSIZE"), "(integer) 1000");
    assert_eq!(clients[0].info("connected_clients"), "1000");
}

/// The fields that redis_exporter turns into metrics and RedisInsight shows first: all are there, and those that say how much
/// was done are not nothing.
#[test]
fn what_monitoring_reads_is_there() {
    let served = Served::start(&["--appendonly", "yes"]);
    let mut client = served.client();
    for number in 0..200 {
        client.ask(&format!("SET cart:{number} {}", "x".repeat(500)));
        client.ask(&format!("GET cart:{number}"));
    }
    client.ask("GET none");
    client.ask("EXPIRE cart:1 100");
    client.ask("BGSAVE");
    wait_for("the save", || client.info("rdb_bgsave_in_progress") == "0");
    let text = client.text("INFO all");
    let value =
        |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::to_owned);
    for name in FIELDS {
        assert!(value(name).is_some(), "no {name}");
    }
    for name in NOT_NOTHING {
        let value = value(name).expect("checked above");
        assert!(value.parse::<f64>().is_ok_and(|value| value > 0.0), "{name} is {value}");
    }
    assert_eq!(value("process_id"), Some(served.process.id().to_string()));
    assert!(value("db0").is_some_and(|it| it.starts_with("keys=200,expires=1,avg_ttl=")), "{:?}", value("db0"));
    assert!(value("cmdstat_get").is_some_and(|it| it.starts_with("calls=201,usec=")), "{:?}", value("cmdstat_get"));
    assert!(value("latency_percentiles_usec_get").is_some_and(|it| it.starts_with("p50=")));
}

const FIELDS: [&str; 96] = [
    "redis_version",
    "redis_mode",
    "os",
    "process_id",
    "run_id",
    "tcp_port",
    "uptime_in_seconds",
    "uptime_in_days",
    "hz",
    "executable",
    "config_file",
    "io_threads_active",
    "connected_clients",
    "maxclients",
    "blocked_clients",
    "tracking_clients",
    "clients_in_timeout_table",
    "client_recent_max_input_buffer",
    "client_recent_max_output_buffer",
    "cluster_connections",
    "total_blocking_keys",
    "total_blocking_keys_on_nokey",
    "used_memory",
    "used_memory_human",
    "used_memory_rss",
    "used_memory_peak",
    "used_memory_lua",
    "used_memory_overhead",
    "used_memory_startup",
    "used_memory_dataset",
    "used_memory_scripts",
    "used_memory_vm_total",
    "used_memory_functions",
    "number_of_functions",
    "number_of_libraries",
    "number_of_cached_scripts",
    "allocator_active",
    "allocator_allocated",
    "allocator_resident",
    "allocator_frag_ratio",
    "allocator_frag_bytes",
    "allocator_rss_ratio",
    "allocator_rss_bytes",
    "maxmemory",
    "maxmemory_policy",
    "mem_fragmentation_ratio",
    "mem_fragmentation_bytes",
    "mem_clients_slaves",
    "mem_clients_normal",
    "mem_aof_buffer",
    "mem_allocator",
    "total_system_memory",
    "loading",
    "async_loading",
    "rdb_changes_since_last_save",
    "rdb_bgsave_in_progress",
    "rdb_last_save_time",
    "rdb_last_bgsave_status",
    "rdb_last_bgsave_time_sec",
    "rdb_current_bgsave_time_sec",
    "rdb_saves",
    "rdb_last_cow_size",
    "aof_enabled",
    "aof_rewrite_in_progress",
    "aof_rewrite_scheduled",
    "aof_last_rewrite_time_sec",
    "aof_current_rewrite_time_sec",
    "aof_last_cow_size",
    "aof_current_size",
    "aof_base_size",
    "aof_pending_rewrite",
    "aof_buffer_length",
    "aof_pending_bio_fsync",
    "aof_delayed_fsync",
    "aof_last_bgrewrite_status",
    "aof_last_write_status",
    "total_connections_received",
    "total_commands_processed",
    "instantaneous_ops_per_sec",
    "total_net_input_bytes",
    "total_net_output_bytes",
    "instantaneous_input_kbps",
    "rejected_connections",
    "expired_keys",
    "evicted_keys",
    "keyspace_hits",
    "keyspace_misses",
    "pubsub_channels",
    "latest_fork_usec",
    "total_forks",
    "role",
    "connected_slaves",
    "master_repl_offset",
    "used_cpu_sys",
    "used_cpu_user",
    "cluster_enabled",
];

const NOT_NOTHING: [&str; 18] = [
    "process_id",
    "connected_clients",
    "used_memory",
    "used_memory_rss",
    "used_memory_peak",
    "total_system_memory",
    "rdb_last_save_time",
    "rdb_saves",
    "aof_current_size",
    "total_connections_received",
    "total_commands_processed",
    "total_net_input_bytes",
    "total_net_output_bytes",
    "keyspace_hits",
    "keyspace_misses",
    "total_forks",
    "used_cpu_user",
    "mem_fragmentation_ratio",
];
