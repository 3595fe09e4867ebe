//! Runs one target on its corpus and on what is made from it, and says which input broke it.

use crate::mutate;
use redlab::base::Rng;
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// One parser, or anything else that takes bytes.
pub struct Target {
    /// Its folder below `corpus`.
    pub name: &'static str,
    /// What mutations begin with, besides the corpus.
    pub seeds: fn() -> Vec<Vec<u8>>,
    /// Words of the format, which chance alone would not find.
    pub words: &'static [&'static str],
    /// Takes an input; panics if something that must hold does not.
    pub run: fn(&[u8]) -> Went,
}

/// What became of an input.
#[derive(Clone, Copy, Default)]
pub struct Went {
    /// It was understood, wholly or as far as it went: a target that refuses nearly everything looks at nothing.
    taken: bool,
    /// Inputs that go a new way are mutated further.
    way: u64,
}

pub fn went(taken: bool, way: impl Hash) -> Went {
    Went { taken, way: number_of(way) }
}

/// Inputs of a plain `cargo test`, for each target.
const FEW: u64 = 400;
/// An input that takes longer is reported: nothing here needs a hundredth of it.
const TOO_LONG: Duration = Duration::from_secs(20);
/// Nor does anything need a block of memory as large as this.
const TOO_LARGE: usize = 256 << 20;
/// So many inputs are kept to be mutated.
const POOL: usize = 4_000;

/// The numbers of the inputs to be made: `REDLAB_FUZZ=COUNT` or `REDLAB_FUZZ=FIRST..LAST`.
fn inputs(few: u64) -> std::ops::Range<u64> {
    let Ok(text) = std::env::var("REDLAB_FUZZ") else { return 0..few };
    let number = |text: &str| text.replace('_', "").parse().expect("REDLAB_FUZZ: COUNT or FIRST..LAST");
    match text.split_once("..") {
        Some((first, last)) => number(first)..number(last),
        None => 0..number(&text),
    }
}

/// `REDLAB_FUZZ_SECONDS`: stop then, whatever is left.
fn time_is_up(since: Instant) -> bool {
    let limit = std::env::var("REDLAB_FUZZ_SECONDS").ok().and_then(|text| text.parse().ok());
    limit.is_some_and(|limit| since.elapsed() > Duration::from_secs(limit))
}

/// A message without what it quotes, and without numbers: which kind of message it is.
pub fn shape(message: &str) -> String {
    let mut quoted = false;
    let kept = message.chars().filter(|letter| {
        if matches!(letter, '`' | '"' | '\'') {
            quoted = !quoted;
        }
        !quoted && letter.is_ascii_alphabetic()
    });
    kept.take(60).collect()
}

fn number_of(of: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    of.hash(&mut hasher);
    hasher.finish()
}

pub fn fuzz(target: &Target) {
    fuzz_some(FEW, target);
}

/// As `fuzz`, with so many inputs in a plain `cargo test`.
pub fn fuzz_some(few: u64, target: &Target) {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus").join(target.name);
    let mut kept: Vec<PathBuf> =
        std::fs::read_dir(&folder).into_iter().flatten().flatten().map(|it| it.path()).collect();
    kept.sort();
    let mut pool = Pool::default();
    for path in kept {
        let bytes = std::fs::read(&path).expect("a file of the corpus");
        let went = try_one(target, &bytes, &format!("{}", path.display()));
        pool.add(bytes, went, 0);
    }
    for (index, bytes) in (target.seeds)().into_iter().enumerate() {
        let went = try_one(target, &bytes, &format!("seed {index}"));
        pool.add(bytes, went, 0);
    }
    assert!(!pool.ways.is_empty(), "{}: nothing to begin with", target.name);
    let (began, numbers) = (Instant::now(), inputs(few));
    let (mut done, mut taken) = (0u64, 0u64);
    for number in numbers.clone() {
        if number % 256 == 0 && time_is_up(began) {
            break;
        }
        let mut rng = Rng::new(number ^ number_of(target.name));
        let bytes = mutate::one(pool.any(&mut rng), target.words, &mut rng);
        let went = try_one(target, &bytes, &format!("input {number} of {}..{}", numbers.start, numbers.end));
        done += 1;
        taken += u64::from(went.taken);
        if !pool.ways.contains(&went.way) {
            pool.add(bytes, went, rng.below(POOL));
        }
    }
    let percent = taken * 100 / done.max(1);
    println!("fuzz {}: {done} inputs, {percent} % taken, {} ways", target.name, pool.ways.len());
}

/// What mutations begin with, in two parts: there are many ways to be refused, and few of them are interesting.
#[derive(Default)]
struct Pool {
    refused: Vec<Vec<u8>>,
    taken: Vec<Vec<u8>>,
    ways: BTreeSet<u64>,
}

