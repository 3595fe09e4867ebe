//! `redlab serve` beside redis-server, measured in turns in one run, so that the noise of the machine falls on both.
//!
//! Needs redis-server and redis-benchmark on the PATH. `cargo bench --bench vs-redis` takes about four minutes and prints
//! the tables of the README: per command and pipeline depth the ratio of the medians, geometric means, memory for a million
//! small keys, loading them from an RDB file, and the time from start to first reply. How far it is, it tells on the error
//! output, with the absolute numbers. `-- 9` takes nine rounds instead of three; `-- get,set` measures these commands only.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const COMMANDS: &[&str] = &["set", "get", "incr", "lpush", "rpop", "sadd", "hset", "zadd", "lrange_100", "mset"];
const DEPTHS: [u32; 3] = [1, 16, 64];
const CLIENTS: &str = "50";
const RANDOM_KEYS: &str = "100000";
/// Aimed-at length of one measurement.
const SECONDS: f64 = 0.8;
const MILLION: usize = 1_000_000;

/// A server under test, in a directory of its own.
struct Server {
    child: Child,
    port: u16,
    dir: tempfile::TempDir,
}

impl Server {
    /// Starts it and waits for its first reply. `program` is followed by redis-server's arguments.
    fn start(program: &[&str], dir: tempfile::TempDir) -> (Server, Duration) {
        let port = TcpListener::bind(("127.0.0.1", 0)).and_then(|free| free.local_addr()).expect("a free port").port();
        let mut command = Command::new(program[0]);
        command.args(&program[1..]).args(["--port", &port.to_string(), "--save", "", "--appendonly", "no"]);
        command.arg("--dir").arg(dir.path()).stdout(Stdio::null()).stderr(Stdio::null());
        let began = Instant::now();
        let child = command.spawn().unwrap_or_else(|error| panic!("{}: {error}", program[0]));
        let server = Server { child, port, dir };
        while !server.try_ask("PING").is_ok_and(|reply| reply.starts_with("+PONG")) {
            assert!(began.elapsed() < Duration::from_secs(60), "{} does not answer", program[0]);
            std::thread::sleep(Duration::from_micros(300));
        }
        (server, began.elapsed())
    }

    fn try_ask(&self, line: &str) -> std::io::Result<String> {
        let mut socket = TcpStream::connect(("127.0.0.1", self.port))?;
        socket.set_read_timeout(Some(Duration::from_secs(120)))?;
        socket.write_all(format!("{line}\r\n").as_bytes())?;
        let mut reply = vec![0; 64 * 1024];
        let len = socket.read(&mut reply)?;
        Ok(String::from_utf8_lossy(&reply[..len]).into_owned())
    }

    fn ask(&self, line: &str) -> String {
        self.try_ask(line).unwrap_or_else(|error| panic!("{line}: {error}"))
    }

    /// Requests a second, with keys to read or elements to pop where the command needs them.
    fn benchmark(&self, command: &str, depth: u32, requests: usize) -> f64 {
        self.ask("FLUSHALL");
        match command {
            "get" => drop(self.run("set", 64, 200_000)),
            "rpop" => drop(self.run("lpush", 64, requests)),
            _ => {}
        }
        self.run(command, depth, requests)
    }

    fn run(&self, command: &str, depth: u32, requests: usize) -> f64 {
        let (port, depth, requests) = (self.port.to_string(), depth.to_string(), requests.to_string());
        let args = ["-p", &port, "-t", command, "-P", &depth, "-n", &requests, "-c", CLIENTS, "-r", RANDOM_KEYS];
        let output = Command::new("redis-benchmark").args(args).args(["-q", "--csv"]).output();
        let output = output.expect("redis-benchmark is on the PATH");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let last = text.lines().last().unwrap_or_default();
        let rate = last.split(',').nth(1).and_then(|word| word.trim_matches('"').parse().ok());
        rate.unwrap_or_else(|| panic!("redis-benchmark -t {command}: {text}"))
    }

