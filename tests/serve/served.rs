//! A server as a process of its own.

use redlab::base::Bytes;
use redlab::resp::decode::Replies;
use redlab::resp::{Reply, encode};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// How long anything may take here.
pub const PATIENCE: Duration = Duration::from_secs(60);

pub struct Served {
    pub process: Child,
    pub port: u16,
    pub dir: tempfile::TempDir,
}

impl Served {
    pub fn start(options: &[&str]) -> Served {
        Served::start_in(tempfile::tempdir().expect("a directory"), options)
    }

    pub fn start_in(dir: tempfile::TempDir, options: &[&str]) -> Served {
        let port = free_port();
        let log = std::fs::File::create(dir.path().join("log")).expect("a file");
        let process = Command::new(env!("CARGO_BIN_EXE_redlab"))
            .args(["serve", "--port", &port.to_string(), "--dir"])
            .arg(dir.path())
            .args(options)
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("the program was built with its tests");
        let mut served = Served { process, port, dir };
        wait_for("the port", || {
            assert!(served.process.try_wait().expect("a child").is_none(), "it ended: {}", served.log());
            TcpStream::connect(("127.0.0.1", port)).is_ok()
        });
        served
    }

    /// Ends it with -9, and starts another one on its files.
    pub fn restart(mut self, options: &[&str]) -> Served {
        self.kill();
        let dir = std::mem::replace(&mut self.dir, tempfile::tempdir().expect("a directory"));
        Served::start_in(dir, options)
    }

    pub fn kill(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }

    /// As kill(1) without a number.
    pub fn terminate(&self) {
        let sent = Command::new("kill").arg(self.process.id().to_string()).status();
        assert!(sent.expect("kill is installed").success());
    }

    pub fn wait_for_end(&mut self) -> ExitStatus {
        let mut status = None;
        wait_for("its end", || {
            status = self.process.try_wait().expect("a child");
            status.is_some()
        });
        status.expect("it has ended")
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }

    pub fn client(&self) -> Client {
        Client::of(TcpStream::connect(("127.0.0.1", self.port)).expect("it listens"))
    }

    /// The value of a field of INFO.
    pub fn info(&self, field: &str) -> String {
        self.client().info(field)
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.kill();
    }
}

pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a free port").port()
}

#[track_caller]
pub fn wait_for(what: &str, mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < PATIENCE, "{what}: not in {PATIENCE:?}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

pub struct Client {
    pub stream: TcpStream,
    replies: Replies,
}

impl Client {
    pub fn of(stream: TcpStream) -> Client {
        stream.set_read_timeout(Some(PATIENCE)).expect("a positive time-out");
        Client { stream, replies: Replies::new() }
    }

    pub fn send(&mut self, line: &str) {
        let words: Vec<Bytes> = redlab::base::quote::split(line.as_bytes()).expect("balanced quotes");
        let mut bytes = Vec::new();
        encode::request(&mut bytes, &words);
        self.stream.write_all(&bytes).expect("it reads");
    }

    /// None: the connection has ended.
    pub fn receive(&mut self) -> Option<Reply> {
        let mut chunk = [0; 16 * 1024];
        loop {
            if let Some(reply) = self.replies.next_reply().expect("RESP") {
                return Some(reply);
            }
            match self.stream.read(&mut chunk) {
                Ok(0) => return None,
                Ok(len) => self.replies.feed(&chunk[..len]),
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => return None,
                Err(error) => panic!("{error}"),
            }
        }
    }

    /// As redis-cli prints it.
    #[track_caller]
    pub fn ask(&mut self, line: &str) -> String {
        self.send(line);
        let reply = self.receive().expect("an answer");
        redlab::resp::render::tty(&reply).trim_end().to_owned()
    }

    #[track_caller]
    pub fn text(&mut self, line: &str) -> String {
        self.send(line);
        match self.receive().expect("an answer") {
            Reply::Bulk(text) => text.lossy().into_owned(),
            other => panic!("{line}: {other:?}"),
        }
    }

    #[track_caller]
    pub fn info(&mut self, field: &str) -> String {
        let text = self.text("INFO everything");
        let line = text.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
        line.unwrap_or_else(|| panic!("no {field} in INFO")).to_owned()
    }
}
