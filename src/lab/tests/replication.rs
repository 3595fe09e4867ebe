//! Replication over the lab's network: what replicas and primaries show, as transcripts, and what holds under any cuts.

use crate::base::{Bytes, Millis, Rng, quote};
use crate::lab::{Server, Topology, World};
use crate::port::{ConnectionId, Incoming, NetworkChange};
use crate::resp::render;
use crate::snapshot::{self, What};
use crate::transcript::{self, Execute};
use std::collections::BTreeMap;

/// Servers `a`, `b`, `c` on 6379, 6380, 6381, without persistence and without the delay before a snapshot.
struct Lab {
    world: World,
    connections: BTreeMap<String, ConnectionId>,
}

const QUICK: &str = "save \"\"\nrepl-diskless-sync-delay 0\n";

impl Lab {
    fn new(seed: u64, configs: &[&str]) -> Lab {
        let names = ["a", "b", "c", "d"];
        let servers = configs.iter().zip(names).zip(6379u16..);
        let instances =
            servers.map(|((config, name), port)| Server::new(name, port, &format!("{QUICK}{config}"))).collect();
        let world = World::new(&Topology { instances, seed, ..Topology::default() }, None);
        Lab { world, connections: BTreeMap::new() }
    }

    /// A client of the server whose name the terminal's begins with: `a`, `a2`.
    fn connection(&mut self, terminal: &str) -> ConnectionId {
        if let Some(id) = self.connections.get(terminal) {
            return *id;
        }
        let port = 6379 + u16::from(terminal.as_bytes()[0] - b'a');
        let id = self.world.connect(port, terminal).expect("it runs");
        self.connections.insert(terminal.to_owned(), id);
        id
    }

    fn ask(&mut self, terminal: &str, line: &str) -> String {
        self.execute(terminal, line).trim_end().to_owned()
    }

    fn info(&mut self, terminal: &str, field: &str) -> String {
        let text = self.ask(terminal, "INFO replication");
        let text = text.replace("\\r\\n", "\n");
        let line = text.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
        line.unwrap_or_else(|| panic!("no {field} in {text}")).trim_end().to_owned()
    }

    fn log(&self, server: &str) -> Vec<String> {
        let lines = self.world.events_since(0).filter(|event| event.instance == server);
        lines.filter_map(|event| if let What::Log { line } = &event.what { Some(line.clone()) } else { None }).collect()
    }

    fn instance(&self, name: &str) -> snapshot::Instance {
        self.world.snapshot().instances.into_iter().find(|it| it.name == name).expect("in the topology")
    }

    fn replication(&self, name: &str) -> snapshot::Replication {
        self.instance(name).replication.expect("it runs")
    }
}

impl Execute for Lab {
    /// `.sleep MS`, `.cut A B`, `.heal`, `.kill A`, `.start A`, or a command.
    fn execute(&mut self, terminal: &str, line: &str) -> String {
        let words: Vec<String> =
            quote::split(line.as_bytes()).expect("balanced").iter().map(|it: &Bytes| it.lossy().into_owned()).collect();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        match words.as_slice() {
            [".sleep", ms] => self.world.advance(Millis(ms.parse().expect("milliseconds"))),
            [".cut", a, b] => self.world.partition(a, b).expect("they exist"),
            [".heal"] => self.world.heal_all(),
            [".delay", a, b, ms] => {
                self.world.set_delay(a, b, Millis(ms.parse().expect("milliseconds"))).expect("exist")
            }
            [".kill", name] => {
                let pid = self.instance(name).pid;
                self.world.signal(pid, crate::port::Signal::Kill).expect("it runs");
                self.connections.retain(|terminal, _| !terminal.starts_with(name));
            }
            [".start", name] => assert!(self.world.spawn(&[format!("{name}.conf")]).pid.is_some()),
            [] => {}
            _ => {
                let id = self.connection(terminal);
                let args = quote::split(line.as_bytes()).expect("balanced");
                self.world.send(id, args);
            }
        }
        if terminal.is_empty() {
            return String::new();
        }
        let id = self.connection(terminal);
        let came = self.world.receive(id);
        if came.contains(&Incoming::Closed) {
            self.connections.remove(terminal);
        }
        came.iter()
            .map(|it| match it {
                Incoming::Reply(reply) | Incoming::Push(reply) => render::tty(reply),
                Incoming::Closed => String::from("closed\n"),
            })
            .collect()
    }
}

#[track_caller]
fn transcript(configs: &[&str], text: &str) {
    if let Err(difference) = transcript::run(text, &mut Lab::new(1, configs)) {
        panic!("{difference}");
    }
}