    /// Resident memory of the process in bytes (Linux).
    fn resident(&self) -> usize {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
        line.split_whitespace().next().and_then(|word| word.parse::<usize>().ok()).unwrap_or(0) * 1024
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Medians of both, taken in turns.
fn in_turns(rounds: usize, mut measure: impl FnMut(usize) -> f64) -> (f64, f64) {
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        ours.push(measure(0));
        theirs.push(measure(1));
    }
    (median(ours), median(theirs))
}

fn throughput(servers: &[Server; 2], rounds: usize, commands: &[&str]) {
    println!("\n| command | {} |", DEPTHS.map(|depth| format!("P{depth}")).join(" | "));
    println!("| --- | {} |", DEPTHS.map(|_| "---").join(" | "));
    let mut logs = DEPTHS.map(|_| 0.0);
    for &command in commands {
        let mut row = String::new();
        for (at, depth) in DEPTHS.into_iter().enumerate() {
            let trial = servers[1].benchmark(command, depth, 20_000);
            let requests = ((trial * SECONDS) as usize).clamp(20_000, 3_000_000);
            let (ours, theirs) = in_turns(rounds, |which| servers[which].benchmark(command, depth, requests));
            logs[at] += (ours / theirs).ln();
            eprintln!("{command:<12}{depth:>4}{ours:>14.0}/s redis-server{theirs:>14.0}/s{:>8.2}", ours / theirs);
            row.push_str(&format!(" | {:.2}", ours / theirs));
        }
        println!("| {}{row} |", command.to_uppercase());
    }
    let means = logs.map(|sum| format!("**{:.2}**", (sum / commands.len() as f64).exp()));
    println!("| geometric mean | {} |", means.join(" | "));
}

/// Cores, processor and version of redis-server: without them the ratios say little.
fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or_default();
    let version = Command::new("redis-server").arg("--version").output().expect("redis-server is on the PATH");
    let version = String::from_utf8_lossy(&version.stdout).into_owned();
    let version = version.split_whitespace().find_map(|word| word.strip_prefix("v=")).unwrap_or("?").to_owned();
    format!("{cores} cores ({}), redis-server {version}", model.trim_start_matches(['\t', ' ', ':']))
}

/// A million keys of 12 bytes or so with values as short: how much memory, and how long an RDB file of them takes to load.
fn million(programs: &[&[&str]; 2]) {
    let mut report = Vec::new();
    for program in programs {
        let (server, _) = Server::start(program, folder());
        let before = server.resident();
        for at in (0..MILLION).step_by(10_000) {
            let mut batch = Vec::new();
            for key in at..at + 10_000 {
                write!(batch, "SET key:{key} value:{key}\r\n").expect("memory");
            }
            let mut socket = TcpStream::connect(("127.0.0.1", server.port)).expect("it listens");
            let mut reader = socket.try_clone().expect("a handle");
            let reading = std::thread::spawn(move || {
                let mut replies = vec![0; 5 * 10_000];
                reader.read_exact(&mut replies).expect("an OK for each");
            });
            socket.write_all(&batch).expect("it reads");
            reading.join().expect("it answered");
        }
        let bytes = (server.resident() - before) as f64 / MILLION as f64;
        assert!(server.ask("SAVE").starts_with("+OK"));
        let kept = server.dir.path().join("dump.rdb");
        let dir = folder();
        std::fs::copy(kept, dir.path().join("dump.rdb")).expect("SAVE wrote it");
        report.push((bytes, dir));
    }
    let (ours, theirs) = (report[0].0, report[1].0);
    println!(
        "| memory of a key, of a million small ones | {ours:.0} bytes | {theirs:.0} bytes | {:.2} |",
        ours / theirs
    );
    let (ours, theirs) = in_turns(3, |which| {
        let dir = folder();
        std::fs::copy(report[1].1.path().join("dump.rdb"), dir.path().join("dump.rdb")).expect("room");
        let (server, _) = Server::start(programs[which], dir);
        let began = Instant::now();
        // Start-up answers before all is loaded in neither; DBSIZE proves that it is.
        while !server.ask("DBSIZE").starts_with(&format!(":{MILLION}")) {
            assert!(began.elapsed() < Duration::from_secs(60), "the keys do not load");
        }
        server_age(&server)
    });
    let ratio = ours / theirs;
    println!("| loading an RDB file of a million keys, processor time | {ours:.2} s | {theirs:.2} s | {ratio:.2} |");
}

/// Processor time of the server so far in seconds (Linux): what loading cost, without the wait for the disk.
fn server_age(server: &Server) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", server.child.id())).unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks: f64 = [11, 12].iter().filter_map(|at| fields.get(*at)?.parse::<f64>().ok()).sum();
    ticks / 100.0
}

fn main() {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let rounds = words.iter().find_map(|word| word.parse().ok()).unwrap_or(3);
    let wanted = words.iter().find(|word| word.parse::<usize>().is_err());
    let commands: Vec<&str> = wanted.map_or(COMMANDS.to_vec(), |list| list.split(',').collect());
    let programs: [&[&str]; 2] = [&[env!("CARGO_BIN_EXE_redlab"), "serve"], &["redis-server", "--daemonize", "no"]];
    println!("{}; redis-benchmark with {CLIENTS} clients, medians of {rounds}", machine());
    if wanted.is_none() {
        println!("\n| what | redlab | redis-server | ratio |\n| --- | --- | --- | --- |");
        let (ours, theirs) = in_turns(15, |which| Server::start(programs[which], folder()).1.as_secs_f64() * 1000.0);
        println!("| from start to the first reply | {ours:.1} ms | {theirs:.1} ms | {:.2} |", ours / theirs);
        million(&programs);
    }
    let servers = programs.map(|program| Server::start(program, folder()).0);
    throughput(&servers, rounds, &commands);
}
