//! What the machine promises, whatever runs in it: determinism, free looking, undo, independence of forks, accidents.

mod replication;

use super::disk::WRITEBACK;
use super::{Cron, Server, Sql, Timeline, Topology, World};
use crate::backend::sql::Sqlite;
use crate::base::{Bytes, Millis, Rng, quote};
use crate::port::{ConnectionId, Incoming, Signal};
use crate::resp::Reply;
use crate::snapshot::{self, State, What};

fn args(line: &str) -> Vec<Bytes> {
    quote::split(line.as_bytes()).expect("a test's line is well formed")
}

fn argv(line: &str) -> Vec<String> {
    args(line).iter().map(|arg| arg.lossy().into_owned()).collect()
}

/// Sends a line and gives the replies to it.
fn ask(timeline: &mut Timeline, connection: ConnectionId, line: &str) -> Vec<Incoming> {
    timeline.send(connection, args(line));
    timeline.receive(connection)
}

fn reply(reply: impl Into<Reply>) -> Vec<Incoming> {
    vec![Incoming::Reply(reply.into())]
}

fn bulk(text: &str) -> Vec<Incoming> {
    reply(Reply::bulk(text))
}

fn sandbox() -> (Timeline, ConnectionId) {
    let mut timeline = Timeline::new(&Topology::sandbox(), None);
    let connection = timeline.connect(6379, "shop").expect("the sandbox's server runs");
    (timeline, connection)
}

/// A shop with SQL beside Redis, as lesson 1.4 has it.
fn sql_topology() -> Topology {
    let cron =
        Cron { every: Millis::from_secs(60), statement: String::from("DELETE FROM sessions WHERE expires_at < now()") };
    let schema = vec![String::from("CREATE TABLE sessions (id TEXT PRIMARY KEY, expires_at INTEGER)")];
    Topology { sql: Some(Sql { schema, cron: vec![cron] }), ..Topology::sandbox() }
}

fn with_sql() -> Timeline {
    Timeline::new(&sql_topology(), Some(Box::new(Sqlite::new())))
}

fn redis(world: &World) -> snapshot::Instance {
    world.snapshot().instances.into_iter().find(|instance| instance.name == "redis").expect("it is in the topology")
}

fn names_of_keys(world: &World) -> Vec<String> {
    let instance = redis(world);
    instance.dbs.iter().flat_map(|db| &db.keys).map(|key| key.name.lossy().into_owned()).collect()
}

// -- a workload of chance ----------------------------------------------------------------------------------------------

/// One thing that somebody might do, drawn by `rng`.
fn something(timeline: &mut Timeline, connections: &mut Vec<ConnectionId>, rng: &mut Rng) {
    let key = format!("key:{}", rng.below(8));
    let connection = connections[rng.below(connections.len())];
    match rng.below(24) {
        0..=5 => drop(ask(timeline, connection, &format!("SET {key} {}", rng.below(100)))),
        6 => drop(ask(timeline, connection, &format!("SET {key} v EX {}", 1 + rng.below(90)))),
        7 => drop(ask(timeline, connection, &format!("GET {key}"))),
        8 => drop(ask(timeline, connection, &format!("DEL {key}"))),
        9 => drop(ask(timeline, connection, &format!("RPUSH list:{key} a b c"))),
        10 => drop(ask(timeline, connection, &format!("BLPOP list:{key} {}", 1 + rng.below(5)))),
        11 => drop(ask(timeline, connection, "RANDOMKEY")),
        12 => drop(ask(timeline, connection, &format!("SPOP set:{key}"))),
        13 => drop(ask(timeline, connection, &format!("SADD set:{key} a b c d e f"))),
        14..=16 => timeline.pass(Millis(rng.below(900) as u64)),
        17 => timeline.sleep(Millis(rng.below(100_000) as u64)),
        18 => drop(timeline.write_file("note", key.as_bytes())),
        19 => drop(timeline.sql(&format!("INSERT INTO sessions VALUES ('{key}', now() + {})", rng.below(200)))),
        20 => connections.extend(timeline.connect(6379, "more").ok()),
        21 if rng.below(4) == 0 => {
            let pid = timeline.world().processes[0].pid;
            let signal = if rng.below(2) == 0 { Signal::Term } else { Signal::Kill };
            let _ = timeline.signal(pid, signal);
        }
        22 if rng.below(6) == 0 => timeline.power_cut(),
        _ => {
            if !timeline.world().processes[0].is_running() {
                timeline.spawn(&argv("redis.conf"));
                connections.extend(timeline.connect(6379, "shop").ok());
            }
        }
    }
}

