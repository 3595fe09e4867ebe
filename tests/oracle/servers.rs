//! The two servers that are compared: an engine in this process, and a redis-server on a free loopback port.

use redlab::base::{Bytes, Millis, Rng};
use redlab::engine::config::{Config, file};
use redlab::engine::disk::MemoryDisk;
use redlab::engine::{ClientId, Env, Input, Instance, Output};
use redlab::resp::decode::Replies;
use redlab::resp::{Protocol, Reply, encode};
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Something that takes a command at a named connection.
pub trait Server {
    fn request(&mut self, connection: &str, args: &[Bytes]) -> Reply;

    /// Lets some time pass.
    fn rest(&mut self) {
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// An instance on the wall clock, so that both servers see the same time.
pub struct Engine {
    instance: Instance,
    rng: Rng,
    disk: MemoryDisk,
    connections: BTreeMap<String, ClientId>,
    out: Vec<Output>,
}

impl Engine {
    pub fn new(seed: u64) -> Engine {
        let mut rng = Rng::new(seed);
        let instance = Instance::new(Config::default(), now(), &mut rng);
        Engine { instance, rng, disk: MemoryDisk::default(), connections: BTreeMap::new(), out: Vec::new() }
    }

    /// Starts on what is on `disk`; with the lines that it logs. Err: it does not start.
    pub fn boot(config: &str, mut disk: MemoryDisk) -> Result<(Engine, Vec<String>), Vec<String>> {
        let mut rng = Rng::new(1);
        let config = file::from_text(config.as_bytes())?;
        let mut env = Env { now: now(), rng: &mut rng, disk: &mut disk };
        let (instance, log) = Instance::boot(config, &mut env)?;
        let (connections, out) = (BTreeMap::new(), Vec::new());
        Ok((Engine { instance: *instance, rng, disk, connections, out }, log))
    }

    pub fn disk(&self) -> &MemoryDisk {
        &self.disk
    }

    /// Lets whatever works in the background come to its end.
    pub fn settle(&mut self) {
        for _ in 0..100 {
            std::thread::sleep(Duration::from_millis(10));
            self.step(Input::Tick);
            if self.instance.persist.child.is_none() {
                return;
            }
        }
        panic!("a background process does not end");
    }

    fn step(&mut self, input: Input) {
        let mut env = Env { now: now(), rng: &mut self.rng, disk: &mut self.disk };
        self.instance.step(&mut env, input, &mut self.out);
        // Nobody can be reached from here.
        for at in 0..self.out.len() {
            if let Output::Dial(link, _) = &self.out[at] {
                let refused = Input::LinkDown(*link);
                self.instance.step(&mut env, refused, &mut self.out);
            }
        }
    }
}

fn now() -> Millis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock is past 1970");
    Millis(since.as_millis() as u64)
}

impl Server for Engine {
    fn rest(&mut self) {
        std::thread::sleep(Duration::from_millis(100));
        self.step(Input::Tick);
    }

