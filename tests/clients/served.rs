//! `redlab serve` as a process, and how tests talk to it.

use redis::{Client, Connection};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long anything may take here.
pub const PATIENCE: Duration = Duration::from_secs(20);
/// The bus of a cluster node listens this far above its port for clients.
const BUS_OFFSET: u16 = 10_000;

/// `redlab serve` on `nodes` free ports in a row, ended when this is dropped.
pub struct Served {
    process: Child,
    pub ports: Vec<u16>,
}

impl Served {
    pub fn start(nodes: u16, options: &[&str]) -> Served {
        let first = free_ports(nodes);
        let process = Command::new(env!("CARGO_BIN_EXE_redlab"))
            .args(["serve", "--port", &first.to_string(), "--save", "", "--repl-diskless-sync-delay", "0"])
            .args(options)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the program was built with its tests");
        let served = Served { process, ports: (first..first + nodes).collect() };
        for port in &served.ports {
            wait_for("a port", || TcpStream::connect(("127.0.0.1", *port)).is_ok());
        }
        served
    }

    /// Three primaries with a replica each, all agreed that the cluster is up, and all replicas in step.
    pub fn cluster() -> Served {
        let served = Served::start(6, &["--cluster", "3x1", "--cluster-node-timeout", "1000"]);
        for port in &served.ports {
            wait_for("the cluster", || {
                let info: String = redis::cmd("CLUSTER").arg("INFO").query(&mut connect(*port, "")).unwrap_or_default();
                info.contains("cluster_state:ok") && info.contains("cluster_known_nodes:6")
            });
        }
        for port in &served.ports[3..] {
            wait_for("a replica", || info(*port).contains("master_link_status:up"));
        }
        served
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The first of `count` ports in a row that are free, as are the bus ports that belong to them.
pub fn free_ports(count: u16) -> u16 {
    let is_free = |port: u16| TcpListener::bind(("127.0.0.1", port)).is_ok();
    (0..100)
        .map(|_| {
            let any =
                TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a free port").port();
            // Below the ports that the system gives to clients: those come and go.
            10_000 + any % 10_000
        })
        .find(|first| (*first..first + count).all(|port| is_free(port) && is_free(port + BUS_OFFSET)))
        .expect("free ports in a row")
}

#[track_caller]
pub fn wait_for(what: &str, mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < PATIENCE, "{what}: not in {PATIENCE:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

pub fn connect(port: u16, query: &str) -> Connection {
    let client = Client::open(format!("redis://127.0.0.1:{port}/{query}")).expect("an address");
    let connection = client.get_connection().expect("it listens");
    connection.set_read_timeout(Some(PATIENCE)).expect("a positive time-out");
    connection
}

pub fn info(port: u16) -> String {
    redis::cmd("INFO").arg("replication").query(&mut connect(port, "")).expect("it answers")
}

pub fn keys_on(port: u16) -> usize {
    redis::cmd("DBSIZE").query(&mut connect(port, "")).expect("it answers")
}

/// Whether `program` can be run like this; if not, a line says that the test is skipped, which is an error where all must run.
pub fn is_here(program: &str, args: &[&str]) -> bool {
    let run = Command::new(program).args(args).output().is_ok_and(|output| output.status.success());
    if !run {
        assert!(std::env::var_os("REDLAB_REQUIRE_ORACLE").is_none(), "{program} {args:?} does not run");
        eprintln!("SKIPPED: {program} {args:?} does not run");
    }
    run
}

pub fn redis_cli_is_here() -> bool {
    is_here("redis-cli", &["--version"])
}
