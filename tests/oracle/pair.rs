//! Lesson 4.4 with real processes: a cache and a session store, run with the lesson's own config files, leave after an accident
//! exactly what the lab's pair leaves.
//!
//! A real power cut cannot be made here. What stands in: both processes are killed with -9, and then the session store's log is
//! cut to what the last fsync had covered, which is all that a platter is sure to have. With `everysec` the first write after a
//! quiet time is synced at once, and what follows within the same second is not; so the log is cut behind the first login of
//! the last second. The lab decides by itself, from its model of the page cache, what its platter keeps.

use super::servers::{Redis, Server};
use redlab::backend::lesson::embedded;
use redlab::base::{Bytes, Millis};
use redlab::lesson::{Course, Lesson};
use redlab::port::{Backend, Incoming, Signal};
use redlab::resp::Reply;
use redlab::snapshot::{State, What};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

const STORES: [&str; 2] = ["cache", "sessions"];

#[derive(Clone, Copy, Debug, PartialEq)]
enum Accident {
    PowerCut,
    Kill9,
    /// The log ends in the middle of a command.
    TornTail,
}

/// Both servers of the lesson, in the lab or outside.
trait Pair {
    fn ask(&mut self, store: &str, words: &[&str]) -> Reply;
    fn wait(&mut self, span: Millis);
    /// Kills both; `synced`: what the log held when it was last synced, for those who cannot cut the power.
    fn accident(&mut self, accident: Accident, synced: u64);
    /// The length of the session store's incremental log.
    fn log_len(&self) -> u64;
    /// From the same files.
    fn start(&mut self);
}

fn lesson() -> Arc<Lesson> {
    Course::bundled().lesson("twins.sessions").expect("lesson 4.4 is in the course").clone()
}

// -- the lab -----------------------------------------------------------------------------------------------------------

struct Lab(Box<dyn Backend>);

impl Lab {
    fn port(&self, store: &str) -> u16 {
        self.0.snapshot().instances.iter().find(|each| each.name == store).expect("both are in the lesson").port
    }

    fn log_path(&self) -> String {
        let paths = self.0.list_files("sessions/appendonlydir");
        let name = paths.iter().find(|path| path.ends_with(".incr.aof")).expect("the log is on");
        format!("sessions/appendonlydir/{name}")
    }
}

impl Pair for Lab {
    fn ask(&mut self, store: &str, words: &[&str]) -> Reply {
        let port = self.port(store);
        let connection = self.0.connect(port, "").expect("it runs");
        self.0.send(connection, words.iter().map(|word| Bytes::from(*word)).collect());
        let came = self.0.receive(connection).pop();
        self.0.hang_up(connection);
        match came {
            Some(Incoming::Reply(reply)) => reply,
            other => panic!("{words:?} was answered with {other:?}"),
        }
    }

    fn wait(&mut self, span: Millis) {
        self.0.advance(span);
    }

    fn accident(&mut self, accident: Accident, _: u64) {
        if accident == Accident::PowerCut {
            return self.0.power_cut();
        }
        for instance in self.0.snapshot().instances {
            self.0.signal(instance.pid, Signal::Kill).expect("it runs");
        }
        if accident == Accident::TornTail {
            let path = self.log_path();
            let mut log = self.0.read_file(&path).expect("just listed");
            log.truncate(log.len() - 5);
            self.0.write_file(&path, &log).expect("there is room");
        }
    }

    fn log_len(&self) -> u64 {
        self.0.read_file(&self.log_path()).expect("just listed").len() as u64
    }

    fn start(&mut self) {
        for store in STORES {
            self.0.spawn(&[format!("{store}.conf")]);
        }
        self.0.advance(Millis(500));
        assert!(self.0.snapshot().instances.iter().all(|each| each.state == State::Running));
    }
}

// -- real processes ----------------------------------------------------------------------------------------------------

struct Real {
    running: Vec<Redis>,
    folders: Vec<tempfile::TempDir>,
}

impl Real {
    /// None where redis-server is not installed.
    fn new() -> Option<Real> {
        let mut real = Real { running: Vec::new(), folders: Vec::new() };
        for store in STORES {
            let folder = tempfile::tempdir().expect("a temporary folder");
            let lesson = lesson();
            let instance = lesson.world.instances.iter().find(|each| each.name == store).expect("both are there");
            std::fs::write(folder.path().join(&instance.file), &instance.conf).expect("there is room");
            std::fs::create_dir(folder.path().join(store)).expect("a new folder");
            real.folders.push(folder);
        }
        real.begin().then_some(real)
    }

    fn begin(&mut self) -> bool {
        for (folder, store) in std::mem::take(&mut self.folders).into_iter().zip(STORES) {
            self.running.extend(Redis::start_with(folder, &format!("{store}.conf")));
        }
        self.running.len() == STORES.len()
    }
}

