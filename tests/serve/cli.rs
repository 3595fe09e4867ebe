//! The modes of the real redis-cli that ask more of a server than commands. Skipped, visibly, where it is not installed;
//! REDLAB_REQUIRE_ORACLE makes that an error.

use crate::served::{Served, wait_for};
use std::io::Write;
use std::process::{Command, Stdio};
use std::time::Duration;

fn is_here() -> bool {
    let here = Command::new("redis-cli").arg("--version").output().is_ok_and(|output| output.status.success());
    if !here {
        assert!(std::env::var_os("REDLAB_REQUIRE_ORACLE").is_none(), "redis-cli is not installed");
        eprintln!("SKIPPED: redis-cli is not installed");
    }
    here
}

/// What redis-cli prints, given `input`.
fn cli(served: &Served, args: &[&str], input: &[u8]) -> String {
    let mut process = Command::new("redis-cli")
        .args(["-p", &served.port.to_string()])
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it is installed");
    process.stdin.take().expect("piped").write_all(input).expect("it reads");
    let output = process.wait_with_output().expect("it ends");
    String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
}

/// What it has printed after some time, of a mode that never ends by itself.
fn watched(served: &Served, args: &[&str], done: impl Fn(&str) -> bool, mut meanwhile: impl FnMut()) -> String {
    let path = served.dir.path().join("watched");
    let file = std::fs::File::create(&path).expect("a file");
    let mut process = Command::new("stdbuf")
        .args(["-oL", "redis-cli", "-p", &served.port.to_string()])
        .args(args)
        .stdin(Stdio::null())
        .stderr(file.try_clone().expect("a file"))
        .stdout(file)
        .spawn()
        .expect("it is installed");
    let text = || String::from_utf8_lossy(&std::fs::read(&path).unwrap_or_default()).into_owned();
    wait_for(&args.join(" "), || {
        meanwhile();
        std::thread::sleep(Duration::from_millis(20));
        done(&text())
    });
    let _ = process.kill();
    let _ = process.wait();
    text()
}

fn furnished() -> Served {
    let served = Served::start(&["--save", "", "--repl-diskless-sync-delay", "0"]);
    let mut client = served.client();
    for line in [
        "DEBUG POPULATE 300 cart 40",
        "RPUSH orders 1 2 3 4",
        "HSET user:1 name alice",
        "SADD tags a b",
        "ZADD top 1 a",
        "XADD log * a 1",
    ] {
        client.ask(line);
    }
    served
}

#[test]
fn keys_are_scanned_and_weighed() {
    if !is_here() {
        return;
    }
    let served = furnished();
    let big = cli(&served, &["--bigkeys"], b"");
    for line in [
        "Sampled 305 keys in the keyspace!",
        "Biggest   list found '\"orders\"' has 4 items",
        "Biggest stream found '\"log\"' has 1 entries",
        "300 strings with 12000 bytes",
    ] {
        assert!(big.contains(line), "{line}\n{big}");
    }
    let heavy = cli(&served, &["--memkeys"], b"");
    assert!(heavy.contains("Biggest   hash found '\"user:1\"' has "), "{heavy}");
    let refused = cli(&served, &["--hotkeys"], b"");
    assert!(refused.contains("An LFU maxmemory policy is not selected"), "{refused}");
    served.client().ask("CONFIG SET maxmemory-policy allkeys-lfu");
    (0..200).for_each(|_| drop(served.client().ask("GET cart:7")));
    let hot = cli(&served, &["--hotkeys"], b"");
    assert!(hot.contains("keyname: \"cart:7\""), "{hot}");
    let mut found: Vec<String> =
        cli(&served, &["--scan", "--pattern", "cart:1*"], b"").lines().map(String::from).collect();
    found.sort();
    found.dedup();
    assert_eq!(found.len(), 111);
}

#[test]
fn a_flood_of_commands_is_taken_and_counted() {
    if !is_here() {
        return;
    }
    let served = furnished();
    let mut flood = Vec::new();
    for number in 0..20_000 {
        redlab::resp::encode::request(&mut flood, &["SET", &format!("flood:{number}"), "x"]);
    }
    let said = cli(&served, &["--pipe"], &flood);
    assert!(said.contains("errors: 0, replies: 20000"), "{said}");
    assert_eq!(served.client().ask("DBSIZE"), "(integer) 20305");
}

