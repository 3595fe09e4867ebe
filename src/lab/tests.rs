//! What the machine promises, whatever runs in it: determinism, free looking, undo, independence of forks, accidents.

mod accidents;
mod processes;
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
