//! Long work, once: saving and loading 200 000 keys as RDB and as AOF, in memory, and the proof of the bundled course.
//!
//! `cargo bench --bench files` prints seconds and keys a second. Real disks add their own time to the files.

use redlab::base::{Bytes, Millis, Rng};
use redlab::engine::config::Config;
use redlab::engine::disk::{Disk, MemoryDisk};
use redlab::engine::{ClientId, Env, Input, Instance, Outbox};
use redlab::lesson::Course;
use redlab::{backend, proof};
use std::time::Instant;

const KEYS: usize = 200_000;
const CLIENT: ClientId = ClientId(1);

fn send(instance: &mut Instance, disk: &mut MemoryDisk, rng: &mut Rng, line: &str) {
    let args = line.split(' ').map(Bytes::from).collect();
    let mut out = Outbox::new();
    instance.step(&mut Env { now: Millis(1), rng, disk }, Input::Request(CLIENT, args), &mut out);
}

fn config(aof: bool) -> Config {
    let mut config = Config::default();
    config.set("save", "").expect("a parameter");
    config.set("appendonly", if aof { "yes" } else { "no" }).expect("a parameter");
    config
}

fn report(what: &str, started: Instant, count: usize, unit: &str) {
    let seconds = started.elapsed().as_secs_f64();
    println!("{what:<28} {seconds:8.3} s   {:10.0} {unit}/s", count as f64 / seconds);
}

/// Fills, saves and starts again from what was saved.
fn files(name: &str, aof: bool) {
    let (mut rng, mut disk) = (Rng::new(1), MemoryDisk::default());
    let mut env = Env { now: Millis(1), rng: &mut rng, disk: &mut disk };
    let (mut instance, _) = Instance::boot(config(aof), &mut env).expect("an empty disk loads");
    instance.step(&mut env, Input::Connect(CLIENT), &mut Outbox::new());
    let started = Instant::now();
    for key in 0..KEYS {
        send(&mut instance, &mut disk, &mut rng, &format!("SET key:{key:012} value:{key}"));
    }
    report(&format!("{name}: write"), started, KEYS, "keys");
    if !aof {
        let started = Instant::now();
        send(&mut instance, &mut disk, &mut rng, "SAVE");
        report(&format!("{name}: save"), started, KEYS, "keys");
        assert!(disk.len("./dump.rdb").or(disk.len("dump.rdb")).is_some(), "SAVE wrote {:?}", disk.files.keys());
    }
    let started = Instant::now();
    let env = &mut Env { now: Millis(1), rng: &mut rng, disk: &mut disk };
    let (instance, _) = Instance::boot(config(aof), env).expect("what was saved loads");
    report(&format!("{name}: load"), started, KEYS, "keys");
    assert_eq!(instance.dbs[0].len(), KEYS);
}

fn main() {
    files("RDB", false);
    files("AOF", true);
    let course = Course::bundled();
    let (started, mut tries) = (Instant::now(), 0);
    let mut taught = Vec::new();
    for lesson in course.lessons() {
        let proved = proof::lesson(lesson, &taught, &backend::lesson::embedded);
        assert!(proved.faults.is_empty(), "{}: {:?}", lesson.id, proved.faults);
        tries += proved.played;
        taught.extend(lesson.teaches.iter().cloned());
    }
    report("course check, one thread", started, tries, "tries");
}
