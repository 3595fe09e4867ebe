//! redis-rs against `redlab serve`: one server in both protocols, and a cluster whose primary ends or whose slots move while
//! the client writes.

use crate::served::{PATIENCE, Served, connect, info, keys_on, redis_cli_is_here, wait_for};
use redis::cluster::{ClusterClient, ClusterConnection};
use redis::{Commands, Connection, RedisResult, Script};
use std::collections::BTreeMap;
use std::net::TcpStream;
use std::process::{Command, Stdio};

/// What an ordinary program does with one server. `query` chooses the protocol.
fn daily_work(query: &str) {
    let served = Served::start(1, &[]);
    let port = served.ports[0];
    let mut client = connect(port, query);

    let protocol: BTreeMap<String, redis::Value> = redis::cmd("HELLO").query(&mut client).expect("it greets");
    let expected = if query.is_empty() { 2 } else { 3 };
    assert_eq!(protocol["proto"], redis::Value::Int(expected));

    let () = client.hset_multiple("user:123", &[("name", "Ada"), ("city", "London")]).unwrap();
    let user: BTreeMap<String, String> = client.hgetall("user:123").unwrap();
    assert_eq!(user["city"], "London");
    let () = client.zadd("board", "Ada", 1.5).unwrap();
    assert_eq!(client.zscore::<_, _, f64>("board", "Ada"), Ok(1.5));
    let wrong: RedisResult<i64> = client.incr("user:123", 1);
    assert_eq!(wrong.unwrap_err().code(), Some("WRONGTYPE"));

    let mut pipeline = redis::pipe();
    for n in 0..1_000 {
        pipeline.set(format!("page:{n}"), n).ignore();
    }
    let (last, count): (i64, i64) = pipeline.get("page:999").cmd("DBSIZE").query(&mut client).unwrap();
    assert_eq!((last, count), (999, 1_002));

    // Another client gets between WATCH and EXEC once: the second try counts.
    let mut rival = connect(port, query);
    let mut tries = 0;
    let (stock,): (i64,) = redis::transaction(&mut client, &["stock:42"], |client, pipeline| {
        let stock: Option<i64> = client.get("stock:42")?;
        tries += 1;
        if tries == 1 {
            let () = rival.set("stock:42", 10)?;
        }
        pipeline.set("stock:42", stock.unwrap_or(0) - 1).ignore().get("stock:42").query(client)
    })
    .unwrap();
    assert_eq!((stock, tries), (9, 2));

    let script = Script::new("return redis.call('INCRBY', KEYS[1], ARGV[1])");
    assert_eq!(script.key("stock:42").arg(5).invoke::<i64>(&mut client), Ok(14), "EVALSHA, then the script is sent");
    assert_eq!(script.key("stock:42").arg(5).invoke::<i64>(&mut client), Ok(19));

    locks(&mut client, &mut rival);
    publishes(&mut client, connect(port, query));
    waits_for_work(&mut client, connect(port, query), connect(port, query));
}

/// Only who holds a lock can give it back.
fn locks(client: &mut Connection, rival: &mut Connection) {
    let take = |connection: &mut Connection, token: &str| -> bool {
        let set = redis::cmd("SET").arg("lock:42").arg(token).arg("NX").arg("PX").arg(30_000).query(connection);
        set.unwrap()
    };
    let release = Script::new(
        "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) else return 0 end",
    );
    assert!(take(client, "token-a"));
    assert!(!take(rival, "token-b"));
    assert_eq!(release.key("lock:42").arg("token-b").invoke::<i64>(rival), Ok(0));
    assert!((1..=30_000).contains(&client.pttl::<_, i64>("lock:42").unwrap()));
    assert_eq!(release.key("lock:42").arg("token-a").invoke::<i64>(client), Ok(1));
    assert!(take(rival, "token-b"));
}

fn publishes(client: &mut Connection, mut listener: Connection) {
    let mut listener = listener.as_pubsub();
    listener.subscribe("news").unwrap();
    listener.psubscribe("order:*").unwrap();
    assert_eq!(client.publish::<_, _, i64>("news", "hello"), Ok(1));
    assert_eq!(client.publish::<_, _, i64>("order:7", "paid"), Ok(1));
    let first = listener.get_message().unwrap();
    assert_eq!((first.get_channel_name(), first.get_payload::<String>().unwrap()), ("news", String::from("hello")));
    let second = listener.get_message().unwrap();
    assert_eq!(second.get_pattern::<String>().unwrap(), "order:*");
    assert_eq!(second.get_payload::<String>().unwrap(), "paid");
}

/// Two workers wait; each gets one job, who came first the first.
fn waits_for_work(client: &mut Connection, first: Connection, second: Connection) {
    let mut workers = Vec::new();
    for (index, mut worker) in [first, second].into_iter().enumerate() {
        workers.push(std::thread::spawn(move || worker.blpop::<_, (String, String)>("jobs", 15.0).unwrap()));
        wait_for("a worker that waits", || {
            let info: String = redis::cmd("INFO").arg("clients").query(client).unwrap();
            info.contains(&format!("blocked_clients:{}\r", index + 1))
        });
    }
    let () = client.rpush("jobs", &["mail:1", "mail:2"]).unwrap();
    let jobs: Vec<String> = workers.into_iter().map(|worker| worker.join().expect("a job").1).collect();
    assert_eq!(jobs, ["mail:1", "mail:2"]);
}

#[test]
fn redis_rs_does_its_daily_work_in_resp2() {
    daily_work("");
}

#[test]
fn redis_rs_does_its_daily_work_in_resp3() {
    daily_work("?protocol=resp3");
}

/// A client of a cluster that remembers what was acknowledged.
struct Ledger {
    client: ClusterClient,
    connection: ClusterConnection,
    acknowledged: BTreeMap<String, u64>,
    refused: usize,
}

