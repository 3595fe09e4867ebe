//! Replication with real servers, both ways: a redis-server that follows `redlab serve`, and `redlab serve` that follows a
//! redis-server; with a link that is cut in between, and redis-cli as a replica and as a taker of snapshots.

use super::servers::{Redis, Server};
use redlab::base::Bytes;
use redlab::resp::decode::Replies;
use redlab::resp::{Reply, encode};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long anything may take here.
const PATIENCE: Duration = Duration::from_secs(20);

/// `redlab serve` on a free port, ended when this is dropped.
struct Served {
    process: Child,
    port: u16,
    _dir: tempfile::TempDir,
}

impl Served {
    fn start(options: &[&str]) -> Served {
        let port = TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a free port").port();
        let dir = tempfile::tempdir().expect("a temporary folder");
        let process = Command::new(env!("CARGO_BIN_EXE_redlab"))
            .args(["serve", "--port", &port.to_string(), "--save", "", "--repl-diskless-sync-delay", "0", "--dir"])
            .arg(dir.path())
            .args(options)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the program was built with its tests");
        let served = Served { process, port, _dir: dir };
        wait_for("redlab serve", || TcpStream::connect(("127.0.0.1", port)).is_ok());
        served
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Server for Served {
    fn request(&mut self, _: &str, args: &[Bytes]) -> Reply {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).expect("it listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a positive time-out");
        let mut request = Vec::new();
        encode::request(&mut request, args);
        stream.write_all(&request).expect("it reads");
        let (mut replies, mut buffer) = (Replies::new(), [0; 65536]);
        loop {
            if let Some(reply) = replies.next_reply().expect("it speaks RESP") {
                return reply;
            }
            let len = stream.read(&mut buffer).expect("it answers");
            assert!(len > 0, "it hung up");
            replies.feed(&buffer[..len]);
        }
    }
}

#[track_caller]
fn wait_for(what: &str, mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < PATIENCE, "{what}: not in {PATIENCE:?}");
        std::thread::sleep(Duration::from_millis(30));
    }
}

fn ask(server: &mut dyn Server, line: &str) -> Reply {
    let args: Vec<Bytes> = line.split(' ').map(Bytes::from).collect();
    server.request("", &args)
}

fn info(server: &mut dyn Server, field: &str) -> String {
    let args = [Bytes::from("INFO"), Bytes::from("everything")];
    let Reply::Bulk(text) = server.request("", &args) else { panic!("INFO is text") };
    let text = text.lossy().into_owned();
    let found = text.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':').map(str::to_owned));
    found.unwrap_or_else(|| panic!("no {field}"))
}

/// Some of every type, a transaction, messages, expiries, random pops, another database.
fn fill(server: &mut dyn Server, round: usize) {
    for line in [
        format!("SET cart:{round} apple"),
        format!("SET session:{round} alice EX 1000"),
        String::from("RPUSH queue a b c"),
        format!("SADD tags:{round} a b c d e"),
        format!("SPOP tags:{round} 2"),
        String::from("HSET user name alice age 30"),
        String::from("ZADD board 1 a 2.5 b"),
        String::from("INCRBYFLOAT total 0.1"),
        String::from("XADD log * event login"),
        String::from("SETBIT bits 70 1"),
        String::from("PUBLISH news hello"),
        String::from("DEL queue"),
    ] {
        let reply = ask(server, &line);
        assert!(!reply.is_error(), "{line}: {reply:?}");
    }
}

/// Both have the same keys with the same contents, once the replica has everything.
#[track_caller]
fn same_data(primary: &mut dyn Server, replica: &mut dyn Server) {
    wait_for("everything", || info(primary, "master_repl_offset") == info(replica, "slave_repl_offset"));
    let Reply::Array(keys) = ask(primary, "KEYS *") else { panic!("KEYS is an array") };
    assert!(keys.len() > 5);
    assert_eq!(ask(primary, "DBSIZE"), ask(replica, "DBSIZE"));
    for key in &keys {
        let Reply::Bulk(key) = key else { panic!("keys are texts") };
        let mut words = |name: &str| {
            let args = [Bytes::from(name), key.clone()];
            assert_eq!(primary.request("", &args), replica.request("", &args), "{name} {}", key.lossy());
        };
        words("TYPE");
        words("PEXPIRETIME");
        match key.lossy().split(':').next() {
            Some("cart" | "session" | "total" | "bits") => words("GET"),
            Some("user") => words("HGETALL"),
            Some("tags") => words("SCARD"),
            _ => {}
        }
    }
}

