//! Files go both ways: what we write, redis-server loads with the same contents, and the reverse; and Redis' own checkers
//! have nothing to say against our files.

use super::servers::{Engine, Redis, Server, real_dir};
use redlab::base::{Bytes, Rng};
use redlab::engine::config::PARAMETERS;
use redlab::engine::disk::{Disk, MemoryDisk};
use redlab::resp::Reply;
use std::process::Command;
use std::time::Duration;

const SAVE_NOTHING: &str = "save \"\"\n";

fn run(server: &mut dyn Server, words: &[&str]) -> Reply {
    let args: Vec<Bytes> = words.iter().map(|word| Bytes::from(*word)).collect();
    server.request("", &args)
}

fn ask(server: &mut dyn Server, args: &[&[u8]]) -> Reply {
    let args: Vec<Bytes> = args.iter().map(|arg| Bytes::from(*arg)).collect();
    server.request("", &args)
}

/// Fills a server with every type, small and large, odd bytes, expiries and two databases.
fn fill(server: &mut dyn Server) {
    let mut rng = Rng::new(77);
    let mut word = |kind: usize| -> Vec<u8> {
        match kind % 4 {
            0 => (rng.next_u64() as i64 >> rng.below(64)).to_string().into_bytes(),
            1 => vec![b'a' + rng.below(3) as u8; 1 + rng.below(300)],
            2 => (0..1 + rng.below(20)).map(|_| rng.below(256) as u8).collect(),
            _ => format!("word:{}", rng.below(100_000)).into_bytes(),
        }
    };
    for size in [1usize, 10, 130, 600] {
        let db = if size == 10 { b"9" } else { b"0" };
        ask(server, &[b"SELECT", db]);
        for kind in 0..if size == 600 { 2 } else { 4 } {
            let name = |kind_of: &str| format!("{kind_of}:{size}:{kind}").into_bytes();
            ask(server, &[b"SET", &name("string"), &word(kind)]);
            for index in 0..size {
                let (one, two) = (word(kind), word(index));
                let score = ["0", "-1.5", "3", "1e300", "inf", "-inf", "0.1", "1234567890123"][index % 8].as_bytes();
                ask(server, &[b"RPUSH", &name("list"), &one]);
                ask(server, &[b"SADD", &name("set"), &one]);
                ask(server, &[b"SADD", &name("ints"), (index * 99_999).to_string().as_bytes()]);
                ask(server, &[b"HSET", &name("hash"), &one, &two]);
                ask(server, &[b"ZADD", &name("zset"), score, &one]);
                ask(server, &[b"XADD", &name("stream"), format!("{index}-1").as_bytes(), b"field", &one]);
                ask(server, &[b"XADD", &name("stream"), b"7777-*", &two, &one, b"index", index.to_string().as_bytes()]);
            }
            ask(server, &[b"XGROUP", b"CREATE", &name("stream"), b"team", b"0", b"ENTRIESREAD", b"0"]);
            ask(server, &[b"XGROUP", b"CREATE", &name("stream"), b"idle", b"$"]);
            ask(server, &[b"XGROUP", b"CREATECONSUMER", &name("stream"), b"idle", b"carol"]);
            for consumer in [b"bob", b"eve"] {
                let group: [&[u8]; 8] =
                    [b"XREADGROUP", b"GROUP", b"team", consumer, b"COUNT", b"7", b"STREAMS", &name("stream")];
                ask(server, &[&group[..], &[b">"]].concat());
            }
            // None that is pending: a rewrite of the AOF leaves out what is pending of a deleted entry.
            ask(server, &[b"XDEL", &name("stream"), b"7777-100", b"7777-128"]);
            ask(server, &[b"XACK", &name("stream"), b"team", b"7777-2", b"7777-3"]);
            ask(server, &[b"PEXPIREAT", &name("hash"), b"9999999999123"]);
            ask(server, &[b"PEXPIREAT", &name("string"), b"33333333333333"]);
        }
    }
    ask(server, &[b"SELECT", b"0"]);
    ask(server, &[b"SET", b"empty", b""]);
    ask(server, &[b"SET", b"big", &vec![b'x'; 70_000]]);
    ask(server, &[b"SET", b"expired", b"x", b"PX", b"1"]);
}

fn items(reply: Reply) -> Vec<Reply> {
    match reply {
        Reply::Array(items) => items,
        other => panic!("an array was expected, not {other:?}"),
    }
}