/// A timeline after `steps` marked steps of chance, with the state hash after each mark.
fn busy(seed: u64, steps: usize) -> (Timeline, Vec<u64>) {
    let mut rng = Rng::new(seed);
    let mut timeline = with_sql();
    let mut connections = vec![timeline.connect(6379, "shop").expect("the server runs")];
    let mut hashes = vec![timeline.world().state_hash()];
    for _ in 0..steps {
        (0..1 + rng.below(3)).for_each(|_| something(&mut timeline, &mut connections, &mut rng));
        let before = timeline.depth().0;
        timeline.mark();
        if timeline.depth().0 == before && before == hashes.len() {
            hashes.push(timeline.world().state_hash());
        }
    }
    (timeline, hashes)
}

#[test]
fn the_same_inputs_give_the_same_bytes() {
    for seed in 0..20 {
        let (one, _) = busy(seed, 60);
        let (two, _) = busy(seed, 60);
        assert_eq!(one.journal(), two.journal(), "seed {seed}");
        assert_eq!(one.world().state_hash(), two.world().state_hash(), "seed {seed}");
        assert_eq!(one.world().snapshot(), two.world().snapshot(), "seed {seed}");
    }
    assert_ne!(busy(1, 60).0.world().state_hash(), busy(2, 60).0.world().state_hash());
}

#[test]
fn a_world_is_its_topology_and_its_journal() {
    for seed in 0..20 {
        let (timeline, _) = busy(seed, 60);
        let again = Timeline::resume(&sql_topology(), Some(Box::new(Sqlite::new())), &timeline.journal()).unwrap();
        assert_eq!(again.world().state_hash(), timeline.world().state_hash(), "seed {seed}");
        assert_eq!(again.journal(), timeline.journal(), "seed {seed}");
        assert_eq!(again.depth(), timeline.depth(), "seed {seed}");
        let events = |timeline: &Timeline| timeline.world().events_since(0).cloned().collect::<Vec<_>>();
        assert_eq!(events(&again), events(&timeline), "seed {seed}");
    }
}

#[test]
fn looking_is_free() {
    for seed in 0..10 {
        let (timeline, _) = busy(seed, 40);
        let before = timeline.world().state_hash();
        for _ in 0..3 {
            timeline.world().snapshot();
            timeline.world().list_files("");
            timeline.journal();
        }
        assert_eq!(timeline.world().state_hash(), before, "seed {seed}");
        let mut looked_at = timeline.clone();
        looked_at.world().snapshot();
        looked_at.pass(Millis::from_secs(100));
        let mut other = timeline.clone();
        other.pass(Millis::from_secs(100));
        assert_eq!(looked_at.world().state_hash(), other.world().state_hash(), "seed {seed}");
    }
}

#[test]
fn undo_goes_back_through_every_state_and_redo_forth_again() {
    for seed in 0..5 {
        let mut rng = Rng::new(seed);
        let mut timeline = with_sql();
        let mut connections = vec![timeline.connect(6379, "shop").unwrap()];
        // Before the deed of each step, and after its mark.
        let mut states = Vec::new();
        for n in 0..80 {
            timeline.pass(Millis(rng.below(300) as u64));
            let before = timeline.world().state_hash();
            timeline.write_file("step", format!("{n}").as_bytes()).unwrap();
            something(&mut timeline, &mut connections, &mut rng);
            timeline.mark();
            states.push((before, timeline.world().state_hash()));
        }
        let last = timeline.journal();
        for (n, (before, _)) in states.iter().enumerate().rev() {
            assert!(timeline.undo());
            assert_eq!(timeline.world().state_hash(), *before, "seed {seed}, undo of step {n}");
        }
        assert!(!timeline.undo());
        for (n, (_, after)) in states.iter().enumerate() {
            // The clock runs on between two key presses, and must not matter.
            timeline.pass(Millis(137));
            assert!(timeline.redo());
            assert_eq!(timeline.world().state_hash(), *after, "seed {seed}, redo of step {n}");
        }
        assert!(!timeline.redo());
        assert_eq!(timeline.journal(), last, "seed {seed}");
    }
}

#[test]
fn undo_keeps_the_time_that_ran_before_the_line_and_the_connection_it_was_typed_on() {
    let (mut timeline, shop) = sandbox();
    timeline.pass(Millis(700));
    ask(&mut timeline, shop, "SET a 1");
    timeline.mark();
    timeline.pass(Millis(500));
    timeline.pass(Millis(500));
    timeline.mark();
    let now = timeline.world().now();
    assert_eq!(timeline.depth(), (1, 0));
    assert!(timeline.undo());
    assert_eq!(timeline.world().now(), now - Millis(1000));
    assert_eq!(ask(&mut timeline, shop, "GET a"), reply(Reply::Nil));
    assert!(!timeline.redo(), "a new deed forgets what was undone");
}

