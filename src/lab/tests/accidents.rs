//! What a disk keeps, and what accidents leave of it.

use super::*;

#[test]
fn a_power_cut_takes_memory_and_page_cache_and_kill_only_memory() {
    let (mut timeline, shop) = sandbox();
    ask(&mut timeline, shop, "SET a 1");
    timeline.spawn(&argv("--port 6380 --logfile redis.log"));
    let mut cut = timeline.clone();
    cut.power_cut();
    assert!(cut.world().read_file("redis.log").is_err());
    assert_eq!(cut.receive(shop), [Incoming::Closed]);
    assert!(cut.world().events_since(0).any(|event| event.what == What::PowerCut));
    let mut killed = timeline.clone();
    killed.signal(1002, Signal::Kill).unwrap();
    assert!(killed.world().read_file("redis.log").is_ok());
    timeline.sleep(WRITEBACK);
    timeline.power_cut();
    assert!(timeline.world().read_file("redis.log").is_ok());
    assert_eq!(names_of_keys(timeline.world()), [] as [&str; 0]);
}

/// Sets `early`, waits, sets `late`, has the accident `end` and restarts: which of the two are there again.
fn survivors(config: &str, wait: Millis, end: &str) -> Vec<String> {
    let topology = Topology { instances: vec![Server::new("redis", 6379, config)], ..Topology::default() };
    let mut timeline = Timeline::new(&topology, None);
    let shop = timeline.connect(6379, "shop").unwrap();
    ask(&mut timeline, shop, "SET early 1 EX 100000");
    timeline.pass(wait);
    ask(&mut timeline, shop, "SET late 2");
    match end {
        "kill" => timeline.signal(1001, Signal::Kill).unwrap(),
        "term" => timeline.signal(1001, Signal::Term).unwrap(),
        "power" => timeline.power_cut(),
        line => drop(ask(&mut timeline, shop, line)),
    }
    assert!(!timeline.world().processes[0].is_running(), "{config} {end}");
    assert!(timeline.spawn(&argv("redis.conf")).pid.is_some(), "{config} {end}");
    let shop = timeline.connect(6379, "shop").unwrap();
    if ask(&mut timeline, shop, "EXISTS early") == reply(1i64) {
        let Some(Incoming::Reply(Reply::Int(ttl))) = ask(&mut timeline, shop, "TTL early").pop() else { panic!() };
        assert!((99_000..=100_000).contains(&ttl), "{config} {end}: {ttl}");
    }
    names_of_keys(timeline.world())
}

#[test]
fn what_survives_follows_from_the_settings_and_the_accident() {
    let (none, both, early): (&[&str], &[&str], &[&str]) = (&[], &["early", "late"], &["early"]);
    // The wait is longer than the save point and than everysec, shorter than the kernel's writeback.
    let wait = Millis::from_secs(10);
    for (config, kill, power, term, shutdown, nosave) in [
        ("save \"\"", none, none, none, none, none),
        ("save 5 1", early, early, both, both, early),
        ("save 3600 1", none, none, both, both, none),
        ("save \"\"\nappendonly yes\nappendfsync always", both, both, both, both, both),
        // The first write after a quiet second is synced at once.
        ("save \"\"\nappendonly yes\nappendfsync everysec", both, both, both, both, both),
        ("save \"\"\nappendonly yes\nappendfsync no", both, none, both, both, both),
    ] {
        for (end, expected) in
            [("kill", kill), ("power", power), ("term", term), ("SHUTDOWN", shutdown), ("SHUTDOWN NOSAVE", nosave)]
        {
            assert_eq!(survivors(config, wait, end), expected, "{config:?} {end}");
        }
    }
}

#[test]
fn everysec_loses_the_last_second_to_a_power_cut_and_nothing_to_a_kill() {
    let config = "save \"\"\nappendonly yes\nappendfsync everysec\n";
    let topology = Topology { instances: vec![Server::new("redis", 6379, config)], ..Topology::default() };
    let mut timeline = Timeline::new(&topology, None);
    let shop = timeline.connect(6379, "shop").unwrap();
    ask(&mut timeline, shop, "SET old 1");
    timeline.pass(Millis(1200));
    ask(&mut timeline, shop, "SET mid 2");
    ask(&mut timeline, shop, "SET new 3");
    let look = |timeline: &Timeline| {
        let mut timeline = timeline.clone();
        timeline.spawn(&argv("redis.conf"));
        names_of_keys(timeline.world())
    };
    let mut killed = timeline.clone();
    killed.signal(1001, Signal::Kill).unwrap();
    assert_eq!(look(&killed), ["mid", "new", "old"]);
    let mut cut = timeline.clone();
    cut.power_cut();
    assert_eq!(look(&cut).first().map(String::as_str), Some("old"));
    assert!(look(&cut).len() < 3, "something of the last second was only in the page cache");
    // The disk pane says so before it happens.
    let files = redis(timeline.world()).disk.files;
    let log = files.iter().find(|file| file.path.ends_with(".incr.aof")).expect("the AOF is there");
    assert!(log.durable_len < log.len && !log.durable, "{log:?}");
    timeline.pass(Millis(1200));
    timeline.power_cut();
    assert_eq!(look(&timeline), ["mid", "new", "old"]);
}

