//! What a person feels: how long until the first screen stands, and from a key to its echo.
//!
//! Runs the release binary in a real pseudo-terminal at 120x40, and redis-cli beside it where that is installed.
//! `cargo bench --bench screen` prints medians in milliseconds.

use portable_pty::{CommandBuilder, PtySize, native_pty_system};
use std::io::{Read, Write};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

const STARTS: usize = 20;
const KEYS: usize = 200;
const PATIENCE: Duration = Duration::from_secs(5);

/// A program in a pseudo-terminal; what it writes arrives with the moment at which it did.
struct Running {
    child: Box<dyn portable_pty::Child + Send + Sync>,
    keyboard: Box<dyn Write + Send>,
    screen: Receiver<(Instant, Vec<u8>)>,
    started: Instant,
}

fn start(program: &str, args: &[&str], home: &std::path::Path) -> Option<Running> {
    let size = PtySize { rows: 40, cols: 120, pixel_width: 0, pixel_height: 0 };
    let pair = native_pty_system().openpty(size).expect("a pseudo-terminal");
    let mut command = CommandBuilder::new(program);
    command.args(args);
    command.env("REDLAB_HOME", home);
    command.env("TERM", "xterm-256color");
    let started = Instant::now();
    let child = pair.slave.spawn_command(command).ok()?;
    let mut reader = pair.master.try_clone_reader().expect("a reader");
    let keyboard = pair.master.take_writer().expect("a writer");
    let (sender, screen) = channel();
    std::thread::spawn(move || {
        // The pair lives as long as its reader.
        let _pair = pair.master;
        let mut buffer = [0; 64 * 1024];
        while let Ok(len) = reader.read(&mut buffer) {
            if len == 0 || sender.send((Instant::now(), buffer[..len].to_vec())).is_err() {
                break;
            }
        }
    });
    Some(Running { child, keyboard, screen, started })
}

impl Running {
    /// When `text` had been written; None if it does not come.
    fn until(&mut self, text: &str) -> Option<Instant> {
        let mut seen = Vec::new();
        loop {
            match self.screen.recv_timeout(PATIENCE) {
                Ok((at, bytes)) => {
                    seen.extend(bytes);
                    if String::from_utf8_lossy(&seen).contains(text) {
                        return Some(at);
                    }
                }
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return None,
            }
        }
    }

    /// From a key to the first byte that answers it.
    fn key(&mut self, key: &[u8]) -> Option<Duration> {
        while self.screen.recv_timeout(Duration::from_millis(15)).is_ok() {}
        let pressed = Instant::now();
        self.keyboard.write_all(key).ok()?;
        self.keyboard.flush().ok()?;
        self.screen.recv_timeout(PATIENCE).ok().map(|(at, _)| at - pressed)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn median(mut times: Vec<Duration>) -> String {
    times.sort();
    match times.get(times.len() / 2) {
        Some(time) => format!("{:8.2} ms", time.as_secs_f64() * 1000.0),
        None => "   no answer".to_owned(),
    }
}

fn measure(name: &str, program: &str, args: &[&str], prompt: &str) {
    let home = tempfile::tempdir().expect("a temporary folder");
    let mut starts = Vec::new();
    for _ in 0..STARTS {
        let Some(mut running) = start(program, args, home.path()) else {
            println!("{name:<12} not installed");
            return;
        };
        if let Some(at) = running.until(prompt) {
            starts.push(at - running.started);
        }
    }
    let mut running = start(program, args, home.path()).expect("it started before");
    running.until(prompt);
    let keys = (0..KEYS).filter_map(|at| running.key(if at % 2 == 0 { b"x" } else { b"\x7f" })).collect();
    println!("{name:<12} first screen {}   key to frame {}", median(starts), median(keys));
}

fn main() {
    measure("redlab", env!("CARGO_BIN_EXE_redlab"), &[], "Terminal");
    // Without a server behind it redis-cli still starts and prompts: that is its start-up alone.
    measure("redis-cli", "redis-cli", &["-p", "1"], "> ");
}
