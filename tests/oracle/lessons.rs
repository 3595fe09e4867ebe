//! The solutions of all lessons, typed at the lab's machine and at real redis-server processes: the terminals show the same.
//!
//! Only the machine differs; terminals and shell words are the lab's on both sides, so what is compared is what servers
//! answer, what they leave in their files, and whether they start. What needs a dial for the time, a power cut or a
//! database of the lab is skipped by name, with its reason. `REDLAB_REDIS_SERVER` names another redis-server, `REDLAB_LESSON`
//! one lesson (5.8). Lessons about clusters are played only if named so: they need the lesson's own ports (7001 and on, and
//! 17001 and on), and their failovers take real time, minutes in all.

use super::machine::{self, Machine};
use redlab::backend::lesson::embedded;
use redlab::base::Millis;
use redlab::check::Script;
use redlab::console::word::span;
use redlab::lesson::{Course, Exercise, Lesson, Opens};
use redlab::tutor::Session;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Longer than that no test waits for time to pass; in a lesson that was named, no longer than the other.
pub const WAIT_MAX: Millis = Millis(3000);
pub const LONG_WAIT_MAX: Millis = Millis(40_000);

/// Lines that may print something else: lesson and exercise (or `*`), the line (`*` is anything), the reason.
const DIFFERENCES: &[(&str, &str, &str)] = &[
    ("*", "redis-server*", "the log has its own times, process ids and versions"),
    ("*", "*; redis-server*", "the log has its own times, process ids and versions"),
    ("*", "ps", "process ids"),
    ("*", "date", "the clock"),
    ("*", "TIME", "the clock"),
    ("*", "*INFO*", "memory, times and ids of another process"),
    ("*", "*LASTSAVE", "the clock"),
    (
        "*",
        "*CONFIG GET *[STAR]*|*CONFIG GET * *",
        "Redis lists parameters in the order of a hash table, which is another one at each start",
    ),
    ("*", "cat *base.rdb*", "a snapshot's head names the version and the time"),
    ("*", "shop-*", "which keys are evicted is drawn at random"),
    ("*", "ls*", "the lab's disk lists no temporary files"),
    ("*", "SCAN *", "the order of a hash table, which is another one at each start"),
    ("4.1 log", "grep -c *", "which keys are evicted, and so written again, is drawn at random"),
    ("3.3 user", "*GET session:*", "7.0 does not say in NOPERM whom it refuses which key"),
    ("4.5 flushall", "FLUSHALL", "7.0 does not say in NOPERM whom it refuses a command"),
    ("5.*", "*CLUSTER NODES*|*CLUSTER SHARDS*|*CLUSTER SLOTS*", "moments, and ids that were drawn at random"),
    ("5.*", "*--cluster*", "ids that were drawn at random"),
    ("5.*", "*MYID*", "ids that were drawn at random"),
    ("5.*", "*sales.log*", "the shop writes when something happened"),
    ("5.*", "shop-open *", "how long a request took"),
    ("4.5 address", "redis-cli -h 192.168.1.10 *", "the address of the lab's machine is no address of this one"),
];

/// The number of the only lesson to be played.
fn only() -> Option<String> {
    std::env::var("REDLAB_LESSON").ok()
}

/// Why an exercise cannot be typed at real processes.
fn skipped(lesson: &Lesson, exercise: &Exercise, solution: &Script) -> Option<&'static str> {
    let configs = lesson.world.instances.iter().map(|instance| instance.conf.as_str()).collect::<String>();
    let cluster = machine::is_cluster(&lesson.world);
    if configs.contains("replicaof") || cluster && only().as_deref() != Some(&lesson.number) {
        return Some("its servers talk to each other by the lab's port numbers");
    }
    let longest = if cluster { LONG_WAIT_MAX } else { WAIT_MAX };
    let scripts = [&lesson.world.setup, &exercise.setup, solution];
    let waits: u64 = scripts.iter().flat_map(|script| &script.0).map(|step| step.wait.0).sum();
    if waits > longest.0 {
        return Some("it waits for longer than a test does");
    }
    let sql = |name: &str| {
        name == "sql" || lesson.world.terminals.iter().any(|each| each.name == name && each.opens == Opens::Sql)
    };
    for (actor, line) in scripts.iter().flat_map(|script| script.lines()) {
        let text = line.text.to_lowercase();
        if sql(actor) {
            return Some("it speaks to the lab's SQL database");
        }
        if [":undo", ":redo", ":reset", ":back"].iter().any(|word| text.starts_with(word)) {
            return Some("it takes something back");
        }
        if text.contains("debug sleep") {
            return Some("it puts the server to sleep");
        }
        if text.contains("power-cut") {
            return Some("it cuts the power");
        }
        if text.starts_with(":net") {
            return Some("it disturbs the network");
        }
        if text.starts_with("storm") {
            return Some("it measures");
        }
        let time = text.strip_prefix(":time").or(text.strip_prefix("sleep")).map(str::trim);
        if time.is_some_and(|time| span(time).is_none_or(|span| span > longest)) {
            return Some("it lets much time pass");
        }
    }
    None
}

