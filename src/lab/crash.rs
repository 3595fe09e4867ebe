//! Every crash point of a persistence workload: what a restart shows is what Redis promises, and nothing else.
//!
//! A workload runs once, and the disk is copied before each operation on it and after each command. Each copy is then
//! hit by each accident (the process killed; the power lost; the power lost in the middle of the kernel's writing), and
//! a server is started on what is left. The data set that it shows must be one of those the workload went through, at
//! least as new as what the persistence settings promise. A failing case names its seed, so it can be run again.

use super::disk::{self, Disk};
use crate::base::{Bytes, Millis, Rng, quote};
use crate::engine::config::{Config, file};
use crate::engine::disk::{Disk as Port, DiskError};
use crate::engine::value::Value;
use crate::engine::{ClientId, Env, Input, Instance, Output};
use crate::resp::Reply;
use std::collections::BTreeMap;

const ME: ClientId = ClientId(3);
const START: Millis = Millis(1_893_488_400_000);

/// A data set: what each key of each database holds and when it expires, readable.
type State = BTreeMap<(usize, Bytes), String>;

fn state_of(instance: &Instance, now: Millis) -> State {
    let mut state = State::new();
    for (index, db) in instance.dbs.iter().enumerate() {
        for (key, slot) in db.iter().filter(|(_, slot)| !slot.is_expired(now)) {
            state.insert((index, key.clone()), format!("{} until {:?}", readable(&slot.value), slot.expires_at()));
        }
    }
    state
}

fn readable(value: &Value) -> String {
    let mut parts: Vec<String> = match value {
        Value::String(text) => vec![format!("{:?}", text.to_bytes())],
        Value::List(list) => {
            return format!("list {:?}", list.iter().map(|item| quote::repr(item.as_ref())).collect::<Vec<_>>());
        }
        Value::Set(set) => set.iter().map(|member| quote::repr(member.as_ref())).collect(),
        Value::Hash(hash) => hash.iter().map(|(f, v)| quote::repr(f.as_ref()) + &quote::repr(v.as_ref())).collect(),
        Value::Zset(zset) => zset.iter().map(|(m, score)| format!("{} {score}", quote::repr(m.as_ref()))).collect(),
        Value::Stream(stream) => {
            let entries: Vec<_> = stream.iter().map(|entry| (entry.id, entry.fields())).collect();
            return format!("stream {} {entries:?} {:?}", stream.last_id, stream.groups());
        }
    };
    parts.sort();
    format!("{} {parts:?}", value.kind())
}

/// The disk at one moment of the workload.
struct Image {
    disk: Disk,
    now: Millis,
    /// How many commands had been answered.
    answered: usize,
    /// In the middle of a step.
    inside: bool,
    /// In the middle of a command's step: it may have happened already.
    in_flight: bool,
    /// As of which states RDB files had been begun, and how many of these saves were known to be finished.
    saves: Vec<usize>,
    finished: usize,
}

/// A disk that is copied before each operation on it.
struct Tape<'a> {
    disk: &'a mut Disk,
    copies: Vec<Disk>,
}

impl Tape<'_> {
    fn on(&mut self) -> disk::From<'_> {
        self.copies.push(self.disk.clone());
        disk::From { disk: self.disk, dir: "" }
    }
}

impl Port for Tape<'_> {
    fn read(&self, path: &str) -> Result<Vec<u8>, DiskError> {
        self.disk.read(&disk::resolve("", path)).map(<[u8]>::to_vec)
    }
    fn write(&mut self, path: &str, contents: &[u8]) -> Result<(), DiskError> {
        self.on().write(path, contents)
    }
    fn append(&mut self, path: &str, tail: &[u8]) -> Result<(), DiskError> {
        self.on().append(path, tail)
    }
    fn truncate(&mut self, path: &str, len: u64) -> Result<(), DiskError> {
        self.on().truncate(path, len)
    }
    fn fsync(&mut self, path: &str) -> Result<(), DiskError> {
        self.on().fsync(path)
    }
    fn fsync_dir(&mut self, dir: &str) -> Result<(), DiskError> {
        self.on().fsync_dir(dir)
    }
    fn rename(&mut self, from: &str, to: &str) -> Result<(), DiskError> {
        self.on().rename(from, to)
    }
    fn remove(&mut self, path: &str) -> Result<(), DiskError> {
        self.on().remove(path)
    }
    fn create_dir(&mut self, dir: &str) -> Result<(), DiskError> {
        self.on().create_dir(dir)
    }
    fn list(&self, dir: &str) -> Result<Vec<String>, DiskError> {
        disk::From { disk: &mut self.disk.clone(), dir: "" }.list(dir)
    }
    fn len(&self, path: &str) -> Option<u64> {
        self.disk.len(&disk::resolve("", path))
    }
}

fn config(text: &str) -> Config {
    let mut config = file::from_text(text.as_bytes()).expect("a test's config is right");
    config.start_in("/data");
    config
}