#[test]
fn a_redis_server_follows_redlab() {
    let mut redlab = Served::start(&[]);
    fill(&mut redlab, 1);
    let follow = ["--save", "", "--replicaof", &format!("127.0.0.1 {}", redlab.port)];
    let Some(mut redis) = Redis::start_in(tempfile::tempdir().expect("a temporary folder"), &follow) else { return };
    wait_for("the first snapshot", || info(&mut redis, "master_link_status") == "up");
    fill(&mut redlab, 2);
    same_data(&mut redlab, &mut redis);
    // A cut: it goes on where it was.
    ask(&mut redlab, "CLIENT KILL TYPE replica");
    fill(&mut redlab, 3);
    wait_for("the link", || info(&mut redis, "master_link_status") == "up");
    same_data(&mut redlab, &mut redis);
    assert_eq!((info(&mut redlab, "sync_full"), info(&mut redlab, "sync_partial_ok")), ("1".into(), "1".into()));
    // By way of a file, too.
    ask(&mut redlab, "CONFIG SET repl-diskless-sync no");
    ask(&mut redis, "REPLICAOF NO ONE");
    ask(&mut redis, "SET mine 1");
    ask(&mut redis, &format!("REPLICAOF 127.0.0.1 {}", redlab.port));
    wait_for("the second snapshot", || info(&mut redis, "master_link_status") == "up");
    same_data(&mut redlab, &mut redis);
    assert_eq!(ask(&mut redis, "EXISTS mine"), Reply::Int(0));
}

#[test]
fn redlab_follows_a_redis_server() {
    let options = ["--save", "", "--repl-diskless-sync-delay", "0"];
    let Some(mut redis) = Redis::start_in(tempfile::tempdir().expect("a temporary folder"), &options) else { return };
    fill(&mut redis, 1);
    let mut redlab = Served::start(&["--replicaof", &format!("127.0.0.1 {}", redis.port())]);
    wait_for("the first snapshot", || info(&mut redlab, "master_link_status") == "up");
    fill(&mut redis, 2);
    same_data(&mut redis, &mut redlab);
    ask(&mut redis, "CLIENT KILL TYPE replica");
    fill(&mut redis, 3);
    wait_for("the link", || info(&mut redlab, "master_link_status") == "up");
    same_data(&mut redis, &mut redlab);
    assert_eq!((info(&mut redis, "sync_full"), info(&mut redis, "sync_partial_ok")), ("1".into(), "1".into()));
    // The two change places, and nobody needs a snapshot.
    let reply = ask(&mut redis, &format!("FAILOVER TO 127.0.0.1 {}", redlab.port));
    assert_eq!(reply, Reply::OK);
    wait_for("the failover", || {
        info(&mut redlab, "role") == "master" && info(&mut redis, "master_link_status") == "up"
    });
    fill(&mut redlab, 4);
    same_data(&mut redlab, &mut redis);
    assert_eq!(info(&mut redlab, "sync_full"), "0");
}

#[test]
fn redis_cli_takes_a_snapshot_and_follows() {
    let mut redlab = Served::start(&[]);
    fill(&mut redlab, 1);
    let dir = tempfile::tempdir().expect("a temporary folder");
    let file = dir.path().join("dump.rdb");
    let port = redlab.port.to_string();
    let taken = Command::new("redis-cli").args(["-p", &port, "--rdb"]).arg(&file).output();
    let Ok(taken) = taken else {
        eprintln!("SKIPPED: redis-cli is not installed");
        return;
    };
    assert!(taken.status.success(), "{taken:?}");
    let checked = Command::new("redis-check-rdb").arg(&file).output().expect("it comes with redis-cli");
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stdout));
    let mut follower = Command::new("redis-cli")
        .args(["-p", &port, "--replica"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("it was there before");
    wait_for("the replica", || info(&mut redlab, "connected_slaves") == "1");
    wait_for("the stream", || info(&mut redlab, "slave0").contains("state=online"));
    ask(&mut redlab, "SET seen-by-redis-cli 1");
    std::thread::sleep(Duration::from_millis(1500));
    follower.kill().expect("it runs");
    let mut said = String::new();
    follower.stdout.take().expect("piped").read_to_string(&mut said).expect("text");
    follower.wait().expect("it was started here");
    assert!(said.contains("\"seen-by-redis-cli\""), "{said}");
}
