//! A machine of real redis-server processes behind the port `Backend`: what lessons are typed at to compare them.
//!
//! Its home is a temporary folder. A lesson's ports are those of other programs perhaps, so each is a free one here; the
//! terminals do not see that. Only nodes of a cluster, which tell each other's ports, get the lesson's own. Time is the real
//! one, and `advance` waits. The power cannot be cut, nothing can be copied.

use redlab::backend::Remote;
use redlab::backend::lesson::topology;
use redlab::base::{Bytes, Millis};
use redlab::lesson;
use redlab::port::{Backend, ConnectionId, Incoming, Signal, Spawned};
use redlab::snapshot::{self, State};
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A command that is not answered for so long is taken for one that blocks.
const PATIENCE: Duration = Duration::from_millis(500);

/// How long nodes that begin with a whole nodes.conf take until they have found each other and take writes.
const SETTLED: Millis = Millis(8000);

pub struct Machine {
    home: tempfile::TempDir,
    remote: Remote,
    /// The real port behind each of the lesson's.
    ports: BTreeMap<u16, u16>,
    /// The lesson's ports are the real ones.
    own_ports: bool,
    processes: Vec<Process>,
    /// What came before somebody asked for it.
    inbox: BTreeMap<ConnectionId, Vec<Incoming>>,
}

struct Process {
    port: u16,
    child: Child,
    running: bool,
}

/// Whether a world's servers talk to each other.
pub fn is_cluster(world: &lesson::World) -> bool {
    world.instances.iter().any(|instance| instance.conf.contains("cluster-enabled"))
}

impl Machine {
    /// With the files of a lesson's world, and its servers running.
    pub fn new(world: &lesson::World) -> Machine {
        let home = tempfile::tempdir().expect("a temporary folder");
        let (ports, processes, inbox) = Default::default();
        let own_ports = is_cluster(world);
        let mut machine = Machine { home, remote: Remote::new(), ports, own_ports, processes, inbox };
        for (path, contents) in &topology(world).files {
            let path = machine.path(path);
            std::fs::create_dir_all(path.parent().expect("below the home")).expect("a new folder");
            std::fs::write(path, contents).expect("a new folder has room");
        }
        for instance in &world.instances {
            machine.write_file(&instance.file, instance.conf.as_bytes()).expect("a new folder has room");
        }
        for instance in &world.instances {
            let dir = instance.conf.lines().find_map(|line| line.strip_prefix("dir "));
            if let Some(dir) = dir {
                std::fs::create_dir_all(machine.path(dir)).expect("a new folder");
            }
            if !instance.started {
                continue;
            }
            let spawned = machine.spawn(std::slice::from_ref(&instance.file));
            assert!(spawned.pid.is_some(), "redis-server does not start with {}: {:?}", instance.file, spawned.log);
        }
        if world.cluster.is_some() {
            machine.advance(SETTLED);
        }
        machine
    }

    fn path(&self, path: &str) -> PathBuf {
        self.home.path().join(path.trim_start_matches("/home/lab/").trim_start_matches('/'))
    }

    /// Notices processes that have ended by themselves.
    fn reap(&mut self) {
        for process in self.processes.iter_mut().filter(|process| process.running) {
            process.running = !matches!(process.child.try_wait(), Ok(Some(_)));
        }
    }