const FOLLOWS_A: &str = "replicaof 127.0.0.1 6379\n";

#[test]
fn a_replica_gets_the_data_set_and_then_every_change() {
    transcript(
        &["", ""],
        r#"
        a> SET cart:1 apple
        OK
        a> SELECT 3
        OK
        a> RPUSH queue:mail one two
        (integer) 2
        b> REPLICAOF 127.0.0.1 6379
        OK
        > .sleep 200
        b> GET cart:1
        "apple"
        b> ROLE
        1) "slave"
        2) "127.0.0.1"
        3) (integer) 6379
        4) "connected"
        5) (integer) 14
        a> LPOP queue:mail
        "one"
        b> SELECT 3
        OK
        b> LRANGE queue:mail 0 -1
        1) "two"
        b> SET cart:1 pear
        (error) READONLY You can't write against a read only replica.
        b> REPLICAOF 127.0.0.1 6379
        OK Already connected to specified master
        b> REPLICAOF NO ONE
        OK
        b> LPUSH queue:mail zero
        (integer) 2
        a> LRANGE queue:mail 0 -1
        1) "two"
        "#,
    );
}

#[test]
fn transactions_expiry_and_random_commands_come_as_they_were_decided() {
    let mut lab = Lab::new(3, &["", FOLLOWS_A]);
    lab.execute("", ".sleep 1000");
    for line in
        ["SADD lottery a b c d e f g h", "SPOP lottery 3", "SET session:1 alice EX 100", "INCRBYFLOAT total 0.1"]
    {
        lab.ask("a", line);
    }
    lab.ask("a", "MULTI");
    lab.ask("a", "INCR visits");
    lab.ask("a", "INCR visits");
    lab.ask("a", "EXEC");
    let members = |lab: &mut Lab, at: &str| {
        let mut lines: Vec<String> = lab.ask(at, "SMEMBERS lottery").lines().map(|line| line[3..].to_owned()).collect();
        lines.sort();
        lines
    };
    assert_eq!(members(&mut lab, "a"), members(&mut lab, "b"));
    assert_eq!(lab.ask("b", "GET visits"), "\"2\"");
    assert_eq!(lab.ask("b", "GET total"), "\"0.1\"");
    assert_eq!(lab.ask("a", "PEXPIRETIME session:1"), lab.ask("b", "PEXPIRETIME session:1"));
    assert_eq!(lab.replication("a").offset, lab.replication("b").offset);
}

#[test]
fn a_replica_hides_what_has_expired_and_waits_for_the_del() {
    transcript(
        &["", FOLLOWS_A],
        r#"
        > .sleep 1000
        a> SET session:1 alice PX 5000
        OK
        > .cut a b
        > .sleep 5050
        b> GET session:1
        (nil)
        b> TTL session:1
        (integer) -2
        b> DBSIZE
        (integer) 1
        > .sleep 1000
        a> DBSIZE
        (integer) 0
        b> DBSIZE
        (integer) 1
        > .heal
        > .sleep 10000
        b> DBSIZE
        (integer) 0
        "#,
    );
}

#[test]
fn wait_counts_the_replicas_that_have_it() {
    transcript(
        &["", FOLLOWS_A, FOLLOWS_A],
        r#"
        > .sleep 1000
        a> SET order:1 paid
        OK
        a> WAIT 2 100
        (integer) 2
        > .cut a c
        a> SET order:2 paid
        OK
        a> WAIT 2 500
        a2> PING
        PONG
        > .sleep 600
        a>
        (integer) 1
        a> WAIT 1 0
        (integer) 1
        a> WAIT 0 0
        (integer) 1
        a> WAIT x 0
        (error) ERR value is not an integer or out of range
        a> WAIT 1 -1
        (error) ERR timeout is negative
        a> WAITAOF 1 0 0
        (error) ERR WAITAOF cannot be used when numlocal is set but appendonly is disabled.
        b> WAIT 1 0
        (error) ERR WAIT cannot be used with replica instances. Please also note that since Redis 4.0 if a replica is configured to be writable (which is not the default) writes to replicas are just local and are not propagated.
        "#,
    );
}

