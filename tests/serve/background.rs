//! BGSAVE and BGREWRITEAOF: nobody waits for them, and they write what the data set was when they began.

use crate::served::{Served, wait_for};
use std::time::{Duration, Instant};

const KEYS: usize = 20_000;
/// Microseconds a key: a save takes two seconds.
const SLOW: &str = "CONFIG SET rdb-key-save-delay 100";
const FAST: &str = "CONFIG SET rdb-key-save-delay 0";

fn furnished(options: &[&str]) -> Served {
    let served = Served::start(options);
    assert_eq!(served.client().ask(&format!("DEBUG POPULATE {KEYS} cart 50")), "OK");
    served
}

fn is_saving(served: &Served) -> bool {
    served.info("rdb_bgsave_in_progress") == "1"
}

#[test]
fn a_save_in_the_background_keeps_nobody_waiting() {
    let served = furnished(&["--save", ""]);
    let mut client = served.client();
    client.ask(SLOW);
    let before = client.ask("LASTSAVE");
    wait_for("another second", || client.ask("TIME").lines().next() != Some(&before));
    assert_eq!(client.ask("BGSAVE"), "Background saving started");
    assert_eq!(client.ask("BGSAVE"), "(error) ERR Background save already in progress");
    assert_eq!(client.ask("SAVE"), "(error) ERR Background save already in progress");
    assert_eq!(client.ask("BGREWRITEAOF"), "Background append only file rewriting scheduled");
    assert_eq!(client.info("rdb_bgsave_in_progress"), "1");
    assert_eq!(client.ask("SET late x"), "OK");
    let (mut longest, mut asked) = (Duration::ZERO, 0);
    while is_saving(&served) {
        let began = Instant::now();
        client.ask("GET cart:7");
        longest = longest.max(began.elapsed());
        asked += 1;
    }
    assert!(asked > 10 && longest < Duration::from_millis(1500), "{asked} answers, the last of them after {longest:?}");
    assert_eq!(client.info("rdb_last_bgsave_status"), "ok");
    assert_eq!(client.info("rdb_changes_since_last_save"), "1");
    assert_ne!(client.ask("LASTSAVE"), before);
    let log = served.log();
    for line in
        ["* Background saving started by pid ", "* DB saved on disk", "* Background saving terminated with success"]
    {
        assert!(log.contains(line), "{line}\n{log}");
    }

    let served = served.restart(&["--save", ""]);
    let mut client = served.client();
    assert_eq!(client.ask("EXISTS cart:0 late"), "(integer) 1", "what came after the save began is not in it");
    assert_eq!(client.ask("DBSIZE"), format!("(integer) {KEYS}"));
}

/// INFO showed 0 of these, whatever a child was doing.
#[test]
fn info_tells_how_far_a_child_is() {
    let served = furnished(&["--save", ""]);
    let mut client = served.client();
    client.ask(SLOW);
    client.ask("BGSAVE");
    let mut number = |name: &str| client.info(name).parse::<f64>().expect("a number");
    let mut first = 0.0;
    wait_for("the first keys", || {
        first = number("current_save_keys_processed");
        first > 0.0 && number("current_fork_perc") > 0.0
    });
    assert_eq!(number("current_save_keys_total"), KEYS as f64);
    wait_for("more keys", || number("current_save_keys_processed") > first);
    wait_for("the end", || number("rdb_bgsave_in_progress") == 0.0);
    assert_eq!(number("current_save_keys_processed") + number("current_save_keys_total"), 0.0);
    // The file's bytes, compressed, were memory of the child's own.
    let known = std::path::Path::new("/proc/self/smaps_rollup").exists();
    assert!(!known || number("rdb_last_cow_size") > 1e5, "{}", number("rdb_last_cow_size"));
}