#[test]
fn undo_takes_back_events_files_and_sleep() {
    let (mut timeline, shop) = sandbox();
    let (events, now) = (timeline.world().events_since(0).count(), timeline.world().now());
    timeline.sleep(Millis::from_secs(1800));
    ask(&mut timeline, shop, "SET a 1");
    timeline.write_file("redis.conf", b"port 1\n").unwrap();
    timeline.mark();
    assert!(timeline.undo());
    assert_eq!(timeline.world().events_since(0).count(), events);
    assert_eq!(timeline.world().now(), now);
    assert_eq!(timeline.world().read_file("redis.conf").unwrap(), b"port 6379\nsave \"\"\n");
}

#[test]
fn a_fork_and_its_origin_do_not_know_each_other() {
    for seed in 0..10 {
        let (origin, _) = busy(seed, 30);
        let before = origin.world().state_hash();
        let mut fork = origin.clone();
        let mut rng = Rng::new(seed + 1000);
        let mut connections = vec![ConnectionId(1)];
        (0..50).for_each(|_| something(&mut fork, &mut connections, &mut rng));
        fork.power_cut();
        assert_eq!(origin.world().state_hash(), before, "seed {seed}");
        assert_ne!(fork.world().state_hash(), before, "seed {seed}");
    }
}

#[test]
fn time_is_the_same_however_it_is_cut() {
    for seed in 0..10 {
        let (whole, _) = busy(seed, 25);
        let mut cut = whole.clone();
        let mut whole = whole;
        whole.pass(Millis(200_000));
        let mut rng = Rng::new(seed);
        let mut left = 200_000;
        while left > 0 {
            let piece = (1 + rng.below(7000) as u64).min(left);
            cut.pass(Millis(piece));
            left -= piece;
        }
        assert_eq!(cut.world().state_hash(), whole.world().state_hash(), "seed {seed}");
        assert_eq!(cut.journal(), whole.journal(), "running time is one entry, seed {seed}");
    }
}

#[test]
fn half_an_hour_of_idleness_is_no_work() {
    let (mut timeline, shop) = sandbox();
    ask(&mut timeline, shop, "SET a 1");
    timeline.sleep(Millis::from_secs(1_000_000_000));
    assert_eq!(ask(&mut timeline, shop, "GET a"), bulk("1"));
}

#[test]
fn run_until_stops_at_what_happens() {
    let mut timeline = with_sql();
    timeline.sql("INSERT INTO sessions VALUES ('a', now() + 90)").unwrap();
    let mut world = timeline.world().clone();
    let start = world.now();
    assert!(world.run_until(Millis::from_secs(600), |world| world.snapshot().sql[0].rows.is_empty()));
    assert_eq!(world.now() - start, Millis::from_secs(120));
    assert!(!world.run_until(Millis::from_secs(600), |_| false));
    assert_eq!(world.now() - start, Millis::from_secs(720));
}

// -- terminals ---------------------------------------------------------------------------------------------------------

#[test]
fn a_blocked_client_is_served_by_another_and_told_twice() {
    let (mut timeline, shop) = sandbox();
    let worker = timeline.connect(6379, "worker").unwrap();
    assert_eq!(ask(&mut timeline, worker, "BLPOP orders 0"), []);
    assert!(
        redis(timeline.world())
            .clients
            .iter()
            .any(|client| client.blocked && client.terminal.as_deref() == Some("worker"))
    );
    ask(&mut timeline, shop, "RPUSH orders o-1");
    let served = Reply::Array(vec![Reply::bulk("orders"), Reply::bulk("o-1")]);
    assert_eq!(timeline.receive(worker), reply(served.clone()));
    let told: Vec<Reply> = timeline
        .world()
        .events_since(0)
        .filter_map(|event| match &event.what {
            What::Command { args, reply, .. } if *args[0] == *b"BLPOP" => Some(reply.clone()),
            _ => None,
        })
        .collect();
    assert_eq!(told, [Reply::None, served]);
}

#[test]
fn a_wait_ends_when_its_time_is_over() {
    let (mut timeline, shop) = sandbox();
    assert_eq!(ask(&mut timeline, shop, "BLPOP orders 2"), []);
    timeline.pass(Millis(1900));
    assert_eq!(timeline.receive(shop), []);
    timeline.pass(Millis(200));
    assert_eq!(timeline.receive(shop), reply(Reply::NilArray));
}

