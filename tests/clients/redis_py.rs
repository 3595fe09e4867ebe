//! redis-py with its default options; what it does stands in `redis_py.py` (RedisCluster, while slots move and a primary ends)
//! and in `redis_py_daily.py` (one server, in both protocols).
//!
//! `REDLAB_PYTHON`: the interpreter that has redis-py, if that is not python3.

use crate::served::{Served, free_ports, is_here, redis_cli_is_here, wait_for};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

/// The interpreter, if it has redis-py.
fn python() -> Option<String> {
    let python = std::env::var("REDLAB_PYTHON").unwrap_or_else(|_| String::from("python3"));
    is_here(&python, &["-c", "import redis.cluster"]).then_some(python)
}

/// What the script prints; it has to succeed.
#[track_caller]
fn run(python: &str, script: &str, args: &[String]) -> String {
    let path = format!("{}/tests/clients/{script}", env!("CARGO_MANIFEST_DIR"));
    let output = Command::new(python).arg(path).args(args).output().expect("it ran before");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    println!("{said}");
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    said
}

#[test]
fn redis_py_goes_on_writing_through_a_reshard_and_a_failover() {
    let Some(python) = python().filter(|_| redis_cli_is_here()) else { return };
    let served = Served::cluster();
    let ports: Vec<String> = served.ports.iter().map(u16::to_string).collect();
    run(&python, "redis_py.py", &ports);
}

/// A server on a port of its own, which the script ends and starts again with the same words.
struct Daily {
    process: Child,
    _dir: tempfile::TempDir,
}

impl Drop for Daily {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// What the daily work looks like against `program` (and its words before the options).
#[track_caller]
fn daily_work(python: &str, protocol: u8, program: &[&str]) -> String {
    let (port, dir) = (free_ports(1), tempfile::tempdir().expect("a temporary folder"));
    let own: Vec<String> = program.iter().copied().map(str::to_owned).collect();
    let options =
        ["--port", &port.to_string(), "--save", "", "--dir", &dir.path().display().to_string()].map(str::to_owned);
    let serve = [own, options.to_vec()].concat();
    let mut start = Command::new(&serve[0]);
    let start = start.args(&serve[1..]).stdout(Stdio::null()).stderr(Stdio::null());
    let _server = Daily { process: start.spawn().expect("it is installed"), _dir: dir };
    wait_for("the port", || TcpStream::connect(("127.0.0.1", port)).is_ok());
    run(python, "redis_py_daily.py", &[vec![protocol.to_string(), port.to_string()], serve].concat())
}

#[track_caller]
fn assert_served_alike(protocol: u8) {
    let Some(python) = python() else { return };
    let ours = daily_work(&python, protocol, &[env!("CARGO_BIN_EXE_redlab"), "serve"]);
    assert!(ours.contains("== restarts"), "{ours}");
    if is_here("redis-server", &["--version"]) {
        let theirs = daily_work(&python, protocol, &["redis-server"]);
        let differ: Vec<_> = ours.lines().zip(theirs.lines()).filter(|(ours, theirs)| ours != theirs).collect();
        assert!(ours == theirs, "ours and redis-server's: {differ:#?}");
    }
}

#[test]
fn redis_py_does_its_daily_work_in_resp2_as_with_redis_server() {
    assert_served_alike(2);
}

#[test]
fn redis_py_does_its_daily_work_in_resp3_as_with_redis_server() {
    assert_served_alike(3);
}