#[test]
fn waitaof_waits_for_the_platter() {
    transcript(
        &["appendonly yes\nappendfsync everysec\n", "replicaof 127.0.0.1 6379\nappendonly yes\n"],
        r#"
        > .sleep 3000
        a> SET order:1 paid
        OK
        a> SET order:1 sent
        OK
        a> WAITAOF 1 0 0
        > .sleep 1100
        a>
        1) (integer) 1
        2) (integer) 0
        a> SET order:2 paid
        OK
        a> WAITAOF 1 1 5000
        > .sleep 4000
        a>
        1) (integer) 1
        2) (integer) 1
        a> WAITAOF 2 0 0
        (error) ERR value is out of range, must be between 0 and 1
        a> WAITAOF 0 -1 0
        (error) ERR value is out of range, must be positive
        "#,
    );
}

#[test]
fn min_replicas_to_write_refuses_writes_without_them() {
    transcript(
        &["min-replicas-to-write 1\nmin-replicas-max-lag 3\n", FOLLOWS_A],
        r#"
        a> SET k v
        (error) NOREPLICAS Not enough good replicas to write.
        > .sleep 1000
        a> SET k v
        OK
        > .cut a b
        > .sleep 2000
        a> SET k v2
        OK
        > .sleep 3000
        a> SET k v3
        (error) NOREPLICAS Not enough good replicas to write.
        a> GET k
        "v2"
        "#,
    );
}

#[test]
fn a_replica_without_its_primary_serves_stale_data_or_not() {
    transcript(
        &["", FOLLOWS_A],
        r#"
        a> SET k v
        OK
        > .sleep 1000
        > .kill a
        b> GET k
        "v"
        b> CONFIG SET replica-serve-stale-data no
        OK
        b> GET k
        (error) MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.
        b> PING
        (error) MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.
        b> CONFIG GET replicaof
        1) "replicaof"
        2) "127.0.0.1 6379"
        "#,
    );
}

#[test]
fn after_a_short_cut_a_replica_goes_on_from_the_backlog() {
    let mut lab =
        Lab::new(1, &["repl-timeout 5\nrepl-ping-replica-period 1\n", "replicaof 127.0.0.1 6379\nrepl-timeout 5\n"]);
    lab.execute("", ".sleep 1000");
    lab.ask("a", "SET before 1");
    lab.execute("", ".cut a b");
    lab.ask("a", "SET during 1");
    lab.execute("", ".sleep 20000");
    assert_eq!(lab.info("b", "master_link_status"), "down");
    assert_eq!(lab.info("a", "connected_slaves"), "0");
    assert_eq!(lab.ask("b", "EXISTS during"), "(integer) 0");
    lab.execute("", ".heal");
    lab.execute("", ".sleep 30000");
    assert_eq!(lab.info("b", "master_link_status"), "up");
    assert_eq!(lab.ask("b", "EXISTS during before"), "(integer) 2");
    let stats = lab.ask("a", "INFO stats");
    assert!(stats.contains("sync_full:1"), "{stats}");
    assert!(stats.contains("sync_partial_ok:1"), "{:#?}", (lab.log("a"), lab.log("b")));
    assert_eq!(lab.replication("a").offset, lab.replication("b").offset);
    assert!(lab.log("b").iter().any(|line| line.ends_with("* Successful partial resynchronization with master.")));
}

#[test]
fn sub_replicas_and_the_old_primary_go_on_without_a_snapshot_after_a_failover() {
    let mut lab = Lab::new(1, &["", FOLLOWS_A, FOLLOWS_A]);
    lab.execute("", ".sleep 2000");
    lab.ask("a", "SET k 1");
    lab.ask("b", "REPLICAOF NO ONE");
    lab.ask("c", "REPLICAOF 127.0.0.1 6380");
    lab.ask("a", "REPLICAOF 127.0.0.1 6380");
    lab.execute("", ".sleep 2000");
    lab.ask("b", "SET k 2");
    assert_eq!(lab.ask("a", "GET k"), "\"2\"");
    assert_eq!(lab.ask("c", "GET k"), "\"2\"");
    let stats = lab.ask("b", "INFO stats");
    assert!(stats.contains("sync_full:0") && stats.contains("sync_partial_ok:2"), "{stats}");
    assert_eq!(lab.info("b", "master_replid"), lab.info("a", "master_replid"));
    assert_eq!(lab.info("b", "connected_slaves"), "2");
    // A chain: what comes from the top is handed on as it came.
    lab.ask("c", "REPLICAOF 127.0.0.1 6379");
    lab.execute("", ".sleep 2000");
    lab.ask("b", "SET k 3");
    assert_eq!(lab.ask("c", "GET k"), "\"3\"");
    assert_eq!(lab.replication("b").offset, lab.replication("c").offset);
    assert_eq!(lab.info("a", "connected_slaves"), "1");
}

