//! The rest of what redis-rs offers a program that talks to one server: transactions, scripts that are not known any more, scans,
//! streams, pushes, and what becomes of a connection when somebody ends it.

use crate::served::{Served, connect, free_ports, wait_for};
use redis::{Commands, ConnectionLike, ErrorKind, PushKind, RedisResult, Script, ServerErrorKind, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

const PROTOCOLS: [&str; 2] = ["", "?protocol=resp3"];

#[test]
fn transactions_are_all_or_nothing() {
    for query in PROTOCOLS {
        let served = Served::start(1, &[]);
        let mut client = connect(served.ports[0], query);
        let mut pipeline = redis::pipe();
        let counts: (i64, i64) = pipeline
            .atomic()
            .incr("visits", 1)
            .set("page:1", "x")
            .ignore()
            .incr("visits", 1)
            .query(&mut client)
            .unwrap();
        assert_eq!(counts, (1, 2));
        // One that fails while it runs does not keep the others from it.
        let mut pipeline = redis::pipe();
        let failed: RedisResult<()> = pipeline.atomic().incr("page:1", 1).incr("visits", 1).query(&mut client);
        assert!(failed.is_err(), "page:1 is no number");
        assert_eq!(client.get::<_, i64>("visits"), Ok(3));
        // One that is refused does.
        let mut pipeline = redis::pipe();
        let refused: RedisResult<()> = pipeline.atomic().incr("visits", 1).cmd("NOSUCH").query(&mut client);
        assert!(refused.is_err());
        assert_eq!(client.get::<_, i64>("visits"), Ok(3));
        // Without a transaction each stands for itself.
        let mut pipeline = redis::pipe();
        let mixed: RedisResult<()> = pipeline.incr("page:1", 1).incr("visits", 1).query(&mut client);
        assert!(mixed.is_err());
        assert_eq!(client.get::<_, i64>("visits"), Ok(4), "and the connection is in step");
    }
}

#[test]
fn a_script_that_was_forgotten_is_sent_again() {
    for query in PROTOCOLS {
        let served = Served::start(1, &[]);
        let mut client = connect(served.ports[0], query);
        let script = Script::new("return {redis.call('INCRBY', KEYS[1], ARGV[1]), KEYS[1]}");
        let add = |client: &mut redis::Connection| -> (i64, String) {
            script.key("stock:42").arg(5).invoke(client).expect("it is sent if it is not known")
        };
        assert_eq!(add(&mut client), (5, String::from("stock:42")));
        let () = redis::cmd("SCRIPT").arg("FLUSH").query(&mut client).unwrap();
        let unknown: RedisResult<Value> =
            redis::cmd("EVALSHA").arg(script.get_hash()).arg(1).arg("stock:42").query(&mut client);
        assert_eq!(unknown.unwrap_err().kind(), ErrorKind::Server(ServerErrorKind::NoScript));
        assert_eq!(add(&mut client).0, 10);
        let known: Vec<bool> = redis::cmd("SCRIPT").arg("EXISTS").arg(script.get_hash()).query(&mut client).unwrap();
        assert_eq!(known, [true]);
    }
}

#[test]
fn scans_find_everything_that_stays() {
    for query in PROTOCOLS {
        let served = Served::start(1, &[]);
        let mut client = connect(served.ports[0], query);
        for number in 0..500 {
            let () = client.set(format!("page:{number}"), number).unwrap();
            let () = client.hset("views", format!("page:{number}"), number).unwrap();
        }
        let found: RedisResult<BTreeSet<String>> = client.scan_match("page:*").unwrap().collect();
        assert_eq!(found.unwrap().len(), 500);
        let found: RedisResult<BTreeMap<String, i64>> = client.hscan("views").unwrap().collect();
        assert_eq!(found.unwrap()["page:499"], 499);
    }
}

#[test]
fn a_group_shares_a_stream_out() {
    for query in PROTOCOLS {
        let served = Served::start(1, &[]);
        let mut client = connect(served.ports[0], query);
        let mut ask = |line: &str| -> Value {
            let mut words = line.split(' ');
            let mut command = redis::cmd(words.next().expect("a name"));
            command.arg(words.collect::<Vec<_>>()).query(&mut client).unwrap_or_else(|error| panic!("{line}: {error}"))
        };
        ask("XGROUP CREATE orders billing 0 MKSTREAM");
        for number in 1..=3 {
            ask(&format!("XADD orders {number}-0 sku {number}"));
        }
        // Streams by name: a map in RESP3, a list of pairs in RESP2; both read as pairs.
        type Entries = Vec<(String, BTreeMap<String, String>)>;
        type Read = Vec<(String, Entries)>;
        let read: Read =
            redis::from_redis_value(ask("XREADGROUP GROUP billing ann COUNT 2 STREAMS orders >")).expect("streams");
        let (name, entries) = &read[0];
        let ids: Vec<&str> = entries.iter().map(|(id, _)| id.as_str()).collect();
        assert_eq!((name.as_str(), ids.as_slice()), ("orders", &["1-0", "2-0"][..]));
        assert_eq!(entries[1].1["sku"], "2");
        assert_eq!(ask("XACK orders billing 1-0"), Value::Int(1));
        let claimed: (String, Entries, Vec<String>) =
            redis::from_redis_value(ask("XAUTOCLAIM orders billing bob 0 0")).expect("what was pending");
        assert_eq!((claimed.0.as_str(), claimed.1[0].0.as_str(), claimed.2.len()), ("0-0", "2-0", 0));
    }
}

#[test]
fn a_push_tells_what_to_forget() {
    let served = Served::start(1, &[]);
    let mut reader = connect(served.ports[0], "?protocol=resp3");
    let mut writer = connect(served.ports[0], "");
    let (sender, pushes) = std::sync::mpsc::channel();
    reader.set_push_sender(sender);
    let () = redis::cmd("CLIENT").arg("TRACKING").arg("ON").query(&mut reader).unwrap();
    let () = writer.set("page:1", "old").unwrap();
    assert_eq!(reader.get::<_, String>("page:1").unwrap(), "old");
    let () = writer.set("page:1", "new").unwrap();
    let mut pushed = None;
    wait_for("the push", || {
        let () = redis::cmd("PING").query(&mut reader).unwrap();
        pushed = pushes.try_recv().ok();
        pushed.is_some()
    });
    let pushed = pushed.expect("waited for");
    assert_eq!(pushed.kind, PushKind::Invalidate);
    assert_eq!(pushed.data, [Value::Array(vec![Value::BulkString(b"page:1".to_vec())])]);
}

#[test]
fn a_listener_takes_and_leaves_channels() {
    for query in PROTOCOLS {
        let served = Served::start(1, &[]);
        let (mut listener, mut writer) = (connect(served.ports[0], query), connect(served.ports[0], query));
        {
            let mut listener = listener.as_pubsub();
            listener.subscribe(&["news", "sport"][..]).unwrap();
            listener.unsubscribe("news").unwrap();
            assert_eq!(writer.publish::<_, _, i64>("news", "unheard"), Ok(0));
            assert_eq!(writer.publish::<_, _, i64>("sport", "2:1"), Ok(1));
            let message = listener.get_message().unwrap();
            assert_eq!(
                (message.get_channel_name(), message.get_payload::<String>().unwrap()),
                ("sport", String::from("2:1"))
            );
        }
        // Whoever listens no longer is an ordinary client again.
        assert_eq!(redis::cmd("PING").query::<String>(&mut listener).unwrap(), "PONG");
        assert_eq!(writer.publish::<_, _, i64>("sport", "3:1"), Ok(0));
    }
}

#[test]
fn a_connection_that_was_ended_says_so_and_another_one_goes_on() {
    for query in PROTOCOLS {
        let served = Served::start(1, &[]);
        let (mut victim, mut other) = (connect(served.ports[0], query), connect(served.ports[0], query));
        let id: i64 = redis::cmd("CLIENT").arg("ID").query(&mut victim).unwrap();
        let killed: i64 = redis::cmd("CLIENT").arg("KILL").arg("ID").arg(id).query(&mut other).unwrap();
        assert_eq!(killed, 1);
        let failed: RedisResult<()> = victim.set("a", 1);
        assert!(failed.is_err_and(|error| error.is_connection_dropped() || error.is_io_error()));
        assert!(other.is_open() && other.check_connection());
        let () = connect(served.ports[0], query).set("a", 1).unwrap();
    }
}

/// A server that is ended and started again on the same port and files.
struct Restarted {
    port: u16,
    dir: tempfile::TempDir,
    process: Option<Child>,
}

impl Restarted {
    fn start(&mut self) {
        let process = Command::new(env!("CARGO_BIN_EXE_redlab"))
            .args(["serve", "--port", &self.port.to_string(), "--save", "3600 1", "--dir"])
            .arg(self.dir.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        self.process = Some(process.expect("the program was built with its tests"));
        wait_for("the port", || TcpStream::connect(("127.0.0.1", self.port)).is_ok());
    }
}

impl Drop for Restarted {
    fn drop(&mut self) {
        if let Some(process) = &mut self.process {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

#[test]
fn a_program_goes_on_after_its_server_was_restarted() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let mut server = Restarted { port: free_ports(1), dir, process: None };
    server.start();
    let client = redis::Client::open(format!("redis://127.0.0.1:{}/", server.port)).unwrap();
    let mut connection = client.get_connection().unwrap();
    let () = connection.set("kept", "x").unwrap();
    let ended: RedisResult<()> = redis::cmd("SHUTDOWN").query(&mut connection);
    assert!(ended.is_err(), "who shuts down does not answer");
    let mut process = server.process.take().expect("started");
    assert!(process.wait().expect("a child").success());
    assert!(client.get_connection().is_err(), "nobody is there");
    server.start();
    let mut connection = client.get_connection().unwrap();
    assert_eq!(connection.get::<_, String>("kept").unwrap(), "x", "it was saved");
}