fn differs(place: &str, line: &str) -> Option<&'static str> {
    let like = |pattern: &str, text: &str| redlab::check::form::like(pattern, text);
    // A star that was typed, as in CONFIG GET maxmemory*, is written [STAR] in the table.
    let line = line.trim().replace('*', "[STAR]").to_uppercase();
    let fits = |(at, pattern, _): &&(&str, &str, &str)| like(at, place) && like(&pattern.to_uppercase(), &line);
    DIFFERENCES.iter().find(fits).map(|(_, _, reason)| *reason)
}

/// Types a solution into both sessions; the lines that print something else.
fn compare(lesson: &Arc<Lesson>, index: usize, solution: &Script, compared: &mut usize) -> Vec<String> {
    let place = format!("{} {}", lesson.number, lesson.exercises[index].id);
    let make: &dyn Fn(&redlab::lesson::World) -> Box<dyn redlab::port::Backend> =
        &|world| Box::new(Machine::new(world));
    let (mut ours, mut theirs) = (Session::open(lesson, &embedded, None), Session::open(lesson, make, None));
    ours.go_to(index);
    theirs.go_to(index);
    let mut wrong = Vec::new();
    for step in &solution.0 {
        if step.wait > Millis::ZERO {
            ours.advance(step.wait);
            theirs.advance(step.wait);
        }
        let Some(terminal) = ours.terminals().iter().position(|each| each.name() == step.actor) else { continue };
        for line in &step.lines {
            let of_the_lab = line.text.starts_with(':') && !line.text.starts_with(":time");
            if of_the_lab {
                continue;
            }
            let shown = |session: &mut Session| {
                let lines = session.submit(terminal, &line.text).lines;
                lines.iter().map(|(at, line)| format!("{at}: {}", line.text())).collect::<Vec<_>>()
            };
            let (a, b) = (shown(&mut ours), shown(&mut theirs));
            if line.text.starts_with(':') || differs(&place, &line.text).is_some() {
                continue;
            }
            *compared += 1;
            if a != b {
                wrong.push(format!(
                    "{place}: {}\n  the lab:      {}\n  redis-server: {}",
                    line.text,
                    a.join("\n    "),
                    b.join("\n    ")
                ));
            }
        }
    }
    wrong
}

/// Servers side by side.
const WORKERS: usize = 8;

#[derive(Default)]
struct Found {
    played: usize,
    compared: usize,
    wrong: Vec<String>,
}

/// All solutions of an exercise, as far as they can be compared.
fn play(lesson: &Arc<Lesson>, index: usize, found: &mut Found) {
    let exercise = &lesson.exercises[index];
    for (nth, solution) in exercise.solutions.iter().enumerate() {
        match skipped(lesson, exercise, solution) {
            Some(reason) => {
                eprintln!("skipped: {} {}, solution {}: {reason}", lesson.number, exercise.id, nth + 1);
            }
            None => {
                found.played += 1;
                found.wrong.extend(compare(lesson, index, solution, &mut found.compared));
            }
        }
    }
}

#[test]
fn lessons_show_the_same_at_real_servers() {
    let known = Command::new(crate::servers::program()).arg("--version").stdout(Stdio::null()).status();
    if known.is_err() {
        let required = std::env::var_os("REDLAB_REQUIRE_ORACLE").is_some();
        assert!(!required, "redis-server is not installed, and REDLAB_REQUIRE_ORACLE is set");
        eprintln!("SKIPPED: redis-server is not installed");
        return;
    }
    let only = only();
    let course = Course::bundled();
    let lessons: Vec<_> =
        course.lessons().filter(|lesson| only.as_ref().is_none_or(|only| *only == lesson.number)).collect();
    let exercises: Vec<_> =
        lessons.iter().flat_map(|lesson| (0..lesson.exercises.len()).map(move |index| (lesson, index))).collect();
    // Most of the time servers start, or time passes. Clusters have ports of their own, one at a time.
    let workers = if only.is_some() { 1 } else { WORKERS };
    let next = AtomicUsize::new(0);
    let worker = || {
        let mut found = Found::default();
        while let Some((lesson, index)) = exercises.get(next.fetch_add(1, Ordering::Relaxed)) {
            play(lesson, *index, &mut found);
        }
        found
    };
    let found = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..workers).map(|_| scope.spawn(worker)).collect();
        workers.into_iter().map(|worker| worker.join().expect("a worker fails only with its test")).fold(
            Found::default(),
            |mut all, mut more| {
                all.wrong.append(&mut more.wrong);
                Found { played: all.played + more.played, compared: all.compared + more.compared, ..all }
            },
        )
    });
    let Found { played, compared, wrong } = found;
    eprintln!("{played} solutions, {compared} lines compared");
    assert!(wrong.is_empty(), "{} lines differ:\n{}", wrong.len(), wrong.join("\n"));
    assert!(only.is_some() || played >= 100, "only {played} solutions were played: what is skipped?");
}