#[test]
fn a_rewrite_in_the_background_loses_nothing() {
    let options = ["--save", "", "--appendonly", "yes", "--auto-aof-rewrite-percentage", "0"];
    let served = Served::start(&options);
    let mut client = served.client();
    for number in 0..500 {
        client.ask(&format!("RPUSH orders {number}"));
    }
    client.ask(SLOW);
    client.ask("SET slow x");
    assert_eq!(client.ask("BGREWRITEAOF"), "Background append only file rewriting started");
    assert!(client.ask("BGREWRITEAOF").contains("already in progress"));
    for number in 500..600 {
        client.ask(&format!("RPUSH orders {number}"));
    }
    wait_for("the rewrite", || client.info("aof_rewrite_in_progress") == "0");
    assert_eq!(client.info("aof_last_bgrewrite_status"), "ok");
    assert!(served.log().contains("* Background AOF rewrite finished successfully"), "{}", served.log());
    client.ask("RPUSH orders last");

    let served = served.restart(&options);
    let mut client = served.client();
    assert_eq!(client.ask("LLEN orders"), "(integer) 601");
    assert_eq!(client.ask("LINDEX orders -1"), "\"last\"");
    assert_eq!(client.ask("LINDEX orders 599"), "\"599\"");
}

/// Nothing of a child is left when it was not let to its end.
fn leftovers(served: &Served) -> Vec<String> {
    let names = std::fs::read_dir(served.dir.path()).expect("its directory").flatten();
    let mut names: Vec<String> = names.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.retain(|name| name.starts_with("temp-"));
    names
}

#[test]
fn a_save_under_way_is_ended_by_shutdown_and_by_flushall() {
    let served = furnished(&["--save", ""]);
    let mut client = served.client();
    client.ask(SLOW);
    client.ask("BGSAVE");
    assert_eq!(client.ask("FLUSHALL"), "OK");
    assert!(!is_saving(&served));
    assert_eq!(leftovers(&served), [""; 0]);
    drop(served);

    let mut served = furnished(&["--save", "900 1"]);
    let mut client = served.client();
    client.ask(SLOW);
    client.ask("BGSAVE");
    client.ask("SET late x");
    // What it writes itself then is written as fast as it goes.
    client.ask(FAST);
    let began = Instant::now();
    served.terminate();
    assert!(served.wait_for_end().success());
    assert!(began.elapsed() < Duration::from_secs(20));
    let log = served.log();
    for line in ["* User requested shutdown...", "# There is a child saving an .rdb. Killing it!", "* DB saved on disk"]
    {
        assert!(log.contains(line), "{line}\n{log}");
    }
    assert_eq!(leftovers(&served), [""; 0]);
    let served = served.restart(&["--save", ""]);
    assert_eq!(served.client().ask("EXISTS late cart:1"), "(integer) 2");
}

#[test]
fn a_save_that_fails_is_told_of() {
    let served = furnished(&["--save", "900 1"]);
    let mut client = served.client();
    let refused = client.ask("CONFIG SET dbfilename gone/dump.rdb");
    assert!(refused.contains("dbfilename can't be a path"), "{refused}");
    std::fs::create_dir(served.dir.path().join("dump.rdb")).expect("a name in the way");
    client.ask("BGSAVE");
    wait_for("the save", || !is_saving(&served));
    assert_eq!(client.info("rdb_last_bgsave_status"), "err");
    assert!(client.ask("SET a b").contains("MISCONF"));
}

/// A client whose connection the server ends sees that at once, though a child still runs.
#[test]
fn a_child_holds_no_connection_open() {
    let served = furnished(&["--save", ""]);
    let (mut client, mut other) = (served.client(), served.client());
    client.ask(SLOW);
    client.ask("BGSAVE");
    let began = Instant::now();
    other.send("QUIT");
    assert_eq!(other.receive(), Some(redlab::resp::Reply::OK));
    assert_eq!(other.receive(), None);
    assert!(is_saving(&served), "{:?} later", began.elapsed());
}

#[test]
fn a_replica_gets_its_snapshot_from_a_child() {
    for diskless in ["yes", "no"] {
        let options = ["--save", "", "--repl-diskless-sync", diskless, "--repl-diskless-sync-delay", "0"];
        let primary = furnished(&options);
        let mut client = primary.client();
        let replica = Served::start(&["--save", ""]);
        replica.client().ask(&format!("REPLICAOF 127.0.0.1 {}", primary.port));
        client.ask("SET meanwhile x");
        wait_for("the replica", || replica.info("master_link_status") == "up");
        wait_for("the stream", || replica.client().ask("EXISTS meanwhile cart:1") == "(integer) 2");
        assert_eq!(replica.client().ask("DEBUG DIGEST"), client.ask("DEBUG DIGEST"));
        assert_ne!(client.info("total_forks"), "0");
    }
}