impl Ledger {
    fn new(served: &Served) -> Ledger {
        let nodes = served.ports.iter().map(|port| format!("redis://127.0.0.1:{port}/"));
        let client = ClusterClient::builder(nodes).retries(8).min_retry_wait(20).max_retry_wait(100);
        let client: ClusterClient = client.connection_timeout(PATIENCE).build().expect("addresses");
        let connection = client.get_connection().expect("the cluster is up");
        Ledger { client, connection, acknowledged: BTreeMap::new(), refused: 0 }
    }

    fn write(&mut self, key: &str, value: u64) -> bool {
        let done: RedisResult<()> = self.connection.set(key, value);
        match done {
            Ok(()) => drop(self.acknowledged.insert(key.to_owned(), value)),
            Err(ref error) => {
                self.refused += 1;
                // This client does not ask for the slots again when a node is unreachable, whoever serves: a pool drops
                // such a connection, and so does this.
                if error.is_io_error()
                    && let Ok(connection) = self.client.get_connection()
                {
                    self.connection = connection;
                }
            }
        }
        done.is_ok()
    }

    fn read_back(&mut self) {
        for (key, value) in &self.acknowledged {
            assert_eq!(self.connection.get::<_, Option<u64>>(key), Ok(Some(*value)), "{key}");
        }
    }
}

#[test]
fn the_cluster_client_of_redis_rs_goes_on_after_a_failover() {
    let served = Served::cluster();
    let (primary, replica) = (served.ports[0], served.ports[3]);
    let mut ledger = Ledger::new(&served);
    for n in 0..200 {
        assert!(ledger.write(&format!("cart:{n}"), n));
    }
    // What a replica does not have yet may be lost; that is not what is tested.
    wait_for("the replicas", || (0..3).all(|n| keys_on(served.ports[n]) == keys_on(served.ports[n + 3])));
    let before = keys_on(replica);
    assert!(before > 30, "{before} of 200 keys are in a third of the slots");

    let ended: RedisResult<()> = redis::cmd("SHUTDOWN").arg("NOSAVE").arg("NOW").query(&mut connect(primary, ""));
    assert!(ended.is_err(), "who shuts down does not answer");
    assert!(TcpStream::connect(("127.0.0.1", primary)).is_err(), "it is gone");
    // A key of the dead primary, found by asking one that lives.
    let slot = |key: &str| -> u16 {
        redis::cmd("CLUSTER").arg("KEYSLOT").arg(key).query(&mut connect(served.ports[1], "")).expect("it answers")
    };
    let orphan = (0..200).map(|n| format!("cart:{n}")).find(|key| slot(key) < 5_461).expect("a third of the keys");
    let mut value = 1_000;
    wait_for("a write after the failover", || {
        value += 1;
        ledger.write(&orphan, value)
    });
    assert!(ledger.refused > 0, "nobody owned the slot for a while");
    assert!(info(replica).contains("role:master"));
    for n in 200..300 {
        assert!(ledger.write(&format!("cart:{n}"), n));
    }
    assert_eq!(ledger.acknowledged.len(), 300);
    assert!(keys_on(replica) > before, "the new primary takes writes");
    ledger.read_back();
}

#[test]
fn the_cluster_client_of_redis_rs_follows_a_manual_failover_without_an_error() {
    let served = Served::cluster();
    let replica = served.ports[3];
    let mut ledger = Ledger::new(&served);
    for n in 0..100 {
        assert!(ledger.write(&format!("cart:{n}"), n));
    }
    let () = redis::cmd("CLUSTER").arg("FAILOVER").query(&mut connect(replica, "")).expect("a replica may");
    let mut value = 100;
    wait_for("the new primary", || {
        value += 1;
        assert!(ledger.write(&format!("cart:{}", value % 100), value), "the same connection goes on");
        info(replica).contains("role:master")
    });
    for n in 0..100 {
        assert!(ledger.write(&format!("cart:{n}"), value + n));
    }
    ledger.read_back();
}

#[test]
fn the_cluster_client_of_redis_rs_loses_nothing_when_slots_move() {
    if !redis_cli_is_here() {
        return;
    }
    let served = Served::cluster();
    let mut ledger = Ledger::new(&served);
    for n in 0..2_000 {
        assert!(ledger.write(&format!("cart:{n}"), n));
    }
    let id =
        |port: u16| -> String { redis::cmd("CLUSTER").arg("MYID").query(&mut connect(port, "")).expect("it answers") };
    let (from, to) = (served.ports[0], served.ports[1]);
    let before = (keys_on(from), keys_on(to));
    let address = format!("127.0.0.1:{from}");
    let options = ["--cluster-slots", "40", "--cluster-pipeline", "1", "--cluster-yes"];
    let mut moving = Command::new("redis-cli")
        .args(["--cluster", "reshard", &address, "--cluster-from", &id(from), "--cluster-to", &id(to)])
        .args(options)
        .stdout(Stdio::null())
        .spawn()
        .expect("it is installed");
    let mut value = 2_000;
    while moving.try_wait().expect("it was started here").is_none() {
        assert!(ledger.write(&format!("cart:{}", value % 2_000), value), "a move refuses no write of one key");
        value += 1;
    }
    let status = moving.wait().expect("it has ended");
    assert!(status.success(), "{status:?}");
    println!("{} writes while the slots moved", value - 2_000);
    assert!(value > 2_010, "{} writes while the slots moved", value - 2_000);
    let after = (keys_on(from), keys_on(to));
    assert!(after.0 < before.0 && after.1 > before.1, "{before:?} became {after:?}");
    assert_eq!(after.0 + after.1, before.0 + before.1);
    ledger.read_back();
}