    fn request(&mut self, connection: &str, args: &[Bytes]) -> Reply {
        let next = ClientId(self.connections.len() as u64 + 1);
        let known = self.connections.get(connection).copied();
        let id = known.unwrap_or_else(|| {
            self.connections.insert(connection.to_owned(), next);
            self.step(Input::Connect(next));
            next
        });
        self.out.clear();
        self.step(Input::Request(id, args.to_vec()));
        let replies = self.out.drain(..).find_map(|output| match output {
            Output::Reply(to, reply) if to == id => Some(reply),
            _ => None,
        });
        let protocol = self.instance.clients.get(&id).map_or(Protocol::Resp2, |client| client.protocol);
        replies.map_or(Reply::None, |reply| over_the_wire(&reply, protocol))
    }
}

/// What a client makes of `reply`: under RESP2 maps are flat, doubles are strings.
fn over_the_wire(reply: &Reply, protocol: Protocol) -> Reply {
    let mut bytes = Vec::new();
    encode::reply(&mut bytes, reply, protocol);
    let mut replies = Replies::new();
    replies.feed(&bytes);
    replies.next_reply().expect("our own encoding is RESP").unwrap_or(Reply::None)
}

/// The program to compare with: `REDLAB_REDIS_SERVER`, or the installed one.
pub fn program() -> String {
    std::env::var("REDLAB_REDIS_SERVER").unwrap_or_else(|_| String::from("redis-server"))
}

/// A real redis-server, ended when this is dropped.
pub struct Redis {
    process: Child,
    port: u16,
    connections: BTreeMap<String, (TcpStream, Replies)>,
    /// None once it was handed on.
    dir: Option<tempfile::TempDir>,
}

impl Redis {
    /// None, with a line that says so, where redis-server is not installed.
    pub fn start() -> Option<Redis> {
        Redis::start_in(tempfile::tempdir().expect("a temporary folder"), &["--save", ""])
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// On the files in `dir`, which is removed in the end.
    pub fn start_in(dir: tempfile::TempDir, options: &[&str]) -> Option<Redis> {
        Redis::start_program(&program(), dir, options)
    }

    /// Another redis-server than the one that is installed.
    pub fn start_program(program: &str, dir: tempfile::TempDir, options: &[&str]) -> Option<Redis> {
        let mut words = vec!["--dir", dir.path().to_str().expect("a plain path")];
        words.extend(options);
        let words: Vec<String> = words.into_iter().map(str::to_owned).collect();
        Redis::launch(program, dir, &words)
    }

    /// With the config file `file` in `dir`, whose relative paths begin there; only the port is another.
    pub fn start_with(dir: tempfile::TempDir, file: &str) -> Option<Redis> {
        Redis::launch(&program(), dir, &[file.to_owned()])
    }

    fn launch(program: &str, dir: tempfile::TempDir, words: &[String]) -> Option<Redis> {
        let port = free_port();
        let process = Command::new(program)
            .args(words)
            .args(["--port", &port.to_string()])
            .current_dir(dir.path())
            .stdout(Stdio::null())
            .spawn();
        let Ok(process) = process else {
            let required = std::env::var_os("REDLAB_REQUIRE_ORACLE").is_some();
            assert!(!required, "redis-server is not installed, and REDLAB_REQUIRE_ORACLE is set");
            eprintln!("SKIPPED: redis-server is not installed");
            return None;
        };
        let mut redis = Redis { process, port, connections: BTreeMap::new(), dir: Some(dir) };
        let ready = |redis: &mut Redis| {
            // While it loads its data it answers, but with an error.
            let open = TcpStream::connect(("127.0.0.1", port)).is_ok();
            open && !redis.request("", &[Bytes::from("PING")]).is_error()
        };
        for _ in 0..200 {
            if ready(&mut redis) {
                break;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        assert_eq!(redis.request("", &[Bytes::from("PING")]), Reply::status("PONG"), "redis-server on port {port}");
        Some(redis)
    }

    /// What it has on disk.
    pub fn disk(&self) -> MemoryDisk {
        let mut disk = MemoryDisk::default();
        read_dir(self.dir(), "", &mut disk);
        disk
    }

    pub fn dir(&self) -> &Path {
        self.dir.as_ref().expect("it runs in its folder").path()
    }

    /// kill -9; the folder, as the process has left it.
    pub fn crash(mut self) -> tempfile::TempDir {
        self.process.kill().expect("it was running");
        self.process.wait().expect("it was ours");
        self.dir.take().expect("it runs in its folder")
    }
}

pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a free port").port()
}

/// Waits until somebody listens there.
#[track_caller]
pub fn wait_for_port(port: u16) {
    let start = Instant::now();
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(start.elapsed() < Duration::from_secs(20), "nobody listens on port {port}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn read_dir(dir: &Path, prefix: &str, disk: &mut MemoryDisk) {
    for entry in std::fs::read_dir(dir).expect("the folder is there") {
        let entry = entry.expect("it can be read");
        let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
        if entry.path().is_dir() {
            read_dir(&entry.path(), &format!("{name}/"), disk);
        } else if let Ok(bytes) = std::fs::read(entry.path()) {
            disk.files.insert(name, bytes);
        }
    }
}

/// The files of `disk` in a new folder of the real one.
pub fn real_dir(disk: &MemoryDisk) -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a temporary folder");
    for (name, bytes) in &disk.files {
        let path = dir.path().join(name);
        std::fs::create_dir_all(path.parent().expect("it is below the folder")).expect("a new folder");
        std::fs::write(path, bytes).expect("there is room");
    }
    dir
}

impl Server for Redis {
    fn request(&mut self, connection: &str, args: &[Bytes]) -> Reply {
        let port = self.port;
        let (stream, replies) = self.connections.entry(connection.to_owned()).or_insert_with(|| {
            let stream = TcpStream::connect(("127.0.0.1", port)).expect("redis-server listens");
            stream.set_read_timeout(Some(Duration::from_secs(10))).expect("a positive time-out");
            (stream, Replies::new())
        });
        let mut bytes = Vec::new();
        encode::request(&mut bytes, args);
        stream.write_all(&bytes).expect("redis-server reads");
        let mut buffer = [0; 16 * 1024];
        loop {
            if let Some(reply) = replies.next_reply().expect("redis-server speaks RESP") {
                return reply;
            }
            let len = stream.read(&mut buffer).expect("redis-server answers within 10 s");
            assert!(len > 0, "redis-server closed the connection after {args:?}");
            replies.feed(&buffer[..len]);
        }
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        // It may have ended already; there is nothing to save.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