impl Pool {
    /// `instead`: which one has to go if there is no room.
    fn add(&mut self, bytes: Vec<u8>, went: Went, instead: usize) {
        self.ways.insert(went.way);
        let part = if went.taken { &mut self.taken } else { &mut self.refused };
        if part.len() < POOL {
            part.push(bytes);
        } else {
            part[instead] = bytes;
        }
    }

    fn any(&self, rng: &mut Rng) -> &[Vec<u8>] {
        let (one, other) = if rng.below(8) > 0 { (&self.taken, &self.refused) } else { (&self.refused, &self.taken) };
        if one.is_empty() { other } else { one }
    }
}

fn try_one(target: &Target, bytes: &[u8], which: &str) -> Went {
    let watch = Watch::begin(target.name, bytes);
    let outcome = catch_unwind(AssertUnwindSafe(|| (target.run)(bytes)));
    let (took, block) = watch.end();
    let broke = match &outcome {
        Err(_) => Some(String::from("panicked")),
        Ok(_) if took > TOO_LONG => Some(format!("took {took:?}")),
        Ok(_) if block > TOO_LARGE => Some(format!("asked for a block of {block} bytes")),
        Ok(_) => None,
    };
    if let Some(broke) = broke {
        let path = keep(target.name, bytes);
        panic!("fuzz {}: {which} {broke}: \"{}\"\nkept as {path}", target.name, bytes.escape_ascii());
    }
    outcome.unwrap_or_default()
}

/// Writes a broken input into the corpus, where it is run first from then on.
pub fn keep(target: &str, bytes: &[u8]) -> String {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus").join(target);
    let path = folder.join(format!("found-{:08x}", number_of(bytes) as u32));
    let written = std::fs::create_dir_all(&folder).and_then(|()| std::fs::write(&path, bytes));
    match written {
        Ok(()) => path.display().to_string(),
        Err(error) => format!("nothing: {error}"),
    }
}

// -- what an input costs ----------------------------------------------------------------------------------------------

/// What runs: its number and name, since when, and on which input.
type Running = (u64, &'static str, Instant, Vec<u8>);

/// What runs at the moment, for the thread that watches over inputs that never end.
static RUNNING: Mutex<Vec<Running>> = Mutex::new(Vec::new());

/// An input that has not ended after so long never will.
const NEVER: Duration = Duration::from_secs(240);

pub struct Watch {
    id: u64,
    began: Instant,
}

impl Watch {
    pub fn begin(name: &'static str, bytes: &[u8]) -> Watch {
        static ONCE: std::sync::Once = std::sync::Once::new();
        static NEXT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
        ONCE.call_once(|| drop(std::thread::spawn(watch_over)));
        let id = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let began = Instant::now();
        RUNNING.lock().expect("nobody panics with it").push((id, name, began, bytes.to_vec()));
        LARGEST.set(0);
        Watch { id, began }
    }

    /// How long it took, and the largest block of memory it asked for.
    pub fn end(self) -> (Duration, usize) {
        RUNNING.lock().expect("nobody panics with it").retain(|(id, ..)| *id != self.id);
        (self.began.elapsed(), LARGEST.get())
    }
}

fn watch_over() {
    loop {
        std::thread::sleep(Duration::from_secs(5));
        let running = RUNNING.lock().expect("nobody panics with it");
        if let Some((_, name, _, bytes)) = running.iter().find(|(_, _, began, _)| began.elapsed() > NEVER) {
            let path = keep(name, bytes);
            eprintln!("fuzz {name}: does not end: \"{}\"\nkept as {path}", bytes.escape_ascii());
            std::process::abort();
        }
    }
}

thread_local! {
    static LARGEST: Cell<usize> = const { Cell::new(0) };
}

/// The system's allocator, which notes the largest block that a thread asked for.
struct Noting;

// SAFETY: everything is the system allocator's; noting a number allocates nothing.
unsafe impl GlobalAlloc for Noting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let _ = LARGEST.try_with(|largest| largest.set(largest.get().max(layout.size())));
        // SAFETY: the caller's promise, handed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise, handed on.
        unsafe { System.dealloc(block, layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        let _ = LARGEST.try_with(|largest| largest.set(largest.get().max(layout.size())));
        // SAFETY: the caller's promise, handed on.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let _ = LARGEST.try_with(|largest| largest.set(largest.get().max(size)));
        // SAFETY: the caller's promise, handed on.
        unsafe { System.realloc(block, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Noting = Noting;

/// Runs one episode for each seed, `few` of them unless told otherwise, as long as there is time; `run` says how many inputs
/// an episode took.
pub fn episodes(name: &str, few: u64, run: fn(u64) -> usize) {
    let (began, mut done, mut steps) = (Instant::now(), 0, 0);
    for seed in inputs(few) {
        steps += run(seed);
        done += 1;
        if time_is_up(began) {
            break;
        }
    }
    println!("fuzz {name}: {done} episodes, {steps} inputs");
}