#[test]
fn a_restarted_replica_goes_on_where_its_file_ends() {
    let mut lab = Lab::new(1, &["", "replicaof 127.0.0.1 6379\nsave 3600 1\n"]);
    lab.execute("", ".sleep 1000");
    lab.ask("a", "SET k 1");
    lab.ask("b", "SAVE");
    lab.ask("a", "SET k 2");
    lab.execute("", ".kill b");
    lab.execute("", ".start b");
    lab.execute("", ".sleep 2000");
    assert_eq!(lab.ask("b", "GET k"), "\"2\"");
    let stats = lab.ask("a", "INFO stats");
    assert!(stats.contains("sync_full:1") && stats.contains("sync_partial_ok:1"), "{stats}");
}

#[test]
fn failover_hands_over_without_losing_a_write() {
    transcript(
        &["", FOLLOWS_A],
        r#"
        > .sleep 2000
        a> FAILOVER TO 127.0.0.1 6399
        (error) ERR FAILOVER target HOST and PORT is not a replica.
        a> FAILOVER ABORT
        (error) ERR No failover in progress.
        a> FAILOVER TO 127.0.0.1 6380 FORCE
        (error) ERR FAILOVER with force option requires both a timeout and target HOST and IP.
        b> FAILOVER
        (error) ERR FAILOVER is not valid when server is a replica.
        a> SET k 1
        OK
        a> FAILOVER TO 127.0.0.1 6380
        OK
        a2> SET k 2
        > .sleep 3000
        a2>
        (error) READONLY You can't write against a read only replica.
        b> ROLE
        1) "master"
        2) (integer) 64
        3) 1) 1) "127.0.0.1"
              2) "6379"
              3) "64"
        b> GET k
        "1"
        a> ROLE
        1) "slave"
        2) "127.0.0.1"
        3) (integer) 6380
        4) "connected"
        5) (integer) 64
        "#,
    );
}

#[test]
fn clients_that_wait_are_sent_away_when_their_server_becomes_a_replica() {
    transcript(
        &["", ""],
        r#"
        b2> BLPOP queue:mail 0
        b> REPLICAOF 127.0.0.1 6379
        OK
        b2>
        (error) UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)
        closed
        "#,
    );
}

#[test]
fn messages_reach_subscribers_of_replicas() {
    transcript(
        &["", FOLLOWS_A],
        r#"
        > .sleep 1000
        b> SUBSCRIBE news
        1) "subscribe"
        2) "news"
        3) (integer) 1
        a> PUBLISH news hello
        (integer) 0
        b>
        1) "message"
        2) "news"
        3) "hello"
        "#,
    );
}

#[test]
fn client_list_marks_replicas_and_the_primary() {
    let mut lab = Lab::new(1, &["", FOLLOWS_A]);
    lab.execute("", ".sleep 1000");
    let (a, b) = (lab.ask("a", "CLIENT LIST TYPE replica"), lab.ask("b", "CLIENT LIST TYPE master"));
    assert!(a.contains("flags=S") && a.contains("cmd=replconf"), "{a}");
    assert!(b.contains("flags=M"), "{b}");
}

#[test]
fn a_password_is_needed_and_given() {
    let mut lab = Lab::new(1, &["requirepass secret\n", FOLLOWS_A]);
    lab.execute("", ".sleep 2000");
    assert_eq!(lab.info("b", "master_link_status"), "down");
    assert!(lab.log("b").iter().any(|line| line.contains("NOAUTH Authentication required.")), "{:#?}", lab.log("b"));
    lab.ask("b", "CONFIG SET masterauth secret");
    lab.execute("", ".sleep 2000");
    assert_eq!(lab.info("b", "master_link_status"), "up");
}

#[test]
fn a_replica_that_takes_nothing_is_cut_off_before_memory_is_full() {
    let mut lab = Lab::new(1, &["client-output-buffer-limit replica 64kb 0 0\nrepl-backlog-size 16kb\n", FOLLOWS_A]);
    lab.execute("", ".sleep 1000");
    lab.execute("", ".cut a b");
    for n in 0..12 {
        lab.ask("a", &format!("SET big:{n} {}", "x".repeat(8000)));
        lab.execute("", ".sleep 10");
    }
    assert_eq!(lab.info("a", "connected_slaves"), "0");
    assert!(lab.log("a").iter().any(|line| line.ends_with("for overcoming of output buffer limits.")));
    lab.execute("", ".heal");
    lab.execute("", ".sleep 90000");
    assert_eq!(lab.ask("b", "DBSIZE"), "(integer) 12");
    assert!(lab.ask("a", "INFO stats").contains("sync_full:2"));
}

