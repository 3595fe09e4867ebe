//! `redlab serve`: engines on sockets, for any Redis client.
//!
//! One thread, one event loop, as in Redis: read what has come, run it, write the answers in one go. An instance gets the
//! real clock, real files below its working directory, and a seed that nobody can guess. Loopback unless told otherwise.

mod connection;
mod disk;
mod event_loop;
mod listen;

pub use disk::FileDisk;
pub use event_loop::{Node, serve};
pub use listen::{ListenError, Listener};

use crate::base::{Millis, Rng};
use crate::engine::Instance;
use crate::engine::config::Config;
use crate::engine::hooks::Hooks;
use std::hash::{BuildHasher, Hasher};
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// The origin of the stopwatch: any moment will do.
static START: LazyLock<Instant> = LazyLock::new(Instant::now);

/// Serves one instance as `args` (those of redis-server) say, until SIGTERM, SIGINT or SHUTDOWN ends it.
pub fn run(args: &[String]) -> ExitCode {
    match start(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("redlab serve: {message}");
            ExitCode::FAILURE
        }
    }
}

fn start(args: &[String]) -> Result<(), String> {
    let mut config = Config::default();
    let mut dir = PathBuf::from(".");
    for pair in args.chunks(2) {
        match pair {
            [name, value] if name == "--port" => {
                config.port = value.parse().map_err(|_| format!("bad port {value}"))?
            }
            [name, value] if name == "--dir" => dir = PathBuf::from(value),
            other => return Err(format!("cannot make sense of {}", other.join(" "))),
        }
    }
    let mut rng = Rng::new(unguessable());
    let now = Millis(SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64));
    let listener = Listener::tcp(IpAddr::V4(Ipv4Addr::LOCALHOST), config.port).map_err(|error| error.to_string())?;
    let port = listener.port().unwrap_or(config.port);
    let mut instance = Instance::new(config, now, &mut rng);
    instance.hooks = Hooks {
        stopwatch: Some(|| START.elapsed().as_micros() as u64),
        sleep: Some(|micros| std::thread::sleep(Duration::from_micros(micros))),
        rss: None,
        pid: Some(std::process::id()),
    };
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGTERM, signal_hook::consts::SIGINT] {
        signal_hook::flag::register(signal, Arc::clone(&stop)).map_err(|error| error.to_string())?;
    }
    eprintln!("Ready to accept connections tcp on port {port}");
    let node = Node { instance, disk: Box::new(FileDisk::new(dir)), rng, listeners: vec![listener] };
    serve(vec![node], &stop, &mut |_, line| eprintln!("{line}")).map_err(|error| error.to_string())
}

/// A seed from the operating system's randomness, by way of std's hasher.
fn unguessable() -> u64 {
    std::collections::hash_map::RandomState::new().build_hasher().finish()
}
