//! Progress on disk: kept, resumed, put aside when broken, carried from machine to machine.

use super::*;
use crate::backend::lesson::embedded;
use crate::base::Millis;
use crate::lesson::Course;
use crate::tutor::Entry;
use std::sync::Arc;

fn lesson() -> Arc<Lesson> {
    Course::bundled().lessons().next().unwrap().clone()
}

#[test]
fn a_killed_program_loses_no_answered_line() {
    let home = tempfile::tempdir().unwrap();
    let lesson = lesson();
    let mut store = Store::open(home.path()).unwrap();
    let mut session = Session::open(&lesson, &embedded, None);
    for line in ["SET shop:open yes", "GET shop:open", ":next", "GET shop:open"] {
        session.submit(0, line);
        session.advance(Millis(120));
        store.keep(&session).unwrap();
    }
    let screen = session.screen(0).to_vec();
    // As after kill -9: nothing is closed in order.
    drop(store);
    let store = Store::open(home.path()).unwrap();
    let resumed = Session::open(&lesson, &embedded, store.load(&lesson).as_ref());
    assert_eq!(resumed.screen(0), screen);
    assert_eq!(resumed.current(), session.current());
    assert_eq!(resumed.exercises(), session.exercises());
    assert_eq!(resumed.snapshot().instances[0].dbs, session.snapshot().instances[0].dbs);
    assert_eq!(store.solved(&lesson), 1);
    assert_eq!(store.here(), Some(lesson.id.clone()));
}

#[test]
fn every_cut_of_a_journal_resumes_with_the_lines_that_were_whole() {
    let saved = Saved {
        lesson: "a".into(),
        hash: "b".into(),
        entries: vec![
            Entry::Line { terminal: 0, text: "SET k \"\u{e9}\\n\"".into() },
            Entry::Advance(Millis(5)),
            Entry::GoTo(1),
        ],
    };
    let text = journal::text(&saved, 3);
    let head = text.find('\n').unwrap() + 1;
    for cut in 0..=text.len() {
        let found = journal::parse(&String::from_utf8_lossy(&text.as_bytes()[..cut]));
        match found {
            None => assert!(cut < head),
            Some(found) => {
                let whole = text.as_bytes()[head.min(cut)..cut].iter().filter(|byte| **byte == b'\n').count();
                assert_eq!(found.entries, saved.entries[..whole], "cut at {cut}");
            }
        }
    }
}

#[test]
fn a_corrupt_file_is_kept_aside_and_said_once() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("progress.json");
    fs::write(&path, b"{\"format\": 1, \"less\x00").unwrap();
    let mut store = Store::open(home.path()).unwrap();
    let session = Session::open(&lesson(), &embedded, None);
    let said = store.keep(&session).unwrap_err();
    assert!(said.contains("progress.json.broken-1"), "{said}");
    assert_eq!(store.keep(&session), Ok(()));
    assert_eq!(fs::read(home.path().join("progress.json.broken-1")).unwrap(), b"{\"format\": 1, \"less\x00");
}

#[test]
fn what_a_newer_program_wrote_is_refused_and_left_alone() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("progress.json");
    fs::write(&path, b"{\"format\": 9, \"lessons\": 5}").unwrap();
    let Err(trouble) = Store::open(home.path()) else { panic!("a newer file was opened") };
    assert!(trouble.to_string().contains("format 9"), "{trouble}");
    assert_eq!(fs::read(&path).unwrap(), b"{\"format\": 9, \"lessons\": 5}");
}

#[test]
fn a_disk_that_cannot_be_written_gives_a_sentence_and_no_end() {
    let home = tempfile::tempdir().unwrap();
    let mut store = Store::open(home.path()).unwrap();
    // A file stands where the folder of journals should be.
    fs::write(home.path().join("lessons"), b"").unwrap();
    let session = Session::open(&lesson(), &embedded, None);
    let said = store.keep(&session).unwrap_err();
    assert!(said.contains("cannot be kept"), "{said}");
    fs::remove_file(home.path().join("lessons")).unwrap();
    assert_eq!(store.keep(&session), Ok(()));
}

#[test]
fn a_second_program_does_not_write() {
    let home = tempfile::tempdir().unwrap();
    let _first = Store::open(home.path()).unwrap();
    let mut second = Store::open(home.path()).unwrap();
    let session = Session::open(&lesson(), &embedded, None);
    assert!(second.keep(&session).unwrap_err().contains("Another redlab"));
    assert!(matches!(second.reset(None), Err(Trouble::Busy)), "the first would write on into files that are gone");
}

#[test]
fn a_lock_that_cannot_be_had_is_told_as_what_it_is_and_tried_for_again() {
    // It was said that another redlab was open.
    let home = tempfile::tempdir().unwrap();
    fs::create_dir(home.path().join("lock")).unwrap();
    let mut store = Store::open(home.path()).unwrap();
    let session = Session::open(&lesson(), &embedded, None);
    let said = store.keep(&session).unwrap_err();
    assert!(said.contains("cannot be kept"), "{said}");
    fs::remove_dir(home.path().join("lock")).unwrap();
    assert_eq!(store.keep(&session), Ok(()));
}

#[test]
fn progress_travels_to_another_machine() {
    let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let lesson = lesson();
    let mut store = Store::open(here.path()).unwrap();
    let mut session = Session::open(&lesson, &embedded, None);
    session.submit(0, "SET shop:open yes");
    store.keep(&session).unwrap();
    let file = here.path().join("exported.json");
    fs::write(&file, serde_json::to_vec(&store.export()).unwrap()).unwrap();
    let mut other = Store::open(there.path()).unwrap();
    assert_eq!(other.import(&file).unwrap(), 1);
    assert_eq!(other.import(&file).unwrap(), 0);
    let resumed = Session::open(&lesson, &embedded, other.load(&lesson).as_ref());
    assert!(resumed.exercises()[0].solved);
    fs::write(&file, b"[]").unwrap();
    assert!(other.import(&file).unwrap_err().to_string().contains("no exported progress"));
}

#[test]
fn a_reset_lesson_is_forgotten() {
    let home = tempfile::tempdir().unwrap();
    let lesson = lesson();
    let mut store = Store::open(home.path()).unwrap();
    let mut session = Session::open(&lesson, &embedded, None);
    session.submit(0, "SET shop:open yes");
    store.keep(&session).unwrap();
    store.reset(Some(&lesson.id)).unwrap();
    assert_eq!(store.solved(&lesson), 0);
    assert!(store.load(&lesson).is_none());
}

#[test]
fn a_lesson_reset_within_the_lab_writes_a_shorter_journal() {
    let home = tempfile::tempdir().unwrap();
    let lesson = lesson();
    let mut store = Store::open(home.path()).unwrap();
    let mut session = Session::open(&lesson, &embedded, None);
    session.submit(0, "SET shop:open yes");
    session.submit(0, "GET shop:open");
    store.keep(&session).unwrap();
    session.submit(0, ":reset lesson");
    store.keep(&session).unwrap();
    assert_eq!(store.load(&lesson).unwrap().entries, session.saved().entries);
    session.submit(0, "GET x");
    store.keep(&session).unwrap();
    assert_eq!(store.load(&lesson).unwrap().entries.len(), session.saved().entries.len());
}