#[test]
fn the_data_set_is_taken_away_as_a_file() {
    if !is_here() {
        return;
    }
    let served = furnished();
    served.client().ask("FUNCTION LOAD \"#!lua name=lib\\nredis.register_function('f', function() return 1 end)\"");
    let (data, functions) = (served.dir.path().join("copy.rdb"), served.dir.path().join("functions.rdb"));
    let said = cli(&served, &["--rdb", &data.display().to_string()], b"");
    assert!(said.contains("Transfer finished with success"), "{said}");
    let said = cli(&served, &["--functions-rdb", &functions.display().to_string()], b"");
    assert!(said.contains("Transfer finished with success"), "{said}");
    let digest = served.client().ask("DEBUG DIGEST");
    for (file, keys) in [("copy.rdb", 305), ("functions.rdb", 0)] {
        let again = Served::start(&["--save", ""]);
        let path = again.dir.path().join("dump.rdb");
        std::fs::copy(served.dir.path().join(file), path).expect("it was written");
        let again = again.restart(&["--save", ""]);
        assert_eq!(again.client().ask("DBSIZE"), format!("(integer) {keys}"));
        assert!(again.client().ask("FUNCTION LIST").contains("\"lib\""));
        assert!(keys == 0 || again.client().ask("DEBUG DIGEST") == digest);
    }
}

#[test]
fn who_watches_sees_what_happens() {
    if !is_here() {
        return;
    }
    let served = furnished();
    let mut client = served.client();
    let stat = watched(&served, &["--stat", "-i", "0.1"], |text| text.lines().count() > 4, || {});
    assert!(stat.contains("------- data ------") && stat.contains("\n305 "), "{stat}");
    let replica = watched(&served, &["--replica"], |text| text.contains("\"x7\""), || drop(client.ask("SET a x7")));
    assert!(replica.contains("SYNC done after") && replica.contains("\"SET\",\"a\",\"x7\""), "{replica}");
    let monitor = watched(&served, &["MONITOR"], |text| text.contains("\"x8\""), || drop(client.ask("SET a x8")));
    assert!(monitor.contains(" [0 127.0.0.1:") && monitor.contains("] \"SET\" \"a\" \"x8\""), "{monitor}");
    for args in [&["SUBSCRIBE", "news"][..], &["-3", "PSUBSCRIBE", "n*"]] {
        let heard = watched(&served, args, |text| text.contains("message"), || drop(client.ask("PUBLISH news x9")));
        assert!(heard.contains("x9"), "{heard}");
    }
    let latency = watched(&served, &["--latency-history", "-i", "1"], |text| text.contains("seconds range"), || {});
    assert!(latency.contains(" -- 1.0"), "{latency}");
    let lru = watched(&served, &["--lru-test", "1000"], |text| text.contains("Gets/sec"), || {});
    assert!(lru.contains("Hits: "), "{lru}");
}

#[test]
fn words_come_from_files_and_replies_go_in_every_form() {
    if !is_here() {
        return;
    }
    let served = furnished();
    assert_eq!(cli(&served, &["-x", "SET", "a"], b"from a file"), "OK\n");
    assert_eq!(cli(&served, &["GET", "a"], b""), "from a file\n");
    assert_eq!(cli(&served, &["-X", "HERE", "SET", "b", "HERE", "EX", "100"], b"in the middle"), "OK\n");
    assert_eq!(cli(&served, &["TTL", "b"], b""), "100\n");
    let script = served.dir.path().join("script.lua");
    std::fs::write(&script, "return {KEYS[1], ARGV[1], redis.call('LLEN', KEYS[1])}").expect("a file");
    let said = cli(&served, &["--eval", &script.display().to_string(), "orders", ",", "x"], b"");
    assert_eq!(said, "orders\nx\n4\n");
    assert_eq!(cli(&served, &["--csv", "LRANGE", "orders", "0", "1"], b""), "\"1\",\"2\"\n");
    assert_eq!(cli(&served, &["--json", "HGETALL", "user:1"], b""), "{\"name\":\"alice\"}\n");
    assert_eq!(cli(&served, &["-3", "--no-raw", "HGETALL", "user:1"], b""), "1# \"name\" => \"alice\"\n");
    assert_eq!(cli(&served, &["-r", "3", "INCR", "visits"], b""), "1\n2\n3\n");
    assert_eq!(cli(&served, &["-n", "2", "DBSIZE"], b""), "0\n");
    assert_eq!(cli(&served, &["-u", &format!("redis://127.0.0.1:{}/1", served.port), "PING"], b""), "PONG\n");
}