#[test]
fn key_events_name_the_command_that_did_it() {
    let (mut timeline, shop) = sandbox();
    ask(&mut timeline, shop, "SET session:a1 alice EX 10");
    timeline.sleep(Millis::from_secs(11));
    ask(&mut timeline, shop, "GET session:a1");
    let events: Vec<&snapshot::Event> = timeline.world().events_since(0).collect();
    let set = events.iter().find(|it| matches!(&it.what, What::Command { args, .. } if *args[0] == *b"SET")).unwrap();
    let causes: Vec<(&str, Option<u64>)> = events
        .iter()
        .filter_map(|event| match &event.what {
            What::Key { event, by, .. } => Some((event.as_str(), *by)),
            _ => None,
        })
        .collect();
    assert_eq!(causes, [("set", Some(set.sequence)), ("expire", Some(set.sequence)), ("expired", None)]);
    assert!(events.iter().zip(1..).all(|(event, n)| event.sequence == n));
}

#[test]
fn nobody_listens_where_no_server_runs() {
    let (mut timeline, shop) = sandbox();
    let refused = timeline.connect(6390, "shop").unwrap_err();
    assert_eq!(refused, "Could not connect to Redis at 127.0.0.1:6390: Connection refused");
    timeline.signal(1001, Signal::Kill).unwrap();
    assert_eq!(timeline.receive(shop), [Incoming::Closed]);
    assert_eq!(timeline.signal(1001, Signal::Kill), Err(String::from("kill: (1001) - No such process")));
    assert_eq!(timeline.receive(ConnectionId(99)), [Incoming::Closed]);
}

// -- processes ---------------------------------------------------------------------------------------------------------

#[test]
fn a_process_ends_in_different_ways() {
    for (end, state) in
        [(Some(Signal::Kill), State::Crashed), (Some(Signal::Term), State::Stopped), (None, State::Crashed)]
    {
        let (mut timeline, _) = sandbox();
        match end {
            Some(signal) => timeline.signal(1001, signal).unwrap(),
            None => timeline.power_cut(),
        }
        assert_eq!(redis(timeline.world()).state, state, "{end:?}");
        let spawned = timeline.spawn(&argv("redis.conf"));
        assert_eq!(spawned.pid, Some(1002));
        let again = redis(timeline.world());
        assert_eq!((again.state, again.pid), (State::Running, 1002));
        assert_eq!(timeline.world().snapshot().instances.len(), 1);
    }
}

#[test]
fn start_up_speaks_as_redis_server_does() {
    let (mut timeline, _) = sandbox();
    timeline.signal(1001, Signal::Term).unwrap();
    let log = timeline.spawn(&argv("redis.conf --port 6400")).log;
    let said: Vec<&str> = log.iter().map(|line| line.split_once("09:00:00.000 ").expect("a stamp").1).collect();
    assert_eq!(log[0], "1002:C 01 Jan 2030 09:00:00.000 * oO0OoO0OoO0Oo Redis is starting oO0OoO0OoO0Oo");
    assert!(said.contains(&"* Configuration loaded"), "{log:#?}");
    assert!(said.contains(&"* Running mode=standalone, port=6400."), "{log:#?}");
    assert_eq!(said.last(), Some(&"* Ready to accept connections tcp"));
    assert!(log.last().unwrap().starts_with("1002:M "));
    assert!(timeline.connect(6400, "shop").is_ok());
}

#[test]
fn a_taken_port_stops_the_second_server() {
    let (mut timeline, _) = sandbox();
    let spawned = timeline.spawn(&argv("--port 6379"));
    assert_eq!(spawned.pid, None);
    let last: Vec<&str> = spawned.log.iter().rev().take(2).map(|line| line.split_once(".000 ").unwrap().1).collect();
    assert_eq!(
        last,
        [
            "# Failed listening on port 6379 (tcp), aborting.",
            "# Warning: Could not create server TCP listening socket *:6379: bind: Address already in use",
        ]
    );
    assert_eq!(redis(timeline.world()).state, State::Running);
    assert_eq!(timeline.world().snapshot().instances.len(), 1);
}