/// All keys of all databases with their contents and expiry, in an order of their own.
fn contents(server: &mut dyn Server) -> Vec<String> {
    let mut lines = Vec::new();
    for db in 0..16 {
        run(server, &["SELECT", &db.to_string()]);
        for key in items(run(server, &["KEYS", "*"])) {
            let Reply::Bulk(key) = key else { panic!("a key is a string, not {key:?}") };
            let Reply::Status(kind) = ask(server, &[b"TYPE", &key]) else { panic!("TYPE answers with a status") };
            let shown = match &*kind {
                "string" => vec![ask(server, &[b"GET", &key])],
                "list" => items(ask(server, &[b"LRANGE", &key, b"0", b"-1"])),
                "zset" => scored(items(ask(server, &[b"ZRANGE", &key, b"0", b"-1", b"WITHSCORES"]))),
                "set" => sorted(items(ask(server, &[b"SMEMBERS", &key])), 1),
                "hash" => sorted(items(ask(server, &[b"HGETALL", &key])), 2),
                "stream" => {
                    let entries = ask(server, &[b"XRANGE", &key, b"-", b"+"]);
                    // The AOF is not told how many entries a group has read, nor of consumers that got nothing.
                    let groups = items(ask(server, &[b"XINFO", b"GROUPS", &key])).into_iter().map(items);
                    let groups = Reply::Array(groups.flat_map(|group| [&group[..2], &group[4..8]].concat()).collect());
                    let pending = ask(server, &[b"XPENDING", &key, b"team"]);
                    // Its nodes may be others after a rewrite of the AOF.
                    let totals = items(ask(server, &[b"XINFO", b"STREAM", &key])).split_off(6);
                    [vec![entries, groups, pending], totals].concat()
                }
                other => panic!("no way to show a {other}"),
            };
            let expiry = ask(server, &[b"PEXPIRETIME", &key]);
            lines.push(format!("{db} {key:?} {kind} {expiry:?} {shown:?}"));
        }
    }
    run(server, &["SELECT", "0"]);
    lines.sort();
    lines
}

/// Scores as numbers: 7.0 writes 0.1 with seventeen digits, 7.2 with one.
fn scored(mut items: Vec<Reply>) -> Vec<Reply> {
    for score in items.iter_mut().skip(1).step_by(2) {
        let Reply::Bulk(text) = score else { panic!("a score is text") };
        *score = Reply::Double(redlab::base::float::parse(text).expect("a score is a number"));
    }
    items
}

fn sorted(items: Vec<Reply>, width: usize) -> Vec<Reply> {
    let mut chunks: Vec<&[Reply]> = items.chunks(width).collect();
    chunks.sort_by_key(|chunk| format!("{chunk:?}"));
    chunks.concat()
}

#[track_caller]
fn assert_same(ours: &mut dyn Server, theirs: &mut dyn Server) {
    let (ours, theirs) = (contents(ours), contents(theirs));
    for (left, right) in ours.iter().zip(&theirs) {
        assert_eq!(left, right);
    }
    assert_eq!(ours.len(), theirs.len());
}

fn filled_engine(config: &str) -> Engine {
    let (mut engine, _) = Engine::boot(config, MemoryDisk::default()).unwrap();
    fill(&mut engine);
    // Past the one key with a short life.
    std::thread::sleep(Duration::from_millis(5));
    engine
}

/// Ends a test early, visibly, where there is no redis-server.
macro_rules! started {
    ($start:expr) => {
        match $start {
            Some(redis) => redis,
            None => return,
        }
    };
}