fn boot(text: &str, disk: &mut dyn Port, now: Millis) -> Result<Instance, Vec<String>> {
    let mut rng = Rng::new(9);
    Instance::boot(config(text), &mut Env { now, rng: &mut rng, disk }).map(|(instance, _)| *instance)
}

/// A workload being run, and all that was seen of it.
struct Run {
    instance: Instance,
    disk: Disk,
    rng: Rng,
    now: Millis,
    /// The data set after each command, the empty one first, and when that command was answered.
    states: Vec<(Millis, State)>,
    images: Vec<Image>,
    saves: Vec<usize>,
    finished: usize,
}

impl Run {
    fn start(text: &str) -> Run {
        let mut disk = Disk::new(START);
        disk.write_through = true;
        disk.create_dirs("data").expect("there is room");
        disk.write_through = false;
        let instance = boot(text, &mut disk::From { disk: &mut disk, dir: "" }, START).expect("the disk is empty");
        let mut run = Run {
            instance,
            disk,
            rng: Rng::new(5),
            now: START,
            states: vec![(START, State::new())],
            images: Vec::new(),
            saves: Vec::new(),
            finished: 0,
        };
        run.step(Input::Connect(ME));
        run
    }

    fn step(&mut self, input: Input) -> Vec<Output> {
        let mut out = Vec::new();
        let answered = self.states.len() - 1;
        let saves_before = self.instance.persist.saves;
        let in_flight = matches!(input, Input::Request(..));
        let mut tape = Tape { disk: &mut self.disk, copies: Vec::new() };
        self.instance.step(&mut Env { now: self.now, rng: &mut self.rng, disk: &mut tape }, input, &mut out);
        if self.instance.persist.saves > saves_before {
            self.saves.push(answered);
        }
        for disk in std::mem::take(&mut tape.copies) {
            let (now, saves, finished) = (self.now, self.saves.clone(), self.finished);
            self.images.push(Image { disk, now, answered, inside: true, in_flight, saves, finished });
        }
        if out.iter().any(|said| matches!(said, Output::Log(line) if line.contains("DB saved on disk"))) {
            self.finished = self.saves.len();
        }
        out
    }

    /// Takes a picture between two steps.
    fn rest(&mut self) {
        let (disk, now, answered) = (self.disk.clone(), self.now, self.states.len() - 1);
        let (saves, finished) = (self.saves.clone(), self.finished);
        self.images.push(Image { disk, now, answered, inside: false, in_flight: false, saves, finished });
    }

    fn command(&mut self, line: &str) -> Reply {
        let args = quote::split(line.as_bytes()).expect("a test's line is well formed");
        let out = self.step(Input::Request(ME, args));
        self.states.push((self.now, state_of(&self.instance, self.now)));
        self.rest();
        let reply =
            out.into_iter().find_map(|said| if let Output::Reply(_, reply) = said { Some(reply) } else { None });
        reply.expect("no command of the workload waits")
    }

    fn pass(&mut self, millis: u64) {
        for _ in 0..millis / 100 {
            self.now += Millis(100);
            self.disk.pass(self.now);
            self.step(Input::Tick);
        }
        self.rest();
    }
}

/// What the persistence settings promise.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Promise {
    /// Nothing survives.
    Nothing,
    /// What was saved; no more, no less.
    Snapshots,
    /// Everything answered survives the process; and the power, if it was answered so long ago.
    Log { lag: Millis },
}

#[derive(Clone, Copy, PartialEq, Debug)]
enum Accident {
    Kill,
    PowerCut,
    /// With this seed for how much the kernel had just written.
    TornPowerCut(u64),
}

const ACCIDENTS: [Accident; 5] = [
    Accident::Kill,
    Accident::PowerCut,
    Accident::TornPowerCut(1),
    Accident::TornPowerCut(2),
    Accident::TornPowerCut(3),
];

/// Hits every image with every accident and compares what a restart shows with the promise. How many cases there were.
fn survive(run: &Run, text: &str, promise: Promise, about: &str) -> usize {
    for (index, image) in run.images.iter().enumerate() {
        for accident in ACCIDENTS {
            let case = format!("{about}, image {index} of {}, {accident:?}", run.images.len());
            let mut disk = image.disk.clone();
            match accident {
                Accident::Kill => {}
                Accident::PowerCut => disk.power_cut(None),
                Accident::TornPowerCut(seed) => disk.power_cut(Some(&mut Rng::new(seed * 1_000_003 + index as u64))),
            }
            let restarted = boot(text, &mut disk::From { disk: &mut disk, dir: "" }, image.now)
                .unwrap_or_else(|log| panic!("{case}: it does not start: {log:#?}"));
            let found = state_of(&restarted, image.now);
            let allowed = allowed(run, image, promise, accident);
            assert!(
                allowed.iter().any(|&at| run.states[at].1 == found),
                "{case}: allowed are states {allowed:?} of {}, found is {:?}: {found:#?}",
                run.states.len() - 1,
                run.states.iter().rposition(|(_, state)| *state == found),
            );
        }
    }
    run.images.len() * ACCIDENTS.len()
}