/// The session store's incremental log, below its folder.
fn log_in(folder: &std::path::Path) -> PathBuf {
    let dir = folder.join("sessions/appendonlydir");
    let mut paths = std::fs::read_dir(dir).expect("the log is on").map(|entry| entry.expect("readable").path());
    paths.find(|path| path.to_string_lossy().ends_with(".incr.aof")).expect("the log is on")
}

impl Pair for Real {
    fn ask(&mut self, store: &str, words: &[&str]) -> Reply {
        let at = STORES.iter().position(|each| *each == store).expect("one of both");
        self.running[at].request("", &words.iter().map(|word| Bytes::from(*word)).collect::<Vec<_>>())
    }

    fn wait(&mut self, span: Millis) {
        std::thread::sleep(Duration::from_millis(span.0));
    }

    fn accident(&mut self, accident: Accident, synced: u64) {
        self.folders = std::mem::take(&mut self.running).into_iter().map(Redis::crash).collect();
        let path = log_in(self.folders[1].path());
        let log = std::fs::read(&path).expect("the log is there");
        let keep = match accident {
            Accident::Kill9 => log.len(),
            Accident::PowerCut => synced as usize,
            Accident::TornTail => log.len() - 5,
        };
        std::fs::write(&path, &log[..keep]).expect("there is room");
    }

    fn log_len(&self) -> u64 {
        std::fs::metadata(log_in(self.running[1].dir())).expect("the log is there").len()
    }

    fn start(&mut self) {
        assert!(self.begin());
    }
}

// -- the story ---------------------------------------------------------------------------------------------------------

/// What is left on each server, with the commands of the lesson's first exercise and a morning's customers before.
fn left_after(pair: &mut dyn Pair, accident: Accident) -> Vec<String> {
    let settings = ["CONFIG", "SET", "maxmemory-policy", "noeviction", "appendonly", "yes", "appendfsync", "everysec"];
    assert_eq!(pair.ask("sessions", &settings), Reply::OK);
    assert_eq!(pair.ask("sessions", &["CONFIG", "REWRITE"]), Reply::OK);
    pair.wait(Millis(1500));
    let visitor = |pair: &mut dyn Pair, n: usize| {
        let (session, page) = (format!("session:{n}"), format!("cache:page:{n}"));
        pair.ask("sessions", &["SET", &session, &format!("user:{n}"), "EX", "1800"]);
        pair.ask("cache", &["SET", &page, "<html>", "EX", "600"]);
    };
    (0..30).for_each(|n| visitor(pair, n));
    pair.ask("sessions", &["DEL", "session:7"]);
    // A quiet time: everything so far is synced, and the next write will be, too.
    pair.wait(Millis(2500));
    visitor(pair, 30);
    pair.wait(Millis(200));
    let synced = pair.log_len();
    (31..35).for_each(|n| visitor(pair, n));
    pair.accident(accident, synced);
    pair.start();
    let mut left = Vec::new();
    for store in STORES {
        let Reply::Array(keys) = pair.ask(store, &["KEYS", "*"]) else { panic!("KEYS answers with an array") };
        for key in keys {
            let Reply::Bulk(name) = key else { panic!("a key is a string") };
            let name = name.lossy().into_owned();
            let value = pair.ask(store, &["GET", &name]);
            let Reply::Int(ttl) = pair.ask(store, &["TTL", &name]) else { panic!("TTL answers with a number") };
            // Seconds differ, hours do not.
            left.push(format!("{store} {name} {value:?} {}", if ttl > 0 { "expires" } else { "stays" }));
        }
        for parameter in ["appendonly", "maxmemory-policy", "save"] {
            left.push(format!("{store} {:?}", pair.ask(store, &["CONFIG", "GET", parameter])));
        }
    }
    left.sort();
    left
}

#[test]
fn a_pair_leaves_after_an_accident_what_real_processes_leave() {
    for (accident, sessions) in [(Accident::PowerCut, 30), (Accident::Kill9, 34), (Accident::TornTail, 33)] {
        let Some(mut real) = Real::new() else { return };
        let (expected, found) = (left_after(&mut real, accident), {
            let mut lab = Lab(embedded(&lesson().world));
            let left = left_after(&mut lab, accident);
            let cut = lab.0.events_since(0).iter().any(|event| event.what == What::PowerCut);
            assert_eq!(cut, accident == Accident::PowerCut);
            left
        });
        assert_eq!(found, expected, "{accident:?}");
        let count = |prefix: &str| found.iter().filter(|line| line.starts_with(prefix)).count();
        assert_eq!((count("sessions session:"), count("cache cache:")), (sessions, 0), "{accident:?}: {found:#?}");
    }
}