// -- any cuts ----------------------------------------------------------------------------------------------------------

/// All keys of all databases with their values, as text.
fn data_of(world: &World, name: &str) -> String {
    let instance = world.snapshot().instances.into_iter().find(|it| it.name == name).expect("in the topology");
    let keys = instance.dbs.iter().flat_map(|db| db.keys.iter().map(move |key| (db.index, key)));
    keys.map(|(db, key)| format!("{db} {:?} {:?} {:?}\n", key.name, key.value, key.expires_at)).collect()
}

fn some_change(rng: &mut Rng) -> String {
    let key = rng.below(10);
    match rng.below(9) {
        0 => format!("SET s:{key} {}", rng.below(100)),
        1 => format!("SET s:{key} {} PX {}", rng.below(100), 1000 + rng.below(20_000)),
        2 => format!("RPUSH l:{key} {} {}", rng.below(9), rng.below(9)),
        3 => format!("LPOP l:{key}"),
        4 => format!("SADD t:{key} {} {}", rng.below(9), rng.below(9)),
        5 => format!("SPOP t:{key}"),
        6 => format!("SELECT {}", rng.below(3)),
        7 => format!("DEL s:{key} t:{key}"),
        _ => format!("INCR n:{key}"),
    }
}

/// Two replicas, one of them behind the other, under cuts, delays, loss and full resynchronizations: at equal offsets of the
/// same history data sets are equal, and after healing all reach the primary's.
#[test]
fn a_replica_equals_its_primary_at_the_same_offset() {
    let mut compared = 0;
    for seed in 0..12 {
        let mut rng = Rng::new(seed);
        let small = "repl-backlog-size 16kb\nrepl-timeout 4\nrepl-ping-replica-period 1\n";
        let b = format!("{small}replicaof 127.0.0.1 6379\n");
        let c = format!("{small}replicaof 127.0.0.1 {}\n", if seed % 2 == 0 { 6379 } else { 6380 });
        let mut lab = Lab::new(seed, &[small, &b, &c]);
        for _ in 0..120 {
            match rng.below(30) {
                0 => drop(lab.world.partition("a", ["b", "c"][rng.below(2)])),
                1 => drop(lab.world.set_delay("a", "b", Millis(rng.below(700) as u64))),
                2 => drop(lab.world.set_loss("a", "b", 30)),
                3 => lab.world.heal_all(),
                4 => lab.world.advance(Millis(rng.below(8000) as u64)),
                5 => drop(lab.ask("a", &format!("SET big:{} {}", rng.below(3), "x".repeat(9000)))),
                6 => {
                    lab.ask("a", "MULTI");
                    (0..rng.below(4)).for_each(|_| drop(lab.ask("a", &some_change(&mut rng))));
                    lab.ask("a", "EXEC");
                }
                7 => drop(lab.world.change_network(&NetworkChange::Step(Millis(1000)))),
                _ => drop(lab.ask("a", &some_change(&mut rng))),
            }
            lab.world.advance(Millis(rng.below(60) as u64));
            let primary = lab.replication("a");
            for name in ["b", "c"] {
                let replica = lab.replication(name);
                if replica.replid == primary.replid && replica.offset == primary.offset {
                    compared += 1;
                    assert!(data_of(&lab.world, "a") == data_of(&lab.world, name), "seed {seed}, {name}");
                }
            }
        }
        lab.world.heal_all();
        lab.world.advance(Millis(60_000));
        for name in ["b", "c"] {
            assert!(lab.replication(name).link_up, "seed {seed}: {name} did not come back\n{:#?}", lab.log(name));
            assert_eq!(lab.replication(name).offset, lab.replication("a").offset, "seed {seed}: {name}");
            assert!(data_of(&lab.world, "a") == data_of(&lab.world, name), "seed {seed}: {name}");
        }
    }
    assert!(compared > 500, "the replicas were hardly ever there: {compared}");
}

#[test]
fn the_same_seed_gives_the_same_world_with_a_network_too() {
    let run = || {
        let mut lab = Lab::new(9, &["", FOLLOWS_A, FOLLOWS_A]);
        lab.world.set_loss("a", "b", 40).expect("they exist");
        lab.world.set_delay("a", "c", Millis(30)).expect("they exist");
        let mut rng = Rng::new(4);
        for _ in 0..50 {
            lab.ask("a", &some_change(&mut rng));
            lab.world.advance(Millis(rng.below(500) as u64));
        }
        lab.world.state_hash()
    };
    assert_eq!(run(), run());
}
