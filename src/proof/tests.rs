//! Checks, the tutor and the proof on small planted lessons, run on the embedded machine.

mod authors;
mod planted;
mod session;

use super::*;
use crate::backend::lesson::embedded;
use crate::check::table::KINDS;
use crate::lesson::Files;
use crate::tutor::{Effect, Tone};
use proptest::prelude::*;

const COURSE: &str = "id: t\nformat: 1\ntitle: T\nmodules:\n  - {title: M, lessons: [01-m/01-l]}\n";
const PAGE: &str = "---\ntitle: T\n---\n\n<!-- do: e -->\n";

/// A course with one exercise `e`: its YAML from `goals:` on is `exercise`.
fn course_of(exercise: &str) -> Files {
    let lab = format!(
        "id: t.l\nworld:\n  instances: {{redis: {{port: 6379, config: {{save: \"\", appendonly: \"no\"}}}}}}\n  sql: {{schema: [\"CREATE TABLE t (n INTEGER)\"]}}\n  terminals: {{shop: redis, ops: shell, db: sql}}\nexercises:\n  - id: e\n    title: E\n{exercise}"
    );
    vec![
        ("course.yaml".into(), COURSE.into()),
        ("01-m/01-l/lesson.md".into(), PAGE.into()),
        ("01-m/01-l/lab.yaml".into(), lab),
    ]
}

const REST: &str = "    hints: [a, b]\n    wrong: [{when: {saw: {cmd: NEVER}}, try: {shop: [PING]}, say: no}]\n    solutions: [{shop: [PING]}]\n";

fn lesson_of(exercise: &str) -> Arc<Lesson> {
    match Course::parse(&course_of(exercise)) {
        Ok(course) => course.lessons().next().unwrap().clone(),
        Err(faults) => panic!("{exercise}\n{faults:?}"),
    }
}

fn session_with(exercise: &str) -> crate::tutor::Session {
    crate::tutor::Session::open(&lesson_of(exercise), &embedded, None)
}

/// Types `TERMINAL: LINE` lines.
fn type_all(session: &mut crate::tutor::Session, lines: &[&str]) {
    for line in lines {
        let (terminal, text) = line.split_once(": ").unwrap_or(("shop", line));
        let terminal = ["shop", "ops", "db"].iter().position(|each| *each == terminal).unwrap();
        session.submit(terminal, text);
    }
}

fn told(session: &crate::tutor::Session) -> String {
    session.exercises()[0].feedback.as_ref().map(|told| lesson::plain_text(&told.say)).unwrap_or_default()
}

/// All lessons are read, and the first module is done. Doing all of them is what `redlab check` is for, which CI runs in a
/// release build: in a debug build it takes minutes.
#[test]
fn the_bundled_course_is_read_and_its_beginning_proved() {
    let course = Course::bundled();
    let taught = taught_before(&course);
    let begin = course.modules[0].lessons.len();
    let faults: Vec<Fault> = std::thread::scope(|scope| {
        let proofs: Vec<_> = course
            .lessons()
            .zip(&taught)
            .take(begin)
            .map(|(each, taught)| scope.spawn(move || lesson(each, taught, &embedded).faults))
            .collect();
        proofs.into_iter().flat_map(|proof| proof.join().unwrap()).collect()
    });
    assert_eq!(faults, []);
    let read = course.lessons().zip(&taught).flat_map(|(each, taught)| reading::faults(each, taught));
    assert_eq!(read.collect::<Vec<_>>(), []);
}