#[test]
fn a_config_that_cannot_be_read_stops_the_server_with_its_line() {
    let (mut timeline, _) = sandbox();
    let gone = timeline.spawn(&argv("nofile.conf"));
    assert_eq!(
        gone.log,
        [
            "1002:C 01 Jan 2030 09:00:00.000 # Fatal error, can't open config file '/home/lab/nofile.conf': No such file or directory"
        ]
    );
    timeline.write_file("bad.conf", b"# a shop\nport 6380\nfoo bar\n").unwrap();
    timeline.write_file("dir.conf", b"port 6380\ndir ./nowhere\n").unwrap();
    let bad = timeline.spawn(&argv("bad.conf"));
    assert_eq!(bad.pid, None);
    assert_eq!(
        bad.log[1..],
        [
            "*** FATAL CONFIG FILE ERROR (Redis 7.2.6) ***",
            "Reading the configuration file, at line 3",
            ">>> 'foo bar'",
            "Bad directive or wrong number of arguments",
        ]
    );
    let dir = timeline.spawn(&argv("dir.conf"));
    assert_eq!(
        dir.log[2..],
        ["Reading the configuration file, at line 2", ">>> 'dir ./nowhere'", "No such file or directory"]
    );
    timeline.make_dir("nowhere").unwrap();
    assert!(timeline.spawn(&argv("dir.conf")).pid.is_some());
}

#[test]
fn a_log_file_takes_what_the_terminal_would_have_shown() {
    let (mut timeline, _) = sandbox();
    let spawned = timeline.spawn(&argv("--port 6380 --logfile redis.log"));
    assert_eq!(spawned.log, [] as [&str; 0]);
    let log = String::from_utf8(timeline.world().read_file("redis.log").unwrap()).unwrap();
    assert!(log.ends_with("* Ready to accept connections tcp\n"), "{log}");
}

#[test]
fn two_servers_live_side_by_side() {
    let cache = Server { setup: vec![(1, args("SET page:1 html"))], ..Server::new("cache", 6380, "dir cache\n") };
    let sessions = Server { running: false, ..Server::new("sessions", 6381, "dir sessions\n") };
    let topology = Topology { instances: vec![cache, sessions], ..Topology::default() };
    let mut timeline = Timeline::new(&topology, None);
    let world = timeline.world().snapshot();
    let states: Vec<_> = world.instances.iter().map(|it| (it.name.as_str(), it.port, it.state)).collect();
    assert_eq!(states, [("cache", 6380, State::Running), ("sessions", 6381, State::Stopped)]);
    assert_eq!((world.instances[0].dbs[0].index, world.instances[0].clients.len()), (1, 0));
    assert_eq!(world.instances[0].disk.dir, "/home/lab/cache");
    assert_eq!(timeline.world().list_files(""), ["cache.conf", "cache/", "sessions.conf", "sessions/"]);
    assert!(timeline.spawn(&argv("sessions.conf")).pid.is_some());
    assert_eq!(timeline.world().snapshot().instances[1].state, State::Running);
}

// -- disk and accidents ------------------------------------------------------------------------------------------------

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

// -- SQL ---------------------------------------------------------------------------------------------------------------

#[test]
fn expired_rows_stay_until_cron_comes() {
    let mut timeline = with_sql();
    timeline.sql("INSERT INTO sessions VALUES ('a1', now() + 30), ('b2', now() + 3600)").unwrap();
    timeline.mark();
    let rows = |timeline: &Timeline| timeline.world().snapshot().sql[0].rows.len();
    timeline.sleep(Millis::from_secs(59));
    timeline.mark();
    assert_eq!(rows(&timeline), 2);
    timeline.sleep(Millis::from_secs(1));
    timeline.mark();
    assert_eq!(rows(&timeline), 1);
    let ran = timeline.world().events_since(0).find_map(|event| match &event.what {
        What::Sql { lines, cron: true, .. } => Some((event.at, lines.clone())),
        _ => None,
    });
    let first = Topology::default().clock + Millis::from_secs(60);
    assert_eq!(ran, Some((first, vec![String::from("OK, 1 row affected")])));
    timeline.undo();
    assert_eq!(rows(&timeline), 2);
}

// -- size --------------------------------------------------------------------------------------------------------------

#[test]
fn a_journal_of_a_hundred_thousand_commands_resumes_quickly() {
    let (mut timeline, shop) = sandbox();
    for n in 0..100_000 {
        timeline.send(shop, vec![Bytes::from("SET"), Bytes::from(format!("key:{}", n % 100)), Bytes::from("value")]);
        timeline.receive(shop);
        timeline.mark();
    }
    let journal = timeline.journal();
    assert!(journal.len() < 4_000_000, "{} bytes", journal.len());
    let again = Timeline::resume(&Topology::sandbox(), None, &journal).unwrap();
    assert_eq!(again.world().state_hash(), timeline.world().state_hash());
    // Taking back is quick too: the nearest checkpoint is never far.
    assert!((0..50).all(|_| timeline.undo()));
}