#[track_caller]
fn check(program: &str, path: &std::path::Path) {
    let Ok(output) = Command::new(program).arg(path).output() else {
        assert!(std::env::var_os("REDLAB_REQUIRE_ORACLE").is_none(), "{program} is not installed");
        return eprintln!("SKIPPED: {program} is not installed");
    };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

#[test]
fn redis_loads_our_rdb_files() {
    for options in ["", "rdbcompression no\n", "maxmemory-policy allkeys-lru\n", "maxmemory-policy volatile-lfu\n"] {
        let mut engine = filled_engine(&format!("{SAVE_NOTHING}{options}"));
        assert_eq!(run(&mut engine, &["SAVE"]), Reply::OK);
        let dir = real_dir(engine.disk());
        check("redis-check-rdb", &dir.path().join("dump.rdb"));
        let mut redis = started!(Redis::start_in(dir, &["--save", ""]));
        assert_same(&mut engine, &mut redis);
    }
}

#[test]
fn we_load_rdb_files_of_redis() {
    for options in [
        &["--save", ""][..],
        &["--save", "", "--rdbcompression", "no", "--rdbchecksum", "no"],
        &["--save", "", "--maxmemory-policy", "allkeys-lfu"],
        &[
            "--save",
            "",
            "--list-max-listpack-size",
            "3",
            "--hash-max-listpack-entries",
            "5",
            "--list-compress-depth",
            "1",
        ],
    ] {
        let mut redis = started!(Redis::start_in(tempfile::tempdir().unwrap(), options));
        fill(&mut redis);
        std::thread::sleep(Duration::from_millis(5));
        assert_eq!(run(&mut redis, &["SAVE"]), Reply::OK);
        let (mut engine, log) = Engine::boot(SAVE_NOTHING, redis.disk()).unwrap();
        assert!(log.iter().any(|line| line.starts_with("* DB loaded from disk")), "{log:?}");
        assert_same(&mut engine, &mut redis);
    }
}

#[test]
fn redis_loads_our_append_only_files() {
    for options in ["", "aof-use-rdb-preamble no\n", "aof-timestamp-enabled yes\n"] {
        let mut engine = filled_engine(&format!("{SAVE_NOTHING}appendonly yes\n{options}"));
        for rewritten in [false, true] {
            if rewritten {
                run(&mut engine, &["BGREWRITEAOF"]);
                engine.settle();
                run(&mut engine, &["SET", "behind", "the rewrite"]);
            }
            let dir = real_dir(engine.disk());
            check("redis-check-aof", &dir.path().join("appendonlydir/appendonly.aof.manifest"));
            let mut redis = started!(Redis::start_in(dir, &["--save", "", "--appendonly", "yes"]));
            assert_same(&mut engine, &mut redis);
        }
    }
}

#[test]
fn we_load_append_only_files_of_redis() {
    for preamble in ["yes", "no"] {
        let options = ["--save", "", "--appendonly", "yes", "--aof-use-rdb-preamble", preamble];
        let mut redis = started!(Redis::start_in(tempfile::tempdir().unwrap(), &options));
        fill(&mut redis);
        run(&mut redis, &["INCRBYFLOAT", "float", "0.1"]);
        run(&mut redis, &["MULTI"]);
        run(&mut redis, &["SET", "t", "1"]);
        run(&mut redis, &["SELECT", "3"]);
        run(&mut redis, &["SET", "t", "3"]);
        run(&mut redis, &["EXEC"]);
        run(&mut redis, &["SPOP", "set:10:3"]);
        std::thread::sleep(Duration::from_millis(5));
        let config = format!("{SAVE_NOTHING}appendonly yes\n");
        let (mut engine, _) = Engine::boot(&config, redis.disk()).unwrap();
        assert_same(&mut engine, &mut redis);
        run(&mut redis, &["BGREWRITEAOF"]);
        wait_for(&mut redis, "aof_rewrite_in_progress:0");
        run(&mut redis, &["SET", "behind", "the rewrite"]);
        let (mut engine, _) = Engine::boot(&config, redis.disk()).unwrap();
        assert_same(&mut engine, &mut redis);
    }
}

fn wait_for(redis: &mut Redis, line: &str) {
    for _ in 0..200 {
        let Reply::Bulk(info) = run(redis, &["INFO", "persistence"]) else { panic!("INFO answers with text") };
        if info.lossy().contains(line) {
            return;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    panic!("redis-server does not come to {line}");
}

#[test]
fn a_torn_append_only_file_is_cut_where_redis_cuts_it() {
    let config = format!("{SAVE_NOTHING}appendonly yes\n");
    let (mut engine, _) = Engine::boot(&config, MemoryDisk::default()).unwrap();
    for words in
        [&["SET", "a", "1"][..], &["MULTI"], &["SET", "b", "2"], &["RPUSH", "l", "x", "y"], &["EXEC"], &["DEL", "a"]]
    {
        run(&mut engine, words);
    }
    let path = "appendonlydir/appendonly.aof.1.incr.aof";
    let whole = engine.disk().clone();
    let len = whole.len(path).unwrap();
    for cut in (0..=len).step_by(17).chain([len]) {
        let mut torn = whole.clone();
        torn.truncate(path, cut).unwrap();
        let mut redis = started!(Redis::start_in(real_dir(&torn), &["--save", "", "--appendonly", "yes"]));
        let (mut ours, _) = Engine::boot(&config, torn).unwrap();
        assert_same(&mut ours, &mut redis);
        assert_eq!(ours.disk().files.get(path), redis.disk().files.get(path), "cut at {cut}");
    }
}

#[test]
fn an_aof_switched_on_in_the_config_file_hides_the_rdb_file_in_both() {
    let mut engine = filled_engine(SAVE_NOTHING);
    run(&mut engine, &["SAVE"]);
    let disk = engine.disk().clone();
    let mut redis = started!(Redis::start_in(real_dir(&disk), &["--save", "", "--appendonly", "yes"]));
    let (mut ours, _) = Engine::boot(&format!("{SAVE_NOTHING}appendonly yes\n"), disk).unwrap();
    assert_eq!(contents(&mut redis), Vec::<String>::new());
    assert_same(&mut ours, &mut redis);
    let names = |disk: &MemoryDisk| disk.files.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(ours.disk()), names(&redis.disk()));
}

/// What 7.2 knows and 7.0 does not, and the reverse; where the default is another.
const SINCE_7_0: &[&str] = &[
    "aof-disable-auto-gc",
    "cluster-announce-human-nodename",
    "cluster-ping-interval",
    "locale-collate",
    "set-max-listpack-entries",
    "set-max-listpack-value",
    "latency-tracking",
    "latency-tracking-info-percentiles",
];

#[test]
fn parameters_and_their_defaults_are_those_of_redis() {
    let mut redis = started!(Redis::start());
    let (mut engine, _) = Engine::boot(SAVE_NOTHING, MemoryDisk::default()).unwrap();
    // What depends on the machine, on how redis-server was started, or on how it was built.
    let own = ["dir", "port", "save", "bind", "proc-title-template", "pidfile", "jemalloc-bg-thread"];
    for parameter in PARAMETERS.iter().filter(|parameter| !own.contains(&parameter.name)) {
        for name in [parameter.name, parameter.alias].into_iter().filter(|name| !name.is_empty()) {
            let (ours, theirs) =
                (run(&mut engine, &["CONFIG", "GET", name]), run(&mut redis, &["CONFIG", "GET", name]));
            if !(SINCE_7_0.contains(&name) && items(theirs.clone()).is_empty()) {
                assert_eq!(ours, theirs);
            }
        }
    }
    let known: Vec<&str> = PARAMETERS.iter().flat_map(|parameter| [parameter.name, parameter.alias]).collect();
    let theirs = items(run(&mut redis, &["CONFIG", "GET", "*"]));
    for name in theirs.chunks(2).map(|pair| &pair[0]) {
        let Reply::Bulk(name) = name else { panic!("a name is a string") };
        assert!(known.contains(&&*name.lossy()), "{name:?}");
    }
}

#[test]
fn config_set_is_refused_in_the_words_of_redis() {
    let mut redis = started!(Redis::start());
    let (mut engine, _) = Engine::boot(SAVE_NOTHING, MemoryDisk::default()).unwrap();
    for line in [
        "foo 1",
        "maxmemory x",
        "maxmemory -1",
        "maxmemory 1kb",
        "timeout -1",
        "timeout 1.5",
        "port 70000",
        "databases 3",
        "appendonly maybe",
        "appendfsync sometimes",
        "save 1",
        "save x",
        "save 100 1 5",
        "notify-keyspace-events Q",
        "notify-keyspace-events KEA",
        "notify-keyspace-events Kgx$",
        "client-output-buffer-limit normal",
        "hz 9999",
        "client-output-buffer-limit master 1 1 1",
        "client-output-buffer-limit replica 1mb 1kb 7",
        "maxmemory-clients 7%",
        "maxmemory-clients 101%",
        "maxmemory-clients x",
        "dir /",
        "dbfilename a/b",
        "timeout 1 timeout 2",
        "timeout",
        "timeout 1 hz",
        "maxmemory-policy lru",
        "maxmemory 5 hz no",
        "oom-score-adj-values 1",
        "shutdown-on-sigterm now save",
        "shutdown-on-sigterm save nosave",
        "latency-tracking-info-percentiles 101",
        "latency-tracking-info-percentiles 50 99.5",
        "requirepass",
        "slowlog-log-slower-than -2",
        "proto-max-bulk-len 1",
        "list-max-listpack-size -9",
        "set-proc-title no",
    ] {
        // The first blank parts name and value, others are the value's, unless several pairs are meant.
        let words: Vec<&str> = match line {
            "timeout 1 timeout 2" | "timeout 1 hz" | "maxmemory 5 hz no" => line.split(' ').collect(),
            _ => line.splitn(2, ' ').collect(),
        };
        let words = [&["CONFIG", "SET"], words.as_slice()].concat();
        assert_eq!(run(&mut engine, &words), run(&mut redis, &words), "{line}");
        if ["port", "dir"].contains(&words[2]) {
            continue;
        }
        let name = ["CONFIG", "GET", words[2]];
        assert_eq!(run(&mut engine, &name), run(&mut redis, &name), "{line}");
    }
}