/// The states that a restart may show.
fn allowed(run: &Run, image: &Image, promise: Promise, accident: Accident) -> Vec<usize> {
    match promise {
        Promise::Nothing => vec![0],
        Promise::Snapshots => {
            let done = image.finished.checked_sub(1).map_or(0, |last| image.saves[last]);
            // In the middle of a step a save that was begun may have reached the disk already.
            let pending = image.saves[image.finished..].iter().copied().filter(|_| image.inside);
            [done].into_iter().chain(pending).collect()
        }
        Promise::Log { lag } => {
            let newest = image.answered + usize::from(image.in_flight);
            let old_enough = |at: &usize| run.states[*at].0 + lag <= image.now;
            let oldest = match accident {
                Accident::Kill => image.answered,
                _ if lag == Millis::ZERO => image.answered,
                _ => (0..=image.answered).rfind(old_enough).unwrap_or(0),
            };
            (oldest..=newest).collect()
        }
    }
}

/// Something that changes the data set, drawn by `rng`.
fn change(rng: &mut Rng) -> String {
    let (key, n) = (rng.below(6), rng.below(1000));
    match rng.below(12) {
        0..=2 => format!("SET s:{key} value-{n}"),
        3 => format!("SET s:{key} value-{n} EX 100000"),
        4 => format!("INCRBY n:{key} {n}"),
        5 => format!("RPUSH l:{key} a-{n} b-{n}"),
        6 => format!("LPOP l:{key}"),
        7 => format!("HSET h:{key} f{} {n}", rng.below(3)),
        8 => format!("SADD t:{key} m{n}"),
        9 => format!("ZADD z:{key} {n} m{}", rng.below(3)),
        10 => format!("DEL s:{key} l:{key}"),
        _ => format!("PEXPIREAT s:{key} {}", START.0 + 50_000_000),
    }
}

/// Changes with pauses; now and then `special` commands, transactions and other databases.
fn workload(run: &mut Run, rng: &mut Rng, commands: usize, special: &[&str]) {
    for _ in 0..commands {
        match rng.below(14) {
            0 => run.pass(100 * rng.below(4) as u64),
            1 => run.pass(1500),
            2 => drop(run.command(&format!("SELECT {}", rng.below(3)))),
            3 => {
                run.command("MULTI");
                (0..1 + rng.below(4)).for_each(|_| drop(run.command(&change(rng))));
                assert!(!run.command("EXEC").is_error());
            }
            4 if !special.is_empty() => drop(run.command(special[rng.below(special.len())])),
            _ => drop(run.command(&change(rng))),
        }
    }
}

fn enumerate(text: &str, promise: Promise, special: &[&str], seeds: std::ops::Range<u64>) {
    let mut cases = 0;
    for seed in seeds {
        let mut rng = Rng::new(seed);
        let mut run = Run::start(text);
        workload(&mut run, &mut rng, 40, special);
        assert!(run.states.last().expect("there is a first").1.len() > 3, "seed {seed}: too little happened");
        cases += survive(&run, text, promise, &format!("seed {seed}"));
    }
    assert!(cases > 300, "only {cases} cases");
}

#[test]
fn without_persistence_nothing_survives() {
    enumerate("save \"\"", Promise::Nothing, &[], 0..2);
}

#[test]
fn an_rdb_file_is_whole_or_the_one_before_at_every_point_of_a_save() {
    enumerate("save \"\"", Promise::Snapshots, &["SAVE", "BGSAVE"], 0..6);
}

#[test]
fn save_points_save_by_themselves() {
    enumerate("save 2 3", Promise::Snapshots, &[], 20..24);
}

#[test]
fn fsync_always_loses_nothing_that_was_answered() {
    let text = "save \"\"\nappendonly yes\nappendfsync always";
    enumerate(text, Promise::Log { lag: Millis::ZERO }, &["BGREWRITEAOF"], 0..5);
}

#[test]
fn fsync_everysec_loses_two_seconds_at_most() {
    let text = "save \"\"\nappendonly yes\nappendfsync everysec";
    enumerate(text, Promise::Log { lag: Millis(2000) }, &["BGREWRITEAOF"], 0..5);
}

#[test]
fn fsync_no_loses_what_the_kernel_has_not_written_back() {
    let text = "save \"\"\nappendonly yes\nappendfsync no";
    enumerate(text, Promise::Log { lag: Millis(31_000) }, &["BGREWRITEAOF"], 0..3);
}

#[test]
fn a_rewrite_without_rdb_preamble_keeps_the_promise_too() {
    let text = "save \"\"\nappendonly yes\nappendfsync always\naof-use-rdb-preamble no";
    enumerate(text, Promise::Log { lag: Millis::ZERO }, &["BGREWRITEAOF"], 10..13);
}