#[test]
fn time_goes_on_for_sessions_while_the_server_is_down() {
    let topology = Topology { instances: vec![Server::new("redis", 6379, "save 3600 1\n")], ..Topology::default() };
    let mut timeline = Timeline::new(&topology, None);
    let shop = timeline.connect(6379, "shop").unwrap();
    ask(&mut timeline, shop, "SET short 1 EX 60");
    ask(&mut timeline, shop, "SET long 1 EX 600");
    timeline.signal(1001, Signal::Term).unwrap();
    timeline.sleep(Millis::from_secs(100));
    timeline.spawn(&argv("redis.conf"));
    let shop = timeline.connect(6379, "shop").unwrap();
    assert_eq!(ask(&mut timeline, shop, "TTL long"), reply(500i64));
    assert_eq!(names_of_keys(timeline.world()), ["long"]);
}

#[test]
fn an_aof_switched_on_in_the_file_only_hides_the_snapshot() {
    let topology = Topology { instances: vec![Server::new("redis", 6379, "save 3600 1\n")], ..Topology::default() };
    let mut timeline = Timeline::new(&topology, None);
    let shop = timeline.connect(6379, "shop").unwrap();
    ask(&mut timeline, shop, "SET session:a1 alice");
    timeline.signal(1001, Signal::Term).unwrap();
    timeline.write_file("redis.conf", b"port 6379\nsave 3600 1\nappendonly yes\n").unwrap();
    timeline.spawn(&argv("redis.conf"));
    assert_eq!(names_of_keys(timeline.world()), [] as [&str; 0]);
    assert_eq!(redis(timeline.world()).disk.files.iter().filter(|file| file.path == "dump.rdb").count(), 1);
}

#[test]
fn a_full_disk_makes_the_server_refuse_writes_and_go_on_when_there_is_room() {
    let config = "save \"\"\nappendonly yes\nappendfsync everysec\n";
    let topology = Topology {
        instances: vec![Server::new("redis", 6379, config)],
        disk_capacity_bytes: Some(2000),
        files: vec![(String::from("ballast"), vec![0; 1000])],
        ..Topology::default()
    };
    let mut timeline = Timeline::new(&topology, None);
    let shop = timeline.connect(6379, "shop").unwrap();
    let refused = (0..200).any(|n| {
        let said = ask(&mut timeline, shop, &format!("SET key:{n} some-value"));
        matches!(&said[..], [Incoming::Reply(Reply::Error(text))] if text.starts_with("MISCONF"))
    });
    assert!(refused);
    assert_eq!(ask(&mut timeline, shop, "GET key:0"), bulk("some-value"));
    timeline.remove_file("ballast").unwrap();
    timeline.pass(Millis::from_secs(2));
    ask(&mut timeline, shop, "GET key:0");
    assert_eq!(ask(&mut timeline, shop, "SET after 1"), reply(Reply::OK));
}

#[test]
fn an_edited_file_survives_a_power_cut() {
    let (mut timeline, _) = sandbox();
    timeline.write_file("redis.conf", b"port 7000\n").unwrap();
    timeline.power_cut();
    assert_eq!(timeline.world().read_file("redis.conf").unwrap(), b"port 7000\n");
    assert_eq!(timeline.world().list_files(""), ["redis.conf"]);
}

#[test]
fn directories_are_made_listed_and_removed() {
    let (mut timeline, _) = sandbox();
    timeline.make_dir("cache").unwrap();
    assert_eq!(timeline.make_dir("cache"), Err(String::from("File exists")));
    assert_eq!(timeline.make_dir("a/b"), Err(String::from("No such file or directory")));
    assert_eq!(timeline.world().list_files(""), ["cache/", "redis.conf"]);
    timeline.write_file("cache/x", b"1").unwrap();
    assert_eq!(timeline.world().list_files(""), ["cache/x", "redis.conf"]);
    assert_eq!(timeline.world().list_files("cache"), ["x"]);
    assert_eq!(timeline.remove_file("cache"), Err(String::from("Is a directory")));
    assert_eq!(timeline.remove_file("cache/"), Err(String::from("Directory not empty")));
    timeline.remove_file("cache/x").unwrap();
    timeline.remove_file("cache/").unwrap();
    assert_eq!(timeline.world().list_files(""), ["redis.conf"]);
}

#[test]
fn a_full_disk_says_so() {
    let topology = Topology { disk_capacity_bytes: Some(100), ..Topology::sandbox() };
    let mut timeline = Timeline::new(&topology, None);
    assert_eq!(timeline.write_file("big", &[0; 100]), Err(String::from("No space left on device")));
    assert_eq!(timeline.write_file("no/such/dir", b""), Err(String::from("No such file or directory")));
    assert_eq!(timeline.world().read_file("gone"), Err(String::from("No such file or directory")));
}