    fn wait_for(&mut self, pid: u32) {
        let begin = Instant::now();
        while begin.elapsed() < Duration::from_secs(5) {
            self.reap();
            if !self.processes.iter().any(|process| process.running && process.child.id() == pid) {
                return;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        for process in &mut self.processes {
            // It may have ended already; there is nothing to save.
            let _ = process.child.kill();
            let _ = process.child.wait();
        }
    }
}

/// Err in the words that coreutils use.
fn plain<T>(result: std::io::Result<T>) -> Result<T, String> {
    result.map_err(|error| error.to_string().split(" (os error").next().unwrap_or_default().to_owned())
}

impl Backend for Machine {
    fn now(&self) -> Millis {
        self.remote.now()
    }

    fn advance(&mut self, span: Millis) {
        assert!(
            span <= super::lessons::LONG_WAIT_MAX,
            "{span:?} is too long to wait for; the exercise should be skipped"
        );
        std::thread::sleep(Duration::from_millis(span.0));
    }

    fn connect(&mut self, port: u16, terminal: &str) -> Result<ConnectionId, String> {
        let refused = format!("Could not connect to Redis at 127.0.0.1:{port}: Connection refused");
        let real = self.ports.get(&port).ok_or(refused.clone())?;
        self.remote.connect(*real, terminal).map_err(|_| refused)
    }

    fn send(&mut self, connection: ConnectionId, args: Vec<Bytes>) {
        self.remote.send(connection, args);
        let begin = Instant::now();
        let inbox = self.inbox.entry(connection).or_default();
        while begin.elapsed() < PATIENCE {
            let came = self.remote.receive(connection);
            let answered = came.iter().any(|each| !matches!(each, Incoming::Push(_)));
            inbox.extend(came);
            if answered {
                return;
            }
        }
    }

    fn receive(&mut self, connection: ConnectionId) -> Vec<Incoming> {
        let mut all = self.inbox.remove(&connection).unwrap_or_default();
        all.extend(self.remote.receive(connection));
        all
    }

    fn hang_up(&mut self, connection: ConnectionId) {
        self.remote.hang_up(connection);
    }

    fn spawn(&mut self, argv: &[String]) -> Spawned {
        self.reap();
        let mut args: Vec<String> = argv.to_vec();
        let file = args.first().filter(|first| !first.starts_with("--")).cloned();
        let conf = file.as_ref().and_then(|file| std::fs::read_to_string(self.path(file)).ok()).unwrap_or_default();
        let option = args.iter().position(|arg| arg == "--port");
        let port = match option {
            Some(at) => args.drain(at..(at + 2).min(args.len())).nth(1),
            None => conf.lines().rev().find_map(|line| Some(line.strip_prefix("port ")?.trim().to_owned())),
        };
        let port: u16 = port.and_then(|port| port.parse().ok()).unwrap_or(6379);
        // CONFIG REWRITE wrote the real one.
        let port = self.ports.iter().find(|(_, real)| **real == port).map_or(port, |(port, _)| *port);
        // After SHUTDOWN the connection is gone a moment before the process is.
        let ending = self.processes.iter().find(|process| process.running && process.port == port);
        let ending = ending.map(|process| process.child.id()).filter(|_| !is_ready(self.ports[&port]));
        if let Some(pid) = ending {
            self.wait_for(pid);
        }
        if self.processes.iter().any(|process| process.running && process.port == port) {
            return Spawned { pid: None, log: vec![String::from("Failed listening on port")] };
        }
        let own = self.own_ports;
        let real = *self.ports.entry(port).or_insert_with(|| {
            if own {
                return port;
            }
            let socket = TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr());
            socket.expect("a free port").port()
        });
        let child = Command::new(crate::servers::program())
            .args(&args)
            .args(["--port", &real.to_string()])
            .current_dir(self.home.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("it was looked for before");
        let pid = child.id();
        self.processes.push(Process { port, child, running: true });
        for _ in 0..500 {
            self.reap();
            if !self.processes.last().is_some_and(|process| process.running) {
                return Spawned::default();
            }
            if is_ready(real) {
                return Spawned { pid: Some(pid), log: Vec::new() };
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Spawned::default()
    }

    fn signal(&mut self, pid: u32, signal: Signal) -> Result<(), String> {
        self.reap();
        let gone = format!("kill: ({pid}) - No such process");
        let running = self.processes.iter_mut().find(|process| process.running && process.child.id() == pid);
        let process = running.ok_or(gone)?;
        match signal {
            Signal::Kill => drop(process.child.kill()),
            Signal::Term => drop(Command::new("kill").arg(pid.to_string()).status()),
        }
        self.wait_for(pid);
        Ok(())
    }

    fn power_cut(&mut self) {
        panic!("nobody can cut the power of this machine; the exercise should be skipped");
    }

    fn read_file(&self, path: &str) -> Result<Vec<u8>, String> {
        plain(std::fs::read(self.path(path)))
    }

    fn write_file(&mut self, path: &str, contents: &[u8]) -> Result<(), String> {
        plain(std::fs::write(self.path(path), contents))
    }

    fn remove_file(&mut self, path: &str) -> Result<(), String> {
        let full = self.path(path);
        plain(if path.ends_with('/') { std::fs::remove_dir_all(full) } else { std::fs::remove_file(full) })
    }

    fn make_dir(&mut self, path: &str) -> Result<(), String> {
        plain(std::fs::create_dir(self.path(path)))
    }

    fn list_files(&self, dir: &str) -> Vec<String> {
        let mut found = Vec::new();
        list(&self.path(dir), "", &mut found);
        found.sort();
        found
    }

    fn snapshot(&self) -> snapshot::World {
        let instances = self.processes.iter().map(|process| snapshot::Instance {
            name: process.port.to_string(),
            port: process.port,
            pid: process.child.id(),
            state: if process.running { State::Running } else { State::Stopped },
            ..snapshot::Instance::default()
        });
        snapshot::World { now: self.now(), instances: instances.collect(), ..snapshot::World::default() }
    }

    fn mark(&mut self) {
        self.reap();
    }
}

/// Whether it answers and has loaded its data.
fn is_ready(port: u16) -> bool {
    let asked = TcpStream::connect(("127.0.0.1", port)).and_then(|mut stream| {
        let mut answer = [0; 64];
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.write_all(b"PING\r\n")?;
        let len = stream.read(&mut answer)?;
        Ok(len > 0 && !answer.starts_with(b"-LOADING"))
    });
    asked.unwrap_or(false)
}

fn list(dir: &std::path::Path, prefix: &str, found: &mut Vec<String>) {
    let Ok(entries) = std::fs::read_dir(dir) else { return };
    let before = found.len();
    for entry in entries.flatten() {
        let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
        match entry.path().is_dir() {
            true => list(&entry.path(), &format!("{name}/"), found),
            false => found.push(name),
        }
    }
    if found.len() == before && !prefix.is_empty() {
        found.push(prefix.to_owned());
    }
}
